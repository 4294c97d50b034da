//! The contracts that the simulation's clients use: their code, their calls, and what a call does to coins, told by hand.

use std::sync::LazyLock;

use serde_json::Value;
use strait_channel::{Contract, Forcing, Request, TxOptions};
use strait_encoding::hash::{blake2b, contract_id};
use strait_encoding::{AccountId, Coins, ContractId, Height};
use strait_ledger::{ABI_FATE, CtVersion, Update};

use crate::setup::Setup;

/// A contract of the recorded vectors. None of its functions looks at who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Program {
    /// Holds coins, and gives them to whom it is told to.
    Spender,
    /// Remembers a number, and holds coins that it never gives away here.
    Callee,
    /// Tells of the block that the round is pinned to.
    Envt,
}

/// A call of one of their functions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Of the spender: gives so much to an account.
    Spend(AccountId, u128),
    /// Of the spender: gives, then takes everything back.
    SpendFail(AccountId, u128),
    /// Of the spender: gives to one, then to another one.
    SpendTwo([(AccountId, u128); 2]),
    /// Of the spender: keeps the coins that come with the call.
    Deposit,
    /// Of the callee: keeps the coins that come with the call, and adds them to its number.
    Pay,
    /// Of the callee: remembers a number.
    Set(u128),
    /// Of the callee: tells the number.
    Get,
    /// Of the callee: takes everything back.
    FailRevert,
    /// Of the callee: fails.
    FailError,
    /// Of the callee: never ends.
    Burn,
    /// Of the program that tells of the block: its height.
    Height,
    /// What none of them has.
    Nonsense,
}

/// What a call comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Upshot {
    /// It ends well: the coins that came with it stay, and these are paid.
    Well(Vec<(AccountId, u128)>),
    /// It takes everything back: the coins that came with it go back to the caller.
    Reverts,
    /// It fails: the same of the coins.
    Fails,
}

impl Program {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Spender, Self::Callee, Self::Envt];

    /// The serialized code.
    ///
    /// # Panics
    /// The recordings have none.
    pub fn code(self) -> &'static [u8] {
        let found = CODES.iter().find(|(program, _)| *program == self);
        found.map_or_else(|| panic!("no code of {self:?} is recorded"), |(_, code)| code)
    }

    /// Which one this is the code of.
    pub(crate) fn of_code(code: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|program| program.code() == code)
    }

    /// The call of `init`. The callee begins with the number 5.
    pub fn init(self) -> Vec<u8> {
        match self {
            Self::Callee => call_data("init", &[integer(5)]),
            Self::Spender | Self::Envt => call_data("init", &[]),
        }
    }

    /// The request to make one, with so many coins in it.
    pub fn create(self, deposit: u128) -> Request {
        let CtVersion { vm, abi } = NEWEST;
        let code = self.code().to_vec();
        request(Contract::New { vm, abi, deposit: Coins(deposit), code, call_data: self.init() })
    }
}

impl Call {
    /// The call data.
    pub fn data(&self) -> Vec<u8> {
        match self {
            Self::Spend(to, amount) => call_data("spend", &[address(*to), integer(*amount)]),
            Self::SpendFail(to, amount) => call_data("spend_fail", &[address(*to), integer(*amount)]),
            Self::SpendTwo([(one, some), (other, more)]) => {
                call_data("spend2", &[address(*one), integer(*some), address(*other), integer(*more)])
            }
            Self::Deposit => call_data("dep", &[]),
            Self::Pay => call_data("pay", &[TEXT.to_vec()]),
            Self::Set(number) => call_data("set", &[integer(*number)]),
            Self::Get => call_data("get", &[]),
            Self::FailRevert => call_data("fail_revert", &[TEXT.to_vec()]),
            Self::FailError => call_data("fail_error", &[]),
            Self::Burn => call_data("burn", &[]),
            Self::Height => call_data("height", &[]),
            Self::Nonsense => call_data("nonsense", &[]),
        }
    }

    /// Reads call data; what is none of these calls is nonsense.
    pub(crate) fn read(data: &[u8]) -> Self {
        Self::known(data).filter(|call| call.data() == data).unwrap_or(Self::Nonsense)
    }

