//! The query string, parameter by parameter. The queries are those of recorded sessions.

#![allow(clippy::unwrap_used, reason = "tests and benches only")]

use strait_api::query::{MAX_LOG_KEEP, parse};
use strait_api::{Attach, OpenRefusal, refusal_frame};
use strait_channel::{DepthRule, Patience, PinWindow, Reports, Role, Terms, TxOptions};
use strait_encoding::{Coins, Height, Nonce};

const INITIATOR: &str = "channel_reserve=2&host=localhost&initiator_amount=70000000000000&\
    initiator_id=ak_4R4eBsoeFm8de7s9TSjZCDLQ1XwmhcQnLCyZFtsMFqgMKc6eX&keep_running=false&lock_period=10&port=36324&\
    protocol=json-rpc&push_amount=1&responder_amount=40000000000000&\
    responder_id=ak_eUqxBpXmfp6JkRL5SEHAH9VnPMwqQrbUnpSZrmp1HKnoeUr7p&role=initiator";
const EXISTING: &str = "existing_channel_id=ch_2LB4caTgw5LkH13NfzewrHMnMeymxexZ99EwHk7bNuY1hQkB4H&\
    existing_fsm_id=ba_%2FlPtBidl2A1V%2BBo9Y6VkXClnRsnDt%2BadAAIMtToO4mIJZHhh&host=localhost&port=36324&\
    protocol=json-rpc&role=initiator";
const MOST: &str = "340282366920938463463374607431768211455";

fn terms(query: &str) -> Terms {
    match parse(query) {
        Ok(Attach::Open(terms)) => terms,
        other => panic!("{query}: {other:?}"),
    }
}

/// `INITIATOR` with one parameter replaced, or added.
fn with(name: &str, value: &str) -> String {
    format!("{}&{name}={value}", without(INITIATOR, name))
}

fn without(query: &str, name: &str) -> String {
    let kept = query.split('&').filter(|pair| pair.split('=').next() != Some(name));
    kept.collect::<Vec<_>>().join("&")
}

fn responder() -> String {
    without(&without(INITIATOR, "role"), "host") + "&role=responder"
}

fn invalid(query: &str) -> &'static str {
    match parse(query) {
        Err(OpenRefusal::Invalid { parameter, .. }) => parameter,
        other => panic!("{query}: {other:?}"),
    }
}

fn too_low(query: &str) -> &'static str {
    match parse(query) {
        Err(OpenRefusal::ValueTooLow { parameter, .. }) => parameter,
        other => panic!("{query}: {other:?}"),
    }
}

#[test]
fn an_opening_with_nothing_but_what_is_required_has_the_defaults() {
    let initiator = "ak_4R4eBsoeFm8de7s9TSjZCDLQ1XwmhcQnLCyZFtsMFqgMKc6eX".parse().unwrap();
    let expected = Terms {
        role: Role::Initiator,
        initiator: Some(initiator),
        responder: "ak_eUqxBpXmfp6JkRL5SEHAH9VnPMwqQrbUnpSZrmp1HKnoeUr7p".parse().unwrap(),
        initiator_amount: Coins(70_000_000_000_000),
        responder_amount: Coins(40_000_000_000_000),
        push_amount: Coins(1),
        channel_reserve: Coins(2),
        lock_period: 10,
        depth: None,
        ttl: Height(0),
        create: TxOptions::default(),
        keep_running: false,
        msg_forwarding: false,
        log_keep: 10,
        slogan: None,
        patience: Patience::default(),
        reports: Reports::default(),
        pin: PinWindow::default(),
        host: "localhost".into(),
        port: 36324,
    };
    assert_eq!(terms(INITIATOR), expected);
    assert_eq!(terms(&without(INITIATOR, "keep_running")), expected);
    let responder = terms(&without(&responder(), "keep_running"));
    let expected = Terms { role: Role::Responder, keep_running: true, host: String::new(), ..expected };
    assert_eq!(responder, expected);
}

#[test]
fn every_required_parameter_is_missed_by_name() {
    let required = [
        "protocol",
        "role",
        "host",
        "port",
        "initiator_id",
        "responder_id",
        "push_amount",
        "initiator_amount",
        "responder_amount",
        "channel_reserve",
        "lock_period",
    ];
    for parameter in required {
        let refusal = parse(&without(INITIATOR, parameter)).unwrap_err();
        assert_eq!(refusal, OpenRefusal::Missing { parameter });
        assert_eq!(refusal.to_string(), format!("Missing field: {parameter}"));
    }
    assert_eq!(parse("").unwrap_err(), OpenRefusal::Missing { parameter: "protocol" });
    for parameter in ["protocol", "role", "host", "port"] {
        assert_eq!(parse(&without(EXISTING, parameter)).unwrap_err(), OpenRefusal::Missing { parameter });
    }
    assert_eq!(parse(&without(EXISTING, "existing_fsm_id")).unwrap_err(), OpenRefusal::MissingFsmId);
}

