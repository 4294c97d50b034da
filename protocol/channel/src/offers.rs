//! Mutual closes that this side signed and that did not come about: what they can still do (`docs/decisions/0002`).

use std::sync::Arc;

use strait_encoding::Coins;
use strait_ledger::{CloseMutualTx, SignedTx, Trees, Tx};

use crate::channel::Draft;
use crate::refusal::Reason;
use crate::step::Move;
use crate::terms::Role;

/// How many transactions that did not come about the peer may hold before this side signs no further one.
const MAX_HELD: usize = 64;

/// How many closes are remembered although no block can take them now: a fork can give a nonce back.
const MAX_SPENT: usize = 8;

impl Move<'_> {
    /// Keeps those of `superseded` that are mutual closes: whoever holds one can complete it, whatever was agreed since.
    pub(crate) fn keep_offers(&mut self, superseded: impl Iterator<Item = SignedTx>) {
        let mut offers = std::mem::take(&mut self.next.offers);
        offers.extend(superseded.filter(|tx| close_of(tx).is_some()));
        let spent = offers.iter().filter(|tx| self.can_never_be_mined(tx)).count();
        let mut surplus = spent.saturating_sub(MAX_SPENT);
        offers.retain(|tx| {
            let goes = surplus > 0 && self.can_never_be_mined(tx);
            surplus -= usize::from(goes);
            !goes
        });
        self.next.offers = offers;
    }

    /// Whether the peer holds so much of what this side signed that it gets no more.
    pub(crate) fn holds_too_much(&self) -> bool {
        let agreed = self.next.agreed.as_ref().map(|agreed| agreed.round());
        let is_open = |draft: &&Arc<Draft>| {
            draft.tx.body().agreed_state().is_none_or(|(round, _)| Some(round) > agreed)
        };
        self.next.exposed.iter().filter(is_open).count() >= MAX_HELD || self.next.offers.len() >= MAX_HELD
    }

    /// A transaction of the own generalized account is in a block. What its contract took for an authentication before is taken for
    /// none any more; a nonce that would tell is not to be seen.
    pub(crate) fn withdraw_offers(&mut self) {
        self.next.offers.clear();
        self.next.exposed.retain(|draft| close_of(&draft.tx).is_none());
    }

    /// A round that gives this side more than a close which it signed and which a block can still take is worth no more than that close:
    /// the peer would complete it. A difference of the close's fee is let pass, because to end the close costs as much.
    ///
    /// # Errors
    /// There is such a close.
    pub(crate) fn check_offers(&self, trees: &Trees) -> Result<(), Reason> {
        let me = self.next.me();
        let account = me.and_then(|me| trees.account(me));
        let balance = account.map_or(Coins::ZERO, |account| account.balance);
        let held = self.next.exposed.iter().map(|draft| &draft.tx).chain(&self.next.offers);
        let undercuts = |(tx, close): &(&SignedTx, &CloseMutualTx)| {
            let pays = self.pays_me(close);
            balance.0 > pays.0.saturating_add(close.fee.0) && !self.can_never_be_mined(tx)
        };
        match held.filter_map(|tx| Some((tx, close_of(tx)?))).find(undercuts) {
            None => Ok(()),
            Some((_, close)) => Err(Reason::Undercut {
                balance,
                pays: self.pays_me(close),
                account: close.from_id,
                nonce: close.nonce.0,
            }),
        }
    }

    fn pays_me(&self, close: &CloseMutualTx) -> Coins {
        match self.next.role() {
            Role::Initiator => close.initiator_amount_final,
            Role::Responder => close.responder_amount_final,
        }
    }
}

fn close_of(tx: &SignedTx) -> Option<&CloseMutualTx> {
    match tx.body() {
        Tx::ChannelCloseMutual(close) => Some(close),
        _ => None,
    }
}
