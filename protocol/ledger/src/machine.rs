//! What the ledger asks of a virtual machine.
//!
//! The ledger keeps accounts, contracts and calls, takes gas and fees, and decides what a call may do. A machine reads code
//! and runs it. It is a trait so that the rules can be tested, and built, without one.

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use strait_encoding::{AccountId, Coins, ContractId};
use thiserror::Error;

use crate::rules::BlockEnv;
use crate::{CallResult, CtVersion, Fate, FunctionHash, LogEntry, Protocol, Trees, Tx};

/// Runs contracts. What it answers must follow from what it is asked alone: every node comes to the same state.
pub trait VirtualMachine: fmt::Debug + Send + Sync {
    /// The function that call data name: 4 bytes for FATE, 32 for the AEVM. None where they name none.
    fn called_function(&self, abi: u64, call_data: &[u8]) -> Option<Vec<u8>>;

    /// Looks at code of which a contract shall be made.
    ///
    /// # Errors
    /// The code is none, or is not made for this; whoever made it is to blame.
    fn prepare(&self, new: &NewCode<'_>) -> Result<Prepared, CodeFault>;

    /// Runs a call on `state`, where its contract stands and the coins that go with the call have been paid. The gas that it
    /// uses is never more than what the call allows.
    ///
    /// # Errors
    /// There is no result; see [`NoResult`].
    fn run(&self, call: &ContractCall<'_>, state: &Trees, scene: &Scene<'_>) -> Result<Ran, NoResult>;

    /// As [`run`](Self::run), for somebody who does not wait longer than about `time`. Not for what goes on chain: what comes
    /// of it may depend on `time`. A machine that cannot be stopped takes what it needs.
    ///
    /// # Errors
    /// As there; [`NoResult::Limit`] where the time is too short.
    fn run_within(
        &self,
        call: &ContractCall<'_>,
        state: &Trees,
        scene: &Scene<'_>,
        time: Duration,
    ) -> Result<Ran, NoResult> {
        let _ = time;
        self.run(call, state, scene)
    }
}

/// Code of which a contract shall be made.
#[derive(Clone, Copy, Debug)]
pub struct NewCode<'a> {
    /// Virtual machine and call convention.
    pub ct_version: CtVersion,
    /// The serialized container.
    pub code: &'a [u8],
    /// The function that shall authenticate an account, if that is what the contract is for: it must be there, and return a
    /// boolean.
    pub auth_fun: Option<FunctionHash>,
    /// The call that makes the first state: it must be of `init`.
    pub call_data: &'a [u8],
    /// The protocol whose versions of containers are taken; none off chain, where all are
    /// (`docs/protocol/contracts` §1).
    pub on_chain: Option<Protocol>,
}

/// What is known of code before it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// The container as it is stored: some machines leave `init` out.
    pub stored: Vec<u8>,
    /// Whether spends may go to the contract.
    pub is_payable: bool,
}

/// Why a contract cannot be made of code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CodeFault {
    /// It is no container of code.
    #[error("the code is malformed")]
    Malformed,
    /// The container is of a version that the protocol does not take.
    #[error("the code is of a version that is not taken any more")]
    Outdated,
    /// It has no function of that hash.
    #[error("the code has no function with the hash of the authentication")]
    NoFunction,
    /// The function returns something else than a boolean.
    #[error("the function that shall authenticate does not return a boolean")]
    NoBoolean,
    /// The first call is not of `init`.
    #[error("the first call is not of init")]
    NotInit,
    /// There is no such virtual machine with such a call convention.
    #[error("there is no such virtual machine")]
    UnknownMachine,
}

/// Why a call has no result, not even a failed one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NoResult {
    /// The reference breaks down over it, and takes back whatever asked for it. The fault of the code, or of the caller.
    #[error("the machine cannot do it: {0}")]
    Crash(String),
    /// The code of the contract cannot be read. The fault of whoever made it.
    #[error("the code of the contract: {0}")]
    MalformedCode(String),
    /// Nothing here runs contracts of this virtual machine at this protocol.
    #[error("nothing here runs contracts of virtual machine {vm} at the {protocol} protocol")]
    Unsupported {
        /// The virtual machine.
        vm: u64,
        /// The protocol.
        protocol: Protocol,
    },
    /// It would need more than the operator of this service allows.
    #[error("{0}")]
    Limit(String),
    /// It depends on something that is not known here: an old block, say. Nobody's fault.
    #[error("{0}")]
    NotKnown(String),
}

/// A call of a contract.
#[derive(Clone, Copy, Debug)]
pub struct ContractCall<'a> {
    /// Who calls.
    pub caller: AccountId,
    /// Who signed.
    pub origin: AccountId,
    /// What is called.
    pub contract: ContractId,
    /// Virtual machine and call convention of the contract.
    pub ct_version: CtVersion,
    /// The container of its code; for `init` as it was before it was stored.
    pub code: &'a [u8],
    /// Under which key of the contracts tree its store is: its own id, or, off chain for an authentication, the key of the
    /// copy that was made when the channel was created.
    pub store: [u8; 32],
    /// Coins that go with the call, already paid.
    pub amount: Coins,
    /// The most gas that it may use.
    pub gas: u64,
    /// Price of a unit of gas.
    pub gas_price: Coins,
    /// Fee of the transaction.
    pub fee: Coins,
    /// Function and arguments.
    pub call_data: &'a [u8],
    /// Whether it is the first call: then there is no store yet, and the machine makes it.
    pub is_init: bool,
}

/// Where a call happens.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// The block; off chain the one that the update is pinned to.
    pub block: &'a BlockEnv<'a>,
    /// The state of the chain, for a call off chain; it may be read, for names and oracles.
    pub chain: Option<&'a Trees>,
    /// What is authenticated, for an authentication.
    pub auth: Option<Authenticating<'a>>,
}

/// What a contract is asked to authenticate.
#[derive(Clone, Copy, Debug)]
pub struct Authenticating<'a> {
    /// The hash that stands for it (`docs/protocol/signing` §3.1).
    pub tx_hash: [u8; 32],
    /// The transaction, where the contract may look into it: on chain.
    pub tx: Option<&'a Tx>,
}

/// What came of a call.
#[derive(Clone, Debug)]
pub struct Ran {
    /// How it ended.
    pub result: CallResult,
    /// Units of gas that it used.
    pub gas_used: u64,
    /// Its events.
    pub log: Vec<LogEntry>,
    /// The state afterwards; of meaning only where it ended well.
    pub state: Trees,
}

/// The machine of a chain, or none: then it takes nothing that needs one. Two are equal if they are the same one.
#[derive(Clone, Default)]
pub struct Machine(Option<Arc<dyn VirtualMachine>>);

impl Machine {
    /// This one.
    pub fn new(machine: impl VirtualMachine + 'static) -> Self {
        Self(Some(Arc::new(machine)))
    }

    /// FATE without limits of an operator, the same one for all chains of the process.
    pub fn fate() -> Self {
        static FATE: LazyLock<Arc<Fate>> = LazyLock::new(Arc::default);
        let shared: Arc<Fate> = Arc::clone(&FATE);
        Self(Some(shared))
    }

    /// The machine, if there is one.
    pub fn get(&self) -> Option<&dyn VirtualMachine> {
        self.0.as_deref()
    }
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(machine) => machine.fmt(f),
            None => f.write_str("no machine"),
        }
    }
}

impl PartialEq for Machine {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        }
    }
}

impl Eq for Machine {}
