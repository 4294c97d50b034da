//! Updates of an off-chain state (`docs/protocol/state_trees` §5).

use proptest::prelude::*;
use strait_encoding::{AccountId, Coins, Round};
use strait_ledger::{OffchainEnv, Protocol, Trees, Update, UpdateError, apply_updates, initial_trees};

const A: AccountId = AccountId([1; 32]);
const B: AccountId = AccountId([2; 32]);
const NOBODY: AccountId = AccountId([3; 32]);
const ENV: OffchainEnv = OffchainEnv { reserve: Coins(10), round: Round(2), protocol: Protocol::Ceres };

fn trees() -> Trees {
    initial_trees(A, B, Coins(100), Coins(50))
}

fn transfer(from: AccountId, to: AccountId, amount: u128) -> Update {
    Update::Transfer { from, to, amount: Coins(amount) }
}

fn balance(trees: &Trees, id: AccountId) -> u128 {
    trees.account(id).unwrap().balance.0
}

#[test]
fn updates_lead_to_the_state_with_those_balances() {
    let updates = [
        transfer(A, B, 30),
        Update::Deposit { from: A, amount: Coins(7) },
        Update::Withdraw { to: B, amount: Coins(5) },
        Update::Meta { data: b"hello".to_vec() },
    ];
    let next = apply_updates(&trees(), &updates, &ENV).unwrap();
    assert_eq!(next.state_hash(), initial_trees(A, B, Coins(77), Coins(75)).state_hash());
    assert_eq!((balance(&trees(), A), balance(&trees(), B)), (100, 50), "the last state stays as it is");
}

#[test]
fn the_reserve_can_be_reached_but_not_touched() {
    let next = apply_updates(&trees(), &[transfer(A, B, 90)], &ENV).unwrap();
    assert_eq!(balance(&next, A), 10);
    let (amount, reserve) = (Coins(91), Coins(10));
    let refused = UpdateError::InsufficientBalance { account: A, balance: Coins(100), amount, reserve };
    assert_eq!(apply_updates(&trees(), &[transfer(A, B, 91)], &ENV).err(), Some(refused));
    let withdraw = Update::Withdraw { to: B, amount: Coins(41) };
    assert!(matches!(
        apply_updates(&trees(), &[withdraw], &ENV),
        Err(UpdateError::InsufficientBalance { .. })
    ));
    let all = Update::Withdraw { to: A, amount: Coins(u128::MAX) };
    assert!(matches!(apply_updates(&trees(), &[all], &ENV), Err(UpdateError::InsufficientBalance { .. })));
}

#[test]
fn strangers_neither_pay_nor_receive() {
    for update in [
        transfer(A, NOBODY, 1),
        transfer(NOBODY, A, 1),
        Update::Deposit { from: NOBODY, amount: Coins(1) },
        Update::Withdraw { to: NOBODY, amount: Coins(0) },
    ] {
        let refused = Some(UpdateError::UnknownAccount(NOBODY));
        assert_eq!(apply_updates(&trees(), std::slice::from_ref(&update), &ENV).err(), refused, "{update:?}");
    }
}

#[test]
fn nobody_owns_more_than_any_amount() {
    let amount = Coins(u128::MAX);
    let refused = apply_updates(&trees(), &[Update::Deposit { from: A, amount }], &ENV).err();
    assert_eq!(refused, Some(UpdateError::TooLarge { account: A, amount }));
}

#[test]
fn a_round_forgets_the_calls_of_the_last_one() {
    let mut before = trees();
    before.calls.insert(&[8; 64], b"a call");
    for updates in [vec![], vec![Update::Meta { data: Vec::new() }], vec![transfer(A, A, 1)]] {
        let next = apply_updates(&before, &updates, &ENV).unwrap();
        assert_eq!(next.state_hash(), trees().state_hash());
    }
    assert_ne!(before.state_hash(), trees().state_hash());
}

#[test]
fn contracts_are_refused_by_name() {
    let contract = Update::NewContract {
        owner: A,
        ct_version: 0x50003,
        code: Vec::new(),
        deposit: Coins(0),
        call_data: Vec::new(),
    };
    assert_eq!(apply_updates(&trees(), &[contract], &ENV).err(), Some(UpdateError::ContractsUnsupported));
}

proptest! {
    #[test]
    fn transfers_keep_the_sum_and_the_reserve(amounts in prop::collection::vec((any::<bool>(), 0..120u128), 0..12)) {
        let mut state = trees();
        for (forth, amount) in amounts {
            let (from, to) = if forth { (A, B) } else { (B, A) };
            if let Ok(next) = apply_updates(&state, &[transfer(from, to, amount)], &ENV) {
                prop_assert_eq!(balance(&next, to), balance(&state, to) + amount);
                state = next;
            } else {
                prop_assert!(balance(&state, from) < amount + 10);
            }
            prop_assert_eq!(balance(&state, A) + balance(&state, B), 150);
            prop_assert!(balance(&state, A) >= 10 && balance(&state, B) >= 10);
        }
    }
}
