//! All that comes after a job's answer: the placeholder of the small picture that it has left, and files of the cache.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use bytes::Bytes;

use super::{Leftovers, ResizeJob, ResizeWorker, ShardGone};
use crate::image::pixels::Pixels;
use crate::image::placeholder::{self, BYTES_MAX, Placeholder};
use crate::image::small_picture::SmallPicture;
use crate::shard::job::{CacheUse, ResizeWork};
use crate::shard::message::Message;
use crate::store::path::Cached;
use crate::store::{StoreError, proof, variants};
use crate::telemetry::log::Limited;
use crate::telemetry::metrics::Stage;

impl ResizeWorker {
    /// Writes what a job has made and what it has left. Nobody waits for that: the answer is given.
    pub(super) fn keep(
        &self,
        job: &ResizeJob,
        new: Option<Bytes>,
        leftovers: Leftovers,
    ) -> Result<(), ShardGone> {
        let Some(bytes) = new.filter(|_| !matches!(job.work, ResizeWork::Walk)) else { return Ok(()) };
        let Leftovers { samples, small } = leftovers;
        let placeholder = small.and_then(|small| self.placeholder_of(job, small));
        let started = Instant::now();
        let ResizeJob { number, id, key, format, .. } = *job;
        let length = bytes.len() as u64;
        let file = CacheUse { id, key, cached: Cached::Variant(format), length, disk_bytes: 0 };
        let variant = self.written(file, &bytes);
        let samples = match samples {
            Some((file, Some(new))) => self.written(file, &new),
            Some((file, None)) => Some(file),
            None => None,
        };
        let small = placeholder.as_ref().and_then(|bytes| {
            let (key, cached) = (placeholder::key(&id), Cached::Variant(job.source));
            self.written(CacheUse { id, key, cached, length: bytes.len() as u64, disk_bytes: 0 }, bytes)
        });
        self.timed(Stage::Store, started);
        // One message for all: to wake the shard costs it more than what it does about them.
        let used = [variant, samples, small];
        let kept = Message::Kept { job: number, name: (id, key, format), used, placeholder };
        self.mailbox.send(kept).map_err(|_| ShardGone)
    }

    /// `None` if it is not kept: it is no loss.
    fn written(&self, file: CacheUse, contents: &[u8]) -> Option<CacheUse> {
        let CacheUse { id, key, cached, length, .. } = &file;
        if *length > variants::contents_max(self.cache_bytes_max, *cached) || !self.health.cache_may_grow() {
            return None;
        }
        let sync = variants::wants_sync(*cached, *length);
        let (temporary, path) =
            (self.paths.temporary_cached(self.shard), self.paths.cached(id, key, *cached));
        match proof::write(&temporary, &path, contents, sync) {
            Ok(disk_bytes) => {
                self.health.record_write(*length);
                Some(CacheUse { disk_bytes, ..file })
            }
            Err(error) => {
                self.cannot_keep(error);
                None
            }
        }
    }

    /// A disk that is full or read-only is reported once, by its health.
    fn cannot_keep(&self, error: std::io::Error) {
        static LINES: Limited = Limited::new();
        let error = StoreError::new("keep a variant", error);
        self.health.note(&error);
        if !matches!(error, StoreError::Full | StoreError::ReadOnly)
            && let Some(suppressed) = LINES.pass()
        {
            log::warn!(shard = self.shard, error:% = error, suppressed; "a variant cannot be written to cache/, so it is served without being cached; check that disk");
        }
    }

    /// Whether the job leaves the small picture: it was told so, and the placeholder does not lie on disk.
    pub(super) fn small_picture(&self, job: &ResizeJob) -> SmallPicture {
        let is_told = matches!(job.work, ResizeWork::Variant { leaves_small: true, .. });
        if is_told && !self.has_placeholder(job) { SmallPicture::Wanted } else { SmallPicture::Unwanted }
    }

    fn has_placeholder(&self, job: &ResizeJob) -> bool {
        let key = placeholder::key(&job.id);
        let path = self.paths.cached(&job.id, &key, Cached::Variant(job.source));
        // A cache that cannot be read is a miss.
        let read = proof::read_short(&path, BYTES_MAX).ok().flatten();
        read.is_some_and(|bytes| Placeholder::from_bytes(&bytes).is_some())
    }

    /// The bytes of the placeholder; `None` if it cannot be made, which costs nobody anything.
    fn placeholder_of(&self, job: &ResizeJob, small: Pixels) -> Option<Bytes> {
        let Ok(placeholder) = catch_unwind(AssertUnwindSafe(|| Placeholder::of(small))) else {
            log::error!(shard = self.shard, object:% = job.id; "making a placeholder panicked; it is left out, please report the image");
            return None;
        };
        Some(Bytes::from(placeholder?.to_bytes()))
    }
}
