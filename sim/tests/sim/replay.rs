//! Messages in the wrong place: true ones out of turn, fully signed transactions in the wrong message, strangers at the door.

use strait_channel::{DepthRule, Flow, Message, Request, Role, TxOptions};
use strait_encoding::{AccountId, ChannelId, KeyBlockHash, TxHash};
use strait_ledger::{SignedTx, TxKind};
use strait_sim::{Ending, Reply, Setup, World};

use crate::support::{BOTH, Case, funds_well, solo_well};

/// Every message of a whole life, as it was on the wire.
fn recording() -> Vec<(Role, Message)> {
    let mut world = World::new(Setup::default());
    world.open(Role::Responder);
    world.open(Role::Initiator);
    assert!(world.run_until(600_000, |world| world.both(|party| party.round() == 1)));
    world.transfer_well(Role::Initiator, 1);
    world.transfer_well(Role::Responder, 2);
    funds_well(&mut world, Role::Initiator, Flow::Deposit, 3);
    funds_well(&mut world, Role::Responder, Flow::Withdraw, 4);
    let peer = world.party(Role::Responder).signer.account();
    world.ask(Role::Initiator, Request::Message { to: peer, from: None, info: "hello".to_owned() });
    world.party_mut(Role::Responder).client.plan.push_back(Reply::Decline(7));
    world.transfer(Role::Initiator, 3);
    world.calm();
    world.ask(Role::Initiator, Request::Leave);
    world.calm();
    assert_eq!(world.come_back(Role::Initiator), Ok(()));
    world.calm();
    world.ask(Role::Responder, Request::Shutdown(TxOptions::default()));
    world.run_for(60_000);
    assert!(world.model.closed().is_some());
    let mut all: Vec<_> = world.wire.into_iter().map(|sent| (sent.from, sent.message)).collect();
    all.extend(BOTH.map(|role| (role, unknown_lock())));
    all
}

fn unknown_lock() -> Message {
    Message::DepositLocked { channel_id: ChannelId([7; 32]), tx_hash: TxHash([7; 32]) }
}

/// A moment in the life of a channel, from which the world goes on by itself.
struct Moment {
    name: &'static str,
    reach: fn(Role) -> World,
}

fn opening_until(message: &str) -> World {
    let mut world = World::new(Setup::default());
    world.open(Role::Responder);
    world.open(Role::Initiator);
    let seen = |world: &World| world.wire.iter().any(|sent| sent.message.name() == message);
    assert!(world.run_until(60_000, seen), "{}", world.describe());
    world.run_for(12);
    world
}

fn unanswered(role: Role, request: Request) -> World {
    let mut world = World::opened(Setup::default());
    world.held = Some(role.other());
    world.ask(role, request);
    world.run_for(100);
    world
}

const MOMENTS: [Moment; 19] = [
    Moment { name: "offered", reach: |_| opening_until("ChannelOpen") },
    Moment { name: "accepted", reach: |_| opening_until("ChannelAccept") },
    Moment { name: "create proposed", reach: |_| opening_until("FundingCreated") },
    Moment { name: "create signed", reach: |_| opening_until("FundingSigned") },
    Moment { name: "idle", reach: |_| World::opened(Setup::default()) },
    Moment { name: "update proposed", reach: |role| unanswered(role, World::transfer_request(role, 5)) },
    Moment {
        name: "update withdrawn",
        reach: |role| {
            let mut world = unanswered(role, World::transfer_request(role, 5));
            world.run_for(121_000);
            world
        },
    },
    Moment {
        name: "update unresolved",
        reach: |role| {
            let mut world = unanswered(role, World::transfer_request(role, 5));
            world.run_for(241_000);
            world
        },
    },
    Moment {
        name: "the client is asked",
        reach: |role| {
            let mut world = World::opened(Setup::default());
            world.party_mut(role).client.plan.push_back(Reply::Nothing);
            world.transfer(role, 5);
            world.calm();
            world
        },
    },
    Moment {
        name: "the other client is asked",
        reach: |role| {
            let mut world = World::opened(Setup::default());
            world.party_mut(role.other()).client.plan.push_back(Reply::Nothing);
            world.transfer(role, 5);
            world.calm();
            world
        },
    },
    Moment {
        name: "deposit proposed",
        reach: |role| unanswered(role, World::funds_request(Flow::Deposit, 5)),
    },
    Moment {
        name: "withdrawal signed",
        reach: |role| {
            let mut world = World::opened(Setup::default());
            world.ask(role, World::funds_request(Flow::Withdraw, 5));
            world.calm();
            world
        },
    },
    Moment {
        name: "deposit locked by one",
        reach: |role| {
            let mut world = World::opened(Setup::default());
            world.ask(role, World::funds_request(Flow::Deposit, 5));
            world.calm();
            world.held = Some(role.other());
            world.run_for(30_000);
            assert_eq!(world.round(role), 1);
            world
        },
    },
    Moment {
        name: "closing",
        reach: |role| {
            let mut world = World::opened(Setup::default());
            solo_well(&mut world, role, Flow::CloseSolo);
            world
        },
    },
    Moment {
        name: "close proposed",
        reach: |role| unanswered(role, Request::Shutdown(TxOptions::default())),
    },
    Moment {
        name: "close signed",
        reach: |role| {
            let mut world = World::opened(Setup::default());
            world.ask(role, Request::Shutdown(TxOptions::default()));
            world.calm();
            world
        },
    },
    Moment {
        name: "closed",
        reach: |role| {
            let depth = [Some(DepthRule::Plain(6)); 2];
            let mut world = World::opened(Setup { depth, ..Setup::default() });
            world.ask(role, Request::Shutdown(TxOptions::default()));
            world.run_for(15_000);
            assert!(world.model.closed().is_some() && !world.party(role).forgotten);
            world
        },
    },
    Moment {
        name: "leaving",
        reach: |role| {
            let mut world = World::opened(Setup::default());
            world.held = Some(role.other());
            world.ask(role, Request::Leave);
            world
        },
    },
    Moment {
        name: "returned",
        reach: |_| {
            let mut world = World::opened(Setup::default());
            world.ask(Role::Initiator, Request::Leave);
            world.calm();
            world.held = Some(Role::Responder);
            assert_eq!(world.come_back(Role::Initiator), Ok(()));
            world.run_for(100);
            world
        },
    },
];

