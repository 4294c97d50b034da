//! What waits in the pool: order, limits, retries and drops (`docs/protocol/chain_service` §2).

use strait_encoding::{Coins, Height, Nonce, TxHash};
use strait_ledger::{Chain, ChainView, Machine, SignedTx, TxLocation, fee};

use crate::machine::{Do, Scripted, auth, by};
use crate::support::{
    FEE, RICH, account, agreed, balances, chain, chain_with, close_mutual, close_solo, create, deposit,
    settle, signed, slash, spend, withdraw,
};

fn submit(chain: &mut Chain, tx: &SignedTx) -> TxHash {
    chain.submit(tx.clone()).unwrap()
}

/// Mines key blocks, and micro blocks after each, until a transaction has left the pool; gives the number of key blocks.
fn mine_until_gone_or_in(chain: &mut Chain, hash: &TxHash) -> usize {
    for generation in 0.. {
        chain.mine_micro_block(0);
        if chain.locate_tx(hash) != TxLocation::Pool {
            return generation;
        }
        chain.mine_key_block(0);
    }
    unreachable!("the pool drops what waits too long");
}

#[test]
fn what_nobody_can_pay_is_dropped_after_twenty_tries_and_does_not_come_back() {
    let mut chain = chain();
    let tx = signed(spend(1, 2, RICH.0, 1), &[1]);
    let hash = submit(&mut chain, &tx);
    for _ in 0..19 {
        assert_eq!(chain.mine_micro_block(0), None);
        assert_eq!(chain.locate_tx(&hash), TxLocation::Pool);
        chain.mine_key_block(0);
    }
    assert_eq!(chain.mine_micro_block(0), None);
    assert_eq!(chain.locate_tx(&hash), TxLocation::Gone);
    assert!(!chain.has_pending());
    assert_eq!(chain.tx(&hash), None);
    assert_eq!(chain.submit(tx).unwrap_err().atom(), "already_known");
}

#[test]
fn key_blocks_alone_drop_nothing() {
    let mut chain = chain();
    let hash = submit(&mut chain, &signed(spend(1, 2, RICH.0, 1), &[1]));
    for _ in 0..60 {
        chain.mine_key_block(0);
    }
    assert_eq!(chain.locate_tx(&hash), TxLocation::Pool);
}

#[test]
fn the_same_top_is_not_tried_twice() {
    let mut chain = chain();
    let hash = submit(&mut chain, &signed(spend(1, 2, RICH.0, 1), &[1]));
    for _ in 0..100 {
        assert_eq!(chain.mine_micro_block(0), None);
    }
    assert_eq!(chain.locate_tx(&hash), TxLocation::Pool);
}

#[test]
fn a_gap_of_nonces_is_waited_for_thirty_times() {
    let mut chain = chain();
    let hash = submit(&mut chain, &signed(spend(1, 2, 1, 2), &[1]));
    assert_eq!(mine_until_gone_or_in(&mut chain, &hash), 29);
    assert_eq!(chain.locate_tx(&hash), TxLocation::Gone);
}

#[test]
fn a_gap_of_nonces_that_closes_in_time_lets_both_in() {
    let mut chain = chain();
    let late = submit(&mut chain, &signed(spend(1, 2, 1, 2), &[1]));
    for _ in 0..20 {
        assert_eq!(chain.mine_micro_block(0), None);
        chain.mine_key_block(0);
    }
    let early = submit(&mut chain, &signed(spend(1, 2, 1, 1), &[1]));
    let block = chain.mine_micro_block(0).unwrap();
    assert_eq!(block.txs.iter().map(SignedTx::hash).collect::<Vec<_>>(), [early, late]);
}

