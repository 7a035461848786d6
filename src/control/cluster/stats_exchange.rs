//! The stats exchange: every two seconds each member sends its node stats to all others. Nothing is decided by them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ControlEvent;
use super::byte_rate::ByteRate;
use crate::cluster::layout::{BootstrapSettings, Layout};
use crate::cluster::node::NodeId;
use crate::cluster::view::View;
use crate::executor::run_blocking;
use crate::http::live::Live;
use crate::shard::NodeContext;
use crate::shard::node_stats::{ClusterStats, NodeStats};
use crate::telemetry::metrics::ShardMetrics;

/// Between two exchanges.
const EVERY: Duration = Duration::from_secs(2);

/// The stats of all members, and what this node sends.
pub(in crate::control) struct StatsExchange {
    node: Arc<NodeContext>,
    metrics: Vec<Arc<ShardMetrics>>,
    recipe: u32,
    bootstrap: BootstrapSettings,
    live: Arc<Live>,
    published: ClusterStats,
    due: Instant,
    repair_rate: ByteRate,
}

impl StatsExchange {
    /// `recipe` is the checksum over what the configuration says about variants, `bootstrap` what it says of what
    /// the layout rules, `live` what of it may change.
    pub(in crate::control) fn new(
        node: Arc<NodeContext>,
        metrics: Vec<Arc<ShardMetrics>>,
        recipe: u32,
        bootstrap: BootstrapSettings,
        live: Arc<Live>,
    ) -> Self {
        Self {
            node,
            metrics,
            recipe,
            bootstrap,
            live,
            published: ClusterStats::default(),
            due: Instant::now(),
            repair_rate: ByteRate::default(),
        }
    }

    /// The node.
    pub(super) fn node(&self) -> Arc<NodeContext> {
        Arc::clone(&self.node)
    }

    /// Collects this node's stats, if they are due; they come back as [`ControlEvent::NodeStats`].
    pub(super) fn collect_if_due(&mut self, events: &flume::Sender<ControlEvent>) {
        if Instant::now() < self.due {
            return;
        }
        self.due = Instant::now() + EVERY;
        let copied = self.metrics.iter().map(|shard| shard.moved_bytes()).sum();
        self.repair_rate.note(copied, Instant::now());
        let mut stats = self.own_stats();
        let (data, events) = (self.node.paths.root().to_path_buf(), events.clone());
        glommio::spawn_local(async move {
            // A disk that hangs holds this up.
            let free = move || {
                let found = rustix::fs::statvfs(&data).ok()?;
                found.f_bavail.checked_mul(found.f_frsize)
            };
            stats.free = run_blocking("look at the free space", free).await.ok().flatten();
            // When the channel is full, the next exchange reports it.
            ControlEvent::NodeStats(stats).post(&events);
        })
        .detach();
    }

    /// Records the stats of a member or of this node.
    pub(super) fn record(&mut self, node: NodeId, stats: NodeStats, view: &View) {
        let is_known = view.member(node).is_some() || node == view.this();
        if is_known && self.published.by_node.get(&node) != Some(&stats) {
            self.published.by_node.insert(node, stats);
            self.publish();
            self.show_progress(view);
        }
    }

    /// Forgets nodes that are no members any more.
    pub(super) fn forget_former_members(&mut self, view: &View, needs_operator: BTreeSet<NodeId>) {
        let before = (
            self.published.by_node.len(),
            std::mem::replace(&mut self.published.needs_operator, needs_operator),
        );
        self.published.by_node.retain(|node, _| view.member(*node).is_some() || *node == view.this());
        if before.0 != self.published.by_node.len() || before.1 != self.published.needs_operator {
            self.publish();
        }
    }

    /// Notes whom a node without a cluster has asked, and what came back.
    pub(super) fn note_joining(&mut self, joining: Option<String>) {
        if self.published.joining != joining {
            self.published.joining = joining;
            self.publish();
        }
    }

    /// Compares the configuration with the layout, and logs drift once.
    pub(super) fn compare_configuration(&mut self, layout: Option<&Layout>) {
        let node = self.node.identity.node;
        let drift = layout.map(|layout| self.bootstrap.drift(layout, node)).unwrap_or_default();
        if drift != self.published.drift {
            drift.iter().for_each(|sentence| log::warn!("{sentence}"));
            self.published.drift = drift;
            self.publish();
        }
    }

    /// Compares the members' operator keys with this node's, and logs once which differ.
    pub(super) fn compare_operator_keys(&mut self, view: &View) {
        // By every secret: while they are rotated, another one may sign there.
        let own = self.node.identity.fingerprints(&self.live.operator_key());
        let differs = |stats: &NodeStats| stats.operator_key.as_ref().is_some_and(|key| !own.contains(key));
        let others = self.alive_members(view, differs);
        if others != self.published.other_operator_key {
            for node in others.difference(&self.published.other_operator_key) {
                let node = name_of(view, *node);
                log::warn!(node; "a member has another operator key than this node; set one access.operator_key for all");
            }
            self.published.other_operator_key = others;
            self.publish();
        }
    }

    /// Compares the members' settings of variants with this node's, and logs once which differ.
    pub(super) fn compare_recipes(&mut self, view: &View) {
        let others = self.alive_members(view, |stats| stats.recipe != self.recipe);
        if others != self.published.other_recipe {
            for node in others.difference(&self.published.other_recipe) {
                let node = name_of(view, *node);
                log::warn!(node; "a member has another [images] section than this node, so the same URL may give other bytes; set the same on all");
            }
            self.published.other_recipe = others;
            self.publish();
        }
    }

    /// The members that answer whose stats are like this.
    fn alive_members(&self, view: &View, is_like: impl Fn(&NodeStats) -> bool) -> BTreeSet<NodeId> {
        let alive = self.published.by_node.iter().filter(|(node, _)| view.is_alive(**node));
        alive.filter(|(_, stats)| is_like(stats)).map(|(node, _)| *node).collect()
    }

    /// The bytes of all copies in the cluster; `None` while a member has not said how much it stores.
    pub(super) fn stored_bytes(&self, view: &View) -> Option<u64> {
        let stats = |node: NodeId| self.published.by_node.get(&node)?.bytes;
        view.members()
            .map(|(node, _)| stats(node))
            .try_fold(0_u64, |sum, bytes| Some(sum.saturating_add(bytes?)))
    }

    fn show_progress(&self, view: &View) {
        let left = self.published.move_progress(view).unwrap_or_default();
        if let Some(first) = self.metrics.first() {
            first.move_left_images.set(left.images_left);
            first.move_left_bytes.set(left.bytes_left);
        }
    }

    fn publish(&self) {
        self.node.control.stats.replace(self.published.clone());
    }

    fn own_stats(&self) -> NodeStats {
        let stored = self.node.manifests.total();
        NodeStats {
            images: stored.map(|(images, _)| images),
            bytes: stored.map(|(_, bytes)| bytes),
            free: None,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            recipe: self.recipe,
            repair_debt: Some(self.metrics.iter().map(|shard| shard.misplaced.get()).sum()),
            operator_key: self.node.identity.fingerprints(&self.live.operator_key()).into_iter().next(),
            trouble: self.node.health.trouble().map(|trouble| trouble.word().to_owned()),
            moving: self.node.moving.newest(),
            repair_rate: Some(self.repair_rate.per_second()),
        }
    }
}

fn name_of(view: &View, node: NodeId) -> String {
    view.member(node).map_or_else(|| node.to_string(), |member| member.name.to_string())
}
