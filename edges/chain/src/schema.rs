//! The file: its form and its tables.
//!
//! `origin` says how the chain began. `snapshot` is the whole chain at one moment, `log` what came after it, a block or a
//! waiting transaction in each row, or a branch that took the place of the last blocks.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use strait_database::{Form, OpenError, Opened};

use crate::ChainError;

const TABLES: &str = "
    CREATE TABLE origin   (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
    CREATE TABLE snapshot (id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
    CREATE TABLE log      (id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
";

/// `chain.db`.
const FORM: Form = Form {
    file_name: "chain.db",
    // "StrC".
    application_id: 0x5374_7243,
    // In version 1 the log had no branches; nothing else was different.
    version: 2,
    tables: TABLES,
    log_bytes: 16 * 1024 * 1024,
    // As SQLite does by itself.
    checkpoint_pages: 1000,
    cache_kibibytes: 2000,
};

/// The file in a data directory.
pub(crate) fn file_in(dir: &Path) -> PathBuf {
    FORM.file_in(dir)
}

/// Opens `chain.db` under `dir` for this process alone, and makes directory, file and tables where they are missing.
///
/// `durable`: a commit waits until the disk has it; else it survives a crash of the program, not of the machine.
pub(crate) fn open(dir: &Path, durable: bool) -> Result<Connection, ChainError> {
    let Opened { connection, version } = FORM.open(dir, durable).map_err(|why| refusal(dir, why))?;
    if version != FORM.version {
        connection
            .pragma_update(None, "user_version", FORM.version)
            .map_err(|source| refusal(dir, source.into()))?;
    }
    Ok(connection)
}

fn refusal(dir: &Path, why: OpenError) -> ChainError {
    let file = file_in(dir);
    match why {
        OpenError::Directory(source) => ChainError::Directory { dir: dir.into(), source },
        OpenError::InUse => ChainError::InUse { file },
        OpenError::Newer { found, supported } => ChainError::Newer { file, found, supported },
        OpenError::Foreign { found, expected } => ChainError::Foreign { file, found, expected },
        OpenError::Sqlite(source) => ChainError::File { file, source },
    }
}

#[cfg(test)]
mod tests {
    use strait_database::close;

    use super::*;

    /// No test can cut the power: what decides whether a commit waits for the disk is pinned here.
    #[test]
    fn durability_is_what_sqlite_was_told() {
        for (durable, synchronous) in [(true, 2), (false, 0)] {
            let dir = tempfile::tempdir().unwrap();
            let connection = open(dir.path(), durable).unwrap();
            let found: i64 = connection.query_row("PRAGMA synchronous", [], |row| row.get(0)).unwrap();
            assert_eq!(found, synchronous);
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
