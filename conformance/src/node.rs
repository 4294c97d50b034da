//! A chain with an HTTP interface (`docs/protocol/chain_service` §4), and an account there that pays.

use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use strait_encoding::{AccountId, ChannelId, Coins, Height, Id, NetworkId, Nonce, SecretKey, SignedForm};
use strait_ledger::{Protocol, SignedTx, SpendPayload, SpendTx, Tx, choose_fee};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use crate::{Chain, ServiceError};

/// How long coins may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(60);
/// How long a lock period may take.
const UNLOCKING: Duration = Duration::from_secs(120);
/// How often to look.
const LOOK: Duration = Duration::from_millis(50);
/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(10);
/// The largest answer that is read, in bytes.
const MAX_ANSWER: usize = 1 << 20;

/// The chain of a node, with an account that pays. Payments follow one another: the next one needs the nonce after the last.
#[derive(Debug)]
pub struct NodeChain {
    base: String,
    key: SecretKey,
    turn: Mutex<()>,
}

impl NodeChain {
    /// The account of `key` at the node whose HTTP interface is at `base`, `http://localhost:3013`.
    pub fn new(base: impl Into<String>, key: SecretKey) -> Self {
        let base = base.into().trim_end_matches('/').to_owned();
        Self { base, key, turn: Mutex::new(()) }
    }

    async fn spend(&self, recipient: AccountId, amount: Coins) -> Result<(), ServiceError> {
        let sender_id = self.key.account();
        let nonce = self.next_nonce(sender_id).await?;
        let network = self.network().await?;
        let tx = SpendTx {
            sender_id,
            recipient_id: Id::Account(recipient),
            amount,
            fee: Coins::ZERO,
            ttl: Height(0),
            nonce,
            payload: SpendPayload::default(),
        };
        let tx = SignedTx::unsigned(choose_fee(Tx::Spend(tx), None, None, Protocol::default())?);
        let signature = self.key.sign(&network, tx.unsigned_bytes(), SignedForm::Hash);
        self.submit(&tx.with_signature(signature)).await
    }

    async fn balance(&self, account: AccountId) -> Result<Coins, ServiceError> {
        match self.get(&format!("/v3/accounts/{account}")).await {
            Ok(found) => Ok(serde_json::from_value(found["balance"].clone()).unwrap_or_default()),
            Err(ServiceError::Refused { status: 404, .. }) => Ok(Coins::ZERO),
            Err(error) => Err(error),
        }
    }

    async fn get(&self, path: &str) -> Result<Value, ServiceError> {
        self.request(Method::GET, path, None).await
    }

    /// One field of an answer.
    async fn field<T: DeserializeOwned>(&self, path: &str, name: &str) -> Result<T, ServiceError> {
        let found = self.get(path).await?.get(name).cloned().unwrap_or_default();
        serde_json::from_value(found).map_err(|error| self.broken(path, &format!("`{name}`: {error}")))
    }

    async fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, ServiceError> {
        let asked = timeout(REQUEST, self.exchange(method, path, body)).await;
        let (status, body) = asked
            .unwrap_or_else(|_| Err("no answer in time".to_owned()))
            .map_err(|what| ServiceError::Http { url: format!("{}{path}", self.base), what })?;
        if status != 200 {
            let body = String::from_utf8_lossy(&body).chars().take(500).collect();
            return Err(ServiceError::Refused { url: format!("{}{path}", self.base), status, body });
        }
        serde_json::from_slice(&body).map_err(|error| self.broken(path, &error.to_string()))
    }

    /// One request over a connection of its own.
    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(u16, Bytes), String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let host = self.base.strip_prefix("http://").ok_or("only http:// addresses are understood")?;
        let address = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
        let stream = TcpStream::connect(address).await.map_err(|error| text(&error))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| text(&error))?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", host)
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body.map_or(String::new(), Value::to_string))))
            .map_err(|error| text(&error))?;
        let answered = async {
            let response = sender.send_request(request).await.map_err(|error| text(&error))?;
            let status = response.status().as_u16();
            let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
            Ok((status, body.map_err(|error| text(&error))?.to_bytes()))
        };
        tokio::pin!(answered, connection);
        tokio::select! {
            biased;
            answer = &mut answered => answer,
            ended = &mut connection => {
                ended.map_err(|error| text(&error))?;
                answered.await
            }
        }
    }

    fn broken(&self, path: &str, what: &str) -> ServiceError {
        ServiceError::Http { url: format!("{}{path}", self.base), what: what.to_owned() }
    }
}

impl Chain for NodeChain {
    async fn network(&self) -> Result<NetworkId, ServiceError> {
        self.field("/v3/status", "network_id").await.map(NetworkId)
    }

    async fn fund(&self, account: AccountId, coins: Coins) -> Result<(), ServiceError> {
        let _turn = self.turn.lock().await;
        self.spend(account, coins).await?;
        let begun = Instant::now();
        while self.balance(account).await? < coins {
            if begun.elapsed() > ARRIVAL {
                return Err(ServiceError::NotFunded { account, seconds: ARRIVAL.as_secs() });
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    async fn next_nonce(&self, account: AccountId) -> Result<Nonce, ServiceError> {
        self.field(&format!("/v3/accounts/{account}/next-nonce"), "next_nonce").await.map(Nonce)
    }

    async fn submit(&self, tx: &SignedTx) -> Result<(), ServiceError> {
        let body = json!({ "tx": tx.to_text() });
        self.request(Method::POST, "/v3/transactions", Some(&body)).await?;
        Ok(())
    }

    async fn attached(&self, account: AccountId) -> Result<(), ServiceError> {
        let begun = Instant::now();
        while self.get(&format!("/v3/accounts/{account}")).await?["kind"] != "generalized" {
            if begun.elapsed() > ARRIVAL {
                return Err(ServiceError::NotAttached { account, seconds: ARRIVAL.as_secs() });
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    async fn unlock(&self, channel: ChannelId) -> Result<(), ServiceError> {
        let path = format!("/v3/channels/{channel}");
        let locked_until = self.field(&path, "locked_until").await.map(Height)?;
        let begun = Instant::now();
        loop {
            let height = self.field("/v3/key-blocks/current/height", "height").await.map(Height)?;
            if height > locked_until {
                return Ok(());
            }
            if begun.elapsed() > UNLOCKING {
                let seconds = UNLOCKING.as_secs();
                return Err(ServiceError::StillLocked { channel, locked_until, height, seconds });
            }
            sleep(LOOK).await;
        }
    }
}
