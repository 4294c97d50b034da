//! What the pool takes (`docs/protocol/chain_service` §2).

use strait_encoding::{AccountId, Coins, Nonce, TxHash};
use thiserror::Error;

use super::Chain;
use super::pool::Waiting;
use crate::rules::{self, RuleError};
use crate::{SignedTx, Tx, fee};

/// Why the pool does not take a transaction: the fault of its sender, except that the pool may be full.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SubmitError {
    /// It is in a block.
    #[error("transaction {0} is in a block already")]
    AlreadyAccepted(TxHash),
    /// It waits, or was dropped and may not come back.
    #[error("transaction {0} is known already")]
    AlreadyKnown(TxHash),
    /// A generalized account authenticates by meta transactions.
    #[error("{0} is a generalized account: only a meta transaction can carry its transactions")]
    GeneralizedSigned(AccountId),
    /// An earlier transaction used the nonce.
    #[error("nonce {nonce} of {account} is too low: {expected} is next")]
    NonceTooLow {
        /// The account.
        account: AccountId,
        /// The nonce of the transaction.
        nonce: Nonce,
        /// The next one of the account.
        expected: Nonce,
    },
    /// The nonce is further ahead than the pool waits for.
    #[error("nonce {nonce} of {account} is too high: at most {most} is taken")]
    NonceTooHigh {
        /// The account.
        account: AccountId,
        /// The nonce of the transaction.
        nonce: Nonce,
        /// The largest that is taken.
        most: Nonce,
    },
    /// The miner wants more.
    #[error("a unit of gas pays {price}: the miner asks for {minimum}")]
    TooLowGasPriceForMiner {
        /// What it pays.
        price: Coins,
        /// What the miner asks for.
        minimum: Coins,
    },
    /// A rule that no block can change.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// No block can hold it.
    #[error("the transaction takes {gas} units of gas: a block holds {limit}")]
    ExceedsBlock {
        /// What it counts towards the limit of a block.
        gas: u64,
        /// The limit.
        limit: u64,
    },
    /// Too many transactions wait.
    #[error("the pool is full: {0} transactions wait")]
    PoolFull(usize),
}

impl SubmitError {
    /// The name of the error in the node's HTTP API.
    pub fn atom(&self) -> &'static str {
        match self {
            SubmitError::AlreadyAccepted(_) => "already_accepted",
            SubmitError::AlreadyKnown(_) => "already_known",
            SubmitError::GeneralizedSigned(_) => "generalized_account_cant_sign_non_meta_tx",
            SubmitError::NonceTooLow { .. } => "nonce_too_low",
            SubmitError::NonceTooHigh { .. } => "nonce_too_high",
            SubmitError::TooLowGasPriceForMiner { .. } => "too_low_gas_price_for_miner",
            SubmitError::Rule(error) => error.atom(),
            // The node takes both, so it has no names for them: its pool has no limit, and what no block can hold waits
            // there until it is too old.
            SubmitError::ExceedsBlock { .. } => "block_gas_limit_exceeded",
            SubmitError::PoolFull(_) => "pool_full",
        }
    }
}

impl Chain {
    /// Takes a transaction into the pool. Balances and the rules of its kind are looked at when a block is built: a
    /// transaction may wait for another one, or for a height.
    ///
    /// # Errors
    /// The first check that fails, in the reference's order.
    pub fn submit(&mut self, tx: SignedTx) -> Result<TxHash, SubmitError> {
        let hash = tx.hash();
        self.check_submission(&hash, &tx)?;
        let waiting = Waiting::new(tx, self.top().header.height, self.config.protocol);
        self.pool.insert(hash, waiting);
        Ok(hash)
    }

