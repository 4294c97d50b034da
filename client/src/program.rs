//! Compiled contracts, and calls of them.

use strait_encoding::text::{self, Prefix, TextError};
use strait_fate::{Code, Container, FunctionId, Type, Value, check, function_id};
use strait_ledger::{ABI_FATE, CtVersion};
use thiserror::Error;

/// The virtual machine of contracts made at the Ceres protocol (`docs/protocol/contracts` §1).
const CERES_MACHINE: u16 = 8;

/// Why something is no program, or no call of one: the fault of whoever wrote it.
#[derive(Debug, Error)]
pub enum ProgramError {
    /// It is not `cb_…`.
    #[error("the program is not in the text form cb_…: {0}")]
    Text(#[from] TextError),
    /// It is no container, or the code in it cannot be read.
    #[error("the program cannot be read: {0}")]
    Malformed(String),
    /// A call of a function that the program does not have.
    #[error("the program has no function `{0}`")]
    NoFunction(String),
    /// A call with more or fewer arguments than the function has.
    #[error("`{function}` takes {expected} arguments, found {found}")]
    Arity {
        /// The function.
        function: String,
        /// How many it takes.
        expected: usize,
        /// How many were given.
        found: usize,
    },
    /// An argument is of another type than the function's.
    #[error("argument {place} of `{function}` is of another type: {found:?}")]
    Argument {
        /// The function.
        function: String,
        /// Which argument, counted from 1.
        place: usize,
        /// What was given.
        found: Value,
    },
    /// An argument is nothing that a call can carry.
    #[error("an argument has no bytes: {0}")]
    Unserializable(&'static str),
}

/// Function and arguments of a call, as they go over the wire (`docs/protocol/contracts` §2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calldata(Vec<u8>);

impl Calldata {
    /// The call of `function`. Whether a contract has such a function is not looked at: [`Program::call`] does.
    ///
    /// # Errors
    /// An argument is nothing that a call can carry, such as code.
    pub fn call(function: &str, arguments: &[Value]) -> Result<Self, ProgramError> {
        let call = Value::tuple(vec![Value::string(function_id(function)), Value::tuple(arguments.to_vec())]);
        call.encode().map(Self).map_err(|why| ProgramError::Unserializable(why.0))
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text form, `cb_…`.
    pub fn to_text(&self) -> String {
        text::encode(Prefix::ContractBytes, &self.0)
    }
}

/// The function and the arguments of encoded calldata; none where it is none.
pub(crate) fn read_call(bytes: &[u8]) -> Option<(FunctionId, Vec<Value>)> {
    let Value::Tuple(call) = Value::decode(bytes).ok()? else { return None };
    let [Value::String(id), Value::Tuple(arguments)] = &call[..] else { return None };
    Some(((**id).try_into().ok()?, arguments.to_vec()))
}

/// A compiled contract.
#[derive(Clone)]
pub struct Program {
    bytes: Vec<u8>,
    stored: Vec<u8>,
    container: Container,
    code: Code,
    version: CtVersion,
}

impl Program {
    /// Reads what the compiler wrote, `cb_…`; white space around it is of no meaning. The program is for VM 8, the one of
    /// the Ceres protocol.
    ///
    /// # Errors
    /// It is no program.
    pub fn from_text(text: &str) -> Result<Self, ProgramError> {
        Self::new(text::decode(Prefix::ContractBytes, text.trim())?, CERES_MACHINE)
    }

    /// A program for one of the FATE machines: 5, 7 or 8.
    ///
    /// # Errors
    /// As for [`from_text`](Self::from_text).
    pub fn new(bytes: Vec<u8>, vm: u16) -> Result<Self, ProgramError> {
        let malformed = |why: String| ProgramError::Malformed(why);
        let container = Container::decode(&bytes).map_err(|why| malformed(why.to_string()))?;
        let code = Code::decode(&container.byte_code).map_err(|why| malformed(why.to_string()))?;
        let stored = container.stored(vm).map_err(|why| malformed(why.to_string()))?.encode();
        let version = CtVersion { vm: vm.into(), abi: ABI_FATE };
        Ok(Self { bytes, stored, container, code, version })
    }

    /// A call of one of its functions; how many arguments there are, and their types, are checked.
    ///
    /// # Errors
    /// There is no such function, or its arguments are others.
    pub fn call(&self, function: &str, arguments: &[Value]) -> Result<Calldata, ProgramError> {
        let types = self.arguments(function).ok_or_else(|| ProgramError::NoFunction(function.to_owned()))?;
        let function_name = || function.to_owned();
        if types.len() != arguments.len() {
            let (expected, found) = (types.len(), arguments.len());
            return Err(ProgramError::Arity { function: function_name(), expected, found });
        }
        for (place, (declared, found)) in types.iter().zip(arguments).enumerate() {
            if check(declared, found, true).is_none() {
                let (function, place, found) = (function_name(), place + 1, found.clone());
                return Err(ProgramError::Argument { function, place, found });
            }
        }
        Calldata::call(function, arguments)
    }

    /// The serialized container.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Virtual machine and call convention.
    pub fn version(&self) -> CtVersion {
        self.version
    }

    /// The BLAKE2b-256 hash of the source that it was compiled from.
    pub fn source_hash(&self) -> &[u8] {
        &self.container.source_hash
    }

    /// The version of the compiler.
    pub fn compiler(&self) -> String {
        String::from_utf8_lossy(&self.container.compiler).into_owned()
    }

    /// The container as a state keeps it.
    pub(crate) fn stored(&self) -> &[u8] {
        &self.stored
    }

    /// The name of a function, where the program has it.
    pub(crate) fn name_of(&self, function: FunctionId) -> Option<String> {
        self.code.name_of(function)
    }

    fn arguments(&self, function: &str) -> Option<&[Type]> {
        let id = function_id(function);
        self.code.signatures().find(|(found, ..)| *found == id).map(|(_, arguments, _)| arguments)
    }
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Program({} bytes for VM {})", self.bytes.len(), self.version.vm)
    }
}

#[cfg(test)]
mod tests {
    use strait_encoding::AccountId;

    use super::*;
    use crate::value;

    fn meter() -> Program {
        Program::from_text(include_str!("../../examples/meter/meter.bytecode")).unwrap()
    }

    /// What the compiler makes of `redeem(#0707…07, 300)`: `aesophia_cli --create_calldata`.
    const REDEEM: &str = "cb_KxHsPpKQK58BgQcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHb4Hs9/yjBQ==";

    #[test]
    fn calldata_are_those_of_the_compiler() {
        let call = meter().call("redeem", &[value(&[7_u8; 32]), value(&300_u64)]).unwrap();
        assert_eq!(call.to_text(), REDEEM);
        assert_eq!(read_call(call.bytes()).unwrap().1, [value(&[7_u8; 32]), value(&300_u64)]);
    }

    #[test]
    fn calls_are_checked_against_the_code() {
        let refused = |function: &str, arguments: &[Value]| meter().call(function, arguments).unwrap_err();
        assert!(matches!(refused("dance", &[]), ProgramError::NoFunction(name) if name == "dance"));
        let arity = refused("redeem", &[value(&1_u64)]);
        assert!(matches!(arity, ProgramError::Arity { expected: 2, found: 1, .. }), "{arity}");
        let swapped = refused("redeem", &[value(&300_u64), value(&[7_u8; 32])]);
        assert!(matches!(swapped, ProgramError::Argument { place: 1, .. }), "{swapped}");
        let account = refused("redeem", &[value(&[7_u8; 32]), value(&AccountId([1; 32]))]);
        assert!(matches!(account, ProgramError::Argument { place: 2, .. }), "{account}");
        let unsaid = Calldata::call("redeem", &[Value::Removed]);
        assert!(matches!(unsaid, Err(ProgramError::Unserializable(_))), "{unsaid:?}");
    }

    #[test]
    fn what_is_no_program_is_refused() {
        for text in ["", "cb_", "ct_11", "cb_AAAAAA"] {
            assert!(Program::from_text(text).is_err(), "{text}");
        }
        let cut = meter().bytes()[..600].to_vec();
        assert!(matches!(Program::new(cut, 8), Err(ProgramError::Malformed(_))));
    }
}
