//! Messages under way: in order for each direction, late, or lost with all that follow.

use std::collections::BTreeMap;

use strait_channel::{Role, Time};
use strait_ledger::SignedTx;

use crate::agenda::{Agenda, Event, Frame};
use crate::rng::Rng;

/// Both.
pub(crate) const ROLES: [Role; 2] = [Role::Initiator, Role::Responder];

/// The place of a role in a pair.
pub(crate) fn place(role: Role) -> usize {
    match role {
        Role::Initiator => 0,
        Role::Responder => 1,
    }
}

/// The sessions between the two parties.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    /// Milliseconds on the way to the initiator and to the responder.
    pub latency: [u64; 2],
    /// Up to how many milliseconds more, by chance.
    pub jitter: u64,
    pub rng: Rng,
    sessions: BTreeMap<u64, Session>,
    opened: u64,
}

#[derive(Clone, Debug)]
struct Session {
    /// Whether the initiator's and the responder's end is open.
    open: [bool; 2],
    /// When the last frame to each of them arrives: the next one cannot come earlier.
    last: [Time; 2],
    /// The line is cut: nothing that is sent from now on arrives.
    cut: bool,
}

impl Network {
    pub fn new(latency: [u64; 2], jitter: u64, seed: u64) -> Self {
        Self { latency, jitter, rng: Rng::new(seed), sessions: BTreeMap::new(), opened: 0 }
    }

    /// A new session, open at both ends.
    pub fn open(&mut self) -> u64 {
        self.opened += 1;
        let session = Session { open: [true; 2], last: [Time(0); 2], cut: false };
        self.sessions.insert(self.opened, session);
        self.opened
    }

    /// Whether this end is open.
    pub fn is_open(&self, session: u64, role: Role) -> bool {
        self.sessions.get(&session).is_some_and(|session| session.open[place(role)])
    }

    /// Sends a frame; one on a cut or closed session is lost.
    pub fn send(&mut self, agenda: &mut Agenda, now: Time, frame: Frame) {
        let (id, to) = (frame.session, frame.to);
        if self.is_open(id, to.other())
            && let Some(at) = self.arrival(now, id, to)
        {
            agenda.enter(at, Event::Frame(frame));
        }
    }

    /// Closes one end: the other one notices behind what was sent before.
    pub fn close(&mut self, agenda: &mut Agenda, now: Time, session: u64, role: Role) {
        if !self.is_open(session, role) {
            return;
        }
        if let Some(at) = self.arrival(now, session, role.other()) {
            agenda.enter(at, Event::Closed { session, to: role.other() });
        }
        self.shut(session, role);
    }

    /// Tells the other end that this one is gone, however it went.
    pub fn reset(&mut self, agenda: &mut Agenda, now: Time, session: u64, role: Role) {
        if self.is_open(session, role.other())
            && let Some(at) = self.arrival(now, session, role.other())
        {
            agenda.enter(at, Event::Closed { session, to: role.other() });
        }
    }

    /// Closes one end without the other one noticing.
    pub fn shut(&mut self, session: u64, role: Role) {
        if let Some(session) = self.sessions.get_mut(&session) {
            session.open[place(role)] = false;
        }
    }

    /// Cuts the line: what is under way arrives, then both notice.
    pub fn cut(&mut self, agenda: &mut Agenda, now: Time, session: u64) {
        for to in [Role::Initiator, Role::Responder] {
            if let Some(at) = self.arrival(now, session, to) {
                agenda.enter(at, Event::Closed { session, to });
            }
        }
        if let Some(session) = self.sessions.get_mut(&session) {
            session.cut = true;
        }
    }

    fn arrival(&mut self, now: Time, session: u64, to: Role) -> Option<Time> {
        let session = self.sessions.get_mut(&session).filter(|session| !session.cut)?;
        let late = if self.jitter == 0 { 0 } else { self.rng.below(self.jitter + 1) };
        let last = &mut session.last[place(to)];
        *last = now.after(self.latency[place(to)] + late).max(*last);
        Some(*last)
    }
}

impl Frame {
    pub fn new(session: u64, to: Role, bytes: Vec<u8>, refuses: Option<SignedTx>) -> Self {
        Self { session, to, bytes, refuses }
    }
}
