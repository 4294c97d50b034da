//! A chain as a value: blocks, pool, tip (`docs/protocol/chain_service` §2, §3).
//!
//! There is no clock and no disk here. Whoever owns a [`Chain`] says when a block is made and what time it then is, and
//! stores the blocks; [`Chain::snapshot`] and [`Chain::import`] bring it back after a restart.

mod aside;
mod block;
mod config;
mod dry_run;
mod forced;
mod fork;
mod history;
mod mine;
mod news;
mod pool;
mod snapshot;
mod submit;

use std::sync::Arc;

use strait_encoding::hash::blake2b;
use strait_encoding::{
    AccountId, BlockHash, ChannelId, Coins, Height, KeyBlockHash, NetworkId, Nonce, RootHash, TxHash,
};

use crate::rules::{self, BlockEnv, ChainState, Parties, RuleError};
use crate::view::by_signatures;
use crate::{
    Account, Authenticated, BlockLocation, ChainView, ChannelObject, Pinned, Protocol, SignedTx, Trees,
    TxKind, TxLocation,
};
pub use block::{Block, BlockKind, Header};
pub use config::ChainConfig;
pub use dry_run::{DryRun, DryRunError};
pub use fork::{Abandoned, Branch, BranchOrder, FORK_DEPTH, ForkError, ForkPlan};
use history::History;
pub use history::MinedTx;
pub use mine::ImportError;
pub use news::{ChannelNews, Since};
use pool::Pool;
pub use snapshot::RestoreError;
pub use submit::SubmitError;

/// The protocol of the first block, as on every network of the reference.
const GENESIS_VERSION: u32 = 1;

/// The least time between a key block and the micro block behind it.
const BEHIND_KEY_BLOCK_MS: u64 = 1;

/// A chain: its blocks, the state after the last one, and the transactions that wait.
///
/// Blocks are found by their hash and the tip is one of them. There is one branch at a time: a longer one takes its place
/// ([`Chain::switch`]), and what it replaced stays known for some time.
#[derive(Clone)]
pub struct Chain {
    config: Arc<ChainConfig>,
    genesis: KeyBlockHash,
    /// The last block; also in `history`.
    tip: Arc<Block>,
    state: ChainState,
    history: History,
    pool: Pool,
}

impl Chain {
    /// A chain with its first block alone. Network and accounts decide the hash of it. Transactions can be mined from
    /// height 1 on.
    pub fn new(config: ChainConfig) -> Self {
        let (genesis, state) = genesis(&config);
        let (tip, mut history) = (Arc::new(genesis), History::default());
        history.push(Arc::clone(&tip), &state, &config);
        Self {
            config: Arc::new(config),
            genesis: tip.header.key_hash(),
            tip,
            state,
            history,
            pool: Pool::default(),
        }
    }

    /// The settings that it was made with.
    pub fn config(&self) -> &ChainConfig {
        &self.config
    }

    /// The last block.
    pub fn top(&self) -> &Block {
        &self.tip
    }

    /// The state after the last block.
    pub fn top_state(&self) -> &Trees {
        &self.state.trees
    }

    /// The sum of all fees so far: nobody receives them.
    pub fn fees_collected(&self) -> Coins {
        self.state.fees_collected
    }

    /// A recent block by its hash; also one that a fork left behind.
    pub fn block(&self, hash: &BlockHash) -> Option<&Block> {
        self.history.any(hash).map(|kept| &*kept.block)
    }

    /// The blocks of a recent generation: the key block, then the micro blocks in order; nothing for a height that is
    /// not reached or forgotten.
    pub fn generation(&self, height: Height) -> impl Iterator<Item = &Block> {
        self.history.generation(height)
    }

    /// The state after a block, for the most recent ones (`kept_states` of the settings).
    pub fn state_at(&self, hash: &BlockHash) -> Option<&Trees> {
        self.history.state(hash).map(|state| &state.trees)
    }

    /// Whether transactions wait.
    pub fn has_pending(&self) -> bool {
        self.pool.len() > 0
    }

    /// The transactions that wait, in the order of their hashes.
    pub fn pending(&self) -> impl Iterator<Item = &SignedTx> {
        self.pool.iter().map(|(_, waiting)| &waiting.tx)
    }

    /// A transaction that waits or is in a recent block, and where it is.
    pub fn tx(&self, hash: &TxHash) -> Option<(SignedTx, TxLocation)> {
        if let Some(mined) = self.history.tx(hash) {
            return Some((mined.tx.clone(), mined.location()));
        }
        self.pool.get(hash).map(|waiting| (waiting.tx.clone(), TxLocation::Pool))
    }

    /// The transactions of a channel that are in blocks, in the order of the chain: all of them while it lives, and as
    /// long as the block that closed it is recent.
    pub fn txs_of_channel(&self, channel: ChannelId) -> Vec<(TxHash, TxLocation)> {
        self.history.of_channel(channel, 0, u64::MAX).map(|mined| (mined.hash, mined.location())).collect()
    }

    /// The height before which a transaction cannot succeed, whatever happens until then: that of the end of the lock
    /// period, for a settlement of a channel that is closing; none for all others.
    pub fn unlock_height(&self, tx: &SignedTx) -> Option<Height> {
        pool::unlock_height(tx, &self.state.trees)
    }

