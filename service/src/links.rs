//! What one channel's task is connected to: its client, its peer, the chain, the clock, the disk.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use strait_api::{Ask, Seat, ToClient};
use strait_chain::DepthWait;
use strait_channel::{
    ChainNews, Channel, Durable, Event, Message, Notice, Reason, Report, Role, SeenTx, Ticket, Time,
};
use strait_encoding::{BlockHash, ChannelId, FsmId};
use strait_peer::{DialError, Inbound, Listening, Outbound, Session};
use strait_store::{ChannelKey, Meanwhile, StoreError};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, Sleep, sleep_until};
use tracing::{info, warn};

use crate::door::Door;
use crate::history::History;
use crate::registry::{Line, Mail};
use crate::service::Service;
use crate::stored;
use crate::window;

/// How many requests a client may have waiting before its socket is not read.
const REQUESTS: usize = 64;

/// How many letters may lie in a channel's mailbox before who writes has to wait.
const LETTERS: usize = 16;

/// How many frames may wait for a client before it counts as gone.
const FRAMES: usize = 1024;

/// The next thing that happened to a channel.
pub(crate) enum Happened {
    Mail(Mail),
    Asked(Ticket, Ask),
    ClientGone,
    Message(Vec<u8>),
    PeerGone,
    Dialled,
    Unreachable,
    News,
    Due,
}

type Dialling = Pin<Box<dyn Future<Output = Result<Session, DialError>> + Send>>;

struct Client {
    requests: mpsc::Receiver<Box<(Ticket, Ask)>>,
    frames: mpsc::Sender<Box<ToClient>>,
}

/// The connections of one channel's task.
pub(crate) struct Links {
    pub(crate) door: Door,
    pub(crate) history: History,
    line: Line,
    mailbox: mpsc::Receiver<Mail>,
    /// Known from opening, or from the client that showed it.
    fsm_id: Option<FsmId>,
    client: Option<Client>,
    peer: Option<(Outbound, Inbound)>,
    dialling: Option<Dialling>,
    listening: Option<Listening>,
    depth_wait: Option<DepthWait>,
    named: Option<(ChannelId, Role)>,
    service: Service,
    timer: Pin<Box<Sleep>>,
}

impl Links {
    pub(crate) fn new(service: &Service, key: ChannelKey, door: Door, channel: &Channel) -> Self {
        let terms = channel.terms();
        let (sender, mailbox) = mpsc::channel(LETTERS);
        let news = Arc::new(Notify::new());
        let standing = window::standing(channel, key, &service.chain().view(), None);
        let line = Line {
            key,
            mailbox: sender,
            news,
            awaits_depth: Arc::new(AtomicBool::new(false)),
            standing: Arc::new(Mutex::new(standing)),
        };
        Self {
            door,
            history: History::new(terms.log_keep),
            line,
            mailbox,
            fsm_id: None,
            client: None,
            peer: None,
            dialling: None,
            listening: None,
            depth_wait: None,
            named: None,
            service: service.clone(),
            timer: Box::pin(sleep_until(Instant::now())),
        }
    }

    pub(crate) fn key(&self) -> ChannelKey {
        self.line.key
    }

    pub(crate) fn line(&self) -> &Line {
        &self.line
    }

    /// Waits for the next thing to happen.
    pub(crate) async fn next(&mut self, deadline: Option<Time>) -> Happened {
        loop {
            self.arm(deadline);
            tokio::select! {
                asked = next_request(&mut self.client) => match asked {
                    Some((ticket, ask)) => return Happened::Asked(ticket, ask),
                    None => {
                        self.client = None;
                        return Happened::ClientGone;
                    }
                },
                message = next_message(&mut self.peer) => match message {
                    Some(bytes) => return Happened::Message(bytes),
                    None => {
                        self.peer = None;
                        return Happened::PeerGone;
                    }
                },
                Some(mail) = self.mailbox.recv() => return Happened::Mail(mail),
                () = self.line.news.notified() => return Happened::News,
                dialled = next_session(&mut self.dialling) => {
                    self.dialling = None;
                    match dialled {
                        Ok(session) => {
                            self.seat_peer(session);
                            return Happened::Dialled;
                        }
                        Err(why) => {
                            info!(%why, "the peer cannot be reached");
                            return Happened::Unreachable;
                        }
                    }
                },
                () = &mut self.timer, if deadline.is_some() => {
                    // The timer is set once and left alone while the deadline moves away.
                    if deadline.is_some_and(|deadline| now() >= deadline) {
                        return Happened::Due;
                    }
                }
            }
        }
    }

