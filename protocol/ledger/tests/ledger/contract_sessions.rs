//! Rounds with contracts of sessions that were recorded from the running reference (`vectors/contract_sessions.json`): from
//! the updates alone must follow the state hash that the recorded transaction carries.

use std::collections::BTreeMap;

use serde_json::Value;
use strait_encoding::text::{self, Prefix};
use strait_encoding::{AccountId, Coins, Height, KeyBlockHash, NetworkId, Round};
use strait_ledger::rules::{BlockEnv, SOLO_ROUND_SWITCH};
use strait_ledger::{
    CtVersion, MIN_GAS_PRICE, Machine, OffchainEnv, Pinned, Protocol, SignedTx, Trees, Tx, Update,
    apply_updates_at, initial_trees,
};

fn contract_bytes(value: &Value) -> Vec<u8> {
    text::decode(Prefix::ContractBytes, value.as_str().unwrap()).unwrap()
}

fn number(value: &Value) -> u64 {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned).parse().unwrap()
}

fn account(value: &Value) -> AccountId {
    value.as_str().unwrap().parse().unwrap()
}

fn update(json: &Value) -> Update {
    let coins = |name: &str| Coins(number(&json[name]).into());
    let update = match json["op"].as_str().unwrap() {
        "OffChainNewContract" => Update::NewContract {
            owner: account(&json["owner"]),
            ct_version: CtVersion { vm: number(&json["vm_version"]), abi: number(&json["abi_version"]) }
                .pack(),
            code: contract_bytes(&json["code"]),
            deposit: coins("deposit"),
            call_data: contract_bytes(&json["call_data"]),
        },
        "OffChainCallContract" => Update::CallContract {
            caller: account(&json["caller_id"]),
            contract: json["contract_id"].as_str().unwrap().parse().unwrap(),
            abi_version: number(&json["abi_version"]),
            amount: coins("amount"),
            gas: number(&json["gas"]),
            gas_price: number(&json["gas_price"]).into(),
            call_data: contract_bytes(&json["call_data"]),
            call_stack: Vec::new(),
        },
        other => panic!("an update of kind {other}"),
    };
    assert_eq!(&update.to_json(), json);
    update
}

/// The trees of each round, from the recorded updates; how many rounds have the recorded hash, and which have not.
fn play(session: &Value) -> (usize, Vec<u64>, BTreeMap<u64, Trees>) {
    let amount = |name: &str| u128::from(number(&session[name]));
    let push = amount("push_amount");
    let first = initial_trees(
        account(&session["initiator_id"]),
        account(&session["responder_id"]),
        Coins(amount("initiator_amount") - push),
        Coins(amount("responder_amount") + push),
    );
    let (mut trees, mut equal, mut other) = (BTreeMap::from([(1, first)]), 0, Vec::new());
    let (network, machine) = (NetworkId("ae_dev".to_owned()), Machine::fate());
    let chain = Trees::default();
    for recorded in session["rounds"].as_array().unwrap() {
        let bytes = text::decode(Prefix::Transaction, recorded["signed_tx"].as_str().unwrap()).unwrap();
        let signed = SignedTx::decode(&bytes).unwrap();
        let Tx::ChannelOffchain(tx) = signed.tx() else { panic!() };
        let updates: Vec<_> = recorded["updates"].as_array().unwrap().iter().map(update).collect();
        let block = BlockEnv {
            network: &network,
            height: Height(100),
            key_hash: KeyBlockHash([1; 32]),
            time_ms: 1,
            protocol: Protocol::Ceres,
            min_gas_price: MIN_GAS_PRICE,
            solo_round_switch: SOLO_ROUND_SWITCH,
            beneficiary: AccountId::ZERO,
            difficulty: 1,
            key_blocks: const { &BTreeMap::new() },
            machine: machine.get(),
        };
        let reserve = Coins(amount("channel_reserve"));
        let env = OffchainEnv { reserve, round: Round(tx.round.0), protocol: Protocol::Ceres };
        let pinned = Pinned { block, trees: &chain };
        let Some(before) = trees.get(&(tx.round.0 - 1)) else { panic!("round {} has no base", tx.round) };
        match apply_updates_at(before, &updates, &env, &pinned) {
            Ok(next) => {
                if next.state_hash() == tx.state_hash {
                    equal += 1;
                } else {
                    other.push(tx.round.0);
                }
                trees.insert(tx.round.0, next);
            }
            Err(error) => {
                println!("round {}: {error}", tx.round);
                other.push(tx.round.0);
            }
        }
    }
    (equal, other, trees)
}

fn sessions() -> Vec<Value> {
    let file: Value = serde_json::from_str(include_str!("../vectors/contract_sessions.json")).unwrap();
    file["sessions"].as_array().unwrap().clone()
}

#[test]
fn the_rounds_of_recorded_sessions_come_to_their_hashes() {
    for (session, rounds) in sessions().iter().zip([4, 70]) {
        let (equal, other, _) = play(session);
        println!("{}: {equal} rounds equal, others {other:?}", session["name"]);
        assert_eq!((equal, other), (rounds, Vec::new()), "{}", session["name"]);
    }
}

/// The contract of the first session as the reference showed it once it was made, in round 2.
#[test]
fn a_contract_and_its_store_are_shown_as_recorded() {
    let session = &sessions()[0];
    let (_, _, trees) = play(session);
    let shown = &session["get_contract"];
    let id = shown["contract"]["id"].as_str().unwrap().parse().unwrap();
    let trees = &trees[&2];
    assert_eq!(trees.contract(id).unwrap().to_json(id), shown["contract"]);
    assert_eq!(trees.store_json(id), shown["contract_state"]);
}
