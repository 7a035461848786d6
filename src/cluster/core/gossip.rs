//! Gossip between cores: handling received messages, and sending.

use super::super::layout::{Layout, Role, StateHash};
use super::super::membership::Peer;
use super::super::node::{NodeId, NodeUrl};
use super::super::time::Time;
use super::message::{Body, Message};
use super::{Action, ClusterEvent, Core, JoinRefusal, remember};

/// Between two layouts sent to one member whose state differs.
const LAYOUT_PAUSE_MS: u64 = 500;
/// Members that a change of the layout is sent to at once; the rest see the hash on the next message.
const FANOUT: usize = 4;

impl Core {
    /// Handles a message of a node that has proven to be `from`. What counts is decided here, before any of its content
    /// is used: a message leads to a connection only where its sender is a member.
    pub(super) fn receive(&mut self, from: NodeId, bytes: &[u8], now: Time) {
        let Ok(message) = Message::decode(bytes) else { return self.event(ClusterEvent::Malformed) };
        if message.cluster != self.settings.cluster {
            return self.event(ClusterEvent::ForeignCluster);
        }
        if message.from.node != from {
            return self.event(ClusterEvent::Impostor(from));
        }
        if from == self.this() {
            return self.handle_duplicate(&message, now);
        }
        match self.role(from) {
            Some(Role::Removed) => {
                // It learns from the layout, sent to the URL that the layout has of it; nothing that it says counts.
                self.actions.push_back(Action::Refuse(from, JoinRefusal::Removed));
                self.event(ClusterEvent::Refused(from, JoinRefusal::Removed));
                self.send_layout_to_removed(&message.from, now);
            }
            Some(_) => self.handle_member(&message, now),
            None => self.handle_stranger(&message, now),
        }
    }

    fn handle_member(&mut self, message: &Message, now: Time) {
        self.compare_instances(&message.from, now);
        match &message.body {
            Body::Swim(bytes) => {
                let layout = self.working.as_ref();
                let is_known = |node| layout.is_some_and(|layout| layout.staged.is_member(node));
                if self.membership.receive(message.from.node, bytes, is_known, now).is_err() {
                    return self.event(ClusterEvent::Malformed);
                }
            }
            // A fresh node that the layout names has not heard so.
            Body::Announce(_) | Body::Fresh(_) => self.acknowledge(&message.from, now),
            Body::AnnounceAck => self.membership.announce(&message.from, now),
            Body::Layout(bytes) => self.merge(bytes),
            Body::DuplicateSeen(other) => self.handle_other_instance(other, now),
            Body::FreshAck(_) | Body::DuplicateId(_) => {}
        }
        let differs = self.durable.as_ref().is_some_and(|durable| durable.state != message.state);
        if differs && !self.is_changed && self.pending.is_none() {
            self.send_layout(message.from.node, &message.from.url, now);
        }
    }

    /// A node that is no member here can only ask to join, or show a layout in which this node is a member.
    fn handle_stranger(&mut self, message: &Message, now: Time) {
        match &message.body {
            Body::Announce(about) => self.handle_join(&message.from, about, now),
            Body::Fresh(fresh) if self.working.is_some() => {
                self.handle_join(&message.from, &fresh.about, now);
            }
            Body::Fresh(fresh) => self.handle_fresh(&message.from, fresh),
            Body::FreshAck(ack) => self.handle_fresh_ack(&message.from, ack),
            Body::Layout(bytes) => {
                let founding = self.founding.as_ref();
                if founding.is_some_and(|founding| !founding.may_adopt_from(message.from.node)) {
                    return;
                }
                let Ok(theirs) = Layout::decode(bytes) else { return self.event(ClusterEvent::Malformed) };
                let this = self.this();
                if !theirs.staged.is_member(this) || !theirs.staged.is_member(message.from.node) {
                    return;
                }
                if let Some((node, taken)) =
                    self.working.as_ref().and_then(|mine| mine.conflicts_with(&theirs))
                {
                    return self.event(ClusterEvent::Refused(node, JoinRefusal::Taken(taken)));
                }
                let was_alone = self.join_refused.is_some()
                    || self.working.as_ref().is_some_and(|mine| self.is_lonely(mine));
                self.adopt_layout(theirs);
                if self.role(message.from.node).is_some() {
                    if was_alone {
                        self.event(ClusterEvent::Joined);
                    }
                    self.join_refused = None;
                    self.membership.announce(&message.from, now);
                }
            }
            Body::Swim(_) | Body::AnnounceAck | Body::DuplicateSeen(_) | Body::DuplicateId(_) => {}
        }
    }

