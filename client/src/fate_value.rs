//! Rust values as Sophia values, and back (`docs/protocol/contracts` §2.1).

use strait_encoding::{AccountId, Coins, ContractId, Signature};
use strait_fate::{List, Value};

/// A type that stands for a Sophia type: arguments of calls are made of it, results are read as it.
///
/// Implemented for the types that contracts are mostly called with; for others there is [`Value`] itself.
pub trait FateValue: Sized {
    /// The value as the machine has it.
    fn to_fate(&self) -> Value;

    /// Reads a value of the machine; none where it is of another type, or too large for this one.
    fn from_fate(value: &Value) -> Option<Self>;
}

/// As [`FateValue::to_fate`], for lists of arguments: `[value(&3_u64), value(&true)]`.
pub fn value(of: &impl FateValue) -> Value {
    of.to_fate()
}

impl FateValue for Value {
    fn to_fate(&self) -> Value {
        self.clone()
    }

    fn from_fate(value: &Value) -> Option<Self> {
        Some(value.clone())
    }
}

impl FateValue for u64 {
    fn to_fate(&self) -> Value {
        Value::from(*self)
    }

    fn from_fate(value: &Value) -> Option<Self> {
        if let Value::Integer(number) = value { number.to_u64() } else { None }
    }
}

impl FateValue for u128 {
    fn to_fate(&self) -> Value {
        Value::from(*self)
    }

    fn from_fate(value: &Value) -> Option<Self> {
        if let Value::Integer(number) = value { number.to_u128() } else { None }
    }
}

impl FateValue for Coins {
    fn to_fate(&self) -> Value {
        self.0.to_fate()
    }

    fn from_fate(value: &Value) -> Option<Self> {
        u128::from_fate(value).map(Coins)
    }
}

impl FateValue for bool {
    fn to_fate(&self) -> Value {
        Value::Boolean(*self)
    }

    fn from_fate(value: &Value) -> Option<Self> {
        if let Value::Boolean(flag) = value { Some(*flag) } else { None }
    }
}

impl FateValue for () {
    fn to_fate(&self) -> Value {
        Value::unit()
    }

    fn from_fate(value: &Value) -> Option<Self> {
        if let Value::Tuple(fields) = value { fields.is_empty().then_some(()) } else { None }
    }
}

impl FateValue for String {
    fn to_fate(&self) -> Value {
        Value::string(self.as_str())
    }

    fn from_fate(value: &Value) -> Option<Self> {
        if let Value::String(text) = value { Self::from_utf8(text.to_vec()).ok() } else { None }
    }
}

impl<const N: usize> FateValue for [u8; N] {
    fn to_fate(&self) -> Value {
        Value::bytes(self)
    }

    fn from_fate(value: &Value) -> Option<Self> {
        if let Value::Bytes(bytes) = value { (**bytes).try_into().ok() } else { None }
    }
}

impl FateValue for Signature {
    fn to_fate(&self) -> Value {
        self.0.to_fate()
    }

    fn from_fate(value: &Value) -> Option<Self> {
        <[u8; 64]>::from_fate(value).map(Signature)
    }
}

impl FateValue for AccountId {
    fn to_fate(&self) -> Value {
        Value::Address(self.0.into())
    }

    fn from_fate(value: &Value) -> Option<Self> {
        if let Value::Address(bytes) = value { (**bytes).try_into().ok().map(AccountId) } else { None }
    }
}

impl FateValue for ContractId {
    fn to_fate(&self) -> Value {
        Value::Contract(self.0.into())
    }

    fn from_fate(value: &Value) -> Option<Self> {
        if let Value::Contract(bytes) = value { (**bytes).try_into().ok().map(ContractId) } else { None }
    }
}

impl<T: FateValue> FateValue for Option<T> {
    fn to_fate(&self) -> Value {
        self.as_ref().map_or_else(Value::none, |value| Value::some(value.to_fate()))
    }

    fn from_fate(value: &Value) -> Option<Self> {
        let Value::Variant(variant) = value else { return None };
        match (&variant.arities[..], variant.tag, &variant.fields[..]) {
            ([0, 1], 0, []) => Some(None),
            ([0, 1], 1, [value]) => T::from_fate(value).map(Some),
            _ => None,
        }
    }
}

impl<T: FateValue> FateValue for Vec<T> {
    fn to_fate(&self) -> Value {
        Value::List(self.iter().map(T::to_fate).collect::<List>())
    }

    fn from_fate(value: &Value) -> Option<Self> {
        if let Value::List(list) = value { list.iter().map(T::from_fate).collect() } else { None }
    }
}

impl<A: FateValue, B: FateValue> FateValue for (A, B) {
    fn to_fate(&self) -> Value {
        Value::tuple(vec![self.0.to_fate(), self.1.to_fate()])
    }

    fn from_fate(value: &Value) -> Option<Self> {
        let Value::Tuple(fields) = value else { return None };
        let [first, second] = &fields[..] else { return None };
        Some((A::from_fate(first)?, B::from_fate(second)?))
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use super::*;

    fn comes_back<T: FateValue + PartialEq + Debug>(of: T) {
        let bytes = value(&of).encode().unwrap();
        assert_eq!(T::from_fate(&Value::decode(&bytes).unwrap()), Some(of));
    }

    #[test]
    fn what_was_written_is_read() {
        comes_back(0_u64);
        comes_back(u128::MAX);
        comes_back(Coins(5));
        comes_back(true);
        comes_back(());
        comes_back("a ♥".to_owned());
        comes_back([7_u8; 32]);
        comes_back(Signature([1; 64]));
        comes_back(AccountId([2; 32]));
        comes_back(ContractId([3; 32]));
        comes_back(None::<u64>);
        comes_back(Some(vec![(1_u64, false), (2, true)]));
    }

    #[test]
    fn another_type_is_not_read() {
        assert_eq!(u64::from_fate(&Value::from(u128::MAX)), None);
        assert_eq!(u64::from_fate(&Value::from(-1_i64)), None);
        assert_eq!(bool::from_fate(&Value::from(1_u64)), None);
        assert_eq!(<[u8; 32]>::from_fate(&Value::bytes([0; 31])), None);
        assert_eq!(AccountId::from_fate(&value(&ContractId([1; 32]))), None);
        assert_eq!(<()>::from_fate(&value(&(1_u64, 2_u64))), None);
    }
}
