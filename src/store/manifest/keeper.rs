//! The thread of the manifest keeper: it applies the reports of the shards, answers questions, and compares the manifests
//! with the store meanwhile.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::fs::DirBuilder;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use flume::RecvTimeoutError;

use super::file::ManifestError;
use super::full_walk::FullWalk;
use super::index::ManifestIndex;
use super::pace::{self, Walk};
use super::record::{ManifestEntry, ManifestRecord};
use super::survey::Survey;
use super::times::ChangeTimes;
use super::{Doubts, KeeperMessage};
use crate::object::ObjectId;
use crate::store::findings::{Finding, FindingSender};
use crate::store::health::Health;
use crate::store::path::StorePaths;
use crate::telemetry::log::Limited;
use crate::telemetry::metrics::DiskMetrics;

/// Reports that are held back at most, 40 bytes each: 2.5 MiB. Of those beyond, the `<aa>` is compared once more.
const HELD_MAX: usize = 65_536;

/// Reports that are applied together at most, so that a question does not wait long.
const BATCH_MAX: usize = 512;

/// The pause before an `<aa>` is compared again whose manifest could not be read or written, or whose store was away.
const RETRY: Duration = Duration::from_mins(1);

/// The pause between two looks whether the store is back.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The time for the last checkpoints. What is not written is compared at the next start.
const FINISH_MAX: Duration = Duration::from_secs(2);

/// Below the shards and control, above the resize workers: a keeper that falls behind has to list directories again.
const NICE: i32 = 10;

/// The keeper before it runs, and while it does.
#[derive(Debug)]
pub struct Keeper {
    paths: StorePaths,
    health: Arc<Health>,
    findings: FindingSender,
    doubts: Arc<Doubts>,
    full_walk: Arc<FullWalk>,
    messages: flume::Receiver<KeeperMessage>,
    index: ManifestIndex,
    /// Reports of an `<aa>` that is being compared, or is not loaded.
    held: Vec<ManifestRecord>,
    /// Each `<aa>` that is to be compared out of turn, and from when on.
    due: VecDeque<(Instant, u8)>,
    survey: Option<Survey>,
    /// None before every `<aa>` was compared once, or could not be.
    walk: Option<Walk>,
    /// Each `<aa>` that the walk at full pace has not compared yet.
    unwalked: BTreeSet<u8>,
    /// Images of the last survey of a walk at full pace whose files have gone, while the shards have no room for them. No
    /// survey begins meanwhile, so these are the images of one `<aa>` at most, 20 bytes each.
    unreported: VecDeque<ObjectId>,
    began: Instant,
    /// Whom to tell of the end; `Some(None)`: nobody.
    ending: Option<Option<flume::Sender<()>>>,
    lines: Limited,
}

impl Keeper {
    pub(super) fn new(
        health: Arc<Health>,
        findings: FindingSender,
        metrics: Arc<DiskMetrics>,
        (doubts, full_walk): (Arc<Doubts>, Arc<FullWalk>),
        messages: flume::Receiver<KeeperMessage>,
    ) -> Self {
        let (paths, now) = (health.paths.clone(), Instant::now());
        Self {
            index: ManifestIndex::new(paths.clone(), metrics),
            paths,
            health,
            findings,
            doubts,
            full_walk,
            messages,
            held: Vec::new(),
            due: (0..=u8::MAX).map(|first| (now, first)).collect(),
            survey: None,
            walk: None,
            unwalked: BTreeSet::new(),
            unreported: VecDeque::new(),
            began: now,
            ending: None,
            lines: Limited::new(),
        }
    }

