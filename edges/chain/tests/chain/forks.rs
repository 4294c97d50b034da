//! Forks on a chain with a clock and a disk.

use strait_chain::{DevChain, ForkError};
use strait_encoding::Height;
use strait_ledger::{Abandoned, BranchOrder, ChainView, FORK_DEPTH, ForkPlan, SignedTx, Since, TxLocation};

use crate::support::{account, close_solo, create, mined_at, open, signed, spend, summary, until_mined};

async fn mined(chain: &DevChain, tx: SignedTx) -> SignedTx {
    chain.submit(tx.clone()).await.unwrap();
    chain.mine(1).await.unwrap();
    tx
}

#[tokio::test]
async fn a_fork_replaces_blocks_and_readers_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let chain = open(dir.path());
    let channel = create(5, 1);
    let opened = mined(&chain, signed(channel.clone(), &[1, 2])).await;
    let closing = mined(&chain, close_solo(&channel, 2)).await;
    let mut tops = chain.tops();
    tops.mark_unchanged();
    let before = chain.view();
    let plan = ForkPlan { order: BranchOrder::Last, ..ForkPlan::new(2) };
    chain.fork(plan).await.unwrap();
    let after = chain.view();
    assert_eq!(after.top_height(), before.top_height().next());
    assert_eq!(*tops.borrow_and_update(), after.top().hash());
    assert_eq!([mined_at(&after, &opened), mined_at(&after, &closing)], [Some(Height(4)); 2]);
    let id = channel.channel_id();
    let news = after.news_since(id, &before.top().hash());
    assert_eq!((news.since, news.reverted.len(), news.txs.len()), (Since::Abandoned, 2, 2));
    assert_eq!(news.object.map(|object| object.locked_until), Some(Height(9)));
    assert_eq!(before.channel(id).unwrap().locked_until, Height(7), "a reader's copy has changed");
    assert_eq!(after.touched_since(&before.top().hash()), Some([id].into()));

    // Both copies of the chain went over: the next blocks follow.
    mined(&chain, spend(3, 1)).await;
    mined(&chain, spend(3, 2)).await;
    assert_eq!(chain.view().account(account(3)).unwrap().nonce.0, 2);
    let refused = chain.fork(ForkPlan::new(FORK_DEPTH)).await.unwrap_err();
    assert!(matches!(refused, ForkError::Refused(strait_ledger::ForkError::TooDeep { .. })), "{refused}");
}

#[tokio::test]
async fn what_goes_back_to_the_pool_is_mined_at_once_where_the_chain_mines() {
    let dir = tempfile::tempdir().unwrap();
    let chain = open(dir.path());
    let mining = tokio::spawn(chain.clone().run(std::future::pending()));
    let tx = spend(1, 1);
    chain.submit(tx.clone()).await.unwrap();
    let height = until_mined(&chain, &tx).await;
    chain.fork(ForkPlan::emptied(0)).await.unwrap();
    assert_eq!(mined_at(&chain.view(), &tx), Some(height.next()));
    mining.abort();
}

#[tokio::test]
async fn a_restart_after_forks_resumes_on_the_last_branch() {
    let dir = tempfile::tempdir().unwrap();
    let mut tips = Vec::new();
    let channel = create(5, 1);
    let id = channel.channel_id();
    for (round, closed) in [false, true, false, true].into_iter().enumerate() {
        let chain = open(dir.path());
        let nonce = chain.view().account(account(3)).unwrap().nonce.0 + 1;
        if round == 0 {
            mined(&chain, signed(channel.clone(), &[1, 2])).await;
        }
        let kept = mined(&chain, spend(3, nonce)).await;
        let lost = mined(&chain, spend(4 + round, 1)).await;
        tips.push(chain.view().top().hash());
        let mut plan = ForkPlan::new(3);
        plan.chosen.insert(lost.hash(), Abandoned::Lost);
        chain.fork(plan).await.unwrap();
        let before = chain.view();
        assert_eq!(before.locate_tx(&lost.hash()), TxLocation::Gone);
        assert!(mined_at(&before, &kept).is_some());
        if closed {
            chain.close().await.unwrap();
        }
        drop(chain);
        let after = open(dir.path()).view();
        assert_eq!(summary(&after), summary(&before));
        assert_eq!(after.locate_tx(&lost.hash()), TxLocation::Gone);
        for tip in &tips {
            assert_eq!(after.news_since(id, tip), before.news_since(id, tip));
        }
        assert_eq!(after.news_since(id, &tips[0]).since, Since::Abandoned);
    }
}
