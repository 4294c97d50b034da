//! The player against a service that plays recordings perfectly, or lies in one place.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod honest;
mod lies;
mod money_lies;
mod state_lies;
mod stub;

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use strait_conformance::{Failure, Fault, Options, play_all_with};
use stub::{Script, Stub, Words, recording};

/// Long enough for whatever does come, so that a test waits only where nothing comes.
const LONG: Duration = Duration::from_secs(20);

/// How the recording that `script` was made of fails against it.
async fn failure_within(limit: Duration, file: PathBuf, script: Script) -> Option<Failure> {
    let stub = Stub::start(script).await;
    let options = Options { limit, jobs: 1 };
    let mut report = play_all_with(&stub, &[file], options, |_| {}).await.unwrap();
    report.played.remove(0).failure
}

/// The step and the fault of a failure that must be.
async fn fault_within(limit: Duration, script: Script) -> (usize, Fault) {
    let name = script.session.name.clone();
    match failure_within(limit, recording(&name), script).await {
        Some(Failure::Step { step, fault, .. }) => (step, fault),
        other => panic!("{name}: {other:?}"),
    }
}

async fn fault(script: Script) -> (usize, String) {
    let (step, fault) = fault_within(LONG, script).await;
    (step, fault.to_string())
}

async fn passes(script: Script) {
    let name = script.session.name.clone();
    let failure = failure_within(LONG, recording(&name), script).await;
    assert!(failure.is_none(), "{name}: {}", failure.unwrap());
}

impl Script {
    /// Changes the message of one step.
    fn changed(self, step: usize, change: impl Fn(&mut Value, &Words) + Send + Sync + 'static) -> Self {
        self.tampered(move |number, mut message, words| {
            if number == step {
                change(&mut message, words);
            }
            vec![message]
        })
    }
}
