//! Transactions that are only tried (`docs/protocol/chain_service` §4.1).

use std::sync::Mutex;
use std::time::Duration;

use strait_encoding::hash::contract_id;
use strait_encoding::{AccountId, BlockHash, Coins, Nonce};
use strait_ledger::rules::{self, RuleError};
use strait_ledger::{
    CallObject, CallResult, Chain, ContractCallTx, ContractCreateTx, DryRun, DryRunError, SignedTx, SpendTx,
    Tx,
};

use crate::bytecode::{self, agreeable, attaching};
use crate::machine::{Do, attach, by, contract_of};
use crate::onchain_contracts::{call, contract, create, nobody};
use crate::support::{RICH, account, chain, signed, spend};

const AUTH: [u8; 4] = [1, 2, 3, 4];

fn patient() -> Duration {
    Duration::from_secs(3_600)
}

fn attempt(dry_run: &mut DryRun<'_>, tx: impl Into<Tx>) -> Result<Option<CallObject>, DryRunError> {
    dry_run.attempt(&tx.into(), &patient)
}

fn rule(result: Result<Option<CallObject>, DryRunError>) -> &'static str {
    match result {
        Err(DryRunError::Rule(error)) => error.atom(),
        other => panic!("{other:?}"),
    }
}

/// A chain on which account 3 is generalized, by a contract that says yes.
fn with_generalized() -> Chain {
    let mut chain = chain();
    chain.submit(signed(attaching(attach(3, Do::Yes), &agreeable(AUTH)), &[3])).unwrap();
    chain.mine_micro_block(2_000).unwrap();
    chain
}

/// A meta transaction of account 3.
fn meta(number: u8, inside: SignedTx) -> Tx {
    let numbers = [&[number << 1][..], &[0]];
    by(3, bytecode::call(AUTH, &numbers), inside).tx().clone()
}

#[test]
fn it_is_what_comes_of_the_transactions_in_a_block_and_nothing_stays() {
    let mut chain = chain();
    let before = chain.top_state().clone();
    let mut dry_run = chain.dry_run(None).unwrap();
    let tried = attempt(&mut dry_run, create()).unwrap();
    assert_eq!(rule(attempt(&mut dry_run, create())), "tx_nonce_already_used_for_account");
    attempt(&mut dry_run, spend(1, 9, 5, 2)).unwrap();
    assert_eq!(chain.top_state(), &before);

    let tx = signed(create(), &[1]);
    chain.submit(tx.clone()).unwrap();
    let block = chain.mine_micro_block(2_000).unwrap();
    let made = rules::call_of(&tx, chain.state_at(&block.hash()).unwrap());
    assert!(made.is_some());
    assert_eq!(tried, made);
    // The state after the block before knows nothing of it.
    let mut earlier = chain.dry_run(Some(&block.header.prev_hash)).unwrap();
    assert_eq!(rule(attempt(&mut earlier, call(2, 1, nobody()))), "contract_does_not_exist");
    assert!(chain.dry_run(Some(&BlockHash::new([1; 32]))).is_none());
}

#[test]
fn a_call_that_fails_says_why() {
    let mut chain = chain();
    chain.submit(signed(create(), &[1])).unwrap();
    chain.mine_micro_block(2_000).unwrap();
    let tx = ContractCallTx { gas: 20, ..call(2, 1, nobody()) };
    let mut dry_run = chain.dry_run(None).unwrap();
    let tried = attempt(&mut dry_run, tx.clone()).unwrap().unwrap();
    let CallResult::Error(text) = &tried.result else { panic!("{tried:?}") };
    assert!(!text.is_empty());
    let failing = ContractCreateTx { gas: 20, nonce: Nonce(2), ..create() };
    let init = attempt(&mut dry_run, failing).unwrap().unwrap();
    assert_eq!(init.result, CallResult::Error(b"Out of gas".to_vec()));
    let tx = signed(tx, &[2]);
    chain.submit(tx.clone()).unwrap();
    chain.mine_micro_block(3_000).unwrap();
    let mined = rules::call_of(&tx, chain.top_state()).unwrap();
    assert_eq!(mined, CallObject { result: CallResult::Error(Vec::new()), ..tried });
}

#[test]
fn what_is_tried_on_a_clone_leaves_no_trace() {
    let chain = chain();
    let dry_run = chain.dry_run(None).unwrap();
    let mut aside = dry_run.clone();
    attempt(&mut aside, spend(1, 9, 5, 1)).unwrap();
    assert_eq!(rule(attempt(&mut aside, spend(1, 9, 5, 1))), "tx_nonce_already_used_for_account");
    attempt(&mut dry_run.clone(), spend(1, 9, 5, 1)).unwrap();
}

