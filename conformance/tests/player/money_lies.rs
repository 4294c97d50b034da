//! Deposits, withdrawals and disputes that are not what they should be.

use serde_json::Value;
use strait_client::Role;
use strait_conformance::{Act, Failure, Session};
use strait_encoding::{Coins, Round, StateHash, TxHash};
use strait_ledger::{Account, Payload, ProofBytes, SignedTx, StateProof, Trees, Tx};

use crate::stub::{Script, Words, recording};
use crate::{LONG, failure_within, fault};

/// How a change of the first transaction that `role` is asked to sign under this label is told.
async fn told(
    name: &str,
    (role, label): (Role, &str),
    change: impl Fn(&mut Tx, &Words) + Send + Sync + 'static,
) -> String {
    let script = Script::named(name);
    let step = script.step(role, label, 0);
    let (found, told) = fault(script.changed(step, move |message, words| {
        let place = &mut message["params"]["data"]["signed_tx"];
        let mut tx = crate::stub::read(place.as_str().unwrap()).tx().clone();
        change(&mut tx, words);
        *place = SignedTx::unsigned(tx).to_text().into();
    }))
    .await;
    assert_eq!(found, step, "{told}");
    told
}

const DEPOSIT: (Role, &str) = (Role::Initiator, "channels.sign.deposit_tx");
const WITHDRAW: (Role, &str) = (Role::Initiator, "channels.sign.withdraw_tx");
const CLOSE: (Role, &str) = (Role::Initiator, "channels.sign.close_solo_sign");
const SETTLE: (Role, &str) = (Role::Responder, "channels.sign.settle_sign");
const SLASH: (Role, &str) = (Role::Initiator, "channels.sign.slash_tx");
const SNAPSHOT: (Role, &str) = (Role::Initiator, "channels.sign.snapshot_solo_tx");

#[tokio::test]
async fn another_deposit_or_withdrawal_than_asked_for() {
    let deposit = told("abort_updates__abort_deposit", DEPOSIT, |tx, _| {
        let Tx::ChannelDeposit(deposit) = tx else { panic!("{tx:?}") };
        deposit.amount = Coins(deposit.amount.0 + 1);
    });
    let deposit = deposit.await;
    assert!(deposit.contains("signed_tx.ChannelDepositTx.amount: expected "), "{deposit}");
    let withdrawal = told("changeable_gas_price__optional_params_withdrawal", WITHDRAW, |tx, words| {
        let Tx::ChannelWithdraw(withdrawal) = tx else { panic!("{tx:?}") };
        withdrawal.to_id = words.live_accounts()[1];
    });
    let withdrawal = withdrawal.await;
    assert!(withdrawal.contains("signed_tx.ChannelWithdrawTx.to_id: expected ak_"), "{withdrawal}");
}

#[tokio::test]
async fn fees_and_nonces_that_a_client_asked_for() {
    let fee = told("changeable_fee__optional_params_deposit", DEPOSIT, |tx, _| {
        *tx = tx.clone().with_fee(Coins(tx.fee().0 + 1));
    });
    let fee = fee.await;
    assert!(fee.contains("ChannelDepositTx.fee: expected "), "{fee}");
    let fee = told("changeable_fee__set_fee_close_solo", CLOSE, |tx, _| {
        *tx = tx.clone().with_fee(Coins(tx.fee().0 + 1));
    });
    let fee = fee.await;
    assert!(fee.contains("ChannelCloseSoloTx.fee: expected 123456789876543, found 123456789876544"), "{fee}");
    let settle = (Role::Initiator, SETTLE.1);
    let nonce = told("changeable_nonce__optional_params_fail_settle", settle, |tx, _| {
        let Tx::ChannelSettle(settle) = tx else { panic!("{tx:?}") };
        settle.nonce = settle.nonce.next();
    });
    let nonce = nonce.await;
    assert!(nonce.contains("ChannelSettleTx.nonce: expected 1234567, found 1234568"), "{nonce}");
}

/// A proof of these balances of the parties, or of those of the first party alone.
fn proof(words: &Words, balances: [u128; 2], shown: usize) -> ProofBytes {
    let parties = words.live_accounts();
    let mut trees = Trees::default();
    for (party, balance) in parties.iter().zip(balances) {
        trees.set_account(*party, &Account::new(Coins(balance)));
    }
    let mut proof = StateProof::new(&trees);
    for party in parties.iter().take(shown) {
        proof.add_account(&trees, *party).unwrap();
    }
    ProofBytes(proof.encode())
}

/// What the parties have in the first state of the recorded channels.
const FIRST: [u128; 2] = [69_999_999_999_999, 40_000_000_000_001];

/// How a close with another proof than that of both balances is told.
async fn proof_told(balances: [u128; 2], shown: usize) -> String {
    let close = told("close_solo", CLOSE, move |tx, words| {
        let Tx::ChannelCloseSolo(close) = tx else { panic!("{tx:?}") };
        assert_eq!(close.poi, proof(words, FIRST, 2));
        close.poi = proof(words, balances, shown);
    });
    close.await
}

#[tokio::test]
async fn a_close_that_proves_something_else() {
    let [initiator, responder] = FIRST;
    let other = proof_told([initiator + 1, responder - 1], 2).await;
    assert!(other.contains("signed_tx.ChannelCloseSoloTx.poi.state_hash: expected st_"), "{other}");
    let less = proof_told(FIRST, 1).await;
    assert!(less.contains("ChannelCloseSoloTx.poi.ak_"), "{less}");
    assert!(
        less.ends_with(
            "expected a balance of 40000000000001 and a nonce of 0, found nothing of this account"
        ),
        "{less}"
    );
}

