//! One at a time per id: an asynchronous lock for each image that is being published.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};

use super::oneshot;
use crate::object::ObjectId;

/// The locks that are held, each with those who wait for it, in order.
#[derive(Debug, Default)]
pub struct IdLocks {
    held: RefCell<HashMap<ObjectId, VecDeque<oneshot::Sender<()>>>>,
}

/// A held lock; dropping it passes it on.
#[derive(Debug)]
pub struct IdGuard<'a> {
    locks: &'a IdLocks,
    id: ObjectId,
}

impl IdLocks {
    /// Waits for the lock of `id`.
    pub async fn lock(&self, id: ObjectId) -> IdGuard<'_> {
        loop {
            let turn = {
                let mut held = self.held.borrow_mut();
                match held.get_mut(&id) {
                    None => {
                        held.insert(id, VecDeque::new());
                        break;
                    }
                    Some(waiting) => {
                        let (sender, turn) = oneshot::channel();
                        waiting.push_back(sender);
                        turn
                    }
                }
            };
            turn.await;
        }
        IdGuard { locks: self, id }
    }
}

impl Drop for IdGuard<'_> {
    fn drop(&mut self) {
        // Everybody tries again: one wins, the rest queue again. Passing it to one alone would lose
        // the lock when that one has gone away in the meantime.
        let waiting = self.locks.held.borrow_mut().remove(&self.id);
        assert!(waiting.is_some(), "invariant: locks: only a lock that is held is given back");
        drop(waiting);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::{block_on, poll_once};
    use std::pin::pin;

    #[test]
    fn the_second_waits_for_the_first_and_other_ids_do_not() {
        let locks = IdLocks::default();
        let (a, b) = (ObjectId::from_digest([1; 20]), ObjectId::from_digest([2; 20]));
        let first = block_on(locks.lock(a));
        let mut second = pin!(locks.lock(a));
        assert!(block_on(poll_once(&mut second)).is_none());
        assert!(block_on(poll_once(pin!(locks.lock(b)))).is_some());
        drop(first);
        assert!(block_on(poll_once(&mut second)).is_some());
    }

    #[test]
    fn a_waiter_that_left_does_not_keep_the_lock() {
        let locks = IdLocks::default();
        let id = ObjectId::from_digest([1; 20]);
        let first = block_on(locks.lock(id));
        {
            let mut gone = Box::pin(locks.lock(id));
            assert!(block_on(poll_once(&mut gone)).is_none());
        }
        drop(first);
        assert!(block_on(poll_once(pin!(locks.lock(id)))).is_some());
    }
}
