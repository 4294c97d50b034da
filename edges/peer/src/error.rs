//! What can go wrong, one enum for each thing a caller can ask for.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use thiserror::Error;

use crate::hosts::HostList;

/// Why [`Outbound::send`](crate::Outbound::send) did not take a message. Nothing of the message was sent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SendError {
    /// The caller's fault: no frame can carry the message (`docs/protocol/p2p_wire.md` §1.3). The session is
    /// as it was.
    #[error("message is {len} bytes, expected at most {max}")]
    TooLong {
        /// Bytes of the message.
        len: usize,
        /// Bytes a message may have.
        max: usize,
    },
    /// The peer's fault: it does not read what was sent before. The session is as it was.
    #[error("send queue holds {queued} bytes and the message needs {frame}, expected at most {max} together")]
    Full {
        /// Bytes that wait for the peer to read.
        queued: usize,
        /// Bytes the message takes on the wire.
        frame: usize,
        /// Bytes that may wait.
        max: usize,
    },
    /// The connection has failed or was reset; nothing more can be sent.
    #[error("session is closed, expected it open for sending")]
    Closed,
}

/// Why [`Inbound::next`](crate::Inbound::next) has no message. Every one of these ends the inbound half.
#[derive(Debug, Error)]
pub enum ReceiveError {
    /// The peer's fault: a frame that cannot hold even the tag of an empty message.
    #[error("frame is {len} bytes, expected at least {min}")]
    TooShort {
        /// Bytes of the frame's body.
        len: usize,
        /// Bytes of an empty message's frame body.
        min: usize,
    },
    /// The peer's fault, or that of someone between: the frame is not what the session's keys and counter call
    /// for. Later frames could not be trusted either.
    #[error("message {index} of {len} bytes does not decrypt, expected the peer's next message")]
    Decrypt {
        /// Messages received before this one.
        index: u64,
        /// Bytes of the frame's body.
        len: usize,
    },
    /// The peer's fault, or the network's: the connection ended inside a frame.
    #[error("connection ended {have} bytes into a frame, expected the frame to its end")]
    Truncated {
        /// Bytes of the unfinished frame that did arrive, its length prefix included.
        have: usize,
    },
    /// The network's fault, or the peer reset the connection.
    #[error("receiving failed")]
    Io(#[source] io::Error),
    /// The caller's fault: an earlier call has already given one of the other errors.
    #[error("session has already ended with an error, expected no further call")]
    Ended,
}

/// Why two sides that had a TCP connection have no session (`docs/protocol/p2p_wire.md` §1.1).
#[derive(Debug, Error)]
pub enum HandshakeError {
    /// The peer's fault: a handshake message of another size.
    #[error("handshake message is {len} bytes, expected {expected}")]
    Length {
        /// Bytes that the frame announces.
        len: usize,
        /// Bytes that this step of the handshake has.
        expected: usize,
    },
    /// The peer's fault: it closed before its handshake message was whole.
    #[error("connection ended after {have} bytes of the handshake message, expected {expected}")]
    Closed {
        /// Bytes that arrived, the length prefix included.
        have: usize,
        /// Bytes of the whole frame.
        expected: usize,
    },
    /// The peer's fault, or the network's: too slow.
    #[error("handshake is not done, expected it within {limit:?}")]
    TimedOut {
        /// Time that was given.
        limit: Duration,
    },
    /// The peer's fault: a message that does not verify. (Ours, if the system gives no randomness.)
    #[error("handshake message does not hold, expected Noise_NN_25519_ChaChaPoly_BLAKE2b")]
    Noise(#[from] snow::Error),
    /// The network's fault, or the peer reset the connection.
    #[error("handshake failed on the connection")]
    Io(#[from] io::Error),
}

/// Why one attempt of [`dial`](crate::dial) brought no session.
#[derive(Debug, Error)]
pub enum AttemptError {
    /// The host's name gives no address.
    #[error("host does not resolve, expected at least one address")]
    Resolve(#[source] io::Error),
    /// The host's name is known but has no address.
    #[error("host resolves to no address, expected at least one")]
    NoAddress,
    /// Resolving the host's name takes too long.
    #[error("host is not resolved, expected an address within {limit:?}")]
    ResolveTimedOut {
        /// Time that was given.
        limit: Duration,
    },
    /// The fault of who named the host: the operator allows none of its addresses.
    #[error("host resolves to {address}, which is not allowed, expected {allowed}")]
    NotAllowed {
        /// The first of its addresses.
        address: IpAddr,
        /// What may be dialled.
        allowed: HostList,
    },
    /// No TCP connection: nobody listens there, or the network is down.
    #[error("{address} does not accept a connection")]
    Connect {
        /// Address that was tried last.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// No answer to the TCP connection.
    #[error("{address} does not answer, expected a connection within {limit:?}")]
    ConnectTimedOut {
        /// Address that was tried last.
        address: SocketAddr,
        /// Time that was given.
        limit: Duration,
    },
    /// Connected, but no session.
    #[error("{address} does not complete the handshake")]
    Handshake {
        /// Address that was tried last.
        address: SocketAddr,
        /// What went wrong.
        #[source]
        source: HandshakeError,
    },
}

/// Why [`dial`](crate::dial) gave up.
#[derive(Debug, Error)]
#[error("{host} port {port} gave no session in {attempts} attempts")]
pub struct DialError {
    /// Host as the caller named it.
    pub host: String,
    /// Port as the caller named it.
    pub port: u16,
    /// Attempts that were made.
    pub attempts: u32,
    /// Why the last attempt failed.
    #[source]
    pub last: AttemptError,
}

/// Why a host may not be dialled: the fault of who named it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("host {host:?} is not allowed, expected {allowed}")]
pub struct HostNotAllowed {
    /// Host as it was named.
    pub host: String,
    /// Hosts that may be dialled.
    pub allowed: HostList,
}

/// Why a text says no [`Hosts`](crate::Hosts): the operator's fault.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "expected any, or a list of host names, IP addresses, CIDR networks without bits behind their prefix, and public, for \
     instance public,hub.example.org,192.0.2.7,10.1.0.0/16, found {entry:?}"
)]
pub struct HostsError {
    /// The entry that is none.
    pub entry: String,
}

/// Why a port is not open, or a [`ListenConfig`](crate::ListenConfig) not accepted.
#[derive(Debug, Error)]
pub enum ListenError {
    /// The caller's fault: port 0 would be another port at every opening.
    #[error("port is 0, expected one of 1 to 65535")]
    PortZero,
    /// The caller's fault: the operator does not allow the port.
    #[error("port {port} is not allowed, expected one of the operator's list: {allowed}")]
    NotAllowed {
        /// Port that was asked for.
        port: u16,
        /// Ports that may be opened.
        allowed: AllowedPorts,
    },
    /// The operator's fault: whoever asks could open any port to the world.
    #[error("host {host} with any port, expected a loopback host or a list of ports")]
    AnyOffLoopback {
        /// Host of the configuration.
        host: IpAddr,
    },
    /// The system does not give the port: another program has it, or it needs privileges.
    #[error("{address} cannot be listened on")]
    Bind {
        /// Address that was asked for.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

/// Ports of the operator's list, written out short in an error's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedPorts(pub BTreeSet<u16>);

impl fmt::Display for AllowedPorts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 16;
        if self.0.is_empty() {
            return f.write_str("(none)");
        }
        for (place, port) in self.0.iter().take(SHOWN).enumerate() {
            if place > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{port}")?;
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
