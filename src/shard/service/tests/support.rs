//! Whole nodes in this process: a shard with its listener and its worker each.

use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::{Arc, Once};

use glommio::{ExecutorJoinHandle, LocalExecutorBuilder, Placement};
use sha1::{Digest as _, Sha1};

use crate::cli::Serve;
use crate::cluster::layout::tests::support::layout_of;
use crate::cluster::layout::{Copies, Layout, NewNode};
use crate::cluster::node::{Label, NodeId, NodeUrl, Weight};
use crate::cluster::random::Random;
use crate::cluster::time::Time;
use crate::cluster::view::{LocalState, View, Writes};
use crate::config::{self, Config, Environment};
use crate::control::ExecutorWakers;
use crate::http::live::Live;
use crate::object::ObjectId;
use crate::peer::auth::Identity;
use crate::peer::pool::{Address, Pool};
use crate::shard::control_link::{ControlLink, ControlReceivers, MembershipStatus, ShardReport};
use crate::shard::mesh::Mesh;
use crate::shard::message::Message;
use crate::shard::resize::memory::DecodeMemory;
use crate::shard::resize::worker::ResizeWorker;
use crate::shard::{NodeContext, NodeDisk, Shard};
use crate::store::bad_copies::BadCopies;
use crate::store::findings;
use crate::store::health::Health;
use crate::store::manifest::ManifestKeeper;
use crate::store::open::{self, DataDirectory};
use crate::store::path;
use crate::store::scrub::Scrub;
use crate::telemetry::metrics::{NodeMetrics, ShardMetrics};

pub(crate) const ALONE: Copies = Copies { replication: 1, min_replication: 1 };

/// A node of one shard that runs until it is dropped.
pub(crate) struct Running {
    pub(crate) address: Address,
    pub(crate) metrics: Arc<ShardMetrics>,
    pub(crate) receivers: ControlReceivers,
    pub(crate) store: path::StorePaths,
    mailbox: flume::Sender<Message>,
    thread: Option<ExecutorJoinHandle<()>>,
    _directory: tempfile::TempDir,
}

pub(crate) fn id(number: u8) -> NodeId {
    NodeId::from_bytes([number; 16])
}

pub(crate) fn identity(number: u8) -> Arc<Identity> {
    identity_of(number, "one", &["secret"])
}

pub(crate) fn identity_of(number: u8, cluster: &str, secrets: &[&str]) -> Arc<Identity> {
    let secrets: Vec<_> = secrets.iter().map(|secret| (*secret).to_owned()).collect();
    Arc::new(Identity::new(id(number), Label::parse(cluster).unwrap(), &secrets))
}

/// Runs a test's own side.
pub(crate) fn run<T>(work: impl Future<Output = T>) -> T {
    executor().make().unwrap().run(work)
}

fn executor() -> LocalExecutorBuilder {
    static WAKERS: Once = Once::new();
    // As the watchdog does for a process of its own. Here executors come and go, but never their wakers.
    WAKERS.call_once(|| {
        std::thread::spawn(|| {
            loop {
                std::thread::sleep(std::time::Duration::from_millis(100));
                ExecutorWakers::of_executors().wake();
            }
        });
    });
    LocalExecutorBuilder::new(Placement::Unbound)
        .io_memory(64 << 10)
        .ring_depth(64)
        .preempt_timer(std::time::Duration::from_millis(2))
}

/// A layout of these nodes, settled.
pub(crate) fn layout(nodes: &[&Address], copies: Copies) -> Layout {
    let about = |address: &&Address| {
        let node = address.node.unwrap();
        let name = format!("n{}", node.bytes()[0]);
        let about = NewNode {
            name: Label::parse(&name).unwrap(),
            url: address.url.clone(),
            zone: Label::parse("default").unwrap(),
            weight: Weight::new(100).unwrap(),
            writable: true,
        };
        (node, about)
    };
    let nodes: Vec<_> = nodes.iter().map(about).collect();
    layout_of(&nodes, copies)
}

/// The view that node `this` has of it, with these nodes out of reach.
pub(crate) fn view(layout: &Layout, this: NodeId, dead: &[NodeId]) -> Arc<View> {
    let members = View::new(layout, local(this, &[])).members().map(|(node, _)| node).collect::<Vec<_>>();
    let alive: Vec<_> = members.into_iter().filter(|node| !dead.contains(node)).collect();
    Arc::new(View::new(layout, local(this, &alive)))
}

fn local(this: NodeId, alive: &[NodeId]) -> LocalState {
    LocalState {
        this,
        since: Time::default(),
        alive: alive.iter().copied().collect(),
        known: [].into(),
        writes: Writes::Allowed,
        store: 0,
    }
}

