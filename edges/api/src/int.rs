//! Integers of any size, as clients write them (`docs/protocol/ws_api` §4).

/// An integer, as far as this service tells integers apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Int {
    /// Below zero.
    Negative,
    /// Zero to 2^128 - 1.
    Fits(u128),
    /// Larger than any amount can be.
    TooLarge,
}

impl Int {
    /// Reads decimal digits with an optional minus sign; `None` for everything else. The cost is linear.
    pub(crate) fn of_decimal(text: &str) -> Option<Self> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text),
        };
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let number = digits.bytes().try_fold(0_u128, |number, digit| {
            number.checked_mul(10)?.checked_add(u128::from(digit.wrapping_sub(b'0')))
        });
        Some(match number {
            Some(0) => Int::Fits(0),
            _ if negative => Int::Negative,
            Some(number) => Int::Fits(number),
            None => Int::TooLarge,
        })
    }

    /// The number, if it lies from zero to `most`.
    pub(crate) fn up_to(self, most: u128) -> Option<u128> {
        match self {
            Int::Fits(number) if number <= most => Some(number),
            _ => None,
        }
    }

    /// The number, if 64 bits hold it.
    pub(crate) fn as_u64(self) -> Option<u64> {
        self.up_to(u128::from(u64::MAX)).and_then(|number| u64::try_from(number).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::Int;

    #[test]
    fn only_decimal_integers_are_read() {
        for text in ["", "-", "+1", "1.0", "1e3", " 1", "1 ", "0x10", "--1", "1_000", "\u{661}"] {
            assert_eq!(Int::of_decimal(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_limits_of_128_bits() {
        let most = "340282366920938463463374607431768211455";
        assert_eq!(Int::of_decimal(most), Some(Int::Fits(u128::MAX)));
        assert_eq!(Int::of_decimal("340282366920938463463374607431768211456"), Some(Int::TooLarge));
        assert_eq!(Int::of_decimal(&"9".repeat(100_000)), Some(Int::TooLarge));
        assert_eq!(Int::of_decimal(&format!("{}7", "0".repeat(1_000))), Some(Int::Fits(7)));
    }

    #[test]
    fn minus_zero_is_zero_and_all_else_below_is_negative() {
        assert_eq!(Int::of_decimal("-0"), Some(Int::Fits(0)));
        assert_eq!(Int::of_decimal("-1"), Some(Int::Negative));
        assert_eq!(Int::of_decimal(&format!("-{}", "9".repeat(60))), Some(Int::Negative));
    }
}
