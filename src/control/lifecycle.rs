//! Control of a running node: listening when all is ready, signals, reload, stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::future;
use signal_hook::consts::SIGHUP;

use super::cluster::{self, ControlEvent};
use super::error::RunError;
use super::process_event::ProcessEvent;
use super::system::{ExecutorWakers, OpenEvents};
use super::{listen, start, watchdog};
use crate::config::{Config, ConfigError};
use crate::http::live::Live;
use crate::shard::NodeContext;
use crate::shard::message::Message;

/// The time that shards have to finish after the stop; a little more than they give themselves.
const STOP_WITHIN: Duration = Duration::from_secs(12);

/// The time that the announcement of this node's leave may take.
const FAREWELL_WITHIN: Duration = Duration::from_secs(1);

/// Loads the configuration again, from where it came at the start.
pub type Reload = Box<dyn Fn() -> Result<Config, ConfigError>>;

/// The parts of control that live as long as the node.
pub(super) struct Control {
    pub(super) config: Config,
    pub(super) reload: Reload,
    pub(super) live: Arc<Live>,
    pub(super) node: Arc<NodeContext>,
    pub(super) senders: Vec<flume::Sender<Message>>,
    pub(super) events: flume::Receiver<ProcessEvent>,
    pub(super) control_events: flume::Sender<ControlEvent>,
}

impl Control {
    /// Serves until a signal or the end of a shard, and stops in order.
    pub(super) async fn run(self) -> Result<(), RunError> {
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
            // Nobody has asked anything yet, so there is room; a shard that has ended is told of by itself.
            Message::Listen(listener).post(sender);
        }
        let (shards, url) = (self.senders.len(), url(address));
        log::info!(shards, url; "ready");
        Ok(())
    }

    /// Call it when all executors are made.
    pub(super) fn start_watchdog(&self, events_before: &OpenEvents) -> Result<(), RunError> {
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
                if let Err(error) = start::complete(&mut config, &self.node.paths) {
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
