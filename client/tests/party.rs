//! Two parties at a miniature service, honest and not.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod stub;

use std::time::Duration;

use strait_client::{
    Ask, ChannelIds, ClientError, Objection, OpenParams, Outcome, Party, Policy, Role, Signer, Terms, Verdict,
};
use strait_encoding::{Coins, FsmId, NetworkId, Round, SecretKey, SignedForm};
use strait_ledger::Update;
use stub::Cheat;

fn key(side: u8) -> SecretKey {
    SecretKey::from_seed([side + 1; 32])
}

fn params(role: Role) -> OpenParams {
    let terms = Terms {
        initiator_amount: Coins(700_000_000_000_000),
        responder_amount: Coins(400_000_000_000_000),
        push_amount: Coins(1),
        channel_reserve: Coins(2),
        lock_period: 10,
    };
    OpenParams::new(role, 3114, Some(key(0).account()), key(1).account(), terms)
}

async fn open_both(url: &str, ours: Signer, theirs: Signer) -> Result<[Party; 2], ClientError> {
    let (initiator, responder) = (params(Role::Initiator), params(Role::Responder));
    let (initiator, responder) =
        tokio::try_join!(Party::open(url, &initiator, ours), Party::open(url, &responder, theirs))?;
    Ok([initiator, responder])
}

type Served = tokio::task::JoinHandle<Result<String, ClientError>>;

/// An open channel at a service that cheats afterwards; the responder serves in a task and says how it ended.
async fn channel(cheat: Cheat) -> (Party, Served) {
    channel_at(&stub::start(cheat).await).await
}

async fn channel_at(url: &str) -> (Party, Served) {
    let [initiator, mut responder] = open_both(url, key(0).into(), key(1).into()).await.unwrap();
    (initiator, tokio::spawn(async move { responder.serve().await }))
}

