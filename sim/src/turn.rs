//! The contract of the loop: decide, store if the step binds, release, perform the effects in order.

use std::collections::VecDeque;

use strait_channel::{
    Effect, Flow, Input, Message, Notice, OnChainEvent, Part, PeerEvent, Reaction, Refusal, Request, Role,
    Side, Step,
};
use strait_encoding::Coins;
use strait_ledger::{ChainView, SignedTx, TxLocation};

use crate::agenda::{Event, Frame};
use crate::client::{Heard, Reply};
use crate::faults::Place;
use crate::world::{Sent, World};

/// What became of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was taken, and every effect performed.
    Taken,
    /// It was refused; nothing changed.
    Refused(Refusal),
    /// The program ended in the middle.
    Crashed,
    /// There is no channel to take it.
    Absent,
}

impl World {
    /// Gives an input to the channel of a role, and what its effects give back at once.
    pub fn turn(&mut self, role: Role, input: Input) -> Outcome {
        let mut inbox = VecDeque::new();
        let outcome = self.one_turn(role, input, &mut inbox);
        self.drain(role, inbox);
        outcome
    }

    pub(crate) fn drain(&mut self, role: Role, mut inbox: VecDeque<Input>) {
        while let Some(input) = inbox.pop_front() {
            self.one_turn(role, input, &mut inbox);
        }
    }

    fn one_turn(&mut self, role: Role, input: Input, inbox: &mut VecDeque<Input>) -> Outcome {
        self.learn_of_rejection(role, &input);
        let Some(channel) = self.party(role).process.clone() else { return Outcome::Absent };
        match channel.decide(self.now(), input.clone(), &self.chain) {
            Ok(step) => self.release(role, step, inbox),
            Err(refusal) => {
                self.react(role, &input, &refusal, inbox);
                Outcome::Refused(refusal)
            }
        }
    }

    /// Stores a step if it binds, releases it and performs its effects.
    pub(crate) fn release(&mut self, role: Role, mut step: Step, inbox: &mut VecDeque<Input>) -> Outcome {
        self.faults.begin_turn(role);
        if self.crashes(role, Place::BeforeStore) {
            return Outcome::Crashed;
        }
        let (channel, effects) = if step.is_binding() {
            for effect in step.take_prompt() {
                self.perform(role, effect, inbox);
            }
            if self.crashes(role, Place::AfterPrompt) {
                return Outcome::Crashed;
            }
            let proof = self.party_mut(role).store.save(step.next());
            if self.crashes(role, Place::AfterStore) {
                return Outcome::Crashed;
            }
            step.release(&proof)
        } else {
            match step.release_unstored() {
                Ok(released) => released,
                Err(step) => panic!("a step of the {role} is binding and says it is not: {step:?}"),
            }
        };
        self.party_mut(role).process = Some(channel);
        for (number, effect) in effects.into_iter().enumerate() {
            self.perform(role, effect, inbox);
            if self.crashes(role, Place::AfterEffect(number)) {
                return Outcome::Crashed;
            }
        }
        Outcome::Taken
    }

    fn crashes(&mut self, role: Role, here: Place) -> bool {
        let Some(silent) = self.faults.crashes(role, here) else { return false };
        self.crash(role, silent);
        true
    }

    fn react(&mut self, role: Role, input: &Input, refusal: &Refusal, inbox: &mut VecDeque<Input>) {
        match refusal.reaction {
            Reaction::Answer | Reaction::AnswerIfAsked => {
                if let Input::Client(ticket, _) = input {
                    let answer = Heard::Answer(*ticket, Err(refusal.clone()));
                    self.party_mut(role).client.hear(answer);
                }
            }
            Reaction::Ignore => {}
            // Not the session of the channel: whoever knocked is sent away by the caller.
            Reaction::EndSession if self.knocking => {}
            Reaction::EndSession => {
                if let Some(session) = self.party_mut(role).session.take() {
                    self.close(session, role);
                    inbox.push_back(Input::Peer(PeerEvent::Disconnected));
                }
            }
        }
    }

