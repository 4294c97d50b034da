//! What happened to channels between two blocks.

use std::collections::BTreeSet;

use strait_encoding::{BlockHash, ChannelId, Height};

use super::history::Kept;
use super::{Chain, MinedTx};
use crate::rules::{self, ChainState};
use crate::{ChainView, ChannelObject};
use strait_tree::Tree;

/// What happened to a channel since a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelNews {
    /// The last block.
    pub tip: BlockHash,
    /// Its height.
    pub top: Height,
    /// Whether the block that was asked about is still known. If not, `txs` is all that is known of the channel, and
    /// nothing can be said of `reverted`: what the reader has seen, and is not in `txs`, is not on chain.
    pub since: Since,
    /// The transactions of the channel that the reader has seen in blocks that a fork left behind, the last one first: what
    /// is undone is undone in that order. One that is in `txs` too has only moved.
    pub reverted: Vec<MinedTx>,
    /// The transactions of the channel since the last block that both have in common, in the order of the chain.
    pub txs: Vec<MinedTx>,
    /// The channel after the last block; none if it is not open yet, or closed.
    pub object: Option<ChannelObject>,
}

/// What became of a block that news are asked since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// It is on the main chain.
    Main,
    /// A fork left it behind.
    Abandoned,
    /// It was never seen, or is forgotten.
    Unknown,
}

impl Chain {
    /// What happened to a channel since `since`, that block itself left out. Where `since` is forgotten, everything that is
    /// known of the channel: whoever asks has to expect transactions that it has seen.
    pub fn news_since(&self, channel: ChannelId, since: &BlockHash) -> ChannelNews {
        let tip = self.top().hash();
        self.news_between(channel, since, &tip).unwrap_or_else(|| ChannelNews {
            tip,
            top: self.top_height(),
            since: Since::Unknown,
            reverted: Vec::new(),
            txs: self.history.of_channel(channel, 0, u64::MAX).cloned().collect(),
            object: self.channel(channel),
        })
    }

    /// What is different for a channel at block `to` from block `from`, on whichever branches they are: a pure function of
    /// the two. None where a block between them is forgotten.
    pub fn news_between(&self, channel: ChannelId, from: &BlockHash, to: &BlockHash) -> Option<ChannelNews> {
        let (left, joined) = (self.history.any(from)?, self.history.any(to)?);
        let common = self.common(from, to)?;
        let reverted = self
            .between(&common, left)?
            .into_iter()
            .flat_map(|kept| kept.of_channel(channel).rev())
            .collect::<Vec<_>>();
        let txs = if self.history.is_main(to) {
            let places = (self.history.any(&common)?.places, joined.places);
            self.history.of_channel(channel, places.0, places.1).cloned().collect()
        } else {
            let way = self.between(&common, joined)?;
            way.into_iter().rev().flat_map(|kept| kept.of_channel(channel)).collect()
        };
        let since = if self.history.is_main(from) { Since::Main } else { Since::Abandoned };
        let object = self.state_after(to)?.trees.channel(channel);
        let (tip, top) = (*to, joined.block.header.height);
        Some(ChannelNews { tip, top, since, reverted, txs, object })
    }

    /// The channels for which something may be different from what it was at `since`: those with a transaction in a block
    /// between there and the tip, or in one that a fork left behind. None where `since` is forgotten: then it may be any.
    ///
    /// It costs what those blocks hold, however many channels there are.
    pub fn touched_since(&self, since: &BlockHash) -> Option<BTreeSet<ChannelId>> {
        let tip = self.top().hash();
        let common = self.common(since, &tip)?;
        let mut touched = BTreeSet::new();
        for end in [since, &tip] {
            for kept in self.between(&common, self.history.any(end)?)? {
                touched.extend(kept.touched.iter().map(|(channel, _)| *channel));
            }
        }
        Some(touched)
    }

    /// The last block that two chains have in common.
    fn common(&self, one: &BlockHash, other: &BlockHash) -> Option<BlockHash> {
        let history = &self.history;
        let (mut one, mut other) = (*one, *other);
        while one != other {
            let (left, right) = (history.any(&one)?, history.any(&other)?);
            match (history.is_main(&one), history.is_main(&other)) {
                (true, true) => return history.at(left.ordinal.min(right.ordinal)),
                (false, true) if left.ordinal < right.ordinal => other = history.at(left.ordinal)?,
                (true, false) if right.ordinal < left.ordinal => one = history.at(right.ordinal)?,
                _ if left.ordinal >= right.ordinal => one = left.block.header.prev_hash,
                _ => other = right.block.header.prev_hash,
            }
        }
        history.any(&one).map(|_| one)
    }

    /// The blocks after `ancestor` up to `last`, the last one first.
    fn between<'a>(&'a self, ancestor: &BlockHash, last: &'a Kept) -> Option<Vec<&'a Kept>> {
        let (mut way, mut kept) = (Vec::new(), last);
        while kept.block.hash() != *ancestor {
            way.push(kept);
            kept = self.history.any(&kept.block.header.prev_hash)?;
        }
        Some(way)
    }

    /// The state after a block of any branch: from the last block before it whose state is kept. None where there is no
    /// such block any more.
    pub(super) fn state_after(&self, hash: &BlockHash) -> Option<ChainState> {
        let (mut way, mut at) = (Vec::new(), *hash);
        let mut state = loop {
            if at == self.tip.hash() {
                break self.state.clone();
            }
            if let Some(state) = self.history.state(&at) {
                break state.clone();
            }
            let kept = self.history.any(&at)?;
            way.push(kept);
            at = kept.block.header.prev_hash;
        };
        for kept in way.into_iter().rev() {
            if kept.block.header.is_key() {
                state.trees.calls = Tree::new();
            }
            let env = self.env_of_block(&kept.block.header);
            for tx in &kept.block.txs {
                rules::apply_authenticated(&mut state, tx, &env).ok()?;
            }
        }
        Some(state)
    }
}
