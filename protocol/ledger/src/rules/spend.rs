//! Spending.

use strait_encoding::{AccountId, Id};

use super::frame::Frame;
use super::{ChainState, RuleError};
use crate::SpendTx;

/// Moves coins to an account, which comes to exist by it.
pub(super) fn spend(state: &mut ChainState, tx: &SpendTx, frame: &Frame<'_>) -> Result<(), RuleError> {
    let recipient = recipient(tx)?;
    state.charge(tx.sender_id, tx.nonce, (tx.fee, tx.amount), frame)?;
    check_payable(state, recipient)?;
    state.credit(recipient, tx.amount)
}

/// The account that a spend goes to: contracts and oracles have one under the same key.
pub(crate) fn recipient(tx: &SpendTx) -> Result<AccountId, RuleError> {
    match tx.recipient_id {
        Id::Account(id) => Ok(id),
        Id::Contract(id) => Ok(AccountId(id.0)),
        Id::Oracle(body) => Ok(AccountId(body)),
        Id::Name(_) | Id::Commitment(_) | Id::Channel(_) => Err(RuleError::UnknownRecipient),
    }
}

/// Checks that an account accepts spends; one that does not exist yet does.
pub(crate) fn check_payable(state: &ChainState, id: AccountId) -> Result<(), RuleError> {
    match state.trees.account(id) {
        Some(account) if !account.is_payable() => Err(RuleError::NotPayable { account: id }),
        _ => Ok(()),
    }
}
