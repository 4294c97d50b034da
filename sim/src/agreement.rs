//! A round that both agreed on, or that one forced on chain, and what follows from a proposal.

use std::collections::BTreeMap;

use strait_encoding::{AccountId, Coins, ContractId, Round};
use strait_ledger::{CallResult, SignedTx, Trees, Tx, TxKind, Update, initial_trees};

use crate::contracts::{Call, Program, Upshot, made_in};

/// A round that both agreed on, or that one forced on chain.
#[derive(Clone, Debug)]
pub(crate) struct Agreement {
    parties: [AccountId; 2],
    /// Its number.
    pub round: u64,
    /// The last round that both signed: itself, or the one that the forced calls stand on.
    pub settled: u64,
    /// Both balances.
    pub balances: [u128; 2],
    /// What each has received from the other one since the channel opened, less what it paid, contracts between them
    /// included: deposits and withdrawals move coins, and change nothing of this.
    pub gains: [i128; 2],
    /// The contracts, and the coins that they hold.
    pub held: BTreeMap<ContractId, (Program, u128)>,
    /// The trees.
    pub trees: Trees,
    /// The transaction that fixes it.
    pub tx: SignedTx,
}

/// A proposal on the wire.
#[derive(Clone, Debug)]
pub(crate) struct Proposal {
    /// What it changes.
    pub updates: Vec<Update>,
    /// The trees that it leads to where it runs a contract, by the block that it is pinned to.
    pub ran: Option<Trees>,
    /// What its proposer held for the latest state.
    pub base: Option<SignedTx>,
}

/// Who called what, and what that comes to.
type Called = (AccountId, ContractId, Upshot);

impl Agreement {
    /// Round 1.
    pub fn first(parties: [AccountId; 2], balances: [u128; 2], push: u128, tx: SignedTx) -> Self {
        let push = signed(push);
        let [ours, theirs] = balances.map(Coins);
        let trees = initial_trees(parties[0], parties[1], ours, theirs);
        let (round, settled, gains) = (1, 1, [-push, push]);
        Self { parties, round, settled, balances, gains, held: BTreeMap::new(), trees, tx }
    }

    /// Whether one party forced it on chain.
    pub fn is_forced(&self) -> bool {
        self.settled < self.round
    }

    /// All coins of the round, those of its contracts too.
    pub fn coins(&self) -> u128 {
        self.balances.iter().sum::<u128>() + self.held.values().map(|(_, coins)| coins).sum::<u128>()
    }

    /// The round that follows with this transaction.
    ///
    /// # Panics
    /// The updates are none that two may agree on, or do not fit the transaction.
    pub fn followed_by(&self, round: u64, proposal: &Proposal, tx: &SignedTx) -> Self {
        let (mut after, calls) = self.moved_by(round, proposal, tx);
        after.trees = after.trees_after(round, proposal, &calls);
        after
    }

    /// What both would have gained after the round that follows with this transaction.
    ///
    /// # Panics
    /// As [`followed_by`](Self::followed_by).
    pub fn gains_after(&self, round: u64, proposal: &Proposal, tx: &SignedTx) -> [i128; 2] {
        self.moved_by(round, proposal, tx).0.gains
    }

    /// The coins after the round, and what its calls come to. The trees are still those before.
    fn moved_by(&self, round: u64, proposal: &Proposal, tx: &SignedTx) -> (Self, Vec<Called>) {
        let forced = matches!(tx.body(), Tx::ChannelForceProgress(_));
        let settled = if forced { self.settled } else { round };
        let mut after = Self { tx: tx.clone(), round, settled, ..self.clone() };
        let (mut moved, mut calls) = (None, Vec::new());
        for update in &proposal.updates {
            match update {
                Update::Transfer { from, to, amount } => {
                    after.lose(*from, amount.0);
                    after.win(*to, amount.0);
                }
                Update::Deposit { from, amount } => {
                    after.balances[after.place(*from)] += amount.0;
                    moved = Some((TxKind::ChannelDeposit, *from, *amount));
                }
                Update::Withdraw { to, amount } => {
                    let party = after.place(*to);
                    after.balances[party] = less(after.balances[party], amount.0);
                    moved = Some((TxKind::ChannelWithdraw, *to, *amount));
                }
                Update::NewContract { owner, code, deposit, .. } => {
                    let Some(program) = Program::of_code(code) else { panic!("unknown code is agreed on") };
                    after.lose(*owner, deposit.0);
                    after.held.insert(made_in(*owner, round), (program, deposit.0));
                }
                Update::CallContract { caller, contract, amount, call_data, .. } => {
                    let upshot = after.call(*caller, *contract, amount.0, call_data);
                    calls.push((*caller, *contract, upshot));
                }
                Update::Meta { .. } => {}
            }
        }
        assert_eq!(
            moved,
            funds_of(tx),
            "what the updates of round {round} move, and what its transaction does"
        );
        (after, calls)
    }

