//! The file: its pragmas and tables, and a record as a row of them.
//!
//! `state` has one row per channel, replaced in place by its integer key: no index to keep up, one page of
//! the write-ahead log per save. Each row carries all that the record says, under a checksum, because the
//! pages of an SQLite file have none. `channel` is written when a channel comes and goes, and tells whose
//! state was lost if a page of `state` cannot be read.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, params};

use crate::durability::Durability;
use crate::error::StoreError;
use crate::record::{ChannelKey, Record, Role};

pub(crate) const FILE_NAME: &str = "channels.db";

/// The version of the tables below, kept in `PRAGMA user_version`.
const SCHEMA_VERSION: i64 = 1;

/// "Strt", kept in `PRAGMA application_id`, so that no other program's database is taken for ours.
const APPLICATION_ID: i64 = 0x5374_7274;

const SCHEMA: &str = "
    CREATE TABLE channel (id INTEGER PRIMARY KEY, key BLOB NOT NULL) STRICT;
    CREATE TABLE state (
        id          INTEGER PRIMARY KEY,
        key         BLOB    NOT NULL,
        step        INTEGER NOT NULL,
        channel_id  BLOB,
        own_account BLOB    NOT NULL,
        role        INTEGER NOT NULL,
        door        BLOB    NOT NULL,
        checksum    INTEGER NOT NULL,
        state       BLOB    NOT NULL
    ) STRICT;
";

/// Folding the log into the file costs three syncs; every 1,000 pages that is 0.3 % of the commits, and the
/// log, at 4 MB, is soon written over in place, which a disk syncs faster than a log that grows.
const CHECKPOINT_PAGES: u32 = 1000;

/// A log that one huge commit blew up is cut back to this.
const LOG_BYTES: u32 = 64 * 1024 * 1024;

/// Room for the pages of some 500 busy channels, so that a save of theirs reads nothing; those of idle ones are the operating
/// system's to keep.
const CACHE_KIBIBYTES: u32 = 2 * 1024;

const INSERT_CHANNEL: &str = "INSERT INTO channel (id, key) VALUES (?1, ?2)";
const INSERT_STATE: &str = "INSERT INTO state (id, key, step, channel_id, own_account, role, door, checksum, state) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
const REPLACE_STATE: &str = "INSERT OR REPLACE INTO state \
     (id, key, step, channel_id, own_account, role, door, checksum, state) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
const READ_STATE: &str =
    "SELECT key, step, channel_id, own_account, role, door, checksum, state FROM state WHERE id = ?1";

/// Opens `channels.db` under `dir`, alone, and makes its tables if it is new.
pub(crate) fn open(dir: &Path, durability: Durability) -> Result<Connection, StoreError> {
    make_directory(dir).map_err(|source| StoreError::Directory { dir: dir.into(), source })?;
    let failed = |source| open_failure(dir, source);
    let connection = Connection::open(dir.join(FILE_NAME)).map_err(failed)?;
    take_alone(&connection).map_err(failed)?;
    let version = check_origin(&connection, dir)?;
    set_up(&connection, durability).map_err(failed)?;
    if version == 0 {
        create(&connection).map_err(failed)?;
    }
    Ok(connection)
}

/// Writes a channel that the file does not have.
pub(crate) fn insert(connection: &Connection, row: i64, record: &Record) -> rusqlite::Result<()> {
    connection.prepare_cached(INSERT_CHANNEL)?.execute(params![row, record.key.as_bytes()])?;
    write_state(connection, INSERT_STATE, row, record)
}

/// Writes the new state of a channel that has `row`: one statement, so a transaction of its own if none is
/// open.
pub(crate) fn replace(connection: &Connection, row: i64, record: &Record) -> rusqlite::Result<()> {
    write_state(connection, REPLACE_STATE, row, record)
}

/// Forgets the channel of `row`.
pub(crate) fn remove(connection: &Connection, row: i64) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM state WHERE id = ?1")?.execute([row])?;
    connection.prepare_cached("DELETE FROM channel WHERE id = ?1")?.execute([row])?;
    Ok(())
}

