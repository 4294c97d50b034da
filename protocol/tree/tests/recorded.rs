//! Account trees and proofs as they were recorded between real nodes (`kat.json`). The recordings are not part of the
//! project; without them the test says so and passes.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::PathBuf;

use serde_json::Value;
use strait_encoding::rlp::{Fields, List};
use strait_encoding::text::{self, Prefix};
use strait_encoding::{AccountId, RootHash};
use strait_tree::{Proof, Tree};

#[test]
fn recorded_roots_and_proofs_follow_from_the_balances() {
    let Some(recorded) = recorded() else { return };
    let states = recorded["state_hashes"].as_array().unwrap();
    assert!(!states.is_empty());
    for state in states {
        let root: [u8; 32] =
            hex::decode(state["accounts_root"].as_str().unwrap()).unwrap().try_into().unwrap();
        assert_eq!(accounts(&state["balances"]).root(), Some(RootHash(root)), "{}", state["source"]);
    }
    let proofs = recorded["poi"].as_array().unwrap();
    assert!(!proofs.is_empty());
    for case in proofs {
        let bytes = text::decode(Prefix::Proof, case["poi"].as_str().unwrap()).unwrap();
        let tree = accounts(&case["accounts"]);
        let mut proof = Proof::new(&tree).unwrap();
        for (key, _) in tree.iter() {
            proof.add(&tree, &key).unwrap();
        }
        let mut fields = Fields::of_version(&bytes, 60, 1).unwrap();
        let received = Proof::decode(fields.list().unwrap().list().unwrap()).unwrap();
        assert_eq!(received, proof, "{}", case["source"]);
        for (key, value) in tree.iter() {
            assert_eq!(received.lookup(&key), Ok(Some(value.to_vec())));
        }
        let poi = List::object(60, 1).list(List::new().list(proof.encode()));
        let poi = (0..5).fold(poi, |poi, _| poi.list(List::new())).finish();
        assert_eq!(poi, bytes, "{}", case["source"]);
    }
}

fn accounts(balances: &Value) -> Tree {
    let balances = balances.as_object().unwrap().iter();
    balances
        .map(|(id, balance)| {
            let object = List::object(10, 1).uint(0).uint(balance.as_u64().unwrap()).finish();
            (id.parse::<AccountId>().unwrap(), object)
        })
        .collect()
}

#[expect(clippy::disallowed_methods, reason = "a test may read its environment")]
fn recorded() -> Option<Value> {
    let beside = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/recorded"));
    let path = std::env::var("STRAIT_RECORDED").map_or_else(|_| beside(), PathBuf::from).join("kat.json");
    match std::fs::read_to_string(&path) {
        Ok(content) => Some(serde_json::from_str(&content).unwrap()),
        Err(error) => {
            println!("skipped: no recordings at {}: {error}", path.display());
            None
        }
    }
}
