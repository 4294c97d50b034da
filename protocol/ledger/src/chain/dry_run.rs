//! What transactions would come to, for those who ask before they sign (`docs/protocol/chain_service` §4.1).

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use strait_encoding::{AccountId, BlockHash, Coins};
use thiserror::Error;

use super::Chain;
use crate::rules::{self, BlockEnv, ChainState, RuleError};
use crate::{
    CallObject, ChainView, CodeFault, ContractCall, NewCode, NoResult, Pinned, Prepared, Ran, Scene,
    SignedTx, Trees, Tx, VirtualMachine,
};

/// A state on which transactions are tried; the chain hears nothing of it. A clone costs nothing, and what is tried on it
/// leaves no trace here.
#[derive(Clone, Debug)]
pub struct DryRun<'a> {
    state: ChainState,
    block: BlockEnv<'a>,
}

/// Why nothing came of a transaction that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DryRunError {
    /// It would take longer than there is time; nobody's fault.
    #[error("there is not enough time to try the transaction")]
    TimeUp,
    /// A block could not hold it.
    #[error(transparent)]
    Rule(#[from] RuleError),
}

impl Chain {
    /// The state right behind a block of the main chain, or behind the top, to try transactions on. None where the state
    /// after the block is not known.
    pub fn dry_run(&self, block: Option<&BlockHash>) -> Option<DryRun<'_>> {
        let Pinned { block, trees } = self.pinned(block)?;
        Some(DryRun { state: ChainState { trees: trees.clone(), fees_collected: Coins::ZERO }, block })
    }
}

impl DryRun<'_> {
    /// Gives coins to an account, which comes to exist by it.
    ///
    /// # Errors
    /// It would own more than any amount.
    pub fn give(&mut self, account: AccountId, coins: Coins) -> Result<(), RuleError> {
        self.state.credit(account, coins)
    }

    /// Does what a transaction does, as if all who must had signed: a generalized account acts with nonce 0, as a basic one
    /// does, and what it makes stands where account and nonce say. Gives the call that it makes, or what stands in its meta
    /// transactions, if there is one; other than on chain that shows the text of an error.
    ///
    /// `time_left` is asked at the beginning, and before each call of a contract; a machine that can be stopped then ends
    /// within about that time. What a call may use of it beyond that is limited by its gas alone.
    ///
    /// # Errors
    /// It could not be in a block, or there is too little time; the state is then unchanged.
    pub fn attempt(
        &mut self,
        tx: &Tx,
        time_left: &(dyn Fn() -> Duration + Sync),
    ) -> Result<Option<CallObject>, DryRunError> {
        if time_left().is_zero() {
            return Err(DryRunError::TimeUp);
        }
        let tx = SignedTx::unsigned(tx.clone());
        let mut next = self.state.clone();
        let hurried = self.block.machine.map(|machine| Hurried::new(machine, time_left));
        let machine = hurried.as_ref().map(|machine| machine as &dyn VirtualMachine);
        let applied = rules::try_out(&mut next, &tx, &BlockEnv { machine, ..self.block });
        // What stands in a meta transaction may fail without it.
        if hurried.as_ref().is_some_and(Hurried::is_late) {
            return Err(DryRunError::TimeUp);
        }
        applied?;
        self.state = next;
        Ok(rules::call_of(&tx, &self.state.trees))
    }
}

/// A machine for somebody who does not wait.
struct Hurried<'a> {
    machine: &'a dyn VirtualMachine,
    time_left: &'a (dyn Fn() -> Duration + Sync),
    is_late: AtomicBool,
}

impl<'a> Hurried<'a> {
    fn new(machine: &'a dyn VirtualMachine, time_left: &'a (dyn Fn() -> Duration + Sync)) -> Self {
        Self { machine, time_left, is_late: AtomicBool::new(false) }
    }

    /// Whether a call had to be stopped.
    fn is_late(&self) -> bool {
        self.is_late.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Hurried<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.machine.fmt(f)
    }
}

impl VirtualMachine for Hurried<'_> {
    fn called_function(&self, abi: u64, call_data: &[u8]) -> Option<Vec<u8>> {
        self.machine.called_function(abi, call_data)
    }

    fn prepare(&self, new: &NewCode<'_>) -> Result<Prepared, CodeFault> {
        self.machine.prepare(new)
    }

    fn run(&self, call: &ContractCall<'_>, state: &Trees, scene: &Scene<'_>) -> Result<Ran, NoResult> {
        let ran = self.machine.run_within(call, state, scene, (self.time_left)());
        if let Err(NoResult::Limit(_)) = ran {
            self.is_late.store(true, Ordering::Relaxed);
        }
        ran
    }
}
