//! Drives the cluster cores: carries out their effects, and gives them their inputs.

use std::sync::Arc;

use reticulum::cluster::core::{self, Action, Input};
use reticulum::cluster::layout::{Edit, Role};
use reticulum::cluster::node::NodeId;
use reticulum::cluster::view::View;
use reticulum::object::ObjectId;

use crate::event::{Event, Fact, Index, Payload};
use crate::injected_bug::InjectedBug;
use crate::world::World;

impl World {
    /// Carries out the effects of a core.
    pub(crate) fn drain(&mut self, index: Index) {
        while let Some(action) = self.running(index).core.poll() {
            match action {
                Action::Send { url, bytes, .. } => {
                    let to = self.nodes.iter().position(|node| node.settings.about.url == url);
                    if let Some(to) = to {
                        self.send(index, to, Payload::Core(bytes));
                    }
                }
                Action::Refuse(node, refusal) => {
                    if let Some(to) = self.index_of(node) {
                        self.send(index, to, Payload::Refused(refusal));
                    }
                }
                Action::Persist { sequence, bytes } => self.persist(index, sequence, bytes),
                Action::View(view) => self.take_view(index, view),
                Action::Event(event) => {
                    self.trace(index as u64);
                    self.trace_event(None, || format!("node {index}: {event:?}"));
                    self.hear_event(index, event);
                }
            }
        }
        let (now, boot) = (self.now, self.nodes[index].boot);
        let deadline = self.running(index).core.next_deadline();
        let due = self.nodes[index].time_of(deadline).max(now);
        let process = self.running(index);
        if process.tick_at.is_none_or(|at| due < at) {
            process.tick_at = Some(due);
            self.at(due, Event::Tick(index, boot));
        }
    }

    fn hear_event(&mut self, index: Index, event: core::ClusterEvent) {
        match event {
            core::ClusterEvent::Down(node) => {
                self.count("seen down");
                let is_well = |index: Index| self.nodes[index].is_running() && !self.nodes[index].is_blocked;
                if self.index_of(node).is_some_and(is_well) {
                    self.count("seen down, though it runs");
                }
            }
            core::ClusterEvent::Founded => self.hear_of_founding(index),
            core::ClusterEvent::Promoted => self.count("layout version promoted"),
            core::ClusterEvent::MarkOut(node) => {
                self.check_mark_out(index, node);
                self.restart = None;
                self.count("taken out or in automatically");
            }
            core::ClusterEvent::NeedsOperator(node) => {
                self.count("operator asked for");
                if self.bug == Some(InjectedBug::MarkOutUnbraked) {
                    self.check_mark_out(index, node);
                    let out = Edit::Role(node, Role::Out { automatic: true });
                    let clock = self.nodes[index].clock(self.now);
                    let changed = self.running(index).core.edit(&out, clock);
                    self.trace_event(None, || format!("node {index} marks {node} out: {changed:?}"));
                }
            }
            _ => {}
        }
    }

    /// Counts the copies that a new staged version calls for: owners that lack theirs when it is seen first.
    fn count_called_for(&mut self, view: &View) {
        let Some(version) = view.staged_version().filter(|version| !self.staged.contains(version)) else {
            return;
        };
        self.staged.insert(version);
        let lacks = |id: &ObjectId, owner: &NodeId| {
            self.index_of(*owner).is_some_and(|owner| !self.nodes[owner].disk.files().contains_key(id))
        };
        let lacking = |id: &ObjectId| {
            let owners = view.owners_by_version(id).pop().unwrap_or_default();
            owners.iter().filter(|owner| lacks(id, owner)).count() as u64
        };
        let called_for = self.acknowledged.keys().map(lacking).sum();
        self.count_many("copies called for by changes", called_for);
    }