#[test]
fn no_message_harms_at_any_moment() {
    let recording = recording();
    let mut sent = 0;
    for moment in &MOMENTS {
        for role in BOTH {
            let world = (moment.reach)(role);
            for (from, message) in &recording {
                let _case = Case(format!("{} by the {role}: {message:?} from the {from}", moment.name));
                let mut world = world.clone();
                world.party_mut(*from).signer.enforcing = false;
                // Keys and ids are the same in every world: what was signed once is valid here too.
                let before = world.model.round();
                world.inject(*from, message);
                world.run_for(30_000);
                let after = world.model.round();
                sent += 1;
                match world.try_recover() {
                    Some(Ending::Agreed { .. }) => {
                        world.party_mut(*from).signer.all_refused();
                        world.transfer_well(Role::Initiator, 3);
                    }
                    Some(_) => {}
                    // Whoever sends a proposal without remembering it may never learn that it was completed.
                    None => assert!(after > before, "no end: {}", world.describe()),
                }
            }
        }
    }
    println!("{sent} messages at the wrong moment");
}

/// The messages that carry a transaction, each with this one in it.
fn carriers(world: &World, tx: &SignedTx) -> Vec<Message> {
    let channel = world.party(Role::Initiator).channel();
    let (channel_id, temporary_id) = (channel.id().unwrap_or(ChannelId::ZERO), channel.temporary_id());
    let block_hash = world.key_block(world.height());
    let chain_hash = KeyBlockHash(*world.key_block(0).as_bytes());
    let tx = tx.encode();
    let updates = Vec::new();
    vec![
        Message::ChannelReestablish { chain_hash, channel_id, tx: tx.clone() },
        Message::ChannelReestAck { chain_hash, channel_id, tx: tx.clone() },
        Message::FundingCreated { temporary_id, block_hash, tx: tx.clone(), updates: updates.clone() },
        Message::FundingSigned { temporary_id, block_hash, tx: tx.clone() },
        Message::Update { channel_id, block_hash, tx: tx.clone(), updates: updates.clone() },
        Message::UpdateAck { channel_id, tx: tx.clone() },
        Message::DepositCreated { channel_id, block_hash, tx: tx.clone(), updates: updates.clone() },
        Message::DepositSigned { channel_id, block_hash, tx: tx.clone() },
        Message::WithdrawCreated { channel_id, block_hash, tx: tx.clone(), updates },
        Message::WithdrawSigned { channel_id, block_hash, tx: tx.clone() },
        Message::Shutdown { channel_id, block_hash, tx: tx.clone() },
        Message::ShutdownAck { channel_id, block_hash, tx },
    ]
}

