//! Two copies of a chain: one that everybody reads, one that the next blocks are made on.
//!
//! A block must be on disk before anybody sees it, readers must not wait for the disk, and copying a chain costs more than
//! a block does. So what was done to one copy is done again to the other: a chain is a value, and the same steps give the
//! same blocks.

use std::sync::{Arc, PoisonError, RwLock};

use strait_ledger::{Branch, Chain, SignedTx};

/// The copy that everybody reads. Locked only to take or to exchange the pointer.
pub(crate) struct Shown(RwLock<Arc<Chain>>);

/// One thing that was done to a chain.
pub(crate) enum Step {
    /// A transaction was taken into the pool.
    Submit(SignedTx),
    /// A key block was made at this time.
    KeyBlock(u64),
    /// A micro block was made at this time; or none came of it, which counts against what failed to go in.
    MicroBlock(u64),
    /// It went over to this branch.
    Branch(Arc<Branch>),
}

/// The writer's side.
pub(crate) struct Twin {
    shown: Arc<Shown>,
    spare: Arc<Chain>,
    /// What the spare copy lacks.
    behind: Vec<Step>,
}

impl Shown {
    /// The chain as it is now; it does not change in the reader's hands.
    pub fn get(&self) -> Arc<Chain> {
        // Nothing can panic under the lock: the pointer in it is whole.
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace(&self, next: Arc<Chain>) -> Arc<Chain> {
        std::mem::replace(&mut self.0.write().unwrap_or_else(PoisonError::into_inner), next)
    }
}

impl Step {
    /// Does it again.
    fn repeat(self, chain: &mut Chain) {
        match self {
            Step::Submit(tx) => {
                if let Err(error) = chain.submit(tx) {
                    tracing::error!(%error, "the second copy of the chain refuses what the first one took");
                }
            }
            Step::KeyBlock(time_ms) => {
                chain.mine_key_block(time_ms);
            }
            Step::MicroBlock(time_ms) => {
                chain.mine_micro_block(time_ms);
            }
            Step::Branch(branch) => {
                if let Err(error) = chain.switch(&branch) {
                    tracing::error!(%error, "the second copy of the chain refuses a branch");
                }
            }
        }
    }
}

impl Twin {
    /// Both copies of this chain.
    pub fn new(chain: Chain) -> Self {
        let spare = Arc::new(chain.clone());
        Self { shown: Arc::new(Shown(RwLock::new(Arc::new(chain)))), spare, behind: Vec::new() }
    }

    /// The readers' side.
    pub fn shown(&self) -> Arc<Shown> {
        Arc::clone(&self.shown)
    }

    /// The copy to change, equal to the shown one at first. Whoever changes it must either [`show`](Self::show) or
    /// [`discard`](Self::discard) the changes before the next call.
    pub fn ahead(&mut self) -> &mut Chain {
        // A reader who still holds this copy keeps it; then a new one is made.
        let chain = Arc::make_mut(&mut self.spare);
        for step in self.behind.drain(..) {
            step.repeat(chain);
        }
        let shown = self.shown.get();
        if chain.top().hash() != shown.top().hash() {
            tracing::error!("the two copies of the chain have come apart: the hidden one is made anew");
            chain.clone_from(&shown);
        }
        chain
    }

    /// Shows the changed copy, to which exactly `steps` have been done.
    pub fn show(&mut self, steps: Vec<Step>) {
        self.spare = self.shown.replace(Arc::clone(&self.spare));
        self.behind = steps;
    }

    /// Forgets the changes.
    pub fn discard(&mut self) {
        self.spare = Arc::new(Chain::clone(&self.shown.get()));
        self.behind.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use strait_encoding::NetworkId;
    use strait_ledger::{ChainConfig, ChainView};

    use super::*;

    fn twin() -> Twin {
        Twin::new(Chain::new(ChainConfig::new(NetworkId("ae_dev".to_owned()), BTreeMap::new())))
    }

    #[test]
    fn nothing_is_seen_before_it_is_shown() {
        let mut twin = twin();
        let shown = twin.shown();
        let genesis = shown.get();
        for height in 1..=3 {
            let made = twin.ahead().mine_key_block(height).hash();
            assert_eq!(shown.get().top_height().0, height - 1);
            twin.show(vec![Step::KeyBlock(height)]);
            assert_eq!(shown.get().top().hash(), made);
        }
        assert_eq!(genesis.top_height().0, 0, "a reader's copy has changed");
    }

    #[test]
    fn what_is_discarded_was_never_there() {
        let mut twin = twin();
        twin.ahead().mine_key_block(1);
        twin.show(vec![Step::KeyBlock(1)]);
        let before = twin.shown().get().top().hash();
        twin.ahead().mine_key_block(7);
        twin.discard();
        assert_eq!(twin.shown().get().top().hash(), before);
        assert_eq!(twin.ahead().top().hash(), before);
    }
}
