//! What the words of a recording are in the session that the stub plays.

use std::collections::BTreeMap;

use serde_json::Value;
use strait_conformance::{Act, Session};
use strait_encoding::hash::blake2b_of;
use strait_encoding::text::{self, Prefix};
use strait_encoding::{AccountId, Coins, NetworkId, Signature, SignedForm, TxHash, verify};
use strait_ledger::{Account, ProofBytes, SignedTx, StateProof, Trees, Tx};

use super::{NETWORK, Script};

const RECORDED_NETWORKS: [&str; 2] = ["ae_dev", "local_iris_testnet"];
const BOTH_FORMS: [SignedForm; 2] = [SignedForm::Hash, SignedForm::Plain];

pub struct Words {
    /// Accounts, channels and state hashes, wherever they stand as 32 bytes.
    bytes: BTreeMap<[u8; 32], [u8; 32]>,
    parties: Vec<(AccountId, AccountId)>,
    ports: BTreeMap<String, String>,
    /// Which signature of a recording is which of the session.
    signatures: BTreeMap<Signature, Signature>,
    /// The hashes of transactions, as far as the recorded ones can be read.
    hashes: BTreeMap<String, TxHash>,
    recorded_trees: Vec<Trees>,
    live_trees: Vec<Trees>,
    hashes_trees: bool,
    one_form: bool,
}

impl Words {
    pub fn of(script: &Script) -> Self {
        Self {
            bytes: BTreeMap::new(),
            parties: Vec::new(),
            ports: BTreeMap::new(),
            signatures: BTreeMap::new(),
            hashes: BTreeMap::new(),
            recorded_trees: all_trees(&script.session),
            live_trees: Vec::new(),
            hashes_trees: script.hashes_trees,
            one_form: script.one_form,
        }
    }

    pub fn live_accounts(&self) -> Vec<AccountId> {
        self.parties.iter().map(|(_, live)| *live).collect()
    }

    /// Learns the accounts from the URL of a client, and checks all else in it.
    pub fn learn_url(&mut self, recorded: &str, live: &str) -> Result<(), String> {
        let (recorded, live) = (parameters(recorded), parameters(live));
        let names = |all: &[(String, String)]| all.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        if names(&recorded) != names(&live) {
            return Err(format!("the parameters are {live:?}, expected {recorded:?}"));
        }
        for ((name, recorded), (_, live)) in recorded.iter().zip(&live) {
            match name.as_str() {
                "initiator_id" | "responder_id" => self.learn_party(recorded, live),
                "port" => {
                    let known = self.ports.entry(recorded.clone()).or_insert(live.clone());
                    if known != live || recorded == live {
                        return Err(format!("port {live}, after {known} for {recorded}"));
                    }
                }
                "offchain_tx" => self.check_offered_tx(recorded, live)?,
                _ => {
                    let expected = self.live_text(recorded, &|_| {});
                    if expected != *live {
                        return Err(format!("{name} is {live}, expected {expected}"));
                    }
                }
            }
        }
        Ok(())
    }

    fn learn_party(&mut self, recorded: &str, live: &str) {
        let (recorded, live): (AccountId, AccountId) = (recorded.parse().unwrap(), live.parse().unwrap());
        if recorded == live || self.parties.contains(&(recorded, live)) {
            return;
        }
        self.parties.push((recorded, live));
        self.bytes.insert(recorded.0, live.0);
        if self.parties.len() == 2 {
            for trees in self.recorded_trees.clone() {
                let ours = self.translated_trees(&trees);
                if self.hashes_trees {
                    self.bytes.insert(trees.state_hash().0, ours.state_hash().0);
                }
                self.live_trees.push(ours);
            }
        }
    }

    /// Checks what a client sends, and keeps the signatures that it makes.
    pub fn learn_message(&mut self, recorded: &Value, live: &Value) -> Result<(), String> {
        if let (Some(theirs), Some(ours)) =
            (recorded["params"]["signed_tx"].as_str(), live["params"]["signed_tx"].as_str())
        {
            self.learn_signatures(&read(theirs), &read(ours))?;
        }
        let (mut recorded, mut live) = (recorded.clone(), live.clone());
        for message in [&mut recorded, &mut live] {
            if let Some(place) = message["params"].get_mut("signed_tx") {
                *place = Value::Null;
            }
        }
        let expected = self.live_message(&recorded, &|_| {});
        if expected == live { Ok(()) } else { Err(format!("the client says {live}, expected {expected}")) }
    }

