//! The chain moves, and both sides hear of it.

use strait_channel::{ChainNews, Input, Role, SeenTx};
use strait_encoding::{BlockHash, Height, TxHash};
use strait_ledger::{Abandoned, Branch, Chain, ChainView, ForkPlan, SignedTx, Tx, TxLocation};

use crate::agenda::Event;
use crate::network::ROLES;
use crate::setup::Setup;
use crate::world::World;

impl World {
    /// Makes a key block, and a micro block of what waits, and brings both sides the news.
    pub fn make_block_now(&mut self) {
        self.chain.mine_key_block(self.now().0);
        let mined = self.chain.mine_micro_block(self.now().0);
        let txs: Vec<_> = mined.into_iter().flat_map(|block| block.txs).collect();
        self.look_at_chain(&txs);
        self.check();
    }

    /// Checks what the chain has become, and brings both sides the news. `txs`: what is in its new blocks.
    fn look_at_chain(&mut self, txs: &[SignedTx]) {
        self.model.check_coins(&self.chain);
        for tx in txs {
            self.model.note_metas(tx, &self.chain);
        }
        self.tell_authorities();
        self.tell_signers();
        for tx in txs {
            self.model.note_gas(tx, &self.chain);
            self.model.note_forced(tx, &self.chain);
        }
        for tx in txs {
            let ends = matches!(tx.body(), Tx::ChannelCloseMutual(_) | Tx::ChannelSettle(_));
            if ends && !self.model.has_failed(&tx.hash()) {
                self.model.see_closed(tx);
                self.check_gains(tx);
            }
        }
        self.check_object();
        for role in ROLES {
            self.bring_news(role);
        }
    }

    fn tell_signers(&mut self) {
        for role in ROLES {
            let mut signer = self.party(role).signer.clone();
            signer.look_at_chain(&self.chain, |tx| {
                let handed_in = self.submitted.iter().rev().find(|(_, submitted, _)| submitted.same_tx(tx));
                match handed_in {
                    None => TxLocation::Unknown,
                    // The chain refused what stood in it: for the client it is as if it had not taken it at all.
                    Some((_, tx, _)) if self.model.has_failed(&tx.hash()) => TxLocation::Gone,
                    Some((_, tx, _)) => self.chain.locate_tx(&tx.hash()),
                }
            });
            self.party_mut(role).signer = signer;
        }
    }

    /// The channel on chain is what both agreed on, as long as nobody lies.
    fn check_object(&self) {
        if self.both(|party| party.signer.enforcing) {
            for id in self.model.channels() {
                if let Some(object) = self.chain.channel(id) {
                    self.model.check_object(id, &object, &self.chain);
                }
            }
        }
    }

    /// No honest party gets less than the least of what it agreed to last and what it signed since, but for its part of the
    /// fee of a mutual close; of one that its peer had refused before, the whole fee (`docs/decisions/0002`).
    fn check_gains(&self, close: &SignedTx) {
        let fee = match close.body() {
            Tx::ChannelCloseMutual(tx) => {
                let part = if self.model.was_completed(close) { tx.fee.0 } else { tx.fee.0.div_ceil(2) };
                i128::try_from(part).unwrap_or(i128::MAX)
            }
            _ => 0,
        };
        for role in ROLES {
            let signer = &self.party(role).signer;
            if !signer.enforcing {
                continue;
            }
            let mutual = matches!(close.body(), Tx::ChannelCloseMutual(_));
            let least = self.model.least_gain(role, signer.signed(), (mutual.then_some(close), &self.chain));
            let gain = self.model.gain_on_chain(role, &self.chain);
            assert!(gain >= least - fee, "the {role} gets {gain} instead of {least}: {}", self.describe());
        }
    }

    pub(crate) fn make_block(&mut self) {
        let at = self.now().after(self.setup.block_time);
        self.agenda.enter(at, Event::Block);
        if self.mining {
            self.make_block_now();
        }
    }

    /// Tells a channel what happened on chain since it last heard, if that can mean anything to it.
    pub(crate) fn bring_news(&mut self, role: Role) {
        let party = self.party(role);
        let Some(channel) = &party.process else { return };
        let Some(id) = channel.id() else { return };
        let news = self.chain.news_since(id, &BlockHash::UNPINNED);
        let shown: Vec<_> = news.txs.iter().map(|mined| (mined.hash, mined.height)).collect();
        let wanted = shown != party.known || channel.awaits_depth() || !channel.is_alive();
        self.party_mut(role).known = shown;
        if wanted {
            // One that failed behind its authentication did nothing to the channel.
            let (failed, done): (Vec<_>, Vec<_>) = news.txs.into_iter().partition(|mined| mined.failed);
            let failed = failed.into_iter().map(|mined| mined.hash).collect();
            let txs = done.into_iter().map(|mined| SeenTx { tx: mined.tx, height: mined.height });
            let news = ChainNews { top: news.top, txs: txs.collect(), failed, object: news.object };
            self.turn(role, Input::Chain(news));
        }
    }

