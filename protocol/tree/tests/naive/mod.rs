//! The tree of a sorted list of pairs, built the slow and obvious way: the reference that `strait-tree` is held to.
//!
//! Nothing but the hash function is shared with the crate; that one has known answers of its own.

#![allow(dead_code, reason = "each test file uses a part")]

use std::collections::BTreeMap;

use strait_encoding::hash::blake2b;

/// The RLP of every node that is referred to by hash.
pub type Nodes = BTreeMap<[u8; 32], Vec<u8>>;

/// The root hash of the pairs, and all nodes referred to by hash.
pub fn build(pairs: &BTreeMap<Vec<u8>, Vec<u8>>) -> (Option<[u8; 32]>, Nodes) {
    let digits: Vec<(String, &[u8])> =
        pairs.iter().map(|(key, value)| (hex::encode(key), &value[..])).collect();
    let mut nodes = Nodes::new();
    if digits.is_empty() {
        return (None, nodes);
    }
    let entries: Vec<(&str, &[u8])> = digits.iter().map(|(key, value)| (&key[..], *value)).collect();
    let root = node(&entries, &mut nodes);
    let hash = blake2b(&root);
    nodes.insert(hash, root);
    (Some(hash), nodes)
}

/// RLP of a list of byte strings.
pub fn rlp_list<B: AsRef<[u8]>>(items: &[B]) -> Vec<u8> {
    let payload: Vec<u8> = items.iter().flat_map(|item| rlp_bytes(item.as_ref())).collect();
    with_header(0xc0, &payload)
}

fn rlp_bytes(bytes: &[u8]) -> Vec<u8> {
    if bytes.len() == 1 && bytes[0] < 0x80 { bytes.to_vec() } else { with_header(0x80, bytes) }
}

fn with_header(offset: u8, body: &[u8]) -> Vec<u8> {
    let header = match body.len() {
        size @ ..56 => vec![offset + size as u8],
        size @ ..256 => vec![offset + 56, size as u8],
        size @ ..65536 => vec![offset + 57, (size / 256) as u8, (size % 256) as u8],
        size => panic!("no test needs {size} bytes"),
    };
    [&header, body].concat()
}

/// The RLP of the node for entries whose keys are given as hex digits.
fn node(entries: &[(&str, &[u8])], nodes: &mut Nodes) -> Vec<u8> {
    let (first, value) = entries[0];
    if entries.len() == 1 {
        return rlp_list(&[compact(first, 2), value.to_vec()]);
    }
    let shared =
        (0..=first.len()).rev().find(|size| entries.iter().all(|(key, _)| key.starts_with(&first[..*size])));
    let shared = shared.unwrap_or(0);
    if shared > 0 {
        let below: Vec<_> = entries.iter().map(|(key, value)| (&key[shared..], *value)).collect();
        let child = node(&below, nodes);
        let hash = blake2b(&child);
        nodes.insert(hash, child);
        return rlp_list(&[compact(&first[..shared], 0), hash.to_vec()]);
    }
    let mut items = Vec::new();
    for digit in "0123456789abcdef".chars() {
        let below: Vec<_> =
            entries.iter().filter_map(|(key, value)| Some((key.strip_prefix(digit)?, *value))).collect();
        items.push(if below.is_empty() { Vec::new() } else { reference(node(&below, nodes), nodes) });
    }
    items
        .push(entries.iter().find(|(key, _)| key.is_empty()).map_or(Vec::new(), |(_, value)| value.to_vec()));
    rlp_list(&items)
}

fn reference(rlp: Vec<u8>, nodes: &mut Nodes) -> Vec<u8> {
    if rlp.len() < 32 {
        return rlp;
    }
    let hash = blake2b(&rlp);
    nodes.insert(hash, rlp);
    hash.to_vec()
}

fn compact(digits: &str, flag: u8) -> Vec<u8> {
    let padded = if digits.len().is_multiple_of(2) {
        format!("{flag}0{digits}")
    } else {
        format!("{}{digits}", flag + 1)
    };
    hex::decode(padded).unwrap()
}
