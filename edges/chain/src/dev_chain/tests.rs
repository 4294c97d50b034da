//! What happens when the disk refuses.

use std::collections::BTreeMap;

use strait_encoding::NetworkId;
use strait_ledger::ChainView;

use super::*;

fn config(dir: &std::path::Path) -> DevChainConfig {
    let ledger = ChainConfig::new(NetworkId("ae_dev".to_owned()), BTreeMap::new());
    DevChainConfig::new(ledger, dir.to_owned())
}

#[tokio::test]
async fn a_full_disk_stops_the_chain_at_the_last_stored_block() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::open(dir.path(), false).unwrap();
    let chain = DevChain::start(config(dir.path()), disk).unwrap();
    chain.close().await.unwrap();
    drop(chain);

    let mut disk = Disk::open(dir.path(), false).unwrap();
    disk.forbid_growth();
    let chain = DevChain::start(config(dir.path()), disk).unwrap();
    let mut tops = chain.tops();
    tops.mark_unchanged();
    let mining = tokio::spawn(chain.clone().run(std::future::pending()));
    assert!(chain.health().is_ok());
    let refused = chain.mine(64).await.unwrap_err();
    assert!(matches!(refused, Unavailable::Write(_)), "{refused}");
    let expected = "the chain has stopped, its file could not be written: database or disk is full";
    assert_eq!(refused.to_string(), expected);
    assert_eq!(chain.health().unwrap_err().to_string(), expected);
    mining.await.unwrap();

    let tip = chain.view().top().hash();
    assert_eq!(chain.view().top_height().0, 1, "a block is seen that is not stored");
    assert!(!tops.has_changed().unwrap());
    assert_eq!(chain.mine(1).await.unwrap_err().to_string(), expected);
    assert_eq!(chain.close().await.unwrap_err().to_string(), expected);
    assert_eq!(chain.mine(1).await.unwrap_err().to_string(), expected);
    drop(chain);

    let chain = DevChain::open(config(dir.path())).unwrap();
    assert_eq!(chain.view().top().hash(), tip);
    chain.mine(64).await.unwrap();
    assert_eq!(chain.view().top_height().0, 65);
}

#[tokio::test]
async fn a_fork_that_cannot_be_stored_did_not_happen() {
    let dir = tempfile::tempdir().unwrap();
    let chain = DevChain::open(config(dir.path())).unwrap();
    // Without a snapshot at the end: that would leave room where the log was.
    chain.mine(90).await.unwrap();
    drop(chain);

    let mut disk = Disk::open(dir.path(), false).unwrap();
    disk.forbid_growth();
    let chain = DevChain::start(config(dir.path()), disk).unwrap();
    let before = chain.view();
    let refused = chain.fork(ForkPlan::new(80)).await.unwrap_err();
    assert!(matches!(refused, ForkError::Unavailable(Unavailable::Write(_))), "{refused}");
    assert_eq!(chain.view().top().hash(), before.top().hash());
    assert!(chain.health().is_err());
    drop(chain);
    let chain = DevChain::open(config(dir.path())).unwrap();
    assert_eq!(chain.view().snapshot(), before.snapshot());
    chain.fork(ForkPlan::new(80)).await.unwrap();
    assert_eq!(chain.view().top_height(), before.top_height().next());
}

#[test]
fn intervals_have_limits() {
    let dir = tempfile::tempdir().unwrap();
    for wrong in [Duration::ZERO, Duration::MAX] {
        let refused = DevChain::open(DevChainConfig { awaited_interval: wrong, ..config(dir.path()) });
        let message = refused.err().unwrap().to_string();
        assert_eq!(
            message,
            format!("awaited_interval is {wrong:?}, expected more than zero, at most a year")
        );
    }
}
