//! Coming back to a channel: re-establishing, and making two latest states one (`docs/protocol/fsm` §7).

use std::sync::Arc;

use strait_encoding::Round;
use strait_ledger::{ForceProgressTx, SignedTx, Tx};

use crate::channel::{Ceremony, Draft, Exchange, Stage, Stand};
use crate::effect::Effect;
use crate::flow::{Codes, Flow, Settles, Side};
use crate::message::Message;
use crate::notice::{Event, Notice};
use crate::refusal::{Fault, Reaction, Reason, Refusal};
use crate::step::Move;
use crate::terms::Role;

/// What the peer's latest transaction means to this side.
enum Comparison {
    /// Both have the same.
    Equal,
    /// The peer completed what this side signed and sent.
    PeerAhead(Arc<Draft>),
    /// The peer takes an on-chain transaction that both signed for confirmed, which this side does not yet.
    PeerLocked(Flow, Arc<Draft>),
    /// The peer misses this side's latest round, under which its own signature stands, or which stands on chain.
    PeerBehind,
    /// The peer shows a call that one of both forced, which this side has not seen on chain yet: the chain tells.
    ChainDecides,
}

impl Move<'_> {
    /// A client comes back to a dormant channel.
    pub(crate) fn come_back(&mut self) -> Result<(), Refusal> {
        if self.next.talk.alive {
            return Err(Refusal::client(Reason::NotAllowedNow("the channel's process is up")));
        }
        let id = self.id()?;
        if matches!(self.next.stand, Stand::Closed { .. }) || self.chain.channel(id).is_none() {
            return Err(Refusal::client(Reason::NotInState(id.to_string())));
        }
        self.finish_opening_asleep()?;
        // What was out before is settled by re-establishing, not by its own deadline.
        self.drop_unsigned();
        if let Some(ceremony) = &mut self.next.ceremony {
            // Patience counts from now: nobody waited while the channel slept.
            ceremony.since = self.now;
        }
        let talk = &mut self.next.talk;
        talk.alive = true;
        talk.client = true;
        talk.closing_told = false;
        self.must_store = true;
        self.tell_unheard();
        self.info(Event::FsmUp);
        self.enter(Exchange::Returning);
        self.effects.push(Effect::Connect);
        Ok(())
    }

    /// A create transaction that was confirmed while nobody was there: re-establishing stands for the locks of both.
    fn finish_opening_asleep(&mut self) -> Result<(), Refusal> {
        if self.next.stand != Stand::Opening {
            return Ok(());
        }
        match self.next.ceremony.clone() {
            Some(ceremony) if ceremony.stage == Stage::Locking => {
                self.settle_on(&ceremony.draft);
                self.next.stand = Stand::Open;
                Ok(())
            }
            _ => Err(Refusal::client(Reason::NotReady("the create transaction is not confirmed yet"))),
        }
    }

    /// The initiator shows its latest transaction.
    pub(crate) fn ask_to_return(&mut self) -> Result<(), Refusal> {
        let channel_id = self.id()?;
        let tx = self.next.agreed_tx().map(SignedTx::encode).unwrap_or_default();
        self.send(Message::ChannelReestablish { chain_hash: self.chain.genesis(), channel_id, tx });
        self.enter(Exchange::Returned);
        Ok(())
    }

    /// The responder hears `channel_reestablish`.
    pub(crate) fn hear_return(&mut self, message: &Message) -> Result<(), Refusal> {
        let Message::ChannelReestablish { chain_hash, channel_id, tx } = message else {
            return Err(Refusal::protocol("not a channel_reestablish"));
        };
        if self.next.role() != Role::Responder || !self.next.talk.alive {
            return Err(Refusal::protocol("channel_reestablish out of turn"));
        }
        if *chain_hash != self.chain.genesis() || Some(*channel_id) != self.next.id {
            return Err(Refusal::protocol("channel_reestablish of another channel"));
        }
        if matches!(self.next.stand, Stand::Closed { .. }) {
            return Err(Refusal::protocol("channel_reestablish of a channel that is closed on chain"));
        }
        self.settle_opening_awake();
        self.compare_and_adopt(tx)?;
        self.next.talk.peer = true;
        let tx = self.next.agreed_tx().map(SignedTx::encode).unwrap_or_default();
        let answer = Message::ChannelReestAck { chain_hash: *chain_hash, channel_id: *channel_id, tx };
        self.info(Event::ChannelReestablished);
        self.send(answer);
        self.resume();
        Ok(())
    }

    /// A responder that stayed up while its peer was lost before the channel was open.
    fn settle_opening_awake(&mut self) {
        if self.next.stand == Stand::Opening {
            // An error leaves the channel as it is; the comparison refuses then.
            let _ = self.finish_opening_asleep();
        }
    }

    /// The initiator hears `channel_reest_ack`.
    pub(crate) fn hear_return_ack(&mut self, message: &Message) -> Result<(), Refusal> {
        let Message::ChannelReestAck { chain_hash, channel_id, tx } = message else {
            return Err(Refusal::protocol("not a channel_reest_ack"));
        };
        if self.next.talk.exchange != Exchange::Returned
            || *chain_hash != self.chain.genesis()
            || Some(*channel_id) != self.next.id
        {
            return Err(Refusal::protocol("channel_reest_ack out of turn"));
        }
        self.compare_and_adopt(tx)?;
        self.info(Event::ChannelReestablished);
        self.resume();
        Ok(())
    }

    fn resume(&mut self) {
        self.enter(Exchange::None);
        self.next.talk.answered = false;
        match self.next.stand {
            Stand::Closing => self.tell_closing(),
            _ => self.info(Event::Open),
        }
        if let Some(tx) = self.next.agreed_tx().cloned() {
            self.tell(Notice::Update(tx));
        }
        self.repeat_what_may_be_lost();
    }

    /// A flow whose transaction both signed goes on where it was; the message that may have been lost is sent once more.
    fn repeat_what_may_be_lost(&mut self) {
        let Some(ceremony) = self.next.ceremony.clone() else { return };
        let codes = ceremony.flow.row().codes;
        match (ceremony.stage, codes) {
            (Stage::Confirming { seen: None, .. }, _) if self.can_never_be_mined(&ceremony.draft.tx) => {
                // The rejection tells the client and the peer; it cannot fail.
                let _ = self.rejected_by_chain(&ceremony, "no block can hold it any more");
            }
            (Stage::Confirming { .. }, Some(codes)) => {
                if ceremony.side == Side::Acceptor {
                    let acceptance = self.carry(codes.accept, &ceremony.draft);
                    self.send(acceptance);
                }
                self.effects.push(Effect::Submit(ceremony.draft.tx.clone()));
            }
            (Stage::Locking, Some(Codes { lock: Some(lock), .. })) => {
                let locked = self.lock_message(lock, &ceremony.draft.tx);
                self.send(locked);
            }
            // What the peer did not complete by now, it has given up: its latest state says so.
            _ => self.next.ceremony = None,
        }
    }

    /// Makes the peer's latest state and the own one the same, if signatures allow it.
    fn compare_and_adopt(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        let theirs = SignedTx::decode(bytes)
            .map_err(|_| Refusal::protocol("the latest transaction cannot be decoded"))?;
        match self.compare(&theirs)? {
            // Whoever misses a round learns of it from the answer.
            Comparison::Equal | Comparison::PeerBehind | Comparison::ChainDecides => Ok(()),
            Comparison::PeerAhead(draft) => {
                self.settle_on(&draft);
                self.warn_of_offers();
                Ok(())
            }
            Comparison::PeerLocked(flow, draft) => {
                self.hear_of_lock(flow, draft);
                Ok(())
            }
        }
    }

    /// The peer says that a transaction which both signed is confirmed. Whether it is, the chain as this side sees it decides.
    fn hear_of_lock(&mut self, flow: Flow, draft: Arc<Draft>) {
        let hash = draft.tx.hash();
        let known = self.next.ceremony.clone().filter(|ceremony| ceremony.draft.tx.same_tx(&draft.tx));
        if let Some(Ceremony { stage: Stage::Locking, .. }) = known {
            return self.settle_on(&draft);
        }
        self.expose(draft.clone());
        let (side, since) = (known.map_or(Side::Proposer, |ceremony| ceremony.side), self.now);
        let stage =
            Stage::Confirming { announced: true, seen: self.next.height_of(&hash), peer_locked: true };
        self.next.ceremony = Some(Ceremony { flow, side, stage, draft, since });
    }

    fn compare(&self, theirs: &SignedTx) -> Result<Comparison, Refusal> {
        let agreed = self.next.agreed.as_ref().ok_or(Refusal::protocol("there is no agreed state yet"))?;
        if let Tx::ChannelForceProgress(forced) = theirs.body() {
            return self.compare_forced(theirs, forced);
        }
        // Authentication first: a stranger who knows the channel's id learns and changes nothing.
        self.check_both(theirs, None)
            .map_err(|_| Refusal::protocol("the latest transaction is not signed by both"))?;
        if theirs.same_tx(&agreed.tx) {
            return Ok(Comparison::Equal);
        }
        let round = theirs.body().agreed_state().map_or(Round(0), |(round, _)| round);
        // A mutual close is signed by both and is no state: only what leads to the next round can be adopted.
        let next = round > agreed.round();
        if let Some(exposed) = self.next.exposed_as(theirs).filter(|_| next) {
            let draft = Arc::new(Draft { tx: theirs.clone(), ..(**exposed).clone() });
            return Ok(match Flow::of_tx(theirs.body().kind()) {
                Some(flow) if flow.row().settles != Settles::OffChain => Comparison::PeerLocked(flow, draft),
                _ => Comparison::PeerAhead(draft),
            });
        }
        let theirs_is_ours = theirs.channel_id() == self.next.id;
        if theirs_is_ours && round.next() == agreed.round() {
            return Ok(Comparison::PeerBehind);
        }
        let reason = Reason::StatesDiffer { theirs: round.0, ours: agreed.round().0 };
        Err(Refusal { reason, fault: Fault::Peer, reaction: Reaction::EndSession })
    }

    /// The peer's latest state is a forced one.
    fn compare_forced(&self, theirs: &SignedTx, forced: &ForceProgressTx) -> Result<Comparison, Refusal> {
        if self.next.agreed_tx().is_some_and(|latest| latest.same_tx(theirs)) {
            return Ok(Comparison::Equal);
        }
        let party = [self.next.me(), self.next.peer()].contains(&Some(forced.from_id));
        if !party || Some(forced.channel_id) != self.next.id {
            return Err(Refusal::protocol("the latest transaction forces a call in another channel"));
        }
        self.authenticate(theirs, None, &[forced.from_id])
            .map_err(|_| Refusal::protocol("the latest transaction is not signed by who forced the call"))?;
        if forced.round > self.next.round() {
            return Ok(Comparison::ChainDecides);
        }
        // Every forced call can be read on chain by everybody, for ever: an old one shows nothing.
        let agreed = self.next.agreed.as_ref().map_or(Round(0), |agreed| agreed.round());
        if forced.round.next() < agreed {
            let reason = Reason::StatesDiffer { theirs: forced.round.0, ours: agreed.0 };
            return Err(Refusal { reason, fault: Fault::Peer, reaction: Reaction::EndSession });
        }
        Ok(Comparison::PeerBehind)
    }

    /// The service starts again: what the chain may not have heard is handed in once more.
    pub(crate) fn restart(&mut self) {
        // An acceptor hands in too: it may be the only one that still has both signatures.
        if let Some(Ceremony { stage: Stage::Confirming { .. }, draft, .. }) = &self.next.ceremony {
            let tx = draft.tx.clone();
            self.effects.push(Effect::Submit(tx));
        }
        for posted in self.next.posted.iter().filter(|posted| !posted.held) {
            if self.next.height_of(&posted.tx.hash()).is_none() {
                self.effects.push(Effect::Submit((*posted.tx).clone()));
            }
        }
    }
}
