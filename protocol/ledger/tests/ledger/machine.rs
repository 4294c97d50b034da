//! A machine for the tests: what a call does stands in its call data.
//!
//! Call data: `2b 11`, 4 bytes for the function, one byte for what to do, and more.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use strait_encoding::{AccountId, Coins, ContractId, Height, KeyBlockHash, NetworkId, Nonce};
use strait_ledger::rules::{self, BlockEnv, ChainState, RuleError};
use strait_ledger::{
    ABI_FATE, Account, CallResult, CodeFault, ContractBytes, ContractCall, CtVersion, Fate, FunctionHash,
    GaAttachTx, GaMetaTx, MIN_GAS_PRICE, MetaTtl, NewCode, NoResult, Prepared, Protocol, Ran, Scene,
    SignedTx, Trees, Tx, VirtualMachine,
};

use crate::support::{FEE, RICH, account, key, network, signed};

/// The units of gas that every call uses.
pub const GAS_USED: u64 = 462;
pub const GAS_PRICE: Coins = Coins(1_000_000_000);
/// The function that authenticates.
pub const AUTH: [u8; 4] = [0xaa; 4];
const INIT: [u8; 4] = [0x11; 4];
const TRUE: u8 = 0xff;
const FALSE: u8 = 0x7f;

/// What a call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Do {
    Yes = 1,
    No,
    Fail,
    TakeBack,
    /// Answers something that is no boolean.
    Number,
    /// Yes, if the counter in the store is the next byte; counts.
    Count,
    /// Yes, if what is to be authenticated has the hash of the next 32 bytes.
    Match,
    /// Pays one coin of the contract to the caller.
    Pay,
}

const ALL: [Do; 8] = [Do::Yes, Do::No, Do::Fail, Do::TakeBack, Do::Number, Do::Count, Do::Match, Do::Pay];

#[derive(Clone, Copy, Debug)]
pub struct Scripted;

impl VirtualMachine for Scripted {
    fn called_function(&self, abi: u64, call_data: &[u8]) -> Option<Vec<u8>> {
        match call_data {
            [0x2b, 0x11, rest @ ..] if abi == ABI_FATE => rest.first_chunk::<4>().map(|name| name.to_vec()),
            _ => None,
        }
    }

    fn prepare(&self, attachment: &NewCode<'_>) -> Result<Prepared, CodeFault> {
        let fault = match attachment.code {
            b"malformed" => Some(CodeFault::Malformed),
            b"outdated" => Some(CodeFault::Outdated),
            b"number" => Some(CodeFault::NoBoolean),
            _ if attachment.auth_fun.unwrap().0[..4] != AUTH => Some(CodeFault::NoFunction),
            _ if !attachment.call_data.starts_with(&call_data(INIT, Do::Yes, &[])[..6]) => {
                Some(CodeFault::NotInit)
            }
            _ => None,
        };
        let stored = [attachment.code, b" stored"].concat();
        fault.map_or(Ok(Prepared { stored, is_payable: attachment.code == b"payable" }), Err)
    }

    fn run(&self, call: &ContractCall<'_>, state: &Trees, scene: &Scene<'_>) -> Result<Ran, NoResult> {
        let mut state = state.clone();
        let (script, more) = call.call_data[6..].split_first().unwrap();
        let script = ALL.into_iter().find(|known| *known as u8 == *script).unwrap();
        let counter = [&call.store[..], &[0x10, 0]].concat();
        let boolean = |yes| CallResult::Ok(vec![if yes { TRUE } else { FALSE }]);
        if call.is_init {
            assert_eq!(state.contracts.get(&counter), None);
            state.contracts.insert(&counter, &[1]);
        }
        let result = match script {
            Do::Yes => boolean(true),
            Do::No => boolean(false),
            Do::Fail => CallResult::Error(b"Out of gas".to_vec()),
            Do::TakeBack => CallResult::Revert(vec![0]),
            Do::Number => CallResult::Ok(vec![0x54, 0]),
            Do::Count => {
                let count = state.contracts.get(&counter).unwrap()[0];
                state.contracts.insert(&counter, &[count + 1]);
                boolean(more == [count])
            }
            Do::Match => boolean(scene.auth.unwrap().tx_hash == more),
            Do::Pay => {
                let mut shift = |id: AccountId, change: i64| {
                    let mut account = state.account(id).unwrap();
                    account.balance = Coins(account.balance.0.checked_add_signed(change.into()).unwrap());
                    state.set_account(id, &account);
                };
                shift(AccountId(call.contract.0), -1);
                shift(call.caller, 1);
                boolean(true)
            }
        };
        Ok(Ran { result, gas_used: GAS_USED.min(call.gas), log: Vec::new(), state })
    }
}

pub fn call_data(function: [u8; 4], script: Do, more: &[u8]) -> Vec<u8> {
    [&[0x2b, 0x11][..], &function, &[script as u8], more].concat()
}

/// Authentication data.
pub fn auth(script: Do, more: &[u8]) -> ContractBytes {
    ContractBytes(call_data(AUTH, script, more))
}

pub fn auth_fun() -> FunctionHash {
    let mut hash = [7; 32];
    hash[..4].copy_from_slice(&AUTH);
    FunctionHash(hash)
}

