//! Every message lost and every step cut short, in every flow and by either side. Afterwards both agree, at the latest when
//! both clients have come back once; a channel that was closed alone pays out what was agreed last.

use strait_channel::{Flow, Request, Role, TxOptions};
use strait_encoding::ContractId;
use strait_sim::{Call, Ending, Fault, Place, Program, Setup, World};

use crate::generalized::{self, KINDS};
use crate::support::{BOTH, Case, solo_well, with_contracts};

/// A flow, who starts it, and how it may end when something goes wrong.
struct Story {
    name: &'static str,
    before: fn(Setup, Role) -> World,
    start: fn(&mut World, Role),
    may_end: fn(Ending) -> bool,
}

const fn agreed(ending: Ending) -> bool {
    matches!(ending, Ending::Agreed { .. })
}

const fn agreed_or_closed(ending: Ending) -> bool {
    matches!(ending, Ending::Agreed { .. } | Ending::Closed)
}

const fn closed(ending: Ending) -> bool {
    matches!(ending, Ending::Closed)
}

const STORIES: [Story; 20] = [
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
        may_end: agreed,
    },
    Story {
        name: "contract create",
        before: |setup, _| World::opened(setup),
        start: |world, role| {
            world.ask(role, Program::Spender.create(9));
        },
        may_end: agreed,
    },
    Story {
        name: "contract call",
        before: |setup, _| with_contracts(setup).0,
        start: |world, role| {
            let spender = contract(world, Program::Spender);
            let me = world.party(role).signer.account();
            world.ask(role, Call::Spend(me, 90).of(spender, 0));
        },
        may_end: agreed,
    },
    Story {
        name: "contract call that fails",
        before: |setup, _| with_contracts(setup).0,
        start: |world, role| {
            let callee = contract(world, Program::Callee);
            world.ask(role, Call::FailError.of(callee, 8));
        },
        may_end: agreed,
    },
    Story {
        name: "force_progress",
        before: |setup, _| with_contracts(setup).0,
        start: force,
        may_end: agreed,
    },
    Story {
        name: "force_progress while closing",
        before: |setup, role| {
            let mut world = with_contracts(setup).0;
            for role in BOTH {
                world.party_mut(role).client.watchful = false;
            }
            solo_well(&mut world, role.other(), Flow::CloseSolo);
            world
        },
        start: force,
        may_end: closed,
    },
    Story {
        name: "shutdown with coins in a contract",
        before: |setup, _| with_contracts(setup).0,
        start: |world, role| {
            world.ask(role, Request::Shutdown(TxOptions::default()));
        },
        may_end: agreed_or_closed,
    },
    Story {
        name: "close_solo with coins in a contract",
        before: |setup, _| with_contracts(setup).0,
        start: |world, role| {
            world.ask(role, World::solo_request(Flow::CloseSolo));
        },
        may_end: agreed_or_closed,
    },
    Story {
        // Before the contract was there each had more.
        name: "slash with a round that ran a contract",
        before: |setup, _| with_contracts(setup).0,
        start: |world, role| {
            world.close_with(role.other(), 1);
        },
        may_end: closed,
    },
    Story {
        name: "deposit",
        before: in_round_two,
        start: |world, role| {
            world.ask(role, World::funds_request(Flow::Deposit, 9));
        },
        may_end: agreed,
    },
    Story {
        name: "withdraw",
        before: in_round_two,
        start: |world, role| {
            world.ask(role, World::funds_request(Flow::Withdraw, 9));
        },
        may_end: agreed,
    },
    Story {
        name: "shutdown",
        before: |setup, _| World::opened(setup),
        start: |world, role| {
            world.ask(role, Request::Shutdown(TxOptions::default()));
        },
        may_end: agreed_or_closed,
    },
    Story {
        name: "close_solo",
        before: in_round_two,
        start: |world, role| {
            world.ask(role, World::solo_request(Flow::CloseSolo));
        },
        may_end: agreed_or_closed,
    },
    Story {
        // Whoever holds the peer's key closes with the first round, which pays the peer more.
        name: "slash",
        before: in_round_two,
        start: |world, role| {
            world.close_with(role.other(), 1);
        },
        may_end: closed,
    },
    Story {
        name: "settle",
        before: |setup, role| {
            let mut world = in_round_two(setup, role);
            for role in BOTH {
                world.party_mut(role).client.watchful = false;
            }
            solo_well(&mut world, role, Flow::CloseSolo);
            world
        },
        start: |world, role| {
            world.ask(role, World::solo_request(Flow::Settle));
            world.run_for(200_000);
        },
        may_end: closed,
    },
    Story {
        name: "snapshot_solo",
        before: in_round_two,
        start: |world, role| {
            world.ask(role, World::solo_request(Flow::SnapshotSolo));
        },
        may_end: agreed,
    },
    Story {
        name: "close_solo by who is a round behind",
        before: |setup, role| {
            let mut world = in_round_two(setup, role);
            let ticket = world.transfer(role, 2);
            world.arm(Fault::Lose { message: 1 });
            world.calm();
            assert!(world.took(role, ticket) && world.struck());
            assert_eq!(BOTH.map(|side| world.round(side) - u64::from(side != role)), [2, 2]);
            world
        },
        start: |world, role| {
            if !world.party(role).is_alive() {
                // Its peer may not be there.
                let _ = world.come_back(role);
            }
            world.ask(role, World::solo_request(Flow::CloseSolo));
        },
        may_end: agreed_or_closed,
    },
    Story {
        name: "leave",
        before: |setup, _| World::opened(setup),
        start: |world, role| {
            world.ask(role, Request::Leave);
        },
        may_end: agreed,
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
        may_end: agreed,
    },
];

