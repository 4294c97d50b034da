//! Transactions, state hashes and proofs that a node recorded: `kat.json` in the folder that the environment variable
//! `STRAIT_RECORDED` names, or in `recorded` next to the project's folder. Not part of the project; where it is absent,
//! these tests say so and check nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use strait_encoding::text::{self, Prefix};
use strait_encoding::{
    AccountId, Coins, ContractId, Height, KeyBlockHash, NetworkId, Nonce, Round, StateHash, hash,
};
use strait_ledger::rules::{self, BlockEnv, ChainState};
use strait_ledger::{
    Account, ChannelObject, DEFAULT_MINER_GAS_PRICE, Delegates, ForceProgressTx, FrozenAuth, MIN_GAS_PRICE,
    Protocol, SignedTx, StateProof, Trees, Tx, choose_fee, fee_gas, split_mutual_close,
};

#[expect(clippy::disallowed_methods, reason = "a test may ask where its data is")]
fn folder() -> PathBuf {
    std::env::var("STRAIT_RECORDED").map_or_else(
        |_| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/recorded"),
        PathBuf::from,
    )
}

/// One list of the file; nothing, with a message, where there is no file.
fn recorded(list: &str) -> Vec<Value> {
    let file = folder().join("kat.json");
    let Ok(content) = fs::read_to_string(&file) else {
        eprintln!("skipped: {} is not there", file.display());
        return Vec::new();
    };
    let mut all: Value = serde_json::from_str(&content).unwrap();
    let list: Vec<Value> = serde_json::from_value(all[list].take()).unwrap();
    assert!(!list.is_empty(), "the recording has something to check");
    list
}

/// The recorded rounds of channels with contracts; nothing, with a message, where there are none.
pub fn contract_rounds() -> Option<Vec<PathBuf>> {
    let folder = folder().join("contract_rounds");
    let Ok(entries) = fs::read_dir(&folder) else {
        eprintln!("skipped: {} is not there", folder.display());
        return None;
    };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    Some(files)
}

