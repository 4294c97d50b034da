//! Connecting to a listener that may not be there yet.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::{sleep, timeout};
use tracing::debug;

use crate::error::{AttemptError, DialError};
use crate::handshake::{Side, establish};
use crate::session::Session;

/// How long and how often [`dial`] tries. The default is the reference's (`docs/protocol/p2p_wire.md` §1, row
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

/// Addresses of one host that are tried in one attempt.
const MAX_ADDRESSES: usize = 8;

/// Connects to `host`, a name or an IP address without brackets, and establishes a session as the dialler.
///
/// The first attempt is made at once. An attempt tries up to eight addresses that `host` has, in the order of
/// the system's resolver, and fails when none of them completes the handshake. Drop the future to stop.
///
/// # Errors
/// [`DialError`] after the last attempt, with the reason of its last address.
pub async fn dial(host: &str, port: u16, policy: &DialPolicy) -> Result<Session, DialError> {
    let mut made = 0_u32;
    let mut pause = policy.first_pause.min(policy.pause);
    loop {
        made = made.saturating_add(1);
        match attempt(host, port, policy).await {
            Ok(session) => {
                debug!(host, port, attempt = made, "dialled");
                return Ok(session);
            }
            Err(last) if made >= policy.attempts => {
                return Err(DialError { host: host.to_owned(), port, attempts: made, last });
            }
            Err(error) => debug!(host, port, attempt = made, ?error, "attempt to dial failed"),
        }
        sleep(pause).await;
        pause = pause.saturating_mul(2).min(policy.pause);
    }
}

async fn attempt(host: &str, port: u16, policy: &DialPolicy) -> Result<Session, AttemptError> {
    let limit = policy.connect_timeout;
    let addresses = timeout(limit, lookup_host((host, port)))
        .await
        .map_err(|_| AttemptError::ResolveTimedOut { limit })?
        .map_err(AttemptError::Resolve)?;
    let mut outcome = Err(AttemptError::NoAddress);
    for address in addresses.take(MAX_ADDRESSES) {
        outcome = reach(address, policy).await;
        if outcome.is_ok() {
            break;
        }
    }
    outcome
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
