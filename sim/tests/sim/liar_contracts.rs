//! A peer that lies about what a contract is, is called with, sees and comes to: nobody is asked to sign it, and the agreed
//! state stays (`docs/protocol/contracts` §1.1).

use strait_channel::{Flow, Message, Request, Role};
use strait_encoding::hash::call_id;
use strait_encoding::{AccountId, BlockHash, Coins, ContractId, KeyBlockHash, Round, StateHash};
use strait_ledger::{
    CallObject, CallResult, ChainView, LogEntry, OffchainEnv, Trees, Tx, Update, apply_updates_at,
};
use strait_sim::{Call, Ending, Program, Setup, World};

use crate::lies::{
    NOBODY, broken_bytes, forged, last, make_up, set_funds, set_offchain, signing_requests, tell_lie,
    with_liar,
};
use crate::support::{BOTH, contract_well, with_contracts};

/// Three contracts, at a height at which blocks can be too old.
struct Scene {
    world: World,
    spender: ContractId,
    callee: ContractId,
    envt: ContractId,
}

fn scene() -> Scene {
    let (mut world, spender, callee) = with_contracts(Setup::default());
    let envt = contract_well(&mut world, Role::Initiator, Program::Envt, 0);
    world.run_for(150_000);
    assert!(world.height() > 12);
    Scene { world, spender, callee, envt }
}

/// The trees after the next round with these updates, whatever they are; those before where that cannot be.
fn trees_after(world: &World, updates: &[Update], pin: &BlockHash) -> Trees {
    let trees = world.model.trees();
    let round = Round(world.model.round() + 1);
    let env = OffchainEnv { reserve: Coins::ZERO, round, protocol: world.chain.protocol() };
    let pinned = world.chain.pinned(Some(pin)).expect("the block is a recent one");
    apply_updates_at(&trees, updates, &env, &pinned).unwrap_or(trees)
}

/// What the liar's own program proposes, and what is in it.
fn proposal(world: &World, liar: Role, request: Request) -> (World, Message, Vec<Update>, BlockHash) {
    let mut world = with_liar(world.clone(), liar);
    world.ask(liar, request);
    world.run_for(100);
    let honest = last(&world, liar, "Update");
    let Message::Update { updates, block_hash, .. } = &honest else { panic!() };
    let (updates, pin) =
        (updates.iter().map(|bytes| Update::decode(bytes).expect("what was sent")).collect(), *block_hash);
    (world, honest, updates, pin)
}

fn with_updates(message: &Message, changed: &[Update]) -> Message {
    let mut message = message.clone();
    let (Message::Update { updates, .. } | Message::DepositCreated { updates, .. }) = &mut message else {
        panic!("{message:?} has no updates");
    };
    *updates = changed.iter().map(Update::encode).collect();
    message
}

fn with_hash(world: &World, liar: Role, message: &Message, hash: StateHash) -> Message {
    forged(message, &world.party(liar).signer, set_offchain(|tx| tx.state_hash = hash))
}

