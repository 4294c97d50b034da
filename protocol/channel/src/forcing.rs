//! Calls that one party forces on chain, and the states that the chain made of them (`docs/protocol/channel_txs` §4.9).
//!
//! A forced state is signed by one party only: the chain stands for the other one. It holds as long as the chain shows it, and
//! until a round that both signed takes its place; one of the same number as the first forced one does.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use strait_encoding::{AccountId, BlockHash, Coins, ContractId, Round, StateHash};
use strait_ledger::{
    ChannelObject, CloseSoloTx, ForceProgressTx, Payload, SignedTx, SlashTx, SnapshotSoloTx, Trees,
    TreesBytes, Tx, Update,
};

use crate::channel::{Agreed, Ceremony, Channel, Draft, Stage, Stand};
use crate::draft::own_pin;
use crate::flow::Side;
use crate::input::{ChainNews, SeenTx};
use crate::notice::{ConflictCode, Notice, OnChainEvent};
use crate::refusal::{Reason, Refusal};
use crate::solo::{is_known, offchain_payload};
use crate::step::Move;
use crate::terms::TxOptions;

/// A call that a party wants to force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forcing {
    /// What is called.
    pub contract: ContractId,
    /// The call convention.
    pub abi: u64,
    /// Coins that go with it, from the party's balance in the channel.
    pub amount: Coins,
    /// Function and arguments.
    pub call_data: Vec<u8>,
    /// How much gas the call may use.
    pub gas: u64,
    /// What a unit of gas costs, of the call and of the transaction; the party's account on chain pays.
    pub gas_price: Coins,
    /// Nonce of the transaction; its fee follows from the price of gas.
    pub options: TxOptions,
}

impl Forcing {
    fn update(&self, caller: AccountId) -> Update {
        Update::CallContract {
            caller,
            contract: self.contract,
            abi_version: self.abi,
            amount: self.amount,
            gas: self.gas,
            gas_price: self.gas_price.0,
            call_data: self.call_data.clone(),
            call_stack: Vec::new(),
        }
    }
}

/// A state that the chain made of a forced call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Forced {
    /// Hash of the state before.
    pub base: StateHash,
    /// The transaction that forced it, and the trees after the call.
    pub state: Arc<Agreed>,
}

impl Forced {
    fn stands_on(&self, base: &Base) -> bool {
        self.state.round() == base.round.next() && self.base == base.hash
    }
}

/// A state that a forced call can stand on.
struct Base {
    round: Round,
    hash: StateHash,
}

impl Base {
    fn of(state: &Agreed) -> Self {
        Self { round: state.round(), hash: state.trees.state_hash() }
    }
}

impl Channel {
    /// The latest state: the one that both signed last, or what the chain made of it by forced calls.
    pub(crate) fn latest(&self) -> Option<&Arc<Agreed>> {
        let agreed = self.agreed.as_ref()?;
        match (self.forced.first(), self.forced.last()) {
            (Some(first), Some(last)) if first.stands_on(&Base::of(agreed)) => Some(&last.state),
            _ => Some(agreed),
        }
    }
}

