//! Whether a message is the recorded one: field by field, by what it means where its bytes may differ.

mod state;
mod tx;

use std::fmt::{self, Write};

use serde_json::{Map, Value};
use strait_encoding::text::{self, Prefix};

use crate::dictionary::Dictionary;
use crate::session::event;

/// The first field in which a message differs from the recorded one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where: names separated by dots, places in lists in brackets.
    pub path: String,
    /// What the recording asks for, in words of the played session where it is known.
    pub expected: String,
    /// What came.
    pub found: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { "the whole message" } else { &self.path };
        write!(f, "{path}: expected {}, found {}", self.expected, self.found)
    }
}

/// Compares a message that came with the recorded one, and learns what stands for what.
///
/// # Errors
/// The first difference.
pub(crate) fn compare(dictionary: &mut Dictionary, recorded: &Value, live: &Value) -> Result<(), Difference> {
    // A known defect of the reference: the hash comes as raw bytes. Its text form is asked for instead.
    if event(recorded) == Some("min_depth_achieved") {
        let (mut recorded, mut live) = (recorded.clone(), live.clone());
        let hash = |message: &mut Value| {
            message.pointer_mut("/params/data/tx_hash").map(Value::take).unwrap_or_default()
        };
        let (raw, found) = (hash(&mut recorded), hash(&mut live));
        let expected = raw.as_str().and_then(|raw| dictionary.live_hash(raw));
        if expected.is_none_or(|expected| found != expected.to_string()) {
            let path = "params.data.tx_hash".to_owned();
            let expected = expected.map_or("that of a transaction".to_owned(), |hash| hash.to_string());
            return Err(Difference { path, expected, found: found.to_string() });
        }
        return Walk::new(dictionary).value(&recorded, &live);
    }
    Walk::new(dictionary).value(recorded, live)
}

/// A walk through two values side by side.
struct Walk<'a> {
    dictionary: &'a mut Dictionary,
    path: String,
    /// Inside the copy of a request, where nothing is free.
    is_echo: bool,
}

type Compared = Result<(), Difference>;

impl<'a> Walk<'a> {
    fn new(dictionary: &'a mut Dictionary) -> Self {
        Self { dictionary, path: String::new(), is_echo: false }
    }

    fn value(&mut self, recorded: &Value, live: &Value) -> Compared {
        match (recorded, live) {
            (Value::Object(recorded), Value::Object(live)) => self.object(recorded, live),
            (Value::Array(recorded), Value::Array(live)) => self.array(recorded, live),
            (Value::String(recorded), Value::String(live)) => self.string(recorded, live),
            _ if recorded == live => Ok(()),
            _ => self.differs(recorded, live),
        }
    }

    fn object(&mut self, recorded: &Map<String, Value>, live: &Map<String, Value>) -> Compared {
        for (name, recorded) in recorded {
            let Some(live) = live.get(name) else {
                return self.under(name, |walk| walk.differs(recorded, &"nothing"));
            };
            self.under(name, |walk| walk.field(name, recorded, live))?;
        }
        match live.keys().find(|name| !recorded.contains_key(*name)) {
            Some(name) => self.under(name, |walk| walk.differs(&"nothing", &live[name])),
            None => Ok(()),
        }
    }

    fn field(&mut self, name: &str, recorded: &Value, live: &Value) -> Compared {
        if !self.is_echo
            && recorded.is_number()
            && live.is_number()
            && self.dictionary.is_free(name, recorded)
        {
            return Ok(());
        }
        let outside = self.is_echo;
        self.is_echo |= name == "request";
        let compared = self.value(recorded, live);
        self.is_echo = outside;
        compared
    }

    fn array(&mut self, recorded: &[Value], live: &[Value]) -> Compared {
        if recorded.len() != live.len() {
            return self.differs(&format!("{} entries", recorded.len()), &format!("{} entries", live.len()));
        }
        for (place, (recorded, live)) in recorded.iter().zip(live).enumerate() {
            let length = self.path.len();
            // Writing to a string cannot fail.
            let _ = write!(self.path, "[{place}]");
            self.value(recorded, live)?;
            self.path.truncate(length);
        }
        Ok(())
    }

