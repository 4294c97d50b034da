//! Integers without a bound; small ones stay out of the heap.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use num_bigint::{BigInt, Sign};
use num_traits::{Signed, ToPrimitive};

/// An integer of any size (`docs/protocol/contracts` §2.1). Equal numbers are equal values: whatever fits 64 bits is
/// kept inline.
#[derive(Clone, PartialEq, Eq)]
pub struct Integer(Repr);

#[derive(Clone, PartialEq, Eq)]
enum Repr {
    Small(i64),
    /// Never within the range of `i64`.
    Big(Arc<BigInt>),
}

impl Integer {
    /// Zero.
    pub const ZERO: Self = Self(Repr::Small(0));

    /// The number, if it fits 64 bits with sign.
    #[inline]
    pub fn small(&self) -> Option<i64> {
        match &self.0 {
            Repr::Small(small) => Some(*small),
            Repr::Big(_) => None,
        }
    }

    /// The number, if it is not negative and fits 64 bits.
    pub fn to_u64(&self) -> Option<u64> {
        match &self.0 {
            Repr::Small(small) => u64::try_from(*small).ok(),
            Repr::Big(big) => big.to_u64(),
        }
    }

    /// The number, if it is not negative and fits 128 bits.
    pub fn to_u128(&self) -> Option<u128> {
        match &self.0 {
            Repr::Small(small) => u128::try_from(*small).ok(),
            Repr::Big(big) => big.to_u128(),
        }
    }

    /// The number as a heap integer.
    pub fn to_big(&self) -> BigInt {
        match &self.0 {
            Repr::Small(small) => BigInt::from(*small),
            Repr::Big(big) => BigInt::clone(big),
        }
    }

    /// Below zero?
    pub fn is_negative(&self) -> bool {
        match &self.0 {
            Repr::Small(small) => *small < 0,
            Repr::Big(big) => big.is_negative(),
        }
    }

    /// Zero?
    pub fn is_zero(&self) -> bool {
        self.0 == Repr::Small(0)
    }

    /// The distance to zero, as minimal big-endian bytes; zero is one zero byte.
    pub fn magnitude(&self) -> Vec<u8> {
        match &self.0 {
            Repr::Small(small) => {
                let bytes = small.unsigned_abs().to_be_bytes();
                let zeros = bytes.iter().take(7).take_while(|byte| **byte == 0).count();
                bytes[zeros..].to_vec()
            }
            Repr::Big(big) => big.magnitude().to_bytes_be(),
        }
    }

    /// The number whose distance to zero is given as big-endian bytes.
    pub fn from_magnitude(negative: bool, bytes: &[u8]) -> Self {
        let sign = if negative { Sign::Minus } else { Sign::Plus };
        Self::from(BigInt::from_bytes_be(sign, bytes))
    }

    /// How many 64-bit limbs the distance to zero fills, at least one (`docs/protocol/contracts` §2.4).
    #[inline]
    pub fn words(&self) -> u64 {
        match &self.0 {
            Repr::Small(_) => 1,
            Repr::Big(big) => big.bits().div_ceil(64).max(1),
        }
    }

    /// How many bytes the distance to zero fills, at least one.
    pub fn bytes(&self) -> u64 {
        match &self.0 {
            Repr::Small(small) => u64::from(64 - small.unsigned_abs().leading_zeros()).div_ceil(8).max(1),
            Repr::Big(big) => big.bits().div_ceil(8).max(1),
        }
    }

    /// The sum.
    #[inline]
    pub fn plus(&self, other: &Self) -> Self {
        if let (Repr::Small(a), Repr::Small(b)) = (&self.0, &other.0)
            && let Some(sum) = a.checked_add(*b)
        {
            return Self(Repr::Small(sum));
        }
        Self::from(self.to_big() + other.to_big())
    }

    /// The difference.
    #[inline]
    pub fn minus(&self, other: &Self) -> Self {
        if let (Repr::Small(a), Repr::Small(b)) = (&self.0, &other.0)
            && let Some(difference) = a.checked_sub(*b)
        {
            return Self(Repr::Small(difference));
        }
        Self::from(self.to_big() - other.to_big())
    }

