//! An open page of the operator's window, without the browser: it asks what changed once a second, and for the log of one channel.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::Failure;

/// How often a page asks while something changes.
const EVERY: Duration = Duration::from_secs(1);

/// A page; closed when it is dropped.
pub(crate) struct Page {
    _asking: JoinSet<()>,
}

impl Page {
    /// Opens the page of the window at `url`, `http://HOST:PORT`, and waits for the first answer.
    pub(crate) async fn open(url: &str) -> Result<Self, Failure> {
        let host = url.strip_prefix("http://").ok_or("the window is no http:// address")?.to_owned();
        let mut stream = BufReader::new(TcpStream::connect(&host).await?);
        let mut seen = ask(&mut stream, &host, &Value::Null).await?;
        let mut asking = JoinSet::new();
        asking.spawn(async move {
            loop {
                tokio::time::sleep(EVERY).await;
                match ask(&mut stream, &host, &seen).await {
                    Ok(answer) => seen = answer,
                    Err(why) => return eprintln!("the window is lost: {why}"),
                }
            }
        });
        Ok(Self { _asking: asking })
    }
}

async fn ask(stream: &mut BufReader<TcpStream>, host: &str, seen: &Value) -> Result<Value, Failure> {
    let mark = seen["mark"].as_str().unwrap_or_default();
    let open = seen["order"][0].as_str().unwrap_or_default();
    let path = format!("/api/live?offset=0&limit=100&since={mark}&rows={mark}&rates=0&open={open}&log=0");
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    stream.get_mut().write_all(request.as_bytes()).await?;
    let (mut line, mut length, mut status) = (String::new(), 0, String::new());
    while line != "\r\n" {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Err("the window closed the connection".into());
        }
        if status.is_empty() {
            status = line.trim().to_owned();
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse()?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    if status != "HTTP/1.1 200 OK" {
        return Err(format!("the window answers {status}: {}", String::from_utf8_lossy(&body)).into());
    }
    Ok(serde_json::from_slice(&body)?)
}
