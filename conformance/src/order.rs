//! In which order messages may come.
//!
//! Per client the recorded order holds, except that some messages have causes of their own and may move against the rest:
//! the messages of a socket run in lanes, each first in, first out, and `open` and `died` are barriers that the course of
//! the channel and the news of the chain may not cross.

use std::collections::{BTreeSet, VecDeque};

use serde_json::Value;
use thiserror::Error;

use crate::session::{event, label};

/// Messages that keep their order among themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lane {
    /// Answers to the client's own requests, pongs among them.
    Answer,
    /// Messages of the peer's client.
    InBand,
    /// What the chain watcher reports.
    Watcher,
    /// Everything else: what the parties cause.
    Course,
}

const LANES: usize = 4;

/// What came at the wrong time.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OrderError {
    /// The recording has no such message left.
    #[error("`{found}` came, and the recording has nothing like it left")]
    Surplus {
        /// What came.
        found: String,
    },
    /// It overtook a message that it may not overtake.
    #[error("`{found}` came before `{missing}`")]
    Overtook {
        /// What came.
        found: String,
        /// What should have come first.
        missing: String,
    },
}

/// The recorded messages of one socket that have not come yet.
#[derive(Debug)]
pub(crate) struct Inbox<'a> {
    expected: Vec<Expected<'a>>,
    lanes: [VecDeque<usize>; LANES],
    racing: &'a BTreeSet<String>,
}

#[derive(Debug)]
struct Expected<'a> {
    step: usize,
    message: &'a Value,
    /// For an answer, the step of its request.
    request: Option<usize>,
    lane: Lane,
    is_barrier: bool,
    has_come: bool,
}

impl<'a> Inbox<'a> {
    /// The inbox of a socket that receives these recorded messages, each with the number of its step, when its client
    /// sends those. Answers to the `racing` ids may fail to come.
    pub fn new(
        recorded: impl IntoIterator<Item = (usize, &'a Value)>,
        sent: &[(usize, &Value)],
        racing: &'a BTreeSet<String>,
    ) -> Self {
        let mut inbox = Self { expected: Vec::new(), lanes: [const { VecDeque::new() }; LANES], racing };
        let mut chain_is_news = false;
        for (step, message) in recorded {
            if message["method"] == "channels.on_chain_tx" {
                chain_is_news = lane_of(message) == Lane::Watcher;
            }
            // A channel closes because both agreed, or because of what was seen on chain: as the report before it says.
            let lane = match lane_of(message) {
                Lane::Course if event(message) == Some("closing") && chain_is_news => Lane::Watcher,
                lane => lane,
            };
            inbox.lanes[lane as usize].push_back(inbox.expected.len());
            let is_barrier = matches!(event(message), Some("open" | "died"));
            let request = (lane == Lane::Answer).then(|| request_of(step, message, sent)).flatten();
            inbox.expected.push(Expected { step, message, request, lane, is_barrier, has_come: false });
        }
        inbox
    }

    /// Whether the message of a step has come, or need not come.
    pub fn is_settled(&self, step: usize) -> bool {
        let expected = self.expected.iter().find(|expected| expected.step == step);
        expected.is_none_or(|expected| expected.has_come || self.is_racing(expected.message))
    }

    /// The first message that should have come and has not, with its step.
    pub fn missing(&self) -> Option<(usize, &'a Value)> {
        let missing = self.expected.iter().find(|expected| !self.is_settled(expected.step));
        missing.map(|expected| (expected.step, expected.message))
    }

    /// Takes a message that came when step `now` is played, and gives the recorded one that it stands for, with its
    /// step; `None` for an answer that is left to chance.
    ///
    /// # Errors
    /// It may not come, or not yet.
    pub fn take(&mut self, now: usize, found: &Value) -> Result<Option<(usize, &'a Value)>, OrderError> {
        let mut lane = lane_of(found);
        if event(found) == Some("closing")
            && self.head(lane).is_none_or(|head| event(head) != Some("closing"))
        {
            lane = Lane::Watcher;
        }
        if lane == Lane::Answer {
            self.skip_racing(found);
            if self.is_racing(found) && self.head(lane).is_none_or(|head| head["id"] != found["id"]) {
                return Ok(None);
            }
        }
        let place = self.lanes[lane as usize].front().copied();
        // An answer to what was not asked yet is none of the recorded ones.
        let asked = |place: &usize| self.expected[*place].request.is_none_or(|request| request <= now);
        let place = place.filter(asked).ok_or_else(|| OrderError::Surplus { found: label(found) })?;
        if let Some(missing) = self.barred_by(place) {
            return Err(OrderError::Overtook { found: label(found), missing: label(missing) });
        }
        self.lanes[lane as usize].pop_front();
        let expected = &mut self.expected[place];
        expected.has_come = true;
        Ok(Some((expected.step, expected.message)))
    }

    fn head(&self, lane: Lane) -> Option<&'a Value> {
        self.lanes[lane as usize].front().map(|place| self.expected[*place].message)
    }

