//! Bodies and transactions that are not taken.

use serde_json::{Value, json};
use strait_encoding::text::{self, Prefix};
use strait_encoding::{ChannelId, Coins, Height, NetworkId, Nonce, Round, SecretKey, SignedForm, StateHash};
use strait_ledger::{ChainView, OffchainTx, SettleTx, SignedTx, SpendTx};

use crate::support::{FEE, account, key, network, served, signed, spend, spend_tx};

#[tokio::test]
async fn a_body_that_does_not_fit_is_named() {
    let served = served().await;
    let (long, deep) = ("x".repeat(600 * 1024), "[".repeat(10_000));
    let many: Value = vec![1; 1000].into();
    for (body, parameter, info) in [
        ("", "body", json!({ "error": "wrong_type", "data": "", "path": [] })),
        ("{\"tx\"", "", json!({ "error": "invalid_body", "data": "{\"tx\"" })),
        (&deep, "", json!({ "error": "invalid_body", "data": deep[..200] })),
        ("[1]", "body", json!({ "error": "wrong_type", "data": [1], "path": [] })),
        ("null", "body", json!({ "error": "wrong_type", "data": null, "path": [] })),
        (r#"{"tx": 5}"#, "body", json!({ "error": "wrong_type", "data": 5, "path": ["tx"] })),
        (
            &json!({ "tx": many }).to_string(),
            "body",
            json!({ "error": "wrong_type", "data": many.to_string()[..200], "path": ["tx"] }),
        ),
        (
            r#"{"TX": "tx_"}"#,
            "body",
            json!({ "error": "missing_required_property", "data": "tx", "path": [] }),
        ),
        (&format!(r#"{{"tx": "{long}"}}"#), "", json!({ "error": "body_too_big" })),
    ] {
        let reply = served.post("/v2/transactions", body).await;
        let expected = json!({ "reason": "validation_error", "parameter": parameter, "info": info });
        assert_eq!((reply.status, reply.json()), (400, expected));
    }
}

#[tokio::test]
async fn a_body_must_say_that_it_is_json() {
    let served = served().await;
    let body = json!({ "tx": spend(1).to_text() }).to_string();
    for kind in ["text/plain", "application/x-www-form-urlencoded", "", "json"] {
        let reply = served.post_as(kind, "/v3/transactions", &body).await;
        assert_eq!((reply.status, reply.body.as_str()), (415, ""), "{kind}");
    }
    assert!(!served.chain().has_pending());
    let reply = served.post_as("Application/JSON; charset=utf-8", "/v3/transactions", &body).await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn a_text_that_holds_no_transaction_is_named() {
    let served = served().await;
    let (good, bytes) = (spend(1).to_text(), spend(1).encode());
    let encoded = |bytes: &[u8]| text::encode(Prefix::Transaction, bytes);
    let mut other = good.clone().into_bytes();
    other[20] = if other[20] == b'A' { b'B' } else { b'A' };
    for (tx, code, reason) in [
        (account(1).to_string(), "invalid_prefix", "Invalid api encoding"),
        (String::new(), "invalid_encoding", "Invalid api encoding"),
        (good[3..].to_owned(), "invalid_encoding", "Invalid api encoding"),
        (String::from_utf8(other).unwrap(), "invalid_encoding", "Invalid api encoding"),
        (encoded(&[]), "broken_tx", "Invalid tx"),
        (encoded(b"hello"), "broken_tx", "Invalid tx"),
        (encoded(&bytes[..bytes.len() - 1]), "broken_tx", "Invalid tx"),
        (encoded(&[bytes.as_slice(), &[0]].concat()), "broken_tx", "Invalid tx"),
        (encoded(spend(1).unsigned_bytes()), "broken_tx", "Invalid tx"),
    ] {
        let reply = served.post("/v3/transactions", &json!({ "tx": tx }).to_string()).await;
        assert_eq!(reply.error(), json!([400, code, reason]), "{tx}");
    }
    assert!(!served.chain().has_pending());
}

/// A spend of account 1, signed by `key` for `network`.
fn signed_for(network: &str, key: &SecretKey) -> SignedTx {
    let tx = SignedTx::unsigned(spend_tx(1));
    let bytes = tx.unsigned_bytes().to_vec();
    tx.with_signature(key.sign(&NetworkId(network.to_owned()), &bytes, SignedForm::Plain))
}

#[tokio::test]
async fn a_transaction_that_the_pool_refuses_is_named() {
    let served = served().await;
    served.key_blocks(4);
    let fee = |fee: u128| signed(SpendTx { fee: Coins(fee), ..spend_tx(1) }, &[1]);
    let stranger = SpendTx { sender_id: account(9), ..spend_tx(2) };
    let settle = SettleTx {
        channel_id: ChannelId([8; 32]),
        from_id: account(1),
        initiator_amount_final: Coins(1),
        responder_amount_final: Coins(1),
        ttl: Height(0),
        fee: FEE,
        nonce: Nonce(1),
    };
    let offchain =
        OffchainTx { channel_id: ChannelId([8; 32]), round: Round(2), state_hash: StateHash([0; 32]) };
    for (tx, code) in [
        (SignedTx::unsigned(spend_tx(1)), "signature_check_failed"),
        (signed(spend_tx(1), &[2]), "signature_check_failed"),
        (signed(spend_tx(1), &[1, 2]), "signature_check_failed"),
        (signed_for("ae_uat", &key(1)), "signature_check_failed"),
        (signed_for("", &key(1)), "signature_check_failed"),
        (spend(0), "nonce_too_low"),
        (spend(6), "nonce_too_high"),
        (spend(u64::MAX), "nonce_too_high"),
        (signed(stranger, &[9]), "nonce_too_high"),
        (fee(0), "too_low_fee"),
        (fee(16_000_000_000), "too_low_fee"),
        (fee(16_000_000_000_000), "too_low_gas_price_for_miner"),
        (signed(SpendTx { ttl: Height(4), ..spend_tx(1) }, &[1]), "ttl_expired"),
        (signed(offchain, &[1, 2]), "invalid_at_protocol"),
        // Solo transactions are taken whether or not their channel is there.
        (signed(settle, &[2]), "signature_check_failed"),
    ] {
        assert_eq!(served.send(&tx).await.error(), json!([400, code, "Invalid tx"]), "{tx:?}");
    }
    assert!(!served.chain().has_pending());

    let taken = signed_for(&network().0, &key(1));
    served.take(&taken).await;
    assert_eq!(served.send(&taken).await.error(), json!([400, "already_known", "Invalid tx"]));
    served.mine();
    assert_eq!(served.send(&taken).await.error(), json!([400, "already_accepted", "Invalid tx"]));
    assert_eq!(served.send(&spend(1)).await.error(), json!([400, "nonce_too_low", "Invalid tx"]));
    assert_eq!(served.chain().next_nonce(account(1)), Nonce(2));
}

#[tokio::test]
async fn a_full_pool_says_when_to_come_back() {
    let mut config = crate::support::config();
    config.pool_limit = 1;
    let served = crate::support::served_within(strait_node_api::Limits::default(), config, false).await;
    served.take(&spend(1)).await;
    let reply = served.send(&spend(2)).await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("3")));
    assert_eq!(reply.json(), json!({ "reason": "the pool is full: 1 transactions wait" }));
    served.mine();
    served.take(&spend(2)).await;
}
