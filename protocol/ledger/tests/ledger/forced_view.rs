//! The trees of a channel after a forced call in a block (`docs/protocol/channel_txs` §4.9): the call reads what an account
//! owns on chain, so that the state in which it is run decides what it leads to.

use strait_encoding::hash::contract_id;
use strait_encoding::{ChannelId, Coins, ContractId, Height, Nonce, Round};
use strait_fate::Value;
use strait_ledger::rules::auth_call_of;
use strait_ledger::{
    ABI_FATE, Abandoned, Branch, BranchOrder, CallResult, Chain, ChainView, CreateTx, CtVersion,
    ForceProgressTx, ForkPlan, OffchainEnv, PayingForTx, Payload, Pinned, Protocol, SignedTx, Trees,
    TreesBytes, Tx, Update, apply_updates_at,
};

use crate::bytecode::{self, agreeable, attaching, balance_of};
use crate::machine::{Do, attach, by, co_signed};
use crate::support::{account, balances, chain, create, signed, spend};

const ASK: [u8; 4] = [5, 6, 7, 8];
const AUTH: [u8; 4] = [1, 2, 3, 4];
const GAS_PRICE: u128 = 1_000_000_000;
/// It pays for the trees that the transaction carries.
const FEE: Coins = Coins(2_000_000_000_000_000);

fn contract() -> ContractId {
    contract_id(account(1), 1)
}

/// What updates lead to where these accounts own so much on chain.
fn applied(chain: &Chain, trees: &Trees, round: u64, update: &Update, owned: &[(u8, u128)]) -> Trees {
    let env = OffchainEnv { reserve: Coins(10), round: Round(round), protocol: Protocol::Ceres };
    let pinned = chain.pinned(None).unwrap();
    let mut on_chain = pinned.trees.clone();
    for (number, coins) in owned {
        let known = on_chain.account(account(*number)).unwrap_or(strait_ledger::Account::new(Coins(0)));
        on_chain.set_account(account(*number), &strait_ledger::Account { balance: Coins(*coins), ..known });
    }
    let pinned = Pinned { trees: &on_chain, ..pinned };
    apply_updates_at(trees, std::slice::from_ref(update), &env, &pinned).unwrap()
}

/// The state of round 1: both have what they put in, and account 1 has made a contract that tells what others own.
fn first(chain: &Chain) -> Trees {
    let made = Update::NewContract {
        owner: account(1),
        ct_version: CtVersion { vm: 8, abi: ABI_FATE }.pack(),
        code: bytecode::container(&balance_of(ASK)),
        deposit: Coins(0),
        call_data: bytecode::init().0,
    };
    applied(chain, &balances(100, 50), 1, &made, &[])
}

fn opened(chain: &Chain, nonce: u64) -> CreateTx {
    CreateTx { state_hash: first(chain).state_hash(), ..create(nonce) }
}

/// A call that asks what an account owns.
fn question(about: u8) -> Update {
    Update::CallContract {
        caller: account(1),
        contract: contract(),
        abi_version: ABI_FATE,
        amount: Coins(0),
        gas: 50_000,
        gas_price: GAS_PRICE,
        call_data: bytecode::call(ASK, &[&bytecode::address(account(about))]).0,
        call_stack: Vec::new(),
    }
}

/// Forces the question as round 2: it counts on that account owning so much.
fn forced(chain: &Chain, channel_id: ChannelId, about: u8, owns: u128, nonce: u64) -> ForceProgressTx {
    let (before, update) = (first(chain), question(about));
    let next = applied(chain, &before, 2, &update, &[(about, owns)]);
    assert_eq!(answer(&next), Some(owns));
    ForceProgressTx {
        channel_id,
        from_id: account(1),
        payload: Payload::default(),
        round: Round(2),
        update,
        state_hash: next.state_hash(),
        offchain_trees: TreesBytes(before.encode()),
        ttl: Height(0),
        fee: FEE,
        nonce: Nonce(nonce),
    }
}

