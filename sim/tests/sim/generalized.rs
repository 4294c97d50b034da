//! Parties that a contract authenticates: every flow, with one of them and with two (`docs/protocol/signing` §3,
//! `docs/decisions/0010`).

use strait_channel::{Flow, Request, Role, TxOptions};
use strait_encoding::AccountId;
use strait_ledger::{AccountKind, ChainView, SignedTx, Tx, TxKind};
use strait_sim::{Ending, Setup, World};

use crate::support::{BOTH, Case, close, funds_well, id_of, solo_well, told};

/// Which of the two are generalized.
pub const KINDS: [[bool; 2]; 3] = [[true, false], [false, true], [true, true]];

pub fn setup(generalized: [bool; 2]) -> Setup {
    Setup { generalized, ..Setup::default() }
}

fn account(world: &World, role: Role) -> AccountId {
    world.party(role).signer.account()
}

/// A meta transaction for each generalized party that is to authenticate it, a signature for each other one, and no more.
fn check_authenticated(world: &World, tx: &SignedTx, generalized: [bool; 2], by: &[Role]) {
    let is_generalized = |role: &Role| generalized[usize::from(*role == Role::Responder)];
    let mut metas: Vec<_> = tx.metas().map(|meta| meta.ga_id).collect();
    metas.sort_unstable();
    let mut expected: Vec<_> =
        by.iter().filter(|role| is_generalized(role)).map(|role| account(world, *role)).collect();
    expected.sort_unstable();
    assert_eq!(metas, expected, "{tx:?}");
    assert_eq!(tx.innermost().signatures().len(), by.len() - expected.len(), "{tx:?}");
}

fn check_agreed(world: &World, generalized: [bool; 2]) {
    for role in BOTH {
        let agreed = world.party(role).channel().agreed_tx().expect("an open channel has a state");
        check_authenticated(world, agreed, generalized, &BOTH);
    }
}

#[test]
fn every_flow_of_both_comes_about() {
    for generalized in KINDS {
        let mut world = World::opened(setup(generalized));
        for (role, generalized) in BOTH.into_iter().zip(generalized) {
            let kind = world.chain.account(account(&world, role)).unwrap().kind;
            assert_eq!(matches!(kind, AccountKind::Generalized { .. }), generalized);
        }
        check_agreed(&world, generalized);
        for role in BOTH {
            world.transfer_well(role, 70);
            check_agreed(&world, generalized);
            for flow in [Flow::Deposit, Flow::Withdraw] {
                funds_well(&mut world, role, flow, 40);
                check_agreed(&world, generalized);
            }
            // States are still authenticated as the first one, though the contracts have counted on.
            world.transfer_well(role, 5);
        }
        assert_eq!(world.model.round(), 9);
        for role in BOTH {
            let mut world = world.clone();
            close(&mut world, role);
            let closed = world.model.closed().unwrap();
            assert_eq!(closed.body().kind(), TxKind::ChannelCloseMutual);
            check_authenticated(&world, closed, generalized, &BOTH);
        }
    }
}

#[test]
fn whoever_is_left_alone_closes_alone() {
    for generalized in KINDS {
        for role in BOTH {
            let _case = Case(format!("{generalized:?}, {role}"));
            let mut world = World::opened(setup(generalized));
            world.transfer_well(role, 70);
            solo_well(&mut world, role, Flow::SnapshotSolo);
            world.transfer_well(role, 7);
            let balances = world.model.balances();
            solo_well(&mut world, role, Flow::CloseSolo);
            check_authenticated(&world, &world.submitted.last().unwrap().1, generalized, &[role]);
            assert_eq!(world.recover(), Ending::Closed);
            let closed = world.model.closed().unwrap();
            let Tx::ChannelSettle(settle) = closed.body() else { panic!("{closed:?}") };
            let paid = [settle.initiator_amount_final.0, settle.responder_amount_final.0];
            assert_eq!(paid, balances);
        }
    }
}

#[test]
fn an_old_close_is_slashed() {
    for generalized in KINDS {
        for cheat in BOTH {
            let _case = Case(format!("{generalized:?}, {cheat}"));
            let mut world = World::opened(setup(generalized));
            world.transfer_well(cheat, 700);
            world.transfer_well(cheat, 70);
            let balances = world.model.balances();
            world.party_mut(cheat).client.watchful = false;
            world.close_with(cheat, 2);
            world.run_for(60_000);
            let heard = told(&world, cheat.other());
            assert!(heard.contains(&"on_chain_tx(can_slash)".to_owned()), "{}", world.describe());
            assert_eq!(world.chain.channel(id_of(&world)).unwrap().round.0, 3);
            assert_eq!(world.recover(), Ending::Closed);
            let Tx::ChannelSettle(settle) = world.model.closed().unwrap().body().clone() else { panic!() };
            let paid = [settle.initiator_amount_final.0, settle.responder_amount_final.0];
            assert_eq!(paid, balances);
        }
    }
}

/// Of two settlements in one block the second one fails behind its authentication: of a channel that is over, that is no news.
#[test]
fn whoever_settles_second_hears_of_the_end_alone() {
    for generalized in KINDS {
        let mut world = World::opened(setup(generalized));
        world.transfer_well(Role::Initiator, 70);
        // Both clients ask to settle as soon as they hear of the close.
        solo_well(&mut world, Role::Initiator, Flow::CloseSolo);
        let settled = world.run_until(400_000, |world| world.both(|party| party.forgotten));
        assert!(settled, "{}", world.describe());
        for role in BOTH {
            let told = told(&world, role);
            assert!(
                !told.iter().any(|told| told.starts_with("conflict")),
                "{generalized:?}, {role}: {told:?}"
            );
        }
    }
}

/// The initiator's half of the create transaction left, its program ends, and the responder completes it: the initiator must know
/// its channel when it is on chain.
#[test]
fn an_opening_is_not_forgotten_while_it_can_be_mined() {
    for generalized in KINDS {
        let mut world = World::new(setup(generalized));
        world.mining = false;
        world.open(Role::Responder);
        world.open(Role::Initiator);
        let sent = |world: &World| world.wire.iter().any(|sent| sent.message.name() == "FundingCreated");
        assert!(world.run_until(60_000, sent));
        world.crash(Role::Initiator, true);
        world.run_for(5_000);
        world.make_block_now();
        world.run_for(5_000);
        assert!(!world.party(Role::Initiator).forgotten, "{generalized:?}");
        world.mining = true;
        world.run_for(30_000);
        let recovered = world.recover();
        assert!(matches!(recovered, Ending::Agreed { .. } | Ending::Never), "{generalized:?}: {recovered:?}");
    }
}

#[test]
fn both_come_back() {
    for generalized in KINDS {
        let mut world = World::opened(setup(generalized));
        for role in BOTH {
            world.transfer_well(role, 1);
            world.ask(Role::Initiator, Request::Leave);
            world.calm();
            world.crash(role, false);
            assert!(matches!(world.recover(), Ending::Agreed { .. }), "{}", world.describe());
            funds_well(&mut world, role, Flow::Deposit, 3);
            world.cut_line();
            assert!(matches!(world.recover(), Ending::Agreed { .. }), "{}", world.describe());
        }
        world.ask(Role::Initiator, Request::Shutdown(TxOptions::default()));
        assert_eq!(world.recover(), Ending::Closed);
    }
}
