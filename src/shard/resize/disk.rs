//! Results of the resize worker, on their way to the disk. They are counted there, and sent from there where memory has no room.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;

use super::in_flight::{InFlightJob, JobResult};
use crate::executor::run_blocking;
use crate::shard::Shard;
use crate::shard::job::{CacheUse, JobKey, ResizeOutcome};
use crate::store::proof;
use crate::store::variants::StoredVariant;

/// A job whose result is on its way from memory; it ends when this is dropped, also by a panic.
struct StoredJob {
    shard: Rc<Shard>,
    job: u64,
    name: JobKey,
}

impl Drop for StoredJob {
    fn drop(&mut self) {
        self.shard.resize.remove_in_flight(&self.name, self.job);
        self.shard.resize.feed_worker();
    }
}

impl Shard {
    /// The result of a job is on disk, or could not be stored: its bytes are not needed in memory any more. All that it
    /// leaves is there.
    pub(in crate::shard) fn stored_on_disk(
        self: &Rc<Self>,
        job: u64,
        name: JobKey,
        used: [Option<CacheUse>; 3],
        placeholder: Option<Bytes>,
    ) {
        let in_flight = self.resize.in_flight_job(&name).filter(|found| found.number == job);
        if let Some(in_flight) = in_flight.filter(|found| found.is_variant && found.leaves_placeholder) {
            self.take_placeholder(&in_flight, placeholder.as_ref());
        }
        let stored = StoredJob { shard: Rc::clone(self), job, name };
        self.spawn(async move {
            let shard = &stored.shard;
            if let Some(in_flight) = shard.resize.in_flight_job(&name).filter(|found| found.number == job) {
                shard.give_from_disk(&in_flight).await;
                shard.resize.feed_worker();
            }
            for used in used.into_iter().flatten() {
                shard.cache.record_use(used).await;
            }
        });
    }

    /// Tells those who wait for what found no room in memory that it lies on disk: under its name or, where it is not
    /// kept, under none.
    async fn give_from_disk(&self, in_flight: &InFlightJob) {
        let outcome = match &*in_flight.made.borrow() {
            Some(JobResult::Writing(outcome)) => outcome.clone(),
            _ => return,
        };
        let made = match self.cache.open_on_disk(&in_flight.key).await {
            Ok(Some(StoredVariant::File(file, length))) => JobResult::File(Arc::new(file), length, None),
            Ok(_) | Err(_) => self.write_unnamed(in_flight.number, &outcome).await,
        };
        // The bytes go from memory here.
        *in_flight.made.borrow_mut() = Some(made);
        in_flight.notify(&outcome);
    }

    async fn write_unnamed(&self, job: u64, outcome: &ResizeOutcome) -> JobResult {
        let ResizeOutcome::Made(bytes, ..) = outcome else { return JobResult::NoRoom };
        let length = bytes.len() as u64;
        let Some(charge) = self.node.unnamed.reserve(length) else { return JobResult::NoRoom };
        let (temporary, contents) = (self.node.paths.temporary_sent(self.index(), job), bytes.clone());
        let write = move || proof::write_unnamed(&temporary, &contents);
        match run_blocking("write a variant that is sent from disk", write).await {
            Ok(Ok(file)) => JobResult::File(Arc::new(file), length, Some(Arc::new(charge))),
            Ok(Err(error)) => {
                log::debug!(error:% = error; "cannot write a variant that is sent from disk");
                JobResult::NoRoom
            }
            Err(_) => JobResult::NoRoom,
        }
    }
}
