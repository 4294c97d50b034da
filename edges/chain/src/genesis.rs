//! The accounts of the first block: the prefunded ones, and those of a file.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::Value;
use strait_encoding::{AccountId, Coins, TextError};
use thiserror::Error;

use crate::dev_accounts;

/// Values are shown in messages up to this many characters.
const SHOWN: usize = 80;

/// What is wrong with a genesis file: the fault of whoever wrote it.
#[derive(Debug, Error)]
pub enum GenesisError {
    /// Not JSON, or no object.
    #[error("the genesis file is not a JSON object {{\"ak_…\": \"amount\", …}}: {0}")]
    Json(#[source] serde_json::Error),
    /// A key is no account.
    #[error("genesis account {key:?}: {source}; expected the public key of an account")]
    Account {
        /// The key as written.
        key: String,
        /// What is wrong with it.
        source: TextError,
    },
    /// An account stands there twice: which balance is meant?
    #[error("genesis account {0} stands there twice, expected one balance for each account")]
    Twice(AccountId),
    /// A value is no amount.
    #[error(
        "genesis account {account}: balance {found} is no amount, expected whole aettos, at most 2^128 - 1, as an \
         integer or as a string of digits"
    )]
    Balance {
        /// The account.
        account: AccountId,
        /// The value as written, cut where it is long.
        found: String,
    },
}

/// The accounts of the first block: those of [`dev_accounts`], and those of a genesis file with this text,
/// `{"ak_…": "amount", …}`. An amount is in aettos, an integer or a string of digits. Where the file names a prefunded
/// account, its balance counts. An empty object adds nothing.
///
/// # Errors
/// The text is not as above; the message names the key, the value and what was expected.
pub fn genesis_accounts(file: &str) -> Result<BTreeMap<AccountId, Coins>, GenesisError> {
    let mut accounts: BTreeMap<_, _> =
        dev_accounts().into_iter().map(|account| (account.key.account(), account.balance)).collect();
    let mut listed = BTreeMap::new();
    for (key, value) in entries(file).map_err(GenesisError::Json)? {
        let account: AccountId = key.parse().map_err(|source| GenesisError::Account { key, source })?;
        let Some(balance) = amount(&value) else {
            return Err(GenesisError::Balance { account, found: shown(&value) });
        };
        if listed.insert(account, balance).is_some() {
            return Err(GenesisError::Twice(account));
        }
    }
    accounts.extend(listed);
    Ok(accounts)
}

/// The pairs in the order of the file: a map would drop those that repeat a key.
fn entries(file: &str) -> Result<Vec<(String, Value)>, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(file);
    let entries = json.deserialize_map(Pairs)?;
    json.end()?;
    Ok(entries)
}

struct Pairs;

impl<'de> Visitor<'de> for Pairs {
    type Value = Vec<(String, Value)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of balances by account")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(pairs)
    }
}

fn amount(value: &Value) -> Option<Coins> {
    let digits = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return None,
    };
    // The parser also takes a sign.
    if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SDK: &str = "ak_21A27UVVt3hDkBE5J7rhhqnH5YNb4Y1dqo4PnSybrH85pnWo7E";
    const OTHER: &str = "ak_nFTi2thBJnmGNDRj6kuS1bcy9oRdoohYewkuxECkFLRLmnwnh";

    fn balance(accounts: &BTreeMap<AccountId, Coins>, account: &str) -> u128 {
        accounts[&account.parse::<AccountId>().unwrap()].0
    }

    fn refusal(file: &str) -> String {
        genesis_accounts(file).unwrap_err().to_string()
    }

    #[test]
    fn a_file_adds_to_the_prefunded_accounts() {
        assert_eq!(genesis_accounts("{}").unwrap().len(), 20);
        let added =
            genesis_accounts(&format!(r#" {{"{OTHER}": "340282366920938463463374607431768211455"}} "#))
                .unwrap();
        assert_eq!(added.len(), 21);
        assert_eq!(balance(&added, OTHER), u128::MAX);
        assert_eq!(balance(&added, SDK), 10_u128.pow(22));
    }

    #[test]
    fn a_balance_may_be_an_integer_of_any_size_and_replaces_a_prefunded_one() {
        let file = format!(r#"{{"{OTHER}": 10000000000000000000000, "{SDK}": 0}}"#);
        let accounts = genesis_accounts(&file).unwrap();
        assert_eq!(accounts.len(), 21);
        assert_eq!((balance(&accounts, OTHER), balance(&accounts, SDK)), (10_u128.pow(22), 0));
    }

    #[test]
    fn a_wrong_key_is_named() {
        let message = refusal(&format!(r#"{{"{OTHER}": 1, "ak_oops": 1}}"#));
        assert!(message.starts_with(r#"genesis account "ak_oops": "#), "{message}");
        assert!(message.ends_with("expected the public key of an account"), "{message}");
        let message = refusal(r#"{"kh_2ikjGFZGFpE99mDtsgkGFsTCqpPpXZRNRa5Pic989FJLcJStgx": 1}"#);
        assert!(message.contains("expected ak_…, found kh_…"), "{message}");
    }

    #[test]
    fn a_wrong_balance_is_named() {
        for wrong in [
            "-1",
            "1.5",
            "1e+3",
            "null",
            "[]",
            r#""""#,
            r#""+5""#,
            r#""five""#,
            "340282366920938463463374607431768211456",
        ] {
            let message = refusal(&format!(r#"{{"{OTHER}": {wrong}}}"#));
            let expected =
                format!("genesis account {OTHER}: balance {wrong} is no amount, expected whole aettos");
            assert!(message.starts_with(&expected), "{message}");
        }
        let message = refusal(&format!(r#"{{"{OTHER}": "{}"}}"#, "é".repeat(500)));
        assert!(message.len() < 400, "{message}");
    }

    #[test]
    fn an_account_twice_is_refused() {
        let message = refusal(&format!(r#"{{"{OTHER}": 1, "{OTHER}": 2}}"#));
        assert_eq!(
            message,
            format!("genesis account {OTHER} stands there twice, expected one balance for each account")
        );
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for wrong in ["", "[]", "{} {}", "5", r#"{"a""#] {
            assert!(refusal(wrong).starts_with("the genesis file is not a JSON object"), "{wrong}");
        }
    }
}
