//! Code: its container, its functions and their instructions (`docs/protocol/contracts` §2.2).

use std::collections::BTreeMap;
use std::sync::Arc;

use strait_encoding::hash::blake2b;
use strait_encoding::rlp;

use crate::encoding::{self, Malformed, take, take_byte, take_rlp, write_integer, write_rlp, write_value};
use crate::map::Map;
use crate::opcode::Opcode;
use crate::types::Type;
use crate::value::Value;

/// The name of a function: the first four bytes of the BLAKE2b-256 hash of its text.
pub type FunctionId = [u8; 4];

/// The function that makes the first state of a contract.
pub const INIT: FunctionId = [0x44, 0xd6, 0x44, 0x1f];

/// The id of the function of this name.
pub fn function_id(name: &str) -> FunctionId {
    let hash = blake2b(name.as_bytes());
    [hash[0], hash[1], hash[2], hash[3]]
}

/// Code as it is stored with a contract: the byte code with what the compiler said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// The layout: 1, 2 or 3.
    pub version: u64,
    /// The hash of the source text.
    pub source_hash: Vec<u8>,
    /// The RLP items of the type table; empty for FATE.
    pub type_table: Vec<u8>,
    /// The byte code: functions, symbols and annotations.
    pub byte_code: Vec<u8>,
    /// The compiler's version; "unknown" in layout 1.
    pub compiler: Vec<u8>,
    /// May coins be sent to the contract?
    pub payable: bool,
}

/// The object tag of a container.
const TAG: u64 = 70;

impl Container {
    /// Reads a container of any layout.
    ///
    /// # Errors
    /// The bytes are not a container.
    pub fn decode(bytes: &[u8]) -> Result<Self, rlp::DecodeError> {
        let (version, mut fields) = rlp::Fields::of_object(bytes, TAG)?;
        if !(1..=3).contains(&version) {
            return Err(rlp::DecodeError::Version { tag: TAG, version });
        }
        let source_hash = fields.bytes()?.to_vec();
        let type_table = match fields.item()? {
            rlp::Item::List(items) => items.to_vec(),
            rlp::Item::Bytes(_) => return Err(rlp::DecodeError::Kind("the list of a type table")),
        };
        let byte_code = fields.bytes()?.to_vec();
        let compiler = if version > 1 { fields.bytes()?.to_vec() } else { b"unknown".to_vec() };
        let payable = if version > 2 { fields.bool()? } else { true };
        fields.end()?;
        Ok(Self { version, source_hash, type_table, byte_code, compiler, payable })
    }

    /// The bytes of a container, always in layout 3.
    pub fn encode(&self) -> Vec<u8> {
        let mut items = Vec::new();
        for field in [&[TAG as u8][..], &[3], &self.source_hash] {
            write_rlp(field, &mut items);
        }
        items.extend(list_of(&self.type_table));
        for field in [&self.byte_code[..], &self.compiler, &[u8::from(self.payable)]] {
            write_rlp(field, &mut items);
        }
        list_of(&items)
    }

    /// What is put into the tree when a contract is created: layout 3, and for VM 5 without the function that made
    /// the state (`docs/protocol/contracts` §2.2).
    ///
    /// # Errors
    /// The byte code is malformed (looked at for VM 5 only).
    pub fn stored(&self, vm: u16) -> Result<Self, Malformed> {
        let mut stored = Self { version: 3, ..self.clone() };
        if vm == 5 {
            let mut code = Code::decode(&self.byte_code)?;
            code.functions.remove(&INIT);
            code.symbols = code.symbols.remove(&Value::string(INIT));
            stored.byte_code = code.encode()?;
        }
        Ok(stored)
    }
}

fn list_of(items: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(items.len() + 9);
    if items.len() <= 55 {
        bytes.push(0xc0 + items.len() as u8);
    } else {
        let size = items.len().to_be_bytes();
        let zeros = size.iter().take_while(|byte| **byte == 0).count();
        bytes.push(0xf7 + (size.len() - zeros) as u8);
        bytes.extend(&size[zeros..]);
    }
    bytes.extend_from_slice(items);
    bytes
}

