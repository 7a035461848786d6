//! One core: its slice of the ids, its mailbox, its jobs in flight, its resize queue.
//!
//! * [`message`]: everything that can reach a shard from outside.
//! * [`mesh`]: requests from shard to shard. `routing`: which shard answers them. [`control_link`]: the channels to control and back.
//!   [`node_stats`]: what the members say of themselves. [`refusals`]: nodes that may not join, and why.
//! * [`queue`]: waiting jobs, fair by client. [`rate`]: how fast a client may ask for them.
//! * [`resize`]: the jobs, each variant made once, and the resize worker. [`job`], [`variant`]: what they are asked and
//!   what they answer. [`timings`]: how long their stages take.
//! * [`service`]: what other nodes have. `peers`: what it takes to ask them.
//! * [`cache`]: the memory tier. `cache_tiers`: that and the disk tier. `disk_pressure`: the disk cache gives way when the disk is full.
//! * [`bodies`]: the node-wide budget of answers' bodies.
//! * [`oneshot`], [`latch`], [`locks`]: waiting within one executor.
//!
//! Invariants: a shard's state is touched by its own executor alone; no borrow of it lives across an
//! await; only the pump takes from the mailbox, so a request never waits on another thread's channel.

mod ask;
pub mod bodies;
pub mod cache;
mod cache_tiers;
pub mod control_link;
mod disk_pressure;
pub mod errors;
pub mod job;
pub mod latch;
mod lifecycle;
pub mod locks;
pub mod mesh;
pub mod message;
pub mod node_stats;
pub mod oneshot;
mod peers;
pub mod queue;
pub mod rate;
pub mod refusals;
pub mod resize;
mod routing;
pub mod service;
pub mod timings;
pub mod variant;

use std::cell::RefCell;
use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use futures_lite::FutureExt;

use self::bodies::memory::BodyMemory;
use self::cache::{CacheKey, CachedResponse, MemoryCache};
use self::cache_tiers::CacheTiers;
use self::control_link::ControlLink;
use self::lifecycle::Lifecycle;
use self::locks::IdLocks;
use self::mesh::Mesh;
use self::message::Message;
use self::peers::Peers;
use self::rate::RateLimit;
use self::resize::ResizeJobs;
use self::resize::worker::ResizeJob;
use self::routing::Routing;
use crate::cluster::protocol::repair::queue::RepairQueue;
use crate::cluster::view::View;
use crate::image::header::Limits;
use crate::object::ObjectId;
use crate::peer::auth::Identity;
use crate::store::health::Health;
use crate::store::misplaced::MisplacedJournal;
use crate::store::originals::Originals;
use crate::store::path::StorePaths;
use crate::store::spool::Spools;
use crate::store::variants::Variants;
use crate::telemetry::metrics::{NodeMetrics, ShardMetrics};

/// The constants of every shard.
#[derive(Clone, Debug)]
pub struct ShardSettings {
    /// Bounds of every image.
    pub limits: Limits,
    /// Bytes of answers in memory, all shards together.
    pub cache_memory_bytes: u64,
    /// Bytes of variants on disk, all shards together.
    pub cache_disk_bytes: u64,
    /// Jobs that may wait for one shard's worker.
    pub resize_queue: usize,
    /// The time that a request waits for its variant.
    pub resize_deadline: Duration,
    /// Variants to be made that a client may ask for per second; 0: as many as it likes.
    pub cold_rate: u32,
    /// Uploads that a client may begin per second; 0: as many as it likes.
    pub upload_rate: u32,
}

/// The state that all shards of the node share: constants, and counters that are off the hit path.
#[derive(Debug)]
pub struct NodeContext {
    /// The configuration.
    pub settings: ShardSettings,
    /// The node's name, which upload responses show.
    pub name: String,
    /// The paths of the data directory.
    pub paths: StorePaths,
    /// Whether the disk can be relied on.
    pub health: Arc<Health>,
    /// Uploads under way.
    pub uploads: AtomicUsize,
    /// Variants to be made, by client.
    pub cold_rate: RateLimit,
    /// Uploads, by client.
    pub upload_rate: RateLimit,
    /// Open connections.
    pub connections: AtomicUsize,
    /// Those of them that take a client's place.
    pub clients: AtomicUsize,
    /// The memory of answers' bodies.
    pub bodies: Arc<BodyMemory>,
    /// The disk space of those that are sent from there without being kept.
    pub unnamed: Arc<BodyMemory>,
    /// All metrics.
    pub metrics: NodeMetrics,
    /// The link to control and back.
    pub control: ControlLink,
    /// The identity by which this node proves itself to others.
    pub identity: Arc<Identity>,
    phase: AtomicU8,
}

