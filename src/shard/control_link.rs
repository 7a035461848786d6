//! The control link between the shards and control: reports, gossip and operators' calls one way, status and stats the
//! other.
//!
//! No side waits for the other. Reports have room by arithmetic. A gossip message that finds no room is lost, and sent
//! again by its node. A call that finds none is answered so. The shards read what control publishes with one relaxed
//! load.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::time::Instant;

use super::node_stats::LatestStats;
use super::refusals::Refusals;
use crate::cluster::layout::SyncHash;
use crate::cluster::node::NodeId;
use crate::cluster::operator::{LayoutOutcome, LayoutRefusal, LayoutRequest};
use crate::cluster::time::Time;
use crate::telemetry::metrics::{ChannelMessage, channel};

/// Gossip messages that may wait for control. A hundred members send a few each second.
const GOSSIP_MAX: usize = 256;

/// Calls of operators that may wait for control, about 300 bytes each. People make them, and a script one after the other.
const OPERATOR_CALLS_MAX: usize = 16;

/// Between two log lines about strangers that are rejected for one cause.
const STRANGERS_LOG_MS: u64 = 60_000;

/// A report of a shard. Each kind is in the channel at most once per shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShardReport {
    /// This shard works by the view of this number.
    ViewTaken {
        /// Which shard.
        shard: usize,
        /// Which view.
        number: u64,
    },
    /// The store is about to hold its first image.
    HoldsImages,
    /// This node is in sync with the staged version of this hash: see [`Input::Synced`](crate::cluster::core::Input).
    Synced(SyncHash),
}

/// A gossip message of another node's core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GossipMessage {
    /// The node that has proven to be the sender.
    pub from: NodeId,
    /// The message.
    pub bytes: Vec<u8>,
}

/// A change of the layout that an operator asks this node for.
#[derive(Debug)]
pub struct OperatorCall {
    /// The change.
    pub request: LayoutRequest,
    /// Gets the outcome once the layout that contains the change is durable here. Dropped where control has no room.
    pub reply: flume::Sender<Result<LayoutOutcome, LayoutRefusal>>,
}

/// The membership status of this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum MembershipStatus {
    /// It asks the nodes of `cluster.join`, which takes a moment.
    Joining,
    /// It belongs to its cluster.
    Member,
    /// No node of `cluster.join` answers.
    Unanswered,
    /// It is new, as are others of `cluster.join`, and the cluster begins when all are there.
    Founding,
    /// Another id holds its name.
    NameTaken,
    /// Another id holds its URL.
    UrlTaken,
    /// The cluster has all the nodes it can have.
    Full,
    /// Its id was removed forever.
    Removed,
    /// The nodes of `cluster.join` belong to another cluster.
    ForeignCluster,
    /// The other nodes have another secret.
    WrongSecret,
    /// Another live process has its id.
    DuplicateId,
}

/// One per node, shared by its shards and control.
#[derive(Debug)]
pub struct ControlLink {
    reports: flume::Sender<ShardReport>,
    gossip: flume::Sender<GossipMessage>,
    operator_calls: flume::Sender<OperatorCall>,
    membership_status: AtomicU8,
    holds_images: AtomicBool,
    heartbeats: AtomicU64,
    silent_s: AtomicU64,
    /// Every shard works by the view of this number, or a later one.
    view_everywhere: AtomicU64,
    /// A report that this node is in sync is on its way.
    is_synced_told: AtomicBool,
    started: Instant,
    /// The stats of all members.
    pub stats: LatestStats,
    /// Nodes whose join was refused.
    pub refusals: Refusals,
    /// When strangers were last logged, by cause, in milliseconds; 0: never.
    strangers_logged: [AtomicU64; 2],
}

/// Control's end of the link.
#[derive(Debug)]
pub struct ControlReceivers {
    /// Reports of the shards.
    pub reports: flume::Receiver<ShardReport>,
    /// Gossip messages of other nodes.
    pub gossip: flume::Receiver<GossipMessage>,
    /// Calls of operators.
    pub operator_calls: flume::Receiver<OperatorCall>,
}

