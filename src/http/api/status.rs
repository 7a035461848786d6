//! `GET|HEAD /status.json`: the cluster as this node sees it.

use std::sync::Arc;

use serde::Serialize;

use super::member::{self, MemberFields, SLOTS_SAMPLED, name_of, share};
use crate::cluster::node::NodeId;
use crate::cluster::view::{Member, View};
use crate::executor::run_blocking;
use crate::http::exchange::{self, HandlerResponse};
use crate::http::reply::{self, Problem};
use crate::shard::Shard;
use crate::shard::control_link::MembershipStatus;
use crate::shard::moving::MoveProgress;
use crate::shard::node_stats::{ClusterStats, NodeStats};
use crate::store::health::DiskTrouble;

#[derive(Serialize)]
struct StatusResponse {
    /// The asked node.
    node: String,
    /// Why it is no member, where it is none.
    not_a_member: Option<&'static str>,
    nodes: Vec<NodeStatus>,
    /// Images with a copy missing or misplaced, as far as the members that answer have a record of it.
    repair_debt: Option<u64>,
    layout: LayoutStatus,
    /// Sentences for the operator.
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct NodeStatus {
    #[serde(flatten)]
    member: MemberFields,
    /// Why its disk takes no copies, where it does not.
    trouble: Option<String>,
    /// Unknown until it has counted them, and of a node whose stats have not come yet.
    images: Option<u64>,
    bytes: Option<u64>,
    version: Option<String>,
    /// Bytes of room on its disk.
    free: Option<u64>,
    /// Of all copies, 0 to 1.
    share: f64,
}

#[derive(Serialize)]
struct LayoutStatus {
    hash: String,
    /// Whether nothing has to be moved: else copies are looked for and written by two layouts at once.
    settled: bool,
    replication: usize,
    /// As clamped to the number of members.
    min_replication: usize,
    /// The rest that is still to be moved, about; null where nothing is, or nobody has said so yet.
    progress: Option<MoveProgress>,
}

/// The answer.
///
/// # Errors
/// The [`Problem`] to answer with.
pub(super) async fn answer(shard: &Shard) -> Result<HandlerResponse, Problem> {
    let (view, stats, membership_status) =
        (shard.view(), shard.node.control.stats.newest(), shard.node.control.membership_status());
    let trouble = shard.node.health.trouble();
    let describe = move || describe(&view, &stats, membership_status, trouble);
    // Thousands of placements.
    let status = exchange::aside(run_blocking("describe the cluster", describe)).await??;
    Ok(reply::json(&status).into())
}

fn describe(
    view: &Arc<View>,
    stats: &ClusterStats,
    membership_status: MembershipStatus,
    trouble: Option<DiskTrouble>,
) -> StatusResponse {
    let owned = view.slots_owned(SLOTS_SAMPLED);
    let trouble_of = |node: NodeId| member::trouble_of(view, stats, trouble, node);
    StatusResponse {
        node: view.this().to_string(),
        not_a_member: (membership_status != MembershipStatus::Member).then(|| membership_status.sentence()),
        nodes: view
            .members()
            .map(|(id, member)| {
                NodeStatus::new(id, member, stats.by_node.get(&id), trouble_of(id), share(&owned, id))
            })
            .collect(),
        repair_debt: repair_debt(view, stats),
        layout: LayoutStatus {
            hash: view.hash().to_string(),
            settled: view.is_settled(),
            replication: view.copies_wanted(),
            min_replication: view.copies_needed(),
            progress: stats.move_progress(view),
        },
        warnings: warnings(view, stats),
    }
}

impl NodeStatus {
    fn new(
        id: NodeId,
        member: &Member,
        node_stats: Option<&NodeStats>,
        trouble: Option<String>,
        share: f64,
    ) -> Self {
        Self {
            member: MemberFields::new(id, member, trouble.as_ref()),
            trouble,
            images: node_stats.and_then(|node_stats| node_stats.images),
            bytes: node_stats.and_then(|node_stats| node_stats.bytes),
            version: node_stats.map(|node_stats| node_stats.version.clone()),
            free: node_stats.and_then(|node_stats| node_stats.free),
            share,
        }
    }
}

/// The images of which a member has a record that a copy is missing or misplaced; unknown where nobody says so.
fn repair_debt(view: &View, stats: &ClusterStats) -> Option<u64> {
    let members = stats.by_node.iter().filter(|(node, _)| view.is_alive(**node));
    let known: Vec<_> = members.filter_map(|(_, node_stats)| node_stats.repair_debt).collect();
    (!known.is_empty()).then(|| known.iter().sum())
}

/// Differences between members that harm nobody at once.
pub(super) fn notes(view: &View, stats: &ClusterStats) -> Vec<String> {
    let name = |node: &NodeId| name_of(view, *node);
    let others = stats.other_recipe.iter();
    others
        .map(|node| {
            format!("{} has another [images] section than this node: set the same on all.", name(node))
        })
        .collect()
}

fn warnings(view: &View, stats: &ClusterStats) -> Vec<String> {
    let name = |node: &NodeId| name_of(view, *node);
    let mut warnings: Vec<_> = stats
        .needs_operator
        .iter()
        .map(|node| {
            let name = name(node);
            format!(
                "{name} is away for long and cannot be taken out by itself: bring it back, or remove {name}."
            )
        })
        .collect();
    warnings.extend(notes(view, stats));
    warnings.extend(stats.other_operator_key.iter().map(|node| {
        format!(
            "{} has another operator key than this node: set one access.operator_key for all.",
            name(node)
        )
    }));
    warnings.extend(stats.drift.iter().map(ToString::to_string));
    if !view.is_settled() && view.members().next().is_some() {
        warnings.push("Copies have to be moved before the newest layout is the only one.".to_owned());
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::time::Time;

    #[test]
    fn a_node_without_a_cluster_lists_nobody_and_says_why() {
        let view = Arc::new(View::empty(NodeId::from_bytes([1; 16]), Time::default()));
        let status = describe(&view, &ClusterStats::default(), MembershipStatus::WrongSecret, None);
        assert!(status.nodes.is_empty() && status.warnings.is_empty());
        assert_eq!(status.not_a_member, Some(MembershipStatus::WrongSecret.sentence()));
        assert_eq!(status.layout.replication, 0);
    }
}
