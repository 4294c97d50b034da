//! Calls that one party forces on chain (`docs/protocol/channel_txs` §4.9, `docs/decisions/0010`): on every kind of state, adopted
//! by the other side, and answered where they stand on an old one.

use strait_channel::{Flow, Patience, Place, Reason, Request, Role, TxOptions};
use strait_encoding::{AccountId, ContractId};
use strait_ledger::{Abandoned, ChainView, ForkPlan, Tx, TxKind, TxLocation};
use strait_sim::{Call, Ending, Program, Reply, Setup, World};

use crate::support::{
    BOTH, Case, clear, contract_well, force_well, funds_well, id_of, solo_well, told, with_contracts,
};

const OWN: [&str; 2] = ["sign.force_progress_tx", "on_chain_tx(consumed_forced_progress)"];
const OTHERS: [&str; 1] = ["on_chain_tx(consumed_forced_progress)"];

fn account(world: &World, role: Role) -> AccountId {
    world.party(role).signer.account()
}

/// A state that a call is forced on.
struct Base {
    name: &'static str,
    reach: fn(&mut World, ContractId, Role),
}

const BASES: [Base; 6] = [
    Base { name: "an update", reach: |world, _, role| world.transfer_well(role, 5) },
    Base {
        name: "a call",
        reach: |world, spender, role| world.request_well(role, Call::Deposit.of(spender, 5)),
    },
    Base { name: "a snapshot", reach: |world, _, role| solo_well(world, role, Flow::SnapshotSolo) },
    Base { name: "a deposit", reach: |world, _, role| funds_well(world, role, Flow::Deposit, 40) },
    Base { name: "a withdrawal", reach: |world, _, role| funds_well(world, role, Flow::Withdraw, 40) },
    Base {
        name: "another forced call",
        reach: |world, spender, role| {
            let me = account(world, role);
            force_well(world, role, spender, &Call::Spend(me, 30));
        },
    },
];

/// Both hold the same state, and everything works on it.
fn goes_on(mut world: World, spender: ContractId) {
    for role in BOTH {
        world.transfer_well(role, 2);
        world.request_well(role, Call::Deposit.of(spender, 3));
        let me = account(&world, role);
        force_well(&mut world, role, spender, &Call::Spend(me, 1));
        funds_well(&mut world, role, Flow::Deposit, 4);
        force_well(&mut world, role, spender, &Call::Spend(me, 1));
    }
    let mut together = world.clone();
    together.ask(Role::Responder, Request::Shutdown(TxOptions::default()));
    assert_eq!(together.recover(), Ending::Closed);
    let balances = world.model.balances();
    solo_well(&mut world, Role::Initiator, Flow::CloseSolo);
    assert_eq!(world.recover(), Ending::Closed);
    let Some(Tx::ChannelSettle(settle)) = world.model.closed().map(|tx| tx.tx().clone()) else { panic!() };
    assert_eq!([settle.initiator_amount_final.0, settle.responder_amount_final.0], balances);
}

#[test]
fn a_forced_call_is_adopted_by_both_on_every_kind_of_state() {
    for base in &BASES {
        for before in BOTH {
            for role in BOTH {
                let _case = Case(format!("{} of the {before}, forced by the {role}", base.name));
                let (mut world, spender, _) = with_contracts(Setup::default());
                (base.reach)(&mut world, spender, before);
                // Until all that is on chain is confirmed.
                world.run_for(25_000);
                clear(&mut world);
                let [me, you] = [role, role.other()].map(|role| account(&world, role));
                let (held, round) = (world.model.balances(), world.model.round());
                force_well(&mut world, role, spender, &Call::SpendTwo([(me, 100), (you, 10)]));
                assert_eq!((told(&world, role), told(&world, role.other())), (own(), others()));
                let gained = BOTH.map(|side| if side == role { 100 } else { 10 });
                assert_eq!(world.model.balances(), [held[0] + gained[0], held[1] + gained[1]]);
                assert_eq!(BOTH.map(|role| world.round(role)), [round + 1; 2]);
                let object = world.chain.channel(id_of(&world)).unwrap();
                assert_eq!((object.round.0, object.solo_round.0 > 0), (round + 1, true));
                goes_on(world, spender);
            }
        }
    }
}

