//! BLAKE2b-256 and what is hashed with it (`docs/protocol/encodings` §5).

use blake2::digest::consts::U32;
use blake2::{Blake2b, Digest};

use crate::{AccountId, ChannelId, ContractId, Nonce};

/// The BLAKE2b hash with a digest of 32 bytes, no key.
pub fn blake2b(bytes: &[u8]) -> [u8; 32] {
    blake2b_of(&[bytes])
}

/// The BLAKE2b-256 hash of the concatenated parts.
pub fn blake2b_of(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Blake2b::<U32>::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// The id of the channel that a basic account opens with the create transaction of this nonce
/// (`docs/protocol/channel_txs` §2).
pub fn channel_id(initiator: AccountId, nonce: Nonce, responder: AccountId) -> ChannelId {
    ChannelId(blake2b_of(&[&initiator.0, &padded(nonce.0), &responder.0]))
}

/// The id of the channel that a generalized account opens; `auth_id` is [`auth_id`] of its innermost meta transaction.
pub fn channel_id_of_generalized(initiator: AccountId, auth_id: [u8; 32], responder: AccountId) -> ChannelId {
    ChannelId(blake2b_of(&[&initiator.0, &auth_id, &responder.0]))
}

/// The id under which an authentication of a generalized account is known.
pub fn auth_id(account: AccountId, auth_data: &[u8]) -> [u8; 32] {
    blake2b_of(&[&account.0, auth_data])
}

/// The id of a contract; `counter` is the nonce of the transaction on chain and the round inside a channel.
pub fn contract_id(owner: AccountId, counter: u64) -> ContractId {
    let bytes = counter.to_be_bytes();
    let minimal = &bytes[(counter.leading_zeros() / 8).min(7) as usize..];
    ContractId(blake2b_of(&[&owner.0, minimal]))
}

/// The id of a contract call; `counter` as for [`contract_id`].
pub fn call_id(caller: AccountId, counter: u64, contract: ContractId) -> [u8; 32] {
    blake2b_of(&[&caller.0, &padded(counter), &contract.0])
}

fn padded(number: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[24..].copy_from_slice(&number.to_be_bytes());
    bytes
}
