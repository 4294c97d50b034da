//! Tuples, lists and variants.

use crate::code::Operand;
use crate::fault::{Fault, Shown};
use crate::integer::Integer;
use crate::list::List;
use crate::machine::{Machine, Outcome, Step};
use crate::op::control::literal;
use crate::op::{behind, read_all};
use crate::value::Value;

/// Takes values from the stack; the one on top comes last.
fn pop_fields(machine: &mut Machine<'_>, count: &Integer) -> Outcome<Vec<Value>> {
    let count = count.to_u64().and_then(|count| usize::try_from(count).ok());
    match count {
        Some(count) if count <= machine.stack.len() => {
            machine.cells -= count as i64;
            Ok(machine.stack.split_off(machine.stack.len() - count))
        }
        _ => Err(machine.empty_stack(1)),
    }
}

fn index(value: &Integer) -> Option<usize> {
    value.to_u64().and_then(|index| usize::try_from(index).ok())
}

pub(crate) fn tuple(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let size = match literal(machine, &operands[1])? {
        Value::Integer(size) if !size.is_negative() => size.clone(),
        other => return Err(machine.fault(Fault::one("Invalid tuple size: ", Shown::Value(other.clone())))),
    };
    let fields = pop_fields(machine, &size)?;
    machine.charge_cells(fields.len() as i64 + 2)?;
    machine.done(&operands[0], Value::tuple(fields))
}

fn out_of_bounds(machine: &Machine<'_>, index: &Integer) -> Box<crate::trap::Trap> {
    let index = Shown::Value(Value::Integer(index.clone()));
    machine.fault(Fault::one("Bad index argument to element, Index: ", index))
}

pub(crate) fn element(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let [which, of] = read_all(machine, behind::<2>(operands))?;
    match (&which, &of) {
        (Value::Integer(number), Value::Tuple(fields)) if !number.is_negative() => {
            let field = index(number).and_then(|index| fields.get(index)).cloned();
            let field = field.ok_or_else(|| out_of_bounds(machine, number))?;
            machine.done(&operands[0], field)
        }
        _ => Err(machine.bad_arguments("element", vec![which, of])),
    }
}

pub(crate) fn setelement(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let [which, of, new] = read_all(machine, behind::<3>(operands))?;
    match (&which, &of) {
        (Value::Integer(number), Value::Tuple(fields)) if !number.is_negative() => {
            let index = index(number).filter(|index| *index < fields.len());
            let index = index.ok_or_else(|| out_of_bounds(machine, number))?;
            machine.charge_cells(fields.len() as i64 + 2)?;
            let mut fields = fields.to_vec();
            fields[index] = new;
            machine.done(&operands[0], Value::tuple(fields))
        }
        _ => Err(machine.crash("a new element for what is no tuple")),
    }
}

fn read_list(machine: &mut Machine<'_>, operand: &Operand, word: &'static str) -> Outcome<List> {
    match machine.read(operand)? {
        Value::List(list) => Ok(list),
        other => Err(machine.bad_arguments(word, vec![other])),
    }
}

pub(crate) fn is_nil(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let list = read_list(machine, &operands[1], "is_nil")?;
    machine.done(&operands[0], Value::Boolean(list.is_empty()))
}

pub(crate) fn cons(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let [head, tail] = read_all(machine, behind::<2>(operands))?;
    let Value::List(list) = tail else { return Err(machine.bad_arguments("cons", vec![head, tail])) };
    machine.write(&operands[0], Value::List(list.prepend(head)))?;
    machine.charge_cells(2)?;
    Ok(crate::machine::Flow::Next)
}

pub(crate) fn hd(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let list = read_list(machine, &operands[1], "hd")?;
    match list.split_first() {
        Some((head, _)) => machine.done(&operands[0], head.clone()),
        None => Err(machine.fault(Fault::Fixed("Head on empty list"))),
    }
}

pub(crate) fn tl(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let list = read_list(machine, &operands[1], "tl")?;
    match list.split_first() {
        Some((_, tail)) => machine.done(&operands[0], Value::List(tail.clone())),
        None => Err(machine.fault(Fault::Fixed("Tail on empty list"))),
    }
}

pub(crate) fn length(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    if machine.vm >= 7 {
        return Err(machine.fault(Fault::primitive("length", "not_supported")));
    }
    let list = read_list(machine, &operands[1], "length")?;
    machine.done(&operands[0], Value::from(list.len() as u64))
}

pub(crate) fn nil(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    machine.done(&operands[0], Value::List(List::EMPTY))
}

pub(crate) fn append(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let [first, second] = read_all(machine, behind::<2>(operands))?;
    let (Value::List(front), Value::List(back)) = (&first, &second) else {
        return Err(machine.bad_arguments("append", vec![first, second]));
    };
    let size = front.len();
    // The price is known before the copy is made, and charged after the result is written.
    machine.work(size as u64)?;
    let joined = List::chain(front.iter().cloned().collect(), back.clone());
    machine.write(&operands[0], Value::List(joined))?;
    machine.charge_cells(size as i64 * 2)?;
    Ok(crate::machine::Flow::Next)
}

pub(crate) fn variant(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let [arities, tag, count] = read_all(machine, behind::<3>(operands))?;
    let Some((known, constructor, size)) = shape(&arities, &tag, &count) else {
        return Err(machine.bad_arguments("make_variant", vec![arities, tag, count]));
    };
    let fields = pop_fields(machine, &size)?;
    machine.charge_cells(known.len() as i64 * 2 + fields.len() as i64 + 4)?;
    machine.done(&operands[0], Value::variant(known, constructor, fields))
}

/// The arities, the constructor and its number of fields, if they fit together.
fn shape(arities: &Value, tag: &Value, count: &Value) -> Option<(Vec<i16>, usize, Integer)> {
    let (Value::List(arities), Value::Integer(tag), Value::Integer(count)) = (arities, tag, count) else {
        return None;
    };
    let arity = |value: &Value| match value {
        Value::Integer(arity) => arity.small().filter(|arity| arity.abs() <= 255),
        _ => None,
    };
    let tag = index(tag).filter(|tag| *tag < arities.len())?;
    let arities: Option<Vec<i64>> = arities.iter().map(arity).collect();
    let arities = arities?;
    if count.is_negative() || count.small() != Some(arities[tag]) {
        return None;
    }
    let arities = arities.into_iter().map(|arity| i16::try_from(arity).unwrap_or(i16::MAX)).collect();
    Some((arities, tag, count.clone()))
}

pub(crate) fn variant_test(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let [of, tag] = read_all(machine, behind::<2>(operands))?;
    match (&of, &tag) {
        (Value::Variant(variant), Value::Integer(tag)) if !tag.is_negative() => {
            let is_it = index(tag) == Some(variant.tag);
            machine.done(&operands[0], Value::Boolean(is_it))
        }
        _ => Err(machine.bad_arguments("variant_test", vec![of, tag])),
    }
}

pub(crate) fn variant_element(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let [of, which] = read_all(machine, behind::<2>(operands))?;
    let field = match (&of, &which) {
        (Value::Variant(variant), Value::Integer(which)) if !which.is_negative() => {
            index(which).and_then(|index| variant.fields.get(index)).cloned()
        }
        _ => None,
    };
    match field {
        Some(field) => machine.done(&operands[0], field),
        None => Err(machine.bad_arguments("variant_element", vec![of, which])),
    }
}
