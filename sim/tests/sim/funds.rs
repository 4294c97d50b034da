//! Coins come into a running channel and go out of it (`docs/protocol/fsm` §4.2, `docs/protocol/ws_api` §8 no 4).

use strait_channel::{Answer, DepthRule, Flow, Notice, Reason, Request, Role, TxOptions};
use strait_encoding::{Coins, Nonce, Round};
use strait_ledger::{ChainView, Tx, TxLocation, Update};
use strait_sim::{Heard, Reply, Setup, World};

use crate::support::{BOTH, Case, FUNDS, clear, close, funds_well, on_chain, told};

/// The words of a client for a flow: `deposit_…` or `withdraw_…`.
fn in_order(flow: Flow, proposer: bool) -> Vec<String> {
    let name = flow.row().name;
    let begins = if proposer {
        vec![format!("sign.{name}_tx"), format!("on_chain_tx({name}_signed)")]
    } else {
        vec![format!("{name}_created"), format!("sign.{name}_ack"), format!("on_chain_tx({name}_created)")]
    };
    let ends =
        ["on_chain_tx(channel_changed)".to_owned(), format!("own_{name}_locked"), format!("{name}_locked")];
    [begins, ends.to_vec(), vec!["channels.update".to_owned()]].concat()
}

#[test]
fn funds_are_told_in_order_under_every_rule_of_depth() {
    use DepthRule::{Plain, TxFee};
    let rules = [
        [Some(Plain(0)), Some(Plain(0))],
        [Some(Plain(1)), Some(Plain(1))],
        [Some(Plain(4)), Some(Plain(2))],
        [Some(TxFee(0)), Some(TxFee(10))],
        [None, None],
    ];
    for depth in rules {
        let opened = World::opened(Setup { depth, ..Setup::default() });
        for flow in FUNDS {
            for role in BOTH {
                let _case = Case(format!("{flow:?} of the {role} at {depth:?}"));
                let mut world = opened.clone();
                funds_well(&mut world, role, flow, 5_000);
                assert_eq!(told(&world, role), in_order(flow, true));
                assert_eq!(told(&world, role.other()), in_order(flow, false));
                close(&mut world, role.other());
            }
        }
    }
}

#[test]
fn coins_come_in_and_go_out_between_transfers() {
    let mut world = World::opened(Setup::default());
    let id = world.party(Role::Initiator).channel().id().unwrap();
    let before = BOTH.map(|role| on_chain(&world, role));
    let held = |world: &World| world.chain.channel(id).unwrap().channel_amount.0;
    assert_eq!(held(&world), 150_000_000_000_000_000);
    funds_well(&mut world, Role::Initiator, Flow::Deposit, 700);
    world.transfer_well(Role::Responder, 11);
    funds_well(&mut world, Role::Responder, Flow::Withdraw, 300);
    funds_well(&mut world, Role::Responder, Flow::Deposit, 40);
    world.transfer_well(Role::Initiator, 5);
    funds_well(&mut world, Role::Initiator, Flow::Withdraw, 9);
    // 100… + 700 + 11 - 5 - 9 and 50… - 11 - 300 + 40 + 5.
    assert_eq!(world.model.balances(), [100_000_000_000_000_697, 49_999_999_999_999_734]);
    assert_eq!(held(&world), 150_000_000_000_000_431);
    assert_eq!(world.model.round(), 7);
    let fees = |party: Role| -> u128 {
        let mine = world.submitted.iter().filter(|(_, tx, _)| {
            tx.tx().origin() == Some(world.party(party).signer.account())
                && !matches!(tx.tx(), Tx::ChannelCreate(_))
        });
        mine.map(|(_, tx, _)| tx.tx().fee().0).sum()
    };
    assert_eq!(on_chain(&world, Role::Initiator), before[0] - 700 + 9 - fees(Role::Initiator));
    assert_eq!(on_chain(&world, Role::Responder), before[1] + 300 - 40 - fees(Role::Responder));
    close(&mut world, Role::Initiator);
}

#[test]
fn what_is_locked_is_as_deep_as_agreed() {
    for (depth, expected) in [(DepthRule::Plain(0), 0), (DepthRule::Plain(1), 1), (DepthRule::Plain(6), 6)] {
        for flow in FUNDS {
            let mut world = World::opened(Setup { depth: [Some(depth); 2], ..Setup::default() });
            world.ask(Role::Responder, World::funds_request(flow, 5));
            assert!(world.run_until(200_000, |world| world.both(|party| party.round() == 2)));
            let tx = world.submitted.last().map(|(_, tx, _)| tx.hash()).unwrap();
            let TxLocation::InBlock { height, .. } = world.chain.locate_tx(&tx) else { panic!("not mined") };
            assert_eq!(world.height() - height.0, expected, "{flow:?}, {depth:?}");
        }
    }
}

#[test]
fn text_fee_and_nonce_are_the_clients_choice() {
    for flow in FUNDS {
        let mut world = World::opened(Setup::default());
        let fee = Coins(77_000_000_000_001);
        let options = TxOptions { fee: Some(fee), nonce: Some(Nonce(2)), ..TxOptions::default() };
        let meta = vec!["for rent".to_owned()];
        world.ask(Role::Initiator, Request::Funds { flow, amount: Coins(6), pin: None, options, meta });
        assert!(
            world.run_until(60_000, |world| world.both(|party| party.round() == 2)),
            "{}",
            world.describe()
        );
        let asked = world.party(Role::Responder).client.log.iter().find_map(|heard| match heard {
            Heard::Told(Notice::Sign { updates, tx, .. }) => Some((updates.clone(), tx.clone())),
            _ => None,
        });
        let (updates, tx) = asked.unwrap();
        let party = world.party(Role::Initiator).signer.account();
        let moved = match flow {
            Flow::Deposit => Update::Deposit { from: party, amount: Coins(6) },
            _ => Update::Withdraw { to: party, amount: Coins(6) },
        };
        assert_eq!(updates, [moved, Update::Meta { data: b"for rent".to_vec() }]);
        assert_eq!((tx.tx().fee(), tx.tx().nonce()), (fee, Nonce(2)));
        assert_eq!(tx.tx().agreed_state().map(|(round, _)| round), Some(Round(2)));
    }
}

