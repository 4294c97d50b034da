//! Opening: the offer, its acceptance, and the checks of the create transaction (`docs/protocol/fsm` §3).

use std::sync::Arc;

use strait_encoding::{AccountId, Coins, Height};
use strait_ledger::{
    ChainView, CreateTx, Delegates, Protocol, SignedTx, Trees, Tx, choose_fee, initial_trees,
};

use crate::channel::{Channel, Draft, Exchange, Stand, Talk};
use crate::draft;
use crate::effect::Effect;
use crate::flow::{Flow, Side};
use crate::message::{DepthStrategy, Message};
use crate::notice::{Event, Notice};
use crate::refusal::{Fault, Reaction, Reason, Refusal};
use crate::step::{Move, Step};
use crate::terms::{DepthRule, Role, Terms};
use crate::time::Time;

/// What the messages say about the minimum depth: `txfee`, by its degree.
const STRATEGY_TXFEE: u8 = 1;

impl Channel {
    /// Starts a channel: checks what the client asks for and looks for the peer. `temporary_id` is 32 random bytes.
    ///
    /// # Errors
    /// An amount is too low or a party has no account: the client's fault.
    pub fn open(
        terms: Terms,
        temporary_id: [u8; 32],
        now: Time,
        chain: &dyn ChainView,
    ) -> Result<Step, Refusal> {
        check_amounts(&terms)?;
        if let Some(initiator) = terms.initiator {
            check_account("initiator_id", initiator, chain)?;
        }
        check_account("responder_id", terms.responder, chain)?;
        if terms.initiator == Some(terms.responder) {
            let (initiator, responder) = (terms.responder, terms.responder);
            return Err(Refusal::client(Reason::InvalidPubkeys { initiator, responder }));
        }
        let depth = terms.depth.unwrap_or(DepthRule::DEFAULT);
        let talk = Talk { alive: true, client: true, heard: now, since: now, ..Talk::default() };
        let channel = Channel {
            step: 0,
            terms: Arc::new(terms),
            temporary_id,
            id: None,
            depth,
            stand: Stand::Opening,
            agreed: None,
            forced: Vec::new(),
            generalized: Vec::new(),
            exposed: Vec::new(),
            offers: Vec::new(),
            ceremony: None,
            posted: Vec::new(),
            seen: Vec::new(),
            warned: None,
            assumed: Vec::new(),
            unheard: Vec::new(),
            talk,
        };
        let mut step = Move::new(&channel, now, chain);
        step.prepare_initial_state()?;
        step.info(Event::FsmUp);
        step.enter(Exchange::Meeting);
        step.effects.push(Effect::Connect);
        Ok(step.finish(&channel))
    }
}

fn check_account(parameter: &'static str, account: AccountId, chain: &dyn ChainView) -> Result<(), Refusal> {
    match chain.account(account) {
        None => Err(Refusal::client(Reason::ParticipantNotFound { parameter, account })),
        Some(_) => Ok(()),
    }
}

/// The two opening balances, each at least the reserve (`docs/protocol/channel_txs` §5, open checks).
fn check_amounts(terms: &Terms) -> Result<(Coins, Coins), Refusal> {
    let reserve = terms.channel_reserve;
    let initiator = terms.initiator_amount.checked_sub(terms.push_amount);
    let responder = terms.responder_amount.checked_add(terms.push_amount);
    let total = terms.initiator_amount.checked_add(terms.responder_amount);
    let low = |parameter, balance: &str| {
        let rule = format!("{balance} must be at least the channel_reserve of {reserve}");
        Err(Refusal::client(Reason::ValueTooLow { parameter, rule }))
    };
    match (initiator, responder, total) {
        (Some(initiator), _, _) if initiator < reserve => {
            low("initiator_amount", "initiator_amount - push_amount")
        }
        (None, _, _) => low("initiator_amount", "initiator_amount - push_amount"),
        (_, Some(responder), _) if responder < reserve => {
            low("responder_amount", "responder_amount + push_amount")
        }
        (Some(initiator), Some(responder), Some(_)) => Ok((initiator, responder)),
        (Some(_), _, _) => Err(Refusal::client(Reason::ValueTooLow {
            parameter: "responder_amount",
            rule: "the amounts together must fit into 128 bits".to_owned(),
        })),
    }
}

