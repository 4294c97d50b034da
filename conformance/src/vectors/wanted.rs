//! What a step should come to, field by field.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use strait_encoding::ContractId;
use strait_ledger::{CallObject, CallResult, Trees};
use strait_tree::Tree;

use super::Mismatch;
use super::place::{Place, Read};
use super::world::{CallOf, Outcome};

/// The `result` of a step, with the state before it.
pub(super) struct Wanted<'a> {
    step: &'a Place<'a>,
    before: &'a Trees,
    uncompared: BTreeSet<String>,
}

impl<'a> Wanted<'a> {
    pub fn of(step: &'a Place<'a>, before: &'a Trees) -> Self {
        Self { step, before, uncompared: BTreeSet::new() }
    }

    /// Fields of the result that nothing here knows.
    pub fn uncompared(self) -> BTreeSet<String> {
        self.uncompared
    }

    /// Compares every field of the result.
    pub fn compare(&mut self, outcome: &Outcome, found: &mut Vec<Mismatch>) -> Read<()> {
        let result = self.step.at("result");
        let recorded = self.step.at("state_hash_recorded");
        if let (true, Outcome::Applied(next)) = (recorded.is_there(), outcome) {
            recorded.expect_bytes(&next.state_hash().0, found);
        }
        let status = result.at("status");
        match (outcome, status.text()?) {
            (Outcome::Applied(next), "ok") => self.compare_state(next, found),
            (Outcome::Refused(reason), "update_error") => {
                result.at("reason").expect(*reason, found);
                Ok(())
            }
            // The reason is the reference's own.
            (Outcome::Broken(_), "vm_crash") => Ok(()),
            (_, "ok" | "update_error" | "vm_crash") => {
                let (expected, found_status) = (self.shown(&result), shown(outcome));
                found.push(Mismatch::new("result.status", expected, found_status));
                Ok(())
            }
            _ => Err(status.wrong("ok, update_error or vm_crash")),
        }
    }

    fn shown(&self, result: &Place<'_>) -> String {
        let status = result.at("status").value().as_str().unwrap_or_default().to_owned();
        match result.at("reason").value() {
            Value::Null => status,
            reason => format!("{status}: {reason}"),
        }
    }

    fn compare_state(&mut self, next: &Trees, found: &mut Vec<Mismatch>) -> Read<()> {
        let result = self.step.at("result");
        for name in result.object()?.keys() {
            let place = result.at(name);
            match name.as_str() {
                "status" | "reason" => {}
                "call" => self.compare_call(next, &place, found)?,
                "accounts" => place.expect_bytes(&root(&next.accounts), found),
                "calls" => place.expect_bytes(&root(&next.calls), found),
                "contracts" => place.expect_bytes(&root(&next.contracts), found),
                "state_hash" => place.expect_bytes(&next.state_hash().0, found),
                "accounts_changed" => compare_entries(&place, &self.accounts_changed(next), found)?,
                "store" => compare_entries(&place, &self.store(next)?, found)?,
                "store_changes" => compare_stores(&place, &self.store_changes(next), found)?,
                "contract_object" => {
                    let object = next.contract(self.contract()?).map(|contract| contract.encode());
                    place.expect_bytes(&object.unwrap_or_default(), found);
                }
                "code_in_tree" => self.compare_code(next, &place, found)?,
                other => {
                    self.uncompared.insert(format!("result.{other}"));
                }
            }
        }
        Ok(())
    }

    fn contract(&self) -> Read<ContractId> {
        self.step.at("contract").key().map(ContractId)
    }

    fn compare_call(&mut self, next: &Trees, place: &Place<'_>, found: &mut Vec<Mismatch>) -> Read<()> {
        let op = self.step.at("op");
        let makes_a_call = ["create", "call", "insert_failed_call"].iter().any(|one| op.value() == one);
        if !makes_a_call {
            place.at("return_type").expect("ok", found);
            return Ok(());
        }
        let call_of = CallOf::of(self.step)?;
        let Some(call) = next.call(&call_of.contract.0, &call_of.id()) else {
            found.push(place.wrong("no result of a call"));
            return Ok(());
        };
        for name in place.object()?.keys() {
            let field = place.at(name);
            match name.as_str() {
                "call_id" => field.expect_bytes(&call_of.id(), found),
                "object" => field.expect_bytes(&call.encode(), found),
                "return_type" => field.expect(returned(&call).0, found),
                "return_value" => field.expect_bytes(returned(&call).1, found),
                "gas_used" => field.expect(call.gas_used, found),
                "gas_price" => field.expect(number(call.gas_price.0), found),
                "log" => field.expect(log(&call), found),
                // Words for whoever reads the file; the bytes are compared.
                "return_human" => {}
                other => {
                    self.uncompared.insert(format!("result.call.{other}"));
                }
            }
        }
        Ok(())
    }

    fn compare_code(&self, next: &Trees, place: &Place<'_>, found: &mut Vec<Mismatch>) -> Read<()> {
        let contract = next.contract(self.contract()?);
        let code = contract.and_then(|contract| next.code(&contract)).unwrap_or_default();
        if code == self.step.at("code").bytes()? {
            place.expect("same", found);
        } else {
            place.expect_bytes(&code, found);
        }
        Ok(())
    }

