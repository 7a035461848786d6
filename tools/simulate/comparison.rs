//! The background work of a node beside repairs: it reports whether it has space, and compares its images with the
//! others'. The shipped machines say with whom, what to ask, and what the answers come to.

use std::collections::BTreeSet;

use reticulum::cluster::digest::{SlotDigests, SlotRange};
use reticulum::cluster::layout::Edit;
use reticulum::cluster::node::NodeId;
use reticulum::cluster::placement::Slot;
use reticulum::cluster::protocol::Input;
use reticulum::cluster::protocol::compare::schedule::CompareSchedule;
use reticulum::cluster::protocol::compare::{
    Compare, CompareEffect, CompareOutcome, IDS_MAX, IdPage, SLOTS_MAX, Side, WITHIN_MS,
};
use reticulum::object::ObjectId;

use crate::event::{Ask, Event, Fact, Happening, Index, Number, Tell};
use crate::injected_bug::{Injected, InjectedBug};
use crate::node::{Protocol, Purpose};
use crate::world::World;

/// Between two walks over all images for those that this node does not own any more, in looks.
const EXCESS_EVERY: usize = 40;

impl World {
    /// Runs one round.
    pub(crate) fn look_around(&mut self, index: Index, boot: u64) {
        self.after(CompareSchedule::<Injected>::LOOK_EVERY_MS, Event::LookAround(index, boot));
        if !self.nodes[index].is_running() {
            return;
        }
        self.running(index).looks += 1;
        self.tell_fullness(index);
        if self.running(index).looks.is_multiple_of(EXCESS_EVERY) {
            self.record_excess(index);
        }
        let (view, clock) = (self.view(index), self.nodes[index].clock(self.now));
        if let Some(version) = self.running(index).compares.synced(&view)
            && view.synced_to() != Some(version)
        {
            self.tell_core(index, Fact::Synced(version));
        }
        let Some(version) = view.staged_version() else { return };
        let bug = Injected(self.bug);
        for node in self.running(index).compares.take_due(clock, &view) {
            let machine = Box::new(Compare::deviating(node, version, bug));
            let (number, no_image) = (self.number(), ObjectId::from_digest([0; 20]));
            self.begin_unbounded(index, number, no_image, Protocol::Compare(node, machine));
        }
    }

    fn tell_fullness(&mut self, index: Index) {
        let (view, this) = (self.view(index), self.nodes[index].id);
        let clock = self.nodes[index].clock(self.now);
        let has_room = self.nodes[index].disk.has_room();
        let differs = view.member(this).is_some_and(|member| member.writable != has_room);
        if differs && !self.nodes[index].is_blocked {
            // Refused only while the node is not a member.
            _ = self.running(index).core.edit(&Edit::Writable(this, has_room), clock);
            self.drain(index);
        }
    }

    pub(super) fn drive_comparison(&mut self, index: Index, number: Number, input: Input<CompareOutcome>) {
        self.drive((index, number), input, Protocol::as_compare, Self::perform_comparison);
    }

    fn perform_comparison(&mut self, index: Index, number: Number, effect: CompareEffect) {
        let operation = &self.running(index).operations[&number];
        let Protocol::Compare(node, _) = operation.protocol else { return };
        let side = match &effect {
            CompareEffect::Digests(side, _)
            | CompareEffect::ExcessSlots(side)
            | CompareEffect::List(side, ..) => *side,
            CompareEffect::Repair(ids) => {
                let (view, clock) = (self.view(index), self.nodes[index].clock(self.now));
                for id in ids {
                    if self.is_gone(self.record_of(index, id)) {
                        continue;
                    }
                    self.watch_restart(id);
                    self.running(index).repairs.note_lacking(*id, view.likely_holders(id), clock);
                }
                return;
            }
            CompareEffect::Conclude(conclusion) => {
                let (view, clock) = (self.view(index), self.nodes[index].clock(self.now));
                return self.running(index).compares.end(node, *conclusion, clock, &view);
            }
        };
        let other = self.index_of(node).expect("a view names machines of this world");
        if side == Side::Here {
            let outcome = self.describe(index, node, &effect);
            return self.happens_soon(index, number, Happening::Compare(outcome));
        }
        self.request(index, other, Ask::Compare(effect.clone()), Purpose::Compare(number, effect), WITHIN_MS);
    }

