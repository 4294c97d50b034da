//! Replacing the maps inside a value, without recursion.

use std::sync::Arc;

use crate::erlang::order;
use crate::map::Map;
use crate::value::{Fields, StoreMap, Value, Variant};

/// What becomes of the maps of a value. Everything else stays.
pub(crate) trait Rewrite {
    type Error;
    /// What is remembered of a map of the store while its contents are rewritten.
    type Ticket;

    /// Does anything in it change?
    fn concerns(&self, value: &Value) -> bool;
    /// What a map becomes, its values having been rewritten.
    fn map(&mut self, map: Map) -> Result<Value, Self::Error>;
    /// A map of the store: the maps to rewrite first, or what it becomes.
    fn enter(&mut self, map: &Arc<StoreMap>) -> Result<Entered<Self::Ticket>, Self::Error>;
    /// What a map of the store becomes, once those maps have been rewritten.
    fn leave(&mut self, ticket: Self::Ticket, maps: Vec<Map>) -> Result<Value, Self::Error>;
}

pub(crate) enum Entered<T> {
    Done(Value),
    Contents(T, Vec<Map>),
}

enum Task<T> {
    Visit(Value),
    Tuple(usize),
    Variant(Arc<Variant>),
    List(usize),
    /// A map whose keys are these and whose values come last on the pile.
    Entries(Vec<Value>),
    Finish,
    Leave(T, usize),
}

/// Rewrites a value. Lists, tuples and maps are walked in order, maps in the reference's.
pub(crate) fn rewrite<R: Rewrite>(value: &Value, rules: &mut R) -> Result<Value, R::Error> {
    if !rules.concerns(value) {
        return Ok(value.clone());
    }
    let mut tasks = vec![Task::Visit(value.clone())];
    let mut pile: Vec<Value> = Vec::new();
    while let Some(task) = tasks.pop() {
        match task {
            Task::Visit(value) if !rules.concerns(&value) => pile.push(value),
            Task::Visit(value) => visit(value, rules, &mut tasks, &mut pile)?,
            Task::Tuple(count) => {
                let fields = pile.split_off(pile.len() - count);
                pile.push(Value::tuple(fields));
            }
            Task::Variant(old) => {
                let fields = Fields::new(pile.split_off(pile.len() - old.fields.len()));
                let (arities, tag) = (old.arities.clone(), old.tag);
                pile.push(Value::Variant(Variant { arities, tag, fields }.into()));
            }
            Task::List(count) => {
                let items = pile.split_off(pile.len() - count);
                pile.push(Value::List(items.into_iter().collect()));
            }
            Task::Entries(keys) => {
                let values = pile.split_off(pile.len() - keys.len());
                pile.push(Value::Map(keys.into_iter().zip(values).collect()));
            }
            Task::Finish => {
                if let Some(Value::Map(map)) = pile.pop() {
                    pile.push(rules.map(map)?);
                }
            }
            Task::Leave(ticket, count) => {
                let maps = pile.split_off(pile.len() - count);
                let maps = maps.into_iter().map(|map| match map {
                    Value::Map(map) => map,
                    _ => Map::EMPTY,
                });
                let maps = maps.collect();
                pile.push(rules.leave(ticket, maps)?);
            }
        }
    }
    Ok(pile.pop().unwrap_or_default())
}

fn visit<R: Rewrite>(
    value: Value,
    rules: &mut R,
    tasks: &mut Vec<Task<R::Ticket>>,
    pile: &mut Vec<Value>,
) -> Result<(), R::Error> {
    match &value {
        Value::Tuple(fields) => {
            tasks.push(Task::Tuple(fields.len()));
            tasks.extend(fields.iter().rev().cloned().map(Task::Visit));
        }
        Value::Variant(variant) => {
            tasks.push(Task::Variant(Arc::clone(variant)));
            tasks.extend(variant.fields.iter().rev().cloned().map(Task::Visit));
        }
        Value::List(list) => {
            let items: Vec<Value> = list.iter().cloned().collect();
            tasks.push(Task::List(items.len()));
            tasks.extend(items.into_iter().rev().map(Task::Visit));
        }
        Value::Map(map) => {
            tasks.push(Task::Finish);
            push_entries(map, tasks);
        }
        Value::StoreMap(map) => match rules.enter(map)? {
            Entered::Done(value) => pile.push(value),
            Entered::Contents(ticket, maps) => {
                tasks.push(Task::Leave(ticket, maps.len()));
                maps.iter().rev().for_each(|map| push_entries(map, tasks));
            }
        },
        _ => pile.push(value),
    }
    Ok(())
}

fn push_entries<T>(map: &Map, tasks: &mut Vec<Task<T>>) {
    let entries = order::entries(map);
    tasks.push(Task::Entries(entries.iter().map(|(key, _)| (*key).clone()).collect()));
    tasks.extend(entries.into_iter().rev().map(|(_, value)| Task::Visit(value.clone())));
}
