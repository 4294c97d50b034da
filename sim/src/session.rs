//! Dialling, arriving messages, ends of sessions.

use strait_channel::{Flow, Input, Message, Part, PeerEvent, Role};
use strait_ledger::SignedTx;

use crate::agenda::{Event, Frame};
use crate::turn::Outcome;
use crate::world::World;

/// How often the initiator dials, and how many milliseconds lie between (`docs/protocol/p2p_wire` §1).
const ATTEMPTS: u32 = 40;
const BETWEEN_ATTEMPTS: u64 = 3_000;

impl World {
    /// `Effect::Connect`: the initiator dials, the responder listens.
    pub(crate) fn connect(&mut self, role: Role) {
        let (now, dialling) = (self.now(), self.next_dialling());
        let party = self.party_mut(role);
        match role {
            Role::Responder => party.listening = true,
            Role::Initiator => {
                party.dialling = Some(dialling);
                self.agenda.enter(now, Event::Dial { dialling, attempt: 1 });
            }
        }
    }

    /// `Effect::Disconnect`: also nobody is looked for any more.
    pub(crate) fn disconnect(&mut self, role: Role) {
        let party = self.party_mut(role);
        party.listening = false;
        party.dialling = None;
        party.unanswered = None;
        if let Some(session) = party.session.take() {
            self.close(session, role);
        }
    }

    pub(crate) fn close(&mut self, session: u64, role: Role) {
        let now = self.now();
        self.network.close(&mut self.agenda, now, session, role);
    }

    /// Puts a frame on the way, unless the armed fault takes it.
    pub(crate) fn dispatch(&mut self, frame: Frame) {
        let now = self.now();
        if self.faults.loses() {
            self.network.cut(&mut self.agenda, now, frame.session);
        } else {
            self.network.send(&mut self.agenda, now, frame);
        }
    }

    pub(crate) fn dial(&mut self, dialling: u64, attempt: u32) {
        let now = self.now();
        if self.party(Role::Initiator).dialling != Some(dialling) {
            return;
        }
        let responder = self.party(Role::Responder);
        if responder.listening && responder.is_alive() {
            let session = self.network.open();
            let both_ways = self.network.latency.iter().sum();
            self.agenda.enter(now.after(both_ways), Event::Connected { session, dialling });
        } else if attempt < ATTEMPTS {
            let at = now.after(BETWEEN_ATTEMPTS);
            self.agenda.enter(at, Event::Dial { dialling, attempt: attempt + 1 });
        } else {
            self.party_mut(Role::Initiator).dialling = None;
            self.turn(Role::Initiator, Input::Peer(PeerEvent::Unreachable));
        }
    }

    pub(crate) fn connected(&mut self, session: u64, dialling: u64) {
        let party = self.party_mut(Role::Initiator);
        if party.dialling != Some(dialling) {
            return self.close(session, Role::Initiator);
        }
        party.dialling = None;
        party.session = Some(session);
        if let Outcome::Refused(_) = self.turn(Role::Initiator, Input::Peer(PeerEvent::Connected)) {
            self.party_mut(Role::Initiator).session = None;
            self.close(session, Role::Initiator);
        }
    }

    pub(crate) fn closed(&mut self, session: u64, to: Role) {
        self.network.shut(session, to);
        let party = self.party_mut(to);
        if party.session == Some(session) {
            party.session = None;
            party.unanswered = None;
            self.turn(to, Input::Peer(PeerEvent::Disconnected));
        }
    }

    pub(crate) fn arrive(&mut self, frame: Frame) {
        let role = frame.to;
        if !self.network.is_open(frame.session, role) {
            // Nobody has this session any more: the machine of the receiver says so.
            let now = self.now();
            return self.network.reset(&mut self.agenda, now, frame.session, role);
        }
        let Ok(message) = Message::decode(&frame.bytes) else {
            // The session of whoever gets bytes that are no message ends.
            let party = self.party_mut(role);
            let current = party.session == Some(frame.session);
            party.session = party.session.filter(|_| !current);
            self.close(frame.session, role);
            if current {
                self.turn(role, Input::Peer(PeerEvent::Disconnected));
            }
            return;
        };
        if self.party(role).session == Some(frame.session) {
            self.hear(role, message, frame.refuses);
        } else {
            self.hear_first(role, frame.session, message);
        }
    }

    fn hear(&mut self, role: Role, message: Message, refuses: Option<SignedTx>) -> Outcome {
        let party = self.party_mut(role);
        if let Some(tx) = refuses {
            party.signer.refused(&tx);
        }
        if let Some((_, Part::Propose)) = Flow::of_code(message.code()) {
            party.unanswered = message.tx().and_then(|tx| SignedTx::decode(tx).ok());
        }
        if matches!(message, Message::Leave { .. }) {
            party.signer.all_refused();
        }
        let shows = matches!(message, Message::ChannelReestablish { .. } | Message::ChannelReestAck { .. });
        let before = party.signer.clone();
        if shows {
            // Whatever is asked for in the same step may count on it.
            party.signer.all_refused();
        }
        let outcome = self.turn(role, Input::Peer(PeerEvent::Message(message)));
        if shows && outcome != Outcome::Taken {
            self.party_mut(role).signer = before;
        }
        outcome
    }

    /// The first message of a session says which channel it is for; nothing else can come first
    /// (`docs/protocol/p2p_wire` §1.4). A session that is refused leaves the one before alone.
    fn hear_first(&mut self, role: Role, session: u64, message: Message) {
        let introduces = matches!(message, Message::ChannelOpen { .. } | Message::ChannelReestablish { .. });
        if !introduces || role == Role::Initiator || !self.party(role).is_alive() {
            return self.close(session, role);
        }
        let before = self.party_mut(role).session.replace(session);
        self.party_mut(role).unanswered = None;
        self.knocking = true;
        let outcome = self.hear(role, message, None);
        self.knocking = false;
        match outcome {
            Outcome::Taken | Outcome::Crashed => {
                if let Some(before) = before {
                    self.close(before, role);
                }
            }
            Outcome::Refused(_) | Outcome::Absent => {
                self.close(session, role);
                self.party_mut(role).session = before;
            }
        }
    }
}