fn own() -> Vec<String> {
    OWN.map(str::to_owned).to_vec()
}

fn others() -> Vec<String> {
    OTHERS.map(str::to_owned).to_vec()
}

#[test]
fn a_call_is_forced_while_the_channel_is_closing() {
    for closer in BOTH {
        for role in BOTH {
            let (mut world, spender, _) = with_contracts(Setup::default());
            for role in BOTH {
                world.party_mut(role).client.watchful = false;
            }
            solo_well(&mut world, closer, Flow::CloseSolo);
            clear(&mut world);
            let me = account(&world, role);
            let held = world.model.balances();
            force_well(&mut world, role, spender, &Call::Spend(me, 1_000));
            assert_eq!((told(&world, role), told(&world, role.other())), (own(), others()));
            let mut expected = held;
            expected[usize::from(role == Role::Responder)] += 1_000;
            assert_eq!(world.model.balances(), expected);
            assert_eq!(world.recover(), Ending::Closed);
            let Some(Tx::ChannelSettle(settle)) = world.model.closed().map(|tx| tx.tx().clone()) else {
                panic!()
            };
            assert_eq!([settle.initiator_amount_final.0, settle.responder_amount_final.0], expected);
        }
    }
}

#[test]
fn a_forced_call_that_fails_is_a_round() {
    for role in BOTH {
        let (begin, spender, callee) = with_contracts(Setup::default());
        let you = account(&begin, role.other());
        for (contract, call) in [
            (spender, Call::Spend(you, 1_001)),
            (spender, Call::SpendFail(you, 5)),
            (spender, Call::Nonsense),
            (callee, Call::FailError),
            (callee, Call::FailRevert),
        ] {
            let mut world = begin.clone();
            let (held, contracts) = (world.model.balances(), world.model.contracts());
            force_well(&mut world, role, contract, &call);
            assert_eq!((world.model.balances(), world.model.contracts()), (held, contracts));
            goes_on(world, spender);
        }
    }
}

#[test]
fn a_forced_call_that_comes_out_otherwise_changes_nothing_and_its_sender_is_told() {
    for role in BOTH {
        let (mut world, spender, _) = with_contracts(Setup::default());
        let envt = contract_well(&mut world, role, Program::Envt, 0);
        clear(&mut world);
        let round = world.model.round();
        // The next block that can hold it has another height.
        world.ask(role, Call::Height.forced(envt, 0));
        world.run_for(40_000);
        assert_eq!(told(&world, role), ["sign.force_progress_tx", "conflict(5)"]);
        assert!(told(&world, role.other()).is_empty(), "{}", world.describe());
        assert_eq!((world.model.round(), BOTH.map(|role| world.round(role))), (round, [round; 2]));
        goes_on(world, spender);
    }
}

#[test]
fn what_cannot_be_forced_is_refused_at_once() {
    let (world, spender, callee) = with_contracts(Setup::default());
    for role in BOTH {
        let balance = world.model.balances()[usize::from(role == Role::Responder)];
        for request in [
            Call::Deposit.forced(spender, balance - 999),
            Call::Pay.forced(callee, u128::MAX),
            Call::Deposit.forced(ContractId([8; 32]), 0),
        ] {
            let mut world = world.clone();
            let ticket = world.ask(role, request.clone());
            assert!(matches!(world.party(role).client.answer(ticket), Some(Err(_))), "{request:?} is taken");
            assert!(told(&world, role).is_empty() && world.wire.len() == 4);
            goes_on(world, spender);
        }
    }
}

