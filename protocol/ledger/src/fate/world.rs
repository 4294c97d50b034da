//! The world around a FATE program: the trees of a channel or of the chain.

use std::collections::BTreeMap;

use strait_encoding::{AccountId, Coins, ContractId, Height, Id, KeyBlockHash, Nonce};
use strait_fate::{
    Account as Seen, Answer, CodeSource, Contract, Denied, Host, HostError, Name, NewContract, Oracle,
    OracleQuery,
};

use super::chain_objects;
use crate::{ABI_FATE, Account, ContractCall, ContractCode, ContractObject, CtVersion, Scene, Trees};

const NOT_PAYABLE: u64 = 1;

/// Trees that a program changes, those of the chain that it may read, and marks to return to. The trees share what is equal
/// in them, so that a mark costs nothing, and of a store only those entries are read that are asked for.
pub(super) struct World<'a> {
    here: Trees,
    marks: Vec<Trees>,
    /// None where the program runs on the chain itself.
    chain: Option<&'a Trees>,
    key_blocks: &'a BTreeMap<Height, KeyBlockHash>,
    /// The contract that is called, and the key that its store is under.
    called: (ContractId, [u8; 32]),
}

impl<'a> World<'a> {
    pub fn new(here: Trees, call: &ContractCall<'_>, scene: &Scene<'a>) -> Self {
        Self {
            here,
            marks: Vec::new(),
            chain: scene.chain,
            key_blocks: scene.block.key_blocks,
            called: (call.contract, call.store),
        }
    }

    pub fn into_state(self) -> Trees {
        self.here
    }

    fn on_chain(&self) -> &Trees {
        self.chain.unwrap_or(&self.here)
    }

    /// Under which key of the contracts tree the store of a contract is.
    fn store_of(&self, contract: ContractId) -> [u8; 32] {
        let (called, store) = self.called;
        if contract == called { store } else { contract.0 }
    }
}

