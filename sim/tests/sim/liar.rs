//! A peer that lies in every field of every message of an open channel: nobody is asked to sign a lie, and the agreed state
//! stays.

use strait_channel::{Message, Patience, Request, Role, TxOptions};
use strait_encoding::{BlockHash, ChannelId, Coins, ContractId, Height, Round, StateHash};
use strait_ledger::{CloseMutualTx, OffchainEnv, Protocol, Tx, Update, apply_updates, initial_trees};
use strait_sim::{Ending, Reply, Sent, Setup, World};

use crate::lies::{
    NOBODY, broken_bytes, forged, last, make_up, set_close, set_offchain, signing_requests, tell_lie,
    with_liar, with_tx,
};
use crate::support::{BOTH, told};

/// The trees after one round with these updates, whatever they are.
fn state_after(world: &World, updates: &[Update]) -> StateHash {
    let [initiator, responder] = BOTH.map(|role| world.party(role).signer.account());
    let [ours, theirs] = world.model.balances();
    let trees = initial_trees(initiator, responder, Coins(ours), Coins(theirs));
    let env = OffchainEnv { reserve: Coins::ZERO, round: Round(3), protocol: Protocol::default() };
    apply_updates(&trees, updates, &env).map_or(trees.state_hash(), |trees| trees.state_hash())
}

/// A proposal of these updates that is right in everything else.
fn proposal_of(world: &World, liar: Role, honest: &Message, updates: &[Update]) -> Message {
    let hash = state_after(world, updates);
    let signer = &world.party(liar).signer;
    let mut message = forged(honest, signer, |tx| {
        if let Tx::ChannelOffchain(tx) = tx {
            tx.state_hash = hash;
        }
    });
    if let Message::Update { updates: all, .. } = &mut message {
        *all = updates.iter().map(Update::encode).collect();
    }
    message
}

/// What an update may not contain, even when its state hash fits.
fn forbidden_updates(world: &World, liar: Role) -> Vec<(&'static str, Vec<Update>)> {
    let (me, you) = (world.party(liar).signer.account(), world.party(liar.other()).signer.account());
    let [initiator, responder] = world.model.balances();
    let (mine, yours) = if liar == Role::Initiator { (initiator, responder) } else { (responder, initiator) };
    let transfer = |from, to, amount| Update::Transfer { from, to, amount: Coins(amount) };
    let fine = transfer(me, you, 1);
    let contract = ContractId([8; 32]);
    vec![
        ("a deposit out of nothing", vec![Update::Deposit { from: me, amount: Coins(5) }]),
        ("a deposit for the victim", vec![Update::Deposit { from: you, amount: Coins(5) }]),
        ("a withdrawal", vec![Update::Withdraw { to: you, amount: Coins(5) }]),
        ("a deposit behind a transfer", vec![fine.clone(), Update::Deposit { from: me, amount: Coins(5) }]),
        ("a transfer to a stranger", vec![transfer(you, NOBODY, 1)]),
        ("a transfer from a stranger", vec![transfer(NOBODY, me, 1)]),
        ("a transfer to itself", vec![transfer(me, me, 1)]),
        ("a transfer that leaves the victim less than the reserve", vec![transfer(you, me, yours - 999)]),
        ("a transfer that leaves the liar less than the reserve", vec![transfer(me, you, mine - 999)]),
        ("a transfer of more than there is", vec![transfer(you, me, u128::MAX)]),
        (
            "a new contract",
            vec![Update::NewContract {
                owner: me,
                ct_version: 0x0008_0003,
                code: vec![1],
                deposit: Coins(1),
                call_data: vec![2],
            }],
        ),
        (
            "a call",
            vec![Update::CallContract {
                caller: me,
                contract,
                abi_version: 3,
                amount: Coins(1),
                gas: 1,
                gas_price: 1,
                call_data: vec![],
                call_stack: vec![],
            }],
        ),
    ]
}

/// A world in round 2 at a height at which blocks can be too old.
fn in_round_two() -> World {
    let mut world = World::opened(Setup::default());
    world.transfer_well(Role::Initiator, 10);
    world.run_for(150_000);
    assert!(world.height() > 12);
    world
}

