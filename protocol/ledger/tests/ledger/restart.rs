//! Blocks, what is kept of them, and coming back after a restart.

use std::collections::BTreeSet;

use proptest::prelude::*;
use strait_encoding::rlp::{self, Item};
use strait_encoding::{BlockHash, Coins, Height, NetworkId};
use strait_ledger::{
    Block, BlockLocation, Chain, ChainConfig, ChainView, ImportError, RestoreError, SignedTx, TxLocation,
};

use crate::support::{
    RICH, account, chain, chain_with, close_mutual, create, deposit, network, signed, spend,
};

/// A chain with a channel, some spends, a dropped and two waiting transactions.
fn lively(change: impl Fn(&mut ChainConfig)) -> Chain {
    let mut chain = chain_with(change);
    let id = create(1).channel_id();
    let mut time = 2_000;
    let mut mine = |chain: &mut Chain, txs: Vec<SignedTx>| {
        for tx in txs {
            chain.submit(tx).unwrap();
        }
        chain.mine_micro_block(time);
        chain.mine_key_block(time + 500);
        time += 1_000;
    };
    mine(&mut chain, vec![signed(create(1), &[1, 2]), signed(spend(2, 9, 5, 1), &[2])]);
    mine(&mut chain, vec![signed(deposit(id, 1, 1_000, 2, 2), &[1, 2])]);
    mine(&mut chain, vec![signed(spend(2, 9, 5, 2), &[2]), signed(spend(3, 9, RICH.0, 1), &[3])]);
    for nonce in 3..10 {
        mine(&mut chain, vec![signed(spend(2, 9, 5, nonce), &[2])]);
    }
    chain.submit(signed(spend(4, 9, 5, 2), &[4])).unwrap();
    chain
}

fn same(one: &Chain, other: &Chain) {
    assert_eq!(one.top(), other.top());
    assert_eq!(one.top_state().state_hash(), other.top_state().state_hash());
    assert_eq!(one.fees_collected(), other.fees_collected());
    assert_eq!(one.genesis(), other.genesis());
    assert_eq!(one.pending().collect::<Vec<_>>(), other.pending().collect::<Vec<_>>());
    assert_eq!(one.snapshot(), other.snapshot());
}

#[test]
fn a_snapshot_brings_the_chain_back() {
    let before = lively(|_| {});
    let after = Chain::restore(before.config().clone(), &before.snapshot()).unwrap();
    same(&before, &after);
    let id = create(1).channel_id();
    assert_eq!(after.channel(id), before.channel(id));
    assert_eq!(after.txs_of_channel(id), before.txs_of_channel(id));
    for height in (0..=before.top_height().0).map(Height) {
        assert_eq!(after.key_block_at(height), before.key_block_at(height));
        for block in before.generation(height) {
            assert_eq!(after.block(&block.hash()), Some(block));
            let state = |chain: &Chain| chain.state_at(&block.hash()).unwrap().state_hash();
            assert_eq!(state(&after), state(&before));
            for tx in &block.txs {
                assert_eq!(after.tx(&tx.hash()), before.tx(&tx.hash()));
            }
        }
    }
}

#[test]
fn what_was_mined_after_the_snapshot_is_imported() {
    let mut before = lively(|_| {});
    let snapshot = before.snapshot();
    let blocks: Vec<_> = [
        Some(before.mine_key_block(100_000)),
        {
            before.submit(signed(spend(4, 9, 5, 1), &[4])).unwrap();
            before.mine_micro_block(101_000)
        },
        Some(before.mine_key_block(102_000)),
    ]
    .into_iter()
    .flatten()
    .collect();
    assert_eq!(blocks[1].txs.len(), 2, "the one that waited came in too");
    let mut after = Chain::restore(before.config().clone(), &snapshot).unwrap();
    for block in blocks {
        let stored = block.encode();
        after.import(Block::decode(&stored).unwrap()).unwrap();
    }
    assert_eq!(after.top(), before.top());
    assert_eq!(after.top_state().state_hash(), before.top_state().state_hash());
    assert_eq!(after.pending().count(), before.pending().count());
}

#[test]
fn a_chain_can_be_imported_from_its_first_block_on() {
    let before = lively(|_| {});
    let mut after = Chain::new(before.config().clone());
    for height in (1..=before.top_height().0).map(Height) {
        assert!(before.generation(height).next().is_some_and(|block| block.header.is_key()));
    }
    let all = (0..=before.top_height().0).flat_map(|height| before.generation(Height(height)));
    for block in all.skip(1) {
        after.import(block.clone()).unwrap();
    }
    assert_eq!(after.top(), before.top());
    assert_eq!(after.fees_collected(), before.fees_collected());
}

