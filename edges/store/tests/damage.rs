//! Files that are damaged, torn, foreign or from the future: what can be saved is, and nothing is made up.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::path::Path;

use rusqlite::Connection;
use strait_store::{ChannelKey, Durability, Loaded, Quarantined, Record, Role, Store, StoreError};

const PAGE: usize = 4096;

fn key(number: u8) -> ChannelKey {
    ChannelKey::new([number; 32])
}

/// A record with a page of its own.
fn record(number: u8, step: u64) -> Record {
    let state = format!("channel {number} step {step} ").repeat(180).into_bytes();
    Record {
        key: key(number),
        step,
        channel_id: Some([7; 32]),
        own_account: [8; 32],
        role: Role::Responder,
        door: [9; 32],
        state,
    }
}

fn open(dir: &Path) -> Store {
    Store::open(dir, Durability::Process).unwrap()
}

/// A closed store with channels 1 to 5.
async fn five(dir: &Path) {
    let store = open(dir);
    for number in 1..=5 {
        store.save(record(number, 3)).await.unwrap();
    }
    store.close().await.unwrap();
}

fn edit(dir: &Path, sql: &str) {
    Connection::open(dir.join("channels.db")).unwrap().execute_batch(sql).unwrap();
}

fn edit_bytes(dir: &Path, edit: impl FnOnce(&mut Vec<u8>)) {
    let path = dir.join("channels.db");
    let mut bytes = std::fs::read(&path).unwrap();
    edit(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

fn page_with(bytes: &[u8], text: &str) -> usize {
    let at = bytes.windows(text.len()).position(|window| window == text.as_bytes()).unwrap();
    at / PAGE * PAGE
}

fn without(number: u8) -> Vec<Record> {
    (1..=5).filter(|other| *other != number).map(|other| record(other, 3)).collect()
}

fn only(loaded: &Loaded) -> &Quarantined {
    assert_eq!(loaded.quarantined.len(), 1, "{:?}", loaded.quarantined);
    &loaded.quarantined[0]
}

#[tokio::test]
async fn a_damaged_row_is_quarantined_and_the_others_are_loaded() {
    let edits = [
        ("UPDATE state SET state = x'00' WHERE id = 3", "row 3: checksum"),
        ("UPDATE state SET step = 4 WHERE id = 3", "row 3: checksum"),
        ("UPDATE state SET channel_id = NULL WHERE id = 3", "row 3: checksum"),
        ("UPDATE state SET role = 2 WHERE id = 3", "row 3: role 2, expected 0 (initiator) or 1 (responder)"),
        ("UPDATE state SET role = 0 WHERE id = 3", "row 3: checksum"),
        ("UPDATE state SET key = x'0102' WHERE id = 3", "row 3: column 0"),
        ("DELETE FROM state WHERE id = 3", "row 3: its state is missing"),
    ];
    for (sql, why) in edits {
        let dir = tempfile::tempdir().unwrap();
        five(dir.path()).await;
        edit(dir.path(), sql);
        let loaded = open(dir.path()).load().unwrap();
        assert_eq!(loaded.records, without(3), "{sql}");
        let quarantined = only(&loaded);
        assert_eq!(quarantined.key, Some(key(3)), "{sql}");
        assert!(quarantined.why.starts_with(why), "{sql}: {}", quarantined.why);
    }
}

#[tokio::test]
async fn a_quarantined_channel_is_written_again_only_after_it_was_given_up() {
    for durability in [Durability::Power, Durability::Process] {
        let dir = tempfile::tempdir().unwrap();
        five(dir.path()).await;
        edit(dir.path(), "UPDATE state SET state = x'00' WHERE id = 3");
        let store = Store::open(dir.path(), durability).unwrap();
        let refused = store.save(record(3, 4)).await.unwrap_err();
        assert!(matches!(refused, StoreError::Quarantined { key: of } if of == key(3)), "{refused}");
        store.save(record(2, 4)).await.unwrap();
        assert_eq!(only(&store.load().unwrap()).key, Some(key(3)));

        store.delete(key(3)).await.unwrap();
        store.save(record(3, 1)).await.unwrap();
        let loaded = store.load().unwrap();
        assert_eq!(loaded.quarantined, []);
        assert_eq!(loaded.records.last(), Some(&record(3, 1)));
    }
}

#[tokio::test]
async fn a_damaged_page_takes_no_more_than_its_channel_and_leaves_its_name() {
    let dir = tempfile::tempdir().unwrap();
    five(dir.path()).await;
    edit_bytes(dir.path(), |bytes| {
        let page = page_with(bytes, "channel 3 step 3");
        bytes[page..page + PAGE].fill(0xff);
    });
    let store = open(dir.path());
    let loaded = store.load().unwrap();
    assert_eq!(loaded.records, without(3));
    assert!(loaded.quarantined.iter().any(|quarantined| quarantined.key == Some(key(3))), "{loaded:?}");
    // Others go on; new ones find a place.
    store.save(record(5, 4)).await.unwrap();
    store.save(record(6, 1)).await.unwrap();
    assert_eq!(store.load().unwrap().records.len(), 5);
}

#[tokio::test]
async fn a_lost_list_of_channels_loses_no_channel() {
    let dir = tempfile::tempdir().unwrap();
    five(dir.path()).await;
    edit(dir.path(), "DELETE FROM channel WHERE id >= 2; UPDATE channel SET key = x'00'");
    let store = open(dir.path());
    assert_eq!(store.load().unwrap().records, (1..=5).map(|number| record(number, 3)).collect::<Vec<_>>());
    // A new channel does not get the row of one that is only in the other table.
    store.save(record(6, 1)).await.unwrap();
    store.save(record(5, 4)).await.unwrap();
    let records = store.load().unwrap().records;
    assert_eq!(records[4..], [record(5, 4), record(6, 1)]);
}

#[tokio::test]
async fn a_channel_that_is_there_twice_is_taken_once() {
    let dir = tempfile::tempdir().unwrap();
    five(dir.path()).await;
    let columns = "key, step, channel_id, own_account, role, door, checksum, state";
    edit(
        dir.path(),
        &format!("INSERT INTO state (id, {columns}) SELECT 9, {columns} FROM state WHERE id = 1"),
    );
    let store = open(dir.path());
    let loaded = store.load().unwrap();
    assert_eq!(loaded.records.len(), 5);
    assert_eq!(only(&loaded).why, "row 9: repeats the channel of an earlier row");
    store.save(record(1, 4)).await.unwrap();
    assert_eq!(store.load().unwrap().records[0], record(1, 4));
}

/// A flipped bit anywhere either keeps the file from opening, or is reported, or changes nothing.
#[tokio::test]
async fn no_flipped_bit_changes_or_hides_a_channel() {
    let dir = tempfile::tempdir().unwrap();
    five(dir.path()).await;
    let sound = std::fs::read(dir.path().join("channels.db")).unwrap();
    let (mut refused, mut reported, mut harmless) = (0, 0, 0);
    for at in (0..sound.len()).step_by(61) {
        let hit = tempfile::tempdir().unwrap();
        let mut bytes = sound.clone();
        bytes[at] ^= 1 << (at % 8);
        std::fs::write(hit.path().join("channels.db"), bytes).unwrap();
        let Ok(loaded) = Store::open(hit.path(), Durability::Process).and_then(|store| store.load()) else {
            refused += 1;
            continue;
        };
        for found in &loaded.records {
            let number = found.key.as_bytes()[0];
            assert!(*found == record(number, 3), "byte {at}: a changed record was loaded");
        }
        if loaded.quarantined.is_empty() {
            assert_eq!(loaded.records.len(), 5, "byte {at}: a channel is missing and nothing is said");
            harmless += 1;
        } else {
            reported += 1;
        }
    }
    assert!(
        refused > 0 && reported > 100 && harmless > 0,
        "{refused} refused, {reported} reported, {harmless}"
    );
}

/// A machine that stops leaves the log torn somewhere: each length of it gives what was committed up to
/// there.
#[tokio::test]
async fn a_torn_log_gives_an_earlier_state_never_a_mixed_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for step in 1..=10 {
        for number in 1..=3 {
            store.save(record(number, step)).await.unwrap();
        }
    }
    // Still open: closing would fold the log into the file.
    let file = std::fs::read(dir.path().join("channels.db")).unwrap();
    let log = std::fs::read(dir.path().join("channels.db-wal")).unwrap();
    let mut last = 0;
    for length in (0..log.len()).step_by(1999).chain([log.len()]) {
        let torn = tempfile::tempdir().unwrap();
        std::fs::write(torn.path().join("channels.db"), &file).unwrap();
        std::fs::write(torn.path().join("channels.db-wal"), &log[..length]).unwrap();
        let loaded = open(torn.path()).load().unwrap();
        assert_eq!(loaded.quarantined, [], "log cut at {length}");
        let mut saves = 0;
        for found in loaded.records {
            let number = found.key.as_bytes()[0];
            assert!(found == record(number, found.step), "log cut at {length}");
            saves += found.step;
        }
        assert!(saves >= last, "log cut at {length}: {saves} saves, {last} with a shorter log");
        last = saves;
    }
    assert_eq!(last, 30);
    drop(store);
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    five(dir.path()).await;
    edit(dir.path(), "PRAGMA user_version = 2");
    let before = std::fs::read(dir.path().join("channels.db")).unwrap();
    let refused = Store::open(dir.path(), Durability::Power).unwrap_err();
    assert!(matches!(refused, StoreError::Newer { found: 2, supported: 1, .. }), "{refused}");
    assert!(refused.to_string().contains("schema version 2, expected at most 1"), "{refused}");
    assert_eq!(std::fs::read(dir.path().join("channels.db")).unwrap(), before);
}

#[test]
fn another_programs_database_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    edit(dir.path(), "CREATE TABLE state (id INTEGER PRIMARY KEY); INSERT INTO state VALUES (1);");
    let before = std::fs::read(dir.path().join("channels.db")).unwrap();
    let refused = Store::open(dir.path(), Durability::Power).unwrap_err();
    assert!(matches!(refused, StoreError::Foreign { found: 0, .. }), "{refused}");
    assert_eq!(std::fs::read(dir.path().join("channels.db")).unwrap(), before);
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("channels.db"), vec![b'x'; 3 * PAGE]).unwrap();
    let refused = Store::open(dir.path(), Durability::Power).unwrap_err();
    assert!(matches!(refused, StoreError::Open { .. }), "{refused}");
    assert!(refused.to_string().contains("not a database"), "{refused}");
}
