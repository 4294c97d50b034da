//! Closing without the peer, and answering who closes with an old state (`docs/protocol/fsm` §4.4, §8).

use strait_channel::{Flow, Reason, Request, Role, TxOptions};
use strait_encoding::Nonce;
use strait_ledger::{ChainView, Tx};
use strait_sim::{Call, Ending, Heard, Program, Reply, Setup, World};

use crate::support::{
    BOTH, Case, FUNDS, clear, conflicts, contract_well, funds_well, on_chain, solo_well, told,
};

const LOCK: u64 = 10;
/// Longer than the lock period and everything around it.
const LONG: u64 = 400_000;
const CLOSING: [&str; 2] = ["on_chain_tx(solo_closing)", "closing"];
const ENDS: [&str; 4] = ["on_chain_tx(channel_closed)", "closed_confirmed", "died", "close"];

/// Round 3, in which nobody has what it had in the rounds before; only `watchful` reacts by itself.
fn in_round_three(setup: Setup, watchful: &[Role]) -> World {
    let mut world = World::opened(setup);
    world.transfer_well(Role::Initiator, 1_000);
    world.transfer_well(Role::Responder, 300);
    for role in BOTH {
        world.party_mut(role).client.watchful = watchful.contains(&role);
    }
    clear(&mut world);
    world
}

/// What both own on chain, but for the fees of what they posted.
fn worth(world: &World) -> [u128; 2] {
    BOTH.map(|role| {
        let me = world.party(role).signer.account();
        let fees = world.submitted.iter().filter(|(_, tx, result)| {
            let mined =
                matches!(world.chain.locate_tx(&tx.hash()), strait_ledger::TxLocation::InBlock { .. });
            result.is_ok() && mined && tx.tx().origin() == Some(me)
        });
        on_chain(world, role) + fees.map(|(_, tx, _)| tx.tx().fee().0).sum::<u128>()
    })
}

fn closes(world: &mut World) {
    let closed = world.run_until(LONG, |world| world.both(|party| party.forgotten));
    assert!(closed, "{}", world.describe());
    assert!(world.model.closed().is_some());
}

#[test]
fn a_solo_close_and_its_settlement_are_told_in_order_and_pay_out() {
    for closer in BOTH {
        for settler in BOTH {
            let mut world = in_round_three(Setup::default(), &[settler]);
            let before = worth(&world);
            solo_well(&mut world, closer, Flow::CloseSolo);
            let height = world.height();
            closes(&mut world);
            // The first generation that can hold the settlement, and one more (`docs/protocol/channel_txs` §4.8).
            let settled = world.model.closed().map(|tx| world.chain.locate_tx(&tx.hash()));
            let Some(strait_ledger::TxLocation::InBlock { height: settled, .. }) = settled else { panic!() };
            assert!((height + LOCK..=height + LOCK + 2).contains(&settled.0), "{height} {settled}");
            for role in BOTH {
                let mut expected = Vec::new();
                expected.extend((role == closer).then_some("sign.close_solo_sign"));
                expected.extend(CLOSING);
                expected.extend((role == settler).then_some("sign.settle_sign"));
                expected.extend(ENDS);
                assert_eq!(told(&world, role), expected, "{closer} closes, {settler} settles");
            }
            // In round 3 the initiator has 100… - 700, the responder 50… + 700.
            let gained = [worth(&world)[0] - before[0], worth(&world)[1] - before[1]];
            assert_eq!(gained, [99_999_999_999_999_300, 50_000_000_000_000_700]);
        }
    }
}

#[test]
fn an_old_close_is_slashed() {
    for cheat in BOTH {
        for round in [1, 2] {
            let victim = cheat.other();
            let mut world = in_round_three(Setup::default(), &[victim]);
            let before = worth(&world);
            world.close_with(cheat, round);
            closes(&mut world);
            let slashed = [
                "on_chain_tx(can_slash)",
                "closing",
                "sign.slash_tx",
                "on_chain_tx(solo_closing)",
                "sign.settle_sign",
            ];
            assert_eq!(told(&world, victim), [&slashed[..], &ENDS].concat());
            // The service of the cheat tells its client the same: it knows better, too.
            let peer = ["on_chain_tx(can_slash)", "closing", "on_chain_tx(solo_closing)"];
            assert_eq!(told(&world, cheat), [&peer[..], &ENDS].concat());
            let gained = [worth(&world)[0] - before[0], worth(&world)[1] - before[1]];
            assert_eq!(gained, [99_999_999_999_999_300, 50_000_000_000_000_700]);
        }
    }
}

#[test]
fn whoever_comes_back_in_time_slashes() {
    for victim in BOTH {
        for keep_running in [true, false] {
            let mut world = in_round_three(Setup { keep_running, ..Setup::default() }, &[victim]);
            world.crash(victim, false);
            world.close_with(victim.other(), 1);
            // All but the last block of the lock period.
            world.run_for(1_000 * LOCK * 8);
            world.come_back(victim).unwrap();
            clear(&mut world);
            closes(&mut world);
            let gained = world.model.closed().map(|tx| tx.tx().clone());
            let Some(Tx::ChannelSettle(settle)) = gained else { panic!("not settled") };
            assert_eq!(settle.initiator_amount_final.0, 99_999_999_999_999_300);
        }
    }
}

