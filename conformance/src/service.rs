//! The service that sessions are played against, and its chain.

use std::future::Future;

use strait_encoding::{AccountId, ChannelId, Coins, Height, NetworkId, Nonce};
use strait_ledger::SignedTx;
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
    /// A transaction that makes an account a generalized one did not take effect.
    #[error("{account} is no generalized account after {seconds} s")]
    NotAttached {
        /// Whose it is.
        account: AccountId,
        /// How long was waited, in seconds.
        seconds: u64,
    },
    /// The lock period of a channel did not pass.
    #[error(
        "{channel} is locked until height {locked_until}, and the chain is at {height} after {seconds} s"
    )]
    StillLocked {
        /// The channel.
        channel: ChannelId,
        /// The end of its lock period.
        locked_until: Height,
        /// The height of the chain.
        height: Height,
        /// How long was waited, in seconds.
        seconds: u64,
    },
    /// No fee was found for a transaction that is posted off stage.
    #[error("no fee for the transaction: {0}")]
    Fee(#[from] strait_ledger::FeeError),
}

/// A service with a chain behind it. Several sessions may use it at a time.
pub trait Service: Sync {
    /// What stands behind it.
    type Chain: Chain;

    /// Starts it, where it has to be started, and says where it is. Called once before any session.
    fn start(&self) -> impl Future<Output = Result<Endpoint, ServiceError>> + Send;

    /// Its chain. Called after [`start`](Self::start).
    fn chain(&self) -> impl Future<Output = Result<&Self::Chain, ServiceError>> + Send;
}

/// The chain of a service: whoever pays for the parties of a session, and what happens there that recordings do not show.
pub trait Chain: Sync {
    /// The network that it is of.
    fn network(&self) -> impl Future<Output = Result<NetworkId, ServiceError>> + Send;

    /// Puts coins into an account, and returns when they are there.
    fn fund(&self, account: AccountId, coins: Coins)
    -> impl Future<Output = Result<(), ServiceError>> + Send;

    /// The nonce of the next transaction of an account that exists.
    fn next_nonce(&self, account: AccountId) -> impl Future<Output = Result<Nonce, ServiceError>> + Send;

    /// Posts a signed transaction, as anybody can; returns when it is taken, mined or not.
    fn submit(&self, tx: &SignedTx) -> impl Future<Output = Result<(), ServiceError>> + Send;

    /// Returns when an account is a generalized one: a transaction that makes it one was submitted.
    fn attached(&self, account: AccountId) -> impl Future<Output = Result<(), ServiceError>> + Send;

    /// Returns when the lock period of a channel's solo close is over; at once where nobody closes it alone.
    fn unlock(&self, channel: ChannelId) -> impl Future<Output = Result<(), ServiceError>> + Send;
}

/// A service that runs already.
#[derive(Debug)]
pub struct Running<C> {
    ws_url: String,
    chain: C,
}

impl<C: Chain> Running<C> {
    /// The service whose WebSocket interface is at `ws_url`, with the chain behind it.
    pub fn new(ws_url: impl Into<String>, chain: C) -> Self {
        Self { ws_url: ws_url.into(), chain }
    }
}

impl<C: Chain> Service for Running<C> {
    type Chain = C;

    async fn start(&self) -> Result<Endpoint, ServiceError> {
        Ok(Endpoint { ws_url: self.ws_url.clone(), network: self.chain.network().await? })
    }

    async fn chain(&self) -> Result<&C, ServiceError> {
        Ok(&self.chain)
    }
}
