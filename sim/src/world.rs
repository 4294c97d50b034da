//! What there is, and how time passes.

use strait_channel::{Channel, Input, Message, Role, Time};
use strait_ledger::{Chain, SignedTx};

use crate::agenda::{Agenda, Event};
use crate::faults::Faults;
use crate::model::Model;
use crate::network::{Network, place};
use crate::party::Party;
use crate::setup::{BEGINNING, Setup};

/// How many events may pass before a world that was told to come to rest counts as restless.
const RESTLESS: usize = 20_000;

/// Two parties, a chain and a network, at one moment.
#[derive(Clone)]
pub struct World {
    /// The chain that both see.
    pub chain: Chain,
    /// What both must agree on.
    pub model: Model,
    /// Every message that left a side, also those that were held or lost.
    pub wire: Vec<Sent>,
    /// What was handed to the chain, by whom, and what it said.
    pub submitted: Vec<(Role, SignedTx, Result<(), &'static str>)>,
    /// Frames of this side do not leave: a test sends others in its place.
    pub held: Option<Role>,
    /// The chain refuses everything that is handed in and new to it, with this atom.
    pub refusing_chain: Option<&'static str>,
    /// Whether blocks are made.
    pub mining: bool,
    pub(crate) setup: Setup,
    pub(crate) network: Network,
    pub(crate) agenda: Agenda,
    pub(crate) faults: Faults,
    /// A first message is being looked at.
    pub(crate) knocking: bool,
    now: Time,
    parties: [Party; 2],
    diallings: u64,
}

/// A message that left a side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// When.
    pub at: Time,
    /// Which side.
    pub from: Role,
    /// The message.
    pub message: Message,
}

impl World {
    /// A world in which nobody has done anything yet.
    pub fn new(setup: Setup) -> Self {
        let chain = setup.chain();
        let party = |role| Party::new(setup.terms(role), setup.signer(role), setup.think[place(role)]);
        let mut agenda = Agenda::default();
        agenda.enter(BEGINNING.after(setup.block_time), Event::Block);
        let mut world = Self {
            model: Model::new(&setup, &chain),
            chain,
            wire: Vec::new(),
            submitted: Vec::new(),
            held: None,
            refusing_chain: None,
            mining: true,
            network: Network::new(setup.latency, setup.jitter, setup.seed),
            agenda,
            faults: Faults::default(),
            knocking: false,
            now: BEGINNING,
            parties: [party(Role::Initiator), party(Role::Responder)],
            diallings: 0,
            setup,
        };
        world.tell_authorities();
        world
    }

    /// A world in which both clients have opened, and the channel is open; the clients have forgotten what they heard.
    ///
    /// # Panics
    /// It did not open.
    pub fn opened(setup: Setup) -> Self {
        let mut world = Self::new(setup);
        world.open(Role::Responder);
        world.open(Role::Initiator);
        let open = world.run_until(600_000, |world| world.both(|party| party.round() == 1));
        assert!(open, "the channel did not open: {:?}", world.party(Role::Initiator).client.told());
        world.calm();
        for role in [Role::Initiator, Role::Responder] {
            world.party_mut(role).client.clear();
        }
        world.wire.clear();
        world
    }

    /// The moment.
    pub fn now(&self) -> Time {
        self.now
    }

    /// Milliseconds between key blocks.
    pub fn block_time(&self) -> u64 {
        self.setup.block_time
    }

    /// One side.
    pub fn party(&self, role: Role) -> &Party {
        &self.parties[place(role)]
    }

    /// One side.
    pub fn party_mut(&mut self, role: Role) -> &mut Party {
        &mut self.parties[place(role)]
    }

    /// Whether something holds for both sides.
    pub fn both(&self, holds: impl Fn(&Party) -> bool) -> bool {
        self.parties.iter().all(holds)
    }

    /// The round that a side holds for agreed.
    pub fn round(&self, role: Role) -> u64 {
        self.party(role).round()
    }

