//! What the operator is shown of a service that runs.

use strait_service::Dev;
use strait_service::config::{Config, WindowAddr};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::stage::{Pair, any_port, config};

/// The value of a metric without labels.
async fn metric(dev: &Dev, name: &str) -> u64 {
    let url = dev.window_url().unwrap();
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("{name} is not in {text}")).trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_are_counted_where_they_are_open() {
    let config = Config { operator_addr: WindowAddr(Some(any_port())), ..config() };
    let dev = Dev::start(&config).await.unwrap();
    assert_eq!(metric(&dev, "strait_sockets").await, 0);
    let (_alice, _bob) = Pair::of(&dev, 0).open(&dev.channel_url()).await;
    assert_eq!(metric(&dev, "strait_sockets").await, 2);
    dev.stop().await;
}
