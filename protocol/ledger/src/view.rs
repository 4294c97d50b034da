//! What a channel sees of a chain, whichever chain it is (`docs/protocol/chain_service` §1).

use serde::{Deserialize, Serialize};
use strait_encoding::{
    AccountId, BlockHash, ChannelId, Coins, Height, KeyBlockHash, MicroBlockHash, NetworkId, Nonce, TxHash,
};

use crate::{Account, Authenticated, ChannelObject, Pinned, Protocol, RuleError, SignedTx, Trees, TxKind};

/// Where a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TxLocation {
    /// In a block of the main chain.
    InBlock {
        /// The micro block.
        block: MicroBlockHash,
        /// The height of its generation.
        height: Height,
    },
    /// Waiting for a block.
    Pool,
    /// It was known and has been dropped.
    Gone,
    /// Never seen, or forgotten.
    Unknown,
}

/// Where a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BlockLocation {
    /// On the main chain, at this height.
    Main(Height),
    /// On a branch that lost, at this height.
    Fork(Height),
    /// Never seen, or forgotten.
    Unknown,
}

/// A chain as a channel sees it: its top, accounts, channels, and where transactions are.
pub trait ChainView {
    /// The network that signatures are for.
    fn network(&self) -> &NetworkId;
    /// The first block: two services whose chains differ in it cannot share a channel.
    fn genesis(&self) -> KeyBlockHash;
    /// The height of the top generation.
    fn top_height(&self) -> Height;
    /// The protocol at the top.
    fn protocol(&self) -> Protocol;
    /// The account at the top, if it exists.
    fn account(&self, id: AccountId) -> Option<Account>;
    /// The nonce of the next transaction: one more than the larger of the account's and the largest in the pool.
    fn next_nonce(&self, id: AccountId) -> Nonce;
    /// The channel at the top, if it exists.
    fn channel(&self, id: ChannelId) -> Option<ChannelObject>;
    /// The key block of the main chain at this height, if it is still known.
    fn key_block_at(&self, height: Height) -> Option<KeyBlockHash>;
    /// Where a block is.
    fn locate_block(&self, hash: &BlockHash) -> BlockLocation;
    /// Where a transaction is.
    fn locate_tx(&self, hash: &TxHash) -> TxLocation;
    /// The least price of a unit of gas at which the chain's miners take transactions.
    fn miner_gas_price(&self) -> Coins;

    /// What updates with contracts see that are pinned to a block of the main chain; without one, to the top
    /// (`docs/protocol/contracts` §1.1). None where the state after the block is not known, or the chain knows no states.
    fn pinned(&self, block: Option<&BlockHash>) -> Option<Pinned<'_>> {
        let _ = block;
        None
    }

    /// The trees of a channel that a forced call in a block led to (`docs/protocol/channel_txs` §4.9). None where the channel stayed
    /// as it was, the transaction is none of that kind or in no block, or the chain does not know any more.
    fn forced(&self, tx: &TxHash) -> Option<Trees> {
        let _ = tx;
        None
    }

    /// Checks that exactly `signers` authenticated a state of a channel: as [`authenticate_offchain`], with the state at the
    /// top. A chain that knows no contracts takes signatures alone.
    ///
    /// # Errors
    /// They did not; or by a call that may use more gas than a miner would take: nobody pays for it here. Or the channel is
    /// not on chain, which only matters to generalized accounts.
    ///
    /// [`authenticate_offchain`]: crate::authenticate_offchain
    fn authenticate_offchain(
        &self,
        signed: &SignedTx,
        channel: ChannelId,
        signers: &[AccountId],
    ) -> Result<Authenticated, RuleError> {
        let _ = channel;
        by_signatures(signed, signers, self.network())
    }

    /// Checks that exactly `signers` authenticated a transaction that shall go on chain: as [`authenticate_onchain`], with
    /// the state at the top. A chain that knows no contracts takes signatures alone.
    ///
    /// # Errors
    /// They did not; or by a call that may use more gas than a miner would take.
    ///
    /// [`authenticate_onchain`]: crate::authenticate_onchain
    fn authenticate_onchain(
        &self,
        signed: &SignedTx,
        signers: &[AccountId],
    ) -> Result<Authenticated, RuleError> {
        by_signatures(signed, signers, self.network())
    }
}

/// Checks that exactly `signers` signed, where no contract can be asked.
pub(crate) fn by_signatures(
    signed: &SignedTx,
    signers: &[AccountId],
    network: &NetworkId,
) -> Result<Authenticated, RuleError> {
    if signed.kind() == TxKind::GaMeta {
        return Err(RuleError::Unsupported { kind: TxKind::GaMeta });
    }
    signed.verify(network, signers).map_err(|error| RuleError::Signatures { error })
}
