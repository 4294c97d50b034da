//! Deciding which maps go into the store, and under which numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::erlang::order;
use crate::integer::Integer;
use crate::map::Map;
use crate::rewrite::{Entered, Rewrite, rewrite};
use crate::store::StoreFault;
use crate::value::{StoreMap, Value};

/// Maps whose bytes are fewer stay where they are. Under consensus.
const THRESHOLD: usize = 100;

/// A map that has to be written to the store.
pub(super) enum NewMap {
    /// All of it is new.
    Fresh(Map),
    /// The map `old` with changes.
    Changed { old: u64, cache: Map },
}

/// The values with references in the place of their maps, and the maps.
pub(super) fn allocate(
    used: BTreeSet<u64>,
    values: &[Value],
) -> Result<(Vec<Value>, BTreeMap<u64, NewMap>), StoreFault> {
    let mut rules = Allocate { used, next: 0, maps: BTreeMap::new() };
    let values = values.iter().map(|value| rewrite(value, &mut rules)).collect::<Result<_, _>>()?;
    Ok((values, rules.maps))
}

struct Allocate {
    used: BTreeSet<u64>,
    next: u64,
    maps: BTreeMap<u64, NewMap>,
}

impl Allocate {
    fn number(&mut self) -> u64 {
        while self.used.contains(&self.next) {
            self.next += 1;
        }
        self.next += 1;
        self.next - 1
    }

    /// The walk through a large map decides the numbers of the maps inside it.
    fn check_order(map: &Map) -> Result<(), StoreFault> {
        let numbers = map.iter().any(|(_, value)| crate::release::is_compound(value));
        if numbers && !order::is_known(map) {
            return Err(StoreFault::Broken("the reference's order of this map cannot be known"));
        }
        Ok(())
    }
}

fn reference(id: u64) -> Value {
    Value::StoreMap(StoreMap { id: Integer::from(id), cache: Map::EMPTY }.into())
}

impl Rewrite for Allocate {
    type Error = StoreFault;
    type Ticket = (u64, u64);

    fn concerns(&self, value: &Value) -> bool {
        crate::release::is_compound(value)
    }

    fn map(&mut self, map: Map) -> Result<Value, StoreFault> {
        Self::check_order(&map)?;
        let value = Value::Map(map.clone());
        if value.encode()?.len() < THRESHOLD {
            return Ok(value);
        }
        let id = self.number();
        self.maps.insert(id, NewMap::Fresh(map));
        Ok(reference(id))
    }

    fn enter(&mut self, map: &Arc<StoreMap>) -> Result<Entered<(u64, u64)>, StoreFault> {
        if map.cache.is_empty() {
            return Ok(Entered::Done(Value::StoreMap(Arc::clone(map))));
        }
        Self::check_order(&map.cache)?;
        let old = map.id.to_u64().ok_or(StoreFault::Broken("a map number above 64 bits"))?;
        Ok(Entered::Contents((self.number(), old), vec![map.cache.clone()]))
    }

    fn leave(&mut self, (id, old): (u64, u64), maps: Vec<Map>) -> Result<Value, StoreFault> {
        let cache = maps.into_iter().next().unwrap_or_default();
        self.maps.insert(id, NewMap::Changed { old, cache });
        Ok(reference(id))
    }
}
