//! The bytes of values (`docs/protocol/contracts` §2.2).

use std::cmp::Ordering;

use strait_encoding::rlp::{self, Item};
use thiserror::Error;

use crate::integer::Integer;
use crate::map::{Map, MapIter};
use crate::order::compare;
use crate::types::{Type, is_type_byte};
use crate::value::{Octets, StoreMap, Value, Variant};

/// Why bytes are not a value, a type or code: the fault of whoever made them.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Malformed {
    /// The bytes end inside a value.
    #[error("the bytes end inside a value")]
    Truncated,
    /// Bytes are left behind the value.
    #[error("bytes are left behind the value")]
    Trailing,
    /// A byte that begins nothing where something should begin.
    #[error("byte {0:02x} begins nothing here")]
    Tag(u8),
    /// A number that is written in more than one way, or minus zero.
    #[error("a number is not written in its shortest form")]
    Number,
    /// A size or count that is negative, or larger than memory.
    #[error("a size is negative or too large")]
    Size,
    /// Keys of a map that do not strictly ascend, or contain a map.
    #[error("the keys of a map must ascend and contain no map")]
    Keys,
    /// A variant whose tag or number of fields does not fit its arities.
    #[error("the tag or the fields of a variant do not fit its arities")]
    Variant,
    /// Code that breaks a rule of its container.
    #[error("{0}")]
    Code(&'static str),
}

/// A value that has no bytes: a map as the key of a map, a changed map of the store, impossible arities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the value cannot be written down: {0}")]
pub struct Unserializable(pub &'static str);

impl Value {
    /// Reads the value that fills `bytes`.
    ///
    /// # Errors
    /// The bytes are no value, or go on behind it.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut rest = bytes;
        let value = read_value(&mut rest)?;
        if rest.is_empty() { Ok(value) } else { Err(Malformed::Trailing) }
    }

    /// The bytes of the value.
    ///
    /// # Errors
    /// There are none.
    pub fn encode(&self) -> Result<Vec<u8>, Unserializable> {
        let mut bytes = Vec::new();
        write_value(self, &mut bytes)?;
        Ok(bytes)
    }
}

const EMPTY_STRING: u8 = 0x5f;
const LONG_STRING: u8 = 0x01;
const UNIT: u8 = 0x3f;
const LONG_TUPLE: u8 = 0x0b;
const LONG_LIST: u8 = 0x1f;
const MAP: u8 = 0x2f;
const STORE_MAP: u8 = 0xbf;
const BITS: u8 = 0x4f;
const NEGATIVE_BITS: u8 = 0xcf;
const INTEGER: u8 = 0x6f;
const NEGATIVE_INTEGER: u8 = 0xef;
const FALSE: u8 = 0x7f;
const TRUE: u8 = 0xff;
const CODE: u8 = 0x8f;
const OBJECT: u8 = 0x9f;
const VARIANT: u8 = 0xaf;
/// The kind byte of byte strings behind [`OBJECT`].
const BYTES_OBJECT: u8 = 1;

/// Numbers below it fit the first byte.
const SMALL: i64 = 64;
/// Lists and tuples of fewer elements have their count in the first byte.
const SHORT: u64 = 16;

// ---------------------------------------------------------------- reading

/// Takes one byte off the front.
pub(crate) fn take_byte(bytes: &mut &[u8]) -> Result<u8, Malformed> {
    let (&first, rest) = bytes.split_first().ok_or(Malformed::Truncated)?;
    *bytes = rest;
    Ok(first)
}

/// Takes `size` bytes off the front.
pub(crate) fn take<'a>(bytes: &mut &'a [u8], size: usize) -> Result<&'a [u8], Malformed> {
    let (taken, rest) = bytes.split_at_checked(size).ok_or(Malformed::Truncated)?;
    *bytes = rest;
    Ok(taken)
}

