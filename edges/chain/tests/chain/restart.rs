//! What is there when a chain is opened again.

use strait_chain::{ChainError, DevChain, DevChainConfig, Unavailable};
use strait_encoding::{Coins, Height, NetworkId};
use strait_ledger::{ChainView, Protocol, TxLocation};

use crate::support::{account, close_solo, config, create, open, signed, spend, summary};

#[tokio::test]
async fn a_restart_resumes_at_the_same_tip_with_the_same_pool() {
    let dir = tempfile::tempdir().unwrap();
    for (round, closed) in [true, false, true, false].into_iter().enumerate() {
        let chain = open(dir.path());
        let (height, nonce) = {
            let view = chain.view();
            (view.top_height().0, view.account(account(1)).unwrap().nonce.0)
        };
        for nonce in nonce + 1..=nonce + 3 {
            chain.submit(spend(1, nonce)).await.unwrap();
            chain.mine(2).await.unwrap();
        }
        // These wait for a transaction that does not come.
        chain.submit(spend(5 + round, 2)).await.unwrap();
        let before = chain.view();
        assert_eq!((before.top_height().0, before.pending().count()), (height + 6, round + 1));
        if closed {
            chain.close().await.unwrap();
        }
        drop(chain);
        let chain = open(dir.path());
        assert_eq!(summary(&chain.view()), summary(&before));
        assert_eq!(chain.view().genesis(), before.genesis());
    }
}

#[tokio::test]
async fn a_waiting_transaction_is_stored_before_it_is_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let chain = open(dir.path());
    // It waits for nonce 1.
    let waiting = spend(3, 2);
    chain.submit(waiting.clone()).await.unwrap();
    drop(chain);
    let chain = open(dir.path());
    assert_eq!(chain.view().locate_tx(&waiting.hash()), TxLocation::Pool);
    chain.submit(spend(3, 1)).await.unwrap();
    chain.mine(0).await.unwrap();
    assert!(matches!(chain.view().locate_tx(&waiting.hash()), TxLocation::InBlock { .. }));
}

#[tokio::test]
async fn channels_and_their_transactions_are_there_again() {
    let dir = tempfile::tempdir().unwrap();
    let chain = open(dir.path());
    let channel = create(5, 1);
    chain.submit(signed(channel.clone(), &[1, 2])).await.unwrap();
    chain.mine(1).await.unwrap();
    chain.submit(close_solo(&channel, 2)).await.unwrap();
    chain.mine(1).await.unwrap();
    let before = chain.view();
    drop(chain);
    let after = open(dir.path()).view();
    assert_eq!(after.channel(channel.channel_id()).unwrap().locked_until, Height(7));
    assert_eq!(after.channel(channel.channel_id()), before.channel(channel.channel_id()));
    assert_eq!(after.txs_of_channel(channel.channel_id()).len(), 2);
    assert_eq!(after.txs_of_channel(channel.channel_id()), before.txs_of_channel(channel.channel_id()));
}

#[tokio::test]
async fn snapshots_and_log_are_one_chain_at_any_length() {
    let dir = tempfile::tempdir().unwrap();
    // Around a snapshot, which comes after 500 blocks.
    for blocks in [498, 1, 1, 1, 700] {
        let chain = open(dir.path());
        let nonce = chain.view().account(account(4)).unwrap().nonce.next().0;
        chain.submit(spend(4, nonce)).await.unwrap();
        chain.mine(blocks).await.unwrap();
        let before = chain.view();
        drop(chain);
        assert_eq!(summary(&open(dir.path()).view()), summary(&before));
    }
}

#[tokio::test]
async fn a_closed_chain_takes_nothing_and_shows_what_it_had() {
    let dir = tempfile::tempdir().unwrap();
    let chain = open(dir.path());
    let mining = tokio::spawn(chain.clone().run(std::future::pending()));
    let other = chain.clone();
    let tx = spend(1, 1);
    chain.submit(tx.clone()).await.unwrap();
    chain.close().await.unwrap();
    assert!(matches!(other.mine(1).await, Err(Unavailable::Closed)));
    assert!(matches!(other.health(), Err(Unavailable::Closed)));
    assert_eq!(other.submit(spend(1, 2)).await.unwrap_err().to_string(), "the chain is closed");
    assert!(matches!(other.close().await, Err(ChainError::Unavailable(Unavailable::Closed))));
    assert_eq!(other.view().top_height(), Height(1));
    mining.abort();
    // The file is free although clones are alive.
    assert!(open(dir.path()).view().tx(&tx.hash()).is_some());
}