#[test]
fn what_a_client_does_not_sign_is_not_forced() {
    let (begin, spender, _) = with_contracts(Setup::default());
    for role in BOTH {
        for (reply, heard) in [(Reply::Decline(42), "aborted_update"), (Reply::Nothing, "conflict(3)")] {
            let mut world = begin.clone();
            let submitted = world.submitted.len();
            world.party_mut(role).client.plan.push_back(reply);
            world.ask(role, Call::Deposit.forced(spender, 0));
            world.run_for(Patience::default().sign);
            assert_eq!(told(&world, role), ["sign.force_progress_tx", heard]);
            assert!(told(&world, role.other()).is_empty() && world.submitted.len() == submitted);
            goes_on(world, spender);
        }
    }
}

/// A world in round 6 in which the cheat has given back what it had in round 4.
fn cheated_on(cheat: Role) -> (World, ContractId) {
    let (mut world, spender, _) = with_contracts(Setup::default());
    let victim = account(&world, cheat.other());
    world.request_well(cheat, Call::Deposit.of(spender, 700));
    world.request_well(cheat, Call::Spend(victim, 700).of(spender, 0));
    world.transfer_well(cheat, 90);
    world.party_mut(cheat).client.watchful = false;
    clear(&mut world);
    (world, spender)
}

#[test]
fn what_is_forced_on_an_old_state_is_answered_with_the_latest() {
    for cheat in BOTH {
        for round in [3, 4, 5] {
            let _case = Case(format!("the {cheat} forces on round {round}"));
            let victim = cheat.other();
            let (mut world, spender) = cheated_on(cheat);
            let (balances, latest) = (world.model.balances(), world.model.round());
            let me = account(&world, cheat);
            let forced = world.forced_of(cheat, round, (spender, &Call::Spend(me, 500)), &world.chain);
            let forced = world.post(cheat, forced);
            world.run_for(40_000);
            assert!(matches!(world.chain.locate_tx(&forced.hash()), TxLocation::InBlock { .. }));
            let heard =
                ["on_chain_tx(can_snapshot)", "sign.snapshot_solo_tx", "on_chain_tx(channel_changed)"];
            assert_eq!(told(&world, victim)[..3], heard);
            assert_eq!(world.chain.channel(id_of(&world)).unwrap().round.0, latest);
            assert_eq!(world.model.balances(), balances);
            assert_eq!(BOTH.map(|role| world.round(role)), [latest; 2]);
            goes_on(world, spender);
        }
    }
}

#[test]
fn what_is_forced_on_an_old_state_and_never_answered_does_not_count_in_a_close() {
    for cheat in BOTH {
        for (closer, round) in [(cheat, 4), (cheat.other(), 4), (cheat, 5), (cheat.other(), 5)] {
            let (mut world, spender) = cheated_on(cheat);
            world.party_mut(cheat.other()).client.watchful = false;
            let balances = world.model.balances();
            let me = account(&world, cheat);
            let forced = world.forced_of(cheat, round, (spender, &Call::Spend(me, 500)), &world.chain);
            world.post(cheat, forced);
            world.run_for(20_000);
            world.party_mut(cheat.other()).client.watchful = true;
            solo_well(&mut world, closer, Flow::CloseSolo);
            assert_eq!(world.recover(), Ending::Closed);
            let Some(Tx::ChannelSettle(settle)) = world.model.closed().map(|tx| tx.tx().clone()) else {
                panic!()
            };
            let paid = [settle.initiator_amount_final.0, settle.responder_amount_final.0];
            assert_eq!(paid, balances);
        }
    }
}

#[test]
fn what_is_forced_on_an_old_state_while_closing_is_slashed() {
    for cheat in BOTH {
        for round in [3, 4, 5] {
            let _case = Case(format!("the {cheat} closes and forces on round {round}"));
            let (mut world, spender) = cheated_on(cheat);
            let victim = cheat.other();
            let balances = world.model.balances();
            let me = account(&world, cheat);
            world.party_mut(victim).client.set_think(15_000);
            world.close_with(cheat, round);
            world.run_for(10_500);
            let forced = world.forced_of(cheat, round, (spender, &Call::Spend(me, 500)), &world.chain);
            let forced = world.post(cheat, forced);
            let mined =
                |world: &World| matches!(world.chain.locate_tx(&forced.hash()), TxLocation::InBlock { .. });
            let mined = world.run_until(60_000, mined);
            world.party_mut(victim).client.set_think(5);
            let closed = world.run_until(900_000, |world| world.both(|party| party.forgotten));
            assert!(mined && closed, "{}", world.describe());
            let Some(Tx::ChannelSettle(settle)) = world.model.closed().map(|tx| tx.tx().clone()) else {
                panic!()
            };
            let paid = [settle.initiator_amount_final.0, settle.responder_amount_final.0];
            assert_eq!(paid, balances);
        }
    }
}

