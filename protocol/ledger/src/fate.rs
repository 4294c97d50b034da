//! FATE as the machine of the ledger (`docs/protocol/contracts` §2).

mod authentication;
mod chain_objects;
mod world;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use strait_encoding::{ContractId, Height};
use strait_fate::{
    Call, Code, Container, Ended, Environment, Limits, Refusal, Returned, Type, TypeNode, Value,
    initial_store, is_init, run,
};

use crate::rules::BlockEnv;
use crate::{
    ABI_FATE, CallResult, CodeFault, ContractCall, CtVersion, FunctionHash, LogEntry, NewCode, NoResult,
    Prepared, Protocol, Ran, Scene, Trees, VirtualMachine,
};
use world::World;

/// The first version of containers of code that Lima and later protocols take (`docs/protocol/contracts` §1).
const FIRST_LAYOUT: u64 = 3;
/// How many contracts' code is kept as it was read.
const KNOWN_CODES: usize = 256;
/// How many nanoseconds an instruction takes at most, where they are counted to stop in time.
const STEP_WORK: u64 = 100;

/// FATE, over the trees of a chain or a channel: machines 5, 7 and 8 at the protocols Iris and Ceres. It keeps the code that
/// it has read, which changes nothing but the time that a call takes.
#[derive(Debug, Default)]
pub struct Fate {
    limits: Limits,
    known: Mutex<BTreeMap<ContractId, Known>>,
}

impl Fate {
    /// With what an operator lets one call use beyond its gas.
    pub fn with_limits(limits: Limits) -> Self {
        Self { limits, known: Mutex::default() }
    }

    /// With limits that keep any call from taking much longer than this.
    pub fn within(time: Duration) -> Self {
        Self::with_limits(within(Limits::default(), time))
    }

    /// The code of a contract, read.
    fn code(&self, call: &ContractCall<'_>) -> Result<Arc<Code>, NoResult> {
        if call.is_init {
            // What is stored afterwards may be without this function.
            return read(call.code);
        }
        {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(known) = known.get(&call.contract).filter(|known| *known.bytes == *call.code) {
                return Ok(Arc::clone(&known.code));
            }
        }
        let code = read(call.code)?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN_CODES {
            known.pop_first();
        }
        known.insert(call.contract, Known { bytes: call.code.into(), code: Arc::clone(&code) });
        Ok(code)
    }
}

impl VirtualMachine for Fate {
    fn called_function(&self, abi: u64, call_data: &[u8]) -> Option<Vec<u8>> {
        match Value::decode(call_data) {
            Ok(Value::Tuple(fields)) if abi == ABI_FATE => match &fields[..] {
                [Value::String(name), Value::Tuple(_)] => Some(name.to_vec()),
                _ => None,
            },
            _ => None,
        }
    }

    fn prepare(&self, new: &NewCode<'_>) -> Result<Prepared, CodeFault> {
        if !new.ct_version.is_known() {
            return Err(CodeFault::UnknownMachine);
        }
        let container = Container::decode(new.code).map_err(|_| CodeFault::Malformed)?;
        if new.on_chain.is_some() && container.version < FIRST_LAYOUT {
            return Err(CodeFault::Outdated);
        }
        let Some(vm) = machine_of(new.ct_version) else { return Err(CodeFault::NotInit) };
        let code = Code::decode(&container.byte_code).map_err(|_| CodeFault::Malformed);
        if new.on_chain.is_some() || is_init(new.call_data) {
            let code = code?;
            new.auth_fun.map_or(Ok(()), |function| check_auth_function(&code, function))?;
        }
        if !is_init(new.call_data) {
            return Err(CodeFault::NotInit);
        }
        let stored = container.stored(vm).map_err(|_| CodeFault::Malformed)?;
        Ok(Prepared { stored: stored.encode(), is_payable: container.payable })
    }

    fn run(&self, call: &ContractCall<'_>, state: &Trees, scene: &Scene<'_>) -> Result<Ran, NoResult> {
        self.run_limited(call, state, scene, self.limits)
    }

    fn run_within(
        &self,
        call: &ContractCall<'_>,
        state: &Trees,
        scene: &Scene<'_>,
        time: Duration,
    ) -> Result<Ran, NoResult> {
        self.run_limited(call, state, scene, within(self.limits, time))
    }
}