/// The message when a chain that was made by `config` is opened with changed settings.
async fn refusal(change: impl FnOnce(&mut DevChainConfig)) -> String {
    let dir = tempfile::tempdir().unwrap();
    let chain = open(dir.path());
    chain.mine(2).await.unwrap();
    chain.close().await.unwrap();
    let tip = chain.view().top().hash();
    let mut changed = config(dir.path());
    change(&mut changed);
    let refused = DevChain::open(changed).err().unwrap();
    assert!(matches!(refused, ChainError::OtherChain { .. }));
    // It was left as it is.
    assert_eq!(open(dir.path()).view().top().hash(), tip);
    refused.to_string().replace(&dir.path().display().to_string(), "DIR")
}

#[tokio::test]
async fn another_beginning_is_refused_and_named() {
    let advice = "Restore that setting, or name another data directory, or delete the file to begin a new chain; \
                  channels that were opened on it are lost then";
    let network = refusal(|config| config.ledger.network = NetworkId("ae_other".to_owned())).await;
    assert_eq!(
        network,
        format!(
            "DIR/chain.db holds another chain: it has network ae_dev, the settings say ae_other. {advice}"
        )
    );
    let protocol = refusal(|config| config.ledger.protocol = Protocol::Iris).await;
    assert!(protocol.contains("it has protocol ceres, the settings say iris. "), "{protocol}");

    let (one, two) = (account(1), account(2));
    let changed = refusal(|config| {
        config.ledger.genesis_accounts.insert(one, Coins(5));
    });
    let expected = format!(
        "it has 1000000000000000000000 aettos for account {one} in its first block, the settings say 5 aettos. "
    );
    let changed = changed.await;
    assert!(changed.contains(&expected), "{changed}");

    let fewer =
        refusal(|config| config.ledger.genesis_accounts.retain(|id, _| *id != one && *id != two)).await;
    assert!(
        fewer.contains("in its first block, the settings say nothing (1 more accounts differ). "),
        "{fewer}"
    );
}

#[tokio::test]
async fn settings_that_change_no_block_may_change() {
    let dir = tempfile::tempdir().unwrap();
    let chain = open(dir.path());
    chain.mine(20).await.unwrap();
    let tip = chain.view().top().hash();
    drop(chain);
    let mut fewer = config(dir.path());
    (fewer.ledger.kept_blocks, fewer.ledger.kept_states, fewer.ledger.pool_limit) = (10, 5, 3);
    let chain = DevChain::open(fewer).unwrap();
    assert_eq!(chain.view().top().hash(), tip);
    assert_eq!(chain.view().key_block_at(Height(1)), None);
}

/// The message when a stored chain is opened after this was done to its file.
async fn damage(sql: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let chain = open(dir.path());
    chain.mine(3).await.unwrap();
    drop(chain);
    let file = rusqlite::Connection::open(dir.path().join("chain.db")).unwrap();
    assert!(file.execute(sql, []).unwrap() > 0);
    drop(file);
    let refused = DevChain::open(config(dir.path())).err().unwrap();
    assert!(matches!(refused, ChainError::Damaged { .. }), "{refused}");
    refused.to_string()
}

#[tokio::test]
async fn a_damaged_file_is_refused_and_named() {
    for (sql, what) in [
        ("UPDATE log SET body = x'00' WHERE id = 2", "row 2 of the log: "),
        (
            "UPDATE log SET kind = 7 WHERE id = 3",
            "row 3 of the log: kind 7, expected 0 (transaction), 1 (block) or 2 (branch)",
        ),
        ("DELETE FROM log WHERE id = 2", "the tip is "),
        ("UPDATE snapshot SET body = x'c0'", "the snapshot is malformed: "),
        ("DELETE FROM snapshot", "it has no snapshot"),
        ("UPDATE origin SET body = '{}'", "what the chain began with: missing field"),
    ] {
        let message = damage(sql).await;
        assert!(message.contains("chain.db is damaged: ") && message.contains(what), "{message}");
        assert!(message.ends_with("Restore a copy of it, or delete it to begin a new chain"), "{message}");
    }
}
