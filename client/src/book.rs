//! What one party knows of its channel, and the checks before it signs.
//!
//! The service holds no keys, so a service that is wrong, or bought, can only harm a client that signs unread. A client
//! must check that what it signs is of its channel, is the next round, changes exactly what was agreed, and that the state
//! hash is that of the balances it believes in. [`Book`] is that check; clients in other languages need the same.

use std::fmt::{self, Display};

use strait_encoding::{AccountId, ChannelId, Coins, ContractId, Nonce, Round, StateHash};
use strait_ledger::{
    CallError, CloseMutualTx, CreateTx, DEFAULT_MINER_GAS_PRICE, ForceProgressTx, OffchainEnv, Payload,
    Protocol, SignatureCheck, SignedTx, StateProof, Trees, Tx, TxKind, Update, UpdateError, fee_gas,
    initial_trees, split_mutual_close,
};
use thiserror::Error;

use crate::runner::Runner;
use crate::{Ask, Called, NoConsent, OpenParams, Role};

/// A peer that closes chooses the fee that both pay: at most this many times what a node would choose.
const FEE_FACTOR: u128 = 10;

/// What is wrong with something to sign, or with a state that is said to be agreed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Objection {
    /// A field has another value than it must have.
    #[error("{field} is {found}, expected {expected}")]
    Field {
        /// Which field.
        field: &'static str,
        /// What is there.
        found: String,
        /// What must be there.
        expected: String,
    },
    /// Another transaction than this step signs.
    #[error("a {found} came with the request {ask:?}")]
    Kind {
        /// The step.
        ask: Ask,
        /// The transaction that came.
        found: &'static str,
    },
    /// A step that follows no request of this party.
    #[error("nobody here asked for {0:?}")]
    Unasked(Ask),
    /// The changes are others than this party asked for.
    #[error("the updates to sign are not those that were asked for")]
    OtherUpdates,
    /// The changes are none that the peer may propose in this step.
    #[error("the updates are none that a peer may propose with {0:?}")]
    ForeignUpdates(Ask),
    /// The changes are impossible with these balances.
    #[error(transparent)]
    Update(#[from] UpdateError),
    /// A contract cannot be made, or called, in this state.
    #[error(transparent)]
    Call(CallError),
    /// An update of the peer's that runs a contract, where this party has not agreed to it beforehand.
    #[error("not agreed to: {0}")]
    NoConsent(#[from] NoConsent),
    /// The trees that go with a forced call are none.
    #[error("the trees of the forced call cannot be read: {0}")]
    Trees(String),
    /// The fee that both would pay is out of proportion.
    #[error("the fee of {fee} is more than {limit}")]
    Fee {
        /// The fee.
        fee: Coins,
        /// The most that is accepted.
        limit: Coins,
    },
    /// The balances do not cover the fee.
    #[error("the channel cannot pay the fee of {0}")]
    FeeTooHigh(Coins),
    /// The signatures are not those of both.
    #[error("the state is not signed by both: {0}")]
    Signatures(#[from] SignatureCheck),
    /// A state that this party never signed, or not as the next.
    #[error("round {found} is said to be agreed, but this party is at round {known} and did not sign it")]
    UnknownState {
        /// The round that is reported.
        found: Round,
        /// The round that this party is at.
        known: Round,
    },
}

/// A request of this party that waits to be signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Proposal {
    /// Changes of a round.
    Round(Vec<Update>),
    /// The mutual close.
    Shutdown,
    /// A transaction of this party alone.
    Solo(TxKind),
    /// A call that is forced.
    Force(Update),
}

/// What signing would lead to.
#[derive(Clone)]
pub(crate) struct Review {
    pub(crate) trees: Trees,
    pub(crate) round: Round,
    pub(crate) costs: Coins,
}

/// What one party knows of its channel.
#[derive(Clone)]
pub struct Book {
    me: AccountId,
    initiator: AccountId,
    responder: AccountId,
    channel: ChannelId,
    reserve: Coins,
    protocol: Protocol,
    runner: Runner,
    round: Round,
    trees: Trees,
}

impl fmt::Debug for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Book({} at round {})", self.channel, self.round)
    }
}

