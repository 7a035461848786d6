//! Making variants: one resize worker beside each shard, and the jobs for it.
//!
//! * `ResizeJobs`: the jobs of a shard, from the request that enqueues one to the worker's result. It knows neither the
//!   store nor the cache. `feed`: the way of a job from the queue to the worker. `in_flight`: a job and its waiters.
//!   `failures`: jobs that are not tried again for a while. `pace`: how long jobs take.
//! * [`worker`]: the resize worker. `source`: the stored file that it reads. [`helper`]: the process that does what
//!   cannot be interrupted. [`memory`]: the node-wide budget of decoded pixels.
//! * `single_flight`: making each variant once. `disk`: what was made, on its way to the disk.
//! * `pre_generation`: variants that are made before anybody asks. `placeholder`: ThumbHash and average colour.
//! * `walk`: whether an upload without an end is whole.

mod disk;
mod failures;
mod feed;
pub mod helper;
mod in_flight;
pub mod memory;
mod pace;
mod placeholder;
pub(super) mod pre_generation;
mod single_flight;
mod source;
#[cfg(test)]
mod tests;
mod walk;
pub mod worker;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::{Duration, Instant, SystemTime};

use self::failures::Failures;
use self::in_flight::InFlightJob;
use self::pace::Pace;
use self::pre_generation::PreGenerationQueue;
use self::worker::ResizeJob;
use super::job::{JobKey, ResizeError, ResizeOutcome, ResizeWork};
use super::queue::FairQueue;
use super::variant::VariantError;
use crate::object::{Format, ObjectId};
use crate::peer::requester::Requester;
use crate::store::originals::Stamp;
use crate::telemetry::metrics::{Resize, ShardMetrics};

/// The resize jobs of one shard: those that wait, the one that the worker has, and those whose result is on its way to
/// the disk.
#[derive(Debug)]
pub(super) struct ResizeJobs {
    /// The time that a request waits for its variant.
    deadline: Duration,
    metrics: Arc<ShardMetrics>,
    /// Jobs that wait for the worker.
    queue: RefCell<FairQueue<ResizeJob>>,
    /// Jobs in the queue that a request waits for, as the worker sees them.
    wanted: Arc<AtomicUsize>,
    /// To the worker, and the number of the job that it has.
    worker: flume::Sender<ResizeJob>,
    in_hand: Cell<Option<u64>>,
    /// Jobs that wait or run, by number.
    jobs: RefCell<HashMap<u64, Rc<InFlightJob>>>,
    next_job: Cell<u64>,
    /// Jobs that a request may join, until their result lies on disk.
    in_flight: RefCell<HashMap<JobKey, Rc<InFlightJob>>>,
    /// In-flight jobs that have ended.
    in_flight_ended: Cell<u64>,
    pace: RefCell<Pace>,
    failures: RefCell<Failures>,
    pre_generation: PreGenerationQueue,
}

/// The stored file that a job reads.
#[derive(Debug)]
struct JobSource {
    path: PathBuf,
    /// The stamp of the file that needs no hashing, if any.
    verified: Option<Stamp>,
    format: Format,
    /// The upload time of the image.
    modified: SystemTime,
}

impl ResizeJobs {
    /// No jobs yet. `queue_max` of them may wait, each for `deadline`; `worker` leads to the shard's resize worker.
    pub(super) fn new(
        queue_max: usize,
        deadline: Duration,
        metrics: Arc<ShardMetrics>,
        worker: flume::Sender<ResizeJob>,
    ) -> Self {
        Self {
            deadline,
            metrics,
            queue: RefCell::new(FairQueue::new(queue_max)),
            wanted: Arc::default(),
            worker,
            in_hand: Cell::new(None),
            jobs: RefCell::default(),
            next_job: Cell::new(0),
            in_flight: RefCell::default(),
            in_flight_ended: Cell::new(0),
            pace: RefCell::default(),
            failures: RefCell::default(),
            pre_generation: PreGenerationQueue::default(),
        }
    }

    /// Whether no job waits or runs.
    fn is_idle(&self) -> bool {
        self.jobs.borrow().is_empty()
    }

    /// The in-flight job of this variant, if any.
    fn in_flight_job(&self, key: &JobKey) -> Option<Rc<InFlightJob>> {
        self.in_flight.borrow().get(key).cloned()
    }

    /// Whether a job of this image waits or runs, or its result is on its way to the disk.
    pub(super) fn has_jobs_of(&self, id: &ObjectId) -> bool {
        self.in_flight.borrow().keys().any(|(of, ..)| of == id)
            || self.jobs.borrow().values().any(|job| job.key.0 == *id)
    }