#[test]
fn what_cannot_be_moved_is_refused_at_once() {
    let world = World::opened(Setup::default());
    let refuses = |flow, amount, fits: fn(&Reason) -> bool| {
        let mut world = world.clone();
        let ticket = world.ask(Role::Responder, World::funds_request(flow, amount));
        let Some(Err(refusal)) = world.party(Role::Responder).client.answer(ticket) else {
            panic!("{flow:?} of {amount} is taken");
        };
        assert!(fits(&refusal.reason), "{refusal:?}");
        assert!(told(&world, Role::Responder).is_empty() && told(&world, Role::Initiator).is_empty());
        world.transfer_well(Role::Responder, 1);
    };
    for flow in FUNDS {
        refuses(flow, 0, |reason| matches!(reason, Reason::ValueTooLow { .. }));
    }
    let balance = 50_000_000_000_000_000;
    for amount in [balance, balance - 999, u128::MAX] {
        refuses(Flow::Withdraw, amount, |reason| matches!(reason, Reason::InsufficientBalance { .. }));
    }
    refuses(Flow::Deposit, u128::MAX, |reason| matches!(reason, Reason::ValueTooLow { .. }));
    // What leaves the reserve can go.
    let mut world = world.clone();
    funds_well(&mut world, Role::Responder, Flow::Withdraw, balance - 1_000);
    assert_eq!(world.model.balances()[1], 1_000);
}

#[test]
fn a_deposit_of_more_than_the_account_owns_is_refused_at_once() {
    let mut world = World::opened(Setup::default());
    let owned = on_chain(&world, Role::Responder);
    // Nothing would be left for the fee.
    let ticket = world.ask(Role::Responder, World::funds_request(Flow::Deposit, owned));
    let refusal = world.party(Role::Responder).client.answer(ticket).unwrap().clone().unwrap_err();
    assert!(matches!(refusal.reason, Reason::InsufficientBalance { .. }), "{refusal}");
    assert!(world.wire.is_empty());
    world.transfer_well(Role::Initiator, 1);
    world.transfer_well(Role::Responder, 1);
}

#[test]
fn confirmations_that_a_client_assumes_are_told_when_they_are_real() {
    for flow in FUNDS {
        for role in BOTH {
            let depth = [Some(DepthRule::Plain(3)); 2];
            let mut world = World::opened(Setup { depth, ..Setup::default() });
            world.mining = false;
            world.ask(role, World::funds_request(flow, 5));
            world.calm();
            let hash = world.submitted.last().map(|(_, tx, _)| tx.hash()).unwrap();
            clear(&mut world);
            for side in BOTH {
                let ticket = world.ask(side, Request::AssumeMinimumDepth(hash));
                assert_eq!(world.party(side).client.answer(ticket), Some(&Ok(Answer::Ok)));
                world.calm();
            }
            assert!(world.both(|party| party.round() == 2), "{}", world.describe());
            let name = flow.row().name;
            let locked =
                [format!("own_{name}_locked"), format!("{name}_locked"), "channels.update".to_owned()];
            for side in BOTH {
                assert_eq!(told(&world, side), locked);
                let ticket = world.ask(side, Request::AssumeMinimumDepth(hash));
                assert!(matches!(world.party(side).client.answer(ticket), Some(Err(_))));
            }
            world.transfer_well(role, 1);
            clear(&mut world);
            world.mining = true;
            world.run_for(70_000);
            for side in BOTH {
                assert_eq!(told(&world, side), ["on_chain_tx(channel_changed)", "minimum_depth_achieved"]);
            }
        }
    }
}

#[test]
fn requests_that_come_during_confirmation_wait_for_its_end() {
    for flow in FUNDS {
        let mut world = World::opened(Setup::default());
        world.mining = false;
        world.ask(Role::Initiator, World::funds_request(flow, 5));
        world.calm();
        let tickets = BOTH.map(|role| world.transfer(role, 7));
        world.calm();
        for (role, ticket) in BOTH.into_iter().zip(tickets) {
            assert_eq!(world.party(role).client.answer(ticket), None, "the {role}");
        }
        world.mining = true;
        world.run_for(60_000);
        for (role, ticket) in BOTH.into_iter().zip(tickets) {
            assert!(world.took(role, ticket), "the {role}: {}", world.describe());
        }
        world.calm();
        assert_eq!(BOTH.map(|role| world.round(role)), [world.model.round(); 2]);
        world.transfer_well(Role::Responder, 1);
    }
}

#[test]
fn a_signature_under_funds_counts_once() {
    let opened = World::opened(Setup::default());
    for flow in FUNDS {
        for proposer in BOTH {
            for twice in BOTH {
                let mut world = opened.clone();
                world.party_mut(twice).client.plan.push_back(Reply::Twice);
                funds_well(&mut world, proposer, flow, 5);
                let taken: Vec<_> = world.submitted.iter().filter(|(_, _, result)| result.is_ok()).collect();
                assert_eq!(taken.len(), 2, "the create transaction and this one: {:?}", world.submitted);
            }
        }
    }
}
