//! The units of the reference: values, types, order, checks (`tests/vectors/README.md`).

#![allow(clippy::unwrap_used)]

use std::cmp::Ordering;
use std::fs;
use std::path::Path;

use serde_json::Value as Json;
use strait_fate::{Opcode, Type, Value, check, compare};

fn unit(name: &str) -> Json {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/units").join(name);
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn bytes(json: &Json) -> Vec<u8> {
    hex::decode(json.as_str().unwrap()).unwrap()
}

fn cases<'a>(unit: &'a Json, field: &str) -> &'a Vec<Json> {
    let cases = unit[field].as_array().unwrap();
    assert!(!cases.is_empty());
    println!("{field}: {} cases", cases.len());
    cases
}

#[test]
fn the_decoder_takes_and_refuses_what_the_reference_does() {
    let unit = unit("decode.json");
    for case in cases(&unit, "cases") {
        let input = bytes(&case["bytes"]);
        let read = Value::decode(&input);
        assert_eq!(read.is_ok(), case["ok"].as_bool().unwrap(), "{case}");
        if let Ok(value) = read {
            let again = value.encode().unwrap();
            assert_eq!(hex::encode(again), case["re"].as_str().unwrap(), "{case}");
        }
    }
}

#[test]
fn values_are_written_as_the_reference_writes_them() {
    let unit = unit("values.json");
    for case in cases(&unit, "values") {
        let input = bytes(&case["fate"]);
        assert_eq!(Value::decode(&input).unwrap().encode().unwrap(), input, "{case}");
    }
}

#[test]
fn values_are_ordered_as_the_reference_orders_them() {
    let unit = unit("order.json");
    for case in cases(&unit, "pairs") {
        let (a, b) = (Value::decode(&bytes(&case["a"])).unwrap(), Value::decode(&bytes(&case["b"])).unwrap());
        let order = compare(&a, &b);
        assert_eq!(order == Ordering::Less, case["lt"].as_bool().unwrap(), "{case}");
        assert_eq!(order == Ordering::Greater, case["gt"].as_bool().unwrap(), "{case}");
        assert_eq!(order == Ordering::Equal, case["erl_eq"].as_bool().unwrap(), "{case}");
    }
}

#[test]
fn types_are_read_and_written() {
    let unit = unit("types.json");
    for case in cases(&unit, "types") {
        let input = bytes(&case["bytes"]);
        assert_eq!(Type::decode(&input).unwrap().encode().unwrap(), input, "{case}");
    }
}

#[test]
fn values_match_types_as_the_reference_says() {
    let unit = unit("type_check.json");
    for case in cases(&unit, "checks") {
        let declared = Type::decode(&bytes(&case["type"])).unwrap();
        let value = Value::decode(&bytes(&case["value"])).unwrap();
        for (vm, any_bytes) in [("vm5", false), ("vm8", true)] {
            assert_eq!(
                check(&declared, &value, any_bytes).is_some(),
                case[vm].as_bool().unwrap(),
                "{vm} {case}"
            );
        }
    }
}

#[test]
fn the_table_of_instructions_is_the_references() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/opcodes.json");
    let table: Json = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let table = table.as_array().unwrap();
    assert_eq!(table.len(), Opcode::all().len());
    for row in table {
        let opcode = Opcode::of(u8::try_from(row["opcode"].as_u64().unwrap()).unwrap()).unwrap();
        assert_eq!(opcode.name, row["name"].as_str().unwrap());
        let operands = row["operands"].as_array().unwrap().iter();
        let letters: String =
            operands.map(|operand| if operand.as_str() == Some("a") { 'a' } else { 'i' }).collect();
        assert_eq!(opcode.operands, letters, "{row}");
        assert_eq!(u64::from(opcode.gas), row["gas_iris"].as_u64().unwrap(), "{row}");
        assert_eq!(opcode.ends_block, row["ends_block"].as_bool().unwrap(), "{row}");
        assert_eq!(opcode.in_authentication, row["in_auth"].as_bool().unwrap(), "{row}");
        assert_eq!(opcode.off_chain, row["offchain"].as_bool().unwrap(), "{row}");
    }
}