    fn known(data: &[u8]) -> Option<Self> {
        let mut left = data.get(6..)?.get(1..)?;
        let function = |name: &str| data.get(2..6) == Some(&blake2b(name.as_bytes())[..4]);
        Some(match () {
            () if function("spend") => Self::Spend(read_address(&mut left)?, read_integer(&mut left)?),
            () if function("spend_fail") => {
                Self::SpendFail(read_address(&mut left)?, read_integer(&mut left)?)
            }
            () if function("spend2") => {
                let mut part = || Some((read_address(&mut left)?, read_integer(&mut left)?));
                Self::SpendTwo([part()?, part()?])
            }
            () if function("dep") => Self::Deposit,
            () if function("pay") => Self::Pay,
            () if function("set") => Self::Set(read_integer(&mut left)?),
            () if function("get") => Self::Get,
            () if function("fail_revert") => Self::FailRevert,
            () if function("fail_error") => Self::FailError,
            () if function("burn") => Self::Burn,
            () if function("height") => Self::Height,
            () => return None,
        })
    }

    /// The request to call a contract, with so many coins.
    pub fn of(&self, contract: ContractId, amount: u128) -> Request {
        let (abi, call_data) = (ABI_FATE, self.data());
        request(Contract::Call { contract, abi, amount: Coins(amount), call_data })
    }

    /// The request to force it on chain.
    pub fn forced(&self, contract: ContractId, amount: u128) -> Request {
        Request::ForceProgress(Forcing {
            contract,
            abi: ABI_FATE,
            amount: Coins(amount),
            call_data: self.data(),
            gas: FORCED_GAS,
            gas_price: FORCED_PRICE,
            options: TxOptions::default(),
        })
    }

    /// The update that forces it, with no coins.
    pub(crate) fn forced_update(&self, caller: AccountId, contract: ContractId) -> Update {
        Update::CallContract {
            caller,
            contract,
            abi_version: ABI_FATE,
            amount: Coins::ZERO,
            gas: FORCED_GAS,
            gas_price: FORCED_PRICE.0,
            call_data: self.data(),
            call_stack: Vec::new(),
        }
    }

    /// What it comes to with this program, which has so many coins when `amount` more come with the call.
    pub(crate) fn upshot(&self, program: Program, held: u128, amount: u128) -> Upshot {
        let has = held + amount;
        match (program, self) {
            (Program::Spender, Self::Deposit) | (Program::Callee, Self::Pay) => Upshot::Well(Vec::new()),
            // No other function takes coins.
            _ if amount > 0 => Upshot::Fails,
            (Program::Spender, Self::Spend(to, wanted)) if *wanted <= has => {
                Upshot::Well(vec![(*to, *wanted)])
            }
            (Program::Spender, Self::SpendTwo([one, other])) if one.1.saturating_add(other.1) <= has => {
                Upshot::Well(vec![*one, *other])
            }
            (Program::Spender, Self::SpendFail(_, wanted)) if *wanted <= has => Upshot::Reverts,
            (Program::Callee, Self::FailRevert) => Upshot::Reverts,
            (Program::Callee, Self::Set(_) | Self::Get) | (Program::Envt, Self::Height) => {
                Upshot::Well(Vec::new())
            }
            _ => Upshot::Fails,
        }
    }
}

/// The name of the contract that an account makes in a round.
pub(crate) fn made_in(owner: AccountId, round: u64) -> ContractId {
    contract_id(owner, round)
}

/// A whole number of none and more, as FATE writes it (`docs/protocol/contracts` §2.2).
pub fn integer(number: u128) -> Vec<u8> {
    let Some(rest) = number.checked_sub(64) else {
        return vec![u8::try_from(number << 1).unwrap_or_default()];
    };
    let bytes = rest.to_be_bytes();
    let skipped = bytes.iter().take_while(|byte| **byte == 0).count().min(15);
    match &bytes[skipped..] {
        [byte @ 0..0x80] => vec![0x6f, *byte],
        many => [&[0x6f, 0x80 + u8::try_from(many.len()).unwrap_or_default()], many].concat(),
    }
}

/// The value that `Height` returns in a round that is pinned to a block of this height.
pub fn height_value(height: Height) -> Vec<u8> {
    integer(u128::from(height.0))
}

/// More than any of these calls uses, and what miners take.
const FORCED_GAS: u64 = 100_000;
const FORCED_PRICE: Coins = Coins(1_000_000_000);
const NEWEST: CtVersion = CtVersion { vm: 8, abi: ABI_FATE };
/// A string of one letter.
const TEXT: [u8; 2] = [0x05, b'x'];
/// What an address begins with, before its 32 bytes.
const ADDRESS: [u8; 3] = [0x9f, 0x00, 0xa0];

