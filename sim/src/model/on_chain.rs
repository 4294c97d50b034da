//! What the model knows of the chain: what calls and meta transactions came to there, and what that cost.

use std::collections::BTreeMap;

use strait_channel::Role;
use strait_encoding::{AccountId, BlockHash, ChannelId, Coins, ContractId, Height, Round, TxHash};
use strait_ledger::rules::{self, LOCKED_COINS};
use strait_ledger::{
    CallResult, Chain, ChainView, ChannelObject, ForceProgressTx, SignedTx, Trees, Tx, TxKind, TxLocation,
    Update,
};

use super::Model;
use crate::agreement::{Agreement, Proposal};
use crate::network::place;
use crate::setup::Setup;

/// What the meta transactions of one in a block came to.
#[derive(Clone, Debug, Default)]
pub(super) struct Metas {
    /// What stands in them failed.
    failed: bool,
    /// What they cost, and whom.
    costs: BTreeMap<AccountId, u128>,
}

impl Model {
    /// Notes what a forced call in a block made of the state that it was made on: nothing where the chain did not take that over.
    pub(crate) fn note_forced(&mut self, tx: &SignedTx, chain: &Chain) {
        let (Tx::ChannelForceProgress(forced), Some(id)) = (tx.body(), tx.channel_id()) else { return };
        let waiting = self.unconfirmed(id, chain);
        let states = self.agreed.values().chain(self.calls.values()).chain(&waiting);
        match after_call(tx, forced, states, chain) {
            Some(agreement) => self.calls.insert(tx.hash(), agreement),
            None => self.calls.remove(&tx.hash()),
        };
    }

    /// The states of transactions of both in blocks that neither has taken for confirmed yet.
    fn unconfirmed(&self, id: ChannelId, chain: &Chain) -> Vec<Agreement> {
        let txs = chain.txs_of_channel(id).into_iter().filter_map(|(hash, _)| chain.tx(&hash));
        let state = |tx: SignedTx| {
            let (Round(round), _) = tx.body().agreed_state()?;
            let moves =
                matches!(tx.body(), Tx::ChannelCreate(_) | Tx::ChannelDeposit(_) | Tx::ChannelWithdraw(_));
            let new = moves && !self.agreed.contains_key(&round) && !self.has_failed(&tx.hash());
            new.then(|| self.expected(round, &tx))
        };
        txs.filter_map(|(tx, _)| state(tx)).collect()
    }

    /// Compares the channel as the chain knows it with the state that it has.
    ///
    /// # Panics
    /// It has a state that nobody brought there, more or fewer coins than that state has, or would pay out something else.
    pub(crate) fn check_object(&self, id: ChannelId, object: &ChannelObject, chain: &Chain) {
        let Some(agreement) = self.state_on_chain(id, object, chain) else {
            panic!("nobody brought the state of round {} to the chain", object.round);
        };
        let held = agreement.coins();
        assert_eq!(object.channel_amount.0, held, "coins that the chain holds in round {}", object.round);
        if !object.is_active() {
            let paid = [object.initiator_amount.0, object.responder_amount.0];
            assert_eq!(paid, agreement.balances, "what the close of round {} would pay", object.round);
        }
    }

    /// The state that a channel has on chain: one that both agreed on; what a forced call in a block came to; or that of a
    /// transaction of both in a block, which neither has taken for confirmed yet.
    fn state_on_chain(&self, id: ChannelId, object: &ChannelObject, chain: &Chain) -> Option<Agreement> {
        let is_it = |state: &&Agreement| {
            state.round == object.round.0 && state.trees.state_hash() == object.state_hash
        };
        if let Some(agreed) = self.agreed.get(&object.round.0).filter(is_it) {
            return Some(agreed.clone());
        }
        if object.solo_round > Round(0) {
            let in_block = |hash: &TxHash| matches!(chain.locate_tx(hash), TxLocation::InBlock { .. });
            let calls = self.calls.iter().filter(|(hash, _)| in_block(hash));
            return calls.map(|(_, state)| state).find(is_it).cloned();
        }
        self.unconfirmed(id, chain).into_iter().find(|state| is_it(&state))
    }

    /// Notes what a forced call in a block cost beside its fee.
    pub(crate) fn note_gas(&mut self, tx: &SignedTx, chain: &Chain) {
        let Tx::ChannelForceProgress(forced) = tx.body() else { return };
        let Update::CallContract { caller, contract, gas_price, .. } = &forced.update else { return };
        let hash = tx.hash();
        let told =
            chain.forced(&hash).and_then(|trees| trees.call_in_round(*contract, *caller, forced.round));
        // Of a call that changed nothing the chain alone knows, until its next key block.
        let of_chain = || chain.top_state().call_in_round(ContractId(hash.0), *caller, forced.round);
        if let Some(call) = told.or_else(of_chain) {
            self.gas.insert(hash, u128::from(call.gas_used) * gas_price);
        }
    }

