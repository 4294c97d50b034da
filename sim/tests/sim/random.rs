//! Whatever happens in whatever order: the invariants hold at every step, and both come to an end that they agree on, or
//! with their coins.
//!
//! `STRAIT_SIM_STORIES` says how many stories are told: 100,000 of them take minutes with `cargo test --release -p strait-sim
//! random`.

use std::cell::Cell;
use std::ops::AddAssign;
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use strait_channel::{Flow, Patience, Request, Role, TxOptions};
use strait_encoding::ContractId;
use strait_ledger::{Abandoned, BranchOrder, ChainView, ForkPlan, TxLocation};
use strait_sim::{Call, Ending, Fault, Forgery, Place, Program, Reply, Setup, World};

use crate::support::{BOTH, with_contracts};

/// Something that a client, a machine, the network or the chain does.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Transfer(Role, u128),
    Funds(Role, Flow, u128),
    Create(Role, Program, u128),
    /// Of which contract, if there are several; with how many coins.
    Call(Role, usize, Deal, u128),
    /// As a call, but forced on chain.
    Force(Role, usize, Deal, u128),
    Alone(Role, Flow),
    /// Somebody with the key of a role closes with the state of so many rounds ago.
    Cheat(Role, u64),
    /// Somebody with the key of a role forces a call on the state of so many rounds ago.
    CheatForce(Role, u64, u128),
    Shutdown(Role),
    /// Somebody with the key of a role completes a close that the other one proposed so many proposals ago.
    Complete(Role, usize),
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
    /// No deeper than the confirmations that both asked for.
    Fork(u64, Abandoned, BranchOrder),
    Wait(u64),
    /// Until nothing is under way.
    Calm,
}

/// A call, before it is known who gets the coins.
#[derive(Clone, Copy, Debug)]
enum Deal {
    Spend(Role, u128),
    SpendFail(Role, u128),
    SpendTwo(u128, u128),
    Keep,
    Set(u128),
    Fail,
    Revert,
    Height,
    Nonsense,
}

impl Deal {
    fn call(self, world: &World, program: Program) -> Call {
        let account = |role| world.party(role).signer.account();
        match (self, program) {
            (Deal::Spend(to, amount), _) => Call::Spend(account(to), amount),
            (Deal::SpendFail(to, amount), _) => Call::SpendFail(account(to), amount),
            (Deal::SpendTwo(some, more), _) => {
                Call::SpendTwo([(account(Role::Initiator), some), (account(Role::Responder), more)])
            }
            (Deal::Keep, Program::Callee) => Call::Pay,
            (Deal::Keep, _) => Call::Deposit,
            (Deal::Set(number), _) => Call::Set(number),
            (Deal::Fail, _) => Call::FailError,
            (Deal::Revert, _) => Call::FailRevert,
            (Deal::Height, _) => Call::Height,
            (Deal::Nonsense, _) => Call::Nonsense,
        }
    }
}

fn deal() -> impl Strategy<Value = Deal> {
    prop_oneof![
        5 => (role(), 0u128..400).prop_map(|(to, amount)| Deal::Spend(to, amount)),
        1 => (role(), 0u128..1_500).prop_map(|(to, amount)| Deal::SpendFail(to, amount)),
        2 => (0u128..700, 0u128..700).prop_map(|(some, more)| Deal::SpendTwo(some, more)),
        6 => Just(Deal::Keep),
        1 => (0u128..1_000).prop_map(Deal::Set),
        1 => Just(Deal::Fail),
        1 => Just(Deal::Revert),
        2 => Just(Deal::Height),
        1 => Just(Deal::Nonsense),
    ]
}

/// Often none: few functions take coins.
fn alms() -> impl Strategy<Value = u128> {
    prop_oneof![1 => Just(0u128), 1 => 1u128..2_000]
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Initiator), Just(Role::Responder)]
}

fn place() -> impl Strategy<Value = Place> {
    prop_oneof![
        Just(Place::BeforeStore),
        Just(Place::AfterPrompt),
        Just(Place::AfterStore),
        (0usize..4).prop_map(Place::AfterEffect)
    ]
}

