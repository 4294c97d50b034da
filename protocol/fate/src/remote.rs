//! Calling other contracts (`docs/protocol/contracts` §2.6).

use std::sync::Arc;

use strait_encoding::{AccountId, Coins, ContractId};

use crate::calls::{Check, Created, Entry};
use crate::code::{Code, Container, Function, FunctionId, INIT};
use crate::fault::{Fault, Shown};
use crate::gas;
use crate::host::{CodeSource, Contract, Denied};
use crate::integer::Integer;
use crate::machine::{Flow, Machine, Memory, Outcome, Step};
use crate::types::Type;
use crate::typing;
use crate::value::Value;

/// Gas for loading the code of a contract, once per call from outside.
const LOAD_GAS: u64 = 4900;

/// A function that nobody runs.
pub(crate) fn no_function() -> Arc<Function> {
    let returns = Type::unit();
    let arguments = Vec::new();
    Arc::new(Function { id: [0; 4], private: true, payable: false, arguments, returns, blocks: Vec::new() })
}

/// A call that a program makes of another contract.
pub(crate) struct Remote {
    pub contract: Value,
    pub function: Value,
    pub arguments: Value,
    pub returns: Value,
    pub value: Value,
    pub cap: Option<Value>,
    pub protected: bool,
    /// Does the call make the state of a new contract?
    pub init: bool,
    /// That contract.
    pub created: Option<Created>,
}

/// What came of setting up a call.
pub(crate) enum SetUp {
    Done,
    /// A protected call that could not even begin.
    Failed(Option<Created>),
}

