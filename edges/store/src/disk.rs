//! Changes to transactions: which are let in, how many share one, what a failure of one does to the others.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use rusqlite::Connection;

use crate::durability::Durability;
use crate::error::StoreError;
use crate::faults::{self, Faults};
use crate::record::{ChannelKey, Loaded, MAX_STATE_BYTES, Quarantined, Record};
use crate::rows;
use crate::stats::Counters;

/// What a caller wants changed.
#[derive(Debug)]
pub(crate) enum Change {
    /// `doomed` if an injected fault fails it.
    Save {
        record: Record,
        doomed: bool,
    },
    Delete(ChannelKey),
}

impl Change {
    fn key(&self) -> ChannelKey {
        match self {
            Self::Save { record, .. } => record.key,
            Self::Delete(key) => *key,
        }
    }
}

/// The open file, and what is known of it without reading it.
#[derive(Debug)]
pub(crate) struct Disk {
    connection: Connection,
    slots: HashMap<ChannelKey, Slot>,
    next_row: i64,
    counters: Arc<Counters>,
    faults: Arc<Faults>,
}

/// Where a channel is.
#[derive(Debug, Clone, Copy)]
struct Slot {
    row: i64,
    /// `None` if it is quarantined.
    step: Option<u64>,
}

/// What a change comes to, once it is let in. `Doomed` is a save that an injected fault fails.
#[derive(Debug, Clone, Copy)]
enum Plan<'a> {
    Insert { row: i64, record: &'a Record },
    Replace { row: i64, record: &'a Record },
    Remove { row: i64, key: ChannelKey },
    Nothing,
    Doomed,
}

impl Disk {
    pub(crate) fn open(
        dir: &Path,
        durability: Durability,
        counters: Arc<Counters>,
        faults: Arc<Faults>,
    ) -> Result<Self, StoreError> {
        let connection = rows::open(dir, durability)?;
        let mut disk = Self { connection, slots: HashMap::new(), next_row: 1, counters, faults };
        disk.load()?;
        Ok(disk)
    }

    /// Reads every channel, and learns again where each is.
    pub(crate) fn load(&mut self) -> Result<Loaded, StoreError> {
        let rows = rows::list(&self.connection)?;
        let unreachable = rows.damage.into_iter().map(|why| Quarantined { key: None, why });
        let mut loaded = Loaded { records: Vec::new(), quarantined: unreachable.collect() };
        self.next_row = rows.next;
        self.slots.clear();
        let mut unread = Vec::new();
        for (row, listed) in rows.found {
            match rows::read(&self.connection, row) {
                Ok(record) if self.slots.contains_key(&record.key) => {
                    let why = format!("row {row}: repeats the channel of an earlier row");
                    loaded.quarantined.push(Quarantined { key: Some(record.key), why });
                }
                Ok(record) => {
                    self.slots.insert(record.key, Slot { row, step: Some(record.step) });
                    loaded.records.push(record);
                }
                Err(why) => {
                    unread.extend(listed.map(|key| (key, row)));
                    loaded.quarantined.push(Quarantined { key: listed, why });
                }
            }
        }
        for (key, row) in unread {
            self.slots.entry(key).or_insert(Slot { row, step: None });
        }
        Ok(loaded)
    }

    /// Commits one change.
    pub(crate) fn commit_one(&mut self, change: &Change) -> Result<(), StoreError> {
        let begin = Instant::now();
        let outcome = self.commit_alone(change);
        self.counters.busy(begin.elapsed());
        self.counters.answered(&outcome);
        outcome
    }

    /// Commits the changes in one transaction, in order; answers each, in order.
    ///
    /// If the transaction fails, each is tried in one of its own: what ails one must not fail the others.
    pub(crate) fn commit_batch(&mut self, changes: &[Change]) -> Vec<Result<(), StoreError>> {
        if let [change] = changes {
            return vec![self.commit_one(change)];
        }
        let begin = Instant::now();
        let outcomes = self.commit_together(changes).unwrap_or_else(|source| {
            tracing::warn!(changes = changes.len(), error = %source, "a batch failed, each change is tried alone");
            changes.iter().map(|change| self.commit_alone(change)).collect()
        });
        self.counters.busy(begin.elapsed());
        outcomes.iter().for_each(|outcome| self.counters.answered(outcome));
        outcomes
    }

    /// Finishes the file; on an error what was acknowledged is still in the log.
    pub(crate) fn close(self) -> Result<(), StoreError> {
        strait_database::close(self.connection).map_err(StoreError::Close)
    }

    fn commit_alone(&mut self, change: &Change) -> Result<(), StoreError> {
        let plan = self.plan(change)?;
        if let Err(source) = self.settle().and_then(|()| self.write_alone(plan)) {
            self.abandon();
            return Err(StoreError::Write { key: change.key(), source });
        }
        self.adopt(plan);
        self.count(1, [change]);
        Ok(())
    }

    fn commit_together(&mut self, changes: &[Change]) -> rusqlite::Result<Vec<Result<(), StoreError>>> {
        let mut before = Vec::with_capacity(changes.len());
        let outcome = self.stage(changes, &mut before).and_then(|outcomes| {
            if self.faults.dooms_batch() {
                return Err(faults::disk_full());
            }
            self.run("COMMIT")?;
            Ok(outcomes)
        });
        match &outcome {
            Ok(outcomes) => {
                let done = changes.iter().zip(outcomes).filter(|(_, outcome)| outcome.is_ok());
                self.count(before.len(), done.map(|(change, _)| change));
            }
            Err(_) => {
                self.abandon();
                for (key, slot) in before.into_iter().rev() {
                    self.put_slot(key, slot);
                }
            }
        }
        outcome
    }

    /// Writes the changes in an open transaction. `before` is what the slots were, in the order of the
    /// changes.
    fn stage(
        &mut self,
        changes: &[Change],
        before: &mut Vec<(ChannelKey, Option<Slot>)>,
    ) -> rusqlite::Result<Vec<Result<(), StoreError>>> {
        self.settle()?;
        self.run("BEGIN IMMEDIATE")?;
        let mut outcomes = Vec::with_capacity(changes.len());
        for change in changes {
            outcomes.push(match self.plan(change) {
                Ok(plan) => {
                    self.write(plan)?;
                    before.push((change.key(), self.slots.get(&change.key()).copied()));
                    self.adopt(plan);
                    Ok(())
                }
                Err(refusal) => Err(refusal),
            });
        }
        Ok(outcomes)
    }

    fn plan<'a>(&self, change: &'a Change) -> Result<Plan<'a>, StoreError> {
        let key = change.key();
        let slot = self.slots.get(&key);
        let (record, doomed) = match change {
            Change::Delete(key) => {
                return Ok(slot.map_or(Plan::Nothing, |slot| Plan::Remove { row: slot.row, key: *key }));
            }
            Change::Save { record, doomed } => (record, *doomed),
        };
        if record.state.len() > MAX_STATE_BYTES {
            return Err(StoreError::TooLarge { key, bytes: record.state.len() });
        }
        match slot {
            Some(Slot { step: None, .. }) => Err(StoreError::Quarantined { key }),
            Some(Slot { step: Some(stored), .. }) if record.step <= *stored => {
                Err(StoreError::StepBehind { key, stored: *stored, offered: record.step })
            }
            Some(_) | None if doomed => Ok(Plan::Doomed),
            Some(slot) => Ok(Plan::Replace { row: slot.row, record }),
            None => Ok(Plan::Insert { row: self.next_row, record }),
        }
    }

    fn write_alone(&self, plan: Plan<'_>) -> rusqlite::Result<()> {
        match plan {
            // One statement is a transaction of its own, without two more to say so.
            Plan::Replace { .. } | Plan::Nothing | Plan::Doomed => self.write(plan),
            Plan::Insert { .. } | Plan::Remove { .. } => {
                self.run("BEGIN IMMEDIATE")?;
                self.write(plan)?;
                self.run("COMMIT")
            }
        }
    }

    fn write(&self, plan: Plan<'_>) -> rusqlite::Result<()> {
        match plan {
            Plan::Insert { row, record } => rows::insert(&self.connection, row, record),
            Plan::Replace { row, record } => rows::replace(&self.connection, row, record),
            Plan::Remove { row, .. } => rows::remove(&self.connection, row),
            Plan::Nothing => Ok(()),
            Plan::Doomed => Err(faults::disk_full()),
        }
    }

    /// Takes note of a change that was written.
    fn adopt(&mut self, plan: Plan<'_>) {
        match plan {
            Plan::Insert { row, record } => {
                self.slots.insert(record.key, Slot { row, step: Some(record.step) });
                self.next_row = row.saturating_add(1);
            }
            Plan::Replace { row, record } => {
                self.slots.insert(record.key, Slot { row, step: Some(record.step) });
            }
            Plan::Remove { key, .. } => {
                self.slots.remove(&key);
            }
            Plan::Nothing | Plan::Doomed => {}
        }
    }

    fn put_slot(&mut self, key: ChannelKey, slot: Option<Slot>) {
        match slot {
            Some(slot) => self.slots.insert(key, slot),
            None => self.slots.remove(&key),
        };
    }

    fn count<'a>(&self, changes: usize, done: impl IntoIterator<Item = &'a Change>) {
        self.counters.committed(changes);
        for change in done {
            if matches!(change, Change::Save { .. }) {
                self.counters.saved();
            }
        }
    }

    /// Leaves a transaction that a failure left open; in it a save would be acknowledged and not be
    /// committed.
    fn settle(&self) -> rusqlite::Result<()> {
        if self.connection.is_autocommit() { Ok(()) } else { self.run("ROLLBACK") }
    }

    fn abandon(&self) {
        if let Err(source) = self.settle() {
            // The next change settles again before it writes, and fails if it cannot.
            tracing::warn!(error = %source, "a failed transaction could not be rolled back");
        }
    }

    fn run(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute([]).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ErrorCode;

    use super::*;
    use crate::record::Role;

    fn save(number: u8, step: u64, bytes: usize) -> Change {
        let record = Record {
            key: ChannelKey::new([number; 32]),
            step,
            channel_id: None,
            own_account: [0; 32],
            role: Role::Initiator,
            door: [0; 32],
            state: vec![number; bytes],
        };
        Change::Save { record, doomed: false }
    }

    fn is_full(outcome: &Result<(), StoreError>) -> bool {
        matches!(outcome, Err(StoreError::Write { source, .. })
            if source.sqlite_error_code() == Some(ErrorCode::DiskFull))
    }

    fn steps(disk: &mut Disk) -> Vec<u64> {
        let loaded = disk.load().unwrap();
        assert_eq!(loaded.quarantined, []);
        loaded.records.iter().map(|record| record.step).collect()
    }

    /// SQLite's own limit in the place of the disk's: the same error, at the same points.
    fn limit_pages(disk: &Disk, pages: u32) {
        disk.connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).unwrap();
    }

    #[test]
    fn a_full_disk_fails_what_needs_room_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let (counters, faults) = (Arc::default(), Arc::default());
        let mut disk = Disk::open(dir.path(), Durability::Power, counters, faults).unwrap();
        for number in 1..=3 {
            disk.commit_one(&save(number, 1, 2000)).unwrap();
        }
        limit_pages(&disk, 12);
        let outcomes = disk.commit_batch(&[save(1, 2, 2000), save(2, 2, 100_000), save(3, 2, 2000)]);
        assert!(outcomes[0].is_ok() && is_full(&outcomes[1]) && outcomes[2].is_ok(), "{outcomes:?}");
        assert_eq!(steps(&mut disk), [2, 1, 2]);

        // A new channel takes two statements: neither may stay behind.
        assert!(is_full(&disk.commit_one(&save(4, 1, 100_000))));
        assert!(is_full(&disk.commit_one(&save(1, 3, 100_000))));
        disk.commit_one(&save(1, 3, 2000)).unwrap();
        assert_eq!(steps(&mut disk), [3, 1, 2]);

        limit_pages(&disk, 1000);
        disk.commit_one(&save(2, 2, 100_000)).unwrap();
        disk.commit_one(&save(4, 1, 100_000)).unwrap();
        assert_eq!(steps(&mut disk), [3, 2, 2, 1]);
    }

    #[test]
    fn a_transaction_that_was_left_open_does_not_swallow_a_save() {
        let dir = tempfile::tempdir().unwrap();
        let (counters, faults) = (Arc::default(), Arc::default());
        let mut disk = Disk::open(dir.path(), Durability::Process, counters, faults).unwrap();
        disk.commit_one(&save(1, 1, 10)).unwrap();
        disk.run("BEGIN IMMEDIATE").unwrap();
        disk.commit_one(&save(1, 2, 10)).unwrap();
        disk.run("BEGIN IMMEDIATE").unwrap();
        assert!(disk.commit_batch(&[save(1, 3, 10), save(2, 1, 10)]).iter().all(Result::is_ok));
        assert!(disk.connection.is_autocommit());
        assert_eq!(steps(&mut disk), [3, 1]);
    }
}
