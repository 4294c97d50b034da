//! The parts of an update: what `decide` costs at each of its steps, and what a commit costs. The costs below them have benches
//! of their own: `strait-encoding` (signatures), `strait-tree` (update and root), `strait-ledger` (decode and verify).
#![allow(missing_docs)]

mod pair;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use strait_channel::{Input, PeerEvent, Time};
use strait_service::Watched;
use strait_store::{ChannelKey, Durability, Record, Role, Store};

use pair::Pair;

const NOW: Time = Time(1_000_000);

fn decide(criterion: &mut Criterion) {
    let pair = Pair::open();
    let mut group = criterion.benchmark_group("decide");
    let steps = pair.steps_of_an_update();
    for (name, channel, input) in &steps {
        let step = || channel.decide(NOW, black_box(input.clone()), &pair.chain);
        assert!(step().is_ok(), "{name} is taken");
        group.bench_function(*name, |bencher| bencher.iter(|| black_box(step().is_ok())));
    }
    let (_, channel, _) = &steps[0];
    group
        .bench_function("to_stored", |bencher| bencher.iter(|| channel.to_stored().map(|bytes| bytes.len())));
    let garbage = Input::Peer(PeerEvent::Message(pair.stranger_update()));
    group.bench_function("refuse a stranger's update", |bencher| {
        bencher.iter(|| black_box(channel.decide(NOW, garbage.clone(), &pair.chain).is_ok()));
    });
    group.finish();
}

/// A small contract call, in a channel that has seen one call and in one that has seen 1,000.
fn call(criterion: &mut Criterion) {
    for calls in [1, 1_000] {
        let pair = Pair::open().with_contract(calls);
        let mut group = criterion.benchmark_group(format!("decide a contract call after {calls}"));
        for (name, channel, input) in &pair.steps_of_a_call() {
            let step = || channel.decide(NOW, black_box(input.clone()), &pair.chain);
            assert!(step().is_ok(), "{name} is taken");
            group.bench_function(*name, |bencher| bencher.iter(|| black_box(step().is_ok())));
        }
        let (_, channel, _) = &pair.steps_of_a_call()[0];
        let stored = || channel.to_stored().map(|bytes| bytes.len());
        group.bench_function("to_stored", |bencher| bencher.iter(stored));
        group.finish();
    }
}

/// What a block adds for 10,000 watched channels of which it touches ten, before the ten look at it.
fn block(criterion: &mut Criterion) {
    let watched = Watched::open(10_000);
    let touched = watched.ids().step_by(1_000).collect();
    let mut group = criterion.benchmark_group("a block for 10,000 watched channels");
    for (name, key_block) in [("micro block that touches 10", false), ("key block that touches 10", true)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| watched.announce(black_box(&touched), key_block))
        });
    }
    group.finish();
}

fn commit(criterion: &mut Criterion) {
    let pair = Pair::open();
    let (_, channel, _) = &pair.steps_of_an_update()[0];
    let state = channel.to_stored().expect("a channel can be written");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut group = criterion.benchmark_group("commit");
    for durability in [Durability::Process, Durability::Power] {
        let dir = tempfile::tempdir_in(".").expect("a folder");
        let store = Store::open(dir.path(), durability).expect("a store");
        let mut step = 0;
        group.bench_function(durability.to_string(), |bencher| {
            bencher.iter(|| {
                step += 1;
                let record = Record {
                    key: ChannelKey::new([1; 32]),
                    step,
                    channel_id: channel.id().map(|id| id.0),
                    own_account: [2; 32],
                    role: Role::Initiator,
                    door: [3; 32],
                    state: state.clone(),
                };
                runtime.block_on(store.save(record)).expect("it is stored")
            });
        });
    }
    group.finish();
}

criterion_group!(benches, decide, call, block, commit);
criterion_main!(benches);
