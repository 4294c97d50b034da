//! The chain goes over to another branch in the middle of every flow: nothing is told twice, both follow, nobody loses
//! (`docs/decisions/0008`). That nothing is told twice every client of every world checks.
//!
//! A fork of each depth that the chain knows comes in each flow, with one kind of branch after the other, and at every third
//! depth one that takes something away. `STRAIT_SIM_FORKS=all` has every kind at every depth, for both roles and at every
//! moment: that takes minutes with `cargo test --release -p strait-sim fork_grid`.

use strait_channel::{DepthRule, Flow, Request, Role, TxOptions};
use strait_encoding::TxHash;
use strait_ledger::{Abandoned, BranchOrder, Chain, ChainView, FORK_DEPTH, ForkPlan, SignedTx, TxLocation};
use strait_sim::{Call, Ending, Program, Rng, Setup, World};

use crate::support::{BOTH, Case, contract_well, funds_well, solo_well};

/// What a new branch does with what was mined before.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// Mines it again as it was.
    AsBefore,
    /// Mines it again in the other order.
    Reversed,
    /// Mines it again at its end.
    Last,
    /// Leaves it to the blocks that come after.
    Waits,
    /// As before; and another one follows that leaves it to the blocks after that.
    Twice,
    /// Can never hold the flow's transaction.
    Lost,
    /// Holds a transaction of somebody else in its place.
    Rival,
}

/// Branches that hurt nobody, however many confirmations the two asked for.
const HARMLESS: [Kind; 5] = [Kind::AsBefore, Kind::Reversed, Kind::Last, Kind::Waits, Kind::Twice];
/// Branches that take something away for ever: who asks for more confirmations than a fork is deep loses nothing by them.
const HARMFUL: [Kind; 2] = [Kind::Lost, Kind::Rival];

/// A flow during which the chain forks, and how it may end.
struct Story {
    name: &'static str,
    /// Whose transaction a branch may take away.
    flow: Option<Flow>,
    /// Comes to just before the flow; the chain is higher than the deepest fork.
    before: fn(Setup, Role) -> World,
    start: fn(&mut World, Role),
    ends: fn(Ending) -> bool,
    /// How it may end after a branch that takes the transaction away.
    ends_without: fn(Ending) -> bool,
    /// What competes with the transaction of this role.
    rival: fn(&World, Role, &Chain) -> SignedTx,
}

pub fn agreed(ending: Ending) -> bool {
    matches!(ending, Ending::Agreed { .. })
}

fn closed(ending: Ending) -> bool {
    ending == Ending::Closed
}

fn agreed_or_closed(ending: Ending) -> bool {
    agreed(ending) || closed(ending)
}

/// Makes the chain higher than the deepest fork.
fn grow(world: &mut World) {
    for _ in 0..FORK_DEPTH + 2 {
        world.make_block_now();
    }
}

/// Round 2, in which the peer of `role` has paid, high above the create transaction.
pub fn in_round_two(setup: Setup, role: Role) -> World {
    let mut world = World::opened(setup);
    world.transfer_well(role.other(), 1_000);
    grow(&mut world);
    world
}

fn solo(world: &World, flow: Flow, role: Role, chain: &Chain) -> SignedTx {
    world.outbidding(role, world.solo_of(flow, role, 2, chain), chain)
}

pub fn spends(world: &World, role: Role, chain: &Chain) -> SignedTx {
    world.outbidding(role, World::spend_of(role, chain), chain)
}

/// The other party closes alone, with what was agreed before.
fn other_closes(world: &World, role: Role, chain: &Chain) -> SignedTx {
    solo(world, Flow::CloseSolo, role.other(), chain)
}

