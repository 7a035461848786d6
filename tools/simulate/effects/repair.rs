//! The effects of repairs.

use reticulum::cluster::protocol::Input;
use reticulum::cluster::protocol::repair::queue::RepairQueue;
use reticulum::cluster::protocol::repair::{
    OwnCopy, OwnVerified, Repair, RepairEffect, RepairOutcome, ended_within_ms,
};
use reticulum::object::ObjectId;

use crate::event::{Ask, Event, Happening, Index, Number};
use crate::injected_bug::Injected;
use crate::node::{Protocol, Question, Waiter};
use crate::operator::NODES_MAX;
use crate::world::World;

/// Milliseconds between two checks whether a copy is still on its way to the disk.
const LOCK_LOOK_MS: u64 = 2;

impl World {
    /// A node begins the repairs that are due.
    pub(crate) fn begin_repairs(&mut self, index: Index) {
        let clock = self.nodes[index].clock(self.now);
        for id in std::mem::take(&mut self.nodes[index].disk.set_aside) {
            self.running(index).repairs.record(id, clock);
        }
        let bug = Injected(self.bug);
        let process = self.running(index);
        let room = RepairQueue::UNDER_WAY_MAX - process.repairing.len();
        let started = process.started;
        for id in process.repairs.take_due(clock, room) {
            if self.running(index).repairing.insert(id) {
                let machine = Protocol::Repair(Box::new(Repair::deviating(id, started, bug)));
                self.begin(index, id, machine, ended_within_ms(NODES_MAX as u64, 0));
            }
        }
    }

    /// Records durably that an image must be repaired.
    pub(super) fn enqueue_repair(&mut self, index: Index, id: ObjectId) {
        let clock = self.nodes[index].clock(self.now);
        self.nodes[index].disk.record_misplaced(id, self.now);
        self.running(index).repairs.record(id, clock);
    }

    pub(super) fn drive_repair(&mut self, index: Index, number: Number, input: Input<RepairOutcome>) {
        let of = (index, number);
        self.drive(of, input, Protocol::as_repair, Self::perform_repair);
    }

    fn perform_repair(&mut self, index: Index, number: Number, effect: RepairEffect) {
        let id = self.running(index).operations[&number].id;
        let outcome = match effect {
            RepairEffect::Look => Some(RepairOutcome::Looked {
                copy: self.own_copy(index, &id),
                can_store: self.has_room(index),
            }),
            RepairEffect::TakeTurn => Some(RepairOutcome::TurnTaken),
            RepairEffect::YieldTurn => None,
            RepairEffect::VerifyOwn => Some(RepairOutcome::OwnVerified(self.verify_own(index, &id))),
            RepairEffect::Ask { node, within_ms } => {
                self.ask_node((index, number), node, Ask::Has(id), Question::Has, within_ms);
                None
            }
            RepairEffect::Verify { owner, within_ms } => {
                self.ask_node((index, number), owner, Ask::Verify(id), Question::Verify, within_ms);
                None
            }
            RepairEffect::Give { to, misplaced, within_ms } => {
                let content = self.nodes[index].disk.files().get(&id).map(|file| file.content);
                if let Some(content) = content {
                    let ask = Ask::Put { id, content, misplaced };
                    self.ask_node((index, number), to, ask, Question::Copy, within_ms);
                }
                content.is_none().then_some(RepairOutcome::Given(to, false))
            }
            RepairEffect::Fetch { from, within_ms } => {
                self.ask_node((index, number), from, Ask::Get(id), Question::Fetch, within_ms);
                None
            }
            RepairEffect::TakeIn(from) => {
                let fetched = &self.running(index).operations[&number].fetched;
                let content = fetched.iter().find(|(node, _)| *node == from).expect("it was fetched").1;
                self.store(index, id, content, false, Waiter::Repair(number));
                None
            }
            RepairEffect::Lock => {
                let boot = self.nodes[index].boot;
                self.after(0, Event::Lock(index, boot, number));
                None
            }
            RepairEffect::Remove => {
                self.check_removal(index, &id);
                self.count("excess deleted");
                self.trace_event(Some(&id), || format!("node {index} deletes {id}"));
                self.nodes[index].disk.remove(&id);
                Some(RepairOutcome::Removed(true))
            }
            RepairEffect::Settle => {
                self.nodes[index].disk.settle_misplaced(&id);
                self.running(index).repairs.settle(&id);
                Some(RepairOutcome::Settled)
            }
        };
        if let Some(outcome) = outcome {
            self.happens_soon(index, number, Happening::Repair(outcome));
        }
    }

    fn has_room(&self, index: Index) -> bool {
        self.nodes[index].disk.has_room()
    }

    fn own_copy(&self, index: Index, id: &ObjectId) -> OwnCopy {
        if self.is_gone(self.record_of(index, id)) {
            return OwnCopy::Erased;
        }
        let is_here = self.nodes[index].disk.files().contains_key(id);
        if is_here { OwnCopy::Here(0) } else { OwnCopy::Lacking }
    }

    fn verify_own(&mut self, index: Index, id: &ObjectId) -> OwnVerified {
        let disk = &mut self.nodes[index].disk;
        match disk.verified(id) {
            Some(_) => OwnVerified::Right,
            None if disk.files().contains_key(id) => OwnVerified::Unreadable,
            None => OwnVerified::Gone,
        }
    }

    /// The lock of an image is free when no copy of it is on its way to the disk.
    pub(crate) fn lock(&mut self, index: Index, number: Number) {
        let boot = self.nodes[index].boot;
        let Some(operation) = self.running(index).operations.get(&number) else { return };
        let id = operation.id;
        if self.running(index).jobs.values().any(|job| job.id == id) {
            return self.after(LOCK_LOOK_MS, Event::Lock(index, boot, number));
        }
        let is_here = self.nodes[index].disk.files().contains_key(&id);
        // Nothing may happen between the lock and the work under it.
        self.happened(index, number, Happening::Repair(RepairOutcome::Locked { is_here }));
    }

    /// A copy that a repair stores is durable, or failed.
    pub(crate) fn taken_in(&mut self, index: Index, number: Number, is_durable: bool) {
        self.count_many("copies made by repairs", u64::from(is_durable));
        self.happens_soon(index, number, Happening::Repair(RepairOutcome::TakenIn(is_durable)));
    }
}
