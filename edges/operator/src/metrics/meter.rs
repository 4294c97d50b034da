//! What one side of a channel counts with: it looks at each input and at the step that follows from it.

use std::time::{Duration, Instant};

use strait_channel::{
    Channel, Effect, FLOWS, Flow, Input, Message, Notice, PeerEvent, Place, Request, Side, Step,
};

use super::Metrics;
use super::outcome::{Outcome, refusal};

/// The counting of one side of a channel. [`notice`](Self::notice) comes before an input is decided, as deciding takes it;
/// [`observe`](Self::observe) afterwards, with what followed.
#[derive(Debug)]
pub struct Meter {
    metrics: Metrics,
    /// When the client was asked to sign.
    asked: Option<Instant>,
    /// The flow under way whose end was counted when this side gave it up, while the peer may still have to.
    counted: Option<Flow>,
}

/// What matters of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The client signed, as this side of a flow.
    Signed(Side),
    /// The client declined.
    Declined,
    /// The peer refused, with this code.
    Refused(u16),
    /// The chain refused.
    Rejected,
    /// A wait was over.
    Overdue,
    /// Anything else.
    Other,
}

impl Meter {
    pub(super) fn new(metrics: Metrics) -> Self {
        Self { metrics, asked: None, counted: None }
    }

    /// What matters of an input that is about to be decided.
    pub fn notice(input: &Input) -> Seen {
        match input {
            Input::Client(_, Request::Signed { side, .. }) => Seen::Signed(*side),
            Input::Client(_, Request::Declined { .. }) => Seen::Declined,
            Input::Peer(PeerEvent::Message(message)) => refused(message),
            Input::Submitted { result: Err(_), .. } => Seen::Rejected,
            Input::Tick => Seen::Overdue,
            _ => Seen::Other,
        }
    }

    /// Counts the step that followed from an input; `before` is the channel as it was.
    pub fn observe(&mut self, seen: Seen, before: &Channel, step: &Step) {
        self.time_signature(seen, step.effects());
        let next = step.next();
        let (flow_before, flow_after) = (under_way(before), under_way(next));
        if self.counted != flow_before {
            self.counted = None;
        }
        let side = if seen == Seen::Signed(Side::Acceptor) { Side::Acceptor } else { Side::Proposer };
        let ended = match agreed(before, next) {
            Some(flow) => Some((flow, Outcome::Agreed)),
            None => given_up(seen, flow_before, flow_after, step.effects()),
        };
        let Some((flow, outcome)) = ended else { return };
        if self.counted != Some(flow) {
            self.metrics.ended(flow, side, outcome);
        }
        self.counted = flow_after.filter(|after| *after == flow);
    }

    /// A step was stored in this time.
    pub fn committed(&self, time: Duration) {
        self.metrics.committed(time);
    }

    fn time_signature(&mut self, seen: Seen, effects: &[Effect]) {
        if let (Seen::Signed(_), Some(asked)) = (seen, self.asked) {
            self.metrics.signed(asked.elapsed());
        }
        if matches!(seen, Seen::Signed(_) | Seen::Declined) {
            self.asked = None;
        }
        let asks = |effect: &Effect| matches!(effect, Effect::Tell(report) if matches!(report.notice, Notice::Sign { .. }));
        if effects.iter().any(asks) {
            self.asked = Some(Instant::now());
        }
    }
}

fn refused(message: &Message) -> Seen {
    refusal(message).map_or(Seen::Other, |(_, code)| Seen::Refused(code))
}

fn under_way(channel: &Channel) -> Option<Flow> {
    let doing = channel.doing();
    FLOWS.iter().find(|row| row.name == doing).map(|row| row.flow)
}

/// The flow that came to its end.
fn agreed(before: &Channel, next: &Channel) -> Option<Flow> {
    if next.round() > before.round() {
        return next.agreed_tx().and_then(|tx| Flow::of_tx(tx.innermost().kind()));
    }
    let closes = next.place() == Place::Closed && before.place() != Place::Closed;
    under_way(before).filter(|flow| closes && flow.row().lands == Some(Place::Closed))
}

/// The flow that comes to nothing, and why: because this side says so to the peer, or because it is not under way any more.
fn given_up(
    seen: Seen,
    flow_before: Option<Flow>,
    flow_after: Option<Flow>,
    effects: &[Effect],
) -> Option<(Flow, Outcome)> {
    let sent = effects.iter().find_map(|effect| match effect {
        Effect::Send(message) => refusal(message),
        _ => None,
    });
    let told = effects.iter().any(
        |effect| matches!(effect, Effect::Tell(report) if matches!(report.notice, Notice::Conflict { .. })),
    );
    let stopped = flow_before.filter(|flow| flow_after != Some(*flow) || told);
    let flow = sent.map(|(flow, _)| flow).or(stopped)?;
    let outcome = match (seen, sent) {
        (Seen::Declined, _) => Outcome::Declined,
        (Seen::Overdue, _) => Outcome::Timeout,
        (Seen::Rejected, _) => Outcome::RejectedOnChain,
        (Seen::Signed(_), _) => Outcome::Invalid,
        (Seen::Refused(code), _) | (Seen::Other, Some((_, code))) => Outcome::of_code(code),
        (Seen::Other, None) => Outcome::BrokenOff,
    };
    Some((flow, outcome))
}
