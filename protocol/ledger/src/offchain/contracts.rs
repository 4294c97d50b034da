//! Contracts in a channel: making them and calling them (`docs/protocol/contracts` §1.1).

use strait_encoding::hash::{call_id, contract_id};
use strait_encoding::{AccountId, Coins, ContractId, Height, Id, Nonce, Round};
use thiserror::Error;

use super::{OffchainEnv, UpdateError, apply, credit, debit, without_calls};
use crate::rules::BlockEnv;
use crate::{
    Account, CallObject, CallResult, CodeFault, ContractCall, ContractObject, CtVersion, NewCode, NoResult,
    Protocol, Ran, Scene, Trees, Update, VirtualMachine,
};

/// The gas of every call in a channel that is not forced; nobody pays for it.
pub const OFFCHAIN_GAS: u64 = 1_000_000;
/// The price of gas that contracts see in a channel, where the call is not forced.
pub const OFFCHAIN_GAS_PRICE: Coins = Coins(1);

/// The block of the chain that the updates of a round are pinned to: contracts see it, and may read the state after it.
#[derive(Clone, Copy, Debug)]
pub struct Pinned<'a> {
    /// The block, and the machine that runs contracts.
    pub block: BlockEnv<'a>,
    /// The state of the chain.
    pub trees: &'a Trees,
}

/// Why an update with contracts cannot be applied: the fault of whoever proposed it, if nothing else is said. The trees are
/// unchanged.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CallError {
    /// Coins cannot be paid.
    #[error(transparent)]
    Update(#[from] UpdateError),
    /// There is no such virtual machine, or it has another call convention.
    #[error("there is no virtual machine {vm} with call convention {abi}")]
    IllegalVersion {
        /// The virtual machine.
        vm: u64,
        /// The call convention.
        abi: u64,
    },
    /// The code of a new contract is no container, or what is in it cannot be read.
    #[error("the code of the new contract is malformed")]
    MalformedCode,
    /// The first call of a new contract is not of `init`.
    #[error("the first call of a new contract is not of init")]
    NotInit,
    /// The first call of a new contract failed.
    #[error("the first call of a new contract failed")]
    InitFailed {
        /// How.
        result: CallResult,
    },
    /// The owner has made a contract in this round already.
    #[error("contract {0} is in the channel's state already")]
    ContractExists(ContractId),
    /// The contract is not in the channel's state.
    #[error("contract {0} is not in the channel's state")]
    UnknownContract(ContractId),
    /// The call convention is not that of the contract.
    #[error("the call convention is {found}, that of the contract is {expected}")]
    WrongAbi {
        /// That of the call.
        found: u64,
        /// That of the contract.
        expected: u64,
    },
    /// The contract is of a virtual machine that nobody knows.
    #[error("contract {contract} is of virtual machine {vm}, which nobody knows")]
    WrongVm {
        /// The contract.
        contract: ContractId,
        /// Its virtual machine.
        vm: u64,
    },
    /// The caller has called the contract in this round already.
    #[error("{caller} calls contract {contract} twice in a round")]
    CalledTwice {
        /// Who calls.
        caller: AccountId,
        /// What is called.
        contract: ContractId,
    },
    /// Only calls have a result.
    #[error("the update is not a contract call")]
    NotCall,
    /// The call has no result.
    #[error(transparent)]
    NoResult(#[from] NoResult),
}

impl CallError {
    /// The reason that the reference gives; none where it breaks down, so that the update is refused without one.
    pub fn atom(&self) -> Option<&'static str> {
        match self {
            CallError::Update(UpdateError::InsufficientBalance { .. }) => Some("insufficient_balance"),
            CallError::NotInit | CallError::InitFailed { .. } => Some("contract_init_failed"),
            CallError::WrongAbi { .. } => Some("wrong_abi_version"),
            CallError::WrongVm { .. } => Some("wrong_vm_version"),
            _ => None,
        }
    }
}

/// The trees of the next round: those of the last one, its contract calls forgotten, with `updates` applied in order. Calls
/// that fail are applied too, and leave their result in the trees.
///
/// # Errors
/// An update is impossible in this state.
pub fn apply_updates_at(
    trees: &Trees,
    updates: &[Update],
    env: &OffchainEnv,
    pinned: &Pinned<'_>,
) -> Result<Trees, CallError> {
    let mut next = without_calls(trees);
    for update in updates {
        match (OffchainCall::of(update), NewContract::of(update)) {
            (Some(call), _) => next = call.run(&next, env, pinned)?.0,
            (_, Some(new)) => next = new.run(&next, env, pinned)?,
            _ => apply(&mut next, update, env)?,
        }
    }
    Ok(next)
}

