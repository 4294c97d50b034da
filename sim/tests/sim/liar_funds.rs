//! A peer that lies in every field of a deposit or a withdrawal: nobody signs a lie, and the agreed state stays.

use strait_channel::{Flow, Message, Role};
use strait_encoding::{BlockHash, ChannelId, Coins, Height, Round, StateHash, TxHash};
use strait_ledger::{
    DepositTx, OffchainEnv, OffchainTx, Protocol, Tx, Update, WithdrawTx, apply_updates, initial_trees,
};
use strait_sim::{Ending, Setup, World};

use crate::lies::{
    FundsFields, NOBODY, broken_bytes, carried, forged, last, make_up, set_funds, tell_lie, with_liar,
    with_tx,
};
use crate::support::{BOTH, FUNDS, clear, conflicts, id_of, told};

const AMOUNT: u128 = 5;

/// A world in round 2 at a height at which blocks can be too old.
fn in_round_two() -> World {
    let mut world = World::opened(Setup::default());
    world.transfer_well(Role::Initiator, 10);
    world.run_for(150_000);
    assert!(world.height() > 12);
    world
}

/// The state after these updates, whatever they are.
fn state_after(world: &World, updates: &[Update]) -> StateHash {
    let [initiator, responder] = BOTH.map(|role| world.party(role).signer.account());
    let [ours, theirs] = world.model.balances();
    let trees = initial_trees(initiator, responder, Coins(ours), Coins(theirs));
    let env = OffchainEnv { reserve: Coins::ZERO, round: Round(3), protocol: Protocol::default() };
    apply_updates(&trees, updates, &env).map_or(trees.state_hash(), |trees| trees.state_hash())
}

/// The same message with other updates.
fn with_updates(message: &Message, updates: &[Update]) -> Message {
    let mut message = message.clone();
    let (Message::DepositCreated { updates: all, .. } | Message::WithdrawCreated { updates: all, .. }) =
        &mut message
    else {
        panic!("{message:?} moves no coins");
    };
    *all = updates.iter().map(Update::encode).collect();
    message
}

fn moves(flow: Flow, party: strait_encoding::AccountId, amount: u128) -> Update {
    let amount = Coins(amount);
    match flow {
        Flow::Deposit => Update::Deposit { from: party, amount },
        _ => Update::Withdraw { to: party, amount },
    }
}

/// What an update may not say beside its transaction, even when the state hash fits.
fn lying_updates(world: &World, flow: Flow, liar: Role, honest: &Message) -> Vec<(String, Message)> {
    let signer = &world.party(liar).signer;
    let (me, you) = (signer.account(), world.party(liar.other()).signer.account());
    let other = if flow == Flow::Deposit { Flow::Withdraw } else { Flow::Deposit };
    let transfer = |from, to| Update::Transfer { from, to, amount: Coins(1) };
    let fine = moves(flow, me, AMOUNT);
    let all = [
        ("more than the transaction", vec![moves(flow, me, AMOUNT + 1)]),
        ("less than the transaction", vec![moves(flow, me, AMOUNT - 1)]),
        ("nothing", vec![moves(flow, me, 0)]),
        ("for the victim", vec![moves(flow, you, AMOUNT)]),
        ("for a stranger", vec![moves(flow, NOBODY, AMOUNT)]),
        ("the other way", vec![moves(other, me, AMOUNT)]),
        ("twice", vec![fine.clone(), fine.clone()]),
        ("once more, the other way", vec![fine.clone(), moves(other, me, AMOUNT)]),
        ("once more, for the victim", vec![fine.clone(), moves(flow, you, 1)]),
        ("a transfer behind it", vec![fine.clone(), transfer(you, me)]),
        ("a transfer before it", vec![transfer(you, me), fine.clone()]),
        ("a transfer instead", vec![transfer(me, you)]),
        ("text before it", vec![Update::Meta { data: vec![1] }, fine.clone()]),
        ("text alone", vec![Update::Meta { data: vec![1] }]),
        ("no update", vec![]),
    ];
    let lies = all.into_iter().map(|(name, updates)| {
        let hash = state_after(world, &updates);
        let message = forged(honest, signer, set_funds(|tx| *tx.state_hash = hash));
        (format!("an update of {name}"), with_updates(&message, &updates))
    });
    lies.collect()
}

/// A transaction and its update that fit each other, and may not be signed.
fn fitting_lies(world: &World, flow: Flow, liar: Role, honest: &Message) -> Vec<(String, Message)> {
    let signer = &world.party(liar).signer;
    let (me, you) = (signer.account(), world.party(liar.other()).signer.account());
    let [initiator, responder] = world.model.balances();
    let mine = if liar == Role::Initiator { initiator } else { responder };
    let mut all =
        vec![("nothing", me, 0), ("for the victim", you, AMOUNT), ("for a stranger", NOBODY, AMOUNT)];
    if flow == Flow::Withdraw {
        all.extend([
            ("all", me, mine),
            ("one coin more than the reserve allows", me, mine - 999),
            ("more than there is", me, mine + 1),
            ("of all that the victim has", you, initiator + responder - mine),
        ]);
    } else {
        all.push(("more than an amount can be", me, u128::MAX));
    }
    let lies = all.into_iter().map(|(name, party, amount)| {
        let updates = [moves(flow, party, amount)];
        let hash = state_after(world, &updates);
        let change = |tx: FundsFields<'_>| {
            (*tx.party, *tx.amount, *tx.state_hash) = (party, Coins(amount), hash);
        };
        (name.to_owned(), with_updates(&forged(honest, signer, set_funds(change)), &updates))
    });
    lies.collect()
}

