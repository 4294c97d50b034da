//! Who may know whom (ARCHITECTURE.md): read off the manifests, so that no arrow is drawn by accident.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// What each package may use of the project. `tests` may use more: only normal dependencies count.
const ARROWS: &[(&str, &[&str])] = &[
    ("encoding", &[]),
    ("tree", &["encoding"]),
    ("fate", &["encoding"]),
    ("ledger", &["encoding", "tree", "fate"]),
    ("channel", &["encoding", "tree", "ledger"]),
    ("database", &[]),
    ("http", &[]),
    ("chain", &["encoding", "tree", "fate", "ledger", "channel", "database"]),
    ("node-api", &["encoding", "tree", "fate", "ledger", "channel", "http"]),
    ("peer", PROTOCOL),
    ("store", &["encoding", "tree", "fate", "ledger", "channel", "database"]),
    ("api", &["encoding", "tree", "fate", "ledger", "channel", "http"]),
    ("operator", &["encoding", "tree", "fate", "ledger", "channel", "http"]),
    ("client", &["encoding", "tree", "fate", "ledger"]),
    ("sim", PROTOCOL),
    (
        "service",
        &[
            "encoding", "tree", "ledger", "channel", "chain", "node-api", "peer", "store", "api", "operator",
            "client",
        ],
    ),
    ("conformance", &["encoding", "tree", "fate", "ledger", "client", "service"]),
    ("bench", &["encoding", "tree", "ledger", "channel", "store", "client", "service"]),
    ("fuzz", &["encoding", "tree", "fate", "ledger", "channel", "api"]),
];

const PROTOCOL: &[&str] = &["encoding", "tree", "fate", "ledger", "channel"];

/// Crates that do input and output: no package of `protocol/` may use them.
const IMPURE: &[&str] =
    &["tokio", "axum", "rusqlite", "snow", "rand", "socket2", "tempfile", "tokio-tungstenite"];

fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = MetadataCommand::new().no_deps().exec().unwrap();
    let packages = metadata.packages.iter().map(|package| {
        let normal =
            package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal);
        (package.name.to_string(), normal.map(|dependency| dependency.name.clone()).collect())
    });
    packages.collect()
}

#[test]
fn packages_use_only_what_the_map_allows() {
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    for (package, uses) in dependencies() {
        let room = package.strip_prefix("strait-").expect("every package is named strait-<folder>");
        let allowed = allowed.get(room).unwrap_or_else(|| panic!("{package} is not on the map"));
        for used in uses.iter().filter_map(|used| used.strip_prefix("strait-")) {
            assert!(allowed.contains(&used), "{package} may not use strait-{used}");
        }
    }
}

/// The floors are folders: whatever the arrows say, edges do not know each other, the ground knows nothing of the project, and only
/// edges stand on it.
#[test]
fn floors_stay_apart() {
    let metadata = MetadataCommand::new().no_deps().exec().unwrap();
    let floors: BTreeMap<String, String> = metadata
        .packages
        .iter()
        .map(|package| {
            let folder = package.manifest_path.parent().and_then(|folder| folder.parent()).unwrap();
            (package.name.to_string(), folder.file_name().unwrap_or_default().to_owned())
        })
        .collect();
    assert!(["protocol", "ground", "edges"].iter().all(|floor| floors.values().any(|found| found == floor)));
    for (package, uses) in dependencies() {
        for (used, below) in uses.iter().filter_map(|used| Some((used, floors.get(used)?.as_str()))) {
            let may = match (floors[&package].as_str(), below) {
                ("ground", _) | ("edges", "edges") => false,
                (floor, "ground") => floor == "edges",
                _ => true,
            };
            assert!(may, "{package} may not use {used}, which is of {below}/");
        }
    }
}

#[test]
fn every_room_on_the_map_exists() {
    let packages = dependencies();
    for (room, _) in ARROWS {
        assert!(packages.contains_key(&format!("strait-{room}")), "there is no package for {room}");
    }
}

#[test]
fn the_protocol_does_no_input_or_output() {
    let packages = dependencies();
    for room in PROTOCOL {
        for used in &packages[&format!("strait-{room}")] {
            assert!(!IMPURE.contains(&used.as_str()), "strait-{room} uses {used}");
        }
    }
}
