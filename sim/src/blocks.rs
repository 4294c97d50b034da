//! The chain moves, and both sides hear of it.

use strait_channel::{ChainNews, Input, Role, SeenTx};
use strait_encoding::{BlockHash, Height, Nonce};
use strait_ledger::{ChainView, SignedTx, Tx};

use crate::agenda::Event;
use crate::world::World;

impl World {
    /// Makes a key block, and a micro block of what waits, and brings both sides the news.
    pub fn make_block_now(&mut self) {
        self.chain.mine_key_block(self.now().0);
        let mined = self.chain.mine_micro_block(self.now().0);
        self.model.check_coins(&self.chain);
        let chain = self.chain.clone();
        for role in [Role::Initiator, Role::Responder] {
            let used = |account| chain.account(account).map_or(Nonce(0), |account| account.nonce);
            self.party_mut(role).signer.nonces_used(used);
        }
        for tx in mined.iter().flat_map(|block| &block.txs) {
            if let Tx::ChannelCloseMutual(_) = tx.tx() {
                self.model.check_close(tx);
            }
        }
        self.bring_news(Role::Initiator);
        self.bring_news(Role::Responder);
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
            let txs = news.txs.into_iter().map(|mined| SeenTx { tx: mined.tx, height: mined.height });
            let news = ChainNews { top: news.top, txs: txs.collect(), object: news.object };
            self.turn(role, Input::Chain(news));
        }
    }

    /// The create transaction as it was handed to the chain.
    ///
    /// # Panics
    /// It was not.
    pub fn create_tx(&self) -> SignedTx {
        let found = self.submitted.iter().find(|(_, tx, _)| matches!(tx.tx(), Tx::ChannelCreate(_)));
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
