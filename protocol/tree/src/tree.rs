//! The tree itself: content, root hash, iteration.

use std::fmt;

use strait_encoding::RootHash;

use crate::nibbles;
use crate::node::{Link, Node};

/// A Merkle Patricia tree (`docs/protocol/state_trees` §1): a map of byte strings with a root hash over its pairs.
///
/// Keys are used as they are, unhashed, of any length, and may be prefixes of one another. Values are not empty.
/// `clone` takes constant time; after a change the next [`root`](Self::root) hashes only the path to what changed.
/// Two trees are equal if they hold the same pairs, which their roots tell.
#[derive(Clone, Default)]
pub struct Tree {
    root: Option<Link>,
}

impl Tree {
    /// The empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there are no pairs.
    pub fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// The value of `key`.
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        let path = nibbles::of_key(key);
        let (node, depth) = self.descend(&path, |_| {})?;
        if depth + node.path().len() == path.len() { node.value() } else { None }
    }

    /// Sets the value of `key`. An empty value removes it.
    pub fn insert(&mut self, key: &[u8], value: &[u8]) {
        if value.is_empty() {
            return self.remove(key);
        }
        let path = nibbles::of_key(key);
        match &mut self.root {
            Some(root) => Node::insert(root, &path, value.into()),
            empty => *empty = Some(Node::leaf(&path, value.into())),
        }
    }

    /// Removes `key`, if it is there.
    pub fn remove(&mut self, key: &[u8]) {
        if self.get(key).is_some() {
            Node::remove(&mut self.root, &nibbles::of_key(key));
        }
    }

    /// The hash over all pairs; the empty tree has none.
    pub fn root(&self) -> Option<RootHash> {
        self.root.as_ref().map(|root| RootHash(root.reference().hash()))
    }

    /// The root hash as it enters a state hash: 32 zero bytes for the empty tree (`docs/protocol/state_trees` §3).
    pub fn root_or_zero(&self) -> RootHash {
        self.root().unwrap_or(RootHash::ZERO)
    }

    /// All pairs in ascending order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (Vec<u8>, &[u8])> {
        self.iter_prefix(&[])
    }

    /// The pairs whose keys start with `prefix`, in ascending order of their keys, a key equal to `prefix` among them.
    pub fn iter_prefix(&self, prefix: &[u8]) -> impl Iterator<Item = (Vec<u8>, &[u8])> + use<'_> {
        let mut path = nibbles::of_key(prefix);
        let top = self.descend(&path, |_| {});
        path.truncate(top.map_or(0, |(_, depth)| depth));
        let start = top.map(|(node, depth)| Visit { node, depth, nibble: None });
        Pairs { path, waiting: start.into_iter().collect() }
    }

    /// Every node from the root down to those whose keys all start with `path`, and the topmost of those with the
    /// number of nibbles above its own path. `None` if no key starts with `path`.
    pub(crate) fn descend<'a>(
        &'a self,
        path: &[u8],
        mut pass: impl FnMut(&'a Node),
    ) -> Option<(&'a Node, usize)> {
        let mut node = self.root.as_deref()?;
        let mut depth = 0;
        loop {
            pass(node);
            let rest = &path[depth..];
            let common = nibbles::common(node.path(), rest);
            if common == rest.len() {
                return Some((node, depth));
            }
            if common < node.path().len() {
                return None;
            }
            node = node.child(rest[common])?;
            depth += common + 1;
        }
    }
}

impl<K: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(K, V)> for Tree {
    /// The tree of these pairs; of equal keys the last one counts.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut tree = Self::new();
        for (key, value) in pairs {
            tree.insert(key.as_ref(), value.as_ref());
        }
        tree
    }
}

impl PartialEq for Tree {
    fn eq(&self, other: &Self) -> bool {
        self.root() == other.root()
    }
}

impl Eq for Tree {}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(key, value)| (hex::encode(key), hex::encode(value)))).finish()
    }
}

/// Walks a subtree, each node before its children.
struct Pairs<'a> {
    /// The nibbles from the root to the node visited last, its own path included.
    path: Vec<u8>,
    waiting: Vec<Visit<'a>>,
}

/// A node to visit: the first `depth` nibbles of the current path lead to its parent's branch, `nibble` from there on.
struct Visit<'a> {
    node: &'a Node,
    depth: usize,
    nibble: Option<u8>,
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (Vec<u8>, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Visit { node, depth, nibble } = self.waiting.pop()?;
            self.path.truncate(depth);
            self.path.extend(nibble);
            self.path.extend(node.path());
            let depth = self.path.len();
            let below = node.children().rev();
            self.waiting.extend(below.map(|(nibble, node)| Visit { node, depth, nibble: Some(nibble) }));
            if let Some(value) = node.value() {
                return Some((nibbles::to_key(&self.path), value));
            }
        }
    }
}
