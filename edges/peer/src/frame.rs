//! Frames on the wire: a 2-byte big-endian length, then that many bytes of one Noise message
//! (`docs/protocol/p2p_wire.md` §1, row "frame").

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// Largest message, in bytes: what a Noise message of 65,535 bytes holds beside its tag
/// (`docs/protocol/p2p_wire.md` §1.3).
pub const MAX_MESSAGE: usize = 65_519;

/// Bytes of the length in front of every frame.
pub(crate) const PREFIX: usize = 2;

/// Bytes of the authentication tag that every transport message ends with.
pub(crate) const TAG: usize = 16;

/// Room for ordinary messages. Only a session whose peer sends a longer frame holds more, and only until that
/// frame is taken.
const ROOM: usize = 1024;

/// Bytes that were read and not yet taken, at most one frame and [`ROOM`] beyond its start.
///
/// Between calls `start <= end <= bytes.len()`; the bytes in `start..end` are the unread ones.
pub(crate) struct FrameBuffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl FrameBuffer {
    pub(crate) fn new() -> FrameBuffer {
        FrameBuffer { bytes: vec![0; ROOM], start: 0, end: 0 }
    }

    /// Bytes that are read but not taken.
    pub(crate) fn pending(&self) -> usize {
        self.end - self.start
    }

    /// Length that the next frame announces for its body, once both bytes of it are there.
    pub(crate) fn announced(&self) -> Option<usize> {
        match self.bytes[self.start..self.end] {
            [high, low, ..] => Some(usize::from(u16::from_be_bytes([high, low]))),
            _ => None,
        }
    }

    /// Takes the next frame's body, if it is whole.
    pub(crate) fn take(&mut self) -> Option<&[u8]> {
        let body = self.start + PREFIX;
        let next = body + self.announced()?;
        if next > self.end {
            return None;
        }
        self.start = next;
        Some(&self.bytes[body..next])
    }

    /// Reads once from `source`, for callers that have taken every whole frame. Gives the bytes read; 0 is the
    /// end of the stream. Dropping the future loses nothing.
    pub(crate) async fn fill(&mut self, source: &mut (impl AsyncRead + Unpin)) -> io::Result<usize> {
        self.make_room();
        let read = source.read(&mut self.bytes[self.end..]).await?;
        self.end += read;
        Ok(read)
    }

    fn make_room(&mut self) {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        let frame = PREFIX + self.announced().unwrap_or(0);
        let room = frame.max(ROOM).max(self.end);
        if room != self.bytes.len() {
            self.bytes.resize(room, 0);
            self.bytes.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames of the given body lengths; every byte of body `n` is `n`.
    fn stream(lengths: &[usize]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (place, &length) in lengths.iter().enumerate() {
            bytes.extend_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
            bytes.extend(std::iter::repeat_n(u8::try_from(place).unwrap(), length));
        }
        bytes
    }

    #[tokio::test]
    async fn frames_are_the_same_however_the_bytes_arrive() {
        let lengths = [0, 1, 300, 0, 9_000, 65_535, 16, 2];
        let bytes = stream(&lengths);
        for chunk in [1, 2, 3, 7, 302, 8_192, 65_537, bytes.len()] {
            let mut buffer = FrameBuffer::new();
            let mut bodies = Vec::new();
            for part in bytes.chunks(chunk) {
                let mut rest = part;
                while !rest.is_empty() {
                    buffer.fill(&mut rest).await.unwrap();
                    while let Some(body) = buffer.take() {
                        bodies.push(body.to_vec());
                    }
                }
            }
            assert_eq!(bodies.iter().map(Vec::len).collect::<Vec<_>>(), lengths, "in chunks of {chunk}");
            for (place, body) in bodies.iter().enumerate() {
                assert!(body.iter().all(|&byte| usize::from(byte) == place), "body {place}");
            }
            assert_eq!(buffer.pending(), 0);
        }
    }

    #[tokio::test]
    async fn room_grows_for_a_long_frame_and_shrinks_after_it() {
        let mut buffer = FrameBuffer::new();
        let long = stream(&[65_535]);
        let mut source = long.as_slice();
        while buffer.take().is_none() {
            buffer.fill(&mut source).await.unwrap();
        }
        assert_eq!(buffer.bytes.len(), PREFIX + 65_535);
        buffer.fill(&mut [0_u8].as_slice()).await.unwrap();
        assert_eq!((buffer.bytes.len(), buffer.pending()), (ROOM, 1));
    }
}
