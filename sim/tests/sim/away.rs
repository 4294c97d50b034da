//! What happens while one side, or both, are away.

use strait_channel::{DepthRule, Message, Patience, Reason, Request, Role, TxOptions};
use strait_encoding::{ChannelId, Coins, KeyBlockHash, Round, StateHash};
use strait_ledger::{ChainView, SignedTx, Tx};
use strait_sim::{Ending, Fault, Place, Reply, Setup, World};

use crate::support::{BOTH, Case, clear, told};

fn opening_until(setup: Setup, from: Role, message: &str) -> World {
    let mut world = World::new(setup);
    world.open(Role::Responder);
    world.open(Role::Initiator);
    let sent =
        |world: &World| world.wire.iter().any(|sent| sent.from == from && sent.message.name() == message);
    assert!(world.run_until(10_000, sent), "{}", world.describe());
    world
}

#[test]
fn a_responder_that_keeps_running_serves_its_peer_again_and_again() {
    let mut world = World::opened(Setup::default());
    for time in 0..10 {
        world.cut_line();
        world.calm();
        assert!(!world.party(Role::Initiator).is_alive());
        // It does not idle out, and nothing can be proposed meanwhile.
        world.run_for(3 * Patience::default().idle);
        let ticket = world.transfer(Role::Responder, 1);
        let Some(Err(refusal)) = world.party(Role::Responder).client.answer(ticket) else {
            panic!("a transfer without a peer is taken: {}", world.describe());
        };
        assert!(matches!(refusal.reason, Reason::NotReady(_)));
        world.come_back(Role::Initiator).unwrap();
        world.calm();
        world.transfer_well(if time % 2 == 0 { Role::Initiator } else { Role::Responder }, 1);
    }
    assert!(world.party(Role::Responder).is_alive());
}

#[test]
fn a_returning_peer_takes_over_a_session_that_died_unnoticed() {
    let mut world = World::opened(Setup::default());
    world.transfer_well(Role::Initiator, 1);
    for _ in 0..3 {
        world.crash(Role::Initiator, true);
        world.run_for(5_000);
        assert!(world.party(Role::Responder).channel().has_peer(), "the responder does not know yet");
        clear(&mut world);
        world.come_back(Role::Initiator).unwrap();
        world.calm();
        assert_eq!(told(&world, Role::Responder), ["channel_reestablished", "open", "channels.update"]);
        world.transfer_well(Role::Responder, 1);
        world.transfer_well(Role::Initiator, 1);
    }
}

#[test]
fn a_dormant_channel_sees_its_close_and_is_forgotten() {
    for asleep in BOTH {
        let mut world = World::opened(Setup::default());
        world.mining = false;
        world.ask(asleep.other(), Request::Shutdown(TxOptions::default()));
        world.calm();
        world.crash(asleep, false);
        world.run_for(10_000);
        assert!(!world.party(asleep).is_alive());
        world.mining = true;
        assert!(world.run_until(60_000, |world| world.both(|party| party.forgotten)), "{}", world.describe());
        assert!(world.both(|party| party.store.is_empty()));
    }
}

#[test]
fn nobody_re_establishes_a_channel_that_is_closed_on_chain() {
    let depth = [Some(DepthRule::Plain(6)); 2];
    let mut world = World::opened(Setup { depth, ..Setup::default() });
    world.ask(Role::Responder, Request::Shutdown(TxOptions::default()));
    world.run_for(15_000);
    assert!(world.model.closed().is_some() && !world.party(Role::Responder).forgotten);
    let channel_id = world.party(Role::Responder).channel().id().unwrap();
    let chain_hash = KeyBlockHash(*world.key_block(0).as_bytes());
    let tx = world.create_tx().encode();
    world.knock(&Message::ChannelReestablish { chain_hash, channel_id, tx });
    assert!(world.run_until(120_000, |world| world.both(|party| party.forgotten)), "{}", world.describe());
    assert!(!told(&world, Role::Responder).iter().any(|told| told == "open"), "{}", world.describe());
}

