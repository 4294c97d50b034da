//! What clients may hold, and for how long.

use std::future::Future;
use std::time::Duration;

use hyper_util::service::TowerToHyperService;
use strait_http::{CutOff, Leaver, Server};
use tokio::net::TcpListener;

use crate::{Node, router};

/// The longest head of a request.
const MAX_HEAD: usize = 64 * 1024;

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
    let router = TowerToHyperService::new(router::router(node, &limits));
    let grace = limits.grace;
    let server = Server {
        name: "the node interface",
        connections: limits.connections,
        leaver: Leaver::Idle { stall_time: limits.stall_time },
        head_bytes: MAX_HEAD,
        head_time: limits.head_time,
        grace,
    };
    if let Err(CutOff) = server.serve(listener, router, shutdown).await {
        tracing::warn!(?grace, "requests to the node interface were cut off");
    }
}
