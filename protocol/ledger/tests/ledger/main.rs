//! The ledger against known answers and against itself.
//!
//! `vectors/` holds what the reference node printed, and examples computed without this code.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bytecode;
mod conservation;
mod contract_sessions;
mod contract_steps;
mod contracts;
mod decoders;
mod dry_run;
mod fees;
mod forced;
mod forced_contracts;
mod forced_view;
mod forks;
mod generalized;
mod generalized_channels;
mod generalized_fate;
mod kinds;
mod machine;
mod mempool;
mod node_objects;
mod offchain;
mod onchain_contracts;
mod paying;
mod recorded;
mod restart;
mod scenarios;
mod signatures;
mod state_proofs;
mod submission;
mod support;
mod worked_examples;
