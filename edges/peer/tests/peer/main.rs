//! The crate from outside: two of our own sides with each other, and each with a peer made of bare parts.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bare;
mod dialling;
mod listening;
mod sessions;

use std::collections::BTreeSet;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use strait_peer::{
    Accepted, DialPolicy, ListenConfig, ListenError, ListenLimits, Listeners, Listening, Ports, Session, dial,
};
use tokio::sync::mpsc;

const HOST: &str = "127.0.0.1";
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Longer than anything here takes: a test that waits for it has failed.
const SOON: Duration = Duration::from_secs(4);

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, what).await.expect("does not come")
}

/// Listeners on any loopback port, and the sessions they accept.
fn listeners(limits: ListenLimits, capacity: usize) -> (Listeners, mpsc::Receiver<Accepted>) {
    let (sender, accepted) = mpsc::channel(capacity);
    let mut config = ListenConfig::new(LOOPBACK, Ports::Any).unwrap();
    config.limits = limits;
    (Listeners::new(config, sender), accepted)
}

fn free_port() -> u16 {
    std::net::TcpListener::bind((LOOPBACK, 0)).unwrap().local_addr().unwrap().port()
}

/// Opens a port that is free; another test may take a free one first.
async fn open_free(listeners: &Listeners) -> Listening {
    loop {
        match listeners.open(free_port()).await {
            Ok(listening) => return listening,
            Err(ListenError::Bind { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

/// Dials and says `first`, and gives both ends.
async fn meet(port: u16, accepted: &mut mpsc::Receiver<Accepted>, first: &[u8]) -> (Halves, Accepted) {
    let (outbound, inbound) = soon(dial(HOST, port, &DialPolicy::default())).await.unwrap().split();
    outbound.send(first).unwrap();
    ((outbound, inbound), soon(accepted.recv()).await.unwrap())
}

type Halves = (strait_peer::Outbound, strait_peer::Inbound);

/// A dialled and an accepted session; the port is closed already.
async fn pair() -> (Halves, Halves) {
    let (listeners, mut accepted) = listeners(ListenLimits::default(), 1);
    let listening = open_free(&listeners).await;
    let (dialled, accepted) = meet(listening.port(), &mut accepted, b"hello").await;
    (dialled, Session::split(accepted.session))
}

fn only(ports: impl IntoIterator<Item = u16>) -> Ports {
    Ports::List(BTreeSet::from_iter(ports))
}