impl Running {
    /// Node number `number`, alone until it is shown another view.
    pub(crate) fn start(number: u8) -> Self {
        Self::start_at(number, SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// The same at an address that may have been another's a moment ago.
    pub(crate) fn start_at(number: u8, at: SocketAddr) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut config = config::load(&Serve::default(), &Environment::default()).unwrap();
        config.http.access.open_uploads = true;
        let listener = TcpListener::bind(at).unwrap();
        let address = address(number, listener.local_addr().unwrap());
        let data = open::open(directory.path(), "one", open::DATA_MODE).unwrap();
        let (control_link, receivers) = ControlLink::new(1, false);
        let metrics = Arc::<ShardMetrics>::default();
        control_link.set_membership_status(MembershipStatus::Member);
        let store = data.paths.clone();
        let node = node(number, &data, &config, &metrics, control_link);
        let node = Arc::new(node);
        let (mailbox, messages) = Mesh::mailboxes(1).remove(0);
        let view = view(&layout(&[&address], ALONE), id(number), &[]);
        let thread = {
            let (node, metrics, mailbox) = (Arc::clone(&node), Arc::clone(&metrics), mailbox.clone());
            executor().spawn(move || async move {
                // Held, and with it the lock, as long as the node runs.
                let _data = data;
                serve(config, node, metrics, mailbox, messages, view).await;
            })
        };
        mailbox.send(Message::Listen(listener.into())).unwrap();
        let thread = Some(thread.unwrap());
        Self { address, metrics, receivers, store, mailbox, thread, _directory: directory }
    }

    /// Its address as the system knows it.
    pub(crate) fn socket_address(&self) -> &str {
        self.address.url.as_str().trim_start_matches("http://")
    }

    /// From now on it works by this view.
    pub(crate) fn show(&self, view: Arc<View>, number: u64) {
        self.mailbox.send(Message::SetView { view, number }).unwrap();
        // The shard tells when it has taken it.
        while self.receivers.reports.recv().unwrap() != (ShardReport::ViewTaken { shard: 0, number }) {}
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.mailbox.send(Message::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Node number `number`, whose disk nobody looks at.
fn node(
    number: u8,
    data: &DataDirectory,
    config: &Config,
    metrics: &Arc<ShardMetrics>,
    control_link: ControlLink,
) -> NodeContext {
    let all = NodeMetrics::new(vec![Arc::clone(metrics)], Arc::default(), Arc::default());
    let layout = data.paths.clone();
    let health = Arc::new(Health::new(layout.clone(), data.identity.id, data.marker, 0, Arc::default()));
    let (settings, name) = (config.shard.clone(), format!("n{number}"));
    // The keeper does not run: shards never wait for it.
    let bad_copies = BadCopies::default();
    let (findings, _) = findings::channels(1, bad_copies.clone());
    let (manifests, _keeper) = ManifestKeeper::new(Arc::clone(&health), findings, Arc::default());
    let disk = NodeDisk {
        paths: layout,
        health,
        manifests,
        scrub: Scrub::default(),
        bad_copies,
        metrics: Arc::default(),
    };
    NodeContext::new(settings, name, disk, all, control_link, identity(number))
}

/// A shard of node 1 that nobody pumps, with its config and directory.
pub(crate) fn idle_shard() -> (Rc<Shard>, Config, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let config = config::load(&Serve::default(), &Environment::default()).unwrap();
    let data = open::open(directory.path(), "one", open::DATA_MODE).unwrap();
    let (control_link, _receivers) = ControlLink::new(1, false);
    let metrics = Arc::<ShardMetrics>::default();
    let address = address(1, SocketAddr::from(([127, 0, 0, 1], 1)));
    let view = view(&layout(&[&address], ALONE), id(1), &[]);
    let node = node(1, &data, &config, &metrics, control_link);
    let (mailbox, _messages) = Mesh::mailboxes(1).remove(0);
    let (to_worker, _jobs) = flume::bounded(1);
    let mesh = Mesh::new(0, vec![mailbox], Arc::clone(&metrics));
    let shard = Shard::new(Arc::new(node), metrics, mesh, to_worker, &[], &[], view);
    (Rc::new(shard), config, directory)
}

async fn serve(
    config: Config,
    node: Arc<NodeContext>,
    metrics: Arc<ShardMetrics>,
    mailbox: flume::Sender<Message>,
    messages: flume::Receiver<Message>,
    view: Arc<View>,
) {
    let (to_worker, jobs) = flume::bounded(1);
    let memory = Arc::new(DecodeMemory::new(config.decode_memory_bytes));
    let limits = config.shard.limits;
    let worker = ResizeWorker {
        jobs,
        mailbox: mailbox.clone(),
        memory,
        limits,
        metrics: Arc::clone(&metrics),
        core: None,
        paths: node.paths.clone(),
        shard: 0,
        cache_bytes_max: node.cache_share(1),
        helper: None,
        health: Arc::clone(&node.health),
    };
    std::thread::spawn(move || worker.run());
    let mesh = Mesh::new(0, vec![mailbox], Arc::clone(&metrics));
    let shard = Rc::new(Shard::new(node, metrics, mesh, to_worker, &[], &[], view));
    let pump = glommio::spawn_local(Rc::clone(&shard).pump(messages));
    let (_findings, mut found) = findings::channels(1, BadCopies::default());
    let housekeeping = glommio::spawn_local(Rc::clone(&shard).run_housekeeping(found.remove(0)));
    if let Some(listener) = shard.lifecycle.listener().await {
        crate::http::serve(Rc::clone(&shard), Arc::new(Live::new(config.http)), listener).await;
    }
    pump.cancel().await;
    housekeeping.cancel().await;
}

pub(crate) fn address(number: u8, at: SocketAddr) -> Address {
    Address { url: NodeUrl::parse(&format!("http://{at}")).unwrap(), node: Some(id(number)) }
}

/// The connections of node number `number`, which need not run.
pub(crate) fn pool(number: u8) -> Pool {
    Pool::new(identity(number))
}

/// A real one, of a few pixels or of so many random ones.
pub(crate) fn png(side: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, side, side);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::NoCompression);
    let mut random = Random::from_seed(u64::from(side));
    let pixels: Vec<u8> = (0..side * side * 3).map(|_| random.below(256) as u8).collect();
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    bytes
}

pub(crate) fn id_of(bytes: &[u8]) -> ObjectId {
    ObjectId::from_digest(Sha1::digest(bytes).into())
}
