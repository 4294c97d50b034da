//! A chain on disk: how it began, a snapshot of it, and what came later.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::types::FromSql;
use rusqlite::{Connection, OptionalExtension, params};
use strait_ledger::{Block, Branch, Chain, ChainConfig, SignedTx};

use crate::error::Damage;
use crate::origin::Origin;
use crate::{ChainError, schema};

/// A snapshot is worth its cost after so many blocks...
const BLOCKS_BETWEEN_SNAPSHOTS: u64 = 500;

/// ...that are also this part of it in size: else a long chain would write the same blocks over and over.
const GROWTH_BETWEEN_SNAPSHOTS: u64 = 8;

/// What stands in a row of the log.
#[derive(Debug)]
pub(crate) enum Entry {
    /// A transaction that waits for a block.
    Tx(SignedTx),
    /// A block.
    Block(Block),
    /// A branch that took the place of the last blocks.
    Branch(Arc<Branch>),
}

/// The open file.
#[derive(Debug)]
pub(crate) struct Disk {
    connection: Connection,
    file: PathBuf,
    next_row: i64,
    /// What the log holds.
    logged: Size,
    snapshot_bytes: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Size {
    blocks: u64,
    bytes: u64,
}

impl Disk {
    /// Opens the file under `dir`; `durable`: commits wait for the disk.
    pub fn open(dir: &Path, durable: bool) -> Result<Self, ChainError> {
        let connection = schema::open(dir, durable)?;
        let (file, logged) = (schema::file_in(dir), Size::default());
        Ok(Self { connection, file, next_row: 1, logged, snapshot_bytes: 0 })
    }

    /// The stored chain; none in a new file.
    pub fn load(&mut self, config: &ChainConfig) -> Result<Option<Chain>, ChainError> {
        let Some(origin) = self.body::<String>("origin")? else { return Ok(None) };
        let stored = Origin::parse(&origin).map_err(|source| self.damaged(Damage::Origin(source)))?;
        if let Some(difference) = stored.difference(&Origin::of(config)) {
            return Err(ChainError::OtherChain { file: self.file.clone(), difference });
        }
        let snapshot = self.body::<Vec<u8>>("snapshot")?.ok_or_else(|| self.damaged(Damage::NoSnapshot))?;
        self.snapshot_bytes = snapshot.len() as u64;
        let mut chain =
            Chain::restore(config.clone(), &snapshot).map_err(|error| self.damaged(error.into()))?;
        let entries = self.read_log()?;
        replay(&mut chain, entries).map_err(|damage| self.damaged(damage))?;
        Ok(Some(chain))
    }

    /// Writes a new chain into a new file.
    pub fn begin(&mut self, chain: &Chain) -> Result<(), ChainError> {
        // The origin comes last: without one the file counts as new.
        self.write_snapshot(chain)
            .and_then(|()| {
                let origin = Origin::of(chain.config()).to_text();
                self.connection.execute("INSERT INTO origin (id, body) VALUES (1, ?1)", [origin])
            })
            .map_err(|source| self.failed(source))?;
        Ok(())
    }

    /// Appends to the log, all in one transaction.
    pub fn append(&mut self, entries: &[Entry]) -> rusqlite::Result<()> {
        let (mut row, mut logged) = (self.next_row, self.logged);
        let transaction = self.connection.transaction()?;
        {
            let mut insert =
                transaction.prepare_cached("INSERT INTO log (id, kind, body) VALUES (?1, ?2, ?3)")?;
            for entry in entries {
                let (kind, body) = entry.encode();
                logged.add(entry.blocks(), body.len());
                insert.execute(params![row, kind, body])?;
                row = row.saturating_add(1);
            }
        }
        transaction.commit()?;
        (self.next_row, self.logged) = (row, logged);
        Ok(())
    }

    /// Whether the log has grown so long that a snapshot should take its place.
    pub fn is_snapshot_due(&self) -> bool {
        self.logged.blocks >= BLOCKS_BETWEEN_SNAPSHOTS
            && self.logged.bytes >= self.snapshot_bytes / GROWTH_BETWEEN_SNAPSHOTS
    }

    /// Puts a snapshot of the chain in the place of the log.
    pub fn write_snapshot(&mut self, chain: &Chain) -> rusqlite::Result<()> {
        let snapshot = chain.snapshot();
        let transaction = self.connection.transaction()?;
        transaction.execute("INSERT OR REPLACE INTO snapshot (id, body) VALUES (1, ?1)", [&snapshot])?;
        transaction.execute("DELETE FROM log", [])?;
        transaction.commit()?;
        (self.snapshot_bytes, self.logged) = (snapshot.len() as u64, Size::default());
        Ok(())
    }

