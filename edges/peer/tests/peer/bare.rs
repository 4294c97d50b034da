//! A peer made of a TCP connection and the Noise library, to send what no session would.

use snow::{Builder, HandshakeState, TransportState};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{LOOPBACK, soon};

pub struct Bare {
    pub stream: TcpStream,
    keys: TransportState,
}

impl Bare {
    /// Connects to `port` and does the handshake.
    pub async fn dial(port: u16) -> Bare {
        let mut stream = connect(port).await;
        let mut noise = builder().build_initiator().unwrap();
        stream.write_all(&handshake(&mut noise)).await.unwrap();
        let answer = read_frame(&mut stream).await;
        noise.read_message(&answer, &mut []).unwrap();
        Bare { stream, keys: noise.into_transport_mode().unwrap() }
    }

    /// Answers the handshake on an accepted connection, with the frame of `message` in the same write.
    pub async fn answer(mut stream: TcpStream, message: &[u8]) -> Bare {
        let mut noise = builder().build_responder().unwrap();
        noise.read_message(&read_frame(&mut stream).await, &mut []).unwrap();
        let mut wire = handshake(&mut noise);
        let mut bare = Bare { stream, keys: noise.into_transport_mode().unwrap() };
        wire.extend(bare.frame(message));
        bare.stream.write_all(&wire).await.unwrap();
        bare
    }

    /// The next frame of ours, as it goes over the wire.
    pub fn frame(&mut self, message: &[u8]) -> Vec<u8> {
        let mut body = vec![0; message.len() + 16];
        assert_eq!(self.keys.write_message(message, &mut body).unwrap(), body.len());
        prefixed(&body)
    }

    pub async fn send(&mut self, message: &[u8]) {
        let frame = self.frame(message);
        self.stream.write_all(&frame).await.unwrap();
    }
}

pub async fn connect(port: u16) -> TcpStream {
    soon(TcpStream::connect((LOOPBACK, port))).await.unwrap()
}

/// The length of `body` and `body`.
pub fn prefixed(body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [length.as_slice(), body].concat()
}

/// Whether the other side closes the connection, in order or by a reset, without a word.
pub async fn closes(stream: &mut TcpStream) -> bool {
    matches!(soon(stream.read(&mut [0; 1])).await, Ok(0) | Err(_))
}

fn builder<'key>() -> Builder<'key> {
    Builder::new("Noise_NN_25519_ChaChaPoly_BLAKE2b".parse().unwrap())
}

fn handshake(noise: &mut HandshakeState) -> Vec<u8> {
    let mut body = [0; 48];
    let length = noise.write_message(&[], &mut body).unwrap();
    prefixed(&body[..length])
}

async fn read_frame(stream: &mut TcpStream) -> Vec<u8> {
    let mut body = vec![0; usize::from(soon(stream.read_u16()).await.unwrap())];
    soon(stream.read_exact(&mut body)).await.unwrap();
    body
}
