//! The dev chain from outside: what it mines and when, and what a restart finds.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

mod forks;
mod killed;
mod mining;
mod restart;
mod support;
