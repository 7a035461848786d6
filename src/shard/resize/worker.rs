//! The resize worker: one thread beside each shard, on the same core, at the lowest priority.
//!
//! A 40 ms decode must not hold back a 40 µs cache hit, so pixels are never touched on the executor.
//! Jobs come one at a time from the shard's queue; each is charged to the node's decode memory before its pixels
//! exist, ends at its deadline, and may panic without harm to anything else. Work that cannot be interrupted, or may end its
//! process, is done by the worker's [`super::helper`] process.

mod keep;

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::time::{ClockId, clock_gettime};

use super::helper::{Helper, HelperError, HelperOutput, HelperTask};
use super::memory::DecodeMemory;
use super::source::SourceFile;
use crate::image::decoded_planes::{self, DecodedPlanes};
use crate::image::error::RenderError;
use crate::image::header::Limits;
use crate::image::inspect::InspectError;
use crate::image::jpeg::Jpeg;
use crate::image::pixels::Pixels;
use crate::image::placeholder;
use crate::image::progress::{ProgressSink, RenderStage};
use crate::image::small_picture::SmallPicture;
use crate::image::variant::{self, Prepared, VariantFault};
use crate::object::{Format, ObjectId};
use crate::shard::job::{CacheUse, ResizeError, ResizeOutcome, ResizeWork};
use crate::shard::message::Message;
use crate::shard::timings::{StageTimer, StageTimings};
use crate::store::health::Health;
use crate::store::originals::Stamp;
use crate::store::path::{Cached, StorePaths, VariantKey};
use crate::store::{proof, variants};
use crate::telemetry::metrics::{ShardMetrics, Stage};

/// One piece of work.
#[derive(Debug)]
pub struct ResizeJob {
    /// The shard's number for it.
    pub number: u64,
    /// Of which image.
    pub id: ObjectId,
    /// The name of what is made among what is kept of the image.
    pub key: VariantKey,
    /// Its format; that of the image for what is no variant.
    pub format: Format,
    /// The format of the image.
    pub source: Format,
    /// The path of the image.
    pub path: PathBuf,
    /// The stamp of the file that needs no hashing, if any.
    pub verified: Option<Stamp>,
    /// The work.
    pub work: ResizeWork,
    /// When nobody waits for it any more.
    pub deadline: Instant,
    /// Set when nobody wants it any more.
    pub cancelled: Arc<AtomicBool>,
    /// When it was put into the queue.
    pub queued: Instant,
    /// Nobody waits for it: it gives way as soon as a job that somebody waits for is in the queue. Cleared when
    /// somebody comes to wait.
    pub is_pre_generation: Arc<AtomicBool>,
    /// Jobs in the queue that somebody waits for.
    pub wanted: Arc<AtomicUsize>,
}

/// The samples that a job began with: themselves, if they are not kept yet.
type DecodedSamples = (CacheUse, Option<Vec<u8>>);

/// The byproducts of a job.
#[derive(Default)]
struct Leftovers {
    samples: Option<DecodedSamples>,
    small: Option<Pixels>,
}

/// The shard has ended.
struct ShardGone;

/// A resize worker: its jobs, and all that they need.
pub struct ResizeWorker {
    /// The jobs, one at a time: the next one comes when the last one's result was posted.
    pub jobs: flume::Receiver<ResizeJob>,
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
    /// The paths of the data directory, for variants and placeholders.
    pub paths: StorePaths,
    /// The shard's number, for the names of temporary files.
    pub shard: usize,
    /// The shard's share of the disk tier, in bytes.
    pub cache_bytes_max: u64,
    /// Whether the disk takes anything.
    pub health: Arc<Health>,
    /// The helper process for work that cannot be interrupted; without it, the worker does that itself.
    pub helper: Option<HelperHandle>,
}

/// A worker's helper process, and what the worker notes about it.
#[derive(Debug)]
pub struct HelperHandle {
    helper: RefCell<Helper>,
    /// Processor time that the process has spent on the job under way.
    used: Cell<Duration>,
    /// When a line about its end was last logged.
    told: Cell<Option<Instant>>,
}

/// Strangers may make the process end: between two lines about that there is at least this much time.
const TELL_AGAIN: Duration = Duration::from_secs(1);

