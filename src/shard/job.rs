//! A resize job: its name, its work, its outcome. Plain data.

use std::time::Duration;

use bytes::Bytes;

use super::timings::StageTimings;
use crate::image::recipe::Recipe;
use crate::image::variant::VariantFault;
use crate::object::{Format, ObjectId};
use crate::store::originals::Stamp;
use crate::store::path::{Cached, VariantKey};

/// The key of a job: image, recipe, format.
pub type JobKey = (ObjectId, VariantKey, Format);

/// The result that a job makes of an image.
#[derive(Clone, Debug)]
pub enum ResizeWork {
    /// A variant. It may also leave the small picture for the placeholder, which is not known yet.
    Variant {
        /// The recipe of the variant.
        recipe: Recipe,
        /// Whether it leaves the small picture, if it decodes enough for that.
        leaves_small: bool,
    },
    /// Its placeholder, as the bytes to cache.
    Placeholder,
    /// Nothing: a walk over the data of an upload, which fails unless all of the picture is there.
    Walk,
}

/// The key of a walk; the others are digests.
pub const WALK_KEY: VariantKey = *b"walk of the data";

/// The outcome of a job.
#[derive(Clone, Debug)]
pub enum ResizeOutcome {
    /// The bytes made, the stamp of the verified source, and the timings.
    Made(Bytes, Stamp, StageTimings),
    /// It could not be made.
    Failed(ResizeError),
}

/// Why a variant could not be made. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResizeError {
    /// The image's or the request's fault; a retry gives the same.
    Variant(VariantFault),
    /// The same, in the words of the helper process.
    Refused(String),
    /// The source has gone since it was found: look again.
    Gone,
    /// The source's bytes do not have its id.
    Corrupt(Stamp),
    /// The disk could not read the source.
    Unreadable(String),
    /// No file descriptor was left to read the source with: a retry may help.
    NoDescriptor,
    /// The deadline passed: a retry may help.
    Deadline,
    /// It was not begun, because it took too long the last time: try again after so long.
    TooSlow(Duration),
    /// Nobody wanted it any more.
    Cancelled,
    /// The queue was full, and its client had the most jobs in it; it was never begun.
    Displaced,
    /// It was pre-generated, and gave way to a job that a request waits for.
    GaveWay,
    /// The decoder or encoder panicked, or ended the helper process; taken as the image's fault.
    Panicked,
    /// The helper process, which the job needs, cannot be started: a retry may help.
    NoHelper,
}

/// A file of the cache that lies on disk: a job has written or read it.
#[derive(Debug)]
pub struct CacheUse {
    /// Of which image.
    pub id: ObjectId,
    /// Its name among what is kept of the image.
    pub key: VariantKey,
    /// The kind of its contents.
    pub cached: Cached,
    /// Bytes of its contents.
    pub length: u64,
    /// The size of its blocks on disk; 0 where that is not known.
    pub disk_bytes: u64,
}
