//! One party's view of one channel: flows, ceremonies, peer messages.
//!
//! A [`Channel`] is a value. [`Channel::decide`] takes something that happened and gives the [`Step`] that follows: the next
//! value, and effects that are released once that value is stored. There is no clock, no socket, no disk and no key in
//! here; the simulator runs two of these against each other in virtual time.

mod agreement;
mod authentication;
mod carry;
mod ceremony;
mod channel;
mod contracts;
mod draft;
mod durable;
mod effect;
mod flow;
mod forcing;
mod funds;
mod input;
pub mod message;
mod notice;
mod offers;
mod opening;
mod patience;
mod peer;
mod refusal;
mod request;
mod returning;
mod solo;
mod step;
mod stored;
mod terms;
mod time;
mod watch;

pub use channel::Channel;
pub use contracts::Contract;
pub use durable::Durable;
pub use effect::Effect;
pub use flow::{AskNames, FLOWS, Flow, Part, Place, Row, Settles, Side};
pub use forcing::Forcing;
pub use input::{Answer, ChainNews, Input, PeerEvent, Request, SeenTx, Ticket};
pub use message::{Message, MessageError};
pub use notice::{ConflictCode, Event, Notice, OnChainEvent, Report};
pub use refusal::{Fault, Reaction, Reason, Refusal};
pub use step::Step;
pub use terms::{DepthRule, Patience, PinWindow, Reports, Role, Terms, TxOptions};
pub use time::Time;