impl MembershipStatus {
    const ALL: [Self; 11] = [
        Self::Joining,
        Self::Member,
        Self::Unanswered,
        Self::Founding,
        Self::NameTaken,
        Self::UrlTaken,
        Self::Full,
        Self::Removed,
        Self::ForeignCluster,
        Self::WrongSecret,
        Self::DuplicateId,
    ];

    /// A sentence for the client: why, and what to do.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Joining => {
                "This node has not joined its cluster yet; ask another one, or try again in a moment."
            }
            Self::Member => "This node belongs to its cluster.",
            Self::Unanswered => {
                "This node has not joined its cluster because no node of cluster.join answers; start one of them, or correct the URLs."
            }
            Self::Founding => {
                "This node is new, as are others of cluster.join; their cluster begins when all of them run and name the same nodes."
            }
            Self::NameTaken => {
                "The cluster refuses this node because another node's id holds its name; set another node.name, or remove that node first (reticulum remove NAME)."
            }
            Self::UrlTaken => {
                "The cluster refuses this node because another node's id holds its URL; set another node.url, or remove that node first (reticulum remove NAME)."
            }
            Self::Full => {
                "The cluster refuses this node because it has all the nodes it can have; ask another one."
            }
            Self::Removed => {
                "This node was removed from its cluster forever; run reticulum rejoin on its data directory, or start it on an empty one, to join as a new node."
            }
            Self::ForeignCluster => {
                "The nodes that this one is to join belong to another cluster; correct cluster.name or cluster.join."
            }
            Self::WrongSecret => {
                "The other nodes have another secret than this one, which they do not believe; set the same cluster.secret on all."
            }
            Self::DuplicateId => {
                "Another live node has this node's id, so both take no uploads; stop the one whose data is a copy."
            }
        }
    }
}

impl ControlLink {
    /// The line of a node of so many shards whose store holds images, or not.
    pub fn new(shards: usize, holds_images: bool) -> (Self, ControlReceivers) {
        // A view is sent to a shard only when it has taken the one before, an image is the first one once, and one report
        // that the node is in sync is on its way at most.
        let (reports, reports_in) = flume::bounded(shards + 2);
        let (gossip, gossip_in) = flume::bounded(GOSSIP_MAX);
        let (operator_calls, operator_calls_in) = flume::bounded(OPERATOR_CALLS_MAX);
        let link = Self {
            reports,
            gossip,
            operator_calls,
            membership_status: AtomicU8::new(MembershipStatus::Joining as u8),
            holds_images: AtomicBool::new(holds_images),
            heartbeats: AtomicU64::new(0),
            silent_s: AtomicU64::new(0),
            view_everywhere: AtomicU64::new(0),
            is_synced_told: AtomicBool::new(false),
            started: Instant::now(),
            stats: LatestStats::default(),
            refusals: Refusals::default(),
            strangers_logged: Default::default(),
        };
        let receivers =
            ControlReceivers { reports: reports_in, gossip: gossip_in, operator_calls: operator_calls_in };
        (link, receivers)
    }

