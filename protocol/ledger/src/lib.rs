//! Accounts, channel objects, transactions, their rules, blocks and forks, as values.
//!
//! The dev chain, the off-chain updates of a channel and the simulator all run this code: there is one implementation of
//! the rules (`docs/protocol/channel_txs`, `docs/protocol/state_trees`).

mod account;
mod call_object;
mod chain;
mod channel_object;
mod contract_object;
mod ct_version;
mod fate;
pub mod fee;
mod machine;
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
pub use call_object::{CallObject, CallResult, LogEntry};
pub use chain::{
    Abandoned, Block, BlockKind, Branch, BranchOrder, Chain, ChainConfig, ChannelNews, DryRun, DryRunError,
    FORK_DEPTH, ForkError, ForkPlan, Header, ImportError, MinedTx, RestoreError, Since, SubmitError,
};
pub use channel_object::{ChannelObject, FrozenAuth};
pub use contract_object::{ContractCode, ContractObject};
pub use ct_version::{ABI_AEVM, ABI_FATE, CtVersion};
pub use fate::Fate;
pub use fee::{
    DEFAULT_MINER_GAS_PRICE, FeeError, MIN_GAS_PRICE, choose_fee, fee_gas, min_depth_by_fee, min_fee,
    split_mutual_close,
};
pub use machine::{
    Authenticating, CodeFault, ContractCall, Machine, NewCode, NoResult, Prepared, Ran, Scene, VirtualMachine,
};
pub use offchain::{
    CallError, OFFCHAIN_GAS, OFFCHAIN_GAS_PRICE, OffchainEnv, Pinned, UpdateError, apply_updates,
    apply_updates_at, dry_run, initial_trees,
};
pub use protocol::Protocol;
pub use rules::{Parties, RuleError, auth_tx_hash, authenticate_offchain, authenticate_onchain};
pub use signed::{Authenticated, SignatureCheck, SignedTx};
pub use state_proof::{StateProof, StateProofError};
pub use trees::Trees;
pub use tx::{
    CloseMutualTx, CloseSoloTx, ContractBytes, ContractCallTx, ContractCreateTx, CreateTx, Delegates,
    DepositTx, ForceProgressTx, FunctionHash, GaAttachTx, GaMetaTx, MetaTtl, OffchainTx, PayingForTx,
    Payload, ProofBytes, SetDelegatesTx, SettleTx, SlashTx, SnapshotSoloTx, SpendPayload, SpendTx,
    TreesBytes, Tx, TxKind, WithdrawTx,
};
pub use update::Update;
pub use view::{BlockLocation, ChainView, TxLocation};
