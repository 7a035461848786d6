//! The part of a view that changes only with the layout.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::layout::{Layout, LayoutHash, LayoutVersion, MemberEntry, Role, StoreId, SyncHash, Taken};
use super::super::node::NodeId;
use super::super::placement::Placement;
use super::Member;
use super::progress::LayoutProgress;

/// The part of a view that comes from the layout alone. It is compiled once for each layout, for liveness changes far more often.
#[derive(Clone, Debug)]
pub(in crate::cluster) struct CompiledLayout {
    pub(super) this: NodeId,
    pub(super) hash: LayoutHash,
    pub(super) versions: Arc<[CompiledVersion]>,
    /// None of them answers here, and all are as writable as the layout says.
    pub(super) members: BTreeMap<NodeId, Member>,
    pub(super) synced_to: Option<SyncHash>,
    pub(super) holds_nothing: bool,
    pub(super) progress: Arc<LayoutProgress>,
    /// Whose claims to a name or URL do not stand: they take no copies.
    pub(in crate::cluster) refused_claims: BTreeMap<NodeId, Taken>,
}

/// A version with its placement.
#[derive(Clone, Debug)]
pub(super) struct CompiledVersion {
    pub(super) hash: SyncHash,
    pub(super) placement: Placement,
    pub(super) min_replication: usize,
    pub(super) counted_on: BTreeSet<NodeId>,
    /// Which store of this node it was made for.
    pub(super) store: StoreId,
}

impl CompiledLayout {
    /// Of the views of `this` under this layout. What it shares with the layout `before` is not computed again.
    pub(in crate::cluster) fn new(layout: &Layout, this: NodeId, before: Option<&Self>) -> Self {
        let compile = |version: &LayoutVersion| {
            let known = before.and_then(|before| before.version(version, this));
            known.cloned().unwrap_or_else(|| CompiledVersion::new(version, this))
        };
        let mut versions: Vec<_> = layout.current.iter().map(compile).collect();
        let others =
            layout.versions().skip(versions.len()).filter(|version| !layout.current.contains(version));
        versions.extend(others.map(compile));
        assert!(!versions.is_empty(), "invariant: view: a layout has a version");
        assert!(
            versions.iter().all(|version| version.min_replication >= 1),
            "invariant: view: an upload needs at least one copy"
        );
        let empty = layout.nodes.values().all(|known| !known.published.value().holds_images);
        let refused_claims = layout.refused_claims();
        let remaining =
            layout.staged.members.iter().filter(|(_, entry)| *entry.role.value() != Role::Removed);
        let member = |(node, entry): (&NodeId, &MemberEntry)| {
            let known = layout.nodes.get(node)?;
            // While there is nothing to move, a node is shown active only when everybody counts it in.
            let in_current = || layout.current.iter().filter_map(|version| version.role(*node)).max();
            let role = if empty { in_current().unwrap_or(Role::Joining) } else { *entry.role.value() };
            let member = Member {
                name: known.name.value().clone(),
                url: known.url.value().clone(),
                zone: entry.zone.value().clone(),
                weight: *entry.weight.value(),
                role,
                alive: false,
                writable: *known.writable.value() && !refused_claims.contains_key(node),
            };
            Some((*node, member))
        };
        let members: BTreeMap<_, _> = remaining.filter_map(member).collect();
        assert!(
            members.len() <= layout.staged.members.len(),
            "invariant: view: members are entries of the staged version"
        );
        let (hash, synced_to) = (layout.hash(), layout.synced_to(this));
        Self {
            this,
            hash,
            versions: versions.into(),
            members,
            synced_to,
            holds_nothing: empty,
            progress: Arc::new(LayoutProgress::new(layout)),
            refused_claims,
        }
    }

    /// The same version as it was compiled for this layout and the views of the same node.
    fn version(&self, version: &LayoutVersion, this: NodeId) -> Option<&CompiledVersion> {
        let hash = version.sync_hash();
        self.versions.iter().find(|known| self.this == this && known.hash == hash)
    }

    pub(in crate::cluster) fn has_version(&self, hash: SyncHash) -> bool {
        self.versions.iter().any(|version| version.hash == hash)
    }
}

impl CompiledVersion {
    pub(super) fn is_short_of(&self, holders: &[NodeId]) -> bool {
        holders.iter().filter(|node| self.counted_on.contains(node)).count() < self.min_replication
    }

    fn new(version: &LayoutVersion, this: NodeId) -> Self {
        Self {
            hash: version.sync_hash(),
            placement: Placement::new(version),
            min_replication: version.min_replication(),
            counted_on: version.counted_on().collect(),
            store: version.store(this),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::layout::tests::support::{id, layout, new_node};
    use super::super::super::layout::{Copies, Edit};
    use super::super::super::node::Weight;
    use super::*;

    #[test]
    fn a_layout_compiled_after_another_is_the_same_as_compiled_alone() {
        let mut layout = layout(&[0, 0, 1, 1, 2], Copies { replication: 3, min_replication: 1 });
        let mut before = CompiledLayout::new(&layout, id(1), None);
        let mut staged = Vec::new();
        for edit in [
            Edit::Weight(id(2), Weight::new(300).unwrap()),
            Edit::Join(id(9), new_node(9, 1)),
            Edit::Role(id(0), Role::Draining),
            Edit::Role(id(9), Role::Active),
        ] {
            layout.edit(id(3), &edit).unwrap();
            layout.advance(id(1));
            for this in [id(1), id(9)] {
                let after = CompiledLayout::new(&layout, this, Some(&before));
                let alone = CompiledLayout::new(&layout, this, None);
                assert_eq!(format!("{after:?}"), format!("{alone:?}"));
            }
            before = CompiledLayout::new(&layout, id(1), Some(&before));
            staged.push(before.versions.last().map(|version| version.hash));
        }
        staged.dedup();
        assert!(staged.len() > 2, "{staged:?}");
    }
}
