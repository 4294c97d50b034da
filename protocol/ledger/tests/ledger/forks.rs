//! Going over to another branch, and what a reader of a channel is told of it.

use std::collections::BTreeSet;

use proptest::prelude::*;
use strait_encoding::{BlockHash, ChannelId, Height, TxHash};
use strait_ledger::{
    Abandoned, Block, BlockLocation, Branch, BranchOrder, Chain, ChainView, ChannelNews, FORK_DEPTH,
    ForkError, ForkPlan, SignedTx, Since, TxLocation,
};

use crate::support::{
    RICH, account, chain, chain_with, close_solo, create, deposit, settle, signed, slash, spend,
};

fn submit(chain: &mut Chain, tx: &SignedTx) -> TxHash {
    chain.submit(tx.clone()).unwrap()
}

/// Mines these in a micro block each, and a key block on top of each.
fn mine(chain: &mut Chain, txs: &[SignedTx]) {
    for tx in txs {
        submit(chain, tx);
        chain.mine_micro_block(0).unwrap();
        chain.mine_key_block(0);
    }
}

fn hashes<'a>(txs: impl IntoIterator<Item = &'a strait_ledger::MinedTx>) -> Vec<TxHash> {
    txs.into_iter().map(|mined| mined.hash).collect()
}

fn is_mined(chain: &Chain, hash: &TxHash) -> bool {
    matches!(chain.locate_tx(hash), TxLocation::InBlock { .. })
}

/// A channel opened at height 1, two deposits, a solo close and a slash, each in a generation of its own.
fn disputed() -> (Chain, ChannelId, Vec<SignedTx>) {
    let mut chain = chain();
    let id = create(1).channel_id();
    let mut opened = create(1);
    opened.lock_period = 300;
    assert_eq!(opened.channel_id(), id);
    let txs = vec![
        signed(opened, &[1, 2]),
        signed(deposit(id, 1, 1_000, 2, 2), &[1, 2]),
        signed(deposit(id, 2, 1_000, 3, 1), &[1, 2]),
        signed(spend(3, 9, 5, 1), &[3]),
        signed(slash(id, 2, 9, 2), &[2]),
    ];
    mine(&mut chain, &txs[..4]);
    (chain, id, txs)
}

/// What a reader knows of a channel, who hears the news and nothing else.
#[derive(Default)]
struct Reader {
    tip: Option<BlockHash>,
    seen: Vec<TxHash>,
}

impl Reader {
    fn hear(&mut self, chain: &Chain, id: ChannelId) -> ChannelNews {
        let since = self.tip.unwrap_or(chain.genesis().into());
        let news = chain.news_since(id, &since);
        for reverted in &news.reverted {
            assert_eq!(self.seen.pop(), Some(reverted.hash), "what is undone is undone in the reverse order");
        }
        self.seen.extend(hashes(&news.txs));
        self.tip = Some(news.tip);
        news
    }

    fn check(&self, chain: &Chain, id: ChannelId) {
        let expected: Vec<_> = chain.txs_of_channel(id).into_iter().map(|(hash, _)| hash).collect();
        assert_eq!(self.seen, expected);
    }
}

#[test]
fn a_fork_that_mines_everything_again_changes_the_blocks_alone() {
    for order in [BranchOrder::AsBefore, BranchOrder::Last] {
        let (mut chain, id, txs) = disputed();
        let (top, object) = (chain.top().clone(), chain.channel(id));
        let news_of = |chain: &Chain| chain.news_since(id, &top.hash());
        let branch = chain.fork(&ForkPlan { order, ..ForkPlan::new(3) }, 0).unwrap();
        assert_eq!(chain.top_height(), top.header.height.next());
        assert_eq!(branch.blocks.iter().filter(|block| block.header.is_key()).count(), 4);
        assert_eq!(chain.channel(id), object);
        for tx in &txs[..4] {
            assert!(is_mined(&chain, &tx.hash()));
        }
        let news = news_of(&chain);
        assert_eq!(news.since, Since::Abandoned);
        assert_eq!(hashes(&news.reverted), [txs[2].hash(), txs[1].hash()]);
        assert_eq!(hashes(&news.txs), [txs[1].hash(), txs[2].hash()]);
        let heights: Vec<_> = news.txs.iter().map(|mined| mined.height.0).collect();
        assert_eq!(heights, if order == BranchOrder::Last { [6, 6] } else { [2, 3] });
        assert!(!chain.has_pending());
    }
}

