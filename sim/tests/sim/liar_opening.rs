//! A peer that lies while the channel opens.

use strait_channel::message::DepthStrategy;
use strait_channel::{Message, Role};
use strait_encoding::{AccountId, BlockHash, ChannelId, Coins, KeyBlockHash, Nonce, StateHash, TxHash};
use strait_ledger::{CreateTx, Delegates};
use strait_sim::{Setup, World};

use crate::lies::{NOBODY, broken_bytes, forged, last, set_create, signing_requests, tell_lie, with_liar};
use crate::support::{BOTH, Case};

#[test]
fn a_lying_initiator_opens_nothing() {
    let mut world = World::new(Setup::default());
    world.open(Role::Responder);
    world.open(Role::Initiator);
    world.held = Some(Role::Initiator);
    world.run_for(100);
    world.party_mut(Role::Initiator).signer.enforcing = false;
    let honest = last(&world, Role::Initiator, "ChannelOpen");
    let change = |change: fn(&mut Offer)| {
        let mut offer = Offer::of(&honest);
        change(&mut offer);
        offer.message()
    };
    let offers = [
        ("another chain", change(|offer| offer.chain_hash = KeyBlockHash([7; 32]))),
        ("another lock period", change(|offer| offer.lock_period += 1)),
        ("another push", change(|offer| offer.amounts[0] += 1)),
        ("another amount of the initiator", change(|offer| offer.amounts[1] -= 1)),
        ("another amount of the responder", change(|offer| offer.amounts[2] += 1)),
        ("another reserve", change(|offer| offer.amounts[3] = 0)),
        ("another initiator", change(|offer| offer.parties[0] = NOBODY)),
        ("another responder", change(|offer| offer.parties[1] = NOBODY)),
    ];
    for (name, lie) in &offers {
        let _case = Case((*name).to_owned());
        let mut world = world.clone();
        world.inject(Role::Initiator, lie);
        world.run_for(100);
        let answered = world.wire.iter().any(|sent| sent.message.name() == "ChannelAccept");
        assert!(!answered, "{}", world.describe());
    }
    world.inject(Role::Initiator, &honest);
    world.run_for(100);
    last(&world, Role::Responder, "ChannelAccept");
}

/// The fields of `channel_open` that can be lied about.
struct Offer {
    chain_hash: KeyBlockHash,
    temporary_id: [u8; 32],
    lock_period: u16,
    /// Push, initiator's, responder's, reserve.
    amounts: [u64; 4],
    parties: [AccountId; 2],
}

impl Offer {
    fn of(message: &Message) -> Self {
        let Message::ChannelOpen {
            chain_hash,
            temporary_id,
            lock_period,
            push_amount,
            initiator_amount,
            responder_amount,
            channel_reserve,
            initiator,
            responder,
        } = message.clone()
        else {
            panic!("not an offer");
        };
        let amounts = [push_amount, initiator_amount, responder_amount, channel_reserve];
        Self { chain_hash, temporary_id, lock_period, amounts, parties: [initiator, responder] }
    }

    fn message(self) -> Message {
        let [push_amount, initiator_amount, responder_amount, channel_reserve] = self.amounts;
        let [initiator, responder] = self.parties;
        Message::ChannelOpen {
            chain_hash: self.chain_hash,
            temporary_id: self.temporary_id,
            lock_period: self.lock_period,
            push_amount,
            initiator_amount,
            responder_amount,
            channel_reserve,
            initiator,
            responder,
        }
    }
}

#[test]
fn a_lying_responder_is_not_believed() {
    let mut world = World::new(Setup::default());
    world.open(Role::Responder);
    world.open(Role::Initiator);
    world.held = Some(Role::Responder);
    world.run_for(100);
    let honest = last(&world, Role::Responder, "ChannelAccept");
    let Message::ChannelAccept { chain_hash, temporary_id, initiator, responder, .. } = honest else {
        panic!()
    };
    let accept = |chain_hash, temporary_id, minimum_depth, strategy| Message::ChannelAccept {
        chain_hash,
        temporary_id,
        minimum_depth,
        strategy: DepthStrategy(strategy),
        initiator_amount: 1,
        responder_amount: 2,
        channel_reserve: 3,
        initiator,
        responder,
    };
    tell_lie(&world, Role::Responder, "another chain", &accept(KeyBlockHash([7; 32]), temporary_id, 1, 1));
    tell_lie(&world, Role::Responder, "another offer", &accept(chain_hash, [7; 32], 1, 1));
    // The amounts in it mean nothing: each side builds the state from its own terms (`docs/protocol/p2p_wire` §2).
    world.inject(Role::Responder, &accept(chain_hash, temporary_id, u32::MAX, 200));
    world.run_for(5);
    world.run_for(100);
    assert_eq!(signing_requests(&world, Role::Initiator), 1);
}

