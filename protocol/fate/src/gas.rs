//! What looking through values costs (`docs/protocol/contracts` §2.4).

use crate::list::ListIter;
use crate::map::{Map, MapIter};
use crate::types::{Type, TypeNode};
use crate::value::{StoreMap, Value};

/// Prices in thousandths of gas.
#[derive(Clone, Copy)]
pub(crate) struct Model {
    node: i128,
    byte: i128,
    entry: i128,
}

/// Arguments and results.
pub(crate) const SIMPLE: Model = Model { node: 800, byte: 0, entry: 0 };
/// State that is written.
pub(crate) const SERIAL: Model = Model { node: 800, byte: 300, entry: 0 };
/// Taking maps out of the store.
pub(crate) const UNFOLD: Model = Model { node: 800, byte: 0, entry: 20_000_000 };
/// Comparing.
pub(crate) const UNFOLD_COMPARE: Model = Model { node: 800, byte: 4, entry: 20_000_000 };
/// Hashing.
pub(crate) const UNFOLD_SERIAL: Model = Model { node: 800, byte: 300, entry: 20_000_000 };
/// The result of the whole call.
pub(crate) const FINAL: Model = Model { node: 800, byte: 1000, entry: 0 };

/// Thousandths in one gas.
const UNIT: i128 = 1000;

/// Why a traversal ended early.
pub(crate) enum Stopped<E> {
    OutOfGas,
    /// A value of a kind that must not occur.
    Unknown,
    Lookup(E),
}

/// What a value costs that holds no others, in gas; nothing for those that may, and for types.
#[inline]
pub(crate) fn leaf(value: &Value, model: Model) -> Option<u64> {
    let bytes = match value {
        Value::Integer(number) => number.bytes(),
        Value::Boolean(_) => 1,
        Value::String(bytes) | Value::Bytes(bytes) => bytes.len() as u64,
        Value::Address(_) | Value::Contract(_) => 32,
        _ => return None,
    };
    let cost = model.node.unsigned_abs() + model.byte.unsigned_abs() * u128::from(bytes);
    u64::try_from(cost.div_ceil(UNIT.unsigned_abs())).ok()
}

/// Pays for entries that are going to be read from the store; says whether the gas was enough.
pub(crate) type Pay<'a> = dyn FnMut(u64) -> bool + 'a;

/// The gas left after looking through `value`. `contents` pays for what the store holds of a map, and gives it; nothing
/// where maps of the store are not looked into.
pub(crate) fn traverse<E>(
    value: &Value,
    model: Model,
    gas: u64,
    mut contents: impl FnMut(&StoreMap, &mut Pay<'_>) -> Result<Option<Map>, E>,
) -> Result<u64, Stopped<E>> {
    let mut left = i128::from(gas) * UNIT;
    let mut pending = vec![value.clone()];
    while let Some(value) = pending.pop() {
        left -= cost(&value, model).ok_or(Stopped::Unknown)?;
        look_inside(value, model, &mut left, &mut contents, &mut pending)?;
    }
    u64::try_from(left / UNIT).ok().filter(|_| left >= 0).ok_or(Stopped::OutOfGas)
}

fn look_inside<E>(
    value: Value,
    model: Model,
    left: &mut i128,
    contents: &mut impl FnMut(&StoreMap, &mut Pay<'_>) -> Result<Option<Map>, E>,
    pending: &mut Vec<Value>,
) -> Result<(), Stopped<E>> {
    // Elements are charged before they are remembered, so the memory used here is bounded by gas.
    match &value {
        Value::Tuple(fields) => pending.extend(fields.iter().cloned()),
        Value::Variant(variant) => pending.extend(variant.fields.iter().cloned()),
        Value::List(list) if *left >= 0 => remember(list.iter(), pending),
        Value::Map(map) if *left >= 0 => remember_entries(map.iter(), pending),
        Value::StoreMap(map) => {
            let mut pay = |entries: u64| {
                *left -= i128::from(entries) * model.entry;
                *left >= 0
            };
            let stored = contents(map, &mut pay).map_err(Stopped::Lookup)?;
            pending.push(stored.map_or_else(Value::unit, Value::Map));
            *left -= model.node * (1 + map.cache.len() as i128);
            if *left >= 0 {
                remember_entries(map.cache.iter(), pending);
            }
        }
        _ => {}
    }
    if *left < 0 { Err(Stopped::OutOfGas) } else { Ok(()) }
}

fn remember(items: ListIter<'_>, pending: &mut Vec<Value>) {
    pending.extend(items.cloned());
}

fn remember_entries(entries: MapIter<'_>, pending: &mut Vec<Value>) {
    pending.extend(entries.flat_map(|(key, value)| [key.clone(), value.clone()]));
}

/// What a value costs without what is inside it.
fn cost(value: &Value, model: Model) -> Option<i128> {
    let sequence = |count: usize| model.node * (1 + count as i128);
    let leaf = |bytes: u64| model.node + model.byte * i128::from(bytes);
    Some(match value {
        Value::Integer(number) => leaf(number.bytes()),
        Value::Bits(bits) => leaf(bits.bits().div_ceil(8).max(1)),
        Value::Boolean(_) | Value::Removed => leaf(1),
        Value::String(bytes) | Value::Bytes(bytes) => leaf(bytes.len() as u64),
        Value::Address(_)
        | Value::Contract(_)
        | Value::Oracle(_)
        | Value::OracleQuery(_)
        | Value::Channel(_) => leaf(32),
        Value::Tuple(fields) if fields.is_empty() => leaf(1),
        Value::Tuple(fields) => model.node + sequence(fields.len()),
        Value::Variant(variant) => model.node + sequence(variant.fields.len()),
        Value::List(list) => sequence(list.len()),
        Value::Map(map) => sequence(map.len()),
        Value::StoreMap(_) => model.node,
        Value::Type(of) => model.node + type_cost(of, model)?,
        Value::Code(_) => return None,
    })
}

/// What a type costs; some kinds of types have no price.
fn type_cost(of: &Type, model: Model) -> Option<i128> {
    of.nodes().try_fold(0, |sum, node| {
        let cost = match node {
            TypeNode::Tuple(_) | TypeNode::Variant(_) => model.node + model.byte,
            TypeNode::List | TypeNode::Map => model.node,
            TypeNode::Integer
            | TypeNode::Boolean
            | TypeNode::Address
            | TypeNode::Contract
            | TypeNode::Oracle
            | TypeNode::Channel
            | TypeNode::Bits
            | TypeNode::String
            | TypeNode::Code => model.byte,
            _ => return None,
        };
        Some(sum + cost)
    })
}