/// Takes one RLP byte string off the front.
pub(crate) fn take_rlp<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    match rlp::split(bytes).map_err(|_| Malformed::Truncated)? {
        (Item::Bytes(body), rest) => {
            *bytes = rest;
            Ok(body)
        }
        (Item::List(_), _) => Err(Malformed::Tag(bytes[0])),
    }
}

/// Takes a value off the front that must be an integer.
pub(crate) fn read_integer(bytes: &mut &[u8]) -> Result<Integer, Malformed> {
    match take_byte(bytes)? {
        first if first & 1 == 0 => small_integer(first),
        INTEGER => Ok(number(bytes, false)?.plus(&Integer::from(SMALL))),
        NEGATIVE_INTEGER => Ok(number(bytes, true)?.minus(&Integer::from(SMALL))),
        other => Err(Malformed::Tag(other)),
    }
}

/// A value that is still being read.
enum Open {
    List(Vec<Value>, u64),
    Tuple(Vec<Value>, u64),
    Map(Vec<(Value, Value)>, Option<Value>, u64),
    Variant(Vec<i16>, usize),
}

/// Takes one value off the front.
pub(crate) fn read_value(bytes: &mut &[u8]) -> Result<Value, Malformed> {
    let mut open: Vec<Open> = Vec::new();
    loop {
        let mut begun = begin(bytes)?;
        loop {
            let done = match begun {
                Begun::Value(value) => value,
                Begun::Open(container) => {
                    open.push(container);
                    break;
                }
            };
            let Some(container) = open.pop() else { return Ok(done) };
            begun = container.add(done)?;
        }
    }
}

enum Begun {
    Value(Value),
    Open(Open),
}

impl Open {
    fn add(mut self, value: Value) -> Result<Begun, Malformed> {
        match &mut self {
            Open::List(items, left) | Open::Tuple(items, left) => {
                items.push(value);
                *left -= 1;
            }
            Open::Map(entries, key, left) => match key.take() {
                Some(key) => {
                    entries.push((key, value));
                    *left -= 1;
                }
                None => {
                    let ascends =
                        entries.last().is_none_or(|(before, _)| compare(before, &value) == Ordering::Less);
                    if !ascends || contains_map(&value) {
                        return Err(Malformed::Keys);
                    }
                    *key = Some(value);
                }
            },
            Open::Variant(arities, tag) => match value {
                Value::Tuple(fields) if usize::try_from(arities[*tag]) == Ok(fields.len()) => {
                    let arities = std::mem::take(arities);
                    return Ok(Begun::Value(Value::Variant(Variant { arities, tag: *tag, fields }.into())));
                }
                _ => return Err(Malformed::Variant),
            },
        }
        Ok(self.close())
    }

    /// The value, if nothing is missing.
    fn close(self) -> Begun {
        match self {
            Open::List(items, 0) => Begun::Value(Value::List(items.into_iter().collect())),
            Open::Tuple(items, 0) => Begun::Value(Value::tuple(items)),
            Open::Map(entries, None, 0) => Begun::Value(Value::Map(Map::from_ascending(entries))),
            open => Begun::Open(open),
        }
    }
}

fn begin(bytes: &mut &[u8]) -> Result<Begun, Malformed> {
    let start = *bytes;
    let first = take_byte(bytes)?;
    if is_type_byte(first) {
        *bytes = start;
        return Type::read(bytes).map(|read| Begun::Value(Value::Type(read)));
    }
    if first & 1 == 0 {
        return small_integer(first).map(|number| Begun::Value(number.into()));
    }
    if first & 3 == 1 && first != LONG_STRING {
        return take(bytes, usize::from(first >> 2)).map(|body| Begun::Value(Value::string(body)));
    }
    if first & 15 == 3 {
        return Ok(Open::List(Vec::new(), u64::from(first >> 4)).close());
    }
    if first & 15 == 11 && first != LONG_TUPLE {
        return Ok(Open::Tuple(Vec::new(), u64::from(first >> 4)).close());
    }
    match first {
        LONG_LIST => Ok(Open::List(Vec::new(), count(bytes, SHORT)?).close()),
        LONG_TUPLE => Ok(Open::Tuple(Vec::new(), count(bytes, SHORT)?).close()),
        MAP => Ok(Open::Map(Vec::new(), None, count(bytes, 0)?).close()),
        VARIANT => begin_variant(bytes),
        _ => leaf(first, bytes).map(Begun::Value),
    }
}

