//! What both sides must agree on, told without the code under test: two balances, the coins of contracts and a round number.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use strait_channel::{Channel, Message, Role};
use strait_encoding::text::{self, Prefix};
use strait_encoding::{AccountId, BlockHash, ChannelId, Coins, ContractId, TxHash};
use strait_ledger::{
    Chain, ChainView, ForceProgressTx, OffchainEnv, SignedTx, Trees, Tx, TxLocation, Update, apply_updates_at,
};

use crate::agreement::{Agreement, Proposal};
use crate::contracts::Program;
use crate::network::place;
use crate::setup::Setup;
use on_chain::{Metas, after_call, owned};

mod on_chain;

/// The rounds that were agreed, and what was proposed.
#[derive(Clone, Debug)]
pub struct Model {
    parties: [AccountId; 2],
    agreed: BTreeMap<u64, Agreement>,
    /// The rounds that one of both forced on chain, by their transactions.
    forced: BTreeMap<TxHash, Agreement>,
    /// What each holds for the latest state.
    shown: [Option<Agreement>; 2],
    /// What the calls in blocks cost beside their fees.
    gas: BTreeMap<TxHash, u128>,
    /// What the calls came to that somebody forced, and that changed a channel, whoever holds that for the latest state.
    calls: BTreeMap<TxHash, Agreement>,
    /// The states that the mutual closes on the wire split, by their unsigned bytes.
    closes: BTreeMap<Vec<u8>, Agreement>,
    /// What the meta transactions in blocks came to.
    metas: BTreeMap<TxHash, Metas>,
    /// Which of the two are generalized accounts.
    generalized: [bool; 2],
    /// What the transactions on the wire change, by their unsigned bytes.
    proposed: BTreeMap<Vec<u8>, Proposal>,
    /// The channels that create transactions on the wire would open.
    channels: BTreeSet<ChannelId>,
    opening: [u128; 2],
    /// What the responder has received from the initiator from the start.
    push: u128,
    /// What each must keep.
    reserve: Coins,
    latest: [u64; 2],
    /// All coins that there are.
    total: u128,
    /// What the parties own on chain at first.
    owned: [u128; 2],
    /// The transaction that closed the channel.
    closed: Option<SignedTx>,
    /// Closes that one party completed after it had refused them.
    completed: Vec<TxHash>,
}

impl Model {
    pub(crate) fn new(setup: &Setup, chain: &Chain) -> Self {
        let parties = [Setup::account(Role::Initiator), Setup::account(Role::Responder)];
        let opening = [
            setup.initiator_amount.saturating_sub(setup.push_amount),
            setup.responder_amount + setup.push_amount,
        ];
        let mut model = Self {
            parties,
            agreed: BTreeMap::new(),
            forced: BTreeMap::new(),
            shown: [None, None],
            gas: BTreeMap::new(),
            calls: BTreeMap::new(),
            closes: BTreeMap::new(),
            metas: BTreeMap::new(),
            generalized: setup.generalized,
            proposed: BTreeMap::new(),
            channels: BTreeSet::new(),
            opening,
            push: setup.push_amount,
            reserve: Coins(setup.reserve),
            latest: [0; 2],
            total: 0,
            owned: [0; 2],
            closed: None,
            completed: Vec::new(),
        };
        model.total = model.coins(chain);
        model.owned = parties.map(|account| owned(chain, account));
        model
    }

    /// The balances of the initiator and the responder after the latest round that anybody holds.
    pub fn balances(&self) -> [u128; 2] {
        self.latest().map_or(self.opening, |agreement| agreement.balances)
    }

    /// The contracts of that round, and the coins that they hold.
    pub fn contracts(&self) -> Vec<(ContractId, Program, u128)> {
        let held = self.latest().map(|agreement| &agreement.held).into_iter().flatten();
        held.map(|(contract, (program, coins))| (*contract, *program, *coins)).collect()
    }

    /// In how many rounds a call changed what a contract holds.
    pub fn moved_by_contracts(&self) -> usize {
        let rounds: Vec<_> = self.agreed.values().map(|agreement| &agreement.held).collect();
        let moved = |pair: &&[&BTreeMap<ContractId, (Program, u128)>]| {
            pair[0].iter().any(|(contract, held)| pair[1].get(contract) != Some(held))
        };
        rounds.windows(2).filter(moved).count()
    }

    /// The trees of that round; empty before there is one.
    pub fn trees(&self) -> Trees {
        self.latest().map(|agreement| agreement.trees.clone()).unwrap_or_default()
    }

    /// The trees of an agreed round, or of the latest one.
    pub fn trees_of(&self, round: u64) -> Option<Trees> {
        self.agreement(round).map(|agreement| agreement.trees.clone())
    }

