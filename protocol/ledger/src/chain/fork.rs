//! Going over to another branch (`docs/decisions/0007-forks.md`).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use strait_encoding::rlp::{DecodeError, Fields, List};
use strait_encoding::{BlockHash, Height, TxHash};
use thiserror::Error;

use super::pool::Waiting;
use super::{Block, Chain, ImportError};
use crate::{ChainView, SignedTx};

/// How many key blocks below the top a branch may begin.
pub const FORK_DEPTH: u64 = 100;

/// The branch that [`Chain::fork`] makes. It begins on the key block `depth` below the top, replaces everything after it,
/// and is one key block longer: `depth + 1` key blocks. Depth 0 replaces the micro blocks of the last generation alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForkPlan {
    /// How many key blocks below the top it begins; at most [`FORK_DEPTH`], and not below the first block.
    pub depth: u64,
    /// What becomes of the transactions of the blocks that are left behind.
    pub others: Abandoned,
    /// What becomes of some of them instead.
    pub chosen: BTreeMap<TxHash, Abandoned>,
    /// Where the branch holds those that are mined again.
    pub order: BranchOrder,
}

/// What becomes of a transaction in a block that a fork leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abandoned {
    /// It is mined again in the branch, if it can be; else it waits.
    Mined,
    /// It goes back to the pool, and waits for a block after the fork.
    Waits,
    /// It is dropped, and may not come back: as if a conflicting one had been mined, without one.
    Lost,
}

/// Where the branch holds what it mines again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BranchOrder {
    /// In the generation of the same height, in the same order.
    AsBefore,
    /// All at once before the first new key block, the last one first; what needs another one comes after it.
    Reversed,
    /// All in the last generation, in the same order.
    Last,
}

/// A branch as it is stored: its blocks, and what became of the transactions of those that it replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// The blocks, the first one on a block of the main chain.
    pub blocks: Vec<Block>,
    /// The transactions that were left behind and may not come back.
    pub lost: Vec<TxHash>,
}

/// Why the chain does not go over to a branch: the fault of whoever made it, or asked for it. The chain is unchanged.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ForkError {
    /// It has no blocks.
    #[error("a branch must have blocks")]
    Empty,
    /// It begins on a block that is not on the main chain.
    #[error("the branch begins on {0:?}, which is not on the main chain")]
    UnknownAncestor(BlockHash),
    /// It begins too far below the top.
    #[error("the branch begins {depth} key blocks below the top, at most {most} are possible")]
    TooDeep {
        /// How many key blocks below.
        depth: u64,
        /// The most that are possible here.
        most: u64,
    },
    /// It is not longer than what it would replace: the branch that was there first stays.
    #[error("the branch reaches height {found}, expected more than {top}")]
    NotLonger {
        /// The height of its last block.
        found: Height,
        /// The height of the chain.
        top: Height,
    },
    /// One of its blocks does not follow.
    #[error("{0}")]
    Block(#[from] ImportError),
}

impl ForkPlan {
    /// A fork of this depth in which everything is mined again as it was.
    pub fn new(depth: u64) -> Self {
        Self { depth, others: Abandoned::Mined, chosen: BTreeMap::new(), order: BranchOrder::AsBefore }
    }

    /// As [`new`](Self::new), but everything goes back to the pool.
    pub fn emptied(depth: u64) -> Self {
        Self { others: Abandoned::Waits, ..Self::new(depth) }
    }

    fn fate(&self, tx: &TxHash) -> Abandoned {
        self.chosen.get(tx).copied().unwrap_or(self.others)
    }
}

impl Branch {
    /// The branch for storage: a list of the blocks and a list of hashes.
    pub fn encode(&self) -> Vec<u8> {
        let blocks = self.blocks.iter().fold(List::new(), |list, block| list.bytes(&block.encode()));
        let lost = self.lost.iter().fold(List::new(), |list, hash| list.bytes(&hash.0));
        List::new().list(blocks).list(lost).finish()
    }

    /// Reads what [`encode`](Self::encode) gives.
    ///
    /// # Errors
    /// Malformed.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = Fields::of_list(bytes)?;
        let (mut blocks, mut lost) = (fields.list()?, fields.list()?);
        fields.end()?;
        let mut branch = Self { blocks: Vec::new(), lost: Vec::new() };
        while !blocks.is_empty() {
            branch.blocks.push(Block::decode(blocks.bytes()?)?);
        }
        while !lost.is_empty() {
            branch.lost.push(TxHash(lost.array()?));
        }
        Ok(branch)
    }
}

impl Chain {
    /// Goes over to a branch that is longer by key blocks, each of which counts as difficulty 1; of two that are equally
    /// long the one that was there first stays. The transactions of the blocks that are left behind go back to the pool,
    /// unless the branch holds them, or names them lost. The blocks stay known for some time: see
    /// [`news_since`](Self::news_since).
    ///
    /// # Errors
    /// The branch is not longer, begins too deep, or is not sound; the chain is then unchanged.
    pub fn switch(&mut self, branch: &Branch) -> Result<(), ForkError> {
        let (first, last) = match &branch.blocks[..] {
            [] => return Err(ForkError::Empty),
            [first, ..] => (first, branch.blocks.last().unwrap_or(first)),
        };
        let (found, top) = (last.header.height, self.top_height());
        if found <= top {
            return Err(ForkError::NotLonger { found, top });
        }
        let mut next = self.clone();
        let abandoned = next.rewind(&first.header.prev_hash)?;
        for block in &branch.blocks {
            next.import(block.clone())?;
        }
        next.take_back(abandoned, &branch.lost);
        *self = next;
        Ok(())
    }