    /// The chain goes over to another branch, and both sides hear of it.
    ///
    /// # Panics
    /// The branch would begin below the first block.
    pub fn fork(&mut self, plan: &ForkPlan) {
        match self.chain.fork(plan, self.now().0) {
            Ok(branch) => self.follow(branch),
            Err(error) => panic!("no such fork: {error}"),
        }
    }

    /// As [`fork`](Self::fork); but in place of the transaction `instead_of`, which goes back to the pool, the branch holds
    /// what `rival` makes for it.
    ///
    /// # Panics
    /// There is no such fork, or the branch cannot hold the rival.
    pub fn fork_with_rival(
        &mut self,
        plan: &ForkPlan,
        instead_of: &TxHash,
        rival: impl Fn(&World, &Chain) -> SignedTx,
    ) {
        let mut made = self.chain.clone();
        let mut without = plan.clone();
        // What came later may stand on it, and would keep the nonces busy.
        let later = self.submitted.iter().skip_while(|(_, tx, _)| tx.hash() != *instead_of);
        without.chosen.extend(later.map(|(_, tx, _)| (tx.hash(), Abandoned::Lost)));
        let mut branch = match made.fork(&without, self.now().0) {
            Ok(branch) => branch,
            Err(error) => panic!("no such fork: {error}"),
        };
        let rival = rival(self, &made);
        if let Err(error) = made.submit(rival.clone()) {
            panic!("the branch cannot hold {rival:?}: {error}");
        }
        branch.blocks.extend(made.mine_micro_block(self.now().0));
        branch.lost.retain(|lost| plan.chosen.get(lost).unwrap_or(&plan.others) == &Abandoned::Lost);
        assert!(made.locate_tx(&rival.hash()) != TxLocation::Pool, "the branch does not hold {rival:?}");
        if let Err(error) = self.chain.switch(&branch) {
            panic!("no such branch: {error}");
        }
        let payer = ROLES.into_iter().find(|role| rival.body().origin() == Some(Setup::account(*role)));
        self.submitted.push((payer.unwrap_or(Role::Initiator), rival, Ok(())));
        self.follow(branch);
    }

    fn follow(&mut self, branch: Branch) {
        let closed = self.model.closed().map(|tx| self.chain.locate_tx(&tx.hash()));
        if !matches!(closed, Some(TxLocation::InBlock { .. })) {
            if self.model.closed().is_some() {
                ROLES.into_iter().for_each(|role| self.party_mut(role).client.note_taken_back());
            }
            self.model.forget_close();
        }
        let txs: Vec<_> = branch.blocks.into_iter().flat_map(|block| block.txs).collect();
        self.look_at_chain(&txs);
        self.check();
    }

    /// From now on blocks are made by somebody who takes whatever the rules allow.
    ///
    /// # Panics
    /// The chain cannot be copied.
    pub fn lower_miner_price(&mut self) {
        let mut config = self.chain.config().clone();
        config.miner_gas_price = config.min_gas_price;
        match Chain::restore(config, &self.chain.snapshot()) {
            Ok(chain) => self.chain = chain,
            Err(error) => panic!("the chain cannot be copied: {error}"),
        }
    }

    /// The create transaction as it was handed to the chain.
    ///
    /// # Panics
    /// It was not.
    pub fn create_tx(&self) -> SignedTx {
        let found = self.submitted.iter().find(|(_, tx, _)| matches!(tx.body(), Tx::ChannelCreate(_)));
        found.map_or_else(|| panic!("no create transaction was submitted"), |(_, tx, _)| tx.clone())
    }

    /// The hash of the key block at a height.
    ///
    /// # Panics
    /// There is none.
    pub fn key_block(&self, height: u64) -> BlockHash {
        let found = self.chain.key_block_at(Height(height));
        found.map_or_else(|| panic!("no key block at height {height}"), BlockHash::from)
    }

    /// The height of the chain.
    pub fn height(&self) -> u64 {
        self.chain.top_height().0
    }
}
