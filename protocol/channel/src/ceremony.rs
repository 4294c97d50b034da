//! The interpreter of the signing flows: one path for every row of the table.
//!
//! ```text
//!            client signs            peer accepts             chain confirms            peer locked
//!  Signing ───────────────▶ Proposed ────────────▶ Confirming ───────────────▶ Locking ─────────────▶ done
//!     └─ decline / timeout / conflict ─▶ back to the agreed state
//! ```
//!
//! Three rules make it sound (`docs/decisions/0001`): fully signed means only the chain decides; a refusal counts only while
//! that very flow waits for an answer; a fully signed transaction that this side signed and sent is adopted at any stage.

use std::sync::Arc;

use strait_encoding::AccountId;
use strait_ledger::{Authenticated, SignedTx, TxLocation};

use crate::agreement::moves_funds;
use crate::channel::{Ceremony, Draft, Stage, Stand};
use crate::effect::Effect;
use crate::flow::{Flow, Place, Settles, Side};
use crate::input::{Answer, Ticket};
use crate::notice::{ConflictCode, Event, Notice};
use crate::refusal::{Fault, Reaction, Reason, Refusal};
use crate::step::Move;

impl Move<'_> {
    /// Asks the own client to sign.
    pub(crate) fn ask(&mut self, flow: Flow, side: Side, draft: Draft) {
        let notice = Notice::Sign { flow, side, tx: draft.tx.clone(), updates: draft.updates.clone() };
        let draft = Arc::new(draft);
        self.next.ceremony = Some(Ceremony { flow, side, stage: Stage::Signing, draft, since: self.now });
        self.tell(notice);
    }

    /// The client answers a signing request.
    pub(crate) fn hear_signed(
        &mut self,
        ticket: Ticket,
        flow: Flow,
        side: Side,
        tx: SignedTx,
    ) -> Result<(), Refusal> {
        let ceremony = self.awaited_signature(flow, side).cloned().ok_or_else(|| Refusal {
            reason: Reason::NothingToSign(flow.row().ask(side).map_or("", |names| names.sign)),
            fault: Fault::Client,
            reaction: Reaction::AnswerIfAsked,
        })?;
        match self.check_own_signature(&ceremony, &tx) {
            Ok(evidence) => {
                self.answer(ticket, Answer::Ok);
                let draft = Draft { tx, evidence, ..(*ceremony.draft).clone() };
                match side {
                    Side::Proposer if flow.row().codes.is_none() => self.post(flow, draft),
                    Side::Proposer => self.propose(flow, draft),
                    Side::Acceptor => self.accept(flow, draft),
                }
                Ok(())
            }
            // The create transaction may be signed again; nothing else would tell the client (docs/protocol/gaps §4.1).
            Err(why) if flow == Flow::Create => Err(Refusal::client(Reason::BadSignature(why))),
            Err(_) => {
                self.answer(ticket, Answer::Ok);
                if side == Side::Acceptor {
                    self.refuse(flow, ConflictCode::VALIDATION);
                }
                self.forget_signing(flow);
                self.conflict(ConflictCode::VALIDATION);
                Ok(())
            }
        }
    }

    fn awaited_signature(&self, flow: Flow, side: Side) -> Option<&Ceremony> {
        let ceremony = match flow.row().codes {
            Some(_) => self.next.ceremony.as_ref()?,
            None => self.next.talk.solo.as_ref()?,
        };
        let awaited = ceremony.flow == flow && ceremony.side == side && ceremony.stage == Stage::Signing;
        awaited.then_some(ceremony)
    }

    fn forget_signing(&mut self, flow: Flow) {
        match flow.row().codes {
            Some(_) => self.next.ceremony = None,
            None => self.next.talk.solo = None,
        }
    }

    /// The client's reply must be the very transaction that it was asked to sign, with exactly its own signature added;
    /// a proposer may bring the peer's along (`docs/protocol/fsm` §11, out-of-band co-signing).
    fn check_own_signature(
        &self,
        ceremony: &Ceremony,
        tx: &SignedTx,
    ) -> Result<Option<Authenticated>, String> {
        if !tx.same_tx(&ceremony.draft.tx) {
            return Err("not the transaction that was asked for".to_owned());
        }
        let me = self.next.me().ok_or("the own account is unknown")?;
        let peer = self.next.peer().ok_or("the peer's account is unknown")?;
        let signers: &[AccountId] = match ceremony.side {
            Side::Proposer if ceremony.flow.row().acceptor.is_none() => &[me],
            Side::Proposer if tx.authentications() < 2 => &[me],
            _ => &[me, peer],
        };
        self.authenticate(tx, Some(&ceremony.draft), signers).map_err(|why| why.to_string())
    }

    /// The client declines a signing request with a code of its own.
    pub(crate) fn hear_declined(
        &mut self,
        ticket: Ticket,
        flow: Flow,
        side: Side,
        code: u16,
    ) -> Result<(), Refusal> {
        let ceremony = self.awaited_signature(flow, side).filter(|ceremony| ceremony.flow != Flow::Create);
        if ceremony.is_none() {
            let names = flow.row().ask(side);
            return Err(Refusal::client(Reason::NothingToSign(names.map_or("", |names| names.sign))));
        }
        self.answer(ticket, Answer::Ok);
        if side == Side::Acceptor {
            // On the wire these two say something about a proposer's own transaction (docs/decisions/0002).
            let code = ConflictCode(code);
            let taken = [ConflictCode::TIMEOUT, ConflictCode::ON_CHAIN].contains(&code);
            self.refuse(flow, if taken { ConflictCode::ABORT } else { code });
        }
        self.forget_signing(flow);
        self.info(Event::AbortedUpdate);
        Ok(())
    }

    /// Sends the own proposal. From here on the peer can complete it without this side: it is remembered.
    fn propose(&mut self, flow: Flow, draft: Draft) {
        let Some(codes) = flow.row().codes else { return };
        if flow == Flow::Create {
            self.next.id = draft.tx.channel_id();
        }
        let draft = Arc::new(draft);
        self.expose(draft.clone());
        let message = self.carry(codes.propose, &draft);
        self.send(message);
        if let Some(ceremony) = &mut self.next.ceremony {
            ceremony.draft = draft;
        }
        self.enter_stage(Stage::Proposed);
    }

    /// Sends back the peer's proposal with both signatures.
    pub(crate) fn accept(&mut self, flow: Flow, draft: Draft) {
        let row = flow.row();
        let Some(codes) = row.codes else { return };
        let draft = Arc::new(draft);
        let message = self.carry(codes.accept, &draft);
        self.send(message);
        self.next.talk.answered = true;
        if let Some(ceremony) = &mut self.next.ceremony {
            ceremony.draft = draft.clone();
        }
        if row.settles == Settles::OffChain {
            self.agree(&draft);
            return;
        }
        self.expose(draft.clone());
        self.enter_stage(Stage::Confirming { announced: true, seen: None, peer_locked: false });
        if let Some((_, acceptor)) = row.milestones.on_chain {
            self.on_chain(acceptor, &draft.tx);
        }
        if row.lands == Some(Place::Closed) {
            self.tell_closing();
        }
    }

    /// The peer sends a transaction with both signatures.
    pub(crate) fn hear_accept(&mut self, flow: Flow, bytes: &[u8]) -> Result<(), Refusal> {
        let tx = SignedTx::decode(bytes).map_err(|_| Refusal::protocol("a transaction cannot be decoded"))?;
        if Flow::of_tx(tx.body().kind()) != Some(flow) {
            return Err(Refusal::protocol("an acceptance carries a transaction of another kind"));
        }
        let waits = self.next.ceremony.as_ref().is_some_and(|ceremony| {
            ceremony.flow == flow
                && ceremony.side == Side::Proposer
                && matches!(ceremony.stage, Stage::Proposed | Stage::Withdrawn { .. } | Stage::Unresolved)
        });
        let Some(exposed) = self.next.exposed_as(&tx).cloned() else {
            return self.dismiss_accept(flow, waits);
        };
        // Of two transactions of a round that the peer can choose from, it has chosen.
        let decided = self
            .next
            .ceremony
            .as_ref()
            .is_some_and(|ceremony| matches!(ceremony.stage, Stage::Confirming { .. } | Stage::Locking));
        if decided || self.next.place() == Place::Closed {
            return Err(Refusal::straggler("an acceptance of what both signed already"));
        }
        let round = tx.body().agreed_state().map(|(round, _)| round);
        if round.is_some() && round <= self.next.agreed.as_ref().map(|agreed| agreed.round()) {
            // The chain may still take it, and says so; this side does not go back for it.
            return Err(Refusal::straggler("an acceptance of a round that another one took the place of"));
        }
        if moves_funds(&tx) && self.can_never_be_mined(&tx) && self.next.height_of(&tx.hash()).is_none() {
            self.send_error(flow, ConflictCode::ON_CHAIN);
            let waited = self.next.ceremony.take_if(|ceremony| ceremony.draft.tx.same_tx(&tx));
            if waited.is_some_and(|ceremony| ceremony.stage == Stage::Proposed) {
                self.conflict(ConflictCode::ON_CHAIN);
            }
            return Ok(());
        }
        match self.check_both(&tx, Some(&exposed)) {
            Ok(evidence) => {
                self.next.talk.answered = false;
                let draft = Arc::new(Draft { tx, evidence, ..(*exposed).clone() });
                self.adopt(flow, draft)
            }
            Err(_) if flow == Flow::Create => {
                self.info(Event::BadSignature);
                self.die();
                Ok(())
            }
            Err(_) => self.dismiss_accept(flow, waits),
        }
    }

    /// An acceptance that accepts nothing of ours.
    fn dismiss_accept(&mut self, flow: Flow, waits: bool) -> Result<(), Refusal> {
        if flow == Flow::Create {
            return Err(Refusal::protocol("the create transaction was changed"));
        }
        if !waits {
            return Err(Refusal::straggler("an acceptance of nothing proposed"));
        }
        self.send_error(flow, ConflictCode::CONFLICT);
        self.conflict(ConflictCode::CONFLICT);
        self.enter_stage(Stage::Withdrawn { overdue: true });
        Ok(())
    }

    /// Takes over an own proposal that came back with both signatures, at whatever stage this side is.
    pub(crate) fn adopt(&mut self, flow: Flow, draft: Arc<Draft>) -> Result<(), Refusal> {
        let row = flow.row();
        if row.settles == Settles::OffChain {
            self.agree(&draft);
            return Ok(());
        }
        let submit = draft.tx.clone();
        self.expose(draft.clone());
        self.next.ceremony = Some(Ceremony {
            flow,
            side: Side::Proposer,
            stage: Stage::Confirming { announced: false, seen: None, peer_locked: false },
            draft,
            since: self.now,
        });
        self.effects.push(Effect::Submit(submit));
        Ok(())
    }

    /// The peer refuses.
    pub(crate) fn hear_refusal(&mut self, flow: Flow, code: ConflictCode) -> Result<(), Refusal> {
        let Some(ceremony) = self.next.ceremony.clone().filter(|ceremony| ceremony.flow == flow) else {
            return Err(Refusal::straggler("a refusal of nothing proposed"));
        };
        let awaited = matches!(ceremony.stage, Stage::Proposed | Stage::Withdrawn { .. } | Stage::Unresolved);
        if awaited && code == ConflictCode::ON_CHAIN {
            // The peer speaks of a transaction of its own, which this side has given up already.
            return Err(Refusal::straggler("the chain refused something that is not under way any more"));
        }
        let answered = self.next.talk.answered;
        if awaited {
            self.next.talk.answered = false;
        }
        match (ceremony.stage, ceremony.side) {
            // The peer withdrew its proposal while this side's answer to that was under way: nothing is said of the own one.
            _ if awaited && answered && code == ConflictCode::TIMEOUT => {}
            (Stage::Proposed, _) => {
                self.next.ceremony = None;
                self.conflict(code);
            }
            // The client was told when this side gave the proposal up.
            (Stage::Withdrawn { .. } | Stage::Unresolved, _) => self.next.ceremony = None,
            // The peer gives its own proposal up, and waits for this answer before it proposes another one.
            (Stage::Signing, Side::Acceptor) => {
                self.send_error(flow, ConflictCode::CONFLICT);
                self.next.ceremony = None;
                self.conflict(code);
            }
            (Stage::Confirming { seen: None, .. }, Side::Acceptor) if code == ConflictCode::ON_CHAIN => {
                return self.hear_rejected_by_chain(&ceremony, code);
            }
            _ => return Err(Refusal::straggler("a refusal of what is not awaited")),
        }
        Ok(())
    }

    /// The chain took a fully signed transaction, or refused it.
    pub(crate) fn hear_submitted(
        &mut self,
        tx: &SignedTx,
        result: Result<(), &'static str>,
    ) -> Result<(), Refusal> {
        let Some(ceremony) = self.next.ceremony.clone().filter(|ceremony| ceremony.draft.tx.same_tx(tx))
        else {
            return self.hear_posted(tx, result);
        };
        let Stage::Confirming { announced, seen, peer_locked } = ceremony.stage else {
            return Err(Refusal::straggler("the chain answers about a transaction that is not awaited"));
        };
        match result {
            Ok(()) | Err("already_known" | "already_accepted") => {
                if !announced {
                    self.announce(&ceremony);
                    let stage = Stage::Confirming { announced: true, seen, peer_locked };
                    if let Some(ceremony) = &mut self.next.ceremony {
                        ceremony.stage = stage;
                    }
                }
                Ok(())
            }
            // Not a word about the transaction: it is handed in again (docs/decisions/0001).
            Err("pool_full") => Ok(()),
            Err(atom) => self.rejected_by_chain(&ceremony, atom),
        }
    }

    fn announce(&mut self, ceremony: &Ceremony) {
        let row = ceremony.flow.row();
        if let Some(event) = row.milestones.accepted {
            self.info(event);
        }
        if let Some((proposer, acceptor)) = row.milestones.on_chain {
            let event = if ceremony.side == Side::Proposer { proposer } else { acceptor };
            self.on_chain(event, &ceremony.draft.tx);
        }
        if row.lands == Some(Place::Closed) {
            self.tell_closing();
        }
    }

    /// Only the chain's own word rolls a fully signed transaction back.
    pub(crate) fn rejected_by_chain(
        &mut self,
        ceremony: &Ceremony,
        atom: &'static str,
    ) -> Result<(), Refusal> {
        if ceremony.flow == Flow::Create {
            return self.break_off("rejected_on_chain", Reason::RefusedByChain(atom));
        }
        if ceremony.side == Side::Proposer {
            self.send_error(ceremony.flow, ConflictCode::ON_CHAIN);
        }
        self.next.ceremony = None;
        self.next.talk.closing_told = false;
        self.conflict(ConflictCode::ON_CHAIN);
        Ok(())
    }

    /// The proposer says that the chain refused. The chain itself is asked before this side believes it: the transaction is
    /// handed in again.
    fn hear_rejected_by_chain(&mut self, ceremony: &Ceremony, code: ConflictCode) -> Result<(), Refusal> {
        match self.chain.locate_tx(&ceremony.draft.tx.hash()) {
            // The peer is wrong; its client was told nothing else, so this one hears of it too (docs/protocol/fsm §4.3).
            TxLocation::InBlock { .. } | TxLocation::Pool if ceremony.flow == Flow::Shutdown => {
                self.conflict(code)
            }
            TxLocation::Gone => return self.rejected_by_chain(ceremony, "dropped from the pool"),
            _ => self.effects.push(Effect::Submit(ceremony.draft.tx.clone())),
        }
        Ok(())
    }

    /// Enough key blocks lie on top of a fully signed transaction.
    pub(crate) fn confirmed(&mut self, ceremony: &Ceremony, peer_locked: bool) {
        let row = ceremony.flow.row();
        let lock = row.codes.and_then(|codes| codes.lock);
        if let (Some((own, _)), Some(lock)) = (row.milestones.locked, lock) {
            self.info(own);
            let message = self.lock_message(lock, &ceremony.draft.tx);
            self.send(message);
            self.enter_stage(Stage::Locking);
        }
        if peer_locked || lock.is_none() {
            self.land(ceremony);
        }
    }

    /// The peer's confirmations are reached.
    pub(crate) fn hear_locked(&mut self, flow: Flow, matches: bool) -> Result<(), Refusal> {
        let Some(ceremony) = self.next.ceremony.clone().filter(|ceremony| ceremony.flow == flow) else {
            return Err(match self.next.stand {
                Stand::Opening => Refusal::protocol("a lock out of turn"),
                _ => Refusal::straggler("a lock of nothing confirmed"),
            });
        };
        if !matches {
            return Err(Refusal::protocol("a lock of another transaction"));
        }
        match ceremony.stage {
            Stage::Locking => self.land(&ceremony),
            Stage::Confirming { announced, seen, .. } => {
                let stage = Stage::Confirming { announced, seen, peer_locked: true };
                if let Some(ceremony) = &mut self.next.ceremony {
                    ceremony.stage = stage;
                }
            }
            _ => return Err(Refusal::straggler("a lock before the signatures")),
        }
        Ok(())
    }

    /// A flow on chain is done.
    fn land(&mut self, ceremony: &Ceremony) {
        let row = ceremony.flow.row();
        if let Some((_, peers)) = row.milestones.locked {
            self.info(peers);
        }
        if row.lands == Some(Place::Open) {
            self.next.stand = Stand::Open;
            self.info(Event::Open);
        }
        if ceremony.draft.tx.body().agreed_state().is_some() {
            self.agree(&ceremony.draft.clone());
        }
    }
}
