//! A value handed once from one task to another of the same executor. No lock, no atomics.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// The giving end.
#[derive(Debug)]
pub struct Sender<T>(Rc<RefCell<ChannelState<T>>>);

/// The taking end: a future of the value, or of `None` when the sender was dropped without one.
#[derive(Debug)]
pub struct Receiver<T>(Rc<RefCell<ChannelState<T>>>);

#[derive(Debug)]
struct ChannelState<T> {
    value: Option<T>,
    waker: Option<Waker>,
    closed: bool,
}

/// A connected pair.
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let state = Rc::new(RefCell::new(ChannelState { value: None, waker: None, closed: false }));
    (Sender(Rc::clone(&state)), Receiver(state))
}

impl<T> Sender<T> {
    /// Hands the value over; it is dropped when nobody waits any more.
    pub fn send(self, value: T) {
        self.0.borrow_mut().value = Some(value);
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let waker = {
            let mut state = self.0.borrow_mut();
            state.closed = true;
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Future for Receiver<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let mut state = self.0.borrow_mut();
        if state.closed {
            return Poll::Ready(state.value.take());
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::{block_on, poll_once};

    #[test]
    fn a_value_arrives_once_sent() {
        let (sender, mut receiver) = channel();
        assert_eq!(block_on(poll_once(&mut receiver)), None);
        sender.send(7);
        assert_eq!(block_on(receiver), Some(7));
    }

    #[test]
    fn a_dropped_sender_ends_the_wait() {
        let (sender, receiver) = channel::<u8>();
        drop(sender);
        assert_eq!(block_on(receiver), None);
    }
}
