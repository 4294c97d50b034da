//! Ending a channel: by agreement, or after the lock period (`docs/protocol/channel_txs` §4.4, §4.8).

use strait_encoding::{ChannelId, Coins};

use super::frame::Frame;
use super::{ChainState, LOCKED_COINS, RuleError, channel, check_peer};
use crate::{ChannelObject, CloseMutualTx, SettleTx};

/// Pays out what both agreed on. The fee leaves the channel, not an account, unless somebody pays for it.
pub(super) fn close_mutual(
    state: &mut ChainState,
    tx: &CloseMutualTx,
    frame: &Frame<'_>,
) -> Result<(), RuleError> {
    state.use_nonce(tx.from_id, tx.nonce, frame)?;
    let channel = channel(state, tx.channel_id)?;
    check_peer(&channel, tx.from_id)?;
    state.check_cosigner(&channel, tx.from_id, frame)?;
    let fee = match frame.payer {
        None => tx.fee,
        Some(payer) => {
            state.debit(payer, tx.fee)?;
            Coins::ZERO
        }
    };
    let amounts = (tx.initiator_amount_final, tx.responder_amount_final);
    let remainder = remainder(&channel, amounts, fee);
    let remainder = remainder.ok_or(RuleError::WrongAmounts { held: channel.channel_amount })?;
    state.collect(tx.fee)?;
    pay_out(state, tx.channel_id, &channel, amounts, remainder)
}

/// Pays out what the solo close and its answers came to.
pub(super) fn settle(state: &mut ChainState, tx: &SettleTx, frame: &Frame<'_>) -> Result<(), RuleError> {
    state.charge(tx.from_id, tx.nonce, (tx.fee, Coins::ZERO), frame)?;
    let channel = channel(state, tx.channel_id)?;
    check_peer(&channel, tx.from_id)?;
    if channel.is_active() || channel.locked_until > frame.env.height {
        let (locked_until, height) = (channel.locked_until, frame.env.height);
        return Err(RuleError::NotClosed { locked_until, height });
    }
    let amounts = (tx.initiator_amount_final, tx.responder_amount_final);
    let remainder = remainder(&channel, amounts, Coins::ZERO);
    let remainder = remainder.ok_or(RuleError::InsufficientChannelFunds { held: channel.channel_amount })?;
    let (initiator, responder) = (channel.initiator_amount, channel.responder_amount);
    if amounts != (initiator, responder) {
        return Err(RuleError::WrongSplit { initiator, responder });
    }
    pay_out(state, tx.channel_id, &channel, amounts, remainder)
}

fn remainder(channel: &ChannelObject, amounts: (Coins, Coins), fee: Coins) -> Option<Coins> {
    let paid = amounts.0.checked_add(amounts.1)?.checked_add(fee)?;
    channel.channel_amount.checked_sub(paid)
}

fn pay_out(
    state: &mut ChainState,
    id: ChannelId,
    channel: &ChannelObject,
    (initiator, responder): (Coins, Coins),
    remainder: Coins,
) -> Result<(), RuleError> {
    state.credit(channel.initiator_id, initiator)?;
    state.credit(channel.responder_id, responder)?;
    if remainder > Coins::ZERO {
        state.credit(LOCKED_COINS, remainder)?;
    }
    state.trees.remove_channel(id);
    Ok(())
}
