//! One side of a channel: a socket, a key, and the book that is checked before every signature.

mod contract;
mod drive;
mod query;

use std::collections::VecDeque;
use std::fmt::{self, Write};
use std::future::pending;
use std::pin::pin;

use futures_util::FutureExt;
use serde_json::Value;
use strait_encoding::hash::contract_id;
use strait_encoding::{AccountId, ChannelId, Coins, ContractId, FsmId, Round, Signature};
use strait_ledger::{SignedTx, TxKind, Update};
use tokio::sync::broadcast;

use crate::book::{Objection, Proposal, Review};
use crate::updates::Named;
use crate::{Ask, Book, ChannelIds, ClientError, Connection, Consent, OpenParams, Signer};
pub use contract::{ContractState, ForcedGas};
use drive::Progress;
pub use query::OffchainState;

/// How many notifications an [`Event`] receiver may be behind before it loses the oldest.
const EVENTS: usize = 256;

/// How many signed transactions are remembered that nobody has agreed to yet.
const DRAFTS: usize = 64;

/// One side of a channel.
///
/// It does one thing at a time: while a method waits for its own answer it also signs what the peer proposes, as the
/// [`Policy`](crate::Policy) says; between calls nothing is read, so a side that only waits must be in
/// [`serve`](Self::serve). A method's future should not be dropped half-way: whether a request was agreed to would then
/// be known only from [`book`](Self::book) after more frames were read.
pub struct Party {
    connection: Connection,
    signer: Signer,
    params: OpenParams,
    me: Named,
    peer: Option<Named>,
    book: Option<Book>,
    channel_text: Option<String>,
    fsm: Option<FsmId>,
    proposal: Option<Proposal>,
    /// Tells this party's requests apart.
    serial: u64,
    /// The request that was declined last; none where it was the peer's.
    declined: Option<u64>,
    /// What was signed and may still be agreed: the peer has it too, so it stays until a later round supersedes it.
    drafts: VecDeque<Draft>,
    latest: Option<SignedTx>,
    objection: Option<Objection>,
    last_event: String,
    is_open: bool,
    requests: u64,
    events: broadcast::Sender<Event>,
}

/// Something this party signed, and where it leads once the other has signed too.
struct Draft {
    ask: Ask,
    tx: SignedTx,
    mine: Signature,
    review: Review,
}

/// How a flow that this party began ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Both signed.
    Agreed {
        /// The round of the state.
        round: Round,
        /// The transaction with both signatures.
        state: SignedTx,
    },
    /// What this party posted alone is in a block.
    OnChain(SignedTx),
    /// The peer declined, or proposed something at the same time. Nothing changed.
    Conflict {
        /// Why: 2 for a race, 3 for a timeout, or the code that the peer's client declined with.
        code: u16,
        /// The same in words.
        message: String,
    },
    /// This party did not sign its own request: the policy declined, or a check failed. Nothing changed.
    Declined {
        /// The check that failed.
        objection: Option<Objection>,
    },
}

/// A notification, for whoever wants to watch.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Such as `channels.info`.
    pub method: String,
    /// Its data.
    pub data: Value,
}

impl Outcome {
    /// The round that was agreed on, if one was.
    pub fn round(&self) -> Option<Round> {
        if let Outcome::Agreed { round, .. } = self { Some(*round) } else { None }
    }

    /// The contract that this account made with the round, if the round was agreed on and made one.
    pub fn contract_of(&self, owner: AccountId) -> Option<ContractId> {
        self.round().map(|round| contract_id(owner, round.0))
    }
}

impl fmt::Debug for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Party").field("me", &self.me.text).field("book", &self.book).finish_non_exhaustive()
    }
}

impl Party {
    /// Opens a new channel and waits until both sides have it confirmed and report it open. `endpoint` is the address of
    /// the WebSocket interface, `ws://localhost:3014/channel`; `signer` a secret key, or a [`Signer`] for more. Both
    /// sides must be opening at the same time.
    ///
    /// # Errors
    /// The parameters are refused; the transaction to sign is not what `params` say; nothing comes in time.
    pub async fn open(
        endpoint: &str,
        params: &OpenParams,
        signer: impl Into<Signer>,
    ) -> Result<Self, ClientError> {
        let mut party = Self::connect(endpoint, &params.query(), params, signer.into()).await?;
        party.until_open().await?;
        Ok(party)
    }

