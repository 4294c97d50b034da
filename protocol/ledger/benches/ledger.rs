//! What a channel does for every update: read and verify a signed transaction, apply a transfer, hash the state; and what a
//! block costs those who watch many channels.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use strait_encoding::{ChannelId, Coins, Height, NetworkId, Nonce, Round, SecretKey, SignedForm, StateHash};
use strait_ledger::{
    Chain, ChainConfig, CreateTx, Delegates, DepositTx, ForkPlan, OffchainEnv, OffchainTx, Protocol,
    SignedTx, Tx, Update, apply_updates, initial_trees,
};

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

const WATCHED: u64 = 10_000;
const FEE: Coins = Coins(20_000_000_000_000);

fn key(side: u8) -> SecretKey {
    SecretKey::from_seed([side; 32])
}

fn create(nonce: u64) -> CreateTx {
    CreateTx {
        initiator_id: key(1).account(),
        initiator_amount: Coins(10),
        responder_id: key(2).account(),
        responder_amount: Coins(10),
        channel_reserve: Coins(0),
        lock_period: 10,
        ttl: Height(0),
        fee: FEE,
        delegate_ids: Delegates::Each { initiator: Vec::new(), responder: Vec::new() },
        state_hash: StateHash([7; 32]),
        nonce: Nonce(nonce),
    }
}

/// A chain with 10,000 channels, and their ids.
fn watched() -> (Chain, Vec<ChannelId>) {
    let accounts = [1, 2].map(|side| (key(side).account(), Coins(10_u128.pow(22))));
    let mut config = ChainConfig::new(NetworkId("ae_dev".to_owned()), accounts.into());
    (config.nonce_offset, config.pool_limit) = (WATCHED, 20_000);
    let mut chain = Chain::new(config);
    chain.mine_key_block(0);
    for nonce in 1..=WATCHED {
        submit(&mut chain, create(nonce).into());
    }
    while chain.mine_micro_block(0).is_some() {}
    (chain, (1..=WATCHED).map(|nonce| create(nonce).channel_id()).collect())
}

fn submit(chain: &mut Chain, tx: Tx) {
    let tx = SignedTx::unsigned(tx);
    let (network, bytes) = (chain.config().network.clone(), tx.unsigned_bytes().to_vec());
    let tx = [1, 2]
        .into_iter()
        .fold(tx, |tx, side| tx.with_signature(key(side).sign(&network, &bytes, SignedForm::Hash)));
    chain.submit(tx).expect("the pool has room");
}

/// What a block costs those who watch 10,000 channels, ten of which it touches.
fn watch(criterion: &mut Criterion) {
    let (mut chain, channels) = watched();
    let before = chain.top().hash();
    for (number, channel) in (1..).zip(&channels[..10]) {
        let deposit = DepositTx {
            channel_id: *channel,
            from_id: key(1).account(),
            amount: Coins(1),
            ttl: Height(0),
            fee: FEE,
            state_hash: StateHash([8; 32]),
            round: Round(2),
            nonce: Nonce(WATCHED + number),
        };
        submit(&mut chain, deposit.into());
    }
    assert_eq!(chain.mine_micro_block(0).map(|block| block.txs.len()), Some(10));
    let news = |chain: &Chain| {
        let touched = chain.touched_since(&before).expect("known");
        touched.into_iter().map(|channel| chain.news_since(channel, &before).txs.len()).sum::<usize>()
    };
    assert_eq!(news(&chain), 10);
    criterion.bench_function("news of a block for the touched of 10,000 channels", |bencher| {
        bencher.iter(|| news(black_box(&chain)));
    });
    criterion.bench_function("news of a block, asked for each of 10,000 channels", |bencher| {
        bencher.iter(|| channels.iter().map(|id| chain.news_since(*id, &before).txs.len()).sum::<usize>());
    });
    let abandoned = chain.top().hash();
    criterion.bench_function("a fork that mines 10,010 transactions again", |bencher| {
        bencher.iter_batched(
            || chain.clone(),
            |mut chain| chain.fork(&ForkPlan::new(1), 0).expect("deep enough"),
            BatchSize::PerIteration,
        );
    });
    chain.fork(&ForkPlan::new(1), 0).expect("deep enough");
    criterion.bench_function("channels touched by a fork of 10,010 transactions", |bencher| {
        bencher.iter(|| chain.touched_since(black_box(&abandoned)).expect("known").len());
    });
}

criterion_group!(benches, decode_and_verify, apply_and_hash, watch);
criterion_main!(benches);
