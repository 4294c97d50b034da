//! Generalized accounts that do not authenticate as they have to, before the chain and on it.

use strait_channel::{Flow, Message, Request, Role, TxOptions};
use strait_encoding::Coins;
use strait_ledger::{ChainView, SignedTx, TxLocation};
use strait_sim::{Ending, Forgery, MetaLie, Reply, World};

use crate::generalized::{KINDS, setup};
use crate::lies::{carried, last, make_up, tell_lie, with_liar, with_tx};
use crate::support::{BOTH, Case, clear, conflicts, id_of, told};

/// Two meta transactions of one account are taken off chain, and fail on chain.
fn lies() -> impl Iterator<Item = Forgery> {
    let metas = MetaLie::ALL.into_iter().filter(|lie| *lie != MetaLie::Twice).map(Forgery::Meta);
    Forgery::ALL.into_iter().filter(|forgery| *forgery != Forgery::Both).chain(metas)
}

/// The generalized parties of each kind of channel.
fn members() -> impl Iterator<Item = ([bool; 2], Role)> {
    KINDS.into_iter().flat_map(|kinds| {
        BOTH.into_iter()
            .zip(kinds)
            .filter(|(_, generalized)| *generalized)
            .map(move |(role, _)| (kinds, role))
    })
}

/// The flows of both, and their messages.
const FLOWS: [(Flow, &str, &str); 4] = [
    (Flow::Update, "Update", "UpdateAck"),
    (Flow::Deposit, "DepositCreated", "DepositSigned"),
    (Flow::Withdraw, "WithdrawCreated", "WithdrawSigned"),
    (Flow::Shutdown, "Shutdown", "ShutdownAck"),
];

fn request(flow: Flow, role: Role) -> Request {
    match flow {
        Flow::Update => World::transfer_request(role, 5),
        Flow::Shutdown => Request::Shutdown(TxOptions::default()),
        flow => World::funds_request(flow, 5),
    }
}

fn in_round_two(kinds: [bool; 2]) -> World {
    let mut world = World::opened(setup(kinds));
    world.transfer_well(Role::Initiator, 10);
    world.run_for(30_000);
    clear(&mut world);
    world
}

#[test]
fn what_a_client_does_not_authenticate_well_changes_nothing() {
    for (kinds, forger) in members() {
        let begin = in_round_two(kinds);
        for (flow, ..) in FLOWS {
            for forgery in lies() {
                for proposer in BOTH {
                    let _case =
                        Case(format!("{kinds:?}: {forgery:?} of the {forger}, {flow:?} of the {proposer}"));
                    let mut world = begin.clone();
                    world.party_mut(forger).client.plan.push_back(Reply::Forge(forgery));
                    world.ask(proposer, request(flow, proposer));
                    world.run_for(1_000);
                    assert_eq!((world.model.round(), BOTH.map(|role| world.round(role))), (2, [2; 2]));
                    assert_eq!(world.submitted.len(), begin.submitted.len());
                    assert_eq!(told(&world, forger).last().map(String::as_str), Some("conflict(1)"));
                    world.transfer_well(Role::Initiator, 1);
                }
            }
        }
        for flow in [Flow::SnapshotSolo, Flow::CloseSolo] {
            for forgery in lies() {
                let _case = Case(format!("{kinds:?}: {forgery:?} of the {forger}, {flow:?}"));
                let mut world = begin.clone();
                world.party_mut(forger).client.plan.push_back(Reply::Forge(forgery));
                world.ask(forger, World::solo_request(flow));
                world.run_for(1_000);
                assert_eq!(told(&world, forger).last().map(String::as_str), Some("conflict(1)"));
                assert_eq!(world.submitted.len(), begin.submitted.len());
            }
        }
    }
}

