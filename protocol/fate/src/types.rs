//! Types and their encoding.

use std::sync::Arc;

use crate::encoding::{self, Malformed};

/// A type of the machine (`docs/protocol/contracts` §2.2).
///
/// It is kept flat, its nodes in prefix order and turned round (the outermost last), so that no type nests too deeply.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Type(Arc<Vec<TypeNode>>);

/// One node of a [`Type`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TypeNode {
    /// Integers.
    Integer,
    /// Booleans.
    Boolean,
    /// Strings.
    String,
    /// Sets of bits.
    Bits,
    /// Accounts.
    Address,
    /// Contracts.
    Contract,
    /// Oracles.
    Oracle,
    /// Queries to oracles.
    OracleQuery,
    /// Channels.
    Channel,
    /// Byte strings of any length.
    AnyBytes,
    /// Byte strings of one length.
    Bytes(u64),
    /// Code of contracts.
    Code,
    /// Everything.
    Any,
    /// A type variable.
    Variable(u8),
    /// Lists; one type follows.
    List,
    /// Maps; the types of keys and values follow.
    Map,
    /// Tuples; so many types follow.
    Tuple(u32),
    /// Variants; so many types, each of a constructor's fields, follow.
    Variant(u32),
    /// Inside a variant: a constructor of which only the number of fields is known. Never written down.
    Arity(i16),
}

impl TypeNode {
    /// How many types follow it.
    pub(crate) fn children(self) -> usize {
        match self {
            TypeNode::List => 1,
            TypeNode::Map => 2,
            TypeNode::Tuple(count) | TypeNode::Variant(count) => count as usize,
            _ => 0,
        }
    }
}

impl Type {
    /// The type whose nodes, outermost last, are these.
    pub(crate) fn from_turned(nodes: Vec<TypeNode>) -> Self {
        Self(Arc::new(nodes))
    }

    /// The unit.
    pub fn unit() -> Self {
        Self::from_turned(vec![TypeNode::Tuple(0)])
    }

    /// A type of one node.
    pub fn of(node: TypeNode) -> Self {
        Self::from_turned(vec![node])
    }

    /// The nodes, outermost last.
    pub(crate) fn turned(&self) -> &[TypeNode] {
        &self.0
    }

    /// The nodes, outermost first.
    pub fn nodes(&self) -> impl Iterator<Item = TypeNode> + '_ {
        self.0.iter().rev().copied()
    }

    /// The types of a tuple's fields, if it is a tuple.
    pub fn fields(&self) -> Option<Vec<Type>> {
        match self.0.last() {
            Some(TypeNode::Tuple(count)) => {
                let mut end = self.0.len() - 1;
                let mut fields = Vec::new();
                for _ in 0..*count {
                    let start = start_of(&self.0, end);
                    fields.push(Self::from_turned(self.0[start..end].to_vec()));
                    end = start;
                }
                Some(fields)
            }
            _ => None,
        }
    }

    /// The tuple of these types.
    pub fn tuple(fields: &[Type]) -> Self {
        let mut nodes: Vec<TypeNode> =
            fields.iter().rev().flat_map(|field| field.turned().to_vec()).collect();
        nodes.push(TypeNode::Tuple(u32::try_from(fields.len()).unwrap_or(u32::MAX)));
        Self::from_turned(nodes)
    }

    /// Reads the type that fills `bytes`.
    ///
    /// # Errors
    /// The bytes are no type, or go on behind it.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut rest = bytes;
        let read = Self::read(&mut rest)?;
        if rest.is_empty() { Ok(read) } else { Err(Malformed::Trailing) }
    }

    /// The bytes of the type; nothing for what cannot be written down.
    pub fn encode(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        self.write(&mut bytes)?;
        Some(bytes)
    }

    pub(crate) fn read(bytes: &mut &[u8]) -> Result<Self, Malformed> {
        let mut nodes = Vec::new();
        let mut open = 1usize;
        while open > 0 {
            let node = read_node(bytes)?;
            open = open - 1 + node.children();
            nodes.push(node);
        }
        nodes.reverse();
        Ok(Self::from_turned(nodes))
    }

    pub(crate) fn write(&self, bytes: &mut Vec<u8>) -> Option<()> {
        self.nodes().try_for_each(|node| write_node(node, bytes))
    }
}

