//! The block that a round is pinned to (`docs/protocol/fsm` §10): what a client may name, and what a peer may.

use strait_channel::{Flow, PinWindow, Reason, Request, Role, TxOptions};
use strait_encoding::BlockHash;
use strait_ledger::{BlockLocation, ChainView, ForkPlan};
use strait_sim::{Setup, World};

use crate::support::{BOTH, close};

fn at_height(height: u64, world: &World) -> BlockHash {
    world.key_block(height)
}

fn pinned(role: Role, flow: Option<Flow>, pin: BlockHash) -> Request {
    let request = match flow {
        Some(flow) => World::funds_request(flow, 5),
        None => World::transfer_request(role, 5),
    };
    match request {
        Request::Transfer { from, to, amount, meta, .. } => {
            Request::Transfer { from, to, amount, meta, pin: Some(pin) }
        }
        Request::Funds { flow, amount, meta, .. } => {
            let options = TxOptions::default();
            Request::Funds { flow, amount, options, meta, pin: Some(pin) }
        }
        other => panic!("{other:?} is not pinned"),
    }
}

#[test]
fn a_block_that_is_known_and_within_the_window_can_be_named() {
    let window = PinWindow { not_newer_than: 1, not_older_than: 6, pick: 0 };
    let mut opened = World::opened(Setup { pin: window, ..Setup::default() });
    opened.run_for(150_000);
    let top = opened.height();
    assert!(top > 10);
    let unknown = BlockHash::from(strait_encoding::KeyBlockHash([7; 32]));
    let cases = [
        (BlockHash::UNPINNED, None),
        (at_height(top - 1, &opened), None),
        (at_height(top - 6, &opened), None),
        (at_height(top, &opened), Some("newer")),
        (at_height(top - 7, &opened), Some("older")),
        (unknown, Some("known")),
    ];
    for (pin, refused) in cases {
        for flow in [None, Some(Flow::Deposit), Some(Flow::Withdraw)] {
            for role in BOTH {
                let mut world = opened.clone();
                let round = world.model.round();
                let ticket = world.ask(role, pinned(role, flow, pin));
                match (refused, world.party(role).client.answer(ticket)) {
                    (None, _) => {
                        assert!(world.took(role, ticket), "{flow:?} of the {role}: {}", world.describe());
                        let agreed = |world: &World| world.both(|party| party.round() == round + 1);
                        // A block goes by at most: the pin may become too old for the peer otherwise.
                        assert!(world.run_until(600_000, agreed), "{}", world.describe());
                    }
                    (Some(word), Some(Err(refusal))) => {
                        assert!(matches!(refusal.reason, Reason::Pin(_)), "{refusal}");
                        assert!(refusal.to_string().contains(word), "{refusal}");
                        assert_eq!(world.model.round(), round);
                    }
                    (Some(word), other) => panic!("{flow:?} of the {role}, {word}: {other:?}"),
                }
                close(&mut world, role);
            }
        }
    }
}

#[test]
fn a_block_that_a_fork_left_behind_cannot_be_named() {
    let mut world = World::opened(Setup::default());
    world.run_for(60_000);
    let left = at_height(world.height(), &world);
    let now = world.now().0;
    world.chain.fork(&ForkPlan::new(2), now).unwrap();
    assert!(matches!(world.chain.locate_block(&left), BlockLocation::Fork(_)));
    let request = pinned(Role::Initiator, None, left);
    let ticket = world.ask(Role::Initiator, request);
    let refusal = world.party(Role::Initiator).client.answer(ticket).unwrap().clone().unwrap_err();
    assert!(refusal.to_string().contains("main chain"), "{refusal}");
    assert_eq!(world.party(Role::Initiator).channel().round().0, 1);
}
