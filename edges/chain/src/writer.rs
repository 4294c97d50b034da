//! The one thread that changes the chain: it takes what waits as one batch, makes the blocks, stores them in one
//! transaction, and only then shows them and answers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use strait_encoding::{BlockHash, Height, TxHash};
use strait_ledger::{Chain, ChainView, ForkPlan, SignedTx, fee};
use tokio::sync::{Notify, mpsc, oneshot, watch};

use crate::disk::{Disk, Entry};
use crate::twin::{Shown, Step, Twin};
use crate::{ChainError, ForkError, SubmitError, Unavailable};

/// The most orders that share a transaction.
const MAX_BATCH: usize = 256;

/// What the thread is asked to do.
pub(crate) enum Order {
    /// Take a transaction into the pool, and into a block if the chain mines.
    Submit { tx: SignedTx, reply: Reply<TxHash, SubmitError> },
    /// Open the next generation, with what has waited for its height.
    KeyBlock { reply: Reply<(), Unavailable> },
    /// Mine what waits, then so many key blocks, each with what has waited for its height.
    Mine { key_blocks: u32, reply: Reply<(), Unavailable> },
    /// Go over to a branch that is made like this.
    Fork { plan: ForkPlan, reply: Reply<(), ForkError> },
    /// Write a snapshot and end.
    Close { reply: Reply<(), ChainError> },
}

pub(crate) type Reply<T, E> = oneshot::Sender<Result<T, E>>;

/// What thread, clock and callers share.
pub(crate) struct Shared {
    pub shown: Arc<Shown>,
    pub tops: watch::Sender<BlockHash>,
    /// Why nothing is written any more.
    pub stopped: OnceLock<Unavailable>,
    /// If any, a submitted transaction is mined at once.
    pub miners: AtomicUsize,
    /// How many wait for key blocks.
    pub waits: AtomicUsize,
    /// When the next key block is due may have changed.
    pub wake: Notify,
}

/// What the thread owns.
pub(crate) struct Writer {
    disk: Disk,
    twin: Twin,
    shared: Arc<Shared>,
}

/// What a batch comes to, before it is stored.
#[derive(Default)]
struct Work {
    entries: Vec<Entry>,
    steps: Vec<Step>,
    answers: Vec<Answer>,
    submitted: bool,
}

enum Answer {
    Submit(Reply<TxHash, SubmitError>, Result<TxHash, SubmitError>),
    Mine(Reply<(), Unavailable>),
    Fork(Reply<(), ForkError>, Result<(), ForkError>),
}

impl Shared {
    pub fn health(&self) -> Result<(), Unavailable> {
        self.stopped.get().map_or(Ok(()), |why| Err(why.clone()))
    }
}

impl Writer {
    pub fn new(chain: Chain, disk: Disk) -> Self {
        let twin = Twin::new(chain);
        let shared = Shared {
            shown: twin.shown(),
            tops: watch::Sender::new(twin.shown().get().top().hash()),
            stopped: OnceLock::new(),
            miners: AtomicUsize::new(0),
            waits: AtomicUsize::new(0),
            wake: Notify::new(),
        };
        Self { disk, twin, shared: Arc::new(shared) }
    }