/// The phase of a node between start and end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Takes requests.
    Ready,
    /// Still takes requests, but asks clients to go elsewhere.
    Draining,
}

/// One shard's state. Shared by the tasks of its executor.
#[derive(Debug)]
pub struct Shard {
    /// The state that all shards share.
    pub node: Arc<NodeContext>,
    /// The metrics of this shard.
    pub metrics: Arc<ShardMetrics>,
    /// How far it is between start and end.
    pub lifecycle: Lifecycle,
    /// Receives uploads into temporary files.
    pub spools: Spools,
    routing: Routing,
    peers: Peers,
    originals: Originals,
    cache: CacheTiers,
    publishing: IdLocks,
    journal: MisplacedJournal,
    /// Copies that need repair or a handover, not all of them misplaced.
    repairs: RefCell<RepairQueue>,
    resize: ResizeJobs,
}

impl NodeContext {
    /// A node that is ready.
    pub fn new(
        settings: ShardSettings,
        name: String,
        paths: StorePaths,
        health: Arc<Health>,
        metrics: NodeMetrics,
        control_link: ControlLink,
        identity: Arc<Identity>,
    ) -> Self {
        let (cold_rate, upload_rate) = (settings.cold_rate, settings.upload_rate);
        Self {
            bodies: BodyMemory::new(settings.cache_memory_bytes),
            unnamed: BodyMemory::unnamed(),
            settings,
            name,
            paths,
            health,
            uploads: AtomicUsize::new(0),
            cold_rate: RateLimit::new(cold_rate),
            upload_rate: RateLimit::new(upload_rate),
            connections: AtomicUsize::new(0),
            clients: AtomicUsize::new(0),
            metrics,
            control: control_link,
            identity,
            phase: AtomicU8::new(0),
        }
    }

    /// Each shard's part of the disk tier, in bytes.
    pub fn cache_share(&self, shards: usize) -> u64 {
        self.settings.cache_disk_bytes / shards as u64
    }

    /// The current phase of the node.
    pub fn phase(&self) -> Phase {
        if self.phase.load(Relaxed) == 0 { Phase::Ready } else { Phase::Draining }
    }

    /// From now on clients are asked to go elsewhere.
    pub fn drain(&self) {
        self.phase.store(1, Relaxed);
    }
}

impl Shard {
    /// Shard number `index` of the node. `worker` leads to its resize worker. `quarantined` are the node's ids with a
    /// bad copy, `misplaced` those with misplaced or missing copies. `view` holds until control sends another.
    pub fn new(
        node: Arc<NodeContext>,
        metrics: Arc<ShardMetrics>,
        mesh: Mesh,
        worker: flume::Sender<ResizeJob>,
        quarantined: &[ObjectId],
        strays: &[ObjectId],
        view: Arc<View>,
    ) -> Self {
        let (index, shards) = (mesh.index(), mesh.shards());
        let mine: HashSet<_> = quarantined.iter().filter(|id| id.shard(shards) == index).copied().collect();
        let layout = node.paths.clone();
        let journal = MisplacedJournal::new(layout.clone(), index);
        let now = node.control.now();
        let mut here = RepairQueue::default();
        let strays = strays.iter().filter(|id| id.shard(shards) == index);
        // A copy in quarantine may have been replaced already: then there is little to see to.
        strays.chain(&mine).for_each(|id| here.record(*id, now));
        let peers = Peers::new(&node.identity, view);
        let memory = MemoryCache::new(node.settings.cache_memory_bytes / shards as u64);
        let is_mine = move |start| usize::from(start) % shards == index;
        let disk = Variants::new(layout.clone(), node.cache_share(shards), is_mine);
        let (queue_max, deadline) = (node.settings.resize_queue, node.settings.resize_deadline);
        Self {
            spools: Spools::new(layout.clone(), index, Arc::clone(&node.health)),
            originals: Originals::new(layout.clone(), mine, Arc::clone(&node.health)),
            cache: CacheTiers::new(memory, disk, Arc::clone(&node.bodies), Arc::clone(&metrics)),
            resize: ResizeJobs::new(queue_max, deadline, Arc::clone(&metrics), worker),
            node,
            metrics,
            lifecycle: Lifecycle::default(),
            routing: Routing::new(mesh),
            peers,
            publishing: IdLocks::default(),
            journal,
            repairs: RefCell::new(here),
        }
    }