fn small_integer(first: u8) -> Result<Integer, Malformed> {
    let number = i64::from((first >> 1) & 0x3f);
    match (first >> 7, number) {
        (0, number) => Ok(Integer::from(number)),
        (_, 0) => Err(Malformed::Number),
        (_, number) => Ok(Integer::from(-number)),
    }
}

fn leaf(first: u8, bytes: &mut &[u8]) -> Result<Value, Malformed> {
    Ok(match first {
        INTEGER => number(bytes, false)?.plus(&Integer::from(SMALL)).into(),
        NEGATIVE_INTEGER => number(bytes, true)?.minus(&Integer::from(SMALL)).into(),
        BITS => Value::bits(number(bytes, false)?.to_big()),
        NEGATIVE_BITS => match number(bytes, true)? {
            zero if zero.is_zero() => return Err(Malformed::Number),
            bits => Value::bits(bits.to_big()),
        },
        EMPTY_STRING => Value::string(&[][..]),
        LONG_STRING => Value::string(sized(bytes, SMALL)?),
        UNIT => Value::unit(),
        FALSE => Value::Boolean(false),
        TRUE => Value::Boolean(true),
        CODE => Value::Code(sized(bytes, 0)?.into()),
        OBJECT => object(bytes)?,
        STORE_MAP => {
            let id = number(bytes, false)?;
            Value::StoreMap(StoreMap { id, cache: Map::EMPTY }.into())
        }
        other => return Err(Malformed::Tag(other)),
    })
}

/// An RLP byte string that is a number in its shortest form.
fn number(bytes: &mut &[u8], negative: bool) -> Result<Integer, Malformed> {
    let before = *bytes;
    let body = take_rlp(bytes)?;
    let read = Integer::from_magnitude(negative, body);
    let mut shortest = Vec::new();
    write_rlp(&read.magnitude(), &mut shortest);
    if before.len() - bytes.len() == shortest.len() && before.starts_with(&shortest) {
        Ok(read)
    } else {
        Err(Malformed::Number)
    }
}

fn count(bytes: &mut &[u8], base: u64) -> Result<u64, Malformed> {
    let count = number(bytes, false)?.to_u64().and_then(|count| count.checked_add(base));
    // Every element takes at least one byte.
    count.filter(|count| *count <= bytes.len() as u64).ok_or(Malformed::Size)
}

/// An integer and as many bytes, `base` more.
fn sized<'a>(bytes: &mut &'a [u8], base: i64) -> Result<&'a [u8], Malformed> {
    let size = read_integer(bytes)?;
    if size.is_negative() {
        return Err(Malformed::Size);
    }
    let size = size.plus(&Integer::from(base)).to_u64().ok_or(Malformed::Size)?;
    take(bytes, usize::try_from(size).map_err(|_| Malformed::Size)?)
}

fn object(bytes: &mut &[u8]) -> Result<Value, Malformed> {
    let kind = take_byte(bytes)?;
    if kind == BYTES_OBJECT {
        return match take_byte(bytes)? {
            EMPTY_STRING => Ok(Value::bytes(&[][..])),
            LONG_STRING => sized(bytes, SMALL).map(Value::bytes),
            first if first & 3 == 1 => take(bytes, usize::from(first >> 2)).map(Value::bytes),
            other => Err(Malformed::Tag(other)),
        };
    }
    let make = match kind {
        0 => Value::Address,
        2 => Value::Contract,
        3 => Value::Oracle,
        4 => Value::OracleQuery,
        5 => Value::Channel,
        other => return Err(Malformed::Tag(other)),
    };
    Ok(make(Octets::from(take_rlp(bytes)?)))
}