impl Book {
    /// Checks the transaction that opens a channel against what this party asked for.
    ///
    /// # Errors
    /// It is not what this party asked for.
    pub(crate) fn open(
        tx: &CreateTx,
        params: &OpenParams,
        me: AccountId,
        (protocol, runner): (Protocol, Runner),
    ) -> Result<Self, Objection> {
        let terms = &params.terms;
        same("initiator_id", tx.initiator_id, params.initiator.unwrap_or(tx.initiator_id))?;
        same("responder_id", tx.responder_id, params.responder)?;
        let mine = if params.role == Role::Initiator { tx.initiator_id } else { tx.responder_id };
        same("the account of this side", mine, me)?;
        same("initiator_amount", tx.initiator_amount, terms.initiator_amount)?;
        same("responder_amount", tx.responder_amount, terms.responder_amount)?;
        same("channel_reserve", tx.channel_reserve, terms.channel_reserve)?;
        same("lock_period", tx.lock_period, terms.lock_period)?;
        if params.role == Role::Initiator {
            same("fee", tx.fee, params.fee.unwrap_or(tx.fee))?;
            same::<Nonce>("nonce", tx.nonce, params.nonce.unwrap_or(tx.nonce))?;
        }
        let pushed = |from: Coins| from.saturating_sub(terms.push_amount);
        let received =
            terms.responder_amount.checked_add(terms.push_amount).unwrap_or(terms.responder_amount);
        let trees = initial_trees(tx.initiator_id, tx.responder_id, pushed(terms.initiator_amount), received);
        same("state_hash", tx.state_hash, trees.state_hash())?;
        Ok(Self {
            me,
            initiator: tx.initiator_id,
            responder: tx.responder_id,
            channel: tx.channel_id(),
            reserve: tx.channel_reserve,
            protocol,
            runner,
            round: Round(1),
            trees,
        })
    }

    /// The book of a party that comes back, from the latest state that both signed.
    ///
    /// # Errors
    /// The trees are not those that were agreed on, or it is no state of this channel.
    pub(crate) fn restore(
        channel: ChannelId,
        latest: &Tx,
        trees: Trees,
        params: &OpenParams,
        initiator: AccountId,
        (protocol, runner): (Protocol, Runner),
    ) -> Result<Self, Objection> {
        same("channel_id", latest.channel_id().unwrap_or(ChannelId::ZERO), channel)?;
        let (round, state_hash) = latest.agreed_state().unwrap_or((Round(0), StateHash::ZERO));
        same("state_hash", trees.state_hash(), state_hash)?;
        let me = if params.role == Role::Initiator { initiator } else { params.responder };
        let (responder, reserve) = (params.responder, params.terms.channel_reserve);
        Ok(Self { me, initiator, responder, channel, reserve, protocol, runner, round, trees })
    }

    /// The channel.
    pub fn channel(&self) -> ChannelId {
        self.channel
    }

    /// The round of the latest agreed state.
    pub fn round(&self) -> Round {
        self.round
    }

    /// The agreed balance of an account inside the channel.
    pub fn balance(&self, account: AccountId) -> Coins {
        self.trees.account(account).map_or(Coins::ZERO, |account| account.balance)
    }

    /// What a contract owns inside the channel. Coins that are still there when the channel closes are lost.
    pub fn contract_balance(&self, contract: ContractId) -> Coins {
        self.balance(AccountId(contract.0))
    }

    /// What the call of a contract came to that made the latest round; none where that round made no such call.
    pub fn called(&self, contract: ContractId, caller: AccountId) -> Option<Called> {
        Called::of(&self.trees.call_in_round(contract, caller, self.round)?)
    }

    /// The hash of the latest agreed state.
    pub fn state_hash(&self) -> StateHash {
        self.trees.state_hash()
    }

    /// The latest agreed state.
    pub(crate) fn trees(&self) -> &Trees {
        &self.trees
    }

    /// Both parties, the initiator first.
    pub(crate) fn parties(&self) -> [AccountId; 2] {
        [self.initiator, self.responder]
    }

    /// Checks a transaction that the service asks to have signed. `proposal` is what this party asked for last.
    ///
    /// # Errors
    /// It must not be signed.
    pub(crate) fn review(
        &self,
        ask: Ask,
        tx: &Tx,
        updates: &[Update],
        proposal: Option<&Proposal>,
    ) -> Result<Review, Objection> {
        same("channel_id", tx.channel_id().unwrap_or(ChannelId::ZERO), self.channel)?;
        match (ask, tx) {
            (Ask::Shutdown | Ask::ShutdownAck, Tx::ChannelCloseMutual(close)) => {
                self.review_close(ask, close, tx, proposal)
            }
            (Ask::Update | Ask::UpdateAck, Tx::ChannelOffchain(_)) => {
                self.review_round(ask, tx, updates, proposal)
            }
            (Ask::Deposit | Ask::DepositAck, Tx::ChannelDeposit(deposit)) => {
                let [Update::Deposit { from, amount }, ..] = updates else {
                    return Err(Objection::ForeignUpdates(ask));
                };
                same("from_id", deposit.from_id, *from)?;
                same("amount", deposit.amount, *amount)?;
                self.review_round(ask, tx, updates, proposal)
            }
            (Ask::Withdraw | Ask::WithdrawAck, Tx::ChannelWithdraw(withdraw)) => {
                let [Update::Withdraw { to, amount }, ..] = updates else {
                    return Err(Objection::ForeignUpdates(ask));
                };
                same("to_id", withdraw.to_id, *to)?;
                same("amount", withdraw.amount, *amount)?;
                self.review_round(ask, tx, updates, proposal)
            }
            (Ask::Solo, Tx::ChannelForceProgress(tx)) => {
                let Some(Proposal::Force(asked)) = proposal else { return Err(Objection::Unasked(ask)) };
                same("from_id", tx.from_id, self.me)?;
                check_forced(asked, &tx.update)?;
                self.check_fee(&Tx::from(tx.clone()))?;
                self.review_forced(tx)
            }
            (Ask::Solo, tx) => self.review_solo(tx, proposal),
            (Ask::Create | Ask::CreateAck, _) => Err(Objection::Unasked(ask)),
            _ => Err(Objection::Kind { ask, found: tx.kind().event_name() }),
        }
    }

