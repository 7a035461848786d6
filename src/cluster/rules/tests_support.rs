//! Scenes that the tests of the rules and of the protocol machines begin with.

use std::collections::BTreeSet;

use super::super::layout::tests_support::{id as node, layout};
use super::super::layout::{Copies, Edit, Layout, Role};
use super::super::node::NodeId;
use super::super::time::Time;
use super::super::view::{LocalState, View, Writes};
use super::absence::LookupReply;
use crate::object::ObjectId;

pub(in crate::cluster) const COPIES: Copies = Copies { replication: 3, min_replication: 2 };

pub(in crate::cluster) fn object(number: u8) -> ObjectId {
    ObjectId::from_digest([number.wrapping_mul(37); 20])
}

/// The view of node 0 with all but these alive.
pub(in crate::cluster) fn view_without(layout: &Layout, dead: &[NodeId]) -> View {
    let alive = layout.nodes.keys().copied().filter(|it| !dead.contains(it)).collect();
    let local = LocalState {
        this: node(0),
        since: Time::default(),
        alive,
        known: BTreeSet::new(),
        writes: Writes::Allowed,
        store: 0,
    };
    View::new(layout, local)
}

pub(in crate::cluster) fn view(layout: &Layout) -> View {
    view_without(layout, &[])
}

/// Five nodes in five zones.
pub(in crate::cluster) fn five() -> Layout {
    layout(&[0, 1, 2, 3, 4], COPIES)
}

pub(in crate::cluster) fn set_role(layout: &mut Layout, of: NodeId, role: Role) {
    layout.edit(node(0), &Edit::Role(of, role)).unwrap();
}

pub(in crate::cluster) fn synced(layout: &Layout) -> LookupReply {
    LookupReply::Absent(Some(layout.staged.sync_hash()))
}
