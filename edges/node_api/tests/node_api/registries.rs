//! What is not there: contracts that nobody made; names and oracles, of which this chain has none.

use serde_json::json;

use crate::support::{account, served};

const CONTRACT: &str = "ct_11111111111111111111111111111111273Yts";
const ORACLE: &str = "ok_11111111111111111111111111111111273Yts";
const QUERY: &str = "oq_11111111111111111111111111111111273Yts";
const NAME_HASH: &str = "nm_11111111111111111111111111111111273Yts";

#[tokio::test]
async fn contracts_are_not_found() {
    let served = served().await;
    let account = account(1);
    for (path, expected) in [
        (format!("/contracts/{CONTRACT}"), json!([404, "not_present", "Contract not found"])),
        (format!("/contracts/{CONTRACT}/code"), json!([404, "not_present", "Contract not found"])),
        (format!("/contracts/{CONTRACT}/poi"), json!([404, null, "Proof for contract not found"])),
        (format!("/contracts/{account}"), json!([400, null, "Invalid public key"])),
        (format!("/contracts/{account}/code"), json!([400, "invalid_prefix", "Invalid public key"])),
        ("/contracts/ct_/code".to_owned(), json!([400, "invalid_encoding", "Invalid public key"])),
        (format!("/contracts/{account}/poi"), json!([400, null, "Invalid hash: pubkey"])),
        (format!("/accounts/{CONTRACT}"), json!([404, null, "Account not found"])),
    ] {
        for version in ["v2", "v3"] {
            assert_eq!(served.get(&format!("/{version}{path}")).await.error(), expected, "{path}");
        }
    }
}

#[tokio::test]
async fn names_are_not_found() {
    let served = served().await;
    let invalid = |code: &str| json!([400, code, format!("Name validation failed with a reason: {code}")]);
    let none = json!([404, "name_not_found", "Name not found"]);
    for (path, expected) in [
        ("/v3/names/somebody.chain", none.clone()),
        ("/v2/names/somebody.chain", none.clone()),
        ("/v3/names/na%C3%AFve.chain", none.clone()),
        ("/v3/auctions/somebody.chain", none.clone()),
        (&format!("/v3/names/hash/{NAME_HASH}"), none),
        ("/v3/names/somebody", invalid("no_registrar")),
        ("/v3/names/somebody.aet", invalid("registrar_unknown")),
        ("/v3/auctions/a.b.chain", invalid("multiple_namespaces")),
        ("/v3/names/hash/nm_oops", json!([400, "invalid_encoding", "Invalid name hash"])),
        (&format!("/v3/names/hash/{CONTRACT}"), json!([400, "invalid_prefix", "Invalid name hash"])),
    ] {
        assert_eq!(served.get(path).await.error(), expected, "{path}");
    }
}

#[tokio::test]
async fn oracles_are_not_found() {
    let served = served().await;
    for (path, expected) in [
        (format!("/oracles/{ORACLE}"), json!([404, "not_found", "Oracle not found"])),
        (format!("/oracles/{CONTRACT}"), json!([400, "invalid_prefix", "Invalid public key"])),
        (format!("/oracles/{CONTRACT}/queries"), json!([400, "invalid_prefix", "Invalid public key"])),
        (format!("/oracles/{ORACLE}/queries/{QUERY}"), json!([404, "not_found", "Query not found"])),
        (
            format!("/oracles/{ORACLE}/queries/oq_oops"),
            json!([400, "invalid_encoding", "Invalid public key or query ID"]),
        ),
        (
            format!("/oracles/{CONTRACT}/queries/{QUERY}"),
            json!([400, "invalid_prefix", "Invalid public key or query ID"]),
        ),
    ] {
        for version in ["v2", "v3"] {
            assert_eq!(served.get(&format!("/{version}{path}")).await.error(), expected, "{path}");
        }
    }
    let path = format!("/v3/oracles/{ORACLE}/queries?limit=1000&type=open&from={QUERY}");
    assert_eq!(served.ok(&path).await, json!({ "oracle_queries": [] }));
}
