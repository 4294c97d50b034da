//! The handle of the dev chain.

use std::convert::Infallible;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use strait_encoding::{BlockHash, TxHash};
use strait_ledger::{Chain, ChainConfig, ForkPlan, SignedTx};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::clock::Intervals;
use crate::disk::Disk;
use crate::writer::{Order, Reply, Shared, Writer};
use crate::{ChainError, DepthWait, ForkError, SubmitError, Unavailable};

/// The most orders that wait for the writer; who comes next waits for a place.
const QUEUE: usize = 1024;

/// Key blocks that share a transaction when many are asked for.
const KEY_BLOCKS_AT_ONCE: u32 = 64;

const LONGEST_INTERVAL: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Settings of a [`DevChain`].
#[derive(Clone, Debug)]
pub struct DevChainConfig {
    /// What the chain is: network, first accounts, limits.
    pub ledger: ChainConfig,
    /// The directory of `chain.db`, made if it is not there.
    pub dir: PathBuf,
    /// The distance of key blocks, more than zero, at most a year.
    pub key_block_interval: Duration,
    /// Their distance while a depth is awaited ([`DevChain::await_depth`]) or a settlement waits in the pool for the end
    /// of a lock period; the same limits. Where `key_block_interval` is shorter, that counts.
    pub awaited_interval: Duration,
    /// Whether a block or a transaction is shown only when it survives the loss of power; else it survives a crash of the
    /// program alone, and costs less.
    pub durable: bool,
}

impl DevChainConfig {
    /// A key block each second, ten while they are awaited, without waiting for the disk.
    pub fn new(ledger: ChainConfig, dir: PathBuf) -> Self {
        Self {
            ledger,
            dir,
            key_block_interval: Duration::from_secs(1),
            awaited_interval: Duration::from_millis(100),
            durable: false,
        }
    }

    fn intervals(&self) -> Result<Intervals, ChainError> {
        let settings =
            [("key_block_interval", self.key_block_interval), ("awaited_interval", self.awaited_interval)];
        for (name, value) in settings {
            if value.is_zero() || value > LONGEST_INTERVAL {
                let (found, expected) = (format!("{value:?}"), "more than zero, at most a year");
                return Err(ChainError::Setting { name, found, expected });
            }
        }
        Ok(Intervals { idle: self.key_block_interval, awaited: self.awaited_interval })
    }
}

/// The embedded dev chain: [`Chain`] with a clock and a disk. Clones are the same chain.
///
/// Nothing is seen before it is stored. If the disk refuses a block, the chain stops at the tip that was stored, goes on
/// showing it, and says why ([`DevChain::health`]); a restart resumes there.
///
/// When the last clone is dropped, the transaction in hand is finished and the file is let go; that blocks for as long as
/// the disk takes.
#[derive(Clone)]
pub struct DevChain {
    shared: Arc<Shared>,
    thread: Arc<Thread>,
    intervals: Intervals,
}

/// The thread that writes. Both are only `None` while being dropped.
struct Thread {
    orders: Option<mpsc::Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

impl DevChain {
    /// Opens the chain that is stored in the directory, at the tip that was seen last, or begins a new one. Its height is
    /// 1 or more. Blocks for as long as the disk takes.
    ///
    /// # Errors
    /// [`ChainError::OtherChain`] where the stored chain began with other settings; the rest says what is wrong with
    /// settings, directory or file. All are the operator's to resolve.
    pub fn open(config: DevChainConfig) -> Result<Self, ChainError> {
        let disk = Disk::open(&config.dir, config.durable)?;
        Self::start(config, disk)
    }

    /// The chain as it is now: a value that does not change in the caller's hands. Cheap; never waits for the disk.
    pub fn view(&self) -> Arc<Chain> {
        self.shared.shown.get()
    }

    /// Takes a transaction into the pool. It is stored when this answers, and in a block already if the chain mines and
    /// the transaction can go into one.
    ///
    /// # Errors
    /// [`SubmitError::Refused`] where the pool does not take it, [`SubmitError::Unavailable`] where the chain takes
    /// nothing any more.
    pub async fn submit(&self, tx: SignedTx) -> Result<TxHash, SubmitError> {
        self.order(|reply| Order::Submit { tx, reply }).await?
    }

    /// The hash of the last block, each time that it changes. Several blocks that came together may show as one change.
    pub fn tops(&self) -> watch::Receiver<BlockHash> {
        self.shared.tops.subscribe()
    }

