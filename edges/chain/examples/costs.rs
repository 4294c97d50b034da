//! What the dev chain costs: a view, an idle key block, a transaction, and the start with a long chain.
//!
//! `cargo run --release -p strait-chain --example costs -- [durable]`

use std::collections::BTreeMap;
use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use strait_chain::{ChainError, DevChain, DevChainConfig, dev_accounts};
use strait_encoding::{Coins, Height, Id, NetworkId, Nonce, SignedForm};
use strait_ledger::{ChainConfig, ChainView, SignedTx, SpendPayload, SpendTx};

const VIEWS: u32 = 1_000_000;
const BLOCKS: u32 = 10_000;
const TRANSACTIONS: u64 = 1_000;
const HELD: usize = 100;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::temp_dir().join(format!("strait-chain-costs-{}", std::process::id()));
    let accounts: BTreeMap<_, _> =
        dev_accounts().into_iter().map(|account| (account.key.account(), account.balance)).collect();
    let ledger = ChainConfig::new(NetworkId("ae_dev".to_owned()), accounts);
    let config = DevChainConfig {
        key_block_interval: Duration::from_secs(3600),
        durable: std::env::args().any(|arg| arg == "durable"),
        ..DevChainConfig::new(ledger, dir.clone())
    };
    let measured = measure(&config).await;
    std::fs::remove_dir_all(dir)?;
    measured
}

async fn measure(config: &DevChainConfig) -> Result<(), Box<dyn Error>> {
    let chain = DevChain::open(config.clone())?;
    let begun = Instant::now();
    for _ in 0..VIEWS {
        black_box(chain.view());
    }
    println!("a view: {:?}", begun.elapsed() / VIEWS);

    let mining = tokio::spawn(chain.clone().run(std::future::pending()));
    submit(&chain).await?;
    mining.abort();
    drop(mining.await);
    drop(chain);

    for _ in 0..2 {
        let chain = start(config)?;
        key_blocks(&chain).await?;
        beside_a_reader(&chain).await?;
        drop(chain);
        // As after a crash: the last blocks are not in a snapshot.
        start(config)?.close().await?;
    }
    start(config)?;
    Ok(())
}

fn start(config: &DevChainConfig) -> Result<DevChain, ChainError> {
    let begun = Instant::now();
    let chain = DevChain::open(config.clone())?;
    println!("start at height {}: {:?}", chain.view().top_height(), begun.elapsed());
    Ok(chain)
}

async fn submit(chain: &DevChain) -> Result<(), Box<dyn Error>> {
    let account = dev_accounts().swap_remove(1);
    let network = NetworkId("ae_dev".to_owned());
    let txs: Vec<_> = (1..=TRANSACTIONS)
        .map(|nonce| {
            let tx = SignedTx::unsigned(SpendTx {
                sender_id: account.key.account(),
                recipient_id: Id::Account(account.key.account()),
                amount: Coins(1),
                fee: Coins(20_000_000_000_000),
                ttl: Height(0),
                nonce: Nonce(nonce),
                payload: SpendPayload::default(),
            });
            let signature = account.key.sign(&network, tx.unsigned_bytes(), SignedForm::Hash);
            tx.with_signature(signature)
        })
        .collect();
    let mut slowest = Duration::ZERO;
    let begun = Instant::now();
    for tx in txs {
        let begun = Instant::now();
        chain.submit(tx).await?;
        slowest = slowest.max(begun.elapsed());
    }
    let mean = begun.elapsed() / u32::try_from(TRANSACTIONS)?;
    println!("a transaction, from submission to its block being seen: {mean:?}, slowest {slowest:?}");
    Ok(())
}

async fn key_blocks(chain: &DevChain) -> Result<(), Box<dyn Error>> {
    let (mut slowest, begun) = (Duration::ZERO, Instant::now());
    for _ in 0..BLOCKS {
        let begun = Instant::now();
        chain.mine(1).await?;
        slowest = slowest.max(begun.elapsed());
    }
    println!("a key block: {:?}, slowest {slowest:?}", begun.elapsed() / BLOCKS);
    Ok(())
}

/// The worst case: a reader holds each view until the block after the next.
async fn beside_a_reader(chain: &DevChain) -> Result<(), Box<dyn Error>> {
    let (mut held, begun) = ([chain.view(), chain.view()], Instant::now());
    for round in 0..HELD {
        chain.mine(1).await?;
        held[round % 2] = chain.view();
    }
    println!("a key block while every view is held: {:?}", begun.elapsed() / u32::try_from(HELD)?);
    Ok(())
}
