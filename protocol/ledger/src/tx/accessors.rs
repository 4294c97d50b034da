//! What all transactions have, wherever it stands in them.

use serde_json::{Value, json};
use strait_encoding::hash;
use strait_encoding::rlp::DecodeError;
use strait_encoding::{AccountId, ChannelId, Coins, Height, Nonce, Round, StateHash};

use super::{CreateTx, Delegates, GaMetaTx, MetaTtl, Tx};

/// Runs the same expression for every transaction that goes on chain: all but the off-chain one.
macro_rules! on_chain {
    ($self:expr, $tx:ident => $value:expr, offchain $none:expr) => {
        match $self {
            Tx::Spend($tx) => $value,
            Tx::ContractCreate($tx) => $value,
            Tx::ContractCall($tx) => $value,
            Tx::ChannelCreate($tx) => $value,
            Tx::ChannelSetDelegates($tx) => $value,
            Tx::ChannelDeposit($tx) => $value,
            Tx::ChannelWithdraw($tx) => $value,
            Tx::ChannelForceProgress($tx) => $value,
            Tx::ChannelCloseMutual($tx) => $value,
            Tx::ChannelCloseSolo($tx) => $value,
            Tx::ChannelSlash($tx) => $value,
            Tx::ChannelSettle($tx) => $value,
            Tx::ChannelSnapshotSolo($tx) => $value,
            Tx::GaAttach($tx) => $value,
            Tx::GaMeta($tx) => $value,
            Tx::PayingFor($tx) => $value,
            Tx::ChannelOffchain(_) => $none,
        }
    };
}

impl Tx {
    /// The version of the object.
    pub fn version(&self) -> u64 {
        match self {
            Tx::ChannelCreate(CreateTx { delegate_ids: Delegates::Each { .. }, .. })
            | Tx::ChannelOffchain(_)
            | Tx::GaMeta(GaMetaTx { ttl: MetaTtl(None), .. }) => 2,
            _ => 1,
        }
    }

    /// The fee; none for an off-chain transaction.
    pub fn fee(&self) -> Coins {
        on_chain!(self, tx => tx.fee, offchain Coins::ZERO)
    }

    /// The same transaction with another fee; an off-chain one stays as it is.
    #[must_use]
    pub fn with_fee(mut self, fee: Coins) -> Self {
        on_chain!(&mut self, tx => tx.fee = fee, offchain {});
        self
    }

    /// The last height at which it is valid; 0 for ever. Where it carries another one and has none itself, that one's.
    pub fn ttl(&self) -> Height {
        match self {
            Tx::Spend(tx) => tx.ttl,
            Tx::ContractCreate(tx) => tx.ttl,
            Tx::ContractCall(tx) => tx.ttl,
            Tx::ChannelCreate(tx) => tx.ttl,
            Tx::ChannelSetDelegates(tx) => tx.ttl,
            Tx::ChannelDeposit(tx) => tx.ttl,
            Tx::ChannelWithdraw(tx) => tx.ttl,
            Tx::ChannelForceProgress(tx) => tx.ttl,
            Tx::ChannelCloseMutual(tx) => tx.ttl,
            Tx::ChannelCloseSolo(tx) => tx.ttl,
            Tx::ChannelSlash(tx) => tx.ttl,
            Tx::ChannelSettle(tx) => tx.ttl,
            Tx::ChannelSnapshotSolo(tx) => tx.ttl,
            Tx::GaAttach(tx) => tx.ttl,
            Tx::GaMeta(tx) => tx.ttl.0.unwrap_or_else(|| tx.tx.tx().ttl()),
            Tx::PayingFor(tx) => tx.tx.tx().ttl(),
            Tx::ChannelOffchain(_) => Height(0),
        }
    }

    /// The nonce of its origin; 0 for an off-chain and a meta transaction.
    pub fn nonce(&self) -> Nonce {
        match self {
            Tx::Spend(tx) => tx.nonce,
            Tx::ContractCreate(tx) => tx.nonce,
            Tx::ContractCall(tx) => tx.nonce,
            Tx::ChannelCreate(tx) => tx.nonce,
            Tx::ChannelSetDelegates(tx) => tx.nonce,
            Tx::ChannelDeposit(tx) => tx.nonce,
            Tx::ChannelWithdraw(tx) => tx.nonce,
            Tx::ChannelForceProgress(tx) => tx.nonce,
            Tx::ChannelCloseMutual(tx) => tx.nonce,
            Tx::ChannelCloseSolo(tx) => tx.nonce,
            Tx::ChannelSlash(tx) => tx.nonce,
            Tx::ChannelSettle(tx) => tx.nonce,
            Tx::ChannelSnapshotSolo(tx) => tx.nonce,
            Tx::GaAttach(tx) => tx.nonce,
            Tx::PayingFor(tx) => tx.nonce,
            Tx::GaMeta(_) | Tx::ChannelOffchain(_) => Nonce(0),
        }
    }

