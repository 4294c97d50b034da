//! What both signed, and what this side signed and may still come about (`docs/decisions/0001`, 0002).

use std::sync::Arc;

use strait_encoding::{AccountId, Nonce};
use strait_ledger::{Account, AccountKind, SignedTx};

use crate::channel::{Agreed, Draft, Stand};
use crate::flow::Flow;
use crate::notice::{Notice, OnChainEvent};
use crate::solo::replaces;
use crate::step::Move;

impl Move<'_> {
    /// Remembers what this side signed; with more signatures it takes the place of what there was.
    pub(crate) fn expose(&mut self, draft: Arc<Draft>) {
        self.next.exposed.retain(|exposed| !exposed.tx.same_tx(&draft.tx));
        self.next.exposed.push(draft);
    }

    /// A round that both signed is the state from now on.
    pub(crate) fn agree(&mut self, draft: &Draft) {
        let forced = self.next.forced.clone();
        self.settle_on(draft);
        self.next.talk.since = self.now;
        self.tell(Notice::Update(draft.tx.clone()));
        self.warn_of_offers();
        if self.next.stand == Stand::Open && forced.is_empty() {
            return;
        }
        let object = self.next.id.and_then(|id| self.chain.channel(id));
        let agreed = self.next.agreed.clone();
        let newer = agreed.zip(object).is_some_and(|(agreed, object)| replaces(&agreed, &object));
        match (&self.next.stand, forced.last()) {
            (Stand::Closing, _) if newer => {
                self.next.warned = self.object().ok().map(|object| (object.round, object.state_hash));
                self.on_chain(OnChainEvent::CanSlash, &draft.tx);
            }
            // Both signed what takes the place of a forced state, instead of going on from it.
            (Stand::Open, Some(last)) if newer && self.next.round() <= last.state.round() => {
                self.on_chain(OnChainEvent::CanSnapshot, &last.state.tx.clone());
            }
            _ => {}
        }
    }

    /// The latest state is this one: what was signed before is superseded, but for what the chain would still take.
    pub(crate) fn settle_on(&mut self, draft: &Draft) {
        self.next.agreed = Some(Arc::new(Agreed { tx: draft.tx.clone(), trees: draft.trees.clone() }));
        self.keep_forced_on_agreed();
        self.keep_calls(&draft.trees);
        let exposed = std::mem::take(&mut self.next.exposed);
        let settled = draft.tx.body().agreed_state().map(|(round, _)| round);
        let (kept, superseded): (Vec<_>, Vec<_>) = exposed.into_iter().partition(|other| {
            // A fork can take back the forced state that a later round stood on. Of two transactions of one round the peer can
            // still show the other one on chain, and whoever does not know its state could not close alone then.
            let round = other.tx.body().agreed_state().map(|(round, _)| round);
            let alive = (round.is_some() && round >= settled)
                || (moves_funds(&other.tx) && !self.can_never_be_mined(&other.tx));
            alive && !other.tx.same_tx(&draft.tx)
        });
        self.next.exposed = kept;
        if !superseded.is_empty() {
            self.keep_offers(superseded.iter().map(|draft| draft.tx.clone()));
        }
        self.next.ceremony = None;
    }

    /// Whether no block can hold this transaction any more: its nonce is used or its time over.
    pub(crate) fn can_never_be_mined(&self, tx: &SignedTx) -> bool {
        let (ttl, top) = (tx.body().ttl(), self.chain.top_height());
        let account = tx.body().origin().and_then(|origin| self.chain.account(origin));
        // What a generalized account takes twice, its contract decides.
        let is_used =
            |account: Account| account.kind == AccountKind::Basic && account.nonce >= tx.body().nonce();
        (ttl.0 > 0 && ttl < top) || account.is_some_and(is_used)
    }

    /// The nonce of the own account's next transaction: what waits for a signature or for the peer counts too, before the chain
    /// knows of it. A settlement that waits for the end of a lock period does not: a slash goes first.
    pub(crate) fn next_nonce(&self, me: AccountId) -> Nonce {
        if self.is_generalized_now(me) {
            return Nonce(0);
        }
        let ceremony = self.next.ceremony.as_ref().map(|ceremony| &ceremony.draft.tx);
        let solo = self.next.talk.solo.as_ref().map(|solo| &solo.draft.tx);
        let pending = ceremony.into_iter().chain(solo).filter(|tx| tx.body().origin() == Some(me));
        let next = self.chain.next_nonce(me);
        // A nonce that lies further ahead is the client's own choice.
        let taken: Vec<Nonce> = pending.map(|tx| tx.body().nonce()).collect();
        std::iter::successors(Some(next), |nonce| Some(nonce.next()))
            .find(|nonce| !taken.contains(nonce))
            .unwrap_or(next)
    }

    /// A deposit or withdrawal that both signed, that the chain refused, and that it may still take: a round beside it would not
    /// count any more if it did.
    pub(crate) fn looming(&self) -> Option<&SignedTx> {
        let both = |draft: &&Arc<Draft>| draft.tx.authentications() > 1 && moves_funds(&draft.tx);
        let mut looming = self.next.exposed.iter().filter(both).map(|draft| &draft.tx);
        looming.find(|tx| !self.can_never_be_mined(tx) && self.next.height_of(&tx.hash()).is_none())
    }
}

/// Whether a transaction changes what the channel holds on chain.
pub(crate) fn moves_funds(tx: &SignedTx) -> bool {
    matches!(Flow::of_tx(tx.body().kind()), Some(Flow::Deposit | Flow::Withdraw))
}
