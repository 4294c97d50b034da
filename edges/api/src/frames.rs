//! What a client's text frame says: one request, or a batch of them (`docs/protocol/ws_api` §4).

use std::borrow::Cow;
use std::fmt;

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::errors::Rejection;
use crate::methods::{self, Call};
use crate::params::{Params, string};

/// How many requests one batch may hold.
pub const MAX_BATCH: usize = 1_000;

/// A text frame.
#[derive(Debug)]
pub enum Frame<'a> {
    /// One request, or what was meant as one.
    One(Member<'a>),
    /// Requests that are answered together: one at least.
    Batch(Vec<Member<'a>>),
}

/// A request, understood or not.
#[derive(Debug)]
pub struct Member<'a> {
    /// The request as it was sent; `{}` where that is no JSON.
    pub text: &'a str,
    /// Its id, of any type, if it has one.
    pub id: Option<&'a RawValue>,
    /// What it asks for, or why it is refused.
    pub call: Result<Call, Rejection>,
}

/// Reads a text frame. Nothing makes it fail: what cannot be read comes as a refused [`Member`].
pub fn parse(text: &str) -> Frame<'_> {
    match text.trim_ascii_start().bytes().next() {
        Some(b'{') => Frame::One(member(text.trim_ascii())),
        Some(b'[') => batch(text),
        _ => Frame::One(match serde_json::from_str::<&RawValue>(text) {
            Ok(value) => Member::refused(value.get(), Rejection::invalid_request(NO_REQUEST)),
            Err(error) => Member::refused(NOTHING, Rejection::parse_error(error.to_string())),
        }),
    }
}

/// Repeated in an error where there is nothing to repeat.
const NOTHING: &str = "{}";
const NO_REQUEST: &str = "expected an object with jsonrpc and method, or an array of such";

impl<'a> Member<'a> {
    fn refused(text: &'a str, why: Rejection) -> Self {
        Self { text, id: None, call: Err(why) }
    }
}

fn batch(text: &str) -> Frame<'_> {
    let members = match serde_json::from_str::<Members<'_>>(text) {
        Ok(members) => members,
        Err(error) => {
            return Frame::One(Member::refused(NOTHING, Rejection::parse_error(error.to_string())));
        }
    };
    if members.more > 0 {
        let found = members.first.len() + members.more;
        let why = format!("expected at most {MAX_BATCH} requests in a batch, found {found}");
        return Frame::One(Member::refused(NOTHING, Rejection::invalid_request(why)));
    }
    if members.first.is_empty() {
        return Frame::One(Member::refused(text.trim_ascii(), Rejection::invalid_request(NO_REQUEST)));
    }
    let read = |value: &&'_ RawValue| value.get().starts_with('{');
    let members = members.first.into_iter().map(|value| match read(&value) {
        true => member(value.get()),
        false => Member::refused(value.get(), Rejection::invalid_request(NO_REQUEST)),
    });
    Frame::Batch(members.collect())
}

/// An object, in one pass where it is a request with `params` as they should be.
fn member(text: &str) -> Member<'_> {
    match serde_json::from_str::<Envelope<'_>>(text) {
        Ok(envelope) => envelope.understood(text),
        Err(error) if error.classify() == Category::Data => odd_member(text),
        Err(error) => Member::refused(NOTHING, Rejection::parse_error(error.to_string())),
    }
}

/// The members of a request that count.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    jsonrpc: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    method: Option<&'a RawValue>,
    #[serde(borrow, default)]
    params: Params<'a>,
}

/// Keeps `null` apart from a member that is not there.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl<'a> Envelope<'a> {
    fn understood(self, text: &'a str) -> Member<'a> {
        Member { text, id: self.id, call: self.call() }
    }

    fn call(&self) -> Result<Call, Rejection> {
        if self.jsonrpc.and_then(string).as_deref() != Some("2.0") {
            return Err(Rejection::invalid_request("jsonrpc: expected \"2.0\""));
        }
        let method = self.method.ok_or_else(|| Rejection::invalid_request("method is missing"))?;
        match string(method) {
            Some(method) => methods::read(&method, &self.params),
            None => Err(Rejection::method_not_found("method: expected a string")),
        }
    }
}

/// A JSON object that is no [`Envelope`]: `params` is no object, or a member is there twice.
fn odd_member(text: &str) -> Member<'_> {
    let Ok(odd) = serde_json::from_str::<OddEnvelope<'_>>(text) else {
        return Member::refused(NOTHING, Rejection::parse_error("not a JSON object"));
    };
    let call = match (odd.twice, odd.params.map(RawValue::get)) {
        (Some(name), _) => Err(Rejection::invalid_request(format!("{name} is given twice"))),
        (None, Some("null") | None) => odd.envelope.call(),
        (None, Some(_)) => match odd.envelope.call() {
            // No method takes such params; the reference does not recognize one with them.
            Ok(_) => Err(Rejection::method_not_found("params: expected an object")),
            Err(why) => Err(why),
        },
    };
    Member { text, id: odd.envelope.id, call }
}

/// An object of which any member may be anything.
struct OddEnvelope<'a> {
    envelope: Envelope<'a>,
    params: Option<&'a RawValue>,
    twice: Option<&'static str>,
}

impl<'de: 'a, 'a> Deserialize<'de> for OddEnvelope<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Odd;

        impl<'de> Visitor<'de> for Odd {
            type Value = OddEnvelope<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let envelope = Envelope { jsonrpc: None, id: None, method: None, params: Params::default() };
                let mut odd = OddEnvelope { envelope, params: None, twice: None };
                while let Some((name, value)) = map.next_entry::<Cow<'de, str>, &'de RawValue>()? {
                    let (name, place) = match &*name {
                        "jsonrpc" => ("jsonrpc", &mut odd.envelope.jsonrpc),
                        "id" => ("id", &mut odd.envelope.id),
                        "method" => ("method", &mut odd.envelope.method),
                        "params" => ("params", &mut odd.params),
                        _ => continue,
                    };
                    if place.replace(value).is_some() {
                        odd.twice = Some(name);
                    }
                }
                Ok(odd)
            }
        }

        deserializer.deserialize_map(Odd)
    }
}

/// The elements of an array, those beyond the limit only counted.
struct Members<'a> {
    first: Vec<&'a RawValue>,
    more: usize,
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Counted;

        impl<'de> Visitor<'de> for Counted {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut members = Members { first: Vec::new(), more: 0 };
                while members.first.len() < MAX_BATCH {
                    match seq.next_element()? {
                        Some(value) => members.first.push(value),
                        None => return Ok(members),
                    }
                }
                while seq.next_element::<IgnoredAny>()?.is_some() {
                    members.more += 1;
                }
                Ok(members)
            }
        }

        deserializer.deserialize_seq(Counted)
    }
}