    /// What a transaction would see of a micro block that is made at this time.
    fn env(&self, time_ms: u64) -> BlockEnv<'_> {
        self.env_of(self.tip.header.height, self.tip.header.key_hash(), time_ms)
    }

    fn env_of(&self, height: Height, key_hash: KeyBlockHash, time_ms: u64) -> BlockEnv<'_> {
        BlockEnv {
            network: &self.config.network,
            height,
            key_hash,
            time_ms,
            protocol: self.config.protocol,
            min_gas_price: self.config.min_gas_price,
            solo_round_switch: self.config.solo_round_switch,
            beneficiary: self.beneficiary(key_hash),
            difficulty: block::DIFFICULTY,
            key_blocks: self.history.key_blocks(),
            machine: self.config.machine.get(),
        }
    }

    fn env_of_block(&self, header: &Header) -> BlockEnv<'_> {
        self.env_of(header.height, header.key_hash(), header.time_ms)
    }

    fn beneficiary(&self, key_block: KeyBlockHash) -> AccountId {
        let kept = self.history.any(&BlockHash::from(key_block));
        match kept.map(|kept| kept.block.header.kind) {
            Some(BlockKind::Key { miner }) => miner,
            _ => AccountId::ZERO,
        }
    }
}

impl ChainView for Chain {
    fn network(&self) -> &NetworkId {
        &self.config.network
    }

    fn genesis(&self) -> KeyBlockHash {
        self.genesis
    }

    fn top_height(&self) -> Height {
        self.tip.header.height
    }

    fn protocol(&self) -> Protocol {
        self.config.protocol
    }

    fn account(&self, id: AccountId) -> Option<Account> {
        self.state.trees.account(id)
    }

    fn next_nonce(&self, id: AccountId) -> Nonce {
        let account = self.account(id);
        if account.as_ref().is_some_and(|account| !account.is_basic()) {
            return Nonce(0);
        }
        let used = account.map_or(Nonce(0), |account| account.nonce);
        used.max(self.pool.largest_nonce(id).unwrap_or_default()).next()
    }

    fn channel(&self, id: ChannelId) -> Option<ChannelObject> {
        self.state.trees.channel(id)
    }

    fn key_block_at(&self, height: Height) -> Option<KeyBlockHash> {
        self.history.key_block(height)
    }

    fn locate_block(&self, hash: &BlockHash) -> BlockLocation {
        match self.history.any(hash) {
            None => BlockLocation::Unknown,
            Some(kept) if self.history.is_main(hash) => BlockLocation::Main(kept.block.header.height),
            Some(kept) => BlockLocation::Fork(kept.block.header.height),
        }
    }

    fn locate_tx(&self, hash: &TxHash) -> TxLocation {
        match self.tx(hash) {
            Some((_, location)) => location,
            None if self.pool.is_gone(hash) => TxLocation::Gone,
            None => TxLocation::Unknown,
        }
    }

    fn miner_gas_price(&self) -> Coins {
        self.config.miner_gas_price.max(self.config.min_gas_price)
    }

    fn pinned(&self, block: Option<&BlockHash>) -> Option<Pinned<'_>> {
        let (header, trees) = match block {
            None => (&self.tip.header, &self.state.trees),
            // On another branch contracts would see key blocks of this one.
            Some(hash) => (&self.history.block(hash)?.header, &self.history.state(hash)?.trees),
        };
        let env = self.env_of_block(header);
        // A transaction cannot stand in a key block: it is as if it came right behind.
        let time_ms =
            if header.is_key() { header.time_ms.saturating_add(BEHIND_KEY_BLOCK_MS) } else { env.time_ms };
        Some(Pinned { block: BlockEnv { time_ms, ..env }, trees })
    }

    fn forced(&self, tx: &TxHash) -> Option<Trees> {
        self.forced_trees(tx)
    }

    fn authenticate_offchain(
        &self,
        signed: &SignedTx,
        channel: ChannelId,
        signers: &[AccountId],
    ) -> Result<Authenticated, RuleError> {
        self.check_auth_gas(signed)?;
        let Some(object) = self.channel(channel) else {
            // How its parties authenticate is not known: signatures are all that can be believed.
            return match signed.kind() {
                TxKind::GaMeta => Err(RuleError::NoChannel { channel }),
                _ => by_signatures(signed, signers, self.network()),
            };
        };
        let env = self.env(self.tip.header.time_ms);
        let parties = Parties { id: channel, object: &object };
        rules::authenticate_offchain(signed, parties, signers, &self.state.trees, &env)
    }

    fn authenticate_onchain(
        &self,
        signed: &SignedTx,
        signers: &[AccountId],
    ) -> Result<Authenticated, RuleError> {
        self.check_auth_gas(signed)?;
        let env = self.env(self.tip.header.time_ms);
        rules::authenticate_onchain(signed, signers, &self.state.trees, &env)
    }
}

impl MinedTx {
    /// Where it is.
    pub fn location(&self) -> TxLocation {
        TxLocation::InBlock { block: self.block, height: self.height }
    }
}

fn genesis(config: &ChainConfig) -> (Block, ChainState) {
    let mut state = ChainState::default();
    for (id, balance) in &config.genesis_accounts {
        state.trees.set_account(*id, &Account::new(*balance));
    }
    let miner = AccountId(blake2b(config.network.0.as_bytes()));
    let header = Header::new(
        (GENESIS_VERSION, Height(0)),
        (BlockHash::UNPINNED, KeyBlockHash::ZERO),
        RootHash(state.trees.state_hash().0),
        0,
        BlockKind::Key { miner },
    );
    (Block { header, txs: Vec::new() }, state)
}