const STORIES: [Story; 13] = [
    Story {
        name: "create",
        flow: Some(Flow::Create),
        before: |setup, _| {
            let mut world = World::new(setup);
            grow(&mut world);
            world
        },
        start: |world, _| {
            world.open(Role::Responder);
            world.open(Role::Initiator);
        },
        ends: agreed,
        ends_without: |ending| ending == Ending::Never,
        rival: |world, _, chain| spends(world, Role::Initiator, chain),
    },
    Story {
        name: "update",
        flow: None,
        // The deepest forks take the create transaction itself back.
        before: |setup, _| {
            let mut world = World::opened(setup);
            for _ in world.height()..FORK_DEPTH {
                world.make_block_now();
            }
            world
        },
        start: |world, role| {
            world.transfer(role, 9);
        },
        ends: agreed,
        ends_without: agreed,
        rival: spends,
    },
    Story {
        name: "contract call",
        flow: None,
        before: |setup, role| {
            let mut world = in_round_two(setup, role);
            contract_well(&mut world, role, Program::Envt, 5);
            world
        },
        start: |world, role| {
            let made = World::contract_made(role, 3);
            world.ask(role.other(), Call::Height.of(made, 0));
        },
        ends: agreed,
        ends_without: agreed,
        rival: spends,
    },
    Story {
        name: "deposit",
        flow: Some(Flow::Deposit),
        before: in_round_two,
        start: |world, role| {
            world.ask(role, World::funds_request(Flow::Deposit, 9));
        },
        ends: agreed,
        ends_without: agreed_or_closed,
        rival: other_closes,
    },
    Story {
        name: "withdraw",
        flow: Some(Flow::Withdraw),
        before: in_round_two,
        start: |world, role| {
            world.ask(role, World::funds_request(Flow::Withdraw, 9));
        },
        ends: agreed,
        ends_without: agreed_or_closed,
        rival: other_closes,
    },
    Story {
        name: "deposit and withdraw",
        flow: Some(Flow::Withdraw),
        before: |setup, role| {
            let mut world = in_round_two(setup, role);
            // The nonces hold the two in order. Of two parties' transactions a branch may hold the later round alone, and then
            // never the earlier one: whoever does not want that asks for more confirmations than a fork is deep.
            funds_well(&mut world, role, Flow::Deposit, 50);
            world
        },
        start: |world, role| {
            world.ask(role, World::funds_request(Flow::Withdraw, 9));
        },
        ends: agreed,
        ends_without: agreed,
        rival: spends,
    },
    Story {
        name: "shutdown",
        flow: Some(Flow::Shutdown),
        before: in_round_two,
        start: |world, role| {
            world.ask(role, Request::Shutdown(TxOptions::default()));
        },
        ends: closed,
        ends_without: agreed_or_closed,
        rival: other_closes,
    },
    Story {
        name: "close_solo",
        flow: Some(Flow::CloseSolo),
        before: in_round_two,
        start: |world, role| {
            world.ask(role, World::solo_request(Flow::CloseSolo));
        },
        ends: closed,
        ends_without: agreed_or_closed,
        rival: other_closes,
    },
    Story {
        name: "slash",
        flow: Some(Flow::Slash),
        before: |setup, role| {
            let mut world = in_round_two(setup, role);
            world.party_mut(role).client.watchful = false;
            world.close_with(role.other(), 1);
            let block = 2 * world.block_time();
            world.run_for(block);
            world.party_mut(role).client.watchful = true;
            world
        },
        start: |world, role| {
            world.ask(role, World::solo_request(Flow::Slash));
        },
        ends: closed,
        ends_without: closed,
        rival: |world, role, chain| solo(world, Flow::Slash, role.other(), chain),
    },
    Story {
        name: "settle",
        flow: Some(Flow::Settle),
        before: |setup, role| {
            let mut world = in_round_two(setup, role);
            for role in BOTH {
                world.party_mut(role).client.watchful = false;
            }
            solo_well(&mut world, role, Flow::CloseSolo);
            let lock = 12 * world.block_time();
            world.run_for(lock);
            world
        },
        start: |world, role| {
            world.ask(role, World::solo_request(Flow::Settle));
        },
        ends: closed,
        ends_without: closed,
        rival: |world, role, chain| solo(world, Flow::Settle, role.other(), chain),
    },
    Story {
        name: "snapshot_solo",
        flow: Some(Flow::SnapshotSolo),
        before: in_round_two,
        start: |world, role| {
            world.ask(role, World::solo_request(Flow::SnapshotSolo));
        },
        ends: agreed,
        ends_without: agreed,
        rival: |world, role, chain| solo(world, Flow::SnapshotSolo, role.other(), chain),
    },
    Story {
        name: "force_progress",
        flow: Some(Flow::ForceProgress),
        before: with_a_spender,
        start: forces,
        ends: agreed,
        ends_without: agreed,
        rival: other_forces,
    },
    Story {
        name: "force_progress while closing",
        flow: Some(Flow::ForceProgress),
        before: |setup, role| {
            let mut world = with_a_spender(setup, role);
            for role in BOTH {
                world.party_mut(role).client.watchful = false;
            }
            solo_well(&mut world, role.other(), Flow::CloseSolo);
            world
        },
        start: forces,
        ends: closed,
        ends_without: closed,
        rival: other_forces,
    },
];

