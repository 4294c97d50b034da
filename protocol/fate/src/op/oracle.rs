//! Oracles, as they are on the chain (`docs/protocol/contracts` §2.7).

use crate::code::Operand;
use crate::fault::Fault;
use crate::host::{Oracle, OracleQuery};
use crate::machine::{Machine, Outcome, Step};
use crate::op::{behind, read_all};
use crate::types::{Type, TypeNode};
use crate::value::Value;

/// The kind of oracle whose questions are plain strings.
const ABI_STRINGS: u16 = 0;
/// The kind of oracle whose questions are values of this machine.
const ABI_FATE: u16 = 3;

/// What changes an oracle: refused inside a channel before it gets here.
pub(crate) fn change(machine: &mut Machine<'_>, _: &[Operand]) -> Step {
    Err(machine.crash("a change of an oracle by a program, which this chain does not know"))
}

/// An oracle of the right types, or the word for why not.
fn typed_oracle(
    machine: &Machine<'_>,
    id: &[u8],
    query_type: &Value,
    response_type: &Value,
) -> Outcome<Result<Oracle, &'static str>> {
    let Ok(id) = <[u8; 32]>::try_from(id) else { return Ok(Err("oracle_not_found")) };
    let Some(oracle) = machine.host.oracle(id).map_err(|error| machine.trap(error))? else {
        return Ok(Err("oracle_not_found"));
    };
    let of_strings = |value: &Value| matches!(value, Value::Type(of) if *of == Type::of(TypeNode::String));
    Ok(match oracle.abi {
        ABI_STRINGS if of_strings(query_type) && of_strings(response_type) => Ok(oracle),
        ABI_FATE => {
            let wanted = (query_type.encode(), response_type.encode());
            let (Ok(query), Ok(response)) = wanted else {
                return Err(machine.crash("a type that cannot be written"));
            };
            let same = oracle.query_format == query && oracle.response_format == response;
            if same { Ok(oracle) } else { Err("wrong_oracle_types") }
        }
        _ => Err("wrong_abi_version"),
    })
}

fn query(machine: &Machine<'_>, oracle: &[u8], query: &[u8]) -> Outcome<Option<OracleQuery>> {
    match <[u8; 32]>::try_from(oracle) {
        Ok(oracle) => machine.host.oracle_query(oracle, query).map_err(|error| machine.trap(error)),
        Err(_) => Ok(None),
    }
}

/// Both types may be missing only if both are; the reference asks for one of them.
fn has_types(first: &Value, second: &Value) -> bool {
    matches!(first, Value::Type(_)) || matches!(second, Value::Type(_))
}

/// What an oracle was told or said, as a value.
fn term(oracle: &Oracle, bytes: Vec<u8>) -> Option<Value> {
    if oracle.abi == ABI_STRINGS { Some(Value::string(bytes)) } else { Value::decode(&bytes).ok() }
}

pub(crate) fn oracle_get_question(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    const WORD: &str = "oracle_get_question";
    let (oracle, asked) = read_query(machine, operands, WORD)?;
    let Some(asked) = asked else { return Err(machine.fault(Fault::primitive(WORD, "query_not_found"))) };
    match term(&oracle, asked.question) {
        Some(question) => machine.done(&operands[0], question),
        None => Err(machine.fault(Fault::primitive(WORD, "bad_question"))),
    }
}

pub(crate) fn oracle_get_answer(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    const WORD: &str = "oracle_get_answer";
    let (oracle, asked) = read_query(machine, operands, WORD)?;
    match asked.and_then(|asked| asked.response).map(|response| term(&oracle, response)) {
        None => machine.done(&operands[0], Value::none()),
        Some(Some(answer)) => machine.done(&operands[0], Value::some(answer)),
        Some(None) => Err(machine.fault(Fault::primitive(WORD, "bad_response"))),
    }
}

fn read_query(
    machine: &mut Machine<'_>,
    operands: &[Operand],
    word: &'static str,
) -> Outcome<(Oracle, Option<OracleQuery>)> {
    let [oracle, asked, query_type, response_type] = read_all(machine, behind::<4>(operands))?;
    let (id, asked) = checked(machine, oracle, asked, &query_type, &response_type, word)?;
    let found = typed_oracle(machine, &id, &query_type, &response_type)?;
    let oracle = found.map_err(|reason| machine.fault(Fault::primitive(word, reason)))?;
    Ok((oracle, query(machine, &id, &asked)?))
}

fn checked(
    machine: &Machine<'_>,
    oracle: Value,
    asked: Value,
    query_type: &Value,
    response_type: &Value,
    word: &'static str,
) -> Outcome<(crate::value::Octets, crate::value::Octets)> {
    let Value::Oracle(id) = oracle else { return Err(machine.mismatch(oracle, "oracle")) };
    let Value::OracleQuery(asked) = asked else { return Err(machine.mismatch(asked, "oracle_query")) };
    if !has_types(query_type, response_type) {
        return Err(machine.fault(Fault::primitive(word, "bad_type")));
    }
    Ok((id, asked))
}

pub(crate) fn oracle_check(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let [oracle, query_type, response_type] = read_all(machine, behind::<3>(operands))?;
    let Value::Oracle(id) = oracle else { return Err(machine.mismatch(oracle, "oracle")) };
    if !has_types(&query_type, &response_type) {
        return Err(machine.fault(Fault::primitive("oracle_check", "bad_type")));
    }
    let found = typed_oracle(machine, &id, &query_type, &response_type)?;
    machine.done(&operands[0], Value::Boolean(found.is_ok()))
}

pub(crate) fn oracle_check_query(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let [oracle, asked, query_type, response_type] = read_all(machine, behind::<4>(operands))?;
    let (id, asked) = checked(machine, oracle, asked, &query_type, &response_type, "oracle_check_query")?;
    let found = typed_oracle(machine, &id, &query_type, &response_type)?;
    let known = found.is_ok() && query(machine, &id, &asked)?.is_some();
    machine.done(&operands[0], Value::Boolean(known))
}

pub(crate) fn oracle_query_fee(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let oracle = read_oracle(machine, operands, "oracle_query_fee")?;
    machine.done(&operands[0], oracle.fee.0)
}

pub(crate) fn oracle_expiry(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let oracle = read_oracle(machine, operands, "oracle_expiry")?;
    machine.done(&operands[0], oracle.ttl.0)
}

fn read_oracle(machine: &mut Machine<'_>, operands: &[Operand], word: &'static str) -> Outcome<Oracle> {
    let oracle = machine.read(&operands[1])?;
    let Value::Oracle(id) = oracle else { return Err(machine.mismatch(oracle, "oracle")) };
    let found = match <[u8; 32]>::try_from(&id[..]) {
        Ok(id) => machine.host.oracle(id).map_err(|error| machine.trap(error))?,
        Err(_) => None,
    };
    found.ok_or_else(|| machine.fault(Fault::primitive(word, "oracle_does_not_exist")))
}
