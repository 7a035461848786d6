//! The steps of the start: connections, disk, layout, shards, the control executor.

use std::sync::Arc;

use glommio::{ExecutorJoinHandle, LocalExecutorBuilder, Placement};

use super::error::RunError;
use super::plan::Plan;
use super::process_event::ProcessEvent;
use super::shard_thread::{self, LifecycleSender, ShardThread};
use super::{cluster, system};
use crate::cluster::core::Boot;
use crate::cluster::node::NodeId;
use crate::cluster::time::Time;
use crate::cluster::view::View;
use crate::config::Config;
use crate::http::live::Live;
use crate::peer::auth::Identity;
use crate::shard::NodeContext;
use crate::shard::mesh::Mesh;
use crate::shard::message::Message;
use crate::shard::resize::memory::{self, DecodeMemory};
use crate::store::findings::FindingReceiver;
use crate::store::open::DataDirectory;
use crate::store::open_error::OpenError;
use crate::store::{operator_key, path};
use crate::telemetry::metrics::ShardMetrics;

pub(super) type Mailboxes = Vec<flume::Sender<Message>>;
pub(super) type Threads = Vec<ExecutorJoinHandle<()>>;

/// Takes no more connections than there are descriptors for, and says so.
pub(super) fn fit_connections(config: &mut Config, executors: usize) {
    let Some(descriptors) = system::descriptors() else { return };
    let wanted = config.http.connections_max;
    let connections = system::connections(descriptors, executors, wanted);
    if connections < wanted {
        log::warn!(
            descriptors, connections, wanted;
            "the file descriptor limit allows fewer connections than limits.connections, so the node accepts only these: raise it (ulimit -Hn, LimitNOFILE=)"
        );
        config.http.connections_max = connections;
    }
}

/// The identity by which this node proves itself to others.
pub(super) fn identity(config: &Config, data: &DataDirectory) -> Arc<Identity> {
    let this = NodeId::from_bytes(data.identity.id);
    Arc::new(Identity::new(this, config.cluster.cluster.clone(), &config.secrets))
}

/// The state of this node at its start.
pub(super) fn boot(config: &Config, data: &DataDirectory) -> Result<Boot, RunError> {
    let joins = !config.cluster.join.is_empty();
    let layout =
        cluster::layout_store::load(&data.paths, &data.identity, joins).map_err(RunError::Cluster)?;
    // A file that cannot be read was a layout, too.
    let was_member = data.identity.is_member || data.paths.cluster_layout().exists();
    let this = NodeId::from_bytes(data.identity.id);
    if config.secrets.is_empty() && layout.as_ref().is_some_and(|layout| layout.has_others(this)) {
        return Err(RunError::NoSecret);
    }
    let [instance, seed] =
        cluster::layout_store::random().map_err(|error| RunError::Start(error.to_string()))?;
    Ok(Boot {
        this,
        generation: data.identity.generation,
        instance,
        seed,
        layout,
        was_member,
        holds_images: data.holds_images,
    })
}

/// Adds what the node makes itself where nothing is configured: its operator key.
pub(super) fn complete(config: &mut Config, layout: &path::StorePaths) -> Result<(), OpenError> {
    let key = &mut config.http.access.operator_key;
    if key.is_empty() {
        let (made, is_new) = operator_key::ensure(layout)?;
        let (file, made_now) = (layout.operator_key(), if is_new { ", made now" } else { "" });
        log::info!(file:% = file.display(); "no access.operator_key is configured: the operator key is in this file{made_now}");
        *key = made;
    }
    Ok(())
}

/// Tells the operator what to know of the configuration.
pub(super) fn tell(config: &Config) {
    config.warnings.iter().for_each(|warning| log::warn!("{warning}"));
    if config.secrets.is_empty() {
        log::info!(
            "no cluster.secret is configured: this node has no peers, and everything below /cluster/ is answered 401"
        );
    }
}

/// Starts every shard with its worker. Their mailboxes, and what to join at the end.
pub(super) fn start_shards(
    memory_bytes: u64,
    plan: &Plan,
    node: &Arc<NodeContext>,
    parts: Vec<(Arc<ShardMetrics>, FindingReceiver)>,
    live: &Arc<Live>,
    data: &DataDirectory,
    events: &flume::Sender<ProcessEvent>,
) -> Result<(Mailboxes, Threads), RunError> {
    let memory = Arc::new(DecodeMemory::new(memory_bytes.max(memory::BYTES_LEAST)));
    let view = Arc::new(View::empty(node.identity.node, Time::default()));
    let mailboxes = Mesh::mailboxes(plan.shards.len());
    let senders: Vec<_> = mailboxes.iter().map(|(sender, _)| sender.clone()).collect();
    let quarantined: Arc<[_]> = data.quarantined.clone().into();
    let strays: Arc<[_]> = data.misplaced.clone().into();
    let mut threads = Vec::new();
    for (index, ((_, mailbox), (metrics, findings))) in mailboxes.into_iter().zip(parts).enumerate() {
        let thread = ShardThread {
            index,
            cpu: plan.shards[index],
            node: Arc::clone(node),
            metrics,
            findings,
            memory: Arc::clone(&memory),
            live: Arc::clone(live),
            senders: senders.clone(),
            mailbox,
            quarantined: Arc::clone(&quarantined),
            strays: Arc::clone(&strays),
            view: Arc::clone(&view),
            ended: LifecycleSender::new(index, events.clone()),
        };
        threads.push(thread.start().map_err(RunError::Start)?);
    }
    Ok((senders, threads))
}

pub(super) fn executor(placement: Placement) -> Result<glommio::LocalExecutor, RunError> {
    LocalExecutorBuilder::new(placement)
        .name("control")
        .io_memory(shard_thread::IO_MEMORY_BYTES)
        .ring_depth(shard_thread::RING_DEPTH)
        .make()
        .map_err(|error| RunError::Start(error.to_string()))
}
