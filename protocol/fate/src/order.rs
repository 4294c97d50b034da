//! The total order of values (`docs/protocol/contracts` §2.1).

use std::cmp::Ordering;

use num_bigint::BigInt;
use num_traits::Signed;

use crate::list::List;
use crate::map::MapIter;
use crate::value::Value;

/// Compares two values in the machine's total order. Types, maps of the store and marks of removal, which have no
/// place in that order, come last.
///
/// Nothing recurses, so values may nest as deeply as they like.
pub fn compare(a: &Value, b: &Value) -> Ordering {
    let mut pending = Vec::new();
    let mut order = ahead(a, b, &mut pending);
    while order == Ordering::Equal {
        let Some(next) = pending.pop() else { return Ordering::Equal };
        order = match next {
            Pending::Fields(mut left, mut right) => match (left.next(), right.next()) {
                (Some(a), Some(b)) => {
                    pending.push(Pending::Fields(left, right));
                    ahead(a, b, &mut pending)
                }
                _ => Ordering::Equal,
            },
            Pending::Lists(left, right) => match (left.split_first(), right.split_first()) {
                (Some((a, left)), Some((b, right))) => {
                    if !left.is_same(right) {
                        pending.push(Pending::Lists(left, right));
                    }
                    ahead(a, b, &mut pending)
                }
                (a, b) => a.is_some().cmp(&b.is_some()),
            },
            Pending::Entries(mut left, mut right) => match (left.next(), right.next()) {
                (Some((k, v)), Some((l, w))) => {
                    pending.push(Pending::Entries(left, right));
                    pending.push(Pending::Pair(v, w));
                    ahead(k, l, &mut pending)
                }
                _ => Ordering::Equal,
            },
            Pending::Pair(a, b) => ahead(a, b, &mut pending),
        };
    }
    order
}

/// Is there a place in the order for a value of this kind?
pub(crate) fn is_ordered(value: &Value) -> bool {
    !matches!(value, Value::Type(_) | Value::StoreMap(_) | Value::Removed)
}

enum Pending<'a> {
    Fields(std::slice::Iter<'a, Value>, std::slice::Iter<'a, Value>),
    Lists(&'a List, &'a List),
    Entries(MapIter<'a>, MapIter<'a>),
    Pair(&'a Value, &'a Value),
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Integer(_) => 0,
        Value::Boolean(_) => 1,
        Value::Address(_) => 2,
        Value::Channel(_) => 3,
        Value::Contract(_) => 4,
        Value::Oracle(_) => 5,
        Value::Bytes(_) => 6,
        Value::Bits(_) => 7,
        Value::String(_) => 8,
        Value::Tuple(_) => 9,
        Value::Map(_) => 10,
        Value::List(_) => 11,
        Value::Variant(_) => 12,
        Value::OracleQuery(_) => 13,
        Value::Code(_) => 14,
        Value::Type(_) => 15,
        Value::StoreMap(_) => 16,
        Value::Removed => 17,
    }
}

/// What can be said before looking inside; what is inside is left in `pending`.
fn ahead<'a>(a: &'a Value, b: &'a Value, pending: &mut Vec<Pending<'a>>) -> Ordering {
    match (a, b) {
        (Value::Integer(a), Value::Integer(b)) => a.cmp(b),
        (Value::Boolean(a), Value::Boolean(b)) => a.cmp(b),
        (Value::Address(a), Value::Address(b))
        | (Value::Channel(a), Value::Channel(b))
        | (Value::Contract(a), Value::Contract(b))
        | (Value::Oracle(a), Value::Oracle(b))
        | (Value::OracleQuery(a), Value::OracleQuery(b)) => a.cmp(b),
        (Value::Bytes(a), Value::Bytes(b))
        | (Value::String(a), Value::String(b))
        | (Value::Code(a), Value::Code(b)) => a.len().cmp(&b.len()).then_with(|| a.cmp(b)),
        (Value::Bits(a), Value::Bits(b)) => compare_bits(a, b),
        (Value::Tuple(a), Value::Tuple(b)) => {
            if !a.is_same(b) {
                pending.push(Pending::Fields(a.iter(), b.iter()));
            }
            a.len().cmp(&b.len())
        }
        (Value::Map(a), Value::Map(b)) => {
            if !a.is_same(b) {
                pending.push(Pending::Entries(a.iter(), b.iter()));
            }
            a.len().cmp(&b.len())
        }
        (Value::List(a), Value::List(b)) => {
            if !a.is_same(b) {
                pending.push(Pending::Lists(a, b));
            }
            Ordering::Equal
        }
        (Value::Variant(a), Value::Variant(b)) => {
            pending.push(Pending::Fields(a.fields.iter(), b.fields.iter()));
            let head = a.arities.len().cmp(&b.arities.len()).then_with(|| a.arities.cmp(&b.arities));
            head.then(a.tag.cmp(&b.tag)).then(a.fields.len().cmp(&b.fields.len()))
        }
        (Value::Type(a), Value::Type(b)) => a.cmp(b),
        (Value::StoreMap(a), Value::StoreMap(b)) => {
            pending.push(Pending::Entries(a.cache.iter(), b.cache.iter()));
            a.id.cmp(&b.id).then(a.cache.len().cmp(&b.cache.len()))
        }
        _ => rank(a).cmp(&rank(b)),
    }
}

/// Infinite sets come after finite ones.
fn compare_bits(a: &BigInt, b: &BigInt) -> Ordering {
    a.is_negative().cmp(&b.is_negative()).then_with(|| a.cmp(b))
}
