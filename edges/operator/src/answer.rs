//! Answers over HTTP.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use crate::access::Denied;
use crate::question::Wrong;

/// An answer.
pub(crate) type Answer = Response<Full<Bytes>>;

/// Why a request has no other answer: a status, and a reason for people.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub status: StatusCode,
    pub reason: String,
}

impl Fault {
    pub fn new(status: StatusCode, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into() }
    }
}

impl From<Wrong> for Fault {
    fn from(wrong: Wrong) -> Self {
        Self::new(StatusCode::BAD_REQUEST, wrong.to_string())
    }
}

impl From<Denied> for Fault {
    fn from(denied: Denied) -> Self {
        let status = match denied {
            Denied::Missing | Denied::Wrong | Denied::WrongPlace => StatusCode::UNAUTHORIZED,
            Denied::ForeignHost | Denied::ForeignOrigin => StatusCode::FORBIDDEN,
        };
        Self::new(status, denied.to_string())
    }
}

impl From<Fault> for Answer {
    fn from(fault: Fault) -> Self {
        let mut answer = json_answer(&json!({ "reason": fault.reason }));
        *answer.status_mut() = fault.status;
        if fault.status == StatusCode::UNAUTHORIZED {
            answer
                .headers_mut()
                .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"strait\""));
        }
        answer
    }
}

/// Status 200 with JSON.
pub(crate) fn json_answer(value: &Value) -> Answer {
    bytes_answer("application/json", value.to_string())
}

/// Status 200 with a body of this media type.
pub(crate) fn bytes_answer(media_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    answer
}

/// Adds what every answer carries: nothing of it may be kept, framed, guessed at, or load anything from elsewhere.
pub(crate) fn seal(mut answer: Answer) -> Answer {
    const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
        img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
    let headers = answer.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    answer
}
