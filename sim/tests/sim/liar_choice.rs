//! What a peer can do with the signatures that it has: complete what it refused, hold back what both signed, show it late, post
//! it when it hurts (`docs/decisions/0001`, rule 3; `docs/decisions/0002`).

use strait_channel::{Flow, Message, Place, Request, Role, TxOptions};
use strait_encoding::{Coins, KeyBlockHash, Nonce};
use strait_ledger::{ChainView, SignedTx, Tx, TxLocation};
use strait_sim::{Ending, Reply, Setup, World};

use crate::lies::{carried, with_liar};
use crate::support::{BOTH, Case, FUNDS, conflicts, id_of, told};

const PROPOSALS: [Flow; 4] = [Flow::Update, Flow::Deposit, Flow::Withdraw, Flow::Shutdown];

fn request(flow: Flow, role: Role, amount: u128) -> Request {
    match flow {
        Flow::Update => World::transfer_request(role, amount),
        Flow::Shutdown => Request::Shutdown(TxOptions::default()),
        _ => World::funds_request(flow, amount),
    }
}

/// A proposal of the victim that the liar refuses. Gives it with the signatures of both.
pub fn refused_proposal(world: &mut World, victim: Role, flow: Flow, amount: u128) -> SignedTx {
    let liar = victim.other();
    let before = world.wire.len();
    let ticket = world.ask(victim, request(flow, victim, amount));
    world.run_for(100);
    assert!(world.took(victim, ticket), "{}", world.describe());
    let proposal =
        world.wire[before..].iter().find(|sent| sent.from == victim && sent.message.tx().is_some());
    let Some(proposal) = proposal.map(|sent| carried(&sent.message)) else {
        panic!("nothing is proposed: {}", world.describe());
    };
    let (channel_id, round, error_code) = (id_of(world), 2, 77);
    let refusal = match flow {
        Flow::Deposit => Message::DepositError { channel_id, round, error_code },
        Flow::Withdraw => Message::WithdrawError { channel_id, round, error_code },
        Flow::Shutdown => Message::ShutdownError { channel_id, round, error_code },
        _ => Message::UpdateError { channel_id, round, error_code },
    };
    world.inject(liar, &refusal);
    world.party_mut(victim).signer.refused(&proposal);
    world.run_for(100);
    assert_eq!(told(world, victim).last().map(String::as_str), Some("conflict(77)"));
    assert_eq!(world.party(victim).channel().doing(), "idle");
    world.party(liar).signer.add_to(&proposal)
}

pub fn acceptance(world: &World, flow: Flow, tx: &SignedTx) -> Message {
    let channel_id = id_of(world);
    let (block_hash, tx) = (world.key_block(world.height()), tx.encode());
    match flow {
        Flow::Deposit => Message::DepositSigned { channel_id, block_hash, tx },
        Flow::Withdraw => Message::WithdrawSigned { channel_id, block_hash, tx },
        Flow::Shutdown => Message::ShutdownAck { channel_id, block_hash, tx },
        _ => Message::UpdateAck { channel_id, tx },
    }
}

/// Round 2, and a liar whose program does nothing of itself.
fn with_dumb_liar(liar: Role) -> World {
    let mut world = World::opened(Setup::default());
    world.transfer_well(Role::Initiator, 1_000);
    world.party_mut(liar).client.habit = Reply::Nothing;
    with_liar(world, liar)
}

/// The liar comes with this for its latest state, after the session was lost.
fn return_with(world: &mut World, liar: Role, tx: &SignedTx) {
    world.cut_line();
    world.run_for(1_000);
    for role in BOTH {
        if !world.party(role).is_alive() {
            let back = world.come_back(role);
            assert!(back.is_ok(), "{back:?}: {}", world.describe());
        }
    }
    world.run_for(100);
    let channel_id = id_of(world);
    let chain_hash = KeyBlockHash(*world.key_block(0).as_bytes());
    let tx = tx.encode();
    match liar {
        Role::Initiator => world.knock(&Message::ChannelReestablish { chain_hash, channel_id, tx }),
        Role::Responder => world.inject(liar, &Message::ChannelReestAck { chain_hash, channel_id, tx }),
    }
    world.run_for(100);
}

