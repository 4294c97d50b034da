//! Which path gives what.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{Query, RawPathParams, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;
use strait_ledger::ChainView;

use crate::answer::{Answer, Fault, respond};
use crate::ask::Ask;
use crate::{Node, accounts, blocks, gas_prices, status, transactions};

/// The longest body: more than a transaction that fills a whole block.
const MAX_BODY: usize = 512 * 1024;

/// A client has this long to send one.
const BODY_TIME: Duration = Duration::from_secs(10);

/// How long a browser may remember what it is allowed.
const ALLOWED_SECONDS: HeaderValue = HeaderValue::from_static("1800");

/// When to come back to a node that takes nothing at the moment.
const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("3");

type Endpoint = fn(&Ask<'_>) -> Answer;

/// Under which of the two interfaces a path stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Under {
    Both,
    V2,
    V3,
}

/// All that can be read (`docs/protocol/chain_service` §4).
const ENDPOINTS: &[(Under, &str, Endpoint)] = &[
    (Under::Both, "/status", status::status),
    (Under::Both, "/accounts/{pubkey}", accounts::account),
    (Under::Both, "/accounts/{pubkey}/next-nonce", accounts::next_nonce),
    (Under::Both, "/accounts/{pubkey}/transactions/pending", accounts::pending),
    (Under::Both, "/channels/{pubkey}", accounts::channel),
    (Under::Both, "/transactions/{hash}", transactions::transaction),
    (Under::Both, "/transactions/{hash}/info", transactions::info),
    (Under::Both, "/key-blocks/current", blocks::current_key_block),
    (Under::Both, "/key-blocks/current/hash", blocks::current_key_hash),
    (Under::Both, "/key-blocks/current/height", blocks::current_height),
    (Under::Both, "/key-blocks/hash/{hash}", blocks::key_block_by_hash),
    (Under::Both, "/key-blocks/height/{height}", blocks::key_block_by_height),
    (Under::Both, "/generations/current", blocks::current_generation),
    (Under::Both, "/generations/hash/{hash}", blocks::generation_by_hash),
    (Under::Both, "/generations/height/{height}", blocks::generation_by_height),
    (Under::Both, "/micro-blocks/hash/{hash}/header", blocks::micro_block_header),
    (Under::Both, "/micro-blocks/hash/{hash}/transactions", blocks::micro_block_transactions),
    (Under::Both, "/micro-blocks/hash/{hash}/transactions/count", blocks::micro_block_count),
    (Under::Both, "/micro-blocks/hash/{hash}/transactions/index/{index}", blocks::micro_block_transaction),
    (Under::V3, "/headers/top", blocks::top_header),
    (Under::V2, "/blocks/top", blocks::top_block),
    (Under::Both, "/recent-gas-prices", gas_prices::recent),
];

/// A node, and since when it is served.
struct Served<N> {
    node: N,
    since: Instant,
}

/// The whole interface of a node.
pub(crate) fn router<N: Node>(node: N) -> Router {
    let served = Arc::new(Served { node, since: Instant::now() });
    let mut router = Router::new();
    for (prefix, version) in [("/v2", Under::V2), ("/v3", Under::V3)] {
        for (under, path, endpoint) in ENDPOINTS {
            if [Under::Both, version].contains(under) {
                let endpoint = *endpoint;
                let handler =
                    async move |State(served): State<Arc<Served<N>>>, path: PathParams, uri: Uri| {
                        read(endpoint, &served, path, &uri)
                    };
                router = router.route(&format!("{prefix}{path}"), get(handler));
            }
        }
        router = router.route(&format!("{prefix}/transactions"), post(submit::<N>));
    }
    router
        // The JS SDK asks for it on networks that it does not know, and must find nothing, not even a reason.
        .route("/v3/hyperchain/contracts", get(StatusCode::NOT_FOUND))
        .fallback(async || Fault::not_found("Not found"))
        .method_not_allowed_fallback(async || {
            Fault::new(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed")
        })
        .layer(middleware::from_fn_with_state(Arc::clone(&served), with_headers::<N>))
        .with_state(served)
}

type PathParams = Result<RawPathParams, RawPathParamsRejection>;

fn read<N: Node>(endpoint: Endpoint, served: &Served<N>, path: PathParams, uri: &Uri) -> Response {
    let Ok(path) = path else { return Fault::bad_request("Invalid path").into_response() };
    let ask = Ask {
        chain: &served.node.view(),
        uptime: served.since.elapsed(),
        path: path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        query: query(uri),
    };
    match ask.int_as_string() {
        Ok(int_as_string) => respond(endpoint(&ask), int_as_string),
        Err(fault) => fault.into_response(),
    }
}

/// `POST /transactions`.
async fn submit<N: Node>(State(served): State<Arc<Served<N>>>, body: Body) -> Response {
    let too_big = || Fault::validation("", json!({ "error": "body_too_big" }));
    let body = match tokio::time::timeout(BODY_TIME, axum::body::to_bytes(body, MAX_BODY)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return too_big().into_response(),
        Err(_) => return Fault::new(StatusCode::REQUEST_TIMEOUT, "The body came too slowly").into_response(),
    };
    let outcome = match transactions::of_body(&body) {
        Ok(tx) => transactions::submitted(served.node.submit(tx).await),
        Err(fault) => Err(fault),
    };
    // There is no integer in it.
    respond(outcome, false)
}

/// Adds what every answer carries: the height that it reflects at least, and that any page may ask.
async fn with_headers<N: Node>(
    State(served): State<Arc<Served<N>>>,
    request: Request,
    next: Next,
) -> Response {
    let height = served.node.view().top_height();
    let asked = request.headers().get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let mut response = if request.method() == Method::OPTIONS {
        StatusCode::OK.into_response()
    } else {
        next.run(request).await
    };
    let is_busy = response.status() == StatusCode::SERVICE_UNAVAILABLE;
    let headers = response.headers_mut();
    headers.insert("x-ae-height", height.0.into());
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers
        .insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD, OPTIONS, POST"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("x-ae-height"));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, ALLOWED_SECONDS);
    if let Some(asked) = asked {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked);
    }
    if is_busy {
        headers.insert(header::RETRY_AFTER, RETRY_SECONDS);
    }
    response
}

/// The parameters of a query. One that cannot be read counts as none: unknown ones are ignored, too.
fn query(uri: &Uri) -> Vec<(String, String)> {
    Query::try_from_uri(uri).map(|Query(pairs)| pairs).unwrap_or_default()
}
