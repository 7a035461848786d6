//! A copy on its way to the disk, step by step: a crash may come between any two.

use reticulum::cluster::erasure::ErasureRecord;
use reticulum::cluster::protocol::repair::queue::needs_record;
use reticulum::object::ObjectId;

use crate::disk::{Content, File, right_bytes};
use crate::event::{Event, Fact, Index, Number, Payload, Tell};
use crate::injected_bug::InjectedBug;
use crate::node::{CrashPoint, Job, Step, Waiter};
use crate::world::World;

impl World {
    /// Makes a copy durable, once for any number of waiters, and reports to the waiter.
    pub(crate) fn store(
        &mut self,
        index: Index,
        id: ObjectId,
        content: Content,
        misplaced: bool,
        waiter: Waiter,
    ) {
        let live = self.record_of(index, &id).live_counter();
        self.store_live(index, (id, live), content, misplaced, waiter);
    }

    /// The same with a copy that is live with this counter.
    pub(crate) fn store_live(
        &mut self,
        index: Index,
        (id, live): (ObjectId, u64),
        content: Content,
        misplaced: bool,
        waiter: Waiter,
    ) {
        if self.refuses(index, &id, live).is_some() {
            return self.notify(index, waiter, false);
        }
        self.learn(index, id, ErasureRecord::live(live));
        let verifies = !matches!(self.bug, Some(InjectedBug::NoVerify | InjectedBug::RepairUnverified));
        let is_right = content == right_bytes(&id) || !verifies;
        if !is_right || !self.nodes[index].disk.has_room() {
            return self.notify(index, waiter, false);
        }
        if let Some(job) = self.running(index).jobs.values_mut().find(|job| job.id == id) {
            job.live = job.live.max(live);
            return job.waiters.push(waiter);
        }
        let here = self.nodes[index].disk.verified(&id).is_some();
        let file = self.nodes[index].disk.files().get(&id);
        if here && file.is_some_and(File::is_durable) {
            return self.notify(index, waiter, true);
        }
        let step = if here { Step::SyncName } else { Step::Write };
        self.nodes[index].disk.temporary += usize::from(!here);
        let number = self.number();
        self.running(index)
            .jobs
            .insert(number, Job { id, content, step, misplaced, waiters: vec![waiter], live });
        self.schedule(index, number);
    }

    fn schedule(&mut self, index: Index, job: Number) {
        let boot = self.nodes[index].boot;
        let pause = 1 + self.random.below(4) + self.nodes[index].disk.slowness;
        self.after(pause, Event::Store(index, boot, job));
    }

    /// One step is done: begins the next.
    pub(crate) fn store_step(&mut self, index: Index, number: Number) {
        let Some(job) = self.running(index).jobs.get(&number).cloned() else { return };
        if self.reaches_crash_point(index, CrashPoint::Before(job.step)) {
            return;
        }
        let disk = &self.nodes[index].disk;
        let next = match job.step {
            // Space runs out in the middle: for data while it is written, for inodes when directories are made.
            Step::Write if disk.is_full => return self.no_room(index, number),
            Step::Rename if disk.has_no_inodes => return self.no_room(index, number),
            Step::Write if self.bug == Some(InjectedBug::AnswerBeforeSync) => {
                return self.answer_early(index, number, job);
            }
            Step::Write => Step::Sync,
            Step::Sync | Step::SyncName if std::mem::take(&mut self.nodes[index].disk.sync_fails) => {
                return self.sync_failed(index, number, &job);
            }
            Step::Sync => Step::Rename,
            // It was deleted while it was on its way.
            Step::Rename if self.refuses(index, &job.id, job.live).is_some() => {
                self.nodes[index].disk.temporary -= 1;
                return self.finish(index, number, false);
            }
            Step::Rename => {
                self.rename(index, &job, true);
                if self.bug == Some(InjectedBug::NoDirectorySync) {
                    return self.finish(index, number, true);
                }
                Step::SyncName
            }
            Step::SyncName => {
                if let Some(file) = self.nodes[index].disk.file(&job.id) {
                    (file.is_name_synced, file.is_data_synced) = (true, true);
                }
                self.nodes[index].disk.list(job.id);
                return self.finish(index, number, true);
            }
        };
        self.running(index).jobs.get_mut(&number).expect("this job").step = next;
        self.schedule(index, number);
    }

