//! The file: its pragmas and tables.
//!
//! `origin` says how the chain began. `snapshot` is the whole chain at one moment, `log` what came after it, a block or a
//! waiting transaction in each row, or a branch that took the place of the last blocks.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode};

use crate::ChainError;

const FILE_NAME: &str = "chain.db";

/// The version of the tables below and of what is in them, kept in `PRAGMA user_version`. In version 1 the log had no
/// branches; nothing else was different.
const SCHEMA_VERSION: i64 = 2;

/// "StrC", kept in `PRAGMA application_id`, so that no other database is taken for a chain.
const APPLICATION_ID: i64 = 0x5374_7243;

const SCHEMA: &str = "
    CREATE TABLE origin   (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
    CREATE TABLE snapshot (id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
    CREATE TABLE log      (id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
";

/// A write-ahead log that a large snapshot blew up is cut back to this.
const LOG_BYTES: u32 = 16 * 1024 * 1024;

/// The file in a data directory.
pub(crate) fn file_in(dir: &Path) -> PathBuf {
    dir.join(FILE_NAME)
}

/// Opens `chain.db` under `dir` for this process alone, and makes directory, file and tables where they are missing.
///
/// `durable`: a commit waits until the disk has it; else it survives a crash of the program, not of the machine.
pub(crate) fn open(dir: &Path, durable: bool) -> Result<Connection, ChainError> {
    make_directory(dir).map_err(|source| ChainError::Directory { dir: dir.into(), source })?;
    let file = file_in(dir);
    let failed = |source| open_failure(&file, source);
    let connection = Connection::open(&file).map_err(failed)?;
    take_alone(&connection).map_err(failed)?;
    let version = check_origin(&connection, &file)?;
    set_up(&connection, durable).map_err(failed)?;
    match version {
        0 => create(&connection).map_err(failed)?,
        SCHEMA_VERSION => {}
        _ => connection.pragma_update(None, "user_version", SCHEMA_VERSION).map_err(failed)?,
    }
    Ok(connection)
}

/// Folds SQLite's log into the file, through to the disk in any case, and closes.
pub(crate) fn close(connection: Connection) -> rusqlite::Result<()> {
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
    builder.create(dir)
}

fn open_failure(file: &Path, source: rusqlite::Error) -> ChainError {
    match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => ChainError::InUse { file: file.into() },
        Some(_) | None => ChainError::File { file: file.into(), source },
    }
}

/// Takes the file's lock until the connection closes. That also spares a shared index of SQLite's log.
fn take_alone(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(std::time::Duration::ZERO)?;
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.execute_batch("BEGIN EXCLUSIVE; COMMIT")
}

/// The schema version, 0 for a new file. Changes nothing in a file that is not ours or from the future.
fn check_origin(connection: &Connection, file: &Path) -> Result<i64, ChainError> {
    let number = |query: &str| {
        connection
            .query_row(query, [], |row| row.get::<_, i64>(0))
            .map_err(|source| open_failure(file, source))
    };
    let (version, application) = (number("PRAGMA user_version")?, number("PRAGMA application_id")?);
    let is_new = version == 0 && application == 0 && number("SELECT count(*) FROM sqlite_schema")? == 0;
    if application != APPLICATION_ID && !is_new {
        return Err(ChainError::Foreign { file: file.into(), found: application, expected: APPLICATION_ID });
    }
    if version > SCHEMA_VERSION {
        return Err(ChainError::Newer { file: file.into(), found: version, supported: SCHEMA_VERSION });
    }
    Ok(version)
}

fn set_up(connection: &Connection, durable: bool) -> rusqlite::Result<()> {
    let synchronous = if durable { "FULL" } else { "OFF" };
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    connection.execute_batch(&format!(
        "PRAGMA synchronous = {synchronous};
         PRAGMA fullfsync = ON;
         PRAGMA checkpoint_fullfsync = ON;
         PRAGMA journal_size_limit = {LOG_BYTES};
         PRAGMA cell_size_check = ON;"
    ))
}

fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "BEGIN; {SCHEMA}
         PRAGMA application_id = {APPLICATION_ID};
         PRAGMA user_version = {SCHEMA_VERSION};
         COMMIT;"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No test can cut the power: what decides whether a commit waits for the disk is pinned here.
    #[test]
    fn durability_is_what_sqlite_was_told() {
        for (durable, synchronous) in [(true, 2), (false, 0)] {
            let dir = tempfile::tempdir().unwrap();
            for _new_then_old in 0..2 {
                let connection = open(dir.path(), durable).unwrap();
                let number =
                    |pragma: &str| connection.query_row(pragma, [], |row| row.get::<_, i64>(0)).unwrap();
                assert_eq!(number("PRAGMA synchronous"), synchronous);
                assert_eq!(number("PRAGMA user_version"), SCHEMA_VERSION);
                let mode: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
                assert_eq!(mode, "wal");
                close(connection).unwrap();
            }
        }
    }

    #[test]
    fn a_file_that_is_not_ours_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = file_in(dir.path());
        let connection = Connection::open(&file).unwrap();
        connection.execute_batch("CREATE TABLE mine (x); PRAGMA application_id = 7;").unwrap();
        drop(connection);
        let before = std::fs::read(&file).unwrap();
        let message = open(dir.path(), false).unwrap_err().to_string();
        assert!(message.contains("chain.db has application id 0x7, expected 0x53747243"), "{message}");
        assert_eq!(std::fs::read(&file).unwrap(), before);
    }

    #[test]
    fn a_file_from_the_future_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let connection = open(dir.path(), false).unwrap();
        connection.pragma_update(None, "user_version", 3).unwrap();
        close(connection).unwrap();
        let message = open(dir.path(), false).unwrap_err().to_string();
        assert!(message.contains("schema version 3, expected at most 2: run a newer Strait"), "{message}");
    }

    #[test]
    fn a_file_from_before_forks_is_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        let connection = open(dir.path(), false).unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
        close(connection).unwrap();
        let connection = open(dir.path(), false).unwrap();
        let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        assert_eq!(version, 2);
    }

    #[test]
    fn a_file_in_use_is_not_shared() {
        let dir = tempfile::tempdir().unwrap();
        let _first = open(dir.path(), false).unwrap();
        assert!(matches!(open(dir.path(), false), Err(ChainError::InUse { .. })));
    }
}
