//! Control flow, the stack and memory.

use crate::code::{INIT, Operand};
use crate::fault::{Fault, Shown};
use crate::machine::{Flow, Machine, Memory, Outcome, Step};
use crate::trap::Cause;
use crate::value::{Value, Variant};

pub(crate) fn return_(machine: &mut Machine<'_>, _: &[Operand]) -> Step {
    machine.leave()
}

pub(crate) fn returnr(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let value = machine.read(&operands[0])?;
    machine.push(value)?;
    machine.leave()
}

pub(crate) fn call(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    call_local(machine, &operands[0], false)
}

pub(crate) fn call_t(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    call_local(machine, &operands[0], true)
}

fn call_local(machine: &mut Machine<'_>, operand: &Operand, tail: bool) -> Step {
    let name = machine.read(operand)?;
    let code = std::sync::Arc::clone(&machine.code);
    let function = machine.find_function(&code, &name, false, false, true)?;
    let arguments = machine.pop_arguments(function.arguments.len())?;
    if function.id == INIT && machine.vm != 5 {
        return Err(machine.fault(Fault::Fixed("Calling init is not allowed in this context")));
    }
    if !tail {
        let frame = machine.frame();
        machine.calls.push(frame);
    }
    machine.memory = Memory::of(arguments);
    machine.function = function;
    machine.block = 0;
    Ok(Flow::Enter)
}

pub(crate) fn jump(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    jump_to(machine, &operands[0])
}

pub(crate) fn jumpif(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let target = &operands[1];
    literal(machine, target)?;
    match machine.read(&operands[0])? {
        Value::Boolean(true) => jump_to(machine, target),
        Value::Boolean(false) => Ok(Flow::Next),
        other => Err(machine.mismatch(other, "boolean")),
    }
}

pub(crate) fn switch_v2(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    switch(machine, operands)
}

pub(crate) fn switch_v3(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    switch(machine, operands)
}

fn switch(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let targets = &operands[1..];
    for target in targets {
        literal(machine, target)?;
    }
    let variant = read_variant(machine, &operands[0])?;
    if variant.arities.len() != targets.len() {
        let size = Shown::Value(Value::from(variant.arities.len() as u64));
        return Err(machine.fault(Fault::one("Type error in switch: wrong size ", size)));
    }
    match targets.get(variant.tag) {
        Some(target) => jump_to(machine, target),
        None => Err(bad_tag(machine, variant.tag)),
    }
}

pub(crate) fn switch_vn(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let Value::List(targets) = literal(machine, &operands[1])?.clone() else {
        return Err(machine.crash("targets of a switch that are no list"));
    };
    let variant = read_variant(machine, &operands[0])?;
    match targets.iter().nth(variant.tag) {
        Some(target) if variant.arities.len() == targets.len() => {
            let target = Operand::Immediate(target.clone());
            jump_to(machine, &target)
        }
        _ => Err(bad_tag(machine, variant.tag)),
    }
}

fn bad_tag(machine: &Machine<'_>, tag: usize) -> Box<crate::trap::Trap> {
    let tag = Shown::Value(Value::from(tag as u64));
    machine.fault(Fault::framed("Type error in switch: tag ", tag, " is larger than switch op"))
}

fn read_variant(machine: &mut Machine<'_>, operand: &Operand) -> Outcome<std::sync::Arc<Variant>> {
    match machine.read(operand)? {
        Value::Variant(variant) => Ok(variant),
        other => Err(machine.mismatch(other, "variant")),
    }
}

/// An operand that has to stand in the code.
pub(crate) fn literal<'o>(machine: &Machine<'_>, operand: &'o Operand) -> Outcome<&'o Value> {
    match operand {
        Operand::Immediate(value) => Ok(value),
        _ => Err(machine.crash("an operand that should stand in the code")),
    }
}

fn jump_to(machine: &Machine<'_>, operand: &Operand) -> Step {
    let value = literal(machine, operand)?;
    let block = match value {
        Value::Integer(block) => block.to_u64().and_then(|block| usize::try_from(block).ok()),
        _ => None,
    };
    block.map(Flow::Jump).ok_or_else(|| machine.no_block(value.clone()))
}

pub(crate) fn push(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let value = machine.read(&operands[0])?;
    machine.push(value)?;
    Ok(Flow::Next)
}

pub(crate) fn dupa(machine: &mut Machine<'_>, _: &[Operand]) -> Step {
    dup_from(machine, Some(0))
}

pub(crate) fn dup(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let depth = match machine.read(&operands[0])? {
        Value::Integer(depth) => depth.to_u64().and_then(|depth| usize::try_from(depth).ok()),
        _ => None,
    };
    dup_from(machine, depth)
}

fn dup_from(machine: &mut Machine<'_>, depth: Option<usize>) -> Step {
    let value = depth.and_then(|depth| machine.stack.iter().rev().nth(depth)).cloned();
    let value = value.ok_or_else(|| machine.crash("a copy of what is not on the stack"))?;
    machine.push(value)?;
    Ok(Flow::Next)
}

pub(crate) fn pop(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let value = machine.pop()?;
    machine.done(&operands[0], value)
}

pub(crate) fn store(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let value = machine.read(&operands[1])?;
    machine.done(&operands[0], value)
}

pub(crate) fn abort(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    match machine.read(&operands[0])? {
        Value::String(text) => Err(machine.trap(Cause::Revert(text))),
        other => Err(machine.mismatch(other, "string")),
    }
}

pub(crate) fn exit(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    match machine.read(&operands[0])? {
        Value::String(text) => Err(machine.trap(Cause::Exit(text))),
        other => Err(machine.mismatch(other, "string")),
    }
}

#[allow(clippy::unnecessary_wraps)] // the shape of an instruction
pub(crate) fn nop(_: &mut Machine<'_>, _: &[Operand]) -> Step {
    Ok(Flow::Next)
}

/// Instructions for debuggers, which released machines do not know.
pub(crate) fn debug(machine: &mut Machine<'_>, _: &[Operand]) -> Step {
    Err(machine.crash("an instruction for debuggers"))
}
