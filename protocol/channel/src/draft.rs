//! Building and checking what the two parties sign.

use strait_encoding::{BlockHash, Coins, Height, Nonce};
use strait_ledger::{
    BlockLocation, ChainView, CloseMutualTx, FeeError, OffchainTx, SignedTx, Tx, Update, UpdateError,
    choose_fee, split_mutual_close,
};

use crate::channel::Draft;
use crate::flow::Flow;
use crate::message::MAX_MESSAGE;
use crate::refusal::{Reason, Refusal};
use crate::step::Move;
use crate::terms::{PinWindow, TxOptions};

/// Room for the second signature and for length prefixes that grow with it, in bytes.
const SIGNATURES: usize = 2 * 66 + 8;

impl Move<'_> {
    /// A draft of the next off-chain round.
    pub(crate) fn update_draft(
        &self,
        updates: Vec<Update>,
        pin: Option<BlockHash>,
    ) -> Result<Draft, Refusal> {
        let pin = self.choose_pin(pin)?;
        let (trees, state_hash) = self.apply(&updates, &pin)?;
        let channel_id = self.id()?;
        let tx = OffchainTx { channel_id, round: self.next.round().next(), state_hash };
        let draft = Draft { tx: SignedTx::unsigned(tx), evidence: None, updates, trees, pin };
        self.check_size(Flow::Update, &draft)?;
        Ok(draft)
    }

    /// Whether the proposal, and its acceptance with one more signature, will fit into a frame to the peer.
    pub(crate) fn check_size(&self, flow: Flow, draft: &Draft) -> Result<(), Refusal> {
        let Some(codes) = flow.row().codes else { return Ok(()) };
        let encoded = self.carry(codes.propose, draft).encode();
        let size = encoded.map_or(usize::MAX, |bytes| bytes.len() + SIGNATURES);
        if size > MAX_MESSAGE {
            return Err(Refusal::client(Reason::TooLarge { size, limit: MAX_MESSAGE }));
        }
        Ok(())
    }

    /// The transaction with the fee that the client asked for, or the chosen one.
    pub(crate) fn price(&self, tx: Tx, options: &TxOptions) -> Result<Tx, Refusal> {
        choose_fee(tx, options.fee, options.gas_price, self.chain.protocol()).map_err(fee_refusal)
    }

    /// A draft of the transaction that ends the channel by agreement (`docs/protocol/channel_txs` §4.4).
    pub(crate) fn shutdown_draft(&self, options: &TxOptions) -> Result<Draft, Refusal> {
        let from_id =
            self.next.me().ok_or(Refusal::client(Reason::NotReady("the own account is unknown")))?;
        let (initiator, responder) = self.balances();
        let tx = Tx::from(CloseMutualTx {
            channel_id: self.id()?,
            from_id,
            initiator_amount_final: initiator,
            responder_amount_final: responder,
            ttl: self.next.terms.ttl,
            fee: Coins::ZERO,
            nonce: options.nonce.unwrap_or_else(|| self.next_nonce(from_id)),
        });
        let priced = self.price(tx, options)?;
        let tx = self.close_mutual(priced.fee(), priced.nonce(), priced.ttl(), from_id)?;
        Ok(Draft {
            tx: SignedTx::unsigned(tx),
            evidence: None,
            updates: Vec::new(),
            trees: self.next.trees().cloned().unwrap_or_default(),
            pin: own_pin(&self.next.terms.pin, self.chain),
        })
    }

    /// The mutual close of the agreed balances with this fee.
    pub(crate) fn close_mutual(
        &self,
        fee: Coins,
        nonce: Nonce,
        ttl: Height,
        from_id: strait_encoding::AccountId,
    ) -> Result<CloseMutualTx, Refusal> {
        let (initiator, responder) = self.balances();
        let held = Coins(initiator.0.saturating_add(responder.0));
        let (initiator_amount_final, responder_amount_final) = split_mutual_close(initiator, responder, fee)
            .ok_or_else(|| Refusal::client(Reason::FeeExceedsChannel { held, fee }))?;
        let channel_id = self.id()?;
        Ok(CloseMutualTx {
            channel_id,
            from_id,
            initiator_amount_final,
            responder_amount_final,
            ttl,
            fee,
            nonce,
        })
    }

    /// The agreed balances of the initiator and the responder.
    fn balances(&self) -> (Coins, Coins) {
        let balance = |account| {
            let found = self.next.trees().and_then(|trees| trees.account(account));
            found.map_or(Coins::ZERO, |account| account.balance)
        };
        let terms = &self.next.terms;
        (terms.initiator.map_or(Coins::ZERO, balance), balance(terms.responder))
    }

    pub(crate) fn choose_pin(&self, pin: Option<BlockHash>) -> Result<BlockHash, Refusal> {
        match pin {
            None => Ok(own_pin(&self.next.terms.pin, self.chain)),
            Some(pin) => match self.chain.locate_block(&pin) {
                _ if pin == BlockHash::UNPINNED => Ok(pin),
                BlockLocation::Main(_) => self.check_pin(&pin).map(|()| pin).map_err(Refusal::client),
                BlockLocation::Fork(_) => {
                    Err(Refusal::client(Reason::Pin("the block is not on the main chain")))
                }
                BlockLocation::Unknown => Err(Refusal::client(Reason::Pin("no such block is known"))),
            },
        }
    }

    /// Whether an update may be pinned to this block (`docs/protocol/fsm` §10).
    pub(crate) fn check_pin(&self, pin: &BlockHash) -> Result<(), Reason> {
        if *pin == BlockHash::UNPINNED {
            return Ok(());
        }
        let BlockLocation::Main(height) = self.chain.locate_block(pin) else {
            return Err(Reason::Pin("the block is unknown or not on the main chain"));
        };
        let depth = self.chain.top_height().0.saturating_sub(height.0);
        let window = &self.next.terms.pin;
        if depth < window.not_newer_than {
            Err(Reason::Pin("the block is newer than bh_delta_not_newer_than allows"))
        } else if depth > window.not_older_than {
            Err(Reason::Pin("the block is older than bh_delta_not_older_than allows"))
        } else {
            Ok(())
        }
    }
}

