//! What the service sends: replies and notifications (`docs/protocol/ws_api` §4).

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::ClientError;

/// One text frame as it came. Nothing of it is parsed until it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    text: Utf8Bytes,
}

/// A frame read as far as its kind tells: everything below stays the text it was.
#[derive(Clone, Debug)]
pub enum View<'a> {
    /// The answer to a request.
    Reply(Reply<'a>),
    /// Something the service tells unasked.
    Notification(Notification<'a>),
    /// The answers to a batch of requests.
    Batch(Vec<View<'a>>),
}

/// The answer to a request.
#[derive(Clone, Debug)]
pub struct Reply<'a> {
    /// The id of the request as JSON text; `None` where it had none.
    pub id: Option<&'a str>,
    /// The channel, once the socket has one.
    pub channel_id: Option<Cow<'a, str>>,
    /// The `result` or the `error` object, as JSON text.
    pub outcome: Result<&'a str, &'a str>,
}

/// Something the service tells unasked.
#[derive(Clone, Debug)]
pub struct Notification<'a> {
    /// Such as `channels.info`.
    pub method: Cow<'a, str>,
    /// The channel, once the socket has one.
    pub channel_id: Option<Cow<'a, str>>,
    /// `params.data`, as JSON text.
    pub data: &'a str,
}

impl Frame {
    /// A frame of this text.
    pub fn new(text: impl Into<Utf8Bytes>) -> Self {
        Self { text: text.into() }
    }

    /// The text as it came.
    pub fn text(&self) -> &str {
        self.text.as_str()
    }

    /// The whole frame as a tree of values. Costs several times what [`view`](Self::view) does.
    ///
    /// # Errors
    /// The text is no JSON: the service's fault.
    pub fn value(&self) -> Result<Value, ClientError> {
        serde_json::from_str(self.text()).map_err(|error| self.broken(error.to_string()))
    }

    /// The frame by its kind, borrowed.
    ///
    /// # Errors
    /// The text is no JSON, or neither a reply nor a notification: the service's fault.
    pub fn view(&self) -> Result<View<'_>, ClientError> {
        let text = self.text();
        if text.trim_start().starts_with('[') {
            let all: Vec<Envelope<'_>> = self.parse(text)?;
            return all.into_iter().map(|one| self.sort(one)).collect::<Result<_, _>>().map(View::Batch);
        }
        self.sort(self.parse(text)?)
    }

    fn parse<'a, T: Deserialize<'a>>(&self, text: &'a str) -> Result<T, ClientError> {
        serde_json::from_str(text).map_err(|error| self.broken(error.to_string()))
    }

    fn sort<'a>(&self, envelope: Envelope<'a>) -> Result<View<'a>, ClientError> {
        let Envelope { method, params, id, channel_id, result, error } = envelope;
        if let Some(Text(method)) = method {
            let Params { channel_id, data } =
                params.ok_or_else(|| self.broken("a notification needs `params`"))?;
            let channel_id = channel_id.map(|Text(id)| id);
            return Ok(View::Notification(Notification { method, channel_id, data: data.get() }));
        }
        let outcome = match (result, error) {
            (Some(result), None) => Ok(result.get()),
            (None, Some(error)) => Err(error.get()),
            _ => return Err(self.broken("neither `method` nor one of `result` and `error`")),
        };
        let channel_id = channel_id.map(|Text(id)| id);
        Ok(View::Reply(Reply { id: id.map(RawValue::get), channel_id, outcome }))
    }

    fn broken(&self, what: impl Into<String>) -> ClientError {
        let shown = self.text().chars().take(200).collect();
        ClientError::Frame { what: what.into(), frame: shown }
    }
}

/// Borrowed where the text has no escapes; serde borrows a `Cow` only when it is a field itself, not inside `Option`.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    method: Option<Text<'a>>,
    #[serde(borrow)]
    params: Option<Params<'a>>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    channel_id: Option<Text<'a>>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Params<'a> {
    #[serde(borrow)]
    channel_id: Option<Text<'a>>,
    #[serde(borrow)]
    data: &'a RawValue,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_is_borrowed_from_the_frame() {
        let frame = Frame::new(
            r#"{"jsonrpc":"2.0","method":"channels.info","params":{"channel_id":null,"data":{"event":"open"}},"version":1}"#,
        );
        let View::Notification(seen) = frame.view().unwrap() else { panic!("{frame:?}") };
        assert!(matches!(seen.method, Cow::Borrowed("channels.info")));
        assert_eq!(seen.channel_id, None);
        assert_eq!(seen.data, r#"{"event":"open"}"#);
    }

    #[test]
    fn replies_keep_id_result_and_error_as_text() {
        let frame =
            Frame::new(r#"{"channel_id":"ch_1","id":-576460752303423456,"jsonrpc":"2.0","result":"ok"}"#);
        let View::Reply(reply) = frame.view().unwrap() else { panic!("{frame:?}") };
        assert_eq!(reply.id, Some("-576460752303423456"));
        assert_eq!(reply.channel_id.as_deref(), Some("ch_1"));
        assert_eq!(reply.outcome, Ok(r#""ok""#));

        let frame = Frame::new(r#"{"id":null,"error":{"code":3}}"#);
        let View::Reply(reply) = frame.view().unwrap() else { panic!("{frame:?}") };
        assert_eq!((reply.id, reply.outcome), (None, Err(r#"{"code":3}"#)));
    }

    #[test]
    fn a_batch_is_several_views() {
        let frame = Frame::new(r#"[{"id":1,"result":"ok"},{"id":2,"result":[]}]"#);
        let View::Batch(all) = frame.view().unwrap() else { panic!("{frame:?}") };
        assert_eq!(all.len(), 2);
    }

    #[test]
    fn what_is_neither_is_the_services_fault() {
        for text in ["", "{", "{}", "17", r#"{"method":"channels.info"}"#, r#"{"result":1,"error":2}"#] {
            assert!(matches!(Frame::new(text).view(), Err(ClientError::Frame { .. })), "{text}");
        }
    }
}
