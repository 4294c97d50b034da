//! Accounts as they stand in the accounts tree (`docs/protocol/encodings` §4.5).

use serde::{Deserialize, Serialize};
use strait_encoding::rlp::{DecodeError, Fields, List};
use strait_encoding::{Coins, ContractId, Nonce};

const TAG: u64 = 10;
const NOT_PAYABLE: u64 = 1;

/// An account. Its key is not part of it: that is where it stands in the tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The nonce of its last transaction; always 0 off chain.
    pub nonce: Nonce,
    /// What it owns.
    pub balance: Coins,
    /// How it authenticates.
    pub kind: AccountKind,
    /// Bit 0: not payable. No other bit has a meaning.
    pub flags: u64,
}

/// How an account authenticates its transactions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccountKind {
    /// By a signature of its key.
    #[default]
    Basic,
    /// By a call of a contract.
    Generalized {
        /// The contract.
        contract: ContractId,
        /// The hash of the function that is called.
        auth_fun: [u8; 32],
    },
}

impl Account {
    /// A payable basic account that has sent nothing yet.
    pub fn new(balance: Coins) -> Self {
        Self { nonce: Nonce(0), balance, kind: AccountKind::Basic, flags: 0 }
    }

    /// Whether a spend may go to it.
    pub fn is_payable(&self) -> bool {
        self.flags & NOT_PAYABLE == 0
    }

    /// Whether it authenticates by a signature.
    pub fn is_basic(&self) -> bool {
        self.kind == AccountKind::Basic
    }

    /// The serialized account: version 2 for a generalized one, 3 with flags, else 1.
    pub fn encode(&self) -> Vec<u8> {
        match self.kind {
            AccountKind::Generalized { contract, auth_fun } => List::object(TAG, 2)
                .uint(self.flags)
                .uint(self.nonce.0)
                .coins(self.balance)
                .id(contract)
                .bytes(&auth_fun),
            AccountKind::Basic if self.flags == 0 => {
                List::object(TAG, 1).uint(self.nonce.0).coins(self.balance)
            }
            AccountKind::Basic => {
                List::object(TAG, 3).uint(self.flags).uint(self.nonce.0).coins(self.balance)
            }
        }
        .finish()
    }

    /// Reads a serialized account.
    ///
    /// # Errors
    /// Malformed, or of a version nobody knows: the fault of whoever made it.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (version, mut fields) = Fields::of_object(bytes, TAG)?;
        let flags = match version {
            1 => 0,
            2 | 3 => fields.uint()?,
            _ => return Err(DecodeError::Version { tag: TAG, version }),
        };
        let (nonce, balance) = (fields.nonce()?, fields.coins()?);
        let kind = match version {
            2 => AccountKind::Generalized { contract: fields.contract()?, auth_fun: fields.array()? },
            _ => AccountKind::Basic,
        };
        fields.end()?;
        Ok(Self { nonce, balance, kind, flags })
    }
}
