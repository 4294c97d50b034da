//! What the chain does with the transactions of a channel, when it does not simply take them.

use strait_channel::{DepthRule, Flow, Patience, Request, Role, TxOptions};
use strait_encoding::Coins;
use strait_ledger::{ChainView, TxLocation};
use strait_sim::{Ending, Setup, World};

use crate::support::{BOTH, Case, clear, close, conflicts, funds_well, told};

/// What the chain may say to what both signed, or one alone.
const ATOMS: [&str; 3] = ["nonce_too_high", "nonce_too_low", "too_low_gas_price_for_miner"];

#[test]
fn what_both_signed_and_the_chain_refuses_is_given_up_by_both() {
    let opened = World::opened(Setup::default());
    for flow in [Flow::Deposit, Flow::Withdraw, Flow::Shutdown] {
        for proposer in BOTH {
            for atom in ATOMS {
                let _case = Case(format!("{flow:?} of the {proposer}, {atom}"));
                let mut world = opened.clone();
                world.refusing_chain = Some(atom);
                let (name, request) = match flow {
                    Flow::Shutdown => ("shutdown", Request::Shutdown(TxOptions::default())),
                    _ => (flow.row().name, World::funds_request(flow, 5)),
                };
                world.ask(proposer, request);
                world.run_for(60_000);
                let acceptor = match flow {
                    Flow::Shutdown => {
                        assert_eq!(told(&world, proposer), ["sign.shutdown_sign", "conflict(5)"]);
                        ["sign.shutdown_sign_ack", "on_chain_tx(close_mutual)", "closing"]
                            .map(str::to_owned)
                            .to_vec()
                    }
                    _ => {
                        assert_eq!(
                            told(&world, proposer),
                            [format!("sign.{name}_tx"), "conflict(5)".to_owned()]
                        );
                        vec![format!("sign.{name}_ack"), format!("on_chain_tx({name}_created)")]
                    }
                };
                let proposed = flow.row().milestones.proposed.map_or("", |event| event.name()).to_owned();
                let expected = [vec![proposed], acceptor, vec!["conflict(5)".to_owned()]].concat();
                assert_eq!(told(&world, proposer.other()), expected);
                assert_eq!(BOTH.map(|role| world.round(role)), [1, 1]);
                assert!(world.both(|party| party.channel().doing() == "idle"));
                world.refusing_chain = None;
                world.transfer_well(proposer, 1);
                funds_well(&mut world, proposer, Flow::Deposit, 5);
                funds_well(&mut world, proposer.other(), Flow::Withdraw, 5);
            }
        }
    }
}

#[test]
fn what_one_signed_and_the_chain_refuses_is_told_to_that_one() {
    for flow in [Flow::CloseSolo, Flow::SnapshotSolo, Flow::Slash, Flow::Settle] {
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
            for atom in ATOMS {
                let _case = Case(format!("{flow:?} of the {role}, {atom}"));
                let mut world = begin.clone();
                clear(&mut world);
                world.refusing_chain = Some(atom);
                world.ask(role, World::solo_request(flow));
                // A settlement is handed in when the lock period is over.
                world.run_for(150_000);
                assert_eq!(
                    told(&world, role),
                    [format!("sign.{}", flow.row().proposer.sign), "conflict(5)".to_owned()]
                );
                assert!(told(&world, role.other()).is_empty());
                world.refusing_chain = None;
                let ticket = world.ask(role, World::solo_request(flow));
                world.run_for(60_000);
                assert!(
                    world.took(role, ticket) && conflicts(&world, role) == ["conflict(5)"],
                    "{}",
                    world.describe()
                );
                let done = world.recover();
                assert_eq!(done == Ending::Closed, flow != Flow::SnapshotSolo, "{done:?}");
            }
        }
    }
}

#[test]
fn a_close_whose_nonce_is_used_by_something_else_is_given_up_by_both() {
    for closer in BOTH {
        // Only the closer reminds the chain in this time; the other side hears of it.
        let patient = Patience { funding_lock: 100_000_000, ..Patience::default() };
        let patience = BOTH.map(|role| if role == closer { Patience::default() } else { patient });
        let mut world = World::opened(Setup { patience, ..Setup::default() });
        world.mining = false;
        world.ask(closer, Request::Shutdown(TxOptions::default()));
        world.calm();
        assert_eq!(world.submitted.len(), 2);
        // A spend that pays more comes first.
        world.spend(closer, Coins(1));
        world.mining = true;
        let told = |world: &World| BOTH.into_iter().all(|role| !conflicts(world, role).is_empty());
        assert!(world.run_until(Patience::default().funding_lock + 1_000, told), "{}", world.describe());
        world.calm();
        let (_, tx, _) = &world.submitted[1];
        assert_eq!(world.chain.locate_tx(&tx.hash()), TxLocation::Gone);
        for role in BOTH {
            assert_eq!(conflicts(&world, role), ["conflict(5)"], "{}", world.describe());
        }
        world.transfer_well(Role::Initiator, 1);
        world.transfer_well(Role::Responder, 1);
        close(&mut world, closer);
    }
}

#[test]
fn an_opening_that_nobody_can_pay_any_more_ends() {
    for poor in BOTH {
        let mut world = World::new(Setup::default());
        world.mining = false;
        world.open(Role::Responder);
        world.open(Role::Initiator);
        world.calm();
        assert_eq!(world.submitted.len(), 1);
        let owned = world.chain.account(world.party(poor).signer.account()).unwrap().balance;
        world.spend(poor, Coins(owned.0 - 100_000_000_000_000));
        world.mining = true;
        world.run_for(4 * Patience::default().funding_lock);
        assert!(world.both(|party| !party.is_alive()), "{}", world.describe());
        for role in BOTH {
            let told = told(&world, role);
            assert_eq!(told[told.len() - 2..], ["died", "close"], "{}", world.describe());
        }
        assert_eq!(world.recover(), Ending::Never);
    }
}

#[test]
fn a_close_is_seen_by_whoever_waits_for_more_confirmations_too() {
    let depth = [Some(DepthRule::Plain(0)), Some(DepthRule::Plain(6))];
    for closer in BOTH {
        let mut world = World::opened(Setup { depth, ..Setup::default() });
        world.ask(closer, Request::Shutdown(TxOptions::default()));
        assert!(world.run_until(60_000, |world| world.party(Role::Initiator).forgotten));
        assert!(!world.party(Role::Responder).forgotten, "six more blocks are awaited");
        // The responder does not mind that its peer is gone.
        assert!(world.run_until(120_000, |world| world.party(Role::Responder).forgotten));
        for role in BOTH {
            let end = ["on_chain_tx(channel_closed)", "closed_confirmed", "died", "close"];
            let told = told(&world, role);
            assert_eq!(told[told.len() - 4..], end);
        }
    }
}
