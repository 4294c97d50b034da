//! Reading frames and answering them.

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use strait_encoding::text::{self, Prefix};
use strait_encoding::{FsmId, Round, verify};
use strait_ledger::{ForceProgressTx, SignatureCheck, SignedTx, Tx, TxKind, Update};
use tokio::time::{Instant, timeout_at};

use super::{Draft, Event, Party};
use crate::book::{Objection, Proposal, Review};
use crate::error::Rejection;
use crate::policy::{NOT_AGREED, VALIDATION};
use crate::updates::{self, Named};
use crate::{Ask, Book, ChannelIds, ClientError, Frame, Notification, SignRequest, Verdict, View};

/// A service drops clients that send nothing for a minute (`docs/protocol/ws_api` §1).
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// What a frame meant.
#[derive(Debug)]
pub(super) enum Progress {
    /// Nothing that anybody waits for.
    Quiet,
    /// A reply to a request with an id; it is in the frame.
    Answered,
    /// A refusal of a request without an id, or of the query.
    Rejected(Rejection),
    /// A state is signed by both, or was before.
    Agreed { ask: Ask, state: SignedTx },
    /// What this party posted alone is in a block.
    OnChain(SignedTx),
    /// A flow fell back to the agreed state.
    Conflict { code: u16, message: String },
    /// This party's refusal to sign was taken; of which of its own requests.
    Aborted { request: Option<u64> },
    /// The service side exists; on coming back, or at the start.
    Up,
    /// The channel is left.
    Left(SignedTx),
    /// The channel's service side ended.
    Died,
}

#[derive(Deserialize)]
struct ToSign<'a> {
    #[serde(borrow)]
    signed_tx: Cow<'a, str>,
    #[serde(borrow)]
    updates: &'a RawValue,
}

#[derive(Deserialize)]
struct State<'a> {
    #[serde(borrow)]
    state: Cow<'a, str>,
}

#[derive(Deserialize)]
struct OnChain<'a> {
    #[serde(borrow)]
    tx: Cow<'a, str>,
    #[serde(borrow)]
    info: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Happened<'a> {
    #[serde(borrow)]
    event: Cow<'a, str>,
    fsm_id: Option<String>,
}

#[derive(Deserialize)]
struct Conflicting {
    error_code: u16,
    error_msg: String,
}

impl Party {
    pub(super) async fn until_open(&mut self) -> Result<(), ClientError> {
        loop {
            match self.step("open").await?.1 {
                Progress::Agreed { .. } if self.is_open => return Ok(()),
                Progress::Rejected(rejection) => return Err(ClientError::Rejected(rejection)),
                Progress::Died => return Err(self.ended("open")),
                _ => {}
            }
        }
    }

    /// Until the service has let this client back in; where the service side had to be re-established, with a new
    /// secret, until the peer is back as well.
    pub(super) async fn until_back(&mut self, ids: ChannelIds) -> Result<(), ClientError> {
        loop {
            match self.step("fsm_up").await?.1 {
                Progress::Up if self.fsm == Some(ids.fsm) => return Ok(()),
                Progress::Agreed { .. } if self.is_open => return Ok(()),
                Progress::Rejected(rejection) => return Err(ClientError::Rejected(rejection)),
                Progress::Died => return Err(self.ended("reconnection")),
                _ => {}
            }
        }
    }

    /// Until the service has let this client back in, with the peer or without.
    pub(super) async fn until_up(&mut self) -> Result<(), ClientError> {
        loop {
            match self.step("fsm_up").await?.1 {
                Progress::Up => return Ok(()),
                Progress::Rejected(rejection) => return Err(ClientError::Rejected(rejection)),
                Progress::Died => return Err(self.ended("reconnection")),
                _ => {}
            }
        }
    }

