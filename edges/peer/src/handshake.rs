//! The two handshake messages (`docs/protocol/p2p_wire.md` §1.1).

use std::time::Duration;

use snow::{Builder, HandshakeState};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::error::HandshakeError;
use crate::frame::{FrameBuffer, PREFIX, TAG};
use crate::link::LinkLimits;
use crate::session::{Session, tune};

/// The suite (`docs/protocol/p2p_wire.md` §1.2); the prologue is empty.
const SUITE: &str = "Noise_NN_25519_ChaChaPoly_BLAKE2b";

/// Bytes of an ephemeral public key, which is all that the dialler's message holds.
const KEY: usize = 32;

/// Bytes of the listener's message: its key, and the tag of an empty payload.
const ANSWER: usize = KEY + TAG;

/// The side of a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Dialler,
    Listener,
}

/// Turns a fresh TCP connection into a session within `limit`. Must run in a tokio runtime.
pub(crate) async fn establish(
    stream: TcpStream,
    side: Side,
    limit: Duration,
) -> Result<Session, HandshakeError> {
    let noise = match side {
        Side::Dialler => suite()?.build_initiator()?,
        Side::Listener => suite()?.build_responder()?,
    };
    timeout(limit, exchange(stream, noise, LinkLimits::default()))
        .await
        .map_err(|_| HandshakeError::TimedOut { limit })?
}

/// The suite with nothing chosen yet; the ephemeral key will be a random one.
fn suite<'key>() -> Result<Builder<'key>, snow::Error> {
    Ok(Builder::new(SUITE.parse()?))
}

async fn exchange(
    mut stream: TcpStream,
    mut noise: HandshakeState,
    limits: LinkLimits,
) -> Result<Session, HandshakeError> {
    tune(&stream)?;
    let peer = stream.peer_addr()?;
    let mut buffer = FrameBuffer::new();
    if noise.is_initiator() {
        write_step(&mut stream, &mut noise).await?;
        read_step(&mut stream, &mut noise, &mut buffer, ANSWER).await?;
    } else {
        read_step(&mut stream, &mut noise, &mut buffer, KEY).await?;
        write_step(&mut stream, &mut noise).await?;
    }
    let keys = noise.into_stateless_transport_mode()?;
    Ok(Session::new(stream, peer, keys, buffer, limits))
}

async fn write_step(stream: &mut TcpStream, noise: &mut HandshakeState) -> Result<(), HandshakeError> {
    let mut frame = [0; PREFIX + ANSWER];
    let (prefix, body) = frame.split_at_mut(PREFIX);
    let len = noise.write_message(&[], body)?;
    let length = u16::try_from(len).map_err(|_| snow::Error::Input)?;
    prefix.copy_from_slice(&length.to_be_bytes());
    stream.write_all(&frame[..PREFIX + len]).await?;
    Ok(())
}

