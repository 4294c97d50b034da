//! A program that is killed: what it saw of its chain is there when the chain is opened again.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use strait_chain::{ChainError, DevChain, DevChainConfig};
use strait_encoding::{BlockHash, TxHash};
use strait_ledger::{BlockLocation, BranchOrder, ChainView, ForkPlan, TxLocation};

use crate::support::{account, config, open, spend};

/// Where it is set, the program makes forks, too.
const FORKS: &str = "STRAIT_CHAIN_CRASH_FORKS";
const DIRECTORY: &str = "STRAIT_CHAIN_CRASH_DIRECTORY";
const TEST: &str = "killed::what_was_seen_survives_a_kill";

/// Submits and mines until it is killed. Prints each tip that it sees, and each transaction that is acknowledged.
fn mine_for_ever(dir: &Path) {
    let forks = std::env::var_os(FORKS).is_some();
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
            if forks && nonce % 3 == 0 {
                let orders = [BranchOrder::AsBefore, BranchOrder::Reversed, BranchOrder::Last];
                let order = orders[usize::try_from(nonce / 3 % 3).unwrap()];
                let depth = (nonce % 20).min(chain.view().top_height().0);
                chain.fork(ForkPlan { order, ..ForkPlan::new(depth) }).await.unwrap();
            }
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

/// Kills a mining program after it has said so much; answers the last that it said, and all tips.
fn kill_after(dir: &Path, lines: usize, forks: bool) -> (Seen, Vec<BlockHash>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", TEST, "--nocapture"])
        .env(DIRECTORY, dir)
        .envs(forks.then_some((FORKS, "1")))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut last, mut tops) = (None, Vec::new());
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let Some(seen) = line.strip_prefix("seen ") else { continue };
        let words: Vec<_> = seen.split(' ').collect();
        // The last line may have been cut off by the kill.
        let [nonce, height, top] = words[..] else { continue };
        let Ok(top) = top.parse::<TxHash>() else { continue };
        last = Some(Seen { nonce: nonce.parse().unwrap(), height: height.parse().unwrap(), top: top.0 });
        tops.push(BlockHash::new(top.0));
        if tops.len() == 1 {
            assert!(matches!(DevChain::open(config(dir)), Err(ChainError::InUse { .. })));
        }
        if tops.len() == lines {
            // What it still said before it died is read to the end: that was seen, too.
            child.kill().unwrap();
        }
    }
    let ended = child.wait().unwrap();
    assert!(!ended.success() && ended.code().is_none(), "not killed: {ended}");
    (last.unwrap(), tops)
}

#[test]
fn what_was_seen_survives_a_kill() {
    if let Some(dir) = std::env::var_os(DIRECTORY) {
        return mine_for_ever(dir.as_ref());
    }
    let dir = tempfile::tempdir().unwrap();
    for lines in [1, 25, 350] {
        check_after_a_kill(dir.path(), lines, false);
    }
}

#[test]
fn what_was_seen_of_forks_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    for lines in [3, 26, 120] {
        let abandoned = check_after_a_kill(dir.path(), lines, true);
        assert!(abandoned > 0, "no fork was made");
    }
}

/// Gives the number of tips that were seen and are on a branch that was left behind.
fn check_after_a_kill(dir: &Path, lines: usize, forks: bool) -> usize {
    let (seen, tops) = kill_after(dir, lines, forks);
    let chain = open(dir).view();
    let top = BlockHash::new(seen.top);
    assert!(chain.block(&top).is_some(), "the tip that was seen at height {} is gone", seen.height);
    assert!(chain.top_height().0 >= seen.height);
    for nonce in 1..=seen.nonce {
        let location = chain.locate_tx(&spend(1, nonce).hash());
        assert!(matches!(location, TxLocation::InBlock { .. }), "transaction {nonce}: {location:?}");
    }
    // At most one was stored whose answer was not seen.
    assert!(chain.account(account(1)).unwrap().nonce.0 <= seen.nonce + 1);
    let is_abandoned = |top: &&BlockHash| matches!(chain.locate_block(top), BlockLocation::Fork(_));
    tops.iter().filter(is_abandoned).count()
}
