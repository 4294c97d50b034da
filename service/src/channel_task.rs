//! One task per channel: the whole concurrency story.
//!
//! ```text
//! input  = next of { client, peer, chain, deadline }
//! step   = channel.decide(now, input, view)          else: answer the refusal
//! perform(step.take_prompt())                        asking the client to sign need not wait for the disk
//! proof  = store.save(step.next())                   only for steps that bind; many channels share one commit
//! channel, effects = step.release(proof)
//! for effect in effects { perform(effect) }          in order
//! meter.observe(input, step)                         the only place where flows are counted
//! ```

use std::collections::VecDeque;
use std::pin::Pin;

use strait_api::{Ask, ToClient};
use strait_chain::SubmitError;
use strait_channel::{
    Channel, Effect, Input, Message, Notice, PeerEvent, Reaction, Reason, Refusal, Report, Step, Ticket,
};
use strait_operator::Meter;
use strait_store::Meanwhile;
use tracing::{debug, error, info, warn};

use crate::links::{Happened, Links, now};
use crate::service::Service;

/// One side of one channel, and what it is connected to.
pub(crate) struct ChannelTask {
    pub(crate) channel: Channel,
    pub(crate) links: Links,
    pub(crate) service: Service,
    meter: Meter,
}

/// What a client is told whose channel would be the same as another one.
const TAKEN: &str =
    "another channel of this service has the same channel_id: the create transaction needs another nonce";

/// How a task begins.
pub(crate) enum Beginning {
    /// A client opens a channel.
    Opened(Box<Step>),
    /// The channel comes from disk.
    Restored,
}

/// Why a task ends.
pub(crate) enum Ending {
    /// The channel is forgotten, or the service stops.
    Done,
    /// The store failed: what is in memory must not go further than what is on disk.
    Quarantined,
}

impl ChannelTask {
    pub(crate) fn new(channel: Channel, links: Links, service: &Service) -> Self {
        Self { channel, links, service: service.clone(), meter: service.metrics().meter() }
    }

    /// Runs until the channel is forgotten or the service stops.
    pub(crate) async fn run(mut self, beginning: Beginning) {
        let begun = match beginning {
            Beginning::Opened(step) => self.carry_out(*step).await,
            Beginning::Restored => Box::pin(self.restore()).await,
        };
        let mut ending = begun.err();
        while ending.is_none() {
            let happened = self.links.next(self.channel.deadline()).await;
            self.service.alertness().event();
            // In a box: what an event needs should not be held by a channel that waits for one.
            ending = Box::pin(self.react(happened)).await.err();
        }
        self.service.registry().leave(self.links.key(), self.links.named());
        if let Some(Ending::Quarantined) = ending {
            self.links.quarantine(&self.channel);
        }
    }

    async fn restore(&mut self) -> Result<(), Ending> {
        self.take(Input::Restarted).await?;
        self.hear_news().await
    }

    async fn react(&mut self, happened: Happened) -> Result<(), Ending> {
        match happened {
            Happened::Mail(mail) => self.open_mail(mail).await,
            Happened::Asked(ticket, ask) => self.asked(ticket, ask).await,
            Happened::ClientGone => self.take(Input::Detached).await,
            Happened::Message(bytes) => self.message(&bytes).await,
            Happened::PeerGone => self.take(Input::Peer(PeerEvent::Disconnected)).await,
            Happened::Dialled => self.take(Input::Peer(PeerEvent::Connected)).await,
            Happened::Unreachable => self.take(Input::Peer(PeerEvent::Unreachable)).await,
            Happened::News => self.hear_news().await,
            Happened::Due => self.take(Input::Tick).await,
        }
    }

    async fn asked(&mut self, ticket: Ticket, ask: Ask) -> Result<(), Ending> {
        self.links.history.asked(now(), &ask);
        let request = match ask {
            Ask::Channel(request) => request,
            Ask::History(filter) => {
                let entries = self.links.history.fetch(&filter);
                self.links.hand(ToClient::History(ticket, entries));
                return Ok(());
            }
        };
        match self.decide(Input::Client(ticket, request)) {
            Ok(step) => self.carry_out(step).await,
            Err(refusal) => {
                self.links.hand(ToClient::Answer(ticket, Err(refusal)));
                Ok(())
            }
        }
    }

    async fn message(&mut self, bytes: &[u8]) -> Result<(), Ending> {
        match Message::decode(bytes) {
            Ok(message) => {
                self.links.history.received(now(), &message);
                if let Message::Error { reason, .. } = &message {
                    info!(reason = %String::from_utf8_lossy(reason).escape_debug(), "the peer reports an error");
                }
                self.take(Input::Peer(PeerEvent::Message(message))).await
            }
            Err(why) => {
                warn!(%why, "the peer sends garbage");
                self.end_session().await
            }
        }
    }

    async fn hear_news(&mut self) -> Result<(), Ending> {
        match self.links.read_news(&self.channel, &self.service) {
            Some(news) => self.take(Input::Chain(news)).await,
            None => Ok(()),
        }
    }

