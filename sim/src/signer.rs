//! The key of a client. It panics rather than sign what could hurt its owner.

use strait_channel::Flow;
use strait_encoding::{AccountId, ChannelId, Coins, NetworkId, SecretKey, SignedForm, StateHash};
use strait_ledger::{
    Account, Chain, ChainView, CloseMutualTx, Payload, SignedTx, StateProof, Trees, Tx, TxLocation,
};

use crate::authority::{Authority, MetaLie};

/// Holds a key, and knows which of its signatures may be in the hands of the peer.
///
/// The rules:
/// - Of the transactions that follow one agreed round, whether updates, deposits, withdrawals or mutual closes, a second one
///   is signed only when the peer has refused the first (`docs/decisions/0002`), but for a mutual close of the same split. The
///   simulation tells the signer of a refusal when it arrives, and which transaction it is about; the peer's messages do not
///   say that.
/// - What is posted alone shows the latest agreed round, and none before it; or the state of a deposit or withdrawal that the
///   chain has already.
#[derive(Clone, Debug)]
pub struct Signer {
    key: SecretKey,
    network: NetworkId,
    /// What acts for the account instead of the key, where it is generalized.
    authority: Option<Authority>,
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
    /// It is in a block.
    mined: bool,
}

impl Signer {
    /// The key of this seed.
    pub fn new(seed: [u8; 32], network: NetworkId) -> Self {
        Self { key: SecretKey::from_seed(seed), network, authority: None, enforcing: true, out: Vec::new() }
    }

    /// The same, where the account is generalized.
    #[must_use]
    pub fn generalized(self) -> Self {
        let authority = Authority::of(&self.key, self.network.clone());
        Self { authority: Some(authority), ..self }
    }

    /// The transaction that makes the account a generalized one.
    pub(crate) fn attaching(&self) -> SignedTx {
        self.add_key(&Authority::of(&self.key, self.network.clone()).attaching())
    }

    /// Learns which numbers the contract of the account takes next.
    pub(crate) fn count(&mut self, chain: &Chain, channel: Option<ChannelId>) {
        if let Some(authority) = &mut self.authority {
            authority.look_at_chain(chain, channel);
        }
    }

    /// The account of the key.
    pub fn account(&self) -> AccountId {
        self.key.account()
    }

    /// The transaction with the signature added, or in a meta transaction of the account, without any question.
    pub fn add_to(&self, tx: &SignedTx) -> SignedTx {
        match &self.authority {
            Some(authority) => authority.wrap(tx),
            None => self.add_key(tx),
        }
    }

    /// The transaction with the signature of the key added, whatever the account is: on the innermost one.
    pub(crate) fn add_key(&self, tx: &SignedTx) -> SignedTx {
        let shown = tx.innermost().unsigned_bytes();
        tx.clone().with_signature_inside(self.key.sign(&self.network, shown, SignedForm::Hash))
    }

    /// The transaction in a meta transaction with something wrong; in a true one, where the account is a basic one.
    pub(crate) fn wrap_with(&self, tx: &SignedTx, lie: MetaLie) -> SignedTx {
        let authority = self.authority.clone();
        let authority = authority.unwrap_or_else(|| Authority::of(&self.key, self.network.clone()));
        authority.wrap_with(tx, Some(lie))
    }

    /// The transaction with the signature added. `agreed`: the latest that both signed, if there is any.
    ///
    /// # Panics
    /// The owner could be hurt: another transaction of the same round may be completed by the peer, or a later round is
    /// agreed.
    pub fn sign(&self, tx: &SignedTx, agreed: Option<&SignedTx>) -> SignedTx {
        match agreed.filter(|_| self.enforcing) {
            Some(agreed) if is_alone(tx) => self.consent_alone(tx, agreed),
            agreed => self.consent(tx, agreed.map_or(0, |agreed| round_of(agreed, 0))),
        }
        self.add_to(tx)
    }

    /// What was signed and left.
    pub(crate) fn signed(&self) -> impl Iterator<Item = &SignedTx> {
        self.out.iter().map(|out| &out.tx)
    }

