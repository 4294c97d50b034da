//! Accounts, channel objects, transactions, their rules, blocks and forks, as values.
//!
//! The dev chain, the off-chain updates of a channel and the simulator all run this code: there is one implementation of
//! the rules (`docs/protocol/channel_txs`, `docs/protocol/state_trees`).

mod account;
mod chain;
mod channel_object;
pub mod fee;
mod offchain;
mod protocol;
pub mod rules;
mod signed;
mod state_proof;
mod trees;
mod tx;
mod update;
mod view;

pub use account::{Account, AccountKind};
pub use chain::{
    Block, BlockKind, Chain, ChainConfig, ChannelNews, Header, ImportError, MinedTx, RestoreError,
    SubmitError,
};
pub use channel_object::{ChannelObject, FrozenAuth};
pub use fee::{
    DEFAULT_MINER_GAS_PRICE, FeeError, MIN_GAS_PRICE, choose_fee, fee_gas, min_depth_by_fee, min_fee,
    split_mutual_close,
};
pub use offchain::{OffchainEnv, UpdateError, apply_updates, initial_trees};
pub use protocol::Protocol;
pub use rules::RuleError;
pub use signed::{Authenticated, SignatureCheck, SignedTx};
pub use state_proof::{StateProof, StateProofError};
pub use trees::Trees;
pub use tx::{
    CloseMutualTx, CloseSoloTx, CreateTx, Delegates, DepositTx, ForceProgressTx, OffchainTx, Payload,
    ProofBytes, SetDelegatesTx, SettleTx, SlashTx, SnapshotSoloTx, SpendPayload, SpendTx, TreesBytes, Tx,
    TxKind, WithdrawTx,
};
pub use update::Update;
pub use view::{BlockLocation, ChainView, TxLocation};
