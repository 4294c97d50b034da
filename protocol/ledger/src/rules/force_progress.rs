//! Making a contract call on chain that the other party does not agree to (`docs/protocol/channel_txs` §4.9).

use strait_encoding::rlp::{DecodeError, Fields};
use strait_encoding::{AccountId, Coins, ContractId, Height, Round, StateHash};
use strait_tree::Tree;

use super::accounts::sum;
use super::contracts::call_id;
use super::frame::{Frame, gas_cost};
use super::payload::{Brought, Sender, agreed_state};
use super::{BlockEnv, ChainState, RuleError, channel, check_forced_round, check_peer};
use crate::offchain::OffchainCall;
use crate::{
    CallError, CallObject, ChannelObject, Delegates, ForceProgressTx, NoResult, OffchainEnv, Pinned,
    Protocol, Trees, TxKind, UpdateError,
};

const CODE: u64 = 70;
/// The first version of containers of code that Lima and later protocols take.
const CODE_VERSION: u64 = 3;

/// Runs a call on the state that both agreed on last, or that was forced last, and makes what comes of it the state of the
/// channel, if it is what the transaction says. Gas and fee are paid in any case.
pub(super) fn force_progress(
    state: &mut ChainState,
    tx: &ForceProgressTx,
    frame: &Frame<'_>,
) -> Result<(), RuleError> {
    let channel = channel(state, tx.channel_id)?;
    let (base, known_hash) = base(state, tx, &channel, frame)?;
    let call = OffchainCall::of(&tx.update).ok_or(RuleError::NotCall)?;
    check_forced_round(&channel, tx.round)?;
    check_caller(tx, &channel, call.caller, frame)?;
    if tx.round.0.checked_sub(1) != Some(base.0) {
        return Err(RuleError::WrongRound { found: tx.round, base });
    }
    let trees = Trees::decode(&tx.offchain_trees.0).map_err(|error| RuleError::Malformed { error })?;
    if trees.state_hash() != known_hash {
        return Err(RuleError::TreesOfOtherState);
    }
    check_contract(&trees, &call, frame.protocol())?;
    let most = sum(tx.fee, gas_cost(call.gas, call.gas_price));
    state.check_solo(tx.from_id, tx.nonce, most, frame)?;

    frame.machine(TxKind::ChannelForceProgress)?;
    let (next, result) = ran(state, &channel, (tx, &call), trees, frame.env)?;
    let used = gas_cost(result.gas_used, call.gas_price);
    state.charge_solo(tx.from_id, tx.nonce, sum(tx.fee, used), frame)?;
    record(state, &result, call.caller, frame);
    if let Some(forced) = forced(channel, tx, &next, frame.env)? {
        state.trees.set_channel(tx.channel_id, &forced);
        frame.tell_forced(next);
    }
    Ok(())
}

