//! Several futures of one task, of which the next that is ready is wanted. Few: each wake looks at all of them.

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

/// Futures under way. Dropping it drops them.
pub(super) struct Several<'a, T>(Vec<Pin<Box<dyn Future<Output = T> + 'a>>>);

impl<'a, T> Several<'a, T> {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn push(&mut self, future: impl Future<Output = T> + 'a) {
        self.0.push(Box::pin(future));
    }

    /// The result of the next one that ends; `None` when none is under way.
    pub(super) async fn next(&mut self) -> Option<T> {
        if self.0.is_empty() {
            return None;
        }
        let ended = std::future::poll_fn(|context| {
            for (index, future) in self.0.iter_mut().enumerate() {
                if let Poll::Ready(result) = future.as_mut().poll(context) {
                    return Poll::Ready((index, result));
                }
            }
            Poll::Pending
        });
        let (index, result) = ended.await;
        drop(self.0.swap_remove(index));
        Some(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::oneshot;
    use futures_lite::future::{block_on, poll_once};

    #[test]
    fn results_come_in_the_order_in_which_they_are_ready() {
        let mut several = Several::new();
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..3).map(|_| oneshot::channel()).unzip();
        receivers.into_iter().for_each(|receiver| several.push(receiver));
        assert!(block_on(poll_once(several.next())).is_none());
        let mut senders: Vec<_> = senders.into_iter().map(Some).collect();
        for index in [2, 0, 1] {
            senders[index].take().unwrap().send(index);
            assert_eq!(block_on(several.next()), Some(Some(index)));
        }
        assert_eq!(block_on(several.next()), None);
    }
}
