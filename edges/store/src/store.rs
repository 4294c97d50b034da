use std::fmt;
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use strait_channel::Durable;
use tokio::sync::{mpsc, oneshot};

use crate::disk::{Change, Disk};
use crate::durability::Durability;
use crate::error::StoreError;
use crate::faults::Faults;
use crate::record::{ChannelKey, Loaded, Record};
use crate::stats::{Counters, Stats};
use crate::sync_time;

/// The most changes that wait for the writer; who comes next waits for a place.
const QUEUE: usize = 1024;

/// The most changes in one transaction.
const MAX_BATCH: usize = 256;

/// A commit that takes longer than this is worth sharing; a faster one is over before a thread wakes up.
const SLOW_COMMIT: Duration = Duration::from_millis(1);

/// A commit that takes less may be done in the thread of a caller that is alone: others do not feel it.
const FAST_COMMIT: Duration = Duration::from_micros(500);

const MAX_LINGER: Duration = Duration::from_millis(1);

/// The durable state of all channels of one service. Clones are the same store.
///
/// Which way a save goes depends on the durability. With [`Durability::Process`] a commit takes microseconds, less than waking
/// a thread, so the caller does it. With [`Durability::Power`] the wait is for the disk, so a thread takes all that waits into
/// one transaction, and many channels share one sync; a caller that is alone, while the disk is fast, does it itself: waking
/// the thread and being woken by it would cost as much again.
///
/// When the last clone is dropped, the commits in hand are finished and the file is closed; that blocks for
/// as long as the disk takes. [`Store::close`] does it in sight, with its error.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
    /// `None` where the caller commits.
    writer: Option<Arc<Writer>>,
}

#[derive(Debug)]
struct Shared {
    /// `None` once closed.
    disk: Mutex<Option<Disk>>,
    /// Saves that were asked for and not answered yet.
    under_way: AtomicUsize,
    /// What the last commit took, in microseconds.
    last_commit: AtomicU64,
    counters: Arc<Counters>,
    faults: Arc<Faults>,
}

/// The thread that commits. Both are only `None` while being dropped.
#[derive(Debug)]
struct Writer {
    queue: Option<mpsc::Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

type Reply = oneshot::Sender<Result<(), StoreError>>;

#[derive(Debug)]
enum Order {
    Commit { change: Change, reply: Reply },
    Close { reply: Reply },
}

/// Whether the writer has more to do.
enum Served {
    Open,
    Closed,
}

impl Store {
    /// Opens `channels.db` under `dir`, made if it is not there (readable by the owner alone), for this store
    /// only.
    ///
    /// # Errors
    /// [`StoreError::InUse`] if another store has it open, [`StoreError::Newer`] and [`StoreError::Foreign`]
    /// for a file that is not to be touched, [`StoreError::Directory`], [`StoreError::Open`],
    /// [`StoreError::Read`] and [`StoreError::Thread`] if the machine does not let it: all the operator's to
    /// resolve.
    pub fn open(dir: &Path, durability: Durability) -> Result<Self, StoreError> {
        let (counters, faults) = (Arc::new(Counters::default()), Arc::new(Faults::default()));
        let disk = Disk::open(dir, durability, Arc::clone(&counters), Arc::clone(&faults))?;
        let shared = Arc::new(Shared {
            disk: Mutex::new(Some(disk)),
            under_way: AtomicUsize::new(0),
            last_commit: AtomicU64::new(0),
            counters,
            faults,
        });
        let writer = match durability {
            Durability::Process => None,
            Durability::Power => {
                let writer = Writer::start(Arc::clone(&shared)).map_err(StoreError::Thread)?;
                Some(Arc::new(writer))
            }
        };
        Ok(Self { shared, writer })
    }

