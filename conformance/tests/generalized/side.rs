//! One side of a channel, frame by frame: whatever it is asked to authenticate it does.

use std::time::Duration;

use serde_json::{Value, json};
use strait_client::{Connection, OpenParams};
use strait_encoding::ChannelId;
use strait_encoding::text::{self, Prefix};
use strait_ledger::SignedTx;
use tokio::time::timeout;

use crate::account::Member;

/// Long enough for whatever does come.
const LIMIT: Duration = Duration::from_secs(30);

pub struct Side {
    connection: Connection,
    pub member: Member,
    pub channel: Option<ChannelId>,
}

/// The transaction in a message.
pub fn read(tx: &Value) -> SignedTx {
    SignedTx::decode(&text::decode(Prefix::Transaction, tx.as_str().unwrap()).unwrap()).unwrap()
}

impl Side {
    pub async fn connect(url: &str, params: &OpenParams, member: Member) -> Self {
        let connection = Connection::connect(&format!("{url}?{}", params.query())).await.unwrap();
        Self { connection, member, channel: None }
    }

    /// Sends a request without an id: only what goes wrong is answered at once.
    pub async fn request(&mut self, method: &str, params: Value) {
        let message = json!({ "jsonrpc": "2.0", "method": method, "params": params });
        self.connection.send_value(&message).await.unwrap();
    }

    /// The next notification of this method: its data.
    pub async fn until(&mut self, method: &str) -> Value {
        self.until_that(method, |_| true).await
    }

    /// The next notification of this method whose data are so.
    pub async fn until_that(&mut self, method: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let next = async {
            loop {
                let (found, data) = self.next().await;
                if found == method && is_it(&data) {
                    return data;
                }
            }
        };
        timeout(LIMIT, next).await.unwrap_or_else(|_| panic!("no {method} came"))
    }

    /// The state that both have agreed on next, which the trees of this side have, too.
    pub async fn agreed(&mut self) -> SignedTx {
        read(&self.until("channels.update").await["state"])
    }

    /// The next notification, whatever it is; what is to be authenticated is authenticated.
    pub async fn next(&mut self) -> (String, Value) {
        let frame = self.connection.next().await.unwrap().expect("the channel lives");
        let mut message = frame.value().unwrap();
        assert!(message.get("error").is_none(), "{message}");
        let method = message["method"].as_str().unwrap().to_owned();
        let params = message["params"].take();
        if let Some(channel) = params["channel_id"].as_str() {
            self.channel = Some(channel.parse().unwrap());
        }
        if let Some(tag) = method.strip_prefix("channels.sign.") {
            let signed = self.member.authenticated(read(&params["data"]["signed_tx"]));
            self.request(&format!("channels.{tag}"), json!({ "signed_tx": signed.to_text() })).await;
        }
        (method, params["data"].clone())
    }

    /// The event that this side hears last but its end.
    pub async fn last_event(&mut self) -> String {
        let mut last = String::new();
        loop {
            let data = self.until("channels.info").await;
            match data["event"].as_str().unwrap() {
                "died" => return last,
                event => event.clone_into(&mut last),
            }
        }
    }

    /// What these accounts have in the channel, in this side's view.
    pub async fn balances(&mut self, accounts: [String; 2]) -> [u64; 2] {
        self.request("channels.get.balances", json!({ "accounts": accounts })).await;
        let found = self.until("channels.get.balances.reply").await;
        let of = |place: usize| {
            assert_eq!(found[place]["account"], accounts[place]);
            found[place]["balance"].as_u64().unwrap()
        };
        [of(0), of(1)]
    }
}
