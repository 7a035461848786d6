//! Letters between cores: what follows from one that came, and how they go out.

use super::super::layout::{Layout, Role, StateHash};
use super::super::membership::Peer;
use super::super::node::{NodeId, NodeUrl};
use super::super::time::Time;
use super::message::{Body, Message};
use super::{Action, Core, Event, remember};

/// Between two layouts sent to one member whose state differs.
const LAYOUT_PAUSE_MS: u64 = 500;
/// Members that a change of the layout is sent to at once; the rest see the hash on the next message.
const FANOUT: usize = 4;

impl Core {
    pub(super) fn receive(&mut self, bytes: &[u8], now: Time) {
        let Ok(message) = Message::decode(bytes) else { return self.event(Event::Malformed) };
        if message.cluster != self.settings.cluster {
            return self.event(Event::ForeignCluster);
        }
        if message.from.node == self.this() {
            return self.hear_of_double(&message, now);
        }
        if self.role(message.from.node) == Some(Role::Removed) {
            // It learns from the layout; nothing that it says counts.
            return self.send_layout(&message.from, now);
        }
        self.compare_lives(&message.from, now);
        match &message.body {
            Body::Swim(bytes) => {
                if self.membership.receive(bytes, now).is_err() {
                    return self.event(Event::Malformed);
                }
            }
            Body::Hello(about) => self.hear_hello(&message.from, about, now),
            Body::Welcome => self.membership.meet(&message.from, now),
            Body::Refused(refusal) => self.event(Event::JoinRefused(*refusal)),
            Body::Layout(bytes) => self.merge(bytes),
            Body::Double(other) => self.hear_of_other_life(other, now),
            Body::Clash(_) => {}
        }
        let differs = self.durable.as_ref().is_some_and(|shown| shown.state != message.state);
        if differs && !self.is_changed && self.pending.is_none() {
            self.send_layout(&message.from, now);
        }
    }

    fn merge(&mut self, bytes: &[u8]) {
        let Ok(theirs) = Layout::decode(bytes) else { return self.event(Event::Malformed) };
        let (theirs_is, this) = ((theirs.hash(), theirs.next.sync_hash()), self.this());
        match &mut self.working {
            Some(layout) => match layout.merge(&theirs) {
                Ok(changed) => self.is_changed |= changed,
                Err(_) => return self.event(Event::LayoutRefused),
            },
            // Only a layout with this node in it is this node's; others are of a cluster that has not answered.
            None if theirs.next.role(this).is_some() => {
                (self.working, self.is_changed) = (Some(theirs), true);
                self.introduce_itself(true);
                self.event(Event::Joined);
            }
            None => return,
        }
        remember(&mut self.known, theirs_is);
        // What brought nothing new is contained in what is shown already.
        if let Some(shown) = self.durable.as_mut().filter(|_| !self.is_changed && self.pending.is_none()) {
            remember(&mut shown.known, theirs_is);
            self.is_view_stale = true;
        }
    }

    pub(super) fn send(&mut self, url: &NodeUrl, node: Option<NodeId>, body: Body) {
        let state = self.durable.as_ref().map_or(StateHash([0; 16]), |shown| shown.state);
        let from = self.membership.this().clone();
        let message = Message { cluster: self.settings.cluster.clone(), from, state, body };
        self.actions.push_back(Action::Send { url: url.clone(), node, bytes: message.encode() });
    }

    fn send_layout(&mut self, to: &Peer, now: Time) {
        let Some(shown) = &self.durable else { return };
        let sent = self.layout_sent.get(&to.node);
        if sent.is_none_or(|at| now.since(*at) >= LAYOUT_PAUSE_MS) {
            let bytes = shown.layout.encode();
            self.layout_sent.insert(to.node, now);
            self.send(&to.url, Some(to.node), Body::Layout(bytes));
        }
    }

    /// Sends the layout that is shown to some of the members that answer.
    pub(super) fn spread_layout(&mut self, now: Time) {
        let mut others: Vec<_> = self.alive.iter().copied().collect();
        while others.len() > FANOUT {
            others.swap_remove(usize::try_from(self.random.below(others.len() as u64)).expect("an index"));
        }
        for node in others {
            if let Some(peer) = self.membership.peer(node).cloned() {
                self.layout_sent.remove(&node);
                self.send_layout(&peer, now);
            }
        }
    }
}
