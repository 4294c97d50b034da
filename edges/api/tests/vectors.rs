//! The reference's own answers, request by request, from `vectors/ws_reply_vectors.jsonl`: its channel was a stub, and so is
//! ours. In the vectors the channel's id is the literal `ch_X`.

#![allow(clippy::unwrap_used, reason = "tests and benches only")]

use serde_json::Value;
use strait_api::{Ask, Conversation, OpenRefusal, ToClient, refusal_frame, report_frame};
use strait_channel::{
    Answer, ConflictCode, Event, Fault, Notice, Reaction, Reason, Refusal, Report, Request, Ticket,
};
use strait_encoding::{AccountId, ChannelId, Coins, FsmId, Round, TxHash};
use strait_ledger::TxKind;

/// Where we answer otherwise, and why.
const DIFFERENCES: [(&str, Ours); 36] = {
    use Ours::*;
    [
        // The reference says nothing; whoever waits for an answer waits for ever.
        ("garbage", Error(-32700, -32700)),
        ("no jsonrpc", Error(-32000, -32000)),
        ("jsonrpc 1.0", Error(-32000, -32000)),
        ("number", Error(-32000, -32000)),
        ("empty batch", Error(-32000, -32000)),
        ("assume broken", Error(-32602, -32602)),
        // It silences the whole batch; here the bad member gets its error, and as one member has something to say, the other
        // one's plain ok is left out.
        ("batch one bad", Error(-32000, -32000)),
        // It says ok, and nothing happened.
        ("sign decodable but not signed_tx", Error(3, 1010)),
        ("contract_call round 0", Error(-32602, -32602)),
        ("new_contract neg deposit", Error(3, 1002)),
        // The JS SDK maps over `data`, which the reference leaves out here.
        ("unknown method no id", DataAdded),
        ("unknown method id", DataAdded),
        ("amount missing", DataAdded),
        ("bad block_hash", DataAdded),
        ("fsm error unknown_request", DataAdded),
        ("fsm error too_low_fee", DataAdded),
        ("fsm error client_disconnected", DataAdded),
        ("sign no params", DataAdded),
        ("abort 0", DataAdded),
        ("message obj", DataAdded),
        ("shutdown fee bad", DataAdded),
        ("open error: channel_count_limit_exceeded", DataAdded),
        ("open error: failed_noise_session_start", DataAdded),
        ("open error: responder_port_not_allowed", DataAdded),
        ("open error: client_still_active", DataAdded),
        // What it knows and does not say.
        ("fsm error not_ready", ReasonAdded),
        ("open error: bad_signature", ReasonAdded),
        ("fsm report: error", Error(-32603, -32603)),
        // It sends raw bytes in a string.
        ("fsm report: snapmindepth", TxHashAsText),
        // The channel has no such reason: it comes with the flow that needs it.
        ("fsm error already_onchain", Later),
        ("fsm error not_offchain_tx", Later),
        ("fsm error wrong_abi_version", Later),
        ("fsm error conflict", Later),
        ("fsm error contract_init_failed", Later),
        ("contract_call nf", Later),
        // The channel makes no such report.
        ("fsm report: debug", Later),
    ]
};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Ours {
    /// Word for word as the reference: the rule, not in the table.
    Same,
    /// An error with this code, and this one in its data.
    Error(i32, i32),
    /// As the reference, and `data` with one entry that explains.
    DataAdded,
    /// As the reference, and `data[0].reason`.
    ReasonAdded,
    /// As the reference, with the hash in its text form.
    TxHashAsText,
    /// Not answered yet.
    Later,
}

const CHANNEL: ChannelId = ChannelId([7; 32]);

#[derive(serde::Deserialize)]
struct Vector {
    label: String,
    request: Option<String>,
    response: String,
}

