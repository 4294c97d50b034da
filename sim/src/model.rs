//! What both sides must agree on, told without the code under test: two balances and a round number.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use strait_channel::{Channel, Message, Role};
use strait_encoding::text::{self, Prefix};
use strait_encoding::{AccountId, ChannelId, Coins};
use strait_ledger::rules::LOCKED_COINS;
use strait_ledger::{Chain, ChainView, SignedTx, Trees, Tx, Update, initial_trees};

use crate::network::place;
use crate::setup::Setup;

/// The rounds that were agreed, and what was proposed.
#[derive(Clone, Debug)]
pub struct Model {
    parties: [AccountId; 2],
    /// Both balances after each round, and the transaction that fixes them.
    agreed: BTreeMap<u64, ([u128; 2], SignedTx)>,
    /// What the transactions on the wire change, by their unsigned bytes.
    proposed: BTreeMap<Vec<u8>, Vec<Update>>,
    /// The channels that create transactions on the wire would open.
    channels: BTreeSet<ChannelId>,
    opening: [u128; 2],
    latest: [u64; 2],
    /// All coins that there are.
    total: u128,
    /// The transaction that closed the channel.
    closed: Option<SignedTx>,
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
            latest: [0; 2],
            total: 0,
            closed: None,
        };
        model.total = model.coins(chain);
        model
    }

    /// The balances of the initiator and the responder after the latest round that anybody holds for agreed.
    pub fn balances(&self) -> [u128; 2] {
        self.agreed.last_key_value().map_or(self.opening, |(_, (balances, _))| *balances)
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
            Message::Update { updates, .. } => {
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
        let known = self.agreed.get(&round).map(|(_, known)| known);
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
        let balances = self.expected(round, tx);
        assert_eq!(balances.iter().sum::<u128>(), self.opening.iter().sum::<u128>(), "coins of the channel");
        let [initiator, responder] = self.parties;
        let trees = initial_trees(initiator, responder, Coins(balances[0]), Coins(balances[1]));
        let committed = tx.tx().agreed_state().map(|(_, hash)| hash);
        assert_eq!(committed, Some(trees.state_hash()), "state of round {round} of the {role}");
        self.agreed.insert(round, (balances, tx.clone()));
    }

    /// Compares the trees that this side would store with its round.
    ///
    /// # Panics
    /// They have other balances, or another hash than the agreed transaction.
    pub(crate) fn check_trees(&self, role: Role, channel: &Channel) {
        let Some((balances, tx)) = self.agreed.get(&channel.round().0) else { return };
        let trees = stored_trees(channel);
        let held = self.parties.map(|account| trees.account(account).map(|found| found.balance.0));
        assert_eq!(held, balances.map(Some), "balances of the {role}");
        let committed = tx.tx().agreed_state().map(|(_, hash)| hash);
        assert_eq!(committed, Some(trees.state_hash()), "trees of the {role}");
    }

    /// The balances that follow from the round before and the proposal.
    fn expected(&self, round: u64, tx: &SignedTx) -> [u128; 2] {
        if round == 1 {
            return self.opening;
        }
        let Some((mut balances, _)) = self.agreed.get(&(round - 1)).cloned() else {
            panic!("round {round} is agreed, and the one before never was");
        };
        let Some(updates) = self.proposed.get(tx.unsigned_bytes()) else {
            panic!("round {round} was never proposed: {tx:?}");
        };
        for update in updates {
            match update {
                Update::Transfer { from, to, amount } => {
                    let index = |account| self.parties.iter().position(|party| *party == account);
                    let (Some(from), Some(to)) = (index(*from), index(*to)) else {
                        panic!("{update:?} is not between the parties");
                    };
                    balances[from] -= amount.0;
                    balances[to] += amount.0;
                }
                Update::Meta { .. } => {}
                other => panic!("{other:?} in an agreed round"),
            }
        }
        balances
    }

    /// Notes that the channel was closed on chain.
    ///
    /// # Panics
    /// It pays out something else than the latest agreed balances less the fee.
    pub(crate) fn check_close(&mut self, tx: &SignedTx) {
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
        self.closed = Some(tx.clone());
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

/// The trees of the agreed state, read from what would be stored: the channel does not show them.
fn stored_trees(channel: &Channel) -> Trees {
    let read = || {
        let stored: Value = serde_json::from_slice(&channel.to_stored().ok()?).ok()?;
        let form = stored.get("agreed")?.get("trees")?.as_str()?.to_owned();
        Trees::decode(&text::decode(Prefix::StateTrees, &form).ok()?).ok()
    };
    read().unwrap_or_else(|| panic!("no trees are stored for the agreed state"))
}
