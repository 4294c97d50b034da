//! Contracts in the channel (`docs/protocol/contracts` §1.1): made and called, with what they hold and what they refuse.

use serde_json::Value;
use strait_channel::{Answer, Contract, Flow, PinWindow, Reason, Refusal, Request, Role, TxOptions};
use strait_encoding::{AccountId, BlockHash, Coins, ContractId, Height, Round};
use strait_ledger::rules::LOCKED_COINS;
use strait_ledger::{Abandoned, BranchOrder, CallResult, ChainView, ForkPlan, StateProof, Tx};
use strait_sim::{Call, Ending, Program, Reply, Setup, World, height_value};

use crate::support::{BOTH, Case, clear, close, contract_well, funds_well, solo_well, told, with_contracts};

const ASKED: [&str; 2] = ["sign.update", "channels.update"];
const OFFERED: [&str; 3] = ["update", "sign.update_ack", "channels.update"];

fn account(world: &World, role: Role) -> AccountId {
    world.party(role).signer.account()
}

/// What a client is told of the result of a call; nothing where there is none.
fn result_of(
    world: &mut World,
    role: Role,
    contract: ContractId,
    caller: AccountId,
    round: u64,
) -> Option<Value> {
    let ticket = world.ask(role, Request::ContractCall { contract, caller, round: Round(round) });
    match world.party(role).client.answer(ticket).cloned() {
        Some(Ok(Answer::Call(result))) => Some(result),
        Some(Err(Refusal { reason: Reason::CallNotFound, .. })) => None,
        other => panic!("{other:?}"),
    }
}

/// Asks for a round that cannot be, and gives the reason.
fn refused(world: &World, role: Role, request: Request) -> Reason {
    let mut world = world.clone();
    clear(&mut world);
    let sent = world.wire.len();
    let ticket = world.ask(role, request);
    world.calm();
    let answer = world.party(role).client.answer(ticket).cloned();
    let Some(Err(refusal)) = answer else { panic!("taken: {}", world.describe()) };
    assert!(BOTH.into_iter().all(|role| told(&world, role).is_empty()), "{}", world.describe());
    assert_eq!(world.wire.len(), sent);
    world.transfer_well(role, 1);
    world.transfer_well(role.other(), 1);
    refusal.reason
}

#[test]
fn contracts_are_made_and_called_by_either_side() {
    for role in BOTH {
        let mut world = World::opened(Setup::default());
        clear(&mut world);
        let [me, you] = [role, role.other()].map(|role| account(&world, role));
        let before = world.model.balances();
        let purse = contract_well(&mut world, role, Program::Spender, 1_000);
        assert_eq!(told(&world, role), ASKED);
        assert_eq!(told(&world, role.other()), OFFERED);
        clear(&mut world);
        world.request_well(role.other(), Call::Deposit.of(purse, 500));
        assert_eq!(told(&world, role.other()), ASKED);
        assert_eq!(told(&world, role), OFFERED);
        world.request_well(role, Call::Spend(you, 70).of(purse, 0));
        world.request_well(role.other(), Call::SpendTwo([(me, 200), (you, 9)]).of(purse, 0));
        assert_eq!(world.model.contracts(), [(purse, Program::Spender, 1_000 + 500 - 70 - 200 - 9)]);
        let place = usize::from(role == Role::Responder);
        let mut expected = before;
        expected[place] = before[place] - 1_000 + 200;
        expected[1 - place] = before[1 - place] - 500 + 70 + 9;
        assert_eq!(world.model.balances(), expected);
        // Both services know what the model knows, and the machine's own number.
        let counter = contract_well(&mut world, role.other(), Program::Callee, 0);
        world.request_well(role, Call::Set(1_234).of(counter, 0));
        world.request_well(role.other(), Call::Pay.of(counter, 66));
        world.request_well(role, Call::Get.of(counter, 0));
        let round = world.model.round();
        let value = world.model.trees().call_in_round(counter, me, Round(round)).map(|call| call.result);
        assert_eq!(value, Some(CallResult::Ok(strait_sim::integer(1_300))));
        for side in BOTH {
            let found = result_of(&mut world, side, counter, me, round).unwrap();
            assert_eq!(found["return_type"], "ok", "{found}");
            assert_eq!(found["height"], round, "{found}");
            assert_eq!(result_of(&mut world, side, counter, you, round), None);
        }
    }
}

