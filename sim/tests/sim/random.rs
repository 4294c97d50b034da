//! Whatever happens in whatever order: the invariants hold at every step, and both come to an end that they agree on.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use strait_channel::{Patience, Request, Role, TxOptions};
use strait_sim::{Ending, Fault, Forgery, Place, Reply, Setup, World};

use crate::support::BOTH;

/// Something that a client, a machine, the network or the chain does.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Transfer(Role, u128),
    Shutdown(Role),
    Leave(Role),
    Stop(Role),
    Answer(Role, Reply),
    Eager(Role),
    Crash(Role, bool),
    CrashSoon(Role, usize, Place),
    LoseSoon(usize),
    CutLine,
    ComeBack(Role),
    /// Both come back, and there is calm.
    Return,
    Detach(Role),
    Attach(Role),
    Latency(Role, u64),
    Jitter(u64, u64),
    Mine(bool),
    ChainRefuses(bool),
    Wait(u64),
    /// Until nothing is under way.
    Calm,
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Initiator), Just(Role::Responder)]
}

fn place() -> impl Strategy<Value = Place> {
    prop_oneof![Just(Place::BeforeStore), Just(Place::AfterStore), (0usize..4).prop_map(Place::AfterEffect)]
}

/// How long things take here: short enough for two clients to meet every one of these waits.
const ACCEPT: u64 = 400;

fn reply() -> impl Strategy<Value = Reply> {
    prop_oneof![
        Just(Reply::Sign),
        (0..2 * ACCEPT).prop_map(Reply::Late),
        (1u16..300).prop_map(Reply::Decline),
        (0..2 * ACCEPT, 1u16..6).prop_map(|(after, code)| Reply::LateDecline(after, code)),
        Just(Reply::Nothing),
        Just(Reply::Twice),
        prop::sample::select(&Forgery::ALL[..]).prop_map(Reply::Forge),
    ]
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        14 => (role(), 1u128..1_000_000).prop_map(|(role, amount)| Deed::Transfer(role, amount)),
        2 => role().prop_map(Deed::Shutdown),
        1 => role().prop_map(Deed::Leave),
        1 => role().prop_map(Deed::Stop),
        3 => (role(), reply()).prop_map(|(role, reply)| Deed::Answer(role, reply)),
        1 => role().prop_map(Deed::Eager),
        1 => (role(), any::<bool>()).prop_map(|(role, silent)| Deed::Crash(role, silent)),
        1 => (role(), 0usize..4, place()).prop_map(|(role, turn, place)| Deed::CrashSoon(role, turn, place)),
        1 => (0usize..4).prop_map(Deed::LoseSoon),
        1 => Just(Deed::CutLine),
        3 => role().prop_map(Deed::ComeBack),
        5 => Just(Deed::Return),
        1 => role().prop_map(Deed::Detach),
        1 => role().prop_map(Deed::Attach),
        2 => (role(), 0u64..80).prop_map(|(role, latency)| Deed::Latency(role, latency)),
        1 => (role(), 0u64..450).prop_map(|(role, latency)| Deed::Latency(role, latency)),
        1 => (0u64..80, any::<u64>()).prop_map(|(jitter, seed)| Deed::Jitter(jitter, seed)),
        1 => any::<bool>().prop_map(Deed::Mine),
        1 => any::<bool>().prop_map(Deed::ChainRefuses),
        7 => Just(Deed::Calm),
        8 => (0u64..150).prop_map(Deed::Wait),
        2 => (0..3 * ACCEPT).prop_map(Deed::Wait),
        1 => (0u64..60_000).prop_map(Deed::Wait),
    ]
}

fn setup(keep_running: bool) -> Setup {
    let patience =
        |accept| Patience { accept, sign: 3 * ACCEPT, funding_lock: 50_000, ..Patience::default() };
    // Also two sides whose patience differs.
    let responder = if keep_running { ACCEPT } else { 2 * ACCEPT };
    let patience = [patience(ACCEPT), patience(responder)];
    Setup { keep_running, patience, latency: [20, 20], ..Setup::default() }
}

