//! Real sockets against a stub desk: the test plays the channel.

#![allow(clippy::unwrap_used, reason = "tests and benches only")]

use std::future::Future;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use strait_api::{ApiConfig, Ask, Attach, Desk, OpenRefusal, Seat, Sockets, ToClient, serve};
use strait_channel::{Answer, Event, Notice, Report, Request, Ticket};
use strait_encoding::{AccountId, ChannelId, Coins, FsmId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Bytes, Message};

const OPEN: &str = "protocol=json-rpc&role=initiator&host=localhost&port=3015&push_amount=1&initiator_amount=10&\
    responder_amount=10&channel_reserve=2&lock_period=10&\
    initiator_id=ak_4R4eBsoeFm8de7s9TSjZCDLQ1XwmhcQnLCyZFtsMFqgMKc6eX&\
    responder_id=ak_eUqxBpXmfp6JkRL5SEHAH9VnPMwqQrbUnpSZrmp1HKnoeUr7p";
const PING: &str = r#"{"jsonrpc":"2.0","id":0,"method":"channels.system","params":{"action":"ping"}}"#;
const LEAVE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"channels.leave"}"#;
/// Longer than anything here takes; a test that waits for it has failed.
const PATIENCE: Duration = Duration::from_secs(60);

type Client = WebSocketStream<TcpStream>;

/// A desk that gives every client a seat of which the test has the other side, or refuses them all.
#[derive(Clone)]
struct Stub {
    made: mpsc::UnboundedSender<Channel>,
    refusal: Option<OpenRefusal>,
    requests: usize,
}

/// The other side of a seat.
struct Channel {
    attach: Attach,
    requests: mpsc::Receiver<Box<(Ticket, Ask)>>,
    frames: mpsc::Sender<Box<ToClient>>,
}

impl Desk for Stub {
    fn attach(&self, attach: Attach) -> impl Future<Output = Result<Seat, OpenRefusal>> + Send {
        let (request_to, requests) = mpsc::channel(self.requests);
        let (frames, frames_from) = mpsc::channel(64);
        let made = self.made.send(Channel { attach, requests, frames });
        let refusal = self.refusal.clone();
        async move {
            made.expect("the test wants the channel");
            match refusal {
                Some(refusal) => Err(refusal),
                None => Ok(Seat { requests: request_to, frames: frames_from }),
            }
        }
    }
}

struct House {
    address: std::net::SocketAddr,
    channels: mpsc::UnboundedReceiver<Channel>,
    sockets: Sockets,
    shutdown: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
}

impl House {
    async fn open(config: ApiConfig) -> Self {
        Self::with(config, None, 64).await
    }

    async fn with(config: ApiConfig, refusal: Option<OpenRefusal>, requests: usize) -> Self {
        Self::of(Sockets::at_most(64), config, refusal, requests).await
    }

    async fn of(sockets: Sockets, config: ApiConfig, refusal: Option<OpenRefusal>, requests: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (made, channels) = mpsc::unbounded_channel();
        let (shutdown, on_shutdown) = oneshot::channel::<()>();
        let stub = Stub { made, refusal, requests };
        let served = tokio::spawn(serve(listener, stub, sockets.clone(), config, async {
            let _ = on_shutdown.await;
        }));
        Self { address, channels, sockets, shutdown: Some(shutdown), served }
    }

    async fn connect(&self, query: &str) -> Client {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let url = format!("ws://{}/channel?{query}", self.address);
        let limits = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        tokio_tungstenite::client_async_with_config(url, stream, Some(limits)).await.unwrap().0
    }

    async fn attached(&mut self) -> (Client, Channel) {
        let client = self.connect(OPEN).await;
        (client, self.channels.recv().await.unwrap())
    }

    /// The status line and headers that this request gets.
    async fn http(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap().to_ascii_lowercase()
    }
}

impl Channel {
    async fn next(&mut self) -> (Ticket, Request) {
        match *self.requests.recv().await.expect("the client is there") {
            (ticket, Ask::Channel(request)) => (ticket, request),
            (_, Ask::History(_)) => panic!("nobody asks for the history"),
        }
    }

    async fn answer(&self, ticket: Ticket, answer: Answer) {
        self.frames.send(Box::new(ToClient::Answer(ticket, Ok(answer)))).await.unwrap();
    }

    async fn tell(&self, event: Event) -> Result<(), mpsc::error::SendError<Box<ToClient>>> {
        let report = Report { channel_id: Some(ChannelId([3; 32])), notice: Notice::Info(event) };
        self.frames.send(Box::new(ToClient::Report { report, fsm_id: Some(FsmId([4; 32])) })).await
    }
}