#[test]
fn a_call_that_fails_or_takes_everything_back_is_a_round_and_costs_nothing() {
    let (begin, purse, counter) = with_contracts(Setup::default());
    for role in BOTH {
        let you = account(&begin, role.other());
        let calls = [
            (Call::Spend(you, 1_001), purse, 0, "error"),
            (Call::Spend(you, 5), purse, 1, "error"),
            (Call::SpendFail(you, 5), purse, 0, "revert"),
            (Call::SpendTwo([(you, 600), (you, 401)]), purse, 0, "error"),
            (Call::Nonsense, purse, 0, "error"),
            (Call::Nonsense, counter, 77, "error"),
            (Call::FailRevert, counter, 0, "revert"),
            (Call::FailRevert, counter, 77, "error"),
            (Call::FailError, counter, 0, "error"),
            (Call::Burn, counter, 0, "error"),
        ];
        for (call, contract, amount, kind) in calls {
            let _case = Case(format!("{call:?} of the {role} with {amount}"));
            let mut world = begin.clone();
            let (balances, contracts) = (world.model.balances(), world.model.contracts());
            world.request_well(role, call.of(contract, amount));
            assert_eq!((world.model.balances(), world.model.contracts()), (balances, contracts));
            let (round, me) = (world.model.round(), account(&world, role));
            for side in BOTH {
                let found = result_of(&mut world, side, contract, me, round).unwrap();
                assert_eq!(found["return_type"], kind, "{found}");
            }
            world.request_well(role.other(), Call::Deposit.of(purse, 3));
        }
    }
}

#[test]
fn what_cannot_be_run_is_refused_at_once() {
    let (world, purse, counter) = with_contracts(Setup::default());
    let role = Role::Responder;
    let mine = world.model.balances()[1];
    let new = |vm, abi, code: &[u8], call_data: Vec<u8>, deposit| {
        let contract = Contract::New { vm, abi, deposit: Coins(deposit), code: code.to_vec(), call_data };
        Request::Contract { contract, pin: None, meta: Vec::new() }
    };
    let code = Program::Spender.code();
    let init = Program::Spender.init();
    let atoms = [
        (new(8, 3, &[1, 2, 3], init.clone(), 0), None),
        (new(8, 3, &code[..code.len() / 2], init.clone(), 0), None),
        (new(8, 3, &[], init.clone(), 0), None),
        (new(9, 3, code, init.clone(), 0), None),
        (new(8, 1, code, init.clone(), 0), None),
        (new(8, 3, code, Call::Deposit.data(), 0), Some("contract_init_failed")),
        (new(8, 3, code, Program::Callee.init(), 0), Some("contract_init_failed")),
        (new(8, 3, code, vec![1, 2, 3], 0), Some("contract_init_failed")),
        (Call::Deposit.of(ContractId([8; 32]), 0), None),
    ];
    for (request, expected) in atoms {
        let _case = Case(format!("{request:?}"));
        match refused(&world, role, request) {
            Reason::Contract { atom, .. } => assert_eq!(atom, expected),
            Reason::NotInState(_) if expected.is_none() => {}
            other => panic!("{other:?}"),
        }
    }
    let wrong_abi =
        Contract::Call { contract: purse, abi: 1, amount: Coins(0), call_data: Call::Deposit.data() };
    let wrong_abi = Request::Contract { contract: wrong_abi, pin: None, meta: Vec::new() };
    assert!(matches!(
        refused(&world, role, wrong_abi),
        Reason::Contract { atom: Some("wrong_abi_version"), .. }
    ));
    for request in [
        Program::Spender.create(mine - 999),
        Program::Spender.create(u128::MAX),
        Call::Deposit.of(purse, mine - 999),
        Call::Pay.of(counter, mine + 1),
    ] {
        assert!(matches!(refused(&world, role, request), Reason::InsufficientBalance { .. }));
    }
    // What leaves the reserve can go.
    let mut world = world;
    world.request_well(role, Call::Deposit.of(purse, mine - 1_000));
    assert_eq!(world.model.balances()[1], 1_000);
}

