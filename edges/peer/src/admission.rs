//! Connections from their acceptance to their first message: the part of a port that strangers can load.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::debug;

use crate::error::{HandshakeError, ReceiveError};
use crate::handshake::{Side, establish};
use crate::listen::{Accepted, ListenLimits};
use crate::session::Session;

/// What accepted connections pass through.
pub(crate) struct Entrance<'desk> {
    pub(crate) port: u16,
    pub(crate) limits: ListenLimits,
    pub(crate) accepted: &'desk mpsc::Sender<Accepted>,
}

/// Where connections come from.
pub(crate) trait Connections {
    /// The next connection. Dropping the future loses none.
    fn next(&self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send;
}

impl Connections for TcpListener {
    fn next(&self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send {
        self.accept()
    }
}

/// When accepting fails, most likely because the process has no descriptor left, the next attempt would fail
/// at once too.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts until `stop` fires or its sender is gone. Connections that wait for their first message close with
/// the return.
pub(crate) async fn admit(
    connections: &impl Connections,
    entrance: Entrance<'_>,
    mut stop: oneshot::Receiver<()>,
) {
    let Entrance { port, limits, accepted } = entrance;
    let hall = Hall::new(limits);
    let mut waiting = JoinSet::new();
    loop {
        let incoming = tokio::select! {
            biased;
            _ = &mut stop => return,
            Some(_) = waiting.join_next() => continue,
            incoming = connections.next() => incoming,
        };
        match incoming {
            Ok((stream, peer)) => match Hall::enter(&hall, peer.ip()) {
                Some(seat) => {
                    waiting.spawn(receive(stream, peer, port, limits, accepted.clone(), seat));
                }
                None => debug!(port, %peer, "connection refused, too many wait"),
            },
            Err(error) => {
                debug!(port, %error, "accepting failed");
                tokio::select! {
                    _ = &mut stop => return,
                    () = sleep(ACCEPT_PAUSE) => {}
                }
            }
        }
    }
}

/// Why a connection was not delivered.
#[derive(Debug, Error)]
enum Rejection {
    #[error("no handshake")]
    Handshake(#[from] HandshakeError),
    #[error("no valid first message")]
    Receive(#[from] ReceiveError),
    #[error("no first message, expected one within {0:?}")]
    Silent(Duration),
    #[error("closed before its first message")]
    Closed,
}

/// `_seat` is given free when all else here is dropped, the connection too.
async fn receive(
    stream: TcpStream,
    peer: SocketAddr,
    port: u16,
    limits: ListenLimits,
    accepted: mpsc::Sender<Accepted>,
    _seat: Seat,
) {
    match introduce(stream, limits).await {
        Ok((session, first)) => match accepted.try_send(Accepted { port, session, first }) {
            Ok(()) => debug!(port, %peer, "session accepted"),
            Err(_) => debug!(port, %peer, "session closed, nobody takes it"),
        },
        Err(reason) => debug!(port, %peer, ?reason, "connection closed"),
    }
}

async fn introduce(stream: TcpStream, limits: ListenLimits) -> Result<(Session, Vec<u8>), Rejection> {
    let mut session = establish(stream, Side::Listener, limits.handshake_timeout).await?;
    let first = timeout(limits.first_message_timeout, session.first())
        .await
        .map_err(|_| Rejection::Silent(limits.first_message_timeout))??
        .ok_or(Rejection::Closed)?;
    Ok((session, first))
}

/// Counts those who wait.
struct Hall {
    limits: ListenLimits,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    by_source: BTreeMap<IpAddr, usize>,
}

/// The right to wait.
struct Seat {
    hall: Arc<Hall>,
    /// `None` for those who are not counted apart.
    source: Option<IpAddr>,
}

impl Hall {
    fn new(limits: ListenLimits) -> Arc<Hall> {
        Arc::new(Hall { limits, taken: Mutex::default() })
    }

    fn enter(hall: &Arc<Hall>, peer: IpAddr) -> Option<Seat> {
        let source = source_of(peer);
        let mut taken = hall.taken();
        if taken.all >= hall.limits.waiting_per_port {
            return None;
        }
        if let Some(source) = source {
            let of_source = taken.by_source.get(&source).copied().unwrap_or(0);
            if of_source >= hall.limits.waiting_per_source {
                return None;
            }
            taken.by_source.insert(source, of_source + 1);
        }
        taken.all += 1;
        Some(Seat { hall: Arc::clone(hall), source })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.hall.taken();
        taken.all = taken.all.saturating_sub(1);
        let Some(source) = self.source else { return };
        let left = taken.by_source.get(&source).copied().unwrap_or(0).saturating_sub(1);
        if left == 0 {
            taken.by_source.remove(&source);
        } else {
            taken.by_source.insert(source, left);
        }
    }
}

/// Whom a connection is counted for. Loopback is for our own machine and not counted. One owner of IPv6 has a
/// whole /64 of addresses at hand.
fn source_of(peer: IpAddr) -> Option<IpAddr> {
    const NETWORK: u128 = u128::MAX << 64;
    match peer.to_canonical() {
        address if address.is_loopback() => None,
        IpAddr::V4(address) => Some(IpAddr::V4(address)),
        IpAddr::V6(address) => Some(IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & NETWORK))),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use crate::{DialPolicy, dial};

    fn hall(per_port: usize, per_source: usize) -> Arc<Hall> {
        Hall::new(ListenLimits {
            waiting_per_port: per_port,
            waiting_per_source: per_source,
            ..ListenLimits::default()
        })
    }

    fn enter(hall: &Arc<Hall>, peer: &str) -> Option<Seat> {
        Hall::enter(hall, peer.parse().unwrap())
    }

    #[test]
    fn one_source_gets_its_seats_and_no_more_until_one_is_free() {
        let hall = hall(64, 2);
        let first = enter(&hall, "192.0.2.1").unwrap();
        let _second = enter(&hall, "::ffff:192.0.2.1").unwrap();
        assert!(enter(&hall, "192.0.2.1").is_none());
        let _other = enter(&hall, "192.0.2.2").unwrap();
        drop(first);
        assert!(enter(&hall, "192.0.2.1").is_some());
    }

    #[test]
    fn an_ipv6_network_is_one_source() {
        let hall = hall(64, 1);
        let _first = enter(&hall, "2001:db8:1:2::1").unwrap();
        assert!(enter(&hall, "2001:db8:1:2:ffff::9").is_none());
        assert!(enter(&hall, "2001:db8:1:3::1").is_some());
    }

    #[test]
    fn loopback_counts_for_the_port_only() {
        let hall = hall(3, 1);
        let seats = ["127.0.0.1", "127.0.0.1", "::1"].map(|peer| enter(&hall, peer).unwrap());
        assert!(enter(&hall, "127.0.0.1").is_none());
        assert!(enter(&hall, "192.0.2.1").is_none());
        drop(seats);
        assert!(enter(&hall, "192.0.2.1").is_some());
        let taken = hall.taken();
        assert_eq!((taken.all, taken.by_source.len()), (0, 0));
    }

    /// Fails as often as it has errors, then accepts.
    struct Flawed {
        errors: Mutex<VecDeque<io::Error>>,
        listener: TcpListener,
    }

    impl Connections for Flawed {
        async fn next(&self) -> io::Result<(TcpStream, SocketAddr)> {
            let error = self.errors.lock().unwrap().pop_front();
            match error {
                Some(error) => Err(error),
                None => self.listener.accept().await,
            }
        }
    }

    #[tokio::test]
    async fn a_port_outlives_failures_to_accept() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let errors = [io::ErrorKind::ConnectionAborted, io::ErrorKind::Other].map(io::Error::from).into();
        let flawed = Flawed { errors: Mutex::new(errors), listener };
        let (accepted, mut sessions) = mpsc::channel(1);
        let (stop, stopped) = oneshot::channel();
        let entrance = Entrance { port, limits: ListenLimits::default(), accepted: &accepted };

        let visit = async {
            let (outbound, _inbound) = dial("127.0.0.1", port, &DialPolicy::default()).await.unwrap().split();
            outbound.send(b"first").unwrap();
            let delivered = sessions.recv().await.unwrap();
            drop(stop);
            (delivered.port, delivered.first)
        };
        let ((), delivered) = tokio::join!(admit(&flawed, entrance, stopped), visit);
        assert_eq!(delivered, (port, b"first".to_vec()));
        assert!(flawed.errors.lock().unwrap().is_empty());
    }
}
