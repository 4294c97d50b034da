//! What a request asks for: the parameters of its path and query.

use std::time::Duration;

use serde_json::{Value, json};
use strait_encoding::text::{self, Prefix};
use strait_encoding::{Height, TxHash};
use strait_ledger::Chain;

use crate::answer::Fault;
use crate::gas_prices::Paid;
use crate::param::{self, Kind, Param, Place};

/// A request to an endpoint.
pub(crate) struct Ask<'a> {
    /// What it is answered from.
    pub chain: &'a Chain,
    /// How long the server has been up.
    pub uptime: Duration,
    /// What blocks paid, as far as it was asked for before.
    pub paid: &'a Paid,
    /// The parameters of the path by their names.
    pub path: Vec<(String, String)>,
    /// Those of the query.
    pub query: Vec<(String, String)>,
}

impl Ask<'_> {
    /// A parameter as it was written; none where there is none.
    pub fn text(&self, param: &Param) -> Option<&str> {
        let pairs = match param.place {
            Place::Path => &self.path,
            Place::Query => &self.query,
        };
        pairs.iter().find(|(name, _)| name == param.name).map(|(_, value)| value.as_str())
    }

    /// A parameter of the path; the path has all that its template names.
    pub fn in_path(&self, param: &Param) -> &str {
        self.text(param).unwrap_or_default()
    }

    /// The number that a parameter is; none where there is none.
    ///
    /// # Errors
    /// It is none, or outside of its limits.
    pub fn number(&self, param: &Param) -> Result<Option<u64>, Fault> {
        let Some(found) = self.text(param) else { return Ok(None) };
        let digits = found.strip_prefix(['-', '+']).unwrap_or(found);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(unfit(param, "wrong_type", found));
        }
        match (found.parse(), param.kind) {
            (Ok(number), Kind::Number { least, most }) if (least..=most).contains(&number) => {
                Ok(Some(number))
            }
            _ => Err(unfit(param, "not_in_range", found)),
        }
    }

    /// The word that was chosen, or the one for no choice.
    ///
    /// # Errors
    /// It is no word of the parameter's.
    pub fn choice(&self, param: &Param) -> Result<&str, Fault> {
        let Kind::Choice(words) = param.kind else { return Ok("") };
        let found = self.text(param).or(words.first().copied()).unwrap_or_default();
        if words.contains(&found) { Ok(found) } else { Err(unfit(param, "not_in_enum", found)) }
    }

    /// Whether a parameter is set to true.
    ///
    /// # Errors
    /// It is neither true nor false.
    pub fn flag(&self, param: &Param) -> Result<bool, Fault> {
        match self.text(param) {
            None => Ok(false),
            Some(found) if found.eq_ignore_ascii_case("true") => Ok(true),
            Some(found) if found.eq_ignore_ascii_case("false") => Ok(false),
            Some(found) => Err(unfit(param, "wrong_type", found)),
        }
    }

    /// The account or whatever else a public key names.
    pub fn public_key(&self, param: &Param, allowed: &[Prefix]) -> Result<[u8; 32], Fault> {
        let key = bytes32(self.in_path(param), allowed);
        key.map_err(|code| Fault::bad_request("Invalid public key").code(code))
    }

    /// The transaction.
    pub fn tx_hash(&self) -> Result<TxHash, Fault> {
        self.hash(&param::TX_HASH, Prefix::TxHash).map(TxHash)
    }

    /// The hash of something of this kind.
    pub fn hash(&self, param: &Param, prefix: Prefix) -> Result<[u8; 32], Fault> {
        let hash = bytes32(self.in_path(param), &[prefix]);
        hash.map_err(|code| Fault::bad_request("Invalid hash").code(code))
    }

    /// The height.
    pub fn height(&self) -> Result<Height, Fault> {
        let height = self.number(&param::HEIGHT)?;
        height.map(Height).ok_or_else(|| unfit(&param::HEIGHT, "missing_required_property", ""))
    }
}

fn unfit(param: &Param, error: &str, found: &str) -> Fault {
    Fault::validation(param.name, json!({ "error": error, "data": shown(found) }))
}

/// What is sent back of a caller's value: long ones not in full.
pub(crate) fn shown(found: &str) -> Value {
    const MOST: usize = 200;
    found.chars().take(MOST).collect::<String>().into()
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
