//! What the client asks for (`docs/protocol/ws_api` §5, `docs/protocol/fsm` §6).

use strait_encoding::{AccountId, Coins};
use strait_ledger::{Trees, Update};
use strait_tree::Tree;

use crate::channel::{Ceremony, Exchange, Stage, Stand};
use crate::effect::Effect;
use crate::flow::{Flow, Place, Side};
use crate::funds::Funds;
use crate::input::{Answer, Input, Request, Ticket};
use crate::message::{MAX_INBAND, Message};
use crate::notice::{ConflictCode, Event, Notice};
use crate::patience::UNRESOLVED;
use crate::refusal::{Reason, Refusal};
use crate::step::Move;

/// How many requests wait for a flow under way before further ones are refused.
const MAX_DEFERRED: usize = 64;

const OPEN_PROPOSALS: &str = "the peer has refused too many proposals, and could still complete any of them: leave and re-establish, or \
     close";

impl Move<'_> {
    /// Takes one input.
    pub(crate) fn take(&mut self, input: Input) -> Result<(), Refusal> {
        match input {
            Input::Client(ticket, request) => self.hear_request(ticket, request),
            Input::Attached => {
                self.attach();
                Ok(())
            }
            Input::Detached => {
                self.detach();
                Ok(())
            }
            Input::Reestablish => self.come_back(),
            Input::Peer(event) => self.hear_peer(event),
            Input::Chain(news) => self.hear_chain(&news),
            Input::Submitted { tx, result } => self.hear_submitted(&tx, result),
            Input::Tick => self.tick(),
            Input::Restarted => {
                self.restart();
                Ok(())
            }
        }
    }

    fn attach(&mut self) {
        self.forget_own_asks();
        self.next.talk.client = true;
        self.info(Event::FsmUp);
        self.tell_unheard();
        if let Some(Ceremony { stage: Stage::Signing, flow, side, draft, .. }) = self.next.ceremony.clone() {
            if side == Side::Acceptor
                && let Some(event) = flow.row().milestones.proposed
            {
                self.info(event);
            }
            self.tell(Notice::Sign { flow, side, tx: draft.tx.clone(), updates: draft.updates.clone() });
        }
    }

    /// What a client asked for and did not sign, or waits for, goes with it: nobody else knows of it, and the next one did not ask.
    fn forget_own_asks(&mut self) {
        self.next.talk.solo = None;
        // Tickets are a client's own: an answer would be taken for that of another request.
        self.next.talk.deferred.clear();
        let own = |ceremony: &Ceremony| {
            ceremony.stage == Stage::Signing
                && ceremony.side == Side::Proposer
                && ceremony.flow != Flow::Create
        };
        if self.next.ceremony.as_ref().is_some_and(own) {
            self.next.ceremony = None;
        }
    }

    /// Before the client signed the create transaction the channel ends with it (`docs/protocol/ws_api` §9).
    fn detach(&mut self) {
        self.forget_own_asks();
        self.next.talk.client = false;
        if self.next.talk.alive && !self.next.is_committed() {
            self.die();
        }
    }

    fn hear_request(&mut self, ticket: Ticket, request: Request) -> Result<(), Refusal> {
        match request {
            Request::Stop => {
                self.answer(ticket, Answer::Ok);
                self.die();
                Ok(())
            }
            Request::Signed { flow, side, tx } => self.hear_signed(ticket, flow, side, tx),
            Request::Declined { flow, side, code } => self.hear_declined(ticket, flow, side, code),
            // Whose peer does not come back must still be able to close alone.
            Request::Solo(flow, options) => {
                self.start_solo(ticket, flow, |this| this.solo_draft(flow, &options))
            }
            Request::ForceProgress(forcing) => {
                self.start_solo(ticket, Flow::ForceProgress, |this| this.forced_draft(&forcing))
            }
            // What both agreed on can be looked at while the peer is looked for, too.
            request if is_query(&request) && self.next.agreed.is_some() => {
                self.hear_ready_request(ticket, request)
            }
            request => {
                if let Some(why) = self.handshake() {
                    return Err(Refusal::client(Reason::NotReady(why)));
                }
                self.hear_ready_request(ticket, request)
            }
        }
    }

    fn hear_ready_request(&mut self, ticket: Ticket, request: Request) -> Result<(), Refusal> {
        match request {
            Request::Message { to, from, info } => self.send_inband(ticket, to, from, info),
            Request::Balances(accounts) => self.balances_of(ticket, &accounts),
            Request::OffchainState => self.offchain_state(ticket),
            Request::Proof { accounts, contracts } => self.proof(ticket, &accounts, &contracts),
            Request::DryRun { call, pin } => self.dry_run(ticket, call, pin),
            Request::ContractState(id) => self.contract_state(ticket, id),
            Request::ContractCall { contract, caller, round } => {
                self.contract_call(ticket, contract, caller, round)
            }
            Request::CleanCalls => {
                self.next.talk.calls = Tree::new();
                self.next.talk.calls_count = 0;
                self.answer(ticket, Answer::CallsPruned);
                Ok(())
            }
            Request::AssumeMinimumDepth(tx_hash) => self.assume_depth(ticket, tx_hash),
            request => self.hear_flow_request(ticket, request),
        }
    }

    /// Which handshake forbids every request (`docs/protocol/fsm` §6, class E).
    fn handshake(&self) -> Option<&'static str> {
        let waiting = |stage| matches!(&self.next.ceremony, Some(ceremony) if ceremony.stage == stage);
        match self.next.talk.exchange {
            Exchange::Offered | Exchange::Accepted => Some("the opening is under way"),
            Exchange::Meeting if self.next.role() == crate::Role::Responder => {
                Some("the peer did not come yet")
            }
            Exchange::Returned => Some("the channel is being re-established"),
            Exchange::Returning if self.next.role() == crate::Role::Initiator => {
                Some("the peer is not reached yet")
            }
            _ if self.next.stand != Stand::Opening => None,
            _ if waiting(Stage::Proposed) => Some("the peer did not sign the create transaction yet"),
            _ if waiting(Stage::Locking) => Some("the peer's confirmations are awaited"),
            _ => None,
        }
    }

    /// Requests that start a flow or leave: at once where nothing is under way, later or never otherwise.
    fn hear_flow_request(&mut self, ticket: Ticket, request: Request) -> Result<(), Refusal> {
        if self.next.place() == Place::Closed {
            return Err(Refusal::client(Reason::Closing));
        }
        match self.next.ceremony.clone() {
            None if self.next.talk.exchange == Exchange::Leaving => self.defer(ticket, request),
            None if self.next.stand == Stand::Opening => self.defer(ticket, request),
            None => self.start(ticket, request),
            // Updates, deposits and withdrawals are over; a close that both want is not.
            Some(_) if self.next.place() == Place::Closing && is_proposal(&request) => {
                Err(Refusal::client(Reason::Closing))
            }
            // A mutual close too would be a second answer to the agreed round, and after it the first would be forgotten.
            Some(Ceremony { stage: Stage::Unresolved, .. })
                if is_proposal(&request) || matches!(request, Request::Shutdown(_)) =>
            {
                Err(Refusal::client(Reason::NotReady(UNRESOLVED)))
            }
            Some(Ceremony { stage: Stage::Unresolved, .. }) => self.start(ticket, request),
            // A second proposal abandons the first: the reference says ok, then conflict (docs/protocol/fsm §5).
            Some(ceremony) if ceremony.stage == Stage::Signing && is_proposal(&request) => {
                if ceremony.flow == Flow::Create {
                    return self.defer(ticket, request);
                }
                self.answer(ticket, Answer::Ok);
                if ceremony.side == Side::Acceptor {
                    self.refuse(ceremony.flow, ConflictCode::CONFLICT);
                }
                self.next.ceremony = None;
                self.conflict(ConflictCode::CONFLICT);
                Ok(())
            }
            Some(Ceremony { flow: Flow::Shutdown, stage: Stage::Confirming { .. }, .. }) => {
                Err(Refusal::client(Reason::Closing))
            }
            Some(_) => self.defer(ticket, request),
        }
    }

    fn defer(&mut self, ticket: Ticket, request: Request) -> Result<(), Refusal> {
        let deferred = &mut self.next.talk.deferred;
        if deferred.len() >= MAX_DEFERRED {
            return Err(Refusal::client(Reason::Busy(MAX_DEFERRED)));
        }
        deferred.push_back((ticket, request));
        Ok(())
    }

    /// Takes up the requests that waited, now that the flow under way may have ended.
    pub(crate) fn run_deferred(&mut self) {
        while self.is_free()
            && let Some((ticket, request)) = self.next.talk.deferred.pop_front()
        {
            if let Err(refusal) = self.hear_request(ticket, request) {
                self.effects.push(Effect::Answer(ticket, Err(refusal)));
            }
        }
    }

    fn is_free(&self) -> bool {
        self.next.talk.alive
            && self.next.ceremony.is_none()
            && self.next.talk.exchange == Exchange::None
            && self.next.stand != Stand::Opening
    }

    fn start(&mut self, ticket: Ticket, request: Request) -> Result<(), Refusal> {
        if self.next.place() == Place::Closing && !matches!(request, Request::Shutdown(_)) {
            return Err(Refusal::client(Reason::Closing));
        }
        if self.holds_too_much() {
            return Err(Refusal::client(Reason::NotReady(OPEN_PROPOSALS)));
        }
        if is_proposal(&request)
            && let Some(looming) = self.looming()
        {
            let account = looming.body().origin().unwrap_or(AccountId::ZERO);
            return Err(Refusal::client(Reason::Looming { account, nonce: looming.body().nonce().0 }));
        }
        match request {
            Request::Transfer { from, to, amount, pin, meta } => {
                self.check_parties(from, to)?;
                self.check_session()?;
                let mut updates = vec![Update::Transfer { from, to, amount }];
                updates.extend(meta.into_iter().map(|text| Update::Meta { data: text.into_bytes() }));
                let draft = self.update_draft(updates, pin)?;
                self.check_offers(&draft.trees).map_err(Refusal::client)?;
                self.answer(ticket, Answer::Ok);
                self.ask(Flow::Update, Side::Proposer, draft);
            }
            Request::Contract { contract, pin, meta } => self.start_contract(ticket, contract, pin, meta)?,
            Request::Funds { flow, amount, pin, options, meta } => {
                self.check_session()?;
                let draft = self.funds_draft(flow, Funds { amount, pin, options, meta })?;
                self.answer(ticket, Answer::Ok);
                self.ask(flow, Side::Proposer, draft);
            }
            Request::Shutdown(options) => {
                self.check_session()?;
                let draft = self.shutdown_draft(&options)?;
                self.answer(ticket, Answer::Ok);
                self.ask(Flow::Shutdown, Side::Proposer, draft);
            }
            Request::Leave => {
                self.answer(ticket, Answer::Ok);
                self.leave()?;
            }
            _ => return Err(Refusal::client(Reason::NotAllowedNow("nothing of that kind can be started"))),
        }
        Ok(())
    }

    fn leave(&mut self) -> Result<(), Refusal> {
        let channel_id = self.id()?;
        if self.next.talk.peer {
            self.send(Message::Leave { channel_id });
            self.enter(Exchange::Leaving);
            return Ok(());
        }
        if let Some(tx) = self.next.agreed_tx().cloned() {
            self.tell(Notice::Leave(tx));
        }
        self.die();
        Ok(())
    }

    fn check_parties(&self, from: AccountId, to: AccountId) -> Result<(), Refusal> {
        let terms = &self.next.terms;
        let initiator = terms.initiator.unwrap_or(AccountId::ZERO);
        let responder = terms.responder;
        let pair = [initiator, responder];
        if from != to && pair.contains(&from) && pair.contains(&to) {
            Ok(())
        } else {
            Err(Refusal::client(Reason::InvalidPubkeys { initiator, responder }))
        }
    }

    pub(crate) fn check_session(&self) -> Result<(), Refusal> {
        if self.next.talk.peer {
            Ok(())
        } else {
            Err(Refusal::client(Reason::NotReady("the peer is not connected")))
        }
    }

    fn send_inband(
        &mut self,
        ticket: Ticket,
        to: AccountId,
        from: Option<AccountId>,
        info: String,
    ) -> Result<(), Refusal> {
        let forwarding = self.next.terms.msg_forwarding;
        let me = self.next.me();
        if Some(to) != self.next.peer() && !forwarding {
            return Err(Refusal::client(Reason::UnknownRecipient(to)));
        }
        let from = from.or(me).unwrap_or(AccountId::ZERO);
        if Some(from) != me && !forwarding {
            return Err(Refusal::client(Reason::UnknownSender(from)));
        }
        if info.len() > MAX_INBAND {
            return Err(Refusal::client(Reason::MessageTooLong { size: info.len(), limit: MAX_INBAND }));
        }
        self.check_session()?;
        let channel_id = self.next.id.map_or(self.next.temporary_id, |id| id.0);
        self.send(Message::InbandMsg { channel_id, from, to, info: info.into_bytes() });
        self.answer(ticket, Answer::Ok);
        Ok(())
    }

    fn balances_of(&mut self, ticket: Ticket, accounts: &[AccountId]) -> Result<(), Refusal> {
        let trees = self.known_trees()?;
        let found: Vec<(AccountId, Coins)> = accounts
            .iter()
            .filter_map(|account| trees.account(*account).map(|found| (*account, found.balance)))
            .collect();
        self.answer(ticket, Answer::Balances(found));
        Ok(())
    }

    fn offchain_state(&mut self, ticket: Ticket) -> Result<(), Refusal> {
        let trees = self.known_trees()?;
        let half_signed_tx = match &self.next.ceremony {
            Some(Ceremony { stage: Stage::Proposed, draft, .. }) => Some(draft.tx.clone()),
            _ => None,
        };
        let answer = Answer::OffchainState {
            trees: trees.encode(),
            calls: self.with_all_calls(trees).encode_calls(),
            signed_tx: self.next.agreed_tx().cloned(),
            half_signed_tx,
        };
        self.answer(ticket, answer);
        Ok(())
    }

    pub(crate) fn known_trees(&self) -> Result<&Trees, Refusal> {
        self.next.trees().ok_or_else(|| Refusal::client(Reason::NotReady("there is no state yet")))
    }
}

/// Requests that only look at the state.
fn is_query(request: &Request) -> bool {
    matches!(
        request,
        Request::Balances(_) | Request::OffchainState | Request::Proof { .. } | Request::ContractState(_)
    )
}

/// Requests that propose a round to the peer.
fn is_proposal(request: &Request) -> bool {
    matches!(request, Request::Transfer { .. } | Request::Contract { .. } | Request::Funds { .. })
}