/// Byte code, read.
#[derive(Clone)]
pub struct Code {
    pub(crate) functions: BTreeMap<FunctionId, Arc<Function>>,
    symbols: Map,
    annotations: Map,
}

/// One function.
pub(crate) struct Function {
    pub id: FunctionId,
    pub private: bool,
    pub payable: bool,
    pub arguments: Vec<Type>,
    pub returns: Type,
    pub blocks: Vec<Vec<Instruction>>,
}

/// One instruction with its operands.
pub(crate) struct Instruction {
    pub opcode: &'static Opcode,
    pub operands: Box<[Operand]>,
}

/// Where an instruction finds an operand or leaves its result.
#[derive(Clone)]
pub(crate) enum Operand {
    Stack,
    Argument(u8),
    Variable(u8),
    /// A register of the store.
    Register(u64),
    Immediate(Value),
    /// A place with a strange name, which a program can use all the same.
    Far(FarPlace),
}

/// The name of a place that is no small number.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct FarPlace {
    pub argument: bool,
    pub name: Value,
}

impl Code {
    /// Reads byte code.
    ///
    /// # Errors
    /// The bytes are truncated, hold an unknown instruction, or break a rule about functions and blocks.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut rest = bytes;
        let functions = read_functions(take_rlp(&mut rest)?)?;
        let symbols = read_map(take_rlp(&mut rest)?)?;
        let annotations = read_map(take_rlp(&mut rest)?)?;
        if !rest.is_empty() {
            return Err(Malformed::Trailing);
        }
        Ok(Self { functions, symbols, annotations })
    }

    /// The canonical bytes: functions in the order of their ids.
    ///
    /// # Errors
    /// A symbol or an operand is a value that has no bytes.
    pub fn encode(&self) -> Result<Vec<u8>, Malformed> {
        let mut functions = Vec::new();
        for function in self.functions.values() {
            write_function(function, &mut functions)?;
        }
        let mut bytes = Vec::new();
        write_rlp(&functions, &mut bytes);
        for map in [&self.symbols, &self.annotations] {
            let body = Value::Map(map.clone()).encode().map_err(|_| Malformed::Keys)?;
            write_rlp(&body, &mut bytes);
        }
        Ok(bytes)
    }

    /// The name that the code itself gives to one of its functions.
    pub fn name_of(&self, function: FunctionId) -> Option<String> {
        match self.symbols.get(&Value::string(function)) {
            Some(Value::String(name)) => Some(String::from_utf8_lossy(name).into_owned()),
            _ => None,
        }
    }

    /// The functions with their argument and return types.
    pub fn signatures(&self) -> impl Iterator<Item = (FunctionId, &[Type], &Type)> {
        self.functions.values().map(|function| (function.id, &function.arguments[..], &function.returns))
    }
}

/// The byte that begins a function.
const FUNCTION: u8 = 0xfe;
const PRIVATE: i64 = 1;
const PAYABLE: i64 = 2;

fn read_map(bytes: &[u8]) -> Result<Map, Malformed> {
    match Value::decode(bytes)? {
        Value::Map(map) => Ok(map),
        _ => Err(Malformed::Code("symbols and annotations must be maps")),
    }
}

fn read_functions(mut bytes: &[u8]) -> Result<BTreeMap<FunctionId, Arc<Function>>, Malformed> {
    let mut functions = BTreeMap::new();
    while !bytes.is_empty() {
        if take_byte(&mut bytes)? != FUNCTION {
            return Err(Malformed::Code("instructions outside a function"));
        }
        let function = read_function(&mut bytes)?;
        functions.insert(function.id, Arc::new(function));
    }
    Ok(functions)
}

