//! Contracts and generalized accounts: what they are, and what came of calls.

use serde_json::{Value, json};
use strait_encoding::text::{self, Prefix};
use strait_encoding::{AccountId, Coins, Nonce};
use strait_fate::Value as Fate;
use strait_ledger::{ContractCallTx, GaMetaTx, SignedTx, SpendTx, StateProof, Tx};
use strait_node_api::Limits;

use crate::contracts::{
    GAS, GAS_PRICE, attach_tx, call, call_tx, code, deploy, meta, paid_for, paying, tally, tally_tx, value,
    with_tally,
};
use crate::support::{Served, account, config, served, served_within, signed, spend_tx};

/// The text form of no bytes.
const NOTHING: &str = "cb_Xfbg4g==";

async fn result(served: &Served, hash: &str) -> Value {
    served.ok(&format!("/v3/transactions/{hash}/info")).await
}

/// Sends and mines a transaction; what came of it.
async fn mined(served: &Served, tx: &SignedTx) -> Value {
    let hash = served.take(tx).await;
    served.mine();
    result(served, &hash).await
}

#[tokio::test]
async fn a_contract_is_shown_with_its_code() {
    let served = served().await;
    let deposit = Coins(7);
    served.take(&signed(strait_ledger::ContractCreateTx { deposit, ..tally_tx(1) }, &[1])).await;
    served.mine();
    let path = format!("/v3/contracts/{}", tally());
    let expected = json!({
        "id": tally().to_string(), "owner_id": account(1).to_string(), "vm_version": 8, "abi_version": 3,
        "active": true, "referrer_ids": [], "deposit": 7,
    });
    assert_eq!(served.ok(&path).await, expected);
    let texts = served.ok(&format!("{path}?int-as-string=true")).await;
    assert_eq!((&texts["deposit"], &texts["vm_version"]), (&json!("7"), &json!("8")));

    let stored = served.ok(&format!("{path}/code")).await;
    assert_eq!(stored, json!({ "bytecode": text::encode(Prefix::ContractBytes, &code("Tally").0) }));

    let shown = served.ok(&format!("/v3/accounts/{}", tally())).await;
    let as_account = AccountId(tally().0).to_string();
    assert_eq!(
        (&shown["id"], &shown["payable"], &shown["nonce"]),
        (&json!(as_account), &json!(true), &json!(0))
    );
}

#[tokio::test]
async fn a_contract_is_proved_with_its_store_and_its_account() {
    let served = with_tally().await;
    let paid = ContractCallTx { amount: Coins(12), ..call_tx(2, "keep -") };
    served.take(&signed(paid, &[1])).await;
    served.mine();
    let proof = served.ok(&format!("/v3/contracts/{}/poi", tally())).await;
    let proof = text::decode(Prefix::Proof, proof["poi"].as_str().unwrap()).unwrap();
    let proof = StateProof::decode(&proof).unwrap();
    // The header of the block says the same.
    let state = text::encode(Prefix::BlockStateHash, &proof.state_hash().0);
    assert_eq!(served.ok("/v3/headers/top").await["state_hash"], state);
    assert_eq!(proof.contract(tally()).unwrap().owner, account(1).into());
    assert_eq!(proof.account(AccountId(tally().0)).unwrap().balance, Coins(12));
    // The first field of the state.
    let count = proof.store_value(tally(), &[0, 1]).unwrap();
    assert_eq!(count, Fate::Integer(3.into()).encode().ok());
    assert!(proof.account(account(1)).is_err());
}

