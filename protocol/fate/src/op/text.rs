//! Strings and characters.

use strait_encoding::text::{self, Prefix};

use crate::code::Operand;
use crate::fault::{Fault, Shown};
use crate::gas::SIMPLE;
use crate::machine::{Machine, Outcome, Step};
use crate::op::{behind, read_all, words_of};
use crate::unicode;
use crate::value::{Octets, Value};

/// The largest code point.
const LAST_CHARACTER: i64 = 0x0010_ffff;

fn read_string(machine: &mut Machine<'_>, operand: &Operand) -> Outcome<Octets> {
    match machine.read(operand)? {
        Value::String(bytes) => Ok(bytes),
        other => Err(machine.mismatch(other, "string")),
    }
}

/// Charges and writes a string.
fn finish(machine: &mut Machine<'_>, operands: &[Operand], bytes: Vec<u8>) -> Step {
    machine.charge_cells(words_of(bytes.len()) + 1)?;
    machine.done(&operands[0], Value::string(bytes))
}

/// The characters in composed form.
fn characters(machine: &mut Machine<'_>, bytes: Octets) -> Outcome<Vec<char>> {
    machine.work(bytes.len() as u64 * 16)?;
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(unicode::composed(text)),
        Err(_) => Err(machine.mismatch(Value::String(bytes), "string_utf8")),
    }
}

pub(crate) fn str_join(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let [first, second] = read_all(machine, behind::<2>(operands))?;
    let (Value::String(a), Value::String(b)) = (&first, &second) else {
        return Err(machine.bad_arguments("str_join", vec![first, second]));
    };
    let joined = [&a[..], b].concat();
    finish(machine, operands, joined)
}

pub(crate) fn str_length(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let bytes = read_string(machine, &operands[1])?;
    if machine.vm == 5 {
        return machine.done(&operands[0], bytes.len() as u64);
    }
    let count = characters(machine, bytes)?.len();
    machine.charge_cells(count as i64)?;
    machine.done(&operands[0], count as u64)
}

pub(crate) fn str_to_bytes(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    match machine.read(&operands[1])? {
        Value::String(bytes) => {
            machine.charge_cells(words_of(bytes.len()) + 1)?;
            machine.done(&operands[0], Value::Bytes(bytes))
        }
        other => Err(machine.bad_arguments("str_to_bytes", vec![other])),
    }
}

pub(crate) fn str_to_list(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let bytes = read_string(machine, &operands[1])?;
    let characters = characters(machine, bytes)?;
    machine.charge_cells(characters.len() as i64 * 2 + 1)?;
    let list = characters.into_iter().map(|character| Value::from(u32::from(character))).collect();
    machine.done(&operands[0], Value::List(list))
}

pub(crate) fn str_from_list(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let value = machine.read(&operands[1])?;
    let refused = |machine: &Machine<'_>, value: Value| {
        machine.fault(Fault::typed(Shown::Value(value), Shown::ListOf("char")))
    };
    let Value::List(list) = &value else { return Err(refused(machine, value)) };
    machine.charge_traversal(&value, SIMPLE)?;
    let code = |value: &Value| match value {
        Value::Integer(code) => code.small().filter(|code| (0..=LAST_CHARACTER).contains(code)),
        _ => None,
    };
    let codes: Option<Vec<i64>> = list.iter().map(code).collect();
    let Some(codes) = codes else { return Err(refused(machine, value)) };
    let character = |code: i64| u32::try_from(code).ok().and_then(char::from_u32);
    let text: Option<String> = codes.into_iter().map(character).collect();
    let text = text.ok_or_else(|| machine.crash("half a pair of surrogates in a string"))?;
    let composed: String = unicode::composed(&text).into_iter().collect();
    finish(machine, operands, composed.into_bytes())
}

pub(crate) fn str_to_upper(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    in_case(machine, operands, unicode::upper)
}

pub(crate) fn str_to_lower(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    in_case(machine, operands, unicode::lower)
}

fn in_case(machine: &mut Machine<'_>, operands: &[Operand], convert: fn(&str) -> String) -> Step {
    let bytes = read_string(machine, &operands[1])?;
    let text = std::str::from_utf8(&bytes);
    let text = text.map_err(|_| machine.crash("a change of case of what is no UTF-8"))?;
    let converted = convert(text);
    machine.charge_cells(converted.len() as i64)?;
    machine.done(&operands[0], Value::string(converted))
}

pub(crate) fn str_reverse(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let value = machine.read(&operands[1])?;
    let unicode_aware = machine.vm >= 7;
    let Value::String(bytes) = &value else {
        let word = if unicode_aware { "str_reverse_unicode" } else { "str_reverse" };
        return Err(machine.bad_arguments(word, vec![value]));
    };
    if !unicode_aware {
        let reversed = bytes.iter().rev().copied().collect();
        return finish(machine, operands, reversed);
    }
    let text = std::str::from_utf8(bytes);
    let text = text.map_err(|_| machine.crash("a reversal of what is no UTF-8"))?;
    let reversed: String = unicode::composed(text).into_iter().rev().collect();
    let composed: String = unicode::composed(&reversed).into_iter().collect();
    finish(machine, operands, composed.into_bytes())
}

pub(crate) fn char_to_int(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    match machine.read(&operands[1])? {
        Value::Integer(code) => machine.done(&operands[0], code),
        other => Err(machine.mismatch(other, "char")),
    }
}

pub(crate) fn char_from_int(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let value = machine.read(&operands[1])?;
    let Value::Integer(number) = &value else { return Err(machine.mismatch(value, "int")) };
    let Some(code) = number.small().filter(|code| (0..=LAST_CHARACTER).contains(code)) else {
        return Err(machine.mismatch(value, "char"));
    };
    let character = u32::try_from(code).ok().and_then(char::from_u32);
    let single = match character.map(|character| unicode::composed(&character.to_string())).as_deref() {
        Some([character]) => Some(i64::from(u32::from(*character))),
        Some(_) => None,
        // Half a pair of surrogates stays what it is.
        None => Some(code),
    };
    match single {
        Some(code) => {
            machine.charge_cells(9)?;
            machine.done(&operands[0], Value::some(Value::from(code)))
        }
        None => {
            machine.charge_cells(8)?;
            machine.done(&operands[0], Value::none())
        }
    }
}

pub(crate) fn int_to_str(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    match machine.read(&operands[1])? {
        Value::Integer(number) => {
            machine.work(number.words().saturating_mul(number.words()))?;
            finish(machine, operands, number.to_string().into_bytes())
        }
        other => Err(machine.bad_arguments("int_to_str", vec![other])),
    }
}

pub(crate) fn addr_to_str(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    match machine.read(&operands[1])? {
        Value::Address(bytes) => {
            machine.work((bytes.len() as u64).saturating_mul(bytes.len() as u64))?;
            finish(machine, operands, text::encode(Prefix::Account, &bytes).into_bytes())
        }
        other => Err(machine.bad_arguments("addr_to_str", vec![other])),
    }
}