#[test]
fn what_is_lost_is_gone_and_what_needs_it_waits() {
    let (mut chain, id, txs) = disputed();
    let old_tip = chain.top().hash();
    let mut plan = ForkPlan::new(4);
    plan.chosen.insert(txs[1].hash(), Abandoned::Lost);
    plan.chosen.insert(txs[3].hash(), Abandoned::Waits);
    let branch = chain.fork(&plan, 0).unwrap();
    assert_eq!(branch.lost, [txs[1].hash()]);
    assert_eq!(chain.locate_tx(&txs[1].hash()), TxLocation::Gone);
    assert_eq!(chain.locate_tx(&txs[3].hash()), TxLocation::Pool);
    assert!(is_mined(&chain, &txs[2].hash()), "the other party's deposit does not need the lost one");
    let news = chain.news_since(id, &old_tip);
    assert_eq!(hashes(&news.reverted), [txs[2].hash(), txs[1].hash(), txs[0].hash()]);
    assert_eq!(hashes(&news.txs), [txs[0].hash(), txs[2].hash()]);
    assert_eq!(news.object.as_ref().map(|object| object.channel_amount.0), Some(1_150));
    assert_eq!(news.object, chain.channel(id));
    chain.mine_micro_block(0).unwrap();
    assert!(is_mined(&chain, &txs[3].hash()));

    // Without its create transaction nothing of a channel can be mined; it waits.
    let mut plan = ForkPlan::new(5);
    plan.chosen.insert(txs[0].hash(), Abandoned::Lost);
    let old_tip = chain.top().hash();
    chain.fork(&plan, 0).unwrap();
    let news = chain.news_since(id, &old_tip);
    assert_eq!((news.object, news.txs.len(), news.reverted.len()), (None, 0, 2));
    assert_eq!(chain.locate_tx(&txs[2].hash()), TxLocation::Pool);
}

#[test]
fn everything_can_go_back_to_the_pool_and_be_mined_later() {
    let (mut chain, id, txs) = disputed();
    chain.fork(&ForkPlan::emptied(4), 0).unwrap();
    assert_eq!(chain.pending().count(), 4);
    assert_eq!(chain.channel(id), None);
    assert_eq!(chain.account(account(1)).unwrap().balance, RICH);
    assert_eq!(chain.fees_collected().0, 0);
    assert_eq!(chain.next_nonce(account(1)).0, 3, "the pool holds two of its nonces");
    while chain.mine_micro_block(0).is_some() {}
    for tx in &txs[..4] {
        assert!(is_mined(&chain, &tx.hash()));
    }
}

#[test]
fn reversed_order_still_respects_what_needs_what() {
    let (mut chain, id, txs) = disputed();
    let branch = chain.fork(&ForkPlan { order: BranchOrder::Reversed, ..ForkPlan::new(4) }, 0).unwrap();
    let order: Vec<_> = branch.blocks.iter().flat_map(|block| &block.txs).map(SignedTx::hash).collect();
    // First what needs nothing, the last one first; the create transaction; then what had to wait for it, reversed.
    assert_eq!(order, [3, 0, 2].map(|place| txs[place].hash()).to_vec());
    // The second deposit came first: then the round of the other one is too old, it waits to be dropped.
    assert_eq!(chain.channel(id).unwrap().round.0, 3);
    assert_eq!(chain.locate_tx(&txs[1].hash()), TxLocation::Pool);
    assert_eq!(chain.mine_micro_block(0), None);
    assert_eq!(chain.locate_tx(&txs[1].hash()), TxLocation::Gone);
}

