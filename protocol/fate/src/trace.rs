//! Watching programs, instruction by instruction, and how values and texts look where the reference prints them.

use std::cell::RefCell;

use strait_encoding::ContractId;

use crate::code::{FarPlace, FunctionId, Instruction, Operand};
use crate::erlang::{self, Term, plain, pretty};
use crate::machine::Machine;
use crate::map::Map;
use crate::trap::{Cause, Trap};
use crate::unicode;
use crate::value::Value;

/// How deep values are printed.
const DEPTH: usize = 6;
/// How deep they are printed in full: what nests deeper would need the native stack.
const FULL: usize = 1000;
/// How many bytes of a printed value are shown.
const WIDTH: usize = 160;

/// An instruction that was performed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Performed {
    /// The contract that runs.
    pub contract: ContractId,
    /// Its function.
    pub function: FunctionId,
    /// The number of the block in the function.
    pub block: usize,
    /// The number of the instruction in the block.
    pub place: usize,
    /// The instruction's name.
    pub name: &'static str,
    /// Its operands as the reference's assembly has them, `{arg,0}`; those that have a value before it with that value.
    pub operands: Vec<String>,
    /// The gas before it.
    pub gas_before: u64,
    /// The gas after it.
    pub gas_after: u64,
    /// The top of the stack after it.
    pub top: Option<String>,
    /// The text of the error in which it ended, before anything caught it.
    pub fault: Option<String>,
}

type Watcher = Box<dyn FnMut(Performed)>;

thread_local! {
    static WATCHER: RefCell<Option<Watcher>> = const { RefCell::new(None) };
}

/// Tells `watcher` of every instruction that programs perform on this thread while `during` runs. It changes no result:
/// only what is told goes out, and calls take longer.
pub fn watched<T>(watcher: impl FnMut(Performed) + 'static, during: impl FnOnce() -> T) -> T {
    /// Puts back who watched before, even where `during` panics.
    struct Before(Option<Watcher>);
    impl Drop for Before {
        fn drop(&mut self) {
            WATCHER.set(self.0.take());
        }
    }
    let _before = Before(WATCHER.replace(Some(Box::new(watcher))));
    during()
}

/// Does anybody watch this thread?
pub(crate) fn is_watched() -> bool {
    WATCHER.with_borrow(Option::is_some)
}

/// What is to be told of an instruction, as far as it is known before.
pub(crate) fn before(machine: &Machine<'_>, instruction: &Instruction, place: usize) -> Performed {
    Performed {
        contract: machine.contract,
        function: machine.function.id,
        block: machine.block,
        place,
        name: instruction.opcode.name,
        operands: instruction.operands.iter().map(|operand| shown(machine, operand)).collect(),
        gas_before: machine.gas,
        gas_after: machine.gas,
        top: None,
        fault: None,
    }
}

/// Tells it, with what came of it.
pub(crate) fn tell(machine: &Machine<'_>, performed: Performed, trap: Option<&Trap>) {
    let top = machine.stack.last().map(printed);
    let told = Performed { gas_after: machine.gas, top, fault: trap.map(fault), ..performed };
    // Taken out meanwhile, so that whoever watches may run programs, too.
    let Some(mut watcher) = WATCHER.take() else { return };
    watcher(told);
    WATCHER.set(Some(watcher));
}

fn shown(machine: &Machine<'_>, operand: &Operand) -> String {
    let place = match operand {
        Operand::Stack => return "{stack,0}".to_owned(),
        Operand::Immediate(value) => return format!("{{immediate,{}}}", printed(value)),
        Operand::Argument(index) => format!("{{arg,{index}}}"),
        Operand::Variable(index) => format!("{{var,{index}}}"),
        Operand::Register(register) => return format!("{{var,-{register}}}"),
        Operand::Far(FarPlace { argument: true, name }) => format!("{{arg,{}}}", printed(name)),
        Operand::Far(FarPlace { name, .. }) => format!("{{var,{}}}", printed(name)),
    };
    match machine.memory.get(operand) {
        Some(value) => format!("{place}={}", printed(value)),
        None => place,
    }
}

fn fault(trap: &Trap) -> String {
    let text = match &trap.cause {
        Cause::Fault(fault) => fault.text(),
        Cause::Exit(text) => [b"exit: ", &text[..]].concat(),
        Cause::Revert(text) => [b"revert: ", &text[..]].concat(),
        Cause::Crash(what) => format!("crash: {what}").into_bytes(),
        Cause::Limit(what) => format!("more {what} than the operator allows").into_bytes(),
        Cause::Host(error) => error.to_string().into_bytes(),
    };
    cut(&text)
}

/// A value on one line, cut.
fn printed(value: &Value) -> String {
    cut(&print(value, Layout::Line))
}

fn cut(text: &[u8]) -> String {
    let shown = String::from_utf8_lossy(text.get(..WIDTH).unwrap_or(text)).into_owned();
    if text.len() > WIDTH { shown + "…" } else { shown }
}

/// How a value is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout<'a> {
    /// Over several lines, cut off at a depth, after this text: as in most error texts.
    Folded(&'a [u8]),
    /// On one line, cut off at a depth.
    Line,
    /// On one line, all of it down to a depth of 1000.
    Full,
}

/// A value as the reference prints it in its error texts, which are under consensus (`docs/protocol/contracts` §2.5). The
/// text of [`Layout::Folded`] comes first.
pub fn print(value: &Value, layout: Layout<'_>) -> Vec<u8> {
    let mut text = Vec::new();
    match layout {
        Layout::Folded(lead) => {
            text.extend_from_slice(lead);
            let line = lead.iter().rev().take_while(|byte| **byte != b'\n').count();
            text.extend(pretty(&Term::of(value, DEPTH), DEPTH, line + 1));
        }
        Layout::Line => plain(&Term::of(value, DEPTH), DEPTH, &mut text),
        Layout::Full => plain(&Term::of(value, FULL), usize::MAX, &mut text),
    }
    text
}

/// The keys of a map in the order in which the reference walks it (`docs/protocol/contracts` §2.8); none where that cannot be
/// known for maps with such keys.
pub fn walk_order(map: &Map) -> Option<Vec<Value>> {
    let known = erlang::order::is_known(map);
    known.then(|| erlang::order::entries(map).into_iter().map(|(key, _)| key.clone()).collect())
}

/// What instructions on strings make of a text (`docs/protocol/contracts` §2.9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cases {
    /// Its characters in composed form.
    pub composed: Vec<char>,
    /// In upper case.
    pub upper: String,
    /// In lower case.
    pub lower: String,
}

/// The forms of a text.
pub fn cases(text: &str) -> Cases {
    Cases { composed: unicode::composed(text), upper: unicode::upper(text), lower: unicode::lower(text) }
}
