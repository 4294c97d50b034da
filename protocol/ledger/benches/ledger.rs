//! What a channel does for every update: read and verify a signed transaction, apply a transfer, hash the state.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use strait_encoding::{ChannelId, Coins, NetworkId, Round, SecretKey, SignedForm, StateHash};
use strait_ledger::{OffchainEnv, OffchainTx, Protocol, SignedTx, Update, apply_updates, initial_trees};

fn decode_and_verify(criterion: &mut Criterion) {
    let network = NetworkId("ae_dev".to_owned());
    let keys = [1, 2].map(|number| SecretKey::from_seed([number; 32]));
    let tx = OffchainTx { channel_id: ChannelId([9; 32]), round: Round(42), state_hash: StateHash([7; 32]) };
    let unsigned = SignedTx::unsigned(tx);
    let sign = |key: &SecretKey, form| key.sign(&network, unsigned.unsigned_bytes(), form);
    let half = unsigned.clone().with_signature(sign(&keys[0], SignedForm::Hash));
    let full = half.clone().with_signature(sign(&keys[1], SignedForm::Hash));
    let accounts = [keys[0].account(), keys[1].account()];
    let evidence = half.verify(&network, &accounts[..1]).expect("signed above");
    let bytes = full.encode();

    criterion.bench_function("decode a signed transaction", |bencher| {
        bencher.iter(|| SignedTx::decode(black_box(&bytes)).expect("encoded above"));
    });
    criterion.bench_function("decode and verify one signature, the other known", |bencher| {
        bencher.iter(|| {
            let tx = SignedTx::decode(black_box(&bytes)).expect("encoded above");
            tx.verify_more(&network, Some((&half, &evidence)), &accounts).expect("signed above")
        });
    });
    criterion.bench_function("decode and verify two signatures", |bencher| {
        bencher.iter(|| {
            let tx = SignedTx::decode(black_box(&bytes)).expect("encoded above");
            tx.verify(&network, &accounts).expect("signed above")
        });
    });
}

fn apply_and_hash(criterion: &mut Criterion) {
    let [a, b] = [1, 2].map(|number| SecretKey::from_seed([number; 32]).account());
    let trees = initial_trees(a, b, Coins(70_000_000_000_000_000), Coins(40_000_000_000_000_000));
    let env = OffchainEnv { reserve: Coins(2), round: Round(2), protocol: Protocol::Ceres };
    let updates = [Update::Transfer { from: a, to: b, amount: Coins(1) }];
    // As in a channel, the last state was hashed when it was agreed on.
    black_box(trees.state_hash());
    criterion.bench_function("apply a transfer and hash the state", |bencher| {
        bencher.iter(|| apply_updates(black_box(&trees), &updates, &env).expect("enough coins").state_hash());
    });
}

criterion_group!(benches, decode_and_verify, apply_and_hash);
criterion_main!(benches);
