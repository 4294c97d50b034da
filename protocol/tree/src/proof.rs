//! Proofs of inclusion: the nodes between a root hash and chosen keys (`docs/protocol/state_trees` §4).

use std::borrow::Cow;
use std::collections::BTreeMap;

use strait_encoding::RootHash;
use strait_encoding::hash::blake2b;
use strait_encoding::rlp::{DecodeError, Fields, List};
use thiserror::Error;

use crate::nibbles::{self, Kind};
use crate::node::Node;
use crate::tree::Tree;

/// The largest sum of hash and item bytes that [`Proof::decode`] reads. A micro block holds transactions of
/// 6,000,000 gas, and a byte costs 20 (`docs/protocol/channel_txs` §5), so three times what can ever be on chain.
pub const MAX_PROOF_BYTES: usize = 900_000;

/// The root hash of one tree, and nodes of it that lead to chosen keys.
///
/// Where a proof comes from a peer, nothing in it is believed: [`lookup`](Self::lookup) hashes every node it passes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proof {
    root: RootHash,
    nodes: BTreeMap<[u8; 32], Vec<Vec<u8>>>,
    /// Nodes under a hash of another size. Nothing can refer to them; the reference keeps and ignores them, and a transaction
    /// that carries the proof is signed with them.
    strays: BTreeMap<Vec<u8>, Vec<Vec<u8>>>,
}

/// Why a key could not be added to a proof, or not be looked up in one.
///
/// The first two are the fault of whoever asks; the others of whoever made the proof.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProofError {
    /// The tree is not the one that the proof was begun for.
    #[error("the proof is for a tree with root {proof}, this tree has {tree}")]
    WrongRootHash {
        /// The root of the proof.
        proof: RootHash,
        /// The root of the tree, zero if it is empty.
        tree: RootHash,
    },
    /// The tree has no such key, or no key with such a prefix.
    #[error("the tree has no key {}", hex::encode(key))]
    NotPresent {
        /// The key or prefix asked for.
        key: Vec<u8>,
    },
    /// The way to the key leads to a node that the proof leaves out.
    #[error("the proof lacks the node {}", hex::encode(hash))]
    MissingNode {
        /// The hash of the node.
        hash: [u8; 32],
    },
    /// A node on the way to the key has another hash than it is listed under.
    #[error("the node listed as {} has the hash {}", hex::encode(listed), hex::encode(actual))]
    WrongNodeHash {
        /// The hash it is listed under.
        listed: [u8; 32],
        /// The hash of its items.
        actual: [u8; 32],
    },
    /// A node on the way to the key is neither leaf, extension nor branch.
    #[error("a node of the proof is malformed: {0}")]
    Malformed(&'static str),
}

impl Proof {
    /// The proof of no key yet: the root of `tree` without nodes. The empty tree has no root to prove against.
    pub fn new(tree: &Tree) -> Option<Self> {
        Some(Self::from_parts(tree.root()?, []))
    }

    /// A proof of these nodes as they were received. Of equal hashes the last one counts.
    pub fn from_parts(root: RootHash, nodes: impl IntoIterator<Item = ([u8; 32], Vec<Vec<u8>>)>) -> Self {
        Self { root, nodes: nodes.into_iter().collect(), strays: BTreeMap::new() }
    }

    /// Adds the nodes between the root and `key`.
    ///
    /// # Errors
    /// [`ProofError::WrongRootHash`] if `tree` is not the one of [`new`](Self::new), [`ProofError::NotPresent`] if it
    /// does not hold `key`; the proof is then unchanged.
    pub fn add(&mut self, tree: &Tree, key: &[u8]) -> Result<(), ProofError> {
        self.check_root(tree)?;
        if tree.get(key).is_none() {
            return Err(ProofError::NotPresent { key: key.to_vec() });
        }
        self.add_way(tree, &nibbles::of_key(key));
        Ok(())
    }

    /// Adds the nodes between the root and every key that starts with `prefix`.
    ///
    /// # Errors
    /// As [`add`](Self::add), where no key starts with `prefix`.
    pub fn add_prefix(&mut self, tree: &Tree, prefix: &[u8]) -> Result<(), ProofError> {
        self.check_root(tree)?;
        let path = nibbles::of_key(prefix);
        let Some((top, _)) = tree.descend(&path, |_| {}) else {
            return Err(ProofError::NotPresent { key: prefix.to_vec() });
        };
        self.add_way(tree, &path);
        let mut waiting = vec![top];
        while let Some(node) = waiting.pop() {
            for (_, child) in node.children() {
                self.add_node(child, false);
                waiting.push(child);
            }
        }
        Ok(())
    }

    /// The root hash that the proof is for.
    pub fn root(&self) -> RootHash {
        self.root
    }

