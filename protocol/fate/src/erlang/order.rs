//! The order in which the reference walks its maps (`docs/protocol/contracts` §2.8).

use std::cmp::Ordering;

use crate::map::Map;
use crate::value::Value;

/// Maps up to this size are walked in the order of their keys.
const SMALL: usize = 32;

/// The entries in the reference's order; in the order of terms where that order cannot be known.
pub(crate) fn entries(map: &Map) -> Vec<(&Value, &Value)> {
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_by(|(a, _), (b, _)| compare_terms(a, b));
    if map.len() > SMALL {
        let mut keyed: Vec<_> =
            entries.iter().map(|(key, value)| (super::hash::path(key), *key, *value)).collect();
        if keyed.iter().all(|(path, ..)| path.is_some()) {
            keyed.sort_by_key(|(path, ..)| *path);
            return keyed.into_iter().map(|(_, key, value)| (key, value)).collect();
        }
    }
    entries
}

/// Is the order of [`entries`] the reference's for certain?
pub(crate) fn is_known(map: &Map) -> bool {
    map.len() <= SMALL || map.iter().all(|(key, _)| super::hash::path(key).is_some())
}

/// Numbers, atoms, tuples, maps, lists, binaries.
fn rank(value: &Value) -> u8 {
    match value {
        Value::Integer(_) => 0,
        Value::Boolean(_) | Value::Removed => 1,
        Value::Map(_) => 3,
        Value::List(_) => 4,
        Value::String(_) => 5,
        _ => 2,
    }
}

/// A tuple's size and first element.
fn head(value: &Value) -> (u8, &'static str) {
    match value {
        Value::Address(_) => (2, "address"),
        Value::Bits(_) => (2, "bits"),
        Value::Bytes(_) => (2, "bytes"),
        Value::Channel(_) => (2, "channel"),
        Value::Contract(_) => (2, "contract"),
        Value::Code(_) => (2, "contract_bytearray"),
        Value::Oracle(_) => (2, "oracle"),
        Value::OracleQuery(_) => (2, "oracle_query"),
        Value::Tuple(_) => (2, "tuple"),
        Value::Type(_) => (2, "typerep"),
        Value::StoreMap(_) => (3, "store_map"),
        Value::Variant(_) => (4, "variant"),
        _ => (0, ""),
    }
}

/// The order of terms in the reference's language.
pub(crate) fn compare_terms(a: &Value, b: &Value) -> Ordering {
    let mut pending = vec![Pending::Pair(a, b)];
    while let Some(next) = pending.pop() {
        let order = match next {
            Pending::Pair(a, b) => ahead(a, b, &mut pending),
            Pending::Verdict(order) => order,
        };
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

enum Pending<'a> {
    Pair(&'a Value, &'a Value),
    /// What is true if nothing before it decided.
    Verdict(Ordering),
}

fn ahead<'a>(a: &'a Value, b: &'a Value, pending: &mut Vec<Pending<'a>>) -> Ordering {
    let order = rank(a).cmp(&rank(b)).then_with(|| head(a).cmp(&head(b)));
    if order.is_ne() {
        return order;
    }
    let mut later = |a: &'a [Value], b: &'a [Value]| {
        pending.extend(a.iter().zip(b).rev().map(|(a, b)| Pending::Pair(a, b)));
        a.len().cmp(&b.len())
    };
    match (a, b) {
        (Value::String(a), Value::String(b)) | (Value::Bytes(a), Value::Bytes(b)) => a[..].cmp(&b[..]),
        (Value::Bits(a), Value::Bits(b)) => a.cmp(b),
        (Value::Tuple(a), Value::Tuple(b)) => later(a, b),
        (Value::Variant(a), Value::Variant(b)) => {
            let fields = later(&a.fields, &b.fields);
            a.arities.cmp(&b.arities).then(a.tag.cmp(&b.tag)).then(fields)
        }
        (Value::List(a), Value::List(b)) => {
            // A list that ends first is the smaller one.
            pending.push(Pending::Verdict(a.len().cmp(&b.len())));
            let pairs: Vec<_> = a.iter().zip(b.iter()).collect();
            pending.extend(pairs.into_iter().rev().map(|(a, b)| Pending::Pair(a, b)));
            Ordering::Equal
        }
        _ => crate::order::compare(a, b),
    }
}

/// Numbers in the order in which the reference walks a map that has them as keys.
pub(crate) fn walk(numbers: impl IntoIterator<Item = u64>) -> Vec<u64> {
    let mut numbers: Vec<u64> = numbers.into_iter().collect();
    numbers.sort_unstable();
    if numbers.len() > SMALL {
        numbers.sort_by_key(|number| super::hash::path(&Value::from(*number)));
    }
    numbers
}
