//! One WebSocket with a bounded outbox, and the two limits of patience: for a client that says nothing, and for one that does
//! not read (`docs/protocol/ws_api` §1).

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use crate::server::ApiConfig;

/// Requests are small; a socket costs this much while it is quiet.
const READ_BUFFER: usize = 1 << 10;
/// So many bytes are gathered before the socket is written to, unless a flush comes first.
const WRITE_BUFFER: usize = 64 << 10;
/// How long a closed socket is still read, so that what is under way does not make the last frame bounce.
const LINGER: Duration = Duration::from_secs(2);

/// A socket after its upgrade.
pub(crate) struct Wire<S> {
    socket: WebSocketStream<Metered<S>>,
    outbox: VecDeque<Message>,
    /// Bytes that were queued since everything was written.
    queued: usize,
    is_flushed: bool,
    max_outbox: usize,
    idle_timeout: Duration,
    write_timeout: Duration,
    idle: Pin<Box<Sleep>>,
    stuck: Pin<Box<Sleep>>,
    /// How many bytes the client had read when writing came to a halt.
    stuck_at: Option<u64>,
    is_broken: bool,
}

/// Something that happened on the socket.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A text frame.
    Text(Utf8Bytes),
    /// A binary frame.
    Binary,
    /// There is room in the outbox again.
    Room,
    /// It is over.
    Over(Ending),
}

