//! The state of a channel off chain, and what updates do to it (`docs/protocol/state_trees` §5).

use strait_encoding::hash::call_id;
use strait_encoding::rlp::DecodeError;
use strait_encoding::{AccountId, Coins, ContractId, Height, Id, Nonce, Round};
use strait_tree::Tree;
use thiserror::Error;

use crate::{
    Account, CallObject, CallResult, ContractCall, ContractObject, Protocol, Ran, Scene, Trees, Update,
    VirtualMachine,
};

/// What the updates of one round have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffchainEnv {
    /// What an account that is debited must keep.
    pub reserve: Coins,
    /// The round that the updates lead to; contracts see it as height and nonce.
    pub round: Round,
    /// The protocol of the block that the updates are pinned to.
    pub protocol: Protocol,
}

/// Why an update cannot be applied: the fault of whoever proposed it. The trees are unchanged.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UpdateError {
    /// The account would keep less than the channel's reserve.
    #[error("account {account} has {balance}: paying {amount} leaves less than the reserve of {reserve}")]
    InsufficientBalance {
        /// Who pays.
        account: AccountId,
        /// What it has.
        balance: Coins,
        /// What it should pay.
        amount: Coins,
        /// What it must keep.
        reserve: Coins,
    },
    /// Nobody of that name is in the channel.
    #[error("account {0} is not in the channel's state")]
    UnknownAccount(AccountId),
    /// The account would hold more than any amount.
    #[error("account {account} cannot receive {amount}: its balance would exceed 128 bits")]
    TooLarge {
        /// Who receives.
        account: AccountId,
        /// What it should receive.
        amount: Coins,
    },
    /// There is no virtual machine here to run it.
    #[error("updates that create or call a contract are not supported")]
    ContractsUnsupported,
}

/// Why a contract call cannot be made: the fault of whoever proposed it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CallError {
    /// The coins that go with it cannot be paid.
    #[error(transparent)]
    Update(#[from] UpdateError),
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
    /// The code of the contract is no container.
    #[error("the code of the contract: {0}")]
    MalformedCode(DecodeError),
    /// The caller has called the contract in this round already.
    #[error("{caller} calls contract {contract} twice in a round")]
    CalledTwice {
        /// Who calls.
        caller: AccountId,
        /// What is called.
        contract: ContractId,
    },
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
        machine: &dyn VirtualMachine,
        scene: &Scene<'_>,
    ) -> Result<(Trees, CallObject), CallError> {
        let contract = AccountId(self.contract.0);
        let mut paid = trees.clone();
        debit(&mut paid, self.caller, self.amount, env.reserve)?;
        credit(&mut paid, contract, self.amount)?;
        let object = paid.contract(self.contract).ok_or(CallError::UnknownContract(self.contract))?;
        let code = paid.code(&object).ok_or(CallError::UnknownContract(self.contract))?;
        let (found, expected) = (self.abi, object.ct_version.abi);
        if found != expected {
            return Err(CallError::WrongAbi { found, expected });
        }
        let ran = machine.run(&self.as_call(&code, &object), &paid, scene);
        let call = self.result(&ran, env);
        let mut next = if matches!(ran.result, CallResult::Ok(_)) { ran.state } else { paid };
        let id = call_id(self.caller, env.round.0, self.contract);
        if next.call(&self.contract.0, &id).is_some() {
            return Err(CallError::CalledTwice { caller: self.caller, contract: self.contract });
        }
        next.set_call(&self.contract.0, &id, &call);
        if !matches!(call.result, CallResult::Ok(_)) && env.protocol >= Protocol::Iris {
            // No reserve binds a contract.
            debit(&mut next, contract, self.amount, Coins::ZERO)?;
            credit(&mut next, self.caller, self.amount)?;
        }
        Ok((next, call))
    }

    fn as_call<'c>(&self, code: &'c [u8], object: &ContractObject) -> ContractCall<'c>
    where
        'a: 'c,
    {
        ContractCall {
            caller: self.caller,
            origin: self.caller,
            contract: self.contract,
            ct_version: object.ct_version,
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

    fn result(&self, ran: &Ran, env: &OffchainEnv) -> CallObject {
        CallObject {
            caller: Id::Account(self.caller),
            nonce: Nonce(env.round.0),
            height: Height(env.round.0),
            contract: self.contract,
            name: None,
            gas_price: self.gas_price,
            gas_used: ran.gas_used.min(self.gas),
            result: ran.result.clone(),
            log: ran.log.clone(),
        }
    }
}

/// The trees of round 1: two accounts, nothing else. The balances are those after the push at opening.
pub fn initial_trees(
    initiator: AccountId,
    responder: AccountId,
    initiator_balance: Coins,
    responder_balance: Coins,
) -> Trees {
    let mut trees = Trees::default();
    trees.set_account(initiator, &Account::new(initiator_balance));
    trees.set_account(responder, &Account::new(responder_balance));
    trees
}

/// The trees of the next round: those of the last one, its contract calls forgotten, with `updates` applied in order.
///
/// # Errors
/// An update is impossible in this state.
pub fn apply_updates(trees: &Trees, updates: &[Update], env: &OffchainEnv) -> Result<Trees, UpdateError> {
    let mut next = Trees { calls: Tree::new(), ..trees.clone() };
    for update in updates {
        apply(&mut next, update, env)?;
    }
    Ok(next)
}

fn apply(trees: &mut Trees, update: &Update, env: &OffchainEnv) -> Result<(), UpdateError> {
    match update {
        Update::Transfer { from, to, amount } => {
            debit(trees, *from, *amount, env.reserve)?;
            credit(trees, *to, *amount)
        }
        Update::Deposit { from, amount } => credit(trees, *from, *amount),
        Update::Withdraw { to, amount } => debit(trees, *to, *amount, env.reserve),
        Update::Meta { .. } => Ok(()),
        Update::NewContract { .. } | Update::CallContract { .. } => Err(UpdateError::ContractsUnsupported),
    }
}

fn debit(trees: &mut Trees, id: AccountId, amount: Coins, reserve: Coins) -> Result<(), UpdateError> {
    let mut account = trees.account(id).ok_or(UpdateError::UnknownAccount(id))?;
    let left = account.balance.checked_sub(amount).filter(|left| *left >= reserve);
    account.balance = left.ok_or(UpdateError::InsufficientBalance {
        account: id,
        balance: account.balance,
        amount,
        reserve,
    })?;
    trees.set_account(id, &account);
    Ok(())
}

fn credit(trees: &mut Trees, id: AccountId, amount: Coins) -> Result<(), UpdateError> {
    let mut account = trees.account(id).ok_or(UpdateError::UnknownAccount(id))?;
    account.balance =
        account.balance.checked_add(amount).ok_or(UpdateError::TooLarge { account: id, amount })?;
    trees.set_account(id, &account);
    Ok(())
}
