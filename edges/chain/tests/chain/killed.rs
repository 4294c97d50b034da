//! A program that is killed: what it saw of its chain is there when the chain is opened again.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use strait_chain::{ChainError, DevChain, DevChainConfig};
use strait_encoding::TxHash;
use strait_ledger::{ChainView, TxLocation};

use crate::support::{account, config, open, spend};

const DIRECTORY: &str = "STRAIT_CHAIN_CRASH_DIRECTORY";
const TEST: &str = "killed::what_was_seen_survives_a_kill";

/// Submits and mines until it is killed. Prints each tip that it sees, and each transaction that is acknowledged.
fn mine_for_ever(dir: &Path) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let config = DevChainConfig { key_block_interval: Duration::from_millis(1), ..config(dir) };
    let chain = DevChain::open(config).unwrap();
    runtime.spawn(chain.clone().run(std::future::pending()));
    let first = chain.view().account(account(1)).unwrap().nonce.next().0;
    runtime.block_on(async {
        for nonce in first.. {
            let tx = spend(1, nonce);
            chain.submit(tx).await.unwrap();
            let view = chain.view();
            let (height, top) = (view.top_height(), view.top().hash());
            let mut out = std::io::stdout().lock();
            writeln!(out, "\nseen {nonce} {height} {}", TxHash(*top.as_bytes())).unwrap();
        }
    });
}

struct Seen {
    nonce: u64,
    height: u64,
    top: [u8; 32],
}

/// Kills a mining program after it has said so much; answers the last that it said.
fn kill_after(dir: &Path, lines: usize) -> Seen {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", TEST, "--nocapture"])
        .env(DIRECTORY, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut last, mut count) = (None, 0);
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let Some(seen) = line.strip_prefix("seen ") else { continue };
        let words: Vec<_> = seen.split(' ').collect();
        // The last line may have been cut off by the kill.
        let [nonce, height, top] = words[..] else { continue };
        let Ok(top) = top.parse::<TxHash>() else { continue };
        last = Some(Seen { nonce: nonce.parse().unwrap(), height: height.parse().unwrap(), top: top.0 });
        count += 1;
        if count == 1 {
            assert!(matches!(DevChain::open(config(dir)), Err(ChainError::InUse { .. })));
        }
        if count == lines {
            // What it still said before it died is read to the end: that was seen, too.
            child.kill().unwrap();
        }
    }
    let ended = child.wait().unwrap();
    assert!(!ended.success() && ended.code().is_none(), "not killed: {ended}");
    last.unwrap()
}

#[test]
fn what_was_seen_survives_a_kill() {
    if let Some(dir) = std::env::var_os(DIRECTORY) {
        return mine_for_ever(dir.as_ref());
    }
    let dir = tempfile::tempdir().unwrap();
    for lines in [1, 25, 350] {
        let seen = kill_after(dir.path(), lines);
        let chain = open(dir.path()).view();
        let top = strait_encoding::BlockHash::new(seen.top);
        assert!(chain.block(&top).is_some(), "the tip that was seen at height {} is gone", seen.height);
        assert!(chain.top_height().0 >= seen.height);
        for nonce in 1..=seen.nonce {
            let location = chain.locate_tx(&spend(1, nonce).hash());
            assert!(matches!(location, TxLocation::InBlock { .. }), "transaction {nonce}: {location:?}");
        }
        // At most one was stored whose answer was not seen.
        assert!(chain.account(account(1)).unwrap().nonce.0 <= seen.nonce + 1);
    }
}