    /// The product.
    #[inline]
    pub fn times(&self, other: &Self) -> Self {
        if let (Repr::Small(a), Repr::Small(b)) = (&self.0, &other.0)
            && let Some(product) = a.checked_mul(*b)
        {
            return Self(Repr::Small(product));
        }
        Self::from(self.to_big() * other.to_big())
    }

    /// The quotient, rounded towards zero; nothing for a zero divisor.
    pub fn quotient(&self, divisor: &Self) -> Option<Self> {
        if let (Repr::Small(a), Repr::Small(b)) = (&self.0, &divisor.0)
            && let Some(quotient) = a.checked_div(*b)
        {
            return Some(Self(Repr::Small(quotient)));
        }
        (!divisor.is_zero()).then(|| Self::from(self.to_big() / divisor.to_big()))
    }

    /// The remainder with the sign of the dividend; nothing for a zero divisor.
    pub fn remainder(&self, divisor: &Self) -> Option<Self> {
        if divisor.is_zero() {
            return None;
        }
        match (&self.0, &divisor.0) {
            (Repr::Small(a), Repr::Small(b)) => Some(Self(Repr::Small(a.wrapping_rem(*b)))),
            _ => Some(Self::from(self.to_big() % divisor.to_big())),
        }
    }
}

impl Default for Integer {
    fn default() -> Self {
        Self::ZERO
    }
}

impl From<BigInt> for Integer {
    fn from(big: BigInt) -> Self {
        match big.to_i64() {
            Some(small) => Self(Repr::Small(small)),
            None => Self(Repr::Big(Arc::new(big))),
        }
    }
}

macro_rules! from_small {
    ($($kind:ty),*) => {$(
        impl From<$kind> for Integer {
            #[inline]
            fn from(number: $kind) -> Self {
                Self(Repr::Small(i64::from(number)))
            }
        }
    )*};
}
from_small!(i64, i32, u32, u8, bool);

impl From<u64> for Integer {
    fn from(number: u64) -> Self {
        match i64::try_from(number) {
            Ok(small) => Self(Repr::Small(small)),
            Err(_) => Self(Repr::Big(Arc::new(BigInt::from(number)))),
        }
    }
}

impl From<u128> for Integer {
    fn from(number: u128) -> Self {
        Self::from(BigInt::from(number))
    }
}

impl Ord for Integer {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Repr::Small(a), Repr::Small(b)) => a.cmp(b),
            (Repr::Big(a), Repr::Big(b)) => a.cmp(b),
            (Repr::Small(_), Repr::Big(big)) if big.is_negative() => Ordering::Greater,
            (Repr::Small(_), Repr::Big(_)) => Ordering::Less,
            (Repr::Big(_), Repr::Small(_)) => other.cmp(self).reverse(),
        }
    }
}

impl PartialOrd for Integer {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Integer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Small(small) => small.fmt(f),
            Repr::Big(big) => big.fmt(f),
        }
    }
}

impl fmt::Debug for Integer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_64_bits_and_comes_back_is_the_same_number() {
        let most = Integer::from(i64::MAX);
        let more = most.plus(&Integer::from(1));
        assert_eq!(more.small(), None);
        assert_eq!(more.to_string(), "9223372036854775808");
        assert_eq!(more.minus(&Integer::from(1)), most);
        assert_eq!(Integer::from(i64::MIN).quotient(&Integer::from(-1)), Some(more.clone()));
        assert_eq!(Integer::from(i64::MIN).remainder(&Integer::from(-1)), Some(Integer::ZERO));
        assert!(more > most && more.words() == 1 && more.times(&Integer::from(2)).words() == 2);
    }

    #[test]
    fn division_rounds_towards_zero() {
        let (a, b) = (Integer::from(-7), Integer::from(2));
        assert_eq!(a.quotient(&b), Some(Integer::from(-3)));
        assert_eq!(a.remainder(&b), Some(Integer::from(-1)));
        assert_eq!(a.quotient(&Integer::ZERO), None);
    }
}
