//! Tagged identifiers inside objects.

use serde::{Deserialize, Serialize};

use crate::rlp::DecodeError;
use crate::{AccountId, ChannelId, ContractId};

/// An identifier inside an object: one tag byte and 32 bytes (`docs/protocol/encodings` §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Id {
    /// Tag 1.
    Account(AccountId),
    /// Tag 2: the hash of a name.
    Name([u8; 32]),
    /// Tag 3: the commitment to a name.
    Commitment([u8; 32]),
    /// Tag 4.
    Oracle([u8; 32]),
    /// Tag 5.
    Contract(ContractId),
    /// Tag 6.
    Channel(ChannelId),
}

impl Id {
    /// The 33 bytes inside an object.
    pub fn to_bytes(self) -> [u8; 33] {
        let (tag, body) = match self {
            Id::Account(id) => (1, id.0),
            Id::Name(body) => (2, body),
            Id::Commitment(body) => (3, body),
            Id::Oracle(body) => (4, body),
            Id::Contract(id) => (5, id.0),
            Id::Channel(id) => (6, id.0),
        };
        let mut bytes = [0; 33];
        bytes[0] = tag;
        bytes[1..].copy_from_slice(&body);
        bytes
    }

    /// Reads the 33 bytes of an identifier.
    ///
    /// # Errors
    /// Another length, or an unknown tag.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let Some((tag, body)) = bytes.split_first() else { return Err(DecodeError::Id) };
        let body: [u8; 32] = body.try_into().map_err(|_| DecodeError::Id)?;
        Ok(match tag {
            1 => Id::Account(AccountId(body)),
            2 => Id::Name(body),
            3 => Id::Commitment(body),
            4 => Id::Oracle(body),
            5 => Id::Contract(ContractId(body)),
            6 => Id::Channel(ChannelId(body)),
            _ => return Err(DecodeError::Id),
        })
    }
}

impl From<AccountId> for Id {
    fn from(id: AccountId) -> Self {
        Id::Account(id)
    }
}

impl From<ContractId> for Id {
    fn from(id: ContractId) -> Self {
        Id::Contract(id)
    }
}

impl From<ChannelId> for Id {
    fn from(id: ChannelId) -> Self {
        Id::Channel(id)
    }
}
