//! The blocks that forks left behind: whoever has seen them must be told what is different now.

use std::collections::{BTreeMap, VecDeque};

use strait_encoding::{BlockHash, Height};

use super::FORK_DEPTH;
use super::history::Kept;

/// Abandoned blocks of this many generations below the top are kept, so that a reader may be as far behind as a fork may
/// be deep.
const KEPT_GENERATIONS: u64 = 2 * FORK_DEPTH;

/// Abandoned blocks, the first abandoned first.
#[derive(Clone, Default)]
pub(super) struct Aside {
    blocks: BTreeMap<BlockHash, Kept>,
    order: VecDeque<BlockHash>,
}

impl Aside {
    pub fn get(&self, hash: &BlockHash) -> Option<&Kept> {
        self.blocks.get(hash)
    }

    /// In the order in which they were abandoned; those of one fork in the order of their chain.
    pub fn iter(&self) -> impl Iterator<Item = &Kept> {
        self.order.iter().filter_map(|hash| self.blocks.get(hash))
    }

    /// Adds a block, and forgets the first ones where there are more than `limit`, or they lie far below `top`.
    pub fn push(&mut self, kept: Kept, top: Height, limit: usize) {
        let hash = kept.block.hash();
        if self.blocks.insert(hash, kept).is_none() {
            self.order.push_back(hash);
        }
        while self.order.len() > limit.max(1) || self.is_first_old(top) {
            self.forget_first();
        }
    }

    /// Takes a block out that has come back to the main chain.
    pub fn remove(&mut self, hash: &BlockHash) {
        if self.blocks.remove(hash).is_some() {
            self.order.retain(|other| other != hash);
        }
    }

    /// Forgets what lies far below `top`.
    pub fn forget_old(&mut self, top: Height) {
        while self.is_first_old(top) {
            self.forget_first();
        }
    }

    fn is_first_old(&self, top: Height) -> bool {
        let first = self.order.front().and_then(|hash| self.blocks.get(hash));
        first.is_some_and(|kept| kept.block.header.height.0.saturating_add(KEPT_GENERATIONS) < top.0)
    }

    fn forget_first(&mut self) {
        if let Some(hash) = self.order.pop_front() {
            self.blocks.remove(&hash);
        }
    }
}
