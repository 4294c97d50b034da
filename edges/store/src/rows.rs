//! The file: its form, and a record as a row of its tables.
//!
//! `state` has one row per channel, replaced in place by its integer key: no index to keep up, one page of
//! the write-ahead log per save. Each row carries all that the record says, under a checksum, because the
//! pages of an SQLite file have none. `channel` is written when a channel comes and goes, and tells whose
//! state was lost if a page of `state` cannot be read.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Row, params};
use strait_database::{Form, OpenError};

use crate::durability::Durability;
use crate::error::StoreError;
use crate::record::{ChannelKey, Record, Role};

const TABLES: &str = "
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

/// `channels.db`.
const FORM: Form = Form {
    file_name: "channels.db",
    // "Strt".
    application_id: 0x5374_7274,
    version: 1,
    tables: TABLES,
    log_bytes: 64 * 1024 * 1024,
    // Folding the log into the file costs three syncs; every 1,000 pages that is 0.3 % of the commits, and the
    // log, at 4 MB, is soon written over in place, which a disk syncs faster than a log that grows.
    checkpoint_pages: 1000,
    // Room for the pages of some 500 busy channels, so that a save of theirs reads nothing; those of idle ones
    // are the operating system's to keep.
    cache_kibibytes: 2 * 1024,
};

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
    match FORM.open(dir, durability == Durability::Power) {
        Ok(opened) => Ok(opened.connection),
        Err(why) => Err(refusal(dir, why)),
    }
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

fn refusal(dir: &Path, why: OpenError) -> StoreError {
    let dir = dir.into();
    match why {
        OpenError::Directory(source) => StoreError::Directory { dir, source },
        OpenError::InUse => StoreError::InUse { dir },
        OpenError::Newer { found, supported } => StoreError::Newer { dir, found, supported },
        OpenError::Foreign { found, expected } => StoreError::Foreign { dir, found, expected },
        OpenError::Sqlite(source) => StoreError::Open { dir, source },
    }
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
            let connection = open(dir.path(), durability).unwrap();
            let found: i64 = connection.query_row("PRAGMA synchronous", [], |row| row.get(0)).unwrap();
            assert_eq!(found, synchronous);
        }
    }
}