    fn learn_signatures(&mut self, recorded: &SignedTx, live: &SignedTx) -> Result<(), String> {
        for theirs in recorded.signatures() {
            let (party, form) =
                self.recorded_signer(recorded, theirs).ok_or("a stranger in the recording")?;
            let (_, account) = self.parties[party];
            let network = NetworkId(NETWORK.to_owned());
            let bytes = live.unsigned_bytes();
            let forms = if self.one_form { vec![form] } else { BOTH_FORMS.to_vec() };
            let ours = live
                .signatures()
                .iter()
                .find(|ours| verify(account, ours, &network, bytes, &forms).is_some());
            let ours = ours.ok_or_else(|| format!("no signature of {account} in the form {form:?}"))?;
            self.signatures.insert(*theirs, *ours);
        }
        if recorded.signatures().len() == live.signatures().len() {
            Ok(())
        } else {
            Err("too many signatures".into())
        }
    }

    fn recorded_signer(&self, tx: &SignedTx, signature: &Signature) -> Option<(usize, SignedForm)> {
        let networks = RECORDED_NETWORKS.map(|name| NetworkId(name.to_owned()));
        let pairs = networks
            .iter()
            .flat_map(|network| self.parties.iter().enumerate().map(move |party| (network, party)));
        pairs.into_iter().find_map(|(network, (place, (account, _)))| {
            Some((place, verify(*account, signature, network, tx.unsigned_bytes(), &BOTH_FORMS)?))
        })
    }

    /// The node does not read what clients offer, but it must be a transaction of this session.
    fn check_offered_tx(&self, recorded: &str, live: &str) -> Result<(), String> {
        let (theirs, ours) = (read(recorded), read(live));
        let same = theirs.kind() == ours.kind() && theirs.signatures().len() == ours.signatures().len();
        if same && recorded != live { Ok(()) } else { Err(format!("{ours:?} offered instead of {theirs:?}")) }
    }

    /// A recorded message as it is in this session, with `adjust` applied to its transactions.
    pub fn live_message(&mut self, recorded: &Value, adjust: &dyn Fn(&mut Tx)) -> Value {
        match recorded {
            Value::String(word) => self.live_text(word, adjust).into(),
            Value::Array(all) => all.iter().map(|value| self.live_message(value, adjust)).collect(),
            Value::Object(fields) => {
                fields.iter().map(|(name, value)| (name.clone(), self.live_message(value, adjust))).collect()
            }
            other => other.clone(),
        }
    }

    fn live_text(&mut self, recorded: &str, adjust: &dyn Fn(&mut Tx)) -> String {
        let bytes = |prefix| text::decode(prefix, recorded).ok();
        if let Some(bytes) = bytes(Prefix::Transaction) {
            return self.live_tx(&SignedTx::decode(&bytes).unwrap(), adjust).to_text();
        }
        if let Some(bytes) = bytes(Prefix::StateTrees) {
            let trees = self.translated_trees(&Trees::decode(&bytes).unwrap());
            return text::encode(Prefix::StateTrees, &trees.encode());
        }
        if let Some(bytes) = bytes(Prefix::Proof) {
            return text::encode(
                Prefix::Proof,
                &self.live_proof(&StateProof::decode(&bytes).unwrap()).encode(),
            );
        }
        for prefix in [Prefix::Account, Prefix::Channel] {
            if let Some(known) = bytes(prefix).and_then(|bytes| self.bytes.get(&bytes[..])) {
                return text::encode(prefix, known);
            }
        }
        // The reference shows raw bytes where a service should name the transaction.
        match self.hashes.get(&readable(recorded)) {
            Some(hash) if recorded.contains(char::REPLACEMENT_CHARACTER) => hash.to_string(),
            _ => recorded.to_owned(),
        }
    }

    fn live_tx(&mut self, recorded: &SignedTx, adjust: &dyn Fn(&mut Tx)) -> SignedTx {
        if let Some((_, hash)) = recorded.tx().agreed_state() {
            // Where no trees are shown any hash will do, as long as it is always the same.
            self.bytes.entry(hash.0).or_insert_with(|| blake2b_of(&[b"live", &hash.0]));
        }
        let mut tx = Tx::decode(&self.translated(recorded.tx().encode())).unwrap();
        self.translate_evidence(recorded.tx(), &mut tx);
        adjust(&mut tx);
        if let (Tx::ChannelCreate(theirs), Tx::ChannelCreate(ours)) = (recorded.tx(), &tx) {
            self.bytes.insert(theirs.channel_id().0, ours.channel_id().0);
        }
        let signatures = recorded.signatures().iter().filter_map(|signature| self.signatures.get(signature));
        let live = signatures.fold(SignedTx::unsigned(tx), |tx, signature| tx.with_signature(*signature));
        self.hashes.insert(readable(&String::from_utf8_lossy(&recorded.hash().0)), live.hash());
        live
    }

