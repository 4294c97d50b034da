use std::io;
use std::path::PathBuf;

use crate::record::{ChannelKey, MAX_STATE_BYTES};

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory cannot be made or reached; the operator's to repair.
    #[error("store directory {dir}: {source}")]
    Directory {
        /// The directory as configured.
        dir: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Another service holds the directory; the operator started two.
    #[error(
        "store directory {dir} is in use by another process: stop that one, or configure a directory of its own"
    )]
    InUse {
        /// The directory as configured.
        dir: PathBuf,
    },
    /// A later version of Strait wrote the store; the operator went back to an older program.
    #[error(
        "store directory {dir} has schema version {found}, expected at most {supported}: run a newer Strait"
    )]
    Newer {
        /// The directory as configured.
        dir: PathBuf,
        /// The version that the file names.
        found: i64,
        /// The newest version that this program reads.
        supported: i64,
    },
    /// `channels.db` is a database of another program; the operator named the wrong directory.
    #[error(
        "store directory {dir}: channels.db has application id {found:#x}, expected {expected:#x} (Strait)"
    )]
    Foreign {
        /// The directory as configured.
        dir: PathBuf,
        /// The application id that the file names.
        found: i64,
        /// Strait's.
        expected: i64,
    },
    /// SQLite could not open or set up the file; the operator's to repair.
    #[error("store directory {dir}: cannot open channels.db: {source}")]
    Open {
        /// The directory as configured.
        dir: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The thread that commits cannot be started; the machine is out of threads or memory.
    #[error("store: cannot start the writer thread: {0}")]
    Thread(#[source] io::Error),
    /// The tables cannot be read at all; the disk's fault.
    #[error("store: cannot read the channels: {0}")]
    Read(#[source] rusqlite::Error),
    /// The change of one channel is not acknowledged: disk full, or a disk that fails.
    ///
    /// After a restart the channel has either the refused step or the one before it.
    #[error("store: cannot write channel {key}: {source}")]
    Write {
        /// The channel, which must stop: its memory may not go on without its disk.
        key: ChannelKey,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The write-ahead log could not be folded into the file while closing; what was acknowledged stays in
    /// the log.
    #[error("store: cannot finish the file while closing: {0}")]
    Close(#[source] rusqlite::Error),
    /// A step that is not after the stored one: memory ran behind the disk, a defect of the caller.
    #[error("channel {key}: step {offered} refused, expected more than the stored step {stored}")]
    StepBehind {
        /// The channel.
        key: ChannelKey,
        /// The step on disk.
        stored: u64,
        /// The step that was to replace it.
        offered: u64,
    },
    /// A state that is too long; the fault of the channel that let it grow.
    #[error("channel {key}: state of {bytes} bytes refused, expected at most {MAX_STATE_BYTES}")]
    TooLarge {
        /// The channel.
        key: ChannelKey,
        /// The length of the state.
        bytes: usize,
    },
    /// The stored state of this key is damaged ([`crate::Quarantined`]) and is not to be written over.
    #[error(
        "channel {key}: its stored state is quarantined, expected a sound one or none; delete it to give it up"
    )]
    Quarantined {
        /// The channel.
        key: ChannelKey,
    },
    /// The store is closed; the caller came too late.
    #[error("store: closed, expected an open one")]
    Closed,
}
