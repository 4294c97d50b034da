//! Values as terms of the reference's language, cut off at a depth.

use crate::erlang::order;
use crate::integer::Integer;
use crate::types::{Type, TypeNode, start_of};
use crate::value::{Octets, Value};

/// A term, as far as it is going to be printed.
#[derive(Clone)]
pub(crate) enum Term {
    Integer(Integer),
    Atom(&'static str),
    Binary(Octets),
    Tuple(Items<Term>),
    List {
        items: Items<Term>,
        /// The characters, where every element of the list is a printable one.
        text: Option<Vec<u8>>,
    },
    Map(Items<(Term, Term)>),
    /// Too deep to be looked at.
    Beyond,
}

/// The first elements of a sequence, and whether there are more.
pub(crate) type Items<T> = Vec<T>;

impl Term {
    pub(crate) fn tuple(items: Vec<Term>) -> Self {
        Term::Tuple(items)
    }

    pub(crate) fn list(items: Vec<Term>) -> Self {
        Term::List { items, text: None }
    }

    /// The term of a value. Everything that printing to `depth` can reach is there.
    pub(crate) fn of(value: &Value, depth: usize) -> Self {
        if depth == 0 {
            return Term::Beyond;
        }
        let below = depth - 1;
        let tagged = |tag: &'static str, term: Term| Term::tuple(vec![Term::Atom(tag), term]);
        match value {
            Value::Integer(number) => Term::Integer(number.clone()),
            Value::Boolean(true) => Term::Atom("true"),
            Value::Boolean(false) => Term::Atom("false"),
            Value::String(bytes) => Term::Binary(bytes.clone()),
            Value::Bytes(bytes) => tagged("bytes", Term::Binary(bytes.clone())),
            Value::Address(bytes) => tagged("address", Term::Binary(bytes.clone())),
            Value::Contract(bytes) => tagged("contract", Term::Binary(bytes.clone())),
            Value::Oracle(bytes) => tagged("oracle", Term::Binary(bytes.clone())),
            Value::OracleQuery(bytes) => tagged("oracle_query", Term::Binary(bytes.clone())),
            Value::Channel(bytes) => tagged("channel", Term::Binary(bytes.clone())),
            Value::Code(bytes) => tagged("contract_bytearray", Term::Binary(bytes.clone())),
            Value::Bits(bits) => tagged("bits", Term::Integer(num_bigint::BigInt::clone(bits).into())),
            Value::Type(of) => tagged("typerep", Term::of_type(of, below)),
            Value::Tuple(fields) => tagged("tuple", Term::fields(fields, below)),
            Value::Variant(variant) => Term::tuple(vec![
                Term::Atom("variant"),
                Term::list(
                    variant.arities.iter().map(|arity| Term::Integer(i32::from(*arity).into())).collect(),
                )
                .readable(),
                Term::Integer(Integer::from(variant.tag as u64)),
                Term::fields(&variant.fields, below),
            ]),
            Value::List(list) => {
                let items = list.iter().take(depth + 1).map(|item| Term::of(item, below)).collect();
                Term::List { items, text: printable(list.iter().map(Some)) }
            }
            Value::Map(map) => Term::map(map, depth),
            Value::StoreMap(map) => Term::tuple(vec![
                Term::Atom("store_map"),
                Term::map(&map.cache, below),
                Term::Integer(map.id.clone()),
            ]),
            Value::Removed => Term::Atom("'__DELETED__'"),
        }
    }

    /// The term of a list of values.
    pub(crate) fn of_all(values: &[Value], depth: usize) -> Self {
        let below = depth.saturating_sub(1);
        let items = values.iter().take(depth + 1).map(|value| Term::of(value, below)).collect();
        Term::List { items, text: printable(values.iter().map(Some)) }
    }

    /// The term of a type.
    pub(crate) fn of_type(of: &Type, depth: usize) -> Self {
        type_term(of.turned(), depth)
    }

    /// The term of a list of types.
    pub(crate) fn of_types(all: &[Type], depth: usize) -> Self {
        Term::list(all.iter().take(depth + 1).map(|of| Term::of_type(of, depth.saturating_sub(1))).collect())
    }

    fn fields(fields: &[Value], depth: usize) -> Self {
        let below = depth.saturating_sub(1);
        Term::tuple(fields.iter().take(depth + 1).map(|field| Term::of(field, below)).collect())
    }

    fn map(map: &crate::map::Map, depth: usize) -> Self {
        let below = depth.saturating_sub(1);
        let entries = order::entries(map);
        let shown = entries.into_iter().take(depth + 1);
        Term::Map(shown.map(|(key, value)| (Term::of(key, below), Term::of(value, below))).collect())
    }

