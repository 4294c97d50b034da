//! What a request asks for: the parameters of its path and query.

use std::time::Duration;

use serde_json::json;
use strait_encoding::text::{self, Prefix};
use strait_encoding::{Height, TxHash};
use strait_ledger::Chain;

use crate::answer::Fault;

/// A request to an endpoint.
pub(crate) struct Ask<'a> {
    /// What it is answered from.
    pub chain: &'a Chain,
    /// How long the server has been up.
    pub uptime: Duration,
    /// The parameters of the path by their names.
    pub path: Vec<(String, String)>,
    /// Those of the query.
    pub query: Vec<(String, String)>,
}

impl Ask<'_> {
    /// A parameter of the path; every endpoint knows those of its own.
    pub fn path(&self, name: &str) -> &str {
        find(&self.path, name).unwrap_or_default()
    }

    /// A parameter of the query.
    pub fn query(&self, name: &str) -> Option<&str> {
        find(&self.query, name)
    }

    /// The account or whatever else a public key names.
    pub fn public_key(&self, allowed: &[Prefix]) -> Result<[u8; 32], Fault> {
        let key = bytes32(self.path("pubkey"), allowed);
        key.map_err(|code| Fault::bad_request("Invalid public key").code(code))
    }

    /// The transaction.
    pub fn tx_hash(&self) -> Result<TxHash, Fault> {
        self.hash(Prefix::TxHash).map(TxHash)
    }

    /// The hash of something of this kind.
    pub fn hash(&self, prefix: Prefix) -> Result<[u8; 32], Fault> {
        bytes32(self.path("hash"), &[prefix]).map_err(|code| Fault::bad_request("Invalid hash").code(code))
    }

    /// The height.
    pub fn height(&self) -> Result<Height, Fault> {
        let found = self.path("height");
        let fault = |error: &str| Fault::validation("height", json!({ "error": error, "data": found }));
        let digits = found.strip_prefix(['-', '+']).unwrap_or(found);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(fault("wrong_type"));
        }
        found.parse().map(Height).map_err(|_| fault("not_in_range"))
    }

    /// Whether integers are asked for as strings.
    pub fn int_as_string(&self) -> Result<bool, Fault> {
        const NAME: &str = "int-as-string";
        match self.query(NAME) {
            None => Ok(false),
            Some(flag) if flag.eq_ignore_ascii_case("true") => Ok(true),
            Some(flag) if flag.eq_ignore_ascii_case("false") => Ok(false),
            Some(other) => Err(Fault::validation(NAME, json!({ "error": "wrong_type", "data": other }))),
        }
    }
}

/// The body of a text form of one of these kinds; else the node's name of what is wrong with it.
pub(crate) fn bytes32(found: &str, allowed: &[Prefix]) -> Result<[u8; 32], &'static str> {
    let bytes = allowed.iter().find_map(|prefix| text::decode_array(*prefix, found).ok());
    bytes.ok_or_else(|| text_fault(found))
}

/// The node's name of what is wrong with a text that is not of the kind asked for: whether it is of another kind.
pub(crate) fn text_fault(found: &str) -> &'static str {
    // The node does not know the secret keys of newer clients as a kind.
    let mut kinds = Prefix::ALL.iter().filter(|prefix| **prefix != Prefix::SecretKey);
    if kinds.any(|prefix| text::decode(*prefix, found).is_ok()) {
        "invalid_prefix"
    } else {
        "invalid_encoding"
    }
}

fn find<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}
