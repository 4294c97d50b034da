use std::time::Duration;

use strait_peer::{AttemptError, DialError, DialPolicy, HandshakeError, ListenLimits, dial};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::bare::{Bare, prefixed};
use crate::{HOST, LOOPBACK, listeners, open_free, soon};

const QUICK: DialPolicy = DialPolicy {
    attempts: 3,
    connect_timeout: Duration::from_secs(1),
    first_pause: Duration::from_millis(1),
    pause: Duration::from_millis(1),
    handshake_timeout: Duration::from_secs(3),
};

/// A port that is ours but where nobody listens.
fn reserved() -> (TcpSocket, u16) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((LOOPBACK, 0).into()).unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}

/// Dials a listener that meets every connection with `answer`.
async fn dial_to<Answer: Future<Output = ()>>(answer: impl Fn(TcpStream) -> Answer) -> DialError {
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = async {
        loop {
            answer(listener.accept().await.unwrap().0).await;
        }
    };
    tokio::select! {
        outcome = soon(dial(HOST, port, &QUICK)) => outcome.unwrap_err(),
        () = serve => unreachable!("serves for ever"),
    }
}

fn handshake_error(error: DialError) -> HandshakeError {
    assert_eq!(error.attempts, QUICK.attempts);
    match error.last {
        AttemptError::Handshake { source, .. } => source,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_default_policy_is_the_references() {
    let DialPolicy { attempts, connect_timeout, pause, .. } = DialPolicy::default();
    assert_eq!((attempts, connect_timeout.as_secs(), pause.as_secs()), (40, 3, 3));
}

#[tokio::test]
async fn dialling_gives_up_after_the_last_attempt() {
    let (_socket, port) = reserved();
    let error = soon(dial(HOST, port, &QUICK)).await.unwrap_err();
    assert_eq!(error.to_string(), format!("127.0.0.1 port {port} gave no session in 3 attempts"));
    assert!(matches!(error.last, AttemptError::Connect { address, .. } if address.port() == port));
}

#[tokio::test]
async fn dialling_goes_on_until_a_listener_appears() {
    let (socket, port) = reserved();
    let patient = DialPolicy { attempts: 100_000, ..QUICK };
    let mut dialling = Box::pin(dial(HOST, port, &patient));
    assert!(timeout(Duration::from_millis(20), &mut dialling).await.is_err(), "nobody listens yet");

    let listener = socket.listen(8).unwrap();
    let answering = async { Bare::answer(listener.accept().await.unwrap().0, b"welcome").await };
    let (session, _bare) = tokio::join!(soon(dialling), soon(answering));
    let (_outbound, mut inbound) = session.unwrap().split();
    // It came in one write with the handshake.
    assert_eq!(soon(inbound.next()).await.unwrap(), Some(b"welcome".to_vec()));
}

#[tokio::test]
async fn a_name_is_resolved() {
    let (listeners, _accepted) = listeners(ListenLimits::default(), 1);
    let listening = open_free(&listeners).await;
    let session = soon(dial("localhost", listening.port(), &DialPolicy::default())).await.unwrap();
    assert_eq!(session.peer_addr(), (LOOPBACK, listening.port()).into());
}

#[tokio::test]
async fn an_impossible_name_is_reported() {
    // A zero byte fails in the system's library, before any name service is asked.
    let error = soon(dial("no\0host", 3000, &QUICK)).await.unwrap_err();
    assert!(matches!(error.last, AttemptError::Resolve(_)), "{error:?}");
}

#[tokio::test]
async fn an_answer_that_does_not_verify_is_refused() {
    let garbage = |mut stream: TcpStream| async move {
        // The dialler may be gone before this is written.
        let _ = stream.write_all(&prefixed(&[9; 48])).await;
    };
    let error = handshake_error(dial_to(garbage).await);
    assert!(matches!(error, HandshakeError::Noise(_)), "{error:?}");
}

#[tokio::test]
async fn an_answer_of_another_size_is_refused_at_its_length() {
    let web = |mut stream: TcpStream| async move {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n").await;
        // Held open until the dialler goes: it does not wait for more.
        while matches!(stream.read(&mut [0; 64]).await, Ok(1..)) {}
    };
    let error = handshake_error(dial_to(web).await);
    // "HT", read as a length.
    assert!(matches!(error, HandshakeError::Length { len: 0x4854, expected: 48 }), "{error:?}");
}

#[tokio::test]
async fn a_listener_that_closes_instead_of_answering_is_reported() {
    let error = handshake_error(
        dial_to(|mut stream| async move {
            use tokio::io::AsyncReadExt;
            stream.read_exact(&mut [0; 34]).await.unwrap();
        })
        .await,
    );
    assert!(matches!(error, HandshakeError::Closed { have: 0, expected: 50 }), "{error:?}");
}

#[tokio::test]
async fn a_listener_that_does_not_answer_is_given_up() {
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    // The system connects, nobody accepts.
    let moment = Duration::from_millis(30);
    let policy = DialPolicy { handshake_timeout: moment, ..QUICK };
    let error = handshake_error(soon(dial(HOST, port, &policy)).await.unwrap_err());
    assert!(matches!(error, HandshakeError::TimedOut { limit } if limit == moment), "{error:?}");
}
