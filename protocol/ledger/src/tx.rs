//! Transactions: one table of what stands in each, in wire order (`docs/protocol/encodings` §4).

mod field;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use strait_encoding::rlp::{self, DecodeError, Fields, List};
use strait_encoding::{AccountId, ChannelId, Coins, Height, Id, Nonce, Round, StateHash};

use crate::Update;
use field::Field;
pub use field::{Delegates, Payload, ProofBytes, SpendPayload, TreesBytes};

macro_rules! transactions {
    ($($(#[$doc:meta])* $kind:ident $name:ident $tag:literal $versions:expr, $event:literal, $json:literal
       { $($(#[$fdoc:meta])* $field:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
            pub struct $name { $($(#[$fdoc])* pub $field: $type,)* }

            impl $name {
                fn encode(&self, version: u64) -> Vec<u8> {
                    let list = List::object($tag, version);
                    $(let list = self.$field.write(list);)*
                    list.finish()
                }

                fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
                    let (version, mut fields) = Fields::of_object(bytes, $tag)?;
                    if !$versions.contains(&version) {
                        return Err(DecodeError::Version { tag: $tag, version });
                    }
                    let tx = Self { $($field: Field::read(&mut fields, version)?,)* };
                    fields.end()?;
                    Ok(tx)
                }

                fn json(&self) -> Map<String, Value> {
                    let mut map = Map::new();
                    $(if let Some(value) = self.$field.json() {
                        map.insert(stringify!($field).to_owned(), value);
                    })*
                    map
                }
            }

            impl From<$name> for Tx {
                fn from(tx: $name) -> Self {
                    Tx::$kind(tx)
                }
            }
        )*

        /// Any transaction.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum Tx { $($(#[$doc])* $kind($name),)* }

        /// Which transaction it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum TxKind { $($(#[$doc])* $kind,)* }

        impl TxKind {
            /// The name in notifications, `channel_create_tx`.
            pub fn event_name(self) -> &'static str {
                match self { $(TxKind::$kind => $event,)* }
            }

            /// The name in the JSON of a transaction, `ChannelCreateTx`.
            pub fn json_name(self) -> &'static str {
                match self { $(TxKind::$kind => $json,)* }
            }
        }

        impl Tx {
            /// Which transaction it is.
            pub fn kind(&self) -> TxKind {
                match self { $(Tx::$kind(_) => TxKind::$kind,)* }
            }

            /// The serialized unsigned transaction.
            pub fn encode(&self) -> Vec<u8> {
                let version = self.version();
                match self { $(Tx::$kind(tx) => tx.encode(version),)* }
            }

            /// Reads a serialized unsigned transaction.
            ///
            /// # Errors
            /// Malformed, or of a kind or version that is not known.
            pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
                match rlp::tag_of(bytes)? {
                    $($tag => $name::decode(bytes).map(Tx::$kind),)*
                    other => Err(DecodeError::UnknownTag(other)),
                }
            }

            fn json_fields(&self) -> Map<String, Value> {
                match self { $(Tx::$kind(tx) => tx.json(),)* }
            }
        }
    };
}

transactions! {
    /// Moves coins to an account.
    Spend SpendTx 12 [1], "spend_tx", "SpendTx" {
        /// Who pays.
        sender_id: AccountId,
        /// Who receives.
        recipient_id: Id,
        /// How much.
        amount: Coins,
        /// Fee of the transaction.
        fee: Coins,
        /// Last height at which it is valid; 0 for ever.
        ttl: Height,
        /// Nonce of the sender.
        nonce: Nonce,
        /// Free bytes.
        payload: SpendPayload,
    }
    /// Opens a channel. Signed by both; its round is 1.
    ChannelCreate CreateTx 50 [1, 2], "channel_create_tx", "ChannelCreateTx" {
        /// Who opens, pays the fee and whose nonce it is.
        initiator_id: AccountId,
        /// Coins of the initiator that enter the channel.
        initiator_amount: Coins,
        /// The other party.
        responder_id: AccountId,
        /// Coins of the responder that enter the channel.
        responder_amount: Coins,
        /// What each party must keep.
        channel_reserve: Coins,
        /// Key blocks between a solo close and its settlement.
        lock_period: u64,
        /// Last height at which it is valid; 0 for ever.
        ttl: Height,
        /// Fee of the transaction.
        fee: Coins,
        /// Who may act for the parties.
        delegate_ids: Delegates,
        /// Hash of the initial off-chain state.
        state_hash: StateHash,
        /// Nonce of the initiator.
        nonce: Nonce,
    }
    /// Replaces the delegates. Signed by both.
    ChannelSetDelegates SetDelegatesTx 501 [1], "channel_set_delegates_tx", "ChannelSetDelegatesTx" {
        /// The channel.
        channel_id: ChannelId,
        /// Whose nonce it is.
        from_id: AccountId,
        /// Delegates of the initiator.
        initiator_delegate_ids: Vec<AccountId>,
        /// Delegates of the responder.
        responder_delegate_ids: Vec<AccountId>,
        /// Co-signed state, or nothing.
        payload: Payload,
        /// Hash of the state.
        state_hash: StateHash,
        /// Round of the state.
        round: Round,
        /// Last height at which it is valid; 0 for ever.
        ttl: Height,
        /// Fee of the transaction.
        fee: Coins,
        /// Nonce of `from_id`.
        nonce: Nonce,
    }
    /// Adds coins to an open channel. Signed by both.
    ChannelDeposit DepositTx 51 [1], "channel_deposit_tx", "ChannelDepositTx" {
        /// The channel.
        channel_id: ChannelId,
        /// Whose coins and nonce.
        from_id: AccountId,
        /// How much.
        amount: Coins,
        /// Last height at which it is valid; 0 for ever.
        ttl: Height,
        /// Fee of the transaction.
        fee: Coins,
        /// Hash of the state after the deposit.
        state_hash: StateHash,
        /// Round of that state.
        round: Round,
        /// Nonce of `from_id`.
        nonce: Nonce,
    }
    /// Takes coins out of an open channel. Signed by both.
    ChannelWithdraw WithdrawTx 52 [1], "channel_withdraw_tx", "ChannelWithdrawTx" {
        /// The channel.
        channel_id: ChannelId,
        /// Who receives; whose nonce.
        to_id: AccountId,
        /// How much.
        amount: Coins,
        /// Last height at which it is valid; 0 for ever.
        ttl: Height,
        /// Fee of the transaction.
        fee: Coins,
        /// Hash of the state after the withdrawal.
        state_hash: StateHash,
        /// Round of that state.
        round: Round,
        /// Nonce of `to_id`.
        nonce: Nonce,
    }
    /// Executes one contract call on chain. Signed by one.
    ChannelForceProgress ForceProgressTx 521 [1], "channel_force_progress_tx", "ChannelForceProgressTx" {
        /// The channel.
        channel_id: ChannelId,
        /// Whose nonce it is.
        from_id: AccountId,
        /// Co-signed state, or nothing.
        payload: Payload,
        /// Round of the new state.
        round: Round,
        /// The call.
        update: Update,
        /// Hash of the new state.
        state_hash: StateHash,
        /// The trees before the call.
        offchain_trees: TreesBytes,
        /// Last height at which it is valid; 0 for ever.
        ttl: Height,
        /// Fee of the transaction.
        fee: Coins,
        /// Nonce of `from_id`.
        nonce: Nonce,
    }
    /// Ends the channel by agreement. Signed by both; the fee leaves the channel.
    ChannelCloseMutual CloseMutualTx 53 [1], "channel_close_mutual_tx", "ChannelCloseMutualTx" {
        /// The channel.
        channel_id: ChannelId,
        /// Whose nonce it is.
        from_id: AccountId,
        /// What the initiator receives.
        initiator_amount_final: Coins,
        /// What the responder receives.
        responder_amount_final: Coins,
        /// Last height at which it is valid; 0 for ever.
        ttl: Height,
        /// Fee of the transaction.
        fee: Coins,
        /// Nonce of `from_id`.
        nonce: Nonce,
    }
    /// Starts closing the channel alone. Signed by one.
    ChannelCloseSolo CloseSoloTx 54 [1], "channel_close_solo_tx", "ChannelCloseSoloTx" {
        /// The channel.
        channel_id: ChannelId,
        /// Whose nonce it is.
        from_id: AccountId,
        /// Co-signed state, or nothing.
        payload: Payload,
        /// Proof of both balances.
        poi: ProofBytes,
        /// Last height at which it is valid; 0 for ever.
        ttl: Height,
        /// Fee of the transaction.
        fee: Coins,
        /// Nonce of `from_id`.
        nonce: Nonce,
    }
    /// Answers a solo close with a later state. Signed by one.
    ChannelSlash SlashTx 55 [1], "channel_slash_tx", "ChannelSlashTx" {
        /// The channel.
        channel_id: ChannelId,
        /// Whose nonce it is.
        from_id: AccountId,
        /// Co-signed state.
        payload: Payload,
        /// Proof of both balances.
        poi: ProofBytes,
        /// Last height at which it is valid; 0 for ever.
        ttl: Height,
        /// Fee of the transaction.
        fee: Coins,
        /// Nonce of `from_id`.
        nonce: Nonce,
    }
    /// Pays out after the lock period. Signed by one.
    ChannelSettle SettleTx 56 [1], "channel_settle_tx", "ChannelSettleTx" {
        /// The channel.
        channel_id: ChannelId,
        /// Whose nonce it is.
        from_id: AccountId,
        /// What the initiator receives.
        initiator_amount_final: Coins,
        /// What the responder receives.
        responder_amount_final: Coins,
        /// Last height at which it is valid; 0 for ever.
        ttl: Height,
        /// Fee of the transaction.
        fee: Coins,
        /// Nonce of `from_id`.
        nonce: Nonce,
    }
    /// Agrees on an off-chain state; never on chain by itself. Signed by both.
    ChannelOffchain OffchainTx 57 [2], "channel_offchain_tx", "ChannelOffchainTx" {
        /// The channel.
        channel_id: ChannelId,
        /// Round of the state.
        round: Round,
        /// Hash of the state.
        state_hash: StateHash,
    }
    /// Makes a co-signed state known to the chain. Signed by one.
    ChannelSnapshotSolo SnapshotSoloTx 59 [1], "channel_snapshot_solo_tx", "ChannelSnapshotSoloTx" {
        /// The channel.
        channel_id: ChannelId,
        /// Whose nonce it is.
        from_id: AccountId,
        /// Co-signed state.
        payload: Payload,
        /// Last height at which it is valid; 0 for ever.
        ttl: Height,
        /// Fee of the transaction.
        fee: Coins,
        /// Nonce of `from_id`.
        nonce: Nonce,
    }
}

/// Runs the same expression for every transaction that goes on chain: all but the off-chain one.
macro_rules! on_chain {
    ($self:expr, $tx:ident => $value:expr, offchain $none:expr) => {
        match $self {
            Tx::Spend($tx) => $value,
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
            Tx::ChannelOffchain(_) => $none,
        }
    };
}

impl Tx {
    /// The version of the object.
    pub fn version(&self) -> u64 {
        match self {
            Tx::ChannelCreate(CreateTx { delegate_ids: Delegates::Each { .. }, .. })
            | Tx::ChannelOffchain(_) => 2,
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

    /// The last height at which it is valid; 0 for ever.
    pub fn ttl(&self) -> Height {
        on_chain!(self, tx => tx.ttl, offchain Height(0))
    }

    /// The nonce; 0 for an off-chain transaction.
    pub fn nonce(&self) -> Nonce {
        on_chain!(self, tx => tx.nonce, offchain Nonce(0))
    }

    /// The account whose nonce it uses and that pays its fee, unless the channel pays; none for an off-chain transaction.
    pub fn origin(&self) -> Option<AccountId> {
        Some(match self {
            Tx::Spend(tx) => tx.sender_id,
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
            Tx::ChannelOffchain(_) => return None,
        })
    }

    /// The channel that it is about; that of a create transaction is derived from it.
    pub fn channel_id(&self) -> Option<ChannelId> {
        Some(match self {
            Tx::Spend(_) => return None,
            Tx::ChannelCreate(tx) => tx.channel_id(),
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
        })
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
