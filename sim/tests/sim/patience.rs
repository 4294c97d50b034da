//! Every wait that can last too long, who is told what, and that both can go on afterwards.

use strait_channel::{Patience, Reason, Request, Role, TxOptions};
use strait_sim::{Ending, Heard, Reply, Setup, World};

use crate::support::{BOTH, clear, told};

fn has(world: &World, role: Role, what: &str) -> bool {
    told(world, role).iter().any(|told| told == what)
}

/// How many milliseconds pass until something holds.
fn time_until(world: &mut World, holds: impl Fn(&World) -> bool) -> u64 {
    let start = world.now();
    assert!(world.run_until(3_000_000, holds), "{}", world.describe());
    world.now().0 - start.0
}

#[test]
fn a_proposer_that_does_not_sign_bothers_nobody() {
    for kind in [World::transfer_request, |_, _| Request::Shutdown(TxOptions::default())] {
        for role in BOTH {
            let mut world = World::opened(Setup::default());
            world.party_mut(role).client.plan.push_back(Reply::Nothing);
            world.ask(role, kind(role, 1));
            let waited = time_until(&mut world, |world| has(world, role, "conflict(3)"));
            assert_eq!(waited, Patience::default().sign);
            assert!(told(&world, role.other()).is_empty());
            world.transfer_well(role, 1);
        }
    }
}

#[test]
fn an_acceptor_that_does_not_sign_refuses_in_time() {
    for kind in [World::transfer_request, |_, _| Request::Shutdown(TxOptions::default())] {
        for role in BOTH {
            let mut world = World::opened(Setup::default());
            world.party_mut(role.other()).client.plan.push_back(Reply::Nothing);
            world.ask(role, kind(role, 1));
            let waited = time_until(&mut world, |world| has(world, role, "conflict(2)"));
            assert!(waited < Patience::default().accept, "{waited}");
            assert!(has(&world, role.other(), "conflict(3)"));
            world.transfer_well(role.other(), 1);
        }
    }
}

#[test]
fn a_proposer_that_waits_no_longer_withdraws_and_is_free() {
    let hasty = Patience { accept: 1_000, ..Patience::default() };
    for kind in [World::transfer_request, |_, _| Request::Shutdown(TxOptions::default())] {
        for role in BOTH {
            let patience = BOTH.map(|other| if other == role { hasty } else { Patience::default() });
            let mut world = World::opened(Setup { patience, ..Setup::default() });
            world.party_mut(role.other()).client.plan.push_back(Reply::Nothing);
            world.ask(role, kind(role, 1));
            world.run_for(1_500);
            for side in BOTH {
                assert_eq!(told(&world, side).last().map(String::as_str), Some("conflict(3)"), "the {side}");
                assert_eq!(world.party(side).channel().doing(), "idle");
            }
            world.transfer_well(role, 1);
            world.transfer_well(role.other(), 1);
        }
    }
}

#[test]
fn a_silent_peer_leaves_a_round_in_the_balance_until_both_come_back() {
    for role in BOTH {
        let mut world = World::opened(Setup::default());
        let peer = role.other();
        world.held = Some(peer);
        world.transfer(role, 7);
        let waited = time_until(&mut world, |world| has(world, role, "conflict(3)"));
        // The client thought for a moment first.
        assert_eq!(waited, Patience::default().accept + 5);
        // A request that proposes waits for the peer; after another while it is refused.
        let ticket = world.transfer(role, 8);
        assert_eq!(world.party(role).client.answer(ticket), None);
        let answered = move |world: &World| world.party(role).client.answer(ticket).is_some();
        assert_eq!(time_until(&mut world, answered), Patience::default().accept);
        for request in [World::transfer_request(role, 9), Request::Shutdown(TxOptions::default())] {
            let ticket = world.ask(role, request.clone());
            let Some(Err(refusal)) = world.party(role).client.answer(ticket) else {
                panic!("{request:?} is taken while a round is in the balance: {}", world.describe());
            };
            assert!(matches!(refusal.reason, Reason::NotReady(_)), "{refusal:?}");
        }
        world.held = None;
        world.ask(role, Request::Leave);
        let Ending::Agreed { returns } = world.recover() else { panic!("{}", world.describe()) };
        assert!(returns.iter().all(|returns| *returns <= 1), "{returns:?}");
        // The peer's client had signed.
        assert_eq!(world.model.round(), 2);
        world.transfer_well(role, 1);
        world.transfer_well(peer, 1);
    }
}

#[test]
fn an_acceptance_that_comes_late_is_adopted_at_every_stage() {
    let accept = Patience::default().accept;
    // Before the proposer gives up; while it waits for the answer to its withdrawal; after it stopped waiting.
    for late in [accept / 2, accept + 1_000, 2 * accept + 1_000] {
        for role in BOTH {
            let mut world = World::opened(Setup::default());
            world.set_latency(role, late);
            let ticket = world.transfer(role, 7);
            world.run_for(4 * accept);
            assert!(world.took(role, ticket));
            assert_eq!(BOTH.map(|role| world.round(role)), [2, 2], "{late}: {}", world.describe());
            assert_eq!(told(&world, role).last().map(String::as_str), Some("channels.update"));
            world.set_latency(role, 10);
            world.calm();
            world.transfer_well(role, 1);
            world.transfer_well(role.other(), 1);
        }
    }
}

