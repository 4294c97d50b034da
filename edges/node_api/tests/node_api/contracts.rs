//! The contracts of these tests, and what is done with them.

use serde_json::Value;
use strait_encoding::text::{self, Prefix};
use strait_encoding::{AccountId, Coins, ContractId, Height, NetworkId, Nonce, SignedForm, hash};
use strait_fate::Value as Fate;
use strait_ledger::{
    ABI_FATE, ContractBytes, ContractCallTx, ContractCreateTx, CtVersion, FunctionHash, GaAttachTx, GaMetaTx,
    MetaTtl, PayingForTx, SignedTx, auth_tx_hash,
};

use crate::support::{Served, account, key, network, served, signed};

pub const CALL_FEE: Coins = Coins(300_000_000_000_000);
pub const GAS_PRICE: Coins = Coins(1_000_000_000);
pub const GAS: u64 = 40_000;

const VERSION: CtVersion = CtVersion { vm: 8, abi: ABI_FATE };
const ARTIFACTS: [(&str, &str); 2] = [
    ("Tally", include_str!("../../../../tests/sdk/contracts/Tally.json")),
    ("Authority", include_str!("../../../../tests/sdk/contracts/Authority.json")),
];

/// The compiled code of a contract.
pub fn code(contract: &str) -> ContractBytes {
    let (_, artifact) = ARTIFACTS.iter().find(|(name, _)| *name == contract).unwrap();
    let artifact: Value = serde_json::from_str(artifact).unwrap();
    bytes(artifact["bytecode"].as_str().unwrap())
}

/// A call of a contract as the compiler encodes it: `add 4`.
pub fn data(contract: &str, call: &str) -> ContractBytes {
    let begin = format!("{contract} {call} ");
    let mut lines = include_str!("../vectors/calls.txt").lines();
    let found = lines.find_map(|line| line.strip_prefix(&begin));
    bytes(found.unwrap_or_else(|| panic!("{begin}")))
}

fn bytes(encoded: &str) -> ContractBytes {
    ContractBytes(text::decode(Prefix::ContractBytes, encoded).unwrap())
}

/// The text form of a FATE value.
pub fn value(value: Fate) -> String {
    text::encode(Prefix::ContractBytes, &value.encode().unwrap())
}

/// Account 1 makes a tally that begins with 3; it takes coins.
pub fn tally_tx(nonce: u64) -> ContractCreateTx {
    ContractCreateTx {
        owner_id: account(1),
        nonce: Nonce(nonce),
        code: code("Tally"),
        ct_version: VERSION,
        fee: CALL_FEE,
        ttl: Height(0),
        deposit: Coins(0),
        amount: Coins(0),
        gas: GAS,
        gas_price: GAS_PRICE,
        call_data: data("Tally", "init 3"),
    }
}

/// The tally that account 1 makes with its first nonce.
pub fn tally() -> ContractId {
    hash::contract_id(account(1), 1)
}

/// Account 1 calls it.
pub fn call_tx(nonce: u64, call: &str) -> ContractCallTx {
    ContractCallTx {
        caller_id: account(1),
        nonce: Nonce(nonce),
        contract_id: tally(),
        abi_version: ABI_FATE,
        fee: CALL_FEE,
        ttl: Height(0),
        amount: Coins(0),
        gas: GAS,
        gas_price: GAS_PRICE,
        call_data: data("Tally", call),
    }
}

pub fn call(nonce: u64, call: &str) -> SignedTx {
    signed(call_tx(nonce, call), &[1])
}

/// A served chain with the tally on it.
pub async fn with_tally() -> Served {
    let served = served().await;
    deploy(&served).await;
    served
}

pub async fn deploy(served: &Served) -> String {
    let hash = served.take(&signed(tally_tx(1), &[1])).await;
    served.mine();
    hash
}

/// Account 3 becomes generalized: what the key of account 4 signs is its.
pub fn attach_tx() -> GaAttachTx {
    GaAttachTx {
        owner_id: account(3),
        nonce: Nonce(1),
        code: code("Authority"),
        auth_fun: FunctionHash(hash::blake2b(b"authorize")),
        ct_version: VERSION,
        fee: CALL_FEE,
        ttl: Height(0),
        gas: GAS,
        gas_price: GAS_PRICE,
        call_data: calldata("init", vec![address(account(4))]),
    }
}

/// A transaction of account 3, authorized as the `number`-th.
pub fn meta(number: u64, inside: SignedTx) -> SignedTx {
    let tx_hash =
        auth_tx_hash(&network(), strait_ledger::Protocol::Ceres, (CALL_FEE, GAS_PRICE), inside.tx());
    let words = [&tx_hash[..], &number.to_be_bytes()].concat();
    // Without a network the words alone are signed.
    let signature = key(4).sign(&NetworkId(String::new()), &words, SignedForm::Plain);
    let number = Fate::Integer(number.into());
    SignedTx::unsigned(GaMetaTx {
        ga_id: account(3),
        auth_data: calldata("authorize", vec![number, Fate::bytes(signature.0.to_vec())]),
        abi_version: ABI_FATE,
        fee: CALL_FEE,
        gas: GAS,
        gas_price: GAS_PRICE,
        ttl: MetaTtl(None),
        tx: inside,
    })
}

/// An account pays for a transaction.
pub fn paying(number: u8, nonce: u64, tx: SignedTx) -> PayingForTx {
    PayingForTx { payer_id: account(number), nonce: Nonce(nonce), fee: CALL_FEE, tx }
}

/// What an account signs of a transaction that another one pays for.
pub fn paid_for(number: u8, tx: SignedTx) -> SignedTx {
    let bytes = tx.unsigned_bytes().to_vec();
    let network = NetworkId(format!("{}-inner_tx", network().0));
    tx.with_signature(key(number).sign(&network, &bytes, SignedForm::Plain))
}

fn address(account: AccountId) -> Fate {
    Fate::Address(account.0.to_vec().into())
}

fn calldata(function: &str, arguments: Vec<Fate>) -> ContractBytes {
    let id = Fate::string(strait_fate::function_id(function).to_vec());
    ContractBytes(Fate::tuple(vec![id, Fate::tuple(arguments)]).encode().unwrap())
}

#[test]
fn calls_are_encoded_as_the_compiler_does() {
    let owner = "ak_21A27UVVt3hDkBE5J7rhhqnH5YNb4Y1dqo4PnSybrH85pnWo7E";
    let key = owner.parse().unwrap();
    assert_eq!(calldata("init", vec![address(key)]), data("Authority", &format!("init {owner}")));
    assert_eq!(calldata("add", vec![Fate::Integer(4.into())]), data("Tally", "add 4"));
}