#[test]
fn a_lying_proposer_is_refused() {
    let mut lies = 0;
    for liar in BOTH {
        let mut world = with_liar(in_round_two(), liar);
        world.transfer(liar, 5);
        world.run_for(100);
        let honest = last(&world, liar, "Update");
        let me = world.party(liar).signer.clone();
        let mut all: Vec<(String, Message)> = broken_bytes(&honest, &me);
        // Its own signature alone is what an honest message has.
        all.pop();
        let old = world.key_block(1);
        let Message::Update { channel_id, block_hash, tx, updates } = honest.clone() else { panic!() };
        let update = |channel_id, block_hash, updates: &[Vec<u8>]| Message::Update {
            channel_id,
            block_hash,
            tx: tx.clone(),
            updates: updates.to_vec(),
        };
        let simple = [
            ("another channel", update(ChannelId([7; 32]), block_hash, &updates)),
            ("an unknown block", update(channel_id, BlockHash::new([7; 32]), &updates)),
            ("an old block", update(channel_id, old, &updates)),
            ("no updates", update(channel_id, block_hash, &[])),
            ("noise for an update", update(channel_id, block_hash, &[vec![1, 2, 3]])),
            ("one update twice", update(channel_id, block_hash, &[updates[0].clone(), updates[0].clone()])),
            ("the round before", forged(&honest, &me, set_offchain(|tx| tx.round = Round(2)))),
            ("round 0", forged(&honest, &me, set_offchain(|tx| tx.round = Round(0)))),
            ("a round left out", forged(&honest, &me, set_offchain(|tx| tx.round = Round(4)))),
            ("the last round", forged(&honest, &me, set_offchain(|tx| tx.round = Round(u64::MAX)))),
            ("another state", forged(&honest, &me, set_offchain(|tx| tx.state_hash = StateHash([7; 32])))),
            ("a channel inside", forged(&honest, &me, set_offchain(|tx| tx.channel_id = ChannelId([7; 32])))),
            ("a create transaction", with_tx(&honest, world.create_tx().encode())),
            ("the agreed round", with_tx(&honest, world.party(liar).channel().agreed_tx().unwrap().encode())),
        ];
        all.extend(simple.map(|(name, lie)| (name.to_owned(), lie)));
        for (name, updates) in forbidden_updates(&world, liar) {
            all.push((name.to_owned(), proposal_of(&world, liar, &honest, &updates)));
        }
        for (name, lie) in &all {
            tell_lie(&world, liar, name, lie);
            make_up(&world, liar, lie);
            lies += 1;
        }
        // The very same message, with the truth in it, is taken: it was the lies that were refused.
        let asked = signing_requests(&world, liar.other());
        world.inject(liar, &honest);
        world.run_for(100);
        assert_eq!(signing_requests(&world, liar.other()), asked + 1);
    }
    println!("{lies} lies of proposers");
}

#[test]
fn a_lying_acceptor_is_refused() {
    for liar in BOTH {
        let victim = liar.other();
        let mut world = with_liar(in_round_two(), liar);
        world.transfer(victim, 5);
        world.run_for(100);
        let honest = last(&world, liar, "UpdateAck");
        let me = world.party(liar).signer.clone();
        let mut all = broken_bytes(&honest, &me);
        let agreed = world.party(victim).channel().agreed_tx().unwrap().encode();
        let Message::UpdateAck { tx, .. } = honest.clone() else { panic!() };
        let simple = [
            ("another channel", Message::UpdateAck { channel_id: ChannelId([7; 32]), tx }),
            ("another state", forged(&honest, &me, set_offchain(|tx| tx.state_hash = StateHash([7; 32])))),
            ("the round after", forged(&honest, &me, set_offchain(|tx| tx.round = Round(4)))),
            ("the agreed round", with_tx(&honest, agreed)),
            ("a create transaction", with_tx(&honest, world.create_tx().encode())),
        ];
        all.extend(simple.map(|(name, lie)| (name.to_owned(), lie)));
        for (name, lie) in &all {
            tell_lie(&world, liar, name, lie);
            make_up(&world, liar, lie);
        }
        world.inject(liar, &honest);
        world.run_for(100);
        assert_eq!(world.round(victim), 3);
    }
}

#[test]
fn a_refused_proposal_that_is_completed_after_all_is_adopted() {
    for liar in BOTH {
        let victim = liar.other();
        let mut world = with_liar(in_round_two(), liar);
        world.transfer(victim, 5);
        world.run_for(100);
        let accepted = last(&world, liar, "UpdateAck");
        let Message::UpdateAck { channel_id, .. } = accepted else { panic!() };
        world.inject(liar, &Message::UpdateError { channel_id, round: 2, error_code: 77 });
        world.run_for(100);
        assert_eq!(told(&world, victim).last().map(String::as_str), Some("conflict(77)"));
        assert_eq!(world.party(victim).channel().doing(), "idle");
        // Whoever signed is bound, whatever the peer said before (`docs/decisions/0001`, rule 3).
        let mut later = world.clone();
        world.inject(liar, &accepted);
        world.run_for(100);
        assert_eq!(world.round(victim), 3);
        assert_eq!(told(&world, victim).last().map(String::as_str), Some("channels.update"));
        // It holds also when the completed round is shown only after both went.
        let Ending::Agreed { .. } = later.recover() else { panic!("{}", later.describe()) };
        later.cut_line();
        assert!(matches!(later.recover(), Ending::Agreed { .. }));
        assert_eq!(later.round(victim), 3);
        later.transfer_well(victim, 1);
    }
}

/// The same proposal, pinned to the top of the chain; what was signed stays.
fn pinned_now(world: &World, proposal: &Message) -> Message {
    let Message::Update { channel_id, tx, updates, .. } = proposal.clone() else { panic!("not a proposal") };
    Message::Update { channel_id, block_hash: world.key_block(world.height()), tx, updates }
}

