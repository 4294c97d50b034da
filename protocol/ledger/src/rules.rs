//! What transactions do to the state of a chain, and when they may (`docs/protocol/channel_txs` §3, §4).
//!
//! [`apply`] is the only way in. The checks that all transactions share are here, in the reference's order; the rest
//! stands in one module for each family of transactions. A refused transaction changes nothing.

mod accounts;
mod closing;
mod dispute;
mod error;
mod funds;
mod open;
mod payload;
mod spend;

use std::cmp::Ordering;

use strait_encoding::{AccountId, ChannelId, Coins, Height, NetworkId, Round};

use crate::fee;
use crate::tx::{Delegates, ProofBytes, TreesBytes};
use crate::{ChannelObject, Protocol, SignedTx, StateProof, Trees, Tx};
pub use error::RuleError;

/// The account that keeps what nobody may have: the remainder of a closed channel (`docs/protocol/channel_txs` §4.4).
pub const LOCKED_COINS: AccountId = AccountId::ZERO;

/// The height from which a solo close or a slash ends a forced chain, on every network of the reference
/// (`docs/protocol/channel_txs` §1.2).
pub const SOLO_ROUND_SWITCH: Height = Height(168_300);

/// What the transactions of a block see of it.
#[derive(Clone, Copy, Debug)]
pub struct BlockEnv<'a> {
    /// The network that signatures are for.
    pub network: &'a NetworkId,
    /// The height of the generation.
    pub height: Height,
    /// The protocol at that height.
    pub protocol: Protocol,
    /// The least price of a unit of gas.
    pub min_gas_price: Coins,
    /// The height from which a solo close or a slash ends a forced chain.
    pub solo_round_switch: Height,
}

/// The state of a chain after a block. A clone costs nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChainState {
    /// Accounts, channels and so on.
    pub trees: Trees,
    /// The sum of all fees so far: nobody receives them.
    pub fees_collected: Coins,
}

/// Applies a transaction of a block to the state before it.
///
/// # Errors
/// The first check that fails, in the reference's order; the state is then unchanged.
pub fn apply(state: &mut ChainState, tx: &SignedTx, env: &BlockEnv<'_>) -> Result<(), RuleError> {
    check_signatures(tx, &state.trees, env.network)?;
    apply_authenticated(state, tx.tx(), env)
}

/// As [`apply`], for a transaction whose signatures were checked before, by [`check_signatures`] or in a block.
///
/// # Errors
/// As there.
pub fn apply_authenticated(state: &mut ChainState, tx: &Tx, env: &BlockEnv<'_>) -> Result<(), RuleError> {
    check_fee(tx, env)?;
    check_gas_price(tx, env)?;
    check_ttl(tx, env.height)?;
    check_protocol(tx, env.protocol)?;
    let mut next = state.clone();
    process(&mut next, tx, env)?;
    *state = next;
    Ok(())
}

/// The one table of what is done by which transaction.
fn process(state: &mut ChainState, tx: &Tx, env: &BlockEnv<'_>) -> Result<(), RuleError> {
    match tx {
        Tx::Spend(tx) => spend::spend(state, tx),
        Tx::ChannelCreate(tx) => open::create(state, tx),
        Tx::ChannelDeposit(tx) => funds::deposit(state, tx),
        Tx::ChannelWithdraw(tx) => funds::withdraw(state, tx),
        Tx::ChannelCloseMutual(tx) => closing::close_mutual(state, tx),
        Tx::ChannelSettle(tx) => closing::settle(state, tx, env),
        Tx::ChannelCloseSolo(tx) => dispute::close_solo(state, tx, env),
        Tx::ChannelSlash(tx) => dispute::slash(state, tx, env),
        Tx::ChannelSnapshotSolo(tx) => dispute::snapshot_solo(state, tx, env),
        Tx::ChannelSetDelegates(tx) => dispute::set_delegates(state, tx, env),
        Tx::ChannelForceProgress(_) => Err(RuleError::Unsupported { kind: tx.kind() }),
        // Never on chain; the reference crashes over it.
        Tx::ChannelOffchain(_) => {
            Err(RuleError::InvalidAtProtocol { kind: tx.kind(), protocol: env.protocol })
        }
    }
}

/// Who must sign a transaction in this state (`docs/protocol/signing` §2).
///
/// # Errors
/// It takes the parties of a channel that is not on chain.
pub fn required_signers(tx: &Tx, trees: &Trees) -> Result<Vec<AccountId>, RuleError> {
    let peers = |channel: ChannelId| match trees.channel(channel) {
        Some(object) => Ok(object.peers().to_vec()),
        None => Err(RuleError::UnknownSigners { channel }),
    };
    match tx {
        Tx::ChannelCreate(tx) => Ok(vec![tx.initiator_id, tx.responder_id]),
        Tx::ChannelDeposit(tx) => peers(tx.channel_id),
        Tx::ChannelWithdraw(tx) => peers(tx.channel_id),
        Tx::ChannelCloseMutual(tx) => peers(tx.channel_id),
        Tx::ChannelSetDelegates(tx) => peers(tx.channel_id),
        Tx::ChannelOffchain(tx) => peers(tx.channel_id),
        Tx::Spend(tx) => Ok(vec![tx.sender_id]),
        Tx::ChannelCloseSolo(tx) => Ok(vec![tx.from_id]),
        Tx::ChannelSlash(tx) => Ok(vec![tx.from_id]),
        Tx::ChannelSettle(tx) => Ok(vec![tx.from_id]),
        Tx::ChannelSnapshotSolo(tx) => Ok(vec![tx.from_id]),
        Tx::ChannelForceProgress(tx) => Ok(vec![tx.from_id]),
    }
}

