//! What transactions do to accounts: nonces, payments, fees.

use strait_encoding::{AccountId, Coins, Nonce};

use super::frame::Frame;
use super::{ChainState, RuleError};
use crate::{Account, ChannelObject};

impl ChainState {
    /// The account, which must exist.
    pub(super) fn account(&self, id: AccountId) -> Result<Account, RuleError> {
        self.trees.account(id).ok_or(RuleError::AccountNotFound { account: id })
    }

    /// Checks the nonce of a transaction against its origin's and writes it there. A generalized account has none to check:
    /// it must have authenticated, or nothing is done but tried.
    pub(super) fn use_nonce(
        &mut self,
        id: AccountId,
        nonce: Nonce,
        frame: &Frame<'_>,
    ) -> Result<(), RuleError> {
        let known = self.trees.account(id);
        let mut account = match (known, frame.payer) {
            (Some(account), _) => account,
            // Somebody who owns nothing can have a transaction paid for.
            (None, Some(_)) => Account::new(Coins::ZERO),
            (None, None) => return Err(RuleError::AccountNotFound { account: id }),
        };
        match (account.is_basic(), frame.auth_id(id)) {
            (true, None) => {
                check_basic_nonce(id, &account, nonce)?;
                account.nonce = nonce;
                self.trees.set_account(id, &account);
                Ok(())
            }
            (false, None) if !frame.is_dry_run() => Err(RuleError::NotBasic { account: id }),
            (true, Some(_)) => Err(RuleError::NotGeneralized { account: id }),
            (false, _) if nonce != Nonce(0) => Err(RuleError::NonceOfGeneralized { account: id }),
            (false, _) => Ok(()),
        }
    }

    /// Takes coins from an account.
    pub(super) fn debit(&mut self, id: AccountId, amount: Coins) -> Result<(), RuleError> {
        let mut account = self.account(id)?;
        account.balance = affordable(id, &account, amount)?;
        self.trees.set_account(id, &account);
        Ok(())
    }

    /// Gives coins to an account, which comes to exist by it.
    pub(crate) fn credit(&mut self, id: AccountId, amount: Coins) -> Result<(), RuleError> {
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

    /// Nonce and fee of a transaction, in the order of the solo transactions: who cannot pay is told that first, unless
    /// somebody else pays (`docs/protocol/channel_txs` §3).
    pub(super) fn check_solo(
        &self,
        id: AccountId,
        nonce: Nonce,
        cost: Coins,
        frame: &Frame<'_>,
    ) -> Result<(), RuleError> {
        let account = self.account(id)?;
        let payer = frame.payer_or(id);
        if payer == id {
            affordable(id, &account, cost)?;
        }
        match (account.is_basic(), frame.auth_id(id)) {
            (true, _) => check_basic_nonce(id, &account, nonce)?,
            (false, _) if nonce != Nonce(0) => return Err(RuleError::NonceOfGeneralized { account: id }),
            (false, None) => return Err(RuleError::NotInMeta { account: id }),
            (false, Some(_)) => {}
        }
        affordable(payer, &self.account(payer)?, cost)?;
        Ok(())
    }

    /// As [`check_solo`](Self::check_solo), and takes the fee. The nonce is written to a generalized account too, as it
    /// is: 0.
    pub(super) fn charge_solo(
        &mut self,
        id: AccountId,
        nonce: Nonce,
        cost: Coins,
        frame: &Frame<'_>,
    ) -> Result<(), RuleError> {
        self.check_solo(id, nonce, cost, frame)?;
        let mut account = self.account(id)?;
        account.nonce = nonce;
        self.trees.set_account(id, &account);
        self.debit(frame.payer_or(id), cost)?;
        self.collect(cost)
    }

    /// Nonce, fee and amount of a transaction, in the order of all others: a wrong nonce is told first. The amount comes
    /// from the origin, whoever pays the fee.
    pub(super) fn charge(
        &mut self,
        id: AccountId,
        nonce: Nonce,
        (fee, amount): (Coins, Coins),
        frame: &Frame<'_>,
    ) -> Result<(), RuleError> {
        self.use_nonce(id, nonce, frame)?;
        let payer = frame.payer_or(id);
        if payer == id {
            self.debit(id, sum(fee, amount))?;
        } else {
            if amount > Coins::ZERO {
                self.debit(id, amount)?;
            }
            self.debit(payer, fee)?;
        }
        self.collect(fee)
    }

    /// Checks that the other party authenticated as its account does.
    pub(super) fn check_cosigner(
        &self,
        channel: &ChannelObject,
        origin: AccountId,
        frame: &Frame<'_>,
    ) -> Result<(), RuleError> {
        let other = if origin == channel.initiator_id { channel.responder_id } else { channel.initiator_id };
        match self.trees.account(other) {
            Some(account) => check_kind(other, &account, frame),
            None => Ok(()),
        }
    }
}

/// Checks that a generalized account did not sign with its key.
pub(super) fn check_kind(id: AccountId, account: &Account, frame: &Frame<'_>) -> Result<(), RuleError> {
    if account.is_basic() || frame.auth_id(id).is_some() {
        Ok(())
    } else {
        Err(RuleError::GeneralizedSigned { account: id })
    }
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

fn check_basic_nonce(id: AccountId, account: &Account, nonce: Nonce) -> Result<(), RuleError> {
    let expected = account.nonce.next();
    if nonce <= account.nonce {
        Err(RuleError::NonceUsed { account: id, nonce, expected })
    } else if nonce > expected {
        Err(RuleError::NonceTooHigh { account: id, nonce, expected })
    } else {
        Ok(())
    }
}
