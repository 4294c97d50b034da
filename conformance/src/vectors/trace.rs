//! An execution, instruction by instruction, for comparing by hand.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::rc::Rc;

use strait_encoding::ContractId;
use strait_fate::{Code, Container, FunctionId, Performed, watched};
use strait_ledger::{CallObject, Trees};

use super::VectorNews;
use super::place::{Place, Read};
use super::wanted::returned;
use super::world::{Outcome, World};

/// How many lines a trace has at most.
const MAX_LINES: usize = 100_000;

/// Applies a step, and tells every instruction that it performs: contract, function, block and place in it, name, operands,
/// gas before and after, what it cost, and what is on top of the stack then.
pub(super) fn traced(world: &World, step: &Place<'_>, told: &mut impl FnMut(VectorNews)) -> Read<Outcome> {
    let lines: Rc<RefCell<(Vec<Performed>, usize)>> = Rc::default();
    let kept = Rc::clone(&lines);
    let keep = move |performed| {
        let mut kept = kept.borrow_mut();
        if kept.0.len() < MAX_LINES {
            kept.0.push(performed);
        } else {
            kept.1 += 1;
        }
    };
    let outcome = watched(keep, || world.apply(step))?;
    let after = match &outcome {
        Outcome::Applied(next) => next,
        _ => &world.trees,
    };
    let mut names = Names { after, codes: BTreeMap::new() };
    let (performed, more) = lines.take();
    for one in &performed {
        told(VectorNews::Trace(names.line(one)));
    }
    if more > 0 {
        told(VectorNews::Trace(format!("… and {more} instructions more")));
    }
    let calls = after.calls.iter().filter_map(|(_, bytes)| CallObject::decode(bytes).ok());
    for call in calls.filter(|_| matches!(outcome, Outcome::Applied(_))) {
        let (kind, value) = returned(&call);
        let (value, gas) = (hex::encode(value), call.gas_used);
        told(VectorNews::Trace(format!("{} returned {kind} {value}, gas used {gas}", call.contract)));
    }
    Ok(outcome)
}

/// The names that contracts give to their functions.
struct Names<'a> {
    after: &'a Trees,
    codes: BTreeMap<ContractId, Option<Code>>,
}

impl Names<'_> {
    fn line(&mut self, performed: &Performed) -> String {
        let Performed { contract, function, block, place, name, operands, gas_before, gas_after, .. } =
            performed;
        let cost = gas_before.saturating_sub(*gas_after);
        let function = self.name(*contract, *function);
        let mut line = format!("{contract} {function} {block}:{place} {name} {}", operands.join(" "));
        // Writing to a string cannot fail.
        let _ = write!(line, " | gas {gas_before} -> {gas_after} ({cost})");
        if let Some(top) = &performed.top {
            let _ = write!(line, " | top {top}");
        }
        if let Some(fault) = &performed.fault {
            let _ = write!(line, " | {fault}");
        }
        line
    }

    fn name(&mut self, contract: ContractId, function: FunctionId) -> String {
        let after = self.after;
        let code = self.codes.entry(contract).or_insert_with(|| {
            let bytes = after.code(&after.contract(contract)?)?;
            Code::decode(&Container::decode(&bytes).ok()?.byte_code).ok()
        });
        let named = code.as_ref().and_then(|code| code.name_of(function));
        named.unwrap_or_else(|| hex::encode(function))
    }
}
