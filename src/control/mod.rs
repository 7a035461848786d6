//! One per process, never on the way of a request: start, signals, stop.
//!
//! * [`system`]: what the kernel must give (io_uring, locked memory, descriptors, cores).
//! * [`start`]: the steps of the start. [`listen`]: the sockets. [`plan`]: which core runs what.
//! * [`shard_thread`]: what each core's thread runs. [`store_threads`]: the threads of the disk.
//! * [`lifecycle`]: control of the running node, fed by [`process_event`]. [`error`]: why it ended.
//! * [`cluster`]: this node's part in its cluster. [`watchdog`]: whether control itself still lives.
//!
//! The main thread runs the control executor: it starts the shards, opens the listeners when all of
//! them are ready, and waits for signals and for shards that end.

pub mod cluster;
mod error;
mod lifecycle;
mod listen;
mod plan;
mod process_event;
mod shard_thread;
mod start;
mod store_threads;
mod system;
mod watchdog;

use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;

use self::cluster::Inbox;
use self::cluster::effects::RuntimeEffects;
use self::cluster::gossip_sender::GossipSender;
use self::cluster::stats_exchange::StatsExchange;
pub use self::error::RunError;
use self::lifecycle::Control;
pub use self::lifecycle::Reload;
use self::plan::Plan;
use self::store_threads::StoreThreads;
#[cfg(test)]
pub(crate) use self::system::ExecutorWakers;
use self::system::OpenEvents;
pub use self::system::end_with;
use crate::config::Config;
use crate::http::live::Live;
use crate::peer::pool::Pool;
use crate::shard::NodeContext;
use crate::shard::control_link::ControlLink;
use crate::shard::resize::helper;
pub use crate::shard::resize::helper::ARGUMENT as HELPER_ARGUMENT;
use crate::store::open;
use crate::telemetry::metrics::{MemberMetrics, NodeMetrics, ShardMetrics};

/// Runs the helper process, when the first argument is [`HELPER_ARGUMENT`]: the part of a resize worker that may be killed.
pub fn help() -> ExitCode {
    system::close_inherited();
    helper::run()
}

/// Runs a node until it is told to stop. On SIGHUP keys, secrets, presets and log level are taken from `reload`.
///
/// # Errors
/// [`RunError`]; each says what to do.
pub fn run(mut config: Config, reload: Reload) -> Result<(), RunError> {
    let cores = system::cores().map_err(RunError::System)?;
    let plan = Plan::new(&cores, config.shards);
    system::prepare(plan.shards.len() + 1).map_err(RunError::System)?;
    start::fit_connections(&mut config, plan.shards.len() + 1);
    // Whatever this process makes from now on is nobody else's affair, unless configured.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(open::mask(config.data_mode)));
    let data = open::open(&config.data, config.cluster.cluster.as_str(), config.data_mode)
        .map_err(RunError::Data)?;
    listen::probe(config.listen).map_err(RunError::Listen)?;
    let boot = start::boot(&config, &data)?;
    start::complete(&mut config, &data.paths).map_err(RunError::Data)?;
    start::tell(&config);
    let (sender, events) = flume::unbounded();
    process_event::watch_signals(sender.clone())?;

    let metrics: Vec<_> = plan.shards.iter().map(|_| Arc::<ShardMetrics>::default()).collect();
    let members = Arc::<MemberMetrics>::default();
    let (store_threads, findings) = StoreThreads::new(&config, &data, plan.shards.len());
    let disk = store_threads.disk();
    let (control_link, receivers) = ControlLink::new(plan.shards.len(), data.holds_images);
    let node = Arc::new(NodeContext::new(
        config.shard.clone(),
        config.name.clone(),
        disk.clone(),
        NodeMetrics::new(metrics.clone(), Arc::clone(&members), store_threads.metrics()),
        control_link,
        start::identity(&config, &data),
    ));
    node.erasures.load(&data.erasures);
    store_threads.start(config.scrub_every)?;
    let live = Arc::new(Live::new(config.http.clone()));
    let events_before = OpenEvents::now();
    let parts = metrics.iter().cloned().zip(findings).collect();
    let (senders, threads) =
        start::start_shards(config.decode_memory_bytes, &plan, &node, parts, &live, &data, &sender)?;
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
    let on_ready = move || process_event::report_ready(&sender);
    let inbox = Inbox { receivers, events: control_events_in, own_events: control_events.clone() };
    let settings = config.cluster.clone();
    let control = Control { config, reload, live, node, senders, events, control_events };
    let executor = start::executor(plan.control)?;
    control.start_watchdog(&events_before)?;
    let ended = executor.run(async move {
        glommio::spawn_local(cluster::run(settings, boot, (effects, stats), inbox, on_ready)).detach();
        control.run().await
    });
    join(threads);
    // All reports of the shards have come.
    store_threads::stop(&disk);
    drop(data);
    ended
}

fn join(threads: start::Threads) {
    for (shard, thread) in threads.into_iter().enumerate() {
        if thread.join().is_err() {
            log::error!(shard; "the thread of a shard panicked, so the process ends; report this with the lines before");
        }
    }
}
