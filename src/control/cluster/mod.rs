//! This node's part in its cluster, on the control executor and off every request path.
//!
//! * [`event_loop`]: feeds the cluster core and runs the effects that it asks for; no I/O of its own.
//! * [`effects`]: the real effects, on shards, disk, log, metrics and peers.
//! * [`distrust`]: whether this node's secret is the wrong one. [`joining`]: what an operator reads of a node without a cluster.
//! * [`gossip_sender`]: gossip messages to peers. [`stats_exchange`]: node stats of every member.
//! * [`layout_store`]: the durable layout. [`publish`]: views to the shards. [`event_log`]: rate-limited log lines.
//! * [`operator_calls`]: replies to operators, once the layout is durable.
//!
//! One task, [`run`], owns all of it. Only this task receives from the channels that other threads send to. It lives as
//! long as the process.

mod byte_rate;
mod distrust;
pub(super) mod effects;
mod event_log;
pub(super) mod event_loop;
pub(super) mod gossip_sender;
mod joining;
pub(super) mod layout_store;
mod operator_calls;
mod publish;
pub(super) mod stats_exchange;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_lite::future;

use self::effects::RuntimeEffects;
use self::event_loop::{Effects, EventLoop};
use self::operator_calls::PendingReplies;
use self::stats_exchange::StatsExchange;
use crate::cluster::core::{Boot, ClusterSettings, Input, JoinRefusal};
use crate::cluster::node::NodeUrl;
use crate::cluster::time::Time;
use crate::shard::control_link::{ControlReceivers, GossipMessage, OperatorCall, ShardReport};
use crate::shard::node_stats::NodeStats;
use crate::telemetry::metrics::{ChannelMessage, channel};

/// The longest pause between two rounds. Each round is a heartbeat: by it the watchdog and the peers see that control
/// lives.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// After a longer pause this process was stopped or its core was taken away. Messages that came meanwhile are handled
/// first, or the node would call them all down.
const GAP: Duration = Duration::from_millis(1_500);

/// For so long it waits for messages that were sent meanwhile.
const CATCH_UP: Duration = Duration::from_millis(500);

/// Gossip messages that are handled before the clock is read again.
const MESSAGES_AT_ONCE: usize = 64;

/// The time that the announcement of this node's leave may take.
const FAREWELL: Duration = Duration::from_millis(500);

/// Control events that may wait: one layout that is being persisted, one leave, and some rejections, which may be lost.
const EVENTS_MAX: usize = 16;

/// An event of the control executor itself.
#[derive(Debug)]
pub(super) enum ControlEvent {
    /// The layout of this number is durable, or could not be persisted.
    LayoutPersisted(u64, bool),
    /// A peer rejected a gossip message, or did not answer.
    PeerRejected(PeerRejection, NodeUrl),
    /// A node that received our gossip refuses to let this node join.
    JoinRefused(JoinRefusal),
    /// This node's own stats.
    NodeStats(NodeStats),
    /// The process is about to end: announce it to the peers, then reply here.
    Leave(flume::Sender<()>),
}

impl ControlEvent {
    /// The kind under which a refusal is counted.
    const fn kind(&self) -> ChannelMessage {
        match self {
            Self::LayoutPersisted(..) => ChannelMessage::LayoutPersisted,
            Self::PeerRejected(..) => ChannelMessage::PeerRejected,
            Self::JoinRefused(_) => ChannelMessage::JoinRefused,
            Self::NodeStats(_) => ChannelMessage::NodeStats,
            Self::Leave(_) => ChannelMessage::Leave,
        }
    }

    /// Sends it without waiting. False: it was refused, and that is counted.
    pub(super) fn post(self, events: &flume::Sender<Self>) -> bool {
        let kind = self.kind();
        channel::try_send(events, kind, self)
    }
}

/// Why a peer does not accept our gossip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PeerRejection {
    /// It belongs to another cluster.
    ForeignCluster,
    /// It has another secret.
    WrongSecret,
    /// It does not answer.
    Unanswered,
}

/// The content of a gossip message, by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Envelope {
    /// A message between cores.
    Core,
    /// The sender's node stats.
    NodeStats,
}