#[test]
fn what_a_contract_holds_is_lost_to_both_by_any_close() {
    for (together, closer) in [(true, BOTH[0]), (true, BOTH[1]), (false, BOTH[0]), (false, BOTH[1])] {
        let (mut world, purse, _) = with_contracts(Setup::default());
        let locked = |world: &World| world.chain.account(LOCKED_COINS).map_or(0, |account| account.balance.0);
        let before = locked(&world);
        world.request_well(closer, Call::Deposit.of(purse, 33));
        let balances = world.model.balances();
        if together {
            close(&mut world, closer);
            assert!(matches!(world.model.closed().map(|tx| tx.tx()), Some(Tx::ChannelCloseMutual(_))));
        } else {
            solo_well(&mut world, closer, Flow::CloseSolo);
            assert_eq!(world.recover(), Ending::Closed);
            let Some(Tx::ChannelSettle(settle)) = world.model.closed().map(|tx| tx.tx().clone()) else {
                panic!()
            };
            let paid = [settle.initiator_amount_final.0, settle.responder_amount_final.0];
            assert_eq!(paid, balances);
        }
        assert_eq!(locked(&world) - before, 1_033);
    }
}

#[test]
fn coins_that_came_out_of_a_contract_are_paid_out() {
    for closer in BOTH {
        let (mut world, purse, _) = with_contracts(Setup::default());
        let before = world.model.balances();
        let to = [(account(&world, BOTH[0]), 400), (account(&world, BOTH[1]), 600)];
        world.request_well(closer, Call::SpendTwo(to).of(purse, 0));
        assert_eq!(world.model.balances(), [before[0] + 400, before[1] + 600]);
        assert_eq!(world.model.contracts()[0].2.min(world.model.contracts()[1].2), 0);
        solo_well(&mut world, closer, Flow::CloseSolo);
        assert_eq!(world.recover(), Ending::Closed);
    }
}

#[test]
fn an_old_state_is_slashed_with_a_round_that_ran_a_contract() {
    for cheat in BOTH {
        for round in [1, 2, 4] {
            let (mut world, purse, _) = with_contracts(Setup::default());
            // The cheat gives back what it had before.
            let victim = account(&world, cheat.other());
            world.request_well(cheat, Call::Deposit.of(purse, 700));
            world.request_well(cheat, Call::Spend(victim, 700).of(purse, 0));
            let balances = world.model.balances();
            let latest = world.party(cheat).channel().agreed_tx().cloned().unwrap();
            world.party_mut(cheat).client.watchful = false;
            world.close_with(cheat, round);
            assert_eq!(world.recover(), Ending::Closed);
            let slashes = world.submitted.iter().filter_map(|(_, tx, result)| match tx.tx() {
                Tx::ChannelSlash(slash) if result.is_ok() => Some(&slash.payload.0),
                _ => None,
            });
            let slashes: Vec<_> = slashes.collect();
            assert!(!slashes.is_empty() && slashes.iter().all(|payload| **payload == latest.encode()));
            let Some(Tx::ChannelSettle(settle)) = world.model.closed().map(|tx| tx.tx().clone()) else {
                panic!()
            };
            let paid = [settle.initiator_amount_final.0, settle.responder_amount_final.0];
            assert_eq!(paid, balances);
        }
    }
}

#[test]
fn a_snapshot_and_coins_moved_on_chain_go_with_contracts() {
    for role in BOTH {
        let (mut world, purse, counter) = with_contracts(Setup::default());
        solo_well(&mut world, role, Flow::SnapshotSolo);
        world.request_well(role.other(), Call::Deposit.of(purse, 10));
        funds_well(&mut world, role, Flow::Deposit, 50);
        world.request_well(role, Call::Pay.of(counter, 20));
        funds_well(&mut world, role.other(), Flow::Withdraw, 30);
        // Nothing of a contract ran in the round that the chain knows.
        let made = contract_well(&mut world, role, Program::Envt, 5);
        assert_eq!(world.model.contracts().len(), 3);
        assert!(world.model.contracts().contains(&(made, Program::Envt, 5)));
        solo_well(&mut world, role.other(), Flow::CloseSolo);
        assert_eq!(world.recover(), Ending::Closed);
    }
}

