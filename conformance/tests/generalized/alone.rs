//! Closing without the peer.

use serde_json::json;
use strait_client::Role;
use strait_ledger::TxKind;

use crate::stage::{Kinds, Stage};

/// `closing` closes alone with the latest state, and settles when the lock period is over.
async fn closed_alone(kinds: Kinds, closing: Role) {
    let mut stage = Stage::open(kinds).await;
    stage.pay(Role::Initiator, 500).await;
    stage.pay(Role::Responder, 30).await;
    let (alone, other) = stage.sides(closing);
    let is_news = |data: &serde_json::Value| data["info"] == "solo_closing";
    alone.request("channels.close_solo", json!({})).await;
    let (ours, theirs) = tokio::join!(
        alone.until_that("channels.on_chain_tx", is_news),
        other.until_that("channels.on_chain_tx", is_news)
    );
    assert_eq!((&ours["type"], &ours["tx"]), (&json!("channel_close_solo_tx"), &theirs["tx"]));
    alone.member.has_acted();
    alone.request("channels.settle", json!({})).await;
    let (ours, theirs) = tokio::join!(alone.last_event(), other.last_event());
    assert_eq!((&*ours, &*theirs), ("closed_confirmed", "closed_confirmed"));
    let expected = [TxKind::ChannelCreate, TxKind::ChannelCloseSolo, TxKind::ChannelSettle];
    assert_eq!(stage.kinds_on_chain(), expected);
    stage.settled([-470, 470]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generalized_initiator_closes_alone() {
    closed_alone([true, false], Role::Initiator).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generalized_responder_closes_alone_whose_peer_is_generalized_too() {
    closed_alone([true, true], Role::Responder).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_basic_initiator_closes_alone_with_a_state_that_a_contract_authenticated() {
    closed_alone([false, true], Role::Initiator).await;
}
