//! Peer messages and their bytes (`docs/protocol/p2p_wire` §2 to §4).

use strait_encoding::{AccountId, BlockHash, ChannelId, KeyBlockHash, TxHash};
use thiserror::Error;

/// The largest message that fits into one frame, in bytes (`docs/protocol/p2p_wire` §1.3).
pub const MAX_MESSAGE: usize = 65_519;

/// The longest text of an in-band message, in bytes.
pub const MAX_INBAND: usize = 65_000;

/// Why bytes are not a peer message: the peer's fault.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MessageError {
    /// No message has this code, or there is none.
    #[error("unknown message code {0:?}")]
    UnknownCode(Option<u8>),
    /// The message ends inside a field.
    #[error("the message ends inside the field {0}")]
    Truncated(&'static str),
    /// Bytes are left behind the last field.
    #[error("{0} bytes are left behind the last field")]
    Trailing(usize),
    /// A field does not fit its length prefix, or the whole message its frame: ours, refused before anything is sent.
    #[error("{what} has {size} bytes, at most {limit} fit")]
    TooLong {
        /// Which field, or `message`.
        what: &'static str,
        /// Its size in bytes.
        size: usize,
        /// How many fit.
        limit: usize,
    },
    /// A length prefix has a value that its field does not allow.
    #[error("the field {0} has a wrong length prefix")]
    Prefix(&'static str),
}

/// A type that can be a field of a message.
trait Field: Sized {
    fn read(rest: &mut &[u8], name: &'static str) -> Result<Self, MessageError>;
    fn write(&self, out: &mut Vec<u8>, name: &'static str) -> Result<(), MessageError>;
}

fn take<'a>(rest: &mut &'a [u8], size: usize, name: &'static str) -> Result<&'a [u8], MessageError> {
    let (taken, left) = rest.split_at_checked(size).ok_or(MessageError::Truncated(name))?;
    *rest = left;
    Ok(taken)
}

macro_rules! fixed {
    ($($type:ty, $size:literal, |$bytes:ident| $read:expr, |$value:ident| $write:expr;)*) => {$(
        impl Field for $type {
            fn read(rest: &mut &[u8], name: &'static str) -> Result<Self, MessageError> {
                let slice = take(rest, $size, name)?;
                let $bytes: [u8; $size] = slice.try_into().map_err(|_| MessageError::Truncated(name))?;
                Ok($read)
            }

            fn write(&self, out: &mut Vec<u8>, _: &'static str) -> Result<(), MessageError> {
                let $value = self;
                out.extend_from_slice(&$write);
                Ok(())
            }
        }
    )*};
}

fixed! {
    [u8; 32], 32, |bytes| bytes, |value| *value;
    KeyBlockHash, 32, |bytes| KeyBlockHash(bytes), |value| value.0;
    BlockHash, 32, |bytes| BlockHash::new(bytes), |value| *value.as_bytes();
    ChannelId, 32, |bytes| ChannelId(bytes), |value| value.0;
    AccountId, 32, |bytes| AccountId(bytes), |value| value.0;
    u8, 1, |bytes| bytes[0], |value| [*value];
    u16, 2, |bytes| u16::from_be_bytes(bytes), |value| value.to_be_bytes();
    u32, 4, |bytes| u32::from_be_bytes(bytes), |value| value.to_be_bytes();
    u64, 8, |bytes| u64::from_be_bytes(bytes), |value| value.to_be_bytes();
}

/// Bytes behind a length of two bytes.
impl Field for Vec<u8> {
    fn read(rest: &mut &[u8], name: &'static str) -> Result<Self, MessageError> {
        let size = u16::read(rest, name)?;
        take(rest, size.into(), name).map(<[u8]>::to_vec)
    }

    fn write(&self, out: &mut Vec<u8>, name: &'static str) -> Result<(), MessageError> {
        let limit = usize::from(u16::MAX);
        let size = u16::try_from(self.len()).map_err(|_| MessageError::TooLong {
            what: name,
            size: self.len(),
            limit,
        })?;
        out.extend_from_slice(&size.to_be_bytes());
        out.extend_from_slice(self);
        Ok(())
    }
}

/// Serialized updates, each behind its length, up to the end of the message.
impl Field for Vec<Vec<u8>> {
    fn read(rest: &mut &[u8], name: &'static str) -> Result<Self, MessageError> {
        let mut all = Vec::new();
        while !rest.is_empty() {
            all.push(Vec::read(rest, name)?);
        }
        Ok(all)
    }

    fn write(&self, out: &mut Vec<u8>, name: &'static str) -> Result<(), MessageError> {
        self.iter().try_for_each(|bytes| bytes.write(out, name))
    }
}

/// The hash in a `…_locked` message stands behind its length.
impl Field for TxHash {
    fn read(rest: &mut &[u8], name: &'static str) -> Result<Self, MessageError> {
        let bytes = Vec::read(rest, name)?;
        bytes.try_into().map(TxHash).map_err(|_| MessageError::Prefix(name))
    }

    fn write(&self, out: &mut Vec<u8>, name: &'static str) -> Result<(), MessageError> {
        self.0.to_vec().write(out, name)
    }
}

/// The strategy behind `minimum_depth`; nodes of old leave it out and are told apart by the length alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepthStrategy(pub u8);

macro_rules! messages {
    ($($(#[$doc:meta])* $code:literal $name:ident { $($field:ident: $type:ty,)* })*) => {
        /// The code of a message: its first byte.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Code { $($(#[$doc])* $name = $code,)* }

        /// A peer message. Transactions and updates are the bytes as they stand in it.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[allow(missing_docs)]
        pub enum Message { $($(#[$doc])* $name { $($field: $type,)* },)* }

        impl Message {
            /// The code.
            pub fn code(&self) -> Code {
                match self { $(Message::$name { .. } => Code::$name,)* }
            }

            /// The name in logs and documents.
            pub fn name(&self) -> &'static str {
                match self { $(Message::$name { .. } => stringify!($name),)* }
            }

            /// Reads one message.
            ///
            /// # Errors
            /// An unknown code, a truncated message, bytes behind it: the peer's fault.
            pub fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
                let (code, mut rest) = bytes.split_first().ok_or(MessageError::UnknownCode(None))?;
                let rest = &mut rest;
                let message = match code {
                    $($code => Message::$name { $($field: Field::read(rest, stringify!($field))?,)* },)*
                    other => return Err(MessageError::UnknownCode(Some(*other))),
                };
                if rest.is_empty() { Ok(message) } else { Err(MessageError::Trailing(rest.len())) }
            }

            /// The bytes of the message.
            ///
            /// # Errors
            /// A field or the whole message is too long for the wire. Nothing may be sent then.
            pub fn encode(&self) -> Result<Vec<u8>, MessageError> {
                let mut out = Vec::with_capacity(512);
                out.push(self.code() as u8);
                match self {
                    $(Message::$name { $($field,)* } => { $($field.write(&mut out, stringify!($field))?;)* })*
                }
                if out.len() > MAX_MESSAGE {
                    return Err(MessageError::TooLong { what: "message", size: out.len(), limit: MAX_MESSAGE });
                }
                Ok(out)
            }
        }
    };
}

messages! {
    /// The initiator's offer.
    1 ChannelOpen { chain_hash: KeyBlockHash, temporary_id: [u8; 32], lock_period: u16, push_amount: u64,
        initiator_amount: u64, responder_amount: u64, channel_reserve: u64, initiator: AccountId, responder: AccountId, }
    /// The responder agrees to talk.
    2 ChannelAccept { chain_hash: KeyBlockHash, temporary_id: [u8; 32], minimum_depth: u32, strategy: DepthStrategy,
        initiator_amount: u64, responder_amount: u64, channel_reserve: u64, initiator: AccountId, responder: AccountId, }
    /// The initiator comes back with its latest co-signed transaction.
    3 ChannelReestablish { chain_hash: KeyBlockHash, channel_id: ChannelId, tx: Vec<u8>, }
    /// The responder agrees to go on.
    4 ChannelReestAck { chain_hash: KeyBlockHash, channel_id: ChannelId, tx: Vec<u8>, }
    /// The create transaction, signed by the initiator.
    5 FundingCreated { temporary_id: [u8; 32], block_hash: BlockHash, tx: Vec<u8>, updates: Vec<Vec<u8>>, }
    /// The create transaction, signed by both.
    6 FundingSigned { temporary_id: [u8; 32], block_hash: BlockHash, tx: Vec<u8>, }
    /// The sender's confirmations are reached.
    7 FundingLocked { temporary_id: [u8; 32], channel_id: ChannelId, }
    /// A new round, signed by its proposer.
    8 Update { channel_id: ChannelId, block_hash: BlockHash, tx: Vec<u8>, updates: Vec<Vec<u8>>, }
    /// A new round, signed by both.
    9 UpdateAck { channel_id: ChannelId, tx: Vec<u8>, }
    /// A refused round.
    10 UpdateError { channel_id: ChannelId, round: u32, error_code: u16, }
    /// A deposit, signed by its proposer.
    11 DepositCreated { channel_id: ChannelId, block_hash: BlockHash, tx: Vec<u8>, updates: Vec<Vec<u8>>, }
    /// A deposit, signed by both.
    12 DepositSigned { channel_id: ChannelId, block_hash: BlockHash, tx: Vec<u8>, }
    /// The sender's confirmations are reached.
    13 DepositLocked { channel_id: ChannelId, tx_hash: TxHash, }
    /// A refused deposit.
    14 DepositError { channel_id: ChannelId, round: u32, error_code: u16, }
    /// A withdrawal, signed by its proposer.
    15 WithdrawCreated { channel_id: ChannelId, block_hash: BlockHash, tx: Vec<u8>, updates: Vec<Vec<u8>>, }
    /// A withdrawal, signed by both.
    16 WithdrawSigned { channel_id: ChannelId, block_hash: BlockHash, tx: Vec<u8>, }
    /// The sender's confirmations are reached.
    17 WithdrawLocked { channel_id: ChannelId, tx_hash: TxHash, }
    /// A refused withdrawal.
    18 WithdrawError { channel_id: ChannelId, round: u32, error_code: u16, }
    /// The sender goes away and keeps its state.
    94 Leave { channel_id: ChannelId, }
    /// The receiver knows.
    95 LeaveAck { channel_id: ChannelId, }
    /// Text from client to client.
    96 InbandMsg { channel_id: [u8; 32], from: AccountId, to: AccountId, info: Vec<u8>, }
    /// Why the sender is about to close the connection.
    97 Error { channel_id: [u8; 32], reason: Vec<u8>, }
    /// A mutual close, signed by its proposer.
    98 Shutdown { channel_id: ChannelId, block_hash: BlockHash, tx: Vec<u8>, }
    /// A mutual close, signed by both.
    99 ShutdownAck { channel_id: ChannelId, block_hash: BlockHash, tx: Vec<u8>, }
    /// A refused mutual close.
    100 ShutdownError { channel_id: ChannelId, round: u32, error_code: u16, }
}

/// The bytes behind the strategy in `channel_accept`: three amounts of 8 and two keys of 32.
const BEHIND_STRATEGY: usize = 3 * 8 + 2 * 32;

impl Field for DepthStrategy {
    fn read(rest: &mut &[u8], name: &'static str) -> Result<Self, MessageError> {
        if rest.len() == BEHIND_STRATEGY { Ok(Self(0)) } else { u8::read(rest, name).map(Self) }
    }

    fn write(&self, out: &mut Vec<u8>, name: &'static str) -> Result<(), MessageError> {
        self.0.write(out, name)
    }
}

impl Message {
    /// The transaction in it, where it carries one: then it carries a signature.
    pub fn tx(&self) -> Option<&[u8]> {
        match self {
            Message::ChannelReestablish { tx, .. }
            | Message::ChannelReestAck { tx, .. }
            | Message::FundingCreated { tx, .. }
            | Message::FundingSigned { tx, .. }
            | Message::Update { tx, .. }
            | Message::UpdateAck { tx, .. }
            | Message::DepositCreated { tx, .. }
            | Message::DepositSigned { tx, .. }
            | Message::WithdrawCreated { tx, .. }
            | Message::WithdrawSigned { tx, .. }
            | Message::Shutdown { tx, .. }
            | Message::ShutdownAck { tx, .. } => Some(tx),
            _ => None,
        }
    }
}
