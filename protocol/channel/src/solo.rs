//! Flows of one: transactions that a party signs and posts alone (`docs/protocol/fsm` §4.4).
//!
//! They do not stand in the way of what both sign: who is cheated or abandoned must be able to post at any time.

use std::sync::Arc;

use strait_encoding::{AccountId, Coins, Height, Round};
use strait_ledger::{
    ChannelObject, CloseSoloTx, Payload, ProofBytes, SettleTx, SignedTx, SlashTx, SnapshotSoloTx, StateProof,
    Tx, TxLocation,
};

use crate::channel::{Agreed, Ceremony, Draft, Posted, Stage};
use crate::draft::own_pin;
use crate::effect::Effect;
use crate::flow::{Flow, Place, Side};
use crate::input::{Answer, Ticket};
use crate::notice::{ConflictCode, Event, Notice};
use crate::refusal::{Reason, Refusal};
use crate::step::Move;
use crate::terms::TxOptions;

/// How many own transactions may be on their way at once.
const MAX_POSTED: usize = 16;

impl Move<'_> {
    /// The client wants to act alone.
    pub(crate) fn start_solo(
        &mut self,
        ticket: Ticket,
        flow: Flow,
        draft: impl FnOnce(&Self) -> Result<Draft, Refusal>,
    ) -> Result<(), Refusal> {
        let place = self.next.place();
        if !flow.row().starts_in.contains(&place) {
            return Err(Refusal::client(match place {
                Place::Opening => Reason::NotReady("the create transaction is not confirmed yet"),
                Place::Open => Reason::NotAllowedNow("nobody closes the channel alone"),
                Place::Closing | Place::Closed => Reason::Closing,
            }));
        }
        let waiting = self.next.talk.solo.as_ref().map(|solo| solo.flow);
        // A settlement can be asked for again; what answers an old state cannot wait for a client that does not sign it.
        let gives_way = waiting == Some(Flow::Settle) && flow == Flow::Slash;
        if waiting.is_some() && !gives_way {
            let why = "another transaction of this client waits for its signature";
            return Err(Refusal::client(Reason::NotAllowedNow(why)));
        }
        if self.next.posted.len() >= MAX_POSTED {
            return Err(Refusal::client(Reason::Busy(MAX_POSTED)));
        }
        self.next.talk.solo = None;
        let draft = Arc::new(draft(self)?);
        self.answer(ticket, Answer::Ok);
        let (side, stage, since) = (Side::Proposer, Stage::Signing, self.now);
        self.next.talk.solo = Some(Ceremony { flow, side, stage, draft: draft.clone(), since });
        self.tell(Notice::Sign { flow, side, tx: draft.tx.clone(), updates: draft.updates.clone() });
        Ok(())
    }

    /// A transaction that shows a state to the chain, or settles.
    pub(crate) fn solo_draft(&self, flow: Flow, options: &TxOptions) -> Result<Draft, Refusal> {
        let me = self.own_account()?;
        let no_state = Refusal::client(Reason::NotReady("there is no agreed state yet"));
        let agreed = self.disputable().ok_or(no_state)?;
        let object = self.object()?;
        let tx = self.price(self.solo_tx(flow, me, &agreed, &object, options)?, options)?;
        Ok(Draft {
            tx: SignedTx::unsigned(tx),
            evidence: None,
            updates: Vec::new(),
            trees: agreed.trees.clone(),
            pin: own_pin(&self.next.terms.pin, self.chain),
        })
    }

    /// The channel as it is on chain.
    pub(crate) fn object(&self) -> Result<ChannelObject, Refusal> {
        let not_there = Refusal::client(Reason::NotAllowedNow("the channel is not on chain"));
        self.chain.channel(self.id()?).ok_or(not_there)
    }

    /// The latest state that the chain would take: the agreed one, unless a deposit or withdrawal is in a block that was not
    /// locked by both, or was taken for refused. The chain knows its state then, and nothing older or for other coins counts.
    pub(crate) fn disputable(&self) -> Option<Arc<Agreed>> {
        let latest = self.next.latest()?;
        let Some(object) = self.next.id.and_then(|id| self.chain.channel(id)) else {
            return Some(latest.clone());
        };
        // A call can have been forced on another transaction of the agreed round, which is not the latest then, but stands on chain.
        let forced = self.next.forced.last().map(|forced| &forced.state);
        let mut states = [Some(latest), self.next.agreed.as_ref(), forced].into_iter().flatten();
        if let Some(state) = states.find(|state| is_known(state, &object) || replaces(state, &object)) {
            return Some(state.clone());
        }
        let is_there = |draft: &&Arc<Draft>| draft.trees.state_hash() == object.state_hash;
        match self.next.exposed.iter().find(is_there) {
            Some(draft) => Some(Arc::new(Agreed { tx: draft.tx.clone(), trees: draft.trees.clone() })),
            None => Some(latest.clone()),
        }
    }

    fn solo_tx(
        &self,
        flow: Flow,
        from_id: AccountId,
        agreed: &Agreed,
        object: &ChannelObject,
        options: &TxOptions,
    ) -> Result<Tx, Refusal> {
        let channel_id = self.id()?;
        let (ttl, fee) = (self.next.terms.ttl, Coins::ZERO);
        let nonce = options.nonce.unwrap_or_else(|| self.next_nonce(from_id));
        Ok(match flow {
            Flow::CloseSolo => {
                let payload =
                    if is_known(agreed, object) { Payload(Vec::new()) } else { offchain_payload(agreed)? };
                let poi = self.balances_proof(agreed)?;
                CloseSoloTx { channel_id, from_id, payload, poi, ttl, fee, nonce }.into()
            }
            Flow::Slash => {
                let (payload, poi) = (offchain_payload(agreed)?, self.balances_proof(agreed)?);
                SlashTx { channel_id, from_id, payload, poi, ttl, fee, nonce }.into()
            }
            Flow::SnapshotSolo => {
                let payload = offchain_payload(agreed)?;
                if agreed.round() <= settled_round(object) {
                    return Err(Refusal::client(Reason::AlreadyOnChain { round: agreed.round().0 }));
                }
                SnapshotSoloTx { channel_id, from_id, payload, ttl, fee, nonce }.into()
            }
            // What the close on chain says is what the chain pays (docs/protocol/channel_txs §4.8).
            Flow::Settle => SettleTx {
                channel_id,
                from_id,
                initiator_amount_final: object.initiator_amount,
                responder_amount_final: object.responder_amount,
                ttl,
                fee,
                nonce,
            }
            .into(),
            _ => return Err(Refusal::client(Reason::Unsupported(flow.row().name))),
        })
    }

    /// Proves both balances of a state.
    fn balances_proof(&self, agreed: &Agreed) -> Result<ProofBytes, Refusal> {
        let mut proof = StateProof::new(&agreed.trees);
        for account in [self.next.me(), self.next.peer()].into_iter().flatten() {
            proof
                .add_account(&agreed.trees, account)
                .map_err(|_| Refusal::client(Reason::NotInState(account.to_string())))?;
        }
        Ok(ProofBytes(proof.encode()))
    }

    /// Hands a transaction of one to the chain, or keeps it until the lock period is over.
    pub(crate) fn post(&mut self, flow: Flow, draft: Draft) {
        self.next.talk.solo = None;
        let latest = self.disputable().map(|latest| latest.trees.state_hash());
        let outdated = match flow {
            Flow::CloseSolo => latest != Some(draft.trees.state_hash()),
            Flow::ForceProgress => !self.forces_latest(&draft.tx),
            _ => false,
        };
        if outdated {
            // A later round was agreed meanwhile: this one would invite the other party to slash.
            return self.conflict(ConflictCode::CONFLICT);
        }
        let tx = Arc::new(draft.tx);
        let held = flow == Flow::Settle && self.is_locked();
        self.next.posted.push(Posted { flow, tx: tx.clone(), held });
        if !held {
            self.effects.push(Effect::Submit((*tx).clone()));
        }
    }

    /// Whether the lock period of a solo close still runs; one block longer than the chain's own rule, as in the reference
    /// (`docs/protocol/channel_txs` §4.8).
    fn is_locked(&self) -> bool {
        let object = self.next.id.and_then(|id| self.chain.channel(id));
        object.is_none_or(|object| object.locked_until >= self.chain.top_height())
    }

    /// Hands in what waited for the end of the lock period.
    pub(crate) fn post_unlocked(&mut self) {
        if self.next.place() != Place::Closing || self.is_locked() {
            return;
        }
        for posted in self.next.posted.iter_mut().filter(|posted| posted.held) {
            posted.held = false;
            self.effects.push(Effect::Submit((*posted.tx).clone()));
        }
    }

    /// The chain took a transaction of one, or refused it.
    pub(crate) fn hear_posted(
        &mut self,
        tx: &SignedTx,
        result: Result<(), &'static str>,
    ) -> Result<(), Refusal> {
        let Some(place) = self.next.posted.iter().position(|posted| posted.tx.same_tx(tx)) else {
            return Err(Refusal::straggler("the chain answers about a transaction of the past"));
        };
        match result {
            Ok(()) | Err("already_known" | "already_accepted") if !self.is_impossible(tx) => {}
            _ => {
                self.next.posted.remove(place);
                self.conflict(ConflictCode::ON_CHAIN);
            }
        }
        Ok(())
    }

    /// What this side posted and no block can hold any more is told and forgotten: another transaction has its nonce, or its time
    /// is over, or the pool dropped it.
    pub(crate) fn drop_impossible(&mut self) {
        let posted = std::mem::take(&mut self.next.posted);
        let before = posted.len();
        let left = posted.into_iter().filter(|posted| {
            let seen = self.next.height_of(&posted.tx.hash()).is_some();
            posted.held || seen || !self.is_impossible(&posted.tx)
        });
        let left: Vec<Posted> = left.collect();
        let dropped = before - left.len();
        self.next.posted = left;
        // Of a channel that is over, nobody waits for it any more.
        if self.next.place() != Place::Closed {
            for _ in 0..dropped {
                self.conflict(ConflictCode::ON_CHAIN);
            }
        }
    }

    fn is_impossible(&self, tx: &SignedTx) -> bool {
        match self.chain.locate_tx(&tx.hash()) {
            TxLocation::InBlock { .. } => false,
            TxLocation::Gone => true,
            TxLocation::Pool | TxLocation::Unknown => self.can_never_be_mined(tx),
        }
    }

    /// Counts the confirmations of what this side posted.
    pub(crate) fn confirm_posted(&mut self, top: Height) {
        let rule = self.next.depth;
        let confirmed = |seen: Height, fee| top.0.saturating_sub(seen.0) >= rule.confirmations(fee);
        let mut done = Vec::new();
        let next = &self.next;
        for posted in &next.posted {
            let hash = posted.tx.hash();
            if next.height_of(&hash).is_some_and(|seen| confirmed(seen, posted.tx.tx().fee())) {
                done.push((posted.flow, hash));
            }
        }
        for (flow, tx_hash) in done {
            self.next.posted.retain(|posted| posted.tx.hash() != tx_hash);
            if flow == Flow::SnapshotSolo {
                self.info(Event::SnapshotConfirmed { tx_hash });
            }
        }
    }
}

