use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::error::StoreError;

/// What a store did since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Transactions that were committed.
    pub commits: u64,
    /// Saves that were acknowledged.
    pub records_saved: u64,
    /// Saves and deletions that were refused for what they are, or that the disk did not take.
    pub refused: u64,
    /// The most changes (saves and deletions) that one transaction carried.
    pub largest_batch: u64,
    /// Time spent in transactions, waiting for the disk included.
    pub busy_time: Duration,
}

/// [`Stats`] as they are counted: read at any time without a lock.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    commits: AtomicU64,
    records_saved: AtomicU64,
    refused: AtomicU64,
    largest_batch: AtomicU64,
    busy_nanos: AtomicU64,
}

impl Counters {
    pub(crate) fn committed(&self, changes: usize) {
        self.commits.fetch_add(1, Relaxed);
        self.largest_batch.fetch_max(u64::try_from(changes).unwrap_or(u64::MAX), Relaxed);
    }

    pub(crate) fn saved(&self) {
        self.records_saved.fetch_add(1, Relaxed);
    }

    pub(crate) fn answered(&self, outcome: &Result<(), StoreError>) {
        if outcome.is_err() {
            self.refused.fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn busy(&self, time: Duration) {
        self.busy_nanos.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    pub(crate) fn read(&self) -> Stats {
        Stats {
            commits: self.commits.load(Relaxed),
            records_saved: self.records_saved.load(Relaxed),
            refused: self.refused.load(Relaxed),
            largest_batch: self.largest_batch.load(Relaxed),
            busy_time: Duration::from_nanos(self.busy_nanos.load(Relaxed)),
        }
    }
}