    /// Takes an input that nobody waits to have answered.
    pub(crate) async fn take(&mut self, input: Input) -> Result<(), Ending> {
        match self.decide(input) {
            Ok(step) => self.carry_out(step).await,
            Err(refusal) if refusal.reaction == Reaction::EndSession => {
                warn!(%refusal, "the session with the peer ends");
                self.end_session().await
            }
            Err(refusal) => {
                debug!(%refusal, "an input is not taken");
                Ok(())
            }
        }
    }

    async fn end_session(&mut self) -> Result<(), Ending> {
        self.links.hang_up();
        match self.decide(Input::Peer(PeerEvent::Disconnected)) {
            Ok(step) => self.carry_out(step).await,
            Err(_) => Ok(()),
        }
    }

    pub(crate) fn decide(&mut self, input: Input) -> Result<Step, Refusal> {
        let seen = Meter::notice(&input);
        let step = self.channel.decide(now(), input, &*self.service.chain().view())?;
        self.meter.observe(seen, &self.channel, &step);
        Ok(step)
    }

    /// Stores a step, then does what follows from it, and what follows from that. In a box: what a step needs on the way should
    /// not be held by every idle channel.
    pub(crate) fn carry_out(
        &mut self,
        step: Step,
    ) -> Pin<Box<dyn Future<Output = Result<(), Ending>> + Send + '_>> {
        Box::pin(self.carry_out_now(step))
    }

    async fn carry_out_now(&mut self, step: Step) -> Result<(), Ending> {
        let mut answers = VecDeque::new();
        self.commit(step, &mut answers).await?;
        while let Some(input) = answers.pop_front() {
            match self.decide(input) {
                Ok(step) => self.commit(step, &mut answers).await?,
                Err(refusal) => debug!(%refusal, "an answer is not taken"),
            }
        }
        self.links.follow(&self.channel, &self.service);
        Ok(())
    }

    async fn commit(&mut self, step: Step, answers: &mut VecDeque<Input>) -> Result<(), Ending> {
        if !self.links.claim(step.next(), &self.service) {
            return self.give_way(answers);
        }
        let (channel, effects) = match step.release_unstored() {
            Ok(released) => released,
            Err(mut step) => {
                let meanwhile = self.prompt(&mut step, answers).await?;
                let saved = self.links.save(step.next(), &self.service, meanwhile).await;
                let proof = saved.map_err(|why| {
                    error!(%why, "a step cannot be stored: the channel stops here");
                    Ending::Quarantined
                })?;
                step.release(&proof)
            }
        };
        self.channel = channel;
        for effect in effects {
            self.perform(effect, answers).await?;
        }
        Ok(())
    }

    /// Asks the client to sign; it does so while the step is being stored.
    async fn prompt(&mut self, step: &mut Step, answers: &mut VecDeque<Input>) -> Result<Meanwhile, Ending> {
        let prompt = step.take_prompt();
        if prompt.is_empty() {
            return Ok(Meanwhile::Nothing);
        }
        for effect in prompt {
            self.perform(effect, answers).await?;
        }
        Ok(Meanwhile::Others)
    }

    /// Another channel of this service has the id that this one would have: the step is dropped, and the session with the peer ends
    /// before anything is signed.
    fn give_way(&mut self, answers: &mut VecDeque<Input>) -> Result<(), Ending> {
        warn!("a second channel with the id of another one is not opened");
        let reason = Reason::NotAllowedNow(TAKEN);
        self.links.tell(Report { channel_id: None, notice: Notice::Error(reason) });
        self.links.hang_up();
        answers.push_back(Input::Peer(PeerEvent::Disconnected));
        Ok(())
    }

    async fn perform(&mut self, effect: Effect, answers: &mut VecDeque<Input>) -> Result<(), Ending> {
        match effect {
            Effect::Answer(ticket, answer) => self.links.hand(ToClient::Answer(ticket, answer)),
            Effect::Tell(report) => self.links.tell(report),
            Effect::Send(message) => self.links.send(&message),
            Effect::Submit(tx) => {
                let result = match self.service.chain().submit(tx.clone()).await {
                    Ok(_) => Ok(()),
                    Err(SubmitError::Refused(why)) => Err(why.atom()),
                    // Neither taken nor refused: the channel reminds the chain when its patience ends.
                    Err(SubmitError::Unavailable(why)) => {
                        error!(%why, "a transaction waits");
                        return Ok(());
                    }
                };
                answers.push_back(Input::Submitted { tx, result });
            }
            Effect::Connect => self.links.connect(&self.channel, &self.service).await,
            Effect::Disconnect => self.links.part(&self.channel, &self.service),
            Effect::Release => self.links.release_client(),
            Effect::Forget => {
                if let Err(why) = self.service.store().delete(self.links.key()).await {
                    warn!(%why, "a channel that is over cannot be deleted; the next start tries again");
                }
                return Err(Ending::Done);
            }
        }
        Ok(())
    }
}
