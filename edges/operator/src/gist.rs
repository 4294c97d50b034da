//! What an entry of a log says, in a line.

use serde_json::Value;
use strait_ledger::{SignedTx, Tx, Update};

use crate::amount::amount;
use crate::operated::LogEntry;

/// Longer words of clients and peers are cut.
const LONGEST_WORDS: usize = 120;

/// What is in the entry besides its name: the event, the round, what it changes, the code of a refusal. Empty where the name
/// says it all. One line without control characters, whatever a client or a peer wrote.
pub(crate) fn gist(entry: &LogEntry) -> String {
    let mut said: Vec<String> = entry.info.iter().flat_map(told).collect();
    said.extend(entry.tx.as_ref().map(transaction));
    said.extend(entry.updates.iter().map(change));
    said.join(", ")
}

/// The parts of what is in a notification, a request or a message.
fn told(info: &Value) -> Vec<String> {
    if let Value::String(words) = info {
        return vec![plain(words)];
    }
    let word = |name: &str| info[name].as_str().map(plain);
    let mut said: Vec<String> = ["event", "info", "tx_type", "type"].into_iter().filter_map(word).collect();
    if let Some(code) = info["error_code"].as_u64() {
        said.push(format!("{} (code {code})", word("error_msg").unwrap_or_else(|| "refused".to_owned())));
    }
    if let Some(round) = info["round"].as_u64() {
        said.push(format!("round {round}"));
    }
    match &info["message"] {
        Value::Array(details) => said.extend(details.iter().filter_map(detail)),
        Value::Object(message) => said.extend(message.get("info").and_then(Value::as_str).map(quoted)),
        _ => {}
    }
    said
}

/// One thing that is wrong, of an error.
fn detail(detail: &Value) -> Option<String> {
    let message = plain(detail["message"].as_str()?);
    let reason = detail["reason"].as_str().map(|reason| format!(": {}", plain(reason)));
    let code = detail["code"].as_i64().map(|code| format!(" (code {code})"));
    Some(format!("{message}{}{}", reason.unwrap_or_default(), code.unwrap_or_default()))
}

fn transaction(signed: &SignedTx) -> String {
    let body = signed.body();
    let (first, second) = match body {
        Tx::ChannelCreate(tx) => (tx.initiator_amount, tx.responder_amount),
        Tx::ChannelCloseMutual(tx) => (tx.initiator_amount_final, tx.responder_amount_final),
        Tx::ChannelSettle(tx) => (tx.initiator_amount_final, tx.responder_amount_final),
        Tx::ChannelOffchain(tx) => return format!("round {}", tx.round),
        Tx::ChannelDeposit(tx) => return format!("deposit of {}, round {}", amount(tx.amount), tx.round),
        Tx::ChannelWithdraw(tx) => return format!("withdrawal of {}, round {}", amount(tx.amount), tx.round),
        other => return other.kind().json_name().to_owned(),
    };
    format!("{}, {} and {}", body.kind().json_name(), amount(first), amount(second))
}

fn change(update: &Update) -> String {
    match update {
        Update::Transfer { from, to, amount: coins } => {
            format!("{}, {} → {}", amount(*coins), short(&from.to_string()), short(&to.to_string()))
        }
        Update::Deposit { from, amount: coins } => {
            format!("{} from {}", amount(*coins), short(&from.to_string()))
        }
        Update::Withdraw { to, amount: coins } => format!("{} to {}", amount(*coins), short(&to.to_string())),
        Update::NewContract { owner, deposit, .. } => {
            format!("new contract of {} with {}", short(&owner.to_string()), amount(*deposit))
        }
        Update::CallContract { contract, amount: coins, .. } => {
            format!("call of {} with {}", short(&contract.to_string()), amount(*coins))
        }
        Update::Meta { data } => format!("meta {}", quoted(&String::from_utf8_lossy(data))),
    }
}

fn quoted(words: &str) -> String {
    format!("\"{}\"", plain(words))
}

/// Words of others: on a terminal a control character would be obeyed.
fn plain(words: &str) -> String {
    let mut chars = words.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c });
    let mut plain: String = chars.by_ref().take(LONGEST_WORDS).collect();
    if chars.next().is_some() {
        plain.push('…');
    }
    plain
}

/// The beginning and the end of an id.
fn short(id: &str) -> String {
    match (id.get(..8), id.len().checked_sub(4).and_then(|end| id.get(end..))) {
        (Some(head), Some(tail)) if id.len() > 14 => format!("{head}…{tail}"),
        _ => id.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use strait_channel::Time;
    use strait_encoding::{AccountId, Coins};

    use super::*;
    use crate::operated::Way;

    fn of(info: Value) -> String {
        let (at, way) = (Time(0), Way::ToClient);
        gist(&LogEntry {
            number: 1,
            at,
            way,
            name: "x".into(),
            tx: None,
            updates: Vec::new(),
            info: Some(info),
        })
    }

    #[test]
    fn events_codes_and_errors_are_told() {
        for (info, said) in [
            (json!({ "event": "open" }), "open"),
            (
                json!({ "event": "min_depth_achieved", "tx_type": "channel_create_tx" }),
                "min_depth_achieved, channel_create_tx",
            ),
            (json!({ "error_code": 2, "error_msg": "conflict", "round": 7 }), "conflict (code 2), round 7"),
            (json!({ "error_code": 200 }), "refused (code 200)"),
            (
                json!({ "info": "funding_signed", "type": "channel_create_tx" }),
                "funding_signed, channel_create_tx",
            ),
            (json!({ "message": { "info": "good\u{1b}[2J day" } }), "\"good\u{fffd}[2J day\""),
            (
                json!({ "message": [{ "code": 1017, "message": "Bad signature" }] }),
                "Bad signature (code 1017)",
            ),
            (json!("signed"), "signed"),
            (json!({ "state": "tx_…" }), ""),
        ] {
            assert_eq!(of(info.clone()), said, "{info}");
        }
        assert_eq!(of(json!("x".repeat(121))), format!("{}…", "x".repeat(120)));
    }

    #[test]
    fn a_change_names_the_amount_and_who_pays_whom() {
        let [from, to] = [1, 2].map(|byte| AccountId([byte; 32]));
        let said = change(&Update::Transfer { from, to, amount: Coins(1_500_000_000_000_000_000) });
        let [from, to] = [from, to].map(|id| id.to_string());
        let tail = |id: &str| id[id.len() - 4..].to_owned();
        assert_eq!(said, format!("1.5 AE, {}…{} → {}…{}", &from[..8], tail(&from), &to[..8], tail(&to)));
    }
}
