//! A variant as it is asked for, found or made, or why there is none. Plain data.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::bodies::memory::Charge;
use super::cache::CachedResponse;
use super::errors::AskError;
use super::errors::NotFound;
use super::job::ResizeError;
use super::rate::TooFast;
use super::timings::StageTimings;
use crate::image::recipe::Recipe;
use crate::image::variant::VariantFault;
use crate::object::ObjectId;
use crate::peer::requester::Requester;
use crate::store::StoreError;
use crate::store::path::VariantKey;
use crate::telemetry::metrics::Cache;

/// A request for a variant.
#[derive(Clone, Debug)]
pub struct VariantRequest {
    /// Of which image.
    pub id: ObjectId,
    /// The variant to make.
    pub recipe: Recipe,
    /// The recipe's digest: the name in the cache.
    pub key: VariantKey,
    /// On whose behalf.
    pub requester: Requester,
}

/// A variant as found or made.
#[derive(Debug)]
pub struct Variant {
    /// Its bytes.
    pub body: VariantBody,
    /// The source of the bytes.
    pub cache: Cache,
    /// The timings of its stages, if it was made for this very request.
    pub timings: StageTimings,
}

/// A variant's bytes.
#[derive(Debug)]
pub enum VariantBody {
    /// In memory, ready to be sent.
    Ready(Arc<CachedResponse>),
    /// On disk.
    File(VariantFile),
}

/// A variant on disk.
#[derive(Debug)]
pub struct VariantFile {
    /// The open file.
    pub file: OwnedFd,
    /// So many bytes of it.
    pub length: u64,
    /// The upload time of its image.
    pub modified: SystemTime,
    /// The charge that counts it while it is sent, if it is not in the cache.
    pub charge: Option<Arc<Charge>>,
}

/// Why there is no variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VariantError {
    /// There is no image to make it of, as far as is known; a shard says that of its own node alone.
    NotFound(NotFound),
    /// Another shard of this node could not be asked.
    Ask(AskError),
    /// Every copy of the image here failed its hash.
    Damaged,
    /// The resize queue is full, and no client that waits has more waiting: try again.
    Busy,
    /// The client asks for more than it may: try again later.
    TooFast(TooFast),
    /// The deadline passed: try again.
    Deadline,
    /// It took too long the last time: try again after so long.
    TooSlow(Duration),
    /// It was being pre-generated and gave way to other work; never the answer to a request.
    GaveWay,
    /// The image's or the request's fault.
    Fault(VariantFault),
    /// The decoder or encoder panicked on it.
    Panicked,
    /// The image's or the request's fault, in the words of another node or of the helper process.
    Elsewhere(String),
    /// The disk's fault, for the log.
    Disk(String),
    /// No file descriptor is left here: try again.
    NoDescriptor,
}

impl Variant {
    /// One that was found, or made for somebody else.
    pub(super) fn found(body: VariantBody, cache: Cache) -> Self {
        Self { body, cache, timings: StageTimings::default() }
    }
}

/// The entity tag of the variant with this key.
pub fn etag(key: &VariantKey) -> String {
    format!("\"{:032x}\"", u128::from_be_bytes(*key))
}

impl From<AskError> for VariantError {
    fn from(error: AskError) -> Self {
        Self::Ask(error)
    }
}

impl From<StoreError> for VariantError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoDescriptor => Self::NoDescriptor,
            StoreError::Missing => Self::NotFound(NotFound::StoreMissing),
            error => Self::Disk(error.to_string()),
        }
    }
}

impl From<ResizeError> for VariantError {
    fn from(fault: ResizeError) -> Self {
        match fault {
            ResizeError::Variant(fault) => Self::Fault(fault),
            ResizeError::Refused(sentence) => Self::Elsewhere(sentence),
            ResizeError::Gone => Self::NotFound(NotFound::Absent),
            ResizeError::Corrupt(_) => Self::Damaged,
            ResizeError::Unreadable(error) => Self::Disk(error),
            ResizeError::NoDescriptor => Self::NoDescriptor,
            ResizeError::Deadline | ResizeError::Cancelled => Self::Deadline,
            ResizeError::TooSlow(left) => Self::TooSlow(left),
            ResizeError::Displaced => Self::Busy,
            ResizeError::GaveWay => Self::GaveWay,
            ResizeError::Panicked => Self::Panicked,
            ResizeError::NoHelper => Self::Busy,
        }
    }
}
