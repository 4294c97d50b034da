//! Contracts in a channel, against what the reference's own modules made of the same updates.

use strait_encoding::{Coins, Height};
use strait_ledger::rules::BlockEnv;
use strait_ledger::{
    CallError, ChainView, NoResult, Pinned, Protocol, Update, UpdateError, apply_updates_at,
};

use crate::contract_steps::{Played, bytes, files, number, read};

/// How many differences are shown.
const SHOWN: usize = 20;

/// Plays every step of a folder, which holds at least so many.
fn family(folder: &str, least: usize) {
    let (mut passed, mut failed) = (0, 0);
    for file in files(folder) {
        let vector = read(&file);
        let mut played = Played::of(&vector);
        for (index, step) in vector["steps"].as_array().unwrap().iter().enumerate() {
            let found = played.step(step);
            if found.is_empty() {
                passed += 1;
                continue;
            }
            failed += 1;
            if failed <= SHOWN {
                let name = file.file_name().unwrap().display();
                println!("{name} step {index} {} {}", step["op"], step["function"]);
                found.iter().for_each(|difference| println!("  {difference:.600}"));
            }
        }
    }
    println!("{folder}: {passed} steps passed, {failed} failed");
    assert!(passed >= least && failed == 0, "{folder}: {passed} steps passed, {failed} failed");
}

#[test]
fn scenarios_under_ceres() {
    family("scenarios/ceres", 688);
}

#[test]
fn scenarios_under_ceres_on_machine_5() {
    family("scenarios/ceres_vm5", 684);
}

#[test]
fn scenarios_under_iris() {
    family("scenarios/iris", 684);
}

#[test]
fn instructions_under_ceres() {
    family("ops/ceres", 5835);
}

#[test]
fn instructions_under_ceres_on_machine_5() {
    family("ops/ceres_vm5", 2000);
}

#[test]
fn instructions_under_ceres_on_machine_7() {
    family("ops/ceres_vm7", 2000);
}

/// Recorded rounds of channels with contracts of the AEVM: `contract_rounds` in the folder of recordings, see `recorded.rs`.
/// Those before the first contract come to the recorded hash, and the contract is refused without a change.
#[test]
fn recorded_rounds_come_to_their_hashes_until_an_old_machine_is_needed() {
    let Some(files) = crate::recorded::contract_rounds() else { return };
    let (mut equal, mut refused) = (0, 0);
    for file in files {
        let vector = read(&file);
        let mut played = Played::of(&vector);
        for step in vector["steps"].as_array().unwrap() {
            let updates: Vec<_> = step["updates"].as_array().unwrap().iter().map(bytes).collect();
            let updates: Vec<_> = updates.iter().map(|update| Update::decode(update).unwrap()).collect();
            match played.apply(number(&step["round"]) as u64, &updates) {
                Ok(next) => {
                    let hash = hex::encode(next.state_hash().0);
                    assert_eq!(Some(&hash[..]), step["state_hash_recorded"].as_str(), "{}", file.display());
                    played.trees = next;
                    equal += 1;
                }
                Err(error) => {
                    let is_contract = |update: &Update| matches!(update, Update::NewContract { .. });
                    assert!(updates.iter().any(is_contract), "{error}");
                    refused += 1;
                    break;
                }
            }
        }
    }
    println!("{equal} rounds equal, {refused} channels go on with a contract of the AEVM");
    assert!(equal >= 5 && refused == 4, "{equal} rounds equal, {refused} refused");
}

/// A channel with a contract, its first create update and a call of it.
fn with_contract() -> (Played, Update, Update) {
    let file = files("scenarios/ceres").into_iter().find(|file| file.ends_with("mapstore.json")).unwrap();
    let vector = read(&file);
    let mut played = Played::of(&vector);
    let update = |index: usize| Update::decode(&bytes(&vector["steps"][index]["update"])).unwrap();
    assert!(played.step(&vector["steps"][0]).is_empty());
    (played, update(0), update(1))
}

