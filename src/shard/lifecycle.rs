//! A shard between start and end, as control says: it gets a listener, stops accepting, and ends.

use std::cell::RefCell;
use std::os::fd::OwnedFd;

use super::latch::Latch;

/// The state of a shard between start and end.
#[derive(Debug, Default)]
pub struct Lifecycle {
    /// Set when no new connection or request is to be taken.
    pub stopping: Latch,
    /// Set when no shard has a connection any more.
    pub ended: Latch,
    listener: RefCell<Option<OwnedFd>>,
    /// Set when there is a listener, or will be none.
    listening: Latch,
}

impl Lifecycle {
    /// Waits for the listener that control sends when the whole node is ready. `None`: the node
    /// stops before that.
    pub async fn listener(&self) -> Option<OwnedFd> {
        self.listening.wait().await;
        self.listener.borrow_mut().take()
    }

    /// The whole node is ready: requests may come.
    pub(super) fn listen(&self, listener: OwnedFd) {
        *self.listener.borrow_mut() = Some(listener);
        self.listening.set();
    }

    /// No new connection or request is to be taken.
    pub(super) fn stop(&self) {
        self.stopping.set();
        self.listening.set();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::{block_on, poll_once};
    use std::fs::File;

    #[test]
    fn the_listener_is_waited_for_until_it_comes() {
        let lifecycle = Lifecycle::default();
        let mut listener = Box::pin(lifecycle.listener());
        assert!(block_on(poll_once(&mut listener)).is_none());
        lifecycle.listen(File::open("/dev/null").unwrap().into());
        assert!(block_on(listener).is_some());
        assert!(!lifecycle.stopping.is_set());
    }

    #[test]
    fn a_node_that_stops_before_it_is_ready_has_no_listener() {
        let lifecycle = Lifecycle::default();
        lifecycle.stop();
        assert!(block_on(lifecycle.listener()).is_none() && lifecycle.stopping.is_set());
    }
}
