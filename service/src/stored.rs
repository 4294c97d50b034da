//! A channel as it stands in the store: JSON, so that an operator can read it.

use serde::Deserialize;
use serde_json::value::RawValue;
use strait_channel::{Channel, Role};
use strait_encoding::AccountId;
use strait_store::{ChannelKey, Record};
use thiserror::Error;

use crate::door::Door;

/// Why a stored channel cannot be taken up: it was written by another version, or damaged.
#[derive(Debug, Error)]
#[error("the stored channel cannot be read: {0}")]
pub(crate) struct Unreadable(#[from] serde_json::Error);

#[derive(Deserialize)]
struct Stored<'a> {
    door: Door,
    #[serde(borrow)]
    channel: &'a RawValue,
}

/// What to store of a channel.
pub(crate) fn record(key: ChannelKey, door: &Door, channel: &Channel) -> Record {
    let own_account = channel.terms().me().unwrap_or(AccountId::ZERO).0;
    let role = match channel.role() {
        Role::Initiator => strait_store::Role::Initiator,
        Role::Responder => strait_store::Role::Responder,
    };
    Record {
        key,
        step: channel.step(),
        channel_id: channel.id().map(|id| id.0),
        own_account,
        role,
        door: door.current(),
        state: state(door, channel),
    }
}

fn state(door: &Door, channel: &Channel) -> Vec<u8> {
    let door = serde_json::to_vec(door).expect("a door has only strings in it");
    let channel = channel.to_stored().expect("a channel has only strings for keys");
    [b"{\"door\":", &door[..], b",\"channel\":", &channel[..], b"}"].concat()
}

/// Reads what [`record`] wrote.
pub(crate) fn read(record: &Record) -> Result<(Door, Channel), Unreadable> {
    let stored: Stored<'_> = serde_json::from_slice(&record.state)?;
    Ok((stored.door, Channel::from_stored(stored.channel.get().as_bytes())?))
}
