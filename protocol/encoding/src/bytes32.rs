//! Newtypes over 32 bytes: keys, ids and hashes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::text::{self, Prefix, TextError};

macro_rules! bytes32 {
    ($($(#[$doc:meta])* $name:ident, $prefix:expr;)*) => {$(
        $(#[$doc])*
        ///
        /// `Display` and `FromStr` are the checksummed text form (`docs/protocol/encodings` §1); `serde` uses plain hex.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// The prefix of the text form.
            pub const PREFIX: Prefix = $prefix;

            /// All 32 bytes zero.
            pub const ZERO: Self = Self([0; 32]);

            /// The raw 32 bytes.
            pub fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&text::encode(Self::PREFIX, &self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = TextError;

            fn from_str(s: &str) -> Result<Self, TextError> {
                text::decode_array(Self::PREFIX, s).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&hex::encode(self.0))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let digits = String::deserialize(deserializer)?;
                let mut bytes = [0; 32];
                hex::decode_to_slice(&digits, &mut bytes).map_err(serde::de::Error::custom)?;
                Ok(Self(bytes))
            }
        }
    )*};
}

bytes32! {
    /// An account's ed25519 public key, `ak_…`.
    AccountId, Prefix::Account;
    /// A channel, `ch_…`.
    ChannelId, Prefix::Channel;
    /// A contract, `ct_…`.
    ContractId, Prefix::Contract;
    /// The BLAKE2b-256 hash of a serialized signed transaction, `th_…`.
    TxHash, Prefix::TxHash;
    /// The hash of a key block's header, `kh_…`.
    KeyBlockHash, Prefix::KeyBlock;
    /// The hash of a micro block's header, `mh_…`.
    MicroBlockHash, Prefix::MicroBlock;
    /// The hash of the state trees of a channel, `st_…`.
    StateHash, Prefix::StateHash;
    /// The root hash of one Merkle Patricia tree; shown with the prefix of a block's state hash, `bs_…`.
    RootHash, Prefix::BlockStateHash;
    /// The secret that opens the door to one side of a channel, `ba_…`.
    FsmId, Prefix::Bytes;
}

/// The hash of a key block or of a micro block; all zero where an environment is not pinned
/// (`docs/protocol/p2p_wire` §2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BlockHash(RootHash);

impl BlockHash {
    /// "Not pinned: evaluate at the top".
    pub const UNPINNED: Self = Self(RootHash::ZERO);

    /// A block hash of these 32 bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(RootHash(bytes))
    }

    /// The raw 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Reads `kh_…` or `mh_…`.
    ///
    /// # Errors
    /// The text is of another kind, or broken.
    pub fn parse(s: &str) -> Result<Self, TextError> {
        match s.parse::<KeyBlockHash>() {
            Ok(hash) => Ok(hash.into()),
            Err(TextError::WrongPrefix { .. }) => s.parse::<MicroBlockHash>().map(Into::into),
            Err(error) => Err(error),
        }
    }
}

impl fmt::Debug for BlockHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "block:{}", hex::encode(self.as_bytes()))
    }
}

impl From<KeyBlockHash> for BlockHash {
    fn from(hash: KeyBlockHash) -> Self {
        Self::new(hash.0)
    }
}

impl From<MicroBlockHash> for BlockHash {
    fn from(hash: MicroBlockHash) -> Self {
        Self::new(hash.0)
    }
}
