//! Maps, in memory and in the store.

use crate::code::Operand;
use crate::fault::{Fault, Shown};
use crate::list::List;
use crate::machine::{Flow, Machine, Outcome, Step};
use crate::map::Map;
use crate::op::{behind, read_all};
use crate::unfold::merged;
use crate::value::{StoreMap, Value};

fn check(machine: &Machine<'_>, word: &'static str, map: &Value) -> Outcome<()> {
    match map {
        Value::Map(_) | Value::StoreMap(_) => Ok(()),
        other => {
            let shown = Shown::Value(other.clone());
            let parts = vec![Shown::Word(word), Shown::Text(" expected a map as argument, got "), shown];
            Err(machine.fault(Fault::Shown("Operation ", parts)))
        }
    }
}

/// Counts the work of finding a long key.
fn seek(machine: &mut Machine<'_>, key: &Value) -> Outcome<()> {
    match key {
        Value::String(bytes) | Value::Bytes(bytes) => machine.work(bytes.len() as u64),
        _ => Ok(()),
    }
}

fn lookup(machine: &mut Machine<'_>, map: &Value, key: &Value) -> Outcome<Option<Value>> {
    seek(machine, key)?;
    match map {
        Value::Map(map) => Ok(map.get(key).cloned()),
        Value::StoreMap(map) => match map.cache.get(key) {
            Some(Value::Removed) => Ok(None),
            Some(value) => Ok(Some(value.clone())),
            None => {
                machine.charge_entries(1)?;
                let contract = machine.contract;
                let found = machine.stores.map_entry(contract, map, key, &*machine.host);
                found.map_err(|fault| machine.trap(fault))
            }
        },
        _ => Ok(None),
    }
}

fn is_stored(machine: &mut Machine<'_>, map: &StoreMap, key: &Value) -> Outcome<bool> {
    let contract = machine.contract;
    let found = machine.stores.map_member(contract, map, key, &*machine.host);
    found.map_err(|fault| machine.trap(fault))
}

pub(crate) fn map_empty(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    machine.write(&operands[0], Value::Map(Map::EMPTY))?;
    machine.charge_cells(2)?;
    Ok(Flow::Next)
}

pub(crate) fn map_lookup(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let [map, key] = read_all(machine, behind::<2>(operands))?;
    check(machine, "map_lookup", &map)?;
    match lookup(machine, &map, &key)? {
        Some(value) => machine.done(&operands[0], value),
        None => Err(machine.fault(Fault::Fixed("Maps: Key does not exist"))),
    }
}

pub(crate) fn map_lookupd(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let [map, key, default] = read_all(machine, behind::<3>(operands))?;
    check(machine, "map_lookupd", &map)?;
    let value = lookup(machine, &map, &key)?.unwrap_or(default);
    machine.done(&operands[0], value)
}

pub(crate) fn map_member(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let [map, key] = read_all(machine, behind::<2>(operands))?;
    check(machine, "map_member", &map)?;
    seek(machine, &key)?;
    let member = match &map {
        Value::StoreMap(map) => match map.cache.get(&key) {
            Some(value) => !matches!(value, Value::Removed),
            None => {
                machine.charge_entries(1)?;
                is_stored(machine, map, &key)?
            }
        },
        Value::Map(map) => map.get(&key).is_some(),
        _ => false,
    };
    machine.done(&operands[0], Value::Boolean(member))
}

pub(crate) fn map_update(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let [map, key, value] = read_all(machine, behind::<3>(operands))?;
    seek(machine, &key)?;
    let updated = match &map {
        Value::Map(map) if !matches!(key, Value::Map(_)) => Value::Map(map.insert(key, value)),
        Value::StoreMap(map) => {
            let cache = map.cache.insert(key, value);
            Value::StoreMap(StoreMap { id: map.id.clone(), cache }.into())
        }
        _ => return Err(machine.bad_arguments("map_update", vec![map, key, value])),
    };
    machine.write(&operands[0], updated)?;
    machine.charge_cells(2)?;
    Ok(Flow::Next)
}

pub(crate) fn map_delete(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let [map, key] = read_all(machine, behind::<2>(operands))?;
    seek(machine, &key)?;
    let updated = match &map {
        Value::Map(map) if !matches!(key, Value::Map(_)) => Value::Map(map.remove(&key)),
        Value::StoreMap(map) => {
            let cache = map.cache.insert(key, Value::Removed);
            Value::StoreMap(StoreMap { id: map.id.clone(), cache }.into())
        }
        _ => return Err(machine.bad_arguments("map_delete", vec![map, key])),
    };
    machine.done(&operands[0], updated)
}

pub(crate) fn map_from_list(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let list = match machine.read(&operands[1])? {
        Value::List(list) => list,
        other => return Err(machine.bad_arguments("map_from_list", vec![other])),
    };
    // What is no tuple is passed over; a tuple of another size is beyond the reference.
    let mut map = Map::EMPTY;
    for item in &list {
        if let Value::Tuple(fields) = item {
            let [key, value] = &fields[..] else { return Err(machine.crash("an entry that is no pair")) };
            map = map.insert(key.clone(), value.clone());
        }
    }
    let size = map.len() as i64;
    machine.write(&operands[0], Value::Map(map))?;
    machine.charge_cells(size + 2)?;
    Ok(Flow::Next)
}

pub(crate) fn map_size(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let map = machine.read(&operands[1])?;
    check(machine, "map_size", &map)?;
    let size = match &map {
        Value::StoreMap(map) => {
            machine.charge_entries(map.cache.len() as u64)?;
            stored_size(machine, map)?
        }
        Value::Map(map) => map.len() as u64,
        _ => 0,
    };
    machine.done(&operands[0], size)
}

/// How many entries a map of the store has, with the changes since.
fn stored_size(machine: &mut Machine<'_>, map: &StoreMap) -> Outcome<u64> {
    let contract = machine.contract;
    let size = machine.stores.map_size(contract, map, &*machine.host);
    let mut size = size.map_err(|fault| machine.trap(fault))?;
    for (key, value) in &map.cache {
        match (is_stored(machine, map, key)?, matches!(value, Value::Removed)) {
            (true, true) => size = size.saturating_sub(1),
            (false, false) => size += 1,
            _ => {}
        }
    }
    Ok(size)
}

pub(crate) fn map_to_list(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let map = machine.read(&operands[1])?;
    check(machine, "map_to_list", &map)?;
    let map = match map {
        Value::Map(map) => map,
        Value::StoreMap(map) => {
            let contract = machine.contract;
            let size = machine.stores.map_size(contract, &map, &*machine.host);
            let size = size.map_err(|fault| machine.trap(fault))?;
            machine.charge_entries(size)?;
            machine.work(size)?;
            let stored = machine.stores.map_entries(contract, &map, &*machine.host);
            merged(stored.map_err(|fault| machine.trap(fault))?, &map.cache)
        }
        _ => Map::EMPTY,
    };
    machine.work(map.len() as u64)?;
    let list: List = map.iter().map(|(key, value)| Value::tuple(vec![key.clone(), value.clone()])).collect();
    machine.write(&operands[0], Value::List(list))?;
    machine.charge_cells(map.len() as i64 * 2)?;
    Ok(Flow::Next)
}
