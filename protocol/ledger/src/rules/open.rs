//! Opening a channel (`docs/protocol/channel_txs` §4.1).

use strait_encoding::{Height, Round};

use super::accounts::{affordable, check_basic, sum};
use super::{ChainState, RuleError};
use crate::{ChannelObject, CreateTx, FrozenAuth};

/// Takes the coins of both and makes the channel. Hash, lock period, reserve and delegates are taken as they are.
pub(super) fn create(state: &mut ChainState, tx: &CreateTx) -> Result<(), RuleError> {
    state.use_nonce(tx.initiator_id, tx.nonce)?;
    check_parties(state, tx)?;
    let id = tx.channel_id();
    if state.trees.channel(id).is_some() {
        return Err(RuleError::ChannelExists { channel: id });
    }
    state.debit(tx.initiator_id, sum(tx.fee, tx.initiator_amount))?;
    state.debit(tx.responder_id, tx.responder_amount)?;
    state.collect(tx.fee)?;
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
        initiator_auth: FrozenAuth::Basic,
        responder_auth: FrozenAuth::Basic,
    };
    state.trees.set_channel(id, &channel);
    Ok(())
}

fn check_parties(state: &ChainState, tx: &CreateTx) -> Result<(), RuleError> {
    let initiator = state.account(tx.initiator_id)?;
    affordable(tx.initiator_id, &initiator, sum(tx.fee, tx.initiator_amount))?;
    let responder = state.account(tx.responder_id)?;
    affordable(tx.responder_id, &responder, tx.responder_amount)?;
    let reserve = tx.channel_reserve;
    if tx.initiator_amount < reserve {
        return Err(RuleError::InitiatorBelowReserve { amount: tx.initiator_amount, reserve });
    }
    if tx.responder_amount < reserve {
        return Err(RuleError::ResponderBelowReserve { amount: tx.responder_amount, reserve });
    }
    if tx.initiator_id == tx.responder_id {
        return Err(RuleError::InitiatorIsResponder { account: tx.initiator_id });
    }
    check_basic(tx.responder_id, &responder)
}
