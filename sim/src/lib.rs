//! Two parties, a chain, a network and crashes in virtual time.
//!
//! A [`World`] runs two [`Channel`](strait_channel::Channel)s against each other the way the service would: every input is
//! decided, a binding step is stored before its effects are released, and the effects are performed in order. Nothing in
//! here reads a clock or draws a number that is not asked for: two worlds that are set up alike end alike.
//!
//! ```
//! use strait_channel::Role;
//! use strait_sim::{Setup, World};
//!
//! let mut world = World::opened(Setup::default());
//! world.transfer(Role::Initiator, 5);
//! world.calm();
//! assert_eq!(world.round(Role::Initiator), 2);
//! assert_eq!(world.round(Role::Responder), 2);
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `setup` | what a world starts from |
//! | `world` | what there is, and how time passes |
//! | `deeds` | what a test has clients, machines, the line and strangers do |
//! | `blocks` | the chain moves, and both sides hear of it |
//! | `turn` | the contract of the loop: decide, store, release, perform |
//! | `session` | dialling, arriving messages, ends of sessions |
//! | `network` | messages under way, in order, with latency and loss |
//! | `party` | one side: its process, its store |
//! | `client` | who signs, declines, or says nothing |
//! | `authority` | a contract that acts for an account: meta transactions, true and lying |
//! | `signer` | the key of a client, which panics rather than sign what could hurt it |
//! | `forgery` | what a broken or lying client hands over instead of the asked-for signature |
//! | `model` | what both sides must agree on, told without the code under test |
//! | `model/on_chain` | what calls and meta transactions came to on chain, and cost |
//! | `agreement` | a round of it, and what follows from a proposal |
//! | `contracts` | the contracts that clients use, and what their calls do to coins |
//! | `faults` | where a crash or a loss strikes |
//! | `recovery` | bringing both sides back, and asking whether they agree |
//!
//! The invariants are checked after every event, and a broken one panics: this crate is for tests.

mod agenda;
mod agreement;
mod authority;
mod blocks;
mod client;
mod contracts;
mod deeds;
mod faults;
mod forgery;
mod model;
mod network;
mod party;
mod recovery;
mod rng;
mod session;
mod setup;
mod signer;
mod turn;
mod world;

pub use authority::MetaLie;
pub use client::{Client, Heard, Reply};
pub use contracts::{Call, Program, height_value, integer};
pub use faults::{Fault, Place};
pub use forgery::Forgery;
pub use model::Model;
pub use party::{Party, Store};
pub use recovery::Ending;
pub use rng::Rng;
pub use setup::Setup;
pub use signer::Signer;
pub use turn::Outcome;
pub use world::{Sent, World};
