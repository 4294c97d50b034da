//! Connections: how many, for how long.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::seats::{Seat, Seats};
use crate::steady::Steady;
use crate::{Node, router};

/// The longest head of a request.
const MAX_HEAD: usize = 64 * 1024;

/// The system may have no room for another connection; then it is worth a moment's wait.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How much the clients of a server may hold, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time. Who comes next takes the place of the one that was silent longest, of those whose requests
    /// are answered.
    pub connections: usize,
    /// For the head of a request, and for the next request of a kept connection.
    pub head_time: Duration,
    /// For the body of a request.
    pub body_time: Duration,
    /// For a client that reads nothing of its answer.
    pub stall_time: Duration,
    /// For the requests in hand at the end.
    pub grace: Duration,
}

impl Default for Limits {
    /// 256 connections, 30 seconds for a head, 10 for a body, 10 without reading, 5 at the end.
    fn default() -> Self {
        Self {
            connections: 256,
            head_time: Duration::from_secs(30),
            body_time: Duration::from_secs(10),
            stall_time: Duration::from_secs(10),
            grace: Duration::from_secs(5),
        }
    }
}

/// Serves a node on a listener until `shutdown`, then finishes the requests in hand. The limits are [`Limits::default`].
pub async fn serve<N: Node>(listener: TcpListener, node: N, shutdown: impl Future<Output = ()>) {
    serve_within(Limits::default(), listener, node, shutdown).await;
}

/// As [`serve`], with limits of the caller's choice.
pub async fn serve_within<N: Node>(
    limits: Limits,
    listener: TcpListener,
    node: N,
    shutdown: impl Future<Output = ()>,
) {
    let limits = Arc::new(limits);
    let router = router::router(node, &limits);
    let seats = Seats::new(limits.connections.max(1));
    let (stop, stopping) = watch::channel(());
    let mut connections = JoinSet::new();
    let accept = async {
        loop {
            let stream = next_connection(&listener).await;
            let Some(seat) = seats.take().await else { return };
            let limits = Arc::clone(&limits);
            connections.spawn(connection(stream, router.clone(), stopping.clone(), seat, limits));
            while connections.try_join_next().is_some() {}
        }
    };
    tokio::select! {
        () = accept => {}
        () = shutdown => {}
    }
    drop(listener);
    drop(stop);
    let finished = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(limits.grace, finished).await.is_err() {
        tracing::warn!(grace = ?limits.grace, "requests to the node interface were cut off");
    }
}

async fn next_connection(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                tracing::warn!(%error, "the node interface cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    router: Router,
    mut stopping: watch::Receiver<()>,
    seat: Seat,
    limits: Arc<Limits>,
) {
    // An answer is one write, so holding it back gains nothing; where the system refuses, it only comes later.
    let _ = stream.set_nodelay(true);
    let place = Arc::clone(&seat.place);
    let router = TowerToHyperService::new(router);
    let service = service_fn(|request| {
        let (in_hand, answer) = (place.takes_in_hand(), router.call(request));
        async move {
            let answer = answer.await;
            drop(in_hand);
            answer
        }
    });
    let stream = Steady::new(stream, Arc::clone(&seat.place), limits.stall_time);
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_time)
            .max_buf_size(MAX_HEAD)
            .serve_connection(TokioIo::new(stream), service)
    );
    let ended = tokio::select! {
        // Who just sent a request is not to leave.
        biased;
        ended = connection.as_mut() => ended,
        () = seat.place.is_to_be_left() => return,
        // Only its end is ever told.
        _ = stopping.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to the node interface broke off");
    }
}
