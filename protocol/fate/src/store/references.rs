//! Counting how often values refer to maps in the store.

use std::collections::BTreeMap;

use crate::store::{Meta, StoreFault};
use crate::value::Value;

/// Changes in the number of references, by map.
pub(super) type Counts = BTreeMap<u64, i64>;

/// Adds `by` for every reference in `value`.
pub(super) fn count(value: &Value, by: i64, counts: &mut Counts) -> Result<(), StoreFault> {
    let mut pending = vec![value];
    while let Some(value) = pending.pop() {
        match value {
            value if !value.holds_store_map() => {}
            Value::StoreMap(map) => {
                let id = map.id.to_u64().ok_or(StoreFault::Broken("a map number above 64 bits"))?;
                *counts.entry(id).or_default() += by;
                pending.extend(map.cache.iter().map(|(_, value)| value));
            }
            Value::Tuple(fields) => pending.extend(fields.iter()),
            Value::Variant(variant) => pending.extend(variant.fields.iter()),
            Value::List(list) => pending.extend(list.iter()),
            Value::Map(map) => pending.extend(map.iter().map(|(_, value)| value)),
            _ => {}
        }
    }
    Ok(())
}

/// What a store says about all its maps.
pub(super) type Metadata = BTreeMap<u64, Meta>;

/// The metadata with changed numbers of references; a map that is not there yet comes in without entries.
pub(super) fn changed(metadata: &Metadata, counts: &Counts) -> Metadata {
    let mut metadata = metadata.clone();
    for (id, by) in counts {
        let meta = metadata.entry(*id).or_insert(Meta { raw: None, references: 0, size: None });
        meta.references += by;
    }
    metadata
}
