//! The listener: connections, the upgrade of `/channel`, and the limits of both (`docs/protocol/ws_api` §1).

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    CONNECTION, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::desk::Desk;
use crate::session;
use crate::wire::Wire;

/// The limits of the interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiConfig {
    /// The largest message of a client, in bytes; a larger one closes its socket with 1009.
    pub max_message: usize,
    /// How long a client may send nothing at all before its socket is closed with 1000.
    pub idle_timeout: Duration,
    /// How long a client may read nothing at all before its socket is dropped.
    pub write_timeout: Duration,
    /// How long a connection may take for its upgrade.
    pub head_timeout: Duration,
    /// How many bytes wait to be written to one client before the service and the client are not listened to; also how many
    /// a batch may gather.
    pub max_outbox: usize,
    /// How many requests of one client may wait for their answers before the client is not listened to.
    pub max_unanswered: usize,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            max_message: 1 << 20,
            idle_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(20),
            head_timeout: Duration::from_secs(10),
            max_outbox: 4 << 20,
            max_unanswered: 1_024,
        }
    }
}

/// The places for sockets; clones share them.
#[derive(Clone, Debug)]
pub struct Sockets {
    places: Arc<Semaphore>,
    most: usize,
}

impl Sockets {
    /// At most this many sockets at once; beyond what the system could ever hold, as many as that.
    pub fn at_most(most: usize) -> Self {
        let most = most.min(Semaphore::MAX_PERMITS - SPARE_CONNECTIONS);
        Self { places: Arc::new(Semaphore::new(most)), most }
    }

    /// How many are open, from the upgrade to the end: those of clients that wait for a seat or are being let go as well. A client
    /// that is turned away for want of a place never has one.
    pub fn open(&self) -> usize {
        self.most.saturating_sub(self.places.available_permits())
    }
}

/// Connections beyond the sockets: those that are about to upgrade, or to be turned away.
const SPARE_CONNECTIONS: usize = 64;
/// The largest request head; a query may carry a transaction.
const MAX_HEAD: usize = 64 << 10;

/// Serves the interface on `listener`, for as many clients as there are places in `sockets`, until `shutdown` comes; then closes
/// every socket with 1001 and returns once all are gone, which the timeouts of `config` bound.
pub async fn serve(
    listener: TcpListener,
    desk: impl Desk,
    sockets: Sockets,
    config: ApiConfig,
    shutdown: impl Future<Output = ()> + Send,
) {
    let house = Arc::new(House {
        desk,
        connections: Arc::new(Semaphore::new(sockets.most + SPARE_CONNECTIONS)),
        sockets,
        config,
    });
    let (closing, _) = watch::channel(false);
    let mut guests = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = guests.join_next(), if !guests.is_empty() => {}
            (stream, from, place) = house.accept(&listener) => {
                let (house, closing) = (Arc::clone(&house), closing.subscribe());
                guests.spawn(async move {
                    house.welcome(stream, from, closing).await;
                    drop(place);
                });
            }
        }
    }
    closing.send_replace(true);
    while guests.join_next().await.is_some() {}
}

/// What all connections share.
struct House<D> {
    desk: D,
    config: ApiConfig,
    sockets: Sockets,
    connections: Arc<Semaphore>,
}

impl<D: Desk> House<D> {
    /// The next connection, once there is a place for it.
    async fn accept(&self, listener: &TcpListener) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
        let connections = Arc::clone(&self.connections);
        let place = connections.acquire_owned().await.expect("nobody closes the semaphore");
        let refused = |error| tracing::warn!(%error, "no connection accepted");
        let (stream, from) = strait_http::next_connection(listener, refused).await;
        (stream, from, place)
    }

    /// Serves one connection: one HTTP request, and the socket if it becomes one.
    async fn welcome(&self, stream: TcpStream, from: SocketAddr, mut closing: watch::Receiver<bool>) {
        // In a box that is gone when the socket begins: sockets are many and long, and HTTP needs much.
        let upgraded = tokio::select! {
            upgraded = Box::pin(self.upgrade(stream, from)) => upgraded,
            () = session::closed(&mut closing) => return,
        };
        let Some((stream, read, query)) = upgraded else { return };
        let wire = Box::pin(Wire::new(stream, read, &self.config)).await;
        match self.sockets.places.try_acquire() {
            Ok(_place) => Box::pin(session::run(wire, &query, &self.desk, &self.config, closing)).await,
            Err(_) => {
                let max_sockets = self.sockets.most;
                tracing::warn!(%from, max_sockets, "no place for a socket");
                let why = format!("all {max_sockets} places for sockets are taken");
                session::turn_away(wire, why).await;
            }
        }
    }

    /// Answers the HTTP request of a connection; gives the stream, what was read of it already, and the query, if it is to
    /// become a socket.
    async fn upgrade(&self, stream: TcpStream, from: SocketAddr) -> Option<(TcpStream, Vec<u8>, String)> {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%from, %error, "no TCP_NODELAY");
        }
        let asked = Mutex::new(None);
        let service = service_fn(|request| {
            let answer = answer(&request, &asked);
            async { Ok::<_, Infallible>(answer) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.config.head_timeout)
            .max_buf_size(MAX_HEAD)
            .serve_connection(TokioIo::new(stream), service)
            .without_shutdown();
        let parts = match connection.await {
            Ok(parts) => parts,
            Err(error) => {
                tracing::debug!(%from, %error, "a connection failed before its upgrade");
                return None;
            }
        };
        let mut stream = parts.io.into_inner();
        let query = asked.lock().unwrap_or_else(PoisonError::into_inner).take();
        if query.is_none() {
            // It got its answer; whether it hears it does not matter any more.
            let _ = stream.shutdown().await;
        }
        query.map(|query| (stream, parts.read_buf.to_vec(), query))
    }
}

/// Answers the one request of a connection. Of an upgrade, `asked` gets the query.
fn answer(request: &Request<Incoming>, asked: &Mutex<Option<String>>) -> Response<Empty<Bytes>> {
    if request.uri().path() != "/channel" {
        return plain(StatusCode::NOT_FOUND);
    }
    if !has_token(request, &UPGRADE, "websocket") {
        let mut answer = plain(StatusCode::UPGRADE_REQUIRED);
        answer.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade, close"));
        return answer;
    }
    let is_known = request
        .headers()
        .get(SEC_WEBSOCKET_VERSION)
        .is_some_and(|version| ["7", "8", "13"].iter().any(|known| version == known));
    let is_sound = request.method() == Method::GET
        && request.version() == Version::HTTP_11
        && has_token(request, &CONNECTION, "upgrade");
    let Some(key) = request.headers().get(SEC_WEBSOCKET_KEY).filter(|_| is_known && is_sound) else {
        return plain(StatusCode::BAD_REQUEST);
    };
    let Ok(accept) = HeaderValue::try_from(derive_accept_key(key.as_bytes())) else {
        return plain(StatusCode::BAD_REQUEST);
    };
    let query = request.uri().query().unwrap_or_default().to_owned();
    *asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(query);
    let mut answer = plain(StatusCode::SWITCHING_PROTOCOLS);
    answer.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
    answer.headers_mut().insert(SEC_WEBSOCKET_ACCEPT, accept);
    answer
}

/// An answer of nothing but this status, the last of its connection.
fn plain(status: StatusCode) -> Response<Empty<Bytes>> {
    let mut answer = Response::new(Empty::new());
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}

/// Whether a header that lists tokens has this one.
fn has_token(request: &Request<Incoming>, header: &HeaderName, token: &str) -> bool {
    let values = request.headers().get_all(header).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|found| found.trim().eq_ignore_ascii_case(token))
}
