//! Characters by the tables of Unicode 15, which the reference has (`docs/protocol/contracts` §2.9).

use unicode_normalization::UnicodeNormalization;

/// The characters in composed form (NFC).
pub(crate) fn composed(text: &str) -> Vec<char> {
    text.nfc().collect()
}

/// Upper case, character by character.
pub(crate) fn upper(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if is_newer(character) {
            out.push(character);
        } else {
            out.extend(character.to_uppercase());
        }
    }
    out
}

/// Lower case, character by character: a sigma at the end of a word is as any other.
pub(crate) fn lower(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if is_newer(character) {
            out.push(character);
        } else {
            out.extend(character.to_lowercase());
        }
    }
    out
}

/// Did the character get its other case after Unicode 15?
fn is_newer(character: char) -> bool {
    matches!(
        character,
        '\u{19b}' | '\u{264}' | '\u{1c89}'..='\u{1c8a}' | '\u{a7cb}'..='\u{a7cf}' | '\u{a7d2}'..='\u{a7d5}'
            | '\u{a7da}'..='\u{a7dc}' | '\u{10d50}'..='\u{10d65}' | '\u{10d70}'..='\u{10d85}'
            | '\u{16ea0}'..='\u{16ed3}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, path::Path};

    #[test]
    fn characters_are_composed_and_converted_as_in_the_reference() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/units/unicode.json");
        #[allow(clippy::disallowed_methods)] // a test reads its vectors
        let unit: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let cases = unit["cases"].as_array().unwrap();
        assert!(cases.len() > 100);
        for case in cases {
            let Some(digits) = case["s"].as_str() else { panic!("{case}") };
            let bytes = hex::decode(digits).unwrap();
            let Ok(text) = std::str::from_utf8(&bytes) else {
                assert!(case["upper"].as_str().is_none_or(|upper| upper.starts_with("error")), "{case}");
                continue;
            };
            let codes: Vec<u64> =
                composed(text).into_iter().map(|character| u64::from(u32::from(character))).collect();
            let wanted: Vec<u64> =
                case["nfc"].as_array().unwrap().iter().map(|code| code.as_u64().unwrap()).collect();
            assert_eq!(codes, wanted, "{case}");
            assert_eq!(hex::encode(upper(text)), case["upper"].as_str().unwrap(), "{case}");
            assert_eq!(hex::encode(lower(text)), case["lower"].as_str().unwrap(), "{case}");
            let reversed: String = composed(text).into_iter().rev().collect();
            let reversed: String = composed(&reversed).into_iter().collect();
            assert_eq!(hex::encode(reversed), case["reverse"].as_str().unwrap(), "{case}");
        }
    }
}
