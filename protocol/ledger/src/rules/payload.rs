//! The co-signed state that a party, or its delegate, brings to the chain (`docs/protocol/channel_txs` §4.5).

use strait_encoding::{AccountId, ChannelId};

use super::authentication::{Parties, authenticate_offchain};
use super::{BlockEnv, RuleError, check_forced_round, check_peer, check_round};
use crate::{ChannelObject, Delegates, OffchainTx, Payload, Protocol, SignedTx, Trees, Tx};

/// Who may bring a payload.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sender {
    /// The parties.
    Peer,
    /// The parties, and the delegates of either.
    PeerOrDelegate,
}

/// Whether a payload is empty, or an off-chain transaction that is authenticated in a way of this protocol.
pub(super) fn is_valid(payload: &Payload, protocol: Protocol) -> bool {
    payload.0.is_empty()
        || read(payload).is_some_and(|(signed, _)| super::check_protocol(signed.tx(), protocol).is_ok())
}

/// The co-signed state in a payload that [`is_valid`] and is not empty.
fn read(payload: &Payload) -> Option<(SignedTx, OffchainTx)> {
    let signed = SignedTx::decode(&payload.0).ok()?;
    match signed.innermost().tx() {
        Tx::ChannelOffchain(tx) => {
            let tx = tx.clone();
            Some((signed, tx))
        }
        _ => None,
    }
}

/// A payload as it stands in a transaction, with what it is checked against.
pub(super) struct Brought<'a> {
    /// The payload.
    pub payload: &'a Payload,
    /// The channel that the transaction names.
    pub channel_id: ChannelId,
    /// The transaction's origin.
    pub from_id: AccountId,
    /// Who may bring it.
    pub sender: Sender,
    /// Whether a call is forced on it: then it must be newer than any forced state.
    pub forces: bool,
}

/// The state that a payload proves both parties to have agreed on.
///
/// # Errors
/// In this order: it is of another channel, not newer than what the chain knows, brought by a stranger, or not
/// authenticated by both.
pub(super) fn agreed_state(
    brought: &Brought<'_>,
    channel: &ChannelObject,
    trees: &Trees,
    env: &BlockEnv<'_>,
) -> Result<OffchainTx, RuleError> {
    let Some((signed, state)) = read(brought.payload) else {
        // A block application refuses it before, by `is_valid`.
        return Err(RuleError::Malformed {
            error: strait_encoding::rlp::DecodeError::Rule("the payload is not an off-chain transaction"),
        });
    };
    if state.channel_id != brought.channel_id {
        return Err(RuleError::PayloadOfOtherChannel {
            found: state.channel_id,
            expected: brought.channel_id,
        });
    }
    if brought.forces {
        check_forced_round(channel, state.round)?;
    } else {
        check_round(channel, state.round)?;
    }
    check_sender(brought, channel)?;
    let parties = Parties { id: brought.channel_id, object: channel };
    authenticate_offchain(&signed, parties, &channel.peers(), trees, env)?;
    Ok(state)
}

fn check_sender(brought: &Brought<'_>, channel: &ChannelObject) -> Result<(), RuleError> {
    match brought.sender {
        Sender::Peer => check_peer(channel, brought.from_id),
        Sender::PeerOrDelegate if channel.is_peer(brought.from_id) => Ok(()),
        Sender::PeerOrDelegate if is_delegate(&channel.delegates, brought.from_id) => Ok(()),
        Sender::PeerOrDelegate => Err(RuleError::NotPeerOrDelegate { account: brought.from_id }),
    }
}

pub(super) fn is_delegate(delegates: &Delegates, account: AccountId) -> bool {
    match delegates {
        Delegates::Shared(ids) => ids.contains(&account),
        Delegates::Each { initiator, responder } => {
            initiator.contains(&account) || responder.contains(&account)
        }
    }
}
