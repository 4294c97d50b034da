//! Messages that differ, fail to come, come too often, or at the wrong time: a test for every rule.

use std::time::Duration;

use serde_json::{Value, json};
use strait_client::Role;
use strait_conformance::{Act, Fault};

use crate::stub::Script;
use crate::{LONG, fault, fault_within};

const NAME: &str = "basic_open_close";
const MUCH_TOO_SHORT: Duration = Duration::from_secs(2);

/// How a change of the `nth` message with a label is told, in the session with the most of everything.
async fn told(
    role: Role,
    label: &str,
    nth: usize,
    change: impl Fn(&mut Value) + Send + Sync + 'static,
) -> String {
    let script = Script::named(NAME);
    let step = script.step(role, label, nth);
    let (found, told) = fault(script.changed(step, move |message, _| change(message))).await;
    assert_eq!(found, step, "{told}");
    told
}

#[tokio::test]
async fn another_word() {
    let change = |message: &mut Value| message["params"]["data"]["type"] = "channel_deposit_tx".into();
    let told = told(Role::Responder, "channels.on_chain_tx channel_changed", 0, change).await;
    assert_eq!(
        told,
        "`channels.on_chain_tx channel_changed`: params.data.type: expected channel_create_tx, found channel_deposit_tx"
    );
}

#[tokio::test]
async fn another_number() {
    let script = Script::named(NAME);
    let step = script.session.steps.iter().position(
        |step| matches!(&step.act, Act::Receive(message) if message["result"][0]["balance"].is_number()),
    );
    let change = |message: &mut Value, _: &_| message["result"][1]["balance"] = json!(40_000_000_000_002_u64);
    let (found, told) = fault(script.changed(step.unwrap(), change)).await;
    assert_eq!(Some(found), step);
    assert!(told.ends_with("result[1].balance: expected 40000000000001, found 40000000000002"), "{told}");
}

#[tokio::test]
async fn another_type() {
    let change = |message: &mut Value| {
        let amount = message["params"]["data"]["updates"][0]["amount"].to_string();
        message["params"]["data"]["updates"][0]["amount"] = amount.into();
    };
    let told = told(Role::Initiator, "channels.sign.update", 0, change).await;
    assert!(told.ends_with("params.data.updates[0].amount: expected 1, found \"1\""), "{told}");
}

#[tokio::test]
async fn a_key_less_and_a_key_more() {
    let less =
        |message: &mut Value| drop(message["params"]["data"].as_object_mut().unwrap().remove("fsm_id"));
    let less = told(Role::Initiator, "channels.info funding_signed", 0, less).await;
    assert!(less.contains("params.data.fsm_id: expected \"ba_") && less.ends_with("found nothing"), "{less}");
    let more = |message: &mut Value| message["params"]["data"]["more"] = json!(true);
    let more = told(Role::Responder, "channels.info channel_open", 0, more).await;
    assert!(more.ends_with("params.data.more: expected nothing, found true"), "{more}");
}

#[tokio::test]
async fn a_list_of_another_length() {
    let change = |message: &mut Value| {
        let updates = message["params"]["data"]["updates"].as_array_mut().unwrap();
        updates.push(updates[0].clone());
    };
    let told = told(Role::Responder, "channels.sign.update_ack", 0, change).await;
    assert!(told.ends_with("params.data.updates: expected 1 entries, found 2 entries"), "{told}");
}

#[tokio::test]
async fn a_changed_echo_of_the_request() {
    let script = Script::named(NAME);
    let step = script.session.steps.iter().position(|step| {
        matches!(&step.act, Act::Receive(message) if message["error"]["request"]["params"]["amount"] == "1")
    });
    let change = |message: &mut Value, _: &_| message["error"]["request"]["params"]["amount"] = json!(1);
    let (found, told) = fault(script.changed(step.unwrap(), change)).await;
    assert_eq!(Some(found), step);
    assert!(told.ends_with("error.request.params.amount: expected \"1\", found 1"), "{told}");
}

