//! Bytes, identifiers, text forms, hashes, keys and signatures of aeternity.
//!
//! Everything above this crate speaks in its newtypes: an [`AccountId`] is not a [`ChannelId`], [`Coins`] are not a
//! [`Round`]. The byte formats are those of `docs/protocol/encodings.md`.

mod bytes32;
pub mod hash;
mod id;
mod keys;
mod quantity;
pub mod rlp;
pub mod text;
mod verified;

pub use bytes32::{
    AccountId, BlockHash, ChannelId, ContractId, FsmId, KeyBlockHash, MicroBlockHash, RootHash, StateHash,
    TxHash,
};
pub use id::Id;
pub use keys::{NetworkId, SecretKey, Signature, SignedForm, verify};
pub use quantity::{Coins, Height, Nonce, Round};
pub use text::{Prefix, TextError};
pub use verified::remember_verified;