    /// The trees of a round in which no contract ran are those before with the balances of now; of one in which one ran, those
    /// that the machine left, if they hold the coins and results that were told.
    fn trees_after(&self, round: u64, proposal: &Proposal, calls: &[Called]) -> Trees {
        let runs =
            |update: &Update| matches!(update, Update::NewContract { .. } | Update::CallContract { .. });
        if !proposal.updates.iter().any(runs) {
            let mut trees = Trees { calls: Trees::default().calls, ..self.trees.clone() };
            for (party, balance) in self.parties.iter().zip(self.balances) {
                let Some(mut account) = trees.account(*party) else { panic!("{party} has no account") };
                account.balance = Coins(balance);
                trees.set_account(*party, &account);
            }
            return trees;
        }
        let Some(trees) = proposal.ran.clone() else { panic!("round {round} is agreed, and cannot be run") };
        self.check_coins(&trees);
        for (caller, contract, upshot) in calls {
            let found = trees.call_in_round(*contract, *caller, Round(round)).map(|call| call.result);
            let fits = matches!(
                (&found, upshot),
                (Some(CallResult::Ok(_)), Upshot::Well(_))
                    | (Some(CallResult::Revert(_)), Upshot::Reverts)
                    | (Some(CallResult::Error(_)), Upshot::Fails)
            );
            assert!(fits, "the call of {contract} in round {round} comes to {found:?}, not {upshot:?}");
        }
        trees
    }

    /// Compares the coins that trees hold with those that were told.
    ///
    /// # Panics
    /// They differ.
    pub fn check_coins(&self, trees: &Trees) {
        let in_trees = |account| trees.account(account).map(|found| found.balance.0);
        assert_eq!(self.parties.map(in_trees), self.balances.map(Some), "balances");
        for (contract, (program, coins)) in &self.held {
            assert_eq!(in_trees(AccountId(contract.0)), Some(*coins), "coins of {program:?} {contract}");
            assert!(trees.contract(*contract).is_some(), "{contract} is gone");
        }
    }

    fn call(&mut self, caller: AccountId, contract: ContractId, amount: u128, call_data: &[u8]) -> Upshot {
        let Some((program, held)) = self.held.get(&contract).copied() else {
            panic!("a call of {contract}, which was never made, is agreed on");
        };
        let upshot = Call::read(call_data).upshot(program, held, amount);
        if let Upshot::Well(paid) = &upshot {
            self.lose(caller, amount);
            let paid_out = paid.iter().map(|(_, coins)| coins).sum();
            self.held.insert(contract, (program, less(held + amount, paid_out)));
            for (to, coins) in paid {
                self.win(*to, *coins);
            }
        }
        upshot
    }

    fn lose(&mut self, party: AccountId, coins: u128) {
        let party = self.place(party);
        self.balances[party] = less(self.balances[party], coins);
        self.gains[party] -= signed(coins);
    }

    fn win(&mut self, party: AccountId, coins: u128) {
        let party = self.place(party);
        self.balances[party] += coins;
        self.gains[party] += signed(coins);
    }

    fn place(&self, account: AccountId) -> usize {
        let found = self.parties.iter().position(|party| *party == account);
        found.unwrap_or_else(|| panic!("{account} is no party"))
    }
}

fn less(balance: u128, coins: u128) -> u128 {
    balance.checked_sub(coins).unwrap_or_else(|| panic!("{coins} are taken from {balance}"))
}

fn signed(coins: u128) -> i128 {
    i128::try_from(coins).unwrap_or_else(|_| panic!("{coins} is too much"))
}

/// What a transaction brings into the channel or takes out, and whose that is.
fn funds_of(tx: &SignedTx) -> Option<(TxKind, AccountId, Coins)> {
    match tx.body() {
        Tx::ChannelDeposit(deposit) => Some((tx.body().kind(), deposit.from_id, deposit.amount)),
        Tx::ChannelWithdraw(withdraw) => Some((tx.body().kind(), withdraw.to_id, withdraw.amount)),
        _ => None,
    }
}