pub fn attach(number: u8, script: Do) -> GaAttachTx {
    GaAttachTx {
        owner_id: account(number),
        nonce: Nonce(1),
        code: ContractBytes(b"code".to_vec()),
        auth_fun: auth_fun(),
        ct_version: CtVersion { vm: 8, abi: ABI_FATE },
        fee: Coins(200_000_000_000_000),
        ttl: Height(0),
        gas: 1_000,
        gas_price: GAS_PRICE,
        call_data: ContractBytes(call_data(INIT, script, &[])),
    }
}

/// `tx` authenticated by a generalized account.
pub fn by(number: u8, auth_data: ContractBytes, tx: SignedTx) -> SignedTx {
    SignedTx::unsigned(GaMetaTx {
        ga_id: account(number),
        auth_data,
        abi_version: ABI_FATE,
        fee: Coins(200_000_000_000_000),
        gas: 1_000,
        gas_price: GAS_PRICE,
        ttl: MetaTtl(None),
        tx,
    })
}

/// Accounts 1 to 5, rich, at a height.
#[derive(Clone)]
pub struct World {
    pub state: ChainState,
    pub height: u64,
    pub protocol: Protocol,
    pub machine: &'static dyn VirtualMachine,
}

impl World {
    pub fn new() -> Self {
        let mut state = ChainState::default();
        for number in 1..=5 {
            state.trees.set_account(account(number), &Account::new(RICH));
        }
        Self { state, height: 20, protocol: Protocol::Ceres, machine: &Scripted }
    }

    /// The same with FATE.
    pub fn with_fate() -> Self {
        static FATE: LazyLock<Fate> = LazyLock::new(Fate::default);
        Self { machine: &*FATE, ..Self::new() }
    }

    /// Accounts of these numbers are generalized.
    pub fn generalized(numbers: &[u8]) -> Self {
        let mut world = Self::new();
        for number in numbers {
            world.take(&signed(attach(*number, Do::Yes), &[*number])).unwrap();
        }
        world
    }

    pub fn env<'a>(&self, network: &'a NetworkId) -> BlockEnv<'a> {
        BlockEnv {
            network,
            height: Height(self.height),
            key_hash: KeyBlockHash::ZERO,
            time_ms: 1_000,
            protocol: self.protocol,
            min_gas_price: MIN_GAS_PRICE,
            solo_round_switch: rules::SOLO_ROUND_SWITCH,
            beneficiary: AccountId::ZERO,
            difficulty: 1,
            key_blocks: const { &BTreeMap::new() },
            machine: Some(self.machine),
        }
    }

    /// Applies a transaction with all checks. A refused one must change nothing, and coins are conserved.
    pub fn take(&mut self, tx: &SignedTx) -> Result<(), RuleError> {
        let (network, before) = (network(), self.state.clone());
        let env = BlockEnv { network: &network, ..self.env(&network) };
        let result = rules::apply(&mut self.state, tx, &env);
        if result.is_err() {
            assert_eq!(self.state, before);
        }
        assert_eq!(self.coins(), coins(&before), "coins appear or vanish");
        result
    }

    /// The name of the error; `ok` for none.
    pub fn shows(&mut self, tx: &SignedTx) -> &'static str {
        match self.take(tx) {
            Ok(()) => "ok",
            Err(error) => error.atom(),
        }
    }

    pub fn account(&self, number: u8) -> Account {
        self.state.trees.account(account(number)).unwrap()
    }

    fn coins(&self) -> u128 {
        coins(&self.state)
    }

    /// All results of calls that are known.
    pub fn calls(&self) -> Vec<strait_ledger::CallObject> {
        let all = self.state.trees.calls.iter();
        all.map(|(_, bytes)| strait_ledger::CallObject::decode(bytes).unwrap()).collect()
    }
}

fn coins(state: &ChainState) -> u128 {
    let accounts = state.trees.accounts.iter().map(|(_, bytes)| Account::decode(bytes).unwrap().balance.0);
    let channels = state
        .trees
        .channels
        .iter()
        .map(|(_, bytes)| strait_ledger::ChannelObject::decode(bytes).unwrap().channel_amount.0);
    accounts.chain(channels).sum::<u128>() + state.fees_collected.0
}

/// `tx` with the signatures of these keys on the innermost transaction.
pub fn co_signed(tx: SignedTx, signers: &[u8]) -> SignedTx {
    let bytes = tx.innermost().unsigned_bytes().to_vec();
    signers.iter().fold(tx, |tx, number| {
        let form = strait_encoding::SignedForm::Plain;
        tx.with_signature_inside(key(*number).sign(&network(), &bytes, form))
    })
}

/// The contract of a generalized account.
pub fn contract_of(number: u8) -> ContractId {
    strait_encoding::hash::contract_id(account(number), 1)
}

/// The counters in all stores of the contracts tree, by their key.
pub fn counters(trees: &Trees) -> BTreeMap<Vec<u8>, u8> {
    let all = trees.contracts.iter().filter(|(key, _)| key.len() == 34);
    all.map(|(key, value)| (key[..32].to_vec(), value[0])).collect()
}

/// What `tx` is, unsigned, with the fee of these tests.
pub fn unsigned(tx: impl Into<Tx>) -> SignedTx {
    SignedTx::unsigned(tx.into().with_fee(FEE))
}