#[test]
fn every_vector_is_answered_as_the_reference_does_but_for_the_differences() {
    let lines = include_str!("vectors/ws_reply_vectors.jsonl").lines();
    let mut seen = 0;
    for line in lines {
        let vector: Vector = serde_json::from_str(line).unwrap();
        let ours =
            DIFFERENCES.iter().find(|(label, _)| *label == vector.label).map_or(Ours::Same, |(_, o)| *o);
        if ours != Ours::Later {
            compare(&vector, ours);
        }
        seen += 1;
    }
    assert_eq!(seen, 76);
}

#[test]
fn every_difference_names_a_vector() {
    let lines = include_str!("vectors/ws_reply_vectors.jsonl");
    for (label, _) in DIFFERENCES {
        assert!(lines.contains(&format!("{{\"label\":\"{label}\"")), "{label}");
    }
}

fn compare(vector: &Vector, ours: Ours) {
    let label = &vector.label;
    let theirs = match vector.response.as_str() {
        "no_reply" => None,
        response => Some(response.replace("ch_X", &CHANNEL.to_string())),
    };
    let theirs: Option<Value> = theirs.map(|response| serde_json::from_str(&response).unwrap());
    let answer: Option<Value> = answer(vector).map(|frame| serde_json::from_str(&frame).unwrap());
    match ours {
        Ours::Same => assert_eq!(answer, theirs, "{label}"),
        Ours::Error(code, data_code) => {
            let error = &answer.unwrap_or_else(|| panic!("{label}: no answer"))["error"];
            assert_eq!(error["code"], code, "{label}");
            assert_eq!(error["data"][0]["code"], data_code, "{label}");
            assert!(error["data"][0]["message"].as_str().is_some_and(|text| !text.is_empty()), "{label}");
        }
        Ours::DataAdded => {
            let mut answer = answer.unwrap();
            let data = answer["error"].as_object_mut().unwrap().remove("data").unwrap();
            assert_eq!(Some(answer), theirs, "{label}");
            assert!(data[0]["code"].is_number() && data[0]["message"].is_string(), "{label}");
        }
        Ours::ReasonAdded => {
            let mut answer = answer.unwrap();
            let reason = answer["error"]["data"][0].as_object_mut().unwrap().remove("reason").unwrap();
            assert_eq!(Some(answer), theirs, "{label}");
            assert!(reason.as_str().is_some_and(|text| !text.is_empty()), "{label}");
        }
        Ours::TxHashAsText => {
            let mut theirs = theirs.unwrap();
            theirs["params"]["data"]["tx_hash"] = TxHash::ZERO.to_string().into();
            assert_eq!(answer, Some(theirs), "{label}");
        }
        Ours::Later => unreachable!(),
    }
}

fn answer(vector: &Vector) -> Option<String> {
    if let Some(request) = &vector.request {
        return answer_request(&vector.label, request, vector.response.contains("ch_X"));
    }
    match vector.label.split_once(": ") {
        Some(("fsm report", report)) => {
            let fsm_id: FsmId = "ba_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAfn8n3G".parse().unwrap();
            Some(report_frame(&report_of(report), Some(fsm_id)))
        }
        Some(("open error", error)) => Some(refusal_frame(&open_refusal(error))),
        other => panic!("{other:?} is no kind of vector"),
    }
}

fn answer_request(label: &str, request: &str, channel_is_known: bool) -> Option<String> {
    let mut conversation = Conversation::new(1 << 20);
    if channel_is_known {
        let report = Report { channel_id: Some(CHANNEL), notice: Notice::Info(Event::Open) };
        conversation.told(ToClient::Report { report, fsm_id: None });
        assert!(conversation.next_frame().is_some());
    }
    conversation.receive(request);
    while let Some(asked) = conversation.next_ask() {
        let (ticket, ask) = *asked;
        conversation.told(stub(label, ticket, ask));
    }
    let frame = conversation.next_frame();
    assert_eq!(conversation.next_frame(), None, "{label}: one frame at most");
    assert_eq!(conversation.unanswered(), (0, 0), "{label}");
    frame
}

