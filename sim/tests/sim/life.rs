//! A channel's life without faults, and what each client hears of it (`docs/protocol/ws_api` §8).

use strait_channel::{Answer, DepthRule, Notice, Request, Role, TxOptions};
use strait_encoding::Coins;
use strait_ledger::{ChainView, Tx, Update};
use strait_sim::{Heard, Reply, Setup, World};

use crate::support::{BOTH, clear, close, told};

const OPEN_INITIATOR: &[&str] = &[
    "fsm_up",
    "channel_accept",
    "sign.initiator_sign",
    "funding_signed",
    "on_chain_tx(funding_signed)",
    "on_chain_tx(channel_changed)",
    "own_funding_locked",
    "funding_locked",
    "open",
    "channels.update",
];
const OPEN_RESPONDER: &[&str] = &[
    "fsm_up",
    "channel_open",
    "funding_created",
    "sign.responder_sign",
    "on_chain_tx(funding_created)",
    "on_chain_tx(channel_changed)",
    "own_funding_locked",
    "funding_locked",
    "open",
    "channels.update",
];
const ENDS: &[&str] = &[
    "on_chain_tx(close_mutual)",
    "closing",
    "on_chain_tx(channel_closed)",
    "closed_confirmed",
    "died",
    "close",
];
const RETURNS: &[&str] = &["fsm_up", "channel_reestablished", "open", "channels.update"];

fn open_both(setup: Setup) -> World {
    let mut world = World::new(setup);
    world.open(Role::Responder);
    world.open(Role::Initiator);
    let open = world.run_until(3_000_000, |world| world.both(|party| party.round() == 1));
    assert!(open, "{}", world.describe());
    world.calm();
    world
}

#[test]
fn opening_is_told_in_order_under_every_rule_of_depth() {
    use DepthRule::{Plain, TxFee};
    let rules = [
        [Some(Plain(0)), Some(Plain(0))],
        [Some(Plain(1)), Some(Plain(1))],
        [Some(Plain(5)), Some(Plain(2))],
        [Some(Plain(2)), Some(Plain(5))],
        [Some(TxFee(0)), Some(TxFee(10))],
        [Some(TxFee(10)), Some(Plain(1))],
        [None, None],
        [None, Some(TxFee(7))],
        [None, Some(Plain(3))],
    ];
    for depth in rules {
        let world = open_both(Setup { depth, ..Setup::default() });
        assert_eq!(told(&world, Role::Initiator), OPEN_INITIATOR, "{depth:?}");
        assert_eq!(told(&world, Role::Responder), OPEN_RESPONDER, "{depth:?}");
    }
}

#[test]
fn the_channel_opens_at_the_greater_of_both_depths() {
    use DepthRule::{Plain, TxFee};
    // The number n of confirmations by fee is the least with n^degree * 10^9 >= fee; the fee of a create transaction of two
    // basic accounts is about 17 * 10^12 aettos: 3^10 = 59049 >= 17000 > 2^10, 5^7 = 78125 >= 17000 > 4^7 = 16384.
    let rules = [
        ([Some(Plain(0)), Some(Plain(0))], 0),
        ([Some(Plain(5)), Some(Plain(2))], 5),
        ([Some(Plain(1)), Some(Plain(4))], 4),
        ([Some(TxFee(0)), Some(TxFee(0))], 1),
        ([Some(TxFee(10)), Some(Plain(0))], 3),
        ([None, None], 3),
        // The responder's degree is told on the wire, its plain number cannot be (`docs/protocol/ws_api` §2.2).
        ([None, Some(TxFee(7))], 5),
        ([None, Some(Plain(1))], 3),
    ];
    for (depth, expected) in rules {
        let world = open_both(Setup { depth, ..Setup::default() });
        let mined = world.submitted.first().map(|(_, tx, _)| tx.hash()).unwrap();
        let strait_ledger::TxLocation::InBlock { height, .. } = world.chain.locate_tx(&mined) else {
            panic!("the create transaction is not mined");
        };
        assert_eq!(world.height() - height.0, expected, "{depth:?}");
    }
}

#[test]
fn a_responder_takes_any_initiator() {
    let mut world = open_both(Setup { any_initiator: true, push_amount: 1_000, ..Setup::default() });
    assert_eq!(told(&world, Role::Responder), OPEN_RESPONDER);
    world.transfer_well(Role::Responder, 1);
}

#[test]
fn transfers_alternate() {
    let mut world = World::opened(Setup::default());
    for amount in 1..=20 {
        world.transfer_well(if amount % 2 == 0 { Role::Initiator } else { Role::Responder }, amount);
    }
    // 2 + 4 + … + 20 to the responder, 1 + 3 + … + 19 to the initiator.
    assert_eq!(world.model.balances(), [100_000_000_000_000_000 - 10, 50_000_000_000_000_000 + 10]);
}

#[test]
fn a_transfer_is_told_in_order() {
    for role in BOTH {
        let mut world = World::opened(Setup::default());
        world.transfer_well(role, 3);
        assert_eq!(told(&world, role), ["sign.update", "channels.update"]);
        assert_eq!(told(&world, role.other()), ["update", "sign.update_ack", "channels.update"]);
        // The request is answered before its signature is asked for (§8 no 1), and the signature before its effect.
        let answers: Vec<usize> = world
            .party(role)
            .client
            .log
            .iter()
            .enumerate()
            .filter(|(_, heard)| matches!(heard, Heard::Answer(_, Ok(Answer::Ok))))
            .map(|(place, _)| place)
            .collect();
        assert_eq!(answers, [0, 2], "{:?}", world.party(role).client.log);
    }
}

