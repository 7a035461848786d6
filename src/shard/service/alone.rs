//! Images that this node took while it was a cluster of one: each has one copy, and should have as many as the larger
//! cluster wants that the node belongs to now. They are seen to like all copies that owners lack.
//!
//! Nothing about it is kept on disk: the layout says for as long as it matters that this node was alone, so that it is
//! done again after a restart, and what is there by then is only asked for.

use std::rc::Rc;
use std::time::Duration;

use super::super::Shard;
use crate::executor::run_blocking;
use crate::store::listing;

/// Ids that are listed at once, of all shards.
const PAGE: usize = 1_000;

/// No more are listed while so many copies of this shard have to be seen to: 60 bytes each.
const WAITING_MAX: usize = 10_000;

/// Between two looks whether there is room.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Before a listing that the disk has refused is tried again.
const AFTER_A_FAILURE: Duration = Duration::from_secs(10);

impl Shard {
    /// Has all images of this shard seen to. Ends when all are, or when the layout no longer asks for it.
    pub(super) async fn supply_what_was_taken_alone(self: Rc<Self>) {
        let mut after = None;
        while self.view().was_alone() && !self.lifecycle.stopping.is_set() {
            if self.images.repairs.borrow().count() >= WAITING_MAX || !self.view().is_joined() {
                glommio::timer::sleep(LOOK_AGAIN).await;
                continue;
            }
            let layout = self.node.paths.clone();
            let read = move || listing::page(&layout, after, PAGE);
            let Ok(Ok(page)) = run_blocking("list the images", read).await else {
                log::warn!(shard = self.index(); "cannot list the images that were stored while this node was alone; the shard tries again, check the disk");
                glommio::timer::sleep(AFTER_A_FAILURE).await;
                continue;
            };
            let now = self.node.control.now();
            for listed in page.images.iter().filter(|listed| self.holds(&listed.id)) {
                self.images.repairs.borrow_mut().record(listed.id, now);
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return,
            }
        }
    }
}
