//! A step: the next value of a channel and what it makes happen, locked until the value is stored.

use std::sync::Arc;

use strait_encoding::ChannelId;
use strait_ledger::ChainView;

use crate::channel::{Ceremony, Channel, Draft, Exchange, Stage, Stand};
use crate::durable::Durable;
use crate::effect::Effect;
use crate::flow::Flow;
use crate::input::{Answer, Ticket};
use crate::message::Message;
use crate::notice::{ConflictCode, Event, Notice, OnChainEvent, Report};
use crate::refusal::{Reason, Refusal};
use crate::time::Time;
use strait_ledger::SignedTx;

/// The next value of a channel, and the effects that follow once it is stored.
#[derive(Debug)]
#[must_use = "a step that is dropped never happened"]
pub struct Step {
    next: Channel,
    effects: Vec<Effect>,
    binding: bool,
}

impl Step {
    /// What to store.
    pub fn next(&self) -> &Channel {
        &self.next
    }

    /// What will follow, to look at; it is released by [`release`](Self::release).
    pub fn effects(&self) -> &[Effect] {
        &self.effects
    }

    /// Whether the step must be stored before its effects: it sends a signature, hands a transaction to the chain, or
    /// changes what a restart must remember. Any other step may be released with [`release_unstored`](Self::release_unstored).
    pub fn is_binding(&self) -> bool {
        self.binding
    }

    /// Takes out what may be done before the step is stored, or while it is: to ask the own client for its signature commits nobody,
    /// and its reply has to wait for [`release`](Self::release).
    pub fn take_prompt(&mut self) -> Vec<Effect> {
        let is_sign =
            |effect: &Effect| matches!(effect, Effect::Tell(Report { notice: Notice::Sign { .. }, .. }));
        let is_answer = |effect: &Effect| matches!(effect, Effect::Answer(_, Ok(_)));
        let prompt = self.effects.iter().take_while(|effect| is_sign(effect) || is_answer(effect)).count();
        if !self.effects[..prompt].iter().any(is_sign) {
            return Vec::new();
        }
        self.effects.drain(..prompt).collect()
    }

    /// The channel to go on with and what to do, in order, now that the step is stored.
    ///
    /// # Panics
    /// `stored` is the proof of another step: the program is about to send what it did not store.
    pub fn release(self, stored: &Durable) -> (Channel, Vec<Effect>) {
        assert_eq!(stored.step(), self.next.step, "the stored step is not the one to be released");
        (self.next, self.effects)
    }

    /// As [`release`](Self::release), for a step that commits this side to nothing.
    ///
    /// # Errors
    /// The step is binding; it comes back.
    pub fn release_unstored(self) -> Result<(Channel, Vec<Effect>), Box<Step>> {
        if self.binding { Err(Box::new(self)) } else { Ok((self.next, self.effects)) }
    }
}

/// How many reports wait for a client that is away; the last one gives way to later ones, as the latest counts most.
const MAX_UNHEARD: usize = 64;

/// A step in the making.
pub(crate) struct Move<'a> {
    pub now: Time,
    pub chain: &'a dyn ChainView,
    pub next: Channel,
    pub effects: Vec<Effect>,
    /// Something outside the channel is stored with it: the secret of a client that comes back.
    pub must_store: bool,
}

impl<'a> Move<'a> {
    pub(crate) fn new(channel: &Channel, now: Time, chain: &'a dyn ChainView) -> Self {
        Self { now, chain, next: channel.clone(), effects: Vec::new(), must_store: false }
    }

    pub(crate) fn finish(mut self, before: &Channel) -> Step {
        let binding = self.must_store || self.sends_signature(before) || remembers_more(before, &self.next);
        if binding {
            self.next.step = before.step + 1;
        }
        Step { next: self.next, effects: self.effects, binding }
    }

