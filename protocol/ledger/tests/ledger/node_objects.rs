//! Objects, fees, validity and JSON as the node printed them (`vectors/node_objects.out`).

use std::collections::BTreeMap;

use serde_json::Value;
use strait_encoding::{AccountId, ChannelId, Coins, ContractId, Height, NetworkId, Nonce, hash};
use strait_ledger::{
    Account, CallObject, CallResult, ChannelObject, ContractCode, ContractObject, CtVersion, LogEntry,
    Protocol, SignedTx, StateProof, Trees, Tx, Update, auth_tx_hash, fee, initial_trees, rules,
};

/// The protocols that this ledger knows, by their names in the file.
const PROTOCOLS: [(&str, Protocol); 3] =
    [("p4", Protocol::Lima), ("p5", Protocol::Iris), ("p6", Protocol::Ceres)];
const TXS: [&str; 13] = [
    "set_delegates",
    "set_delegates_empty",
    "offchain2",
    "spend",
    "create2",
    "close_solo_empty",
    "force_progress",
    "snapshot",
    "ga_attach",
    "ga_meta1",
    "ga_meta2",
    "ga_meta_nested",
    "paying_for",
];
const UPDATES: [&str; 7] = [
    "upd_transfer",
    "upd_deposit",
    "upd_withdraw",
    "upd_create_contract",
    "upd_create_contract_aevm",
    "upd_call_contract",
    "upd_meta",
];
const A: AccountId = AccountId([1; 32]);
const B: AccountId = AccountId([2; 32]);

/// The file by kind of line and name.
struct Printed {
    objects: BTreeMap<&'static str, Vec<u8>>,
    values: BTreeMap<&'static str, &'static str>,
}

impl Printed {
    fn read() -> Self {
        let mut printed = Self { objects: BTreeMap::new(), values: BTreeMap::new() };
        for line in include_str!("../vectors/node_objects.out").lines() {
            let parts: Vec<_> = line.splitn(3, '\t').collect();
            match parts[..] {
                ["obj", name, digits] => drop(printed.objects.insert(name, hex::decode(digits).unwrap())),
                ["val", name, value] => drop(printed.values.insert(name, value)),
                _ => panic!("a line of another form: {line}"),
            }
        }
        printed
    }

    fn object(&self, name: &str) -> &[u8] {
        &self.objects[name]
    }

    fn number(&self, name: &str) -> u128 {
        self.values[name].parse().unwrap()
    }

    /// A JSON text inside an Erlang binary.
    fn json(&self, name: &str) -> Value {
        let text = self.values[name].strip_prefix("<<\"").and_then(|rest| rest.strip_suffix("\">>"));
        serde_json::from_str(&text.unwrap().replace("\\\"", "\"")).unwrap()
    }
}

#[test]
fn transactions_are_written_as_they_were_read() {
    let printed = Printed::read();
    for name in TXS {
        let bytes = printed.object(name);
        let tx = Tx::decode(bytes).unwrap();
        assert_eq!(tx.encode(), bytes, "{name}");
        assert_eq!(tx.to_json(), printed.json(&format!("{name}/json")), "{name}");
    }
}

#[test]
fn fees_validity_and_prices_of_transactions_are_the_nodes() {
    let printed = Printed::read();
    for name in TXS {
        let tx = Tx::decode(printed.object(name)).unwrap();
        for (p, protocol) in PROTOCOLS {
            let gas = fee::fee_gas(&tx, protocol);
            assert_eq!(u128::from(gas), printed.number(&format!("{name}/fee_gas_{p}")), "{name} {p}");
            let valid = rules::check_protocol(&tx, protocol).is_ok().to_string();
            assert_eq!(valid, printed.values[&*format!("{name}/valid_{p}")], "{name} {p}");
            let price = fee::effective_gas_price(&tx, protocol).map(|price| price.to_string());
            // The node divides by the gas of an off-chain transaction, which is 0.
            let price = price.unwrap_or("{crash,badarith}".to_owned());
            assert_eq!(price, printed.values[&*format!("{name}/min_gas_price_{p}")], "{name} {p}");
        }
        assert_eq!(
            fee::min_fee(&tx, Protocol::Ceres).0,
            printed.number(&format!("{name}/min_fee_p6")),
            "{name}"
        );
        for (p, protocol) in &PROTOCOLS[1..] {
            let limit = fee::block_gas(&tx, *protocol);
            assert_eq!(u128::from(limit), printed.number(&format!("{name}/gas_limit_{p}")), "{name} {p}");
        }
    }
}

