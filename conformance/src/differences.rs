//! Where the oldest recordings differ from today's node: one table, and nothing else is tolerated.
//!
//! The three recordings under `seeds/` were made with older nodes; `sessions/seed__00*.json` are the same sessions with
//! today's answers. A row turns the recorded message into today's before anything is compared.

use serde_json::{Value, json};
use strait_client::Role;

use crate::plan::Plan;
use crate::session::{Act, Session, channel_of, event, label};

/// What today's node does otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// From this message on the socket knows the channel, and stamps it on everything.
    KnowsChannel,
    /// The message tells the secret of this side once more.
    TellsFsmId,
    /// The message tells no secret any more.
    KeepsFsmId,
    /// Create transactions are of version 2: a list of delegates for each party, which makes them larger by one byte.
    CreatesVersion2,
}

struct Difference {
    sessions: &'static [&'static str],
    /// The message it begins with, as [`label`] names it; empty where it is in any.
    message: &'static str,
    change: Change,
    reason: &'static str,
}

const DIFFERENCES: &[Difference] = &[
    Difference {
        sessions: &["seed_000", "seed_001", "seed_002"],
        message: "",
        change: Change::CreatesVersion2,
        reason: "create transactions have two lists of delegates since the Iris protocol (ws_api §7.4, encodings §4)",
    },
    Difference {
        sessions: &["seed_001", "seed_002"],
        message: "channels.info funding_created",
        change: Change::TellsFsmId,
        reason: "the report that brings the channel id repeats the secret (ws_api §7.1, §7.4)",
    },
    Difference {
        sessions: &["seed_002"],
        message: "channels.info funding_signed",
        change: Change::TellsFsmId,
        reason: "the report that brings the channel id repeats the secret (ws_api §7.1, §7.4)",
    },
    Difference {
        sessions: &["seed_001"],
        message: "channels.sign.responder_sign",
        change: Change::KeepsFsmId,
        reason: "requests to sign hold exactly `signed_tx` and `updates` (ws_api §6, §7.4)",
    },
    Difference {
        sessions: &["seed_002"],
        message: "channels.info funding_created",
        change: Change::KnowsChannel,
        reason: "the first report of the responder's side with a channel id is `funding_created` (ws_api §7.1, §7.4)",
    },
    Difference {
        sessions: &["seed_002"],
        message: "channels.info funding_signed",
        change: Change::KnowsChannel,
        reason: "the first report of the initiator's side with a channel id is `funding_signed` (ws_api §7.1, §7.4)",
    },
];

/// Whether create transactions of version 1 in this recording stand for such of version 2.
pub(crate) fn creates_are_old(session: &str) -> bool {
    DIFFERENCES.iter().any(|row| row.change == Change::CreatesVersion2 && row.sessions.contains(&session))
}

/// The session as today's node would have answered it.
pub(crate) fn as_today(session: &Session, plan: &Plan) -> Session {
    let mut today = session.clone();
    for row in DIFFERENCES.iter().filter(|row| row.sessions.contains(&&*session.name)) {
        for role in [Role::Initiator, Role::Responder] {
            apply(row, role, &mut today, plan);
        }
    }
    today
}

/// The rows that concern a session, with their reasons: for whoever wonders what was tolerated.
pub fn tolerated(session: &str) -> impl Iterator<Item = &'static str> {
    DIFFERENCES.iter().filter(move |row| row.sessions.contains(&session)).map(|row| row.reason)
}

fn apply(row: &Difference, role: Role, today: &mut Session, plan: &Plan) {
    let is_it = |step: &Value| label(step) == row.message;
    let begins = today
        .steps
        .iter()
        .position(|step| step.actor == role && matches!(&step.act, Act::Receive(message) if is_it(message)));
    let Some(begins) = begins else { return };
    let socket = plan.socket_of[begins];
    let of_socket = |today: &Session| -> Vec<usize> {
        let received = plan.sockets[socket].received.iter().copied();
        received.filter(|step| *step < today.steps.len()).collect()
    };
    match row.change {
        Change::TellsFsmId => {
            let told = of_socket(today).into_iter().find_map(|step| match &today.steps[step].act {
                Act::Receive(message) if event(message) == Some("fsm_up") => {
                    Some(message["params"]["data"]["fsm_id"].clone())
                }
                _ => None,
            });
            if let (Some(told), Act::Receive(message)) = (told, &mut today.steps[begins].act) {
                message["params"]["data"]["fsm_id"] = told;
            }
        }
        Change::KeepsFsmId => {
            if let Act::Receive(message) = &mut today.steps[begins].act
                && let Some(data) = message["params"]["data"].as_object_mut()
            {
                data.remove("fsm_id");
            }
        }
        Change::KnowsChannel => {
            let steps = of_socket(today);
            let channel = steps.iter().find_map(|step| match &today.steps[*step].act {
                Act::Receive(message) => channel_of(message).map(str::to_owned),
                _ => None,
            });
            for step in steps.into_iter().filter(|step| *step >= begins) {
                if let Act::Receive(message) = &mut today.steps[step].act {
                    stamp(message, channel.as_deref());
                }
            }
        }
        Change::CreatesVersion2 => {}
    }
}

fn stamp(message: &mut Value, channel: Option<&str>) {
    let place = if message.get("params").is_some() {
        &mut message["params"]["channel_id"]
    } else {
        &mut message["channel_id"]
    };
    if place.is_null() {
        *place = json!(channel);
    }
}
