//! Every peer message as the reference encodes it.

#![allow(clippy::unwrap_used)]

use serde_json::Value;
use strait_channel::message::{DepthStrategy, MAX_MESSAGE};
use strait_channel::{Message, MessageError};
use strait_encoding::{AccountId, BlockHash, ChannelId};

fn vectors() -> Vec<(String, u8, Vec<u8>)> {
    let file: Value = serde_json::from_str(include_str!("vectors/p2p_vectors.json")).unwrap();
    let messages = file["messages"].as_array().unwrap().iter().map(|message| {
        let bytes = hex::decode(message["hex"].as_str().unwrap()).unwrap();
        (message["type"].as_str().unwrap().to_owned(), message["code"].as_u64().unwrap() as u8, bytes)
    });
    messages.collect()
}

fn of_type(name: &str) -> Vec<u8> {
    vectors().into_iter().find(|(found, _, _)| found == name).unwrap().2
}

fn snake(name: &str) -> String {
    let lower = |c: char| if c.is_uppercase() { format!("_{}", c.to_lowercase()) } else { c.to_string() };
    name.chars().map(lower).collect::<String>().trim_start_matches('_').to_owned()
}

#[test]
fn every_message_reads_and_writes_as_the_reference_does() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 25);
    for (name, code, bytes) in vectors {
        let message = Message::decode(&bytes).unwrap();
        assert_eq!(snake(message.name()), name);
        assert_eq!(message.code() as u8, code);
        assert_eq!(message.encode().unwrap(), bytes, "{name}");
    }
}

#[test]
fn fields_stand_where_the_table_says() {
    let Message::ChannelAccept {
        minimum_depth, strategy, initiator_amount, channel_reserve, responder, ..
    } = Message::decode(&of_type("channel_accept")).unwrap()
    else {
        panic!("another message");
    };
    assert_eq!((minimum_depth, strategy), (10, DepthStrategy(1)));
    assert_eq!((initiator_amount, channel_reserve), (70_000_000_000_000, 2));
    assert_eq!(responder, AccountId([0xb2; 32]));

    let Message::Update { channel_id, block_hash, tx, updates } =
        Message::decode(&of_type("update")).unwrap()
    else {
        panic!("another message");
    };
    assert_eq!(channel_id, ChannelId([0xc1; 32]));
    assert_eq!(block_hash, BlockHash::new([0xd1; 32]));
    assert_eq!((tx, updates), (b"TX".to_vec(), vec![b"U1".to_vec(), b"UPD2".to_vec()]));
}

#[test]
fn nodes_of_old_leave_the_strategy_out() {
    let bytes = of_type("channel_accept");
    let old = [&bytes[..69], &bytes[70..]].concat();
    let Message::ChannelAccept { minimum_depth, strategy, initiator, .. } = Message::decode(&old).unwrap()
    else {
        panic!("another message");
    };
    assert_eq!((minimum_depth, strategy), (10, DepthStrategy(0)));
    assert_eq!(initiator, AccountId([0xb1; 32]));
}

#[test]
fn cut_and_lengthened_messages_are_refused() {
    for (name, _, bytes) in vectors() {
        for cut in 1..bytes.len() {
            let shortened = Message::decode(&bytes[..cut]);
            let legal = match &shortened {
                Err(_) => true,
                // A list of updates may end behind any element: then what was read is all that is there.
                Ok(
                    message @ (Message::FundingCreated { .. }
                    | Message::Update { .. }
                    | Message::DepositCreated { .. }
                    | Message::WithdrawCreated { .. }),
                ) => message.encode().unwrap() == bytes[..cut],
                // The form of old nodes.
                Ok(Message::ChannelAccept { .. }) => cut == 157,
                Ok(_) => false,
            };
            assert!(legal, "{name} cut to {cut}");
        }
        if !matches!(name.as_str(), "update" | "deposit_created" | "withdraw_created" | "funding_created") {
            let longer = [&bytes[..], &[0]].concat();
            assert!(Message::decode(&longer).is_err(), "{name} with a byte more");
        }
    }
    assert_eq!(Message::decode(&[]), Err(MessageError::UnknownCode(None)));
    assert_eq!(Message::decode(&[42]), Err(MessageError::UnknownCode(Some(42))));
}

#[test]
fn what_does_not_fit_is_refused_before_it_is_sent() {
    let update = |size: usize, count: usize| Message::Update {
        channel_id: ChannelId::ZERO,
        block_hash: BlockHash::UNPINNED,
        tx: Vec::new(),
        updates: vec![vec![0; size]; count],
    };
    // 1 code, 32 channel, 32 block, 2 length of the transaction, 2 length of each update.
    let room = MAX_MESSAGE - 1 - 32 - 32 - 2 - 2;
    assert_eq!(update(room, 1).encode().unwrap().len(), MAX_MESSAGE);
    assert!(matches!(update(room + 1, 1).encode(), Err(MessageError::TooLong { what: "message", .. })));
    assert!(matches!(update(65_536, 1).encode(), Err(MessageError::TooLong { what: "updates", .. })));
    assert!(matches!(update(30_000, 3).encode(), Err(MessageError::TooLong { what: "message", .. })));
}
