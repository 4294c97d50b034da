//! Two flows at once, aborts and timeouts, and exactly what the clients hear of them (`docs/protocol/fsm` §5).

use strait_channel::{ConflictCode, Flow, Message, Part, Patience, Reason, Request, Role, TxOptions};
use strait_sim::{Call, Ending, Program, Reply, Setup, World};

use crate::support::{BOTH, Case, clear, contract_well, funds_well, told};

/// What two can do together in an open channel.
const TOGETHER: [Start; 6] = [
    Start::Transfer,
    Start::Create,
    Start::Call,
    Start::Of(Flow::Deposit),
    Start::Of(Flow::Withdraw),
    Start::Of(Flow::Shutdown),
];

/// What is begun.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Start {
    Transfer,
    /// A contract is made.
    Create,
    /// A contract is called.
    Call,
    Of(Flow),
}

impl Start {
    fn flow(self) -> Flow {
        match self {
            Start::Transfer | Start::Create | Start::Call => Flow::Update,
            Start::Of(flow) => flow,
        }
    }
}

/// Round 2: there is a contract to call.
fn with_a_contract(setup: Setup) -> World {
    let mut world = World::opened(setup);
    contract_well(&mut world, Role::Initiator, Program::Spender, 1_000);
    clear(&mut world);
    world.wire.clear();
    world
}

/// The flows of one, and how a world comes to where they can start.
const ALONE: [Flow; 4] = [Flow::CloseSolo, Flow::SnapshotSolo, Flow::Slash, Flow::Settle];

fn request(start: Start, role: Role) -> Request {
    match start {
        Start::Transfer => World::transfer_request(role, 9),
        Start::Create => Program::Callee.create(9),
        Start::Call => Call::Deposit.of(World::contract_made(Role::Initiator, 2), 9),
        Start::Of(flow @ (Flow::Deposit | Flow::Withdraw)) => World::funds_request(flow, 9),
        Start::Of(Flow::Shutdown) => Request::Shutdown(TxOptions::default()),
        Start::Of(flow) => World::solo_request(flow),
    }
}

/// What a proposer is asked to sign.
fn asked(start: Start) -> String {
    format!("sign.{}", start.flow().row().proposer.sign)
}

/// What an acceptor hears of a proposal.
fn proposed(start: Start) -> [String; 2] {
    let row = start.flow().row();
    let event = row.milestones.proposed.map_or("", |event| event.name());
    [event.to_owned(), format!("sign.{}", row.acceptor.map_or("", |names| names.sign))]
}

fn conflict(code: u16) -> String {
    format!("conflict({code})")
}

/// The refusals that a side sent: their flow and code.
fn refusals(world: &World, from: Role) -> Vec<(Flow, u16)> {
    let sent = world.wire.iter().filter(|sent| sent.from == from);
    sent.filter_map(|sent| match (Flow::of_code(sent.message.code()), &sent.message) {
        (
            Some((flow, Part::Refuse)),
            Message::UpdateError { error_code, .. }
            | Message::DepositError { error_code, .. }
            | Message::WithdrawError { error_code, .. }
            | Message::ShutdownError { error_code, .. },
        ) => Some((flow, *error_code)),
        _ => None,
    })
    .collect()
}

/// Both are where they were, and can go on in every flow.
fn goes_on(world: &mut World) {
    for role in BOTH {
        let channel = world.party(role).channel();
        assert!(channel.has_peer() && channel.doing() == "idle", "{}", world.describe());
        assert_eq!(world.round(role), world.model.round(), "{}", world.describe());
    }
    for role in BOTH {
        world.transfer_well(role, 3);
        funds_well(world, role, Flow::Deposit, 4);
        funds_well(world, role.other(), Flow::Withdraw, 4);
    }
}

/// Who has signed when two flows meet.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Signed {
    Nobody,
    /// The one that asked first.
    First,
    Both,
}

#[test]
fn every_pair_of_flows_that_meets_is_lost_to_both() {
    let opened = with_a_contract(Setup::default());
    for mine in TOGETHER {
        for yours in TOGETHER {
            for first in BOTH {
                for signed in [Signed::Nobody, Signed::First, Signed::Both] {
                    let _case =
                        Case(format!("{mine:?} of the {first}, {yours:?} of its peer, signed: {signed:?}"));
                    meet(&opened, [mine, yours], first, signed);
                }
            }
        }
    }
}

