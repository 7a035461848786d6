//! The part of a view that changes only with the layout.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::layout::{Column, Entry, Layout, LayoutHash, Role, Store, SyncHash, Taken};
use super::super::node::NodeId;
use super::super::placement::Placement;
use super::Member;

/// What a layout alone says of a node's views: worked out once, for who answers changes far more often.
#[derive(Clone, Debug)]
pub(in crate::cluster) struct Outline {
    pub(super) this: NodeId,
    pub(super) hash: LayoutHash,
    pub(super) columns: Arc<[ColumnView]>,
    /// None of them answers here, and all are as writable as the layout says.
    pub(super) members: BTreeMap<NodeId, Member>,
    pub(super) synced_to: Option<SyncHash>,
    pub(super) holds_nothing: bool,
    /// Whose claims to a name or URL do not stand: they take no copies.
    pub(in crate::cluster) refused_claims: BTreeMap<NodeId, Taken>,
}

/// A column with its placement.
#[derive(Clone, Debug)]
pub(super) struct ColumnView {
    pub(super) hash: SyncHash,
    pub(super) placement: Placement,
    pub(super) min_replication: usize,
    pub(super) counted_on: BTreeSet<NodeId>,
    /// Which store of this node it was made for.
    pub(super) store: Store,
}

impl Outline {
    /// Of the views of `this` under this layout.
    pub(in crate::cluster) fn new(layout: &Layout, this: NodeId) -> Self {
        let mut columns: Vec<_> = layout.now.iter().map(|column| ColumnView::new(column, this)).collect();
        let others = layout.columns().skip(columns.len()).filter(|column| !layout.now.contains(column));
        columns.extend(others.map(|column| ColumnView::new(column, this)));
        let empty = layout.nodes.values().all(|known| !known.published.value().holds_images);
        let refused_claims = layout.refused_claims();
        let standing = layout.next.members.iter().filter(|(_, entry)| *entry.role.value() != Role::Removed);
        let member = |(node, entry): (&NodeId, &Entry)| {
            let known = layout.nodes.get(node)?;
            // While there is nothing to move, a node is shown active only when everybody counts it in.
            let in_now = || layout.now.iter().filter_map(|column| column.role(*node)).max();
            let role = if empty { in_now().unwrap_or(Role::Joining) } else { *entry.role.value() };
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
        let members = standing.filter_map(member).collect();
        let (hash, synced_to) = (layout.hash(), layout.synced_to(this));
        Self { this, hash, columns: columns.into(), members, synced_to, holds_nothing: empty, refused_claims }
    }

    pub(in crate::cluster) fn has_column(&self, hash: SyncHash) -> bool {
        self.columns.iter().any(|column| column.hash == hash)
    }
}

impl ColumnView {
    pub(super) fn is_short_of(&self, holders: &[NodeId]) -> bool {
        holders.iter().filter(|node| self.counted_on.contains(node)).count() < self.min_replication
    }

    fn new(column: &Column, this: NodeId) -> Self {
        Self {
            hash: column.sync_hash(),
            placement: Placement::new(column),
            min_replication: column.min_replication(),
            counted_on: column.counted_on().collect(),
            store: column.store(this),
        }
    }
}
