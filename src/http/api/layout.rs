//! `GET|HEAD /layout`: who owns what, now and in the staged version, and whom that version waits for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use super::member::{MemberFields, SLOTS_SAMPLED, name_of, share, trouble_of};
use crate::cluster::layout::SyncHash;
use crate::cluster::node::NodeId;
use crate::cluster::view::View;
use crate::executor::run_blocking;
use crate::http::exchange::{self, HandlerResponse};
use crate::http::reply::{self, Problem};
use crate::shard::Shard;
use crate::shard::moving::MoveProgress;
use crate::shard::node_stats::ClusterStats;
use crate::store::health::DiskTrouble;

#[derive(Serialize)]
struct LayoutResponse {
    /// The asked node.
    node: String,
    /// The hash of the staged version, for `if_layout`; null of a node without a cluster.
    layout: Option<String>,
    /// Whether the staged version is the only one that counts.
    settled: bool,
    /// Copies wanted of each image.
    replication: usize,
    /// Copies before an upload is answered.
    min_replication: u8,
    /// The same, not more than there are members, and by the stricter version while there are several.
    copies_needed: usize,
    versions: Versions,
    waiting_for: Waiting,
    /// The rest that is still to be moved, about; null where nothing is, or nobody has said so yet.
    progress: Option<MoveProgress>,
    /// Bytes that fit until the first member is full; null where a member has not said how much room it has.
    capacity: Option<Capacity>,
    members: Vec<MemberShare>,
}

#[derive(Serialize)]
struct Versions {
    current: Vec<String>,
    proposed: Vec<String>,
    staged: Option<String>,
}

/// Names of the members that hold up the staged version.
#[derive(Serialize)]
struct Waiting {
    sync: Vec<String>,
    acknowledgement: Vec<String>,
}

#[derive(Serialize)]
struct Capacity {
    /// Of all copies.
    copies: u64,
    /// Of images, each counted once.
    images: u64,
}

#[derive(Serialize)]
struct MemberShare {
    #[serde(flatten)]
    member: MemberFields,
    /// Of all copies in the staged version, 0 to 1.
    share: f64,
    /// The same in the current version.
    share_now: f64,
    /// Bytes of the images that it stores; null until it has said so, as the next one.
    bytes: Option<u64>,
    /// Bytes of images that it has room for, with those that it stores.
    capacity: Option<u64>,
    /// The part of that which its share can use before the first member is full.
    usable: Option<u64>,
}

/// The known state of the members' disks, and which slots each owns in the staged version.
struct Room<'a> {
    stats: &'a ClusterStats,
    owned: BTreeMap<NodeId, u32>,
}

/// The layout.
///
/// # Errors
/// The [`Problem`] to answer with.
pub(super) async fn answer(shard: &Shard) -> Result<HandlerResponse, Problem> {
    let (view, stats) = (shard.view(), shard.node.control.stats.newest());
    let trouble = shard.node.health.trouble();
    // Thousands of placements.
    let describe = move || describe(&view, &stats, trouble);
    let layout = exchange::aside(run_blocking("describe the layout", describe)).await??;
    Ok(reply::json(&layout).into())
}

fn describe(view: &Arc<View>, stats: &ClusterStats, trouble: Option<DiskTrouble>) -> LayoutResponse {
    let progress = view.progress();
    let names = |nodes: &BTreeSet<NodeId>| nodes.iter().map(|node| name_of(view, *node)).collect();
    let hashes = |all: &[SyncHash]| all.iter().map(ToString::to_string).collect();
    let now = view.slots_owned_now(SLOTS_SAMPLED);
    let room = Room { stats, owned: view.slots_owned(SLOTS_SAMPLED) };
    let copies = room.copies();
    let staged = progress.staged.map(|hash| hash.to_string());
    let members = view.members().map(|(node, member)| MemberShare {
        member: MemberFields::new(node, member, trouble_of(view, stats, trouble, node).as_ref()),
        share: share(&room.owned, node),
        share_now: share(&now, node),
        bytes: stats.by_node.get(&node).and_then(|stats| stats.bytes),
        capacity: room.of(node),
        usable: copies.map(|copies| room.used_by(node, copies)),
    });
    LayoutResponse {
        node: view.this().to_string(),
        layout: staged.clone(),
        settled: view.is_settled(),
        replication: view.copies_wanted(),
        min_replication: progress.min_replication,
        copies_needed: view.copies_needed(),
        versions: Versions {
            current: hashes(&progress.current),
            proposed: hashes(&progress.proposed),
            staged,
        },
        progress: stats.move_progress(view),
        waiting_for: Waiting {
            sync: names(&progress.unsynced),
            acknowledgement: names(&progress.unacknowledged),
        },
        capacity: copies.map(|copies| Capacity { copies, images: copies / room.copies_per_image() }),
        members: members.collect(),
    }
}

