//! The blocks that are kept: those of the main chain with the transactions in them, and those that a fork left behind.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use strait_encoding::{BlockHash, ChannelId, Height, KeyBlockHash, MicroBlockHash, TxHash};

use super::aside::Aside;
use super::{Block, ChainConfig, FORK_DEPTH};
use crate::SignedTx;
use crate::rules::{self, ChainState};

/// A transaction in a block.
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
    /// Whether it did nothing but authenticate itself, for a fee: what stands in its meta transactions failed
    /// (`docs/protocol/signing` §3.2). Always false for one without.
    pub failed: bool,
    /// How many transactions of its chain came before it.
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
    aside: Aside,
}

/// A block, and what is known of it.
#[derive(Clone)]
pub(super) struct Kept {
    pub block: Arc<Block>,
    /// How many blocks of its chain came before it.
    pub ordinal: u64,
    /// How many transactions of its chain came before the end of it.
    pub places: u64,
    /// The channels that its transactions are about, ascending, with the number of the transaction in the block.
    pub touched: Arc<[(ChannelId, usize)]>,
    /// The numbers of its transactions that failed after having authenticated.
    pub failed: Arc<[usize]>,
    /// The state after it; recent blocks have one, and key blocks where a fork may begin.
    pub state: Option<ChainState>,
}

impl History {
    /// An empty history that goes on after so many blocks and transactions.
    pub fn after(oldest: u64, places: u64) -> Self {
        Self { oldest, places, ..Self::default() }
    }

    /// A block of the main chain.
    pub fn block(&self, hash: &BlockHash) -> Option<&Arc<Block>> {
        self.blocks.get(hash).map(|kept| &kept.block)
    }

    /// A block of any branch.
    pub fn any(&self, hash: &BlockHash) -> Option<&Kept> {
        self.blocks.get(hash).or_else(|| self.aside.get(hash))
    }

    pub fn is_main(&self, hash: &BlockHash) -> bool {
        self.blocks.contains_key(hash)
    }

