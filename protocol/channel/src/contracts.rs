//! Contracts in the channel: updates that create and call them, and what a client may look at (`docs/protocol/contracts` §1).

use strait_encoding::{AccountId, BlockHash, Coins, ContractId, Round, StateHash};
use strait_ledger::{
    CallError, CtVersion, OFFCHAIN_GAS, OFFCHAIN_GAS_PRICE, OffchainEnv, StateProof, Trees, Update,
    apply_updates, apply_updates_at, dry_run,
};

use strait_tree::Tree;

use crate::draft::update_refusal;
use crate::flow::{Flow, Place, Side};
use crate::input::{Answer, Ticket};
use crate::refusal::{Reason, Refusal};
use crate::step::Move;

/// How many results of calls are kept for a client that does not have them forgotten.
const MAX_CALLS: usize = 1_000;

/// What a client wants to have run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contract {
    /// A new contract, and its first call.
    New {
        /// The virtual machine.
        vm: u64,
        /// The call convention.
        abi: u64,
        /// Coins that go with it.
        deposit: Coins,
        /// The serialized code.
        code: Vec<u8>,
        /// The call of `init`.
        call_data: Vec<u8>,
    },
    /// A call.
    Call {
        /// Of this contract.
        contract: ContractId,
        /// The call convention.
        abi: u64,
        /// Coins that go with it.
        amount: Coins,
        /// Function and arguments.
        call_data: Vec<u8>,
    },
}

impl Contract {
    /// The update that this account proposes.
    fn update(self, me: AccountId) -> Update {
        match self {
            Contract::New { vm, abi, deposit, code, call_data } => {
                let ct_version = CtVersion { vm, abi }.pack();
                Update::NewContract { owner: me, ct_version, code, deposit, call_data }
            }
            Contract::Call { contract, abi, amount, call_data } => Update::CallContract {
                caller: me,
                contract,
                abi_version: abi,
                amount,
                gas: OFFCHAIN_GAS,
                gas_price: OFFCHAIN_GAS_PRICE.0,
                call_data,
                call_stack: Vec::new(),
            },
        }
    }
}