    /// The latest round that anybody holds for agreed, or for forced.
    pub fn round(&self) -> u64 {
        self.latest().map_or(0, |agreement| agreement.round)
    }

    /// The latest round that a side holds for signed by both.
    pub(crate) fn signed_round(&self, role: Role) -> u64 {
        self.latest[place(role)]
    }

    /// Whether both agreed on a round of this number: not where it was forced, or never came about.
    pub fn is_agreed(&self, round: u64) -> bool {
        self.agreed.contains_key(&round)
    }

    /// How many rounds were forced, those that a fork took back too.
    pub fn forced_rounds(&self) -> usize {
        self.forced.len()
    }

    fn latest(&self) -> Option<&Agreement> {
        let agreed = self.agreed.last_key_value().map(|(_, agreement)| agreement);
        let settled = agreed.map(|agreement| agreement.round);
        let forced =
            self.shown.iter().flatten().filter(|shown| shown.is_forced() && Some(shown.settled) == settled);
        forced.max_by_key(|shown| shown.round).or(agreed)
    }

    /// The state that a transaction fixes.
    fn state_of(&self, tx: &SignedTx) -> Option<&Agreement> {
        let (round, _) = tx.body().agreed_state()?;
        let forced = self.forced.get(&tx.hash());
        forced.or_else(|| self.agreed.get(&round.0).filter(|agreement| agreement.tx.same_tx(tx)))
    }

    /// The round that both signed last in the state that a transaction fixes.
    pub(crate) fn settled_by(&self, tx: &SignedTx) -> Option<u64> {
        self.state_of(tx).map(|state| state.settled)
    }

    /// The channels that create transactions on the wire would open.
    pub(crate) fn channels(&self) -> impl Iterator<Item = ChannelId> {
        self.channels.iter().copied()
    }

    /// Notes what a proposal on the wire would change. `chain`: as it is now, for contracts; `base`: what the proposer holds for
    /// the latest state.
    pub(crate) fn hear(&mut self, message: &Message, chain: &Chain, base: Option<&SignedTx>) {
        let Some(Ok(tx)) = message.tx().map(SignedTx::decode) else { return };
        match message {
            Message::Update { updates, block_hash, .. }
            | Message::DepositCreated { updates, block_hash, .. }
            | Message::WithdrawCreated { updates, block_hash, .. } => {
                let updates: Vec<_> = updates.iter().filter_map(|bytes| Update::decode(bytes).ok()).collect();
                let ran = self.run(&tx, &updates, block_hash, (chain, base));
                let committed = tx.body().agreed_state().map(|(_, hash)| hash);
                // Somebody may have sent it with other updates, or with another block, before.
                let fits = ran.as_ref().map(Trees::state_hash) == committed;
                let key = tx.innermost().unsigned_bytes().to_vec();
                if fits || !self.proposed.contains_key(&key) {
                    self.proposed.insert(key, Proposal { updates, ran, base: base.cloned() });
                }
            }
            Message::Shutdown { .. } => {
                if let Some(split) = base.and_then(|base| self.state_of(base)).cloned() {
                    self.closes.insert(tx.innermost().unsigned_bytes().to_vec(), split);
                }
            }
            Message::FundingCreated { .. } => self.channels.extend(tx.channel_id()),
            _ => {}
        }
    }

    /// The trees that a proposal leads to, where it runs a contract.
    fn run(
        &self,
        tx: &SignedTx,
        updates: &[Update],
        pin: &BlockHash,
        (chain, base): (&Chain, Option<&SignedTx>),
    ) -> Option<Trees> {
        let runs =
            |update: &Update| matches!(update, Update::NewContract { .. } | Update::CallContract { .. });
        if !updates.iter().any(runs) {
            return None;
        }
        let (round, _) = tx.body().agreed_state()?;
        let before = self.state_before(round.0, base)?;
        let env = OffchainEnv { reserve: self.reserve, round, protocol: chain.protocol() };
        let pinned = chain.pinned((*pin != BlockHash::UNPINNED).then_some(pin))?;
        apply_updates_at(&before.trees, updates, &env, &pinned).ok()
    }

    /// The state that a round follows, for a proposer with this latest state.
    fn state_before(&self, round: u64, base: Option<&SignedTx>) -> Option<&Agreement> {
        let base = base.and_then(|base| self.state_of(base)).filter(|base| base.round + 1 == round);
        base.or_else(|| self.agreed.get(&round.checked_sub(1)?))
    }