fn meet(opened: &World, [mine, yours]: [Start; 2], first: Role, signed: Signed) {
    let (mut world, second) = (opened.clone(), first.other());
    let silent = [(Signed::Nobody, first), (Signed::Nobody, second), (Signed::First, second)];
    for (_, role) in silent.into_iter().filter(|(when, _)| *when == signed) {
        world.party_mut(role).client.plan.push_back(Reply::Nothing);
    }
    let tickets = [world.ask(first, request(mine, first)), world.ask(second, request(yours, second))];
    assert!(world.took(first, tickets[0]) && world.took(second, tickets[1]));
    world.calm();
    match signed {
        Signed::Nobody => {
            // Nothing has left: neither knows of the other one's.
            assert_eq!([told(&world, first), told(&world, second)], [vec![asked(mine)], vec![asked(yours)]]);
            assert!(world.wire.is_empty());
            decline(&mut world, first, mine.flow(), 42);
            decline(&mut world, second, yours.flow(), 42);
            let aborted = "aborted_update".to_owned();
            assert_eq!(told(&world, first), [asked(mine), aborted.clone()]);
            assert_eq!(told(&world, second), [asked(yours), aborted]);
            assert!(world.wire.is_empty());
        }
        Signed::First => {
            assert_eq!(told(&world, first), [asked(mine), conflict(2)]);
            assert_eq!(told(&world, second), [asked(yours), conflict(2)]);
            assert_eq!(refusals(&world, first), []);
            assert_eq!(refusals(&world, second), [(mine.flow(), 2)]);
        }
        Signed::Both => {
            assert_eq!(told(&world, first), [asked(mine), conflict(2)]);
            assert_eq!(told(&world, second), [asked(yours), conflict(2)]);
            // Typed by the incoming message.
            assert_eq!(refusals(&world, first), [(yours.flow(), 2)]);
            assert_eq!(refusals(&world, second), [(mine.flow(), 2)]);
        }
    }
    goes_on(&mut world);
}

fn decline(world: &mut World, role: Role, flow: Flow, code: u16) {
    let side = strait_channel::Side::Proposer;
    let ticket = world.ask(role, Request::Declined { flow, side, code });
    assert!(world.took(role, ticket), "{}", world.describe());
    world.calm();
}

#[test]
fn a_second_request_of_the_own_client_abandons_what_waits_for_its_signature() {
    let opened = with_a_contract(Setup::default());
    for mine in TOGETHER {
        for next in [Start::Transfer, Start::Call, Start::Of(Flow::Deposit), Start::Of(Flow::Withdraw)] {
            for role in BOTH {
                let _case = Case(format!("{mine:?}, then {next:?} of the {role}"));
                // As proposer.
                let mut world = opened.clone();
                world.party_mut(role).client.plan.push_back(Reply::Nothing);
                world.ask(role, request(mine, role));
                let ticket = world.ask(role, request(next, role));
                world.calm();
                assert!(world.took(role, ticket));
                assert_eq!(told(&world, role), [asked(mine), conflict(2)]);
                assert!(told(&world, role.other()).is_empty());
                goes_on(&mut world);
                // As acceptor: the error is typed by what is under way.
                let mut world = opened.clone();
                world.party_mut(role).client.plan.push_back(Reply::Nothing);
                world.ask(role.other(), request(mine, role.other()));
                world.calm();
                let ticket = world.ask(role, request(next, role));
                world.calm();
                assert!(world.took(role, ticket));
                assert_eq!(told(&world, role), [proposed(mine).to_vec(), vec![conflict(2)]].concat());
                assert_eq!(told(&world, role.other()), [asked(mine), conflict(2)]);
                assert_eq!(refusals(&world, role), [(mine.flow(), 2)]);
                goes_on(&mut world);
            }
        }
    }
}

#[test]
fn every_flow_can_be_declined_by_either_side_with_every_code() {
    let opened = with_a_contract(Setup::default());
    for flow in TOGETHER {
        for role in BOTH {
            for code in [1, 42, 128, 65_535] {
                let _case = Case(format!("{flow:?} of the {role}, {code}"));
                let mut world = opened.clone();
                world.party_mut(role).client.plan.push_back(Reply::Decline(code));
                world.ask(role, request(flow, role));
                world.calm();
                assert_eq!(told(&world, role), [asked(flow), "aborted_update".to_owned()]);
                assert!(told(&world, role.other()).is_empty() && world.wire.is_empty());
                goes_on(&mut world);

                let mut world = opened.clone();
                world.party_mut(role.other()).client.plan.push_back(Reply::Decline(code));
                world.ask(role, request(flow, role));
                world.calm();
                assert_eq!(told(&world, role), [asked(flow), conflict(code)]);
                let other = [proposed(flow).to_vec(), vec!["aborted_update".to_owned()]].concat();
                assert_eq!(told(&world, role.other()), other);
                assert_eq!(refusals(&world, role.other()), [(flow.flow(), code)]);
                goes_on(&mut world);
            }
        }
    }
}