impl HelperHandle {
    /// One that runs this binary when it is needed.
    pub fn new(program: PathBuf) -> Self {
        let helper = RefCell::new(Helper::new(program));
        Self { helper, used: Cell::default(), told: Cell::default() }
    }

    fn may_tell(&self) -> bool {
        let now = Instant::now();
        let is_due = self.told.get().is_none_or(|told| now.saturating_duration_since(told) >= TELL_AGAIN);
        if is_due {
            self.told.set(Some(now));
        }
        is_due
    }
}

impl ResizeWorker {
    /// Works until the shard is gone. Run this on a thread of its own.
    pub fn run(self) {
        if let Some(core) = self.core {
            let mut set = rustix::thread::CpuSet::new();
            set.set(core);
            if let Err(error) = rustix::thread::sched_setaffinity(None, &set) {
                log::warn!(shard = self.shard, core, error:% = error; "cannot pin the resize worker to its core, so it runs on any; check the cpuset of this process");
            }
        }
        // On Linux this is the calling thread's alone. Lowering one's own priority needs no right.
        if let Err(error) = rustix::process::nice(19) {
            log::warn!(shard = self.shard, error:% = error; "cannot lower the priority of the resize worker, so resizing may delay requests; check the limits of this process");
        }
        while let Ok(job) = self.jobs.recv() {
            let number = job.number;
            let (started, used) = (Instant::now(), processor_time());
            self.metrics.stage(Stage::Queue, started.saturating_duration_since(job.queued));
            let (outcome, leftovers) = match catch_unwind(AssertUnwindSafe(|| self.make(&job))) {
                Ok(Ok(made)) => made,
                Ok(Err(fault)) => (ResizeOutcome::Failed(fault), Leftovers::default()),
                Err(_) => {
                    log::error!(shard = self.shard, object:% = job.id; "a resize job panicked and failed; the worker goes on, please report the image");
                    (ResizeOutcome::Failed(ResizeError::Panicked), Leftovers::default())
                }
            };
            let new = match &outcome {
                ResizeOutcome::Made(bytes, ..) => Some(bytes.clone()),
                ResizeOutcome::Failed(_) => None,
            };
            let helped = self.helper.as_ref().map_or(Duration::ZERO, |assistant| assistant.used.take());
            let used = processor_time().saturating_sub(used) + helped;
            let made = Message::Made { job: number, outcome, took: started.elapsed(), used };
            if self.mailbox.send(made).is_err() || self.keep(&job, new, leftovers).is_err() {
                return;
            }
        }
    }

    /// Makes the result of the job, and what it leaves.
    fn make(&self, job: &ResizeJob) -> Result<(ResizeOutcome, Leftovers), ResizeError> {
        let started = Instant::now();
        self.wanted(job)?;
        let of_placeholder = placeholder::recipe();
        let recipe = match &job.work {
            ResizeWork::Variant { recipe, .. } => recipe,
            ResizeWork::Placeholder => &of_placeholder,
            ResizeWork::Walk => return self.walked(job),
        };
        let mut small = self.small_picture(job);
        let mut source = SourceFile::open(&job.path, job.verified)?;
        // With its samples kept, no more of the file is needed than its headers. Metadata may be anywhere in it.
        if !recipe.meta && source.read_head()? {
            // An error is reported where the whole file is known.
            let prepared = variant::prepare(source.bytes(), recipe, &self.limits).ok();
            if let Some(prepared) = prepared
                && let Some((named, Some(samples))) = self.kept(job, &prepared)
            {
                self.timed(Stage::Read, started);
                let given = DecodedPlanes::Reuse(samples);
                let (bytes, _, timings) = self.made(job, &prepared, given, &mut small)?;
                let leftovers = Leftovers { samples: Some((named, None)), small: small.into_pixels() };
                return Ok((ResizeOutcome::Made(bytes, source.stamp(), timings), leftovers));
            }
        }
        source.read_all(&job.id)?;
        self.timed(Stage::Read, started);
        let prepared =
            variant::prepare(source.bytes(), recipe, &self.limits).map_err(ResizeError::Variant)?;
        let is_variant = matches!(job.work, ResizeWork::Variant { .. });
        let room = variants::contents_max(self.cache_bytes_max, Cached::Planes);
        let (named, planes) = match self.kept(job, &prepared) {
            Some((named, Some(samples))) => (Some(named), DecodedPlanes::Reuse(samples)),
            // A placeholder comes after a variant, at whose scale there are samples already, or will not be asked for
            // again.
            Some((named, None)) if is_variant && named.length <= room => {
                (Some(named), DecodedPlanes::Collect)
            }
            Some(_) | None => (None, DecodedPlanes::Ignore),
        };
        let (bytes, planes, timings) = self.made(job, &prepared, planes, &mut small)?;
        let samples = match (named, planes) {
            (Some(named), DecodedPlanes::Collected(samples)) => Some((named, Some(samples))),
            (Some(named), DecodedPlanes::Reuse(_)) => Some((named, None)),
            _ => None,
        };
        let leftovers = Leftovers { samples, small: small.into_pixels() };
        Ok((ResizeOutcome::Made(bytes, source.stamp(), timings), leftovers))
    }

