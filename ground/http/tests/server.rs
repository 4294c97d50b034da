//! Many clients, slow ones, and the end.

#![allow(clippy::unwrap_used)]

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use strait_http::{CutOff, Leaver, Server, next_connection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

const IDLE: Leaver = Leaver::Idle { stall_time: Duration::from_secs(60) };

/// As long as an answer that no system holds for a client.
const LONG: usize = 64 << 20;

fn server(leaver: Leaver) -> Server {
    Server {
        name: "the tested server",
        connections: 4,
        leaver,
        head_bytes: 16 * 1024,
        head_time: Duration::from_secs(60),
        grace: Duration::from_secs(60),
    }
}

/// A server that answers `/` at once, `/long` with more than a client can let lie, and `/wait` once it may.
struct Served {
    address: SocketAddr,
    /// A request for `/wait` is in hand.
    waits: Arc<Semaphore>,
    /// One of them may be answered.
    go_on: Arc<Semaphore>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), CutOff>>,
}

async fn served(server: Server) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (waits, go_on) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let both = (Arc::clone(&waits), Arc::clone(&go_on));
    let service = service_fn(move |request: Request<Incoming>| {
        let (waits, go_on) = both.clone();
        async move {
            let body = match request.uri().path() {
                "/long" => Bytes::from(vec![b'x'; LONG]),
                "/wait" => {
                    waits.add_permits(1);
                    go_on.acquire().await.unwrap().forget();
                    Bytes::from_static(b"at last")
                }
                _ => Bytes::from_static(b"at once"),
            };
            Ok::<_, Infallible>(Response::new(Full::new(body)))
        }
    });
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(server.serve(listener, service, async {
        let _ = stopped.await;
    }));
    Served { address, waits, go_on, stop, task }
}

impl Served {
    async fn ask(&self, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }
}

async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what).await.expect("it takes no such time")
}

/// What comes until the server closes the connection, or breaks it off.
async fn rest(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    let _ = within(stream.read_to_end(&mut text)).await;
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn who_only_keeps_connections_open_keeps_nobody_out() {
    for leaver in [IDLE, Leaver::Any] {
        let served = served(server(leaver)).await;
        let mut silent = Vec::new();
        for _ in 0..40 {
            silent.push(TcpStream::connect(served.address).await.unwrap());
        }
        assert!(rest(served.ask("/").await).await.ends_with("at once"));
        // As many as there are seats, less the one who asked, may stay.
        for stream in silent.drain(..37) {
            assert_eq!(rest(stream).await, "");
        }
    }
}

#[tokio::test]
async fn who_waits_for_an_answer_keeps_its_seat_or_not() {
    for (leaver, stays) in [(IDLE, true), (Leaver::Any, false)] {
        let served = served(Server { connections: 2, ..server(leaver) }).await;
        let waiting = served.ask("/wait").await;
        within(served.waits.acquire()).await.unwrap().forget();
        for _ in 0..5 {
            assert!(rest(served.ask("/").await).await.ends_with("at once"));
            let _silent = TcpStream::connect(served.address).await.unwrap();
            let _silent_too = TcpStream::connect(served.address).await.unwrap();
            assert!(rest(served.ask("/").await).await.ends_with("at once"));
        }
        served.go_on.add_permits(1);
        assert_eq!(rest(waiting).await.ends_with("at last"), stays);
    }
}

#[tokio::test]
async fn who_does_not_read_its_answer_is_given_up() {
    let leaver = Leaver::Idle { stall_time: Duration::from_millis(50) };
    let served = served(server(leaver)).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(served.address).await.unwrap();
    stream.write_all(b"GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    // The answer has begun.
    within(stream.read_u8()).await.unwrap();
    // The server gives the connection up by itself: it need not wait for its grace, nor for anybody who needs the seat.
    served.stop.send(()).unwrap();
    assert_eq!(within(served.task).await.unwrap(), Ok(()));
    assert!(rest(stream).await.len() < LONG);
}

#[tokio::test]
async fn a_slow_or_long_head_is_not_waited_for() {
    let served = served(Server { head_time: Duration::from_millis(50), ..server(IDLE) }).await;
    let mut slow = TcpStream::connect(served.address).await.unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\nHost: loc").await.unwrap();
    assert_eq!(rest(slow).await, "");
    let mut long = TcpStream::connect(served.address).await.unwrap();
    let head = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
    // It may answer and close before all is sent.
    let _ = long.write_all(head.as_bytes()).await;
    let text = rest(long).await;
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 431"), "{text}");
}

#[tokio::test]
async fn requests_in_hand_are_finished_at_the_end() {
    let served = served(server(IDLE)).await;
    let waiting = served.ask("/wait").await;
    let silent = TcpStream::connect(served.address).await.unwrap();
    within(served.waits.acquire()).await.unwrap().forget();
    served.stop.send(()).unwrap();
    assert_eq!(rest(silent).await, "");
    assert!(TcpStream::connect(served.address).await.is_err(), "nobody listens any more");
    served.go_on.add_permits(1);
    assert!(rest(waiting).await.ends_with("at last"));
    assert_eq!(within(served.task).await.unwrap(), Ok(()));
}

#[tokio::test]
async fn requests_that_take_too_long_are_cut_off_at_the_end() {
    let served = served(Server { grace: Duration::from_millis(50), ..server(IDLE) }).await;
    let waiting = served.ask("/wait").await;
    within(served.waits.acquire()).await.unwrap().forget();
    served.stop.send(()).unwrap();
    assert_eq!(within(served.task).await.unwrap(), Err(CutOff));
    assert_eq!(rest(waiting).await, "");
}

#[tokio::test]
async fn the_next_connection_says_who_comes() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (_, from) = within(next_connection(&listener, |error| panic!("{error}"))).await;
    assert_eq!(from, client.local_addr().unwrap());
}
