//! Requests and their answers in every order, batches, and frames that are no requests.

#![allow(clippy::unwrap_used, reason = "tests and benches only")]

use serde_json::{Value, json};
use strait_api::frames::{Frame, MAX_BATCH, parse};
use strait_api::{Ask, Call, Conversation, HistoryEntry, HistoryFilter, HistoryKind, ToClient};
use strait_channel::{
    Answer, Contract, Event, Fault, Flow, Forcing, Notice, Reaction, Reason, Refusal, Report, Request, Side,
    Ticket, Time, TxOptions,
};
use strait_encoding::{AccountId, BlockHash, ChannelId, Coins, ContractId, Nonce, Round};

const FROM: &str = "ak_11111111111111111111111111111118qjnEr";
const TO: &str = "ak_1111111111111111111111111111111Hrt6FG";
const LEAVE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"channels.leave"}"#;

fn conversation() -> Conversation {
    Conversation::new(1 << 20)
}

fn next(conversation: &mut Conversation) -> Option<Value> {
    conversation.next_frame().map(|frame| serde_json::from_str(&frame).unwrap())
}

fn ok(ticket: Ticket) -> ToClient {
    ToClient::Answer(ticket, Ok(Answer::Ok))
}

fn report(event: Event) -> ToClient {
    ToClient::Report { report: Report { channel_id: None, notice: Notice::Info(event) }, fsm_id: None }
}

fn tickets(conversation: &mut Conversation) -> Vec<Ticket> {
    std::iter::from_fn(|| conversation.next_ask().map(|asked| asked.0)).collect()
}

/// What a request without problems asks for.
fn asked(method: &str, params: &str) -> Ask {
    let text = format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#);
    match parse(&text) {
        Frame::One(member) => match member.call.unwrap_or_else(|why| panic!("{text}: {why:?}")) {
            Call::Ask(ask) => ask,
            Call::Ping => panic!("{text}: a ping"),
        },
        Frame::Batch(_) => panic!("{text}: a batch"),
    }
}

/// The code of the error that a request gets, and that of its first detail.
fn refused(method: &str, params: &str) -> (i32, i32) {
    let (codes, _) = refusal(method, params);
    codes
}

/// As [`refused`], with the text of the detail.
fn refusal(method: &str, params: &str) -> ((i32, i32), String) {
    let text = format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#);
    match parse(&text) {
        Frame::One(member) => {
            let why = member.call.expect_err(&text);
            ((why.code, why.data[0].code), why.data[0].message.to_string())
        }
        Frame::Batch(_) => panic!("{text}: a batch"),
    }
}

