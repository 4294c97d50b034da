//! Nodes: how they change, how they refer to one another, how they are hashed.
//!
//! In memory an extension and the branch below it are one node with a path and children; in bytes they are two
//! (`docs/protocol/state_trees` §1). That leaves one rule for the shape: a node with children has at least two of
//! children and value together, a node without has a value. The rule makes the shape a function of the pairs alone.

use std::mem;
use std::sync::{Arc, OnceLock};

use strait_encoding::hash::blake2b;
use strait_encoding::rlp::List;

use crate::nibbles::{self, Kind};

/// A node as its parent and other trees share it.
pub(crate) type Link = Arc<Node>;

/// A value; shared, because a changed path copies its nodes but never the values in them.
pub(crate) type Value = Arc<[u8]>;

type Children = [Option<Link>; 16];

/// A subtree: the nibbles that all its keys start with, and what lies behind them.
#[derive(Default)]
pub(crate) struct Node {
    path: Box<[u8]>,
    value: Option<Value>,
    children: Option<Box<Children>>,
    /// Filled when the hash is first asked for, emptied by every change below.
    reference: OnceLock<Reference>,
}

/// How a branch refers to a node: its RLP where that is shorter than 32 bytes, else the hash of its RLP.
#[derive(Clone, Copy)]
pub(crate) struct Reference {
    size: u8,
    bytes: [u8; 32],
}

impl Reference {
    /// The bytes as they stand in a branch; 32 bytes are always a hash.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.size)]
    }

    /// The hash of the node, also of one that is embedded.
    pub(crate) fn hash(&self) -> [u8; 32] {
        if self.is_hash() { self.bytes } else { blake2b(self.as_bytes()) }
    }

    fn is_hash(&self) -> bool {
        self.size == 32
    }

    fn of_rlp(rlp: &[u8]) -> Self {
        match u8::try_from(rlp.len()) {
            Ok(size @ 0..32) => {
                let mut bytes = [0; 32];
                bytes[..rlp.len()].copy_from_slice(rlp);
                Self { size, bytes }
            }
            _ => Self { size: 32, bytes: blake2b(rlp) },
        }
    }
}

impl Node {
    /// A node with one pair.
    pub(crate) fn leaf(path: &[u8], value: Value) -> Link {
        Arc::new(Self { path: path.into(), value: Some(value), children: None, reference: OnceLock::new() })
    }

    /// The nibbles between the parent's branch and this node's value or branch.
    pub(crate) fn path(&self) -> &[u8] {
        &self.path
    }

    /// The value whose key ends here.
    pub(crate) fn value(&self) -> Option<&[u8]> {
        self.value.as_deref()
    }

    /// The subtree behind `nibble`.
    pub(crate) fn child(&self, nibble: u8) -> Option<&Node> {
        self.children.as_ref()?.get(usize::from(nibble))?.as_deref()
    }

    /// The subtrees below, in ascending order of their nibbles.
    pub(crate) fn children(&self) -> impl DoubleEndedIterator<Item = (u8, &Node)> {
        (0..16).filter_map(|nibble| Some((nibble, self.child(nibble)?)))
    }

    /// Puts `value` where `path` leads from the top of `link`.
    pub(crate) fn insert(mut link: &mut Link, mut path: &[u8], value: Value) {
        loop {
            let node = Self::edit(link);
            let common = nibbles::common(&node.path, path);
            if common < node.path.len() {
                node.split(common);
            }
            let Some((&nibble, rest)) = path[common..].split_first() else {
                node.value = Some(value);
                return;
            };
            match node.slot(nibble) {
                Some(child) => link = child,
                empty => {
                    *empty = Some(Self::leaf(rest, value));
                    return;
                }
            }
            path = rest;
        }
    }

    /// Takes out the value where `path` leads from the top of `root`. The caller knows that it is there.
    pub(crate) fn remove(root: &mut Option<Link>, mut path: &[u8]) {
        if root.as_ref().is_some_and(|node| node.is_leaf()) {
            *root = None;
        }
        let Some(mut link) = root.as_mut() else { return };
        loop {
            let node = Self::edit(link);
            let Some((&nibble, rest)) = path.get(node.path.len()..).and_then(<[u8]>::split_first) else {
                node.value = None;
                return node.tidy();
            };
            if node.child(nibble).is_none_or(Self::is_leaf) {
                *node.slot(nibble) = None;
                return node.tidy();
            }
            let Some(child) = node.slot(nibble) else { return };
            link = child;
            path = rest;
        }
    }

    /// How a branch refers to this node.
    pub(crate) fn reference(&self) -> &Reference {
        self.seal();
        self.sealed()
    }