    pub fn aside(&self) -> &Aside {
        &self.aside
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

    /// The key blocks of the main chain that are kept, by height.
    pub fn key_blocks(&self) -> &BTreeMap<Height, KeyBlockHash> {
        &self.key_blocks
    }

    /// The kept blocks of the main chain, the oldest first.
    pub fn line(&self) -> impl DoubleEndedIterator<Item = &Kept> {
        self.line.iter().filter_map(|hash| self.blocks.get(hash))
    }

    /// The block of the main chain that so many came before.
    pub fn at(&self, ordinal: u64) -> Option<BlockHash> {
        self.line.get(usize::try_from(ordinal.checked_sub(self.oldest)?).ok()?).copied()
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

    /// The known transactions of a channel in the order of the main chain, from a place on, up to another, itself left
    /// out.
    pub fn of_channel(&self, channel: ChannelId, from: u64, to: u64) -> impl Iterator<Item = &MinedTx> {
        let places = self.channels.get(&channel).into_iter();
        places
            .flat_map(move |places| places.range((from, TxHash::ZERO)..(to.max(from), TxHash::ZERO)))
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
        if let Some(channel) = mined.tx.channel_id() {
            self.channels.entry(channel).or_default().insert((mined.place, mined.hash));
        }
        self.txs.insert(mined.hash, mined);
    }

    /// Puts a block back that a fork left behind.
    pub fn put_aside(&mut self, kept: Kept, top: Height, config: &ChainConfig) {
        self.aside.push(kept, top, config.kept_blocks);
    }

    /// Appends a block, and forgets what is too old. `state` is the state after it.
    pub fn push(&mut self, block: Arc<Block>, state: &ChainState, config: &ChainConfig) {
        let failed = |(_, tx): &(usize, &SignedTx)| rules::has_failed(tx.tx(), &state.trees);
        let failed = block.txs.iter().enumerate().filter(failed).map(|(number, _)| number).collect();
        self.append(block, Some(state), failed, config);
    }

    /// As [`push`](Self::push), for a block whose state is not known any more, but which transactions of it failed.
    pub fn push_old(&mut self, block: Arc<Block>, failed: Arc<[usize]>, config: &ChainConfig) {
        self.append(block, None, failed, config);
    }

    fn append(
        &mut self,
        block: Arc<Block>,
        state: Option<&ChainState>,
        failed: Arc<[usize]>,
        config: &ChainConfig,
    ) {
        let hash = block.hash();
        match block.header.micro_hash() {
            None => {
                self.key_blocks.insert(block.header.height, block.header.key_hash());
            }
            Some(micro) => self.index(&block, micro, &failed),
        }
        let height = block.header.height;
        self.aside.remove(&hash);
        self.aside.forget_old(height);
        let ordinal = self.oldest + self.line.len() as u64;
        let kept = Kept::new(block, (ordinal, self.places), failed);
        self.blocks.insert(hash, Kept { state: state.cloned(), ..kept });
        self.line.push_back(hash);
        self.forget_states(height, config);
        while self.line.len() > config.kept_blocks.max(1) {
            self.forget_oldest(state);
        }
    }

    /// Takes off what comes after a block of the main chain, and puts it aside: those blocks, in order. Without effect on
    /// a chain that does not have the block.
    pub fn cut_after(&mut self, ancestor: &BlockHash, config: &ChainConfig) -> Vec<Arc<Block>> {
        let Some(kept) = self.blocks.get(ancestor) else { return Vec::new() };
        let length = usize::try_from(kept.ordinal + 1 - self.oldest).unwrap_or(self.line.len());
        let (places, mut cut) = (kept.places, Vec::new());
        for hash in self.line.split_off(length.min(self.line.len())) {
            let Some(kept) = self.blocks.remove(&hash) else { continue };
            if kept.block.header.is_key() {
                self.key_blocks.remove(&kept.block.header.height);
            }
            for tx in &kept.block.txs {
                self.forget_tx(&tx.hash());
            }
            cut.push(Arc::clone(&kept.block));
            let top = kept.block.header.height;
            self.aside.push(Kept { state: None, ..kept }, top, config.kept_blocks);
        }
        self.places = places;
        cut
    }

    fn forget_tx(&mut self, hash: &TxHash) {
        let Some(mined) = self.txs.remove(hash) else { return };
        let Some(channel) = mined.tx.channel_id() else { return };
        if let Some(places) = self.channels.get_mut(&channel) {
            places.remove(&(mined.place, mined.hash));
            if places.is_empty() {
                self.channels.remove(&channel);
            }
        }
    }

    fn index(&mut self, block: &Block, micro: MicroBlockHash, failed: &[usize]) {
        let height = block.header.height;
        for (number, tx) in block.txs.iter().enumerate() {
            let (hash, place, failed) = (tx.hash(), self.places, failed.contains(&number));
            self.places += 1;
            self.remember(MinedTx { tx: tx.clone(), hash, block: micro, height, failed, place });
        }
    }

    /// Forgets the state of the block that has just become too old for one: but that of a key block only when no fork may
    /// begin there any more.
    fn forget_states(&mut self, top: Height, config: &ChainConfig) {
        let recent = self.line.len().saturating_sub(config.kept_states.max(1));
        let oldest = self.oldest;
        let may_fork = |block: &Block| {
            block.header.is_key() && block.header.height.0.saturating_add(FORK_DEPTH) >= top.0
        };
        let deep = top.0.checked_sub(FORK_DEPTH + 1).and_then(|height| self.key_block(Height(height)));
        let aged = recent.checked_sub(1).map(|place| self.line[place]);
        for hash in aged.into_iter().chain(deep.map(BlockHash::from)) {
            if let Some(kept) = self.blocks.get_mut(&hash)
                && kept.ordinal - oldest < recent as u64
                && !may_fork(&kept.block)
            {
                kept.state = None;
            }
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
            match tx.channel_id() {
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

impl Kept {
    /// A block without its state, with what follows from it.
    pub fn new(block: Arc<Block>, (ordinal, places): (u64, u64), failed: Arc<[usize]>) -> Self {
        let mut touched: Vec<_> = block
            .txs
            .iter()
            .enumerate()
            .filter_map(|(number, tx)| tx.channel_id().map(|channel| (channel, number)))
            .collect();
        touched.sort_unstable();
        Self { block, ordinal, places, touched: touched.into(), failed, state: None }
    }

    /// Its transactions of a channel, in order.
    pub fn of_channel(&self, channel: ChannelId) -> impl DoubleEndedIterator<Item = MinedTx> {
        let start = self.touched.partition_point(|(other, _)| *other < channel);
        let numbers = self.touched[start..].iter().take_while(|(other, _)| *other == channel);
        let numbers: Vec<_> = numbers.map(|(_, number)| *number).collect();
        let first = self.places - self.block.txs.len() as u64;
        let header = &self.block.header;
        numbers.into_iter().filter_map(move |number| {
            let tx = self.block.txs.get(number)?.clone();
            let (hash, block, height) = (tx.hash(), header.micro_hash()?, header.height);
            let (failed, place) = (self.failed.contains(&number), first + number as u64);
            Some(MinedTx { tx, hash, block, height, failed, place })
        })
    }
}
