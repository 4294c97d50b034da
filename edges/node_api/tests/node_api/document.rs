//! The document at `/api`: it says what a node's says, and what it says is so.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use strait_encoding::text::{self, Prefix};
use strait_encoding::{Nonce, hash};
use strait_ledger::{CreateTx, SignedTx, SpendTx, Tx};

use crate::contracts::{attach_tx, meta, tally_tx};
use crate::recorded::{close_solo, create, deposit};
use crate::schema::wrong;
use crate::support::{Served, account, served, signed, spend, spend_tx};

const METHODS: [&str; 2] = ["get", "post"];

fn operations(document: &Value) -> BTreeMap<String, (String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let all = paths.iter().flat_map(|(path, methods)| {
        METHODS.iter().filter_map(move |method| Some((*method, path, methods.get(method)?)))
    });
    all.map(|(method, path, operation)| (format!("{method} {path}"), (path.clone(), operation.clone())))
        .collect()
}

fn rows(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    text.lines().filter(|line| !line.starts_with('#')).map(|line| line.split(' ').collect())
}

/// What the node has and this chain has not, and what it says instead.
const NEVER: [(&str, &str); 6] = [
    ("GetSyncStatus", "200"),
    ("GetPendingKeyBlock", "200"),
    ("GetNameEntryByName", "200"),
    ("GetNameEntryByNameHash", "200"),
    ("GetAuctionEntryByName", "200"),
    ("GetOracleByPubkey", "200"),
];

