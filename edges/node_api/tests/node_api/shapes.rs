//! Which fields answers have, and how they hang together.

use serde_json::{Value, json};
use strait_encoding::{KeyBlockHash, MicroBlockHash};
use strait_ledger::ChainView;
use strait_node_api::Limits;

use crate::support::{Served, account, config, served, served_within, spend};

fn fields(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn status_says_what_the_sdk_checks() {
    let served = served().await;
    served.take(&spend(2)).await;
    let status = served.ok("/v3/status").await;
    let chain = served.chain();
    assert_eq!(status["genesis_key_block_hash"], chain.genesis().to_string());
    assert_eq!(status["top_key_block_hash"], chain.top().header.key_hash().to_string());
    assert_eq!((&status["network_id"], &status["top_block_height"]), (&json!("ae_dev"), &json!(1)));
    assert_eq!(status["pending_transactions_count"], 1);
    assert_eq!((&status["syncing"], &status["listening"]), (&json!(false), &json!(true)));
    assert_eq!(
        (&status["peer_count"], &status["peer_connections"]),
        (&json!(0), &json!({ "inbound": 0, "outbound": 0 }))
    );
    let protocols =
        json!([{ "version": 6, "effective_at_height": 1 }, { "version": 1, "effective_at_height": 0 }]);
    assert_eq!(status["protocols"], protocols);
    // From 7.1.0 to below 8.0.0, without what follows the plus.
    let version: Vec<u64> = status["node_version"]
        .as_str()
        .unwrap()
        .split('+')
        .next()
        .unwrap()
        .split('.')
        .map(|part| part.parse().unwrap())
        .collect();
    assert!(version >= vec![7, 1, 0] && version < vec![8, 0, 0], "{version:?}");
    let required = [
        "difficulty",
        "genesis_key_block_hash",
        "hashrate",
        "listening",
        "network_id",
        "node_revision",
        "node_version",
        "peer_connections",
        "peer_count",
        "peer_pubkey",
        "pending_transactions_count",
        "protocols",
        "solutions",
        "sync_progress",
        "syncing",
        "top_block_height",
        "top_key_block_hash",
        "uptime",
    ];
    assert_eq!(fields(&status), required);
}

#[tokio::test]
async fn a_node_says_more_of_itself() {
    let served = served().await;
    let status = served.ok("/v3/status").await;
    let ends = served.ok("/v3/status/chain-ends").await;
    assert_eq!(ends, json!([status["top_key_block_hash"]]));
    let peer = served.ok("/v3/peers/pubkey").await;
    assert_eq!(peer, json!({ "pubkey": status["peer_pubkey"] }));
    let currency = served.ok("/v3/currency").await;
    assert_eq!(currency["subunits_per_unit"], 10_u64.pow(18));
    assert_eq!((&currency["symbol"], &currency["network_name"]), (&json!("AE"), &json!("ae_dev")));
}

#[tokio::test]
async fn an_account_is_found_by_its_key_also_as_a_contract() {
    let served = served().await;
    let id = account(3).to_string();
    let expected = json!({
        "id": id, "balance": 10_u128.pow(22), "nonce": 0, "payable": true, "kind": "basic"
    });
    assert_eq!(served.ok(&format!("/v3/accounts/{id}")).await, expected);
    let as_contract = strait_encoding::ContractId(account(3).0);
    assert_eq!(served.ok(&format!("/v3/accounts/{as_contract}")).await, expected);

    let nobody = account(9);
    let reply = served.get(&format!("/v3/accounts/{nobody}")).await;
    // The SDK compares the text.
    assert_eq!((reply.status, reply.json()), (404, json!({ "reason": "Account not found" })));
    let next = served.get(&format!("/v3/accounts/{nobody}/next-nonce")).await;
    assert_eq!(next.error(), json!([404, "account_not_found", "Account not found"]));
    let pending = served.get(&format!("/v3/accounts/{nobody}/transactions/pending")).await;
    assert_eq!(pending.error(), json!([404, null, "Account not found"]));
}

#[tokio::test]
async fn an_account_is_found_as_it_was() {
    let mut config = config();
    config.kept_states = 3;
    let served = served_within(Limits::default(), config, false).await;
    let account = account(1);
    served.take(&spend(1)).await;
    served.mine();
    served.key_blocks(1);
    let block = served.ok("/v3/generations/height/1").await;
    let (key, micro) =
        (block["key_block"]["hash"].as_str().unwrap(), block["micro_blocks"][0].as_str().unwrap());
    // The state of a height is that of its key block: what the generation holds comes after it.
    let before = json!([10_u128.pow(22), 0]);
    let after = json!([10_u128.pow(22) - 40_000_000_000_001, 1]);
    for (path, expected) in [
        ("height/1".to_owned(), &before),
        (format!("hash/{key}"), &before),
        (format!("hash/{micro}"), &after),
        ("height/2".to_owned(), &after),
    ] {
        let found = served.ok(&format!("/v3/accounts/{account}/{path}")).await;
        assert_eq!(&json!([found["balance"], found["nonce"]]), expected, "{path}");
        assert_eq!(fields(&found), ["balance", "id", "kind", "nonce", "payable"]);
    }
    // A chain may keep the states of key blocks for longer, where another branch could begin.
    served.key_blocks(200);
    let top = served.ok("/v3/key-blocks/current/hash").await;
    let top = top["hash"].as_str().unwrap();
    let nobody = format!("/v3/accounts/{}", crate::support::account(9));
    let at = format!("/v3/accounts/{account}");
    for (path, expected) in [
        (format!("{at}/height/1"), json!([410, "garbage_collected", GARBAGE])),
        (format!("{at}/height/0"), json!([410, "garbage_collected", GARBAGE])),
        (format!("{at}/height/203"), json!([404, "chain_too_short", "Height not available"])),
        (format!("{at}/hash/{key}"), json!([404, "no_state_trees", "Hash not available"])),
        (format!("{at}/hash/{account}"), json!([400, null, "Illegal hash: invalid_prefix"])),
        (format!("{at}/hash/kh_oops"), json!([400, null, "Illegal hash: invalid_encoding"])),
        (format!("{nobody}/height/202"), json!([404, null, "Account not found"])),
        (format!("{nobody}/hash/{top}"), json!([404, null, "Account not found"])),
        ("/v3/accounts/ak_oops/height/3".to_owned(), json!([400, "invalid_encoding", "Invalid public key"])),
        (format!("{at}/height/x"), json!([400, null, "validation_error"])),
    ] {
        assert_eq!(served.get(&path).await.error(), expected, "{path}");
    }
}

const GARBAGE: &str = "State data at the requested height has been garbage-collected";

#[tokio::test]
async fn pending_transactions_are_listed_by_nonce() {
    let served = served().await;
    for nonce in [4, 2, 3] {
        served.take(&spend(nonce)).await;
    }
    let listed = served.ok(&format!("/v3/accounts/{}/transactions/pending", account(1))).await;
    let nonces: Vec<_> = listed["transactions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tx| tx["tx"]["nonce"].as_u64().unwrap())
        .collect();
    assert_eq!(nonces, [2, 3, 4]);
    let other = served.ok(&format!("/v3/accounts/{}/transactions/pending", account(2))).await;
    assert_eq!(other, json!({ "transactions": [] }));
}

const KEY_BLOCK: [&str; 11] = [
    "beneficiary",
    "hash",
    "height",
    "info",
    "miner",
    "prev_hash",
    "prev_key_hash",
    "state_hash",
    "target",
    "time",
    "version",
];

async fn key_block_at(served: &Served, height: u64) -> Value {
    served.ok(&format!("/v3/key-blocks/height/{height}")).await
}

#[tokio::test]
async fn blocks_are_chained_by_their_hashes() {
    let served = served().await;
    for nonce in [1, 2] {
        served.take(&spend(nonce)).await;
        served.mine();
    }
    served.key_blocks(1);
    let (genesis, first, second) =
        (key_block_at(&served, 0).await, key_block_at(&served, 1).await, key_block_at(&served, 2).await);
    let generation = served.ok("/v3/generations/height/1").await;
    assert_eq!(generation["key_block"], first);
    let micro: Vec<_> =
        generation["micro_blocks"].as_array().unwrap().iter().map(|hash| hash.as_str().unwrap()).collect();
    let [one, two] = micro[..] else { panic!("{micro:?}") };
    let header = async |hash: &str| served.ok(&format!("/v3/micro-blocks/hash/{hash}/header")).await;
    let (one, two) = (header(one).await, header(two).await);

    let links =
        [(&first, &genesis, &genesis), (&one, &first, &first), (&two, &one, &first), (&second, &two, &first)];
    for (block, before, key_block) in links {
        assert_eq!(block["prev_hash"], before["hash"]);
        assert_eq!(block["prev_key_hash"], key_block["hash"]);
    }
    assert_eq!(genesis["prev_hash"], KeyBlockHash::ZERO.to_string());
    for (block, height, version) in [(&genesis, 0, 1), (&first, 1, 6), (&second, 2, 6)] {
        assert_eq!(fields(block), KEY_BLOCK);
        assert_eq!((&block["height"], &block["version"]), (&json!(height), &json!(version)));
        assert!(block["hash"].as_str().unwrap().parse::<KeyBlockHash>().is_ok());
        let by_hash = served.ok(&format!("/v3/key-blocks/hash/{}", block["hash"].as_str().unwrap())).await;
        assert_eq!(&by_hash, block);
    }
    assert!(two["hash"].as_str().unwrap().parse::<MicroBlockHash>().is_ok());
    // The text form of no bytes: the prefix and the checksum alone.
    assert_eq!(second["info"], "cb_Xfbg4g==");

    assert_eq!(served.ok("/v3/key-blocks/current").await, second);
    assert_eq!(served.ok("/v3/key-blocks/current/hash").await, json!({ "hash": second["hash"] }));
    assert_eq!(served.ok("/v3/key-blocks/current/height").await, json!({ "height": 2 }));
    let current = json!({ "key_block": second, "micro_blocks": [] });
    assert_eq!(served.ok("/v3/generations/current").await, current);
    let by_hash = served.ok(&format!("/v3/generations/hash/{}", first["hash"].as_str().unwrap())).await;
    assert_eq!(by_hash, generation);
    let micro_as_key = KeyBlockHash(two["hash"].as_str().unwrap().parse::<MicroBlockHash>().unwrap().0);
    let reply = served.get(&format!("/v3/key-blocks/hash/{micro_as_key}")).await;
    assert_eq!(reply.error(), json!([404, "no_key_block", "Block not found"]));
    let key_as_micro = MicroBlockHash(first["hash"].as_str().unwrap().parse::<KeyBlockHash>().unwrap().0);
    let reply = served.get(&format!("/v3/micro-blocks/hash/{key_as_micro}/transactions")).await;
    assert_eq!(reply.error(), json!([404, "block_not_found", "Block not found"]));
}

#[tokio::test]
async fn gas_prices_are_those_of_recent_micro_blocks() {
    let served = served().await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = u64::try_from(now.as_millis()).unwrap();
    let empty = served.ok("/v3/recent-gas-prices").await;
    let zero = |minutes: u64| json!({ "minutes": minutes, "min_gas_price": 0, "utilization": 0 });
    assert_eq!(empty, json!([zero(1), zero(5), zero(15), zero(60)]));

    // Ten minutes ago: it counts from the third span on.
    for nonce in 1..=200 {
        served.chain().submit(spend(nonce)).unwrap_or_else(|error| panic!("{error}"));
        if nonce % 5 == 0 && nonce < 200 {
            // No more may wait at a time; these go into blocks of long ago.
            served.chain().mine_micro_block(now - 10 * 3_600_000);
        }
    }
    served.chain().mine_micro_block(now - 600_000).unwrap();
    let prices = served.ok("/v3/recent-gas-prices").await;
    assert_eq!((&prices[0], &prices[1]), (&zero(1), &zero(5)));
    for span in [2, 3] {
        // A spend of these counts 15,000 units and 20 for each of its bytes.
        let gas = 15_000 + 20 * u128::try_from(spend(200).unsigned_bytes().len()).unwrap();
        let price = 40_000_000_000_000_u128.div_ceil(gas);
        assert_eq!(prices[span]["min_gas_price"].as_number().unwrap().as_u128(), Some(price));
        assert_eq!(
            prices[span]["utilization"],
            u64::try_from((5 * gas * 100 + 3_000_000) / 6_000_000).unwrap()
        );
    }
}
