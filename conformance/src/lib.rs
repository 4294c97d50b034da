//! Plays recorded sessions against a service, and says where it answers otherwise than the reference did; runs vector files
//! of contracts against the ledger and the FATE machine ([`run_vectors`]).
//!
//! A recording is what two clients and their service said to each other. Playing it, every message of a client is sent in
//! its place with fresh keys, and every message of the service must come: the same keys, types, texts and numbers; ids,
//! hashes and signatures consistent; transactions, trees and proofs by what they mean; in the recorded order as far as it
//! is not chance. Where a recording needs what happened on chain without a word in it (a lock period that passes, a solo
//! close that somebody posts), that is done too. `conformance/sessions` holds recordings of today's reference,
//! `conformance/seeds` older ones.
//!
//! ```no_run
//! # use strait_conformance::{NodeChain, Running, play_all};
//! # async fn run(key: strait_encoding::SecretKey) -> Result<(), Box<dyn std::error::Error>> {
//! let chain = NodeChain::new("http://localhost:3013", key);
//! let service = Running::new("ws://localhost:3014/channel", chain);
//! let report = play_all(&service, &["conformance/sessions/seed__001.json".into()]).await?;
//! println!("{report}");
//! # Ok(())
//! # }
//! ```

mod compare;
mod dictionary;
mod differences;
mod flat;
mod generalized;
mod node;
mod order;
mod own;
mod plan;
mod player;
mod report;
mod service;
mod session;
mod url;
mod vectors;

pub use compare::Difference;
pub use differences::tolerated;
pub use node::NodeChain;
pub use order::OrderError;
pub use own::Own;
pub use player::{Failure, Fault, play};
pub use report::{LIMIT, Options, Played, Report, play_all, play_all_with};
pub use service::{Chain, Endpoint, Running, Service, ServiceError};
pub use session::{Act, Session, SessionError, Step, label};
pub use vectors::{
    Count, FailedStep, Mismatch, VectorError, VectorNews, VectorOptions, VectorReport, run_vectors,
};
