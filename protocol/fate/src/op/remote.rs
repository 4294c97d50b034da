//! Calls of other contracts, and new contracts (`docs/protocol/contracts` §2.6, §2.7).

use strait_encoding::hash::{blake2b, contract_id as new_contract_id};
use strait_encoding::{AccountId, Coins, ContractId};

use crate::calls::Created;
use crate::code::{Container, INIT, Operand};
use crate::host::{CodeSource, NewContract};
use crate::machine::{Machine, Outcome, Step};
use crate::op::control::literal;
use crate::op::{behind, read_all};
use crate::remote::{Remote, contract_id};
use crate::store;
use crate::types::Type;
use crate::value::{Octets, Value};

/// Gas per byte of new code.
const CREATE_GAS: u64 = 5;

pub(crate) fn call_r(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let function = literal(machine, &operands[1])?.clone();
    let contract = machine.read(&operands[0])?;
    let [arguments, returns, value] = read_some(machine, &operands[2..5])?;
    call(machine, contract, function, [arguments, returns, value], None, false)
}

pub(crate) fn call_gr(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let function = literal(machine, &operands[1])?.clone();
    let contract = machine.read(&operands[0])?;
    let [arguments, returns, value, cap] = read_some(machine, &operands[2..6])?;
    call(machine, contract, function, [arguments, returns, value], Some(cap), false)
}

pub(crate) fn call_pgr(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let function = literal(machine, &operands[1])?.clone();
    let contract = machine.read(&operands[0])?;
    let [arguments, returns, value, cap, protected] = read_some(machine, &operands[2..7])?;
    let protected = boolean(machine, protected)?;
    call(machine, contract, function, [arguments, returns, value], Some(cap), protected)
}

fn read_some<const N: usize>(machine: &mut Machine<'_>, operands: &[Operand]) -> Outcome<[Value; N]> {
    let operands = operands.first_chunk().ok_or_else(|| machine.crash("operands that are not there"))?;
    read_all(machine, operands)
}

fn boolean(machine: &Machine<'_>, value: Value) -> Outcome<bool> {
    match value {
        Value::Boolean(value) => Ok(value),
        other => Err(machine.mismatch(other, "bool")),
    }
}

fn call(
    machine: &mut Machine<'_>,
    contract: Value,
    function: Value,
    [arguments, returns, value]: [Value; 3],
    cap: Option<Value>,
    protected: bool,
) -> Step {
    let remote =
        Remote { contract, function, arguments, returns, value, cap, protected, init: false, created: None };
    let set_up = machine.call_remote(remote)?;
    machine.entered(set_up)
}

pub(crate) fn create(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let [code, types, value] = read_some(machine, &operands[..3])?;
    let Value::Code(code) = code else { return Err(machine.crash("a contract of what is no code")) };
    machine.charge(CREATE_GAS.saturating_mul(code.len() as u64))?;
    deploy(machine, Source::Code(code), types, value, None, false)
}

pub(crate) fn clone(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let [of, types, value, protected] = read_some(machine, &operands[..4])?;
    let protected = clone_flags(machine, &of, protected)?;
    deploy(machine, Source::Clone(of), types, value, None, protected)
}

pub(crate) fn clone_g(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let [of, types, value, cap, protected] = read_some(machine, &operands[..5])?;
    let protected = clone_flags(machine, &of, protected)?;
    deploy(machine, Source::Clone(of), types, value, Some(cap), protected)
}

fn clone_flags(machine: &Machine<'_>, of: &Value, protected: Value) -> Outcome<bool> {
    if !matches!(of, Value::Contract(_)) {
        return Err(machine.crash("a clone of what is no contract"));
    }
    boolean(machine, protected)
}

enum Source {
    Code(Octets),
    Clone(Value),
}

fn deploy(
    machine: &mut Machine<'_>,
    source: Source,
    types: Value,
    value: Value,
    cap: Option<Value>,
    protected: bool,
) -> Step {
    let amount = match &value {
        Value::Integer(amount) => amount.to_u128().map(Coins),
        _ => None,
    };
    let amount = amount.ok_or_else(|| machine.crash("an impossible amount for a new contract"))?;
    let contract = put_contract(machine, source, amount)?;
    let remote = Remote {
        contract: Value::Contract(contract.0.into()),
        function: Value::string(INIT),
        arguments: types,
        returns: Value::Type(Type::unit()),
        value: Value::from(0),
        cap,
        protected,
        init: true,
        created: Some(Created { contract, value: amount, protected }),
    };
    let set_up = machine.call_remote(remote)?;
    machine.entered(set_up)
}

