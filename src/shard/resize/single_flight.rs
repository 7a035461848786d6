//! Variants, on the shard that holds the id: from the disk cache, else made once for all requests (single-flight).

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

use futures_lite::future;

use super::worker::ResizeJob;
use crate::object::{Format, ObjectId};
use crate::peer::requester::Requester;
use crate::shard::Shard;
use crate::shard::bodies::memory::Charge;
use crate::shard::cache::CachedResponse;
use crate::shard::errors::NotFound;
use crate::shard::job::{JobKey, ResizeError, ResizeOutcome, ResizeWork};
use crate::shard::message::Verified;
use crate::shard::oneshot;
use crate::shard::timings::StageTimings;
use crate::shard::variant::{Variant, VariantBody, VariantError, VariantFile, VariantRequest, etag};
use crate::store::originals::{Found, Original};
use crate::store::variants::{PROVEN_BYTES, StoredVariant};
use crate::store::{StoreError, timely};
use crate::telemetry::metrics::{Cache, Resize};

/// A job in flight, and those who wait for it.
#[derive(Debug)]
pub(in crate::shard) struct InFlightJob {
    pub(super) job: u64,
    /// A placeholder is no variant, and is not counted as one.
    pub(super) is_variant: bool,
    source: Format,
    cancelled: Arc<AtomicBool>,
    pub(super) is_pre_generation: Arc<AtomicBool>,
    pub(super) waiting: RefCell<Vec<oneshot::Sender<ResizeOutcome>>>,
    waiters: Cell<usize>,
    modified: SystemTime,
    /// Set once made, until it lies on disk, so that nobody makes it again in between.
    pub(super) made: RefCell<Option<JobResult>>,
}

/// The result of a job.
#[derive(Clone, Debug)]
pub(in crate::shard) enum JobResult {
    /// In memory, ready to be sent.
    Ready(Arc<CachedResponse>),
    /// There is no room in memory for as long as it is sent: all wait until it lies on disk.
    Writing(ResizeOutcome),
    /// On disk: so many bytes, counted where they are not in the cache.
    File(Arc<OwnedFd>, u64, Option<Arc<Charge>>),
    /// Neither memory nor disk had room for it.
    NoRoom,
}

/// A request that waits for a job in flight; the last one to leave cancels the job.
struct JobWaiter<'a> {
    shard: &'a Shard,
    key: JobKey,
    in_flight: Rc<InFlightJob>,
    requester: Requester,
}

