//! A small world for the FATE machine: a few accounts, and contracts that all have the same code.

use strait_encoding::rlp::List;
use strait_encoding::{AccountId, Coins, ContractId, Height, NetworkId, Nonce};
use strait_fate::world::{OnChain, State, Store, Stored};
use strait_fate::{
    Account, Authentication, Code, CodeSource, Container, Contract, Environment, Name, Oracle, OracleQuery,
    Pointee, Protocol, TransactionBody,
};

/// The contract that is called.
pub const CALLED: ContractId = ContractId([9; 32]);
/// How many contracts there are besides.
const OTHERS: u8 = 3;
/// What every account has.
const BALANCE: Coins = Coins(1_000_000);

/// A chain on which half of everything is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Half;

/// The world of an input.
pub type World = strait_fate::world::World<Half>;

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

/// A world in which every contract has this code.
pub fn world_of(code: &Code, vm: u16) -> World {
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
        state.contracts.insert(id, Stored::new(contract.clone()));
        state.accounts.insert(AccountId(id.0), account(true));
    }
    World::new(state, Half)
}

/// All coins there are.
pub fn coins_in(state: &State) -> u128 {
    state.accounts.values().map(|account| account.balance.0).sum()
}

/// How many bytes there are in code and stores.
pub fn size_of(state: &State) -> usize {
    let entries = |store: &Store| store.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
    let code = |contract: &Contract| match &contract.code {
        CodeSource::Own(bytes) => bytes.len(),
        CodeSource::Of(_) => 32,
    };
    state.contracts.values().map(|stored| code(&stored.contract) + entries(&stored.store)).sum()
}

fn account(payable: bool) -> Account {
    Account { balance: BALANCE, nonce: Nonce(1), payable }
}

impl OnChain for Half {
    fn account(&self, id: AccountId) -> Option<Account> {
        (id.0[0] & 1 == 0).then(|| account(id.0[0] & 2 == 0))
    }

    fn has_contract(&self, id: ContractId) -> bool {
        id.0[0] & 1 == 0
    }

    fn oracle(&self, id: [u8; 32]) -> Option<Oracle> {
        // Questions and answers are strings.
        let format = || vec![0x77];
        let (query_format, response_format) = (format(), format());
        let oracle = Oracle { abi: 3, query_format, response_format, fee: Coins(3), ttl: Height(2_000) };
        (id[0] & 1 == 0).then_some(oracle)
    }

    fn oracle_query(&self, _: [u8; 32], query: &[u8]) -> Option<OracleQuery> {
        let text = vec![0x0d, b'y', b'e', b's'];
        let response = query.first().is_some_and(|first| first & 1 == 0).then(|| text.clone());
        Some(OracleQuery { question: text, response })
    }

    fn name(&self, hash: [u8; 32]) -> Option<Name> {
        let pointers = vec![
            (b"account_pubkey".to_vec(), Pointee::Account([3; 32])),
            (b"data".to_vec(), Pointee::Data(b"something".to_vec())),
        ];
        let name =
            Name { owner: AccountId([2; 32]), ttl: Height(2_000), revoked: hash[0] & 2 != 0, pointers };
        (hash[0] & 1 == 0).then_some(name)
    }

    fn key_block_hash(&self, height: Height) -> [u8; 32] {
        [height.0.to_be_bytes()[7]; 32]
    }
}
