//! Who is connected. When every seat is taken, who has been silent longest leaves it to the next one: a client that only
//! keeps a connection open cannot keep others out.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// Who was asked to leave may have a request in hand by then; after this another one is asked.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// The seats of a server.
pub(crate) struct Seats {
    free: Arc<Semaphore>,
    taken: Mutex<BTreeMap<u64, Arc<Place>>>,
    next: AtomicU64,
    began: Instant,
}

/// The seat of a connection, until it is dropped.
pub(crate) struct Seat {
    number: u64,
    pub place: Arc<Place>,
    seats: Arc<Seats>,
    _free: OwnedSemaphorePermit,
}

/// What is known of a connection.
pub(crate) struct Place {
    began: Instant,
    /// When bytes came or went last, in milliseconds.
    moved: AtomicU64,
    /// Requests that were read and not answered.
    in_hand: AtomicUsize,
    leave: Notify,
}

/// A request that was read, until it is answered.
pub(crate) struct InHand(Arc<Place>);

impl Seats {
    pub fn new(count: usize) -> Arc<Self> {
        let (free, taken) = (Arc::new(Semaphore::new(count)), Mutex::new(BTreeMap::new()));
        Arc::new(Self { free, taken, next: AtomicU64::new(0), began: Instant::now() })
    }

    /// A seat: a free one, or that of who was silent longest. While all have requests in hand, this waits for the first
    /// that is answered.
    pub async fn take(self: &Arc<Self>) -> Option<Seat> {
        let free = loop {
            let free = tokio::time::timeout(ASK_AGAIN, Arc::clone(&self.free).acquire_owned());
            if self.free.available_permits() == 0 {
                self.ask_the_most_silent_to_leave();
            }
            if let Ok(free) = free.await {
                // It is never closed.
                break free.ok()?;
            }
        };
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let place = Arc::new(Place {
            began: self.began,
            moved: AtomicU64::new(0),
            in_hand: AtomicUsize::new(0),
            leave: Notify::new(),
        });
        place.moves();
        self.places().insert(number, Arc::clone(&place));
        Some(Seat { number, place, seats: Arc::clone(self), _free: free })
    }

    fn ask_the_most_silent_to_leave(&self) {
        let places = self.places();
        let silent = places.values().filter(|place| place.is_idle());
        if let Some(place) = silent.min_by_key(|place| place.moved.load(Ordering::Relaxed)) {
            place.leave.notify_one();
        }
    }

    fn places(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Arc<Place>>> {
        // Nothing can panic under the lock.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.places().remove(&self.number);
    }
}

impl Place {
    /// Bytes came or went.
    pub fn moves(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved.store(now, Ordering::Relaxed);
    }

    /// A request was read.
    pub fn takes_in_hand(self: &Arc<Self>) -> InHand {
        self.in_hand.fetch_add(1, Ordering::Relaxed);
        InHand(Arc::clone(self))
    }

    /// Until somebody else needs the seat, and there is nothing to be answered.
    pub async fn is_to_be_left(&self) {
        loop {
            self.leave.notified().await;
            if self.is_idle() {
                return;
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.in_hand.load(Ordering::Relaxed) == 0
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.0.in_hand.fetch_sub(1, Ordering::Relaxed);
    }
}
