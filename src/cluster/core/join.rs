//! Joins and announcements: to members that do not answer, of nodes that want to join, and of duplicate node ids.

use super::super::layout::{Edit, EditError, Layout, NewNode, NodeRecord, Role};
use super::super::membership::Peer;
use super::super::node::NodeId;
use super::super::time::Time;
use super::message::{Body, Message};
use super::{Action, ClusterEvent, Core, DUPLICATE_MS, DUPLICATE_PAUSE_MS, JoinRefusal};

/// Processes that are told of a duplicate id within [`DUPLICATE_PAUSE_MS`]. Nearly always there is one.
const DUPLICATES_MAX: usize = 64;

/// Members that get an announcement in one round.
const ANNOUNCES_MAX: usize = 3;

impl Core {
    /// Updates this node's own entry in the layout from its configuration. It gets a new store id where the store that
    /// the cluster knows was emptied, or the layout `was_forgotten`.
    pub(super) fn refresh_own_entry(&mut self, was_forgotten: bool) {
        let this = self.this();
        self.claim();
        let Some(layout) = &self.working else { return };
        let held_images = layout.nodes.get(&this).is_some_and(|known| known.published.value().holds_images);
        let is_another = held_images && (was_forgotten || !self.holds_images);
        // By chance, for an earlier one may be known elsewhere; and never that of a node that has just joined.
        self.store = if is_another { self.random.next() | 1 } else { layout.staged.store(this) };
        let holds_images = self.holds_images;
        self.publish(|published| {
            published.synced_to = published.synced_to.filter(|_| !is_another);
            published.holds_images = holds_images;
        });
    }

    /// Claims the configured name and URL again where the layout has others: a copy of this node's data directory has
    /// claimed its own, and is gone.
    pub(super) fn reclaim(&mut self) {
        let about = &self.settings.about;
        let known = self.working.as_ref().and_then(|layout| layout.nodes.get(&self.this()));
        let is_other =
            |known: &NodeRecord| *known.name.value() != about.name || *known.url.value() != about.url;
        if self.claim_taken.is_none() && known.is_some_and(is_other) {
            self.claim();
        }
    }

    /// Claims the configured name and URL, unless another node holds either: it stays that node's, and an event says
    /// so.
    pub(super) fn claim(&mut self) {
        let this = self.this();
        let about = self.settings.about.clone();
        let Some(layout) = &mut self.working else { return };
        let mut taken = None;
        for edit in [Edit::Name(this, about.name), Edit::Url(this, about.url)] {
            match layout.edit(this, &edit) {
                Ok(changed) => self.is_changed |= changed,
                Err(EditError::Taken(by)) => taken = taken.or(Some(by)),
                // A removed node has no claims.
                Err(_) => {}
            }
        }
        if let Some(taken) = taken.filter(|taken| self.claim_taken != Some(*taken)) {
            self.event(ClusterEvent::JoinRefused(JoinRefusal::Taken(taken)));
        }
        self.is_view_stale |= self.claim_taken != taken;
        self.claim_taken = taken;
    }

    /// Announces this node to some of the members that do not answer, and, when alone, to everybody on the join list. For
    /// a fresh node this is a round.
    pub(super) fn announce(&mut self) {
        let this = self.this();
        if let Some(founding) = &mut self.founding {
            founding.begin_round();
        }
        let missing = |(node, role): &(NodeId, Role)| {
            *node != this && *role != Role::Removed && !self.alive.contains(node)
        };
        let mut urls = Vec::new();
        if let Some(layout) = &self.working {
            let members = layout.staged.members.iter().map(|(node, entry)| (*node, *entry.role.value()));
            let url =
                |(node, _): (NodeId, Role)| Some((layout.nodes.get(&node)?.url.value().clone(), Some(node)));
            urls.extend(members.filter(missing).filter_map(url));
        }
        while urls.len() > ANNOUNCES_MAX {
            urls.swap_remove(
                usize::try_from(self.random.below(urls.len() as u64))
                    .expect("invariant: core: an index fits its list"),
            );
        }
        if self.alive.is_empty() {
            urls.extend(self.settings.join.iter().map(|url| (url.clone(), None)));
        }
        urls.retain(|(url, _)| *url != self.settings.about.url);
        for (url, node) in urls {
            let about = self.settings.about.clone();
            let body = match &self.founding {
                Some(founding) => founding.ask(about),
                None => Body::Announce(about),
            };
            self.send(&url, node, body);
        }
    }

