//! Running contracts to see what they come to, before signing it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use strait_encoding::{AccountId, Coins, Height, KeyBlockHash, NetworkId};
use strait_ledger::rules::BlockEnv;
use strait_ledger::{
    CallError, Fate, MIN_GAS_PRICE, OffchainEnv, Pinned, Trees, Update, VirtualMachine, apply_updates,
    apply_updates_at,
};

/// How many key blocks back the block may be that a round is pinned to: what services take unless told otherwise
/// (`docs/protocol/ws_api` §2.2).
const WINDOW: u64 = 10;

type Heights = Arc<dyn Fn() -> Height + Send + Sync>;

/// Runs the contracts of a channel as both services do. A client knows little of the chain: of the block that a round is
/// pinned to only the height, and that only if it is told. A contract that looks at more is not agreed to, because it comes
/// to something else here.
#[derive(Clone)]
pub(crate) struct Runner {
    network: NetworkId,
    machine: Arc<Fate>,
    heights: Option<Heights>,
}

impl Runner {
    pub fn new(network: NetworkId) -> Self {
        Self { network, machine: Arc::new(Fate::default()), heights: None }
    }

    pub fn set_network(&mut self, network: NetworkId) {
        self.network = network;
    }

    pub fn set_heights(&mut self, heights: Heights) {
        self.heights = Some(heights);
    }

    /// The trees after a round's updates, where `is_right` tells those that are signed for. If contracts are run, any height
    /// that the round may be pinned to will do; if none is right, it is the trees at the highest.
    pub fn apply(
        &self,
        trees: &Trees,
        updates: &[Update],
        env: &OffchainEnv,
        is_right: impl Fn(&Trees) -> bool,
    ) -> Result<Trees, CallError> {
        let runs =
            |update: &Update| matches!(update, Update::NewContract { .. } | Update::CallContract { .. });
        if !updates.iter().any(runs) {
            return Ok(apply_updates(trees, updates, env)?);
        }
        let top = self.heights.as_ref().map_or(Height(0), |heights| heights());
        let lowest = if self.heights.is_some() { top.0.saturating_sub(WINDOW) } else { top.0 };
        let first = self.apply_at(trees, updates, env, top);
        if first.as_ref().is_ok_and(&is_right) {
            return first;
        }
        let others = (lowest..top.0).rev().map(|height| self.apply_at(trees, updates, env, Height(height)));
        others.flatten().find(is_right).map_or(first, Ok)
    }

    fn apply_at(
        &self,
        trees: &Trees,
        updates: &[Update],
        env: &OffchainEnv,
        height: Height,
    ) -> Result<Trees, CallError> {
        let machine: &dyn VirtualMachine = &*self.machine;
        let block = BlockEnv {
            network: &self.network,
            height,
            key_hash: KeyBlockHash::ZERO,
            time_ms: 0,
            protocol: env.protocol,
            min_gas_price: Coins(MIN_GAS_PRICE.0),
            solo_round_switch: Height(0),
            beneficiary: AccountId::ZERO,
            difficulty: 0,
            key_blocks: &BTreeMap::new(),
            machine: Some(machine),
        };
        apply_updates_at(trees, updates, env, &Pinned { block, trees: &Trees::default() })
    }
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Runner(for {})", self.network)
    }
}