#[test]
fn two_codes_of_a_client_become_an_abort_on_the_wire() {
    // There they say that a proposer withdraws, or that the chain refused its transaction (`docs/decisions/0002`).
    let opened = with_a_contract(Setup::default());
    for flow in TOGETHER {
        for code in [3, 5] {
            let mut world = opened.clone();
            world.party_mut(Role::Initiator).client.plan.push_back(Reply::Decline(code));
            world.ask(Role::Responder, request(flow, Role::Responder));
            world.calm();
            assert_eq!(told(&world, Role::Responder), [asked(flow), conflict(4)]);
            assert_eq!(refusals(&world, Role::Initiator), [(flow.flow(), 4)]);
            goes_on(&mut world);
        }
    }
}

#[test]
fn conflicts_are_told_in_the_words_of_the_reference() {
    // `docs/protocol/ws_api` §7.2.
    let words =
        [(1, "validation error"), (2, "conflict"), (3, "timeout"), (4, "abort"), (5, "rejected on-chain")];
    for (code, text) in words {
        assert_eq!(ConflictCode(code).message(), text);
    }
    assert_eq!([42, 127].map(|code| ConflictCode(code).message()), ["unknown"; 2]);
    assert_eq!([128, 65_535].map(|code| ConflictCode(code).message()), ["user-defined"; 2]);
}

/// A world in which `role` may start this flow of one.
fn before_alone(flow: Flow, role: Role) -> World {
    let mut world = World::opened(Setup::default());
    world.transfer_well(role.other(), 1_000);
    for role in BOTH {
        world.party_mut(role).client.watchful = false;
    }
    if matches!(flow, Flow::Slash | Flow::Settle) {
        world.close_with(role.other(), if flow == Flow::Slash { 1 } else { 2 });
        world.run_for(15_000);
    }
    clear(&mut world);
    world
}

#[test]
fn what_is_signed_alone_can_be_declined_and_left_unsigned() {
    for flow in ALONE {
        for role in BOTH {
            let begin = before_alone(flow, role);
            let submitted = begin.submitted.len();
            for (reply, heard) in [
                (Reply::Decline(1), "aborted_update"),
                (Reply::Decline(42), "aborted_update"),
                (Reply::Decline(128), "aborted_update"),
                (Reply::Decline(65_535), "aborted_update"),
                (Reply::Nothing, "conflict(3)"),
            ] {
                let _case = Case(format!("{flow:?} of the {role}, {reply:?}"));
                let mut world = begin.clone();
                world.mining = false;
                world.party_mut(role).client.plan.push_back(reply);
                world.ask(role, request(Start::Of(flow), role));
                world.run_for(Patience::default().sign);
                assert_eq!(told(&world, role), [asked(Start::Of(flow)), heard.to_owned()]);
                assert!(told(&world, role.other()).is_empty() && world.submitted.len() == submitted);
                // It may be asked for again.
                let ticket = world.ask(role, request(Start::Of(flow), role));
                assert!(world.took(role, ticket), "{}", world.describe());
            }
        }
    }
}

#[test]
fn whoever_does_not_sign_in_time_is_told_so_and_its_peer_is_refused() {
    let patience = Patience::default();
    let opened = with_a_contract(Setup::default());
    for flow in TOGETHER {
        for role in BOTH {
            let _case = Case(format!("{flow:?} of the {role}"));
            let mut world = opened.clone();
            world.party_mut(role).client.plan.push_back(Reply::Nothing);
            world.ask(role, request(flow, role));
            world.run_for(patience.sign - 1);
            assert_eq!(told(&world, role), [asked(flow)]);
            world.run_for(1);
            assert_eq!(told(&world, role), [asked(flow), conflict(3)]);
            assert!(told(&world, role.other()).is_empty() && world.wire.is_empty());
            goes_on(&mut world);

            let mut world = opened.clone();
            world.party_mut(role.other()).client.plan.push_back(Reply::Nothing);
            world.ask(role, request(flow, role));
            world.run_for(patience.funding_sign.max(patience.accept));
            assert_eq!(told(&world, role), [asked(flow), conflict(2)]);
            assert_eq!(told(&world, role.other()), [proposed(flow).to_vec(), vec![conflict(3)]].concat());
            assert_eq!(refusals(&world, role.other()), [(flow.flow(), 2)]);
            goes_on(&mut world);
        }
    }
}

#[test]
fn a_proposer_that_waits_no_longer_withdraws() {
    let hasty = Patience { accept: 1_000, funding_sign: 1_000, ..Patience::default() };
    for flow in TOGETHER {
        for role in BOTH {
            let _case = Case(format!("{flow:?} of the {role}"));
            let patience = BOTH.map(|other| if other == role { hasty } else { Patience::default() });
            let mut world = with_a_contract(Setup { patience, ..Setup::default() });
            world.party_mut(role.other()).client.plan.push_back(Reply::Nothing);
            world.ask(role, request(flow, role));
            world.run_for(1_500);
            assert_eq!(told(&world, role), [asked(flow), conflict(3)]);
            assert_eq!(told(&world, role.other()), [proposed(flow).to_vec(), vec![conflict(3)]].concat());
            assert_eq!(
                [refusals(&world, role), refusals(&world, role.other())],
                [[(flow.flow(), 3)], [(flow.flow(), 2)]]
            );
            goes_on(&mut world);
        }
    }
}