#[test]
fn updates_are_written_as_they_were_read() {
    let printed = Printed::read();
    for name in UPDATES {
        let bytes = printed.object(name);
        let update = Update::decode(bytes).unwrap();
        assert_eq!(update.encode(), bytes, "{name}");
        assert_eq!(update.to_json(), printed.json(&format!("{name}/json")), "{name}");
    }
}

#[test]
fn signed_transactions_are_written_as_they_were_read() {
    let printed = Printed::read();
    for (name, signatures) in [("signed_offchain2", 2), ("sorted_dedup", 2)] {
        let bytes = printed.object(name);
        let signed = SignedTx::decode(bytes).unwrap();
        assert_eq!(signed.encode(), bytes, "{name}");
        assert_eq!(signed.signatures().len(), signatures, "{name}");
    }
}

#[test]
fn accounts_are_written_as_they_were_read() {
    let printed = Printed::read();
    for name in ["account_v1", "account_v2", "account_v3"] {
        let bytes = printed.object(name);
        let account = Account::decode(bytes).unwrap();
        assert_eq!(account.encode(), bytes, "{name}");
        assert_eq!(account.balance, Coins(100), "{name}");
        assert_eq!(account.is_basic(), name != "account_v2", "{name}");
        assert_eq!(account.is_payable(), name != "account_v3", "{name}");
    }
    assert_eq!(Account::new(Coins(100)).encode(), printed.object("account_v1"));
}

#[test]
fn contracts_and_calls_are_written_as_they_were_read() {
    let printed = Printed::read();
    let versions = [("vm1", 1, 1), ("vm4", 4, 1), ("vm6", 6, 1), ("vm5", 5, 3), ("vm7", 7, 3), ("vm8", 8, 3)];
    for (name, vm, abi) in versions {
        let bytes = printed.object(&format!("contract_{name}"));
        let contract = ContractObject::decode(bytes).unwrap();
        assert_eq!(
            contract,
            ContractObject::new(A, CtVersion { vm, abi }, b"code".to_vec(), Coins(5)),
            "{name}"
        );
        assert_eq!(contract.encode(), bytes, "{name}");
    }
    let clone = ContractObject::decode(printed.object("contract_clone")).unwrap();
    assert_eq!(clone.code, ContractCode::Of(ContractId([8; 32])));
    assert_eq!(clone.encode(), printed.object("contract_clone"));
    for (name, by_name) in [("call_v2", None), ("call_v3", Some(vec![5; 32]))] {
        let call = CallObject::decode(printed.object(name)).unwrap();
        assert_eq!(call.encode(), printed.object(name));
        assert_eq!((call.nonce, call.height, call.name), (Nonce(3), Height(100), by_name));
        assert_eq!(call.result, CallResult::Ok(Vec::new()));
    }
}

#[test]
fn the_events_of_a_call_are_written_and_shown() {
    let call = CallObject::decode(Printed::read().object("call_v2")).unwrap();
    let entry = LogEntry { address: [8; 32], topics: vec![vec![0; 32], vec![1; 32]], data: b"data".to_vec() };
    let call = CallObject { log: vec![entry], ..call };
    // docs/protocol/encodings §4.5: [[address, [topic, …], data]], in place of the empty list at the end.
    let entry = [
        &[0xf8, 0x6a][..],
        &[0xa0],
        &[8; 32],
        &[0xf8, 0x42, 0xa0],
        &[0; 32],
        &[0xa0],
        &[1; 32],
        &[0x84],
        b"data",
    ]
    .concat();
    let written = call.encode();
    assert!(written.ends_with(&[&[0xf8, 0x6c], &entry[..]].concat()));
    assert_eq!(CallObject::decode(&written), Ok(call.clone()));
    let topics = &call.to_json()["log"][0]["topics"];
    // 32 bytes of 1: (256^32 - 1) / 255.
    let ones = "454086624460063511464984254936031011189294057512315937409637584344757371137";
    assert_eq!(topics.to_string(), format!("[0,{ones}]"));
    assert_eq!(call.to_json()["return_type"], "ok");
}