    /// Only a side that sees three quarters of the weight may move the share of a node that is away.
    fn check_mark_out(&mut self, index: Index, node: NodeId) {
        let view = self.view(index);
        let role = |of: NodeId| view.member(of).map(|member| member.role);
        // It is back.
        if matches!(role(node), None | Some(Role::Out { .. })) {
            return;
        }
        let (mut all, mut seen) = (0, 0);
        for (_, member) in view.members().filter(|(_, it)| it.role != Role::Out { automatic: false }) {
            let weight = u64::from(member.weight.get());
            all += weight;
            seen += if member.alive { weight } else { 0 };
        }
        if seen * 4 < all * 3 {
            self.fail(format!("node {index} marks {node} out and sees {seen} of a weight of {all}"));
        }
    }

    /// Gives an input to a core, now or as soon as it is no longer blocked.
    pub(crate) fn tell_core(&mut self, index: Index, fact: Fact) {
        if self.nodes[index].is_blocked {
            return self.nodes[index].queued_inputs.push(fact);
        }
        let clock = self.nodes[index].clock(self.now);
        self.running(index).core.handle(fact.input(), clock);
        self.drain(index);
    }

    /// Blocks the executor of the core. The shards go on with their last view.
    pub(crate) fn block(&mut self, index: Index) -> bool {
        let node = &mut self.nodes[index];
        node.process.is_some() && !std::mem::replace(&mut node.is_blocked, true)
    }

    /// Unblocks the core: first its timers fire, then it gets the inputs that have waited.
    pub(crate) fn unblock(&mut self, index: Index) {
        if !std::mem::replace(&mut self.nodes[index].is_blocked, false) {
            return;
        }
        let boot = self.nodes[index].boot;
        self.after(0, Event::Tick(index, boot));
        let clock = self.nodes[index].clock(self.now);
        self.running(index).core.handle(Input::Tick, clock);
        self.drain(index);
        for fact in std::mem::take(&mut self.nodes[index].queued_inputs) {
            self.tell_core(index, fact);
        }
    }

    fn persist(&mut self, index: Index, sequence: u64, bytes: Vec<u8>) {
        let boot = self.nodes[index].boot;
        let pause = 3 + self.random.below(10) + self.nodes[index].disk.slowness;
        if self.bug == Some(InjectedBug::SaidBeforeDurable) {
            self.after(20_000, Event::Persisted(index, boot, 0, bytes));
            self.tell_core(index, Fact::Persisted(sequence));
        } else {
            self.after(pause, Event::Persisted(index, boot, sequence, bytes));
        }
    }

    pub(crate) fn persisted(&mut self, index: Index, boot: u64, sequence: u64, bytes: Vec<u8>) {
        if self.process(index, boot).is_none() {
            return;
        }
        if std::mem::take(&mut self.nodes[index].disk.sync_fails) {
            self.tell_core(index, Fact::PersistFailed(sequence));
        } else {
            self.nodes[index].disk.layout = Some(bytes);
            self.check_founders();
            self.tell_core(index, Fact::Persisted(sequence));
        }
    }

    fn take_view(&mut self, index: Index, view: Arc<View>) {
        let process = self.running(index);
        let is_new = process.enrolled != Some(view.hash());
        process.view = view.clone();
        self.check_names(index, &view);
        self.count_called_for(&view);
        if is_new {
            self.trace_event(None, || {
                format!("node {index} has layout {}, settled: {}", view.hash(), view.is_settled())
            });
            let process = self.running(index);
            process.enrolled = Some(view.hash());
            process.owners.clear();
            self.record_excess(index);
        }
        let clock = self.nodes[index].clock(self.now);
        let process = self.running(index);
        // A node may be back.
        process.repairs.all_due(clock);
        let is_trivially_in_sync = view.holds_nothing() && !process.told_holding;
        if let Some(hash) = view.staged_version().filter(|_| is_trivially_in_sync)
            && view.synced_to() != Some(hash)
        {
            self.tell_core(index, Fact::Synced(hash));
        }
    }
}
