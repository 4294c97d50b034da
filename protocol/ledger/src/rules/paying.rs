//! A transaction whose fee and gas another account pays (`docs/protocol/channel_txs` §5).

use strait_encoding::Coins;

use super::frame::Frame;
use super::{ChainState, RuleError, process, verify_inside};
use crate::PayingForTx;

/// Pays the fee of this transaction, and processes the one inside at the payer's cost. If that fails, all of it does.
pub(super) fn pay_for(state: &mut ChainState, tx: &PayingForTx, frame: &Frame<'_>) -> Result<(), RuleError> {
    state.charge(tx.payer_id, tx.nonce, (tx.fee, Coins::ZERO), frame)?;
    let inside = frame.paid_by(tx.payer_id);
    verify_inside(&tx.tx, &state.trees, &inside)?;
    process(state, tx.tx.tx(), &inside)
}
