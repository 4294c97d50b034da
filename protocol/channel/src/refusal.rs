//! Why an input was not taken, and whose fault that is.

use strait_encoding::{AccountId, Coins};
use thiserror::Error;

/// An input that was not taken; the channel is as it was.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{reason}")]
pub struct Refusal {
    /// What is wrong with it.
    pub reason: Reason,
    /// Who has to change something.
    pub fault: Fault,
    /// What to do about it.
    pub reaction: Reaction,
}

/// Who has to change something for the input to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The own client.
    Client,
    /// The other party or its service.
    Peer,
    /// The chain does not have what is needed.
    Chain,
    /// This service.
    Us,
}

/// What to do about a refused input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// Tell the client that asked.
    Answer,
    /// Tell the client that asked, if it wants answers: a reply that came too late is no error by itself.
    AnswerIfAsked,
    /// Nothing: a straggler.
    Ignore,
    /// End the session with the peer.
    EndSession,
}

/// What is wrong with an input.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Reason {
    /// A balance would fall below the reserve.
    #[error("balance of {account} is {balance}, the reserve is {reserve}: {amount} cannot be taken from it")]
    InsufficientBalance {
        /// Whose balance.
        account: AccountId,
        /// What it is.
        balance: Coins,
        /// What must remain.
        reserve: Coins,
        /// What was asked for.
        amount: Coins,
    },
    /// The balances of the channel do not pay the fee of its closing.
    #[error("the channel holds {held}, which does not pay the fee of {fee}")]
    FeeExceedsChannel {
        /// Both balances together.
        held: Coins,
        /// The fee.
        fee: Coins,
    },
    /// A transfer is not between the two parties.
    #[error("from and to must be the two parties of the channel, {initiator} and {responder}")]
    InvalidPubkeys {
        /// The initiator.
        initiator: AccountId,
        /// The responder.
        responder: AccountId,
    },
    /// An amount of the opening is too low.
    #[error("{parameter}: {rule}")]
    ValueTooLow {
        /// The parameter.
        parameter: &'static str,
        /// What is asked of it.
        rule: String,
    },
    /// A party has no account on chain.
    #[error("{parameter}: {account} has no account on chain")]
    ParticipantNotFound {
        /// The parameter.
        parameter: &'static str,
        /// The account.
        account: AccountId,
    },
    /// The account is not in the off-chain state.
    #[error("{0} is not in the state of the channel")]
    NotInState(String),
    /// The handshake is under way.
    #[error("the channel is not ready: {0}")]
    NotReady(&'static str),
    /// What was asked cannot be done where the channel is.
    #[error("not possible now: {0}")]
    NotAllowedNow(&'static str),
    /// An abort where nothing can be aborted, or a reply to nothing.
    #[error("no signature is awaited from {0}")]
    NothingToSign(&'static str),
    /// The channel is already closing.
    #[error("the channel is closing")]
    Closing,
    /// A message for somebody who is not the peer.
    #[error("to: {0} is not the other party, and messages are not forwarded")]
    UnknownRecipient(AccountId),
    /// A message from somebody else.
    #[error("from: {0} is not the client's own account, and messages are not forwarded")]
    UnknownSender(AccountId),
    /// A message that is too long.
    #[error("info has {size} bytes, at most {limit} are carried")]
    MessageTooLong {
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The pinned block cannot be used.
    #[error("block_hash: {0}")]
    Pin(&'static str),
    /// The fee is below what the chain takes.
    #[error("fee: {fee} is below the minimum of {minimum}")]
    TooLowFee {
        /// The fee.
        fee: Coins,
        /// The least that the chain takes.
        minimum: Coins,
    },
    /// A contract cannot be run.
    #[error("{why}")]
    Contract {
        /// The reference's word for it, if it has one.
        atom: Option<&'static str>,
        /// What is wrong.
        why: String,
    },
    /// No such call is known.
    #[error("no such call is known")]
    CallNotFound,
    /// The latest state is an on-chain transaction: it cannot be shown to the chain once more.
    #[error("the latest state is a transaction that is on chain itself, not an off-chain one")]
    OffchainTxExpected,
    /// The chain knows the state already.
    #[error("round {round} is on chain already")]
    AlreadyOnChain {
        /// The round.
        round: u64,
    },
    /// The chain refused a deposit or withdrawal that both signed, and may still take it.
    #[error(
        "a deposit or withdrawal that the chain refused can still be mined: wait for its ttl, or use nonce {nonce} of {account} for \
         another transaction"
    )]
    Looming {
        /// Whose transaction it is.
        account: AccountId,
        /// Its nonce.
        nonce: u64,
    },
    /// What this side signed and the other one refused can still be completed, and would make the round worth less than it says.
    #[error(
        "a {what} that this side signed and the other refused can still be completed, and would cost this side {loss} of the round: use \
         nonce {nonce} of {account} for another transaction first, a spend or, where there is an off-chain round, a snapshot_solo"
    )]
    Undercut {
        /// The kind of transaction, in words.
        what: &'static str,
        /// What this side would lose.
        loss: Coins,
        /// Whose transaction it is.
        account: AccountId,
        /// Its nonce.
        nonce: u64,
    },
    /// The update does not fit into one frame to the peer.
    #[error("the message to the peer would have {size} bytes, at most {limit} fit into a frame")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The signature on a create transaction is not what was asked for.
    #[error("signed_tx: {0}")]
    BadSignature(String),
    /// The terms of the two parties differ.
    #[error("{parameter}: the peer offers {theirs}, this side asked for {ours}")]
    TermsDiffer {
        /// The parameter.
        parameter: &'static str,
        /// The peer's value.
        theirs: String,
        /// The own value.
        ours: String,
    },
    /// The peer's message breaks the protocol.
    #[error("the peer broke the protocol: {0}")]
    Protocol(&'static str),
    /// The chain refused a transaction of this channel.
    #[error("the chain refused the transaction: {0}")]
    RefusedByChain(&'static str),
    /// A method whose flow this version does not run.
    #[error("{0} is not supported by this version")]
    Unsupported(&'static str),
    /// The latest states of the two sides cannot be made one.
    #[error(
        "the peer's latest state is round {theirs}, ours is round {ours}, and neither completes the other"
    )]
    StatesDiffer {
        /// The peer's round.
        theirs: u64,
        /// The own round.
        ours: u64,
    },
    /// Too many requests wait for the one under way.
    #[error("{0} requests are waiting already")]
    Busy(usize),
}

impl Refusal {
    /// A request of the own client that cannot be taken; it is told.
    pub fn client(reason: Reason) -> Self {
        Self { reason, fault: Fault::Client, reaction: Reaction::Answer }
    }

    /// A peer that breaks the protocol; the session ends.
    pub fn protocol(why: &'static str) -> Self {
        Self { reason: Reason::Protocol(why), fault: Fault::Peer, reaction: Reaction::EndSession }
    }

    /// A message that came too late to matter.
    pub fn straggler(why: &'static str) -> Self {
        Self { reason: Reason::Protocol(why), fault: Fault::Peer, reaction: Reaction::Ignore }
    }
}
