//! One frame of each kind that the reference sent in recorded sessions, from `vectors/recorded_frames.jsonl`: ours must be
//! the same. Frames that answer something carry their request.

#![allow(clippy::unwrap_used, reason = "tests and benches only")]

use serde_json::Value;
use strait_api::{Ask, Conversation, OpenRefusal, ToClient, refusal_frame, report_data, report_frame};
use strait_channel::{
    Answer, ConflictCode, Event, FLOWS, Notice, OnChainEvent, Reason, Refusal, Report, Request, Side,
};
use strait_encoding::text::{self, Prefix};
use strait_encoding::{AccountId, ChannelId, Coins, FsmId, Round};
use strait_ledger::{SignedTx, Update};

#[derive(serde::Deserialize)]
struct Recorded {
    session: String,
    request: Option<Value>,
    frame: Value,
}

#[test]
fn every_recorded_kind_of_frame_is_written_alike() {
    let mut seen = 0;
    for line in include_str!("vectors/recorded_frames.jsonl").lines() {
        let recorded: Recorded = serde_json::from_str(line).unwrap();
        let (theirs, session) = (&recorded.frame, &recorded.session);
        let ours = match (&recorded.request, theirs.get("error")) {
            (Some(request), _) => answered(request, theirs),
            (None, Some(error)) => turned_away(error),
            (None, None) => reported(theirs),
        };
        let ours: Value = serde_json::from_str(&ours).unwrap();
        assert_eq!(&ours, theirs, "{session}");
        seen += 1;
    }
    assert_eq!(seen, 99);
}

/// The frame of a report, built from what the recorded one says.
fn reported(theirs: &Value) -> String {
    let (method, params) = (text(&theirs["method"]), &theirs["params"]);
    let data = &params["data"];
    let fsm_id = data["fsm_id"].as_str().map(|id| id.parse::<FsmId>().unwrap());
    let report = Report { channel_id: channel_of(params), notice: notice(method, data) };
    assert_eq!(report_data(&report, fsm_id), (method.to_owned().into(), data.clone()));
    report_frame(&report, fsm_id)
}

fn notice(method: &str, data: &Value) -> Notice {
    match method {
        "channels.info" => Notice::Info(event(text(&data["event"]))),
        "channels.update" => Notice::Update(tx(&data["state"])),
        "channels.leave" => Notice::Leave(tx(&data["state"])),
        "channels.conflict" => Notice::Conflict {
            channel_id: text(&data["channel_id"]).parse().unwrap(),
            round: Round(data["round"].as_u64().unwrap()),
            code: ConflictCode(u16::try_from(data["error_code"].as_u64().unwrap()).unwrap()),
        },
        "channels.message" => {
            let message = &data["message"];
            Notice::Message {
                channel_id: text(&message["channel_id"]).parse().unwrap(),
                from: account(&message["from"]),
                to: account(&message["to"]),
                info: text(&message["info"]).as_bytes().to_vec(),
            }
        }
        "channels.on_chain_tx" => {
            Notice::OnChainTx { event: on_chain_event(text(&data["info"])), tx: tx(&data["tx"]) }
        }
        sign => {
            let tag = sign.strip_prefix("channels.sign.").unwrap();
            let (flow, side) = asked(tag);
            let updates = data["updates"].as_array().unwrap().iter().map(update).collect();
            Notice::Sign { flow, side, tx: tx(&data["signed_tx"]), updates }
        }
    }
}

fn asked(tag: &str) -> (strait_channel::Flow, Side) {
    let mut found = FLOWS.iter().filter_map(|row| {
        [Side::Proposer, Side::Acceptor]
            .into_iter()
            .find(|side| row.ask(*side).is_some_and(|asked| asked.sign == tag))
            .map(|side| (row.flow, side))
    });
    found.next().unwrap()
}

fn event(name: &str) -> Event {
    use Event::*;
    let all = [
        FsmUp,
        ChannelOpen,
        ChannelAccept,
        FundingCreated,
        FundingSigned,
        OwnFundingLocked,
        FundingLocked,
        Open,
        Update,
        DepositCreated,
        WithdrawCreated,
        OwnDepositLocked,
        DepositLocked,
        OwnWithdrawLocked,
        WithdrawLocked,
        Shutdown,
        Closing,
        ClosedConfirmed,
        AbortedUpdate,
        ChannelReestablished,
        PeerDisconnected,
        Timeout,
        Died,
    ];
    all.into_iter().find(|event| event.name() == name).unwrap_or_else(|| panic!("no event {name}"))
}

fn on_chain_event(name: &str) -> OnChainEvent {
    use OnChainEvent::*;
    let all = [
        FundingSigned,
        FundingCreated,
        DepositSigned,
        DepositCreated,
        WithdrawSigned,
        WithdrawCreated,
        CloseMutual,
        ChannelChanged,
        SoloClosing,
        CanSlash,
        CanSnapshot,
        ChannelClosed,
        ConsumedForcedProgress,
    ];
    all.into_iter().find(|event| event.name() == name).unwrap_or_else(|| panic!("no event {name}"))
}

