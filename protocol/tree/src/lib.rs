//! Merkle Patricia trees and proofs of inclusion (`docs/protocol/state_trees` §1, §4).
//!
//! A [`Tree`] maps byte strings to non-empty byte strings and has a root hash that depends on its pairs alone, not on
//! the order in which they came. It is a value: a clone costs nothing and shares every node until one side changes.
//! A [`Proof`] is the root hash together with the nodes that lead to chosen keys.
//!
//! Nothing here recurses on the native stack, so no key is too long and no tree too deep.

mod nibbles;
mod node;
mod proof;
mod tree;

pub use proof::{MAX_PROOF_BYTES, Proof, ProofError};
pub use tree::Tree;
