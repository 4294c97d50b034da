//! Money in and out of a running channel, and closing without the peer: to the coin, over real sockets.

use strait_client::{Outcome, Party, Role};
use strait_encoding::{AccountId, ChannelId, Coins, Height, SignedForm};
use strait_ledger::{
    ChainView, CloseSoloTx, Payload, ProofBytes, SignedTx, StateProof, Tx, choose_fee, initial_trees,
};
use strait_service::Dev;

use crate::stage::{AMOUNT, Pair, dev, pay, round_of};

fn on_chain(dev: &Dev, account: AccountId) -> u128 {
    dev.service().chain().view().account(account).unwrap().balance.0
}

/// Fees of all transactions of a channel that this account paid.
fn fees_of(dev: &Dev, channel: ChannelId, payer: AccountId) -> u128 {
    let view = dev.service().chain().view();
    let txs = view.txs_of_channel(channel).into_iter().map(|(hash, _)| view.tx(&hash).unwrap().0);
    txs.filter(|tx| tx.tx().origin() == Some(payer)).map(|tx| tx.tx().fee().0).sum()
}

fn posted(outcome: Outcome) -> SignedTx {
    match outcome {
        Outcome::OnChain(tx) => tx,
        other => panic!("not posted: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn coins_come_in_and_go_out_while_the_channel_runs() {
    let dev = dev().await;
    let pair = Pair::of(&dev, 0);
    let (initiator, responder) = (pair.initiator.account(), pair.responder.account());
    let before = (on_chain(&dev, initiator), on_chain(&dev, responder));
    let (mut alice, mut bob) = pair.open(&dev.channel_url()).await;
    let channel = alice.channel().unwrap();

    let deposited = tokio::select! { done = alice.deposit(Coins(5_000)) => done.unwrap(), ended = bob.serve() => panic!("{ended:?}") };
    assert_eq!(round_of(&deposited), 2);
    let withdrawn = tokio::select! { done = bob.withdraw(Coins(700)) => done.unwrap(), ended = alice.serve() => panic!("{ended:?}") };
    assert_eq!(round_of(&withdrawn), 3);
    assert_eq!(round_of(&pay(&mut alice, &mut bob, 42).await), 4);
    let held = dev.service().chain().view().channel(channel).unwrap().channel_amount;
    assert_eq!(held, Coins(2 * AMOUNT.0 + 5_000 - 700));
    let balances = alice.balances(&[initiator, responder]).await.unwrap();
    assert_eq!(
        balances,
        [(initiator, Coins(AMOUNT.0 + 5_000 - 42)), (responder, Coins(AMOUNT.0 - 700 + 42))]
    );

    let fees = (fees_of(&dev, channel, initiator), fees_of(&dev, channel, responder));
    let (outcome, last) = tokio::join!(alice.shutdown(), bob.serve());
    assert_eq!(last.unwrap(), "closed_confirmed");
    let Outcome::Agreed { state, .. } = outcome.unwrap() else { panic!("the channel was not closed") };
    let close = state.tx().fee().0;
    assert_eq!(on_chain(&dev, initiator), before.0 - fees.0 - 42 - close.div_ceil(2));
    assert_eq!(on_chain(&dev, responder), before.1 - fees.1 + 42 - close / 2);
    dev.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_was_left_alone_closes_alone() {
    let dev = dev().await;
    let pair = Pair::of(&dev, 1);
    let (initiator, responder) = (pair.initiator.account(), pair.responder.account());
    let before = (on_chain(&dev, initiator), on_chain(&dev, responder));
    let url = dev.channel_url();
    let (mut alice, mut bob) = pair.open(&url).await;
    pay(&mut bob, &mut alice, 77).await;
    let (ids, channel) = (alice.ids().unwrap(), alice.channel().unwrap());
    let (left, _) = tokio::join!(bob.leave(), alice.serve());
    left.unwrap();

    let mut alice =
        Party::return_alone(&url, &pair.params(Role::Initiator), ids, pair.initiator.clone()).await.unwrap();
    posted(alice.close_solo().await.unwrap());
    posted(alice.settle().await.unwrap());
    assert_eq!(alice.serve().await.unwrap(), "closed_confirmed");
    assert!(dev.service().chain().view().channel(channel).is_none());
    assert_eq!(on_chain(&dev, initiator), before.0 - fees_of(&dev, channel, initiator) + 77);
    assert_eq!(on_chain(&dev, responder), before.1 - fees_of(&dev, channel, responder) - 77);
    dev.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_closes_with_an_old_state_is_slashed() {
    let dev = dev().await;
    let pair = Pair::of(&dev, 2);
    let (initiator, responder) = (pair.initiator.account(), pair.responder.account());
    let before = (on_chain(&dev, initiator), on_chain(&dev, responder));
    let (mut alice, mut bob) = pair.open(&dev.channel_url()).await;
    let channel = alice.channel().unwrap();
    pay(&mut alice, &mut bob, 900_000).await;

    // Alice pretends that she never paid.
    let first = initial_trees(initiator, responder, AMOUNT, AMOUNT);
    let mut poi = StateProof::new(&first);
    poi.add_account(&first, initiator).unwrap();
    poi.add_account(&first, responder).unwrap();
    let view = dev.service().chain().view();
    let tx = Tx::from(CloseSoloTx {
        channel_id: channel,
        from_id: initiator,
        payload: Payload(Vec::new()),
        poi: ProofBytes(poi.encode()),
        ttl: Height(0),
        fee: Coins(0),
        nonce: view.next_nonce(initiator),
    });
    let tx = SignedTx::unsigned(choose_fee(tx, None, None, view.protocol()).unwrap());
    let signature = pair.initiator.sign(view.network(), tx.unsigned_bytes(), SignedForm::Hash);
    dev.service().chain().submit(tx.with_signature(signature)).await.unwrap();

    let mut events = bob.events();
    let slashed = async {
        loop {
            let event = events.recv().await.unwrap();
            if event.data["type"] == "channel_slash_tx" {
                return event.data["info"].clone();
            }
        }
    };
    let info = bob.serve_until(async { assert_eq!(slashed.await, "solo_closing") });
    info.await.unwrap();
    posted(bob.settle().await.unwrap());
    assert_eq!(bob.serve().await.unwrap(), "closed_confirmed");
    assert_eq!(on_chain(&dev, initiator), before.0 - fees_of(&dev, channel, initiator) - 900_000);
    assert_eq!(on_chain(&dev, responder), before.1 - fees_of(&dev, channel, responder) + 900_000);
    dev.stop().await;
}
