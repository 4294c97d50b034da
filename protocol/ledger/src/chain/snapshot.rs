//! A chain as bytes, to go on after a restart without applying every block again.

use std::collections::BTreeMap;
use std::sync::Arc;

use strait_encoding::rlp::{DecodeError, Fields, List};
use strait_encoding::{BlockHash, Height, KeyBlockHash, MicroBlockHash, TxHash};
use thiserror::Error;

use super::history::{History, Kept};
use super::pool::{Pool, Waiting};
use super::{Block, Chain, ChainConfig, ImportError, MinedTx};
use crate::rules::ChainState;
use crate::{SignedTx, Trees};

const FORMAT: u64 = 2;
/// The format without the hash of the last block and without abandoned blocks.
const FORMAT_WITHOUT_FORKS: u64 = 1;

/// Why a chain cannot be restored: the snapshot is damaged, or of another chain.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RestoreError {
    /// The bytes are no snapshot.
    #[error("the snapshot is malformed: {0}")]
    Malformed(#[from] DecodeError),
    /// It was written by another version of this program.
    #[error("the snapshot has format {found}, expected {FORMAT}")]
    Format {
        /// The format found.
        found: u64,
    },
    /// Its first block is another one: network or genesis accounts differ.
    #[error(
        "the snapshot is of a chain that begins with {found}, the settings are of one that begins with {expected}"
    )]
    OtherChain {
        /// The first block of the snapshot.
        found: KeyBlockHash,
        /// The first block of the settings.
        expected: KeyBlockHash,
    },
    /// Its blocks do not follow one another, or there are none.
    #[error("the blocks of the snapshot do not follow one another at {0:?}")]
    Gap(BlockHash),
    /// Its state is not the one of its block.
    #[error("the state of the snapshot is not the one of block {0:?}")]
    OtherState(BlockHash),
    /// Its last block is not the one that it names.
    #[error("the snapshot ends with block {found:?}, expected {expected:?}")]
    OtherTip {
        /// The last block.
        found: BlockHash,
        /// The one that it names.
        expected: BlockHash,
    },
    /// A block of it cannot be applied.
    #[error("{0}")]
    Import(#[from] ImportError),
}

impl Chain {
    /// The chain as bytes: its recent blocks, the state after the oldest block that has one, the pool, what is known of
    /// older transactions, and the blocks that forks left behind.
    pub fn snapshot(&self) -> Vec<u8> {
        let (mut old, mut new, mut base) = (Vec::new(), Vec::new(), &self.state);
        let mut failed = List::new();
        for kept in self.history.line() {
            match &kept.state {
                Some(state) if new.is_empty() => {
                    base = state;
                    new.push(kept.block.encode());
                }
                None if new.is_empty() => {
                    old.push(kept.block.encode());
                    if !kept.failed.is_empty() {
                        failed = failed.list(encode_failed(kept));
                    }
                }
                _ => new.push(kept.block.encode()),
            }
        }
        List::new()
            .uint(FORMAT)
            .bytes(&self.genesis.0)
            .bytes(self.tip.hash().as_bytes())
            .uint(self.history.oldest())
            .uint(self.history.places_before_oldest())
            .all_bytes(old)
            .bytes(&base.trees.encode())
            .coins(base.fees_collected)
            .all_bytes(new)
            .list(
                self.history
                    .older_txs()
                    .into_iter()
                    .fold(List::new(), |list, mined| list.list(encode_mined(mined))),
            )
            .list(self.pool.iter().fold(List::new(), |list, (_, waiting)| list.list(encode_waiting(waiting))))
            .all_bytes(self.pool.gone())
            .list(self.history.aside().iter().fold(List::new(), |list, kept| list.list(encode_aside(kept))))
            .list(failed)
            .finish()
    }

    /// The chain of a snapshot. The blocks whose state was kept are applied again, so that their states are known.
    ///
    /// # Errors
    /// The snapshot is damaged, or was made with other settings.
    pub fn restore(config: ChainConfig, snapshot: &[u8]) -> Result<Self, RestoreError> {
        let mut fields = Fields::of_list(snapshot)?;
        let found = fields.uint()?;
        let has_forks = match found {
            FORMAT => true,
            FORMAT_WITHOUT_FORKS => false,
            _ => return Err(RestoreError::Format { found }),
        };
        let mut chain = Self::new(config);
        let found = KeyBlockHash(fields.array()?);
        if found != chain.genesis {
            return Err(RestoreError::OtherChain { found, expected: chain.genesis });
        }
        let tip = if has_forks { Some(BlockHash::new(fields.array()?)) } else { None };
        chain.history = History::after(fields.uint()?, fields.uint()?);
        let old = blocks(&mut fields)?;
        let trees = Trees::decode(fields.bytes()?)?;
        chain.state = ChainState { trees, fees_collected: fields.coins()? };
        let new = blocks(&mut fields)?;
        for mined in list_of(&mut fields, |fields| decode_mined(fields, has_forks))? {
            chain.history.remember(mined);
        }
        let pool = decode_pool(&mut fields, chain.config())?;
        let (aside, failed) = match has_forks {
            true => (list_of(&mut fields, decode_aside)?, list_of(&mut fields, decode_failed)?),
            false => (Vec::new(), Vec::new()),
        };
        fields.end()?;
        chain.restore_blocks(old, new, &failed.into_iter().collect())?;
        let found = chain.tip.hash();
        if let Some(expected) = tip.filter(|expected| *expected != found) {
            return Err(RestoreError::OtherTip { found, expected });
        }
        chain.pool = pool;
        for kept in aside {
            chain.history.put_aside(kept, chain.tip.header.height, &chain.config);
        }
        Ok(chain)
    }

