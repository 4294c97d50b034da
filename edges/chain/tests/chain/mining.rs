//! Blocks on demand and by the clock.

use std::future::pending;
use std::time::Duration;

use strait_chain::{DevChain, DevChainConfig, SubmitError};
use strait_encoding::Height;
use strait_ledger::{BlockKind, ChainView};

use crate::support::{
    account, close_solo, config, create, key, mined_at, network, open, settle, signed, spend, until_mined,
};

#[tokio::test]
async fn a_new_chain_has_left_genesis_and_pays_the_prefunded() {
    let dir = tempfile::tempdir().unwrap();
    let chain = open(dir.path()).view();
    assert_eq!(chain.top_height(), Height(1));
    assert_eq!(chain.network(), &network());
    assert_eq!(chain.account(account(0)).unwrap().balance.0, 10_u128.pow(22));
    assert_eq!(chain.account(account(19)).unwrap().balance.0, 10_u128.pow(21));
}

#[tokio::test]
async fn a_transaction_is_mined_at_once_without_a_key_block() {
    let dir = tempfile::tempdir().unwrap();
    let chain = open(dir.path());
    let mining = tokio::spawn(chain.clone().run(pending()));
    let mut tops = chain.tops();
    for nonce in 1..=3 {
        tops.mark_unchanged();
        let tx = spend(1, nonce);
        assert_eq!(chain.submit(tx.clone()).await.unwrap(), tx.hash());
        assert_eq!(until_mined(&chain, &tx).await, Height(1));
        assert!(tops.has_changed().unwrap());
        let top = *tops.borrow_and_update();
        assert_eq!(chain.view().block(&top).unwrap().txs, [tx]);
    }
    mining.abort();
}

#[tokio::test]
async fn without_mining_a_transaction_waits_until_it_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let chain = open(dir.path());
    let (first, second) = (spend(1, 1), spend(1, 2));
    chain.submit(first.clone()).await.unwrap();
    chain.submit(second.clone()).await.unwrap();
    assert_eq!(chain.view().pending().count(), 2);
    chain.mine(2).await.unwrap();
    let view = chain.view();
    assert_eq!(mined_at(&view, &first), Some(Height(1)));
    // They came together, so they share a block.
    assert_eq!(view.locate_tx(&first.hash()), view.locate_tx(&second.hash()));
    assert_eq!(view.top_height(), Height(3));
}

#[tokio::test]
async fn what_waited_before_mining_began_is_mined() {
    let dir = tempfile::tempdir().unwrap();
    let chain = open(dir.path());
    let tx = spend(1, 1);
    chain.submit(tx.clone()).await.unwrap();
    let mining = tokio::spawn(chain.clone().run(pending()));
    assert_eq!(until_mined(&chain, &tx).await, Height(1));
    mining.abort();
}

#[tokio::test]
async fn more_than_a_block_can_hold_takes_several_blocks_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    // A spend counts about 17,000.
    config.ledger.block_gas_limit = 40_000;
    let chain = DevChain::open(config).unwrap();
    for nonce in 1..=5 {
        chain.submit(spend(1, nonce)).await.unwrap();
    }
    chain.mine(0).await.unwrap();
    let view = chain.view();
    assert!(!view.has_pending());
    let blocks: Vec<_> = view.generation(Height(1)).map(|block| block.txs.len()).collect();
    assert_eq!(blocks.iter().sum::<usize>(), 5);
    assert_eq!((blocks[0], blocks.iter().max()), (0, Some(&2)));
}

#[tokio::test]
async fn key_blocks_come_at_the_interval_and_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let interval = Duration::from_millis(3);
    let chain =
        DevChain::open(DevChainConfig { key_block_interval: interval, ..config(dir.path()) }).unwrap();
    let begun = std::time::Instant::now();
    let mining = tokio::spawn(chain.clone().run(pending()));
    let mut tops = chain.tops();
    tops.wait_for(|_| chain.view().top_height() >= Height(6)).await.unwrap();
    assert!(begun.elapsed() >= 5 * interval, "{:?}", begun.elapsed());
    mining.abort();
    let view = chain.view();
    for height in 1..=6 {
        let block = view.generation(Height(height)).next().unwrap();
        let before = view.block(&block.header.prev_hash).unwrap();
        assert!(block.header.time_ms > before.header.time_ms);
        assert!(matches!(block.header.kind, BlockKind::Key { .. }));
        // 2020-09-13: block time is the wall clock's.
        assert!(block.header.time_ms > 1_600_000_000_000);
    }
}