#[test]
fn a_proposal_that_is_never_answered_is_in_the_balance_until_both_come_back() {
    let patience = Patience::default();
    let opened = with_a_contract(Setup::default());
    for flow in TOGETHER {
        for role in BOTH {
            let _case = Case(format!("{flow:?} of the {role}"));
            let mut world = opened.clone();
            world.party_mut(role.other()).client.habit = Reply::Nothing;
            world.held = Some(role.other());
            world.ask(role, request(flow, role));
            world.run_for(patience.accept.max(patience.funding_sign) + 100);
            assert_eq!(told(&world, role), [asked(flow), conflict(3)]);
            assert_eq!(refusals(&world, role), [(flow.flow(), 3)]);
            // What is asked for now waits for the peer, and is refused when nobody waits any more.
            let waiting = world.ask(role, request(Start::Transfer, role));
            assert_eq!(world.party(role).client.answer(waiting), None);
            world.run_for(patience.accept);
            for flow in TOGETHER {
                let ticket = world.ask(role, request(flow, role));
                let answer = world.party(role).client.answer(ticket).cloned();
                let Some(Err(refusal)) = answer else { panic!("{flow:?} is taken: {}", world.describe()) };
                assert!(matches!(refusal.reason, Reason::NotReady(_)), "{refusal:?}");
            }
            assert!(matches!(world.party(role).client.answer(waiting), Some(Err(_))));
            assert_eq!(told(&world, role), [asked(flow), conflict(3)]);
            // To close alone is still possible; here both come back instead.
            world.held = None;
            world.ask(role, Request::Leave);
            let Ending::Agreed { returns } = world.recover() else { panic!("{}", world.describe()) };
            assert!(returns.iter().all(|returns| *returns <= 1), "{returns:?}");
            assert_eq!(world.model.round(), 2);
            goes_on(&mut world);
        }
    }
}

#[test]
fn what_both_signed_waits_for_the_chain_however_long() {
    let opened = with_a_contract(Setup::default());
    for flow in [Flow::Deposit, Flow::Withdraw, Flow::Shutdown].map(Start::Of) {
        for role in BOTH {
            let _case = Case(format!("{flow:?} of the {role}"));
            let mut world = opened.clone();
            world.mining = false;
            world.ask(role, request(flow, role));
            world.calm();
            let before = BOTH.map(|role| told(&world, role));
            world.run_for(5 * Patience::default().funding_lock);
            assert_eq!(BOTH.map(|role| told(&world, role)), before);
            assert!(
                world.both(|party| party.channel().doing() == flow.flow().row().name),
                "{}",
                world.describe()
            );
            world.mining = true;
            world.run_for(60_000);
            if flow == Start::Of(Flow::Shutdown) {
                assert!(world.both(|party| party.forgotten));
            } else {
                goes_on(&mut world);
            }
        }
    }
}

#[test]
fn a_lock_that_never_comes_ends_the_wait_of_who_may_not_wait() {
    let patience = Patience::default();
    for flow in [Flow::Deposit, Flow::Withdraw].map(Start::Of) {
        for role in BOTH {
            for silent in BOTH {
                for keep_running in [true, false] {
                    let _case =
                        Case(format!("{flow:?} of the {role}, the {silent} is silent, {keep_running}"));
                    let mut world = World::opened(Setup { keep_running, ..Setup::default() });
                    world.ask(role, request(flow, role));
                    world.run_for(100);
                    world.held = Some(silent);
                    world.run_for(30_000);
                    let waits = silent.other();
                    assert_eq!([world.round(silent), world.round(waits)], [2, 1], "{}", world.describe());
                    world.run_for(patience.funding_lock);
                    let stays = keep_running && waits == Role::Responder;
                    assert_eq!(world.party(waits).is_alive(), stays, "{}", world.describe());
                    let end = told(&world, waits).join(" ");
                    assert_eq!(end.ends_with("timeout died close"), !stays, "{end}");
                    // Re-establishing makes up for the message.
                    world.held = None;
                    if stays {
                        world.cut_line();
                    }
                    let Ending::Agreed { returns } = world.recover() else { panic!() };
                    assert!(returns.iter().all(|returns| *returns <= 1), "{returns:?}");
                    goes_on(&mut world);
                }
            }
        }
    }
}
