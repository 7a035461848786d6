//! One per process, never on the way of a request: start, signals, stop.
//!
//! * [`system`]: what the kernel must give (io_uring, locked memory, descriptors, cores).
//! * [`listen`]: the sockets. [`plan`]: which core runs what.
//! * [`shard_thread`]: what each core's thread runs.
//! * [`cluster`]: this node's part in its cluster. [`watchdog`]: whether control itself still lives.
//!
//! The main thread runs the control executor: it starts the shards, opens the listeners when all of
//! them are ready, and waits for signals and for shards that end.

pub mod cluster;
mod listen;
mod plan;
mod shard_thread;
mod system;
mod watchdog;

use std::fmt;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::future;
use glommio::{ExecutorJoinHandle, LocalExecutorBuilder, Placement};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use self::cluster::effects::RuntimeEffects;
use self::cluster::gossip_sender::GossipSender;
use self::cluster::layout_store::LayoutStoreError;
use self::cluster::stats_exchange::StatsExchange;
use self::cluster::{ControlEvent, Inbox};
use self::listen::ListenError;
use self::plan::Plan;
use self::shard_thread::{LifecycleSender, ShardThread};
pub(crate) use self::system::ExecutorWakers;
pub use self::system::end_with;
use self::system::{OpenEvents, SystemError};
use crate::cluster::core::Boot;
use crate::cluster::node::NodeId;
use crate::cluster::time::Time;
use crate::cluster::view::View;
use crate::config::{Config, ConfigError};
use crate::http::live::Live;
use crate::peer::auth::Identity;
use crate::peer::pool::Pool;
use crate::shard::NodeContext;
use crate::shard::control_link::ControlLink;
use crate::shard::mesh::Mesh;
use crate::shard::message::Message;
use crate::shard::resize::helper;
pub use crate::shard::resize::helper::ARGUMENT as HELPER_ARGUMENT;
use crate::shard::resize::memory::{self, DecodeMemory};
use crate::store::health::Health;
use crate::store::open::{self, DataDirectory};
use crate::store::open_error::OpenError;
use crate::store::{operator_key, path};
use crate::telemetry::metrics::{
    ChannelMessage, DiskMetrics, MemberMetrics, NodeMetrics, ShardMetrics, channel,
};

/// The time that shards have to finish after the stop; a little more than they give themselves.
const STOP_WITHIN: Duration = Duration::from_secs(12);

/// The time that the announcement of this node's leave may take.
const FAREWELL_WITHIN: Duration = Duration::from_secs(1);

/// Runs the helper process, when the first argument is [`HELPER_ARGUMENT`]: the part of a resize worker that may be killed.
pub fn help() -> ExitCode {
    system::close_inherited();
    helper::run()
}

/// Why a node did not start or did not end in order.
#[derive(Debug)]
pub enum RunError {
    /// The kernel does not give what is needed.
    System(SystemError),
    /// The data directory cannot be used.
    Data(OpenError),
    /// The persisted layout cannot be used.
    Cluster(LayoutStoreError),
    /// The address cannot be listened on.
    Listen(ListenError),
    /// The layout names other members, and there is no secret to prove anything to them by.
    NoSecret,
    /// An executor or thread could not be started.
    Start(String),
    /// A shard ended by itself.
    ShardLost(usize),
}

/// An event that control waits for.
#[derive(Debug)]
enum ProcessEvent {
    /// A shard is ready.
    Ready,
    /// This node knows its cluster, or has to be asked before it can.
    ClusterReady,
    Served,
    Ended(usize),
    Signal(i32),
}

/// Loads the configuration again, from where it came at the start.
pub type Reload = Box<dyn Fn() -> Result<Config, ConfigError>>;

