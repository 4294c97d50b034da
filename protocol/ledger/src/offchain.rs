//! The state of a channel off chain, and what updates do to it (`docs/protocol/state_trees` §5).

mod contracts;

use strait_encoding::{AccountId, Coins, Round};
use strait_tree::Tree;
use thiserror::Error;

use crate::{Account, Protocol, Trees, Update};
pub(crate) use contracts::OffchainCall;
pub use contracts::{CallError, OFFCHAIN_GAS, OFFCHAIN_GAS_PRICE, Pinned, apply_updates_at, dry_run};

/// What the updates of one round have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffchainEnv {
    /// What an account that is debited must keep.
    pub reserve: Coins,
    /// The round that the updates lead to; contracts see it as height and nonce.
    pub round: Round,
    /// The protocol of the block that the updates are pinned to.
    pub protocol: Protocol,
}

/// Why an update cannot be applied: the fault of whoever proposed it. The trees are unchanged.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UpdateError {
    /// The account would keep less than the channel's reserve.
    #[error("account {account} has {balance}: paying {amount} leaves less than the reserve of {reserve}")]
    InsufficientBalance {
        /// Who pays.
        account: AccountId,
        /// What it has.
        balance: Coins,
        /// What it should pay.
        amount: Coins,
        /// What it must keep.
        reserve: Coins,
    },
    /// Nobody of that name is in the channel.
    #[error("account {0} is not in the channel's state")]
    UnknownAccount(AccountId),
    /// The account would hold more than any amount.
    #[error("account {account} cannot receive {amount}: its balance would exceed 128 bits")]
    TooLarge {
        /// Who receives.
        account: AccountId,
        /// What it should receive.
        amount: Coins,
    },
    /// It takes a machine and the state of the chain, which [`apply_updates_at`] has.
    #[error("updates that create or call a contract are not supported")]
    ContractsUnsupported,
}

/// The trees of round 1: two accounts, nothing else. The balances are those after the push at opening.
pub fn initial_trees(
    initiator: AccountId,
    responder: AccountId,
    initiator_balance: Coins,
    responder_balance: Coins,
) -> Trees {
    let mut trees = Trees::default();
    trees.set_account(initiator, &Account::new(initiator_balance));
    trees.set_account(responder, &Account::new(responder_balance));
    trees
}

/// The trees of the next round: those of the last one, its contract calls forgotten, with `updates` applied in order, where
/// none of them takes a contract. [`apply_updates_at`] applies any.
///
/// # Errors
/// An update is impossible in this state.
pub fn apply_updates(trees: &Trees, updates: &[Update], env: &OffchainEnv) -> Result<Trees, UpdateError> {
    let mut next = without_calls(trees);
    for update in updates {
        apply(&mut next, update, env)?;
    }
    Ok(next)
}

fn apply(trees: &mut Trees, update: &Update, env: &OffchainEnv) -> Result<(), UpdateError> {
    match update {
        Update::Transfer { from, to, amount } => {
            debit(trees, *from, *amount, env.reserve)?;
            credit(trees, *to, *amount)
        }
        Update::Deposit { from, amount } => credit(trees, *from, *amount),
        Update::Withdraw { to, amount } => debit(trees, *to, *amount, env.reserve),
        Update::Meta { .. } => Ok(()),
        Update::NewContract { .. } | Update::CallContract { .. } => Err(UpdateError::ContractsUnsupported),
    }
}

fn without_calls(trees: &Trees) -> Trees {
    Trees { calls: Tree::new(), ..trees.clone() }
}

fn debit(trees: &mut Trees, id: AccountId, amount: Coins, reserve: Coins) -> Result<(), UpdateError> {
    let mut account = trees.account(id).ok_or(UpdateError::UnknownAccount(id))?;
    let left = account.balance.checked_sub(amount).filter(|left| *left >= reserve);
    account.balance = left.ok_or(UpdateError::InsufficientBalance {
        account: id,
        balance: account.balance,
        amount,
        reserve,
    })?;
    trees.set_account(id, &account);
    Ok(())
}

fn credit(trees: &mut Trees, id: AccountId, amount: Coins) -> Result<(), UpdateError> {
    let mut account = trees.account(id).ok_or(UpdateError::UnknownAccount(id))?;
    account.balance =
        account.balance.checked_add(amount).ok_or(UpdateError::TooLarge { account: id, amount })?;
    trees.set_account(id, &account);
    Ok(())
}
