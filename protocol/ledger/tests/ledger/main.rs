//! The ledger against known answers and against itself.
//!
//! `vectors/` holds what the reference node printed, and examples computed without this code.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod conservation;
mod decoders;
mod fees;
mod forced;
mod forks;
mod generalized;
mod generalized_channels;
mod kinds;
mod machine;
mod mempool;
mod node_objects;
mod offchain;
mod paying;
mod recorded;
mod restart;
mod scenarios;
mod signatures;
mod submission;
mod support;
mod worked_examples;
