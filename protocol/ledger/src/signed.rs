//! Signed transactions and the evidence of who signed (`docs/protocol/signing` §1, §2).

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use strait_encoding::rlp::{DecodeError, Fields, List};
use strait_encoding::text::{self, Prefix};
use strait_encoding::{AccountId, ChannelId, NetworkId, Signature, SignedForm, TxHash, hash, verify};
use thiserror::Error;

use crate::{GaMetaTx, Tx, TxKind};

/// A transaction with a set of signatures: sorted, none twice, whatever order they came in.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedTx {
    signatures: Vec<Signature>,
    tx: Arc<Tx>,
    /// The canonical bytes of `tx`, which the signatures cover.
    unsigned: Arc<[u8]>,
}

/// Evidence that exactly these accounts authenticated a transaction: by signatures, or by calls of their contracts. Only the
/// checks of this crate make it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authenticated {
    signers: Vec<AccountId>,
}

impl Authenticated {
    /// After a check.
    pub(crate) fn by(signers: Vec<AccountId>) -> Self {
        Self { signers }
    }

    /// Who authenticated, in the order that was asked for.
    pub fn signers(&self) -> &[AccountId] {
        &self.signers
    }
}

/// The signatures of a transaction are not exactly those of the expected signers.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SignatureCheck {
    /// Nobody's signature verifies for this account.
    #[error("no valid signature of {0}")]
    Missing(AccountId),
    /// A signature of nobody expected is left over.
    #[error("{0} signatures too many: they belong to none of the expected signers")]
    LeftOver(usize),
}

/// What may be signed, the more common form first: the JS SDK signs the hash, older clients the transaction itself.
const SIGNED_ALONE: [SignedForm; 2] = [SignedForm::Hash, SignedForm::Plain];
/// What may be signed where another account pays.
const SIGNED_TO_BE_PAID: [SignedForm; 2] = [SignedForm::InnerHash, SignedForm::InnerPlain];

impl SignedTx {
    /// `tx` with no signatures yet.
    pub fn unsigned(tx: impl Into<Tx>) -> Self {
        let tx = tx.into();
        let unsigned = tx.encode().into();
        Self { signatures: Vec::new(), tx: Arc::new(tx), unsigned }
    }

    /// The same transaction with one signature more.
    #[must_use]
    pub fn with_signature(mut self, signature: Signature) -> Self {
        if let Err(place) = self.signatures.binary_search(&signature) {
            self.signatures.insert(place, signature);
        }
        self
    }

    /// The transaction.
    pub fn tx(&self) -> &Tx {
        &self.tx
    }

    /// The transaction inside all meta transactions; itself, where it is none. What another account pays for is not looked
    /// into.
    pub fn innermost(&self) -> &SignedTx {
        let mut signed = self;
        while let Tx::GaMeta(meta) = signed.tx() {
            signed = &meta.tx;
        }
        signed
    }

    /// What the innermost transaction says.
    pub fn body(&self) -> &Tx {
        self.innermost().tx()
    }

    /// The meta transactions around the innermost one, the outermost first.
    pub fn metas(&self) -> impl Iterator<Item = &GaMetaTx> {
        let mut next = Some(self);
        std::iter::from_fn(move || {
            let Tx::GaMeta(meta) = next?.tx() else { return None };
            next = Some(&meta.tx);
            Some(meta)
        })
    }

    /// The same with one signature more on the innermost transaction: there a basic account signs what a generalized one
    /// authenticates too (`docs/protocol/signing` §3).
    #[must_use]
    pub fn with_signature_inside(self, signature: Signature) -> Self {
        let Tx::GaMeta(meta) = self.tx() else { return self.with_signature(signature) };
        let tx = meta.tx.clone().with_signature_inside(signature);
        let signatures = self.signatures.clone();
        let outer = Self::unsigned(GaMetaTx { tx, ..meta.clone() });
        Self { signatures, ..outer }
    }

    /// How many have authenticated it: generalized accounts by a meta transaction, each counted once, and signatures on the
    /// innermost transaction. Nothing is verified.
    pub fn authentications(&self) -> usize {
        let accounts: BTreeSet<_> = self.metas().map(|meta| meta.ga_id).collect();
        accounts.len() + self.innermost().signatures.len()
    }

    /// The channel that it is about.
    pub fn channel_id(&self) -> Option<ChannelId> {
        self.tx.channel_id()
    }

    /// The signatures, ascending.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// The bytes that the signatures cover, behind the network id.
    pub fn unsigned_bytes(&self) -> &[u8] {
        &self.unsigned
    }

    /// Whether `other` is the same transaction inside all meta transactions, whoever authenticated it.
    pub fn same_tx(&self, other: &SignedTx) -> bool {
        self.innermost().unsigned == other.innermost().unsigned
    }

    /// The serialized signed transaction.
    pub fn encode(&self) -> Vec<u8> {
        List::object(11, 1).all_bytes(self.signatures.iter().map(|s| &s.0[..])).bytes(&self.unsigned).finish()
    }

