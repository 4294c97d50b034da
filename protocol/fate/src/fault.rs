//! Errors of a running program and their texts, which are under consensus (`docs/protocol/contracts` §2.5).

use crate::erlang::{Term, plain, pretty};
use crate::types::Type;
use crate::value::{Octets, Value};

/// How deep terms are printed in error texts.
const DEPTH: usize = 6;

/// Why a program ended with an error. Its fault, or its caller's.
#[derive(Clone)]
pub(crate) enum Fault {
    /// A fixed text.
    Fixed(&'static str),
    /// A text with terms in it.
    Shown(&'static str, Vec<Shown>),
}

/// A part of an error's text.
#[derive(Clone)]
pub(crate) enum Shown {
    /// Literal text between two terms.
    Text(&'static str),
    /// A term over several lines.
    Value(Value),
    /// A list of operands, over several lines.
    Values(Vec<Value>),
    Word(&'static str),
    /// A name in capitals, which the reference puts in quotes.
    QuotedWord(&'static str),
    /// A type by name, or the name of a list of it.
    ListOf(&'static str),
    Types(Vec<Type>),
    Type(Type),
    /// A variable that has no value.
    Place(&'static str, Value),
    /// A term on one line.
    Plain(Value),
    PlainWord(&'static str),
    /// `{word,value}` on one line.
    PlainPair(&'static str, Value),
    /// Every byte, on one line.
    AllBytes(Octets),
}

impl Fault {
    pub const OUT_OF_GAS: Self = Self::Fixed("Out of gas");

    /// An operand of the wrong kind: "Type error on call".
    pub fn mismatch(value: Value, expected: &'static str) -> Self {
        Self::typed(Shown::Value(value), Shown::Word(expected))
    }

    pub fn typed(value: Shown, expected: Shown) -> Self {
        Self::Shown("Type error on call: ", vec![value, Shown::Text(" is not of type "), expected])
    }

    pub fn returned(value: Value, expected: Type) -> Self {
        let of = Shown::Text(" is not of type ");
        Self::Shown("Type error on return: ", vec![Shown::Value(value), of, Shown::Type(expected)])
    }

    /// Operands that an operation cannot work with.
    pub fn arguments(operation: &'static str, operands: Vec<Value>) -> Self {
        let parts = vec![Shown::Word(operation), Shown::Text(": "), Shown::Values(operands)];
        Self::Shown("Bad arguments to ", parts)
    }

    pub fn arithmetic(reason: &'static str) -> Self {
        Self::Shown("Arithmetic error: ", vec![Shown::Word(reason)])
    }

    /// A primitive of the chain that did not work.
    pub fn primitive(which: &'static str, what: &'static str) -> Self {
        let parts = vec![Shown::PlainWord(which), Shown::Text(": "), Shown::PlainWord(what)];
        Self::Shown("Error in ", parts)
    }

    pub fn one(text: &'static str, shown: Shown) -> Self {
        Self::Shown(text, vec![shown])
    }

    pub fn framed(text: &'static str, shown: Shown, rest: &'static str) -> Self {
        Self::Shown(text, vec![shown, Shown::Text(rest)])
    }

    /// The text, byte for byte the reference's.
    pub fn text(&self) -> Vec<u8> {
        match self {
            Fault::Fixed(text) => text.as_bytes().to_vec(),
            Fault::Shown(text, parts) => {
                let mut out = text.as_bytes().to_vec();
                parts.iter().for_each(|part| part.write(&mut out));
                out
            }
        }
    }
}

impl Shown {
    fn write(&self, out: &mut Vec<u8>) {
        let term = match self {
            Shown::Text(text) => return out.extend(text.bytes()),
            Shown::QuotedWord(word) => return out.extend(format!("'{word}'").bytes()),
            Shown::AllBytes(bytes) => return plain(&Term::Binary(bytes.clone()), usize::MAX, out),
            Shown::Plain(value) => return plain(&Term::of(value, DEPTH), DEPTH, out),
            Shown::PlainWord(word) => return plain(&Term::Atom(word), DEPTH, out),
            Shown::PlainPair(word, value) => {
                let pair = Term::tuple(vec![Term::Atom(word), Term::of(value, DEPTH)]);
                return plain(&pair, DEPTH, out);
            }
            Shown::Value(value) => Term::of(value, DEPTH),
            Shown::Values(values) => Term::of_all(values, DEPTH),
            Shown::Word(word) => Term::Atom(word),
            Shown::ListOf(word) => Term::tuple(vec![Term::Atom("list"), Term::Atom(word)]),
            Shown::Types(types) => Term::of_types(types, DEPTH),
            Shown::Type(of) => Term::of_type(of, DEPTH),
            Shown::Place(kind, name) => Term::tuple(vec![Term::Atom(kind), Term::of(name, DEPTH)]),
        };
        let line = out.iter().rev().take_while(|byte| **byte != b'\n').count();
        out.extend(pretty(&term, DEPTH, line + 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, path::Path};

    fn bytes(json: &serde_json::Value) -> Vec<u8> {
        hex::decode(json.as_str().unwrap()).unwrap()
    }

    #[test]
    fn values_print_as_in_the_reference() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/units/values.json");
        #[allow(clippy::disallowed_methods)]
        let unit: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let mut failures = 0;
        for case in unit["values"].as_array().unwrap() {
            let value = Value::decode(&bytes(&case["fate"])).unwrap();
            let mut out = b"Bad arguments to verify_sig_secp256k1: ".to_vec();
            Shown::Value(value.clone()).write(&mut out);
            let mut on_one_line = Vec::new();
            Shown::Plain(value.clone()).write(&mut on_one_line);
            let mut in_full = Vec::new();
            plain(&Term::of(&value, 1000), usize::MAX, &mut in_full);
            let found = [out, on_one_line, in_full];
            let wanted = [bytes(&case["term_P6_prefix"]), bytes(&case["term_W6"]), bytes(&case["term_w"])];
            if found != wanted {
                failures += 1;
                for (found, wanted) in found.iter().zip(&wanted).filter(|(a, b)| a != b) {
                    println!(
                        "found  {}\nwanted {}",
                        String::from_utf8_lossy(found),
                        String::from_utf8_lossy(wanted)
                    );
                }
            }
        }
        assert_eq!(failures, 0);
    }

    #[test]
    fn large_maps_are_walked_as_in_the_reference() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/units/erlang_map_order.json");
        #[allow(clippy::disallowed_methods)]
        let unit: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        for case in unit["maps"].as_array().unwrap() {
            let keys: Vec<Value> = case["fold_order"]
                .as_array()
                .unwrap()
                .iter()
                .map(|key| Value::decode(&bytes(key)).unwrap())
                .collect();
            let map = keys.iter().map(|key| (key.clone(), Value::unit())).collect();
            let found: Vec<String> = crate::erlang::order::entries(&map)
                .iter()
                .map(|(key, _)| hex::encode(key.encode().unwrap()))
                .collect();
            let wanted: Vec<&str> =
                case["fold_order"].as_array().unwrap().iter().map(|key| key.as_str().unwrap()).collect();
            if crate::erlang::order::is_known(&map) {
                assert_eq!(found, wanted);
            } else {
                println!("unknown order, {} entries", keys.len());
            }
        }
    }
}