/// Folds the log into the file, through to the disk whatever the durability, and closes.
pub(crate) fn close(connection: Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    connection.close().map_err(|(_, source)| source)
}

/// The rows that the file has, found without reading any state.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    /// By number, with the key where `channel` tells it.
    pub(crate) found: BTreeMap<i64, Option<ChannelKey>>,
    /// A number above all of them.
    pub(crate) next: i64,
    /// What could not be searched.
    pub(crate) damage: Vec<String>,
}

/// Lists the rows of both tables: either may be damaged.
pub(crate) fn list(connection: &Connection) -> Result<Rows, StoreError> {
    let mut rows = Rows::default();
    let channels = each(connection, "SELECT id, key FROM channel ORDER BY id", |row| {
        rows.found.insert(row.get(0)?, bytes_of(row, 1).ok().map(ChannelKey::new));
        Ok(())
    });
    let states = each(connection, "SELECT id FROM state ORDER BY id", |row| {
        rows.found.entry(row.get(0)?).or_insert(None);
        Ok(())
    });
    for (table, outcome) in [("channel", channels), ("state", states)] {
        match outcome {
            Ok(()) => {}
            Err(source) if rows.found.is_empty() => return Err(StoreError::Read(source)),
            Err(source) => {
                rows.damage.push(format!("table {table}: cannot be searched to its end: {source}"))
            }
        }
    }
    // The last page may be sound where one before it is not.
    let last = ["SELECT max(id) FROM channel", "SELECT max(id) FROM state"]
        .iter()
        .filter_map(|query| {
            connection.query_row(query, [], |row| row.get::<_, Option<i64>>(0)).ok().flatten()
        })
        .chain(rows.found.keys().next_back().copied())
        .max();
    rows.next = last.unwrap_or(0).saturating_add(1);
    Ok(rows)
}

/// The record in `row`, or what is wrong with it.
pub(crate) fn read(connection: &Connection, row: i64) -> Result<Record, String> {
    connection
        .prepare_cached(READ_STATE)
        .and_then(|mut statement| statement.query_row([row], |found| Ok(decode(found))).optional())
        .map_err(|source| format!("row {row}: cannot be read: {source}"))?
        .ok_or_else(|| format!("row {row}: its state is missing"))?
        .map_err(|why| format!("row {row}: {why}"))
}

fn make_directory(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)?;
    // SQLite syncs the directory's entries; the entry of the directory itself is ours to sync.
    match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => std::fs::File::open(parent)?.sync_all(),
        Some(_) | None => Ok(()),
    }
}

fn open_failure(dir: &Path, source: rusqlite::Error) -> StoreError {
    match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::InUse { dir: dir.into() },
        Some(_) | None => StoreError::Open { dir: dir.into(), source },
    }
}

/// Takes the file's lock until the connection closes. It also keeps the log's index in this process, without
/// a shared file and a lock per commit, which halves the cost of a save.
fn take_alone(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(std::time::Duration::ZERO)?;
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.execute_batch("BEGIN EXCLUSIVE; COMMIT")
}

/// Answers the schema version, 0 for a new file; changes nothing in a file that is not ours or from the
/// future.
fn check_origin(connection: &Connection, dir: &Path) -> Result<i64, StoreError> {
    let number = |query: &str| {
        connection
            .query_row(query, [], |row| row.get::<_, i64>(0))
            .map_err(|source| open_failure(dir, source))
    };
    let version = number("PRAGMA user_version")?;
    let application = number("PRAGMA application_id")?;
    let is_new = version == 0 && application == 0 && number("SELECT count(*) FROM sqlite_schema")? == 0;
    if application != APPLICATION_ID && !is_new {
        return Err(StoreError::Foreign { dir: dir.into(), found: application, expected: APPLICATION_ID });
    }
    if version > SCHEMA_VERSION {
        return Err(StoreError::Newer { dir: dir.into(), found: version, supported: SCHEMA_VERSION });
    }
    Ok(version)
}

