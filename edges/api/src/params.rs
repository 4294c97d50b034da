//! The `params` of a request, and the values in them.
//!
//! Values stay text until a method reads them: numbers keep their size, and nothing is built that nobody asks for.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use strait_encoding::text::{self, Prefix};
use strait_encoding::{AccountId, ContractId};

use crate::errors::{BROKEN_ACCOUNT, BROKEN_BYTES, BROKEN_CONTRACT, Known, NOT_A_NUMBER, Rejection};
use crate::int::Int;

/// The members of `params`, if it is there.
#[derive(Debug, Default)]
pub(crate) struct Params<'a>(Option<Vec<(Cow<'a, str>, &'a RawValue)>>);

impl<'a> Params<'a> {
    /// Whether `params` is there.
    pub(crate) fn is_there(&self) -> bool {
        self.0.is_some()
    }

    /// The values of members that must be there.
    pub(crate) fn required<const N: usize>(
        &self,
        names: [&'static str; N],
    ) -> Result<[&'a RawValue; N], Rejection> {
        let mut values = [RawValue::NULL; N];
        for (value, name) in values.iter_mut().zip(names) {
            // The reference knows a method by its required parameters too.
            *value = self
                .optional(name)?
                .ok_or_else(|| Rejection::method_not_found(format!("params.{name} is missing")))?;
        }
        Ok(values)
    }

    /// The value of a member that may be there, once.
    pub(crate) fn optional(&self, name: &'static str) -> Result<Option<&'a RawValue>, Rejection> {
        let members = self.0.as_deref().unwrap_or_default();
        let mut values = members.iter().filter(|(member, _)| member == name).map(|(_, value)| *value);
        let first = values.next();
        match values.next() {
            None => Ok(first),
            Some(_) => Err(Rejection::invalid_params(format!("params.{name} is given twice"))),
        }
    }

    /// An optional integer from zero to `most`, also as a string of digits.
    pub(crate) fn optional_int(&self, name: &'static str, most: u128) -> Result<Option<u128>, Rejection> {
        let Some(value) = self.optional(name)? else { return Ok(None) };
        let read = lenient_int(value)
            .ok_or_else(|| Rejection::internal(wrong(name, "an integer or a string of one", value)))?;
        match read.up_to(most) {
            Some(number) => Ok(Some(number)),
            None => {
                Err(Rejection::invalid_params(wrong(name, &format!("an integer from 0 to {most}"), value)))
            }
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Params<'a> {
    /// Takes an object, nothing else.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(4);
                while let Some((Name(name), value)) = map.next_entry()? {
                    members.push((name, value));
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Members).map(|members| Self(Some(members)))
    }
}

/// A member's name, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// What a value should have been, for an error.
pub(crate) fn wrong(name: &str, expected: &str, found: &RawValue) -> String {
    const SHOWN: usize = 64;
    let found = found.get();
    match found.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("params.{name}: expected {expected}, found {}…", &found[..end]),
        None => format!("params.{name}: expected {expected}, found {found}"),
    }
}

/// The text of a JSON string; `None` for everything else, and for escapes that are no text.
pub(crate) fn string(value: &RawValue) -> Option<Cow<'_, str>> {
    let quoted = value.get();
    let inner = quoted.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') { serde_json::from_str(quoted).ok().map(Cow::Owned) } else { Some(inner.into()) }
}

/// The values of a JSON array; `None` for everything else.
pub(crate) fn list(value: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(value.get()).ok()
}

/// A required integer: digits, no string, no fraction.
pub(crate) fn int(value: &RawValue) -> Result<Int, Known> {
    Int::of_decimal(value.get()).ok_or(NOT_A_NUMBER)
}

/// An integer, or a string of its digits.
pub(crate) fn lenient_int(value: &RawValue) -> Option<Int> {
    string(value).map_or_else(|| Int::of_decimal(value.get()), |text| Int::of_decimal(&text))
}

/// An account.
pub(crate) fn account(value: &RawValue) -> Result<AccountId, Known> {
    string(value).and_then(|text| AccountId::from_str(&text).ok()).ok_or(BROKEN_ACCOUNT)
}

/// A contract.
pub(crate) fn contract(value: &RawValue) -> Result<ContractId, Known> {
    string(value).and_then(|text| ContractId::from_str(&text).ok()).ok_or(BROKEN_CONTRACT)
}

/// Code or call data.
pub(crate) fn contract_bytes(value: &RawValue) -> Result<Vec<u8>, Known> {
    string(value).and_then(|text| text::decode(Prefix::ContractBytes, &text).ok()).ok_or(BROKEN_BYTES)
}

/// Every element of an array of accounts or contracts.
pub(crate) fn every<T>(
    name: &'static str,
    value: &RawValue,
    read: impl Fn(&RawValue) -> Result<T, Known>,
) -> Result<Result<Vec<T>, Known>, Rejection> {
    let values = list(value).ok_or_else(|| Rejection::invalid_params(wrong(name, "an array", value)))?;
    Ok(values.into_iter().map(read).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_object_is_params() {
        assert!(serde_json::from_str::<Params<'_>>(r#"{"a":1}"#).is_ok());
        for other in ["5", "null", "[]", "\"x\"", "true", "1e400"] {
            assert!(serde_json::from_str::<Params<'_>>(other).is_err(), "{other}");
        }
    }

    #[test]
    fn numbers_keep_their_text() {
        let params: Params<'_> = serde_json::from_str(r#"{"a":1.0,"b":1e400,"c":-0}"#).unwrap();
        let [a, b, c] = params.required(["a", "b", "c"]).unwrap();
        assert_eq!([a.get(), b.get(), c.get()], ["1.0", "1e400", "-0"]);
    }

    #[test]
    fn names_and_strings_may_be_escaped() {
        let params: Params<'_> = serde_json::from_str("{\"\\u0061\":\"\\u0062\"}").unwrap();
        let [a] = params.required(["a"]).unwrap();
        assert_eq!(string(a).as_deref(), Some("b"));
        assert_eq!(string(&RawValue::from_string("\"\\ud800\"".into()).unwrap()), None);
    }

    #[test]
    fn deep_nesting_is_only_text() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(200_000), "]".repeat(200_000));
        let params: Params<'_> = serde_json::from_str(&deep).unwrap();
        assert!(params.optional("a").unwrap().is_some());
        assert_eq!(list(params.optional("a").unwrap().unwrap()).map(|values| values.len()), Some(1));
    }
}
