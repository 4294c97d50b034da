//! What the chain does with the transactions of a channel, when it does not simply take them.

use strait_channel::{DepthRule, Patience, Request, Role, TxOptions};
use strait_encoding::Coins;
use strait_ledger::{ChainView, TxLocation};
use strait_sim::{Ending, Setup, World};

use crate::support::{BOTH, close, told};

fn conflicts(world: &World, role: Role) -> Vec<String> {
    told(world, role).into_iter().filter(|told| told.starts_with("conflict")).collect()
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
