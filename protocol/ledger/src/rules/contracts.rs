//! Contracts on chain: making them and calling them (`docs/protocol/encodings` §4.3, `docs/protocol/contracts` §1).

use strait_encoding::hash::{self, blake2b_of};
use strait_encoding::{AccountId, Coins, ContractId, Id, Nonce};

use super::accounts::sum;
use super::frame::{Frame, gas_cost};
use super::{ChainState, RuleError};
use crate::offchain::OffchainCall;
use crate::{
    Account, CallObject, CallResult, CodeFault, ContractCall, ContractCallTx, ContractCreateTx,
    ContractObject, CtVersion, NewCode, Prepared, Ran, Scene, SignedTx, Trees, Tx, TxKind,
};

const NOT_PAYABLE: u64 = 1;

/// Makes a contract. A failing `init` is on chain too: nonce, fee and gas are used, and there is no contract.
pub(super) fn create(
    state: &mut ChainState,
    tx: &ContractCreateTx,
    frame: &Frame<'_>,
) -> Result<(), RuleError> {
    let machine = frame.machine(TxKind::ContractCreate)?;
    state.use_nonce(tx.owner_id, tx.nonce, frame)?;
    let before = state.clone();
    let bill = Bill { origin: tx.owner_id, fee: tx.fee, gas: tx.gas, gas_price: tx.gas_price };
    bill.take(state, sum(tx.amount, tx.deposit), frame)?;
    let prepared = prepare(tx, frame)?;
    let contract = contract_of(tx, frame.auth_id(tx.owner_id));
    if state.trees.contract(contract).is_some() {
        return Err(RuleError::ContractExists { contract });
    }
    make_contract(state, (contract, tx.owner_id), tx.ct_version, tx.deposit, &prepared);
    state.credit(AccountId(contract.0), tx.amount)?;
    let scene = Scene { block: frame.env, chain: None, auth: None };
    let ran = machine.run(&init_call(tx, contract), &state.trees, &scene);
    let ran = ran.map_err(|error| RuleError::NoResult { error })?;
    let mut object = call_object(frame, tx.owner_id, contract, (tx.nonce, tx.gas_price), &ran);
    if let CallResult::Ok(value) = &mut object.result {
        // A successful init shows no value.
        value.clear();
    }
    bill.settle(state, before, (ran.state, &object), frame)
}

/// Calls a contract. A call that fails is on chain too: nonce, fee and gas are used, and nothing else happens.
pub(super) fn call(state: &mut ChainState, tx: &ContractCallTx, frame: &Frame<'_>) -> Result<(), RuleError> {
    let machine = frame.machine(TxKind::ContractCall)?;
    state.use_nonce(tx.caller_id, tx.nonce, frame)?;
    let before = state.clone();
    let bill = Bill { origin: tx.caller_id, fee: tx.fee, gas: tx.gas, gas_price: tx.gas_price };
    bill.take(state, tx.amount, frame)?;
    let contract = tx.contract_id;
    let (ct_version, code) = called(state, tx, frame)?;
    state.credit(AccountId(contract.0), tx.amount)?;
    let call = ContractCall { ct_version, code: &code, ..outer_call(tx) };
    let scene = Scene { block: frame.env, chain: None, auth: None };
    let ran = machine.run(&call, &state.trees, &scene).map_err(|error| RuleError::NoResult { error })?;
    let object = call_object(frame, tx.caller_id, contract, (tx.nonce, tx.gas_price), &ran);
    bill.settle(state, before, (ran.state, &object), frame)
}