#[test]
fn lock_periods_follow_the_heights_of_the_branch() {
    let (mut chain, id, _) = disputed();
    mine(&mut chain, &[signed(close_solo_of_last(id), &[1])]);
    let before = chain.channel(id).unwrap();
    assert_eq!(before.locked_until, Height(5 + 300));
    let plan = ForkPlan { order: BranchOrder::Last, ..ForkPlan::new(2) };
    chain.fork(&plan, 0).unwrap();
    assert_eq!(chain.channel(id).unwrap().locked_until, Height(7 + 300));
}

fn close_solo_of_last(id: ChannelId) -> strait_ledger::CloseSoloTx {
    let newer = slash(id, 2, 9, 2);
    strait_ledger::CloseSoloTx { payload: newer.payload, poi: newer.poi, ..close_solo(id, 1, 3) }
}

#[test]
fn a_settle_that_was_mined_waits_again_when_the_branch_is_too_low_for_it() {
    let mut chain = chain();
    let id = create(1).channel_id();
    mine(&mut chain, &[signed(create(1), &[1, 2]), signed(close_solo(id, 1, 2), &[1])]);
    while chain.top_height() < Height(7) {
        chain.mine_key_block(0);
    }
    let settle = signed(settle(id, 1, (100, 50), 3), &[1]);
    mine(&mut chain, std::slice::from_ref(&settle));
    assert_eq!(chain.channel(id), None);
    let plan = ForkPlan { order: BranchOrder::Last, ..ForkPlan::new(7) };
    chain.fork(&plan, 0).unwrap();
    // All in the last generation, 9: the lock then ends at 14.
    assert_eq!(chain.channel(id).unwrap().locked_until, Height(14));
    assert_eq!(chain.locate_tx(&settle.hash()), TxLocation::Pool);
    while !is_mined(&chain, &settle.hash()) {
        chain.mine_key_block(0);
        chain.mine_micro_block(0);
    }
    assert_eq!(chain.top_height(), Height(14));
}

#[test]
fn a_shorter_or_equal_branch_does_not_win() {
    let (base, ..) = disputed();
    let mut other = base.clone();
    let branch = other.fork(&ForkPlan::new(2), 0).unwrap();
    let mut longer = base.clone();
    longer.mine_key_block(0);
    let before = longer.snapshot();
    let refused = longer.switch(&branch).unwrap_err();
    assert_eq!(refused, ForkError::NotLonger { found: Height(6), top: Height(6) });
    assert_eq!(longer.snapshot(), before);
    let mut same = base.clone();
    same.switch(&branch).unwrap();
    assert_eq!(same.snapshot(), other.snapshot());
    assert!(matches!(same.switch(&branch), Err(ForkError::NotLonger { .. })));
}

#[test]
fn a_branch_that_is_not_sound_changes_nothing() {
    let (base, _, txs) = disputed();
    let branch = base.clone().fork(&ForkPlan::new(3), 0).unwrap();
    let mut chain = base.clone();
    let before = chain.snapshot();
    let empty = Branch { blocks: Vec::new(), lost: Vec::new() };
    assert_eq!(chain.switch(&empty), Err(ForkError::Empty));
    let mut headless = branch.clone();
    headless.blocks.remove(0);
    assert!(matches!(chain.switch(&headless), Err(ForkError::UnknownAncestor(_))));
    let mut gap = branch.clone();
    gap.blocks.remove(1);
    assert!(matches!(chain.switch(&gap), Err(ForkError::Block(_))));
    let mut forged = branch.clone();
    let block = forged.blocks.iter_mut().find(|block| !block.txs.is_empty()).unwrap();
    block.txs = vec![signed(txs[1].tx().clone(), &[1, 3])];
    assert!(matches!(chain.switch(&forged), Err(ForkError::Block(_))));
    assert_eq!(chain.snapshot(), before);
    assert_eq!(Branch::decode(&branch.encode()).unwrap(), branch);
}

