//! Pre-generation, when the resize worker has nothing else to do: variants that an upload asked for (`size_hints`), and
//! placeholders of images of which a variant was made.
//!
//! One at a time, and only while no request waits for a queued job. A running one gives way at its next step. What does
//! not fit the bounded list is forgotten: a hint is no promise.

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use crate::object::ObjectId;
use crate::shard::Shard;
use crate::shard::variant::VariantError;
use crate::shard::variant::VariantRequest;

/// Items that may wait, per shard: those of sixteen uploads at most.
const WAITING_MAX: usize = 256;

/// Pause between two looks at a busy worker.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The items that wait.
pub(in crate::shard) type PreGenerationQueue = VecDeque<PreGeneration>;

/// An item to pre-generate.
#[derive(Debug)]
pub(in crate::shard) enum PreGeneration {
    Variant(VariantRequest),
    Placeholder(ObjectId),
}

/// Marks pre-generation as running; dropping it (also by a panic) lets the next item start it again.
struct RunningGuard<'a>(&'a Cell<bool>);

impl Shard {
    /// Queues an item for an id that this shard holds.
    pub(in crate::shard) fn pre_generate(self: &Rc<Self>, item: PreGeneration) {
        if self.pre_generation.borrow().len() >= WAITING_MAX {
            return;
        }
        self.pre_generation.borrow_mut().push_back(item);
        // The first one starts the work, which ends when the list is empty. It begins within this very
        // call, so that no borrow may be held here.
        if !self.is_pre_generating.replace(true) {
            let shard = Rc::clone(self);
            self.spawn(async move { shard.run_pre_generation().await });
        }
    }

    async fn run_pre_generation(self: Rc<Self>) {
        let _working = RunningGuard(&self.is_pre_generating);
        while !self.stopping.is_set() {
            if !self.jobs.borrow().is_empty() {
                glommio::timer::sleep(LOOK_AGAIN).await;
                continue;
            }
            let Some(item) = self.pre_generation.borrow_mut().pop_front() else { break };
            let made = match &item {
                PreGeneration::Variant(ask) => self.find_or_make(ask).await.map(drop),
                PreGeneration::Placeholder(id) => self.make_placeholder(id).await,
            };
            match made {
                Err(VariantError::GaveWay) => self.pre_generation.borrow_mut().push_front(item),
                Err(error) => {
                    log::debug!(item:? = item, error:? = error; "cannot pre-generate a variant or a placeholder")
                }
                Ok(()) => {}
            }
        }
    }
}

impl Drop for RunningGuard<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}