/// Takes a handshake message of exactly `expected` bytes. Another size is refused as soon as it is announced: a
/// stranger gets no memory for it.
async fn read_step(
    stream: &mut TcpStream,
    noise: &mut HandshakeState,
    buffer: &mut FrameBuffer,
    expected: usize,
) -> Result<(), HandshakeError> {
    loop {
        if let Some(len) = buffer.announced().filter(|&len| len != expected) {
            return Err(HandshakeError::Length { len, expected });
        }
        if let Some(frame) = buffer.take() {
            noise.read_message(frame, &mut [])?;
            return Ok(());
        }
        if buffer.fill(stream).await? == 0 {
            return Err(HandshakeError::Closed { have: buffer.pending(), expected: PREFIX + expected });
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;

    const VECTORS: &str = include_str!("../tests/vectors/p2p_vectors.json");

    /// A transcript of the reference's encoder and Noise library with fixed ephemeral keys.
    struct Transcript {
        noise: Value,
        messages: Value,
    }

    impl Transcript {
        fn load() -> Transcript {
            let mut vectors: Value = serde_json::from_str(VECTORS).unwrap();
            Transcript { noise: vectors["noise"].take(), messages: vectors["messages"].take() }
        }

        fn bytes(&self, name: &str) -> Vec<u8> {
            hex::decode(self.noise[name].as_str().unwrap()).unwrap()
        }

        fn message(&self, kind: &str) -> Vec<u8> {
            let all = self.messages.as_array().unwrap();
            let found = all.iter().find(|message| message["type"] == kind).unwrap();
            hex::decode(found["hex"].as_str().unwrap()).unwrap()
        }
    }

    async fn connection() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dialling = TcpStream::connect(listener.local_addr().unwrap());
        let (dialler, accepted) = tokio::join!(dialling, listener.accept());
        (dialler.unwrap(), accepted.unwrap().0)
    }

    async fn assert_wire(stream: &mut TcpStream, expected: &[u8]) {
        let mut wire = vec![0; expected.len()];
        stream.read_exact(&mut wire).await.unwrap();
        assert_eq!(hex::encode(wire), hex::encode(expected));
    }

    #[test]
    fn the_suite_is_the_vectors_suite() {
        let transcript = Transcript::load();
        assert_eq!(transcript.noise["protocol"], SUITE);
        assert_eq!(transcript.noise["prologue"], "");
    }

    #[tokio::test]
    async fn the_dialler_writes_and_reads_the_vectors_bytes() {
        let transcript = Transcript::load();
        let key = transcript.bytes("e_i_secret");
        let noise = suite().unwrap().fixed_ephemeral_key_for_testing_only(&key).build_initiator().unwrap();
        let (ours, mut theirs) = connection().await;

        let peer = async {
            assert_wire(&mut theirs, &transcript.bytes("wire_msg1")).await;
            theirs.write_all(&transcript.bytes("wire_msg2")).await.unwrap();
        };
        let (session, ()) = tokio::join!(exchange(ours, noise, LinkLimits::default()), peer);
        let (outbound, mut inbound) = session.unwrap().split();

        for name in ["wire_i2r_0_leave", "wire_i2r_1_leave"] {
            outbound.send(&transcript.message("leave")).unwrap();
            assert_wire(&mut theirs, &transcript.bytes(name)).await;
        }
        theirs.write_all(&transcript.bytes("wire_r2i_0_leave_ack")).await.unwrap();
        assert_eq!(inbound.next().await.unwrap(), Some(transcript.message("leave_ack")));
    }

    #[tokio::test]
    async fn the_listener_writes_and_reads_the_vectors_bytes() {
        let transcript = Transcript::load();
        let key = transcript.bytes("e_r_secret");
        let noise = suite().unwrap().fixed_ephemeral_key_for_testing_only(&key).build_responder().unwrap();
        let (ours, mut theirs) = connection().await;

        let peer = async {
            theirs.write_all(&transcript.bytes("wire_msg1")).await.unwrap();
            assert_wire(&mut theirs, &transcript.bytes("wire_msg2")).await;
        };
        let (session, ()) = tokio::join!(exchange(ours, noise, LinkLimits::default()), peer);
        let (outbound, mut inbound) = session.unwrap().split();

        let both = [transcript.bytes("wire_i2r_0_leave"), transcript.bytes("wire_i2r_1_leave")].concat();
        theirs.write_all(&both).await.unwrap();
        for _ in 0..2 {
            assert_eq!(inbound.next().await.unwrap(), Some(transcript.message("leave")));
        }
        outbound.send(&transcript.message("leave_ack")).unwrap();
        assert_wire(&mut theirs, &transcript.bytes("wire_r2i_0_leave_ack")).await;
    }

    #[tokio::test]
    async fn closing_on_a_peer_that_neither_reads_nor_closes_ends_in_time() {
        let moment = Duration::from_millis(30);
        let limits = LinkLimits { flush: moment, linger: moment, ..LinkLimits::default() };
        let (ours, theirs) = connection().await;
        let (dialler, listener) = (suite().unwrap().build_initiator(), suite().unwrap().build_responder());
        let (session, deaf) = tokio::join!(
            exchange(ours, dialler.unwrap(), limits),
            exchange(theirs, listener.unwrap(), LinkLimits::default()),
        );
        let (outbound, inbound) = session.unwrap().split();
        let (_silent, mut deaf) = deaf.unwrap().split();

        let message = vec![7; 60_000];
        let mut sent = 0;
        while outbound.send(&message).is_ok() {
            sent += 1;
        }
        drop(inbound);
        timeout(Duration::from_secs(4), outbound.close()).await.unwrap();

        let tasks = tokio::runtime::Handle::current().metrics();
        let idle = async {
            while tasks.num_alive_tasks() > 0 {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(4), idle).await.expect("no task stays behind");

        // The queue was given up: the peer has fewer messages than were sent, and an end behind them.
        let mut received = 0;
        while let Ok(Some(_)) = deaf.next().await {
            received += 1;
        }
        assert!(received > 0 && received < sent, "received {received} of {sent}");
    }

    #[tokio::test]
    async fn no_byte_is_held_back_and_a_lost_peer_is_noticed() {
        let (ours, _theirs) = connection().await;
        tune(&ours).unwrap();
        assert!(ours.nodelay().unwrap());
        assert!(socket2::SockRef::from(&ours).keepalive().unwrap());
    }
}
