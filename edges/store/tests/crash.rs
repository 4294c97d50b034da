//! A program that is killed: every step that it saw acknowledged is there when the store is opened again.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use strait_store::{ChannelKey, Durability, Record, Role, Store, StoreError};

const DIRECTORY: &str = "STRAIT_STORE_CRASH_DIRECTORY";
const CHANNELS: u8 = 4;

fn record(channel: u8, step: u64) -> Record {
    Record {
        key: ChannelKey::new([channel; 32]),
        step,
        channel_id: None,
        own_account: [1; 32],
        role: Role::Initiator,
        door: [2; 32],
        state: format!("channel {channel} step {step} ").repeat(90).into_bytes(),
    }
}

/// The steps in a sound store, by channel.
fn steps(store: &Store) -> BTreeMap<u8, u64> {
    let loaded = store.load().unwrap();
    assert_eq!(loaded.quarantined, []);
    let stored = loaded.records.into_iter().map(|found| {
        let channel = found.key.as_bytes()[0];
        assert!(found == record(channel, found.step), "channel {channel}: not as it was saved");
        (channel, found.step)
    });
    stored.collect()
}

/// Saves until it is killed, or nobody listens any more. Prints each step once it is acknowledged.
fn save_for_ever(dir: &Path, durability: Durability) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let store = Store::open(dir, durability).unwrap();
    let begun = steps(&store);
    let savers: Vec<_> = (0..CHANNELS)
        .map(|channel| {
            let (store, first) = (store.clone(), begun.get(&channel).map_or(1, |step| step + 1));
            runtime.spawn(async move {
                for step in first.. {
                    let proof = store.save(record(channel, step)).await.unwrap();
                    println!("acknowledged {channel} {}", proof.step());
                }
            })
        })
        .collect();
    for saver in savers {
        runtime.block_on(saver).unwrap();
    }
}

/// Kills a saving program after so many acknowledgements; answers the last ones that it printed.
fn kill_after(dir: &Path, test: &str, acknowledgements: usize) -> BTreeMap<u8, u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(DIRECTORY, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut last = BTreeMap::new();
    let mut seen = 0;
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for line in lines {
        let line = line.unwrap();
        let Some((_, acknowledged)) = line.split_once("acknowledged ") else { continue };
        let (channel, step) = acknowledged.split_once(' ').unwrap();
        last.insert(channel.parse().unwrap(), step.parse().unwrap());
        seen += 1;
        if seen == 1 {
            let refused = Store::open(dir, Durability::Power).unwrap_err();
            assert!(matches!(refused, StoreError::InUse { .. }), "{refused}");
        }
        if seen == acknowledgements {
            // What it still printed before it died is read to the end: that was acknowledged, too.
            child.kill().unwrap();
        }
    }
    let ended = child.wait().unwrap();
    assert!(!ended.success() && ended.code().is_none(), "not killed: {ended}");
    last
}

fn every_acknowledged_step_survives(test: &str, durability: Durability, kills: &[usize]) {
    if let Some(dir) = std::env::var_os(DIRECTORY) {
        return save_for_ever(dir.as_ref(), durability);
    }
    let dir = tempfile::tempdir().unwrap();
    for acknowledgements in kills {
        let acknowledged = kill_after(dir.path(), test, *acknowledgements);
        let stored = steps(&Store::open(dir.path(), durability).unwrap());
        for (channel, step) in acknowledged {
            // The next one may have been written without its answer having been seen.
            let found = stored.get(&channel).copied().unwrap_or(0);
            assert!(
                found == step || found == step + 1,
                "channel {channel}: {found} stored, {step} acknowledged"
            );
        }
    }
}

#[test]
fn process_survives_a_kill() {
    every_acknowledged_step_survives(
        "process_survives_a_kill",
        Durability::Process,
        &[1, 7, 60, 333, 1500, 4001],
    );
}

#[test]
fn power_survives_a_kill() {
    every_acknowledged_step_survives("power_survives_a_kill", Durability::Power, &[2, 31, 150]);
}
