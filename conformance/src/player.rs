//! Plays one recorded session with two live clients.

mod off_stage;

use std::time::Duration;

use futures_util::FutureExt;
use serde_json::Value;
use strait_client::{ClientError, Connection, Frame, Role};
use strait_encoding::text::{self, Prefix};
use strait_encoding::{Coins, SecretKey};
use strait_ledger::SignedTx;
use thiserror::Error;
use tokio::time::{Instant, timeout, timeout_at};

use crate::compare::{Difference, compare};
use crate::dictionary::{Dictionary, Parties};
use crate::differences;
use crate::generalized::{Authentication, wrapped};
use crate::order::{Inbox, OrderError};
use crate::plan::{Plan, is_stop};
use crate::service::{Chain, Endpoint, Service, ServiceError};
use crate::session::{Act, Session, SessionError, label};
use crate::url::{self, Addresses};

/// What each party is given: enough for every recorded amount and its fees, and for the gas of contracts that authenticate.
const FUNDS: Coins = Coins(100_000_000_000_000_000);

/// How the service closes a socket when it means to (`docs/protocol/ws_api` §1).
const NORMAL: u16 = 1000;

/// Why a session failed.
#[derive(Debug, Error)]
pub enum Failure {
    /// The recording cannot be played.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The parties could not be given coins, or the chain did not do what happened off stage.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The service did something else than in the recording.
    #[error("step {step} ({}): {fault}", actor.as_str())]
    Step {
        /// The number of the step, from 0.
        step: usize,
        /// Whose step it is.
        actor: Role,
        /// What was different.
        fault: Fault,
    },
}

/// What the service did otherwise than in the recording, or what kept a step from being played.
#[derive(Debug, Error)]
pub enum Fault {
    /// A message differs.
    #[error("`{message}`: {difference}")]
    Differs {
        /// The recorded message.
        message: String,
        /// Where it differs.
        difference: Difference,
    },
    /// A message came that may not come, or not yet.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// A message did not come.
    #[error("no `{expected}` within {} ms", limit.as_millis())]
    Missing {
        /// The recorded message, or what else was waited for.
        expected: String,
        /// How long was waited.
        limit: Duration,
    },
    /// The service closed the socket.
    #[error("the socket was closed while `{expected}` was still to come")]
    Closed {
        /// The recorded message.
        expected: String,
    },
    /// The service closed in another way than it should.
    #[error("the service closed the socket with {found:?}, expected code {NORMAL}")]
    CloseCode {
        /// The code that came, where one came.
        found: Option<u16>,
    },
    /// The socket broke, or could not be opened; or no JSON came over it.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// There is no free port.
    #[error("no free port: {0}")]
    Port(#[from] std::io::Error),
    /// The client of the recording signs a transaction that the service has not shown.
    #[error("nothing to sign: no transaction of this session stands for the recorded {0}")]
    NothingToSign(&'static str),
    /// What happened off stage cannot be done: the service made something else of the channel before.
    #[error("{0}")]
    OffStage(String),
    /// The recorded message to send makes no sense.
    #[error("the recorded message cannot be sent: {0}")]
    Unsendable(String),
}

/// Plays a session against a service, with fresh accounts. Every message may take as long as `limit`.
///
/// # Errors
/// The first thing that is otherwise than in the recording.
pub async fn play(
    service: &impl Service,
    endpoint: &Endpoint,
    session: &Session,
    limit: Duration,
) -> Result<(), Failure> {
    let plan = Plan::of(session)?;
    let today = differences::as_today(session, &plan);
    let accounts = url::accounts(session)?;
    let keys = [fresh_key(), fresh_key()];
    let chain = service.chain().await?;
    for key in &keys {
        chain.fund(key.account(), FUNDS).await?;
    }
    let sent = sent_txs(session);
    for (account, authentication) in Authentication::all(&sent) {
        let side = accounts.iter().position(|party| *party == Some(account));
        if let Some(key) = side.and_then(|side| keys.get(side)) {
            off_stage::attach(chain, key, authentication, &endpoint.network).await?;
        }
    }
    let recorded = Parties::of_recording(accounts, &sent);
    let fresh = keys.each_ref().map(|key| Some(key.account()));
    let live = Parties { accounts: fresh, network: endpoint.network.clone() };
    let creates_are_old = differences::creates_are_old(&session.name);
    let play = Play {
        session: &today,
        plan: &plan,
        endpoint,
        chain,
        dictionary: Dictionary::new(recorded, live, creates_are_old),
        addresses: Addresses::default(),
        keys,
        sockets: plan.sockets.iter().map(|_| None).collect(),
        limit,
    };
    play.all().await
}

fn fresh_key() -> SecretKey {
    SecretKey::from_seed(rand::random())
}

/// What the clients of a recording signed.
fn sent_txs(session: &Session) -> Vec<SignedTx> {
    let sent = session.steps.iter().filter_map(|step| match &step.act {
        Act::Send(message) => message["params"]["signed_tx"].as_str(),
        _ => None,
    });
    sent.filter_map(|text| read_tx(text).ok()).collect()
}

fn read_tx(text: &str) -> Result<SignedTx, String> {
    let bytes = text::decode(Prefix::Transaction, text).map_err(|error| error.to_string())?;
    SignedTx::decode(&bytes).map_err(|error| error.to_string())
}

struct Play<'a, C> {
    session: &'a Session,
    plan: &'a Plan,
    endpoint: &'a Endpoint,
    chain: &'a C,
    dictionary: Dictionary,
    addresses: Addresses,
    keys: [SecretKey; 2],
    sockets: Vec<Option<Socket<'a>>>,
    limit: Duration,
}

struct Socket<'a> {
    connection: Connection,
    inbox: Inbox<'a>,
}

