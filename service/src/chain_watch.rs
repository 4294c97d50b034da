//! Tells channels when the chain has news for them.

use strait_encoding::{BlockHash, ChannelId};
use strait_ledger::Chain;

use crate::service::Service;

/// Follows the tip until the chain is gone.
pub(crate) async fn follow(service: Service) {
    let mut tops = service.chain().tops();
    let mut last = *tops.borrow_and_update();
    while tops.changed().await.is_ok() {
        let top = *tops.borrow_and_update();
        let (touched, key_block) = between(&service.chain().view(), &last, top);
        service.registry().announce(&touched, key_block);
        last = top;
    }
}

/// The channels that blocks after `last` touch, and whether a key block is among them.
fn between(chain: &Chain, last: &BlockHash, top: BlockHash) -> (Vec<ChannelId>, bool) {
    let mut touched = Vec::new();
    let mut key_block = false;
    let mut hash = top;
    while hash != *last
        && let Some(block) = chain.block(&hash)
    {
        key_block |= block.header.is_key();
        touched.extend(block.txs.iter().filter_map(|tx| tx.tx().channel_id()));
        hash = block.header.prev_hash;
    }
    (touched, key_block)
}