impl std::fmt::Debug for Type {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.nodes()).finish()
    }
}

/// Where the type begins that ends before `end` in turned nodes.
pub(crate) fn start_of(turned: &[TypeNode], end: usize) -> usize {
    let mut open = 1usize;
    let mut start = end;
    while open > 0 && start > 0 {
        start -= 1;
        open = open - 1 + turned[start].children();
    }
    start
}

/// The leading byte of every node whose first byte says it all.
const SIMPLE: [(u8, TypeNode); 7] = [
    (0x07, TypeNode::Integer),
    (0x17, TypeNode::Boolean),
    (0x57, TypeNode::Bits),
    (0x77, TypeNode::String),
    (0xa7, TypeNode::Code),
    (0xf7, TypeNode::Any),
    (0x27, TypeNode::List),
];

/// The kind byte behind [`OBJECT`].
const OBJECTS: [(u8, TypeNode); 5] = [
    (0, TypeNode::Address),
    (2, TypeNode::Contract),
    (3, TypeNode::Oracle),
    (4, TypeNode::OracleQuery),
    (5, TypeNode::Channel),
];

const TUPLE: u8 = 0x37;
const OBJECT: u8 = 0x47;
const MAP: u8 = 0x67;
const VARIANT: u8 = 0x87;
const BYTES: u8 = 0x97;
const VARIABLE: u8 = 0xe7;

/// Does a type begin with this byte?
pub(crate) fn is_type_byte(byte: u8) -> bool {
    SIMPLE.iter().any(|(first, _)| *first == byte)
        || [TUPLE, OBJECT, MAP, VARIANT, BYTES, VARIABLE].contains(&byte)
}

fn read_node(bytes: &mut &[u8]) -> Result<TypeNode, Malformed> {
    let first = encoding::take_byte(bytes)?;
    if let Some((_, node)) = SIMPLE.iter().find(|(byte, _)| *byte == first) {
        return Ok(*node);
    }
    Ok(match first {
        MAP => TypeNode::Map,
        TUPLE => TypeNode::Tuple(u32::from(encoding::take_byte(bytes)?)),
        VARIANT => TypeNode::Variant(u32::from(encoding::take_byte(bytes)?)),
        VARIABLE => TypeNode::Variable(encoding::take_byte(bytes)?),
        OBJECT => {
            let kind = encoding::take_byte(bytes)?;
            let known = OBJECTS.iter().find(|(byte, _)| *byte == kind);
            known.ok_or(Malformed::Tag(kind))?.1
        }
        BYTES => {
            let size = encoding::read_integer(bytes)?;
            match size.small() {
                Some(-1) => TypeNode::AnyBytes,
                _ => TypeNode::Bytes(size.to_u64().ok_or(Malformed::Size)?),
            }
        }
        other => return Err(Malformed::Tag(other)),
    })
}

fn write_node(node: TypeNode, bytes: &mut Vec<u8>) -> Option<()> {
    if let Some((byte, _)) = SIMPLE.iter().find(|(_, simple)| *simple == node) {
        bytes.push(*byte);
        return Some(());
    }
    if let Some((kind, _)) = OBJECTS.iter().find(|(_, object)| *object == node) {
        bytes.extend([OBJECT, *kind]);
        return Some(());
    }
    match node {
        TypeNode::Map => bytes.push(MAP),
        TypeNode::Tuple(count) => bytes.extend([TUPLE, u8::try_from(count).ok()?]),
        TypeNode::Variant(count) => bytes.extend([VARIANT, u8::try_from(count).ok()?]),
        TypeNode::Variable(variable) => bytes.extend([VARIABLE, variable]),
        TypeNode::AnyBytes => {
            bytes.push(BYTES);
            encoding::write_integer(&(-1i64).into(), bytes);
        }
        TypeNode::Bytes(size) => {
            bytes.push(BYTES);
            encoding::write_integer(&size.into(), bytes);
        }
        _ => return None,
    }
    Some(())
}