    /// What a transaction of one brings with it is more than a row of words.
    fn translate_evidence(&mut self, recorded: &Tx, live: &mut Tx) {
        let (theirs, ours) = match (recorded, live) {
            (Tx::ChannelCloseSolo(theirs), Tx::ChannelCloseSolo(ours)) => {
                ours.poi = self.live_proof_bytes(&theirs.poi);
                (&theirs.payload, &mut ours.payload)
            }
            (Tx::ChannelSlash(theirs), Tx::ChannelSlash(ours)) => {
                ours.poi = self.live_proof_bytes(&theirs.poi);
                (&theirs.payload, &mut ours.payload)
            }
            (Tx::ChannelSnapshotSolo(theirs), Tx::ChannelSnapshotSolo(ours)) => {
                (&theirs.payload, &mut ours.payload)
            }
            _ => return,
        };
        if !theirs.0.is_empty() {
            ours.0 = self.live_tx(&SignedTx::decode(&theirs.0).unwrap(), &|_| {}).encode();
        }
    }

    fn live_proof_bytes(&self, recorded: &ProofBytes) -> ProofBytes {
        ProofBytes(self.live_proof(&StateProof::decode(&recorded.0).unwrap()).encode())
    }

    fn live_proof(&self, recorded: &StateProof) -> StateProof {
        let known = self.recorded_trees.iter().zip(&self.live_trees);
        let (_, trees) =
            known.into_iter().find(|(trees, _)| trees.state_hash() == recorded.state_hash()).unwrap();
        let mut proof = StateProof::new(trees);
        for (theirs, ours) in &self.parties {
            if recorded.account(*theirs).is_ok() {
                proof.add_account(trees, *ours).unwrap();
            }
        }
        proof
    }

    fn translated_trees(&self, recorded: &Trees) -> Trees {
        let mut live = Trees::default();
        for (key, value) in recorded.accounts.iter() {
            live.accounts.insert(&self.translated(key), value);
        }
        live
    }

    fn translated(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        for place in 0..bytes.len().saturating_sub(31) {
            if let Some(known) = self.bytes.get(&bytes[place..place + 32]) {
                bytes[place..place + 32].copy_from_slice(known);
            }
        }
        bytes
    }
}

fn readable(raw: &str) -> String {
    raw.replace(char::REPLACEMENT_CHARACTER, "")
}

pub fn read(form: &str) -> SignedTx {
    SignedTx::decode(&text::decode(Prefix::Transaction, form).unwrap()).unwrap()
}

fn parameters(url: &str) -> Vec<(String, String)> {
    let pairs = url.split_once('?').unwrap().1.split('&').map(|pair| pair.split_once('=').unwrap());
    let decoded =
        |value: &str| percent_encoding::percent_decode_str(value).decode_utf8().unwrap().into_owned();
    pairs.map(|(name, value)| (name.to_owned(), decoded(value))).collect()
}

/// The trees that a recording shows, and those that its channels begin with.
fn all_trees(session: &Session) -> Vec<Trees> {
    let (mut all, mut pushed) = (Vec::new(), Coins::ZERO);
    for step in &session.steps {
        match &step.act {
            Act::Open(url) => {
                let found = parameters(url).into_iter().find(|(name, _)| name == "push_amount");
                pushed = found.and_then(|(_, value)| value.parse().ok()).map_or(Coins::ZERO, Coins);
            }
            Act::Receive(message) => {
                let trees = message["result"]["trees"].as_str();
                all.extend(
                    trees
                        .map(|form| Trees::decode(&text::decode(Prefix::StateTrees, form).unwrap()).unwrap()),
                );
                let first = message["params"]["data"]["signed_tx"].as_str().map(read);
                all.extend(first.and_then(|tx| first_trees(tx.tx(), pushed)));
            }
            _ => {}
        }
    }
    all
}

fn first_trees(tx: &Tx, pushed: Coins) -> Option<Trees> {
    let Tx::ChannelCreate(create) = tx else { return None };
    let mut trees = Trees::default();
    for (party, balance) in [
        (create.initiator_id, create.initiator_amount.0 - pushed.0),
        (create.responder_id, create.responder_amount.0 + pushed.0),
    ] {
        trees.set_account(party, &Account::new(Coins(balance)));
    }
    assert_eq!(trees.state_hash(), create.state_hash);
    Some(trees)
}
