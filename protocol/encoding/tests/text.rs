//! The checksummed text forms (`docs/protocol/encodings` §1): every prefix, and every way to get one wrong.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use strait_encoding::text::{decode, decode_array, encode};
use strait_encoding::{
    AccountId, BlockHash, ChannelId, ContractId, FsmId, KeyBlockHash, MicroBlockHash, Prefix, RootHash,
    StateHash, TextError, TxHash,
};

/// The table of the page: letters, whether base58, size of the body.
const TABLE: [(&str, bool, Option<usize>); 27] = [
    ("ak", true, Some(32)),
    ("sk", true, Some(32)),
    ("ch", true, Some(32)),
    ("ct", true, Some(32)),
    ("ok", true, Some(32)),
    ("oq", true, Some(32)),
    ("nm", true, None),
    ("cm", true, Some(32)),
    ("th", true, Some(32)),
    ("kh", true, Some(32)),
    ("mh", true, Some(32)),
    ("bf", true, Some(32)),
    ("bx", true, Some(32)),
    ("bs", true, Some(32)),
    ("sg", true, Some(64)),
    ("pp", true, Some(32)),
    ("tx", false, None),
    ("st", false, Some(32)),
    ("pi", false, None),
    ("ss", false, None),
    ("cs", false, None),
    ("cb", false, None),
    ("ck", false, None),
    ("cv", false, None),
    ("ba", false, None),
    ("ov", false, None),
    ("or", false, None),
];

const ONES_BASE58: &str = "SeLqn3UAUoRymWmwW7axrzJK7JfNaBR2cHCryA6cFsgFkHEF";
const ONES_BASE64: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQGg1KC4";
const ZEROES_BASE58: &str = "11111111111111111111111111111111273Yts";

#[test]
fn every_prefix_of_the_table() {
    assert_eq!(Prefix::ALL.len(), TABLE.len());
    for (letters, base58, size) in TABLE {
        let prefix = of_letters(letters);
        assert_eq!(prefix.size(), size, "{letters}");
        let body = if base58 { ONES_BASE58 } else { ONES_BASE64 };
        let text = format!("{letters}_{body}");
        if size == Some(64) {
            let error = TextError::Size { expected: "sg", size: 64, found: 32 };
            assert_eq!(decode(prefix, &text), Err(error), "{letters}");
        } else {
            assert_eq!(encode(prefix, &[1; 32]), text);
            assert_eq!(decode(prefix, &text), Ok(vec![1; 32]), "{letters}");
        }
        if base58 && size == Some(32) {
            assert_eq!(encode(prefix, &[0; 32]), format!("{letters}_{ZEROES_BASE58}"));
            assert_eq!(decode(prefix, &format!("{letters}_{ZEROES_BASE58}")), Ok(vec![0; 32]));
        }
        if !base58 && size.is_none() {
            assert_eq!(encode(prefix, &[]), format!("{letters}_Xfbg4g=="));
            assert_eq!(decode(prefix, &format!("{letters}_Xfbg4g==")), Ok(vec![]));
        }
    }
}

#[test]
fn short_bodies_have_known_texts() {
    assert_eq!(encode(Prefix::Bytes, &[1, 2, 42]), "ba_AQIq9Y55kw==");
    assert_eq!(encode(Prefix::Name, &[1, 2, 42]), "nm_3DZUwMat2");
    assert_eq!(decode(Prefix::Name, "nm_3DZUwMat2"), Ok(vec![1, 2, 42]));
    // The empty proof: a tag 60 object with six empty parts.
    let empty_poi = [0xc8, 60, 1, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0];
    assert_eq!(encode(Prefix::Proof, &empty_poi), "pi_yDwBwMDAwMDA5gE8AQ==");
}

#[test]
fn without_underscore_there_is_no_prefix() {
    for text in ["", "ak", "SeLqn3UAUoRymWmwW7axrzJK7JfNaBR2cHCryA6cFsgFkHEF", "ak-11111"] {
        assert_eq!(decode(Prefix::Account, text), Err(TextError::NoPrefix { expected: "ak" }), "{text}");
    }
}

