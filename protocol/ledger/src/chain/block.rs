//! Blocks and their headers (`docs/protocol/chain_service` §3).

use strait_encoding::hash::blake2b;
use strait_encoding::rlp::{DecodeError, Fields, List};
use strait_encoding::{AccountId, BlockHash, Height, KeyBlockHash, MicroBlockHash, RootHash};
use strait_tree::Tree;

use crate::SignedTx;

const KEY_FLAG: u32 = 1 << 31;
/// The easiest target of the proof of work: nobody works here.
const TARGET: u32 = 0x2100_ffff;
/// That of the easiest target (`docs/protocol/chain_service` §3).
pub(super) const DIFFICULTY: u64 = 1 << 24;
const PROOF_OF_WORK: [u8; 42 * 4 + 8] = [0; 42 * 4 + 8];
const SIGNATURE: [u8; 64] = [0; 64];

/// A block: a key block opens a generation and holds no transactions, micro blocks hold some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What the hash covers.
    pub header: Header,
    /// The transactions in the order in which they were applied.
    pub txs: Vec<SignedTx>,
}

/// What the hash of a block covers. Proof of work and signature are left empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    hash: BlockHash,
    /// The number of the protocol.
    pub version: u32,
    /// The height of the generation; a micro block has that of its key block.
    pub height: Height,
    /// The block before; zero for the first one.
    pub prev_hash: BlockHash,
    /// The key block before; for a micro block that of its generation.
    pub prev_key_hash: KeyBlockHash,
    /// The hash of the state after the block.
    pub state_hash: RootHash,
    /// When it was made: milliseconds since 1970.
    pub time_ms: u64,
    /// Key block or micro block.
    pub kind: BlockKind,
}

/// Key block or micro block, and what only one of them has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockKind {
    /// Opens a generation.
    Key {
        /// Who found it: nobody, but in the first block it tells networks apart.
        miner: AccountId,
    },
    /// Holds transactions.
    Micro {
        /// The root of a tree over the hashes of the transactions.
        txs_hash: RootHash,
    },
}

impl Header {
    /// A header with its hash.
    pub(super) fn new(
        (version, height): (u32, Height),
        (prev_hash, prev_key_hash): (BlockHash, KeyBlockHash),
        state_hash: RootHash,
        time_ms: u64,
        kind: BlockKind,
    ) -> Self {
        let mut header = Self {
            hash: BlockHash::UNPINNED,
            version,
            height,
            prev_hash,
            prev_key_hash,
            state_hash,
            time_ms,
            kind,
        };
        header.hash = BlockHash::new(blake2b(&header.to_bytes()));
        header
    }

    /// The hash of the block.
    pub fn hash(&self) -> BlockHash {
        self.hash
    }

    /// Whether it is a key block's.
    pub fn is_key(&self) -> bool {
        matches!(self.kind, BlockKind::Key { .. })
    }

    /// The key block of its generation: itself, if it is one.
    pub fn key_hash(&self) -> KeyBlockHash {
        match self.kind {
            BlockKind::Key { .. } => KeyBlockHash(*self.hash.as_bytes()),
            BlockKind::Micro { .. } => self.prev_key_hash,
        }
    }

    /// The hash as a micro block's; none for a key block.
    pub fn micro_hash(&self) -> Option<MicroBlockHash> {
        (!self.is_key()).then(|| MicroBlockHash(*self.hash.as_bytes()))
    }

    /// The easiest target of the proof of work, as a number.
    pub fn target(&self) -> u32 {
        TARGET
    }

