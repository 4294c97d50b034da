//! The chain of a node, against a node in miniature.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use strait_conformance::{Chain, Endpoint, NodeChain, Running, Service, ServiceError};
use strait_encoding::text::{self, Prefix};
use strait_encoding::{AccountId, ChannelId, Coins, Id, NetworkId, Nonce, Round, SecretKey, StateHash};
use strait_ledger::{OffchainTx, Protocol, SignedTx, Tx, min_fee};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What the node has been asked, and what it does with payments.
struct Node {
    asked: Mutex<Vec<String>>,
    refuses: bool,
    paid: Mutex<Option<SignedTx>>,
}

impl Node {
    async fn start(refuses: bool) -> (String, Arc<Self>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let node = Arc::new(Self { asked: Mutex::default(), refuses, paid: Mutex::default() });
        let serving = node.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                serving.serve(stream).await;
            }
        });
        (address, node)
    }

    async fn serve(&self, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        let (mut request, mut length) = (String::new(), 0);
        stream.read_line(&mut request).await.unwrap();
        let mut header = String::new();
        while stream.read_line(&mut header).await.unwrap() > 2 {
            if let Some(number) = header.to_ascii_lowercase().strip_prefix("content-length:") {
                length = number.trim().parse().unwrap();
            }
            header.clear();
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        let words: Vec<_> = request.split(' ').collect();
        let (status, answer) = self.answer(&format!("{} {}", words[0], words[1]), &body);
        let answer = answer.to_string();
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            answer.len()
        );
        stream.write_all((head + &answer).as_bytes()).await.unwrap();
    }

    fn answer(&self, request: &str, body: &[u8]) -> (u16, Value) {
        self.asked.lock().unwrap().push(request.to_owned());
        match request {
            "GET /v3/status" => (200, json!({ "network_id": "ae_test", "node_version": "7.2.2" })),
            "POST /v3/transactions" if self.refuses => {
                (400, json!({ "reason": "Invalid tx", "error_code": "nonce_too_low" }))
            }
            "POST /v3/transactions" => {
                let body: Value = serde_json::from_slice(body).unwrap();
                let bytes = text::decode(Prefix::Transaction, body["tx"].as_str().unwrap()).unwrap();
                *self.paid.lock().unwrap() = Some(SignedTx::decode(&bytes).unwrap());
                (200, json!({ "tx_hash": "th_x" }))
            }
            _ if request.starts_with("GET /v3/channels/") => (200, json!({ "locked_until": 12, "round": 3 })),
            // A block with every look.
            "GET /v3/key-blocks/current/height" => (200, json!({ "height": 9 + self.times(request) })),
            _ if request.ends_with("/next-nonce") => (200, json!({ "next_nonce": 7 })),
            // The coins arrive with the second look.
            _ => match self.times(request) {
                1 => (404, json!({ "reason": "Account not found" })),
                _ => (200, json!({ "balance": 12_345_678_901_234_567_890_u128, "nonce": 0 })),
            },
        }
    }

    /// How often this was asked by now.
    fn times(&self, request: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| *asked == request).count()
    }
}

#[tokio::test]
async fn a_payment_is_signed_sent_and_waited_for() {
    let (base, node) = Node::start(false).await;
    let (payer, payee) = (SecretKey::from_seed([1; 32]), AccountId([2; 32]));
    let service =
        Running::new("ws://localhost:3014/channel", NodeChain::new(format!("{base}/"), payer.clone()));
    let endpoint = service.start().await.unwrap();
    let network = NetworkId("ae_test".to_owned());
    assert_eq!(
        endpoint,
        Endpoint { ws_url: "ws://localhost:3014/channel".to_owned(), network: network.clone() }
    );

    service.chain().await.unwrap().fund(payee, Coins(5_000)).await.unwrap();
    let tx = node.paid.lock().unwrap().clone().unwrap();
    tx.verify(&network, &[payer.account()]).unwrap();
    assert!(tx.tx().fee() >= min_fee(tx.tx(), Protocol::Ceres));
    let Tx::Spend(spend) = tx.tx() else { panic!("{tx:?}") };
    assert_eq!((spend.recipient_id, spend.amount, spend.nonce.0), (Id::Account(payee), Coins(5_000), 7));
    let asked = node.asked.lock().unwrap().clone();
    let (me, them) = (payer.account(), payee);
    let expected = [
        "GET /v3/status".to_owned(),
        format!("GET /v3/accounts/{me}/next-nonce"),
        "GET /v3/status".to_owned(),
        "POST /v3/transactions".to_owned(),
        format!("GET /v3/accounts/{them}"),
        format!("GET /v3/accounts/{them}"),
    ];
    assert_eq!(asked, expected);
}

#[tokio::test]
async fn a_refusal_says_what_the_node_said() {
    let (base, _node) = Node::start(true).await;
    let service = Running::new("", NodeChain::new(base.clone(), SecretKey::from_seed([1; 32])));
    let refused = service.chain().await.unwrap().fund(AccountId([2; 32]), Coins(1)).await.unwrap_err();
    let ServiceError::Refused { url, status, body } = refused else { panic!("{refused}") };
    assert_eq!((url, status), (format!("{base}/v3/transactions"), 400));
    assert!(body.contains("nonce_too_low"), "{body}");
}

#[tokio::test]
async fn nobody_there_and_another_scheme() {
    for base in ["http://127.0.0.1:1", "https://127.0.0.1:1"] {
        let service = Running::new("", NodeChain::new(base, SecretKey::from_seed([1; 32])));
        let refused = service.start().await.unwrap_err();
        assert!(matches!(refused, ServiceError::Http { .. }), "{refused}");
    }
}

#[tokio::test]
async fn a_lock_period_is_waited_for_to_its_last_block() {
    let (base, node) = Node::start(false).await;
    let chain = NodeChain::new(base, SecretKey::from_seed([1; 32]));
    let channel = ChannelId([3; 32]);
    chain.unlock(channel).await.unwrap();
    let height = "GET /v3/key-blocks/current/height".to_owned();
    // Heights 10, 11, 12, and 13, at which the channel that is locked until 12 can be settled in the reference.
    let expected = [vec![format!("GET /v3/channels/{channel}")], vec![height; 4]].concat();
    assert_eq!(*node.asked.lock().unwrap(), expected);
}

#[tokio::test]
async fn a_transaction_is_posted_as_it_is() {
    let (base, node) = Node::start(false).await;
    let chain = NodeChain::new(base, SecretKey::from_seed([1; 32]));
    assert_eq!(chain.next_nonce(AccountId([2; 32])).await.unwrap(), Nonce(7));
    let (channel_id, state_hash) = (ChannelId([1; 32]), StateHash([2; 32]));
    let tx = SignedTx::unsigned(OffchainTx { channel_id, round: Round(1), state_hash });
    chain.submit(&tx).await.unwrap();
    assert_eq!(*node.paid.lock().unwrap(), Some(tx.clone()));

    let (base, _node) = Node::start(true).await;
    let refused = NodeChain::new(base, SecretKey::from_seed([1; 32])).submit(&tx).await.unwrap_err();
    assert!(matches!(refused, ServiceError::Refused { status: 400, .. }), "{refused}");
}