impl Host for World<'_> {
    fn mark(&mut self) {
        self.marks.push(self.here.clone());
    }

    fn keep(&mut self) {
        self.marks.pop();
    }

    fn undo(&mut self) {
        if let Some(mark) = self.marks.pop() {
            self.here = mark;
        }
    }

    fn account(&self, id: AccountId) -> Answer<Option<Seen>> {
        Ok(self.here.account(id).as_ref().map(seen))
    }

    fn chain_account(&self, id: AccountId) -> Answer<Option<Seen>> {
        Ok(self.on_chain().account(id).as_ref().map(seen))
    }

    fn transfer(
        &mut self,
        from: AccountId,
        to: AccountId,
        amount: Coins,
        check_payable: bool,
    ) -> Answer<Result<(), Denied>> {
        let Some(mut sender) = self.here.account(from) else { return Ok(Err(Denied::AccountNotFound)) };
        let Some(left) = sender.balance.checked_sub(amount) else {
            return Ok(Err(Denied::InsufficientFunds));
        };
        let fresh = || Account::new(Coins::ZERO);
        if check_payable && !self.here.account(to).unwrap_or_else(fresh).is_payable() {
            return Ok(Err(Denied::NotPayable));
        }
        sender.balance = left;
        self.here.set_account(from, &sender);
        let mut recipient = self.here.account(to).unwrap_or_else(fresh);
        let balance = recipient.balance.checked_add(amount);
        recipient.balance =
            balance.ok_or_else(|| HostError(format!("account {to} would hold more than any amount")))?;
        self.here.set_account(to, &recipient);
        Ok(Ok(()))
    }

    fn next_nonce(&mut self, id: AccountId) -> Answer<Option<Nonce>> {
        let Some(mut account) = self.here.account(id) else { return Ok(None) };
        account.nonce = account.nonce.next();
        self.here.set_account(id, &account);
        Ok(Some(account.nonce))
    }

    fn contract(&self, id: ContractId) -> Answer<Option<Contract>> {
        let Some(object) = self.here.contract(id) else { return Ok(None) };
        let owner = match object.owner {
            Id::Account(owner) => owner,
            Id::Contract(owner) => AccountId(owner.0),
            other => return Err(HostError(format!("contract {id} is owned by {other:?}"))),
        };
        let vm = u16::try_from(object.ct_version.vm);
        let code = match object.code {
            ContractCode::Own(code) => CodeSource::Own(code),
            ContractCode::Of(id) => CodeSource::Of(id),
        };
        Ok(vm.ok().map(|vm| Contract { owner, vm, code }))
    }

    fn create_contract(&mut self, new: &NewContract<'_>) -> Answer<()> {
        let object = ContractObject {
            code: match &new.code {
                CodeSource::Own(code) => ContractCode::Own(code.clone()),
                CodeSource::Of(id) => ContractCode::Of(*id),
            },
            ..ContractObject::new(
                new.owner,
                CtVersion { vm: new.vm.into(), abi: ABI_FATE },
                Vec::new(),
                Coins::ZERO,
            )
        };
        self.here.set_contract(new.id, &object);
        for (entry, value) in new.store {
            self.here.set_store_value(&new.id.0, entry, Some(value));
        }
        let id = AccountId(new.id.0);
        let known = self.here.account(id).unwrap_or_else(|| Account::new(Coins::ZERO));
        let flags = if new.payable { 0 } else { NOT_PAYABLE };
        self.here.set_account(id, &Account { flags, ..known });
        Ok(())
    }

    fn remove_contract(&mut self, id: ContractId) -> Answer<()> {
        self.here.remove_contract(id);
        Ok(())
    }

    fn store_value(&self, contract: ContractId, key: &[u8]) -> Answer<Option<Vec<u8>>> {
        Ok(self.here.store_value(&self.store_of(contract), key).map(<[u8]>::to_vec))
    }

    fn store_entries(&self, contract: ContractId, prefix: &[u8]) -> Answer<Vec<(Vec<u8>, Vec<u8>)>> {
        Ok(self.here.store_entries(&self.store_of(contract), prefix))
    }

    fn write_store(&mut self, contract: ContractId, changes: &[(Vec<u8>, Option<Vec<u8>>)]) -> Answer<()> {
        let store = self.store_of(contract);
        for (key, value) in changes {
            self.here.set_store_value(&store, key, value.as_deref());
        }
        Ok(())
    }

    fn is_chain_contract(&self, id: ContractId) -> Answer<bool> {
        Ok(self.on_chain().contracts.get(&id.0).is_some())
    }

    fn oracle(&self, id: [u8; 32]) -> Answer<Option<Oracle>> {
        let found = self.on_chain().oracles.get(&id);
        found.map(chain_objects::oracle).transpose().map_err(|error| unreadable("oracle", &error))
    }

    fn oracle_query(&self, oracle: [u8; 32], query: &[u8]) -> Answer<Option<OracleQuery>> {
        let found = self.on_chain().oracles.get(&[&oracle[..], query].concat());
        found.map(chain_objects::oracle_query).transpose().map_err(|error| unreadable("query", &error))
    }

    fn name(&self, hash: [u8; 32]) -> Answer<Option<Name>> {
        let found = self.on_chain().names.get(&hash);
        found.map(chain_objects::name).transpose().map_err(|error| unreadable("name", &error))
    }

    fn key_block_hash(&self, height: Height) -> Answer<[u8; 32]> {
        let found = self.key_blocks.get(&height).map(|hash| hash.0);
        found.ok_or_else(|| HostError(format!("the key block at height {height} is not known")))
    }
}

fn seen(account: &Account) -> Seen {
    Seen { balance: account.balance, nonce: account.nonce, payable: account.is_payable() }
}

fn unreadable(what: &str, error: &strait_encoding::rlp::DecodeError) -> HostError {
    HostError(format!("the {what} on the chain cannot be read: {error}"))
}