/// What came of the call that a transaction makes, or the one inside it, as long as the state knows: until the next key block.
/// None for transactions that call nothing; that of a meta transaction itself is [`auth_call_of`](super::auth_call_of).
pub fn call_of(signed: &SignedTx, trees: &Trees) -> Option<CallObject> {
    let metas: Vec<_> = signed.metas().collect();
    // Where an account authenticated more than once, the innermost counts.
    let auth_id =
        |account: AccountId| metas.iter().rev().find(|meta| meta.ga_id == account).map(|meta| meta.auth_id());
    let by_nonce = |caller: AccountId, nonce: u64, contract: ContractId| {
        trees.call(&contract.0, &call_id(caller, nonce, contract, auth_id(caller)))
    };
    match signed.innermost().tx() {
        Tx::ContractCreate(tx) => by_nonce(tx.owner_id, tx.nonce.0, contract_of(tx, auth_id(tx.owner_id))),
        Tx::ContractCall(tx) => by_nonce(tx.caller_id, tx.nonce.0, tx.contract_id),
        Tx::GaAttach(tx) => by_nonce(tx.owner_id, tx.nonce.0, hash::contract_id(tx.owner_id, tx.nonce.0)),
        Tx::ChannelForceProgress(tx) => {
            let call = OffchainCall::of(&tx.update)?;
            by_nonce(call.caller, tx.round.0, ContractId(signed.hash().0))
        }
        _ => None,
    }
}

/// Writes a contract without a store, and its account, which may have been there before.
pub(super) fn make_contract(
    state: &mut ChainState,
    (id, owner): (ContractId, AccountId),
    ct_version: CtVersion,
    deposit: Coins,
    prepared: &Prepared,
) {
    let object = ContractObject::new(owner, ct_version, prepared.stored.clone(), deposit);
    state.trees.set_contract(id, &object);
    let account = AccountId(id.0);
    let known = state.trees.account(account).unwrap_or_else(|| Account::new(Coins::ZERO));
    let flags = if prepared.is_payable { 0 } else { NOT_PAYABLE };
    state.trees.set_account(account, &Account { flags, ..known });
}

/// The result of a call as it is written down on chain: without the text of an error (`docs/protocol/contracts` §1.2).
pub(super) fn call_object(
    frame: &Frame<'_>,
    caller: AccountId,
    contract: ContractId,
    (nonce, gas_price): (Nonce, Coins),
    ran: &Ran,
) -> CallObject {
    CallObject {
        caller: Id::Account(caller),
        nonce,
        height: frame.env.height,
        contract,
        name: None,
        gas_price,
        gas_used: ran.gas_used,
        result: match &ran.result {
            CallResult::Error(_) if !frame.is_dry_run() => CallResult::Error(Vec::new()),
            result => result.clone(),
        },
        log: ran.log.clone(),
    }
}

/// How the chain calls what a machine finds wrong with code.
pub(super) fn refused_code(fault: CodeFault, CtVersion { vm, abi }: CtVersion) -> RuleError {
    match fault {
        CodeFault::UnknownMachine => RuleError::IllegalVm { vm, abi },
        CodeFault::Malformed => RuleError::BadCode,
        CodeFault::Outdated => RuleError::OldCode,
        CodeFault::NoFunction => RuleError::NoAuthFunction,
        CodeFault::NoBoolean => RuleError::AuthFunctionType,
        CodeFault::NotInit => RuleError::NotInit,
    }
}

/// Fee and gas of a transaction that executes something. Another account may pay both.
#[derive(Clone, Copy)]
pub(super) struct Bill {
    pub origin: AccountId,
    pub fee: Coins,
    pub gas: u64,
    pub gas_price: Coins,
}

impl Bill {
    /// What has to be paid where so much gas was used.
    fn used(&self, gas: u64) -> Coins {
        sum(self.fee, gas_cost(gas.min(self.gas), self.gas_price))
    }

    /// The most that it can cost.
    pub fn most(&self) -> Coins {
        self.used(self.gas)
    }

    /// Takes the most that it can cost, and `amount` from the origin.
    fn take(&self, state: &mut ChainState, amount: Coins, frame: &Frame<'_>) -> Result<(), RuleError> {
        let (most, payer) = (self.most(), frame.payer_or(self.origin));
        if payer == self.origin {
            return state.debit(self.origin, sum(most, amount));
        }
        state.debit(payer, most)?;
        if amount > Coins::ZERO { state.debit(self.origin, amount) } else { Ok(()) }
    }