    /// The account whose nonce it uses and that pays its fee, unless the channel pays; none for an off-chain transaction.
    pub fn origin(&self) -> Option<AccountId> {
        Some(match self {
            Tx::Spend(tx) => tx.sender_id,
            Tx::ContractCreate(tx) => tx.owner_id,
            Tx::ContractCall(tx) => tx.caller_id,
            Tx::ChannelCreate(tx) => tx.initiator_id,
            Tx::ChannelSetDelegates(tx) => tx.from_id,
            Tx::ChannelDeposit(tx) => tx.from_id,
            Tx::ChannelWithdraw(tx) => tx.to_id,
            Tx::ChannelForceProgress(tx) => tx.from_id,
            Tx::ChannelCloseMutual(tx) => tx.from_id,
            Tx::ChannelCloseSolo(tx) => tx.from_id,
            Tx::ChannelSlash(tx) => tx.from_id,
            Tx::ChannelSettle(tx) => tx.from_id,
            Tx::ChannelSnapshotSolo(tx) => tx.from_id,
            Tx::GaAttach(tx) => tx.owner_id,
            Tx::GaMeta(tx) => tx.ga_id,
            Tx::PayingFor(tx) => tx.payer_id,
            Tx::ChannelOffchain(_) => return None,
        })
    }

    /// The channel that it is about, or that the transaction inside it is about. That of a create transaction is derived:
    /// from the nonce, or from how a generalized account authenticated it (`docs/protocol/channel_txs` §2).
    pub fn channel_id(&self) -> Option<ChannelId> {
        let (mut tx, mut metas) = (self, Vec::new());
        while let Some(inside) = tx.inside() {
            if let Tx::GaMeta(meta) = tx {
                metas.push(meta);
            }
            tx = inside;
        }
        let Tx::ChannelCreate(create) = tx else { return tx.named_channel() };
        // Where an account authenticated more than once, the innermost counts.
        let auth = metas.iter().rev().find(|meta| meta.ga_id == create.initiator_id);
        Some(match auth {
            Some(meta) => {
                hash::channel_id_of_generalized(create.initiator_id, meta.auth_id(), create.responder_id)
            }
            None => create.channel_id(),
        })
    }

    /// The transaction directly inside a meta transaction, or one that pays for another.
    pub fn inside(&self) -> Option<&Tx> {
        match self {
            Tx::GaMeta(tx) => Some(tx.tx.tx()),
            Tx::PayingFor(tx) => Some(tx.tx.tx()),
            _ => None,
        }
    }

    fn named_channel(&self) -> Option<ChannelId> {
        Some(match self {
            Tx::ChannelSetDelegates(tx) => tx.channel_id,
            Tx::ChannelDeposit(tx) => tx.channel_id,
            Tx::ChannelWithdraw(tx) => tx.channel_id,
            Tx::ChannelForceProgress(tx) => tx.channel_id,
            Tx::ChannelCloseMutual(tx) => tx.channel_id,
            Tx::ChannelCloseSolo(tx) => tx.channel_id,
            Tx::ChannelSlash(tx) => tx.channel_id,
            Tx::ChannelSettle(tx) => tx.channel_id,
            Tx::ChannelOffchain(tx) => tx.channel_id,
            Tx::ChannelSnapshotSolo(tx) => tx.channel_id,
            Tx::Spend(_)
            | Tx::ContractCreate(_)
            | Tx::ContractCall(_)
            | Tx::ChannelCreate(_)
            | Tx::GaAttach(_)
            | Tx::GaMeta(_)
            | Tx::PayingFor(_) => return None,
        })
    }

    /// Checks that a transaction which pays for another is around one that can be paid for: a node reads no other.
    pub(super) fn check_inside(&self) -> Result<(), DecodeError> {
        let Tx::PayingFor(paying) = self else { return Ok(()) };
        match paying.tx.innermost().tx() {
            Tx::PayingFor(_) => Err(DecodeError::Rule("a payment for a transaction is paid for")),
            Tx::ChannelOffchain(_) => Err(DecodeError::Rule("an off-chain transaction is paid for")),
            _ => Ok(()),
        }
    }

    /// The round and the state hash that both parties agree on by signing it, where it fixes a state.
    pub fn agreed_state(&self) -> Option<(Round, StateHash)> {
        match self {
            Tx::ChannelCreate(tx) => Some((Round(1), tx.state_hash)),
            Tx::ChannelDeposit(tx) => Some((tx.round, tx.state_hash)),
            Tx::ChannelWithdraw(tx) => Some((tx.round, tx.state_hash)),
            Tx::ChannelOffchain(tx) => Some((tx.round, tx.state_hash)),
            Tx::ChannelForceProgress(tx) => Some((tx.round, tx.state_hash)),
            _ => None,
        }
    }

    /// The client's JSON (`docs/protocol/encodings` §6).
    pub fn to_json(&self) -> Value {
        let mut map = self.json_fields();
        map.insert("version".to_owned(), json!(self.version()));
        map.insert("type".to_owned(), json!(self.kind().json_name()));
        Value::Object(map)
    }
}

impl CreateTx {
    /// The id of the channel that a basic account opens with it (`docs/protocol/channel_txs` §2).
    pub fn channel_id(&self) -> ChannelId {
        strait_encoding::hash::channel_id(self.initiator_id, self.nonce, self.responder_id)
    }
}

impl GaMetaTx {
    /// The name of this authentication: it stands where the nonce of a basic account stands.
    pub fn auth_id(&self) -> [u8; 32] {
        hash::auth_id(self.ga_id, &self.auth_data.0)
    }
}