#[test]
fn a_lying_create_transaction_is_refused() {
    let mut world = World::new(Setup::default());
    world.open(Role::Responder);
    world.open(Role::Initiator);
    assert!(world.run_until(1_000, |world| !world.wire.is_empty()
        && world.wire.iter().any(|sent| sent.message.name() == "ChannelAccept")));
    let mut world = with_liar(world, Role::Initiator);
    world.run_for(100);
    let honest = last(&world, Role::Initiator, "FundingCreated");
    let me = world.party(Role::Initiator).signer.clone();
    let create = |change: fn(&mut CreateTx)| forged(&honest, &me, set_create(change));
    let mut all = broken_bytes(&honest, &me);
    all.pop();
    let Message::FundingCreated { temporary_id, block_hash, tx, .. } = honest.clone() else { panic!() };
    let funding = |temporary_id, block_hash| Message::FundingCreated {
        temporary_id,
        block_hash,
        tx: tx.clone(),
        updates: Vec::new(),
    };
    let simple = [
        ("another offer", funding([7; 32], block_hash)),
        ("an unknown block", funding(temporary_id, BlockHash::new([7; 32]))),
        ("less from the initiator", create(|tx| tx.initiator_amount.0 -= 1)),
        ("more from the responder", create(|tx| tx.responder_amount.0 += 1)),
        ("no reserve", create(|tx| tx.channel_reserve = Coins::ZERO)),
        ("a longer lock", create(|tx| tx.lock_period = 1_000_000)),
        ("another initiator", create(|tx| tx.initiator_id = NOBODY)),
        ("another responder", create(|tx| tx.responder_id = NOBODY)),
        ("the two changed about", {
            create(|tx| std::mem::swap(&mut tx.initiator_id, &mut tx.responder_id))
        }),
        ("another state", create(|tx| tx.state_hash = StateHash([7; 32]))),
        (
            "a delegate of the initiator",
            create(|tx| tx.delegate_ids = Delegates::Each { initiator: vec![NOBODY], responder: Vec::new() }),
        ),
        (
            "a delegate of the responder",
            create(|tx| tx.delegate_ids = Delegates::Each { initiator: Vec::new(), responder: vec![NOBODY] }),
        ),
        ("shared delegates", create(|tx| tx.delegate_ids = Delegates::Shared(vec![NOBODY]))),
        ("an old version", create(|tx| tx.delegate_ids = Delegates::Shared(Vec::new()))),
    ];
    all.extend(simple.map(|(name, lie)| (name.to_owned(), lie)));
    for (name, lie) in &all {
        tell_lie(&world, Role::Initiator, name, lie);
    }
    world.inject(Role::Initiator, &honest);
    world.run_for(100);
    assert_eq!(signing_requests(&world, Role::Responder), 1);
}

#[test]
fn a_lying_signature_under_the_create_transaction_is_refused() {
    let mut world = World::new(Setup::default());
    world.open(Role::Responder);
    world.open(Role::Initiator);
    assert!(
        world.run_until(1_000, |world| world.wire.iter().any(|sent| sent.message.name() == "FundingCreated"))
    );
    let mut world = with_liar(world, Role::Responder);
    world.run_for(100);
    let honest = last(&world, Role::Responder, "FundingSigned");
    let me = world.party(Role::Responder).signer.clone();
    let Message::FundingSigned { block_hash, tx, .. } = honest.clone() else { panic!() };
    let mut all = broken_bytes(&honest, &me);
    let create = |change: fn(&mut CreateTx)| forged(&honest, &me, set_create(change));
    let simple = [
        ("another offer", Message::FundingSigned { temporary_id: [7; 32], block_hash, tx }),
        ("other amounts", create(|tx| tx.initiator_amount.0 += 1)),
        ("another nonce", create(|tx| tx.nonce = Nonce(77))),
    ];
    all.extend(simple.map(|(name, lie)| (name.to_owned(), lie)));
    for (name, lie) in &all {
        tell_lie(&world, Role::Responder, name, lie);
    }
    world.inject(Role::Responder, &honest);
    world.run_for(60_000);
    assert_eq!(world.submitted.len(), 1);
}

#[test]
fn a_lie_about_where_a_transaction_is_locked_opens_nothing() {
    let mut world = World::new(Setup::default());
    world.open(Role::Responder);
    world.open(Role::Initiator);
    assert!(world.run_until(1_000, |world| !world.submitted.is_empty()));
    world.calm();
    let id = world.party(Role::Initiator).channel().id().unwrap();
    for liar in BOTH {
        let mut world = with_liar(world.clone(), liar);
        let temporary_id = world.party(liar).channel().temporary_id();
        let lies = [
            Message::FundingLocked { temporary_id, channel_id: ChannelId([7; 32]) },
            Message::FundingLocked { temporary_id: [7; 32], channel_id: id },
            Message::DepositLocked { channel_id: id, tx_hash: TxHash([7; 32]) },
            Message::WithdrawLocked { channel_id: id, tx_hash: TxHash([7; 32]) },
        ];
        for lie in &lies {
            tell_lie(&world, liar, "a lock", lie);
        }
        // Too early is not a lie: the channel opens when the own confirmations are reached.
        world.inject(liar, &Message::FundingLocked { temporary_id, channel_id: id });
        world.run_for(100);
        assert_eq!(world.round(liar.other()), 0);
        assert!(world.run_until(60_000, |world| world.round(liar.other()) == 1), "{}", world.describe());
    }
}
