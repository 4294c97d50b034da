//! A peer that makes up what the chain is said to have forced (`docs/decisions/0010`): shown when it comes back, handed to the chain,
//! mined on a branch that a fork takes back. The agreed state stays, no coins move, and the channel goes on.

use strait_channel::{Flow, Role};
use strait_encoding::StateHash;
use strait_ledger::{Abandoned, ChainView, ForceProgressTx, ForkPlan, SignedTx, Tx, TxLocation};
use strait_sim::{Call, Ending, World};

use crate::forged::OnChain::{Counts, Refused};
use crate::forged::{Scene, altered, coins, half_signed, made_up, other_kinds, signed_by_others, states};
use crate::support::{BOTH, Case, close, force_well, funds_well, id_of, told};

#[test]
fn a_forced_call_that_was_never_mined_changes_nothing_when_it_is_shown() {
    let mut lies = 0;
    for liar in BOTH {
        for scene in [Scene::agreed(liar), Scene::forced(liar)] {
            let returning = scene.returning();
            scene.tell(&returning, "a true one that no block holds", &scene.sign(scene.honest()));
            for (name, tx, _) in altered(&scene) {
                scene.tell(&returning, name, &scene.sign(tx));
                lies += 1;
            }
            for (name, tx) in signed_by_others(&scene) {
                scene.tell(&returning, name, &tx);
                lies += 1;
            }
        }
    }
    println!("{lies} forged forced calls");
}

#[test]
fn what_one_party_signed_is_no_state_when_it_is_shown() {
    for liar in BOTH {
        for scene in [Scene::agreed(liar), Scene::forced(liar)] {
            let returning = scene.returning();
            for (name, tx) in other_kinds(&scene) {
                scene.tell(&returning, name, &tx);
            }
            for (name, tx) in half_signed(&scene) {
                scene.tell(&returning, &name, &tx);
            }
        }
    }
}

/// Both pay.
fn pays_on(world: &mut World, scene: &Scene) {
    world.party_mut(scene.liar).signer.enforcing = true;
    world.party_mut(scene.liar).signer.all_refused();
    for role in BOTH {
        world.transfer_well(role, 2);
    }
}

/// The channel goes on in every way.
fn goes_on(mut world: World, scene: &Scene) {
    let held = world.model.contracts();
    pays_on(&mut world, scene);
    // What the liar handed in may wait for ever, and the nonces behind it with it.
    let victim = scene.victim();
    let me = world.party(victim).signer.account();
    force_well(&mut world, victim, scene.spender, &Call::Spend(me, 1));
    funds_well(&mut world, victim, Flow::Deposit, 4);
    assert_eq!(world.model.contracts().len(), held.len());
    close(&mut world, victim);
}

/// Hands something to the chain past all services; whether a block took it.
fn hand_in(world: &mut World, tx: &SignedTx) -> bool {
    world.hand_in(tx);
    world.run_for(40_000);
    matches!(world.chain.locate_tx(&tx.hash()), TxLocation::InBlock { .. })
}

#[test]
fn a_forged_forced_call_on_chain_changes_nothing() {
    for liar in BOTH {
        for scene in [Scene::agreed(liar), Scene::forced(liar)] {
            let victim = scene.victim();
            for (number, (name, tx, expected)) in altered(&scene).into_iter().enumerate() {
                let mut world = scene.world.clone();
                let case = format!("{name} of the {liar} on chain");
                let _case = Case(case.clone());
                world.party_mut(liar).signer.enforcing = false;
                let ((_, object), before) = (coins(&world), states(&world, victim));
                let mined = hand_in(&mut world, &scene.sign(tx));
                assert_eq!(
                    mined,
                    expected != Refused,
                    "{case}: {:?}",
                    world.submitted.last().map(|(.., result)| result)
                );
                let changed = coins(&world).1 != object;
                assert_eq!(changed, expected == Counts, "{case}: {:?}", world.chain.channel(id_of(&world)));
                assert_eq!(
                    states(&world, victim) != before,
                    expected == Counts,
                    "{case}: {}",
                    world.describe()
                );
                if expected != Counts {
                    assert!(told(&world, victim).is_empty(), "{case}: {}", world.describe());
                }
                // Everything that can come after, now and then.
                match number % 6 {
                    0 => goes_on(world, &scene),
                    _ => pays_on(&mut world, &scene),
                }
            }
            for (name, tx) in signed_by_others(&scene) {
                let mut world = scene.world.clone();
                let _case = Case(format!("{name} instead of the {liar} on chain"));
                let before = (coins(&world), states(&world, victim));
                assert!(!hand_in(&mut world, &tx));
                assert_eq!((coins(&world), states(&world, victim)), before);
                assert!(told(&world, victim).is_empty());
                goes_on(world, &scene);
            }
        }
    }
}

#[test]
fn what_one_party_made_up_is_refused_by_the_chain() {
    for liar in BOTH {
        for scene in [Scene::agreed(liar), Scene::forced(liar)] {
            for (name, tx) in made_up(&scene).into_iter().chain(half_signed(&scene)) {
                let mut world = scene.world.clone();
                let _case = Case(format!("{name}, of the {liar} on chain"));
                let before = (coins(&world), states(&world, scene.victim()));
                world.party_mut(liar).signer.enforcing = false;
                assert!(!hand_in(&mut world, &tx));
                assert_eq!((coins(&world), states(&world, scene.victim())), before);
                assert!(told(&world, scene.victim()).is_empty(), "{}", world.describe());
                goes_on(world, &scene);
            }
        }
    }
}

