//! What an update with a contract call costs: one entry of a small and of a large map of the store, and a call that only
//! reads. The contract is that of the vectors `scenarios/ceres/mapstore`.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, criterion_group, criterion_main};
use strait_encoding::{AccountId, Coins, ContractId, Height, KeyBlockHash, NetworkId, Round};
use strait_ledger::rules::{BlockEnv, SOLO_ROUND_SWITCH};
use strait_ledger::{
    ABI_FATE, CtVersion, MIN_GAS_PRICE, Machine, OffchainEnv, Pinned, Protocol, Trees, Update,
    apply_updates_at, initial_trees,
};

const OWNER: AccountId = AccountId([1; 32]);
const CREATED: u64 = 2;
/// The gas of a call that fills the map: more than a channel gives.
const GAS: u64 = 1_000_000_000;

/// Call data of `fill(1, count)`, which sets so many entries.
fn fill(count: u32) -> Vec<u8> {
    let rest = (count - 64).to_be_bytes();
    [&[0x2b, 0x11, 0x9d, 0x92, 0xf6, 0xd5, 0x2b, 0x02, 0x6f, 0x82][..], &rest[2..]].concat()
}

/// Call data of `fill(1, 10)`.
const FILL_TEN: [u8; 9] = [0x2b, 0x11, 0x9d, 0x92, 0xf6, 0xd5, 0x2b, 0x02, 0x14];
/// Call data of `set(1, "x")`.
const SET: [u8; 10] = [0x2b, 0x11, 0xe8, 0xc4, 0x5e, 0xb6, 0x2b, 0x02, 0x05, 0x78];
/// Call data of `size()`.
const SIZE: [u8; 7] = [0x2b, 0x11, 0x5b, 0xcd, 0x71, 0x60, 0x3f];

/// A channel, and the block that it is pinned to.
struct Bench {
    network: NetworkId,
    machine: Machine,
    chain: Trees,
}

impl Bench {
    fn apply(&self, trees: &Trees, round: u64, update: Update) -> Trees {
        let block = BlockEnv {
            network: &self.network,
            height: Height(1000),
            key_hash: KeyBlockHash::ZERO,
            time_ms: 1,
            protocol: Protocol::Ceres,
            min_gas_price: MIN_GAS_PRICE,
            solo_round_switch: SOLO_ROUND_SWITCH,
            beneficiary: AccountId::ZERO,
            difficulty: 1,
            key_blocks: const { &BTreeMap::new() },
            machine: self.machine.get(),
        };
        let env = OffchainEnv { reserve: Coins(0), round: Round(round), protocol: Protocol::Ceres };
        let pinned = Pinned { block, trees: &self.chain };
        apply_updates_at(trees, &[update], &env, &pinned).expect("the call is possible")
    }

    fn call(&self, trees: &Trees, round: u64, call_data: &[u8]) -> Trees {
        let update = Update::CallContract {
            caller: OWNER,
            contract: contract(),
            abi_version: ABI_FATE,
            amount: Coins(0),
            gas: GAS,
            gas_price: 1,
            call_data: call_data.to_vec(),
            call_stack: Vec::new(),
        };
        self.apply(trees, round, update)
    }
}

fn contract() -> ContractId {
    strait_encoding::hash::contract_id(OWNER, CREATED)
}

/// Code and call data of the contract.
fn create() -> Update {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../fate/tests/vectors/scenarios/ceres/mapstore.json");
    let vector = std::fs::read_to_string(file).expect("the vectors are there");
    let vector: serde_json::Value = serde_json::from_str(&vector).expect("the vectors are JSON");
    let bytes = |name: &str| {
        hex::decode(vector["steps"][0][name].as_str().expect("text")).expect("hexadecimal digits")
    };
    Update::NewContract {
        owner: OWNER,
        ct_version: CtVersion { vm: 8, abi: ABI_FATE }.pack(),
        code: bytes("code"),
        deposit: Coins(0),
        call_data: bytes("calldata"),
    }
}

fn entries(criterion: &mut Criterion) {
    let bench =
        Bench { network: NetworkId("ae_dev".to_owned()), machine: Machine::fate(), chain: Trees::default() };
    let other = AccountId([2; 32]);
    let trees = bench.apply(&initial_trees(OWNER, other, Coins(100), Coins(100)), CREATED, create());
    for (name, call_data) in [("10", FILL_TEN.to_vec()), ("10,000", fill(10_000))] {
        let filled = bench.call(&trees, 3, &call_data);
        black_box(filled.state_hash());
        let size = filled.store_entries(&contract().0, &[1]).len();
        criterion.bench_function(
            &format!("a call that sets one of {name} map entries ({size} stored)"),
            |bencher| {
                bencher.iter(|| bench.call(black_box(&filled), 4, &SET).state_hash());
            },
        );
        criterion.bench_function(
            &format!("a call that asks for the size of a map of {name} entries"),
            |bencher| {
                bencher.iter(|| bench.call(black_box(&filled), 4, &SIZE).state_hash());
            },
        );
    }
}

criterion_group!(benches, entries);
criterion_main!(benches);
