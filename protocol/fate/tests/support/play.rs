//! Playing the steps of a vector file: the update pipeline of a channel, as far as contracts need it
//! (`docs/protocol/contracts` §1.1).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;
use strait_encoding::hash::{call_id, contract_id};
use strait_encoding::rlp::List;
use strait_encoding::{AccountId, Coins, ContractId, Id, Nonce};
use strait_fate::world::{State, Store, Stored};
use strait_fate::{
    Account, Call, Code, CodeSource, Container, Contract, Ended, Host, LogEntry, Protocol, Refusal, Returned,
    is_init, run,
};

use super::world::{World, account_object};
use super::{bytes, id, number};

/// Why an update does not apply.
pub enum Failure {
    /// With the reason that the reference gives.
    Update(&'static str),
    /// The reference breaks down.
    Crash(String),
}

/// What a step is called in a report, and what differs from the vector; nothing if all is as it should be.
pub fn play(world: &mut World, step: &Json) -> Vec<String> {
    let before = world.state.clone();
    let result = apply(world, step);
    let wanted = &step["result"];
    let mut differences = Vec::new();
    match (&result, wanted["status"].as_str().unwrap()) {
        (Ok(done), "ok") => {
            if let Some(object) = done {
                compare_call(object, &wanted["call"], &mut differences);
            }
            compare_accounts(&before, &world.state, wanted, &mut differences);
            compare_stores(&before, &world.state, step, &mut differences);
            compare_contract(&world.state, step, &mut differences);
        }
        (Err(Failure::Update(reason)), "update_error") => {
            let wanted = wanted["reason"].as_str().unwrap();
            if wanted != *reason {
                differences.push(format!("reason: wanted {wanted}, found {reason}"));
            }
        }
        (Err(Failure::Crash(_)), "vm_crash") => {}
        (result, wanted_status) => {
            let result = match result {
                Ok(done) => format!("ok: {:?}", done.as_ref().map(CallObject::shown)),
                Err(Failure::Crash(what)) => format!("crash: {what}"),
                Err(Failure::Update(reason)) => format!("refused: {reason}"),
            };
            differences.push(format!("status: wanted {wanted_status} {}, found {result}", wanted["reason"]));
        }
    }
    if world.open_marks() != 0 {
        differences.push(format!("{} marks are left open", world.open_marks()));
    }
    let committed = step["commit"].as_bool().unwrap_or(true);
    if !committed || result.is_err() {
        world.state = before;
    }
    differences
}

/// A call object with what came of the call.
pub struct CallObject {
    caller: AccountId,
    contract: ContractId,
    round: u64,
    gas_price: u128,
    ended: Ended,
}

impl CallObject {
    fn returned(&self) -> (&'static str, u64, &[u8]) {
        match &self.ended.returned {
            Returned::Value(bytes) => ("ok", 0, bytes),
            Returned::Error(text) => ("error", 1, text),
            Returned::Revert(bytes) => ("revert", 2, bytes),
        }
    }

    pub fn shown(&self) -> String {
        let (kind, _, value) = self.returned();
        format!(
            "{kind} gas {} {} {:?}",
            self.ended.gas_used,
            hex::encode(value),
            String::from_utf8_lossy(value)
        )
    }

