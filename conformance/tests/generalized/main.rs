//! Channels whose parties are generalized accounts, over real sockets with a service of our own (`docs/protocol/signing` §3).

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod account;
mod alone;
mod life;
mod refusals;
mod side;
mod stage;
