//! What a service may rely on, at both durabilities.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::path::Path;

use strait_store::{ChannelKey, Durability, MAX_STATE_BYTES, Record, Role, Store, StoreError};

const BOTH: [Durability; 2] = [Durability::Power, Durability::Process];

fn record(key: u8, step: u64) -> Record {
    Record {
        key: ChannelKey::new([key; 32]),
        step,
        channel_id: (step > 1).then_some([key.wrapping_add(1); 32]),
        own_account: [key.wrapping_add(2); 32],
        role: if key.is_multiple_of(2) { Role::Initiator } else { Role::Responder },
        door: [key.wrapping_add(3); 32],
        state: format!("{{\"step\":{step}}}").into_bytes(),
    }
}

fn records(store: &Store) -> Vec<Record> {
    let loaded = store.load().unwrap();
    assert_eq!(loaded.quarantined, []);
    loaded.records
}

fn reopen(dir: &Path, durability: Durability) -> Vec<Record> {
    records(&Store::open(dir, durability).unwrap())
}

#[tokio::test]
async fn the_last_save_of_each_channel_comes_back_whole() {
    for durability in BOTH {
        let dir = tempfile::tempdir().unwrap();
        let nested = dir.path().join("not/yet/there");
        let store = Store::open(&nested, durability).unwrap();
        assert_eq!(records(&store), []);
        for saved in [record(1, 1), record(2, 1), record(1, 2), record(2, u64::MAX), record(1, 90)] {
            let step = saved.step;
            assert_eq!(store.save(saved).await.unwrap().step(), step);
        }
        let expected = [record(1, 90), record(2, u64::MAX)];
        assert_eq!(records(&store), expected);
        store.close().await.unwrap();
        assert_eq!(reopen(&nested, durability), expected);
        assert_eq!(reopen(&nested, durability), expected);
    }
}

#[tokio::test]
async fn a_dropped_store_has_everything_too() {
    for durability in BOTH {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), durability).unwrap();
        let clone = store.clone();
        store.save(record(1, 1)).await.unwrap();
        drop(store);
        clone.save(record(1, 2)).await.unwrap();
        drop(clone);
        assert_eq!(reopen(dir.path(), durability), [record(1, 2)]);
    }
}

#[tokio::test]
async fn states_of_every_size_are_kept() {
    for durability in BOTH {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), durability).unwrap();
        let sizes = [0, 1, 1800, 2500, 3900, 4096, 70_000, MAX_STATE_BYTES, 2000];
        for (step, size) in (1..).zip(sizes) {
            let saved = Record { state: vec![0xa5; size], ..record(1, step) };
            store.save(saved.clone()).await.unwrap();
            assert!(records(&store) == [saved], "{size} bytes");
        }
        let long = Record { state: vec![0; MAX_STATE_BYTES + 1], ..record(1, 100) };
        let refused = store.save(long).await.unwrap_err();
        assert!(
            matches!(refused, StoreError::TooLarge { bytes, .. } if bytes == MAX_STATE_BYTES + 1),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn a_step_that_is_not_after_the_stored_one_is_refused() {
    for durability in BOTH {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), durability).unwrap();
        store.save(record(1, 5)).await.unwrap();
        for offered in [0, 4, 5] {
            let refused = store.save(record(1, offered)).await.unwrap_err();
            assert!(
                matches!(refused, StoreError::StepBehind { stored: 5, offered: o, .. } if o == offered),
                "{refused}"
            );
        }
        store.close().await.unwrap();

        let store = Store::open(dir.path(), durability).unwrap();
        assert!(matches!(store.save(record(1, 5)).await, Err(StoreError::StepBehind { stored: 5, .. })));
        assert_eq!(records(&store), [record(1, 5)]);
        store.save(record(1, 6)).await.unwrap();
    }
}

