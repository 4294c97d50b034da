//! The socket that both halves of a session share, and all that is still to be written to it.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use snow::StatelessTransportState;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::debug;

use crate::error::SendError;
use crate::frame::{MAX_MESSAGE, PREFIX, TAG};

/// Bounds of one session's writing side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LinkLimits {
    /// Bytes of frames that may wait for the peer to read.
    pub(crate) queue: usize,
    /// Time that waiting frames get when the session closes.
    pub(crate) flush: Duration,
    /// Time that the peer gets to close after us.
    pub(crate) linger: Duration,
}

impl Default for LinkLimits {
    fn default() -> LinkLimits {
        LinkLimits { queue: 1 << 20, flush: Duration::from_secs(5), linger: Duration::from_secs(1) }
    }
}

/// One established connection. The inbound half holds the socket's reading side itself; everything else is
/// here.
pub(crate) struct Link {
    writer: OwnedWriteHalf,
    keys: StatelessTransportState,
    outgoing: Mutex<Outgoing>,
    limits: LinkLimits,
    runtime: Handle,
    peer: SocketAddr,
}

/// What changes while a session sends.
struct Outgoing {
    queue: SendQueue,
    /// Messages encrypted so far: the next one's nonce.
    sealed: u64,
    writing: Writing,
    /// A task waits for the socket to take more of the queue.
    flushing: bool,
    /// The inbound half is dropped.
    reader_gone: bool,
}

/// How far the writing side has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writing {
    /// Not yet split: nobody uses the session, and nobody misses it.
    Unused,
    Open,
    /// Closed by us; what is queued is still written.
    Leaving,
    /// Shut down, or failed.
    Shut,
}

impl Link {
    /// Must be called within a tokio runtime.
    pub(crate) fn new(
        writer: OwnedWriteHalf,
        keys: StatelessTransportState,
        peer: SocketAddr,
        limits: LinkLimits,
    ) -> Link {
        let outgoing = Outgoing {
            queue: SendQueue::default(),
            sealed: 0,
            writing: Writing::Unused,
            flushing: false,
            reader_gone: false,
        };
        Link { writer, keys, outgoing: Mutex::new(outgoing), limits, runtime: Handle::current(), peer }
    }

    pub(crate) fn keys(&self) -> &StatelessTransportState {
        &self.keys
    }

    pub(crate) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// From here on the session is in use, and closing it gives the peer time to read everything.
    pub(crate) fn open(&self) {
        self.outgoing().writing = Writing::Open;
    }

    /// Encrypts `message` and writes it, or queues what the socket does not take at once.
    pub(crate) fn send(self: &Arc<Link>, message: &[u8]) -> Result<(), SendError> {
        if message.len() > MAX_MESSAGE {
            return Err(SendError::TooLong { len: message.len(), max: MAX_MESSAGE });
        }
        let mut guard = self.outgoing();
        let outgoing = &mut *guard;
        if outgoing.writing != Writing::Open {
            return Err(SendError::Closed);
        }
        let (queued, frame) = (outgoing.queue.len(), PREFIX + message.len() + TAG);
        // An empty queue takes any one frame, or a small bound would make large messages impossible.
        if queued > 0 && queued + frame > self.limits.queue {
            return Err(SendError::Full { queued, frame, max: self.limits.queue });
        }
        if let Err(error) = outgoing.queue.seal(&self.keys, outgoing.sealed, message) {
            debug!(peer = %self.peer, %error, "sealing failed");
            outgoing.fail();
            return Err(SendError::Closed);
        }
        outgoing.sealed += 1;
        if queued > 0 || self.write(outgoing) == Written::All {
            return Ok(());
        }
        if outgoing.writing == Writing::Shut {
            return Err(SendError::Closed);
        }
        if !outgoing.flushing {
            outgoing.flushing = true;
            let link = Arc::clone(self);
            self.runtime.spawn(async move { link.flush().await });
        }
        Ok(())
    }

    /// Starts to close the session in good manners, unless that has begun or there is nothing to close. What
    /// does not happen at once is done by the task, which ends by itself after at most [`LinkLimits::flush`] and
    /// [`LinkLimits::linger`].
    pub(crate) fn leave(self: &Arc<Link>) -> Option<JoinHandle<()>> {
        let mut outgoing = self.outgoing();
        if outgoing.writing != Writing::Open {
            return None;
        }
        if outgoing.queue.len() > 0 {
            outgoing.writing = Writing::Leaving;
            let link = Arc::clone(self);
            return Some(self.runtime.spawn(async move { link.farewell().await }));
        }
        self.shut(&mut outgoing);
        outgoing.reader_gone.then(|| self.spawn_linger())
    }

    /// The inbound half is gone. If the writing side has already said farewell, only the lingering is left.
    pub(crate) fn reader_gone(self: &Arc<Link>) {
        let mut outgoing = self.outgoing();
        outgoing.reader_gone = true;
        if outgoing.writing == Writing::Shut {
            self.spawn_linger();
        }
    }

    fn spawn_linger(self: &Arc<Link>) -> JoinHandle<()> {
        let link = Arc::clone(self);
        self.runtime.spawn(async move { link.linger().await })
    }

    /// Writes until the queue is empty or the connection has failed.
    async fn flush(&self) {
        while self.write(&mut self.outgoing()) == Written::Some {
            if self.socket().writable().await.is_err() {
                self.outgoing().fail();
            }
        }
    }

