//! The resize lane: one worker thread beside each shard, on the same core, at the lowest priority.
//!
//! A 40 ms decode must not hold back a 40 µs cache hit, so pixels are never touched on the executor.
//! The lane's queue is bounded; each job is charged to the node's decode memory before its pixels
//! exist, ends at its deadline, and may panic without harm to anything else.

use std::fs::File;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sha1::{Digest, Sha1};

use super::memory::DecodeMemory;
use super::message::Message;
use crate::image::facts;
use crate::image::header::Limits;
use crate::image::intermediate::Intermediate;
use crate::image::recipe::Recipe;
use crate::image::variant::{self, VariantFault};
use crate::object::ObjectId;
use crate::store::originals::Stamp;
use crate::telemetry::metrics::{ShardMetrics, Stage};

/// What a job makes of an image.
#[derive(Clone, Debug)]
pub enum Work {
    /// A variant.
    Variant(Recipe),
    /// Its facts, as the bytes to keep.
    Facts,
}

/// One piece of work.
#[derive(Debug)]
pub struct Job {
    /// The shard's number for it.
    pub number: u64,
    /// Of which image.
    pub id: ObjectId,
    /// Where the image lies.
    pub path: PathBuf,
    /// The stamp of the file that needs no hashing, if any.
    pub verified: Option<Stamp>,
    /// What to make.
    pub work: Work,
    /// When nobody waits for it any more.
    pub deadline: Instant,
    /// Set when nobody wants it any more.
    pub cancelled: Arc<AtomicBool>,
    /// When it was put into the queue.
    pub queued: Instant,
    /// Nobody waits for it: it gives way as soon as another job is in the queue. Cleared when
    /// somebody comes to wait.
    pub ahead: Arc<AtomicBool>,
}

/// How a job ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// What was made, and the stamp of the source, whose bytes are right.
    Made(Bytes, Stamp),
    /// It could not be made.
    Failed(Fault),
}

/// Why a variant could not be made. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The image's or the request's fault; a retry gives the same.
    Variant(VariantFault),
    /// The source has gone since it was found: look again.
    Gone,
    /// The source's bytes do not have its id.
    Corrupt(Stamp),
    /// The disk could not read the source.
    Unreadable(String),
    /// The deadline passed: a retry may help.
    Deadline,
    /// Nobody wanted it any more.
    Cancelled,
    /// It was made ahead, and gave way to a job that somebody waits for.
    GaveWay,
    /// The decoder or encoder panicked; taken as the image's fault.
    Panicked,
}

/// What a worker needs beside its jobs.
pub struct Worker {
    /// The jobs.
    pub jobs: flume::Receiver<Job>,
    /// The shard's mailbox.
    pub mailbox: flume::Sender<Message>,
    /// The node's budget.
    pub memory: Arc<DecodeMemory>,
    /// Bounds of every image.
    pub limits: Limits,
    /// The shard's metrics.
    pub metrics: Arc<ShardMetrics>,
    /// The core to run on.
    pub core: Option<usize>,
}

impl Worker {
    /// Works until the shard is gone. Run this on a thread of its own.
    pub fn run(self) {
        if let Some(core) = self.core {
            let mut set = rustix::thread::CpuSet::new();
            set.set(core);
            if let Err(error) = rustix::thread::sched_setaffinity(None, &set) {
                log::warn!(core, error:% = error; "cannot pin a resize worker");
            }
        }
        // On Linux this is the calling thread's alone. Lowering one's own priority needs no right.
        if let Err(error) = rustix::process::nice(19) {
            log::warn!(error:% = error; "cannot lower a resize worker's priority");
        }
        while let Ok(job) = self.jobs.recv() {
            let number = job.number;
            let started = Instant::now();
            self.metrics.stage(Stage::Queue, started.saturating_duration_since(job.queued));
            let outcome = match catch_unwind(AssertUnwindSafe(|| self.make(&job))) {
                Ok(Ok((bytes, stamp))) => Outcome::Made(bytes, stamp),
                Ok(Err(fault)) => Outcome::Failed(fault),
                Err(_) => {
                    log::error!(object:% = job.id; "making a variant panicked");
                    Outcome::Failed(Fault::Panicked)
                }
            };
            if self.mailbox.send(Message::Made { job: number, outcome, took: started.elapsed() }).is_err() {
                return;
            }
        }
    }

    fn make(&self, job: &Job) -> Result<(Bytes, Stamp), Fault> {
        let in_the_way = || job.ahead.load(Relaxed) && !self.jobs.is_empty();
        let wanted = || !job.cancelled.load(Relaxed) && Instant::now() < job.deadline && !in_the_way();
        let lost = || match (job.cancelled.load(Relaxed), in_the_way()) {
            (true, _) => Fault::Cancelled,
            (_, true) => Fault::GaveWay,
            _ => Fault::Deadline,
        };
        if !wanted() {
            return Err(lost());
        }
        let started = Instant::now();
        let (source, stamp) = read(job)?;
        let started = self.timed(Stage::Read, started);
        let small = facts::recipe();
        let recipe = match &job.work {
            Work::Variant(recipe) => recipe,
            Work::Facts => &small,
        };
        let prepared = variant::prepare(&source, recipe, &self.limits).map_err(Fault::Variant)?;
        let _charge = self.memory.charge(prepared.peak_bytes(), job.deadline, wanted).ok_or_else(lost)?;
        let made = match &job.work {
            Work::Variant(_) => prepared.make(&mut Intermediate::Unwanted, &wanted),
            Work::Facts => prepared.facts(&mut Intermediate::Unwanted, &wanted).map(|facts| facts.to_bytes()),
        };
        let made = made.map_err(|fault| match fault {
            VariantFault::Stopped => lost(),
            fault => Fault::Variant(fault),
        })?;
        self.timed(Stage::Render, started);
        Ok((Bytes::from(made), stamp))
    }

    fn timed(&self, stage: Stage, started: Instant) -> Instant {
        let now = Instant::now();
        self.metrics.stage(stage, now.saturating_duration_since(started).max(Duration::ZERO));
        now
    }
}

/// The source's bytes, proven by their id.
fn read(job: &Job) -> Result<(Vec<u8>, Stamp), Fault> {
    let unreadable = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Fault::Gone,
        _ => Fault::Unreadable(error.to_string()),
    };
    let mut file = File::open(&job.path).map_err(unreadable)?;
    let stat = rustix::fs::fstat(&file).map_err(|error| unreadable(error.into()))?;
    let stamp = Stamp::new(&stat);
    let mut source = Vec::with_capacity(usize::try_from(stat.st_size).unwrap_or(0));
    file.read_to_end(&mut source).map_err(unreadable)?;
    if job.verified != Some(stamp) && ObjectId::from_digest(Sha1::digest(&source).into()) != job.id {
        return Err(Fault::Corrupt(stamp));
    }
    Ok((source, stamp))
}
