//! One core: its slice of the ids, its mailbox, its cache, its resize jobs.
//!
//! A [`Shard`] is composed of six parts, each with a state of its own that no other part touches. What needs several of
//! them is an `impl Shard`.
//!
//! * `lifecycle`: start and end.
//! * `routing`: which shard holds an id, and the questions between shards. [`mesh`]: their way. [`message`]: everything
//!   that can reach a shard from outside. `ask`: what a shard is asked.
//! * `peers`: what it takes to ask other nodes. [`service`]: what they have.
//! * `erase`: what is deleted, and its files. [`erasures`]: the records of deletions, of the whole node.
//! * `images`: the shard's part of the store, its locks and records. [`locks`]: one at a time per id.
//! * `cache_tiers`: memory and disk. [`cache`]: the memory tier. `disk_pressure`: the disk tier gives way when the disk
//!   is full.
//! * [`resize`]: the jobs, each variant made once, and the resize worker. [`queue`]: waiting jobs, fair by client.
//!   [`job`], [`variant`]: what is asked and answered. [`timings`]: how long the stages of a job take.
//!
//! All shards of a node share its [`NodeContext`].
//!
//! * [`control_link`]: the channels to control and back. [`node_stats`]: what the members say of themselves.
//!   [`refusals`]: nodes that may not join, and why. [`slot_owners`]: who owns each slot, for comparisons.
//!   [`moving`]: how much has come while the layout changes.
//! * [`rate`]: how fast a client may ask. [`bodies`]: the budget of answers' bodies.
//!
//! [`oneshot`] and [`latch`] are for waiting within one executor.
//!
//! Invariants: a shard's state is touched by its own executor alone; no borrow of it lives across an
//! await; only the pump takes from the mailbox, so a request never waits on another thread's channel.

mod ask;
pub mod bodies;
pub mod cache;
mod cache_tiers;
pub mod control_link;
mod disk_pressure;
mod erase;
pub mod erasures;
pub mod errors;
mod images;
pub mod job;
pub mod latch;
mod lifecycle;
pub mod locks;
pub mod mesh;
pub mod message;
pub mod moving;
pub mod node_stats;
pub mod oneshot;
mod peers;
pub mod queue;
pub mod rate;
pub mod refusals;
pub mod resize;
mod routing;
pub mod service;
pub mod slot_owners;
pub mod timings;
pub mod variant;

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
use self::erasures::Erasures;
use self::images::Images;
use self::lifecycle::Lifecycle;
use self::mesh::Mesh;
use self::message::Message;
use self::moving::LatestMovingSlots;
use self::peers::Peers;
use self::rate::RateLimit;
use self::resize::ResizeJobs;
use self::resize::worker::ResizeJob;
use self::routing::Routing;
use self::slot_owners::LatestSlotOwners;
use crate::cluster::view::View;
use crate::image::header::Limits;
use crate::object::ObjectId;
use crate::peer::auth::Identity;
use crate::store::bad_copies::BadCopies;
use crate::store::findings::FindingReceiver;
use crate::store::health::Health;
use crate::store::manifest::ManifestKeeper;
use crate::store::path::StorePaths;
use crate::store::scrub::Scrub;
use crate::store::variants::Variants;
use crate::telemetry::metrics::{DiskMetrics, NodeMetrics, ShardMetrics};

/// The constants of every shard.
#[derive(Clone, Debug)]
pub struct ShardSettings {
    /// Bounds of every image.
    pub limits: Limits,
    /// Bytes of answers in memory, all shards together.
    pub cache_memory_bytes: u64,
    /// Bytes of variants on disk, all shards together.
    pub cache_disk_bytes: u64,
    /// Bytes of uploads that are answered and still being copied, all shards together.
    pub background_copies_bytes: u64,
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
    /// The images that lie in the store.
    pub manifests: ManifestKeeper,
    /// Every copy, read back and hashed.
    pub scrub: Scrub,
    /// Copies of this node that are not as they should be, until they are repaired.
    pub bad_copies: BadCopies,
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
    /// The bytes of uploads that are answered and still being copied.
    pub background_copies: Arc<BodyMemory>,
    /// The images that were deleted or banned.
    pub erasures: Arc<Erasures>,
    /// All metrics.
    pub metrics: NodeMetrics,
    /// The link to control and back.
    pub control: ControlLink,
    /// The owners of all slots, for comparisons.
    pub slot_owners: LatestSlotOwners,
    /// The part of its new slots that has come, while the layout changes.
    pub moving: LatestMovingSlots,
    /// The identity by which this node proves itself to others.
    pub identity: Arc<Identity>,
    phase: AtomicU8,
}

