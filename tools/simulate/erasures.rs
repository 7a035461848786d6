//! The erasure records of the nodes: taken, acted upon, and lost by injected bugs.
//!
//! A record is durable as soon as it is taken, and its files go at once, unless a copy of the image is on its way to the
//! disk: that has the lock.

use reticulum::cluster::erasure::table::ErasureTable;
use reticulum::cluster::erasure::{ErasureRecord, Intent};
use reticulum::cluster::protocol::erase::{self, Erase, Erasure, HeldRecord};
use reticulum::cluster::protocol::erasure_sync::ErasureSync;
use reticulum::object::ObjectId;

use crate::event::{Event, Index};
use crate::injected_bug::{Injected, InjectedBug};
use crate::node::Protocol;
use crate::world::World;

/// Of the looks of a node, which are nearly a second apart, every second one compares records.
const COMPARE_EVERY: usize = 2;

/// The time after which an injected bug collects a record that all live members have, in milliseconds.
const COLLECTED_MS: u64 = 15_000;

/// The last upload comes so many milliseconds before all faults are healed, as those of other images do.
const LAST_UPLOAD_MS: u64 = 8_000;

/// Upper bound, in milliseconds, of one comparison of records: a page of each bucket.
const SYNC_BOUND_MS: u64 = 257 * 3_000;

impl World {
    pub(crate) fn record_of(&self, index: Index, id: &ObjectId) -> ErasureRecord {
        self.nodes[index].disk.erasures.record(id)
    }

    /// Whether an image is gone by a record, for this program.
    pub(crate) fn is_gone(&self, record: ErasureRecord) -> bool {
        if self.bug == Some(InjectedBug::UploadOverturnsBan) { record.is_deleted() } else { record.is_gone() }
    }

    /// The record that a copy with this counter meets on a node: the record that it does not beat, if any.
    pub(crate) fn refuses(&self, index: Index, id: &ObjectId, live: u64) -> Option<ErasureRecord> {
        let record = self.record_of(index, id);
        self.is_gone(record.merge(ErasureRecord::live(live))).then_some(record)
    }

    /// A node takes a record, and erases what is gone by it.
    pub(crate) fn learn(&mut self, index: Index, id: ObjectId, record: ErasureRecord) {
        let before = self.record_of(index, &id);
        if self.bug == Some(InjectedBug::NewestWins) && record != ErasureRecord::default() {
            let others = self.nodes[index].disk.erasures.records().filter(|(other, _)| *other != id);
            let others: Vec<_> = others.chain([(id, record)]).collect();
            let table = &mut self.nodes[index].disk.erasures;
            *table = ErasureTable::default();
            others.into_iter().for_each(|(id, record)| _ = table.merge(id, record));
        } else {
            self.nodes[index].disk.erasures.merge(id, record);
        }
        let now = self.record_of(index, &id);
        if now != before {
            self.trace_event(Some(&id), || format!("node {index} has record {now} of {id}"));
        }
        self.erase_files(index, id);
    }

    /// Removes what a node has of an image that is gone. What is on its way to the disk comes first.
    pub(crate) fn erase_files(&mut self, index: Index, id: ObjectId) {
        if !self.is_gone(self.record_of(index, &id)) || self.nodes[index].disk.erasures.is_erased(&id) {
            return;
        }
        let process = self.nodes[index].process.as_ref();
        if process.is_some_and(|process| process.jobs.values().any(|job| job.id == id)) {
            return;
        }
        let disk = &mut self.nodes[index].disk;
        if disk.files().contains_key(&id) {
            disk.remove(&id);
        }
        disk.quarantine.remove(&id);
        disk.set_aside.retain(|other| *other != id);
        disk.unreadable.remove(&id);
        disk.settle_misplaced(&id);
        disk.erasures.set_erased(&id);
        if let Some(process) = &mut self.nodes[index].process {
            process.repairs.settle(&id);
        }
    }

    /// A node's record of an image's deletions.
    pub(crate) fn held(&self, index: Index, id: &ObjectId) -> HeldRecord {
        let erasures = &self.nodes[index].disk.erasures;
        HeldRecord { record: erasures.record(id), is_erased: erasures.is_erased(id) }
    }

    /// A node erases what was left, and compares its records with the next member's.
    pub(crate) fn look_for_erasures(&mut self, index: Index) {
        for id in self.nodes[index].disk.erasures.unerased(usize::MAX, |_| true) {
            self.erase_files(index, id);
        }
        let view = self.view(index);
        let process = self.running(index);
        process.erasure_looks += 1;
        let is_syncing = process.operations.values().any(|it| matches!(it.protocol, Protocol::Sync(_)));
        if is_syncing || !process.erasure_looks.is_multiple_of(COMPARE_EVERY) || !view.is_joined() {
            return;
        }
        let Some(node) = process.erasure_turn.take(&view) else { return };
        let digests = Box::new(*self.nodes[index].disk.erasures.digests());
        let machine = Protocol::Sync(ErasureSync::new(node, digests));
        self.begin(index, ObjectId::from_digest([0; 20]), machine, SYNC_BOUND_MS);
    }

    /// A client deletes, bans or frees an image, through any node.
    pub(crate) fn erase(&mut self) {
        let members = self.members();
        let Some(index) = self.pick(&members).filter(|_| self.restart.is_none()) else { return };
        let banned = self.deletions.banned();
        let lifted = if self.random.chance(500_000) { self.random.choose(&banned).copied() } else { None };
        let chosen = match self.random.below(4) {
            0 => self.uploaded.last().copied(),
            1 => self.random.choose(&self.uploaded).copied(),
            _ => self.random.choose(&self.answered).copied(),
        };
        let Some(id) = lifted.or(chosen) else { return };
        let intent = match lifted {
            Some(_) => Intent::Lift,
            None if self.random.chance(250_000) => Intent::Ban,
            None => Intent::Delete,
        };
        if !self.view(index).is_joined() {
            return self.count("erasure: not joined");
        }
        let started = self.running(index).started;
        let machine = Erase::deviating(Erasure { id, intent, started }, Injected(self.bug));
        let (number, now) = (self.number(), self.now);
        self.deletions.begin_erasure(id, (index, number), intent, now);
        let machine = Protocol::Erase(Box::new(machine));
        self.begin_as(index, number, id, machine, erase::answered_within_ms());
        self.revise(&id);
        // Often it is uploaded again.
        let soon = 200 + self.random.below(30_000);
        if self.random.chance(500_000) && now + soon + LAST_UPLOAD_MS < self.faults_ms {
            self.after(soon, Event::UploadAgain(id));
        }
    }

    /// An injected bug collects a record as soon as all live members have it.
    pub(crate) fn collect_soon(&mut self, id: ObjectId) {
        if self.bug == Some(InjectedBug::TombstoneForgotten) {
            self.after(COLLECTED_MS, Event::Collect(id));
        }
    }

    pub(crate) fn collect(&mut self, id: ObjectId) {
        for index in self.members() {
            let disk = &mut self.nodes[index].disk;
            let others: Vec<_> = disk.erasures.records().filter(|(other, _)| *other != id).collect();
            disk.erasures = ErasureTable::default();
            others.into_iter().for_each(|(id, record)| _ = disk.erasures.merge(id, record));
        }
    }
}
