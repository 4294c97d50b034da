//! The state of one side of one channel, as a value, and the one function that moves it.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use strait_encoding::{AccountId, BlockHash, ChannelId, Coins, Height, Round, StateHash, TxHash};
use strait_ledger::{Authenticated, ChainView, SignedTx, Trees, TxKind, Update};
use strait_tree::Tree;

use crate::flow::{Flow, Place, Settles, Side};
use crate::forcing::Forced;
use crate::input::{Input, Request, Ticket};
use crate::notice::OnChainEvent;
use crate::refusal::Refusal;
use crate::step::{Move, Step};
use crate::stored::StoredForm;
use crate::terms::{DepthRule, Role, Terms};
use crate::time::Time;

/// One party's side of one channel.
///
/// Everything that must survive a crash is a field of its own and is stored; what talks to a client or a peer right now
/// is in `talk`, which a restart forgets.
#[derive(Clone, Debug)]
pub struct Channel {
    /// How many steps were stored.
    pub(crate) step: u64,
    pub(crate) terms: Arc<Terms>,
    /// The name of the channel on the wire until it has its own.
    pub(crate) temporary_id: [u8; 32],
    /// Fixed with the initiator's signature under the create transaction.
    pub(crate) id: Option<ChannelId>,
    /// The rule that both sides came to.
    pub(crate) depth: DepthRule,
    pub(crate) stand: Stand,
    /// The latest state that both parties signed.
    pub(crate) agreed: Option<Arc<Agreed>>,
    /// What the chain made of it, one forced call after the other.
    pub(crate) forced: Vec<Arc<Forced>>,
    /// The parties that authenticate states by a contract.
    pub(crate) generalized: Vec<AccountId>,
    /// What this side signed and sent, and the peer may still complete, until a later round is agreed; the refused ones too.
    pub(crate) exposed: Vec<Arc<Draft>>,
    /// Mutual closes of earlier rounds that this side signed and that did not come about.
    pub(crate) offers: Vec<SignedTx>,
    /// The flow of both under way. Stored once a signature of this side may have left.
    pub(crate) ceremony: Option<Ceremony>,
    /// What this side alone handed to the chain, or will when it may.
    pub(crate) posted: Vec<Posted>,
    /// Transactions of the channel that were seen in blocks, so that none is reported twice.
    pub(crate) seen: Vec<Sighting>,
    /// The older state of a close for which the client was told that it can slash.
    pub(crate) warned: Option<(Round, StateHash)>,
    /// Confirmations that the client told to assume, and that did not come yet.
    pub(crate) assumed: Vec<Assumed>,
    /// What the chain did while no client listened.
    pub(crate) unheard: Vec<(OnChainEvent, SignedTx)>,
    pub(crate) talk: Talk,
}

/// Where the channel stands on chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stand {
    /// The create transaction is not confirmed yet.
    Opening,
    /// Open.
    Open,
    /// A solo close is on chain.
    Closing,
    /// A transaction that ends it is in a block of this height.
    Closed {
        /// The transaction.
        tx: SignedTx,
        /// Height of its generation.
        seen: Height,
    },
}

/// A state that both parties signed, or the chain made of such a one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Agreed {
    /// The transaction, with both signatures; with one, where it forced a call.
    pub tx: SignedTx,
    /// The trees that it commits to.
    #[serde(with = "tree_bytes")]
    pub trees: Trees,
}

impl Agreed {
    pub(crate) fn round(&self) -> Round {
        self.tx.body().agreed_state().map_or(Round(0), |(round, _)| round)
    }
}

/// A transaction on its way to be signed by both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Draft {
    /// The transaction, with the signatures that it has so far.
    pub tx: SignedTx,
    /// Who signed it; known signatures are not verified again.
    #[serde(skip)]
    pub evidence: Option<Authenticated>,
    /// What the round changes.
    pub updates: Vec<Update>,
    /// The trees after it.
    #[serde(with = "tree_bytes")]
    pub trees: Trees,
    /// The block that it is pinned to.
    pub pin: BlockHash,
}

