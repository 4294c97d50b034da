//! What the pool takes and what it answers, as a live dev node did (`vectors/httpscen.out`).

use strait_encoding::{Coins, Height, Id, NetworkId, Nonce};
use strait_ledger::{
    Chain, ChainView, ChannelObject, MIN_GAS_PRICE, SignedTx, SubmitError, Tx, TxLocation, fee_gas,
};

use crate::support::{
    FEE, RICH, account, agreed, balances, chain, chain_with, close_solo, create, deposit, proof, settle,
    signed, spend,
};

/// A line of the file: `ok    name : verdict`.
fn printed(name: &str) -> &'static str {
    let lines = include_str!("../vectors/httpscen.out").lines();
    let mut verdicts = lines.filter_map(|line| line.get(3..)?.trim_start().split_once(" : "));
    verdicts.find_map(|(found, verdict)| (found == name).then_some(verdict)).expect("the line is in the file")
}

/// The error atom of a refused transaction in the file: `[400, "nonce_too_low", "Invalid tx"]`.
fn refused(name: &str) -> &'static str {
    printed(name).split('"').nth(1).expect("an atom in quotes")
}

/// A chain on which account 1 has sent four transactions.
fn busy_chain() -> Chain {
    let mut chain = chain();
    for nonce in 1..=4 {
        chain.submit(signed(spend(1, 2, 1, nonce), &[1])).unwrap();
    }
    assert_eq!(chain.mine_micro_block(2_000).unwrap().txs.len(), 4);
    chain
}

/// `tx` with the fee at which a unit of gas pays this price.
fn with_price(tx: impl Into<Tx>, chain: &Chain, price: Coins) -> Tx {
    // The fee itself counts: first one of the same size.
    (0..2).fold(tx.into(), |tx, _| {
        let gas = fee_gas(&tx, chain.protocol());
        tx.with_fee(price.checked_mul(gas.into()).unwrap())
    })
}

#[test]
fn refusals_have_the_nodes_names() {
    let mut chain = busy_chain();
    chain.mine_key_block(3_000);
    let next = |change: fn(&mut strait_ledger::SpendTx)| {
        let mut tx = spend(1, 2, 1, 5);
        change(&mut tx);
        tx
    };
    let just_below_miner = Coins(chain.miner_gas_price().0 - 1_000_000);
    let cases: Vec<(&str, SignedTx)> = vec![
        ("nonce too low", signed(next(|tx| (tx.nonce, tx.amount) = (Nonce(4), Coins(2))), &[1])),
        ("nonce +6", signed(next(|tx| tx.nonce = Nonce(10)), &[1])),
        ("bad sig", signed(next(|_| {}), &[2])),
        ("leftover sig", signed(next(|_| {}), &[1, 2])),
        ("fee below 10^6", signed(with_price(next(|_| {}), &chain, Coins(MIN_GAS_PRICE.0 - 1)), &[1])),
        ("fee below 10^9", signed(with_price(next(|_| {}), &chain, just_below_miner), &[1])),
        ("ttl in the past", signed(next(|tx| tx.ttl = Height(1)), &[1])),
        ("deposit before the channel exists", signed(deposit(create(1).channel_id(), 1, 7, 2, 5), &[1, 2])),
    ];
    for (name, tx) in cases {
        let error = chain.submit(tx).expect_err(name);
        assert_eq!(error.atom(), refused(name), "{name}");
    }
    assert!(!chain.has_pending());
}

#[test]
fn what_is_known_does_not_come_twice() {
    let mut chain = busy_chain();
    let tx = signed(spend(1, 2, 1, 5), &[1]);
    let hash = chain.submit(tx.clone()).unwrap();
    assert_eq!(chain.locate_tx(&hash), TxLocation::Pool);
    assert_eq!(chain.submit(tx.clone()).unwrap_err().atom(), refused("repost pending"));
    chain.mine_micro_block(3_000).unwrap();
    assert!(matches!(chain.locate_tx(&hash), TxLocation::InBlock { height: Height(1), .. }));
    assert_eq!(chain.submit(tx).unwrap_err().atom(), refused("repost mined"));
}

