//! Ordered maps that share structure.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::order::compare;
use crate::release::{is_compound, release};
use crate::value::Value;

/// A map from values to values, in the order of its keys. A copy costs nothing; a changed copy shares all but a path
/// with the original (`docs/protocol/contracts` §2.1).
///
/// Inside it is a weight-balanced tree.
#[derive(Clone, Default)]
pub struct Map(Link);

type Link = Option<Arc<Node>>;

struct Node {
    key: Value,
    value: Value,
    left: Link,
    right: Link,
    size: usize,
    holds_store_map: bool,
}

impl Map {
    /// The empty map.
    pub const EMPTY: Self = Self(None);

    /// How many entries.
    pub fn len(&self) -> usize {
        size(&self.0)
    }

    /// No entry?
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The value under `key`.
    pub fn get(&self, key: &Value) -> Option<&Value> {
        let mut link = &self.0;
        while let Some(node) = link {
            link = match compare(key, &node.key) {
                Ordering::Less => &node.left,
                Ordering::Greater => &node.right,
                Ordering::Equal => return Some(&node.value),
            };
        }
        None
    }

    /// The map with `value` under `key`.
    #[must_use]
    pub fn insert(&self, key: Value, value: Value) -> Self {
        Self(Some(inserted(&self.0, key, value)))
    }

    /// The map without `key`.
    #[must_use]
    pub fn remove(&self, key: &Value) -> Self {
        match self.get(key) {
            Some(_) => Self(removed(&self.0, key)),
            None => self.clone(),
        }
    }

    /// The entries in the order of the keys.
    pub fn iter(&self) -> MapIter<'_> {
        let mut iter = MapIter { path: Vec::new() };
        iter.descend(&self.0);
        iter
    }

    /// The map of entries whose keys strictly ascend.
    pub(crate) fn from_ascending(entries: Vec<(Value, Value)>) -> Self {
        let count = entries.len();
        Self(built(&mut entries.into_iter(), count))
    }

    pub(crate) fn holds_store_map(&self) -> bool {
        self.0.as_ref().is_some_and(|node| node.holds_store_map)
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.0.as_ref().map(Arc::as_ptr) == other.0.as_ref().map(Arc::as_ptr)
    }

    /// Hands over what only this map still holds.
    pub(crate) fn dismantle(self, pending: &mut Vec<Value>) {
        let mut links = vec![self.0];
        while let Some(link) = links.pop() {
            if let Some(mut node) = link.and_then(Arc::into_inner) {
                node.give_up(&mut links, pending);
            }
        }
    }
}

impl Node {
    fn give_up(&mut self, links: &mut Vec<Link>, pending: &mut Vec<Value>) {
        links.extend([self.left.take(), self.right.take()].into_iter().filter(Option::is_some));
        for value in [&mut self.key, &mut self.value] {
            if is_compound(value) {
                pending.push(std::mem::take(value));
            }
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if !is_compound(&self.key) && !is_compound(&self.value) && self.size <= 1 {
            return;
        }
        let (mut links, mut pending) = (Vec::new(), Vec::new());
        self.give_up(&mut links, &mut pending);
        for link in links {
            Map(link).dismantle(&mut pending);
        }
        release(pending);
    }
}

impl FromIterator<(Value, Value)> for Map {
    /// The last of equal keys wins.
    fn from_iter<I: IntoIterator<Item = (Value, Value)>>(entries: I) -> Self {
        entries.into_iter().fold(Self::EMPTY, |map, (key, value)| map.insert(key, value))
    }
}

/// The entries of a [`Map`].
#[derive(Clone)]
pub struct MapIter<'a> {
    path: Vec<&'a Node>,
}

impl<'a> MapIter<'a> {
    fn descend(&mut self, mut link: &'a Link) {
        while let Some(node) = link {
            self.path.push(node);
            link = &node.left;
        }
    }
}

impl<'a> Iterator for MapIter<'a> {
    type Item = (&'a Value, &'a Value);

    fn next(&mut self) -> Option<Self::Item> {
        let node = self.path.pop()?;
        self.descend(&node.right);
        Some((&node.key, &node.value))
    }
}

impl<'a> IntoIterator for &'a Map {
    type Item = (&'a Value, &'a Value);
    type IntoIter = MapIter<'a>;

    fn into_iter(self) -> MapIter<'a> {
        self.iter()
    }
}

fn size(link: &Link) -> usize {
    link.as_ref().map_or(0, |node| node.size)
}

fn weight(link: &Link) -> usize {
    size(link) + 1
}

fn joined(key: Value, value: Value, left: Link, right: Link) -> Arc<Node> {
    let below = |link: &Link| link.as_ref().is_some_and(|node| node.holds_store_map);
    let holds_store_map = key.holds_store_map() || value.holds_store_map() || below(&left) || below(&right);
    let size = size(&left) + size(&right) + 1;
    Arc::new(Node { key, value, left, right, size, holds_store_map })
}

