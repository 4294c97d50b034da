//! Connections: how many, for how long.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use crate::{Node, router};

/// Connections at a time; who comes next waits to be accepted.
const MAX_CONNECTIONS: usize = 256;

/// A client has this long to send the head of a request, the next one of a kept connection too.
const HEAD_TIME: Duration = Duration::from_secs(30);

/// The longest head of a request.
const MAX_HEAD: usize = 64 * 1024;

/// Requests in hand have this long to be finished at the end.
const GRACE: Duration = Duration::from_secs(5);

/// The system may have no room for another connection; then it is worth a moment's wait.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves a node on a listener until `shutdown`, then finishes the requests in hand.
pub async fn serve<N: Node>(listener: TcpListener, node: N, shutdown: impl Future<Output = ()>) {
    let router = router::router(node);
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let (stop, stopping) = watch::channel(());
    let mut connections = JoinSet::new();
    let accept = async {
        loop {
            // It is never closed.
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
            let stream = next_connection(&listener).await;
            connections.spawn(connection(stream, router.clone(), stopping.clone(), slot));
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
    if tokio::time::timeout(GRACE, finished).await.is_err() {
        tracing::warn!(?GRACE, "requests to the node interface were cut off");
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
    _slot: OwnedSemaphorePermit,
) {
    // An answer is one write, so holding it back gains nothing; where the system refuses, it only comes later.
    let _ = stream.set_nodelay(true);
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME)
            .max_buf_size(MAX_HEAD)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
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
