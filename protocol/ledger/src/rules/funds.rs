//! Moving coins between an open channel and its parties (`docs/protocol/channel_txs` §4.2, §4.3).

use strait_encoding::{Coins, Round};

use super::frame::Frame;
use super::{ChainState, RuleError, channel, check_active, check_peer, check_round};
use crate::{ChannelObject, DepositTx, WithdrawTx};

/// Adds coins of one party to the channel.
pub(super) fn deposit(state: &mut ChainState, tx: &DepositTx, frame: &Frame<'_>) -> Result<(), RuleError> {
    state.charge(tx.from_id, tx.nonce, (tx.fee, tx.amount), frame)?;
    let channel = channel(state, tx.channel_id)?;
    check_active(&channel)?;
    check_peer(&channel, tx.from_id)?;
    state.check_cosigner(&channel, tx.from_id, frame)?;
    check_round(&channel, tx.round)?;
    let channel_amount = channel.channel_amount.checked_add(tx.amount);
    let next = ChannelObject {
        channel_amount: channel_amount.ok_or(RuleError::Overflow { account: tx.from_id })?,
        state_hash: tx.state_hash,
        round: tx.round,
        solo_round: Round(0),
        ..channel
    };
    state.trees.set_channel(tx.channel_id, &next);
    Ok(())
}

/// Gives coins of the channel to one party.
pub(super) fn withdraw(state: &mut ChainState, tx: &WithdrawTx, frame: &Frame<'_>) -> Result<(), RuleError> {
    state.charge(tx.to_id, tx.nonce, (tx.fee, Coins::ZERO), frame)?;
    let channel = channel(state, tx.channel_id)?;
    check_active(&channel)?;
    check_peer(&channel, tx.to_id)?;
    state.check_cosigner(&channel, tx.to_id, frame)?;
    let channel_amount = remainder(&channel, tx.amount)?;
    check_round(&channel, tx.round)?;
    state.credit(tx.to_id, tx.amount)?;
    let next = ChannelObject {
        channel_amount,
        state_hash: tx.state_hash,
        round: tx.round,
        solo_round: Round(0),
        ..channel
    };
    state.trees.set_channel(tx.channel_id, &next);
    Ok(())
}

/// What the channel holds after paying `amount`: at least both reserves.
fn remainder(channel: &ChannelObject, amount: Coins) -> Result<Coins, RuleError> {
    let (held, reserve) = (channel.channel_amount, channel.channel_reserve);
    let rest = held.checked_sub(amount);
    let kept = reserve.checked_mul(2);
    match (rest, kept) {
        (Some(rest), Some(kept)) if rest >= kept => Ok(rest),
        _ => Err(RuleError::NotEnoughChannelFunds { amount, held, reserve }),
    }
}
