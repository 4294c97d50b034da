//! Transactions, signatures and ids as they were recorded between real nodes (`kat.json`). The recordings are not part
//! of the project; without them the tests say so and pass.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::PathBuf;

use serde_json::Value;
use strait_encoding::hash::{blake2b, channel_id, channel_id_of_generalized, contract_id};
use strait_encoding::rlp::{Fields, List};
use strait_encoding::text::{self, Prefix};
use strait_encoding::{AccountId, NetworkId, Nonce, Signature, SignedForm, TxHash, verify};

#[test]
fn recorded_transactions_have_the_recorded_hashes_and_signers() {
    let Some(recorded) = recorded() else { return };
    let mut checked = 0;
    for case in recorded["signed_txs"].as_array().unwrap() {
        let bytes = text::decode(Prefix::Transaction, string(&case["signed_tx"])).unwrap();
        let (signatures, tx) = envelope(&bytes);
        // Recorded envelopes are sorted, so writing them again changes nothing.
        let again =
            List::object(11, 1).all_bytes(signatures.iter().map(|signature| signature.0)).bytes(tx).finish();
        assert_eq!(again, bytes);
        assert_eq!(TxHash(blake2b(&bytes)).to_string(), case["tx_hash"]);
        let signers = case["signers"].as_array().map_or(&[][..], |signers| &signers[..]);
        assert!(signers.len() <= signatures.len(), "{}", case["source"]);
        for signer in signers {
            let account: AccountId = string(&signer["pubkey"]).parse().unwrap();
            let signature =
                text::decode_array(Prefix::Signature, string(&signer["signature"])).map(Signature).unwrap();
            assert!(signatures.contains(&signature));
            let form = |network: &str| {
                let network = NetworkId(network.to_owned());
                verify(account, &signature, &network, tx, &[SignedForm::Hash, SignedForm::Plain])
            };
            assert_eq!(form(string(&signer["network_id"])), Some(SignedForm::Plain), "{}", case["source"]);
            assert_eq!(form("ae_mainnet"), None);
            checked += 1;
        }
    }
    assert!(checked >= 20, "only {checked} signatures were checked");
}

#[test]
fn recorded_ids_follow_from_their_parts() {
    let Some(recorded) = recorded() else { return };
    let account = |value: &Value| string(value).parse::<AccountId>().unwrap();
    let channels = recorded["channel_ids"].as_array().unwrap();
    assert!(!channels.is_empty());
    for case in channels {
        let (initiator, responder) = (account(&case["initiator"]), account(&case["responder"]));
        let id = match case["nonce"].as_u64() {
            Some(nonce) => channel_id(initiator, Nonce(nonce), responder),
            None => {
                let auth = string(&case["nonce"]).trim_start_matches("0x");
                channel_id_of_generalized(
                    initiator,
                    hex::decode(auth).unwrap().try_into().unwrap(),
                    responder,
                )
            }
        };
        assert_eq!(id.to_string(), case["channel_id"], "{}", case["source"]);
    }
    let contracts = recorded["contract_ids"].as_array().unwrap();
    assert!(!contracts.is_empty());
    for case in contracts {
        let id = contract_id(account(&case["owner"]), case["round"].as_u64().unwrap());
        assert_eq!(id.to_string(), case["contract_id"]);
    }
}

fn envelope(bytes: &[u8]) -> (Vec<Signature>, &[u8]) {
    let mut fields = Fields::of_version(bytes, 11, 1).unwrap();
    let mut list = fields.list().unwrap();
    let mut signatures = Vec::new();
    while !list.is_empty() {
        signatures.push(Signature(list.array().unwrap()));
    }
    let tx = fields.bytes().unwrap();
    fields.end().unwrap();
    (signatures, tx)
}

fn string(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[expect(clippy::disallowed_methods, reason = "a test may read its environment")]
fn recorded() -> Option<Value> {
    let beside = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/recorded"));
    let path = std::env::var("STRAIT_RECORDED").map_or_else(|_| beside(), PathBuf::from).join("kat.json");
    match std::fs::read_to_string(&path) {
        Ok(content) => Some(serde_json::from_str(&content).unwrap()),
        Err(error) => {
            println!("skipped: no recordings at {}: {error}", path.display());
            None
        }
    }
}
