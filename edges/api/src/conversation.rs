//! What one client said and what it was answered so far: no socket, no clock.
//!
//! Requests go out as [`Ask`]s under tickets and may be answered in any order; each answer finds the id and the text of its
//! request. What the conversation answers by itself waits for the questions before it, as the reference works through one
//! request after the other; only a request that starts a flow, and may have to wait for another one, holds nothing back. A batch is answered as a whole, and until then notifications wait behind it, because the reference answers first
//! and notifies then (`docs/protocol/ws_api` §4, §8).

use std::collections::{BTreeMap, VecDeque};

use serde_json::value::RawValue;
use strait_channel::{Reaction, Refusal, Report, Ticket};
use strait_encoding::{ChannelId, FsmId};

use crate::desk::{Ask, ToClient};
use crate::errors::Rejection;
use crate::frames::{self, Frame, Member};
use crate::methods::Call;
use crate::replies::{self, Answered, Outcome};
use crate::reports;

/// One client's side of a socket.
#[derive(Debug)]
pub struct Conversation {
    /// What the socket has seen in a report so far, with its text form.
    channel_id: Option<(ChannelId, String)>,
    last_ticket: u64,
    last_batch: u64,
    /// In boxes, as the requests below: a quiet conversation should not keep room for many.
    pending: BTreeMap<Ticket, Box<Pending>>,
    pending_bytes: usize,
    batches: BTreeMap<u64, Batch>,
    /// Notifications that wait for the answer of a batch.
    held: Vec<String>,
    held_bytes: usize,
    holds: bool,
    asks: VecDeque<Box<(Ticket, Ask)>>,
    frames: VecDeque<String>,
    max_gathered: usize,
}

/// A request that is not answered yet.
#[derive(Debug)]
struct Pending {
    text: Box<str>,
    id: Option<Box<RawValue>>,
    place: Option<Place>,
    turn: Turn,
}

/// The id of a request, its text, and its place in a batch.
type Said<'a> = (Option<&'a RawValue>, &'a str, Option<Place>);

/// What a request that is not answered yet means to those behind it.
#[derive(Debug)]
enum Turn {
    /// The service answers at once: what comes behind waits.
    Asked,
    /// The service may answer late: nothing waits.
    MayTakeLong,
    /// It has its outcome, and waits for those before it.
    Settled(Result<Outcome, Rejection>),
}

/// Where in a batch a request stands.
#[derive(Clone, Copy, Debug)]
struct Place {
    batch: u64,
    index: usize,
}

/// A batch that is not answered yet.
#[derive(Debug)]
struct Batch {
    slots: Vec<Slot>,
    open: usize,
    bytes: usize,
}

/// The answer of one member of a batch.
#[derive(Clone, Debug)]
enum Slot {
    /// None yet, or none at all.
    Empty,
    /// That it is done; said only where no member has more to say.
    Ok(String),
    /// A result or an error.
    Said(String),
}

impl Conversation {
    /// A conversation that gathers at most `max_gathered` bytes, once for the answer of a batch and once for the
    /// notifications that wait behind it.
    pub fn new(max_gathered: usize) -> Self {
        Self {
            channel_id: None,
            last_ticket: 0,
            last_batch: 0,
            pending: BTreeMap::new(),
            pending_bytes: 0,
            batches: BTreeMap::new(),
            held: Vec::new(),
            held_bytes: 0,
            holds: true,
            asks: VecDeque::new(),
            frames: VecDeque::new(),
            max_gathered,
        }
    }

    /// The client sent a text frame.
    pub fn receive(&mut self, text: &str) {
        match frames::parse(text) {
            Frame::One(member) => self.take(member, None),
            Frame::Batch(members) => {
                self.last_batch += 1;
                let batch = self.last_batch;
                let slots = vec![Slot::Empty; members.len()];
                self.batches.insert(batch, Batch { open: slots.len(), slots, bytes: 0 });
                for (index, member) in members.into_iter().enumerate() {
                    self.take(member, Some(Place { batch, index }));
                }
            }
        }
    }

    /// The client sent a binary frame.
    pub fn receive_binary(&mut self) {
        let why = Rejection::invalid_request("text frames only");
        self.frames.push_back(replies::failure_of_nothing(self.channel_id(), &why));
    }