    fn perform(&mut self, role: Role, effect: Effect, inbox: &mut VecDeque<Input>) {
        match effect {
            Effect::Answer(ticket, answer) => {
                self.party_mut(role).client.hear(Heard::Answer(ticket, answer));
            }
            Effect::Tell(report) => self.tell(role, report.notice),
            Effect::Send(message) => self.send(role, &message),
            Effect::Submit(tx) => inbox.push_back(self.submit(role, tx)),
            Effect::Connect => self.connect(role),
            Effect::Disconnect => self.disconnect(role),
            Effect::Release => self.party_mut(role).client.let_go(),
            Effect::Forget => self.forget(role),
        }
    }

    fn tell(&mut self, role: Role, notice: Notice) {
        let client = &mut self.party_mut(role).client;
        if !client.attached {
            return;
        }
        client.hear(Heard::Told(notice.clone()));
        match notice {
            Notice::Sign { flow, side, tx, .. } => self.ask_client(role, flow, side, &tx),
            Notice::Conflict { .. } => self.retry(role),
            Notice::OnChainTx { event, .. } => self.dispute(role, event),
            _ => {}
        }
    }

    /// A watchful client answers an older state on chain with the latest, and takes its coins when it may.
    fn dispute(&mut self, role: Role, event: OnChainEvent) {
        let client = &self.party(role).client;
        let (watchful, think) = (client.watchful, client.think);
        let flow = match event {
            OnChainEvent::CanSlash => Flow::Slash,
            OnChainEvent::CanSnapshot => Flow::SnapshotSolo,
            OnChainEvent::SoloClosing => Flow::Settle,
            _ => return,
        };
        if watchful {
            self.ask_in(role, think, World::solo_request(flow));
        }
    }

    /// An eager client tries again at once.
    fn retry(&mut self, role: Role) {
        let client = &mut self.party_mut(role).client;
        if let Some(left) = client.retries.checked_sub(1) {
            client.retries = left;
            let think = client.think;
            // Another amount each time, so that another transaction is signed.
            self.ask_in(role, think, World::transfer_request(role, 1_000 + u128::from(left)));
        }
    }

    /// The client sees a signing request, and does what it is used to.
    fn ask_client(&mut self, role: Role, flow: Flow, side: Side, tx: &SignedTx) {
        let agreed = self.party(role).process.as_ref().and_then(|channel| channel.agreed_tx().cloned());
        let client = &mut self.party_mut(role).client;
        let reply = client.plan.pop_front().unwrap_or(client.habit);
        let think = client.think;
        let signer = self.party(role).signer.clone();
        let signed = || signer.sign(tx, agreed.as_ref());
        let declined = |code| Request::Declined { flow, side, code };
        let given = |tx| Request::Signed { flow, side, tx };
        match reply {
            Reply::Sign => self.ask_in(role, think, given(signed())),
            Reply::Late(after) => self.ask_in(role, after, given(signed())),
            Reply::Decline(code) => self.ask_in(role, think, declined(code)),
            Reply::LateDecline(after, code) => self.ask_in(role, after, declined(code)),
            Reply::Nothing => {}
            Reply::Forge(forgery) => {
                self.ask_in(role, think, given(forgery.of(tx, &signer, role)));
            }
            Reply::Twice => {
                self.ask_in(role, think, given(signed()));
                self.ask_in(role, think + 1, given(signed()));
            }
        }
    }

    /// Has the client ask something after some milliseconds, on the socket that it has now.
    pub fn ask_in(&mut self, role: Role, after: u64, request: Request) {
        let at = self.now().after(after);
        let client = &mut self.party_mut(role).client;
        let (socket, ticket) = (client.socket, client.ticket());
        self.agenda.enter(at, Event::Request { role, socket, ticket, request: Box::new(request) });
    }

