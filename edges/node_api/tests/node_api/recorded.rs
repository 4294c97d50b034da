//! The same requests as were once made to a node, and its answers to them: `vectors/httpscen.out`.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use strait_encoding::text::{self, Prefix};
use strait_encoding::{AccountId, ChannelId, Coins, Height, Nonce, Round, Signature, StateHash};
use strait_ledger::{
    CloseSoloTx, CreateTx, Delegates, DepositTx, OffchainTx, Payload, ProofBytes, SettleTx, SignedTx,
    SpendTx, StateProof, Trees, initial_trees,
};

use crate::support::{FEE, Served, account, served, signed, spend, spend_tx};

/// What depends on the fees that were paid then, or is asked of another interface of the node.
const ELSEWHERE: &[&str] = &[
    "check-tx",
    "dropped from the pool after 90 s, 54 key blocks; now 200",
    "initiator balance exact",
    "responder balance exact",
    "settle while locked",
];

/// The recorded answers by their names.
struct Recorded(BTreeMap<&'static str, &'static str>);

impl Recorded {
    fn read() -> Self {
        let lines = include_str!("../vectors/httpscen.out").lines();
        let pairs = lines.filter_map(|line| {
            let line = line.strip_prefix("ok").unwrap_or(line).trim_start();
            // What was compared while it was recorded has a space before the colon, what was only noted has none, or no
            // colon at all.
            let ends = [" : ", ": ", " {"].into_iter().filter_map(|end| Some((line.find(end)?, end)));
            let (place, end) = ends.min_by_key(|(place, _)| *place)?;
            Some((&line[..place], line[place + end.len()..].trim_start()))
        });
        Self(pairs.collect())
    }

    /// An answer, each once.
    fn text(&mut self, name: &str) -> &'static str {
        self.0.remove(name).unwrap_or_else(|| panic!("{name:?} is not recorded, or asked for twice"))
    }

    fn json(&mut self, name: &str) -> Value {
        let text = self.text(name);
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{name}: {error} in {text}"))
    }
}

/// Whether two values look the same: the same fields and kinds, the same kind of id, whatever numbers and ids.
fn assert_alike(found: &Value, recorded: &Value, place: &str) {
    match (found, recorded) {
        (Value::Object(found), Value::Object(recorded)) => {
            assert_eq!(found.keys().collect::<Vec<_>>(), recorded.keys().collect::<Vec<_>>(), "{place}");
            for (name, value) in recorded {
                assert_alike(&found[name], value, &format!("{place}.{name}"));
            }
        }
        (Value::Array(found), Value::Array(recorded)) => {
            assert_eq!(found.len(), recorded.len(), "{place}");
            for (found, recorded) in found.iter().zip(recorded) {
                assert_alike(found, recorded, place);
            }
        }
        (Value::Number(found), Value::Number(recorded)) => {
            assert_eq!(found.is_f64(), recorded.is_f64(), "{place}")
        }
        (Value::String(found), Value::String(recorded)) => match recorded.split_once('_') {
            Some((kind, _)) if kind.len() == 2 => {
                assert!(found.starts_with(&format!("{kind}_")), "{place}: {found}")
            }
            _ => assert_eq!(found, recorded, "{place}"),
        },
        _ => assert_eq!(found, recorded, "{place}"),
    }
}

#[tokio::test]
async fn a_node_was_asked_the_same_and_answered_the_same() {
    let mut recorded = Recorded::read();
    refused(&mut recorded).await;
    waiting_and_mined(&mut recorded).await;
    channel(&mut recorded).await;
    dropped(&mut recorded).await;
    assert_eq!(recorded.0.into_keys().collect::<Vec<_>>(), ELSEWHERE);
}

/// Account 1 has used four nonces, at height 3.
async fn with_four_spends() -> Served {
    let served = served().await;
    for nonce in 1..=4 {
        served.take(&spend(nonce)).await;
    }
    served.mine();
    served.key_blocks(2);
    served
}

