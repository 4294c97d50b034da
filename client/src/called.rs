//! What a contract call came to (`docs/protocol/ws_api` §5).

use num_bigint::BigUint;
use serde::Deserialize;
use strait_encoding::text::{self, Prefix};
use strait_encoding::{AccountId, Coins, ContractId, Id, Round};
use strait_fate::Value;
use strait_ledger::{CallObject, CallResult};
use thiserror::Error;

use crate::FateValue;

/// What a contract call came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Called {
    /// Who called.
    pub caller: AccountId,
    /// What was called.
    pub contract: ContractId,
    /// The round that the call made, or would make.
    pub round: Round,
    /// The price of a unit of gas that the contract saw.
    pub gas_price: Coins,
    /// Units of gas that were used; off chain nobody pays for them.
    pub gas_used: u64,
    /// How it ended.
    pub ended: Ended,
    /// The events.
    pub log: Vec<ContractEvent>,
}

/// How a contract call ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ended {
    /// It returned.
    Returned(Value),
    /// It took everything back, and says why.
    Reverted(Value),
    /// The machine stopped it: out of gas, say.
    Failed(String),
}

/// An event of a contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContractEvent {
    /// Which contract: not always the one that was called.
    pub contract: ContractId,
    /// The hash of the event's name, then its indexed fields, 32 bytes each.
    pub topics: Vec<[u8; 32]>,
    /// Its text, if it has one.
    pub payload: Vec<u8>,
}

/// Why a call gave no value.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum NoValue {
    /// It took everything back.
    #[error("the contract took the call back: {0}")]
    Reverted(String),
    /// The machine stopped it.
    #[error("the call failed: {0}")]
    Failed(String),
    /// It returned something else.
    #[error("the call returned a value of another type: {0:?}")]
    OtherType(Value),
}

impl Called {
    /// The value that it returned.
    ///
    /// # Errors
    /// It returned none, or one of another type.
    pub fn returned<T: FateValue>(&self) -> Result<T, NoValue> {
        match &self.ended {
            Ended::Returned(value) => T::from_fate(value).ok_or_else(|| NoValue::OtherType(value.clone())),
            Ended::Reverted(why) => {
                Err(NoValue::Reverted(String::from_fate(why).unwrap_or_else(|| format!("{why:?}"))))
            }
            Ended::Failed(why) => Err(NoValue::Failed(why.clone())),
        }
    }

    /// Reads the result that stands in a state; none where it is not of an account, or its value cannot be read.
    pub(crate) fn of(call: &CallObject) -> Option<Self> {
        let Id::Account(caller) = call.caller else { return None };
        let ended = match &call.result {
            CallResult::Ok(bytes) => Ended::Returned(Value::decode(bytes).ok()?),
            CallResult::Revert(bytes) => Ended::Reverted(Value::decode(bytes).ok()?),
            CallResult::Error(text) => Ended::Failed(String::from_utf8_lossy(text).into_owned()),
        };
        let topics = |topics: &[Vec<u8>]| topics.iter().map(|topic| word(topic)).collect::<Option<_>>();
        let log = call.log.iter().map(|entry| {
            let (contract, payload) = (ContractId(entry.address), entry.data.clone());
            Some(ContractEvent { contract, topics: topics(&entry.topics)?, payload })
        });
        Some(Self {
            caller,
            contract: call.contract,
            round: Round(call.nonce.0),
            gas_price: call.gas_price,
            gas_used: call.gas_used,
            ended,
            log: log.collect::<Option<_>>()?,
        })
    }

    /// Reads the answer to a question about a call.
    pub(crate) fn parse(json: &str) -> Result<Self, String> {
        let form: Form = serde_json::from_str(json).map_err(|error| error.to_string())?;
        let bytes = decoded("return_value", &form.return_value)?;
        let value = || Value::decode(&bytes).map_err(|error| format!("`return_value`: {error}"));
        let ended = match &*form.return_type {
            "ok" => Ended::Returned(value()?),
            "revert" => Ended::Reverted(value()?),
            "error" => Ended::Failed(String::from_utf8_lossy(&bytes).into_owned()),
            other => return Err(format!("`return_type` is {other}, expected ok, revert or error")),
        };
        let log = form.log.into_iter().map(Entry::event).collect::<Result<_, _>>()?;
        Ok(Self {
            caller: form.caller_id.parse().map_err(|error| format!("`caller_id`: {error}"))?,
            contract: form.contract_id.parse().map_err(|error| format!("`contract_id`: {error}"))?,
            round: Round(form.caller_nonce),
            gas_price: form.gas_price,
            gas_used: form.gas_used,
            ended,
            log,
        })
    }
}

