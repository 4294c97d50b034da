//! A channel's state without a channel: contracts are called at any height, and what comes of it is looked at.

use std::collections::BTreeMap;

use strait_client::{FateValue, Program, value};
use strait_encoding::hash::contract_id;
use strait_encoding::{AccountId, Coins, ContractId, Height, KeyBlockHash, NetworkId, Round};
use strait_fate::Value;
use strait_ledger::rules::BlockEnv;
use strait_ledger::{
    CallResult, Fate, OFFCHAIN_GAS, OffchainEnv, Pinned, Protocol, Trees, Update, apply_updates_at,
    initial_trees,
};

pub const ALICE: AccountId = AccountId([0xa1; 32]);
pub const BOB: AccountId = AccountId([0xb0; 32]);

pub struct Referee {
    program: Program,
    trees: Trees,
    round: Round,
    /// The height of the chain that contracts see.
    pub height: u64,
}

impl Referee {
    /// Both have 1,000.
    pub fn new(bytecode: &str) -> Self {
        let trees = initial_trees(ALICE, BOB, Coins(1_000), Coins(1_000));
        Self { program: Program::from_text(bytecode).unwrap(), trees, round: Round(1), height: 0 }
    }

    /// The program that is made and called from now on.
    pub fn program(&mut self, bytecode: &str) {
        self.program = Program::from_text(bytecode).unwrap();
    }

    pub fn make(&mut self, owner: AccountId, init: &[Value]) -> ContractId {
        let update = Update::NewContract {
            owner,
            ct_version: self.program.version().pack(),
            code: self.program.bytes().to_vec(),
            deposit: Coins(0),
            call_data: self.program.call("init", init).unwrap().bytes().to_vec(),
        };
        self.apply(update);
        contract_id(owner, self.round.0)
    }

    /// The call returns.
    pub fn returns(
        &mut self,
        who: AccountId,
        contract: ContractId,
        name: &str,
        arguments: &[Value],
        coins: u128,
    ) {
        let result = self.call(who, contract, name, arguments, coins);
        assert!(matches!(result, CallResult::Ok(_)), "{name}: {result:?}");
    }

    /// The contract takes the call back; why.
    pub fn refused(
        &mut self,
        who: AccountId,
        contract: ContractId,
        name: &str,
        arguments: &[Value],
        coins: u128,
    ) -> String {
        match self.call(who, contract, name, arguments, coins) {
            CallResult::Revert(why) => String::from_fate(&Value::decode(&why).unwrap()).unwrap(),
            other => panic!("{name}: {other:?}"),
        }
    }

    /// What Alice, Bob and the contract have.
    pub fn balances(&self, contract: ContractId) -> [u128; 3] {
        [ALICE, BOB, AccountId(contract.0)].map(|id| self.trees.account(id).unwrap().balance.0)
    }

    fn call(
        &mut self,
        caller: AccountId,
        contract: ContractId,
        name: &str,
        arguments: &[Value],
        coins: u128,
    ) -> CallResult {
        let call_data = self.program.call(name, arguments).unwrap().bytes().to_vec();
        self.apply(Update::CallContract {
            caller,
            contract,
            abi_version: 3,
            amount: Coins(coins),
            gas: OFFCHAIN_GAS,
            gas_price: 1,
            call_data,
            call_stack: Vec::new(),
        });
        self.trees.call_in_round(contract, caller, self.round).unwrap().result
    }

    fn apply(&mut self, update: Update) {
        self.round = self.round.next();
        let env = OffchainEnv { reserve: Coins(0), round: self.round, protocol: Protocol::Ceres };
        let block = BlockEnv {
            network: &NetworkId("ae_dev".to_owned()),
            height: Height(self.height),
            key_hash: KeyBlockHash::ZERO,
            time_ms: 0,
            protocol: Protocol::Ceres,
            min_gas_price: Coins(1_000_000),
            solo_round_switch: Height(0),
            beneficiary: AccountId::ZERO,
            difficulty: 0,
            key_blocks: &BTreeMap::new(),
            machine: Some(&Fate::default()),
        };
        let pinned = Pinned { block, trees: &Trees::default() };
        self.trees = apply_updates_at(&self.trees, &[update], &env, &pinned).unwrap();
    }
}

/// The arguments that redeem a link.
pub fn words(link: [u8; 32], units: u64) -> [Value; 2] {
    [value(&link), value(&units)]
}