/// A transaction that one party alone signed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Posted {
    /// Which flow.
    pub flow: Flow,
    /// With the signature.
    pub tx: Arc<SignedTx>,
    /// The lock period is waited for: it was not handed in yet.
    pub held: bool,
}

/// A transaction of the channel that was in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sighting {
    pub hash: TxHash,
    /// Height of its generation; none while a fork has put it out of the chain.
    pub height: Option<Height>,
}

/// A confirmation that the client told to assume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Assumed {
    pub hash: TxHash,
    pub kind: TxKind,
    /// Confirmations until it is real.
    pub depth: u64,
}

/// One flow under way.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ceremony {
    pub flow: Flow,
    pub side: Side,
    pub stage: Stage,
    pub draft: Arc<Draft>,
    /// When the stage began.
    pub since: Time,
}

impl Ceremony {
    /// Whether the client is being asked to sign a new round of its own. That is stored as if it were signed and sent already, while the
    /// client signs: its signature need not wait for the disk then (docs/decisions/0013).
    fn is_pledge(&self) -> bool {
        let settles = self.flow.row().settles;
        self.stage == Stage::Signing && self.side == Side::Proposer && settles == Settles::OffChain
    }

    /// The stage as a restart should find it; none if nothing of the flow may have left this side.
    pub(crate) fn stored_stage(&self) -> Option<Stage> {
        match self.stage {
            Stage::Signing => self.is_pledge().then_some(Stage::Proposed),
            stage => Some(stage),
        }
    }
}

/// How far a flow is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stage {
    /// The own client is asked to sign.
    Signing,
    /// The peer has the proposal.
    Proposed,
    /// This side gave its own proposal up, and waits until the peer has done so too: before that no other one of the same
    /// round may be signed.
    Withdrawn {
        /// Because the peer did not answer in time; otherwise it proposed itself, which shows that it will not complete this.
        overdue: bool,
    },
    /// The peer never said that it gave the round up; only re-establishing, or a proposal of the peer, resolves it.
    Unresolved,
    /// Both signed; the chain decides.
    Confirming {
        /// The proposer's client knows that the chain took the transaction.
        announced: bool,
        /// Height of the generation that holds it.
        seen: Option<Height>,
        /// The peer's confirmations are reached already.
        peer_locked: bool,
    },
    /// The own confirmations are reached; the peer's are awaited.
    Locking,
}

/// An exchange of unsigned messages under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Exchange {
    /// None.
    #[default]
    None,
    /// A session with the peer is looked for, to open a channel.
    Meeting,
    /// The initiator's `channel_open` is out.
    Offered,
    /// The responder's `channel_accept` is out.
    Accepted,
    /// A session with the peer is looked for, to go on with a channel.
    Returning,
    /// The initiator's `channel_reestablish` is out.
    Returned,
    /// `leave` is out.
    Leaving,
}

/// What is true only while the program runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Talk {
    /// The channel's process is up: a client started it or came back. Otherwise it is dormant.
    pub alive: bool,
    /// A client is attached.
    pub client: bool,
    /// A session with the peer is up.
    pub peer: bool,
    pub exchange: Exchange,
    /// A flow of one for which the own client is asked to sign: it does not stand in the way of flows of both.
    pub solo: Option<Ceremony>,
    /// When the exchange, or where there is none the place, began.
    pub since: Time,
    /// When something last happened.
    pub heard: Time,
    /// The client was told that the channel closes.
    pub closing_told: bool,
    /// Requests that wait for the flow under way.
    pub deferred: VecDeque<(Ticket, Request)>,
    /// This side answered a proposal of the peer, and the peer sent nothing yet that shows it knows: what it sends may still
    /// be the withdrawal of that proposal.
    pub answered: bool,
    /// The results of contract calls of all rounds, until the client has them forgotten. After a restart only those of the
    /// agreed state are known.
    pub calls: Tree,
    pub calls_count: usize,
    /// The trees of round 1, until the create transaction is agreed.
    pub initial: Option<Arc<Trees>>,
}

