//! A service that plays its side of a recording, for accounts that it learns from the URLs, and lies where it is told.

mod words;

use std::path::PathBuf;
use std::sync::Mutex;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use strait_client::Role;
use strait_conformance::{Act, Chain, Endpoint, Service, ServiceError, Session, Step};
use strait_encoding::{AccountId, ChannelId, Coins, NetworkId, Nonce};
use strait_ledger::{SignedTx, Tx};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

pub use words::{Words, read};

/// The network of the stub: none that any recording was made in.
pub const NETWORK: &str = "stub_net";

type Tamper = Box<dyn Fn(usize, Value, &Words) -> Vec<Value> + Send + Sync>;
type Adjust = Box<dyn Fn(&mut Tx) + Send + Sync>;

/// What the service says, and where it lies.
pub struct Script {
    /// What it believes to have happened.
    pub session: Session,
    /// What goes out instead of the message of a step: nothing, something else, or more.
    pub tamper: Tamper,
    /// What is otherwise in every transaction from the start on.
    pub adjust: Adjust,
    /// Whether transactions commit to the trees that are shown.
    pub hashes_trees: bool,
    /// Whether clients must sign in the form of the recording.
    pub one_form: bool,
    /// How the service closes a socket; `None` for not at all.
    pub close_code: Option<u16>,
}

impl Script {
    pub fn of(mut session: Session) -> Self {
        stop_late(&mut session);
        Self {
            session,
            tamper: Box::new(|_, message, _| vec![message]),
            adjust: Box::new(|_| {}),
            hashes_trees: true,
            one_form: true,
            close_code: Some(1000),
        }
    }

    /// The script of one of the recordings in `sessions`.
    pub fn named(name: &str) -> Self {
        Self::of(Session::read(&recording(name)).unwrap())
    }

    pub fn tampered(
        mut self,
        tamper: impl Fn(usize, Value, &Words) -> Vec<Value> + Send + Sync + 'static,
    ) -> Self {
        self.tamper = Box::new(tamper);
        self
    }

    pub fn adjusted(mut self, adjust: impl Fn(&mut Tx) + Send + Sync + 'static) -> Self {
        self.adjust = Box::new(adjust);
        self
    }

    /// The step of the `nth` message, from 0, that `role` receives and that has `label`.
    pub fn step(&self, role: Role, label: &str, nth: usize) -> usize {
        let is_it =
            |act: &Act| matches!(act, Act::Receive(message) if strait_conformance::label(message) == label);
        let steps = self.session.steps.iter().enumerate();
        let mut found =
            steps.filter(|(_, step)| step.actor == role && is_it(&step.act)).map(|(place, _)| place);
        found.nth(nth).unwrap_or_else(|| panic!("no {label} at {nth}"))
    }
}

/// The player sends the second of two stops when the first is answered; the stub must not wait for it before that.
fn stop_late(session: &mut Session) {
    let is_stop =
        |step: &Step| matches!(&step.act, Act::Send(message) if message["params"]["action"] == "stop");
    let Some(stop) = session.steps.iter().rposition(is_stop) else { return };
    let stopped = session.steps.remove(stop);
    let next = session.steps[stop..].iter().position(|step| step.actor == stopped.actor).unwrap();
    let answers = |step: &Step| {
        step.actor != stopped.actor && matches!(&step.act, Act::Receive(m) if m["result"] == "ok")
    };
    let answered = session.steps[stop..].iter().position(answers).map_or(0, |place| place + 1);
    session.steps.insert(stop + next.max(answered), stopped);
}

/// The file of one of the recordings in `sessions`.
pub fn recording(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("sessions").join(format!("{name}.json"))
}

/// A service that plays one script.
pub struct Stub {
    endpoint: Endpoint,
    pub funded: Mutex<Vec<AccountId>>,
    pub submitted: Mutex<Vec<SignedTx>>,
    pub unlocked: Mutex<Vec<ChannelId>>,
    playing: tokio::task::JoinHandle<Result<(), String>>,
}

impl Stub {
    pub async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ws_url = format!("ws://{}/channel", listener.local_addr().unwrap());
        let endpoint = Endpoint { ws_url, network: NetworkId(NETWORK.to_owned()) };
        let words = Words::of(&script);
        let replay = Replay { script, words, listener, sockets: [Vec::new(), Vec::new()] };
        let (funded, submitted, unlocked) = Default::default();
        Self { endpoint, funded, submitted, unlocked, playing: tokio::spawn(replay.all()) }
    }

    /// What the stub has to complain about the clients.
    pub async fn complaint(self) -> Option<String> {
        self.playing.await.unwrap().err()
    }
}

/// The nonce that any account comes to next.
pub const NEXT_NONCE: Nonce = Nonce(29);

impl Service for Stub {
    type Chain = Self;

    async fn start(&self) -> Result<Endpoint, ServiceError> {
        Ok(self.endpoint.clone())
    }