    /// Comes back to a channel that was opened with the same `params`, and takes the latest state from the service.
    /// `initiator` of the parameters must be set.
    ///
    /// The service could show an older state that both had signed: whoever remembers the round should look at
    /// [`Book::round`].
    ///
    /// # Errors
    /// The ids are refused; the state is not signed by both, or its trees are others; nothing comes in time.
    pub async fn reconnect(
        endpoint: &str,
        params: &OpenParams,
        ids: ChannelIds,
        signer: impl Into<Signer>,
    ) -> Result<Self, ClientError> {
        let mut party = Self::connect(endpoint, &params.reconnect_query(&ids), params, signer.into()).await?;
        party.until_back(ids).await?;
        party.restore(ids.channel).await?;
        Ok(party)
    }

    /// As [`reconnect`](Self::reconnect), without waiting for the peer: for a party that was left alone, to close the channel.
    ///
    /// # Errors
    /// As there.
    pub async fn return_alone(
        endpoint: &str,
        params: &OpenParams,
        ids: ChannelIds,
        signer: impl Into<Signer>,
    ) -> Result<Self, ClientError> {
        let mut party = Self::connect(endpoint, &params.reconnect_query(&ids), params, signer.into()).await?;
        party.until_up().await?;
        party.restore(ids.channel).await?;
        Ok(party)
    }

    async fn connect(
        endpoint: &str,
        query: &str,
        params: &OpenParams,
        signer: Signer,
    ) -> Result<Self, ClientError> {
        let connection = Connection::connect(&format!("{endpoint}?{query}")).await?;
        let me = Named::new(signer.key.account());
        let parties = [params.initiator, Some(params.responder)];
        let peer = parties.into_iter().flatten().find(|id| *id != me.id).map(Named::new);
        Ok(Self {
            connection,
            signer,
            params: params.clone(),
            me,
            peer,
            book: None,
            channel_text: None,
            fsm: None,
            proposal: None,
            serial: 0,
            declined: None,
            drafts: VecDeque::new(),
            latest: None,
            objection: None,
            last_event: String::new(),
            is_open: false,
            requests: 0,
            events: broadcast::channel(EVENTS).0,
        })
    }

    /// This side's account.
    pub fn account(&self) -> AccountId {
        self.me.id
    }

    /// The other side's account; not known while a responder waits for whoever comes.
    pub fn peer(&self) -> Option<AccountId> {
        self.peer.as_ref().map(|peer| peer.id)
    }

    /// The channel, once this party has signed for it.
    pub fn channel(&self) -> Option<ChannelId> {
        self.book.as_ref().map(Book::channel)
    }

    /// What [`reconnect`](Self::reconnect) needs. The service gives a new secret when a channel is re-established.
    pub fn ids(&self) -> Option<ChannelIds> {
        Some(ChannelIds { channel: self.channel()?, fsm: self.fsm? })
    }

    /// What this party believes: rounds and balances that both have signed.
    pub fn book(&self) -> Option<&Book> {
        self.book.as_ref()
    }

    /// The latest transaction that both have signed: worth as much as the money in the channel.
    pub fn latest(&self) -> Option<&SignedTx> {
        self.latest.as_ref()
    }

    /// Takes part in contracts of the peer as this says from now on; what was agreed to before counts no more. For what is known
    /// only later, such as the id of a contract.
    pub fn set_consent(&mut self, consent: Consent) {
        self.signer.consent = consent;
    }

    /// Why this party declined last, where a check failed: what it asked for itself, or what the peer proposed.
    pub fn last_objection(&self) -> Option<&Objection> {
        self.objection.as_ref()
    }

    /// A receiver of all notifications from now on. One that falls far behind loses the oldest, and is told so.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Pays the peer.
    ///
    /// # Errors
    /// As [`transfer`](Self::transfer).
    pub async fn pay(&mut self, amount: Coins, meta: &[&str]) -> Result<Outcome, ClientError> {
        let to = self.peer().ok_or(ClientError::Misuse("there is no channel to pay in yet"))?;
        self.transfer(self.me.id, to, amount, meta).await
    }