/// The transaction of the other kind, or none on chain at all, with the same numbers.
fn other_kinds(tx: &Tx) -> Vec<(String, Tx)> {
    let (deposit, withdraw) = match tx.clone() {
        Tx::ChannelDeposit(DepositTx { channel_id, from_id, amount, ttl, fee, state_hash, round, nonce }) => {
            (
                None,
                Some(WithdrawTx { channel_id, to_id: from_id, amount, ttl, fee, state_hash, round, nonce }),
            )
        }
        Tx::ChannelWithdraw(WithdrawTx { channel_id, to_id, amount, ttl, fee, state_hash, round, nonce }) => {
            (Some(DepositTx { channel_id, from_id: to_id, amount, ttl, fee, state_hash, round, nonce }), None)
        }
        other => panic!("{other:?} moves no coins"),
    };
    let (Some((round, state_hash)), Some(channel_id)) = (tx.agreed_state(), tx.channel_id()) else {
        panic!("{tx:?} fixes no state");
    };
    let offchain = OffchainTx { channel_id, round, state_hash };
    let mut all = vec![("an off-chain transaction".to_owned(), offchain.into())];
    all.extend(deposit.map(|tx| ("a deposit instead".to_owned(), tx.into())));
    all.extend(withdraw.map(|tx| ("a withdrawal instead".to_owned(), tx.into())));
    all
}