#[test]
fn answers_find_their_requests_in_any_order() {
    let mut conversation = conversation();
    for id in ["1", "\"b\"", "null", "[1,{\"x\":2}]", "1.50", "-576460752303422694", "{\"a\" : 1}"] {
        conversation.receive(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"channels.leave"}}"#));
    }
    let tickets = tickets(&mut conversation);
    assert_eq!(conversation.unanswered().0, 7);
    for (ticket, id) in tickets
        .iter()
        .zip(["1", "\"b\"", "null", "[1,{\"x\":2}]", "1.50", "-576460752303422694", "{\"a\" : 1}"])
        .rev()
    {
        conversation.told(ok(*ticket));
        let frame = conversation.next_frame().unwrap();
        assert!(frame.contains(&format!(r#""id":{id},"#)), "the id is repeated as it is: {frame}");
    }
    assert_eq!(conversation.unanswered(), (0, 0));
    conversation.told(ok(tickets[0]));
    assert_eq!(conversation.next_frame(), None, "a second answer is nobody's");
}

#[test]
fn an_error_repeats_the_request_as_it_was_sent() {
    let mut conversation = conversation();
    let request = r#"{ "jsonrpc":"2.0", "method":"channels.update.new" ,"extra":[1.0,1e400,"\u00e4"], "params":{"from":"x","to":"y","amount":1.0}}"#;
    conversation.receive(&format!("  {request}\n"));
    let frame = conversation.next_frame().unwrap();
    assert!(frame.contains(&format!(r#""request":{request}"#)), "{frame}");
}

#[test]
fn the_channel_id_is_the_one_that_the_socket_has_seen() {
    let mut conversation = conversation();
    let id = ChannelId([9; 32]);
    let pong = |conversation: &mut Conversation| {
        conversation
            .receive(r#"{"jsonrpc":"2.0","id":0,"method":"channels.system","params":{"action":"ping"}}"#);
        next(conversation).unwrap()["channel_id"].clone()
    };
    assert_eq!(pong(&mut conversation), Value::Null);
    conversation.told(report(Event::FsmUp));
    assert_eq!(next(&mut conversation).unwrap()["params"]["channel_id"], Value::Null);
    let fixed = Report { channel_id: Some(id), notice: Notice::Info(Event::FundingCreated) };
    conversation.told(ToClient::Report { report: fixed, fsm_id: None });
    assert_eq!(next(&mut conversation).unwrap()["params"]["channel_id"], id.to_string());
    conversation.told(report(Event::Open));
    assert_eq!(next(&mut conversation).unwrap()["params"]["channel_id"], id.to_string());
    assert_eq!(pong(&mut conversation), id.to_string());
}

#[test]
fn what_came_too_late_is_told_only_to_those_who_ask() {
    for (reaction, id, answers) in [
        (Reaction::AnswerIfAsked, r#""id":1,"#, true),
        (Reaction::AnswerIfAsked, "", false),
        (Reaction::Answer, "", true),
    ] {
        let mut conversation = conversation();
        conversation.receive(&format!(r#"{{"jsonrpc":"2.0",{id}"method":"channels.leave"}}"#));
        let ticket = conversation.next_ask().unwrap().0;
        let refusal = Refusal { reason: Reason::NothingToSign("x"), fault: Fault::Client, reaction };
        conversation.told(ToClient::Answer(ticket, Err(refusal)));
        assert_eq!(conversation.next_frame().is_some(), answers, "{reaction:?} {id}");
    }
}

#[test]
fn frames_that_are_no_requests_are_answered_as_such() {
    let cases = [
        ("", -32700, json!(null)),
        ("{", -32700, json!(null)),
        (r#"{"jsonrpc":"2.0","id":1,"method":"channels.leave"} x"#, -32700, json!(null)),
        ("[1,", -32700, json!(null)),
        ("nul", -32700, json!(null)),
        ("\"x\"", -32000, json!(null)),
        ("5", -32000, json!(null)),
        ("[]", -32000, json!(null)),
        ("{}", -32000, json!(null)),
        (r#"{"id":3,"method":"channels.leave"}"#, -32000, json!(3)),
        (r#"{"id":3,"jsonrpc":2.0,"method":"channels.leave"}"#, -32000, json!(3)),
        (r#"{"id":3,"jsonrpc":"2.0"}"#, -32000, json!(3)),
        (r#"{"id":3,"jsonrpc":"2.0","method":7}"#, -32601, json!(3)),
        (r#"{"id":3,"jsonrpc":"2.0","method":"channels.leave","method":"channels.leave"}"#, -32000, json!(3)),
        (r#"{"id":3,"jsonrpc":"2.0","method":"channels.leave","params":5}"#, -32601, json!(3)),
        (r#"{"id":3,"jsonrpc":"2.0","method":"channels.leave","params":[]}"#, -32601, json!(3)),
        (r#"{"id":3,"jsonrpc":"2.0","method":"x","params":5}"#, -32601, json!(3)),
        (r#"{"id":3,"jsonrpc":"2.0","method":"channels.get.offchain_state"}"#, -32601, json!(3)),
    ];
    for (text, code, id) in cases {
        let mut conversation = conversation();
        conversation.receive(text);
        let frame = next(&mut conversation).unwrap_or_else(|| panic!("{text}: no answer"));
        assert_eq!((&frame["error"]["code"], &frame["id"]), (&json!(code), &id), "{text}");
        assert!(frame["error"]["data"][0]["message"].is_string(), "{text}");
        assert_eq!(conversation.next_ask(), None, "{text}");
    }
    let mut conversation = conversation();
    conversation.receive(r#"{"id":3,"jsonrpc":"2.0","method":"channels.leave","params":null}"#);
    assert!(conversation.next_ask().is_some(), "null is as good as none");
}

#[test]
fn a_batch_of_plain_oks_is_answered_with_all_of_them() {
    let mut conversation = conversation();
    let other = LEAVE.replace("\"id\":1,", "");
    conversation.receive(&format!("[{LEAVE},{other},{LEAVE}]"));
    let tickets = tickets(&mut conversation);
    for ticket in tickets.iter().rev() {
        assert_eq!(conversation.next_frame(), None);
        conversation.told(ok(*ticket));
    }
    let frame = next(&mut conversation).unwrap();
    let ok = json!({"jsonrpc": "2.0", "version": 1, "id": 1, "channel_id": null, "result": "ok"});
    assert_eq!(frame, json!([ok, ok]));
}

#[test]
fn a_batch_with_one_bad_member_runs_the_others() {
    let mut conversation = conversation();
    conversation.receive(&format!("[{LEAVE},17,{{\"id\":2}},{LEAVE}]"));
    let tickets = tickets(&mut conversation);
    assert_eq!(tickets.len(), 2);
    for ticket in tickets {
        conversation.told(ok(ticket));
    }
    let frame = next(&mut conversation).unwrap();
    assert_eq!(frame.as_array().map(Vec::len), Some(2));
    assert_eq!((&frame[0]["id"], &frame[0]["error"]["request"]), (&json!(null), &json!(17)));
    assert_eq!((&frame[1]["id"], &frame[1]["error"]["request"]), (&json!(2), &json!({"id": 2})));
}

#[test]
fn notifications_wait_for_the_answer_of_a_batch() {
    let mut conversation = conversation();
    conversation.receive(&format!("[{LEAVE},{LEAVE}]"));
    let tickets = tickets(&mut conversation);
    conversation.told(ok(tickets[0]));
    conversation.told(report(Event::Update));
    assert_eq!(conversation.next_frame(), None);
    assert!(conversation.is_holding());
    conversation.told(ok(tickets[1]));
    assert!(next(&mut conversation).unwrap().is_array());
    assert_eq!(next(&mut conversation).unwrap()["params"]["data"]["event"], "update");
    assert!(!conversation.is_holding());
}

#[test]
fn a_batch_that_takes_too_long_holds_nothing_back() {
    let mut conversation = conversation();
    conversation.receive(&format!("[{LEAVE}]"));
    let tickets = tickets(&mut conversation);
    conversation.told(report(Event::Update));
    conversation.stop_holding();
    conversation.told(report(Event::Closing));
    assert_eq!(next(&mut conversation).unwrap()["params"]["data"]["event"], "update");
    assert_eq!(next(&mut conversation).unwrap()["params"]["data"]["event"], "closing");
    conversation.told(ok(tickets[0]));
    assert_eq!(next(&mut conversation).unwrap()["result"], "ok");
    // The next batch holds again.
    conversation.receive(&format!("[{LEAVE}]"));
    conversation.told(report(Event::Update));
    assert_eq!(conversation.next_frame(), None);
}

#[test]
fn a_channel_that_ends_leaves_no_batch_open() {
    let mut conversation = conversation();
    conversation.receive(&format!("[{LEAVE},{LEAVE}]"));
    conversation.receive(LEAVE);
    let tickets = tickets(&mut conversation);
    conversation.told(ok(tickets[0]));
    conversation.told(report(Event::Died));
    conversation.end();
    let frame = next(&mut conversation).unwrap();
    assert_eq!((&frame["id"], &frame["error"]["code"]), (&json!(1), &json!(-32603)));
    assert_eq!(next(&mut conversation).unwrap()["params"]["data"]["event"], "died");
    assert_eq!(conversation.next_frame(), None, "died is the last word");
}

#[test]
fn what_is_answered_at_once_waits_for_the_questions_before_it() {
    let mut conversation = conversation();
    let state = r#"{"jsonrpc":"2.0","id":1,"method":"channels.get.offchain_state","params":{}}"#;
    let ping = r#"{"jsonrpc":"2.0","id":2,"method":"channels.system","params":{"action":"ping"}}"#;
    conversation.receive(LEAVE);
    conversation.receive(ping);
    assert_eq!(next(&mut conversation).unwrap()["id"], 2, "nothing waits for a flow");
    for text in [state, r#"{"jsonrpc":"2.0","id":3,"method":"nothing","params":{}}"#, ping, state, ping] {
        conversation.receive(text);
        assert_eq!(conversation.next_frame(), None);
    }
    assert_eq!(conversation.unanswered().0, 6);
    let asked = tickets(&mut conversation);
    conversation.told(ToClient::Answer(asked[1], Ok(Answer::Balances(Vec::new()))));
    let ids: Vec<Value> =
        std::iter::from_fn(|| next(&mut conversation)).map(|frame| frame["id"].clone()).collect();
    assert_eq!(ids, [json!(1), json!(3), json!(2)]);
    conversation.end();
    assert_eq!(next(&mut conversation).unwrap()["id"], 2, "the end holds nothing back");
    assert_eq!(conversation.next_frame(), None);
}

#[test]
fn a_batch_has_a_bound_in_members_and_in_bytes() {
    let ping = r#"{"jsonrpc":"2.0","id":0,"method":"channels.system","params":{"action":"ping"}}"#;
    let of = |count: usize| format!("[{}]", vec![ping; count].join(","));
    let mut conversation = conversation();
    conversation.receive(&of(MAX_BATCH));
    assert_eq!(next(&mut conversation).unwrap().as_array().map(Vec::len), Some(MAX_BATCH));
    conversation.receive(&of(MAX_BATCH + 1));
    assert_eq!(next(&mut conversation).unwrap()["error"]["code"], -32000);

    let mut conversation = Conversation::new(1_000);
    let state = r#"{"jsonrpc":"2.0","id":0,"method":"channels.get.offchain_state","params":{}}"#;
    conversation.receive(&format!("[{state},{state}]"));
    for ticket in tickets(&mut conversation) {
        let state = Answer::OffchainState {
            trees: vec![0; 500],
            calls: Vec::new(),
            signed_tx: None,
            half_signed_tx: None,
        };
        conversation.told(ToClient::Answer(ticket, Ok(state)));
    }
    let frame = next(&mut conversation).unwrap();
    assert!(frame[0]["result"].is_object());
    assert_eq!(frame[1]["error"]["code"], -32603);
}

#[test]
fn every_method_of_today_becomes_what_it_asks_for() {
    let (from, to): (AccountId, AccountId) = (FROM.parse().unwrap(), TO.parse().unwrap());
    let zero = "kh_11111111111111111111111111111111273Yts";
    let pinned =
        format!(r#"{{"from":"{FROM}","to":"{TO}","amount":2,"block_hash":"{zero}","meta":["a\n","b"]}}"#);
    let transfer = Request::Transfer {
        from,
        to,
        amount: Coins(2),
        pin: Some(BlockHash::UNPINNED),
        meta: vec!["a\n".into(), "b".into()],
    };
    let fee = r#"{"fee":"12","gas_price":7,"nonce":18446744073709551615}"#;
    let options = TxOptions { fee: Some(Coins(12)), gas_price: Some(Coins(7)), nonce: Some(Nonce(u64::MAX)) };
    let cases = [
        ("channels.update.new", pinned.as_str(), transfer),
        ("channels.shutdown", fee, Request::Shutdown(options)),
        ("channels.leave", "{}", Request::Leave),
        ("channels.system", r#"{"action":"stop"}"#, Request::Stop),
        ("channels.get.offchain_state", "{}", Request::OffchainState),
        ("channels.clean_contract_calls", "{}", Request::CleanCalls),
        ("channels.get.poi", "{}", Request::Proof { accounts: vec![], contracts: vec![] }),
        (
            "channels.update_ack",
            r#"{"error":65535}"#,
            Request::Declined { flow: Flow::Update, side: Side::Acceptor, code: 65535 },
        ),
        (
            "channels.initiator_sign",
            r#"{"error":"1"}"#,
            Request::Declined { flow: Flow::Create, side: Side::Proposer, code: 1 },
        ),
    ];
    for (method, params, request) in cases {
        assert_eq!(asked(method, params), Ask::Channel(request), "{method}");
    }
    let message = format!(r#"{{"to":"{TO}","from":"{FROM}","info":"\u00e4\"x"}}"#);
    let request = Request::Message { to, from: Some(from), info: "ä\"x".into() };
    assert_eq!(asked("channels.message", &message), Ask::Channel(request));
}

#[test]
fn methods_that_go_on_chain_become_what_they_ask_for() {
    let th = "th_1111111111111111111111111111111aCxnqz";
    let funds = r#"{"amount":9,"fee":12,"gas_price":"7","nonce":5,"meta":["a"],"block_hash":"kh_11111111111111111111111111111111273Yts"}"#;
    let options = TxOptions { fee: Some(Coins(12)), gas_price: Some(Coins(7)), nonce: Some(Nonce(5)) };
    for (method, flow) in [("channels.deposit", Flow::Deposit), ("channels.withdraw", Flow::Withdraw)] {
        let (amount, pin, meta) = (Coins(9), Some(BlockHash::UNPINNED), vec!["a".to_owned()]);
        let request = Request::Funds { flow, amount, pin, options, meta };
        assert_eq!(asked(method, funds), Ask::Channel(request));
    }
    let solo = r#"{"fee":"12","gas_price":7,"nonce":5}"#;
    for (method, flow) in [
        ("channels.close_solo", Flow::CloseSolo),
        ("channels.slash", Flow::Slash),
        ("channels.settle", Flow::Settle),
        ("channels.snapshot_solo", Flow::SnapshotSolo),
    ] {
        assert_eq!(asked(method, solo), Ask::Channel(Request::Solo(flow, options)));
        assert_eq!(asked(method, "{}"), Ask::Channel(Request::Solo(flow, TxOptions::default())));
    }
    let assumed = Request::AssumeMinimumDepth(th.parse().unwrap());
    let params = format!(r#"{{"tx_hash":"{th}"}}"#);
    assert_eq!(asked("channels.assume_minimum_depth", &params), Ask::Channel(assumed));
}

#[test]
fn wrong_values_of_methods_that_go_on_chain_are_refused_by_name() {
    let most = "340282366920938463463374607431768211456";
    let mut cases = vec![
        ("channels.assume_minimum_depth", "{}".to_owned(), (-32601, -32601), "tx_hash"),
        ("channels.assume_minimum_depth", r#"{"tx_hash":7}"#.into(), (-32602, -32602), "th_…"),
        ("channels.assume_minimum_depth", r#"{"tx_hash":"th_x"}"#.into(), (-32602, -32602), "th_…"),
    ];
    for method in ["channels.deposit", "channels.withdraw"] {
        let of = |more: &str| format!(r#"{{"amount":1,{more}}}"#);
        let too_large = if method == "channels.deposit" { (-32602, -32602) } else { (3, 1001) };
        cases.extend([
            (method, "{}".to_owned(), (-32601, -32601), "amount"),
            (method, r#"{"amount":"1"}"#.into(), (3, 1008), "number"),
            (method, r#"{"amount":1.5}"#.into(), (3, 1008), "number"),
            (method, r#"{"amount":-1}"#.into(), (3, 1002), "Negative"),
            (method, r#"{"amount":0}"#.into(), (-32603, -32603), "above 0"),
            (method, format!(r#"{{"amount":{most}}}"#), too_large, ""),
            (method, of(r#""meta":"a""#), (3, 1014), "meta"),
            (method, of(r#""meta":[1]"#), (3, 1014), "meta"),
            (method, of(r#""block_hash":"kh_x""#), (-32603, -32603), "block_hash"),
        ]);
    }
    for method in [
        "channels.deposit",
        "channels.withdraw",
        "channels.close_solo",
        "channels.slash",
        "channels.settle",
        "channels.snapshot_solo",
    ] {
        let amount =
            if method.ends_with("deposit") || method.ends_with("withdraw") { r#""amount":1,"# } else { "" };
        for field in ["fee", "gas_price", "nonce"] {
            let of = |value: &str| format!(r#"{{{amount}"{field}":{value}}}"#);
            cases.extend([
                (method, of("-1"), (-32602, -32602), field),
                (method, of(most), (-32602, -32602), field),
                (method, of("true"), (-32603, -32603), field),
                (method, of("\"x\""), (-32603, -32603), field),
                (method, of("1.5"), (-32603, -32603), field),
                (method, format!(r#"{{{amount}"{field}":1,"{field}":2}}"#), (-32602, -32602), field),
            ]);
        }
    }
    for (method, params, codes, named) in cases {
        let (found, text) = refusal(method, &params);
        assert_eq!(found, codes, "{method} {params}");
        assert!(text.contains(named), "{method} {params}: {text}");
    }
}

#[test]
fn methods_with_contracts_become_what_they_ask_for() {
    let ct = "ct_1111111111111111111111111111111Rnzy1V";
    let contract: ContractId = ct.parse().unwrap();
    let call = format!(
        r#"{{"contract_id":"{ct}","abi_version":3,"amount":1,"call_data":"cb_Xfbg4g==","gas_price":1,"meta":["a"]}}"#
    );
    let caller = format!(r#"{{"contract_id":"{ct}","caller_id":"{FROM}","round":7}}"#);
    let code =
        r#"{"vm_version":7,"abi_version":3,"deposit":2,"code":"cb_Xfbg4g==","call_data":"cb_Xfbg4g=="}"#;
    let (empty, deposit, amount) = (Vec::new(), Coins(2), Coins(1));
    let new = Contract::New { vm: 7, abi: 3, deposit, code: empty.clone(), call_data: empty.clone() };
    let called = Contract::Call { contract, abi: 3, amount, call_data: empty.clone() };
    let forcing = Forcing {
        contract,
        abi: 3,
        amount,
        call_data: empty,
        gas: 1_000_000,
        gas_price: Coins(1),
        options: TxOptions::default(),
    };
    let own_gas = call.replacen('{', r#"{"gas":70000,"nonce":8,"#, 1);
    let options = TxOptions { nonce: Some(Nonce(8)), ..TxOptions::default() };
    let with_own_gas = Forcing { gas: 70_000, options, ..forcing.clone() };
    let cases = [
        ("channels.update.new_contract", code, Request::Contract { contract: new, pin: None, meta: vec![] }),
        (
            "channels.update.call_contract",
            &call,
            Request::Contract { contract: called.clone(), pin: None, meta: vec!["a".into()] },
        ),
        ("channels.dry_run.call_contract", &call, Request::DryRun { call: called, pin: None }),
        (
            "channels.get.contract_call",
            &caller,
            Request::ContractCall { contract, caller: FROM.parse().unwrap(), round: Round(7) },
        ),
        ("channels.get.contract", &format!(r#"{{"pubkey":"{ct}"}}"#), Request::ContractState(contract)),
        ("channels.force_progress", &call, Request::ForceProgress(forcing)),
        ("channels.force_progress", &own_gas, Request::ForceProgress(with_own_gas)),
    ];
    for (method, params, request) in cases {
        assert_eq!(asked(method, params), Ask::Channel(request), "{method}");
    }
}

#[test]
fn wrong_values_are_refused_with_the_codes_of_the_table() {
    let forced = |more: &str| {
        let ct = "ct_1111111111111111111111111111111Rnzy1V";
        format!(r#"{{"contract_id":"{ct}","abi_version":3,"call_data":"cb_Xfbg4g==",{more}}}"#)
    };
    let transfer = |more: &str| format!(r#"{{"from":"{FROM}","to":"{TO}",{more}}}"#);
    let cases = [
        ("channels.update.new", transfer(r#""amount":"x""#), (3, 1008)),
        ("channels.update.new", transfer(r#""amount":1e2"#), (3, 1008)),
        ("channels.update.new", transfer(r#""amount":null"#), (3, 1008)),
        ("channels.update.new", r#"{"from":"x","to":"y","amount":"x"}"#.into(), (3, 1008)),
        ("channels.update.new", r#"{"from":"x","to":"y","amount":-1}"#.into(), (3, 1005)),
        ("channels.update.new", r#"{"from":7,"to":"y","amount":1}"#.into(), (3, 1005)),
        ("channels.update.new", transfer(r#""amount":-1"#), (3, 1002)),
        ("channels.update.new", transfer(r#""amount":340282366920938463463374607431768211456"#), (3, 1001)),
        ("channels.update.new", transfer(r#""amount":1,"meta":["\ud800"]"#), (3, 1014)),
        ("channels.update.new", transfer(r#""amount":1,"meta":{}"#), (3, 1014)),
        ("channels.update.new", transfer(r#""amount":1,"block_hash":"bx_x""#), (-32603, -32603)),
        ("channels.update.new", transfer(r#""amount":1,"amount":2"#), (-32602, -32602)),
        ("channels.update", r#"{"error":65536}"#.into(), (-32603, 1015)),
        ("channels.update", r#"{"error":-1}"#.into(), (-32603, 1015)),
        ("channels.update", r#"{"error":1.0}"#.into(), (-32603, 1015)),
        ("channels.update", r#"{"signed_tx":"tx_AQIDGcYZfg==","error":1}"#.into(), (-32602, -32602)),
        ("channels.update", r#"{"signed_tx":7}"#.into(), (3, 1010)),
        ("channels.shutdown", r#"{"fee":1.5}"#.into(), (-32603, -32603)),
        ("channels.shutdown", r#"{"fee":-1}"#.into(), (-32602, -32602)),
        ("channels.shutdown", r#"{"nonce":18446744073709551616}"#.into(), (-32602, -32602)),
        ("channels.deposit", r#"{"amount":0}"#.into(), (-32603, -32603)),
        ("channels.deposit", r#"{"amount":-1}"#.into(), (3, 1002)),
        ("channels.withdraw", r#"{"amount":0}"#.into(), (-32603, -32603)),
        ("channels.system", r#"{"action":"pong"}"#.into(), (-32601, -32601)),
        ("channels.get.balances", r#"{"accounts":5}"#.into(), (-32602, -32602)),
        ("channels.message", r#"{"to":"x","info":"y"}"#.into(), (3, 1005)),
        ("channels.message", format!(r#"{{"to":"{TO}","from":"x","info":"y"}}"#), (-32603, -32603)),
        ("channels.message", format!(r#"{{"to":"{TO}","info":7}}"#), (-32000, -32000)),
        ("channels.history.fetch", r#"{"type":["all"]}"#.into(), (-32603, -32603)),
        ("channels.history.fetch", r#"{"tag":"info"}"#.into(), (-32603, -32603)),
        ("channels.history.fetch", r#"{"n":"x"}"#.into(), (-32603, -32603)),
        ("channels.snapshot_solo", r#"{"gas_price":[]}"#.into(), (-32603, -32603)),
        (
            "channels.force_progress",
            r#"{"contract_id":"x","abi_version":1,"amount":1,"call_data":"y","gas_price":1}"#.into(),
            (3, 1005),
        ),
        ("channels.force_progress", forced(r#""gas_price":1,"amount":-1"#), (3, 1002)),
        ("channels.force_progress", forced(r#""gas_price":"1","amount":1"#), (3, 1008)),
        ("channels.force_progress", forced(r#""gas_price":-1,"amount":1"#), (-32602, -32602)),
        ("channels.force_progress", forced(r#""gas_price":1,"amount":1,"gas":1.5"#), (3, 1008)),
        (
            "channels.force_progress",
            forced(r#""gas_price":1,"amount":1,"gas":18446744073709551616"#),
            (-32602, -32602),
        ),
        ("channels.force_progress", forced(r#""gas_price":1,"amount":1,"nonce":-1"#), (-32602, -32602)),
        ("channels.nothing", "{}".into(), (-32601, -32601)),
        ("leave", "{}".into(), (-32601, -32601)),
    ];
    for (method, params, codes) in cases {
        assert_eq!(refused(method, &params), codes, "{method} {params}");
    }
}

#[test]
fn the_history_is_filtered_and_shown_as_plain_json() {
    assert_eq!(
        asked("channels.history.fetch", "{}"),
        Ask::History(HistoryFilter { newest: 10, kinds: None, tags: None })
    );
    assert_eq!(
        asked(
            "channels.history.fetch",
            r#"{"n":"3","type":["rpt","snd","rcv","req"],"tag":["info","leave"]}"#
        ),
        Ask::History(HistoryFilter {
            newest: 3,
            kinds: Some(vec![
                HistoryKind::Report,
                HistoryKind::Send,
                HistoryKind::Receive,
                HistoryKind::Request
            ]),
            tags: Some(vec!["info", "leave"]),
        })
    );
    let mut conversation = conversation();
    conversation.receive(r#"{"jsonrpc":"2.0","id":1,"method":"channels.history.fetch"}"#);
    let ticket = conversation.next_ask().unwrap().0;
    let entry = HistoryEntry {
        kind: HistoryKind::Receive,
        tag: "update_ack".into(),
        time: Time(1_000_000_000_123),
        info: json!({"event": "open", "round": 7}),
    };
    conversation.told(ToClient::History(ticket, vec![entry]));
    assert_eq!(
        next(&mut conversation).unwrap()["result"],
        json!([{
            "type": "receive", "tag": "update_ack", "time": "2001-09-09T01:46:40.123000Z",
            "info": {"event": "open", "round": 7}
        }])
    );
}