#[test]
fn a_branch_may_begin_a_hundred_key_blocks_below_the_top_and_no_deeper() {
    let (mut chain, id, txs) = disputed();
    // Many micro blocks: the states of old ones are not kept, those of key blocks are.
    let mut nonce = 0;
    while chain.top_height().0 < FORK_DEPTH + 1 {
        for _ in 0..4 {
            nonce += 1;
            submit(&mut chain, &signed(spend(4, 9, 1, nonce), &[4]));
            chain.mine_micro_block(0).unwrap();
        }
        chain.mine_key_block(0);
    }
    let old_tip = chain.top().hash();
    let depth = FORK_DEPTH + 1;
    let refused = chain.fork(&ForkPlan::new(depth), 0).unwrap_err();
    assert_eq!(refused, ForkError::TooDeep { depth, most: FORK_DEPTH });
    let refused = chain.clone().fork(&ForkPlan::new(1_000), 0).unwrap_err();
    assert_eq!(refused, ForkError::TooDeep { depth: 1_000, most: FORK_DEPTH });
    chain.fork(&ForkPlan::new(FORK_DEPTH), 0).unwrap();
    assert_eq!(chain.top_height().0, FORK_DEPTH + 2);
    let news = chain.news_since(id, &old_tip);
    assert_eq!((news.since, news.reverted.len(), news.txs.len()), (Since::Abandoned, 3, 3));
    assert_eq!(chain.txs_of_channel(id).len(), 3);
    assert!(is_mined(&chain, &txs[0].hash()));
    assert_eq!(chain.account(account(4)).unwrap().nonce.0, nonce);
}

#[test]
fn abandoned_blocks_are_known_for_as_long_as_a_reader_may_be_behind() {
    let (mut chain, id, _) = disputed();
    let old_tip = chain.top().clone();
    chain.fork(&ForkPlan::emptied(4), 0).unwrap();
    let location = BlockLocation::Fork(old_tip.header.height);
    assert_eq!(chain.locate_block(&old_tip.hash()), location);
    assert_eq!(chain.block(&old_tip.hash()), Some(&old_tip));
    while chain.top_height().0 < old_tip.header.height.0 + FORK_DEPTH {
        chain.mine_key_block(0);
    }
    assert_eq!(chain.news_since(id, &old_tip.hash()).reverted.len(), 3);
    while chain.top_height().0 < old_tip.header.height.0 + 3 * FORK_DEPTH {
        chain.mine_key_block(0);
    }
    assert_eq!(chain.news_since(id, &old_tip.hash()).since, Since::Unknown);
    assert_eq!(chain.touched_since(&old_tip.hash()), None);
    assert_eq!(chain.block(&old_tip.hash()), None);
}

#[test]
fn news_between_two_blocks_run_either_way() {
    let (mut chain, id, txs) = disputed();
    let (old_tip, old_object) = (chain.top().hash(), chain.channel(id));
    let mut plan = ForkPlan::new(3);
    plan.chosen.insert(txs[2].hash(), Abandoned::Lost);
    chain.fork(&plan, 0).unwrap();
    let new_tip = chain.top().hash();
    let there = chain.news_between(id, &old_tip, &new_tip).unwrap();
    let back = chain.news_between(id, &new_tip, &old_tip).unwrap();
    let reversed = |mut all: Vec<TxHash>| {
        all.reverse();
        all
    };
    assert_eq!(hashes(&back.txs), reversed(hashes(&there.reverted)));
    assert_eq!(hashes(&back.reverted), reversed(hashes(&there.txs)));
    assert_eq!((back.object, back.tip, back.top), (old_object, old_tip, Height(5)));
    assert_eq!((back.since, there.since), (Since::Main, Since::Abandoned));
    let nothing = chain.news_between(id, &old_tip, &old_tip).unwrap();
    assert!(nothing.txs.is_empty() && nothing.reverted.is_empty());
    assert_eq!(chain.news_between(id, &BlockHash::new([9; 32]), &new_tip), None);
}