#[derive(Deserialize)]
struct Form {
    caller_id: String,
    caller_nonce: u64,
    contract_id: String,
    gas_price: Coins,
    gas_used: u64,
    return_value: String,
    return_type: String,
    log: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    address: String,
    topics: Vec<serde_json::Number>,
    data: String,
}

impl Entry {
    fn event(self) -> Result<ContractEvent, String> {
        let topic = |number: &serde_json::Number| {
            let digits = number.to_string();
            let parsed = digits.parse::<BigUint>().ok().and_then(|big| word(&big.to_bytes_be()));
            parsed.ok_or_else(|| format!("a topic is {digits}, expected a number of 32 bytes"))
        };
        Ok(ContractEvent {
            contract: self.address.parse().map_err(|error| format!("`address`: {error}"))?,
            topics: self.topics.iter().map(topic).collect::<Result<_, _>>()?,
            payload: decoded("data", &self.data)?,
        })
    }
}

fn decoded(name: &str, form: &str) -> Result<Vec<u8>, String> {
    text::decode(Prefix::ContractBytes, form).map_err(|error| format!("`{name}`: {error}"))
}

/// A number's bytes, the highest first, filled up to 32; none where there are more.
fn word(bytes: &[u8]) -> Option<[u8; 32]> {
    let mut word = [0; 32];
    word[32_usize.checked_sub(bytes.len())?..].copy_from_slice(bytes);
    Some(word)
}

#[cfg(test)]
mod tests {
    use strait_encoding::{Height, Nonce};
    use strait_ledger::LogEntry;

    use super::*;

    fn object(result: CallResult) -> CallObject {
        CallObject {
            caller: Id::Account(AccountId([1; 32])),
            nonce: Nonce(7),
            height: Height(7),
            contract: ContractId([2; 32]),
            name: None,
            gas_price: Coins(1),
            gas_used: 380,
            result,
            log: vec![LogEntry {
                address: [2; 32],
                topics: vec![vec![0xff; 32], vec![0; 32]],
                data: vec![9],
            }],
        }
    }

    #[test]
    fn the_services_answer_says_what_the_state_says() {
        let value = Value::from(42_u64).encode().unwrap();
        let why = Value::string("NOT_YOUR_TURN").encode().unwrap();
        for result in
            [CallResult::Ok(value), CallResult::Revert(why), CallResult::Error(b"Out of gas".into())]
        {
            let object = object(result);
            let read = Called::of(&object).unwrap();
            assert_eq!(Called::parse(&object.to_json().to_string()), Ok(read));
        }
    }

    #[test]
    fn a_call_without_a_value_says_why() {
        let of = |result| Called::of(&object(result)).unwrap();
        let value = of(CallResult::Ok(Value::from(42_u64).encode().unwrap()));
        assert_eq!(value.returned::<u64>(), Ok(42));
        assert!(matches!(value.returned::<bool>(), Err(NoValue::OtherType(_))));
        let reverted = of(CallResult::Revert(Value::string("NO").encode().unwrap()));
        assert_eq!(reverted.returned::<u64>(), Err(NoValue::Reverted("NO".to_owned())));
        let failed = of(CallResult::Error(b"Out of gas".into()));
        assert_eq!(failed.returned::<u64>(), Err(NoValue::Failed("Out of gas".to_owned())));
    }

    #[test]
    fn what_is_no_call_is_refused() {
        let good = object(CallResult::Error(b"x".into())).to_json().to_string();
        for (from, to) in [
            ("\"error\"", "\"fine\""),
            ("cb_", "cx_"),
            ("\"gas_used\":380", "\"gas_used\":-1"),
            ("\"ct_", "\"ak_"),
            ("\"topics\":[", "\"topics\":[-1,"),
        ] {
            let bad = good.replace(from, to);
            assert_ne!(bad, good);
            assert!(Called::parse(&bad).is_err(), "{bad}");
        }
    }
}