fn funds() -> impl Strategy<Value = Flow> {
    prop_oneof![Just(Flow::Deposit), Just(Flow::Withdraw)]
}

fn alone() -> impl Strategy<Value = Flow> {
    prop_oneof![
        1 => Just(Flow::CloseSolo),
        4 => Just(Flow::SnapshotSolo),
        1 => Just(Flow::Slash),
        1 => Just(Flow::Settle),
    ]
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
        10 => (role(), 1u128..1_000_000).prop_map(|(role, amount)| Deed::Transfer(role, amount)),
        4 => (role(), 1u128..2_000_000_000_000_000).prop_map(|(role, amount)| Deed::Transfer(role, amount)),
        12 => (role(), funds(), 1u128..1_000_000).prop_map(|(role, flow, amount)| Deed::Funds(role, flow, amount)),
        4 => (role(), prop::sample::select(&Program::ALL[..]), 0u128..500_000)
            .prop_map(|(role, program, deposit)| Deed::Create(role, program, deposit)),
        17 => (role(), 0usize..4, deal(), alms())
            .prop_map(|(role, which, deal, amount)| Deed::Call(role, which, deal, amount)),
        3 => (role(), 0usize..4, deal(), alms())
            .prop_map(|(role, which, deal, amount)| Deed::Force(role, which, deal, amount)),
        2 => (role(), alone()).prop_map(|(role, flow)| Deed::Alone(role, flow)),
        1 => (role(), 0u64..4).prop_map(|(role, rounds)| Deed::Cheat(role, rounds)),
        1 => (role(), 0u64..4, 0u128..400)
            .prop_map(|(role, rounds, amount)| Deed::CheatForce(role, rounds, amount)),
        2 => role().prop_map(Deed::Shutdown),
        1 => (role(), 0usize..3).prop_map(|(role, old)| Deed::Complete(role, old)),
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
        1 => fork(),
        7 => Just(Deed::Calm),
        8 => (0u64..150).prop_map(Deed::Wait),
        2 => (0..3 * ACCEPT).prop_map(Deed::Wait),
        1 => (0u64..60_000).prop_map(Deed::Wait),
    ]
}

fn fork() -> impl Strategy<Value = Deed> {
    let others = prop_oneof![Just(Abandoned::Mined), Just(Abandoned::Waits)];
    let order =
        prop_oneof![Just(BranchOrder::AsBefore), Just(BranchOrder::Reversed), Just(BranchOrder::Last)];
    (0u64..=1, others, order).prop_map(|(depth, others, order)| Deed::Fork(depth, others, order))
}

fn setup(keep_running: bool) -> Setup {
    let patience = |accept| Patience {
        accept,
        sign: 3 * ACCEPT,
        funding_sign: accept,
        funding_lock: 50_000,
        ..Patience::default()
    };
    // Also two sides whose patience differs.
    let responder = if keep_running { ACCEPT } else { 2 * ACCEPT };
    let patience = [patience(ACCEPT), patience(responder)];
    // Longer than anybody is away.
    let lock_period = 100;
    Setup { keep_running, patience, lock_period, block_time: 3_000, latency: [20, 20], ..Setup::default() }
}