    /// The time by which this node's rules go: shards and control have one origin.
    pub fn now(&self) -> Time {
        Time::from_millis(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Shard `shard` works by view `number` from now on.
    pub(super) fn view_taken(&self, shard: usize, number: u64) {
        channel::try_send(&self.reports, ChannelMessage::ViewTaken, ShardReport::ViewTaken { shard, number });
    }

    /// This node is in sync with this version. To be told again while the layout does not show it.
    pub(super) fn tell_synced(&self, version: SyncHash) {
        if !self.is_synced_told.swap(true, SeqCst) {
            channel::try_send(&self.reports, ChannelMessage::Synced, ShardReport::Synced(version));
        }
    }

    /// Control has taken a report that this node is in sync: the next one may come.
    pub fn synced_taken(&self) {
        self.is_synced_told.store(false, SeqCst);
    }

    /// The number of the view by which every shard works, or a later one.
    pub(super) fn view_everywhere(&self) -> u64 {
        self.view_everywhere.load(SeqCst)
    }

    /// Control reports that every shard works by the view of this number, or a later one.
    pub fn set_view_everywhere(&self, number: u64) {
        self.view_everywhere.store(number, SeqCst);
    }

    /// To be called before an image gets its name: from then on this node never says that it holds none.
    pub(super) fn holds_an_image(&self) {
        if !self.holds_images.load(Relaxed) && !self.holds_images.swap(true, SeqCst) {
            channel::try_send(&self.reports, ChannelMessage::HoldsImages, ShardReport::HoldsImages);
        }
    }

    /// Whether the store holds any image, or is about to.
    pub fn holds_images(&self) -> bool {
        self.holds_images.load(SeqCst)
    }

    /// Hands a gossip message to control without waiting. False: there is no room and it is lost, as on any network.
    pub fn try_send(&self, message: GossipMessage) -> bool {
        channel::try_send(&self.gossip, ChannelMessage::Gossip, message)
    }

    /// Hands an operator's call to control without waiting; the outcome comes from the receiver, or its end where control
    /// has no room. `None`: there is no room here.
    pub(super) fn operate(
        &self,
        request: LayoutRequest,
    ) -> Option<flume::Receiver<Result<LayoutOutcome, LayoutRefusal>>> {
        let (reply, outcome) = flume::bounded(1);
        let call = OperatorCall { request, reply };
        channel::try_send(&self.operator_calls, ChannelMessage::OperatorCall, call).then_some(outcome)
    }

    /// Whether a rejected stranger may be logged now, for the cause of this number, 0 or 1. Anybody can cause it, so it
    /// is logged once in [`STRANGERS_LOG_MS`].
    pub fn may_log_stranger(&self, cause: usize) -> bool {
        let (now, told) = (self.now().millis().max(1), &self.strangers_logged[cause]);
        let last = told.load(Relaxed);
        let is_due = last == 0 || now.saturating_sub(last) >= STRANGERS_LOG_MS;
        is_due && told.compare_exchange(last, now, SeqCst, Relaxed).is_ok()
    }

    /// The membership status.
    pub fn membership_status(&self) -> MembershipStatus {
        MembershipStatus::ALL[usize::from(self.membership_status.load(Relaxed))]
    }

    /// Control sets the membership status.
    pub fn set_membership_status(&self, membership_status: MembershipStatus) {
        self.membership_status.store(membership_status as u8, Relaxed);
    }

    /// A heartbeat of control.
    pub fn heartbeat(&self) {
        self.heartbeats.fetch_add(1, Relaxed);
    }

    /// Heartbeats so far.
    pub fn heartbeats(&self) -> u64 {
        self.heartbeats.load(Relaxed)
    }

    /// For how many seconds control has done nothing while this process ran. For answers to a ping.
    pub fn silent_s(&self) -> u64 {
        self.silent_s.load(Relaxed)
    }

    /// The watchdog reports how long control was silent.
    pub fn set_silent_s(&self, seconds: u64) {
        self.silent_s.store(seconds, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_is_read_as_it_was_set() {
        let (link, _receivers) = ControlLink::new(1, false);
        assert_eq!(link.membership_status(), MembershipStatus::Joining);
        for membership_status in MembershipStatus::ALL {
            link.set_membership_status(membership_status);
            assert_eq!(link.membership_status(), membership_status);
        }
    }

    #[test]
    fn the_first_image_is_reported_once() {
        let (link, receivers) = ControlLink::new(2, false);
        link.holds_an_image();
        link.holds_an_image();
        assert!(link.holds_images());
        assert_eq!(receivers.reports.try_iter().collect::<Vec<_>>(), [ShardReport::HoldsImages]);
        let (link, receivers) = ControlLink::new(2, true);
        link.holds_an_image();
        assert!(receivers.reports.is_empty());
    }

    #[test]
    fn strangers_are_told_of_once_a_minute_for_each_cause() {
        let (link, _receivers) = ControlLink::new(1, false);
        let told: Vec<_> = (0..100).map(|turn| link.may_log_stranger(turn % 2)).collect();
        assert_eq!(told.iter().filter(|told| **told).count(), 2);
        assert!(told[0] && told[1]);
    }

    #[test]
    fn gossip_beyond_the_bound_is_refused() {
        let (link, receivers) = ControlLink::new(1, false);
        let message = GossipMessage { from: NodeId::from_bytes([1; 16]), bytes: vec![1] };
        let taken = (0..GOSSIP_MAX + 5).filter(|_| link.try_send(message.clone())).count();
        assert_eq!((taken, receivers.gossip.len()), (GOSSIP_MAX, GOSSIP_MAX));
    }
}
