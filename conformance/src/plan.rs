//! Which socket each step of a recording belongs to, and which replies are left to chance.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use strait_client::Role;

use crate::session::{Act, Session, SessionError, channel_of, event};

/// What a recording does not say: its sockets.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Every socket in the order of opening.
    pub sockets: Vec<SocketPlan>,
    /// The socket of each step.
    pub socket_of: Vec<usize>,
    /// The ids, as JSON text, of the requests whose answer is left to chance; see [`racing_stops`].
    pub racing: BTreeSet<String>,
    /// For each of these, by its step, the step of the answer that must have come before it is sent.
    pub held_back_for: BTreeMap<usize, usize>,
    /// What must have happened off stage before a step, by the number of the step.
    pub off_stage: BTreeMap<usize, OffStage>,
}

/// Something that happened to a channel on chain and that the recording does not show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OffStage {
    /// The lock period passed: nobody in a recording wants to settle before.
    LockPassed,
    /// The initiator posted a solo close with the channel's first state: the first that is heard of a close is that a later
    /// state can answer it.
    FirstStateClosed,
}

/// One socket of a recording.
#[derive(Debug)]
pub(crate) struct SocketPlan {
    /// Whose it is.
    pub role: Role,
    /// The step at which it was opened.
    pub opened: usize,
    /// The channel that its messages are stamped with.
    pub channel: Option<String>,
    /// The messages that the client sent over it: their steps, in order.
    pub sent: Vec<usize>,
    /// The messages that came over it: their steps, in order.
    pub received: Vec<usize>,
    /// Whether the service ended it: its last message says that there is nothing more to come.
    pub ended_by_service: bool,
}

struct Live {
    socket: usize,
    channel: Option<String>,
    ended: bool,
}

impl Plan {
    /// Finds the sockets of a session. A client may have two at a time, of different channels: what it sends goes to the
    /// newer, what it receives is told apart by the channel, and the one that ended is the one that closes.
    ///
    /// # Errors
    /// A step that no open socket can have had.
    pub fn of(session: &Session) -> Result<Self, SessionError> {
        let (racing, held_back_for) = racing_stops(session);
        let (sockets, socket_of, off_stage) = (Vec::new(), Vec::new(), off_stage(session));
        let mut plan = Self { sockets, socket_of, racing, held_back_for, off_stage };
        let mut live: [Vec<Live>; 2] = [Vec::new(), Vec::new()];
        for (number, step) in session.steps.iter().enumerate() {
            let open = &mut live[usize::from(step.actor == Role::Responder)];
            let socket = match &step.act {
                Act::Open(_) => {
                    open.push(Live { socket: plan.sockets.len(), channel: None, ended: false });
                    plan.sockets.push(SocketPlan::new(step.actor, number));
                    Some(plan.sockets.len() - 1)
                }
                Act::Send(_) => open.last().map(|live| {
                    plan.sockets[live.socket].sent.push(number);
                    live.socket
                }),
                Act::Receive(message) => receiver(open, message).map(|live| {
                    live.channel = live.channel.take().or(channel_of(message).map(str::to_owned));
                    live.ended |= is_last(message);
                    let socket = &mut plan.sockets[live.socket];
                    socket.received.push(number);
                    socket.ended_by_service = live.ended;
                    socket.channel.clone_from(&live.channel);
                    live.socket
                }),
                Act::Close => {
                    let place = open.iter().position(|live| live.ended).or(open.len().checked_sub(1));
                    place.map(|place| open.remove(place).socket)
                }
            };
            let name = || session.name.clone();
            let what = "the client has no open socket at this step";
            plan.socket_of.push(socket.ok_or_else(|| SessionError::Step {
                name: name(),
                step: number,
                what,
            })?);
        }
        Ok(plan)
    }
}

impl SocketPlan {
    fn new(role: Role, opened: usize) -> Self {
        let (sent, received) = (Vec::new(), Vec::new());
        Self { role, opened, channel: None, sent, received, ended_by_service: false }
    }
}

/// What happened off stage, by the steps that need it.
fn off_stage(session: &Session) -> BTreeMap<usize, OffStage> {
    let mut needed = BTreeMap::new();
    // Channels of which it was heard that somebody closes them.
    let mut closing: BTreeSet<&str> = BTreeSet::new();
    for (number, step) in session.steps.iter().enumerate() {
        match &step.act {
            Act::Send(message) if message["method"] == "channels.settle" => {
                needed.insert(number, OffStage::LockPassed);
            }
            Act::Receive(message) if message["method"] == "channels.on_chain_tx" => {
                let Some(channel) = channel_of(message) else { continue };
                let is_first = matches!(on_chain_report(message), Some("solo_closing" | "can_slash"))
                    && closing.insert(channel);
                if is_first && on_chain_report(message) == Some("can_slash") {
                    needed.insert(number, OffStage::FirstStateClosed);
                }
            }
            _ => {}
        }
    }
    needed
}

/// What a report about the chain is about.
fn on_chain_report(message: &Value) -> Option<&str> {
    message["params"]["data"]["info"].as_str()
}

fn receiver<'a>(open: &'a mut [Live], message: &Value) -> Option<&'a mut Live> {
    let stamp = channel_of(message);
    let of_channel = open.iter().position(|live| stamp.is_some() && live.channel.as_deref() == stamp);
    let without = || open.iter().rposition(|live| live.channel.is_none());
    let place = of_channel.or_else(without).or(open.len().checked_sub(1))?;
    open.get_mut(place)
}