    /// Walks over the data of an upload.
    fn walked(&self, job: &ResizeJob) -> Result<(ResizeOutcome, Leftovers), ResizeError> {
        let cut = ResizeError::Variant(VariantFault::Image(InspectError::Truncated(job.format)));
        let mut source = SourceFile::open(&job.path, job.verified)?;
        source.read_all(&job.id)?;
        let jpeg = Jpeg::read(source.bytes()).ok_or_else(|| cut.clone())?;
        let keep_going = || self.wanted(job).is_ok();
        let lost = || self.wanted(job).err().unwrap_or(ResizeError::Deadline);
        let (bytes, bytes_max) = (jpeg.walk_peak_bytes(), self.memory.bytes_max());
        if bytes > bytes_max {
            return Err(ResizeError::Variant(VariantFault::TooMuchMemory { bytes, bytes_max }));
        }
        let _charge = self.memory.charge(bytes, job.deadline, keep_going).ok_or_else(lost)?;
        match jpeg.is_whole(&self.limits, &keep_going) {
            Ok(true) => {
                let made = ResizeOutcome::Made(Bytes::new(), source.stamp(), StageTimings::default());
                Ok((made, Leftovers::default()))
            }
            Err(RenderError::Cancelled) => Err(lost()),
            Ok(false) | Err(_) => Err(cut),
        }
    }

    /// The name of the samples that the job begins with, and the samples if they are cached.
    fn kept(&self, job: &ResizeJob, prepared: &Prepared<'_>) -> Option<DecodedSamples> {
        let (scales, length) = prepared.planes()?;
        let key = decoded_planes::key(&job.id, &scales);
        // A cache that cannot be read is a miss.
        let samples = proof::read(&self.paths.cached(&job.id, &key, Cached::Planes), length);
        let named = CacheUse { id: job.id, key, cached: Cached::Planes, length, disk_bytes: 0 };
        Some((named, samples.unwrap_or_default()))
    }

    /// Decodes, or begins with what was decoded before, and does the rest.
    fn made(
        &self,
        job: &ResizeJob,
        prepared: &Prepared<'_>,
        mut planes: DecodedPlanes,
        small: &mut SmallPicture,
    ) -> Result<(Bytes, DecodedPlanes, StageTimings), ResizeError> {
        let keep_going = || self.wanted(job).is_ok();
        let lost = || self.wanted(job).err().unwrap_or(ResizeError::Deadline);
        let assistant = self.helper.as_ref().filter(|_| prepared.wants_process());
        // The process has a copy of the source.
        let copied = if assistant.is_some() { prepared.source().len() as u64 } else { 0 };
        let (bytes, bytes_max) = (prepared.peak_bytes().saturating_add(copied), self.memory.bytes_max());
        if bytes > bytes_max {
            return Err(ResizeError::Variant(VariantFault::TooMuchMemory { bytes, bytes_max }));
        }
        let _charge = self.memory.charge(bytes, job.deadline, keep_going).ok_or_else(lost)?;
        if let Some(assistant) = assistant {
            let is_placeholder = matches!(job.work, ResizeWork::Placeholder);
            let task = HelperTask { prepared, is_placeholder, memory_bytes: bytes };
            let HelperOutput { bytes, timings } = self.helped(job, assistant, &task, &mut planes, small)?;
            return Ok((exact(bytes), planes, self.counted(timings)));
        }
        let waiting = JobProgress { worker: self, job, steps: RefCell::default() };
        let made = match &job.work {
            ResizeWork::Variant { .. } => prepared.make_with_small(&mut planes, small, &waiting),
            ResizeWork::Placeholder | ResizeWork::Walk => {
                prepared.placeholder(&mut planes, &waiting).map(|placeholder| placeholder.to_bytes())
            }
        };
        let made = made.map_err(|fault| match fault {
            VariantFault::Stopped => lost(),
            fault => ResizeError::Variant(fault),
        })?;
        let timings = waiting.steps.into_inner().end(Instant::now());
        Ok((exact(made), planes, self.counted(timings)))
    }