impl Envelope {
    fn encode(self, bytes: &[u8]) -> Vec<u8> {
        [&[self as u8], bytes].concat()
    }

    fn decode(bytes: &[u8]) -> Option<(Self, &[u8])> {
        match bytes.split_first()? {
            (0, rest) => Some((Self::Core, rest)),
            (1, rest) => Some((Self::NodeStats, rest)),
            _ => None,
        }
    }
}

/// The channel of control events.
pub(super) fn events() -> (flume::Sender<ControlEvent>, flume::Receiver<ControlEvent>) {
    flume::bounded(EVENTS_MAX)
}

/// The channels that [`run`] receives from, and the sender of its own events.
pub(super) struct Inbox {
    pub(super) receivers: ControlReceivers,
    pub(super) events: flume::Receiver<ControlEvent>,
    pub(super) own_events: flume::Sender<ControlEvent>,
}

/// The state of the task.
struct ClusterTask {
    event_loop: EventLoop<RuntimeEffects>,
    stats: StatsExchange,
    replies: PendingReplies,
}

enum Incoming {
    Report(ShardReport),
    Gossip(GossipMessage),
    Call(OperatorCall),
    Event(ControlEvent),
    Nothing,
}

/// Runs the event loop until the process ends. `on_ready` is called once, when this node may listen: all its shards
/// work by its layout, or it has to join a cluster first.
pub(super) async fn run(
    settings: ClusterSettings,
    boot: Boot,
    (effects, stats): (RuntimeEffects, StatsExchange),
    inbox: Inbox,
    on_ready: impl FnOnce(),
) {
    let clock = stats.node();
    // A node with a persisted layout goes by that from its first answer on.
    let has_to_ask = !settings.join.is_empty() && boot.layout.is_none();
    let event_loop = EventLoop::new(settings, boot, effects, clock.control.now());
    let mut task = ClusterTask { event_loop, stats, replies: PendingReplies::default() };
    let (mut on_ready, mut last, mut quiet_until) = (Some(on_ready), Instant::now(), Instant::now());
    loop {
        let due = Duration::from_millis(task.event_loop.next_deadline().since(clock.control.now()));
        let quiet = quiet_until.saturating_duration_since(Instant::now());
        let incoming = inbox.next(due.max(quiet).min(LOOK_EVERY)).await;
        task.event_loop.effects().heartbeat();
        let gap = last.elapsed() > GAP;
        last = Instant::now();
        task.handle(incoming, clock.control.now()).await;
        for gossip in inbox.receivers.gossip.try_iter().take(MESSAGES_AT_ONCE) {
            task.handle_gossip(&gossip, clock.control.now());
        }
        if gap {
            // This tells the core that time was lost; timers that are due wait until the messages are handled.
            task.event_loop.handle(Input::Tick, clock.control.now());
            quiet_until = Instant::now() + CATCH_UP;
        } else if quiet_until <= last && task.event_loop.next_deadline() <= clock.control.now() {
            task.event_loop.handle(Input::Tick, clock.control.now());
        }
        task.describe_joining();
        task.replies.send_durable(task.event_loop.durable_sequence());
        task.stats.collect_if_due(&inbox.own_events);
        let has_layout = task.event_loop.layout().is_some();
        let is_ready = has_to_ask || (has_layout && task.event_loop.effects().is_view_published());
        if let Some(on_ready) = on_ready.take_if(|_| is_ready) {
            on_ready();
        }
    }
}

impl ClusterTask {
    /// Shows whom a node without a cluster asks.
    fn describe_joining(&mut self) {
        let awaited = self.event_loop.awaited().map(|(url, state)| (url.clone(), state)).collect();
        let joining = self.event_loop.effects().describe_joining(&awaited);
        self.stats.note_joining(joining);
    }

