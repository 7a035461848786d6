//! The thread of each core: it runs the shard, its mailbox pump, its listener; and the worker beside it.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use glommio::{ExecutorJoinHandle, LocalExecutorBuilder, Placement};

use super::process_event::ProcessEvent;
use crate::cluster::view::View;
use crate::http;
use crate::object::ObjectId;
use crate::shard::mesh::Mesh;
use crate::shard::message::Message;
use crate::shard::resize::memory::DecodeMemory;
use crate::shard::resize::worker::{HelperHandle, ResizeWorker};
use crate::shard::{NodeContext, Shard};
use crate::store::findings::FindingReceiver;
use crate::telemetry::metrics::{ChannelMessage, ShardMetrics, channel};

/// Registered with three rings each, pinned and touched; the default of 10 MiB would cost each shard
/// 30 MiB for I/O that this program does not do.
pub(super) const IO_MEMORY_BYTES: usize = 64 << 10;

/// No gain was measured above this.
pub(super) const RING_DEPTH: usize = 128;

/// Mailboxes, timers and sockets are looked at when the tasks pause or this has passed. The default
/// of 100 ms shows as a p99 of 100 ms; 2 ms shows as nothing.
const PREEMPT: Duration = Duration::from_millis(2);

/// Everything one core needs.
pub(super) struct ShardThread {
    pub(super) index: usize,
    pub(super) cpu: usize,
    pub(super) node: Arc<NodeContext>,
    pub(super) metrics: Arc<ShardMetrics>,
    pub(super) findings: FindingReceiver,
    pub(super) memory: Arc<DecodeMemory>,
    pub(super) live: Arc<http::live::Live>,
    pub(super) senders: Vec<flume::Sender<Message>>,
    pub(super) mailbox: flume::Receiver<Message>,
    pub(super) quarantined: Arc<[ObjectId]>,
    pub(super) strays: Arc<[ObjectId]>,
    /// The shard's view of the cluster until control publishes another.
    pub(super) view: Arc<View>,
    pub(super) ended: LifecycleSender,
}

/// Tells control when a core's thread ends, by return or by panic.
pub(super) struct LifecycleSender {
    index: usize,
    events: flume::Sender<ProcessEvent>,
}

impl ShardThread {
    /// Starts the shard's thread and its worker's.
    ///
    /// # Errors
    /// Why a thread or executor could not be started.
    pub(super) fn start(self) -> Result<ExecutorJoinHandle<()>, String> {
        // Waiting jobs are in the shard's own queue.
        let (to_worker, jobs) = flume::bounded(1);
        let worker = ResizeWorker {
            jobs,
            mailbox: self.senders[self.index].clone(),
            memory: Arc::clone(&self.memory),
            limits: self.node.settings.limits,
            metrics: Arc::clone(&self.metrics),
            core: Some(self.cpu),
            paths: self.node.paths.clone(),
            shard: self.index,
            cache_bytes_max: self.node.cache_share(self.senders.len()),
            // This very binary, also after it has been replaced on disk.
            helper: Some(HelperHandle::new("/proc/self/exe".into())),
            health: Arc::clone(&self.node.health),
        };
        std::thread::Builder::new()
            .name(format!("resize-{}", self.index))
            .spawn(move || worker.run())
            .map_err(|error| error.to_string())?;
        LocalExecutorBuilder::new(Placement::Fixed(self.cpu))
            .name(&format!("shard-{}", self.index))
            .io_memory(IO_MEMORY_BYTES)
            .ring_depth(RING_DEPTH)
            .preempt_timer(PREEMPT)
            .spawn(move || self.run(to_worker))
            .map_err(|error| error.to_string())
    }

    async fn run(self, to_worker: flume::Sender<crate::shard::resize::worker::ResizeJob>) {
        let ended = self.ended;
        let mesh = Mesh::new(self.index, self.senders, Arc::clone(&self.metrics));
        let shard = Rc::new(Shard::new(
            self.node,
            self.metrics,
            mesh,
            to_worker,
            &self.quarantined,
            &self.strays,
            self.view,
        ));
        let pump = glommio::spawn_local(Rc::clone(&shard).pump(self.mailbox));
        let housekeeping = glommio::spawn_local(Rc::clone(&shard).run_housekeeping(self.findings));
        ended.ready();
        if let Some(listener) = shard.lifecycle.listener().await {
            http::serve(Rc::clone(&shard), self.live, listener).await;
        }
        // Another shard may still receive an upload whose id this one holds.
        ended.served();
        shard.lifecycle.ended.wait().await;
        pump.cancel().await;
        housekeeping.cancel().await;
        shard.images.spools.reaper().remove_all();
    }
}

impl LifecycleSender {
    pub(super) fn new(index: usize, events: flume::Sender<ProcessEvent>) -> Self {
        Self { index, events }
    }

    fn ready(&self) {
        // Control outlives every shard.
        self.report(ProcessEvent::Ready);
    }

    fn served(&self) {
        self.report(ProcessEvent::Served);
    }

    fn report(&self, event: ProcessEvent) {
        channel::try_send(&self.events, ChannelMessage::Lifecycle, event);
    }
}

impl Drop for LifecycleSender {
    fn drop(&mut self) {
        self.report(ProcessEvent::Ended(self.index));
    }
}