    /// Jumps to whatever happens next: an event, or the deadline of a channel.
    pub fn step(&mut self) {
        let due = |party: &Party| party.process.as_ref().and_then(Channel::deadline);
        let deadline = self.parties.iter().filter_map(|party| due(party).map(|at| (at, party.role))).min();
        let event = self.agenda.next();
        match (deadline, event) {
            (Some((at, role)), event) if event.is_none_or(|event| at < event) => {
                self.now = at.max(self.now);
                self.turn(role, Input::Tick);
                // Of two waits that end at one moment each takes its own tick.
                if due(self.party(role)).is_some_and(|after| after <= self.now) {
                    self.turn(role, Input::Tick);
                }
                let after = due(self.party(role));
                assert!(after.is_none_or(|after| after > self.now), "the {role}'s deadline does not move");
            }
            _ => {
                if let Some((at, event)) = self.agenda.pop() {
                    self.now = at.max(self.now);
                    self.happen(event);
                }
            }
        }
        self.check();
    }

    /// Steps until something holds; whether it came to hold within this many milliseconds.
    pub fn run_until(&mut self, milliseconds: u64, holds: impl Fn(&World) -> bool) -> bool {
        let end = self.now.after(milliseconds);
        while !holds(self) {
            if self.next_at().is_none_or(|at| at > end) {
                self.now = end;
                return false;
            }
            self.step();
        }
        true
    }

    /// Steps through this many milliseconds.
    pub fn run_for(&mut self, milliseconds: u64) {
        self.run_until(milliseconds, |_| false);
    }

    /// Steps until nothing is under way: no message, no dialling, no client that is about to act. Blocks and deadlines that
    /// come later do not count.
    ///
    /// # Panics
    /// It never comes to rest.
    pub fn calm(&mut self) {
        for _ in 0..RESTLESS {
            if self.agenda.next_but_blocks().is_none() {
                return;
            }
            self.step();
        }
        panic!("the world does not come to rest");
    }

    pub(crate) fn next_dialling(&mut self) -> u64 {
        self.diallings += 1;
        self.diallings
    }

    fn next_at(&self) -> Option<Time> {
        let deadlines = self.parties.iter().filter_map(|party| party.process.as_ref()?.deadline());
        deadlines.chain(self.agenda.next()).min()
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Frame(frame) => self.arrive(frame),
            Event::Closed { session, to } => self.closed(session, to),
            Event::Dial { dialling, attempt } => self.dial(dialling, attempt),
            Event::Connected { session, dialling } => self.connected(session, dialling),
            Event::Block => self.make_block(),
            Event::Restart { role } => self.restart(role),
            Event::Request { role, socket, ticket, request } => {
                let client = &mut self.party_mut(role).client;
                if client.attached && client.socket == socket {
                    client.ask(ticket);
                    self.turn(role, Input::Client(ticket, *request));
                }
            }
        }
    }

    fn restart(&mut self, role: Role) {
        let party = self.party_mut(role);
        party.process = party.store.load();
        party.store.check_round_trip();
        party.known.clear();
        if party.process.is_some() {
            self.check_trees();
            self.turn(role, Input::Restarted);
            self.bring_news(role);
        }
    }

    /// What must hold at every moment.
    pub(crate) fn check(&mut self) {
        for party in &self.parties {
            self.model.check_agreed(party.role, party.process.as_ref(), &self.chain);
        }
    }

    /// Clients of generalized accounts know which numbers their contracts take next, whatever has become of the chain.
    pub(crate) fn tell_authorities(&mut self) {
        let channel = self.channel_on(&self.chain);
        for party in &mut self.parties {
            party.signer.count(&self.chain, channel);
        }
    }

    /// Compares what both sides would store with the model.
    pub(crate) fn check_trees(&self) {
        for party in &self.parties {
            if let Some(channel) = &party.process {
                self.model.check_trees(party.role, channel);
            }
        }
    }
}
