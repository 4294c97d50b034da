//! What one changed account costs in a tree of 2 and of 10,000 accounts: the update, then the root.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use strait_encoding::hash::blake2b;
use strait_tree::{Proof, Tree};

/// An account's public key: spread evenly, as real ones are.
fn key(number: u64) -> [u8; 32] {
    blake2b(&number.to_be_bytes())
}

/// As large as an account object with a balance of 10^18 aettos.
fn value(number: u64) -> [u8; 14] {
    let mut value = [0xc1; 14];
    value[..8].copy_from_slice(&number.to_be_bytes());
    value
}

fn tree_of(size: u64) -> Tree {
    let tree: Tree = (0..size).map(|number| (key(number), value(number))).collect();
    tree.root();
    tree
}

fn update_one_account(c: &mut Criterion) {
    for size in [2, 10_000] {
        let tree = tree_of(size);
        let mut round = 0;
        c.bench_function(&format!("update one of {size} accounts and root"), |b| {
            b.iter(|| {
                round += 1;
                let mut next = tree.clone();
                next.insert(&key(1), &value(round));
                black_box(next.root())
            });
        });
        let mut moving = tree.clone();
        c.bench_function(&format!("update one of {size} accounts and root, unshared"), |b| {
            b.iter(|| {
                round += 1;
                moving.insert(&key(1), &value(round));
                black_box(moving.root())
            });
        });
    }
}

fn build(c: &mut Criterion) {
    let pairs: Vec<_> = (0..10_000).map(|number| (key(number), value(number))).collect();
    c.bench_function("build 10000 accounts and root", |b| {
        b.iter_batched(
            || pairs.clone(),
            |pairs| pairs.into_iter().collect::<Tree>().root(),
            BatchSize::LargeInput,
        );
    });
}

fn prove_two_accounts(c: &mut Criterion) {
    let tree = tree_of(2);
    c.bench_function("prove and look up 2 of 2 accounts", |b| {
        b.iter(|| {
            let mut proof = Proof::new(&tree)?;
            for number in 0..2 {
                proof.add(&tree, &key(number)).ok()?;
            }
            (0..2).map(|number| proof.lookup(&key(number)).ok()?).collect::<Option<Vec<_>>>()
        });
    });
}

criterion_group!(benches, update_one_account, build, prove_two_accounts);
criterion_main!(benches);