    /// Puts back the blocks without a state, the first one with a state, and applies the others.
    fn restore_blocks(
        &mut self,
        old: Vec<Block>,
        new: Vec<Block>,
        failed: &BTreeMap<BlockHash, Arc<[usize]>>,
    ) -> Result<(), RestoreError> {
        let mut prev: Option<BlockHash> = None;
        let mut check = |block: &Block| match prev.replace(block.hash()) {
            Some(prev) if prev != block.header.prev_hash => Err(RestoreError::Gap(block.hash())),
            _ => Ok(()),
        };
        for block in old {
            check(&block)?;
            let failed = failed.get(&block.hash()).cloned().unwrap_or_default();
            self.history.push_old(Arc::new(block), failed, &self.config);
        }
        let mut new = new.into_iter();
        let Some(base) = new.next() else { return Err(RestoreError::Gap(BlockHash::UNPINNED)) };
        check(&base)?;
        if self.state.trees.state_hash().0 != base.header.state_hash.0 {
            return Err(RestoreError::OtherState(base.hash()));
        }
        self.tip = Arc::new(base);
        self.history.push(Arc::clone(&self.tip), &self.state, &self.config);
        for block in new {
            self.take_over(block, false)?;
        }
        Ok(())
    }
}

fn blocks(fields: &mut Fields<'_>) -> Result<Vec<Block>, DecodeError> {
    let mut list = fields.list()?;
    let mut blocks = Vec::new();
    while !list.is_empty() {
        blocks.push(Block::decode(list.bytes()?)?);
    }
    Ok(blocks)
}

fn list_of<T>(
    fields: &mut Fields<'_>,
    decode: impl Fn(Fields<'_>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let mut list = fields.list()?;
    let mut all = Vec::new();
    while !list.is_empty() {
        all.push(decode(list.list()?)?);
    }
    Ok(all)
}

fn encode_mined(mined: &MinedTx) -> List {
    List::new()
        .bytes(&mined.tx.encode())
        .bytes(&mined.block.0)
        .uint(mined.height.0)
        .uint(mined.place)
        .bool(mined.failed)
}

/// `with_failed`: older formats do not say whether it failed.
fn decode_mined(mut fields: Fields<'_>, with_failed: bool) -> Result<MinedTx, DecodeError> {
    let tx = SignedTx::decode(fields.bytes()?)?;
    let mined = MinedTx {
        hash: tx.hash(),
        tx,
        block: MicroBlockHash(fields.array()?),
        height: fields.height()?,
        place: fields.uint()?,
        failed: with_failed && fields.bool()?,
    };
    fields.end()?;
    Ok(mined)
}

fn encode_aside(kept: &Kept) -> List {
    let numbers = kept.failed.iter().fold(List::new(), |list, number| list.uint(*number as u64));
    List::new().bytes(&kept.block.encode()).uint(kept.ordinal).uint(kept.places).list(numbers)
}

fn decode_aside(mut fields: Fields<'_>) -> Result<Kept, DecodeError> {
    let block = Arc::new(Block::decode(fields.bytes()?)?);
    let (ordinal, places) = (fields.uint()?, fields.uint()?);
    let failed = decode_numbers(fields.list()?)?;
    fields.end()?;
    if places < block.txs.len() as u64 {
        return Err(DecodeError::Rule("an abandoned block holds more transactions than its chain"));
    }
    Ok(Kept::new(block, (ordinal, places), failed))
}

/// Which transactions of a block failed: its hash and their numbers.
fn encode_failed(kept: &Kept) -> List {
    let hash = List::new().bytes(kept.block.hash().as_bytes());
    kept.failed.iter().fold(hash, |list, number| list.uint(*number as u64))
}

fn decode_failed(mut fields: Fields<'_>) -> Result<(BlockHash, Arc<[usize]>), DecodeError> {
    Ok((BlockHash::new(fields.array()?), decode_numbers(fields)?))
}

fn decode_numbers(mut fields: Fields<'_>) -> Result<Arc<[usize]>, DecodeError> {
    let mut numbers = Vec::new();
    while !fields.is_empty() {
        numbers.push(usize::try_from(fields.uint()?).map_err(|_| DecodeError::TooLarge(64))?);
    }
    Ok(numbers.into())
}

fn encode_waiting(waiting: &Waiting) -> List {
    // The first height is 1, so 0 says that it is not invalid.
    let invalid_since = waiting.invalid_since.unwrap_or_default();
    List::new()
        .bytes(&waiting.tx.encode())
        .uint(waiting.failures.into())
        .uint(waiting.since.0)
        .uint(invalid_since.0)
}

fn decode_pool(fields: &mut Fields<'_>, config: &ChainConfig) -> Result<Pool, DecodeError> {
    let mut pool = Pool::default();
    let all = list_of(fields, |mut fields| {
        let (tx, failures) = (SignedTx::decode(fields.bytes()?)?, fields.uint()?);
        let (since, invalid_since) = (fields.height()?, fields.height()?);
        fields.end()?;
        let mut waiting = Waiting::new(tx, since, config.protocol);
        waiting.failures = u32::try_from(failures).map_err(|_| DecodeError::TooLarge(32))?;
        waiting.invalid_since = (invalid_since != Height(0)).then_some(invalid_since);
        Ok(waiting)
    })?;
    for waiting in all {
        pool.insert(waiting.tx.hash(), waiting);
    }
    let mut gone = fields.list()?;
    let mut hashes = Vec::new();
    while !gone.is_empty() {
        hashes.push(TxHash(gone.array()?));
    }
    pool.restore_gone(hashes);
    Ok(pool)
}
