//! Transactions, trees and proofs that are not what they should be: a test for every rule.

use serde_json::Value;
use strait_client::Role;
use strait_conformance::Act;
use strait_encoding::text::{self, Prefix};
use strait_encoding::{ChannelId, Coins, NetworkId, Round, SecretKey, SignedForm, StateHash};
use strait_ledger::{Account, OffchainTx, SignedTx, StateProof, Trees, Tx};

use crate::fault;
use crate::stub::{NETWORK, Script};

const NAME: &str = "basic_open_close";
const STATE: [&str; 4] = ["params", "data", "state", ""];
const TO_SIGN: [&str; 4] = ["params", "data", "signed_tx", ""];

/// How a change of one transaction is told.
async fn told(
    (role, label, nth): (Role, &str, usize),
    path: [&'static str; 4],
    change: impl Fn(SignedTx) -> SignedTx + Send + Sync + 'static,
) -> String {
    let script = Script::named(NAME);
    let step = script.step(role, label, nth);
    let (found, told) = fault(script.changed(step, move |message, _| {
        let place = at(message, path);
        let tx = crate::stub::read(place.as_str().unwrap());
        *place = change(tx).to_text().into();
    }))
    .await;
    assert_eq!(found, step, "{told}");
    told
}

fn at<'a>(message: &'a mut Value, path: [&str; 4]) -> &'a mut Value {
    path.iter().filter(|name| !name.is_empty()).fold(message, |value, name| &mut value[*name])
}

/// The same transaction with something else in it, and the signatures that it had.
fn with(tx: &SignedTx, change: impl Fn(&mut OffchainTx)) -> SignedTx {
    let Tx::ChannelOffchain(mut inner) = tx.tx().clone() else { panic!("{tx:?}") };
    change(&mut inner);
    tx.signatures().iter().fold(SignedTx::unsigned(inner), |tx, signature| tx.with_signature(*signature))
}

#[tokio::test]
async fn a_proposal_of_another_round() {
    let change = |tx: SignedTx| with(&tx, |tx| tx.round = Round(tx.round.0 + 1));
    let told = told((Role::Initiator, "channels.sign.update", 0), TO_SIGN, change).await;
    assert!(told.ends_with("params.data.signed_tx.ChannelOffchainTx.round: expected 2, found 3"), "{told}");
}

#[tokio::test]
async fn a_proposal_for_another_channel() {
    let change = |tx: SignedTx| with(&tx, |tx| tx.channel_id = ChannelId([7; 32]));
    let told = told((Role::Initiator, "channels.sign.update", 0), TO_SIGN, change).await;
    assert!(told.contains("ChannelOffchainTx.channel_id: expected ch_"), "{told}");
}

#[tokio::test]
async fn another_kind_of_transaction() {
    let change = |tx: SignedTx| {
        let Tx::ChannelCreate(create) = tx.tx() else { panic!("{tx:?}") };
        let (channel_id, state_hash) = (create.channel_id(), create.state_hash);
        SignedTx::unsigned(OffchainTx { channel_id, round: Round(1), state_hash })
    };
    let told = told((Role::Initiator, "channels.sign.initiator_sign", 0), TO_SIGN, change).await;
    assert!(told.contains("signed_tx.ChannelCreateTx."), "{told}");
}

#[tokio::test]
async fn something_that_is_no_transaction() {
    let script = Script::named(NAME);
    let step = script.step(Role::Initiator, "channels.update", 0);
    let (found, told) = fault(script.changed(step, |message, _| {
        message["params"]["data"]["state"] = text::encode(Prefix::Transaction, b"nothing").into();
    }))
    .await;
    assert_eq!(found, step);
    assert!(told.contains("params.data.state: expected channel_create_tx, found "), "{told}");
}

#[tokio::test]
async fn a_state_that_one_has_not_signed() {
    let half = |tx: SignedTx| SignedTx::unsigned(tx.tx().clone()).with_signature(tx.signatures()[0]);
    let told = told((Role::Initiator, "channels.update", 1), STATE, half).await;
    let expected = "ChannelOffchainTx.signatures: expected initiator (Hash) and responder (Hash), found ";
    assert!(told.contains(expected) && !told.contains("strangers"), "{told}");
}

#[tokio::test]
async fn a_state_that_a_stranger_has_signed() {
    let strange = |tx: SignedTx| {
        let stranger = SecretKey::from_seed([9; 32]);
        let signature = stranger.sign(&NetworkId(NETWORK.to_owned()), tx.unsigned_bytes(), SignedForm::Hash);
        SignedTx::unsigned(tx.tx().clone()).with_signature(tx.signatures()[0]).with_signature(signature)
    };
    let told = told((Role::Responder, "channels.update", 1), STATE, strange).await;
    assert!(told.ends_with("found 1 signatures of strangers"), "{told}");
}

