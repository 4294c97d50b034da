//! The FATE virtual machine (`docs/protocol/contracts` §2).
//!
//! [`run`] runs one call of a contract over a [`Host`], which knows accounts, contracts and the chain. A [`Value`] is what
//! programs compute with, a [`Type`] what it is checked against, [`Code`] what they are made of; all three are read from
//! and written to bytes.
//!
//! Nothing here recurses on the native stack to a depth that a program decides, and nothing runs without gas: a call takes
//! bounded time and memory, whatever its code.

mod bls;
mod calls;
mod code;
mod encoding;
mod erlang;
mod fault;
mod gas;
mod host;
mod integer;
mod list;
mod machine;
mod map;
mod name;
mod op;
mod opcode;
mod order;
mod poseidon;
mod release;
mod remote;
mod rewrite;
mod run;
mod store;
mod trace;
mod trap;
mod types;
mod typing;
mod unfold;
mod unicode;
mod value;
#[cfg(feature = "world")]
pub mod world;

pub use code::{Code, Container, FunctionId, INIT, function_id};
pub use encoding::{Malformed, Unserializable};
pub use host::{
    Account, Answer, Authentication, CodeSource, Contract, Denied, Environment, Host, HostError, Name,
    NewContract, Oracle, OracleQuery, Pointee, Protocol, TransactionBody,
};
pub use integer::Integer;
pub use list::{List, ListIter};
pub use map::{Map, MapIter};
pub use opcode::Opcode;
pub use order::compare;
pub use run::{Call, Ended, Limits, LogEntry, Refusal, Returned, is_init, run};
pub use trace::{Cases, Layout, Performed, cases, print, walk_order, watched};
pub use types::{Type, TypeNode};
pub use typing::{Bindings, check};
pub use value::{Bits, Fields, Octets, StoreMap, Value, Variant};

/// What the store of a new contract holds before its state is made.
pub fn initial_store() -> Vec<(Vec<u8>, Vec<u8>)> {
    store::initial()
}