#[test]
fn accounts_can_be_given_what_they_have_not() {
    let chain = chain();
    let mut dry_run = chain.dry_run(None).unwrap();
    let poor = SpendTx { sender_id: account(9), ..spend(9, 2, 5, 1) };
    assert_eq!(rule(attempt(&mut dry_run, poor.clone())), "account_not_found");
    dry_run.give(account(9), RICH).unwrap();
    attempt(&mut dry_run, poor).unwrap();
    assert!(chain.top_state().account(account(9)).is_none());
    let most = Coins(u128::MAX);
    assert_eq!(dry_run.give(account(9), most), Err(RuleError::Overflow { account: account(9) }));
}

#[test]
fn a_generalized_account_needs_not_authenticate() {
    let chain = with_generalized();
    let mut dry_run = chain.dry_run(None).unwrap();
    let by_three = ContractCreateTx { owner_id: account(3), nonce: Nonce(0), ..create() };
    let call_object = attempt(&mut dry_run, by_three.clone()).unwrap().unwrap();
    // The reference takes the nonce as it is: without a meta transaction there is nothing else.
    let made = contract_id(account(3), 0);
    assert_eq!((call_object.contract, call_object.nonce), (made, Nonce(0)));
    assert_eq!(call_object.caller, account(3).into());
    let called =
        ContractCallTx { caller_id: account(3), nonce: Nonce(0), contract_id: made, ..call(3, 0, nobody()) };
    assert_eq!(attempt(&mut dry_run, called).unwrap().unwrap().contract, made);
    attempt(&mut dry_run, spend(3, 9, 5, 0)).unwrap();
    // It uses no nonce, so that this works again; any other is refused.
    attempt(&mut dry_run, spend(3, 9, 5, 0)).unwrap();
    assert_eq!(rule(attempt(&mut dry_run, spend(3, 9, 5, 2))), "nonce_in_ga_tx_should_be_zero");
    assert_eq!(rule(attempt(&mut dry_run, spend(2, 9, 5, 0))), "tx_nonce_already_used_for_account");
    let again = attaching(attach(3, Do::Yes), &agreeable(AUTH));
    let again = strait_ledger::GaAttachTx { nonce: Nonce(0), ..again };
    assert_eq!(rule(attempt(&mut dry_run, again)), "not_a_basic_account");

    // Where it does authenticate, it is as on chain.
    let tx = meta(1, SignedTx::unsigned(by_three));
    let authenticated = attempt(&mut dry_run, tx).unwrap().unwrap();
    assert_ne!(authenticated.contract, made);
    // In a block it has to.
    let (mut own, network) = (chain.clone(), crate::support::network());
    let tx = SignedTx::unsigned(spend(3, 9, 5, 0));
    assert!(own.submit(tx.clone()).is_err());
    let world = crate::machine::World::with_fate();
    let mut state = rules::ChainState { trees: chain.top_state().clone(), ..Default::default() };
    let refused = rules::apply_authenticated(&mut state, &tx, &world.env(&network));
    assert_eq!(refused.unwrap_err().atom(), "not_a_basic_account");
}

#[test]
fn who_has_no_time_is_told_so() {
    let chain = with_generalized();
    let mut dry_run = chain.dry_run(None).unwrap();
    let up = Err(DryRunError::TimeUp);
    assert_eq!(dry_run.attempt(&spend(1, 9, 5, 1).into(), &|| Duration::ZERO), up);
    // It begins in time, and a call of so many nanoseconds is none.
    let late = |after: usize| {
        let times = Mutex::new(vec![patient(); after]);
        move || times.lock().unwrap().pop().unwrap_or(Duration::from_nanos(1))
    };
    let hasty = [create().into(), attaching(attach(4, Do::Yes), &agreeable(AUTH)).into()];
    for tx in &hasty {
        assert_eq!(dry_run.attempt(tx, &late(1)), up, "{tx:?}");
    }
    let to_the_owner = ContractCallTx {
        caller_id: account(3),
        nonce: Nonce(0),
        contract_id: contract_of(3),
        call_data: bytecode::call(AUTH, &[&[2], &[0]]),
        ..call(3, 0, Vec::new())
    };
    let inside = meta(1, SignedTx::unsigned(to_the_owner));
    // The authentication comes too late; then only what stands inside, which would not have made the rest fail.
    assert_eq!(dry_run.attempt(&inside, &late(1)), up);
    assert_eq!(dry_run.attempt(&inside, &late(2)), up);
    let called = dry_run.attempt(&inside, &patient).unwrap().unwrap();
    assert_eq!(called.result, CallResult::Ok(vec![0xff]));
    for tx in &hasty {
        assert!(dry_run.attempt(tx, &patient).is_ok(), "{tx:?}");
    }
    assert_eq!(contract(), contract_id(account(1), 1));
    assert_eq!(chain.top_state().account(AccountId(contract().0)), None);
}
