//! Makes the table of routes answer requests.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{Query, RawPathParams, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use serde_json::{Value, json};
use strait_ledger::ChainView;

use crate::answer::{Answer, Fault, respond};
use crate::ask::{Ask, shown};
use crate::document::document;
use crate::gas_prices::Paid;
use crate::param::INT_AS_STRING;
use crate::table::{ROUTES, Under, Work};
use crate::{Limits, Node, cors, transactions};

/// The longest body: more than a transaction that fills a whole block.
const MAX_BODY: usize = 512 * 1024;

/// When to come back to a node that takes nothing at the moment.
const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("3");

/// A node, and how it is served.
struct Served<N> {
    node: N,
    since: Instant,
    body_time: Duration,
    paid: Paid,
}

/// The whole interface of a node.
pub(crate) fn router<N: Node>(node: N, limits: &Limits) -> Router {
    let (since, body_time) = (Instant::now(), limits.body_time);
    let served = Arc::new(Served { node, since, body_time, paid: Paid::default() });
    let document = Bytes::from(document().to_string());
    let json = [(header::CONTENT_TYPE, "application/json")];
    let mut router = Router::new().route("/api", get(async move || (json, document)));
    for (prefix, version) in [("/v2", Under::V2), ("/v3", Under::V3)] {
        for route in ROUTES.iter().filter(|route| [Under::Both, version].contains(&route.under)) {
            router = router.route(&format!("{prefix}{}", route.path), endpoint(route.work, version));
        }
    }
    router
        // The JS SDK asks some paths only to learn that they are not there: it must not even find a reason.
        .fallback(async || StatusCode::NOT_FOUND)
        .method_not_allowed_fallback(async || StatusCode::METHOD_NOT_ALLOWED)
        .layer(middleware::from_fn_with_state(Arc::clone(&served), with_headers::<N>))
        .with_state(served)
}

type PathParams = Result<RawPathParams, RawPathParamsRejection>;

fn endpoint<N: Node>(work: Work, version: Under) -> MethodRouter<Arc<Served<N>>> {
    match work {
        Work::Read(read) => {
            get(async move |State(served): State<Arc<Served<N>>>, path: PathParams, uri: Uri| {
                served.answer(version, path, &uri, read)
            })
        }
        Work::Try(attempt) => post(
            async move |State(served): State<Arc<Served<N>>>,
                        path: PathParams,
                        uri: Uri,
                        headers: HeaderMap,
                        body: Body| {
                match json_body(&headers, body, served.body_time).await {
                    Ok(body) => served.answer(version, path, &uri, |ask| attempt(ask, &body)),
                    Err(fault) => fault.into_response(),
                }
            },
        ),
        Work::Submit => post(submit::<N>),
    }
}

impl<N: Node> Served<N> {
    fn answer(
        &self,
        version: Under,
        path: PathParams,
        uri: &Uri,
        work: impl FnOnce(&Ask<'_>) -> Answer,
    ) -> Response {
        let Ok(path) = path else { return Fault::bare(StatusCode::BAD_REQUEST).into_response() };
        let ask = Ask {
            chain: &self.node.view(),
            uptime: self.since.elapsed(),
            paid: &self.paid,
            path: path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            query: query(uri),
        };
        // The older interface has no such parameter.
        let int_as_string = if version == Under::V2 { Ok(false) } else { ask.flag(&INT_AS_STRING) };
        match int_as_string {
            Ok(int_as_string) => respond(work(&ask), int_as_string),
            Err(fault) => fault.into_response(),
        }
    }
}

/// `POST /transactions`.
async fn submit<N: Node>(State(served): State<Arc<Served<N>>>, headers: HeaderMap, body: Body) -> Response {
    let body = json_body(&headers, body, served.body_time).await;
    let outcome = match body.and_then(|body| transactions::of_body(&body)) {
        Ok(tx) => transactions::submitted(served.node.submit(tx).await),
        Err(fault) => Err(fault),
    };
    // There is no integer in it.
    respond(outcome, false)
}

/// The JSON of a body. Nothing at all counts as an empty text.
async fn json_body(headers: &HeaderMap, body: Body, within: Duration) -> Result<Value, Fault> {
    if !is_json(headers) {
        return Err(Fault::bare(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    let body = match tokio::time::timeout(within, axum::body::to_bytes(body, MAX_BODY)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return Err(Fault::validation("", json!({ "error": "body_too_big" }))),
        Err(_) => return Err(Fault::new(StatusCode::REQUEST_TIMEOUT, "The body came too slowly")),
    };
    if body.is_empty() {
        return Ok("".into());
    }
    serde_json::from_slice(&body).map_err(|_| {
        let data = shown(&String::from_utf8_lossy(&body));
        Fault::validation("", json!({ "error": "invalid_body", "data": data }))
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    let found = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = found.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}

/// Adds what every answer carries. The height is read first, so that the answer reflects it at least.
async fn with_headers<N: Node>(
    State(served): State<Arc<Served<N>>>,
    request: Request,
    next: Next,
) -> Response {
    let height = served.node.view().top_height();
    let allowed = cors::allow(request.headers());
    let mut response = if request.method() == Method::OPTIONS {
        StatusCode::OK.into_response()
    } else {
        next.run(request).await
    };
    let is_busy = response.status() == StatusCode::SERVICE_UNAVAILABLE;
    let headers = response.headers_mut();
    headers.extend(allowed);
    headers.insert(cors::HEIGHT, height.0.into());
    if is_busy {
        headers.insert(header::RETRY_AFTER, RETRY_SECONDS);
    }
    response
}

/// The parameters of a query. One that cannot be read counts as none: unknown ones are ignored, too.
fn query(uri: &Uri) -> Vec<(String, String)> {
    Query::try_from_uri(uri).map(|Query(pairs)| pairs).unwrap_or_default()
}
