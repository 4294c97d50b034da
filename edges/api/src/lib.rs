//! The WebSocket JSON-RPC interface: methods, frames, sessions (`docs/protocol/ws_api`).
//!
//! A client opens `/channel?…` and gets a [`Seat`] at a channel from the [`Desk`], which is all that this crate knows of the
//! service. From the outside in: [`serve`] takes connections, `session` runs one socket, [`Conversation`] matches what the
//! client says with what it is answered, [`frames`] and [`query`] read text, [`report_frame`] and `replies` write it.
//! Every name and code of the interface stands in one place: methods in `methods`, codes in `errors`.

mod conversation;
mod desk;
mod errors;
pub mod frames;
mod int;
mod methods;
mod params;
pub mod query;
mod replies;
mod reports;
mod server;
mod session;
mod wire;

pub use conversation::Conversation;
pub use desk::{
    Ask, Attach, Desk, HistoryEntry, HistoryFilter, HistoryKind, OpenRefusal, Seat, ToClient, report_tag,
};
pub use errors::{Detail, Rejection};
pub use methods::Call;
pub use replies::refusal_frame;
pub use reports::{report_data, report_frame};
pub use server::{ApiConfig, Sockets, serve};
