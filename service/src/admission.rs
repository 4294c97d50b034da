//! Who is let in to a channel: clients that come back, peers that knock.

use strait_api::OpenRefusal;
use strait_channel::{Input, PeerEvent};
use tokio::sync::oneshot;
use tracing::{info, warn};

use crate::channel_task::{ChannelTask, Ending};
use crate::links::now;
use crate::registry::{Comer, Knock, Mail};

impl ChannelTask {
    pub(crate) async fn open_mail(&mut self, mail: Mail) -> Result<(), Ending> {
        match mail {
            Mail::Attach(comer) => self.admit(*comer).await,
            Mail::Knock(knock) => self.answer_knock(*knock).await,
            Mail::Log(newest, reply) => answer(reply, self.links.history.latest(newest)),
            Mail::Stop => Err(Ending::Done),
        }
    }

    /// A client shows a secret: it gets its seat, a dormant channel wakes up.
    async fn admit(&mut self, Comer { fsm_id, reply }: Comer) -> Result<(), Ending> {
        if !self.links.door.opens(&fsm_id) {
            return answer(reply, Err(OpenRefusal::InvalidFsmId));
        }
        if self.channel.is_alive() {
            answer(reply, Ok(self.links.seat_client(fsm_id)))?;
            return self.take(Input::Attached).await;
        }
        let step = match self.decide(Input::Reestablish) {
            Ok(step) => step,
            Err(refusal) => return answer(reply, Err(OpenRefusal::Refused(refusal))),
        };
        if let Err(why) = self.links.prepare(&self.channel).await {
            // The peer will not be found, but the client must get in: it may want to close alone.
            warn!(%why, "the peer of a channel cannot be looked for");
        }
        answer(reply, Ok(self.links.reseat_client(&fsm_id)))?;
        self.carry_out(step).await
    }

    /// A peer is taken only if the channel takes its first message.
    async fn answer_knock(&mut self, Knock { session, message, reply }: Knock) -> Result<(), Ending> {
        self.links.history.received(now(), &message);
        match self.decide(Input::Peer(PeerEvent::Message(message))) {
            Ok(step) => {
                self.links.seat_peer(session);
                answer(reply, Ok(()))?;
                self.carry_out(step).await
            }
            Err(refusal) => {
                info!(%refusal, "a peer is turned away");
                answer(reply, Err(session))
            }
        }
    }
}

/// Answers who waits. Whoever asked may be gone; that is no matter to the channel.
fn answer<T>(reply: oneshot::Sender<T>, answer: T) -> Result<(), Ending> {
    let _ = reply.send(answer);
    Ok(())
}
