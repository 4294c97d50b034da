//! The flat text form of the older recordings: a heading line for each step, and under it what was said.
//!
//! ```text
//! initiator opens a WebSocket connection
//! ws://localhost:3014/channel?…
//! initiator <--- node
//! {"jsonrpc": …}
//! initiator info
//! The local fsm has been started
//! ```
//!
//! The headings may carry `####`, and what was said may stand between lines of three backticks. Anything before the first
//! heading, and what stands under `info`, is for human readers.

use strait_client::Role;

use crate::session::{Act, Step};

/// The steps of a session in this form.
///
/// # Errors
/// A step without what it should have said, or no step at all.
pub fn parse(text: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    let mut open: Option<(Heading, usize)> = None;
    let mut body = String::new();
    for (number, line) in text.lines().enumerate() {
        match Heading::of(line) {
            Some(heading) => {
                finish(open.replace((heading, number + 1)), &body, &mut steps)?;
                body.clear();
            }
            None if line.starts_with("```") => {}
            None => {
                body.push_str(line);
                body.push('\n');
            }
        }
    }
    finish(open, &body, &mut steps)?;
    if steps.is_empty() { Err("no step of a session in it".to_owned()) } else { Ok(steps) }
}

struct Heading {
    actor: Role,
    kind: Kind,
}

enum Kind {
    Opens,
    Sends,
    Receives,
    Closes,
    Remark,
}

impl Heading {
    fn of(line: &str) -> Option<Self> {
        let (actor, what) = line.trim_start_matches('#').trim().split_once(' ')?;
        let actor = [Role::Initiator, Role::Responder].into_iter().find(|role| role.as_str() == actor)?;
        let kind = match what {
            "opens a WebSocket connection" => Kind::Opens,
            "---> node" => Kind::Sends,
            "<--- node" => Kind::Receives,
            "closes WebSocket connection" => Kind::Closes,
            "info" => Kind::Remark,
            _ => return None,
        };
        Some(Self { actor, kind })
    }
}

fn finish(open: Option<(Heading, usize)>, body: &str, steps: &mut Vec<Step>) -> Result<(), String> {
    let Some((Heading { actor, kind }, line)) = open else { return Ok(()) };
    let message =
        || serde_json::from_str(body).map_err(|error| format!("under the heading of line {line}: {error}"));
    let act = match kind {
        Kind::Opens => {
            let url = body.lines().find(|line| line.starts_with("ws://"));
            Act::Open(
                url.ok_or_else(|| format!("no URL under the heading of line {line}"))?.trim().to_owned(),
            )
        }
        Kind::Sends => Act::Send(message()?),
        Kind::Receives => Act::Receive(message()?),
        Kind::Closes => Act::Close,
        Kind::Remark => return Ok(()),
    };
    steps.push(Step { actor, act });
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const WITH_MARKS: &str = "\n#### initiator opens a WebSocket connection\n```\nws://localhost:3014/channel?a=b\n```\n\n\
        #### responder <--- node\n```javascript\n{\n  \"id\": 1\n}\n```\n\n#### responder info\n> Something happened\n\n\
        #### responder ---> node\n```javascript\n{\n  \"id\": 2\n}\n```\n\n#### initiator closes WebSocket connection\n";

    fn expected() -> Vec<Step> {
        let step = |actor, act| Step { actor, act };
        vec![
            step(Role::Initiator, Act::Open("ws://localhost:3014/channel?a=b".to_owned())),
            step(Role::Responder, Act::Receive(json!({ "id": 1 }))),
            step(Role::Responder, Act::Send(json!({ "id": 2 }))),
            step(Role::Initiator, Act::Close),
        ]
    }

    #[test]
    fn both_ways_of_writing_it_are_read() {
        assert_eq!(parse(WITH_MARKS).unwrap(), expected());
        let bare: String = WITH_MARKS
            .lines()
            .filter(|line| !line.starts_with("```") && !line.is_empty())
            .map(|line| format!("{}\n", line.trim_start_matches("#### ").trim()))
            .collect();
        assert_eq!(parse(&format!("sc_ws_name\n{bare}")).unwrap(), expected());
    }

    #[test]
    fn what_follows_the_last_step_is_for_readers() {
        let text = format!("{WITH_MARKS}\nLast updated\nWas this helpful?");
        assert_eq!(parse(&text).unwrap(), expected());
    }

    #[test]
    fn a_step_without_its_words_is_refused() {
        assert!(parse("nothing at all").is_err());
        assert!(parse("initiator <--- node\n{\"id\": \n").unwrap_err().contains("line 1"));
        assert!(parse("initiator opens a WebSocket connection\n").unwrap_err().contains("no URL"));
    }
}