    /// A text is compared by what it is in the recording: an id, something serialized, or just words.
    fn string(&mut self, recorded: &str, live: &str) -> Compared {
        let Some((prefix, recorded_bytes)) = decode(recorded) else {
            return if recorded == live { Ok(()) } else { self.differs(&recorded, &live) };
        };
        let Ok(live_bytes) = text::decode(prefix, live) else {
            return self.differs(&format!("{}_…", prefix.as_str()), &live);
        };
        match prefix {
            Prefix::Transaction => self.tx((recorded, &recorded_bytes), (live, &live_bytes)),
            Prefix::StateTrees => self.trees(&recorded_bytes, &live_bytes),
            Prefix::CallTree => self.calls(&recorded_bytes, &live_bytes),
            Prefix::Proof => self.proof(&recorded_bytes, &live_bytes),
            Prefix::ContractBytes | Prefix::StoreKey | Prefix::StoreValue => {
                self.contract_bytes(&recorded_bytes, &live_bytes)
            }
            _ => self.word(recorded, live),
        }
    }

    /// A word that is bound on first sight.
    fn word(&mut self, recorded: &str, live: &str) -> Compared {
        match self.dictionary.bind(recorded, live) {
            Ok(()) => Ok(()),
            Err(expected) => self.differs(&expected, &live),
        }
    }

    fn under<T>(
        &mut self,
        name: &str,
        walk: impl FnOnce(&mut Self) -> Result<T, Difference>,
    ) -> Result<T, Difference> {
        let length = self.path.len();
        if length > 0 {
            self.path.push('.');
        }
        self.path.push_str(name);
        let walked = walk(self)?;
        self.path.truncate(length);
        Ok(walked)
    }

    fn differs<T>(&self, expected: &dyn fmt::Display, found: &dyn fmt::Display) -> Result<T, Difference> {
        let (expected, found) = (expected.to_string(), found.to_string());
        Err(Difference { path: self.path.clone(), expected, found })
    }
}

/// The kind and the bytes of a text in one of the checksummed forms.
fn decode(text: &str) -> Option<(Prefix, Vec<u8>)> {
    let (name, _) = text.split_once('_')?;
    let prefix = *Prefix::ALL.iter().find(|prefix| prefix.as_str() == name)?;
    Some((prefix, text::decode(prefix, text).ok()?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use strait_encoding::{ChannelId, NetworkId, Round, StateHash, TxHash};
    use strait_ledger::{OffchainTx, SignedTx};

    use super::*;
    use crate::dictionary::Parties;

    #[test]
    fn the_raw_hash_of_the_reference_stands_for_one_in_text_form() {
        let nobody = || Parties { accounts: [None; 2], network: NetworkId(String::new()) };
        let mut dictionary = Dictionary::new(nobody(), nobody(), false);
        let tx = |round| {
            let (channel_id, state_hash) = (ChannelId([1; 32]), StateHash([2; 32]));
            SignedTx::unsigned(OffchainTx { channel_id, round: Round(round), state_hash })
        };
        for (recorded, live) in [(1, 5), (2, 6)] {
            let (recorded, live) = (tx(recorded), tx(live));
            dictionary.bind_tx((&recorded.to_text(), &recorded), (&live.to_text(), &live));
        }
        let message = |hash: &str| {
            let data =
                json!({ "event": "min_depth_achieved", "tx_hash": hash, "type": "channel_snapshot_solo_tx" });
            json!({ "method": "channels.info", "params": { "data": data } })
        };
        let raw = |hash: TxHash| message(&String::from_utf8_lossy(&hash.0));
        let (first, second) = (tx(5).hash().to_string(), tx(6).hash().to_string());
        compare(&mut dictionary, &raw(tx(1).hash()), &message(&first)).unwrap();
        compare(&mut dictionary, &raw(tx(2).hash()), &message(&second)).unwrap();
        let mut expect =
            |recorded: &Value, live: &Value| compare(&mut dictionary, recorded, live).unwrap_err();
        let other = expect(&raw(tx(1).hash()), &message(&second));
        assert_eq!((&*other.path, &other.expected), ("params.data.tx_hash", &first));
        assert_eq!(expect(&raw(tx(1).hash()), &raw(tx(1).hash())).expected, first);
        assert_eq!(expect(&raw(tx(3).hash()), &message(&first)).expected, "that of a transaction");
        assert_eq!(expect(&raw(tx(1).hash()), &json!({ "params": [] })).found, "null");
    }
}
