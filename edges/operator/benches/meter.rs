//! What counting costs a step: of the two sides' ten steps of an update, the ones that ask a client to sign cost most.
//!
//! ```text
//! cargo bench -p strait-operator --bench meter
//! ```

#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../tests/operator/pair.rs"]
mod pair;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use pair::Pair;
use strait_channel::{Input, Side};
use strait_operator::{Meter, Seen};

fn meter(c: &mut Criterion) {
    let mut pair = Pair::open();
    assert!(pair.pay());
    let (before, step) = pair.proposal();
    let mut meter = pair.metrics.meter();
    let asks = Input::Tick;
    c.bench_function("a step that asks to sign", |b| {
        b.iter(|| {
            let _ = black_box(Meter::notice(black_box(&asks)));
            meter.observe(Seen::Other, black_box(&before), black_box(&step));
        });
    });
    c.bench_function("a signature that comes, and the next request", |b| {
        b.iter(|| meter.observe(Seen::Signed(Side::Proposer), black_box(&before), black_box(&step)));
    });
    c.bench_function("a commit", |b| {
        b.iter(|| meter.committed(black_box(std::time::Duration::from_micros(150))));
    });
}

criterion_group!(benches, meter);
criterion_main!(benches);