/// Checks that exactly those who must have signed.
///
/// # Errors
/// They have not, or it is not known who must.
pub fn check_signatures(tx: &SignedTx, trees: &Trees, network: &NetworkId) -> Result<(), RuleError> {
    let signers = required_signers(tx.tx(), trees)?;
    tx.verify(network, &signers).map_err(|error| RuleError::Signatures { error })?;
    Ok(())
}

/// Checks that the fee covers the size at the least price.
pub(crate) fn check_fee(tx: &Tx, env: &BlockEnv<'_>) -> Result<(), RuleError> {
    let gas = u128::from(fee::fee_gas(tx, env.protocol));
    let (fee, minimum) = (tx.fee(), Coins(gas.saturating_mul(env.min_gas_price.0)));
    if fee < minimum { Err(RuleError::TooLowFee { fee, minimum }) } else { Ok(()) }
}

/// Checks the gas price of a contract call.
pub(crate) fn check_gas_price(tx: &Tx, env: &BlockEnv<'_>) -> Result<(), RuleError> {
    match fee::gas_price(tx) {
        Some(price) if price < env.min_gas_price => {
            Err(RuleError::TooLowGasPrice { price, minimum: env.min_gas_price })
        }
        _ => Ok(()),
    }
}

/// Checks that the last height has not passed.
pub(crate) fn check_ttl(tx: &Tx, height: Height) -> Result<(), RuleError> {
    let ttl = tx.ttl();
    if ttl != Height(0) && ttl < height { Err(RuleError::TtlExpired { ttl, height }) } else { Ok(()) }
}

/// Checks that the recipient of a spend accepts it; other transactions have none.
pub(crate) fn check_recipient(tx: &Tx, state: &ChainState) -> Result<(), RuleError> {
    match tx {
        Tx::Spend(tx) => spend::check_payable(state, spend::recipient(tx)?),
        _ => Ok(()),
    }
}

/// Checks that kind, version and payload are valid at a protocol (`docs/protocol/channel_txs` §6).
///
/// # Errors
/// They are not.
pub fn check_protocol(tx: &Tx, protocol: Protocol) -> Result<(), RuleError> {
    let per_party = protocol >= Protocol::Iris;
    let valid = match tx {
        Tx::ChannelCreate(tx) => matches!(tx.delegate_ids, Delegates::Each { .. }) == per_party,
        Tx::ChannelSetDelegates(tx) => per_party && payload::is_sound(&tx.payload),
        Tx::ChannelCloseSolo(tx) => payload::is_sound(&tx.payload),
        Tx::ChannelSlash(tx) => payload::is_sound(&tx.payload),
        Tx::ChannelSnapshotSolo(tx) => payload::is_sound(&tx.payload),
        Tx::ChannelForceProgress(tx) => payload::is_sound(&tx.payload),
        _ => true,
    };
    if valid { Ok(()) } else { Err(RuleError::InvalidAtProtocol { kind: tx.kind(), protocol }) }
}

/// Checks the objects inside a transaction that a node reads together with it; a transaction that fails has no meaning on
/// any chain.
///
/// # Errors
/// A proof or the state trees are malformed.
pub fn check_embedded(tx: &Tx) -> Result<(), RuleError> {
    let proof = |ProofBytes(bytes): &ProofBytes| StateProof::decode(bytes).map(drop);
    let trees = |TreesBytes(bytes): &TreesBytes| Trees::decode(bytes).map(drop);
    match tx {
        Tx::ChannelCloseSolo(tx) => proof(&tx.poi),
        Tx::ChannelSlash(tx) => proof(&tx.poi),
        Tx::ChannelForceProgress(tx) => trees(&tx.offchain_trees),
        _ => Ok(()),
    }
    .map_err(|error| RuleError::Malformed { error })
}

fn channel(state: &ChainState, id: ChannelId) -> Result<ChannelObject, RuleError> {
    state.trees.channel(id).ok_or(RuleError::NoChannel { channel: id })
}

fn check_peer(channel: &ChannelObject, account: AccountId) -> Result<(), RuleError> {
    if channel.is_peer(account) { Ok(()) } else { Err(RuleError::NotPeer { account }) }
}

fn check_active(channel: &ChannelObject) -> Result<(), RuleError> {
    if channel.is_active() {
        Ok(())
    } else {
        Err(RuleError::NotActive { locked_until: channel.locked_until })
    }
}

/// Checks that a round is new to the chain. A state that both signed replaces a whole forced chain, from its first round
/// on (`docs/protocol/channel_txs` §1.1).
fn check_round(channel: &ChannelObject, round: Round) -> Result<(), RuleError> {
    let known = match channel.solo_round {
        Round(0) => channel.round,
        Round(first) => Round(first - 1),
    };
    match round.cmp(&known) {
        Ordering::Greater => Ok(()),
        Ordering::Equal => Err(RuleError::SameRound { round }),
        Ordering::Less => Err(RuleError::OldRound { round, known }),
    }
}