    /// Closes the file; all of it is on the disk then.
    pub fn close(self) -> Result<(), ChainError> {
        let file = self.file;
        strait_database::close(self.connection).map_err(|source| ChainError::File { file, source })
    }

    /// From here on the file has no room left.
    #[cfg(test)]
    pub fn forbid_growth(&mut self) {
        let pages: i64 = self.connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        let limit: i64 = self
            .connection
            .query_row(&format!("PRAGMA max_page_count = {pages}"), [], |row| row.get(0))
            .unwrap();
        assert_eq!(limit, pages);
    }

    /// The one row of a table.
    fn body<T: FromSql>(&self, table: &str) -> Result<Option<T>, ChainError> {
        self.connection
            .query_row(&format!("SELECT body FROM {table} WHERE id = 1"), [], |row| row.get(0))
            .optional()
            .map_err(|source| self.failed(source))
    }

    fn read_log(&mut self) -> Result<Vec<Entry>, ChainError> {
        let mut entries = Vec::new();
        let mut select = self
            .connection
            .prepare("SELECT id, kind, body FROM log ORDER BY id")
            .map_err(|source| self.failed(source))?;
        let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, Vec<u8>>(2)?)));
        for row in rows.map_err(|source| self.failed(source))? {
            let (row, kind, body) = row.map_err(|source| self.failed(source))?;
            let entry = Entry::decode(kind, &body);
            let entry = entry.map_err(|why| self.damaged(Damage::Row { row, why }))?;
            self.logged.add(entry.blocks(), body.len());
            entries.push(entry);
            self.next_row = row.saturating_add(1);
        }
        Ok(entries)
    }

    fn failed(&self, source: rusqlite::Error) -> ChainError {
        ChainError::File { file: self.file.clone(), source }
    }

    fn damaged(&self, why: Damage) -> ChainError {
        ChainError::Damaged { file: self.file.clone(), why: Box::new(why) }
    }
}

const TX: i64 = 0;
const BLOCK: i64 = 1;
const BRANCH: i64 = 2;

impl Entry {
    fn encode(&self) -> (i64, Vec<u8>) {
        match self {
            Entry::Tx(tx) => (TX, tx.encode()),
            Entry::Block(block) => (BLOCK, block.encode()),
            Entry::Branch(branch) => (BRANCH, branch.encode()),
        }
    }

    fn decode(kind: i64, body: &[u8]) -> Result<Self, String> {
        let entry = match kind {
            TX => SignedTx::decode(body).map(Entry::Tx),
            BLOCK => Block::decode(body).map(Entry::Block),
            BRANCH => Branch::decode(body).map(|branch| Entry::Branch(Arc::new(branch))),
            _ => {
                let expected = format!("{TX} (transaction), {BLOCK} (block) or {BRANCH} (branch)");
                return Err(format!("kind {kind}, expected {expected}"));
            }
        };
        entry.map_err(|error| error.to_string())
    }

    /// The blocks in it.
    fn blocks(&self) -> &[Block] {
        match self {
            Entry::Tx(_) => &[],
            Entry::Block(block) => std::slice::from_ref(block),
            Entry::Branch(branch) => &branch.blocks,
        }
    }
}

impl Size {
    fn add(&mut self, blocks: &[Block], bytes: usize) {
        self.blocks += blocks.len() as u64;
        self.bytes += bytes as u64;
    }
}

/// Does again what was done after the snapshot.
fn replay(chain: &mut Chain, entries: Vec<Entry>) -> Result<(), Damage> {
    // What is in a block need not wait in the pool first: that would only verify its signatures twice. A branch brings back
    // to the pool what was in the blocks that it replaced.
    let blocks = entries.iter().flat_map(Entry::blocks);
    let mined: BTreeSet<_> = blocks.flat_map(|block| &block.txs).map(SignedTx::hash).collect();
    for entry in entries {
        match entry {
            Entry::Block(block) => chain.import(block)?,
            Entry::Branch(branch) => chain.switch(&branch)?,
            Entry::Tx(tx) if mined.contains(&tx.hash()) => {}
            Entry::Tx(tx) => {
                if let Err(error) = chain.submit(tx) {
                    tracing::warn!(%error, "a stored transaction does not wait for a block any more");
                }
            }
        }
    }
    Ok(())
}
