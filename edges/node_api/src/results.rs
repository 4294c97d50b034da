//! What came of the calls that transactions in blocks made (`docs/protocol/chain_service` §4).

use axum::http::StatusCode;
use serde_json::{Value, json};
use strait_encoding::hash::call_id;
use strait_encoding::text::Prefix;
use strait_encoding::{BlockHash, ContractId, TxHash};
use strait_ledger::rules::{auth_call_of, call_of};
use strait_ledger::{CallObject, ForceProgressTx, GaMetaTx, SignedTx, Trees, Tx, Update};

use crate::answer::{Answer, Fault};
use crate::ask::{Ask, bytes32};
use crate::param::TX_HASH;
use crate::transactions;

/// `/transactions/{hash}/info`.
pub(crate) fn result(ask: &Ask<'_>) -> Answer {
    let hash = bytes32(ask.in_path(&TX_HASH), &[Prefix::TxHash]);
    let hash = TxHash(hash.map_err(|_| Fault::bad_request("Invalid hash: hash"))?);
    let (tx, location) = transactions::known(ask, hash)?;
    let (block, _) = location.ok_or_else(|| Fault::not_found("Tx not mined"))?;
    if !calls(tx.tx()) {
        return Err(Fault::bad_request("Tx has no info"));
    }
    let trees = ask.chain.state_at(&BlockHash::from(block)).ok_or_else(|| {
        Fault::new(StatusCode::GONE, "State data at the requested height has been garbage-collected")
    })?;
    found(&tx, hash, trees).ok_or_else(|| Fault::bad_request("call_not_found"))
}

/// Whether anything is called because of a transaction, and be it to authenticate.
fn calls(tx: &Tx) -> bool {
    match tx {
        Tx::ContractCreate(_)
        | Tx::ContractCall(_)
        | Tx::GaAttach(_)
        | Tx::GaMeta(_)
        | Tx::ChannelForceProgress(_) => true,
        Tx::PayingFor(paying) => calls(paying.tx.tx()),
        _ => false,
    }
}

/// The result of a transaction, or of one that stands in `whole`, in the state after its block.
fn found(tx: &SignedTx, whole: TxHash, trees: &Trees) -> Option<Value> {
    match tx.tx() {
        Tx::GaMeta(meta) => {
            let inside = calls(meta.tx.tx()).then(|| match meta.tx.tx() {
                Tx::GaMeta(_) | Tx::PayingFor(_) => found(&meta.tx, whole, trees),
                // Which call it is depends on how the account authenticated.
                _ => called(tx, whole, trees),
            });
            authenticated(meta, inside.flatten(), trees)
        }
        Tx::PayingFor(paying) => found(&paying.tx, whole, trees),
        _ => called(tx, whole, trees),
    }
}

fn called(tx: &SignedTx, whole: TxHash, trees: &Trees) -> Option<Value> {
    let call = call_of(tx, trees).or_else(|| forced(tx.innermost().tx(), whole, trees))?;
    Some(json!({ "call_info": call.to_json() }))
}

/// The call of forced progress is known by the hash of all that stands around it.
fn forced(tx: &Tx, whole: TxHash, trees: &Trees) -> Option<CallObject> {
    let Tx::ChannelForceProgress(ForceProgressTx { update, round, .. }) = tx else { return None };
    let Update::CallContract { caller, .. } = update else { return None };
    trees.call(&whole.0, &call_id(*caller, round.0, ContractId(whole.0)))
}

/// How an account authenticated, with what came of the transaction inside: where nothing is known of that, its type.
fn authenticated(meta: &GaMetaTx, inside: Option<Value>, trees: &Trees) -> Option<Value> {
    let call = auth_call_of(meta, trees)?;
    // One that failed left nothing behind.
    let inside = inside.unwrap_or_else(|| json!({ "tx_info": meta.tx.kind().event_name() }));
    let mut json = call.to_json();
    if let Some(fields) = json.as_object_mut() {
        for name in ["caller_nonce", "contract_id", "log"] {
            fields.remove(name);
        }
        fields.insert("inner_object".to_owned(), inside);
    }
    Some(json!({ "ga_info": json }))
}