    /// The service has something for the client.
    pub fn told(&mut self, news: ToClient) {
        match news {
            ToClient::Answer(ticket, Ok(answer)) => self.answer(ticket, Ok(answer.into())),
            ToClient::Answer(ticket, Err(refusal)) => self.refuse(ticket, &refusal),
            ToClient::History(ticket, entries) => self.answer(ticket, Ok(entries.into())),
            ToClient::Report { report, fsm_id } => self.report(&report, fsm_id),
        }
    }

    /// The channel will answer nothing any more: batches are answered as far as they are.
    pub fn end(&mut self) {
        while let Some(ticket) = self.first_settled() {
            self.deliver(ticket);
        }
        let members = self.pending.iter().filter(|(_, pending)| pending.place.is_some());
        let members: Vec<Ticket> = members.map(|(ticket, _)| *ticket).collect();
        for ticket in members {
            self.answer(ticket, Err(Rejection::internal("the channel ended before it answered")));
        }
        self.stop_holding();
    }

    /// Notifications wait no longer for batches that are under way.
    pub fn stop_holding(&mut self) {
        self.holds = false;
        self.frames.extend(self.held.drain(..));
        self.held_bytes = 0;
    }

    /// Whether notifications wait for the answer of a batch.
    pub fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    /// The next frame to write.
    pub fn next_frame(&mut self) -> Option<String> {
        self.frames.pop_front()
    }

    /// The next request for the service.
    pub fn next_ask(&mut self) -> Option<Box<(Ticket, Ask)>> {
        self.asks.pop_front()
    }

    /// Whether requests wait for [`next_ask`](Self::next_ask).
    pub fn has_asks(&self) -> bool {
        !self.asks.is_empty()
    }

    /// How many requests are not answered yet, and how many bytes they have.
    pub fn unanswered(&self) -> (usize, usize) {
        (self.pending.len(), self.pending_bytes)
    }

    fn channel_id(&self) -> Option<&str> {
        self.channel_id.as_ref().map(|(_, text)| text.as_str())
    }

    fn take(&mut self, member: Member<'_>, place: Option<Place>) {
        let Member { id, text, call } = member;
        match call {
            Ok(Call::Ping) => self.settle_in_turn((id, text, place), Ok(Outcome::Result(Answered::PONG))),
            Err(why) => self.settle_in_turn((id, text, place), Err(why)),
            Ok(Call::Ask(ask)) => {
                let turn = if ask.may_take_long() { Turn::MayTakeLong } else { Turn::Asked };
                let ticket = self.wait((id, text, place), turn);
                self.asks.push_back(Box::new((ticket, ask)));
            }
        }
    }

    /// An outcome that is known at once, after those of the questions before it.
    fn settle_in_turn(&mut self, said: Said<'_>, outcome: Result<Outcome, Rejection>) {
        if self.pending.values().all(|before| matches!(before.turn, Turn::MayTakeLong)) {
            let (id, text, place) = said;
            return self.settle(id, text, place, outcome);
        }
        self.wait(said, Turn::Settled(outcome));
    }

    fn wait(&mut self, (id, text, place): Said<'_>, turn: Turn) -> Ticket {
        self.last_ticket += 1;
        let ticket = Ticket(self.last_ticket);
        let pending = Box::new(Pending { text: text.into(), id: id.map(RawValue::to_owned), place, turn });
        self.pending_bytes += pending.text.len();
        self.pending.insert(ticket, pending);
        ticket
    }

    /// The first request that has its outcome, as far as nothing before it is asked.
    fn first_in_turn(&self) -> Option<Ticket> {
        let mut waiting =
            self.pending.iter().filter(|(_, pending)| !matches!(pending.turn, Turn::MayTakeLong));
        waiting
            .next()
            .filter(|(_, pending)| matches!(pending.turn, Turn::Settled(_)))
            .map(|(ticket, _)| *ticket)
    }

    fn first_settled(&self) -> Option<Ticket> {
        let mut settled = self.pending.iter().filter(|(_, pending)| matches!(pending.turn, Turn::Settled(_)));
        settled.next().map(|(ticket, _)| *ticket)
    }

