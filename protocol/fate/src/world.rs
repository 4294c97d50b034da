//! A world of maps, for those who try the machine out: tests and fuzz targets. What the machine does in earnest it does in the
//! world of whoever runs it.

use std::collections::BTreeMap;

use strait_encoding::{AccountId, Coins, ContractId, Height, Nonce};

use crate::{
    Account, Answer, Contract, Denied, Host, HostError, Name, NewContract, Oracle, OracleQuery, initial_store,
};

/// What a contract keeps.
pub type Store = BTreeMap<Vec<u8>, Vec<u8>>;

/// What is here, and what `chain` says of the chain.
#[derive(Clone, Debug, Default)]
pub struct World<C> {
    /// What programs change.
    pub state: State,
    /// What they may look at besides.
    pub chain: C,
    marks: Vec<State>,
}

/// What programs change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The accounts, those of contracts among them.
    pub accounts: BTreeMap<AccountId, Account>,
    /// The contracts.
    pub contracts: BTreeMap<ContractId, Stored>,
}

/// A contract that is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// What the machine wants to know of it.
    pub contract: Contract,
    /// What it keeps.
    pub store: Store,
}

/// What a [`Host`] says of the chain, as there.
pub trait OnChain {
    /// An account on the chain.
    fn account(&self, id: AccountId) -> Option<Account>;
    /// Is there a contract of this id on the chain?
    fn has_contract(&self, id: ContractId) -> bool;
    /// An oracle on the chain.
    fn oracle(&self, id: [u8; 32]) -> Option<Oracle>;
    /// A question to an oracle on the chain.
    fn oracle_query(&self, oracle: [u8; 32], query: &[u8]) -> Option<OracleQuery>;
    /// A name on the chain, by its hash.
    fn name(&self, hash: [u8; 32]) -> Option<Name>;
    /// The hash of the key block of this height.
    fn key_block_hash(&self, height: Height) -> [u8; 32];
}

impl<C> World<C> {
    /// A world without marks.
    pub fn new(state: State, chain: C) -> Self {
        Self { state, chain, marks: Vec::new() }
    }

    /// How many marks were neither kept nor undone.
    pub fn open_marks(&self) -> usize {
        self.marks.len()
    }
}

impl Stored {
    /// A contract whose state has not been made.
    pub fn new(contract: Contract) -> Self {
        Self { contract, store: initial_store().into_iter().collect() }
    }
}

impl<C: OnChain> Host for World<C> {
    fn mark(&mut self) {
        self.marks.push(self.state.clone());
    }

    fn keep(&mut self) {
        self.marks.pop().expect("the machine keeps a mark that it made, once");
    }

    fn undo(&mut self) {
        self.state = self.marks.pop().expect("the machine returns to a mark that it made, once");
    }

    fn account(&self, id: AccountId) -> Answer<Option<Account>> {
        Ok(self.state.accounts.get(&id).copied())
    }

    fn chain_account(&self, id: AccountId) -> Answer<Option<Account>> {
        Ok(self.chain.account(id))
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
        if check_payable && accounts.get(&to).is_some_and(|account| !account.payable) {
            return Ok(Err(Denied::NotPayable));
        }
        accounts.insert(from, Account { balance: left, ..sender });
        let receiver = accounts.entry(to).or_insert(fresh());
        let balance = receiver.balance.checked_add(amount);
        receiver.balance =
            balance.ok_or_else(|| HostError(format!("account {to} would hold more than any amount")))?;
        Ok(Ok(()))
    }

    fn next_nonce(&mut self, id: AccountId) -> Answer<Option<Nonce>> {
        Ok(self.state.accounts.get_mut(&id).map(|account| {
            account.nonce = account.nonce.next();
            account.nonce
        }))
    }

    fn contract(&self, id: ContractId) -> Answer<Option<Contract>> {
        Ok(self.state.contracts.get(&id).map(|stored| stored.contract.clone()))
    }

    fn create_contract(&mut self, new: &NewContract<'_>) -> Answer<()> {
        let contract = Contract { owner: new.owner, vm: new.vm, code: new.code.clone() };
        let store = new.store.iter().cloned().collect();
        self.state.contracts.insert(new.id, Stored { contract, store });
        self.state.accounts.entry(AccountId(new.id.0)).or_insert(fresh()).payable = new.payable;
        Ok(())
    }

    fn remove_contract(&mut self, id: ContractId) -> Answer<()> {
        self.state.contracts.remove(&id);
        Ok(())
    }

    fn store_value(&self, contract: ContractId, key: &[u8]) -> Answer<Option<Vec<u8>>> {
        Ok(self.state.contracts.get(&contract).and_then(|stored| stored.store.get(key).cloned()))
    }

    fn store_entries(&self, contract: ContractId, prefix: &[u8]) -> Answer<Vec<(Vec<u8>, Vec<u8>)>> {
        let Some(Stored { store, .. }) = self.state.contracts.get(&contract) else { return Ok(Vec::new()) };
        let entries = store.range(prefix.to_vec()..).take_while(|(key, _)| key.starts_with(prefix));
        let longer = entries.filter(|(key, _)| key.len() > prefix.len());
        Ok(longer.map(|(key, value)| (key[prefix.len()..].to_vec(), value.clone())).collect())
    }

    fn write_store(&mut self, contract: ContractId, changes: &[(Vec<u8>, Option<Vec<u8>>)]) -> Answer<()> {
        let stored = self.state.contracts.get_mut(&contract);
        let Stored { store, .. } =
            stored.ok_or_else(|| HostError(format!("contract {contract} is not here")))?;
        for (key, value) in changes {
            match value {
                Some(value) => store.insert(key.clone(), value.clone()),
                None => store.remove(key),
            };
        }
        Ok(())
    }

    fn is_chain_contract(&self, id: ContractId) -> Answer<bool> {
        Ok(self.chain.has_contract(id))
    }

    fn oracle(&self, id: [u8; 32]) -> Answer<Option<Oracle>> {
        Ok(self.chain.oracle(id))
    }

    fn oracle_query(&self, oracle: [u8; 32], query: &[u8]) -> Answer<Option<OracleQuery>> {
        Ok(self.chain.oracle_query(oracle, query))
    }

    fn name(&self, hash: [u8; 32]) -> Answer<Option<Name>> {
        Ok(self.chain.name(hash))
    }

    fn key_block_hash(&self, height: Height) -> Answer<[u8; 32]> {
        Ok(self.chain.key_block_hash(height))
    }
}

/// The account that comes into being when something arrives at its id.
fn fresh() -> Account {
    Account { balance: Coins::ZERO, nonce: Nonce(0), payable: true }
}