    fn arm(&mut self, deadline: Option<Time>) {
        let Some(deadline) = deadline else { return };
        let left = Duration::from_millis(deadline.0.saturating_sub(now().0));
        let due = Instant::now() + left.min(Duration::from_secs(86_400));
        if self.timer.is_elapsed() || self.timer.deadline() > due {
            self.timer.as_mut().reset(due);
        }
    }

    /// Gives a client its seat; one that sat there before is let go.
    pub(crate) fn seat_client(&mut self, fsm_id: FsmId) -> Seat {
        let (requests, receive_requests) = mpsc::channel(REQUESTS);
        let (frames, receive_frames) = mpsc::channel(FRAMES);
        self.fsm_id = Some(fsm_id);
        self.client = Some(Client { requests: receive_requests, frames });
        Seat { requests, frames: receive_frames }
    }

    /// As [`seat_client`](Self::seat_client), with a new secret.
    pub(crate) fn reseat_client(&mut self, shown: &FsmId) -> Seat {
        let (door, fsm_id) = self.door.renew(shown);
        self.door = door;
        self.seat_client(fsm_id)
    }

    /// Lets the client go, after what it was told.
    pub(crate) fn release_client(&mut self) {
        self.client = None;
    }

    pub(crate) fn tell(&mut self, report: Report) {
        self.history.report(now(), &report);
        let secret_event = matches!(
            report.notice,
            Notice::Info(Event::FsmUp | Event::FundingCreated | Event::FundingSigned)
        );
        let fsm_id = if secret_event { self.fsm_id } else { None };
        self.hand(ToClient::Report { report, fsm_id });
    }

    /// Hands a frame to the client. One that does not read is let go: what it misses it can ask for when it comes back.
    pub(crate) fn hand(&mut self, frame: ToClient) {
        if let Some(client) = &self.client
            && client.frames.try_send(Box::new(frame)).is_err()
        {
            warn!("the client does not read and is let go");
            // The task hears of it as of any client that goes.
            if let Some(client) = &mut self.client {
                client.requests.close();
            }
        }
    }

    pub(crate) fn seat_peer(&mut self, session: Session) {
        self.service.registry().stop_waiting(self.key());
        self.peer = Some(session.split());
    }

    pub(crate) fn hang_up(&mut self) {
        self.peer = None;
    }

    pub(crate) fn send(&mut self, message: &Message) {
        self.history.sent(now(), message);
        let Some((outbound, _)) = &self.peer else { return };
        let sent = message.encode().map_err(|why| why.to_string());
        let sent = sent.and_then(|bytes| outbound.send(&bytes).map_err(|why| why.to_string()));
        if let Err(why) = sent {
            warn!(%why, message = message.name(), "the peer cannot be sent a message: the session ends");
            self.peer = None;
        }
    }

    /// What is done before a client gets its seat: of an initiator, sees whether the host that it named may be dialled; of a responder,
    /// opens the port.
    ///
    /// # Errors
    /// Why the peer cannot be looked for, for the client to read.
    pub(crate) async fn prepare(&mut self, channel: &Channel) -> Result<(), String> {
        match channel.role() {
            Role::Initiator => {
                self.service.dialler().check(&channel.terms().host).map_err(|why| format!("host: {why}"))
            }
            Role::Responder => self.listen(channel).await,
        }
    }

    /// Opens the port that a responder named.
    ///
    /// # Errors
    /// Why the port cannot be opened, for the client to read.
    async fn listen(&mut self, channel: &Channel) -> Result<(), String> {
        if self.listening.is_none() {
            let listening = self.service.listeners().open(channel.terms().port).await;
            self.listening = Some(listening.map_err(|why| format!("port: {why}"))?);
        }
        Ok(())
    }

    /// Looks for the peer.
    pub(crate) async fn connect(&mut self, channel: &Channel, service: &Service) {
        let terms = channel.terms();
        if channel.role() == Role::Initiator {
            let (host, port, dialler) = (terms.host.clone(), terms.port, service.dialler().clone());
            self.dialling = Some(Box::pin(async move { dialler.dial(&host, port).await }));
            return;
        }
        if let Err(why) = self.listen(channel).await {
            warn!(%why, "the responder cannot listen");
        }
        if channel.id().is_none() {
            service.registry().wait(terms.responder, terms.initiator, terms.port, &self.line);
        }
    }

