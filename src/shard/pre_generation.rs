//! What is made ahead, when the resize worker has nothing else to do: variants that were hinted at (`size_hints` of
//! an upload), and the facts of images of which a variant was made.
//!
//! One at a time and only while no job that somebody waits for is queued; one that is running gives way
//! at its next step. What does not fit the bounded list is forgotten: a hint is no promise.

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use super::Shard;
use super::message::VariantAsk;
use super::variant::VariantError;
use crate::object::ObjectId;

/// Hints that wait, per shard: the most of sixteen uploads.
const WAITING_MAX: usize = 256;

/// Pause between two looks at a busy worker.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The hints that wait.
pub(super) type Hints = VecDeque<Hint>;

/// What may be made ahead.
#[derive(Debug)]
pub(super) enum Hint {
    Variant(VariantAsk),
    Facts(ObjectId),
}

/// Says that the work goes on; dropping it (also by a panic) lets the next hint start it again.
struct Working<'a>(&'a Cell<bool>);

impl Shard {
    /// Notes what is to be made ahead, of an image that this shard owns.
    pub(super) fn hint(self: &Rc<Self>, hint: Hint) {
        if self.hints.borrow().len() >= WAITING_MAX {
            return;
        }
        self.hints.borrow_mut().push_back(hint);
        // The first one starts the work, which ends when the list is empty. It begins within this very
        // call, so that no borrow may be held here.
        if !self.making_ahead.replace(true) {
            let shard = Rc::clone(self);
            self.spawn(async move { shard.make_ahead().await });
        }
    }

    async fn make_ahead(self: Rc<Self>) {
        let _working = Working(&self.making_ahead);
        while !self.stopping.is_set() {
            if !self.jobs.borrow().is_empty() {
                glommio::timer::sleep(LOOK_AGAIN).await;
                continue;
            }
            let Some(hint) = self.hints.borrow_mut().pop_front() else { break };
            let made = match &hint {
                Hint::Variant(ask) => self.find_or_make(ask).await.map(drop),
                Hint::Facts(id) => self.learn(id).await,
            };
            match made {
                Err(VariantError::GaveWay) => self.hints.borrow_mut().push_front(hint),
                Err(error) => log::debug!(hint:? = hint, error:? = error; "a hint could not be followed"),
                Ok(()) => {}
            }
        }
    }
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}
