//! A recorded session: what two clients and their service said to each other, step by step.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use strait_client::Role;
use thiserror::Error;

use crate::flat;

/// A recorded session.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    /// The stem of its file.
    pub name: String,
    /// What happened, as one order of both clients.
    pub steps: Vec<Step>,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The client it happened to.
    pub actor: Role,
    /// What happened.
    pub act: Act,
}

/// What happened to a client.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// It opened a WebSocket with this URL.
    Open(String),
    /// It sent this.
    Send(Value),
    /// It received this.
    Receive(Value),
    /// Its socket ended: it dropped it, or the service closed it.
    Close,
}

/// A recording that cannot be read, or that makes no sense: the fault of whoever gave it.
#[derive(Debug, Error)]
pub enum SessionError {
    /// The file cannot be read.
    #[error("{file}: {error}")]
    File {
        /// Which file.
        file: String,
        /// Why.
        error: std::io::Error,
    },
    /// The file holds no session.
    #[error("{name}: {what}")]
    Malformed {
        /// Which session.
        name: String,
        /// What is wrong.
        what: String,
    },
    /// A step does not follow from those before it.
    #[error("{name}: step {step}: {what}")]
    Step {
        /// Which session.
        name: String,
        /// The number of the step, from 0.
        step: usize,
        /// What is wrong.
        what: &'static str,
    },
}

impl Session {
    /// Reads a session from a file: the flat text form where its name ends in `.txt`, else JSON.
    ///
    /// # Errors
    /// No such file, or no session in it.
    pub fn read(path: &Path) -> Result<Self, SessionError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| SessionError::File { file, error })?;
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        if path.extension().is_some_and(|extension| extension == "txt") {
            Self::from_flat(&name, &text)
        } else {
            Self::from_json(&name, &text)
        }
    }

    /// Reads a session in JSON: `{"steps": [{"actor", "dir", "url" | "msg"}]}`.
    ///
    /// # Errors
    /// It is none.
    pub fn from_json(name: &str, text: &str) -> Result<Self, SessionError> {
        let malformed = |what: String| SessionError::Malformed { name: name.to_owned(), what };
        let form: SessionForm = serde_json::from_str(text).map_err(|error| malformed(error.to_string()))?;
        let steps = form.steps.into_iter().map(StepForm::step).collect::<Option<_>>();
        let steps = steps
            .ok_or_else(|| malformed("a step needs `url` to open, and `msg` to say something".to_owned()))?;
        Ok(Self { name: name.to_owned(), steps })
    }

    /// Reads a session in the flat text form of the older recordings.
    ///
    /// # Errors
    /// It is none.
    pub fn from_flat(name: &str, text: &str) -> Result<Self, SessionError> {
        let steps =
            flat::parse(text).map_err(|what| SessionError::Malformed { name: name.to_owned(), what })?;
        Ok(Self { name: name.to_owned(), steps })
    }
}

/// A few words that tell one message from another: its method and what it is about.
pub fn label(message: &Value) -> String {
    let Some(method) = message.get("method").and_then(Value::as_str) else {
        let id = message.get("id").unwrap_or(&Value::Null);
        let Some(error) = message.get("error") else { return format!("result for id {id}") };
        let code = error["data"].get(0).map_or(&error["code"], |detail| &detail["code"]);
        return format!("error {code} for id {id}");
    };
    let data = &message["params"]["data"];
    let about = ["event", "info"].iter().find_map(|key| data.get(key)).and_then(Value::as_str);
    about.map_or_else(|| method.to_owned(), |about| format!("{method} {about}"))
}

/// The `channels.info` event of a message, where it is one.
pub(crate) fn event(message: &Value) -> Option<&str> {
    let is_info = message.get("method").is_some_and(|method| method == "channels.info");
    message["params"]["data"].get("event").and_then(Value::as_str).filter(|_| is_info)
}

/// The channel that a message is stamped with.
pub(crate) fn channel_of(message: &Value) -> Option<&str> {
    let stamp =
        message.get("params").map_or_else(|| message.get("channel_id"), |params| params.get("channel_id"));
    stamp.and_then(Value::as_str)
}

#[derive(Deserialize)]
struct SessionForm {
    steps: Vec<StepForm>,
}

#[derive(Deserialize)]
struct StepForm {
    actor: Actor,
    dir: Direction,
    url: Option<String>,
    msg: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Actor {
    Initiator,
    Responder,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Direction {
    Open,
    ToNode,
    FromNode,
    Close,
}

impl StepForm {
    fn step(self) -> Option<Step> {
        let actor = match self.actor {
            Actor::Initiator => Role::Initiator,
            Actor::Responder => Role::Responder,
        };
        let act = match self.dir {
            Direction::Open => Act::Open(self.url?),
            Direction::ToNode => Act::Send(self.msg?),
            Direction::FromNode => Act::Receive(self.msg?),
            Direction::Close => Act::Close,
        };
        Some(Step { actor, act })
    }
}
