//! What this side signed and the peer refused: what it can still do (`docs/decisions/0002`).

use std::sync::Arc;

use strait_encoding::{AccountId, Coins};
use strait_ledger::{CloseMutualTx, SignedTx, Trees, Tx};

use crate::channel::Draft;
use crate::notice::Notice;
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

    /// What this side signed, the peer refused, and a block can still take, makes a round that is agreed beside it worth less than it says:
    /// the peer would complete it. As much as its fee is let pass, because to end it costs as much.
    ///
    /// # Errors
    /// There is such a transaction, and with a round of these trees this side would have more to lose by it.
    pub(crate) fn check_offers(&self, trees: &Trees) -> Result<(), Reason> {
        let balance = self.own_balance(trees);
        let losses = self.next.exposed.iter().filter_map(|draft| self.loss_by_funds(draft, balance));
        let by_close = self.next.exposed.iter().map(|draft| &draft.tx).chain(&self.next.offers);
        let by_close = by_close.filter_map(|tx| {
            let close = close_of(tx)?;
            Some((tx, "mutual close", balance.0.saturating_sub(self.pays_me(close).0)))
        });
        let costs = |(tx, _, loss): &(&SignedTx, _, u128)| *loss > tx.body().fee().0;
        match losses.chain(by_close).filter(costs).find(|(tx, ..)| !self.can_never_be_mined(tx)) {
            None => Ok(()),
            Some((tx, what, loss)) => Err(Reason::Undercut {
                what,
                loss: Coins(loss),
                account: tx.body().origin().unwrap_or(AccountId::ZERO),
                nonce: tx.body().nonce().0,
            }),
        }
    }

    /// The peer can complete what this side signed before it signed a close. That is adopted, as every fact about signatures is; that it is
    /// worth less than it says, the client must know before it relies on it.
    pub(crate) fn warn_of_offers(&mut self) {
        if self.next.offers.is_empty() && self.next.exposed.is_empty() {
            return;
        }
        if let Some(agreed) = self.next.agreed.clone()
            && let Err(reason) = self.check_offers(&agreed.trees)
        {
            self.tell(Notice::Error(reason));
        }
    }

    /// What a deposit or withdrawal of this side would cost it, if it came about although later rounds know nothing of it. The coins of a
    /// deposit are in no later state. After a withdrawal the channel holds too little for a later state with more than there was then.
    fn loss_by_funds<'d>(
        &self,
        draft: &'d Draft,
        balance: Coins,
    ) -> Option<(&'d SignedTx, &'static str, u128)> {
        let me = self.next.me()?;
        match draft.tx.body() {
            Tx::ChannelDeposit(tx) if tx.from_id == me => Some((&draft.tx, "deposit", tx.amount.0)),
            Tx::ChannelWithdraw(tx) if tx.to_id == me => {
                let before = self.own_balance(&draft.trees).0.saturating_add(tx.amount.0);
                Some((&draft.tx, "withdrawal", balance.0.saturating_sub(before)))
            }
            _ => None,
        }
    }

    fn own_balance(&self, trees: &Trees) -> Coins {
        let account = self.next.me().and_then(|me| trees.account(me));
        account.map_or(Coins::ZERO, |account| account.balance)
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
