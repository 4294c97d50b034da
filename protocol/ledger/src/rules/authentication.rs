//! How generalized accounts authenticate: by a call of their contract (`docs/protocol/signing` §3).

use strait_encoding::hash::{blake2b, blake2b_of};
use strait_encoding::rlp::List;
use strait_encoding::{AccountId, ChannelId, Coins, ContractId, NetworkId};

use super::open::auth_store;
use super::{BlockEnv, RuleError};
use crate::{
    ABI_AEVM, ABI_FATE, AccountKind, Authenticated, Authenticating, CallResult, ChannelObject, ContractCall,
    CtVersion, FrozenAuth, FunctionHash, GaMetaTx, Protocol, Scene, SignedTx, Trees, Tx, TxKind,
    VirtualMachine, fee,
};

const AUTH_DATA: u64 = 810;
const FATE_TRUE: [u8; 1] = [0xff];

/// A channel as its parties authenticate states of it: as they did when it was created.
#[derive(Clone, Copy, Debug)]
pub struct Parties<'a> {
    /// The channel.
    pub id: ChannelId,
    /// The channel as the chain knows it.
    pub object: &'a ChannelObject,
}

/// What the contract of a generalized account is asked to authenticate: a hash over the network and the transaction, since
/// Ceres also over the fee and the gas price of the meta transaction (`docs/protocol/signing` §3.1).
///
/// `tx`: on chain the transaction directly inside the meta transaction, off chain the innermost one.
pub fn auth_tx_hash(
    network: &NetworkId,
    protocol: Protocol,
    (fee, gas_price): (Coins, Coins),
    tx: &Tx,
) -> [u8; 32] {
    let hash = blake2b_of(&[network.0.as_bytes(), &tx.encode()]);
    if protocol < Protocol::Ceres {
        return hash;
    }
    blake2b(&List::object(AUTH_DATA, 1).coins(fee).coins(gas_price).bytes(&hash).finish())
}

/// Checks that exactly `signers` authenticated a transaction off chain: a party that was generalized when the channel was
/// created by a meta transaction, which its contract accepts with the store that it had then; any other by a signature on
/// the innermost transaction. `trees` and `env`: the state of the chain, and the block of it.
///
/// A state that both have agreed on has both parties as signers, a half signed one that of the one who proposed it.
///
/// The calls may use the gas that the meta transactions name, and nobody pays for it. Whoever takes states from a peer has to
/// look at that first; [`ChainView::authenticate_offchain`](crate::ChainView::authenticate_offchain) does.
///
/// # Errors
/// Somebody's authentication is missing, too much, of the wrong kind, or refused by the contract: the fault of whoever made
/// it. [`RuleError::Unsupported`] where a contract had to be asked, and `env` has no machine.
pub fn authenticate_offchain(
    signed: &SignedTx,
    channel: Parties<'_>,
    signers: &[AccountId],
    trees: &Trees,
    env: &BlockEnv<'_>,
) -> Result<Authenticated, RuleError> {
    let frozen = |account: AccountId| match account {
        id if id == channel.object.initiator_id => Ok(channel.object.initiator_auth),
        id if id == channel.object.responder_id => Ok(channel.object.responder_auth),
        _ => Err(RuleError::NotParticipant { account }),
    };
    let innermost = signed.innermost().tx();
    for meta in signed.metas() {
        let account = meta.ga_id;
        let FrozenAuth::Generalized { auth_fun, contract } = frozen(account)? else {
            return Err(RuleError::MetaOfBasic { account });
        };
        if !signers.contains(&account) {
            return Err(RuleError::NotRelevant { account });
        }
        let store = auth_store(channel.id, account);
        let question = Question { meta, contract, auth_fun: FunctionHash(auth_fun), store, tx: innermost };
        question.ask(trees, env)?;
    }
    check_signatures_left(signed, signers, env, |account| match frozen(account)? {
        FrozenAuth::Generalized { .. } => Err(RuleError::GeneralizedSigned { account }),
        FrozenAuth::Basic | FrozenAuth::Unrecorded => Ok(()),
    })
}

/// Checks that exactly `signers` authenticated a transaction that is not on chain yet, but shall be: generalized accounts as
/// they are now by meta transactions, others by a signature on the innermost transaction. `trees` and `env`: the state of
/// the chain, and the block of it.
///
/// Nothing is charged. On chain the meta transactions are processed one after another, and each contract sees what the ones
/// before it did; here each sees the state as it is.
///
/// # Errors
/// As [`authenticate_offchain`].
pub fn authenticate_onchain(
    signed: &SignedTx,
    signers: &[AccountId],
    trees: &Trees,
    env: &BlockEnv<'_>,
) -> Result<Authenticated, RuleError> {
    let kind = |id: AccountId| {
        trees.account(id).map(|account| account.kind).ok_or(RuleError::AccountNotFound { account: id })
    };
    for meta in signed.metas() {
        let account = meta.ga_id;
        if !signers.contains(&account) {
            return Err(RuleError::NotRelevant { account });
        }
        let AccountKind::Generalized { contract, auth_fun } = kind(account)? else {
            return Err(RuleError::MetaOfBasic { account });
        };
        let (store, auth_fun, tx) = (contract.0, FunctionHash(auth_fun), meta.tx.tx());
        Question { meta, contract, auth_fun, store, tx }.ask(trees, env)?;
    }
    check_signatures_left(signed, signers, env, |account| match kind(account)? {
        AccountKind::Generalized { .. } => Err(RuleError::GeneralizedSigned { account }),
        AccountKind::Basic => Ok(()),
    })
}