    /// What a party owns on chain more than at first, but for fees and for what it gave to strangers.
    pub(crate) fn gain_on_chain(&self, role: Role, chain: &Chain) -> i128 {
        let account = self.parties[place(role)];
        let spent: u128 = (0..=chain.top_height().0)
            .flat_map(|height| chain.generation(Height(height)))
            .flat_map(|block| &block.txs)
            .filter(|tx| tx.body().origin() == Some(account) && !self.has_failed(&tx.hash()))
            .map(|tx| match tx.body() {
                // The channel pays for its mutual close; accounts became what they are before everything else.
                Tx::ChannelCloseMutual(_) | Tx::GaAttach(_) => 0,
                Tx::Spend(spend) => spend.amount.0 + spend.fee.0,
                Tx::ChannelForceProgress(forced) => forced.fee.0 + self.gas_of(tx),
                other => other.fee().0,
            })
            .sum();
        let metas: u128 = (0..=chain.top_height().0)
            .flat_map(|height| chain.generation(Height(height)))
            .flat_map(|block| &block.txs)
            .filter_map(|tx| self.metas.get(&tx.hash())?.costs.get(&account))
            .sum();
        let now = i128::try_from(owned(chain, account) + spent + metas);
        let before = i128::try_from(self.owned[place(role)]);
        let (Ok(now), Ok(before)) = (now, before) else { panic!("{account} is too rich to be true") };
        now - before
    }

    /// Notes what the meta transactions of one in a block came to, and cost.
    ///
    /// # Panics
    /// The chain does not know.
    pub(crate) fn note_metas(&mut self, tx: &SignedTx, chain: &Chain) {
        if tx.kind() != TxKind::GaMeta {
            return;
        }
        let TxLocation::InBlock { block, .. } = chain.locate_tx(&tx.hash()) else {
            panic!("no block holds {tx:?}");
        };
        let Some(trees) = chain.state_at(&BlockHash::from(block)) else { panic!("the state after {tx:?}") };
        let mut metas = Metas::default();
        for meta in tx.metas() {
            let Some(call) = rules::auth_call_of(meta, trees) else { panic!("nobody authenticated {tx:?}") };
            let gas = u128::from(call.gas_used) * meta.gas_price.0;
            *metas.costs.entry(meta.ga_id).or_default() += meta.fee.0 + gas;
            if !matches!(call.result, CallResult::Ok(_)) {
                metas.failed = true;
                break;
            }
        }
        self.metas.insert(tx.hash(), metas);
    }

    /// Whether one in a block did nothing but authenticate itself.
    pub fn has_failed(&self, tx: &TxHash) -> bool {
        self.metas.get(tx).is_some_and(|metas| metas.failed)
    }

    /// Checks that exactly these parties authenticated a transaction: each by a signature or a meta transaction, as its account
    /// is. Of a state the contracts are asked; of what goes on chain the chain has asked them.
    pub(super) fn verify(&self, tx: &SignedTx, signers: &[AccountId], chain: &Chain) -> Result<(), String> {
        let is_generalized = |account: &AccountId| {
            self.parties
                .iter()
                .zip(self.generalized)
                .any(|(party, generalized)| generalized && party == account)
        };
        let (wrapping, signing): (Vec<_>, Vec<_>) = signers.iter().copied().partition(is_generalized);
        let mut wrapped: Vec<_> = tx.metas().map(|meta| meta.ga_id).collect();
        // Twice the same proves no more.
        wrapped.sort_unstable();
        wrapped.dedup();
        let mut expected = wrapping.clone();
        expected.sort_unstable();
        if wrapped != expected {
            return Err(format!("meta transactions of {wrapped:?}, not of {expected:?}"));
        }
        tx.innermost().verify(&Setup::network(), &signing).map_err(|error| error.to_string())?;
        match tx.channel_id() {
            Some(channel) if tx.body().kind() == TxKind::ChannelOffchain && !wrapping.is_empty() => {
                let asked = chain.authenticate_offchain(tx, channel, signers);
                asked.map(drop).map_err(|error| error.to_string())
            }
            _ => Ok(()),
        }
    }

    fn gas_of(&self, tx: &SignedTx) -> u128 {
        let gas = self.gas.get(&tx.hash()).copied();
        gas.unwrap_or_else(|| panic!("nobody knows what {tx:?} cost"))
    }

    /// Checks that no coins came or went.
    ///
    /// # Panics
    /// Some did.
    pub(crate) fn check_coins(&self, chain: &Chain) {
        assert_eq!(self.coins(chain), self.total, "coins on the chain");
    }

    pub(super) fn coins(&self, chain: &Chain) -> u128 {
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

/// What a forced call in a block made of the one of these states that it was made on; none where it changed nothing.
pub(super) fn after_call<'a>(
    tx: &SignedTx,
    forced: &ForceProgressTx,
    mut states: impl Iterator<Item = &'a Agreement>,
    chain: &Chain,
) -> Option<Agreement> {
    let (hash, round) = (tx.hash(), forced.round.0);
    let ran = chain.forced(&hash)?;
    let brought = Trees::decode(&forced.offchain_trees.0).map(|trees| trees.state_hash());
    let base = states.find(|state| state.round + 1 == round && Ok(state.trees.state_hash()) == brought)?;
    assert_eq!(ran.state_hash(), forced.state_hash, "forced round {round}");
    let proposal = Proposal { updates: vec![forced.update.clone()], ran: Some(ran), base: None };
    Some(base.followed_by(round, &proposal, tx))
}

pub(super) fn owned(chain: &Chain, account: AccountId) -> u128 {
    chain.account(account).map_or(0, |account| account.balance.0)
}