#[test]
fn what_is_truncated_or_changed_is_applied_or_refused_but_never_breaks() {
    let (played, create, call) = with_contract();
    let Update::NewContract { code, call_data, .. } = &create else { panic!() };
    let mut outcomes = [0, 0];
    let mut apply = |update: Update| outcomes[usize::from(played.apply(9, &[update]).is_ok())] += 1;
    let broken = |bytes: &[u8], place: usize| {
        let mut changed = bytes.to_vec();
        changed[place] ^= 1 << (place % 8);
        [bytes[..place].to_vec(), changed]
    };
    for place in (0..code.len()).step_by(7) {
        for code in broken(code, place) {
            let mut update = create.clone();
            if let Update::NewContract { code: old, .. } = &mut update {
                *old = code;
            }
            apply(update);
        }
    }
    for place in 0..call_data.len() {
        for call_data in broken(call_data, place) {
            let mut update = create.clone();
            if let Update::NewContract { call_data: old, .. } = &mut update {
                *old = call_data;
            }
            apply(update);
        }
    }
    let [refused, applied] = outcomes;
    assert!(refused > 100, "{refused} refused, {applied} applied");
    let Update::CallContract { call_data, .. } = &call else { panic!() };
    for place in 0..call_data.len() {
        for call_data in broken(call_data, place) {
            let mut update = call.clone();
            if let Update::CallContract { call_data: old, .. } = &mut update {
                *old = call_data;
            }
            // A call that fails is applied.
            assert!(played.apply(9, &[update]).is_ok());
        }
    }
}

#[test]
fn a_contract_is_called_once_a_round_and_made_once_a_round() {
    let (played, create, call) = with_contract();
    assert!(matches!(played.apply(9, &[call.clone(), call.clone()]), Err(CallError::CalledTwice { .. })));
    assert!(matches!(played.apply(9, &[create.clone(), create.clone()]), Err(CallError::ContractExists(_))));
    let both = played.apply(9, &[create.clone(), call.clone()]).unwrap();
    assert_eq!(both.calls.iter().count(), 2);
    // What comes next forgets them, whatever it is.
    let meta = Update::Meta { data: vec![1] };
    let next = apply_updates_at(&both, &[meta], &played.round(10), &played.pinned()).unwrap();
    assert!(next.calls.is_empty());
}

#[test]
fn an_update_that_fails_takes_back_those_before_it() {
    let (played, _, call) = with_contract();
    let mut dear = call.clone();
    let Update::CallContract { amount, caller, .. } = &mut dear else { panic!() };
    *amount = Coins(u128::MAX);
    let reserve = played.round(9).reserve;
    let account = *caller;
    let balance = played.trees.account(account).unwrap().balance;
    let refused = UpdateError::InsufficientBalance { account, balance, amount: *amount, reserve };
    let deposit = Update::Meta { data: Vec::new() };
    assert_eq!(played.apply(9, &[deposit, dear]).err(), Some(CallError::Update(refused)));
}

#[test]
fn without_a_machine_contracts_are_refused_and_everything_else_is_not() {
    let (played, create, call) = with_contract();
    let pinned = played.pinned();
    let without = Pinned { block: BlockEnv { machine: None, ..pinned.block }, ..pinned };
    let apply = |update: &Update| {
        apply_updates_at(&played.trees, std::slice::from_ref(update), &played.round(9), &without)
    };
    let vm = 8;
    let unsupported = CallError::NoResult(NoResult::Unsupported { vm, protocol: Protocol::Ceres });
    assert_eq!(apply(&create).err(), Some(unsupported.clone()));
    assert_eq!(apply(&call).err(), Some(unsupported));
    assert!(apply(&Update::Meta { data: Vec::new() }).is_ok());
    let plain = strait_ledger::apply_updates(&played.trees, &[call], &played.round(9));
    assert_eq!(plain.err(), Some(UpdateError::ContractsUnsupported));
}