#[test]
fn another_prefix_is_named() {
    let wrong = |found: &str| Err(TextError::WrongPrefix { expected: "ak", found: found.to_owned() });
    for (text, found) in [
        (format!("ct_{ONES_BASE58}"), "ct"),
        (format!("AK_{ONES_BASE58}"), "AK"),
        (format!(" ak_{ONES_BASE58}"), " ak"),
        (format!("_{ONES_BASE58}"), ""),
        (format!("a_k_{ONES_BASE58}"), "a"),
        (format!("{}_x", "q".repeat(10_000)), "qqqqqqqq"),
        ("ключключключ_1".to_owned(), "ключключ"),
    ] {
        assert_eq!(decode(Prefix::Account, &text), wrong(found), "{text}");
    }
}

#[test]
fn characters_outside_the_alphabet_are_refused() {
    let base58 = Err(TextError::Alphabet { expected: "ak" });
    for outside in ["0", "O", "I", "l", "_", "+", "=", " ", "\n", "é"] {
        assert_eq!(decode(Prefix::Account, &format!("ak_{outside}{ONES_BASE58}")), base58, "{outside:?}");
    }
    assert_eq!(
        decode(Prefix::Account, &format!("ak_{}", "2".repeat(100_000))),
        base58,
        "too long to be tried"
    );
    let base64 = Err(TextError::Alphabet { expected: "ba" });
    for broken in
        ["AQIq9Y55kw", "AQIq9Y55kw=", "AQIq9Y55k-==", "AQIq9Y55k_==", "AQIq 9Y55kw==", "AQIq9Y55kx=="]
    {
        assert_eq!(decode(Prefix::Bytes, &format!("ba_{broken}")), base64, "{broken}");
    }
}

#[test]
fn a_wrong_checksum_is_noticed() {
    let error = Err(TextError::Checksum { expected: "ak" });
    assert_eq!(decode(Prefix::Account, "ak_SeLqn3UAUoRymWmwW7axrzJK7JfNaBR2cHCryA6cFsgFkHEG"), error);
    assert_eq!(decode(Prefix::Account, "ak_TeLqn3UAUoRymWmwW7axrzJK7JfNaBR2cHCryA6cFsgFkHEF"), error);
    assert_eq!(decode(Prefix::Account, "ak_"), error, "shorter than a checksum");
    assert_eq!(decode(Prefix::Account, "ak_111"), error, "shorter than a checksum");
    assert_eq!(decode(Prefix::Bytes, "ba_"), Err(TextError::Checksum { expected: "ba" }));
    assert_eq!(decode(Prefix::Bytes, "ba_AQIq9Y55kg=="), Err(TextError::Checksum { expected: "ba" }));
}

#[test]
fn another_size_is_refused() {
    // The checksum does not cover the prefix, so any body can stand behind any letters.
    let with_letters = |letters: &str, size| encode(Prefix::Name, &vec![1; size]).replace("nm", letters);
    for size in [0, 31, 33, 64] {
        let error = TextError::Size { expected: "ak", size: 32, found: size };
        assert_eq!(decode(Prefix::Account, &with_letters("ak", size)), Err(error.clone()));
        assert_eq!(with_letters("ak", size).parse::<AccountId>(), Err(error));
    }
    let short = encode(Prefix::Bytes, &[1; 31]).replace("ba", "st");
    assert_eq!(
        decode(Prefix::StateHash, &short),
        Err(TextError::Size { expected: "st", size: 32, found: 31 })
    );
    assert_eq!(decode_array::<3>(Prefix::Name, "nm_3DZUwMat2"), Ok([1, 2, 42]));
    let error = TextError::Size { expected: "nm", size: 4, found: 3 };
    assert_eq!(decode_array::<4>(Prefix::Name, "nm_3DZUwMat2"), Err(error));
}

#[test]
fn messages_name_the_kind_that_was_expected() {
    for text in ["", "ct_1", "ak_0", "ak_1", &encode(Prefix::Name, &[1; 31]).replace("nm", "ak")] {
        let message = decode(Prefix::Account, text).unwrap_err().to_string();
        assert!(message.contains("ak_"), "{message}");
    }
}

