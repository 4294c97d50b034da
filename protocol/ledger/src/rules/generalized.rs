//! Generalized accounts on chain: becoming one, and authenticating as one (`docs/protocol/signing` §3.2).

use strait_encoding::hash::{self, blake2b_of};
use strait_encoding::{AccountId, Coins, ContractId, Nonce};

use super::accounts::sum;
use super::authentication::{auth_call, auth_tx_hash, check_auth_call, is_true};
use super::contracts::{Bill, call_object, make_contract, refused_code};
use super::frame::{Frame, gas_cost};
use super::{ChainState, RuleError, process, required_signers, verify_inside};
use crate::{
    Account, AccountKind, Authenticating, CallObject, CallResult, ContractCall, ContractObject, FunctionHash,
    GaAttachTx, GaMetaTx, NewCode, Prepared, Scene, Trees, Tx, TxKind,
};

/// What the authentication of a transaction that failed shows as its value.
const INNER_FAILED: &[u8] = b"inner_transaction_failed";

/// Makes an account generalized. A failing `init` is on chain too: nonce, fee and gas are used.
pub(super) fn attach(state: &mut ChainState, tx: &GaAttachTx, frame: &Frame<'_>) -> Result<(), RuleError> {
    let machine = frame.machine(TxKind::GaAttach)?;
    state.use_nonce(tx.owner_id, tx.nonce, frame)?;
    let before = state.clone();
    let bill = Bill { origin: tx.owner_id, fee: tx.fee, gas: tx.gas, gas_price: tx.gas_price };
    let prepared = prepare(state, tx, bill.most(), frame)?;
    let contract = hash::contract_id(tx.owner_id, tx.nonce.0);
    make_contract(state, (contract, tx.owner_id), tx.ct_version, Coins::ZERO, &prepared);
    let call = init_call(tx, contract);
    let scene = Scene { block: frame.env, chain: None, auth: None };
    let ran = machine.run(&call, &state.trees, &scene).map_err(|error| RuleError::NoResult { error })?;
    let mut object = call_object(frame, tx.owner_id, contract, (tx.nonce, tx.gas_price), &ran);
    let is_made = matches!(ran.result, CallResult::Ok(_));
    if is_made {
        // A successful init shows no value.
        object.result = CallResult::Ok(Vec::new());
    }
    bill.settle(state, before, (ran.state, &object), frame)?;
    if is_made {
        let owner = state.account(tx.owner_id)?;
        let kind = AccountKind::Generalized { contract, auth_fun: tx.auth_fun.0 };
        state.trees.set_account(tx.owner_id, &Account { kind, ..owner });
    }
    Ok(())
}

/// Checks that an account may be attached to a contract, and takes the most that it can cost.
fn prepare(
    state: &mut ChainState,
    tx: &GaAttachTx,
    most: Coins,
    frame: &Frame<'_>,
) -> Result<Prepared, RuleError> {
    let (id, payer) = (tx.owner_id, frame.payer_or(tx.owner_id));
    if payer != id {
        state.debit(payer, most)?;
    }
    let owner = state.account(id)?;
    if !owner.is_basic() {
        return Err(RuleError::NotBasic { account: id });
    }
    if payer == id {
        state.debit(id, most)?;
    }
    if !tx.ct_version.is_attachable(frame.protocol()) {
        return Err(RuleError::IllegalVm { vm: tx.ct_version.vm, abi: tx.ct_version.abi });
    }
    let new = NewCode {
        ct_version: tx.ct_version,
        code: &tx.code.0,
        auth_fun: Some(tx.auth_fun),
        call_data: &tx.call_data.0,
        on_chain: Some(frame.protocol()),
    };
    let machine = frame.machine(TxKind::GaAttach)?;
    machine.prepare(&new).map_err(|fault| refused_code(fault, tx.ct_version))
}

/// Asks the contract of an account, then processes the transaction inside. Where that fails, the authentication stays on
/// chain, and is paid for.
pub(super) fn meta(state: &mut ChainState, tx: &GaMetaTx, frame: &Frame<'_>) -> Result<(), RuleError> {
    let (id, mut object, key) = authenticate(state, tx, frame)?;
    let inside = frame.inside(tx);
    let mut next = state.clone();
    let outcome =
        verify_inside(&tx.tx, &next.trees, &inside).and_then(|()| process(&mut next, tx.tx.tx(), &inside));
    if outcome.is_ok() {
        *state = next;
    } else {
        object.result = CallResult::Error(INNER_FAILED.to_vec());
        state.trees.set_call(&id.0, &key, &object);
    }
    Ok(())
}

/// Whether a transaction in a block did nothing but authenticate itself: what stands in its meta transactions failed. `trees`:
/// the state after the block.
pub(crate) fn has_failed(tx: &Tx, trees: &Trees) -> bool {
    let mut next = Some(tx);
    while let Some(tx) = next {
        if let Tx::GaMeta(meta) = tx
            && let Some(call) = auth_call_of(meta, trees)
            && !matches!(call.result, CallResult::Ok(_))
        {
            return true;
        }
        next = tx.inside();
    }
    false
}

