//! Contracts on chain: the calls of the contract vectors made by transactions, and what they cost.

use std::path::Path;

use serde_json::Value;
use strait_encoding::{AccountId, Coins, ContractId, Height, Nonce};
use strait_ledger::rules::{self, BlockEnv, ChainState};
use strait_ledger::{
    ABI_AEVM, ABI_FATE, Account, CallObject, CallResult, ContractBytes, ContractCallTx, ContractCreateTx,
    CtVersion, MIN_GAS_PRICE, PayingForTx, Protocol, SignedTx, Trees, Tx, Update, fee,
};

use crate::contract_steps::{Played, bytes, files, key, number, read};
use crate::machine::World;
use crate::support::{self, account, chain, network, signed};

const FEE: Coins = Coins(1_000_000_000_000);
const GAS_PRICE: Coins = Coins(1_000_000_000);
const RICH: u128 = 1_000_000_000_000_000_000;
/// What these programs do is the same on chain: they look at no balances, and at nothing that is pinned.
const SAME: [&str; 8] =
    ["arith", "bits_bytes", "events", "factory", "mapstore", "mapstore_gc", "strings", "variants"];

fn scenario(folder: &str, name: &str) -> Value {
    let is_named = |file: &Path| file.file_stem().is_some_and(|stem| stem == name);
    read(&files(folder).into_iter().find(|file| is_named(file)).unwrap())
}

/// The transaction that does what an update does. With the round as nonce, contracts and calls have the same ids.
fn tx(update: Update, round: u64) -> (AccountId, Tx) {
    let (nonce, ttl, fee) = (Nonce(round), Height(0), FEE);
    match update {
        Update::NewContract { owner, ct_version, code, deposit, call_data } => {
            let (code, call_data) = (ContractBytes(code), ContractBytes(call_data));
            let ct_version = CtVersion::unpack(ct_version);
            let (gas, gas_price, amount) = (1_000_000, Coins(1), Coins(0));
            let owner_id = owner;
            let tx = ContractCreateTx {
                owner_id,
                nonce,
                code,
                ct_version,
                fee,
                ttl,
                deposit,
                amount,
                gas,
                gas_price,
                call_data,
            };
            (owner, tx.into())
        }
        Update::CallContract { caller, contract, abi_version, amount, gas, gas_price, call_data, .. } => {
            let (gas_price, call_data) = (Coins(gas_price), ContractBytes(call_data));
            let (caller_id, contract_id) = (caller, contract);
            let tx = ContractCallTx {
                caller_id,
                nonce,
                contract_id,
                abi_version,
                fee,
                ttl,
                amount,
                gas,
                gas_price,
                call_data,
            };
            (caller, tx.into())
        }
        other => panic!("{other:?}"),
    }
}

