//! Proofs of contracts (`docs/protocol/state_trees` §4).

use strait_encoding::{AccountId, ContractId};
use strait_ledger::{StateProof, StateProofError, Trees};
use strait_tree::Proof;

use crate::contract_steps::{Played, files, read};

/// A channel with contracts that have large stores.
fn trees() -> Trees {
    let file = files("scenarios/ceres").into_iter().find(|file| file.ends_with("mapstore.json")).unwrap();
    let vector = read(&file);
    let mut played = Played::of(&vector);
    for step in vector["steps"].as_array().unwrap() {
        assert!(played.step(step).is_empty());
    }
    played.trees
}

fn contracts(trees: &Trees) -> Vec<ContractId> {
    let keys = trees.contracts.iter().filter_map(|(key, _)| <[u8; 32]>::try_from(key).ok());
    keys.map(ContractId).collect()
}

#[test]
fn a_contract_is_proved_with_all_of_its_store_and_nothing_else() {
    let trees = trees();
    let ids = contracts(&trees);
    assert!(!ids.is_empty());
    let contract = ids[0];
    let mut proof = StateProof::new(&trees);
    let without = proof.encode();
    assert!(matches!(proof.contract(contract), Err(StateProofError::ContractTree { .. })));
    proof.add_contract(&trees, contract).unwrap();
    proof.add_account(&trees, AccountId(contract.0)).unwrap();
    assert_eq!(proof.state_hash(), trees.state_hash());
    assert_ne!(proof.encode(), without);

    let read = StateProof::decode(&proof.encode()).unwrap();
    assert_eq!(read, proof);
    assert_eq!(Ok(read.contract(contract).unwrap()), trees.contract(contract).ok_or(()));
    assert_eq!(read.account(AccountId(contract.0)).unwrap(), trees.account(AccountId(contract.0)).unwrap());
    let entries = trees.store_entries(&contract.0, &[]);
    assert!(entries.len() > 20, "{} entries", entries.len());
    for (entry, value) in &entries {
        assert_eq!(read.store_value(contract, entry), Ok(Some(value.clone())));
    }
    assert_eq!(read.store_value(contract, &[0, 99]), Ok(None));

    // The rule of the page: the path of the id, and the paths of all keys that begin with the id and 10.
    let mut part = Proof::new(&trees.contracts).unwrap();
    part.add(&trees.contracts, &contract.0).unwrap();
    let store = [&contract.0[..], &[0x10]].concat();
    for (key, _) in trees.contracts.iter_prefix(&store) {
        part.add(&trees.contracts, &key).unwrap();
    }
    let part = part.encode().finish();
    let whole = proof.encode();
    assert!(whole.windows(part.len()).any(|bytes| bytes == part), "the nodes of the contracts tree differ");
}

#[test]
fn what_is_not_there_is_not_proved() {
    let trees = trees();
    let absent = ContractId([9; 32]);
    let mut proof = StateProof::new(&trees);
    let before = proof.clone();
    assert_eq!(proof.add_contract(&trees, absent), Err(StateProofError::AbsentContract(absent)));
    assert_eq!(proof, before);
    let mut empty = StateProof::new(&Trees::default());
    assert_eq!(empty.add_contract(&trees, absent), Err(StateProofError::AbsentContract(absent)));
    let contract = contracts(&trees)[0];
    let mut other = trees.clone();
    other.set_store_value(&contract.0, &[0, 1], Some(&[0]));
    let added = proof.add_contract(&other, contract);
    assert!(matches!(added, Err(StateProofError::ContractTree { .. })), "{added:?}");
    assert_eq!(proof, before);
}
