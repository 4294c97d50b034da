//! Which channels there are, and how to reach their tasks.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use strait_api::{OpenRefusal, Seat};
use strait_channel::{Message, Place, Role};
use strait_encoding::{AccountId, ChannelId, FsmId};
use strait_operator::{LogEntry, Standing};
use strait_peer::Session;
use strait_store::ChannelKey;
use tokio::sync::{Notify, mpsc, oneshot};

/// What is sent to a channel's task.
pub(crate) enum Mail {
    /// A client wants the channel. In a box, as the other: a mailbox has room for many letters, and most never get one.
    Attach(Box<Comer>),
    /// A peer knocks.
    Knock(Box<Knock>),
    /// The operator wants the newest so many entries of the log.
    Log(usize, oneshot::Sender<Vec<LogEntry>>),
    /// The service stops.
    Stop,
}

/// A client that wants a channel which exists.
pub(crate) struct Comer {
    /// The secret that it shows.
    pub fsm_id: FsmId,
    /// Where it waits for its seat.
    pub reply: oneshot::Sender<Result<Seat, OpenRefusal>>,
}

/// A peer and its first message.
pub(crate) struct Knock {
    /// The session.
    pub session: Session,
    /// The message.
    pub message: Message,
    /// Gives the session back if it is not taken.
    pub reply: oneshot::Sender<Result<(), Session>>,
}

/// How to reach a channel's task.
#[derive(Clone)]
pub(crate) struct Line {
    pub key: ChannelKey,
    pub mailbox: mpsc::Sender<Mail>,
    /// The chain has news.
    pub news: Arc<Notify>,
    /// The channel wants to hear of every key block.
    pub awaits_depth: Arc<AtomicBool>,
    /// How the channel stood after its last step.
    pub standing: Arc<Mutex<Standing>>,
}

impl Line {
    /// How the channel stood after its last step.
    pub(crate) fn standing(&self) -> Standing {
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn stand(&self, standing: Standing) {
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner) = standing;
    }
}

/// A responder that waits for whoever offers it a channel (`docs/protocol/fsm` §13).
struct Waiting {
    responder: AccountId,
    initiator: Option<AccountId>,
    port: u16,
    line: Line,
}

#[derive(Default)]
struct Lines {
    all: HashMap<ChannelKey, Line>,
    /// The newest first. There is more than one only while an opening that nobody attends to is tried again.
    named: HashMap<(ChannelId, Role), Vec<Line>>,
    waiting: Vec<Waiting>,
}

/// The channels of this service.
#[derive(Default)]
pub(crate) struct Registry {
    lines: Mutex<Lines>,
    count: AtomicUsize,
}

impl Registry {
    /// Takes up a channel.
    pub(crate) fn enter(&self, line: &Line) {
        let mut lines = self.lines();
        lines.all.insert(line.key, line.clone());
        self.count.store(lines.all.len(), Ordering::Relaxed);
    }

    /// The channel comes to its id. Says whether it may: two that go on beside each other would be one channel on chain, with two
    /// states of each round.
    ///
    /// An initiator whose opening came to nothing has to try again with the same nonce, and so with the same id. What it left behind
    /// hears of the chain as before, in case that its peer has signed.
    pub(crate) fn name(&self, id: ChannelId, role: Role, line: &Line) -> bool {
        let mut lines = self.lines();
        let holders = lines.named.entry((id, role)).or_default();
        if holders.iter().any(|holder| holder.key == line.key) {
            return true;
        }
        let is_left_behind = |holder: &Line| {
            let standing = holder.standing();
            role == Role::Initiator
                && standing.place == Place::Opening
                && !standing.has_client
                && !standing.has_peer
        };
        let free = holders.iter().all(is_left_behind);
        if free {
            holders.insert(0, line.clone());
        }
        free
    }

    /// A responder waits for an offer on `port`.
    pub(crate) fn wait(&self, responder: AccountId, initiator: Option<AccountId>, port: u16, line: &Line) {
        self.lines().waiting.push(Waiting { responder, initiator, port, line: line.clone() });
    }

    /// It does not wait any more.
    pub(crate) fn stop_waiting(&self, key: ChannelKey) {
        self.lines().waiting.retain(|waiting| waiting.line.key != key);
    }

    /// The channel is gone.
    pub(crate) fn leave(&self, key: ChannelKey, named: Option<(ChannelId, Role)>) {
        let mut lines = self.lines();
        lines.all.remove(&key);
        lines.waiting.retain(|waiting| waiting.line.key != key);
        if let Some(name) = named
            && let Some(holders) = lines.named.get_mut(&name)
        {
            holders.retain(|holder| holder.key != key);
            if holders.is_empty() {
                lines.named.remove(&name);
            }
        }
        self.count.store(lines.all.len(), Ordering::Relaxed);
    }

    /// Who has this id.
    pub(crate) fn find(&self, id: ChannelId, role: Role) -> Vec<Line> {
        self.lines().named.get(&(id, role)).cloned().unwrap_or_default()
    }

    /// Who waits for an offer of this initiator: those that name it first, then those that take anybody.
    pub(crate) fn candidates(&self, responder: AccountId, initiator: AccountId, port: u16) -> Vec<Line> {
        let lines = self.lines();
        let here = |waiting: &&Waiting| waiting.responder == responder && waiting.port == port;
        let exact = lines.waiting.iter().filter(here).filter(|waiting| waiting.initiator == Some(initiator));
        let anybody = lines.waiting.iter().filter(here).filter(|waiting| waiting.initiator.is_none());
        exact.chain(anybody).map(|waiting| waiting.line.clone()).collect()
    }

    /// Tells the touched channels, and after a key block or a fork all that wait for confirmations, that the chain has news.
    pub(crate) fn announce(&self, touched: &BTreeSet<ChannelId>, key_block: bool) {
        let lines = self.lines();
        for id in touched {
            for role in [Role::Initiator, Role::Responder] {
                let holders = lines.named.get(&(*id, role));
                holders.into_iter().flatten().for_each(|line| line.news.notify_one());
            }
        }
        if key_block {
            let waiting = lines.all.values().filter(|line| line.awaits_depth.load(Ordering::Relaxed));
            waiting.for_each(|line| line.news.notify_one());
        }
    }

    /// Tells all channels that the chain has news.
    pub(crate) fn announce_to_all(&self) {
        self.lines().all.values().for_each(|line| line.news.notify_one());
    }

    /// The channel of this key.
    pub(crate) fn line(&self, key: &ChannelKey) -> Option<Line> {
        self.lines().all.get(key).cloned()
    }

    /// Every channel.
    pub(crate) fn all(&self) -> Vec<Line> {
        self.lines().all.values().cloned().collect()
    }

    /// How many channels there are.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
