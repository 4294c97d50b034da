//! Names, as they are on the chain (`docs/protocol/contracts` §2.7).

use crate::code::Operand;
use crate::fault::Fault;
use crate::host::{Name, Pointee};
use crate::machine::{Machine, Outcome, Step};
use crate::name::{NameError, name_hash};
use crate::op::{behind, read_all};
use crate::types::{Type, TypeNode};
use crate::typing;
use crate::value::Value;

/// What changes a name: refused inside a channel before it gets here.
pub(crate) fn change(machine: &mut Machine<'_>, _: &[Operand]) -> Step {
    Err(machine.crash("a change of a name by a program, which this chain does not know"))
}

/// The name object of a name that is in use.
fn find(machine: &Machine<'_>, name: &[u8]) -> Outcome<Result<Option<Name>, NameError>> {
    let hash = match name_hash(name) {
        Ok(hash) => hash,
        Err(NameError::Broken) => return Err(machine.crash("a name that is none at all")),
        Err(error) => return Ok(Err(error)),
    };
    let name = machine.host.name(hash).map_err(|error| machine.trap(error))?;
    Ok(Ok(name.filter(|name| !name.revoked)))
}

pub(crate) fn aens_resolve(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let [name, key, of] = read_all(machine, behind::<3>(operands))?;
    let Value::String(name) = name else { return Err(machine.mismatch(name, "string")) };
    let Value::String(key) = key else { return Err(machine.mismatch(key, "string")) };
    let Value::Type(of) = of else { return Err(machine.mismatch(of, "typerep")) };
    let found = match find(machine, &name)? {
        Ok(found) => found,
        Err(_) if machine.vm >= 7 => None,
        Err(_) => return Err(machine.crash("a name that is none")),
    };
    let pointee = found.and_then(|name| pointee_of(name, &key));
    let Some(pointee) = pointee else { return machine.done(&operands[0], Value::none()) };
    let Some(wanted) = wanted_kind(&of) else {
        return Err(machine.fault(Fault::primitive("aens_resolve", "bad_type")));
    };
    let value = as_wanted(pointee, wanted).map(Value::some);
    let fits = value.filter(|value| typing::check(&of, value, machine.any_bytes()).is_some());
    machine.done(&operands[0], fits.unwrap_or_else(Value::none))
}

fn pointee_of(name: Name, key: &[u8]) -> Option<Pointee> {
    name.pointers.into_iter().find(|(name, _)| name == key).map(|(_, pointee)| pointee)
}

/// The type inside an option; nothing if the type is no option.
fn wanted_kind(of: &Type) -> Option<TypeNode> {
    let nodes: Vec<TypeNode> = of.nodes().collect();
    match nodes[..] {
        [TypeNode::Variant(2), TypeNode::Tuple(0), TypeNode::Tuple(1), wanted, ..] => Some(wanted),
        _ => None,
    }
}

fn as_wanted(pointee: Pointee, wanted: TypeNode) -> Option<Value> {
    if wanted == TypeNode::String {
        return Some(match pointee {
            Pointee::Account(id) | Pointee::Oracle(id) | Pointee::Contract(id) | Pointee::Channel(id) => {
                Value::string(id)
            }
            Pointee::Data(bytes) => Value::string(bytes),
        });
    }
    match pointee {
        Pointee::Account(id) => Some(Value::Address(id.into())),
        Pointee::Oracle(id) => Some(Value::Oracle(id.into())),
        Pointee::Contract(id) => Some(Value::Contract(id.into())),
        Pointee::Channel(_) | Pointee::Data(_) => None,
    }
}

pub(crate) fn aens_lookup(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let [name] = read_all(machine, behind::<1>(operands))?;
    let Value::String(name) = name else { return Err(machine.mismatch(name, "string")) };
    let Some(name) = find(machine, &name)?.unwrap_or(None) else {
        return machine.done(&operands[0], Value::none());
    };
    let mut pointers = crate::map::Map::EMPTY;
    // The first of equal keys is the one that counts.
    for (key, pointee) in name.pointers.into_iter().rev() {
        let pointee = shown_pointee(machine, pointee)?;
        pointers = pointers.insert(Value::string(key), pointee);
    }
    let owner = Value::Address(name.owner.0.into());
    let ttl = Value::variant(vec![1, 1], 1, vec![Value::from(name.ttl.0)]);
    let found = Value::variant(vec![3], 0, vec![owner, ttl, Value::Map(pointers)]);
    machine.done(&operands[0], Value::some(found))
}

fn shown_pointee(machine: &Machine<'_>, pointee: Pointee) -> Outcome<Value> {
    let arities = vec![1; if machine.vm >= 8 { 5 } else { 4 }];
    let (tag, id) = match pointee {
        Pointee::Account(id) => (0, id),
        Pointee::Oracle(id) => (1, id),
        Pointee::Contract(id) => (2, id),
        Pointee::Channel(id) => (3, id),
        Pointee::Data(bytes) if machine.vm >= 8 => {
            return Ok(Value::variant(arities, 4, vec![Value::bytes(bytes)]));
        }
        Pointee::Data(_) => {
            return Err(machine.fault(Fault::primitive("aens_lookup", "data_pointer_not_in_fate_vm_2")));
        }
    };
    Ok(Value::variant(arities, tag, vec![Value::Address(id.into())]))
}
