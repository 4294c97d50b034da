//! What the interface asks of the service, and what it gets.

use std::borrow::Cow;
use std::future::Future;

use strait_channel::{Answer, Refusal, Report, Request, Role, Terms, Ticket, Time};
use strait_encoding::{AccountId, ChannelId, FsmId};
use thiserror::Error;
use tokio::sync::mpsc;

/// What the query string of a socket asks for (`docs/protocol/ws_api` §2).
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "made once for a socket")]
pub enum Attach {
    /// A new channel.
    Open(Terms),
    /// A channel that exists: a running one is attached to, a dormant one is re-established. The other parameters of the
    /// query are not looked at.
    Existing {
        /// Which channel.
        channel_id: ChannelId,
        /// The secret that opens it.
        fsm_id: FsmId,
        /// Which party the client is.
        role: Role,
    },
}

/// Where a client gets its [`Seat`]: the service.
pub trait Desk: Clone + Send + Sync + 'static {
    /// Gives the client a seat at the channel that it asks for. The service bounds how long that takes.
    ///
    /// # Errors
    /// Why it does not get one; the client is told, then its socket is closed.
    fn attach(&self, attach: Attach) -> impl Future<Output = Result<Seat, OpenRefusal>> + Send;
}

/// A client's place at a channel. Dropping it tells the channel that the client is gone.
#[derive(Debug)]
pub struct Seat {
    /// What the client asks, in order. While it is full, the client's socket is not read. In boxes, as the frames: a queue
    /// has room for many, and an idle channel should not pay for it.
    pub requests: mpsc::Sender<Box<(Ticket, Ask)>>,
    /// What the client hears, in order. Once it is closed and all was written, the socket is closed with 1000.
    pub frames: mpsc::Receiver<Box<ToClient>>,
}

/// A request of a client that the service answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// For the channel.
    Channel(Request),
    /// For the history, which the service keeps.
    History(HistoryFilter),
}

impl Ask {
    /// Whether the answer may have to wait for a flow that is under way.
    pub(crate) fn may_take_long(&self) -> bool {
        use Request::{Contract, Funds, Leave, Shutdown, Transfer};
        let Ask::Channel(request) = self else { return false };
        matches!(request, Transfer { .. } | Contract { .. } | Funds { .. } | Shutdown(_) | Leave)
    }
}

/// Something for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToClient {
    /// A request is answered.
    Answer(Ticket, Result<Answer, Refusal>),
    /// A request for the history is answered: newest first.
    History(Ticket, Vec<HistoryEntry>),
    /// The channel has something to say.
    Report {
        /// What.
        report: Report,
        /// The secret that opens the channel: goes into `fsm_up`, `funding_created` and `funding_signed`.
        fsm_id: Option<FsmId>,
    },
}

/// Which entries of the history are asked for (`docs/protocol/ws_api` §5, `channels.history.fetch`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryFilter {
    /// At most this many, the newest.
    pub newest: usize,
    /// Only these kinds; all where unset.
    pub kinds: Option<Vec<HistoryKind>>,
    /// Of reports, only those with these tags; all where unset.
    pub tags: Option<Vec<&'static str>>,
}

/// What an entry of the history is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HistoryKind {
    /// The client was told.
    Report,
    /// The peer was sent a message.
    Send,
    /// The peer sent a message.
    Receive,
    /// The client asked.
    Request,
}

/// One entry of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryEntry {
    /// What it is.
    pub kind: HistoryKind,
    /// Of a report [`report_tag`], else the name of the message or request.
    pub tag: Cow<'static, str>,
    /// When.
    pub time: Time,
    /// The content as plain JSON; of a report what [`report_data`](crate::report_data) gives.
    pub info: serde_json::Value,
}

/// The tag of a report in history filters, given its method: what follows `channels.`.
pub fn report_tag(method: &str) -> &str {
    method.strip_prefix("channels.").unwrap_or(method)
}

/// Why a client does not get a seat. Always told to the client (`docs/protocol/ws_api` §3).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OpenRefusal {
    /// A parameter that must be there is not.
    #[error("Missing field: {parameter}")]
    Missing {
        /// The parameter.
        parameter: &'static str,
    },
    /// A parameter has a value that it cannot have.
    #[error("Invalid field: {parameter}: expected {expected}, found {value:?}")]
    Invalid {
        /// The parameter.
        parameter: &'static str,
        /// Its value, shortened.
        value: String,
        /// What it should be.
        expected: Cow<'static, str>,
    },
    /// An amount or period of the opening is too low.
    #[error("{parameter} is too low: expected at least {least}, found {value}")]
    ValueTooLow {
        /// The parameter.
        parameter: &'static str,
        /// Its value, shortened.
        value: String,
        /// What it must reach.
        least: Cow<'static, str>,
    },
    /// A party has no account on chain.
    #[error("{parameter}: {account} has no account on chain")]
    ParticipantNotFound {
        /// The parameter.
        parameter: &'static str,
        /// The account.
        account: AccountId,
    },
    /// `existing_channel_id` comes without the secret that opens it.
    #[error("Missing field: existing_fsm_id")]
    MissingFsmId,
    /// The secret is malformed, or not the one of this channel.
    #[error("Invalid fsm id")]
    InvalidFsmId,
    /// There is no such channel here to come back to.
    #[error("Invalid field: existing_channel_id: expected a channel of this service, found {channel_id}")]
    UnknownChannel {
        /// The channel.
        channel_id: ChannelId,
    },
    /// The channel itself refused the terms.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// The service cannot, through no fault of the client: too many channels, a port that is not free.
    #[error("{why}")]
    Internal {
        /// Why not.
        why: String,
    },
}