    /// Sends a request without an id: only a refusal is answered, and says which method it is about.
    pub(super) async fn send_request(&mut self, method: &str, params: &str) -> Result<(), ClientError> {
        self.connection
            .send(format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{{{params}}}}}"#))
            .await
    }

    /// Reads and handles one frame, waiting no longer than the party's patience.
    pub(super) async fn step(&mut self, waiting_for: &'static str) -> Result<(Frame, Progress), ClientError> {
        let patience = self.signer.patience;
        let frame = self.read(Some((Instant::now() + patience, waiting_for))).await?;
        self.handle(frame).await
    }

    /// The next frame. Nothing is lost when the future is dropped.
    pub(super) async fn read(
        &mut self,
        limit: Option<(Instant, &'static str)>,
    ) -> Result<Frame, ClientError> {
        loop {
            let now = Instant::now();
            if let Some((deadline, waiting_for)) = limit
                && deadline <= now
            {
                return Err(ClientError::Timeout { waiting_for, seconds: self.signer.patience.as_secs() });
            }
            let wake = limit.map_or(now + KEEP_ALIVE, |(deadline, _)| deadline.min(now + KEEP_ALIVE));
            match timeout_at(wake, self.connection.next()).await {
                Ok(frame) => {
                    let code = self.connection.close_code();
                    return frame?.ok_or(ClientError::Closed { code });
                }
                Err(_) => self.connection.ping().await?,
            }
        }
    }

    pub(super) async fn handle(&mut self, frame: Frame) -> Result<(Frame, Progress), ClientError> {
        let progress = match frame.view()? {
            View::Reply(reply) if reply.id.is_some() => Progress::Answered,
            View::Reply(reply) => match reply.outcome {
                Ok(_) => Progress::Quiet,
                Err(error) => {
                    let rejection = Rejection::parse(error).map_err(|error| broken(&error, &frame))?;
                    self.drop_defence(&rejection);
                    Progress::Rejected(rejection)
                }
            },
            View::Notification(notification) => self.notice(&notification, &frame).await?,
            View::Batch(_) => Progress::Quiet,
        };
        Ok((frame, progress))
    }

    async fn notice(&mut self, seen: &Notification<'_>, frame: &Frame) -> Result<Progress, ClientError> {
        if let (Some(found), Some(expected)) = (&seen.channel_id, &self.channel_text)
            && found != expected
        {
            let (found, expected) = (found.to_string(), expected.clone());
            return Err(Objection::Field { field: "channel_id", found, expected }.into());
        }
        let progress = match &*seen.method {
            "channels.update" => self.reported(&parse::<State<'_>>(seen.data, frame)?.state, frame)?,
            "channels.info" => self.happened(&parse(seen.data, frame)?)?,
            "channels.conflict" => {
                let Conflicting { error_code, error_msg } = parse(seen.data, frame)?;
                Progress::Conflict { code: error_code, message: error_msg }
            }
            "channels.on_chain_tx" => {
                let OnChain { tx, info } = parse(seen.data, frame)?;
                let tx = decode(&tx, frame)?;
                match &*info {
                    "can_slash" => self.defend("channels.slash", TxKind::ChannelSlash).await?,
                    "can_snapshot" => {
                        self.defend("channels.snapshot_solo", TxKind::ChannelSnapshotSolo).await?
                    }
                    "consumed_forced_progress" => self.forced(tx)?,
                    _ => self.seen_on_chain(tx)?,
                }
            }
            "channels.leave" => Progress::Left(decode(&parse::<State<'_>>(seen.data, frame)?.state, frame)?),
            method => {
                if let Some(tag) = method.strip_prefix("channels.sign.") {
                    self.answer(tag, &parse(seen.data, frame)?, frame).await?;
                }
                Progress::Quiet
            }
        };
        if self.events.receiver_count() > 0 {
            let data = parse(seen.data, frame)?;
            // Nobody listening any more is no fault.
            let _ = self.events.send(Event { method: seen.method.to_string(), data });
        }
        Ok(progress)
    }

    fn happened(&mut self, happened: &Happened<'_>) -> Result<Progress, ClientError> {
        Ok(match &*happened.event {
            "died" => Progress::Died,
            "aborted_update" => Progress::Aborted { request: self.declined.take() },
            event => {
                self.last_event.clear();
                self.last_event.push_str(event);
                self.is_open |= event == "open";
                match &happened.fsm_id {
                    Some(id) if event == "fsm_up" => {
                        self.fsm = Some(id.parse::<FsmId>()?);
                        Progress::Up
                    }
                    _ => Progress::Quiet,
                }
            }
        })
    }

    async fn answer(&mut self, tag: &str, asked: &ToSign<'_>, frame: &Frame) -> Result<(), ClientError> {
        let (ask, method) = Ask::of_tag(tag).ok_or_else(|| broken(&"an unknown request to sign", frame))?;
        let tx = decode(&asked.signed_tx, frame)?;
        let updates = self.read_updates(asked.updates.get(), frame)?;
        let reviewed = match ask {
            Ask::Create | Ask::CreateAck => Ok(self.review_create(ask, &tx)?),
            _ => self.review(ask, &tx, &updates),
        };
        let verdict = match &reviewed {
            Ok(review) => {
                let request = SignRequest { ask, tx: &tx, updates: &updates, costs: review.costs };
                self.signer.policy.judge(&request)
            }
            Err(Objection::NoConsent(_)) => Verdict::Decline(NOT_AGREED),
            Err(_) => Verdict::Decline(VALIDATION),
        };
        let request = (ask.is_own() && self.proposal.is_some()).then_some(self.serial);
        match (verdict, reviewed) {
            (Verdict::Decline(_), _) if matches!(ask, Ask::Create | Ask::CreateAck) => {
                Err(ClientError::Misuse("the policy does not open this channel"))
            }
            (Verdict::Sign, Ok(review)) => {
                let mine = self.signer.key.sign(&self.signer.network, tx.unsigned_bytes(), self.signer.form);
                let tx = tx.with_signature(mine);
                let params = format!(r#""signed_tx":"{}""#, tx.to_text());
                self.remember(Draft { ask, tx, mine, review });
                self.proposal = self.proposal.take().filter(|_| !ask.is_own());
                self.send_request(method, &params).await
            }
            (Verdict::Decline(code), reviewed) => {
                self.objection = reviewed.err();
                self.declined = request;
                self.send_request(method, &format!(r#""error":{code}"#)).await
            }
            (Verdict::Sign, Err(objection)) => Err(objection.into()),
        }
    }

    /// The opening transaction makes the book; it cannot be declined, only left unsigned.
    fn review_create(&mut self, ask: Ask, tx: &SignedTx) -> Result<Review, Objection> {
        let Tx::ChannelCreate(create) = tx.tx() else {
            return Err(Objection::Kind { ask, found: tx.kind().event_name() });
        };
        if self.book.is_some() {
            return Err(Objection::Unasked(ask));
        }
        let book = Book::open(create, &self.params, self.me.id, self.signer.rules())?;
        let peer = book.parties().into_iter().find(|id| *id != self.me.id);
        self.peer = peer.map(Named::new);
        self.channel_text = Some(book.channel().to_string());
        let review = book.as_review();
        self.book = Some(book);
        Ok(review)
    }

    fn review(&mut self, ask: Ask, tx: &SignedTx, updates: &[Update]) -> Result<Review, Objection> {
        let book = self.book.as_ref().ok_or(Objection::Unasked(ask))?;
        if !ask.is_own() {
            self.signer.consent.judge(book.trees(), updates)?;
        }
        book.review(ask, tx.tx(), updates, self.proposal.as_ref())
    }

    fn read_updates(&self, json: &str, frame: &Frame) -> Result<Vec<Update>, ClientError> {
        let peer = self.peer.as_ref().unwrap_or(&self.me);
        updates::parse(json, [&self.me, peer]).map_err(|error| broken(&error, frame))
    }

    /// A mutual close never becomes a state of the channel: it is seen with both signatures only on its way to the chain.
    fn seen_on_chain(&mut self, tx: SignedTx) -> Result<Progress, ClientError> {
        let Some(place) = self.drafts.iter().position(|draft| draft.tx.same_tx(&tx)) else {
            return Ok(Progress::Quiet);
        };
        match self.drafts[place].ask {
            Ask::Shutdown | Ask::ShutdownAck => {
                check_signatures(&tx, &self.drafts[place], self.peer.as_ref(), &self.signer)?;
                self.drafts[place].tx = tx;
                Ok(Progress::Quiet)
            }
            // Whether it became the state of the channel is told in another way.
            Ask::Solo if matches!(tx.tx(), Tx::ChannelForceProgress(_)) => Ok(Progress::Quiet),
            Ask::Solo => {
                self.drafts.remove(place);
                Ok(Progress::OnChain(tx))
            }
            _ => Ok(Progress::Quiet),
        }
    }

    /// Somebody closes the channel with an older state than the latest, or forces a call on one: that is answered, unless this
    /// party is busy with a request of its own or was told not to.
    async fn defend(&mut self, method: &str, answer: TxKind) -> Result<Progress, ClientError> {
        if self.signer.guard && self.proposal.is_none() {
            self.serial += 1;
            self.proposal = Some(Proposal::Solo(answer));
            self.send_request(method, "").await?;
        }
        Ok(Progress::Quiet)
    }

    /// A defence that the service does not take must not stand in the way of the next one.
    fn drop_defence(&mut self, rejection: &Rejection) {
        let refused = match &*rejection.method {
            "channels.slash" => TxKind::ChannelSlash,
            "channels.snapshot_solo" => TxKind::ChannelSnapshotSolo,
            _ => return,
        };
        self.proposal = self.proposal.take().filter(|proposal| *proposal != Proposal::Solo(refused));
    }

    /// A forced call became the state of the channel: this party's, or the peer's, which it then had no say in.
    fn forced(&mut self, tx: SignedTx) -> Result<Progress, ClientError> {
        if self.latest.as_ref().is_some_and(|latest| latest.same_tx(&tx)) {
            return Ok(Progress::Quiet);
        }
        let Tx::ChannelForceProgress(call) = tx.tx() else {
            return Err(Objection::Kind { ask: Ask::Solo, found: tx.kind().event_name() }.into());
        };
        let review = self.review_consumed(call, &tx)?;
        let is_own = call.from_id == self.me.id;
        // A state of the same round that both sign takes the place of a forced one.
        self.drafts.retain(|draft| draft.ask != Ask::Solo && draft.review.round >= review.round);
        if let Some(book) = &mut self.book {
            book.adopt(review);
        }
        self.latest = Some(tx.clone());
        Ok(if is_own { Progress::OnChain(tx) } else { Progress::Quiet })
    }

    fn review_consumed(&self, call: &ForceProgressTx, tx: &SignedTx) -> Result<Review, Objection> {
        let book = self.book.as_ref().ok_or(Objection::Unasked(Ask::Solo))?;
        if !book.parties().contains(&call.from_id) {
            return Err(Objection::ForeignUpdates(Ask::Solo));
        }
        tx.verify(&self.signer.network, &[call.from_id])?;
        book.review_forced(call)
    }

    /// A state that the service says both have signed.
    fn reported(&mut self, state: &str, frame: &Frame) -> Result<Progress, ClientError> {
        let state = decode(state, frame)?;
        let Some(book) = &mut self.book else { return Ok(Progress::Agreed { ask: Ask::Create, state }) };
        if let Tx::ChannelForceProgress(_) = state.tx() {
            return self.forced(state);
        }
        if let Some(place) = self.drafts.iter().rposition(|draft| draft.tx.same_tx(&state)) {
            if self.signer.verify_states {
                check_signatures(&state, &self.drafts[place], self.peer.as_ref(), &self.signer)?;
            }
            let Draft { ask, review, .. } =
                self.drafts.swap_remove_back(place).expect("its place was just found");
            self.drafts.clear();
            book.adopt(review);
            self.latest = Some(state.clone());
            return Ok(Progress::Agreed { ask, state });
        }
        if self.latest.as_ref().is_some_and(|latest| latest.same_tx(&state)) {
            return Ok(Progress::Quiet);
        }
        let found = state.tx().agreed_state().map_or(Round(0), |(round, _)| round);
        Err(Objection::UnknownState { found, known: book.round() }.into())
    }
}

/// Two signatures: the one this party made, and one of the peer.
fn check_signatures(
    state: &SignedTx,
    draft: &Draft,
    peer: Option<&Named>,
    signer: &crate::Signer,
) -> Result<(), Objection> {
    let others: Vec<_> = state.signatures().iter().filter(|signature| **signature != draft.mine).collect();
    if others.len() == state.signatures().len() {
        return Err(SignatureCheck::Missing(signer.key.account()).into());
    }
    let Some(peer) = peer else { return Err(SignatureCheck::LeftOver(others.len()).into()) };
    let forms = [strait_encoding::SignedForm::Hash, strait_encoding::SignedForm::Plain];
    match others[..] {
        [theirs] => verify(peer.id, theirs, &signer.network, state.unsigned_bytes(), &forms)
            .map(|_| ())
            .ok_or_else(|| SignatureCheck::Missing(peer.id).into()),
        [] => Err(SignatureCheck::Missing(peer.id).into()),
        _ => Err(SignatureCheck::LeftOver(others.len() - 1).into()),
    }
}

pub(super) fn decode(form: &str, frame: &Frame) -> Result<SignedTx, ClientError> {
    let bytes = text::decode(Prefix::Transaction, form).map_err(|error| broken(&error, frame))?;
    SignedTx::decode(&bytes).map_err(|error| broken(&error, frame))
}

pub(super) fn parse<'a, T: Deserialize<'a>>(json: &'a str, frame: &Frame) -> Result<T, ClientError> {
    serde_json::from_str(json).map_err(|error| broken(&error, frame))
}

pub(super) fn broken(what: &dyn std::fmt::Display, frame: &Frame) -> ClientError {
    ClientError::Frame { what: what.to_string(), frame: frame.text().chars().take(200).collect() }
}
