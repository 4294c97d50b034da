//! Amounts in words.

use strait_encoding::Coins;

/// One AE in aettos.
const AE: u128 = 1_000_000_000_000_000_000;

/// An amount with its unit, to the last aetto: in AE from a thousandth on, else in aettos, which nobody counts zeros in.
///
/// ```
/// use strait_encoding::Coins;
/// use strait_operator::amount;
///
/// assert_eq!(amount(Coins(1_500_000_000_000_000_000)), "1.5 AE");
/// assert_eq!(amount(Coins(7)), "7 aettos");
/// ```
pub fn amount(coins: Coins) -> String {
    let Coins(aettos) = coins;
    if aettos != 0 && aettos < AE / 1000 {
        return if aettos == 1 { "1 aetto".to_owned() } else { format!("{aettos} aettos") };
    }
    let text = format!("{}.{:018}", aettos / AE, aettos % AE);
    let text = text.trim_end_matches('0');
    format!("{} AE", text.strip_suffix('.').unwrap_or(text))
}

/// As [`amount`], of a decimal text; another text stays as it is.
pub(crate) fn amount_of(text: &str) -> String {
    text.parse().map_or_else(|_| text.to_owned(), |aettos| amount(Coins(aettos)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_aetto_is_lost_in_words() {
        for (aettos, text) in [
            (0, "0 AE"),
            (1, "1 aetto"),
            (999_999_999_999_999, "999999999999999 aettos"),
            (1_000_000_000_000_000, "0.001 AE"),
            (1_999_999_999_999_999_995, "1.999999999999999995 AE"),
            (20_000_000_000_000_000_000, "20 AE"),
            (u128::MAX, "340282366920938463463.374607431768211455 AE"),
        ] {
            assert_eq!(amount(Coins(aettos)), text);
        }
        assert_eq!(amount_of("1500000000000000000"), "1.5 AE");
        assert_eq!(amount_of("-"), "-");
    }
}