/// The latest state as a dispute can show it; a transaction that is on chain itself shows nothing new.
pub(crate) fn offchain_payload(agreed: &Agreed) -> Result<Payload, Refusal> {
    match agreed.tx.body() {
        Tx::ChannelOffchain(_) => Ok(Payload(agreed.tx.encode())),
        _ => Err(Refusal::client(Reason::OffchainTxExpected)),
    }
}

/// Whether the chain knows a state as that of the channel.
pub(crate) fn is_known(state: &Agreed, object: &ChannelObject) -> bool {
    object.round == state.round() && object.state_hash == state.trees.state_hash()
}

/// Whether the chain would take a state that both signed in the place of the one that it knows: it is later than what is settled
/// there, and of coins that the channel holds.
pub(crate) fn replaces(state: &Agreed, object: &ChannelObject) -> bool {
    if state.round() <= settled_round(object) || is_forced(&state.tx) || is_known(state, object) {
        return false;
    }
    let balance = |account| state.trees.account(account).map_or(0, |account| account.balance.0);
    let [initiator, responder] = object.peers().map(balance);
    initiator.checked_add(responder).is_some_and(|sum| sum <= object.channel_amount.0)
}

/// The round that a state of both has to exceed: forced rounds do not count (`docs/protocol/channel_txs` §1.1).
pub(crate) fn settled_round(object: &ChannelObject) -> Round {
    object.solo_round.0.checked_sub(1).map_or(object.round, Round)
}

pub(crate) fn is_forced(tx: &SignedTx) -> bool {
    matches!(tx.body(), Tx::ChannelForceProgress(_))
}
