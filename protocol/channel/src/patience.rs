//! How long each wait lasts, and what happens when it is over (`docs/protocol/fsm` §2).

use strait_ledger::TxLocation;

use crate::channel::{Ceremony, Channel, Exchange, Stage, Stand};
use crate::effect::Effect;
use crate::flow::{Flow, Side};
use crate::notice::{ConflictCode, Event};
use crate::refusal::{Reason, Refusal};
use crate::step::Move;
use crate::terms::Role;
use crate::time::Time;

/// What a client is told while a round is in the balance.
pub(crate) const UNRESOLVED: &str =
    "the peer did not say whether it takes the round that timed out: leave and re-establish";

impl Channel {
    /// When [`Input::Tick`](crate::Input::Tick) is due; never for a channel that is dormant or waits for the chain to close it.
    pub fn deadline(&self) -> Option<Time> {
        if !self.talk.alive {
            return None;
        }
        match (self.solo_deadline(), self.main_deadline()) {
            (Some(solo), Some(main)) => Some(solo.min(main)),
            (solo, main) => solo.or(main),
        }
    }

    /// For the client's signature under a transaction of its own.
    fn solo_deadline(&self) -> Option<Time> {
        self.talk.solo.as_ref().map(|solo| solo.since.after(self.terms.patience.sign))
    }

    fn main_deadline(&self) -> Option<Time> {
        let patience = &self.terms.patience;
        if let Some(ceremony) = &self.ceremony {
            if ceremony.stage == Stage::Unresolved {
                return Some(self.talk.heard.max(ceremony.since).after(patience.idle));
            }
            return Some(ceremony.since.after(self.patience_of(ceremony)));
        }
        let since = self.talk.since;
        Some(match (self.talk.exchange, self.role()) {
            (Exchange::Meeting, Role::Initiator) => since.after(patience.accept),
            (Exchange::Meeting, Role::Responder) => {
                since.after(patience.awaiting_open.unwrap_or(patience.idle))
            }
            (Exchange::Offered, _) => since.after(patience.initialized.unwrap_or(patience.accept)),
            (Exchange::Accepted, _) => since.after(patience.funding_create),
            (Exchange::Returning, Role::Responder) => since.after(patience.idle),
            (Exchange::Returning | Exchange::Returned | Exchange::Leaving, _) => since.after(patience.accept),
            (Exchange::None, _) if matches!(self.stand, Stand::Closed { .. }) => return None,
            (Exchange::None, _) => self.talk.heard.max(since).after(patience.idle),
        })
    }

    fn patience_of(&self, ceremony: &Ceremony) -> u64 {
        let patience = &self.terms.patience;
        let on_chain_flow = matches!(ceremony.flow, Flow::Create | Flow::Deposit | Flow::Withdraw);
        let proposed = if on_chain_flow { patience.funding_sign } else { patience.accept };
        match (ceremony.stage, ceremony.side) {
            (Stage::Signing, Side::Proposer) => patience.sign,
            // Shorter than the proposer's wait, so that the answer still counts (docs/protocol/gaps §4.2 no 18).
            (Stage::Signing, Side::Acceptor) => patience.sign.min(proposed.saturating_sub(proposed / 10)),
            (Stage::Proposed, _) => proposed,
            (Stage::Withdrawn { .. } | Stage::Unresolved, _) => patience.accept,
            (Stage::Confirming { .. } | Stage::Locking, _) => patience.funding_lock,
        }
    }
}

impl Move<'_> {
    /// The deadline has come.
    pub(crate) fn tick(&mut self) -> Result<(), Refusal> {
        if self.next.deadline().is_none_or(|deadline| self.now < deadline) {
            return Err(Refusal::straggler("nothing is due"));
        }
        if self.next.solo_deadline().is_some_and(|deadline| self.now >= deadline) {
            self.next.talk.solo = None;
            self.conflict(ConflictCode::TIMEOUT);
            return Ok(());
        }
        match self.next.ceremony.clone() {
            Some(ceremony) => self.ceremony_overdue(&ceremony),
            None if self.keeps_waiting() => {
                self.next.talk.since = self.now;
                self.next.talk.heard = self.now;
            }
            None => {
                self.info(Event::Timeout);
                self.die();
            }
        }
        Ok(())
    }

    /// A responder that keeps running waits for ever where nothing is under way.
    fn keeps_waiting(&self) -> bool {
        let waits =
            matches!(self.next.talk.exchange, Exchange::None | Exchange::Meeting | Exchange::Returning);
        waits && self.next.role() == Role::Responder && self.next.terms.keep_running
    }

    fn ceremony_overdue(&mut self, ceremony: &Ceremony) {
        match (ceremony.stage, ceremony.flow) {
            (Stage::Signing | Stage::Proposed, Flow::Create) => {
                self.info(Event::Timeout);
                self.die();
            }
            (Stage::Signing, flow) => {
                if ceremony.side == Side::Acceptor {
                    // Not the code of a timeout, which says that a proposer withdraws (docs/decisions/0002).
                    self.refuse(flow, ConflictCode::CONFLICT);
                }
                self.next.ceremony = None;
                self.conflict(ConflictCode::TIMEOUT);
            }
            (Stage::Proposed, flow) => {
                self.withdraw(flow);
                self.conflict(ConflictCode::TIMEOUT);
                self.enter_stage(Stage::Withdrawn { overdue: true });
            }
            (Stage::Withdrawn { .. }, _) => self.give_up_waiting(),
            (Stage::Unresolved, _) if self.keeps_waiting() => self.enter_stage(Stage::Unresolved),
            (Stage::Confirming { .. }, _) => self.remind_chain(ceremony),
            (Stage::Locking, _) if self.keeps_waiting() => self.enter_stage(Stage::Locking),
            (Stage::Locking | Stage::Unresolved, _) => {
                self.info(Event::Timeout);
                self.die();
            }
        }
    }

    /// The peer never said that it gave the round up: requests that wait for it are answered, the stage stays.
    fn give_up_waiting(&mut self) {
        for (ticket, _) in std::mem::take(&mut self.next.talk.deferred) {
            let refusal = Refusal::client(Reason::NotReady(UNRESOLVED));
            self.effects.push(Effect::Answer(ticket, Err(refusal)));
        }
        self.enter_stage(Stage::Unresolved);
    }

    /// Fully signed means only the chain decides: the transaction is handed in again, unless the chain dropped it.
    fn remind_chain(&mut self, ceremony: &Ceremony) {
        self.enter_stage(ceremony.stage);
        match self.chain.locate_tx(&ceremony.draft.tx.hash()) {
            TxLocation::InBlock { .. } | TxLocation::Pool => {}
            TxLocation::Unknown => self.effects.push(Effect::Submit(ceremony.draft.tx.clone())),
            TxLocation::Gone => {
                // The rejection tells the client and the peer; it cannot fail.
                let _ = self.rejected_by_chain(ceremony, "dropped from the pool");
            }
        }
    }
}
