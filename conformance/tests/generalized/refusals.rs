//! States that a contract does not authenticate: refused, and nothing has changed.

use serde_json::json;
use strait_client::Role;
use strait_ledger::Tx;

use crate::account::Lie;
use crate::side::Side;
use crate::stage::{AMOUNT, Stage};

const LIES: [Lie; 4] = [Lie::AnotherFunction, Lie::AnotherTx, Lie::PastNumber, Lie::Signature];

/// Hears that the last proposal came to nothing, because it was not valid (`docs/protocol/fsm` §5).
async fn hears_of_a_conflict(side: &mut Side, round: u64) {
    let data = side.until("channels.conflict").await;
    let told = [&data["round"], &data["error_code"], &data["error_msg"]];
    assert_eq!(told, [&json!(round), &json!(1), &json!("validation error")]);
}

/// After whatever was refused, the next payment makes the next round.
async fn goes_on(stage: &mut Stage, round: u64, paid: u64) {
    stage.check_balances([AMOUNT - paid + 1, AMOUNT + paid - 1]).await;
    let state = stage.pay(Role::Initiator, 1).await;
    let Tx::ChannelOffchain(state) = state.body() else { panic!("{state:?}") };
    assert_eq!(state.round.0, round);
    stage.check_balances([AMOUNT - paid, AMOUNT + paid]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_that_its_proposer_does_not_authenticate_never_reaches_the_peer() {
    let mut stage = Stage::open([true, false]).await;
    for (round, lie) in (1..).zip(LIES) {
        let payment = stage.payment(Role::Initiator, 900);
        let (asking, other) = stage.sides(Role::Initiator);
        asking.member.lie = Some(lie);
        asking.request("channels.update.new", payment).await;
        hears_of_a_conflict(asking, round).await;
        // The peer answers what comes next before anything of this.
        other.request("channels.system", json!({ "action": "ping" })).await;
        assert_eq!(other.next().await.0, "channels.system.pong", "{lie:?}");
        goes_on(&mut stage, round + 1, round).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_that_its_acceptor_does_not_authenticate_is_none_for_both() {
    for kinds in [[false, true], [true, true]] {
        let mut stage = Stage::open(kinds).await;
        for (round, lie) in (1..).zip(LIES) {
            let payment = stage.payment(Role::Initiator, 900);
            let (asking, other) = stage.sides(Role::Initiator);
            other.member.lie = Some(lie);
            asking.request("channels.update.new", payment).await;
            tokio::join!(hears_of_a_conflict(asking, round), hears_of_a_conflict(other, round));
            goes_on(&mut stage, round + 1, round).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deposit_that_a_contract_does_not_authenticate_stays_off_the_chain() {
    let mut stage = Stage::open([true, true]).await;
    let held = stage.on_chain();
    for role in [Role::Initiator, Role::Responder] {
        stage.sides(role).0.member.lie = Some(Lie::AnotherFunction);
        let (asking, other) = stage.sides(Role::Initiator);
        asking.request("channels.deposit", json!({ "amount": 5 })).await;
        match role {
            Role::Initiator => hears_of_a_conflict(asking, 1).await,
            Role::Responder => {
                tokio::join!(hears_of_a_conflict(asking, 1), hears_of_a_conflict(other, 1));
            }
        }
    }
    assert_eq!(stage.on_chain(), held);
    stage.check_balances([AMOUNT, AMOUNT]).await;
    stage.agree(Role::Initiator, "channels.deposit", json!({ "amount": 5 })).await;
    stage.check_balances([AMOUNT + 5, AMOUNT]).await;
}