/// What the contract has answered in round 2.
fn answer(trees: &Trees) -> Option<u128> {
    let call = trees.call_in_round(contract(), account(1), Round(2))?;
    let CallResult::Ok(value) = call.result else { return None };
    let Value::Integer(number) = Value::decode(&value).unwrap() else { panic!("{value:?}") };
    Some(number.to_string().parse().unwrap())
}

/// A chain with the channel at height 2.
fn with_channel() -> (Chain, ChannelId) {
    let mut chain = chain();
    let create = opened(&chain, 1);
    let id = create.channel_id();
    mine(&mut chain, [signed(create, &[1, 2])]);
    chain.mine_key_block(0);
    (chain, id)
}

/// One micro block of all of these.
fn mine<const N: usize>(chain: &mut Chain, txs: [SignedTx; N]) {
    for tx in &txs {
        chain.submit(tx.clone()).unwrap();
    }
    assert_eq!(chain.mine_micro_block(0).unwrap().txs, txs);
}

/// What the forced call answered, as the chain finds out; it must be the state that the channel has on chain.
fn found(chain: &Chain, tx: &SignedTx) -> Option<u128> {
    let trees = chain.forced(&tx.hash())?;
    let channel = chain.channel(tx.channel_id().unwrap()).unwrap();
    assert_eq!((channel.state_hash, channel.round), (trees.state_hash(), Round(2)));
    Some(answer(&trees).unwrap())
}

#[test]
fn the_call_sees_what_the_transactions_before_it_in_its_block_did() {
    let (mut chain, id) = with_channel();
    // The nonces keep the order.
    let forced = signed(forced(&chain, id, 9, 5, 3), &[1]);
    mine(&mut chain, [signed(spend(1, 9, 5, 2), &[1]), forced.clone(), signed(spend(1, 9, 100, 4), &[1])]);
    assert_eq!(chain.account(account(9)).unwrap().balance, Coins(105));
    assert_eq!(found(&chain, &forced), Some(5));
    // Also when the state after that block is not the last one any more, and on a chain that was stored.
    mine(&mut chain, [signed(spend(1, 9, 1, 5), &[1])]);
    chain.mine_key_block(0);
    assert_eq!(found(&chain, &forced), Some(5));
    let restored = Chain::restore(chain.config().clone(), &chain.snapshot()).unwrap();
    assert_eq!(found(&restored, &forced), Some(5));
}

#[test]
fn there_is_nothing_where_the_call_had_no_effect_or_was_not_made() {
    let (mut chain, id) = with_channel();
    let before = chain.channel(id).unwrap();
    // As it would have been without the transaction before.
    let stale = signed(forced(&chain, id, 9, 0, 3), &[1]);
    let spend = signed(spend(1, 9, 5, 2), &[1]);
    chain.submit(stale.clone()).unwrap();
    assert_eq!(chain.forced(&stale.hash()), None, "it waits");
    chain.submit(spend.clone()).unwrap();
    assert_eq!(chain.mine_micro_block(0).unwrap().txs, [spend.clone(), stale.clone()]);
    assert_eq!(chain.forced(&stale.hash()), None);
    assert_eq!(chain.channel(id).unwrap(), before);
    assert_eq!(chain.forced(&spend.hash()), None, "it forces nothing");
}