    /// Asks for key blocks: while the answer is alive, and the chain mines, they come every `awaited_interval`.
    pub fn await_depth(&self) -> DepthWait {
        DepthWait::new(Arc::clone(&self.shared))
    }

    /// Mines what waits, then so many key blocks, now; for tests and tools.
    ///
    /// # Errors
    /// The chain takes nothing any more.
    pub async fn mine(&self, key_blocks: u32) -> Result<(), Unavailable> {
        let mut left = key_blocks;
        loop {
            let now = left.min(KEY_BLOCKS_AT_ONCE);
            self.order(|reply| Order::Mine { key_blocks: now, reply }).await??;
            left -= now;
            if left == 0 {
                return Ok(());
            }
        }
    }

    /// Goes over to a branch that is made as planned: the last blocks are replaced, and the chain is one key block higher. If
    /// the chain mines, what has gone back to the pool is in a block of the new branch when this answers, as far as it can be.
    ///
    /// Stored like a block: whole or not at all, before anybody sees it.
    ///
    /// # Errors
    /// [`ForkError::Refused`] where the plan is too deep, [`ForkError::Unavailable`] where the chain takes nothing any more.
    pub async fn fork(&self, plan: ForkPlan) -> Result<(), ForkError> {
        self.order(|reply| Order::Fork { plan, reply }).await?
    }

    /// Mines until `shutdown`: a micro block as soon as a transaction comes that can go into one, key blocks at the
    /// intervals of the settings. Ends before that only where the chain takes nothing any more.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let _mining = Mining::begin(&self.shared);
        let mine = async {
            // What waited before can go in now.
            self.mine(0).await?;
            let mut last = Instant::now();
            loop {
                self.intervals.next_due(last, &self.shared).await;
                last = Instant::now();
                self.order(|reply| Order::KeyBlock { reply }).await??;
            }
        };
        tokio::select! {
            () = shutdown => {}
            stopped = mine => {
                let Err::<Infallible, Unavailable>(why) = stopped;
                tracing::warn!(%why, "mining has ended");
            }
        }
    }

    /// Whether the chain takes blocks and transactions.
    ///
    /// # Errors
    /// It does not: its file could not be written, or it was closed.
    pub fn health(&self) -> Result<(), Unavailable> {
        self.shared.health()
    }

    /// Finishes what was asked for before, writes a snapshot, brings the file to the disk and lets go of it. Later calls
    /// answer [`Unavailable::Closed`], on all clones; [`DevChain::view`] shows the chain as it was.
    ///
    /// # Errors
    /// The file could not be finished: what was shown is still there when it is opened again. Or it was closed before.
    pub async fn close(&self) -> Result<(), ChainError> {
        self.order(|reply| Order::Close { reply }).await?
    }

    pub(crate) fn start(config: DevChainConfig, mut disk: Disk) -> Result<Self, ChainError> {
        let intervals = config.intervals()?;
        let chain = match disk.load(&config.ledger)? {
            Some(chain) => chain,
            None => {
                let chain = Chain::new(config.ledger);
                disk.begin(&chain)?;
                chain
            }
        };
        let mut writer = Writer::new(chain, disk);
        writer.leave_genesis()?;
        let shared = writer.shared();
        let (orders, waiting) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("chain".to_owned())
            .spawn(move || writer.run(waiting))
            .map_err(ChainError::Thread)?;
        let thread = Arc::new(Thread { orders: Some(orders), thread: Some(thread) });
        Ok(Self { shared, thread, intervals })
    }

    /// Asks the writer and waits for its answer.
    async fn order<T, E>(
        &self,
        order: impl FnOnce(Reply<T, E>) -> Order,
    ) -> Result<Result<T, E>, Unavailable> {
        let orders = self.thread.orders.as_ref().ok_or(Unavailable::Closed)?;
        let (reply, answer) = oneshot::channel();
        let unanswered = || self.health().err().unwrap_or(Unavailable::Closed);
        orders.send(order(reply)).await.map_err(|_| unanswered())?;
        answer.await.map_err(|_| unanswered())
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported where it happened; its callers were told.
            let _ = thread.join();
        }
    }
}

/// While it is alive, submitted transactions are mined at once.
struct Mining<'a>(&'a AtomicUsize);

impl<'a> Mining<'a> {
    fn begin(shared: &'a Shared) -> Self {
        shared.miners.fetch_add(1, Ordering::Relaxed);
        Self(&shared.miners)
    }
}

impl Drop for Mining<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