/// A call that came out otherwise is in a block, and no state: shown on returning it is none either.
#[test]
fn a_forced_call_that_changed_nothing_on_chain_changes_nothing_when_it_is_shown() {
    for liar in BOTH {
        let mut scene = Scene::agreed(liar);
        let tx = scene.sign(ForceProgressTx { state_hash: StateHash([7; 32]), ..scene.honest() });
        assert!(hand_in(&mut scene.world, &tx));
        scene.tell(&scene.returning(), "one that is in a block and came out otherwise", &tx);
    }
}

/// It is the chain that tells: before a block holds the call it is nothing, and from then on it counts.
#[test]
fn a_true_forced_call_that_is_shown_early_counts_when_it_is_mined() {
    for liar in BOTH {
        let scene = Scene::agreed(liar);
        let tx = scene.sign(scene.honest());
        let mut world = scene.returning();
        world.mining = false;
        world.hand_in(&tx);
        world.inject(liar, &scene.shows(&tx));
        world.run_for(30_000);
        assert_eq!(world.round(scene.victim()), 4);
        world.mining = true;
        world.run_for(25_000);
        assert_eq!(world.round(scene.victim()), 5, "{}", world.describe());
        assert!(matches!(world.recover(), Ending::Agreed { .. }));
        goes_on(world, &scene);
    }
}

/// What became of a forced call that a fork took back.
#[derive(Clone, Copy, Debug, PartialEq)]
enum After {
    /// It can never be mined again.
    Lost,
    /// It waits in the pool, and no block is made.
    Waits,
    /// Another transaction of its sender has its nonce.
    Rival,
    /// It is lost, and both have agreed on another round instead.
    Replaced,
    /// It waits while both agree on another round instead.
    ReplacedAndWaits,
}

#[test]
fn a_forced_call_that_a_fork_took_back_changes_nothing_when_it_is_shown() {
    for liar in BOTH {
        for after in [After::Lost, After::Waits, After::Rival, After::Replaced, After::ReplacedAndWaits] {
            let _case = Case(format!("{after:?}, by the {liar}"));
            let mut scene = Scene::agreed(liar);
            let tx = scene.sign(scene.honest());
            assert!(hand_in(&mut scene.world, &tx));
            assert_eq!(BOTH.map(|role| scene.world.round(role)), [5; 2]);
            let world = &mut scene.world;
            match after {
                After::Rival => world.fork_with_rival(&ForkPlan::new(6), &tx.hash(), |world, chain| {
                    world.outbidding(liar, World::spend_of(liar, chain), chain)
                }),
                After::Waits | After::ReplacedAndWaits => world.fork(&ForkPlan::emptied(6)),
                After::Lost | After::Replaced => {
                    let mut plan = ForkPlan::new(6);
                    plan.chosen.insert(tx.hash(), Abandoned::Lost);
                    world.fork(&plan);
                }
            }
            assert_eq!(BOTH.map(|role| world.round(role)), [4; 2], "{}", world.describe());
            world.mining = after != After::Waits && after != After::ReplacedAndWaits;
            if matches!(after, After::Replaced | After::ReplacedAndWaits) {
                world.transfer_well(liar, 3);
            }
            let round = scene.world.model.round();
            let returning = scene.returning();
            scene.tell(&returning, "a call on a branch that was left", &tx);
            let mut world = returning;
            world.inject(liar, &scene.shows(&tx));
            world.run_for(1_000);
            assert_eq!(world.round(scene.victim()), round);
            world.mining = true;
            world.run_for(45_000);
            assert!(matches!(world.recover(), Ending::Agreed { .. }), "{}", world.describe());
            // Only what waited is mined; it counts unless both agreed on something else of its round.
            let counts = after == After::Waits;
            assert_eq!(world.model.round() > round, counts, "{}", world.describe());
            goes_on(world, &scene);
        }
    }
}

/// Forced calls are on chain for everybody to see: an old one is no proof that somebody is a party.
#[test]
fn a_stranger_with_an_old_forced_call_disturbs_nobody() {
    for forcing in BOTH {
        let mut scene = Scene::forced(forcing);
        let forced = scene.world.party(forcing).channel().agreed_tx().unwrap().clone();
        assert!(matches!(forced.tx(), Tx::ChannelForceProgress(_)));
        let world = &mut scene.world;
        for role in BOTH {
            world.transfer_well(role, 1);
        }
        let sent = world.wire.len();
        let knock = Scene { liar: Role::Initiator, world: world.clone(), ..scene }.shows(&forced);
        world.knock(&knock);
        world.run_for(1_000);
        assert_eq!(world.wire.len(), sent, "a stranger is answered: {:?}", world.wire.last());
        assert!(world.both(|party| party.channel().has_peer()), "{}", world.describe());
        world.transfer_well(Role::Initiator, 1);
    }
}

/// A peer that comes back is at most a round behind: whatever was forced before is the past.
#[test]
fn a_forced_call_of_long_ago_is_not_the_latest_state_of_anybody() {
    for liar in BOTH {
        let mut scene = Scene::forced(liar);
        let forced = scene.world.party(liar).channel().agreed_tx().unwrap().clone();
        for amount in 1..4 {
            scene.world.transfer_well(liar, amount);
        }
        let mut world = scene.returning();
        world.inject(liar, &scene.shows(&forced));
        world.run_for(1_000);
        assert!(!told(&world, scene.victim()).iter().any(|told| told == "open"), "{}", world.describe());
        assert!(matches!(world.recover(), Ending::Agreed { .. }));
    }
}
