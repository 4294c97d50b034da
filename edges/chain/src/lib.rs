//! The chain a channel sees: the embedded dev chain.
//!
//! What a block is and when a transaction may go into one is [`strait_ledger::Chain`]'s to say, a value without clock and
//! disk. [`DevChain`] adds both: blocks are mined on demand and at an interval (`docs/protocol/chain_service` §3), and
//! every block is stored before anybody sees it, so that a restart resumes at the same tip.
//!
//! ```
//! use std::time::Duration;
//!
//! use strait_chain::{ChainError, DevChain, DevChainConfig, genesis_accounts};
//! use strait_encoding::NetworkId;
//! use strait_ledger::{ChainConfig, ChainView};
//!
//! # async fn demo(dir: &std::path::Path) -> Result<(), Box<dyn std::error::Error>> {
//! let accounts = genesis_accounts(r#"{"ak_21A27UVVt3hDkBE5J7rhhqnH5YNb4Y1dqo4PnSybrH85pnWo7E": "5000"}"#)?;
//! let ledger = ChainConfig::new(NetworkId("ae_dev".to_owned()), accounts);
//! let chain = DevChain::open(DevChainConfig::new(ledger, dir.to_owned()))?;
//! let mining = tokio::spawn(chain.clone().run(std::future::pending()));
//! println!("at height {}", chain.view().top_height());
//! # mining.abort();
//! # Ok(())
//! # }
//! ```

mod accounts;
mod clock;
mod dev_chain;
mod disk;
mod error;
mod genesis;
mod origin;
mod schema;
mod twin;
mod writer;

pub use accounts::{DevAccount, dev_accounts};
pub use clock::DepthWait;
pub use dev_chain::{DevChain, DevChainConfig};
pub use error::{ChainError, Damage, ForkError, SubmitError, Unavailable};
pub use genesis::{GenesisError, genesis_accounts};