    async fn handle(&mut self, incoming: Incoming, now: Time) {
        match incoming {
            Incoming::Report(ShardReport::ViewTaken { shard, number }) => {
                self.event_loop.effects().view_taken(shard, number);
                self.event_loop.run_effects(now);
            }
            Incoming::Report(ShardReport::HoldsImages) => {
                self.event_loop.handle(Input::HoldsImages(true), now)
            }
            Incoming::Report(ShardReport::Synced(version)) => {
                self.stats.node().control.synced_taken();
                self.event_loop.handle(Input::Synced(version), now);
            }
            Incoming::Gossip(gossip) => self.handle_gossip(&gossip, now),
            Incoming::Call(call) => self.handle_call(call, now),
            Incoming::Event(event) => self.handle_event(event, now).await,
            Incoming::Nothing => {}
        }
    }

    fn handle_gossip(&mut self, gossip: &GossipMessage, now: Time) {
        match Envelope::decode(&gossip.bytes) {
            Some((Envelope::NodeStats, stats)) => {
                if let Some(stats) = NodeStats::decode(stats) {
                    self.stats.record(gossip.from, stats, self.event_loop.view());
                }
            }
            Some((Envelope::Core, message)) => {
                self.event_loop.handle(Input::Message(gossip.from, message), now);
            }
            // A later version sent it: the core reports that it cannot be decoded.
            None => self.event_loop.handle(Input::Message(gossip.from, &[]), now),
        }
    }

    fn handle_call(&mut self, call: OperatorCall, now: Time) {
        if !self.replies.has_room() {
            return operator_calls::refuse(call);
        }
        let bytes = self.stats.stored_bytes(self.event_loop.view());
        let outcome = self.event_loop.operate(&call.request, bytes, now);
        let change = &call.request.change;
        match &outcome {
            Ok(outcome) => {
                log::info!(change:?, changed = outcome.changed; "an operator changed the layout through this node");
            }
            Err(refusal) => log::info!(change:?, refusal:?; "refused an operator's change of the layout"),
        }
        self.replies.add(self.event_loop.changes_sequence(), outcome, call.reply);
    }

    async fn handle_event(&mut self, event: ControlEvent, now: Time) {
        match event {
            ControlEvent::LayoutPersisted(sequence, true) => {
                self.event_loop.effects().layout_persisted();
                self.event_loop.handle(Input::Persisted(sequence), now);
            }
            ControlEvent::LayoutPersisted(sequence, false) => {
                self.event_loop.handle(Input::PersistFailed(sequence), now)
            }
            ControlEvent::PeerRejected(rejection, url) => {
                self.event_loop.effects().note_rejection(rejection, &url, now);
            }
            ControlEvent::JoinRefused(refusal) => self.event_loop.handle(Input::Refused(refusal), now),
            ControlEvent::NodeStats(stats) => {
                let view = Arc::clone(self.event_loop.view());
                self.stats.forget_former_members(&view, self.event_loop.needs_operator().collect());
                self.stats.compare_configuration(self.event_loop.layout());
                self.event_loop.effects().send_stats(&stats, &view);
                self.stats.record(view.this(), stats, &view);
                self.stats.compare_operator_keys(&view);
                self.stats.compare_recipes(&view);
            }
            ControlEvent::Leave(done) => {
                self.event_loop.handle(Input::Leave, now);
                let late = Instant::now() + FAREWELL;
                while !self.event_loop.effects().is_delivered() && Instant::now() < late {
                    glommio::timer::sleep(Duration::from_millis(5)).await;
                }
                channel::try_send(&done, ChannelMessage::Left, ());
            }
        }
    }
}

impl Inbox {
    async fn next(&self, wait: Duration) -> Incoming {
        let report =
            async { self.receivers.reports.recv_async().await.map_or(Incoming::Nothing, Incoming::Report) };
        let gossip =
            async { self.receivers.gossip.recv_async().await.map_or(Incoming::Nothing, Incoming::Gossip) };
        let call = async {
            self.receivers.operator_calls.recv_async().await.map_or(Incoming::Nothing, Incoming::Call)
        };
        let event = async { self.events.recv_async().await.map_or(Incoming::Nothing, Incoming::Event) };
        let late = async {
            glommio::timer::sleep(wait).await;
            Incoming::Nothing
        };
        future::or(future::or(event, report), future::or(call, future::or(gossip, late))).await
    }
}