#[test]
fn an_opening_waits_for_each_part_only_so_long() {
    let patience = Patience::default();
    // Who does nothing, and when who hears of the end.
    let nobody = |world: &mut World, role: Role| world.open(role);
    let mut world = World::new(Setup::default());
    nobody(&mut world, Role::Initiator);
    let died = |role| move |world: &World| has(world, role, "died");
    assert!(time_until(&mut world, died(Role::Initiator)) <= patience.accept);
    assert_eq!(told(&world, Role::Initiator), ["fsm_up", "timeout", "died", "close"]);
    assert!(world.party(Role::Initiator).forgotten);

    let mut world = World::new(Setup { keep_running: false, ..Setup::default() });
    nobody(&mut world, Role::Responder);
    assert_eq!(time_until(&mut world, died(Role::Responder)), patience.idle);
    assert_eq!(told(&world, Role::Responder), ["fsm_up", "timeout", "died", "close"]);

    let mut world = World::new(Setup::default());
    nobody(&mut world, Role::Responder);
    world.run_for(5 * patience.idle);
    assert!(world.party(Role::Responder).is_alive(), "a responder that keeps running waits for ever");
}

#[test]
fn a_create_transaction_that_nobody_signs_ends_the_opening() {
    let patience = Patience::default();
    for silent in BOTH {
        let mut world = World::new(Setup::default());
        world.party_mut(silent).client.plan.push_back(Reply::Nothing);
        world.open(Role::Responder);
        world.open(Role::Initiator);
        let ended = |world: &World| world.both(|party| !party.is_alive());
        let waited = time_until(&mut world, ended);
        assert!(waited <= patience.funding_sign.max(patience.funding_create) + 100, "{waited}");
        for role in BOTH {
            assert_eq!(told(&world, role).last().map(String::as_str), Some("close"), "{}", world.describe());
        }
        assert!(has(&world, Role::Responder, "timeout"));
        assert_eq!(world.recover(), Ending::Never);
    }
}

#[test]
fn what_both_signed_waits_for_the_chain_as_long_as_it_takes() {
    let lock = Patience::default().funding_lock;
    let mut world = World::new(Setup::default());
    world.mining = false;
    world.open(Role::Responder);
    world.open(Role::Initiator);
    world.run_for(5 * lock);
    assert!(world.both(|party| party.is_alive() && party.round() == 0), "{}", world.describe());
    world.mining = true;
    world.run_for(60_000);
    assert!(world.both(|party| party.round() == 1), "{}", world.describe());
    clear(&mut world);

    world.mining = false;
    world.ask(Role::Responder, Request::Shutdown(TxOptions::default()));
    world.run_for(5 * lock);
    assert!(world.both(|party| party.is_alive()), "{}", world.describe());
    world.mining = true;
    world.run_for(60_000);
    assert_eq!(world.recover(), Ending::Closed);
}

#[test]
fn an_idle_channel_ends_its_process_and_both_can_come_back() {
    let idle = Patience::default().idle;
    let mut world = World::opened(Setup::default());
    let waited = time_until(&mut world, |world| !world.party(Role::Initiator).is_alive());
    assert!(waited <= idle);
    world.calm();
    assert_eq!(told(&world, Role::Initiator), ["timeout", "died", "close"]);
    assert_eq!(told(&world, Role::Responder), ["peer_disconnected"]);
    assert_eq!(world.recover(), Ending::Agreed { returns: [1, 0] });
    world.transfer_well(Role::Responder, 1);
}

#[test]
fn what_the_chain_refuses_is_told_with_its_code() {
    for closer in BOTH {
        let mut world = World::opened(Setup::default());
        world.refusing_chain = Some("nonce_too_high");
        world.ask(closer, Request::Shutdown(TxOptions::default()));
        world.calm();
        for role in BOTH {
            let conflicts: Vec<_> =
                told(&world, role).into_iter().filter(|told| told.starts_with("conflict")).collect();
            assert_eq!(conflicts, ["conflict(5)"], "the {role}: {}", world.describe());
        }
        world.refusing_chain = None;
        world.transfer_well(closer, 1);
        world.transfer_well(closer.other(), 1);
    }
    let mut world = World::new(Setup::default());
    world.refusing_chain = Some("insufficient_funds");
    world.open(Role::Responder);
    world.open(Role::Initiator);
    world.run_for(60_000);
    let end = told(&world, Role::Initiator);
    assert_eq!(end[end.len() - 3..], ["error", "died", "close"]);
    let reason = world.party(Role::Initiator).client.log.iter().find_map(|heard| match heard {
        Heard::Told(strait_channel::Notice::Error(reason)) => Some(reason.clone()),
        _ => None,
    });
    assert_eq!(reason, Some(Reason::RefusedByChain("insufficient_funds")));
}