    /// The state that it is at, as something to go on to.
    pub(crate) fn as_review(&self) -> Review {
        Review { trees: self.trees.clone(), round: self.round, costs: Coins::ZERO }
    }

    /// Goes on to a state that both signed.
    pub(crate) fn adopt(&mut self, review: Review) {
        self.round = review.round;
        self.trees = review.trees;
    }

    fn review_round(
        &self,
        ask: Ask,
        tx: &Tx,
        updates: &[Update],
        proposal: Option<&Proposal>,
    ) -> Result<Review, Objection> {
        if ask.is_own() {
            let Some(Proposal::Round(asked)) = proposal else { return Err(Objection::Unasked(ask)) };
            if asked != updates {
                return Err(Objection::OtherUpdates);
            }
        } else if !self.may_propose(ask, updates) {
            return Err(Objection::ForeignUpdates(ask));
        }
        let (round, state_hash) = tx.agreed_state().unwrap_or((Round(0), StateHash::ZERO));
        same("round", round, self.round.next())?;
        let trees = self.apply(updates, state_hash)?;
        let after = trees.account(self.me).map_or(Coins::ZERO, |account| account.balance);
        Ok(Review { costs: self.balance(self.me).saturating_sub(after), round, trees })
    }

    /// The trees that the next round leads to with these updates; they have this hash.
    fn apply(&self, updates: &[Update], state_hash: StateHash) -> Result<Trees, Objection> {
        let env = OffchainEnv { reserve: self.reserve, round: self.round.next(), protocol: self.protocol };
        let is_right = |trees: &Trees| trees.state_hash() == state_hash;
        let trees = self.runner.apply(&self.trees, updates, &env, is_right).map_err(|error| match error {
            CallError::Update(error) => Objection::Update(error),
            error => Objection::Call(error),
        })?;
        same("state_hash", state_hash, trees.state_hash())?;
        Ok(trees)
    }

    /// Checks a forced call against the latest state, whoever forces it: that it is made on that state, and what it leads to.
    ///
    /// # Errors
    /// It is not the next round of this channel.
    pub(crate) fn review_forced(&self, tx: &ForceProgressTx) -> Result<Review, Objection> {
        same("channel_id", tx.channel_id, self.channel)?;
        let Update::CallContract { caller, .. } = &tx.update else {
            return Err(Objection::ForeignUpdates(Ask::Solo));
        };
        same("caller_id", *caller, tx.from_id)?;
        same("round", tx.round, self.round.next())?;
        self.check_payload(&tx.payload)?;
        let shown =
            Trees::decode(&tx.offchain_trees.0).map_err(|error| Objection::Trees(error.to_string()))?;
        same("the hash of offchain_trees", shown.state_hash(), self.state_hash())?;
        let trees = self.apply(std::slice::from_ref(&tx.update), tx.state_hash)?;
        Ok(Review { trees, round: tx.round, costs: Coins::ZERO })
    }

    /// A state that is shown to the chain is the latest; none is shown where the chain knows it.
    fn check_payload(&self, payload: &Payload) -> Result<(), Objection> {
        if payload.0.is_empty() {
            return Ok(());
        }
        let shown = SignedTx::decode(&payload.0).ok().and_then(|shown| shown.tx().agreed_state());
        let (round, state_hash) = shown.unwrap_or((Round(0), StateHash::ZERO));
        same("round", round, self.round)?;
        same("state_hash", state_hash, self.state_hash())
    }