#[test]
fn who_was_away_learns_of_every_forced_call() {
    for role in BOTH {
        for silent in [false, true] {
            let (mut world, spender, _) = with_contracts(Setup::default());
            let [me, you] = [role, role.other()].map(|role| account(&world, role));
            world.vanish(role.other(), silent);
            for amount in [10, 20, 30] {
                if !world.party(role).is_alive() {
                    world.come_back(role).unwrap();
                }
                let ticket = world.ask(role, Call::SpendTwo([(me, amount), (you, 1)]).forced(spender, 0));
                assert!(world.took(role, ticket), "{}", world.describe());
                world.run_for(25_000);
            }
            assert_eq!((world.round(role), world.model.forced_rounds()), (6, 3), "{}", world.describe());
            world.crash(role.other(), silent);
            agreed(world.recover());
            assert_eq!(BOTH.map(|role| world.round(role)), [6; 2]);
            assert_eq!(world.model.contracts().iter().map(|(.., coins)| coins).sum::<u128>(), 1_000 - 63);
            goes_on(world, spender);
        }
    }
}

fn agreed(ending: Ending) {
    assert!(matches!(ending, Ending::Agreed { .. }), "{ending:?}");
}

#[test]
fn a_round_that_is_under_way_and_a_forced_call_end_in_one_state() {
    for role in BOTH {
        for other in BOTH {
            for request in [0, 1, 2, 3] {
                // Before the block that holds the call, while it comes, and after.
                for after in [0, 5, 12, 20, 9_970, 9_985, 9_995, 10_005, 10_030] {
                    let _case = Case(format!("{role} forces, {other} asks for {request} after {after} ms"));
                    let (mut world, spender, _) = with_contracts(Setup::default());
                    let me = account(&world, role);
                    world.ask(role, Call::Spend(me, 100).forced(spender, 0));
                    world.run_for(after);
                    let request = match request {
                        0 => World::transfer_request(other, 9),
                        1 => Call::Deposit.of(spender, 9),
                        2 => World::funds_request(Flow::Deposit, 9),
                        _ => Call::SpendTwo([(me, 7), (me, 8)]).forced(spender, 0),
                    };
                    world.ask(other, request);
                    world.run_for(45_000);
                    agreed(world.recover());
                    world.transfer_well(role, 1);
                    world.transfer_well(role.other(), 1);
                }
            }
        }
    }
}

#[test]
fn a_forced_call_that_a_fork_takes_back_counts_again_when_it_is_back() {
    for role in BOTH {
        for depth in [0, 1, 3] {
            let (mut world, spender, _) = with_contracts(Setup::default());
            world.run_for(50_000);
            clear(&mut world);
            let me = account(&world, role);
            force_well(&mut world, role, spender, &Call::Spend(me, 100));
            world.mining = false;
            world.fork(&ForkPlan::emptied(depth));
            assert_eq!(BOTH.map(|role| world.round(role)), [3; 2], "{}", world.describe());
            let mut other_way = world.clone();
            world.mining = true;
            world.run_for(25_000);
            assert_eq!(BOTH.map(|role| world.round(role)), [4; 2], "{}", world.describe());
            // The transaction is told once; which state is the latest, whenever that changes.
            let with_updates = |mut told: Vec<String>| {
                told.extend(["channels.update".to_owned(), "channels.update".to_owned()]);
                told
            };
            let expected = (with_updates(own()), with_updates(others()));
            assert_eq!((told(&world, role), told(&world, role.other())), expected);
            goes_on(world, spender);
            // Meanwhile both agree on something else: that counts.
            other_way.transfer_well(role, 5);
            other_way.mining = true;
            other_way.run_for(25_000);
            agreed(other_way.recover());
            goes_on(other_way, spender);
        }
    }
}

