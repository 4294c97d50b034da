//! What a peer with money to gain could try.

use strait_channel::{Channel, DepthRule, Flow, Message, Role};
use strait_encoding::{Coins, Height, KeyBlockHash, Round};
use strait_ledger::{
    ChainView, CloseSoloTx, OffchainEnv, Payload, ProofBytes, SignedTx, SnapshotSoloTx, StateProof, Tx,
    TxLocation, Update, apply_updates, initial_trees,
};
use strait_sim::{Call, Ending, Reply, Setup, World};

use crate::liar_choice::{acceptance, end_alone, refused_proposal};
use crate::lies::with_liar;
use crate::support::{BOTH, Case, FUNDS, clear, force_well, id_of, told, with_contracts};

/// The liar refuses what the victim proposes, and both go on. Gives the proposal with the signatures of both.
pub fn refused_and_gone_on(liar: Role, flow: Flow, amount: u128) -> (World, SignedTx) {
    refused_in(World::opened(Setup::default()), liar, flow, amount)
}

fn refused_in(mut world: World, liar: Role, flow: Flow, amount: u128) -> (World, SignedTx) {
    world.party_mut(liar).client.habit = Reply::Nothing;
    world = with_liar(world, liar);
    let proposal = refused_proposal(&mut world, liar.other(), flow, amount);
    world.held = None;
    world.party_mut(liar).client.habit = Reply::Sign;
    let Ending::Agreed { .. } = world.recover() else { panic!("{}", world.describe()) };
    (world, proposal)
}

#[test]
fn an_acceptance_that_comes_rounds_late_takes_nothing_back() {
    for flow in FUNDS {
        for liar in BOTH {
            let _case = Case(format!("{flow:?}, the {liar} accepts late"));
            let victim = liar.other();
            let (mut world, proposal) = refused_and_gone_on(liar, flow, 1_000_000);
            for _ in 0..3 {
                world.transfer_well(liar, 5_000_000);
            }
            let (round, submitted) = (world.round(victim), world.submitted.len());
            world.inject(liar, &acceptance(&world, flow, &proposal));
            world.run_for(60_000);
            let (channel_id, tx_hash) = (id_of(&world), proposal.hash());
            let locked = match flow {
                Flow::Deposit => Message::DepositLocked { channel_id, tx_hash },
                _ => Message::WithdrawLocked { channel_id, tx_hash },
            };
            world.inject(liar, &locked);
            world.run_for(100);
            assert_eq!(world.round(victim), round, "{}", world.describe());
            assert_eq!(world.party(victim).channel().doing(), "idle");
            assert_eq!(world.submitted.len(), submitted, "handed to the chain: {:?}", world.submitted.last());
        }
    }
}

#[test]
fn an_old_forced_call_does_not_let_a_stranger_in() {
    let (mut world, spender, _) = with_contracts(Setup::default());
    let me = world.party(Role::Initiator).signer.account();
    force_well(&mut world, Role::Initiator, spender, &Call::Spend(me, 30));
    let forced = world.submitted.last().map(|(_, tx, _)| tx.clone()).unwrap();
    assert!(matches!(forced.tx(), Tx::ChannelForceProgress(_)));
    for _ in 0..5 {
        world.transfer_well(Role::Initiator, 2);
    }
    clear(&mut world);
    let (channel_id, chain_hash) = (id_of(&world), KeyBlockHash(*world.key_block(0).as_bytes()));
    // It stands on chain for everybody to read.
    world.knock(&Message::ChannelReestablish { chain_hash, channel_id, tx: forced.encode() });
    world.run_for(100);
    assert!(told(&world, Role::Responder).is_empty(), "{:?}", told(&world, Role::Responder));
    world.transfer_well(Role::Responder, 1);
}

#[test]
fn who_closes_alone_while_the_channel_opens_does_not_hold_the_coins() {
    for liar in BOTH {
        let victim = liar.other();
        let setup = Setup { depth: [Some(DepthRule::Plain(5)); 2], ..Setup::default() };
        let mut world = World::new(setup.clone());
        world.open(Role::Responder);
        world.open(Role::Initiator);
        let mined = |world: &World| {
            let id = world.party(victim).process.as_ref().and_then(Channel::id);
            id.is_some_and(|id| world.chain.channel(id).is_some())
        };
        assert!(world.run_until(60_000, mined));
        world.party_mut(liar).signer.enforcing = false;
        world.held = Some(liar);
        let [initiator, responder] = BOTH.map(|role| world.party(role).signer.account());
        let trees =
            initial_trees(initiator, responder, Coins(setup.initiator_amount), Coins(setup.responder_amount));
        let mut proof = StateProof::new(&trees);
        for account in [initiator, responder] {
            proof.add_account(&trees, account).unwrap();
        }
        let from_id = world.party(liar).signer.account();
        let close = CloseSoloTx {
            channel_id: id_of(&world),
            from_id,
            payload: Payload(Vec::new()),
            poi: ProofBytes(proof.encode()),
            ttl: Height(0),
            fee: Coins::ZERO,
            nonce: world.chain.next_nonce(from_id),
        };
        let close = world.post(liar, close);
        world.run_for(30_000);
        assert!(matches!(world.chain.locate_tx(&close.hash()), TxLocation::InBlock { .. }));
        world.vanish(liar, false);
        end_alone(&mut world, victim);
    }
}