    fn encode(&self) -> Vec<u8> {
        let (_, code, value) = self.returned();
        let entry = |entry: &LogEntry| {
            List::new().bytes(&entry.contract.0).all_bytes(entry.topics.iter()).bytes(&entry.payload)
        };
        let log = self.ended.log.iter().fold(List::new(), |log, one| log.list(entry(one)));
        List::object(41, 2)
            .id(Id::Account(self.caller))
            .uint(self.round)
            .uint(self.round)
            .id(Id::Contract(self.contract))
            .uint128(self.gas_price)
            .uint(self.ended.gas_used)
            .bytes(value)
            .uint(code)
            .list(log)
            .finish()
    }
}

fn compare_call(object: &CallObject, wanted: &Json, differences: &mut Vec<String>) {
    let (kind, _, value) = object.returned();
    let found = (kind, hex::encode(value), u128::from(object.ended.gas_used));
    let same = (
        wanted["return_type"].as_str().unwrap(),
        wanted["return_value"].as_str().unwrap().to_owned(),
        number(&wanted["gas_used"]),
    );
    if found != same {
        let text = String::from_utf8_lossy(value).into_owned();
        differences
            .push(format!("call: wanted {same:?} {}, found {found:?} {text:?}", wanted["return_human"]));
    }
    let found: Vec<(String, Vec<String>, String)> = object
        .ended
        .log
        .iter()
        .map(|entry| {
            let topics = entry.topics.iter().map(hex::encode).collect();
            (hex::encode(entry.contract.0), topics, hex::encode(&entry.payload))
        })
        .collect();
    let text = |json: &Json| json.as_str().unwrap().to_owned();
    let same: Vec<(String, Vec<String>, String)> = wanted["log"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let topics = entry["topics"].as_array().unwrap().iter().map(text).collect();
            (text(&entry["address"]), topics, text(&entry["data"]))
        })
        .collect();
    if found != same {
        differences.push(format!("log: wanted {same:?}, found {found:?}"));
    }
    let found = hex::encode(call_id(object.caller, object.round, object.contract));
    if found != wanted["call_id"].as_str().unwrap() {
        differences.push(format!("call id: wanted {}, found {found}", wanted["call_id"]));
    }
    let found = hex::encode(object.encode());
    if found != wanted["object"].as_str().unwrap() {
        differences.push(format!("call object: wanted {}, found {found}", wanted["object"]));
    }
}

fn compare_accounts(before: &State, after: &State, wanted: &Json, differences: &mut Vec<String>) {
    let changed = after.accounts.iter().filter(|(id, account)| before.accounts.get(id) != Some(account));
    let found: BTreeMap<String, String> =
        changed.map(|(id, account)| (hex::encode(id.0), hex::encode(account_object(account)))).collect();
    let Some(wanted) = wanted["accounts_changed"].as_object() else { return };
    let wanted: BTreeMap<String, String> =
        wanted.iter().map(|(id, object)| (id.clone(), object.as_str().unwrap().to_owned())).collect();
    if found != wanted {
        differences.push(format!("accounts: wanted {wanted:?}, found {found:?}"));
    }
}

type Changes = BTreeMap<String, (BTreeMap<String, String>, Vec<String>)>;

fn store_changes(before: &State, after: &State) -> Changes {
    let mut all = Changes::new();
    let none = Store::new();
    for (id, contract) in &after.contracts {
        let old = before.contracts.get(id).map_or(&none, |contract| &contract.store);
        let put = contract.store.iter().filter(|(key, value)| old.get(*key) != Some(value));
        let put: BTreeMap<String, String> =
            put.map(|(key, value)| (hex::encode(key), hex::encode(value))).collect();
        let removed: Vec<String> =
            old.keys().filter(|key| !contract.store.contains_key(*key)).map(hex::encode).collect();
        if !put.is_empty() || !removed.is_empty() {
            all.insert(hex::encode(id.0), (put, removed));
        }
    }
    all
}

fn compare_stores(before: &State, after: &State, step: &Json, differences: &mut Vec<String>) {
    let found = store_changes(before, after);
    let text = |json: &Json| json.as_str().unwrap().to_owned();
    let put = |json: &Json| {
        json.as_object().unwrap().iter().map(|(key, value)| (key.clone(), text(value))).collect()
    };
    let mut wanted = Changes::new();
    if let Some(store) = step["result"].get("store").filter(|store| store.is_object()) {
        wanted.insert(text(&step["contract"]), (put(store), Vec::new()));
    } else if let Some(all) = step["result"]["store_changes"].as_object() {
        for (contract, changes) in all {
            let mut removed: Vec<String> = changes["removed"].as_array().unwrap().iter().map(text).collect();
            removed.sort();
            wanted.insert(contract.clone(), (put(&changes["put"]), removed));
        }
    } else {
        return;
    }
    if found != wanted {
        differences.push(format!("stores: wanted {wanted:?}\n    found {found:?}"));
    }
}

