//! What the decoders must hold for any input. `cargo fuzz` looks for inputs that break it; the corpus of those that are worth
//! keeping is replayed by `cargo test`.
//!
//! The rule is the same for each: no panic, and what was read and is written again reads as the same.

use strait_channel::Message;
use strait_encoding::rlp::{Fields, Item, split};
use strait_ledger::{Account, ChannelObject, SignedTx, StateProof, Trees, Tx, Update};

/// Feeds bytes to a decoder; panics if it breaks the rule.
pub type Target = fn(&[u8]);

/// The targets by their names, which are those of their corpus folders too.
pub const TARGETS: &[(&str, Target)] =
    &[("rlp", rlp), ("objects", objects), ("message", message), ("frame", frame), ("query", query)];

/// RLP items, to any depth that the bytes have.
pub fn rlp(bytes: &[u8]) {
    let mut lists = vec![bytes];
    while let Some(mut rest) = lists.pop() {
        while let Ok((item, behind)) = split(rest) {
            assert!(behind.len() < rest.len(), "an item takes at least a byte");
            if let Item::List(inner) = item {
                lists.push(inner);
            }
            rest = behind;
        }
    }
    if let Ok(mut fields) = Fields::of_list(bytes) {
        while !fields.is_empty() && fields.clone().uint128().is_ok() {
            let _ = fields.item();
        }
    }
}

/// Every kind of object that comes from outside.
pub fn objects(bytes: &[u8]) {
    fn again<T: PartialEq + std::fmt::Debug, E: std::fmt::Debug>(
        bytes: &[u8],
        decode: impl Fn(&[u8]) -> Result<T, E>,
        encode: impl Fn(&T) -> Vec<u8>,
    ) {
        if let Ok(object) = decode(bytes) {
            assert_eq!(decode(&encode(&object)).expect("what was written can be read"), object);
        }
    }
    again(bytes, SignedTx::decode, SignedTx::encode);
    again(bytes, Tx::decode, Tx::encode);
    again(bytes, Update::decode, Update::encode);
    again(bytes, Account::decode, Account::encode);
    again(bytes, ChannelObject::decode, ChannelObject::encode);
    again(bytes, Trees::decode, Trees::encode);
    again(bytes, StateProof::decode, StateProof::encode);
}

/// A peer message: reading it back gives the very bytes, but for the short `channel_accept` of old nodes.
pub fn message(bytes: &[u8]) {
    let Ok(message) = Message::decode(bytes) else { return };
    if let Ok(written) = message.encode() {
        assert_eq!(Message::decode(&written).as_ref(), Ok(&message));
        assert!(written == bytes || matches!(message, Message::ChannelAccept { .. }));
    }
}

/// A text frame of a client.
pub fn frame(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = strait_api::frames::parse(text);
    }
}

/// The query string of a client's socket.
pub fn query(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = strait_api::query::parse(text);
    }
}
