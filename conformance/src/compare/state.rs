//! Trees by their entries, proofs by what they prove.

use std::collections::BTreeSet;

use strait_encoding::rlp::{DecodeError, Fields};
use strait_encoding::{AccountId, Id, Round};
use strait_ledger::{Account, CallObject, StateProof, Trees};
use strait_tree::Tree;

use super::{Compared, Walk};
use crate::Difference;

impl Walk<'_> {
    pub(super) fn trees(&mut self, recorded: &[u8], live: &[u8]) -> Compared {
        let read = self.decoded(Trees::decode(recorded))?;
        let came = self.decoded(Trees::decode(live))?;
        self.under("accounts", |walk| walk.accounts(&read, &came))?;
        let others = [
            ("contracts", &read.contracts, &came.contracts),
            ("channels", &read.channels, &came.channels),
            ("names", &read.names, &came.names),
            ("oracles", &read.oracles, &came.oracles),
        ];
        for (name, read, came) in others {
            self.under(name, |walk| walk.entries(&all(read), &all(came)))?;
        }
        self.under("calls", |walk| {
            walk.entries(&by_contract(all(&read.calls)), &by_contract(all(&came.calls)))
        })?;
        self.under("state_hash", |walk| {
            walk.word(&read.state_hash().to_string(), &came.state_hash().to_string())
        })
    }

    pub(super) fn calls(&mut self, recorded: &[u8], live: &[u8]) -> Compared {
        let read = self.decoded(call_entries(recorded))?;
        let came = self.decoded(call_entries(live))?;
        self.entries(&by_contract(read), &by_contract(came))
    }

    /// A proof is compared by what it shows of every account that has a name by now.
    pub(super) fn proof(&mut self, recorded: &[u8], live: &[u8]) -> Compared {
        let read = self.decoded(StateProof::decode(recorded))?;
        let came = self.decoded(StateProof::decode(live))?;
        self.under("state_hash", |walk| {
            walk.word(&read.state_hash().to_string(), &came.state_hash().to_string())
        })?;
        for (theirs, ours) in self.known_accounts() {
            let (expected, found) = (read.account(theirs).ok(), came.account(ours).ok());
            if expected != found {
                return self.under(&ours.to_string(), |walk| walk.differs(&shown(expected), &shown(found)));
            }
        }
        Ok(())
    }

    pub(super) fn contract_bytes(&mut self, recorded: &[u8], live: &[u8]) -> Compared {
        let expected = self.dictionary.live_bytes(recorded);
        if expected == live { Ok(()) } else { self.differs(&hex(&expected), &hex(live)) }
    }

    fn accounts(&mut self, recorded: &Trees, live: &Trees) -> Compared {
        let count = |trees: &Trees| trees.accounts.iter().count();
        if count(recorded) != count(live) {
            let (expected, found) = (count(recorded), count(live));
            return self.differs(&format!("{expected} accounts"), &format!("{found} accounts"));
        }
        for (key, bytes) in recorded.accounts.iter() {
            let theirs =
                self.decoded(<[u8; 32]>::try_from(key).map(AccountId).map_err(|_| DecodeError::Id))?;
            let Some(ours) = self.live_account(theirs) else {
                return self.differs(&"an account that the session has named", &theirs);
            };
            let expected = Account::decode(bytes).ok();
            let found = live.account(ours);
            if expected != found {
                return self.under(&ours.to_string(), |walk| walk.differs(&shown(expected), &shown(found)));
            }
        }
        Ok(())
    }

    /// Entries whose keys or values may hold ids: those are translated first.
    fn entries(&mut self, recorded: &BTreeSet<Entry>, live: &BTreeSet<Entry>) -> Compared {
        let expected: BTreeSet<Entry> = recorded
            .iter()
            .map(|(key, value)| (self.dictionary.live_bytes(key), self.dictionary.live_bytes(value)))
            .collect();
        if let Some((key, value)) = expected.difference(live).next() {
            let found =
                live.iter().find(|(found, _)| found == key).map_or("nothing".to_owned(), |(_, v)| hex(v));
            return self.under(&hex(key), |walk| walk.differs(&hex(value), &found));
        }
        match live.difference(&expected).next() {
            Some((key, value)) => self.under(&hex(key), |walk| walk.differs(&"nothing", &hex(value))),
            None => Ok(()),
        }
    }

    fn known_accounts(&self) -> Vec<(AccountId, AccountId)> {
        let accounts = self
            .dictionary
            .words()
            .filter_map(|(theirs, ours)| Some((theirs.parse().ok()?, ours.parse().ok()?)));
        accounts.collect()
    }

    fn live_account(&self, recorded: AccountId) -> Option<AccountId> {
        self.dictionary.live_word(&recorded.to_string())?.parse().ok()
    }

    fn decoded<T>(&self, decoded: Result<T, DecodeError>) -> Result<T, Difference> {
        decoded.or_else(|error| self.differs(&"something that can be decoded", &error))
    }
}

type Entry = (Vec<u8>, Vec<u8>);

fn all(tree: &Tree) -> BTreeSet<Entry> {
    tree.iter().map(|(key, value)| (key, value.to_vec())).collect()
}

/// Results of calls by their contract: the rest of the key is a hash of caller, round and contract, which all stand in the result.
/// Where it is another one it is kept, so that it differs.
fn by_contract(calls: BTreeSet<Entry>) -> BTreeSet<Entry> {
    let mut trees = Trees::default();
    for (key, result) in &calls {
        trees.calls.insert(key, result);
    }
    let follows = |result: &[u8]| {
        let call = CallObject::decode(result).ok()?;
        let Id::Account(caller) = call.caller else { return None };
        let found = trees.call_in_round(call.contract, caller, Round(call.nonce.0))?;
        (found == call).then_some(())
    };
    let named = calls.iter().map(|(key, result)| {
        let kept = if follows(result).is_some() { 32 } else { key.len() };
        (key.get(..kept).unwrap_or(key).to_vec(), result.clone())
    });
    named.collect()
}

/// The pairs of a serialized tree of calls (`docs/protocol/encodings` §4.6).
fn call_entries(bytes: &[u8]) -> Result<BTreeSet<Entry>, DecodeError> {
    let mut fields = Fields::of_version(bytes, 622, 1)?;
    let mut map = Fields::of_version(fields.bytes()?, 63, 1)?;
    fields.end()?;
    let mut pairs = map.list()?;
    map.end()?;
    let mut entries = BTreeSet::new();
    while !pairs.is_empty() {
        let mut pair = Fields::of_version(pairs.bytes()?, 64, 1)?;
        entries.insert((pair.bytes()?.to_vec(), pair.bytes()?.to_vec()));
        pair.end()?;
    }
    Ok(entries)
}

fn shown(account: Option<Account>) -> String {
    account.map_or("nothing of this account".to_owned(), |account| {
        format!("a balance of {} and a nonce of {}", account.balance, account.nonce)
    })
}

fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().take(40).map(|byte| format!("{byte:02x}")).collect();
    if bytes.len() > 40 { format!("{digits}… ({} bytes)", bytes.len()) } else { digits }
}