/// The transaction of the `nth` update that both signed, as the client of `role` was shown it in the recording.
fn agreed(session: &Session, nth: usize) -> Value {
    let states = session.steps.iter().filter_map(|step| match &step.act {
        Act::Receive(message) if step.actor == Role::Initiator => Some(&message["params"]["data"]["state"]),
        _ => None,
    });
    states.filter(|state| state.is_string()).nth(nth).unwrap().clone()
}

/// The script with the payload of the first transaction to sign under a label replaced.
fn with_payload(name: &str, (role, label): (Role, &str), payload: Payload) -> (Script, usize) {
    let mut script = Script::named(name);
    let step = script.step(role, label, 0);
    if let Act::Receive(message) = &mut script.session.steps[step].act {
        let place = &mut message["params"]["data"]["signed_tx"];
        let mut tx = crate::stub::read(place.as_str().unwrap()).tx().clone();
        match &mut tx {
            Tx::ChannelCloseSolo(tx) => tx.payload = payload,
            Tx::ChannelSlash(tx) => tx.payload = payload,
            Tx::ChannelSnapshotSolo(tx) => tx.payload = payload,
            other => panic!("{other:?}"),
        }
        *place = SignedTx::unsigned(tx).to_text().into();
    }
    (script, step)
}

async fn payload_told(name: &str, place: (Role, &str), payload: Payload) -> String {
    let (script, step) = with_payload(name, place, payload);
    let (found, told) = fault(script).await;
    assert_eq!(found, step, "{told}");
    told
}

#[tokio::test]
async fn a_payload_that_is_not_the_latest_state() {
    let session = Script::named("snapshot_solo").session;
    let state = |nth| crate::stub::read(agreed(&session, nth).as_str().unwrap());
    let earlier = payload_told("snapshot_solo", SNAPSHOT, Payload(state(1).encode())).await;
    assert!(
        earlier.ends_with("ChannelSnapshotSoloTx.payload.ChannelOffchainTx.round: expected 3, found 2"),
        "{earlier}"
    );
    let latest = state(2);
    assert_eq!(latest.tx().agreed_state().unwrap().0, Round(3));
    let half = SignedTx::unsigned(latest.tx().clone()).with_signature(latest.signatures()[0]);
    let half = payload_told("snapshot_solo", SNAPSHOT, Payload(half.encode())).await;
    let expected =
        "payload.ChannelOffchainTx.signatures: expected initiator (Hash) and responder (Hash), found ";
    assert!(half.contains(expected) && !half.contains("strangers"), "{half}");
    let none = payload_told("slash", SLASH, Payload(Vec::new())).await;
    assert!(none.contains("ChannelSlashTx.payload: expected channel_offchain_tx, found "), "{none}");
}

#[tokio::test]
async fn a_payload_where_the_chain_knows_the_state() {
    let session = Script::named("close_solo").session;
    let create = crate::stub::read(agreed(&session, 0).as_str().unwrap());
    let told = payload_told("close_solo", CLOSE, Payload(create.encode())).await;
    assert!(told.contains("ChannelCloseSoloTx.payload: expected a transaction ("), "{told}");
}

#[tokio::test]
async fn a_settlement_that_pays_something_else() {
    let told = told("close_solo", SETTLE, |tx, _| {
        let Tx::ChannelSettle(settle) = tx else { panic!("{tx:?}") };
        settle.responder_amount_final = Coins(settle.responder_amount_final.0 - 1);
    });
    let told = told.await;
    let expected = "ChannelSettleTx.responder_amount_final: expected 40000000000001, found 40000000000000";
    assert!(told.ends_with(expected), "{told}");
}

#[tokio::test]
async fn confirmations_of_another_transaction() {
    let script = Script::named("snapshot_solo");
    let step = script.step(Role::Responder, "channels.info min_depth_achieved", 0);
    let other = TxHash([7; 32]).to_string();
    let expected = format!("found \"{other}\"");
    let change =
        move |message: &mut Value, _: &Words| message["params"]["data"]["tx_hash"] = other.clone().into();
    let (found, told) = fault(script.changed(step, change)).await;
    assert_eq!(found, step, "{told}");
    assert!(told.contains("params.data.tx_hash: expected th_") && told.ends_with(&expected), "{told}");
}

#[tokio::test]
async fn a_channel_whose_first_state_is_not_what_was_put_in() {
    // A recording without a proof of the first state, so that only the hash in the create transaction can be wrong.
    let mut form: Value = serde_json::from_slice(&std::fs::read(recording("slash")).unwrap()).unwrap();
    let is_proof = |method: &str| method.starts_with("channels.get.poi");
    let steps = form["steps"].as_array_mut().unwrap();
    steps.retain(|step| !step["msg"]["method"].as_str().is_some_and(is_proof));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("slash.json");
    std::fs::write(&file, form.to_string()).unwrap();
    let session = Session::read(&file).unwrap();
    assert!(failure_within(LONG, file.clone(), Script::of(session.clone())).await.is_none());

    let script = Script::of(session).adjusted(|tx| {
        if let Tx::ChannelCreate(create) = tx {
            create.state_hash = StateHash([7; 32]);
        }
    });
    let can_slash = script.step(Role::Initiator, "channels.on_chain_tx can_slash", 0);
    let Some(Failure::Step { step, fault, .. }) = failure_within(LONG, file, script).await else { panic!() };
    assert_eq!(step, can_slash);
    assert!(fault.to_string().starts_with("the create transaction commits to st_"), "{fault}");
}
