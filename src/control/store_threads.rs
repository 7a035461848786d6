//! The threads that work on the node's disk beside its shards: they block, and no request waits for them.

use std::sync::Arc;
use std::time::Duration;

use super::error::RunError;
use crate::config::Config;
use crate::shard::NodeDisk;
use crate::store::findings::{self, FindingReceiver};
use crate::store::health::Health;
use crate::store::manifest::{Keeper, ManifestKeeper};
use crate::store::open::DataDirectory;
use crate::telemetry::metrics::DiskMetrics;

/// The time that the last checkpoints may take at a stop; what is not written is compared at the next start.
const MANIFESTS_WITHIN: Duration = Duration::from_secs(3);

/// The threads of the disk: its watch and the manifest keeper.
pub(super) struct StoreThreads {
    disk: NodeDisk,
    keeper: Keeper,
    metrics: Arc<DiskMetrics>,
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
        let (findings, receivers) = findings::channels(shards);
        let (manifests, keeper) = ManifestKeeper::new(Arc::clone(&health), findings, Arc::clone(&metrics));
        let disk = NodeDisk { paths, health, manifests };
        (Self { disk, keeper, metrics, shards }, receivers)
    }

    /// The disk, for the shards.
    pub(super) fn disk(&self) -> NodeDisk {
        self.disk.clone()
    }

    /// The metrics of the disk.
    pub(super) fn metrics(&self) -> Arc<DiskMetrics> {
        Arc::clone(&self.metrics)
    }

    /// Starts them.
    pub(super) fn start(self) -> Result<(), RunError> {
        let started = self.disk.health.watch(self.shards).and_then(|()| self.keeper.start());
        started.map_err(|error| RunError::Start(error.to_string()))
    }
}

/// Ends those that have something to write. Call it when no shard reports any more.
pub(super) fn stop(disk: &NodeDisk) {
    disk.manifests.stop(MANIFESTS_WITHIN);
}
