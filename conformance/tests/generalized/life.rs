//! Open, pay both ways, put coins in, take coins out, close together.

use serde_json::json;
use strait_client::Role;
use strait_ledger::TxKind;

use crate::stage::{AMOUNT, Kinds, Stage};

async fn whole_life(kinds: Kinds) {
    let mut stage = Stage::open(kinds).await;
    stage.check_balances([AMOUNT, AMOUNT]).await;
    assert_eq!(stage.on_chain(), Some((1, 2 * u128::from(AMOUNT))));

    stage.pay(Role::Initiator, 500).await;
    stage.pay(Role::Responder, 30).await;
    stage.check_balances([AMOUNT - 470, AMOUNT + 470]).await;

    let deposited = stage.agree(Role::Initiator, "channels.deposit", json!({ "amount": 7_000 })).await;
    assert_eq!(deposited.body().kind(), TxKind::ChannelDeposit);
    stage.agree(Role::Responder, "channels.deposit", json!({ "amount": 100 })).await;
    let withdrawn = stage.agree(Role::Responder, "channels.withdraw", json!({ "amount": 2_000 })).await;
    assert_eq!(withdrawn.body().kind(), TxKind::ChannelWithdraw);
    stage.agree(Role::Initiator, "channels.withdraw", json!({ "amount": 1 })).await;
    assert_eq!(stage.on_chain(), Some((7, 2 * u128::from(AMOUNT) + 7_000 + 100 - 2_000 - 1)));
    // States are still authenticated as the channel's first one, though the contracts have counted on.
    stage.pay(Role::Responder, 4).await;
    stage.check_balances([AMOUNT - 470 + 6_999 + 4, AMOUNT + 470 - 1_900 - 4]).await;

    let (closing, other) = stage.sides(Role::Responder);
    closing.request("channels.shutdown", json!({})).await;
    let (ours, theirs) = tokio::join!(closing.last_event(), other.last_event());
    assert_eq!((&*ours, &*theirs), ("closed_confirmed", "closed_confirmed"));
    let expected = [
        TxKind::ChannelCreate,
        TxKind::ChannelDeposit,
        TxKind::ChannelDeposit,
        TxKind::ChannelWithdraw,
        TxKind::ChannelWithdraw,
        TxKind::ChannelCloseMutual,
    ];
    assert_eq!(stage.kinds_on_chain(), expected);
    stage.settled([-466, 466]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_are_generalized() {
    whole_life([true, true]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_responder_is_generalized() {
    whole_life([false, true]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_initiator_is_generalized() {
    whole_life([true, false]).await;
}
