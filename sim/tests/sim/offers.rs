//! A mutual close that the peer refused, and can complete long afterwards.

use strait_channel::{Flow, Notice, Place as Stand, Reason, Request, Role, TxOptions};
use strait_encoding::Coins;
use strait_ledger::{Abandoned, ChainView, ForkPlan, SignedTx, TxLocation};
use strait_sim::{Ending, Heard, Reply, Setup, World};

use crate::liar_choice::{acceptance, end_alone};
use crate::lies::with_liar;
use crate::support::{BOTH, clear, close, conflicts, solo_well, told};
use crate::suspicions::refused_and_gone_on;

/// Far more than any fee.
const MUCH: u128 = 1_000_000_000_000_000;

/// A channel in which `closer` wanted to close, and the other one refused.
fn refused(closer: Role) -> World {
    let mut world = World::opened(Setup::default());
    world.transfer_well(closer, MUCH);
    world.party_mut(closer.other()).client.plan.push_back(Reply::Decline(7));
    world.ask(closer, Request::Shutdown(TxOptions::default()));
    world.calm();
    assert_eq!(conflicts(&world, closer).last().map(String::as_str), Some("conflict(7)"));
    clear(&mut world);
    world
}

fn pays(from: Role, amount: u128) -> Request {
    World::transfer_request(from, amount)
}

/// Neither side takes a round that gives `closer` so much more.
fn assert_barred(world: &mut World, closer: Role, amount: u128) {
    let round = world.model.round();
    clear(world);
    world.ask(closer.other(), pays(closer.other(), amount));
    world.calm();
    assert_eq!(conflicts(world, closer.other()), ["conflict(4)"]);
    let told = |heard: &Heard| matches!(heard, Heard::Told(Notice::Error(Reason::Undercut { .. })));
    assert!(world.party(closer).client.log.iter().any(told), "{}", world.describe());
    let ticket = world.ask(closer, pays(closer.other(), amount));
    let answer = world.party(closer).client.answer(ticket);
    let Some(Err(refusal)) = answer else { panic!("{answer:?}") };
    let Reason::Undercut { loss, account, nonce, .. } = &refusal.reason else { panic!("{refusal}") };
    assert!(loss.0 > MUCH / 2, "{refusal}");
    assert_eq!(*account, world.party(closer).signer.account());
    assert_eq!(*nonce, world.chain.account(*account).map_or(0, |account| account.nonce.0) + 1);
    assert_eq!(world.model.round(), round);
}

#[test]
fn who_could_be_paid_by_an_older_close_is_not_paid_off_chain() {
    for closer in BOTH {
        let mut world = refused(closer);
        assert_barred(&mut world, closer, MUCH);
        // A little more, or less, or as much as before, is worth what it says.
        world.transfer_well(closer.other(), 1_000);
        world.transfer_well(closer, MUCH);
        world.transfer_well(closer.other(), MUCH);
        assert_barred(&mut world, closer, MUCH);
        let close = world.complete_close(closer.other(), 0);
        assert!(close.is_some(), "{}", world.describe());
        assert_eq!(world.recover(), Ending::Closed);
        assert_eq!(world.model.closed(), close.as_ref());
    }
}

#[test]
fn who_withdraws_in_vain_is_not_paid_what_the_withdrawal_would_take_back() {
    for liar in BOTH {
        let (mut world, withdrawal) = refused_and_gone_on(liar, Flow::Withdraw, 1_000_000);
        assert_barred(&mut world, liar.other(), MUCH);
        // The liar completes what it refused: the channel holds too little for the later round.
        world.hand_in(&withdrawal);
        world.run_for(30_000);
        assert!(matches!(world.chain.locate_tx(&withdrawal.hash()), TxLocation::InBlock { .. }));
        end_alone(&mut world, liar.other());
    }
}

#[test]
fn beside_a_deposit_that_was_refused_no_round_is_agreed() {
    for liar in BOTH {
        let (mut world, deposit) = refused_and_gone_on(liar, Flow::Deposit, MUCH);
        let victim = liar.other();
        assert_barred(&mut world, victim, 1);
        let mut ended = world.clone();
        world.hand_in(&deposit);
        world.run_for(30_000);
        assert!(matches!(world.chain.locate_tx(&deposit.hash()), TxLocation::InBlock { .. }));
        end_alone(&mut world, victim);

        // The proposer ends what the deposit can do.
        let _nonce = ended.spend(victim, Coins(1));
        ended.run_for(30_000);
        ended.transfer_well(liar, MUCH);
        ended.hand_in(&deposit);
        ended.transfer_well(victim, 1);
        close(&mut ended, victim);
    }
}

#[test]
fn a_snapshot_ends_what_the_close_can_do_until_a_fork_takes_it_back() {
    for closer in BOTH {
        let mut world = refused(closer);
        world.transfer_well(closer, 1);
        // The create transaction should lie deeper than the fork.
        world.run_for(50_000);
        solo_well(&mut world, closer, Flow::SnapshotSolo);
        let close = world.complete_close(closer.other(), 0);
        let mut forked = world.clone();
        world.transfer_well(closer.other(), MUCH);
        world.run_for(50_000);
        assert!(world.both(|party| party.channel().place() == Stand::Open), "{}", world.describe());
        let hash = close.map(|close| close.hash());
        assert!(hash.is_some_and(|hash| !matches!(world.chain.locate_tx(&hash), TxLocation::InBlock { .. })));

        forked.mining = false;
        forked.fork(&ForkPlan { others: Abandoned::Lost, ..ForkPlan::new(3) });
        assert_barred(&mut forked, closer, MUCH);
    }
}

#[test]
fn who_is_paid_by_an_acceptance_that_comes_late_is_told_what_it_is_worth() {
    for liar in BOTH {
        let victim = liar.other();
        let mut world = World::opened(Setup::default());
        world.transfer_well(victim, MUCH);
        world = with_liar(world, liar);
        world.held = None;
        world.party_mut(liar).client.habit = Reply::Decline(7);
        // The liar has seen this payment to the victim, and has refused it, and the close behind it too.
        world.ask(victim, pays(liar, MUCH));
        world.calm();
        let half = world.wire.iter().rev().find_map(|sent| SignedTx::decode(sent.message.tx()?).ok());
        let paid = world.party(liar).signer.add_to(&half.expect("it was proposed"));
        world.ask(victim, Request::Shutdown(TxOptions::default()));
        world.calm();
        clear(&mut world);
        let late = acceptance(&world, Flow::Update, &paid);
        world.inject(liar, &late);
        world.run_for(100);
        let heard = told(&world, victim);
        assert_eq!(heard, ["channels.update", "error"], "{}", world.describe());
    }
}

#[test]
fn a_restart_does_not_forget_the_close() {
    for closer in BOTH {
        let mut world = refused(closer);
        world.transfer_well(closer, 1);
        world.crash(closer, false);
        assert!(matches!(world.recover(), Ending::Agreed { .. }), "{}", world.describe());
        assert_barred(&mut world, closer, MUCH);
    }
}

#[test]
fn the_own_deposit_uses_the_nonce_of_the_close() {
    for closer in BOTH {
        let mut world = refused(closer);
        crate::support::funds_well(&mut world, closer, Flow::Deposit, MUCH);
        world.transfer_well(closer.other(), MUCH);
        let own = world.model.balances()[usize::from(closer == Role::Responder)];
        assert!(Coins(own) > Coins(2 * MUCH));
        assert!(world.complete_close(closer.other(), 0).is_some());
        world.run_for(50_000);
        assert!(world.both(|party| party.channel().place() == Stand::Open), "{}", world.describe());
    }
}