    pub fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Serves until it is closed, or nobody is left who could ask.
    pub fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        while orders.blocking_recv_many(&mut batch, MAX_BATCH) > 0 {
            if let Some(reply) = self.serve(batch.drain(..)) {
                // Nobody owes an answer to a caller who stopped waiting.
                let _ = reply.send(self.close());
                return;
            }
        }
    }

    /// Makes the first block after genesis: nothing can be mined at height 0.
    pub fn leave_genesis(&mut self) -> Result<(), Unavailable> {
        if self.twin.ahead().top_height() > Height(0) {
            return Ok(());
        }
        let mut work = Work::default();
        work.key_block(self.twin.ahead());
        self.finish(work)
    }

    /// Serves a batch, up to an order to close: its reply. What is dropped is not done, which its callers notice.
    fn serve(&mut self, mut orders: impl Iterator<Item = Order>) -> Option<Reply<(), ChainError>> {
        if self.shared.health().is_err() {
            return orders
                .find_map(|order| if let Order::Close { reply } = order { Some(reply) } else { None });
        }
        let (mut work, mut close) = (Work::default(), None);
        let chain = self.twin.ahead();
        for order in orders {
            match order {
                Order::Submit { tx, reply } => work.submit(chain, tx, reply),
                Order::Fork { plan, reply } => work.fork(chain, &plan, reply),
                Order::KeyBlock { reply } => {
                    work.key_block(chain);
                    work.answers.push(Answer::Mine(reply));
                }
                Order::Mine { key_blocks, reply } => {
                    work.micro_blocks(chain);
                    for _ in 0..key_blocks {
                        work.key_block(chain);
                    }
                    work.answers.push(Answer::Mine(reply));
                }
                Order::Close { reply } => {
                    close = Some(reply);
                    break;
                }
            }
        }
        if work.submitted && self.shared.miners.load(Ordering::Relaxed) > 0 {
            work.micro_blocks(chain);
        }
        let answers = std::mem::take(&mut work.answers);
        let submitted = work.submitted;
        let outcome = self.finish(work);
        for answer in answers {
            answer.send(&outcome);
        }
        if submitted {
            self.shared.wake.notify_one();
        }
        close
    }

    /// Stores what was done, then shows it. If the disk refuses, it was not done, and nothing will be any more.
    fn finish(&mut self, work: Work) -> Result<(), Unavailable> {
        if let Err(why) = self.store(&work.entries) {
            self.twin.discard();
            return Err(why);
        }
        if work.steps.is_empty() {
            return Ok(());
        }
        self.twin.show(work.steps);
        let top = self.shared.shown.get().top().hash();
        self.shared.tops.send_if_modified(|last| std::mem::replace(last, top) != top);
        if self.disk.is_snapshot_due() {
            // What was shown is stored: only what comes later is refused.
            let _ = self.attempt(|disk, chain| disk.write_snapshot(chain));
        }
        Ok(())
    }

    fn store(&mut self, entries: &[Entry]) -> Result<(), Unavailable> {
        if entries.is_empty() { Ok(()) } else { self.attempt(|disk, _| disk.append(entries)) }
    }

    fn attempt(
        &mut self,
        write: impl FnOnce(&mut Disk, &Chain) -> rusqlite::Result<()>,
    ) -> Result<(), Unavailable> {
        write(&mut self.disk, &self.shared.shown.get()).map_err(|source| {
            let why = Unavailable::Write(Arc::new(source));
            tracing::error!(%why, "the dev chain stops");
            let why = self.shared.stopped.get_or_init(|| why).clone();
            self.shared.wake.notify_one();
            why
        })
    }

    fn close(mut self) -> Result<(), ChainError> {
        let snapshot = self.shared.health().and_then(|()| self.attempt(Disk::write_snapshot));
        self.shared.stopped.get_or_init(|| Unavailable::Closed);
        self.disk.close()?;
        Ok(snapshot?)
    }
}

impl Work {
    fn submit(&mut self, chain: &mut Chain, tx: SignedTx, reply: Reply<TxHash, SubmitError>) {
        let outcome = chain.submit(tx.clone());
        if outcome.is_ok() {
            self.submitted = true;
            self.entries.push(Entry::Tx(tx.clone()));
            self.steps.push(Step::Submit(tx));
        }
        self.answers.push(Answer::Submit(reply, outcome.map_err(SubmitError::from)));
    }

    fn fork(&mut self, chain: &mut Chain, plan: &ForkPlan, reply: Reply<(), ForkError>) {
        let outcome = chain.fork(plan, now_ms()).map(|branch| {
            let branch = Arc::new(branch);
            self.entries.push(Entry::Branch(Arc::clone(&branch)));
            self.steps.push(Step::Branch(branch));
            // What went back to the pool can go into the next block.
            self.submitted = true;
        });
        self.answers.push(Answer::Fork(reply, outcome.map_err(ForkError::from)));
    }

    /// The next generation, and micro blocks if something has waited for its height.
    fn key_block(&mut self, chain: &mut Chain) {
        let time = now_ms();
        let block = chain.mine_key_block(time);
        self.entries.push(Entry::Block(block));
        self.steps.push(Step::KeyBlock(time));
        if chain
            .pending()
            .any(|tx| chain.unlock_height(tx).is_some_and(|height| height <= chain.top_height()))
        {
            self.micro_blocks(chain);
        }
    }

    /// A micro block of what waits, and more of them where that is more than one can hold. Each counts against what
    /// fails to go in, so none is tried without need.
    fn micro_blocks(&mut self, chain: &mut Chain) {
        while chain.has_pending() {
            let may_be_full = pending_gas(chain) > chain.config().block_gas_limit;
            let time = now_ms();
            self.steps.push(Step::MicroBlock(time));
            let Some(block) = chain.mine_micro_block(time) else { return };
            self.entries.push(Entry::Block(block));
            if !may_be_full {
                return;
            }
        }
    }
}

fn pending_gas(chain: &Chain) -> u64 {
    let protocol = chain.protocol();
    chain.pending().fold(0, |sum, tx| sum.saturating_add(fee::block_gas(tx.tx(), protocol)))
}

impl Answer {
    fn send(self, stored: &Result<(), Unavailable>) {
        // Nobody owes an answer to a caller who stopped waiting.
        match self {
            Answer::Submit(reply, outcome) => {
                let _ = reply.send(stored.clone().map_err(SubmitError::from).and(outcome));
            }
            Answer::Fork(reply, outcome) => {
                let _ = reply.send(stored.clone().map_err(ForkError::from).and(outcome));
            }
            Answer::Mine(reply) => {
                let _ = reply.send(stored.clone());
            }
        }
    }
}

/// Whether something waits in the pool for a height that is still to come.
pub(crate) fn is_height_awaited(chain: &Chain) -> bool {
    chain.pending().any(|tx| chain.unlock_height(tx).is_some_and(|height| height > chain.top_height()))
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