    /// Says what waited for its turn.
    fn deliver(&mut self, ticket: Ticket) {
        let Some(pending) = self.pending.remove(&ticket) else { return };
        self.pending_bytes -= pending.text.len();
        if let Turn::Settled(outcome) = pending.turn {
            self.settle(pending.id.as_deref(), &pending.text, pending.place, outcome);
        }
    }

    fn refuse(&mut self, ticket: Ticket, refusal: &Refusal) {
        let wants_answer = self.pending.get(&ticket).is_some_and(|pending| pending.id.is_some());
        let outcome = match refusal.reaction {
            Reaction::AnswerIfAsked | Reaction::Ignore if !wants_answer => Ok(Outcome::Ok),
            _ => Err(refusal.into()),
        };
        self.answer(ticket, outcome);
    }

    fn answer(&mut self, ticket: Ticket, outcome: Result<Outcome, Rejection>) {
        let Some(pending) = self.pending.remove(&ticket) else {
            tracing::warn!(ticket = ticket.0, "an answer to a request that nobody waits for");
            return;
        };
        self.pending_bytes -= pending.text.len();
        self.settle(pending.id.as_deref(), &pending.text, pending.place, outcome);
        while let Some(ticket) = self.first_in_turn() {
            self.deliver(ticket);
        }
    }

    /// A request has its outcome.
    fn settle(
        &mut self,
        id: Option<&RawValue>,
        text: &str,
        place: Option<Place>,
        outcome: Result<Outcome, Rejection>,
    ) {
        let channel_id = self.channel_id.as_ref().map(|(_, text)| text.as_str());
        let failure = |why: &Rejection| replies::failure(id, channel_id, why, &replies::as_raw(text));
        let frame = match &outcome {
            Ok(outcome) => replies::success(id, channel_id, outcome),
            Err(why) => Some(failure(why)),
        };
        let Some(Place { batch, index }) = place else {
            self.frames.extend(frame);
            return;
        };
        let Some(gathered) = self.batches.get_mut(&batch) else { return };
        let slot = match (frame, outcome) {
            (None, _) => Slot::Empty,
            (Some(frame), _) if gathered.bytes + frame.len() > self.max_gathered => {
                let why =
                    format!("the answers of the batch exceed {} bytes: ask in parts", self.max_gathered);
                Slot::Said(failure(&Rejection::internal(why)))
            }
            (Some(frame), Ok(Outcome::Ok)) => Slot::Ok(frame),
            (Some(frame), _) => Slot::Said(frame),
        };
        if let Some(place) = gathered.slots.get_mut(index) {
            gathered.bytes += slot.len();
            *place = slot;
        }
        gathered.open -= 1;
        if gathered.open == 0 {
            self.finish(batch);
        }
    }

    /// Every member of a batch has its outcome.
    fn finish(&mut self, batch: u64) {
        let Some(Batch { slots, .. }) = self.batches.remove(&batch) else { return };
        let any_said = slots.iter().any(|slot| matches!(slot, Slot::Said(_)));
        let answers = slots.into_iter().filter_map(|slot| match slot {
            Slot::Said(frame) => Some(frame),
            Slot::Ok(frame) if !any_said => Some(frame),
            Slot::Ok(_) | Slot::Empty => None,
        });
        self.frames.extend(replies::batch(answers.collect()));
        if self.batches.is_empty() {
            self.stop_holding();
            self.holds = true;
        }
    }

    fn report(&mut self, report: &Report, fsm_id: Option<FsmId>) {
        if let Some(id) = report.channel_id
            && self.channel_id.as_ref().is_none_or(|(known, _)| *known != id)
        {
            self.channel_id = Some((id, id.to_string()));
        }
        let frame = reports::frame(&report.notice, fsm_id, self.channel_id());
        if self.batches.is_empty() || !self.holds {
            self.frames.push_back(frame);
            return;
        }
        self.held_bytes += frame.len();
        self.held.push(frame);
        if self.held_bytes > self.max_gathered {
            self.stop_holding();
        }
    }
}

impl Slot {
    fn len(&self) -> usize {
        match self {
            Slot::Empty => 0,
            Slot::Ok(frame) | Slot::Said(frame) => frame.len(),
        }
    }
}
