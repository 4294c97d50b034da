//! The tree as a map with a root: against `BTreeMap` for its content, against the naive construction for its nodes.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod naive;

use std::collections::BTreeMap;
use std::thread;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use strait_encoding::RootHash;
use strait_tree::{Proof, Tree};

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// Short keys of few different bytes: they meet, and are prefixes of one another, all the time.
fn crowded_key() -> impl Strategy<Value = Vec<u8>> {
    vec(prop::sample::select(&[0x00, 0x01, 0x10, 0x11, 0xf1][..]), 0..5)
}

fn any_key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![8 => crowded_key(), 1 => vec(any::<u8>(), 32), 1 => vec(any::<u8>(), 0..300)]
}

/// Empty values, those of embedded nodes, those of hashed ones, and those with a long RLP header.
fn any_value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![6 => vec(any::<u8>(), 0..4), 3 => vec(any::<u8>(), 20..40), 1 => vec(any::<u8>(), 50..300)]
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(0), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_changes_gives_the_canonical_tree(
        changes in vec((any_key(), any_value()), 1..40),
        roots_after in vec(any::<bool>(), 40),
    ) {
        let mut tree = Tree::new();
        let mut model = Model::new();
        let mut earlier = Vec::new();
        for ((key, value), ask) in changes.iter().zip(roots_after) {
            earlier.push((tree.clone(), model.clone()));
            tree.insert(key, value);
            if value.is_empty() {
                model.remove(key);
            } else {
                model.insert(key.clone(), value.clone());
            }
            if ask {
                prop_assert_eq!(tree.root().map(|root| root.0), naive::build(&model).0);
            }
        }
        check(&tree, &model)?;
        // A clone keeps what it had, whatever became of the other.
        for (tree, model) in &earlier {
            check(tree, model)?;
        }
        let again: Tree = model.iter().rev().collect();
        prop_assert_eq!(&again, &tree);
        for (key, _) in model.iter() {
            tree.remove(key);
            tree.remove(key);
        }
        prop_assert!(tree.is_empty());
        prop_assert_eq!(tree.root(), None);
        prop_assert_eq!(tree.root_or_zero(), RootHash([0; 32]));
    }

    #[test]
    fn removing_half_leaves_the_other_half(
        pairs in prop::collection::btree_map(any_key(), vec(any::<u8>(), 1..40), 1..40),
        kept in vec(any::<bool>(), 40),
    ) {
        let mut tree: Tree = pairs.iter().collect();
        tree.root();
        let mut model = pairs.clone();
        for (key, _) in pairs.keys().zip(kept).filter(|(_, kept)| !kept) {
            tree.remove(key);
            model.remove(key);
        }
        check(&tree, &model)?;
        for key in pairs.keys() {
            prop_assert_eq!(tree.get(key), model.get(key).map(|value| &value[..]));
        }
    }

    #[test]
    fn a_prefix_selects_the_keys_that_start_with_it(
        pairs in prop::collection::btree_map(any_key(), vec(any::<u8>(), 1..9), 0..40),
        prefix in crowded_key(),
    ) {
        let tree: Tree = pairs.iter().collect();
        let expected: Vec<_> = pairs.iter().filter(|(key, _)| key.starts_with(&prefix)).collect();
        let found: Vec<_> = tree.iter_prefix(&prefix).collect();
        let found: Vec<_> = found.iter().map(|(key, value)| (key, value.to_vec())).collect();
        prop_assert_eq!(found, expected.into_iter().map(|(key, value)| (key, value.clone())).collect::<Vec<_>>());
    }
}

fn check(tree: &Tree, model: &Model) -> Result<(), TestCaseError> {
    let (root, nodes) = naive::build(model);
    prop_assert_eq!(tree.root().map(|root| root.0), root);
    prop_assert_eq!(tree.is_empty(), model.is_empty());
    let content: Vec<_> = tree.iter().map(|(key, value)| (key, value.to_vec())).collect();
    prop_assert_eq!(content, model.clone().into_iter().collect::<Vec<_>>());
    for (key, value) in model {
        prop_assert_eq!(tree.get(key), Some(&value[..]));
    }
    if let Some(mut proof) = Proof::new(tree) {
        proof.add_prefix(tree, &[]).unwrap();
        let found: naive::Nodes =
            proof.nodes().map(|(hash, items)| (*hash, naive::rlp_list(items))).collect();
        prop_assert_eq!(found, nodes);
    }
    Ok(())
}

#[test]
fn an_empty_value_removes_its_key() {
    let mut tree: Tree = [("ab", "1"), ("abc", "2")].into_iter().collect();
    tree.insert(b"ab", b"");
    assert_eq!(tree.get(b"ab"), None);
    assert_eq!(tree, [("abc", "2")].into_iter().collect());
    let none: Tree = [("a", "")].into_iter().collect();
    assert!(none.is_empty());
}

#[test]
fn removing_an_absent_key_changes_nothing() {
    let tree: Tree = [("abc", "1"), ("abd", "2"), ("abdef", "3")].into_iter().collect();
    for absent in ["", "a", "ab", "abe", "abde", "abcd", "abdefg", "b"] {
        let mut same = tree.clone();
        same.remove(absent.as_bytes());
        assert_eq!(same, tree, "{absent}");
        assert_eq!(tree.get(absent.as_bytes()), None, "{absent}");
    }
}

#[test]
fn different_content_is_not_equal() {
    let tree: Tree = [("a", "1")].into_iter().collect();
    assert_ne!(tree, Tree::new());
    assert_ne!(tree, [("a", "2")].into_iter().collect());
    assert_ne!(tree, [("b", "1")].into_iter().collect());
}

#[test]
fn debug_shows_the_pairs_in_hex() {
    let tree: Tree = [([0x12, 0xff], [0x0a])].into_iter().collect();
    assert_eq!(format!("{tree:?}"), r#"{"12ff": "0a"}"#);
}

/// 3,000 keys of which each is a prefix of the next make 3,000 levels. The stack here is far too small for a call per
/// level, so this ends only if nothing recurses: insertion, hashing, iteration, proof, removal and freeing.
#[test]
fn depth_does_not_use_the_stack() {
    let levels = 3_000;
    let work = move || {
        let mut tree: Tree = (1..=levels).map(|size| (vec![0x11; size], [7; 40])).collect();
        let full = tree.root();
        assert_eq!(tree.iter().count(), levels);
        let deepest = vec![0x11; levels];
        let mut proof = Proof::new(&tree).unwrap();
        proof.add(&tree, &deepest).unwrap();
        assert_eq!(proof.lookup(&deepest), Ok(Some(vec![7; 40])));
        let before = tree.clone();
        tree.remove(&deepest);
        assert_ne!(tree.root(), full);
        tree.insert(&deepest, &[7; 40]);
        assert_eq!(tree, before);
        drop(tree);
        drop(before);
    };
    thread::Builder::new().stack_size(128 * 1024).spawn(work).unwrap().join().unwrap();
}