fn perform(world: &mut World, deed: Deed) {
    match deed {
        Deed::Transfer(role, amount) => {
            if world.party(role).client.attached {
                world.transfer(role, amount);
            }
        }
        Deed::Funds(role, flow, amount) => request(world, role, World::funds_request(flow, amount)),
        Deed::Create(role, program, deposit) => request(world, role, program.create(deposit)),
        Deed::Call(role, which, deal, amount) => {
            let (contract, deal) = called(world, role, which, deal);
            request(world, role, deal.of(contract, amount));
        }
        Deed::Force(role, which, deal, amount) => {
            let (contract, deal) = called(world, role, which, deal);
            request(world, role, deal.forced(contract, amount));
        }
        Deed::Alone(role, flow) => request(world, role, World::solo_request(flow)),
        Deed::Cheat(role, rounds) => cheat(world, role, rounds),
        Deed::CheatForce(role, rounds, amount) => cheat_by_force(world, role, rounds, amount),
        Deed::Shutdown(role) => request(world, role, Request::Shutdown(TxOptions::default())),
        Deed::Complete(role, old) => drop(world.complete_close(role, old)),
        Deed::Leave(role) => request(world, role, Request::Leave),
        Deed::Stop(role) => request(world, role, Request::Stop),
        Deed::Answer(role, reply) => world.party_mut(role).client.plan.push_back(reply),
        Deed::Eager(role) => world.party_mut(role).client.retries = 3,
        Deed::Crash(role, silent) => crash(world, role, silent),
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
        Deed::Fork(depth, others, order) => {
            if world.height() > depth {
                world.fork(&ForkPlan { others, order, ..ForkPlan::new(depth) });
            }
        }
        Deed::Wait(milliseconds) => world.run_for(milliseconds),
        Deed::Calm => world.calm(),
    }
}