#[test]
fn a_proof_shows_contracts_and_what_they_hold() {
    let (mut world, purse, counter) = with_contracts(Setup::default());
    for role in BOTH {
        let accounts = BOTH.map(|role| account(&world, role)).to_vec();
        let ticket =
            world.ask(role, Request::Proof { accounts: accounts.clone(), contracts: vec![purse, counter] });
        let Some(Ok(Answer::Proof(bytes))) = world.party(role).client.answer(ticket).cloned() else {
            panic!()
        };
        let proof = StateProof::decode(&bytes).unwrap();
        let agreed = world.party(role).channel().agreed_tx().unwrap().tx().agreed_state();
        assert_eq!(Some(proof.state_hash()), agreed.map(|(_, hash)| hash));
        let shown = accounts.iter().map(|account| proof.account(*account).unwrap().balance.0);
        assert_eq!(shown.collect::<Vec<_>>(), world.model.balances());
        for (contract, _, coins) in world.model.contracts() {
            assert_eq!(proof.account(AccountId(contract.0)).unwrap().balance.0, coins);
            assert_eq!(Some(proof.contract(contract).unwrap()), world.model.trees().contract(contract));
        }
        let ticket = world.ask(role, Request::Proof { accounts, contracts: vec![ContractId([8; 32])] });
        assert!(matches!(world.party(role).client.answer(ticket), Some(Err(_))));
    }
}

#[test]
fn a_dry_run_tells_what_the_round_would_come_to_and_changes_nothing() {
    let (world, purse, counter) = with_contracts(Setup::default());
    for role in BOTH {
        let (me, you) = (account(&world, role), account(&world, role.other()));
        let calls = [
            (Call::Deposit, purse, 7),
            (Call::Spend(you, 5), purse, 0),
            (Call::SpendFail(you, 5), purse, 0),
            (Call::Set(9), counter, 0),
            (Call::FailError, counter, 0),
        ];
        for (call, contract, amount) in calls {
            let mut world = world.clone();
            let Request::Contract { contract: dry, .. } = call.of(contract, amount) else { panic!() };
            let before = world.party(role).channel().to_stored().unwrap();
            let ticket = world.ask(role, Request::DryRun { call: dry, pin: None });
            let Some(Ok(Answer::DryRun(result))) = world.party(role).client.answer(ticket).cloned() else {
                panic!("{}", world.describe());
            };
            assert_eq!(world.party(role).channel().to_stored().unwrap(), before);
            world.request_well(role, call.of(contract, amount));
            let round = world.model.round();
            assert_eq!(result_of(&mut world, role, contract, me, round), Some(result), "{call:?}");
        }
    }
}

#[test]
fn contracts_see_the_block_that_the_round_is_pinned_to() {
    let window = PinWindow { not_newer_than: 1, not_older_than: 6, pick: 0 };
    let mut begin = World::opened(Setup { pin: window, ..Setup::default() });
    begin.run_for(150_000);
    for role in BOTH {
        let mut world = begin.clone();
        let almanac = contract_well(&mut world, role, Program::Envt, 0);
        let top = world.height();
        for back in [1, 3, 6] {
            world.mining = false;
            let pin = Some(world.key_block(top - back));
            let Request::Contract { contract, .. } = Call::Height.of(almanac, 0) else { panic!() };
            world.request_well(role.other(), Request::Contract { contract, pin, meta: Vec::new() });
            let (round, caller) = (Round(world.model.round()), account(&world, role.other()));
            let told = world.model.trees().call_in_round(almanac, caller, round).map(|call| call.result);
            assert_eq!(told, Some(CallResult::Ok(height_value(Height(top - back)))));
        }
        for (back, word) in [(0, "newer"), (7, "older")] {
            let pin = Some(world.key_block(top - back));
            let Request::Contract { contract, .. } = Call::Height.of(almanac, 0) else { panic!() };
            let reason = refused(&world, role, Request::Contract { contract, pin, meta: Vec::new() });
            assert!(matches!(reason, Reason::Pin(why) if why.contains(word)), "{reason:?}");
        }
        // Without a pin both see their own top, which is one here.
        let Request::Contract { contract, .. } = Call::Height.of(almanac, 0) else { panic!() };
        let pin = Some(BlockHash::UNPINNED);
        world.request_well(role, Request::Contract { contract, pin, meta: vec!["high".to_owned()] });
        let (round, caller) = (Round(world.model.round()), account(&world, role));
        let told = world.model.trees().call_in_round(almanac, caller, round).map(|call| call.result);
        assert_eq!(told, Some(CallResult::Ok(height_value(Height(top)))));
    }
}

