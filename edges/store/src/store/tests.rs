//! What needs the inside of the store: injected faults, and a writer that is held up.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use super::*;
use crate::{Fault, Role};

const BOTH: [Durability; 2] = [Durability::Power, Durability::Process];

fn key(number: u16) -> ChannelKey {
    let mut bytes = [0; 32];
    bytes[..2].copy_from_slice(&number.to_be_bytes());
    ChannelKey::new(bytes)
}

fn record(number: u16, step: u64) -> Record {
    Record {
        key: key(number),
        step,
        channel_id: None,
        own_account: [1; 32],
        role: Role::Initiator,
        door: [2; 32],
        state: format!("state of {number} after {step}").into_bytes(),
    }
}

fn stored(store: &Store) -> Vec<(ChannelKey, u64)> {
    let loaded = store.load().unwrap();
    assert_eq!(loaded.quarantined, []);
    loaded.records.iter().map(|record| (record.key, record.step)).collect()
}

type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + 'a>>;

/// Polls once, so that the order is in the queue if it has room, and expects no answer yet. The runtime's
/// budget per task must not stand between.
fn begin<'a, T>(future: impl Future<Output = Result<T, StoreError>> + 'a) -> Pending<'a, T> {
    let mut future: Pending<'a, T> = Box::pin(tokio::task::unconstrained(future));
    assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    future
}

#[tokio::test]
async fn what_waits_shares_a_commit() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Durability::Power).unwrap();
    let held = store.shared.disk();
    let pending: Vec<_> = (0..200).map(|number| begin(store.save(record(number, 7)))).collect();
    drop(held);
    for save in pending {
        assert_eq!(save.await.unwrap().step(), 7);
    }
    // The writer took some before it was held up, and all others after.
    let stats = store.stats();
    assert!(stats.commits <= 2, "{stats:?}");
    assert!(stats.largest_batch >= 100, "{stats:?}");
    assert_eq!(stats.records_saved, 200);
    assert_eq!(stored(&store).len(), 200);
}

#[tokio::test]
async fn queue_and_batches_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Durability::Power).unwrap();
    let held = store.shared.disk();
    let pending: Vec<_> = (0..1500).map(|number| begin(store.save(record(number, 1)))).collect();
    let queue = store.writer.as_ref().unwrap().queue.as_ref().unwrap();
    assert_eq!(queue.max_capacity(), QUEUE);
    assert_eq!(queue.capacity(), 0, "1,500 saves fill the queue, and those without a place wait outside");
    drop(held);
    for save in pending {
        save.await.unwrap();
    }
    let stats = store.stats();
    assert_eq!(stats.records_saved, 1500);
    assert!(stats.largest_batch <= 256, "{stats:?}");
    assert!(stats.commits >= 1500 / 256, "{stats:?}");
}