fn perform(world: &mut World, deed: Deed) {
    match deed {
        Deed::Transfer(role, amount) => {
            if world.party(role).client.attached {
                world.transfer(role, amount);
            }
        }
        Deed::Shutdown(role) => request(world, role, Request::Shutdown(TxOptions::default())),
        Deed::Leave(role) => request(world, role, Request::Leave),
        Deed::Stop(role) => request(world, role, Request::Stop),
        Deed::Answer(role, reply) => world.party_mut(role).client.plan.push_back(reply),
        Deed::Eager(role) => world.party_mut(role).client.retries = 3,
        Deed::Crash(role, silent) => {
            if world.party(role).process.is_some() {
                world.crash(role, silent);
            }
        }
        Deed::CrashSoon(role, turn, place) => world.arm(Fault::Crash { role, turn, place, silent: false }),
        Deed::LoseSoon(message) => world.arm(Fault::Lose { message }),
        Deed::CutLine => world.cut_line(),
        Deed::ComeBack(role) => come_back(world, role),
        Deed::Return => {
            world.calm();
            for role in BOTH {
                come_back(world, role);
            }
            world.calm();
        }
        Deed::Detach(role) => {
            if world.party(role).client.attached {
                world.detach(role);
            }
        }
        Deed::Attach(role) => {
            if world.party(role).is_alive() && !world.party(role).client.attached {
                world.attach(role);
            }
        }
        Deed::Latency(to, latency) => world.set_latency(to, latency),
        Deed::Jitter(jitter, seed) => world.set_jitter(jitter, seed),
        Deed::Mine(mining) => world.mining = mining,
        Deed::ChainRefuses(refuses) => world.refusing_chain = refuses.then_some("pool_full"),
        Deed::Wait(milliseconds) => world.run_for(milliseconds),
        Deed::Calm => world.calm(),
    }
}

fn come_back(world: &mut World, role: Role) {
    if world.party(role).process.as_ref().is_some_and(|channel| !channel.is_alive()) {
        // A service may have a reason to refuse.
        let _ = world.come_back(role);
    }
}

fn request(world: &mut World, role: Role, request: Request) {
    if world.party(role).client.attached {
        world.ask(role, request);
    }
}

/// Everybody does what it can to go on.
fn end_well(world: &mut World) -> Ending {
    world.arm(Fault::Lose { message: usize::MAX });
    world.set_jitter(0, 0);
    for role in BOTH {
        world.set_latency(role, 20);
        world.party_mut(role).client.retries = 0;
    }
    let ending = world.recover();
    if let Ending::Agreed { .. } = ending {
        world.transfer_well(Role::Initiator, 1);
        world.transfer_well(Role::Responder, 1);
    }
    ending
}

/// How the stories ended, so that a generator that does nothing is noticed.
#[derive(Clone, Copy, Debug, Default)]
struct Endings {
    agreed: u32,
    came_back: u32,
    closed: u32,
    never: u32,
    rounds: u64,
}

impl Endings {
    fn count(&mut self, world: &World, ending: Ending) {
        self.rounds += world.model.round();
        match ending {
            Ending::Agreed { returns } => {
                self.agreed += 1;
                self.came_back += u32::from(returns != [0, 0]);
            }
            Ending::Closed => self.closed += 1,
            Ending::Never => self.never += 1,
        }
    }
}

/// Runs so many stories of at most so many deeds, the same ones each time.
fn tell_stories(cases: u32, deeds: usize, begin: impl Fn(bool) -> World) -> Endings {
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 2_000, ..Config::default() };
    let chance = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, chance);
    let endings = Cell::new(Endings::default());
    let strategy = (any::<bool>(), prop::collection::vec(deed(), 1..deeds));
    let result = runner.run(&strategy, |(keep_running, deeds)| {
        let mut world = begin(keep_running);
        for deed in deeds {
            perform(&mut world, deed);
        }
        let ending = end_well(&mut world);
        let mut counted = endings.get();
        counted.count(&world, ending);
        endings.set(counted);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    endings.get()
}

#[test]
fn an_open_channel_survives_whatever_happens() {
    let opened = [true, false].map(|keep_running| World::opened(setup(keep_running)));
    let endings = tell_stories(1_700, 30, |keep_running| opened[usize::from(!keep_running)].clone());
    println!("{endings:?}");
    assert_eq!(endings.never, 0, "an open channel cannot have been void");
    assert!(endings.agreed > 1_000 && endings.came_back > 500 && endings.closed > 100, "{endings:?}");
}

#[test]
fn an_opening_survives_whatever_happens() {
    let endings = tell_stories(300, 20, |keep_running| {
        let mut world = World::new(setup(keep_running));
        world.open(Role::Responder);
        world.open(Role::Initiator);
        world
    });
    println!("{endings:?}");
    assert!(endings.agreed > 50 && endings.never > 50, "{endings:?}");
}