impl Machine<'_> {
    /// Enters the function of another contract. `Failed` only for protected calls; the arguments are gone then.
    pub fn call_remote(&mut self, mut remote: Remote) -> Outcome<SetUp> {
        let (Value::Type(arguments), Value::Type(returns)) = (&remote.arguments, &remote.returns) else {
            return Err(self.crash("a call without types"));
        };
        let Some(types) = arguments.fields() else { return Err(self.crash("a call without types")) };
        let returns = returns.clone();
        let arguments = self.pop_arguments(types.len())?;
        let arguments = self.unfold(Value::List(arguments.into_iter().collect()), gas::UNFOLD)?;
        let Value::List(arguments) = arguments else { return Err(self.crash("arguments that are no list")) };
        let arguments: Vec<Value> = arguments.iter().cloned().collect();
        let (gas, cells, reserved) = (self.gas, self.cells, self.calls.reserved);
        let known = self.codes.len();
        let created = remote.created.take();
        match self.enter(&remote, &types, &returns, arguments, created) {
            Ok(()) => Ok(SetUp::Done),
            Err((trap, created)) => {
                self.calls.reserved = reserved;
                if self.codes.len() > known
                    && let Some(id) = contract_id(&remote.contract)
                {
                    self.codes.remove(&id);
                }
                let operator =
                    matches!(trap.cause, crate::trap::Cause::Limit(_) | crate::trap::Cause::Host(_));
                if !remote.protected || operator {
                    return Err(trap);
                }
                (self.gas, self.cells) = (gas, cells);
                Ok(SetUp::Failed(created))
            }
        }
    }

    #[allow(clippy::type_complexity)] // what failed, and the creation that has to be taken back
    fn enter(
        &mut self,
        remote: &Remote,
        types: &[Type],
        returns: &Type,
        arguments: Vec<Value>,
        created: Option<Created>,
    ) -> Result<(), (Box<crate::trap::Trap>, Option<Created>)> {
        match self.prepare(remote, types, returns, &arguments) {
            Err(trap) => Err((trap, created)),
            Ok(ready) => {
                self.commit(ready, arguments, created);
                Ok(())
            }
        }
    }

    /// Everything that can go wrong, in the reference's order.
    fn prepare(
        &mut self,
        remote: &Remote,
        types: &[Type],
        returns: &Type,
        arguments: &[Value],
    ) -> Outcome<Ready> {
        let held_back = self.cap(remote.cap.as_ref())?;
        let contract = self.other_contract(&remote.contract)?;
        let (code, vm) = self.load(contract)?;
        let pays = !matches!(&remote.value, Value::Integer(value) if value.is_negative() || value.is_zero());
        let function = self.find_function(&code, &remote.function, pays, true, remote.init)?;
        let found = self.check_arguments(&function, arguments, vm)?;
        let callee = typing::instantiate(&signature(&function.arguments, &function.returns), &found);
        let Some(bindings) = typing::unify(&signature(types, returns), &callee, vm >= 8) else {
            return Err(self.fault(Fault::Fixed("Type of remote function does not match expected type")));
        };
        let check = Check { declared: returns.clone(), bindings, protection: None };
        let stores = self.stores.clone();
        if remote.protected {
            self.host.mark();
        }
        match self.pay(contract, &remote.value) {
            Ok(value) => Ok(Ready {
                contract,
                code,
                vm,
                function,
                held_back,
                value,
                check: Check { protection: remote.protected.then_some(stores), ..check },
            }),
            Err(trap) => {
                if remote.protected {
                    self.host.undo();
                }
                Err(trap)
            }
        }
    }

    /// Puts the caller aside and makes the callee the running function.
    fn commit(&mut self, ready: Ready, arguments: Vec<Value>, created: Option<Created>) {
        let frame = self.frame();
        self.calls.push(frame);
        if let Some(gas) = ready.held_back {
            // It has been put aside already.
            self.calls.reserved -= gas;
            self.calls.push(Entry::Reserve(gas));
        }
        if let Some(created) = created {
            self.calls.push(Entry::Created(created));
        }
        self.calls.push(Entry::Check(Box::new(ready.check)));
        self.seen.push(self.contract);
        self.caller = AccountId(self.contract.0);
        self.contract = ready.contract;
        self.vm = ready.vm;
        self.code = ready.code;
        self.function = ready.function;
        self.block = 0;
        self.value = ready.value;
        self.memory = Memory::of(arguments);
    }

    /// Limits the gas; gives what was put aside.
    fn cap(&mut self, cap: Option<&Value>) -> Outcome<Option<u64>> {
        let cap = match cap {
            None => return Ok(None),
            Some(Value::Integer(cap)) => cap,
            Some(other) => return Err(self.mismatch(other.clone(), "integer")),
        };
        if cap.is_negative() || cap.is_zero() {
            let pair = Shown::PlainPair("bad_gas_cap", Value::Integer(cap.clone()));
            return Err(self.fault(Fault::one("Error in call: ", pair)));
        }
        match cap.to_u64() {
            Some(cap) if cap < self.gas => {
                let aside = self.gas - cap;
                self.gas = cap;
                self.calls.reserved = self.calls.reserved.saturating_add(aside);
                Ok(Some(aside))
            }
            _ => Ok(None),
        }
    }

    fn other_contract(&self, value: &Value) -> Outcome<ContractId> {
        let Value::Contract(bytes) = value else { return Err(self.mismatch(value.clone(), "contract")) };
        let Some(id) = contract_id(value) else {
            return Err(self.fault(unknown_contract(bytes.clone())));
        };
        if id == self.contract || self.seen.contains(&id) {
            return Err(self.fault(Fault::Fixed("Reentrant call")));
        }
        Ok(id)
    }

    /// The code of a contract, charged the first time.
    fn load(&mut self, id: ContractId) -> Outcome<(Arc<Code>, u16)> {
        match self.find_code(id)? {
            Some(found) => Ok(found),
            None => Err(self.fault(unknown_contract(id.0.into()))),
        }
    }

    /// As [`Self::load`]; nothing if there is no such contract, or it cannot run on this machine.
    pub fn find_code(&mut self, id: ContractId) -> Outcome<Option<(Arc<Code>, u16)>> {
        if let Some(found) = self.codes.get(&id) {
            return Ok(Some(found.clone()));
        }
        self.charge(LOAD_GAS)?;
        let contract = self.host.contract(id).map_err(|error| self.trap(error))?;
        let Some(contract) = contract.filter(|contract| is_fate(contract.vm)) else { return Ok(None) };
        let source = self.source(&contract)?;
        let container = Container::decode(&source).map_err(|_| self.crash("a malformed container"))?;
        let Ok(code) = Code::decode(&container.byte_code) else { return Ok(None) };
        let found = (Arc::new(code), contract.vm);
        self.codes.insert(id, found.clone());
        Ok(Some(found))
    }

    /// The bytes of a contract's container, wherever they are.
    fn source(&self, contract: &Contract) -> Outcome<Vec<u8>> {
        let of = match &contract.code {
            CodeSource::Own(bytes) => return Ok(bytes.clone()),
            CodeSource::Of(id) => *id,
        };
        match self.host.contract(of).map_err(|error| self.trap(error))? {
            Some(Contract { code: CodeSource::Own(bytes), .. }) => Ok(bytes),
            _ => Err(self.crash("code that is nowhere")),
        }
    }

    /// The function of this name, if it may be called so.
    pub fn find_function(
        &self,
        code: &Code,
        name: &Value,
        pays: bool,
        from_outside: bool,
        init: bool,
    ) -> Outcome<Arc<Function>> {
        let undefined = || {
            let name = Shown::Plain(name.clone());
            self.fault(Fault::one("Trying to call undefined function: ", name))
        };
        let id = function_name(name);
        let found = id.and_then(|id| code.functions.get(&id));
        if pays || from_outside {
            let function = found.ok_or_else(undefined)?;
            let flagged = |rest| Fault::framed("Function with hash ", Shown::Plain(name.clone()), rest);
            if pays && !function.payable {
                return Err(self.fault(flagged(" is not payable")));
            }
            if from_outside && function.private {
                return Err(self.fault(flagged(" is private")));
            }
        }
        if id == Some(INIT) && !init {
            return Err(self.fault(Fault::Fixed("Calling init is not allowed in this context")));
        }
        found.cloned().ok_or_else(undefined)
    }

    /// Checks arguments from outside; gives what the type variables stand for.
    pub fn check_arguments(
        &self,
        function: &Function,
        arguments: &[Value],
        vm: u16,
    ) -> Outcome<typing::Bindings> {
        let (wanted, got) = (function.arguments.len(), arguments.len());
        if wanted != got {
            let count = |count: usize| Shown::Value(Value::from(count as u64));
            let parts = vec![count(wanted), Shown::Text(" arguments, got "), count(got)];
            return Err(self.fault(Fault::Shown("Expected ", parts)));
        }
        let all = Value::tuple(arguments.to_vec());
        typing::check(&Type::tuple(&function.arguments), &all, vm >= 8).ok_or_else(|| {
            let types = Shown::Types(function.arguments.clone());
            self.fault(Fault::typed(Shown::Values(arguments.to_vec()), types))
        })
    }

    fn pay(&mut self, to: ContractId, value: &Value) -> Outcome<u128> {
        let Value::Integer(value) = value else { return Err(self.mismatch(value.clone(), "integer")) };
        if value.is_negative() {
            return Err(self.fault(Fault::one("Error in call: ", Shown::PlainWord("negative_value"))));
        }
        if value.is_zero() {
            return Ok(0);
        }
        let moved = self.transfer(AccountId(to.0), value, false)?;
        moved.map_err(|denied| self.fault(Fault::one("Error in call: ", Shown::PlainWord(denied.word()))))?;
        value.to_u128().ok_or_else(|| self.crash("an amount above 128 bits"))
    }

    /// Moves coins from the running contract.
    pub fn transfer(
        &mut self,
        to: AccountId,
        amount: &Integer,
        check_payable: bool,
    ) -> Outcome<Result<(), Denied>> {
        let Some(amount) = amount.to_u128() else { return Ok(Err(Denied::InsufficientFunds)) };
        let from = AccountId(self.contract.0);
        self.host.transfer(from, to, Coins(amount), check_payable).map_err(|error| self.trap(error))
    }

    /// The step that comes of setting up a call.
    pub fn entered(&mut self, set_up: SetUp) -> Step {
        match set_up {
            SetUp::Done => Ok(Flow::Enter),
            SetUp::Failed(created) => {
                if let Some(created) = created {
                    self.take_back(&created)?;
                }
                self.push(Value::none())?;
                Ok(Flow::Next)
            }
        }
    }
}

struct Ready {
    contract: ContractId,
    code: Arc<Code>,
    vm: u16,
    function: Arc<Function>,
    held_back: Option<u64>,
    value: u128,
    check: Check,
}

/// Does this machine run that version?
fn is_fate(vm: u16) -> bool {
    matches!(vm, 5 | 7 | 8)
}

fn signature(arguments: &[Type], returns: &Type) -> Type {
    let mut all = vec![returns.clone()];
    all.extend_from_slice(arguments);
    Type::tuple(&all)
}

fn unknown_contract(id: crate::value::Octets) -> Fault {
    Fault::one("Trying to call invalid contract: ", Shown::AllBytes(id))
}

fn function_name(name: &Value) -> Option<FunctionId> {
    match name {
        Value::String(bytes) => bytes[..].try_into().ok(),
        _ => None,
    }
}

/// The id of a contract value, if it has the size of one.
pub(crate) fn contract_id(value: &Value) -> Option<ContractId> {
    match value {
        Value::Contract(bytes) => bytes[..].try_into().ok().map(ContractId),
        _ => None,
    }
}
