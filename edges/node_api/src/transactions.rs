//! Transactions, waiting and mined.

use axum::http::StatusCode;
use serde_json::{Value, json};
use strait_encoding::text::{self, Prefix};
use strait_encoding::{Height, MicroBlockHash, TxHash};
use strait_ledger::{SignedTx, SubmitError, TxKind, TxLocation};

use crate::Refused;
use crate::answer::{Answer, Fault};
use crate::ask::{Ask, text_fault};

/// `/transactions/{hash}`.
pub(crate) fn transaction(ask: &Ask<'_>) -> Answer {
    let (tx, location) = known(ask, ask.tx_hash()?)?;
    Ok(to_json(&tx, location))
}

/// The JSON of a transaction; `location` is its block and the height of that, none while it waits.
pub(crate) fn to_json(tx: &SignedTx, location: Option<(MicroBlockHash, Height)>) -> Value {
    let (block, height) = match location {
        Some((block, height)) => (block.to_string(), json!(height)),
        None => ("none".to_owned(), json!(-1)),
    };
    let mut json = json!({
        "hash": tx.hash().to_string(),
        "block_hash": block,
        "block_height": height,
        "encoded_tx": tx.to_text(),
        "tx": tx.tx().to_json(),
    });
    // A meta transaction is authenticated by what it says itself.
    if tx.kind() != TxKind::GaMeta {
        json["signatures"] = tx.signatures().iter().map(ToString::to_string).collect();
    }
    json
}

/// The transaction in the body of a POST: `{"tx": "tx_…"}`. The body has the shape of `EncodedTx`.
pub(crate) fn of_body(body: &Value) -> Result<SignedTx, Fault> {
    let encoded = body["tx"].as_str().unwrap_or_default();
    let bytes = text::decode(Prefix::Transaction, encoded)
        .map_err(|_| Fault::bad_request("Invalid api encoding").code(text_fault(encoded)))?;
    SignedTx::decode(&bytes).map_err(|_| invalid("broken_tx"))
}

/// The answer to a POST, as the chain took or refused the transaction.
pub(crate) fn submitted(outcome: Result<TxHash, Refused>) -> Answer {
    match outcome {
        Ok(hash) => Ok(json!({ "tx_hash": hash.to_string() })),
        Err(Refused::Pool(full @ SubmitError::PoolFull(_))) => {
            Err(Fault::new(StatusCode::SERVICE_UNAVAILABLE, &full.to_string()))
        }
        Err(Refused::Pool(error)) => Err(invalid(error.atom())),
        Err(Refused::Unavailable(why)) => Err(Fault::new(StatusCode::SERVICE_UNAVAILABLE, &why)),
    }
}

fn invalid(code: &str) -> Fault {
    Fault::bad_request("Invalid tx").code(code)
}

/// A transaction by its hash, with its block and the height of that, none while it waits.
pub(crate) fn known(
    ask: &Ask<'_>,
    hash: TxHash,
) -> Result<(SignedTx, Option<(MicroBlockHash, Height)>), Fault> {
    match ask.chain.tx(&hash) {
        Some((tx, TxLocation::InBlock { block, height })) => Ok((tx, Some((block, height)))),
        Some((tx, TxLocation::Pool)) => Ok((tx, None)),
        Some((_, TxLocation::Gone | TxLocation::Unknown)) | None => {
            Err(Fault::not_found("Transaction not found"))
        }
    }
}
