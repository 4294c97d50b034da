//! The program `strait`: configuration, one task per channel, start-up, shutdown.

mod admission;
mod alertness;
mod chain_watch;
mod channel_task;
pub mod cli;
pub mod config;
pub mod demo;
mod dev;
mod door;
mod history;
mod links;
mod peers;
mod registry;
mod service;
mod stored;
#[cfg(feature = "watched")]
mod watched;
mod window;

pub use dev::{Dev, StartError};
pub use service::Service;
#[cfg(feature = "watched")]
pub use watched::Watched;
