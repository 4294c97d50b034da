//! The values of the machine.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use num_bigint::BigInt;

use crate::erlang::{Term, plain};
use crate::integer::Integer;
use crate::list::List;
use crate::map::Map;
use crate::release::{is_compound, release};
use crate::types::Type;

/// A value of the FATE machine (`docs/protocol/contracts` §2.1). A copy costs nothing.
#[derive(Clone)]
pub enum Value {
    /// An integer; also a character (its code point) and a time to live.
    Integer(Integer),
    /// True or false.
    Boolean(bool),
    /// Bytes that should be UTF-8; nobody enforces it.
    String(Octets),
    /// Other bytes.
    Bytes(Octets),
    /// An account; nominally 32 bytes, which nobody enforces either. So for the next four.
    Address(Octets),
    /// A contract.
    Contract(Octets),
    /// An oracle.
    Oracle(Octets),
    /// A query to an oracle.
    OracleQuery(Octets),
    /// A channel.
    Channel(Octets),
    /// A set of bits; a negative number has infinitely many.
    Bits(Bits),
    /// A list.
    List(List),
    /// A tuple; the empty one is the unit.
    Tuple(Fields),
    /// A map in memory.
    Map(Map),
    /// A map in the store of the running contract, with what was written to it since.
    StoreMap(Arc<StoreMap>),
    /// A tagged union.
    Variant(Arc<Variant>),
    /// A type: occurs in code, never passes a type check.
    Type(Type),
    /// Code of a contract: occurs in code, never passes a type check.
    Code(Octets),
    /// The mark of a removed entry in [`StoreMap::cache`]; occurs nowhere else.
    Removed,
}

/// The bits of [`Value::Bits`].
pub type Bits = Arc<BigInt>;

impl Value {
    /// The empty tuple.
    pub fn unit() -> Self {
        Self::tuple(Vec::new())
    }

    /// The tuple of these fields.
    pub fn tuple(fields: Vec<Value>) -> Self {
        Self::Tuple(Fields::new(fields))
    }

    /// The string of these bytes.
    pub fn string(bytes: impl Into<Octets>) -> Self {
        Self::String(bytes.into())
    }

    /// These bytes.
    pub fn bytes(bytes: impl Into<Octets>) -> Self {
        Self::Bytes(bytes.into())
    }

    /// This set of bits.
    pub fn bits(bits: impl Into<BigInt>) -> Self {
        Self::Bits(Arc::new(bits.into()))
    }

    /// The option without a value.
    pub fn none() -> Self {
        Self::variant(vec![0, 1], 0, Vec::new())
    }

    /// The option with a value.
    pub fn some(value: Value) -> Self {
        Self::variant(vec![0, 1], 1, vec![value])
    }

    /// The variant of constructors with these arities, made by constructor `tag`.
    pub fn variant(arities: Vec<i16>, tag: usize, fields: Vec<Value>) -> Self {
        Self::Variant(Arc::new(Variant { arities, tag, fields: Fields::new(fields) }))
    }

    /// Is there a map of the store anywhere in it?
    pub(crate) fn holds_store_map(&self) -> bool {
        match self {
            Value::List(list) => list.holds_store_map(),
            Value::Tuple(fields) => fields.0.holds_store_map,
            Value::Variant(variant) => variant.fields.0.holds_store_map,
            Value::Map(map) => map.holds_store_map(),
            Value::StoreMap(_) => true,
            _ => false,
        }
    }
}

impl Default for Value {
    fn default() -> Self {
        Self::Boolean(false)
    }
}

/// Structural equality: the same number of bytes, the same order of fields.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        crate::order::compare(self, other).is_eq()
    }
}

impl Eq for Value {}

/// The outer levels, as the reference prints them in errors.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DEPTH: usize = 8;
        let mut out = Vec::new();
        plain(&Term::of(self, DEPTH), DEPTH, &mut out);
        f.write_str(&String::from_utf8_lossy(&out))
    }
}

impl<N: Into<Integer>> From<N> for Value {
    #[inline]
    fn from(number: N) -> Self {
        Self::Integer(number.into())
    }
}

/// Bytes that are shared, never changed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Octets(Arc<Box<[u8]>>);

impl Deref for Octets {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Octets {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Arc::new(bytes.into_boxed_slice()))
    }
}

impl From<&[u8]> for Octets {
    fn from(bytes: &[u8]) -> Self {
        Self::from(bytes.to_vec())
    }
}

impl<const N: usize> From<[u8; N]> for Octets {
    fn from(bytes: [u8; N]) -> Self {
        Self::from(bytes.to_vec())
    }
}

impl<const N: usize> From<&[u8; N]> for Octets {
    fn from(bytes: &[u8; N]) -> Self {
        Self::from(bytes.to_vec())
    }
}

impl From<&str> for Octets {
    fn from(text: &str) -> Self {
        Self::from(text.as_bytes())
    }
}

impl From<String> for Octets {
    fn from(text: String) -> Self {
        Self::from(text.into_bytes())
    }
}

impl fmt::Debug for Octets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The fields of a tuple or variant.
#[derive(Clone)]
pub struct Fields(Arc<FieldsNode>);

struct FieldsNode {
    values: Vec<Value>,
    holds_store_map: bool,
}

impl Fields {
    /// These fields.
    pub fn new(values: Vec<Value>) -> Self {
        let holds_store_map = values.iter().any(Value::holds_store_map);
        Self(Arc::new(FieldsNode { values, holds_store_map }))
    }

    /// Both names of the same fields?
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Hands over what only this tuple still holds.
    pub(crate) fn dismantle(self, pending: &mut Vec<Value>) {
        if let Some(mut node) = Arc::into_inner(self.0) {
            pending.extend(std::mem::take(&mut node.values).into_iter().filter(is_compound));
        }
    }
}

impl Deref for Fields {
    type Target = [Value];

    #[inline]
    fn deref(&self) -> &[Value] {
        &self.0.values
    }
}

impl Drop for FieldsNode {
    fn drop(&mut self) {
        if self.values.iter().any(is_compound) {
            release(std::mem::take(&mut self.values));
        }
    }
}

/// A map of the store, as the running contract sees it.
pub struct StoreMap {
    /// The number under which the contract's metadata knows it.
    pub id: Integer,
    /// What was written to it since it was read: values, or [`Value::Removed`].
    pub cache: Map,
}

/// A tagged union.
pub struct Variant {
    /// How many fields each constructor has.
    pub arities: Vec<i16>,
    /// Which constructor made it, counted from zero; less than the number of arities.
    pub tag: usize,
    /// As many values as the constructor's arity says.
    pub fields: Fields,
}
