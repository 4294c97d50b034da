//! Do values match types (`docs/protocol/contracts` §2.3)?

use std::collections::BTreeMap;

use crate::list::ListIter;
use crate::map::{Map, MapIter};
use crate::types::{Type, TypeNode, start_of};
use crate::value::Value;

/// What the type variables of a signature stand for.
pub type Bindings = BTreeMap<u8, Type>;

/// Checks a value against a declared type. `any_bytes`: does the type of byte strings of any length match them
/// (`docs/protocol/contracts` §2.10: from VM 8)?
///
/// Gives what the type variables stand for, or nothing if the value does not match.
pub fn check(declared: &Type, value: &Value, any_bytes: bool) -> Option<Bindings> {
    unify(declared, &inferred(value)?, any_bytes)
}

/// The type of a value; nothing for what is no value, such as a list of different things.
pub(crate) fn inferred(value: &Value) -> Option<Type> {
    let mut turned = Vec::new();
    let mut work = vec![Work::Value(value)];
    while let Some(next) = work.pop() {
        match next {
            Work::Node(node) => turned.push(node),
            Work::Value(value) => infer_value(value, &mut turned, &mut work)?,
            Work::Fields(fields) => begin_tuple(fields, &mut work)?,
            Work::Merge { start, middle, mut rest } => {
                if let Some(middle) = middle {
                    merge_tail(&mut turned, start, middle)?;
                }
                match rest.next() {
                    None if turned.len() == start => turned.push(TypeNode::Any),
                    None => {}
                    Some(value) => {
                        let middle = (turned.len() > start).then_some(turned.len());
                        work.push(Work::Merge { start, middle, rest });
                        work.push(Work::Value(value));
                    }
                }
            }
            Work::Elements(rest) => work.push(Work::Merge { start: turned.len(), middle: None, rest }),
        }
    }
    Some(Type::from_turned(turned))
}

/// Matches a declared type against the type of a value: what the type variables stand for, or nothing.
pub(crate) fn unify(declared: &Type, found: &Type, any_bytes: bool) -> Option<Bindings> {
    let (want, have) = (declared.turned(), found.turned());
    let (mut i, mut j) = (want.len(), have.len());
    let mut bindings = Bindings::new();
    // How many types are open, and whether they are the constructors of a variant.
    let mut open: Vec<(usize, bool)> = vec![(1, false)];
    while let Some((left, in_variant)) = open.last_mut() {
        if *left == 0 {
            open.pop();
            continue;
        }
        *left -= 1;
        let in_variant = *in_variant;
        let (wanted, found) = (want[i - 1], have[j - 1]);
        let skip = |turned: &[TypeNode], end| start_of(turned, end);
        if in_variant {
            let TypeNode::Tuple(count) = wanted else { return None };
            if let TypeNode::Arity(arity) = found {
                if u32::try_from(arity) != Ok(count) {
                    return None;
                }
                (i, j) = (skip(want, i), j - 1);
                continue;
            }
        }
        match (wanted, found) {
            (TypeNode::Any, _) | (_, TypeNode::Any) => (i, j) = (skip(want, i), skip(have, j)),
            (TypeNode::Variable(variable), _) => {
                let start = skip(have, j);
                bind(&mut bindings, variable, &have[start..j])?;
                (i, j) = (i - 1, start);
            }
            (TypeNode::AnyBytes, TypeNode::Bytes(_)) if any_bytes => (i, j) = (i - 1, j - 1),
            (wanted, found) if wanted == found => {
                (i, j) = (i - 1, j - 1);
                if wanted.children() > 0 {
                    open.push((wanted.children(), matches!(wanted, TypeNode::Variant(_))));
                }
            }
            _ => return None,
        }
    }
    Some(bindings)
}

/// The type with its variables replaced; those that stand for nothing become "any".
pub(crate) fn instantiate(declared: &Type, bindings: &Bindings) -> Type {
    let mut turned = Vec::new();
    for node in declared.turned() {
        match node {
            TypeNode::Variable(variable) => match bindings.get(variable) {
                Some(bound) => turned.extend_from_slice(bound.turned()),
                None => turned.push(TypeNode::Any),
            },
            node => turned.push(*node),
        }
    }
    Type::from_turned(turned)
}

/// Both sets of bindings at once; nothing if they contradict each other.
pub(crate) fn merge(mut bindings: Bindings, more: &Bindings) -> Option<Bindings> {
    for (variable, bound) in more {
        bind(&mut bindings, *variable, bound.turned())?;
    }
    Some(bindings)
}

fn bind(bindings: &mut Bindings, variable: u8, turned: &[TypeNode]) -> Option<()> {
    let bound = match bindings.get(&variable) {
        None => turned.to_vec(),
        Some(before) => intersection(before.turned(), turned)?,
    };
    bindings.insert(variable, Type::from_turned(bound));
    Some(())
}