    fn rename(&mut self, index: Index, job: &Job, is_data_synced: bool) {
        self.trace_event(Some(&job.id), || {
            format!("node {index} stores {} under {}", job.id, self.view(index).hash())
        });
        if !self.running(index).told_holding {
            self.running(index).told_holding = true;
            self.tell_core(index, Fact::HoldsImages(true));
        }
        let (view, clock) = (self.view(index), self.nodes[index].clock(self.now));
        if (job.misplaced || needs_record(&view, &job.id)) && self.bug != Some(InjectedBug::NoStrayRecord) {
            self.nodes[index].disk.record_misplaced(job.id, self.now);
            self.running(index).repairs.record(job.id, clock);
        }
        let (now, disk) = (self.now, &mut self.nodes[index].disk);
        disk.temporary -= 1;
        disk.quarantine.remove(&job.id);
        disk.unreadable.remove(&job.id);
        disk.put(job.id, File { content: job.content, is_data_synced, is_name_synced: false }, now);
    }

    fn answer_early(&mut self, index: Index, number: Number, job: Job) {
        self.rename(index, &job, false);
        self.nodes[index].disk.file(&job.id).expect("just renamed").is_name_synced = true;
        self.finish(index, number, true);
    }

    fn no_room(&mut self, index: Index, number: Number) {
        self.count("no room in the middle of a write");
        self.nodes[index].disk.temporary -= 1;
        self.finish(index, number, false);
    }

    /// A sync that failed is not tried again: the pages may be gone from the cache.
    fn sync_failed(&mut self, index: Index, number: Number, job: &Job) {
        self.count("sync failed");
        let disk = &mut self.nodes[index].disk;
        if job.step == Step::Sync {
            disk.temporary -= 1;
        } else {
            disk.remove(&job.id);
        }
        self.finish(index, number, false);
    }

    fn finish(&mut self, index: Index, number: Number, is_durable: bool) {
        let Some(job) = self.running(index).jobs.remove(&number) else { return };
        let is_of_upload = |waiter: &Waiter| matches!(waiter, Waiter::Upload(..));
        if is_durable
            && job.waiters.iter().any(is_of_upload)
            && self.reaches_crash_point(index, CrashPoint::Stored)
        {
            return;
        }
        // News that came meanwhile has waited for the lock.
        self.erase_files(index, job.id);
        let is_durable = is_durable && self.refuses(index, &job.id, job.live).is_none();
        for waiter in job.waiters {
            self.notify(index, waiter, is_durable);
        }
    }

    fn notify(&mut self, index: Index, waiter: Waiter, is_durable: bool) {
        match waiter {
            Waiter::Remote { to, to_boot, number, id } => {
                // The current layout hash: it must be no earlier than the one under which the copy became durable.
                let record = self.record_of(index, &id);
                let tell = match is_durable {
                    true => Tell::Taken(self.view(index).hash()),
                    false if self.is_gone(record) => Tell::Gone,
                    false => Tell::Refused,
                };
                if self.nodes[to].boot == to_boot {
                    self.send(index, to, Payload::Tell(number, tell, record));
                }
            }
            Waiter::Upload(number, live) => self.stored(index, number, live, is_durable),
            Waiter::Repair(number) => self.taken_in(index, number, is_durable),
        }
    }

    /// Reads every copy and moves damaged ones away. Syncs the copies that a killed process left unsynced: they are
    /// visible, and must be listed like all others.
    pub(crate) fn scrub(&mut self, index: Index) {
        let jobs: Vec<_> = self.running(index).jobs.values().map(|job| job.id).collect();
        let clock = self.nodes[index].clock(self.now);
        let disk = &mut self.nodes[index].disk;
        for id in disk.files().keys().copied().collect::<Vec<_>>() {
            let is_whole = disk.verified(&id).is_some() && !jobs.contains(&id);
            if is_whole && !disk.files()[&id].is_durable() {
                let file = disk.file(&id).expect("the file that was read");
                (file.is_data_synced, file.is_name_synced) = (true, true);
                disk.list(id);
            }
        }
        let vanished = if self.bug == Some(InjectedBug::ManifestBelieved) {
            Vec::new()
        } else {
            disk.rebuild_manifest()
        };
        disk.write_checkpoint();
        for id in vanished {
            self.nodes[index].disk.record_misplaced(id, self.now);
            self.running(index).repairs.record(id, clock);
        }
    }
}