impl Channel {
    /// Decides what `input` means at `now`. A refused input changes nothing.
    ///
    /// # Errors
    /// The input was not taken; the refusal says why, whose fault that is, and what to do about it.
    pub fn decide(&self, now: Time, input: Input, chain: &dyn ChainView) -> Result<Step, Refusal> {
        let mut step = Move::new(self, now, chain);
        if !matches!(input, Input::Tick) {
            step.next.talk.heard = now;
        }
        step.take(input)?;
        step.run_deferred();
        Ok(step.finish(self))
    }

    /// The number of steps stored so far.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// What the client asked for at the start.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Which party this side is.
    pub fn role(&self) -> Role {
        self.terms.role
    }

    /// The channel's id, once it is fixed.
    pub fn id(&self) -> Option<ChannelId> {
        self.id
    }

    /// The name of the channel on the wire until it has an id.
    pub fn temporary_id(&self) -> [u8; 32] {
        self.temporary_id
    }

    /// The round of the latest state that both parties signed, or that one forced.
    pub fn round(&self) -> Round {
        self.latest().map_or(Round(0), |latest| latest.round())
    }

    /// The transaction of the latest state: both parties signed it, or one forced a call by it.
    pub fn agreed_tx(&self) -> Option<&SignedTx> {
        self.latest().map(|latest| &latest.tx)
    }

    /// Whether the channel's process is up; otherwise it waits for its client to come back.
    pub fn is_alive(&self) -> bool {
        self.talk.alive
    }

    /// Whether a session with the peer is up.
    pub fn has_peer(&self) -> bool {
        self.talk.peer
    }

    /// Whether a client is attached.
    pub fn has_client(&self) -> bool {
        self.talk.client
    }

    /// When something last happened to the channel.
    pub fn last_heard(&self) -> Time {
        self.talk.heard
    }

    /// The initiator's and the responder's balance in the latest state.
    pub fn balances(&self) -> Option<[Coins; 2]> {
        let trees = &self.latest()?.trees;
        let balance = |account| trees.account(account).map(|account| account.balance);
        Some([balance(self.terms.initiator?)?, balance(self.terms.responder)?])
    }

    /// The transaction whose confirmations are counted: height of its generation, and how many key blocks must lie on top.
    pub fn counting(&self) -> Option<(Height, u64)> {
        let needed = |tx: &SignedTx| self.depth.confirmations(tx.tx().fee());
        match (&self.stand, &self.ceremony) {
            (Stand::Closed { tx, seen }, _) => Some((*seen, needed(tx))),
            (_, Some(Ceremony { stage: Stage::Confirming { seen: Some(seen), .. }, draft, .. })) => {
                Some((*seen, needed(&draft.tx)))
            }
            _ => None,
        }
    }

    /// Whether the channel wants to hear of every key block, because confirmations or the end of a lock period are awaited.
    pub fn awaits_depth(&self) -> bool {
        let confirming =
            matches!(&self.ceremony, Some(Ceremony { stage: Stage::Confirming { seen: Some(_), .. }, .. }));
        confirming
            || !self.posted.is_empty()
            // It may turn out to be impossible.
            || self.is_abandoned()
            || !self.assumed.is_empty()
            || matches!(self.stand, Stand::Closed { .. })
    }

    /// Whether the channel is not open yet and nobody attends to it.
    pub fn is_abandoned(&self) -> bool {
        self.stand == Stand::Opening && !self.talk.alive
    }

    /// Where the channel is in its life.
    pub fn place(&self) -> Place {
        match self.stand {
            Stand::Opening => Place::Opening,
            Stand::Open => Place::Open,
            Stand::Closing => Place::Closing,
            Stand::Closed { .. } => Place::Closed,
        }
    }

