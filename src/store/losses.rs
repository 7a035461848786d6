//! Copies that this node had and has no more, or cannot read any more: to be taken from other nodes.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::task::{Poll, Waker};

use crate::object::ObjectId;

/// Losses that wait to be seen to. More are noticed again at their next read: the images of a store of which most has
/// gone are remembered elsewhere.
const WAITING_MAX: usize = 4096;

/// The losses of one shard, each once.
#[derive(Debug, Default)]
pub struct Losses {
    ids: RefCell<BTreeSet<ObjectId>>,
    taker: RefCell<Option<Waker>>,
}

impl Losses {
    pub(super) fn add(&self, id: ObjectId) {
        if self.ids.borrow().len() < WAITING_MAX {
            self.ids.borrow_mut().insert(id);
        }
        assert!(self.ids.borrow().len() <= WAITING_MAX, "invariant: losses: a bounded number waits");
        let taker = self.taker.borrow_mut().take();
        if let Some(taker) = taker {
            taker.wake();
        }
    }

    /// The next loss; waits until there is one. One task takes.
    pub async fn next(&self) -> ObjectId {
        std::future::poll_fn(|context| match self.ids.borrow_mut().pop_first() {
            Some(id) => Poll::Ready(id),
            None => {
                *self.taker.borrow_mut() = Some(context.waker().clone());
                Poll::Pending
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::{block_on, poll_once};
    use std::pin::pin;

    #[test]
    fn each_loss_is_taken_once_and_the_taker_is_woken() {
        let losses = Losses::default();
        let id = |number| ObjectId::from_digest([number; 20]);
        let mut next = pin!(losses.next());
        assert_eq!(block_on(poll_once(&mut next)), None);
        for number in [2, 1, 2] {
            losses.add(id(number));
        }
        assert_eq!(block_on(next), id(1));
        assert_eq!(block_on(losses.next()), id(2));
        assert_eq!(block_on(poll_once(pin!(losses.next()))), None);
    }

    #[test]
    fn losses_beyond_the_bound_are_left_out() {
        let losses = Losses::default();
        for number in 0..WAITING_MAX + 5 {
            let mut digest = [0; 20];
            digest[..8].copy_from_slice(&(number as u64).to_be_bytes());
            losses.add(ObjectId::from_digest(digest));
        }
        assert_eq!(losses.ids.borrow().len(), WAITING_MAX);
    }
}
