//! Files of single functions: values, types, their order, texts, and the table of instructions.

use std::cmp::Ordering;

use serde_json::Value as Json;
use strait_fate::{Layout, Map, Opcode, Type, Value, cases, check, compare, print, walk_order};

use super::place::{Place, Read};
use super::{Mismatch, Run, VectorNews};

/// What one case comes to.
type Case = fn(&Place<'_>, &mut Vec<Mismatch>) -> Read<()>;

/// The lists of cases that a file may have, with a field that every case of that kind has.
const KINDS: [(&str, &str, Case); 7] = [
    ("cases", "bytes", decode),
    ("cases", "s", unicode),
    ("values", "fate", value),
    ("pairs", "a", order),
    ("types", "bytes", of_type),
    ("checks", "type", type_check),
    ("maps", "fold_order", map_order),
];

/// Runs every case of a file.
pub(super) fn run<T: FnMut(VectorNews)>(run: &mut Run<'_, T>, file: &Place<'_>) {
    let known = |(list, field, _): &&(&str, &str, Case)| {
        file.at(list).value().get(0).is_some_and(|first| first.get(field).is_some())
    };
    let (list, case) = match KINDS.iter().find(known) {
        Some((list, _, case)) => (file.at(list), *case),
        None if file.value().get(0).is_some_and(|row| row.get("opcode").is_some()) => {
            (file.clone(), instruction as Case)
        }
        None => return run.fail(None, String::new(), vec![unknown(file)]),
    };
    let cases = match list.list() {
        Ok(cases) => cases,
        Err(malformed) => return run.fail(None, String::new(), vec![malformed]),
    };
    for (number, place) in cases.iter().enumerate() {
        let place = Place::whole(place.value());
        let mut found = Vec::new();
        if let Err(malformed) = case(&place, &mut found) {
            found.push(malformed);
        }
        run.done(number, || about(&place), found);
    }
    if list.value().get(0).is_some_and(|row| row.get("opcode").is_some()) {
        // The table is as long as ours, if every row of it is one of ours.
        let mut found = Vec::new();
        list.length_is(Opcode::all().len(), &mut found);
        if !found.is_empty() && run.options.step.is_none() {
            run.fail(None, "the table of instructions".to_owned(), found);
        }
    }
}

fn unknown(file: &Place<'_>) -> Mismatch {
    let found = match file.value() {
        Json::Object(fields) => {
            let names: Vec<&str> = fields.keys().take(8).map(String::as_str).collect();
            format!("an object with the fields {}", names.join(", "))
        }
        Json::Array(all) => format!("a list of {}", all.len()),
        other => other.to_string().chars().take(80).collect(),
    };
    let known = "a vector file: an object with `steps`, or with cases under `cases`, `values`, `pairs`, `types`, `checks` or \
                 `maps`, or the table of instructions";
    Mismatch::new("the file", known, found)
}

fn about(case: &Place<'_>) -> String {
    let text = |name: &str| case.value().get(name).and_then(Json::as_str);
    ["human", "name", "type", "bytes", "s", "a"]
        .into_iter()
        .find_map(text)
        .unwrap_or_default()
        .chars()
        .take(80)
        .collect()
}

/// A FATE value that stands in a case.
fn read(place: &Place<'_>) -> Read<Value> {
    Value::decode(&place.bytes()?).map_err(|_| place.wrong("the bytes of a FATE value"))
}

fn written(value: &Value) -> Vec<u8> {
    value.encode().unwrap_or_default()
}

/// What the decoder of values takes, and how it is written again.
fn decode(case: &Place<'_>, found: &mut Vec<Mismatch>) -> Read<()> {
    let read = Value::decode(&case.at("bytes").bytes()?);
    case.at("ok").boolean()?;
    case.at("ok").expect(read.is_ok(), found);
    if let (Ok(value), true) = (read, case.at("re").is_there()) {
        case.at("re").expect_bytes(&written(&value), found);
    }
    Ok(())
}

/// How a value is written, and how it is printed.
fn value(case: &Place<'_>, found: &mut Vec<Mismatch>) -> Read<()> {
    let value = read(&case.at("fate"))?;
    case.at("fate").expect_bytes(&written(&value), found);
    let lines = [("term_P6", Layout::Folded(b"")), ("term_W6", Layout::Line), ("term_w", Layout::Full)];
    for (name, layout) in lines {
        if case.at(name).is_there() {
            case.at(name).expect_bytes(&print(&value, layout), found);
        }
    }
    let folded = case.at("term_P6_prefix");
    if folded.is_there() {
        let text = folded.bytes()?;
        // The text before the value ends with the first colon.
        let lead = text.windows(2).position(|pair| pair == b": ").map_or(0, |place| place + 2);
        folded.expect_bytes(&print(&value, Layout::Folded(&text[..lead])), found);
    }
    Ok(())
}

/// How two values are ordered, by the machine and by the reference's language.
fn order(case: &Place<'_>, found: &mut Vec<Mismatch>) -> Read<()> {
    let (a, b) = (read(&case.at("a"))?, read(&case.at("b"))?);
    let order = compare(&a, &b);
    for (name, is) in [("lt", order.is_lt()), ("gt", order.is_gt()), ("erl_eq", order.is_eq())] {
        case.at(name).boolean()?;
        case.at(name).expect(is, found);
    }
    let walked_first = case.at("erl_lt");
    if walked_first.is_there() {
        let both: Map = [a.clone(), b].into_iter().map(|key| (key, Value::unit())).collect();
        let keys = walk_order(&both).unwrap_or_default();
        let is_first = keys.len() == 2 && keys.first().is_some_and(|key| compare(key, &a) == Ordering::Equal);
        walked_first.expect(is_first, found);
    }
    Ok(())
}

/// How a type is written.
fn of_type(case: &Place<'_>, found: &mut Vec<Mismatch>) -> Read<()> {
    let place = case.at("bytes");
    let read = Type::decode(&place.bytes()?).map_err(|_| place.wrong("the bytes of a FATE type"))?;
    place.expect_bytes(&read.encode().unwrap_or_default(), found);
    Ok(())
}

/// Whether a value is of a type, by the version of the machine.
fn type_check(case: &Place<'_>, found: &mut Vec<Mismatch>) -> Read<()> {
    let place = case.at("type");
    let declared = Type::decode(&place.bytes()?).map_err(|_| place.wrong("the bytes of a FATE type"))?;
    let value = read(&case.at("value"))?;
    let versions = [("vm5", false), ("vm7", false), ("vm8", true)];
    let there: Vec<_> = versions.into_iter().filter(|(name, _)| case.at(name).is_there()).collect();
    if there.is_empty() {
        return Err(case.at("vm8").wrong("whether the value is of the type"));
    }
    for (name, any_bytes) in there {
        case.at(name).expect(check(&declared, &value, any_bytes).is_some(), found);
    }
    Ok(())
}

/// The characters of a text, in composed form and in both cases.
fn unicode(case: &Place<'_>, found: &mut Vec<Mismatch>) -> Read<()> {
    let bytes = case.at("s").bytes()?;
    let Ok(text) = std::str::from_utf8(&bytes) else {
        // Of what is no text nothing can be made.
        for name in ["upper", "lower", "reverse"] {
            let place = case.at(name);
            if !place.text().is_ok_and(|text| text.starts_with("error")) {
                found.push(place.wrong("an error: the bytes are no text"));
            }
        }
        return Ok(());
    };
    let forms = cases(text);
    let codes: Vec<u32> = forms.composed.iter().map(|character| u32::from(*character)).collect();
    case.at("nfc").expect(codes, found);
    case.at("upper").expect_bytes(forms.upper.as_bytes(), found);
    case.at("lower").expect_bytes(forms.lower.as_bytes(), found);
    let reversed: String = forms.composed.iter().rev().collect();
    let reversed: String = cases(&reversed).composed.into_iter().collect();
    case.at("reverse").expect_bytes(reversed.as_bytes(), found);
    Ok(())
}

/// In which order the reference walks a map.
fn map_order(case: &Place<'_>, found: &mut Vec<Mismatch>) -> Read<()> {
    let order = case.at("fold_order");
    let keys = order.list()?.iter().map(read).collect::<Read<Vec<Value>>>()?;
    let map: Map = keys.into_iter().map(|key| (key, Value::unit())).collect();
    if case.at("size").is_there() {
        case.at("size").expect(map.len(), found);
    }
    match walk_order(&map) {
        Some(walked) => {
            let walked: Vec<String> = walked.iter().map(|key| hex::encode(written(key))).collect();
            order.expect(walked, found);
        }
        None => found
            .push(Mismatch { found: "an order that is not known".to_owned(), ..order.wrong("this order") }),
    }
    Ok(())
}

/// A row of the table of instructions.
fn instruction(row: &Place<'_>, found: &mut Vec<Mismatch>) -> Read<()> {
    let place = row.at("opcode");
    let byte = u8::try_from(place.small()?).map_err(|_| place.wrong("a byte"))?;
    let opcode = Opcode::of(byte).ok_or_else(|| place.wrong("the byte of an instruction"))?;
    row.at("name").expect(opcode.name, found);
    let operands = row.at("operands");
    let letter = |operand: &Place<'_>| if operand.value() == "a" { 'a' } else { 'i' };
    let letters: String = operands.list()?.iter().map(letter).collect();
    if letters != opcode.operands {
        found.push(Mismatch { found: opcode.operands.to_owned(), expected: letters, ..operands.wrong("") });
    }
    row.at("gas_iris").expect(opcode.gas, found);
    row.at("ends_block").expect(opcode.ends_block, found);
    row.at("in_auth").expect(opcode.in_authentication, found);
    row.at("offchain").expect(opcode.off_chain, found);
    Ok(())
}