#[test]
fn of_two_calls_that_both_force_at_once_one_counts() {
    for first in BOTH {
        let (mut world, spender, _) = with_contracts(Setup::default());
        for role in [first, first.other()] {
            let me = account(&world, role);
            world.ask(role, Call::Spend(me, 600).forced(spender, 0));
        }
        world.run_for(60_000);
        agreed(world.recover());
        assert_eq!(world.model.forced_rounds(), 1, "{}", world.describe());
        let posted = world.submitted.iter().filter(|(_, tx, _)| tx.kind() == TxKind::ChannelForceProgress);
        assert_eq!(posted.count(), 2);
        assert!(world.both(|party| party.channel().place() == Place::Open));
        goes_on(world, spender);
    }
}

#[test]
fn nothing_is_forced_by_who_is_busy_or_not_there_yet() {
    let mut world = World::new(Setup::default());
    world.open(Role::Responder);
    let request = Call::Deposit.forced(ContractId([8; 32]), 0);
    let ticket = world.ask(Role::Responder, request);
    let Some(Err(refusal)) = world.party(Role::Responder).client.answer(ticket) else { panic!() };
    assert!(matches!(refusal.reason, Reason::NotReady(_)), "{refusal}");
}

/// Below the height of the switch a second forced call does not begin a new line: co-signed states from the first one on replace
/// both (`docs/protocol/channel_txs` §1.1, §1.2).
#[test]
fn what_a_co_signed_state_replaced_on_chain_is_not_the_latest_any_more() {
    for role in BOTH {
        let (mut world, spender, _) =
            with_contracts(Setup { solo_round_switch: 168_300, ..Setup::default() });
        for role in BOTH {
            world.party_mut(role).client.watchful = false;
        }
        world.transfer_well(role, 5);
        world.transfer_well(role, 5);
        let me = account(&world, role);
        // Rounds 3, 4 and 5 are co-signed: a call on the first one, one on the last one, and a close with the second one.
        let first = world.forced_of(role, 3, (spender, &Call::Spend(me, 1)), &world.chain);
        world.post(role, first);
        world.run_for(15_000);
        let second = world.forced_of(role, 5, (spender, &Call::Spend(me, 2)), &world.chain);
        world.post(role, second);
        world.run_for(15_000);
        assert_eq!(BOTH.map(|role| world.round(role)), [6; 2], "{}", world.describe());
        world.close_with(role.other(), 4);
        world.run_for(15_000);
        assert_eq!(world.chain.channel(id_of(&world)).unwrap().round.0, 4);
        assert_eq!(BOTH.map(|role| world.round(role)), [5; 2], "{}", world.describe());
        assert_eq!(world.recover(), Ending::Closed);
    }
}

/// The state that a client was told of when it came back is not the latest any more: it is told what is.
#[test]
fn who_came_back_to_a_forced_state_is_told_when_a_fork_takes_it_back() {
    for role in BOTH {
        let (mut world, spender, _) = with_contracts(Setup::default());
        let me = account(&world, role);
        force_well(&mut world, role, spender, &Call::Spend(me, 100));
        world.ask(Role::Initiator, Request::Leave);
        world.calm();
        agreed(world.recover());
        assert_eq!(BOTH.map(|role| world.round(role)), [4; 2]);
        clear(&mut world);
        let forced = world.party(role).channel().agreed_tx().unwrap().hash();
        let mut plan = ForkPlan::new(6);
        plan.chosen.insert(forced, Abandoned::Lost);
        world.fork(&plan);
        assert_eq!(BOTH.map(|role| world.round(role)), [3; 2]);
        for role in BOTH {
            assert!(told(&world, role).contains(&"channels.update".to_owned()), "{:?}", told(&world, role));
        }
    }
}