#[tokio::test]
async fn another_id_than_before() {
    // Coming back to a side that is still there keeps its secret.
    let script = Script::named("seed__001");
    let step = script.step(Role::Initiator, "channels.info fsm_up", 1);
    let other = "ba_fpeAq8qsRH3Du0Lk0twEvMxJcSTUslkf2AGwqFRiTLhZr0a0";
    let (found, told) =
        fault(script.changed(step, move |message, _| message["params"]["data"]["fsm_id"] = other.into()))
            .await;
    assert_eq!(found, step);
    assert!(told.ends_with(&format!("found {other}")), "{told}");
    // Re-establishing gives a new one.
    let script = Script::named("leave_reestablish");
    let old = match &script.session.steps[script.step(Role::Responder, "channels.info fsm_up", 0)].act {
        Act::Receive(message) => message["params"]["data"]["fsm_id"].clone(),
        other => panic!("{other:?}"),
    };
    let step = script.step(Role::Responder, "channels.info fsm_up", 1);
    let (found, told) =
        fault(script.changed(step, move |message, _| message["params"]["data"]["fsm_id"] = old.clone()))
            .await;
    assert_eq!(found, step);
    assert!(told.contains("params.data.fsm_id: expected something new"), "{told}");
}

#[tokio::test]
async fn an_id_of_another_kind() {
    let change = |message: &mut Value| message["params"]["data"]["fsm_id"] = "fsm".into();
    let told = told(Role::Initiator, "channels.info fsm_up", 0, change).await;
    assert!(told.ends_with("params.data.fsm_id: expected ba_…, found fsm"), "{told}");
}

#[tokio::test]
async fn no_channel_where_there_is_one() {
    let change = |message: &mut Value| message["params"]["channel_id"] = Value::Null;
    let told = told(Role::Responder, "channels.info funding_created", 0, change).await;
    assert!(told.contains("params.channel_id: expected \"ch_") && told.ends_with("found null"), "{told}");
}

#[tokio::test]
async fn a_message_that_does_not_come() {
    let script = Script::named("timeout_open");
    let step = script.step(Role::Initiator, "channels.info died", 0);
    let script =
        script.tampered(move |number, message, _| if number == step { vec![] } else { vec![message] });
    // The socket ends without it.
    let (found, fault) = fault_within(LONG, script).await;
    assert_eq!(found, step);
    assert!(matches!(fault, Fault::Closed { ref expected } if expected == "channels.info died"), "{fault}");
    // The socket stays, and nothing comes.
    let mut script = Script::named("timeout_open");
    script.close_code = None;
    let script =
        script.tampered(move |number, message, _| if number == step { vec![] } else { vec![message] });
    let (found, fault) = fault_within(MUCH_TOO_SHORT, script).await;
    assert_eq!(found, step);
    assert_eq!(fault.to_string(), "no `channels.info died` within 2000 ms");
}

#[tokio::test]
async fn a_message_of_an_older_channel_that_does_not_come() {
    let script = Script::named("seed__000_optional_params_fail_close_mutual");
    let step = script.step(Role::Responder, "channels.info died", 0);
    let script =
        script.tampered(move |number, message, _| if number == step { vec![] } else { vec![message] });
    let (found, fault) = fault_within(LONG, script).await;
    assert_eq!(found, step);
    assert!(matches!(fault, Fault::Closed { ref expected } if expected == "channels.info died"), "{fault}");
}

#[tokio::test]
async fn a_refusal_on_the_other_side_is_told_instead_of_what_it_prevents() {
    let script = Script::named("seed__001");
    let step = script.step(Role::Initiator, "channels.message", 0);
    let refused = script.step(Role::Responder, "channels.message", 0);
    let error = json!({ "code": 3, "message": "Rejected", "data": [{ "code": 108, "message": "Not ready" }], "request": { "id": 1 } });
    let refusal = json!({ "channel_id": null, "id": null, "jsonrpc": "2.0", "error": error, "version": 1 });
    let script = script.tampered(move |number, message, _| match number {
        _ if number == step => vec![],
        _ if number == refused => vec![message, refusal.clone()],
        _ => vec![message],
    });
    let (found, fault) = fault_within(MUCH_TOO_SHORT, script).await;
    assert_eq!(found, step);
    assert_eq!(fault.to_string(), "`error 108 for id null` came, and the recording has nothing like it left");
}

#[tokio::test]
async fn a_message_too_many() {
    for role in [Role::Initiator, Role::Responder] {
        // In the middle it stands where another one should be; at the end nothing should be.
        let script = Script::named(NAME);
        let open = script.step(role, "channels.info open", 0);
        let (_, told) = fault(doubled(script, open)).await;
        assert!(told.contains("`channels.update`: "), "{told}");
        let script = Script::named(NAME);
        let died = script.step(role, "channels.info died", 0);
        let (_, told) = fault(doubled(script, died)).await;
        assert_eq!(told, "`channels.info died` came, and the recording has nothing like it left");
    }
}