    fn is_racing(&self, message: &Value) -> bool {
        message.get("method").is_none() && self.racing.contains(&message["id"].to_string())
    }

    /// Recorded answers that are left to chance do not hold up those behind them.
    fn skip_racing(&mut self, found: &Value) {
        while let Some(head) = self.head(Lane::Answer)
            && self.is_racing(head)
            && head["id"] != found["id"]
        {
            self.lanes[Lane::Answer as usize].pop_front();
        }
    }

    /// A message that must come before the one at `place`.
    fn barred_by(&self, place: usize) -> Option<&'a Value> {
        let this = &self.expected[place];
        let moves_freely = |lane| matches!(lane, Lane::Answer | Lane::InBand);
        if moves_freely(this.lane) {
            return None;
        }
        let waiting =
            self.expected[..place].iter().filter(|before| !before.has_come && !moves_freely(before.lane));
        waiting.into_iter().find(|before| before.is_barrier || this.is_barrier).map(|before| before.message)
    }
}

/// The lane of a message, as far as it tells by itself.
fn lane_of(message: &Value) -> Lane {
    let Some(method) = message.get("method").and_then(Value::as_str) else { return Lane::Answer };
    let info = message["params"]["data"]["info"].as_str().unwrap_or_default();
    match method {
        "channels.message" => Lane::InBand,
        "channels.system.pong" => Lane::Answer,
        _ if method.ends_with(".reply") => Lane::Answer,
        "channels.on_chain_tx" if WATCHER_REPORTS.contains(&info) => Lane::Watcher,
        "channels.info" if event(message).is_some_and(is_watcher_event) => Lane::Watcher,
        _ => Lane::Course,
    }
}

/// The step of the request that a recorded message answers: the last one before it with its id, or that it repeats, or
/// where it tells neither, the last one of all.
fn request_of(step: usize, answer: &Value, sent: &[(usize, &Value)]) -> Option<usize> {
    let before = || sent.iter().rev().filter(|(number, _)| *number < step);
    let id = answer.get("id").filter(|id| !id.is_null());
    let is_it = |request: &Value| {
        id.is_some_and(|id| request.get("id") == Some(id)) || answer["error"]["request"] == *request
    };
    let found = before().find(|(_, request)| is_it(request)).or_else(|| before().next());
    found.map(|(number, _)| *number)
}

/// What `channels.on_chain_tx` says when the chain speaks, not a party (`docs/protocol/ws_api` §7.3).
const WATCHER_REPORTS: [&str; 6] = [
    "channel_changed",
    "channel_closed",
    "solo_closing",
    "can_slash",
    "can_snapshot",
    "consumed_forced_progress",
];

