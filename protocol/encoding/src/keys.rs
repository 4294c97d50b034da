//! ed25519 keys and signatures over transactions (`docs/protocol/signing` §1).

use std::cell::RefCell;
use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::AccountId;
use crate::hash::blake2b;
use crate::text::{self, Prefix, TextError};
use crate::verified::Verification;

/// The name of a network, `ae_mainnet`, `ae_uat`, `ae_dev`: every signature covers it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NetworkId(pub String);

impl fmt::Display for NetworkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What of a transaction is signed behind the network id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedForm {
    /// The serialized unsigned transaction itself.
    Plain,
    /// Its BLAKE2b-256 hash, valid from the Lima protocol on; what the JS SDK signs.
    Hash,
    /// As `Plain`, for a transaction that another one pays for.
    InnerPlain,
    /// As `Hash`, for a transaction that another one pays for.
    InnerHash,
}

impl SignedForm {
    fn message(self, network: &NetworkId, tx: &[u8]) -> Vec<u8> {
        let mut message = Vec::with_capacity(network.0.len() + 9 + tx.len());
        message.extend_from_slice(network.0.as_bytes());
        if matches!(self, SignedForm::InnerPlain | SignedForm::InnerHash) {
            message.extend_from_slice(b"-inner_tx");
        }
        match self {
            SignedForm::Plain | SignedForm::InnerPlain => message.extend_from_slice(tx),
            SignedForm::Hash | SignedForm::InnerHash => message.extend_from_slice(&blake2b(tx)),
        }
        message
    }
}

/// An ed25519 signature, 64 bytes, `sg_…`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signature(pub [u8; 64]);

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::encode(Prefix::Signature, &self.0))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Signature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(self.0))
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digits = String::deserialize(deserializer)?;
        let mut bytes = [0; 64];
        hex::decode_to_slice(&digits, &mut bytes).map_err(serde::de::Error::custom)?;
        Ok(Self(bytes))
    }
}

/// Whether `signature` is `signer`'s over the unsigned transaction `tx` in one of `forms`, tried in order.
///
/// Verification is strict: small-order keys and non-canonical signatures are refused. Where the process
/// [remembers](crate::remember_verified), what it verified before is not verified again.
pub fn verify(
    signer: AccountId,
    signature: &Signature,
    network: &NetworkId,
    tx: &[u8],
    forms: &[SignedForm],
) -> Option<SignedForm> {
    let key = unpacked(signer)?;
    let parts = ed25519_dalek::Signature::from_bytes(&signature.0);
    forms.iter().copied().find(|form| {
        let message = form.message(network, tx);
        let Some(verification) = Verification::of(signer, signature, &message) else {
            return key.verify_strict(&message, &parts).is_ok();
        };
        let is_valid = verification.is_known() || key.verify_strict(&message, &parts).is_ok();
        if is_valid {
            verification.remember();
        }
        is_valid
    })
}

/// How many unpacked keys each thread remembers.
const UNPACKED: usize = 512;

thread_local! {
    /// The two parties of a channel sign over and over, and unpacking a key costs a tenth of a verification. Remembering is
    /// not state: what is remembered follows from the key alone.
    static KEYS: RefCell<Vec<Option<(AccountId, VerifyingKey)>>> = const { RefCell::new(Vec::new()) };
}

fn unpacked(account: AccountId) -> Option<VerifyingKey> {
    KEYS.with_borrow_mut(|keys| {
        keys.resize(UNPACKED, None);
        let place = &mut keys[usize::from(u16::from_le_bytes([account.0[0], account.0[1]])) % UNPACKED];
        match place {
            Some((known, key)) if *known == account => Some(*key),
            _ => {
                let key = VerifyingKey::from_bytes(&account.0).ok()?;
                *place = Some((account, key));
                Some(key)
            }
        }
    })
}

/// An ed25519 seed, `sk_…`; wiped from memory when dropped, never shown by `Debug`.
///
/// The service itself holds no keys; this is for clients, tests and the prefunded accounts of the dev chain.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// The key of a 32-byte seed.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(SigningKey::from_bytes(&seed))
    }

    /// The account that this key signs for.
    pub fn account(&self) -> AccountId {
        AccountId(self.0.verifying_key().to_bytes())
    }

    /// Signs the serialized unsigned transaction `tx` for `network`.
    pub fn sign(&self, network: &NetworkId, tx: &[u8], form: SignedForm) -> Signature {
        Signature(self.0.sign(&form.message(network, tx)).to_bytes())
    }

    /// The text form with the secret in it, `sk_…`.
    pub fn expose(&self) -> String {
        text::encode(Prefix::SecretKey, &self.0.to_bytes())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.account())
    }
}

impl FromStr for SecretKey {
    type Err = TextError;

    fn from_str(s: &str) -> Result<Self, TextError> {
        text::decode_array(Prefix::SecretKey, s).map(Self::from_seed)
    }
}
