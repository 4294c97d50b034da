//! The machine: its state, and the loop over instructions (`docs/protocol/contracts` §2.3).

use std::collections::BTreeMap;
use std::sync::Arc;

use strait_encoding::{AccountId, ContractId};

use crate::calls::{Calls, Entry};
use crate::code::{Code, FarPlace, Function, Instruction, Operand};
use crate::fault::{Fault, Shown};
use crate::gas::{self, Model};
use crate::host::{Environment, Host, Protocol};
use crate::integer::Integer;
use crate::opcode::Opcode;
use crate::run::{Limits, LogEntry};
use crate::store::Stores;
use crate::trace;
use crate::trap::{Cause, Trap};
use crate::value::Value;

/// What an instruction comes to.
pub(crate) type Step = Result<Flow, Box<Trap>>;
/// What a part of an instruction comes to.
pub(crate) type Outcome<T> = Result<T, Box<Trap>>;

/// Where the program goes on.
pub(crate) enum Flow {
    Next,
    /// To another block of the same function.
    Jump(usize),
    /// To the current block of the current function, which is another one.
    Enter,
    Stop,
}

/// Gas for the first reading of a register.
const REGISTER_GAS: u64 = 2000;
/// Gas per entry that is read through to the store, from Ceres.
const ENTRY_GAS: u64 = 5000;
/// Up to this many cells each costs one gas.
const CHEAP_CELLS: i64 = 1024;

/// A running call.
pub(crate) struct Machine<'h> {
    pub host: &'h mut dyn Host,
    pub environment: &'h Environment,
    pub limits: Limits,
    pub gas: u64,
    /// Memory cells in use, by the reference's reckoning.
    pub cells: i64,
    /// The accumulator and the stack below it; the accumulator comes last.
    pub stack: Vec<Value>,
    pub memory: Memory,
    pub function: Arc<Function>,
    pub block: usize,
    pub code: Arc<Code>,
    pub contract: ContractId,
    pub caller: AccountId,
    pub value: u128,
    pub vm: u16,
    pub calls: Calls,
    /// The contracts whose calls are under way, this one apart; also those that ended in a tail call.
    pub seen: Vec<ContractId>,
    pub codes: BTreeMap<ContractId, (Arc<Code>, u16)>,
    pub stores: Stores,
    pub log: Vec<LogEntry>,
    /// Does somebody want to hear of every instruction?
    pub watched: bool,
}

/// The arguments and variables of a function's frame.
#[derive(Default)]
pub(crate) struct Memory {
    arguments: Vec<Option<Value>>,
    variables: Vec<Option<Value>>,
    far: Vec<(FarPlace, Value)>,
}

impl Memory {
    pub fn of(arguments: Vec<Value>) -> Self {
        Self { arguments: arguments.into_iter().map(Some).collect(), ..Self::default() }
    }

    /// What stands in a place of the frame, if anything does.
    pub fn get(&self, operand: &Operand) -> Option<&Value> {
        match operand {
            Operand::Argument(index) => self.arguments.get(usize::from(*index))?.as_ref(),
            Operand::Variable(index) => self.variables.get(usize::from(*index))?.as_ref(),
            Operand::Far(place) => self.far.iter().find(|(name, _)| name == place).map(|(_, value)| value),
            _ => None,
        }
    }

    fn set_far(&mut self, place: &FarPlace, value: Value) {
        match self.far.iter_mut().find(|(name, _)| name == place) {
            Some((_, old)) => *old = value,
            None => self.far.push((place.clone(), value)),
        }
    }
}

fn set(slots: &mut Vec<Option<Value>>, index: u8, value: Value) {
    let index = usize::from(index);
    if slots.len() <= index {
        slots.resize(index + 1, None);
    }
    slots[index] = Some(value);
}

impl<'h> Machine<'h> {
    /// Runs until the outermost function returns.
    pub fn run(&mut self) -> Outcome<()> {
        loop {
            let function = Arc::clone(&self.function);
            loop {
                let Some(block) = function.blocks.get(self.block) else {
                    return Err(self.no_block(Value::from(self.block as u64)));
                };
                self.count_steps(block.len())?;
                match self.run_block(block)? {
                    Flow::Next => self.block += 1,
                    Flow::Jump(block) => self.block = block,
                    Flow::Enter => break,
                    Flow::Stop => return Ok(()),
                }
            }
        }
    }

