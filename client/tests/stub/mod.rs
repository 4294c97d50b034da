//! A service in miniature: one channel, no chain, no peer protocol; and it can be told to cheat.

mod flow;

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

/// What the service does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cheat {
    Nothing,
    /// The create transaction takes more from the initiator than agreed.
    Terms,
    /// The create transaction commits to other balances.
    FirstState,
    /// Updates are of another channel.
    Channel,
    /// Updates skip a round.
    Round,
    /// Updates commit to other balances than they say.
    StateHash,
    /// The proposer is shown another amount than it asked for.
    Updates,
    /// Nobody asked, but somebody is asked to sign.
    Unasked,
    /// The acknowledger is shown a transfer to a stranger.
    Stranger,
    /// A state is reported as agreed with the proposer's signature alone.
    HalfSigned,
    /// The acknowledger is told of a state that it never saw.
    UnknownState,
    /// The mutual close takes everything as a fee.
    Fee,
    /// The mutual close pays one coin to the wrong side.
    Split,
    /// The trees are not those of the state.
    Trees,
}

/// What a socket brings.
pub enum Input {
    /// A client came, with this query and a way to answer it.
    Open(Query, mpsc::UnboundedSender<Output>),
    /// A client said something.
    Said(usize, Value),
}

/// What goes to a socket.
pub enum Output {
    Say(Value),
    Close,
}

pub type Query = std::collections::BTreeMap<String, String>;

/// The address of a service that serves one channel and cheats in one way.
pub async fn start(cheat: Cheat) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let (inputs, received) = mpsc::unbounded_channel();
    tokio::spawn(flow::Channel::new(cheat).run(received));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(socket(stream, inputs.clone()));
        }
    });
    format!("ws://{address}/channel")
}

#[expect(clippy::result_large_err, reason = "the callback's type is the library's")]
async fn socket(stream: TcpStream, inputs: mpsc::UnboundedSender<Input>) {
    let mut query = Query::new();
    let read = |request: &Request, response: Response| {
        for pair in request.uri().query().unwrap_or_default().split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_encoding::percent_decode_str(value).decode_utf8_lossy();
            query.insert(name.to_owned(), value.into_owned());
        }
        Ok(response)
    };
    stream.set_nodelay(true).unwrap();
    let Ok(mut socket) = accept_hdr_async(stream, read).await else { return };
    let side = usize::from(query["role"] == "responder");
    let (sender, mut outputs) = mpsc::unbounded_channel();
    inputs.send(Input::Open(query, sender)).ok();
    loop {
        tokio::select! {
            output = outputs.recv() => match output {
                Some(Output::Say(value)) => if socket.send(Message::text(value.to_string())).await.is_err() { return },
                Some(Output::Close) => { socket.close(None).await.ok(); }
                None => return,
            },
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    inputs.send(Input::Said(side, serde_json::from_str(&text).unwrap())).ok();
                }
                Some(Ok(_)) => {}
                _ => return,
            },
        }
    }
}

pub fn notification(method: &str, channel_id: Option<&str>, data: Value) -> Value {
    json!({ "jsonrpc": "2.0", "version": 1, "method": method, "params": { "channel_id": channel_id, "data": data } })
}

pub fn reply(request: &Value, channel_id: Option<&str>, result: Value) -> Value {
    json!({ "jsonrpc": "2.0", "version": 1, "id": request["id"], "channel_id": channel_id, "result": result })
}

pub fn refusal(request: &Value, code: i64, inner: i64, text: &str) -> Value {
    let error = json!({ "code": code, "message": "Rejected", "data": [{ "code": inner, "message": text }], "request": request });
    json!({ "jsonrpc": "2.0", "version": 1, "id": request["id"], "channel_id": null, "error": error })
}
