//! A client of the WebSocket interface (`docs/protocol/ws_api`).
//!
//! Two layers: a [`Connection`] carries frames and knows nothing of channels; a [`Party`] is one side of a channel, holds its
//! key and signs only what it has checked.
//!
//! ```no_run
//! use strait_client::{OpenParams, Outcome, Party, Role, Terms};
//! use strait_encoding::{AccountId, Coins, SecretKey};
//!
//! # async fn pay(key: SecretKey, them: AccountId) -> Result<(), strait_client::ClientError> {
//! let terms = Terms {
//!     initiator_amount: Coins(1_000_000_000_000_000),
//!     responder_amount: Coins(1_000_000_000_000_000),
//!     push_amount: Coins(0),
//!     channel_reserve: Coins(1_000),
//!     lock_period: 10,
//! };
//! let params = OpenParams::new(Role::Initiator, 3_114, Some(key.account()), them, terms);
//! let mut me = Party::open("ws://localhost:3014/channel", &params, key).await?;
//! match me.pay(Coins(5), &["for the coffee"]).await? {
//!     Outcome::Agreed { round, .. } => println!("paid with round {round}"),
//!     other => println!("not paid: {other:?}"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Contracts: a [`Program`] is what the compiler wrote, a [`Calldata`] a call of it, and [`Called`] what the call came to. A party
//! makes and calls contracts with [`Party::new_contract`] and [`Party::call_contract`]; those of its peer it takes part in as far as
//! its [`Consent`] says. Every call is run here before it is signed.

mod book;
mod called;
mod connection;
mod consent;
mod error;
mod fate_value;
mod frame;
mod params;
mod party;
mod policy;
mod program;
mod runner;
mod updates;

pub use book::{Book, Objection};
pub use called::{Called, ContractEvent, Ended, NoValue};
pub use connection::{Connection, MAX_MESSAGE};
pub use consent::{Consent, NoConsent};
pub use error::{ClientError, Rejection};
pub use fate_value::{FateValue, value};
pub use frame::{Frame, Notification, Reply, View};
pub use params::{ChannelIds, DepthStrategy, OpenParams, Role, Terms};
pub use party::{ContractState, Event, ForcedGas, OffchainState, Outcome, Party};
pub use policy::{Ask, NOT_AGREED, Policy, SignRequest, Signer, Verdict};
pub use program::{Calldata, Program, ProgramError};
