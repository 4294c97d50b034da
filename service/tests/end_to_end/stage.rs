//! What the tests share: a service of their own, and channels in it.

use std::net::TcpListener;

use strait_client::{OpenParams, Outcome, Party, Role, Terms};
use strait_encoding::{Coins, SecretKey};
use strait_service::Dev;
use strait_service::config::{Config, HostPort, WindowAddr};
use strait_store::Durability;

pub const AMOUNT: Coins = Coins(1_000_000_000_000_000);

pub fn any_port() -> HostPort {
    HostPort { host: "127.0.0.1".to_owned(), port: 0 }
}

pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

pub fn config() -> Config {
    Config {
        channel_addr: any_port(),
        node_addr: any_port(),
        operator_addr: WindowAddr(None),
        durability: Durability::Process,
        ..Config::default()
    }
}

pub async fn dev() -> Dev {
    Dev::start(&config()).await.unwrap()
}

/// Two parties of the prefunded accounts and what they open their channel with.
pub struct Pair {
    pub initiator: SecretKey,
    pub responder: SecretKey,
    pub port: u16,
}

impl Pair {
    /// The `number`-th pair of prefunded accounts: two tests with one service take different ones.
    pub fn of(dev: &Dev, number: usize) -> Self {
        let accounts = dev.accounts();
        Self::new(accounts[2 * number].key.clone(), accounts[2 * number + 1].key.clone())
    }

    pub fn new(initiator: SecretKey, responder: SecretKey) -> Self {
        Self { initiator, responder, port: free_port() }
    }

    pub fn params(&self, role: Role) -> OpenParams {
        let terms = Terms {
            initiator_amount: AMOUNT,
            responder_amount: AMOUNT,
            push_amount: Coins(0),
            channel_reserve: Coins(1_000),
            lock_period: 10,
        };
        OpenParams::new(role, self.port, Some(self.initiator.account()), self.responder.account(), terms)
            .host("127.0.0.1")
            .keep_running(false)
    }

    pub async fn open(&self, url: &str) -> (Party, Party) {
        let (ours, theirs) = (self.params(Role::Initiator), self.params(Role::Responder));
        tokio::try_join!(
            Party::open(url, &ours, self.initiator.clone()),
            Party::open(url, &theirs, self.responder.clone())
        )
        .unwrap()
    }
}

/// `payer` pays while `payee` signs what it is asked to; both know the new round afterwards.
pub async fn pay(payer: &mut Party, payee: &mut Party, amount: u128) -> Outcome {
    tokio::select! {
        outcome = payer.pay(Coins(amount), &["a payment"]) => outcome.unwrap(),
        ended = payee.serve() => panic!("the channel ended: {ended:?}"),
    }
}

pub fn round_of(outcome: &Outcome) -> u64 {
    match outcome {
        Outcome::Agreed { round, .. } => round.0,
        other => panic!("no agreement: {other:?}"),
    }
}
