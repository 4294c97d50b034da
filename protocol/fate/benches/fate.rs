//! How fast programs run: a counted loop, and one program per family of instructions.
//!
//! The elements of a benchmark are instructions.

#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use strait_encoding::{AccountId, Coins, ContractId, Height, NetworkId, Nonce};
use strait_fate::{
    Account, Answer, Call, Code, CodeSource, Container, Contract, Denied, Environment, Host, Limits, Name,
    NewContract, Opcode, Oracle, OracleQuery, Protocol, Returned, Type, TypeNode, Value, function_id,
    initial_store, run,
};

/// The contract that others call.
const OTHER: ContractId = ContractId([3; 32]);

/// A world of the contract that runs and of [`OTHER`], which has the function `g` alone. Only the one that runs keeps anything.
struct World {
    store: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl World {
    fn new() -> Self {
        Self { store: initial_store().into_iter().collect() }
    }
}

impl Host for World {
    fn mark(&mut self) {}

    fn keep(&mut self) {}

    fn undo(&mut self) {}

    fn account(&self, _: AccountId) -> Answer<Option<Account>> {
        Ok(Some(Account { balance: Coins(1), nonce: Nonce(0), payable: true }))
    }

    fn chain_account(&self, _: AccountId) -> Answer<Option<Account>> {
        Ok(None)
    }

    fn transfer(&mut self, _: AccountId, _: AccountId, _: Coins, _: bool) -> Answer<Result<(), Denied>> {
        Ok(Ok(()))
    }

    fn next_nonce(&mut self, _: AccountId) -> Answer<Option<Nonce>> {
        Ok(None)
    }

    fn contract(&self, id: ContractId) -> Answer<Option<Contract>> {
        let container = || Container {
            version: 3,
            source_hash: vec![0; 32],
            type_table: Vec::new(),
            byte_code: byte_code(&[function_g()]),
            compiler: Vec::new(),
            payable: false,
        };
        let other =
            || Contract { owner: AccountId::ZERO, vm: 8, code: CodeSource::Own(container().encode()) };
        Ok((id == OTHER).then(other))
    }

    fn create_contract(&mut self, _: &NewContract<'_>) -> Answer<()> {
        Ok(())
    }

    fn remove_contract(&mut self, _: ContractId) -> Answer<()> {
        Ok(())
    }

    fn store_value(&self, _: ContractId, key: &[u8]) -> Answer<Option<Vec<u8>>> {
        Ok(self.store.get(key).cloned())
    }

    fn store_entries(&self, _: ContractId, prefix: &[u8]) -> Answer<Vec<(Vec<u8>, Vec<u8>)>> {
        let entries = self.store.range(prefix.to_vec()..).take_while(|(key, _)| key.starts_with(prefix));
        let longer = entries.filter(|(key, _)| key.len() > prefix.len());
        Ok(longer.map(|(key, value)| (key[prefix.len()..].to_vec(), value.clone())).collect())
    }

    fn write_store(&mut self, _: ContractId, changes: &[(Vec<u8>, Option<Vec<u8>>)]) -> Answer<()> {
        for (key, value) in changes {
            match value {
                Some(value) => self.store.insert(key.clone(), value.clone()),
                None => self.store.remove(key),
            };
        }
        Ok(())
    }

    fn is_chain_contract(&self, _: ContractId) -> Answer<bool> {
        Ok(false)
    }

    fn oracle(&self, _: [u8; 32]) -> Answer<Option<Oracle>> {
        Ok(None)
    }

    fn oracle_query(&self, _: [u8; 32], _: &[u8]) -> Answer<Option<OracleQuery>> {
        Ok(None)
    }

    fn name(&self, _: [u8; 32]) -> Answer<Option<Name>> {
        Ok(None)
    }

