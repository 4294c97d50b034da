//! What a transaction knows of those around it.

use std::cell::OnceCell;

use strait_encoding::{AccountId, Coins, NetworkId, TxHash};

use super::{BlockEnv, RuleError};
use crate::{GaMetaTx, Protocol, SignedTx, Trees, TxKind, VirtualMachine};

/// What a transaction is processed for.
#[derive(Clone, Copy)]
pub(super) enum Purpose<'a> {
    /// A block.
    Block,
    /// Telling beforehand what would come of it (`docs/protocol/chain_service` §4.1).
    DryRun,
    /// A block, once more: the trees of a channel that a forced call led to go here, if it had an effect.
    Forced(&'a OnceCell<Trees>),
}

/// A block, and the transactions around the one that is processed: meta transactions, and one that pays.
#[derive(Clone)]
pub(super) struct Frame<'a> {
    pub env: &'a BlockEnv<'a>,
    /// The outermost transaction with its signatures.
    outermost: &'a SignedTx,
    /// Who pays, if another transaction is around this one to do so.
    pub payer: Option<AccountId>,
    /// Who authenticated by a meta transaction around this one, the outermost first, and how.
    auths: Vec<(AccountId, [u8; 32])>,
    purpose: Purpose<'a>,
}

impl<'a> Frame<'a> {
    /// Of the outermost transaction.
    pub fn new(env: &'a BlockEnv<'a>, outermost: &'a SignedTx, purpose: Purpose<'a>) -> Self {
        Self { env, outermost, payer: None, auths: Vec::new(), purpose }
    }

    pub fn is_dry_run(&self) -> bool {
        matches!(self.purpose, Purpose::DryRun)
    }

    /// Tells of the trees that a forced call has just made those of the channel.
    pub fn tell_forced(&self, trees: Trees) {
        if let Purpose::Forced(place) = self.purpose {
            // A transaction forces one call.
            let _ = place.set(trees);
        }
    }

    /// The hash by which the chain knows all of it.
    pub fn hash(&self) -> TxHash {
        self.outermost.hash()
    }

    /// Inside a meta transaction that has authenticated.
    pub fn inside(&self, meta: &GaMetaTx) -> Self {
        let mut inside = self.clone();
        inside.auths.push((meta.ga_id, meta.auth_id()));
        inside
    }

    /// Inside a transaction that pays.
    pub fn paid_by(&self, payer: AccountId) -> Self {
        Self { payer: Some(payer), ..self.clone() }
    }

    pub fn network(&self) -> &'a NetworkId {
        self.env.network
    }

    pub fn protocol(&self) -> Protocol {
        self.env.protocol
    }

    /// Whether it stands in a meta transaction.
    pub fn is_in_meta(&self) -> bool {
        !self.auths.is_empty()
    }

    /// How an account authenticated by a meta transaction; the innermost, where it did so more than once.
    pub fn auth_id(&self, account: AccountId) -> Option<[u8; 32]> {
        self.auths.iter().rev().find(|(id, _)| *id == account).map(|(_, auth)| *auth)
    }

    /// Who is left of these after those who authenticated by a meta transaction.
    pub fn signers_left(&self, mut signers: Vec<AccountId>) -> Vec<AccountId> {
        for (account, _) in &self.auths {
            if let Some(place) = signers.iter().position(|signer| signer == account) {
                signers.remove(place);
            }
        }
        signers
    }

    /// Who pays the fee and the gas of a transaction of `origin`.
    pub fn payer_or(&self, origin: AccountId) -> AccountId {
        self.payer.unwrap_or(origin)
    }

    pub fn machine(&self, kind: TxKind) -> Result<&'a dyn VirtualMachine, RuleError> {
        self.env.machine.ok_or(RuleError::Unsupported { kind })
    }
}

/// What so much gas costs. Nobody can pay more than the largest amount.
pub(super) fn gas_cost(gas: u64, price: Coins) -> Coins {
    Coins(u128::from(gas).saturating_mul(price.0))
}