/// The block that an own proposal is pinned to; `not_newer_than` counts twice, as in the reference
/// (`docs/protocol/fsm` §10).
pub(crate) fn own_pin(window: &PinWindow, chain: &dyn ChainView) -> BlockHash {
    let back = window.not_older_than.min(window.not_newer_than.saturating_add(window.pick));
    let depth = window.not_newer_than.saturating_add(back);
    let height = Height(chain.top_height().0.saturating_sub(depth));
    chain.key_block_at(height).map_or(BlockHash::UNPINNED, BlockHash::from)
}

/// What a client is told when its updates cannot be applied.
pub(crate) fn update_refusal(error: UpdateError) -> Refusal {
    Refusal::client(match error {
        UpdateError::InsufficientBalance { account, balance, amount, reserve } => {
            Reason::InsufficientBalance { account, balance, amount, reserve }
        }
        UpdateError::UnknownAccount(account) => Reason::NotInState(account.to_string()),
        UpdateError::TooLarge { account, .. } => Reason::ValueTooLow {
            parameter: "amount",
            rule: format!("the balance of {account} must fit into 128 bits"),
        },
        UpdateError::ContractsUnsupported => Reason::Unsupported("a contract in the channel"),
    })
}

/// What a client is told when no fee can be found.
pub(crate) fn fee_refusal(error: FeeError) -> Refusal {
    match error {
        FeeError::TooLow { fee, minimum } => Refusal::client(Reason::TooLowFee { fee, minimum }),
        FeeError::Unstable { .. } | FeeError::TooLarge { .. } => {
            Refusal::client(Reason::NotAllowedNow("no fee was found for this gas price"))
        }
    }
}
