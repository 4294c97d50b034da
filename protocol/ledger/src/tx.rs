//! Transactions: one table of what stands in each, in wire order (`docs/protocol/encodings` §4).

mod accessors;
mod field;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use strait_encoding::rlp::{self, DecodeError, Fields, List};
use strait_encoding::{AccountId, ChannelId, Coins, ContractId, Height, Id, Nonce, Round, StateHash};

use crate::{CtVersion, SignedTx, Update};
pub(crate) use field::id_text;
pub use field::{
    ContractBytes, Delegates, FunctionHash, MetaTtl, Payload, ProofBytes, SpendPayload, TreesBytes,
};
use field::{Field, Reading};

/// How many transactions may stand around another: a block has no room for more meta transactions
/// (`docs/protocol/channel_txs` §5).
const MAX_NESTING: u32 = 80;

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

                fn decode(bytes: &[u8], nesting: u32) -> Result<Self, DecodeError> {
                    let (version, mut fields) = Fields::of_object(bytes, $tag)?;
                    if !$versions.contains(&version) {
                        return Err(DecodeError::Version { tag: $tag, version });
                    }
                    let from = Reading { version, nesting };
                    let tx = Self { $($field: Field::read(&mut fields, from)?,)* };
                    fields.end()?;
                    Ok(tx)
                }

                fn json(&self) -> Map<String, Value> {
                    let mut map = Map::new();
                    $(self.$field.show(stringify!($field), &mut map);)*
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
            /// Malformed, of a kind or version that is not known, or around one that it cannot be around.
            pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
                Self::decode_inside(bytes, 0)
            }

            /// As [`decode`](Self::decode), for one that stands in so many others.
            pub(crate) fn decode_inside(bytes: &[u8], nesting: u32) -> Result<Self, DecodeError> {
                if nesting > MAX_NESTING {
                    return Err(DecodeError::Rule("a transaction stands in more than 80 others"));
                }
                let tx = match rlp::tag_of(bytes)? {
                    $($tag => $name::decode(bytes, nesting).map(Tx::$kind),)*
                    other => Err(DecodeError::UnknownTag(other)),
                }?;
                tx.check_inside()?;
                Ok(tx)
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
    /// Makes a contract and its first state.
    ContractCreate ContractCreateTx 42 [1], "contract_create_tx", "ContractCreateTx" {
        /// Who makes it and pays for it.
        owner_id: AccountId,
        /// Nonce of the owner.
        nonce: Nonce,
        /// The serialized code.
        code: ContractBytes,
        /// Virtual machine and call convention.
        ct_version: CtVersion,
        /// Fee of the transaction.
        fee: Coins,
        /// Last height at which it is valid; 0 for ever.
        ttl: Height,
        /// Coins locked in the contract.
        deposit: Coins,
        /// Coins that the contract gets.
        amount: Coins,
        /// Gas limit of the call of `init`.
        gas: u64,
        /// Price of a unit of gas.
        gas_price: Coins,
        /// The call of `init`.
        call_data: ContractBytes,
    }
    /// Calls a contract.
    ContractCall ContractCallTx 43 [1], "contract_call_tx", "ContractCallTx" {
        /// Who calls and pays for it.
        caller_id: AccountId,
        /// Nonce of the caller.
        nonce: Nonce,
        /// What is called.
        contract_id: ContractId,
        /// Call convention.
        abi_version: u64,
        /// Fee of the transaction.
        fee: Coins,
        /// Last height at which it is valid; 0 for ever.
        ttl: Height,
        /// Coins that go with the call.
        amount: Coins,
        /// Gas limit of the call.
        gas: u64,
        /// Price of a unit of gas.
        gas_price: Coins,
        /// Function and arguments.
        call_data: ContractBytes,
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
    /// Makes a basic account a generalized one: from then on a call of a contract authenticates its transactions.
    GaAttach GaAttachTx 80 [1], "ga_attach_tx", "GAAttachTx" {
        /// The account.
        owner_id: AccountId,
        /// Its nonce.
        nonce: Nonce,
        /// The serialized code of the contract.
        code: ContractBytes,
        /// The function that authenticates.
        auth_fun: FunctionHash,
        /// Virtual machine and call convention.
        ct_version: CtVersion,
        /// Fee of the transaction.
        fee: Coins,
        /// Last height at which it is valid; 0 for ever.
        ttl: Height,
        /// Gas limit of the call of `init`.
        gas: u64,
        /// Price of a unit of gas.
        gas_price: Coins,
        /// The call of `init`.
        call_data: ContractBytes,
    }
    /// Carries a transaction that a generalized account authenticates by a call.
    GaMeta GaMetaTx 81 [1, 2], "ga_meta_tx", "GAMetaTx" {
        /// The generalized account, which pays for the call.
        ga_id: AccountId,
        /// The call.
        auth_data: ContractBytes,
        /// Call convention.
        abi_version: u64,
        /// Fee of the transaction.
        fee: Coins,
        /// Gas limit of the call.
        gas: u64,
        /// Price of a unit of gas.
        gas_price: Coins,
        /// Last height at which it is valid, before the Iris protocol.
        ttl: MetaTtl,
        /// The transaction that is authenticated; its nonce is 0.
        tx: SignedTx,
    }
    /// Carries a transaction whose fee and gas another account pays. Signed by that account.
    PayingFor PayingForTx 82 [1], "paying_for_tx", "PayingForTx" {
        /// Who pays.
        payer_id: AccountId,
        /// Nonce of the payer.
        nonce: Nonce,
        /// Fee of this transaction alone.
        fee: Coins,
        /// The transaction that is paid for.
        tx: SignedTx,
    }
}
