//! Variants made ahead (`size_hints` of an upload), when the resize worker has nothing else to do.
//!
//! One at a time and only while no job that somebody waits for is queued; one that is running gives way
//! at its next step. What does not fit the bounded list is forgotten: a hint is no promise.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use super::Shard;
use super::message::VariantAsk;
use super::variant::VariantError;

/// Hints that wait, per shard: the most of sixteen uploads.
const WAITING_MAX: usize = 256;

/// Pause between two looks at a busy worker.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The hints that wait.
pub(super) type Hints = VecDeque<VariantAsk>;

impl Shard {
    /// Notes a variant to be made ahead, of an image that this shard owns.
    pub(super) fn own_ahead(self: &Rc<Self>, ask: VariantAsk) {
        let mut hints = self.hints.borrow_mut();
        if hints.len() >= WAITING_MAX {
            return;
        }
        hints.push_back(ask);
        // The first one starts the work, which ends when the list is empty.
        if hints.len() == 1 && !self.making_ahead.replace(true) {
            let shard = Rc::clone(self);
            self.spawn(async move { shard.make_ahead().await });
        }
    }

    async fn make_ahead(self: Rc<Self>) {
        while !self.stopping.is_set() {
            if !self.jobs.borrow().is_empty() {
                glommio::timer::sleep(LOOK_AGAIN).await;
                continue;
            }
            let Some(ask) = self.hints.borrow_mut().pop_front() else { break };
            match self.find_or_make(&ask, true).await {
                Err(VariantError::GaveWay) => self.hints.borrow_mut().push_front(ask),
                Err(error) => log::debug!(object:% = ask.id, error:? = error; "a hint could not be made"),
                Ok(_) => {}
            }
        }
        self.making_ahead.set(false);
    }
}