impl Move<'_> {
    /// The trees after `updates`, and their hash. Contracts see the block of the chain that the round is pinned to.
    pub(crate) fn apply(&self, updates: &[Update], pin: &BlockHash) -> Result<(Trees, StateHash), Refusal> {
        let empty = Trees::default();
        let before = self.next.trees().unwrap_or(&empty);
        self.apply_on(before, self.next.round().next(), updates, pin)
    }

    /// As [`apply`](Self::apply), on other trees than the latest, to make this round.
    pub(crate) fn apply_on(
        &self,
        before: &Trees,
        round: Round,
        updates: &[Update],
        pin: &BlockHash,
    ) -> Result<(Trees, StateHash), Refusal> {
        let env = self.offchain_env(round);
        let trees = if updates.iter().any(runs_a_contract) {
            let pinned = self.chain.pinned(pin_of(pin)).ok_or_else(no_state)?;
            apply_updates_at(before, updates, &env, &pinned).map_err(call_refusal)?
        } else {
            apply_updates(before, updates, &env).map_err(update_refusal)?
        };
        let hash = trees.state_hash();
        Ok((trees, hash))
    }

    fn offchain_env(&self, round: Round) -> OffchainEnv {
        OffchainEnv { reserve: self.next.terms.channel_reserve, round, protocol: self.chain.protocol() }
    }

    /// The client proposes a round that runs a contract.
    pub(crate) fn start_contract(
        &mut self,
        ticket: Ticket,
        contract: Contract,
        pin: Option<BlockHash>,
        meta: Vec<String>,
    ) -> Result<(), Refusal> {
        self.check_session()?;
        let me = self.own_account()?;
        let mut updates = vec![contract.update(me)];
        updates.extend(meta.into_iter().map(|text| Update::Meta { data: text.into_bytes() }));
        let draft = self.update_draft(updates, pin)?;
        self.check_offers(&draft.trees).map_err(Refusal::client)?;
        self.answer(ticket, Answer::Ok);
        self.ask(Flow::Update, Side::Proposer, draft);
        Ok(())
    }

    /// The result that a call would have now; nothing is kept.
    pub(crate) fn dry_run(
        &mut self,
        ticket: Ticket,
        call: Contract,
        pin: Option<BlockHash>,
    ) -> Result<(), Refusal> {
        if self.next.place() != Place::Open {
            return Err(Refusal::client(Reason::NotAllowedNow("the channel is not open")));
        }
        let update = call.update(self.own_account()?);
        let pin = self.choose_pin(pin)?;
        let pinned = self.chain.pinned(pin_of(&pin)).ok_or_else(no_state)?;
        let result =
            dry_run(self.known_trees()?, &update, &self.offchain_env(self.next.round().next()), &pinned)
                .map_err(call_refusal)?;
        self.answer(ticket, Answer::DryRun(result.to_json()));
        Ok(())
    }

    /// A contract and its store.
    pub(crate) fn contract_state(&mut self, ticket: Ticket, id: ContractId) -> Result<(), Refusal> {
        let trees = self.known_trees()?;
        let absent = || Refusal::client(Reason::NotInState(id.to_string()));
        let contract = trees.contract(id).ok_or_else(absent)?.to_json(id);
        let contract_state = trees.store_json(id);
        self.answer(ticket, Answer::Contract { contract, contract_state });
        Ok(())
    }

    /// The result of a call that was not forgotten.
    pub(crate) fn contract_call(
        &mut self,
        ticket: Ticket,
        contract: ContractId,
        caller: AccountId,
        round: Round,
    ) -> Result<(), Refusal> {
        let found = self.with_all_calls(self.known_trees()?).call_in_round(contract, caller, round);
        let call = found.ok_or_else(|| Refusal::client(Reason::CallNotFound))?;
        self.answer(ticket, Answer::Call(call.to_json()));
        Ok(())
    }

    /// The state with the results of the calls of all rounds.
    pub(crate) fn with_all_calls(&self, trees: &Trees) -> Trees {
        Trees { calls: self.next.talk.calls.clone(), ..trees.clone() }
    }

    /// Keeps the results of a round's calls for the client to look at.
    pub(crate) fn keep_calls(&mut self, trees: &Trees) {
        let talk = &mut self.next.talk;
        for (key, result) in trees.calls.iter() {
            if talk.calls_count >= MAX_CALLS {
                (talk.calls, talk.calls_count) = (Tree::new(), 0);
            }
            talk.calls.insert(&key, result);
            talk.calls_count += 1;
        }
    }

    /// A proof of accounts, and of contracts as contracts and as accounts.
    pub(crate) fn proof(
        &mut self,
        ticket: Ticket,
        accounts: &[AccountId],
        contracts: &[ContractId],
    ) -> Result<(), Refusal> {
        let trees = self.known_trees()?;
        let mut proof = StateProof::new(trees);
        let absent = |name: String| Refusal::client(Reason::NotInState(name));
        for account in accounts {
            proof.add_account(trees, *account).map_err(|_| absent(account.to_string()))?;
        }
        for contract in contracts {
            proof.add_contract(trees, *contract).map_err(|_| absent(contract.to_string()))?;
            proof.add_account(trees, AccountId(contract.0)).map_err(|_| absent(contract.to_string()))?;
        }
        let bytes = proof.encode();
        self.answer(ticket, Answer::Proof(bytes));
        Ok(())
    }

    /// Whether the peer may propose this in an off-chain round: to move coins between the two parties, or to run a contract in its own
    /// name, with the gas that calls in a channel have. Deposits and withdrawals need their transactions.
    pub(crate) fn may_be_proposed(&self, update: &Update) -> bool {
        let peer = self.next.peer();
        let party = |account| Some(account) == self.next.me() || Some(account) == peer;
        match update {
            Update::Transfer { from, to, .. } => from != to && party(*from) && party(*to),
            Update::Meta { .. } => true,
            Update::NewContract { owner, .. } => Some(*owner) == peer,
            Update::CallContract { caller, gas, gas_price, call_stack, .. } => {
                Some(*caller) == peer
                    && *gas == OFFCHAIN_GAS
                    && *gas_price == OFFCHAIN_GAS_PRICE.0
                    && call_stack.is_empty()
            }
            Update::Deposit { .. } | Update::Withdraw { .. } => false,
        }
    }

    pub(crate) fn own_account(&self) -> Result<AccountId, Refusal> {
        self.next.me().ok_or(Refusal::client(Reason::NotReady("the own account is unknown")))
    }
}

fn runs_a_contract(update: &Update) -> bool {
    matches!(update, Update::NewContract { .. } | Update::CallContract { .. })
}

/// Without a pin contracts see the top.
fn pin_of(pin: &BlockHash) -> Option<&BlockHash> {
    (*pin != BlockHash::UNPINNED).then_some(pin)
}

fn no_state() -> Refusal {
    Refusal::client(Reason::Pin("the state of the chain at the block is not known any more"))
}

fn call_refusal(error: CallError) -> Refusal {
    match error {
        CallError::Update(error) => update_refusal(error),
        error => Refusal::client(Reason::Contract { atom: error.atom(), why: error.to_string() }),
    }
}
