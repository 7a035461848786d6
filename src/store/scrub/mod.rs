//! The scrub: every copy is read back from the disk and hashed against its id, one pass after the other.
//!
//! It has a thread of its own, so that a disk that hangs holds up nobody else. Passes are paced: one takes as long as is
//! configured, and the disk rests three times as long as it reads. A pass at full pace begins when an operator asks for
//! it. The position outlives a restart. What is wrong is told to the shard that holds the image, which sets it aside and
//! has it repaired.
//!
//! * `pass`: how far a pass has come, on disk too. `worker`: the thread.
//!
//! Invariant: nothing is called wrong but a whole file whose bytes have another id.

mod pass;
mod worker;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant, SystemTime};

use self::pass::ScrubPass;
use self::worker::ScrubWorker;
use super::findings::FindingSender;
use super::health::Health;
use super::path::StorePaths;
use super::record::{self, RecordError};
use crate::telemetry::metrics::DiskMetrics;

/// The way to the scrub. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Scrub(Arc<ScrubState>);

/// The state that the scrub's thread shares with all others.
#[derive(Debug, Default)]
struct ScrubState {
    is_asked: AtomicBool,
    is_stopping: AtomicBool,
    has_ended: AtomicBool,
    pass: Mutex<ScrubPass>,
    thread: OnceLock<Thread>,
}

/// The copies that a pass has looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScrubCounts {
    /// Copies that were read to their end.
    pub copies: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Those whose bytes were wrong.
    pub corrupt: u64,
    /// Copies that the disk could not read.
    pub unreadable: u64,
}

/// The progress of the scrub.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScrubProgress {
    /// Whether the pass runs at full pace, or is about to begin because it was asked for.
    pub is_full_pace: bool,
    /// The part of all ids that the pass has behind it, from 0 to 1.
    pub position: f64,
    /// The copies that the pass has looked at so far.
    pub counts: ScrubCounts,
    /// When the last whole pass ended, by the clock of the time of day, and what it looked at.
    pub last: Option<(SystemTime, ScrubCounts)>,
}

/// Whether the noted position of the scrub cannot be used. Blocking.
///
/// # Errors
/// The system's refusal to read it.
pub(super) fn is_damaged(paths: &StorePaths) -> io::Result<bool> {
    match record::read(&paths.scrub()) {
        Ok(found) => Ok(found.is_some_and(|bytes| ScrubPass::decode(&bytes).is_none())),
        Err(RecordError::Damaged) => Ok(true),
        Err(RecordError::Io(error)) => Err(error),
    }
}

impl Scrub {
    /// Begins a pass over all copies at full pace, in place of the one under way. Returns at once.
    pub fn start(&self) {
        self.0.is_asked.store(true, SeqCst);
        self.wake();
    }

    /// The progress. Any thread may ask at any time.
    pub fn progress(&self) -> ScrubProgress {
        // In this order: a request that is taken between the two is seen by one of them.
        let is_asked = self.0.is_asked.load(SeqCst);
        let pass = self.0.pass();
        ScrubProgress {
            is_full_pace: is_asked || pass.is_full_pace,
            position: pass.position(),
            counts: pass.counts,
            last: pass.last(),
        }
    }

    /// Runs the scrub on a thread of its own until it is stopped. A pass takes `every`; zero: only passes that are asked
    /// for. `findings` leads to the shards.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn run(
        &self,
        every: Duration,
        health: Arc<Health>,
        findings: FindingSender,
        metrics: Arc<DiskMetrics>,
    ) -> io::Result<()> {
        let worker = ScrubWorker::new(self.clone(), every, health, findings, metrics);
        let run = move || {
            if catch_unwind(AssertUnwindSafe(|| worker.run())).is_err() {
                log::error!(
                    "the scrub panicked and ends: the node serves, but reads no copies back; restart it and report this"
                );
            }
        };
        let thread = std::thread::Builder::new().name("scrub".to_owned()).spawn(run)?;
        // One thread runs; a second one is never started.
        let _ = self.0.thread.set(thread.thread().clone());
        Ok(())
    }

    /// Has the thread note its position and end. Blocks, but not longer than `within`: what was read since the position was
    /// noted last is read again then.
    pub fn stop(&self, within: Duration) {
        self.0.is_stopping.store(true, SeqCst);
        self.wake();
        let until = Instant::now() + within;
        while self.0.thread.get().is_some() && !self.0.has_ended.load(SeqCst) && Instant::now() < until {
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    fn wake(&self) {
        if let Some(thread) = self.0.thread.get() {
            thread.unpark();
        }
    }
}

impl ScrubState {
    fn pass(&self) -> std::sync::MutexGuard<'_, ScrubPass> {
        self.pass.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
