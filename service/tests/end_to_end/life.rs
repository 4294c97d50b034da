//! Open, pay, close: the money on chain to the coin.

use strait_client::{Outcome, Party, Role};
use strait_encoding::Coins;
use strait_ledger::{ChainView, TxLocation};

use crate::stage::{AMOUNT, Pair, dev, pay, round_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_is_opened_used_and_closed() {
    let dev = dev().await;
    let pair = Pair::of(&dev, 0);
    let (initiator, responder) = (pair.initiator.account(), pair.responder.account());
    let on_chain = |account| dev.service().chain().view().account(account).unwrap().balance.0;
    let before = (on_chain(initiator), on_chain(responder));

    let (mut alice, mut bob) = pair.open(&dev.channel_url()).await;
    assert_eq!(round_of(&pay(&mut alice, &mut bob, 500).await), 2);
    assert_eq!(round_of(&pay(&mut bob, &mut alice, 200).await), 3);
    assert_eq!(round_of(&pay(&mut alice, &mut bob, 1).await), 4);
    let balances = alice.balances(&[initiator, responder]).await.unwrap();
    assert_eq!(balances, [(initiator, Coins(AMOUNT.0 - 301)), (responder, Coins(AMOUNT.0 + 301))]);
    assert_eq!(
        alice.offchain_state().await.unwrap().signed_tx,
        bob.offchain_state().await.unwrap().signed_tx
    );

    let channel = alice.channel().unwrap();
    let (outcome, last) = tokio::join!(alice.shutdown(), bob.serve());
    assert_eq!(last.unwrap(), "closed_confirmed");
    let Outcome::Agreed { state, .. } = outcome.unwrap() else { panic!("the channel was not closed") };
    let view = dev.service().chain().view();
    let txs = view.txs_of_channel(channel);
    assert_eq!(txs.len(), 2);
    assert!(txs.iter().all(|(_, location)| matches!(location, TxLocation::InBlock { .. })));
    let create_fee = view.tx(&txs[0].0).unwrap().0.tx().fee().0;
    let close_fee = state.tx().fee().0;
    // The initiator pays for opening, both pay half of closing, the initiator the odd coin.
    assert_eq!(on_chain(initiator), before.0 - create_fee - 301 - close_fee.div_ceil(2));
    assert_eq!(on_chain(responder), before.1 + 301 - close_fee / 2);
    dev.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_responder_that_takes_anybody_learns_who_came() {
    let dev = dev().await;
    let pair = Pair::of(&dev, 1);
    let ours = pair.params(Role::Initiator);
    let theirs = strait_client::OpenParams::new(
        Role::Responder,
        pair.port,
        None,
        pair.responder.account(),
        strait_client::Terms {
            initiator_amount: AMOUNT,
            responder_amount: AMOUNT,
            push_amount: Coins(0),
            channel_reserve: Coins(1_000),
            lock_period: 10,
        },
    );
    let url = dev.channel_url();
    let (mut alice, mut bob) = tokio::try_join!(
        Party::open(&url, &ours, pair.initiator.clone()),
        Party::open(&url, &theirs, pair.responder.clone())
    )
    .unwrap();
    assert_eq!(bob.peer(), Some(pair.initiator.account()));
    assert_eq!(round_of(&pay(&mut bob, &mut alice, 7).await), 2);
    dev.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn different_terms_are_refused_with_the_parameter_that_differs() {
    let dev = dev().await;
    let pair = Pair::of(&dev, 2);
    let mut other = Pair::of(&dev, 2);
    other.port = pair.port;
    let terms = strait_client::Terms {
        initiator_amount: AMOUNT,
        responder_amount: AMOUNT,
        push_amount: Coins(0),
        channel_reserve: Coins(1_000),
        lock_period: 11,
    };
    let theirs = strait_client::OpenParams::new(
        Role::Responder,
        pair.port,
        Some(pair.initiator.account()),
        pair.responder.account(),
        terms,
    );
    let url = dev.channel_url();
    let ours = pair.params(Role::Initiator);
    let (alice, bob) = tokio::join!(
        Party::open(&url, &ours, pair.initiator.clone()),
        Party::open(&url, &theirs, other.responder.clone())
    );
    let (alice, bob) = (alice.unwrap_err().to_string(), bob.unwrap_err().to_string());
    assert!(bob.contains("lock_period") && bob.contains("10") && bob.contains("11"), "{bob}");
    assert!(!alice.is_empty());
    dev.stop().await;
}