    /// The value of `key`, or `None` where the proof shows that the tree has no such key.
    ///
    /// # Errors
    /// The nodes given do not answer: one is missing, has another hash than it is listed under, or is malformed.
    pub fn lookup(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ProofError> {
        let path = nibbles::of_key(key);
        let mut rest = &path[..];
        let mut node = self.referred(self.root.as_bytes())?;
        loop {
            let reference = match step(&node, rest)? {
                Step::Value(value) => return Ok((!value.is_empty()).then(|| value.to_vec())),
                Step::Below([], _) => return Ok(None),
                Step::Below(reference, behind) => {
                    rest = behind;
                    reference
                }
            };
            node = self.referred(reference)?;
        }
    }

    /// Hash and items of every node, in ascending order of the hashes.
    pub fn nodes(&self) -> impl Iterator<Item = (&[u8; 32], &[Vec<u8>])> {
        self.nodes.iter().map(|(hash, items)| (hash, &items[..]))
    }

    /// The list `[root, [[hash, [item, …]], …]]`, ascending by hash: what the part of one non-empty tree holds in a
    /// proof of several trees, tag 60 (`docs/protocol/encodings` §4.6).
    pub fn encode(&self) -> List {
        let strays = self.strays.iter().map(|(hash, items)| (&hash[..], items));
        let mut all: Vec<_> =
            self.nodes.iter().map(|(hash, items)| (&hash[..], items)).chain(strays).collect();
        all.sort_unstable_by_key(|(hash, _)| *hash);
        let node = |nodes: List, (hash, items): (&[u8], &Vec<Vec<u8>>)| {
            nodes.list(List::new().bytes(hash).all_bytes(items))
        };
        List::new().bytes(self.root.as_bytes()).list(all.into_iter().fold(List::new(), node))
    }

    /// Reads the fields of what [`encode`](Self::encode) gives. Nodes may come in any order; of equal hashes the last
    /// one counts. Whether the nodes are sound, and listed under anything that is a hash, is left to
    /// [`lookup`](Self::lookup), as it is on chain.
    ///
    /// # Errors
    /// Another shape, a root of another size than 32 bytes, or more than [`MAX_PROOF_BYTES`].
    pub fn decode(mut fields: Fields<'_>) -> Result<Self, DecodeError> {
        let root = RootHash(fields.array()?);
        let mut list = fields.list()?;
        fields.end()?;
        let (mut nodes, mut strays) = (BTreeMap::new(), BTreeMap::new());
        let mut left = MAX_PROOF_BYTES;
        let mut spend = |size| {
            left =
                usize::checked_sub(left, size).ok_or(DecodeError::Rule("a proof is larger than a block"))?;
            Ok::<(), DecodeError>(())
        };
        while !list.is_empty() {
            let mut node = list.list()?;
            let hash = node.bytes()?;
            let mut fields = node.list()?;
            node.end()?;
            spend(hash.len())?;
            let mut items = Vec::new();
            while !fields.is_empty() {
                let item = fields.bytes()?;
                spend(1 + item.len())?;
                items.push(item.to_vec());
            }
            match <[u8; 32]>::try_from(hash) {
                Ok(hash) => drop(nodes.insert(hash, items)),
                Err(_) => drop(strays.insert(hash.to_vec(), items)),
            }
        }
        Ok(Self { root, nodes, strays })
    }

    fn check_root(&self, tree: &Tree) -> Result<(), ProofError> {
        let found = tree.root_or_zero();
        if found == self.root && !tree.is_empty() {
            Ok(())
        } else {
            Err(ProofError::WrongRootHash { proof: self.root, tree: found })
        }
    }

    fn add_way(&mut self, tree: &Tree, path: &[u8]) {
        let mut is_root = true;
        tree.descend(path, |node| {
            self.add_node(node, is_root);
            is_root = false;
        });
    }

    fn add_node(&mut self, node: &Node, is_root: bool) {
        node.hashed_forms(is_root, |hash, items| {
            self.nodes.insert(hash, items.iter().map(|item| item.to_vec()).collect());
        });
    }

    /// The items of the node that `reference` stands for: listed under this hash, or embedded in these bytes.
    fn referred(&self, reference: &[u8]) -> Result<Cow<'_, [Vec<u8>]>, ProofError> {
        let Ok(listed) = <[u8; 32]>::try_from(reference) else { return embedded(reference).map(Cow::Owned) };
        let items = self.nodes.get(&listed).ok_or(ProofError::MissingNode { hash: listed })?;
        let actual = blake2b(&items.iter().fold(List::new(), |list, item| list.bytes(item)).finish());
        if actual == listed {
            Ok(Cow::Borrowed(items))
        } else {
            Err(ProofError::WrongNodeHash { listed, actual })
        }
    }
}

/// What a node says about the rest of a path.
enum Step<'n, 'p> {
    /// It ends here with this value, empty for none.
    Value(&'n [u8]),
    /// The node with this reference, empty for none, goes on with these nibbles.
    Below(&'n [u8], &'p [u8]),
}

fn step<'n, 'p>(node: &'n [Vec<u8>], rest: &'p [u8]) -> Result<Step<'n, 'p>, ProofError> {
    match node {
        [compact, value] => {
            let (kind, own) =
                nibbles::expand(compact).ok_or(ProofError::Malformed("its path has an unknown flag"))?;
            Ok(match (kind, rest.strip_prefix(&own[..])) {
                (Kind::Extension, _) if own.is_empty() => {
                    return Err(ProofError::Malformed("an extension must have a path"));
                }
                (Kind::Leaf, Some([])) => Step::Value(value),
                (Kind::Extension, Some(behind)) => Step::Below(value, behind),
                _ => Step::Value(&[]),
            })
        }
        [children @ .., value] if children.len() == 16 => Ok(match rest.split_first() {
            None => Step::Value(value),
            Some((&nibble, behind)) => Step::Below(&children[usize::from(nibble)], behind),
        }),
        _ => Err(ProofError::Malformed("expected 2 or 17 items")),
    }
}

fn embedded(rlp: &[u8]) -> Result<Vec<Vec<u8>>, ProofError> {
    let malformed =
        |_| ProofError::Malformed("a reference must be 32 bytes or a shorter node of byte strings");
    if rlp.len() > 32 {
        return Err(malformed(DecodeError::Trailing));
    }
    let mut fields = Fields::of_list(rlp).map_err(malformed)?;
    let mut items = Vec::new();
    while !fields.is_empty() {
        items.push(fields.bytes().map_err(malformed)?.to_vec());
    }
    Ok(items)
}
