//! Transactions whose fee another account pays.

use strait_encoding::{Coins, Nonce, SignedForm};
use strait_ledger::{PayingForTx, SignedTx, Tx};

use crate::machine::{Do, GAS_PRICE, GAS_USED, World, auth, by};
use crate::support::{
    FEE, RICH, account, close_mutual, close_solo, create, deposit, key, network, settle, signed, spend,
};

const PAYER: u8 = 5;
/// Of the transaction that pays, alone.
const OWN_FEE: Coins = Coins(20_000_000_000_000);

/// `tx` signed to be paid for.
fn paid_signed(tx: impl Into<Tx>, signers: &[u8], form: SignedForm) -> SignedTx {
    let tx = SignedTx::unsigned(tx);
    let bytes = tx.unsigned_bytes().to_vec();
    signers.iter().fold(tx, |tx, number| tx.with_signature(key(*number).sign(&network(), &bytes, form)))
}

/// Pays for `tx`.
fn pay_for(tx: SignedTx, nonce: u64) -> SignedTx {
    signed(PayingForTx { payer_id: account(PAYER), nonce: Nonce(nonce), fee: OWN_FEE, tx }, &[PAYER])
}

fn balance(world: &World, number: u8) -> u128 {
    world.state.trees.account(account(number)).map_or(0, |account| account.balance.0)
}

#[test]
fn the_life_of_a_channel_is_paid_by_another() {
    let id = create(1).channel_id();
    let mut world = World::new();
    let mut rounds = 0;
    let mut take = |world: &mut World, tx: Tx, signers: &[u8], fee: Coins| {
        rounds += 1;
        let before = balance(world, PAYER);
        let form = if rounds % 2 == 0 { SignedForm::InnerPlain } else { SignedForm::InnerHash };
        world.take(&pay_for(paid_signed(tx, signers, form), rounds)).unwrap();
        assert_eq!(before - balance(world, PAYER), OWN_FEE.0 + fee.0);
    };
    take(&mut world, create(1).into(), &[1, 2], FEE);
    assert_eq!(balance(&world, 1), RICH.0 - 100, "what enters the channel is its own");
    take(&mut world, deposit(id, 1, 30, 2, 2).into(), &[1, 2], FEE);
    assert_eq!(balance(&world, 1), RICH.0 - 130);
    let mut mutual = world.clone();
    take(&mut mutual, close_mutual(id, 1, (120, 60), 3).into(), &[1, 2], FEE);
    // All of the 180 are paid out: the fee does not come out of the channel.
    assert_eq!([balance(&mutual, 1), balance(&mutual, 2)], [RICH.0 - 10, RICH.0 + 10]);
    let mut channel = world.state.trees.channel(id).unwrap();
    channel.state_hash = create(1).state_hash;
    world.state.trees.set_channel(id, &channel);
    rounds = 2;
    let mut take = |world: &mut World, tx: Tx, fee: Coins| {
        rounds += 1;
        let before = (balance(world, PAYER), balance(world, 1));
        world.take(&pay_for(paid_signed(tx, &[1], SignedForm::InnerHash), rounds)).unwrap();
        assert_eq!(before.0 - balance(world, PAYER), OWN_FEE.0 + fee.0);
        balance(world, 1) - before.1
    };
    assert_eq!(take(&mut world, close_solo(id, 1, 3).into(), FEE), 0);
    world.height += 5;
    assert_eq!(take(&mut world, settle(id, 1, (100, 50), 4).into(), FEE), 100);
    assert_eq!(world.account(1).nonce, Nonce(4));
}

#[test]
fn what_is_paid_for_is_signed_to_be_paid_for() {
    let mut world = World::new();
    for form in [SignedForm::Plain, SignedForm::Hash] {
        let tx = pay_for(paid_signed(spend(1, 9, 5, 1), &[1], form), 1);
        assert_eq!(world.shows(&tx), "signature_check_failed");
    }
    let inner = paid_signed(spend(1, 9, 5, 1), &[1], SignedForm::InnerHash);
    assert_eq!(world.shows(&inner), "signature_check_failed", "by itself it is not signed");
    let mut unpaid = pay_for(inner.clone(), 1);
    unpaid = signed(unpaid.tx().clone(), &[1]);
    assert_eq!(world.shows(&unpaid), "signature_check_failed");
    assert_eq!(world.shows(&pay_for(inner, 1)), "ok");
    assert_eq!(balance(&world, 1), RICH.0 - 5);
}

#[test]
fn what_fails_inside_fails_as_a_whole() {
    let mut world = World::new();
    let inner = |amount, nonce| paid_signed(spend(1, 9, amount, nonce), &[1], SignedForm::InnerHash);
    assert_eq!(world.shows(&pay_for(inner(5, 2), 1)), "tx_nonce_too_high_for_account");
    assert_eq!(world.shows(&pay_for(inner(RICH.0 + 1, 1), 1)), "insufficient_funds");
    assert_eq!(world.shows(&pay_for(inner(5, 1), 2)), "tx_nonce_too_high_for_account");
    let mut poor = world.clone();
    let payer = strait_ledger::Account::new(Coins(OWN_FEE.0 + FEE.0 - 1));
    poor.state.trees.set_account(account(PAYER), &payer);
    assert_eq!(poor.shows(&pay_for(inner(5, 1), 1)), "insufficient_funds");
    let payer = strait_ledger::Account::new(Coins(OWN_FEE.0 + FEE.0));
    poor.state.trees.set_account(account(PAYER), &payer);
    assert_eq!(poor.shows(&pay_for(inner(5, 1), 1)), "ok");
    assert_eq!(balance(&poor, PAYER), 0);
}

#[test]
fn somebody_who_owns_nothing_can_be_paid_for() {
    let mut world = World::new();
    let tx = pay_for(paid_signed(spend(8, 9, 0, 1), &[8], SignedForm::InnerHash), 1);
    world.take(&tx).unwrap();
    assert_eq!(world.account(8).nonce, Nonce(1));
}

#[test]
fn an_authentication_is_paid_for_with_what_it_carries() {
    let mut world = World::generalized(&[1]);
    let before = [balance(&world, 1), balance(&world, PAYER)];
    let meta = by(1, auth(Do::Yes, &[]), SignedTx::unsigned(spend(1, 9, 5, 0)));
    let fee = meta.tx().fee().0;
    world.take(&pay_for(meta, 1)).unwrap();
    assert_eq!(before[0] - balance(&world, 1), 5);
    let gas = u128::from(GAS_USED) * GAS_PRICE.0;
    assert_eq!(before[1] - balance(&world, PAYER), OWN_FEE.0 + fee + gas + FEE.0);
}

#[test]
fn not_everything_can_be_paid_for() {
    let inner = paid_signed(spend(1, 9, 5, 1), &[1], SignedForm::InnerHash);
    let twice = pay_for(pay_for(inner.clone(), 1), 2);
    assert!(SignedTx::decode(&twice.encode()).is_err());
    let in_meta = pay_for(by(1, auth(Do::Yes, &[]), pay_for(inner, 1)), 2);
    assert!(SignedTx::decode(&in_meta.encode()).is_err());
    let state = strait_ledger::OffchainTx {
        channel_id: create(1).channel_id(),
        round: strait_encoding::Round(2),
        state_hash: strait_encoding::StateHash([7; 32]),
    };
    assert!(SignedTx::decode(&pay_for(SignedTx::unsigned(state), 1).encode()).is_err());
}