#[test]
fn newtypes_read_and_write_their_own_prefix() {
    fn check<T>(id: T, letters: &str)
    where
        T: std::fmt::Display + std::fmt::Debug + std::str::FromStr<Err = TextError> + PartialEq,
        T: serde::Serialize + serde::de::DeserializeOwned,
    {
        let body =
            if of_letters(letters).as_str() == "st" || letters == "ba" { ONES_BASE64 } else { ONES_BASE58 };
        let text = format!("{letters}_{body}");
        assert_eq!(id.to_string(), text);
        assert_eq!(text.parse::<T>().as_ref(), Ok(&id));
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, format!("\"{}\"", "01".repeat(32)));
        assert_eq!(serde_json::from_str::<T>(&json).unwrap(), id);
        assert!(serde_json::from_str::<T>("\"0101\"").is_err());
        assert!(matches!(format!("xx_{body}").parse::<T>(), Err(TextError::WrongPrefix { .. })));
    }
    check(AccountId([1; 32]), "ak");
    check(ChannelId([1; 32]), "ch");
    check(ContractId([1; 32]), "ct");
    check(TxHash([1; 32]), "th");
    check(KeyBlockHash([1; 32]), "kh");
    check(MicroBlockHash([1; 32]), "mh");
    check(StateHash([1; 32]), "st");
    check(RootHash([1; 32]), "bs");
    check(FsmId([1; 32]), "ba");
}

#[test]
fn a_block_hash_is_of_either_kind() {
    let hash = BlockHash::new([1; 32]);
    assert_eq!(BlockHash::parse(&format!("kh_{ONES_BASE58}")), Ok(hash));
    assert_eq!(BlockHash::parse(&format!("mh_{ONES_BASE58}")), Ok(hash));
    assert_eq!(BlockHash::parse(&format!("kh_{ZEROES_BASE58}")), Ok(BlockHash::UNPINNED));
    assert!(matches!(BlockHash::parse(&format!("th_{ONES_BASE58}")), Err(TextError::WrongPrefix { .. })));
    assert!(matches!(BlockHash::parse("kh_1"), Err(TextError::Checksum { expected: "kh" })));
    assert_eq!(BlockHash::parse("none"), Err(TextError::NoPrefix { expected: "kh" }));
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(0), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(prefix in any_prefix(), body in vec(any::<u8>(), 0..300)) {
        let mut body = body;
        if let Some(size) = prefix.size() {
            body.resize(size, 0);
        }
        prop_assert_eq!(decode(prefix, &encode(prefix, &body)), Ok(body));
    }

    #[test]
    fn one_wrong_character_is_noticed(
        prefix in any_prefix(),
        seed in any::<[u8; 32]>(),
        place in any::<prop::sample::Index>(),
        other in "[1-9A-HJ-NP-Za-km-z]",
    ) {
        let body = seed.repeat(prefix.size().unwrap_or(32) / 32);
        let mut text = encode(prefix, &body);
        let place = 3 + place.index(text.len() - 3);
        prop_assume!(text[place..=place] != other);
        text.replace_range(place..=place, &other);
        prop_assert!(decode(prefix, &text).is_err());
    }

    #[test]
    fn random_text_never_panics(prefix in any_prefix(), text in ".{0,80}", ascii in "[ -~]{0,80}") {
        // 32 bits of checksum make an accidental success impossible in practice.
        prop_assert!(decode(prefix, &text).is_err());
        for behind in [&text, &ascii] {
            let text = [prefix.as_str(), "_", behind].concat();
            prop_assert!(decode(prefix, &text).is_err());
        }
    }
}

fn any_prefix() -> impl Strategy<Value = Prefix> {
    prop::sample::select(Prefix::ALL)
}

fn of_letters(letters: &str) -> Prefix {
    *Prefix::ALL.iter().find(|prefix| prefix.as_str() == letters).unwrap()
}