#[test]
fn a_settle_waits_for_the_lock_to_end() {
    let mut chain = chain();
    let id = create(1).channel_id();
    submit(&mut chain, &signed(create(1), &[1, 2]));
    submit(&mut chain, &signed(close_solo(id, 1, 2), &[1]));
    let hash = submit(&mut chain, &signed(settle(id, 1, (100, 50), 3), &[1]));
    assert_eq!(mine_until_gone_or_in(&mut chain, &hash), 5);
    assert!(matches!(chain.locate_tx(&hash), TxLocation::InBlock { height: Height(6), .. }));
}

#[test]
fn a_locked_settle_is_not_tried_and_outlasts_any_number_of_blocks() {
    let mut chain = chain();
    let mut long = create(1);
    long.lock_period = 50;
    let id = long.channel_id();
    submit(&mut chain, &signed(long, &[1, 2]));
    submit(&mut chain, &signed(close_solo(id, 1, 2), &[1]));
    chain.mine_micro_block(0).unwrap();
    let settle = signed(settle(id, 1, (100, 50), 3), &[1]);
    let hash = submit(&mut chain, &settle);
    // What needs the nonce after it waits with it, though thirty failures would drop it.
    let behind = submit(&mut chain, &signed(spend(1, 3, 1, 4), &[1]));
    assert_eq!(chain.unlock_height(&settle), Some(Height(51)));
    for nonce in 1..=200 {
        submit(&mut chain, &signed(spend(2, 3, 1, nonce), &[2]));
        assert_eq!(chain.mine_micro_block(0).unwrap().txs.len(), 1);
        if nonce % 5 == 0 {
            chain.mine_key_block(0);
        }
    }
    assert_eq!(chain.top_height(), Height(41));
    assert_eq!(chain.locate_tx(&hash), TxLocation::Pool);
    while chain.top_height() < Height(51) {
        assert_eq!(chain.mine_micro_block(0), None);
        chain.mine_key_block(0);
    }
    let block = chain.mine_micro_block(0).unwrap();
    assert_eq!(block.txs.iter().map(SignedTx::hash).collect::<Vec<_>>(), [hash, behind]);
    assert_eq!(chain.channel(id), None);
}

#[test]
fn a_settle_whose_nonce_was_used_locks_nothing() {
    let mut chain = chain();
    let mut long = create(1);
    long.lock_period = 50;
    let id = long.channel_id();
    submit(&mut chain, &signed(long, &[1, 2]));
    submit(&mut chain, &signed(close_solo(id, 1, 2), &[1]));
    chain.mine_micro_block(0).unwrap();
    let hash = submit(&mut chain, &signed(settle(id, 1, (100, 50), 3), &[1]));
    submit(&mut chain, &signed(spend(1, 3, 1, 3), &[1]));
    let after = submit(&mut chain, &signed(spend(1, 3, 1, 4), &[1]));
    assert_eq!(chain.mine_micro_block(0).unwrap().txs.len(), 2);
    assert!(matches!(chain.locate_tx(&after), TxLocation::InBlock { .. }));
    chain.mine_micro_block(0);
    assert_eq!(chain.locate_tx(&hash), TxLocation::Gone);
}

