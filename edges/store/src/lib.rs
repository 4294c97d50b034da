//! Durable state: SQLite through one group-commit writer.
//!
//! A channel's state is stored before anything that it commits the party to leaves the service: whoever
//! loses a state that it signed can lose the coins that the state moved. [`Store::save`] answers with a
//! [`strait_channel::Durable`] once the record is as durable as the operator asked for ([`Durability`]).
//!
//! ```
//! use strait_store::{Durability, Record, Store, StoreError};
//!
//! # async fn demo(dir: &std::path::Path, record: Record) -> Result<(), StoreError> {
//! let store = Store::open(dir, Durability::Power)?;
//! let loaded = store.load()?;
//! assert!(loaded.quarantined.is_empty());
//! let proof = store.save(record).await?;
//! println!("step {} is on disk", proof.step());
//! store.close().await
//! # }
//! ```
//!
//! | part | holds |
//! |---|---|
//! | `record` | what is stored for a channel, and what comes back |
//! | `store` | the two ways to a commit: inline, or through the writer thread |
//! | `disk` | batches of changes to transactions; what one failure does to the others |
//! | `rows` | the form of the file, a record as a row with its checksum |
//! | `faults` | saves that fail on purpose, for tests |

mod disk;
mod durability;
mod error;
mod faults;
mod record;
mod rows;
mod stats;
mod store;
mod sync_time;

pub use durability::{Durability, UnknownDurability};
pub use error::StoreError;
#[cfg(any(test, feature = "faults"))]
pub use faults::Fault;
pub use record::{ChannelKey, Loaded, MAX_STATE_BYTES, Quarantined, Record, Role};
pub use stats::Stats;
pub use store::{Meanwhile, Store};
