//! The service: its parts, and what ties them together.

use std::sync::Arc;

use strait_api::{Attach, Desk, OpenRefusal, Seat};
use strait_chain::DevChain;
use strait_channel::{Channel, Reason, Role, Terms};
use strait_encoding::{BlockHash, ChannelId, FsmId};
use strait_peer::{DialPolicy, Listeners};
use strait_store::{ChannelKey, Store};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::channel_task::{Beginning, ChannelTask};
use crate::door::Door;
use crate::links::Links;
use crate::registry::{Mail, Registry};
use crate::stored;

/// A handle on the service; cheap to clone.
#[derive(Clone)]
pub struct Service(Arc<Parts>);

struct Parts {
    store: Store,
    chain: DevChain,
    listeners: Listeners,
    dial_policy: DialPolicy,
    max_channels: usize,
    registry: Registry,
    tasks: std::sync::Mutex<JoinSet<()>>,
}

impl Service {
    pub(crate) fn new(store: Store, chain: DevChain, listeners: Listeners, max_channels: usize) -> Self {
        Self(Arc::new(Parts {
            store,
            chain,
            listeners,
            dial_policy: DialPolicy::default(),
            max_channels,
            registry: Registry::default(),
            tasks: std::sync::Mutex::default(),
        }))
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    /// The chain that the channels live on.
    pub fn chain(&self) -> &DevChain {
        &self.0.chain
    }

    pub(crate) fn listeners(&self) -> &Listeners {
        &self.0.listeners
    }

    pub(crate) fn dial_policy(&self) -> &DialPolicy {
        &self.0.dial_policy
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// How many sides of channels the service holds, running and dormant.
    pub fn channels(&self) -> usize {
        self.registry().count()
    }

    /// Takes up every stored channel. One that cannot be read stays on disk and stops nothing else.
    pub(crate) fn restore(&self) -> Result<(), strait_store::StoreError> {
        let loaded = self.store().load()?;
        for quarantined in &loaded.quarantined {
            warn!(key = ?quarantined.key, why = %quarantined.why, "a stored channel is left alone");
        }
        for record in &loaded.records {
            match stored::read(record) {
                Ok((door, channel)) => {
                    // Everything that the chain knows of the channel is new to a task that starts.
                    let links = Links::new(self, record.key, door, channel.terms(), BlockHash::UNPINNED);
                    self.spawn(ChannelTask { channel, links, service: self.clone() }, Beginning::Restored);
                }
                Err(why) => warn!(key = %record.key, %why, "a stored channel is left alone"),
            }
        }
        info!(channels = self.channels(), "stored channels are taken up");
        Ok(())
    }

    /// Stops every channel's task; each finishes the step in hand.
    pub(crate) async fn stop(&self) {
        for line in self.registry().all() {
            // A full mailbox belongs to a task that is about to look at it; it is aborted below at the latest.
            let _ = line.mailbox.try_send(Mail::Stop);
        }
        let mut tasks = std::mem::take(&mut *self.tasks());
        while tasks.join_next().await.is_some() {}
    }

    fn spawn(&self, task: ChannelTask, beginning: Beginning) {
        self.registry().enter(task.links.line());
        if let Some(id) = task.channel.id() {
            self.registry().name(id, task.channel.role(), task.links.line());
        }
        let mut tasks = self.tasks();
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task.run(beginning));
    }

    fn tasks(&self) -> std::sync::MutexGuard<'_, JoinSet<()>> {
        self.0.tasks.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    async fn open(&self, terms: Terms) -> Result<Seat, OpenRefusal> {
        let limit = self.0.max_channels;
        if self.channels() >= limit {
            return Err(OpenRefusal::Internal {
                why: format!("the service holds its limit of {limit} channels"),
            });
        }
        let (door, fsm_id) = Door::new();
        let now = crate::links::now();
        let (step, tip) = {
            let view = self.chain().view();
            (Channel::open(terms, rand::random(), now, &*view).map_err(open_refusal)?, view.top().hash())
        };
        let channel = step.next().clone();
        let key = ChannelKey::new(rand::random());
        let mut links = Links::new(self, key, door, channel.terms(), tip);
        links.listen(&channel).await.map_err(|why| OpenRefusal::Internal { why })?;
        let seat = links.seat_client(fsm_id);
        self.spawn(ChannelTask { channel, links, service: self.clone() }, Beginning::Opened(step));
        Ok(seat)
    }

    async fn come_back(&self, id: ChannelId, fsm_id: FsmId, role: Role) -> Result<Seat, OpenRefusal> {
        let unknown = || OpenRefusal::UnknownChannel { channel_id: id };
        let line = self.registry().find(id, role).ok_or_else(unknown)?;
        let (reply, answer) = oneshot::channel();
        line.mailbox.send(Mail::Attach { fsm_id, reply }).await.map_err(|_| unknown())?;
        answer.await.map_err(|_| unknown())?
    }
}

impl Desk for Service {
    async fn attach(&self, attach: Attach) -> Result<Seat, OpenRefusal> {
        match attach {
            Attach::Open(terms) => self.open(terms).await,
            Attach::Existing { channel_id, fsm_id, role } => self.come_back(channel_id, fsm_id, role).await,
        }
    }
}

fn open_refusal(refusal: strait_channel::Refusal) -> OpenRefusal {
    match refusal.reason {
        Reason::ParticipantNotFound { parameter, account } => {
            OpenRefusal::ParticipantNotFound { parameter, account }
        }
        _ => OpenRefusal::Refused(refusal),
    }
}
