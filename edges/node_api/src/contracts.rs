//! Contracts. There is no machine yet that runs them, so there are none on this chain.

use axum::http::StatusCode;
use serde_json::{Value, json};
use strait_encoding::text::Prefix;

use crate::answer::{Answer, Fault};
use crate::ask::{Ask, bytes32};
use crate::param::CONTRACT;

/// `/contracts/{pubkey}`.
pub(crate) fn contract(ask: &Ask<'_>) -> Answer {
    bytes32(ask.in_path(&CONTRACT), &[Prefix::Contract])
        .map_err(|_| Fault::bad_request("Invalid public key"))?;
    Err(none())
}

/// `/contracts/{pubkey}/code`.
pub(crate) fn code(ask: &Ask<'_>) -> Answer {
    ask.public_key(&CONTRACT, &[Prefix::Contract])?;
    Err(none())
}

/// `/contracts/{pubkey}/poi`.
pub(crate) fn proof(ask: &Ask<'_>) -> Answer {
    bytes32(ask.in_path(&CONTRACT), &[Prefix::Contract])
        .map_err(|_| Fault::bad_request("Invalid hash: pubkey"))?;
    Err(Fault::not_found("Proof for contract not found"))
}

/// `/dry-run`: looks at the body, and says that nothing can be run.
pub(crate) fn dry_run(_: &Ask<'_>, body: &Value) -> Answer {
    let Value::Object(fields) = body else { return Err(Fault::unfit_body("wrong_type", body, &[])) };
    match fields.get("txs") {
        Some(Value::Array(_)) => {
            let reason = "Dry-run is not offered: this chain has no machine that runs contracts";
            Err(Fault::new(StatusCode::NOT_IMPLEMENTED, reason).code("not_implemented"))
        }
        Some(other) => Err(Fault::unfit_body("wrong_type", other, &["txs"])),
        None => Err(Fault::unfit_body("missing_required_property", &json!("txs"), &[])),
    }
}

fn none() -> Fault {
    Fault::not_found("Contract not found").code("not_present")
}
