//! HTTP/1 connections on a listener: how many there are, for how long, who makes room for the next one, and how they end.
//!
//! What is asked and answered is the caller's: [`Server::serve`] takes any [`hyper::service::Service`].
//!
//! | module | holds |
//! |---|---|
//! | `server` | a connection from its beginning to its end |
//! | `seats` | who is connected, and who leaves when every seat is taken |
//! | `steady` | a client that stops reading is given up |

mod seats;
mod server;
mod steady;

pub use server::{CutOff, Leaver, Server, next_connection};
