//! What both sides must agree on, told without the code under test: two balances and a round number.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use strait_channel::{Channel, Message, Role};
use strait_encoding::text::{self, Prefix};
use strait_encoding::{AccountId, ChannelId, Coins, Height};
use strait_ledger::rules::LOCKED_COINS;
use strait_ledger::{Chain, ChainView, ChannelObject, SignedTx, Trees, Tx, TxKind, Update, initial_trees};

use crate::network::place;
use crate::setup::Setup;

/// The rounds that were agreed, and what was proposed.
#[derive(Clone, Debug)]
pub struct Model {
    parties: [AccountId; 2],
    agreed: BTreeMap<u64, Agreement>,
    /// What the transactions on the wire change, by their unsigned bytes.
    proposed: BTreeMap<Vec<u8>, Vec<Update>>,
    /// The channels that create transactions on the wire would open.
    channels: BTreeSet<ChannelId>,
    opening: [u128; 2],
    /// What the responder has received from the initiator from the start.
    push: u128,
    latest: [u64; 2],
    /// All coins that there are.
    total: u128,
    /// What the parties own on chain at first.
    owned: [u128; 2],
    /// The transaction that closed the channel.
    closed: Option<SignedTx>,
}

/// A round that both agreed on.
#[derive(Clone, Debug)]
pub(crate) struct Agreement {
    /// Both balances.
    pub balances: [u128; 2],
    /// What each has received from the other one since the channel opened, less what it paid: deposits and withdrawals move
    /// coins, and change nothing of this.
    pub gains: [i128; 2],
    /// The transaction that fixes it.
    pub tx: SignedTx,
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
            proposed: BTreeMap::new(),
            channels: BTreeSet::new(),
            opening,
            push: setup.push_amount,
            latest: [0; 2],
            total: 0,
            owned: [0; 2],
            closed: None,
        };
        model.total = model.coins(chain);
        model.owned = parties.map(|account| owned(chain, account));
        model
    }

    /// The balances of the initiator and the responder after the latest round that anybody holds for agreed.
    pub fn balances(&self) -> [u128; 2] {
        self.agreed.last_key_value().map_or(self.opening, |(_, agreement)| agreement.balances)
    }

    /// The latest round that anybody holds for agreed.
    pub fn round(&self) -> u64 {
        self.agreed.last_key_value().map_or(0, |(round, _)| *round)
    }

    /// The channels that create transactions on the wire would open.
    pub(crate) fn channels(&self) -> impl Iterator<Item = ChannelId> {
        self.channels.iter().copied()
    }

    /// Notes what a proposal on the wire would change.
    pub(crate) fn hear(&mut self, message: &Message) {
        let Some(Ok(tx)) = message.tx().map(SignedTx::decode) else { return };
        match message {
            Message::Update { updates, .. }
            | Message::DepositCreated { updates, .. }
            | Message::WithdrawCreated { updates, .. } => {
                let updates = updates.iter().filter_map(|bytes| Update::decode(bytes).ok()).collect();
                self.proposed.entry(tx.unsigned_bytes().to_vec()).or_insert(updates);
            }
            Message::FundingCreated { .. } => self.channels.extend(tx.tx().channel_id()),
            _ => {}
        }
    }

    /// Compares what this side holds for agreed with what is known.
    ///
    /// # Panics
    /// It went back, differs from what the other side held in the same round, is not signed by both, or has other balances
    /// than follow from the proposals.
    pub(crate) fn check_agreed(&mut self, role: Role, channel: &Channel) {
        let Some(tx) = channel.agreed_tx() else { return };
        let round = channel.round().0;
        let latest = &mut self.latest[place(role)];
        assert!(round >= *latest, "the {role} goes back from round {latest} to {round}");
        let news = round > *latest;
        *latest = round;
        let known = self.agreed.get(&round).map(|agreement| &agreement.tx);
        if let Some(known) = known {
            assert!(known.same_tx(tx), "round {round} is {tx:?} to the {role}, and was {known:?}");
        }
        if !news {
            return;
        }
        if known != Some(tx)
            && let Err(error) = tx.verify(&Setup::network(), &self.parties)
        {
            panic!("round {round} of the {role} is not signed by both: {error}");
        }
        let agreement = self.expected(round, tx);
        let committed = tx.tx().agreed_state().map(|(_, hash)| hash);
        let trees = self.trees(&agreement);
        assert_eq!(committed, Some(trees.state_hash()), "state of round {round} of the {role}");
        self.agreed.insert(round, agreement);
    }

    /// An agreed round.
    pub(crate) fn agreement(&self, round: u64) -> Option<&Agreement> {
        self.agreed.get(&round)
    }

    /// The trees of an agreed round.
    pub(crate) fn trees(&self, agreement: &Agreement) -> Trees {
        let [initiator, responder] = self.parties;
        let [ours, theirs] = agreement.balances.map(Coins);
        initial_trees(initiator, responder, ours, theirs)
    }

    /// Compares the trees that this side would store with its round.
    ///
    /// # Panics
    /// They have other balances, or another hash than the agreed transaction.
    pub(crate) fn check_trees(&self, role: Role, channel: &Channel) {
        let Some(Agreement { balances, tx, .. }) = self.agreed.get(&channel.round().0) else { return };
        let trees = stored_trees(channel);
        let held = self.parties.map(|account| trees.account(account).map(|found| found.balance.0));
        assert_eq!(held, balances.map(Some), "balances of the {role}");
        let committed = tx.tx().agreed_state().map(|(_, hash)| hash);
        assert_eq!(committed, Some(trees.state_hash()), "trees of the {role}");
    }

    /// What follows from the round before and the proposal.
    fn expected(&self, round: u64, tx: &SignedTx) -> Agreement {
        if round == 1 {
            let push = i128::try_from(self.push).unwrap_or_else(|_| panic!("the push is too much"));
            return Agreement { balances: self.opening, gains: [-push, push], tx: tx.clone() };
        }
        let Some(before) = self.agreed.get(&(round - 1)) else {
            panic!("round {round} is agreed, and the one before never was");
        };
        let Some(updates) = self.proposed.get(tx.unsigned_bytes()) else {
            panic!("round {round} was never proposed: {tx:?}");
        };
        let mut after = Agreement { tx: tx.clone(), ..before.clone() };
        let mut moved = None;
        for update in updates {
            match update {
                Update::Transfer { from, to, amount } => {
                    let (from, to) = (self.index(*from), self.index(*to));
                    after.balances[from] = less(after.balances[from], *amount, update);
                    after.balances[to] += amount.0;
                    let gain = i128::try_from(amount.0).unwrap_or_else(|_| panic!("{update:?} is too much"));
                    after.gains[from] -= gain;
                    after.gains[to] += gain;
                }
                Update::Deposit { from, amount } => {
                    after.balances[self.index(*from)] += amount.0;
                    moved = Some((TxKind::ChannelDeposit, *from, *amount));
                }
                Update::Withdraw { to, amount } => {
                    let party = self.index(*to);
                    after.balances[party] = less(after.balances[party], *amount, update);
                    moved = Some((TxKind::ChannelWithdraw, *to, *amount));
                }
                Update::Meta { .. } => {}
                other => panic!("{other:?} in an agreed round"),
            }
        }
        assert_eq!(
            moved,
            funds_of(tx),
            "what the updates of round {round} move, and what its transaction does"
        );
        after
    }

    fn index(&self, account: AccountId) -> usize {
        let found = self.parties.iter().position(|party| *party == account);
        found.unwrap_or_else(|| panic!("{account} is no party"))
    }

    /// Compares the channel as the chain knows it with the round that it names.
    ///
    /// # Panics
    /// It holds another state of that round, more or fewer coins than that state has, or would pay out something else.
    pub(crate) fn check_object(&self, object: &ChannelObject) {
        let Some(agreement) = self.agreed.get(&object.round.0) else { return };
        let committed = agreement.tx.tx().agreed_state().map(|(_, hash)| hash);
        assert_eq!(Some(object.state_hash), committed, "round {} on chain", object.round);
        let held = agreement.balances.iter().sum::<u128>();
        assert_eq!(object.channel_amount.0, held, "coins that the chain holds in round {}", object.round);
        if !object.is_active() {
            let paid = [object.initiator_amount.0, object.responder_amount.0];
            assert_eq!(paid, agreement.balances, "what the close of round {} would pay", object.round);
        }
    }

    /// What a party has to get out of the channel at least, beside what it put in: the least that it has gained in the
    /// round that it holds for agreed, and in those that it signed since.
    pub(crate) fn least_gain<'a>(&self, role: Role, signed: impl Iterator<Item = &'a SignedTx>) -> i128 {
        let (party, latest) = (place(role), self.latest[place(role)]);
        let agreed = self.agreed.get(&latest).map_or(0, |agreement| agreement.gains[party]);
        let is_next = |tx: &&SignedTx| {
            let round = tx.tx().agreed_state().map_or(0, |(round, _)| round.0);
            round > 1 && round == latest + 1 && self.proposed.contains_key(tx.unsigned_bytes())
        };
        let proposed = signed.filter(is_next).map(|tx| self.expected(latest + 1, tx).gains[party]);
        proposed.fold(agreed, i128::min)
    }

    /// What a party owns on chain more than at first, but for fees and for what it gave to strangers.
    pub(crate) fn gain_on_chain(&self, role: Role, chain: &Chain) -> i128 {
        let account = self.parties[place(role)];
        let spent: u128 = (0..=chain.top_height().0)
            .flat_map(|height| chain.generation(Height(height)))
            .flat_map(|block| &block.txs)
            .filter(|tx| tx.tx().origin() == Some(account))
            .map(|tx| match tx.tx() {
                // The channel pays for its mutual close.
                Tx::ChannelCloseMutual(_) => 0,
                Tx::Spend(spend) => spend.amount.0 + spend.fee.0,
                other => other.fee().0,
            })
            .sum();
        let now = i128::try_from(owned(chain, account) + spent);
        let before = i128::try_from(self.owned[place(role)]);
        let (Ok(now), Ok(before)) = (now, before) else { panic!("{account} is too rich to be true") };
        now - before
    }

    /// Notes that this transaction, which is in a block, closed the channel.
    ///
    /// # Panics
    /// A mutual close pays out something else than the latest agreed balances less the fee.
    pub(crate) fn see_closed(&mut self, tx: &SignedTx) {
        self.closed = Some(tx.clone());
        let Tx::ChannelCloseMutual(close) = tx.tx() else { return };
        let paid = [close.initiator_amount_final.0, close.responder_amount_final.0];
        let balances = self.balances();
        let cost = [0, 1].map(|party| balances[party].checked_sub(paid[party]));
        let [Some(initiator), Some(responder)] = cost else {
            panic!("the close pays {paid:?} of {balances:?}: somebody gains");
        };
        assert_eq!(initiator + responder, close.fee.0, "what the close costs both, and its fee");
        // Both could pay half in every world of this crate.
        assert!(initiator.abs_diff(responder) <= 1, "the fee is not shared: {initiator} and {responder}");
    }

    /// A fork has taken the close back.
    pub(crate) fn forget_close(&mut self) {
        self.closed = None;
    }

    /// The transaction that closed the channel.
    pub fn closed(&self) -> Option<&SignedTx> {
        self.closed.as_ref()
    }

    /// Checks that no coins came or went.
    ///
    /// # Panics
    /// Some did.
    pub(crate) fn check_coins(&self, chain: &Chain) {
        assert_eq!(self.coins(chain), self.total, "coins on the chain");
    }

    fn coins(&self, chain: &Chain) -> u128 {
        let others = [Setup::stranger().account(), LOCKED_COINS];
        let accounts: u128 = self
            .parties
            .iter()
            .chain(&others)
            .filter_map(|account| chain.account(*account))
            .map(|account| account.balance.0)
            .sum();
        let held: u128 = self
            .channels
            .iter()
            .filter_map(|channel| chain.channel(*channel))
            .map(|channel| channel.channel_amount.0)
            .sum();
        let Coins(fees) = chain.fees_collected();
        accounts + held + fees
    }
}

