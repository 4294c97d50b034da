//! What one party, or its delegate, does alone (`docs/protocol/channel_txs` §4.5 to §4.7, §4.10).

use strait_encoding::{Coins, Height, Round, StateHash};

use super::frame::Frame;
use super::payload::{Brought, Sender, agreed_state};
use super::{BlockEnv, ChainState, RuleError, channel, check_active, check_peer};
use crate::tx::ProofBytes;
use crate::{
    ChannelObject, CloseSoloTx, Delegates, OffchainTx, Protocol, SetDelegatesTx, SlashTx, SnapshotSoloTx,
    StateProof,
};

/// Starts closing with a state that both agreed on, or with the one that the chain knows.
pub(super) fn close_solo(
    state: &mut ChainState,
    tx: &CloseSoloTx,
    frame: &Frame<'_>,
) -> Result<(), RuleError> {
    let channel = channel(state, tx.channel_id)?;
    state.check_solo(tx.from_id, tx.nonce, tx.fee, frame)?;
    let proof = decode_proof(&tx.poi)?;
    let next = if tx.payload.0.is_empty() {
        check_peer(&channel, tx.from_id)?;
        check_active(&channel)?;
        check_proof(&proof, channel.state_hash, RuleError::ProofOfUnknownState)?;
        locked(channel, &proof, frame.env)?
    } else {
        check_active(&channel)?;
        let brought = Brought {
            payload: &tx.payload,
            channel_id: tx.channel_id,
            from_id: tx.from_id,
            sender: Sender::Peer,
            forces: false,
        };
        let agreed = agreed_state(&brought, &channel, &state.trees, frame.env)?;
        check_proof(&proof, agreed.state_hash, RuleError::ProofOfOtherState)?;
        locked(replaced(channel, &agreed, frame.env), &proof, frame.env)?
    };
    state.charge_solo(tx.from_id, tx.nonce, tx.fee, frame)?;
    state.trees.set_channel(tx.channel_id, &next);
    Ok(())
}

/// Answers a solo close with a later state; the lock period starts again.
pub(super) fn slash(state: &mut ChainState, tx: &SlashTx, frame: &Frame<'_>) -> Result<(), RuleError> {
    let channel = channel(state, tx.channel_id)?;
    if tx.payload.0.is_empty() {
        return Err(RuleError::SlashWithoutPayload);
    }
    state.check_solo(tx.from_id, tx.nonce, tx.fee, frame)?;
    if channel.is_active() {
        return Err(RuleError::NotClosing);
    }
    let brought = Brought {
        payload: &tx.payload,
        channel_id: tx.channel_id,
        from_id: tx.from_id,
        sender: Sender::PeerOrDelegate,
        forces: false,
    };
    let agreed = agreed_state(&brought, &channel, &state.trees, frame.env)?;
    let proof = decode_proof(&tx.poi)?;
    check_proof(&proof, agreed.state_hash, RuleError::ProofOfOtherState)?;
    let next = locked(replaced(channel, &agreed, frame.env), &proof, frame.env)?;
    state.charge_solo(tx.from_id, tx.nonce, tx.fee, frame)?;
    state.trees.set_channel(tx.channel_id, &next);
    Ok(())
}

/// Makes a state that both agreed on known to the chain.
pub(super) fn snapshot_solo(
    state: &mut ChainState,
    tx: &SnapshotSoloTx,
    frame: &Frame<'_>,
) -> Result<(), RuleError> {
    let channel = channel(state, tx.channel_id)?;
    if tx.payload.0.is_empty() {
        return Err(RuleError::SnapshotWithoutPayload);
    }
    state.check_solo(tx.from_id, tx.nonce, tx.fee, frame)?;
    check_active(&channel)?;
    let sender = if frame.protocol() >= Protocol::Iris { Sender::PeerOrDelegate } else { Sender::Peer };
    let (payload, channel_id, from_id) = (&tx.payload, tx.channel_id, tx.from_id);
    let brought = Brought { payload, channel_id, from_id, sender, forces: false };
    let agreed = agreed_state(&brought, &channel, &state.trees, frame.env)?;
    state.charge_solo(tx.from_id, tx.nonce, tx.fee, frame)?;
    state.trees.set_channel(tx.channel_id, &known(channel, &agreed));
    Ok(())
}