/// Checks that those who did not authenticate by a meta transaction may sign, and did.
fn check_signatures_left(
    signed: &SignedTx,
    signers: &[AccountId],
    env: &BlockEnv<'_>,
    may_sign: impl Fn(AccountId) -> Result<(), RuleError>,
) -> Result<Authenticated, RuleError> {
    let mut left = signers.to_vec();
    for meta in signed.metas() {
        if let Some(place) = left.iter().position(|signer| *signer == meta.ga_id) {
            left.remove(place);
        }
    }
    for signer in &left {
        may_sign(*signer)?;
    }
    let signatures = signed.innermost().verify(env.network, &left);
    signatures.map_err(|error| RuleError::Signatures { error })?;
    Ok(Authenticated::by(signers.to_vec()))
}

/// What a contract is asked off chain: whether an account authenticates a transaction.
struct Question<'a> {
    meta: &'a GaMetaTx,
    contract: ContractId,
    auth_fun: FunctionHash,
    store: [u8; 32],
    tx: &'a Tx,
}

impl Question<'_> {
    fn ask(&self, trees: &Trees, env: &BlockEnv<'_>) -> Result<(), RuleError> {
        let meta = self.meta;
        let machine = env.machine.ok_or(RuleError::Unsupported { kind: TxKind::GaMeta })?;
        check_auth_call(machine, meta, self.auth_fun)?;
        let contract = trees.contract(self.contract).ok_or(RuleError::NoAuthContract)?;
        let code = trees.code(&contract).ok_or(RuleError::NoAuthContract)?;
        if !trees.has_store(&self.store) {
            return Err(RuleError::NoAuthStore);
        }
        let call = ContractCall {
            contract: self.contract,
            ct_version: contract.ct_version,
            code: &code,
            store: self.store,
            gas: fee::auth_gas(meta, env.protocol),
            ..auth_call(meta)
        };
        let tx_hash = auth_tx_hash(env.network, env.protocol, (meta.fee, meta.gas_price), self.tx);
        let auth = Some(Authenticating { tx_hash, tx: None });
        let ran = machine.run(&call, trees, &Scene { block: env, chain: None, auth });
        match ran.map_err(|error| RuleError::NoResult { error })?.result {
            CallResult::Ok(value) if is_true(contract.ct_version, &value) => Ok(()),
            CallResult::Ok(_) => Err(RuleError::AuthRefused),
            CallResult::Error(_) | CallResult::Revert(_) => Err(RuleError::AuthContractFailed),
        }
    }
}

/// The call that a meta transaction makes; what is known of the contract alone is left empty.
pub(super) fn auth_call(meta: &GaMetaTx) -> ContractCall<'_> {
    ContractCall {
        caller: meta.ga_id,
        origin: meta.ga_id,
        contract: ContractId([0; 32]),
        ct_version: CtVersion { vm: 0, abi: 0 },
        code: &[],
        store: [0; 32],
        amount: Coins::ZERO,
        gas: meta.gas,
        gas_price: meta.gas_price,
        fee: meta.fee,
        call_data: &meta.auth_data.0,
        is_init: false,
    }
}

/// Checks that a meta transaction calls the function that authenticates its account.
pub(super) fn check_auth_call(
    machine: &dyn VirtualMachine,
    meta: &GaMetaTx,
    auth_fun: FunctionHash,
) -> Result<(), RuleError> {
    let called = machine.called_function(meta.abi_version, &meta.auth_data.0);
    let called = called.ok_or(RuleError::BadAuthCall)?;
    // FATE knows functions by the first bytes of their hash.
    let expected = if meta.abi_version == ABI_FATE { &auth_fun.0[..4] } else { &auth_fun.0[..] };
    if called == expected { Ok(()) } else { Err(RuleError::WrongAuthFunction) }
}

/// Whether a contract answered true.
pub(super) fn is_true(ct_version: CtVersion, value: &[u8]) -> bool {
    match ct_version.abi {
        ABI_FATE => value == FATE_TRUE,
        ABI_AEVM => value.split_first_chunk::<32>().is_some_and(|(word, _)| {
            let (last, zeros) = (word[31], &word[..31]);
            last == 1 && zeros.iter().all(|byte| *byte == 0)
        }),
        _ => false,
    }
}
