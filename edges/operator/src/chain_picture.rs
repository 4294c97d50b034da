//! The chain as a picture of bounded size: the newest blocks, and what waits.

use strait_encoding::{BlockHash, Height, NetworkId};
use strait_ledger::{Block, Chain, ChainView, SignedTx};

/// The most blocks that a picture shows.
pub const MOST_BLOCKS: usize = 32;

/// The most transactions that are shown of a block.
pub const MOST_IN_BLOCK: usize = 20;

/// The most waiting transactions that are shown.
pub const MOST_PENDING: usize = 50;

/// A chain at a moment.
#[derive(Clone, Debug)]
pub struct ChainPicture {
    /// The network.
    pub network: NetworkId,
    /// The newest blocks, the newest first, at most [`MOST_BLOCKS`].
    pub blocks: Vec<BlockPicture>,
    /// Transactions that wait, at most [`MOST_PENDING`].
    pub pending: Vec<SignedTx>,
    /// How many wait in all.
    pub pending_count: usize,
    /// Whether [`Operated::fork`](crate::Operated::fork) does something.
    pub can_fork: bool,
}

/// A block in a picture.
#[derive(Clone, Debug)]
pub struct BlockPicture {
    /// Its hash.
    pub hash: BlockHash,
    /// Whether it opens a generation.
    pub is_key: bool,
    /// The height of its generation.
    pub height: Height,
    /// When it was made: milliseconds since 1970.
    pub time_ms: u64,
    /// Its transactions, at most [`MOST_IN_BLOCK`].
    pub txs: Vec<SignedTx>,
    /// How many it has in all.
    pub tx_count: usize,
}

impl ChainPicture {
    /// The picture of a chain that we hold.
    pub fn of(chain: &Chain, can_fork: bool) -> Self {
        let mut blocks = Vec::with_capacity(MOST_BLOCKS);
        let mut next = Some(chain.top());
        while let Some(block) = next.filter(|_| blocks.len() < MOST_BLOCKS) {
            blocks.push(BlockPicture::of(block));
            next = chain.block(&block.header.prev_hash);
        }
        let pending: Vec<_> = chain.pending().take(MOST_PENDING).cloned().collect();
        let pending_count = pending.len() + chain.pending().skip(MOST_PENDING).count();
        Self { network: chain.network().clone(), blocks, pending, pending_count, can_fork }
    }

    /// The last block; none where the chain is not known yet.
    pub fn top(&self) -> Option<&BlockPicture> {
        self.blocks.first()
    }
}

impl BlockPicture {
    fn of(block: &Block) -> Self {
        Self {
            hash: block.hash(),
            is_key: block.header.is_key(),
            height: block.header.height,
            time_ms: block.header.time_ms,
            txs: block.txs.iter().take(MOST_IN_BLOCK).cloned().collect(),
            tx_count: block.txs.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use strait_ledger::ChainConfig;

    use super::*;

    #[test]
    fn a_picture_begins_with_the_top_and_ends_after_so_many_blocks() {
        let mut chain = Chain::new(ChainConfig::new(NetworkId("ae_test".to_owned()), BTreeMap::new()));
        assert_eq!(ChainPicture::of(&chain, false).blocks.len(), 1);
        for time in 1..=100 {
            chain.mine_key_block(time);
        }
        let picture = ChainPicture::of(&chain, true);
        assert_eq!(picture.top().map(|block| block.hash), Some(chain.top().hash()));
        let heights: Vec<_> = picture.blocks.iter().map(|block| block.height.0).collect();
        let expected: Vec<_> = (0..=100).rev().take(MOST_BLOCKS).collect();
        assert_eq!(heights, expected);
    }
}
