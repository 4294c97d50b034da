//! Oracles: there are none on this chain.

use serde_json::json;
use strait_encoding::text::Prefix;

use crate::answer::{Answer, Fault};
use crate::ask::{Ask, bytes32};
use crate::param::{LIMIT, ORACLE, ORACLE_QUERY, QUERY_TYPE};

/// `/oracles/{pubkey}`.
pub(crate) fn oracle(ask: &Ask<'_>) -> Answer {
    ask.public_key(&ORACLE, &[Prefix::Oracle])?;
    Err(Fault::not_found("Oracle not found").code("not_found"))
}

/// `/oracles/{pubkey}/queries`: a node lists none for an oracle that is not there.
pub(crate) fn queries(ask: &Ask<'_>) -> Answer {
    ask.number(&LIMIT)?;
    ask.choice(&QUERY_TYPE)?;
    ask.public_key(&ORACLE, &[Prefix::Oracle])?;
    Ok(json!({ "oracle_queries": [] }))
}

/// `/oracles/{pubkey}/queries/{query-id}`.
pub(crate) fn query(ask: &Ask<'_>) -> Answer {
    for (param, prefix) in [(ORACLE, Prefix::Oracle), (ORACLE_QUERY, Prefix::OracleQueryId)] {
        bytes32(ask.in_path(&param), &[prefix])
            .map_err(|code| Fault::bad_request("Invalid public key or query ID").code(code))?;
    }
    Err(Fault::not_found("Query not found").code("not_found"))
}