/// Why a socket ends, and what is still said to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The client closed it; its close frame is answered.
    ByClient,
    /// It is broken, or the client does not read: nothing can be said.
    Gone,
    /// It is closed with this code and reason.
    Close(u16, &'static str),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// The server's end of an upgraded stream, of which `read` bytes were read already.
    pub(crate) async fn new(stream: S, read: Vec<u8>, config: &ApiConfig) -> Self {
        let limits = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(WRITE_BUFFER)
            .max_message_size(Some(config.max_message))
            .max_frame_size(Some(config.max_message));
        let stream = Metered { stream, written: 0, last_read: Instant::now() };
        Self {
            socket: WebSocketStream::from_partially_read(stream, read, Role::Server, Some(limits)).await,
            outbox: VecDeque::new(),
            queued: 0,
            is_flushed: true,
            max_outbox: config.max_outbox.max(1),
            idle_timeout: config.idle_timeout,
            write_timeout: config.write_timeout,
            idle: Box::pin(sleep(config.idle_timeout)),
            stuck: Box::pin(sleep(config.write_timeout)),
            stuck_at: None,
            is_broken: false,
        }
    }

    /// Queues a text frame; [`next`](Self::next) and [`write`](Self::write) send it.
    pub(crate) fn send(&mut self, frame: String) {
        self.queued += frame.len();
        self.outbox.push_back(Message::text(frame));
    }

    /// Whether the outbox takes more.
    pub(crate) fn has_room(&self) -> bool {
        self.queued < self.max_outbox
    }

    /// Writes as much as the socket takes at once. What is left, [`next`](Self::next) writes.
    pub(crate) async fn write(&mut self) {
        poll_fn(|cx| {
            // Whoever waits for what comes next sees it.
            self.is_broken |= matches!(self.poll_write(cx), Poll::Ready(Err(_)));
            Poll::Ready(())
        })
        .await;
    }

    /// Waits for what the client says, if `reads` and while there is room for the answer, and writes meanwhile. Can be
    /// dropped at any time without loss.
    pub(crate) async fn next(&mut self, reads: bool) -> Heard {
        poll_fn(|cx| self.poll_next(cx, reads)).await
    }

    /// Ends the socket. Takes no longer than the write timeout and [`LINGER`] together.
    pub(crate) async fn end(mut self, ending: Ending) {
        match &ending {
            Ending::Gone => return,
            Ending::ByClient => {
                self.outbox.clear();
                self.is_flushed = false;
            }
            Ending::Close(code, reason) => {
                let frame = CloseFrame { code: (*code).into(), reason: Utf8Bytes::from_static(reason) };
                self.outbox.push_back(Message::Close(Some(frame)));
            }
        }
        let is_asked = matches!(ending, Ending::Close(..));
        let written = timeout(self.write_timeout, poll_fn(|cx| self.poll_write(cx))).await;
        if matches!(written, Ok(Ok(()) | Err(Error::ConnectionClosed))) {
            let until = Instant::now() + LINGER;
            if is_asked {
                self.hear_close(until - LINGER / 2).await;
            }
            linger(self.socket.into_inner().stream, until).await;
        }
    }

    /// Waits for the answer to a close frame: a client may forget the frames that it has not looked at when the connection ends before
    /// it has answered.
    async fn hear_close(&mut self, until: Instant) {
        let answered = async {
            while let Some(Ok(message)) = poll_fn(|cx| Pin::new(&mut self.socket).poll_next(cx)).await {
                if message.is_close() {
                    break;
                }
            }
        };
        if timeout_at(until, answered).await.is_err() {
            tracing::debug!("a client does not answer the close of its socket");
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>, reads: bool) -> Poll<Heard> {
        loop {
            if self.is_broken {
                return Poll::Ready(Heard::Over(Ending::Gone));
            }
            let had_room = self.has_room();
            let blocked = match self.poll_write(cx) {
                Poll::Ready(Err(_)) => return Poll::Ready(Heard::Over(Ending::Gone)),
                Poll::Ready(Ok(())) => {
                    self.stuck_at = None;
                    false
                }
                Poll::Pending => true,
            };
            if !had_room && self.has_room() {
                return Poll::Ready(Heard::Room);
            }
            if blocked && self.poll_stuck(cx).is_ready() {
                return Poll::Ready(Heard::Over(Ending::Gone));
            }
            if !reads || !self.has_room() {
                return Poll::Pending;
            }
            match self.poll_read(cx) {
                Poll::Ready(Some(heard)) => return Poll::Ready(heard),
                // A ping: its answer is to be written.
                Poll::Ready(None) => {}
                Poll::Pending => return self.poll_idle(cx).map(Heard::Over),
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while !self.outbox.is_empty() {
            ready!(Pin::new(&mut self.socket).poll_ready(cx))?;
            if let Some(frame) = self.outbox.pop_front() {
                self.is_flushed = false;
                Pin::new(&mut self.socket).start_send(frame)?;
            }
        }
        if !self.is_flushed {
            ready!(Pin::new(&mut self.socket).poll_flush(cx))?;
            self.is_flushed = true;
            self.queued = 0;
        }
        Poll::Ready(Ok(()))
    }

    /// The next message; `None` for a ping, which is answered below.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Option<Heard>> {
        loop {
            let message = match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
                Some(Ok(message)) => message,
                Some(Err(error)) => return Poll::Ready(Some(Heard::Over(ending(&error)))),
                None => return Poll::Ready(Some(Heard::Over(Ending::Gone))),
            };
            return Poll::Ready(match message {
                Message::Text(text) => Some(Heard::Text(text)),
                Message::Binary(_) => Some(Heard::Binary),
                Message::Close(_) => Some(Heard::Over(Ending::ByClient)),
                Message::Ping(payload) => {
                    // Counted, so that a client that pings and does not read is not read in the end.
                    self.queued += payload.len() + 2;
                    self.is_flushed = false;
                    None
                }
                Message::Pong(_) | Message::Frame(_) => continue,
            });
        }
    }

    /// Ready when the client has not read a byte for too long.
    fn poll_stuck(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let written = self.socket.get_ref().written;
        if self.stuck_at != Some(written) {
            self.stuck_at = Some(written);
            self.stuck.as_mut().reset(Instant::now() + self.write_timeout);
        }
        self.stuck.as_mut().poll(cx)
    }

    /// Ready when the client has not sent a byte for too long.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        while self.idle.as_mut().poll(cx).is_ready() {
            let due = self.socket.get_ref().last_read + self.idle_timeout;
            if due <= Instant::now() {
                return Poll::Ready(Ending::Close(1000, "idle"));
            }
            self.idle.as_mut().reset(due);
        }
        Poll::Pending
    }
}

/// What a failure to read means. The reasons are texts of ours: a close frame holds 123 bytes.
fn ending(error: &Error) -> Ending {
    match error {
        Error::Capacity(_) => Ending::Close(1009, "the message is larger than this service takes"),
        Error::Utf8(_) => Ending::Close(1007, "a text frame is not UTF-8"),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Ending::Gone,
        Error::Protocol(_) => Ending::Close(1002, "the WebSocket protocol is broken"),
        _ => Ending::Gone,
    }
}

/// Says that nothing more comes, and reads until the client says so too: closing a socket with bytes that nobody read makes the
/// client lose what was written last.
async fn linger<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, until: Instant) {
    let discard = async {
        stream.shutdown().await?;
        let mut buffer = vec![0; 4096];
        while stream.read(&mut buffer).await? > 0 {}
        Ok::<(), io::Error>(())
    };
    if timeout_at(until, discard).await.is_err() {
        tracing::debug!("a client keeps a closed socket open");
    }
}