fn string(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn tx_bytes(recording: &Value) -> Vec<u8> {
    text::decode(Prefix::Transaction, string(&recording["signed_tx"])).unwrap()
}

fn all(recordings: &[Value]) -> Vec<(&Value, SignedTx)> {
    recordings.iter().map(|recording| (recording, SignedTx::decode(&tx_bytes(recording)).unwrap())).collect()
}

/// The recordings that are not wrapped in a meta transaction.
fn plain(recordings: &[Value]) -> Vec<(&Value, SignedTx)> {
    all(recordings).into_iter().filter(|(recording, _)| recording["tx_type"] != "ga_meta_tx").collect()
}

#[test]
fn transactions_are_written_as_they_were_recorded() {
    for (recording, signed) in all(&recorded("signed_txs")) {
        let innermost = signed.innermost().kind().event_name();
        assert_eq!(innermost, string(&recording["innermost_type"]));
        assert_eq!(signed.encode(), tx_bytes(recording));
        assert_eq!(signed.to_text(), string(&recording["signed_tx"]));
        assert_eq!(signed.hash().to_string(), string(&recording["tx_hash"]));
        assert_eq!(signed.kind().event_name(), string(&recording["tx_type"]));
        assert_eq!(Some(signed.tx().version()), recording["version"].as_u64());
        assert_eq!(Some(signed.unsigned_bytes().len() as u64), recording["unsigned_size"].as_u64());
    }
}

#[test]
fn the_fields_of_transactions_are_those_recorded() {
    for (recording, signed) in plain(&recorded("signed_txs")) {
        let json = signed.tx().to_json();
        for (field, value) in recording["decoded"].as_object().unwrap() {
            match value {
                Value::Number(number) if field == "ttl" => {
                    assert_eq!(signed.tx().ttl().to_string(), number.to_string())
                }
                Value::Number(_) if field != "_vsn" => assert_eq!(&json[field], value, "{field}"),
                Value::String(text) if text.starts_with("ak_") || text.starts_with("ch_") => {
                    assert_eq!(&json[field], value, "{field}");
                }
                Value::String(digits) if field == "state_hash" => {
                    let bytes = hex::decode(digits.trim_start_matches("0x")).unwrap();
                    assert_eq!(json[field], text::encode(Prefix::StateHash, &bytes));
                }
                _ => {}
            }
        }
    }
}

#[test]
fn signatures_are_of_the_accounts_recorded_and_no_others() {
    let mut checked = 0;
    for (recording, signed) in plain(&recorded("signed_txs")) {
        let Some(signers) = recording["signers"].as_array() else {
            assert!(signed.signatures().is_empty());
            continue;
        };
        let network = NetworkId(string(&signers[0]["network_id"]).to_owned());
        let accounts: Vec<AccountId> =
            signers.iter().map(|signer| string(&signer["pubkey"]).parse().unwrap()).collect();
        assert_eq!(signed.verify(&network, &accounts).unwrap().signers(), accounts);
        for signer in signers {
            assert!(signed.signatures().iter().any(|s| s.to_string() == string(&signer["signature"])));
        }
        signed.verify(&network, &accounts[1..]).expect_err("a signature is left over");
        signed.verify(&NetworkId("ae_dev".to_owned()), &accounts).expect_err("another network");
        checked += accounts.len();
    }
    assert!(checked > 10 || recorded("signed_txs").is_empty());
}

#[test]
fn channel_ids_are_those_recorded() {
    for recording in recorded("channel_ids") {
        let party = |name: &str| string(&recording[name]).parse::<AccountId>().unwrap();
        let (initiator, responder) = (party("initiator"), party("responder"));
        let id = match recording["nonce"].as_u64() {
            Some(nonce) => hash::channel_id(initiator, Nonce(nonce), responder),
            None => {
                let digits = string(&recording["nonce"]).trim_start_matches("0x");
                let auth_id = hex::decode(digits).unwrap().try_into().unwrap();
                hash::channel_id_of_generalized(initiator, auth_id, responder)
            }
        };
        assert_eq!(id.to_string(), string(&recording["channel_id"]));
    }
}

/// Off-chain trees with the balances of a recording.
fn trees(balances: &Value) -> Trees {
    let mut trees = Trees::default();
    for (id, balance) in balances.as_object().unwrap() {
        let balance = Coins(balance.as_u64().unwrap().into());
        trees.set_account(id.parse().unwrap(), &Account::new(balance));
    }
    trees
}

#[test]
fn state_hashes_are_those_recorded() {
    for recording in recorded("state_hashes") {
        let trees = trees(&recording["balances"]);
        assert_eq!(hex::encode(trees.accounts.root_or_zero()), string(&recording["accounts_root"]));
        assert_eq!(trees.state_hash().to_string(), string(&recording["api"]));
        assert_eq!(
            trees.state_hash(),
            StateHash(hex::decode(string(&recording["state_hash"])).unwrap().try_into().unwrap())
        );
    }
}

#[test]
fn contract_ids_are_those_recorded() {
    for recording in recorded("contract_ids") {
        let owner = string(&recording["owner"]).parse().unwrap();
        let id = hash::contract_id(owner, recording["round"].as_u64().unwrap());
        assert_eq!(Ok(id), string(&recording["contract_id"]).parse::<ContractId>());
    }
}

#[test]
fn proofs_are_those_recorded() {
    for recording in recorded("poi") {
        let bytes = text::decode(Prefix::Proof, string(&recording["poi"])).unwrap();
        let proof = StateProof::decode(&bytes).unwrap();
        assert_eq!(proof.encode(), bytes);
        assert_eq!(hex::encode(proof.state_hash()), string(&recording["poi_hash"]));
        let trees = trees(&recording["accounts"]);
        let mut rebuilt = StateProof::new(&trees);
        for id in recording["accounts"].as_object().unwrap().keys() {
            let id = id.parse().unwrap();
            assert_eq!(proof.account(id).unwrap(), trees.account(id).unwrap());
            rebuilt.add_account(&trees, id).unwrap();
        }
        // A proof may show less than all accounts of the state.
        if trees.state_hash() == proof.state_hash() {
            assert_eq!(rebuilt.encode(), bytes);
        }
    }
}

#[test]
fn fees_are_those_recorded_where_nobody_chose_one() {
    let mut default = 0;
    for (_, signed) in plain(&recorded("signed_txs")) {
        let tx = signed.tx().clone();
        let usual = DEFAULT_MINER_GAS_PRICE.checked_mul(fee_gas(&tx, Protocol::Iris).into()).unwrap();
        if tx.fee() == usual && tx.fee() > Coins::ZERO {
            default += 1;
            assert_eq!(choose_fee(tx.clone(), None, None, Protocol::Iris).unwrap(), tx);
        }
    }
    assert!(default > 10 || recorded("signed_txs").is_empty());
}

#[test]
fn closes_by_agreement_split_the_fee_as_recorded() {
    // All recordings open with these balances, and some close with them too.
    let opening = recorded("state_hashes");
    let closes = recorded("signed_txs");
    let closes = plain(&closes);
    let mut checked = 0;
    for (_, signed) in closes {
        let Tx::ChannelCloseMutual(close) = signed.tx() else { continue };
        let balances = opening[0]["balances"].as_object().unwrap();
        let mut balances: Vec<_> =
            balances.values().map(|coins| Coins(coins.as_u64().unwrap().into())).collect();
        balances.sort();
        let split = split_mutual_close(balances[1], balances[0], close.fee);
        assert_eq!(split, Some((close.initiator_amount_final, close.responder_amount_final)));
        checked += 1;
    }
    assert!(checked > 1 || opening.is_empty());
}

/// A chain that knows the channel of a forced progress: as its payload, or, without one, its trees say.
fn chain_of(tx: &ForceProgressTx) -> ChainState {
    let trees = Trees::decode(&tx.offchain_trees.0).unwrap();
    let contracts: Vec<_> = trees.contracts.iter().map(|(key, _)| key[..32].to_vec()).collect();
    let accounts = trees.accounts.iter().map(|(key, _)| key).filter(|key| !contracts.contains(key));
    let mut parties = accounts.map(|key| AccountId(key.try_into().unwrap()));
    let (initiator_id, responder_id) = (parties.next().unwrap(), parties.next().unwrap());
    assert_eq!(parties.next(), None);
    let mut state = ChainState::default();
    for id in [initiator_id, responder_id] {
        let nonce = Nonce(if id == tx.from_id { tx.nonce.0 - 1 } else { 0 });
        let account = Account { nonce, ..Account::new(Coins(10_u128.pow(18))) };
        state.trees.set_account(id, &account);
    }
    let is_known = tx.payload.0.is_empty();
    let channel = ChannelObject {
        initiator_id,
        responder_id,
        channel_amount: Coins(110_000_000_000_000),
        initiator_amount: Coins(70_000_000_000_000),
        responder_amount: Coins(40_000_000_000_000),
        channel_reserve: Coins(2),
        delegates: Delegates::Each { initiator: Vec::new(), responder: Vec::new() },
        state_hash: if is_known { trees.state_hash() } else { StateHash([5; 32]) },
        round: Round(if is_known { tx.round.0 - 1 } else { 1 }),
        solo_round: Round(0),
        lock_period: 10,
        locked_until: Height(0),
        initiator_auth: FrozenAuth::Basic,
        responder_auth: FrozenAuth::Basic,
    };
    state.trees.set_channel(tx.channel_id, &channel);
    state
}

#[test]
fn forced_progress_that_a_node_took_meets_every_condition() {
    let (mut bases, recordings) = ([0, 0], recorded("signed_txs"));
    for (_, signed) in plain(&recordings) {
        let Tx::ChannelForceProgress(tx) = signed.tx() else { continue };
        let apply = |network: &str| {
            let network = NetworkId(network.to_owned());
            let env = BlockEnv {
                network: &network,
                height: Height(100),
                key_hash: KeyBlockHash::ZERO,
                time_ms: 0,
                protocol: Protocol::Iris,
                min_gas_price: MIN_GAS_PRICE,
                solo_round_switch: rules::SOLO_ROUND_SWITCH,
                beneficiary: AccountId::ZERO,
                difficulty: 1,
                key_blocks: const { &BTreeMap::new() },
                machine: None,
            };
            rules::apply_authenticated(&mut chain_of(tx), &signed, &env).unwrap_err().atom()
        };
        // Behind the last condition comes the machine, which is not here.
        assert_eq!(apply("local_iris_testnet"), "unsupported");
        let has_payload = !tx.payload.0.is_empty();
        // The payload is signed for that network; without one nothing else is.
        let elsewhere = if has_payload { "signature_check_failed" } else { "unsupported" };
        assert_eq!(apply("ae_dev"), elsewhere);
        bases[usize::from(has_payload)] += 1;
    }
    assert!(bases == [2, 2] || recordings.is_empty(), "{bases:?}");
}