#[test]
fn a_slash_with_a_state_that_is_old_too_is_slashed() {
    let mut world = in_round_three(Setup::default(), &[Role::Responder]);
    let latest = world.party(Role::Initiator).channel().agreed_tx().cloned();
    world.close_with(Role::Initiator, 1);
    let is = |flow| {
        move |world: &World| world.submitted.iter().any(|(_, tx, _)| Flow::of_tx(tx.kind()) == Some(flow))
    };
    assert!(world.run_until(LONG, is(Flow::Slash)), "{}", world.describe());
    closes(&mut world);
    let slashes: Vec<_> = world
        .submitted
        .iter()
        .filter_map(|(_, tx, _)| match tx.tx() {
            Tx::ChannelSlash(slash) => Some(slash.payload.0.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(slashes, [latest.unwrap().encode()]);
}

#[test]
fn a_snapshot_is_told_in_order_and_outdates_what_came_before() {
    for role in BOTH {
        let mut world = in_round_three(Setup::default(), &BOTH);
        solo_well(&mut world, role, Flow::SnapshotSolo);
        world.run_for(30_000);
        let own = ["sign.snapshot_solo_tx", "on_chain_tx(channel_changed)", "min_depth_achieved"];
        assert_eq!(told(&world, role), own);
        assert_eq!(told(&world, role.other()), ["on_chain_tx(channel_changed)"]);
        let id = world.party(role).channel().id().unwrap();
        assert_eq!(world.chain.channel(id).unwrap().round.0, 3);
        let ticket = world.ask(role, World::solo_request(Flow::SnapshotSolo));
        let Some(Err(refusal)) = world.party(role).client.answer(ticket) else { panic!() };
        assert!(matches!(refusal.reason, Reason::AlreadyOnChain { round: 3 }));
        // An old state cannot even start a dispute.
        let old = world.close_with(role.other(), 2);
        world.run_for(100_000);
        assert_eq!(world.chain.locate_tx(&old.hash()), strait_ledger::TxLocation::Gone);
        world.transfer_well(role, 1);
        solo_well(&mut world, role, Flow::CloseSolo);
        closes(&mut world);
    }
}

#[test]
fn what_can_be_done_alone_depends_on_the_place() {
    let mut world = in_round_three(Setup::default(), &[]);
    let refused = |world: &mut World, flow| {
        let ticket = world.ask(Role::Initiator, World::solo_request(flow));
        let answer = world.party(Role::Initiator).client.answer(ticket).cloned();
        let Some(Err(refusal)) = answer else { panic!("{flow:?} is taken") };
        refusal.reason
    };
    for flow in [Flow::Slash, Flow::Settle] {
        assert!(matches!(refused(&mut world, flow), Reason::NotAllowedNow(_)));
    }
    solo_well(&mut world, Role::Responder, Flow::CloseSolo);
    for flow in [Flow::CloseSolo, Flow::SnapshotSolo] {
        assert_eq!(refused(&mut world, flow), Reason::Closing);
    }
    for request in
        [World::transfer_request(Role::Initiator, 1), World::funds_request(Flow::Deposit, 1), Request::Leave]
    {
        let ticket = world.ask(Role::Initiator, request.clone());
        let answer = world.party(Role::Initiator).client.answer(ticket);
        assert!(matches!(answer, Some(Err(_))), "{request:?} is taken");
    }
}

#[test]
fn a_deposit_and_a_withdrawal_are_the_state_to_close_with() {
    for flow in FUNDS {
        for mover in BOTH {
            for closer in BOTH {
                let mut world = in_round_three(Setup::default(), &BOTH);
                funds_well(&mut world, mover, flow, 77);
                solo_well(&mut world, closer, Flow::CloseSolo);
                closes(&mut world);
                let Some(Tx::ChannelSettle(settle)) = world.model.closed().map(|tx| tx.tx().clone()) else {
                    panic!("not settled");
                };
                let paid = [settle.initiator_amount_final.0, settle.responder_amount_final.0];
                assert_eq!(paid, world.model.balances());
            }
        }
    }
}

#[test]
fn both_may_still_close_together_while_one_closes_alone() {
    for closer in BOTH {
        for proposer in BOTH {
            let mut world = in_round_three(Setup::default(), &BOTH);
            solo_well(&mut world, closer, Flow::CloseSolo);
            world.ask(proposer, Request::Shutdown(TxOptions::default()));
            closes(&mut world);
            assert!(matches!(world.model.closed().map(|tx| tx.tx()), Some(Tx::ChannelCloseMutual(_))));
        }
    }
}

#[test]
fn a_solo_transaction_touches_no_flow_of_both() {
    let requests = [
        World::transfer_request(Role::Initiator, 9),
        World::funds_request(Flow::Deposit, 9),
        World::funds_request(Flow::Withdraw, 9),
    ];
    for request in requests {
        for role in BOTH {
            let mut world = in_round_three(Setup::default(), &BOTH);
            world.party_mut(role).client.plan.push_back(Reply::Late(200));
            // Of two transactions of one account that are made at once the client has to order the nonces.
            let second = role == Role::Initiator && matches!(request, Request::Funds { .. });
            let options = TxOptions { nonce: second.then_some(Nonce(3)), ..TxOptions::default() };
            world.ask(role, Request::Solo(Flow::SnapshotSolo, options));
            world.ask(Role::Initiator, request.clone());
            world.run_for(100_000);
            assert_eq!(BOTH.map(|role| world.round(role)), [4, 4], "{}", world.describe());
            let mut posted =
                world.submitted.iter().filter(|(_, tx, _)| matches!(tx.tx(), Tx::ChannelSnapshotSolo(_)));
            let snapshot = posted.next().map(|(_, tx, _)| tx.hash()).unwrap();
            assert_eq!(posted.count(), 0);
            // Coins that move on chain first make the snapshot an old one, which is told.
            let location = world.chain.locate_tx(&snapshot);
            let came_too_late = !matches!(location, strait_ledger::TxLocation::InBlock { .. });
            assert_eq!(conflicts(&world, role), vec!["conflict(5)"; usize::from(came_too_late)]);
            assert!(conflicts(&world, role.other()).is_empty(), "{}", world.describe());
        }
    }
}

#[test]
fn a_close_over_a_round_that_was_superseded_while_the_client_signed_is_not_posted() {
    for closer in BOTH {
        let mut world = in_round_three(Setup::default(), &BOTH);
        world.party_mut(closer).client.plan.push_back(Reply::Late(500));
        world.ask(closer, World::solo_request(Flow::CloseSolo));
        world.transfer(closer.other(), 9);
        world.run_for(30_000);
        assert_eq!(BOTH.map(|role| world.round(role)), [4, 4]);
        assert_eq!(conflicts(&world, closer), ["conflict(2)"]);
        assert!(world.both(|party| party.channel().place() == strait_channel::Place::Open));
        assert_eq!(world.recover(), Ending::Agreed { returns: [0, 0] });
    }
}

/// How somebody is left alone: which flow, who starts it, and the number of the message of the peer that never comes.
#[test]
fn whoever_is_left_alone_in_the_middle_of_a_flow_gets_its_coins() {
    let flows = ["update", "contract", "call", "deposit", "withdraw", "shutdown", "nothing"];
    let request = |name: &str, role: Role| match name {
        "update" => Some(World::transfer_request(role, 9)),
        "contract" => Some(Program::Spender.create(9)),
        "call" => Some(Call::Deposit.of(World::contract_made(Role::Initiator, 4), 9)),
        "deposit" => Some(World::funds_request(Flow::Deposit, 9)),
        "withdraw" => Some(World::funds_request(Flow::Withdraw, 9)),
        "shutdown" => Some(Request::Shutdown(TxOptions::default())),
        _ => None,
    };
    let mut stories = 0;
    for name in flows {
        for proposer in BOTH {
            for alone in BOTH {
                for silent in [false, true] {
                    // Milliseconds after the request: while clients sign, messages travel, blocks come, locks are told.
                    for after in [0, 7, 12, 17, 22, 30, 5_000, 9_990, 10_005, 20_005, 40_000] {
                        let _case =
                            Case(format!("{name} by the {proposer}, the {alone} is left after {after} ms"));
                        let mut world = in_round_three(Setup::default(), &[alone]);
                        if name == "call" {
                            contract_well(&mut world, Role::Initiator, Program::Spender, 50);
                        }
                        let _ = request(name, proposer).map(|request| world.ask(proposer, request));
                        world.run_for(after);
                        if world.model.closed().is_some() {
                            continue;
                        }
                        world.vanish(alone.other(), silent);
                        leave_alone(&mut world, alone);
                        stories += 1;
                    }
                }
            }
        }
    }
    println!("left alone {stories} times");
    assert!(stories > 300);
}

/// A client whose peer is gone for good does what it can until it has its coins. The invariants of the world say how many.
fn leave_alone(world: &mut World, alone: Role) {
    for _ in 0..40 {
        world.run_for(30_000);
        if world.party(alone).forgotten {
            break;
        }
        if !world.party(alone).is_alive() && world.come_back(alone).is_err() {
            continue;
        }
        if world.party(alone).channel().place() == strait_channel::Place::Open {
            world.ask(alone, World::solo_request(Flow::CloseSolo));
        }
    }
    assert!(world.model.closed().is_some(), "the {alone} never gets its coins: {}", world.describe());
    let confirmed = |heard: &Heard| heard.told().as_deref() == Some("closed_confirmed");
    assert!(world.party(alone).client.log.iter().any(confirmed), "{}", world.describe());
}
