//! The world of a vector.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use strait_encoding::rlp::{Item, List, split};
use strait_encoding::{AccountId, Coins, ContractId, Height, NetworkId, Nonce};
use strait_fate::world::{OnChain, State};
use strait_fate::{Account, Environment, Name, Oracle, OracleQuery, Pointee, Protocol};

use super::{id, number};

/// The world of a channel over the chain of a vector.
pub type World = strait_fate::world::World<Chain>;

/// What is on the chain, and what holds for the channel.
pub struct Chain {
    pub environment: Environment,
    pub reserve: u128,
    accounts: BTreeMap<AccountId, Account>,
    oracles: BTreeMap<[u8; 32], Oracle>,
    queries: BTreeMap<([u8; 32], Vec<u8>), OracleQuery>,
    names: BTreeMap<[u8; 32], Name>,
}

fn accounts(json: &Json) -> BTreeMap<AccountId, Account> {
    let account = |json: &Json| {
        let balance = Coins(number(&json["balance"]));
        (AccountId(id(&json["pubkey"])), Account { balance, nonce: Nonce(0), payable: true })
    };
    json.as_array().unwrap().iter().map(account).collect()
}

/// The world that a vector begins with.
pub fn world_of(vector: &Json) -> World {
    let env = &vector["env"];
    let state = State { accounts: accounts(&env["offchain_accounts"]), ..State::default() };
    let mut chain = Chain {
        environment: environment(env),
        reserve: number(&env["channel_reserve"]),
        accounts: accounts(&env["onchain_accounts"]),
        oracles: BTreeMap::new(),
        queries: BTreeMap::new(),
        names: BTreeMap::new(),
    };
    if let Some(trees) = vector["onchain_trees_serialized"].as_str() {
        chain.read(&hex::decode(trees).unwrap());
    }
    World::new(state, chain)
}

fn environment(env: &Json) -> Environment {
    Environment {
        protocol: match number(&env["protocol"]) {
            5 => Protocol::Iris,
            6 => Protocol::Ceres,
            other => panic!("protocol {other}"),
        },
        height: Height(number(&env["height"]) as u64),
        time: number(&env["time_in_msecs"]) as u64,
        beneficiary: AccountId(id(&env["beneficiary"])),
        difficulty: number(&env["difficulty"]) as u64,
        key_block: id(&env["key_hash"]),
        network: NetworkId(env["network_id"].as_str().unwrap().to_owned()),
        origin: AccountId::ZERO,
        gas_price: Coins(0),
        fee: Coins(0),
        on_chain: false,
        authentication: None,
    }
}

/// The bytes of an account object.
pub fn account_object(account: &Account) -> Vec<u8> {
    let list = if account.payable { List::object(10, 1) } else { List::object(10, 3).uint(1) };
    list.uint(account.nonce.0).coins(account.balance).finish()
}

/// The items of a list.
fn items(bytes: &[u8]) -> Vec<Vec<u8>> {
    let (Item::List(mut rest), _) = split(bytes).unwrap() else { panic!("no list") };
    let mut items = Vec::new();
    while !rest.is_empty() {
        let (item, behind) = split(rest).unwrap();
        items.push(match item {
            Item::Bytes(bytes) => bytes.to_vec(),
            Item::List(_) => rest[..rest.len() - behind.len()].to_vec(),
        });
        rest = behind;
    }
    items
}

fn uint(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0, |number, byte| number << 8 | u128::from(*byte))
}

impl Chain {
    /// Reads the serialized trees of a node: those of names, oracles and accounts.
    fn read(&mut self, trees: &[u8]) {
        for tree in items(trees).into_iter().skip(2) {
            let tree = items(&tree);
            let kind = uint(&tree[0]);
            for entry in items(&items(&tree[2])[2]) {
                let entry = items(&entry);
                self.read_entry(kind, &entry[2], &entry[3]);
            }
        }
    }

    fn read_entry(&mut self, tree: u128, key: &[u8], value: &[u8]) {
        let fields = items(value);
        match (tree, uint(&fields[0])) {
            (624, 30) => {
                let version = uint(&fields[1]);
                let pointers =
                    items(&fields[6]).into_iter().map(|pointer| pointee(&items(&pointer), version));
                let name = Name {
                    owner: AccountId(fields[2][1..].try_into().unwrap()),
                    ttl: Height(uint(&fields[3]) as u64),
                    revoked: fields[4] == b"revoked",
                    pointers: pointers.collect(),
                };
                self.names.insert(key.try_into().unwrap(), name);
            }
            (625, 21) => {
                let response = (fields[6] == [1]).then(|| fields[7].clone());
                let query = OracleQuery { question: fields[5].clone(), response };
                // An open question has an empty answer.
                let query = match &query.response {
                    Some(_) => query,
                    None => OracleQuery { response: None, ..query },
                };
                self.queries.insert((key[..32].try_into().unwrap(), key[32..].to_vec()), query);
            }
            (625, 20) => {
                let oracle = Oracle {
                    query_format: fields[2].clone(),
                    response_format: fields[3].clone(),
                    fee: Coins(uint(&fields[4])),
                    ttl: Height(uint(&fields[5]) as u64),
                    abi: uint(&fields[6]) as u16,
                };
                self.oracles.insert(key.try_into().unwrap(), oracle);
            }
            (626, 10) => {
                let account = Account {
                    balance: Coins(uint(&fields[3])),
                    nonce: Nonce(uint(&fields[2]) as u64),
                    payable: true,
                };
                self.accounts.insert(AccountId(key.try_into().unwrap()), account);
            }
            other => panic!("an entry of tree and tag {other:?}"),
        }
    }
}

fn pointee(fields: &[Vec<u8>], version: u128) -> (Vec<u8>, Pointee) {
    let body = if version == 2 { &fields[1][1..] } else { &fields[1][..] };
    let id = || body[1..].try_into().unwrap();
    let pointee = match (version == 2 && fields[1][0] == 2, body[0]) {
        (true, _) => Pointee::Data(body.to_vec()),
        (_, 1) => Pointee::Account(id()),
        (_, 4) => Pointee::Oracle(id()),
        (_, 5) => Pointee::Contract(id()),
        (_, 6) => Pointee::Channel(id()),
        other => panic!("a pointee of tag {other:?}"),
    };
    (fields[0].clone(), pointee)
}

impl OnChain for Chain {
    fn account(&self, id: AccountId) -> Option<Account> {
        self.accounts.get(&id).copied()
    }

    fn has_contract(&self, _: ContractId) -> bool {
        false
    }

    fn oracle(&self, id: [u8; 32]) -> Option<Oracle> {
        self.oracles.get(&id).cloned()
    }

    fn oracle_query(&self, oracle: [u8; 32], query: &[u8]) -> Option<OracleQuery> {
        self.queries.get(&(oracle, query.to_vec())).cloned()
    }

    fn name(&self, hash: [u8; 32]) -> Option<Name> {
        self.names.get(&hash).cloned()
    }

    fn key_block_hash(&self, _: Height) -> [u8; 32] {
        panic!("inside a channel nobody asks for it")
    }
}