impl Move<'_> {
    /// A call of this party on the latest state, for the chain to make.
    pub(crate) fn forced_draft(&self, forcing: &Forcing) -> Result<Draft, Refusal> {
        let from_id = self.own_account()?;
        let no_state = Refusal::client(Reason::NotReady("there is no agreed state yet"));
        let before = self.disputable().ok_or(no_state)?;
        let object = self.object()?;
        let payload =
            if is_known(&before, &object) { Payload(Vec::new()) } else { offchain_payload(&before)? };
        let (update, round) = (forcing.update(from_id), before.round().next());
        let updates = vec![update.clone()];
        let (trees, state_hash) = self.apply_on(&before.trees, round, &updates, &BlockHash::UNPINNED)?;
        let tx = ForceProgressTx {
            channel_id: self.id()?,
            from_id,
            payload,
            round,
            update,
            state_hash,
            offchain_trees: TreesBytes(before.trees.encode()),
            ttl: self.next.terms.ttl,
            fee: Coins::ZERO,
            nonce: forcing.options.nonce.unwrap_or_else(|| self.next_nonce(from_id)),
        };
        let price = TxOptions { fee: None, gas_price: Some(forcing.gas_price), ..forcing.options };
        let tx = self.price(tx.into(), &price)?;
        self.check_gas(from_id, forcing, tx.fee())?;
        let pin = own_pin(&self.next.terms.pin, self.chain);
        Ok(Draft { tx: SignedTx::unsigned(tx), evidence: None, updates, trees, pin })
    }

    /// Whether the account on chain can pay for all the gas: otherwise no block takes the transaction.
    fn check_gas(&self, account: AccountId, forcing: &Forcing, fee: Coins) -> Result<(), Refusal> {
        let balance = self.chain.account(account).map_or(Coins::ZERO, |account| account.balance);
        let amount = forcing.gas_price.checked_mul(forcing.gas.into()).and_then(|gas| gas.checked_add(fee));
        if amount.is_some_and(|amount| amount <= balance) {
            return Ok(());
        }
        let (amount, reserve) = (amount.unwrap_or(Coins(u128::MAX)), Coins::ZERO);
        Err(Refusal::client(Reason::InsufficientBalance { account, balance, reserve, amount }))
    }

    /// Whether a forced call still stands on the latest state that the chain would take.
    pub(crate) fn forces_latest(&self, tx: &SignedTx) -> bool {
        let Tx::ChannelForceProgress(tx) = tx.body() else { return false };
        self.disputable().is_some_and(|latest| {
            latest.round().next() == tx.round && latest.trees.encode() == tx.offchain_trees.0
        })
    }

    /// What the chain shows of co-signed and of forced states.
    pub(crate) fn follow_forced(&mut self, news: &ChainNews) {
        for seen in &news.txs {
            self.adopt_shown(&seen.tx);
        }
        let is_forced = |seen: &&SeenTx| matches!(seen.tx.body(), Tx::ChannelForceProgress(_));
        let forced: Vec<&SeenTx> = news.txs.iter().filter(is_forced).collect();
        if forced.is_empty() && self.next.forced.is_empty() {
            return;
        }
        let mut line: Vec<Arc<Forced>> = Vec::new();
        for seen in forced {
            let bases = match line.last() {
                Some(last) => vec![Base::of(&last.state)],
                None => self.bases(),
            };
            line.extend(self.forced_on(&bases, seen, news.object.as_ref()));
        }
        if let Some(object) = &news.object {
            // A state that both signed can have taken the place of the last ones.
            let end = line.iter().rposition(|forced| is_known(&forced.state, object));
            line.truncate(end.map_or(0, |last| last + 1));
        }
        let same = |(old, new): (&Arc<Forced>, &Arc<Forced>)| old.state.tx.same_tx(&new.state.tx);
        if line.len() == self.next.forced.len() && self.next.forced.iter().zip(&line).all(same) {
            return;
        }
        for forced in line.iter().skip(self.next.forced.len()) {
            self.keep_calls(&forced.state.trees);
        }
        let kept = self.next.forced.iter().zip(&line).take_while(|pair| same(*pair)).count();
        let taken_back = kept < self.next.forced.len();
        let back_again = line.iter().skip(kept).any(|forced| self.was_seen(&forced.state.tx));
        self.next.forced = line;
        self.drop_outdated_asks();
        // A transaction is reported once: what a fork makes of it is told by the state that is the latest then.
        if (taken_back || back_again)
            && let Some(latest) = self.next.agreed_tx().cloned()
        {
            self.tell(Notice::Update(latest));
        }
    }

    fn was_seen(&self, tx: &SignedTx) -> bool {
        let hash = tx.hash();
        self.next.seen.iter().any(|sighting| sighting.hash == hash)
    }

    /// The states that a forced call can stand on: the one that both signed last, one in a block that only lacks depth, and others of the
    /// latest round that this side signed and the peer can show.
    fn bases(&self) -> Vec<Base> {
        let agreed = self.next.agreed.as_ref().map(|agreed| Base::of(agreed));
        let mined = self.next.ceremony.as_ref().filter(|ceremony| {
            matches!(ceremony.stage, Stage::Confirming { seen: Some(_), .. } | Stage::Locking)
        });
        let mined = mined.and_then(|ceremony| {
            let (round, hash) = ceremony.draft.tx.body().agreed_state()?;
            Some(Base { round, hash })
        });
        let others = self.next.exposed.iter().filter_map(|draft| {
            let (round, hash) = draft.tx.body().agreed_state()?;
            Some(Base { round, hash })
        });
        agreed.into_iter().chain(mined).chain(others).collect()
    }

    /// The state that a forced call in a block led to, if it stands on one of these.
    fn forced_on(
        &self,
        bases: &[Base],
        seen: &SeenTx,
        object: Option<&ChannelObject>,
    ) -> Option<Arc<Forced>> {
        let Tx::ChannelForceProgress(tx) = seen.tx.body() else { return None };
        let hash = seen.tx.hash();
        let is_where_it_was = self.next.height_of(&hash) == Some(seen.height);
        let known = self.next.forced.iter().find(|forced| forced.state.tx.same_tx(&seen.tx));
        if let Some(known) = known.filter(|_| is_where_it_was) {
            return bases.iter().any(|base| known.stands_on(base)).then(|| known.clone());
        }
        // What was looked at before and led to nothing is not run again with every block.
        if is_where_it_was && object.is_none_or(|object| object.round != tx.round) {
            return None;
        }
        if !bases.iter().any(|base| base.round.next() == tx.round) {
            return None;
        }
        let base = Trees::decode(&tx.offchain_trees.0).ok()?.state_hash();
        let trees = self.chain.forced(&hash)?;
        let forced = Forced { base, state: Arc::new(Agreed { tx: seen.tx.clone(), trees }) };
        bases.iter().any(|base| forced.stands_on(base)).then(|| Arc::new(forced))
    }

    /// A round that this side signed and sent, and that the peer completed without telling: whoever shows it on chain tells.
    fn adopt_shown(&mut self, tx: &SignedTx) {
        if self.next.exposed.is_empty() {
            return;
        }
        let Some(shown) = payload_of(tx.body()) else { return };
        let Ok(shown) = SignedTx::decode(&shown.0) else { return };
        let Some(exposed) = self.next.exposed_as(&shown).cloned() else { return };
        let round = shown.body().agreed_state().map(|(round, _)| round);
        if round > self.next.agreed.as_ref().map(|agreed| agreed.round())
            && self.check_both(&shown, Some(&exposed)).is_ok()
        {
            self.agree(&Draft { tx: shown, evidence: None, ..(*exposed).clone() });
        }
    }

    /// A forced call is in a block.
    pub(crate) fn see_forced(&mut self, seen: &SeenTx) {
        let Tx::ChannelForceProgress(tx) = seen.tx.body() else { return };
        if self.next.forced.iter().any(|forced| forced.state.tx.same_tx(&seen.tx)) {
            return self.on_chain(OnChainEvent::ConsumedForcedProgress, &seen.tx);
        }
        let ours = self.next.posted.iter().any(|posted| posted.tx.same_tx(&seen.tx));
        if self.chain.forced(&seen.tx.hash()).is_none() {
            // Gas was paid for nothing: the call came out otherwise than when it was signed.
            if ours {
                self.next.posted.retain(|posted| !posted.tx.same_tx(&seen.tx));
                self.conflict(ConflictCode::ON_CHAIN);
            }
            return;
        }
        if self.next.latest().is_some_and(|latest| latest.round() >= tx.round) {
            let remedy = match self.next.stand {
                Stand::Closing => OnChainEvent::CanSlash,
                _ => OnChainEvent::CanSnapshot,
            };
            self.on_chain(remedy, &seen.tx);
            self.next.warned = self.object().ok().map(|object| (object.round, object.state_hash));
        }
    }

    /// What the chain made of another state than the agreed one does not count any more.
    pub(crate) fn keep_forced_on_agreed(&mut self) {
        let Some(first) = self.next.forced.first() else { return };
        if self.next.agreed.as_ref().is_none_or(|agreed| !first.stands_on(&Base::of(agreed))) {
            self.next.forced.clear();
        }
    }

    /// What clients are asked to sign has to follow the latest state.
    fn drop_outdated_asks(&mut self) {
        let Some(ceremony) = self.next.ceremony.clone() else { return };
        if ceremony.stage != Stage::Signing {
            return;
        }
        self.drop_ask(&ceremony);
    }

    /// What the client is asked to sign is over.
    pub(crate) fn drop_ask(&mut self, ceremony: &Ceremony) {
        if ceremony.side == Side::Acceptor {
            self.refuse(ceremony.flow, ConflictCode::CONFLICT);
        }
        self.next.ceremony = None;
        self.conflict(ConflictCode::CONFLICT);
    }
}

/// The co-signed state that a party shows to the chain.
fn payload_of(tx: &Tx) -> Option<&Payload> {
    match tx {
        Tx::ChannelForceProgress(ForceProgressTx { payload, .. })
        | Tx::ChannelCloseSolo(CloseSoloTx { payload, .. })
        | Tx::ChannelSlash(SlashTx { payload, .. })
        | Tx::ChannelSnapshotSolo(SnapshotSoloTx { payload, .. }) => Some(payload),
        _ => None,
    }
}
