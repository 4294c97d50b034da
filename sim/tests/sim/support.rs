//! What several test files need.

use strait_channel::{Flow, Request, Role, TxOptions};
use strait_encoding::{ChannelId, ContractId};
use strait_ledger::{ChainView, TxLocation};
use strait_sim::{Call, Program, Setup, World};

pub const BOTH: [Role; 2] = [Role::Initiator, Role::Responder];

/// What a client was told.
pub fn told(world: &World, role: Role) -> Vec<String> {
    world.party(role).client.told()
}

/// The client of a role closes the channel, and both see it closed.
pub fn close(world: &mut World, role: Role) {
    world.ask(role, Request::Shutdown(TxOptions::default()));
    let closed = world.run_until(900_000, |world| world.both(|party| party.forgotten));
    assert!(closed, "{}", world.describe());
}

/// Both clients forget what they heard.
pub fn clear(world: &mut World) {
    for role in BOTH {
        world.party_mut(role).client.clear();
    }
}

/// Says which case it was when a test fails in the middle of many.
pub struct Case(pub String);

impl Drop for Case {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("in the case: {}", self.0);
        }
    }
}

/// The flows that move coins into the channel and out of it.
pub const FUNDS: [Flow; 2] = [Flow::Deposit, Flow::Withdraw];

/// A deposit or withdrawal that must succeed.
pub fn funds_well(world: &mut World, role: Role, flow: Flow, amount: u128) {
    let before = world.model.round();
    let ticket = world.ask(role, World::funds_request(flow, amount));
    assert!(world.took(role, ticket), "{flow:?} of the {role} is refused: {}", world.describe());
    let done = world.run_until(600_000, |world| world.both(|party| party.round() == before + 1));
    assert!(done, "{flow:?} of the {role} fails: {}", world.describe());
    world.calm();
}

/// What the owner of a role's key has on chain, in aettos.
pub fn on_chain(world: &World, role: Role) -> u128 {
    world.chain.account(world.party(role).signer.account()).map_or(0, |account| account.balance.0)
}

/// The codes of the conflicts that a client heard of.
pub fn conflicts(world: &World, role: Role) -> Vec<String> {
    told(world, role).into_iter().filter(|told| told.starts_with("conflict")).collect()
}

/// A transaction of one that must be in a block soon.
pub fn solo_well(world: &mut World, role: Role, flow: Flow) {
    let ticket = world.ask(role, World::solo_request(flow));
    assert!(world.took(role, ticket), "{flow:?} of the {role} is refused: {}", world.describe());
    world.calm();
    let posted = world.submitted.last().map(|(_, tx, _)| tx.clone());
    let posted = posted.filter(|tx| Flow::of_tx(tx.body().kind()) == Some(flow));
    let Some(tx) = posted else { panic!("{flow:?} of the {role} is not posted: {}", world.describe()) };
    let mined = |world: &World| matches!(world.chain.locate_tx(&tx.hash()), TxLocation::InBlock { .. });
    assert!(world.run_until(60_000, mined), "{flow:?} of the {role} is not mined: {}", world.describe());
    world.calm();
}

/// The channel's id.
pub fn id_of(world: &World) -> ChannelId {
    let id = world.party(Role::Initiator).process.as_ref().and_then(strait_channel::Channel::id);
    id.unwrap_or_else(|| panic!("there is no channel: {}", world.describe()))
}

/// A contract that must come about.
pub fn contract_well(world: &mut World, role: Role, program: Program, deposit: u128) -> ContractId {
    world.request_well(role, program.create(deposit));
    let made = World::contract_made(role, world.model.round());
    assert!(world.model.contracts().contains(&(made, program, deposit)), "{}", world.describe());
    made
}

/// Round 3: the initiator has made a spender with 1,000 coins, the responder a callee. Both forget what they heard.
pub fn with_contracts(setup: Setup) -> (World, ContractId, ContractId) {
    let mut world = World::opened(setup);
    let spender = contract_well(&mut world, Role::Initiator, Program::Spender, 1_000);
    let callee = contract_well(&mut world, Role::Responder, Program::Callee, 0);
    clear(&mut world);
    (world, spender, callee)
}

/// A forced call that must be on chain soon, and adopted by both.
pub fn force_well(world: &mut World, role: Role, contract: ContractId, call: &Call) {
    let before = world.model.round();
    let ticket = world.ask(role, call.forced(contract, 0));
    assert!(world.took(role, ticket), "{call:?} cannot be forced by the {role}: {}", world.describe());
    let adopted = world.run_until(60_000, |world| world.both(|party| party.round() == before + 1));
    assert!(adopted, "{call:?}, forced by the {role}, is not adopted: {}", world.describe());
    assert_eq!(world.model.round(), before + 1);
    world.calm();
}
