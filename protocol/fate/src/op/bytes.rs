//! Byte strings, and the bytes of other things.

use num_bigint::{BigInt, Sign};

use crate::code::Operand;
use crate::fault::{Fault, Shown};
use crate::integer::Integer;
use crate::machine::{Machine, Outcome, Step};
use crate::op::{behind, read_all, words_of};
use crate::value::{Octets, Value};

fn read_bytes(machine: &mut Machine<'_>, operand: &Operand, word: &'static str) -> Outcome<Octets> {
    match machine.read(operand)? {
        Value::Bytes(bytes) => Ok(bytes),
        other => Err(machine.bad_arguments(word, vec![other])),
    }
}

pub(crate) fn bytes_to_int(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let bytes = read_bytes(machine, &operands[1], "bytes_to_int")?;
    machine.work(bytes.len() as u64)?;
    machine.done(&operands[0], Integer::from_magnitude(false, &bytes))
}

pub(crate) fn bytes_to_str(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let bytes = read_bytes(machine, &operands[1], "bytes_to_str")?;
    let digits = |byte: &u8| [byte >> 4, byte & 15].map(|digit| b"0123456789ABCDEF"[usize::from(digit)]);
    let text: Vec<u8> = bytes.iter().flat_map(digits).collect();
    machine.charge_cells(words_of(text.len()) + 1)?;
    machine.done(&operands[0], Value::string(text))
}

pub(crate) fn bytes_concat(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let [first, second] = read_all(machine, behind::<2>(operands))?;
    let (Value::Bytes(a), Value::Bytes(b)) = (&first, &second) else {
        return Err(machine.bad_arguments("bytes_concat", vec![first, second]));
    };
    let joined = [&a[..], b].concat();
    machine.charge_cells(words_of(joined.len()))?;
    machine.done(&operands[0], Value::bytes(joined))
}

fn halves(machine: &mut Machine<'_>, bytes: &Octets, at: Option<usize>) -> Outcome<Option<[Value; 2]>> {
    let split = at.and_then(|at| bytes.split_at_checked(at));
    let Some((left, right)) = split else { return Ok(None) };
    machine.work(bytes.len() as u64)?;
    Ok(Some([Value::bytes(left), Value::bytes(right)]))
}

fn position(number: &Integer) -> Option<usize> {
    number.to_u64().and_then(|at| usize::try_from(at).ok())
}

pub(crate) fn bytes_split(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let [of, at] = read_all(machine, behind::<2>(operands))?;
    let split = match (&of, &at) {
        (Value::Bytes(bytes), Value::Integer(at)) => halves(machine, bytes, position(at))?,
        _ => None,
    };
    let Some(halves) = split else { return Err(machine.bad_arguments("bytes_split", vec![of, at])) };
    machine.write(&operands[0], Value::tuple(halves.to_vec()))?;
    machine.charge_cells(4)?;
    Ok(crate::machine::Flow::Next)
}

pub(crate) fn bytes_split_any(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let [of, at] = read_all(machine, behind::<2>(operands))?;
    let (Value::Bytes(bytes), Value::Integer(number)) = (&of, &at) else {
        return Err(machine.bad_arguments("bytes_split_any", vec![of, at]));
    };
    // Zero and negative numbers count from the end.
    let from_start = if number.is_negative() || number.is_zero() {
        number.plus(&Integer::from(bytes.len() as u64))
    } else {
        number.clone()
    };
    let Some([left, right]) = halves(machine, bytes, position(&from_start))? else {
        return machine.done(&operands[0], Value::none());
    };
    let size = |half: &Value| if let Value::Bytes(bytes) = half { words_of(bytes.len()) } else { 0 };
    machine.charge_cells(size(&left) + size(&right))?;
    machine.charge_cells(4)?;
    machine.done(&operands[0], Value::some(Value::tuple(vec![left, right])))
}

pub(crate) fn bytes_size(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let bytes = read_bytes(machine, &operands[1], "bytes_size")?;
    machine.charge_cells(1)?;
    machine.done(&operands[0], bytes.len() as u64)
}

pub(crate) fn bytes_to_fixed_size(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let [of, size] = read_all(machine, behind::<2>(operands))?;
    let (Value::Bytes(bytes), Value::Integer(wanted)) = (&of, &size) else {
        return Err(machine.bad_arguments("bytes_to_fixed_size", vec![of, size]));
    };
    let fits = position(wanted) == Some(bytes.len());
    machine.done(&operands[0], if fits { Value::some(of) } else { Value::none() })
}

pub(crate) fn int_to_bytes(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let [number, size] = read_all(machine, behind::<2>(operands))?;
    let (Value::Integer(integer), Value::Integer(wanted)) = (&number, &size) else {
        return Err(machine.bad_arguments("int_to_bytes", vec![number, size]));
    };
    if wanted.is_negative() {
        return Err(machine.crash("bytes of a negative size"));
    }
    let count = position(wanted).ok_or_else(|| machine.crash("bytes of a size beyond memory"))?;
    if count as u64 / 8 > machine.gas {
        return Err(machine.fault(Fault::OUT_OF_GAS));
    }
    machine.work(count as u64)?;
    let bytes = truncated(&integer.to_big(), count);
    machine.charge_cells(words_of(bytes.len()) + 1)?;
    machine.done(&operands[0], Value::bytes(bytes))
}

/// The last bytes of the two's complement.
fn truncated(number: &BigInt, count: usize) -> Vec<u8> {
    let filler = if number.sign() == Sign::Minus { 0xff } else { 0 };
    let mut bytes = number.to_signed_bytes_le();
    bytes.resize(count, filler);
    bytes.reverse();
    bytes
}

pub(crate) fn int_to_addr(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    match machine.read(&operands[1])? {
        Value::Integer(_) => {
            let word = Shown::QuotedWord("INT_TO_ADDR");
            Err(machine.fault(Fault::framed("Error: operation ", word, " is disabled")))
        }
        other => Err(machine.bad_arguments("int_to_addr", vec![other])),
    }
}

pub(crate) fn address_to_bytes(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    match machine.read(&operands[1])? {
        Value::Address(bytes) => {
            machine.charge_cells(words_of(bytes.len()) + 1)?;
            machine.done(&operands[0], Value::Bytes(bytes))
        }
        other => Err(machine.bad_arguments("addr_to_bytes", vec![other])),
    }
}

pub(crate) fn contract_to_address(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    match machine.read(&operands[1])? {
        Value::Contract(bytes) => machine.done(&operands[0], Value::Address(bytes)),
        other => Err(machine.bad_arguments("contract_to_address", vec![other])),
    }
}

pub(crate) fn address_to_contract(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    match machine.read(&operands[1])? {
        Value::Address(bytes) => machine.done(&operands[0], Value::Contract(bytes)),
        other => Err(machine.bad_arguments("address_to_contract", vec![other])),
    }
}
