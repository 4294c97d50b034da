//! Giving memory back without recursion: values may nest deeper than the native stack.

use std::sync::Arc;

use crate::value::Value;

/// May a value hold other values?
pub(crate) fn is_compound(value: &Value) -> bool {
    matches!(value, Value::List(_) | Value::Tuple(_) | Value::Map(_) | Value::StoreMap(_) | Value::Variant(_))
}

/// Drops values one after the other, whatever they hold.
pub(crate) fn release(mut pending: Vec<Value>) {
    while let Some(value) = pending.pop() {
        match value {
            Value::List(list) => list.dismantle(&mut pending),
            Value::Tuple(fields) => fields.dismantle(&mut pending),
            Value::Map(map) => map.dismantle(&mut pending),
            Value::StoreMap(map) => {
                if let Some(map) = Arc::into_inner(map) {
                    map.cache.dismantle(&mut pending);
                }
            }
            Value::Variant(variant) => {
                if let Some(variant) = Arc::into_inner(variant) {
                    variant.fields.dismantle(&mut pending);
                }
            }
            _ => {}
        }
    }
}