    async fn farewell(&self) {
        if timeout(self.limits.flush, self.flush()).await.is_err() {
            debug!(peer = %self.peer, "peer does not read, what is queued for it is dropped");
        }
        let reader_gone = {
            let mut outgoing = self.outgoing();
            self.shut(&mut outgoing);
            outgoing.reader_gone
        };
        if reader_gone {
            self.linger().await;
        }
    }

    /// Ends the stream behind what is written.
    fn shut(&self, outgoing: &mut Outgoing) {
        outgoing.fail();
        if let Err(error) = SockRef::from(self.socket()).shutdown(Shutdown::Write) {
            debug!(peer = %self.peer, %error, "connection was gone before it was closed");
        }
    }

    /// Reads to the peer's close and forgets what it reads. To close a socket with unread bytes resets the
    /// connection, and messages still on their way are lost; the reference loses frames even when an orderly
    /// close follows right behind them (`docs/protocol/p2p_wire.md` §1.4).
    async fn linger(&self) {
        let discard = async {
            let mut scratch = [0; 4096];
            while self.socket().readable().await.is_ok() {
                match self.socket().try_read(&mut scratch) {
                    Ok(0) => return,
                    Ok(_) => {}
                    Err(error) if is_passing(&error) => {}
                    Err(_) => return,
                }
            }
        };
        let closed = timeout(self.limits.linger, discard).await.is_ok();
        debug!(peer = %self.peer, by_peer_too = closed, "session closed");
    }

    /// One attempt to write the queue.
    fn write(&self, outgoing: &mut Outgoing) -> Written {
        let unsent = outgoing.queue.unsent();
        if !unsent.is_empty() {
            match self.writer.try_write(unsent) {
                Ok(written) => outgoing.queue.advance(written),
                Err(error) if is_passing(&error) => {}
                Err(error) => {
                    debug!(peer = %self.peer, %error, "sending failed");
                    outgoing.fail();
                }
            }
        }
        if outgoing.writing == Writing::Shut || outgoing.queue.len() == 0 {
            outgoing.flushing = false;
        }
        match (outgoing.writing, outgoing.queue.len()) {
            (Writing::Shut, _) => Written::Never,
            (_, 0) => Written::All,
            _ => Written::Some,
        }
    }

    fn socket(&self) -> &TcpStream {
        self.writer.as_ref()
    }

    fn outgoing(&self) -> MutexGuard<'_, Outgoing> {
        self.outgoing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What came of an attempt to write the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    All,
    Some,
    /// The writing side is shut.
    Never,
}

impl Outgoing {
    fn fail(&mut self) {
        self.writing = Writing::Shut;
        self.queue = SendQueue::default();
    }
}

/// Frames in the order of their nonces; `head` bytes of them are written.
#[derive(Default)]
struct SendQueue {
    bytes: Vec<u8>,
    head: usize,
}

impl SendQueue {
    /// Written bytes are cut off when this many have gathered in front of unwritten ones.
    const CUT: usize = 256 * 1024;
    /// An empty queue keeps at most this much memory.
    const KEPT: usize = 8 * 1024;

    fn len(&self) -> usize {
        self.bytes.len() - self.head
    }

    fn unsent(&self) -> &[u8] {
        &self.bytes[self.head..]
    }

    /// Appends the frame of `message`, or nothing.
    fn seal(
        &mut self,
        keys: &StatelessTransportState,
        nonce: u64,
        message: &[u8],
    ) -> Result<(), snow::Error> {
        let start = self.bytes.len();
        let body = message.len() + TAG;
        let length = u16::try_from(body).map_err(|_| snow::Error::Input)?;
        self.bytes.extend_from_slice(&length.to_be_bytes());
        self.bytes.resize(start + PREFIX + body, 0);
        let sealed = keys.write_message(nonce, message, &mut self.bytes[start + PREFIX..]);
        if sealed.is_err() {
            self.bytes.truncate(start);
        }
        sealed.map(|_| ())
    }

    fn advance(&mut self, written: usize) {
        self.head += written;
        if self.head == self.bytes.len() {
            self.bytes.clear();
            self.bytes.shrink_to(SendQueue::KEPT);
            self.head = 0;
        } else if self.head >= SendQueue::CUT {
            self.bytes.drain(..self.head);
            self.head = 0;
        }
    }
}

/// Whether a later attempt may do better.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_gives_its_bytes_in_order_however_they_are_taken() {
        let numbered: Vec<u8> = (0..3_000_000_u32).map(|place| place.to_be_bytes()[3] ^ 90).collect();
        for (pushed, taken) in [(70_000, 60_000), (900_000, 300_000), (1_000_000, 262_144), (5, 3)] {
            let mut queue = SendQueue::default();
            let mut out = Vec::new();
            for part in numbered.chunks(pushed).take(200) {
                queue.bytes.extend_from_slice(part);
                let count = taken.min(queue.len());
                out.extend_from_slice(&queue.unsent()[..count]);
                queue.advance(count);
                assert!(queue.head < SendQueue::CUT, "written bytes are kept");
            }
            while queue.len() > 0 {
                let count = taken.min(queue.len());
                out.extend_from_slice(&queue.unsent()[..count]);
                queue.advance(count);
            }
            assert!(out == numbered[..out.len()], "pushed by {pushed}, taken by {taken}");
            assert_eq!(out.len(), numbered.len().min(pushed * 200));
            assert!(queue.bytes.capacity() <= SendQueue::KEPT, "memory is given back");
        }
    }
}