#[tokio::test]
async fn a_proposal_that_is_signed_already() {
    // The proposer's own signature does not come with the question whether to sign.
    let script = Script::named(NAME);
    let first = script.step(Role::Initiator, "channels.sign.initiator_sign", 0);
    let second = script.step(Role::Responder, "channels.sign.responder_sign", 0);
    let signed = match &script.session.steps[second].act {
        Act::Receive(message) => message["params"]["data"]["signed_tx"].clone(),
        other => panic!("{other:?}"),
    };
    let mut script = script;
    if let Act::Receive(message) = &mut script.session.steps[first].act {
        message["params"]["data"]["signed_tx"] = signed;
    }
    let unsigned = |tx: &SignedTx| SignedTx::unsigned(tx.tx().clone());
    let (found, told) = fault(script.changed(second, move |message, _| {
        let place = at(message, TO_SIGN);
        *place = unsigned(&crate::stub::read(place.as_str().unwrap())).to_text().into();
    }))
    .await;
    assert_eq!(found, second);
    assert!(told.contains("signatures: expected initiator (Hash), found nobody"), "{told}");
}

#[tokio::test]
async fn something_else_on_chain_than_what_was_signed() {
    let other = |tx: SignedTx| {
        let dearer = tx.tx().clone().with_fee(Coins(tx.tx().fee().0 + 1));
        SignedTx::unsigned(dearer)
    };
    // Its fee is free, but it is not the transaction that both have signed.
    let told = told(
        (Role::Initiator, "channels.on_chain_tx channel_changed", 0),
        ["params", "data", "tx", ""],
        other,
    )
    .await;
    assert!(told.contains("found nobody"), "{told}");
    let script = Script::named(NAME);
    let step = script.step(Role::Responder, "channels.sign.responder_sign", 0);
    // Even the right signatures do not help: here both sides' recorded signatures are made again over another fee.
    let keyless = |tx: &mut Tx| {
        if let Tx::ChannelCreate(create) = tx {
            create.fee = Coins(create.fee.0 + 1);
        }
    };
    let (found, told) = fault(script.changed(step, move |message, _| {
        let place = at(message, TO_SIGN);
        let tx = crate::stub::read(place.as_str().unwrap());
        let mut inner = tx.tx().clone();
        keyless(&mut inner);
        let signed = tx.signatures().iter().fold(SignedTx::unsigned(inner), |tx, s| tx.with_signature(*s));
        *place = signed.to_text().into();
    }))
    .await;
    assert_eq!(found, step);
    assert!(told.contains("expected initiator (Hash), found 1 signatures of strangers"), "{told}");
}

#[tokio::test]
async fn a_fee_that_a_client_asked_for() {
    for (name, label) in [
        ("changeable_fee__optional_params_create", "channels.sign.initiator_sign"),
        ("changeable_fee__set_fee_close_mutual", "channels.sign.shutdown_sign"),
    ] {
        let script = Script::named(name);
        let step = script.step(Role::Initiator, label, 0);
        let asked = label == "channels.sign.initiator_sign";
        let (found, told) = fault(script.adjusted(move |tx| match tx {
            Tx::ChannelCreate(create) if asked => create.fee = Coins(create.fee.0 + 1),
            Tx::ChannelCloseMutual(close) if !asked => close.fee = Coins(close.fee.0 + 1),
            _ => {}
        }))
        .await;
        assert_eq!(found, step, "{told}");
        assert!(told.contains("Tx.fee: expected "), "{told}");
    }
}

#[tokio::test]
async fn a_close_that_pays_something_else_than_the_balances_less_the_fee() {
    let dearer = |tx: &mut Tx, missing: u128| {
        if let Tx::ChannelCloseMutual(close) = tx {
            // An odd fee: the initiator pays the coin that cannot be halved.
            close.fee = Coins(close.fee.0 + 3);
            close.initiator_amount_final = Coins(close.initiator_amount_final.0 - 2);
            close.responder_amount_final = Coins(close.responder_amount_final.0 - 1 - missing);
        }
    };
    crate::passes(Script::named("close_mutual").adjusted(move |tx| dearer(tx, 0))).await;
    let script = Script::named("close_mutual");
    let step = script.step(Role::Initiator, "channels.sign.shutdown_sign", 0);
    let (found, told) = fault(script.adjusted(move |tx| dearer(tx, 1))).await;
    assert_eq!(found, step, "{told}");
    assert!(told.contains("ChannelCloseMutualTx.responder_amount_final: expected "), "{told}");
}

#[tokio::test]
async fn a_channel_that_is_not_of_the_create_transaction() {
    let script = Script::named(NAME);
    let step = script.step(Role::Responder, "channels.info funding_created", 0);
    let other = ChannelId([7; 32]).to_string();
    let (found, told) = fault(script.tampered(move |_, mut message, _| {
        if message["params"]["channel_id"].is_string() {
            message["params"]["channel_id"] = other.clone().into();
        }
        vec![message]
    }))
    .await;
    assert_eq!(found, step);
    assert!(told.contains("params.channel_id: expected ch_"), "{told}");
}

#[tokio::test]
async fn a_state_hash_that_was_another_before() {
    let change = |tx: SignedTx| with(&tx, |tx| tx.state_hash = StateHash([7; 32]));
    let told = told((Role::Responder, "channels.sign.update_ack", 0), TO_SIGN, change).await;
    assert!(told.contains("ChannelOffchainTx.state_hash: expected st_"), "{told}");
}

