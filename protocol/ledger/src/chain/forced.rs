//! What forced calls in blocks made of the states of channels (`docs/protocol/channel_txs` §4.9).

use strait_encoding::{BlockHash, TxHash};

use super::Chain;
use crate::rules;
use crate::{Trees, Tx};

impl Chain {
    /// The trees of a channel after a forced call in a block of the main chain. The chain itself keeps their hash only: the block
    /// is run again up to there.
    pub(super) fn forced_trees(&self, hash: &TxHash) -> Option<Trees> {
        let mined = self.history.tx(hash)?;
        if !forces(mined.tx.tx()) {
            return None;
        }
        let block = self.history.block(&BlockHash::from(mined.block))?;
        let mut state = self.state_after(&block.header.prev_hash)?;
        let env = self.env_of_block(&block.header);
        for tx in block.txs.iter().take_while(|tx| tx.hash() != *hash) {
            rules::apply_authenticated(&mut state, tx, &env).ok()?;
        }
        rules::forced_trees(state, &mined.tx, &env)
    }
}

/// Whether a transaction forces a call, be it inside others.
fn forces(tx: &Tx) -> bool {
    match tx.inside() {
        Some(inside) => forces(inside),
        None => matches!(tx, Tx::ChannelForceProgress(_)),
    }
}
