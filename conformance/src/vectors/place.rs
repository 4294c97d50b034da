//! Reading the fields of a vector file: whatever is missing or malformed is said, with where it is.

use serde_json::{Map, Value};

use super::Mismatch;

/// What a field is read to.
pub(super) type Read<T> = Result<T, Mismatch>;

/// How much of a malformed value is repeated.
const SHOWN: usize = 80;

/// A value in a file, with the way to it.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    path: String,
    value: &'a Value,
}

impl<'a> Place<'a> {
    /// The whole of a file, or of a step.
    pub fn whole(value: &'a Value) -> Self {
        Self { path: String::new(), value }
    }

    /// A field of an object; `null` where it is not there.
    pub fn at(&self, name: &str) -> Self {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        Self { path, value: self.value.get(name).unwrap_or(&Value::Null) }
    }

    /// The same place with something else in it.
    pub fn instead<'b>(&self, value: &'b Value) -> Place<'b> {
        Place { path: self.path.clone(), value }
    }

    /// The value as it stands there.
    pub fn value(&self) -> &'a Value {
        self.value
    }

    /// Whether anything stands there.
    pub fn is_there(&self) -> bool {
        !self.value.is_null()
    }

    /// The elements of a list.
    pub fn list(&self) -> Read<Vec<Self>> {
        let list = self.value.as_array().ok_or_else(|| self.wrong("a list"))?;
        let at = |(index, value)| Self { path: format!("{}[{index}]", self.path), value };
        Ok(list.iter().enumerate().map(at).collect())
    }

    /// The fields of an object.
    pub fn object(&self) -> Read<&'a Map<String, Value>> {
        self.value.as_object().ok_or_else(|| self.wrong("an object"))
    }

    pub fn text(&self) -> Read<&'a str> {
        self.value.as_str().ok_or_else(|| self.wrong("a string"))
    }

    pub fn boolean(&self) -> Read<bool> {
        self.value.as_bool().ok_or_else(|| self.wrong("true or false"))
    }

    /// Bytes in hexadecimal digits.
    pub fn bytes(&self) -> Read<Vec<u8>> {
        let digits = self.value.as_str().and_then(|text| hex::decode(text).ok());
        digits.ok_or_else(|| self.wrong("bytes in hexadecimal digits"))
    }

    /// An id or a hash.
    pub fn key(&self) -> Read<[u8; 32]> {
        self.bytes()?.try_into().map_err(|_| self.wrong("32 bytes in hexadecimal digits"))
    }

    /// A number, written as such or as a string (beyond 2^53).
    pub fn number(&self) -> Read<u128> {
        let number = match self.value {
            Value::String(text) => text.parse().ok(),
            Value::Number(number) => number.to_string().parse().ok(),
            _ => None,
        };
        number.ok_or_else(|| self.wrong("a number from 0 to 2^128 - 1"))
    }

    /// A number that fits 64 bits.
    pub fn small(&self) -> Read<u64> {
        self.number()?.try_into().map_err(|_| self.wrong("a number from 0 to 2^64 - 1"))
    }

    /// That something else stands here than should.
    pub fn wrong(&self, expected: &str) -> Mismatch {
        let found = if self.is_there() { self.value.to_string() } else { "nothing".to_owned() };
        Mismatch::new(self.path.clone(), expected, found.chars().take(SHOWN).collect::<String>())
    }

    /// Compares what was found with what stands here.
    pub fn expect(&self, found: impl Into<Value>, differences: &mut Vec<Mismatch>) {
        let found = found.into();
        // Large numbers may stand there as strings.
        let same = *self.value == found
            || matches!((self.value, &found), (Value::String(text), Value::Number(number)) if *text == number.to_string());
        if !same {
            differences.push(Mismatch::new(self.path.clone(), plain(self.value), plain(&found)));
        }
    }

    /// Compares the length of a list.
    pub fn length_is(&self, found: usize, differences: &mut Vec<Mismatch>) {
        let expected = self.value.as_array().map_or(0, Vec::len);
        if expected != found {
            let rows = |count: usize| format!("{count} rows");
            differences.push(Mismatch::new(self.path.clone(), rows(expected), rows(found)));
        }
    }

    /// As [`Self::expect`], for bytes in hexadecimal digits.
    pub fn expect_bytes(&self, found: &[u8], differences: &mut Vec<Mismatch>) {
        self.expect(hex::encode(found), differences);
    }
}

/// A value without the quotes of a string.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "nothing".to_owned(),
        other => other.to_string(),
    }
}
