//! What of a recording stands for what of the session that is played.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use strait_client::Role;
use strait_encoding::hash::{blake2b, contract_id};
use strait_encoding::text::{self, Prefix};
use strait_encoding::{AccountId, ChannelId, NetworkId, Signature, SignedForm, TxHash, verify};
use strait_ledger::{CreateTx, SignedTx, Tx};

/// The networks that recordings were made in; one word of each signature.
const NETWORKS: [&str; 5] = ["ae_dev", "local_iris_testnet", "local_lima_testnet", "ae_uat", "ae_mainnet"];

/// Parameters and fields whose value is free, unless a client asked for it.
pub(crate) const FREE: [&str; 8] =
    ["fee", "nonce", "ttl", "gas_price", "height", "block_height", "top_block_height", "locked_until"];

/// Who signed, and in which form.
pub(crate) type Signers = BTreeMap<Role, SignedForm>;

/// The two parties on one side: of the recording, or of the session that is played.
#[derive(Clone, Debug)]
pub(crate) struct Parties {
    /// Initiator and responder; none where the recording names nobody.
    pub accounts: [Option<AccountId>; 2],
    /// The network that they sign for.
    pub network: NetworkId,
}

/// Kinds of words that stand as 32 bytes inside other things.
const EMBEDDED: [Prefix; 3] = [Prefix::Account, Prefix::Channel, Prefix::Contract];

/// In which rounds of a recording contracts may come to be.
const ROUNDS: u64 = 128;

/// What stands for what. Words of the recording are bound to those of the played session on first sight, one to one.
#[derive(Debug)]
pub(crate) struct Dictionary {
    live_words: BTreeMap<String, String>,
    recorded_words: BTreeMap<String, String>,
    /// The ids among them, as they stand inside other things.
    ids: BTreeMap<[u8; 32], [u8; 32]>,
    asked: BTreeSet<(String, String)>,
    txs: BTreeMap<Vec<u8>, SignedTx>,
    tx_texts: BTreeMap<String, String>,
    /// The parties of the recording.
    pub recorded: Parties,
    /// The parties of the played session.
    pub live: Parties,
    /// Whether create transactions of version 1 stand for such of version 2.
    pub creates_are_old: bool,
}

impl Dictionary {
    /// A dictionary that knows the accounts of both sides.
    pub fn new(recorded: Parties, live: Parties, creates_are_old: bool) -> Self {
        let mut dictionary = Self {
            live_words: BTreeMap::new(),
            recorded_words: BTreeMap::new(),
            ids: BTreeMap::new(),
            asked: BTreeSet::new(),
            txs: BTreeMap::new(),
            tx_texts: BTreeMap::new(),
            recorded,
            live,
            creates_are_old,
        };
        for side in [0, 1] {
            if let (Some(recorded), Some(live)) =
                (dictionary.recorded.accounts[side], dictionary.live.accounts[side])
            {
                dictionary.know(recorded.to_string(), live.to_string());
                // The name of a contract follows from who creates it in which round.
                for round in 1..=ROUNDS {
                    let (recorded, live) = (contract_id(recorded, round), contract_id(live, round));
                    dictionary.know(recorded.to_string(), live.to_string());
                    let (recorded, live) = (AccountId(recorded.0), AccountId(live.0));
                    dictionary.know(recorded.to_string(), live.to_string());
                }
            }
        }
        dictionary
    }

    fn know(&mut self, recorded: String, live: String) {
        let id = |word: &str| EMBEDDED.into_iter().find_map(|prefix| text::decode_array(prefix, word).ok());
        if let (Some(recorded), Some(live)) = (id(&recorded), id(&live)) {
            self.ids.insert(recorded, live);
        }
        self.live_words.insert(recorded.clone(), live.clone());
        self.recorded_words.insert(live, recorded);
    }