impl InFlightJob {
    /// The result, once it can be sent.
    fn made(&self) -> Option<Result<VariantBody, VariantError>> {
        match &*self.made.borrow() {
            None | Some(JobResult::Writing(_)) => None,
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

    /// Notifies all waiters.
    pub(super) fn notify(&self, outcome: &ResizeOutcome) {
        for waiting in self.waiting.take() {
            waiting.send(outcome.clone());
        }
    }
}

impl Shard {
    /// The variant of an id that this shard holds.
    pub(in crate::shard) async fn own_variant(
        self: &Rc<Self>,
        ask: VariantRequest,
    ) -> Result<Variant, VariantError> {
        loop {
            // A pre-generated variant may give way to other jobs although a request waits for it since: then it is made
            // again, for this request.
            match self.find_or_make(&ask).await {
                Err(VariantError::GaveWay) => {}
                found => return found,
            }
        }
    }

    pub(super) async fn find_or_make(self: &Rc<Self>, ask: &VariantRequest) -> Result<Variant, VariantError> {
        let original = match self.originals.find(&ask.id).await {
            Ok(Found::Here(original)) => original,
            Ok(Found::Absent) => return Err(VariantError::NotFound(NotFound::Absent)),
            Ok(Found::Damaged) => return Err(VariantError::Damaged),
            Err(error) => return Err(error.into()),
        };
        let key = (ask.id, ask.key, ask.recipe.format);
        loop {
            if let Some(entry) = self.memory_cache.get(&(ask.id, ask.key), true) {
                self.metrics.memory_hits.add();
                return Ok(Variant::found(VariantBody::Ready(entry), Cache::Memory));
            }
            if let Some(in_flight) = self.in_flight_job(&key) {
                if let Some(made) = in_flight.made() {
                    return made.map(|body| Variant::found(body, Cache::Memory));
                }
                self.charge(ask.requester)?;
                self.metrics.coalesced.add();
                let body = self.wait(key, in_flight, ask.requester).await?.0;
                return Ok(Variant::found(body, Cache::Coalesced));
            }
            let ended = self.in_flight_ended.get();
            if let Some(body) = self.kept(ask, &original).await {
                return Ok(Variant::found(body, Cache::Disk));
            }
            // While the disk was read, another request may have enqueued the job, and it may even be complete. Then
            // "not on disk" is stale, and the variant would be made twice.
            if self.in_flight_job(&key).is_none() && self.in_flight_ended.get() == ended {
                break;
            }
        }
        self.charge(ask.requester)?;
        let in_flight =
            self.enqueue(ResizeWork::Variant(ask.recipe.clone()), key, &original, ask.requester)?;
        let (body, timings) = self.wait(key, in_flight, ask.requester).await?;
        Ok(Variant { body, cache: Cache::Miss, timings })
    }

    /// Takes a token of the client's for work that no tier of the cache saves.
    pub(in crate::shard) fn charge(&self, requester: Requester) -> Result<(), VariantError> {
        let taken = requester.client().map(|client| self.node.cold_rate.take(client));
        taken.unwrap_or(Ok(())).map_err(VariantError::TooFast)
    }

    /// The variant if it is here or being made; it is not made for this.
    pub(in crate::shard) async fn own_kept(&self, ask: &VariantRequest) -> Option<Variant> {
        let Ok(Found::Here(original)) = self.originals.find(&ask.id).await else { return None };
        let key = (ask.id, ask.key, ask.recipe.format);
        if let Some(entry) = self.memory_cache.get(&(ask.id, ask.key), true) {
            self.metrics.memory_hits.add();
            return Some(Variant::found(VariantBody::Ready(entry), Cache::Memory));
        }
        if let Some(in_flight) = self.in_flight_job(&key) {
            if let Some(made) = in_flight.made() {
                return Some(Variant::found(made.ok()?, Cache::Memory));
            }
            self.metrics.coalesced.add();
            let (body, _) = self.wait(key, in_flight, ask.requester).await.ok()?;
            return Some(Variant::found(body, Cache::Coalesced));
        }
        Some(Variant::found(self.kept(ask, &original).await?, Cache::Disk))
    }

    pub(super) fn in_flight_job(&self, key: &JobKey) -> Option<Rc<InFlightJob>> {
        self.in_flight.borrow().get(key).cloned()
    }

    /// The variant from the disk tier, and, if there is room, into the memory tier.
    async fn kept(&self, ask: &VariantRequest, original: &Original) -> Option<VariantBody> {
        let format = ask.recipe.format;
        let charge = self.node.bodies.reserve(PROVEN_BYTES);
        let opened = self.variants.open(&ask.id, &ask.key, format, charge.is_some());
        match timely("read a variant", opened).await {
            Ok(Some(StoredVariant::Bytes(bytes))) => {
                self.metrics.disk_hits.add();
                let bytes = match charge {
                    Some(charge) => charge.hold(bytes),
                    None => bytes,
                };
                let entry = CachedResponse::new(bytes, format, &etag(&ask.key), original.modified);
                self.insert_into_cache((ask.id, ask.key), &entry, true);
                Some(VariantBody::Ready(entry))
            }
            Ok(Some(StoredVariant::File(file, length))) => {
                self.metrics.disk_hits.add();
                let modified = original.modified;
                Some(VariantBody::File(VariantFile { file, length, modified, charge: None }))
            }
            Ok(None) => None,
            Err(error) => {
                // The cache is disposable: what it cannot give is made.
                log::warn!(object:% = ask.id, error:% = error; "a variant in cache/ cannot be read, so it is made again; check that disk");
                None
            }
        }
    }

    /// Puts a job into the queue.
    pub(super) fn enqueue(
        &self,
        work: ResizeWork,
        key: JobKey,
        original: &Original,
        requester: Requester,
    ) -> Result<Rc<InFlightJob>, VariantError> {
        let is_variant = matches!(work, ResizeWork::Variant(_));
        if let Some(error) = self.failures.borrow_mut().refusal(&key, Instant::now()) {
            return Err(error);
        }
        let number = self.next_job.get();
        self.next_job.set(number + 1);
        let cancelled = Arc::new(AtomicBool::new(false));
        let is_pre_generation = Arc::new(AtomicBool::new(requester == Requester::Background));
        let now = Instant::now();
        let job = ResizeJob {
            number,
            id: key.0,
            key: key.1,
            format: key.2,
            path: self.originals.path(&key.0, original.format),
            verified: self.originals.is_verified(&key.0, original.stamp).then_some(original.stamp),
            work,
            deadline: now + self.node.settings.resize_deadline,
            cancelled: Arc::clone(&cancelled),
            queued: now,
            is_pre_generation: Arc::clone(&is_pre_generation),
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
        let in_flight = Rc::new(InFlightJob {
            job: number,
            is_variant,
            source: original.format,
            modified: original.modified,
            cancelled,
            is_pre_generation,
            waiting: RefCell::default(),
            waiters: Cell::new(0),
            made: RefCell::default(),
        });
        self.in_flight.borrow_mut().insert(key, Rc::clone(&in_flight));
        self.jobs.borrow_mut().insert(number, (key, Rc::clone(&in_flight)));
        self.feed_worker();
        Ok(in_flight)
    }

    /// Waits for the job: the result, and the timings of its stages.
    pub(super) async fn wait(
        &self,
        key: JobKey,
        in_flight: Rc<InFlightJob>,
        requester: Requester,
    ) -> Result<(VariantBody, StageTimings), VariantError> {
        let (sender, outcome) = oneshot::channel();
        in_flight.waiting.borrow_mut().push(sender);
        in_flight.waiters.set(in_flight.waiters.get() + 1);
        self.join_queue(&in_flight, requester);
        let waiter = JobWaiter { shard: self, key, in_flight, requester };
        let late = async {
            glommio::timer::sleep(self.node.settings.resize_deadline).await;
            Some(ResizeOutcome::Failed(ResizeError::Deadline))
        };
        let timings = match future::or(outcome, late).await {
            Some(ResizeOutcome::Failed(ResizeError::Gone)) => return Err(self.gone(&key.0).await),
            Some(ResizeOutcome::Failed(fault)) => return Err(fault.into()),
            Some(ResizeOutcome::Made(_, _, timings)) => timings,
            // Without an outcome the job was dropped with the shard.
            None => StageTimings::default(),
        };
        Ok((waiter.in_flight.made().ok_or(VariantError::Busy)??, timings))
    }

    /// The source of a job was gone when the worker came to it: what is true of the image now.
    async fn gone(&self, id: &ObjectId) -> VariantError {
        match self.originals.look(id).await {
            // It was replaced at that moment: it is made of the new one.
            Ok(Found::Here(_)) => VariantError::GaveWay,
            Ok(Found::Absent) => VariantError::NotFound(NotFound::Absent),
            Ok(Found::Damaged) => VariantError::Damaged,
            Err(error) => error.into(),
        }
    }

    /// The worker has ended a job: notifies all waiters. The worker writes the result to disk, and
    /// [reports](Shard::stored_on_disk) it.
    pub(in crate::shard) fn complete(
        self: &Rc<Self>,
        job: u64,
        outcome: ResizeOutcome,
        took: Duration,
        used: Duration,
    ) {
        self.feed_next();
        let Some((key, in_flight)) = self.jobs.borrow_mut().remove(&job) else { return };
        self.pace.borrow_mut().note(took);
        match &outcome {
            ResizeOutcome::Made(..) => self.failures.borrow_mut().forget(&key),
            ResizeOutcome::Failed(fault) => {
                let times = [used, self.node.settings.resize_deadline];
                self.failures.borrow_mut().note(&key, in_flight.source, fault, times, Instant::now());
            }
        }
        if in_flight.is_variant {
            self.metrics.resize_queue.sub();
            self.metrics.resize(counted(&outcome));
        }
        match &outcome {
            ResizeOutcome::Made(bytes, stamp, _) => {
                self.originals.set_verified(&key.0, *stamp);
                if in_flight.is_variant {
                    self.request_placeholder(key.0);
                }
                let Some(charge) = self.node.bodies.reserve(bytes.len() as u64) else {
                    // A slow client would hold it for as long: see `stored_on_disk`.
                    *in_flight.made.borrow_mut() = Some(JobResult::Writing(outcome));
                    return;
                };
                let bytes = charge.hold(bytes.clone());
                let entry = CachedResponse::new(bytes, key.2, &etag(&key.1), in_flight.modified);
                self.insert_into_cache((key.0, key.1), &entry, true);
                *in_flight.made.borrow_mut() = Some(JobResult::Ready(entry));
            }
            ResizeOutcome::Failed(ResizeError::Corrupt(stamp)) => {
                self.remove_in_flight(&key, job);
                self.quarantine(Verified {
                    id: key.0,
                    format: in_flight.source,
                    stamp: *stamp,
                    right: false,
                });
            }
            ResizeOutcome::Failed(ResizeError::Unreadable(error)) => {
                self.remove_in_flight(&key, job);
                let error = StoreError::new("read an image", io::Error::other(error.clone()));
                self.originals.set_unreadable(&key.0, &error);
            }
            ResizeOutcome::Failed(_) => self.remove_in_flight(&key, job),
        }
        in_flight.notify(&outcome);
    }

    /// Removes a job from those in flight, unless a newer one has the same key.
    pub(super) fn remove_in_flight(&self, key: &JobKey, job: u64) {
        let mut in_flight = self.in_flight.borrow_mut();
        if in_flight.get(key).is_some_and(|current| current.job == job) {
            in_flight.remove(key);
            self.in_flight_ended.set(self.in_flight_ended.get() + 1);
        }
    }
}

const fn counted(outcome: &ResizeOutcome) -> Resize {
    match outcome {
        ResizeOutcome::Made(..) => Resize::Ok,
        ResizeOutcome::Failed(ResizeError::Deadline) => Resize::Deadline,
        ResizeOutcome::Failed(ResizeError::Cancelled | ResizeError::GaveWay) => Resize::Cancelled,
        ResizeOutcome::Failed(ResizeError::Displaced) => Resize::Refused,
        ResizeOutcome::Failed(_) => Resize::Failed,
    }
}

impl Drop for JobWaiter<'_> {
    fn drop(&mut self) {
        self.in_flight.waiters.set(self.in_flight.waiters.get() - 1);
        let is_last = self.in_flight.waiters.get() == 0 && self.in_flight.made.borrow().is_none();
        if is_last {
            self.in_flight.cancelled.store(true, Relaxed);
            self.shard.remove_in_flight(&self.key, self.in_flight.job);
        }
        self.shard.leave_queue(&self.in_flight, self.requester);
    }
}
