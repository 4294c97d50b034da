//! What happened to a channel between two tips.

use strait_encoding::{BlockHash, ChannelId, Height};

use super::{Chain, MinedTx};
use crate::{ChainView, ChannelObject};

/// What happened to a channel since a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelNews {
    /// The last block.
    pub tip: BlockHash,
    /// Its height.
    pub top: Height,
    /// The transactions of the channel since then, in the order of the chain.
    pub txs: Vec<MinedTx>,
    /// The channel after the last block; none if it is not open yet, or closed.
    pub object: Option<ChannelObject>,
}

impl Chain {
    /// What happened to a channel since `since`, that block itself left out. Where `since` is not on this chain, or
    /// forgotten, everything that is known of the channel: whoever asks has to expect transactions that it has seen.
    pub fn news_since(&self, channel: ChannelId, since: &BlockHash) -> ChannelNews {
        let from = self.history.places_until(since).unwrap_or(0);
        ChannelNews {
            tip: self.top().hash(),
            top: self.top_height(),
            txs: self.history.of_channel(channel, from).cloned().collect(),
            object: self.channel(channel),
        }
    }
}
