//! Every message lost and every step cut short, in every flow and by either side. Afterwards both agree, at the latest when
//! both clients have come back once.

use strait_channel::{Request, Role, TxOptions};
use strait_sim::{Ending, Fault, Place, Setup, World};

use crate::support::BOTH;

/// A flow, who starts it, and how it may end when something goes wrong.
struct Story {
    name: &'static str,
    before: fn(Setup, Role) -> World,
    start: fn(&mut World, Role),
    may_end: fn(Ending) -> bool,
}

const STORIES: [Story; 5] = [
    Story {
        name: "create",
        before: |setup, _| World::new(setup),
        start: |world, first| {
            world.open(first);
            if !world.party(first.other()).forgotten {
                world.open(first.other());
            }
        },
        may_end: |ending| matches!(ending, Ending::Agreed { .. } | Ending::Never),
    },
    Story {
        name: "update",
        before: |setup, _| World::opened(setup),
        start: |world, role| {
            world.transfer(role, 9);
        },
        may_end: |ending| matches!(ending, Ending::Agreed { .. }),
    },
    Story {
        name: "shutdown",
        before: |setup, _| World::opened(setup),
        start: |world, role| {
            world.ask(role, Request::Shutdown(TxOptions::default()));
        },
        may_end: |ending| matches!(ending, Ending::Agreed { .. } | Ending::Closed),
    },
    Story {
        name: "leave",
        before: |setup, _| World::opened(setup),
        start: |world, role| {
            world.ask(role, Request::Leave);
        },
        may_end: |ending| matches!(ending, Ending::Agreed { .. }),
    },
    Story {
        name: "reestablish",
        before: |setup, role| {
            let mut world = World::opened(setup);
            // One side is a round ahead when both come back.
            world.transfer_well(role, 1);
            let ticket = world.transfer(role, 2);
            world.arm(Fault::Lose { message: 1 });
            world.calm();
            assert!(world.took(role, ticket) && world.struck());
            for role in BOTH {
                if world.party(role).is_alive() {
                    world.ask(role, Request::Leave);
                }
            }
            world.calm();
            assert!(world.both(|party| !party.is_alive()));
            world
        },
        start: |world, first| {
            for role in [first, first.other()] {
                let asleep = world.party(role).process.as_ref().is_some_and(|channel| !channel.is_alive());
                if asleep {
                    let _ = world.come_back(role);
                }
            }
        },
        may_end: |ending| matches!(ending, Ending::Agreed { .. }),
    },
];

/// What was counted, to know that the faults were really met.
#[derive(Default, Debug)]
struct Count {
    struck: usize,
    closed: usize,
    never: usize,
    came_back: usize,
}

/// Runs a story with a fault; whether the fault struck.
fn run(story: &Story, setup: &Setup, role: Role, fault: Fault, count: &mut Count) -> bool {
    let mut world = (story.before)(setup.clone(), role);
    world.arm(fault);
    (story.start)(&mut world, role);
    world.run_for(60_000);
    if !world.struck() {
        return false;
    }
    count.struck += 1;
    let what = format!("{} by the {role}, {fault:?}, keep_running {}", story.name, setup.keep_running);
    let ending = world.recover();
    assert!((story.may_end)(ending), "{what} ends with {ending:?}\n{}", world.describe());
    match ending {
        Ending::Closed => count.closed += 1,
        Ending::Never => count.never += 1,
        Ending::Agreed { returns } => {
            assert!(returns.iter().all(|returns| *returns <= 1), "{what}: {returns:?} returns");
            count.came_back += returns.iter().sum::<usize>();
            world.transfer_well(Role::Initiator, 3);
            world.transfer_well(Role::Responder, 4);
        }
    }
    true
}

fn setups() -> [Setup; 2] {
    [true, false].map(|keep_running| Setup { keep_running, ..Setup::default() })
}

#[test]
fn every_message_can_be_lost() {
    let mut count = Count::default();
    for story in &STORIES {
        for setup in &setups() {
            for role in BOTH {
                for message in 0.. {
                    if !run(story, setup, role, Fault::Lose { message }, &mut count) {
                        break;
                    }
                }
            }
        }
    }
    println!("lost messages: {count:?}");
    assert!(count.struck >= 40, "{count:?}");
}

fn crashes(silent: bool) -> Count {
    let mut count = Count::default();
    for story in &STORIES {
        for setup in &setups() {
            for role in BOTH {
                for victim in BOTH {
                    crash_everywhere(story, setup, role, victim, silent, &mut count);
                }
            }
        }
    }
    count
}

fn crash_everywhere(story: &Story, setup: &Setup, role: Role, victim: Role, silent: bool, count: &mut Count) {
    for turn in 0.. {
        let mut at = |place| {
            let fault = Fault::Crash { role: victim, turn, place, silent };
            run(story, setup, role, fault, count)
        };
        if !at(Place::BeforeStore) {
            return;
        }
        at(Place::AfterStore);
        for effect in 0.. {
            if !at(Place::AfterEffect(effect)) {
                break;
            }
        }
    }
}

#[test]
fn every_step_can_be_cut_short() {
    let count = crashes(false);
    println!("crashes: {count:?}");
    assert!(count.struck >= 300, "{count:?}");
}

#[test]
fn every_step_can_be_cut_short_with_the_machine() {
    let count = crashes(true);
    println!("silent crashes: {count:?}");
    assert!(count.struck >= 300, "{count:?}");
}