/// The result that a call would have in the next round. Nothing is kept.
///
/// # Errors
/// The update is no call, or impossible in this state.
pub fn dry_run(
    trees: &Trees,
    call: &Update,
    env: &OffchainEnv,
    pinned: &Pinned<'_>,
) -> Result<CallObject, CallError> {
    let call = OffchainCall::of(call).ok_or(CallError::NotCall)?;
    call.run(&without_calls(trees), env, pinned).map(|(_, result)| result)
}

/// A contract call as an update makes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OffchainCall<'a> {
    pub caller: AccountId,
    pub contract: ContractId,
    pub abi: u64,
    pub amount: Coins,
    pub gas: u64,
    pub gas_price: Coins,
    pub call_data: &'a [u8],
}

impl<'a> OffchainCall<'a> {
    /// The call of an update; none for other updates.
    pub fn of(update: &'a Update) -> Option<Self> {
        let Update::CallContract { caller, contract, abi_version, amount, gas, gas_price, call_data, .. } =
            update
        else {
            return None;
        };
        Some(Self {
            caller: *caller,
            contract: *contract,
            abi: *abi_version,
            amount: *amount,
            gas: *gas,
            gas_price: Coins(*gas_price),
            call_data,
        })
    }

    /// Runs the call on the trees of the last round without its calls (`docs/protocol/state_trees` §5.3): the trees
    /// afterwards, and the call as it stands in them. A call that fails leaves its result there, too.
    pub fn run(
        &self,
        trees: &Trees,
        env: &OffchainEnv,
        pinned: &Pinned<'_>,
    ) -> Result<(Trees, CallObject), CallError> {
        let contract = AccountId(self.contract.0);
        let mut paid = trees.clone();
        debit(&mut paid, self.caller, self.amount, env.reserve)?;
        credit(&mut paid, contract, self.amount)?;
        let (version, code) = self.called(&paid)?;
        let ran = pinned.machine(version)?.run(&self.as_call(&code, version), &paid, &pinned.scene())?;
        let call = call_object((self.caller, self.contract), env.round, self.gas_price, &ran);
        let mut next = if matches!(ran.result, CallResult::Ok(_)) { ran.state } else { paid };
        insert_call(&mut next, (self.caller, self.contract), env.round, &call)?;
        if !matches!(call.result, CallResult::Ok(_)) && env.protocol >= Protocol::Iris {
            // No reserve binds a contract.
            debit(&mut next, contract, self.amount, Coins::ZERO)?;
            credit(&mut next, self.caller, self.amount)?;
        }
        Ok((next, call))
    }

    /// Version and code of the contract, where it can be called in this way.
    fn called(&self, trees: &Trees) -> Result<(CtVersion, Vec<u8>), CallError> {
        let missing = || CallError::UnknownContract(self.contract);
        let object = trees.contract(self.contract).ok_or_else(missing)?;
        let version = object.ct_version;
        if self.abi != version.abi {
            return Err(CallError::WrongAbi { found: self.abi, expected: version.abi });
        }
        if !version.is_known() {
            return Err(CallError::WrongVm { contract: self.contract, vm: version.vm });
        }
        Ok((version, trees.code(&object).ok_or_else(missing)?))
    }

    fn as_call<'c>(&self, code: &'c [u8], ct_version: CtVersion) -> ContractCall<'c>
    where
        'a: 'c,
    {
        ContractCall {
            caller: self.caller,
            origin: self.caller,
            contract: self.contract,
            ct_version,
            code,
            store: self.contract.0,
            amount: self.amount,
            gas: self.gas,
            gas_price: self.gas_price,
            fee: Coins::ZERO,
            call_data: self.call_data,
            is_init: false,
        }
    }
}

/// A contract as an update makes it.
#[derive(Clone, Copy, Debug)]
struct NewContract<'a> {
    owner: AccountId,
    ct_version: CtVersion,
    code: &'a [u8],
    deposit: Coins,
    call_data: &'a [u8],
}