/// Round 3: a contract has coins to give away.
fn with_a_spender(setup: Setup, role: Role) -> World {
    let mut world = in_round_two(setup, role);
    contract_well(&mut world, Role::Initiator, Program::Spender, 1_000);
    world
}

fn forces(world: &mut World, role: Role) {
    let me = world.party(role).signer.account();
    world.ask(role, Call::Spend(me, 90).forced(World::contract_made(Role::Initiator, 3), 0));
}

/// The other party forces another call on the same state.
fn other_forces(world: &World, role: Role, chain: &Chain) -> SignedTx {
    let (rival, spender) = (role.other(), World::contract_made(Role::Initiator, 3));
    let call = Call::Spend(world.party(rival).signer.account(), 700);
    world.outbidding(rival, world.forced_of(rival, 3, (spender, &call), chain), chain)
}

/// Whether every kind comes at every depth, for both roles and at every moment.
fn all() -> bool {
    match std::env::var("STRAIT_SIM_FORKS").as_deref() {
        Ok("all") => true,
        Ok(other) => panic!("STRAIT_SIM_FORKS is {other}, expected \"all\" or nothing"),
        Err(_) => false,
    }
}

/// Two services that trust a block when it has a next one.
pub fn hasty() -> Setup {
    Setup { block_time: 10_000, ..Setup::default() }
}

/// Two that ask for more confirmations than any fork is deep.
fn patient() -> Setup {
    Setup { depth: [Some(DepthRule::Plain(FORK_DEPTH + 1)); 2], block_time: 1_000, ..Setup::default() }
}

/// Which forks come.
struct Grid<'a> {
    stories: &'a [&'a Story],
    setup: Setup,
    kinds: &'a [Kind],
    /// Milliseconds after the start of a story at which a fork of this depth may come.
    moments: fn(&World, u64) -> Vec<u64>,
    /// In how many of a hundred places of story and depth one comes, if not in all.
    share: u64,
}

/// How often a grid was walked through.
#[derive(Default)]
struct Walked {
    forks: usize,
    came_back: usize,
}

/// The role, the moment and the kind that come up for a story and a depth.
fn choice(grid: &Grid<'_>, story: usize, depth: u64) -> Option<[usize; 3]> {
    let mut rng = Rng::new(depth * 1_000 + story as u64);
    let mut below = |limit: usize| usize::try_from(rng.below(limit as u64)).expect("it is below a usize");
    let chosen = [below(2), below(2), below(grid.kinds.len())];
    (rng.below(100) < grid.share).then_some(chosen)
}

/// Has the chain fork in every story, at every depth.
fn walk(grid: &Grid<'_>) -> usize {
    let (mut walked, everything) = (Walked::default(), all());
    for (number, story) in grid.stories.iter().enumerate() {
        for (side, role) in BOTH.into_iter().enumerate() {
            let begin = (story.before)(grid.setup.clone(), role);
            let mut started = Vec::new();
            for depth in 1..=FORK_DEPTH {
                let chosen = choice(grid, number, depth);
                for (moment, after) in (grid.moments)(&begin, depth).into_iter().enumerate() {
                    for (place, kind) in grid.kinds.iter().enumerate() {
                        if everything || chosen == Some([side, moment, place]) {
                            let world = at(&mut started, &begin, story, role, after);
                            let case = format!(
                                "{} by the {role}, {depth} deep after {after} ms, {kind:?}",
                                story.name
                            );
                            one_fork(world, (story, role), depth, *kind, case, &mut walked);
                        }
                    }
                }
            }
        }
    }
    println!("{} forks, {} came back", walked.forks, walked.came_back);
    walked.forks
}

/// The story so many milliseconds after it started: worlds are kept, since many forks begin at the same moment.
fn at<'a>(
    started: &'a mut Vec<(u64, World)>,
    begin: &World,
    story: &Story,
    role: Role,
    after: u64,
) -> &'a World {
    let known = started.iter().position(|(at, _)| *at == after);
    let place = known.unwrap_or_else(|| {
        let mut world = begin.clone();
        (story.start)(&mut world, role);
        world.run_for(after);
        started.push((after, world));
        started.len() - 1
    });
    &started[place].1
}