fn doubled(script: Script, step: usize) -> Script {
    script.tampered(
        move |number, message, _| {
            if number == step { vec![message.clone(), message] } else { vec![message] }
        },
    )
}

#[tokio::test]
async fn an_answer_too_many() {
    let script = Script::named("timeout_open");
    let step = script.step(Role::Initiator, "channels.info timeout", 0);
    let answer = json!({ "channel_id": null, "id": 1, "jsonrpc": "2.0", "result": "ok", "version": 1 });
    let (_, told) =
        fault(script.tampered(
            move |number, message, _| {
                if number == step { vec![answer.clone(), message] } else { vec![message] }
            },
        ))
        .await;
    assert_eq!(told, "`result for id 1` came, and the recording has nothing like it left");
}

#[tokio::test]
async fn the_first_stop_is_answered() {
    let script = Script::named(NAME);
    let first = script.session.steps.iter().find_map(|step| match &step.act {
        Act::Send(message) if message["params"]["action"] == "stop" => Some(message["id"].clone()),
        _ => None,
    });
    let first = first.unwrap();
    let expected = format!("result for id {first}");
    let (_, fault) = fault_within(
        MUCH_TOO_SHORT,
        script.tampered(move |_, message, _| if message["id"] == first { vec![] } else { vec![message] }),
    )
    .await;
    assert!(matches!(fault, Fault::Missing { expected: ref missing, .. } if *missing == expected), "{fault}");
}

#[tokio::test]
async fn messages_of_one_cause_in_another_order() {
    let mut script = Script::named("abort_updates__abort_offchain_update");
    let first = script.step(Role::Responder, "channels.info update", 0);
    let second = script.step(Role::Responder, "channels.sign.update_ack", 0);
    script.session.steps.swap(first, second);
    let (found, told) = fault(script).await;
    assert_eq!(found, first);
    assert_eq!(
        told,
        "`channels.info update`: method: expected channels.info, found channels.sign.update_ack"
    );
}

#[tokio::test]
async fn answers_in_another_order() {
    let script = Script::named("seed__002");
    let mut pongs = (0..).map(|nth| script.step(Role::Responder, "channels.system.pong", nth));
    let step = pongs.nth(2).unwrap();
    let change = |message: &mut Value, _: &_| message["params"]["data"]["tag"] = "ping".into();
    let (found, told) = fault(script.changed(step, change)).await;
    assert_eq!(found, step);
    assert!(told.ends_with("params.data.tag: expected pong, found ping"), "{told}");
}

#[tokio::test]
async fn open_before_what_it_needs() {
    let mut script = Script::named(NAME);
    let locked = script.step(Role::Responder, "channels.info own_funding_locked", 0);
    let open = script.step(Role::Responder, "channels.info open", 0);
    let step = script.session.steps.remove(locked);
    script.session.steps.insert(open, step);
    let (_, told) = fault(script).await;
    assert_eq!(told, "`channels.info open` came before `channels.info own_funding_locked`");
}

#[tokio::test]
async fn a_socket_that_is_not_closed_properly() {
    let mut script = Script::named("timeout_open");
    script.close_code = Some(1011);
    let (_, fault) = fault_within(LONG, script).await;
    assert!(matches!(fault, Fault::CloseCode { found: Some(1011) }), "{fault}");
    let mut script = Script::named("timeout_open");
    script.close_code = None;
    let (_, fault) = fault_within(MUCH_TOO_SHORT, script).await;
    assert_eq!(fault.to_string(), "no `end of the socket` within 2000 ms");
}

#[tokio::test]
async fn a_refused_query_ends_the_socket() {
    let mut script = Script::named("broken_open_params");
    script.close_code = None;
    let (step, fault) = fault_within(MUCH_TOO_SHORT, script).await;
    assert_eq!(step, 2);
    assert!(matches!(fault, Fault::Missing { .. }), "{fault}");
    let script = Script::named("broken_open_params");
    let change = |message: &mut Value, _: &_| message["error"]["data"][0]["code"] = json!(105);
    let (step, told) = crate::fault(script.changed(1, change)).await;
    assert_eq!((step, &*told), (1, "`error 1011 for id null`: error.data[0].code: expected 1011, found 105"));
}
