//! One client's socket, from its query to its last frame.
//!
//! Nothing here waits for one request: what the client says goes to the service, what the service says goes to the client, and each
//! side is only taken from while the other has room.

use std::time::Duration;

use strait_channel::Ticket;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::conversation::Conversation;
use crate::desk::{Ask, Desk, OpenRefusal, Seat};
use crate::server::ApiConfig;
use crate::wire::{Ending, Heard, Wire};
use crate::{query, replies};

/// How long notifications wait for the answer of a batch. A member that waits for the client itself, for a signature say, must not
/// keep the request for it from the client.
const BATCH_HOLD: Duration = Duration::from_secs(1);
/// How many frames are taken from the service before they are written.
const GATHERED: usize = 64;

/// Serves one socket until it ends. Cuts it short when `closing` turns true.
pub(crate) async fn run<S: AsyncRead + AsyncWrite + Unpin>(
    mut wire: Wire<S>,
    query: &str,
    desk: &impl Desk,
    config: &ApiConfig,
    mut closing: watch::Receiver<bool>,
) {
    let seat = tokio::select! {
        // In a box, as everything that a socket needs only at its beginning.
        seat = Box::pin(attach(query, desk)) => seat,
        () = closed(&mut closing) => return wire.end(GOING_AWAY).await,
    };
    let ending = match seat {
        Ok(seat) => {
            let conversation = Conversation::new(config.max_outbox);
            Session { wire: &mut wire, conversation, seat, config, hold_until: None }.run(closing).await
        }
        Err(refusal) => {
            tracing::debug!(%refusal, "a client is turned away");
            wire.send(replies::refusal_frame(&refusal));
            Ending::Close(1000, "")
        }
    };
    tracing::debug!(?ending, "a socket ends");
    wire.end(ending).await;
}

/// Tells a client that there is no place for it.
pub(crate) async fn turn_away<S: AsyncRead + AsyncWrite + Unpin>(mut wire: Wire<S>, why: String) {
    wire.send(replies::refusal_frame(&OpenRefusal::Internal { why }));
    wire.end(Ending::Close(1000, "")).await;
}

const GOING_AWAY: Ending = Ending::Close(1001, "the service shuts down");

async fn attach(query: &str, desk: &impl Desk) -> Result<Seat, OpenRefusal> {
    desk.attach(query::parse(query)?).await
}

struct Session<'a, S> {
    wire: &'a mut Wire<S>,
    conversation: Conversation,
    seat: Seat,
    config: &'a ApiConfig,
    hold_until: Option<Instant>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<'_, S> {
    async fn run(mut self, mut closing: watch::Receiver<bool>) -> Ending {
        loop {
            self.pass_on();
            self.wire.write().await;
            let may_read = self.may_read();
            let hold_until = self.hold_until;
            let has_room = self.wire.has_room();
            let has_asks = self.conversation.has_asks();
            tokio::select! {
                news = self.seat.frames.recv(), if has_room => match news {
                    Some(news) => {
                        self.conversation.told(*news);
                        self.gather();
                    }
                    None => {
                        self.conversation.end();
                        self.pass_on();
                        return Ending::Close(1000, "");
                    }
                },
                heard = self.wire.next(may_read) => match heard {
                    Heard::Text(text) => self.conversation.receive(&text),
                    Heard::Binary => self.conversation.receive_binary(),
                    Heard::Room => {}
                    Heard::Over(ending) => return ending,
                },
                () = ask_next(&self.seat.requests, &mut self.conversation), if has_asks => {}
                () = until(hold_until) => self.conversation.stop_holding(),
                () = closed(&mut closing) => return GOING_AWAY,
            }
        }
    }

    /// Moves what the conversation has for either side, as far as there is room.
    fn pass_on(&mut self) {
        while let Some(frame) = self.conversation.next_frame() {
            self.wire.send(frame);
        }
        while self.conversation.has_asks() {
            match self.seat.requests.try_reserve() {
                Ok(permit) => {
                    if let Some(ask) = self.conversation.next_ask() {
                        permit.send(ask);
                    }
                }
                Err(TrySendError::Full(())) => break,
                Err(TrySendError::Closed(())) => while self.conversation.next_ask().is_some() {},
            }
        }
        self.hold_until = match (self.conversation.is_holding(), self.hold_until) {
            (true, None) => Some(Instant::now() + BATCH_HOLD),
            (true, since) => since,
            (false, _) => None,
        };
    }

    /// Takes what else the service has said already, so that it is written at once.
    fn gather(&mut self) {
        for _ in 1..GATHERED {
            match self.seat.frames.try_recv() {
                Ok(news) => self.conversation.told(*news),
                Err(_) => break,
            }
        }
    }

    /// Whether the client may say more: not while the service cannot take what it said before.
    fn may_read(&self) -> bool {
        let (requests, bytes) = self.conversation.unanswered();
        !self.conversation.has_asks()
            && requests < self.config.max_unanswered
            && bytes < self.config.max_message
    }
}

/// Waits for the service to take the next request.
async fn ask_next(requests: &mpsc::Sender<Box<(Ticket, Ask)>>, conversation: &mut Conversation) {
    match requests.reserve().await {
        Ok(permit) => {
            if let Some(ask) = conversation.next_ask() {
                permit.send(ask);
            }
        }
        // A channel that takes no requests any more is about to end: its frames say so.
        Err(_) => while conversation.next_ask().is_some() {},
    }
}

/// Waits for the service to shut down.
pub(crate) async fn closed(closing: &mut watch::Receiver<bool>) {
    let _ = closing.wait_for(|closing| *closing).await;
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