/// The arities and the tag; the fields follow as a tuple.
fn begin_variant(bytes: &mut &[u8]) -> Result<Begun, Malformed> {
    let arities: Vec<i16> = take_rlp(bytes)?.iter().map(|arity| i16::from(*arity)).collect();
    let tag = usize::from(take_byte(bytes)?);
    if tag >= arities.len() {
        return Err(Malformed::Variant);
    }
    Ok(Begun::Open(Open::Variant(arities, tag)))
}

fn contains_map(value: &Value) -> bool {
    let mut pending = vec![value];
    while let Some(value) = pending.pop() {
        match value {
            Value::Map(_) | Value::StoreMap(_) => return true,
            Value::Tuple(fields) => pending.extend(fields.iter()),
            Value::Variant(variant) => pending.extend(variant.fields.iter()),
            Value::List(list) => pending.extend(list.iter()),
            _ => {}
        }
    }
    false
}

// ---------------------------------------------------------------- writing

/// What is still to be written.
enum Rest<'a> {
    Values(std::slice::Iter<'a, Value>),
    List(crate::list::ListIter<'a>),
    Entries(MapIter<'a>),
    Value(&'a Value),
}

/// Appends the bytes of a value.
pub(crate) fn write_value(value: &Value, bytes: &mut Vec<u8>) -> Result<(), Unserializable> {
    let mut rest = vec![Rest::Value(value)];
    while let Some(next) = rest.pop() {
        let value = match next {
            Rest::Value(value) => value,
            Rest::Values(mut values) => match values.next() {
                Some(value) => {
                    rest.push(Rest::Values(values));
                    value
                }
                None => continue,
            },
            Rest::List(mut values) => match values.next() {
                Some(value) => {
                    rest.push(Rest::List(values));
                    value
                }
                None => continue,
            },
            Rest::Entries(mut entries) => match entries.next() {
                Some((key, _)) if contains_map(key) => {
                    return Err(Unserializable("a map as the key of a map"));
                }
                Some((key, value)) => {
                    rest.push(Rest::Entries(entries));
                    rest.push(Rest::Value(value));
                    key
                }
                None => continue,
            },
        };
        write_head(value, bytes, &mut rest)?;
    }
    Ok(())
}

fn write_head<'a>(
    value: &'a Value,
    bytes: &mut Vec<u8>,
    rest: &mut Vec<Rest<'a>>,
) -> Result<(), Unserializable> {
    match value {
        Value::List(list) => {
            write_count(list.len(), 3, LONG_LIST, 0, bytes);
            rest.push(Rest::List(list.iter()));
        }
        Value::Tuple(fields) => {
            write_tuple_head(fields.len(), bytes);
            rest.push(Rest::Values(fields.iter()));
        }
        Value::Map(map) => {
            bytes.push(MAP);
            write_rlp(&Integer::from(map.len() as u64).magnitude(), bytes);
            rest.push(Rest::Entries(map.iter()));
        }
        Value::Variant(variant) => {
            let arities: Result<Vec<u8>, _> =
                variant.arities.iter().map(|arity| u8::try_from(*arity)).collect();
            let arities = arities.map_err(|_| Unserializable("an arity outside 0..255"))?;
            bytes.push(VARIANT);
            write_rlp(&arities, bytes);
            bytes.push(u8::try_from(variant.tag).map_err(|_| Unserializable("a tag above 255"))?);
            write_tuple_head(variant.fields.len(), bytes);
            rest.push(Rest::Values(variant.fields.iter()));
        }
        leaf => write_leaf(leaf, bytes)?,
    }
    Ok(())
}

fn write_leaf(value: &Value, bytes: &mut Vec<u8>) -> Result<(), Unserializable> {
    match value {
        Value::Integer(number) => write_integer(number, bytes),
        Value::Boolean(value) => bytes.push(if *value { TRUE } else { FALSE }),
        Value::String(body) => write_string(body, bytes),
        Value::Bytes(body) => {
            bytes.extend([OBJECT, BYTES_OBJECT]);
            write_string(body, bytes);
        }
        Value::Address(body) => write_object(0, body, bytes),
        Value::Contract(body) => write_object(2, body, bytes),
        Value::Oracle(body) => write_object(3, body, bytes),
        Value::OracleQuery(body) => write_object(4, body, bytes),
        Value::Channel(body) => write_object(5, body, bytes),
        Value::Bits(bits) => {
            let bits = Integer::from(num_bigint::BigInt::clone(bits));
            bytes.push(if bits.is_negative() { NEGATIVE_BITS } else { BITS });
            write_rlp(&bits.magnitude(), bytes);
        }
        Value::Type(of) => of.write(bytes).ok_or(Unserializable("a type with more than 255 fields"))?,
        Value::Code(code) => {
            bytes.push(CODE);
            write_integer(&Integer::from(code.len() as u64), bytes);
            bytes.extend_from_slice(code);
        }
        Value::StoreMap(map) if map.cache.is_empty() => {
            bytes.push(STORE_MAP);
            write_rlp(&map.id.magnitude(), bytes);
        }
        _ => return Err(Unserializable("a map of the store with changes")),
    }
    Ok(())
}

/// Appends the bytes of an integer.
pub(crate) fn write_integer(number: &Integer, bytes: &mut Vec<u8>) {
    match number.small() {
        Some(small @ -63..=63) => {
            let sign = u8::from(small < 0) << 7;
            bytes.push(sign | (small.unsigned_abs() as u8) << 1);
        }
        _ => {
            let (tag, rest) = if number.is_negative() {
                (NEGATIVE_INTEGER, number.plus(&Integer::from(SMALL)))
            } else {
                (INTEGER, number.minus(&Integer::from(SMALL)))
            };
            bytes.push(tag);
            write_rlp(&rest.magnitude(), bytes);
        }
    }
}

fn write_string(body: &[u8], bytes: &mut Vec<u8>) {
    match body.len() {
        0 => bytes.push(EMPTY_STRING),
        size @ 1..=63 => bytes.push((size as u8) << 2 | 1),
        size => {
            bytes.push(LONG_STRING);
            write_integer(&Integer::from(size as u64 - SMALL as u64), bytes);
        }
    }
    bytes.extend_from_slice(body);
}

fn write_tuple_head(count: usize, bytes: &mut Vec<u8>) {
    if count == 0 {
        bytes.push(UNIT);
    } else {
        write_count(count, 11, LONG_TUPLE, 1, bytes);
    }
}

fn write_count(count: usize, short: u8, long: u8, least: u64, bytes: &mut Vec<u8>) {
    let count = count as u64;
    if count >= least && count < SHORT {
        bytes.push((count as u8) << 4 | short);
    } else {
        bytes.push(long);
        write_rlp(&Integer::from(count - SHORT).magnitude(), bytes);
    }
}

fn write_object(kind: u8, body: &[u8], bytes: &mut Vec<u8>) {
    bytes.extend([OBJECT, kind]);
    write_rlp(body, bytes);
}

/// Appends an RLP byte string.
pub(crate) fn write_rlp(body: &[u8], bytes: &mut Vec<u8>) {
    match body {
        [byte @ 0..=0x7f] => bytes.push(*byte),
        body if body.len() <= 55 => bytes.push(0x80 + body.len() as u8),
        body => {
            let size = Integer::from(body.len() as u64).magnitude();
            bytes.push(0xb7 + size.len() as u8);
            bytes.extend(size);
        }
    }
    if !matches!(body, [0..=0x7f]) {
        bytes.extend_from_slice(body);
    }
}