    /// Runs the keeper on a thread of its own until it is stopped.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn start(self) -> io::Result<()> {
        let run = move || {
            if catch_unwind(AssertUnwindSafe(|| self.run())).is_err() {
                log::error!(
                    "the manifest keeper panicked and ends: the node serves, but finds no copies that vanish; restart it and report this"
                );
            }
        };
        thread::Builder::new().name("manifests".to_owned()).spawn(run).map(drop)
    }

    fn run(mut self) {
        if let Err(error) = rustix::process::nice(NICE) {
            log::warn!(error:% = error; "cannot lower the priority of the manifest keeper, so it runs like the rest; check the limits of the process");
        }
        while self.ending.is_none() {
            let pause = self.work();
            self.receive(pause);
        }
        self.finish();
    }

    /// Handles messages until the pause is over or the keeper is to end.
    fn receive(&mut self, pause: Duration) {
        let until = Instant::now() + pause;
        while self.ending.is_none() {
            match self.messages.recv_deadline(until) {
                Ok(message) => self.handle(message),
                Err(RecvTimeoutError::Timeout) => return,
                Err(RecvTimeoutError::Disconnected) => self.ending = Some(None),
            }
            if Instant::now() >= until {
                return;
            }
        }
    }

    /// Handles what waits.
    fn receive_waiting(&mut self) {
        for _ in 0..self.messages.len() {
            match self.messages.try_recv() {
                Ok(message) => self.handle(message),
                Err(_) => return,
            }
        }
    }

    /// Handles a message, and with it the reports that wait behind it.
    fn handle(&mut self, message: KeeperMessage) {
        let mut reports = Vec::new();
        let mut next = Some(message);
        while let Some(message) = next {
            match message {
                KeeperMessage::Changed(record) => reports.push(record),
                KeeperMessage::Asked(query) => {
                    self.apply(&mut reports);
                    return self.index.answer(*query);
                }
                KeeperMessage::Stop(done) => {
                    self.ending = Some(Some(done));
                    break;
                }
            }
            next = if reports.len() < BATCH_MAX { self.messages.try_recv().ok() } else { None };
        }
        self.apply(&mut reports);
    }

    /// Applies reports, or holds them back; the ones of each `<aa>` in their order.
    fn apply(&mut self, reports: &mut Vec<ManifestRecord>) {
        reports.sort_by_key(|record| first_of(&record.id()));
        for reports in reports.chunk_by(|one, other| first_of(&one.id()) == first_of(&other.id())) {
            let first = first_of(&reports[0].id());
            let is_compared = self.survey.as_ref().is_some_and(|survey| survey.first == first);
            if is_compared || !self.index.is_loaded(first) {
                self.hold(first, reports);
            } else if let Err(error) = self.index.apply(first, reports) {
                self.lose(first, &error);
            }
        }
        reports.clear();
    }

    fn hold(&mut self, first: u8, reports: &[ManifestRecord]) {
        if self.held.len() + reports.len() > HELD_MAX {
            self.doubts.set(first);
        } else {
            self.held.extend_from_slice(reports);
        }
    }

    /// A manifest failed: it is made again.
    fn lose(&mut self, first: u8, error: &ManifestError) {
        if let Some(suppressed) = self.lines.pass() {
            let path = self.paths.manifest(first);
            log::warn!(path:% = path.display(), error:% = error, suppressed; "a manifest cannot be read or written, so the node makes it again from the directories; check the disk");
        }
        self.index.forget(first);
        self.enqueue(first, RETRY);
    }

    fn enqueue(&mut self, first: u8, pause: Duration) {
        if self.due.iter().all(|(_, other)| *other != first) {
            self.due.push_back((Instant::now() + pause, first));
        }
        assert!(self.due.len() <= 256, "invariant: manifest: each part waits once");
    }

    /// Compares manifests with the store for a moment; how long to rest then.
    fn work(&mut self) -> Duration {
        self.take_doubts();
        self.begin_full_walk_if_asked();
        if self.health.is_missing() {
            self.abandon_survey();
            return LOOK_AGAIN;
        }
        if !self.report_waiting() {
            return LOOK_AGAIN;
        }
        let began = Instant::now();
        if self.survey.is_none()
            && let Err(pause) = self.begin_survey(began)
        {
            return pause;
        }
        while let Some(survey) = self.survey.as_mut()
            && !survey.is_complete()
            && began.elapsed() < pace::WORK
        {
            survey.step(&self.paths);
        }
        if self.survey.as_ref().is_some_and(Survey::is_complete) {
            self.end_survey();
        }
        if self.is_walking() { Duration::ZERO } else { pace::rest(began.elapsed()) }
    }

    /// Has every `<aa>` compared now, if an operator has asked for that.
    fn begin_full_walk_if_asked(&mut self) {
        if self.full_walk.take(256) {
            // It may have looked already where a file has gone since.
            self.abandon_survey();
            let now = Instant::now();
            self.due = (0..=u8::MAX).map(|first| (now, first)).collect();
            self.unwalked = (0..=u8::MAX).collect();
        }
    }

    fn is_walking(&self) -> bool {
        !self.unwalked.is_empty()
    }

    /// Tells the shards of files that have gone, as far as there is room. Whether all were told.
    fn report_waiting(&mut self) -> bool {
        while let Some(id) = self.unreported.front() {
            if !self.findings.report(Finding::Vanished(*id)) {
                return false;
            }
            self.unreported.pop_front();
        }
        // The walk has ended when nothing of it is left to be told.
        self.full_walk.set_left(self.unwalked.len());
        true
    }

    /// Has every `<aa>` compared again of which a report was lost.
    fn take_doubts(&mut self) {
        for first in self.doubts.take() {
            self.index.set_unsettled(first);
            self.enqueue(first, Duration::ZERO);
        }
    }

    /// Begins the survey that is due.
    ///
    /// # Errors
    /// None is; how long to wait for one.
    fn begin_survey(&mut self, now: Instant) -> Result<(), Duration> {
        let images = self.index.images();
        let due = self.due.iter().position(|(at, _)| *at <= now).and_then(|at| self.due.remove(at));
        let first = match due {
            Some((_, first)) => first,
            None => {
                let walk = self.walk.get_or_insert_with(|| first_walk(images, self.began, now));
                if walk.due(images) > now {
                    let next = self.due.iter().map(|(at, _)| *at).fold(walk.due(images), Instant::min);
                    // Whether a report was lost is looked for meanwhile.
                    return Err(next.saturating_duration_since(now).min(LOOK_AGAIN));
                }
                walk.take(images, now)
            }
        };
        // Before anything is looked for.
        let returns = self.health.returns();
        self.receive_waiting();
        // A report that was held back until now is older than what the survey will see. A later report of the same image may be lost.
        self.take_held(first);
        match self.load(first) {
            Ok((known, times)) => self.survey = Some(Survey::new(&self.paths, first, known, times, returns)),
            Err(error) => self.lose(first, &ManifestError::Io(error)),
        }
        Ok(())
    }

    fn load(&mut self, first: u8) -> io::Result<(Vec<ManifestEntry>, Option<ChangeTimes>)> {
        DirBuilder::new().recursive(true).create(self.paths.manifests())?;
        self.index.load(first)
    }

    fn end_survey(&mut self) {
        // With all reports of what the survey may have seen, those of the `<aa>` are held back.
        self.receive_waiting();
        let proven = |survey: &mut Survey| self.health.prove_store_blocking(survey.returns).is_ok();
        let Some(survey) = self.survey.take_if(proven) else {
            // A folder in the store's place says nothing of it.
            return self.abandon_survey();
        };
        let (first, result) = (survey.first, survey.finish());
        if result.unread > 0
            && let Some(suppressed) = self.lines.pass()
        {
            log::warn!(directories = result.unread, below:% = format_args!("store/{first:02x}"), suppressed; "some directories of store/ cannot be read, so the node goes by what it knew of them; check the disk and their rights");
        }
        let mut held = self.take_held(first);
        match self.index.install(first, &result) {
            Ok(()) => {
                self.note_missing(first, &result.missing, &held);
                self.unwalked.remove(&first);
                self.report_waiting();
            }
            Err(error) => self.lose(first, &ManifestError::Io(error)),
        }
        self.apply(&mut held);
    }

    /// Drops a survey whose store is not there, to begin it again later.
    fn abandon_survey(&mut self) {
        if let Some(survey) = self.survey.take() {
            self.enqueue(survey.first, RETRY);
            let mut held = self.take_held(survey.first);
            self.apply(&mut held);
        }
    }

    fn take_held(&mut self, first: u8) -> Vec<ManifestRecord> {
        self.held.extract_if(.., |record| first_of(&record.id()) == first).collect()
    }

    /// Notes files that have gone, except those that their shards removed themselves: the shards are to be told.
    fn note_missing(&mut self, first: u8, missing: &[ManifestEntry], held: &[ManifestRecord]) {
        // After a lost report nobody knows which of them were removed. The nodes find copies that are lacking by digests.
        if self.doubts.is_set(first) {
            return;
        }
        let changed: HashSet<_> = held.iter().map(ManifestRecord::id).collect();
        let missing = missing.iter().map(|entry| entry.id).filter(|id| !changed.contains(id));
        // Nobody waits for the other walks. Where a store was emptied, comparisons bring back what is refused here, and
        // they need the manifests soon.
        if self.is_walking() && self.index.is_whole() {
            self.unreported.extend(missing);
        } else {
            missing.for_each(|id| _ = self.findings.report(Finding::Vanished(id)));
        }
    }

    /// Writes what spares the next start a comparison.
    fn finish(mut self) {
        self.abandon_survey();
        let until = Instant::now() + FINISH_MAX;
        for first in (0..=u8::MAX).take_while(|_| Instant::now() < until) {
            // One that is not written is compared at the next start.
            let _ = self.index.checkpoint_if_changed(first);
        }
        if let Some(Some(done)) = self.ending {
            // Nobody may wait any more.
            let _ = done.send(());
        }
    }
}

/// The first walk, when all manifests were compared with the store once.
fn first_walk(images: u64, began: Instant, now: Instant) -> Walk {
    let elapsed_ms = u64::try_from(now.duration_since(began).as_millis()).unwrap_or(u64::MAX);
    log::info!(images, elapsed_ms; "compared the manifests with store/");
    Walk::new(now)
}

/// The `<aa>` of an id.
fn first_of(id: &ObjectId) -> u8 {
    id.digest()[0]
}

#[cfg(test)]
mod tests;