async fn say(client: &mut Client, text: &str) {
    client.send(Message::text(text)).await.unwrap();
}

async fn hear(client: &mut Client) -> Value {
    let message = tokio::time::timeout(PATIENCE, client.next()).await.expect("a frame");
    match message {
        Some(Ok(Message::Text(text))) => serde_json::from_str(&text).unwrap(),
        other => panic!("expected a text frame, found {other:?}"),
    }
}

/// The code and reason with which the server closes.
async fn closed(client: &mut Client) -> (CloseCode, String) {
    let message = tokio::time::timeout(PATIENCE, client.next()).await.expect("a close");
    match message {
        Some(Ok(Message::Close(Some(close)))) => (close.code, close.reason.to_string()),
        other => panic!("expected a close frame, found {other:?}"),
    }
}

fn quick() -> ApiConfig {
    ApiConfig { write_timeout: Duration::from_millis(300), ..ApiConfig::default() }
}

#[tokio::test]
async fn a_client_opens_asks_hears_and_is_let_go() {
    let mut house = House::open(ApiConfig::default()).await;
    let (mut client, mut channel) = house.attached().await;
    assert!(matches!(&channel.attach, Attach::Open(terms) if terms.port == 3015));
    channel.tell(Event::FsmUp).await.unwrap();
    let up = hear(&mut client).await;
    assert_eq!(up["params"]["data"], json!({"event": "fsm_up", "fsm_id": FsmId([4; 32]).to_string()}));

    say(&mut client, r#"{"jsonrpc":"2.0","id":7,"method":"channels.get.balances","params":{"accounts":[]}}"#)
        .await;
    let (ticket, request) = channel.next().await;
    assert_eq!(request, Request::Balances(vec![]));
    channel.answer(ticket, Answer::Balances(vec![(AccountId::ZERO, Coins(u128::MAX))])).await;
    let balances = client.next().await.unwrap().unwrap().into_text().unwrap();
    assert!(balances.contains(r#""balance":340282366920938463463374607431768211455"#), "{balances}");

    channel.tell(Event::Died).await.unwrap();
    drop(channel);
    assert_eq!(hear(&mut client).await["params"]["data"]["event"], "died");
    assert_eq!(closed(&mut client).await, (CloseCode::Normal, String::new()));
    assert!(client.next().await.is_none());
}

#[tokio::test]
async fn a_refused_client_hears_why_and_is_closed() {
    let mut house = House::open(ApiConfig::default()).await;
    for (query, code) in [
        ("", 2000),
        (&*OPEN.replace("port=3015", "port=x"), 2001),
        (&*OPEN.replace("push_amount=1", "push_amount=-1"), 105),
    ] {
        let mut client = house.connect(query).await;
        let frame = hear(&mut client).await;
        assert_eq!(frame["error"]["data"][0]["code"], code);
        assert_eq!((&frame["id"], &frame["channel_id"]), (&Value::Null, &Value::Null));
        assert_eq!(closed(&mut client).await, (CloseCode::Normal, String::new()));
    }
    assert!(house.channels.try_recv().is_err(), "the service is not asked");
    let refusal = OpenRefusal::Internal { why: "there are 1000 channels already".into() };
    let house = House::with(ApiConfig::default(), Some(refusal), 1).await;
    let mut client = house.connect(OPEN).await;
    let error = hear(&mut client).await["error"].clone();
    assert_eq!(error["code"], -32603);
    assert_eq!(error["data"][0]["message"], "there are 1000 channels already");
    assert_eq!(closed(&mut client).await, (CloseCode::Normal, String::new()));
}

#[tokio::test]
async fn only_the_channel_path_is_upgraded() {
    let house = House::open(ApiConfig::default()).await;
    let upgrade = "connection: keep-alive, Upgrade\r\nupgrade: WebSocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let ask = |path: &str, headers: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
    for path in ["/", "/channels", "/channel/", "/v3/status"] {
        let answer = house.http(&ask(path, &format!("{upgrade}sec-websocket-version: 13\r\n"))).await;
        assert!(answer.starts_with("http/1.1 404 "), "{path}: {answer}");
    }
    let answer = house.http(&ask("/channel?x=y", "")).await;
    assert!(answer.starts_with("http/1.1 426 ") && answer.contains("upgrade: websocket"), "{answer}");
    for broken in [
        upgrade.to_owned(),
        format!("{upgrade}sec-websocket-version: 12\r\n"),
        "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n".to_owned(),
        "upgrade: websocket\r\nsec-websocket-key: x\r\nsec-websocket-version: 13\r\n".to_owned(),
    ] {
        let answer = house.http(&ask("/channel", &broken)).await;
        assert!(answer.starts_with("http/1.1 400 "), "{broken}: {answer}");
    }
    let answer = house.http("nonsense\r\n\r\n").await;
    assert!(answer.starts_with("http/1.1 400 "), "{answer}");
}

#[tokio::test]
async fn the_handshake_is_that_of_the_standard() {
    let house = House::open(ApiConfig::default()).await;
    for version in ["7", "8", "13"] {
        let mut stream = TcpStream::connect(house.address).await.unwrap();
        let head = format!(
            "GET /channel HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
            sec-websocket-version: {version}\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        // The example of RFC 6455 §1.3.
        assert!(answer.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{answer}");
        assert!(answer.contains("Missing field: protocol"), "{answer}");
    }
}

#[tokio::test]
async fn a_message_of_64_mib_is_refused_before_it_is_there() {
    let mut house = House::open(ApiConfig::default()).await;
    let (mut client, mut channel) = house.attached().await;
    let huge = Message::Text("x".repeat(64 << 20).into());
    // The whole message goes out: the server throws it away while it says goodbye.
    client.send(huge).await.unwrap();
    let (code, reason) = closed(&mut client).await;
    assert_eq!(code, CloseCode::Size);
    assert!(!reason.is_empty());
    assert!(channel.requests.recv().await.is_none(), "the client is detached");
}

#[tokio::test]
async fn fragments_are_one_message_and_bounded_together() {
    let mut house = House::open(ApiConfig { max_message: 200, ..ApiConfig::default() }).await;
    let (mut client, _channel) = house.attached().await;
    let frame = |opcode: u8, payload: &[u8]| {
        let mut bytes = vec![opcode, 0x80 | u8::try_from(payload.len()).unwrap(), 0, 0, 0, 0];
        bytes.extend_from_slice(payload);
        bytes
    };
    let (first, rest) = PING.as_bytes().split_at(40);
    client.get_mut().write_all(&[frame(0x01, first), frame(0x80, rest)].concat()).await.unwrap();
    assert_eq!(hear(&mut client).await["result"]["tag"], "pong");
    let parts = [frame(0x01, &[b' '; 100]), frame(0x00, &[b' '; 100]), frame(0x00, b" ")];
    client.get_mut().write_all(&parts.concat()).await.unwrap();
    assert_eq!(closed(&mut client).await.0, CloseCode::Size);
}

#[tokio::test]
async fn broken_text_and_broken_frames_are_told_apart() {
    let mut house = House::open(ApiConfig::default()).await;
    // A masked text frame of the byte 0xff; an unmasked frame; a frame with a reserved bit.
    let cases: [(&[u8], CloseCode); 3] = [
        (&[0x81, 0x81, 0, 0, 0, 0, 0xff], CloseCode::Invalid),
        (&[0x81, 0x02, b'{', b'}'], CloseCode::Protocol),
        (&[0xc1, 0x82, 0, 0, 0, 0, b'{', b'}'], CloseCode::Protocol),
    ];
    for (bytes, code) in cases {
        let (mut client, mut channel) = house.attached().await;
        client.get_mut().write_all(bytes).await.unwrap();
        assert_eq!(closed(&mut client).await.0, code, "{bytes:x?}");
        assert!(channel.requests.recv().await.is_none());
    }
}

#[tokio::test]
async fn a_binary_frame_is_answered_and_forgotten() {
    let mut house = House::open(ApiConfig::default()).await;
    let (mut client, _channel) = house.attached().await;
    client.send(Message::Binary(Bytes::from_static(b"\x00\xff"))).await.unwrap();
    let error = hear(&mut client).await["error"].clone();
    assert_eq!((&error["code"], &error["data"][0]["message"]), (&json!(-32000), &json!("text frames only")));
    say(&mut client, PING).await;
    assert_eq!(hear(&mut client).await["result"]["tag"], "pong");
}

#[tokio::test]
async fn a_websocket_ping_is_answered_with_its_payload() {
    let mut house = House::open(ApiConfig::default()).await;
    let (mut client, _channel) = house.attached().await;
    client.send(Message::Ping(Bytes::from_static(b"abc"))).await.unwrap();
    let pong = client.next().await.unwrap().unwrap();
    assert_eq!(pong, Message::Pong(Bytes::from_static(b"abc")));
}

#[tokio::test]
async fn a_batch_of_a_thousand_is_answered_at_once() {
    let mut house = House::open(ApiConfig::default()).await;
    let (mut client, mut channel) = house.attached().await;
    say(&mut client, &format!("[{}]", vec![LEAVE; 1_000].join(","))).await;
    let played = tokio::spawn(async move {
        for _ in 0..1_000 {
            let (ticket, request) = channel.next().await;
            assert_eq!(request, Request::Leave);
            channel.tell(Event::Update).await.unwrap();
            channel.answer(ticket, Answer::Ok).await;
        }
        channel
    });
    let answers = hear(&mut client).await;
    assert_eq!(answers.as_array().map(Vec::len), Some(1_000));
    for _ in 0..1_000 {
        assert_eq!(hear(&mut client).await["params"]["data"]["event"], "update");
    }
    let _channel = played.await.unwrap();
    say(&mut client, &format!("[{}]", vec![LEAVE; 1_001].join(","))).await;
    let error = hear(&mut client).await["error"].clone();
    assert_eq!(error["code"], -32000);
}

#[tokio::test]
async fn ten_thousand_frames_before_the_first_answer_is_read() {
    let mut house = House::open(ApiConfig::default()).await;
    let (mut client, mut channel) = house.attached().await;
    let played = tokio::spawn(async move {
        while let Some((ticket, _)) = channel.requests.recv().await.map(|asked| *asked) {
            channel.answer(ticket, Answer::Ok).await;
        }
    });
    for id in 0..10_000 {
        say(&mut client, &LEAVE.replace(":1,", &format!(":{id},"))).await;
    }
    for id in 0..10_000 {
        assert_eq!(hear(&mut client).await["id"], id);
    }
    drop(client);
    played.await.unwrap();
}

#[tokio::test]
async fn a_client_that_does_not_read_is_dropped_and_the_others_are_not() {
    let mut house = House::open(ApiConfig { max_outbox: 64 << 10, ..quick() }).await;
    let (slow, channel) = house.attached().await;
    let (mut client, mut other) = house.attached().await;
    let flood = tokio::spawn(async move { while channel.tell(Event::Update).await.is_ok() {} });
    // While the flood runs, the other client is served.
    say(&mut client, LEAVE).await;
    let (ticket, _) = other.next().await;
    other.answer(ticket, Answer::Ok).await;
    assert_eq!(hear(&mut client).await["result"], "ok");
    tokio::time::timeout(PATIENCE, flood).await.expect("the seat is given up").unwrap();
    say(&mut client, PING).await;
    assert_eq!(hear(&mut client).await["result"]["tag"], "pong");
    drop(slow);
}

#[tokio::test]
async fn a_client_that_pings_and_does_not_read_is_dropped() {
    let mut house = House::open(ApiConfig { max_outbox: 64 << 10, ..quick() }).await;
    let (mut client, mut channel) = house.attached().await;
    let flood = tokio::spawn(async move {
        // 125 bytes, the most that a ping holds; masked with zeros.
        let ping = [&[0x89, 0x80 | 125, 0, 0, 0, 0][..], &[7; 125]].concat();
        let many = ping.repeat(1_000);
        while client.get_mut().write_all(&many).await.is_ok() {}
    });
    let gone = tokio::time::timeout(PATIENCE, channel.requests.recv()).await;
    assert!(gone.expect("the seat is given up").is_none());
    flood.await.unwrap();
}

#[tokio::test]
async fn a_channel_that_is_busy_makes_its_client_wait_and_no_more() {
    let mut house = House::with(ApiConfig::default(), None, 1).await;
    let (mut client, mut channel) = house.attached().await;
    for id in 0..50 {
        say(&mut client, &LEAVE.replace(":1,", &format!(":{id},"))).await;
    }
    // Nothing is taken, yet what the channel says gets through.
    channel.tell(Event::Open).await.unwrap();
    assert_eq!(hear(&mut client).await["params"]["data"]["event"], "open");
    for id in 0..50 {
        let (ticket, _) = channel.next().await;
        channel.answer(ticket, Answer::Ok).await;
        assert_eq!(hear(&mut client).await["id"], id);
    }
}

#[tokio::test]
async fn a_client_with_many_open_requests_is_not_read() {
    let mut house = House::open(ApiConfig { max_unanswered: 3, ..ApiConfig::default() }).await;
    let (mut client, mut channel) = house.attached().await;
    for _ in 0..5 {
        say(&mut client, LEAVE).await;
    }
    let mut taken = Vec::new();
    for _ in 0..3 {
        taken.push(channel.next().await.0);
    }
    channel.tell(Event::Open).await.unwrap();
    hear(&mut client).await;
    assert!(channel.requests.try_recv().is_err(), "the fourth is not read");
    channel.answer(taken[0], Answer::Ok).await;
    hear(&mut client).await;
    channel.next().await;
}

#[tokio::test]
async fn a_client_that_leaves_gives_up_its_seat() {
    let mut house = House::open(ApiConfig::default()).await;
    let (mut client, mut channel) = house.attached().await;
    client.close(None).await.unwrap();
    assert!(channel.requests.recv().await.is_none());
    // The close is answered.
    assert!(matches!(client.next().await, Some(Ok(Message::Close(_)))));
    assert!(client.next().await.is_none());
    let (client, mut channel) = house.attached().await;
    drop(client);
    assert!(channel.requests.recv().await.is_none());
}

#[tokio::test]
async fn there_are_only_so_many_places() {
    let mut house = House::of(Sockets::at_most(1), ApiConfig::default(), None, 64).await;
    assert_eq!(house.sockets.open(), 0);
    let (first, mut channel) = house.attached().await;
    assert_eq!(house.sockets.open(), 1);
    let mut second = house.connect(OPEN).await;
    assert_eq!(hear(&mut second).await["error"]["code"], -32603);
    assert_eq!(house.sockets.open(), 1, "the second has none");
    assert_eq!(closed(&mut second).await.0, CloseCode::Normal);
    drop(first);
    assert!(channel.requests.recv().await.is_none());
    // The place is free once the first socket is through.
    loop {
        let mut third = house.connect(OPEN).await;
        if let Ok(_channel) = house.channels.try_recv() {
            break;
        }
        tokio::select! {
            message = third.next() => drop(message),
            channel = house.channels.recv() => { channel.unwrap(); break }
        }
    }
}

/// A desk that never makes up its mind.
#[derive(Clone)]
struct Undecided(mpsc::UnboundedSender<()>);

impl Desk for Undecided {
    async fn attach(&self, _attach: Attach) -> Result<Seat, OpenRefusal> {
        self.0.send(()).expect("the test wants to know");
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_socket_counts_from_before_it_has_a_seat_until_it_is_closed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (asked, mut asks) = mpsc::unbounded_channel();
    let (shutdown, on_shutdown) = oneshot::channel::<()>();
    let sockets = Sockets::at_most(usize::MAX);
    let desk = Undecided(asked);
    let served = tokio::spawn(serve(listener, desk, sockets.clone(), ApiConfig::default(), async {
        let _ = on_shutdown.await;
    }));
    let mut clients = Vec::new();
    for open in 1..=3 {
        let stream = TcpStream::connect(address).await.unwrap();
        let url = format!("ws://{address}/channel?{OPEN}");
        clients.push(tokio_tungstenite::client_async(url, stream).await.unwrap().0);
        asks.recv().await.unwrap();
        assert_eq!(sockets.open(), open);
    }
    shutdown.send(()).unwrap();
    for client in &mut clients {
        assert_eq!(closed(client).await.0, CloseCode::Away);
    }
    tokio::time::timeout(PATIENCE, served).await.expect("the server ends").unwrap();
    assert_eq!(sockets.open(), 0);
}

#[tokio::test]
async fn a_silent_client_is_closed() {
    let mut house =
        House::open(ApiConfig { idle_timeout: Duration::from_millis(50), ..ApiConfig::default() }).await;
    let (mut client, _channel) = house.attached().await;
    assert_eq!(closed(&mut client).await, (CloseCode::Normal, "idle".into()));
}

#[tokio::test]
async fn a_connection_that_never_asks_is_dropped() {
    let house =
        House::open(ApiConfig { head_timeout: Duration::from_millis(50), ..ApiConfig::default() }).await;
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    stream.write_all(b"GET /channel HTTP/1.1\r\nhost:").await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer))
        .await
        .expect("the connection ends")
        .unwrap();
}

#[tokio::test]
async fn a_shutdown_closes_every_socket_and_then_ends() {
    let mut house = House::open(ApiConfig::default()).await;
    let (mut client, mut channel) = house.attached().await;
    house.shutdown.take().unwrap().send(()).unwrap();
    assert_eq!(closed(&mut client).await.0, CloseCode::Away);
    assert!(channel.requests.recv().await.is_none());
    drop(client);
    tokio::time::timeout(PATIENCE, house.served).await.expect("the server ends").unwrap();
    assert!(TcpStream::connect(house.address).await.is_err());
}