#[test]
fn a_block_that_does_not_follow_is_refused_and_changes_nothing() {
    let mut chain = lively(|_| {});
    let before = chain.snapshot();
    let top = chain.top().clone();
    assert!(matches!(chain.import(top.clone()), Err(ImportError::NotOnTip { .. })));

    let mut ahead = chain.clone();
    ahead.mine_key_block(100_000);
    ahead.submit(signed(spend(4, 9, 5, 1), &[4])).unwrap();
    let micro = ahead.mine_micro_block(101_000).unwrap();
    assert!(
        matches!(chain.import(micro.clone()), Err(ImportError::NotOnTip { .. })),
        "its key block is missing"
    );

    let mut after_key = chain.clone();
    after_key.mine_key_block(100_000);
    let forged = Block { txs: vec![signed(micro.txs[0].tx().clone(), &[3])], ..micro.clone() };
    assert!(matches!(after_key.import(forged), Err(ImportError::Rule { .. })), "a wrong signature");
    let shortened = Block { txs: micro.txs[..1].to_vec(), ..micro };
    assert!(
        matches!(after_key.import(shortened), Err(ImportError::OtherBlock { .. })),
        "a transaction is missing"
    );
    assert_eq!(chain.snapshot(), before);
}

#[test]
fn a_snapshot_from_before_forks_is_read() {
    let chain = lively(|_| {});
    let snapshot = chain.snapshot();
    // Format 1 had neither the hash of the last block, which comes third, nor, at the end, abandoned blocks and what failed.
    let (Item::List(mut rest), _) = rlp::split(&snapshot).unwrap() else { panic!("a list") };
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let (_, behind) = rlp::split(rest).unwrap();
        fields.push(&rest[..rest.len() - behind.len()]);
        rest = behind;
    }
    assert_eq!([fields.pop(), fields.pop()], [Some(&[0xc0][..]); 2]);
    assert_eq!(fields[2][1..], *chain.top().hash().as_bytes());
    fields.remove(2);
    fields[0] = &[1];
    let body = fields.concat();
    let size = u32::try_from(body.len()).unwrap().to_be_bytes();
    let old = [&[0xfb][..], &size, &body].concat().to_vec();
    // Lengths are written without zeros in front.
    let zeros = size.iter().take_while(|byte| **byte == 0).count();
    let old = [&[0xfb - u8::try_from(zeros).unwrap()][..], &old[1 + zeros..]].concat();
    same(&chain, &Chain::restore(chain.config().clone(), &old).unwrap());
    fields[0] = &[3];
    let unknown = [&old[..5 - zeros], &fields.concat()].concat();
    assert_eq!(
        Chain::restore(chain.config().clone(), &unknown).err(),
        Some(RestoreError::Format { found: 3 })
    );
}

#[test]
fn settings_of_another_chain_do_not_fit_a_snapshot() {
    let chain = lively(|_| {});
    let mut other = chain.config().clone();
    other.network = NetworkId("ae_uat".to_owned());
    assert!(matches!(Chain::restore(other, &chain.snapshot()), Err(RestoreError::OtherChain { .. })));
}

#[test]
fn old_blocks_and_states_are_forgotten_but_not_the_transactions_of_a_living_channel() {
    let mut chain = lively(|config| (config.kept_blocks, config.kept_states) = (6, 3));
    let id = create(1).channel_id();
    let create_hash = signed(create(1), &[1, 2]).hash();
    let spend_hash = signed(spend(2, 9, 5, 1), &[2]).hash();
    assert_eq!(chain.key_block_at(Height(1)), None);
    assert_eq!(chain.locate_tx(&spend_hash), TxLocation::Unknown);
    assert!(matches!(chain.locate_tx(&create_hash), TxLocation::InBlock { height: Height(1), .. }));
    assert_eq!(chain.txs_of_channel(id).len(), 2);
    let kept = |chain: &Chain| {
        let heights = (0..=chain.top_height().0).map(Height);
        let blocks: Vec<BlockHash> =
            heights.flat_map(|height| chain.generation(height)).map(Block::hash).collect();
        let states = blocks.iter().filter(|hash| chain.state_at(hash).is_some()).count();
        (blocks.len(), states)
    };
    // The oldest of the six is a micro block, whose generation began before. A fork may begin on any of the key blocks, so
    // their states are kept beside the last three.
    assert_eq!(kept(&chain), (5, 4));
    same(&chain, &Chain::restore(chain.config().clone(), &chain.snapshot()).unwrap());

    chain.submit(signed(close_mutual(id, 1, (0, 0), 3), &[1, 2])).unwrap();
    assert_eq!(chain.mine_micro_block(0), None, "the channel cannot pay the fee yet");
    chain.submit(signed(deposit(id, 1, RICH.0 / 2, 3, 3), &[1, 2])).unwrap();
    chain.mine_micro_block(0).unwrap();
    chain.submit(signed(close_mutual(id, 1, (0, 0), 4), &[1, 2])).unwrap();
    chain.mine_micro_block(0).unwrap();
    assert_eq!(chain.channel(id), None);
    assert_eq!(chain.txs_of_channel(id).len(), 4);
    for _ in 0..6 {
        chain.mine_key_block(0);
    }
    assert_eq!(chain.txs_of_channel(id), []);
    assert_eq!(chain.locate_tx(&create_hash), TxLocation::Unknown);
}

