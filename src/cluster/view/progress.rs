//! The progress of the staged version, and the shares and owners by version: for operators; no rule goes by them.

use std::collections::{BTreeMap, BTreeSet};

use super::super::layout::{Layout, SyncHash};
use super::super::node::NodeId;
use super::super::placement::{Placement, Slot};
use super::View;
use crate::object::ObjectId;

/// The versions of a layout, and whom the staged one waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LayoutProgress {
    /// The promoted versions: one, but where clusters that were founded apart have met.
    pub current: Vec<SyncHash>,
    /// The versions with which all members were in sync.
    pub proposed: Vec<SyncHash>,
    /// The version that edits touch; `None` without a layout.
    pub staged: Option<SyncHash>,
    /// Counted members that have not published that they are in sync with the staged version, while it is not current.
    pub unsynced: BTreeSet<NodeId>,
    /// Counted members that have not acknowledged it, while it is not current.
    pub unacknowledged: BTreeSet<NodeId>,
    /// Copies before an upload is answered, as the layout says it: not lowered to the number of members. 0 without a
    /// layout.
    pub min_replication: u8,
}

/// The owners of an id in one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionOwners {
    /// The version.
    pub hash: SyncHash,
    /// Whether it is promoted.
    pub is_current: bool,
    /// Whether all members were in sync with it.
    pub is_proposed: bool,
    /// Whether edits touch it. A settled version is current, too.
    pub is_staged: bool,
    /// The best first.
    pub owners: Vec<NodeId>,
}

impl LayoutProgress {
    pub(super) fn new(layout: &Layout) -> Self {
        let staged = layout.staged.sync_hash();
        let published = |node: NodeId| layout.nodes.get(&node).map(|known| *known.published.value());
        let counted = || layout.staged.counted_on().filter(|_| !layout.is_settled());
        let unsynced =
            counted().filter(|node| published(*node).is_none_or(|it| it.synced_to != Some(staged)));
        let unacknowledged =
            counted().filter(|node| published(*node).is_none_or(|it| it.acknowledged != Some(staged)));
        Self {
            current: layout.current.iter().map(|version| version.sync_hash()).collect(),
            proposed: layout.proposed.iter().map(|version| version.sync_hash()).collect(),
            staged: Some(staged),
            unsynced: unsynced.collect(),
            unacknowledged: unacknowledged.collect(),
            min_replication: *layout.staged.min_replication.value(),
        }
    }
}

/// The slots of one node while the layout changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotCounts {
    /// Those that it owns in a version before the staged one.
    pub owned: u64,
    /// Those that it owns in the staged version alone.
    pub coming: u64,
}

impl View {
    /// Whether a slot comes to a node with the staged version alone, or was owned by it before. `None`: neither.
    pub fn slot_comes(&self, node: NodeId, slot: Slot) -> Option<bool> {
        let (staged, before) = self.versions.split_last()?;
        let owns = |placement: &Placement| placement.owners(slot).contains(&node);
        if before.iter().any(|version| owns(&version.placement)) {
            return Some(false);
        }
        owns(&staged.placement).then_some(true)
    }

    /// The slots of this node, by a sample of so many. Costs two placements for each of them.
    pub fn slot_counts(&self, of: u32) -> SlotCounts {
        let (mut counts, mut sampled) = (SlotCounts::default(), 0_u64);
        for slot in Slot::sample(of) {
            sampled += 1;
            match self.slot_comes(self.this(), slot) {
                Some(true) => counts.coming += 1,
                Some(false) => counts.owned += 1,
                None => {}
            }
        }
        let each = u64::from(Slot::COUNT) / sampled.max(1);
        SlotCounts { owned: counts.owned * each, coming: counts.coming * each }
    }

    /// The versions, and whom the staged one waits for.
    pub fn progress(&self) -> &LayoutProgress {
        &self.progress
    }

    /// Of so many slots, how many each node owns in the version that is to come. Costs a placement for each.
    pub fn slots_owned(&self, of: u32) -> BTreeMap<NodeId, u32> {
        self.versions.last().map(|version| count(&version.placement, of)).unwrap_or_default()
    }

    /// The same in the current version; in the first of them where there are several.
    pub fn slots_owned_now(&self, of: u32) -> BTreeMap<NodeId, u32> {
        self.versions.first().map(|version| count(&version.placement, of)).unwrap_or_default()
    }

    /// The owners of an id in each version: current, proposed, then staged where it differs.
    pub fn version_owners(&self, id: &ObjectId) -> Vec<VersionOwners> {
        let LayoutProgress { current, proposed, staged, .. } = self.progress();
        let owners = self.versions.iter().map(|version| VersionOwners {
            hash: version.hash,
            is_current: current.contains(&version.hash),
            is_proposed: proposed.contains(&version.hash),
            is_staged: *staged == Some(version.hash),
            owners: version.placement.owners(Slot::of(id)),
        });
        owners.collect()
    }
}

fn count(placement: &Placement, of: u32) -> BTreeMap<NodeId, u32> {
    let mut owned = BTreeMap::new();
    for node in Slot::sample(of).flat_map(|slot| placement.owners(slot)) {
        *owned.entry(node).or_default() += 1;
    }
    let all: u64 = owned.values().map(|slots| u64::from(*slots)).sum();
    let wanted = Slot::sample(of).count() * placement.owner_count();
    assert!(all == wanted as u64, "invariant: placement: every slot has all its owners");
    owned
}
