//! What readers may ask for, and for how long.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use strait_http::{CutOff, Leaver, Server};
use tokio::net::TcpListener;
use tokio::time::MissedTickBehavior;

use crate::access::Access;
use crate::metrics::Metrics;
use crate::operated::Operated;
use crate::router::Window;

/// The longest head of a request.
const MOST_HEAD: usize = 16 * 1024;

/// How much readers may ask for, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time. Who comes next takes the place of who was silent longest.
    pub connections: usize,
    /// For the head of a request, and for the next request of a kept connection.
    pub head_time: Duration,
    /// For the body of a request.
    pub body_time: Duration,
    /// For a channel to give its log.
    pub log_time: Duration,
    /// How old what is shown of the channels may be: they are asked no more often.
    pub fresh: Duration,
    /// For the requests in hand at the end.
    pub grace: Duration,
}

impl Default for Limits {
    /// 64 connections, 30 seconds for a head, 5 for a body, 2 for a log, what is shown 400 ms old, 1 second at the end.
    fn default() -> Self {
        Self {
            connections: 64,
            head_time: Duration::from_secs(30),
            body_time: Duration::from_secs(5),
            log_time: Duration::from_secs(2),
            fresh: Duration::from_millis(400),
            grace: Duration::from_secs(1),
        }
    }
}

/// Serves the window on a listener until `shutdown`. The limits are [`Limits::default`].
pub async fn serve<O: Operated>(
    listener: TcpListener,
    operated: O,
    metrics: Metrics,
    access: Access,
    shutdown: impl Future<Output = ()>,
) {
    serve_within(Limits::default(), listener, operated, metrics, access, shutdown).await;
}

/// As [`serve`], with limits of the caller's choice.
pub async fn serve_within<O: Operated>(
    limits: Limits,
    listener: TcpListener,
    operated: O,
    metrics: Metrics,
    access: Access,
    shutdown: impl Future<Output = ()>,
) {
    let server = Server {
        name: "the operator's window",
        connections: limits.connections,
        leaver: Leaver::Any,
        head_bytes: MOST_HEAD,
        head_time: limits.head_time,
        grace: limits.grace,
    };
    let grace = limits.grace;
    let window = Arc::new(Window::new(operated, metrics, access, limits));
    let answers = service_fn({
        let window = Arc::clone(&window);
        move |request: Request<Incoming>| {
            let window = Arc::clone(&window);
            async move { Ok::<_, Infallible>(window.answer(request).await) }
        }
    });
    let until = async {
        tokio::select! {
            () = measure(&window) => {}
            () = shutdown => {}
        }
    };
    if let Err(CutOff) = server.serve(listener, answers, until).await {
        tracing::debug!(?grace, "requests to the operator's window were cut off");
    }
}

async fn measure<O: Operated>(window: &Window<O>) {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    // A rate is measured over the time that went by.
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        second.tick().await;
        window.measure();
    }
}
