//! Amounts and counters at their limits.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use strait_encoding::{Coins, Height, Nonce, Round};

const MOST: Coins = Coins(u128::MAX);

#[test]
fn arithmetic_of_coins_is_checked() {
    assert_eq!(Coins(2).checked_add(Coins(3)), Some(Coins(5)));
    assert_eq!(MOST.checked_add(Coins::ZERO), Some(MOST));
    assert_eq!(MOST.checked_add(Coins(1)), None);
    assert_eq!(Coins(3).checked_sub(Coins(3)), Some(Coins::ZERO));
    assert_eq!(Coins(2).checked_sub(Coins(3)), None);
    assert_eq!(Coins(3).saturating_sub(Coins(2)), Coins(1));
    assert_eq!(Coins(2).saturating_sub(Coins(3)), Coins::ZERO);
    assert_eq!(Coins(17_680).checked_mul(1_000_000_000), Some(Coins(17_680_000_000_000)));
    assert_eq!(MOST.checked_mul(1), Some(MOST));
    assert_eq!(Coins(1 << 127).checked_mul(2), None);
}

#[test]
fn coins_are_decimal_in_text_and_json() {
    let text = "340282366920938463463374607431768211455";
    assert_eq!(MOST.to_string(), text);
    assert_eq!(text.parse(), Ok(MOST));
    assert_eq!(serde_json::to_string(&MOST).unwrap(), text);
    assert_eq!(serde_json::from_str::<Coins>(text).unwrap(), MOST);
    for wrong in ["340282366920938463463374607431768211456", "-1", "", "1.0", "0x10", " 1"] {
        assert!(wrong.parse::<Coins>().is_err(), "{wrong}");
    }
    assert!(serde_json::from_str::<Coins>("-1").is_err());
    assert!(serde_json::from_str::<Coins>("340282366920938463463374607431768211456").is_err());
}

#[test]
fn counters_count_up_to_the_largest_and_stay() {
    assert_eq!((Height(0).next(), Round(1).next(), Nonce(2).next()), (Height(1), Round(2), Nonce(3)));
    assert_eq!(Round(u64::MAX).next(), Round(u64::MAX));
    assert_eq!(Round(u64::MAX).to_string(), "18446744073709551615");
    assert_eq!(serde_json::to_string(&Nonce(184)).unwrap(), "184");
    assert_eq!(serde_json::from_str::<Height>("168300").unwrap(), Height(168_300));
}