fn one_fork(
    world: &World,
    (story, role): (&Story, Role),
    depth: u64,
    kind: Kind,
    case: String,
    walked: &mut Walked,
) {
    let mut world = world.clone();
    let case = Case(case);
    let taken = branch_off(&mut world, (story, role), depth, kind);
    let settles = 6 * world.block_time();
    world.run_for(settles);
    let ending = world.recover();
    let ends = if taken { story.ends_without } else { story.ends };
    assert!(ends(ending), "{} ends with {ending:?}: {}", case.0, world.describe());
    walked.forks += 1;
    if let Ending::Agreed { returns } = ending {
        assert!(returns.iter().all(|returns| *returns <= 1), "{}: {returns:?}", case.0);
        walked.came_back += returns.iter().sum::<usize>();
        world.transfer_well(Role::Initiator, 3);
        world.transfer_well(Role::Responder, 4);
    }
}

/// Goes over to a branch of this kind; whether it took the transaction of the flow away.
fn branch_off(world: &mut World, (story, role): (&Story, Role), depth: u64, kind: Kind) -> bool {
    let plan = |others, order| ForkPlan { others, order, ..ForkPlan::new(depth) };
    let own = story.flow.and_then(|flow| flow_tx(world, flow));
    let own = own.filter(|own| is_above(world, own, depth));
    match (kind, own) {
        (Kind::Lost, Some(own)) => {
            let mut plan = ForkPlan::new(depth);
            plan.chosen.insert(own, Abandoned::Lost);
            world.fork(&plan);
            return true;
        }
        (Kind::Rival, Some(own)) => {
            world.fork_with_rival(&ForkPlan::new(depth), &own, |world, chain| {
                (story.rival)(world, role, chain)
            });
            return true;
        }
        (Kind::AsBefore, _) | (Kind::Lost | Kind::Rival, None) => {
            world.fork(&plan(Abandoned::Mined, BranchOrder::AsBefore));
        }
        (Kind::Reversed, _) => world.fork(&plan(Abandoned::Mined, BranchOrder::Reversed)),
        (Kind::Last, _) => world.fork(&plan(Abandoned::Mined, BranchOrder::Last)),
        (Kind::Waits, _) => world.fork(&plan(Abandoned::Waits, BranchOrder::AsBefore)),
        (Kind::Twice, _) => {
            world.fork(&plan(Abandoned::Mined, BranchOrder::AsBefore));
            world.run_for(15);
            world.fork(&plan(Abandoned::Waits, BranchOrder::AsBefore));
        }
    }
    false
}

/// The transaction of a flow that was handed to the chain last.
pub fn flow_tx(world: &World, flow: Flow) -> Option<TxHash> {
    let mut handed_in = world.submitted.iter().rev();
    handed_in.find(|(_, tx, _)| tx.body().kind() == flow.row().tx).map(|(_, tx, _)| tx.hash())
}

/// Whether a fork of this depth takes a transaction out of its block.
fn is_above(world: &World, tx: &TxHash, depth: u64) -> bool {
    match world.chain.locate_tx(tx) {
        TxLocation::InBlock { height, .. } => height.0 + depth >= world.height(),
        _ => false,
    }
}

/// Before a block holds it, and when it is confirmed; at every other depth as soon as a block holds it, and later.
fn from_the_first_moment(world: &World, depth: u64) -> Vec<u64> {
    let block = world.block_time();
    if depth.is_multiple_of(2) { vec![block / 10, 2 * block + 50] } else { vec![block, 5 * block] }
}

/// As soon as a block holds it, and when the fork comes just in time to take it back.
fn while_it_can_be_taken_back(world: &World, depth: u64) -> Vec<u64> {
    let block = world.block_time();
    vec![block + block / 2, block * depth + block / 2]
}

#[test]
fn a_fork_of_any_depth_in_any_flow_leads_to_the_same_end() {
    let (stories, moments) = (STORIES.each_ref(), from_the_first_moment);
    let grid = Grid { stories: &stories, setup: hasty(), kinds: &HARMLESS, moments, share: 100 };
    assert!(walk(&grid) >= stories.len() * 100);
}

#[test]
fn a_fork_that_takes_something_away_for_ever_hurts_nobody_who_waited_for_more_blocks() {
    // What is not on chain in the end cannot be taken away; and the create transaction is confirmed.
    let on_chain = STORIES.iter().filter(|story| story.flow.is_some());
    let (stories, moments): (Vec<_>, _) = (on_chain.collect(), while_it_can_be_taken_back);
    let grid = Grid { stories: &stories, setup: patient(), kinds: &HARMFUL, moments, share: 34 };
    assert!(walk(&grid) >= stories.len() * 25);
}