#[tokio::test]
async fn key_blocks_come_faster_while_a_depth_is_awaited() {
    let dir = tempfile::tempdir().unwrap();
    let config = DevChainConfig { awaited_interval: Duration::from_millis(1), ..config(dir.path()) };
    let chain = DevChain::open(config).unwrap();
    let mining = tokio::spawn(chain.clone().run(pending()));
    let mut tops = chain.tops();
    for goal in [4, 8] {
        // The interval is a day: it is this that they come for.
        let wait = chain.await_depth();
        tops.wait_for(|_| chain.view().top_height() >= Height(goal)).await.unwrap();
        drop(wait);
    }
    mining.abort();
}

#[tokio::test]
async fn a_settlement_waits_for_the_end_of_the_lock_period() {
    let dir = tempfile::tempdir().unwrap();
    let config = DevChainConfig { awaited_interval: Duration::from_millis(1), ..config(dir.path()) };
    let chain = DevChain::open(config).unwrap();
    let mining = tokio::spawn(chain.clone().run(pending()));
    // More key blocks than a transaction may fail in.
    let channel = create(30, 1);
    chain.submit(signed(channel.clone(), &[1, 2])).await.unwrap();
    let close = close_solo(&channel, 2);
    chain.submit(close.clone()).await.unwrap();
    assert_eq!(until_mined(&chain, &close).await, Height(1));
    let locked_until = chain.view().channel(channel.channel_id()).unwrap().locked_until;
    assert_eq!(locked_until, Height(31));

    let settle = settle(&channel, 3);
    chain.submit(settle.clone()).await.unwrap();
    assert_eq!(until_mined(&chain, &settle).await, locked_until);
    assert_eq!(chain.view().channel(channel.channel_id()), None);
    mining.abort();
}

#[tokio::test]
async fn key_blocks_alone_do_not_wear_out_what_waits_for_another_transaction() {
    let dir = tempfile::tempdir().unwrap();
    let chain = open(dir.path());
    let early = spend(1, 2);
    chain.submit(early.clone()).await.unwrap();
    // It would be dropped after 30 attempts.
    chain.mine(100).await.unwrap();
    assert_eq!(chain.view().pending().count(), 1);
    let first = spend(1, 1);
    chain.submit(first.clone()).await.unwrap();
    chain.mine(0).await.unwrap();
    let view = chain.view();
    assert_eq!(view.locate_tx(&early.hash()), view.locate_tx(&first.hash()));
    assert_eq!(mined_at(&view, &early), Some(Height(101)));
}

#[tokio::test]
async fn what_the_pool_refuses_is_refused_with_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let chain = open(dir.path());
    let too_high = chain.submit(spend(1, 6)).await.unwrap_err();
    let SubmitError::Refused(why) = too_high else { panic!("{too_high}") };
    assert_eq!(why.atom(), "nonce_too_high");
    chain.submit(spend(1, 5)).await.unwrap();
    let twice = chain.submit(spend(1, 5)).await.unwrap_err();
    assert!(matches!(twice, SubmitError::Refused(why) if why.atom() == "already_known"));
}

#[tokio::test]
async fn many_at_once_share_blocks_and_none_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let chain = open(dir.path());
    let mining = tokio::spawn(chain.clone().run(pending()));
    let senders: Vec<_> = (1..=18)
        .map(|sender| {
            let chain = chain.clone();
            tokio::spawn(async move {
                for nonce in 1..=3 {
                    chain.submit(spend(sender, nonce)).await.unwrap();
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.unwrap();
    }
    let view = chain.view();
    assert!(!view.has_pending());
    assert_eq!(view.account(key(19).account()).unwrap().balance.0, 10_u128.pow(21) + 54);
    assert_eq!(view.top_height(), Height(1));
    mining.abort();
}