    /// The bytes that are hashed, in the node's layout.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(400);
        let flags = if self.is_key() { KEY_FLAG } else { 0 };
        bytes.extend_from_slice(&self.version.to_be_bytes());
        bytes.extend_from_slice(&flags.to_be_bytes());
        bytes.extend_from_slice(&self.height.0.to_be_bytes());
        bytes.extend_from_slice(self.prev_hash.as_bytes());
        bytes.extend_from_slice(&self.prev_key_hash.0);
        bytes.extend_from_slice(&self.state_hash.0);
        match self.kind {
            BlockKind::Key { miner } => {
                // Miner and beneficiary are the same account.
                bytes.extend_from_slice(&miner.0);
                bytes.extend_from_slice(&miner.0);
                bytes.extend_from_slice(&TARGET.to_be_bytes());
                bytes.extend_from_slice(&PROOF_OF_WORK);
                bytes.extend_from_slice(&self.time_ms.to_be_bytes());
            }
            BlockKind::Micro { txs_hash } => {
                bytes.extend_from_slice(&txs_hash.0);
                bytes.extend_from_slice(&self.time_ms.to_be_bytes());
                bytes.extend_from_slice(&SIGNATURE);
            }
        }
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) gives.
    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut rest = bytes;
        let version = u32::from_be_bytes(chunk(&mut rest)?);
        let flags = u32::from_be_bytes(chunk(&mut rest)?);
        let height = Height(u64::from_be_bytes(chunk(&mut rest)?));
        let prev = (BlockHash::new(chunk(&mut rest)?), KeyBlockHash(chunk(&mut rest)?));
        let state_hash = RootHash(chunk(&mut rest)?);
        let first = chunk(&mut rest)?;
        let kind = if flags & KEY_FLAG == 0 {
            BlockKind::Micro { txs_hash: RootHash(first) }
        } else {
            let _beneficiary: [u8; 32] = chunk(&mut rest)?;
            let _target: [u8; 4] = chunk(&mut rest)?;
            let _proof_of_work: [u8; PROOF_OF_WORK.len()] = chunk(&mut rest)?;
            BlockKind::Key { miner: AccountId(first) }
        };
        let time_ms = u64::from_be_bytes(chunk(&mut rest)?);
        let header = Self::new((version, height), prev, state_hash, time_ms, kind);
        // Also what was skipped must be as it is written.
        if header.to_bytes() == bytes {
            Ok(header)
        } else {
            Err(DecodeError::Rule("a block header is malformed"))
        }
    }
}

impl Block {
    /// The hash of the block.
    pub fn hash(&self) -> BlockHash {
        self.header.hash()
    }

    /// The block for storage: a list of the header's bytes and the signed transactions.
    pub fn encode(&self) -> Vec<u8> {
        let txs = self.txs.iter().map(SignedTx::encode);
        List::new().bytes(&self.header.to_bytes()).all_bytes(txs).finish()
    }

    /// Reads what [`encode`](Self::encode) gives. The transactions are checked against the header.
    ///
    /// # Errors
    /// Malformed, or the transactions are not those of the header.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = Fields::of_list(bytes)?;
        let header = Header::from_bytes(fields.bytes()?)?;
        let mut list = fields.list()?;
        fields.end()?;
        let mut txs = Vec::new();
        while !list.is_empty() {
            txs.push(SignedTx::decode(list.bytes()?)?);
        }
        let expected = match header.kind {
            BlockKind::Key { .. } => RootHash::ZERO,
            BlockKind::Micro { txs_hash } => txs_hash,
        };
        if txs_hash(&txs) != expected {
            return Err(DecodeError::Rule("the transactions of a block are not those of its header"));
        }
        Ok(Self { header, txs })
    }
}

/// The root of a tree over the hashes of transactions, by their place; zero for none.
pub(super) fn txs_hash(txs: &[SignedTx]) -> RootHash {
    let mut tree = Tree::new();
    for (place, tx) in (0u32..).zip(txs) {
        tree.insert(&place.to_be_bytes(), &tx.hash().0);
    }
    tree.root_or_zero()
}

fn chunk<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], DecodeError> {
    let (head, tail) = rest.split_first_chunk().ok_or(DecodeError::Truncated)?;
    *rest = tail;
    Ok(*head)
}
