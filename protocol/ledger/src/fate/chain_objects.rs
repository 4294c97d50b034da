//! Objects of the chain that programs look at: names, oracles and what those are asked.

use strait_encoding::Id;
use strait_encoding::rlp::{DecodeError, Fields};
use strait_fate::{Name, Oracle, OracleQuery, Pointee};

const NAME: u64 = 30;
const ORACLE: u64 = 20;
const QUERY: u64 = 21;
/// From this version of a name on its pointers may hold bytes.
const WITH_BYTES: u64 = 2;
const POINTER_ID: u8 = 1;
const POINTER_BYTES: u8 = 2;

/// Reads a name.
///
/// # Errors
/// It is none.
pub(super) fn name(bytes: &[u8]) -> Result<Name, DecodeError> {
    let (version, mut fields) = Fields::of_object(bytes, NAME)?;
    let (owner, ttl) = (fields.account()?, fields.height()?);
    let revoked = fields.bytes()? == b"revoked";
    let _client_ttl = fields.bytes()?;
    let mut list = fields.list()?;
    fields.end()?;
    let mut pointers = Vec::new();
    while !list.is_empty() {
        let mut pointer = list.list()?;
        pointers.push((pointer.bytes()?.to_vec(), pointee(pointer.bytes()?, version)?));
        pointer.end()?;
    }
    Ok(Name { owner, ttl, revoked, pointers })
}

/// Reads an oracle.
///
/// # Errors
/// It is none.
pub(super) fn oracle(bytes: &[u8]) -> Result<Oracle, DecodeError> {
    let (_, mut fields) = Fields::of_object(bytes, ORACLE)?;
    let (query_format, response_format) = (fields.bytes()?.to_vec(), fields.bytes()?.to_vec());
    let (fee, ttl) = (fields.coins()?, fields.height()?);
    let abi = u16::try_from(fields.uint()?).map_err(|_| DecodeError::Rule("an unknown call convention"))?;
    fields.end()?;
    Ok(Oracle { abi, query_format, response_format, fee, ttl })
}

/// Reads a question to an oracle.
///
/// # Errors
/// It is none.
pub(super) fn oracle_query(bytes: &[u8]) -> Result<OracleQuery, DecodeError> {
    let (_, mut fields) = Fields::of_object(bytes, QUERY)?;
    let (_sender, _nonce, _oracle) = (fields.id()?, fields.nonce()?, fields.id()?);
    let question = fields.bytes()?.to_vec();
    let is_answered = fields.bool()?;
    let response = fields.bytes()?.to_vec();
    Ok(OracleQuery { question, response: is_answered.then_some(response) })
}

fn pointee(bytes: &[u8], version: u64) -> Result<Pointee, DecodeError> {
    let bytes = match bytes {
        _ if version < WITH_BYTES => bytes,
        [POINTER_ID, id @ ..] => id,
        [POINTER_BYTES, data @ ..] => return Ok(Pointee::Data(data.to_vec())),
        _ => return Err(DecodeError::Rule("a name points to something unknown")),
    };
    match Id::from_bytes(bytes)? {
        Id::Account(id) => Ok(Pointee::Account(id.0)),
        Id::Oracle(id) => Ok(Pointee::Oracle(id)),
        Id::Contract(id) => Ok(Pointee::Contract(id.0)),
        Id::Channel(id) => Ok(Pointee::Channel(id.0)),
        Id::Name(_) | Id::Commitment(_) => Err(DecodeError::Rule("a name points to what names cannot")),
    }
}
