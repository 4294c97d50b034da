//! What is going to happen, in order.

use std::collections::BTreeMap;

use strait_channel::{Request, Role, Ticket, Time};
use strait_ledger::SignedTx;

/// Something that happens at a moment.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A frame arrives.
    Frame(Frame),
    /// The end of a session is noticed.
    Closed { session: u64, to: Role },
    /// The initiator tries to reach the responder.
    Dial { dialling: u64, attempt: u32 },
    /// The initiator has a session.
    Connected { session: u64, dialling: u64 },
    /// A client asks for something, on the socket that it had when it made up its mind.
    Request { role: Role, socket: u64, ticket: Ticket, request: Box<Request> },
    /// A key block, and a micro block if anything waits.
    Block,
    /// A crashed program starts again.
    Restart { role: Role },
}

/// A frame under way.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub session: u64,
    pub to: Role,
    pub bytes: Vec<u8>,
    /// The proposal of the receiver that the sender refuses with it: known to the simulation, not to the receiver.
    pub refuses: Option<SignedTx>,
}

/// Events by their moment; those of one moment in the order in which they were entered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Agenda {
    events: BTreeMap<(Time, u64), Event>,
    entered: u64,
}

impl Agenda {
    pub fn enter(&mut self, at: Time, event: Event) {
        self.entered += 1;
        self.events.insert((at, self.entered), event);
    }

    /// When the next event is due.
    pub fn next(&self) -> Option<Time> {
        self.events.keys().next().map(|(at, _)| *at)
    }

    pub fn pop(&mut self) -> Option<(Time, Event)> {
        self.events.pop_first().map(|((at, _), event)| (at, event))
    }

    /// When the next event is due that is not a block.
    pub fn next_but_blocks(&self) -> Option<Time> {
        self.events.iter().find(|(_, event)| !matches!(event, Event::Block)).map(|((at, _), _)| *at)
    }
}
