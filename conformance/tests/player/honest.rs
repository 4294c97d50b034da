//! What must pass.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use strait_client::Role;
use strait_conformance::{Act, Failure, Options, Session, Step, label, play_all, play_all_with};
use strait_encoding::{Coins, NetworkId, Nonce};
use strait_ledger::{Payload, Protocol, StateProof, Tx, min_fee};

use crate::stub::{NETWORK, NEXT_NONCE, Script, Stub, recording};
use crate::{LONG, failure_within, passes};

/// Every recording of today's reference.
const RECORDINGS: [&str; 31] = [
    "abort_updates__abort_deposit",
    "abort_updates__abort_offchain_update",
    "abort_updates__abort_shutdown",
    "abort_updates__can_not_abort_while_open",
    "basic_open_close",
    "basic_open_close_server",
    "broken_open_params",
    "changeable_fee__optional_params_create",
    "changeable_fee__optional_params_deposit",
    "changeable_fee__set_fee_close_mutual",
    "changeable_fee__set_fee_close_solo",
    "changeable_gas_price__optional_params_withdrawal",
    "changeable_nonce__optional_params_fail_deposit",
    "changeable_nonce__optional_params_fail_settle",
    "close_mutual",
    "close_solo",
    "full__both_sign__conflicts__conflict_two_withdrawals",
    "full__continuous__generic_messages",
    "full__continuous__update_conflict",
    "leave_reconnect",
    "leave_reestablish",
    "min_depth_is_modifiable",
    "new__transfers_meta_and_queries",
    "reconnect__basic_client_reconnect_i",
    "seed__000_optional_params_fail_close_mutual",
    "seed__001",
    "seed__002",
    "slash",
    "snapshot_solo",
    "timeout_open",
    "update_with_meta",
];

/// Recordings that only a service with a virtual machine can play.
const WITH_CONTRACTS: [&str; 3] = [
    "full__contracts__basic_contracts",
    "generalized_accounts__initiator__basic_open_close",
    "new__fate_contract",
];

/// The older recordings, and the same sessions with today's answers.
const SEEDS: [(&str, &str); 3] = [
    ("seed_000", "seed__000_optional_params_fail_close_mutual"),
    ("seed_001", "seed__001"),
    ("seed_002", "seed__002"),
];

fn seed(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("seeds").join(format!("{name}.txt"))
}