/// An update with one field changed, and whether it may not even be proposed where its result is told truly.
type Changed = (&'static str, Update, bool);

fn changed_call(scene: &Scene, victim: AccountId, honest: &Update) -> Vec<Changed> {
    let change = |change: &dyn Fn(&mut Update)| {
        let mut update = honest.clone();
        change(&mut update);
        update
    };
    macro_rules! field {
        ($name:ident = $value:expr) => {
            change(&|update| {
                if let Update::CallContract { $name, .. } = update {
                    *$name = $value;
                }
            })
        };
    }
    vec![
        ("the victim as caller", field!(caller = victim), true),
        ("a stranger as caller", field!(caller = NOBODY), true),
        ("the contract as caller", field!(caller = AccountId(scene.spender.0)), true),
        ("another contract", field!(contract = scene.callee), false),
        ("no contract", field!(contract = ContractId([8; 32])), true),
        ("a party for a contract", field!(contract = ContractId(victim.0)), true),
        ("another convention", field!(abi_version = 1), true),
        ("more coins", field!(amount = Coins(8)), false),
        ("fewer coins", field!(amount = Coins(6)), false),
        ("all coins that there are", field!(amount = Coins(u128::MAX)), true),
        ("more gas", field!(gas = 1_000_001), true),
        ("less gas", field!(gas = 999_999), true),
        ("no gas", field!(gas = 0), true),
        ("all gas", field!(gas = u64::MAX), true),
        ("a higher price", field!(gas_price = 2), true),
        ("no price", field!(gas_price = 0), true),
        ("another function", field!(call_data = Call::Get.data()), false),
        ("a call without data", field!(call_data = Vec::new()), false),
        ("callers before it", field!(call_stack = vec![1]), true),
    ]
}

fn changed_contract(victim: AccountId, honest: &Update) -> Vec<Changed> {
    let Update::NewContract { owner, ct_version, code, deposit, call_data } = honest.clone() else {
        panic!()
    };
    let make = |owner, ct_version, code: &[u8], deposit, call_data: &[u8]| Update::NewContract {
        owner,
        ct_version,
        code: code.to_vec(),
        deposit: Coins(deposit),
        call_data: call_data.to_vec(),
    };
    let coins = deposit.0;
    let other = Program::Callee;
    vec![
        ("the victim as owner", make(victim, ct_version, &code, coins, &call_data), true),
        ("a stranger as owner", make(NOBODY, ct_version, &code, coins, &call_data), true),
        ("an older machine", make(owner, 0x0005_0003, &code, coins, &call_data), false),
        ("no machine", make(owner, 0x0009_0003, &code, coins, &call_data), true),
        ("other code", make(owner, ct_version, other.code(), coins, &other.init()), false),
        ("half of the code", make(owner, ct_version, &code[..code.len() / 2], coins, &call_data), true),
        ("more coins", make(owner, ct_version, &code, coins + 1, &call_data), false),
        ("all coins that there are", make(owner, ct_version, &code, u128::MAX, &call_data), true),
        ("another first call", make(owner, ct_version, &code, coins, &Call::Deposit.data()), true),
    ]
}

/// Every change without its result, and where it is forbidden also with it.
fn lies_of(
    world: &World,
    liar: Role,
    honest: &Message,
    pin: &BlockHash,
    changed: Vec<Changed>,
) -> Vec<(String, Message)> {
    let mut lies = Vec::new();
    for (name, update, forbidden) in changed {
        let lie = with_updates(honest, std::slice::from_ref(&update));
        lies.push((format!("{name}, with another result"), lie.clone()));
        if forbidden {
            let hash = trees_after(world, &[update], pin).state_hash();
            lies.push((format!("{name}, with its result"), with_hash(world, liar, &lie, hash)));
        }
    }
    lies
}

/// True calls with a state that they do not lead to.
fn other_results(world: &World, call: &Update, pin: &BlockHash) -> Vec<(&'static str, Trees)> {
    let Update::CallContract { caller, contract, .. } = call else { panic!() };
    let round = Round(world.model.round() + 1);
    let honest = trees_after(world, std::slice::from_ref(call), pin);
    let object = honest.call_in_round(*contract, *caller, round).expect("the call has a result");
    let id = call_id(*caller, round.0, *contract);
    let told = |object: CallObject| {
        let mut trees = honest.clone();
        trees.set_call(&contract.0, &id, &object);
        trees
    };
    let with_coins = |account: AccountId, more: bool| {
        let mut trees = honest.clone();
        let mut changed = trees.account(account).expect("both are in the state");
        changed.balance.0 = if more { changed.balance.0 + 1 } else { changed.balance.0 - 1 };
        trees.set_account(account, &changed);
        trees
    };
    let mut stored = honest.clone();
    stored.set_store_value(&contract.0, &[0, 1], Some(&[0x54]));
    let mut removed = honest.clone();
    removed.remove_contract(*contract);
    let log = LogEntry { address: contract.0, topics: vec![vec![7; 32]], data: Vec::new() };
    vec![
        ("other gas", told(CallObject { gas_used: object.gas_used + 1, ..object.clone() })),
        ("another value", told(CallObject { result: CallResult::Ok(vec![0x3f, 0]), ..object.clone() })),
        (
            "a failure",
            told(CallObject { result: CallResult::Error(b"Out of gas".to_vec()), ..object.clone() }),
        ),
        ("an event", told(CallObject { log: vec![log], ..object.clone() })),
        ("another price", told(CallObject { gas_price: Coins(2), ..object.clone() })),
        ("another height", told(CallObject { height: strait_encoding::Height(1), ..object })),
        ("no call", Trees { calls: Trees::default().calls, ..honest.clone() }),
        ("one coin more for the caller", with_coins(*caller, true)),
        ("one coin less in the contract", with_coins(AccountId(contract.0), false)),
        ("something else in the store", stored),
        ("the contract gone", removed),
        ("the state before", world.model.trees()),
    ]
}

fn tell_all(world: &World, liar: Role, honest: &Message, lies: &[(String, Message)]) {
    for (name, lie) in lies {
        tell_lie(world, liar, name, lie);
        make_up(world, liar, lie);
    }
    // The very same message, with the truth in it, is taken: it was the lies that were refused.
    let mut world = world.clone();
    let asked = signing_requests(&world, liar.other());
    world.inject(liar, honest);
    world.run_for(100);
    assert_eq!(signing_requests(&world, liar.other()), asked + 1);
}

#[test]
fn a_lie_about_a_call_is_refused() {
    let scene = scene();
    for liar in BOTH {
        let victim = scene.world.party(liar.other()).signer.account();
        let request = Call::Deposit.of(scene.spender, 7);
        let (world, honest, updates, pin) = proposal(&scene.world, liar, request);
        let call = updates[0].clone();
        let mut lies = broken_bytes(&honest, &world.party(liar).signer);
        lies.pop();
        lies.extend(lies_of(&world, liar, &honest, &pin, changed_call(&scene, victim, &call)));
        for (name, trees) in other_results(&world, &call, &pin) {
            lies.push((name.to_owned(), with_hash(&world, liar, &honest, trees.state_hash())));
        }
        let transfer = Update::Transfer { from: victim, to: NOBODY, amount: Coins(1) };
        for (name, updates) in [
            ("the call twice", vec![call.clone(), call.clone()]),
            ("a transfer to a stranger behind it", vec![call.clone(), transfer]),
            (
                "a transfer to the contract",
                vec![Update::Transfer { from: victim, to: AccountId(scene.spender.0), amount: Coins(1) }],
            ),
            ("a deposit behind it", vec![call.clone(), Update::Deposit { from: victim, amount: Coins(1) }]),
        ] {
            let hash = trees_after(&world, &updates, &pin).state_hash();
            let lie = with_hash(&world, liar, &with_updates(&honest, &updates), hash);
            lies.push((name.to_owned(), lie));
        }
        println!("{} lies about a call", lies.len());
        tell_all(&world, liar, &honest, &lies);
    }
}

#[test]
fn a_lie_about_a_new_contract_is_refused() {
    let scene = scene();
    for liar in BOTH {
        let victim = scene.world.party(liar.other()).signer.account();
        let (world, honest, updates, pin) = proposal(&scene.world, liar, Program::Spender.create(7));
        let lies = lies_of(&world, liar, &honest, &pin, changed_contract(victim, &updates[0]));
        tell_all(&world, liar, &honest, &lies);
    }
}

#[test]
fn a_result_of_another_block_is_refused() {
    let scene = scene();
    for liar in BOTH {
        let (world, honest, _, pin) = proposal(&scene.world, liar, Call::Height.of(scene.envt, 0));
        let Message::Update { channel_id, tx, updates, .. } = honest.clone() else { panic!() };
        let top = world.height();
        let pinned_to = |block_hash: BlockHash| Message::Update {
            channel_id,
            block_hash,
            tx: tx.clone(),
            updates: updates.clone(),
        };
        let lies: Vec<_> = [1, 5, 10, 11, top - 1]
            .into_iter()
            .map(|back| (format!("{back} blocks earlier"), pinned_to(world.key_block(top - back))))
            .chain([("an unknown block".to_owned(), pinned_to(BlockHash::from(KeyBlockHash([7; 32]))))])
            .collect();
        assert!(lies.iter().all(|(_, lie)| *lie != honest) && pin == world.key_block(top));
        tell_all(&world, liar, &honest, &lies);
        // What does not depend on the block may name any that is within the window.
        let (mut world, honest, ..) = proposal(&scene.world, liar, Call::Deposit.of(scene.spender, 7));
        let Message::Update { tx, updates, .. } = honest else { panic!() };
        let asked = signing_requests(&world, liar.other());
        let block_hash = world.key_block(top - 5);
        world.inject(liar, &Message::Update { channel_id, block_hash, tx, updates });
        world.run_for(100);
        assert_eq!(signing_requests(&world, liar.other()), asked + 1);
    }
}

#[test]
fn an_acceptance_of_another_result_is_none() {
    let scene = scene();
    for liar in BOTH {
        let victim = liar.other();
        let mut world = with_liar(scene.world.clone(), liar);
        let before = world.model.round();
        world.ask(victim, Call::Deposit.of(scene.spender, 7));
        world.run_for(100);
        let honest = last(&world, liar, "UpdateAck");
        let me = world.party(liar).signer.clone();
        let proposed = last(&world, victim, "Update");
        let Message::Update { updates, block_hash, .. } = proposed else { panic!() };
        let call = Update::decode(&updates[0]).unwrap();
        let mut lies = broken_bytes(&honest, &me);
        for (name, trees) in other_results(&world, &call, &block_hash) {
            lies.push((name.to_owned(), with_hash(&world, liar, &honest, trees.state_hash())));
        }
        for (name, lie) in &lies {
            tell_lie(&world, liar, name, lie);
            make_up(&world, liar, lie);
        }
        world.inject(liar, &honest);
        world.run_for(100);
        assert_eq!(world.round(victim), before + 1);
    }
}

#[test]
fn no_contract_runs_beside_a_deposit() {
    let scene = scene();
    for liar in BOTH {
        let (_, _, updates, _) = proposal(&scene.world, liar, Call::Deposit.of(scene.spender, 7));
        let call = updates[0].clone();
        let mut world = with_liar(scene.world.clone(), liar);
        assert!(world.model.contracts().len() == 3 && !updates.is_empty());
        world.ask(liar, World::funds_request(Flow::Deposit, 9));
        world.run_for(100);
        let honest = last(&world, liar, "DepositCreated");
        let Message::DepositCreated { updates, block_hash, .. } = &honest else { panic!() };
        let deposit = Update::decode(&updates[0]).unwrap();
        let signer = world.party(liar).signer.clone();
        let lies: Vec<_> = [
            ("a call behind the deposit", vec![deposit.clone(), call.clone()]),
            ("a call before the deposit", vec![call.clone(), deposit]),
            ("a call instead of the deposit", vec![call]),
        ]
        .into_iter()
        .map(|(name, updates)| {
            let hash = trees_after(&world, &updates, block_hash).state_hash();
            let lie = forged(&honest, &signer, set_funds(|tx| *tx.state_hash = hash));
            (name.to_owned(), with_updates(&lie, &updates))
        })
        .collect();
        tell_all(&world, liar, &honest, &lies);
    }
}

#[test]
fn a_refused_call_that_is_completed_after_all_is_adopted_with_what_the_contract_holds() {
    let scene = scene();
    for liar in BOTH {
        let victim = liar.other();
        let mut world = with_liar(scene.world.clone(), liar);
        let before = world.model.round();
        world.ask(victim, Call::Deposit.of(scene.spender, 7));
        world.run_for(100);
        let accepted = last(&world, liar, "UpdateAck");
        let Message::UpdateAck { channel_id, tx } = accepted.clone() else { panic!() };
        assert!(matches!(strait_ledger::SignedTx::decode(&tx).unwrap().tx(), Tx::ChannelOffchain(_)));
        world.inject(liar, &Message::UpdateError { channel_id, round: 0, error_code: 77 });
        world.run_for(100);
        assert_eq!((world.round(victim), world.party(victim).channel().doing()), (before, "idle"));
        world.inject(liar, &accepted);
        world.run_for(100);
        assert_eq!(world.round(victim), before + 1);
        assert!(world.model.contracts().contains(&(scene.spender, Program::Spender, 1_007)));
        assert!(matches!(world.recover(), Ending::Agreed { .. }));
        world.request_well(victim, Call::Deposit.of(scene.spender, 1));
    }
}
