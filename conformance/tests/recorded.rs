//! The recorded sessions against our own service, over real sockets.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use strait_conformance::{Own, play_all};

fn recordings(folder: &str, ending: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|found| found == ending)).collect();
    paths.sort();
    paths
}

async fn play(files: &[PathBuf], expected: usize) {
    assert_eq!(files.len(), expected);
    let report = play_all(&Own::new(), files).await.unwrap();
    assert!(report.failed().next().is_none(), "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn todays_reference_is_matched_without_a_difference() {
    play(&recordings("sessions", "json"), 34).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_older_recordings_differ_only_where_the_table_says_so() {
    play(&recordings("seeds", "txt"), 3).await;
}