#[test]
fn every_recording_is_known_here() {
    let mut files: Vec<_> = std::fs::read_dir(recording("x").parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    files.sort();
    let mut known = [&RECORDINGS[..], &WITH_CONTRACTS].concat();
    known.sort_unstable();
    assert_eq!(files, known);
}

#[tokio::test]
async fn a_perfect_service_passes_and_has_nothing_to_complain_about() {
    for name in RECORDINGS {
        let stub = Stub::start(Script::named(name)).await;
        let report = play_all(&stub, &[recording(name)]).await.unwrap();
        assert_eq!(report.summary(), "1 passed, 0 failed", "{report}");
        assert_eq!(stub.funded.lock().unwrap().len(), 2);
        assert_eq!(stub.complaint().await, None, "{name}");
    }
}

#[tokio::test]
async fn the_first_state_is_posted_where_a_recording_is_silent_about_it() {
    let stub = Stub::start(Script::named("slash")).await;
    play_all(&stub, &[recording("slash")]).await.unwrap();
    let (funded, submitted) = (stub.funded.lock().unwrap().clone(), stub.submitted.lock().unwrap().clone());
    let [initiator, responder] = funded[..] else { panic!("{funded:?}") };
    let mut channels = Vec::new();
    for tx in &submitted {
        tx.verify(&NetworkId(NETWORK.to_owned()), &[initiator]).unwrap();
        assert!(tx.tx().fee() >= min_fee(tx.tx(), Protocol::default()), "{tx:?}");
        let Tx::ChannelCloseSolo(close) = tx.tx() else { panic!("{tx:?}") };
        assert_eq!(
            (close.from_id, close.nonce, &close.payload),
            (initiator, NEXT_NONCE, &Payload(Vec::new()))
        );
        let proof = StateProof::decode(&close.poi.0).unwrap();
        // Amounts of 70 and 40 million million, of which one coin was pushed and another paid since.
        assert_eq!(proof.account(initiator).unwrap().balance, Coins(69_999_999_999_999));
        assert_eq!(proof.account(responder).unwrap().balance, Coins(40_000_000_000_001));
        channels.push(close.channel_id);
    }
    assert_eq!(channels.len(), 2);
    assert_ne!(channels[0], channels[1]);
    // Each is settled after its lock period.
    assert_eq!(*stub.unlocked.lock().unwrap(), channels);
}

#[tokio::test]
async fn nobody_settles_before_the_lock_period_is_over() {
    for name in
        ["close_solo", "changeable_fee__set_fee_close_solo", "changeable_nonce__optional_params_fail_settle"]
    {
        let stub = Stub::start(Script::named(name)).await;
        play_all(&stub, &[recording(name)]).await.unwrap();
        let unlocked = stub.unlocked.lock().unwrap().clone();
        assert!(unlocked.len() == 2 && unlocked[0] != unlocked[1], "{name}: {unlocked:?}");
        assert_eq!(*stub.submitted.lock().unwrap(), []);
    }
}

#[tokio::test]
async fn the_older_recordings_pass_at_a_service_of_today() {
    for (name, today) in SEEDS {
        let mut script = Script::named(today);
        // The clients of the older recordings signed transactions in another form.
        script.one_form = false;
        let failure = failure_within(LONG, seed(name), script).await;
        assert!(failure.is_none(), "{name}: {}", failure.unwrap());
    }
}

#[tokio::test]
async fn a_service_that_still_answers_as_the_older_recordings_fails() {
    for (name, _) in SEEDS {
        let session = Session::read(&seed(name)).unwrap();
        let Some(Failure::Step { fault, .. }) = failure_within(LONG, seed(name), Script::of(session)).await
        else {
            panic!("{name} passes");
        };
        let told = fault.to_string();
        assert!(told.contains("ChannelCreateTx.delegate_ids: expected "), "{name}: {told}");
    }
}

#[test]
fn a_seed_differs_from_its_counterpart_only_by_the_table() {
    let names = |file: &Path| {
        let session = Session::read(file).unwrap();
        let mut names: Vec<_> = session.steps.iter().map(|step| (step.actor, kind(&step.act))).collect();
        names.sort();
        names
    };
    for (name, today) in SEEDS {
        let (old, new) = (names(&seed(name)), names(&recording(today)));
        let missing: Vec<_> = old.iter().filter(|name| !new.contains(name)).collect();
        assert!(missing.iter().all(|(_, label)| label.starts_with("Receive result")), "{name}: {missing:?}");
    }
}

fn kind(act: &Act) -> String {
    match act {
        Act::Open(_) => "Open".to_owned(),
        Act::Send(message) => format!("Send {}", message["method"]),
        Act::Receive(message) => format!("Receive {}", label(message)),
        Act::Close => "Close".to_owned(),
    }
}

#[tokio::test]
async fn several_sessions_are_told_in_order() {
    let stub = Stub::start(Script::named("timeout_open")).await;
    let files = [PathBuf::from("no such file.json"), recording("timeout_open")];
    let mut told = Vec::new();
    let report =
        play_all_with(&stub, &files, Options::default(), |played| told.push(played.name.clone())).await;
    let report = report.unwrap();
    assert_eq!(told, ["no such file.json", "timeout_open"]);
    assert_eq!(report.summary(), "1 passed, 1 failed");
    let text = report.to_string();
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].starts_with("FAIL no such file.json ("), "{}", lines[0]);
    assert!(lines[1].starts_with("PASS timeout_open ("), "{}", lines[1]);
    assert_eq!(lines[2], "1 passed, 1 failed");
}