fn read_function(bytes: &mut &[u8]) -> Result<Function, Malformed> {
    let id = take(bytes, 4)?.try_into().map_err(|_| Malformed::Truncated)?;
    // The bits of the distance to zero, as the reference takes them.
    let attributes = encoding::read_integer(bytes)?.small().map_or(i64::MAX, i64::abs);
    if attributes > PRIVATE | PAYABLE {
        return Err(Malformed::Code("unknown attributes of a function"));
    }
    let arguments = Type::read(bytes)?.fields().ok_or(Malformed::Code("arguments must be a tuple"))?;
    let returns = Type::read(bytes)?;
    let (mut blocks, mut block) = (Vec::new(), Vec::new());
    while bytes.first().is_some_and(|byte| *byte != FUNCTION) {
        let instruction = read_instruction(bytes)?;
        let ends = instruction.opcode.ends_block;
        block.push(instruction);
        if ends {
            blocks.push(std::mem::take(&mut block));
        }
    }
    if !block.is_empty() {
        return Err(Malformed::Code("the last block of a function does not end"));
    }
    let (private, payable) = (attributes & PRIVATE != 0, attributes & PAYABLE != 0);
    Ok(Function { id, private, payable, arguments, returns, blocks })
}

fn read_instruction(bytes: &mut &[u8]) -> Result<Instruction, Malformed> {
    let byte = take_byte(bytes)?;
    let opcode = Opcode::of(byte).ok_or(Malformed::Code("unknown instruction"))?;
    let count = opcode.operands.len();
    let mut modes = match count {
        0 => 0,
        1..=4 => u16::from(take_byte(bytes)?),
        _ => u16::from(take_byte(bytes)?) << 8 | u16::from(take_byte(bytes)?),
    };
    let mut operands = Vec::with_capacity(count);
    for _ in 0..count {
        operands.push(read_operand(modes & 3, bytes)?);
        modes >>= 2;
    }
    if modes != 0 {
        return Err(Malformed::Code("modes of operands that are not there"));
    }
    Ok(Instruction { opcode, operands: operands.into_boxed_slice() })
}

fn read_operand(mode: u16, bytes: &mut &[u8]) -> Result<Operand, Malformed> {
    if mode == 0 {
        return Ok(Operand::Stack);
    }
    let value = encoding::read_value(bytes)?;
    if mode == 3 {
        return Ok(Operand::Immediate(value));
    }
    let number = match &value {
        Value::Integer(number) => number.small(),
        _ => None,
    };
    let argument = mode == 1;
    Ok(match number.map(|number| (u8::try_from(number), number)) {
        Some((Ok(near), _)) if argument => Operand::Argument(near),
        Some((Ok(near), _)) => Operand::Variable(near),
        Some((_, number)) if !argument && number < 0 => Operand::Register(number.unsigned_abs()),
        _ => Operand::Far(FarPlace { argument, name: value }),
    })
}

fn write_function(function: &Function, bytes: &mut Vec<u8>) -> Result<(), Malformed> {
    bytes.push(FUNCTION);
    bytes.extend(function.id);
    let attributes = i64::from(function.private) * PRIVATE + i64::from(function.payable) * PAYABLE;
    write_integer(&attributes.into(), bytes);
    Type::tuple(&function.arguments).write(bytes).ok_or(Malformed::Size)?;
    function.returns.write(bytes).ok_or(Malformed::Size)?;
    function.blocks.iter().flatten().try_for_each(|instruction| write_instruction(instruction, bytes))
}

fn write_instruction(instruction: &Instruction, bytes: &mut Vec<u8>) -> Result<(), Malformed> {
    bytes.push(instruction.opcode.code);
    let mode = |operand: &Operand| match operand {
        Operand::Stack => 0,
        Operand::Argument(_) | Operand::Far(FarPlace { argument: true, .. }) => 1u16,
        Operand::Variable(_) | Operand::Register(_) | Operand::Far(_) => 2,
        Operand::Immediate(_) => 3,
    };
    let modes = instruction.operands.iter().rev().fold(0, |modes, operand| modes << 2 | mode(operand));
    match instruction.operands.len() {
        0 => {}
        1..=4 => bytes.push(modes as u8),
        _ => bytes.extend(modes.to_be_bytes()),
    }
    for operand in &instruction.operands {
        let written = match operand {
            Operand::Stack => continue,
            Operand::Argument(near) | Operand::Variable(near) => Value::from(*near),
            Operand::Register(number) => Value::from(crate::integer::Integer::ZERO.minus(&(*number).into())),
            Operand::Immediate(value) => value.clone(),
            Operand::Far(place) => place.name.clone(),
        };
        write_value(&written, bytes).map_err(|_| Malformed::Keys)?;
    }
    Ok(())
}
