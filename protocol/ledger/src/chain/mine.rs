//! Making blocks, and taking over those that were made before.

use std::collections::BTreeSet;
use std::sync::Arc;

use strait_encoding::{AccountId, BlockHash, Height, RootHash, TxHash};
use strait_tree::Tree;
use thiserror::Error;

use super::block::txs_hash;
use super::pool::Candidate;
use super::{Block, BlockKind, Chain, Header};
use crate::rules::{self, ChainState, RuleError};
use crate::{SignedTx, fee};

/// Why a block cannot follow the tip: the fault of whoever stored or sent it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ImportError {
    /// It follows another block.
    #[error("block {block:?} follows {prev:?}, the tip is {tip:?}")]
    NotOnTip {
        /// The block.
        block: BlockHash,
        /// The block before it.
        prev: BlockHash,
        /// The tip.
        tip: BlockHash,
    },
    /// It holds transactions, and no generation has begun.
    #[error("block {0:?} holds transactions at height 0")]
    NoGeneration(BlockHash),
    /// A transaction in it breaks a rule.
    #[error("transaction {tx} in block {block:?}: {error}")]
    Rule {
        /// The block.
        block: BlockHash,
        /// The transaction.
        tx: TxHash,
        /// The rule.
        error: Box<RuleError>,
    },
    /// Made from the tip with the same transactions and time, the block is another one.
    #[error("block {found:?} does not follow from its transactions: expected {expected:?}")]
    OtherBlock {
        /// The hash of the block.
        found: BlockHash,
        /// The hash that follows.
        expected: BlockHash,
    },
}

/// The transactions of a micro block and the state after them, not yet sealed.
struct Draft {
    txs: Vec<SignedTx>,
    state: ChainState,
}

impl Chain {
    /// Opens the next generation at this time, in milliseconds since 1970, or right after the last block if that is
    /// later. Forgets contract calls, and transactions that have waited too long.
    pub fn mine_key_block(&mut self, time_ms: u64) -> Block {
        let (block, state) = self.key_block(self.later(time_ms));
        self.adopt(block, state)
    }

    /// Makes a micro block of what can go into one. `None` if nothing can, or before the first generation has begun.
    /// Every transaction that is tried and fails comes closer to being dropped, but is not tried twice on the same top.
    pub fn mine_micro_block(&mut self, time_ms: u64) -> Option<Block> {
        if self.tip.header.height == Height(0) {
            return None;
        }
        let time_ms = self.later(time_ms);
        let draft = self.draft(time_ms);
        if draft.txs.is_empty() {
            return None;
        }
        let (block, state) = self.micro_block(draft, time_ms);
        Some(self.adopt(block, state))
    }

    /// Appends a block that was made before, with all checks. Its transactions leave the pool.
    ///
    /// # Errors
    /// It does not follow the tip; the chain is then unchanged.
    pub fn import(&mut self, block: Block) -> Result<(), ImportError> {
        self.take_over(block, true)
    }

    /// As [`import`](Self::import); signatures are checked only if asked for.
    pub(super) fn take_over(&mut self, block: Block, with_signatures: bool) -> Result<(), ImportError> {
        let (header, tip) = (&block.header, self.tip.hash());
        if header.prev_hash != tip {
            return Err(ImportError::NotOnTip { block: block.hash(), prev: header.prev_hash, tip });
        }
        let (made, state) = match header.kind {
            BlockKind::Key { .. } => self.key_block(header.time_ms),
            BlockKind::Micro { .. } if self.tip.header.height == Height(0) => {
                return Err(ImportError::NoGeneration(block.hash()));
            }
            BlockKind::Micro { .. } => {
                let state = self.replay(&block, with_signatures)?;
                self.micro_block(Draft { txs: block.txs.clone(), state }, header.time_ms)
            }
        };
        if made != block {
            return Err(ImportError::OtherBlock { found: block.hash(), expected: made.hash() });
        }
        self.adopt(made, state);
        Ok(())
    }

    fn replay(&self, block: &Block, with_signatures: bool) -> Result<ChainState, ImportError> {
        let (mut state, env) = (self.state.clone(), self.env_of_block(&block.header));
        for tx in &block.txs {
            let applied = if with_signatures {
                rules::apply(&mut state, tx, &env)
            } else {
                rules::apply_authenticated(&mut state, tx, &env)
            };
            applied.map_err(|error| ImportError::Rule {
                block: block.hash(),
                tx: tx.hash(),
                error: Box::new(error),
            })?;
        }
        Ok(state)
    }

    fn key_block(&self, time_ms: u64) -> (Block, ChainState) {
        let mut state = self.state.clone();
        state.trees.calls = Tree::new();
        let kind = BlockKind::Key { miner: AccountId::ZERO };
        let header = self.seal(self.tip.header.height.next(), &state, time_ms, kind);
        (Block { header, txs: Vec::new() }, state)
    }

