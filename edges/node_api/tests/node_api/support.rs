//! A served chain, and a client of it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use strait_encoding::{AccountId, Coins, Height, Id, NetworkId, Nonce, SecretKey, SignedForm, TxHash};
use strait_ledger::{Chain, ChainConfig, SignedTx, SpendPayload, SpendTx, Tx};
use strait_node_api::{Limits, Node, Refused, serve_within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Twice what the transactions of these tests need.
pub const FEE: Coins = Coins(40_000_000_000_000);

/// A chain without clock and disk.
#[derive(Clone)]
pub struct Stub {
    chain: Arc<Mutex<Chain>>,
    closed: bool,
}

impl Node for Stub {
    fn view(&self) -> Arc<Chain> {
        Arc::new(self.chain.lock().unwrap().clone())
    }

    async fn submit(&self, tx: SignedTx) -> Result<TxHash, Refused> {
        if self.closed {
            return Err(Refused::Unavailable("the chain is closed".to_owned()));
        }
        self.chain.lock().unwrap().submit(tx).map_err(Refused::Pool)
    }
}

/// A chain that is being served.
pub struct Served {
    stub: Stub,
    pub address: SocketAddr,
    pub stop: Option<oneshot::Sender<()>>,
    pub task: JoinHandle<()>,
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    head: String,
    pub body: String,
}

impl Reply {
    /// What came over a connection that was closed after it.
    pub fn read(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head in {text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Status, name of the error, reason: as the recorded errors are written.
    pub fn error(&self) -> Value {
        if self.body.is_empty() {
            return json!([self.status, null, null]);
        }
        let body = self.json();
        json!([self.status, body["error_code"], body["reason"]])
    }
}

pub fn network() -> NetworkId {
    NetworkId("ae_dev".to_owned())
}

pub fn key(number: u8) -> SecretKey {
    SecretKey::from_seed([number; 32])
}

pub fn account(number: u8) -> AccountId {
    key(number).account()
}

/// A chain at height 1, where accounts 1 to 4 own 10^22 aettos, served.
pub async fn served() -> Served {
    served_as(false).await
}

/// As [`served`]; one that is closed takes no transactions.
pub async fn served_as(closed: bool) -> Served {
    served_within(Limits::default(), config(), closed).await
}

/// What the chain of these tests is made of.
pub fn config() -> ChainConfig {
    let accounts = (1..=4).map(|number| (account(number), Coins(10_u128.pow(22)))).collect();
    ChainConfig::new(network(), accounts)
}

/// As [`served_as`], with other limits or another chain.
pub async fn served_within(limits: Limits, config: ChainConfig, closed: bool) -> Served {
    let mut chain = Chain::new(config);
    chain.mine_key_block(1_700_000_000_000);
    let stub = Stub { chain: Arc::new(Mutex::new(chain)), closed };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(serve_within(limits, listener, stub.clone(), async {
        let _ = stopped.await;
    }));
    Served { stub, address, stop: Some(stop), task }
}

impl Served {
    /// The chain, to mine on.
    pub fn chain(&self) -> std::sync::MutexGuard<'_, Chain> {
        self.stub.chain.lock().unwrap()
    }

    /// One micro block of what waits.
    pub fn mine(&self) {
        self.chain().mine_micro_block(0);
    }

    pub fn key_blocks(&self, count: u32) {
        (0..count).for_each(|_| drop(self.chain().mine_key_block(0)));
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.request(&format!("GET {path} HTTP/1.1\r\n\r\n")).await
    }

    /// The body of an answer that must be one of status 200.
    pub async fn ok(&self, path: &str) -> Value {
        let reply = self.get(path).await;
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
        reply.json()
    }

    pub async fn post(&self, path: &str, body: &str) -> Reply {
        self.post_as("application/json", path, body).await
    }

    /// A POST of a body of this kind.
    pub async fn post_as(&self, kind: &str, path: &str, body: &str) -> Reply {
        self.request(&post_text(path, kind, body)).await
    }

    /// Sends a transaction.
    pub async fn send(&self, tx: &SignedTx) -> Reply {
        self.post("/v3/transactions", &json!({ "tx": tx.to_text() }).to_string()).await
    }

    /// Sends a transaction that must be taken; its hash.
    pub async fn take(&self, tx: &SignedTx) -> String {
        let reply = self.send(tx).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()["tx_hash"].as_str().unwrap().to_owned()
    }

    /// A request of its own connection. The first line is followed by the headers that every request has.
    pub async fn request(&self, request: &str) -> Reply {
        request_of(self.address, request).await
    }
}

/// As [`Served::request`], of any server.
pub async fn request_of(address: SocketAddr, request: &str) -> Reply {
    let (line, rest) = request.split_once("\r\n").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{line}\r\nHost: localhost\r\nConnection: close\r\n{rest}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    Reply::read(&reply)
}

/// A POST of a body of this kind, as it is written.
pub fn post_text(path: &str, kind: &str, body: &str) -> String {
    let head = format!("POST {path} HTTP/1.1\r\nContent-Type: {kind}\r\nContent-Length: {}", body.len());
    format!("{head}\r\n\r\n{body}")
}

/// `tx` signed over its hash by these accounts.
pub fn signed(tx: impl Into<Tx>, signers: &[u8]) -> SignedTx {
    let tx = SignedTx::unsigned(tx);
    let bytes = tx.unsigned_bytes().to_vec();
    signers
        .iter()
        .fold(tx, |tx, number| tx.with_signature(key(*number).sign(&network(), &bytes, SignedForm::Hash)))
}

/// Account 1 sends account 2 one aetto.
pub fn spend_tx(nonce: u64) -> SpendTx {
    SpendTx {
        sender_id: account(1),
        recipient_id: Id::Account(account(2)),
        amount: Coins(1),
        fee: FEE,
        ttl: Height(0),
        nonce: Nonce(nonce),
        payload: SpendPayload::default(),
    }
}

pub fn spend(nonce: u64) -> SignedTx {
    signed(spend_tx(nonce), &[1])
}
