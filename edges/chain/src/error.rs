//! What can go wrong between a chain and its disk.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use strait_ledger::{ImportError, RestoreError};
use thiserror::Error;

/// Why a dev chain could not be opened or closed.
#[derive(Debug, Error)]
pub enum ChainError {
    /// A setting makes no sense; the operator's to correct.
    #[error("{name} is {found}, expected {expected}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// Its value.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// The directory cannot be made or reached; the operator's to repair.
    #[error("chain directory {dir}: {source}")]
    Directory {
        /// The directory as configured.
        dir: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Another service has the file open; the operator started two.
    #[error("{file} is in use by another process: stop that one, or configure a directory of its own")]
    InUse {
        /// The file.
        file: PathBuf,
    },
    /// A later version of Strait wrote the file; the operator went back to an older program.
    #[error("{file} has schema version {found}, expected at most {supported}: run a newer Strait")]
    Newer {
        /// The file.
        file: PathBuf,
        /// The version that it names.
        found: i64,
        /// The newest version that this program reads.
        supported: i64,
    },
    /// The file is a database of another program; the operator named the wrong directory.
    #[error("{file} has application id {found:#x}, expected {expected:#x} (a chain of Strait)")]
    Foreign {
        /// The file.
        file: PathBuf,
        /// The application id that it names.
        found: i64,
        /// Strait's.
        expected: i64,
    },
    /// The stored chain began otherwise than the settings say; the operator changed them.
    #[error(
        "{file} holds another chain: it has {difference}. Restore that setting, or name another data directory, or \
         delete the file to begin a new chain; channels that were opened on it are lost then"
    )]
    OtherChain {
        /// The file.
        file: PathBuf,
        /// What differs, and both values.
        difference: String,
    },
    /// SQLite could not open, read or finish the file; the operator's to repair.
    #[error("{file}: {source}")]
    File {
        /// The file.
        file: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// What the file holds is no chain: the disk's fault, or an edit by hand.
    #[error("{file} is damaged: {why}. Restore a copy of it, or delete it to begin a new chain")]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        why: Box<Damage>,
    },
    /// The thread that mines and stores cannot be started; the machine is out of threads or memory.
    #[error("chain: cannot start the writer thread: {0}")]
    Thread(#[source] io::Error),
    /// It was closed before.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// What is wrong with a stored chain.
#[derive(Debug, Error)]
pub enum Damage {
    /// The snapshot.
    #[error("{0}")]
    Snapshot(#[from] RestoreError),
    /// A block after it.
    #[error("{0}")]
    Block(#[from] ImportError),
    /// A branch after it.
    #[error("{0}")]
    Branch(#[from] strait_ledger::ForkError),
    /// A row, with its number.
    #[error("row {row} of the log: {why}")]
    Row {
        /// Its number.
        row: i64,
        /// What is wrong with it.
        why: String,
    },
    /// What the chain began with cannot be read.
    #[error("what the chain began with: {0}")]
    Origin(#[source] serde_json::Error),
    /// There is an origin, but no snapshot.
    #[error("it has no snapshot")]
    NoSnapshot,
}

/// Why a dev chain takes nothing any more. What it shows stays as it was.
#[derive(Clone, Debug, Error)]
pub enum Unavailable {
    /// The disk refused a block or a transaction: memory may not run ahead of it. The operator's to repair, then a restart
    /// resumes at the tip that is shown.
    #[error("the chain has stopped, its file could not be written: {0}")]
    Write(Arc<rusqlite::Error>),
    /// It was closed; the caller came too late.
    #[error("the chain is closed")]
    Closed,
}

/// Why a transaction was not taken.
#[derive(Clone, Debug, Error)]
pub enum SubmitError {
    /// The pool refuses it: the sender's fault, unless the pool is full.
    #[error(transparent)]
    Refused(#[from] strait_ledger::SubmitError),
    /// The chain takes nothing any more.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why no fork was made.
#[derive(Clone, Debug, Error)]
pub enum ForkError {
    /// It would begin too deep: the operator's fault.
    #[error(transparent)]
    Refused(#[from] strait_ledger::ForkError),
    /// The chain takes nothing any more.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}