    /// Reads every channel; for the start of a service. Blocks, some milliseconds for a thousand channels.
    ///
    /// # Errors
    /// [`StoreError::Read`] if nothing at all can be read (a damaged channel is only quarantined, and the
    /// rest loaded), [`StoreError::Closed`].
    pub fn load(&self) -> Result<Loaded, StoreError> {
        self.shared.disk().as_mut().ok_or(StoreError::Closed)?.load()
    }

    /// Stores `record` in the place of its key's last one; answers when it is as durable as the store is.
    ///
    /// Once polled it may be written even if the answer is not waited for.
    ///
    /// # Errors
    /// [`StoreError::Write`] if the disk refuses (the channel must stop; others are not concerned);
    /// [`StoreError::StepBehind`] and [`StoreError::TooLarge`] for a record that the caller should not have
    /// made; [`StoreError::Quarantined`]; [`StoreError::Closed`].
    pub async fn save(&self, record: Record) -> Result<Durable, StoreError> {
        self.save_while(record, Meanwhile::Nothing).await
    }

    /// As [`save`](Self::save), where `meanwhile` tells what the caller has begun.
    ///
    /// # Errors
    /// As there.
    pub async fn save_while(&self, record: Record, meanwhile: Meanwhile) -> Result<Durable, StoreError> {
        let step = record.step;
        let doomed = self.shared.faults.dooms(&record.key);
        self.commit(Change::Save { record, doomed }, meanwhile).await?;
        Ok(Durable::assertion(step))
    }

    /// Forgets the channel of `key`, quarantined or not; answers when that is as durable as the store is. A
    /// key that is not there is no error.
    ///
    /// # Errors
    /// [`StoreError::Write`] if the disk refuses, [`StoreError::Closed`].
    pub async fn delete(&self, key: ChannelKey) -> Result<(), StoreError> {
        self.commit(Change::Delete(key), Meanwhile::Nothing).await
    }

    /// Commits what was asked for before, brings the file to the disk whatever the durability, and lets go of
    /// it.
    ///
    /// Every later call fails with [`StoreError::Closed`], on all clones.
    ///
    /// # Errors
    /// [`StoreError::Close`] if the disk refuses: what was acknowledged is still there when the store is
    /// opened again; [`StoreError::Closed`] if it was closed before.
    pub async fn close(&self) -> Result<(), StoreError> {
        match &self.writer {
            Some(writer) => writer.order(|reply| Order::Close { reply }).await,
            None => self.shared.close(),
        }
    }

    /// The median time to write 4 KiB and sync them, of `rounds` times (at least one), in `dir`, which must
    /// exist: what a commit with [`Durability::Power`] costs at least.
    ///
    /// # Errors
    /// What the operating system answers if no file can be written there.
    pub fn measure_sync(dir: &Path, rounds: usize) -> io::Result<Duration> {
        sync_time::measure(dir, rounds)
    }

    /// What this store did since it was opened.
    pub fn stats(&self) -> Stats {
        self.shared.counters.read()
    }

    /// Makes a save to come fail, as [`crate::Fault`] says. Several faults add up.
    #[cfg(any(test, feature = "faults"))]
    pub fn inject(&self, fault: crate::Fault) {
        self.shared.faults.inject(fault);
    }

    /// Takes back every injected fault that did not happen yet.
    #[cfg(any(test, feature = "faults"))]
    pub fn heal(&self) {
        self.shared.faults.heal();
    }

    async fn commit(&self, change: Change, meanwhile: Meanwhile) -> Result<(), StoreError> {
        let saving = Saving::begin(&self.shared);
        let Some(writer) = &self.writer else {
            return self.shared.disk().as_mut().ok_or(StoreError::Closed)?.commit_one(&change);
        };
        if meanwhile == Meanwhile::Nothing
            && saving.is_alone
            && self.shared.is_fast()
            && let Ok(mut disk) = self.shared.disk.try_lock()
        {
            let disk = disk.as_mut().ok_or(StoreError::Closed)?;
            let begin = Instant::now();
            let outcome = disk.commit_one(&change);
            self.shared.note_commit(begin.elapsed());
            return outcome;
        }
        writer.order(|reply| Order::Commit { change, reply }).await
    }
}

/// What a caller has begun when it saves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meanwhile {
    /// Nothing: the save is next.
    Nothing,
    /// Tasks that the caller has woken should run beside the save.
    Others,
}

