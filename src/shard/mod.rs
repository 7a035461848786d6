//! One core's room: its slice of the ids, its mailbox, its work under way, its resize lane.
//!
//! * [`message`]: everything that can reach a shard from outside.
//! * [`mesh`]: questions from shard to shard.
//! * [`lane`]: the resize worker beside the shard.
//! * [`variant`]: making each variant once.
//! * [`hot`]: the memory tier.
//! * [`memory`]: the node-wide budget of decoded pixels.
//! * [`oneshot`], [`event`], [`locks`]: waiting within one executor.
//!
//! Invariants: a shard's state is touched by its own executor alone; no borrow of it lives across an
//! await; only the pump takes from the mailbox, so a request never waits on another thread's channel.

mod ahead;
pub mod event;
pub mod hot;
pub mod lane;
pub mod locks;
pub mod memory;
pub mod mesh;
pub mod message;
pub mod oneshot;
pub mod variant;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::os::fd::OwnedFd;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use futures_lite::{FutureExt, future};

use self::ahead::Hints;
use self::event::Event;
use self::hot::{Entry, Hot, HotKey};
use self::lane::Job;
use self::locks::IdLocks;
use self::mesh::{AskError, Mesh};
use self::message::{Answer, Ask, Message, Opened, Publish, VariantAsk, Verified};
use self::variant::{Flight, FlightKey, Variant, VariantError};
use crate::image::header::Limits;
use crate::object::ObjectId;
use crate::store::StoreError;
use crate::store::originals::{Found, Original, Originals};
use crate::store::path::Layout;
use crate::store::spool::{Spooled, Spools, Temporary};
use crate::store::variants::Variants;
use crate::telemetry::metrics::{NodeMetrics, ShardMetrics};

/// What a shard is told once.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Bounds of every image.
    pub limits: Limits,
    /// Bytes of answers in memory, all shards together.
    pub cache_memory_bytes: u64,
    /// Bytes of variants on disk, all shards together.
    pub cache_disk_bytes: u64,
    /// Jobs that may wait for one shard's worker.
    pub resize_queue: usize,
    /// How long a request waits for its variant.
    pub resize_deadline: Duration,
}

/// What all shards of the node share: constants, and counters that are off the hit path.
#[derive(Debug)]
pub struct Node {
    /// What was configured.
    pub settings: Settings,
    /// The node's name, as uploads are told.
    pub name: String,
    /// Where everything lies.
    pub layout: Layout,
    /// Uploads under way.
    pub uploads: AtomicUsize,
    /// Open connections.
    pub connections: AtomicUsize,
    /// All metrics.
    pub metrics: NodeMetrics,
    phase: AtomicU8,
}

/// Where a node is between start and end.
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
    /// What all shards share.
    pub node: Arc<Node>,
    /// What this shard counts.
    pub metrics: Arc<ShardMetrics>,
    /// Set when no new connection or request is to be taken.
    pub stopping: Event,
    /// Set when no shard has a connection any more.
    pub ended: Event,
    /// Where uploads are received.
    pub spools: Spools,
    mesh: Mesh,
    originals: Originals,
    variants: Variants,
    hot: Hot,
    publishing: IdLocks,
    lane: flume::Sender<Job>,
    flights: RefCell<HashMap<FlightKey, Rc<Flight>>>,
    /// Questions of other shards that are being worked on.
    serving: RefCell<HashMap<(usize, u64), Rc<Event>>>,
    flights_ended: Cell<u64>,
    job_time: Cell<Duration>,
    hints: RefCell<Hints>,
    making_ahead: Cell<bool>,
    jobs: RefCell<HashMap<u64, (FlightKey, Rc<Flight>)>>,
    next_job: Cell<u64>,
    listener: RefCell<Option<OwnedFd>>,
    listening: Event,
}

