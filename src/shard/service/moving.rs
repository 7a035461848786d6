//! Counts, while the layout changes, how much of what this node is to own has come.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::super::Shard;
use super::super::moving::MovingSlots;
use crate::cluster::layout::LayoutHash;
use crate::cluster::placement::Slot;
use crate::cluster::view::{SlotCounts, View};
use crate::executor::run_blocking;
use crate::store::manifest::ManifestQueryError;

/// Between two counts.
const COUNT_EVERY: Duration = Duration::from_secs(2);

/// Slots that hold an image of which the owners are looked up in one count, at a microsecond each.
const HELD_MAX: u64 = 65_536;

/// Slots that are placed to see how many this node owns: the error is less than one percent.
const SLOTS_SAMPLED: u32 = 16_384;

/// Which shard counts.
const COUNTING_SHARD: usize = 0;

impl Shard {
    /// Counts for as long as the node runs. Run on every shard: one of them does it.
    pub(in crate::shard) async fn count_moving(self: Rc<Self>) {
        if self.index() != COUNTING_SHARD {
            return;
        }
        let mut owned: Option<(LayoutHash, SlotCounts)> = None;
        while !self.lifecycle.stopping.is_set() {
            glommio::timer::sleep(COUNT_EVERY).await;
            let view = self.view();
            if view.is_settled() || !view.is_joined() {
                self.node.moving.replace(None);
                continue;
            }
            let counts = match owned {
                Some((layout, counts)) if layout == view.hash() => counts,
                _ => {
                    let place = Arc::clone(&view);
                    let counts = run_blocking("count slots", move || place.slot_counts(SLOTS_SAMPLED)).await;
                    // The next round tries again.
                    let Ok(counts) = counts else { continue };
                    counts
                }
            };
            owned = Some((view.hash(), counts));
            // The manifests are not ready, or have much to do: the last count stays.
            if let Ok(moving) = self.count_held(&view, counts).await {
                self.node.moving.replace(Some(moving));
            }
        }
    }

    async fn count_held(
        &self,
        view: &Arc<View>,
        counts: SlotCounts,
    ) -> Result<MovingSlots, ManifestQueryError> {
        let images = self.node.manifests.total().map_or(0, |(images, _)| images);
        let stride = u32::try_from(images.div_ceil(HELD_MAX).max(1).next_power_of_two()).unwrap_or(u32::MAX);
        let held = async |is_coming: bool| {
            let (view, this) = (Arc::clone(view), view.this());
            let wanted = move |slot: Slot| {
                slot.number().is_multiple_of(stride) && view.slot_comes(this, slot) == Some(is_coming)
            };
            let slots = self.node.manifests.slots(Arc::new(wanted), None, usize::MAX).await?;
            Ok::<_, ManifestQueryError>(slots.len() as u64 * u64::from(stride))
        };
        let (owned_held, coming_held) = (held(false).await?, held(true).await?);
        Ok(MovingSlots { owned: counts.owned, owned_held, coming: counts.coming, coming_held })
    }
}
