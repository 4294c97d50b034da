//! A small world for the FATE machine: a few accounts, and contracts that all have the same code.

use std::collections::BTreeMap;

use strait_encoding::rlp::List;
use strait_encoding::{AccountId, Coins, ContractId, Height, NetworkId, Nonce};
use strait_fate::{
    Account, Answer, Authentication, Code, CodeSource, Container, Contract, Denied, Environment, Host, Name,
    NewContract, Oracle, OracleQuery, Pointee, Protocol, TransactionBody, initial_store,
};

/// The contract that is called.
pub const CALLED: ContractId = ContractId([9; 32]);
/// How many contracts there are besides.
const OTHERS: u8 = 3;
/// What every account has.
const BALANCE: Coins = Coins(1_000_000);

type Store = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct State {
    accounts: BTreeMap<AccountId, Account>,
    contracts: BTreeMap<ContractId, (Contract, Store)>,
}

/// A world with marks to return to.
#[derive(Clone, Debug, Default)]
pub struct World {
    state: State,
    marks: Vec<State>,
}

/// The code with these functions, if they can be read; a function id that it has twice stands once.
pub fn code_of(functions: &[u8]) -> Option<Code> {
    // An empty map of symbols, and one of annotations.
    let empty = [0x2f, 0x00];
    let bytes = [written(functions), written(&empty), written(&empty)].concat();
    Code::decode(&bytes).ok()
}

/// A string as RLP.
fn written(bytes: &[u8]) -> Vec<u8> {
    let list = List::new().bytes(bytes).finish();
    // What follows the head of the list, which is as long as it has to be.
    let head = match list.first() {
        Some(first @ 0xf8..) => usize::from(first - 0xf7) + 1,
        _ => 1,
    };
    list.get(head..).unwrap_or_default().to_vec()
}

/// The version of the machine that an input asks for.
pub fn vm_of(circumstances: u8) -> u16 {
    match circumstances & 3 {
        0 => 5,
        1 => 7,
        _ => 8,
    }
}

/// The surroundings that an input asks for.
pub fn environment_of(circumstances: u8) -> Environment {
    let authentication = Authentication {
        hash: [4; 32],
        actor: AccountId([2; 32]),
        fee: Coins(20),
        ttl: Height(0),
        payer: Some((AccountId([3; 32]), Coins(30))),
        metas: vec![(AccountId([2; 32]), Coins(10))],
        body: TransactionBody::Spend { recipient: [3; 32], amount: Coins(5), payload: b"for you".to_vec() },
    };
    Environment {
        protocol: if circumstances & 4 == 0 { Protocol::Ceres } else { Protocol::Iris },
        height: Height(1_000),
        time: 1_700_000_000_000,
        beneficiary: AccountId([5; 32]),
        difficulty: 7,
        key_block: [6; 32],
        network: NetworkId("ae_fuzz".to_owned()),
        origin: AccountId([2; 32]),
        gas_price: Coins(1),
        fee: Coins(0),
        on_chain: circumstances & 8 != 0,
        authentication: (circumstances & 16 != 0).then_some(authentication),
    }
}

impl World {
    /// A world in which every contract has this code.
    pub fn of(code: &Code, vm: u16) -> Self {
        let container = Container {
            version: 3,
            source_hash: vec![0; 32],
            type_table: Vec::new(),
            byte_code: code.encode().unwrap_or_default(),
            compiler: b"8".to_vec(),
            payable: true,
        };
        let mut state = State::default();
        let contract = Contract { owner: AccountId([2; 32]), vm, code: CodeSource::Own(container.encode()) };
        let others = (1..=OTHERS).map(|number| ContractId([number; 32]));
        for id in others.chain([CALLED]) {
            state.contracts.insert(id, (contract.clone(), initial_store().into_iter().collect()));
            state.accounts.insert(AccountId(id.0), fresh(BALANCE, true));
        }
        Self { state, marks: Vec::new() }
    }

    /// How many marks are not given back.
    pub fn open_marks(&self) -> usize {
        self.marks.len()
    }

    /// All coins there are.
    pub fn coins(&self) -> u128 {
        self.state.accounts.values().map(|account| account.balance.0).sum()
    }

    /// How many bytes there are in code and stores.
    pub fn size(&self) -> usize {
        let entries = |store: &Store| store.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
        let code = |contract: &Contract| match &contract.code {
            CodeSource::Own(bytes) => bytes.len(),
            CodeSource::Of(_) => 32,
        };
        self.state.contracts.values().map(|(contract, store)| code(contract) + entries(store)).sum()
    }

    /// Whether the state is the same.
    pub fn is_as(&self, other: &Self) -> bool {
        self.state == other.state
    }
}

