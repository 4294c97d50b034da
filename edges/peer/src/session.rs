//! An established session and its two halves.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use snow::StatelessTransportState;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;

use crate::error::{ReceiveError, SendError};
use crate::frame::{FrameBuffer, TAG};
use crate::link::{Link, LinkLimits};

/// An established Noise session over one TCP connection (`docs/protocol/p2p_wire.md` §1).
///
/// Dropped without [`split`](Session::split), it closes at once and may lose what the peer has sent; its halves
/// close in good manners.
pub struct Session {
    outbound: Outbound,
    inbound: Inbound,
}

/// The half of a session that sends.
///
/// To drop it is to [close](Outbound::close) it without waiting.
pub struct Outbound {
    link: Arc<Link>,
}

/// The half of a session that receives.
///
/// To drop it does not end the other half; what then still arrives is not read.
pub struct Inbound {
    reader: OwnedReadHalf,
    buffer: FrameBuffer,
    /// Messages decrypted so far: the next one's nonce.
    opened: u64,
    end: Option<End>,
    link: Arc<Link>,
}

#[derive(Debug, Clone, Copy)]
enum End {
    Clean,
    Failed,
}

impl Session {
    /// Takes over a connection whose handshake is done. `buffer` holds what was read behind the handshake.
    pub(crate) fn new(
        stream: TcpStream,
        peer: SocketAddr,
        keys: StatelessTransportState,
        buffer: FrameBuffer,
        limits: LinkLimits,
    ) -> Session {
        let (reader, writer) = stream.into_split();
        let link = Arc::new(Link::new(writer, keys, peer, limits));
        let inbound = Inbound { reader, buffer, opened: 0, end: None, link: Arc::clone(&link) };
        Session { outbound: Outbound { link }, inbound }
    }

    /// Parts the session in two, to send and to receive independently.
    pub fn split(self) -> (Outbound, Inbound) {
        self.outbound.link.open();
        (self.outbound, self.inbound)
    }

    /// Address of the other end of the connection.
    pub fn peer_addr(&self) -> SocketAddr {
        self.outbound.link.peer()
    }

    /// The next message, before the session is handed out.
    pub(crate) async fn first(&mut self) -> Result<Option<Vec<u8>>, ReceiveError> {
        self.inbound.next().await
    }
}

impl Outbound {
    /// Encrypts `message` and writes it to the socket; what the socket does not take at once is queued, at most
    /// 1 MiB, and written in the background in order. Never waits. `Ok` does not mean that the peer has it.
    ///
    /// # Errors
    /// The caller's fault: [`SendError::TooLong`] above [`MAX_MESSAGE`](crate::MAX_MESSAGE) bytes. The peer's:
    /// [`SendError::Full`] when it does not read. After both the session is as before, and nothing of `message`
    /// was sent. [`SendError::Closed`] when the connection has failed.
    pub fn send(&self, message: &[u8]) -> Result<(), SendError> {
        self.link.send(message)
    }

    /// Writes what is queued, for at most 5 s, then shuts the writing side down; the peer sees the end of the
    /// stream behind the last message.
    ///
    /// The reading side stays open: with the [`Inbound`] half if there is one still, otherwise until the peer
    /// closes too, for at most 1 s, while what arrives is discarded. A peer that reads slowly thus does not lose
    /// its last messages to a reset (`docs/protocol/p2p_wire.md` §1.4). Dropping the future stops nothing of
    /// this, it goes on in the background.
    pub async fn close(self) {
        if let Some(farewell) = self.link.leave() {
            // It fails only when the runtime is shutting down, and the socket closes with that.
            let _ = farewell.await;
        }
    }
}

impl Drop for Outbound {
    fn drop(&mut self) {
        self.link.leave();
    }
}

impl Inbound {
    /// The next message, decrypted: 0 to [`MAX_MESSAGE`](crate::MAX_MESSAGE) bytes. `None` when the peer has
    /// closed at the border of a frame, and ever after.
    ///
    /// Dropping the future loses nothing; it is made for `tokio::select!`.
    ///
    /// # Errors
    /// All are the peer's or the network's fault, see [`ReceiveError`], and end this half: the counters of the
    /// two sides no longer agree. Only [`ReceiveError::Ended`] comes after another error. (The reference ignores
    /// a message that does not decrypt, and both sides wait for their timers, `docs/protocol/p2p_wire.md` §1.3.)
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, ReceiveError> {
        match self.end {
            None => {}
            Some(End::Clean) => return Ok(None),
            Some(End::Failed) => return Err(ReceiveError::Ended),
        }
        let outcome = self.receive().await;
        self.end = match outcome {
            Ok(Some(_)) => None,
            Ok(None) => Some(End::Clean),
            Err(_) => Some(End::Failed),
        };
        outcome
    }

    async fn receive(&mut self) -> Result<Option<Vec<u8>>, ReceiveError> {
        loop {
            if let Some(frame) = self.buffer.take() {
                let message = decrypt(self.link.keys(), self.opened, frame)?;
                self.opened += 1;
                return Ok(Some(message));
            }
            let read = self.buffer.fill(&mut self.reader).await.map_err(ReceiveError::Io)?;
            match (read, self.buffer.pending()) {
                (0, 0) => return Ok(None),
                (0, have) => return Err(ReceiveError::Truncated { have }),
                _ => {}
            }
        }
    }
}

impl Drop for Inbound {
    fn drop(&mut self) {
        self.link.reader_gone();
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("peer", &self.peer_addr()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound").field("peer", &self.link.peer()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Inbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbound").field("peer", &self.link.peer()).finish_non_exhaustive()
    }
}

/// Settings of every peer socket, none of them visible to the peer's program. Messages are small and the next
/// waits for the answer, so no byte is held back; and a peer whose machine is gone is noticed within minutes.
pub(crate) fn tune(stream: &TcpStream) -> std::io::Result<()> {
    const IDLE: Duration = Duration::from_secs(60);
    const PROBES: Duration = Duration::from_secs(15);
    stream.set_nodelay(true)?;
    SockRef::from(stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(IDLE).with_interval(PROBES))
}

fn decrypt(keys: &StatelessTransportState, index: u64, frame: &[u8]) -> Result<Vec<u8>, ReceiveError> {
    let len = frame.len();
    if len < TAG {
        return Err(ReceiveError::TooShort { len, min: TAG });
    }
    // With room for the tag too, the cipher works in place.
    let mut message = vec![0; len];
    let opened =
        keys.read_message(index, frame, &mut message).map_err(|_| ReceiveError::Decrypt { index, len })?;
    message.truncate(opened);
    Ok(message)
}