    /// Gives hash and items of each serialized form of this node that is referred to by hash: of the node itself if it
    /// is the root or too large to be embedded, and of the branch below an extension.
    pub(crate) fn hashed_forms(&self, is_root: bool, mut give: impl FnMut([u8; 32], &[&[u8]])) {
        let reference = self.reference();
        let outer = is_root || reference.is_hash();
        match self.branch_items() {
            None if outer => {
                give(reference.hash(), &[&self.compact(Kind::Leaf), self.value().unwrap_or_default()])
            }
            Some(items) if self.path.is_empty() && outer => give(reference.hash(), &items),
            Some(items) if !self.path.is_empty() => {
                let branch = blake2b(&rlp(&items));
                give(reference.hash(), &[&self.compact(Kind::Extension), &branch]);
                give(branch, &items);
            }
            _ => {}
        }
    }

    fn is_leaf(&self) -> bool {
        self.children.is_none()
    }

    /// The node for changing, a copy if others share it. What was computed from its old content is forgotten.
    fn edit(link: &mut Link) -> &mut Self {
        let node = Arc::make_mut(link);
        node.reference.take();
        node
    }

    /// The place of the child behind `nibble`.
    fn slot(&mut self, nibble: u8) -> &mut Option<Link> {
        &mut self.children.get_or_insert_default()[usize::from(nibble)]
    }

    /// Moves everything behind the first `common` nibbles of the path into a child. The caller adds a second occupant.
    fn split(&mut self, common: usize) {
        let lower = Self {
            path: self.path[common + 1..].into(),
            value: self.value.take(),
            children: self.children.take(),
            reference: OnceLock::new(),
        };
        *self.slot(self.path[common]) = Some(Arc::new(lower));
        self.path = self.path[..common].into();
    }

    /// Restores the rule of the shape after a value or a child was taken out.
    fn tidy(&mut self) {
        let Some(children) = &mut self.children else { return };
        match (&self.value, children.iter().flatten().count()) {
            (Some(_), 0) => self.children = None,
            (None, 1) => {
                let only = (0..16)
                    .zip(children.iter_mut())
                    .find_map(|(nibble, child)| Some((nibble, child.take()?)));
                let Some((nibble, child)) = only else { return };
                let mut lower = Arc::unwrap_or_clone(child);
                self.path = [&*self.path, &[nibble], &*lower.path].concat().into();
                self.value = lower.value.take();
                self.children = lower.children.take();
            }
            _ => {}
        }
    }

    /// Computes the references of this node and of all below that have none, the lowest first.
    fn seal(&self) {
        if self.reference.get().is_some() {
            return;
        }
        let mut waiting = vec![self];
        while let Some(node) = waiting.last().copied() {
            let count = waiting.len();
            waiting.extend(
                node.children().map(|(_, child)| child).filter(|child| child.reference.get().is_none()),
            );
            if waiting.len() == count {
                node.sealed();
                waiting.pop();
            }
        }
    }

    /// The reference, where those of the children are known.
    fn sealed(&self) -> &Reference {
        self.reference.get_or_init(|| match self.branch_items() {
            None => Reference::of_rlp(&rlp(&[&self.compact(Kind::Leaf), self.value().unwrap_or_default()])),
            Some(items) if self.path.is_empty() => Reference::of_rlp(&rlp(&items)),
            Some(items) => {
                // Below an extension a hash stands even for a branch that is short enough to be embedded.
                let branch = blake2b(&rlp(&items));
                Reference::of_rlp(&rlp(&[&self.compact(Kind::Extension), &branch]))
            }
        })
    }

    fn compact(&self, kind: Kind) -> Vec<u8> {
        nibbles::compact(&self.path, kind)
    }

    /// The items of the branch: sixteen references, empty where there is no child, and the value, empty for none.
    fn branch_items(&self) -> Option<[&[u8]; 17]> {
        let children = self.children.as_deref()?;
        let mut items: [&[u8]; 17] = [&[]; 17];
        for (item, child) in items.iter_mut().zip(children) {
            *item = child.as_ref().map_or(&[], |child| child.sealed().as_bytes());
        }
        items[16] = self.value().unwrap_or_default();
        Some(items)
    }
}

impl Clone for Node {
    fn clone(&self) -> Self {
        Self {
            path: self.path.clone(),
            value: self.value.clone(),
            children: self.children.clone(),
            // A copy is made to be changed.
            reference: OnceLock::new(),
        }
    }
}

impl Drop for Node {
    /// Frees the nodes below one after the other: the compiler's own code would nest a call for every level.
    fn drop(&mut self) {
        let mut waiting: Vec<Box<Children>> = Vec::new();
        waiting.extend(self.children.take());
        while let Some(children) = waiting.pop() {
            for mut node in children.into_iter().flatten().filter_map(Arc::into_inner) {
                waiting.extend(mem::take(&mut node.children));
            }
        }
    }
}

fn rlp(items: &[&[u8]]) -> Vec<u8> {
    items.iter().fold(List::new(), |list, item| list.bytes(item)).finish()
}