/// How the authentication of a meta transaction ended, as long as the state knows: until the next key block.
pub fn auth_call_of(meta: &GaMetaTx, trees: &Trees) -> Option<CallObject> {
    let AccountKind::Generalized { contract, .. } = trees.account(meta.ga_id)?.kind else { return None };
    trees.call(&meta.ga_id.0, &auth_call_id(meta, contract))
}

/// Runs the authentication, pays for it and writes its call: the account and the id that it stands under.
fn authenticate(
    state: &mut ChainState,
    tx: &GaMetaTx,
    frame: &Frame<'_>,
) -> Result<(AccountId, CallObject, [u8; 32]), RuleError> {
    let most = sum(tx.fee, gas_cost(tx.gas, tx.gas_price));
    let (contract, object, code) = authority(state, tx, most, frame)?;
    let (id, version) = (tx.ga_id, object.ct_version);
    let call =
        ContractCall { contract, ct_version: version, code: &code, store: contract.0, ..auth_call(tx) };
    let prices = (tx.fee, tx.gas_price);
    let tx_hash = auth_tx_hash(frame.network(), frame.protocol(), prices, tx.tx.tx());
    let auth = Some(Authenticating { tx_hash, tx: Some(tx.tx.tx()) });
    let machine = frame.machine(TxKind::GaMeta)?;
    let scene = Scene { block: frame.env, chain: None, auth };
    let ran = machine.run(&call, &state.trees, &scene).map_err(|error| RuleError::NoResult { error })?;
    let object = call_object(frame, id, contract, (Nonce(0), tx.gas_price), &ran);
    match &ran.result {
        CallResult::Ok(value) if is_true(version, value) => {}
        _ => return Err(RuleError::NotAuthenticated { account: id }),
    }
    state.trees = ran.state;
    let used = sum(tx.fee, gas_cost(ran.gas_used.min(tx.gas), tx.gas_price));
    state.credit(frame.payer_or(id), Coins(most.0.saturating_sub(used.0)))?;
    state.collect(used)?;
    let key = auth_call_id(tx, contract);
    if state.trees.call(&id.0, &key).is_some() {
        return Err(RuleError::AuthCallExists);
    }
    state.trees.set_call(&id.0, &key, &object);
    Ok((id, object, key))
}

/// The contract that authenticates an account, and its code. Takes the most that the authentication can cost.
fn authority(
    state: &mut ChainState,
    tx: &GaMetaTx,
    most: Coins,
    frame: &Frame<'_>,
) -> Result<(ContractId, ContractObject, Vec<u8>), RuleError> {
    let (id, payer) = (tx.ga_id, frame.payer_or(tx.ga_id));
    if payer != id {
        state.debit(payer, most)?;
    }
    let AccountKind::Generalized { contract, auth_fun } = state.account(id)?.kind else {
        return Err(RuleError::NotGeneralized { account: id });
    };
    check_relevance(state, tx)?;
    if payer == id {
        state.debit(id, most)?;
    }
    let object = state.trees.contract(contract).ok_or(RuleError::NoContract { contract })?;
    let code = state.trees.code(&object).ok_or(RuleError::NoContract { contract })?;
    let version = object.ct_version;
    if !version.is_callable(frame.protocol()) {
        return Err(RuleError::WrongVm { vm: version.vm });
    }
    if version.abi != tx.abi_version {
        return Err(RuleError::WrongAbi { found: tx.abi_version, expected: version.abi });
    }
    check_auth_call(frame.machine(TxKind::GaMeta)?, tx, FunctionHash(auth_fun))?;
    Ok((contract, object, code))
}

/// Under which id the call of an authentication stands.
fn auth_call_id(tx: &GaMetaTx, contract: ContractId) -> [u8; 32] {
    blake2b_of(&[&tx.auth_id(), &contract.0])
}

/// Checks that the innermost transaction needs the account to authenticate it.
fn check_relevance(state: &ChainState, tx: &GaMetaTx) -> Result<(), RuleError> {
    let signers = required_signers(tx.tx.innermost().tx(), &state.trees);
    match signers {
        Ok(signers) if signers.contains(&tx.ga_id) => Ok(()),
        _ => Err(RuleError::NotRelevant { account: tx.ga_id }),
    }
}

fn init_call(tx: &GaAttachTx, contract: ContractId) -> ContractCall<'_> {
    ContractCall {
        caller: tx.owner_id,
        origin: tx.owner_id,
        contract,
        ct_version: tx.ct_version,
        code: &tx.code.0,
        store: contract.0,
        amount: Coins::ZERO,
        gas: tx.gas,
        gas_price: tx.gas_price,
        fee: tx.fee,
        call_data: &tx.call_data.0,
        is_init: true,
    }
}
