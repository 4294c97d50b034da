//! What the peer does: which message goes where, and the checks of its proposals (`docs/protocol/fsm` §4, §5).

use std::sync::Arc;

use strait_encoding::{BlockHash, ChannelId};
use strait_ledger::{SignedTx, Tx, Update};

use crate::channel::{Ceremony, Draft, Exchange, Stage, Stand};
use crate::effect::Effect;
use crate::flow::{Flow, Part, Place, Side};
use crate::input::PeerEvent;
use crate::message::Message;
use crate::notice::{ConflictCode, Event, Notice};
use crate::opening::CreateProblem;
use crate::refusal::Refusal;
use crate::step::Move;
use crate::terms::Role;

impl Move<'_> {
    pub(crate) fn hear_peer(&mut self, event: PeerEvent) -> Result<(), Refusal> {
        match event {
            PeerEvent::Connected => self.hear_connected(),
            PeerEvent::Message(message) => self.hear_message(message),
            PeerEvent::Disconnected => self.hear_disconnected(),
            PeerEvent::Unreachable => {
                if matches!(self.next.talk.exchange, Exchange::Meeting | Exchange::Returning) {
                    self.info(Event::Timeout);
                    self.die();
                }
                Ok(())
            }
        }
    }

    fn hear_connected(&mut self) -> Result<(), Refusal> {
        match (self.next.role(), self.next.talk.exchange) {
            (Role::Initiator, Exchange::Meeting) => {
                self.next.talk.peer = true;
                self.offer();
                Ok(())
            }
            (Role::Initiator, Exchange::Returning) => {
                self.next.talk.peer = true;
                self.ask_to_return()
            }
            _ => Err(Refusal::straggler("a session that nobody looked for")),
        }
    }

    fn hear_message(&mut self, message: Message) -> Result<(), Refusal> {
        match &message {
            Message::ChannelOpen { .. } => return self.hear_offer(&message),
            Message::ChannelReestablish { .. } => return self.hear_return(&message),
            _ if !self.next.talk.peer => return Err(Refusal::straggler("a message without a session")),
            Message::ChannelAccept { .. } => return self.hear_acceptance(&message),
            Message::ChannelReestAck { .. } => return self.hear_return_ack(&message),
            Message::Leave { channel_id } => return self.hear_leave(*channel_id),
            Message::LeaveAck { channel_id } => return self.hear_leave_ack(*channel_id),
            Message::InbandMsg { channel_id, from, to, info } => {
                return self.hear_inband(*channel_id, *from, *to, info);
            }
            // The peer says why it is about to go; the end of the session does the rest.
            Message::Error { .. } => return Err(Refusal::straggler("the peer reports an error")),
            _ => {}
        }
        match Flow::of_code(message.code()) {
            Some((flow, Part::Propose)) => self.hear_proposal(flow, &message),
            Some((flow, Part::Accept)) => {
                self.check_names(&message)?;
                self.hear_accept(flow, message.tx().unwrap_or_default())
            }
            Some((flow, Part::Lock)) => {
                let matches = self.locks_ours(&message);
                self.hear_locked(flow, matches)
            }
            Some((flow, Part::Refuse)) => {
                self.check_names(&message)?;
                self.hear_refusal(flow, refusal_code(&message))
            }
            None => Err(Refusal::protocol("a message out of turn")),
        }
    }

    /// Whether the message names this channel, by its id or, before there is one, by its temporary id.
    fn check_names(&self, message: &Message) -> Result<(), Refusal> {
        let named = match message {
            Message::FundingCreated { temporary_id, .. } | Message::FundingSigned { temporary_id, .. } => {
                *temporary_id == self.next.temporary_id
            }
            Message::Update { channel_id, .. }
            | Message::UpdateAck { channel_id, .. }
            | Message::UpdateError { channel_id, .. }
            | Message::DepositCreated { channel_id, .. }
            | Message::DepositSigned { channel_id, .. }
            | Message::DepositError { channel_id, .. }
            | Message::WithdrawCreated { channel_id, .. }
            | Message::WithdrawSigned { channel_id, .. }
            | Message::WithdrawError { channel_id, .. }
            | Message::Shutdown { channel_id, .. }
            | Message::ShutdownAck { channel_id, .. }
            | Message::ShutdownError { channel_id, .. } => Some(*channel_id) == self.next.id,
            _ => true,
        };
        if named { Ok(()) } else { Err(Refusal::protocol("a message of another channel")) }
    }

    fn locks_ours(&self, message: &Message) -> bool {
        let tx_hash = self.next.ceremony.as_ref().map(|ceremony| ceremony.draft.tx.hash());
        match message {
            Message::FundingLocked { temporary_id, channel_id } => {
                *temporary_id == self.next.temporary_id && Some(*channel_id) == self.next.id
            }
            Message::DepositLocked { channel_id, tx_hash: locked }
            | Message::WithdrawLocked { channel_id, tx_hash: locked } => {
                Some(*channel_id) == self.next.id && Some(*locked) == tx_hash
            }
            _ => false,
        }
    }

    fn hear_proposal(&mut self, flow: Flow, message: &Message) -> Result<(), Refusal> {
        if flow == Flow::Create {
            self.check_names(message)?;
            return self.hear_create(message);
        }
        if self.check_names(message).is_err() {
            return self.turn_down(flow, bad_proposal_code(flow));
        }
        if self.next.place() == Place::Closing && !flow.row().starts_in.contains(&Place::Closing) {
            // The peer will see it on chain; until then it need not wait.
            self.refuse(flow, ConflictCode::CONFLICT);
            return Ok(());
        }
        if !flow.row().starts_in.contains(&self.next.place()) || self.next.talk.exchange == Exchange::Leaving
        {
            return Err(Refusal::straggler("a proposal where none can be taken"));
        }
        if let Some(ceremony) = self.next.ceremony.clone() {
            return self.collide(flow, &ceremony, message);
        }
        self.consider(flow, message)
    }

    /// A proposal meets another flow under way: neither comes about (`docs/protocol/fsm` §5).
    fn collide(&mut self, flow: Flow, ceremony: &Ceremony, message: &Message) -> Result<(), Refusal> {
        match ceremony.stage {
            Stage::Signing if ceremony.flow == Flow::Create => {
                Err(Refusal::protocol("a proposal out of turn"))
            }
            Stage::Signing => {
                self.next.ceremony = None;
                self.turn_down(flow, ConflictCode::CONFLICT)
            }
            Stage::Proposed => {
                self.enter_stage(Stage::Withdrawn { overdue: false });
                self.turn_down(flow, ConflictCode::CONFLICT)
            }
            // Proposals may have crossed late: then the peer's refusal of ours is under way behind its own proposal.
            Stage::Withdrawn { overdue: true } | Stage::Unresolved => {
                self.enter_stage(Stage::Withdrawn { overdue: false });
                self.refuse(flow, ConflictCode::CONFLICT);
                Ok(())
            }
            // A reference peer never answers a withdrawal. But a peer proposes once more only when it has our refusal, and with
            // that everything that we sent before: it has dealt with our proposal.
            Stage::Withdrawn { overdue: false } => {
                self.next.ceremony = None;
                self.refuse(flow, ConflictCode::CONFLICT);
                Ok(())
            }
            // Once more the same split, with another fee perhaps: the chain takes one of them.
            Stage::Confirming { .. } if flow == Flow::Shutdown && ceremony.flow == Flow::Shutdown => {
                self.consider(flow, message)
            }
            Stage::Confirming { .. } | Stage::Locking if ceremony.flow == Flow::Create => {
                Err(Refusal::protocol("a proposal during confirmation"))
            }
            // The coins of a deposit or withdrawal on its way are in no state yet, a mutual close would lose them.
            Stage::Confirming { .. } | Stage::Locking => self.turn_down(flow, ConflictCode::CONFLICT),
        }
    }

    /// Checks a proposal and asks the own client to sign it.
    fn consider(&mut self, flow: Flow, message: &Message) -> Result<(), Refusal> {
        if flow != Flow::Shutdown && self.looming().is_some() {
            return self.turn_down(flow, bad_proposal_code(flow));
        }
        let draft = match flow {
            Flow::Update => self.check_update(message),
            Flow::Deposit | Flow::Withdraw => self.check_funds(flow, message),
            Flow::Shutdown => self.check_shutdown(message),
            // Nobody proposes a flow of one.
            _ => Err(()),
        };
        let Ok(draft) = draft else { return self.turn_down(flow, bad_proposal_code(flow)) };
        if flow != Flow::Update && self.holds_too_much() {
            return self.turn_down(flow, ConflictCode::ABORT);
        }
        if flow == Flow::Update
            && let Err(reason) = self.check_offers(&draft.trees)
        {
            self.tell(Notice::Error(reason));
            return self.turn_down(flow, ConflictCode::ABORT);
        }
        let complete = draft.tx.authentications() > 1;
        if !complete && !self.next.talk.client {
            return self.turn_down(flow, ConflictCode::CONFLICT);
        }
        if let Some(event) = flow.row().milestones.proposed {
            self.info(event);
        }
        if complete {
            let (side, stage, since) = (Side::Acceptor, Stage::Signing, self.now);
            self.next.ceremony = Some(Ceremony { flow, side, stage, draft: Arc::new(draft.clone()), since });
            self.accept(flow, draft);
        } else {
            self.ask(flow, Side::Acceptor, draft);
        }
        Ok(())
    }

    fn turn_down(&mut self, flow: Flow, code: ConflictCode) -> Result<(), Refusal> {
        self.refuse(flow, code);
        self.conflict(code);
        Ok(())
    }

    /// A new round of the peer: its place, its updates by own execution, its signature.
    fn check_update(&self, message: &Message) -> Result<Draft, ()> {
        let Message::Update { block_hash, tx, updates, .. } = message else { return Err(()) };
        self.check_pin(block_hash).map_err(drop)?;
        let tx = SignedTx::decode(tx).map_err(drop)?;
        let updates = updates.iter().map(|bytes| Update::decode(bytes)).collect::<Result<Vec<_>, _>>();
        let updates = updates.map_err(drop)?;
        let Tx::ChannelOffchain(offchain) = tx.body() else { return Err(()) };
        if Some(offchain.channel_id) != self.next.id || offchain.round != self.next.round().next() {
            return Err(());
        }
        if !updates.iter().all(|update| self.may_be_proposed(update)) {
            return Err(());
        }
        let (trees, state_hash) = self.apply(&updates, block_hash).map_err(drop)?;
        if state_hash != offchain.state_hash {
            return Err(());
        }
        self.signed_by_peer(tx, updates, trees, *block_hash)
    }

    pub(crate) fn signed_by_peer(
        &self,
        tx: SignedTx,
        updates: Vec<Update>,
        trees: strait_ledger::Trees,
        pin: BlockHash,
    ) -> Result<Draft, ()> {
        let peer = self.next.peer().ok_or(())?;
        let evidence = match tx.authentications() {
            1 => self.authenticate(&tx, None, &[peer]).map_err(drop)?,
            _ => self.check_both(&tx, None).map_err(drop)?,
        };
        Ok(Draft { tx, evidence, updates, trees, pin })
    }

    /// A mutual close of the peer must split what was agreed, whatever fee, nonce and ttl it chose
    /// (`docs/decisions/0003`: the reference insists on its own ttl).
    fn check_shutdown(&self, message: &Message) -> Result<Draft, ()> {
        let Message::Shutdown { block_hash, tx, .. } = message else { return Err(()) };
        self.check_pin(block_hash).map_err(drop)?;
        let tx = SignedTx::decode(tx).map_err(drop)?;
        let Tx::ChannelCloseMutual(close) = tx.body() else { return Err(()) };
        if Some(close.from_id) != self.next.peer() || !self.is_minable(tx.body()) {
            return Err(());
        }
        let expected = self.close_mutual(close.fee, close.nonce, close.ttl, close.from_id).map_err(drop)?;
        if *close != expected {
            return Err(());
        }
        let trees = self.next.trees().cloned().unwrap_or_default();
        self.signed_by_peer(tx, Vec::new(), trees, *block_hash)
    }

    /// The initiator's create transaction.
    fn hear_create(&mut self, message: &Message) -> Result<(), Refusal> {
        let Message::FundingCreated { block_hash, tx, .. } = message else {
            return Err(Refusal::protocol("not a funding_created"));
        };
        if self.next.talk.exchange != Exchange::Accepted {
            return Err(Refusal::protocol("funding_created out of turn"));
        }
        if let Err(reason) = self.check_pin(block_hash) {
            return self.break_off("bad_block_hash", reason);
        }
        let tx = SignedTx::decode(tx).map_err(|_| Refusal::protocol("a transaction cannot be decoded"))?;
        let trees = match self.check_create(&tx) {
            Ok(trees) => trees,
            Err(CreateProblem::NotCreate) => return self.end_with(Event::NotCreateTx),
            Err(CreateProblem::StateHash) => return self.end_with(Event::BadStateHash),
            Err(CreateProblem::Terms(reason)) => return self.break_off("terms_differ", reason),
        };
        let Ok(draft) = self.signed_by_peer(tx, Vec::new(), trees, *block_hash) else {
            return self.end_with(Event::BadSignature);
        };
        self.next.id = draft.tx.channel_id();
        self.enter(Exchange::None);
        self.info(Event::FundingCreated);
        self.ask(Flow::Create, Side::Acceptor, draft);
        Ok(())
    }

    fn end_with(&mut self, event: Event) -> Result<(), Refusal> {
        self.info(event);
        self.die();
        Ok(())
    }

    fn hear_leave(&mut self, channel_id: ChannelId) -> Result<(), Refusal> {
        if Some(channel_id) != self.next.id || self.next.stand != Stand::Open {
            return Err(Refusal::straggler("a leave of another channel, or before it is open"));
        }
        self.send(Message::LeaveAck { channel_id });
        if let Some(tx) = self.next.agreed_tx().cloned() {
            self.tell(Notice::Leave(tx));
        }
        if self.stays_without_peer() && self.next.talk.exchange != Exchange::Leaving {
            self.drop_unsigned();
        } else {
            self.die();
        }
        Ok(())
    }

    fn hear_leave_ack(&mut self, channel_id: ChannelId) -> Result<(), Refusal> {
        if Some(channel_id) != self.next.id || self.next.talk.exchange != Exchange::Leaving {
            return Err(Refusal::straggler("a leave_ack that nobody awaits"));
        }
        if let Some(tx) = self.next.agreed_tx().cloned() {
            self.tell(Notice::Leave(tx));
        }
        self.die();
        Ok(())
    }

    fn hear_inband(
        &mut self,
        channel_id: [u8; 32],
        from: strait_encoding::AccountId,
        to: strait_encoding::AccountId,
        info: &[u8],
    ) -> Result<(), Refusal> {
        let Some(id) = self.next.id.filter(|id| id.0 == channel_id) else {
            return Err(Refusal::straggler("an in-band message of another channel"));
        };
        let between_us = Some(from) == self.next.peer() && Some(to) == self.next.me();
        if !between_us && !self.next.terms.msg_forwarding {
            return Err(Refusal::straggler("an in-band message of third parties"));
        }
        self.tell(Notice::Message { channel_id: id, from, to, info: info.to_vec() });
        Ok(())
    }

    fn hear_disconnected(&mut self) -> Result<(), Refusal> {
        if !self.next.talk.peer {
            return Err(Refusal::straggler("a session that was over"));
        }
        self.next.talk.peer = false;
        let closing = matches!(self.next.stand, Stand::Closed { .. })
            || matches!(
                &self.next.ceremony,
                Some(Ceremony { flow: Flow::Shutdown, stage: Stage::Confirming { .. }, .. })
            );
        if closing {
            return Ok(());
        }
        if self.stays_without_peer() {
            self.drop_unsigned();
            self.info(Event::PeerDisconnected);
            self.enter(Exchange::Returning);
            self.effects.push(Effect::Connect);
        } else {
            self.die();
        }
        Ok(())
    }

    /// A responder that keeps running once its client signed the create transaction (`docs/protocol/fsm` §7).
    fn stays_without_peer(&self) -> bool {
        self.next.role() == Role::Responder && self.next.terms.keep_running && self.next.is_committed()
    }

    /// Forgets a flow of which nothing that binds this side is out, or that only re-establishing can resolve.
    pub(crate) fn drop_unsigned(&mut self) {
        let drop = |stage| {
            matches!(stage, Stage::Signing | Stage::Proposed | Stage::Withdrawn { .. } | Stage::Unresolved)
        };
        if self.next.ceremony.as_ref().is_some_and(|c| drop(c.stage) && c.flow != Flow::Create) {
            self.next.ceremony = None;
        }
    }
}

/// Invalid updates are answered as conflicts, an invalid mutual close as a failed check (`docs/protocol/fsm` §5).
fn bad_proposal_code(flow: Flow) -> ConflictCode {
    if flow == Flow::Shutdown { ConflictCode::VALIDATION } else { ConflictCode::CONFLICT }
}

fn refusal_code(message: &Message) -> ConflictCode {
    match message {
        Message::UpdateError { error_code, .. }
        | Message::DepositError { error_code, .. }
        | Message::WithdrawError { error_code, .. }
        | Message::ShutdownError { error_code, .. } => ConflictCode(*error_code),
        _ => ConflictCode::CONFLICT,
    }
}
