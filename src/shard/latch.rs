//! A latch: something that happens once on a shard and that many tasks wait for.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// A flag that is set once; waiting ends when it is.
#[derive(Debug, Default)]
pub struct Latch {
    set: Cell<bool>,
    next: Cell<u64>,
    waiting: RefCell<HashMap<u64, Waker>>,
}

/// A wait for a [`Latch`]. Dropping it leaves nothing behind: a shard's latches outlive its connections.
#[derive(Debug)]
pub struct Wait<'a> {
    latch: &'a Latch,
    number: u64,
    /// The waker that is listed. A task that polls again and again compares it and is done.
    listed: Option<Waker>,
}

impl Latch {
    /// Whether it has happened.
    pub fn is_set(&self) -> bool {
        self.set.get()
    }

    /// It happens: everybody who waits goes on.
    pub fn set(&self) {
        self.set.set(true);
        for waker in self.waiting.take().into_values() {
            waker.wake();
        }
    }

    /// Waits until it has happened.
    pub fn wait(&self) -> Wait<'_> {
        let number = self.next.get();
        self.next.set(number + 1);
        Wait { latch: self, number, listed: None }
    }
}

impl Future for Wait<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.latch.set.get() {
            return Poll::Ready(());
        }
        if !self.listed.as_ref().is_some_and(|listed| listed.will_wake(context.waker())) {
            let waker = context.waker().clone();
            self.latch.waiting.borrow_mut().insert(self.number, waker.clone());
            self.listed = Some(waker);
        }
        Poll::Pending
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if self.listed.is_some() {
            let left = self.latch.waiting.borrow_mut().remove(&self.number);
            drop(left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::{block_on, poll_once};

    #[test]
    fn a_wait_ends_when_it_happens_and_leaves_nothing_when_dropped() {
        let latch = Latch::default();
        {
            let mut dropped = latch.wait();
            assert!(block_on(poll_once(&mut dropped)).is_none());
        }
        assert!(latch.waiting.borrow().is_empty());
        let mut waits = latch.wait();
        assert!(block_on(poll_once(&mut waits)).is_none());
        latch.set();
        block_on(waits);
        block_on(latch.wait());
    }
}