    /// Answers a comparing node.
    pub(crate) fn describe_to(&mut self, index: Index, from: Index, effect: &CompareEffect) -> Tell {
        let other = self.nodes[from].id;
        Tell::Compared(self.describe(index, other, effect))
    }

    /// This node's answer about its images to a comparison with `other`.
    fn describe(&mut self, index: Index, other: NodeId, effect: &CompareEffect) -> CompareOutcome {
        let version = self.view(index).staged_version();
        match effect {
            CompareEffect::Digests(side, ranges) => {
                let digests = version.map(|version| (version, self.digests(index, other, ranges)));
                CompareOutcome::Digests(*side, digests)
            }
            CompareEffect::ExcessSlots(side) => CompareOutcome::ExcessSlots(
                *side,
                version.map(|version| (version, self.excess_slots(index, other))),
            ),
            CompareEffect::List(side, slots, after) => {
                let page = version.map(|version| (version, self.list(index, slots, *after)));
                CompareOutcome::Listed(*side, page)
            }
            CompareEffect::Repair(_) | CompareEffect::Conclude(_) => unreachable!("no question"),
        }
    }

    fn digests(&mut self, index: Index, other: NodeId, ranges: &[SlotRange]) -> Vec<Vec<u64>> {
        let mut digests = SlotDigests::default();
        for id in self.nodes[index].disk.manifest().iter().copied().collect::<Vec<_>>() {
            let (is_mine, owners) = self.owners(index, &id);
            if is_mine && owners.contains(&other) {
                digests.add(&id);
            }
        }
        let sums = |range: &SlotRange| range.children().map(|child| digests.sum(child, |_| true)).collect();
        ranges.iter().map(sums).collect()
    }

    fn excess_slots(&mut self, index: Index, other: NodeId) -> Vec<Slot> {
        let mut slots = BTreeSet::new();
        for id in self.nodes[index].disk.manifest().iter().copied().collect::<Vec<_>>() {
            let (is_mine, owners) = self.owners(index, &id);
            if !is_mine && owners.contains(&other) {
                slots.insert(Slot::of(&id));
            }
        }
        slots.into_iter().take(SLOTS_MAX).collect()
    }

    fn list(&self, index: Index, slots: &[Slot], after: Option<ObjectId>) -> IdPage {
        let files = self.nodes[index].disk.files().iter();
        let here = files.filter(|(_, file)| file.is_durable()).map(|(id, _)| *id);
        let wanted = |id: &ObjectId| {
            slots.binary_search(&Slot::of(id)).is_ok() && after.is_none_or(|after| *id > after)
        };
        let mut ids: Vec<_> = here.filter(wanted).take(IDS_MAX + 1).collect();
        let has_more = ids.len() > IDS_MAX;
        ids.truncate(IDS_MAX);
        IdPage { ids, has_more }
    }

    /// The other node answered, or did not.
    pub(crate) fn compared(
        &mut self,
        index: Index,
        number: Number,
        effect: &CompareEffect,
        tell: Option<Tell>,
    ) {
        let outcome = match (tell, effect) {
            (Some(Tell::Compared(outcome)), _) => outcome,
            (_, CompareEffect::Digests(side, _)) => CompareOutcome::Digests(*side, None),
            (_, CompareEffect::ExcessSlots(side)) => CompareOutcome::ExcessSlots(*side, None),
            (_, CompareEffect::List(side, ..)) => CompareOutcome::Listed(*side, None),
            (_, CompareEffect::Repair(_) | CompareEffect::Conclude(_)) => return,
        };
        self.drive_comparison(index, number, Input::Outcome(outcome));
    }

    /// Has every image looked at that this node holds and does not own.
    pub(crate) fn record_excess(&mut self, index: Index) {
        let clock = self.nodes[index].clock(self.now);
        for id in self.nodes[index].disk.manifest().iter().copied().collect::<Vec<_>>() {
            let is_forgotten = self.bug == Some(InjectedBug::NoStrayRecord)
                && !self.nodes[index].disk.misplaced().contains(&id);
            if !self.owners(index, &id).0 && !is_forgotten {
                self.running(index).repairs.note_excess(id, clock);
            }
        }
    }
}