    fn counted(&self, timings: StageTimings) -> StageTimings {
        for (step, elapsed) in timings.steps() {
            self.metrics.stage(stage(step), elapsed);
        }
        timings
    }

    /// Has the helper process do the job.
    fn helped(
        &self,
        job: &ResizeJob,
        assistant: &HelperHandle,
        task: &HelperTask<'_>,
        planes: &mut DecodedPlanes,
        small: &mut SmallPicture,
    ) -> Result<HelperOutput, ResizeError> {
        let keep_going = || self.wanted(job).is_ok();
        let (made, used) = assistant.helper.borrow_mut().work(task, planes, small, &keep_going);
        assistant.used.set(used);
        let (shard, may_tell) = (self.shard, || assistant.may_tell());
        match made {
            Ok(made) => Ok(made),
            Err(HelperError::Stopped) => Err(self.wanted(job).err().unwrap_or(ResizeError::Deadline)),
            Err(HelperError::Refused(sentence)) => Err(ResizeError::Refused(sentence)),
            Err(HelperError::Died(reason)) => {
                if may_tell() {
                    let format = job.format.extension();
                    log::error!(
                        shard, object:% = job.id, format, reason;
                        "an image ended the helper process, so its variants are refused for a while; report the image"
                    );
                }
                Err(ResizeError::Panicked)
            }
            Err(HelperError::Unavailable(error)) => {
                if may_tell() {
                    log::error!(
                        shard, error:% = error;
                        "cannot start the helper process: AVIF and large pictures are answered 503; check /proc and the process limit"
                    );
                }
                Err(ResizeError::NoHelper)
            }
        }
    }

    /// # Errors
    /// Why nobody wants the job done any more. The deadline comes first: those who wait leave when it passes.
    fn wanted(&self, job: &ResizeJob) -> Result<(), ResizeError> {
        if Instant::now() >= job.deadline {
            Err(ResizeError::Deadline)
        } else if job.cancelled.load(Relaxed) {
            Err(ResizeError::Cancelled)
        } else if job.is_pre_generation.load(Relaxed) && job.wanted.load(Relaxed) > 0 {
            Err(ResizeError::GaveWay)
        } else {
            Ok(())
        }
    }

    fn timed(&self, stage: Stage, started: Instant) {
        self.metrics.stage(stage, started.elapsed());
    }
}

/// Without the room that it grew into: it may be held for long, and is counted by its length.
fn exact(made: Vec<u8>) -> Bytes {
    Bytes::from(made.into_boxed_slice())
}

/// Those who wait for a job, as its steps see them.
struct JobProgress<'a> {
    worker: &'a ResizeWorker,
    job: &'a ResizeJob,
    steps: RefCell<StageTimer>,
}

impl ProgressSink for JobProgress<'_> {
    fn keep_going(&self) -> bool {
        self.worker.wanted(self.job).is_ok()
    }

    fn enter_stage(&self, step: RenderStage) {
        self.steps.borrow_mut().begin(step, Instant::now());
    }
}

/// The processor time of this thread.
fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

const fn stage(step: RenderStage) -> Stage {
    match step {
        RenderStage::Decode => Stage::Decode,
        RenderStage::Resize => Stage::Resize,
        RenderStage::Encode => Stage::Encode,
    }
}