#[test]
fn the_clone_of_a_contract_runs_the_code_of_the_other() {
    let printed = Printed::read();
    let clone = ContractObject::decode(printed.object("contract_clone")).unwrap();
    let mut trees = Trees::default();
    assert_eq!(trees.code(&clone), None);
    trees.set_contract(ContractId([8; 32]), &ContractObject::decode(printed.object("contract_vm8")).unwrap());
    assert_eq!(trees.code(&clone), Some(b"code".to_vec()));
    trees.set_contract(ContractId([8; 32]), &clone);
    assert_eq!(trees.code(&clone), None, "a clone of a clone has no code");
}

#[test]
fn what_a_contract_authenticates_is_the_nodes() {
    let printed = Printed::read();
    let network = NetworkId(String::from_utf8(printed.object("network_id").to_vec()).unwrap());
    let Tx::GaMeta(meta) = Tx::decode(printed.object("ga_meta2")).unwrap() else {
        panic!("a meta transaction")
    };
    let hash = |protocol| auth_tx_hash(&network, protocol, (meta.fee, meta.gas_price), meta.tx.tx());
    let covered = printed.object("ceres_auth_data");
    assert_eq!(hash(Protocol::Iris), covered[covered.len() - 32..]);
    assert_eq!(hash(Protocol::Ceres), hash::blake2b(covered));
    assert_eq!(meta.auth_id(), printed.object("auth_id"));
}

#[test]
fn channels_are_written_as_they_were_read() {
    let printed = Printed::read();
    for name in ["channel_p1", "channel_p3", "channel_p3_ga", "channel_p6", "channel_p6_ga"] {
        let bytes = printed.object(name);
        let channel = ChannelObject::decode(bytes).unwrap();
        assert_eq!(channel.encode(), bytes, "{name}");
        assert!(channel.is_active(), "{name}");
        assert_eq!(channel.peers(), [A, B], "{name}");
    }
    let channel = ChannelObject::decode(printed.object("channel_p6")).unwrap();
    let id = ChannelId(printed.object("channel_id_1").try_into().unwrap());
    assert_eq!(channel.to_json(id), printed.json("channel_json_p6"));
}

#[test]
fn channel_ids_are_the_nodes() {
    let printed = Printed::read();
    for (name, nonce) in [("channel_id_1", 1), ("channel_id_300", 300)] {
        assert_eq!(hash::channel_id(A, Nonce(nonce), B).0, printed.object(name), "{name}");
    }
    let Tx::ChannelCreate(create) = Tx::decode(printed.object("create2")).unwrap() else {
        panic!("a create")
    };
    assert_eq!(create.channel_id().0, printed.object("channel_id_1"));
}

#[test]
fn state_hashes_and_trees_are_the_nodes() {
    let printed = Printed::read();
    let balances = |initiator, responder| initial_trees(A, B, Coins(initiator), Coins(responder));
    let mut alone = Trees::default();
    assert_eq!(alone.encode(), printed.object("empty_trees"));
    assert_eq!(alone.state_hash().0, printed.object("empty_hash"));
    alone.set_account(A, &Account::new(Coins(100)));
    assert_eq!(alone.state_hash().0, printed.object("hash_A100"));
    let both = balances(70_000_000_000_000_000, 40_000_000_000_000_000);
    assert_eq!(both.state_hash().0, printed.object("hash_A70_B40"));
    assert_eq!(both.encode(), printed.object("trees_A70_B40"));
    let read = Trees::decode(printed.object("trees_A70_B40")).unwrap();
    assert_eq!(read.state_hash(), both.state_hash());
    assert_eq!(read.encode(), printed.object("trees_A70_B40"));
}

#[test]
fn proofs_are_the_nodes() {
    let printed = Printed::read();
    let empty = StateProof::new(&Trees::default());
    assert_eq!(empty.encode(), printed.object("empty_poi"));
    assert_eq!(empty.state_hash().0, printed.object("empty_hash"));
    assert_eq!(StateProof::decode(printed.object("empty_poi")).unwrap(), empty);

    let trees = Trees::decode(printed.object("trees_A70_B40")).unwrap();
    let mut proof = StateProof::new(&trees);
    proof.add_account(&trees, A).unwrap();
    assert_eq!(proof.encode(), printed.object("poi_A"));
    let read = StateProof::decode(printed.object("poi_A")).unwrap();
    assert_eq!(read.state_hash().0, printed.object("hash_A70_B40"));
    assert_eq!(read.account(A).unwrap(), Account::new(Coins(70_000_000_000_000_000)));
    read.account(B).expect_err("only A is shown");
    proof.add_account(&trees, AccountId([3; 32])).expect_err("nobody of that name");
    assert_eq!(proof, read, "what cannot be added changes nothing");
}
