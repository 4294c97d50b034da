//! How each type of field stands in an object and in JSON (`docs/protocol/encodings` §4 and §6).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use strait_encoding::rlp::{DecodeError, Fields, List};
use strait_encoding::text::{self, Prefix};
use strait_encoding::{AccountId, ChannelId, Coins, ContractId, Height, Id, Nonce, Round, StateHash};

use crate::{CtVersion, SignedTx, StateProof, Trees, Tx, Update};

/// A type that can be a field of a transaction.
pub(super) trait Field: Sized {
    /// Reads the field.
    fn read(fields: &mut Fields<'_>, from: Reading) -> Result<Self, DecodeError>;
    /// Appends the field.
    fn write(&self, list: List) -> List;
    /// The field in the client's JSON; `None` leaves it out.
    fn json(&self) -> Option<Value>;
    /// Puts the field into the client's JSON: by its name, where it is not said otherwise.
    fn show(&self, name: &str, map: &mut Map<String, Value>) {
        if let Some(value) = self.json() {
            map.insert(name.to_owned(), value);
        }
    }
}

/// What a field is read from.
#[derive(Clone, Copy)]
pub(super) struct Reading {
    /// The version of the object.
    pub version: u64,
    /// How many transactions it stands in.
    pub nesting: u32,
}

macro_rules! field {
    ($type:ty, $read:ident, |$value:ident, $list:ident| $write:expr, $json:expr) => {
        impl Field for $type {
            fn read(fields: &mut Fields<'_>, _: Reading) -> Result<Self, DecodeError> {
                fields.$read()
            }

            fn write(&self, $list: List) -> List {
                let $value = self;
                $write
            }

            fn json(&self) -> Option<Value> {
                let $value = self;
                $json
            }
        }
    };
}

field!(AccountId, account, |id, list| list.id(*id), Some(json!(id.to_string())));
field!(ChannelId, channel, |id, list| list.id(*id), Some(json!(id.to_string())));
field!(ContractId, contract, |id, list| list.id(*id), Some(json!(id.to_string())));
field!(Coins, coins, |coins, list| list.coins(*coins), Some(json!(coins)));
field!(Round, round, |round, list| list.uint(round.0), Some(json!(round)));
field!(Nonce, nonce, |nonce, list| list.uint(nonce.0), Some(json!(nonce)));
field!(u64, uint, |number, list| list.uint(*number), Some(json!(number)));
field!(StateHash, state_hash, |hash, list| list.bytes(&hash.0), Some(json!(hash.to_string())));
// The only height in a transaction is its ttl, which JSON leaves out when there is none.
field!(Height, height, |height, list| list.uint(height.0), (height.0 != 0).then(|| json!(height)));
field!(Vec<AccountId>, accounts, |ids, list| list.ids(ids.iter().copied()), {
    Some(ids.iter().map(ToString::to_string).collect())
});
field!(Id, id, |id, list| list.id(*id), Some(json!(id_text(*id))));

/// An identifier in text form.
pub(crate) fn id_text(id: Id) -> String {
    let (prefix, body) = match id {
        Id::Account(id) => (Prefix::Account, id.0),
        Id::Name(body) => (Prefix::Name, body),
        Id::Commitment(body) => (Prefix::Commitment, body),
        Id::Oracle(body) => (Prefix::Oracle, body),
        Id::Contract(id) => (Prefix::Contract, id.0),
        Id::Channel(id) => (Prefix::Channel, id.0),
    };
    text::encode(prefix, &body)
}

macro_rules! byte_fields {
    ($($(#[$doc:meta])* $name:ident $prefix:expr, $canonical:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name(pub Vec<u8>);

        impl Field for $name {
            fn read(fields: &mut Fields<'_>, _: Reading) -> Result<Self, DecodeError> {
                fields.bytes().map(|bytes| Self($canonical(bytes)))
            }

            fn write(&self, list: List) -> List {
                list.bytes(&self.0)
            }

            fn json(&self) -> Option<Value> {
                Some(json!(text::encode($prefix, &self.0)))
            }
        }
    )*};
}

byte_fields! {
    /// A serialized co-signed transaction, or nothing where the state on chain is meant.
    Payload Prefix::Transaction, as_it_is;
    /// A serialized proof of inclusion.
    ProofBytes Prefix::Proof, canonical_proof;
    /// Serialized state trees.
    TreesBytes Prefix::StateTrees, canonical_trees;
    /// Free bytes that accompany a spend.
    SpendPayload Prefix::Bytes, as_it_is;
    /// Code, call data or authentication data of a contract.
    ContractBytes Prefix::ContractBytes, as_it_is;
}

fn as_it_is(bytes: &[u8]) -> Vec<u8> {
    bytes.to_vec()
}

/// A node reads the proof together with the transaction and writes it in its own order: that is what signatures and hashes
/// cover. Where it is malformed a node does not read the transaction at all, which is left to those who take transactions.
fn canonical_proof(bytes: &[u8]) -> Vec<u8> {
    StateProof::decode(bytes).map_or_else(|_| bytes.to_vec(), |proof| proof.encode())
}

/// As [`canonical_proof`].
fn canonical_trees(bytes: &[u8]) -> Vec<u8> {
    Trees::decode(bytes).map_or_else(|_| bytes.to_vec(), |trees| trees.encode())
}

/// The hash of the name and type of a function: what an authentication must call. FATE knows functions by the first 4
/// bytes (`docs/protocol/signing` §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionHash(pub [u8; 32]);

impl Field for FunctionHash {
    fn read(fields: &mut Fields<'_>, _: Reading) -> Result<Self, DecodeError> {
        fields.array().map(Self)
    }

    fn write(&self, list: List) -> List {
        list.bytes(&self.0)
    }

    fn json(&self) -> Option<Value> {
        let digits = self.0.iter().fold("0x".to_owned(), |text, byte| format!("{text}{byte:02x}"));
        Some(Value::String(digits))
    }
}

impl Field for CtVersion {
    fn read(fields: &mut Fields<'_>, _: Reading) -> Result<Self, DecodeError> {
        fields.uint().map(Self::unpack)
    }

    fn write(&self, list: List) -> List {
        list.uint(self.pack())
    }

    fn json(&self) -> Option<Value> {
        None
    }

    fn show(&self, _: &str, map: &mut Map<String, Value>) {
        map.insert("vm_version".to_owned(), json!(self.vm));
        map.insert("abi_version".to_owned(), json!(self.abi));
    }
}

/// The ttl of a meta transaction: since the Iris protocol it has none of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetaTtl(pub Option<Height>);

impl Field for MetaTtl {
    fn read(fields: &mut Fields<'_>, from: Reading) -> Result<Self, DecodeError> {
        match from.version {
            1 => fields.height().map(|height| Self(Some(height))),
            _ => Ok(Self(None)),
        }
    }

    fn write(&self, list: List) -> List {
        self.0.iter().fold(list, |list, height| list.uint(height.0))
    }

    fn json(&self) -> Option<Value> {
        self.0.as_ref().and_then(Field::json)
    }
}

impl Field for SignedTx {
    fn read(fields: &mut Fields<'_>, from: Reading) -> Result<Self, DecodeError> {
        SignedTx::decode_inside(fields.bytes()?, from.nesting + 1)
    }

    fn write(&self, list: List) -> List {
        list.bytes(&self.encode())
    }

    fn json(&self) -> Option<Value> {
        let tx = self.tx().to_json();
        Some(match self.tx() {
            Tx::GaMeta(_) => json!({ "tx": tx }),
            _ => {
                let signatures: Value = self.signatures().iter().map(ToString::to_string).collect();
                json!({ "tx": tx, "signatures": signatures })
            }
        })
    }
}

/// Who may act for the parties in a dispute: one list before the Iris protocol, one for each party since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Delegates {
    /// Version 1 of the create transaction.
    Shared(Vec<AccountId>),
    /// Version 2 of the create transaction.
    Each {
        /// Delegates of the initiator.
        initiator: Vec<AccountId>,
        /// Delegates of the responder.
        responder: Vec<AccountId>,
    },
}

impl Field for Delegates {
    fn read(fields: &mut Fields<'_>, from: Reading) -> Result<Self, DecodeError> {
        Ok(match from.version {
            1 => Delegates::Shared(fields.accounts()?),
            _ => Delegates::Each { initiator: fields.accounts()?, responder: fields.accounts()? },
        })
    }

    fn write(&self, list: List) -> List {
        match self {
            Delegates::Shared(ids) => ids.write(list),
            Delegates::Each { initiator, responder } => responder.write(initiator.write(list)),
        }
    }

    fn json(&self) -> Option<Value> {
        match self {
            Delegates::Shared(ids) => ids.json(),
            Delegates::Each { initiator, responder } => {
                Some(json!({ "initiator": initiator.json(), "responder": responder.json() }))
            }
        }
    }
}

impl Field for Update {
    fn read(fields: &mut Fields<'_>, _: Reading) -> Result<Self, DecodeError> {
        Update::decode(fields.bytes()?)
    }

    fn write(&self, list: List) -> List {
        list.bytes(&self.encode())
    }

    fn json(&self) -> Option<Value> {
        Some(self.to_json())
    }
}
