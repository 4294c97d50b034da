//! The co-signed state that a party, or its delegate, brings to the chain (`docs/protocol/channel_txs` §4.5).

use strait_encoding::{AccountId, ChannelId, NetworkId};

use super::{RuleError, check_peer, check_round};
use crate::{ChannelObject, Delegates, FrozenAuth, OffchainTx, Payload, SignedTx, Tx};

/// Who may bring a payload.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sender {
    /// The parties.
    Peer,
    /// The parties, and the delegates of either.
    PeerOrDelegate,
}

/// Whether a payload is empty or an off-chain transaction.
pub(super) fn is_sound(payload: &Payload) -> bool {
    payload.0.is_empty() || read(payload).is_some()
}

/// The co-signed state in a payload that [`is_sound`] and is not empty.
fn read(payload: &Payload) -> Option<(SignedTx, OffchainTx)> {
    let signed = SignedTx::decode(&payload.0).ok()?;
    match signed.tx() {
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
}

/// The state that a payload proves both parties to have agreed on.
///
/// # Errors
/// In this order: it is of another channel, not newer than what the chain knows, brought by a stranger, or not
/// authenticated by both.
pub(super) fn agreed_state(
    brought: &Brought<'_>,
    channel: &ChannelObject,
    network: &NetworkId,
) -> Result<OffchainTx, RuleError> {
    let Some((signed, state)) = read(brought.payload) else {
        // A block application refuses it before, by `is_sound`.
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
    check_round(channel, state.round)?;
    check_sender(brought, channel)?;
    check_authentication(&signed, channel, network)?;
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

fn is_delegate(delegates: &Delegates, account: AccountId) -> bool {
    match delegates {
        Delegates::Shared(ids) => ids.contains(&account),
        Delegates::Each { initiator, responder } => {
            initiator.contains(&account) || responder.contains(&account)
        }
    }
}

/// A party authenticates as it did when the channel was created, whatever its account has become since.
fn check_authentication(
    signed: &SignedTx,
    channel: &ChannelObject,
    network: &NetworkId,
) -> Result<(), RuleError> {
    let parties =
        [(channel.initiator_id, channel.initiator_auth), (channel.responder_id, channel.responder_auth)];
    for (account, auth) in parties {
        if matches!(auth, FrozenAuth::Generalized { .. }) {
            return Err(RuleError::GeneralizedSigned { account });
        }
    }
    signed.verify(network, &channel.peers()).map_err(|error| RuleError::Signatures { error })?;
    Ok(())
}
