//! The chain around the call: accounts, blocks, events (`docs/protocol/contracts` §2.7).

use strait_encoding::{AccountId, Coins, ContractId, Height};

use crate::code::Operand;
use crate::fault::{Fault, Shown};
use crate::host::{Account, Authentication, TransactionBody};
use crate::integer::Integer;
use crate::list::List;
use crate::machine::{Flow, Machine, Outcome, Step};
use crate::op::words_of;
use crate::run::LogEntry;
use crate::value::{Octets, Value};

/// The gas of a block, by consensus.
const BLOCK_GAS: u64 = 6_000_000;
/// Gas per byte of an event.
const EVENT_GAS: u64 = 20;
/// How many generations back a block's hash is known.
const WINDOW: u64 = 256;

fn account_value(id: &[u8; 32]) -> Value {
    Value::Address(id.into())
}

/// The id of an account, if the bytes have the size of one.
pub(crate) fn account_id(bytes: &[u8]) -> Option<AccountId> {
    bytes.try_into().ok().map(AccountId)
}

pub(crate) fn call_value(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let value = machine.value;
    machine.done(&operands[0], value)
}

pub(crate) fn address(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let own = account_value(&machine.contract.0);
    machine.done(&operands[0], own)
}

pub(crate) fn origin(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let origin = account_value(&machine.environment.origin.0);
    machine.done(&operands[0], origin)
}

pub(crate) fn caller(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let caller = account_value(&machine.caller.0);
    machine.done(&operands[0], caller)
}

pub(crate) fn creator(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let contract = machine.host.contract(machine.contract).map_err(|error| machine.trap(error))?;
    let contract = contract.ok_or_else(|| machine.crash("a contract that does not exist"))?;
    machine.done(&operands[0], account_value(&contract.owner.0))
}

pub(crate) fn beneficiary(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let beneficiary = account_value(&machine.environment.beneficiary.0);
    machine.done(&operands[0], beneficiary)
}

pub(crate) fn timestamp(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let time = machine.environment.time;
    machine.done(&operands[0], time)
}

pub(crate) fn generation(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let height = machine.environment.height.0;
    machine.done(&operands[0], height)
}

pub(crate) fn difficulty(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let difficulty = machine.environment.difficulty;
    machine.done(&operands[0], difficulty)
}

pub(crate) fn gaslimit(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    machine.done(&operands[0], BLOCK_GAS)
}

pub(crate) fn gas(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let gas = machine.gas;
    machine.done(&operands[0], gas)
}

pub(crate) fn gasprice(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let price = machine.environment.gas_price.0;
    machine.done(&operands[0], price)
}

pub(crate) fn fee(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let fee = machine.environment.fee.0;
    machine.done(&operands[0], fee)
}

pub(crate) fn network_id(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let network = Value::string(machine.environment.network.0.as_str());
    machine.done(&operands[0], network)
}

pub(crate) fn microblock(machine: &mut Machine<'_>, _: &[Operand]) -> Step {
    let word = Shown::Word("microblock");
    Err(machine.fault(Fault::framed("Operation ", word, " is not implemented")))
}

/// The reference names the wrong operation.
pub(crate) fn deactivate(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    microblock(machine, operands)
}

pub(crate) fn blockhash(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let number = match machine.read(&operands[1])? {
        Value::Integer(number) => number,
        other => return Err(machine.mismatch(other, "integer")),
    };
    let current = machine.environment.height.0;
    let known = |height: &u64| {
        let is_past = *height < current || (*height == current && machine.vm >= 7);
        is_past && height.saturating_add(WINDOW) > current
    };
    let Some(height) = number.to_u64().filter(known) else {
        return machine.done(&operands[0], Value::none());
    };
    let hash = if machine.environment.key_block == [0; 32] {
        [0; 32]
    } else {
        machine.host.key_block_hash(Height(height)).map_err(|error| machine.trap(error))?
    };
    machine.done(&operands[0], Value::some(Value::bytes(hash)))
}

/// An account here, or else on the chain.
fn any_account(machine: &Machine<'_>, id: AccountId) -> Outcome<Option<Account>> {
    let here = machine.host.account(id).map_err(|error| machine.trap(error))?;
    if here.is_some() || machine.environment.on_chain {
        return Ok(here);
    }
    machine.host.chain_account(id).map_err(|error| machine.trap(error))
}

