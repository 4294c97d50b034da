//! Connections: how many, for how long.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::access::Access;
use crate::guests::{Guest, Guests};
use crate::metrics::Metrics;
use crate::operated::Operated;
use crate::router::Window;

/// The longest head of a request.
const MOST_HEAD: usize = 16 * 1024;

/// The system may have no room for another connection; then it is worth a moment's wait.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

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
    let guests = Guests::new(limits.connections);
    let (head_time, grace) = (limits.head_time, limits.grace);
    let window = Arc::new(Window::new(operated, metrics, access, limits));
    let (stop, stopping) = watch::channel(());
    let mut connections = JoinSet::new();
    let accept = async {
        loop {
            let stream = next_connection(&listener).await;
            let guest = guests.let_in();
            connections.spawn(connection(stream, Arc::clone(&window), guest, stopping.clone(), head_time));
            while connections.try_join_next().is_some() {}
        }
    };
    tokio::select! {
        () = accept => {}
        () = measure(&window) => {}
        () = shutdown => {}
    }
    drop(listener);
    drop(stop);
    let finished = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(grace, finished).await.is_err() {
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

async fn next_connection(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                tracing::warn!(%error, "the operator's window cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection<O: Operated>(
    stream: TcpStream,
    window: Arc<Window<O>>,
    guest: Guest,
    mut stopping: watch::Receiver<()>,
    head_time: Duration,
) {
    // An answer is one write, so holding it back gains nothing; where the system refuses, it only comes later.
    let _ = stream.set_nodelay(true);
    let guest = &guest;
    let service = service_fn(|request| {
        guest.speaks();
        let window = Arc::clone(&window);
        async move { Ok::<_, Infallible>(window.answer(request).await) }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(head_time)
            .max_buf_size(MOST_HEAD)
            .serve_connection(TokioIo::new(stream), service)
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = guest.is_asked_to_leave() => return,
        // Only its end is ever told.
        _ = stopping.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // Without the address of the request: a token may have been put there.
        tracing::debug!(%error, "a connection to the operator's window broke off");
    }
}
