use std::error::Error;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::seats::{Seat, Seats};
use crate::steady::Steady;

/// The system may have no room for another connection; then it is worth a moment's wait.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a server is called, and what its clients may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// What the log calls it, as in "the node interface".
    pub name: &'static str,
    /// Connections at a time, at least one.
    pub connections: usize,
    /// Who makes room for one more.
    pub leaver: Leaver,
    /// The longest head of a request, in bytes, as far as the system does not hand over more at once.
    pub head_bytes: usize,
    /// For the head of a request, and for the next request of a kept connection.
    pub head_time: Duration,
    /// For the requests in hand at the end.
    pub grace: Duration,
}

/// Which connection makes room when every seat is taken and one more client comes: one that only keeps a connection open
/// must not keep others out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaver {
    /// Of those without a request in hand, the one of which bytes came or went longest ago. While all have requests in hand,
    /// who comes waits for the first that is answered.
    Idle {
        /// For a client that reads nothing of its answer, which is no request in hand any more. Then it is given up, whether
        /// its seat is needed or not.
        stall_time: Duration,
    },
    /// The one that asked longest ago, at once, whatever it waits for.
    Any,
}

/// When the server ended, requests were still in hand after its grace; they were cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("requests were cut off")]
pub struct CutOff;

impl Server {
    /// Serves what comes on a listener until `shutdown`, then closes the listener and finishes the requests in hand.
    ///
    /// # Errors
    /// [`CutOff`], if they took longer than the grace.
    pub async fn serve<S, B>(
        self,
        listener: TcpListener,
        service: S,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), CutOff>
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Future: Send,
        S::Error: Into<Box<dyn Error + Send + Sync>> + Send,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let server = Arc::new(self);
        let seats = Seats::new(server.connections, server.leaver);
        let (stop, stopping) = watch::channel(());
        let mut connections = JoinSet::new();
        let accept = async {
            loop {
                let (stream, _) = next_connection(&listener, |error| {
                    tracing::warn!(%error, "{} cannot accept a connection", server.name);
                })
                .await;
                let Some(seat) = seats.take().await else { return };
                let connection =
                    Arc::clone(&server).connection(stream, service.clone(), stopping.clone(), seat);
                connections.spawn(connection);
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
        tokio::time::timeout(server.grace, finished).await.map_err(|_| CutOff)
    }

    async fn connection<S, B>(
        self: Arc<Self>,
        stream: TcpStream,
        service: S,
        mut stopping: watch::Receiver<()>,
        seat: Seat,
    ) where
        S: Service<Request<Incoming>, Response = Response<B>>,
        S::Error: Into<Box<dyn Error + Send + Sync>>,
        B: Body + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        // An answer is one write, so holding it back gains nothing; where the system refuses, it only comes later.
        let _ = stream.set_nodelay(true);
        let place = Arc::clone(&seat.place);
        let service = service_fn(|request| {
            let (in_hand, answer) = (place.takes_in_hand(), service.call(request));
            async move {
                let answer = answer.await;
                drop(in_hand);
                answer
            }
        });
        let stall_time = match self.leaver {
            Leaver::Idle { stall_time } => Some(stall_time),
            Leaver::Any => None,
        };
        let stream = Steady::new(stream, Arc::clone(&seat.place), stall_time);
        let mut connection = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(self.head_time)
                .max_buf_size(self.head_bytes)
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
            // Without the address of the request: a secret may have been put there.
            tracing::debug!(%error, "a connection to {} broke off", self.name);
        }
    }
}

/// The next connection, and who it comes from. While the system has no room for one, `refused` hears why, and it is tried
/// again after a moment.
pub async fn next_connection(
    listener: &TcpListener,
    mut refused: impl FnMut(io::Error),
) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                refused(error);
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
