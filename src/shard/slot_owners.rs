//! The owners of every slot under one layout, worked out when they are first asked for.
//!
//! Comparisons ask for the owners of all slots that hold images, again and again. A placement costs a microsecond in a
//! large cluster, so each is kept: four bytes a slot, at most 4 MiB a node, and each set of owners once.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::cluster::layout::LayoutHash;
use crate::cluster::node::NodeId;
use crate::cluster::placement::Slot;
use crate::cluster::view::View;

/// Sets of owners that are kept. A cluster of a hundred nodes has more; the rest is worked out each time.
const SETS_MAX: usize = 65_536;

/// The owners of the slots by one view.
pub struct SlotOwners {
    view: Arc<View>,
    known: Mutex<KnownSets>,
}

#[derive(Default)]
struct KnownSets {
    /// The number of each slot's set, from 1; 0: not known.
    of: Vec<u32>,
    sets: Vec<Arc<[NodeId]>>,
    numbers: HashMap<Arc<[NodeId]>, u32>,
}

/// The owners by the newest layout that was asked for: shared by all shards, and never asked on the way of a request.
#[derive(Default)]
pub struct LatestSlotOwners(Mutex<Option<Arc<SlotOwners>>>);

impl LatestSlotOwners {
    /// The owners by this view.
    pub fn of(&self, view: &Arc<View>) -> Arc<SlotOwners> {
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = latest.as_ref().filter(|known| known.hash() == view.hash()) {
            return Arc::clone(known);
        }
        let owners = Arc::new(SlotOwners { view: Arc::clone(view), known: Mutex::default() });
        *latest = Some(Arc::clone(&owners));
        owners
    }
}

impl SlotOwners {
    fn hash(&self) -> LayoutHash {
        self.view.hash()
    }

    /// The owners of a slot in any version of the layout.
    pub fn owners(&self, slot: Slot) -> Arc<[NodeId]> {
        let at = slot.number() as usize;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.of.is_empty() {
            // Zeroed pages that are not touched take no memory.
            known.of = vec![0; Slot::COUNT as usize];
        }
        if let Some(number) = known.of[at].checked_sub(1) {
            return Arc::clone(&known.sets[number as usize]);
        }
        let mut owners = self.view.slot_owners(slot);
        owners.sort_unstable();
        known.keep(at, owners.into())
    }

    /// Whether a node is one of them.
    pub fn is_owner(&self, node: NodeId, slot: Slot) -> bool {
        self.owners(slot).contains(&node)
    }
}

impl KnownSets {
    fn keep(&mut self, at: usize, owners: Arc<[NodeId]>) -> Arc<[NodeId]> {
        if let Some(number) = self.numbers.get(&owners) {
            self.of[at] = *number;
            return owners;
        }
        if self.sets.len() < SETS_MAX {
            self.sets.push(Arc::clone(&owners));
            let number = u32::try_from(self.sets.len())
                .expect("invariant: slot owners: the number of sets is bounded");
            self.numbers.insert(Arc::clone(&owners), number);
            self.of[at] = number;
        }
        owners
    }
}

impl fmt::Debug for SlotOwners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlotOwners").field("layout", &self.hash()).finish_non_exhaustive()
    }
}

impl fmt::Debug for LatestSlotOwners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LatestSlotOwners")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::digest::SlotRange;
    use crate::cluster::layout::Copies;
    use crate::cluster::node::NodeUrl;
    use crate::peer::pool::Address;
    use crate::shard::service::tests::support::{id, layout, view};

    #[test]
    fn owners_are_those_of_the_view_however_often_they_are_asked_for() {
        let latest = LatestSlotOwners::default();
        let address = |number: u8| Address {
            url: NodeUrl::parse(&format!("http://10.0.0.{number}:8080")).unwrap(),
            node: Some(id(number)),
        };
        let addresses: Vec<_> = (1..=5).map(address).collect();
        let copies = Copies { replication: 3, min_replication: 2 };
        let view = view(&layout(&addresses.iter().collect::<Vec<_>>(), copies), id(1), &[]);
        let owners = latest.of(&view);
        let slots = || SlotRange::ALL.children().filter_map(|range| SlotRange::new(range.first(), 4)?.slot());
        for slot in slots().chain(slots()) {
            let mut right = view.slot_owners(slot);
            right.sort_unstable();
            assert_eq!(*owners.owners(slot), *right);
            assert!(owners.is_owner(right[0], slot));
        }
        assert!(owners.known.lock().unwrap().sets.len() <= 10);
        assert!(Arc::ptr_eq(&owners, &latest.of(&view)));
    }
}
