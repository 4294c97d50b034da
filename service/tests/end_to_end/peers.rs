//! Peers that misbehave: nothing of it reaches another channel.

use std::time::Duration;

use strait_channel::Message;
use strait_client::{Party, Role};
use strait_encoding::{AccountId, ChannelId, KeyBlockHash};
use strait_ledger::ChainView;
use strait_peer::{DialPolicy, Session, dial};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::stage::{AMOUNT, Pair, dev, pay, round_of};

const SOON: Duration = Duration::from_secs(20);

async fn connect(port: u16) -> Session {
    dial("127.0.0.1", port, &DialPolicy::default()).await.unwrap()
}

/// Sends these messages and waits until the service has closed the session.
async fn send_all(port: u16, messages: &[Vec<u8>]) {
    let (outbound, mut inbound) = connect(port).await.split();
    for message in messages {
        // The service may have gone already.
        drop(outbound.send(message));
    }
    let closed = async { while let Ok(Some(_)) = inbound.next().await {} };
    tokio::time::timeout(SOON, closed).await.expect("the service closes the session");
}

fn offer(genesis: KeyBlockHash, initiator: AccountId, responder: AccountId) -> Message {
    Message::ChannelOpen {
        chain_hash: genesis,
        temporary_id: [7; 32],
        lock_period: 10,
        push_amount: 0,
        initiator_amount: AMOUNT.0 as u64,
        responder_amount: AMOUNT.0 as u64,
        channel_reserve: 1_000,
        initiator,
        responder,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_of_every_kind_disturbs_no_other_channel() {
    let dev = dev().await;
    let good = Pair::of(&dev, 0);
    let (mut alice, mut bob) = good.open(&dev.channel_url()).await;
    let channel = alice.channel().unwrap();
    let genesis = dev.service().chain().view().genesis();

    let mut raw = TcpStream::connect(("127.0.0.1", good.port)).await.unwrap();
    raw.write_all(&[0xff; 4096]).await.unwrap();
    let mut answer = Vec::new();
    drop(
        tokio::time::timeout(SOON, raw.read_to_end(&mut answer)).await.expect("garbage ends the connection"),
    );

    let stranger = AccountId([9; 32]);
    let hello = Message::Leave { channel_id: channel }.encode().unwrap();
    let unknown = offer(genesis, stranger, stranger).encode().unwrap();
    let intruder =
        Message::ChannelReestablish { chain_hash: genesis, channel_id: channel, tx: vec![1, 2, 3] };
    let lost =
        Message::ChannelReestablish { chain_hash: genesis, channel_id: ChannelId([8; 32]), tx: Vec::new() };
    for first in [vec![], vec![0], vec![200; 65_519], hello, unknown] {
        send_all(good.port, &[first]).await;
    }
    for message in [intruder, lost] {
        send_all(good.port, &[message.encode().unwrap()]).await;
    }
    assert_eq!(round_of(&pay(&mut alice, &mut bob, 5).await), 2);
    assert_eq!(round_of(&pay(&mut bob, &mut alice, 5).await), 3);
    dev.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_breaks_the_opening_ends_that_channel_alone() {
    let dev = dev().await;
    let good = Pair::of(&dev, 0);
    let (mut alice, mut bob) = good.open(&dev.channel_url()).await;
    let genesis = dev.service().chain().view().genesis();
    let victim = Pair::of(&dev, 1);
    let (initiator, responder) = (victim.initiator.account(), victim.responder.account());
    let theirs = victim.params(Role::Responder);
    let url = dev.channel_url();
    let channel_id = ChannelId([3; 32]);
    let out_of_turn = [
        Message::UpdateAck { channel_id, tx: vec![1] },
        Message::FundingLocked { temporary_id: [7; 32], channel_id },
        Message::ShutdownAck { channel_id, block_hash: strait_encoding::BlockHash::UNPINNED, tx: vec![] },
        Message::FundingCreated {
            temporary_id: [7; 32],
            block_hash: strait_encoding::BlockHash::UNPINNED,
            tx: vec![1, 2, 3],
            updates: vec![],
        },
    ];
    for message in out_of_turn {
        let waiting = Party::open(&url, &theirs, victim.responder.clone());
        let attack = async {
            let messages =
                [offer(genesis, initiator, responder).encode().unwrap(), message.encode().unwrap()];
            send_all(victim.port, &messages).await;
        };
        let (opened, ()) = tokio::join!(waiting, attack);
        assert!(opened.is_err(), "{} opens no channel", message.name());
    }
    assert_eq!(round_of(&pay(&mut alice, &mut bob, 5).await), 2);
    dev.stop().await;
}