fn update(json: &Value) -> Update {
    let coins = |name: &str| Coins(json[name].as_u64().unwrap().into());
    match text(&json["op"]) {
        "OffChainTransfer" => Update::Transfer {
            from: account(&json["from"]),
            to: account(&json["to"]),
            amount: coins("amount"),
        },
        "OffChainDeposit" => Update::Deposit { from: account(&json["from"]), amount: coins("amount") },
        "OffChainWithdrawal" => Update::Withdraw { to: account(&json["to"]), amount: coins("amount") },
        "OffChainMeta" => Update::Meta { data: text(&json["data"]).as_bytes().to_vec() },
        "OffChainCallContract" => Update::CallContract {
            caller: account(&json["caller_id"]),
            contract: text(&json["contract_id"]).parse().unwrap(),
            abi_version: json["abi_version"].as_u64().unwrap(),
            amount: coins("amount"),
            gas: json["gas"].as_u64().unwrap(),
            gas_price: json["gas_price"].as_u64().unwrap().into(),
            call_data: text::decode(Prefix::ContractBytes, text(&json["call_data"])).unwrap(),
            call_stack: json["call_stack"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect(),
        },
        other => panic!("no update {other}"),
    }
}

/// The frame that answers a recorded request, where the service answers what the reference's channel did.
fn answered(request: &Value, theirs: &Value) -> String {
    let mut conversation = Conversation::new(1 << 20);
    let about = if theirs.get("method").is_some() { &theirs["params"] } else { theirs };
    if let Some(channel_id) = channel_of(about) {
        let report = Report { channel_id: Some(channel_id), notice: Notice::Info(Event::Open) };
        conversation.told(ToClient::Report { report, fsm_id: None });
        assert!(conversation.next_frame().is_some());
    }
    conversation.receive(&request.to_string());
    if let Some(asked) = conversation.next_ask() {
        let (ticket, ask) = *asked;
        let Ask::Channel(asked) = ask else { panic!("no recorded request asks for the history") };
        conversation.told(ToClient::Answer(ticket, channel_answer(&asked, theirs)));
    }
    let frame = conversation.next_frame().expect("an answer");
    assert_eq!(conversation.next_frame(), None);
    frame
}

fn channel_answer(asked: &Request, theirs: &Value) -> Result<Answer, Refusal> {
    if let Some(error) = theirs.get("error") {
        return Err(Refusal::client(reason(error["data"][0]["code"].as_i64().unwrap())));
    }
    let result = if theirs.get("method").is_some() { &theirs["params"]["data"] } else { &theirs["result"] };
    Ok(match asked {
        Request::Balances(accounts) => Answer::Balances(
            accounts
                .iter()
                .zip(result.as_array().unwrap())
                .map(|(account, line)| (*account, Coins(line["balance"].as_u64().unwrap().into())))
                .collect(),
        ),
        Request::OffchainState => Answer::OffchainState {
            trees: text::decode(Prefix::StateTrees, text(&result["trees"])).unwrap(),
            calls: text::decode(Prefix::CallTree, text(&result["calls"])).unwrap(),
            signed_tx: Some(tx(&result["signed_tx"])),
            half_signed_tx: None,
        },
        Request::Proof { .. } => Answer::Proof(text::decode(Prefix::Proof, text(&result["poi"])).unwrap()),
        Request::CleanCalls => Answer::CallsPruned,
        _ => Answer::Ok,
    })
}

/// The channel's reasons for the codes that are not found out before it is asked.
fn reason(code: i64) -> Reason {
    let (account, coins) = (AccountId::ZERO, Coins::ZERO);
    match code {
        100 => Reason::NotInState("ak_…".into()),
        1001 => Reason::InsufficientBalance { account, balance: coins, reserve: coins, amount: coins },
        1003 => Reason::InvalidPubkeys { initiator: account, responder: account },
        1018 => Reason::NothingToSign("the client"),
        other => panic!("{other} is found out before the channel is asked"),
    }
}

/// The frame of a refused opening.
fn turned_away(error: &Value) -> String {
    let refusal = match error["data"][0]["code"].as_i64().unwrap() {
        105 => OpenRefusal::ValueTooLow { parameter: "push_amount", value: "-1".into(), least: "0".into() },
        1011 => OpenRefusal::ParticipantNotFound { parameter: "initiator_id", account: AccountId::ZERO },
        1016 => OpenRefusal::InvalidFsmId,
        2000 => OpenRefusal::MissingFsmId,
        other => panic!("no opening is refused with {other}"),
    };
    refusal_frame(&refusal)
}

fn channel_of(about: &Value) -> Option<ChannelId> {
    about["channel_id"].as_str().map(|id| id.parse().unwrap())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn account(value: &Value) -> AccountId {
    text(value).parse().unwrap()
}

fn tx(value: &Value) -> SignedTx {
    SignedTx::decode(&text::decode(Prefix::Transaction, text(value)).unwrap()).unwrap()
}
