//! The window over a played service, through real sockets.

#![allow(clippy::unwrap_used)]

mod access;
mod counting;
mod json;
mod pair;
mod sockets;
#[path = "../../examples/window/stage.rs"]
mod stage;
mod support;
