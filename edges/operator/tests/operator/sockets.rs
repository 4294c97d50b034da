//! Connections that behave badly, and the end.

use std::future::Future;
use std::time::Duration;

use strait_operator::{Access, InspectError, Inspection, Limits, Metrics, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::stage::Stage;
use crate::support::{NOW, Served, limits};

async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what).await.expect("it takes no such time")
}

#[tokio::test]
async fn who_only_keeps_connections_open_keeps_nobody_out() {
    let served = Served::with(3, None, Limits { connections: 4, ..limits() }).await;
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(TcpStream::connect(served.address).await.unwrap());
    }
    assert_eq!(within(served.get("/api/channels")).await.status, 200);
    let mut byte = [0];
    // It was asked to leave: the end, or a reset.
    assert!(!matches!(within(silent[0].read(&mut byte)).await, Ok(1..)));
}

#[tokio::test]
async fn nonsense_is_answered_or_cut_off_and_the_next_one_is_served() {
    let served = Served::with(3, None, Limits { head_time: Duration::from_millis(50), ..limits() }).await;
    let long_head = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    for nonsense in ["\0\0\0\0\r\n\r\n", "GET", "GET / HTTP/9.9\r\n\r\n", &long_head] {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        // The other side may be gone before everything is written.
        let _ = stream.write_all(nonsense.as_bytes()).await;
        let mut bytes = Vec::new();
        let _ = within(stream.read_to_end(&mut bytes)).await;
        let status = String::from_utf8_lossy(&bytes);
        assert!(!status.starts_with("HTTP/1.1 200"), "{status}");
    }
    assert_eq!(within(served.get("/api/channels")).await.status, 200);
}

#[tokio::test]
async fn a_body_that_never_comes_is_not_waited_for() {
    let served = Served::with(3, None, Limits { body_time: Duration::from_millis(50), ..limits() }).await;
    let request = format!(
        "POST /api/chain/fork HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nConnection: close\r\n\
         Content-Length: 20\r\n\r\n{{",
        served.address
    );
    assert_eq!(within(served.send(&request)).await.status, 408);
}

#[tokio::test]
async fn the_end_comes_when_it_is_asked_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let stage = Stage::new(1, NOW);
    let access = Access::on(address, None).unwrap();
    let served = tokio::spawn(serve(listener, stage, Metrics::new(), access, async {
        let _ = stopped.await;
    }));
    let inspection = Inspection::new(address.to_string(), None);
    assert_eq!(inspection.list("").await.unwrap()["count"], 1);
    let _idle = TcpStream::connect(address).await.unwrap();
    stop.send(()).unwrap();
    within(served).await.unwrap();
    let gone = inspection.list("").await.unwrap_err();
    assert!(matches!(gone, InspectError::Unreachable { .. }), "{gone}");
}
