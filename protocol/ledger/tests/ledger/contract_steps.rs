//! Steps of contract vectors (`protocol/fate/tests/vectors/README.md`), applied as updates of a channel.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use strait_encoding::hash::call_id;
use strait_encoding::{AccountId, Coins, ContractId, Height, KeyBlockHash, NetworkId, Nonce, Round};
use strait_ledger::rules::{BlockEnv, SOLO_ROUND_SWITCH};
use strait_ledger::{
    Account, CallError, CallObject, CallResult, MIN_GAS_PRICE, Machine, OffchainEnv, Pinned, Protocol, Trees,
    Update, apply_updates_at, dry_run,
};

/// The vector files of a folder, in the order of their names.
pub fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fate/tests/vectors").join(folder);
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

pub fn read(file: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

/// Bytes in hexadecimal digits.
pub fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

pub fn key(value: &Value) -> [u8; 32] {
    bytes(value).try_into().unwrap()
}

/// A number, written as such or as a string.
pub fn number(value: &Value) -> u128 {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned).parse().unwrap()
}

fn small(value: &Value) -> u64 {
    number(value).try_into().unwrap()
}

fn accounts(list: &Value) -> Trees {
    let mut trees = Trees::default();
    for account in list.as_array().unwrap() {
        let balance = Coins(number(&account["balance"]));
        trees.set_account(AccountId(key(&account["pubkey"])), &Account::new(balance));
    }
    trees
}

/// A channel in the surroundings of a vector file.
pub struct Played {
    /// The state of the channel.
    pub trees: Trees,
    /// The state of the chain.
    pub chain: Trees,
    env: Value,
    network: NetworkId,
    machine: Machine,
}

impl Played {
    pub fn of(vector: &Value) -> Self {
        let env = vector["env"].clone();
        let chain = match vector["onchain_trees_serialized"].as_str() {
            Some(trees) => Trees::decode(&hex::decode(trees).unwrap()).unwrap(),
            None => accounts(&env["onchain_accounts"]),
        };
        Self {
            trees: accounts(&env["offchain_accounts"]),
            chain,
            network: NetworkId(env["network_id"].as_str().unwrap().to_owned()),
            env,
            machine: Machine::fate(),
        }
    }

    fn protocol(&self) -> Protocol {
        match number(&self.env["protocol"]) {
            5 => Protocol::Iris,
            6 => Protocol::Ceres,
            other => panic!("protocol {other}"),
        }
    }