    async fn chain(&self) -> Result<&Self, ServiceError> {
        Ok(self)
    }
}

impl Chain for Stub {
    async fn network(&self) -> Result<NetworkId, ServiceError> {
        Ok(self.endpoint.network.clone())
    }

    async fn fund(&self, account: AccountId, coins: Coins) -> Result<(), ServiceError> {
        assert!(coins > Coins(200_000_000_000_000), "{coins}");
        self.funded.lock().unwrap().push(account);
        Ok(())
    }

    async fn next_nonce(&self, _: AccountId) -> Result<Nonce, ServiceError> {
        Ok(NEXT_NONCE)
    }

    async fn submit(&self, tx: &SignedTx) -> Result<(), ServiceError> {
        self.submitted.lock().unwrap().push(tx.clone());
        Ok(())
    }

    async fn attached(&self, account: AccountId) -> Result<(), ServiceError> {
        assert!(self.funded.lock().unwrap().contains(&account));
        Ok(())
    }

    async fn unlock(&self, channel: ChannelId) -> Result<(), ServiceError> {
        self.unlocked.lock().unwrap().push(channel);
        Ok(())
    }
}

struct Replay {
    script: Script,
    words: Words,
    listener: TcpListener,
    sockets: [Vec<Socket>; 2],
}

struct Socket {
    stream: WebSocketStream<TcpStream>,
    channel: Option<String>,
    ended: bool,
}

impl Replay {
    async fn all(mut self) -> Result<(), String> {
        let steps = self.script.session.steps.clone();
        for (number, step) in steps.iter().enumerate() {
            let side = usize::from(step.actor == Role::Responder);
            let done = match &step.act {
                Act::Open(url) => self.open(step.actor, url).await,
                Act::Send(message) => self.hear(side, message).await,
                Act::Receive(message) => self.say(number, side, message).await,
                Act::Close => self.close(side).await,
            };
            done.map_err(|complaint| format!("step {number}: {complaint}"))?;
        }
        for side in [0, 1] {
            while !self.sockets[side].is_empty() {
                self.close(side).await?;
            }
        }
        Ok(())
    }

    #[expect(clippy::result_large_err, reason = "the callback's type is the library's")]
    async fn open(&mut self, role: Role, recorded: &str) -> Result<(), String> {
        let (stream, _) = self.listener.accept().await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let mut url = String::new();
        let read = |request: &Request, response: Response| {
            url = request.uri().to_string();
            Ok(response)
        };
        let stream = accept_hdr_async(stream, read).await.map_err(|error| error.to_string())?;
        self.words.learn_url(recorded, &url)?;
        self.sockets[usize::from(role == Role::Responder)].push(Socket {
            stream,
            channel: None,
            ended: false,
        });
        Ok(())
    }

    async fn hear(&mut self, side: usize, recorded: &Value) -> Result<(), String> {
        let socket = self.sockets[side].last_mut().ok_or("nobody is there to hear")?;
        loop {
            match socket.stream.next().await {
                Some(Ok(Message::Text(text))) => {
                    let live = serde_json::from_str(&text).map_err(|error| error.to_string())?;
                    return self.words.learn_message(recorded, &live);
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => return Err(format!("expected {recorded}, got {other:?}")),
            }
        }
    }

    async fn say(&mut self, step: usize, side: usize, recorded: &Value) -> Result<(), String> {
        let stamp = recorded.get("params").unwrap_or(recorded)["channel_id"].as_str();
        let sockets = &mut self.sockets[side];
        let of_channel =
            sockets.iter().position(|socket| stamp.is_some() && socket.channel.as_deref() == stamp);
        let place = of_channel.or(sockets.len().checked_sub(1)).ok_or("nobody is there to tell")?;
        let socket = &mut sockets[place];
        socket.channel = socket.channel.take().or(stamp.map(str::to_owned));
        socket.ended |= recorded["params"]["data"]["event"] == "died"
            || recorded["error"]["request"].as_object().is_some_and(|r| r.is_empty());
        let message = self.words.live_message(recorded, &self.script.adjust);
        for message in (self.script.tamper)(step, message, &self.words) {
            // A client that has found a fault is gone.
            socket
                .stream
                .send(Message::text(message.to_string()))
                .await
                .map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    async fn close(&mut self, side: usize) -> Result<(), String> {
        let sockets = &mut self.sockets[side];
        let place = sockets.iter().position(|socket| socket.ended).unwrap_or(sockets.len() - 1);
        let mut socket = sockets.remove(place);
        if let (true, Some(code)) = (socket.ended, self.script.close_code) {
            let frame = CloseFrame { code: CloseCode::from(code), reason: "".into() };
            socket.stream.close(Some(frame)).await.map_err(|error| error.to_string())?;
        }
        // Clients read what is left when they come to it; the second of two stops may come after the end.
        let rest = async move { while socket.stream.next().await.is_some_and(|message| message.is_ok()) {} };
        tokio::spawn(rest);
        Ok(())
    }
}