impl Room<'_> {
    /// Bytes of images that a member has room for, with those that it stores.
    fn of(&self, node: NodeId) -> Option<u64> {
        let stats = self.stats.by_node.get(&node)?;
        Some(stats.bytes?.saturating_add(stats.free?))
    }

    /// Bytes of all copies that fit, placed by the shares, until the first member is full. `None` without owners.
    fn copies(&self) -> Option<u64> {
        let fit = |(node, slots): (&NodeId, &u32)| {
            let copies = u128::from(self.of(*node)?) * self.slots() / u128::from((*slots).max(1));
            Some(u64::try_from(copies).unwrap_or(u64::MAX))
        };
        let all: Option<Vec<_>> = self.owned.iter().map(fit).collect();
        all?.into_iter().min()
    }

    /// The bytes of so many that lie on a member.
    fn used_by(&self, node: NodeId, copies: u64) -> u64 {
        let slots = self.owned.get(&node).copied().unwrap_or(0);
        u64::try_from(u128::from(copies) * u128::from(slots) / self.slots().max(1)).unwrap_or(u64::MAX)
    }

    fn copies_per_image(&self) -> u64 {
        u64::try_from(self.slots() / u128::from(SLOTS_SAMPLED)).unwrap_or(u64::MAX).max(1)
    }

    fn slots(&self) -> u128 {
        self.owned.values().map(|slots| u128::from(*slots)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::time::Time;
    use crate::shard::node_stats::NodeStats;

    fn node(number: u8) -> NodeId {
        NodeId::from_bytes([number; 16])
    }

    fn stats(bytes: u64, free: Option<u64>) -> NodeStats {
        NodeStats {
            moving: None,
            repair_rate: None,
            images: Some(1),
            bytes: Some(bytes),
            free,
            version: "1".into(),
            recipe: 7,
            operator_key: None,
            repair_debt: None,
            trouble: None,
        }
    }

    #[test]
    fn capacity_ends_with_the_first_member_that_is_full() {
        let by_node = [(node(1), stats(100, Some(900))), (node(2), stats(0, Some(300)))].into();
        let stats = ClusterStats { by_node, ..ClusterStats::default() };
        let owned = [(node(1), SLOTS_SAMPLED), (node(2), SLOTS_SAMPLED)].into();
        let room = Room { stats: &stats, owned };
        assert_eq!((room.copies(), room.copies_per_image()), (Some(600), 2));
        assert_eq!((room.used_by(node(1), 600), room.used_by(node(3), 600)), (300, 0));
    }

    #[test]
    fn a_member_that_says_nothing_leaves_the_capacity_unknown() {
        for by_node in [
            [(node(1), stats(100, Some(900)))].into(),
            [(node(1), stats(100, Some(900))), (node(2), stats(0, None))].into(),
        ] {
            let stats = ClusterStats { by_node, ..ClusterStats::default() };
            let owned = [(node(1), 1), (node(2), 1)].into();
            assert_eq!(Room { stats: &stats, owned }.copies(), None);
        }
    }

    #[test]
    fn a_node_without_a_cluster_has_no_layout() {
        let view = Arc::new(View::empty(node(1), Time::default()));
        let layout = describe(&view, &ClusterStats::default(), None);
        assert!(layout.members.is_empty() && layout.layout.is_none() && !layout.settled);
        assert!(layout.capacity.is_none());
    }
}
