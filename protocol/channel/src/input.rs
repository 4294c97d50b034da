//! Everything that can happen to a channel.

use strait_encoding::{AccountId, BlockHash, Coins, ContractId, Height, Round, TxHash};
use strait_ledger::{ChannelObject, SignedTx};

use crate::contracts::Contract;
use crate::flow::{Flow, Side};
use crate::forcing::Forcing;
use crate::message::Message;
use crate::terms::TxOptions;

/// Something that happened.
// Inputs come one at a time and are never kept: their size does not matter, a box in each would.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The client asks for something; the ticket comes back with the answer.
    Client(Ticket, Request),
    /// A client holds the channel from now on.
    Attached,
    /// The client is gone.
    Detached,
    /// A client comes back to a dormant channel; `temporary_id` as in [`Channel::open`](crate::Channel::open).
    Reestablish,
    /// The peer did something.
    Peer(PeerEvent),
    /// The chain moved.
    Chain(ChainNews),
    /// The chain took a transaction or refused it.
    Submitted {
        /// Which.
        tx: SignedTx,
        /// The reference's atom where it refused.
        result: Result<(), &'static str>,
    },
    /// [`Channel::deadline`](crate::Channel::deadline) has come.
    Tick,
    /// The service starts again with this channel from disk.
    Restarted,
}

/// Names a request, so that its answer finds the client's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What a client can ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Propose a transfer.
    Transfer {
        /// Who pays.
        from: AccountId,
        /// Who receives.
        to: AccountId,
        /// How much.
        amount: Coins,
        /// The block to pin to; chosen where unset.
        pin: Option<BlockHash>,
        /// Text for the other client.
        meta: Vec<String>,
    },
    /// Propose to run a contract.
    Contract {
        /// What to run.
        contract: Contract,
        /// The block to pin to; chosen where unset.
        pin: Option<BlockHash>,
        /// Text for the other client.
        meta: Vec<String>,
    },
    /// Ask what a call would come to.
    DryRun {
        /// The call.
        call: Contract,
        /// The block that it would be pinned to; chosen where unset.
        pin: Option<BlockHash>,
    },
    /// Ask for a contract and its store.
    ContractState(ContractId),
    /// Ask for the result of a call.
    ContractCall {
        /// What was called.
        contract: ContractId,
        /// By whom.
        caller: AccountId,
        /// In which round.
        round: Round,
    },
    /// Propose to bring coins into the channel, or to take them out.
    Funds {
        /// Deposit or withdraw.
        flow: Flow,
        /// How much.
        amount: Coins,
        /// The block to pin to; chosen where unset.
        pin: Option<BlockHash>,
        /// Fee and nonce.
        options: TxOptions,
        /// Text for the other client.
        meta: Vec<String>,
    },
    /// Act alone: close_solo, slash, settle or snapshot_solo.
    Solo(Flow, TxOptions),
    /// Force a contract call on chain.
    ForceProgress(Forcing),
    /// Take the confirmations of this transaction for reached.
    AssumeMinimumDepth(TxHash),
    /// Propose a mutual close.
    Shutdown(TxOptions),
    /// A signing request is answered.
    Signed {
        /// Of which flow.
        flow: Flow,
        /// As which side.
        side: Side,
        /// The transaction with the client's signature added.
        tx: SignedTx,
    },
    /// A signing request is declined.
    Declined {
        /// Of which flow.
        flow: Flow,
        /// As which side.
        side: Side,
        /// The client's reason, 1 to 65535.
        code: u16,
    },
    /// Go away and keep the state.
    Leave,
    /// Send text to the other client.
    Message {
        /// Whom it is for.
        to: AccountId,
        /// Who writes; the client itself where unset.
        from: Option<AccountId>,
        /// The text.
        info: String,
    },
    /// End the channel's process at once; the state is kept.
    Stop,
    /// Ask for off-chain balances.
    Balances(Vec<AccountId>),
    /// Ask for the whole off-chain state.
    OffchainState,
    /// Ask for a proof of inclusion.
    Proof {
        /// Accounts to prove.
        accounts: Vec<AccountId>,
        /// Contracts to prove.
        contracts: Vec<ContractId>,
    },
    /// Forget the results of contract calls.
    CleanCalls,
}

/// What the peer did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerEvent {
    /// The session is up; for a responder the first message follows at once.
    Connected,
    /// A message.
    Message(Message),
    /// The session is gone.
    Disconnected,
    /// No session came about after all attempts.
    Unreachable,
}

/// What the chain shows of this channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainNews {
    /// Height of the top.
    pub top: Height,
    /// All transactions of this channel in the blocks of the main chain, in order: what was there before and is not any more, a
    /// fork has taken back.
    pub txs: Vec<SeenTx>,
    /// Transactions of this channel in blocks that did nothing to it: what stands in their meta transactions failed
    /// (`docs/protocol/signing` §3.2).
    pub failed: Vec<TxHash>,
    /// The channel as it is now on chain.
    pub object: Option<ChannelObject>,
}

/// A transaction in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenTx {
    /// The transaction.
    pub tx: SignedTx,
    /// Height of its generation.
    pub height: Height,
}

/// What a client's request is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Done, or under way.
    Ok,
    /// Off-chain balances, in the order asked for; unknown accounts are left out.
    Balances(Vec<(AccountId, Coins)>),
    /// The whole off-chain state.
    OffchainState {
        /// Serialized state trees.
        trees: Vec<u8>,
        /// Serialized tree of the results of contract calls.
        calls: Vec<u8>,
        /// The latest co-signed transaction.
        signed_tx: Option<SignedTx>,
        /// What this side signed and the peer did not answer yet.
        half_signed_tx: Option<SignedTx>,
    },
    /// A serialized proof of inclusion.
    Proof(Vec<u8>),
    /// The results of contract calls are forgotten.
    CallsPruned,
    /// The result of a contract call, as JSON.
    Call(serde_json::Value),
    /// The result that a call would have, as JSON.
    DryRun(serde_json::Value),
    /// A contract, as JSON.
    Contract {
        /// The object.
        contract: serde_json::Value,
        /// Its store: keys and values in their text forms.
        contract_state: serde_json::Value,
    },
}
