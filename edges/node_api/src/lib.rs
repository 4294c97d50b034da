//! The HTTP interface of the dev chain: the part of an aeternity node's that SDKs and wallets need to open, use and close
//! channels (`docs/protocol/chain_service` §4, §7).
//!
//! [`serve`] answers from a [`Node`], whatever stands behind it. Which path takes and gives what is one table, in `table`:
//! it makes the routing, and the OpenAPI document at `/api`.

mod accounts;
mod answer;
mod ask;
mod blocks;
mod contracts;
mod cors;
mod document;
mod dry_run;
mod fitting;
mod gas_prices;
mod names;
mod oracles;
mod param;
mod results;
mod router;
mod schemas;
mod server;
mod shape;
mod status;
mod table;
mod transactions;

use std::future::Future;
use std::sync::Arc;

use strait_encoding::TxHash;
use strait_ledger::{Chain, SignedTx, SubmitError};

pub use server::{Limits, serve, serve_within};

/// The chain that is served.
pub trait Node: Send + Sync + 'static {
    /// The chain as it is now. One request is answered from one view.
    fn view(&self) -> Arc<Chain>;

    /// Takes a transaction into the pool; answers with its hash.
    ///
    /// # Errors
    /// The pool refuses it, or nothing is taken at the moment.
    fn submit(&self, tx: SignedTx) -> impl Future<Output = Result<TxHash, Refused>> + Send;
}

/// Why a [`Node`] did not take a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The pool refuses it: the sender's fault, answered with status 400.
    Pool(SubmitError),
    /// The node takes none at the moment, for this reason: answered with status 503.
    Unavailable(String),
}