    /// Compares what this side holds for the latest state with what is known; nothing while its program does not run.
    ///
    /// # Panics
    /// It went back, differs from what the other side held in the same round, is not signed by both, or has other balances
    /// than follow from the proposals. A forced round may go back, and must be on chain.
    pub(crate) fn check_agreed(&mut self, role: Role, channel: Option<&Channel>, chain: &Chain) {
        self.shown[place(role)] = None;
        let Some((channel, tx)) = channel.and_then(|channel| Some((channel, channel.agreed_tx()?))) else {
            return;
        };
        if self.forced.contains_key(&tx.hash()) || !is_forced(tx) {
            self.shown[place(role)] = Some(self.check_state(role, tx, chain));
            return;
        }
        // What it stands on may have come with the same block.
        for (tx, _) in stored_states(channel) {
            self.shown[place(role)] = Some(self.check_state(role, &tx, chain));
        }
    }

    fn check_state(&mut self, role: Role, tx: &SignedTx, chain: &Chain) -> Agreement {
        match tx.body() {
            Tx::ChannelForceProgress(forced) => {
                let forced = self.check_forced(role, tx, forced, chain);
                let latest = &mut self.latest[place(role)];
                *latest = forced.settled.max(*latest);
                forced
            }
            body => self.check_signed(role, body.agreed_state().map_or(0, |(round, _)| round.0), tx, chain),
        }
    }

    fn check_signed(&mut self, role: Role, round: u64, tx: &SignedTx, chain: &Chain) -> Agreement {
        let latest = &mut self.latest[place(role)];
        assert!(round >= *latest, "the {role} goes back from round {latest} to {round}");
        *latest = round;
        if let Some(known) = self.agreed.get(&round) {
            assert!(known.tx.same_tx(tx), "round {round} is {tx:?} to the {role}, and was {:?}", known.tx);
            if known.tx == *tx {
                return known.clone();
            }
        }
        if let Err(error) = self.verify(tx, &self.parties, chain) {
            panic!("round {round} of the {role} is not signed by both: {error}");
        }
        let agreement = self.expected(round, tx);
        let committed = tx.body().agreed_state().map(|(_, hash)| hash);
        assert_eq!(committed, Some(agreement.trees.state_hash()), "state of round {round} of the {role}");
        self.agreed.insert(round, agreement.clone());
        agreement
    }

    /// A round that one forced follows from the state that was before, by the call alone.
    fn check_forced(
        &mut self,
        role: Role,
        tx: &SignedTx,
        forced: &ForceProgressTx,
        chain: &Chain,
    ) -> Agreement {
        let (hash, round) = (tx.hash(), forced.round.0);
        let there = matches!(chain.locate_tx(&hash), TxLocation::InBlock { .. });
        assert!(there, "the {role} holds round {round} for forced, and no block has {tx:?}");
        if let Some(known) = self.forced.get(&hash) {
            return known.clone();
        }
        if let Err(error) = self.verify(tx, &[forced.from_id], chain) {
            panic!("round {round} of the {role} is not signed by who forced it: {error}");
        }
        let held = self.agreed.values().chain(self.forced.values());
        let Some(agreement) = after_call(tx, forced, held, chain) else {
            panic!("round {round} is forced on a state that nobody held, or was not forced: {tx:?}");
        };
        self.forced.insert(hash, agreement.clone());
        agreement
    }

    /// An agreed round; or the latest one, where that was forced.
    pub(crate) fn agreement(&self, round: u64) -> Option<&Agreement> {
        self.agreed.get(&round).or_else(|| self.latest().filter(|latest| latest.round == round))
    }

    /// Compares the trees that this side would store with its rounds.
    ///
    /// # Panics
    /// They have other balances, or another hash than the transaction of their round.
    pub(crate) fn check_trees(&self, role: Role, channel: &Channel) {
        for (tx, trees) in stored_states(channel) {
            let Some(state) = self.state_of(&tx) else { continue };
            state.check_coins(&trees);
            let committed = tx.body().agreed_state().map(|(_, hash)| hash);
            assert_eq!(committed, Some(trees.state_hash()), "trees of the {role}");
        }
    }

    /// What follows from the round before and the proposal.
    fn expected(&self, round: u64, tx: &SignedTx) -> Agreement {
        if round == 1 {
            return Agreement::first(self.parties, self.opening, self.push, tx.clone());
        }
        let Some(proposal) = self.proposed.get(tx.innermost().unsigned_bytes()) else {
            panic!("round {round} was never proposed: {tx:?}");
        };
        let Some(before) = self.state_before(round, proposal.base.as_ref()) else {
            panic!("round {round} is agreed, and the one before never was");
        };
        before.followed_by(round, proposal, tx)
    }