#[test]
fn what_a_peer_does_not_authenticate_well_is_refused() {
    let mut told = 0;
    for (number, (kinds, liar)) in members().enumerate() {
        let begin = in_round_two(kinds);
        let me = begin.party(liar).signer.clone();
        // Every flow with either role, and either kind of peer.
        for (flow, proposal, acceptance) in FLOWS.into_iter().skip((number + number / 2) % 2).step_by(2) {
            let lie = |honest: &Message, signed_before, forgery: Forgery| {
                with_tx(honest, forgery.of(&signed_before, &me, liar).encode())
            };
            let mut proposing = with_liar(begin.clone(), liar);
            proposing.ask(liar, request(flow, liar));
            proposing.run_for(100);
            let honest = last(&proposing, liar, proposal);
            let mut accepting = with_liar(begin.clone(), liar);
            accepting.ask(liar.other(), request(flow, liar.other()));
            accepting.run_for(100);
            let (asked, accepted) =
                (last(&accepting, liar.other(), proposal), last(&accepting, liar, acceptance));
            for forgery in lies() {
                let unsigned = SignedTx::unsigned(carried(&honest).body().clone());
                for (world, lie) in [
                    (&proposing, lie(&honest, unsigned, forgery)),
                    (&accepting, lie(&accepted, carried(&asked), forgery)),
                ] {
                    let _case = Case(format!("{kinds:?}: {forgery:?} of the {liar}, {}", lie.name()));
                    tell_lie(world, liar, &format!("{forgery:?}"), &lie);
                    make_up(world, liar, &lie);
                    told += 1;
                }
            }
        }
    }
    println!("{told} lies of generalized accounts");
}

/// A spend that goes before everything else of its account.
fn first_of_all(world: &World, role: Role) -> SignedTx {
    let spend = World::spend_of(role, &world.chain).with_fee(Coins(10_000_000_000_000_000));
    world.party(role).signer.add_to(&SignedTx::unsigned(spend))
}

/// A fully authenticated transaction that does not come about, and what the peers of its liar hear.
fn comes_to_nothing(world: &mut World, liar: Role, before: (u64, [u128; 2])) {
    let victim = liar.other();
    world.run_for(400_000);
    assert_eq!((world.model.round(), world.model.balances()), before, "{}", world.describe());
    assert!(conflicts(world, victim).contains(&"conflict(5)".to_owned()), "{}", world.describe());
    let recovered = world.recover();
    assert!(matches!(recovered, Ending::Agreed { .. }), "{recovered:?}: {}", world.describe());
    world.party_mut(liar).signer.all_refused();
    world.transfer_well(Role::Initiator, 3);
    world.transfer_well(Role::Responder, 4);
}

/// The liar uses the number of its authentication for something else, before a block holds the transaction.
#[test]
fn an_authentication_that_fails_on_chain_is_told() {
    for (kinds, liar) in members() {
        let begin = in_round_two(kinds);
        for (flow, ..) in FLOWS.into_iter().skip(1) {
            for proposer in BOTH {
                let _case = Case(format!("{kinds:?}: {flow:?} of the {proposer}, {liar} lies"));
                let mut world = begin.clone();
                let before = (world.model.round(), world.model.balances());
                let spend = first_of_all(&world, liar);
                world.ask(proposer, request(flow, proposer));
                world.run_for(100);
                let both = world.submitted.last().unwrap().1.clone();
                assert!(both.body().kind() == flow.row().tx && world.submitted.last().unwrap().2.is_ok());
                world.hand_in(&spend);
                world.run_for(15_000);
                let in_block =
                    |tx: &SignedTx| matches!(world.chain.locate_tx(&tx.hash()), TxLocation::InBlock { .. });
                // Around it there may be one that the other party has authenticated.
                let came_about = in_block(&both) && !world.model.has_failed(&both.hash());
                assert_eq!((in_block(&spend), came_about), (true, false));
                comes_to_nothing(&mut world, liar, before);
            }
        }
    }
}

/// Whether a transaction that the liar puts into two meta transactions can be completed: a signature changes what the outer one
/// authenticates.
fn can_wrap_twice(kinds: [bool; 2], liar: Role, proposer: Role) -> bool {
    liar != proposer || kinds == [true, true]
}

/// What stands in the meta transaction fails: it is in a block, paid for, and nothing has come of it.
#[test]
fn what_fails_behind_its_authentication_is_told() {
    for (kinds, liar) in members() {
        let begin = in_round_two(kinds);
        for (flow, ..) in FLOWS.into_iter().skip(1) {
            for proposer in BOTH.into_iter().filter(|proposer| can_wrap_twice(kinds, liar, *proposer)) {
                let _case = Case(format!("{kinds:?}: {flow:?} of the {proposer}, {liar} lies"));
                let mut world = begin.clone();
                let before = (world.model.round(), world.model.balances());
                let held = world.chain.channel(id_of(&world));
                // The outer one uses the number of the inner one.
                world.party_mut(liar).client.plan.push_back(Reply::Forge(Forgery::Meta(MetaLie::Twice)));
                world.ask(proposer, request(flow, proposer));
                world.run_for(15_000);
                let (_, both, result) = world.submitted.last().unwrap();
                assert!(both.body().kind() == flow.row().tx && result.is_ok(), "{}", world.describe());
                assert!(world.model.has_failed(&both.hash()), "{}", world.describe());
                assert_eq!(world.chain.channel(id_of(&world)), held);
                comes_to_nothing(&mut world, liar, before);
            }
        }
    }
}

