use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::server::Leaver;

/// Who was asked to leave may have a request in hand by then; after this another one is asked.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// The seats of a server.
pub(crate) struct Seats {
    leaver: Leaver,
    free: Arc<Semaphore>,
    taken: Mutex<BTreeMap<u64, Arc<Place>>>,
    signs: Arc<AtomicU64>,
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
    leaver: Leaver,
    /// The signs of life of all connections, counted.
    signs: Arc<AtomicU64>,
    /// The number of its last one: the smallest was silent longest.
    last_sign: AtomicU64,
    /// Requests that were read and not answered.
    in_hand: AtomicUsize,
    leave: Notify,
}

/// A request that was read, until it is answered.
pub(crate) struct InHand(Arc<Place>);

impl Seats {
    /// So many seats, at least one.
    pub fn new(count: usize, leaver: Leaver) -> Arc<Self> {
        let (free, signs) = (Arc::new(Semaphore::new(count.max(1))), Arc::default());
        Arc::new(Self { leaver, free, taken: Mutex::default(), signs })
    }

    /// A seat: a free one, or that of who is to make room.
    pub async fn take(self: &Arc<Self>) -> Option<Seat> {
        let free = loop {
            let free = tokio::time::timeout(ASK_AGAIN, Arc::clone(&self.free).acquire_owned());
            if self.free.available_permits() == 0 {
                self.ask_one_to_leave();
            }
            if let Ok(free) = free.await {
                // It is never closed.
                break free.ok()?;
            }
        };
        let number = next(&self.signs);
        let place = Arc::new(Place {
            leaver: self.leaver,
            signs: Arc::clone(&self.signs),
            last_sign: AtomicU64::new(number),
            in_hand: AtomicUsize::new(0),
            leave: Notify::new(),
        });
        self.places().insert(number, Arc::clone(&place));
        Some(Seat { number, place, seats: Arc::clone(self), _free: free })
    }

    fn ask_one_to_leave(&self) {
        let places = self.places();
        let may_leave = places.values().filter(|place| place.may_leave());
        if let Some(place) = may_leave.min_by_key(|place| place.last_sign.load(Ordering::Relaxed)) {
            place.leave.notify_one();
        }
    }

    fn places(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Place>>> {
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
        match self.leaver {
            Leaver::Idle { .. } => self.lives(),
            Leaver::Any => {}
        }
    }

    /// A request was read.
    pub fn takes_in_hand(self: &Arc<Self>) -> InHand {
        match self.leaver {
            Leaver::Idle { .. } => {}
            Leaver::Any => self.lives(),
        }
        self.in_hand.fetch_add(1, Ordering::Relaxed);
        InHand(Arc::clone(self))
    }

    /// Until somebody else needs the seat, and this connection may leave it.
    pub async fn is_to_be_left(&self) {
        loop {
            self.leave.notified().await;
            if self.may_leave() {
                return;
            }
        }
    }

    fn lives(&self) {
        self.last_sign.store(next(&self.signs), Ordering::Relaxed);
    }

    fn may_leave(&self) -> bool {
        match self.leaver {
            Leaver::Idle { .. } => self.in_hand.load(Ordering::Relaxed) == 0,
            Leaver::Any => true,
        }
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.0.in_hand.fetch_sub(1, Ordering::Relaxed);
    }
}

fn next(signs: &AtomicU64) -> u64 {
    signs.fetch_add(1, Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    const IDLE: Leaver = Leaver::Idle { stall_time: Duration::from_secs(1) };

    fn is_ready(future: impl Future) -> bool {
        matches!(pin!(future).poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(_))
    }

    /// Whether a seat is to be left, now that one more client has come and asked for one.
    async fn asked<const N: usize>(seats: &Arc<Seats>, taken: [&Seat; N]) -> [bool; N] {
        assert!(!is_ready(seats.take()), "no seat is free");
        taken.map(|seat| is_ready(seat.place.is_to_be_left()))
    }

    #[tokio::test]
    async fn who_was_silent_longest_leaves_its_seat_to_the_next() {
        for leaver in [IDLE, Leaver::Any] {
            let seats = Seats::new(3, leaver);
            let (first, second) = (seats.take().await.unwrap(), seats.take().await.unwrap());
            let third = seats.take().await.unwrap();
            first.place.moves();
            drop(first.place.takes_in_hand());
            assert_eq!(asked(&seats, [&first, &second, &third]).await, [false, true, false]);
            drop(second);
            let fourth = seats.take().await.unwrap();
            assert_eq!(asked(&seats, [&first, &third, &fourth]).await, [false, true, false]);
            drop((first, third, fourth));
            assert!(seats.places().is_empty());
        }
    }

    #[tokio::test]
    async fn who_has_a_request_in_hand_stays_or_not() {
        for (leaver, leaves) in [(IDLE, [false, true]), (Leaver::Any, [true, false])] {
            let seats = Seats::new(2, leaver);
            let (first, second) = (seats.take().await.unwrap(), seats.take().await.unwrap());
            let asking = first.place.takes_in_hand();
            drop(second.place.takes_in_hand());
            second.place.moves();
            assert_eq!(asked(&seats, [&first, &second]).await, leaves);
            let also_asking = second.place.takes_in_hand();
            first.place.moves();
            assert_eq!(asked(&seats, [&first, &second]).await, [leaves[0], false]);
            drop((asking, also_asking));
        }
    }

    #[tokio::test]
    async fn bytes_are_a_sign_of_life_or_requests_are() {
        for (leaver, leaves) in [(IDLE, [false, true]), (Leaver::Any, [true, false])] {
            let seats = Seats::new(2, leaver);
            let (first, second) = (seats.take().await.unwrap(), seats.take().await.unwrap());
            drop(second.place.takes_in_hand());
            first.place.moves();
            assert_eq!(asked(&seats, [&first, &second]).await, leaves);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_seat_is_waited_for_until_one_may_be_left() {
        let seats = Seats::new(1, IDLE);
        let first = seats.take().await.unwrap();
        let asking = first.place.takes_in_hand();
        let mut next = pin!(seats.take());
        assert!(tokio::time::timeout(Duration::from_secs(9), next.as_mut()).await.is_err());
        drop(asking);
        let leaves = async {
            first.place.is_to_be_left().await;
            drop(first);
        };
        let (seat, ()) = tokio::join!(next, leaves);
        assert!(seat.is_some());
    }

    #[tokio::test]
    async fn there_is_at_least_one_seat() {
        assert!(is_ready(Seats::new(0, Leaver::Any).take()));
    }
}