/// The contract object without its state, and the code in it.
fn compare_contract(state: &State, step: &Json, differences: &mut Vec<String>) {
    let Some(wanted) = step["result"]["contract_object"].as_str() else { return };
    let Some(contract) = state.contracts.get(&ContractId(id(&step["contract"]))) else {
        differences.push("the contract is not there".to_owned());
        return;
    };
    let deposit = Coins(number(&step["deposit"]));
    let CodeSource::Own(code) = &contract.contract.code else { panic!("a new contract has its own code") };
    let versions = u64::from(contract.contract.vm) << 16 | u64::from(ABI);
    let head = |version| {
        List::object(40, version).id(Id::Account(contract.contract.owner)).uint(versions).bytes(code)
    };
    // From machine 7 the layout has room for a reference to the code of another contract.
    let head = if contract.contract.vm == 5 { head(1) } else { head(2).list(List::new()) };
    let object = head.bytes(&[]).bool(true).list(List::new()).coins(deposit).finish();
    let found = hex::encode(&object);
    if found != wanted {
        differences.push(format!("contract object: wanted {wanted}, found {found}"));
    }
}

fn apply(world: &mut World, step: &Json) -> Result<Option<CallObject>, Failure> {
    match step["op"].as_str().unwrap() {
        "create" => create(world, step).map(Some),
        "call" => call(world, step).map(Some),
        "insert_failed_call" => {
            let gas_used = number(&step["gas"]) as u64;
            let returned = Returned::Error(b"invalid_call".to_vec());
            Ok(Some(CallObject {
                caller: AccountId(id(&step["caller"])),
                contract: ContractId(id(&step["contract"])),
                round: number(&step["round"]) as u64,
                gas_price: number(&step["gas_price"]),
                ended: Ended { returned, gas_used, log: Vec::new() },
            }))
        }
        "transfer" | "deposit" | "withdraw" | "meta" => plain(world, &bytes(&step["update"])).map(|()| None),
        other => panic!("a step of kind {other}"),
    }
}

/// An update without contracts, read from its bytes.
fn plain(world: &mut World, update: &[u8]) -> Result<(), Failure> {
    let tag = strait_encoding::rlp::tag_of(update).unwrap();
    let (_, mut fields) = strait_encoding::rlp::Fields::of_object(update, tag).unwrap();
    match tag {
        570 => {
            let (from, to) = (fields.account().unwrap(), fields.account().unwrap());
            let amount = fields.coins().unwrap().0;
            take(world, from, amount)?;
            give(world, to, amount)
        }
        571 => give(world, fields.account().unwrap(), fields.coins().unwrap().0),
        572 => take(world, fields.account().unwrap(), fields.coins().unwrap().0),
        _ => Ok(()),
    }
}

fn take(world: &mut World, from: AccountId, amount: u128) -> Result<(), Failure> {
    let reserve = world.chain.reserve;
    let account = world.state.accounts.get_mut(&from).ok_or(Failure::Crash("no account".into()))?;
    match account.balance.0.checked_sub(amount) {
        Some(left) if left >= reserve => {
            account.balance = Coins(left);
            Ok(())
        }
        _ => Err(Failure::Update("insufficient_balance")),
    }
}

fn give(world: &mut World, to: AccountId, amount: u128) -> Result<(), Failure> {
    let account = world.state.accounts.get_mut(&to).ok_or(Failure::Crash("no account".into()))?;
    account.balance.0 += amount;
    Ok(())
}

/// How contracts of this machine are called.
const ABI: u16 = 3;
/// The gas of a call that the pipeline makes by itself.
const GAS: u64 = 1_000_000;