    /// Binds two words, or checks that they are bound to each other; `Err` is what was expected instead of `live`.
    pub fn bind(&mut self, recorded: &str, live: &str) -> Result<(), String> {
        match (self.live_words.get(recorded), self.recorded_words.get(live)) {
            (Some(expected), _) if expected == live => Ok(()),
            (Some(expected), _) => Err(expected.clone()),
            (None, Some(other)) => Err(format!("something new: it already stands for {other}")),
            (None, None) => {
                self.know(recorded.to_owned(), live.to_owned());
                Ok(())
            }
        }
    }

    /// What a recorded word stands for.
    pub fn live_word(&self, recorded: &str) -> Option<&str> {
        self.live_words.get(recorded).map(String::as_str)
    }

    /// Recorded bytes with every id that is known in them replaced by what it stands for.
    pub fn live_bytes(&self, recorded: &[u8]) -> Vec<u8> {
        let mut bytes = recorded.to_vec();
        let mut place = 0;
        while let Some(window) = bytes.get_mut(place..place + 32) {
            match self.ids.get(&*window) {
                Some(live) => {
                    window.copy_from_slice(live);
                    place += 32;
                }
                None => place += 1,
            }
        }
        bytes
    }

    /// What a recorded word is sent as: what it stands for, or, where it holds the arguments of a contract, the same with what
    /// the ids in them stand for.
    pub fn sent(&self, recorded: &str) -> String {
        if let Some(live) = self.live_word(recorded) {
            return live.to_owned();
        }
        match text::decode(Prefix::ContractBytes, recorded) {
            Ok(bytes) => text::encode(Prefix::ContractBytes, &self.live_bytes(&bytes)),
            Err(_) => recorded.to_owned(),
        }
    }

    /// Every pair of bound words.
    pub fn words(&self) -> impl Iterator<Item = (&str, &str)> {
        self.live_words.iter().map(|(recorded, live)| (recorded.as_str(), live.as_str()))
    }

    /// Remembers which values a client asks for, by the names of its parameters.
    pub fn ask<'a>(&mut self, parameters: impl IntoIterator<Item = (&'a str, String)>) {
        let free = parameters.into_iter().filter(|(name, _)| FREE.contains(name));
        self.asked.extend(free.map(|(name, value)| (name.to_owned(), value)));
    }

    /// Whether the value of a field is free: its name is of that kind, and no client asked for this value.
    pub fn is_free(&self, name: &str, recorded: &Value) -> bool {
        FREE.contains(&name) && !self.asked.contains(&(name.to_owned(), recorded.to_string()))
    }

    /// The transaction that a recorded one stands for, with the signatures that it was last seen with. Meta transactions around
    /// them do not matter: it is the innermost one that was proposed.
    pub fn live_tx(&self, recorded: &SignedTx) -> Option<&SignedTx> {
        self.txs.get(recorded.innermost().unsigned_bytes())
    }

    /// The text of the signed transaction that a recorded one stands for.
    pub fn live_tx_text(&self, recorded: &str) -> Option<&str> {
        self.tx_texts.get(recorded).map(String::as_str)
    }

    /// The create transaction of a channel of the played session, where it was shown.
    pub fn create_of(&self, channel: ChannelId) -> Option<&CreateTx> {
        self.txs.values().find_map(|tx| match tx.innermost().tx() {
            Tx::ChannelCreate(create) if tx.channel_id() == Some(channel) => Some(create),
            _ => None,
        })
    }

    /// The hash of the transaction that stands for the recorded one with this hash, as the reference shows it: raw bytes,
    /// of which only those are left that are text.
    pub fn live_hash(&self, raw: &str) -> Option<TxHash> {
        let is_it = |recorded: &str| {
            hash_of(recorded).is_some_and(|hash| readable(&String::from_utf8_lossy(&hash.0)) == readable(raw))
        };
        self.tx_texts.iter().find(|(recorded, _)| is_it(recorded)).and_then(|(_, live)| hash_of(live))
    }

    /// Remembers what a recorded transaction stands for. Unsigned, it is a new proposal; with signatures it must be the
    /// transaction that was proposed, whatever in it is free. Gives whether it is.
    pub fn bind_tx(&mut self, recorded: (&str, &SignedTx), live: (&str, &SignedTx)) -> bool {
        let known = self.live_tx(recorded.1);
        let is_other = |known: &SignedTx| !known.innermost().same_tx(live.1.innermost());
        if recorded.1.authentications() > 0 && known.is_some_and(is_other) {
            return false;
        }
        self.txs.insert(recorded.1.innermost().unsigned_bytes().to_vec(), live.1.clone());
        self.tx_texts.insert(recorded.0.to_owned(), live.0.to_owned());
        true
    }
}

