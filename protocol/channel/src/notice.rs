//! What a client hears without having asked (`docs/protocol/ws_api` §7).

use serde::{Deserialize, Serialize};
use strait_encoding::{AccountId, ChannelId, Round, TxHash};
use strait_ledger::{SignedTx, TxKind, Update};

use crate::flow::{Flow, Side};
use crate::refusal::Reason;

/// One notification, and the channel that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// `None` until the channel's id is fixed.
    pub channel_id: Option<ChannelId>,
    /// What happened.
    pub notice: Notice,
}

/// What a notification says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// `channels.info`.
    Info(Event),
    /// `channels.sign.<tag>`: the client is asked to add its signature.
    Sign {
        /// Of which flow.
        flow: Flow,
        /// As which side.
        side: Side,
        /// The transaction, with the peer's signature if it proposed.
        tx: SignedTx,
        /// What the round changes.
        updates: Vec<Update>,
    },
    /// `channels.update`: the latest co-signed transaction.
    Update(SignedTx),
    /// `channels.leave`: the latest co-signed transaction, to come back with.
    Leave(SignedTx),
    /// `channels.conflict`: a round did not come about.
    Conflict {
        /// The channel.
        channel_id: ChannelId,
        /// The round that is fallen back to.
        round: Round,
        /// Why.
        code: ConflictCode,
    },
    /// `channels.message`: text from the other client.
    Message {
        /// The channel.
        channel_id: ChannelId,
        /// Who wrote it.
        from: AccountId,
        /// Whom it is for.
        to: AccountId,
        /// The text, as the peer sent it.
        info: Vec<u8>,
    },
    /// `channels.on_chain_tx`.
    OnChainTx {
        /// What it means for the channel.
        event: OnChainEvent,
        /// The transaction.
        tx: SignedTx,
    },
    /// An error that answers no request: a JSON-RPC error with `id` null.
    Error(Reason),
}

/// An `event` of `channels.info`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Event {
    FsmUp,
    ChannelOpen,
    ChannelAccept,
    FundingCreated,
    FundingSigned,
    OwnFundingLocked,
    FundingLocked,
    Open,
    Update,
    DepositCreated,
    WithdrawCreated,
    OwnDepositLocked,
    DepositLocked,
    OwnWithdrawLocked,
    WithdrawLocked,
    Shutdown,
    Closing,
    ClosedConfirmed,
    AbortedUpdate,
    ChannelReestablished,
    PeerDisconnected,
    Timeout,
    Died,
    BadSignature,
    BadStateHash,
    NotCreateTx,
    ZombieChannel,
    /// A real confirmation after an assumed one.
    MinimumDepthAchieved {
        tx_hash: TxHash,
        tx_kind: TxKind,
    },
    /// Confirmation of an own snapshot.
    SnapshotConfirmed {
        tx_hash: TxHash,
    },
}

impl Event {
    /// The text of `event`.
    pub fn name(self) -> &'static str {
        match self {
            Event::FsmUp => "fsm_up",
            Event::ChannelOpen => "channel_open",
            Event::ChannelAccept => "channel_accept",
            Event::FundingCreated => "funding_created",
            Event::FundingSigned => "funding_signed",
            Event::OwnFundingLocked => "own_funding_locked",
            Event::FundingLocked => "funding_locked",
            Event::Open => "open",
            Event::Update => "update",
            Event::DepositCreated => "deposit_created",
            Event::WithdrawCreated => "withdraw_created",
            Event::OwnDepositLocked => "own_deposit_locked",
            Event::DepositLocked => "deposit_locked",
            Event::OwnWithdrawLocked => "own_withdraw_locked",
            Event::WithdrawLocked => "withdraw_locked",
            Event::Shutdown => "shutdown",
            Event::Closing => "closing",
            Event::ClosedConfirmed => "closed_confirmed",
            Event::AbortedUpdate => "aborted_update",
            Event::ChannelReestablished => "channel_reestablished",
            Event::PeerDisconnected => "peer_disconnected",
            Event::Timeout => "timeout",
            Event::Died => "died",
            Event::BadSignature => "bad_signature",
            Event::BadStateHash => "bad_state_hash",
            Event::NotCreateTx => "not_create_tx",
            Event::ZombieChannel => "zombie_channel",
            Event::MinimumDepthAchieved { .. } => "minimum_depth_achieved",
            Event::SnapshotConfirmed { .. } => "min_depth_achieved",
        }
    }
}

/// The `info` of `channels.on_chain_tx` (`docs/protocol/ws_api` §7.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum OnChainEvent {
    FundingSigned,
    FundingCreated,
    DepositSigned,
    DepositCreated,
    WithdrawSigned,
    WithdrawCreated,
    CloseMutual,
    ChannelChanged,
    SoloClosing,
    CanSlash,
    CanSnapshot,
    ChannelClosed,
    ConsumedForcedProgress,
}

impl OnChainEvent {
    /// The text of `info`.
    pub fn name(self) -> &'static str {
        match self {
            OnChainEvent::FundingSigned => "funding_signed",
            OnChainEvent::FundingCreated => "funding_created",
            OnChainEvent::DepositSigned => "deposit_signed",
            OnChainEvent::DepositCreated => "deposit_created",
            OnChainEvent::WithdrawSigned => "withdraw_signed",
            OnChainEvent::WithdrawCreated => "withdraw_created",
            OnChainEvent::CloseMutual => "close_mutual",
            OnChainEvent::ChannelChanged => "channel_changed",
            OnChainEvent::SoloClosing => "solo_closing",
            OnChainEvent::CanSlash => "can_slash",
            OnChainEvent::CanSnapshot => "can_snapshot",
            OnChainEvent::ChannelClosed => "channel_closed",
            OnChainEvent::ConsumedForcedProgress => "consumed_forced_progress",
        }
    }
}

/// Why a round did not come about: the code of `…_error` messages and of `channels.conflict`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConflictCode(pub u16);

impl ConflictCode {
    /// A check of the transaction failed.
    pub const VALIDATION: Self = Self(1);
    /// Both sides proposed at once, or the proposal could not be taken now.
    pub const CONFLICT: Self = Self(2);
    /// Somebody did not answer in time.
    pub const TIMEOUT: Self = Self(3);
    /// A client refused to sign.
    pub const ABORT: Self = Self(4);
    /// The chain refused the transaction.
    pub const ON_CHAIN: Self = Self(5);

    /// The text of `error_msg`.
    pub fn message(self) -> &'static str {
        match self.0 {
            1 => "validation error",
            2 => "conflict",
            3 => "timeout",
            4 => "abort",
            5 => "rejected on-chain",
            128.. => "user-defined",
            _ => "unknown",
        }
    }
}