#[test]
fn a_gap_of_nonces_waits_and_counts_for_the_next_one() {
    let mut chain = busy_chain();
    let late = chain.submit(signed(spend(1, 2, 1, 6), &[1])).unwrap();
    assert_eq!(printed("next-nonce max"), format!("[200, {}]", chain.next_nonce(account(1))));
    assert_eq!(chain.mine_micro_block(3_000), None);
    let early = chain.submit(signed(spend(1, 2, 1, 5), &[1])).unwrap();
    let block = chain.mine_micro_block(4_000).unwrap();
    let mined: Vec<_> = block.txs.iter().map(SignedTx::hash).collect();
    assert_eq!(mined, [early, late]);
    assert_eq!(printed("both mined"), "true");
}

#[test]
fn a_create_with_signatures_in_any_order_is_known_by_the_hash_of_the_sorted_one() {
    let mut chain = chain();
    let tx = signed(create(1), &[1, 2]);
    let hash = chain.submit(tx.clone()).unwrap();
    assert_eq!(hash, tx.hash());
    chain.mine_micro_block(2_000).unwrap();
    let channel = chain.channel(create(1).channel_id()).unwrap();
    assert_eq!((channel.channel_amount, channel.round.0), (Coins(150), 1));
}

#[test]
fn balance_and_the_channels_state_are_not_looked_at_yet() {
    let mut chain = chain();
    let too_much = u128::MAX;
    chain.submit(signed(spend(1, 2, too_much, 1), &[1])).expect("accepted into the pool");
    assert_eq!(printed("spend beyond balance is accepted into the pool"), "200");
    chain.submit(signed(close_solo(create(1).channel_id(), 2, 1), &[2])).expect("no such channel yet");
}

#[test]
fn an_unknown_account_may_only_begin() {
    let mut chain = chain();
    chain.submit(signed(spend(9, 2, 1, 1), &[9])).expect("its account may come");
    let error = chain.submit(signed(spend(9, 2, 1, 2), &[9])).unwrap_err();
    assert_eq!(error, SubmitError::NonceTooHigh { account: account(9), nonce: Nonce(2), most: Nonce(1) });
}

#[test]
fn names_and_channels_cannot_receive_a_spend() {
    let mut chain = chain();
    for recipient in [Id::Name([1; 32]), Id::Channel(create(1).channel_id())] {
        let mut tx = spend(1, 2, 1, 1);
        tx.recipient_id = recipient;
        assert_eq!(chain.submit(signed(tx, &[1])).unwrap_err().atom(), "could_not_resolve_recipient");
    }
}

#[test]
fn a_broken_proof_is_a_broken_transaction() {
    let mut chain = chain();
    let mut tx = close_solo(create(1).channel_id(), 1, 1);
    tx.poi.0.truncate(20);
    let refused_as = refused("unsigned bytes without envelope");
    assert_eq!(chain.submit(signed(tx, &[1])).unwrap_err().atom(), refused_as);
}

#[test]
fn an_agreed_round_is_not_for_the_chain() {
    let mut chain = chain();
    chain.submit(signed(create(1), &[1, 2])).unwrap();
    chain.mine_micro_block(2_000).unwrap();
    let payload = agreed(create(1).channel_id(), 2, balances(90, 60).state_hash());
    let tx = SignedTx::decode(&payload.0).unwrap();
    assert_eq!(chain.submit(tx).unwrap_err().atom(), "invalid_at_protocol");
}