/// The first answer that shows trees, with its step.
fn trees(script: &Script) -> usize {
    let shows = |act: &Act| matches!(act, Act::Receive(message) if message["result"]["trees"].is_string());
    script.session.steps.iter().position(|step| shows(&step.act)).unwrap()
}

#[tokio::test]
async fn trees_that_the_transaction_does_not_commit_to() {
    let mut script = Script::named(NAME);
    script.hashes_trees = false;
    let (step, told) = (trees(&script), fault(script).await);
    assert_eq!(told.0, step, "{}", told.1);
    assert!(told.1.contains("result.trees.state_hash: expected st_"), "{}", told.1);
}

/// How a change of the first trees that are shown is told; their hash is changed with them everywhere.
async fn trees_told(change: impl Fn(&mut Trees, &crate::stub::Words) + Send + Sync + 'static) -> String {
    let script = Script::named(NAME);
    let step = trees(&script);
    let (found, told) = fault(script.changed(step, move |message, words| {
        let place = &mut message["result"]["trees"];
        let mut trees =
            Trees::decode(&text::decode(Prefix::StateTrees, place.as_str().unwrap()).unwrap()).unwrap();
        change(&mut trees, words);
        *place = text::encode(Prefix::StateTrees, &trees.encode()).into();
    }))
    .await;
    assert_eq!(found, step, "{told}");
    told
}

#[tokio::test]
async fn trees_with_other_entries() {
    let told = trees_told(|trees, words| {
        trees.set_account(words.live_accounts()[0], &Account::new(Coins(1)));
    });
    let told = told.await;
    assert!(
        told.contains("result.trees.accounts.ak_") && told.ends_with("found a balance of 1 and a nonce of 0"),
        "{told}"
    );
    let told = trees_told(|trees, words| trees.accounts.remove(&words.live_accounts()[0].0)).await;
    assert!(told.ends_with("result.trees.accounts: expected 2 accounts, found 1 accounts"), "{told}");
    let told = trees_told(|trees, _| trees.contracts.insert(&[5; 32], &[6])).await;
    assert!(
        told.contains("result.trees.contracts.0505") && told.ends_with("expected nothing, found 06"),
        "{told}"
    );
}

#[tokio::test]
async fn a_tree_of_calls_with_other_entries() {
    let script = Script::named(NAME);
    let step = trees(&script);
    let mut calls = Trees::default();
    calls.calls.insert(&[5; 32], &[6]);
    let calls = text::encode(Prefix::CallTree, &calls.encode_calls());
    let (found, told) =
        fault(script.changed(step, move |message, _| message["result"]["calls"] = calls.clone().into()))
            .await;
    assert_eq!(found, step);
    assert!(told.contains("result.calls.0505") && told.ends_with("expected nothing, found 06"), "{told}");
}

/// How another proof than the `nth` one is told. It is made of the balances of the session's last state, changed.
async fn proof_told(
    nth: usize,
    change: impl Fn(&mut Trees, &crate::stub::Words) -> usize + Send + Sync + 'static,
) -> String {
    let script = Script::named("new__transfers_meta_and_queries");
    let shows = |act: &Act| matches!(act, Act::Receive(message) if message["result"]["poi"].is_string());
    let steps = script.session.steps.iter().enumerate().filter(|(_, step)| shows(&step.act));
    let step = steps.map(|(place, _)| place).nth(nth).unwrap();
    let (found, told) = fault(script.changed(step, move |message, words| {
        let accounts = words.live_accounts();
        let mut trees = Trees::default();
        trees.set_account(accounts[0], &Account::new(Coins(69_999_999_999_909)));
        trees.set_account(accounts[1], &Account::new(Coins(40_000_000_000_091)));
        let honest = StateProof::new(&trees).state_hash();
        let shown = change(&mut trees, words);
        let mut proof = StateProof::new(&trees);
        for account in accounts.iter().rev().take(shown) {
            proof.add_account(&trees, *account).unwrap();
        }
        let place = &mut message["result"]["poi"];
        let came =
            StateProof::decode(&text::decode(Prefix::Proof, place.as_str().unwrap()).unwrap()).unwrap();
        assert_eq!(came.state_hash(), honest);
        *place = text::encode(Prefix::Proof, &proof.encode()).into();
    }))
    .await;
    assert_eq!(found, step, "{told}");
    told
}

#[tokio::test]
async fn a_proof_of_another_state() {
    let told = proof_told(0, |trees, words| {
        trees.set_account(words.live_accounts()[0], &Account::new(Coins(1)));
        2
    })
    .await;
    assert!(told.contains("result.poi.state_hash: expected st_"), "{told}");
}

#[tokio::test]
async fn a_proof_of_less_or_more_than_asked_for() {
    let less = proof_told(0, |_, _| 1).await;
    assert!(less.contains("result.poi.ak_") && less.ends_with("found nothing of this account"), "{less}");
    let more = proof_told(1, |_, _| 2).await;
    assert!(more.contains("expected nothing of this account, found a balance of"), "{more}");
}