/// The trees that a forced call leads to, and its result.
fn ran(
    state: &ChainState,
    channel: &ChannelObject,
    (tx, call): (&ForceProgressTx, &OffchainCall<'_>),
    before: Trees,
    env: &BlockEnv<'_>,
) -> Result<(Trees, CallObject), RuleError> {
    let pruned = Trees { calls: Tree::new(), ..before };
    let rules = OffchainEnv { reserve: channel.channel_reserve, round: tx.round, protocol: env.protocol };
    let pinned = Pinned { block: *env, trees: &state.trees };
    call.run(&pruned, &rules, &pinned).map_err(|error| RuleError::ImpossibleCall { error })
}

/// Round and hash of the state that the call is made on: that of the payload, or the one that the chain knows.
fn base(
    state: &ChainState,
    tx: &ForceProgressTx,
    channel: &ChannelObject,
    frame: &Frame<'_>,
) -> Result<(Round, StateHash), RuleError> {
    if tx.payload.0.is_empty() {
        return Ok((channel.round, channel.state_hash));
    }
    let since_iris = frame.protocol() >= Protocol::Iris;
    let brought = Brought {
        payload: &tx.payload,
        channel_id: tx.channel_id,
        from_id: tx.from_id,
        sender: if since_iris { Sender::PeerOrDelegate } else { Sender::Peer },
        forces: true,
    };
    let agreed = agreed_state(&brought, channel, &state.trees, frame.env)?;
    Ok((agreed.round, agreed.state_hash))
}

/// A party forces its own calls; while the channel is closing its delegates do, too.
fn check_caller(
    tx: &ForceProgressTx,
    channel: &ChannelObject,
    caller: AccountId,
    frame: &Frame<'_>,
) -> Result<(), RuleError> {
    let account = tx.from_id;
    if caller == account {
        return check_peer(channel, account);
    }
    if frame.protocol() < Protocol::Iris {
        return Err(RuleError::NotCaller { account });
    }
    if channel.is_active() {
        return Err(RuleError::NotClosing);
    }
    let delegates = match &channel.delegates {
        Delegates::Each { initiator, .. } if caller == channel.initiator_id => initiator,
        Delegates::Each { responder, .. } if caller == channel.responder_id => responder,
        Delegates::Shared(ids) if channel.is_peer(caller) => ids,
        _ => return Err(RuleError::NotCallerOrDelegate { account }),
    };
    if delegates.contains(&account) { Ok(()) } else { Err(RuleError::NotCallerOrDelegate { account }) }
}

fn check_contract(trees: &Trees, call: &OffchainCall<'_>, protocol: Protocol) -> Result<(), RuleError> {
    let missing = || RuleError::ContractMissing { contract: call.contract };
    let contract = trees.contract(call.contract).ok_or_else(missing)?;
    let code = trees.code(&contract).ok_or_else(missing)?;
    let version = contract.ct_version;
    if version.abi != call.abi {
        return Err(RuleError::WrongAbi { found: call.abi, expected: version.abi });
    }
    if !version.is_callable(protocol) {
        return Err(RuleError::UnknownVm { vm: version.vm });
    }
    let unread = |error: DecodeError| RuleError::ImpossibleCall {
        error: CallError::NoResult(NoResult::MalformedCode(error.to_string())),
    };
    let (container, _) = Fields::of_object(&code, CODE).map_err(unread)?;
    if container < CODE_VERSION { Err(RuleError::OldCode) } else { Ok(()) }
}

/// Writes a copy of the call where it can be found by the hash of the transaction.
fn record(state: &mut ChainState, result: &CallObject, caller: AccountId, frame: &Frame<'_>) {
    let contract = ContractId(frame.hash().0);
    let id = call_id(caller, result.nonce.0, contract, frame.auth_id(caller));
    state.trees.set_call(&contract.0, &id, &CallObject { contract, ..result.clone() });
}

/// The channel with the state that the call led to; none where that is not what the transaction says, or a channel that is
/// closing does not hold as much.
fn forced(
    channel: ChannelObject,
    tx: &ForceProgressTx,
    next: &Trees,
    env: &BlockEnv<'_>,
) -> Result<Option<ChannelObject>, RuleError> {
    let balance = |id| {
        let account = next.account(id).ok_or(CallError::Update(UpdateError::UnknownAccount(id)));
        account.map(|account| account.balance).map_err(|error| RuleError::ImpossibleCall { error })
    };
    if channel.is_active() && next.state_hash() != tx.state_hash {
        return Ok(None);
    }
    let (initiator_amount, responder_amount) =
        (balance(channel.initiator_id)?, balance(channel.responder_id)?);
    let held = channel.channel_amount;
    let exceeds = initiator_amount.checked_add(responder_amount).is_none_or(|sum: Coins| sum > held);
    if next.state_hash() != tx.state_hash || (!channel.is_active() && exceeds) {
        return Ok(None);
    }
    let begins =
        channel.solo_round == Round(0) || (!tx.payload.0.is_empty() && env.height >= env.solo_round_switch);
    Ok(Some(ChannelObject {
        state_hash: tx.state_hash,
        round: tx.round,
        solo_round: if begins { tx.round } else { channel.solo_round },
        initiator_amount,
        responder_amount,
        locked_until: if channel.is_active() {
            Height(0)
        } else {
            Height(env.height.0.saturating_add(channel.lock_period))
        },
        ..channel
    }))
}