#[tokio::test]
async fn a_deleted_channel_is_gone_and_may_begin_again() {
    for durability in BOTH {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), durability).unwrap();
        for key in 1..=3 {
            store.save(record(key, 8)).await.unwrap();
        }
        store.delete(ChannelKey::new([3; 32])).await.unwrap();
        store.delete(ChannelKey::new([1; 32])).await.unwrap();
        store.delete(ChannelKey::new([9; 32])).await.unwrap();
        assert_eq!(records(&store), [record(2, 8)]);
        store.close().await.unwrap();

        let store = Store::open(dir.path(), durability).unwrap();
        assert_eq!(records(&store), [record(2, 8)]);
        store.save(record(1, 1)).await.unwrap();
        assert_eq!(records(&store), [record(2, 8), record(1, 1)]);
    }
}

#[tokio::test]
async fn a_second_store_on_the_directory_is_refused_by_name() {
    for durability in BOTH {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), durability).unwrap();
        for saved in [None, Some(record(1, 1))] {
            if let Some(saved) = saved {
                store.save(saved).await.unwrap();
            }
            for second in BOTH {
                let refused = Store::open(dir.path(), second).unwrap_err();
                assert!(matches!(refused, StoreError::InUse { .. }), "{refused}");
                assert!(refused.to_string().contains(dir.path().to_str().unwrap()), "{refused}");
            }
        }
        store.save(record(1, 2)).await.unwrap();
        store.close().await.unwrap();
        assert_eq!(reopen(dir.path(), durability), [record(1, 2)]);
    }
}

#[tokio::test]
async fn a_closed_store_does_nothing_more() {
    for durability in BOTH {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), durability).unwrap();
        let clone = store.clone();
        store.save(record(1, 1)).await.unwrap();
        store.close().await.unwrap();
        assert!(matches!(clone.save(record(1, 2)).await, Err(StoreError::Closed)));
        assert!(matches!(clone.delete(ChannelKey::new([1; 32])).await, Err(StoreError::Closed)));
        assert!(matches!(clone.load(), Err(StoreError::Closed)));
        assert!(matches!(clone.close().await, Err(StoreError::Closed)));
        // The log was folded into the file: whoever copies channels.db alone has everything.
        let files: Vec<_> =
            std::fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(files, ["channels.db"]);
        // Closed means let go, while clones are still around.
        assert_eq!(reopen(dir.path(), durability), [record(1, 1)]);
    }
}

#[tokio::test]
async fn the_durability_may_change_between_runs() {
    let dir = tempfile::tempdir().unwrap();
    for (step, durability) in (1..).zip(BOTH.into_iter().cycle().take(4)) {
        let store = Store::open(dir.path(), durability).unwrap();
        store.save(record(1, step)).await.unwrap();
        store.close().await.unwrap();
    }
    assert_eq!(reopen(dir.path(), Durability::Power), [record(1, 4)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_side_by_side_each_get_their_own_answer() {
    for durability in BOTH {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), durability).unwrap();
        let callers: Vec<_> = (0..20)
            .map(|key| {
                let store = store.clone();
                tokio::spawn(async move {
                    for step in 1..=30 {
                        assert_eq!(store.save(record(key, step)).await.unwrap().step(), step);
                        assert!(store.save(record(key, step)).await.is_err());
                    }
                })
            })
            .collect();
        for caller in callers {
            caller.await.unwrap();
        }
        let stats = store.stats();
        assert_eq!(stats.records_saved, 600);
        assert!(stats.commits <= 600 && stats.commits >= 30, "{stats:?}");
        assert!(!stats.busy_time.is_zero());
        store.close().await.unwrap();
        let mut found = reopen(dir.path(), durability);
        found.sort_by_key(|record| record.key);
        assert_eq!(found, (0..20).map(|key| record(key, 30)).collect::<Vec<_>>());
    }
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, b"not a directory").unwrap();
    let refused = Store::open(&file, Durability::Power).unwrap_err();
    assert!(matches!(refused, StoreError::Directory { .. }), "{refused}");
    assert!(refused.to_string().contains(file.to_str().unwrap()), "{refused}");
}
