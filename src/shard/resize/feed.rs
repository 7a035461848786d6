//! The way of a job from the requests that wait for it to the resize worker, by turns.
//!
//! The worker has one job in its hands and none beside it: what it has was taken for good, what waits here may yet be
//! overtaken, displaced or given up. It does not stand idle for that. It says that a job is made before it writes
//! the result to disk, and it runs at the lowest priority on this shard's own core: the shard hands it the next job
//! while it writes.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use super::in_flight::{InFlightJob, JobResult};
use super::worker::ResizeJob;
use super::{ResizeJobs, counted};
use crate::peer::requester::Requester;
use crate::shard::job::{ResizeError, ResizeOutcome};
use crate::telemetry::metrics::{ChannelMessage, channel};

impl ResizeJobs {
    /// Puts a job into the queue. False: it is the one that has to go, because the queue is full, or its turn would
    /// come after its deadline.
    pub(super) fn push_job(&self, job: ResizeJob, requester: Requester) -> bool {
        if self.comes_too_late(requester) {
            // Better to say so at once.
            return false;
        }
        let Ok(displaced) = self.queue.borrow_mut().push(job.number, requester, job) else { return false };
        if let Some((number, _)) = displaced {
            self.end_waiting(number, ResizeError::Displaced);
        }
        true
    }

    /// Another request waits for a job, which may bring it forward.
    pub(super) fn join_queue(&self, in_flight: &InFlightJob, requester: Requester) {
        if requester.client().is_some() {
            in_flight.is_pre_generation.store(false, Relaxed);
        }
        if let Some(job) = self.queue.borrow_mut().join(in_flight.number, requester) {
            // It has not begun: the last who came has its whole time, too.
            job.deadline = Instant::now() + self.deadline;
        }
        self.note_wanted();
    }

    /// A request waits no more; the job goes from the queue with the last one.
    pub(super) fn leave_queue(&self, in_flight: &InFlightJob, requester: Requester) {
        let left = self.queue.borrow_mut().leave(in_flight.number, requester);
        if let Some(job) = left {
            let is_late = Instant::now() >= job.deadline;
            let fault = if is_late { ResizeError::Deadline } else { ResizeError::Cancelled };
            self.end_waiting(job.number, fault);
        }
        self.note_wanted();
    }

    /// Hands the worker the job whose turn it is, if it has none. While a result is in memory only until it lies on disk,
    /// no job is handed out: with the one in hand there are two such results at most, however slow the disk is.
    pub(super) fn feed_worker(&self) {
        if self.in_hand.get().is_none()
            && !self.is_writing()
            && let Some((number, job)) = self.take_job()
            // The worker lives as long as the shard, and takes a job before it says that it has made it.
            && channel::try_send(&self.worker, ChannelMessage::Job, job)
        {
            self.in_hand.set(Some(number));
        }
        self.note_wanted();
    }

    /// The job whose turn it is. One that failed a short time ago is not begun again: a request enqueued it while the
    /// failed job was being given up.
    fn take_job(&self) -> Option<(u64, ResizeJob)> {
        loop {
            let (number, job) = self.queue.borrow_mut().pop()?;
            let key = (job.id, job.key, job.format);
            let refusal = self.failures.borrow_mut().refusal(&key, Instant::now());
            let Some(fault) = refusal else { return Some((number, job)) };
            self.end_waiting(number, fault);
        }
    }

    fn is_writing(&self) -> bool {
        let in_flight = self.in_flight.borrow();
        in_flight.values().any(|job| matches!(&*job.made.borrow(), Some(JobResult::Writing(_))))
    }

    /// The worker has ended the job that it had.
    pub(super) fn feed_next(&self) {
        self.in_hand.set(None);
        self.feed_worker();
    }

    /// Whether a new job would wait for its turn until it is too late, by the time of the last jobs. Only what comes
    /// before it by the client's own turns counts, however many jobs of others wait; and no job of one other client is
    /// a reason, for none takes longer than a deadline. The job that the worker has may be about to end.
    fn comes_too_late(&self, requester: Requester) -> bool {
        let job_ns = self.pace.borrow().estimate().as_nanos();
        let Some(jobs_max) = self.deadline.as_nanos().checked_div(job_ns) else {
            return false;
        };
        let jobs_max = usize::try_from(jobs_max).unwrap_or(usize::MAX).max(1);
        self.queue.borrow().turns_before(requester, jobs_max.saturating_add(1)) > jobs_max
    }

    /// A job that was in the queue will not be made.
    fn end_waiting(&self, number: u64, fault: ResizeError) {
        let Some(in_flight) = self.jobs.borrow_mut().remove(&number) else { return };
        let outcome = ResizeOutcome::Failed(fault);
        if in_flight.is_variant {
            self.metrics.resize_queue.sub();
            self.metrics.resize(counted(&outcome));
        }
        self.remove_in_flight(&in_flight.key, number);
        in_flight.notify(&outcome);
    }

    /// Tells the worker whether a pre-generation job has to give way.
    fn note_wanted(&self) {
        self.wanted.store(self.queue.borrow().wanted(), Relaxed);
    }
}
