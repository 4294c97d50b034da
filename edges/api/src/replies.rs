//! Frames that answer a request, and the shape of notifications (`docs/protocol/ws_api` §4, §5).

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use strait_channel::Answer;
use strait_encoding::text::{self, Prefix};
use strait_encoding::{AccountId, Coins};
use strait_ledger::SignedTx;
use time::OffsetDateTime;
use time::macros::format_description;

use crate::desk::{HistoryEntry, HistoryKind, OpenRefusal};
use crate::errors::{Detail, Rejection};

/// What a request is answered with, if it succeeds.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Done, or under way; a request without id hears nothing of it.
    Ok,
    /// A result; a request without id gets it as a notification.
    Result(Answered),
}

/// A result.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Answered {
    Pong { action: &'static str, tag: &'static str },
    Pruned { action: &'static str },
    Balances(Vec<Balance>),
    OffchainState { trees: Encoded, calls: Encoded, signed_tx: MaybeTx, half_signed_tx: MaybeTx },
    Proof { poi: Encoded },
    Call(serde_json::Value),
    DryRun(serde_json::Value),
    Contract { contract: serde_json::Value, contract_state: serde_json::Value },
    History(Vec<Entry>),
}

impl Answered {
    /// The answer to a ping.
    pub(crate) const PONG: Self = Answered::Pong { action: "system", tag: "pong" };

    /// The notification by which a request without id gets it.
    fn method(&self) -> &'static str {
        match self {
            Answered::Pong { .. } => "channels.system.pong",
            Answered::Pruned { .. } => "channels.calls_pruned.reply",
            Answered::Balances(_) => "channels.get.balances.reply",
            Answered::OffchainState { .. } => "channels.get.offchain_state.reply",
            Answered::Proof { .. } => "channels.get.poi.reply",
            Answered::Call(_) => "channels.get.contract_call.reply",
            Answered::DryRun(_) => "channels.dry_run.call_contract.reply",
            Answered::Contract { .. } => "channels.get.contract.reply",
            Answered::History(_) => "channels.history.fetch.reply",
        }
    }
}

impl From<Answer> for Outcome {
    fn from(answer: Answer) -> Self {
        Outcome::Result(match answer {
            Answer::Ok => return Outcome::Ok,
            Answer::Balances(balances) => {
                Answered::Balances(balances.into_iter().map(Balance::from).collect())
            }
            Answer::OffchainState { trees, calls, signed_tx, half_signed_tx } => Answered::OffchainState {
                trees: Encoded(Prefix::StateTrees, trees),
                calls: Encoded(Prefix::CallTree, calls),
                signed_tx: MaybeTx(signed_tx),
                half_signed_tx: MaybeTx(half_signed_tx),
            },
            Answer::Proof(proof) => Answered::Proof { poi: Encoded(Prefix::Proof, proof) },
            Answer::Call(call) => Answered::Call(call),
            Answer::DryRun(call) => Answered::DryRun(call),
            Answer::Contract { contract, contract_state } => Answered::Contract { contract, contract_state },
            Answer::CallsPruned => Answered::Pruned { action: "calls_pruned" },
        })
    }
}

impl From<Vec<HistoryEntry>> for Outcome {
    fn from(entries: Vec<HistoryEntry>) -> Self {
        Outcome::Result(Answered::History(entries.into_iter().map(Entry).collect()))
    }
}

/// The frame that answers a request with this id, if it is answered at all.
pub(crate) fn success(id: Option<&RawValue>, channel_id: Option<&str>, outcome: &Outcome) -> Option<String> {
    match (outcome, id) {
        (Outcome::Ok, None) => None,
        (Outcome::Ok, Some(id)) => Some(result(id, channel_id, "ok")),
        (Outcome::Result(answered), Some(id)) => Some(result(id, channel_id, answered)),
        (Outcome::Result(answered), None) => Some(notification(answered.method(), channel_id, answered)),
    }
}

/// The frame that refuses a request; `request` is repeated.
pub(crate) fn failure(
    id: Option<&RawValue>,
    channel_id: Option<&str>,
    why: &Rejection,
    request: &RawValue,
) -> String {
    #[derive(Serialize)]
    struct Failure<'a> {
        jsonrpc: &'static str,
        version: u8,
        id: Option<&'a RawValue>,
        channel_id: Option<&'a str>,
        error: Body<'a>,
    }
    #[derive(Serialize)]
    struct Body<'a> {
        code: i32,
        message: &'static str,
        data: &'a [Detail],
        request: &'a RawValue,
    }
    let error = Body { code: why.code, message: why.message, data: &why.data, request };
    encoded(&Failure { jsonrpc: "2.0", version: 1, id, channel_id, error })
}

