//! Running a call.

use std::collections::BTreeMap;
use std::sync::Arc;

use strait_encoding::{AccountId, Coins, ContractId};
use thiserror::Error;

use crate::calls::Calls;
use crate::code::Code;
use crate::host::{Environment, Host, HostError};
use crate::machine::{Machine, Memory, Outcome};
use crate::store::{Stores, finish};
use crate::trap::{Cause, Trap};
use crate::value::Value;
use crate::{gas, remote, trace};

/// A call of a contract from outside.
#[derive(Clone)]
pub struct Call<'a> {
    /// The contract; the host knows it.
    pub contract: ContractId,
    /// Its code. While the state is made, that is the code with the function that makes it.
    pub code: Arc<Code>,
    /// The machine version on which the contract runs: 5, 7 or 8.
    pub vm: u16,
    /// Who calls.
    pub caller: AccountId,
    /// Which function, with which arguments: the bytes of a value.
    pub call_data: &'a [u8],
    /// The gas there is.
    pub gas: u64,
    /// The amount that came with the call; it has been moved already.
    pub value: Coins,
    /// Is it the call that makes the state of a new contract?
    pub creates: bool,
}

/// What an operator lets one call use beyond what its gas allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many instructions it may perform.
    pub steps: u64,
    /// How much work it may cause that gas does not know of: bytes copied, limbs multiplied. A unit takes about a
    /// nanosecond.
    pub work: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { steps: 1 << 30, work: 1 << 32 }
    }
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// What it returned.
    pub returned: Returned,
    /// The gas it used.
    pub gas_used: u64,
    /// The events it emitted, the newest first; none if it failed.
    pub log: Vec<LogEntry>,
}

/// What a call returned. Unless it is [`Returned::Value`] the host's state is what it was before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Returned {
    /// The bytes of the value.
    Value(Vec<u8>),
    /// The bytes of the string with which the program took everything back.
    Revert(Vec<u8>),
    /// The text of an error.
    Error(Vec<u8>),
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// The contract that emitted it.
    pub contract: ContractId,
    /// Up to four words to look for it.
    pub topics: Vec<[u8; 32]>,
    /// What it says.
    pub payload: Vec<u8>,
}

/// Why a call has no result. The host's state is what it was before.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The reference's engine breaks down here, so that whoever asked for the call gets nothing. The program's fault,
    /// or its caller's.
    #[error("the program does what the machine cannot: {0}")]
    Crash(&'static str),
    /// The operator does not allow so much.
    #[error("the call needs more {0} than the operator allows")]
    Limit(&'static str),
    /// The host could not answer.
    #[error(transparent)]
    Host(#[from] HostError),
}

/// Runs a call to its end (`docs/protocol/contracts` §2).
///
/// # Errors
/// There is no result; see [`Refusal`].
pub fn run(
    call: &Call<'_>,
    environment: &Environment,
    host: &mut dyn Host,
    limits: Limits,
) -> Result<Ended, Refusal> {
    let Some((function, arguments)) = read_call_data(call.call_data) else {
        let returned = Returned::Error(b"bad_call_data".to_vec());
        return Ok(Ended { returned, gas_used: call.gas, log: Vec::new() });
    };
    host.mark();
    let mut machine = Machine {
        host,
        environment,
        limits,
        gas: call.gas,
        cells: 0,
        stack: Vec::new(),
        memory: Memory::default(),
        function: remote::no_function(),
        block: 0,
        code: Arc::clone(&call.code),
        contract: call.contract,
        caller: call.caller,
        value: call.value.0,
        vm: call.vm,
        calls: Calls::default(),
        seen: Vec::new(),
        codes: BTreeMap::from([(call.contract, (Arc::clone(&call.code), call.vm))]),
        stores: Stores::default(),
        log: Vec::new(),
        watched: trace::is_watched(),
    };
    let result = begin_and_run(&mut machine, call, function, arguments);
    let ended = match result {
        Ok(result) => {
            machine.host.keep();
            let gas_used = call.gas - machine.gas.min(call.gas);
            let mut log = std::mem::take(&mut machine.log);
            log.reverse();
            return Ok(Ended { returned: Returned::Value(result), gas_used, log });
        }
        Err(trap) => failed(*trap, call.gas),
    };
    machine.undo_everything();
    ended
}

/// Is this call data of the function that makes the state of a contract?
pub fn is_init(call_data: &[u8]) -> bool {
    matches!(read_call_data(call_data), Some((Value::String(name), _)) if name[..] == crate::code::INIT)
}

/// The function id and the arguments.
fn read_call_data(bytes: &[u8]) -> Option<(Value, Vec<Value>)> {
    let Ok(Value::Tuple(fields)) = Value::decode(bytes) else { return None };
    match &fields[..] {
        [Value::String(name), Value::Tuple(arguments)] => {
            Some((Value::String(name.clone()), arguments.to_vec()))
        }
        _ => None,
    }
}

fn begin_and_run(
    machine: &mut Machine<'_>,
    call: &Call<'_>,
    name: Value,
    arguments: Vec<Value>,
) -> Outcome<Vec<u8>> {
    let function = machine.find_function(&call.code, &name, call.value.0 > 0, true, call.creates)?;
    machine.check_arguments(&function, &arguments, call.vm)?;
    machine.function = function;
    machine.memory = Memory::of(arguments);
    machine.run()?;
    for value in machine.stores.dirty_values() {
        machine.charge_traversal(&value, gas::SERIAL)?;
    }
    let left = finish(&machine.stores, machine.host, machine.gas);
    machine.gas = left.map_err(|fault| machine.trap(fault))?;
    let result = machine.stack.last().cloned();
    let result = result.ok_or_else(|| machine.crash("a function that returns nothing"))?;
    machine.charge_traversal(&result, gas::FINAL)?;
    result.encode().map_err(|error| machine.trap(error))
}

fn failed(trap: Trap, gas: u64) -> Result<Ended, Refusal> {
    let returned = match trap.cause {
        Cause::Fault(fault) => Returned::Error(fault.text()),
        Cause::Exit(text) => Returned::Error(text.to_vec()),
        Cause::Revert(text) => match Value::String(text).encode() {
            Ok(bytes) => Returned::Revert(bytes),
            Err(error) => return Err(Refusal::Crash(error.0)),
        },
        Cause::Crash(what) => return Err(Refusal::Crash(what)),
        Cause::Limit(what) => return Err(Refusal::Limit(what)),
        Cause::Host(error) => return Err(Refusal::Host(error)),
    };
    Ok(Ended { returned, gas_used: gas.saturating_sub(trap.gas), log: Vec::new() })
}

impl Machine<'_> {
    /// Takes back all that happened to the host, through the marks of every call under way.
    fn undo_everything(&mut self) {
        (0..=self.calls.protections).for_each(|_| self.host.undo());
    }
}