fn hash_of(tx: &str) -> Option<TxHash> {
    text::decode(Prefix::Transaction, tx).ok().map(|bytes| TxHash(blake2b(&bytes)))
}

/// A text without the marks that stand for what is none: how many there are for some bytes is not the same everywhere.
fn readable(raw: &str) -> String {
    raw.replace(char::REPLACEMENT_CHARACTER, "")
}

impl Parties {
    /// The parties of a recording, with the network that the signatures of `txs` were made for.
    pub fn of_recording(accounts: [Option<AccountId>; 2], txs: &[SignedTx]) -> Self {
        let networks = NETWORKS.map(|name| Self { accounts, network: NetworkId(name.to_owned()) });
        let [first, ..] = networks.clone();
        let signed = |parties: &Self| {
            txs.iter().any(|tx| parties.signers(tx).is_ok_and(|signers| !signers.is_empty()))
        };
        networks.into_iter().find(signed).unwrap_or(first)
    }

    /// Who of the parties signed a transaction, the innermost one where there are meta transactions around it; `Err` is the
    /// number of signatures that are nobody's.
    pub fn signers(&self, tx: &SignedTx) -> Result<Signers, usize> {
        let tx = tx.innermost();
        let mut signers = Signers::new();
        for signature in tx.signatures() {
            signers.extend(self.signer(tx, signature));
        }
        match tx.signatures().len() - signers.len() {
            0 => Ok(signers),
            left_over => Err(left_over),
        }
    }