/// Answers as the stub of the vectors did.
fn stub(label: &str, ticket: Ticket, ask: Ask) -> ToClient {
    let Ask::Channel(request) = ask else { panic!("{label}: no vector asks for the history") };
    let reason = match label {
        "fsm error insufficient_balance" => Some(Reason::InsufficientBalance {
            account: AccountId::ZERO,
            balance: Coins(1),
            reserve: Coins(1),
            amount: Coins(1),
        }),
        "fsm error not_ready" => Some(Reason::NotReady("the create transaction is not signed")),
        "fsm error unknown_request" | "fsm error client_disconnected" => {
            Some(Reason::NotAllowedNow("closed"))
        }
        "fsm error too_low_fee" => Some(Reason::TooLowFee { fee: Coins(1), minimum: Coins(2) }),
        "fsm error not_allowed_now" | "abort na" => Some(Reason::NothingToSign("the client")),
        "poi nf" => Some(Reason::NotInState("ak_x".into())),
        _ => None,
    };
    if let Some(reason) = reason {
        return ToClient::Answer(ticket, Err(Refusal::client(reason)));
    }
    let answer = match request {
        Request::Balances(accounts) => {
            Answer::Balances(accounts.into_iter().map(|account| (account, Coins(5))).collect())
        }
        Request::CleanCalls => Answer::CallsPruned,
        _ => Answer::Ok,
    };
    ToClient::Answer(ticket, Ok(answer))
}

/// What the vectors' reports said.
fn report_of(name: &str) -> Report {
    let inner: ChannelId = "ch_1111111111111111111111111111111237x6p1".parse().unwrap();
    let of_channel = |notice| Report { channel_id: Some(CHANNEL), notice };
    match name {
        "fsm_up" => Report { channel_id: None, notice: Notice::Info(Event::FsmUp) },
        "fsm_up ch" => of_channel(Notice::Info(Event::FsmUp)),
        "funding_created" => of_channel(Notice::Info(Event::FundingCreated)),
        "died" => of_channel(Notice::Info(Event::Died)),
        "conflict" => {
            of_channel(Notice::Conflict { channel_id: inner, round: Round(5), code: ConflictCode::CONFLICT })
        }
        "message" => of_channel(Notice::Message {
            channel_id: inner,
            from: "ak_11111111111111111111111111111118qjnEr".parse().unwrap(),
            to: "ak_1111111111111111111111111111111Hrt6FG".parse().unwrap(),
            info: b"hello".to_vec(),
        }),
        "mindepth" => of_channel(Notice::Info(Event::MinimumDepthAchieved {
            tx_hash: "th_1111111111111111111111111111111aCxnqz".parse().unwrap(),
            tx_kind: TxKind::ChannelCreate,
        })),
        "snapmindepth" => of_channel(Notice::Info(Event::SnapshotConfirmed { tx_hash: TxHash::ZERO })),
        "error" => of_channel(Notice::Error(Reason::RefusedByChain("nonce_too_low"))),
        other => panic!("no report is called {other}"),
    }
}

fn open_refusal(name: &str) -> OpenRefusal {
    let internal = |why: &str| OpenRefusal::Internal { why: why.into() };
    match name {
        "participant_not_found" => {
            OpenRefusal::ParticipantNotFound { parameter: "initiator_id", account: AccountId::ZERO }
        }
        "value_too_low" => OpenRefusal::ValueTooLow {
            parameter: "push_amount",
            value: "a negative number".into(),
            least: "0".into(),
        },
        "invalid_fsm_id" => OpenRefusal::InvalidFsmId,
        "{existing_fsm_id,missing}" => OpenRefusal::MissingFsmId,
        "bad_signature" => OpenRefusal::Refused(Refusal {
            reason: Reason::BadSignature("not by the initiator".into()),
            fault: Fault::Client,
            reaction: Reaction::Answer,
        }),
        "channel_count_limit_exceeded" => internal("there are 1000 channels already"),
        "failed_noise_session_start" => internal("port 3015 is not free"),
        "responder_port_not_allowed" => internal("port 22 is not on the list"),
        "client_still_active" => internal("a client is attached"),
        other => panic!("no error is called {other}"),
    }
}
