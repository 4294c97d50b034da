//! Proofs: what they show, and that nothing forged is believed.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use strait_encoding::RootHash;
use strait_encoding::hash::blake2b;
use strait_encoding::rlp::{DecodeError, Fields, List};
use strait_tree::{MAX_PROOF_BYTES, Proof, ProofError, Tree};

type Nodes = BTreeMap<[u8; 32], Vec<Vec<u8>>>;

fn some_key() -> impl Strategy<Value = Vec<u8>> {
    vec(prop::sample::select(&[0x00, 0x01, 0x10, 0x11][..]), 0..5)
}

fn some_tree() -> impl Strategy<Value = Tree> {
    btree_map(some_key(), vec(any::<u8>(), 1..40), 1..30).prop_map(|pairs| pairs.into_iter().collect())
}

fn proof_of(tree: &Tree, keys: &[&[u8]]) -> Proof {
    let mut proof = Proof::new(tree).unwrap();
    for key in keys {
        proof.add(tree, key).unwrap();
    }
    proof
}

fn nodes_of(proof: &Proof) -> Nodes {
    proof.nodes().map(|(hash, items)| (*hash, items.to_vec())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(0), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_added_is_found(tree in some_tree(), picks in vec(any::<prop::sample::Index>(), 1..4)) {
        let pairs: Vec<_> = tree.iter().collect();
        let mut proof = Proof::new(&tree).unwrap();
        for pick in &picks {
            proof.add(&tree, &pick.get(&pairs).0).unwrap();
        }
        for pick in picks {
            let (key, value) = pick.get(&pairs);
            prop_assert_eq!(proof.lookup(key), Ok(Some(value.to_vec())));
        }
    }

    #[test]
    fn a_proof_never_says_what_the_tree_does_not(tree in some_tree(), pick in any::<prop::sample::Index>(), key in some_key()) {
        let pairs: Vec<_> = tree.iter().collect();
        let proof = proof_of(&tree, &[&pick.get(&pairs).0]);
        match proof.lookup(&key) {
            Ok(found) => prop_assert_eq!(found.as_deref(), tree.get(&key)),
            Err(error) => prop_assert!(matches!(error, ProofError::MissingNode { .. }), "{error}"),
        }
    }

    #[test]
    fn the_whole_tree_proves_presence_and_absence(tree in some_tree(), key in some_key()) {
        let mut proof = Proof::new(&tree).unwrap();
        proof.add_prefix(&tree, &[]).unwrap();
        let found = proof.lookup(&key).unwrap();
        prop_assert_eq!(found.as_deref(), tree.get(&key));
    }

    #[test]
    fn a_prefix_proves_the_keys_below_it(tree in some_tree(), prefix in some_key()) {
        let mut proof = Proof::new(&tree).unwrap();
        let below: Vec<_> = tree.iter_prefix(&prefix).collect();
        let added = proof.add_prefix(&tree, &prefix);
        if below.is_empty() {
            prop_assert_eq!(added, Err(ProofError::NotPresent { key: prefix }));
            prop_assert_eq!(proof, Proof::new(&tree).unwrap());
        } else {
            prop_assert_eq!(added, Ok(()));
            // The same nodes as the keys one by one.
            prop_assert_eq!(proof, proof_of(&tree, &below.iter().map(|(key, _)| &key[..]).collect::<Vec<_>>()));
        }
    }

    #[test]
    fn bytes_and_back(tree in some_tree(), pick in any::<prop::sample::Index>()) {
        let pairs: Vec<_> = tree.iter().collect();
        let proof = proof_of(&tree, &[&pick.get(&pairs).0]);
        let bytes = proof.encode().finish();
        prop_assert_eq!(&Proof::decode(Fields::of_list(&bytes).unwrap()), &Ok(proof.clone()));
        let backwards = proof.nodes().collect::<Vec<_>>().into_iter().rev();
        let nodes = backwards.fold(List::new(), |nodes, (hash, items)| {
            nodes.list(List::new().bytes(hash).all_bytes(items))
        });
        let unsorted = List::new().bytes(proof.root().as_ref()).list(nodes).finish();
        prop_assert_eq!(&Proof::decode(Fields::of_list(&unsorted).unwrap()), &Ok(proof.clone()));
        let parts = Proof::from_parts(proof.root(), nodes_of(&proof));
        prop_assert_eq!(parts, proof);
    }

    #[test]
    fn every_tampered_node_is_noticed(
        tree in some_tree(),
        pick in any::<prop::sample::Index>(),
        node in any::<prop::sample::Index>(),
        byte in any::<prop::sample::Index>(),
        flip in 1..=255u8,
    ) {
        let pairs: Vec<_> = tree.iter().collect();
        let (key, _) = pick.get(&pairs);
        let proof = proof_of(&tree, &[key]);
        let mut nodes = nodes_of(&proof);
        let hash = *node.get(&nodes.keys().copied().collect::<Vec<_>>());
        let items = nodes.get_mut(&hash).unwrap();
        let filled: Vec<usize> = (0..items.len()).filter(|item| !items[*item].is_empty()).collect();
        let item = &mut items[*byte.get(&filled)];
        let place = byte.index(item.len());
        item[place] ^= flip;
        let forged = Proof::from_parts(proof.root(), nodes);
        // Every node of a proof of one key is on the way to it.
        let is_noticed = matches!(forged.lookup(key), Err(ProofError::WrongNodeHash { listed, .. }) if listed == hash);
        prop_assert!(is_noticed);
    }

    #[test]
    fn every_missing_node_is_noticed(tree in some_tree(), pick in any::<prop::sample::Index>()) {
        let pairs: Vec<_> = tree.iter().collect();
        let (key, _) = pick.get(&pairs);
        let proof = proof_of(&tree, &[key]);
        for (hash, _) in proof.nodes() {
            let mut nodes = nodes_of(&proof);
            nodes.remove(hash);
            let partial = Proof::from_parts(proof.root(), nodes);
            prop_assert_eq!(partial.lookup(key), Err(ProofError::MissingNode { hash: *hash }));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..400), key in some_key()) {
        if let Ok(fields) = Fields::of_list(&bytes) && let Ok(proof) = Proof::decode(fields) {
            // Whatever was read is written in a form that reads the same.
            let again = proof.encode().finish();
            prop_assert_eq!(Proof::decode(Fields::of_list(&again).unwrap()), Ok(proof));
        }
        // A node with any items under its true hash: sound as a hash, arbitrary as a node.
        let items: Vec<Vec<u8>> = bytes.chunks(40).map(<[u8]>::to_vec).collect();
        let hash = hash_of(&items);
        let proof = Proof::from_parts(RootHash(hash), [(hash, items)]);
        let is_disbelieved = matches!(proof.lookup(&key), Err(ProofError::WrongNodeHash { .. }));
        prop_assert!(!is_disbelieved);
    }
}

fn hash_of(items: &[Vec<u8>]) -> [u8; 32] {
    blake2b(&items.iter().fold(List::new(), |list, item| list.bytes(item)).finish())
}

#[test]
fn a_new_proof_has_a_root_and_no_nodes() {
    assert_eq!(Proof::new(&Tree::new()), None);
    let tree: Tree = [("a", "1")].into_iter().collect();
    let proof = Proof::new(&tree).unwrap();
    assert_eq!(Some(proof.root()), tree.root());
    assert_eq!(proof.nodes().count(), 0);
    assert_eq!(proof.lookup(b"a"), Err(ProofError::MissingNode { hash: proof.root().0 }));
}

#[test]
fn another_tree_and_an_absent_key_are_refused_and_change_nothing() {
    let tree: Tree = [("a", "1"), ("ab", "2")].into_iter().collect();
    let other: Tree = [("a", "1")].into_iter().collect();
    let empty = Proof::new(&tree).unwrap();
    let mut proof = empty.clone();
    let wrong = ProofError::WrongRootHash { proof: tree.root().unwrap(), tree: other.root().unwrap() };
    assert_eq!(proof.add(&other, b"a"), Err(wrong.clone()));
    assert_eq!(proof.add_prefix(&other, b"a"), Err(wrong));
    let cleared = ProofError::WrongRootHash { proof: tree.root().unwrap(), tree: RootHash::ZERO };
    assert_eq!(proof.add(&Tree::new(), b"a"), Err(cleared.clone()));
    assert_eq!(cleared.to_string().matches(&tree.root().unwrap().to_string()).count(), 1);
    assert_eq!(proof.add(&tree, b"abc"), Err(ProofError::NotPresent { key: b"abc".to_vec() }));
    assert_eq!(proof.add(&tree, b""), Err(ProofError::NotPresent { key: Vec::new() }));
    assert_eq!(proof, empty);
    let mut zero = Proof::from_parts(RootHash::ZERO, []);
    assert!(matches!(zero.add(&Tree::new(), b"a"), Err(ProofError::WrongRootHash { .. })));
}

/// Two short leaves stay inside the branch above them, which is the root: one node proves both.
#[test]
fn embedded_nodes_come_with_their_parent() {
    let tree: Tree = [([0x12], [0x78]), ([0x22], [0x79])].into_iter().collect();
    let proof = proof_of(&tree, &[&[0x12]]);
    assert_eq!(proof.nodes().count(), 1);
    assert_eq!(proof.lookup(&[0x22]), Ok(Some(vec![0x79])));
    assert_eq!(proof.lookup(&[0x13]), Ok(None));
    assert_eq!(proof.lookup(&[0x32]), Ok(None));
}

/// The branch below the extension takes 24 bytes, yet the extension refers to it by hash and the proof lists it.
#[test]
fn a_short_node_below_an_extension_is_listed() {
    let tree: Tree = [([0x12, 0x34], [0x78]), ([0x12, 0x44], [0x79])].into_iter().collect();
    let proof = proof_of(&tree, &[&[0x12, 0x34]]);
    let sizes: Vec<usize> = proof.nodes().map(|(_, items)| items.len()).collect();
    assert_eq!(sizes.iter().sum::<usize>(), 2 + 17);
    assert_eq!(proof.lookup(&[0x12, 0x44]), Ok(Some(vec![0x79])));
}

#[test]
fn sound_hashes_do_not_excuse_malformed_nodes() {
    let extension = |path: &[u8], child: &[u8]| vec![path.to_vec(), child.to_vec()];
    let branch = |first: &[u8]| {
        let mut items = vec![Vec::new(); 17];
        items[0] = first.to_vec();
        items
    };
    for items in [
        vec![],
        vec![vec![0x20]],
        vec![vec![0x20]; 3],
        vec![vec![]; 16],
        vec![vec![]; 18],
        extension(&[], &[1]),
        extension(&[0x40], &[1]),
        extension(&[0x21], &[1]),
        extension(&[0x00], &[1; 32]),
        branch(&[0x01]),
        branch(&[0xc2, 0x20]),
        branch(&[0xc1, 0x20]),
        branch(&[0xc3, 0x20, 0xc1, 0x00]),
        // A well-formed leaf, but too long to be embedded.
        branch(&[&[0xe2, 0x30, 0xa0][..], &[1; 32]].concat()),
    ] {
        let hash = hash_of(&items);
        let proof = Proof::from_parts(RootHash(hash), [(hash, items.clone())]);
        assert!(matches!(proof.lookup(&[0x00]), Err(ProofError::Malformed(_))), "{items:02x?}");
    }
}

#[test]
fn nodes_under_something_that_is_no_hash_are_kept_and_prove_nothing() {
    let tree: Tree = [([0x11], [1]), ([0x12], [2])].into_iter().collect();
    let proof = proof_of(&tree, &[&[0x11], &[0x12]]);
    let sound: Vec<_> = proof.nodes().map(|(hash, items)| (hash.to_vec(), items.to_vec())).collect();
    let with = |more: Vec<(Vec<u8>, Vec<Vec<u8>>)>| {
        let all = [sound.clone(), more].concat();
        let node = |nodes: List, (hash, items): &(Vec<u8>, Vec<Vec<u8>>)| {
            nodes.list(List::new().bytes(hash).all_bytes(items))
        };
        List::new().bytes(proof.root().as_ref()).list(all.iter().fold(List::new(), node)).finish()
    };
    let read = |bytes: &[u8]| Proof::decode(Fields::of_list(bytes).unwrap()).unwrap();
    let first = sound[0].1.clone();
    // Sorted among the others, a prefix before what it begins, the last of two counting.
    let mut cut = sound[0].0.clone();
    cut.pop();
    let strays = vec![(vec![0xff; 33], first.clone()), (cut, first.clone()), (Vec::new(), Vec::new())];
    let found = read(&with(strays.clone()));
    assert_ne!(found, proof);
    assert_eq!(found.lookup(&[0x11]), Ok(Some(vec![1])));
    assert_eq!(found.lookup(&[0x12]), Ok(Some(vec![2])));
    assert_eq!(found.nodes().count(), proof.nodes().count());
    let mut sorted = [sound.clone(), strays.clone()].concat();
    sorted.sort();
    let written = found.encode().finish();
    let node = |nodes: List, (hash, items): &(Vec<u8>, Vec<Vec<u8>>)| {
        nodes.list(List::new().bytes(hash).all_bytes(items))
    };
    let expected = List::new().bytes(proof.root().as_ref()).list(sorted.iter().fold(List::new(), node));
    assert_eq!(written, expected.finish());
    assert_eq!(read(&written), found);
    let twice = [strays.clone(), vec![(vec![0xff; 33], Vec::new())]].concat();
    assert_ne!(read(&with(twice.clone())), found);
    // Nothing but the strays: the way to the keys is missing.
    let alone = strays.iter().fold(List::new(), node);
    let alone = read(&List::new().bytes(proof.root().as_ref()).list(alone).finish());
    assert!(matches!(alone.lookup(&[0x11]), Err(ProofError::MissingNode { .. })));
}

#[test]
fn what_is_read_has_exact_sizes() {
    let root = [1; 32];
    let node = |hash: &[u8]| List::new().bytes(hash).all_bytes([[0x20], [0x01]]);
    let with_node = |node: List| List::new().bytes(&root).list(List::new().list(node));
    let read = |list: List| {
        let bytes = list.finish();
        Proof::decode(Fields::of_list(&bytes).unwrap())
    };
    assert!(read(with_node(node(&[2; 32]))).is_ok());
    let size = |found| Err(DecodeError::Size { expected: 32, found });
    assert_eq!(read(List::new().bytes(&[1; 31]).list(List::new())), size(31));
    assert_eq!(read(List::new()), Err(DecodeError::Truncated));
    assert_eq!(read(List::new().bytes(&root)), Err(DecodeError::Truncated));
    assert_eq!(read(List::new().bytes(&root).list(List::new()).uint(0)), Err(DecodeError::Trailing));
    assert_eq!(read(with_node(node(&[2; 32]).uint(0))), Err(DecodeError::Trailing));
    assert!(matches!(read(List::new().bytes(&root).bytes(&[])), Err(DecodeError::Kind(_))));
    assert!(matches!(read(with_node(List::new().bytes(&[2; 32]).bytes(&[]))), Err(DecodeError::Kind(_))));
    let nested = List::new().bytes(&[2; 32]).list(List::new().list(List::new()));
    assert!(matches!(read(with_node(nested)), Err(DecodeError::Kind(_))));
}

#[test]
fn of_equal_hashes_the_last_one_counts() {
    let items = [[0x20], [0x01]];
    let hash = hash_of(&items.map(|item| item.to_vec()));
    let nodes = List::new()
        .list(List::new().bytes(&hash).all_bytes([[0x20], [0x02]]))
        .list(List::new().bytes(&hash).all_bytes(items));
    let bytes = List::new().bytes(&hash).list(nodes).finish();
    let proof = Proof::decode(Fields::of_list(&bytes).unwrap()).unwrap();
    assert_eq!(proof.lookup(&[]), Ok(Some(vec![0x01])));
}

#[test]
fn a_proof_larger_than_a_block_is_refused() {
    let read = |size| {
        let node = List::new().bytes(&[2; 32]).list(List::new().bytes(&vec![0; size]));
        let bytes = List::new().bytes(&[1; 32]).list(List::new().list(node)).finish();
        Proof::decode(Fields::of_list(&bytes).unwrap())
    };
    assert!(read(MAX_PROOF_BYTES - 33).is_ok());
    assert!(matches!(read(MAX_PROOF_BYTES - 32), Err(DecodeError::Rule(_))));
    // Nodes without items count by their hashes.
    let empty = || List::new().bytes(&[2; 32]).list(List::new());
    let nodes = (0..=MAX_PROOF_BYTES / 32).fold(List::new(), |nodes, _| nodes.list(empty()));
    let bytes = List::new().bytes(&[1; 32]).list(nodes).finish();
    assert!(matches!(Proof::decode(Fields::of_list(&bytes).unwrap()), Err(DecodeError::Rule(_))));
}