#[test]
fn two_dormant_channels_see_a_close_that_somebody_else_hands_in() {
    let mut world = World::opened(Setup::default());
    // Both signed, and the chain did not take it then.
    world.refusing_chain = Some("nonce_too_high");
    world.ask(Role::Initiator, Request::Shutdown(TxOptions::default()));
    world.calm();
    world.refusing_chain = None;
    let close = world.submitted.last().map(|(_, tx, _)| tx.clone()).unwrap();
    world.ask(Role::Initiator, Request::Leave);
    world.calm();
    world.ask(Role::Responder, Request::Leave);
    world.calm();
    assert!(world.both(|party| !party.is_alive()));
    world.chain.submit(close).unwrap();
    assert!(world.run_until(60_000, |world| world.both(|party| party.forgotten)), "{}", world.describe());
    // Nobody can come back to it.
    assert!(world.both(|party| party.process.is_none()));
}

#[test]
fn nobody_comes_back_to_a_channel_that_is_not_on_chain() {
    let mut world = opening_until(Setup::default(), Role::Initiator, "FundingCreated");
    world.cut_line();
    world.calm();
    assert!(!world.party(Role::Initiator).is_alive());
    let refusal = world.come_back(Role::Initiator).unwrap_err();
    assert!(matches!(refusal.reason, Reason::NotInState(_)), "{refusal:?}");
    assert_eq!(world.recover(), Ending::Never);
}

/// An opening that the initiator took for abandoned, while the responder holds both signatures.
fn abandoned(keep_running: bool) -> World {
    let setup = Setup { keep_running, ..Setup::default() };
    let mut world = opening_until(setup, Role::Initiator, "FundingCreated");
    world.arm(Fault::Lose { message: 0 });
    world.run_for(1_000);
    assert!(world.struck() && world.submitted.is_empty());
    assert!(!world.party(Role::Initiator).is_alive());
    world
}

#[test]
fn an_abandoned_opening_that_is_mined_is_adopted_by_both() {
    // A responder that stays reminds the chain; one that does not does so when its service starts again.
    for keep_running in [true, false] {
        let mut world = abandoned(keep_running);
        if !keep_running {
            assert!(!world.party(Role::Responder).is_alive());
            world.crash(Role::Responder, false);
        }
        let id = world.party(Role::Initiator).channel().id().unwrap();
        let mined = |world: &World| world.chain.channel(id).is_some();
        assert!(world.run_until(2 * Patience::default().funding_lock, mined), "{}", world.describe());
        world.run_for(60_000);
        let Ending::Agreed { returns } = world.recover() else { panic!("{}", world.describe()) };
        assert_eq!(returns, [1, usize::from(!keep_running)]);
        world.transfer_well(Role::Initiator, 1);
        world.transfer_well(Role::Responder, 1);
    }
}

#[test]
fn an_abandoned_opening_that_can_never_be_mined_is_forgotten() {
    let mut world = abandoned(false);
    // The initiator opens another channel with the same nonce from elsewhere.
    let nonce = world.spend(Role::Initiator, Coins(1));
    assert_eq!(nonce, 1);
    assert!(world.run_until(60_000, |world| world.both(|party| party.forgotten)), "{}", world.describe());
    assert_eq!(world.recover(), Ending::Never);
}

#[test]
fn an_opening_that_is_mined_while_both_are_down_is_found_at_the_start() {
    let mut world = World::new(Setup::default());
    world.mining = false;
    world.open(Role::Responder);
    world.open(Role::Initiator);
    world.run_for(1_000);
    assert_eq!(world.submitted.len(), 1);
    for role in BOTH {
        world.crash(role, false);
    }
    world.mining = true;
    world.run_for(100);
    // Both programs are down when the block comes.
    world.make_block_now();
    world.run_for(60_000);
    assert_eq!(world.recover(), Ending::Agreed { returns: [1, 1] });
    world.transfer_well(Role::Responder, 1);
}

#[test]
fn a_client_that_goes_after_signing_leaves_a_running_channel() {
    let mut world = World::opened(Setup::default());
    for role in BOTH {
        world.detach(role);
        assert!(world.party(role).is_alive());
        world.transfer(role.other(), 1);
        world.calm();
        // A proposal that nobody can sign is refused.
        assert_eq!(told(&world, role.other()).last().map(String::as_str), Some("conflict(2)"));
        world.ask(role.other(), Request::Shutdown(TxOptions::default()));
        world.calm();
        assert_eq!(told(&world, role.other()).last().map(String::as_str), Some("conflict(2)"));
        world.attach(role);
        world.transfer_well(role, 1);
    }
}