fn is_watcher_event(event: &str) -> bool {
    let own_lock = event.starts_with("own_") && event.ends_with("_locked");
    own_lock
        || ["closed_confirmed", "min_depth_achieved", "minimum_depth_achieved", "zombie_channel"]
            .contains(&event)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn info(event: &str) -> Value {
        json!({ "method": "channels.info", "params": { "data": { "event": event } } })
    }

    fn chain(info: &str) -> Value {
        json!({ "method": "channels.on_chain_tx", "params": { "data": { "info": info } } })
    }

    fn reply(id: u32) -> Value {
        json!({ "id": id, "result": "ok" })
    }

    fn message() -> Value {
        json!({ "method": "channels.message", "params": { "data": {} } })
    }

    /// The steps in the order in which `order` brings the recorded messages, or what is wrong with it.
    fn bring(recorded: &[Value], order: &[usize]) -> Result<Vec<usize>, OrderError> {
        let none = BTreeSet::new();
        let mut inbox = Inbox::new(recorded.iter().enumerate(), &[], &none);
        let took = order.iter().map(|place| inbox.take(0, &recorded[*place]).map(|taken| taken.unwrap().0));
        took.collect()
    }

    #[test]
    fn answers_and_in_band_messages_move() {
        let recorded = [info("update"), reply(1), message(), info("open"), reply(2)];
        for order in [[1, 2, 0, 3, 4], [0, 3, 1, 4, 2], [2, 0, 3, 1, 4]] {
            assert_eq!(bring(&recorded, &order).unwrap(), order);
        }
    }

    #[test]
    fn watcher_reports_move_but_not_past_open_and_died() {
        let recorded = [
            info("funding_signed"),
            chain("funding_signed"),
            chain("channel_changed"),
            info("own_funding_locked"),
            info("funding_locked"),
            info("open"),
        ];
        for order in [[0, 2, 1, 4, 3, 5], [2, 3, 0, 1, 4, 5]] {
            assert_eq!(bring(&recorded, &order).unwrap(), order);
        }
        let early = bring(&recorded, &[0, 1, 2, 4, 5, 3]).unwrap_err();
        assert_eq!(early.to_string(), "`channels.info open` came before `channels.info own_funding_locked`");
        let late = [info("open"), info("own_deposit_locked"), info("died")];
        assert!(matches!(bring(&late, &[1, 0, 2]), Err(OrderError::Overtook { .. })));
        assert!(matches!(bring(&late, &[0, 2, 1]), Err(OrderError::Overtook { .. })));
    }

    #[test]
    fn lanes_keep_their_own_order() {
        // What came stands for the first of its lane: the comparison sees that it is another message.
        let recorded = [info("update"), info("aborted_update"), reply(1), reply(2)];
        assert_eq!(bring(&recorded, &[1, 3]).unwrap(), [0, 2]);
    }

    #[test]
    fn closing_belongs_to_what_caused_it() {
        let mutual =
            [chain("close_mutual"), info("closing"), chain("channel_closed"), info("closed_confirmed")];
        assert_eq!(bring(&mutual, &[2, 0, 1, 3]).unwrap(), [2, 0, 1, 3]);
        let solo = [chain("solo_closing"), info("closing"), info("update")];
        assert_eq!(bring(&solo, &[2, 0, 1]).unwrap(), [2, 0, 1]);
    }

    #[test]
    fn nothing_more_may_come() {
        let recorded = [info("open")];
        let error = bring(&recorded, &[0, 0]).unwrap_err();
        assert_eq!(error, OrderError::Surplus { found: "channels.info open".to_owned() });
    }

    #[test]
    fn nothing_is_answered_before_it_is_asked() {
        let none = BTreeSet::new();
        let request = |id: u32| json!({ "id": id, "method": "channels.get.balances" });
        let (first, second) = (request(1), request(2));
        let sent = [(0, &first), (3, &second)];
        let recorded = [(2, reply(1)), (4, reply(2))];
        let mut inbox = Inbox::new(recorded.iter().map(|(step, message)| (*step, message)), &sent, &none);
        assert_eq!(inbox.missing().unwrap().0, 2);
        assert_eq!(inbox.take(1, &reply(1)).unwrap().unwrap().0, 2);
        let error = json!({ "id": null, "error": { "code": 3, "data": [{ "code": 108 }] } });
        let surplus = OrderError::Surplus { found: "error 108 for id null".to_owned() };
        assert_eq!(inbox.take(2, &error).unwrap_err(), surplus);
        assert_eq!(inbox.take(4, &reply(2)).unwrap().unwrap().0, 4);
        assert_eq!(inbox.missing(), None);
    }

    #[test]
    fn a_racing_answer_may_come_or_not() {
        let racing = BTreeSet::from(["2".to_owned()]);
        let with = [reply(1), reply(2), info("died"), reply(3)];
        let mut inbox = Inbox::new(with.iter().enumerate(), &[], &racing);
        assert!(inbox.is_settled(1) && !inbox.is_settled(0));
        for place in [0, 2, 3] {
            assert_eq!(inbox.take(0, &with[place]).unwrap().unwrap().0, place);
        }
        let without = [reply(1), info("died")];
        let mut inbox = Inbox::new(without.iter().enumerate(), &[], &racing);
        assert_eq!(inbox.take(0, &reply(2)).unwrap(), None);
        assert!(inbox.take(0, &reply(1)).unwrap().is_some());
    }
}
