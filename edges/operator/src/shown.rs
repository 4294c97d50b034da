//! What things look like in JSON.
//!
//! Amounts and all integers of transactions are decimal text, as a node gives them with `int-as-string`
//! (`docs/protocol/chain_service` §4): a browser's numbers hold 53 bits.

use serde_json::{Value, json};
use strait_channel::{Place, Time};
use strait_encoding::text::{self, Prefix};
use strait_encoding::{AccountId, BlockHash, ChannelId, Coins, Height};
use strait_ledger::SignedTx;

use crate::chain_picture::{BlockPicture, ChainPicture};
use crate::gist::gist;
use crate::operated::{LogEntry, Standing};

/// Longer texts are cut: a transaction can carry code and whole trees, and nobody reads these on a screen.
const LONGEST_TEXT: usize = 1000;

/// Deeper values are not shown: what is shown comes from clients and peers.
const DEEPEST: u32 = 100;

/// The word for a place.
pub(crate) fn place(place: Place) -> &'static str {
    match place {
        Place::Opening => "opening",
        Place::Open => "open",
        Place::Closing => "closing",
        Place::Closed => "closed",
    }
}

/// A side as it stands while the chain is at `top`; `rate` is in rounds a second.
pub(crate) fn standing(standing: &Standing, top: Height, rate: f64) -> Value {
    let depth = standing.depth.map(|depth| {
        json!({
            "seen": depth.seen, "needed": depth.needed,
            "reached": top.0.saturating_sub(depth.seen.0).min(depth.needed),
        })
    });
    let lock = standing.lock.map(|lock| {
        json!({
            "until": lock.until, "period": lock.period, "top": top,
            "left": lock.until.0.saturating_sub(top.0),
        })
    });
    json!({
        "key": standing.key.to_string(),
        "id": standing.id.as_ref().map(ChannelId::to_string),
        "role": standing.role.to_string(),
        "initiator": standing.initiator.as_ref().map(AccountId::to_string),
        "responder": standing.responder.to_string(),
        "place": place(standing.place),
        "doing": standing.doing,
        "round": standing.round,
        "balances": standing.balances.map(|balances| balances.map(coins)),
        "reserve": coins(standing.reserve),
        "depth": depth,
        "lock": lock,
        "client": standing.has_client,
        "peer": standing.has_peer,
        "since": ms(standing.since),
        "heard": ms(standing.heard),
        "rate": rate,
    })
}

/// An entry of a log.
pub(crate) fn entry(entry: &LogEntry) -> Value {
    json!({
        "number": entry.number,
        "at": ms(entry.at),
        "way": entry.way.name(),
        "name": legible(entry.name.as_ref().into()),
        "tx": entry.tx.as_ref().map(tx),
        "updates": entry.updates.iter().map(|update| legible(update.to_json())).collect::<Value>(),
        "info": entry.info.clone().map(legible),
        "gist": gist(entry),
    })
}

/// A chain.
pub(crate) fn chain(picture: &ChainPicture) -> Value {
    json!({
        "network": picture.network.0,
        "top": picture.top().map(|top| json!({
            "height": top.height, "hash": block_hash(top.hash, top.is_key), "time": top.time_ms,
        })),
        "blocks": picture.blocks.iter().map(block).collect::<Value>(),
        "pending": { "count": picture.pending_count, "txs": picture.pending.iter().map(tx).collect::<Value>() },
        "can_fork": picture.can_fork,
    })
}

/// A moment, in milliseconds since 1970.
pub(crate) fn ms(time: Time) -> u64 {
    time.0
}

fn coins(coins: Coins) -> String {
    coins.to_string()
}

fn block(block: &BlockPicture) -> Value {
    json!({
        "hash": block_hash(block.hash, block.is_key),
        "kind": if block.is_key { "key" } else { "micro" },
        "height": block.height,
        "time": block.time_ms,
        "tx_count": block.tx_count,
        "txs": block.txs.iter().map(tx).collect::<Value>(),
    })
}

fn block_hash(hash: BlockHash, is_key: bool) -> String {
    text::encode(if is_key { Prefix::KeyBlock } else { Prefix::MicroBlock }, hash.as_bytes())
}

fn tx(signed: &SignedTx) -> Value {
    json!({
        "hash": signed.hash().to_string(),
        "type": signed.body().kind().json_name(),
        "channel": signed.channel_id().as_ref().map(ChannelId::to_string),
        "signatures": signed.signatures().len(),
        "tx": legible(signed.tx().to_json()),
    })
}

/// The value with integers as text and without what is too long to read.
fn legible(value: Value) -> Value {
    legible_at(value, 0)
}

fn legible_at(value: Value, depth: u32) -> Value {
    if depth > DEEPEST {
        return "…".into();
    }
    match value {
        Value::Number(number) if !number.is_f64() => Value::String(number.to_string()),
        Value::String(long) => match long.char_indices().nth(LONGEST_TEXT) {
            Some((end, _)) => format!("{}… ({} characters)", &long[..end], long.chars().count()).into(),
            None => Value::String(long),
        },
        Value::Array(values) => values.into_iter().map(|value| legible_at(value, depth + 1)).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (name, legible_at(value, depth + 1))).collect()
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_become_text_and_long_texts_are_cut() {
        let long = "ä".repeat(LONGEST_TEXT + 5);
        let shown =
            legible(json!({ "amount": u128::MAX, "share": 0.5, "list": [1, true, null], "code": long }));
        assert_eq!(shown["amount"], "340282366920938463463374607431768211455");
        assert_eq!(shown["share"], json!(0.5));
        assert_eq!(shown["list"], json!(["1", true, null]));
        let code = shown["code"].as_str().unwrap();
        assert!(code.ends_with("… (1005 characters)"), "{code}");
        assert_eq!(code.chars().filter(|c| *c == 'ä').count(), LONGEST_TEXT);
    }

    #[test]
    fn a_value_that_is_nested_too_deep_is_cut() {
        let mut deep = json!(1);
        for _ in 0..110 {
            deep = json!([deep]);
        }
        let mut shown = &legible(deep);
        let mut depth = 0;
        while let Some(inner) = shown.get(0) {
            (shown, depth) = (inner, depth + 1);
        }
        assert_eq!((shown, depth), (&json!("…"), 101));
    }
}
