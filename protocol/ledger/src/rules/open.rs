//! Opening a channel (`docs/protocol/channel_txs` §4.1).

use strait_encoding::hash::{blake2b_of, channel_id_of_generalized};
use strait_encoding::{AccountId, ChannelId, Coins, Height, Round};

use super::accounts::check_kind;
use super::frame::Frame;
use super::{ChainState, RuleError};
use crate::{AccountKind, ChannelObject, CreateTx, FrozenAuth};

/// Takes the coins of both and makes the channel. Hash, lock period, reserve and delegates are taken as they are.
pub(super) fn create(state: &mut ChainState, tx: &CreateTx, frame: &Frame<'_>) -> Result<(), RuleError> {
    state.charge(tx.initiator_id, tx.nonce, (tx.fee, tx.initiator_amount), frame)?;
    state.debit(tx.responder_id, tx.responder_amount)?;
    check_parties(state, tx, frame)?;
    let id = match frame.auth_id(tx.initiator_id) {
        Some(auth) => channel_id_of_generalized(tx.initiator_id, auth, tx.responder_id),
        None => tx.channel_id(),
    };
    if state.trees.channel(id).is_some() {
        return Err(RuleError::ChannelExists { channel: id });
    }
    let channel_amount = tx.initiator_amount.checked_add(tx.responder_amount);
    let channel = ChannelObject {
        initiator_id: tx.initiator_id,
        responder_id: tx.responder_id,
        channel_amount: channel_amount.ok_or(RuleError::Overflow { account: tx.initiator_id })?,
        initiator_amount: tx.initiator_amount,
        responder_amount: tx.responder_amount,
        channel_reserve: tx.channel_reserve,
        delegates: tx.delegate_ids.clone(),
        state_hash: tx.state_hash,
        round: Round(1),
        solo_round: Round(0),
        lock_period: tx.lock_period,
        locked_until: Height(0),
        initiator_auth: freeze(state, id, tx.initiator_id)?,
        responder_auth: freeze(state, id, tx.responder_id)?,
    };
    state.trees.set_channel(id, &channel);
    Ok(())
}

/// Where the copy of the store is with which a generalized party authenticates states of a channel
/// (`docs/protocol/signing` §3.3).
pub(super) fn auth_store(channel: ChannelId, account: AccountId) -> [u8; 32] {
    blake2b_of(&[&channel.0, &account.0])
}

/// How a party authenticates now: that is how it authenticates states of the channel for ever.
fn freeze(state: &mut ChainState, channel: ChannelId, id: AccountId) -> Result<FrozenAuth, RuleError> {
    match state.account(id)?.kind {
        AccountKind::Basic => Ok(FrozenAuth::Basic),
        AccountKind::Generalized { contract, auth_fun } => {
            if state.trees.contract(contract).is_none() {
                return Err(RuleError::NoContract { contract });
            }
            state.trees.copy_store(contract, &auth_store(channel, id));
            Ok(FrozenAuth::Generalized { auth_fun, contract })
        }
    }
}

fn check_parties(state: &ChainState, tx: &CreateTx, frame: &Frame<'_>) -> Result<(), RuleError> {
    let reserve: Coins = tx.channel_reserve;
    if tx.initiator_amount < reserve {
        return Err(RuleError::InitiatorBelowReserve { amount: tx.initiator_amount, reserve });
    }
    if tx.responder_amount < reserve {
        return Err(RuleError::ResponderBelowReserve { amount: tx.responder_amount, reserve });
    }
    if tx.initiator_id == tx.responder_id {
        return Err(RuleError::InitiatorIsResponder { account: tx.initiator_id });
    }
    check_kind(tx.responder_id, &state.account(tx.responder_id)?, frame)
}
