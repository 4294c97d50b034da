//! Updates as they stand beside a transaction to sign (`docs/protocol/ws_api` §6).

use std::borrow::Cow;
use std::ops::Deref;

use serde::Deserialize;
use strait_encoding::text::{self, Prefix, TextError};
use strait_encoding::{AccountId, Coins};
use strait_ledger::Update;

/// An account and its text form, which is compared more often than it is decoded.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) id: AccountId,
    pub(crate) text: String,
}

impl Named {
    pub(crate) fn new(id: AccountId) -> Self {
        Self { id, text: id.to_string() }
    }
}

/// Reads a list of updates. Texts of `known` accounts are recognised without decoding them.
pub(crate) fn parse(json: &str, known: [&Named; 2]) -> Result<Vec<Update>, String> {
    let forms: Vec<Form<'_>> = serde_json::from_str(json).map_err(|error| error.to_string())?;
    forms.into_iter().map(|form| form.update(known)).collect()
}

/// One update with whatever fields it has. Not a tagged enum: serde buffers those, and loses large numbers on the way.
#[derive(Deserialize)]
struct Form<'a> {
    #[serde(borrow)]
    op: Text<'a>,
    #[serde(borrow)]
    from: Option<Text<'a>>,
    #[serde(borrow)]
    to: Option<Text<'a>>,
    #[serde(borrow)]
    data: Option<Text<'a>>,
    amount: Option<Coins>,
    owner: Option<String>,
    vm_version: Option<u64>,
    abi_version: Option<u64>,
    code: Option<String>,
    deposit: Option<Coins>,
    call_data: Option<String>,
    caller_id: Option<String>,
    contract_id: Option<String>,
    gas: Option<u64>,
    gas_price: Option<Coins>,
    #[serde(default)]
    call_stack: Vec<u64>,
}

impl Form<'_> {
    fn update(self, known: [&Named; 2]) -> Result<Update, String> {
        let op = self.op.0.clone();
        let missing = |name: &str| format!("an {op} needs `{name}`");
        self.read(known).map_err(|error| match error {
            Unread::Missing(name) => missing(name),
            Unread::Text(name, error) => format!("`{name}` of an {op}: {error}"),
            Unread::Kind => format!("there is no update called {op}"),
        })
    }

    fn read(self, known: [&Named; 2]) -> Result<Update, Unread> {
        Ok(match &*self.op.0 {
            "OffChainTransfer" => Update::Transfer {
                from: account("from", self.from.as_deref(), known)?,
                to: account("to", self.to.as_deref(), known)?,
                amount: given("amount", self.amount)?,
            },
            "OffChainDeposit" => Update::Deposit {
                from: account("from", self.from.as_deref(), known)?,
                amount: given("amount", self.amount)?,
            },
            "OffChainWithdrawal" => Update::Withdraw {
                to: account("to", self.to.as_deref(), known)?,
                amount: given("amount", self.amount)?,
            },
            "OffChainMeta" => Update::Meta { data: given("data", self.data)?.0.into_owned().into_bytes() },
            "OffChainNewContract" => Update::NewContract {
                owner: account("owner", self.owner.as_deref(), known)?,
                ct_version: (given("vm_version", self.vm_version)? << 16)
                    | given("abi_version", self.abi_version)?,
                code: bytes("code", self.code)?,
                deposit: given("deposit", self.deposit)?,
                call_data: bytes("call_data", self.call_data)?,
            },
            "OffChainCallContract" => Update::CallContract {
                caller: account("caller_id", self.caller_id.as_deref(), known)?,
                contract: given("contract_id", self.contract_id)?
                    .parse()
                    .map_err(|error| Unread::Text("contract_id", error))?,
                abi_version: given("abi_version", self.abi_version)?,
                amount: given("amount", self.amount)?,
                gas: given("gas", self.gas)?,
                gas_price: given("gas_price", self.gas_price)?.0,
                call_data: bytes("call_data", self.call_data)?,
                call_stack: self.call_stack,
            },
            _ => return Err(Unread::Kind),
        })
    }
}

/// Borrowed where the text has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

enum Unread {
    Missing(&'static str),
    Text(&'static str, TextError),
    Kind,
}

fn given<T>(name: &'static str, value: Option<T>) -> Result<T, Unread> {
    value.ok_or(Unread::Missing(name))
}

fn account(name: &'static str, text: Option<&str>, known: [&Named; 2]) -> Result<AccountId, Unread> {
    let text = given(name, text)?;
    match known.iter().find(|named| named.text == text) {
        Some(named) => Ok(named.id),
        None => text.parse().map_err(|error| Unread::Text(name, error)),
    }
}

fn bytes(name: &'static str, value: Option<String>) -> Result<Vec<u8>, Unread> {
    text::decode(Prefix::ContractBytes, &given(name, value)?).map_err(|error| Unread::Text(name, error))
}

#[cfg(test)]
mod tests {
    use strait_encoding::ContractId;

    use super::*;

    fn known() -> [Named; 2] {
        [Named::new(AccountId([1; 32])), Named::new(AccountId([2; 32]))]
    }

    #[test]
    fn every_kind_is_read_as_the_ledger_writes_it() {
        let [a, b] = known();
        let stranger = AccountId([9; 32]);
        let all = vec![
            Update::Transfer { from: a.id, to: b.id, amount: Coins(u128::MAX) },
            Update::Transfer { from: stranger, to: b.id, amount: Coins(0) },
            Update::Deposit { from: a.id, amount: Coins(2) },
            Update::Withdraw { to: b.id, amount: Coins(3) },
            Update::NewContract {
                owner: a.id,
                ct_version: (8 << 16) | 3,
                code: vec![1, 2],
                deposit: Coins(4),
                call_data: vec![3],
            },
            Update::CallContract {
                caller: b.id,
                contract: ContractId([7; 32]),
                abi_version: 3,
                amount: Coins(5),
                gas: 1_000_000,
                gas_price: 1,
                call_data: vec![4, 5],
                call_stack: vec![],
            },
            Update::Meta { data: "payment 1 — ♥".into() },
        ];
        let json = serde_json::Value::from(all.iter().map(Update::to_json).collect::<Vec<_>>()).to_string();
        assert_eq!(parse(&json, [&a, &b]).unwrap(), all);
    }

    #[test]
    fn what_is_no_update_is_refused() {
        let [a, b] = known();
        for json in [
            "17",
            r#"[{"op":"OffChainDance"}]"#,
            r#"[{"op":"OffChainTransfer","from":"ABCDEF","to":"ak_1","amount":1}]"#,
            r#"[{"op":"OffChainTransfer","amount":1}]"#,
            r#"[{"op":"OffChainDeposit","from":"ak_1","amount":-1}]"#,
        ] {
            assert!(parse(json, [&a, &b]).is_err(), "{json}");
        }
    }
}