    fn signer(&self, tx: &SignedTx, signature: &Signature) -> Option<(Role, SignedForm)> {
        [Role::Initiator, Role::Responder].into_iter().zip(self.accounts).find_map(|(role, account)| {
            let forms = [SignedForm::Hash, SignedForm::Plain];
            let form = verify(account?, signature, &self.network, tx.unsigned_bytes(), &forms)?;
            Some((role, form))
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use strait_encoding::{Round, SecretKey, StateHash};
    use strait_ledger::OffchainTx;

    use super::*;

    fn parties(seed: u8) -> Parties {
        let account = |n| Some(SecretKey::from_seed([seed + n; 32]).account());
        Parties { accounts: [account(0), account(1)], network: NetworkId("ae_dev".to_owned()) }
    }

    fn tx(round: u64) -> SignedTx {
        let (channel_id, state_hash) = (ChannelId([1; 32]), StateHash([2; 32]));
        SignedTx::unsigned(OffchainTx { channel_id, round: Round(round), state_hash })
    }

    #[test]
    fn words_are_bound_one_to_one() {
        let mut dictionary = Dictionary::new(parties(1), parties(3), false);
        dictionary.bind("ba_a", "ba_x").unwrap();
        dictionary.bind("ba_a", "ba_x").unwrap();
        assert_eq!(dictionary.bind("ba_a", "ba_y").unwrap_err(), "ba_x");
        assert!(dictionary.bind("ba_b", "ba_x").unwrap_err().contains("ba_a"));
        dictionary.bind("ba_b", "ba_y").unwrap();
        let [Some(recorded), _] = dictionary.recorded.accounts else { panic!() };
        let [Some(live), _] = dictionary.live.accounts else { panic!() };
        assert_eq!(dictionary.live_word(&recorded.to_string()), Some(live.to_string().as_str()));
    }

    #[test]
    fn ids_are_replaced_inside_the_arguments_of_contracts() {
        let (recorded, live) = (parties(1), parties(3));
        let dictionary = Dictionary::new(recorded.clone(), live.clone(), false);
        let ([Some(theirs), _], [_, Some(other)]) = (recorded.accounts, recorded.accounts) else { panic!() };
        let ([Some(ours), _], [_, Some(our_other)]) = (live.accounts, live.accounts) else { panic!() };
        let arguments = |first: AccountId, second: AccountId| {
            [&[0x2b][..], &first.0, &[0x9f, 0x00, 0xa0], &second.0, &[7; 40]].concat()
        };
        assert_eq!(dictionary.live_bytes(&arguments(theirs, other)), arguments(ours, our_other));
        let text = |bytes: Vec<u8>| text::encode(Prefix::ContractBytes, &bytes);
        assert_eq!(dictionary.sent(&text(arguments(theirs, other))), text(arguments(ours, our_other)));
        assert_eq!(dictionary.sent(&theirs.to_string()), ours.to_string());
        for strange in ["ABCDEFG", "cb_ABCDEFG", ""] {
            assert_eq!(dictionary.sent(strange), strange);
        }
    }

    #[test]
    fn a_value_is_free_until_a_client_asks_for_it() {
        let mut dictionary = Dictionary::new(parties(1), parties(3), false);
        assert!(dictionary.is_free("fee", &json!(5)));
        assert!(!dictionary.is_free("amount", &json!(5)));
        dictionary.ask([("fee", "5".to_owned()), ("amount", "6".to_owned())]);
        assert!(!dictionary.is_free("fee", &json!(5)));
        assert!(dictionary.is_free("fee", &json!(6)));
    }

    #[test]
    fn what_is_signed_must_be_what_was_proposed() {
        let mut dictionary = Dictionary::new(parties(1), parties(3), false);
        let signature =
            SecretKey::from_seed([1; 32]).sign(&NetworkId("ae_dev".into()), b"", SignedForm::Hash);
        let signed = |tx: SignedTx| tx.with_signature(signature);
        assert!(dictionary.bind_tx(("tx_1", &tx(1)), ("tx_5", &tx(5))));
        assert!(dictionary.bind_tx(("tx_1s", &signed(tx(1))), ("tx_5s", &signed(tx(5)))));
        assert!(!dictionary.bind_tx(("tx_1s", &signed(tx(1))), ("tx_6s", &signed(tx(6)))));
        assert!(dictionary.bind_tx(("tx_1", &tx(1)), ("tx_6", &tx(6))));
        assert_eq!(dictionary.live_tx(&signed(tx(1))), Some(&tx(6)));
        assert_eq!(dictionary.live_tx_text("tx_1s"), Some("tx_5s"));
    }

    #[test]
    fn signers_are_found_with_their_form_and_network() {
        let accounts = parties(1).accounts;
        let network = NetworkId("local_iris_testnet".to_owned());
        let sign =
            |seed: u8, form| SecretKey::from_seed([seed; 32]).sign(&network, tx(1).unsigned_bytes(), form);
        let signed =
            tx(1).with_signature(sign(1, SignedForm::Plain)).with_signature(sign(2, SignedForm::Hash));
        let parties = Parties::of_recording(accounts, std::slice::from_ref(&signed));
        assert_eq!(parties.network, network);
        let expected = [(Role::Initiator, SignedForm::Plain), (Role::Responder, SignedForm::Hash)];
        assert_eq!(parties.signers(&signed), Ok(expected.into_iter().collect()));
        assert_eq!(parties.signers(&signed.with_signature(sign(9, SignedForm::Hash))), Err(1));
    }
}
