//! The service as its operator sees it.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use strait_api::Sockets;
use strait_chain::ForkError;
use strait_channel::{Channel, Place};
use strait_encoding::Height;
use strait_ledger::{Chain, ChainView, ForkPlan};
use strait_operator::{ChainPicture, Depth, ForkRefused, Load, Lock, LogEntry, Operated, SideKey, Standing};
use strait_store::ChannelKey;
use tokio::sync::oneshot;

use crate::links::now;
use crate::registry::Mail;
use crate::service::Service;

/// What the operator's window looks at.
pub(crate) struct Window {
    pub(crate) service: Service,
    pub(crate) sockets: Sockets,
}

impl Operated for Window {
    fn standings(&self) -> Vec<Standing> {
        self.service.registry().all().iter().map(|line| line.standing()).collect()
    }

    async fn log(&self, key: SideKey, newest: usize) -> Option<Vec<LogEntry>> {
        let line = self.service.registry().line(&ChannelKey::new(key.0))?;
        let (reply, entries) = oneshot::channel();
        line.mailbox.send(Mail::Log(newest, reply)).await.ok()?;
        entries.await.ok()
    }

    fn top(&self) -> Height {
        self.service.chain().view().top_height()
    }

    fn chain(&self) -> ChainPicture {
        ChainPicture::of(&self.service.chain().view(), true)
    }

    async fn fork(&self, depth: u64) -> Result<(), ForkRefused> {
        self.service.chain().fork(ForkPlan::new(depth)).await.map_err(|why| match why {
            ForkError::Refused(why) => ForkRefused::Depth(why.to_string()),
            ForkError::Unavailable(why) => ForkRefused::Unavailable(why.to_string()),
        })
    }

    fn load(&self) -> Load {
        let lines = self.service.registry().all();
        let peers = lines.iter().filter(|line| line.standing().has_peer).count();
        let waiting = lines.iter().map(|line| line.mailbox.max_capacity() - line.mailbox.capacity());
        let view = self.service.chain().view();
        Load {
            sockets: self.sockets.open() as u64,
            peers: peers as u64,
            commit_queue: self.service.commits_under_way(),
            commit_failures: self.service.store().stats().refused,
            fullest_mailbox: waiting.max().unwrap_or(0) as u64,
            mempool: ChainPicture::of(&view, true).pending_count as u64,
            chain_lag: view.top_height().0.saturating_sub(self.service.followed().load(Relaxed)),
        }
    }
}

/// What a channel's task leaves behind for the window after a step; `before` is what it left the last time.
pub(crate) fn standing(
    channel: &Channel,
    key: ChannelKey,
    chain: &Arc<Chain>,
    before: Option<&Standing>,
) -> Standing {
    let terms = channel.terms();
    let unchanged = before.filter(|before| before.round == channel.round() && before.balances.is_some());
    Standing {
        key: SideKey(*key.as_bytes()),
        id: channel.id(),
        role: channel.role(),
        initiator: terms.initiator,
        responder: terms.responder,
        place: channel.place(),
        doing: channel.doing(),
        round: channel.round(),
        balances: unchanged.map_or_else(|| channel.balances(), |before| before.balances),
        reserve: terms.channel_reserve,
        depth: channel.counting().map(|(seen, needed)| Depth { seen, needed }),
        lock: lock_of(channel, chain),
        has_client: channel.has_client(),
        has_peer: channel.has_peer(),
        since: before.map_or_else(now, |before| before.since),
        heard: channel.last_heard(),
    }
}

fn lock_of(channel: &Channel, chain: &Arc<Chain>) -> Option<Lock> {
    if channel.place() != Place::Closing {
        return None;
    }
    let object = chain.channel(channel.id()?)?;
    Some(Lock { until: object.locked_until, period: object.lock_period })
}