/// A basic party spends the nonce of a transaction that its generalized peer has put into a meta transaction.
#[test]
fn what_a_basic_peer_makes_fail_is_told() {
    for (kinds, liar) in [([true, false], Role::Responder), ([false, true], Role::Initiator)] {
        let begin = in_round_two(kinds);
        for (flow, ..) in FLOWS.into_iter().skip(1) {
            let _case = Case(format!("{flow:?} of the {liar}"));
            let mut world = begin.clone();
            let before = (world.model.round(), world.model.balances());
            let spend = first_of_all(&world, liar);
            world.ask(liar, request(flow, liar));
            world.run_for(100);
            world.hand_in(&spend);
            world.run_for(15_000);
            let both =
                world.submitted.iter().rev().find(|(_, tx, _)| tx.body().kind() == flow.row().tx).unwrap();
            let (lost, failed) = (&both.1.hash(), world.model.has_failed(&both.1.hash()));
            assert!(failed || world.chain.locate_tx(lost) != TxLocation::Unknown, "{}", world.describe());
            comes_to_nothing(&mut world, liar, before);
        }
    }
}

/// The create transaction fails in its block: nobody has a channel, and both hear so.
#[test]
fn an_opening_that_fails_behind_its_authentication_ends() {
    for (kinds, liar) in members().filter(|(kinds, liar)| can_wrap_twice(*kinds, *liar, Role::Initiator)) {
        let _case = Case(format!("{kinds:?}: {liar} lies"));
        let mut world = World::new(setup(kinds));
        world.party_mut(liar).client.plan.push_back(Reply::Forge(Forgery::Meta(MetaLie::Twice)));
        world.open(Role::Responder);
        world.open(Role::Initiator);
        world.run_for(100_000);
        let (_, create, result) = world.submitted.last().unwrap();
        assert!(result.is_ok() && world.model.has_failed(&create.hash()), "{}", world.describe());
        assert_eq!(create.channel_id().and_then(|id| world.chain.channel(id)), None);
        for role in BOTH {
            let told = told(&world, role);
            assert!(told.ends_with(&["error".to_owned(), "died".to_owned(), "close".to_owned()]), "{told:?}");
        }
        assert_eq!(world.recover(), Ending::Never);
    }
}

/// A transaction that only one party authenticated can be in a block, and prove nothing: what stood in it failed.
#[test]
fn what_failed_in_a_block_is_not_taken_for_signed_by_both() {
    for (kinds, liar) in [([true, false], Role::Initiator), ([false, true], Role::Responder)] {
        let victim = liar.other();
        for (flow, proposal, acceptance) in FLOWS.into_iter().skip(1) {
            let _case = Case(format!("{flow:?} of the {victim}"));
            let mut world = with_liar(in_round_two(kinds), liar);
            world.party_mut(liar).client.habit = Reply::Nothing;
            world.ask(victim, request(flow, victim));
            world.run_for(100);
            let proposed = last(&world, victim, proposal);
            // The victim's signature is not in it.
            let alone = SignedTx::unsigned(carried(&proposed).body().clone());
            let alone = world.party(liar).signer.add_to(&alone);
            world.hand_in(&alone);
            world.run_for(15_000);
            assert!(world.model.has_failed(&alone.hash()), "{}", world.describe());
            let channel_id = id_of(&world);
            let block_hash = world.key_block(world.height());
            let tx = alone.encode();
            let accepted = match flow {
                Flow::Deposit => Message::DepositSigned { channel_id, block_hash, tx },
                Flow::Withdraw => Message::WithdrawSigned { channel_id, block_hash, tx },
                _ => Message::ShutdownAck { channel_id, block_hash, tx },
            };
            assert_eq!(accepted.name(), acceptance);
            world.inject(liar, &accepted);
            world.run_for(1_000);
            let told = told(&world, victim);
            assert_eq!(told.last().map(String::as_str), Some("conflict(2)"), "{}", world.describe());
            let ending = world.recover();
            assert!(matches!(ending, Ending::Agreed { .. }), "{ending:?}: {}", world.describe());
            world.party_mut(liar).signer.all_refused();
            world.party_mut(victim).signer.all_refused();
            world.transfer_well(victim, 3);
        }
    }
}