    /// The same list, with its text if it has one.
    fn readable(self) -> Self {
        match self {
            Term::List { items, .. } => {
                let codes = items.iter().map(|item| match item {
                    Term::Integer(number) => number.small(),
                    _ => None,
                });
                let text = text_of(codes);
                Term::List { items, text }
            }
            other => other,
        }
    }
}

/// One line, to a depth, strings as numbers.
pub(crate) fn plain(term: &Term, depth: usize, out: &mut Vec<u8>) {
    if depth == 0 {
        out.extend(b"...");
        return;
    }
    match term {
        Term::Integer(number) => out.extend(number.to_string().bytes()),
        Term::Atom(atom) => out.extend(atom.bytes()),
        Term::Binary(bytes) => plain_binary(bytes, depth, out),
        Term::Tuple(items) => plain_items(items, depth, (b"{", b",...", b"}"), out),
        Term::List { items, .. } => plain_items(items, depth, (b"[", b"|...", b"]"), out),
        Term::Map(entries) => {
            out.extend(b"#{");
            for (index, (key, value)) in entries.iter().enumerate() {
                if depth <= index + 1 {
                    break;
                }
                if index > 0 {
                    out.push(b',');
                }
                plain(key, depth - 1, out);
                out.extend(b" => ");
                plain(value, depth - 1, out);
            }
            if depth > 1 && entries.len() + 1 >= depth {
                out.extend(b",...");
            }
            out.push(b'}');
        }
        Term::Beyond => out.extend(b"..."),
    }
}

fn plain_items(items: &[Term], depth: usize, (open, more, close): (&[u8], &[u8], &[u8]), out: &mut Vec<u8>) {
    out.extend(open);
    for (index, item) in items.iter().enumerate() {
        if depth <= index + 1 {
            out.extend(if index == 0 { b"..." } else { more });
            break;
        }
        if index > 0 {
            out.push(b',');
        }
        plain(item, depth - 1 - index, out);
    }
    out.extend(close);
}

/// The bytes in decimal, `depth` less one of them.
pub(crate) fn plain_binary(bytes: &[u8], depth: usize, out: &mut Vec<u8>) {
    out.extend(b"<<");
    for (index, byte) in bytes.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        if depth <= index + 1 {
            out.extend(b"...");
            break;
        }
        out.extend(byte.to_string().bytes());
    }
    out.extend(b">>");
}

/// Is it a character that the reference prints as such?
pub(crate) fn is_printable(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | 0xa0..=0xff | b'\n' | b'\r' | b'\t' | 0x0b | 0x08 | 0x0c | 0x1b)
}

fn printable<'a>(values: impl Iterator<Item = Option<&'a Value>>) -> Option<Vec<u8>> {
    text_of(values.map(|value| match value {
        Some(Value::Integer(number)) => number.small(),
        _ => None,
    }))
}

fn text_of(codes: impl Iterator<Item = Option<i64>>) -> Option<Vec<u8>> {
    let text: Option<Vec<u8>> =
        codes.map(|code| u8::try_from(code?).ok().filter(|byte| is_printable(*byte))).collect();
    text.filter(|text| !text.is_empty())
}

fn type_term(turned: &[TypeNode], depth: usize) -> Term {
    let (Some((node, rest)), true) = (turned.split_last(), depth > 0) else { return Term::Beyond };
    let below = depth - 1;
    let mut end = rest.len();
    let mut children = Vec::new();
    for _ in 0..node.children().min(depth + 1) {
        let start = start_of(rest, end);
        children.push(type_term(&rest[start..end], below));
        end = start;
    }
    let tagged = |tag: &'static str, mut terms: Vec<Term>| {
        terms.insert(0, Term::Atom(tag));
        Term::tuple(terms)
    };
    match node {
        TypeNode::Integer => Term::Atom("integer"),
        TypeNode::Boolean => Term::Atom("boolean"),
        TypeNode::String => Term::Atom("string"),
        TypeNode::Bits => Term::Atom("bits"),
        TypeNode::Address => Term::Atom("address"),
        TypeNode::Contract => Term::Atom("contract"),
        TypeNode::Oracle => Term::Atom("oracle"),
        TypeNode::OracleQuery => Term::Atom("oracle_query"),
        TypeNode::Channel => Term::Atom("channel"),
        TypeNode::Code => Term::Atom("contract_bytearray"),
        TypeNode::Any => Term::Atom("any"),
        TypeNode::AnyBytes => tagged("bytes", vec![Term::Atom("any")]),
        TypeNode::Bytes(size) => tagged("bytes", vec![Term::Integer((*size).into())]),
        TypeNode::Variable(variable) => tagged("tvar", vec![Term::Integer((*variable).into())]),
        TypeNode::Arity(arity) => Term::Integer(i32::from(*arity).into()),
        TypeNode::List => tagged("list", children),
        TypeNode::Map => tagged("map", children),
        TypeNode::Tuple(_) => tagged("tuple", vec![Term::list(children)]),
        TypeNode::Variant(_) => tagged("variant", vec![Term::list(children)]),
    }
}
