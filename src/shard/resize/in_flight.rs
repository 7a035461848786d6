//! An in-flight job, its result, and the requests that wait for it.

use std::cell::{Cell, RefCell};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::SystemTime;

use futures_lite::future;

use super::{JobSource, ResizeJobs};
use crate::object::Format;
use crate::peer::requester::Requester;
use crate::shard::bodies::memory::Charge;
use crate::shard::cache::CachedResponse;
use crate::shard::job::{JobKey, ResizeError, ResizeOutcome, ResizeWork};
use crate::shard::oneshot;
use crate::shard::timings::StageTimings;
use crate::shard::variant::{VariantBody, VariantError, VariantFile};
use crate::store::StoreError;

/// An in-flight job, and those who wait for it.
#[derive(Debug)]
pub(super) struct InFlightJob {
    pub(super) number: u64,
    pub(super) key: JobKey,
    /// A placeholder is no variant, and is not counted as one.
    pub(super) is_variant: bool,
    /// Whether the placeholder comes of it, as far as that can be told.
    pub(super) leaves_placeholder: bool,
    /// Whether it makes anything to keep.
    pub(super) is_kept: bool,
    /// The format of the image.
    pub(super) source: Format,
    pub(super) modified: SystemTime,
    cancelled: Arc<AtomicBool>,
    pub(super) is_pre_generation: Arc<AtomicBool>,
    waiting: RefCell<Vec<oneshot::Sender<ResizeOutcome>>>,
    waiters: Cell<usize>,
    /// Set once made, until it lies on disk, so that nobody makes it again in between.
    pub(super) made: RefCell<Option<JobResult>>,
}

/// The result of a job.
#[derive(Clone, Debug)]
pub(super) enum JobResult {
    /// In memory, ready to be sent.
    Ready(Arc<CachedResponse>),
    /// There is no room in memory for as long as it is sent: all wait until it lies on disk.
    Writing(ResizeOutcome),
    /// On disk: so many bytes, counted where they are not in the cache.
    File(Arc<OwnedFd>, u64, Option<Arc<Charge>>),
    /// Neither memory nor disk had room for it.
    NoRoom,
    /// The work is done, and nothing was to be made.
    Done,
}

/// A request that waits for an in-flight job; the last one to leave cancels the job.
#[derive(Debug)]
pub(super) struct JobWaiter<'a> {
    jobs: &'a ResizeJobs,
    in_flight: Rc<InFlightJob>,
    requester: Requester,
}

impl InFlightJob {
    pub(super) fn new(
        number: u64,
        key: JobKey,
        work: &ResizeWork,
        source: &JobSource,
        cancelled: Arc<AtomicBool>,
        is_pre_generation: Arc<AtomicBool>,
    ) -> Self {
        Self {
            number,
            key,
            is_variant: matches!(work, ResizeWork::Variant { .. }),
            leaves_placeholder: matches!(
                work,
                ResizeWork::Variant { leaves_small: true, .. } | ResizeWork::Placeholder
            ),
            is_kept: !matches!(work, ResizeWork::Walk),
            source: source.format,
            modified: source.modified,
            cancelled,
            is_pre_generation,
            waiting: RefCell::default(),
            waiters: Cell::new(0),
            made: RefCell::default(),
        }
    }

    /// The result, once it can be sent.
    pub(super) fn made(&self) -> Option<Result<VariantBody, VariantError>> {
        match &*self.made.borrow() {
            None | Some(JobResult::Writing(_) | JobResult::Done) => None,
            Some(JobResult::Ready(entry)) => Some(Ok(VariantBody::Ready(Arc::clone(entry)))),
            Some(JobResult::File(file, length, charge)) => Some(match file.try_clone() {
                Ok(file) => Ok(VariantBody::File(VariantFile {
                    file,
                    length: *length,
                    modified: self.modified,
                    charge: charge.clone(),
                })),
                Err(error) => Err(StoreError::new("share a variant's file", error).into()),
            }),
            Some(JobResult::NoRoom) => Some(Err(VariantError::Busy)),
        }
    }

    /// Whether work that makes nothing is done.
    pub(super) fn is_done(&self) -> bool {
        matches!(&*self.made.borrow(), Some(JobResult::Done))
    }

    /// Notifies all waiters.
    pub(super) fn notify(&self, outcome: &ResizeOutcome) {
        for waiting in self.waiting.take() {
            waiting.send(outcome.clone());
        }
    }
}

impl ResizeJobs {
    /// Waits for the job: the timings of its stages. Its result is then [in it](InFlightJob::made), unless the shard
    /// ends.
    ///
    /// # Errors
    /// It failed, or did not end before the request's deadline.
    pub(super) async fn wait(
        &self,
        in_flight: &Rc<InFlightJob>,
        requester: Requester,
    ) -> Result<StageTimings, ResizeError> {
        let (_waiter, outcome) = self.join(in_flight, requester);
        let late = async {
            glommio::timer::sleep(self.deadline).await;
            Some(ResizeOutcome::Failed(ResizeError::Deadline))
        };
        match future::or(outcome, late).await {
            Some(ResizeOutcome::Failed(fault)) => Err(fault),
            Some(ResizeOutcome::Made(_, _, timings)) => Ok(timings),
            // Without an outcome the job was dropped with the shard.
            None => Ok(StageTimings::default()),
        }
    }

    /// A request begins to wait for the job, until it drops the waiter.
    pub(super) fn join(
        &self,
        in_flight: &Rc<InFlightJob>,
        requester: Requester,
    ) -> (JobWaiter<'_>, oneshot::Receiver<ResizeOutcome>) {
        let (sender, outcome) = oneshot::channel();
        in_flight.waiting.borrow_mut().push(sender);
        in_flight.waiters.set(in_flight.waiters.get() + 1);
        self.join_queue(in_flight, requester);
        (JobWaiter { jobs: self, in_flight: Rc::clone(in_flight), requester }, outcome)
    }
}

impl Drop for JobWaiter<'_> {
    fn drop(&mut self) {
        let Self { jobs, in_flight, requester } = self;
        in_flight.waiters.set(in_flight.waiters.get() - 1);
        let is_last = in_flight.waiters.get() == 0 && in_flight.made.borrow().is_none();
        if is_last {
            in_flight.cancelled.store(true, Relaxed);
            jobs.remove_in_flight(&in_flight.key, in_flight.number);
        }
        jobs.leave_queue(in_flight, *requester);
    }
}