/// Makes the calls of a scenario on a chain: how many.
fn play(folder: &str, name: &str) -> usize {
    let vector = scenario(folder, name);
    let played = Played::of(&vector);
    let env = BlockEnv { min_gas_price: Coins(0), ..played.pinned().block };
    let mut state = ChainState { trees: played.trees.clone(), ..ChainState::default() };
    let mut made = 0;
    for (index, step) in vector["steps"].as_array().unwrap().iter().enumerate() {
        let (wanted, round) = (&step["result"], number(&step["round"]) as u64);
        if wanted["status"] != "ok" {
            continue;
        }
        let (origin, tx) = tx(Update::decode(&bytes(&step["update"])).unwrap(), round);
        let mut next = state.clone();
        let known = next.trees.account(origin).unwrap();
        let account = Account { nonce: Nonce(round - 1), balance: Coins(RICH), ..known };
        next.trees.set_account(origin, &account);
        let signed = SignedTx::unsigned(tx);
        rules::apply_authenticated(&mut next, &signed, &env).unwrap();
        next.trees.calls = strait_tree::Tree::new();
        // A second time, to look at the call.
        let mut again = ChainState { trees: state.trees.clone(), ..ChainState::default() };
        again.trees.set_account(origin, &account);
        rules::apply_authenticated(&mut again, &signed, &env).unwrap();
        let call = rules::call_of(&signed, &again.trees).unwrap();
        let off_chain = CallObject::decode(&bytes(&wanted["call"]["object"])).unwrap();
        let on_chain = match step["op"].as_str() {
            // On chain the price stands in the result of init, and its value does not.
            Some("create") => {
                CallObject { gas_price: Coins(1), result: CallResult::Ok(Vec::new()), ..off_chain }
            }
            _ => match off_chain.result {
                // In a channel the text is part of the state, on chain it is left out.
                CallResult::Error(_) => CallObject { result: CallResult::Error(Vec::new()), ..off_chain },
                _ => off_chain,
            },
        };
        assert_eq!(call, CallObject { height: env.height, ..on_chain }, "{name} step {index}");
        let paid = RICH - next.trees.account(origin).unwrap().balance.0;
        assert!(paid >= FEE.0 + u128::from(call.gas_used) * call.gas_price.0, "{name} step {index}");
        let root = next.trees.contracts.root().map(|root| hex::encode(root.0)).unwrap_or_default();
        assert_eq!(Some(&root[..]), wanted["contracts"].as_str(), "{name} step {index}");
        made += 1;
        if let Tx::ContractCreate(tx) = signed.tx() {
            // Off chain a deposit is not locked: the contract may spend it.
            let own = AccountId(key(&step["contract"]));
            let known = next.trees.account(own).unwrap();
            next.trees.set_account(own, &Account { balance: tx.deposit, flags: 0, ..known });
        }
        if step["commit"].as_bool().unwrap_or(true) {
            state = next;
        }
    }
    made
}

fn family(folder: &str, least: usize) {
    let made: usize = SAME.iter().map(|name| play(folder, name)).sum();
    println!("{folder}: {made} transactions");
    assert!(made >= least, "{folder}: {made} transactions");
}

#[test]
fn calls_do_on_chain_what_they_do_off_chain_under_ceres() {
    family("scenarios/ceres", 450);
}

#[test]
fn calls_do_on_chain_what_they_do_off_chain_under_iris() {
    family("scenarios/iris", 450);
}

/// Code and call data of the first contract of a scenario, made by account 1, and a call of it.
pub fn create() -> ContractCreateTx {
    let vector = scenario("scenarios/ceres", "spend");
    let step = &vector["steps"][0];
    ContractCreateTx {
        owner_id: account(1),
        nonce: Nonce(1),
        code: ContractBytes(bytes(&step["code"])),
        ct_version: CtVersion { vm: 8, abi: ABI_FATE },
        fee: Coins(200_000_000_000_000),
        ttl: Height(0),
        deposit: Coins(0),
        amount: Coins(0),
        gas: 100_000,
        gas_price: GAS_PRICE,
        call_data: ContractBytes(bytes(&step["calldata"])),
    }
}

pub fn contract() -> ContractId {
    strait_encoding::hash::contract_id(account(1), 1)
}

/// A call with these data by an account.
pub fn call(number: u8, nonce: u64, call_data: Vec<u8>) -> ContractCallTx {
    ContractCallTx {
        caller_id: account(number),
        nonce: Nonce(nonce),
        contract_id: contract(),
        abi_version: ABI_FATE,
        fee: Coins(300_000_000_000_000),
        ttl: Height(0),
        amount: Coins(0),
        gas: 50_000,
        gas_price: GAS_PRICE,
        call_data: ContractBytes(call_data),
    }
}

fn world() -> World {
    let mut world = World::with_fate();
    world.take(&signed(create(), &[1])).unwrap();
    world
}

/// A call that cannot succeed: of a function that is not there.
pub fn nobody() -> Vec<u8> {
    vec![0x2b, 0x11, 9, 9, 9, 9, 0x3f]
}