async fn refused(recorded: &mut Recorded) {
    let served = with_four_spends().await;
    let with_fee = |fee: u128| signed(SpendTx { fee: Coins(fee), ..spend_tx(5) }, &[1]);
    let deposit = deposit(ChannelId([7; 32]), 5);
    for (name, tx) in [
        ("nonce too low", signed(SpendTx { amount: Coins(2), ..spend_tx(4) }, &[1])),
        ("nonce +6", spend(10)),
        ("bad sig", signed(spend_tx(5), &[2])),
        ("leftover sig", signed(spend_tx(5), &[1, 2])),
        // A spend of these counts about 17,000 units of gas.
        ("fee below 10^6", with_fee(16_000_000_000)),
        ("fee below 10^9", with_fee(16_000_000_000_000)),
        ("ttl in the past", signed(SpendTx { ttl: Height(2), ..spend_tx(5) }, &[1])),
        ("deposit before the channel exists", deposit),
    ] {
        assert_eq!(served.send(&tx).await.error(), recorded.json(name), "{name}");
    }
    let bare = text::encode(Prefix::Transaction, spend(5).unsigned_bytes());
    for (name, tx) in [("unsigned bytes without envelope", bare.as_str()), ("bad base64", "tx_+++!")] {
        let reply = served.post("/v3/transactions", &json!({ "tx": tx }).to_string()).await;
        assert_eq!(reply.error(), recorded.json(name), "{name}");
    }
    let reply = served.post("/v3/transactions", "{}").await;
    // It was noted as the client's language writes it.
    let noted = recorded.text("missing field").replace('\'', "\"").replace('(', "[").replace(')', "]");
    assert_eq!(json!([reply.status, reply.json()]), serde_json::from_str::<Value>(&noted).unwrap());
}

async fn waiting_and_mined(recorded: &mut Recorded) {
    let served = with_four_spends().await;
    let ahead = spend(6);
    let reply = served.send(&ahead).await;
    assert_alike(&json!([reply.status, reply.json()]), &recorded.json("POST nonce+2, hash-signed"), "POST");
    let (tx, sender) = (format!("/v3/transactions/{}", ahead.hash()), format!("/v3/accounts/{}", account(1)));

    let waiting = served.ok(&tx).await;
    let view = json!([
        waiting["block_height"],
        waiting["block_hash"],
        waiting.as_object().unwrap().keys().collect::<Vec<_>>(),
        waiting["tx"].get("ttl").is_some(),
    ]);
    assert_eq!(view, recorded.json("pending view"));
    assert_eq!(served.send(&ahead).await.error(), recorded.json("repost pending"));
    let list = served.get(&format!("{sender}/transactions/pending")).await;
    // What was noted is cut off inside of the transaction.
    let noted =
        recorded.text("pending list").strip_prefix("[200, ").unwrap().replace(": ", ":").replace(", ", ",");
    let (start, _) = noted.split_once("tx_").unwrap();
    assert!(list.status == 200 && list.body.starts_with(start), "{list:?}");
    let info = served.get(&format!("{tx}/info")).await;
    assert_eq!(json!([info.status, info.json()["reason"]]), recorded.json("info of pending"));
    let next = served.get(&format!("{sender}/next-nonce?strategy=max")).await;
    assert_eq!(json!([next.status, next.json()["next_nonce"]]), recorded.json("next-nonce max"));
    let next = served.ok(&format!("{sender}/next-nonce?strategy=continuity")).await;
    assert_eq!(next["next_nonce"], recorded.json("next-nonce continuity"));

    served.take(&spend(5)).await;
    served.mine();
    let mined = served.ok(&tx).await;
    let first = served.ok(&format!("/v3/transactions/{}", spend(5).hash())).await;
    assert_eq!(
        json!(mined["block_height"] == 3 && first["block_hash"] == mined["block_hash"]),
        recorded.json("both mined")
    );
    assert_eq!(served.send(&ahead).await.error(), recorded.json("repost mined"));
    let info = served.get(&format!("{tx}/info")).await;
    assert_eq!(json!([info.status, info.json()["reason"]]), recorded.json("info of spend"));
    block_of(&served, recorded, &mined).await;
}