    /// A node that is no member wants to join. Until it has, nothing is sent to the URL that it names.
    pub(super) fn handle_join(&mut self, from: &Peer, about: &NewNode, now: Time) {
        let this = self.this();
        // A node whose own join was refused lets nobody join: there would be two clusters.
        if self.join_refused.is_some() {
            return;
        }
        // Nor can a node that is in no cluster.
        let Some(layout) = &mut self.working else { return };
        // The sender's URL and the URL that it claims must be equal.
        let edited = if about.url == from.url {
            layout.edit(this, &Edit::Join(from.node, about.clone()))
        } else {
            return self.event(ClusterEvent::Malformed);
        };
        match edited {
            Ok(changed) => {
                self.is_changed |= changed;
                self.acknowledge(from, now);
            }
            Err(error) => {
                let refusal = JoinRefusal::from(error);
                self.actions.push_back(Action::Refuse(from.node, refusal));
                self.event(ClusterEvent::Refused(from.node, refusal));
            }
        }
    }

    pub(super) fn acknowledge(&mut self, from: &Peer, now: Time) {
        self.membership.announce(from, now);
        self.send(&from.url, Some(from.node), Body::AnnounceAck);
    }

    /// A node that this one asked refuses the join, or says that this one was removed.
    pub(super) fn handle_refusal(&mut self, refusal: JoinRefusal) {
        let is_alone = self.alive.is_empty() && !self.settings.join.is_empty();
        if is_alone || refusal == JoinRefusal::Removed {
            self.is_view_stale |= self.join_refused != Some(refusal);
            self.join_refused = Some(refusal);
            self.event(ClusterEvent::JoinRefused(refusal));
        }
    }

    /// Two processes with one id never talk to each other: the others tell each that it is down, and no more. So a node
    /// that hears of two instances of a node tells the earlier one of the later one.
    pub(super) fn compare_instances(&mut self, from: &Peer, now: Time) {
        match self.instances.get(&from.node).cloned() {
            Some(other) if other.instance != from.instance && other.is_later_than(from) => {
                if self.is_due(from.instance, now) {
                    self.send(&from.url, Some(from.node), Body::DuplicateSeen(other));
                }
            }
            // As many as there can be members, for nobody else is listened to.
            None if self.instances.len() >= Layout::NODES_MAX => {}
            _ => drop(self.instances.insert(from.node, from.clone())),
        }
        assert!(
            self.instances.len() <= Layout::NODES_MAX,
            "invariant: core: no more instances are known than there may be members"
        );
    }

    /// A peer has seen another instance of this node. An earlier one is gone; any other is asked. It may be a copy that
    /// has ended since: then nobody would believe that this one is there, if this one did not outbid it. Two live ones
    /// outbid each other as seldom as they are told.
    pub(super) fn handle_other_instance(&mut self, other: &Peer, now: Time) {
        let this = self.membership.this();
        let is_other = other.node == this.node && other.instance != this.instance;
        if is_other && other.generation >= this.generation && self.is_due(other.instance, now) {
            self.send(&other.url, Some(other.node), Body::DuplicateId(other.instance));
            self.membership.outbid(other, now);
        }
    }

    /// A message from a process with this node's id.
    pub(super) fn handle_duplicate(&mut self, message: &Message, now: Time) {
        let instance = self.membership.this().instance;
        if message.from.instance == instance {
            return;
        }
        // Only a live process knows this instance's number; anything else may have been in flight for long.
        if message.body == Body::DuplicateId(instance) {
            if self.duplicate_until.is_none() {
                self.event(ClusterEvent::DuplicateId);
                self.is_view_stale = true;
            }
            self.duplicate_until = Some(now.after(DUPLICATE_MS));
            self.membership.contest();
        }
        if self.is_due(message.from.instance, now) {
            self.send(&message.from.url, Some(message.from.node), Body::DuplicateId(message.from.instance));
        }
    }

    /// Whether this instance may be told of a duplicate again.
    fn is_due(&mut self, instance: u64, now: Time) -> bool {
        self.duplicate_told.retain(|_, at| now.since(*at) < DUPLICATE_PAUSE_MS);
        let is_due =
            !self.duplicate_told.contains_key(&instance) && self.duplicate_told.len() < DUPLICATES_MAX;
        if is_due {
            self.duplicate_told.insert(instance, now);
        }
        assert!(
            self.duplicate_told.len() <= DUPLICATES_MAX,
            "invariant: core: strangers cannot make the list of duplicates grow"
        );
        is_due
    }
}
