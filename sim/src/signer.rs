//! The key of a client. It panics rather than sign what could hurt its owner.

use strait_encoding::{AccountId, NetworkId, Nonce, SecretKey, SignedForm};
use strait_ledger::{SignedTx, Tx};

/// Holds a key, and knows which of its signatures may be in the hands of the peer.
///
/// The rule (`docs/decisions/0002`): of the transactions that follow one agreed round, a second one is signed only when the
/// peer has refused the first. The simulation tells the signer of a refusal when it arrives, and which transaction it is
/// about; the peer's messages do not say that.
#[derive(Clone, Debug)]
pub struct Signer {
    key: SecretKey,
    network: NetworkId,
    /// Off for a party that lies.
    pub enforcing: bool,
    out: Vec<Out>,
}

/// A signature that left.
#[derive(Clone, Debug)]
struct Out {
    tx: SignedTx,
    /// The round that it leads to; for a mutual close the one that would come next.
    round: u64,
    refused: bool,
}

impl Signer {
    /// The key of this seed.
    pub fn new(seed: [u8; 32], network: NetworkId) -> Self {
        Self { key: SecretKey::from_seed(seed), network, enforcing: true, out: Vec::new() }
    }

    /// The account of the key.
    pub fn account(&self) -> AccountId {
        self.key.account()
    }

    /// The transaction with the signature added, without any question.
    pub fn add_to(&self, tx: &SignedTx) -> SignedTx {
        tx.clone().with_signature(self.key.sign(&self.network, tx.unsigned_bytes(), SignedForm::Hash))
    }

    /// The transaction with the signature added.
    ///
    /// # Panics
    /// The owner could be hurt: another transaction of the same round may be completed by the peer, or a later round is
    /// agreed.
    pub fn sign(&self, tx: &SignedTx, agreed: u64) -> SignedTx {
        self.consent(tx, agreed);
        self.add_to(tx)
    }

    /// Notes that the signature under `tx` leaves.
    ///
    /// # Panics
    /// As [`sign`](Self::sign).
    pub fn release(&mut self, tx: &SignedTx, agreed: u64) {
        self.consent(tx, agreed);
        self.out.retain(|out| out.round > agreed && !out.tx.same_tx(tx));
        self.out.push(Out { tx: tx.clone(), round: round_of(tx, agreed), refused: false });
    }

    /// The peer, or the chain, refused this one.
    pub fn refused(&mut self, tx: &SignedTx) {
        for out in self.out.iter_mut().filter(|out| out.tx.same_tx(tx)) {
            out.refused = true;
        }
    }

    /// The peer showed its latest state, or left: what is not in it, it has given up.
    pub fn all_refused(&mut self) {
        for out in &mut self.out {
            out.refused = true;
        }
    }

    /// What needs a nonce that was used can never be mined.
    pub(crate) fn nonces_used(&mut self, used: impl Fn(AccountId) -> Nonce) {
        for out in &mut self.out {
            let tx = out.tx.tx();
            out.refused |= tx.origin().is_some_and(|origin| tx.nonce() <= used(origin));
        }
    }

    fn consent(&self, tx: &SignedTx, agreed: u64) {
        if !self.enforcing {
            return;
        }
        let round = round_of(tx, agreed);
        assert!(round > agreed, "asked to sign round {round}, and round {agreed} is agreed: {tx:?}");
        let is_close = |tx: &SignedTx| matches!(tx.tx(), Tx::ChannelCloseMutual(_));
        for out in self.out.iter().filter(|out| out.round == round && !out.refused) {
            // Two closes of one state pay the same out, and only one can be mined.
            let harmless = out.tx.same_tx(tx) || (is_close(tx) && is_close(&out.tx));
            assert!(harmless, "asked to sign {tx:?} while the peer may still complete {:?}", out.tx);
        }
    }
}

fn round_of(tx: &SignedTx, agreed: u64) -> u64 {
    tx.tx().agreed_state().map_or(agreed + 1, |(round, _)| round.0)
}
