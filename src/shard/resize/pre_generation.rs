//! Pre-generation, when the resize worker has nothing else to do: variants that an upload asked for (`size_hints`), and
//! placeholders of images of which a variant was made.
//!
//! One at a time, and only while no request waits for a queued job. A running one gives way at its next step. What does
//! not fit the bounded list is forgotten: a hint is no promise.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use crate::object::ObjectId;
use crate::shard::Shard;
use crate::shard::variant::{VariantError, VariantRequest};

/// Items that may wait, per shard: those of sixteen uploads at most.
const WAITING_MAX: usize = 256;

/// Pause between two looks at a busy worker.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The items that wait.
#[derive(Debug, Default)]
pub(super) struct PreGenerationQueue {
    items: RefCell<VecDeque<PreGeneration>>,
    is_running: Cell<bool>,
}

/// An item to pre-generate.
#[derive(Debug)]
pub(in crate::shard) enum PreGeneration {
    Variant(VariantRequest),
    Placeholder(ObjectId),
}

/// Marks pre-generation as running; dropping it (also by a panic) lets the next item start it again.
struct RunningGuard<'a>(&'a Cell<bool>);

impl PreGenerationQueue {
    /// Whether the placeholder of this image waits to be made.
    pub(super) fn has_placeholder(&self, id: &ObjectId) -> bool {
        self.items
            .borrow()
            .iter()
            .any(|item| matches!(item, PreGeneration::Placeholder(noted) if noted == id))
    }

    /// Queues an item, if there is room. True: nothing runs, and the caller has to start it.
    fn push(&self, item: PreGeneration) -> bool {
        if self.items.borrow().len() >= WAITING_MAX {
            return false;
        }
        self.items.borrow_mut().push_back(item);
        !self.is_running.replace(true)
    }
}

impl Shard {
    /// Queues an item for an id that this shard holds.
    pub(in crate::shard) fn pre_generate(self: &Rc<Self>, item: PreGeneration) {
        // The first one starts the work, which ends when the list is empty. It begins within this very
        // call, so that no borrow may be held here.
        if self.resize.pre_generation.push(item) {
            let shard = Rc::clone(self);
            self.spawn(async move { shard.run_pre_generation().await });
        }
    }

    async fn run_pre_generation(self: Rc<Self>) {
        let PreGenerationQueue { items, is_running } = &self.resize.pre_generation;
        let _working = RunningGuard(is_running);
        while !self.lifecycle.stopping.is_set() {
            if !self.resize.is_idle() {
                glommio::timer::sleep(LOOK_AGAIN).await;
                continue;
            }
            let Some(item) = items.borrow_mut().pop_front() else { break };
            let made = match &item {
                PreGeneration::Variant(ask) => self.find_or_make(ask).await.map(drop),
                PreGeneration::Placeholder(id) => self.make_placeholder(id).await,
            };
            match made {
                Err(VariantError::GaveWay) => items.borrow_mut().push_front(item),
                Err(error) => {
                    log::debug!(item:? = item, error:? = error; "cannot pre-generate a variant or a placeholder");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_item_starts_the_work_and_one_too_many_is_forgotten() {
        let queue = PreGenerationQueue::default();
        let item = || PreGeneration::Placeholder(ObjectId::from_digest([1; 20]));
        assert!(!queue.has_placeholder(&ObjectId::from_digest([1; 20])));
        assert!(queue.push(item()));
        assert!(queue.has_placeholder(&ObjectId::from_digest([1; 20])));
        assert!(!queue.has_placeholder(&ObjectId::from_digest([2; 20])));
        for _ in 0..WAITING_MAX {
            assert!(!queue.push(item()));
        }
        assert_eq!(queue.items.borrow().len(), WAITING_MAX);
        drop(RunningGuard(&queue.is_running));
        queue.items.borrow_mut().clear();
        assert!(queue.push(item()), "what ended is started again");
    }
}