/// Whether nothing may follow: the channel's end, or a refusal of the query, which answers no request
/// (`docs/protocol/ws_api` §3, §8).
pub(crate) fn is_last(message: &Value) -> bool {
    let refused = message.get("error").is_some_and(|error| error["request"] == serde_json::json!({}));
    event(message) == Some("died") || refused
}

/// The stop of a side whose peer was stopped before it races with the news of the peer's end. Whether it is still
/// answered is chance: the reference does both, in recordings of the same session. That the first stop is answered is no
/// chance, as long as the second one does not overtake it.
fn racing_stops(session: &Session) -> (BTreeSet<String>, BTreeMap<usize, usize>) {
    let mut first: Option<(Role, &Value)> = None;
    let (mut racing, mut held_back_for) = (BTreeSet::new(), BTreeMap::new());
    for (number, step) in session.steps.iter().enumerate() {
        match &step.act {
            Act::Send(message) if is_stop(message) => {
                if let Some((role, id)) = first
                    && role != step.actor
                    && !message["id"].is_null()
                {
                    racing.insert(message["id"].to_string());
                    let is_answer = |act: &Act| matches!(act, Act::Receive(answer) if answer["id"] == *id);
                    let answers =
                        session.steps.iter().position(|step| step.actor == role && is_answer(&step.act));
                    held_back_for.extend(answers.map(|answer| (number, answer)));
                }
                first = Some((step.actor, &message["id"]));
            }
            Act::Open(_) => first = None,
            _ => {}
        }
    }
    (racing, held_back_for)
}

/// Whether it is the request that kills this side of the channel.
pub(crate) fn is_stop(message: &Value) -> bool {
    message["method"] == "channels.system" && message["params"]["action"] == "stop"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::session::Step;

    fn info(event: &str, channel: Option<&str>) -> Act {
        let data = json!({ "event": event });
        Act::Receive(json!({ "method": "channels.info", "params": { "channel_id": channel, "data": data } }))
    }

    fn session(acts: Vec<Act>) -> Session {
        let steps = acts.into_iter().map(|act| Step { actor: Role::Initiator, act }).collect();
        Session { name: "test".to_owned(), steps }
    }

    #[test]
    fn two_channels_at_a_time_are_told_apart() {
        let open = || Act::Open("ws://x/channel?a=b".to_owned());
        let acts = vec![
            open(),
            info("fsm_up", None),
            info("open", Some("ch_1")),
            open(),
            info("fsm_up", None),
            info("closed_confirmed", Some("ch_1")),
            info("open", Some("ch_2")),
            info("died", Some("ch_1")),
            Act::Send(json!({ "id": 1 })),
            Act::Close,
            Act::Receive(json!({ "id": 1, "channel_id": "ch_2", "result": "ok" })),
            Act::Close,
        ];
        let plan = Plan::of(&session(acts)).unwrap();
        assert_eq!(plan.socket_of, [0, 0, 0, 1, 1, 0, 1, 0, 1, 0, 1, 1]);
        let ended: Vec<_> = plan.sockets.iter().map(|socket| socket.ended_by_service).collect();
        assert_eq!(ended, [true, false]);
        assert_eq!(plan.sockets[0].received, [1, 2, 5, 7]);
        let channels: Vec<_> =
            plan.sockets.iter().map(|socket| (socket.opened, socket.channel.as_deref())).collect();
        assert_eq!(channels, [(0, Some("ch_1")), (3, Some("ch_2"))]);
    }

    #[test]
    fn a_step_without_a_socket_makes_no_sense() {
        let error = Plan::of(&session(vec![info("open", None)])).unwrap_err();
        assert_eq!(error.to_string(), "test: step 0: the client has no open socket at this step");
    }

    #[test]
    fn what_happened_off_stage_is_found() {
        let report = |info: &str, channel: &str| {
            let params = json!({ "channel_id": channel, "data": { "info": info } });
            Act::Receive(json!({ "method": "channels.on_chain_tx", "params": params }))
        };
        let acts = vec![
            report("channel_changed", "ch_1"),
            report("can_slash", "ch_1"),
            report("can_slash", "ch_1"),
            report("solo_closing", "ch_2"),
            report("can_slash", "ch_2"),
            Act::Send(json!({ "method": "channels.settle", "params": {} })),
            report("can_slash", "ch_3"),
        ];
        let expected =
            [(1, OffStage::FirstStateClosed), (5, OffStage::LockPassed), (6, OffStage::FirstStateClosed)];
        assert_eq!(off_stage(&session(acts)), expected.into());
    }

    #[test]
    fn only_the_second_stop_is_a_race_and_it_waits_for_the_first() {
        let stop = |id: u8| {
            Act::Send(json!({ "id": id, "method": "channels.system", "params": { "action": "stop" } }))
        };
        let open = || Act::Open(String::new());
        let steps = [
            (Role::Initiator, open()),
            (Role::Responder, open()),
            (Role::Responder, stop(1)),
            (Role::Initiator, stop(2)),
            (Role::Responder, Act::Receive(json!({ "id": 1, "result": "ok" }))),
        ];
        let steps = steps.into_iter().map(|(actor, act)| Step { actor, act }).collect();
        let plan = Plan::of(&Session { name: String::new(), steps }).unwrap();
        assert_eq!(plan.racing, BTreeSet::from(["2".to_owned()]));
        assert_eq!(plan.held_back_for, BTreeMap::from([(3, 4)]));
    }
}
