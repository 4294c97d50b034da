//! Both act at once, decline, or do not answer in time: at every relative delay both end at the same state and can go on.

use strait_channel::{Flow, Patience, Request, Role, TxOptions};
use strait_sim::{Ending, Reply, Setup, World};

use crate::support::{BOTH, Case};

/// Milliseconds from one side to the other in these tests.
const LATENCY: u64 = 40;
/// How long a proposer waits for its peer; an acceptor waits a tenth less for its client.
const ACCEPT: u64 = 200;

fn quick() -> Patience {
    Patience { accept: ACCEPT, sign: 300, ..Patience::default() }
}

fn setup() -> Setup {
    Setup { latency: [LATENCY; 2], patience: [quick(); 2], block_time: 60_000, ..Setup::default() }
}

fn request(kind: &str, role: Role, amount: u128) -> Request {
    match kind {
        "shutdown" => Request::Shutdown(TxOptions::default()),
        "leave" => Request::Leave,
        "deposit" => World::funds_request(Flow::Deposit, amount),
        "withdraw" => World::funds_request(Flow::Withdraw, amount),
        "close_solo" => World::solo_request(Flow::CloseSolo),
        "snapshot_solo" => World::solo_request(Flow::SnapshotSolo),
        _ => World::transfer_request(role, amount),
    }
}

/// Both must agree without anybody coming back, and go on.
fn goes_on(world: &mut World) {
    world.calm();
    world.run_for(3 * ACCEPT);
    world.calm();
    for role in BOTH {
        let channel = world.party(role).channel();
        assert!(channel.has_peer(), "the {role} lost its peer\n{}", world.describe());
        assert_eq!(channel.doing(), "idle", "the {role}\n{}", world.describe());
    }
    let rounds = BOTH.map(|role| world.round(role));
    assert_eq!(rounds[0], rounds[1], "{}", world.describe());
    world.transfer_well(Role::Initiator, 3);
    world.transfer_well(Role::Responder, 4);
}

#[test]
fn two_proposals_meet_at_every_delay() {
    let opened = World::opened(setup());
    let mut both_lost = 0;
    for think in [[0, 0], [5, 5], [0, 30], [30, 0]] {
        for delay in 0..=150 {
            for first in BOTH {
                let mut world = opened.clone();
                for role in BOTH {
                    world.party_mut(role).client.set_think(think[usize::from(role == Role::Responder)]);
                }
                world.ask_in(first, 0, request("transfer", first, 1));
                world.ask_in(first.other(), delay, request("transfer", first.other(), 2));
                let _case = Case(format!("{think:?}, {first} first, the other {delay} ms later"));
                world.calm();
                both_lost += usize::from(world.model.round() == 1);
                goes_on(&mut world);
            }
        }
    }
    println!("both proposals lost: {both_lost}");
    assert!(both_lost > 100);
}

#[test]
fn eager_clients_come_to_an_end_at_every_delay() {
    let opened = World::opened(setup());
    for think in [0, 7, 45] {
        for delay in (0..=200).step_by(3) {
            let mut world = opened.clone();
            for role in BOTH {
                world.party_mut(role).client.set_think(think);
                world.party_mut(role).client.retries = 4;
            }
            world.ask_in(Role::Initiator, 0, request("transfer", Role::Initiator, 1));
            world.ask_in(Role::Responder, delay, request("transfer", Role::Responder, 2));
            let _case = Case(format!("think {think}, delay {delay}"));
            goes_on(&mut world);
        }
    }
}

#[test]
fn every_pair_of_flows_meets_at_every_delay() {
    let mut opened = World::opened(Setup { block_time: 10_000, ..setup() });
    opened.transfer_well(Role::Initiator, 10);
    let kinds = ["transfer", "deposit", "withdraw", "shutdown", "leave", "close_solo", "snapshot_solo"];
    let (mut agreed, mut closed) = (0, 0);
    for one in kinds {
        for two in kinds {
            // While clients sign and messages travel; around the blocks.
            for delay in (0..=150).step_by(15).chain([9_800, 10_000, 10_050, 20_050]) {
                for first in BOTH {
                    let _case = Case(format!("{one}, {two} after {delay} ms, {first} first"));
                    let mut world = opened.clone();
                    world.ask_in(first, 0, request(one, first, 1));
                    world.ask_in(first.other(), delay, request(two, first.other(), 2));
                    world.run_for(130_000);
                    match world.recover() {
                        Ending::Agreed { returns } => {
                            assert!(returns.iter().all(|returns| *returns <= 1), "{returns:?}");
                            agreed += 1;
                            world.transfer_well(Role::Initiator, 3);
                            world.transfer_well(Role::Responder, 4);
                        }
                        Ending::Closed => closed += 1,
                        Ending::Never => panic!("an open channel cannot have been void"),
                    }
                }
            }
        }
    }
    println!("agreed {agreed}, closed {closed}");
    assert!(agreed > 100 && closed > 100);
}

#[test]
fn a_slow_acceptor_and_a_second_transfer_meet_at_every_delay() {
    let opened = World::opened(setup());
    let mut agreed = 0;
    for answer in (150..=230).step_by(10) {
        for second in (150..=310).step_by(10) {
            for reply in [Reply::Late(answer), Reply::LateDecline(answer, 42), Reply::LateDecline(answer, 3)]
            {
                for proposer in BOTH {
                    for actor in BOTH {
                        let mut world = opened.clone();
                        let acceptor = proposer.other();
                        world.party_mut(acceptor).client.plan.push_back(reply);
                        world.party_mut(acceptor).client.retries = 2;
                        world.party_mut(proposer).client.retries = 2;
                        world.ask_in(proposer, 0, request("transfer", proposer, 1));
                        world.ask_in(actor, second, request("transfer", actor, 2));
                        let _case =
                            Case(format!("{proposer} proposes, {reply:?}, {actor} after {second} ms"));
                        goes_on(&mut world);
                        agreed += 1;
                    }
                }
            }
        }
    }
    println!("{agreed} meetings");
}

#[test]
fn proposals_that_cross_after_all_patience_is_over_are_sorted_out() {
    let opened = World::opened(setup());
    for late in [ACCEPT / 2, ACCEPT + 50, 2 * ACCEPT + 50, 5 * ACCEPT] {
        for side in BOTH {
            for again in (0..160).step_by(5) {
                let _case = Case(format!("the {side} hears {late} ms late, and asks {again} ms around then"));
                let mut world = opened.clone();
                world.set_latency(side, late);
                for role in BOTH {
                    world.party_mut(role).client.retries = 3;
                }
                world.ask_in(side, 0, request("transfer", side, 1));
                world.ask_in(side.other(), 0, request("transfer", side.other(), 2));
                for (place, amount) in (3u64..8).enumerate() {
                    let at = (late + again + 10 * place as u64).saturating_sub(60);
                    world.ask_in(side, at, request("transfer", side, amount.into()));
                }
                world.run_for(late + 100);
                world.set_latency(side, LATENCY);
                goes_on(&mut world);
            }
        }
    }
}
