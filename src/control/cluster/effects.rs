//! The real effects of the event loop: on shards, disk, log, metrics and peers.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::distrust::Distrust;
use super::event_log::EventLog;
use super::event_loop::Effects;
use super::gossip_sender::GossipSender;
use super::publish::Publisher;
use super::{ControlEvent, Envelope, PeerRejection, joining, layout_store};
use crate::cluster::core::{Awaited, ClusterEvent, JoinRefusal};
use crate::cluster::layout::{LayoutHash, Role, Taken};
use crate::cluster::node::{NodeId, NodeUrl};
use crate::cluster::time::Time;
use crate::cluster::view::{View, Writes};
use crate::executor::run_blocking;
use crate::shard::NodeContext;
use crate::shard::control_link::MembershipStatus;
use crate::shard::message::Message;
use crate::shard::node_stats::NodeStats;
use crate::store::identity::Identity;
use crate::store::rejoin;
use crate::telemetry::metrics::{ChannelMessage, ChannelRefusal, Label as _, Member, MemberMetrics, channel};

/// See the module's text.
pub(in crate::control) struct RuntimeEffects {
    node: Arc<NodeContext>,
    gossip: GossipSender,
    publisher: Publisher,
    event_log: EventLog,
    members: Arc<MemberMetrics>,
    events: flume::Sender<ControlEvent>,
    /// Until the first layout is durable.
    newcomer: Option<Identity>,
    /// The layout that is shown: it rides on every message.
    layout: LayoutHash,
    /// While this node belongs to no cluster: why, and since when.
    rejection: (MembershipStatus, Time),
    distrust: Distrust,
    /// By the view that is shown.
    writes: Writes,
    is_joined: bool,
    /// Whether other new nodes are there, nobody rejects this one, and some are missing.
    is_founding: bool,
    told_of_joining: Time,
    /// Whether it is noted on disk that this node was removed.
    is_removal_noted: bool,
}

/// For so long a rejection with a reason outweighs peers that do not answer. Each peer is asked every two seconds.
const REJECTION_MS: u64 = 10_000;

/// Between two lines of a node without a cluster that say whom it has asked.
const TELL_OF_JOINING_MS: u64 = 10_000;

impl RuntimeEffects {
    pub(in crate::control) fn new(
        node: Arc<NodeContext>,
        identity: &Identity,
        mailboxes: Vec<flume::Sender<Message>>,
        members: Arc<MemberMetrics>,
        gossip: GossipSender,
        events: flume::Sender<ControlEvent>,
    ) -> Self {
        Self {
            node,
            gossip,
            publisher: Publisher::new(mailboxes),
            event_log: EventLog::default(),
            members,
            events,
            newcomer: Some(identity).filter(|identity| !identity.is_member).cloned(),
            layout: LayoutHash::default(),
            rejection: (MembershipStatus::Joining, Time::default()),
            distrust: Distrust::default(),
            writes: Writes::NotJoined,
            is_joined: false,
            is_founding: false,
            told_of_joining: Time::default(),
            is_removal_noted: false,
        }
    }

    /// The event loop has come round.
    pub(super) fn heartbeat(&mut self) {
        self.node.control.heartbeat();
        self.publisher.retry();
    }

    /// Describes whom a node without a cluster has asked, and what came back, and logs it now and then. `awaited` is what
    /// its core knows of them. `None` for a member.
    pub(super) fn describe_joining(&mut self, awaited: &BTreeMap<NodeUrl, Awaited>) -> Option<String> {
        if self.is_joined {
            return None;
        }
        let now = self.node.control.now();
        let are_others_new = awaited.values().any(|state| *state != Awaited::Silent);
        self.is_founding = are_others_new && !self.has_recent_rejection(now);
        self.update_status();
        let tried = joining::describe(&self.gossip.tried(), awaited);
        if !tried.is_empty() && now.since(self.told_of_joining) >= TELL_OF_JOINING_MS {
            self.told_of_joining = now;
            if self.is_founding {
                log::info!(tried; "this node is new and waits until all nodes of cluster.join are new and name the same nodes, or one of them has a cluster");
            } else {
                log::info!(tried; "this node has not joined its cluster yet and keeps asking the nodes of cluster.join");
            }
        }
        Some(tried)
    }

    pub(super) fn view_taken(&mut self, shard: usize, number: u64) {
        self.publisher.view_taken(shard, number);
        self.node.control.set_view_everywhere(self.publisher.taken_everywhere());
    }

    /// A layout is durable.
    pub(super) fn layout_persisted(&mut self) {
        self.newcomer = None;
    }

    pub(super) fn is_delivered(&self) -> bool {
        self.gossip.is_delivered()
    }

    /// A peer rejected our gossip.
    pub(super) fn note_rejection(&mut self, rejection: PeerRejection, url: &NodeUrl, now: Time) {
        let membership_status = match rejection {
            PeerRejection::ForeignCluster => MembershipStatus::ForeignCluster,
            PeerRejection::WrongSecret => MembershipStatus::WrongSecret,
            // A member that does not answer is reported as down; and a rejection with a reason weighs more than
            // silence.
            PeerRejection::Unanswered if self.is_joined || self.has_recent_rejection(now) => return,
            PeerRejection::Unanswered => MembershipStatus::Unanswered,
        };
        if rejection == PeerRejection::WrongSecret {
            self.distrust.note_rejection(url, now);
        }
        self.event_log.log_rejection(rejection, url, now);
        self.set_degraded(membership_status, now);
    }