/// A save under way; it is over when this is dropped.
struct Saving<'a> {
    shared: &'a Shared,
    /// No other save was under way when it began.
    is_alone: bool,
}

impl<'a> Saving<'a> {
    fn begin(shared: &'a Shared) -> Self {
        Self { shared, is_alone: shared.under_way.fetch_add(1, Relaxed) == 0 }
    }
}

impl Drop for Saving<'_> {
    fn drop(&mut self) {
        self.shared.under_way.fetch_sub(1, Relaxed);
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

impl Shared {
    fn disk(&self) -> MutexGuard<'_, Option<Disk>> {
        self.disk.lock().unwrap_or_else(|poisoned| {
            // Whoever panicked left a state that nobody can vouch for: fail every save from here on.
            let mut disk = poisoned.into_inner();
            *disk = None;
            disk
        })
    }

    fn note_commit(&self, took: Duration) {
        self.last_commit.store(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Whether the last commit was fast enough for a caller to wait for the next one in its own thread.
    fn is_fast(&self) -> bool {
        u128::from(self.last_commit.load(Relaxed)) < FAST_COMMIT.as_micros()
    }

    fn close(&self) -> Result<(), StoreError> {
        let disk = self.disk().take();
        disk.ok_or(StoreError::Closed)?.close()
    }

    /// Commits everything up to an order to close; the rest is dropped, which tells its callers.
    fn serve(&self, orders: &mut Vec<Order>) -> Served {
        let (mut changes, mut replies) = (Vec::with_capacity(orders.len()), Vec::with_capacity(orders.len()));
        let mut close = None;
        for order in orders.drain(..) {
            match order {
                Order::Commit { change, reply } => {
                    changes.push(change);
                    replies.push(reply);
                }
                Order::Close { reply } => {
                    close = Some(reply);
                    break;
                }
            }
        }
        if let Some(disk) = self.disk().as_mut() {
            for (reply, outcome) in replies.into_iter().zip(disk.commit_batch(&changes)) {
                // A caller that stopped waiting is not owed an answer.
                let _ = reply.send(outcome);
            }
        }
        match close {
            None => Served::Open,
            Some(reply) => {
                let _ = reply.send(self.close());
                Served::Closed
            }
        }
    }
}

/// Lets the callers of a shared commit come back, if the disk is slow, so that they share the next one too.
///
/// Without it the first to come back starts a commit alone, all others wait for it and then for theirs, and
/// it stays so: with 20 callers and 2 ms per sync, each save waits for two syncs. A sixteenth of one is
/// enough.
fn linger(orders: usize, commit: Duration) {
    if orders > 1 && commit >= SLOW_COMMIT {
        std::thread::sleep((commit / 16).min(MAX_LINGER));
    }
}

impl Writer {
    fn start(shared: Arc<Shared>) -> io::Result<Self> {
        let (queue, mut waiting) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new().name("store".to_owned()).spawn(move || {
            let mut orders = Vec::with_capacity(MAX_BATCH);
            while waiting.blocking_recv_many(&mut orders, MAX_BATCH) > 0 {
                let (count, begin) = (orders.len(), Instant::now());
                if matches!(shared.serve(&mut orders), Served::Closed) {
                    break;
                }
                shared.note_commit(begin.elapsed());
                linger(count, begin.elapsed());
            }
        })?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    async fn order(&self, order: impl FnOnce(Reply) -> Order) -> Result<(), StoreError> {
        let queue = self.queue.as_ref().ok_or(StoreError::Closed)?;
        let (reply, answer) = oneshot::channel();
        queue.send(order(reply)).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported where it happened; its callers were told.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