    fn key_block_hash(&self, _: Height) -> Answer<[u8; 32]> {
        Ok([0; 32])
    }
}

fn environment() -> Environment {
    Environment {
        protocol: Protocol::Ceres,
        height: Height(1000),
        time: 1,
        beneficiary: AccountId::ZERO,
        difficulty: 1,
        key_block: [0; 32],
        network: NetworkId("ae_bench".to_owned()),
        origin: AccountId::ZERO,
        gas_price: Coins(1),
        fee: Coins(0),
        on_chain: false,
        authentication: None,
    }
}

/// An operand in assembly.
#[derive(Clone)]
enum Place {
    Stack,
    Argument(i8),
    Variable(i8),
    Literal(Value),
}

use Place::{Argument, Literal, Stack, Variable};

fn number(number: i64) -> Place {
    Literal(Value::from(number))
}

fn instruction(name: &str, places: &[Place]) -> Vec<u8> {
    let opcode = Opcode::all().iter().find(|opcode| opcode.name == name).unwrap();
    assert_eq!(opcode.operands.len(), places.len(), "{name}");
    let mode = |place: &Place| match place {
        Stack => 0u16,
        Argument(_) => 1,
        Variable(_) => 2,
        Literal(_) => 3,
    };
    let modes = places.iter().rev().fold(0u16, |modes, place| modes << 2 | mode(place));
    let mut bytes = vec![opcode.code];
    match places.len() {
        0 => {}
        1..=4 => bytes.push(modes as u8),
        _ => bytes.extend(modes.to_be_bytes()),
    }
    for place in places {
        match place {
            Stack => {}
            Argument(index) | Variable(index) => {
                bytes.extend(Value::from(i64::from(*index)).encode().unwrap())
            }
            Literal(value) => bytes.extend(value.encode().unwrap()),
        }
    }
    bytes
}

fn rlp(body: &[u8]) -> Vec<u8> {
    let size = body.len().to_be_bytes();
    let zeros = size.iter().take_while(|byte| **byte == 0).count();
    let mut bytes = vec![0xb7 + (8 - zeros) as u8];
    bytes.extend(&size[zeros..]);
    if body.len() <= 55 {
        bytes = vec![0x80 + body.len() as u8];
    }
    bytes.extend_from_slice(body);
    bytes
}

/// A function of these types and instructions.
fn function(name: &str, types: &[u8], body: &[Vec<u8>]) -> Vec<u8> {
    [&[0xfe][..], &function_id(name), &[0x00], types, &body.concat()].concat()
}

/// `g` gives back the integer that it is called with.
fn function_g() -> Vec<u8> {
    function("g", &[0x37, 0x01, 0x07, 0x07], &[instruction("RETURNR", &[Argument(0)])])
}

fn byte_code(functions: &[Vec<u8>]) -> Vec<u8> {
    [rlp(&functions.concat()), rlp(&[0x2f, 0x00]), rlp(&[0x2f, 0x00])].concat()
}

/// A function `f` without arguments, of these instructions, and [`function_g`].
fn code(body: &[Vec<u8>]) -> Arc<Code> {
    let f = function("f", &[0x37, 0x00, 0xf7], body);
    Arc::new(Code::decode(&byte_code(&[f, function_g()])).unwrap())
}

fn perform(code: &Arc<Code>, world: &mut World) -> u64 {
    let name = Value::string(function_id("f"));
    let data = Value::tuple(vec![name, Value::unit()]).encode().unwrap();
    let call = Call {
        contract: ContractId([1; 32]),
        code: Arc::clone(code),
        vm: 8,
        caller: AccountId([2; 32]),
        call_data: &data,
        gas: u64::MAX / 4,
        value: Coins(0),
        creates: false,
    };
    let ended = run(&call, &environment(), world, Limits { steps: u64::MAX, work: u64::MAX }).unwrap();
    assert!(matches!(ended.returned, Returned::Value(_)), "{:?}", ended.returned);
    ended.gas_used
}

/// How often a loop goes round.
const ROUNDS: i64 = 10_000;
/// How often a family's instructions stand in the loop.
const COPIES: usize = 20;

/// A loop of so many rounds around `body`, `prepare` before it. A round has three instructions more than the body.
fn counted(rounds: i64, prepare: &[Vec<u8>], body: &[Vec<u8>]) -> Arc<Code> {
    let mut all = prepare.to_vec();
    all.push(instruction("STORE", &[Variable(0), number(rounds)]));
    all.push(instruction("JUMP", &[number(1)]));
    all.extend_from_slice(body);
    all.push(instruction("DEC", &[Variable(0)]));
    all.push(instruction("GT", &[Stack, Variable(0), number(0)]));
    all.push(instruction("JUMPIF", &[Stack, number(1)]));
    all.push(instruction("RETURNR", &[Variable(0)]));
    code(&all)
}

fn family(criterion: &mut Criterion, name: &str, prepare: &[Vec<u8>], body: &[Vec<u8>]) {
    family_in(criterion, name, ROUNDS, prepare, (body, 0));
}

/// As [`family`], with so many rounds, of a body that has so many instructions performed elsewhere.
fn family_in(
    criterion: &mut Criterion,
    name: &str,
    rounds: i64,
    prepare: &[Vec<u8>],
    (body, elsewhere): (&[Vec<u8>], usize),
) {
    let performed = COPIES * (body.len() + elsewhere) + 3;
    let body: Vec<Vec<u8>> = std::iter::repeat_n(body, COPIES).flatten().cloned().collect();
    measured(criterion, name, &counted(rounds, prepare, &body), rounds as u64 * performed as u64);
}

fn measured(criterion: &mut Criterion, name: &str, code: &Arc<Code>, instructions: u64) {
    let mut group = criterion.benchmark_group("family");
    group.throughput(Throughput::Elements(instructions));
    group.sample_size(10);
    group.bench_function(name, |bencher| bencher.iter(|| black_box(perform(code, &mut World::new()))));
    group.finish();
}

/// The loop that a compiler makes of counting, and the same without a comparison in every round.
fn loops(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("loop");
    let code = counted(ROUNDS, &[], &[]);
    group.throughput(Throughput::Elements(ROUNDS as u64 * 3));
    group.bench_function("counted", |bencher| bencher.iter(|| black_box(perform(&code, &mut World::new()))));
    let add = instruction("ADD", &[Variable(1), Variable(1), number(1)]);
    let body: Vec<Vec<u8>> = std::iter::repeat_n(add, COPIES).collect();
    let code = counted(ROUNDS, &[instruction("STORE", &[Variable(1), number(0)])], &body);
    group.throughput(Throughput::Elements(ROUNDS as u64 * (COPIES as u64 + 3)));
    group
        .bench_function("additions", |bencher| bencher.iter(|| black_box(perform(&code, &mut World::new()))));
    group.finish();
}

/// An instruction whose result goes to the first variable, with the second as its first operand.
fn on_second(name: &str, more: &[Place]) -> Vec<u8> {
    instruction(name, &[&[Variable(1), Variable(2)], more].concat())
}

fn second(value: Value) -> Vec<Vec<u8>> {
    vec![instruction("STORE", &[Variable(2), Literal(value)])]
}

fn numbers(criterion: &mut Criterion) {
    let pop = || instruction("POP", &[Variable(1)]);
    let stack = [instruction("PUSH", &[number(1)]), instruction("DUPA", &[]), pop(), pop()];
    family(criterion, "stack", &[], &stack);
    let division = [on_second("MUL", &[number(3)]), on_second("DIV", &[number(3)])];
    family(criterion, "integer", &second(Value::from(7)), &division);
    let large = second(Value::from(1u128 << 100));
    family(criterion, "large integer", &large, &[on_second("MUL", &[Variable(2)])]);
    family(criterion, "comparison", &second(Value::from(7)), &[on_second("LT", &[number(3)])]);
    family(criterion, "boolean", &second(Value::Boolean(true)), &[on_second("AND", &[Variable(2)])]);
    family(criterion, "bits", &second(Value::bits(5)), &[on_second("BITS_SET", &[number(9)])]);
}

fn structures(criterion: &mut Criterion) {
    let pair = second(Value::tuple(vec![Value::from(1), Value::from(2)]));
    let element = instruction("ELEMENT", &[Variable(1), number(1), Variable(2)]);
    family(criterion, "tuple", &pair, &[element]);
    let list = second(Value::List((0..10).map(Value::from).collect()));
    let cons = instruction("CONS", &[Variable(1), number(1), Variable(2)]);
    family(criterion, "list", &list, &[cons, on_second("HD", &[])]);
    let option = second(Value::some(Value::from(1)));
    family(criterion, "variant", &option, &[on_second("VARIANT_ELEMENT", &[number(0)])]);
    let map = Value::Map((0..100).map(|index| (Value::from(index), Value::from(index))).collect());
    let update = on_second("MAP_UPDATE", &[number(50), number(1)]);
    family(criterion, "map", &second(map), &[on_second("MAP_LOOKUP", &[number(50)]), update]);
    let text = second(Value::string("channels"));
    family(criterion, "string", &text, &[on_second("STR_JOIN", &[Variable(2)])]);
    let bytes = second(Value::bytes([7; 32]));
    family(criterion, "bytes", &bytes, &[on_second("BYTES_CONCAT", &[Variable(2)])]);
}

fn surroundings(criterion: &mut Criterion) {
    let of_chain = ["CALLER", "GENERATION"].map(|name| instruction(name, &[Variable(1)]));
    family(criterion, "environment", &[], &of_chain);
    family(criterion, "hash", &second(Value::bytes([7; 32])), &[on_second("SHA256", &[])]);
    let register = [instruction("STORE", &[Variable(-1), number(1)])];
    family(criterion, "register", &register, &[instruction("INC", &[Variable(-1)])]);
}

/// Calls of `g`, here and of another contract; and events. An event stays in memory until the call ends.
fn calls(criterion: &mut Criterion) {
    let (push, pop) = (instruction("PUSH", &[number(1)]), instruction("POP", &[Variable(1)]));
    let name = Literal(Value::string(function_id("g")));
    let here = [push.clone(), instruction("CALL", std::slice::from_ref(&name)), pop.clone()];
    family_in(criterion, "call", ROUNDS, &[], (&here, 1));
    let integer = Type::of(TypeNode::Integer);
    let arguments = Literal(Value::Type(Type::tuple(std::slice::from_ref(&integer))));
    let other = Literal(Value::Contract(OTHER.0.into()));
    let remote = instruction("CALL_R", &[other, name, arguments, Literal(Value::Type(integer)), number(0)]);
    family_in(criterion, "remote call", 100, &[], (&[push, remote, pop], 1));
    let payload = Literal(Value::string("an event"));
    family_in(criterion, "event", 100, &[], (&[instruction("LOG2", &[payload, number(1), number(2)])], 0));
}

/// The arguments of the first call in a vector file of an instruction (`tests/vectors/README.md`).
fn arguments(file: &str) -> Vec<Value> {
    let file: serde_json::Value = serde_json::from_str(file).unwrap();
    let data = hex::decode(file["steps"][1]["calldata"].as_str().unwrap()).unwrap();
    let Ok(Value::Tuple(call)) = Value::decode(&data) else { panic!("{data:?}") };
    let Value::Tuple(arguments) = &call[1] else { panic!("{data:?}") };
    arguments.to_vec()
}

/// An instruction whose result goes to the first variable, with these operands in the others; no loop around it.
fn on_values(criterion: &mut Criterion, name: &str, operands: &[Value]) {
    let places = (2..).map(Variable).take(operands.len());
    let stores = places.clone().zip(operands);
    let mut all: Vec<_> =
        stores.map(|(place, value)| instruction("STORE", &[place, Literal(value.clone())])).collect();
    let places: Vec<_> = std::iter::once(Variable(1)).chain(places).collect();
    all.extend(std::iter::repeat_n(instruction(name, &places), COPIES));
    all.push(instruction("RETURNR", &[Variable(1)]));
    measured(criterion, name, &code(&all), COPIES as u64);
}

/// Signatures, points of curves, and the hash that proofs use.
fn cryptography(criterion: &mut Criterion) {
    for (name, vectors) in [
        ("VERIFY_SIG", include_str!("../tests/vectors/ops/ceres/74_VERIFY_SIG.json")),
        ("ECVERIFY_SECP256K1", include_str!("../tests/vectors/ops/ceres/7e_ECVERIFY_SECP256K1.json")),
        ("ECRECOVER_SECP256K1", include_str!("../tests/vectors/ops/ceres/7f_ECRECOVER_SECP256K1.json")),
    ] {
        on_values(criterion, name, &arguments(vectors));
    }
    let points = arguments(include_str!("../tests/vectors/ops/ceres/92_BLS12_381_PAIRING.json"));
    let [first, second] = &points[..] else { panic!("{points:?}") };
    let number = Value::bytes([7; 32]);
    on_values(criterion, "BLS12_381_G1_ADD", &[first.clone(), first.clone()]);
    on_values(criterion, "BLS12_381_G1_MUL", &[number.clone(), first.clone()]);
    on_values(criterion, "BLS12_381_G2_MUL", &[number, second.clone()]);
    on_values(criterion, "BLS12_381_PAIRING", &[first.clone(), second.clone()]);
    on_values(criterion, "POSEIDON", &[Value::from(1), Value::from(2)]);
}

/// One entry of a map in the store is changed, whatever its size.
fn stores(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("store");
    for entries in [10i64, 10_000] {
        let map = Value::Map((0..entries).map(|index| (Value::from(index), Value::bytes([1; 32]))).collect());
        let mut world = World::new();
        let fill =
            [instruction("STORE", &[Variable(-1), Literal(map)]), instruction("RETURNR", &[number(0)])];
        perform(&code(&fill), &mut world);
        let update = [
            instruction(
                "MAP_UPDATE",
                &[Variable(-1), Variable(-1), number(5), Literal(Value::bytes([2; 32]))],
            ),
            instruction("RETURNR", &[number(0)]),
        ];
        let code = code(&update);
        group.bench_function(format!("one of {entries} entries"), |bencher| {
            bencher.iter(|| black_box(perform(&code, &mut world)));
        });
    }
    group.finish();
}

criterion_group!(benches, loops, numbers, structures, surroundings, calls, cryptography, stores);
criterion_main!(benches);
