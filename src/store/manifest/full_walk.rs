//! A presence walk at full pace, which an operator asks for.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

/// The state that the keeper shares with those who ask.
#[derive(Debug, Default)]
pub(super) struct FullWalk {
    is_asked: AtomicBool,
    left: AtomicUsize,
}

impl FullWalk {
    /// Asks for a walk, in place of the one under way.
    pub(super) fn ask(&self) {
        self.is_asked.store(true, SeqCst);
    }

    /// Whether a walk is under way, or was asked for.
    pub(super) fn is_under_way(&self) -> bool {
        // In this order: a request that is taken between the two is seen by one of them.
        self.is_asked.load(SeqCst) || self.left.load(SeqCst) > 0
    }

    /// The keeper takes a request: so many parts are to be compared.
    pub(super) fn take(&self, parts: usize) -> bool {
        if !self.is_asked.load(SeqCst) {
            return false;
        }
        self.left.store(parts, SeqCst);
        self.is_asked.store(false, SeqCst);
        true
    }

    /// So many parts are left.
    pub(super) fn set_left(&self, left: usize) {
        self.left.store(left, SeqCst);
    }
}