fn set_up(connection: &Connection, durability: Durability) -> rusqlite::Result<()> {
    let synchronous = match durability {
        Durability::Power => "FULL",
        Durability::Process => "OFF",
    };
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    connection.execute_batch(&format!(
        "PRAGMA synchronous = {synchronous};
         PRAGMA fullfsync = ON;
         PRAGMA checkpoint_fullfsync = ON;
         PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES};
         PRAGMA journal_size_limit = {LOG_BYTES};
         PRAGMA cache_size = -{CACHE_KIBIBYTES};
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

fn write_state(connection: &Connection, sql: &str, row: i64, record: &Record) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute(params![
        row,
        record.key.as_bytes(),
        record.step.cast_signed(),
        record.channel_id.as_ref(),
        &record.own_account,
        role_number(record.role),
        &record.door,
        checksum(record),
        &record.state,
    ])?;
    Ok(())
}

fn each(
    connection: &Connection,
    sql: &str,
    mut visit: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        visit(row)?;
    }
    Ok(())
}

fn decode(row: &Row<'_>) -> Result<Record, String> {
    let record = Record {
        key: ChannelKey::new(bytes_of(row, 0)?),
        step: number_of(row, 1)?.cast_unsigned(),
        channel_id: match row.get_ref(2) {
            Ok(rusqlite::types::ValueRef::Null) => None,
            Ok(_) | Err(_) => Some(bytes_of(row, 2)?),
        },
        own_account: bytes_of(row, 3)?,
        role: role_from(number_of(row, 4)?)?,
        door: bytes_of(row, 5)?,
        state: row.get::<_, Vec<u8>>(7).map_err(|source| format!("state: {source}"))?,
    };
    let (found, expected) = (number_of(row, 6)?, checksum(&record));
    if found != expected {
        return Err(format!("checksum {found:#x}, expected {expected:#x} of what the row holds"));
    }
    Ok(record)
}

fn bytes_of(row: &Row<'_>, column: usize) -> Result<[u8; 32], String> {
    row.get(column).map_err(|source| format!("column {column}: {source}, expected 32 bytes"))
}

fn number_of(row: &Row<'_>, column: usize) -> Result<i64, String> {
    row.get(column).map_err(|source| format!("column {column}: {source}"))
}

fn role_number(role: Role) -> i64 {
    match role {
        Role::Initiator => 0,
        Role::Responder => 1,
    }
}

fn role_from(number: i64) -> Result<Role, String> {
    match number {
        0 => Ok(Role::Initiator),
        1 => Ok(Role::Responder),
        _ => Err(format!("role {number}, expected 0 (initiator) or 1 (responder)")),
    }
}

/// CRC-32 of every column; the fields before `state` have fixed lengths, so no two rows read the same.
fn checksum(record: &Record) -> i64 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(record.key.as_bytes());
    hasher.update(&record.step.to_le_bytes());
    hasher.update(&[u8::from(record.channel_id.is_some())]);
    hasher.update(&record.channel_id.unwrap_or_default());
    hasher.update(&record.own_account);
    hasher.update(&role_number(record.role).to_le_bytes());
    hasher.update(&record.door);
    hasher.update(&record.state);
    i64::from(hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No test can cut the power: what decides whether a commit waits for the disk is pinned here.
    #[test]
    fn each_durability_is_what_sqlite_was_told() {
        for (durability, synchronous) in [(Durability::Power, 2), (Durability::Process, 0)] {
            let dir = tempfile::tempdir().unwrap();
            for _new_then_old in 0..2 {
                let connection = open(dir.path(), durability).unwrap();
                let number =
                    |pragma: &str| connection.query_row(pragma, [], |row| row.get::<_, i64>(0)).unwrap();
                let text =
                    |pragma: &str| connection.query_row(pragma, [], |row| row.get::<_, String>(0)).unwrap();
                assert_eq!(number("PRAGMA synchronous"), synchronous);
                assert_eq!(text("PRAGMA journal_mode"), "wal");
                assert_eq!(text("PRAGMA locking_mode"), "exclusive");
                assert_eq!(number("PRAGMA wal_autocheckpoint"), 1000);
                assert_eq!(number("PRAGMA user_version"), 1);
                close(connection).unwrap();
            }
        }
    }
}