/// The node's disk, as its shards use it.
#[derive(Clone, Debug)]
pub struct NodeDisk {
    /// The paths of the data directory.
    pub paths: StorePaths,
    /// Whether the disk can be relied on.
    pub health: Arc<Health>,
    /// The images that lie in the store.
    pub manifests: ManifestKeeper,
    /// Every copy, read back and hashed.
    pub scrub: Scrub,
    /// Copies of this node that are not as they should be, until they are repaired.
    pub bad_copies: BadCopies,
    /// Its metrics.
    pub metrics: Arc<DiskMetrics>,
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
    /// Its state between start and end.
    pub lifecycle: Lifecycle,
    /// The images whose ids it holds, and the spools of uploads.
    pub images: Images,
    routing: Routing,
    peers: Peers,
    cache: CacheTiers,
    resize: ResizeJobs,
}

impl NodeContext {
    /// A node that is ready.
    pub fn new(
        settings: ShardSettings,
        name: String,
        disk: NodeDisk,
        metrics: NodeMetrics,
        control_link: ControlLink,
        identity: Arc<Identity>,
    ) -> Self {
        let (cold_rate, upload_rate) = (settings.cold_rate, settings.upload_rate);
        let NodeDisk { paths, health, manifests, scrub, bad_copies, metrics: disk_metrics } = disk;
        Self {
            bodies: BodyMemory::new(settings.cache_memory_bytes),
            unnamed: BodyMemory::unnamed(),
            background_copies: BodyMemory::bounded(settings.background_copies_bytes),
            settings,
            name,
            paths,
            health,
            manifests,
            scrub,
            bad_copies,
            uploads: AtomicUsize::new(0),
            cold_rate: RateLimit::new(cold_rate),
            upload_rate: RateLimit::new(upload_rate),
            erasures: Arc::new(Erasures::new(disk_metrics)),
            connections: AtomicUsize::new(0),
            clients: AtomicUsize::new(0),
            metrics,
            control: control_link,
            slot_owners: LatestSlotOwners::default(),
            moving: LatestMovingSlots::default(),
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
        misplaced: &[ObjectId],
        view: Arc<View>,
    ) -> Self {
        let (index, shards) = (mesh.index(), mesh.shards());
        let routing = Routing::new(mesh);
        let memory = MemoryCache::new(node.settings.cache_memory_bytes / shards as u64);
        let is_mine = move |start| usize::from(start) % shards == index;
        let disk = Variants::new(node.paths.clone(), node.cache_share(shards), is_mine);
        let (queue_max, deadline) = (node.settings.resize_queue, node.settings.resize_deadline);
        Self {
            lifecycle: Lifecycle::default(),
            images: Images::new(&node, &metrics, &routing, quarantined, misplaced),
            peers: Peers::new(&node.identity, view),
            cache: CacheTiers::new(
                memory,
                disk,
                Arc::clone(&node.bodies),
                Arc::clone(&node.erasures),
                Arc::clone(&metrics),
            ),
            resize: ResizeJobs::new(queue_max, deadline, Arc::clone(&metrics), worker),
            routing,
            node,
            metrics,
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
                Message::Kept { job, name, used, placeholder } => {
                    self.stored_on_disk(job, name, used, placeholder);
                }
                Message::Listen(listener) => self.lifecycle.listen(listener),
                Message::SetView { view, number } => {
                    self.peers.set_view(view, number);
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

    /// Removes temporary files, takes the inventory of the variant cache, repairs, and sees to what is found wrong with
    /// images, in the background.
    pub async fn run_housekeeping(self: Rc<Self>, findings: FindingReceiver) {
        let stock = {
            let shard = Rc::clone(&self);
            async move { shard.cache.count_files().await }
        };
        self.spawn(stock);
        self.spawn(Rc::clone(&self).repair_all());
        self.spawn(Rc::clone(&self).compare_all());
        self.spawn(Rc::clone(&self).find_excess());
        self.spawn(Rc::clone(&self).count_moving());
        self.spawn(Rc::clone(&self).repair_losses());
        self.spawn(Rc::clone(&self).check_findings(findings));
        self.spawn(Rc::clone(&self).erase_left_over());
        self.spawn(Rc::clone(&self).pull_erasures());
        self.spawn(Rc::clone(&self).watch_disk_pressure());
        self.images.spools.reaper().run(&self.node.health).await;
    }
}