#[test]
fn a_contract_stands_where_owner_and_nonce_say_and_its_deposit_is_locked() {
    let mut world = World::with_fate();
    let before = world.account(1).balance.0;
    let tx = ContractCreateTx { deposit: Coins(7), ..create() };
    // The sum of all coins does not count what is locked.
    let network = network();
    let env = BlockEnv { network: &network, ..world.env(&network) };
    let tx = signed(tx, &[1]);
    rules::apply(&mut world.state, &tx, &env).unwrap();
    let object = world.state.trees.contract(contract()).unwrap();
    assert_eq!((object.owner, object.deposit), (account(1).into(), Coins(7)));
    let call = rules::call_of(&tx, &world.state.trees).unwrap();
    assert_eq!(call.result, CallResult::Ok(Vec::new()));
    let paid = before - world.account(1).balance.0;
    assert_eq!(paid, 200_000_000_000_000 + u128::from(call.gas_used) * GAS_PRICE.0 + 7);
    let own = world.state.trees.account(AccountId(contract().0)).unwrap();
    assert_eq!(own.balance, Coins(0));
    // Once there, no second time: that would take the same nonce.
    assert_eq!(world.shows(&tx), "tx_nonce_already_used_for_account");
}

#[test]
fn who_cannot_make_a_contract_is_told_why() {
    let shows = |change: &dyn Fn(&mut ContractCreateTx)| {
        let mut tx = create();
        change(&mut tx);
        World::with_fate().shows(&signed(tx, &[1]))
    };
    assert_eq!(shows(&|_| {}), "ok");
    assert_eq!(shows(&|tx| tx.nonce = Nonce(2)), "tx_nonce_too_high_for_account");
    assert_eq!(shows(&|tx| tx.amount = Coins(RICH)), "insufficient_funds");
    assert_eq!(shows(&|tx| tx.deposit = Coins(u128::MAX)), "insufficient_funds");
    assert_eq!(shows(&|tx| tx.ct_version.vm = 7), "illegal_vm_version");
    assert_eq!(shows(&|tx| tx.ct_version.vm = 5), "illegal_vm_version");
    assert_eq!(shows(&|tx| tx.ct_version.abi = ABI_AEVM), "illegal_vm_version");
    assert_eq!(shows(&|tx| tx.code.0.truncate(50)), "bad_sophia_code");
    assert_eq!(shows(&|tx| tx.call_data.0 = nobody()), "bad_init_function");
    assert_eq!(shows(&|tx| tx.gas_price = Coins(MIN_GAS_PRICE.0 - 1)), "too_low_gas_price");
    assert_eq!(shows(&|tx| tx.fee = Coins(1)), "too_low_fee");
}

#[test]
fn an_init_that_fails_costs_its_gas_and_leaves_no_contract() {
    let mut world = World::with_fate();
    let before = world.account(1).balance.0;
    let tx = signed(ContractCreateTx { gas: 20, deposit: Coins(5), ..create() }, &[1]);
    world.take(&tx).unwrap();
    assert!(world.state.trees.contract(contract()).is_none());
    assert!(world.state.trees.account(AccountId(contract().0)).is_none());
    assert_eq!(world.account(1).nonce, Nonce(1));
    let call = rules::call_of(&tx, &world.state.trees).unwrap();
    assert_eq!(call.result, CallResult::Error(Vec::new()));
    assert_eq!(call.gas_used, 20);
    assert_eq!(before - world.account(1).balance.0, 200_000_000_000_000 + 20 * GAS_PRICE.0);
}

#[test]
fn a_call_that_fails_costs_its_gas_and_moves_nothing() {
    let mut world = world();
    let before = world.account(2).balance.0;
    let tx = signed(ContractCallTx { amount: Coins(5), ..call(2, 1, nobody()) }, &[2]);
    world.take(&tx).unwrap();
    let result = rules::call_of(&tx, &world.state.trees).unwrap();
    assert_eq!(result.result, CallResult::Error(Vec::new()));
    assert_eq!(
        before - world.account(2).balance.0,
        300_000_000_000_000 + u128::from(result.gas_used) * GAS_PRICE.0
    );
    assert_eq!(world.state.trees.account(AccountId(contract().0)).unwrap().balance, Coins(0));
    assert_eq!(world.account(2).nonce, Nonce(1));
}

