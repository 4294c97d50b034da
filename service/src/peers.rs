//! Peers that knock: each is led to the channel that its first message names (`docs/protocol/fsm` §13).

use std::time::Duration;

use strait_channel::{Message, Role};
use strait_peer::{Accepted, Session};
use tokio::sync::{mpsc, oneshot};
use tracing::debug;

use crate::registry::{Knock, Line, Mail};
use crate::service::Service;

/// How often, and how far apart, a channel is looked for: its client may be about to come.
const ROUNDS: u32 = 6;
const PAUSE: Duration = Duration::from_millis(100);

/// How many peers are led to their channels at once.
const DOORMEN: usize = 256;

/// Takes accepted sessions until the listeners are gone.
pub(crate) async fn receive(service: Service, mut accepted: mpsc::Receiver<Accepted>) {
    let places = std::sync::Arc::new(tokio::sync::Semaphore::new(DOORMEN));
    while let Some(knock) = accepted.recv().await {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let service = service.clone();
        tokio::spawn(async move {
            lead(&service, knock).await;
            drop(place);
        });
    }
}

/// Leads one peer to the first channel that takes it; drops it where none does.
async fn lead(service: &Service, knock: Accepted) {
    let Ok(message) = Message::decode(&knock.first) else {
        debug!("a peer's first message is no message");
        return;
    };
    let mut session = knock.session;
    for round in 0..ROUNDS {
        if round > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        for line in candidates(service, &message, knock.port) {
            match offer(&line, session, &message).await {
                Ok(()) => return,
                Err(turned_away) => session = turned_away,
            }
        }
    }
    debug!(message = message.name(), "no channel takes a peer");
}

fn candidates(service: &Service, message: &Message, port: u16) -> Vec<Line> {
    match message {
        Message::ChannelOpen { responder, initiator, .. } => {
            service.registry().candidates(*responder, *initiator, port)
        }
        Message::ChannelReestablish { channel_id, .. } => {
            service.registry().find(*channel_id, Role::Responder)
        }
        _ => Vec::new(),
    }
}

async fn offer(line: &Line, session: Session, message: &Message) -> Result<(), Session> {
    let (reply, answer) = oneshot::channel();
    let knock = Knock { session, message: message.clone(), reply };
    match line.mailbox.send(Mail::Knock(Box::new(knock))).await {
        // A task that ends with the session in its hands has closed it.
        Ok(()) => answer.await.unwrap_or(Ok(())),
        Err(mpsc::error::SendError(Mail::Knock(knock))) => Err(knock.session),
        Err(_) => Ok(()),
    }
}
