use std::time::Duration;

use strait_peer::{Inbound, ListenLimits, MAX_MESSAGE, Outbound, ReceiveError, SendError};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::bare::{Bare, prefixed};
use crate::{Halves, listeners, open_free, pair, soon};

/// Bytes of the given length that differ from place to place.
fn message(length: usize) -> Vec<u8> {
    (0..length).map(|place| u8::try_from(place % 251).unwrap()).collect()
}

/// An accepted session whose peer is bare.
async fn accepted_from_bare() -> (Bare, Halves) {
    let (listeners, mut accepted) = listeners(ListenLimits::default(), 1);
    let listening = open_free(&listeners).await;
    let mut bare = Bare::dial(listening.port()).await;
    bare.send(b"hello").await;
    (bare, soon(accepted.recv()).await.unwrap().session.split())
}

async fn next(inbound: &mut Inbound) -> Result<Option<Vec<u8>>, ReceiveError> {
    soon(inbound.next()).await
}

#[tokio::test]
async fn messages_of_every_size_arrive_in_order_in_both_directions() {
    let ((there, mut here), (back, mut away)) = pair().await;
    let sizes = [0, 1, 300, 33, MAX_MESSAGE, 0, 8_192, MAX_MESSAGE];
    for size in sizes {
        there.send(&message(size)).unwrap();
        back.send(&message(size)).unwrap();
    }
    for size in sizes {
        assert_eq!(next(&mut away).await.unwrap(), Some(message(size)));
        assert_eq!(next(&mut here).await.unwrap(), Some(message(size)));
    }
}

#[tokio::test]
async fn a_message_too_long_for_a_frame_is_refused_and_nothing_else_happens() {
    let ((outbound, _inbound), (_other, mut inbound)) = pair().await;
    let refused = outbound.send(&message(MAX_MESSAGE + 1));
    assert_eq!(refused, Err(SendError::TooLong { len: 65_520, max: 65_519 }));
    outbound.send(b"still here").unwrap();
    assert_eq!(next(&mut inbound).await.unwrap(), Some(b"still here".to_vec()));
}

#[tokio::test]
async fn frames_that_arrive_together_come_out_one_by_one() {
    let (mut bare, (_outbound, mut inbound)) = accepted_from_bare().await;
    let together = [bare.frame(b"one"), bare.frame(b""), bare.frame(b"three")].concat();
    bare.stream.write_all(&together).await.unwrap();
    drop(bare);
    for expected in [b"one".as_slice(), b"", b"three"] {
        assert_eq!(next(&mut inbound).await.unwrap().unwrap(), expected);
    }
    assert_eq!(next(&mut inbound).await.unwrap(), None);
    assert_eq!(next(&mut inbound).await.unwrap(), None);
}

#[tokio::test]
async fn a_call_that_is_dropped_at_any_byte_loses_nothing() {
    let (mut bare, (_outbound, mut inbound)) = accepted_from_bare().await;
    let frames = [bare.frame(b"first"), bare.frame(b"second")].concat();
    let mut received = Vec::new();
    for byte in frames {
        bare.stream.write_all(&[byte]).await.unwrap();
        // Whether the byte is read in this call or in a later one, the messages are the same.
        if let Ok(message) = timeout(Duration::from_millis(1), inbound.next()).await {
            received.push(message.unwrap().unwrap());
        }
    }
    while received.len() < 2 {
        received.push(next(&mut inbound).await.unwrap().unwrap());
    }
    assert_eq!(received, [b"first".to_vec(), b"second".to_vec()]);
}

#[tokio::test]
async fn a_changed_bit_ends_the_session() {
    let (mut bare, (_outbound, mut inbound)) = accepted_from_bare().await;
    let mut frame = bare.frame(b"pay one");
    frame[4] ^= 1;
    bare.stream.write_all(&frame).await.unwrap();
    bare.send(b"in order again").await;
    let error = next(&mut inbound).await.unwrap_err();
    assert!(matches!(error, ReceiveError::Decrypt { index: 1, len: 23 }), "{error:?}");
    assert!(matches!(next(&mut inbound).await, Err(ReceiveError::Ended)));
}

#[tokio::test]
async fn a_frame_sent_twice_ends_the_session() {
    let (mut bare, (_outbound, mut inbound)) = accepted_from_bare().await;
    let frame = bare.frame(b"pay one");
    bare.stream.write_all(&[frame.clone(), frame].concat()).await.unwrap();
    assert_eq!(next(&mut inbound).await.unwrap(), Some(b"pay one".to_vec()));
    let error = next(&mut inbound).await.unwrap_err();
    assert!(matches!(error, ReceiveError::Decrypt { index: 2, len: 23 }), "{error:?}");
}

