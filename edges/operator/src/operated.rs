//! What is operated: the service as its operator sees it.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::str::FromStr;

use serde_json::Value;
use strait_channel::{Place, Role, Time};
use strait_encoding::{AccountId, ChannelId, Coins, Height, Round};
use strait_ledger::{SignedTx, Update};
use thiserror::Error;

use crate::chain_picture::ChainPicture;

/// A running service. Everything is asked for often while somebody looks: at most twice a second, however many look.
pub trait Operated: Send + Sync + 'static {
    /// Every side of a channel that the service holds, as it is now, in any order.
    fn standings(&self) -> Vec<Standing>;

    /// The latest entries of one side's log, the newest first, at most `newest`; none where the side is unknown.
    fn log(&self, key: SideKey, newest: usize) -> impl Future<Output = Option<Vec<LogEntry>>> + Send;

    /// The height of the chain's top.
    fn top(&self) -> Height;

    /// The chain as it is now.
    fn chain(&self) -> ChainPicture;

    /// Lets the chain take another branch that begins `depth` key blocks below the top; answers when the chain has
    /// changed over.
    ///
    /// # Errors
    /// The chain is not ours to fork, or not by so much.
    fn fork(&self, depth: u64) -> impl Future<Output = Result<(), ForkRefused>> + Send;

    /// What the service carries now.
    fn load(&self) -> Load;
}

/// Names one side of one channel on this service: 32 bytes, as text 64 digits of hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SideKey(pub [u8; 32]);

/// A text that is no [`SideKey`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("expected 64 digits of hex")]
pub struct NoSideKey;

impl fmt::Display for SideKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for SideKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SideKey({self})")
    }
}

impl FromStr for SideKey {
    type Err = NoSideKey;

    fn from_str(s: &str) -> Result<Self, NoSideKey> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(s, &mut bytes).map_err(|_| NoSideKey)?;
        Ok(Self(bytes))
    }
}

/// How one side of a channel stands. A plain value without a heap of its own: a channel's task can leave a new one behind
/// after every step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Which side.
    pub key: SideKey,
    /// The channel, once it has its id.
    pub id: Option<ChannelId>,
    /// Which party the service acts for.
    pub role: Role,
    /// Who opened the channel; unknown to a responder that waits for anybody.
    pub initiator: Option<AccountId>,
    /// Who was asked to.
    pub responder: AccountId,
    /// Where the channel is in its life.
    pub place: Place,
    /// What is under way, as [`Channel::doing`](strait_channel::Channel::doing) says.
    pub doing: &'static str,
    /// The round of the latest state that both signed.
    pub round: Round,
    /// The initiator's coins and the responder's in that state, once there is one.
    pub balances: Option<[Coins; 2]>,
    /// What each must keep.
    pub reserve: Coins,
    /// Confirmations that are waited for.
    pub depth: Option<Depth>,
    /// The lock of a solo close.
    pub lock: Option<Lock>,
    /// Whether a client is attached.
    pub has_client: bool,
    /// Whether a session with the peer is up.
    pub has_peer: bool,
    /// When the service took the side up.
    pub since: Time,
    /// When something last happened to it.
    pub heard: Time,
}

/// A transaction that must lie deep enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depth {
    /// The height of the generation that holds it.
    pub seen: Height,
    /// How many key blocks must lie on top.
    pub needed: u64,
}

/// A channel that was closed by one party alone, until it can be settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lock {
    /// From this height on it can.
    pub until: Height,
    /// How many key blocks the lock lasts in all.
    pub period: u64,
}

/// What was said, to whom, when.
#[derive(Clone, Debug)]
pub struct LogEntry {
    /// Grows by one with each entry of a side.
    pub number: u64,
    /// When.
    pub at: Time,
    /// From where to where.
    pub way: Way,
    /// The method, as it stands in the frame, or the message.
    pub name: Cow<'static, str>,
    /// The transaction in it.
    pub tx: Option<SignedTx>,
    /// What the round changes.
    pub updates: Vec<Update>,
    /// What else is in it.
    pub info: Option<Value>,
}

/// From where to where something was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Way {
    FromClient,
    ToClient,
    FromPeer,
    ToPeer,
    ToChain,
}

impl Way {
    /// The word in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Way::FromClient => "from_client",
            Way::ToClient => "to_client",
            Way::FromPeer => "from_peer",
            Way::ToPeer => "to_peer",
            Way::ToChain => "to_chain",
        }
    }
}

/// What a service carries at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Open sockets of clients, those included that have no channel yet or not any more.
    pub sockets: u64,
    /// Sessions with peers.
    pub peers: u64,
    /// Steps that wait for their commit.
    pub commit_queue: u64,
    /// Changes that the store refused or could not write since the service started.
    pub commit_failures: u64,
    /// Letters in the fullest mailbox of a channel.
    pub fullest_mailbox: u64,
    /// Transactions that wait for a block.
    pub mempool: u64,
    /// Key blocks by which the slowest of the channels that follow the chain is behind its top.
    pub chain_lag: u64,
}

/// Why a fork does not come about.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ForkRefused {
    /// The chain belongs to others.
    #[error("only a dev chain can be forked")]
    NotOurs,
    /// The depth does not fit: the operator's fault.
    #[error("depth: {0}")]
    Depth(String),
    /// The chain takes nothing at the moment.
    #[error("the chain takes no fork at the moment: {0}")]
    Unavailable(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_is_written_and_nothing_else_is() {
        let key = SideKey([0xa7; 32]);
        assert_eq!(key.to_string().parse(), Ok(key));
        let uneven = &key.to_string()[1..];
        for wrong in ["", "a7", uneven, &"x".repeat(64), &"a".repeat(66)] {
            assert_eq!(wrong.parse::<SideKey>(), Err(NoSideKey), "{wrong}");
        }
    }
}