impl<'a, C: Chain> Play<'a, C> {
    async fn all(mut self) -> Result<(), Failure> {
        for (number, step) in self.session.steps.iter().enumerate() {
            let socket = self.plan.socket_of[number];
            self.off_stage(number).await?;
            match &step.act {
                Act::Open(url) => self.open(socket, url).await.map_err(|fault| self.at(number, fault))?,
                Act::Send(message) => {
                    self.hold_back(number).await?;
                    self.send(socket, message).await.map_err(|fault| self.at(number, fault))?;
                }
                Act::Receive(message) => self.receive(number, socket, message).await?,
                Act::Close if self.is_superseded(socket) => {}
                Act::Close => self.close(number, socket).await?,
            }
        }
        // A recording that stops while sockets are open has seen all that came.
        let last = self.session.steps.len().saturating_sub(1);
        for socket in 0..self.sockets.len() {
            self.close(last, socket).await?;
        }
        Ok(())
    }

    async fn open(&mut self, socket: usize, recorded: &str) -> Result<(), Fault> {
        let url = self.addresses.live(recorded, &self.endpoint.ws_url, &self.dictionary)?;
        let parameters = url::parameters(recorded);
        self.dictionary.ask(parameters.iter().map(|(name, value)| (&**name, value.clone())));
        let missing = Fault::Missing { expected: "WebSocket".to_owned(), limit: self.limit };
        let connection = timeout(self.limit, Connection::connect(&url)).await.map_err(|_| missing)??;
        let session = self.session;
        let sent: Vec<_> = self.plan.sockets[socket]
            .sent
            .iter()
            .filter_map(|step| match &session.steps[*step].act {
                Act::Send(message) => Some((*step, message)),
                _ => None,
            })
            .collect();
        let received =
            self.plan.sockets[socket].received.iter().filter_map(|step| match &session.steps[*step].act {
                Act::Receive(message) => Some((*step, message)),
                _ => None,
            });
        let inbox = Inbox::new(received, &sent, &self.plan.racing);
        self.sockets[socket] = Some(Socket { connection, inbox });
        Ok(())
    }

    /// Waits for what must have come before this step is played, though the recording has it later.
    async fn hold_back(&mut self, step: usize) -> Result<(), Failure> {
        let Some(earlier) = self.plan.held_back_for.get(&step) else { return Ok(()) };
        match &self.session.steps[*earlier].act {
            Act::Receive(message) => self.receive(*earlier, self.plan.socket_of[*earlier], message).await,
            _ => Ok(()),
        }
    }