    /// What is under way, in a word for logs and dashboards.
    pub fn doing(&self) -> &'static str {
        match (&self.ceremony, self.talk.exchange) {
            (Some(ceremony), _) => ceremony.flow.row().name,
            (None, Exchange::None) if self.talk.alive => "idle",
            (None, Exchange::None) => "dormant",
            (None, Exchange::Meeting | Exchange::Offered | Exchange::Accepted) => "open",
            (None, Exchange::Returning | Exchange::Returned) => "reestablish",
            (None, Exchange::Leaving) => "leave",
        }
    }

    /// The channel as bytes for the store: text, so that an operator can read it.
    ///
    /// # Errors
    /// Cannot happen with the types of this crate; the error is the serializer's.
    pub fn to_stored(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = Vec::with_capacity(4096);
        serde_json::to_writer(&mut bytes, &StoredForm::of(self))?;
        Ok(bytes)
    }

    /// Reads what [`to_stored`](Self::to_stored) wrote; the channel is dormant.
    ///
    /// # Errors
    /// The bytes are not a channel of this version.
    pub fn from_stored(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let form: StoredForm<'_> = serde_json::from_slice(bytes)?;
        form.into_channel().map_err(<serde_json::Error as serde::de::Error>::custom)
    }

    pub(crate) fn me(&self) -> Option<AccountId> {
        self.terms.me()
    }

    pub(crate) fn peer(&self) -> Option<AccountId> {
        self.terms.party(self.terms.role.other())
    }

    /// The trees of the latest state, or those of round 1 while the channel opens.
    pub(crate) fn trees(&self) -> Option<&Trees> {
        match self.latest() {
            Some(latest) => Some(&latest.trees),
            None => {
                self.talk.initial.as_deref().or(self.ceremony.as_ref().map(|ceremony| &ceremony.draft.trees))
            }
        }
    }

    /// Whether a signature of this side under the create transaction may be out.
    pub(crate) fn is_committed(&self) -> bool {
        self.agreed.is_some() || !self.exposed.is_empty()
    }

    /// What this side signed and sent of this transaction, if the peer may still complete it.
    pub(crate) fn exposed_as(&self, tx: &SignedTx) -> Option<&Arc<Draft>> {
        self.exposed.iter().find(|exposed| exposed.tx.same_tx(tx))
    }

    /// What the client is being asked to sign, if it is stored already as something that may be out.
    pub(crate) fn pledge(&self) -> Option<&Arc<Draft>> {
        self.ceremony.as_ref().filter(|ceremony| ceremony.is_pledge()).map(|ceremony| &ceremony.draft)
    }

    /// What the peer may be able to complete after a restart from here.
    pub(crate) fn exposures(&self) -> Cow<'_, [Arc<Draft>]> {
        let Some(pledge) = self.pledge() else { return Cow::Borrowed(&self.exposed) };
        let others = self.exposed.iter().filter(|exposed| !exposed.tx.same_tx(&pledge.tx));
        Cow::Owned(others.chain([pledge]).cloned().collect())
    }

    /// Height of the generation that holds a transaction of the channel, as far as it was seen.
    pub(crate) fn height_of(&self, hash: &TxHash) -> Option<Height> {
        self.seen.iter().find(|seen| seen.hash == *hash)?.height
    }
}

mod tree_bytes {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use strait_encoding::text::{self, Prefix};
    use strait_ledger::Trees;

    pub fn serialize<S: Serializer>(trees: &Trees, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&text::encode(Prefix::StateTrees, &trees.encode()))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Trees, D::Error> {
        let form = String::deserialize(deserializer)?;
        let bytes = text::decode(Prefix::StateTrees, &form).map_err(D::Error::custom)?;
        Trees::decode(&bytes).map_err(D::Error::custom)
    }
}