    pub fn pinned(&self) -> Pinned<'_> {
        let env = &self.env;
        Pinned {
            block: BlockEnv {
                network: &self.network,
                height: Height(small(&env["height"])),
                key_hash: KeyBlockHash(key(&env["key_hash"])),
                time_ms: small(&env["time_in_msecs"]),
                protocol: self.protocol(),
                min_gas_price: MIN_GAS_PRICE,
                solo_round_switch: SOLO_ROUND_SWITCH,
                beneficiary: AccountId(key(&env["beneficiary"])),
                difficulty: small(&env["difficulty"]),
                key_blocks: const { &BTreeMap::new() },
                machine: self.machine.get(),
            },
            trees: &self.chain,
        }
    }

    pub fn round(&self, round: u64) -> OffchainEnv {
        OffchainEnv {
            reserve: Coins(number(&self.env["channel_reserve"])),
            round: Round(round),
            protocol: self.protocol(),
        }
    }

    pub fn apply(&self, round: u64, updates: &[Update]) -> Result<Trees, CallError> {
        apply_updates_at(&self.trees, updates, &self.round(round), &self.pinned())
    }

    /// Applies a step: what differs from the vector, nothing if all is as it should be.
    pub fn step(&mut self, step: &Value) -> Vec<String> {
        let round = small(&step["round"]);
        let result = match step["op"].as_str().unwrap() {
            "insert_failed_call" => Ok(self.with_failed_call(step)),
            _ => {
                let encoded = bytes(&step["update"]);
                let update = Update::decode(&encoded).unwrap();
                assert_eq!(update.encode(), encoded);
                self.apply(round, &[update])
            }
        };
        let mut found = Vec::new();
        let wanted = &step["result"];
        match (&result, wanted["status"].as_str().unwrap()) {
            (Ok(next), "ok") => {
                self.compare_roots(next, wanted, &mut found);
                self.compare_objects(next, step, &mut found);
                self.compare_stores(next, step, &mut found);
            }
            (Err(error), "update_error") if error.atom() == wanted["reason"].as_str() => {}
            (Err(error), "vm_crash") if error.atom().is_none() => {}
            (Ok(_), status) => found.push(format!("wanted {status} {}, found ok", wanted["reason"])),
            (Err(error), status) => {
                found.push(format!("wanted {status} {}, found {error}", wanted["reason"]));
            }
        }
        if let (Ok(next), true) = (result, step["commit"].as_bool().unwrap_or(true)) {
            self.trees = next;
        }
        found
    }

    /// What forced progress records of a call that is impossible.
    fn with_failed_call(&self, step: &Value) -> Trees {
        let round = small(&step["round"]);
        let (caller, contract) = (AccountId(key(&step["caller"])), ContractId(key(&step["contract"])));
        let call = CallObject {
            caller: caller.into(),
            nonce: Nonce(round),
            height: Height(round),
            contract,
            name: None,
            gas_price: Coins(number(&step["gas_price"])),
            gas_used: small(&step["gas"]),
            result: CallResult::Error(b"invalid_call".to_vec()),
            log: Vec::new(),
        };
        let mut next = Trees { calls: strait_tree::Tree::new(), ..self.trees.clone() };
        next.set_call(&contract.0, &call_id(caller, round, contract), &call);
        next
    }

    fn compare_roots(&self, next: &Trees, wanted: &Value, found: &mut Vec<String>) {
        let roots = [
            ("accounts", next.accounts.root()),
            ("calls", next.calls.root()),
            ("contracts", next.contracts.root()),
        ];
        for (name, root) in roots {
            expect(name, &root.map(|root| hex::encode(root.0)).unwrap_or_default(), &wanted[name], found);
        }
        expect("state_hash", &hex::encode(next.state_hash().0), &wanted["state_hash"], found);
        let decoded = Trees::decode(&next.encode()).unwrap();
        assert_eq!(decoded.state_hash(), next.state_hash());
    }

    /// The call object, by its id, and the contract object.
    fn compare_objects(&self, next: &Trees, step: &Value, found: &mut Vec<String>) {
        let wanted = &step["result"];
        if let Some(object) = wanted["call"]["object"].as_str() {
            let contract = ContractId(key(&step["contract"]));
            let id = key(&wanted["call"]["call_id"]);
            let call = next.call(&contract.0, &id).map(|call| hex::encode(call.encode()));
            expect("call", &call.unwrap_or_default(), &object.into(), found);
            let caller = if step["caller"].is_string() { &step["caller"] } else { &step["owner"] };
            let by_round = next.call_in_round(contract, AccountId(key(caller)), Round(small(&step["round"])));
            assert_eq!(by_round, next.call(&contract.0, &id));
        }
        if wanted["contract_object"].is_string() {
            let contract = next.contract(ContractId(key(&step["contract"])));
            let object = contract.map(|contract| hex::encode(contract.encode())).unwrap_or_default();
            expect("contract object", &object, &wanted["contract_object"], found);
        }
        if step["op"] == "call" {
            let update = Update::decode(&bytes(&step["update"])).unwrap();
            let dry = dry_run(&self.trees, &update, &self.round(small(&step["round"])), &self.pinned());
            let dry = dry.map(|call| hex::encode(call.encode())).unwrap_or_default();
            expect("dry run", &dry, &wanted["call"]["object"], found);
        }
    }

    /// The whole store of a new contract; of a call the entries that it changed.
    fn compare_stores(&self, next: &Trees, step: &Value, found: &mut Vec<String>) {
        let wanted = &step["result"];
        if let Some(store) = wanted["store"].as_object() {
            let entries = next.store_entries(&key(&step["contract"]), &[]);
            let entries: BTreeMap<_, _> =
                entries.into_iter().map(|(key, value)| (hex::encode(key), hex::encode(value))).collect();
            let store: BTreeMap<_, _> =
                store.iter().map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned())).collect();
            if entries != store {
                found.push(format!("store: wanted {store:?}, found {entries:?}"));
            }
        }
        let changed = wanted["store_changes"].as_object().into_iter().flatten();
        for (contract, changes) in changed {
            let contract = key(&contract.as_str().into());
            let entry = |entry: &str| next.store_value(&contract, &hex::decode(entry).unwrap());
            for (name, value) in changes["put"].as_object().unwrap() {
                expect(name, &hex::encode(entry(name).unwrap_or_default()), value, found);
            }
            for removed in changes["removed"].as_array().unwrap() {
                expect(
                    "removed",
                    &hex::encode(entry(removed.as_str().unwrap()).unwrap_or_default()),
                    &"".into(),
                    found,
                );
            }
        }
    }
}

fn expect(what: &str, is: &str, wanted: &Value, found: &mut Vec<String>) {
    if Some(is) != wanted.as_str() {
        found.push(format!("{what}: wanted {wanted}, found {is}"));
    }
}
