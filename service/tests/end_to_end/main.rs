//! The whole service over real sockets: few tests, each of something that only shows when all parts run.
#![allow(clippy::unwrap_used)]

mod command_line;
mod disputes;
mod hosts;
mod life;
mod peers;
mod restart;
mod stage;
mod window;
