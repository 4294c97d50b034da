//! No bytes make a decoder panic, and what is read is written back so that it reads the same.

use std::fmt::Debug;
use std::sync::LazyLock;

use proptest::prelude::*;
use strait_encoding::rlp::DecodeError;
use strait_ledger::{
    Account, Block, Branch, CallObject, Chain, ChainView, ChannelObject, ContractObject, ForkPlan, SignedTx,
    StateProof, Trees, Tx, Update,
};

use crate::support::{chain, create, signed, spend};

static EMPTY: LazyLock<Chain> = LazyLock::new(chain);
/// Well-formed objects of all kinds: those of the node, a block and a snapshot.
static OBJECTS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(objects);

fn objects() -> Vec<Vec<u8>> {
    let lines = include_str!("../vectors/node_objects.out").lines();
    let digits = lines.filter_map(|line| line.strip_prefix("obj\t")?.split('\t').nth(1));
    let mut objects: Vec<_> = digits.map(|digits| hex::decode(digits).unwrap()).collect();
    let (mut chain, block) = mined();
    let branch = chain.fork(&ForkPlan::new(1), 0).unwrap();
    objects.extend([block.encode(), branch.encode(), chain.snapshot()]);
    objects
}

fn mined() -> (Chain, Block) {
    let mut chain = chain();
    chain.submit(signed(create(1), &[1, 2])).unwrap();
    chain.submit(signed(spend(3, 4, 1, 1), &[3])).unwrap();
    let block = chain.mine_micro_block(0).unwrap();
    (chain, block)
}

/// What is read reads the same after it was written.
fn stable<T: PartialEq + Debug>(
    bytes: &[u8],
    decode: impl Fn(&[u8]) -> Result<T, DecodeError>,
    encode: impl Fn(&T) -> Vec<u8>,
) -> Result<(), TestCaseError> {
    if let Ok(object) = decode(bytes) {
        prop_assert_eq!(decode(&encode(&object)), Ok(object));
    }
    Ok(())
}

fn read_as_everything(bytes: &[u8]) -> Result<(), TestCaseError> {
    stable(bytes, Tx::decode, Tx::encode)?;
    stable(bytes, SignedTx::decode, SignedTx::encode)?;
    stable(bytes, Update::decode, Update::encode)?;
    stable(bytes, Account::decode, Account::encode)?;
    stable(bytes, ChannelObject::decode, ChannelObject::encode)?;
    stable(bytes, StateProof::decode, StateProof::encode)?;
    stable(bytes, Block::decode, Block::encode)?;
    stable(bytes, Branch::decode, Branch::encode)?;
    stable(bytes, ContractObject::decode, ContractObject::encode)?;
    stable(bytes, CallObject::decode, CallObject::encode)?;
    if let Ok(trees) = Trees::decode(bytes) {
        prop_assert_eq!(
            Trees::decode(&trees.encode()).map(|again| again.state_hash()),
            Ok(trees.state_hash())
        );
    }
    // JSON is made of whatever was read.
    if let Ok(tx) = Tx::decode(bytes) {
        prop_assert!(tx.to_json().is_object());
    }
    if let Ok(update) = Update::decode(bytes) {
        prop_assert!(update.to_json().is_object());
    }
    // A snapshot is read only by the chain that begins as it does.
    let config = EMPTY.config().clone();
    if let Ok(restored) = Chain::restore(config, bytes) {
        prop_assert_eq!(restored.genesis(), EMPTY.genesis());
    }
    Ok(())
}

#[test]
fn the_well_formed_objects_are_read() {
    let (chain, block) = mined();
    assert_eq!(Block::decode(&block.encode()), Ok(block));
    assert_eq!(Chain::restore(chain.config().clone(), &chain.snapshot()).unwrap().top(), chain.top());
    for object in OBJECTS.iter() {
        read_as_everything(object).unwrap();
    }
}

#[test]
fn a_block_with_other_transactions_is_refused() {
    let (_, block) = mined();
    let fewer = Block { txs: block.txs[..1].to_vec(), ..block.clone() };
    Block::decode(&fewer.encode()).expect_err("the header counts them");
    let mut bytes = block.encode();
    // The last byte of the proof-of-fraud signature, which is always empty.
    let header = block.header.to_bytes();
    let end = bytes.windows(header.len()).position(|part| part == header).unwrap() + header.len();
    bytes[end - 1] = 1;
    Block::decode(&bytes).expect_err("a header that is not ours");
}

#[test]
fn trees_with_a_key_twice_or_an_empty_value_are_refused() {
    use strait_encoding::rlp::List;
    let trees = |pairs: &[(&[u8], &[u8])]| {
        let tree = |tag: u64, pairs: &[(&[u8], &[u8])]| {
            let pairs = pairs.iter().map(|(key, value)| List::object(64, 1).bytes(key).bytes(value).finish());
            List::object(tag, 1).bytes(&List::object(63, 1).all_bytes(pairs).finish()).finish()
        };
        let list = List::object(62, 0).bytes(&tree(621, pairs));
        (622..=626).fold(list, |list, tag| list.bytes(&tree(tag, &[]))).finish()
    };
    let sound = Trees::decode(&trees(&[(b"a", b"1"), (b"b", b"2")])).unwrap();
    assert_eq!(
        Trees::decode(&trees(&[(b"b", b"2"), (b"a", b"1")])).unwrap().state_hash(),
        sound.state_hash()
    );
    Trees::decode(&trees(&[(b"a", b"1"), (b"a", b"1")])).map(drop).expect_err("a key twice");
    Trees::decode(&trees(&[(b"a", b"")])).map(drop).expect_err("an empty value");
}

proptest! {
    #[test]
    fn random_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        read_as_everything(&bytes)?;
    }

    #[test]
    fn damaged_objects_are_read_or_refused(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<Option<prop::sample::Index>>(),
    ) {
        let mut bytes = which.get(&OBJECTS).clone();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        read_as_everything(&bytes)?;
    }
}