fn objection(outcome: Result<Outcome, ClientError>) -> Objection {
    match outcome {
        Ok(Outcome::Declined { objection: Some(objection) }) | Err(ClientError::Objection(objection)) => {
            objection
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_channel_is_opened_used_and_closed() {
    let (mut party, other) = channel(Cheat::Nothing).await;
    let [me, peer] = [key(0).account(), key(1).account()];
    for (payment, round) in [(5, 2), (7, 3)] {
        let outcome = party.pay(Coins(payment), &["one", "two \"quoted\""]).await.unwrap();
        let Outcome::Agreed { round: agreed, state } = outcome else { panic!("{outcome:?}") };
        assert_eq!(agreed, Round(round));
        state.verify(&NetworkId("ae_dev".into()), &[me, peer]).unwrap();
    }
    let balances = party.balances(&[peer, me]).await.unwrap();
    assert_eq!(balances, [(peer, Coins(400_000_000_000_013)), (me, Coins(699_999_999_999_987))]);
    assert_eq!(party.book().unwrap().balance(peer), Coins(400_000_000_000_013));

    let state = party.offchain_state().await.unwrap();
    assert_eq!(state.trees.state_hash(), party.book().unwrap().state_hash());
    assert_eq!(state.signed_tx.as_ref(), party.latest());
    let proof = party.poi(&[me]).await.unwrap();
    assert_eq!(proof.account(me).unwrap().balance, Coins(699_999_999_999_987));

    let Outcome::Agreed { state, .. } = party.shutdown().await.unwrap() else { panic!("not closed") };
    assert_eq!(state.kind().event_name(), "channel_close_mutual_tx");
    state.verify(&NetworkId("ae_dev".into()), &[me, peer]).unwrap();
    assert_eq!(other.await.unwrap().unwrap(), "closed_confirmed");
}

#[tokio::test]
async fn both_forms_of_signature_are_made() {
    for form in [SignedForm::Hash, SignedForm::Plain] {
        let url = stub::start(Cheat::Nothing).await;
        let signer = |side| Signer::new(key(side)).form(form).network("ae_uat");
        let [initiator, _responder] = open_both(&url, signer(0), signer(1)).await.unwrap();
        let state = initiator.latest().unwrap();
        for (side, signature) in
            [0, 1].into_iter().flat_map(|side| state.signatures().iter().map(move |s| (side, s)))
        {
            let network = NetworkId("ae_uat".into());
            let other = if form == SignedForm::Hash { SignedForm::Plain } else { SignedForm::Hash };
            let bytes = state.unsigned_bytes();
            assert_eq!(
                strait_encoding::verify(key(side).account(), signature, &network, bytes, &[other]),
                None
            );
        }
        state.verify(&NetworkId("ae_uat".into()), &[key(0).account(), key(1).account()]).unwrap();
    }
}

#[tokio::test]
async fn a_responder_takes_whoever_comes() {
    let url = stub::start(Cheat::Nothing).await;
    let terms = Terms {
        initiator_amount: Coins(700_000_000_000_000),
        responder_amount: Coins(400_000_000_000_000),
        push_amount: Coins(1),
        channel_reserve: Coins(2),
        lock_period: 10,
    };
    let any = OpenParams::new(Role::Responder, 3114, None, key(1).account(), terms);
    let initiator = params(Role::Initiator);
    let (_, responder) =
        tokio::try_join!(Party::open(&url, &initiator, key(0)), Party::open(&url, &any, key(1))).unwrap();
    assert_eq!(responder.peer(), Some(key(0).account()));
}

#[tokio::test]
async fn a_refused_request_says_why_and_changes_nothing() {
    let (mut party, _other) = channel(Cheat::Nothing).await;
    let refused = party.pay(Coins(700_000_000_000_000), &[]).await;
    let Err(ClientError::Rejected(rejection)) = refused else { panic!("{refused:?}") };
    assert!(rejection.has(1001), "{rejection}");
    assert_eq!(rejection.method, "channels.update.new");
    assert!(matches!(party.pay(Coins(1), &[]).await, Ok(Outcome::Agreed { round: Round(2), .. })));
}

#[tokio::test]
async fn a_careful_party_gives_nothing_that_it_did_not_offer() {
    let (mut party, _other) = channel(Cheat::Nothing).await;
    let outcome = party.transfer(key(1).account(), key(0).account(), Coins(3), &[]).await.unwrap();
    assert!(matches!(outcome, Outcome::Conflict { code: 1, .. }), "{outcome:?}");
    assert_eq!(party.book().unwrap().round(), Round(1));
}

#[tokio::test]
async fn a_policy_sees_the_updates_and_may_decline_with_a_code() {
    let url = stub::start(Cheat::Nothing).await;
    let judge = Policy::ask(|request| match (request.ask, request.updates) {
        (Ask::UpdateAck, [Update::Transfer { amount, .. }, ..]) if amount.0 > 10 => Verdict::Decline(147),
        (Ask::UpdateAck, _) => {
            assert_eq!(request.costs, Coins(4));
            assert_eq!(request.tx.signatures().len(), 1);
            Verdict::Sign
        }
        _ => Verdict::Sign,
    });
    let [mut party, mut other] =
        open_both(&url, key(0).into(), Signer::new(key(1)).policy(judge)).await.unwrap();
    let _other = tokio::spawn(async move { other.serve().await });
    let [me, peer] = [key(0).account(), key(1).account()];
    let refused = party.transfer(peer, me, Coins(11), &[]).await.unwrap();
    assert!(matches!(refused, Outcome::Conflict { code: 147, .. }), "{refused:?}");
    let granted = party.transfer(peer, me, Coins(4), &[]).await.unwrap();
    assert!(matches!(granted, Outcome::Agreed { .. }), "{granted:?}");
}

#[tokio::test]
async fn an_own_request_can_be_declined_too() {
    let url = stub::start(Cheat::Nothing).await;
    let judge = Policy::ask(|request| match request.ask {
        Ask::Update => Verdict::Decline(200),
        _ => Verdict::Sign,
    });
    let [mut party, _other] =
        open_both(&url, Signer::new(key(0)).policy(judge), key(1).into()).await.unwrap();
    let outcome = party.pay(Coins(1), &[]).await.unwrap();
    assert!(matches!(outcome, Outcome::Declined { objection: None }), "{outcome:?}");
}

#[tokio::test]
async fn a_channel_that_the_policy_does_not_want_is_not_opened() {
    let url = stub::start(Cheat::Nothing).await;
    let signer = Signer::new(key(0)).policy(Policy::ask(|_| Verdict::Decline(200)));
    let refused = open_both(&url, signer, key(1).into()).await.unwrap_err();
    assert!(matches!(refused, ClientError::Misuse(_)), "{refused}");
}

#[tokio::test]
async fn both_sides_pay_in_turn() {
    let url = stub::start(Cheat::Nothing).await;
    let [mut one, mut other] = open_both(&url, key(0).into(), key(1).into()).await.unwrap();
    for turn in 1..=4 {
        // While one pays the other serves, until it has seen the new round.
        let (paid, done) = tokio::sync::oneshot::channel();
        let pays = async {
            let outcome = one.pay(Coins(turn), &[]).await.unwrap();
            paid.send(()).unwrap();
            outcome
        };
        let (outcome, served) = tokio::join!(pays, other.serve_until(async { drop(done.await) }));
        assert!(
            matches!(outcome, Outcome::Agreed { round, .. } if round.0 == u64::try_from(turn).unwrap() + 1)
        );
        served.unwrap();
        std::mem::swap(&mut one, &mut other);
    }
    // 1 and 3 went one way, 2 and 4 the other.
    assert_eq!(one.balances(&[key(1).account()]).await.unwrap()[0].1, Coins(400_000_000_000_001 - 2));
}

#[tokio::test]
async fn a_party_comes_back_with_its_ids_and_goes_on() {
    let url = stub::start(Cheat::Nothing).await;
    let (mut party, _other) = channel_at(&url).await;
    party.pay(Coins(5), &[]).await.unwrap();
    let ids = party.ids().unwrap();
    party.disconnect().await.unwrap();

    let wrong = ChannelIds { fsm: FsmId([9; 32]), ..ids };
    let refused = Party::reconnect(&url, &params(Role::Initiator), wrong, key(0)).await;
    assert!(matches!(refused, Err(ClientError::Rejected(rejection)) if rejection.has(1016)));

    let mut party = Party::reconnect(&url, &params(Role::Initiator), ids, key(0)).await.unwrap();
    assert_eq!(party.book().unwrap().round(), Round(2));
    assert_eq!(party.book().unwrap().balance(key(1).account()), Coins(400_000_000_000_006));
    let outcome = party.pay(Coins(1), &[]).await.unwrap();
    assert!(matches!(outcome, Outcome::Agreed { round: Round(3), .. }), "{outcome:?}");
    let left = party.leave().await.unwrap();
    assert_eq!(left.tx().agreed_state().unwrap().0, Round(3));
}

#[tokio::test]
async fn notifications_can_be_watched() {
    let (mut party, _other) = channel(Cheat::Nothing).await;
    let mut events = party.events();
    party.pay(Coins(1), &[]).await.unwrap();
    let methods: Vec<_> = std::iter::from_fn(|| events.try_recv().ok()).map(|event| event.method).collect();
    assert_eq!(methods, ["channels.sign.update", "channels.update"]);
}

#[tokio::test]
async fn nothing_is_signed_that_opens_another_channel_than_agreed() {
    for (cheat, field) in [(Cheat::Terms, "initiator_amount"), (Cheat::FirstState, "state_hash")] {
        let url = stub::start(cheat).await;
        let patience = Duration::from_millis(200);
        let refused =
            open_both(&url, key(0).into(), Signer::new(key(1)).patience(patience)).await.unwrap_err();
        let ClientError::Objection(Objection::Field { field: found, .. }) = refused else {
            panic!("{refused}")
        };
        assert_eq!(found, field);
    }
}

#[tokio::test]
async fn nothing_is_signed_that_is_not_the_update_asked_for() {
    let field = |outcome| match objection(outcome) {
        Objection::Field { field, .. } => field,
        other => panic!("{other}"),
    };
    for (cheat, expected) in
        [(Cheat::Channel, "channel_id"), (Cheat::Round, "round"), (Cheat::StateHash, "state_hash")]
    {
        let (mut party, _other) = channel(cheat).await;
        assert_eq!(field(party.pay(Coins(1), &[]).await), expected);
        assert_eq!(party.book().unwrap().round(), Round(1));
    }
    let (mut party, _other) = channel(Cheat::Updates).await;
    assert_eq!(objection(party.pay(Coins(1), &[]).await), Objection::OtherUpdates);
}

#[tokio::test]
async fn nothing_is_signed_unasked_or_for_a_stranger() {
    for cheat in [Cheat::Unasked, Cheat::Stranger] {
        let (mut party, _other) = channel(cheat).await;
        let outcome = party.pay(Coins(1), &[]).await.unwrap();
        assert!(matches!(outcome, Outcome::Conflict { code: 1, .. }), "{cheat:?}: {outcome:?}");
    }
}

#[tokio::test]
async fn nothing_counts_as_agreed_that_is_not_signed_by_both() {
    let (mut party, other) = channel(Cheat::HalfSigned).await;
    let refused = objection(party.pay(Coins(1), &[]).await);
    assert!(matches!(refused, Objection::Signatures(_)), "{refused}");
    assert_eq!(party.book().unwrap().round(), Round(1));
    assert!(matches!(other.await.unwrap(), Err(ClientError::Objection(Objection::Signatures(_)))));

    let (mut party, _other) = channel(Cheat::UnknownState).await;
    let refused = objection(party.pay(Coins(1), &[]).await);
    assert_eq!(refused, Objection::UnknownState { found: Round(3), known: Round(1) });
}

#[tokio::test]
async fn a_close_pays_each_what_the_last_round_says() {
    let (mut party, _other) = channel(Cheat::Fee).await;
    assert!(matches!(objection(party.shutdown().await), Objection::Fee { .. }));
    let (mut party, _other) = channel(Cheat::Split).await;
    let refused = objection(party.shutdown().await);
    assert!(matches!(refused, Objection::Field { field: "initiator_amount_final", .. }), "{refused}");
}

#[tokio::test]
async fn a_party_that_comes_back_believes_only_trees_of_the_signed_state() {
    let url = stub::start(Cheat::Trees).await;
    let (party, _other) = channel_at(&url).await;
    let ids = party.ids().unwrap();
    party.disconnect().await.unwrap();
    let refused = Party::reconnect(&url, &params(Role::Initiator), ids, key(0)).await.unwrap_err();
    assert!(
        matches!(refused, ClientError::Objection(Objection::Field { field: "state_hash", .. })),
        "{refused}"
    );
}

#[tokio::test(start_paused = true)]
async fn patience_ends() {
    let url = stub::start(Cheat::Nothing).await;
    let signer = Signer::new(key(0)).patience(Duration::from_secs(30));
    let late = Party::open(&url, &params(Role::Initiator), signer).await.unwrap_err();
    assert!(matches!(late, ClientError::Timeout { waiting_for: "open", seconds: 30 }), "{late}");
}

#[tokio::test]
async fn nobody_there_is_an_error_of_its_own() {
    let refused =
        Party::open("ws://127.0.0.1:1/channel", &params(Role::Initiator), key(0)).await.unwrap_err();
    let ClientError::Connect { url, .. } = refused else { panic!("{refused}") };
    assert_eq!(url, "ws://127.0.0.1:1/channel");
}
