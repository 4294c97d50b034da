//! What the command line shows: the same JSON as the page, fetched from a running service, and made into lines.

use std::fmt::Write;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use thiserror::Error;
use tokio::net::TcpStream;

use crate::access::Token;
use crate::amount::amount_of;

/// The longest answer that is read.
const MOST_BODY: usize = 16 * 1024 * 1024;

/// How long an answer may take.
const WITHIN: Duration = Duration::from_secs(10);

/// Why a service cannot be inspected.
#[derive(Debug, Error)]
pub enum InspectError {
    /// Nothing answers there as a window does.
    #[error("no service answers at {address}: {why}")]
    Unreachable {
        /// Where it was looked for.
        address: String,
        /// What went wrong.
        why: String,
    },
    /// The service refuses: the caller's fault.
    #[error("{reason} (status {status})")]
    Refused {
        /// Its status.
        status: u16,
        /// Its words.
        reason: String,
    },
}

/// A running service, seen through its window.
#[derive(Clone, Debug)]
pub struct Inspection {
    address: String,
    token: Option<Token>,
}

impl Inspection {
    /// Of the service whose window is at `address`, as `HOST:PORT`.
    pub fn new(address: impl Into<String>, token: Option<Token>) -> Self {
        Self { address: address.into(), token }
    }

    /// The newest sides of channels, at most 500, as `/api/channels` gives them; `find` is a part of an id or an account.
    ///
    /// # Errors
    /// Nothing answers, or it refuses.
    pub async fn list(&self, find: &str) -> Result<Value, InspectError> {
        self.ask(&format!("/api/channels?limit=500&find={}", escaped(find))).await
    }

    /// One side, by its key or the id of its channel, as `/api/channels/{name}` gives it.
    ///
    /// # Errors
    /// Nothing answers, or it does not know the channel.
    pub async fn show(&self, name: &str) -> Result<Value, InspectError> {
        self.ask(&format!("/api/channels/{}", escaped(name))).await
    }

    /// The latest entries of its log, as `/api/channels/{name}/log` gives them, the newest first.
    ///
    /// # Errors
    /// Nothing answers, or it does not know the channel.
    pub async fn log(&self, name: &str, newest: usize) -> Result<Value, InspectError> {
        self.ask(&format!("/api/channels/{}/log?newest={newest}", escaped(name))).await
    }

    /// Fetches a path of the window.
    ///
    /// # Errors
    /// Nothing answers, or it refuses.
    pub async fn ask(&self, path: &str) -> Result<Value, InspectError> {
        let unreachable = |why: String| InspectError::Unreachable { address: self.address.clone(), why };
        let answer = tokio::time::timeout(WITHIN, self.fetch(path)).await;
        let (status, body) = answer
            .map_err(|_| unreachable(format!("no answer within {WITHIN:?}")))?
            .map_err(|why| unreachable(why.to_string()))?;
        let json: Result<Value, _> = serde_json::from_slice(&body);
        match (status, json) {
            (StatusCode::OK, Ok(json)) => Ok(json),
            (_, Ok(json)) if json["reason"].is_string() => Err(InspectError::Refused {
                status: status.as_u16(),
                reason: json["reason"].as_str().unwrap_or_default().to_owned(),
            }),
            _ => Err(unreachable(format!("what answers with status {status} is no operator's window"))),
        }
    }

    async fn fetch(
        &self,
        path: &str,
    ) -> Result<(StatusCode, Bytes), Box<dyn std::error::Error + Send + Sync>> {
        let stream = TcpStream::connect(&self.address).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let mut request = Request::get(path).header(HOST, &self.address);
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {}", token.expose()));
        }
        let answer = async {
            let answer = sender.send_request(request.body(Empty::<Bytes>::new())?).await?;
            let status = answer.status();
            Ok((status, Limited::new(answer.into_body(), MOST_BODY).collect().await?.to_bytes()))
        };
        let mut answer = std::pin::pin!(answer);
        tokio::select! {
            answer = &mut answer => answer,
            // The connection ends by itself once the answer is there.
            _ = connection => answer.await,
        }
    }
}