#[test]
fn a_fully_signed_transaction_counts_only_where_it_belongs() {
    for moment in &MOMENTS {
        for victim in BOTH {
            let world = (moment.reach)(victim);
            let liar = victim.other();
            // Whatever the victim signed and sent, the liar completes, and sends in every message, also twice.
            let signed: Vec<SignedTx> = world
                .wire
                .iter()
                .filter(|sent| sent.from == victim)
                .filter_map(|sent| SignedTx::decode(sent.message.tx()?).ok())
                .map(|tx| world.party(liar).signer.add_to(&tx))
                .collect();
            for tx in &signed {
                for message in carriers(&world, tx) {
                    let _case = Case(format!("{} by the {victim}: {message:?}", moment.name));
                    let mut world = world.clone();
                    world.party_mut(liar).signer.enforcing = false;
                    world.inject(liar, &message);
                    world.inject(liar, &message);
                    world.run_for(30_000);
                    for (_, tx, _) in &world.submitted {
                        assert!(tx.kind() != TxKind::ChannelOffchain, "handed to the chain: {tx:?}");
                    }
                    let told = world.party(victim).client.told();
                    for once in [
                        "funding_signed",
                        "on_chain_tx(close_mutual)",
                        "closing",
                        "own_funding_locked",
                        "own_deposit_locked",
                    ] {
                        let times = told.iter().filter(|told| *told == once).count();
                        assert!(times <= 1, "{once} is told {times} times: {told:?}");
                    }
                    world.try_recover();
                }
            }
        }
    }
}

#[test]
fn a_stranger_at_the_door_disturbs_nobody() {
    let mut world = World::opened(Setup::default());
    world.transfer_well(Role::Initiator, 1);
    world.transfer_well(Role::Responder, 1);
    let id = world.party(Role::Responder).channel().id().unwrap();
    let chain_hash = KeyBlockHash(*world.key_block(0).as_bytes());
    let create = world.create_tx();
    let agreed = world.party(Role::Responder).channel().agreed_tx().unwrap().clone();
    let unsigned = SignedTx::unsigned(agreed.tx().clone());
    let half = world.party(Role::Initiator).signer.add_to(&unsigned);
    let knock =
        |channel_id, tx: &SignedTx| Message::ChannelReestablish { chain_hash, channel_id, tx: tx.encode() };
    let terms = world.party(Role::Responder).terms.clone();
    let knocks = [
        knock(id, &unsigned),
        knock(id, &half),
        // The create transaction is on chain for everybody to see.
        knock(id, &create),
        knock(ChannelId([7; 32]), &agreed),
        Message::ChannelReestablish {
            chain_hash: KeyBlockHash([7; 32]),
            channel_id: id,
            tx: agreed.encode(),
        },
        Message::ChannelReestablish { chain_hash, channel_id: id, tx: Vec::new() },
        Message::ChannelOpen {
            chain_hash,
            temporary_id: [5; 32],
            lock_period: 10,
            push_amount: 0,
            initiator_amount: terms.initiator_amount.0 as u64,
            responder_amount: terms.responder_amount.0 as u64,
            channel_reserve: terms.channel_reserve.0 as u64,
            initiator: terms.initiator.unwrap(),
            responder: terms.responder,
        },
        Message::Leave { channel_id: id },
        Message::InbandMsg { channel_id: id.0, from: AccountId([9; 32]), to: terms.responder, info: vec![1] },
        Message::Error { channel_id: id.0, reason: b"no".to_vec() },
    ];
    for message in &knocks {
        let _case = Case(format!("{message:?}"));
        // While the peer is there, and while it is away.
        let mut busy = world.clone();
        busy.knock(message);
        busy.run_for(1_000);
        assert!(busy.both(|party| party.channel().has_peer()), "{}", busy.describe());
        busy.transfer_well(Role::Initiator, 1);

        let mut away = world.clone();
        away.ask(Role::Initiator, Request::Leave);
        away.calm();
        let sent = away.wire.len();
        away.knock(message);
        away.run_for(1_000);
        assert_eq!(away.wire.len(), sent, "a stranger is answered: {:?}", away.wire.last());
        assert_eq!(away.recover(), Ending::Agreed { returns: [1, 0] });
        away.transfer_well(Role::Responder, 1);
    }
}

#[test]
fn noise_ends_the_session_and_nothing_else() {
    for from in BOTH {
        for noise in [vec![], vec![0], vec![8], vec![255; 300], vec![2; 157], vec![1; 163]] {
            let mut world = World::opened(Setup::default());
            world.transfer_well(from, 1);
            world.inject_bytes(from, noise);
            world.calm();
            assert!(matches!(world.recover(), Ending::Agreed { .. }));
            world.transfer_well(from, 1);
        }
    }
}
