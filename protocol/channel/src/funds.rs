//! Deposits and withdrawals: what is signed and what is checked (`docs/protocol/channel_txs` §4.2, §4.3).

use strait_encoding::{AccountId, BlockHash, Coins, Height, Nonce, Round, StateHash};
use strait_ledger::{AccountKind, DepositTx, SignedTx, Tx, Update, WithdrawTx, fee_gas};

use crate::channel::Draft;
use crate::flow::Flow;
use crate::message::Message;
use crate::refusal::{Reason, Refusal};
use crate::step::Move;
use crate::terms::TxOptions;

/// How many key blocks a deposit or withdrawal has to get into a block, where the client's `ttl` says nothing.
const FUNDS_TTL: u64 = 50;

/// What a client asks for.
pub(crate) struct Funds {
    pub amount: Coins,
    pub pin: Option<BlockHash>,
    pub options: TxOptions,
    pub meta: Vec<String>,
}

impl Move<'_> {
    /// A draft of the round that brings coins into the channel or takes them out. `flow` is deposit or withdraw.
    pub(crate) fn funds_draft(&self, flow: Flow, funds: Funds) -> Result<Draft, Refusal> {
        let me = self.next.me().ok_or(Refusal::client(Reason::NotReady("the own account is unknown")))?;
        if funds.amount == Coins::ZERO {
            let rule = "must be more than 0".to_owned();
            return Err(Refusal::client(Reason::ValueTooLow { parameter: "amount", rule }));
        }
        let mut updates = vec![funds_update(flow, me, funds.amount)];
        updates.extend(funds.meta.into_iter().map(|text| Update::Meta { data: text.into_bytes() }));
        let pin = self.choose_pin(funds.pin)?;
        let (trees, state_hash) = self.apply(&updates, &pin)?;
        let nonce = funds.options.nonce.unwrap_or_else(|| self.next_nonce(me));
        let tx = self.funds_tx(flow, me, funds.amount, state_hash, nonce)?;
        let tx = self.price(tx, &funds.options)?;
        self.check_funding(me, flow, funds.amount, tx.fee())?;
        let draft = Draft { tx: SignedTx::unsigned(tx), evidence: None, updates, trees, pin };
        self.check_size(flow, &draft)?;
        Ok(draft)
    }

    /// A refused deposit or withdrawal can be completed by the peer until its time is over: that should not be for ever.
    fn funds_ttl(&self) -> Height {
        match self.next.terms.ttl {
            Height(0) => Height(self.chain.top_height().0.saturating_add(FUNDS_TTL)),
            ttl => ttl,
        }
    }

    /// Whether the chain would take a transaction of the peer now. If not, it could do so later, when both have gone on without it.
    pub(crate) fn is_minable(&self, tx: &Tx) -> bool {
        let Some(origin) = tx.origin() else { return false };
        let Some(account) = self.chain.account(origin) else { return false };
        let gas = u128::from(fee_gas(tx, self.chain.protocol()));
        let least = gas.checked_mul(self.chain.miner_gas_price().0);
        let from_account = match tx {
            Tx::ChannelDeposit(deposit) => deposit.amount.checked_add(deposit.fee),
            Tx::ChannelWithdraw(withdraw) => Some(withdraw.fee),
            // The channel pays for its own end.
            _ => Some(Coins::ZERO),
        };
        let due = match account.kind {
            AccountKind::Basic => account.nonce < tx.nonce() && tx.nonce() <= self.chain.next_nonce(origin),
            AccountKind::Generalized { .. } => tx.nonce() == Nonce(0),
        };
        due && least.is_some_and(|least| tx.fee().0 >= least)
            && (tx.ttl() == Height(0) || tx.ttl() > self.chain.top_height())
            && from_account.is_some_and(|needed| needed <= account.balance)
    }

    /// Whether the account on chain can pay: otherwise both would wait for a transaction that no block takes.
    fn check_funding(&self, me: AccountId, flow: Flow, amount: Coins, fee: Coins) -> Result<(), Refusal> {
        let balance = self.chain.account(me).map_or(Coins::ZERO, |account| account.balance);
        let coins = if flow == Flow::Deposit { amount } else { Coins::ZERO };
        match coins.checked_add(fee) {
            Some(needed) if needed <= balance => Ok(()),
            _ => {
                let (account, reserve) = (me, Coins::ZERO);
                Err(Refusal::client(Reason::InsufficientBalance { account, balance, reserve, amount }))
            }
        }
    }

    fn funds_tx(
        &self,
        flow: Flow,
        party: AccountId,
        amount: Coins,
        state_hash: StateHash,
        nonce: Nonce,
    ) -> Result<Tx, Refusal> {
        let channel_id = self.id()?;
        let (ttl, fee, round) = (self.funds_ttl(), Coins::ZERO, self.next.round().next());
        Ok(match flow {
            Flow::Withdraw => {
                WithdrawTx { channel_id, to_id: party, amount, ttl, fee, state_hash, round, nonce }.into()
            }
            _ => DepositTx { channel_id, from_id: party, amount, ttl, fee, state_hash, round, nonce }.into(),
        })
    }

    /// The peer's deposit or withdrawal: its transaction must say what its update does, for the peer itself, in the next round.
    pub(crate) fn check_funds(&self, flow: Flow, message: &Message) -> Result<Draft, ()> {
        let (Message::DepositCreated { block_hash, tx, updates, .. }
        | Message::WithdrawCreated { block_hash, tx, updates, .. }) = message
        else {
            return Err(());
        };
        self.check_pin(block_hash).map_err(drop)?;
        let tx = SignedTx::decode(tx).map_err(drop)?;
        let updates = updates.iter().map(|bytes| Update::decode(bytes)).collect::<Result<Vec<_>, _>>();
        let updates = updates.map_err(drop)?;
        let peer = self.next.peer().ok_or(())?;
        let (state_hash, amount) = self.funds_of_next_round(flow, tx.body(), peer).ok_or(())?;
        if !self.is_minable(tx.body()) {
            return Err(());
        }
        let (first, rest) = updates.split_first().ok_or(())?;
        if *first != funds_update(flow, peer, amount)
            || !rest.iter().all(|update| matches!(update, Update::Meta { .. }))
        {
            return Err(());
        }
        let (trees, own_hash) = self.apply(&updates, block_hash).map_err(drop)?;
        if own_hash != state_hash {
            return Err(());
        }
        self.signed_by_peer(tx, updates, trees, *block_hash)
    }

    /// State and amount of a transaction of this flow, channel, party and round.
    fn funds_of_next_round(&self, flow: Flow, tx: &Tx, party: AccountId) -> Option<(StateHash, Coins)> {
        let (round, whose, state_hash, amount): (Round, AccountId, _, _) = match (flow, tx) {
            (Flow::Deposit, Tx::ChannelDeposit(tx)) => (tx.round, tx.from_id, tx.state_hash, tx.amount),
            (Flow::Withdraw, Tx::ChannelWithdraw(tx)) => (tx.round, tx.to_id, tx.state_hash, tx.amount),
            _ => return None,
        };
        let ours = tx.channel_id() == self.next.id && whose == party && round == self.next.round().next();
        (ours && amount > Coins::ZERO).then_some((state_hash, amount))
    }
}

fn funds_update(flow: Flow, party: AccountId, amount: Coins) -> Update {
    match flow {
        Flow::Withdraw => Update::Withdraw { to: party, amount },
        _ => Update::Deposit { from: party, amount },
    }
}
