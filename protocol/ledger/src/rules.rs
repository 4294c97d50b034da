//! What transactions do to the state of a chain, and when they may (`docs/protocol/channel_txs` §3, §4).
//!
//! [`apply`] is the only way in. The checks that all transactions share are here, in the reference's order; the rest
//! stands in one module for each family of transactions. A refused transaction changes nothing.

mod accounts;
mod authentication;
mod closing;
mod contracts;
mod dispute;
mod error;
mod force_progress;
mod frame;
mod funds;
mod generalized;
mod open;
mod paying;
mod payload;
mod spend;

use std::cell::OnceCell;
use std::cmp::Ordering;
use std::collections::BTreeMap;

use strait_encoding::{AccountId, ChannelId, Coins, Height, KeyBlockHash, NetworkId, Nonce, Round};

use crate::fee;
use crate::tx::{Delegates, ProofBytes, TreesBytes};
use crate::{ChannelObject, Protocol, SignedTx, StateProof, Trees, Tx, VirtualMachine};
pub use authentication::{Parties, auth_tx_hash, authenticate_offchain, authenticate_onchain};
pub use contracts::call_of;
pub use error::RuleError;
use frame::{Frame, Purpose};
pub use generalized::auth_call_of;
pub(crate) use generalized::has_failed;

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
    /// The key block of the generation.
    pub key_hash: KeyBlockHash,
    /// When the block was made: milliseconds since 1970.
    pub time_ms: u64,
    /// The protocol at that height.
    pub protocol: Protocol,
    /// The least price of a unit of gas.
    pub min_gas_price: Coins,
    /// The height from which a solo close or a slash ends a forced chain.
    pub solo_round_switch: Height,
    /// Who earns the generation.
    pub beneficiary: AccountId,
    /// How hard the key block of the generation was to find.
    pub difficulty: u64,
    /// The key blocks up to that of the generation; contracts may ask for the last 256.
    pub key_blocks: &'a BTreeMap<Height, KeyBlockHash>,
    /// What runs contracts; without one, what needs it is refused.
    pub machine: Option<&'a dyn VirtualMachine>,
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
    apply_authenticated(state, tx, env)
}

/// As [`apply`], for a transaction whose signatures were checked before, by [`check_signatures`] or in a block. Those of a
/// transaction inside another one are checked in any case: what comes of it depends on them.
///
/// # Errors
/// As there.
pub fn apply_authenticated(
    state: &mut ChainState,
    tx: &SignedTx,
    env: &BlockEnv<'_>,
) -> Result<(), RuleError> {
    apply_for(state, tx, env, Purpose::Block)
}

/// As [`apply_authenticated`], to tell what would come of the transaction. A generalized account needs no meta transaction
/// where its nonce is 0, and calls that fail say why (`docs/protocol/chain_service` §4.1).
///
/// # Errors
/// As there.
pub(crate) fn try_out(state: &mut ChainState, tx: &SignedTx, env: &BlockEnv<'_>) -> Result<(), RuleError> {
    apply_for(state, tx, env, Purpose::DryRun)
}

/// The trees of a channel to which a forced call of a block leads, in the state before its transaction; none where they do
/// not become those of the channel.
pub(crate) fn forced_trees(mut state: ChainState, tx: &SignedTx, env: &BlockEnv<'_>) -> Option<Trees> {
    let found = OnceCell::new();
    apply_for(&mut state, tx, env, Purpose::Forced(&found)).ok()?;
    found.into_inner()
}

fn apply_for(
    state: &mut ChainState,
    tx: &SignedTx,
    env: &BlockEnv<'_>,
    purpose: Purpose<'_>,
) -> Result<(), RuleError> {
    let mut next = state.clone();
    process(&mut next, tx.tx(), &Frame::new(env, tx, purpose))?;
    *state = next;
    Ok(())
}