/// When a fork comes between a proposal and its acceptance: what the proposer's client hears.
#[test]
fn a_fork_that_takes_the_pinned_block_back_ends_in_one_state() {
    let plan =
        |depth| ForkPlan { others: Abandoned::Mined, order: BranchOrder::AsBefore, ..ForkPlan::new(depth) };
    let mut begin = World::opened(Setup::default());
    begin.run_for(40_000);
    let almanac = contract_well(&mut begin, Role::Initiator, Program::Envt, 0);
    let (mut agreed, mut refused) = (0, 0);
    for role in BOTH {
        // While the proposer signs, on the way, while the acceptor signs, on the way back, and when all is done.
        for after in [2, 7, 10, 17, 22, 40] {
            for depth in [0, 1, 3] {
                let _case = Case(format!("{role}, {after} ms, {depth} deep"));
                let mut world = begin.clone();
                clear(&mut world);
                let before = world.model.round();
                world.ask(role, Call::Height.of(almanac, 0));
                world.run_for(after);
                world.fork(&plan(depth));
                world.calm();
                let rounds = BOTH.map(|role| world.round(role));
                assert_eq!(rounds, [world.model.round(); 2], "{}", world.describe());
                match world.model.round() - before {
                    0 => refused += 1,
                    _ => agreed += 1,
                }
                assert_eq!(world.recover(), Ending::Agreed { returns: [0, 0] });
                world.request_well(role, Call::Height.of(almanac, 0));
                world.transfer_well(role.other(), 1);
            }
        }
    }
    assert!(agreed > 0 && refused > 0, "{agreed} {refused}");
}

#[test]
fn results_of_calls_are_told_until_they_are_forgotten() {
    let (mut world, purse, _) = with_contracts(Setup::default());
    let me = account(&world, Role::Initiator);
    let first = world.model.round() + 1;
    for _ in 0..3 {
        world.request_well(Role::Initiator, Call::Deposit.of(purse, 1));
        world.transfer_well(Role::Responder, 1);
    }
    for side in BOTH {
        for round in [first, first + 2, first + 4] {
            assert!(result_of(&mut world, side, purse, me, round).is_some(), "round {round}");
            assert_eq!(result_of(&mut world, side, purse, me, round + 1), None);
        }
    }
    let ticket = world.ask(Role::Initiator, Request::CleanCalls);
    assert_eq!(world.party(Role::Initiator).client.answer(ticket), Some(&Ok(Answer::CallsPruned)));
    assert_eq!(result_of(&mut world, Role::Initiator, purse, me, first), None);
    assert!(result_of(&mut world, Role::Responder, purse, me, first).is_some());
    // The state is the same as before.
    world.request_well(Role::Initiator, Call::Deposit.of(purse, 1));
    world.ask(Role::Responder, Request::Shutdown(TxOptions::default()));
    assert_eq!(world.recover(), Ending::Closed);
}

#[test]
fn a_contract_that_its_peer_declines_was_never_made() {
    for role in BOTH {
        let mut world = World::opened(Setup::default());
        clear(&mut world);
        world.party_mut(role.other()).client.plan.push_back(Reply::Decline(42));
        world.ask(role, Program::Spender.create(9));
        world.calm();
        assert_eq!(told(&world, role), ["sign.update", "conflict(42)"]);
        assert!(world.model.contracts().is_empty());
        let never = World::contract_made(role, 2);
        let reason = refused(&world, role, Call::Deposit.of(never, 0));
        assert!(matches!(reason, Reason::Contract { .. } | Reason::NotInState(_)), "{reason:?}");
        // The same round again, with something else in it.
        let made = contract_well(&mut world, role, Program::Callee, 0);
        assert_eq!(made, never);
        world.request_well(role.other(), Call::Set(3).of(made, 0));
    }
}
