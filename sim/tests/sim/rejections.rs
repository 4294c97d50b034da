//! The chain refuses what both signed, and the two learn of it at different times.

use strait_channel::{Flow, Patience, Reason, Role};
use strait_encoding::Coins;
use strait_ledger::TxLocation;
use strait_sim::{Ending, Fault, Reply, Setup, World};

use crate::support::{BOTH, Case, FUNDS, conflicts, told};

#[test]
fn a_rejection_that_the_proposer_learns_of_later_refuses_no_proposal_of_the_acceptor() {
    for flow in FUNDS {
        for proposer in BOTH {
            let _case = Case(format!("{flow:?} of the {proposer}"));
            let (mut world, acceptor) = (World::opened(Setup::default()), proposer.other());
            world.mining = false;
            world.ask(proposer, World::funds_request(flow, 5));
            world.calm();
            // A spend that pays more uses the nonce. The acceptor looks first, and has a proposal of its own waiting.
            world.spend(proposer, Coins(1));
            let ticket = world.ask(acceptor, World::funds_request(flow, 7));
            world.mining = true;
            let done = |world: &World| world.both(|party| party.round() == 2);
            assert!(world.run_until(2 * Patience::default().funding_lock, done), "{}", world.describe());
            assert!(world.took(acceptor, ticket));
            assert_eq!(conflicts(&world, acceptor), ["conflict(5)"], "{}", world.describe());
            assert_eq!(conflicts(&world, proposer), ["conflict(5)"], "{}", world.describe());
            world.transfer_well(proposer, 1);
        }
    }
}

/// A deposit or withdrawal that both signed and the chain refused; that the proposer says so is lost, and the acceptor comes back.
/// `for_good`: its nonce is used by another transaction.
fn refused_and_untold(flow: Flow, for_good: bool) -> World {
    let (proposer, acceptor) = (Role::Responder, Role::Initiator);
    let mut world = World::opened(Setup::default());
    world.party_mut(acceptor).client.plan.push_back(Reply::Late(20_000));
    world.arm(Fault::Lose { message: 2 });
    world.ask(proposer, World::funds_request(flow, 5));
    world.run_for(100);
    if for_good {
        world.spend(proposer, Coins(1));
    } else {
        world.refusing_chain = Some("nonce_too_high");
    }
    world.run_for(30_000);
    assert!(world.struck() && conflicts(&world, proposer) == ["conflict(5)"], "{}", world.describe());
    assert!(!world.party(acceptor).is_alive());
    let back = world.come_back(acceptor);
    assert!(back.is_ok(), "{back:?}: {}", world.describe());
    let open = |world: &World| told(world, proposer).iter().any(|told| told == "open");
    assert!(world.run_until(1_000, open));
    world
}

#[test]
fn an_acceptance_of_what_the_chain_refused_for_good_displaces_no_proposal() {
    for flow in FUNDS {
        let _case = Case(format!("{flow:?}"));
        let (proposer, acceptor) = (Role::Responder, Role::Initiator);
        let mut world = refused_and_untold(flow, true);
        world.party_mut(proposer).client.retries = 1;
        // The acceptor may repeat its acceptance while this is under way.
        let ticket = world.transfer(proposer, 9);
        world.run_for(1_000);
        assert!(world.took(proposer, ticket), "{}", world.describe());
        assert!(world.both(|party| party.round() == 2), "{}", world.describe());
        for role in BOTH {
            assert_eq!(conflicts(&world, role), ["conflict(5)"], "{}", world.describe());
        }
        world.transfer_well(acceptor, 1);
    }
}

#[test]
fn what_the_chain_refused_and_may_still_take_bars_the_next_round() {
    for flow in FUNDS {
        for role in BOTH {
            let _case = Case(format!("{flow:?}, a transfer of the {role}"));
            let mut world = refused_and_untold(flow, false);
            world.run_for(1_000);
            let ticket = world.transfer(role, 9);
            let answer = world.party(role).client.answer(ticket).cloned();
            let Some(Err(refusal)) = answer else { panic!("{answer:?}: {}", world.describe()) };
            assert!(matches!(refusal.reason, Reason::Looming { .. }), "{refusal:?}");
            // It comes after all: that is the next round then.
            let (_, signed, _) = world.submitted.last().cloned().unwrap();
            world.refusing_chain = None;
            world.hand_in(&signed);
            let done = world.run_until(100_000, |world| world.both(|party| party.round() == 2));
            assert!(done, "{}", world.describe());
            assert!(world.both(|party| party.channel().agreed_tx().is_some_and(|tx| tx.same_tx(&signed))));
            world.transfer_well(role, 1);
        }
    }
}

#[test]
fn who_comes_back_while_a_lock_is_awaited_has_time_for_it() {
    let patience = [Patience { funding_lock: 50_000, ..Patience::default() }; 2];
    for flow in FUNDS {
        for proposer in BOTH {
            for sleeper in BOTH {
                let _case = Case(format!("{flow:?} of the {proposer}, the {sleeper} sleeps"));
                let mut world = World::opened(Setup { keep_running: false, patience, ..Setup::default() });
                world.ask(proposer, World::funds_request(flow, 5));
                world.run_for(100);
                world.crash(sleeper, false);
                // Longer than a lock is waited for.
                world.run_for(120_000);
                let Ending::Agreed { returns } = world.recover() else { panic!("{}", world.describe()) };
                assert_eq!(returns, [1, 1], "{}", world.describe());
                assert!(world.both(|party| party.round() == 2));
            }
        }
    }
}

#[test]
fn two_transactions_of_one_client_do_not_take_the_same_nonce() {
    for flow in FUNDS {
        for role in BOTH {
            let _case = Case(format!("{flow:?} of the {role}"));
            let mut world = World::opened(Setup::default());
            world.transfer_well(role, 1);
            world.ask(role, World::funds_request(flow, 5));
            world.run_for(8);
            // The peer has the proposal, the chain does not know of it yet.
            world.ask(role, World::solo_request(Flow::SnapshotSolo));
            world.run_for(100);
            let posted = world.submitted.iter().rev().take(2).map(|(_, tx, _)| tx.tx().nonce());
            let nonces: Vec<_> = posted.collect();
            assert_ne!(nonces[0], nonces[1], "{:?}", world.submitted);
            world.run_for(60_000);
            assert!(world.both(|party| party.round() == 3), "{}", world.describe());
            let funds = world.submitted.iter().find(|(_, tx, _)| tx.kind() == flow.row().tx).unwrap();
            assert!(matches!(
                strait_ledger::ChainView::locate_tx(&world.chain, &funds.1.hash()),
                TxLocation::InBlock { .. }
            ));
        }
    }
}
