//! Comparisons and booleans.

use std::cmp::Ordering;

use crate::code::Operand;
use crate::gas::UNFOLD_COMPARE;
use crate::machine::{Machine, Step};
use crate::order::{compare, is_ordered};
use crate::value::Value;

/// The gas for looking through one small number.
const SMALL_TRAVERSAL: u64 = 1;

#[inline]
fn comparison(machine: &mut Machine<'_>, operands: &[Operand], holds: fn(Ordering) -> bool) -> Step {
    if let Some((left, right)) = machine.two_small(operands) {
        machine.charge(2 * SMALL_TRAVERSAL)?;
        return machine.done(&operands[0], Value::Boolean(holds(left.cmp(&right))));
    }
    let left = machine.read(&operands[1])?;
    let left = machine.unfold(left, UNFOLD_COMPARE)?;
    let right = machine.read(&operands[2])?;
    let right = machine.unfold(right, UNFOLD_COMPARE)?;
    if !is_ordered(&left) || !is_ordered(&right) {
        return Err(machine.crash("a comparison of types"));
    }
    machine.done(&operands[0], Value::Boolean(holds(compare(&left, &right))))
}

pub(crate) fn lt(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    comparison(machine, operands, Ordering::is_lt)
}

pub(crate) fn gt(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    comparison(machine, operands, Ordering::is_gt)
}

pub(crate) fn eq(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    comparison(machine, operands, Ordering::is_eq)
}

pub(crate) fn elt(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    comparison(machine, operands, Ordering::is_le)
}

pub(crate) fn egt(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    comparison(machine, operands, Ordering::is_ge)
}

pub(crate) fn neq(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    comparison(machine, operands, Ordering::is_ne)
}

pub(crate) fn and(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    connective(machine, operands, "'and'", |left, right| left & right)
}

pub(crate) fn or(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    connective(machine, operands, "'or'", |left, right| left | right)
}

fn connective(
    machine: &mut Machine<'_>,
    operands: &[Operand],
    word: &'static str,
    combine: fn(bool, bool) -> bool,
) -> Step {
    let left = machine.read(&operands[1])?;
    let right = machine.read(&operands[2])?;
    match (left, right) {
        (Value::Boolean(left), Value::Boolean(right)) => {
            machine.done(&operands[0], Value::Boolean(combine(left, right)))
        }
        (left, right) => Err(machine.bad_arguments(word, vec![left, right])),
    }
}

pub(crate) fn not(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    match machine.read(&operands[1])? {
        Value::Boolean(value) => machine.done(&operands[0], Value::Boolean(!value)),
        other => Err(machine.mismatch(other, "boolean")),
    }
}
