use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use strait_peer::{
    AttemptError, DialError, DialPolicy, Dialler, HandshakeError, ListenLimits, Resolve, Resolving,
    SystemResolver, dial,
};
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

/// Answers the first time with the first address, then with the second, and so on; with the last for ever.
#[derive(Debug)]
struct Changing {
    answers: Vec<Vec<IpAddr>>,
    asked: Arc<AtomicUsize>,
}

impl Resolve for Changing {
    fn resolve<'a>(&'a self, _host: &'a str, port: u16) -> Resolving<'a> {
        let asked = self.asked.fetch_add(1, Relaxed);
        let answer = &self.answers[asked.min(self.answers.len() - 1)];
        let addresses = answer.iter().map(|ip| SocketAddr::new(*ip, port)).collect();
        Box::pin(async move { Ok(addresses) })
    }
}

/// A dialler of these hosts whose resolver gives these answers, and how often that was asked.
fn dialler(hosts: &str, answers: &[&str]) -> (Dialler, Arc<AtomicUsize>) {
    let addresses = |text: &&str| text.split_whitespace().map(|ip| ip.parse().unwrap()).collect();
    let asked = Arc::new(AtomicUsize::new(0));
    let resolver = Changing { answers: answers.iter().map(addresses).collect(), asked: Arc::clone(&asked) };
    (Dialler::with(hosts.parse().unwrap(), QUICK, resolver), asked)
}

/// Fails if somebody connected to the listener before.
async fn assert_untouched(listener: &TcpListener) {
    let ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (_, first) = soon(listener.accept()).await.unwrap();
    assert_eq!(first, ours.local_addr().unwrap(), "somebody else was first");
}

#[tokio::test]
async fn a_host_that_is_not_allowed_is_not_connected_to_whatever_it_is_called() {
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let system = Dialler::new("public".parse().unwrap());
    assert!(system.check("127.0.0.1").is_err() && system.check("localhost").is_err());
    for address in ["127.0.0.1", "::ffff:127.0.0.1", "127.0.0.1 10.0.0.1"] {
        let (dialler, asked) = dialler("public", &[address]);
        assert_eq!(dialler.check("hub.example"), Ok(()), "a name may have any address");
        let error = soon(dialler.dial("hub.example", port)).await.unwrap_err();
        let AttemptError::NotAllowed { address: named, .. } = &error.last else { panic!("{error:?}") };
        assert_eq!(named.to_string(), address.split_whitespace().next().unwrap());
        assert!(error.last.to_string().ends_with("is not allowed, expected a public address"), "{error:?}");
        assert_eq!(asked.load(Relaxed), QUICK.attempts as usize, "as often as a host without an address");
    }
    assert_untouched(&listener).await;
}

/// Old forms of addresses, which the system's resolver reads without asking anybody.
#[tokio::test]
#[cfg(unix)]
async fn addresses_that_only_the_resolver_can_read_are_judged_by_what_it_says() {
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let dialler = Dialler::with("public".parse().unwrap(), QUICK, SystemResolver);
    for host in ["127.1", "2130706433", "0x7f000001", "0177.0.0.1"] {
        let error = soon(dialler.dial(host, port)).await.unwrap_err();
        assert!(
            matches!(error.last, AttemptError::NotAllowed { .. } | AttemptError::Resolve(_)),
            "{host}: {error:?}"
        );
    }
    assert_untouched(&listener).await;
}

#[tokio::test]
async fn a_name_that_changes_its_address_is_judged_anew_and_dialled_as_judged() {
    let (listeners, _accepted) = listeners(ListenLimits::default(), 1);
    let listening = open_free(&listeners).await;
    let port = listening.port();
    // Whoever asked twice in one attempt would be led to 127.0.0.2, where nobody listens.
    let (steady, asked) = dialler("127.0.0.1", &["127.0.0.1", "127.0.0.2"]);
    let session = soon(steady.dial("hub.example", port)).await.unwrap();
    assert_eq!(session.peer_addr(), (LOOPBACK, port).into());
    assert_eq!(asked.load(Relaxed), 1);

    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (rebound, asked) = dialler("127.0.0.2", &["127.0.0.2", "127.0.0.1"]);
    let error = soon(rebound.dial("hub.example", port)).await.unwrap_err();
    assert!(matches!(error.last, AttemptError::NotAllowed { .. }), "{error:?}");
    assert_eq!(asked.load(Relaxed), 3);
    assert_untouched(&listener).await;
}

#[tokio::test]
async fn of_several_addresses_those_that_are_allowed_are_tried() {
    let (listeners, _accepted) = listeners(ListenLimits::default(), 1);
    let listening = open_free(&listeners).await;
    let (dialler, _) = dialler("127.0.0.1", &["10.0.0.1 ::1 127.0.0.1"]);
    let session = soon(dialler.dial("hub.example", listening.port())).await.unwrap();
    assert_eq!(session.peer_addr(), (LOOPBACK, listening.port()).into());
}
