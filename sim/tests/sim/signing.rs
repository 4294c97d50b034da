//! What a client may hand over instead of the signature it was asked for, in every flow and on either side.

use strait_channel::{Flow, Reason, Request, Role, TxOptions};
use strait_sim::{Ending, Forgery, Heard, Reply, Setup, World};

use crate::support::{BOTH, Case, FUNDS, clear, told};

/// Whose client forges: the one that proposes, or the one that is asked to accept.
const SIDES: [bool; 2] = [true, false];

fn refused_signature(world: &World, role: Role) -> bool {
    world.party(role).client.log.iter().any(|heard| {
        matches!(heard, Heard::Answer(_, Err(refusal)) if matches!(refusal.reason, Reason::BadSignature(_)))
    })
}

#[test]
fn a_forged_update_changes_nothing() {
    let opened = World::opened(Setup::default());
    for forgery in Forgery::ALL {
        for proposer in BOTH {
            for by_proposer in SIDES {
                // Both signatures are what an acceptor hands over anyway, and complete the round of a proposer.
                let valid = forgery == Forgery::Both;
                let _case = Case(format!("{forgery:?}, {proposer} proposes, by the proposer: {by_proposer}"));
                let mut world = opened.clone();
                let forger = if by_proposer { proposer } else { proposer.other() };
                world.party_mut(forger).client.plan.push_back(Reply::Forge(forgery));
                world.transfer(proposer, 5);
                world.calm();
                assert_eq!(world.model.round(), if valid { 2 } else { 1 });
                if !valid {
                    assert_eq!(told(&world, forger).last().map(String::as_str), Some("conflict(1)"));
                    let peer = told(&world, forger.other());
                    let expected: &[&str] = if by_proposer { &[] } else { &["sign.update", "conflict(1)"] };
                    assert_eq!(peer, expected);
                } else if by_proposer {
                    assert_eq!(told(&world, proposer.other()), ["update", "channels.update"]);
                }
                world.transfer_well(Role::Initiator, 1);
                world.transfer_well(Role::Responder, 1);
            }
        }
    }
}

#[test]
fn forged_funds_change_nothing() {
    let opened = World::opened(Setup::default());
    for flow in FUNDS {
        for forgery in Forgery::ALL {
            for proposer in BOTH {
                for by_proposer in SIDES {
                    let _case =
                        Case(format!("{flow:?}, {forgery:?}, {proposer}, by the proposer: {by_proposer}"));
                    let mut world = opened.clone();
                    let forger = if by_proposer { proposer } else { proposer.other() };
                    world.party_mut(forger).client.plan.push_back(Reply::Forge(forgery));
                    world.ask(proposer, World::funds_request(flow, 5));
                    world.run_for(60_000);
                    assert!(world.both(|party| party.channel().doing() == "idle"), "{}", world.describe());
                    if forgery == Forgery::Both {
                        assert_eq!(BOTH.map(|role| world.round(role)), [2, 2], "{}", world.describe());
                    } else {
                        assert_eq!(world.model.round(), 1);
                        assert_eq!(
                            world.submitted.len(),
                            1,
                            "only the create transaction: {:?}",
                            world.submitted
                        );
                        assert_eq!(told(&world, forger).last().map(String::as_str), Some("conflict(1)"));
                        let peer = told(&world, forger.other());
                        let names = flow.row().proposer.sign;
                        let expected = [format!("sign.{names}"), "conflict(1)".to_owned()];
                        assert_eq!(peer, if by_proposer { &[][..] } else { &expected[..] });
                    }
                    world.transfer_well(Role::Initiator, 1);
                    world.transfer_well(Role::Responder, 1);
                }
            }
        }
    }
}

