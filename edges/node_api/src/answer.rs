//! Answers and errors as a node gives them (`docs/protocol/chain_service` §4).

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// What an endpoint gives: the body of status 200, or a fault.
pub(crate) type Answer = Result<Value, Fault>;

/// An answer of another status.
#[derive(Debug)]
pub(crate) struct Fault {
    status: StatusCode,
    /// What the body says; there is none where it would be null.
    body: Value,
}

impl Fault {
    /// A status with a reason for people.
    pub fn new(status: StatusCode, reason: &str) -> Self {
        Self { status, body: json!({ "reason": reason }) }
    }

    /// A status without a body, as a node gives it where no endpoint of its was reached.
    pub fn bare(status: StatusCode) -> Self {
        Self { status, body: Value::Null }
    }

    /// Status 404 with a reason.
    pub fn not_found(reason: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, reason)
    }

    /// Status 400 with a reason.
    pub fn bad_request(reason: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reason)
    }

    /// Status 403: what is to be run may use more gas than others may ask for.
    pub fn over_the_gas_limit() -> Self {
        Self::new(StatusCode::FORBIDDEN, "Over the gas limit")
    }

    /// A parameter that does not fit the description of the interface: its name, which rule it breaks, and more.
    pub fn validation(parameter: &str, info: Value) -> Self {
        let body = json!({ "reason": "validation_error", "parameter": parameter, "info": info });
        Self { status: StatusCode::BAD_REQUEST, body }
    }

    /// A body that does not fit: which rule it breaks, by which value, at which place in it.
    pub fn unfit_body(error: &str, found: &Value, path: &[Value]) -> Self {
        // Long ones are not sent back in full.
        const MOST: usize = 200;
        let text = found.to_string();
        let data = match text.char_indices().nth(MOST) {
            None => found.clone(),
            Some((end, _)) => text[..end].into(),
        };
        Self::validation("body", json!({ "error": error, "data": data, "path": path }))
    }

    #[cfg(test)]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    #[cfg(test)]
    pub fn body(&self) -> &Value {
        &self.body
    }

    /// The same with a name of the error for programs.
    pub fn code(mut self, code: &str) -> Self {
        self.body["error_code"] = code.into();
        self
    }
}

/// The response of an answer; with every integer as a string where that is asked for.
pub(crate) fn respond(answer: Answer, int_as_string: bool) -> Response {
    match answer {
        Ok(body) => json_response(StatusCode::OK, &if int_as_string { with_texts(body) } else { body }),
        Err(Fault { status, body: Value::Null }) => status.into_response(),
        Err(Fault { status, body }) => json_response(status, &body),
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        respond(Err(self), false)
    }
}

fn json_response(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

fn with_texts(value: Value) -> Value {
    match value {
        Value::Number(number) if !number.is_f64() => Value::String(number.to_string()),
        Value::Array(values) => values.into_iter().map(with_texts).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, with_texts(value))).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_become_texts_and_nothing_else_does() {
        let body =
            json!({ "height": -1, "amounts": [u128::MAX, 0], "progress": 100.0, "ok": true, "none": null });
        let expected = json!({
            "height": "-1", "amounts": ["340282366920938463463374607431768211455", "0"],
            "progress": 100.0, "ok": true, "none": null
        });
        assert_eq!(with_texts(body), expected);
    }
}