/// How the liar brings up what it completed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Message,
    Return,
    Chain,
}

#[test]
fn of_two_refused_proposals_the_peer_can_complete_either() {
    let mut stories = 0;
    for liar in BOTH {
        let victim = liar.other();
        for first in PROPOSALS {
            for second in PROPOSALS {
                let mut world = with_dumb_liar(liar);
                let one = refused_proposal(&mut world, victim, first, 3);
                let two = refused_proposal(&mut world, victim, second, 4);
                for (flow, tx) in [(first, &one), (second, &two)] {
                    for way in [Way::Message, Way::Return, Way::Chain] {
                        // No state is shown by a mutual close, and nothing of an update comes to the chain.
                        let possible = match flow {
                            Flow::Update => way != Way::Chain,
                            Flow::Shutdown => way != Way::Return,
                            _ => true,
                        };
                        if possible {
                            let _case =
                                Case(format!("{first:?}, {second:?} of the {victim}; {flow:?} by {way:?}"));
                            complete(&world, liar, flow, tx, way);
                            stories += 1;
                        }
                    }
                }
            }
        }
    }
    println!("{stories} completions");
    assert!(stories > 100);
}

fn complete(world: &World, liar: Role, flow: Flow, tx: &SignedTx, way: Way) {
    let (mut world, victim) = (world.clone(), liar.other());
    match way {
        Way::Message => world.inject(liar, &acceptance(&world, flow, tx)),
        Way::Return => return_with(&mut world, liar, tx),
        Way::Chain => {
            world.hand_in(tx);
        }
    }
    world.run_for(60_000);
    if flow == Flow::Shutdown {
        assert!(world.model.closed().is_some_and(|closed| closed.same_tx(tx)), "{}", world.describe());
        assert!(world.party(victim).forgotten);
        return;
    }
    if flow != Flow::Update {
        // The liar says nothing more: what is on chain counts when both return.
        assert!(
            matches!(world.chain.locate_tx(&tx.hash()), TxLocation::InBlock { .. }),
            "{}",
            world.describe()
        );
        let doing = world.party(victim).channel().doing();
        assert!(doing == flow.row().name || world.round(victim) == 3, "{}", world.describe());
        if world.round(victim) == 2 {
            return_with(&mut world, liar, tx);
            world.run_for(60_000);
        }
    }
    let agreed = world.party(victim).channel().agreed_tx().cloned();
    assert!(agreed.is_some_and(|agreed| agreed.same_tx(tx)), "{}", world.describe());
}

/// Both signed a deposit or a withdrawal, and whoever should hand it in does not.
fn held_back(flow: Flow, proposer: Role, liar: Role) -> (World, SignedTx) {
    let mut world = World::opened(Setup::default());
    world.transfer_well(Role::Initiator, 1_000);
    let victim = liar.other();
    if proposer == victim {
        world = with_liar(world, liar);
        world.party_mut(liar).client.habit = Reply::Nothing;
        let signed = refused_proposal(&mut world, victim, flow, 5);
        return (world, signed);
    }
    // The liar's own chain is not the one that the others see.
    world.party_mut(liar).signer.enforcing = false;
    world.ask(liar, request(flow, liar, 5));
    world.run_for(8);
    world.refusing_chain = Some("pool_full");
    world.run_for(12);
    world.held = Some(liar);
    world.run_for(30);
    world.refusing_chain = None;
    let signed = world.wire.iter().rev().find(|sent| sent.from == victim && sent.message.tx().is_some());
    let signed = signed.map(|sent| carried(&sent.message)).filter(|tx| tx.signatures().len() == 2);
    let Some(signed) = signed else { panic!("the {victim} did not sign: {}", world.describe()) };
    (world, signed)
}

