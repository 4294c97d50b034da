//! What was verified before in this process.
//!
//! A service that serves both parties of a channel meets every signature twice: as that of its client, and as that of the peer.
//! Verifying is a pure function of signer, signature and message, so its success may be remembered; a failure never is.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, PoisonError};

use crate::hash::blake2b_of;
use crate::{AccountId, Signature};

/// How many successes are remembered; a later one takes the place of an earlier one. 64 KiB of memory.
const PLACES: usize = 2048;

static REMEMBERS: AtomicBool = AtomicBool::new(false);

static PROOFS: [Mutex<[u8; 32]>; PLACES] = [const { Mutex::new([0; 32]) }; PLACES];

/// From now on this process remembers which signatures it verified, the last 2,048 about. Off until this is called: measured alone, a
/// verification should cost what it costs.
pub fn remember_verified() {
    REMEMBERS.store(true, Relaxed);
}

/// A verification, named by the hash of all that its outcome depends on.
pub(crate) struct Verification([u8; 32]);

impl Verification {
    /// The verification of `signature` by `signer` over `message`; `None` if nothing is remembered.
    pub(crate) fn of(signer: AccountId, signature: &Signature, message: &[u8]) -> Option<Self> {
        REMEMBERS.load(Relaxed).then(|| Self(blake2b_of(&[&signer.0, &signature.0, message])))
    }

    /// Whether it succeeded before.
    pub(crate) fn is_known(&self) -> bool {
        *self.place().lock().unwrap_or_else(PoisonError::into_inner) == self.0
    }

    /// Remembers that it succeeded.
    pub(crate) fn remember(self) {
        *self.place().lock().unwrap_or_else(PoisonError::into_inner) = self.0;
    }

    fn place(&self) -> &'static Mutex<[u8; 32]> {
        &PROOFS[usize::from(u16::from_le_bytes([self.0[0], self.0[1]])) % PLACES]
    }
}
