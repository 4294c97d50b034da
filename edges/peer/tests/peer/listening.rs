use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use strait_peer::{DialPolicy, ListenConfig, ListenError, ListenLimits, Listeners, Ports, dial};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::bare::{Bare, closes, connect, prefixed};
use crate::{HOST, LOOPBACK, free_port, listeners, meet, only, open_free, soon};

const MOMENT: Duration = Duration::from_millis(50);

/// Returns when `port` refuses connections.
async fn refused(port: u16) {
    let probing = async {
        while TcpStream::connect((LOOPBACK, port)).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    soon(probing).await;
}

#[tokio::test]
async fn an_accepted_session_comes_with_its_port_and_first_message() {
    let (listeners, mut accepted) = listeners(ListenLimits::default(), 4);
    let (one, two) = (open_free(&listeners).await, open_free(&listeners).await);
    for listening in [&two, &one] {
        let (_dialled, accepted) = meet(listening.port(), &mut accepted, b"which channel").await;
        assert_eq!(accepted.port, listening.port());
        assert_eq!(accepted.first, b"which channel");
        assert!(accepted.session.peer_addr().ip().is_loopback());
    }
}

#[tokio::test]
async fn a_shared_port_stays_open_until_the_last_share_is_dropped() {
    let (listeners, mut accepted) = listeners(ListenLimits::default(), 4);
    let first = open_free(&listeners).await;
    let port = first.port();
    let second = listeners.clone().open(port).await.unwrap();
    drop(first);
    let ((outbound, _inbound), delivered) = meet(port, &mut accepted, b"one").await;

    drop(second);
    refused(port).await;

    // What was delivered is not the port's any more.
    let (_other, mut inbound) = delivered.session.split();
    outbound.send(b"two").unwrap();
    assert_eq!(soon(inbound.next()).await.unwrap(), Some(b"two".to_vec()));
}

#[tokio::test]
async fn a_port_can_be_opened_again_at_once() {
    let (listeners, mut accepted) = listeners(ListenLimits::default(), 4);
    let mut listening = open_free(&listeners).await;
    let port = listening.port();
    for _ in 0..5 {
        let (_dialled, delivered) = meet(port, &mut accepted, b"hello").await;
        // Our side closes first: the connection lingers in the system under this port.
        drop(delivered);
        drop(listening);
        listening = soon(listeners.open(port)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opening_and_closing_at_once_never_collides() {
    let (listeners, _accepted) = listeners(ListenLimits::default(), 1);
    let listening = open_free(&listeners).await;
    let port = listening.port();
    drop(listening);
    let tasks = (0..8).map(|_| {
        let listeners = listeners.clone();
        tokio::spawn(async move {
            for _ in 0..50 {
                assert_eq!(listeners.open(port).await.unwrap().port(), port);
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        soon(task).await.unwrap();
    }
    refused(port).await;
}

#[tokio::test]
async fn a_port_of_another_program_is_reported() {
    let (listeners, _accepted) = listeners(ListenLimits::default(), 1);
    let foreign = std::net::TcpListener::bind((LOOPBACK, 0)).unwrap();
    let address = foreign.local_addr().unwrap();
    let error = listeners.open(address.port()).await.unwrap_err();
    assert_eq!(error.to_string(), format!("{address} cannot be listened on"));
}

#[tokio::test]
async fn only_the_operators_ports_are_opened() {
    let (sender, _accepted) = mpsc::channel(1);
    let allowed = free_port();
    let other = if allowed == 1_024 { 1_025 } else { allowed - 1 };
    let config = ListenConfig::new(LOOPBACK, only([allowed, 3_013])).unwrap();
    let listeners = Listeners::new(config, sender);

    let text = listeners.open(other).await.unwrap_err().to_string();
    assert_eq!(
        text,
        format!("port {other} is not allowed, expected one of the operator's list: 3013, {allowed}")
    );
    assert!(matches!(listeners.open(0).await, Err(ListenError::PortZero)));
    // Another test may hold it, but it is not refused.
    assert!(matches!(listeners.open(allowed).await, Ok(_) | Err(ListenError::Bind { .. })));
}

#[test]
fn a_long_list_is_cut_short_and_an_empty_one_named() {
    let text = |ports: Ports| {
        let Ports::List(ports) = ports else { panic!("a list") };
        strait_peer::AllowedPorts(ports).to_string()
    };
    assert_eq!(text(only([])), "(none)");
    assert_eq!(text(only(1..=18)), "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 and 2 more");
}

#[test]
fn any_port_is_for_loopback_only() {
    let wide: [IpAddr; 3] =
        [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::new(192, 0, 2, 1).into()];
    for host in wide {
        let refused = ListenConfig::new(host, Ports::Any);
        assert!(matches!(refused, Err(ListenError::AnyOffLoopback { host: named }) if named == host));
        assert!(ListenConfig::new(host, only([3_013])).is_ok());
    }
    assert!(ListenConfig::new(Ipv6Addr::LOCALHOST.into(), Ports::Any).is_ok());
}

#[tokio::test]
async fn garbage_instead_of_a_handshake_is_closed_at_once() {
    let (listeners, mut accepted) = listeners(ListenLimits::default(), 1);
    let listening = open_free(&listeners).await;
    let mut stream = connect(listening.port()).await;
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert!(closes(&mut stream).await);
    // The port serves others as before.
    meet(listening.port(), &mut accepted, b"hello").await;
}

#[tokio::test]
async fn half_a_handshake_is_closed_in_time() {
    let limits = ListenLimits { handshake_timeout: MOMENT, ..ListenLimits::default() };
    let (listeners, _accepted) = listeners(limits, 1);
    let listening = open_free(&listeners).await;
    let whole = prefixed(&[9; 32]);
    for kept in [0, 1, 20, 33] {
        let mut stream = connect(listening.port()).await;
        stream.write_all(&whole[..kept]).await.unwrap();
        assert!(closes(&mut stream).await, "after {kept} bytes");
    }
}

#[tokio::test]
async fn silence_after_the_handshake_is_closed_in_time() {
    let limits = ListenLimits { first_message_timeout: MOMENT, ..ListenLimits::default() };
    let (listeners, mut accepted) = listeners(limits, 1);
    let listening = open_free(&listeners).await;
    let mut bare = Bare::dial(listening.port()).await;
    assert!(closes(&mut bare.stream).await);
    assert!(accepted.try_recv().is_err());
}

#[tokio::test]
async fn a_first_message_that_does_not_decrypt_is_not_delivered() {
    let (listeners, mut accepted) = listeners(ListenLimits::default(), 1);
    let listening = open_free(&listeners).await;
    let mut bare = Bare::dial(listening.port()).await;
    bare.stream.write_all(&prefixed(&[9; 40])).await.unwrap();
    assert!(closes(&mut bare.stream).await);
    assert!(accepted.try_recv().is_err());
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_and_a_free_place_is_given_again() {
    let limits = ListenLimits { waiting_per_port: 2, ..ListenLimits::default() };
    let (listeners, mut accepted) = listeners(limits, 1);
    let listening = open_free(&listeners).await;
    let waiting = [Bare::dial(listening.port()).await, Bare::dial(listening.port()).await];
    let mut excess = connect(listening.port()).await;
    assert!(closes(&mut excess).await);

    let [leaving, mut staying] = waiting;
    drop(leaving);
    let policy = DialPolicy { pause: Duration::from_millis(1), attempts: 3_000, ..DialPolicy::default() };
    let (outbound, _inbound) = soon(dial(HOST, listening.port(), &policy)).await.unwrap().split();
    outbound.send(b"at last").unwrap();
    assert_eq!(soon(accepted.recv()).await.unwrap().first, b"at last");

    staying.send(b"was there all the time").await;
    assert_eq!(soon(accepted.recv()).await.unwrap().first, b"was there all the time");
}

#[tokio::test]
async fn connections_that_wait_close_with_their_port() {
    let (listeners, _accepted) = listeners(ListenLimits::default(), 1);
    let listening = open_free(&listeners).await;
    let mut bare = Bare::dial(listening.port()).await;
    drop(listening);
    assert!(closes(&mut bare.stream).await);
}

#[tokio::test]
async fn a_session_that_nobody_takes_is_closed() {
    let (listeners, mut accepted) = listeners(ListenLimits::default(), 1);
    let listening = open_free(&listeners).await;
    let mut first = Bare::dial(listening.port()).await;
    first.send(b"takes the only place").await;
    let delivered = async {
        while accepted.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    soon(delivered).await;
    let mut second = Bare::dial(listening.port()).await;
    second.send(b"finds none").await;
    assert!(closes(&mut second.stream).await);

    assert_eq!(soon(accepted.recv()).await.unwrap().first, b"takes the only place");
    assert!(accepted.try_recv().is_err());
}
