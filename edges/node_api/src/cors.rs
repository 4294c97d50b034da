//! What every answer carries, and what pages of other origins may ask: as the node has it.

use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// The height that an answer reflects, or a lower one.
pub(crate) const HEIGHT: HeaderName = HeaderName::from_static("x-ae-height");

/// What a page may do. A node names all of them, whatever it offers.
const METHODS: HeaderValue = HeaderValue::from_static("DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT");

/// What a page may read beside the usual.
const EXPOSED: HeaderValue = HeaderValue::from_static("retry-after, x-ae-height");

/// How long a browser may remember what it is allowed.
const ALLOWED_SECONDS: HeaderValue = HeaderValue::from_static("1800");

/// What is said to the page that asks; nothing to who is no page.
pub(crate) fn allow(asked: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let Some(origin) = asked.get(header::ORIGIN) else { return headers };
    headers.insert(header::VARY, HeaderValue::from_static("origin"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, ALLOWED_SECONDS);
    if let Some(names) = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    headers
}
