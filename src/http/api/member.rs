//! A member in the answers of `/status.json` and `/layout`: what both say of it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::cluster::layout::Role;
use crate::cluster::node::NodeId;
use crate::cluster::view::{Member, View};
use crate::shard::node_stats::ClusterStats;
use crate::store::health::DiskTrouble;

/// Slots that are placed to see who has which share: the error is about one percent of it.
pub(super) const SLOTS_SAMPLED: u32 = 4096;

/// The fields of a member that both answers have, under the same names.
#[derive(Serialize)]
pub(super) struct MemberFields {
    name: String,
    id: String,
    url: String,
    zone: String,
    weight: u32,
    state: &'static str,
    alive: bool,
    /// By the layout's word and the disk's.
    writable: bool,
}

impl MemberFields {
    /// Of this member; `trouble` is what keeps its disk from taking copies.
    pub(super) fn new(node: NodeId, member: &Member, trouble: Option<&String>) -> Self {
        Self {
            name: member.name.to_string(),
            id: node.to_string(),
            url: member.url.to_string(),
            zone: member.zone.to_string(),
            weight: member.weight.get(),
            state: state(member.role),
            alive: member.alive,
            writable: member.writable && trouble.is_none(),
        }
    }
}

/// The word for a member's role.
const fn state(role: Role) -> &'static str {
    match role {
        Role::Joining => "joining",
        Role::Active => "active",
        Role::Draining => "draining",
        // A view has no removed ones.
        Role::Out { .. } | Role::Removed => "out",
    }
}

/// The name of a member, or the id of a node that is none.
pub(super) fn name_of(view: &View, node: NodeId) -> String {
    view.member(node).map_or_else(|| node.to_string(), |member| member.name.to_string())
}

/// Why a member's disk takes no copies, where it does not. A node knows its own state at once, and that of the others by
/// their last stats.
pub(super) fn trouble_of(
    view: &View,
    stats: &ClusterStats,
    own: Option<DiskTrouble>,
    node: NodeId,
) -> Option<String> {
    if node == view.this() {
        return own.map(|trouble| trouble.word().to_owned());
    }
    stats.by_node.get(&node)?.trouble.clone()
}

/// The part of all owned slots that a node owns, 0 to 1, to four places.
pub(super) fn share(owned: &BTreeMap<NodeId, u32>, node: NodeId) -> f64 {
    let all = f64::from(owned.values().sum::<u32>().max(1));
    (f64::from(owned.get(&node).copied().unwrap_or(0)) / all * 1e4).round() / 1e4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_part_of_all_slots_and_nothing_of_none() {
        let node = |number| NodeId::from_bytes([number; 16]);
        let owned = [(node(1), 1), (node(2), 2)].into();
        assert_eq!([1, 2, 3].map(|number| share(&owned, node(number))), [0.3333, 0.6667, 0.0]);
        assert_eq!(share(&BTreeMap::new(), node(1)), 0.0);
    }
}