pub(crate) fn balance(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let account = any_account(machine, AccountId(machine.contract.0))?;
    let account = account.ok_or_else(|| machine.crash("a contract without an account"))?;
    machine.done(&operands[0], account.balance.0)
}

pub(crate) fn balance_other(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let of = machine.read(&operands[1])?;
    let Value::Address(bytes) = &of else { return Err(machine.mismatch(of, "address")) };
    let account = match account_id(bytes) {
        Some(id) => any_account(machine, id)?,
        None => None,
    };
    match account {
        Some(account) => machine.done(&operands[0], account.balance.0),
        None => {
            // The reference forgets that it took the operand from the stack.
            if matches!(operands[1], Operand::Stack) {
                machine.stack.push(of);
                machine.cells += 1;
            }
            machine.done(&operands[0], 0)
        }
    }
}

pub(crate) fn spend(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let to = match machine.read(&operands[0])? {
        Value::Address(bytes) => bytes,
        other => return Err(machine.mismatch(other, "address")),
    };
    let amount = match machine.read(&operands[1])? {
        Value::Integer(amount) => amount,
        other => return Err(machine.mismatch(other, "integer")),
    };
    let to = account_id(&to).ok_or_else(|| machine.crash("a recipient of another size"))?;
    if amount.is_negative() {
        return Err(machine.crash("a negative amount"));
    }
    match machine.transfer(to, &amount, true)? {
        Ok(()) => Ok(Flow::Next),
        Err(denied) => Err(machine.fault(Fault::primitive("spend", denied.word()))),
    }
}

/// Emits an event: the first operand is what it says, the others are words to look for it.
pub(crate) fn log(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let mut values = Vec::with_capacity(operands.len());
    for operand in operands {
        values.push(machine.read(operand)?);
    }
    let mut values = values.into_iter();
    let payload = match values.next() {
        Some(Value::String(bytes) | Value::Bytes(bytes)) => bytes.to_vec(),
        _ => return Err(machine.crash("an event that says what is no string")),
    };
    let mut topics = Vec::new();
    for value in values {
        topics.push(topic(machine, value)?);
    }
    let size = topics.len() as u64 * 8 + payload.len() as u64;
    if size == 0 {
        return Err(machine.crash("an event that says nothing"));
    }
    machine.charge(EVENT_GAS.saturating_mul(size))?;
    let contract = machine.contract;
    machine.log.push(LogEntry { contract, topics, payload });
    Ok(Flow::Next)
}

fn topic(machine: &Machine<'_>, value: Value) -> Outcome<[u8; 32]> {
    let number = |number: &Integer| {
        let bytes = number.magnitude();
        if number.is_negative() { None } else { padded(&bytes) }
    };
    let word = match &value {
        Value::Boolean(value) => padded(&[u8::from(*value)]),
        Value::Bytes(bytes) => padded(bytes),
        Value::Integer(integer) => match number(integer) {
            Some(word) => Some(word),
            None => {
                let shown = Shown::Plain(value);
                return Err(machine.fault(Fault::one("Illegal integer in log: ", shown)));
            }
        },
        Value::Bits(bits) => match number(&crate::op::bits::number(bits)) {
            Some(word) => Some(word),
            None => return Err(machine.fault(Fault::Fixed("Illegal bits in log"))),
        },
        Value::Address(id) | Value::Contract(id) | Value::Oracle(id) | Value::OracleQuery(id) => {
            match id[..].try_into() {
                Ok(word) => Some(word),
                Err(_) => return Err(machine.crash("a topic of another size")),
            }
        }
        _ => None,
    };
    word.ok_or_else(|| machine.mismatch(value, "word"))
}

/// The bytes at the right end of a word.
fn padded(bytes: &[u8]) -> Option<[u8; 32]> {
    let mut word = [0; 32];
    let start = word.len().checked_sub(bytes.len())?;
    word[start..].copy_from_slice(bytes);
    Some(word)
}

