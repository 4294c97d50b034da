//! What makes one chain differ from another.

use std::collections::BTreeMap;

use strait_encoding::{AccountId, Coins, Height, NetworkId};

use crate::rules::SOLO_ROUND_SWITCH;
use crate::{DEFAULT_MINER_GAS_PRICE, MIN_GAS_PRICE, Machine, Protocol};

/// Settings of a [`Chain`](crate::Chain). Network and genesis accounts decide the hash of its first block; the limits
/// decide only what is taken and kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainConfig {
    /// The network that signatures are for.
    pub network: NetworkId,
    /// The protocol from height 1 on.
    pub protocol: Protocol,
    /// The accounts of the first block with their balances.
    pub genesis_accounts: BTreeMap<AccountId, Coins>,
    /// The height from which a solo close or a slash ends a forced chain (`docs/protocol/channel_txs` §1.2).
    pub solo_round_switch: Height,
    /// How far a nonce may lie above that of its account to wait in the pool.
    pub nonce_offset: u64,
    /// The least price of a unit of gas that blocks accept.
    pub min_gas_price: Coins,
    /// The least price of a unit of gas that the pool accepts.
    pub miner_gas_price: Coins,
    /// Units of gas in one micro block.
    pub block_gas_limit: u64,
    /// Transactions in the pool.
    pub pool_limit: usize,
    /// Dropped transactions that are remembered, so that they cannot come back.
    pub gone_limit: usize,
    /// Key blocks after which a waiting transaction is dropped.
    pub idle_limit: u64,
    /// Key blocks after which a transaction whose nonce or ttl has passed is dropped.
    pub invalid_limit: u64,
    /// Recent blocks that are kept; the transactions of older ones are forgotten, unless their channel lives.
    pub kept_blocks: usize,
    /// Recent blocks whose state is kept, beside those of key blocks where a fork may begin.
    pub kept_states: usize,
    /// Units of gas that an authentication may use to be taken into the pool.
    pub auth_gas_limit: u64,
    /// What runs contracts: FATE, if nothing else is set. Without one transactions that need it are refused.
    pub machine: Machine,
}

impl ChainConfig {
    /// The settings of a dev node (`docs/protocol/chain_service` §2) for this network and these accounts.
    pub fn new(network: NetworkId, genesis_accounts: BTreeMap<AccountId, Coins>) -> Self {
        Self {
            network,
            protocol: Protocol::default(),
            genesis_accounts,
            solo_round_switch: SOLO_ROUND_SWITCH,
            nonce_offset: 5,
            min_gas_price: MIN_GAS_PRICE,
            miner_gas_price: DEFAULT_MINER_GAS_PRICE,
            block_gas_limit: 6_000_000,
            pool_limit: 10_000,
            gone_limit: 10_000,
            idle_limit: 6720,
            invalid_limit: 5,
            kept_blocks: 20_000,
            kept_states: 200,
            auth_gas_limit: 50_000,
            machine: Machine::fate(),
        }
    }
}
