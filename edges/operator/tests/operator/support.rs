//! A served window, and requests to it as bytes.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use strait_operator::{Access, Inspection, Limits, Metrics, Token, serve_within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::stage::Stage;

/// A moment: 2026-01-01, in milliseconds since 1970.
pub const NOW: u64 = 1_767_225_600_000;

/// A window that is served until this is dropped.
pub struct Served {
    pub address: SocketAddr,
    pub stage: Stage,
    pub metrics: Metrics,
    task: JoinHandle<()>,
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Served {
    pub async fn new(sides: usize) -> Self {
        Self::with(sides, None, limits()).await
    }

    /// A window where `metrics` are read.
    pub async fn counting(metrics: Metrics) -> Self {
        Self::of(0, None, limits(), metrics).await
    }

    pub async fn with(sides: usize, token: Option<&Token>, limits: Limits) -> Self {
        Self::of(sides, token, limits, Metrics::new()).await
    }

    async fn of(sides: usize, token: Option<&Token>, limits: Limits, metrics: Metrics) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stage = Stage::new(sides, NOW);
        let access = Access::on(address, token).unwrap();
        let served = serve_within(
            limits,
            listener,
            stage.clone(),
            metrics.clone(),
            access,
            std::future::pending::<()>(),
        );
        Self { address, stage, metrics, task: tokio::spawn(served) }
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address))
            .await
    }

    pub async fn json(&self, path: &str) -> Value {
        let reply = self.get(path).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        reply.json()
    }

    pub async fn post(&self, path: &str, media_type: &str, more: &str, body: &str) -> Reply {
        self.send(&format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: {media_type}\r\n\
             Content-Length: {}\r\n{more}\r\n{body}",
            self.address,
            body.len(),
        ))
        .await
    }

    /// Sends bytes as they are and reads until the end.
    pub async fn send(&self, request: &str) -> Reply {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Reply { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    pub fn inspection(&self, token: Option<Token>) -> Inspection {
        Inspection::new(self.address.to_string(), token)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|why| panic!("{why}: {}", self.body))
    }

    pub fn reason(&self) -> String {
        self.json()["reason"].as_str().unwrap().to_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(found, _)| *found == name).map(|(_, value)| value)
    }
}

/// What is shown is never older than the request.
pub fn limits() -> Limits {
    Limits { fresh: Duration::ZERO, ..Limits::default() }
}