    /// Ends the session with the peer once everything was sent, and stops looking for it.
    pub(crate) fn part(&mut self, channel: &Channel, service: &Service) {
        self.dialling = None;
        service.registry().stop_waiting(self.key());
        if let Some((outbound, inbound)) = self.peer.take() {
            tokio::spawn(outbound.close());
            drop(inbound);
        }
        if !channel.is_alive() {
            self.listening = None;
        }
    }

    /// What the chain shows of the channel.
    pub(crate) fn read_news(&mut self, channel: &Channel, service: &Service) -> Option<ChainNews> {
        let id = channel.id()?;
        let news = service.chain().view().news_since(id, &BlockHash::UNPINNED);
        // One that failed behind its authentication did nothing to the channel.
        let (failed, done): (Vec<_>, Vec<_>) = news.txs.into_iter().partition(|mined| mined.failed);
        let failed = failed.into_iter().map(|mined| mined.hash).collect();
        let txs = done.into_iter().map(|mined| SeenTx { tx: mined.tx, height: mined.height }).collect();
        Some(ChainNews { top: news.top, txs, failed, object: news.object })
    }

    /// Makes known what the channel has become: to the operator, and whether it waits for confirmations.
    pub(crate) fn follow(&mut self, channel: &Channel, service: &Service) {
        let before = self.line.standing();
        self.line.stand(window::standing(channel, self.key(), &service.chain().view(), Some(&before)));
        let awaits = channel.awaits_depth();
        if self.line.awaits_depth.swap(awaits, Relaxed) != awaits {
            self.line.news.notify_one();
        }
        // The chain hurries only for somebody: an opening that both left may never come to anything.
        let hurries = awaits && !channel.is_abandoned();
        if hurries != self.depth_wait.is_some() {
            self.depth_wait = hurries.then(|| service.chain().await_depth());
        }
    }

    /// Claims the id that the channel is about to have. Says whether it may have it.
    pub(crate) fn claim(&mut self, channel: &Channel, service: &Service) -> bool {
        let (Some(id), None) = (channel.id(), self.named) else { return true };
        let claimed = service.registry().name(id, channel.role(), &self.line);
        if claimed {
            self.named = Some((id, channel.role()));
            self.line.news.notify_one();
        }
        claimed
    }

    /// The id that it has in the registry.
    pub(crate) fn named(&self) -> Option<(ChannelId, Role)> {
        self.named
    }

    /// Stores a step; `meanwhile`: what was begun before.
    pub(crate) async fn save(
        &mut self,
        channel: &Channel,
        service: &Service,
        meanwhile: Meanwhile,
    ) -> Result<Durable, StoreError> {
        let _counted = service.count_commit();
        service.store().save_while(stored::record(self.key(), &self.door, channel), meanwhile).await
    }

    /// Tells the client that the channel stops, and lets everybody go.
    pub(crate) fn quarantine(&mut self, channel: &Channel) {
        let reason = Reason::NotAllowedNow("the state cannot be stored: the channel stops, ask the operator");
        let channel_id = channel.id();
        self.hand(ToClient::Report {
            report: Report { channel_id, notice: Notice::Error(reason) },
            fsm_id: None,
        });
        self.client = None;
        self.peer = None;
    }
}

/// The wall clock: what the protocol is told.
pub(crate) fn now() -> Time {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Time(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}

async fn next_request(client: &mut Option<Client>) -> Option<(Ticket, Ask)> {
    match client {
        Some(client) => client.requests.recv().await.map(|asked| *asked),
        None => pending().await,
    }
}

async fn next_message(peer: &mut Option<(Outbound, Inbound)>) -> Option<Vec<u8>> {
    match peer {
        Some((_, inbound)) => match inbound.next().await {
            Ok(message) => message,
            Err(why) => {
                warn!(%why, "the session with the peer failed");
                None
            }
        },
        None => pending().await,
    }
}

async fn next_session(dialling: &mut Option<Dialling>) -> Result<Session, DialError> {
    match dialling {
        Some(dialling) => dialling.await,
        None => pending().await,
    }
}
