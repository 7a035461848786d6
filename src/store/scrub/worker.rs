//! The thread of the scrub. It blocks, and may be held up by the disk for as long as that likes.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::{Advice, fadvise};

use super::Scrub;
use super::pass::ScrubPass;
use crate::object::{Format, ObjectId, Verifier};
use crate::store::findings::{Finding, FindingSender};
use crate::store::health::Health;
use crate::store::path::StorePaths;
use crate::store::stamp::Stamp;
use crate::store::{StoreError, directory, record};
use crate::telemetry::log::Limited;
use crate::telemetry::metrics::DiskMetrics;

/// Bytes that are read at once.
const CHUNK_BYTES: usize = 256 << 10;

/// The disk rests so many times as long as it was read: the scrub takes a quarter of what it gives.
const REST: u32 = 3;

/// The longest rest after one chunk, for a disk that took long because others kept it busy.
const REST_MAX: Duration = Duration::from_secs(5);

/// Between two notes of the position on disk while copies are read. What was read since is read again after a crash.
const SAVE_EVERY: Duration = Duration::from_mins(1);

/// Between two looks at a disk that is in trouble, and at a shard that has too much to do.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The longest sleep.
const SLEEP_MAX: Duration = Duration::from_hours(1);

/// Below everything else: it is in no hurry.
const NICE: i32 = 19;

/// The directories `<aa>/<bb>`, by the first two bytes of ids.
const DIRECTORIES: u32 = 1 << 16;

/// The scrub's thread.
#[derive(Debug)]
pub(super) struct ScrubWorker {
    scrub: Scrub,
    every: Duration,
    paths: StorePaths,
    health: Arc<Health>,
    findings: FindingSender,
    metrics: Arc<DiskMetrics>,
    pass: ScrubPass,
    /// The next directory; behind the last one the pass has ended.
    directory: u32,
    /// Since when time was not yet added to the pass.
    since: Instant,
    saved: Instant,
    buffer: Vec<u8>,
    lines: Limited,
}

/// The state of a copy that was read.
enum ReadCopy {
    Right(u64),
    Wrong(u64, Stamp),
    Gone,
    /// The pass is broken off in the middle of it.
    BrokenOff,
}

impl ScrubWorker {
    pub(super) fn new(
        scrub: Scrub,
        every: Duration,
        health: Arc<Health>,
        findings: FindingSender,
        metrics: Arc<DiskMetrics>,
    ) -> Self {
        let (paths, now) = (health.paths.clone(), Instant::now());
        Self {
            scrub,
            every,
            paths,
            health,
            findings,
            metrics,
            pass: ScrubPass::default(),
            directory: 0,
            since: now,
            saved: now,
            buffer: vec![0; CHUNK_BYTES],
            lines: Limited::new(),
        }
    }

    pub(super) fn run(mut self) {
        if let Err(error) = rustix::process::nice(NICE) {
            log::warn!(error:% = error; "cannot lower the priority of the scrub, so it runs like the rest; check the limits of the process");
        }
        self.load();
        while !self.is_stopping() {
            self.work();
        }
        self.save();
        self.scrub.0.has_ended.store(true, SeqCst);
    }

    /// Goes on where an earlier process stopped; from the beginning where that is not known.
    pub(super) fn load(&mut self) {
        let path = self.paths.scrub();
        let pass = record::read(&path).map(|found| found.and_then(|bytes| ScrubPass::decode(&bytes)));
        self.pass = match pass {
            Ok(pass) => pass.unwrap_or_default(),
            Err(error) => {
                log::warn!(path:% = path.display(), error:% = error; "cannot read how far the scrub has come, so it begins again; check the disk");
                ScrubPass::default()
            }
        };
        self.directory = u32::from(self.pass.directory());
        self.publish();
    }

    /// Looks at the next directory, or waits for a moment.
    pub(super) fn work(&mut self) {
        self.begin_if_asked();
        self.pass.elapsed += self.since.elapsed();
        self.since = Instant::now();
        if self.health.is_missing() || self.health.is_hung() {
            self.sleep(LOOK_AGAIN);
        } else if let Some(wait) = self.time_until_due() {
            self.sleep(wait);
        } else if self.directory == DIRECTORIES {
            self.end();
        } else {
            self.scrub_directory();
        }
    }

    fn begin_if_asked(&mut self) {
        // Both under the lock, so that a look at the progress sees the request or the pass.
        let mut shared = self.scrub.0.pass();
        if !self.scrub.0.is_asked.swap(false, SeqCst) {
            return;
        }
        self.pass.restart(true);
        self.directory = 0;
        *shared = self.pass;
        drop(shared);
        self.publish();
        // So that a node that dies goes on with it.
        self.save();
    }

    /// The time by which the pass is ahead of its pace; `None` if it is not. Ids are evenly spread, and so are the bytes.
    fn time_until_due(&self) -> Option<Duration> {
        if self.pass.is_full_pace {
            return None;
        }
        if self.every.is_zero() {
            return Some(SLEEP_MAX);
        }
        let due = self.every.mul_f64(f64::from(self.directory) / f64::from(DIRECTORIES));
        due.checked_sub(self.pass.elapsed).filter(|wait| !wait.is_zero())
    }