    /// Whether a transaction leaves that is not stored as one that may be out.
    fn sends_signature(&self, before: &Channel) -> bool {
        self.effects.iter().any(|effect| match effect {
            Effect::Send(message) => message.tx().is_some_and(|tx| !is_pledged(before, tx)),
            Effect::Submit(_) => true,
            _ => false,
        })
    }

    pub(crate) fn tell(&mut self, notice: Notice) {
        let wanted = &self.next.terms.reports;
        let tell = match &notice {
            Notice::Info(_) => wanted.info,
            Notice::Update(_) => wanted.update,
            Notice::Leave(_) => wanted.leave,
            Notice::Conflict { .. } => wanted.conflict,
            Notice::Message { .. } => wanted.message,
            Notice::OnChainTx { .. } => wanted.on_chain_tx,
            Notice::Sign { .. } | Notice::Error(_) => true,
        };
        if tell {
            self.effects.push(Effect::Tell(Report { channel_id: self.next.id, notice }));
        }
    }

    pub(crate) fn info(&mut self, event: Event) {
        self.tell(Notice::Info(event));
    }

    /// Reports what happened on chain, now or when a client comes back.
    pub(crate) fn on_chain(&mut self, event: OnChainEvent, tx: &SignedTx) {
        if !self.next.talk.client {
            self.next.unheard.truncate(MAX_UNHEARD - 1);
            self.next.unheard.push((event, tx.clone()));
            return;
        }
        self.tell(Notice::OnChainTx { event, tx: tx.clone() });
    }

    /// Reports what happened on chain while no client listened. That the channel is being closed with an old state is told to
    /// every client that comes: the one before may have gone without a word, and then it was told to nobody.
    pub(crate) fn tell_unheard(&mut self) {
        let unheard = std::mem::take(&mut self.next.unheard);
        let is_told = unheard.iter().any(|(event, _)| *event == OnChainEvent::CanSlash);
        for (event, tx) in unheard {
            self.tell(Notice::OnChainTx { event, tx });
        }
        let is_answered = self.next.posted.iter().any(|posted| posted.flow == Flow::Slash);
        if !is_told && !is_answered {
            self.next.warned = None;
            self.warn_of_old_close(self.object().ok().as_ref());
        }
    }

    pub(crate) fn conflict(&mut self, code: ConflictCode) {
        let round = self.next.round();
        if let Some(channel_id) = self.next.id {
            self.tell(Notice::Conflict { channel_id, round, code });
        }
    }

    pub(crate) fn send(&mut self, message: Message) {
        if self.next.talk.peer {
            self.effects.push(Effect::Send(message));
        }
    }

    pub(crate) fn answer(&mut self, ticket: Ticket, answer: Answer) {
        self.effects.push(Effect::Answer(ticket, Ok(answer)));
    }

    pub(crate) fn enter(&mut self, exchange: Exchange) {
        self.next.talk.exchange = exchange;
        self.next.talk.since = self.now;
    }

    /// The stand on chain is that of a solo close from now on: what was not signed yet is over.
    pub(crate) fn begin_closing(&mut self) {
        if let (Stand::Opening, Some(opening)) = (&self.next.stand, self.next.ceremony.clone())
            && matches!(opening.stage, Stage::Confirming { seen: Some(_), .. } | Stage::Locking)
        {
            // Nobody waits for the locks of a channel that closes. Whoever gets its coins back needs a state.
            self.settle_on(&opening.draft);
        }
        self.next.stand = Stand::Closing;
        let signing =
            |ceremony: &&Ceremony| ceremony.stage == Stage::Signing && ceremony.flow != Flow::Shutdown;
        if let Some(ceremony) = self.next.ceremony.clone().as_ref().filter(signing) {
            self.drop_ask(ceremony);
        }
    }

    pub(crate) fn enter_stage(&mut self, stage: Stage) {
        let now = self.now;
        if let Some(ceremony) = &mut self.next.ceremony {
            ceremony.stage = stage;
            ceremony.since = now;
        }
    }

