//! What every path has in common, and what is refused before an endpoint sees it.

use serde_json::json;
use strait_encoding::Coins;
use strait_ledger::ChainView;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{account, served, served_as, signed, spend, spend_tx};

const ZERO_KEY_HASH: &str = "kh_11111111111111111111111111111111273Yts";

#[tokio::test]
async fn a_spend_goes_through_from_its_nonce_to_its_block() {
    let served = served().await;
    let sender = format!("/v3/accounts/{}", account(1));
    // What the JS SDK asks before it builds one.
    let nonce = served.ok(&format!("{sender}/next-nonce?strategy=max")).await["next_nonce"].as_u64().unwrap();
    let prices = served.ok("/v3/recent-gas-prices").await;
    assert!(prices[0]["utilization"].as_u64().unwrap() < 70);
    let (before, paid) = (served.ok(&sender).await, spend_tx(nonce));
    let hash = served.take(&signed(paid.clone(), &[1])).await;
    let tx = format!("/v3/transactions/{hash}");
    assert_eq!(served.ok(&tx).await["block_height"], -1);
    served.mine();

    let mined = served.ok(&tx).await;
    assert_eq!((&mined["block_height"], &mined["tx"]["nonce"]), (&json!(1), &json!(1)));
    let left = before["balance"].as_number().unwrap().as_u128().unwrap() - FEE_AND_ONE;
    let after = served.ok(&sender).await;
    assert_eq!(after["balance"].as_number().unwrap().as_u128().unwrap(), left);
    assert_eq!(after["nonce"], 1);
    assert_eq!(paid.fee.checked_add(paid.amount), Some(Coins(FEE_AND_ONE)));
    // Bare digits, whatever the size: the SDK reads nothing else.
    let raw = served.get(&format!("/v3/accounts/{}", account(2))).await.body;
    assert!(raw.contains(r#""balance":10000000000000000000001,"#), "{raw}");
}

const FEE_AND_ONE: u128 = 40_000_000_000_001;

#[tokio::test]
async fn every_answer_carries_its_height() {
    let served = served().await;
    served.key_blocks(4);
    for path in ["/v3/status", "/v2/status", "/v3/nothing", "/v3/accounts/ak_oops", "/", "/api"] {
        let reply = served.get(path).await;
        assert_eq!(reply.header("x-ae-height"), Some("5"), "{path}");
        // No page asked.
        assert_eq!(reply.header("access-control-allow-origin"), None, "{path}");
        let kind = (!reply.body.is_empty()).then_some("application/json");
        assert_eq!(reply.header("content-type"), kind, "{path}");
    }
}

#[tokio::test]
async fn a_page_of_any_origin_may_ask() {
    let served = served().await;
    let asked = "OPTIONS /v3/transactions HTTP/1.1\r\nOrigin: https://wallet.example\r\n\
                 Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n\r\n";
    let allowed = served.request(asked).await;
    assert_eq!((allowed.status, allowed.body.as_str()), (200, ""));
    assert_eq!(allowed.header("access-control-allow-headers"), Some("content-type"));
    let read = served.request("GET /v3/nothing HTTP/1.1\r\nOrigin: https://wallet.example\r\n\r\n").await;
    assert_eq!(read.header("access-control-allow-headers"), None);
    for reply in [allowed, read] {
        for (name, value) in [
            ("access-control-allow-origin", "https://wallet.example"),
            ("access-control-allow-methods", "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"),
            ("access-control-allow-credentials", "true"),
            ("access-control-expose-headers", "retry-after, x-ae-height"),
            ("access-control-max-age", "1800"),
            ("vary", "origin"),
            ("x-ae-height", "1"),
        ] {
            assert_eq!(reply.header(name), Some(value), "{name}");
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let served = served().await;
    // The SDK asks for the contracts of a hyperchain, on networks that it does not know, and must find no reason.
    for path in [
        "/",
        "/v3",
        "/v4/status",
        "/v3/blocks/top",
        "/v2/headers/top",
        "/v2/currency",
        "/v3/accounts",
        "/v3/hyperchain/contracts",
    ] {
        let reply = served.get(path).await;
        assert_eq!((reply.status, reply.body.as_str()), (404, ""), "{path}");
    }
    for (reply, allowed) in [
        (served.post("/v3/status", "{}").await, "GET,HEAD"),
        (served.get("/v3/transactions").await, "POST"),
        (served.request("DELETE /v3/status HTTP/1.1\r\n\r\n").await, "GET,HEAD"),
    ] {
        assert_eq!((reply.status, reply.body.as_str()), (405, ""));
        assert_eq!(reply.header("allow"), Some(allowed));
    }
}

#[tokio::test]
async fn a_parameter_that_does_not_fit_is_named() {
    let served = served().await;
    let account = account(1);
    let channel = "ch_11111111111111111111111111111111273Yts";
    for (path, expected) in [
        ("/accounts/ak_oops".to_owned(), json!([400, "invalid_encoding", "Invalid public key"])),
        (format!("/accounts/{channel}"), json!([400, "invalid_prefix", "Invalid public key"])),
        (format!("/accounts/{account}x"), json!([400, "invalid_encoding", "Invalid public key"])),
        ("/accounts/%ff".to_owned(), json!([400, null, null])),
        (format!("/accounts/{channel}/next-nonce"), json!([400, "invalid_prefix", "Invalid public key"])),
        (
            format!("/accounts/{channel}/transactions/pending"),
            json!([400, "invalid_prefix", "Invalid public key"]),
        ),
        (format!("/channels/{account}"), json!([400, "invalid_prefix", "Invalid public key"])),
        (format!("/channels/{channel}"), json!([404, "not_found", "Channel not found"])),
        ("/channels/hello".to_owned(), json!([400, "invalid_encoding", "Invalid public key"])),
        (format!("/transactions/{account}"), json!([400, "invalid_prefix", "Invalid hash"])),
        ("/transactions/th_".to_owned(), json!([400, "invalid_encoding", "Invalid hash"])),
        ("/transactions/th_/info".to_owned(), json!([400, null, "Invalid hash: hash"])),
        ("/key-blocks/hash/kh_1".to_owned(), json!([400, null, "Invalid hash"])),
        (format!("/key-blocks/hash/{ZERO_KEY_HASH}"), json!([404, null, "Block not found"])),
        ("/key-blocks/height/2".to_owned(), json!([404, "chain_too_short", "Block not found"])),
        ("/generations/height/2".to_owned(), json!([404, null, "Chain too short"])),
        (format!("/generations/hash/{ZERO_KEY_HASH}"), json!([400, null, "Hash not on main chain"])),
        ("/generations/hash/mh_1".to_owned(), json!([400, "invalid_encoding", "Invalid hash"])),
        (
            format!("/micro-blocks/hash/{ZERO_KEY_HASH}/header"),
            json!([400, "invalid_prefix", "Invalid hash"]),
        ),
        (
            format!("/micro-blocks/hash/{ZERO_KEY_HASH}/transactions/index/1"),
            json!([400, null, "Invalid hash or index"]),
        ),
        (
            "/key-blocks/pending".to_owned(),
            json!([400, "beneficiary_not_configured", "Beneficiary not configured"]),
        ),
        ("/sync-status".to_owned(), json!([404, null, "Node is not syncing"])),
    ] {
        for version in ["v2", "v3"] {
            assert_eq!(served.get(&format!("/{version}{path}")).await.error(), expected, "{path}");
        }
    }
}

#[tokio::test]
async fn a_number_or_a_choice_that_does_not_fit_is_named() {
    let served = served().await;
    let nonce = format!("/v3/accounts/{}/next-nonce", account(1));
    let block = format!("/v3/micro-blocks/hash/{ZERO_KEY_HASH}/transactions");
    let oracle = "/v3/oracles/ok_oops/queries";
    for (path, parameter, error, data) in [
        ("/v3/key-blocks/height/high", "height", "wrong_type", "high"),
        ("/v3/generations/height/1.5", "height", "wrong_type", "1.5"),
        ("/v3/key-blocks/height/-1", "height", "not_in_range", "-1"),
        ("/v3/key-blocks/height/18446744073709551616", "height", "not_in_range", "18446744073709551616"),
        (&format!("{nonce}?strategy=min"), "strategy", "not_in_enum", "min"),
        ("/v3/status?int-as-string=yes", "int-as-string", "wrong_type", "yes"),
        ("/v3/status?int-as-string=1", "int-as-string", "wrong_type", "1"),
        (&format!("{block}/index/0"), "index", "not_in_range", "0"),
        (&format!("{block}/index/last"), "index", "wrong_type", "last"),
        (&format!("{oracle}?limit=1001"), "limit", "not_in_range", "1001"),
        (&format!("{oracle}?limit=x"), "limit", "wrong_type", "x"),
        (&format!("{oracle}?type=late"), "type", "not_in_enum", "late"),
    ] {
        let reply = served.get(path).await;
        let info = json!({ "error": error, "data": data });
        let expected = json!({ "reason": "validation_error", "parameter": parameter, "info": info });
        assert_eq!((reply.status, reply.json()), (400, expected), "{path}");
    }
}

#[tokio::test]
async fn integers_come_as_strings_where_asked_for() {
    let served = served().await;
    let path = format!("/v3/accounts/{}", account(2));
    let texts = served.ok(&format!("{path}?int-as-string=true&__sdk-retry=1")).await;
    assert_eq!(texts["balance"], "10000000000000000000000");
    assert_eq!(texts["nonce"], "0");
    let status = served.ok("/v3/status?int-as-string=TRUE").await;
    assert_eq!((&status["top_block_height"], &status["sync_progress"]), (&json!("1"), &json!(100.0)));
    let numbers = served.ok(&format!("{path}?int-as-string=false")).await;
    assert_eq!(numbers["nonce"], 0);
    // The older interface does not know the parameter, whatever it says.
    let old = path.replace("/v3", "/v2");
    for flag in ["true", "yes"] {
        assert_eq!(served.ok(&format!("{old}?int-as-string={flag}")).await["nonce"], 0);
    }
}

#[tokio::test]
async fn a_chain_that_takes_nothing_says_so() {
    let served = served_as(true).await;
    let reply = served.send(&spend(1)).await;
    assert_eq!((reply.status, reply.json()), (503, json!({ "reason": "the chain is closed" })));
    assert_eq!(reply.header("retry-after"), Some("3"));
    assert_eq!(served.get("/v3/status").await.status, 200);
}

#[tokio::test]
async fn a_kept_connection_serves_on_and_ends_with_the_server() {
    let mut served = served().await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    let mut reply = vec![0; 4096];
    for _ in 0..2 {
        stream
            .write_all(b"GET /v3/key-blocks/current/height HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await
            .unwrap();
        let size = stream.read(&mut reply).await.unwrap();
        assert!(reply[..size].ends_with(b"{\"height\":1}"), "{:?}", String::from_utf8_lossy(&reply[..size]));
    }
    served.stop.take().unwrap().send(()).unwrap();
    (&mut served.task).await.unwrap();
    assert_eq!(stream.read(&mut reply).await.unwrap(), 0);
    assert!(TcpStream::connect(served.address).await.is_err());
}

#[tokio::test]
async fn both_interfaces_give_the_same() {
    let served = served().await;
    served.take(&spend(1)).await;
    served.mine();
    let height = served.chain().top_height();
    for path in [
        format!("/accounts/{}", account(1)),
        format!("/transactions/{}", spend(1).hash()),
        format!("/generations/height/{height}"),
        "/key-blocks/current".to_owned(),
        "/generations/current".to_owned(),
    ] {
        assert_eq!(served.ok(&format!("/v2{path}")).await, served.ok(&format!("/v3{path}")).await, "{path}");
    }
    let top = served.ok("/v3/headers/top").await;
    assert_eq!(served.ok("/v2/blocks/top").await, json!({ "micro_block": top }));
    served.key_blocks(1);
    let top = served.ok("/v3/headers/top").await;
    assert_eq!(served.ok("/v2/blocks/top").await, json!({ "key_block": top }));
}
