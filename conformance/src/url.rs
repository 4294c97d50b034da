//! The address of a recorded socket, with what it names replaced.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::sync::{Mutex, PoisonError};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use strait_encoding::AccountId;

use crate::dictionary::Dictionary;
use crate::session::{Act, Session, SessionError};

const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Ports that this process has given to sessions: none is given twice.
static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// The parameters of a URL, decoded, in their order.
pub(crate) fn parameters(url: &str) -> Vec<(String, String)> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

/// The accounts of initiator and responder in a recording.
///
/// # Errors
/// More than one account for a side: a session has two parties.
pub(crate) fn accounts(session: &Session) -> Result<[Option<AccountId>; 2], SessionError> {
    let mut accounts = [None; 2];
    for (number, step) in session.steps.iter().enumerate() {
        let Act::Open(url) = &step.act else { continue };
        for (name, value) in parameters(url) {
            let side = match &*name {
                "initiator_id" => 0,
                "responder_id" => 1,
                _ => continue,
            };
            let Ok(account) = value.parse::<AccountId>() else { continue };
            if is_nobody(account) || accounts[side] == Some(account) {
                continue;
            }
            if accounts[side].replace(account).is_some() {
                let what = "another account than before on the same side";
                return Err(SessionError::Step { name: session.name.clone(), step: number, what });
            }
        }
    }
    Ok(accounts)
}

/// A made-up key, small as a number, that stands in a recording for somebody who does not exist.
fn is_nobody(account: AccountId) -> bool {
    account.0[..16] == [0; 16]
}

/// Replaces what recorded addresses name: accounts, channels, secrets and transactions by what they stand for, ports by
/// free ones. What stands for nothing stays: a wrong secret stays wrong.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    ports: BTreeMap<String, u16>,
}

impl Addresses {
    /// The address to open instead of `recorded`, at the interface `ws_url`.
    pub fn live(&mut self, recorded: &str, ws_url: &str, dictionary: &Dictionary) -> std::io::Result<String> {
        let mut url = ws_url.to_owned();
        for (place, (name, value)) in parameters(recorded).into_iter().enumerate() {
            let value =
                match (&*name, dictionary.live_word(&value).or_else(|| dictionary.live_tx_text(&value))) {
                    ("port", _) => self.port(value)?.to_string(),
                    (_, Some(live)) => live.to_owned(),
                    (_, None) => value,
                };
            url.push(if place == 0 { '?' } else { '&' });
            url.extend(utf8_percent_encode(&name, KEPT));
            url.push('=');
            url.extend(utf8_percent_encode(&value, KEPT));
        }
        Ok(url)
    }

    fn port(&mut self, recorded: String) -> std::io::Result<u16> {
        match self.ports.get(&recorded) {
            Some(port) => Ok(*port),
            None => {
                let port = free_port()?;
                self.ports.insert(recorded, port);
                Ok(port)
            }
        }
    }
}

fn free_port() -> std::io::Result<u16> {
    loop {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        if GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(port) {
            return Ok(port);
        }
    }
}

#[cfg(test)]
mod tests {
    use strait_client::Role;
    use strait_encoding::NetworkId;

    use super::*;
    use crate::dictionary::Parties;
    use crate::session::Step;

    fn dictionary() -> Dictionary {
        let parties = |n| {
            let accounts = [Some(AccountId([n; 32])), Some(AccountId([n + 1; 32]))];
            Parties { accounts, network: NetworkId("ae_dev".to_owned()) }
        };
        Dictionary::new(parties(1), parties(3), false)
    }

    #[test]
    fn what_is_known_is_replaced_and_the_rest_stays() {
        let mut dictionary = dictionary();
        dictionary.bind("ba_a+/", "ba_b+/").unwrap();
        let account = |n| AccountId([n; 32]).to_string();
        let recorded = format!(
            "ws://localhost:3014/channel?initiator_id={}&fsm=ba_a%2B%2F&wrong=ba_c&port=36222&amount=-1",
            account(1)
        );
        let mut addresses = Addresses::default();
        let live = addresses.live(&recorded, "ws://here/channel", &dictionary).unwrap();
        let again = addresses.live(&recorded, "ws://here/channel", &dictionary).unwrap();
        assert_eq!(live, again);
        let port = parameters(&live).into_iter().find(|(name, _)| name == "port").unwrap().1;
        assert_ne!(port, "36222");
        let expected = format!(
            "ws://here/channel?initiator_id={}&fsm=ba_b%2B%2F&wrong=ba_c&port={port}&amount=-1",
            account(3)
        );
        assert_eq!(live, expected);
    }

    #[test]
    fn somebody_made_up_is_nobodys_account() {
        let mut nobody = [0; 32];
        nobody[31] = 3;
        let url = |a: AccountId| {
            Act::Open(format!("ws://x/channel?initiator_id={a}&responder_id={}", AccountId([9; 32])))
        };
        let open = |account| Step { actor: Role::Initiator, act: url(account) };
        let mut session = Session {
            name: "test".to_owned(),
            steps: vec![open(AccountId(nobody)), open(AccountId([1; 32])), open(AccountId([1; 32]))],
        };
        assert_eq!(accounts(&session).unwrap(), [Some(AccountId([1; 32])), Some(AccountId([9; 32]))]);
        session.steps.push(open(AccountId([2; 32])));
        assert!(accounts(&session).is_err());
    }
}