/// A stream that knows when it was last read from, and how much was written to it.
#[derive(Debug)]
struct Metered<S> {
    stream: S,
    written: u64,
    last_read: Instant,
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            self.last_read = Instant::now();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let size = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.written += size as u64;
        Poll::Ready(Ok(size))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{DuplexStream, duplex};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A wire, and the other end of its stream, which takes `room` bytes.
    async fn wire(room: usize) -> (Wire<DuplexStream>, DuplexStream) {
        let (here, there) = duplex(room);
        (Wire::new(here, Vec::new(), &ApiConfig::default()).await, there)
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_sends_nothing_is_given_a_minute() {
        let (mut wire, _there) = wire(1 << 10).await;
        let start = Instant::now();
        assert!(matches!(wire.next(true).await, Heard::Over(Ending::Close(1000, "idle"))));
        assert_eq!(start.elapsed().as_secs(), 60);
    }

    #[tokio::test(start_paused = true)]
    async fn every_byte_of_a_frame_counts_as_a_sign_of_life() {
        let (mut wire, mut there) = wire(1 << 10).await;
        let start = Instant::now();
        let trickle = async {
            // The head of a masked text frame of 100 bytes, and the first of them.
            for byte in [0x81, 0x80 | 100, 0, 0, 0, 0, b'{'] {
                tokio::time::sleep(50 * SECOND).await;
                there.write_all(&[byte]).await.unwrap();
            }
            std::future::pending::<()>().await;
        };
        let heard = tokio::select! {
            heard = wire.next(true) => heard,
            () = trickle => unreachable!(),
        };
        assert!(matches!(heard, Heard::Over(Ending::Close(1000, "idle"))));
        assert_eq!(start.elapsed().as_secs(), 7 * 50 + 60);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_nobody_listens_to_is_not_idle() {
        let (mut wire, mut there) = wire(1 << 10).await;
        assert!(timeout(600 * SECOND, wire.next(false)).await.is_err());
        there.write_all(&[0x81, 0x82, 0, 0, 0, 0, b'{', b'}']).await.unwrap();
        assert!(matches!(wire.next(true).await, Heard::Text(text) if text == "{}"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_nothing_is_given_the_write_timeout() {
        let (mut wire, _there) = wire(1 << 10).await;
        wire.send("x".repeat(10_000));
        let start = Instant::now();
        assert!(matches!(wire.next(true).await, Heard::Over(Ending::Gone)));
        assert_eq!(start.elapsed(), ApiConfig::default().write_timeout);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_slowly_is_waited_for() {
        let (mut wire, mut there) = wire(1 << 10).await;
        wire.send("x".repeat(10_000));
        let slow = async {
            let mut taken = 0;
            let mut some = [0; 1_000];
            while taken < 10_000 {
                tokio::time::sleep(15 * SECOND).await;
                taken += there.read(&mut some).await.unwrap();
            }
        };
        tokio::select! {
            heard = wire.next(false) => panic!("{heard:?}"),
            () = slow => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_outbox_has_a_bound_and_says_when_there_is_room_again() {
        let (mut wire, mut there) = wire(1 << 10).await;
        let frame = ApiConfig::default().max_outbox / 4;
        for _ in 0..4 {
            assert!(wire.has_room());
            wire.send("x".repeat(frame));
        }
        assert!(!wire.has_room());
        let mut sink = vec![0; 1 << 16];
        let read = async { while there.read(&mut sink).await.unwrap() > 0 {} };
        tokio::select! {
            heard = wire.next(true) => assert!(matches!(heard, Heard::Room)),
            () = read => unreachable!(),
        }
        assert!(wire.has_room());
    }

    #[tokio::test(start_paused = true)]
    async fn an_ending_takes_no_longer_than_its_timeouts() {
        let (mut wire, there) = wire(1 << 10).await;
        wire.send("x".repeat(10_000));
        let start = Instant::now();
        wire.end(Ending::Close(1000, "")).await;
        assert_eq!(start.elapsed(), ApiConfig::default().write_timeout);
        drop(there);
        let (wire, there) = self::wire(1 << 10).await;
        let start = Instant::now();
        wire.end(Ending::Close(1000, "")).await;
        assert_eq!(start.elapsed(), LINGER);
        drop(there);
    }
}