    /// The accounts that are not what they were, by their keys.
    fn accounts_changed(&self, next: &Trees) -> BTreeMap<String, String> {
        let changed =
            next.accounts.iter().filter(|(key, object)| self.before.accounts.get(key) != Some(object));
        changed.map(|(key, object)| (hex::encode(key), hex::encode(object))).collect()
    }

    /// The store of the contract that the step makes.
    fn store(&self, next: &Trees) -> Read<BTreeMap<String, String>> {
        Ok(hexed(next.store_entries(&self.contract()?.0, &[])))
    }

    /// The stores that are not what they were: per contract what was put there, and what was removed.
    fn store_changes(&self, next: &Trees) -> BTreeMap<String, Changes> {
        let mut all = BTreeMap::new();
        for contract in contracts(next).union(&contracts(self.before)) {
            let old: BTreeMap<_, _> = self.before.store_entries(contract, &[]).into_iter().collect();
            let new: BTreeMap<_, _> = next.store_entries(contract, &[]).into_iter().collect();
            let removed = old.keys().filter(|key| !new.contains_key(*key)).map(hex::encode).collect();
            let put = new.into_iter().filter(|(key, value)| old.get(key) != Some(value));
            let changes = Changes { put: hexed(put), removed };
            if changes != Changes::default() {
                all.insert(hex::encode(contract), changes);
            }
        }
        all
    }
}

/// What happened to a store.
#[derive(Default, PartialEq)]
struct Changes {
    put: BTreeMap<String, String>,
    removed: BTreeSet<String>,
}

fn hexed(entries: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) -> BTreeMap<String, String> {
    entries.into_iter().map(|(key, value)| (hex::encode(key), hex::encode(value))).collect()
}

/// The ids of all contracts: entries of stores have longer keys.
fn contracts(trees: &Trees) -> BTreeSet<[u8; 32]> {
    trees.contracts.iter().filter_map(|(key, _)| key.try_into().ok()).collect()
}

/// Compares entries by their keys, each in a field of its own.
fn compare_entries(place: &Place<'_>, is: &BTreeMap<String, String>, found: &mut Vec<Mismatch>) -> Read<()> {
    let wanted = place.object()?;
    for name in wanted.keys() {
        place.at(name).expect(is.get(name).map_or(Value::Null, |value| value.as_str().into()), found);
    }
    for (name, value) in is.iter().filter(|(name, _)| !wanted.contains_key(*name)) {
        place.at(name).expect(value.as_str(), found);
    }
    Ok(())
}

fn compare_stores(place: &Place<'_>, is: &BTreeMap<String, Changes>, found: &mut Vec<Mismatch>) -> Read<()> {
    let (wanted, none) = (place.object()?, Changes::default());
    let names: BTreeSet<&String> = wanted.keys().chain(is.keys()).collect();
    let nothing = json!({ "put": {}, "removed": [] });
    for name in names {
        let (changes, contract) = (is.get(name).unwrap_or(&none), place.at(name));
        let there = if contract.is_there() { contract } else { contract.instead(&nothing) };
        compare_entries(&there.at("put"), &changes.put, found)?;
        let removed: BTreeSet<String> = there
            .at("removed")
            .list()?
            .iter()
            .map(|one| one.text().map(str::to_owned))
            .collect::<Read<_>>()?;
        if removed != changes.removed {
            let shown = |keys: &BTreeSet<String>| keys.iter().cloned().collect::<Vec<_>>().join(" ");
            let (expected, is) = (shown(&removed), shown(&changes.removed));
            found.push(Mismatch { expected, found: is, ..there.at("removed").wrong("") });
        }
    }
    Ok(())
}

/// The root of a tree; an empty one has none.
fn root(tree: &Tree) -> Vec<u8> {
    tree.root().map(|root| root.0.to_vec()).unwrap_or_default()
}

/// The kind of a result and its bytes.
pub(super) fn returned(call: &CallObject) -> (&'static str, &[u8]) {
    match &call.result {
        CallResult::Ok(value) => ("ok", value),
        CallResult::Error(text) => ("error", text),
        CallResult::Revert(value) => ("revert", value),
    }
}

fn log(call: &CallObject) -> Value {
    let entry = |entry: &strait_ledger::LogEntry| {
        let topics: Vec<String> = entry.topics.iter().map(hex::encode).collect();
        json!({ "address": hex::encode(entry.address), "topics": topics, "data": hex::encode(&entry.data) })
    };
    call.log.iter().map(entry).collect()
}

/// A number as JSON has it.
fn number(number: u128) -> Value {
    u64::try_from(number).map_or_else(|_| number.to_string().into(), Value::from)
}

/// What came of a step, in words.
fn shown(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Applied(next) => {
            let calls = next.calls.iter().filter_map(|(_, bytes)| CallObject::decode(bytes).ok());
            let shown = calls.map(|call| {
                let (kind, value) = returned(&call);
                format!("{kind} {} {:?}", hex::encode(value), String::from_utf8_lossy(value))
            });
            let shown: Vec<String> = shown.collect();
            if shown.is_empty() {
                "ok".to_owned()
            } else {
                format!("ok, with a call that returns {}", shown.join("; "))
            }
        }
        Outcome::Refused(reason) => format!("update_error: {reason}"),
        Outcome::Broken(why) => format!("vm_crash: {why}"),
        Outcome::Unknown(why) => format!("no answer: {why}"),
    }
}