    /// Makes a branch and goes over to it. `time_ms`: the time of its first block, milliseconds since 1970, or right after
    /// the last block there was, if that is later. For tests and tools: nothing of this happens by itself, because nobody
    /// competes.
    ///
    /// # Errors
    /// [`ForkError::TooDeep`]; the chain is then unchanged.
    pub fn fork(&mut self, plan: &ForkPlan, time_ms: u64) -> Result<Branch, ForkError> {
        let too_deep = |most| ForkError::TooDeep { depth: plan.depth, most };
        let top = self.top_height();
        let height = top.0.checked_sub(plan.depth).map(Height).ok_or(too_deep(top.0.min(FORK_DEPTH)))?;
        let ancestor = self.key_block_at(height).ok_or(too_deep(self.deepest_fork()))?;
        let mut next = self.clone();
        // Later than all blocks there were, so that no block of the branch is one of them.
        let time = time_ms.max(self.tip.header.time_ms.saturating_add(1));
        let abandoned = next.rewind(&ancestor.into())?;
        let blocks = next.mine_branch(plan, &abandoned, time);
        let lost = abandoned
            .iter()
            .flat_map(|block| &block.txs)
            .map(SignedTx::hash)
            .filter(|hash| plan.fate(hash) == Abandoned::Lost)
            .collect();
        let branch = Branch { blocks, lost };
        next.take_back(abandoned, &branch.lost);
        *self = next;
        Ok(branch)
    }

    /// How many key blocks below the top a branch may begin now.
    fn deepest_fork(&self) -> u64 {
        let top = self.top_height().0;
        let known = |depth: &u64| {
            let key_block = top.checked_sub(*depth).and_then(|height| self.key_block_at(Height(height)));
            key_block.is_some_and(|hash| self.history.state(&hash.into()).is_some())
        };
        (0..=FORK_DEPTH.min(top)).take_while(known).last().unwrap_or(0)
    }

    /// Goes back to a block of the main chain. Gives the blocks after it, in order: their transactions are nowhere then.
    fn rewind(&mut self, ancestor: &BlockHash) -> Result<Vec<Arc<Block>>, ForkError> {
        let block = self.history.block(ancestor).ok_or(ForkError::UnknownAncestor(*ancestor))?;
        let block = Arc::clone(block);
        let depth = self.top_height().0.saturating_sub(block.header.height.0);
        let too_deep = |chain: &Self| ForkError::TooDeep { depth, most: chain.deepest_fork() };
        if depth > FORK_DEPTH {
            return Err(too_deep(self));
        }
        self.state = self.state_after(ancestor).ok_or_else(|| too_deep(self))?;
        let abandoned = self.history.cut_after(ancestor, &self.config);
        self.tip = block;
        self.pool.reconsider();
        Ok(abandoned)
    }

    /// Makes the blocks of a branch on the tip.
    fn mine_branch(&mut self, plan: &ForkPlan, abandoned: &[Arc<Block>], time_ms: u64) -> Vec<Block> {
        let base = self.top_height().0;
        let mut due: VecDeque<(u64, SignedTx)> = VecDeque::new();
        for block in abandoned {
            let offset = match plan.order {
                BranchOrder::AsBefore => block.header.height.0.saturating_sub(base),
                BranchOrder::Reversed => 0,
                BranchOrder::Last => plan.depth + 1,
            };
            let again = block.txs.iter().filter(|tx| plan.fate(&tx.hash()) == Abandoned::Mined);
            due.extend(again.map(|tx| (offset, tx.clone())));
        }
        if plan.order == BranchOrder::Reversed {
            due.make_contiguous().reverse();
        }
        let (mut blocks, mut waiting, mut time) = (Vec::new(), Vec::new(), time_ms);
        for offset in 0..=plan.depth + 1 {
            if offset > 0 {
                blocks.push(self.mine_key_block(time));
                time = time.saturating_add(1);
            }
            while due.front().is_some_and(|(height, _)| *height <= offset)
                && let Some((_, tx)) = due.pop_front()
            {
                waiting.push(tx);
            }
            while let Some(block) = self.mine_these(&mut waiting, time) {
                blocks.push(block);
                time = time.saturating_add(1);
            }
        }
        blocks
    }

    /// Puts the transactions of abandoned blocks where they belong now.
    fn take_back(&mut self, abandoned: Vec<Arc<Block>>, lost: &[TxHash]) {
        let height = self.top_height();
        for tx in abandoned.iter().flat_map(|block| &block.txs) {
            let hash = tx.hash();
            if self.history.tx(&hash).is_some() {
                continue;
            }
            if lost.contains(&hash) {
                self.pool.drop_for_good(hash, self.config.gone_limit);
            } else {
                self.pool.insert(hash, Waiting::new(tx.clone(), height, self.config.protocol));
            }
        }
    }
}
