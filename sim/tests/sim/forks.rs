//! The chain goes over to another branch, and what exactly is told then (`docs/decisions/0008`).

use strait_channel::{DepthRule, Flow, Place, Role};
use strait_ledger::{Abandoned, BranchOrder, ChainView, ForkPlan, TxLocation};
use strait_sim::{Ending, Setup, World};

use crate::fork_grid::{agreed, flow_tx, hasty, in_round_two, spends};
use crate::support::{BOTH, Case, FUNDS, clear, conflicts, funds_well, id_of, solo_well, told};

fn plan(depth: u64, others: Abandoned, order: BranchOrder) -> ForkPlan {
    ForkPlan { others, order, ..ForkPlan::new(depth) }
}

#[test]
fn confirmations_are_counted_anew_on_another_branch() {
    let depth = [Some(DepthRule::Plain(5)); 2];
    for flow in FUNDS {
        for role in BOTH {
            let mut world = World::opened(Setup { depth, ..Setup::default() });
            clear(&mut world);
            world.ask(role, World::funds_request(flow, 9));
            world.run_for(35_000);
            let hash = world.submitted.last().map(|(_, tx, _)| tx.hash()).unwrap();
            assert!(matches!(world.chain.locate_tx(&hash), TxLocation::InBlock { .. }));
            world.fork(&plan(4, Abandoned::Waits, BranchOrder::AsBefore));
            assert_eq!(world.chain.locate_tx(&hash), TxLocation::Pool);
            world.run_for(10_000);
            let TxLocation::InBlock { height, .. } = world.chain.locate_tx(&hash) else {
                panic!("not mined")
            };
            let done = world.run_until(100_000, |world| world.both(|party| party.round() == 2));
            assert!(done && world.height() - height.0 == 5, "{}", world.describe());
            let name = flow.row().name;
            let heard = told(&world, role);
            let expected = [
                format!("sign.{name}_tx"),
                format!("on_chain_tx({name}_signed)"),
                "on_chain_tx(channel_changed)".to_owned(),
                format!("own_{name}_locked"),
                format!("{name}_locked"),
                "channels.update".to_owned(),
            ];
            assert_eq!(heard, expected);
        }
    }
}

#[test]
fn what_a_fork_loses_before_it_is_confirmed_is_given_up_by_both() {
    let depth = [Some(DepthRule::Plain(5)); 2];
    for flow in FUNDS {
        for role in BOTH {
            let mut world = World::opened(Setup { depth, ..Setup::default() });
            clear(&mut world);
            world.ask(role, World::funds_request(flow, 9));
            world.run_for(25_000);
            world.fork(&plan(4, Abandoned::Lost, BranchOrder::AsBefore));
            let told = |world: &World| BOTH.into_iter().all(|role| conflicts(world, role) == ["conflict(5)"]);
            assert!(world.run_until(800_000, told), "{}", world.describe());
            world.calm();
            world.transfer_well(Role::Initiator, 1);
            world.transfer_well(Role::Responder, 1);
            funds_well(&mut world, role, flow, 10);
        }
    }
}

#[test]
fn a_close_that_a_fork_takes_back_opens_the_channel_again() {
    for closer in BOTH {
        let mut world = in_round_two(hasty(), closer);
        clear(&mut world);
        for role in BOTH {
            world.party_mut(role).client.watchful = false;
        }
        solo_well(&mut world, closer, Flow::CloseSolo);
        assert!(world.both(|party| party.channel().place() == Place::Closing));
        world.mining = false;
        let mut lost = world.clone();
        world.fork(&plan(3, Abandoned::Waits, BranchOrder::AsBefore));
        assert!(world.both(|party| party.channel().place() == Place::Open), "{}", world.describe());
        let closing = ["on_chain_tx(solo_closing)", "closing", "open", "channels.update"];
        assert_eq!(told(&world, closer.other()), closing);
        // It waits, and comes again.
        world.mining = true;
        world.run_for(20_000);
        assert!(world.both(|party| party.channel().place() == Place::Closing), "{}", world.describe());
        assert_eq!(world.recover(), Ending::Closed);

        lost.fork(&plan(3, Abandoned::Lost, BranchOrder::AsBefore));
        lost.mining = true;
        lost.run_for(20_000);
        assert!(lost.both(|party| party.channel().place() == Place::Open), "{}", lost.describe());
        lost.transfer_well(Role::Initiator, 1);
        lost.transfer_well(Role::Responder, 1);
        funds_well(&mut lost, closer, Flow::Deposit, 5);
        // The lost one is remembered by nobody: the next is a new one.
        solo_well(&mut lost, closer, Flow::CloseSolo);
        assert_eq!(lost.recover(), Ending::Closed);
    }
}