    fn run_block(&mut self, block: &[Instruction]) -> Step {
        if self.watched || (self.calls.creations > 0 && self.vm < 8) {
            return self.run_block_remembering(block);
        }
        for instruction in block {
            let (gas, cells) = (self.gas, self.cells);
            let flow = match self.perform(instruction) {
                Ok(flow) => flow,
                Err(trap) => self.recover(trap, gas, cells)?,
            };
            if !matches!(flow, Flow::Next) {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    /// As [`Self::run_block`], where an error is going to look at the stack as it was, or where somebody watches.
    #[cold]
    fn run_block_remembering(&mut self, block: &[Instruction]) -> Step {
        for (place, instruction) in block.iter().enumerate() {
            let (gas, cells) = (self.gas, self.cells);
            let stack = (self.calls.creations > 0 && self.vm < 8).then(|| self.stack.clone());
            let flow = match self.perform_watched(instruction, place) {
                Ok(flow) => flow,
                Err(trap) => {
                    self.stack = stack.unwrap_or_else(|| std::mem::take(&mut self.stack));
                    self.recover(trap, gas, cells)?
                }
            };
            if !matches!(flow, Flow::Next) {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn perform_watched(&mut self, instruction: &Instruction, place: usize) -> Step {
        if !self.watched {
            return self.perform(instruction);
        }
        let before = trace::before(self, instruction, place);
        let done = self.perform(instruction);
        trace::tell(self, before, done.as_ref().err().map(|trap| &**trap));
        done
    }

    #[inline]
    fn perform(&mut self, instruction: &Instruction) -> Step {
        let opcode = instruction.opcode;
        if opcode.guarded {
            self.guard(opcode)?;
        } else {
            self.charge(u64::from(opcode.gas))?;
        }
        (opcode.run)(self, &instruction.operands)
    }

    #[cold]
    fn guard(&mut self, opcode: &'static Opcode) -> Outcome<()> {
        if !opcode.off_chain && !self.environment.on_chain {
            return Err(self.fault(Fault::framed(
                "Operation ",
                Shown::QuotedWord(opcode.name),
                " not allowed off chain",
            )));
        }
        if !opcode.in_authentication && self.environment.authentication.is_some() {
            let rest = " not allowed in GA Authentication context";
            return Err(self.fault(Fault::framed("Operation ", Shown::QuotedWord(opcode.name), rest)));
        }
        self.charge(u64::from(opcode.gas))?;
        if self.vm < opcode.since {
            return Err(self.fault(Fault::primitive(opcode.word, "not_supported")));
        }
        Ok(())
    }

    fn count_steps(&mut self, steps: usize) -> Outcome<()> {
        match self.limits.steps.checked_sub(steps as u64) {
            Some(left) => {
                self.limits.steps = left;
                Ok(())
            }
            None => Err(self.trap(Cause::Limit("steps"))),
        }
    }

    /// Counts work that gas does not know of: bytes copied, limbs multiplied.
    pub fn work(&mut self, amount: u64) -> Outcome<()> {
        match self.limits.work.checked_sub(amount) {
            Some(left) => {
                self.limits.work = left;
                Ok(())
            }
            None => Err(self.trap(Cause::Limit("work"))),
        }
    }

    /// The end of a program that jumps to where nothing is; no protection helps against it.
    pub fn no_block(&self, block: Value) -> Box<Trap> {
        let fault = Fault::one("Trying to jump to non existing bb: ", Shown::Value(block));
        Box::new(Trap { cause: fault.into(), gas: self.calls.reserved, uncaught: true })
    }

    /// An early end, for `cause`.
    #[cold]
    pub fn trap(&self, cause: impl Into<Cause>) -> Box<Trap> {
        let cause = cause.into();
        let gas = match &cause {
            Cause::Revert(_) => self.gas.saturating_add(self.calls.reserved),
            _ => self.calls.reserved,
        };
        Box::new(Trap { cause, gas, uncaught: false })
    }

    #[cold]
    pub fn fault(&self, fault: Fault) -> Box<Trap> {
        self.trap(fault)
    }

    /// The end of an operand of the wrong kind.
    #[cold]
    pub fn mismatch(&self, value: Value, expected: &'static str) -> Box<Trap> {
        self.trap(Fault::mismatch(value, expected))
    }

    /// The end of operands that an operation cannot work with.
    #[cold]
    pub fn bad_arguments(&self, operation: &'static str, operands: Vec<Value>) -> Box<Trap> {
        self.trap(Fault::arguments(operation, operands))
    }

    #[cold]
    pub fn crash(&self, what: &'static str) -> Box<Trap> {
        self.trap(Cause::Crash(what))
    }

    /// Are the rules those of Ceres, or later?
    pub fn is_ceres(&self) -> bool {
        self.environment.protocol >= Protocol::Ceres
    }

    /// Does the type of byte strings of any length match them?
    pub fn any_bytes(&self) -> bool {
        self.vm >= 8
    }

    // ------------------------------------------------------------ gas

    #[inline]
    pub fn charge(&mut self, gas: u64) -> Outcome<()> {
        match self.gas.checked_sub(gas) {
            Some(left) => {
                self.gas = left;
                Ok(())
            }
            None => Err(self.fault(Fault::OUT_OF_GAS)),
        }
    }

    /// Charges memory cells; each costs more the more there are (`docs/protocol/contracts` §2.4).
    #[inline]
    pub fn charge_cells(&mut self, cells: i64) -> Outcome<()> {
        let cells = if cells < 0 { cells.saturating_neg().saturating_add(2) } else { cells };
        let total = self.cells.saturating_add(cells);
        self.cells = total;
        let price = if total <= CHEAP_CELLS { 1 } else { 1 + (total >> 10) };
        self.charge(cells.unsigned_abs().saturating_mul(price.unsigned_abs()))
    }

    /// As [`Self::charge_cells`], for one cell.
    #[inline]
    pub fn charge_cell(&mut self) -> Outcome<()> {
        self.cells += 1;
        let price = if self.cells <= CHEAP_CELLS { 1 } else { 1 + (self.cells >> 10) };
        self.charge(price.unsigned_abs())
    }

    /// As [`Self::charge_cells`], for a number of any size.
    pub fn charge_many_cells(&mut self, cells: &Integer) -> Outcome<()> {
        match cells.small() {
            Some(cells) => self.charge_cells(cells),
            None => Err(self.fault(Fault::OUT_OF_GAS)),
        }
    }

    /// Charges the entries of a map that are read through to the store.
    pub fn charge_entries(&mut self, entries: u64) -> Outcome<()> {
        if self.is_ceres() { self.charge(entries.saturating_mul(ENTRY_GAS)) } else { Ok(()) }
    }

    /// Charges looking through a value, not into maps of the store.
    #[inline]
    pub fn charge_traversal(&mut self, value: &Value, model: Model) -> Outcome<()> {
        if let Some(cost) = gas::leaf(value, model) {
            return self.charge(cost);
        }
        self.charge_long_traversal(value, model)
    }

    fn charge_long_traversal(&mut self, value: &Value, model: Model) -> Outcome<()> {
        let left = gas::traverse::<Cause>(value, model, self.gas, |_, _| Ok(None));
        self.gas = left.map_err(|stopped| self.trap(stopped))?;
        Ok(())
    }

    // ------------------------------------------------------------ places

    #[inline]
    pub fn push(&mut self, value: Value) -> Outcome<()> {
        self.stack.push(value);
        self.charge_cell()
    }

    #[inline]
    pub fn pop(&mut self) -> Outcome<Value> {
        match self.stack.pop() {
            Some(value) => {
                self.cells -= 1;
                Ok(value)
            }
            None => Err(self.empty_stack(1)),
        }
    }

    #[cold]
    pub fn empty_stack(&self, wanted: usize) -> Box<Trap> {
        let wanted = Shown::Value(Value::from(wanted as u64));
        self.fault(Fault::framed("Stack overflow when pop:ing ", wanted, " elements"))
    }

    /// Reads an operand.
    #[inline]
    pub fn read(&mut self, operand: &Operand) -> Outcome<Value> {
        match operand {
            Operand::Stack => self.pop(),
            Operand::Immediate(value) => Ok(value.clone()),
            Operand::Argument(index) => match self.memory.arguments.get(usize::from(*index)) {
                Some(Some(value)) => Ok(value.clone()),
                _ => Err(self.undefined("arg", Value::from(*index))),
            },
            Operand::Variable(index) => match self.memory.variables.get(usize::from(*index)) {
                Some(Some(value)) => Ok(value.clone()),
                _ => Err(self.undefined("var", Value::from(*index))),
            },
            Operand::Register(register) => self.read_register(*register),
            Operand::Far(place) => match self.memory.far.iter().find(|(name, _)| name == place) {
                Some((_, value)) => Ok(value.clone()),
                None => Err(self.undefined(if place.argument { "arg" } else { "var" }, place.name.clone())),
            },
        }
    }

    /// The small number that stands in a place other than the stack, if one does. Changes nothing.
    #[inline]
    pub fn small(&self, operand: &Operand) -> Option<i64> {
        let value = match operand {
            Operand::Variable(index) => self.memory.variables.get(usize::from(*index))?.as_ref()?,
            Operand::Immediate(value) => value,
            Operand::Argument(index) => self.memory.arguments.get(usize::from(*index))?.as_ref()?,
            _ => return None,
        };
        match value {
            Value::Integer(number) => number.small(),
            _ => None,
        }
    }

    /// The small numbers in two places, neither of them the stack.
    #[inline]
    pub fn two_small(&self, operands: &[Operand]) -> Option<(i64, i64)> {
        match operands {
            [_, left, right, ..] => Some((self.small(left)?, self.small(right)?)),
            _ => None,
        }
    }

    /// Writes a result.
    #[inline]
    pub fn write(&mut self, operand: &Operand, value: Value) -> Outcome<()> {
        match operand {
            Operand::Stack => return self.push(value),
            Operand::Argument(index) => set(&mut self.memory.arguments, *index, value),
            Operand::Variable(index) => set(&mut self.memory.variables, *index, value),
            Operand::Register(register) => self.stores.write(self.contract, *register, value),
            Operand::Far(place) => self.memory.set_far(place, value),
            Operand::Immediate(_) => return Err(self.crash("a result that goes into the code")),
        }
        Ok(())
    }

    /// As [`Self::write`]; the instruction is done.
    #[inline]
    pub fn done(&mut self, operand: &Operand, value: impl Into<Value>) -> Step {
        self.write(operand, value.into())?;
        Ok(Flow::Next)
    }

    #[cold]
    fn undefined(&self, kind: &'static str, name: Value) -> Box<Trap> {
        self.fault(Fault::one("Undefined var: ", Shown::Place(kind, name)))
    }

    fn read_register(&mut self, register: u64) -> Outcome<Value> {
        let found =
            self.stores.read(self.contract, register, &*self.host).map_err(|fault| self.trap(fault))?;
        let Some(found) = found else { return Err(self.crash("a register that was never written")) };
        if found.fresh {
            self.charge(REGISTER_GAS)?;
        }
        Ok(found.value)
    }

    /// Takes the arguments of a call from the stack; the first one is on top.
    pub fn pop_arguments(&mut self, count: usize) -> Outcome<Vec<Value>> {
        if self.stack.len() < count {
            // The reference hands out a value that is none where it looks for the only argument.
            return Err(match (self.stack.len(), count) {
                (0, 1) => self.crash("an argument that is not there"),
                _ => self.empty_stack(count),
            });
        }
        self.cells -= count as i64;
        let mut arguments = self.stack.split_off(self.stack.len() - count);
        arguments.reverse();
        Ok(arguments)
    }

    /// The value with the maps of the running contract's store in memory, charged by `model`.
    pub fn unfold(&mut self, value: Value, model: Model) -> Outcome<Value> {
        self.charge_traversal(&value, gas::SIMPLE)?;
        if !value.holds_store_map() {
            return Ok(value);
        }
        crate::unfold::unfold(self, &value, model)
    }

    /// The end of what is left of calls, where the first entry that can catch `trap` catches it.
    #[cold]
    fn recover(&mut self, trap: Box<Trap>, gas: u64, cells: i64) -> Step {
        // Before VM 8 an error still finishes the creations it passes, and may become another error there.
        let matters = self.calls.protections > 0 || (self.calls.creations > 0 && self.vm < 8);
        if trap.uncaught || !trap.cause.can_be_caught() || !matters {
            return Err(trap);
        }
        (self.gas, self.cells) = (gas, cells);
        loop {
            match self.calls.pop() {
                None => return Err(trap),
                Some(Entry::Reserve(gas)) => self.gas = self.gas.saturating_add(gas),
                Some(Entry::Frame(frame)) => {
                    let top = self.stack.pop();
                    self.restore(*frame)?;
                    self.stack.extend(top);
                }
                Some(Entry::Created(created)) if self.vm < 8 => {
                    self.finish_created(&created).map_err(Trap::never_caught)?;
                }
                Some(Entry::Check(check)) => {
                    if let Some(stores) = check.protection {
                        self.stores = stores;
                        self.host.undo();
                        self.stack = vec![Value::none()];
                        return self.leave().map_err(Trap::never_caught);
                    }
                }
                Some(Entry::Created(_)) => {}
            }
        }
    }
}

impl Trap {
    fn never_caught(mut self: Box<Self>) -> Box<Self> {
        self.uncaught = true;
        self
    }
}