    /// Reads a serialized signed transaction. Signatures are sorted and doubles dropped, the transaction is brought into
    /// its canonical form.
    ///
    /// # Errors
    /// Malformed, or a transaction of an unknown kind: the sender's fault.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_inside(bytes, 0)
    }

    /// As [`decode`](Self::decode), for one that stands in so many other transactions.
    pub(crate) fn decode_inside(bytes: &[u8], nesting: u32) -> Result<Self, DecodeError> {
        let mut fields = Fields::of_version(bytes, 11, 1)?;
        let mut list = fields.list()?;
        let mut signatures = Vec::new();
        while !list.is_empty() {
            signatures.push(Signature(list.array()?));
        }
        signatures.sort_unstable();
        signatures.dedup();
        let tx = Tx::decode_inside(fields.bytes()?, nesting)?;
        fields.end()?;
        let unsigned = tx.encode().into();
        Ok(Self { signatures, tx: Arc::new(tx), unsigned })
    }

    /// The text form, `tx_…`.
    pub fn to_text(&self) -> String {
        text::encode(Prefix::Transaction, &self.encode())
    }

    /// The hash by which the chain knows it.
    pub fn hash(&self) -> TxHash {
        TxHash(hash::blake2b(&self.encode()))
    }

    /// Which transaction it is.
    pub fn kind(&self) -> TxKind {
        self.tx.kind()
    }

    /// Checks that exactly `signers` signed, with no signature left over.
    ///
    /// # Errors
    /// A signer's signature is missing, or a signature is nobody's.
    pub fn verify(
        &self,
        network: &NetworkId,
        signers: &[AccountId],
    ) -> Result<Authenticated, SignatureCheck> {
        self.verify_more(network, None, signers)
    }

    /// As [`verify`](Self::verify), where the signatures of `known` were verified before for the signers in
    /// `known.1`: those are compared, not verified again.
    ///
    /// # Errors
    /// As there.
    pub fn verify_more(
        &self,
        network: &NetworkId,
        known: Option<(&SignedTx, &Authenticated)>,
        signers: &[AccountId],
    ) -> Result<Authenticated, SignatureCheck> {
        let mut left = self.signatures.clone();
        let mut remaining = signers.to_vec();
        if let Some((before, evidence)) = known
            && before.unsigned == self.unsigned
            && before.signatures.iter().all(|signature| left.contains(signature))
            && let Some(others) = without(signers, &evidence.signers)
        {
            left.retain(|signature| !before.signatures.contains(signature));
            remaining = others;
        }
        if let Some(more) = left.len().checked_sub(remaining.len()).filter(|more| *more > 0) {
            // Nobody can make this side verify signatures that cannot all be needed.
            return Err(SignatureCheck::LeftOver(more));
        }
        self.take_all(network, &remaining, left, SIGNED_ALONE)?;
        Ok(Authenticated { signers: signers.to_vec() })
    }

    /// As [`verify`](Self::verify), for a transaction that another account pays for.
    ///
    /// # Errors
    /// As there.
    pub fn verify_paid(
        &self,
        network: &NetworkId,
        signers: &[AccountId],
    ) -> Result<Authenticated, SignatureCheck> {
        if let Some(more) = self.signatures.len().checked_sub(signers.len()).filter(|more| *more > 0) {
            return Err(SignatureCheck::LeftOver(more));
        }
        self.take_all(network, signers, self.signatures.clone(), SIGNED_TO_BE_PAID)?;
        Ok(Authenticated { signers: signers.to_vec() })
    }

    /// Takes the signature of each signer out of `left`.
    fn take_all(
        &self,
        network: &NetworkId,
        signers: &[AccountId],
        mut left: Vec<Signature>,
        forms: [SignedForm; 2],
    ) -> Result<(), SignatureCheck> {
        for signer in signers {
            let place = self.place_of(network, *signer, &left, forms);
            left.remove(place.ok_or(SignatureCheck::Missing(*signer))?);
        }
        Ok(())
    }

    /// Which of `signatures` is the signer's. One form is tried on all of them before the other, so that a transaction whose
    /// signers use the same form, as they mostly do, costs the fewest verifications.
    fn place_of(
        &self,
        network: &NetworkId,
        signer: AccountId,
        signatures: &[Signature],
        forms: [SignedForm; 2],
    ) -> Option<usize> {
        forms.into_iter().find_map(|form| {
            let is_its = |signature| verify(signer, signature, network, &self.unsigned, &[form]).is_some();
            signatures.iter().position(is_its)
        })
    }
}

/// `all` without `some`, each taken once; none where `some` has one that `all` has not: then what they signed proves
/// nothing here.
fn without(all: &[AccountId], some: &[AccountId]) -> Option<Vec<AccountId>> {
    let mut rest = all.to_vec();
    for one in some {
        let place = rest.iter().position(|other| other == one)?;
        rest.remove(place);
    }
    Some(rest)
}

impl fmt::Debug for SignedTx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedTx").field("tx", &self.tx).field("signatures", &self.signatures.len()).finish()
    }
}

impl Serialize for SignedTx {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_text())
    }
}

impl<'de> Deserialize<'de> for SignedTx {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let form = String::deserialize(deserializer)?;
        let bytes = text::decode(Prefix::Transaction, &form).map_err(serde::de::Error::custom)?;
        Self::decode(&bytes).map_err(serde::de::Error::custom)
    }
}