    /// The channel's id, for what can only happen when there is one.
    pub(crate) fn id(&self) -> Result<ChannelId, Refusal> {
        self.next.id.ok_or_else(|| Refusal::client(Reason::NotReady("the channel has no id yet")))
    }

    /// Tells the client once that the channel closes.
    pub(crate) fn tell_closing(&mut self) {
        if !self.next.talk.closing_told {
            self.next.talk.closing_told = true;
            self.info(Event::Closing);
        }
    }

    /// The channel's process ends: the client is let go, the state is kept if there is anything to keep.
    pub(crate) fn die(&mut self) {
        // `died` is the last that the client hears (docs/protocol/ws_api §8 no 8).
        for (ticket, _) in std::mem::take(&mut self.next.talk.deferred) {
            let refusal = Refusal::client(Reason::NotReady("the channel's process ended"));
            self.effects.push(Effect::Answer(ticket, Err(refusal)));
        }
        self.info(Event::Died);
        self.effects.push(Effect::Disconnect);
        self.effects.push(Effect::Release);
        let talk = &mut self.next.talk;
        talk.alive = false;
        talk.client = false;
        talk.peer = false;
        talk.exchange = Exchange::None;
        talk.solo = None;
        if matches!(
            &self.next.ceremony,
            Some(Ceremony { stage: Stage::Signing | Stage::Withdrawn { .. } | Stage::Unresolved, .. })
        ) {
            self.next.ceremony = None;
        }
        if !self.next.is_committed() {
            self.effects.push(Effect::Forget);
        }
    }
}

/// Whether the transaction in these bytes is the one that the own client was asked to sign, and stored as one that may be out.
fn is_pledged(before: &Channel, tx: &[u8]) -> bool {
    before.pledge().is_some_and(|pledge| SignedTx::decode(tx).is_ok_and(|tx| tx.same_tx(&pledge.tx)))
}

/// Whether `after` holds something that a restart from `before` would not know.
fn remembers_more(before: &Channel, after: &Channel) -> bool {
    let same_agreed = match (&before.agreed, &after.agreed) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        (None, None) => true,
        _ => false,
    };
    let worth_storing = before.is_committed() || after.is_committed();
    worth_storing
        && !(same_agreed
            && same_items(&before.forced, &after.forced)
            && same_exposures(before, after)
            && before.offers.len() == after.offers.len()
            && stored_stage(before) == stored_stage(after)
            && same_stand(&before.stand, &after.stand)
            && before.posted.len() == after.posted.len()
            && before
                .posted
                .iter()
                .zip(&after.posted)
                .all(|(a, b)| a.held == b.held && Arc::ptr_eq(&a.tx, &b.tx))
            && before.seen == after.seen
            && before.generalized == after.generalized
            && before.warned == after.warned
            && before.assumed == after.assumed
            && before.unheard.len() == after.unheard.len())
}

fn same_items<T>(before: &[Arc<T>], after: &[Arc<T>]) -> bool {
    before.len() == after.len() && before.iter().zip(after).all(|(a, b)| Arc::ptr_eq(a, b))
}

/// A pledge that was signed meanwhile is the exposure that it was stored as.
fn same_exposures(before: &Channel, after: &Channel) -> bool {
    let (old, new, pledge) = (before.exposures(), after.exposures(), before.pledge());
    let signed = |a: &Arc<Draft>, b: &Arc<Draft>| {
        pledge.is_some_and(|pledge| Arc::ptr_eq(a, pledge) && b.tx.same_tx(&pledge.tx))
    };
    old.len() == new.len() && old.iter().zip(new.iter()).all(|(a, b)| Arc::ptr_eq(a, b) || signed(a, b))
}

fn stored_stage(channel: &Channel) -> Option<(Stage, Flow)> {
    channel.ceremony.as_ref().and_then(|ceremony| Some((ceremony.stored_stage()?, ceremony.flow)))
}

fn same_stand(before: &Stand, after: &Stand) -> bool {
    std::mem::discriminant(before) == std::mem::discriminant(after)
}