#[test]
fn a_refused_round_that_the_peer_shows_on_chain_does_not_hold_the_coins() {
    for liar in BOTH {
        let victim = liar.other();
        let (mut world, proposal) = refused_and_gone_on(liar, Flow::Update, 3);
        // Another transaction of the same round is agreed.
        world.transfer_well(victim, 4);
        assert_eq!(proposal.tx().agreed_state().map(|(round, _)| round), Some(Round(world.round(victim))));
        let from_id = world.party(liar).signer.account();
        let snapshot = SnapshotSoloTx {
            channel_id: id_of(&world),
            from_id,
            payload: Payload(proposal.encode()),
            ttl: Height(0),
            fee: Coins::ZERO,
            nonce: world.chain.next_nonce(from_id),
        };
        let snapshot = world.post(liar, snapshot);
        world.run_for(30_000);
        assert!(matches!(world.chain.locate_tx(&snapshot.hash()), TxLocation::InBlock { .. }));
        world.party_mut(victim).signer.enforcing = false;
        end_alone(&mut world, victim);
    }
}

#[test]
fn a_call_forced_on_a_refused_round_does_not_hold_the_coins() {
    for liar in BOTH {
        let victim = liar.other();
        let (world, spender, _) = with_contracts(Setup::default());
        let before = world.model.trees_of(world.round(victim)).unwrap();
        let (mut world, proposal) = refused_in(world, liar, Flow::Update, 3);
        // Another transaction of the same round is agreed.
        world.transfer_well(victim, 4);
        assert_eq!(proposal.tx().agreed_state().map(|(round, _)| round), Some(Round(world.round(victim))));
        let account = |role| world.party(role).signer.account();
        let paid = Update::Transfer { from: account(victim), to: account(liar), amount: Coins(3) };
        let (reserve, round) = (Coins(Setup::default().reserve), Round(world.round(victim)));
        let env = OffchainEnv { reserve, round, protocol: world.chain.protocol() };
        let refused = apply_updates(&before, &[paid], &env).unwrap();
        let call = (spender, &Call::Spend(account(liar), 100));
        let forced = world.forced_on(liar, (&refused, &proposal), call, &world.chain);
        let forced = world.post(liar, forced);
        world.run_for(30_000);
        assert!(matches!(world.chain.locate_tx(&forced.hash()), TxLocation::InBlock { .. }));
        world.party_mut(victim).signer.enforcing = false;
        end_alone(&mut world, victim);
    }
}

#[test]
fn whoever_comes_back_is_told_of_an_old_close_that_a_dead_socket_was_told_of() {
    for liar in BOTH {
        let victim = liar.other();
        let mut world = World::opened(Setup::default());
        for _ in 0..3 {
            world.transfer_well(liar, 5_000_000);
        }
        world.party_mut(liar).signer.enforcing = false;
        world.party_mut(liar).client.watchful = false;
        // The machine of the client is off; its service does not know yet.
        world.detach_quietly(victim);
        world.close_with(liar, 2);
        world.run_for(30_000);
        world.detach(victim);
        clear(&mut world);
        world.attach(victim);
        let heard = told(&world, victim);
        assert!(heard.contains(&"on_chain_tx(can_slash)".to_owned()), "{heard:?}");
        assert_eq!(heard.iter().filter(|told| *told == "on_chain_tx(can_slash)").count(), 1);
    }
}

#[test]
fn what_waited_when_a_client_went_is_not_done_for_the_next_one() {
    for noticed in [false, true] {
        let role = Role::Initiator;
        let mut world = World::opened(Setup::default());
        world.party_mut(role.other()).client.habit = Reply::Late(1_000);
        world.transfer(role, 5);
        world.run_for(100);
        // Waits behind the transfer that the peer's client thinks about.
        world.ask(role, World::funds_request(Flow::Deposit, 7));
        if noticed {
            world.detach(role);
        } else {
            world.detach_quietly(role);
        }
        clear(&mut world);
        world.attach(role);
        world.run_for(5_000);
        assert_eq!(world.round(role), 2, "{}", world.describe());
        assert_eq!(told(&world, role), ["fsm_up", "channels.update"]);
        assert_eq!(world.party(role).channel().doing(), "idle");
    }
}