    fn send(&mut self, role: Role, message: &Message) {
        let bytes = message.encode().unwrap_or_else(|error| panic!("{message:?} cannot be sent: {error}"));
        self.check_signature_leaves(role, message);
        let base = self.party(role).process.as_ref().and_then(|channel| channel.agreed_tx().cloned());
        self.model.hear(message, &self.chain, base.as_ref());
        let answers = matches!(Flow::of_code(message.code()), Some((_, Part::Accept | Part::Refuse)));
        let answered = if answers { self.party_mut(role).unanswered.take() } else { None };
        let refuses = answered.filter(|_| is_refusal(message));
        self.wire.push(Sent { at: self.now(), from: role, message: message.clone() });
        if self.held == Some(role) {
            return;
        }
        let Some(session) = self.party(role).session else { return };
        self.dispatch(Frame::new(session, role.other(), bytes, refuses));
    }

    /// What a signature of this side stands under must be on disk before it leaves.
    fn check_signature_leaves(&mut self, role: Role, message: &Message) {
        let Some(tx) = message.tx() else { return };
        let tx =
            SignedTx::decode(tx).unwrap_or_else(|error| panic!("{role} sends a broken {message:?}: {error}"));
        let signed = self.model.signed_round(role);
        let party = self.party_mut(role);
        if !party.signer.enforcing {
            return;
        }
        // The proposer of a round stores what it asks its client to sign, and need not store the signature before it leaves.
        let pledged = matches!(message, Message::Update { .. }) && party.store.knows_unsigned(&tx);
        assert!(
            pledged || party.store.knows(&tx),
            "the {role} sends what its store does not hold: {message:?}"
        );
        let latest = matches!(message, Message::ChannelReestablish { .. } | Message::ChannelReestAck { .. });
        // By now an accepted round is the agreed one.
        let agreed = match tx.body().agreed_state() {
            Some((round, _)) if matches!(message, Message::UpdateAck { .. }) => round.0 - 1,
            // A forced round takes nobody's signature back.
            _ if party.is_forced() => signed,
            _ => party.round(),
        };
        if !latest {
            party.signer.release(&tx, agreed);
        }
    }

    fn submit(&mut self, role: Role, tx: SignedTx) -> Input {
        let party = self.party(role);
        assert!(
            !party.signer.enforcing || party.store.knows(&tx),
            "the {role} submits what its store does not hold: {tx:?}"
        );
        let result = match self.refusing_chain {
            Some(atom) if self.chain.locate_tx(&tx.hash()) == TxLocation::Unknown => Err(atom),
            _ => self.chain.submit(tx.clone()).map(drop).map_err(|error| error.atom()),
        };
        self.submitted.push((role, tx.clone(), result));
        self.tell_authorities();
        Input::Submitted { tx, result }
    }

    /// What the chain itself refused is not in the peer's hands any more.
    fn learn_of_rejection(&mut self, role: Role, input: &Input) {
        if let Input::Submitted { tx, result: Err(atom) } = input
            && !["already_known", "already_accepted"].contains(atom)
        {
            self.party_mut(role).signer.refused(tx);
        }
    }

    fn forget(&mut self, role: Role) {
        let party = self.party_mut(role);
        let id = party.channel().id();
        party.store.clear();
        party.process = None;
        party.forgotten = true;
        if let Some(object) = id.and_then(|id| self.chain.channel(id)) {
            let Coins(held) = object.channel_amount;
            panic!("the {role} forgets a channel that holds {held} on chain");
        }
    }

    /// The program of a role ends: everything that is not stored is lost, and it starts again a second later.
    pub fn crash(&mut self, role: Role, silent: bool) {
        self.vanish(role, silent);
        let now = self.now();
        self.agenda.enter(now.after(1_000), Event::Restart { role });
    }

    /// The program of a role ends and never starts again.
    pub fn vanish(&mut self, role: Role, silent: bool) {
        let party = self.party_mut(role);
        party.process = None;
        party.listening = false;
        party.dialling = None;
        party.unanswered = None;
        party.client.lose();
        let session = party.session.take();
        if let Some(session) = session {
            if silent {
                self.network.shut(session, role);
            } else {
                self.close(session, role);
            }
        }
    }
}

fn is_refusal(message: &Message) -> bool {
    matches!(Flow::of_code(message.code()), Some((_, Part::Refuse)))
}
