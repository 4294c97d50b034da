//! The blocks of the main chain that are kept, and the transactions in them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use strait_encoding::{BlockHash, ChannelId, Height, KeyBlockHash, MicroBlockHash, TxHash};

use super::{Block, ChainConfig};
use crate::SignedTx;
use crate::rules::ChainState;

/// A transaction in a block of the main chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MinedTx {
    /// The transaction.
    pub tx: SignedTx,
    /// Its hash.
    pub hash: TxHash,
    /// The micro block.
    pub block: MicroBlockHash,
    /// The height of its generation.
    pub height: Height,
    /// How many transactions of the chain came before it.
    pub(super) place: u64,
}

/// Recent blocks by place and hash, and the transactions in them; also older ones of channels that still live.
#[derive(Clone, Default)]
pub(super) struct History {
    /// How many blocks came before the oldest that is kept.
    oldest: u64,
    /// How many transactions there were so far.
    places: u64,
    line: VecDeque<BlockHash>,
    blocks: BTreeMap<BlockHash, Kept>,
    key_blocks: BTreeMap<Height, KeyBlockHash>,
    txs: BTreeMap<TxHash, MinedTx>,
    channels: BTreeMap<ChannelId, BTreeSet<(u64, TxHash)>>,
}

#[derive(Clone)]
struct Kept {
    block: Arc<Block>,
    /// How many blocks of the main chain came before it.
    ordinal: u64,
    /// How many transactions of the chain came before the end of it.
    places: u64,
    /// The state after it; only recent blocks have one.
    state: Option<ChainState>,
}

impl History {
    /// An empty history that goes on after so many blocks and transactions.
    pub fn after(oldest: u64, places: u64) -> Self {
        Self { oldest, places, ..Self::default() }
    }

    pub fn block(&self, hash: &BlockHash) -> Option<&Arc<Block>> {
        self.blocks.get(hash).map(|kept| &kept.block)
    }

    pub fn state(&self, hash: &BlockHash) -> Option<&ChainState> {
        self.blocks.get(hash).and_then(|kept| kept.state.as_ref())
    }

    pub fn tx(&self, hash: &TxHash) -> Option<&MinedTx> {
        self.txs.get(hash)
    }

    pub fn key_block(&self, height: Height) -> Option<KeyBlockHash> {
        self.key_blocks.get(&height).copied()
    }

    /// The kept blocks, the oldest first, with the state of those that have one.
    pub fn line(&self) -> impl DoubleEndedIterator<Item = (&Block, Option<&ChainState>)> {
        self.line
            .iter()
            .filter_map(|hash| self.blocks.get(hash))
            .map(|kept| (&*kept.block, kept.state.as_ref()))
    }

    /// The blocks of a generation, the key block first.
    pub fn generation(&self, height: Height) -> impl Iterator<Item = &Block> {
        let first = self.key_blocks.get(&height).and_then(|hash| self.blocks.get(&BlockHash::from(*hash)));
        let start = first.and_then(|kept| usize::try_from(kept.ordinal - self.oldest).ok());
        let blocks = self.line.range(start.unwrap_or(self.line.len())..).filter_map(|hash| self.block(hash));
        blocks.map(|block| &**block).take_while(move |block| block.header.height == height)
    }

    /// How many blocks of the chain came before the oldest that is kept.
    pub fn oldest(&self) -> u64 {
        self.oldest
    }

    /// How many transactions of the chain came before the oldest block that is kept.
    pub fn places_before_oldest(&self) -> u64 {
        let oldest = self.line.front().and_then(|hash| self.blocks.get(hash));
        oldest.map_or(self.places, |kept| kept.places - kept.block.txs.len() as u64)
    }

    /// How many transactions of the chain came before the end of this block; none where it is not kept.
    pub fn places_until(&self, hash: &BlockHash) -> Option<u64> {
        self.blocks.get(hash).map(|kept| kept.places)
    }

    /// The known transactions of a channel in the order of the chain, from a place on.
    pub fn of_channel(&self, channel: ChannelId, from: u64) -> impl Iterator<Item = &MinedTx> {
        let places = self.channels.get(&channel).into_iter();
        places
            .flat_map(move |places| places.range((from, TxHash::ZERO)..))
            .filter_map(|(_, hash)| self.txs.get(hash))
    }

    /// The transactions that are known although their block is not kept any more, in the order of the chain.
    pub fn older_txs(&self) -> Vec<&MinedTx> {
        let mut older: Vec<_> =
            self.txs.values().filter(|mined| !self.blocks.contains_key(&mined.block.into())).collect();
        older.sort_by_key(|mined| mined.place);
        older
    }

    /// Puts a transaction back whose block is not kept.
    pub fn remember(&mut self, mined: MinedTx) {
        if let Some(channel) = mined.tx.tx().channel_id() {
            self.channels.entry(channel).or_default().insert((mined.place, mined.hash));
        }
        self.txs.insert(mined.hash, mined);
    }

    /// Appends a block, and forgets what is too old. `state` is the state after it, unless it is not known.
    pub fn push(&mut self, block: Arc<Block>, state: Option<&ChainState>, config: &ChainConfig) {
        let hash = block.hash();
        match block.header.micro_hash() {
            None => {
                self.key_blocks.insert(block.header.height, block.header.key_hash());
            }
            Some(micro) => self.index(&block, micro),
        }
        let ordinal = self.oldest + self.line.len() as u64;
        self.blocks.insert(hash, Kept { block, ordinal, places: self.places, state: state.cloned() });
        self.line.push_back(hash);
        let stateless = self.line.len().checked_sub(config.kept_states.max(1) + 1);
        if let Some(kept) = stateless.and_then(|place| self.blocks.get_mut(&self.line[place])) {
            kept.state = None;
        }
        while self.line.len() > config.kept_blocks.max(1) {
            self.forget_oldest(state);
        }
    }

    fn index(&mut self, block: &Block, micro: MicroBlockHash) {
        for tx in &block.txs {
            let (hash, place) = (tx.hash(), self.places);
            self.places += 1;
            self.remember(MinedTx { tx: tx.clone(), hash, block: micro, height: block.header.height, place });
        }
    }

    /// Forgets the oldest block with its transactions, except those of channels that live in `state`.
    fn forget_oldest(&mut self, state: Option<&ChainState>) {
        let Some(hash) = self.line.pop_front() else { return };
        self.oldest += 1;
        let Some(kept) = self.blocks.remove(&hash) else { return };
        if kept.block.header.is_key() {
            self.key_blocks.remove(&kept.block.header.height);
        }
        for tx in &kept.block.txs {
            match tx.tx().channel_id() {
                None => {
                    self.txs.remove(&tx.hash());
                }
                Some(channel) if state.is_some_and(|state| state.trees.channel(channel).is_none()) => {
                    self.forget_channel(channel, kept.places);
                }
                Some(_) => {}
            }
        }
    }

    /// Forgets the transactions of a channel that came before a place.
    fn forget_channel(&mut self, channel: ChannelId, before: u64) {
        let Some(places) = self.channels.get_mut(&channel) else { return };
        let rest = places.split_off(&(before, TxHash::ZERO));
        for (_, hash) in std::mem::replace(places, rest) {
            self.txs.remove(&hash);
        }
        if self.channels.get(&channel).is_some_and(BTreeSet::is_empty) {
            self.channels.remove(&channel);
        }
    }
}
