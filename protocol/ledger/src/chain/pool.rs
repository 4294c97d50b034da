//! Transactions that wait for a block (`docs/protocol/chain_service` §2).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use strait_encoding::{AccountId, BlockHash, Coins, Height, Nonce, TxHash};

use super::ChainConfig;
use crate::rules::RuleError;
use crate::{Protocol, SignedTx, Trees, Tx, TxKind, fee};

/// The waiting transactions, and the names of those that were dropped.
#[derive(Clone, Default)]
pub(super) struct Pool {
    waiting: BTreeMap<TxHash, Waiting>,
    by_origin: BTreeSet<(AccountId, Nonce, TxHash)>,
    gone: BTreeSet<TxHash>,
    gone_in_order: VecDeque<TxHash>,
}

/// A transaction that waits.
#[derive(Clone)]
pub(super) struct Waiting {
    /// The transaction.
    pub tx: SignedTx,
    /// What it counts towards the limit of a block.
    gas: u64,
    /// Better comes first: the fee, then the price of the gas of a contract call.
    rank: (Reverse<Coins>, Reverse<Coins>),
    /// How often it has failed while a block was built.
    pub failures: u32,
    /// The height at which it came.
    pub since: Height,
    /// The height from which its nonce or its ttl has passed.
    pub invalid_since: Option<Height>,
    /// The top on which it failed last: there it would only fail again.
    pub tried_on: Option<BlockHash>,
}

/// A transaction that may go into the next block.
pub(super) struct Candidate {
    /// Its hash.
    pub hash: TxHash,
    /// Whose nonce it uses.
    pub origin: (AccountId, Nonce),
    /// What it counts towards the limit of the block.
    pub gas: u64,
    rank: (Reverse<Coins>, Reverse<Coins>),
}

impl Candidate {
    /// Whether it is a meta transaction: those share the nonce 0, and come last in a block.
    pub fn is_meta(&self) -> bool {
        self.origin.1 == Nonce(0)
    }
}

impl Pool {
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    pub fn get(&self, hash: &TxHash) -> Option<&Waiting> {
        self.waiting.get(hash)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&TxHash, &Waiting)> {
        self.waiting.iter()
    }

    /// The dropped ones, the oldest first.
    pub fn gone(&self) -> impl Iterator<Item = &TxHash> {
        self.gone_in_order.iter()
    }

    pub fn is_gone(&self, hash: &TxHash) -> bool {
        self.gone.contains(hash)
    }

    /// The largest nonce of an account that waits.
    pub fn largest_nonce(&self, id: AccountId) -> Option<Nonce> {
        self.of_origin(id).next_back().map(|(_, nonce, _)| *nonce)
    }

    /// Adds a transaction. It may be what others of the same account wait for, so they are tried again.
    pub fn insert(&mut self, hash: TxHash, waiting: Waiting) {
        if let Some(origin) = waiting.tx.tx().origin() {
            let siblings: Vec<_> = self.of_origin(origin).map(|(_, _, hash)| *hash).collect();
            for sibling in siblings {
                if let Some(sibling) = self.waiting.get_mut(&sibling) {
                    sibling.tried_on = None;
                }
            }
            self.by_origin.insert((origin, waiting.tx.tx().nonce(), hash));
        }
        self.waiting.insert(hash, waiting);
    }

    fn of_origin(&self, id: AccountId) -> impl DoubleEndedIterator<Item = &(AccountId, Nonce, TxHash)> {
        self.by_origin.range((id, Nonce(0), TxHash::ZERO)..=(id, Nonce(u64::MAX), TxHash([255; 32])))
    }

    /// Takes a transaction out, because it is in a block.
    pub fn remove(&mut self, hash: &TxHash) {
        if let Some(waiting) = self.waiting.remove(hash)
            && let Some(origin) = waiting.tx.tx().origin()
        {
            self.by_origin.remove(&(origin, waiting.tx.tx().nonce(), *hash));
        }
        if self.gone.remove(hash) {
            self.gone_in_order.retain(|other| other != hash);
        }
    }