/// Puts a new contract into the world, with its amount, before its state is made.
fn put_contract(machine: &mut Machine<'_>, source: Source, amount: Coins) -> Outcome<ContractId> {
    let owner = AccountId(machine.contract.0);
    let nonce = machine.host.next_nonce(owner).map_err(|error| machine.trap(error))?;
    let nonce = nonce.ok_or_else(|| machine.crash("a contract without an account"))?;
    let (code, vm, payable) = match source {
        Source::Code(code) => {
            let container = Container::decode(&code);
            let container = container.map_err(|_| machine.crash("a malformed container"))?;
            (CodeSource::Own(code.to_vec()), machine.vm, container.payable)
        }
        Source::Clone(of) => {
            let (id, vm) = original(machine, &of)?;
            let account = machine.host.account(AccountId(id.0)).map_err(|error| machine.trap(error))?;
            let account = account.ok_or_else(|| machine.crash("a contract without an account"))?;
            (CodeSource::Of(id), vm, account.payable)
        }
    };
    let id = new_contract_id(owner, nonce.0);
    let store = store::initial();
    let contract = NewContract { id, owner, nonce, vm, code, payable, store: &store };
    machine.host.create_contract(&contract).map_err(|error| machine.trap(error))?;
    let moved = machine.host.transfer(owner, AccountId(id.0), amount, false);
    match moved.map_err(|error| machine.trap(error))? {
        Ok(()) => Ok(id),
        Err(_) => Err(machine.crash("a new contract that its creator cannot pay for")),
    }
}

/// Follows clones to the contract that has the code.
fn original(machine: &Machine<'_>, of: &Value) -> Outcome<(ContractId, u16)> {
    let unknown = || machine.crash("a clone of an unknown contract");
    let mut id = contract_id(of).ok_or_else(unknown)?;
    // A clone refers to an original; longer chains cannot be made.
    for _ in 0..8 {
        let contract = machine.host.contract(id).map_err(|error| machine.trap(error))?.ok_or_else(unknown)?;
        match contract.code {
            CodeSource::Own(_) => return Ok((id, contract.vm)),
            CodeSource::Of(next) => id = next,
        }
    }
    Err(unknown())
}

pub(crate) fn bytecode_hash(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let [of] = read_all(machine, behind::<1>(operands))?;
    if !matches!(of, Value::Contract(_)) {
        return Err(machine.crash("the code of what is no contract"));
    }
    let gas = machine.gas;
    let found = match contract_id(&of) {
        Some(id) => machine.find_code(id)?,
        None => None,
    };
    let Some((code, vm)) = found else {
        machine.gas = gas;
        return machine.done(&operands[0], Value::none());
    };
    if vm < 7 {
        return Err(machine.crash("the hash of code for an older machine"));
    }
    let bytes = code.encode().map_err(|_| machine.crash("code that cannot be written"))?;
    machine.charge(bytes.len() as u64)?;
    machine.done(&operands[0], Value::some(Value::bytes(blake2b(&bytes))))
}

impl Machine<'_> {
    /// What a creation comes to once the state is made, or not.
    pub fn finish_created(&mut self, created: &Created) -> Outcome<()> {
        let made = self.pop()?;
        let contract = Value::Contract(created.contract.0.into());
        let done = match (&made, created.protected) {
            (Value::Tuple(fields), false) if fields.is_empty() => contract,
            (Value::Variant(option), true) if option.tag == 1 => Value::some(contract),
            (Value::Variant(option), true) if option.tag == 0 => {
                self.take_back(created)?;
                Value::none()
            }
            _ => return Err(self.crash("a state that is no unit")),
        };
        self.push(done)
    }

    /// Removes a contract that could not make its state; its amount goes back.
    pub fn take_back(&mut self, created: &Created) -> Outcome<()> {
        self.codes.remove(&created.contract);
        self.host.remove_contract(created.contract).map_err(|error| self.trap(error))?;
        let from = AccountId(created.contract.0);
        let to = AccountId(self.contract.0);
        let moved = self.host.transfer(from, to, created.value, false).map_err(|error| self.trap(error))?;
        moved.map_err(|_| self.crash("an amount that is gone"))
    }
}
