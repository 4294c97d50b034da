//! Tells channels when the chain has news for them.

use std::sync::atomic::Ordering::Relaxed;

use strait_encoding::BlockHash;
use strait_ledger::{BlockLocation, Chain, ChainView};

use crate::service::Service;

/// Follows the tip until the chain is gone. A block costs what is in it, however many channels are watched.
pub(crate) async fn follow(service: Service) {
    let mut tops = service.chain().tops();
    let mut last = *tops.borrow_and_update();
    while tops.changed().await.is_ok() {
        let top = *tops.borrow_and_update();
        let view = service.chain().view();
        match view.touched_since(&last) {
            Some(touched) => service.registry().announce(&touched, has_new_heights(&view, &last)),
            // So much happened at once that it cannot be told any more.
            None => service.registry().announce_to_all(),
        }
        service.followed().store(view.top_height().0, Relaxed);
        last = top;
    }
}

/// Whether confirmations may be others than at `last`: a key block came, or a fork.
fn has_new_heights(chain: &Chain, last: &BlockHash) -> bool {
    chain.locate_block(last) != BlockLocation::Main(chain.top_height())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use strait_encoding::NetworkId;
    use strait_ledger::{ChainConfig, ForkPlan};

    use super::*;

    #[test]
    fn heights_are_new_after_a_key_block_and_after_a_fork_alone() {
        let mut chain = Chain::new(ChainConfig::new(NetworkId("ae_dev".to_owned()), BTreeMap::new()));
        chain.mine_key_block(1);
        let last = chain.top().hash();
        assert!(!has_new_heights(&chain, &last));
        assert_eq!(chain.touched_since(&last), Some(BTreeSet::new()));
        chain.mine_key_block(2);
        assert!(has_new_heights(&chain, &last));
        let last = chain.top().hash();
        chain.fork(&ForkPlan::new(1), 3).unwrap();
        assert!(has_new_heights(&chain, &last));
    }
}