#[test]
fn whoever_returns_with_what_never_went_on_chain_has_it_go_there() {
    for flow in FUNDS {
        for liar in BOTH {
            for proposer in BOTH {
                let _case = Case(format!("{flow:?} of the {proposer}, the {liar} lies"));
                let (mut world, signed) = held_back(flow, proposer, liar);
                let victim = liar.other();
                assert_eq!(world.chain.locate_tx(&signed.hash()), TxLocation::Unknown);
                return_with(&mut world, liar, &signed);
                // It is not believed before the chain has it.
                assert_eq!(world.round(victim), 2, "{}", world.describe());
                world.run_for(60_000);
                assert!(matches!(world.chain.locate_tx(&signed.hash()), TxLocation::InBlock { .. }));
                assert_eq!(world.round(victim), 3, "{}", world.describe());
            }
        }
    }
}

#[test]
fn whoever_returns_with_what_can_never_go_on_chain_is_not_believed() {
    for flow in FUNDS {
        for liar in BOTH {
            for proposer in BOTH {
                let _case = Case(format!("{flow:?} of the {proposer}, the {liar} lies"));
                let (mut world, signed) = held_back(flow, proposer, liar);
                let victim = liar.other();
                // Its nonce is used by something else.
                world.spend(proposer, Coins(1));
                world.run_for(15_000);
                return_with(&mut world, liar, &signed);
                world.run_for(120_000);
                assert_eq!(world.round(victim), 2, "{}", world.describe());
                let channel = world.party(victim).channel();
                assert_ne!(channel.doing(), flow.row().name, "{}", world.describe());
                assert!(told(&world, victim).contains(&"conflict(5)".to_owned()), "{}", world.describe());
            }
        }
    }
}

/// What makes the chain refuse today what it takes tomorrow.
#[derive(Clone, Copy, Debug)]
enum Later {
    /// The nonce lies beyond what the pool waits for.
    Nonce,
    /// The fee is what the rules ask for, and less than this miner does.
    CheapMiner,
    /// Too much waits already.
    FullPool,
}

#[test]
fn what_the_chain_refuses_today_does_not_hurt_tomorrow() {
    use Later::{CheapMiner, FullPool, Nonce};
    for liar in BOTH {
        for flow in FUNDS {
            for later in [Nonce, CheapMiner, FullPool] {
                refused_then_taken(flow, liar, later);
            }
        }
        for later in [Nonce, CheapMiner] {
            refused_then_taken(Flow::Shutdown, liar, later);
        }
    }
}

#[test]
fn a_close_that_a_full_pool_refuses_does_not_hurt_tomorrow() {
    for liar in BOTH {
        refused_then_taken(Flow::Shutdown, liar, Later::FullPool);
    }
}

fn refused_then_taken(flow: Flow, liar: Role, later: Later) {
    let _case = Case(format!("{flow:?} of the {liar}, {later:?}"));
    let mut world = World::opened(Setup::default());
    world.party_mut(liar).signer.enforcing = false;
    let next = world.chain.next_nonce(world.party(liar).signer.account());
    let options = match later {
        Later::Nonce => TxOptions { nonce: Some(Nonce(next.0 + 5)), ..TxOptions::default() },
        Later::CheapMiner => TxOptions { gas_price: Some(Coins(2_000_000)), ..TxOptions::default() },
        Later::FullPool => TxOptions::default(),
    };
    world.refusing_chain = matches!(later, Later::FullPool).then_some("pool_full");
    let amount = Coins(1_000_000);
    let ask = match flow {
        Flow::Shutdown => Request::Shutdown(options),
        _ => Request::Funds { flow, amount, pin: None, options, meta: Vec::new() },
    };
    world.ask(liar, ask);
    world.run_for(60_000);
    // Whatever became of it, the liar pays, and then wants its coins back.
    match (world.recover(), later) {
        (Ending::Agreed { .. }, _) => {}
        // A full pool says nothing about the transaction: it was handed in again, and nothing was paid behind it.
        (Ending::Closed, Later::FullPool) => return,
        _ => panic!("{}", world.describe()),
    }
    world.transfer_well(liar, 5_000_000);
    let signed = world.wire.iter().find(|sent| {
        let both = sent.message.tx().and_then(|tx| SignedTx::decode(tx).ok());
        both.is_some_and(|tx| Flow::of_tx(tx.kind()) == Some(flow) && tx.signatures().len() == 2)
    });
    // Whoever does not sign cannot be hurt.
    if let Some(signed) = signed.map(|sent| carried(&sent.message)) {
        strike(&mut world, liar, &signed, later);
        end_alone(&mut world, liar.other());
    }
}

