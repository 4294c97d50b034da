//! What the chain does (`docs/protocol/fsm` §8).

use std::sync::Arc;

use strait_encoding::{Height, Round, TxHash};
use strait_ledger::{ChannelObject, Payload, SignedTx, Tx, TxKind, TxLocation};

use crate::channel::{Assumed, Ceremony, Draft, Exchange, Sighting, Stage, Stand};
use crate::effect::Effect;
use crate::flow::{Flow, Place, Side};
use crate::input::{Answer, ChainNews, SeenTx, Ticket};
use crate::notice::{ConflictCode, Event, Notice, OnChainEvent};
use crate::refusal::{Reason, Refusal};
use crate::solo::{replaces, settled_round};
use crate::step::Move;

impl Move<'_> {
    /// The chain moved.
    pub(crate) fn hear_chain(&mut self, news: &ChainNews) -> Result<(), Refusal> {
        self.note_generalized(news.object.as_ref());
        self.hear_taken_back(news);
        self.follow_forced(news);
        for seen in &news.txs {
            let hash = seen.tx.hash();
            let height = Some(seen.height);
            match self.next.seen.iter_mut().find(|sighting| sighting.hash == hash) {
                Some(sighting) if sighting.height == height => {}
                Some(sighting) => {
                    sighting.height = height;
                    self.see_again(seen);
                }
                None => {
                    self.next.seen.push(Sighting { hash, height });
                    let origin = seen.tx.body().origin();
                    if origin.is_some_and(|origin| {
                        Some(origin) == self.next.me() && self.is_generalized_now(origin)
                    }) {
                        self.withdraw_offers();
                    }
                    self.see(seen, news.object.as_ref());
                }
            }
        }
        self.hear_failed(&news.failed);
        self.follow_object(news.object.as_ref());
        self.warn_of_old_close(news.object.as_ref());
        self.drop_impossible();
        self.post_unlocked();
        self.confirm_posted(news.top);
        self.report_assumed(news.top);
        self.count_depth(news.top);
        self.forget_impossible_create();
        Ok(())
    }

    /// A fork took transactions back: they are in the pool again, and what followed from them is undone.
    fn hear_taken_back(&mut self, news: &ChainNews) {
        // A chain may forget what it knew of a channel once that is over.
        if news.txs.is_empty() && self.next.place() == Place::Closed {
            return;
        }
        let stays = |sighting: &Sighting| news.txs.iter().any(|seen| seen.tx.hash() == sighting.hash);
        let gone = |sighting: &&mut Sighting| sighting.height.is_some() && !stays(sighting);
        let mut taken = Vec::new();
        for sighting in self.next.seen.iter_mut().filter(gone) {
            sighting.height = None;
            taken.push(sighting.hash);
        }
        for hash in taken {
            self.take_back(&hash);
        }
    }

    /// The contract of an account authenticated a transaction, and then the chain refused it: that is in a block, and final.
    fn hear_failed(&mut self, failed: &[TxHash]) {
        for hash in failed {
            let confirming = self.next.ceremony.clone().filter(|ceremony| {
                matches!(ceremony.stage, Stage::Confirming { .. }) && ceremony.draft.tx.hash() == *hash
            });
            if let Some(ceremony) = confirming {
                // The rejection tells the client and the peer; it cannot fail.
                let _ = self.rejected_by_chain(&ceremony, "inner_transaction_failed");
            }
            if let Some(place) = self.next.posted.iter().position(|posted| posted.tx.hash() == *hash) {
                self.next.posted.remove(place);
                // Of a channel that is over, nobody waits for it any more.
                if self.next.place() != Place::Closed {
                    self.conflict(ConflictCode::ON_CHAIN);
                }
            }
        }
    }

    fn take_back(&mut self, hash: &TxHash) {
        if let Some(Ceremony {
            stage: Stage::Confirming { announced, peer_locked, seen: Some(_) },
            draft,
            ..
        }) = self.next.ceremony.clone()
            && draft.tx.hash() == *hash
        {
            self.enter_stage(Stage::Confirming { announced, seen: None, peer_locked });
            self.effects.push(Effect::Submit(draft.tx.clone()));
        }
        if let Stand::Closed { tx, .. } = self.next.stand.clone()
            && tx.hash() == *hash
        {
            self.reopen(&tx);
        }
    }

    /// The transaction that ended the channel is not in the chain any more.
    fn reopen(&mut self, tx: &SignedTx) {
        self.next.stand = Stand::Open;
        let Some(draft) = self.next.exposed_as(tx).cloned() else { return };
        self.effects.push(Effect::Submit(tx.clone()));
        let stage = Stage::Confirming { announced: true, seen: None, peer_locked: false };
        let (flow, side, since) = (Flow::Shutdown, Side::Proposer, self.now);
        self.next.ceremony = Some(Ceremony { flow, side, stage, draft, since });
    }

    /// A transaction that was seen before is in a block once more, or in another one: nothing new for the client.
    fn see_again(&mut self, seen: &SeenTx) {
        if lands_closed(&seen.tx) {
            self.next.ceremony = None;
            self.next.stand = Stand::Closed { tx: seen.tx.clone(), seen: seen.height };
        } else if let Some(ceremony) = self.ceremony_of(&seen.tx) {
            self.see_own(&ceremony, seen);
        }
    }

    fn see(&mut self, seen: &SeenTx, object: Option<&ChannelObject>) {
        if lands_closed(&seen.tx) {
            return self.see_closed(seen);
        }
        if matches!(seen.tx.body(), Tx::ChannelCloseSolo(_) | Tx::ChannelSlash(_)) {
            return self.see_closing(seen, object);
        }
        if seen.tx.body().kind() == TxKind::ChannelForceProgress {
            return self.see_forced(seen);
        }
        match self.ceremony_of(&seen.tx) {
            Some(ceremony) => self.see_own(&ceremony, seen),
            None => self.see_exposed(seen),
        }
        self.on_chain(OnChainEvent::ChannelChanged, &seen.tx);
    }

    fn ceremony_of(&self, tx: &SignedTx) -> Option<Ceremony> {
        self.next.ceremony.clone().filter(|ceremony| ceremony.draft.tx.same_tx(tx))
    }

    /// The transaction of the flow under way is in a block.
    fn see_own(&mut self, ceremony: &Ceremony, seen: &SeenTx) {
        let stage = match ceremony.stage {
            Stage::Confirming { announced, peer_locked, .. } => {
                Stage::Confirming { announced, seen: Some(seen.height), peer_locked }
            }
            // The peer completed and handed in what this side proposed, without telling it.
            Stage::Proposed | Stage::Withdrawn { .. } | Stage::Unresolved => {
                Stage::Confirming { announced: true, seen: Some(seen.height), peer_locked: false }
            }
            Stage::Signing | Stage::Locking => return,
        };
        let draft = Arc::new(Draft { tx: seen.tx.clone(), ..(*ceremony.draft).clone() });
        self.expose(draft.clone());
        if let Some(ceremony) = &mut self.next.ceremony {
            ceremony.draft = draft;
        }
        self.enter_stage(stage);
    }

    /// A transaction that this side signed and sent, and took for refused or given up, is in a block: it came about.
    fn see_exposed(&mut self, seen: &SeenTx) {
        let Some(exposed) = self.next.exposed_as(&seen.tx).cloned() else { return };
        let round = seen.tx.body().agreed_state().map(|(round, _)| round);
        if round <= self.next.agreed.as_ref().map(|agreed| agreed.round()) {
            // Later rounds were agreed without it: what it did to the channel counts in a dispute (`solo.rs`).
            return;
        }
        let flow = match seen.tx.body() {
            Tx::ChannelCreate(_) if self.next.stand == Stand::Opening => Flow::Create,
            Tx::ChannelDeposit(_) => Flow::Deposit,
            Tx::ChannelWithdraw(_) => Flow::Withdraw,
            _ => return,
        };
        let stage = Stage::Confirming { announced: true, seen: Some(seen.height), peer_locked: false };
        let draft = Arc::new(Draft { tx: seen.tx.clone(), ..(*exposed).clone() });
        self.expose(draft.clone());
        let (side, since) = (Side::Proposer, self.now);
        self.next.ceremony = Some(Ceremony { flow, side, stage, draft, since });
    }

    /// Somebody closes the channel alone, or answers that with a later state.
    fn see_closing(&mut self, seen: &SeenTx, object: Option<&ChannelObject>) {
        let shown = shown_round(seen.tx.body()).or(object.map(settled_round));
        let latest =
            self.next.agreed.clone().filter(|agreed| shown.is_some_and(|shown| agreed.round() > shown));
        match latest {
            Some(agreed) => {
                self.next.warned = object.map(|object| (object.round, object.state_hash));
                self.on_chain(OnChainEvent::CanSlash, &agreed.tx);
            }
            None => self.on_chain(OnChainEvent::SoloClosing, &seen.tx),
        }
        self.tell_closing();
        self.begin_closing();
    }

    /// The close on chain is older than what both signed, and the client has not heard so: a fork can have taken its answer back.
    pub(crate) fn warn_of_old_close(&mut self, object: Option<&ChannelObject>) {
        let Some(object) = object.filter(|_| self.next.stand == Stand::Closing) else { return };
        let state = Some((object.round, object.state_hash));
        match self.next.agreed.clone().filter(|agreed| replaces(agreed, object)) {
            None => self.next.warned = None,
            Some(agreed) if self.next.warned != state => {
                self.next.warned = state;
                self.on_chain(OnChainEvent::CanSlash, &agreed.tx);
            }
            Some(_) => {}
        }
    }

    /// Where the channel stands by the object itself, whatever transactions led there.
    fn follow_object(&mut self, object: Option<&ChannelObject>) {
        match (object.map(ChannelObject::is_active), &self.next.stand) {
            (Some(false), Stand::Open) => {
                self.tell_closing();
                self.begin_closing();
            }
            // A fork took the solo close back.
            (Some(true), Stand::Closing) => {
                self.next.stand = Stand::Open;
                self.next.talk.closing_told = false;
                self.info(Event::Open);
                // The two come together, or not at all (docs/protocol/ws_api §8 no 3).
                if let Some(tx) = self.next.agreed_tx().cloned() {
                    self.tell(Notice::Update(tx));
                }
            }
            _ => {}
        }
    }

    fn see_closed(&mut self, seen: &SeenTx) {
        self.next.ceremony = None;
        self.next.talk.solo = None;
        // Nobody is looked for any more: only confirmations are awaited.
        self.enter(Exchange::None);
        self.next.stand = Stand::Closed { tx: seen.tx.clone(), seen: seen.height };
        self.tell_closing();
        self.on_chain(OnChainEvent::ChannelClosed, &seen.tx);
    }

    /// Counts key blocks on top of what is waited for (`docs/protocol/chain_service` §1).
    fn count_depth(&mut self, top: Height) {
        if let Stand::Closed { tx, seen } = &self.next.stand {
            if top.0.saturating_sub(seen.0) >= self.next.depth.confirmations(tx.tx().fee()) {
                self.close_for_good();
            }
            return;
        }
        let Some(ceremony) = self.next.ceremony.clone() else { return };
        let Stage::Confirming { seen: Some(seen), peer_locked, .. } = ceremony.stage else { return };
        let needed = self.next.depth.confirmations(ceremony.draft.tx.tx().fee());
        if top.0.saturating_sub(seen.0) >= needed {
            self.confirmed(&ceremony, peer_locked);
        }
    }

    /// The client takes the confirmations of a transaction for reached (`docs/protocol/fsm` §6).
    pub(crate) fn assume_depth(&mut self, ticket: Ticket, hash: TxHash) -> Result<(), Refusal> {
        let closing = matches!(&self.next.stand, Stand::Closed { tx, .. } if tx.hash() == hash);
        let confirming = self.next.ceremony.clone().filter(|ceremony| {
            matches!(ceremony.stage, Stage::Confirming { .. })
                && ceremony.flow.row().lands != Some(Place::Closed)
                && ceremony.draft.tx.hash() == hash
        });
        if closing {
            self.answer(ticket, Answer::Ok);
            self.close_for_good();
            return Ok(());
        }
        let not_awaited =
            Refusal::client(Reason::NotAllowedNow("no confirmations of this tx_hash are awaited"));
        let ceremony = confirming.ok_or(not_awaited)?;
        let Stage::Confirming { peer_locked, .. } = ceremony.stage else { return Ok(()) };
        self.answer(ticket, Answer::Ok);
        let tx = &ceremony.draft.tx;
        let depth = self.next.depth.confirmations(tx.tx().fee());
        self.next.assumed.push(Assumed { hash, kind: tx.body().kind(), depth });
        self.confirmed(&ceremony, peer_locked);
        Ok(())
    }

    /// Confirmations that were assumed have come.
    fn report_assumed(&mut self, top: Height) {
        let real = |assumed: &Assumed| {
            let seen = self.next.height_of(&assumed.hash);
            seen.is_some_and(|seen| top.0.saturating_sub(seen.0) >= assumed.depth)
        };
        let (done, left): (Vec<_>, Vec<_>) = self.next.assumed.iter().copied().partition(real);
        self.next.assumed = left;
        for Assumed { hash: tx_hash, kind: tx_kind, .. } in done {
            self.info(Event::MinimumDepthAchieved { tx_hash, tx_kind });
        }
    }

    fn close_for_good(&mut self) {
        self.info(Event::ClosedConfirmed);
        if self.next.talk.alive {
            self.next.agreed = None;
            self.next.exposed.clear();
            self.die();
        } else {
            self.effects.push(Effect::Forget);
        }
    }

    /// A dormant opening whose create transaction can never be mined any more holds no coins: it may be forgotten.
    fn forget_impossible_create(&mut self) {
        if self.next.talk.alive || self.next.stand != Stand::Opening {
            return;
        }
        let create = |tx: &SignedTx| matches!(tx.body(), Tx::ChannelCreate(_));
        let Some(draft) = self.next.exposed.iter().find(|draft| create(&draft.tx)) else { return };
        // What a generalized account takes twice, its contract decides: such an opening is never given up.
        let used = self.can_never_be_mined(&draft.tx);
        let mined = matches!(self.chain.locate_tx(&draft.tx.hash()), TxLocation::InBlock { .. });
        let open = draft.tx.channel_id().and_then(|id| self.chain.channel(id));
        if used && !mined && open.is_none() {
            self.effects.push(Effect::Forget);
        }
    }
}

fn lands_closed(tx: &SignedTx) -> bool {
    Flow::of_tx(tx.body().kind()).is_some_and(|flow| flow.row().lands == Some(Place::Closed))
}

/// The round that a dispute transaction shows; none where it shows what the chain knows already.
fn shown_round(tx: &Tx) -> Option<Round> {
    let (Tx::ChannelCloseSolo(strait_ledger::CloseSoloTx { payload: Payload(payload), .. })
    | Tx::ChannelSlash(strait_ledger::SlashTx { payload: Payload(payload), .. })) = tx
    else {
        return None;
    };
    let shown = SignedTx::decode(payload).ok()?;
    shown.body().agreed_state().map(|(round, _)| round)
}