impl Node {
    /// A node that is ready.
    pub fn new(settings: Settings, name: String, layout: Layout, metrics: NodeMetrics) -> Self {
        Self {
            settings,
            name,
            layout,
            uploads: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            metrics,
            phase: AtomicU8::new(0),
        }
    }

    /// Where the node is now.
    pub fn phase(&self) -> Phase {
        if self.phase.load(Relaxed) == 0 { Phase::Ready } else { Phase::Draining }
    }

    /// From now on clients are asked to go elsewhere.
    pub fn drain(&self) {
        self.phase.store(1, Relaxed);
    }
}

impl Shard {
    /// Shard number `index` of the node. `lane` leads to its worker, `quarantined` are the node's
    /// ids with a bad copy.
    pub fn new(
        node: Arc<Node>,
        metrics: Arc<ShardMetrics>,
        mesh: Mesh,
        lane: flume::Sender<Job>,
        quarantined: &[ObjectId],
    ) -> Self {
        let (index, shards) = (mesh.index(), mesh.shards());
        let mine: HashSet<_> = quarantined.iter().filter(|id| id.shard(shards) == index).copied().collect();
        let layout = node.layout.clone();
        let share = node.settings.cache_disk_bytes / shards as u64;
        Self {
            spools: Spools::new(layout.clone(), index),
            originals: Originals::new(layout.clone(), mine),
            variants: Variants::new(layout, share),
            hot: Hot::new(node.settings.cache_memory_bytes / shards as u64),
            node,
            metrics,
            stopping: Event::default(),
            ended: Event::default(),
            mesh,
            publishing: IdLocks::default(),
            lane,
            flights: RefCell::default(),
            serving: RefCell::default(),
            flights_ended: Cell::new(0),
            job_time: Cell::new(Duration::ZERO),
            hints: RefCell::default(),
            making_ahead: Cell::new(false),
            jobs: RefCell::default(),
            next_job: Cell::new(0),
            listener: RefCell::default(),
            listening: Event::default(),
        }
    }

    /// This shard's number.
    pub fn index(&self) -> usize {
        self.mesh.index()
    }