#[test]
fn what_is_forged_alone_is_not_posted() {
    for flow in [Flow::SnapshotSolo, Flow::CloseSolo, Flow::Slash, Flow::Settle] {
        for role in BOTH {
            let mut begin = World::opened(Setup::default());
            begin.transfer_well(role.other(), 1_000);
            for role in BOTH {
                begin.party_mut(role).client.watchful = false;
            }
            if matches!(flow, Flow::Slash | Flow::Settle) {
                begin.close_with(role.other(), if flow == Flow::Slash { 1 } else { 2 });
                begin.run_for(15_000);
            }
            for forgery in Forgery::ALL {
                let _case = Case(format!("{flow:?} of the {role}, {forgery:?}"));
                let mut world = begin.clone();
                clear(&mut world);
                world.party_mut(role).client.plan.push_back(Reply::Forge(forgery));
                world.ask(role, World::solo_request(flow));
                world.run_for(1_000);
                let sign = format!("sign.{}", flow.row().proposer.sign);
                assert_eq!(told(&world, role), [sign, "conflict(1)".to_owned()]);
                assert_eq!(world.submitted.len(), begin.submitted.len());
                // It may be signed well then.
                let ticket = world.ask(role, World::solo_request(flow));
                world.run_for(200_000);
                assert!(world.took(role, ticket));
                assert_eq!(world.submitted.len(), begin.submitted.len() + 1);
            }
        }
    }
}

#[test]
fn a_forged_close_changes_nothing() {
    let opened = World::opened(Setup::default());
    for forgery in Forgery::ALL {
        for proposer in BOTH {
            for by_proposer in SIDES {
                let _case = Case(format!("{forgery:?}, {proposer} proposes, by the proposer: {by_proposer}"));
                let mut world = opened.clone();
                let forger = if by_proposer { proposer } else { proposer.other() };
                world.party_mut(forger).client.plan.push_back(Reply::Forge(forgery));
                world.ask(proposer, Request::Shutdown(TxOptions::default()));
                world.run_for(60_000);
                if forgery == Forgery::Both {
                    assert_eq!(world.recover(), Ending::Closed);
                    continue;
                }
                assert_eq!(world.model.closed(), None);
                assert!(world.submitted.len() == 1, "only the create transaction: {:?}", world.submitted);
                world.transfer_well(Role::Initiator, 1);
                world.transfer_well(Role::Responder, 1);
            }
        }
    }
}

#[test]
fn a_forged_create_transaction_is_refused_and_may_be_signed_again() {
    for forgery in Forgery::ALL {
        for forger in BOTH {
            let _case = Case(format!("{forgery:?} by the {forger}"));
            let mut world = World::new(Setup::default());
            world.party_mut(forger).client.plan.push_back(Reply::Forge(forgery));
            world.open(Role::Responder);
            world.open(Role::Initiator);
            world.run_for(60_000);
            if forgery != Forgery::Both {
                assert!(refused_signature(&world, forger), "{}", world.describe());
                assert!(world.submitted.is_empty() && world.model.round() == 0);
                // Attaching again, the client is asked again.
                world.detach_quietly(forger);
                world.attach(forger);
                world.run_for(60_000);
            }
            assert!(world.both(|party| party.round() == 1), "{}", world.describe());
            world.transfer_well(Role::Initiator, 1);
        }
    }
}

#[test]
fn a_signature_counts_once() {
    let opened = World::opened(Setup::default());
    for proposer in BOTH {
        for twice in BOTH {
            let mut world = opened.clone();
            world.party_mut(twice).client.plan.push_back(Reply::Twice);
            world.transfer(proposer, 5);
            world.calm();
            assert_eq!(BOTH.map(|role| world.round(role)), [2, 2]);
            world.transfer_well(twice, 1);
        }
    }
}

#[test]
fn a_late_signature_counts_for_nothing() {
    let opened = World::opened(Setup::default());
    let sign = Setup::default().patience[0].sign;
    for proposer in BOTH {
        for late in BOTH {
            let mut world = opened.clone();
            clear(&mut world);
            world.party_mut(late).client.plan.push_back(Reply::Late(sign + 1_000));
            world.transfer(proposer, 5);
            world.calm();
            assert_eq!(BOTH.map(|role| world.round(role)), [1, 1]);
            let conflicts = BOTH.map(|role| {
                told(&world, role).into_iter().filter(|told| told.starts_with("conflict")).collect::<Vec<_>>()
            });
            let [own, peers] =
                [late, late.other()].map(|role| conflicts[usize::from(role == Role::Responder)].clone());
            assert_eq!(own, ["conflict(3)"]);
            let expected: &[&str] = if late == proposer { &[] } else { &["conflict(2)"] };
            assert_eq!(peers, expected);
            world.transfer_well(proposer, 6);
        }
    }
}
