//! Transactions that are only tried.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use strait_encoding::text::{self, Prefix};
use strait_encoding::{AccountId, Coins, ContractId, Nonce, TxHash};
use strait_fate::Value as Fate;
use strait_ledger::{Chain, ContractCallTx, ContractCreateTx, SignedTx, SpendTx, Tx};
use strait_node_api::{Node, Refused};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::contracts::{GAS, attach_tx, call, call_tx, data, meta, tally, tally_tx, value, with_tally};
use crate::support::{Served, account, config, post_text, request_of, served, signed, spend_tx};

const PATH: &str = "/v3/dry-run";

fn built(tx: impl Into<Tx>) -> Value {
    json!({ "tx": text::encode(Prefix::Transaction, &tx.into().encode()) })
}

fn request(call: &str, more: Value) -> Value {
    let calldata = text::encode(Prefix::ContractBytes, &data("Tally", call).0);
    let mut request = json!({ "contract": tally().to_string(), "calldata": calldata, "abi_version": 3 });
    for (name, value) in more.as_object().unwrap() {
        request[name] = value.clone();
    }
    json!({ "call_req": request })
}

async fn answer(served: &Served, body: &Value) -> Value {
    let reply = served.post(PATH, &body.to_string()).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

async fn results(served: &Served, txs: &[Value]) -> Vec<Value> {
    let answer = answer(served, &json!({ "txs": txs })).await;
    assert_eq!(answer.as_object().unwrap().len(), 1);
    answer["results"].as_array().unwrap().clone()
}

/// Kind of end and value of each call; the reason of each that is none.
fn ends(results: &[Value]) -> Vec<(&str, &str)> {
    results
        .iter()
        .map(|result| match result.get("call_obj") {
            Some(call) => (call["return_type"].as_str().unwrap(), call["return_value"].as_str().unwrap()),
            None => (result["result"].as_str().unwrap(), result["reason"].as_str().unwrap_or_default()),
        })
        .collect()
}

fn number(number: u64) -> String {
    value(Fate::Integer(number.into()))
}

#[tokio::test]
async fn transactions_are_tried_one_after_the_other_and_nothing_stays() {
    let served = with_tally().await;
    let before = served.chain().top_state().state_hash();
    let found = results(
        &served,
        &[
            built(call_tx(2, "add 4")),
            built(call_tx(3, "count -")),
            built(call_tx(4, "share 0")),
            built(call_tx(5, "add 0")),
            built(call_tx(5, "count -")),
            built(call_tx(6, "never -")),
            built(tally_tx(7)),
            built(spend_tx(8)),
            built(SpendTx { amount: Coins(10_u128.pow(30)), ..spend_tx(9) }),
            built(ContractCallTx { contract_id: ContractId([9; 32]), ..call_tx(9, "count -") }),
        ],
    )
    .await;
    let text = |text: &str| text::encode(Prefix::ContractBytes, text.as_bytes());
    let (seven, no_more) = (number(7), value(Fate::string("there must be more")));
    // Here it is said why one fails.
    let (division, gas) = (text("Arithmetic error: division by zero"), text("Out of gas"));
    let nothing = text("");
    let expected = [
        ("ok", seven.as_str()),
        ("ok", &seven),
        ("error", &division),
        ("revert", &no_more),
        ("error", "Internal error:\n  tx_nonce_already_used_for_account\n"),
        ("error", &gas),
        ("ok", &nothing),
        ("ok", ""),
        ("error", "Internal error:\n  insufficient_funds\n"),
        ("error", "Internal error:\n  contract_does_not_exist\n"),
    ];
    assert_eq!(ends(&found), expected);
    let kinds: Vec<_> = found.iter().map(|result| result["type"].as_str().unwrap()).collect();
    assert_eq!(kinds[5..8], ["contract_call", "contract_create", "spend"]);
    assert_eq!(found[5]["call_obj"]["gas_used"], GAS);
    assert_eq!(found[7], json!({ "type": "spend", "result": "ok" }));
    assert_eq!(served.chain().top_state().state_hash(), before);
    assert!(!served.chain().has_pending());
}

#[tokio::test]
async fn it_is_what_comes_of_the_transaction() {
    let served = with_tally().await;
    let [found] = &results(&served, &[built(call_tx(2, "add 4"))]).await[..] else { panic!() };
    let hash = served.take(&call(2, "add 4")).await;
    served.mine();
    let mined = served.ok(&format!("/v3/transactions/{hash}/info")).await;
    assert_eq!(*found, json!({ "type": "contract_call", "result": "ok", "call_obj": mined["call_info"] }));
}

#[tokio::test]
async fn a_call_can_be_described() {
    let served = with_tally().await;
    let stateful = json!({ "stateful": true });
    let found = results(
        &served,
        &[
            request("add 4", json!({})),
            request("count -", json!({})),
            request("add 4", json!({ "context": stateful })),
            request("count -", json!({ "nonce": 2, "gas": "5000" })),
            request("keep -", json!({ "amount": 11, "nonce": 2 })),
            request("keep -", json!({ "amount": "11", "caller": account(2).to_string() })),
            request("never -", json!({ "gas": 7, "nonce": 2 })),
        ],
    )
    .await;
    let out_of_gas = text::encode(Prefix::ContractBytes, b"Out of gas");
    let expected = [
        ("ok", number(7)),
        // The one before left nothing behind.
        ("ok", number(3)),
        ("ok", number(7)),
        ("ok", number(7)),
        ("ok", number(11)),
        ("ok", number(11)),
        ("error", out_of_gas),
    ];
    let expected: Vec<_> = expected.iter().map(|(kind, value)| (*kind, value.as_str())).collect();
    assert_eq!(ends(&found), expected);
    let mut nobody = [0; 32];
    nobody[31] = 1;
    assert_eq!(found[0]["call_obj"]["caller_id"], AccountId(nobody).to_string());
    assert_eq!(
        (&found[0]["call_obj"]["gas_price"], &found[6]["call_obj"]["gas_used"]),
        (&json!(1_000_000), &json!(7))
    );
    // Contracts of the older machine are meant where nothing is said.
    let mut old = request("count -", json!({}));
    old["call_req"].as_object_mut().unwrap().remove("abi_version");
    let found = results(&served, &[old]).await;
    assert_eq!(ends(&found), [("error", "Internal error:\n  wrong_abi_version\n")]);
}

#[tokio::test]
async fn accounts_can_be_given_what_they_have_not() {
    let served = with_tally().await;
    let by_nine = ContractCallTx { caller_id: account(9), ..call_tx(1, "count -") };
    let spend = SpendTx { sender_id: account(9), amount: Coins(10_u128.pow(29)), ..spend_tx(2) };
    let mut body = json!({ "txs": [built(by_nine), built(spend)] });
    let found = answer(&served, &body).await;
    let missing = ("error", "Internal error:\n  account_not_found\n");
    assert_eq!(ends(found["results"].as_array().unwrap()), [missing, missing]);
    let gift = json!({ "pub_key": account(9).to_string(), "amount": "100000000000000000000000000000" });
    body["accounts"] = json!([gift, { "pub_key": account(9).to_string(), "amount": 10_u64.pow(18) }]);
    let found = answer(&served, &body).await;
    assert_eq!(ends(found["results"].as_array().unwrap()), [("ok", number(3).as_str()), ("ok", "")]);
    body["accounts"][1]["amount"] = json!(u128::MAX);
    let reply = served.post(PATH, &body.to_string()).await;
    assert_eq!(reply.error(), json!([400, null, "Bad request: an amount exceeds 128 bits"]));
}

#[tokio::test]
async fn it_begins_behind_the_block_that_is_named() {
    let served = with_tally().await;
    let before = served.ok("/v3/headers/top").await["hash"].clone();
    served.take(&call(2, "add 4")).await;
    served.mine();
    let after = served.ok("/v3/headers/top").await["hash"].clone();
    served.key_blocks(2);
    let key_block = served.ok("/v3/key-blocks/current/hash").await["hash"].clone();
    for (top, count, height) in [(&before, 3, 1), (&after, 7, 1), (&key_block, 7, 3)] {
        let found = answer(&served, &json!({ "top": top, "txs": [request("count -", json!({}))] })).await;
        let call = &found["results"][0]["call_obj"];
        assert_eq!(
            (&call["return_value"], &call["height"]),
            (&json!(number(count)), &json!(height)),
            "{top}"
        );
    }
    let found = results(&served, &[request("count -", json!({}))]).await;
    assert_eq!(found[0]["call_obj"]["height"], 3);
}

#[tokio::test]
async fn a_transaction_that_waits_is_known_by_its_hash() {
    let served = with_tally().await;
    served.take(&signed(attach_tx(), &[3])).await;
    served.mine();
    let waiting = served.take(&call(2, "add 4")).await;
    let by_three = SpendTx { sender_id: account(3), ..spend_tx(0) };
    let authorized = served.take(&meta(1, SignedTx::unsigned(by_three))).await;
    let txs = json!([{ "tx_hash": waiting }, { "tx_hash": authorized }, request("count -", json!({}))]);
    let found = answer(&served, &json!({ "txs": txs, "tx_events": true })).await;
    let list = found["results"].as_array().unwrap();
    assert_eq!(ends(list), [("ok", number(7).as_str()), ("ok", ""), ("ok", number(7).as_str())]);
    assert_eq!((&list[1]["type"], &found["tx_events"]), (&json!("ga_meta_tx"), &json!([])));
    served.mine();
    let reply = served.post(PATH, &json!({ "txs": txs }).to_string()).await;
    assert_eq!(reply.error(), json!([400, null, "Bad request: Transaction not found in mempool"]));
}

#[tokio::test]
async fn a_generalized_account_is_not_asked_to_authenticate() {
    let served = with_tally().await;
    served.take(&signed(attach_tx(), &[3])).await;
    served.mine();
    let by_three = |nonce| ContractCallTx { caller_id: account(3), ..call_tx(nonce, "add 4") };
    let found = results(
        &served,
        &[
            built(by_three(0)),
            built(by_three(0)),
            built(ContractCreateTx { owner_id: account(3), ..tally_tx(0) }),
            built(SpendTx { sender_id: account(3), ..spend_tx(0) }),
            built(by_three(2)),
            built(ContractCallTx { nonce: Nonce(0), ..call_tx(0, "count -") }),
        ],
    )
    .await;
    let (seven, eleven, nothing) = (number(7), number(11), text::encode(Prefix::ContractBytes, b""));
    assert_eq!(ends(&found)[..4], [("ok", seven.as_str()), ("ok", &eleven), ("ok", &nothing), ("ok", "")]);
    assert_eq!((&found[1]["call_obj"]["caller_nonce"], &found[4]["result"]), (&json!(0), &json!("error")));
    // What it makes stands where account and nonce say.
    let made = strait_encoding::hash::contract_id(account(3), 0);
    assert_eq!(found[2]["call_obj"]["contract_id"], made.to_string());
    assert_eq!(found[4]["reason"], "Internal error:\n  nonce_in_ga_tx_should_be_zero\n");
    // A basic account has to say its nonce.
    assert_eq!(found[5]["result"], "error");
}

#[tokio::test]
async fn there_is_a_limit_to_the_gas_of_all() {
    let served = with_tally().await;
    let most = |gas: u64| request("count -", json!({ "gas": gas }));
    let five = || (0..5).map(|_| request("count -", json!({}))).collect::<Vec<_>>();
    let call = |gas: u64| built(ContractCallTx { gas, ..call_tx(2, "count -") });
    let waiting = served.take(&signed(ContractCallTx { gas: 700_000, ..call_tx(2, "count -") }, &[1])).await;
    let greedy = served.take(&signed(ContractCallTx { gas: 900_000, ..call_tx(3, "count -") }, &[1])).await;
    for (mut txs, last, is_over) in [
        (five(), most(1_000_000), false),
        (five(), most(1_000_001), true),
        (five(), request("count -", json!({ "gas": "1000001" })), true),
        (five(), request("count -", json!({ "gas": 10_u128.pow(30) })), true),
        // A transaction counts what it would in a block.
        (vec![], call(6_000_000), true),
        (vec![], call(5_700_000), false),
        (five(), json!({ "tx_hash": waiting }), false),
        (five(), json!({ "tx_hash": greedy }), true),
    ] {
        txs.push(last);
        let reply = served.post(PATH, &json!({ "txs": txs }).to_string()).await;
        if is_over {
            assert_eq!((reply.status, reply.json()), (403, json!({ "reason": "Over the gas limit" })));
        } else {
            assert_eq!(reply.status, 200, "{reply:?}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_tried_is_named() {
    let served = served().await;
    let hash = |prefix| text::encode(prefix, &[9; 32]);
    let wrapped = meta(1, SignedTx::unsigned(spend_tx(0)));
    let request = |name: &str, value: Value| {
        let mut request = request("count -", json!({}));
        request["call_req"][name] = value;
        json!({ "txs": [request] })
    };
    let unfit = |name: &str| format!("Internal error bad_dry_run_call_request: {name}");
    for (body, why) in [
        (
            json!({ "txs": [], "top": hash(Prefix::TxHash) }),
            "top should be micro block hash or key block hash".to_owned(),
        ),
        (json!({ "txs": [], "top": "oops" }), "top should be micro block hash or key block hash".to_owned()),
        (json!({ "txs": [], "top": hash(Prefix::MicroBlock) }), "Invalid hash provided".to_owned()),
        (json!({ "txs": [{}] }), "one of tx, tx_hash and call_req must be there".to_owned()),
        (json!({ "txs": [{ "tx": "tx_oops" }] }), "invalid_encoding".to_owned()),
        (json!({ "txs": [{ "tx": account(1).to_string() }] }), "invalid_prefix".to_owned()),
        (json!({ "txs": [{ "tx": "tx_Xfbg4g==" }] }), "malformed transaction".to_owned()),
        (json!({ "txs": [{ "tx": call(1, "count -").to_text() }] }), "malformed transaction".to_owned()),
        (
            json!({ "txs": [built(wrapped.tx().clone())] }),
            "Unsupported transaction type ga_meta_tx".to_owned(),
        ),
        (json!({ "txs": [{ "tx_hash": "th_oops" }] }), "invalid_encoding".to_owned()),
        (
            json!({ "txs": [{ "tx_hash": hash(Prefix::TxHash) }] }),
            "Transaction not found in mempool".to_owned(),
        ),
        (
            json!({ "txs": [], "accounts": [{ "pub_key": tally().to_string(), "amount": 1 }] }),
            "invalid_prefix".to_owned(),
        ),
        (request("caller", json!(tally().to_string())), unfit("caller")),
        (request("contract", json!(account(1).to_string())), unfit("contract")),
        (request("calldata", json!("cb_oops")), unfit("calldata")),
        (request("amount", json!("1".repeat(50))), unfit("amount")),
        (
            request("context", json!({ "tx_hash": hash(Prefix::TxHash) })),
            "a call cannot be given something to authenticate here".to_owned(),
        ),
    ] {
        let reply = served.post(PATH, &body.to_string()).await;
        assert_eq!(reply.error(), json!([400, null, format!("Bad request: {why}")]), "{body}");
        let debug = served.post("/v3/debug/transactions/dry-run", &body.to_string()).await;
        assert_eq!((debug.status, debug.body), (reply.status, reply.body));
    }
    // A machine is asked for nothing.
    assert_eq!(answer(&served, &json!({ "txs": [] })).await, json!({ "results": [] }));
}

#[tokio::test]
async fn a_state_that_is_not_kept_is_named() {
    let mut config = config();
    config.kept_states = 1;
    let served = crate::support::served_within(strait_node_api::Limits::default(), config, false).await;
    let old = served.ok("/v3/headers/top").await["hash"].clone();
    served.key_blocks(200);
    let reply = served.post(PATH, &json!({ "txs": [], "top": old }).to_string()).await;
    let reason = "Bad request: Block state of given hash was garbage collected";
    assert_eq!(reply.error(), json!([400, null, reason]));
}

/// A chain that is not shown to whoever looks at it the second time until that is allowed.
struct Slow {
    chain: Arc<Chain>,
    looks: AtomicUsize,
    began: mpsc::UnboundedSender<()>,
    goes_on: Mutex<std::sync::mpsc::Receiver<()>>,
}

impl Node for Slow {
    fn view(&self) -> Arc<Chain> {
        // First for the height that stands in the answer, then for the answer.
        if self.looks.fetch_add(1, Ordering::SeqCst) == 1 {
            self.began.send(()).unwrap();
            let goes_on = self.goes_on.lock().unwrap().recv_timeout(Duration::from_secs(30));
            goes_on.expect("nobody was answered meanwhile");
        }
        Arc::clone(&self.chain)
    }

    async fn submit(&self, _: SignedTx) -> Result<TxHash, Refused> {
        Err(Refused::Unavailable("it is slow".to_owned()))
    }
}

#[tokio::test]
async fn others_are_answered_meanwhile() {
    let (began, mut has_begun) = mpsc::unbounded_channel();
    let (go_on, goes_on) = std::sync::mpsc::channel();
    let (chain, looks) = (Arc::new(Chain::new(config())), AtomicUsize::new(0));
    let node = Slow { chain, looks, began, goes_on: Mutex::new(goes_on) };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(strait_node_api::serve(listener, node, std::future::pending()));
    let try_out = post_text(PATH, "application/json", r#"{"txs":[]}"#);
    let tried = tokio::spawn(async move { request_of(address, &try_out).await });
    has_begun.recv().await.unwrap();
    // This thread is the only one that answers.
    let height = request_of(address, "GET /v3/key-blocks/current/height HTTP/1.1\r\n\r\n").await;
    assert_eq!(height.json(), json!({ "height": 0 }));
    go_on.send(()).unwrap();
    assert_eq!(tried.await.unwrap().json(), json!({ "results": [] }));
}
