//! What the decoders and the FATE machine must hold for any input. `cargo fuzz` looks for inputs that break it; the corpus of
//! those that are worth keeping is replayed by `cargo test`.
//!
//! The rule is the same for each decoder: no panic, and what was read and is written again reads as the same. For the machine
//! see [`execute`].

mod world;

use std::sync::Arc;

use strait_channel::Message;
use strait_encoding::rlp::{Fields, Item, split};
use strait_encoding::{AccountId, Coins};
use strait_fate::{Call, Code, Container, Ended, Limits, Refusal, Returned, Type, Value, run};
use strait_ledger::{Account, ChannelObject, SignedTx, StateProof, Trees, Tx, Update};
use world::CALLED;

/// Feeds bytes to a decoder; panics if it breaks the rule.
pub type Target = fn(&[u8]);

/// The targets by their names, which are those of their corpus folders too.
pub const TARGETS: &[(&str, Target)] = &[
    ("rlp", rlp),
    ("objects", objects),
    ("message", message),
    ("frame", frame),
    ("query", query),
    ("bytecode", bytecode),
    ("execute", execute),
];

/// RLP items, to any depth that the bytes have.
pub fn rlp(bytes: &[u8]) {
    let mut lists = vec![bytes];
    while let Some(mut rest) = lists.pop() {
        while let Ok((item, behind)) = split(rest) {
            assert!(behind.len() < rest.len(), "an item takes at least a byte");
            if let Item::List(inner) = item {
                lists.push(inner);
            }
            rest = behind;
        }
    }
    if let Ok(mut fields) = Fields::of_list(bytes) {
        while !fields.is_empty() && fields.clone().uint128().is_ok() {
            let _ = fields.item();
        }
    }
}

/// Every kind of object that comes from outside.
pub fn objects(bytes: &[u8]) {
    fn again<T: PartialEq + std::fmt::Debug, E: std::fmt::Debug>(
        bytes: &[u8],
        decode: impl Fn(&[u8]) -> Result<T, E>,
        encode: impl Fn(&T) -> Vec<u8>,
    ) {
        if let Ok(object) = decode(bytes) {
            assert_eq!(decode(&encode(&object)).expect("what was written can be read"), object);
        }
    }
    again(bytes, SignedTx::decode, SignedTx::encode);
    again(bytes, Tx::decode, Tx::encode);
    again(bytes, Update::decode, Update::encode);
    again(bytes, Account::decode, Account::encode);
    again(bytes, ChannelObject::decode, ChannelObject::encode);
    again(bytes, Trees::decode, Trees::encode);
    again(bytes, StateProof::decode, StateProof::encode);
}

/// A peer message: reading it back gives the very bytes, but for the short `channel_accept` of old nodes.
pub fn message(bytes: &[u8]) {
    let Ok(message) = Message::decode(bytes) else { return };
    if let Ok(written) = message.encode() {
        assert_eq!(Message::decode(&written).as_ref(), Ok(&message));
        assert!(written == bytes || matches!(message, Message::ChannelAccept { .. }));
    }
}

/// A text frame of a client.
pub fn frame(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = strait_api::frames::parse(text);
    }
}

/// The query string of a client's socket.
pub fn query(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = strait_api::query::parse(text);
    }
}

/// Code of contracts, in its container or bare, with the values and types in it: what was written once reads as the same, and is
/// written the same again.
pub fn bytecode(bytes: &[u8]) {
    if let Ok(container) = Container::decode(bytes) {
        // Layout 3 is written, whatever was read.
        let again = Container { version: 3, ..container.clone() };
        assert_eq!(Container::decode(&container.encode()), Ok(again));
        for vm in [5, 7, 8] {
            let _ = container.stored(vm);
        }
        code(&container.byte_code);
    }
    code(bytes);
    if let Ok(written) = Value::decode(bytes).map(|value| value.encode().expect("what was read has bytes")) {
        let again = Value::decode(&written).expect("what was written can be read");
        assert_eq!(again.encode().as_ref(), Ok(&written));
    }
    if let Some(written) = Type::decode(bytes).ok().and_then(|read| read.encode()) {
        assert_eq!(Type::decode(&written).map(|again| again.encode()), Ok(Some(written)));
    }
}

fn code(bytes: &[u8]) {
    let Ok(code) = Code::decode(bytes) else { return };
    let names = code.signatures().filter(|(id, ..)| code.name_of(*id).is_some()).count();
    let Ok(written) = code.encode() else { return };
    let again = Code::decode(&written).expect("what was written can be read");
    assert_eq!(again.encode().as_ref(), Ok(&written));
    assert_eq!(again.signatures().count(), code.signatures().count());
    assert_eq!(again.signatures().filter(|(id, ..)| again.name_of(*id).is_some()).count(), names);
}

/// The most gas that an input can ask for.
const MAX_GAS: u64 = 200_000;
/// What the operator of the fuzzed machine allows: some milliseconds.
const LIMITS: Limits = Limits { steps: 1 << 16, work: 1 << 23 };
/// How many bytes a call may leave behind for each unit of gas, and for each byte of its input.
const BYTES_PER_GAS: usize = 64;

/// Any functions, called with any data over a small world: no panic, never more gas than there is, every mark of the host given
/// back, no coin made or lost, and nothing changed where the call failed. What it leaves behind is bounded by its gas.
///
/// The input is: the machine's version and the circumstances in a byte, the gas in three, the amount in one, the length of the
/// call data in two, the call data, and the functions of the code without the frame around them.
pub fn execute(bytes: &[u8]) {
    let Some((head, rest)) = bytes.split_at_checked(7) else { return };
    let &[circumstances, g0, g1, g2, amount, l0, l1] = head else { return };
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    let Some((call_data, functions)) = rest.split_at_checked(length) else { return };
    let Some(code) = world::code_of(functions) else { return };
    let gas = u64::from(u32::from_be_bytes([0, g0, g1, g2])).min(MAX_GAS);
    let vm = world::vm_of(circumstances);
    let before = world::world_of(&code, vm);
    let mut world = before.clone();
    let call = Call {
        contract: CALLED,
        code: Arc::new(code),
        vm,
        caller: AccountId([2; 32]),
        call_data,
        gas,
        value: Coins(u128::from(amount)),
        creates: circumstances & 0x40 != 0,
    };
    let ended = run(&call, &world::environment_of(circumstances), &mut world, LIMITS);
    assert_eq!(world.open_marks(), 0, "every mark is given back");
    assert_eq!(world::coins_in(&world.state), world::coins_in(&before.state), "no coin is made or lost");
    match &ended {
        Ok(Ended { returned: Returned::Value(value), gas_used, .. }) => {
            assert!(*gas_used <= gas, "{gas_used} of {gas} gas");
            let left = value.len() + world::size_of(&world.state);
            let bound =
                world::size_of(&before.state) + bytes.len() * BYTES_PER_GAS + gas as usize * BYTES_PER_GAS;
            assert!(left <= bound, "{left} bytes for {gas} gas");
        }
        Ok(Ended { gas_used, log, .. }) => {
            assert!(*gas_used <= gas, "{gas_used} of {gas} gas");
            assert!(log.is_empty() && world.state == before.state, "a failed call changes nothing");
        }
        Err(Refusal::Host(error)) => panic!("the world answers everything: {error}"),
        Err(Refusal::Crash(_) | Refusal::Limit(_)) => {
            assert!(world.state == before.state, "a call without a result changes nothing");
        }
    }
}