enum Work<'a> {
    Value(&'a Value),
    Node(TypeNode),
    Fields(&'a [Value]),
    Elements(Elements<'a>),
    Merge { start: usize, middle: Option<usize>, rest: Elements<'a> },
}

enum Elements<'a> {
    List(ListIter<'a>),
    Keys(MapIter<'a>),
    Values(MapIter<'a>),
}

impl<'a> Elements<'a> {
    fn next(&mut self) -> Option<&'a Value> {
        match self {
            Elements::List(list) => list.next(),
            Elements::Keys(entries) => entries.next().map(|(key, _)| key),
            Elements::Values(entries) => entries.next().map(|(_, value)| value),
        }
    }
}

fn infer_value<'a>(value: &'a Value, turned: &mut Vec<TypeNode>, work: &mut Vec<Work<'a>>) -> Option<()> {
    let node = match value {
        Value::Integer(_) => TypeNode::Integer,
        Value::Boolean(_) => TypeNode::Boolean,
        Value::String(_) => TypeNode::String,
        Value::Bytes(bytes) => TypeNode::Bytes(bytes.len() as u64),
        Value::Address(_) => TypeNode::Address,
        Value::Contract(_) => TypeNode::Contract,
        Value::Oracle(_) => TypeNode::Oracle,
        Value::OracleQuery(_) => TypeNode::OracleQuery,
        Value::Bits(_) => TypeNode::Bits,
        Value::StoreMap(_) => {
            turned.extend([TypeNode::Any, TypeNode::Any]);
            TypeNode::Map
        }
        Value::List(list) => {
            work.push(Work::Node(TypeNode::List));
            work.push(Work::Elements(Elements::List(list.iter())));
            return Some(());
        }
        Value::Map(map) => {
            begin_map(map, work);
            return Some(());
        }
        Value::Tuple(fields) => return begin_tuple(fields, work),
        Value::Variant(variant) => {
            if variant.tag >= variant.arities.len() {
                return None;
            }
            work.push(Work::Node(TypeNode::Variant(u32::try_from(variant.arities.len()).ok()?)));
            for (tag, arity) in variant.arities.iter().enumerate() {
                let of_value = tag == variant.tag;
                work.push(if of_value {
                    Work::Fields(&variant.fields)
                } else {
                    Work::Node(TypeNode::Arity(*arity))
                });
            }
            return Some(());
        }
        // Channels, types and code pass no check.
        Value::Channel(_) | Value::Type(_) | Value::Code(_) | Value::Removed => return None,
    };
    turned.push(node);
    Some(())
}

fn begin_tuple<'a>(fields: &'a [Value], work: &mut Vec<Work<'a>>) -> Option<()> {
    work.push(Work::Node(TypeNode::Tuple(u32::try_from(fields.len()).ok()?)));
    work.extend(fields.iter().map(Work::Value));
    Some(())
}

fn begin_map<'a>(map: &'a Map, work: &mut Vec<Work<'a>>) {
    work.push(Work::Node(TypeNode::Map));
    work.push(Work::Elements(Elements::Keys(map.iter())));
    work.push(Work::Elements(Elements::Values(map.iter())));
}

/// Replaces the two types that end the nodes by what they have in common.
fn merge_tail(turned: &mut Vec<TypeNode>, start: usize, middle: usize) -> Option<()> {
    if turned[start..middle] != turned[middle..] {
        let common = intersection(&turned[start..middle], &turned[middle..])?;
        turned.truncate(start);
        turned.extend(common);
    } else {
        turned.truncate(middle);
    }
    Some(())
}

/// What two types have in common, where "any" has everything in common; nothing if they contradict each other.
fn intersection(a: &[TypeNode], b: &[TypeNode]) -> Option<Vec<TypeNode>> {
    let (mut i, mut j) = (a.len(), b.len());
    // Built outermost first, turned round at the end.
    let mut common = Vec::new();
    while i > 0 {
        match (a[i - 1], *b.get(j.checked_sub(1)?)?) {
            (TypeNode::Any, _) => {
                let start = start_of(b, j);
                common.extend(b[start..j].iter().rev());
                (i, j) = (i - 1, start);
            }
            (_, TypeNode::Any) => {
                let start = start_of(a, i);
                common.extend(a[start..i].iter().rev());
                (i, j) = (start, j - 1);
            }
            (TypeNode::Arity(arity), TypeNode::Tuple(count)) if u32::try_from(arity) == Ok(count) => {
                let start = start_of(b, j);
                common.extend(b[start..j].iter().rev());
                (i, j) = (i - 1, start);
            }
            (TypeNode::Tuple(count), TypeNode::Arity(arity)) if u32::try_from(arity) == Ok(count) => {
                let start = start_of(a, i);
                common.extend(a[start..i].iter().rev());
                (i, j) = (start, j - 1);
            }
            (one, other) if one == other => {
                common.push(one);
                (i, j) = (i - 1, j - 1);
            }
            _ => return None,
        }
    }
    common.reverse();
    Some(common)
}
