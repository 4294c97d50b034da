//! The result of a contract call as a state knows it (`docs/protocol/encodings` §4.5).

use serde_json::{Value, json};
use strait_encoding::rlp::{DecodeError, Fields, List};
use strait_encoding::text::{self, Prefix};
use strait_encoding::{Coins, ContractId, Height, Id, Nonce};

use crate::tx::id_text;

const TAG: u64 = 41;
const VERSION: u64 = 2;
/// The version of a call that was made by name.
const BY_NAME: u64 = 3;

/// The result of a call. Its id is not part of it: that is where it stands in the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallObject {
    /// Who called: an account, or a contract.
    pub caller: Id,
    /// The nonce of the caller; off chain the round; 0 for an authentication.
    pub nonce: Nonce,
    /// The height; off chain the round.
    pub height: Height,
    /// What was called.
    pub contract: ContractId,
    /// The hash of the name by which it was called, if it was.
    pub name: Option<Vec<u8>>,
    /// Price of a unit of gas.
    pub gas_price: Coins,
    /// Units of gas that were used.
    pub gas_used: u64,
    /// How it ended.
    pub result: CallResult,
    /// The events.
    pub log: Vec<LogEntry>,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallResult {
    /// It returned this value.
    Ok(Vec<u8>),
    /// It failed: out of gas, say. The text is no value, and empty in calls of transactions on chain
    /// (`docs/protocol/contracts` §1.2).
    Error(Vec<u8>),
    /// It took everything back, and returned this value.
    Revert(Vec<u8>),
}

/// An event of a contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// The contract.
    pub address: [u8; 32],
    /// What it is about, 32 bytes each.
    pub topics: Vec<Vec<u8>>,
    /// The rest of it.
    pub data: Vec<u8>,
}

impl CallObject {
    /// The serialized object.
    pub fn encode(&self) -> Vec<u8> {
        let (kind, value) = match &self.result {
            CallResult::Ok(value) => (0, value),
            CallResult::Error(text) => (1, text),
            CallResult::Revert(value) => (2, value),
        };
        let list = List::object(TAG, if self.name.is_some() { BY_NAME } else { VERSION })
            .id(self.caller)
            .uint(self.nonce.0)
            .uint(self.height.0)
            .id(self.contract);
        let list = self.name.iter().fold(list, |list, name| list.bytes(name));
        let log = self.log.iter().fold(List::new(), |log, entry| {
            log.list(List::new().bytes(&entry.address).all_bytes(&entry.topics).bytes(&entry.data))
        });
        list.coins(self.gas_price).uint(self.gas_used).bytes(value).uint(kind).list(log).finish()
    }

    /// Reads a serialized object.
    ///
    /// # Errors
    /// Malformed, or of a version nobody knows: the fault of whoever made it.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (version, mut fields) = Fields::of_object(bytes, TAG)?;
        if !(VERSION..=BY_NAME).contains(&version) {
            return Err(DecodeError::Version { tag: TAG, version });
        }
        let (caller, nonce, height) = (fields.id()?, fields.nonce()?, fields.height()?);
        let contract = fields.contract()?;
        let name = if version == BY_NAME { Some(fields.bytes()?.to_vec()) } else { None };
        let (gas_price, gas_used) = (fields.coins()?, fields.uint()?);
        let value = fields.bytes()?.to_vec();
        let result = match fields.uint()? {
            0 => CallResult::Ok(value),
            1 => CallResult::Error(value),
            2 => CallResult::Revert(value),
            _ => return Err(DecodeError::Rule("a call ends with 0 (ok), 1 (error) or 2 (revert)")),
        };
        let log = log(&mut fields)?;
        fields.end()?;
        Ok(Self { caller, nonce, height, contract, name, gas_price, gas_used, result, log })
    }

    /// The JSON of the node's HTTP API, `call_info` (`docs/protocol/chain_service` §4).
    pub fn to_json(&self) -> Value {
        let (kind, value) = match &self.result {
            CallResult::Ok(value) => ("ok", value),
            CallResult::Error(text) => ("error", text),
            CallResult::Revert(value) => ("revert", value),
        };
        let log: Value = self.log.iter().map(LogEntry::to_json).collect();
        json!({
            "caller_id": id_text(self.caller),
            "caller_nonce": self.nonce,
            "height": self.height,
            "contract_id": self.contract.to_string(),
            "gas_price": self.gas_price,
            "gas_used": self.gas_used,
            "return_value": text::encode(Prefix::ContractBytes, value),
            "return_type": kind,
            "log": log,
        })
    }
}

impl LogEntry {
    fn to_json(&self) -> Value {
        let topics: Value = self.topics.iter().map(|topic| decimal(topic)).collect();
        let data = text::encode(Prefix::ContractBytes, &self.data);
        json!({ "address": ContractId(self.address).to_string(), "topics": topics, "data": data })
    }
}

/// A large number as JSON shows it: bytes, the highest first, as decimal digits.
fn decimal(bytes: &[u8]) -> Value {
    let mut digits = vec![0u8];
    for byte in bytes {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            let sum = u32::from(*digit) * 256 + carry;
            (*digit, carry) = (u8::try_from(sum % 10).unwrap_or(0), sum / 10);
        }
        while carry > 0 {
            digits.push(u8::try_from(carry % 10).unwrap_or(0));
            carry /= 10;
        }
    }
    let text: String = digits.iter().rev().map(|digit| char::from(b'0' + digit)).collect();
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

fn log(fields: &mut Fields<'_>) -> Result<Vec<LogEntry>, DecodeError> {
    let mut list = fields.list()?;
    let mut log = Vec::new();
    while !list.is_empty() {
        let mut entry = list.list()?;
        let (address, mut of) = (entry.array()?, entry.list()?);
        let mut topics = Vec::new();
        while !of.is_empty() {
            topics.push(of.bytes()?.to_vec());
        }
        let data = entry.bytes()?.to_vec();
        entry.end()?;
        log.push(LogEntry { address, topics, data });
    }
    Ok(log)
}