#[test]
fn who_cannot_call_is_told_why() {
    let shows = |change: &dyn Fn(&mut ContractCallTx)| {
        let mut tx = call(2, 1, nobody());
        change(&mut tx);
        world().shows(&signed(tx, &[2]))
    };
    assert_eq!(shows(&|_| {}), "ok");
    assert_eq!(shows(&|tx| tx.contract_id = ContractId([1; 32])), "contract_does_not_exist");
    assert_eq!(shows(&|tx| tx.abi_version = ABI_AEVM), "wrong_abi_version");
    assert_eq!(shows(&|tx| tx.amount = Coins(RICH)), "insufficient_funds");
    assert_eq!(shows(&|tx| tx.gas = u64::MAX), "insufficient_funds");
    assert_eq!(shows(&|tx| tx.nonce = Nonce(0)), "tx_nonce_already_used_for_account");
    let mut older = world();
    older.protocol = Protocol::Iris;
    assert_eq!(older.shows(&signed(call(2, 1, nobody()), &[2])), "wrong_vm_version");
}

#[test]
fn another_pays_fee_and_gas_but_not_the_amount() {
    let mut world = world();
    let tx = SignedTx::unsigned(ContractCallTx { amount: Coins(5), ..call(2, 1, nobody()) });
    let signature =
        support::key(2).sign(&network(), tx.unsigned_bytes(), strait_encoding::SignedForm::InnerHash);
    let inner = tx.with_signature(signature);
    let paying =
        PayingForTx { payer_id: account(5), nonce: Nonce(1), fee: Coins(20_000_000_000_000), tx: inner };
    let before = [2, 5].map(|number| world.account(number).balance.0);
    let paying = signed(paying, &[5]);
    world.take(&paying).unwrap();
    assert_eq!(world.account(2).balance.0, before[0]);
    let calls = world.calls();
    let call = calls.iter().find(|call| call.caller == account(2).into()).unwrap();
    assert_eq!(call.result, CallResult::Error(Vec::new()));
    let gas = call.gas_used;
    let paid = before[1] - world.account(5).balance.0;
    assert_eq!(paid, 320_000_000_000_000 + u128::from(gas) * GAS_PRICE.0);
}

#[test]
fn size_and_kind_decide_the_fee_and_the_gas_limit_counts_in_a_block() {
    // docs/protocol/channel_txs §5.
    for (tx, base, gas) in [
        (Tx::from(create()), 75_000, 100_000),
        (Tx::from(call(2, 1, nobody())), 180_000, 50_000),
        (Tx::from(ContractCallTx { abi_version: ABI_AEVM, ..call(2, 1, nobody()) }), 450_000, 50_000),
    ] {
        let size = 20 * tx.encode().len() as u64;
        assert_eq!(fee::fee_gas(&tx, Protocol::Ceres), base + size);
        assert_eq!(fee::block_gas(&tx, Protocol::Ceres), base + size + gas);
        assert_eq!(fee::gas_price(&tx), Some(GAS_PRICE));
        assert_eq!(Tx::decode(&tx.encode()).unwrap(), tx);
    }
    let json = Tx::from(call(2, 1, nobody())).to_json();
    let keys: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
    let wanted = [
        "abi_version",
        "amount",
        "call_data",
        "caller_id",
        "contract_id",
        "fee",
        "gas",
        "gas_price",
        "nonce",
        "type",
        "version",
    ];
    assert_eq!(keys, wanted);
    assert_eq!(json["type"], "ContractCallTx");
    let json = Tx::from(create()).to_json();
    assert_eq!((&json["vm_version"], &json["abi_version"]), (&8.into(), &3.into()));
    assert!(json["code"].as_str().unwrap().starts_with("cb_"));
}

#[test]
fn a_chain_takes_contracts_into_blocks_and_forgets_their_calls() {
    let mut chain = chain();
    let tx = signed(create(), &[1]);
    chain.submit(tx.clone()).unwrap();
    let block = chain.mine_micro_block(2_000).unwrap();
    assert_eq!(block.txs, vec![tx.clone()]);
    assert!(rules::call_of(&tx, chain.state_at(&block.hash()).unwrap()).is_some());
    let before = Trees { calls: strait_tree::Tree::new(), ..chain.top_state().clone() };
    chain.mine_key_block(3_000);
    assert_eq!(chain.top_state(), &before, "calls are forgotten with their generation");
}
