//! An SQLite file that one program owns: its directory is its user's alone, it says whose it is and in which version, it is
//! locked as long as it is open, and it has a write-ahead log.
//!
//! What its tables are, and what stands in them, is the caller's: [`Form`].
//!
//! ```
//! use strait_database::{Form, close};
//!
//! const NOTES: Form = Form {
//!     file_name: "notes.db",
//!     application_id: 0x4e6f_7465,
//!     version: 1,
//!     tables: "CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;",
//!     log_bytes: 1 << 20,
//!     checkpoint_pages: 1000,
//!     cache_kibibytes: 2000,
//! };
//!
//! # fn demo(dir: &std::path::Path) -> Result<(), Box<dyn std::error::Error>> {
//! let notes = NOTES.open(dir, true)?.connection;
//! notes.execute("INSERT INTO note (text) VALUES (?1)", ["buy milk"])?;
//! close(notes)?;
//! # Ok(())
//! # }
//! # let dir = tempfile::tempdir().unwrap();
//! # demo(dir.path()).unwrap();
//! ```

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

#[cfg(test)]
mod tests;

/// What a file is, and how much room it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// Its name in its directory.
    pub file_name: &'static str,
    /// Kept in `PRAGMA application_id`, so that no other program's database is taken for this one. 0 would say nothing.
    pub application_id: i64,
    /// The version of the tables and of what is in them, kept in `PRAGMA user_version`. From 1 on.
    pub version: i64,
    /// The statements that make the tables.
    pub tables: &'static str,
    /// To so many bytes a log is cut back that one large commit blew up.
    pub log_bytes: u32,
    /// From so many pages on the log is folded into the file.
    pub checkpoint_pages: u32,
    /// The pages that are kept in memory.
    pub cache_kibibytes: u32,
}

/// A file that is open, and locked until the connection is dropped.
#[derive(Debug)]
pub struct Opened {
    /// The one connection to it.
    pub connection: Connection,
    /// The version that it has: the form's, if it is new. What an older one needs is the caller's to do.
    pub version: i64,
}

/// Why a file was not opened. It is as it was before, unless it is ours.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory cannot be made or reached; the operator's to repair.
    #[error("the directory cannot be made or reached: {0}")]
    Directory(#[source] io::Error),
    /// Another process has the file open, or this one has it open already; the operator started two.
    #[error("the file is in use by another process")]
    InUse,
    /// A later version of the program wrote it; the operator went back to an older one.
    #[error("the file has version {found}, expected at most {supported}")]
    Newer {
        /// The version that it names.
        found: i64,
        /// The form's.
        supported: i64,
    },
    /// It is a database of another program; the operator named the wrong directory.
    #[error("the file has application id {found:#x}, expected {expected:#x}")]
    Foreign {
        /// The application id that it names.
        found: i64,
        /// The form's.
        expected: i64,
    },
    /// SQLite could not open it or set it up; the operator's to repair.
    #[error("the file cannot be opened: {0}")]
    Sqlite(#[source] rusqlite::Error),
}

impl Form {
    /// The file in a directory.
    pub fn file_in(&self, dir: &Path) -> PathBuf {
        dir.join(self.file_name)
    }

    /// Opens the file under `dir` for this process alone, and makes directory, file and tables where they are missing.
    ///
    /// `durable`: a commit waits until the disk has it; else it survives a crash of the program, not of the machine.
    ///
    /// # Errors
    /// All the operator's to repair: [`OpenError`].
    pub fn open(&self, dir: &Path, durable: bool) -> Result<Opened, OpenError> {
        make_directory(dir).map_err(OpenError::Directory)?;
        let connection = Connection::open(self.file_in(dir))?;
        take_alone(&connection)?;
        let found = self.check_origin(&connection)?;
        self.set_up(&connection, durable)?;
        if found == 0 {
            self.create(&connection)?;
        }
        let version = if found == 0 { self.version } else { found };
        Ok(Opened { connection, version })
    }

    /// Answers the version, 0 for a new file; changes nothing in a file that is not ours or from the future.
    fn check_origin(&self, connection: &Connection) -> Result<i64, OpenError> {
        let number = |query: &str| connection.query_row(query, [], |row| row.get::<_, i64>(0));
        let version = number("PRAGMA user_version")?;
        let application = number("PRAGMA application_id")?;
        let is_new = version == 0 && application == 0 && number("SELECT count(*) FROM sqlite_schema")? == 0;
        if application != self.application_id && !is_new {
            return Err(OpenError::Foreign { found: application, expected: self.application_id });
        }
        if version > self.version {
            return Err(OpenError::Newer { found: version, supported: self.version });
        }
        Ok(version)
    }

    fn set_up(&self, connection: &Connection, durable: bool) -> rusqlite::Result<()> {
        let synchronous = if durable { "FULL" } else { "OFF" };
        let Self { log_bytes, checkpoint_pages, cache_kibibytes, .. } = self;
        connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
        connection.execute_batch(&format!(
            "PRAGMA synchronous = {synchronous};
             PRAGMA fullfsync = ON;
             PRAGMA checkpoint_fullfsync = ON;
             PRAGMA wal_autocheckpoint = {checkpoint_pages};
             PRAGMA journal_size_limit = {log_bytes};
             PRAGMA cache_size = -{cache_kibibytes};
             PRAGMA cell_size_check = ON;"
        ))
    }

    fn create(&self, connection: &Connection) -> rusqlite::Result<()> {
        let Self { tables, application_id, version, .. } = self;
        connection.execute_batch(&format!(
            "BEGIN; {tables}
             PRAGMA application_id = {application_id};
             PRAGMA user_version = {version};
             COMMIT;"
        ))
    }
}

impl From<rusqlite::Error> for OpenError {
    fn from(source: rusqlite::Error) -> Self {
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::InUse,
            Some(_) | None => Self::Sqlite(source),
        }
    }
}

/// Folds the log into the file, through to the disk however it was opened, and closes.
///
/// # Errors
/// The disk refuses: what was committed stays in the log.
pub fn close(connection: Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    connection.close().map_err(|(_, source)| source)
}

fn make_directory(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(|why| match why.kind() {
        io::ErrorKind::AlreadyExists => {
            io::Error::new(io::ErrorKind::NotADirectory, "it is not a directory: something else is there")
        }
        _ => why,
    })?;
    // SQLite syncs the directory's entries; the entry of the directory itself is ours to sync.
    match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => std::fs::File::open(parent)?.sync_all(),
        Some(_) | None => Ok(()),
    }
}

/// Takes the file's lock until the connection closes. It also keeps the log's index in this process, without a shared file
/// and a lock per commit, which halves the cost of a save.
fn take_alone(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::ZERO)?;
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.execute_batch("BEGIN EXCLUSIVE; COMMIT")
}