    async fn send(&mut self, socket: usize, recorded: &Value) -> Result<(), Fault> {
        if let Some(params) = recorded["params"].as_object() {
            self.dictionary.ask(params.iter().map(|(name, value)| (&**name, value.to_string())));
        }
        let live = self.live(recorded)?;
        let may_fail = is_stop(recorded) && self.plan.racing.contains(&recorded["id"].to_string());
        let Some(Socket { connection, .. }) = &mut self.sockets[socket] else { return Ok(()) };
        match connection.send_value(&live).await {
            Err(_) if may_fail => Ok(()),
            sent => Ok(sent?),
        }
    }

    /// Whether it only waits for its end, its client having opened another one since. Such a socket is of another channel, which ends when the chain
    /// says so: waiting for that would hold up the new channel, whose own confirmations do not wait. What must still come
    /// is asked for at the end of the session.
    fn is_superseded(&self, socket: usize) -> bool {
        let role = self.plan.sockets[socket].role;
        let newer = (socket + 1..self.sockets.len()).filter(|newer| self.sockets[*newer].is_some());
        self.plan.sockets[socket].ended_by_service
            && newer.into_iter().any(|newer| self.plan.sockets[newer].role == role)
    }

    /// Waits until the message of a step has come. Whatever else comes meanwhile is compared as well.
    async fn receive(&mut self, step: usize, socket: usize, recorded: &Value) -> Result<(), Failure> {
        if self.is_superseded(socket) {
            return Ok(());
        }
        let deadline = Instant::now() + self.limit;
        while let Some(Socket { connection, inbox }) = &mut self.sockets[socket] {
            if inbox.is_settled(step) {
                break;
            }
            let missing = || Fault::Missing { expected: label(recorded), limit: self.limit };
            let frame = match timeout_at(deadline, connection.next()).await {
                Err(_) => Err(missing()),
                Ok(Err(error)) => Err(error.into()),
                Ok(Ok(None)) => Err(Fault::Closed { expected: label(recorded) }),
                Ok(Ok(Some(frame))) => Ok(frame),
            };
            match frame {
                Ok(frame) => self.take(step, socket, &frame)?,
                Err(fault) => {
                    // What is missing here may have been refused there.
                    self.look_elsewhere(step)?;
                    return Err(self.at(step, fault));
                }
            }
        }
        Ok(())
    }

    /// Takes what has come to any socket by now.
    fn look_elsewhere(&mut self, step: usize) -> Result<(), Failure> {
        for socket in 0..self.sockets.len() {
            self.take_waiting(step, socket)?;
        }
        Ok(())
    }

    fn take_waiting(&mut self, step: usize, socket: usize) -> Result<(), Failure> {
        while let Some(Socket { connection, .. }) = &mut self.sockets[socket] {
            match connection.next().now_or_never() {
                Some(Ok(Some(frame))) => self.take(step, socket, &frame)?,
                _ => break,
            }
        }
        Ok(())
    }

    fn take(&mut self, step: usize, socket: usize, frame: &Frame) -> Result<(), Failure> {
        let found = frame.value().map_err(|error| self.at(step, error.into()))?;
        let Some(Socket { inbox, .. }) = &mut self.sockets[socket] else { return Ok(()) };
        match inbox.take(step, &found) {
            Ok(Some((place, recorded))) => {
                compare(&mut self.dictionary, recorded, &found).map_err(|difference| {
                    self.at(place, Fault::Differs { message: label(recorded), difference })
                })
            }
            Ok(None) => Ok(()),
            Err(error) => Err(self.at(step, error.into())),
        }
    }

    async fn close(&mut self, step: usize, socket: usize) -> Result<(), Failure> {
        if self.plan.sockets[socket].ended_by_service {
            self.await_end(step, socket).await
        } else {
            self.drop_client(step, socket).await
        }
    }