#[test]
fn an_update_costs_three_commits() {
    for role in BOTH {
        let mut world = World::opened(Setup::default());
        let before = BOTH.map(|role| world.party(role).store.saves);
        world.transfer_well(role, 3);
        let saves = BOTH.map(|role| world.party(role).store.saves);
        let proposer = usize::from(role == Role::Responder);
        // Before its signature leaves, and before its client hears of the round; the acceptor before its own leaves
        // (`docs/decisions/0004`).
        assert_eq!(saves[proposer] - before[proposer], 2);
        assert_eq!(saves[1 - proposer] - before[1 - proposer], 1);
    }
}

#[test]
fn text_travels_with_a_transfer_and_without() {
    let mut world = World::opened(Setup::default());
    let Request::Transfer { from, to, amount, pin, .. } = World::transfer_request(Role::Initiator, 4) else {
        panic!("not a transfer");
    };
    let meta = vec!["for tea".to_owned(), "и кофе".to_owned()];
    world.ask(Role::Initiator, Request::Transfer { from, to, amount, pin, meta });
    world.ask(Role::Initiator, Request::Message { to, from: None, info: "hello".to_owned() });
    world.calm();
    let heard = &world.party(Role::Responder).client.log;
    let asked = heard.iter().find_map(|heard| match heard {
        Heard::Told(Notice::Sign { updates, .. }) => Some(updates.clone()),
        _ => None,
    });
    let text = |text: &str| Update::Meta { data: text.as_bytes().to_vec() };
    let transfer = Update::Transfer { from, to, amount: Coins(4) };
    assert_eq!(asked, Some(vec![transfer, text("for tea"), text("и кофе")]));
    let message = heard.iter().any(|heard| {
        matches!(heard, Heard::Told(Notice::Message { from: sender, info, .. }) if *sender == from && info == b"hello")
    });
    assert!(message, "{heard:?}");
    assert_eq!(world.model.round(), 2);
}

#[test]
fn a_mutual_close_is_told_in_order_and_pays_out() {
    for role in BOTH {
        let mut world = World::opened(Setup::default());
        world.transfer_well(Role::Initiator, 12_345);
        let before = BOTH.map(|role| owned(&world, role));
        clear(&mut world);
        close(&mut world, role);
        let closer: Vec<&str> = [&["sign.shutdown_sign"], ENDS].concat();
        let other: Vec<&str> = [&["shutdown", "sign.shutdown_sign_ack"], ENDS].concat();
        assert_eq!(told(&world, role), closer);
        assert_eq!(told(&world, role.other()), other);
        let Some(Tx::ChannelCloseMutual(closed)) = world.model.closed().map(|tx| tx.tx()) else {
            panic!("not closed");
        };
        let (held, fee) = ([100_000_000_000_000_000 - 12_345, 50_000_000_000_000_000 + 12_345], closed.fee.0);
        let gained = [owned(&world, Role::Initiator) - before[0], owned(&world, Role::Responder) - before[1]];
        assert_eq!(gained, [held[0] - fee.div_ceil(2), held[1] - fee / 2]);
        assert!(world.both(|party| party.forgotten && party.store.is_empty()));
    }
}

fn owned(world: &World, role: Role) -> u128 {
    world.chain.account(world.party(role).signer.account()).map_or(0, |account| account.balance.0)
}

#[test]
fn leaving_and_coming_back_is_told_in_order() {
    for keep_running in [true, false] {
        for leaver in BOTH {
            let mut world = World::opened(Setup { keep_running, ..Setup::default() });
            world.transfer_well(Role::Initiator, 1);
            clear(&mut world);
            world.ask(leaver, Request::Leave);
            world.calm();
            let stays = keep_running && leaver == Role::Initiator;
            assert_eq!(told(&world, leaver), ["channels.leave", "died", "close"]);
            let left: &[&str] = if stays {
                &["channels.leave", "peer_disconnected"]
            } else {
                &["channels.leave", "died", "close"]
            };
            assert_eq!(told(&world, leaver.other()), left);
            clear(&mut world);
            for role in BOTH {
                if !world.party(role).is_alive() {
                    world.come_back(role).unwrap();
                }
            }
            world.calm();
            assert_eq!(told(&world, Role::Initiator), RETURNS);
            let responder = if stays { &RETURNS[1..] } else { RETURNS };
            assert_eq!(told(&world, Role::Responder), responder);
            world.transfer_well(Role::Responder, 2);
            close(&mut world, Role::Responder);
        }
    }
}

#[test]
fn a_refused_signature_is_told_in_order() {
    for role in BOTH {
        let mut world = World::opened(Setup::default());
        world.party_mut(role).client.plan.push_back(Reply::Decline(42));
        world.transfer(role, 1);
        world.calm();
        assert_eq!(told(&world, role), ["sign.update", "aborted_update"]);
        assert_eq!(told(&world, role.other()), Vec::<String>::new());
        clear(&mut world);
        world.party_mut(role.other()).client.plan.push_back(Reply::Decline(42));
        world.transfer(role, 1);
        world.calm();
        assert_eq!(told(&world, role), ["sign.update", "conflict(42)"]);
        assert_eq!(told(&world, role.other()), ["update", "sign.update_ack", "aborted_update"]);
        world.transfer_well(role, 1);
    }
}

#[test]
fn an_open_channel_can_be_closed_with_a_fee_of_the_clients_choice() {
    let mut world = World::opened(Setup::default());
    let options = TxOptions { fee: Some(Coins(77_000_000_000_001)), ..TxOptions::default() };
    world.ask(Role::Responder, Request::Shutdown(options));
    assert!(world.run_until(600_000, |world| world.both(|party| party.forgotten)), "{}", world.describe());
    assert_eq!(world.model.closed().map(|tx| tx.tx().fee()), Some(Coins(77_000_000_000_001)));
}