    fn micro_block(&self, draft: Draft, time_ms: u64) -> (Block, ChainState) {
        let kind = BlockKind::Micro { txs_hash: txs_hash(&draft.txs) };
        let header = self.seal(self.tip.header.height, &draft.state, time_ms, kind);
        (Block { header, txs: draft.txs }, draft.state)
    }

    fn seal(&self, height: Height, state: &ChainState, time_ms: u64, kind: BlockKind) -> Header {
        // The versions of the protocols fit into 32 bits.
        let version = u32::try_from(self.config.protocol.version()).unwrap_or(u32::MAX);
        let prev = (self.tip.hash(), self.tip.header.key_hash());
        let state_hash = RootHash(state.trees.state_hash().0);
        Header::new((version, height), prev, state_hash, time_ms, kind)
    }

    fn later(&self, time_ms: u64) -> u64 {
        time_ms.max(self.tip.header.time_ms.saturating_add(1))
    }

    fn adopt(&mut self, block: Block, state: ChainState) -> Block {
        let tip = Arc::new(block.clone());
        self.history.push(Arc::clone(&tip), &state, &self.config);
        for tx in &tip.txs {
            self.pool.remove(&tx.hash());
        }
        if tip.header.is_key() {
            self.pool.collect(tip.header.height, &state.trees, &self.config);
        }
        self.tip = tip;
        self.state = state;
        block
    }

    /// Tries what waits, best first, until the block is full or all have been tried once.
    fn draft(&mut self, time_ms: u64) -> Draft {
        let top = self.tip.hash();
        let mut candidates = self.pool.candidates(self.tip.header.height, &top, &self.state.trees);
        let mut draft = Draft { txs: Vec::new(), state: self.state.clone() };
        let mut gas_left = self.config.block_gas_limit;
        loop {
            let batch = take_batch(&mut candidates, gas_left);
            if batch.is_empty() {
                return draft;
            }
            for candidate in batch {
                match self.try_one(&mut draft, &candidate.hash, time_ms) {
                    Ok(()) => gas_left = gas_left.saturating_sub(candidate.gas),
                    Err(error) => self.pool.fail(candidate.hash, &error, top, self.config.gone_limit),
                }
            }
        }
    }

    /// Makes a micro block of those of `txs` that can go into one, in their order, and takes them out. `None` if none can.
    pub(super) fn mine_these(&mut self, txs: &mut Vec<SignedTx>, time_ms: u64) -> Option<Block> {
        if self.tip.header.height == Height(0) {
            return None;
        }
        let time_ms = self.later(time_ms);
        let mut draft = Draft { txs: Vec::new(), state: self.state.clone() };
        let mut gas_left = self.config.block_gas_limit;
        txs.retain(|tx| {
            let gas = fee::block_gas(tx.tx(), self.config.protocol);
            let fits = gas <= gas_left && self.apply_one(&mut draft, tx, time_ms).is_ok();
            if fits {
                gas_left -= gas;
            }
            !fits
        });
        if draft.txs.is_empty() {
            return None;
        }
        let (block, state) = self.micro_block(draft, time_ms);
        Some(self.adopt(block, state))
    }

    fn try_one(&self, draft: &mut Draft, hash: &TxHash, time_ms: u64) -> Result<(), RuleError> {
        let Some(waiting) = self.pool.get(hash) else { return Ok(()) };
        self.apply_one(draft, &waiting.tx, time_ms)
    }

    fn apply_one(&self, draft: &mut Draft, tx: &SignedTx, time_ms: u64) -> Result<(), RuleError> {
        // The signatures were checked on submission; who must sign can only have become unknown since.
        rules::required_signers(tx.tx(), &draft.state.trees)?;
        rules::apply_authenticated(&mut draft.state, tx, &self.env(time_ms))?;
        draft.txs.push(tx.clone());
        Ok(())
    }
}

/// Takes the best candidates that fit together, one for each account and nonce, in the order of accounts and nonces; meta
/// transactions come after them, the best first.
fn take_batch(candidates: &mut Vec<Candidate>, gas_limit: u64) -> Vec<Candidate> {
    let mut gas_left = gas_limit;
    let mut taken = BTreeSet::new();
    let (mut batch, rest): (Vec<_>, Vec<_>) = std::mem::take(candidates).into_iter().partition(|candidate| {
        let fits = candidate.gas <= gas_left && (candidate.is_meta() || taken.insert(candidate.origin));
        if fits {
            gas_left -= candidate.gas;
        }
        fits
    });
    *candidates = rest;
    // The sort is stable: meta transactions keep their order.
    batch.sort_by_key(|candidate| (candidate.is_meta(), (!candidate.is_meta()).then_some(candidate.origin)));
    batch
}
