//! Saves that fail on purpose. Without the feature `faults` nothing here can fail one.

use crate::record::ChannelKey;

/// A failure to come, for tests: the store answers as it would for a failing disk.
#[cfg(any(test, feature = "faults"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// One save of `key` fails: the next if `nth` is 1 (0 counts as 1), the one after if it is 2, and so on.
    Save {
        /// Whose save.
        key: ChannelKey,
        /// Which one, counted from now.
        nth: u32,
    },
    /// Every save of every channel fails, until [`crate::Store::heal`].
    All,
    /// The next transaction that carries several changes fails when it is committed; each is then tried
    /// alone.
    Batch,
}

#[cfg(any(test, feature = "faults"))]
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pending: std::sync::Mutex<Vec<Fault>>,
}

#[cfg(any(test, feature = "faults"))]
impl Faults {
    pub(crate) fn inject(&self, fault: Fault) {
        self.pending().push(fault);
    }

    pub(crate) fn heal(&self) {
        self.pending().clear();
    }

    /// Whether this save is to fail, however often it is tried.
    pub(crate) fn dooms(&self, key: &ChannelKey) -> bool {
        let mut pending = self.pending();
        let mut doomed = pending.contains(&Fault::All);
        pending.retain_mut(|fault| match fault {
            Fault::Save { key: of, nth } if of == key => {
                *nth = nth.saturating_sub(1);
                doomed |= *nth == 0;
                *nth > 0
            }
            Fault::Save { .. } | Fault::All | Fault::Batch => true,
        });
        doomed
    }

    /// Whether this transaction of several changes is to fail.
    pub(crate) fn dooms_batch(&self) -> bool {
        let mut pending = self.pending();
        let at = pending.iter().position(|fault| *fault == Fault::Batch);
        at.map(|at| pending.remove(at)).is_some()
    }

    fn pending(&self) -> std::sync::MutexGuard<'_, Vec<Fault>> {
        self.pending.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(not(any(test, feature = "faults")))]
#[derive(Debug, Default)]
pub(crate) struct Faults {}

#[cfg(not(any(test, feature = "faults")))]
impl Faults {
    #[inline]
    pub(crate) fn dooms(&self, _key: &ChannelKey) -> bool {
        false
    }

    #[inline]
    pub(crate) fn dooms_batch(&self) -> bool {
        false
    }
}

/// What a full disk says.
pub(crate) fn disk_full() -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL);
    rusqlite::Error::SqliteFailure(code, Some("injected by a test".to_owned()))
}