    /// Notes that the signature under `tx` leaves.
    ///
    /// # Panics
    /// As [`sign`](Self::sign).
    pub fn release(&mut self, tx: &SignedTx, agreed: u64) {
        self.consent(tx, agreed);
        // What can be mined counts for longer than its round.
        let lives = |out: &Out| out.round > agreed || out.tx.body().origin().is_some();
        let mined = self.out.iter().any(|out| out.mined && out.tx.same_tx(tx));
        self.out.retain(|out| lives(out) && !out.tx.same_tx(tx));
        self.out.push(Out { tx: tx.clone(), round: round_of(tx, agreed), refused: false, mined });
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

    /// What needs a nonce that another transaction used can never be mined, and what the chain dropped it does not take
    /// again. `located`: where the chain has a transaction, whoever signed it.
    pub(crate) fn look_at_chain(&mut self, chain: &Chain, located: impl Fn(&SignedTx) -> TxLocation) {
        for out in &mut self.out {
            let tx = out.tx.body();
            let Some(origin) = tx.origin() else { continue };
            let location = located(&out.tx);
            out.mined = matches!(location, TxLocation::InBlock { .. });
            out.refused |= match location {
                TxLocation::InBlock { .. } => false,
                TxLocation::Gone => true,
                TxLocation::Pool | TxLocation::Unknown => {
                    let used = |account: Account| account.is_basic() && tx.nonce() <= account.nonce;
                    let late = tx.ttl().0 > 0 && tx.ttl() < chain.top_height();
                    chain.account(origin).is_some_and(used) || late
                }
            };
        }
    }

    /// # Panics
    /// What is to be posted shows another state than the agreed one.
    fn consent_alone(&self, tx: &SignedTx, agreed: &SignedTx) {
        let (signed, proved) = shown(tx);
        assert!(
            signed.as_ref().is_none_or(|signed| signed == agreed),
            "asked to sign {tx:?}, and {agreed:?} is agreed"
        );
        let state = |tx: &SignedTx| tx.body().agreed_state().map(|(_, hash)| hash);
        let mut on_chain = self.out.iter().filter(|out| out.mined && signed.is_none());
        let fine =
            proved.is_none() || proved == state(agreed) || on_chain.any(|out| state(&out.tx) == proved);
        assert!(fine, "asked to sign a proof of another state than {agreed:?}: {tx:?}");
    }

    fn consent(&self, tx: &SignedTx, agreed: u64) {
        if !self.enforcing {
            return;
        }
        let round = round_of(tx, agreed);
        assert!(round > agreed, "asked to sign round {round}, and round {agreed} is agreed: {tx:?}");
        for out in self.out.iter().filter(|out| out.round == round && !out.refused) {
            let harmless = out.tx.same_tx(tx) || same_split(tx, &out.tx);
            assert!(harmless, "asked to sign {tx:?} while the peer may still complete {:?}", out.tx);
        }
    }
}

/// Two closes of one state, of which only one can be mined: they differ by the fee alone.
fn same_split(one: &SignedTx, other: &SignedTx) -> bool {
    let (Tx::ChannelCloseMutual(one), Tx::ChannelCloseMutual(other)) = (one.body(), other.body()) else {
        return false;
    };
    let held = |tx: &CloseMutualTx| tx.initiator_amount_final.0 + tx.responder_amount_final.0 + tx.fee.0;
    let fees = one.fee.0.max(other.fee.0);
    let near = |one: Coins, other: Coins| one.0.abs_diff(other.0) <= fees;
    held(one) == held(other)
        && near(one.initiator_amount_final, other.initiator_amount_final)
        && near(one.responder_amount_final, other.responder_amount_final)
}

/// Whether one party signs it alone.
fn is_alone(tx: &SignedTx) -> bool {
    Flow::of_tx(tx.body().kind()).is_some_and(|flow| flow.row().codes.is_none())
}

/// What a transaction of one shows: the transaction in its payload, if there is one, and the state that its proof is of.
fn shown(tx: &SignedTx) -> (Option<SignedTx>, Option<StateHash>) {
    let (payload, proof) = match tx.body() {
        Tx::ChannelCloseSolo(close) => (&close.payload, Some(&close.poi)),
        Tx::ChannelSlash(slash) => (&slash.payload, Some(&slash.poi)),
        Tx::ChannelSnapshotSolo(snapshot) => (&snapshot.payload, None),
        Tx::ChannelForceProgress(forced) => {
            let trees = Trees::decode(&forced.offchain_trees.0);
            let before = trees.unwrap_or_else(|error| panic!("{error} in {tx:?}")).state_hash();
            return (signed_in(&forced.payload, tx), Some(before));
        }
        // A settlement shows nothing: the amounts are those on chain already.
        _ => return (None, None),
    };
    let signed = signed_in(payload, tx);
    let proved = proof.map(|proof| StateProof::decode(&proof.0));
    let proved = proved.map(|proof| proof.unwrap_or_else(|error| panic!("{error} in {tx:?}")).state_hash());
    (signed, proved)
}

/// The co-signed transaction in the payload of `tx`, if there is one.
fn signed_in(payload: &Payload, tx: &SignedTx) -> Option<SignedTx> {
    let signed = SignedTx::decode(&payload.0).ok();
    assert_eq!(signed.is_none(), payload.0.is_empty(), "a payload that is no transaction: {tx:?}");
    signed
}

fn round_of(tx: &SignedTx, agreed: u64) -> u64 {
    tx.body().agreed_state().map_or(agreed + 1, |(round, _)| round.0)
}