/// The liar has the chain take what it refused.
fn strike(world: &mut World, liar: Role, signed: &SignedTx, later: Later) {
    match later {
        Later::Nonce => {
            let account = world.party(liar).signer.account();
            let used = |world: &World| world.chain.account(account).map_or(Nonce(0), |account| account.nonce);
            while used(world).next() < signed.tx().nonce() {
                world.spend(liar, Coins(1));
                world.run_for(15_000);
            }
        }
        // Somebody else mines for less; to this chain such a block is as good as any other.
        Later::CheapMiner => world.lower_miner_price(),
        Later::FullPool => {}
    }
    world.hand_in(signed);
    world.run_for(30_000);
}

/// The victim closes alone, if that is still possible, and gets what it is owed.
pub fn end_alone(world: &mut World, victim: Role) {
    for _ in 0..30 {
        if world.model.closed().is_some() {
            return;
        }
        if world.party(victim).is_alive() {
            let open = world.party(victim).channel().place() == Place::Open;
            world.ask(victim, World::solo_request(if open { Flow::CloseSolo } else { Flow::Settle }));
        }
        world.run_for(30_000);
    }
    panic!("the {victim} never gets its coins: {} {:?}", world.describe(), conflicts(world, victim));
}

#[test]
fn a_withheld_lock_does_not_hold_the_coins() {
    // The peer signs, sees the transaction mined, and never says that it is locked.
    for flow in FUNDS {
        for liar in BOTH {
            for proposer in BOTH {
                let victim = liar.other();
                let mut world = World::opened(Setup::default());
                world.transfer_well(liar, 1_000);
                world.ask(proposer, request(flow, proposer, 5));
                world.run_for(100);
                world.held = Some(liar);
                world.run_for(60_000);
                end_alone(&mut world, victim);
                let Some(Tx::ChannelSettle(settle)) = world.model.closed().map(|tx| tx.tx().clone()) else {
                    panic!("not settled: {}", world.describe());
                };
                let id = settle.channel_id;
                assert!(world.chain.channel(id).is_none());
            }
        }
    }
}

#[test]
fn a_refused_withdrawal_that_is_mined_when_later_rounds_are_agreed_does_not_hold_the_coins() {
    for liar in BOTH {
        for rounds in [1, 3] {
            let victim = liar.other();
            let mut world = World::opened(Setup::default());
            world.party_mut(liar).client.habit = Reply::Nothing;
            world = with_liar(world, liar);
            let withdrawal = refused_proposal(&mut world, victim, Flow::Withdraw, 1_000_000);
            world.held = None;
            world.party_mut(liar).client.habit = Reply::Sign;
            // The liar's own program took the proposal for one that its client refuses.
            let Ending::Agreed { .. } = world.recover() else { panic!("{}", world.describe()) };
            for _ in 0..rounds {
                world.transfer_well(victim, 10);
            }
            world.hand_in(&withdrawal);
            world.run_for(30_000);
            end_alone(&mut world, victim);
        }
    }
}
