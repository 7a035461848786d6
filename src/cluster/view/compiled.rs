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
    /// Of the views of `this` under this layout.
    pub(in crate::cluster) fn new(layout: &Layout, this: NodeId) -> Self {
        let mut versions: Vec<_> =
            layout.current.iter().map(|version| CompiledVersion::new(version, this)).collect();
        let others =
            layout.versions().skip(versions.len()).filter(|version| !layout.current.contains(version));
        versions.extend(others.map(|version| CompiledVersion::new(version, this)));
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
