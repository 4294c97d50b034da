//! Sets of bits, finite or not.

use num_bigint::BigInt;
use num_traits::Signed;

use crate::code::Operand;
use crate::fault::Fault;
use crate::integer::Integer;
use crate::machine::{Flow, Machine, Outcome, Step};
use crate::op::integer::{limbs, shifted_left, toil_of_shift};
use crate::op::{behind, read_all};
use crate::value::{Bits, Value};

pub(crate) fn bits_nonea(machine: &mut Machine<'_>, _: &[Operand]) -> Step {
    constant(machine, &Operand::Stack, 0)
}

pub(crate) fn bits_none(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    constant(machine, &operands[0], 0)
}

pub(crate) fn bits_alla(machine: &mut Machine<'_>, _: &[Operand]) -> Step {
    constant(machine, &Operand::Stack, -1)
}

pub(crate) fn bits_all(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    constant(machine, &operands[0], -1)
}

fn constant(machine: &mut Machine<'_>, to: &Operand, bits: i64) -> Step {
    machine.charge_cells(1)?;
    machine.write(to, Value::bits(bits))?;
    Ok(Flow::Next)
}

pub(crate) fn bits_all_n(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let Value::Integer(count) = machine.read(&operands[1])? else {
        return Err(machine.crash("so many bits as is no number"));
    };
    machine.charge_many_cells(&limbs(&count))?;
    toil_of_shift(machine, &count)?;
    let power = shifted_left(&BigInt::from(1), &count);
    let power = power.ok_or_else(|| machine.crash("too many bits"))?;
    machine.done(&operands[0], Value::bits(power - 1))
}

/// The set and the position of an operation on one bit; the position is paid for.
fn at(machine: &mut Machine<'_>, operands: &[Operand], word: &'static str) -> Outcome<(Bits, u64)> {
    let [bits, position] = read_all(machine, behind::<2>(operands))?;
    let Value::Integer(number) = &position else { return Err(machine.crash("a position that is no number")) };
    machine.charge_many_cells(&limbs(number))?;
    let Value::Bits(bits) = &bits else { return Err(machine.bad_arguments(word, vec![bits, position])) };
    if number.is_negative() {
        return Err(machine.fault(Fault::arithmetic("negative_bit_position")));
    }
    let position = number.to_u64().ok_or_else(|| machine.crash("a position too far"))?;
    machine.work(bits.bits() / 8)?;
    toil_of_shift(machine, number)?;
    Ok((Bits::clone(bits), position))
}

pub(crate) fn bits_set(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let (bits, position) = at(machine, operands, "bits_set")?;
    machine.done(&operands[0], Value::bits(&*bits | (BigInt::from(1) << position)))
}

pub(crate) fn bits_clear(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let (bits, position) = at(machine, operands, "bits_clear")?;
    let others: BigInt = -(BigInt::from(1) << position) - 1;
    machine.done(&operands[0], Value::bits(&*bits & others))
}

pub(crate) fn bits_test(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let (bits, position) = at(machine, operands, "bits_test")?;
    machine.done(&operands[0], Value::Boolean(bits.bit(position)))
}

pub(crate) fn bits_sum(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    match machine.read(&operands[1])? {
        Value::Bits(bits) if bits.is_negative() => {
            Err(machine.fault(Fault::arithmetic("bits_sum_on_infinite_set")))
        }
        Value::Bits(bits) => {
            machine.work(bits.bits() / 8)?;
            let ones: u64 = bits.iter_u64_digits().map(|digit| u64::from(digit.count_ones())).sum();
            machine.done(&operands[0], ones)
        }
        other => Err(machine.bad_arguments("bits_sum", vec![other])),
    }
}

fn combination(
    machine: &mut Machine<'_>,
    operands: &[Operand],
    word: &'static str,
    combine: fn(&BigInt, &BigInt) -> BigInt,
) -> Step {
    let [left, right] = read_all(machine, behind::<2>(operands))?;
    match (&left, &right) {
        (Value::Bits(a), Value::Bits(b)) => {
            machine.work(a.bits().max(b.bits()) / 8)?;
            machine.done(&operands[0], Value::bits(combine(a, b)))
        }
        _ => Err(machine.bad_arguments(word, vec![left, right])),
    }
}

pub(crate) fn bits_or(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    combination(machine, operands, "bits_union", |a, b| a | b)
}

pub(crate) fn bits_and(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    combination(machine, operands, "bits_intersection", |a, b| a & b)
}

pub(crate) fn bits_diff(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    combination(machine, operands, "bits_difference", |a, b| (a & b) ^ a)
}

/// The number of a set, for those who need it as one.
pub(crate) fn number(bits: &Bits) -> Integer {
    Integer::from(BigInt::clone(bits))
}
