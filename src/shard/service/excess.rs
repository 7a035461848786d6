//! Finds the images that this node holds and does not own any more, after each change of the layout, and has each of
//! them handed over to its owners and trimmed. The rule alone says when one may go
//! ([`excess`](crate::cluster::protocol::repair::excess)).

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::super::Shard;
use crate::cluster::layout::LayoutHash;
use crate::cluster::protocol::compare::RANGES_MAX;
use crate::cluster::time::Time;
use crate::cluster::view::View;
use crate::store::manifest::ManifestQueryError;

/// Between two looks whether a walk is due.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A walk over all slots is repeated after this time, in milliseconds: repairs that were given up are found again.
const AGAIN_MS: u64 = 600_000;

/// The same while the last walk found any.
const AGAIN_FOUND_MS: u64 = 60_000;

/// Which shard walks.
const WALKING_SHARD: usize = 0;

impl Shard {
    /// Walks whenever that is due. Run on every shard: one of them does it.
    pub(in crate::shard) async fn find_excess(self: Rc<Self>) {
        if self.index() != WALKING_SHARD {
            return;
        }
        let mut last: Option<(LayoutHash, Time)> = None;
        while !self.lifecycle.stopping.is_set() {
            glommio::timer::sleep(LOOK_EVERY).await;
            let (view, now) = (self.view(), self.node.control.now());
            let is_due = last.is_none_or(|(layout, due)| layout != view.hash() || due <= now);
            if !is_due || !self.has_peers() || !view.is_joined() {
                continue;
            }
            let pause = match self.walk_excess(&view).await {
                Ok(0) => AGAIN_MS,
                Ok(_) => AGAIN_FOUND_MS,
                // The manifests are not ready, or have much to do.
                Err(_) => 0,
            };
            last = Some((view.hash(), self.node.control.now().after(pause)));
        }
    }

    /// Enqueues every image in a slot that this node does not own. Returns their number.
    async fn walk_excess(self: &Rc<Self>, view: &Arc<View>) -> Result<usize, ManifestQueryError> {
        let excess = self.slots_where(view, |owners, this| !owners.is_empty() && !owners.contains(&this));
        let (mut after, mut found) = (None, 0);
        loop {
            let slots = self.node.manifests.slots(Arc::clone(&excess), after, RANGES_MAX).await?;
            let Some(last) = slots.last().copied() else { return Ok(found) };
            after = Some(last);
            let mut behind = None;
            loop {
                let page = self.list_slots(&slots, behind).await?;
                behind = page.ids.last().copied().filter(|_| page.has_more);
                found += page.ids.len();
                let room = self.enqueue_found(page.ids.into_iter().map(|id| (id, None)).collect()).await;
                // The rest is left to the next walk; one that was overtaken by another layout is void.
                if room == 0 || self.view().hash() != view.hash() {
                    return Ok(found.max(1));
                }
                if behind.is_none() {
                    break;
                }
            }
        }
    }
}