#[test]
fn what_a_fork_left_behind_survives_a_restart() {
    let (mut chain, id, _) = disputed();
    let old_tip = chain.top().hash();
    chain.fork(&ForkPlan::emptied(3), 0).unwrap();
    chain.mine_micro_block(0).unwrap();
    let second = chain.top().hash();
    chain.fork(&ForkPlan::new(5), 0).unwrap();
    let restored = Chain::restore(chain.config().clone(), &chain.snapshot()).unwrap();
    assert_eq!(restored.snapshot(), chain.snapshot());
    for tip in [old_tip, second, chain.top().hash()] {
        assert_eq!(restored.news_since(id, &tip), chain.news_since(id, &tip));
        assert_eq!(restored.touched_since(&tip), chain.touched_since(&tip));
        assert_eq!(restored.news_between(id, &chain.top().hash(), &tip).unwrap().object, {
            chain.news_between(id, &chain.top().hash(), &tip).unwrap().object
        });
    }
}

#[test]
fn touched_channels_are_those_of_both_branches() {
    let (mut chain, id, txs) = disputed();
    let old_tip = chain.top().hash();
    assert_eq!(chain.touched_since(&old_tip), Some(BTreeSet::new()));
    let mut other = create(1);
    (other.initiator_id, other.responder_id) = (account(3), account(4));
    other.nonce = strait_encoding::Nonce(2);
    mine(&mut chain, &[signed(other.clone(), &[3, 4])]);
    let other = other.channel_id();
    assert_eq!(chain.touched_since(&old_tip), Some([other].into()));
    let mut plan = ForkPlan::new(5);
    plan.chosen.insert(signed_hash(&chain, other), Abandoned::Waits);
    plan.chosen.insert(txs[0].hash(), Abandoned::Waits);
    let tip = chain.top().hash();
    chain.fork(&plan, 0).unwrap();
    assert_eq!(chain.touched_since(&tip), Some([id, other].into()));
    assert_eq!(chain.touched_since(&old_tip), Some([id].into()), "it has not seen the other channel");
    assert_eq!(chain.touched_since(&BlockHash::new([9; 32])), None);
}

fn signed_hash(chain: &Chain, id: ChannelId) -> TxHash {
    chain.txs_of_channel(id)[0].0
}

#[test]
fn a_fork_of_depth_zero_replaces_the_last_micro_blocks() {
    let (mut chain, id, _) = disputed();
    let last = submit(&mut chain, &signed(deposit(id, 1, 5, 4, 3), &[1, 2]));
    chain.mine_micro_block(0).unwrap();
    let tip = chain.top().hash();
    chain.fork(&ForkPlan::emptied(0), 0).unwrap();
    assert_eq!(chain.top_height(), Height(6));
    assert_eq!(chain.locate_tx(&last), TxLocation::Pool);
    assert_eq!(hashes(&chain.news_since(id, &tip).reverted), [last]);
}