impl Move<'_> {
    /// Computes the trees of round 1 as soon as both parties are known.
    fn prepare_initial_state(&mut self) -> Result<(), Refusal> {
        let (initiator, responder) = check_amounts(&self.next.terms)?;
        if let Some(account) = self.next.terms.initiator {
            let trees = initial_trees(account, self.next.terms.responder, initiator, responder);
            self.next.talk.initial = Some(Arc::new(trees));
        }
        Ok(())
    }

    /// The initiator has a session with the peer.
    pub(crate) fn offer(&mut self) {
        let terms = self.next.terms.clone();
        let Some(initiator) = terms.initiator else { return };
        self.send(Message::ChannelOpen {
            chain_hash: self.chain.genesis(),
            temporary_id: self.next.temporary_id,
            lock_period: terms.lock_period as u16,
            push_amount: terms.push_amount.0 as u64,
            initiator_amount: terms.initiator_amount.0 as u64,
            responder_amount: terms.responder_amount.0 as u64,
            channel_reserve: terms.channel_reserve.0 as u64,
            initiator,
            responder: terms.responder,
        });
        self.enter(Exchange::Offered);
    }

    /// The responder hears `channel_open`.
    pub(crate) fn hear_offer(&mut self, message: &Message) -> Result<(), Refusal> {
        let Message::ChannelOpen { chain_hash, temporary_id, initiator, responder, .. } = message else {
            return Err(Refusal::protocol("not a channel_open"));
        };
        if self.next.talk.exchange != Exchange::Meeting || self.next.role() != Role::Responder {
            return Err(Refusal::protocol("channel_open out of turn"));
        }
        if *responder != self.next.terms.responder
            || self.next.terms.initiator.is_some_and(|expected| expected != *initiator)
        {
            return Err(Refusal::protocol("channel_open is for other parties"));
        }
        self.next.talk.peer = true;
        self.next.temporary_id = *temporary_id;
        if *chain_hash != self.chain.genesis() {
            return self
                .break_off("chain_hash_mismatch", Reason::Protocol("its chain has another genesis block"));
        }
        self.meet_initiator(*initiator)?;
        if let Err(differ) = compare_offer(&self.next.terms, message) {
            return self.break_off("terms_differ", differ);
        }
        self.info(Event::ChannelOpen);
        let message = self.acceptance(*initiator);
        self.send(message);
        self.enter(Exchange::Accepted);
        Ok(())
    }

    /// Fixes the initiator that a responder left open.
    fn meet_initiator(&mut self, initiator: AccountId) -> Result<(), Refusal> {
        if self.next.terms.initiator.is_some() {
            return Ok(());
        }
        if self.chain.account(initiator).is_none() || initiator == self.next.terms.responder {
            return Err(Refusal::protocol(
                "the initiator of channel_open has no account of its own on chain",
            ));
        }
        let terms = Terms { initiator: Some(initiator), ..(*self.next.terms).clone() };
        self.next.terms = Arc::new(terms);
        self.prepare_initial_state()
    }

    fn acceptance(&self, initiator: AccountId) -> Message {
        let terms = &self.next.terms;
        let (minimum_depth, strategy) = match self.next.depth {
            DepthRule::TxFee(degree) => (degree, STRATEGY_TXFEE),
            DepthRule::Plain(depth) => (u32::try_from(depth).unwrap_or(u32::MAX), 0),
        };
        Message::ChannelAccept {
            chain_hash: self.chain.genesis(),
            temporary_id: self.next.temporary_id,
            minimum_depth,
            strategy: DepthStrategy(strategy),
            initiator_amount: terms.initiator_amount.0 as u64,
            responder_amount: terms.responder_amount.0 as u64,
            channel_reserve: terms.channel_reserve.0 as u64,
            initiator,
            responder: terms.responder,
        }
    }

    /// The initiator hears `channel_accept` and asks its client to sign the create transaction.
    pub(crate) fn hear_acceptance(&mut self, message: &Message) -> Result<(), Refusal> {
        let Message::ChannelAccept { chain_hash, temporary_id, minimum_depth, strategy, .. } = message else {
            return Err(Refusal::protocol("not a channel_accept"));
        };
        if self.next.talk.exchange != Exchange::Offered || *temporary_id != self.next.temporary_id {
            return Err(Refusal::protocol("channel_accept out of turn"));
        }
        if *chain_hash != self.chain.genesis() {
            return self
                .break_off("chain_hash_mismatch", Reason::Protocol("its chain has another genesis block"));
        }
        if self.next.terms.depth.is_none() && strategy.0 == STRATEGY_TXFEE {
            self.next.depth = DepthRule::TxFee(*minimum_depth);
        }
        self.info(Event::ChannelAccept);
        self.enter(Exchange::None);
        match self.create_draft() {
            Ok(draft) => self.ask(Flow::Create, Side::Proposer, draft),
            Err(refusal) => self.give_up(refusal.reason),
        }
        Ok(())
    }

    fn create_draft(&self) -> Result<Draft, Refusal> {
        let terms = &self.next.terms;
        let trees = self.next.talk.initial.as_deref().cloned().unwrap_or_default();
        let initiator_id = terms.initiator.ok_or(Refusal::protocol("the initiator is unknown"))?;
        let protocol = self.chain.protocol();
        let tx = Tx::from(CreateTx {
            initiator_id,
            initiator_amount: terms.initiator_amount,
            responder_id: terms.responder,
            responder_amount: terms.responder_amount,
            channel_reserve: terms.channel_reserve,
            lock_period: terms.lock_period,
            // The reference never bounds the create transaction (docs/protocol/gaps §1.1).
            ttl: Height(0),
            fee: Coins::ZERO,
            delegate_ids: no_delegates(protocol),
            state_hash: trees.state_hash(),
            nonce: terms.create.nonce.unwrap_or_else(|| self.chain.next_nonce(initiator_id)),
        });
        let tx =
            choose_fee(tx, terms.create.fee, terms.create.gas_price, protocol).map_err(draft::fee_refusal)?;
        let pin = draft::own_pin(&terms.pin, self.chain);
        Ok(Draft { tx: SignedTx::unsigned(tx), evidence: None, updates: Vec::new(), trees, pin })
    }

    /// Checks the initiator's create transaction against everything that this side asked for.
    pub(crate) fn check_create(&self, tx: &SignedTx) -> Result<Trees, CreateProblem> {
        let Tx::ChannelCreate(create) = tx.body() else { return Err(CreateProblem::NotCreate) };
        let terms = &self.next.terms;
        let trees = self.next.talk.initial.as_deref().cloned().unwrap_or_default();
        if create.state_hash != trees.state_hash() {
            return Err(CreateProblem::StateHash);
        }
        let differ = |parameter, theirs: String, ours: String| {
            Err(CreateProblem::Terms(Reason::TermsDiffer { parameter, theirs, ours }))
        };
        let amounts = [
            ("initiator_amount", create.initiator_amount, terms.initiator_amount),
            ("responder_amount", create.responder_amount, terms.responder_amount),
            ("channel_reserve", create.channel_reserve, terms.channel_reserve),
        ];
        if let Some((name, theirs, ours)) = amounts.into_iter().find(|(_, theirs, ours)| theirs != ours) {
            return differ(name, theirs.to_string(), ours.to_string());
        }
        if create.lock_period != terms.lock_period {
            return differ("lock_period", create.lock_period.to_string(), terms.lock_period.to_string());
        }
        let parties = (Some(create.initiator_id), create.responder_id);
        if parties != (terms.initiator, terms.responder) {
            return differ("initiator_id", create.initiator_id.to_string(), "other parties".to_owned());
        }
        if create.delegate_ids != no_delegates(self.chain.protocol()) {
            return differ("delegate_ids", "delegates".to_owned(), "none".to_owned());
        }
        Ok(trees)
    }

    /// The peer cannot be talked to: tells both why and ends.
    pub(crate) fn break_off(&mut self, wire: &'static str, reason: Reason) -> Result<(), Refusal> {
        let channel_id = self.next.id.map_or(self.next.temporary_id, |id| id.0);
        self.send(Message::Error { channel_id, reason: wire.as_bytes().to_vec() });
        self.give_up(reason);
        Ok(())
    }

    /// Tells the client why, and ends.
    pub(crate) fn give_up(&mut self, reason: Reason) {
        self.tell(Notice::Error(reason));
        self.die();
    }
}

