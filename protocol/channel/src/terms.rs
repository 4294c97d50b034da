//! What a client asks for when it opens a channel (`docs/protocol/ws_api` §2).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use strait_encoding::{AccountId, Coins, Height, Nonce};
use strait_ledger::min_depth_by_fee;

/// Who a party is in the channel: who opened it, or who agreed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Dials the peer, pays for the create transaction.
    Initiator,
    /// Listens for the peer.
    Responder,
}

impl Role {
    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Role::Initiator => Role::Responder,
            Role::Responder => Role::Initiator,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Initiator => "initiator",
            Role::Responder => "responder",
        })
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "initiator" => Ok(Role::Initiator),
            "responder" => Ok(Role::Responder),
            other => Err(format!("expected initiator or responder, found {other:?}")),
        }
    }
}

/// How many confirmations an on-chain transaction needs (`docs/protocol/ws_api` §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DepthRule {
    /// Grows with the fee: the root of this degree of the fee in units of the default gas price; degree 0 means one
    /// confirmation.
    TxFee(u32),
    /// Always this many.
    Plain(u64),
}

impl DepthRule {
    /// What is used where neither side asked for anything.
    pub const DEFAULT: Self = DepthRule::TxFee(10);

    /// Key blocks on top of the one that holds a transaction of this fee.
    pub fn confirmations(self, fee: Coins) -> u64 {
        match self {
            DepthRule::TxFee(degree) => min_depth_by_fee(fee, degree),
            DepthRule::Plain(depth) => depth,
        }
    }
}

/// How long each wait may last, in milliseconds (`docs/protocol/ws_api` §2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patience {
    /// For the peer's next message of an exchange.
    pub accept: u64,
    /// For `funding_created` after `channel_accept`.
    pub funding_create: u64,
    /// For the peer's signature under a create, deposit or withdraw transaction.
    pub funding_sign: u64,
    /// For confirmations and for the peer's `…_locked`.
    pub funding_lock: u64,
    /// While nothing is under way.
    pub idle: u64,
    /// For the own client's signature.
    pub sign: u64,
    /// For `channel_accept`; `accept` where unset.
    pub initialized: Option<u64>,
    /// For `channel_open`; `idle` where unset.
    pub awaiting_open: Option<u64>,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            accept: 120_000,
            funding_create: 120_000,
            funding_sign: 120_000,
            funding_lock: 360_000,
            idle: 600_000,
            sign: 500_000,
            initialized: None,
            awaiting_open: None,
        }
    }
}

/// Which notifications the client wants (`docs/protocol/ws_api` §2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Reports {
    pub info: bool,
    pub update: bool,
    pub leave: bool,
    pub conflict: bool,
    pub message: bool,
    pub error: bool,
    pub on_chain_tx: bool,
    pub min_depth: bool,
    pub debug: bool,
}

impl Default for Reports {
    fn default() -> Self {
        Self {
            info: true,
            update: true,
            leave: true,
            conflict: true,
            message: true,
            error: true,
            on_chain_tx: true,
            min_depth: true,
            debug: false,
        }
    }
}

/// Which block an update may be pinned to, in key blocks below the top (`docs/protocol/fsm` §10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinWindow {
    /// A pinned block lies at least this deep.
    pub not_newer_than: u64,
    /// A pinned block lies at most this deep.
    pub not_older_than: u64,
    /// How much deeper than `not_newer_than` the own choice lies.
    pub pick: u64,
}

impl Default for PinWindow {
    fn default() -> Self {
        Self { not_newer_than: 0, not_older_than: 10, pick: 0 }
    }
}

/// Fee, gas price and nonce that a client may ask for; unset ones are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TxOptions {
    /// The fee in aettos.
    pub fee: Option<Coins>,
    /// The price of a unit of gas in aettos; with `fee` the larger result counts.
    pub gas_price: Option<Coins>,
    /// The nonce.
    pub nonce: Option<Nonce>,
}

/// Everything that a client asks for when it opens a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Which party the client is.
    pub role: Role,
    /// The initiator; a responder may leave it open until somebody dials.
    pub initiator: Option<AccountId>,
    /// The responder.
    pub responder: AccountId,
    /// Coins of the initiator that enter the channel.
    pub initiator_amount: Coins,
    /// Coins of the responder that enter the channel.
    pub responder_amount: Coins,
    /// Of the initiator's coins, how many are the responder's from the start.
    pub push_amount: Coins,
    /// What each party must keep.
    pub channel_reserve: Coins,
    /// Key blocks between a solo close and its settlement.
    pub lock_period: u64,
    /// Asked-for confirmations; unset ones are negotiated.
    pub depth: Option<DepthRule>,
    /// Last height of the transactions after the create transaction; 0 for ever.
    pub ttl: Height,
    /// For the create transaction.
    pub create: TxOptions,
    /// Whether a responder survives the loss of its peer.
    pub keep_running: bool,
    /// Whether messages of and to third parties pass.
    pub msg_forwarding: bool,
    /// How many entries the history keeps.
    pub log_keep: usize,
    /// A label for logs.
    pub slogan: Option<String>,
    /// How long waits may last.
    pub patience: Patience,
    /// Which notifications are wanted.
    pub reports: Reports,
    /// Which blocks updates may be pinned to.
    pub pin: PinWindow,
    /// Where the initiator dials; unused by a responder.
    pub host: String,
    /// Where the initiator dials and the responder listens.
    pub port: u16,
}

impl Terms {
    /// The client's own account, unless it is an initiator that is still open.
    pub fn me(&self) -> Option<AccountId> {
        self.party(self.role)
    }

    /// The account of a party, where it is known.
    pub fn party(&self, role: Role) -> Option<AccountId> {
        match role {
            Role::Initiator => self.initiator,
            Role::Responder => Some(self.responder),
        }
    }
}
