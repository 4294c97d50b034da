//! What transactions would come to, for those who ask before they sign (`docs/protocol/chain_service` §4).

use strait_encoding::{AccountId, BlockHash, Coins};

use super::Chain;
use crate::rules::{self, ChainState, RuleError};
use crate::{CallObject, ChainView, SignedTx, Tx};

impl Chain {
    /// What would come of unsigned transactions right behind a block of the main chain, or the top, each on the state that the ones before it
    /// left: the call that it makes, if it makes one, or why it would not be taken. `gifts` go to accounts first, which come
    /// to exist by it. Nothing is kept. None where the state after the block is not known.
    ///
    /// Whoever lets others ask has to limit the gas that they may use.
    pub fn dry_run(
        &self,
        block: Option<&BlockHash>,
        gifts: &[(AccountId, Coins)],
        txs: &[Tx],
    ) -> Option<Vec<Result<Option<CallObject>, RuleError>>> {
        let pinned = self.pinned(block)?;
        let mut state = ChainState { trees: pinned.trees.clone(), fees_collected: self.state.fees_collected };
        let given = gifts.iter().try_for_each(|(account, coins)| state.credit(*account, *coins));
        let run = |tx: &Tx| {
            given.clone()?;
            if matches!(tx, Tx::GaMeta(_) | Tx::PayingFor(_) | Tx::ChannelOffchain(_)) {
                return Err(RuleError::Unsupported { kind: tx.kind() });
            }
            let tx = SignedTx::unsigned(tx.clone());
            rules::apply_authenticated(&mut state, &tx, &pinned.block)?;
            Ok(rules::call_of(&tx, &state.trees))
        };
        Some(txs.iter().map(run).collect())
    }
}