#[test]
fn a_lying_proposer_of_funds_is_refused() {
    let begin = in_round_two();
    let mut told_lies = 0;
    for flow in FUNDS {
        for liar in BOTH {
            let mut world = with_liar(begin.clone(), liar);
            world.ask(liar, World::funds_request(flow, AMOUNT));
            world.run_for(100);
            let name = if flow == Flow::Deposit { "DepositCreated" } else { "WithdrawCreated" };
            let honest = last(&world, liar, name);
            let me = world.party(liar).signer.clone();
            let mut lies = broken_bytes(&honest, &me);
            // Its own signature alone is what an honest message has.
            lies.pop();
            lies.extend(lying_updates(&world, flow, liar, &honest));
            lies.extend(fitting_lies(&world, flow, liar, &honest));
            for (name, kind) in other_kinds(carried(&honest).tx()) {
                lies.push((name, forged(&honest, &me, |tx| *tx = kind)));
            }
            let field = |change: fn(FundsFields<'_>)| forged(&honest, &me, set_funds(change));
            let simple = [
                ("another channel inside", field(|tx| *tx.channel_id = ChannelId([7; 32]))),
                ("another state", field(|tx| *tx.state_hash = StateHash([7; 32]))),
                ("another amount", field(|tx| tx.amount.0 += 1)),
                ("another party", field(|tx| *tx.party = NOBODY)),
                ("round 0", field(|tx| *tx.round = Round(0))),
                ("the agreed round", field(|tx| *tx.round = Round(2))),
                ("a round left out", field(|tx| *tx.round = Round(4))),
                // What the chain does not take today it could take when that hurts.
                ("a nonce that is used", field(|tx| tx.nonce.0 -= 1)),
                ("a nonce out of reach", field(|tx| tx.nonce.0 += 6)),
                ("a time that is over", field(|tx| *tx.ttl = Height(2))),
                ("a fee for no miner", field(|tx| tx.fee.0 /= 100)),
                ("the create transaction", with_tx(&honest, world.create_tx().encode())),
                ("another channel", renamed(&honest, ChannelId([7; 32]), None)),
                ("an unknown block", renamed(&honest, id_of(&world), Some(BlockHash::new([7; 32])))),
                ("an old block", renamed(&honest, id_of(&world), Some(world.key_block(1)))),
            ];
            lies.extend(simple.map(|(name, lie)| (name.to_owned(), lie)));
            for (name, lie) in &lies {
                let name = format!("{flow:?}: {name}");
                tell_lie(&world, liar, &name, lie);
                make_up(&world, liar, lie);
                told_lies += 1;
            }
            world.inject(liar, &honest);
            world.run_for(100);
            let asked = told(&world, liar.other()).iter().any(|told| told.starts_with("sign."));
            assert!(asked, "the honest one is taken: {}", world.describe());
        }
    }
    println!("{told_lies} lies");
    assert!(told_lies > 140);
}

/// The same proposal for another channel, or pinned to another block.
fn renamed(message: &Message, id: ChannelId, pin: Option<BlockHash>) -> Message {
    let mut message = message.clone();
    let (Message::DepositCreated { channel_id, block_hash, .. }
    | Message::WithdrawCreated { channel_id, block_hash, .. }) = &mut message
    else {
        panic!("{message:?} moves no coins");
    };
    *channel_id = id;
    *block_hash = pin.unwrap_or(*block_hash);
    message
}

#[test]
fn a_lying_acceptor_of_funds_is_refused() {
    let begin = in_round_two();
    for flow in FUNDS {
        for liar in BOTH {
            let victim = liar.other();
            let mut world = with_liar(begin.clone(), liar);
            world.ask(victim, World::funds_request(flow, AMOUNT));
            world.run_for(100);
            let name = if flow == Flow::Deposit { "DepositSigned" } else { "WithdrawSigned" };
            let honest = last(&world, liar, name);
            let me = world.party(liar).signer.clone();
            let mut lies = broken_bytes(&honest, &me);
            let field = |change: fn(FundsFields<'_>)| forged(&honest, &me, set_funds(change));
            let agreed = world.party(victim).channel().agreed_tx().unwrap().encode();
            let (Message::DepositSigned { block_hash, tx, .. }
            | Message::WithdrawSigned { block_hash, tx, .. }) = honest.clone()
            else {
                panic!()
            };
            let channel_id = ChannelId([7; 32]);
            let elsewhere = match flow {
                Flow::Deposit => Message::DepositSigned { channel_id, block_hash, tx },
                _ => Message::WithdrawSigned { channel_id, block_hash, tx },
            };
            let simple = [
                ("another channel", elsewhere),
                ("another amount", field(|tx| tx.amount.0 += 1)),
                ("another state", field(|tx| *tx.state_hash = StateHash([7; 32]))),
                ("another round", field(|tx| *tx.round = Round(4))),
                ("another nonce", field(|tx| tx.nonce.0 += 1)),
                ("another fee", field(|tx| tx.fee.0 += 1)),
                ("the agreed round", with_tx(&honest, agreed)),
                ("the create transaction", with_tx(&honest, world.create_tx().encode())),
            ];
            lies.extend(simple.map(|(name, lie)| (name.to_owned(), lie)));
            for (name, kind) in other_kinds(carried(&honest).tx()) {
                lies.push((name, forged(&honest, &me, |tx| *tx = kind)));
            }
            for (name, lie) in &lies {
                tell_lie(&world, liar, &format!("{flow:?}: {name}"), lie);
                make_up(&world, liar, lie);
            }
            world.held = None;
            world.inject(liar, &honest);
            assert!(world.run_until(100_000, |world| world.round(victim) == 3), "{}", world.describe());
        }
    }
}

#[test]
fn a_lie_about_what_is_locked_is_not_believed() {
    for flow in FUNDS {
        for liar in BOTH {
            let victim = liar.other();
            let mut world = in_round_two();
            world.ask(victim, World::funds_request(flow, AMOUNT));
            world.run_for(100);
            let id = id_of(&world);
            let tx_hash = world.submitted.last().map(|(_, tx, _)| tx.hash()).unwrap();
            let lock = |channel_id, tx_hash| match flow {
                Flow::Deposit => Message::DepositLocked { channel_id, tx_hash },
                _ => Message::WithdrawLocked { channel_id, tx_hash },
            };
            for lie in [lock(id, TxHash([7; 32])), lock(ChannelId([7; 32]), tx_hash)] {
                let mut world = world.clone();
                world.inject(liar, &lie);
                world.run_for(100);
                assert_eq!(world.round(victim), 2);
                assert!(!world.party(victim).client.told().iter().any(|told| told.contains("lock")));
                assert!(matches!(world.recover(), Ending::Agreed { .. }));
                assert_eq!(BOTH.map(|role| world.round(role)), [3, 3]);
            }
            // Too early, it is remembered, and the own confirmations are waited for.
            world.mining = false;
            world.inject(liar, &lock(id, tx_hash));
            world.run_for(100_000);
            assert_eq!(world.round(victim), 2, "{}", world.describe());
            world.mining = true;
            assert!(world.run_until(60_000, |world| world.both(|party| party.round() == 3)));
        }
    }
}

#[test]
fn a_lie_about_what_the_chain_refused_is_not_believed() {
    for flow in FUNDS {
        for liar in BOTH {
            let mut world = in_round_two();
            clear(&mut world);
            world.ask(liar, World::funds_request(flow, AMOUNT));
            world.run_for(100);
            let channel_id = id_of(&world);
            let (round, error_code) = (2, 5);
            let lie = match flow {
                Flow::Deposit => Message::DepositError { channel_id, round, error_code },
                _ => Message::WithdrawError { channel_id, round, error_code },
            };
            world.inject(liar, &lie);
            assert!(
                world.run_until(60_000, |world| world.both(|party| party.round() == 3)),
                "{}",
                world.describe()
            );
            assert!(BOTH.into_iter().all(|role| conflicts(&world, role).is_empty()), "{}", world.describe());
        }
    }
}
