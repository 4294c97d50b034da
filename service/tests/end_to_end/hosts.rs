//! Hosts that the operator does not let clients have dialled.

use std::time::Duration;

use strait_client::{ClientError, Outcome, Party, Role};
use strait_service::Dev;
use strait_service::config::Config;
use tokio::net::{TcpListener, TcpStream};

use crate::stage::{Pair, config, pay, round_of};

const SOON: Duration = Duration::from_secs(20);

async fn dev(peer_hosts: &str) -> Dev {
    Dev::start(&Config { peer_hosts: peer_hosts.parse().unwrap(), ..config() }).await.unwrap()
}

/// The one detail of a refusal with the code of a port that is not allowed (`docs/protocol/ws_api` §3).
fn refusal(outcome: Result<Party, ClientError>) -> String {
    match outcome.map(drop).unwrap_err() {
        ClientError::Rejected(rejection) => {
            assert_eq!((rejection.method.as_str(), rejection.code), ("", -32603));
            let [(-32603, text)] = &rejection.details[..] else { panic!("{rejection:?}") };
            text.clone()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_is_not_allowed_is_refused_by_name_and_never_reached() {
    let dev = dev("public").await;
    let inner = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let mut pair = Pair::of(&dev, 0);
    pair.port = inner.local_addr().unwrap().port();
    for host in ["127.0.0.1", "localhost", "::ffff:127.0.0.1", "::1", "10.0.0.1", "169.254.169.254"] {
        let ours = pair.params(Role::Initiator).host(host);
        let refused = Party::open(&dev.channel_url(), &ours, pair.initiator.clone()).await;
        let expected = format!("host: host {host:?} is not allowed, expected a public address");
        assert_eq!(refusal(refused), expected);
    }
    assert_eq!(dev.service().channels(), 0);
    let ours = TcpStream::connect(inner.local_addr().unwrap()).await.unwrap();
    let (_, first) = tokio::time::timeout(SOON, inner.accept()).await.unwrap().unwrap();
    assert_eq!(first, ours.local_addr().unwrap(), "nobody connected before");
    dev.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_whose_host_is_not_allowed_any_more_comes_back_when_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let start = async |peer_hosts: &str| {
        let data_dir = Some(dir.path().to_owned());
        let peer_hosts = peer_hosts.parse().unwrap();
        Dev::start(&Config { data_dir, peer_hosts, ..config() }).await.unwrap()
    };
    let dev = start("localhost,127.0.0.0/8").await;
    let pair = Pair::of(&dev, 0);
    let (ours, theirs) = (pair.params(Role::Initiator), pair.params(Role::Responder));
    let (mut alice, mut bob) = pair.open(&dev.channel_url()).await;
    assert_eq!(round_of(&pay(&mut alice, &mut bob, 5).await), 2);
    let ids = (alice.ids().unwrap(), bob.ids().unwrap());
    dev.stop().await;

    let dev = start("public,10.0.0.0/8").await;
    let inner = TcpListener::bind(("127.0.0.1", pair.port)).await.unwrap();
    // What the client names now is not looked at. Its peer is not looked for either, but it can do alone what it may do alone.
    let elsewhere = pair.params(Role::Initiator).host("10.0.0.1");
    let mut alone =
        Party::return_alone(&dev.channel_url(), &elsewhere, ids.0, pair.initiator.clone()).await.unwrap();
    assert!(matches!(alone.snapshot().await.unwrap(), Outcome::OnChain(_)));
    drop(alone);
    let knock = TcpStream::connect(inner.local_addr().unwrap()).await.unwrap();
    let (_, first) = tokio::time::timeout(SOON, inner.accept()).await.unwrap().unwrap();
    assert_eq!(first, knock.local_addr().unwrap(), "nobody connected before");
    drop(inner);
    dev.stop().await;

    let dev = start("127.0.0.1").await;
    let url = dev.channel_url();
    let (alice, bob) = tokio::join!(
        Party::reconnect(&url, &ours, ids.0, pair.initiator.clone()),
        Party::reconnect(&url, &theirs, ids.1, pair.responder.clone())
    );
    let (mut alice, mut bob) = (alice.unwrap(), bob.unwrap());
    assert_eq!(round_of(&pay(&mut bob, &mut alice, 5).await), 3);
    dev.stop().await;
}