/// Round 2, in which the peer of `role` has paid.
fn in_round_two(setup: Setup, role: Role) -> World {
    let mut world = World::opened(setup);
    world.transfer_well(role.other(), 1_000);
    world
}

fn force(world: &mut World, role: Role) {
    let spender = contract(world, Program::Spender);
    let me = world.party(role).signer.account();
    world.ask(role, Call::Spend(me, 90).forced(spender, 0));
}

fn contract(world: &World, program: Program) -> ContractId {
    let contracts = world.model.contracts();
    let found = contracts.iter().find(|(_, of, _)| *of == program);
    found.map_or_else(|| panic!("no {program:?}"), |(contract, ..)| *contract)
}

/// What was counted, to know that the faults were really met.
#[derive(Default, Debug)]
struct Count {
    struck: usize,
    closed: usize,
    never: usize,
    came_back: usize,
}

/// Runs a story with a fault from where it begins; whether the fault struck.
fn run(story: &Story, begin: &World, role: Role, fault: Fault, count: &mut Count) -> bool {
    let mut world = begin.clone();
    let keep_running = world.party(Role::Responder).terms.keep_running;
    let what = format!("{} by the {role}, {fault:?}, keep_running {keep_running}", story.name);
    let _case = Case(what.clone());
    world.arm(fault);
    (story.start)(&mut world, role);
    world.run_for(60_000);
    if !world.struck() {
        return false;
    }
    count.struck += 1;
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

/// Stories between generalized accounts: what a contract authenticates off chain, what on chain, and what one does alone.
const GENERALIZED: [&str; 5] = ["create", "update", "deposit", "shutdown", "close_solo"];

fn generalized_stories() -> impl Iterator<Item = (&'static Story, Setup)> {
    let stories = STORIES.iter().filter(|story| GENERALIZED.contains(&story.name));
    stories.flat_map(|story| KINDS.map(|kinds| (story, generalized::setup(kinds))))
}

/// A responder that survives the loss of its peer, and one that does not. That a contract ran makes no difference to what they
/// do then: those stories have one of both.
fn setups(story: &Story) -> Vec<Setup> {
    let contracts = story.name.contains("contract") || story.name.contains("force");
    let both: &[bool] = if contracts { &[true] } else { &[true, false] };
    both.iter().map(|keep_running| Setup { keep_running: *keep_running, ..Setup::default() }).collect()
}

#[test]
fn every_message_can_be_lost() {
    let mut count = Count::default();
    for story in &STORIES {
        for setup in &setups(story) {
            for role in BOTH {
                let begin = (story.before)(setup.clone(), role);
                for message in 0.. {
                    if !run(story, &begin, role, Fault::Lose { message }, &mut count) {
                        break;
                    }
                }
            }
        }
    }
    println!("lost messages: {count:?}");
    // Of a deposit four, of a withdrawal four, of an update two, of a close two, by either side, with either responder.
    assert!(count.struck >= 2 * 2 * (4 + 4 + 2 + 2), "{count:?}");
}

fn crashes(silent: bool) -> Count {
    let mut count = Count::default();
    for story in &STORIES {
        for setup in &setups(story) {
            for role in BOTH {
                let begin = (story.before)(setup.clone(), role);
                let before = count.struck;
                for victim in BOTH {
                    crash_everywhere(story, &begin, role, victim, silent, &mut count);
                }
                assert!(count.struck >= before + 6, "{} by the {role} is hardly disturbed", story.name);
            }
        }
    }
    count
}

fn crash_everywhere(story: &Story, begin: &World, role: Role, victim: Role, silent: bool, count: &mut Count) {
    for turn in 0.. {
        let mut at = |place| {
            let fault = Fault::Crash { role: victim, turn, place, silent };
            run(story, begin, role, fault, count)
        };
        if !at(Place::BeforeStore) {
            return;
        }
        at(Place::AfterPrompt);
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
    assert!(count.struck >= 1_000 && count.closed >= 300, "{count:?}");
}

#[test]
fn every_step_can_be_cut_short_with_the_machine() {
    let count = crashes(true);
    println!("silent crashes: {count:?}");
    assert!(count.struck >= 1_000 && count.closed >= 300, "{count:?}");
}

#[test]
fn every_message_between_generalized_accounts_can_be_lost() {
    let mut count = Count::default();
    for (story, setup) in generalized_stories() {
        for role in BOTH {
            let begin = (story.before)(setup.clone(), role);
            for message in 0.. {
                if !run(story, &begin, role, Fault::Lose { message }, &mut count) {
                    break;
                }
            }
        }
    }
    println!("messages lost by generalized accounts: {count:?}");
    assert!(count.struck >= KINDS.len() * 2 * (4 + 4 + 2 + 2), "{count:?}");
}

/// One kind of channel after the other: what is cut short is much the same in all of them.
#[test]
fn every_step_of_generalized_accounts_can_be_cut_short() {
    let (mut count, mut kinds) = (Count::default(), KINDS.into_iter().cycle());
    for story in STORIES.iter().filter(|story| GENERALIZED.contains(&story.name)) {
        for role in BOTH {
            for victim in BOTH {
                let kinds = kinds.next().expect("it never ends");
                let begin = (story.before)(generalized::setup(kinds), role);
                let _case = Case(format!("{kinds:?}"));
                crash_everywhere(story, &begin, role, victim, victim == role, &mut count);
            }
        }
    }
    println!("crashes of generalized accounts: {count:?}");
    assert!(count.struck >= 300 && count.closed >= 50, "{count:?}");
}