#[test]
fn who_sleeps_through_a_fork_hears_of_each_transaction_once() {
    for flow in FUNDS {
        for sleeper in BOTH {
            for depth in [2, 7, 12] {
                let _case = Case(format!("{flow:?}, the {sleeper} sleeps, {depth} deep"));
                let mut world = in_round_two(hasty(), sleeper);
                world.ask(sleeper, World::funds_request(flow, 9));
                world.run_for(100);
                world.crash(sleeper, false);
                world.run_for(60_000);
                world.fork(&plan(depth, Abandoned::Waits, BranchOrder::AsBefore));
                world.run_for(30_000);
                let ending = world.recover();
                assert!(agreed(ending), "{ending:?}: {}", world.describe());
                let changed = told(&world, sleeper)
                    .iter()
                    .filter(|told| *told == "on_chain_tx(channel_changed)")
                    .count();
                // The create transaction was heard of before.
                assert_eq!(changed, 1, "{}", world.describe());
                world.transfer_well(sleeper, 1);
            }
        }
    }
}

#[test]
fn whose_slash_a_fork_makes_impossible_is_told_in_time_to_slash_again() {
    for victim in BOTH {
        let _case = Case(format!("the {victim} slashes"));
        let mut world = in_round_two(hasty(), victim);
        world.party_mut(victim.other()).client.watchful = false;
        clear(&mut world);
        world.close_with(victim.other(), 1);
        let is_slash = |world: &World| {
            world.submitted.last().is_some_and(|(_, tx, _)| {
                let mined = matches!(world.chain.locate_tx(&tx.hash()), TxLocation::InBlock { .. });
                mined && Flow::of_tx(tx.kind()) == Some(Flow::Slash)
            })
        };
        assert!(world.run_until(60_000, is_slash), "{}", world.describe());
        let slash = flow_tx(&world, Flow::Slash).unwrap();
        // On the other branch the victim's account used the nonce for something else.
        world.fork_with_rival(&ForkPlan::new(1), &slash, |world, chain| spends(world, victim, chain));
        let id = id_of(&world);
        assert_eq!(world.chain.channel(id).unwrap().round.0, 1);
        // Only what its service tells makes the client act; the cheat takes the coins as soon as it can.
        let over = |world: &World| {
            let object = world.chain.channel(id);
            object.is_none_or(|object| object.locked_until < world.chain.top_height())
        };
        assert!(world.run_until(600_000, over));
        if let Some(object) = world.chain.channel(id) {
            let cheat = victim.other();
            let settle = world.solo_of(Flow::Settle, cheat, object.round.0, &world.chain);
            world.post(cheat, settle);
        }
        let closed = world.run_until(600_000, |world| world.both(|party| party.forgotten));
        assert!(closed, "{}", world.describe());
    }
}

#[test]
fn what_a_party_posted_and_no_block_can_hold_any_more_is_told() {
    for flow in [Flow::CloseSolo, Flow::SnapshotSolo, Flow::Settle] {
        for role in BOTH {
            let _case = Case(format!("{flow:?} of the {role}"));
            let mut world = in_round_two(hasty(), role);
            for role in BOTH {
                world.party_mut(role).client.watchful = false;
            }
            if flow == Flow::Settle {
                solo_well(&mut world, role, Flow::CloseSolo);
                world.run_for(120_000);
            }
            clear(&mut world);
            solo_well(&mut world, role, flow);
            let own = flow_tx(&world, flow).unwrap();
            world.fork_with_rival(&ForkPlan::new(0), &own, |world, chain| spends(world, role, chain));
            world.run_for(60_000);
            assert_eq!(conflicts(&world, role), ["conflict(5)"], "{}", world.describe());
            assert!(conflicts(&world, role.other()).is_empty());
            // It may be asked for again.
            solo_well(&mut world, role, flow);
        }
    }
}