    /// One change of the step's kind, then only text; coins move between the parties alone, and only the peer deposits
    /// or withdraws in the peer's name.
    fn may_propose(&self, ask: Ask, updates: &[Update]) -> bool {
        let Some((first, rest)) = updates.split_first() else { return false };
        let peer = if self.me == self.initiator { self.responder } else { self.initiator };
        let of_kind = match (ask, first) {
            (Ask::UpdateAck, Update::Transfer { from, to, .. }) => {
                from != to && [from, to].into_iter().all(|id| [self.me, peer].contains(id))
            }
            (Ask::UpdateAck, Update::NewContract { owner, .. }) => *owner == peer,
            (Ask::UpdateAck, Update::CallContract { caller, .. }) => *caller == peer,
            (Ask::DepositAck, Update::Deposit { from, .. }) => *from == peer,
            (Ask::WithdrawAck, Update::Withdraw { to, .. }) => *to == peer,
            _ => false,
        };
        of_kind && rest.iter().all(|update| matches!(update, Update::Meta { .. }))
    }

    fn check_fee(&self, tx: &Tx) -> Result<(), Objection> {
        let gas = u128::from(fee_gas(tx, self.protocol));
        let price = match tx {
            Tx::ChannelForceProgress(tx) => gas_price(&tx.update).max(DEFAULT_MINER_GAS_PRICE.0),
            _ => DEFAULT_MINER_GAS_PRICE.0,
        };
        let limit = Coins(price.saturating_mul(gas).saturating_mul(FEE_FACTOR));
        if tx.fee() > limit { Err(Objection::Fee { fee: tx.fee(), limit }) } else { Ok(()) }
    }

    /// A transaction of this party alone: the one that it asked for, and showing the latest state that both signed.
    fn review_solo(&self, tx: &Tx, proposal: Option<&Proposal>) -> Result<Review, Objection> {
        let kind = tx.kind();
        if proposal != Some(&Proposal::Solo(kind)) {
            return Err(Objection::Unasked(Ask::Solo));
        }
        same("from_id", tx.origin().unwrap_or(AccountId::ZERO), self.me)?;
        self.check_fee(tx)?;
        let (payload, poi) = match tx {
            Tx::ChannelCloseSolo(tx) => (Some(&tx.payload), Some(&tx.poi)),
            Tx::ChannelSlash(tx) => (Some(&tx.payload), Some(&tx.poi)),
            Tx::ChannelSnapshotSolo(tx) => (Some(&tx.payload), None),
            _ => (None, None),
        };
        if let Some(payload) = payload {
            self.check_payload(payload)?;
        }
        if let Some(poi) = poi {
            let proven = StateProof::decode(&poi.0).map_or(StateHash::ZERO, |proof| proof.state_hash());
            same("poi", proven, self.state_hash())?;
        }
        Ok(self.as_review())
    }

    fn review_close(
        &self,
        ask: Ask,
        close: &CloseMutualTx,
        tx: &Tx,
        proposal: Option<&Proposal>,
    ) -> Result<Review, Objection> {
        if ask.is_own() && proposal != Some(&Proposal::Shutdown) {
            return Err(Objection::Unasked(ask));
        }
        self.check_fee(tx)?;
        let (initiator, responder) = (self.balance(self.initiator), self.balance(self.responder));
        let (to_initiator, to_responder) =
            split_mutual_close(initiator, responder, close.fee).ok_or(Objection::FeeTooHigh(close.fee))?;
        same("initiator_amount_final", close.initiator_amount_final, to_initiator)?;
        same("responder_amount_final", close.responder_amount_final, to_responder)?;
        Ok(self.as_review())
    }
}

/// The call is the one that was asked for, at no higher price of gas than asked for or than a node chooses.
fn check_forced(asked: &Update, found: &Update) -> Result<(), Objection> {
    let (price, limit) = (gas_price(found), gas_price(asked).max(DEFAULT_MINER_GAS_PRICE.0));
    let mut at_the_price = asked.clone();
    if let Update::CallContract { gas_price, .. } = &mut at_the_price {
        *gas_price = price;
    }
    if price > limit {
        let (found, expected) = (price.to_string(), format!("at most {limit}"));
        return Err(Objection::Field { field: "gas_price", found, expected });
    }
    if at_the_price == *found { Ok(()) } else { Err(Objection::OtherUpdates) }
}

fn gas_price(update: &Update) -> u128 {
    if let Update::CallContract { gas_price, .. } = update { *gas_price } else { 0 }
}

fn same<T: PartialEq + Display>(field: &'static str, found: T, expected: T) -> Result<(), Objection> {
    if found == expected {
        Ok(())
    } else {
        Err(Objection::Field { field, found: found.to_string(), expected: expected.to_string() })
    }
}

#[cfg(test)]
mod tests;
