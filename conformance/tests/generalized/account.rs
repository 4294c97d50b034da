//! Accounts that authenticate by a signature, or by the contract `Authority` of the SDK's tests: it takes the signatures of a key
//! over what it is shown (`docs/protocol/signing` §3.1), each number once.

use serde_json::Value as Json;
use strait_encoding::hash::blake2b_of;
use strait_encoding::rlp::List;
use strait_encoding::text::{self, Prefix};
use strait_encoding::{AccountId, Coins, Height, NetworkId, Nonce, SecretKey, Signature, SignedForm};
use strait_fate::{INIT, Value, function_id};
use strait_ledger::{
    ABI_FATE, ContractBytes, CtVersion, FunctionHash, GaAttachTx, GaMetaTx, MetaTtl, Protocol, SignedTx, Tx,
    TxKind, choose_fee,
};

/// What a meta transaction pays for itself.
pub const META_FEE: Coins = Coins(300_000_000_000_000);
/// What it pays for a unit of the gas that its contract used.
pub const META_PRICE: Coins = Coins(1_000_000_000);
/// How much gas its contract may use.
pub const META_GAS: u64 = 40_000;

const AUTHORITY: &str = include_str!("../../../tests/sdk/contracts/Authority.json");

/// What an account does once instead of authenticating.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// It calls another function of its contract.
    AnotherFunction,
    /// It shows its contract a signature over something else: the answer is no.
    AnotherTx,
    /// It shows its contract a number that is past: the call fails.
    PastNumber,
    /// It signs, as if it were no generalized account.
    Signature,
}

/// An account and how it authenticates.
pub struct Member {
    key: SecretKey,
    network: NetworkId,
    authority: Option<Authority>,
    /// What it does the next time.
    pub lie: Option<Lie>,
}

/// The key that acts for a generalized account, and what its contract has counted.
struct Authority {
    key: SecretKey,
    /// The numbers that were used on chain.
    used: i64,
    /// The numbers that were used when the channel was created: states of it are authenticated against that for ever.
    frozen: i64,
}

impl Member {
    pub fn basic(key: SecretKey, network: NetworkId) -> Self {
        Self { key, network, authority: None, lie: None }
    }

    /// The account as it is once [`attaching`](Self::attaching) is on chain.
    pub fn generalized(key: SecretKey, network: NetworkId) -> Self {
        let authority = Authority { key: SecretKey::from_seed([77; 32]), used: 0, frozen: 0 };
        Self { authority: Some(authority), ..Self::basic(key, network) }
    }

    pub fn account(&self) -> AccountId {
        self.key.account()
    }

    pub fn is_generalized(&self) -> bool {
        self.authority.is_some()
    }

    /// The signed transaction that makes the account a generalized one.
    pub fn attaching(&self) -> SignedTx {
        let json: Json = serde_json::from_str(AUTHORITY).unwrap();
        let code = text::decode(Prefix::ContractBytes, json["bytecode"].as_str().unwrap()).unwrap();
        let mut auth_fun = [0; 32];
        auth_fun[..4].copy_from_slice(&function_id("authorize"));
        let authority = self.authority.as_ref().unwrap().key.account();
        let tx = Tx::from(GaAttachTx {
            owner_id: self.account(),
            nonce: Nonce(1),
            code: ContractBytes(code),
            auth_fun: FunctionHash(auth_fun),
            ct_version: CtVersion { vm: 8, abi: ABI_FATE },
            fee: Coins(0),
            ttl: Height(0),
            gas: META_GAS,
            gas_price: META_PRICE,
            call_data: call(INIT, vec![Value::Address(authority.0.to_vec().into())]),
        });
        let tx = SignedTx::unsigned(choose_fee(tx, None, None, Protocol::Ceres).unwrap());
        tx.clone().with_signature(self.signature(&tx))
    }

    /// A transaction that somebody else may have authenticated already, authenticated by this account too.
    pub fn authenticated(&mut self, tx: SignedTx) -> SignedTx {
        let lie = self.lie.take();
        let signature = self.signature(tx.innermost());
        let is_state = tx.body().kind() == TxKind::ChannelOffchain;
        let network = &self.network;
        let Some(authority) = self.authority.as_mut().filter(|_| lie != Some(Lie::Signature)) else {
            return tx.with_signature_inside(signature);
        };
        if tx.body().kind() == TxKind::ChannelCreate {
            authority.frozen = authority.used + 1;
        }
        // Off chain the innermost transaction counts, on chain what stands directly inside.
        let (number, shown) = match is_state {
            true => (authority.frozen + 1, tx.innermost().unsigned_bytes()),
            false => (authority.used + 1, tx.unsigned_bytes()),
        };
        let auth_data = match lie {
            Some(Lie::AnotherFunction) => call(function_id("used"), Vec::new()),
            Some(Lie::AnotherTx) => authority.call(number, &auth_tx_hash(network, b"another one")),
            Some(Lie::PastNumber) => authority.call(number - 1, &auth_tx_hash(network, shown)),
            Some(Lie::Signature) | None => authority.call(number, &auth_tx_hash(network, shown)),
        };
        SignedTx::unsigned(GaMetaTx {
            ga_id: self.key.account(),
            auth_data,
            abi_version: ABI_FATE,
            fee: META_FEE,
            gas: META_GAS,
            gas_price: META_PRICE,
            ttl: MetaTtl(None),
            tx,
        })
    }

    /// Notes that a transaction which this account authenticated is on chain.
    pub fn has_acted(&mut self) {
        if let Some(authority) = &mut self.authority {
            authority.used += 1;
        }
    }

    fn signature(&self, tx: &SignedTx) -> Signature {
        self.key.sign(&self.network, tx.unsigned_bytes(), SignedForm::Hash)
    }
}

impl Authority {
    /// The call of `authorize` with this number, signed by the key.
    fn call(&self, number: i64, tx_hash: &[u8; 32]) -> ContractBytes {
        let words = [&tx_hash[..], &number.to_be_bytes()].concat();
        // Nothing stands before what is signed for a contract.
        let signature = self.key.sign(&NetworkId(String::new()), &words, SignedForm::Plain);
        call(function_id("authorize"), vec![Value::from(number), Value::bytes(signature.0.to_vec())])
    }
}

/// What a contract is shown of a transaction, from Ceres on (`docs/protocol/signing` §3.1).
fn auth_tx_hash(network: &NetworkId, tx: &[u8]) -> [u8; 32] {
    let hash = blake2b_of(&[network.0.as_bytes(), tx]);
    let shown = List::object(810, 1).coins(META_FEE).coins(META_PRICE).bytes(&hash).finish();
    blake2b_of(&[&shown])
}

fn call(function: [u8; 4], arguments: Vec<Value>) -> ContractBytes {
    let call = Value::tuple(vec![Value::string(function), Value::tuple(arguments)]);
    ContractBytes(call.encode().unwrap())
}
