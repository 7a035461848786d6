//! Variants, on the shard that holds the id: from the disk cache, else made once for all requests (single-flight).

use std::io;
use std::rc::Rc;
use std::time::Duration;

use super::JobSource;
use super::in_flight::{InFlightJob, JobResult};
use crate::object::ObjectId;
use crate::peer::requester::Requester;
use crate::shard::Shard;
use crate::shard::errors::NotFound;
use crate::shard::job::{JobKey, ResizeError, ResizeOutcome, ResizeWork};
use crate::shard::message::Verified;
use crate::shard::timings::StageTimings;
use crate::shard::variant::{Variant, VariantBody, VariantError, VariantRequest};
use crate::store::StoreError;
use crate::store::originals::{Found, Original};
use crate::telemetry::metrics::Cache;

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
        let original = self.find_original(&ask.id).await?;
        let key = (ask.id, ask.key, ask.recipe.format);
        loop {
            if let Some(entry) = self.cache.get(&(ask.id, ask.key), true) {
                return Ok(Variant::found(VariantBody::Ready(entry), Cache::Memory));
            }
            if let Some(in_flight) = self.resize.in_flight_job(&key) {
                if let Some(made) = in_flight.made() {
                    return made.map(|body| Variant::found(body, Cache::Memory));
                }
                self.charge(ask.requester)?;
                self.metrics.coalesced.add();
                let body = self.wait(&in_flight, ask.requester).await?.0;
                return Ok(Variant::found(body, Cache::Coalesced));
            }
            let ended = self.resize.in_flight_ended.get();
            if let Some(body) = self.cache.find_on_disk(&key, original.modified).await {
                return Ok(Variant::found(body, Cache::Disk));
            }
            // While the disk was read, another request may have enqueued the job, and it may even be complete. Then
            // "not on disk" is stale, and the variant would be made twice.
            if self.resize.in_flight_job(&key).is_none() && self.resize.in_flight_ended.get() == ended {
                break;
            }
        }
        self.charge(ask.requester)?;
        let work =
            ResizeWork::Variant { recipe: ask.recipe.clone(), leaves_small: self.wants_placeholder(&ask.id) };
        let in_flight = self.enqueue(work, key, &original, ask.requester)?;
        let (body, timings) = self.wait(&in_flight, ask.requester).await?;
        Ok(Variant { body, cache: Cache::Miss, timings })
    }

    /// The original of what is to be made.
    pub(super) async fn find_original(&self, id: &ObjectId) -> Result<Original, VariantError> {
        self.refuse_gone(id).map_err(VariantError::NotFound)?;
        match self.images.find(id).await? {
            Found::Here(original) => Ok(original),
            Found::Absent => Err(VariantError::NotFound(NotFound::Absent)),
            Found::Damaged => Err(VariantError::Damaged),
        }
    }

    /// Takes a token of the client's for work that no tier of the cache saves.
    pub(in crate::shard) fn charge(&self, requester: Requester) -> Result<(), VariantError> {
        let taken = requester.client().map(|client| self.node.cold_rate.take(client));
        taken.unwrap_or(Ok(())).map_err(VariantError::TooFast)
    }

    /// The variant if it is here or being made; it is not made for this.
    pub(in crate::shard) async fn own_kept(&self, ask: &VariantRequest) -> Option<Variant> {
        let original = self.find_original(&ask.id).await.ok()?;
        let key = (ask.id, ask.key, ask.recipe.format);
        if let Some(entry) = self.cache.get(&(ask.id, ask.key), true) {
            return Some(Variant::found(VariantBody::Ready(entry), Cache::Memory));
        }
        if let Some(in_flight) = self.resize.in_flight_job(&key) {
            if let Some(made) = in_flight.made() {
                return Some(Variant::found(made.ok()?, Cache::Memory));
            }
            self.metrics.coalesced.add();
            let (body, _) = self.wait(&in_flight, ask.requester).await.ok()?;
            return Some(Variant::found(body, Cache::Coalesced));
        }
        Some(Variant::found(self.cache.find_on_disk(&key, original.modified).await?, Cache::Disk))
    }

    /// Puts a job into the queue.
    pub(super) fn enqueue(
        &self,
        work: ResizeWork,
        key: JobKey,
        original: &Original,
        requester: Requester,
    ) -> Result<Rc<InFlightJob>, VariantError> {
        let source = JobSource {
            path: self.images.originals.path(&key.0, original.format),
            verified: self.images.originals.is_verified(&key.0, original.stamp).then_some(original.stamp),
            format: original.format,
            modified: original.modified,
        };
        self.resize.enqueue(work, key, source, requester)
    }

    /// Waits for the job: the result, and the timings of its stages.
    pub(super) async fn wait(
        &self,
        in_flight: &Rc<InFlightJob>,
        requester: Requester,
    ) -> Result<(VariantBody, StageTimings), VariantError> {
        match self.resize.wait(in_flight, requester).await {
            Ok(timings) => Ok((in_flight.made().ok_or(VariantError::Busy)??, timings)),
            Err(ResizeError::Gone) => Err(self.gone(&in_flight.key.0).await),
            Err(fault) => Err(fault.into()),
        }
    }

    /// The source of a job was gone when the worker came to it: what is true of the image now.
    async fn gone(&self, id: &ObjectId) -> VariantError {
        match self.images.look(id).await {
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
        let Some(in_flight) = self.resize.complete(job, &outcome, took, used) else { return };
        let key = in_flight.key;
        match &outcome {
            ResizeOutcome::Made(..) if !in_flight.is_kept => {
                *in_flight.made.borrow_mut() = Some(JobResult::Done);
                self.resize.remove_in_flight(&key, in_flight.number);
            }
            ResizeOutcome::Made(bytes, stamp, _) => {
                self.images.originals.set_verified(&key.0, *stamp);
                // Else the worker says soon whether it came of the job: see `stored_on_disk`.
                if in_flight.is_variant && !in_flight.leaves_placeholder {
                    self.request_placeholder(key.0);
                }
                let Some(entry) = self.cache.insert_made(key, bytes, in_flight.modified) else {
                    // A slow client would hold it for as long: see `stored_on_disk`.
                    *in_flight.made.borrow_mut() = Some(JobResult::Writing(outcome));
                    return;
                };
                *in_flight.made.borrow_mut() = Some(JobResult::Ready(entry));
            }
            ResizeOutcome::Failed(ResizeError::Corrupt(stamp)) => {
                self.quarantine(Verified {
                    id: key.0,
                    format: in_flight.source,
                    stamp: *stamp,
                    right: false,
                });
            }
            ResizeOutcome::Failed(ResizeError::Unreadable(error)) => {
                let error = StoreError::new("read an image", io::Error::other(error.clone()));
                self.images.originals.set_unreadable(&key.0, &error);
            }
            ResizeOutcome::Failed(_) => {}
        }
        in_flight.notify(&outcome);
    }
}
