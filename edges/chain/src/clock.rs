//! When key blocks come.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use crate::writer::{Shared, is_height_awaited};

/// Somebody waits for key blocks: for the depth of a transaction, or the end of a lock period. While one of these is
/// alive they come faster.
pub struct DepthWait {
    shared: Arc<Shared>,
}

impl DepthWait {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        shared.waits.fetch_add(1, Ordering::Relaxed);
        shared.wake.notify_one();
        Self { shared }
    }
}

impl Drop for DepthWait {
    fn drop(&mut self) {
        self.shared.waits.fetch_sub(1, Ordering::Relaxed);
        self.shared.wake.notify_one();
    }
}

/// The distances of key blocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Intervals {
    /// Where nobody waits for one.
    pub idle: Duration,
    /// Where somebody does.
    pub awaited: Duration,
}

impl Intervals {
    /// Waits until the next key block is due, `last` having been the one before; a change of who waits counts at once. A
    /// chain that has stopped is due at once.
    pub async fn next_due(&self, last: Instant, shared: &Shared) {
        while shared.health().is_ok() {
            let awaited = shared.waits.load(Ordering::Relaxed) > 0 || is_height_awaited(&shared.shown.get());
            let distance = if awaited { self.awaited.min(self.idle) } else { self.idle };
            tokio::select! {
                () = tokio::time::sleep_until(last + distance) => return,
                () = shared.wake.notified() => {}
            }
        }
    }
}