/// Reads an address; the chain is asked about its id, if it has the size of one.
fn question(
    machine: &mut Machine<'_>,
    operands: &[Operand],
    ask: fn(&Machine<'_>, [u8; 32]) -> Result<bool, crate::host::HostError>,
    otherwise: bool,
) -> Step {
    let bytes: Octets = match machine.read(&operands[1])? {
        Value::Address(bytes) => bytes,
        other => return Err(machine.mismatch(other, "address")),
    };
    let answer = match <[u8; 32]>::try_from(&bytes[..]) {
        Ok(id) => ask(machine, id).map_err(|error| machine.trap(error))?,
        Err(_) => otherwise,
    };
    machine.done(&operands[0], Value::Boolean(answer))
}

pub(crate) fn is_oracle(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    question(machine, operands, |machine, id| Ok(machine.host.oracle(id)?.is_some()), false)
}

pub(crate) fn is_contract(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    question(machine, operands, |machine, id| machine.host.is_chain_contract(ContractId(id)), false)
}

pub(crate) fn is_payable(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let payable = |machine: &Machine<'_>, id| {
        Ok(machine.host.chain_account(AccountId(id))?.is_none_or(|account| account.payable))
    };
    question(machine, operands, payable, true)
}

pub(crate) fn auth_tx_hash(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let hash = machine.environment.authentication.as_ref().map(|authentication| authentication.hash);
    let (cells, value) = match hash {
        Some(hash) => (4, Value::some(Value::bytes(hash))),
        None => (3, Value::none()),
    };
    machine.charge_cells(cells)?;
    machine.done(&operands[0], value)
}

pub(crate) fn auth_tx(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let (cells, value) = match &machine.environment.authentication {
        Some(authentication) => shown_transaction(authentication),
        None => (8, Value::none()),
    };
    machine.charge_cells(cells)?;
    machine.done(&operands[0], value)
}

/// The transaction as a program sees it, and its cells.
fn shown_transaction(authentication: &Authentication) -> (i64, Value) {
    let wrapped = |(account, fee): &(AccountId, Coins)| {
        Value::variant(vec![2], 0, vec![account_value(&account.0), Value::from(fee.0)])
    };
    let (cells, body) = shown_body(&authentication.body);
    let (payer_cells, payer) = match &authentication.payer {
        Some(payer) => (23, Value::some(wrapped(payer))),
        None => (8, Value::none()),
    };
    let metas: List = authentication.metas.iter().map(wrapped).collect();
    let meta_cells = authentication.metas.len() as i64 * 14;
    let fields = vec![
        payer,
        Value::List(metas),
        account_value(&authentication.actor.0),
        Value::from(authentication.fee.0),
        Value::from(authentication.ttl.0),
        body,
    ];
    (cells + payer_cells + meta_cells + 24, Value::some(Value::tuple(fields)))
}

/// The arities of the kinds of transactions.
const BODIES: [i16; 22] = [3, 0, 0, 0, 0, 0, 1, 1, 1, 2, 1, 2, 2, 1, 1, 1, 1, 1, 1, 1, 2, 0];

fn shown_body(body: &TransactionBody) -> (i64, Value) {
    const ADDRESS: i64 = 4;
    const AMOUNT: i64 = 2;
    let (tag, cells, fields) = match body {
        TransactionBody::Spend { recipient, amount, payload } => {
            let fields = vec![account_value(recipient), Value::from(amount.0), Value::string(&payload[..])];
            (0, ADDRESS + AMOUNT + words_of(payload.len()), fields)
        }
        TransactionBody::Plain(tag) => (*tag, 0, Vec::new()),
        TransactionBody::NameClaim(name) => (6, words_of(name.len()), vec![Value::string(&name[..])]),
        TransactionBody::Name(tag, hash) => (*tag, ADDRESS, vec![Value::bytes(hash)]),
        TransactionBody::NameTransfer { to, name } => {
            (9, 2 * ADDRESS, vec![account_value(to), Value::bytes(name)])
        }
        TransactionBody::Channel(tag, id) => (*tag, ADDRESS, vec![account_value(id)]),
        TransactionBody::ChannelAmount(tag, id, amount) => {
            (*tag, ADDRESS + AMOUNT, vec![account_value(id), Value::from(amount.0)])
        }
        TransactionBody::ContractCreate(amount) => (19, AMOUNT, vec![Value::from(amount.0)]),
        TransactionBody::ContractCall(id, amount) => {
            (20, ADDRESS + AMOUNT, vec![account_value(id), Value::from(amount.0)])
        }
    };
    let variant_cells = 2 * BODIES.len() as i64 + fields.len() as i64 + 4;
    (variant_cells + cells, Value::variant(BODIES.to_vec(), usize::from(tag), fields))
}