async fn block_of(served: &Served, recorded: &mut Recorded, mined: &Value) {
    let hash = mined["block_hash"].as_str().unwrap();
    let block = format!("/v3/micro-blocks/hash/{hash}");
    // The note is cut off, and leaves out the encoded transaction.
    let noted = recorded.text("mined");
    for field in ["block_hash", "block_height", "hash", "signatures", "tx"] {
        assert!(noted.contains(&format!("\"{field}\": ")) && mined.get(field).is_some(), "{field}");
    }
    for field in ["amount", "fee", "nonce", "payload", "recipient_id"] {
        assert!(noted.contains(&format!("\"{field}\": ")) && mined["tx"].get(field).is_some(), "{field}");
    }
    let header = served.get(&format!("{block}/header")).await;
    assert_alike(&json!([header.status, header.json()]), &recorded.json("header"), "header");
    let txs = served.get(&format!("{block}/transactions")).await;
    assert!(recorded.text("txs").starts_with(r#"[200, {"transactions": [{"block_hash": "mh_"#));
    assert_eq!((txs.status, &txs.json()["transactions"][1]), (200, mined));
    assert_eq!(served.ok(&format!("{block}/transactions/count")).await, json!({ "count": 2 }));
    let index = async |place: u32| served.get(&format!("{block}/transactions/index/{place}")).await;
    let statuses = format!("{} {}", index(1).await.status, index(0).await.status);
    assert_eq!(statuses, recorded.text("index 1 / 0"));
    assert_eq!(&index(2).await.json(), mined);
    assert_eq!(index(3).await.error(), json!([400, null, "Invalid hash or index"]));
    let generation = served.ok("/v3/generations/height/3").await;
    assert_eq!(
        json!(generation["micro_blocks"] == json!([hash])),
        recorded.json("generation lists micro block")
    );
}

async fn channel(recorded: &mut Recorded) {
    let served = served().await;
    let create = create();
    let tx = signed(create.clone(), &[1, 2]);
    let name = "create, signatures over hash, sent unsorted -> th of the sorted form";
    let reply = served.post("/v3/transactions", &json!({ "tx": unsorted(&tx) }).to_string()).await;
    assert_alike(&json!([reply.status, reply.json()]), &recorded.json(name), name);
    assert_eq!(reply.json()["tx_hash"], tx.hash().to_string());
    let stored = served.ok(&format!("/v3/transactions/{}", tx.hash())).await;
    // A signed transaction with two signatures; the recorded text is that of other accounts.
    assert!(recorded.text("encoded_tx is sorted").starts_with("\"tx_+"));
    assert_eq!(stored["encoded_tx"], tx.to_text());
    served.mine();

    let path = format!("/v3/channels/{}", create.channel_id());
    let open = served.get(&path).await;
    assert_eq!(json!(open.status), recorded.json("channel id derivation on a live node"));
    let noted = recorded.json("channel");
    assert_alike(&json!([open.status, open.json()]), &noted, "channel");
    let (open, noted) = (open.json(), &noted[1]);
    for field in
        noted.as_object().unwrap().keys().filter(|field| !field.ends_with("id") && *field != "state_hash")
    {
        assert_eq!(open[field], noted[field], "{field}");
    }

    served.take(&deposit(create.channel_id(), 2)).await;
    served.mine();
    let fields = async |names: &[&str]| {
        let channel = served.ok(&path).await;
        names.iter().map(|name| channel[name].clone()).collect::<Value>()
    };
    let after = fields(&["channel_amount", "initiator_amount", "responder_amount", "round"]).await;
    assert_eq!(after, recorded.json("after deposit"));
    dispute(&served, recorded, create.channel_id(), &path).await;
}

async fn dispute(served: &Served, recorded: &mut Recorded, id: ChannelId, path: &str) {
    served.take(&close_solo(id, 3)).await;
    served.mine();
    let channel = served.ok(path).await;
    let mut noted = recorded.json("after close_solo");
    // That one closed at height 112; the lock period is 12, as here.
    noted[4] = json!(noted[4].as_u64().unwrap() - 112 + 1);
    let names = ["initiator_amount", "responder_amount", "round", "solo_round", "locked_until"];
    assert_eq!(names.iter().map(|name| channel[name].clone()).collect::<Value>(), noted);

    let name = "settle sent before the slash result and before the lock ends is accepted into the pool";
    let settle = settle(id, 4);
    let reply = served.send(&settle).await;
    assert_alike(&json!([reply.status, reply.json()]), &recorded.json(name), name);
    let path_of_settle = format!("/v3/transactions/{}", settle.hash());
    while served.ok(&path_of_settle).await["block_height"] == -1 {
        served.key_blocks(1);
        served.mine();
    }
    let in_time = served.ok(&path_of_settle).await["block_height"] == channel["locked_until"];
    assert_eq!(json!(in_time), recorded.json("settle mined at locked_until or right after"));
    let gone = served.get(path).await;
    assert_eq!(json!([gone.status, gone.json()["reason"]]), recorded.json("channel gone"));
}

async fn dropped(recorded: &mut Recorded) {
    let served = served().await;
    let beyond = signed(SpendTx { amount: Coins(10_u128.pow(30)), ..spend_tx(1) }, &[1]);
    let reply = served.send(&beyond).await;
    assert_eq!(json!(reply.status), recorded.json("spend beyond balance is accepted into the pool"));
    let path = format!("/v3/transactions/{}", beyond.hash());
    for _ in 0..20 {
        assert_eq!(served.ok(&path).await["block_height"], -1);
        served.mine();
        served.key_blocks(1);
    }
    let gone = served.get(&path).await;
    assert_eq!((gone.status, gone.json()), (404, json!({ "reason": "Transaction not found" })));
    let again = served.send(&beyond).await;
    let noted = recorded.text("resend").replace('\'', "\"").replace('(', "[").replace(')', "]");
    assert_eq!(json!([again.status, again.json()]), serde_json::from_str::<Value>(&noted).unwrap());
}

/// The text of a transaction with its two signatures in the wrong order.
fn unsorted(tx: &SignedTx) -> String {
    let mut bytes = tx.encode();
    let [first, second] = tx.signatures() else { panic!("two signatures are needed") };
    let place = |bytes: &[u8], signature: &Signature| {
        bytes.windows(64).position(|window| window == signature.0).unwrap()
    };
    let (one, two) = (place(&bytes, first), place(&bytes, second));
    bytes[one..one + 64].copy_from_slice(&second.0);
    bytes[two..two + 64].copy_from_slice(&first.0);
    text::encode(Prefix::Transaction, &bytes)
}

fn balances(initiator: u128, responder: u128) -> Trees {
    initial_trees(account(1), account(2), Coins(initiator), Coins(responder))
}

pub fn create() -> CreateTx {
    CreateTx {
        initiator_id: account(1),
        initiator_amount: Coins(1000),
        responder_id: account(2),
        responder_amount: Coins(500),
        channel_reserve: Coins(10),
        lock_period: 12,
        ttl: Height(0),
        fee: FEE,
        delegate_ids: Delegates::Each { initiator: Vec::<AccountId>::new(), responder: Vec::new() },
        state_hash: balances(1000, 500).state_hash(),
        nonce: Nonce(1),
    }
}

pub fn deposit(channel_id: ChannelId, nonce: u64) -> SignedTx {
    let tx = DepositTx {
        channel_id,
        from_id: account(1),
        amount: Coins(7),
        ttl: Height(0),
        fee: FEE,
        state_hash: StateHash([3; 32]),
        round: Round(2),
        nonce: Nonce(nonce),
    };
    signed(tx, &[1, 2])
}

/// Closes with round 5, in which the balances are 900 and 607.
pub fn close_solo(channel_id: ChannelId, nonce: u64) -> SignedTx {
    let trees = balances(900, 607);
    let mut proof = StateProof::new(&trees);
    for number in [1, 2] {
        proof.add_account(&trees, account(number)).unwrap();
    }
    let agreed = OffchainTx { channel_id, round: Round(5), state_hash: trees.state_hash() };
    let tx = CloseSoloTx {
        channel_id,
        from_id: account(1),
        payload: Payload(signed(agreed, &[1, 2]).encode()),
        poi: ProofBytes(proof.encode()),
        ttl: Height(0),
        fee: FEE,
        nonce: Nonce(nonce),
    };
    signed(tx, &[1])
}

fn settle(channel_id: ChannelId, nonce: u64) -> SignedTx {
    let tx = SettleTx {
        channel_id,
        from_id: account(1),
        initiator_amount_final: Coins(900),
        responder_amount_final: Coins(607),
        ttl: Height(0),
        fee: FEE,
        nonce: Nonce(nonce),
    };
    signed(tx, &[1])
}
