//! Known answers: the tries of `worked_examples.json`, the worked example of `docs/protocol/state_trees` §3, and trees
//! and proofs as the reference prints them (`node_objects.out`).

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod naive;

use std::collections::BTreeMap;

use serde_json::Value;
use strait_encoding::rlp::{Fields, List};
use strait_encoding::{AccountId, RootHash};
use strait_tree::{Proof, ProofError, Tree};

const WORKED_EXAMPLES: &str = include_str!("vectors/worked_examples.json");
const NODE_OBJECTS: &str = include_str!("vectors/node_objects.out");

const A: AccountId = AccountId([1; 32]);
const B: AccountId = AccountId([2; 32]);

#[test]
fn tries_have_the_given_roots_and_nodes() {
    let examples: Value = serde_json::from_str(WORKED_EXAMPLES).unwrap();
    let cases = examples["mpt"].as_array().unwrap();
    assert_eq!(cases.len(), 8);
    for case in cases {
        let name = &case["name"];
        let tree: Tree = hex_pairs(&case["kv"]).into_iter().collect();
        let root = case["root"].as_str().map(|root| RootHash(bytes(root).try_into().unwrap()));
        assert_eq!(tree.root(), root, "{name}");
        let found: BTreeMap<Vec<u8>, Vec<u8>> = match Proof::new(&tree) {
            Some(mut proof) => {
                proof.add_prefix(&tree, &[]).unwrap();
                proof.nodes().map(|(hash, items)| (hash.to_vec(), naive::rlp_list(items))).collect()
            }
            None => BTreeMap::new(),
        };
        assert_eq!(found, hex_pairs(&case["nodes"]), "{name}");
    }
}

#[test]
fn account_trees_have_the_given_roots() {
    let examples: Value = serde_json::from_str(WORKED_EXAMPLES).unwrap();
    let cases = examples["state_hash"].as_array().unwrap();
    assert_eq!(cases.len(), 5);
    for case in cases {
        let accounts = case["accounts"].as_object().unwrap().iter().map(|(id, account)| {
            let (nonce, balance) = (account["nonce"].as_u64().unwrap(), account["balance"].as_u64().unwrap());
            (id.parse::<AccountId>().unwrap(), account_object(nonce, balance))
        });
        let tree: Tree = accounts.collect();
        let root = case["accounts_root"].as_str().map(|root| RootHash(bytes(root).try_into().unwrap()));
        assert_eq!(tree.root(), root, "{}", case["name"]);
    }
}

#[test]
fn two_accounts_give_the_nodes_of_the_worked_example() {
    let tree: Tree = [(A, account_object(0, 100)), (B, account_object(0, 50))].into_iter().collect();
    let leaf_a = format!("e7a020{}85c40a010064", "01".repeat(31));
    let leaf_b = format!("e7a020{}85c40a010032", "02".repeat(31));
    let hash_a = "f9dd433c3473eb16ab979549ae219a0bf39beff059ffd47a23280ca529a2e364";
    let hash_b = "f2e38a79e25bc314d5df6e7b7084b87bbb89cfb573f85442acedbb0036d37e35";
    let hash_branch = "100e6c70559a5568d6af5061ddf7f754c7fb940918af967005616f2e85596c90";
    let hash_root = "d9154aeabb0a791d4f990041ac1234d34bd53581595f687b8985908ab3de2230";
    let branch = format!("f85180a0{hash_a}a0{hash_b}{}", "80".repeat(14));
    let root = format!("e210a0{hash_branch}");

    let mut proof = Proof::new(&tree).unwrap();
    proof.add_prefix(&tree, &[]).unwrap();
    let found: BTreeMap<String, String> =
        proof.nodes().map(|(hash, items)| (hex::encode(hash), hex::encode(naive::rlp_list(items)))).collect();
    let expected = [(hash_a, leaf_a), (hash_b, leaf_b), (hash_branch, branch), (hash_root, root)];
    assert_eq!(found, expected.map(|(hash, rlp)| (hash.to_owned(), rlp)).into());
    assert_eq!(hex::encode(tree.root().unwrap().0), hash_root);
}

#[test]
fn the_reference_lists_the_pairs_of_a_tree_in_descending_order() {
    // state_trees, its last field accounts mtree, its only field mtree, its only field the pairs
    let trees = object("trees_A70_B40");
    let mut fields = Fields::of_version(&trees, 62, 0).unwrap();
    let accounts = (0..6).map(|_| fields.bytes().unwrap()).last().unwrap();
    let mtree = Fields::of_version(accounts, 626, 1).unwrap().bytes().unwrap();
    let mut listed = Fields::of_version(mtree, 63, 1).unwrap().list().unwrap();
    let mut pairs = Vec::new();
    while !listed.is_empty() {
        let mut pair = Fields::of_version(listed.bytes().unwrap(), 64, 1).unwrap();
        pairs.push((pair.bytes().unwrap().to_vec(), pair.bytes().unwrap()));
    }
    let tree = seventy_and_forty();
    let mut ours: Vec<_> = tree.iter().collect();
    ours.reverse();
    assert_eq!(ours, pairs);
}

#[test]
fn the_proof_of_one_account_is_that_of_the_reference() {
    let tree = seventy_and_forty();
    let mut proof = Proof::new(&tree).unwrap();
    proof.add(&tree, A.as_ref()).unwrap();
    // trees_poi with one part: accounts; calls, channels, contracts, ns and oracles are empty
    let part = List::new().list(proof.encode());
    let poi = (0..5).fold(List::object(60, 1).list(part), |poi, _| poi.list(List::new()));
    assert_eq!(hex::encode(poi.finish()), hex::encode(object("poi_A")));
}

#[test]
fn the_proof_of_the_reference_answers_for_its_account_alone() {
    let poi = object("poi_A");
    let mut fields = Fields::of_version(&poi, 60, 1).unwrap();
    let proof = Proof::decode(fields.list().unwrap().list().unwrap()).unwrap();
    assert_eq!(proof.root(), seventy_and_forty().root().unwrap());
    assert_eq!(proof.lookup(A.as_ref()), Ok(Some(account_object(0, 70_000_000_000_000_000))));
    assert!(matches!(proof.lookup(B.as_ref()), Err(ProofError::MissingNode { .. })));
    assert_eq!(proof.lookup(&[3; 32]), Ok(None));
    for _ in 0..5 {
        assert!(fields.list().unwrap().is_empty());
    }
    fields.end().unwrap();
}

fn seventy_and_forty() -> Tree {
    let balances = [(A, 70_000_000_000_000_000), (B, 40_000_000_000_000_000)];
    balances.into_iter().map(|(id, balance)| (id, account_object(0, balance))).collect()
}

fn account_object(nonce: u64, balance: u64) -> Vec<u8> {
    List::object(10, 1).uint(nonce).uint(balance).finish()
}

fn object(name: &str) -> Vec<u8> {
    let line = NODE_OBJECTS.lines().find_map(|line| line.strip_prefix(&format!("obj\t{name}\t")));
    bytes(line.unwrap())
}

fn bytes(digits: &str) -> Vec<u8> {
    hex::decode(digits).unwrap()
}

fn hex_pairs(pairs: &Value) -> BTreeMap<Vec<u8>, Vec<u8>> {
    pairs
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, value)| (bytes(key), bytes(value.as_str().unwrap())))
        .collect()
}
