//! Connecting to a listener that may not be there yet.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use crate::error::{AttemptError, DialError, HostNotAllowed};
use crate::handshake::{Side, establish};
use crate::hosts::Hosts;
use crate::session::Session;

/// How long and how often is tried to reach a listener. The default is the reference's (`docs/protocol/p2p_wire.md` §1, row
/// "dial policy"), with a limit on the handshake, where the reference waits forever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DialPolicy {
    /// Attempts before giving up; one is always made. Default 40.
    pub attempts: u32,
    /// Time for the resolution of the host's name, and for each TCP connection. Default 3 s.
    pub connect_timeout: Duration,
    /// Pause after the first failed attempt; it doubles with each further one, up to `pause`. Default 50 ms: the peer
    /// is often just about to listen.
    pub first_pause: Duration,
    /// The longest pause between attempts. Default 3 s.
    pub pause: Duration,
    /// Time for each Noise handshake. Default 5 s.
    pub handshake_timeout: Duration,
}

impl Default for DialPolicy {
    fn default() -> DialPolicy {
        DialPolicy {
            attempts: 40,
            connect_timeout: Duration::from_secs(3),
            first_pause: Duration::from_millis(50),
            pause: Duration::from_secs(3),
            handshake_timeout: Duration::from_secs(5),
        }
    }
}

/// Finds the addresses of hosts.
pub trait Resolve: fmt::Debug + Send + Sync {
    /// The addresses of `host`, a name or an address, with `port` in each.
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Resolving<'a>;
}

/// Addresses that are being looked for. An error says why there are none.
pub type Resolving<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>>;

/// The resolver of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Resolving<'a> {
        Box::pin(async move { Ok(lookup_host((host, port)).await?.collect()) })
    }
}

/// Dials hosts that others name, within what the operator allows.
#[derive(Debug, Clone)]
pub struct Dialler {
    hosts: Hosts,
    policy: DialPolicy,
    resolver: Arc<dyn Resolve>,
}

/// Addresses of one host that are tried in one attempt.
const MAX_ADDRESSES: usize = 8;

impl Dialler {
    /// Dials these hosts with the default policy and the system's resolver.
    pub fn new(hosts: Hosts) -> Dialler {
        Dialler::with(hosts, DialPolicy::default(), SystemResolver)
    }

    /// As [`new`](Self::new), with a policy and a resolver.
    pub fn with(hosts: Hosts, policy: DialPolicy, resolver: impl Resolve + 'static) -> Dialler {
        Dialler { hosts, policy, resolver: Arc::new(resolver) }
    }

    /// Whether `host` may be dialled, as far as that can be said before it is resolved: see [`Hosts::check`].
    ///
    /// # Errors
    /// The host is not allowed: the fault of who named it.
    pub fn check(&self, host: &str) -> Result<(), HostNotAllowed> {
        self.hosts.check(host)
    }

    /// Connects to `host`, a name or an IP address without brackets, and establishes a session as the dialler.
    ///
    /// The first attempt is made at once. An attempt resolves `host` once, tries up to eight of its addresses that are allowed, in
    /// the order of the resolver, and fails when none of them completes the handshake. A host without an allowed address is tried
    /// again like one without an address, so that the time it takes does not tell what inner names there are; the first time is
    /// logged. Drop the future to stop.
    ///
    /// # Errors
    /// [`DialError`] after the last attempt, with the reason of its last address.
    pub async fn dial(&self, host: &str, port: u16) -> Result<Session, DialError> {
        let mut made = 0_u32;
        let mut pause = self.policy.first_pause.min(self.policy.pause);
        let mut warned = false;
        loop {
            made = made.saturating_add(1);
            let last = match self.attempt(host, port).await {
                Ok(session) => {
                    debug!(host, port, attempt = made, "dialled");
                    return Ok(session);
                }
                Err(why) => why,
            };
            debug!(host, port, attempt = made, error = ?last, "attempt to dial failed");
            if matches!(last, AttemptError::NotAllowed { .. }) && !warned {
                warn!(host, port, why = %last, "a host is not dialled");
                warned = true;
            }
            if made >= self.policy.attempts {
                return Err(DialError { host: host.to_owned(), port, attempts: made, last });
            }
            sleep(pause).await;
            pause = pause.saturating_mul(2).min(self.policy.pause);
        }
    }

    /// The addresses that were judged are the ones that are connected to: nobody resolves the name a second time.
    async fn attempt(&self, host: &str, port: u16) -> Result<Session, AttemptError> {
        let limit = self.policy.connect_timeout;
        let addresses = timeout(limit, self.resolver.resolve(host, port))
            .await
            .map_err(|_| AttemptError::ResolveTimedOut { limit })?
            .map_err(AttemptError::Resolve)?;
        let mut forbidden = None;
        let is_allowed = |address: &SocketAddr| {
            let list = self.hosts.forbids(host, address.ip());
            if let Some(list) = list {
                forbidden.get_or_insert((address.ip(), list));
            }
            list.is_none()
        };
        let allowed: Vec<_> = addresses.into_iter().filter(is_allowed).take(MAX_ADDRESSES).collect();
        let mut outcome = Err(match forbidden {
            Some((address, list)) => AttemptError::NotAllowed { address, allowed: list.clone() },
            None => AttemptError::NoAddress,
        });
        for address in allowed {
            outcome = reach(address, &self.policy).await;
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }
}

/// As [`Dialler::dial`] of a dialler that may dial any host: for who names the host itself.
///
/// # Errors
/// [`DialError`] after the last attempt, with the reason of its last address.
pub async fn dial(host: &str, port: u16, policy: &DialPolicy) -> Result<Session, DialError> {
    Dialler::with(Hosts::Any, *policy, SystemResolver).dial(host, port).await
}

async fn reach(address: SocketAddr, policy: &DialPolicy) -> Result<Session, AttemptError> {
    let limit = policy.connect_timeout;
    let stream = timeout(limit, TcpStream::connect(address))
        .await
        .map_err(|_| AttemptError::ConnectTimedOut { address, limit })?
        .map_err(|source| AttemptError::Connect { address, source })?;
    establish(stream, Side::Dialler, policy.handshake_timeout)
        .await
        .map_err(|source| AttemptError::Handshake { address, source })
}
