//! Taking maps out of the store into memory.

use std::sync::Arc;

use crate::gas::{self, Model, Pay};
use crate::machine::{Machine, Outcome};
use crate::map::Map;
use crate::rewrite::{Entered, Rewrite, rewrite};
use crate::store::StoreFault;
use crate::trap::Cause;
use crate::value::{StoreMap, Value};

/// The value with its maps in memory; what the model charges is charged before they are.
pub(crate) fn unfold(machine: &mut Machine<'_>, value: &Value, model: Model) -> Outcome<Value> {
    let Machine { stores, host, contract, gas, .. } = machine;
    let contents = |map: &StoreMap, pay: &mut Pay<'_>| {
        if !pay(stores.map_size(*contract, map, &**host)?) {
            return Ok::<_, StoreFault>(None);
        }
        stores.map_entries(*contract, map, &**host).map(Some)
    };
    let left = gas::traverse(value, model, *gas, contents);
    machine.gas = left.map_err(|stopped| machine.trap(Cause::from(stopped)))?;
    let unfolded = rewrite(value, &mut Unfold(machine));
    unfolded.map_err(|fault| machine.trap(fault))
}

/// What is seen of a map: what the store holds, with the changes since.
pub(crate) fn merged(stored: Map, cache: &Map) -> Map {
    cache.iter().fold(stored, |map, (key, value)| match value {
        Value::Removed => map.remove(key),
        value => map.insert(key.clone(), value.clone()),
    })
}

struct Unfold<'m, 'h>(&'m mut Machine<'h>);

impl Rewrite for Unfold<'_, '_> {
    type Error = StoreFault;
    type Ticket = ();

    fn concerns(&self, value: &Value) -> bool {
        value.holds_store_map()
    }

    fn map(&mut self, map: Map) -> Result<Value, StoreFault> {
        Ok(Value::Map(map))
    }

    fn enter(&mut self, map: &Arc<StoreMap>) -> Result<Entered<()>, StoreFault> {
        let stored = self.0.stores.map_entries(self.0.contract, map, &*self.0.host)?;
        Ok(Entered::Contents((), vec![stored, map.cache.clone()]))
    }

    fn leave(&mut self, (): (), maps: Vec<Map>) -> Result<Value, StoreFault> {
        let mut maps = maps.into_iter();
        let stored = maps.next().unwrap_or_default();
        Ok(Value::Map(merged(stored, &maps.next().unwrap_or_default())))
    }
}
