//! Node stats: what each member reports of itself every few seconds. For pages and operators; nothing is decided by
//! them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::moving::{MemberMove, MoveProgress, MovingSlots};
use crate::cluster::layout::ConfigurationDrift;
use crate::cluster::node::NodeId;
use crate::cluster::view::View;

/// The stats of one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStats {
    /// Images stored; `None` until they are counted.
    pub images: Option<u64>,
    /// Bytes of them.
    pub bytes: Option<u64>,
    /// Bytes that its disk has room for still; `None` if the system does not say.
    pub free: Option<u64>,
    /// Of the program.
    pub version: String,
    /// A checksum over what its configuration says about variants: where it differs, entity tags differ.
    pub recipe: u32,
    /// A fingerprint of its operator key; `None` of a node that does not report it.
    #[serde(default)]
    pub operator_key: Option<String>,
    /// Images of which it has a record that a copy is missing or misplaced; `None` of a node that does not report it.
    #[serde(default)]
    pub repair_debt: Option<u64>,
    /// Why its disk takes no copies, by name; unknown names are of later versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// The part of its new slots that has come; `None` while nothing moves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moving: Option<MovingSlots>,
    /// Bytes of copies that it has made in a second, of late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repair_rate: Option<u64>,
}

/// The stats of all members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterStats {
    /// By node.
    pub by_node: BTreeMap<NodeId, NodeStats>,
    /// Members that are away for long and that an operator has to decide on.
    pub needs_operator: BTreeSet<NodeId>,
    /// Keys in which this node's configuration differs from the layout.
    pub drift: Vec<ConfigurationDrift>,
    /// Members whose operator key is another one than this node's.
    pub other_operator_key: BTreeSet<NodeId>,
    /// Members whose `[images]` section makes other variants than this node's.
    pub other_recipe: BTreeSet<NodeId>,
    /// Of a node without a cluster: whom it asked to join, and what came back.
    pub joining: Option<String>,
}

/// The latest stats: control replaces them, and pages read them.
#[derive(Debug, Default)]
pub struct LatestStats(Mutex<Arc<ClusterStats>>);

impl ClusterStats {
    /// The rest that is still to be moved, by the members that answer; `None` while nothing moves.
    pub fn move_progress(&self, view: &View) -> Option<MoveProgress> {
        let alive = self.by_node.iter().filter(|(node, _)| **node == view.this() || view.is_alive(**node));
        let members = alive.map(|(_, stats)| MemberMove {
            slots: stats.moving,
            images: stats.images.unwrap_or(0),
            bytes: stats.bytes.unwrap_or(0),
            bytes_per_second: stats.repair_rate.unwrap_or(0),
        });
        MoveProgress::of(members).filter(|_| !view.is_settled())
    }
}

impl NodeStats {
    /// Longer ones are rejected.
    const BYTES_MAX: usize = 1024;

    /// As they are sent.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("invariant: node stats: plain fields serialise")
    }

    /// Reads what [`Self::encode`] wrote. `None` for anything else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok().filter(|_| bytes.len() <= Self::BYTES_MAX)
    }
}

impl LatestStats {
    /// The newest.
    pub fn newest(&self) -> Arc<ClusterStats> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on it is this one.
    pub fn replace(&self, stats: ClusterStats) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(stats);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stats_are_read_as_they_were_sent_and_no_longer_than_they_may_be() {
        let stats = NodeStats {
            images: Some(3),
            bytes: None,
            free: Some(9),
            version: "1".into(),
            recipe: 7,
            operator_key: Some("a".into()),
            repair_debt: Some(2),
            trouble: None,
            moving: Some(MovingSlots { owned: 1, owned_held: 2, coming: 3, coming_held: 4 }),
            repair_rate: Some(5),
        };
        assert_eq!(NodeStats::decode(&stats.encode()), Some(stats.clone()));
        let full = NodeStats { trouble: Some("disk-full".into()), ..stats.clone() };
        assert_eq!(NodeStats::decode(&full.encode()), Some(full));
        assert_eq!(NodeStats::decode(b"{}"), None);
        assert_eq!(NodeStats::decode(&NodeStats { version: "x".repeat(2000), ..stats }.encode()), None);
    }
}
