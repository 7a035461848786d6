//! In which order to look for an image.

use crate::cluster::node::NodeId;
use crate::cluster::view::View;
use crate::object::ObjectId;

/// Live nodes to ask, this one left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadOrder {
    /// Owners, in placement order.
    pub owners: Vec<NodeId>,
    /// Nodes that may hold a copy nevertheless: fallbacks in placement order, then all others.
    pub others: Vec<NodeId>,
}

/// The order for a variant: every node goes to the same owner first, so that it is made once.
pub fn placement_order(view: &View, id: &ObjectId) -> ReadOrder {
    let asked = |node: &NodeId| *node != view.this() && view.is_alive(*node);
    let owners: Vec<_> = view.owners(id).into_iter().filter(asked).collect();
    let mut others: Vec<_> = view.fallbacks(id).into_iter().filter(asked).collect();
    let rest: Vec<_> = view.members().map(|(node, _)| node).filter(asked).collect();
    others.extend(
        rest.into_iter().filter(|node| !owners.contains(node) && !others.contains(node)).collect::<Vec<_>>(),
    );
    assert!(!owners.contains(&view.this()), "invariant: read: a node does not ask itself");
    assert!(
        !others.iter().any(|node| owners.contains(node)),
        "invariant: read: a node is asked as an owner or as another, not twice"
    );
    assert!(owners.len() + others.len() <= view.members().count(), "invariant: read: only members are asked");
    ReadOrder { owners, others }
}

/// The order for stored bytes: owners of this node's zone first.
pub fn nearest_order(view: &View, id: &ObjectId) -> ReadOrder {
    let mut order = placement_order(view, id);
    let here = view.zone(view.this());
    order.owners.sort_by_key(|node| view.zone(*node) != here);
    order
}
