//! Lists that share their tails.

use std::sync::Arc;

use crate::release::{is_compound, release};
use crate::value::Value;

/// A list of values; putting one in front of it copies nothing (`docs/protocol/contracts` §2.1).
#[derive(Clone, Default)]
pub struct List(Option<Arc<Cell>>);

struct Cell {
    head: Value,
    tail: List,
    length: usize,
    holds_store_map: bool,
}

impl List {
    /// The empty list.
    pub const EMPTY: Self = Self(None);

    /// The list with `head` in front.
    pub fn prepend(self, head: Value) -> Self {
        let length = self.len() + 1;
        let holds_store_map = head.holds_store_map() || self.holds_store_map();
        Self(Some(Arc::new(Cell { head, tail: self, length, holds_store_map })))
    }

    /// The list of `items` followed by `tail`.
    pub fn chain(items: Vec<Value>, tail: Self) -> Self {
        items.into_iter().rev().fold(tail, Self::prepend)
    }

    /// How many elements.
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |cell| cell.length)
    }

    /// No element?
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The first element and the rest.
    pub fn split_first(&self) -> Option<(&Value, &List)> {
        self.0.as_ref().map(|cell| (&cell.head, &cell.tail))
    }

    /// The elements in order.
    pub fn iter(&self) -> ListIter<'_> {
        ListIter(self)
    }

    pub(crate) fn holds_store_map(&self) -> bool {
        self.0.as_ref().is_some_and(|cell| cell.holds_store_map)
    }

    /// Both names of the same cells?
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.0.as_ref().map(Arc::as_ptr) == other.0.as_ref().map(Arc::as_ptr)
    }

    /// Hands over what only this list still holds.
    pub(crate) fn dismantle(self, pending: &mut Vec<Value>) {
        let mut rest = self;
        while let Some(mut cell) = rest.0.take().and_then(Arc::into_inner) {
            if is_compound(&cell.head) {
                pending.push(std::mem::take(&mut cell.head));
            }
            rest = std::mem::take(&mut cell.tail);
        }
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        if self.tail.is_empty() && !is_compound(&self.head) {
            return;
        }
        let mut pending = Vec::new();
        if is_compound(&self.head) {
            pending.push(std::mem::take(&mut self.head));
        }
        std::mem::take(&mut self.tail).dismantle(&mut pending);
        release(pending);
    }
}

impl FromIterator<Value> for List {
    fn from_iter<I: IntoIterator<Item = Value>>(items: I) -> Self {
        Self::chain(items.into_iter().collect(), Self::EMPTY)
    }
}

/// The elements of a [`List`].
#[derive(Clone)]
pub struct ListIter<'a>(&'a List);

impl<'a> Iterator for ListIter<'a> {
    type Item = &'a Value;

    fn next(&mut self) -> Option<&'a Value> {
        let (head, tail) = self.0.split_first()?;
        self.0 = tail;
        Some(head)
    }
}

impl<'a> IntoIterator for &'a List {
    type Item = &'a Value;
    type IntoIter = ListIter<'a>;

    fn into_iter(self) -> ListIter<'a> {
        self.iter()
    }
}
