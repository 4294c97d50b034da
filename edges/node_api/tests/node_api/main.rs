//! The interface over real connections, in front of a chain that the tests mine by hand.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

mod bodies;
mod calls;
mod contracts;
mod crowd;
mod document;
mod dry_run;
mod forced;
mod http;
mod recorded;
mod refusals;
mod registries;
mod schema;
mod shapes;
mod support;