#[test]
fn a_client_that_goes_before_signing_ends_the_opening() {
    for role in BOTH {
        for message in ["ChannelOpen", "ChannelAccept"] {
            let from = if message == "ChannelOpen" { Role::Initiator } else { Role::Responder };
            let mut world = World::new(Setup::default());
            for role in BOTH {
                world.party_mut(role).client.habit = Reply::Nothing;
            }
            world.open(Role::Responder);
            world.open(Role::Initiator);
            let sent = |world: &World| {
                world.wire.iter().any(|sent| sent.from == from && sent.message.name() == message)
            };
            assert!(world.run_until(10_000, sent));
            world.detach(role);
            world.run_for(60_000);
            assert!(world.both(|party| party.forgotten), "{}", world.describe());
        }
    }
}

#[test]
fn a_returning_liar_changes_nothing() {
    for liar in BOTH {
        let victim = liar.other();
        let mut world = World::opened(Setup::default());
        let mut rounds = Vec::new();
        for amount in 1..=4 {
            rounds.push(world.party(victim).channel().agreed_tx().unwrap().clone());
            world.transfer_well(Role::Initiator, amount);
        }
        let latest = world.party(victim).channel().agreed_tx().unwrap().clone();
        let id = world.party(victim).channel().id().unwrap();
        let chain_hash = KeyBlockHash(*world.key_block(0).as_bytes());
        world.ask(Role::Initiator, Request::Leave);
        world.calm();
        world.party_mut(liar).signer.enforcing = false;
        world.held = Some(liar);
        world.come_back(Role::Initiator).unwrap();
        world.run_for(100);
        let me = world.party(liar).signer.clone();
        let both = |tx: &Tx| me.add_to(&SignedTx::unsigned(tx.clone()));
        let next = |change: fn(&mut Round, &mut StateHash)| {
            let Tx::ChannelOffchain(mut tx) = latest.tx().clone() else { panic!() };
            change(&mut tx.round, &mut tx.state_hash);
            both(&Tx::ChannelOffchain(tx)).encode()
        };
        let show = |channel_id, chain_hash, tx: Vec<u8>| match liar {
            Role::Initiator => Message::ChannelReestablish { chain_hash, channel_id, tx },
            Role::Responder => Message::ChannelReestAck { chain_hash, channel_id, tx },
        };
        let mut lies = vec![
            ("another channel", show(ChannelId([7; 32]), chain_hash, latest.encode())),
            ("another chain", show(id, KeyBlockHash([7; 32]), latest.encode())),
            ("nothing", show(id, chain_hash, Vec::new())),
            ("a round ahead, signed by itself", show(id, chain_hash, next(|round, _| *round = Round(6)))),
            (
                "another state, signed by itself",
                show(id, chain_hash, next(|_, hash| *hash = StateHash([7; 32]))),
            ),
            ("unsigned", show(id, chain_hash, SignedTx::unsigned(latest.tx().clone()).encode())),
        ];
        for old in &rounds[..3] {
            lies.push(("an old round", show(id, chain_hash, old.encode())));
        }
        for (name, lie) in &lies {
            let _case = Case(format!("{name} to the {victim}"));
            let mut world = world.clone();
            clear(&mut world);
            world.inject(liar, lie);
            world.run_for(100);
            assert_eq!(world.round(victim), 5);
            assert!(!told(&world, victim).iter().any(|told| told == "open"), "{}", world.describe());
            assert!(matches!(world.recover(), Ending::Agreed { .. }), "{}", world.describe());
        }
        // One round behind is no lie but an accident that heals: the other side's signature is under the next one.
        world.inject(liar, &show(id, chain_hash, rounds[3].encode()));
        world.run_for(100);
        assert!(told(&world, victim).iter().any(|told| told == "open"), "{}", world.describe());
        assert_eq!(world.round(victim), 5);
    }
}

#[test]
fn a_crash_in_the_middle_of_a_crash_is_one_crash() {
    let mut world = World::opened(Setup::default());
    for turn in 0..4 {
        world.transfer(Role::Initiator, 5);
        world.arm(Fault::Crash { role: Role::Responder, turn, place: Place::BeforeStore, silent: false });
        world.run_for(500);
        world.crash(Role::Initiator, false);
        world.run_for(5_000);
        assert!(matches!(world.recover(), Ending::Agreed { .. }), "{}", world.describe());
        world.transfer_well(Role::Responder, 1);
    }
}