#[tokio::test]
async fn a_failing_save_fails_alone_in_its_batch() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Durability::Power).unwrap();
    for number in 0..5 {
        store.save(record(number, 1)).await.unwrap();
    }
    store.inject(Fault::Save { key: key(2), nth: 1 });
    let held = store.shared.disk();
    let pending: Vec<_> = (0..6).map(|number| begin(store.save(record(number, 2)))).collect();
    drop(held);
    for (number, save) in (0..6).zip(pending) {
        match save.await {
            Ok(proof) => assert!(number != 2 && proof.step() == 2),
            Err(StoreError::Write { key: failed, .. }) => assert!(number == 2 && failed == key(2)),
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(store.stats().refused, 1);
    let steps = [(0, 2), (1, 2), (2, 1), (3, 2), (4, 2), (5, 2)];
    assert_eq!(stored(&store), steps.map(|(number, step)| (key(number), step)));
    store.save(record(2, 2)).await.unwrap();
}

#[tokio::test]
async fn a_batch_that_cannot_be_committed_is_tried_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Durability::Power).unwrap();
    store.save(record(0, 5)).await.unwrap();
    store.save(record(1, 5)).await.unwrap();
    let before = store.stats();

    // Two batches at most come of these, and two of the changes are refused for what they are.
    store.inject(Fault::Batch);
    store.inject(Fault::Batch);
    let held = store.shared.disk();
    let advanced = begin(store.save(record(0, 6)));
    let behind = begin(store.save(record(0, 6)));
    let deleted = begin(store.delete(key(1)));
    let begun_again = begin(store.save(record(1, 1)));
    let begun = begin(store.save(record(2, 1)));
    drop(held);

    assert_eq!(advanced.await.unwrap().step(), 6);
    assert!(matches!(behind.await, Err(StoreError::StepBehind { stored: 6, offered: 6, .. })));
    deleted.await.unwrap();
    assert_eq!(begun_again.await.unwrap().step(), 1);
    assert_eq!(begun.await.unwrap().step(), 1);
    assert_eq!(stored(&store), [(key(0), 6), (key(1), 1), (key(2), 1)]);
    let stats = store.stats();
    assert_eq!((stats.commits - before.commits, stats.largest_batch), (4, 1));
    assert_eq!((before.refused, stats.refused), (0, 1));
    assert_eq!(stats.records_saved - before.records_saved, 3);
}

#[tokio::test]
async fn the_chosen_save_fails_and_no_other() {
    for durability in BOTH {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), durability).unwrap();
        store.inject(Fault::Save { key: key(1), nth: 3 });
        store.save(record(1, 1)).await.unwrap();
        store.save(record(2, 1)).await.unwrap();
        store.save(record(1, 2)).await.unwrap();
        let failed = store.save(record(1, 3)).await.unwrap_err();
        assert!(failed.to_string().contains(&key(1).to_string()), "{failed}");
        store.save(record(2, 2)).await.unwrap();
        assert_eq!(stored(&store), [(key(1), 2), (key(2), 2)]);
        assert_eq!(store.save(record(1, 3)).await.unwrap().step(), 3);
    }
}

#[tokio::test]
async fn all_saves_fail_until_healed() {
    for durability in BOTH {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), durability).unwrap();
        store.inject(Fault::All);
        for number in 0..3 {
            assert!(matches!(store.save(record(number, 1)).await, Err(StoreError::Write { .. })));
        }
        assert_eq!(stored(&store), []);
        store.heal();
        store.save(record(0, 1)).await.unwrap();
        assert_eq!(stored(&store), [(key(0), 1)]);
    }
}

#[tokio::test]
async fn closing_commits_what_waits_before_it_and_fails_what_comes_after() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Durability::Power).unwrap();
    let held = store.shared.disk();
    let before = begin(store.save(record(0, 1)));
    let closing = begin(store.close());
    let after = begin(store.save(record(1, 1)));
    drop(held);
    before.await.unwrap();
    closing.await.unwrap();
    assert!(matches!(after.await, Err(StoreError::Closed)));
    let reopened = Store::open(dir.path(), Durability::Power).unwrap();
    assert_eq!(stored(&reopened), [(key(0), 1)]);
}

#[tokio::test]
async fn a_save_that_nobody_waits_for_is_still_whole() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Durability::Power).unwrap();
    let held = store.shared.disk();
    drop(begin(store.save(record(0, 1))));
    let next = begin(store.save(record(0, 2)));
    drop(held);
    next.await.unwrap();
    assert_eq!(store.stats().records_saved, 2);
    assert_eq!(stored(&store), [(key(0), 2)]);
}

#[test]
fn a_panic_in_a_commit_closes_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Durability::Process).unwrap();
    let shared = Arc::clone(&store.shared);
    let panicked = std::thread::spawn(move || {
        let _held = shared.disk();
        std::panic::resume_unwind(Box::new("while committing"));
    });
    assert!(panicked.join().is_err());
    let save = pin!(store.save(record(0, 1)));
    let answer = save.poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(answer, Poll::Ready(Err(StoreError::Closed))));
}