#[test]
fn where_fees_are_equal_accounts_and_nonces_decide() {
    // Room for three of four: what counts is the account, then the nonce, not the hash.
    let gas = fee::block_gas(signed(spend(1, 9, 1, 1), &[1]).tx(), Default::default());
    for amounts in [1..5, 5..9, 9..13] {
        let mut chain = chain_with(|config| config.block_gas_limit = 3 * gas);
        let mut txs: Vec<_> = (1..=4u8)
            .zip(amounts)
            .map(|(place, amount)| (1 + place % 2, u64::from(place.div_ceil(2)), amount))
            .map(|(from, nonce, amount)| {
                (account(from), nonce, signed(spend(from, 9, amount, nonce), &[from]))
            })
            .collect();
        for (_, _, tx) in &txs {
            submit(&mut chain, tx);
        }
        txs.sort_by_key(|(account, nonce, _)| (*account, *nonce));
        let expected: Vec<_> = txs.iter().take(3).map(|(_, _, tx)| tx.hash()).collect();
        let block = chain.mine_micro_block(0).unwrap();
        assert_eq!(block.txs.iter().map(SignedTx::hash).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn coins_that_arrive_let_a_waiting_transaction_in() {
    let mut chain = chain();
    let waiting = submit(&mut chain, &signed(spend(9, 2, 1, 1), &[9]));
    assert_eq!(chain.mine_micro_block(0), None);
    submit(&mut chain, &signed(spend(1, 9, 2 * FEE.0, 1), &[1]));
    // The funds and the spend come in the order of the accounts, so it may take two blocks.
    while chain.mine_micro_block(0).is_some() {}
    assert!(matches!(chain.locate_tx(&waiting), TxLocation::InBlock { .. }));
}

#[test]
fn of_two_with_one_nonce_the_better_paying_is_taken_and_the_other_dropped() {
    let mut chain = chain();
    let poor = submit(&mut chain, &signed(spend(1, 2, 1, 1), &[1]));
    let mut better = spend(1, 2, 1, 1);
    better.fee = Coins(FEE.0 + 1);
    let rich = submit(&mut chain, &signed(better, &[1]));
    chain.mine_micro_block(0).unwrap();
    assert!(matches!(chain.locate_tx(&rich), TxLocation::InBlock { .. }));
    chain.mine_micro_block(0);
    assert_eq!(chain.locate_tx(&poor), TxLocation::Gone);
}

#[test]
fn a_block_takes_the_best_paying_that_fit() {
    let gas = |tx: &SignedTx| fee::block_gas(tx.tx(), Default::default());
    let txs: Vec<_> = (1..=4)
        .map(|from| {
            let mut tx = spend(from, 9, 1, 1);
            tx.fee = Coins(FEE.0 + u128::from(from));
            signed(tx, &[from])
        })
        .collect();
    let mut chain = chain_with(|config| config.block_gas_limit = 2 * gas(&txs[0]) + 1);
    let hashes: Vec<_> = txs.iter().map(|tx| submit(&mut chain, tx)).collect();
    let mut best: Vec<_> = chain.mine_micro_block(0).unwrap().txs.iter().map(SignedTx::hash).collect();
    best.sort_unstable();
    let mut expected = hashes[2..].to_vec();
    expected.sort_unstable();
    assert_eq!(best, expected);
    assert_eq!(chain.mine_micro_block(0).unwrap().txs.len(), 2, "the others come next");
}

#[test]
fn one_that_fails_leaves_its_room_to_others() {
    let mut dear = spend(1, 9, RICH.0, 1);
    dear.fee = Coins(2 * FEE.0);
    let dear = signed(dear, &[1]);
    let mut chain =
        chain_with(|config| config.block_gas_limit = fee::block_gas(dear.tx(), Default::default()) + 1);
    submit(&mut chain, &dear);
    let other = submit(&mut chain, &signed(spend(2, 9, 1, 1), &[2]));
    let block = chain.mine_micro_block(0).unwrap();
    assert_eq!(block.txs.iter().map(SignedTx::hash).collect::<Vec<_>>(), [other]);
}

#[test]
fn at_its_last_height_a_transaction_is_not_taken_and_five_generations_later_dropped() {
    let mut chain = chain();
    let mut tx = spend(1, 2, 1, 1);
    tx.ttl = Height(2);
    let hash = submit(&mut chain, &signed(tx, &[1]));
    chain.mine_key_block(0);
    assert_eq!(chain.mine_micro_block(0), None);
    // It has passed at height 3.
    while chain.top_height() < Height(7) {
        chain.mine_key_block(0);
        assert_eq!(chain.locate_tx(&hash), TxLocation::Pool);
    }
    chain.mine_key_block(0);
    assert_eq!(chain.locate_tx(&hash), TxLocation::Gone);
}

#[test]
fn what_waits_too_long_is_dropped() {
    let mut chain = chain_with(|config| config.idle_limit = 10);
    let hash = submit(&mut chain, &signed(spend(1, 2, 1, 2), &[1]));
    for _ in 0..9 {
        chain.mine_key_block(0);
    }
    assert_eq!(chain.locate_tx(&hash), TxLocation::Pool);
    chain.mine_key_block(0);
    assert_eq!(chain.locate_tx(&hash), TxLocation::Gone);
}

#[test]
fn only_so_many_dropped_ones_are_remembered() {
    let mut chain = chain_with(|config| (config.idle_limit, config.gone_limit) = (1, 2));
    let hashes: Vec<_> = (1..=3)
        .map(|from| {
            let hash = submit(&mut chain, &signed(spend(from, 9, 1, 1), &[from]));
            chain.mine_key_block(0);
            hash
        })
        .collect();
    assert_eq!(chain.locate_tx(&hashes[0]), TxLocation::Unknown);
    assert_eq!(chain.locate_tx(&hashes[1]), TxLocation::Gone);
    assert_eq!(chain.locate_tx(&hashes[2]), TxLocation::Gone);
}

#[test]
fn the_next_nonce_counts_what_waits() {
    let mut chain = chain();
    assert_eq!(chain.next_nonce(account(1)), Nonce(1));
    assert_eq!(chain.next_nonce(account(9)), Nonce(1));
    submit(&mut chain, &signed(spend(1, 2, 1, 3), &[1]));
    assert_eq!(chain.next_nonce(account(1)), Nonce(4));
    submit(&mut chain, &signed(spend(1, 2, 1, 1), &[1]));
    chain.mine_micro_block(0).unwrap();
    assert_eq!(chain.next_nonce(account(1)), Nonce(4));
    assert_eq!(chain.next_nonce(account(2)), Nonce(1));
}

/// How many micro blocks try a transaction before it is dropped.
fn tries(chain: &mut Chain, tx: &SignedTx) -> usize {
    let hash = submit(chain, tx);
    mine_until_gone_or_in(chain, &hash) + 1
}

#[test]
fn how_often_a_transaction_is_tried_depends_on_its_kind_and_error() {
    let id = create(1).channel_id();
    let open = || {
        let mut chain = chain_with(|config| config.machine = Machine::new(Scripted));
        submit(&mut chain, &signed(create(1), &[1, 2]));
        chain.mine_micro_block(0).unwrap();
        chain
    };
    // docs/protocol/chain_service §2.
    assert_eq!(tries(&mut open(), &signed(slash(id, 2, 6, 1), &[2])), 20, "channel_not_closing");
    assert_eq!(tries(&mut open(), &signed(settle(id, 1, (100, 50), 2), &[1])), 20, "channel_not_closed");
    assert_eq!(tries(&mut open(), &signed(deposit(id, 1, 5, 1, 2), &[1, 2])), 1, "same_round");
    assert_eq!(
        tries(&mut open(), &signed(withdraw(id, 1, 140, 2, 2), &[1, 2])),
        20,
        "not_enough_channel_funds"
    );
    assert_eq!(tries(&mut open(), &signed(close_mutual(id, 1, (100, 50), 2), &[1, 2])), 20, "wrong_amounts");
    assert_eq!(tries(&mut open(), &signed(close_solo(id, 3, 1), &[3])), 1, "account_not_peer");
    let mut old = close_solo(id, 1, 2);
    old.payload = agreed(id, 1, balances(100, 50).state_hash());
    assert_eq!(tries(&mut open(), &signed(old, &[1])), 1, "same_round");
    // Around them the kind is another one.
    let meta_of_basic = by(2, auth(Do::Yes, &[]), signed(deposit(id, 1, 5, 2, 2), &[1]));
    assert_eq!(tries(&mut open(), &meta_of_basic), 15, "not_a_generalized_account");
}