#[tokio::test]
async fn a_frame_without_room_for_a_tag_ends_the_session() {
    let (mut bare, (_outbound, mut inbound)) = accepted_from_bare().await;
    bare.stream.write_all(&prefixed(&[0; 15])).await.unwrap();
    let error = next(&mut inbound).await.unwrap_err();
    assert!(matches!(error, ReceiveError::TooShort { len: 15, min: 16 }), "{error:?}");
}

#[tokio::test]
async fn the_end_of_the_stream_inside_a_frame_is_an_error() {
    for kept in [1, 2, 10] {
        let (mut bare, (_outbound, mut inbound)) = accepted_from_bare().await;
        let frame = bare.frame(b"never whole");
        bare.stream.write_all(&frame[..kept]).await.unwrap();
        drop(bare);
        let error = next(&mut inbound).await.unwrap_err();
        assert!(matches!(error, ReceiveError::Truncated { have } if have == kept), "{error:?}");
    }
}

/// Sends until the queue is full, and gives how many messages were taken.
fn fill(outbound: &Outbound, message: &[u8]) -> u32 {
    // More than the system's buffers of both sides and our queue can ever hold.
    for taken in 0..20_000 {
        match outbound.send(message) {
            Ok(()) => {}
            Err(SendError::Full { queued, frame, max }) => {
                assert_eq!((frame, max), (2 + message.len() + 16, 1 << 20));
                assert!(queued <= max && queued + frame > max, "{queued} bytes wait");
                return taken;
            }
            Err(other) => panic!("{other}"),
        }
    }
    panic!("a peer that does not read must become too slow at last");
}

#[tokio::test]
async fn a_peer_that_does_not_read_fills_a_bounded_queue_and_may_catch_up() {
    let ((outbound, _inbound), (_other, mut inbound)) = pair().await;
    let message = message(60_000);
    let taken = fill(&outbound, &message);
    assert!(matches!(outbound.send(&message), Err(SendError::Full { .. })));
    for _ in 0..taken {
        assert_eq!(next(&mut inbound).await.unwrap().as_ref(), Some(&message));
    }
    outbound.send(b"awake").unwrap();
    assert_eq!(next(&mut inbound).await.unwrap(), Some(b"awake".to_vec()));
}

#[derive(Clone, Copy)]
enum Parting {
    DropBoth,
    DropThenClose,
    CloseThenDrop,
}

#[tokio::test]
async fn closing_delivers_all_that_was_sent_even_with_unread_bytes() {
    for parting in [Parting::DropBoth, Parting::DropThenClose, Parting::CloseThenDrop] {
        let ((outbound, inbound), (other, mut far)) = pair().await;
        let message = message(60_000);
        let taken = fill(&outbound, &message);
        // A socket that closes with unread bytes resets the connection, and what the other side has not yet
        // received is lost.
        other.send(b"nobody reads this").unwrap();
        let closing = async {
            match parting {
                Parting::DropBoth => drop((inbound, outbound)),
                Parting::DropThenClose => {
                    drop(inbound);
                    outbound.close().await;
                }
                Parting::CloseThenDrop => {
                    outbound.close().await;
                    drop(inbound);
                }
            }
        };
        let reading = async {
            for _ in 0..taken {
                assert_eq!(next(&mut far).await.unwrap().as_ref(), Some(&message));
            }
            assert_eq!(next(&mut far).await.unwrap(), None);
            drop((other, far));
        };
        tokio::join!(closing, reading);
    }
}

#[tokio::test]
async fn a_half_that_is_closed_leaves_the_other_usable() {
    let ((outbound, mut inbound), (other, mut far)) = pair().await;
    soon(outbound.close()).await;
    assert_eq!(next(&mut far).await.unwrap(), None);
    other.send(b"an answer").unwrap();
    assert_eq!(next(&mut inbound).await.unwrap(), Some(b"an answer".to_vec()));
    drop((other, far));
    assert_eq!(next(&mut inbound).await.unwrap(), None);
}

#[tokio::test]
async fn sending_to_a_peer_that_is_gone_fails_at_last() {
    let (bare, (outbound, mut inbound)) = accepted_from_bare().await;
    drop(bare);
    assert_eq!(next(&mut inbound).await.unwrap(), None);
    // The first message meets a closed socket, whose reset makes a later one fail.
    let failing = async {
        while outbound.send(b"anyone?").is_ok() {
            tokio::task::yield_now().await;
        }
    };
    soon(failing).await;
    assert_eq!(outbound.send(b"anyone?"), Err(SendError::Closed));
}
