//! What the reference inherits from its language: how terms print in error texts, and in which order maps are walked
//! (`docs/protocol/contracts` §2.5, §2.8).

mod hash;
pub(crate) mod order;
mod pretty;
pub(crate) mod term;

pub(crate) use pretty::pretty;
pub(crate) use term::{Term, plain};