    /// The service must close, properly, and say nothing more before.
    async fn await_end(&mut self, step: usize, socket: usize) -> Result<(), Failure> {
        let deadline = Instant::now() + self.limit;
        while let Some(Socket { connection, .. }) = &mut self.sockets[socket] {
            let ended = match timeout_at(deadline, connection.next()).await {
                Err(_) => Err(Fault::Missing { expected: "end of the socket".to_owned(), limit: self.limit }),
                Ok(Err(error)) => Err(error.into()),
                Ok(Ok(frame)) => Ok(frame),
            };
            match ended.map_err(|fault| self.at(step, fault))? {
                Some(frame) => self.take(step, socket, &frame)?,
                None => {
                    let Some(Socket { connection, inbox }) = self.sockets[socket].take() else { break };
                    return self.ended(step, connection.close_code(), inbox.missing());
                }
            }
        }
        Ok(())
    }

    fn ended(&self, step: usize, code: Option<u16>, missing: Option<(usize, &Value)>) -> Result<(), Failure> {
        match (missing, code) {
            (Some((step, missing)), _) => Err(self.at(step, Fault::Closed { expected: label(missing) })),
            (None, Some(NORMAL)) => Ok(()),
            (None, found) => Err(self.at(step, Fault::CloseCode { found })),
        }
    }

    /// The client goes. What has come by now must have been in the recording.
    async fn drop_client(&mut self, step: usize, socket: usize) -> Result<(), Failure> {
        self.take_waiting(step, socket)?;
        if let Some(Socket { connection, .. }) = self.sockets[socket].take() {
            // With the handshake the service has surely noticed before the next step; how it answers is not recorded.
            let _ = connection.close().await;
        }
        Ok(())
    }

    /// A recorded message of a client as it is sent today.
    fn live(&mut self, recorded: &Value) -> Result<Value, Fault> {
        let mut live = self.translated(recorded);
        if let Some(text) = recorded["params"]["signed_tx"].as_str()
            && let Ok(recorded_tx) = read_tx(text)
        {
            let signed = self.sign(&recorded_tx)?;
            let form = signed.to_text();
            self.dictionary.bind_tx((text, &recorded_tx), (&form, &signed));
            live["params"]["signed_tx"] = form.into();
        }
        Ok(live)
    }

    fn translated(&self, recorded: &Value) -> Value {
        match recorded {
            Value::String(word) => self.dictionary.sent(word).into(),
            Value::Array(all) => all.iter().map(|value| self.translated(value)).collect(),
            Value::Object(fields) => {
                fields.iter().map(|(name, value)| (name.clone(), self.translated(value))).collect()
            }
            other => other.clone(),
        }
    }

    /// The transaction that the service asked to have signed, with the signatures of those who signed in the recording,
    /// each in the same form, and with the meta transactions around it that generalized accounts made there.
    fn sign(&self, recorded: &SignedTx) -> Result<SignedTx, Fault> {
        let wanted = self.dictionary.recorded.signers(recorded);
        let wanted =
            wanted.map_err(|_| Fault::Unsendable("somebody else signed in the recording".to_owned()))?;
        let asked = self.dictionary.live_tx(recorded);
        let asked = asked.ok_or(Fault::NothingToSign(recorded.kind().event_name()))?;
        let unsigned = SignedTx::unsigned(asked.innermost().tx().clone());
        let signed = wanted.into_iter().fold(unsigned, |tx, (role, form)| {
            let key = &self.keys[usize::from(role == Role::Responder)];
            let signature = key.sign(&self.endpoint.network, tx.unsigned_bytes(), form);
            tx.with_signature(signature)
        });
        let metas: Vec<_> = recorded.metas().collect();
        metas.into_iter().rev().try_fold(signed, |tx, meta| {
            let known = self.dictionary.live_word(&meta.ga_id.to_string()).and_then(|live| live.parse().ok());
            let stranger =
                || Fault::Unsendable(format!("a meta transaction of {}, who is no party", meta.ga_id));
            let auth_data = self.dictionary.live_bytes(&meta.auth_data.0);
            Ok(wrapped(meta, known.ok_or_else(stranger)?, auth_data, tx))
        })
    }

    fn at(&self, step: usize, fault: Fault) -> Failure {
        let actor = self.session.steps.get(step).map_or(Role::Initiator, |step| step.actor);
        Failure::Step { step, actor, fault }
    }
}