/// The sides of a list as lines of a table, with a heading.
pub fn channel_table(list: &Value) -> String {
    let mut text = format!(
        "{:<14}  {:<9}  {:<7}  {:<12}  {:>9}  {:>28}  {:>28}  {}\n",
        "CHANNEL", "ROLE", "PLACE", "DOING", "ROUND", "INITIATOR HAS", "RESPONDER HAS", "KEY"
    );
    for side in list["channels"].as_array().into_iter().flatten() {
        let word = |name: &str| side[name].as_str().unwrap_or("-");
        let balance = |place: usize| amount_of(side["balances"][place].as_str().unwrap_or("-"));
        // Writing to memory does not fail.
        let _ = writeln!(
            text,
            "{:<14}  {:<9}  {:<7}  {:<12}  {:>9}  {:>28}  {:>28}  {}",
            short(word("id")),
            word("role"),
            word("place"),
            word("doing"),
            side["round"].to_string(),
            balance(0),
            balance(1),
            word("key"),
        );
    }
    text
}

/// The entries of a log as lines, the oldest first: time in UTC, way, name, and what it says.
pub fn log_lines(log: &Value) -> String {
    let mut text = String::new();
    for entry in log["entries"].as_array().into_iter().flatten().rev() {
        let way = match entry["way"].as_str() {
            Some("from_client") => "client >",
            Some("to_client") => "client <",
            Some("from_peer") => "peer   >",
            Some("to_peer") => "peer   <",
            _ => "chain  <",
        };
        let name = entry["name"].as_str().unwrap_or("-");
        let gist = entry["gist"].as_str().filter(|gist| !gist.is_empty());
        let gist = gist.map(|gist| format!("  {gist}")).unwrap_or_default();
        // Writing to memory does not fail.
        let _ = writeln!(text, "{}  {way} {name}{gist}", clock(entry["at"].as_u64().unwrap_or(0)));
    }
    text
}

/// The time of day, UTC.
fn clock(ms: u64) -> String {
    let seconds = ms / 1000;
    format!("{:02}:{:02}:{:02}.{:03}", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60, ms % 1000)
}

fn short(id: &str) -> String {
    let start: String = id.chars().take(13).collect();
    if start.len() < id.len() { format!("{start}…") } else { start }
}

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_log_is_told_from_its_beginning() {
        let log = json!({ "entries": [
            { "at": 86_400_000_u64 + 3_723_045, "way": "to_peer", "name": "Update", "gist": "round 2" },
            { "at": 1_000, "way": "from_client", "name": "channels.leave", "gist": "" },
        ] });
        assert_eq!(
            log_lines(&log),
            "00:00:01.000  client > channels.leave\n01:02:03.045  peer   < Update  round 2\n"
        );
    }

    #[test]
    fn amounts_in_a_list_have_their_unit() {
        let balances = ["1999999999999999995", "7"];
        let list = json!({ "channels": [{ "key": "ab", "round": 1, "balances": balances }] });
        let table = channel_table(&list);
        let row = table.lines().nth(1).unwrap();
        assert!(row.contains("1.999999999999999995 AE ") && row.contains(" 7 aettos "), "{row}");
    }

    #[test]
    fn a_list_is_a_table_even_where_things_are_unknown() {
        let list = json!({ "channels": [{ "id": null, "role": "responder", "round": 0, "key": "ab" }] });
        let table = channel_table(&list);
        let row = table.lines().nth(1).unwrap();
        assert_eq!(
            row.split_whitespace().collect::<Vec<_>>(),
            ["-", "responder", "-", "-", "0", "-", "-", "ab"]
        );
        assert_eq!(table.lines().next().unwrap().find("KEY"), row.find("ab"));
    }
}