/// The frame that tells a client why it gets no seat.
pub fn refusal_frame(refusal: &OpenRefusal) -> String {
    failure_of_nothing(None, &refusal.into())
}

/// The frame of an error that answers no request.
pub(crate) fn failure_of_nothing(channel_id: Option<&str>, why: &Rejection) -> String {
    failure(None, channel_id, why, &as_raw("{}"))
}

/// A frame that answers nothing.
pub(crate) fn notification<T: Serialize + ?Sized>(
    method: &str,
    channel_id: Option<&str>,
    data: &T,
) -> String {
    #[derive(Serialize)]
    struct Notification<'a, T: ?Sized> {
        jsonrpc: &'static str,
        version: u8,
        method: &'a str,
        params: Params<'a, T>,
    }
    #[derive(Serialize)]
    struct Params<'a, T: ?Sized> {
        channel_id: Option<&'a str>,
        data: &'a T,
    }
    encoded(&Notification { jsonrpc: "2.0", version: 1, method, params: Params { channel_id, data } })
}

/// The members of a batch's answer as one frame: bare if it is one only, nothing if there is none.
pub(crate) fn batch(mut members: Vec<String>) -> Option<String> {
    match members.len() {
        0 | 1 => members.pop(),
        _ => Some(format!("[{}]", members.join(","))),
    }
}

/// JSON text that was read before, to be repeated as it is.
pub(crate) fn as_raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

fn result<T: Serialize + ?Sized>(id: &RawValue, channel_id: Option<&str>, result: &T) -> String {
    #[derive(Serialize)]
    struct Success<'a, T: ?Sized> {
        jsonrpc: &'static str,
        version: u8,
        id: &'a RawValue,
        channel_id: Option<&'a str>,
        result: &'a T,
    }
    encoded(&Success { jsonrpc: "2.0", version: 1, id, channel_id, result })
}

fn encoded<T: Serialize>(frame: &T) -> String {
    serde_json::to_string(frame)
        .expect("frames have no keys but strings, and no value that refuses to be written")
}

/// Bytes in their text form.
#[derive(Debug)]
pub(crate) struct Encoded(Prefix, Vec<u8>);

impl Serialize for Encoded {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&text::encode(self.0, &self.1))
    }
}

/// A transaction in its text form; empty where there is none.
#[derive(Debug)]
pub(crate) struct MaybeTx(Option<SignedTx>);

impl Serialize for MaybeTx {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.as_ref().map(SignedTx::to_text).unwrap_or_default())
    }
}

/// One line of the off-chain balances.
#[derive(Debug, Serialize)]
pub(crate) struct Balance {
    account: String,
    balance: Coins,
}

impl From<(AccountId, Coins)> for Balance {
    fn from((account, balance): (AccountId, Coins)) -> Self {
        Self { account: account.to_string(), balance }
    }
}

/// One entry of the history.
#[derive(Debug)]
pub(crate) struct Entry(HistoryEntry);

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown<'a> {
            r#type: &'static str,
            tag: &'a str,
            time: String,
            info: &'a serde_json::Value,
        }
        let HistoryEntry { kind, tag, time, info } = &self.0;
        let kind = match kind {
            HistoryKind::Report => "report",
            HistoryKind::Send => "send",
            HistoryKind::Receive => "receive",
            HistoryKind::Request => "request",
        };
        Shown { r#type: kind, tag, time: moment(time.0), info }.serialize(serializer)
    }
}

/// RFC 3339 in UTC with microseconds; the largest moment that can be written where it is beyond that.
fn moment(milliseconds: u64) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
    let nanoseconds = i128::from(milliseconds) * 1_000_000;
    let moment = OffsetDateTime::from_unix_timestamp_nanos(nanoseconds);
    let last = time::PrimitiveDateTime::MAX.assume_utc();
    moment.unwrap_or(last).format(format).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::moment;

    #[test]
    fn moments_are_rfc_3339_with_microseconds() {
        assert_eq!(moment(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(moment(1_000_000_000_123), "2001-09-09T01:46:40.123000Z");
        assert_eq!(moment(u64::MAX), "9999-12-31T23:59:59.999999Z");
    }
}
