//! The secret that opens the door to a channel, of which only a hash is kept.

use serde::{Deserialize, Serialize};
use strait_encoding::{FsmId, RootHash, hash};
use subtle::ConstantTimeEq;

/// Who may come back to a channel: whoever shows the id that its client was told last.
///
/// Until the client has used a new id, the one before it opens the door too: a crash between storing the new one and telling
/// it must not lock the client out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Door {
    current: RootHash,
    previous: Option<RootHash>,
}

impl Door {
    /// A new door and the secret that opens it.
    pub(crate) fn new() -> (Self, FsmId) {
        let fsm_id = FsmId(rand::random());
        (Self { current: lock(&fsm_id), previous: None }, fsm_id)
    }

    /// The hash of the secret that was told last.
    pub(crate) fn current(&self) -> [u8; 32] {
        self.current.0
    }

    /// Whether the secret opens the door. Takes the same time whatever it is.
    pub(crate) fn opens(&self, fsm_id: &FsmId) -> bool {
        let shown = lock(fsm_id);
        let current = shown.0.ct_eq(&self.current.0);
        let previous = shown.0.ct_eq(&self.previous.unwrap_or(self.current).0);
        bool::from(current | previous)
    }

    /// A new secret; the one that was shown stays good until the new one is used.
    pub(crate) fn renew(&self, shown: &FsmId) -> (Self, FsmId) {
        let (door, fsm_id) = Self::new();
        (Self { previous: Some(lock(shown)), ..door }, fsm_id)
    }
}

fn lock(fsm_id: &FsmId) -> RootHash {
    RootHash(hash::blake2b_of(&[b"strait door", &fsm_id.0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_two_secrets_open_the_door() {
        let (door, first) = Door::new();
        let (door, second) = door.renew(&first);
        assert!(door.opens(&first), "the client may not have heard of the second");
        assert!(door.opens(&second));
        let (door, third) = door.renew(&second);
        assert!(!door.opens(&first));
        assert!(door.opens(&third));
        assert!(!door.opens(&FsmId::ZERO));
    }

    #[test]
    fn the_secret_itself_is_not_kept() {
        let (door, fsm_id) = Door::new();
        let stored = serde_json::to_string(&door).unwrap();
        assert!(!stored.contains(&serde_json::to_string(&fsm_id).unwrap()[1..65]));
    }
}
