//! Arithmetic.

use num_bigint::BigInt;
use num_traits::Signed;

use crate::code::Operand;
use crate::fault::Fault;
use crate::integer::Integer;
use crate::machine::{Machine, Outcome, Step};
use crate::op::{behind, read_all};
use crate::value::Value;

/// The inputs of an operation on two integers.
#[inline]
fn two(machine: &mut Machine<'_>, operands: &[Operand], word: &'static str) -> Outcome<(Integer, Integer)> {
    let left = machine.read(&operands[1])?;
    let right = machine.read(&operands[2])?;
    match (left, right) {
        (Value::Integer(left), Value::Integer(right)) => Ok((left, right)),
        (left, right) => Err(machine.bad_arguments(word, vec![left, right])),
    }
}

/// Charges and writes a result.
#[inline]
fn finish(machine: &mut Machine<'_>, operands: &[Operand], result: Integer) -> Step {
    machine.charge_cells(cells_of(&result))?;
    machine.done(&operands[0], result)
}

#[inline]
fn cells_of(number: &Integer) -> i64 {
    i64::try_from(number.words()).unwrap_or(i64::MAX)
}

/// Counts the work of multiplying or dividing long numbers, of which gas knows the result only.
#[inline]
fn toil(machine: &mut Machine<'_>, left: &Integer, right: &Integer) -> Outcome<()> {
    if left.small().is_some() || right.small().is_some() {
        return Ok(());
    }
    machine.work(left.words().saturating_mul(right.words()))
}

pub(crate) fn inca(machine: &mut Machine<'_>, _: &[Operand]) -> Step {
    step(machine, &Operand::Stack, 1)
}

pub(crate) fn inc(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    step(machine, &operands[0], 1)
}

pub(crate) fn deca(machine: &mut Machine<'_>, _: &[Operand]) -> Step {
    step(machine, &Operand::Stack, -1)
}

pub(crate) fn dec(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    step(machine, &operands[0], -1)
}

fn step(machine: &mut Machine<'_>, place: &Operand, by: i64) -> Step {
    if let Some(result) = machine.small(place).and_then(|number| number.checked_add(by)) {
        return machine.done(place, result);
    }
    match machine.read(place)? {
        Value::Integer(number) => {
            if number.small().is_none() {
                machine.work(number.bytes())?;
            }
            machine.done(place, number.plus(&Integer::from(by)))
        }
        other => Err(machine.mismatch(other, "integer")),
    }
}

pub(crate) fn add(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    if let Some((left, right)) = machine.two_small(operands)
        && let Some(result) = left.checked_add(right)
    {
        machine.charge_cell()?;
        return machine.done(&operands[0], result);
    }
    let (left, right) = two(machine, operands, "add")?;
    finish(machine, operands, left.plus(&right))
}

pub(crate) fn sub(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    if let Some((left, right)) = machine.two_small(operands)
        && let Some(result) = left.checked_sub(right)
    {
        machine.charge_cell()?;
        return machine.done(&operands[0], result);
    }
    let (left, right) = two(machine, operands, "sub")?;
    finish(machine, operands, left.minus(&right))
}

pub(crate) fn mul(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    if let Some((left, right)) = machine.two_small(operands)
        && let Some(result) = left.checked_mul(right)
    {
        machine.charge_cell()?;
        return machine.done(&operands[0], result);
    }
    let (left, right) = two(machine, operands, "mul")?;
    toil(machine, &left, &right)?;
    finish(machine, operands, left.times(&right))
}

pub(crate) fn div(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let (left, right) = two(machine, operands, "'div'")?;
    toil(machine, &left, &right)?;
    let quotient = left.quotient(&right);
    let quotient =
        quotient.ok_or_else(|| machine.fault(Fault::Fixed("Arithmetic error: division by zero")))?;
    finish(machine, operands, quotient)
}

pub(crate) fn modulo(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let (left, right) = two(machine, operands, "mod")?;
    toil(machine, &left, &right)?;
    let remainder = left.remainder(&right).ok_or_else(|| mod_by_zero(machine))?;
    finish(machine, operands, remainder)
}

fn mod_by_zero(machine: &Machine<'_>) -> Box<crate::trap::Trap> {
    machine.fault(Fault::Fixed("Arithmetic error: mod by zero"))
}

