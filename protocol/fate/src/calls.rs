//! Calls under way, and returning from them (`docs/protocol/contracts` §2.6).

use std::sync::Arc;

use strait_encoding::{AccountId, Coins, ContractId};

use crate::code::{Code, Function};
use crate::fault::Fault;
use crate::gas;
use crate::machine::{Flow, Machine, Memory, Outcome, Step};
use crate::store::Stores;
use crate::types::Type;
use crate::typing::{self, Bindings};
use crate::value::Value;

/// What is to be done when functions return; the last entry first.
#[derive(Default)]
pub(crate) struct Calls {
    entries: Vec<Entry>,
    /// The gas that is put aside in all entries.
    pub reserved: u64,
    /// How many entries can catch an error.
    pub protections: usize,
    /// How many new contracts are making their state.
    pub creations: usize,
}

pub(crate) enum Entry {
    /// The caller goes on.
    Frame(Box<Frame>),
    /// Gas that a cap held back comes back.
    Reserve(u64),
    /// The result is checked.
    Check(Box<Check>),
    /// A new contract has made its state.
    Created(Created),
}

pub(crate) struct Frame {
    pub caller: AccountId,
    pub contract: ContractId,
    pub vm: u16,
    pub code: Arc<Code>,
    pub function: Arc<Function>,
    /// The block that comes after the call.
    pub block: usize,
    pub stack: Vec<Value>,
    pub memory: Memory,
    pub value: u128,
}

pub(crate) struct Check {
    pub declared: Type,
    pub bindings: Bindings,
    /// For a protected call: the stores to return to. The host has a mark for it.
    pub protection: Option<Stores>,
}

pub(crate) struct Created {
    pub contract: ContractId,
    pub value: Coins,
    pub protected: bool,
}

impl Calls {
    pub fn push(&mut self, entry: Entry) {
        match &entry {
            Entry::Reserve(gas) => self.reserved = self.reserved.saturating_add(*gas),
            Entry::Check(check) if check.protection.is_some() => self.protections += 1,
            Entry::Created(_) => self.creations += 1,
            _ => {}
        }
        self.entries.push(entry);
    }

    pub fn pop(&mut self) -> Option<Entry> {
        let entry = self.entries.pop();
        match &entry {
            Some(Entry::Reserve(gas)) => self.reserved = self.reserved.saturating_sub(*gas),
            Some(Entry::Check(check)) if check.protection.is_some() => self.protections -= 1,
            Some(Entry::Created(_)) => self.creations -= 1,
            _ => {}
        }
        entry
    }

    fn last(&self) -> Option<&Entry> {
        self.entries.last()
    }
}

/// Between these heights, on every network, the reference forgets on an error which contract it returns to.
const FORGETFUL: std::ops::RangeInclusive<u64> = 237_000..=245_000;

impl Machine<'_> {
    /// Puts the running function aside; its stack and memory go with it.
    pub fn frame(&mut self) -> Entry {
        Entry::Frame(Box::new(Frame {
            caller: self.caller,
            contract: self.contract,
            vm: self.vm,
            code: Arc::clone(&self.code),
            function: Arc::clone(&self.function),
            block: self.block + 1,
            stack: std::mem::take(&mut self.stack),
            memory: std::mem::take(&mut self.memory),
            value: self.value,
        }))
    }

    /// Returns from the running function. If that fails, the calls are as they were.
    pub fn leave(&mut self) -> Step {
        let mut passed = Vec::new();
        let mut kept = 0;
        let flow = self.leave_past(&mut passed, &mut kept);
        match &flow {
            Ok(_) => (0..kept).for_each(|_| self.host.keep()),
            Err(_) => passed.into_iter().rev().for_each(|entry| self.calls.push(entry)),
        }
        flow
    }

    fn leave_past(&mut self, passed: &mut Vec<Entry>, kept: &mut usize) -> Step {
        loop {
            match self.calls.last() {
                None => {
                    let result = self.result()?;
                    let result = self.unfold(result, gas::UNFOLD)?;
                    self.stack.push(result);
                    return Ok(Flow::Stop);
                }
                Some(Entry::Frame(_)) => return self.leave_to_frame(),
                Some(_) => {}
            }
            let Some(entry) = self.calls.pop() else { continue };
            let done = match &entry {
                Entry::Reserve(gas) => {
                    self.gas = self.gas.saturating_add(*gas);
                    Ok(())
                }
                Entry::Check(check) => {
                    *kept += usize::from(check.protection.is_some());
                    self.check_result(check)
                }
                Entry::Created(created) => self.finish_created(created),
                Entry::Frame(_) => Ok(()),
            };
            passed.push(entry);
            done?;
        }
    }

    fn result(&mut self) -> Outcome<Value> {
        self.stack.pop().ok_or_else(|| self.crash("a function that returns nothing"))
    }

    fn leave_to_frame(&mut self) -> Step {
        let mut result = self.result()?;
        let to = match self.calls.last() {
            Some(Entry::Frame(frame)) => frame.contract,
            _ => self.contract,
        };
        if to != self.contract {
            // Maps of the store are taken out by the contract whose store it is.
            result = self.unfold(result, gas::UNFOLD)?;
        }
        if let Some(Entry::Frame(frame)) = self.calls.pop() {
            let vm = frame.vm;
            self.restore(*frame)?;
            self.contract = to;
            self.vm = vm;
        }
        self.stack.push(result);
        Ok(Flow::Enter)
    }

    /// Makes the function of a frame the running one.
    pub fn restore(&mut self, frame: Frame) -> Outcome<()> {
        if frame.contract != self.contract {
            let place = self.seen.iter().rposition(|seen| *seen == frame.contract);
            let Some(place) = place else { return Err(self.crash("a call from an unknown contract")) };
            self.seen.truncate(place);
            if !FORGETFUL.contains(&self.environment.height.0) {
                self.contract = frame.contract;
            }
            self.vm = frame.vm;
            self.caller = frame.caller;
        }
        self.code = frame.code;
        self.function = frame.function;
        self.block = frame.block;
        self.stack = frame.stack;
        self.memory = frame.memory;
        self.value = frame.value;
        Ok(())
    }

    fn check_result(&mut self, check: &Check) -> Outcome<()> {
        let Some(stores) = &check.protection else {
            let result = self.stack.last().cloned();
            let result = result.ok_or_else(|| self.crash("a function that returns nothing"))?;
            return self.check_type(&result, check);
        };
        let (gas, cells) = (self.gas, self.cells);
        let result = self.stack.pop();
        let sound = match &result {
            Some(result) => self.check_type(result, check).is_ok(),
            None => false,
        };
        match result {
            Some(result) if sound => self.stack.push(Value::some(result)),
            _ => {
                (self.gas, self.cells) = (gas, cells);
                self.stores = stores.clone();
                // The mark stays until it is certain that nothing returns to it.
                self.host.undo();
                self.host.mark();
                self.stack.push(Value::none());
            }
        }
        Ok(())
    }

    fn check_type(&mut self, result: &Value, check: &Check) -> Outcome<()> {
        self.charge_traversal(result, gas::SIMPLE)?;
        let Some(found) = typing::check(&check.declared, result, self.any_bytes()) else {
            return Err(self.fault(Fault::returned(result.clone(), check.declared.clone())));
        };
        if typing::merge(found, &check.bindings).is_none() {
            let declared = typing::instantiate(&check.declared, &check.bindings);
            return Err(self.fault(Fault::returned(result.clone(), declared)));
        }
        Ok(())
    }
}