/// Recordings, and the sources that the code of each program was compiled from.
const RECORDED: [(Program, &str, &str); 3] = [
    (
        Program::Spender,
        "spender.aes",
        include_str!("../../protocol/fate/tests/vectors/scenarios/ceres/spend.json"),
    ),
    (
        Program::Callee,
        "callee.aes",
        include_str!("../../protocol/fate/tests/vectors/scenarios/ceres/remote.json"),
    ),
    (Program::Envt, "envt.aes", include_str!("../../protocol/fate/tests/vectors/scenarios/ceres/env.json")),
];

static CODES: LazyLock<Vec<(Program, Vec<u8>)>> = LazyLock::new(|| {
    let read = |(program, source, recording): &(Program, &str, &str)| {
        let recording: Value = serde_json::from_str(recording).ok()?;
        let is_code = |step: &&Value| step["op"] == "create" && step["contract_source"] == **source;
        let code = recording["steps"].as_array()?.iter().find(is_code)?["code"].as_str()?.to_owned();
        Some((*program, unhex(&code)?))
    };
    RECORDED.iter().filter_map(read).collect()
});

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

fn request(contract: Contract) -> Request {
    Request::Contract { contract, pin: None, meta: Vec::new() }
}

/// A call of a function by its name.
fn call_data(function: &str, arguments: &[Vec<u8>]) -> Vec<u8> {
    let tuple = match arguments.len() {
        0 => 0x3f,
        count => u8::try_from(count << 4).unwrap_or_default() | 0x0b,
    };
    [&[0x2b, 0x11], &blake2b(function.as_bytes())[..4], &[tuple], &arguments.concat()].concat()
}

fn address(account: AccountId) -> Vec<u8> {
    [&ADDRESS[..], &account.0].concat()
}

fn read_address(left: &mut &[u8]) -> Option<AccountId> {
    let (head, rest) = left.split_at_checked(ADDRESS.len())?;
    let (account, rest) = rest.split_first_chunk::<32>()?;
    *left = rest;
    (head == ADDRESS).then_some(AccountId(*account))
}

fn read_integer(left: &mut &[u8]) -> Option<u128> {
    let (first, rest) = left.split_first()?;
    *left = rest;
    if *first != 0x6f {
        return (first & 0x81 == 0).then_some(u128::from(first >> 1));
    }
    let (first, rest) = rest.split_first()?;
    let (bytes, rest) = match first {
        0..0x80 => (std::slice::from_ref(first), rest),
        _ => rest.split_at_checked(usize::from(first - 0x80))?,
    };
    *left = rest;
    let number = bytes
        .iter()
        .try_fold(0u128, |number, byte| number.checked_mul(256)?.checked_add(u128::from(*byte)))?;
    number.checked_add(64)
}

impl crate::World {
    /// The name of the contract that the client of a role makes in a round.
    pub fn contract_made(role: strait_channel::Role, round: u64) -> ContractId {
        made_in(Setup::account(role), round)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every call of a recording, with the name of its function and its call data.
    fn recorded() -> Vec<(String, Vec<u8>)> {
        let mut calls = Vec::new();
        for (_, _, recording) in RECORDED {
            let recording: Value = serde_json::from_str(recording).unwrap();
            for step in recording["steps"].as_array().unwrap() {
                if let (Some(name), Some(data)) = (step["function"].as_str(), step["calldata"].as_str()) {
                    calls.push((name.to_owned(), unhex(data).unwrap()));
                }
            }
        }
        calls
    }

    #[test]
    fn calls_are_written_as_they_were_recorded() {
        let mut read = 0;
        for (name, data) in recorded() {
            if let Some(call) = Call::known(&data) {
                let negative = data.last().is_some_and(|last| last & 0x81 == 0x80);
                assert!(
                    call.data() == data || negative || name == "pay" || name == "fail_revert",
                    "{name}: {call:?}"
                );
                read += usize::from(call.data() == data);
            }
        }
        assert!(read >= 12, "{read} recorded calls are known");
    }

    #[test]
    fn integers_are_written_as_they_were_recorded() {
        let file = include_str!("../../protocol/fate/tests/vectors/units/values.json");
        let file: Value = serde_json::from_str(file).unwrap();
        let mut seen = 0;
        for value in file["values"].as_array().unwrap() {
            if let Some(number) = value["human"].as_str().and_then(|human| human.parse::<u128>().ok()) {
                let bytes = unhex(value["fate"].as_str().unwrap()).unwrap();
                assert_eq!(integer(number), bytes, "{number}");
                assert_eq!(read_integer(&mut &bytes[..]), Some(number));
                seen += 1;
            }
        }
        assert!(seen > 5, "{seen} integers");
    }
}