fn owned(chain: &Chain, account: AccountId) -> u128 {
    chain.account(account).map_or(0, |account| account.balance.0)
}

fn less(balance: u128, amount: Coins, update: &Update) -> u128 {
    balance.checked_sub(amount.0).unwrap_or_else(|| panic!("{update:?} takes more than {balance}"))
}

/// What a transaction brings into the channel or takes out, and whose that is.
fn funds_of(tx: &SignedTx) -> Option<(TxKind, AccountId, Coins)> {
    match tx.tx() {
        Tx::ChannelDeposit(deposit) => Some((tx.kind(), deposit.from_id, deposit.amount)),
        Tx::ChannelWithdraw(withdraw) => Some((tx.kind(), withdraw.to_id, withdraw.amount)),
        _ => None,
    }
}

/// The trees of the agreed state, read from what would be stored: the channel does not show them.
fn stored_trees(channel: &Channel) -> Trees {
    let read = || {
        let stored: Value = serde_json::from_slice(&channel.to_stored().ok()?).ok()?;
        let form = stored.get("agreed")?.get("trees")?.as_str()?.to_owned();
        Trees::decode(&text::decode(Prefix::StateTrees, &form).ok()?).ok()
    };
    read().unwrap_or_else(|| panic!("no trees are stored for the agreed state"))
}
