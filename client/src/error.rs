//! What can go wrong for a client, and whose fault it is.

use std::fmt;

use serde::Deserialize;
use strait_encoding::text::TextError;
use thiserror::Error;
use tokio_tungstenite::tungstenite;

use crate::Objection;

/// Why a call of this client did not succeed.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The service could not be reached, or refused the WebSocket.
    #[error("cannot connect to {url}: {source}")]
    Connect {
        /// Where to, without the query.
        url: String,
        /// What the transport says.
        source: Box<tungstenite::Error>,
    },
    /// The socket broke.
    #[error("the connection broke: {0}")]
    Socket(Box<tungstenite::Error>),
    /// The service closed the socket. Parameters that it does not understand end this way, without a word
    /// (`docs/protocol/ws_api` §2).
    #[error("the service closed the connection{}", code.map_or(String::new(), |code| format!(" with code {code}")))]
    Closed {
        /// The close code, where there was a close frame.
        code: Option<u16>,
    },
    /// The service sent something that is not of this interface.
    #[error("the service sent a frame that cannot be read: {what}: {frame}")]
    Frame {
        /// What is wrong with it.
        what: String,
        /// The beginning of the frame.
        frame: String,
    },
    /// The service refused a request.
    #[error("the service refused: {0}")]
    Rejected(Rejection),
    /// What the service asked to have signed, or reported as agreed, is not what it should be. Nothing was signed. Either
    /// the service or the peer is at fault.
    #[error("refused to go on: {0}")]
    Objection(#[from] Objection),
    /// Nothing came in time.
    #[error("no {waiting_for} within {seconds} s")]
    Timeout {
        /// What was waited for.
        waiting_for: &'static str,
        /// How long, in seconds.
        seconds: u64,
    },
    /// The channel's service side ended: a timeout, a lost peer, a stop.
    #[error("the channel ended while waiting for {waiting_for}: the last event was `{event}`")]
    Ended {
        /// What was waited for.
        waiting_for: &'static str,
        /// The last `channels.info` event.
        event: String,
    },
    /// The caller asked for something that this party is not in the state to do.
    #[error("{0}")]
    Misuse(&'static str),
}

/// A request that the service refused (`docs/protocol/ws_api` §4, §10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The method of the request; empty where the query of the URL was refused.
    pub method: String,
    /// The outer code.
    pub code: i64,
    /// The outer message.
    pub message: String,
    /// The inner codes and messages.
    pub details: Vec<(i64, String)>,
}

impl Rejection {
    /// Whether one of the inner codes is `code`.
    pub fn has(&self, code: i64) -> bool {
        self.details.iter().any(|(found, _)| *found == code)
    }

    /// Reads an `error` object.
    pub(crate) fn parse(error: &str) -> Result<Self, serde_json::Error> {
        let Refusal { code, message, data, request } = serde_json::from_str(error)?;
        let details = data.into_iter().map(|detail| (detail.code, detail.message)).collect();
        Ok(Self { method: request.method, code, message, details })
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)?;
        for (code, message) in &self.details {
            write!(f, ", {message} ({code})")?;
        }
        Ok(())
    }
}

impl From<tungstenite::Error> for ClientError {
    fn from(error: tungstenite::Error) -> Self {
        match error {
            tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed => {
                Self::Closed { code: None }
            }
            other => Self::Socket(Box::new(other)),
        }
    }
}

impl From<TextError> for ClientError {
    fn from(error: TextError) -> Self {
        Self::Frame { what: error.to_string(), frame: String::new() }
    }
}

#[derive(Deserialize)]
struct Refusal {
    code: i64,
    message: String,
    #[serde(default)]
    data: Vec<Detail>,
    #[serde(default)]
    request: Request,
}

#[derive(Deserialize)]
struct Detail {
    code: i64,
    message: String,
}

#[derive(Default, Deserialize)]
struct Request {
    #[serde(default)]
    method: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejection_names_every_reason() {
        let text = r#"{"code":3,"data":[{"code":1011,"message":"Participant not found"}],"message":"Rejected",
                       "request":{"jsonrpc":"2.0","method":"channels.update.new","params":{}}}"#;
        let rejection = Rejection::parse(text).unwrap();
        assert_eq!(rejection.method, "channels.update.new");
        assert!(rejection.has(1011) && !rejection.has(3));
        assert_eq!(rejection.to_string(), "Rejected (3), Participant not found (1011)");
        let bare = Rejection::parse(r#"{"code":-32603,"message":"Internal error","request":{}}"#).unwrap();
        assert_eq!(bare.to_string(), "Internal error (-32603)");
    }
}