#[test]
fn a_misspelt_parameter_is_missing_and_an_unknown_one_is_ignored() {
    let misspelt = INITIATOR.replace("lock_period", "lockperiod");
    assert_eq!(parse(&misspelt).unwrap_err(), OpenRefusal::Missing { parameter: "lock_period" });
    for unknown in
        ["reestablish=true", "timeout_x=y", "report_x=y", "debug", "=", "offchain_tx=tx_1", "%00=%ff"]
    {
        assert_eq!(terms(&format!("{INITIATOR}&{unknown}&{unknown}x")), terms(INITIATOR), "{unknown}");
    }
    assert_eq!(terms(&format!("&&{INITIATOR}&&")), terms(INITIATOR));
}

#[test]
fn every_parameter_is_refused_by_name_where_it_is_malformed() {
    let ak = "ak_4R4eBsoeFm8de7s9TSjZCDLQ1XwmhcQnLCyZFtsMFqgMKc6eY";
    let integers = ["", "x", "1.0", "1e3", "0x10", "%201", "+1", "--1"];
    let mut wrong: Vec<(&str, Vec<&str>)> = vec![
        ("protocol", vec!["", "json", "JSON-RPC"]),
        ("role", vec!["", "Initiator", "any"]),
        ("host", vec!["", "a%20b", "a%0Ab"]),
        ("port", vec!["", "0", "65536", "-1", "http"]),
        ("initiator_id", vec!["", "any", ak, "ct_1111111111111111111111111111111Rnzy1V"]),
        ("responder_id", vec!["", "any", ak]),
        ("minimum_depth_strategy", vec!["", "TXFEE", "fee"]),
        ("keep_running", vec!["", "True", "1"]),
        ("msg_forwarding", vec!["", "yes"]),
        ("existing_channel_id", vec!["", "ch_1"]),
    ];
    for parameter in ["push_amount", "initiator_amount", "responder_amount", "channel_reserve", "lock_period"]
    {
        wrong.push((parameter, integers.into()));
    }
    for parameter in ["minimum_depth", "ttl", "fee", "gas_price", "nonce"] {
        wrong.push((parameter, [&integers[..], &["-1", "340282366920938463463374607431768211456"]].concat()));
    }
    for parameter in [
        "timeout_accept",
        "timeout_funding_create",
        "timeout_funding_sign",
        "timeout_funding_lock",
        "timeout_idle",
        "timeout_sign",
        "timeout_initialized",
        "timeout_awaiting_open",
    ] {
        wrong.push((parameter, [&integers[..], &["-1", "4294967296"]].concat()));
    }
    for parameter in [
        "report_info",
        "report_update",
        "report_leave",
        "report_conflict",
        "report_message",
        "report_error",
        "report_on_chain_tx",
        "report_min_depth",
        "report_debug",
    ] {
        wrong.push((parameter, vec!["", "0", "TRUE"]));
    }
    for parameter in ["log_keep", "bh_delta_not_newer_than", "bh_delta_not_older_than", "bh_delta_pick"] {
        wrong.push((parameter, integers.into()));
    }
    for (parameter, values) in wrong {
        for value in values {
            assert_eq!(invalid(&with(parameter, value)), parameter, "{parameter}={value}");
        }
    }
}

#[test]
fn the_same_parameter_twice_must_say_the_same() {
    assert_eq!(terms(&format!("{INITIATOR}&{INITIATOR}")), terms(INITIATOR));
    for pair in INITIATOR.split('&') {
        let (name, value) = pair.split_once('=').unwrap();
        assert_eq!(invalid(&format!("{INITIATOR}&{name}={value}1")), name);
    }
    let twice = format!("{EXISTING}&existing_fsm_id=ba_AAAA");
    assert_eq!(parse(&twice), Err(OpenRefusal::InvalidFsmId));
    assert_eq!(invalid(&format!("{INITIATOR}&slogan=a&slogan=b")), "slogan");
}

