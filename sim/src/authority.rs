//! Accounts that a contract authenticates (`docs/protocol/signing` §3): it takes the signatures of a key, each number once.

use serde_json::Value as Json;
use strait_encoding::hash::blake2b_of;
use strait_encoding::text::{self, Prefix};
use strait_encoding::{
    AccountId, ChannelId, Coins, Height, NetworkId, Nonce, SecretKey, Signature, SignedForm,
};
use strait_fate::{INIT, Value, function_id};
use strait_ledger::{
    ABI_FATE, AccountKind, Chain, ChainView, ContractBytes, CtVersion, FunctionHash, GaAttachTx, GaMetaTx,
    MetaTtl, Protocol, SignedTx, Trees, Tx, TxKind, auth_tx_hash, choose_fee,
};

/// The contract `Authority` of the SDK's tests.
const AUTHORITY: &str = include_str!("../../tests/sdk/contracts/Authority.json");
/// What a unit of the gas of an authentication costs, and how much it may use.
const META_PRICE: Coins = Coins(1_000_000_000);
const META_GAS: u64 = 40_000;
/// More than the pool takes for an authentication (`docs/protocol/chain_service` §2).
const TOO_MUCH_GAS: u64 = 50_001;
/// Where the store of the contract has the number that was used last.
const USED: [u8; 2] = [0, 2];

/// What is wrong with the meta transaction that a lying client of a generalized account hands over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetaLie {
    /// There is none: the key of the account signs, as if it were a basic one.
    Unwrapped,
    /// It calls another function of the contract.
    AnotherFunction,
    /// It shows the contract a signature under another transaction.
    AnotherTx,
    /// It shows a number that is past.
    PastNumber,
    /// It shows a number whose time has not come.
    LaterNumber,
    /// A stranger's key signed for the contract.
    AnotherKey,
    /// It may use more gas than anybody takes.
    TooMuchGas,
    /// It is one of a generalized stranger.
    Strangers,
    /// There is one of a generalized stranger too.
    StrangersToo,
    /// There are two of the account.
    Twice,
    /// The account's key signed too.
    SignedToo,
}

impl MetaLie {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Unwrapped,
        Self::AnotherFunction,
        Self::AnotherTx,
        Self::PastNumber,
        Self::LaterNumber,
        Self::AnotherKey,
        Self::TooMuchGas,
        Self::Strangers,
        Self::StrangersToo,
        Self::Twice,
        Self::SignedToo,
    ];
}

/// What acts for a generalized account: a key, and the numbers that its contract takes next.
#[derive(Clone, Debug)]
pub(crate) struct Authority {
    account: AccountId,
    key: SecretKey,
    network: NetworkId,
    /// On chain, once everything that waits has been mined.
    on_chain: u64,
    /// For states of the channel: those are authenticated as when it was created, for ever.
    off_chain: u64,
}

impl Authority {
    /// Of the account of this key, which does not sign itself.
    pub fn of(key: &SecretKey, network: NetworkId) -> Self {
        let account = key.account();
        let acting = SecretKey::from_seed(blake2b_of(&[b"acts for", &account.0]));
        Self { account, key: acting, network, on_chain: 1, off_chain: 1 }
    }

    /// The transaction that makes the account of this key a generalized one; to be signed by it.
    ///
    /// # Panics
    /// The contract cannot be read.
    pub fn attaching(&self) -> SignedTx {
        let json: Json = serde_json::from_str(AUTHORITY).unwrap_or_default();
        let code = json["bytecode"].as_str().and_then(|code| text::decode(Prefix::ContractBytes, code).ok());
        let Some(code) = code else { panic!("no code of the contract Authority") };
        let mut auth_fun = [0; 32];
        auth_fun[..4].copy_from_slice(&function_id("authorize"));
        let attach = GaAttachTx {
            owner_id: self.account,
            nonce: Nonce(1),
            code: ContractBytes(code),
            auth_fun: FunctionHash(auth_fun),
            ct_version: CtVersion { vm: 8, abi: ABI_FATE },
            fee: Coins(0),
            ttl: Height(0),
            gas: META_GAS,
            gas_price: META_PRICE,
            call_data: call(INIT, vec![Value::Address(self.key.account().0.to_vec().into())]),
        };
        SignedTx::unsigned(priced(attach))
    }