    /// Whether a job of this image will leave its placeholder, as far as that can be told.
    fn will_leave_placeholder(&self, id: &ObjectId) -> bool {
        self.in_flight.borrow().values().any(|job| job.key.0 == *id && job.leaves_placeholder)
    }

    /// Puts a job into the queue. The caller waits for it before anything else is awaited.
    ///
    /// # Errors
    /// It is not enqueued: the queue is full, the job's turn would come too late, or it failed a short time ago.
    fn enqueue(
        &self,
        work: ResizeWork,
        key: JobKey,
        source: JobSource,
        requester: Requester,
    ) -> Result<Rc<InFlightJob>, VariantError> {
        let (is_variant, now) = (matches!(work, ResizeWork::Variant { .. }), Instant::now());
        if let Some(fault) = self.failures.borrow_mut().refusal(&key, now) {
            return Err(fault.into());
        }
        let number = self.next_job.get();
        self.next_job.set(number + 1);
        let cancelled = Arc::new(AtomicBool::new(false));
        let is_pre_generation = Arc::new(AtomicBool::new(requester == Requester::Background));
        let in_flight = Rc::new(InFlightJob::new(
            number,
            key,
            &work,
            &source,
            Arc::clone(&cancelled),
            Arc::clone(&is_pre_generation),
        ));
        let job = ResizeJob {
            number,
            id: key.0,
            key: key.1,
            format: key.2,
            source: source.format,
            path: source.path,
            verified: source.verified,
            work,
            deadline: now + self.deadline,
            cancelled,
            queued: now,
            is_pre_generation,
            wanted: Arc::clone(&self.wanted),
        };
        if !self.push_job(job, requester) {
            if is_variant {
                self.metrics.resize(Resize::Refused);
            }
            return Err(VariantError::Busy);
        }
        if is_variant {
            self.metrics.resize_queue.add();
        }
        self.in_flight.borrow_mut().insert(key, Rc::clone(&in_flight));
        self.jobs.borrow_mut().insert(number, Rc::clone(&in_flight));
        self.feed_worker();
        Ok(in_flight)
    }

    /// The worker has ended a job, for which it was busy for `took` and had its processor for `used`. One that failed is
    /// not in flight any more. The caller notifies its waiters when it knows where the result goes.
    fn complete(
        &self,
        number: u64,
        outcome: &ResizeOutcome,
        took: Duration,
        used: Duration,
    ) -> Option<Rc<InFlightJob>> {
        let in_flight = self.jobs.borrow_mut().remove(&number);
        if let Some(in_flight) = &in_flight {
            self.record(in_flight, outcome, took, used);
        }
        // Afterwards: its failure may be that of a job whose turn it is.
        self.feed_next();
        in_flight
    }

    fn record(&self, in_flight: &InFlightJob, outcome: &ResizeOutcome, took: Duration, used: Duration) {
        self.pace.borrow_mut().note(took);
        if in_flight.is_variant {
            self.metrics.resize_queue.sub();
            self.metrics.resize(counted(outcome));
        }
        let (key, mut failures) = (&in_flight.key, self.failures.borrow_mut());
        match outcome {
            ResizeOutcome::Made(..) => failures.forget(key),
            ResizeOutcome::Failed(fault) => {
                failures.note(key, in_flight.source, fault, [used, self.deadline], Instant::now());
                self.remove_in_flight(key, in_flight.number);
            }
        }
    }

    /// Removes an in-flight job, unless a newer one has the same key.
    fn remove_in_flight(&self, key: &JobKey, number: u64) {
        let mut in_flight = self.in_flight.borrow_mut();
        if in_flight.get(key).is_some_and(|current| current.number == number) {
            in_flight.remove(key);
            self.in_flight_ended.set(self.in_flight_ended.get() + 1);
        }
    }
}

const fn counted(outcome: &ResizeOutcome) -> Resize {
    match outcome {
        ResizeOutcome::Made(..) => Resize::Ok,
        ResizeOutcome::Failed(ResizeError::Deadline | ResizeError::TooSlow(_)) => Resize::Deadline,
        ResizeOutcome::Failed(ResizeError::Cancelled | ResizeError::GaveWay) => Resize::Cancelled,
        ResizeOutcome::Failed(ResizeError::Displaced) => Resize::Refused,
        ResizeOutcome::Failed(_) => Resize::Failed,
    }
}