    /// Whether a peer gave a reason for its rejection a moment ago.
    fn has_recent_rejection(&self, now: Time) -> bool {
        let is_said = !matches!(self.rejection.0, MembershipStatus::Joining | MembershipStatus::Unanswered);
        is_said && now.since(self.rejection.1) < REJECTION_MS
    }

    /// Sends this node's stats to all members that answer.
    pub(super) fn send_stats(&self, stats: &NodeStats, view: &View) {
        for (node, member) in view.members().filter(|(node, member)| member.alive && *node != view.this()) {
            let message = Envelope::NodeStats.encode(&stats.encode());
            self.gossip.send(&member.url, Some(node), self.layout, message);
        }
    }

    fn set_degraded(&mut self, membership_status: MembershipStatus, now: Time) {
        self.rejection = (membership_status, now);
        self.update_status();
    }

    fn update_status(&self) {
        self.node.control.set_membership_status(match self.writes {
            Writes::Allowed if self.distrust.is_wrong() => MembershipStatus::WrongSecret,
            Writes::Allowed => MembershipStatus::Member,
            Writes::NotJoined if self.is_founding => MembershipStatus::Founding,
            Writes::NotJoined => self.rejection.0,
            Writes::Taken(taken) => of_taken(taken),
            Writes::DuplicateId => MembershipStatus::DuplicateId,
            Writes::Removed => MembershipStatus::Removed,
        });
    }

    /// Notes on disk that this node was removed, once it has heard so: its operator may have it come back as a new one.
    fn note_removal(&mut self) {
        let is_removed = self.node.control.membership_status() == MembershipStatus::Removed;
        if !is_removed || std::mem::replace(&mut self.is_removal_noted, true) {
            return;
        }
        let (paths, id) = (self.node.paths.clone(), *self.node.identity.node.bytes());
        glommio::spawn_local(async move {
            let note = move || rejoin::mark_removed(&paths, id).map_err(|error| error.to_string());
            let noted = run_blocking("note the removal", note).await;
            if let Err(error) = noted.unwrap_or_else(|panicked| Err(panicked.to_string())) {
                log::error!(error; "cannot note that this node was removed, so reticulum rejoin will refuse it; look at the disk of its data directory");
            }
        })
        .detach();
    }

    fn count_members(&self, view: &View) {
        let roles = view.members().map(|(_, member)| match member.role {
            Role::Joining => Member::Joining,
            Role::Active => Member::Active,
            Role::Draining => Member::Draining,
            // A view has no removed ones.
            Role::Out { .. } | Role::Removed => Member::Out,
        });
        let roles: Vec<_> = roles.collect();
        for (state, _) in Member::ALL {
            self.members.set(*state, roles.iter().filter(|role| *role == state).count() as u64);
        }
    }
}

fn of_taken(taken: Taken) -> MembershipStatus {
    match taken {
        Taken::Name(_) => MembershipStatus::NameTaken,
        Taken::Url(_) => MembershipStatus::UrlTaken,
    }
}

impl Effects for RuntimeEffects {
    fn send(&mut self, url: &NodeUrl, node: Option<NodeId>, bytes: Vec<u8>) {
        self.gossip.send(url, node, self.layout, Envelope::Core.encode(&bytes));
    }

    fn persist(&mut self, sequence: u64, bytes: Vec<u8>) {
        let (paths, newcomer) = (self.node.paths.clone(), self.newcomer.clone());
        let events = self.events.clone();
        glommio::spawn_local(async move {
            let persist = move || layout_store::persist(&paths, &bytes, newcomer);
            let kept = run_blocking("persist the layout", persist).await;
            let kept = kept.unwrap_or_else(|panicked| Err(panicked.to_string()));
            if let Err(error) = &kept {
                log::error!(error; "cannot persist the cluster's layout; the node tries again in a second, look at the disk of its data directory");
            }
            let persisted = ControlEvent::LayoutPersisted(sequence, kept.is_ok());
            if events.send_async(persisted).await.is_err() {
                channel::count_refused(ChannelMessage::LayoutPersisted, ChannelRefusal::Closed);
            }
        })
        .detach();
    }

    fn note_refusal(&mut self, node: NodeId, refusal: JoinRefusal, now: Time) {
        self.node.control.refusals.note(node, refusal, now);
    }

    fn publish_view(&mut self, view: &Arc<View>) {
        self.layout = view.hash();
        (self.writes, self.is_joined) = (view.writes(), view.is_joined());
        self.distrust.set_answered(view.members().any(|(node, member)| member.alive && node != view.this()));
        self.update_status();
        self.note_removal();
        self.node.control.refusals.forget(|node| view.member(node).is_some());
        self.count_members(view);
        self.publisher.publish(Arc::clone(view));
    }

    fn log_event(&mut self, event: ClusterEvent, view: &View, now: Time) {
        if let ClusterEvent::JoinRefused(refusal) = event {
            let membership_status = match refusal {
                JoinRefusal::Taken(taken) => of_taken(taken),
                JoinRefusal::Removed => MembershipStatus::Removed,
                JoinRefusal::Full => MembershipStatus::Full,
            };
            self.set_degraded(membership_status, now);
            self.note_removal();
        }
        self.event_log.log_event(event, view, now);
    }

    fn holds_images(&self) -> bool {
        self.node.control.holds_images()
    }

    fn is_view_published(&self) -> bool {
        self.publisher.is_current()
    }
}