#[test]
fn a_channel_sees_the_block_that_it_is_pinned_to() {
    let mut chain = crate::support::chain();
    let first = chain.top().hash();
    chain.mine_key_block(5_000);
    let at_first = chain.pinned(Some(&first)).unwrap();
    assert_eq!((at_first.block.height, at_first.block.time_ms), (Height(1), 1_001));
    let at_top = chain.pinned(None).unwrap();
    assert_eq!((at_top.block.height, at_top.block.time_ms), (Height(2), 5_001));
    assert_eq!(at_top.block.key_hash.0, *chain.top().hash().as_bytes());
    assert_eq!(at_top.block.key_blocks.len(), 3);
    let strait_ledger::BlockKind::Key { miner } = chain.top().header.kind else { panic!() };
    assert_eq!(at_top.block.beneficiary, miner);
    assert!(chain.pinned(Some(&strait_encoding::BlockHash::new([7; 32]))).is_none());
}

/// The bytes of a FATE option of 32 bytes.
fn some_bytes(hash: &[u8; 32]) -> Vec<u8> {
    crate::bytecode::some_hash(hash)
}

#[test]
fn a_contract_asks_for_the_key_blocks_of_the_chain_it_is_pinned_to() {
    let file = files("scenarios/ceres").into_iter().find(|file| file.ends_with("env.json")).unwrap();
    let vector = read(&file);
    let steps = vector["steps"].as_array().unwrap();
    let mut chain = crate::support::chain();
    let first = chain.key_block_at(Height(1)).unwrap();
    chain.mine_key_block(5_000);
    let update = |step: &serde_json::Value| Update::decode(&bytes(&step["update"])).unwrap();
    let owner = strait_encoding::AccountId(crate::contract_steps::key(&steps[0]["owner"]));
    let other = crate::support::account(2);
    let trees = strait_ledger::initial_trees(owner, other, Coins(1_000_000_000), Coins(1_000));
    let env = |round| strait_ledger::OffchainEnv {
        reserve: Coins(0),
        round: strait_encoding::Round(round),
        protocol: Protocol::Ceres,
    };
    let pinned = chain.pinned(None).unwrap();
    let made = number(&steps[0]["round"]) as u64;
    let trees = apply_updates_at(&trees, &[update(&steps[0])], &env(made), &pinned).unwrap();
    let ask = |height: u8, pinned: &Pinned<'_>| {
        let contract = strait_encoding::hash::contract_id(owner, made);
        // `hash(height)`
        let call_data = vec![0x2b, 0x11, 0x97, 0xed, 0xaa, 0x69, 0x1b, height << 1];
        let update = Update::CallContract {
            caller: owner,
            contract,
            abi_version: strait_ledger::ABI_FATE,
            amount: Coins(0),
            gas: strait_ledger::OFFCHAIN_GAS,
            gas_price: strait_ledger::OFFCHAIN_GAS_PRICE.0,
            call_data,
            call_stack: Vec::new(),
        };
        let call = strait_ledger::dry_run(&trees, &update, &env(made + 1), pinned)?;
        Ok::<_, CallError>(call.result)
    };
    let some = |hash: [u8; 32]| Ok(strait_ledger::CallResult::Ok(some_bytes(&hash)));
    assert_eq!(ask(1, &pinned), some(first.0));
    assert_eq!(ask(2, &pinned), some(*chain.top().hash().as_bytes()));
    // Where the chain has forgotten the block there is no answer, rather than another one.
    let forgetful = Pinned {
        block: BlockEnv { key_blocks: const { &std::collections::BTreeMap::new() }, ..pinned.block },
        ..pinned
    };
    assert!(matches!(ask(1, &forgetful), Err(CallError::NoResult(NoResult::NotKnown(_)))));
}
