//! FATE code put together by hand (`docs/protocol/contracts` §2.2), for authentication.

use strait_encoding::AccountId;
use strait_encoding::rlp::List;
use strait_ledger::{ABI_FATE, ContractBytes, CtVersion, FunctionHash, GaAttachTx};

const INIT: [u8; 4] = [0x44, 0xd6, 0x44, 0x1f];
const INTEGER: u8 = 0x07;
const BOOLEAN: u8 = 0x17;
const ANY: u8 = 0xf7;
/// `RETURNR ()`
const RETURN_UNIT: [u8; 3] = [0x01, 0x03, 0x3f];
/// An empty map.
const NOTHING: [u8; 2] = [0x2f, 0x00];

/// A function that authenticates with these arguments.
pub struct Auth {
    pub id: [u8; 4],
    pub arguments: Vec<u8>,
    pub returns: u8,
    pub instructions: Vec<u8>,
}

/// Says yes to two numbers.
pub fn agreeable(id: [u8; 4]) -> Auth {
    // RETURNR true
    Auth { id, arguments: vec![INTEGER, INTEGER], returns: BOOLEAN, instructions: vec![0x01, 0x03, 0xff] }
}

/// Says yes to the number in the store, and counts it up.
pub fn counting(id: [u8; 4]) -> Auth {
    // EQ a arg0 store1; INC store1; RETURN
    let instructions = vec![0x20, 0x24, 0x00, 0x82, 0x11, 0x02, 0x82, 0x00];
    Auth { id, arguments: vec![INTEGER], returns: BOOLEAN, instructions }
}

/// Says yes to the hash of the transaction, as an option.
pub fn hash_checking(id: [u8; 4]) -> Auth {
    // AUTH_TX_HASH a; EQ a arg0 a; RETURN
    let instructions = vec![0x77, 0x00, 0x20, 0x04, 0x00, 0x00];
    Auth { id, arguments: vec![ANY], returns: BOOLEAN, instructions }
}

/// Gives what an account owns.
pub fn balance_of(id: [u8; 4]) -> Auth {
    // BALANCE_OTHER a arg0; RETURN
    let instructions = vec![0x73, 0x04, 0x00, 0x00];
    Auth { id, arguments: vec![ANY], returns: INTEGER, instructions }
}

/// The call that makes the first state of a [`container`].
pub fn init() -> ContractBytes {
    call(INIT, &[])
}

/// An account as an argument.
pub fn address(account: AccountId) -> Vec<u8> {
    // An object of kind 0, and its bytes.
    [&[0x9f, 0x00, 0xa0][..], &account.0].concat()
}

/// A container with this function, and an `init` that puts 1 into the store.
pub fn container(auth: &Auth) -> Vec<u8> {
    // STORE store1 1
    let store_one = [0x1a, 0x0e, 0x82, 0x02];
    let init = function(INIT, &[], &[0x37, 0x00], &[&store_one[..], &RETURN_UNIT].concat());
    let auth = function(auth.id, &auth.arguments, &[auth.returns], &auth.instructions);
    let code = [string(&[init, auth].concat()), string(&NOTHING), string(&NOTHING)].concat();
    let container = List::object(70, 3).bytes(&[0; 32]).list(List::new()).bytes(&code);
    container.bytes(b"by hand").bool(false).finish()
}

/// The call of a function with arguments that are bytes of values already.
pub fn call(id: [u8; 4], arguments: &[&[u8]]) -> ContractBytes {
    let tuple = |count: usize| if count == 0 { 0x3f } else { u8::try_from(count << 4).unwrap() | 0x0b };
    let head = [&[tuple(2), 0x11][..], &id, &[tuple(arguments.len())]].concat();
    ContractBytes([head, arguments.concat()].concat())
}

/// `Some` of 32 bytes.
pub fn some_hash(hash: &[u8; 32]) -> Vec<u8> {
    // A variant of no and one field, the second of them; 32 bytes as a string of 32 in an object.
    let head = [0xaf, 0x82, 0x00, 0x01, 0x01, 0x1b, 0x9f, 0x01, 0x81];
    [&head[..], hash].concat()
}

/// `attach` with this function instead.
pub fn attaching(attach: GaAttachTx, auth: &Auth) -> GaAttachTx {
    let mut hash = [0; 32];
    hash[..4].copy_from_slice(&auth.id);
    GaAttachTx {
        code: ContractBytes(container(auth)),
        auth_fun: FunctionHash(hash),
        ct_version: CtVersion { vm: 8, abi: ABI_FATE },
        call_data: init(),
        gas: 50_000,
        ..attach
    }
}

fn function(id: [u8; 4], arguments: &[u8], returns: &[u8], instructions: &[u8]) -> Vec<u8> {
    let count = match arguments {
        [ANY] => 1,
        many => u8::try_from(many.len()).unwrap(),
    };
    [&[0xfe][..], &id, &[0x00, 0x37, count], arguments, returns, instructions].concat()
}

fn string(bytes: &[u8]) -> Vec<u8> {
    let size = u8::try_from(bytes.len()).unwrap();
    match size {
        0..56 => [&[0x80 + size], bytes].concat(),
        _ => [&[0xb8, size], bytes].concat(),
    }
}
