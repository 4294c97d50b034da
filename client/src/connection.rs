//! One WebSocket to the service.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Message, Utf8Bytes};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use crate::{ClientError, Frame};

/// The largest message that is read, in bytes. The trees of a channel with contracts are the largest thing a service sends.
pub const MAX_MESSAGE: usize = 64 << 20;

/// How long the closing handshake may take.
const CLOSING: Duration = Duration::from_secs(5);

/// One WebSocket to the service, message by message. It does not know what the messages mean.
#[derive(Debug)]
pub struct Connection {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    close_code: Option<u16>,
}

impl Connection {
    /// Opens a WebSocket at `url`, a `ws://` address with its query. Small frames are sent at once (`TCP_NODELAY`).
    ///
    /// # Errors
    /// [`ClientError::Connect`]: there is nobody, or no WebSocket.
    pub async fn connect(url: &str) -> Result<Self, ClientError> {
        let config =
            WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE)).max_frame_size(Some(MAX_MESSAGE));
        let (socket, _) = connect_async_with_config(url, Some(config), true).await.map_err(|error| {
            let url = url.split('?').next().unwrap_or_default().to_owned();
            ClientError::Connect { url, source: Box::new(error) }
        })?;
        Ok(Self { socket, close_code: None })
    }

    /// Sends one text frame.
    ///
    /// # Errors
    /// The socket is broken or closed.
    pub async fn send(&mut self, text: impl Into<Utf8Bytes>) -> Result<(), ClientError> {
        Ok(self.socket.send(Message::Text(text.into())).await?)
    }

    /// Sends one JSON value.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_value(&mut self, value: &Value) -> Result<(), ClientError> {
        self.send(value.to_string()).await
    }

    /// Sends a WebSocket ping: a service drops clients that are silent for a minute (`docs/protocol/ws_api` §1).
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn ping(&mut self) -> Result<(), ClientError> {
        Ok(self.socket.send(Message::Ping(Bytes::new())).await?)
    }

    /// The next text frame; `None` once the service has closed. Nothing is lost when the future is dropped.
    ///
    /// # Errors
    /// The socket broke.
    pub async fn next(&mut self) -> Result<Option<Frame>, ClientError> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => return Ok(Some(Frame::new(text))),
                Some(Ok(Message::Close(frame))) => self.close_code = frame.map(|frame| frame.code.into()),
                Some(Ok(_)) => {}
                Some(Err(error)) => match error.into() {
                    ClientError::Closed { .. } => return Ok(None),
                    other => return Err(other),
                },
                None => return Ok(None),
            }
        }
    }

    /// The code of the close frame that ended the connection, where one came.
    pub fn close_code(&self) -> Option<u16> {
        self.close_code
    }

    /// Closes in the proper way, with code 1000, and waits until the service has done the same; what it still sends is
    /// not looked at. Dropping the connection instead is what a crashed client does.
    ///
    /// # Errors
    /// The socket broke, or the service did not answer in a few seconds.
    pub async fn close(mut self) -> Result<(), ClientError> {
        let frame = CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::default() };
        match self.socket.close(Some(frame)).await.map_err(ClientError::from) {
            Ok(()) => {}
            Err(ClientError::Closed { .. }) => return Ok(()),
            Err(other) => return Err(other),
        }
        let drained = timeout(CLOSING, async {
            while self.next().await?.is_some() {}
            Ok(())
        })
        .await;
        drained.unwrap_or(Err(ClientError::Timeout {
            waiting_for: "closing handshake",
            seconds: CLOSING.as_secs(),
        }))
    }
}