#[test]
fn amounts_are_checked_in_the_order_of_the_reference() {
    assert_eq!(too_low(&with("channel_reserve", "-1")), "channel_reserve");
    assert_eq!(too_low(&with("push_amount", "-1")), "push_amount");
    assert_eq!(too_low(&with("initiator_amount", "-1")), "initiator_amount");
    assert_eq!(too_low(&with("responder_amount", "-1")), "responder_amount");
    assert_eq!(too_low(&with("lock_period", "-1")), "lock_period");
    let all_wrong = INITIATOR
        .replace("channel_reserve=2", "channel_reserve=-1")
        .replace("push_amount=1", "push_amount=-1");
    assert_eq!(too_low(&all_wrong), "channel_reserve");
    // initiator - push >= reserve: 3 - 1 >= 2.
    assert_eq!(terms(&with("initiator_amount", "3")).initiator_amount, Coins(3));
    assert_eq!(too_low(&with("initiator_amount", "2")), "initiator_amount");
    // responder + push >= reserve: 1 + 1 >= 2.
    assert_eq!(terms(&with("responder_amount", "1")).responder_amount, Coins(1));
    assert_eq!(too_low(&with("responder_amount", "0")), "responder_amount");
    // What the initiator gives may reach the reserve alone.
    let pushed = INITIATOR.replace("push_amount=1", "push_amount=5");
    assert_eq!(
        terms(&pushed.replace("responder_amount=40000000000000", "responder_amount=0")).responder_amount,
        Coins(0)
    );
    assert_eq!(
        too_low(&pushed.replace("responder_amount=40000000000000", "responder_amount=-1")),
        "responder_amount"
    );
}

#[test]
fn amounts_beyond_128_bits_are_refused_and_those_within_are_kept() {
    let beyond = "340282366920938463463374607431768211456";
    for parameter in ["push_amount", "initiator_amount", "responder_amount", "channel_reserve", "lock_period"]
    {
        assert_eq!(invalid(&with(parameter, beyond)), parameter);
        assert_eq!(invalid(&with(parameter, &"9".repeat(60_000))), parameter);
    }
    assert_eq!(invalid(&with("initiator_amount", MOST)), "responder_amount", "both together exceed 128 bits");
    assert_eq!(too_low(&with("push_amount", MOST)), "initiator_amount");
    let rich = "340282366920938463463374567431768211455";
    assert_eq!(
        terms(&with("initiator_amount", rich)).initiator_amount,
        Coins(u128::MAX - 40_000_000_000_000)
    );
    assert_eq!(terms(&with("lock_period", "18446744073709551615")).lock_period, u64::MAX);
    assert_eq!(invalid(&with("lock_period", "18446744073709551616")), "lock_period");
    assert_eq!(terms(&with("fee", MOST)).create.fee, Some(Coins(u128::MAX)));
}

#[test]
fn options_are_taken_over() {
    let query = format!(
        "{}&keep_running=true&ttl=7&fee=8&gas_price=9&nonce=10&msg_forwarding=true&log_keep=11&slogan=a%20b+c&\
        timeout_accept=1&timeout_funding_create=2&timeout_funding_sign=3&timeout_funding_lock=4&timeout_idle=5&\
        timeout_sign=6&timeout_initialized=7&timeout_awaiting_open=4294967295&report_info=false&report_update=false&\
        report_leave=false&report_conflict=false&report_message=false&report_error=false&report_on_chain_tx=false&\
        report_min_depth=false&report_debug=true&bh_delta_not_newer_than=1&bh_delta_not_older_than=4&bh_delta_pick=3",
        without(&responder(), "keep_running"),
    );
    let terms = terms(&query);
    assert!(terms.keep_running && terms.msg_forwarding);
    assert_eq!((terms.ttl, terms.log_keep, terms.slogan.as_deref()), (Height(7), 11, Some("a b c")));
    let create = TxOptions { fee: Some(Coins(8)), gas_price: Some(Coins(9)), nonce: Some(Nonce(10)) };
    assert_eq!(terms.create, create);
    let patience = Patience {
        accept: 1,
        funding_create: 2,
        funding_sign: 3,
        funding_lock: 4,
        idle: 5,
        sign: 6,
        initialized: Some(7),
        awaiting_open: Some(4_294_967_295),
    };
    assert_eq!(terms.patience, patience);
    let reports = Reports {
        info: false,
        update: false,
        leave: false,
        conflict: false,
        message: false,
        error: false,
        on_chain_tx: false,
        min_depth: false,
        debug: true,
    };
    assert_eq!(terms.reports, reports);
    assert_eq!(terms.pin, PinWindow { not_newer_than: 1, not_older_than: 4, pick: 3 });
}

#[test]
fn an_initiator_does_not_keep_running() {
    assert!(!terms(&with("keep_running", "true")).keep_running);
}

#[test]
fn a_responder_may_wait_for_any_initiator() {
    let query = without(&responder(), "initiator_id");
    assert_eq!(terms(&format!("{query}&initiator_id=any")).initiator, None);
    assert_eq!(invalid(&format!("{query}&initiator_id=all")), "initiator_id");
}