    /// Drops a transaction for good.
    pub fn drop_for_good(&mut self, hash: TxHash, limit: usize) {
        self.remove(&hash);
        self.gone.insert(hash);
        self.gone_in_order.push_back(hash);
        while self.gone_in_order.len() > limit {
            if let Some(oldest) = self.gone_in_order.pop_front() {
                self.gone.remove(&oldest);
            }
        }
    }

    /// What may go into the next block on `top`, best first: by fee, then by the price of the gas, then by account and
    /// nonce. What waits for a later height, or behind something that does, is left out: it would only fail.
    pub fn candidates(&self, height: Height, top: &BlockHash, trees: &Trees) -> Vec<Candidate> {
        let locked = self.locked(height, trees);
        let mut candidates: Vec<_> = self
            .waiting
            .iter()
            .filter(|(_, waiting)| waiting.tried_on.as_ref() != Some(top))
            // Stricter than the rule, as is the node: at its last height a transaction is not taken any more.
            .filter(|(_, waiting)| waiting.tx.tx().ttl() == Height(0) || height < waiting.tx.tx().ttl())
            .filter(|(hash, _)| !locked.contains(hash))
            .filter_map(|(hash, waiting)| Candidate::new(*hash, waiting))
            .collect();
        candidates.sort_by_key(|candidate| (candidate.rank, candidate.origin, candidate.hash));
        candidates
    }

    /// What waits for a later height than this, and what needs a nonce that only such a transaction could use.
    fn locked(&self, height: Height, trees: &Trees) -> BTreeSet<TxHash> {
        let is_locked = |waiting: &Waiting| {
            // With a used nonce it waits for nothing.
            unlock_height(&waiting.tx, trees).is_some_and(|at| at > height)
                && !has_passed(&waiting.tx, height, trees)
        };
        let mut locked: BTreeSet<_> =
            self.waiting.iter().filter(|(_, waiting)| is_locked(waiting)).map(|(hash, _)| *hash).collect();
        let origins: BTreeSet<_> =
            locked.iter().filter_map(|hash| self.waiting.get(hash)?.tx.tx().origin()).collect();
        for origin in origins {
            let mut behind = None;
            for (_, nonce, hash) in self.of_origin(origin) {
                if behind.is_some_and(|first| *nonce > first) {
                    locked.insert(*hash);
                } else if *nonce > Nonce(0) && self.is_blocked(origin, *nonce, &locked) {
                    behind = Some(*nonce);
                }
            }
        }
        locked
    }

    /// Whether everything that waits with this nonce is locked.
    fn is_blocked(&self, origin: AccountId, nonce: Nonce, locked: &BTreeSet<TxHash>) -> bool {
        let same = (origin, nonce, TxHash::ZERO)..=(origin, nonce, TxHash([255; 32]));
        self.by_origin.range(same).all(|(_, _, hash)| locked.contains(hash))
    }

    /// Counts a failure; drops the transaction after as many as its error allows.
    pub fn fail(&mut self, hash: TxHash, error: &RuleError, top: BlockHash, gone_limit: usize) {
        let Some(waiting) = self.waiting.get_mut(&hash) else { return };
        waiting.failures = waiting.failures.saturating_add(1);
        waiting.tried_on = Some(top);
        if waiting.failures >= attempts(waiting.tx.kind(), error) {
            self.drop_for_good(hash, gone_limit);
        }
    }

    /// Drops at a new key block what has waited too long, or has been invalid for some generations.
    pub fn collect(&mut self, height: Height, trees: &Trees, config: &ChainConfig) {
        let mut old = Vec::new();
        for (hash, waiting) in &mut self.waiting {
            if has_passed(&waiting.tx, height, trees) {
                waiting.invalid_since.get_or_insert(height);
            }
            let age = |since: Height| height.0.saturating_sub(since.0);
            let invalid = waiting.invalid_since.is_some_and(|since| age(since) >= config.invalid_limit);
            if invalid || age(waiting.since) >= config.idle_limit {
                old.push(*hash);
            }
        }
        for hash in old {
            self.drop_for_good(hash, config.gone_limit);
        }
    }