    /// What a party has to get out of the channel at least, beside what it put in: the least that it has gained in the
    /// round that it holds for the latest, and in those that it signed since. A forced round counts while it is on chain; but
    /// where the close is `mutual`, so does the state that it was made to split: somebody may have forced a call since.
    pub(crate) fn least_gain<'a>(
        &self,
        role: Role,
        signed: impl Iterator<Item = &'a SignedTx>,
        (mutual, chain): (Option<&SignedTx>, &Chain),
    ) -> i128 {
        let (party, latest) = (place(role), self.latest[place(role)]);
        let on_chain = |state: &&Agreement| {
            state.is_forced() && matches!(chain.locate_tx(&state.tx.hash()), TxLocation::InBlock { .. })
        };
        let closes = mutual.and_then(|close| self.split_by(close)).map(|state| state.gains[party]);
        let state = self.shown[party].as_ref().filter(on_chain).or(self.agreed.get(&latest));
        let signed = signed.filter_map(|tx| {
            let (round, proposal) =
                (tx.body().agreed_state()?.0.0, self.proposed.get(tx.innermost().unsigned_bytes())?);
            let before =
                self.state_before(round, proposal.base.as_ref()).filter(|_| round > latest.max(1))?;
            Some(before.gains_after(round, proposal, tx)[party])
        });
        signed.chain(closes).fold(state.map_or(0, |state| state.gains[party]), i128::min)
    }

    /// One party has completed a close that it refused before: it may split what was agreed then.
    pub(crate) fn expect_close(&mut self, close: &SignedTx) {
        self.completed.push(close.hash());
    }

    /// Whether one party completed this close after it had refused it.
    pub(crate) fn was_completed(&self, close: &SignedTx) -> bool {
        self.completed.contains(&close.hash())
    }

    /// Notes that this transaction, which is in a block, closed the channel.
    ///
    /// # Panics
    /// A mutual close splits another state than the latest one, but for calls that were forced since or taken back, and for one that a party
    /// completed after it had refused it; or it pays out something else than the balances of that state less the fee.
    pub(crate) fn see_closed(&mut self, tx: &SignedTx) {
        self.closed = Some(tx.clone());
        let Tx::ChannelCloseMutual(close) = tx.body() else { return };
        let paid = [close.initiator_amount_final.0, close.responder_amount_final.0];
        let Some(state) = self.split_by(tx) else { panic!("nobody proposed the close {tx:?}") };
        // Somebody may have forced a call, or a fork may have taken one back, after both had signed the close.
        let (now, then) =
            (self.latest().map(|latest| (latest.settled, latest.round)), (state.settled, state.round));
        let forced =
            now.is_some_and(|(settled, round)| settled == then.0 && (round > settled || then.1 > settled));
        let refused = self.was_completed(tx);
        assert!(
            now == Some(then) || forced || refused,
            "the close splits round {then:?}, and {now:?} is the latest"
        );
        let cost = [0, 1].map(|party| state.balances[party].checked_sub(paid[party]));
        let [Some(initiator), Some(responder)] = cost else {
            panic!("the close pays {paid:?} of {:?}", state.balances);
        };
        assert_eq!(initiator + responder, close.fee.0, "the close pays {paid:?} of {:?}", state.balances);
        // Both could pay half in every world of this crate.
        assert!(initiator.abs_diff(responder) <= 1, "the fee is not shared: {initiator} and {responder}");
    }

    /// The state that a mutual close was made to split.
    fn split_by(&self, close: &SignedTx) -> Option<&Agreement> {
        self.closes.get(close.innermost().unsigned_bytes())
    }

    /// A fork has taken the close back.
    pub(crate) fn forget_close(&mut self) {
        self.closed = None;
    }

    /// The transaction that closed the channel.
    pub fn closed(&self) -> Option<&SignedTx> {
        self.closed.as_ref()
    }
}

fn is_forced(tx: &SignedTx) -> bool {
    matches!(tx.body(), Tx::ChannelForceProgress(_))
}

/// The latest state that both signed and those that were forced on it, read from what would be stored: the channel does not
/// show them.
fn stored_states(channel: &Channel) -> Vec<(SignedTx, Trees)> {
    let state = |stored: &Value| {
        let tx = serde_json::from_value(stored.get("tx")?.clone()).ok()?;
        let trees = text::decode(Prefix::StateTrees, stored.get("trees")?.as_str()?).ok()?;
        Some((tx, Trees::decode(&trees).ok()?))
    };
    let read = || {
        let stored: Value = serde_json::from_slice(&channel.to_stored().ok()?).ok()?;
        let mut states = vec![state(stored.get("agreed")?)?];
        for forced in stored.get("forced").and_then(Value::as_array).into_iter().flatten() {
            states.push(state(forced.get("state")?)?);
        }
        Some(states)
    };
    match read() {
        None if channel.agreed_tx().is_some() => panic!("no trees are stored for the agreed state"),
        states => states.unwrap_or_default(),
    }
}