/// Checks a transaction, and does what it does; after an error the state may have changed.
fn process(state: &mut ChainState, tx: &Tx, frame: &Frame<'_>) -> Result<(), RuleError> {
    check_fee_of(tx, frame)?;
    check_gas_price(tx, frame.env)?;
    check_ttl(tx, frame.env.height)?;
    check_protocol(tx, frame.protocol())?;
    perform(state, tx, frame)
}

/// The one table of what is done by which transaction.
fn perform(state: &mut ChainState, tx: &Tx, frame: &Frame<'_>) -> Result<(), RuleError> {
    match tx {
        Tx::Spend(tx) => spend::spend(state, tx, frame),
        Tx::ContractCreate(tx) => contracts::create(state, tx, frame),
        Tx::ContractCall(tx) => contracts::call(state, tx, frame),
        Tx::ChannelCreate(tx) => open::create(state, tx, frame),
        Tx::ChannelDeposit(tx) => funds::deposit(state, tx, frame),
        Tx::ChannelWithdraw(tx) => funds::withdraw(state, tx, frame),
        Tx::ChannelCloseMutual(tx) => closing::close_mutual(state, tx, frame),
        Tx::ChannelSettle(tx) => closing::settle(state, tx, frame),
        Tx::ChannelCloseSolo(tx) => dispute::close_solo(state, tx, frame),
        Tx::ChannelSlash(tx) => dispute::slash(state, tx, frame),
        Tx::ChannelSnapshotSolo(tx) => dispute::snapshot_solo(state, tx, frame),
        Tx::ChannelSetDelegates(tx) => dispute::set_delegates(state, tx, frame),
        Tx::ChannelForceProgress(tx) => force_progress::force_progress(state, tx, frame),
        Tx::GaAttach(tx) => generalized::attach(state, tx, frame),
        Tx::GaMeta(tx) => generalized::meta(state, tx, frame),
        Tx::PayingFor(tx) => paying::pay_for(state, tx, frame),
        // Never on chain; the reference crashes over it.
        Tx::ChannelOffchain(_) => {
            Err(RuleError::InvalidAtProtocol { kind: tx.kind(), protocol: frame.protocol() })
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
        Tx::ContractCreate(tx) => Ok(vec![tx.owner_id]),
        Tx::ContractCall(tx) => Ok(vec![tx.caller_id]),
        Tx::ChannelCloseSolo(tx) => Ok(vec![tx.from_id]),
        Tx::ChannelSlash(tx) => Ok(vec![tx.from_id]),
        Tx::ChannelSettle(tx) => Ok(vec![tx.from_id]),
        Tx::ChannelSnapshotSolo(tx) => Ok(vec![tx.from_id]),
        Tx::ChannelForceProgress(tx) => Ok(vec![tx.from_id]),
        Tx::GaAttach(tx) => Ok(vec![tx.owner_id]),
        Tx::PayingFor(tx) => Ok(vec![tx.payer_id]),
        Tx::GaMeta(_) => Ok(Vec::new()),
    }
}

/// Checks that exactly those who must have signed; of a transaction that pays for another one also that one. What stands in
/// a meta transaction is looked at when that has authenticated.
///
/// # Errors
/// They have not, or it is not known who must.
pub fn check_signatures(tx: &SignedTx, trees: &Trees, network: &NetworkId) -> Result<(), RuleError> {
    check_paid(tx.tx(), trees, network)?;
    let signers = required_signers(tx.tx(), trees)?;
    tx.verify(network, &signers).map_err(|error| RuleError::Signatures { error })?;
    Ok(())
}

/// Checks the signatures of a transaction that another one pays for.
fn check_paid(tx: &Tx, trees: &Trees, network: &NetworkId) -> Result<(), RuleError> {
    let Tx::PayingFor(paying) = tx else { return Ok(()) };
    let signers = required_signers(paying.tx.tx(), trees)?;
    let verified = paying.tx.verify_paid(network, &signers);
    verified.map_err(|error| RuleError::InnerSignatures { error })?;
    Ok(())
}

/// Checks that those have signed a transaction inside another one who must, and have not authenticated around it.
fn verify_inside(tx: &SignedTx, trees: &Trees, frame: &Frame<'_>) -> Result<(), RuleError> {
    check_paid(tx.tx(), trees, frame.network())?;
    let signers = frame.signers_left(required_signers(tx.tx(), trees)?);
    let verified = match frame.payer {
        None => tx.verify(frame.network(), &signers),
        Some(_) => tx.verify_paid(frame.network(), &signers),
    };
    verified.map_err(|error| RuleError::InnerSignatures { error })?;
    Ok(())
}

/// Checks that the fee covers the size at the least price.
pub(crate) fn check_fee(tx: &Tx, env: &BlockEnv<'_>) -> Result<(), RuleError> {
    check_fee_for(tx, fee::fee_gas(tx, env.protocol), env)
}

fn check_fee_of(tx: &Tx, frame: &Frame<'_>) -> Result<(), RuleError> {
    // Before Iris the outermost meta transaction paid for the size.
    if frame.is_in_meta() && frame.protocol() < Protocol::Iris {
        return check_fee_for(tx, fee::base_gas(tx), frame.env);
    }
    check_fee(tx, frame.env)
}

fn check_fee_for(tx: &Tx, gas: u64, env: &BlockEnv<'_>) -> Result<(), RuleError> {
    let gas = u128::from(gas);
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
    if is_valid(tx, protocol) {
        Ok(())
    } else {
        Err(RuleError::InvalidAtProtocol { kind: tx.kind(), protocol })
    }
}

fn is_valid(tx: &Tx, protocol: Protocol) -> bool {
    let since_iris = protocol >= Protocol::Iris;
    match tx {
        Tx::ChannelCreate(tx) => matches!(tx.delegate_ids, Delegates::Each { .. }) == since_iris,
        Tx::ChannelSetDelegates(tx) => since_iris && payload::is_valid(&tx.payload, protocol),
        Tx::ChannelCloseSolo(tx) => payload::is_valid(&tx.payload, protocol),
        Tx::ChannelSlash(tx) => payload::is_valid(&tx.payload, protocol),
        Tx::ChannelSnapshotSolo(tx) => payload::is_valid(&tx.payload, protocol),
        Tx::ChannelForceProgress(tx) => payload::is_valid(&tx.payload, protocol),
        // Since Ceres only fresh accounts become generalized.
        Tx::GaAttach(tx) => protocol < Protocol::Ceres || tx.nonce <= Nonce(1),
        Tx::GaMeta(meta) => meta.ttl.0.is_none() == since_iris && is_valid(meta.tx.tx(), protocol),
        Tx::PayingFor(paying) => since_iris && is_valid(paying.tx.tx(), protocol),
        Tx::Spend(_)
        | Tx::ContractCreate(_)
        | Tx::ContractCall(_)
        | Tx::ChannelDeposit(_)
        | Tx::ChannelWithdraw(_)
        | Tx::ChannelCloseMutual(_)
        | Tx::ChannelSettle(_)
        | Tx::ChannelOffchain(_) => true,
    }
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
        Tx::GaMeta(_) | Tx::PayingFor(_) => return tx.inside().map_or(Ok(()), check_embedded),
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

/// Checks that a round is new to the chain, for a call that is forced: also a forced state counts as known.
fn check_forced_round(channel: &ChannelObject, round: Round) -> Result<(), RuleError> {
    check_newer(round, channel.round)
}

/// Checks that a round is new to the chain. A state that both signed replaces a whole forced chain, from its first round
/// on (`docs/protocol/channel_txs` §1.1).
fn check_round(channel: &ChannelObject, round: Round) -> Result<(), RuleError> {
    let known = match channel.solo_round {
        Round(0) => channel.round,
        Round(first) => Round(first - 1),
    };
    check_newer(round, known)
}

fn check_newer(round: Round, known: Round) -> Result<(), RuleError> {
    match round.cmp(&known) {
        Ordering::Greater => Ok(()),
        Ordering::Equal => Err(RuleError::SameRound { round }),
        Ordering::Less => Err(RuleError::OldRound { round, known }),
    }
}