#[test]
fn in_a_meta_transaction_the_call_sees_what_that_has_cost() {
    let mut chain = chain();
    mine(&mut chain, [signed(attaching(attach(1, Do::Yes), &agreeable(AUTH)), &[1])]);
    let auth = |number: u8| bytecode::call(AUTH, &[&[number << 1], &[0]]);
    let create = by(1, auth(1), SignedTx::unsigned(opened(&chain, 0)));
    let create = co_signed(create, &[2]);
    let id = create.channel_id().unwrap();
    mine(&mut chain, [create.clone()]);
    let Tx::GaMeta(meta) = create.tx() else { panic!("{create:?}") };
    let gas = auth_call_of(meta, chain.top_state()).unwrap().gas_used;
    assert!(gas > 0);

    // Account 3 pays for all of it; before the call runs, for itself and the authentication.
    let paying_fee = Coins(400_000_000_000_000);
    let owned = chain.account(account(3)).unwrap().balance.0;
    let left = owned - paying_fee.0 - meta.fee.0 - u128::from(gas) * meta.gas_price.0;
    let pays = |chain: &Chain, owns: u128| {
        let inside = by(1, auth(2), SignedTx::unsigned(forced(chain, id, 3, owns, 0)));
        signed(PayingForTx { payer_id: account(3), nonce: Nonce(1), fee: paying_fee, tx: inside }, &[3])
    };
    for (owns, wanted) in [(left, Some(left)), (owned, None)] {
        let mut chain = chain.clone();
        let tx = pays(&chain, owns);
        mine(&mut chain, [tx.clone()]);
        assert!(chain.account(account(3)).unwrap().balance.0 < left, "the call is paid for, too");
        assert_eq!(found(&chain, &tx), wanted);
        assert_eq!(chain.channel(id).unwrap().round, Round(if wanted.is_some() { 2 } else { 1 }));
    }
}

#[test]
fn what_fails_behind_its_authentication_has_forced_nothing() {
    let mut chain = chain();
    mine(&mut chain, [signed(attaching(attach(1, Do::Yes), &agreeable(AUTH)), &[1])]);
    let auth = |number: u8| bytecode::call(AUTH, &[&[number << 1], &[0]]);
    let create = co_signed(by(1, auth(1), SignedTx::unsigned(opened(&chain, 0))), &[2]);
    let id = create.channel_id().unwrap();
    mine(&mut chain, [create]);
    let forced = forced(&chain, id, 9, 0, 0);
    let good = by(1, auth(2), SignedTx::unsigned(forced.clone()));
    // A state that the chain does not know.
    let other = ForceProgressTx { offchain_trees: TreesBytes(balances(100, 50).encode()), ..forced };
    let bad = by(1, auth(3), SignedTx::unsigned(other));
    mine(&mut chain, [bad.clone()]);
    assert_eq!((found(&chain, &bad), chain.channel(id).unwrap().round), (None, Round(1)));
    mine(&mut chain, [good.clone()]);
    assert_eq!((found(&chain, &bad), found(&chain, &good)), (None, Some(0)));
}

#[test]
fn on_another_branch_the_call_may_lead_elsewhere() {
    let (mut chain, id) = with_channel();
    let (ancestor, height) = (chain.top().hash(), chain.top_height());
    let forced = signed(forced(&chain, id, 9, 5, 2), &[1]);
    let spend = signed(spend(3, 9, 5, 1), &[3]);
    mine(&mut chain, [forced.clone()]);
    mine(&mut chain, [spend.clone()]);
    assert_eq!(found(&chain, &forced), None, "it came too early");

    // The branch holds them the other way round, in one block.
    let mut plan = ForkPlan::new(0);
    plan.order = BranchOrder::Reversed;
    let side = chain.clone().fork(&plan, 0).unwrap();
    assert_eq!(side.blocks[0].txs, [spend.clone(), forced.clone()]);
    let mut there = chain.clone();
    there.switch(&side).unwrap();
    assert_eq!(found(&there, &forced), Some(5));
    assert_eq!(found(&chain, &forced), None);
    // A block that is left behind forces nothing any more.
    let mut without = there.clone();
    let mut plan = ForkPlan::new(1);
    plan.chosen.insert(forced.hash(), Abandoned::Lost);
    without.fork(&plan, 0).unwrap();
    assert_eq!((without.forced(&forced.hash()), without.channel(id).unwrap().round), (None, Round(1)));

    // And back, when the first branch has become the longer one.
    chain.mine_key_block(0);
    chain.mine_key_block(0);
    let heights = height.0..=chain.top_height().0;
    let blocks = heights.flat_map(|height| chain.generation(Height(height)).cloned().collect::<Vec<_>>());
    let blocks = blocks.skip_while(|block| block.header.prev_hash != ancestor).collect();
    there.switch(&Branch { blocks, lost: Vec::new() }).unwrap();
    assert_eq!(there.top(), chain.top());
    assert_eq!(found(&there, &forced), None);
}