#[tokio::test]
async fn a_call_shows_how_it_ended() {
    let served = served().await;
    let made = deploy(&served).await;
    let created = result(&served, &made).await;
    let gas_used = created["call_info"]["gas_used"].as_u64().unwrap();
    assert!((1..GAS).contains(&gas_used), "{gas_used}");
    let call_info = |nonce: u64, gas_used: u64, kind: &str, value: &str| {
        json!({ "call_info": {
            "caller_id": account(1).to_string(), "caller_nonce": nonce, "height": 1, "contract_id": tally().to_string(),
            "gas_price": GAS_PRICE, "gas_used": gas_used, "return_type": kind, "return_value": value, "log": [],
        } })
    };
    // A first call gives nothing back.
    assert_eq!(created, call_info(1, gas_used, "ok", NOTHING));

    let reason = value(Fate::string("there must be more"));
    for (nonce, word, kind, value) in [
        (2, "count -", "ok", value(Fate::Integer(3.into()))),
        (3, "add 0", "revert", reason),
        // Why it failed is not kept.
        (4, "share 0", "error", NOTHING.to_owned()),
        (5, "never -", "error", NOTHING.to_owned()),
    ] {
        let found = mined(&served, &call(nonce, word)).await;
        let gas_used = found["call_info"]["gas_used"].as_u64().unwrap();
        assert_eq!(found, call_info(nonce, gas_used, kind, &value), "{word}");
        // Who runs into an error loses all gas.
        assert_eq!(gas_used == GAS, kind == "error", "{word}");
    }
}

#[tokio::test]
async fn a_call_shows_its_events() {
    let served = with_tally().await;
    let hash = served.take(&call(2, "add 4")).await;
    let path = format!("/v3/transactions/{hash}/info");
    assert_eq!(served.get(&path).await.error(), json!([404, null, "Tx not mined"]));
    served.mine();
    let found = result(&served, &hash).await;
    let call = &found["call_info"];
    assert_eq!(
        (&call["return_type"], &call["return_value"]),
        (&json!("ok"), &json!(value(Fate::Integer(7.into()))))
    );
    let [event] = call["log"].as_array().unwrap().as_slice() else { panic!("{found}") };
    assert_eq!((&event["address"], &event["data"]), (&json!(tally().to_string()), &json!(NOTHING)));
    let topics: Vec<_> = event["topics"].as_array().unwrap().iter().map(ToString::to_string).collect();
    let decimal = |bytes: &[u8]| strait_fate::Integer::from_magnitude(false, bytes).to_big().to_string();
    let kind = strait_encoding::hash::blake2b(b"Added");
    assert_eq!(topics, [decimal(&kind), decimal(&account(1).0), "4".to_owned()]);
    let texts = served.ok(&format!("{path}?int-as-string=true")).await;
    assert_eq!(texts["call_info"]["log"][0]["topics"], json!(topics));
}

#[tokio::test]
async fn not_every_transaction_has_a_result() {
    let mut config = config();
    config.kept_states = 1;
    let served = served_within(Limits::default(), config, false).await;
    let made = deploy(&served).await;
    let spent = served.take(&signed(spend_tx(2), &[1])).await;
    let paid = SignedTx::unsigned(SpendTx { sender_id: account(2), nonce: Nonce(1), ..spend_tx(1) });
    let paid = served.take(&signed(paying(1, 3, paid_for(2, paid)), &[1])).await;
    served.mine();
    // A chain keeps the states of key blocks for longer.
    served.key_blocks(200);
    let garbage = "State data at the requested height has been garbage-collected";
    for (hash, expected) in [
        (&made, json!([410, null, garbage])),
        (&spent, json!([400, null, "Tx has no info"])),
        (&paid, json!([400, null, "Tx has no info"])),
    ] {
        assert_eq!(served.get(&format!("/v3/transactions/{hash}/info")).await.error(), expected);
    }
}

#[tokio::test]
async fn a_call_that_is_paid_for_shows_how_it_ended() {
    let served = with_tally().await;
    let inside = ContractCallTx { caller_id: account(2), ..call_tx(1, "count -") };
    let found = mined(&served, &signed(paying(1, 2, paid_for(2, SignedTx::unsigned(inside))), &[1])).await;
    assert_eq!(found["call_info"]["return_value"], value(Fate::Integer(3.into())));
    assert_eq!(found["call_info"]["caller_id"], account(2).to_string());
}

