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
use tokio::sync::Semaphore;

use crate::answer::{Answer, Fault, respond};
use crate::ask::{Ask, shown};
use crate::document::document;
use crate::gas_prices::Paid;
use crate::param::INT_AS_STRING;
use crate::shape::Shape;
use crate::table::{ROUTES, Route, Under, Work};
use crate::{Limits, Node, cors, fitting, transactions};

/// The longest body: more than a transaction that fills a whole block.
const MAX_BODY: usize = 512 * 1024;

/// When to come back to a node that takes nothing at the moment.
const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("3");

/// How many requests run contracts at a time; the others wait.
const RUNS: usize = 2;

/// A node, and how it is served.
struct Served<N> {
    node: N,
    since: Instant,
    body_time: Duration,
    paid: Paid,
    runs: Arc<Semaphore>,
}

/// The whole interface of a node.
pub(crate) fn router<N: Node>(node: N, limits: &Limits) -> Router {
    let (since, body_time) = (Instant::now(), limits.body_time);
    let runs = Arc::new(Semaphore::new(RUNS));
    let served = Arc::new(Served { node, since, body_time, paid: Paid::default(), runs });
    let document = Bytes::from(document().to_string());
    let json = [(header::CONTENT_TYPE, "application/json")];
    let mut router = Router::new().route("/api", get(async move || (json, document)));
    for (prefix, version) in [("/v2", Under::V2), ("/v3", Under::V3)] {
        for route in ROUTES.iter().filter(|route| [Under::Both, version].contains(&route.under)) {
            router = router.route(&format!("{prefix}{}", route.path), endpoint(route, version));
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

fn endpoint<N: Node>(route: &'static Route, version: Under) -> MethodRouter<Arc<Served<N>>> {
    match route.work {
        Work::Read(read) => {
            get(async move |State(served): State<Arc<Served<N>>>, path: PathParams, uri: Uri| {
                served.answer(version, path, &uri, read)
            })
        }
        Work::Run(run) => post(
            async move |State(served): State<Arc<Served<N>>>,
                        path: PathParams,
                        uri: Uri,
                        headers: HeaderMap,
                        body: Body| {
                match json_body(&headers, body, route.body, served.body_time).await {
                    Ok(body) => {
                        served
                            .aside(move |served| served.answer(version, path, &uri, |ask| run(ask, &body)))
                            .await
                    }
                    Err(fault) => fault.into_response(),
                }
            },
        ),
        Work::Submit => {
            post(async move |State(served): State<Arc<Served<N>>>, headers: HeaderMap, body: Body| {
                let body = json_body(&headers, body, route.body, served.body_time).await;
                submit(&served.node, body).await
            })
        }
    }
}

impl<N: Node> Served<N> {
    /// Does what takes long where it does not hold up other requests, when it is its turn.
    async fn aside(self: Arc<Self>, work: impl FnOnce(&Self) -> Response + Send + 'static) -> Response {
        let Ok(turn) = Arc::clone(&self.runs).acquire_owned().await else {
            return Fault::bare(StatusCode::SERVICE_UNAVAILABLE).into_response();
        };
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work(&self)
        });
        match done.await {
            Ok(response) => response,
            Err(error) => {
                tracing::error!(%error, "a request to the node interface was not worked off");
                Fault::bare(StatusCode::INTERNAL_SERVER_ERROR).into_response()
            }
        }
    }

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
async fn submit<N: Node>(node: &N, body: Result<Value, Fault>) -> Response {
    let outcome = match body.and_then(|body| transactions::of_body(&body)) {
        Ok(tx) => transactions::submitted(node.submit(tx).await),
        Err(fault) => Err(fault),
    };
    // There is no integer in it.
    respond(outcome, false)
}

/// The JSON of a body, of this shape. Nothing at all counts as an empty text.
async fn json_body(
    headers: &HeaderMap,
    body: Body,
    shape: Option<Shape>,
    within: Duration,
) -> Result<Value, Fault> {
    if !is_json(headers) {
        return Err(Fault::bare(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    let body = match tokio::time::timeout(within, axum::body::to_bytes(body, MAX_BODY)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return Err(Fault::validation("", json!({ "error": "body_too_big" }))),
        Err(_) => return Err(Fault::new(StatusCode::REQUEST_TIMEOUT, "The body came too slowly")),
    };
    let json = if body.is_empty() { Ok("".into()) } else { serde_json::from_slice(&body) };
    let json = json.map_err(|_| {
        let data = shown(&String::from_utf8_lossy(&body));
        Fault::validation("", json!({ "error": "invalid_body", "data": data }))
    })?;
    if let Some(shape) = shape {
        fitting::check(shape, &json)?;
    }
    Ok(json)
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
