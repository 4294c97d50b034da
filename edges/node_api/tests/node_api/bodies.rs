//! Bodies that are almost right: each part of a good one missing, or something else in its place.

use serde_json::{Value, json};
use strait_encoding::text::{self, Prefix};

use crate::contracts::{call_tx, data, tally, with_tally};
use crate::support::{Served, account, spend};

/// What nobody expects.
fn oddities() -> Vec<Value> {
    let huge: Value = serde_json::from_str(&"9".repeat(400)).unwrap();
    let exponent: Value = serde_json::from_str("1e400").unwrap();
    let mut deep = json!(1);
    for _ in 0..60 {
        deep = json!([deep]);
    }
    let texts = [
        "",
        " ",
        "tx_",
        "ak_",
        "cb_",
        "-1",
        "\u{0}",
        "\u{1f980}",
        "tx_AAAA",
        "th_11111111111111111111111111111111273Yts",
    ];
    let values = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(0.5),
        json!(u64::MAX),
        json!(u128::MAX),
        huge,
        exponent,
        json!([]),
        json!({}),
        json!([null]),
        json!({ "tx": {} }),
        deep,
        json!("x".repeat(100_000)),
        json!(vec![0; 10_000]),
    ];
    texts.map(Value::from).into_iter().chain(values).collect()
}

/// The places in a value, itself included.
fn places(value: &Value, at: &str) -> Vec<String> {
    let inside = |name: &str, value: &Value| places(value, &format!("{at}/{name}"));
    let below: Vec<_> = match value {
        Value::Object(fields) => fields.iter().flat_map(|(name, value)| inside(name, value)).collect(),
        Value::Array(values) => {
            values.iter().enumerate().flat_map(|(place, value)| inside(&place.to_string(), value)).collect()
        }
        _ => Vec::new(),
    };
    [at.to_owned()].into_iter().chain(below).collect()
}

/// Each part of a body replaced by each oddity, and each part left out.
fn spoiled(good: &Value) -> Vec<Value> {
    let mut bodies = Vec::new();
    for place in places(good, "") {
        for odd in oddities() {
            let mut body = good.clone();
            *body.pointer_mut(&place).unwrap() = odd;
            bodies.push(body);
        }
        if let Some((parent, name)) = place.rsplit_once('/') {
            let mut body = good.clone();
            if let Some(fields) = body.pointer_mut(parent).and_then(Value::as_object_mut) {
                fields.remove(name);
            }
            bodies.push(body);
        }
    }
    bodies
}

/// How many of them got each answer; none is the fault of the server, and each that is refused says why.
async fn answers(served: &Served, path: &str, good: &Value) -> [usize; 2] {
    let (mut taken, mut refused) = (0, 0);
    for body in spoiled(good) {
        let text = body.to_string();
        let reply = served.post(path, &text).await;
        let shown: String = text.chars().take(300).collect();
        match reply.status {
            200 => taken += 1,
            400 | 403 => {
                assert!(reply.json()["reason"].is_string(), "{shown}: {reply:?}");
                refused += 1;
            }
            _ => panic!("{shown}: {reply:?}"),
        }
    }
    [taken, refused]
}

#[tokio::test]
async fn no_body_of_a_transaction_is_the_servers_fault() {
    let served = with_tally().await;
    let good = json!({ "tx": spend(2).to_text() });
    for path in ["/v3/transactions", "/v2/transactions"] {
        let [taken, refused] = answers(&served, path, &good).await;
        assert_eq!((taken, refused), (0, 2 * oddities().len() + 1));
    }
    assert!(!served.chain().has_pending());
    served.take(&spend(2)).await;
}

#[tokio::test]
async fn no_body_of_a_dry_run_is_the_servers_fault() {
    let served = with_tally().await;
    let top = served.ok("/v3/headers/top").await["hash"].clone();
    let tx = strait_ledger::Tx::from(call_tx(2, "add 4")).encode();
    let calldata = text::encode(Prefix::ContractBytes, &data("Tally", "count -").0);
    let good = json!({
        "top": top,
        "accounts": [{ "pub_key": account(9).to_string(), "amount": 7 }],
        "tx_events": true,
        "txs": [
            { "tx": text::encode(Prefix::Transaction, &tx) },
            { "call_req": {
                "calldata": calldata, "contract": tally().to_string(), "amount": 0, "gas": 10_000,
                "caller": account(1).to_string(), "nonce": 3, "abi_version": 3, "context": { "stateful": true },
            } },
        ],
    });
    assert_eq!(served.post("/v3/dry-run", &good.to_string()).await.status, 200);
    let [taken, refused] = answers(&served, "/v3/dry-run", &good).await;
    // Some parts may be missing, and some may be something else.
    assert!(taken > 20 && refused > 500, "{taken} {refused}");
}

/// Transactions whose parts are nonsense are read, or not, and never more than that.
#[tokio::test]
async fn no_bytes_of_a_transaction_are_the_servers_fault() {
    let served = with_tally().await;
    let good = crate::contracts::call(2, "add 4").encode();
    for place in 0..good.len() {
        for odd in [0x00, 0x7f, 0x80, 0xbf, 0xc0, 0xf8, 0xff] {
            let mut bytes = good.clone();
            bytes[place] = odd;
            let body = json!({ "tx": text::encode(Prefix::Transaction, &bytes) }).to_string();
            let reply = served.post("/v3/transactions", &body).await;
            let is_good = bytes == good;
            let expected = if is_good { [200, 400].contains(&reply.status) } else { reply.status == 400 };
            assert!(expected, "{place} {odd}: {reply:?}");
        }
    }
}