#[test]
fn the_pool_has_a_limit() {
    let mut chain = chain_with(|config| config.pool_limit = 2);
    for nonce in [1, 2] {
        chain.submit(signed(spend(1, 2, 1, nonce), &[1])).unwrap();
    }
    assert_eq!(chain.submit(signed(spend(1, 2, 1, 3), &[1])), Err(SubmitError::PoolFull(2)));
    chain.mine_micro_block(2_000).unwrap();
    chain.submit(signed(spend(1, 2, 1, 3), &[1])).expect("there is room again");
}

#[test]
fn what_no_block_can_hold_is_refused() {
    let mut chain = chain();
    let mut tx = spend(1, 2, 1, 1);
    // 20 units of gas for a byte, 6,000,000 in a block.
    tx.payload.0 = vec![0; 300_000];
    let tx = with_price(tx, &chain, chain.miner_gas_price());
    assert!(matches!(
        chain.submit(signed(tx, &[1])),
        Err(SubmitError::ExceedsBlock { limit: 6_000_000, .. })
    ));
}

#[test]
fn another_network_has_another_first_block() {
    let genesis =
        |network: &str| chain_with(|config| config.network = NetworkId(network.to_owned())).genesis();
    assert_ne!(genesis("ae_dev"), genesis("ae_uat"));
    assert_eq!(genesis("ae_dev"), chain().genesis());
    let richer = chain_with(|config| config.genesis_accounts.extend([(account(5), Coins(1))]));
    assert_ne!(richer.genesis(), chain().genesis());
}

/// The life of the channel in the file, with its amounts: created with 1000 and 500, a deposit of 7, closed and settled.
#[test]
fn a_channel_lives_and_dies_as_on_a_live_node() {
    let shown =
        |name| printed(name).trim_matches(['[', ']']).split(", ").map(|n| n.parse().unwrap()).collect();
    let mut chain = chain();
    let mut opening = create(1);
    (opening.initiator_amount, opening.responder_amount, opening.lock_period) = (Coins(1000), Coins(500), 12);
    let id = opening.channel_id();
    let mine = |chain: &mut Chain, tx: SignedTx| -> Option<ChannelObject> {
        chain.submit(tx).unwrap();
        chain.mine_micro_block(0).unwrap();
        chain.channel(id)
    };
    mine(&mut chain, signed(opening, &[1, 2])).unwrap();
    let open = mine(&mut chain, signed(deposit(id, 1, 7, 2, 2), &[1, 2])).unwrap();
    let amounts = [open.channel_amount, open.initiator_amount, open.responder_amount];
    let expected: Vec<u128> = shown("after deposit");
    assert_eq!([amounts[0].0, amounts[1].0, amounts[2].0, open.round.0.into()], expected[..]);

    let trees = balances(900, 607);
    let mut close = close_solo(id, 1, 3);
    close.payload = agreed(id, 5, trees.state_hash());
    close.poi = proof(&trees);
    // The file's close was mined in generation 112.
    while chain.top_height() < Height(112) {
        chain.mine_key_block(0);
    }
    let closing = mine(&mut chain, signed(close, &[1])).unwrap();
    let found = [
        closing.initiator_amount.0,
        closing.responder_amount.0,
        closing.round.0.into(),
        closing.solo_round.0.into(),
        closing.locked_until.0.into(),
    ];
    let expected: Vec<u128> = shown("after close_solo");
    assert_eq!(found, expected[..]);

    let waiting =
        chain.submit(signed(settle(id, 2, (900, 607), 1), &[2])).expect("accepted before the lock ends");
    while chain.locate_tx(&waiting) == TxLocation::Pool {
        chain.mine_key_block(0);
        chain.mine_micro_block(0);
    }
    assert_eq!(printed("settle mined at locked_until or right after"), "true");
    assert_eq!(chain.top_height(), closing.locked_until);
    assert_eq!(chain.channel(id), None);
    let left = |number| RICH.0 - chain.account(account(number)).unwrap().balance.0;
    assert_eq!(left(1), 3 * FEE.0 + 1007 - 900);
    assert_eq!(left(2), FEE.0 + 500 - 607);
}