/// Runs a node until it is told to stop. On SIGHUP keys, secrets, presets and log level are taken from `reload`.
///
/// # Errors
/// [`RunError`]; each says what to do.
pub fn run(mut config: Config, reload: Reload) -> Result<(), RunError> {
    let cores = system::cores().map_err(RunError::System)?;
    let plan = Plan::new(&cores, config.shards);
    system::prepare(plan.shards.len() + 1).map_err(RunError::System)?;
    fit_connections(&mut config, plan.shards.len() + 1);
    // Whatever this process makes from now on is nobody else's affair, unless configured.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(open::mask(config.data_mode)));
    let data = open::open(&config.data, config.cluster.cluster.as_str(), config.data_mode)
        .map_err(RunError::Data)?;
    listen::probe(config.listen).map_err(RunError::Listen)?;
    let boot = boot(&config, &data)?;
    complete(&mut config, &data.paths).map_err(RunError::Data)?;
    tell(&config);
    let (sender, events) = flume::unbounded();
    watch_signals(sender.clone())?;

    let metrics: Vec<_> = plan.shards.iter().map(|_| Arc::<ShardMetrics>::default()).collect();
    let (members, disk) = (Arc::<MemberMetrics>::default(), Arc::<DiskMetrics>::default());
    let health = health(&config, &data, &disk);
    let (control_link, receivers) = ControlLink::new(plan.shards.len(), data.holds_images);
    let this = NodeId::from_bytes(data.identity.id);
    let identity = Identity::new(this, config.cluster.cluster.clone(), &config.secrets);
    let node = Arc::new(NodeContext::new(
        config.shard.clone(),
        config.name.clone(),
        data.paths.clone(),
        Arc::clone(&health),
        NodeMetrics::new(metrics.clone(), Arc::clone(&members), disk),
        control_link,
        Arc::new(identity),
    ));
    health.watch(plan.shards.len()).map_err(|error| RunError::Start(error.to_string()))?;
    let live = Arc::new(Live::new(config.http.clone()));
    let events_before = OpenEvents::now();
    let (senders, threads) =
        start_shards(config.decode_memory_bytes, &plan, &node, &metrics, &live, &data, &sender)?;
    let (control_events, control_events_in) = cluster::events();
    let gossip = GossipSender::new(Rc::new(Pool::new(Arc::clone(&node.identity))), control_events.clone());
    let effects = RuntimeEffects::new(
        Arc::clone(&node),
        &data.identity,
        senders.clone(),
        members,
        gossip,
        control_events.clone(),
    );
    let stats = StatsExchange::new(
        Arc::clone(&node),
        metrics,
        config.http.recipe.checksum(),
        config.bootstrap.clone(),
        Arc::clone(&live),
    );
    let on_ready = move || report_ready(&sender);
    let inbox = Inbox { receivers, events: control_events_in, own_events: control_events.clone() };
    let settings = config.cluster.clone();
    let control = Control { config, reload, live, node, senders, events, control_events };
    let executor = executor(plan.control)?;
    control.start_watchdog(&events_before)?;
    let ended = executor.run(async move {
        glommio::spawn_local(cluster::run(settings, boot, (effects, stats), inbox, on_ready)).detach();
        control.run().await
    });
    join(threads);
    drop(data);
    ended
}

fn join(threads: Threads) {
    for (shard, thread) in threads.into_iter().enumerate() {
        if thread.join().is_err() {
            log::error!(shard; "the thread of a shard panicked, so the process ends; report this with the lines before");
        }
    }
}