/// How much heavier one side may be, and when one rotation is enough: the pair (3, 2) keeps the tree balanced.
const DELTA: usize = 3;
const GAMMA: usize = 2;

fn balanced(key: Value, value: Value, left: Link, right: Link) -> Arc<Node> {
    if size(&left) + size(&right) > 1 {
        if weight(&right) > DELTA * weight(&left)
            && let Some(node) = &right
        {
            return lean_left(key, value, left, node);
        }
        if weight(&left) > DELTA * weight(&right)
            && let Some(node) = &left
        {
            return lean_right(key, value, node, right);
        }
    }
    joined(key, value, left, right)
}

fn lean_left(key: Value, value: Value, left: Link, right: &Node) -> Arc<Node> {
    let (k, v) = (right.key.clone(), right.value.clone());
    match &right.left {
        Some(inner) if weight(&right.left) >= GAMMA * weight(&right.right) => joined(
            inner.key.clone(),
            inner.value.clone(),
            Some(joined(key, value, left, inner.left.clone())),
            Some(joined(k, v, inner.right.clone(), right.right.clone())),
        ),
        _ => joined(k, v, Some(joined(key, value, left, right.left.clone())), right.right.clone()),
    }
}

fn lean_right(key: Value, value: Value, left: &Node, right: Link) -> Arc<Node> {
    let (k, v) = (left.key.clone(), left.value.clone());
    match &left.right {
        Some(inner) if weight(&left.right) >= GAMMA * weight(&left.left) => joined(
            inner.key.clone(),
            inner.value.clone(),
            Some(joined(k, v, left.left.clone(), inner.left.clone())),
            Some(joined(key, value, inner.right.clone(), right)),
        ),
        _ => joined(k, v, left.left.clone(), Some(joined(key, value, left.right.clone(), right))),
    }
}

// The recursion below is as deep as the tree is high: twice the logarithm of its size.

fn inserted(link: &Link, key: Value, value: Value) -> Arc<Node> {
    let Some(node) = link else { return joined(key, value, None, None) };
    let (k, v) = (&node.key, &node.value);
    match compare(&key, k) {
        Ordering::Equal => joined(k.clone(), value, node.left.clone(), node.right.clone()),
        Ordering::Less => {
            let left = Some(inserted(&node.left, key, value));
            balanced(k.clone(), v.clone(), left, node.right.clone())
        }
        Ordering::Greater => {
            let right = Some(inserted(&node.right, key, value));
            balanced(k.clone(), v.clone(), node.left.clone(), right)
        }
    }
}

fn removed(link: &Link, key: &Value) -> Link {
    let node = link.as_ref()?;
    let (k, v) = (&node.key, &node.value);
    match compare(key, k) {
        Ordering::Less => Some(balanced(k.clone(), v.clone(), removed(&node.left, key), node.right.clone())),
        Ordering::Greater => {
            Some(balanced(k.clone(), v.clone(), node.left.clone(), removed(&node.right, key)))
        }
        Ordering::Equal => match (&node.left, &node.right) {
            (None, right) => right.clone(),
            (left, None) => left.clone(),
            (left, Some(right)) => {
                let (k, v) = first(right);
                let rest = without_first(right);
                Some(balanced(k, v, left.clone(), rest))
            }
        },
    }
}

fn first(node: &Node) -> (Value, Value) {
    let mut node = node;
    while let Some(left) = &node.left {
        node = left;
    }
    (node.key.clone(), node.value.clone())
}

fn without_first(node: &Node) -> Link {
    match &node.left {
        None => node.right.clone(),
        Some(left) => {
            Some(balanced(node.key.clone(), node.value.clone(), without_first(left), node.right.clone()))
        }
    }
}

fn built(entries: &mut impl Iterator<Item = (Value, Value)>, count: usize) -> Link {
    if count == 0 {
        return None;
    }
    let left = built(entries, count / 2);
    let (key, value) = entries.next()?;
    let right = built(entries, count - count / 2 - 1);
    Some(joined(key, value, left, right))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn height(link: &Link) -> usize {
        link.as_ref().map_or(0, |node| 1 + height(&node.left).max(height(&node.right)))
    }

    #[test]
    fn it_stays_in_order_and_low_under_any_insertion_and_removal() {
        let mut map = Map::EMPTY;
        let number = |i: u32| Value::from((i * 7919) % 4099);
        for i in 0..4099 {
            map = map.insert(number(i), Value::from(i));
        }
        assert_eq!(map.len(), 4099);
        assert!(height(&map.0) <= 24, "{}", height(&map.0));
        let before = map.clone();
        for i in 0..4000 {
            map = map.remove(&number(i));
        }
        assert_eq!((map.len(), before.len()), (99, 4099));
        assert!(height(&map.0) <= 14);
        let keys: Vec<Value> = map.iter().map(|(key, _)| key.clone()).collect();
        assert!(keys.windows(2).all(|pair| compare(&pair[0], &pair[1]) == Ordering::Less));
    }
}