/// Replaces the delegates of both, by agreement; with a payload it is a snapshot too.
pub(super) fn set_delegates(
    state: &mut ChainState,
    tx: &SetDelegatesTx,
    frame: &Frame<'_>,
) -> Result<(), RuleError> {
    let channel = channel(state, tx.channel_id)?;
    state.check_solo(tx.from_id, tx.nonce, tx.fee, frame)?;
    let is_old = matches!(channel.delegates, Delegates::Shared(_));
    let (channel, state_hash, round) = if tx.payload.0.is_empty() {
        check_peer(&channel, tx.from_id)?;
        check_active(&channel)?;
        let (state_hash, round) = (channel.state_hash, channel.round);
        (channel, state_hash, round)
    } else {
        check_active(&channel)?;
        let brought = Brought {
            payload: &tx.payload,
            channel_id: tx.channel_id,
            from_id: tx.from_id,
            sender: Sender::Peer,
            forces: false,
        };
        let agreed = agreed_state(&brought, &channel, &state.trees, frame.env)?;
        (known(channel, &agreed), agreed.state_hash, agreed.round)
    };
    if tx.state_hash != state_hash {
        return Err(RuleError::UnexpectedStateHash);
    }
    if tx.round != round {
        return Err(RuleError::UnexpectedRound { found: tx.round, expected: round });
    }
    if is_old {
        return Err(RuleError::OldChannel);
    }
    let delegates = Delegates::Each {
        initiator: tx.initiator_delegate_ids.clone(),
        responder: tx.responder_delegate_ids.clone(),
    };
    state.charge_solo(tx.from_id, tx.nonce, tx.fee, frame)?;
    state.trees.set_channel(tx.channel_id, &ChannelObject { delegates, ..channel });
    Ok(())
}

fn decode_proof(ProofBytes(bytes): &ProofBytes) -> Result<StateProof, RuleError> {
    StateProof::decode(bytes).map_err(|error| RuleError::Malformed { error })
}

fn check_proof(proof: &StateProof, expected: StateHash, otherwise: RuleError) -> Result<(), RuleError> {
    if proof.state_hash() == expected { Ok(()) } else { Err(otherwise) }
}

/// The channel with the state of a snapshot: that ends a forced chain.
fn known(channel: ChannelObject, agreed: &OffchainTx) -> ChannelObject {
    ChannelObject { state_hash: agreed.state_hash, round: agreed.round, solo_round: Round(0), ..channel }
}

/// The channel with the state of a solo close or a slash: that ends a forced chain from a certain height on only
/// (`docs/protocol/channel_txs` §1.2).
fn replaced(channel: ChannelObject, agreed: &OffchainTx, env: &BlockEnv<'_>) -> ChannelObject {
    let solo_round = if env.height < env.solo_round_switch { channel.solo_round } else { Round(0) };
    ChannelObject { solo_round, ..known(channel, agreed) }
}

/// The channel locked, to be closed with the balances in the proof.
fn locked(
    channel: ChannelObject,
    proof: &StateProof,
    env: &BlockEnv<'_>,
) -> Result<ChannelObject, RuleError> {
    let balance = |account| match proof.account(account) {
        Ok(shown) => Ok(shown.balance),
        Err(_) => Err(RuleError::ProofWithoutPeers { account }),
    };
    let (initiator_amount, responder_amount) =
        (balance(channel.initiator_id)?, balance(channel.responder_id)?);
    let held = channel.channel_amount;
    if initiator_amount.checked_add(responder_amount).is_none_or(|sum: Coins| sum > held) {
        return Err(RuleError::ProofExceedsFunds { held });
    }
    let locked_until = Height(env.height.0.saturating_add(channel.lock_period));
    Ok(ChannelObject { initiator_amount, responder_amount, locked_until, ..channel })
}