/// Takes no more connections than there are descriptors for, and says so.
fn fit_connections(config: &mut Config, executors: usize) {
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

type Mailboxes = Vec<flume::Sender<Message>>;
type Threads = Vec<ExecutorJoinHandle<()>>;

/// Starts every shard with its worker. Their mailboxes, and what to join at the end.
fn start_shards(
    memory_bytes: u64,
    plan: &Plan,
    node: &Arc<NodeContext>,
    metrics: &[Arc<ShardMetrics>],
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
    for (index, ((_, mailbox), metrics)) in mailboxes.into_iter().zip(metrics).enumerate() {
        let thread = ShardThread {
            index,
            cpu: plan.shards[index],
            node: Arc::clone(node),
            metrics: Arc::clone(metrics),
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

/// The disk's health at the start: the store is there.
fn health(config: &Config, data: &DataDirectory, metrics: &Arc<DiskMetrics>) -> Arc<Health> {
    let (layout, node) = (data.paths.clone(), data.identity.id);
    Arc::new(Health::new(layout, node, data.marker, config.reserve_bytes, Arc::clone(metrics)))
}

/// The state of this node at its start.
fn boot(config: &Config, data: &DataDirectory) -> Result<Boot, RunError> {
    let joins = !config.cluster.join.is_empty();
    let layout =
        cluster::layout_store::load(&data.paths, &data.identity, joins).map_err(RunError::Cluster)?;
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
        holds_images: data.holds_images,
    })
}

/// Adds what the node makes itself where nothing is configured: its operator key.
fn complete(config: &mut Config, layout: &path::StorePaths) -> Result<(), OpenError> {
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
fn tell(config: &Config) {
    config.warnings.iter().for_each(|warning| log::warn!("{warning}"));
    if config.secrets.is_empty() {
        log::info!(
            "no cluster.secret is configured: this node has no peers, and everything below /cluster/ is answered 401"
        );
    }
}

fn executor(placement: Placement) -> Result<glommio::LocalExecutor, RunError> {
    LocalExecutorBuilder::new(placement)
        .name("control")
        .io_memory(shard_thread::IO_MEMORY_BYTES)
        .ring_depth(shard_thread::RING_DEPTH)
        .make()
        .map_err(|error| RunError::Start(error.to_string()))
}

/// Signals arrive on a thread of their own: nothing else is safe to do in a handler.
fn watch_signals(events: flume::Sender<ProcessEvent>) -> Result<(), RunError> {
    let start = |error: std::io::Error| RunError::Start(error.to_string());
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP]).map_err(start)?;
    let watch = move || {
        let mut stopping = false;
        for signal in signals.forever() {
            if stopping && signal != SIGHUP {
                // The second one: its sender does not want to wait.
                std::process::exit(1);
            }
            stopping |= signal != SIGHUP;
            if events.send(ProcessEvent::Signal(signal)).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(watch).map_err(start)?;
    Ok(())
}

fn report_ready(events: &flume::Sender<ProcessEvent>) {
    channel::try_send(events, ChannelMessage::Lifecycle, ProcessEvent::ClusterReady);
}

struct Control {
    config: Config,
    reload: Reload,
    live: Arc<Live>,
    node: Arc<NodeContext>,
    senders: Vec<flume::Sender<Message>>,
    events: flume::Receiver<ProcessEvent>,
    control_events: flume::Sender<ControlEvent>,
}

impl Control {
    async fn run(self) -> Result<(), RunError> {
        // Every shard, and this node's part in its cluster.
        let mut unready = self.senders.len() + 1;
        let mut result = Ok(());
        loop {
            match self.events.recv_async().await {
                Ok(ProcessEvent::Ready | ProcessEvent::ClusterReady) => {
                    unready -= 1;
                    if unready == 0
                        && let Err(error) = self.listen()
                    {
                        result = Err(error);
                        break;
                    }
                }
                Ok(ProcessEvent::Signal(SIGHUP)) => self.reload(),
                Ok(ProcessEvent::Signal(signal)) => {
                    log::info!(signal; "stopping");
                    self.node.drain();
                    self.tell(|| Message::Drain);
                    glommio::timer::sleep(self.config.drain_delay).await;
                    break;
                }
                Ok(ProcessEvent::Ended(shard)) => {
                    log::error!(shard; "a shard ended by itself, so the process ends; the lines before say why");
                    result = Err(RunError::ShardLost(shard));
                    break;
                }
                // Shards serve until they are told to stop.
                Ok(ProcessEvent::Served) => {}
                Err(flume::RecvError::Disconnected) => break,
            }
        }
        let lost = usize::from(matches!(result, Err(RunError::ShardLost(_))));
        self.stop(self.senders.len() - lost).await;
        self.bid_farewell().await;
        result
    }

    fn listen(&self) -> Result<(), RunError> {
        let (address, listeners) =
            listen::open(self.config.listen, self.senders.len()).map_err(RunError::Listen)?;
        for (sender, listener) in self.senders.iter().zip(listeners) {
            // A mailbox always has room for control, and a shard that has ended is told of by itself.
            Message::Listen(listener).post(sender);
        }
        let (shards, url) = (self.senders.len(), url(address));
        log::info!(shards, url; "ready");
        Ok(())
    }

    /// Call it when all executors are made.
    fn start_watchdog(&self, events_before: &OpenEvents) -> Result<(), RunError> {
        let wakers = ExecutorWakers::opened_since(events_before);
        wakers.warn_if_fewer_than(self.senders.len() + 1);
        watchdog::start(Arc::clone(&self.node), wakers)
    }

    fn has_peers(&self) -> bool {
        cluster::layout_store::has_peers(&self.node.paths, self.node.identity.node)
    }

    /// A faulty configuration changes nothing: the node goes on with what it has.
    fn reload(&self) {
        match (self.reload)() {
            Ok(config) if config.secrets.is_empty() && self.has_peers() => {
                log::error!("{}; the node keeps its old configuration", RunError::NoSecret);
            }
            Ok(mut config) => {
                if let Err(error) = complete(&mut config, &self.node.paths) {
                    log::error!(error:% = error; "the operator key file cannot be read or made, so the node keeps its old configuration; check its data directory");
                    return;
                }
                config.warnings.iter().for_each(|warning| log::warn!("{warning}"));
                let keys = self.config.changed_until_restart(&config).join(", ");
                log::set_max_level(config.log_level);
                self.live.reload(config.http);
                self.node.identity.replace_secrets(&config.secrets);
                log::info!("reloaded keys, secrets, presets and log level");
                if !keys.is_empty() {
                    log::warn!(keys; "these keys changed and are read only at the start; restart the node to apply them");
                }
            }
            Err(error) => {
                log::error!(error:% = error; "the configuration is faulty, so the node keeps its old one; correct it and send SIGHUP again")
            }
        }
    }

    fn tell(&self, message: impl Fn() -> Message) {
        for sender in &self.senders {
            message().post(sender);
        }
    }

    /// Tells the other nodes that this one goes, so that nobody waits for it.
    async fn bid_farewell(&self) {
        let (done, told) = flume::bounded(1);
        if ControlEvent::Leave(done).post(&self.control_events) {
            let late = async { glommio::timer::sleep(FAREWELL_WITHIN).await };
            let told = async {
                let _ = told.recv_async().await;
            };
            future::or(told, late).await;
        }
    }

    async fn stop(&self, mut running: usize) {
        self.tell(|| Message::Stop);
        let mut serving = running;
        let all = async {
            while running > 0 {
                match self.events.recv_async().await {
                    Ok(ProcessEvent::Served) => {
                        serving -= 1;
                        if serving == 0 {
                            self.tell(|| Message::End);
                        }
                    }
                    Ok(ProcessEvent::Ended(_)) => running -= 1,
                    Ok(ProcessEvent::Ready | ProcessEvent::ClusterReady | ProcessEvent::Signal(_)) => {}
                    Err(flume::RecvError::Disconnected) => return,
                }
            }
        };
        let late = async {
            glommio::timer::sleep(STOP_WITHIN).await;
            log::warn!("some requests did not finish within the stop timeout, so the node cuts them off");
            std::process::exit(0);
        };
        future::or(all, late).await;
    }
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

impl RunError {
    /// 78 (a configuration of the system that does not do) for the kernel, else 1.
    pub fn exit_code(&self) -> u8 {
        if matches!(self, Self::System(_)) { 78 } else { 1 }
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System(error) => error.fmt(f),
            Self::Data(error) => error.fmt(f),
            Self::Cluster(error) => error.fmt(f),
            Self::Listen(error) => error.fmt(f),
            Self::NoSecret => f.write_str(
                "this node has peers but no cluster.secret to prove itself by: set the secret of its cluster",
            ),
            Self::Start(error) => {
                write!(f, "cannot start a thread: {error}; look at the limits of this process")
            }
            Self::ShardLost(shard) => write!(f, "shard {shard} ended by itself; its log lines say why"),
        }
    }
}

impl std::error::Error for RunError {}