    fn scrub_directory(&mut self) {
        let Ok(number) = u16::try_from(self.directory) else { return };
        let returns = self.health.returns();
        // The walk of the manifest keeper tells of directories that cannot be read.
        let listed = directory::list(&self.paths, number.to_be_bytes()).unwrap_or_default();
        if listed.is_empty() && !self.is_store_there(returns) {
            return self.sleep(LOOK_AGAIN);
        }
        for (id, format) in listed {
            if self.pass.after.is_some_and(|after| id <= after) {
                continue;
            }
            if !self.scrub_copy(id, format) {
                return;
            }
            self.pass.after = Some(id);
            self.publish();
            if self.saved.elapsed() >= SAVE_EVERY {
                self.save();
            }
        }
        self.pass.after = Some(last_id(number));
        self.directory += 1;
        self.publish();
        if self.saved.elapsed() >= SLEEP_MAX {
            self.save();
        }
    }

    /// Reads a copy and tells what is wrong with it. False: it is to be read later, after a look at what is asked.
    fn scrub_copy(&mut self, id: ObjectId, format: Format) -> bool {
        let returns = self.health.returns();
        match self.read(id, format) {
            Ok(ReadCopy::Right(bytes)) => self.count(bytes),
            Ok(ReadCopy::Wrong(bytes, stamp)) => {
                self.count(bytes);
                self.pass.counts.corrupt += 1;
                self.report(|| Finding::Wrong { id, format, stamp });
            }
            // Removed since it was listed, unless all of them have gone.
            Ok(ReadCopy::Gone) if self.is_store_there(returns) => {}
            Ok(ReadCopy::BrokenOff) => return false,
            Err(error) if !error.is_of_the_process() && self.is_store_there(returns) => {
                self.pass.counts.unreadable += 1;
                self.report(|| Finding::Unreadable(id, error.again()));
            }
            Ok(ReadCopy::Gone) | Err(_) => {
                self.sleep(LOOK_AGAIN);
                return false;
            }
        }
        true
    }

    fn read(&mut self, id: ObjectId, format: Format) -> Result<ReadCopy, StoreError> {
        let failed = |error: io::Error| StoreError::new("read an image", error);
        let mut file = match File::open(self.paths.image(&id, format)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(ReadCopy::Gone),
            Err(error) => return Err(failed(error)),
        };
        let stamp = Stamp::of(&file.metadata().map_err(failed)?);
        forget(&file);
        let (mut verifier, mut bytes) = (Verifier::new(id), 0);
        loop {
            let began = Instant::now();
            let length = match file.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(failed(error)),
            };
            verifier.update(&self.buffer[..length]);
            bytes += length as u64;
            if !self.pass.is_full_pace {
                self.sleep((began.elapsed() * REST).min(REST_MAX));
            }
            if self.is_stopping() || self.scrub.0.is_asked.load(SeqCst) {
                return Ok(ReadCopy::BrokenOff);
            }
        }
        forget(&file);
        Ok(if verifier.finish() { ReadCopy::Right(bytes) } else { ReadCopy::Wrong(bytes, stamp) })
    }

    fn count(&mut self, bytes: u64) {
        self.pass.counts.copies += 1;
        self.pass.counts.bytes += bytes;
        self.metrics.scrubbed.add();
    }

    /// Tells the shard, however much it has to do.
    fn report(&self, finding: impl Fn() -> Finding) {
        while !self.findings.report(finding()) && !self.is_stopping() {
            self.sleep(LOOK_AGAIN);
        }
    }

    fn end(&mut self) {
        let counts = self.pass.counts;
        log::info!(copies = counts.copies, bytes = counts.bytes, corrupt = counts.corrupt, unreadable = counts.unreadable; "the scrub has read all copies");
        self.pass.end(SystemTime::now());
        self.directory = 0;
        self.publish();
        self.save();
    }

    /// Shows how far it has come.
    fn publish(&self) {
        *self.scrub.0.pass() = self.pass;
        self.metrics.set_scrub(self.pass.position(), self.pass.is_full_pace, self.pass.last_ended_s());
    }

    fn save(&mut self) {
        self.saved = Instant::now();
        if let Err(error) = record::replace(&self.paths.scrub(), &self.pass.encode())
            && let Some(suppressed) = self.lines.pass()
        {
            log::warn!(path:% = self.paths.scrub().display(), error:% = error, suppressed; "cannot note how far the scrub has come, so a restart reads more copies again; check the disk");
        }
    }

    /// Sleeps until it is over, or somebody asks for something.
    fn sleep(&self, pause: Duration) {
        thread::park_timeout(pause.min(SLEEP_MAX));
    }

    /// Whether what was not found is not there: all of it may have gone for a while.
    fn is_store_there(&self, returns: u64) -> bool {
        self.health.prove_store_blocking(returns).is_ok()
    }

    fn is_stopping(&self) -> bool {
        self.scrub.0.is_stopping.load(SeqCst)
    }
}

/// Drops what the memory holds of a file: it would prove nothing of the disk, and others need the memory.
fn forget(file: &File) {
    // Where the system refuses, the scrub proves a little less.
    let _ = fadvise(file, 0, None, Advice::DontNeed);
}

/// The last id of a directory.
fn last_id(directory: u16) -> ObjectId {
    let mut digest = [0xff; 20];
    digest[..2].copy_from_slice(&directory.to_be_bytes());
    ObjectId::from_digest(digest)
}

#[cfg(test)]
mod tests;