    /// Moves coins between the parties, in either direction; the one who pays must agree too. `meta` are texts for the
    /// peer's client that change nothing.
    ///
    /// # Errors
    /// The request is refused, for example for lack of coins; a check of an agreed state fails; nothing comes in time.
    pub async fn transfer(
        &mut self,
        from: AccountId,
        to: AccountId,
        amount: Coins,
        meta: &[&str],
    ) -> Result<Outcome, ClientError> {
        let mut updates = vec![Update::Transfer { from, to, amount }];
        updates.extend(meta.iter().map(|text| Update::Meta { data: text.as_bytes().to_vec() }));
        let mut params =
            format!(r#""from":"{}","to":"{}","amount":{amount}"#, self.text(from), self.text(to));
        if !meta.is_empty() {
            // Writing to a string cannot fail.
            let _ = write!(params, r#","meta":{}"#, Value::from(meta));
        }
        self.begin("channels.update.new", &params, Proposal::Round(updates)).await
    }

    /// Adds coins of this party's account on chain to the channel, and waits for the confirmations.
    ///
    /// # Errors
    /// As [`transfer`](Self::transfer).
    pub async fn deposit(&mut self, amount: Coins) -> Result<Outcome, ClientError> {
        let update = Update::Deposit { from: self.me.id, amount };
        self.begin("channels.deposit", &format!(r#""amount":{amount}"#), Proposal::Round(vec![update])).await
    }

    /// Takes coins out of the channel into this party's account on chain, and waits for the confirmations.
    ///
    /// # Errors
    /// As [`transfer`](Self::transfer).
    pub async fn withdraw(&mut self, amount: Coins) -> Result<Outcome, ClientError> {
        let update = Update::Withdraw { to: self.me.id, amount };
        self.begin("channels.withdraw", &format!(r#""amount":{amount}"#), Proposal::Round(vec![update])).await
    }

    /// Closes the channel with the peer and waits until the chain has confirmed it. The party is of no use afterwards
    /// unless the outcome is a conflict or a refusal.
    ///
    /// # Errors
    /// As [`transfer`](Self::transfer).
    pub async fn shutdown(&mut self) -> Result<Outcome, ClientError> {
        self.begin("channels.shutdown", "", Proposal::Shutdown).await
    }

    /// Closes the channel without the peer, with the latest state that both signed, and waits until that is on chain. From then on
    /// the peer has the lock period to show a later state; afterwards [`settle`](Self::settle) pays both.
    ///
    /// # Errors
    /// As [`transfer`](Self::transfer).
    pub async fn close_solo(&mut self) -> Result<Outcome, ClientError> {
        self.begin("channels.close_solo", "", Proposal::Solo(TxKind::ChannelCloseSolo)).await
    }

    /// Answers a solo close over an older state with the latest one. [`serve`](Self::serve) does so by itself, unless
    /// [`Signer::guard`] says otherwise.
    ///
    /// # Errors
    /// As [`transfer`](Self::transfer).
    pub async fn slash(&mut self) -> Result<Outcome, ClientError> {
        self.begin("channels.slash", "", Proposal::Solo(TxKind::ChannelSlash)).await
    }

    /// Has both paid after a solo close: the service waits for the end of the lock period, this for the transaction in a block.
    /// [`Signer::patience`] must be longer than what is left of the lock period.
    ///
    /// # Errors
    /// As [`transfer`](Self::transfer).
    pub async fn settle(&mut self) -> Result<Outcome, ClientError> {
        self.begin("channels.settle", "", Proposal::Solo(TxKind::ChannelSettle)).await
    }

    /// Makes the latest state known to the chain, so that no older one can be shown any more.
    ///
    /// # Errors
    /// As [`transfer`](Self::transfer).
    pub async fn snapshot(&mut self) -> Result<Outcome, ClientError> {
        self.begin("channels.snapshot_solo", "", Proposal::Solo(TxKind::ChannelSnapshotSolo)).await
    }

    /// Leaves the channel open and goes; both sides can [`reconnect`](Self::reconnect). Gives the latest state.
    ///
    /// # Errors
    /// The request is refused; nothing comes in time.
    pub async fn leave(mut self) -> Result<SignedTx, ClientError> {
        self.send_request("channels.leave", "").await?;
        let mut state = None;
        loop {
            match self.step("channels.leave").await?.1 {
                Progress::Left(left) => state = Some(left),
                Progress::Rejected(rejection) => return Err(ClientError::Rejected(rejection)),
                Progress::Died => break,
                _ => {}
            }
        }
        state.ok_or_else(|| self.ended("channels.leave"))
    }

    /// Signs what the peer proposes, as the policy says, until the channel ends; gives the last event before its end,
    /// such as `closed_confirmed` or `timeout`. Keeps the connection alive. A dropped future may lose a signature on its
    /// way: to stop, use [`serve_until`](Self::serve_until).
    ///
    /// # Errors
    /// The socket breaks, or a check of an agreed state fails.
    pub async fn serve(&mut self) -> Result<String, ClientError> {
        self.serve_until(pending()).await
    }

    /// As [`serve`](Self::serve), but returns as well when `stop` is ready, and between two frames only.
    ///
    /// # Errors
    /// As there.
    pub async fn serve_until(&mut self, stop: impl Future<Output = ()>) -> Result<String, ClientError> {
        let mut stop = pin!(stop);
        loop {
            let frame = tokio::select! {
                biased;
                () = &mut stop => return Ok(self.last_event.clone()),
                frame = self.read(None) => frame?,
            };
            if let Progress::Died = self.handle(frame).await?.1 {
                return Ok(self.last_event.clone());
            }
        }
    }

    /// Closes the socket; the service keeps this side of the channel (`docs/protocol/ws_api` §9).
    ///
    /// # Errors
    /// The closing handshake failed.
    pub async fn disconnect(self) -> Result<(), ClientError> {
        self.connection.close().await
    }

    async fn begin(
        &mut self,
        method: &str,
        params: &str,
        proposal: Proposal,
    ) -> Result<Outcome, ClientError> {
        if self.book.is_none() {
            return Err(ClientError::Misuse("the channel is not open"));
        }
        // What the service said before this request is not about it.
        while let Some(frame) = self.connection.next().now_or_never() {
            let code = self.connection.close_code();
            self.handle(frame?.ok_or(ClientError::Closed { code })?).await?;
        }
        self.serial += 1;
        self.proposal = Some(proposal);
        self.objection = None;
        self.send_request(method, params).await?;
        let outcome = self.agreement(method).await;
        // However it ended: what was not signed by now is not signed later.
        self.proposal = None;
        outcome
    }

    async fn agreement(&mut self, method: &str) -> Result<Outcome, ClientError> {
        loop {
            match self.step("agreement").await?.1 {
                Progress::Agreed { ask, state } if ask.is_own() => {
                    let round = self.book.as_ref().map_or(Round(0), Book::round);
                    return Ok(Outcome::Agreed { round, state });
                }
                Progress::OnChain(tx) => return Ok(Outcome::OnChain(tx)),
                Progress::Conflict { code, message } => return Ok(Outcome::Conflict { code, message }),
                Progress::Aborted { request } if request == Some(self.serial) => {
                    return Ok(Outcome::Declined { objection: self.objection.take() });
                }
                // An acknowledgement that came too late concerns another flow.
                Progress::Rejected(rejection) if !rejection.method.ends_with("_ack") => {
                    return Err(ClientError::Rejected(rejection));
                }
                Progress::Died => {
                    return self.closed_by(method).ok_or_else(|| self.ended("agreement"));
                }
                _ => {}
            }
        }
    }

    fn remember(&mut self, draft: Draft) {
        if self.drafts.len() == DRAFTS {
            self.drafts.pop_front();
        }
        self.drafts.push_back(draft);
    }

    /// The closing transaction, where the channel died of it.
    fn closed_by(&self, method: &str) -> Option<Outcome> {
        let both = |draft: &&Draft| draft.ask == Ask::Shutdown && draft.tx.signatures().len() == 2;
        let draft = self.drafts.iter().rfind(both).filter(|_| method == "channels.shutdown")?;
        let done = self.last_event == "closed_confirmed";
        done.then(|| Outcome::Agreed { round: draft.review.round, state: draft.tx.clone() })
    }

    fn ended(&self, waiting_for: &'static str) -> ClientError {
        ClientError::Ended { waiting_for, event: self.last_event.clone() }
    }

    fn text(&self, id: AccountId) -> String {
        let known = [Some(&self.me), self.peer.as_ref()];
        known
            .into_iter()
            .flatten()
            .find(|named| named.id == id)
            .map_or_else(|| id.to_string(), |named| named.text.clone())
    }
}