fn create(world: &mut World, step: &Json) -> Result<CallObject, Failure> {
    let owner = AccountId(id(&step["owner"]));
    let round = number(&step["round"]) as u64;
    let (vm, abi) = (number(&step["vm_version"]) as u16, number(&step["abi_version"]) as u16);
    let deposit = number(&step["deposit"]);
    let call_data = bytes(&step["calldata"]);
    let contract = contract_id(owner, round);
    if !matches!((vm, abi), (5 | 7 | 8, ABI) | (1 | 3 | 4 | 6, 1)) {
        return Err(Failure::Crash("illegal ct_version".into()));
    }
    let source = bytes(&step["code"]);
    take(world, owner, deposit)?;
    let container = Container::decode(&source).map_err(|error| Failure::Crash(error.to_string()))?;
    let fresh = Account { balance: Coins(deposit), nonce: Nonce(0), payable: true };
    world.state.accounts.insert(AccountId(contract.0), fresh);
    // For the older machine the call data of this one is none.
    if !is_init(&call_data) || abi == 1 {
        return Err(Failure::Update("contract_init_failed"));
    }
    let code = Code::decode(&container.byte_code).map_err(|error| Failure::Crash(error.to_string()))?;
    let stored = container.stored(vm).map_err(|error| Failure::Crash(error.to_string()))?;
    let facts = Contract { owner, vm, code: CodeSource::Own(stored.encode()) };
    world.state.contracts.insert(contract, Stored::new(facts));
    let call = Call {
        contract,
        code: Arc::new(code),
        vm,
        caller: owner,
        call_data: &call_data,
        gas: GAS,
        value: Coins(0),
        creates: true,
    };
    let ended = run_here(world, &call, 1)?;
    if !matches!(ended.returned, Returned::Value(_)) {
        return Err(Failure::Update("contract_init_failed"));
    }
    Ok(CallObject { caller: owner, contract, round, gas_price: 0, ended })
}

fn call(world: &mut World, step: &Json) -> Result<CallObject, Failure> {
    let caller = AccountId(id(&step["caller"]));
    let contract = ContractId(id(&step["contract"]));
    let round = number(&step["round"]) as u64;
    let amount = number(&step["amount"]);
    let gas_price = number(&step["gas_price"]);
    let call_data = bytes(&step["calldata"]);
    take(world, caller, amount)?;
    give(world, AccountId(contract.0), amount)?;
    let stored = world.state.contracts.get(&contract).ok_or(Failure::Crash("no contract".into()))?;
    if number(&step["abi_version"]) != u128::from(ABI) {
        return Err(Failure::Update("wrong_abi_version"));
    }
    let (vm, source) = (stored.contract.vm, source(&world.state, &stored.contract));
    let container = Container::decode(&source).map_err(|error| Failure::Crash(error.to_string()))?;
    let code = Code::decode(&container.byte_code).map_err(|error| Failure::Crash(error.to_string()))?;
    let gas = number(&step["gas"]) as u64;
    let call = Call {
        contract,
        code: Arc::new(code),
        vm,
        caller,
        call_data: &call_data,
        gas,
        value: Coins(amount),
        creates: false,
    };
    let ended = run_here(world, &call, gas_price)?;
    if !matches!(ended.returned, Returned::Value(_)) && world.chain.environment.protocol >= Protocol::Iris {
        let back = world.transfer(AccountId(contract.0), caller, Coins(amount), false).unwrap();
        back.map_err(|error| Failure::Crash(error.to_string()))?;
    }
    Ok(CallObject { caller, contract, round, gas_price, ended })
}

fn source(state: &State, contract: &Contract) -> Vec<u8> {
    match &contract.code {
        CodeSource::Own(bytes) => bytes.clone(),
        CodeSource::Of(id) => source(state, &state.contracts[id].contract),
    }
}

fn run_here(world: &mut World, call: &Call<'_>, gas_price: u128) -> Result<Ended, Failure> {
    let mut environment = world.chain.environment.clone();
    environment.origin = call.caller;
    environment.gas_price = Coins(gas_price);
    run(call, &environment, world, strait_fate::Limits::default()).map_err(|refusal| match refusal {
        Refusal::Crash(what) => Failure::Crash(what.to_owned()),
        other => panic!("{other}"),
    })
}
