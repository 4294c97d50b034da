//! Bad input: bytes that are nothing, programs that never end, values that nest without end.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::Value as Json;
use strait_encoding::{AccountId, Coins, ContractId};
use strait_fate::world::Stored;
use strait_fate::{
    Call, Code, CodeSource, Container, Contract, Environment, Limits, List, Map, Refusal, Returned, Type,
    Value, compare, run,
};
use support::world::{World, world_of};
use support::{bytes, files, number, read};

/// Deeper than any native stack would bear.
const DEEP: usize = 300_000;

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u128>().prop_map(Value::from),
        any::<bool>().prop_map(Value::Boolean),
        proptest::collection::vec(any::<u8>(), 0..100).prop_map(Value::string),
        proptest::collection::vec(any::<u8>(), 0..100).prop_map(Value::bytes),
        any::<[u8; 32]>().prop_map(|id| Value::Address(id.into())),
        any::<[u8; 32]>().prop_map(|id| Value::OracleQuery(id.into())),
        any::<i128>().prop_map(Value::bits),
    ];
    leaf.prop_recursive(6, 64, 20, |inner| {
        let many = || proptest::collection::vec(inner.clone(), 0..20);
        let key = prop_oneof![any::<i64>().prop_map(Value::from), ".{0,70}".prop_map(Value::string)];
        prop_oneof![
            many().prop_map(|items| Value::List(items.into_iter().collect())),
            many().prop_map(Value::tuple),
            proptest::collection::vec((key, inner.clone()), 0..20)
                .prop_map(|entries| Value::Map(entries.into_iter().collect())),
            (many(), 0usize..3).prop_map(|(fields, tag)| {
                let mut arities = vec![0; 3];
                arities[tag] = fields.len() as i16;
                Value::variant(arities, tag, fields)
            }),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(value in value()) {
        let bytes = value.encode().unwrap();
        let again = Value::decode(&bytes).unwrap();
        prop_assert!(compare(&value, &again).is_eq());
        prop_assert_eq!(again.encode().unwrap(), bytes);
    }

    #[test]
    fn the_order_is_total(a in value(), b in value(), c in value()) {
        prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
        if compare(&a, &b).is_le() && compare(&b, &c).is_le() {
            prop_assert!(compare(&a, &c).is_le());
        }
    }

    #[test]
    fn nothing_panics_on_bytes_that_are_nothing(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Value::decode(&bytes).map(|value| value.encode());
        let _ = Type::decode(&bytes).map(|of| of.encode());
        let _ = Code::decode(&bytes).map(|code| code.encode());
        let _ = Container::decode(&bytes).map(|container| container.encode());
    }
}

#[test]
fn values_nest_deeper_than_the_native_stack() {
    let nest = |wrap: fn(Value) -> Value| (0..DEEP).fold(Value::unit(), |value, _| wrap(value));
    let all: [fn(Value) -> Value; 4] = [
        |value| Value::tuple(vec![value]),
        |value| Value::List(List::EMPTY.prepend(value)),
        |value| Value::Map(Map::EMPTY.insert(Value::from(1), value)),
        Value::some,
    ];
    for wrap in all {
        let (one, other) = (nest(wrap), nest(wrap));
        let bytes = one.encode().unwrap();
        assert!(compare(&Value::decode(&bytes).unwrap(), &other).is_eq());
        let list = Type::decode(&[vec![0x27; DEEP], vec![0x07]].concat()).unwrap();
        assert!(strait_fate::check(&list, &one, true).is_none());
        drop((one, other));
    }
    let deep = nest(|value| Value::List(List::EMPTY.prepend(value)));
    let of = Type::decode(&[vec![0x27; DEEP], vec![0x37, 0x00]].concat()).unwrap();
    assert!(strait_fate::check(&of, &deep, true).is_some());
}

/// The environment and world of some vector, with a contract of this code in it.
fn world_with(code: &Arc<Code>, vm: u16) -> (World, ContractId) {
    let vector = read(&files("ops/ceres")[0]);
    let mut world = world_of(&vector);
    let id = ContractId([9; 32]);
    let container = Container {
        version: 3,
        source_hash: vec![0; 32],
        type_table: Vec::new(),
        byte_code: code.encode().unwrap(),
        compiler: b"8".to_vec(),
        payable: true,
    };
    let facts = Contract { owner: AccountId([1; 32]), vm, code: CodeSource::Own(container.encode()) };
    world.state.contracts.insert(id, Stored::new(facts));
    world.state.accounts.insert(
        AccountId(id.0),
        strait_fate::Account { balance: Coins(1000), nonce: strait_encoding::Nonce(0), payable: true },
    );
    (world, id)
}

fn call(
    code: &Arc<Code>,
    vm: u16,
    data: &[u8],
    gas: u64,
    limits: Limits,
) -> Result<strait_fate::Ended, Refusal> {
    let (mut world, contract) = world_with(code, vm);
    let call = Call {
        contract,
        code: Arc::clone(code),
        vm,
        caller: AccountId([2; 32]),
        call_data: data,
        gas,
        value: Coins(0),
        creates: false,
    };
    let environment: Environment = world.chain.environment.clone();
    let ended = run(&call, &environment, &mut world, limits);
    assert_eq!(world.open_marks(), 0);
    ended
}

/// The code of the functions `f`, each a list of instruction bytes without its head.
fn code(body: &[u8]) -> Arc<Code> {
    let mut functions = vec![0xfe];
    functions.extend(strait_fate::function_id("f"));
    functions.extend([0x00, 0x37, 0x00, 0xf7]);
    functions.extend(body);
    let mut bytes = rlp(&functions);
    bytes.extend(rlp(&[0x2f, 0x00]));
    bytes.extend(rlp(&[0x2f, 0x00]));
    Arc::new(Code::decode(&bytes).unwrap())
}

fn rlp(body: &[u8]) -> Vec<u8> {
    let list = strait_encoding::rlp::List::new().bytes(body).finish();
    let mut fields = strait_encoding::rlp::Fields::of_list(&list).unwrap();
    assert_eq!(fields.bytes().unwrap(), body);
    let (_, head) = list.split_at(list.len() - body.len() - head_size(body));
    head.to_vec()
}

fn head_size(body: &[u8]) -> usize {
    match body {
        [0..=0x7f] => 0,
        body if body.len() <= 55 => 1,
        body if body.len() <= 255 => 2,
        _ => 3,
    }
}

fn data() -> Vec<u8> {
    let name = Value::string(strait_fate::function_id("f"));
    Value::tuple(vec![name, Value::unit()]).encode().unwrap()
}

#[test]
fn endless_programs_end_with_their_gas() {
    // Jumps to itself; calls itself; calls itself as its last act.
    let name = [0x11u8, 0xfe, 0, 0, 0];
    let own = strait_fate::function_id("f");
    let call_own = |opcode: u8| [&[opcode, 0x03, 0x11][..], &own].concat();
    assert_eq!(name.len(), call_own(2).len() - 2);
    for body in [vec![0x06, 0x03, 0x00], call_own(0x02), call_own(0x04)] {
        let ended = call(&code(&body), 8, &data(), 1_000_000, Limits::default()).unwrap();
        assert_eq!(ended.returned, Returned::Error(b"Out of gas".to_vec()));
        assert_eq!(ended.gas_used, 1_000_000);
    }
}

#[test]
fn an_operator_can_stop_a_program_earlier() {
    let limits = Limits { steps: 1000, ..Limits::default() };
    let refused = call(&code(&[0x06, 0x03, 0x00]), 8, &data(), 1_000_000_000, limits);
    assert_eq!(refused, Err(Refusal::Limit("steps")));
}

#[test]
fn a_list_of_a_list_of_a_list_is_paid_for_and_taken_apart() {
    // var0 = [var0] for ever, from an empty list.
    let body = [
        &[0x38, 0x02, 0x00][..],               // NIL var0
        &[0x06, 0x03, 0x02],                   // JUMP 1
        &[0x38, 0x02, 0x02],                   // NIL var1
        &[0x34, 0b10_10_10, 0x00, 0x00, 0x02], // CONS var0 var0 var1
        &[0x06, 0x03, 0x02],                   // JUMP 1
    ]
    .concat();
    let ended = call(&code(&body), 8, &data(), 6_000_000, Limits::default()).unwrap();
    assert_eq!(ended.gas_used, 6_000_000);
}

#[test]
fn unknown_and_malformed_code_is_refused() {
    let function = |body: &[u8]| {
        let head = [&[0xfe, 1, 2, 3, 4, 0x00, 0x37, 0x00, 0x07][..], body].concat();
        [rlp(&head), rlp(&[0x2f, 0x00]), rlp(&[0x2f, 0x00])].concat()
    };
    assert!(Code::decode(&function(&[0x00])).is_ok());
    for body in [&[0xf9u8][..], &[0x0d], &[0x01], &[0x01, 0x03], &[0x01, 0xc3, 0x02], &[0xb7, 0x00]] {
        assert!(Code::decode(&function(body)).is_err(), "{body:02x?}");
    }
    assert!(Code::decode(&[]).is_err());
    assert!(Code::decode(&[rlp(&[0x00]), rlp(&[0x2f, 0x00]), rlp(&[0x2f, 0x00])].concat()).is_err());
}

/// A small generator of numbers, the same on every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }
}

/// Code of real contracts with bytes changed, called with real call data: nothing panics, no gas is lost or made.
#[test]
fn changed_code_never_panics_and_never_exceeds_its_gas() {
    let mut dice = Dice(0x5eed);
    let (mut decoded, mut ran) = (0, 0);
    for path in files("ops/ceres").into_iter().chain(files("scenarios/ceres")) {
        let vector = read(&path);
        let steps = vector["steps"].as_array().unwrap();
        let Some(source) = steps[0]["code"].as_str() else { continue };
        let container = Container::decode(&hex::decode(source).unwrap()).unwrap();
        let calls: Vec<&Json> = steps.iter().filter(|step| step["op"] == "call").collect();
        if calls.is_empty() {
            continue;
        }
        for _ in 0..12 {
            let mut changed = container.byte_code.clone();
            for _ in 0..=dice.roll(4) {
                let at = dice.roll(changed.len());
                changed[at] = dice.roll(256) as u8;
            }
            let Ok(code) = Code::decode(&changed) else { continue };
            decoded += 1;
            let code = Arc::new(code);
            let Ok(_) = code.encode() else { continue };
            let step = calls[dice.roll(calls.len())];
            let gas = (number(&step["gas"]) as u64).min(100_000);
            if let Ok(ended) =
                call(&code, [5, 7, 8][dice.roll(3)], &bytes(&step["calldata"]), gas, Limits::default())
            {
                assert!(ended.gas_used <= gas);
                ran += 1;
            }
        }
    }
    println!("{decoded} changed programs could be read, {ran} ran to an end");
    assert!(ran > 200);
}
