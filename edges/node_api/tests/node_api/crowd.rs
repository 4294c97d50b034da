//! Many clients, slow ones, and ones that speak badly.

use std::time::Duration;

use serde_json::json;
use strait_node_api::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::{Reply, Served, account, config, served, served_within, spend};

const HEIGHT: &str = "/v3/key-blocks/current/height";

async fn limited(limits: Limits) -> Served {
    served_within(limits, config(), false).await
}

/// What comes until the server closes the connection; nothing where it breaks it off.
async fn rest(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text).await;
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn silent_clients_make_room() {
    let limits = Limits { connections: 8, ..Limits::default() };
    let served = limited(limits).await;
    let mut silent = Vec::new();
    // Some say nothing, some begin to say something.
    for number in 0..80 {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        if number % 2 == 0 {
            stream.write_all(b"GET /v3/status HTTP/1.1\r\nHost: loc").await.unwrap();
        }
        silent.push(stream);
    }
    assert_eq!(served.get(HEIGHT).await.status, 200);
    // The first of them were closed; as many as there are seats, and less the one who asked, may stay.
    for stream in silent.drain(..60) {
        assert_eq!(rest(stream).await, "");
    }
}

#[tokio::test]
async fn who_has_a_request_in_hand_is_not_sent_away() {
    let limits = Limits { connections: 2, ..Limits::default() };
    let served = limited(limits).await;
    let body = json!({ "tx": spend(1).to_text() }).to_string();
    let mut sender = TcpStream::connect(served.address).await.unwrap();
    let head = format!(
        "POST /v3/transactions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        body.len()
    );
    sender.write_all(head.as_bytes()).await.unwrap();
    // The server asks for the body when the request is in its hands.
    let mut asked = [0; 25];
    sender.read_exact(&mut asked).await.unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    // Whoever comes next takes the other seat, though the sender is silent for longer.
    let mut other = TcpStream::connect(served.address).await.unwrap();
    for _ in 0..5 {
        let next = TcpStream::connect(served.address).await.unwrap();
        assert_eq!(rest(std::mem::replace(&mut other, next)).await, "");
    }
    sender.write_all(body.as_bytes()).await.unwrap();
    let reply = Reply::read(&rest(sender).await);
    assert_eq!(reply.json(), json!({ "tx_hash": spend(1).hash().to_string() }));
}

#[tokio::test]
async fn slow_clients_are_given_up() {
    let short = Duration::from_millis(50);
    let served = limited(Limits { head_time: short, ..Limits::default() }).await;
    let mut head = TcpStream::connect(served.address).await.unwrap();
    head.write_all(b"GET /v3/status HTTP/1.1\r\nHost: loc").await.unwrap();
    assert_eq!(rest(head).await, "");
    let served = limited(Limits { body_time: short, ..Limits::default() }).await;
    let mut body = TcpStream::connect(served.address).await.unwrap();
    body.write_all(
        b"POST /v3/transactions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
          Content-Length: 100\r\n\r\n{",
    )
    .await
    .unwrap();
    let reply = Reply::read(&rest(body).await);
    assert_eq!((reply.status, reply.json()), (408, json!({ "reason": "The body came too slowly" })));
}

#[tokio::test]
async fn who_does_not_read_is_given_up() {
    let limits = Limits { stall_time: Duration::from_millis(50), ..Limits::default() };
    let served = limited(limits).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(served.address).await.unwrap();
    // The answers fill what the system holds of them; then the server gives up, and takes no more.
    let ask = b"GET /api HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(100);
    let given_up = async { while stream.write_all(&ask).await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(20), given_up).await.unwrap();
}

#[tokio::test]
async fn what_is_no_http_is_refused() {
    let served = served().await;
    // The system may hand over more at once than a head may have.
    let long = "x".repeat(300_000);
    for (request, status) in [
        ("\0\u{1}\u{2}\u{3}\r\n\r\n".to_owned(), 400),
        ("hello\r\n\r\n".to_owned(), 400),
        ("GET /v3/status HTTP/9.9\r\n\r\n".to_owned(), 400),
        ("GET /v3/status HTTP/1.1\r\nno colon\r\n\r\n".to_owned(), 400),
        (format!("GET /v3/status HTTP/1.1\r\nX: {long}\r\n\r\n"), 431),
        (format!("GET /v3/accounts/{long} HTTP/1.1\r\nHost: x\r\n\r\n"), 431),
        ("POST /v3/transactions HTTP/1.1\r\nContent-Length: -1\r\n\r\n".to_owned(), 400),
    ] {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        // It may answer and close before all is sent.
        let _ = stream.write_all(request.as_bytes()).await;
        let text = rest(stream).await;
        let start = request.chars().take(60).collect::<String>();
        assert!(text.is_empty() || Reply::read(&text).status == status, "{start:?}: {text}");
    }
    assert_eq!(served.get(HEIGHT).await.status, 200);
}

#[tokio::test]
async fn long_paths_and_queries_do_no_harm() {
    let served = served().await;
    let long = "1".repeat(20_000);
    for (path, status) in [
        (format!("/v3/accounts/ak_{long}"), 400),
        (format!("/v3/key-blocks/height/{long}"), 400),
        (format!("/v3/names/{long}.chain"), 400),
        (format!("/v3/status?{long}={long}"), 200),
        (format!("/v3/accounts/{}?{}", account(1), "a=b&".repeat(5_000)), 200),
        (format!("/{long}"), 404),
    ] {
        let reply = served.get(&path).await;
        assert_eq!(reply.status, status, "{}", &path[..40]);
        // Nobody's own words come back in full.
        assert!(reply.body.len() < 1000, "{}", reply.body);
    }
}