/// What is wrong with a create transaction.
pub(crate) enum CreateProblem {
    NotCreate,
    StateHash,
    Terms(Reason),
}

fn no_delegates(protocol: Protocol) -> Delegates {
    if protocol < Protocol::Iris {
        Delegates::Shared(Vec::new())
    } else {
        Delegates::Each { initiator: Vec::new(), responder: Vec::new() }
    }
}

/// Compares the offer with the own terms as far as the wire carries them: amounts modulo 2^64, the lock period modulo 2^16
/// (`docs/protocol/p2p_wire` §2). The create transaction is compared in full later.
fn compare_offer(terms: &Terms, message: &Message) -> Result<(), Reason> {
    let Message::ChannelOpen {
        lock_period,
        push_amount,
        initiator_amount,
        responder_amount,
        channel_reserve,
        ..
    } = message
    else {
        return Ok(());
    };
    let pairs = [
        ("lock_period", u64::from(*lock_period), u64::from(terms.lock_period as u16)),
        ("push_amount", *push_amount, terms.push_amount.0 as u64),
        ("initiator_amount", *initiator_amount, terms.initiator_amount.0 as u64),
        ("responder_amount", *responder_amount, terms.responder_amount.0 as u64),
        ("channel_reserve", *channel_reserve, terms.channel_reserve.0 as u64),
    ];
    match pairs.into_iter().find(|(_, theirs, ours)| theirs != ours) {
        None => Ok(()),
        Some((parameter, theirs, ours)) => {
            Err(Reason::TermsDiffer { parameter, theirs: theirs.to_string(), ours: ours.to_string() })
        }
    }
}

impl From<CreateProblem> for Refusal {
    fn from(problem: CreateProblem) -> Self {
        let reason = match problem {
            CreateProblem::NotCreate => Reason::Protocol("not a create transaction"),
            CreateProblem::StateHash => Reason::Protocol("a create transaction over another state"),
            CreateProblem::Terms(reason) => reason,
        };
        Refusal { reason, fault: Fault::Peer, reaction: Reaction::EndSession }
    }
}
