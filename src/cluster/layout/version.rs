//! One version of the layout: who is a member, in which role, with which share, and how many copies are wanted.

use std::collections::BTreeMap;

use super::super::node::{Label, NodeId, Weight};
use super::register::{Rank, Register, Stamp};

/// Copies that can be wanted.
pub(super) const REPLICATION_MAX: u8 = 16;

/// A member's role in the cluster. Only `Active` members own ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Known, not yet an owner of anything.
    Joining,
    /// Owns its share.
    Active,
    /// Hands its share over; its copies still count.
    Draining,
    /// Not counted on. `automatic`: not by an operator, and undone when the node answers again.
    Out {
        /// Whether the cluster decided it by itself.
        automatic: bool,
    },
    /// Gone forever: beats every other role whenever that was written.
    Removed,
}

/// Which of its stores a member has: 0 is the one that it joined with, and one that was found emptied is another. A
/// version with it is promoted only when all others have been brought in order since, with what they were owed.
pub(in crate::cluster) type StoreId = u64;

/// A layout version: who owns what, as it is or is to become.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::cluster) struct LayoutVersion {
    pub(in crate::cluster) members: BTreeMap<NodeId, MemberEntry>,
    pub(in crate::cluster) replication: Register<u8>,
    pub(in crate::cluster) min_replication: Register<u8>,
}

/// A member's part in a version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::cluster) struct MemberEntry {
    pub(in crate::cluster) role: Register<Role>,
    pub(in crate::cluster) weight: Register<Weight>,
    pub(in crate::cluster) zone: Register<Label>,
    pub(in crate::cluster) store: Register<StoreId>,
}

impl Role {
    /// Whether a member in this role must be in sync before a version can be promoted.
    pub fn is_counted_on(self) -> bool {
        matches!(self, Self::Joining | Self::Active | Self::Draining)
    }
}

impl Rank for Role {
    fn rank(&self) -> u8 {
        u8::from(*self == Self::Removed)
    }
}

impl Rank for Weight {}
impl Rank for Label {}
impl Rank for u8 {}
impl Rank for StoreId {}

impl LayoutVersion {
    /// Takes over what the other has later. Says whether anything changed.
    pub(in crate::cluster) fn join(&mut self, other: &Self) -> bool {
        let mut changed = self.replication.join(&other.replication);
        changed |= self.min_replication.join(&other.min_replication);
        for (node, theirs) in &other.members {
            changed |= match self.members.get_mut(node) {
                Some(mine) => mine.join(theirs),
                None => self.members.insert(*node, theirs.clone()).is_none(),
            };
        }
        changed
    }

    /// Whether the other has everything that this has, as late or later.
    pub(in crate::cluster) fn is_within(&self, other: &Self) -> bool {
        let mut joined = other.clone();
        !joined.join(self)
    }

    pub(in crate::cluster) fn role(&self, node: NodeId) -> Option<Role> {
        self.members.get(&node).map(|entry| *entry.role.value())
    }

    /// Whether a node is a member and was not removed.
    pub(in crate::cluster) fn is_member(&self, node: NodeId) -> bool {
        self.role(node).is_some_and(|role| role != Role::Removed)
    }

    /// Which store the version knows a node by; 0 for one that it does not know.
    pub(in crate::cluster) fn store(&self, node: NodeId) -> StoreId {
        self.members.get(&node).map_or(0, |entry| *entry.store.value())
    }

    /// Copies wanted of each image, at least 1.
    pub(in crate::cluster) fn replication(&self) -> usize {
        (*self.replication.value()).into()
    }

    /// Copies before an upload is answered, never more than there are members to be counted on, whether they
    /// answer or not: what is away must not lower what an answer means. Nor more than are wanted, which two
    /// edits at once may bring about.
    pub(in crate::cluster) fn min_replication(&self) -> usize {
        let wanted = usize::from(*self.min_replication.value()).min(self.replication());
        wanted.min(self.counted_on().count()).max(1)
    }

    /// Members in a role that is counted on, in order of ids.
    pub(in crate::cluster) fn counted_on(&self) -> impl Iterator<Item = NodeId> {
        let counted = self.members.iter().filter(|(_, entry)| entry.role.value().is_counted_on());
        counted.map(|(node, _)| *node)
    }

    /// Every stamp in it.
    pub(in crate::cluster) fn stamps(&self) -> impl Iterator<Item = Stamp> {
        let entries = self.members.values();
        let of_entry = |entry: &MemberEntry| {
            [entry.role.stamp(), entry.weight.stamp(), entry.zone.stamp(), entry.store.stamp()]
        };
        let of_cluster = [self.replication.stamp(), self.min_replication.stamp()];
        entries.flat_map(of_entry).chain(of_cluster)
    }
}

impl MemberEntry {
    fn join(&mut self, other: &Self) -> bool {
        let role = self.role.join(&other.role);
        let weight = self.weight.join(&other.weight);
        let zone = self.zone.join(&other.zone);
        let store = self.store.join(&other.store);
        role | weight | zone | store
    }
}