#[test]
fn news_are_what_came_after_a_block() {
    let mut chain = chain();
    let id = create(1).channel_id();
    let first = chain.top().hash();
    assert_eq!(chain.news_since(id, &first).object, None);
    chain.submit(signed(create(1), &[1, 2])).unwrap();
    chain.submit(signed(spend(3, 9, 1, 1), &[3])).unwrap();
    let opened = chain.mine_micro_block(0).unwrap();
    chain.submit(signed(deposit(id, 1, 1_000, 2, 2), &[1, 2])).unwrap();
    let deposited = chain.mine_micro_block(0).unwrap();
    chain.mine_key_block(0);

    let kinds = |since: &BlockHash| {
        let news = chain.news_since(id, since);
        assert_eq!((news.top, news.tip), (Height(2), chain.top().hash()));
        assert_eq!(news.object, chain.channel(id));
        news.txs.iter().map(|mined| (mined.tx.kind().event_name(), mined.height)).collect::<Vec<_>>()
    };
    let both = [("channel_create_tx", Height(1)), ("channel_deposit_tx", Height(1))];
    assert_eq!(kinds(&first), both);
    assert_eq!(kinds(&opened.hash()), both[1..]);
    assert_eq!(kinds(&deposited.hash()), []);
    assert_eq!(kinds(&chain.top().hash()), []);
    assert_eq!(kinds(&BlockHash::new([9; 32])), both, "an unknown block: everything");
}

#[test]
fn blocks_are_found_by_hash_and_height() {
    let chain = lively(|_| {});
    assert_eq!(chain.generation(Height(1)).count(), 2);
    assert_eq!(chain.generation(chain.top_height().next()).count(), 0);
    let mut prev: Option<&Block> = None;
    for block in (0..=chain.top_height().0).flat_map(|height| chain.generation(Height(height))) {
        assert_eq!(chain.locate_block(&block.hash()), BlockLocation::Main(block.header.height));
        if let Some(prev) = prev {
            assert_eq!(block.header.prev_hash, prev.hash());
            assert_eq!(block.header.prev_key_hash, prev.header.key_hash());
            assert!(block.header.time_ms > prev.header.time_ms);
        }
        assert_eq!(Some(block.header.key_hash()), chain.key_block_at(block.header.height));
        prev = Some(block);
    }
    assert_eq!(chain.locate_block(&BlockHash::UNPINNED), BlockLocation::Unknown);
}

#[test]
fn every_block_has_a_hash_of_its_own() {
    let chain = lively(|_| {});
    let all = (0..=chain.top_height().0).flat_map(|height| chain.generation(Height(height)));
    let hashes: Vec<_> = all.map(Block::hash).collect();
    assert_eq!(hashes.iter().collect::<BTreeSet<_>>().len(), hashes.len());
}

#[test]
fn block_zero_holds_no_transactions() {
    let config = ChainConfig::new(network(), [(account(1), Coins(RICH.0))].into());
    let mut chain = Chain::new(config);
    chain.submit(signed(spend(1, 2, 1, 1), &[1])).unwrap();
    assert_eq!(chain.mine_micro_block(0), None);
    chain.mine_key_block(0);
    assert_eq!(chain.mine_micro_block(0).map(|block| block.txs.len()), Some(1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_damaged_snapshot_is_refused_or_harmless(at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let chain = lively(|config| (config.kept_blocks, config.kept_states) = (6, 3));
        let mut bytes = chain.snapshot();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(restored) = Chain::restore(chain.config().clone(), &bytes) {
            prop_assert_eq!(restored.top(), chain.top());
        }
    }
}