    fn check_submission(&self, hash: &TxHash, signed: &SignedTx) -> Result<(), SubmitError> {
        let (tx, env) = (signed.tx(), self.env(self.tip.header.time_ms));
        // A node does not even read such a transaction.
        rules::check_embedded(tx)?;
        if self.history.tx(hash).is_some() {
            return Err(SubmitError::AlreadyAccepted(*hash));
        }
        if self.pool.get(hash).is_some() || self.pool.is_gone(hash) {
            return Err(SubmitError::AlreadyKnown(*hash));
        }
        self.check_machine(tx)?;
        rules::check_protocol(tx, env.protocol)?;
        let innermost = signed.innermost().tx();
        let Some(origin) = innermost.origin() else {
            let (kind, protocol) = (innermost.kind(), env.protocol);
            return Err(RuleError::InvalidAtProtocol { kind, protocol }.into());
        };
        rules::check_signatures(signed, &self.state.trees, env.network)?;
        self.check_nonce(origin, innermost.nonce())?;
        self.check_auth_gas(signed)?;
        rules::check_fee(tx, &env)?;
        rules::check_gas_price(tx, &env)?;
        self.check_miner_price(tx)?;
        rules::check_recipient(innermost, &self.state)?;
        rules::check_ttl(tx, env.height)?;
        self.check_room(tx)
    }

    /// Checks that there is a machine for what needs one.
    fn check_machine(&self, tx: &Tx) -> Result<(), RuleError> {
        let mut next = Some(tx);
        while let Some(tx) = next {
            let needs = matches!(
                tx,
                Tx::ChannelForceProgress(_)
                    | Tx::GaAttach(_)
                    | Tx::GaMeta(_)
                    | Tx::ContractCreate(_)
                    | Tx::ContractCall(_)
            );
            if needs && self.config.machine.get().is_none() {
                return Err(RuleError::Unsupported { kind: tx.kind() });
            }
            next = tx.inside();
        }
        Ok(())
    }

    pub(super) fn check_auth_gas(&self, signed: &SignedTx) -> Result<(), RuleError> {
        let most = self.config.auth_gas_limit;
        match signed.metas().map(|meta| meta.gas).find(|gas| *gas > most) {
            Some(gas) => Err(RuleError::TooMuchAuthGas { gas, most }),
            None => Ok(()),
        }
    }

    fn check_room(&self, tx: &Tx) -> Result<(), SubmitError> {
        let (gas, limit) = (fee::block_gas(tx, self.config.protocol), self.config.block_gas_limit);
        if gas > limit {
            return Err(SubmitError::ExceedsBlock { gas, limit });
        }
        match self.pool.len() {
            size if size >= self.config.pool_limit => Err(SubmitError::PoolFull(size)),
            _ => Ok(()),
        }
    }

    fn check_nonce(&self, origin: AccountId, nonce: Nonce) -> Result<(), SubmitError> {
        let Some(account) = self.state.trees.account(origin) else {
            let most = Nonce(1);
            let too_high = nonce > most;
            return if too_high {
                Err(SubmitError::NonceTooHigh { account: origin, nonce, most })
            } else {
                Ok(())
            };
        };
        if !account.is_basic() {
            let is_unsigned = nonce == Nonce(0);
            return if is_unsigned { Ok(()) } else { Err(SubmitError::GeneralizedSigned(origin)) };
        }
        let most = Nonce(account.nonce.0.saturating_add(self.config.nonce_offset));
        if nonce <= account.nonce {
            Err(SubmitError::NonceTooLow { account: origin, nonce, expected: account.nonce.next() })
        } else if nonce > most {
            Err(SubmitError::NonceTooHigh { account: origin, nonce, most })
        } else {
            Ok(())
        }
    }

    fn check_miner_price(&self, tx: &Tx) -> Result<(), SubmitError> {
        let minimum = self.config.miner_gas_price;
        match fee::effective_gas_price(tx, self.config.protocol) {
            Some(price) if price < minimum => Err(SubmitError::TooLowGasPriceForMiner { price, minimum }),
            _ => Ok(()),
        }
    }
}
