//! What several test files need.

use strait_channel::{Request, Role, TxOptions};
use strait_sim::World;

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
