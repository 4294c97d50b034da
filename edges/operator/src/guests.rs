//! Who is connected. When there is no room, who was silent longest leaves: a client that only keeps connections open cannot
//! keep the operator out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The connections of a server.
#[derive(Debug)]
pub(crate) struct Guests {
    most: usize,
    present: Mutex<Present>,
}

#[derive(Debug, Default)]
struct Present {
    /// Grows with every arrival and every request: the smallest number was silent longest.
    next: u64,
    by_last_word: BTreeMap<u64, Arc<Notify>>,
}

/// A connection, until it is dropped.
#[derive(Debug)]
pub(crate) struct Guest {
    guests: Arc<Guests>,
    last_word: Mutex<u64>,
    leave: Arc<Notify>,
}

impl Guests {
    /// Room for so many, at least one.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most: most.max(1), present: Mutex::default() })
    }

    /// Lets one in; who was silent longest is asked to leave if there is no room.
    pub fn let_in(self: &Arc<Self>) -> Guest {
        let leave = Arc::new(Notify::new());
        let mut present = self.present();
        if present.by_last_word.len() >= self.most
            && let Some((_, silent)) = present.by_last_word.pop_first()
        {
            silent.notify_one();
        }
        let last_word = Mutex::new(present.enter(&leave));
        drop(present);
        Guest { guests: Arc::clone(self), last_word, leave }
    }

    fn present(&self) -> MutexGuard<'_, Present> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Present {
    fn enter(&mut self, leave: &Arc<Notify>) -> u64 {
        self.next += 1;
        self.by_last_word.insert(self.next, Arc::clone(leave));
        self.next
    }
}

impl Guest {
    /// It asks for something.
    pub fn speaks(&self) {
        let mut last_word = self.last_word.lock().unwrap_or_else(PoisonError::into_inner);
        let mut present = self.guests.present();
        // Who was asked to leave stays so.
        if present.by_last_word.remove(&last_word).is_some() {
            *last_word = present.enter(&self.leave);
        }
    }

    /// Until its place is needed.
    pub async fn is_asked_to_leave(&self) {
        self.leave.notified().await;
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let last_word = *self.last_word.lock().unwrap_or_else(PoisonError::into_inner);
        self.guests.present().by_last_word.remove(&last_word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_asked(guest: &Guest) -> bool {
        use std::future::Future;
        use std::task::{Context, Poll, Waker};
        let mut asked = std::pin::pin!(guest.is_asked_to_leave());
        asked.as_mut().poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
    }

    #[test]
    fn who_was_silent_longest_leaves() {
        let guests = Guests::new(2);
        let (first, second) = (guests.let_in(), guests.let_in());
        first.speaks();
        let third = guests.let_in();
        assert!(is_asked(&second) && !is_asked(&first) && !is_asked(&third));
        second.speaks();
        drop(first);
        let fourth = guests.let_in();
        assert!(!is_asked(&third) && !is_asked(&fourth), "the first one left by itself");
        drop((second, third, fourth));
        assert!(guests.present().by_last_word.is_empty());
    }
}