#[tokio::test]
async fn fees_and_nonces_are_free() {
    passes(Script::named("basic_open_close").adjusted(|tx| match tx {
        Tx::ChannelCreate(create) => (create.fee, create.nonce) = (Coins(create.fee.0 + 20_000), Nonce(77)),
        other => assert!(matches!(other, Tx::ChannelOffchain(_)), "{other:?}"),
    }))
    .await;
}

/// The script with two neighbouring messages swapped.
fn swapped(name: &str, role: Role, first: &str, second: &str) -> Script {
    let mut script = Script::named(name);
    let (first, second) = (script.step(role, first, 0), script.step(role, second, 0));
    script.session.steps.swap(first, second);
    script
}

#[tokio::test]
async fn what_is_chance_may_move() {
    let [initiator, responder] = [Role::Initiator, Role::Responder];
    let locked = ["channels.info own_funding_locked", "channels.info funding_locked"];
    for role in [initiator, responder] {
        passes(swapped("basic_open_close", role, locked[0], locked[1])).await;
    }
    passes(swapped(
        "basic_open_close",
        initiator,
        "channels.on_chain_tx funding_signed",
        "channels.on_chain_tx channel_changed",
    ))
    .await;
    passes(swapped("basic_open_close", responder, "channels.update", "channels.message")).await;
    passes(swapped(
        "close_mutual",
        responder,
        "channels.info closing",
        "channels.on_chain_tx channel_closed",
    ))
    .await;
}

#[tokio::test]
async fn an_answer_may_come_after_what_it_caused() {
    let mut script = Script::named("basic_open_close");
    let caused = script.step(Role::Responder, "channels.on_chain_tx funding_created", 0);
    let answer = caused - 1;
    assert!(matches!(&script.session.steps[answer].act, Act::Receive(message) if message["result"] == "ok"));
    script.session.steps.swap(answer, caused);
    passes(script).await;
}

#[tokio::test]
async fn the_end_of_an_older_channel_holds_up_nothing() {
    // The first channel dies only after the second one has been signed by both.
    let mut script = Script::named("seed__000_optional_params_fail_close_mutual");
    let is_second = |step: &Step| matches!(&step.act, Act::Send(message) if message["method"] == "channels.responder_sign");
    let signed = script.session.steps.iter().rposition(is_second).unwrap();
    for (role, label) in [
        (Role::Initiator, "channels.info closed_confirmed"),
        (Role::Initiator, "channels.info died"),
        (Role::Responder, "channels.info closed_confirmed"),
        (Role::Responder, "channels.info died"),
    ] {
        let early = script.step(role, label, 0);
        assert!(early < signed);
        let step = script.session.steps.remove(early);
        script.session.steps.insert(signed, step);
    }
    passes(script).await;
}

#[tokio::test]
async fn the_answer_to_the_second_stop_is_left_to_chance() {
    let stops = |session: &Session| -> Vec<Value> {
        let sent = session.steps.iter().filter_map(|step| match &step.act {
            Act::Send(message) if message["params"]["action"] == "stop" => Some(message["id"].clone()),
            _ => None,
        });
        sent.collect()
    };
    // A recording with the answer, a service without.
    let script = Script::named("basic_open_close");
    let second = stops(&script.session)[1].clone();
    passes(
        script.tampered(move |_, message, _| if message["id"] == second { vec![] } else { vec![message] }),
    )
    .await;
    // A recording without, a service with it.
    let script = Script::named("seed__002");
    let second = stops(&script.session)[1].clone();
    let died = script.step(Role::Initiator, "channels.info died", 0);
    passes(script.tampered(move |step, message, _| {
        if step != died {
            return vec![message];
        }
        let channel = &message["params"]["channel_id"];
        let answer =
            json!({ "channel_id": channel, "id": second, "jsonrpc": "2.0", "result": "ok", "version": 1 });
        vec![answer, message]
    }))
    .await;
}