#[test]
fn the_depth_rule_follows_from_both_parameters() {
    let depth = |more: &str| terms(&format!("{INITIATOR}{more}")).depth;
    assert_eq!(depth(""), None);
    assert_eq!(depth("&minimum_depth_strategy=txfee"), Some(DepthRule::TxFee(10)));
    assert_eq!(depth("&minimum_depth_strategy=plain"), Some(DepthRule::Plain(3)));
    assert_eq!(depth("&minimum_depth=0"), Some(DepthRule::TxFee(0)));
    assert_eq!(depth("&minimum_depth=4&minimum_depth_strategy=txfee"), Some(DepthRule::TxFee(4)));
    assert_eq!(
        depth("&minimum_depth=18446744073709551615&minimum_depth_strategy=plain"),
        Some(DepthRule::Plain(u64::MAX))
    );
    assert_eq!(invalid(&with("minimum_depth", "4294967296")), "minimum_depth");
}

#[test]
fn block_deltas_hold_together_or_not_at_all() {
    let pin = |newer: &str, older: &str, pick: &str| {
        terms(&format!(
            "{INITIATOR}&bh_delta_not_newer_than={newer}&bh_delta_not_older_than={older}&bh_delta_pick={pick}"
        ))
        .pin
    };
    assert_eq!(pin("2", "5", "3"), PinWindow { not_newer_than: 2, not_older_than: 5, pick: 3 });
    for (newer, older, pick_) in
        [("2", "4", "3"), ("-1", "4", "0"), ("0", "-1", "0"), ("18446744073709551615", "4", "1")]
    {
        assert_eq!(pin(newer, older, pick_), PinWindow::default(), "{newer} {older} {pick_}");
    }
    assert_eq!(terms(&with("bh_delta_pick", "3")).pin, PinWindow::default());
}

#[test]
fn the_history_has_a_bound() {
    assert_eq!(terms(&with("log_keep", "-5")).log_keep, 10);
    assert_eq!(terms(&with("log_keep", "0")).log_keep, 0);
    assert_eq!(terms(&with("log_keep", "1000000")).log_keep, MAX_LOG_KEEP);
    assert_eq!(terms(&with("log_keep", MOST)).log_keep, MAX_LOG_KEEP);
    assert_eq!(invalid(&with("slogan", &"x".repeat(257))), "slogan");
    assert_eq!(invalid(&with("host", &"x".repeat(254))), "host");
}

#[test]
fn an_existing_channel_is_named_with_its_secret() {
    let fsm_id = "ba_/lPtBidl2A1V+Bo9Y6VkXClnRsnDt+adAAIMtToO4mIJZHhh";
    let expected = Attach::Existing {
        channel_id: "ch_2LB4caTgw5LkH13NfzewrHMnMeymxexZ99EwHk7bNuY1hQkB4H".parse().unwrap(),
        fsm_id: fsm_id.parse().unwrap(),
        role: Role::Initiator,
    };
    assert_eq!(parse(EXISTING), Ok(expected.clone()));
    // The parameters of an opening are not looked at.
    assert_eq!(parse(&format!("{EXISTING}&push_amount=x&timeout_idle=x&offchain_tx=tx_")), Ok(expected));
    for broken in
        ["Invalid", "ba_HyQuD1U6unjpal8v", "", "ba_%2FlPtBidl2A1V%2BBo9Y6VkXClnRsnDt%2BadAAIMtToO4mIJZHhi"]
    {
        let query = format!("{}&existing_fsm_id={broken}", without(EXISTING, "existing_fsm_id"));
        assert_eq!(parse(&query), Err(OpenRefusal::InvalidFsmId), "{broken}");
    }
}

#[test]
fn a_refusal_says_parameter_value_and_expectation() {
    let frame = |query: &str| -> serde_json::Value {
        serde_json::from_str(&refusal_frame(&parse(query).unwrap_err())).unwrap()
    };
    let error = |frame: serde_json::Value| frame["error"]["data"][0].clone();
    let found = frame(&with("lock_period", "x"));
    assert_eq!(
        found,
        serde_json::json!({
            "jsonrpc": "2.0", "version": 1, "id": null, "channel_id": null,
            "error": {"code": 3, "message": "Rejected", "request": {}, "data": [{
                "code": 2001,
                "message": "Invalid field: lock_period: expected an integer >= 0, found \"x\""
            }]}
        })
    );
    assert_eq!(
        error(frame(&without(INITIATOR, "lock_period"))),
        serde_json::json!({"code": 2000, "message": "Missing field: lock_period"})
    );
    let long = error(frame(&with("lock_period", &"ä".repeat(10_000))));
    assert!(long["message"].as_str().unwrap().len() < 300, "a wrong value is not repeated at full length");
    assert_eq!(
        error(frame(&with("lock_period", "-1"))),
        serde_json::json!({"code": 105, "message": "Value too low"})
    );
}

#[test]
fn no_query_makes_it_fail_otherwise() {
    for query in [
        "%",
        "%zz=%",
        "=&=&=",
        "protocol",
        "protocol=json-rpc&role",
        &"&".repeat(10_000),
        &"a=b&".repeat(20_000),
    ] {
        assert!(parse(query).is_err(), "{query:.20}");
    }
}