fn fresh(balance: Coins, payable: bool) -> Account {
    Account { balance, nonce: Nonce(1), payable }
}

impl Host for World {
    fn mark(&mut self) {
        self.marks.push(self.state.clone());
    }

    fn keep(&mut self) {
        self.marks.pop().expect("a mark is kept once");
    }

    fn undo(&mut self) {
        self.state = self.marks.pop().expect("a mark is returned to once");
    }

    fn account(&self, id: AccountId) -> Answer<Option<Account>> {
        Ok(self.state.accounts.get(&id).copied())
    }

    fn chain_account(&self, id: AccountId) -> Answer<Option<Account>> {
        Ok((id.0[0] & 1 == 0).then(|| fresh(BALANCE, id.0[0] & 2 == 0)))
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
        let receiver = accounts.entry(to).or_insert(fresh(Coins::ZERO, true));
        receiver.balance = receiver.balance.checked_add(amount).expect("there are not that many coins");
        Ok(Ok(()))
    }

    fn next_nonce(&mut self, id: AccountId) -> Answer<Option<Nonce>> {
        Ok(self.state.accounts.get_mut(&id).map(|account| {
            account.nonce = account.nonce.next();
            account.nonce
        }))
    }

    fn contract(&self, id: ContractId) -> Answer<Option<Contract>> {
        Ok(self.state.contracts.get(&id).map(|(contract, _)| contract.clone()))
    }

    fn create_contract(&mut self, new: &NewContract<'_>) -> Answer<()> {
        let contract = Contract { owner: new.owner, vm: new.vm, code: new.code.clone() };
        self.state.contracts.insert(new.id, (contract, new.store.iter().cloned().collect()));
        let account = AccountId(new.id.0);
        self.state.accounts.entry(account).or_insert(fresh(Coins::ZERO, true)).payable = new.payable;
        Ok(())
    }

    fn remove_contract(&mut self, id: ContractId) -> Answer<()> {
        self.state.contracts.remove(&id);
        Ok(())
    }

    fn store_value(&self, contract: ContractId, key: &[u8]) -> Answer<Option<Vec<u8>>> {
        Ok(self.state.contracts.get(&contract).and_then(|(_, store)| store.get(key).cloned()))
    }

    fn store_entries(&self, contract: ContractId, prefix: &[u8]) -> Answer<Vec<(Vec<u8>, Vec<u8>)>> {
        let Some((_, store)) = self.state.contracts.get(&contract) else { return Ok(Vec::new()) };
        let entries = store.range(prefix.to_vec()..).take_while(|(key, _)| key.starts_with(prefix));
        let longer = entries.filter(|(key, _)| key.len() > prefix.len());
        Ok(longer.map(|(key, value)| (key[prefix.len()..].to_vec(), value.clone())).collect())
    }

    fn write_store(&mut self, contract: ContractId, changes: &[(Vec<u8>, Option<Vec<u8>>)]) -> Answer<()> {
        let Some((_, store)) = self.state.contracts.get_mut(&contract) else { return Ok(()) };
        for (key, value) in changes {
            match value {
                Some(value) => store.insert(key.clone(), value.clone()),
                None => store.remove(key),
            };
        }
        Ok(())
    }

    fn is_chain_contract(&self, id: ContractId) -> Answer<bool> {
        Ok(id.0[0] & 1 == 0)
    }

    fn oracle(&self, id: [u8; 32]) -> Answer<Option<Oracle>> {
        // Questions and answers are strings.
        let format = || vec![0x77];
        let (query_format, response_format) = (format(), format());
        let oracle = Oracle { abi: 3, query_format, response_format, fee: Coins(3), ttl: Height(2_000) };
        Ok((id[0] & 1 == 0).then_some(oracle))
    }

    fn oracle_query(&self, _: [u8; 32], query: &[u8]) -> Answer<Option<OracleQuery>> {
        let text = vec![0x0d, b'y', b'e', b's'];
        let response = query.first().is_some_and(|first| first & 1 == 0).then(|| text.clone());
        Ok(Some(OracleQuery { question: text, response }))
    }

    fn name(&self, hash: [u8; 32]) -> Answer<Option<Name>> {
        let pointers = vec![
            (b"account_pubkey".to_vec(), Pointee::Account([3; 32])),
            (b"data".to_vec(), Pointee::Data(b"something".to_vec())),
        ];
        let name =
            Name { owner: AccountId([2; 32]), ttl: Height(2_000), revoked: hash[0] & 2 != 0, pointers };
        Ok((hash[0] & 1 == 0).then_some(name))
    }

    fn key_block_hash(&self, height: Height) -> Answer<[u8; 32]> {
        Ok([height.0.to_be_bytes()[7]; 32])
    }
}