#[test]
fn a_peer_that_never_answers_a_withdrawal_shows_by_its_own_proposals_that_it_gave_in() {
    let accept = Patience::default().accept;
    // While the answer to the withdrawal is awaited, and when nobody awaits it any more.
    for after in [accept + 1_000, 2 * accept + 1_000] {
        for victim in BOTH {
            let peer = victim.other();
            let world = with_liar(in_round_two(), peer);
            let mut elsewhere = world.clone();
            elsewhere.transfer(peer, 9);
            elsewhere.run_for(100);
            let proposal = last(&elsewhere, peer, "Update");
            let mut world = world;
            world.party_mut(peer).client.habit = Reply::Nothing;
            world.transfer(victim, 5);
            world.run_for(after);
            let asked = signing_requests(&world, victim);
            let proposal = pinned_now(&world, &proposal);
            let refusals = |world: &World| {
                let is_refusal = |sent: &&Sent| sent.from == victim && sent.message.name() == "UpdateError";
                world.wire.iter().filter(is_refusal).count()
            };
            let withdrawn = refusals(&world);
            assert_eq!(withdrawn, 1);
            // The first one may have crossed with ours: its sender may not know of ours yet.
            for (times, doing) in [(1, "update"), (2, "idle")] {
                world.inject(peer, &proposal);
                world.run_for(100);
                assert_eq!(refusals(&world), withdrawn + times, "{}", world.describe());
                assert_eq!(world.party(victim).channel().doing(), doing, "{}", world.describe());
                assert_eq!(signing_requests(&world, victim), asked);
            }
            world.party_mut(victim).signer.all_refused();
            world.inject(peer, &proposal);
            world.run_for(100);
            assert_eq!(signing_requests(&world, victim), asked + 1, "{}", world.describe());
            assert_eq!(world.round(victim), 3);
        }
    }
}

/// Closes that pay out something else than what was agreed, or what was agreed to somebody else.
fn lying_closes(world: &World, liar: Role, honest: &Message) -> Vec<(String, Message)> {
    let me = world.party(liar).signer.clone();
    let victim = world.party(liar.other()).signer.account();
    let Message::Shutdown { channel_id, block_hash, tx } = honest.clone() else { panic!("not a close") };
    let shutdown = |channel_id, block_hash| Message::Shutdown { channel_id, block_hash, tx: tx.clone() };
    let close = |change: fn(&mut CloseMutualTx)| forged(honest, &me, set_close(change));
    let moved = |initiator: i128, responder: i128| {
        let change = |tx: &mut CloseMutualTx| {
            tx.initiator_amount_final.0 = tx.initiator_amount_final.0.wrapping_add_signed(initiator);
            tx.responder_amount_final.0 = tx.responder_amount_final.0.wrapping_add_signed(responder);
        };
        forged(honest, &me, set_close(change))
    };
    let all = [
        ("another channel", shutdown(ChannelId([7; 32]), block_hash)),
        ("an unknown block", shutdown(channel_id, BlockHash::new([7; 32]))),
        ("an old block", shutdown(channel_id, world.key_block(1))),
        ("a channel inside", close(|tx| tx.channel_id = ChannelId([7; 32]))),
        ("from the victim", forged(honest, &me, set_close(|tx| tx.from_id = victim))),
        ("from a stranger", close(|tx| tx.from_id = NOBODY)),
        ("one coin to the initiator", moved(1, -1)),
        ("one coin to the responder", moved(-1, 1)),
        ("one coin out of nothing", moved(1, 0)),
        ("one coin to nobody", moved(0, -1)),
        ("more than there is", close(|tx| tx.initiator_amount_final = Coins(u128::MAX))),
        ("a fee that is not taken from both", close(|tx| tx.fee = Coins(tx.fee.0 + 2))),
        ("a fee of more than there is", close(|tx| tx.fee = Coins(u128::MAX))),
        ("a create transaction", with_tx(honest, world.create_tx().encode())),
    ];
    let mut lies = broken_bytes(honest, &me);
    // Its own signature alone is what an honest message has.
    lies.pop();
    lies.extend(all.map(|(name, lie)| (name.to_owned(), lie)));
    lies
}

#[test]
fn a_lying_closer_is_refused() {
    for liar in BOTH {
        let mut world = with_liar(in_round_two(), liar);
        world.ask(liar, Request::Shutdown(TxOptions::default()));
        world.run_for(100);
        let honest = last(&world, liar, "Shutdown");
        for (name, lie) in &lying_closes(&world, liar, &honest) {
            tell_lie(&world, liar, name, lie);
            make_up(&world, liar, lie);
        }
        // The ttl is the closer's to choose (`docs/decisions/0003`).
        let asked = signing_requests(&world, liar.other());
        let me = world.party(liar).signer.clone();
        let choice = |tx: &mut CloseMutualTx| {
            tx.ttl = Height(5_000);
            // A longer transaction costs more.
            tx.fee.0 += 200_000_000_000;
            tx.initiator_amount_final.0 -= 100_000_000_000;
            tx.responder_amount_final.0 -= 100_000_000_000;
        };
        world.inject(liar, &forged(&honest, &me, set_close(choice)));
        world.run_for(100);
        assert_eq!(signing_requests(&world, liar.other()), asked + 1);
    }
}
