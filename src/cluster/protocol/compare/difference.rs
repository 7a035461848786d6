//! The slots in which two nodes differ, and the images that one of them holds and the other should have.

use std::collections::{BTreeMap, BTreeSet};

use super::effect::Side;
use crate::cluster::placement::Slot;
use crate::object::ObjectId;

/// The differences of one slot: images that were held when the comparison looked first, and still are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct SlotDifference {
    /// Held there; this node owns the slot and lacks them.
    lacking_here: BTreeSet<ObjectId>,
    /// Held here; the other node owns the slot and lacks them.
    lacking_there: BTreeSet<ObjectId>,
}

/// Which of the two nodes own a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SlotOwnership {
    pub(super) here: bool,
    pub(super) there: bool,
}

/// All differences that are not mended yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Differences(BTreeMap<Slot, SlotDifference>);

impl Differences {
    /// Takes the first listing of a slot by both nodes. Returns the images that this node lacks.
    pub(super) fn note(
        &mut self,
        slot: Slot,
        owned: SlotOwnership,
        here: &BTreeSet<ObjectId>,
        there: &BTreeSet<ObjectId>,
    ) -> Vec<ObjectId> {
        let mut found = SlotDifference::default();
        if owned.here {
            found.lacking_here = there.difference(here).copied().collect();
        }
        if owned.there {
            found.lacking_there = here.difference(there).copied().collect();
        }
        let lacking = found.lacking_here.iter().copied().collect();
        if found != SlotDifference::default() {
            self.0.insert(slot, found);
        }
        lacking
    }

    /// Takes a later listing of the same slot. An image is mended when the other node has it now, too, or when its
    /// holder does not have it any more. Returns whether any was mended.
    pub(super) fn note_again(
        &mut self,
        slot: Slot,
        here: &BTreeSet<ObjectId>,
        there: &BTreeSet<ObjectId>,
    ) -> bool {
        let Some(found) = self.0.get_mut(&slot) else { return false };
        let before = found.lacking_here.len() + found.lacking_there.len();
        found.lacking_here.retain(|id| there.contains(id) && !here.contains(id));
        found.lacking_there.retain(|id| here.contains(id) && !there.contains(id));
        let after = found.lacking_here.len() + found.lacking_there.len();
        if after == 0 {
            self.0.remove(&slot);
        }
        after < before
    }

    /// The slots that still differ, in order.
    pub(super) fn slots(&self) -> Vec<Slot> {
        self.0.keys().copied().collect()
    }

    /// The number of images that are not mended.
    pub(super) fn images(&self) -> usize {
        self.0.values().map(|found| found.lacking_here.len() + found.lacking_there.len()).sum()
    }
}

/// The listings of both nodes for a batch of slots, page by page.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    slots: Vec<Slot>,
    here: Listing,
    there: Listing,
}

#[derive(Clone, Debug, Default)]
struct Listing {
    ids: BTreeSet<ObjectId>,
    is_whole: bool,
}

impl Batch {
    pub(super) fn new(slots: Vec<Slot>) -> Self {
        assert!(!slots.is_empty(), "invariant: compare: a batch has slots");
        Self { slots, here: Listing::default(), there: Listing::default() }
    }

    pub(super) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Takes a page. Returns the id after which the next one begins; `None` after the last one.
    pub(super) fn take(&mut self, side: Side, ids: Vec<ObjectId>, has_more: bool) -> Option<ObjectId> {
        let listing = match side {
            Side::Here => &mut self.here,
            Side::There => &mut self.there,
        };
        let last = ids.last().copied();
        let slots = &self.slots;
        listing.ids.extend(ids.into_iter().filter(|id| slots.binary_search(&Slot::of(id)).is_ok()));
        listing.is_whole = !has_more;
        last.filter(|_| has_more)
    }

    pub(super) fn is_whole(&self) -> bool {
        self.here.is_whole && self.there.is_whole
    }

    /// The ids of both nodes, in order.
    pub(super) fn ids_of(&self, slot: Slot) -> [BTreeSet<ObjectId>; 2] {
        [&self.here, &self.there]
            .map(|listing| listing.ids.iter().copied().filter(|id| Slot::of(id) == slot).collect())
    }

    /// Ids in memory.
    pub(super) fn len(&self) -> usize {
        self.here.ids.len() + self.there.ids.len()
    }
}