fn crash(world: &mut World, role: Role, silent: bool) {
    if world.party(role).process.is_some() {
        world.crash(role, silent);
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

fn called(world: &World, role: Role, which: usize, deal: Deal) -> (ContractId, Call) {
    let contracts = world.model.contracts();
    let called = which.checked_rem(contracts.len()).map(|which| contracts[which]);
    // Where there is none, one that was never made.
    let (contract, program, _) = called.unwrap_or((World::contract_made(role, 1), Program::Spender, 0));
    (contract, deal.call(world, program))
}

fn cheat(world: &mut World, role: Role, rounds: u64) {
    let round = world.round(role).saturating_sub(rounds);
    if world.model.is_agreed(round) && world.party(role).process.is_some() {
        world.close_with(role, round);
    }
}

fn cheat_by_force(world: &mut World, role: Role, rounds: u64, amount: u128) {
    let round = world.round(role).saturating_sub(rounds);
    let spender = World::contract_made(Role::Initiator, 2);
    let is_made = world.model.contracts().iter().any(|(made, ..)| *made == spender);
    // Before, there was nothing to call.
    if is_made && round >= 3 && world.model.is_agreed(round) && world.party(role).process.is_some() {
        let call = Call::Spend(world.party(role).signer.account(), amount);
        let forced = world.forced_of(role, round, (spender, &call), &world.chain);
        world.post(role, forced);
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
        // Both still know every contract that was made.
        for (contract, program, _) in world.model.contracts() {
            let (call, amount) = match program {
                Program::Spender => (Call::Deposit, 1),
                Program::Callee => (Call::Pay, 1),
                Program::Envt => (Call::Height, 0),
            };
            world.request_well(Role::Initiator, call.of(contract, amount));
        }
    }
    ending
}

/// How the stories ended, so that a generator that does nothing is noticed.
#[derive(Clone, Copy, Debug, Default)]
struct Endings {
    agreed: u32,
    came_back: u32,
    closed: u32,
    settled: u32,
    slashed: u32,
    never: u32,
    rounds: u64,
    funds: u32,
    /// Stories in which further contracts were made, and those in which a call on the way changed what one holds.
    made: u32,
    used: u32,
    /// Stories in which a call was forced.
    forced: u32,
    forks: u32,
}

impl Endings {
    fn count(&mut self, world: &World, ending: Ending) {
        self.rounds += world.model.round();
        let mined = |flow: Flow| {
            let taken = world
                .submitted
                .iter()
                .filter(|(_, tx, result)| result.is_ok() && tx.body().kind() == flow.row().tx);
            taken
                .filter(|(_, tx, _)| matches!(world.chain.locate_tx(&tx.hash()), TxLocation::InBlock { .. }))
                .count()
        };
        let contracts = world.model.contracts();
        self.forced += u32::from(world.model.forced_rounds() > 0);
        self.made += u32::from(contracts.len() > 2);
        self.funds += u32::from(mined(Flow::Deposit) + mined(Flow::Withdraw) > 0);
        self.slashed += u32::from(mined(Flow::Slash) > 0);
        self.settled += u32::from(mined(Flow::Settle) > 0);
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

impl AddAssign for Endings {
    fn add_assign(&mut self, more: Self) {
        self.agreed += more.agreed;
        self.came_back += more.came_back;
        self.closed += more.closed;
        self.settled += more.settled;
        self.slashed += more.slashed;
        self.never += more.never;
        self.rounds += more.rounds;
        self.funds += more.funds;
        self.made += more.made;
        self.used += more.used;
        self.forced += more.forced;
        self.forks += more.forks;
    }
}

/// How many stories of one seed are told in a row, and how many by default.
const IN_A_ROW: u32 = 250;
const BY_DEFAULT: u32 = 500;

fn how_many() -> u32 {
    let asked = std::env::var("STRAIT_SIM_STORIES").ok();
    asked.map_or(BY_DEFAULT, |asked| asked.parse().expect("STRAIT_SIM_STORIES is a number"))
}

/// Tells so many stories of at most so many deeds, the same ones each time.
fn tell_stories(stories: u32, deeds: usize, begin: impl Fn(bool) -> World + Sync) -> Endings {
    let rows = stories.div_ceil(IN_A_ROW);
    let next = AtomicU32::new(0);
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get());
    std::thread::scope(|scope| {
        let worker = || {
            let mut endings = Endings::default();
            loop {
                let row = next.fetch_add(1, Ordering::Relaxed);
                if row >= rows {
                    return endings;
                }
                endings += tell_row(row, IN_A_ROW.min(stories - row * IN_A_ROW), deeds, &begin);
            }
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        let mut endings = Endings::default();
        for worker in workers {
            endings += worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
        endings
    })
}

fn tell_row(row: u32, cases: u32, deeds: usize, begin: impl Fn(bool) -> World) -> Endings {
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 2_000, ..Config::default() };
    let mut seed = [0; 32];
    seed[..4].copy_from_slice(&row.to_le_bytes());
    let chance = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(config, chance);
    let endings = Cell::new(Endings::default());
    let strategy = (any::<bool>(), prop::collection::vec(deed(), 1..deeds));
    let result = runner.run(&strategy, |(keep_running, deeds)| {
        let mut world = begin(keep_running);
        let mut counted = endings.get();
        for deed in deeds {
            counted.forks += u32::from(matches!(deed, Deed::Fork(..)));
            perform(&mut world, deed);
        }
        counted.used += u32::from(world.model.moved_by_contracts() > 0);
        let ending = end_well(&mut world);
        counted.count(&world, ending);
        endings.set(counted);
        Ok(())
    });
    if let Err(error) = result {
        panic!("row {row}: {error}");
    }
    endings.get()
}

#[test]
fn an_open_channel_survives_whatever_happens() {
    // There is something to call in every story.
    let opened = [true, false].map(|keep_running| with_contracts(setup(keep_running)).0);
    let stories = how_many();
    let endings = tell_stories(stories, 30, |keep_running| opened[usize::from(!keep_running)].clone());
    println!("{stories}: {endings:?}");
    assert_eq!(endings.never, 0, "an open channel cannot have been void");
    let often = |count: u32, share: u32| count > stories / share;
    assert!(
        often(endings.agreed, 3) && often(endings.came_back, 6) && often(endings.closed, 10),
        "{endings:?}"
    );
    assert!(often(endings.made, 20) && often(endings.used, 25) && often(endings.forced, 25), "{endings:?}");
    assert!(
        often(endings.funds, 6) && often(endings.settled, 20) && often(endings.slashed, 100),
        "{endings:?}"
    );
}

#[test]
fn an_opening_survives_whatever_happens() {
    let stories = how_many() / 5;
    let endings = tell_stories(stories, 20, |keep_running| {
        let mut world = World::new(setup(keep_running));
        world.open(Role::Responder);
        world.open(Role::Initiator);
        world
    });
    println!("{stories}: {endings:?}");
    assert!(endings.agreed > stories / 6 && endings.never > stories / 12, "{endings:?}");
}