#[test]
fn a_chain_goes_over_and_back_again_from_a_micro_block_on() {
    let (mut chain, id, _) = disputed();
    submit(&mut chain, &signed(deposit(id, 1, 5, 4, 3), &[1, 2]));
    let fork_point = chain.mine_micro_block(0).unwrap();
    let mut other = chain.clone();
    let mut first = vec![chain.mine_key_block(100_000), chain.mine_key_block(101_000)];
    let mut longer = chain.clone();
    submit(&mut other, &signed(deposit(id, 2, 7, 5, 2), &[1, 2]));
    let mut second = vec![other.mine_key_block(200_000), other.mine_micro_block(0).unwrap()];
    second.extend([other.mine_key_block(0), other.mine_key_block(0)]);
    assert_eq!(second[0].header.prev_hash, fork_point.hash());

    let branch = |blocks: &[Block]| Branch { blocks: blocks.to_vec(), lost: Vec::new() };
    chain.switch(&branch(&second)).unwrap();
    assert_eq!(chain.top(), other.top());
    assert_eq!(chain.channel(id).unwrap().round.0, 5);
    // Back to the first one, which has grown: its blocks are on the main chain again.
    let lost_tip = chain.top().hash();
    first.extend([longer.mine_key_block(0), longer.mine_key_block(0)]);
    chain.switch(&branch(&first)).unwrap();
    assert_eq!(chain.top(), longer.top());
    for (blocks, is_main) in [(&first, true), (&second, false)] {
        for block in blocks {
            let height = block.header.height;
            let expected = if is_main { BlockLocation::Main(height) } else { BlockLocation::Fork(height) };
            assert_eq!(chain.locate_block(&block.hash()), expected);
        }
    }
    let news = chain.news_since(id, &lost_tip);
    assert_eq!((news.reverted.len(), news.txs.len()), (1, 0));
    assert_eq!(chain.locate_tx(&news.reverted[0].hash), TxLocation::Pool);
    let restored = Chain::restore(chain.config().clone(), &chain.snapshot()).unwrap();
    assert_eq!(restored.snapshot(), chain.snapshot());
    assert_eq!(restored.news_since(id, &lost_tip), news);
}

#[test]
fn a_fork_at_the_first_block_works() {
    let mut chain = chain_with(|_| {});
    chain.fork(&ForkPlan::new(1), 0).unwrap();
    assert_eq!(chain.top_height(), Height(2));
    let refused = chain.fork(&ForkPlan::new(3), 0).unwrap_err();
    assert_eq!(refused, ForkError::TooDeep { depth: 3, most: 2 });
}

fn plans() -> impl Strategy<Value = Vec<(u64, u8, u8, u8)>> {
    prop::collection::vec((0..7u64, 0..3u8, 0..3u8, any::<u8>()), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever forks come, a reader who hears the news knows what is on chain; and a chain that is told of the branches,
    /// or is restored, is the same chain.
    #[test]
    fn readers_copies_and_restored_chains_agree(plans in plans()) {
        let (mut chain, id, txs) = disputed();
        let mut copy = chain.clone();
        let (mut diligent, mut late) = (Reader::default(), Reader::default());
        late.hear(&chain, id);
        for (depth, others, order, lost) in plans {
            diligent.hear(&chain, id);
            diligent.check(&chain, id);
            let fates = [Abandoned::Mined, Abandoned::Waits, Abandoned::Lost];
            let orders = [BranchOrder::AsBefore, BranchOrder::Reversed, BranchOrder::Last];
            let mut plan = ForkPlan { order: orders[usize::from(order)], ..ForkPlan::new(depth) };
            // Losing the create transaction is tested above; here something should go on.
            plan.others = fates[usize::from(others % 2)];
            plan.chosen.insert(txs[1 + usize::from(lost % 3)].hash(), fates[usize::from(others)]);
            match chain.fork(&plan, 0) {
                Ok(branch) => copy.switch(&branch).unwrap(),
                Err(error) => prop_assert!(matches!(error, ForkError::TooDeep { .. }), "{}", error),
            }
            for chain in [&mut chain, &mut copy] {
                chain.mine_micro_block(0);
                chain.mine_key_block(0);
            }
            prop_assert_eq!(chain.snapshot(), copy.snapshot());
            let restored = Chain::restore(chain.config().clone(), &chain.snapshot()).unwrap();
            prop_assert_eq!(restored.snapshot(), chain.snapshot());
            let object = chain.channel(id);
            prop_assert_eq!(diligent.hear(&restored, id).object, object);
            diligent.check(&chain, id);
        }
        late.hear(&chain, id);
        late.check(&chain, id);
    }
}