    /// Runs a background task of this shard; a panic in it is logged and ends it alone.
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        glommio::spawn_local(async move {
            if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                log::error!("a background task panicked");
            }
        })
        .detach();
    }

    /// An answer from the memory tier.
    pub fn hot(&self, key: &HotKey) -> Option<Arc<Entry>> {
        let entry = self.hot.get(key, self.owns(&key.0));
        if entry.is_some() {
            self.metrics.memory_hits.add();
        }
        entry
    }

    /// Offers an answer to the memory tier.
    pub fn keep_hot(&self, key: HotKey, entry: &Arc<Entry>) {
        self.warm(key, entry, self.owns(&key.0));
    }

    fn warm(&self, key: HotKey, entry: &Arc<Entry>, owned: bool) {
        self.hot.offer(key, entry, owned);
        self.metrics.memory_bytes.set(self.hot.bytes());
        self.metrics.memory_evictions.set(self.hot.evictions());
    }

    fn owns(&self, id: &ObjectId) -> bool {
        id.shard(self.mesh.shards()) == self.index()
    }

    /// Waits for the listener that control sends when the whole node is ready. `None`: the node
    /// stops before that.
    pub async fn listener(&self) -> Option<OwnedFd> {
        self.listening.wait().await;
        self.listener.borrow_mut().take()
    }

    /// Takes letters from the mailbox until control says stop or has gone. Run one per shard.
    pub async fn pump(self: Rc<Self>, mailbox: flume::Receiver<Message>) {
        while let Ok(message) = mailbox.recv_async().await {
            match message {
                Message::Ask { from, ticket, ask } => self.serve(from, ticket, ask),
                Message::Withdraw { from, ticket } => self.withdraw(from, ticket),
                Message::Answer { ticket, answer } => self.mesh.complete(ticket, answer),
                Message::Made { job, outcome, took } => self.land(job, outcome, took),
                Message::Listen(listener) => {
                    *self.listener.borrow_mut() = Some(listener);
                    self.listening.set();
                }
                Message::Drain => self.node.drain(),
                Message::Stop => {
                    self.stopping.set();
                    self.listening.set();
                }
                Message::End => {
                    self.ended.set();
                    return;
                }
            }
        }
    }

    /// Removes temporary files and takes stock of the variant cache, in the background.
    pub async fn keep_house(self: Rc<Self>) {
        let stock = {
            let shard = Rc::clone(&self);
            async move {
                let (index, shards) = (shard.index(), shard.mesh.shards());
                shard.variants.take_stock(|id| id.shard(shards) == index).await;
                shard.metrics.disk_bytes.set(shard.variants.bytes());
            }
        };
        self.spawn(stock);
        self.spools.garbage().sweep().await;
    }

    fn serve(self: &Rc<Self>, from: usize, ticket: u64, ask: Ask) {
        let withdrawn = Rc::<Event>::default();
        self.serving.borrow_mut().insert((from, ticket), Rc::clone(&withdrawn));
        let shard = Rc::clone(self);
        glommio::spawn_local(async move {
            let answer = async { Some(AssertUnwindSafe(shard.answer(ask)).catch_unwind().await) };
            let leave = async {
                withdrawn.wait().await;
                None
            };
            let answer = future::or(answer, leave).await;
            shard.serving.borrow_mut().remove(&(from, ticket));
            if matches!(answer, Some(Err(_))) {
                log::error!("answering another shard panicked");
            }
            // A withdrawn question needs none.
            if let Some(answer) = answer {
                shard.mesh.answer(from, ticket, answer.ok());
            }
        })
        .detach();
    }

    fn withdraw(&self, from: usize, ticket: u64) {
        let withdrawn = self.serving.borrow().get(&(from, ticket)).cloned();
        if let Some(withdrawn) = withdrawn {
            withdrawn.set();
        }
    }

    async fn answer(self: &Rc<Self>, ask: Ask) -> Answer {
        match ask {
            Ask::Find(id) => Answer::Found(self.originals.find(&id).await),
            Ask::Open(id) => Answer::Opened(self.own_open(id).await),
            Ask::Publish(publish) => Answer::Published(self.own_publish(publish).await),
            Ask::Verified(verified) => {
                self.own_verified(verified);
                Answer::Noted
            }
            Ask::Ahead(ask) => {
                self.own_ahead(*ask);
                Answer::Noted
            }
            Ask::Variant(ask) => Answer::Variant(self.own_variant(*ask).await),
        }
    }

    /// Answers here when the id is this shard's, else asks its owner.
    async fn route(self: &Rc<Self>, id: &ObjectId, ask: Ask) -> Result<Answer, AskError> {
        let owner = id.shard(self.mesh.shards());
        if owner == self.index() { Ok(self.answer(ask).await) } else { self.mesh.ask(owner, ask).await }
    }

    /// Whether the image is stored.
    ///
    /// # Errors
    /// [`AskError`] when the owner could not be asked, the inner [`StoreError`] when its disk could not tell.
    pub async fn find(self: &Rc<Self>, id: ObjectId) -> Result<Result<Found, StoreError>, AskError> {
        match self.route(&id, Ask::Find(id)).await? {
            Answer::Found(found) => Ok(found),
            _ => Err(AskError::Failed),
        }
    }

    /// The open file of the stored bytes.
    ///
    /// # Errors
    /// As [`Shard::find`].
    pub async fn open(self: &Rc<Self>, id: ObjectId) -> Result<Result<Opened, StoreError>, AskError> {
        match self.route(&id, Ask::Open(id)).await? {
            Answer::Opened(opened) => Ok(opened),
            _ => Err(AskError::Failed),
        }
    }

    /// Stores a received upload durably.
    ///
    /// # Errors
    /// As [`Shard::find`]; nothing of the upload is visible then (after [`AskError::Failed`] it may be).
    pub async fn publish(
        self: &Rc<Self>,
        spooled: Spooled,
    ) -> Result<Result<Original, StoreError>, AskError> {
        let Spooled { temporary, id, header, .. } = spooled;
        let ask = |temporary| Ask::Publish(Publish { temporary, id, format: header.format });
        if id.shard(self.mesh.shards()) == self.index() {
            let path = temporary.release();
            return match self.answer(ask(path)).await {
                Answer::Published(published) => Ok(published),
                _ => Err(AskError::Failed),
            };
        }
        // A question that is refused must not leave the file: it is in somebody's charge throughout.
        let path = temporary.path().to_path_buf();
        let asked = self.mesh.ask(id.shard(self.mesh.shards()), ask(path)).await;
        match asked? {
            Answer::Published(published) => {
                temporary.release();
                Ok(published)
            }
            _ => Err(AskError::Failed),
        }
    }

    /// Tells the owner what came of hashing a whole file.
    pub async fn verified(self: &Rc<Self>, verified: Verified) {
        // Only a note: when it cannot be delivered, the next reader hashes again.
        let _ = self.route(&verified.id, Ask::Verified(verified)).await;
    }

    /// The variant, from the cache or made.
    ///
    /// # Errors
    /// [`AskError`] when the owner could not be asked, else the inner [`VariantError`].
    pub async fn variant(
        self: &Rc<Self>,
        ask: VariantAsk,
    ) -> Result<Result<Variant, VariantError>, AskError> {
        let id = ask.id;
        match self.route(&id, Ask::Variant(Box::new(ask))).await? {
            Answer::Variant(variant) => Ok(variant),
            _ => Err(AskError::Failed),
        }
    }

    /// Notes a variant that will be asked for; it is made when there is nothing else to do.
    pub async fn ahead(self: &Rc<Self>, ask: VariantAsk) {
        let id = ask.id;
        // A hint that cannot be delivered is forgotten.
        let _ = self.route(&id, Ask::Ahead(Box::new(ask))).await;
    }

    async fn own_open(&self, id: ObjectId) -> Result<Opened, StoreError> {
        // Twice: what was remembered may have gone since.
        for _ in 0..2 {
            match self.originals.find(&id).await? {
                Found::Here(found) => {
                    if let Some((file, original)) = self.originals.open(&id, found.format).await? {
                        let verified = self.originals.is_verified(&id, original.stamp);
                        return Ok(Opened::Here(file, original, verified));
                    }
                }
                Found::Absent => return Ok(Opened::Absent),
                Found::Damaged => return Ok(Opened::Damaged),
            }
        }
        Ok(Opened::Absent)
    }

    async fn own_publish(&self, publish: Publish) -> Result<Original, StoreError> {
        let Publish { temporary, id, format } = publish;
        let temporary = Temporary::take_over(temporary, self.spools.garbage());
        let _turn = self.publishing.lock(id).await;
        self.originals.publish(temporary, &id, format).await
    }

    fn own_verified(self: &Rc<Self>, verified: Verified) {
        if verified.right {
            self.originals.set_verified(&verified.id, verified.stamp);
        } else {
            self.condemn(verified);
        }
    }

    /// The bytes of a stored file are wrong: takes it out of the way, if it is still that file.
    fn condemn(self: &Rc<Self>, verified: Verified) {
        self.metrics.corrupt.add();
        log::error!(object:% = verified.id; "a stored image failed its hash and is quarantined");
        let shard = Rc::clone(self);
        self.spawn(async move {
            let Verified { id, format, stamp, .. } = verified;
            let _turn = shard.publishing.lock(id).await;
            // A good copy may have taken its place since it was read.
            let current = shard.originals.open(&id, format).await;
            if !matches!(current, Ok(Some((_, original))) if original.stamp == stamp) {
                return;
            }
            if let Err(error) = shard.originals.quarantine(&id, format).await {
                log::error!(object:% = id, error:% = error; "cannot quarantine an image");
            }
        });
    }
}
