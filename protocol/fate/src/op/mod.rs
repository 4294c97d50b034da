//! What the instructions do, one function each (`docs/protocol/fate_opcodes`).
//!
//! Every function takes the machine and the operands of its row of the table. The order in which operands are read and
//! gas is charged is the reference's, since both the price of cells and the text of an error depend on it.

pub(crate) mod bits;
pub(crate) mod bls;
pub(crate) mod bytes;
pub(crate) mod chain;
pub(crate) mod control;
pub(crate) mod crypto;
pub(crate) mod data;
pub(crate) mod integer;
pub(crate) mod logic;
pub(crate) mod maps;
pub(crate) mod names;
pub(crate) mod oracle;
pub(crate) mod remote;
pub(crate) mod text;

use crate::code::Operand;
use crate::machine::{Machine, Outcome};
use crate::value::Value;

/// Reads operands in order.
pub(crate) fn read_all<const N: usize>(
    machine: &mut Machine<'_>,
    operands: &[Operand; N],
) -> Outcome<[Value; N]> {
    let mut values = [const { Value::Removed }; N];
    for (value, operand) in values.iter_mut().zip(operands) {
        *value = machine.read(operand)?;
    }
    Ok(values)
}

/// The operands behind the first, which takes the result.
pub(crate) fn behind<const N: usize>(operands: &[Operand]) -> &[Operand; N] {
    operands[1..]
        .first_chunk()
        .expect("the table says how many operands there are, and the decoder reads so many")
}

/// One word per eight bytes.
pub(crate) fn words_of(bytes: usize) -> i64 {
    i64::try_from(bytes / 8).unwrap_or(i64::MAX)
}
