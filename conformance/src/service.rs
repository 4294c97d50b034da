//! The service that sessions are played against, and the account that pays for them.

use std::future::Future;

use strait_encoding::{AccountId, Coins, NetworkId};
use thiserror::Error;

/// Where a service is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The address of its WebSocket interface, `ws://localhost:3014/channel`.
    pub ws_url: String,
    /// The network that its chain is of.
    pub network: NetworkId,
}

/// Why the service, or its chain, could not be used.
#[derive(Debug, Error)]
pub enum ServiceError {
    /// The service could not be started.
    #[error("the service did not start: {0}")]
    Start(String),
    /// The chain's HTTP interface could not be reached, or broke off.
    #[error("{url}: {what}")]
    Http {
        /// What was asked for.
        url: String,
        /// What went wrong.
        what: String,
    },
    /// The chain refused a request.
    #[error("{url} answered {status}: {body}")]
    Refused {
        /// What was asked for.
        url: String,
        /// The HTTP status.
        status: u16,
        /// What it said.
        body: String,
    },
    /// The coins did not arrive.
    #[error("{account} had no coins after {seconds} s")]
    NotFunded {
        /// Whom they were sent to.
        account: AccountId,
        /// How long was waited, in seconds.
        seconds: u64,
    },
    /// No fee was found for the transaction that pays.
    #[error("no fee for the funding transaction: {0}")]
    Fee(#[from] strait_ledger::FeeError),
}

/// A service with a chain behind it. Several sessions may use it at a time.
pub trait Service: Sync {
    /// Starts it, where it has to be started, and says where it is. Called once before any session.
    fn start(&self) -> impl Future<Output = Result<Endpoint, ServiceError>> + Send;

    /// Puts coins into an account on its chain, and returns when they are there.
    fn fund(&self, account: AccountId, coins: Coins)
    -> impl Future<Output = Result<(), ServiceError>> + Send;
}

/// Whoever pays for sessions against a service that runs elsewhere.
pub trait Funder: Sync {
    /// The network that its chain is of.
    fn network(&self) -> impl Future<Output = Result<NetworkId, ServiceError>> + Send;

    /// Puts coins into an account, and returns when they are there.
    fn fund(&self, account: AccountId, coins: Coins)
    -> impl Future<Output = Result<(), ServiceError>> + Send;
}

/// A service that runs already.
#[derive(Debug)]
pub struct Running<F> {
    ws_url: String,
    funder: F,
}

impl<F: Funder> Running<F> {
    /// The service whose WebSocket interface is at `ws_url`.
    pub fn new(ws_url: impl Into<String>, funder: F) -> Self {
        Self { ws_url: ws_url.into(), funder }
    }
}

impl<F: Funder> Service for Running<F> {
    async fn start(&self) -> Result<Endpoint, ServiceError> {
        Ok(Endpoint { ws_url: self.ws_url.clone(), network: self.funder.network().await? })
    }

    async fn fund(&self, account: AccountId, coins: Coins) -> Result<(), ServiceError> {
        self.funder.fund(account, coins).await
    }
}
