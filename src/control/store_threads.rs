//! The threads that work on the node's disk beside its shards: they block, and no request waits for them.

use std::sync::Arc;
use std::time::Duration;

use super::error::RunError;
use crate::config::Config;
use crate::shard::NodeDisk;
use crate::store::bad_copies::BadCopies;
use crate::store::findings::{self, FindingReceiver, FindingSender};
use crate::store::health::Health;
use crate::store::manifest::{Keeper, ManifestKeeper};
use crate::store::open::DataDirectory;
use crate::store::scrub::Scrub;
use crate::telemetry::metrics::DiskMetrics;

/// The time that the last checkpoints may take at a stop; what is not written is compared at the next start.
const MANIFESTS_WITHIN: Duration = Duration::from_secs(3);

/// The time that the scrub may take to note its position at a stop.
const SCRUB_WITHIN: Duration = Duration::from_secs(1);

/// The threads of the disk: its watch, the manifest keeper and the scrub.
pub(super) struct StoreThreads {
    disk: NodeDisk,
    keeper: Keeper,
    findings: FindingSender,
    shards: usize,
}

impl StoreThreads {
    /// The threads before they run, and where each shard hears what they find. The store is there.
    pub(super) fn new(config: &Config, data: &DataDirectory, shards: usize) -> (Self, Vec<FindingReceiver>) {
        let metrics = Arc::<DiskMetrics>::default();
        let (paths, node) = (data.paths.clone(), data.identity.id);
        let health =
            Health::new(paths.clone(), node, data.marker, config.reserve_bytes, Arc::clone(&metrics));
        let health = Arc::new(health);
        let bad_copies = BadCopies::new(Arc::clone(&metrics));
        let (findings, receivers) = findings::channels(shards, bad_copies.clone());
        let (manifests, keeper) =
            ManifestKeeper::new(Arc::clone(&health), findings.clone(), Arc::clone(&metrics));
        let (scrub, metrics) = (Scrub::default(), Arc::clone(&metrics));
        let disk = NodeDisk { paths, health, manifests, scrub, bad_copies, metrics };
        (Self { disk, keeper, findings, shards }, receivers)
    }

    /// The disk, for the shards.
    pub(super) fn disk(&self) -> NodeDisk {
        self.disk.clone()
    }

    /// The metrics of the disk.
    pub(super) fn metrics(&self) -> Arc<DiskMetrics> {
        Arc::clone(&self.disk.metrics)
    }

    /// Starts them. A pass of the scrub takes `scrub_every`.
    pub(super) fn start(self, scrub_every: Duration) -> Result<(), RunError> {
        let NodeDisk { health, scrub, metrics, .. } = self.disk;
        let started = health
            .watch(self.shards)
            .and_then(|()| self.keeper.start())
            .and_then(|()| scrub.run(scrub_every, health, self.findings, metrics));
        started.map_err(|error| RunError::Start(error.to_string()))
    }
}

/// Ends those that have something to write. Call it when no shard reports any more.
pub(super) fn stop(disk: &NodeDisk) {
    disk.manifests.stop(MANIFESTS_WITHIN);
    disk.scrub.stop(SCRUB_WITHIN);
}