    /// Learns which numbers come next.
    pub fn look_at_chain(&mut self, chain: &Chain, channel: Option<ChannelId>) {
        let Some(AccountKind::Generalized { contract, .. }) = chain.account(self.account).map(|it| it.kind)
        else {
            return;
        };
        let is_own = |tx: &&SignedTx| tx.metas().any(|meta| meta.ga_id == self.account);
        let waiting = chain.pending().filter(is_own).count() as u64;
        self.on_chain = used(chain.top_state(), &contract.0).unwrap_or(0) + waiting + 1;
        // docs/protocol/signing §3.3: the copy stands under the hash of channel and account.
        let copy = channel.map(|channel| blake2b_of(&[&channel.0, &self.account.0]));
        self.off_chain = copy.and_then(|copy| used(chain.top_state(), &copy)).unwrap_or(0) + 1;
    }

    /// The transaction inside a meta transaction of the account.
    pub fn wrap(&self, tx: &SignedTx) -> SignedTx {
        self.wrap_with(tx, None)
    }

    /// As [`wrap`](Self::wrap), with something wrong.
    pub fn wrap_with(&self, tx: &SignedTx, lie: Option<MetaLie>) -> SignedTx {
        let is_state = tx.body().kind() == TxKind::ChannelOffchain;
        let next = if is_state { self.off_chain } else { self.on_chain };
        let number = match lie {
            Some(MetaLie::PastNumber) => next - 1,
            Some(MetaLie::LaterNumber) => next + 1,
            _ => next,
        };
        let meta = |fee, auth_data| GaMetaTx {
            ga_id: self.account,
            auth_data,
            abi_version: ABI_FATE,
            fee,
            gas: if lie == Some(MetaLie::TooMuchGas) { TOO_MUCH_GAS } else { META_GAS },
            gas_price: META_PRICE,
            ttl: MetaTtl(None),
            tx: tx.clone(),
        };
        // A signature is as long as any other. The transaction inside may get longer by those of others.
        let unsigned = meta(Coins(0), authorize(number, Signature([0; 64])));
        let fee = Coins(2 * priced(unsigned).fee().0);
        // Off chain the innermost transaction counts, on chain what stands directly inside.
        let shown = if is_state { tx.body() } else { tx.tx() };
        let mut hash = auth_tx_hash(&self.network, Protocol::default(), (fee, META_PRICE), shown);
        if lie == Some(MetaLie::AnotherTx) {
            hash[0] ^= 1;
        }
        let key = match lie {
            Some(MetaLie::AnotherKey) => SecretKey::from_seed([99; 32]),
            _ => self.key.clone(),
        };
        let words = [&hash[..], &number.to_be_bytes()].concat();
        // Nothing stands before what is signed for a contract.
        let signature = key.sign(&NetworkId(String::new()), &words, SignedForm::Plain);
        let auth_data = match lie {
            Some(MetaLie::AnotherFunction) => call(function_id("used"), Vec::new()),
            _ => authorize(number, signature),
        };
        SignedTx::unsigned(meta(fee, auth_data))
    }
}

fn authorize(number: u64, signature: Signature) -> ContractBytes {
    call(function_id("authorize"), vec![Value::from(number as i64), Value::bytes(signature.0.to_vec())])
}

/// How many numbers the store under this key has used.
fn used(trees: &Trees, store: &[u8; 32]) -> Option<u64> {
    match Value::decode(trees.store_value(store, &USED)?) {
        Ok(Value::Integer(used)) => used.to_u64(),
        other => panic!("an Authority has counted to {other:?}"),
    }
}

/// The transaction with the least fee that the miner takes.
fn priced(tx: impl Into<Tx>) -> Tx {
    choose_fee(tx.into(), None, None, Protocol::default()).unwrap_or_else(|error| panic!("no fee: {error}"))
}

fn call(function: [u8; 4], arguments: Vec<Value>) -> ContractBytes {
    let call = Value::tuple(vec![Value::string(function), Value::tuple(arguments)]);
    ContractBytes(call.encode().unwrap_or_else(|error| panic!("no call data: {error}")))
}