#[tokio::test]
async fn a_generalized_account_acts_by_its_contract() {
    let served = with_tally().await;
    let attached = mined(&served, &signed(attach_tx(), &[3])).await;
    let contract = strait_encoding::hash::contract_id(account(3), 1).to_string();
    assert_eq!(attached["call_info"]["return_type"], "ok");
    assert_eq!(attached["call_info"]["contract_id"], contract);
    let path = format!("/v3/accounts/{}", account(3));
    let shown = served.ok(&path).await;
    let kind = json!([shown["kind"], shown["contract_id"], shown["auth_fun"]]);
    assert_eq!(kind, json!(["generalized", contract, "authorize"]));
    assert_eq!(served.ok(&format!("{path}/next-nonce")).await["next_nonce"], 0);
    served.key_blocks(1);
    assert_eq!(served.ok(&format!("{path}/height/2")).await, served.ok(&path).await);

    let spend = |amount: u128| SpendTx { sender_id: account(3), amount: Coins(amount), ..spend_tx(0) };
    let paid = meta(1, SignedTx::unsigned(spend(5)));
    let found = mined(&served, &paid).await;
    let gas_used = found["ga_info"]["gas_used"].as_u64().unwrap();
    let ga_info = json!({ "ga_info": {
        "caller_id": account(3).to_string(), "height": 2, "gas_price": GAS_PRICE, "gas_used": gas_used,
        "return_type": "ok", "return_value": value(Fate::Boolean(true)), "inner_object": { "tx_info": "spend_tx" },
    } });
    assert_eq!(found, ga_info);
    let sent = served.ok(&format!("/v3/transactions/{}", paid.hash())).await;
    assert_eq!((&sent["tx"]["type"], sent.get("signatures")), (&json!("GAMetaTx"), None));
    assert_eq!(sent["tx"]["tx"]["tx"]["type"], "SpendTx");

    // What the transaction inside came to, and that it came to nothing.
    let inside = ContractCallTx { caller_id: account(3), ..call_tx(0, "add 4") };
    let found = mined(&served, &meta(2, SignedTx::unsigned(inside))).await;
    let call = &found["ga_info"]["inner_object"]["call_info"];
    assert_eq!(
        (&call["return_value"], &call["caller_nonce"]),
        (&json!(value(Fate::Integer(7.into()))), &json!(0))
    );
    let found = mined(&served, &meta(3, SignedTx::unsigned(spend(10_u128.pow(30))))).await;
    let found = &found["ga_info"];
    assert_eq!(
        (&found["return_type"], &found["inner_object"]),
        (&json!("error"), &json!({ "tx_info": "spend_tx" }))
    );
}

#[tokio::test]
async fn calls_that_the_pool_refuses_are_named() {
    let served = with_tally().await;
    served.take(&signed(attach_tx(), &[3])).await;
    served.mine();
    let by_three = SpendTx { sender_id: account(3), ..spend_tx(0) };
    let metas = |change: fn(&mut GaMetaTx)| {
        let Tx::GaMeta(mut tx) = meta(1, SignedTx::unsigned(by_three.clone())).tx().clone() else { panic!() };
        change(&mut tx);
        SignedTx::unsigned(tx)
    };
    for (tx, code) in [
        (
            signed(ContractCallTx { gas_price: Coins(999_999), ..call_tx(2, "count -") }, &[1]),
            "too_low_gas_price",
        ),
        (
            signed(ContractCallTx { gas_price: Coins(1_000_000), ..call_tx(2, "count -") }, &[1]),
            "too_low_gas_price_for_miner",
        ),
        (
            signed(ContractCallTx { fee: Coins(100_000_000_000), ..call_tx(2, "count -") }, &[1]),
            "too_low_fee",
        ),
        (signed(call_tx(2, "count -"), &[2]), "signature_check_failed"),
        (metas(|tx| tx.gas = 50_001), "too_much_gas_for_auth_function"),
        (
            signed(SpendTx { nonce: Nonce(2), ..by_three.clone() }, &[3]),
            "generalized_account_cant_sign_non_meta_tx",
        ),
    ] {
        assert_eq!(served.send(&tx).await.error(), json!([400, code, "Invalid tx"]), "{tx:?}");
    }
    assert!(!served.chain().has_pending());
}