impl Fate {
    fn run_limited(
        &self,
        call: &ContractCall<'_>,
        state: &Trees,
        scene: &Scene<'_>,
        limits: Limits,
    ) -> Result<Ran, NoResult> {
        let (vm, protocol) = (call.ct_version.vm, scene.block.protocol);
        let unsupported = || NoResult::Unsupported { vm, protocol };
        let machine = machine_of(call.ct_version).ok_or_else(unsupported)?;
        let environment = environment(call, scene).ok_or_else(unsupported)?;
        let mut state = state.clone();
        if call.is_init {
            for (entry, value) in initial_store() {
                state.set_store_value(&call.store, &entry, Some(&value));
            }
        }
        let asked = Call {
            contract: call.contract,
            code: self.code(call)?,
            vm: machine,
            caller: call.caller,
            call_data: call.call_data,
            gas: call.gas,
            value: call.amount,
            creates: call.is_init,
        };
        let mut world = World::new(state, call, scene);
        let ended = run(&asked, &environment, &mut world, limits).map_err(refused)?;
        Ok(ran(ended, world.into_state()))
    }
}

/// The limits that keep a call from taking longer.
fn within(limits: Limits, time: Duration) -> Limits {
    let work = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    Limits { steps: limits.steps.min(work / STEP_WORK), work: limits.work.min(work) }
}

/// Code that was read before.
struct Known {
    bytes: Box<[u8]>,
    code: Arc<Code>,
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes of code", self.bytes.len())
    }
}

fn read(container: &[u8]) -> Result<Arc<Code>, NoResult> {
    let container =
        Container::decode(container).map_err(|error| NoResult::MalformedCode(error.to_string()))?;
    let code = Code::decode(&container.byte_code);
    code.map(Arc::new).map_err(|error| NoResult::MalformedCode(error.to_string()))
}

/// The number by which FATE knows the machine; none for an AEVM.
fn machine_of(ct_version: CtVersion) -> Option<u16> {
    (ct_version.abi == ABI_FATE && ct_version.is_known()).then(|| u16::try_from(ct_version.vm).ok()).flatten()
}

fn check_auth_function(code: &Code, function: FunctionHash) -> Result<(), CodeFault> {
    let [a, b, c, d, ..] = function.0;
    let mut signatures = code.signatures();
    let (_, _, returns) = signatures.find(|(id, _, _)| *id == [a, b, c, d]).ok_or(CodeFault::NoFunction)?;
    if *returns == Type::of(TypeNode::Boolean) { Ok(()) } else { Err(CodeFault::NoBoolean) }
}

fn environment(call: &ContractCall<'_>, scene: &Scene<'_>) -> Option<Environment> {
    let BlockEnv { network, height, key_hash, time_ms, beneficiary, difficulty, .. } = *scene.block;
    Some(Environment {
        protocol: match scene.block.protocol {
            Protocol::Lima => return None,
            Protocol::Iris => strait_fate::Protocol::Iris,
            Protocol::Ceres => strait_fate::Protocol::Ceres,
        },
        height: Height(height.0),
        time: time_ms,
        beneficiary,
        difficulty,
        key_block: key_hash.0,
        network: network.clone(),
        origin: call.origin,
        gas_price: call.gas_price,
        fee: call.fee,
        on_chain: scene.chain.is_none(),
        authentication: scene.auth.as_ref().map(|auth| authentication::shown(auth, call.caller)),
    })
}

fn refused(refusal: Refusal) -> NoResult {
    match refusal {
        Refusal::Crash(_) => NoResult::Crash(refusal.to_string()),
        Refusal::Limit(_) => NoResult::Limit(refusal.to_string()),
        Refusal::Host(_) => NoResult::NotKnown(refusal.to_string()),
    }
}

fn ran(ended: Ended, state: Trees) -> Ran {
    let log = ended.log.into_iter().map(|entry| LogEntry {
        address: entry.contract.0,
        topics: entry.topics.into_iter().map(|topic| topic.to_vec()).collect(),
        data: entry.payload,
    });
    Ran {
        gas_used: ended.gas_used,
        log: log.collect(),
        result: match ended.returned {
            Returned::Value(bytes) => CallResult::Ok(bytes),
            Returned::Revert(bytes) => CallResult::Revert(bytes),
            Returned::Error(text) => CallResult::Error(text),
        },
        state,
    }
}
