//! The chain goes over to another branch in the middle of every flow: nothing is told twice, both follow, nobody loses
//! (`docs/decisions/0008`). That nothing is told twice every client of every world checks.

use strait_channel::{DepthRule, Flow, Place, Request, Role, TxOptions};
use strait_ledger::{Abandoned, BranchOrder, ChainView, ForkPlan, TxLocation};
use strait_sim::{Ending, Setup, World};

use crate::support::{BOTH, Case, FUNDS, clear, conflicts, funds_well, solo_well, told};

/// How deep the deepest fork is, in key blocks.
const DEEPEST: u64 = 20;

/// What a new branch does with what was mined before.
const BRANCHES: [(&str, Abandoned, BranchOrder); 4] = [
    ("as before", Abandoned::Mined, BranchOrder::AsBefore),
    ("in the other order", Abandoned::Mined, BranchOrder::Reversed),
    ("at its end", Abandoned::Mined, BranchOrder::Last),
    ("not at all", Abandoned::Waits, BranchOrder::AsBefore),
];

fn plan(depth: u64, others: Abandoned, order: BranchOrder) -> ForkPlan {
    ForkPlan { others, order, ..ForkPlan::new(depth) }
}

/// A flow during which the chain forks, and how it may end.
struct Story {
    name: &'static str,
    /// Comes to just before the flow; the chain is higher than the deepest fork.
    before: fn(Role) -> World,
    start: fn(&mut World, Role),
    ends: fn(Ending) -> bool,
}

fn agreed(ending: Ending) -> bool {
    matches!(ending, Ending::Agreed { .. })
}

fn closed(ending: Ending) -> bool {
    ending == Ending::Closed
}

/// Round 2, in which the peer of `role` has paid, high above the create transaction.
fn in_round_two(role: Role) -> World {
    let mut world = World::opened(Setup::default());
    world.transfer_well(role.other(), 1_000);
    world.run_for(10_000 * (DEEPEST + 2));
    world
}

const STORIES: [Story; 10] = [
    Story {
        name: "create",
        before: |_| {
            let mut world = World::new(Setup::default());
            world.run_for(10_000 * (DEEPEST + 2));
            world
        },
        start: |world, _| {
            world.open(Role::Responder);
            world.open(Role::Initiator);
        },
        ends: agreed,
    },
    Story {
        name: "update",
        // The create transaction itself is taken back.
        before: |_| World::opened(Setup::default()),
        start: |world, role| {
            world.transfer(role, 9);
        },
        ends: agreed,
    },
    Story {
        name: "deposit",
        before: in_round_two,
        start: |world, role| {
            world.ask(role, World::funds_request(Flow::Deposit, 9));
        },
        ends: agreed,
    },
    Story {
        name: "withdraw",
        before: in_round_two,
        start: |world, role| {
            world.ask(role, World::funds_request(Flow::Withdraw, 9));
        },
        ends: agreed,
    },
    Story {
        name: "deposit and withdraw",
        before: |role| {
            let mut world = in_round_two(role);
            // The nonces hold the two in order. Of two parties' transactions a branch may hold the later round alone, and then
            // never the earlier one: whoever does not want that asks for more confirmations than a fork is deep.
            funds_well(&mut world, role, Flow::Deposit, 50);
            world
        },
        start: |world, role| {
            world.ask(role, World::funds_request(Flow::Withdraw, 9));
        },
        ends: agreed,
    },
    Story {
        name: "shutdown",
        before: in_round_two,
        start: |world, role| {
            world.ask(role, Request::Shutdown(TxOptions::default()));
        },
        ends: closed,
    },
    Story {
        name: "close_solo",
        before: in_round_two,
        start: |world, role| {
            world.ask(role, World::solo_request(Flow::CloseSolo));
        },
        ends: closed,
    },
    Story {
        name: "slash",
        before: in_round_two,
        start: |world, role| {
            world.close_with(role.other(), 1);
        },
        ends: closed,
    },
    Story {
        name: "settle",
        before: |role| {
            let mut world = in_round_two(role);
            for role in BOTH {
                world.party_mut(role).client.watchful = false;
            }
            solo_well(&mut world, role, Flow::CloseSolo);
            world.run_for(10_000 * 12);
            world
        },
        start: |world, role| {
            world.ask(role, World::solo_request(Flow::Settle));
        },
        ends: closed,
    },
    Story {
        name: "snapshot_solo",
        before: in_round_two,
        start: |world, role| {
            world.ask(role, World::solo_request(Flow::SnapshotSolo));
        },
        ends: agreed,
    },
];

#[test]
fn a_fork_of_any_depth_in_any_flow_leads_to_the_same_end() {
    let (mut ended, mut came_back) = (0, 0);
    for story in &STORIES {
        for (side, role) in BOTH.into_iter().enumerate() {
            let begin = (story.before)(role);
            // Before a block holds it, as soon as one does, when it is confirmed, and later.
            for (moment, after) in [1_000, 10_000, 20_050, 50_000].into_iter().enumerate() {
                let mut world = begin.clone();
                (story.start)(&mut world, role);
                world.run_for(after);
                for depth in 1..=DEEPEST.min(world.height()) {
                    // At each depth every branch comes up, at one moment for each side.
                    let turn = usize::try_from(depth).unwrap_or_default() + moment + 2 * side;
                    let (name, others, order) = BRANCHES[turn % BRANCHES.len()];
                    let what = format!("{} by the {role}, {depth} deep after {after} ms, {name}", story.name);
                    let ending = after_fork(&world, story, &plan(depth, others, order), what);
                    ended += 1;
                    if let Ending::Agreed { returns } = ending {
                        came_back += returns.iter().sum::<usize>();
                    }
                }
            }
        }
    }
    println!("{ended} forks, {came_back} came back");
    assert!(ended > 1_000);
}

fn after_fork(world: &World, story: &Story, plan: &ForkPlan, what: String) -> Ending {
    let mut world = world.clone();
    let case = Case(what);
    world.fork(plan);
    world.run_for(60_000);
    let ending = world.recover();
    assert!((story.ends)(ending), "{} ends with {ending:?}: {}", case.0, world.describe());
    if let Ending::Agreed { returns } = ending {
        assert!(returns.iter().all(|returns| *returns <= 1), "{}: {returns:?}", case.0);
        world.transfer_well(Role::Initiator, 3);
        world.transfer_well(Role::Responder, 4);
    }
    ending
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
        let mut world = in_round_two(closer);
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
                let mut world = in_round_two(sleeper);
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