pub(crate) fn mulmod(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let [a, b, modulus] = read_all(machine, behind::<3>(operands))?;
    let (Value::Integer(x), Value::Integer(y), Value::Integer(q)) = (&a, &b, &modulus) else {
        return Err(machine.bad_arguments("mulmod", vec![a, b, modulus]));
    };
    toil(machine, x, y)?;
    let product = x.times(y);
    toil(machine, &product, q)?;
    let result = product.remainder(q).ok_or_else(|| mod_by_zero(machine))?;
    finish(machine, operands, result)
}

/// By squaring from the low bit; each step is charged before it is done, also a last squaring that nobody needs.
pub(crate) fn pow(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let base = machine.read(&operands[1])?;
    let exponent = machine.read(&operands[2])?;
    let (Value::Integer(base), Value::Integer(exponent)) = (base, exponent) else {
        return Err(machine.crash("a power of what is no number"));
    };
    if exponent.is_negative() {
        return Err(machine.fault(Fault::arithmetic("negative_exponent")));
    }
    let (mut base, mut result) = (base, Integer::from(1));
    let exponent = exponent.to_big();
    for position in 0..exponent.bits() {
        if exponent.bit(position) {
            machine.charge_cells(cells_of(&result).saturating_add(cells_of(&base).saturating_mul(3)))?;
            toil(machine, &result, &base)?;
            result = result.times(&base);
        } else {
            machine.charge_cells(cells_of(&base).saturating_mul(2))?;
        }
        if position + 1 < exponent.bits() {
            toil(machine, &base, &base)?;
            base = base.times(&base);
        }
    }
    machine.done(&operands[0], result)
}

pub(crate) fn band(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let (left, right) = two(machine, operands, "'band'")?;
    finish(machine, operands, (left.to_big() & right.to_big()).into())
}

pub(crate) fn bor(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let (left, right) = two(machine, operands, "'bor'")?;
    finish(machine, operands, (left.to_big() | right.to_big()).into())
}

pub(crate) fn bxor(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let (left, right) = two(machine, operands, "'bxor'")?;
    finish(machine, operands, (left.to_big() ^ right.to_big()).into())
}

pub(crate) fn bnot(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    match machine.read(&operands[1])? {
        Value::Integer(number) => {
            let result = Integer::from(-1).minus(&number);
            finish(machine, operands, result)
        }
        other => Err(machine.bad_arguments("'bnot'", vec![other])),
    }
}

pub(crate) fn bsl(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let number = machine.read(&operands[1])?;
    let by = machine.read(&operands[2])?;
    let Value::Integer(count) = &by else { return Err(machine.crash("a shift by what is no number")) };
    machine.charge_many_cells(&limbs(count))?;
    let Value::Integer(number) = &number else {
        return Err(machine.bad_arguments("'bsl'", vec![number, by]));
    };
    toil_of_shift(machine, count)?;
    let result = shifted_left(&number.to_big(), count).ok_or_else(|| machine.crash("a shift too far"))?;
    machine.done(&operands[0], Integer::from(result))
}

pub(crate) fn bsr(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let (number, by) = two(machine, operands, "'bsr'")?;
    let back = Integer::ZERO.minus(&by);
    if !back.is_negative() && !number.is_zero() {
        // A shift to the left: what does not fit the gas is not computed.
        let limbs = back.to_u64().map(|bits| bits / 64);
        match limbs {
            None => return Err(machine.crash("a shift too far")),
            Some(limbs) if limbs > machine.gas => return Err(machine.fault(Fault::OUT_OF_GAS)),
            Some(_) => {}
        }
    }
    toil_of_shift(machine, &back)?;
    let result = shifted_left(&number.to_big(), &back).ok_or_else(|| machine.crash("a shift too far"))?;
    finish(machine, operands, result.into())
}

/// Counts the work of making room for so many bits.
pub(crate) fn toil_of_shift(machine: &mut Machine<'_>, by: &Integer) -> Outcome<()> {
    machine.work(by.to_u64().unwrap_or_default() / 8)
}

/// One more than the limbs of so many bits, as the reference rounds.
pub(crate) fn limbs(bits: &Integer) -> Integer {
    bits.quotient(&Integer::from(64)).unwrap_or_default().plus(&Integer::from(1))
}

/// To the right for negative counts, rounding down. The caller has paid for the result, or checked that it can be.
pub(crate) fn shifted_left(number: &BigInt, by: &Integer) -> Option<BigInt> {
    match by.small() {
        Some(by) if by >= 0 => Some(number << by),
        Some(by) => Some(number >> by.unsigned_abs()),
        None if by.is_negative() => Some(BigInt::from(if number.is_negative() { -1 } else { 0 })),
        None => None,
    }
}