    /// This shard's number.
    pub fn index(&self) -> usize {
        self.routing.index()
    }

    /// The current view of the cluster. Cache hits do not need it.
    pub fn view(&self) -> Arc<View> {
        self.peers.view()
    }

    /// Runs a background task of this shard; a panic in it is logged and ends it alone.
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        let shard = self.index();
        glommio::spawn_local(async move {
            if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                log::error!(shard; "a background task panicked and ends; the shard goes on, please report this");
            }
        })
        .detach();
    }

    /// Bytes of heads of answers that may be kept beside the memory tier.
    pub fn heads_bytes(&self) -> u64 {
        cache::heads_bytes(self.node.settings.cache_memory_bytes / self.routing.shards() as u64)
    }

    /// A response from the memory cache.
    pub fn cached(&self, key: &CacheKey) -> Option<Arc<CachedResponse>> {
        self.cache.get(key, self.holds(&key.0))
    }

    /// Inserts a response into the memory cache.
    pub fn insert_cached(&self, key: CacheKey, entry: &Arc<CachedResponse>) {
        self.cache.insert(key, entry, self.holds(&key.0));
    }

    fn holds(&self, id: &ObjectId) -> bool {
        self.routing.holds(id)
    }

    /// Handles messages from the mailbox until control says stop or has gone. Run one per shard.
    pub async fn pump(self: Rc<Self>, mailbox: flume::Receiver<Message>) {
        while let Ok(message) = mailbox.recv_async().await {
            match message {
                Message::Request { from, ticket, request } => self.serve(from, ticket, request),
                Message::Withdraw { from, ticket } => self.routing.withdraw(from, ticket),
                Message::Reply { ticket, reply } => self.routing.complete(ticket, reply),
                Message::Made { job, outcome, took, used } => self.complete(job, outcome, took, used),
                Message::Kept { job, name, used } => self.stored_on_disk(job, name, used),
                Message::Listen(listener) => self.lifecycle.listen(listener),
                Message::SetView { view, number } => {
                    self.peers.set_view(view);
                    self.node.control.view_taken(self.index(), number);
                }
                Message::Drain => self.node.drain(),
                Message::Stop => self.lifecycle.stop(),
                Message::End => {
                    self.lifecycle.ended.set();
                    return;
                }
            }
        }
    }

    /// Removes temporary files and takes the inventory of the variant cache and of the images, in the background.
    pub async fn run_housekeeping(self: Rc<Self>) {
        let stock = {
            let shard = Rc::clone(&self);
            async move { shard.cache.count_files().await }
        };
        self.spawn(stock);
        self.spawn(Rc::clone(&self).count_images());
        self.spawn(Rc::clone(&self).repair_all());
        self.spawn(Rc::clone(&self).repair_losses());
        self.spawn(Rc::clone(&self).watch_disk_pressure());
        self.spools.reaper().run(&self.node.health).await;
    }

    async fn count_images(self: Rc<Self>) {
        let (index, shards) = (self.index(), self.routing.shards());
        let unread = self.originals.count_images(move |start| usize::from(start) % shards == index).await;
        if unread > 0 {
            log::warn!(shard = index, directories = unread; "some directories of store/ cannot be read, so their images are not counted; check the disk and their rights");
        }
        self.tell_total();
        self.metrics.images_counted.set(1);
    }

    /// Tells the metrics how many images there are now.
    fn tell_total(&self) {
        let (images, bytes) = self.originals.total();
        self.metrics.images.set(images);
        self.metrics.image_bytes.set(bytes);
    }
}
