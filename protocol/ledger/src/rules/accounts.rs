//! What transactions do to accounts: nonces, payments, fees.

use strait_encoding::{AccountId, Coins, Nonce};

use super::{ChainState, RuleError};
use crate::{Account, AccountKind, ChannelObject};

impl ChainState {
    /// The account, which must exist.
    pub(super) fn account(&self, id: AccountId) -> Result<Account, RuleError> {
        self.trees.account(id).ok_or(RuleError::AccountNotFound { account: id })
    }

    /// Checks the nonce of a transaction against its origin's and writes it there.
    pub(super) fn use_nonce(&mut self, id: AccountId, nonce: Nonce) -> Result<(), RuleError> {
        let mut account = self.account(id)?;
        check_nonce(id, &account, nonce)?;
        account.nonce = nonce;
        self.trees.set_account(id, &account);
        Ok(())
    }

    /// Takes coins from an account.
    pub(super) fn debit(&mut self, id: AccountId, amount: Coins) -> Result<(), RuleError> {
        let mut account = self.account(id)?;
        account.balance = affordable(id, &account, amount)?;
        self.trees.set_account(id, &account);
        Ok(())
    }

    /// Gives coins to an account, which comes to exist by it.
    pub(super) fn credit(&mut self, id: AccountId, amount: Coins) -> Result<(), RuleError> {
        let mut account = self.trees.account(id).unwrap_or_else(|| Account::new(Coins::ZERO));
        account.balance = account.balance.checked_add(amount).ok_or(RuleError::Overflow { account: id })?;
        self.trees.set_account(id, &account);
        Ok(())
    }

    /// Pays a fee that has already been taken from someone.
    pub(super) fn collect(&mut self, fee: Coins) -> Result<(), RuleError> {
        let sum = self.fees_collected.checked_add(fee);
        self.fees_collected = sum.ok_or(RuleError::Overflow { account: super::LOCKED_COINS })?;
        Ok(())
    }

    /// Nonce and fee of a transaction, in the order of the solo transactions: who cannot pay is told that first
    /// (`docs/protocol/channel_txs` §3).
    pub(super) fn charge_solo(&mut self, id: AccountId, nonce: Nonce, fee: Coins) -> Result<(), RuleError> {
        self.debit(id, fee)?;
        self.use_nonce(id, nonce)?;
        self.collect(fee)
    }

    /// Nonce, fee and amount of a transaction, in the order of all others: a wrong nonce is told first.
    pub(super) fn charge(
        &mut self,
        id: AccountId,
        nonce: Nonce,
        fee: Coins,
        amount: Coins,
    ) -> Result<(), RuleError> {
        self.use_nonce(id, nonce)?;
        self.debit(id, sum(fee, amount))?;
        self.collect(fee)
    }

    /// Checks that the other party signed as its account authenticates: here always with its key.
    pub(super) fn check_cosigner(&self, channel: &ChannelObject, origin: AccountId) -> Result<(), RuleError> {
        let other = if origin == channel.initiator_id { channel.responder_id } else { channel.initiator_id };
        match self.trees.account(other) {
            Some(account) => check_basic(other, &account),
            None => Ok(()),
        }
    }
}

/// Checks that an account authenticates by a signature.
pub(super) fn check_basic(id: AccountId, account: &Account) -> Result<(), RuleError> {
    if account.is_basic() { Ok(()) } else { Err(RuleError::GeneralizedSigned { account: id }) }
}

/// What an account keeps after paying, if it can pay.
pub(super) fn affordable(id: AccountId, account: &Account, amount: Coins) -> Result<Coins, RuleError> {
    account.balance.checked_sub(amount).ok_or(RuleError::InsufficientFunds {
        account: id,
        balance: account.balance,
        needed: amount,
    })
}

/// The sum of what is to be paid. Nobody can pay more than the largest amount.
pub(super) fn sum(one: Coins, other: Coins) -> Coins {
    one.checked_add(other).unwrap_or(Coins(u128::MAX))
}

fn check_nonce(id: AccountId, account: &Account, nonce: Nonce) -> Result<(), RuleError> {
    let expected = account.nonce.next();
    match account.kind {
        AccountKind::Generalized { .. } if nonce != Nonce(0) => {
            Err(RuleError::NonceOfGeneralized { account: id })
        }
        AccountKind::Generalized { .. } => Err(RuleError::NotInMeta { account: id }),
        AccountKind::Basic if nonce <= account.nonce => {
            Err(RuleError::NonceUsed { account: id, nonce, expected })
        }
        AccountKind::Basic if nonce > expected => {
            Err(RuleError::NonceTooHigh { account: id, nonce, expected })
        }
        AccountKind::Basic => Ok(()),
    }
}