impl<'a> NewContract<'a> {
    fn of(update: &'a Update) -> Option<Self> {
        let Update::NewContract { owner, ct_version, code, deposit, call_data } = update else { return None };
        let ct_version = CtVersion::unpack(*ct_version);
        Some(Self { owner: *owner, ct_version, code, deposit: *deposit, call_data })
    }

    /// Makes the contract and its first state. Its account is always payable, whatever the code says.
    fn run(&self, trees: &Trees, env: &OffchainEnv, pinned: &Pinned<'_>) -> Result<Trees, CallError> {
        let CtVersion { vm, abi } = self.ct_version;
        if !self.ct_version.is_known() {
            return Err(CallError::IllegalVersion { vm, abi });
        }
        let contract = contract_id(self.owner, env.round.0);
        let mut next = trees.clone();
        debit(&mut next, self.owner, self.deposit, env.reserve)?;
        let machine = pinned.machine(self.ct_version)?;
        let prepared = machine.prepare(&self.as_code()).map_err(|fault| self.refused(fault))?;
        if next.contract(contract).is_some() {
            return Err(CallError::ContractExists(contract));
        }
        next.set_account(AccountId(contract.0), &Account::new(self.deposit));
        let object = ContractObject::new(self.owner, self.ct_version, prepared.stored, self.deposit);
        next.set_contract(contract, &object);
        let ran = machine.run(&self.as_call(contract), &next, &pinned.scene())?;
        if !matches!(ran.result, CallResult::Ok(_)) {
            return Err(CallError::InitFailed { result: ran.result });
        }
        // The price that the contract saw does not stand in the result.
        let call = call_object((self.owner, contract), env.round, Coins::ZERO, &ran);
        let mut next = ran.state;
        insert_call(&mut next, (self.owner, contract), env.round, &call)?;
        Ok(next)
    }

    fn as_code(&self) -> NewCode<'a> {
        NewCode {
            ct_version: self.ct_version,
            code: self.code,
            auth_fun: None,
            call_data: self.call_data,
            on_chain: None,
        }
    }

    fn as_call(&self, contract: ContractId) -> ContractCall<'a> {
        ContractCall {
            caller: self.owner,
            origin: self.owner,
            contract,
            ct_version: self.ct_version,
            code: self.code,
            store: contract.0,
            amount: Coins::ZERO,
            gas: OFFCHAIN_GAS,
            gas_price: OFFCHAIN_GAS_PRICE,
            fee: Coins::ZERO,
            call_data: self.call_data,
            is_init: true,
        }
    }

    fn refused(&self, fault: CodeFault) -> CallError {
        let CtVersion { vm, abi } = self.ct_version;
        match fault {
            CodeFault::NotInit => CallError::NotInit,
            CodeFault::UnknownMachine => CallError::IllegalVersion { vm, abi },
            CodeFault::Malformed | CodeFault::Outdated | CodeFault::NoFunction | CodeFault::NoBoolean => {
                CallError::MalformedCode
            }
        }
    }
}

impl<'a> Pinned<'a> {
    fn scene(&self) -> Scene<'_> {
        Scene { block: &self.block, chain: Some(self.trees), auth: None }
    }

    fn machine(&self, version: CtVersion) -> Result<&'a dyn VirtualMachine, NoResult> {
        let protocol = self.block.protocol;
        self.block.machine.ok_or(NoResult::Unsupported { vm: version.vm, protocol })
    }
}

fn call_object(
    (caller, contract): (AccountId, ContractId),
    round: Round,
    gas_price: Coins,
    ran: &Ran,
) -> CallObject {
    CallObject {
        caller: Id::Account(caller),
        nonce: Nonce(round.0),
        height: Height(round.0),
        contract,
        name: None,
        gas_price,
        gas_used: ran.gas_used,
        result: ran.result.clone(),
        log: ran.log.clone(),
    }
}

fn insert_call(
    trees: &mut Trees,
    (caller, contract): (AccountId, ContractId),
    round: Round,
    call: &CallObject,
) -> Result<(), CallError> {
    let id = call_id(caller, round.0, contract);
    if trees.call(&contract.0, &id).is_some() {
        return Err(CallError::CalledTwice { caller, contract });
    }
    trees.set_call(&contract.0, &id, call);
    Ok(())
}
