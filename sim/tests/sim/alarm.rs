//! The simulator's own checks fail where they should: without that, the other tests would show nothing.

use std::panic::{AssertUnwindSafe, catch_unwind};

use strait_channel::{Flow, Message, Request, Role, TxOptions};
use strait_encoding::{Coins, Nonce, Round, StateHash};
use strait_ledger::{
    CloseMutualTx, CloseSoloTx, DepositTx, OffchainTx, Payload, SignedTx, SlashTx, SnapshotSoloTx, Tx,
    WithdrawTx,
};
use strait_sim::{Setup, Signer, World};

use crate::support::{BOTH, FUNDS, funds_well, id_of, solo_well};

/// What a panic said; none if there was none.
fn alarm(deed: impl FnOnce()) -> Option<String> {
    let panic = catch_unwind(AssertUnwindSafe(deed)).err()?;
    let text = panic.downcast_ref::<String>().cloned();
    Some(text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default())
}

fn alarms(says: &str, deed: impl FnOnce()) {
    let told = alarm(deed);
    assert!(told.as_ref().is_some_and(|told| told.contains(says)), "expected {says:?}, found {told:?}");
}

/// A world in round 3, and what its initiator was asked to sign in the flows that a closure starts.
fn in_round_three() -> World {
    let mut world = World::opened(Setup::default());
    world.transfer_well(Role::Initiator, 1_000);
    world.transfer_well(Role::Responder, 300);
    world
}

/// Transactions of every kind that follow an agreed round.
fn next_round(world: &World, agreed: u64) -> Vec<SignedTx> {
    let channel_id = id_of(world);
    let party = world.party(Role::Initiator).signer.account();
    let (round, state_hash) = (Round(agreed + 1), StateHash([7; 32]));
    let (amount, fee, nonce, ttl) =
        (Coins(5), Coins(20_000_000_000_000), Nonce(2), strait_encoding::Height(0));
    let close = CloseMutualTx {
        channel_id,
        from_id: party,
        initiator_amount_final: Coins(1_000),
        responder_amount_final: Coins(2_000),
        ttl,
        fee,
        nonce,
    };
    let all: [Tx; 5] = [
        OffchainTx { channel_id, round, state_hash }.into(),
        OffchainTx { channel_id, round, state_hash: StateHash([8; 32]) }.into(),
        DepositTx { channel_id, from_id: party, amount, ttl, fee, state_hash, round, nonce }.into(),
        WithdrawTx { channel_id, to_id: party, amount, ttl, fee, state_hash, round, nonce }.into(),
        close.into(),
    ];
    all.into_iter().map(SignedTx::unsigned).collect()
}

fn signer(world: &World) -> Signer {
    world.party(Role::Initiator).signer.clone()
}

#[test]
fn two_states_of_one_round_are_not_signed() {
    let world = in_round_three();
    let agreed = world.party(Role::Initiator).channel().agreed_tx().unwrap();
    let all = next_round(&world, 3);
    for (one, first) in all.iter().enumerate() {
        for (two, second) in all.iter().enumerate() {
            let mut signer = signer(&world);
            signer.release(first, 3);
            if one == two {
                signer.sign(second, Some(agreed));
                continue;
            }
            alarms("may still complete", || drop(signer.sign(second, Some(agreed))));
            alarms("may still complete", || signer.clone().release(second, 3));
            signer.refused(first);
            signer.sign(second, Some(agreed));
        }
    }
}

#[test]
fn an_old_round_is_not_signed() {
    let world = in_round_three();
    let agreed = world.party(Role::Initiator).channel().agreed_tx().unwrap();
    for tx in next_round(&world, 2).iter().filter(|tx| tx.tx().agreed_state().is_some()) {
        alarms("and round 3 is agreed", || drop(signer(&world).sign(tx, Some(agreed))));
    }
}

#[test]
fn a_second_close_is_signed_only_for_the_same_split() {
    let world = in_round_three();
    let agreed = world.party(Role::Initiator).channel().agreed_tx().unwrap();
    let first = next_round(&world, 3).pop().unwrap();
    let Tx::ChannelCloseMutual(close) = first.tx().clone() else { panic!() };
    let mut signer = signer(&world);
    signer.release(&first, 3);
    let dearer = CloseMutualTx {
        fee: Coins(close.fee.0 + 2),
        initiator_amount_final: Coins(close.initiator_amount_final.0 - 1),
        responder_amount_final: Coins(close.responder_amount_final.0 - 1),
        ..close.clone()
    };
    signer.sign(&SignedTx::unsigned(dearer), Some(agreed));
    let more = Coins(close.initiator_amount_final.0 + 1);
    let other = CloseMutualTx { initiator_amount_final: more, ..close };
    alarms("may still complete", || drop(signer.sign(&SignedTx::unsigned(other), Some(agreed))));
}