    fn merge(&mut self, bytes: &[u8]) {
        match Layout::decode(bytes) {
            Ok(theirs) => self.adopt_layout(theirs),
            Err(_) => self.event(ClusterEvent::Malformed),
        }
    }

    fn adopt_layout(&mut self, theirs: Layout) {
        let (theirs_is, this) = ((theirs.hash(), theirs.staged.sync_hash()), self.this());
        match &mut self.working {
            Some(layout) => match layout.merge(&theirs) {
                Ok(changed) => self.is_changed |= changed,
                Err(_) => return self.event(ClusterEvent::LayoutRefused),
            },
            // Only a layout with this node in it is this node's; others are of a cluster that has not answered.
            None if theirs.staged.role(this).is_some() => {
                (self.working, self.is_changed, self.founding) = (Some(theirs), true, None);
                self.refresh_own_entry(true);
                self.event(ClusterEvent::Joined);
            }
            None => return,
        }
        remember(&mut self.known, theirs_is);
        // A layout that brought nothing new is contained in what is shown already.
        if let Some(durable) = self.durable.as_mut().filter(|_| !self.is_changed && self.pending.is_none()) {
            remember(&mut durable.known, theirs_is);
            self.is_view_stale = true;
        }
    }

    /// Sends the layout to a removed node, to the URL that the layout has of it.
    fn send_layout_to_removed(&mut self, to: &Peer, now: Time) {
        let known = self.working.as_ref().and_then(|layout| layout.nodes.get(&to.node));
        if let Some(url) = known.map(|known| known.url.value().clone()) {
            self.send_layout(to.node, &url, now);
        }
    }

    /// Sends the first layout of a cluster to all nodes that it names: until they have it, none of them takes copies.
    pub(super) fn send_first_layout(&mut self, now: Time) {
        let this = self.this();
        let Some(durable) = &self.durable else { return };
        let others = durable.layout.nodes.iter().filter(|(node, _)| **node != this);
        let others: Vec<_> = others.map(|(node, known)| (*node, known.url.value().clone())).collect();
        others.into_iter().for_each(|(node, url)| self.send_layout(node, &url, now));
    }

    pub(super) fn send(&mut self, url: &NodeUrl, node: Option<NodeId>, body: Body) {
        let state = self.durable.as_ref().map_or(StateHash([0; 16]), |durable| durable.state);
        let from = self.membership.this().clone();
        let message = Message { cluster: self.settings.cluster.clone(), from, state, body };
        self.actions.push_back(Action::Send { url: url.clone(), node, bytes: message.encode() });
    }

    fn send_layout(&mut self, to: NodeId, url: &NodeUrl, now: Time) {
        let Some(durable) = &self.durable else { return };
        let sent = self.layout_sent.get(&to);
        if sent.is_none_or(|at| now.since(*at) >= LAYOUT_PAUSE_MS) {
            let bytes = durable.layout.encode();
            // What was sent longer ago holds nothing up, and it is only sent to nodes that the layout has: so there are
            // at most as many entries as a layout has nodes, 1,024 of 24 bytes.
            self.layout_sent.retain(|_, at| now.since(*at) < LAYOUT_PAUSE_MS);
            assert!(
                self.layout_sent.len() < Layout::NODES_MAX,
                "invariant: core: layouts are sent to nodes of the layout"
            );
            self.layout_sent.insert(to, now);
            self.send(url, Some(to), Body::Layout(bytes));
        }
    }

    /// Sends the layout that is shown to some of the members that answer.
    pub(super) fn gossip_layout(&mut self, now: Time) {
        let mut others: Vec<_> = self.alive.iter().copied().collect();
        while others.len() > FANOUT {
            others.swap_remove(
                usize::try_from(self.random.below(others.len() as u64))
                    .expect("invariant: core: an index fits its list"),
            );
        }
        for node in others {
            if let Some(peer) = self.membership.peer(node).cloned() {
                self.layout_sent.remove(&node);
                self.send_layout(node, &peer.url, now);
            }
        }
    }
}