    /// After a fork: what had passed may be valid again.
    pub fn reconsider(&mut self) {
        for waiting in self.waiting.values_mut() {
            (waiting.invalid_since, waiting.tried_on) = (None, None);
        }
    }

    /// Remembers names of dropped transactions, the oldest first.
    pub fn restore_gone(&mut self, hashes: Vec<TxHash>) {
        self.gone = hashes.iter().copied().collect();
        self.gone_in_order = hashes.into();
    }
}

impl Waiting {
    /// A transaction that has just come.
    pub fn new(tx: SignedTx, since: Height, protocol: Protocol) -> Self {
        let gas = fee::block_gas(tx.tx(), protocol);
        let rank = (Reverse(fee::deep_fee(tx.tx())), Reverse(fee::gas_price(tx.tx()).unwrap_or(Coins::ZERO)));
        Self { tx, gas, rank, failures: 0, since, invalid_since: None, tried_on: None }
    }
}

impl Candidate {
    fn new(hash: TxHash, waiting: &Waiting) -> Option<Self> {
        let tx = waiting.tx.tx();
        Some(Self { hash, origin: (tx.origin()?, tx.nonce()), gas: waiting.gas, rank: waiting.rank })
    }
}

/// The height before which a transaction cannot succeed, whatever happens until then: a settlement comes after the lock
/// period (`docs/protocol/channel_txs` §4.8). Nothing else gets better by key blocks alone.
pub(super) fn unlock_height(tx: &SignedTx, trees: &Trees) -> Option<Height> {
    let Tx::ChannelSettle(settle) = tx.innermost().tx() else { return None };
    let channel = trees.channel(settle.channel_id)?;
    (!channel.is_active()).then_some(channel.locked_until)
}

fn has_passed(signed: &SignedTx, height: Height, trees: &Trees) -> bool {
    let tx = signed.innermost().tx();
    let ttl_passed = tx.ttl() != Height(0) && tx.ttl() < height;
    let account = tx.origin().and_then(|origin| trees.account(origin));
    ttl_passed || account.is_some_and(|account| account.is_basic() && tx.nonce() <= account.nonce)
}

/// How often a transaction may fail with this error while blocks are built (`docs/protocol/chain_service` §2): the defaults
/// of the node's configuration, by kind of the outermost transaction.
fn attempts(kind: TxKind, error: &RuleError) -> u32 {
    use TxKind as Kind;
    match (kind, error.atom()) {
        (_, "crash" | "broken_tx" | "unsupported" | "tx_nonce_already_used_for_account") => 1,
        (_, "insufficient_funds") => 20,
        (_, "tx_nonce_too_high_for_account") => 30,
        (_, "not_a_generalized_account") => 15,
        (Kind::ChannelCloseMutual, "wrong_amounts")
        | (Kind::ChannelWithdraw, "not_enough_channel_funds")
        | (Kind::ChannelSettle, "channel_not_closed" | "wrong_amt")
        | (Kind::ChannelSlash, "channel_not_closing") => 20,
        (Kind::ChannelCloseMutual, "account_not_peer" | "channel_not_active")
        | (Kind::ChannelDeposit | Kind::ChannelWithdraw, "channel_not_active" | "old_round" | "same_round")
        | (Kind::ChannelSettle, "account_not_peer" | "insufficient_channel_funds")
        | (Kind::ChannelSetDelegates, "account_not_found" | "account_not_peer" | "channel_not_active")
        | (Kind::ChannelSlash, "slash_must_have_payload")
        | (Kind::ChannelSnapshotSolo, "snapshot_must_have_payload")
        | (Kind::GaAttach, "illegal_vm_version") => 1,
        (
            Kind::ChannelCloseSolo | Kind::ChannelSlash | Kind::ChannelSnapshotSolo,
            "account_not_found"
            | "account_not_peer"
            | "channel_not_active"
            | "old_round"
            | "same_round"
            | "signature_check_failed",
        )
        | (
            Kind::ChannelCloseSolo | Kind::ChannelSlash,
            "invalid_poi_hash_in_channel"
            | "bad_state_channel_pubkey"
            | "wrong_channel_peers"
            | "poi_amounts_change_channel_funds",
        ) => 1,
        _ => 5,
    }
}
