//! A world of maps for the machine.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;
use strait_encoding::rlp::{Item, List, split};
use strait_encoding::{AccountId, Coins, ContractId, Height, NetworkId, Nonce};
use strait_fate::{
    Account, Answer, CodeSource, Contract, Denied, Environment, Host, Name, NewContract, Oracle, OracleQuery,
    Pointee, Protocol,
};

use super::{id, number};

pub type Store = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredContract {
    pub facts: Contract,
    pub abi: u16,
    pub nonce: u64,
    pub deposit: Coins,
    pub store: Store,
}

#[derive(Clone, Default)]
pub struct State {
    pub accounts: BTreeMap<AccountId, Account>,
    pub contracts: BTreeMap<ContractId, StoredContract>,
}

/// What is on the chain.
#[derive(Default)]
pub struct Chain {
    accounts: BTreeMap<AccountId, Account>,
    oracles: BTreeMap<[u8; 32], Oracle>,
    queries: BTreeMap<([u8; 32], Vec<u8>), OracleQuery>,
    names: BTreeMap<[u8; 32], Name>,
}

#[derive(Clone)]
pub struct World {
    pub state: State,
    marks: Vec<State>,
    chain: Arc<Chain>,
    pub environment: Environment,
    pub reserve: u128,
}

fn accounts(json: &Json) -> BTreeMap<AccountId, Account> {
    let account = |json: &Json| {
        let balance = Coins(number(&json["balance"]));
        (AccountId(id(&json["pubkey"])), Account { balance, nonce: Nonce(0), payable: true })
    };
    json.as_array().unwrap().iter().map(account).collect()
}

impl World {
    pub fn of(vector: &Json) -> Self {
        let env = &vector["env"];
        let environment = Environment {
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
        };
        let state = State { accounts: accounts(&env["offchain_accounts"]), ..State::default() };
        let mut chain = Chain { accounts: accounts(&env["onchain_accounts"]), ..Chain::default() };
        if let Some(trees) = vector["onchain_trees_serialized"].as_str() {
            chain.read(&hex::decode(trees).unwrap());
        }
        let reserve = number(&env["channel_reserve"]);
        Self { state, marks: Vec::new(), chain: Arc::new(chain), environment, reserve }
    }

    /// The bytes of an account object.
    pub fn account_object(account: &Account) -> Vec<u8> {
        let list = if account.payable { List::object(10, 1) } else { List::object(10, 3).uint(1) };
        list.uint(account.nonce.0).coins(account.balance).finish()
    }

    pub fn open_marks(&self) -> usize {
        self.marks.len()
    }
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

impl Host for World {
    fn mark(&mut self) {
        self.marks.push(self.state.clone());
    }

    fn keep(&mut self) {
        self.marks.pop().unwrap();
    }

    fn undo(&mut self) {
        self.state = self.marks.pop().unwrap();
    }

    fn account(&self, id: AccountId) -> Answer<Option<Account>> {
        Ok(self.state.accounts.get(&id).copied())
    }

    fn chain_account(&self, id: AccountId) -> Answer<Option<Account>> {
        Ok(self.chain.accounts.get(&id).copied())
    }

    fn transfer(
        &mut self,
        from: AccountId,
        to: AccountId,
        amount: Coins,
        check_payable: bool,
    ) -> Answer<Result<(), Denied>> {
        let accounts = &mut self.state.accounts;
        let Some(sender) = accounts.get(&from).copied() else { return Ok(Err(Denied::AccountNotFound)) };
        let Some(left) = sender.balance.checked_sub(amount) else {
            return Ok(Err(Denied::InsufficientFunds));
        };
        let fresh = Account { balance: Coins(0), nonce: Nonce(0), payable: true };
        if check_payable && !accounts.get(&to).unwrap_or(&fresh).payable {
            return Ok(Err(Denied::NotPayable));
        }
        accounts.insert(from, Account { balance: left, ..sender });
        let receiver = accounts.entry(to).or_insert(fresh);
        receiver.balance = receiver.balance.checked_add(amount).unwrap();
        Ok(Ok(()))
    }

    fn next_nonce(&mut self, id: AccountId) -> Answer<Option<Nonce>> {
        Ok(self.state.accounts.get_mut(&id).map(|account| {
            account.nonce = account.nonce.next();
            account.nonce
        }))
    }

    fn contract(&self, id: ContractId) -> Answer<Option<Contract>> {
        Ok(self.state.contracts.get(&id).map(|contract| contract.facts.clone()))
    }

    fn create_contract(&mut self, new: &NewContract<'_>) -> Answer<()> {
        let facts = Contract { owner: new.owner, vm: new.vm, code: new.code.clone() };
        let store = new.store.iter().cloned().collect();
        let contract = StoredContract { facts, abi: 3, nonce: new.nonce.0, deposit: Coins(0), store };
        self.state.contracts.insert(new.id, contract);
        let fresh = Account { balance: Coins(0), nonce: Nonce(0), payable: new.payable };
        self.state.accounts.entry(AccountId(new.id.0)).or_insert(fresh).payable = new.payable;
        Ok(())
    }

    fn remove_contract(&mut self, id: ContractId) -> Answer<()> {
        self.state.contracts.remove(&id);
        Ok(())
    }

    fn store_value(&self, contract: ContractId, key: &[u8]) -> Answer<Option<Vec<u8>>> {
        Ok(self.state.contracts.get(&contract).and_then(|contract| contract.store.get(key).cloned()))
    }

    fn store_entries(&self, contract: ContractId, prefix: &[u8]) -> Answer<Vec<(Vec<u8>, Vec<u8>)>> {
        let Some(contract) = self.state.contracts.get(&contract) else { return Ok(Vec::new()) };
        let entries = contract.store.range(prefix.to_vec()..).take_while(|(key, _)| key.starts_with(prefix));
        let longer = entries.filter(|(key, _)| key.len() > prefix.len());
        Ok(longer.map(|(key, value)| (key[prefix.len()..].to_vec(), value.clone())).collect())
    }

    fn write_store(&mut self, contract: ContractId, changes: &[(Vec<u8>, Option<Vec<u8>>)]) -> Answer<()> {
        let store = &mut self.state.contracts.get_mut(&contract).unwrap().store;
        for (key, value) in changes {
            match value {
                Some(value) => store.insert(key.clone(), value.clone()),
                None => store.remove(key),
            };
        }
        Ok(())
    }

    fn is_chain_contract(&self, _: ContractId) -> Answer<bool> {
        Ok(false)
    }

    fn oracle(&self, id: [u8; 32]) -> Answer<Option<Oracle>> {
        Ok(self.chain.oracles.get(&id).cloned())
    }

    fn oracle_query(&self, oracle: [u8; 32], query: &[u8]) -> Answer<Option<OracleQuery>> {
        Ok(self.chain.queries.get(&(oracle, query.to_vec())).cloned())
    }

    fn name(&self, hash: [u8; 32]) -> Answer<Option<Name>> {
        Ok(self.chain.names.get(&hash).cloned())
    }

    fn key_block_hash(&self, _: Height) -> Answer<[u8; 32]> {
        panic!("inside a channel nobody asks for it")
    }
}

/// The code source of a container, for those who only have its bytes.
pub fn own(code: Vec<u8>) -> CodeSource {
    CodeSource::Own(code)
}
