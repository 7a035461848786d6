//! When a node compares itself with which member, and whether it is in sync with all of them.

use std::collections::{BTreeMap, BTreeSet};

use super::effect::CompareConclusion;
use crate::cluster::layout::SyncHash;
use crate::cluster::node::NodeId;
use crate::cluster::protocol::deviation::{Deviation, Deviations, Shipped};
use crate::cluster::time::Time;
use crate::cluster::view::View;

/// Comparisons of one node that are under way at once. Each holds at most a megabyte.
const UNDER_WAY_MAX: usize = 8;

/// Between two comparisons with a member that this node is in sync with, in milliseconds.
const SETTLED_MS: u64 = 30_000;

/// In a large cluster, the same for each member: the traffic of a node at rest does not grow with the cluster.
const SETTLED_EACH_MS: u64 = 1_000;

/// The same while they are not in sync, after a comparison that mended something, and after one that did not.
const PROGRESS_MS: u64 = 100;
const AGAIN_MS: u64 = 2_000;

/// The comparisons of one node.
#[derive(Clone, Debug, Default)]
pub struct CompareSchedule<D = Shipped> {
    deviations: D,
    synced_with: BTreeMap<NodeId, SyncHash>,
    under_way: BTreeSet<NodeId>,
    due: BTreeMap<NodeId, Time>,
}

impl<D: Deviations> CompareSchedule<D> {
    /// Between two looks at what is due, in milliseconds.
    pub const LOOK_EVERY_MS: u64 = 250;

    /// The schedule of a node that has just started; in the simulator, with bugs.
    pub fn deviating(deviations: D) -> Self {
        Self { deviations, synced_with: BTreeMap::new(), under_way: BTreeSet::new(), due: BTreeMap::new() }
    }

    /// The members to be compared with now. Each comparison that begins is to be ended with [`Self::end`].
    pub fn take_due(&mut self, now: Time, view: &View) -> Vec<NodeId> {
        let Some(version) = view.staged_version() else { return Vec::new() };
        let room = UNDER_WAY_MAX - self.under_way.len();
        let others = counted_others(view).filter(|node| view.is_alive(*node));
        let is_due = |node: &NodeId| {
            // Another version is compared at once.
            let is_new = self.synced_with.get(node).is_some_and(|synced| *synced != version);
            is_new || self.due.get(node).is_none_or(|due| *due <= now)
        };
        let mut due: Vec<_> = others.filter(|node| !self.under_way.contains(node)).filter(is_due).collect();
        // The one that has waited longest first.
        due.sort_by_key(|node| self.due.get(node).copied().unwrap_or_default());
        due.truncate(room);
        self.under_way.extend(&due);
        assert!(self.under_way.len() <= UNDER_WAY_MAX, "invariant: compare: a bounded number is under way");
        due
    }

    /// The comparison with this member has ended.
    pub fn end(&mut self, node: NodeId, conclusion: CompareConclusion, now: Time, view: &View) {
        let was_under_way = self.under_way.remove(&node);
        assert!(was_under_way, "invariant: compare: what ends was under way");
        let pause = match conclusion {
            CompareConclusion::InSync(version) => {
                self.synced_with.insert(node, version);
                SETTLED_MS.max(SETTLED_EACH_MS * counted_others(view).count() as u64)
            }
            CompareConclusion::Progress => PROGRESS_MS,
            CompareConclusion::Differs | CompareConclusion::Failed => AGAIN_MS,
        };
        // A member that does not answer may come back as it was; one that differs is not in sync.
        if matches!(conclusion, CompareConclusion::Progress | CompareConclusion::Differs) {
            self.synced_with.remove(&node);
        }
        self.due.insert(node, now.after(pause));
        self.due.retain(|node, _| view.member(*node).is_some());
        self.synced_with.retain(|node, _| view.member(*node).is_some());
    }

    /// The staged version, if this node is in sync under it with every other member that is counted on.
    pub fn synced(&self, view: &View) -> Option<SyncHash> {
        let version = view.staged_version()?;
        let is_in_sync = self.deviations.has(Deviation::SyncedTooEarly)
            || counted_others(view).all(|node| self.synced_with.get(&node) == Some(&version));
        is_in_sync.then_some(version)
    }

    /// Members that are counted on and that this node is not in sync with.
    pub fn open(&self, view: &View) -> Vec<NodeId> {
        let version = view.staged_version();
        counted_others(view).filter(|node| self.synced_with.get(node).copied() != version).collect()
    }
}

fn counted_others(view: &View) -> impl Iterator<Item = NodeId> {
    view.members().map(|(node, _)| node).filter(|node| *node != view.this() && view.is_counted_on(*node))
}