#[tokio::test]
async fn every_operation_of_a_node_is_there_by_its_name() {
    let document = served().await.ok("/api").await;
    assert_eq!((&document["openapi"], &document["servers"][0]["url"]), (&"3.0.0".into(), &"/v3".into()));
    let mut ours = operations(&document);
    for row in rows(include_str!("../vectors/operations.txt")) {
        let [method, path, name, statuses, params] = row[..] else { panic!("{row:?}") };
        let place = format!("{method} {path}");
        let (_, operation) = ours.remove(&place).unwrap_or_else(|| panic!("{place} is not there"));
        assert_eq!(operation["operationId"], name);
        let found: Vec<_> = operation["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["name"].as_str().unwrap())
            .collect();
        // The one operation that does not let its integers be strings has none.
        let expected = params
            .replace('-', " ")
            .replace("int as string", "int-as-string")
            .replace("query id", "query-id");
        let expected: Vec<_> = expected.split(',').filter(|name| *name != " ").collect();
        assert!(found == expected || name == "GetSyncStatus", "{place}: {found:?} {expected:?}");
        let success = operation["responses"].get("200").is_some();
        let never = NEVER.contains(&(name, "200")) || name == "GetOracleQueryByPubkeyAndQueryId";
        assert!(statuses.contains("200") && success != never, "{place}");
    }
    assert_eq!(ours.into_keys().collect::<Vec<_>>(), Vec::<String>::new());
}

#[tokio::test]
async fn objects_have_the_fields_of_a_nodes() {
    let document = served().await.ok("/api").await;
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for row in rows(include_str!("../vectors/schemas.txt")) {
        let (name, fields) = row.split_first().unwrap();
        let schema = &schemas[*name];
        let schema = schema.get("items").unwrap_or(schema);
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let required: Vec<_> = required.collect();
        for field in required
            .iter()
            .copied()
            .chain(schema["properties"].as_object().unwrap().keys().map(String::as_str))
        {
            let is_known = fields.iter().any(|known| known.trim_end_matches('!') == field);
            assert!(is_known || *name == "Error", "{name}.{field}");
        }
        for field in fields.iter().filter_map(|field| field.strip_suffix('!')) {
            assert!(required.contains(&field), "{name}.{field}");
        }
    }
}

/// A chain with something of all that it can have, and the parameters that name it.
async fn lively() -> (Served, Vec<BTreeMap<&'static str, String>>) {
    let served = served().await;
    let create = create();
    served.take(&signed(create.clone(), &[1, 2])).await;
    served.mine();
    served.take(&deposit(create.channel_id(), 2)).await;
    served.take(&close_solo(create.channel_id(), 3)).await;
    served.mine();
    served.key_blocks(1);
    let other = CreateTx { nonce: Nonce(4), ..create.clone() };
    served.take(&signed(other, &[1, 2])).await;
    served.mine();
    let (made, contract) = (signed(tally_tx(5), &[1]), hash::contract_id(account(1), 5));
    let (attached, authorized) =
        (signed(attach_tx(), &[3]), SpendTx { sender_id: account(3), ..spend_tx(0) });
    served.take(&made).await;
    served.take(&attached).await;
    served.mine();
    let authorized = meta(1, SignedTx::unsigned(authorized));
    served.take(&authorized).await;
    served.mine();
    let (mined, waiting) = (deposit(create.channel_id(), 2).hash().to_string(), spend(6));
    served.take(&waiting).await;
    let block =
        served.ok(&format!("/v3/transactions/{mined}")).await["block_hash"].as_str().unwrap().to_owned();
    let key_block = served.ok("/v3/key-blocks/current/hash").await["hash"].as_str().unwrap().to_owned();
    let nobody = account(9).to_string();
    let given = [
        [account(1).to_string(), mined, "1".into(), "1".into()],
        [create.channel_id().to_string(), waiting.hash().to_string(), "2".into(), "2".into()],
        [account(1).to_string(), block.clone(), "0".into(), "1".into()],
        [nobody, key_block, "99".into(), "9".into()],
        [contract.to_string(), made.hash().to_string(), "1".into(), "9".into()],
        [account(3).to_string(), authorized.hash().to_string(), "1".into(), "9".into()],
        ["ok_11111111111111111111111111111111273Yts".into(), block, "1".into(), "9".into()],
        ["ak_oops".into(), "th_oops".into(), "-1".into(), "0".into()],
    ];
    let given = given.map(|[key, hash, height, index]| {
        let names = [("name", "a.chain"), ("name_hash", "nm_oops"), ("query-id", "oq_oops")];
        let names = names.map(|(name, value)| (name, value.to_owned()));
        let rest = [("pubkey", key), ("hash", hash), ("height", height), ("index", index)];
        rest.into_iter().chain(names).collect()
    });
    (served, given.into())
}

#[tokio::test]
async fn every_answer_is_as_the_document_says() {
    let (served, given) = lively().await;
    let document = served.ok("/api").await;
    let mut successes = BTreeMap::new();
    let tries = [Tx::from(tally_tx(6)), spend_tx(7).into()];
    let tries = tries.map(|tx| json!({ "tx": text::encode(Prefix::Transaction, &tx.encode()) }));
    let body = json!({ "tx": "tx_oops", "txs": tries, "tx_events": true }).to_string();
    for (place, (path, operation)) in operations(&document) {
        for given in &given {
            let path = given
                .iter()
                .fold(path.clone(), |path, (name, value)| path.replace(&format!("{{{name}}}"), value));
            for query in ["", "?int-as-string=true", "?int-as-string=maybe"] {
                let path = format!("/v3{path}{query}");
                let reply = match place.starts_with("get") {
                    true => served.get(&path).await,
                    false => served.post(&path, &body).await,
                };
                let response = operation["responses"].get(reply.status.to_string());
                let response =
                    response.unwrap_or_else(|| panic!("{path}: {} is not described", reply.status));
                let schema = &response["content"]["application/json"]["schema"];
                assert_eq!(wrong(&document, schema, &reply.json(), &path), None);
                *successes.entry(place.clone()).or_insert(0) += u32::from(reply.status == 200);
            }
        }
    }
    // So that what is said of success was looked at; a transaction is sent elsewhere.
    for (place, (_, operation)) in operations(&document) {
        let promised = operation["responses"].get("200").is_some() && place != "post /transactions";
        assert_eq!(promised, successes[&place] > 0, "{place}");
    }
}
