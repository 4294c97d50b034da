//! Ports that are open while somebody waits on them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::debug;

use crate::admission::{Entrance, admit};
use crate::error::{AllowedPorts, ListenError};
use crate::session::Session;

/// Ports that may be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ports {
    /// Every port. For a loopback host only, since clients name the port.
    Any,
    /// The operator's list.
    List(BTreeSet<u16>),
}

/// Where to listen, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenConfig {
    host: IpAddr,
    ports: Ports,
    /// What a connection may take before its first message.
    pub limits: ListenLimits,
}

/// What connections may take before their first message. The reference has no such limits, and a connection
/// that never speaks stays for ever (`docs/protocol/p2p_wire.md` §1, row "handshake timeout").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenLimits {
    /// Time for the handshake. Default 5 s.
    pub handshake_timeout: Duration,
    /// Time for the first message after the handshake. Default 10 s.
    pub first_message_timeout: Duration,
    /// Connections on one port that have not sent their first message. Default 64.
    pub waiting_per_port: usize,
    /// The same, of one remote address (one /64 network for IPv6) other than a loopback one. Default 16.
    pub waiting_per_source: usize,
}

impl Default for ListenLimits {
    fn default() -> ListenLimits {
        ListenLimits {
            handshake_timeout: Duration::from_secs(5),
            first_message_timeout: Duration::from_secs(10),
            waiting_per_port: 64,
            waiting_per_source: 16,
        }
    }
}

impl ListenConfig {
    /// Listens on `host`, on the ports of `ports`, with the default limits.
    ///
    /// # Errors
    /// The operator's fault: [`ListenError::AnyOffLoopback`].
    pub fn new(host: IpAddr, ports: Ports) -> Result<ListenConfig, ListenError> {
        if ports == Ports::Any && !host.to_canonical().is_loopback() {
            return Err(ListenError::AnyOffLoopback { host });
        }
        Ok(ListenConfig { host, ports, limits: ListenLimits::default() })
    }

    fn permit(&self, port: u16) -> Result<SocketAddr, ListenError> {
        if port == 0 {
            return Err(ListenError::PortZero);
        }
        match &self.ports {
            Ports::List(allowed) if !allowed.contains(&port) => {
                Err(ListenError::NotAllowed { port, allowed: AllowedPorts(allowed.clone()) })
            }
            Ports::List(_) | Ports::Any => Ok(SocketAddr::new(self.host, port)),
        }
    }
}

/// A session that a peer has opened to one of our ports, delivered after the handshake and the first message.
#[derive(Debug)]
pub struct Accepted {
    /// Port that the peer connected to.
    pub port: u16,
    /// The session, its first message taken.
    pub session: Session,
    /// The first message, decrypted, 0 to [`MAX_MESSAGE`](crate::MAX_MESSAGE) bytes. It says which channel the
    /// session is for (`docs/protocol/p2p_wire.md` §1.4).
    pub first: Vec<u8>,
}

/// All open ports of one service. Clones share them.
#[derive(Debug, Clone)]
pub struct Listeners {
    desk: Arc<Desk>,
}

#[derive(Debug)]
struct Desk {
    config: ListenConfig,
    accepted: mpsc::Sender<Accepted>,
    open: Mutex<BTreeMap<u16, OpenPort>>,
}

/// An entry lives as long as the socket, a little longer than the last [`Listening`].
#[derive(Debug)]
struct OpenPort {
    door: Weak<Door>,
    /// Ends when the entry is gone.
    closed: watch::Receiver<()>,
}

/// A share in an open port. The port is closed when the last share of it is dropped; connections that have not
/// sent their first message close with it, delivered sessions do not.
#[derive(Debug, Clone)]
pub struct Listening {
    door: Arc<Door>,
}

#[derive(Debug)]
struct Door {
    port: u16,
    /// Dropped with the door, and by that the signal to close.
    _stop: oneshot::Sender<()>,
}

impl Listeners {
    /// Opens nothing yet. Sessions of every port will go to `accepted`; one that finds it full or closed is
    /// closed.
    pub fn new(config: ListenConfig, accepted: mpsc::Sender<Accepted>) -> Listeners {
        Listeners { desk: Arc::new(Desk { config, accepted, open: Mutex::default() }) }
    }

    /// Opens `port`, or shares it when it is open (`docs/protocol/fsm.md` §13). Waits only when the port is
    /// just being closed. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The caller's fault: [`ListenError::PortZero`], [`ListenError::NotAllowed`]. The system's:
    /// [`ListenError::Bind`].
    pub async fn open(&self, port: u16) -> Result<Listening, ListenError> {
        let address = self.desk.config.permit(port)?;
        loop {
            let mut closed = match self.desk.share_or_bind(address)? {
                Opening::Open(listening) => return Ok(listening),
                Opening::Closing(closed) => closed,
            };
            // Nothing is ever sent: the error says that the sender is gone, and with it the socket.
            let _ = closed.changed().await;
        }
    }
}

impl Listening {
    /// The port that is open.
    pub fn port(&self) -> u16 {
        self.door.port
    }
}

enum Opening {
    Open(Listening),
    Closing(watch::Receiver<()>),
}

impl Desk {
    fn share_or_bind(self: &Arc<Desk>, address: SocketAddr) -> Result<Opening, ListenError> {
        let port = address.port();
        let mut open = self.open();
        if let Some(entry) = open.get(&port) {
            return Ok(match entry.door.upgrade() {
                Some(door) => Opening::Open(Listening { door }),
                None => Opening::Closing(entry.closed.clone()),
            });
        }
        let listener = bind(address).map_err(|source| ListenError::Bind { address, source })?;
        debug!(%address, "port opened");
        let (stop, stopped) = oneshot::channel();
        let (closing, closed) = watch::channel(());
        let door = Arc::new(Door { port, _stop: stop });
        open.insert(port, OpenPort { door: Arc::downgrade(&door), closed });
        // A runtime that is shutting down drops the task at once, and `Socket` then takes this lock.
        drop(open);
        let socket = Socket { listener: Some(listener), port, desk: Arc::clone(self), _closing: closing };
        tokio::spawn(async move {
            let entrance =
                Entrance { port, limits: socket.desk.config.limits, accepted: &socket.desk.accepted };
            if let Some(listener) = &socket.listener {
                admit(listener, entrance, stopped).await;
            }
        });
        Ok(Opening::Open(Listening { door }))
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<u16, OpenPort>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A listening socket that strikes itself off the list however its task ends.
struct Socket {
    listener: Option<TcpListener>,
    port: u16,
    desk: Arc<Desk>,
    _closing: watch::Sender<()>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.listener = None;
        self.desk.open().remove(&self.port);
        debug!(port = self.port, "port closed");
    }
}

/// Connections of a closed port stay in the system's books for a while; they must not keep the port from being
/// opened again. On Windows the option would mean something else, and is not needed.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    const BACKLOG: u32 = 128;
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if cfg!(unix) {
        socket.set_reuseaddr(true)?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