#[test]
fn nothing_old_is_shown_to_the_chain() {
    let mut world = in_round_three();
    let agreed = world.party(Role::Initiator).channel().agreed_tx().cloned().unwrap();
    let old = world.close_with(Role::Initiator, 2);
    let latest = world.close_with(Role::Initiator, 3);
    let signer = signer(&world);
    signer.sign(&SignedTx::unsigned(latest.tx().clone()), Some(&agreed));
    alarms("is agreed", || drop(signer.sign(&SignedTx::unsigned(old.tx().clone()), Some(&agreed))));
    let (Tx::ChannelCloseSolo(old), Tx::ChannelCloseSolo(latest)) = (old.tx().clone(), latest.tx().clone())
    else {
        panic!()
    };
    // The latest round with the proof of another one.
    let mixed = CloseSoloTx { poi: old.poi.clone(), ..latest.clone() };
    alarms("a proof of another state", || drop(signer.sign(&SignedTx::unsigned(mixed), Some(&agreed))));
    let CloseSoloTx { channel_id, from_id, payload, poi, ttl, fee, nonce } = old;
    let slash = SlashTx { channel_id, from_id, payload, poi, ttl, fee, nonce };
    alarms("is agreed", || drop(signer.sign(&SignedTx::unsigned(slash), Some(&agreed))));
}

#[test]
fn who_does_not_watch_and_loses_is_noticed() {
    for cheat in BOTH {
        // In round 2 the cheat has paid: the first round gives it more.
        let mut world = World::opened(Setup::default());
        world.transfer_well(cheat, 1_000);
        for role in BOTH {
            world.party_mut(role).client.watchful = false;
        }
        world.close_with(cheat, 1);
        world.run_for(150_000);
        world.ask(cheat, World::solo_request(Flow::Settle));
        alarms("instead of 1000", || world.run_for(100_000));
    }
}

#[test]
fn who_is_paid_less_than_agreed_is_noticed() {
    for flow in FUNDS {
        let mut world = World::opened(Setup::default());
        funds_well(&mut world, Role::Responder, flow, 7);
        world.transfer_well(Role::Initiator, 1_000);
        // The close of round 2 would be settled, whatever was agreed since.
        for role in BOTH {
            world.party_mut(role).client.watchful = false;
        }
        let mut fair = world.clone();
        world.close_with(Role::Initiator, 2);
        world.run_for(150_000);
        world.ask(Role::Initiator, World::solo_request(Flow::Settle));
        alarms("the responder gets", || world.run_for(100_000));
        solo_well(&mut fair, Role::Initiator, Flow::CloseSolo);
        fair.ask(Role::Initiator, World::solo_request(Flow::Settle));
        fair.run_for(200_000);
        assert!(fair.model.closed().is_some(), "{}", fair.describe());
    }
}

#[test]
fn a_close_that_gives_somebody_more_is_noticed() {
    let mut world = in_round_three();
    let (ours, theirs) = (world.model.balances()[0], world.model.balances()[1]);
    let fee = 20_000_000_000_000;
    let close = CloseMutualTx {
        channel_id: id_of(&world),
        from_id: world.party(Role::Initiator).signer.account(),
        initiator_amount_final: Coins(ours + 1 - fee / 2),
        responder_amount_final: Coins(theirs - 1 - fee / 2),
        ttl: strait_encoding::Height(0),
        fee: Coins(fee),
        nonce: Nonce(2),
    };
    let half = world.party(Role::Initiator).signer.add_to(&SignedTx::unsigned(close));
    let both = world.party(Role::Responder).signer.add_to(&half);
    let mut unheard = world.clone();
    unheard.hand_in(&both);
    alarms("nobody proposed the close", || unheard.run_for(30_000));
    let (channel_id, block_hash) = (id_of(&world), world.key_block(world.height()));
    world.inject(Role::Initiator, &Message::Shutdown { channel_id, block_hash, tx: half.encode() });
    world.hand_in(&both);
    alarms("the fee is not shared", || world.run_for(30_000));
    world = in_round_three();
    world.ask(Role::Initiator, Request::Shutdown(TxOptions::default()));
    world.run_for(30_000);
    assert!(world.model.closed().is_some());
}

#[test]
fn a_state_on_chain_that_nobody_agreed_on_is_noticed() {
    let mut world = in_round_three();
    let (channel_id, from_id) = (id_of(&world), world.party(Role::Initiator).signer.account());
    let state = OffchainTx { channel_id, round: Round(9), state_hash: StateHash([7; 32]) };
    let half = world.party(Role::Initiator).signer.add_to(&SignedTx::unsigned(state));
    let payload = Payload(world.party(Role::Responder).signer.add_to(&half).encode());
    let (ttl, fee, nonce) = (strait_encoding::Height(0), Coins(0), Nonce(2));
    world.post(Role::Initiator, SnapshotSoloTx { channel_id, from_id, payload, ttl, fee, nonce });
    alarms("nobody brought the state of round 9", || world.run_for(30_000));
}