    /// Puts the call of the origin on chain, and pays for it. Where it succeeded, the state is `after`, and what the gas that was
    /// left would have cost is given back; else it is what it was `before` anything was taken, and only what was used is taken.
    pub fn settle(
        &self,
        state: &mut ChainState,
        before: ChainState,
        (after, object): (Trees, &CallObject),
        frame: &Frame<'_>,
    ) -> Result<(), RuleError> {
        let (used, payer) = (self.used(object.gas_used), frame.payer_or(self.origin));
        if let CallResult::Ok(_) = object.result {
            state.trees = after;
            state.credit(payer, Coins(self.most().0.saturating_sub(used.0)))?;
        } else {
            *state = before;
            state.debit(payer, used)?;
        }
        let id = call_id(self.origin, object.nonce.0, object.contract, frame.auth_id(self.origin));
        state.trees.set_call(&object.contract.0, &id, object);
        state.collect(used)
    }
}

fn prepare(tx: &ContractCreateTx, frame: &Frame<'_>) -> Result<Prepared, RuleError> {
    let CtVersion { vm, abi } = tx.ct_version;
    if !tx.ct_version.is_creatable(frame.protocol()) {
        return Err(RuleError::IllegalVm { vm, abi });
    }
    let new = NewCode {
        ct_version: tx.ct_version,
        code: &tx.code.0,
        auth_fun: None,
        call_data: &tx.call_data.0,
        on_chain: Some(frame.protocol()),
    };
    let machine = frame.machine(TxKind::ContractCreate)?;
    machine.prepare(&new).map_err(|fault| refused_code(fault, tx.ct_version))
}

/// Version and code of a contract that can be called in this way.
fn called(
    state: &ChainState,
    tx: &ContractCallTx,
    frame: &Frame<'_>,
) -> Result<(CtVersion, Vec<u8>), RuleError> {
    let missing = || RuleError::NoContract { contract: tx.contract_id };
    let object = state.trees.contract(tx.contract_id).ok_or_else(missing)?;
    let version = object.ct_version;
    if !version.is_callable(frame.protocol()) {
        return Err(RuleError::WrongVm { vm: version.vm });
    }
    if version.abi != tx.abi_version {
        return Err(RuleError::WrongAbi { found: tx.abi_version, expected: version.abi });
    }
    Ok((version, state.trees.code(&object).ok_or_else(missing)?))
}

/// A generalized account has no nonce: there stands how it authenticated (`docs/protocol/encodings` §5).
fn contract_of(tx: &ContractCreateTx, auth_id: Option<[u8; 32]>) -> ContractId {
    match auth_id {
        Some(auth) => ContractId(blake2b_of(&[&tx.owner_id.0, &auth])),
        None => hash::contract_id(tx.owner_id, tx.nonce.0),
    }
}

/// As [`contract_of`]. `counter`: the nonce, or the round of a call that is forced.
pub(super) fn call_id(
    caller: AccountId,
    counter: u64,
    contract: ContractId,
    auth_id: Option<[u8; 32]>,
) -> [u8; 32] {
    match auth_id {
        Some(auth) => blake2b_of(&[&auth, &contract.0]),
        None => hash::call_id(caller, counter, contract),
    }
}

fn init_call(tx: &ContractCreateTx, contract: ContractId) -> ContractCall<'_> {
    ContractCall {
        caller: tx.owner_id,
        origin: tx.owner_id,
        contract,
        ct_version: tx.ct_version,
        code: &tx.code.0,
        store: contract.0,
        amount: tx.amount,
        gas: tx.gas,
        gas_price: tx.gas_price,
        fee: tx.fee,
        call_data: &tx.call_data.0,
        is_init: true,
    }
}

/// The call of a transaction; what is known of the contract alone is left empty.
fn outer_call(tx: &ContractCallTx) -> ContractCall<'_> {
    ContractCall {
        caller: tx.caller_id,
        origin: tx.caller_id,
        contract: tx.contract_id,
        ct_version: CtVersion { vm: 0, abi: tx.abi_version },
        code: &[],
        store: tx.contract_id.0,
        amount: tx.amount,
        gas: tx.gas,
        gas_price: tx.gas_price,
        fee: tx.fee,
        call_data: &tx.call_data.0,
        is_init: false,
    }
}
