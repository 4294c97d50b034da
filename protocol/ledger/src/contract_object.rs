//! A contract as a state knows it (`docs/protocol/encodings` §4.5).

use serde_json::{Value, json};
use strait_encoding::rlp::{DecodeError, Fields, List};
use strait_encoding::{Coins, ContractId, Id};

use crate::CtVersion;
use crate::tx::id_text;

const TAG: u64 = 40;
/// The first virtual machine whose contracts can share code.
const SHARING_MACHINE: u64 = 7;

/// A contract. Its id and its store are not part of it: those stand beside it in the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContractObject {
    /// Who made it: an account, or another contract.
    pub owner: Id,
    /// Virtual machine and call convention.
    pub ct_version: CtVersion,
    /// Its code.
    pub code: ContractCode,
    /// Always empty today.
    pub log: Vec<u8>,
    /// Always true today.
    pub active: bool,
    /// Always empty today.
    pub referrers: Vec<Id>,
    /// Coins locked in it.
    pub deposit: Coins,
}

/// Where the code of a contract is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContractCode {
    /// Here: the serialized container.
    Own(Vec<u8>),
    /// With the contract that it is a clone of.
    Of(ContractId),
}

impl ContractObject {
    /// A contract that was just made.
    pub fn new(owner: impl Into<Id>, ct_version: CtVersion, code: Vec<u8>, deposit: Coins) -> Self {
        Self {
            owner: owner.into(),
            ct_version,
            code: ContractCode::Own(code),
            log: Vec::new(),
            active: true,
            referrers: Vec::new(),
            deposit,
        }
    }

    /// The serialized object: version 2 where the virtual machine knows shared code, else 1.
    pub fn encode(&self) -> Vec<u8> {
        let shares = self.ct_version.vm >= SHARING_MACHINE;
        let (code, refers): (&[u8], _) = match &self.code {
            ContractCode::Own(code) => (code, None),
            ContractCode::Of(id) => (&[], Some(*id)),
        };
        let list = List::object(TAG, if shares { 2 } else { 1 })
            .id(self.owner)
            .uint(self.ct_version.pack())
            .bytes(code);
        let list = if shares { list.ids(refers) } else { list };
        list.bytes(&self.log)
            .bool(self.active)
            .ids(self.referrers.iter().copied())
            .coins(self.deposit)
            .finish()
    }

    /// Reads a serialized object.
    ///
    /// # Errors
    /// Malformed, or of a version nobody knows: the fault of whoever made it.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (version, mut fields) = Fields::of_object(bytes, TAG)?;
        if !(1..=2).contains(&version) {
            return Err(DecodeError::Version { tag: TAG, version });
        }
        let (owner, ct_version) = (fields.id()?, CtVersion::unpack(fields.uint()?));
        let own = fields.bytes()?.to_vec();
        let refers = if version == 2 { ids(&mut fields)? } else { Vec::new() };
        let code = match refers[..] {
            [] => ContractCode::Own(own),
            [Id::Contract(id)] if own.is_empty() => ContractCode::Of(id),
            _ => return Err(DecodeError::Rule("a contract must have code, or name one contract that has")),
        };
        let object = Self {
            owner,
            ct_version,
            code,
            log: fields.bytes()?.to_vec(),
            active: fields.bool()?,
            referrers: ids(&mut fields)?,
            deposit: fields.coins()?,
        };
        fields.end()?;
        Ok(object)
    }

    /// The JSON of the node's interfaces (`docs/protocol/chain_service` §4, `docs/protocol/ws_api` §5).
    pub fn to_json(&self, id: ContractId) -> Value {
        let referrers: Value = self.referrers.iter().map(|id| id_text(*id)).collect();
        json!({
            "id": id.to_string(),
            "owner_id": id_text(self.owner),
            "vm_version": self.ct_version.vm,
            "abi_version": self.ct_version.abi,
            "active": self.active,
            "referrer_ids": referrers,
            "deposit": self.deposit,
        })
    }
}

fn ids(fields: &mut Fields<'_>) -> Result<Vec<Id>, DecodeError> {
    let mut list = fields.list()?;
    let mut ids = Vec::new();
    while !list.is_empty() {
        ids.push(list.id()?);
    }
    Ok(ids)
}
