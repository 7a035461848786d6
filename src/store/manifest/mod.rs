//! The manifests: what lies in the store, without asking its directories. No request ever asks them.
//!
//! One thread per process, the *manifest keeper*, owns a file for each `<aa>` and, in memory, the digests of all slots
//! ([`SlotDigests`](crate::cluster::digest::SlotDigests)). Shards report what they store and remove, without waiting. At
//! the start the keeper compares the manifests with the times of the directories and lists those that differ, while the
//! node serves. Later it walks through the store again and again, and so finds files that vanished behind the node's back.
//!
//! * `record`, `file`: a manifest on disk. `times`: when a directory of the store last changed.
//! * `index`: all manifests and the digests. `query`: answers from them.
//! * `survey`: the comparison of an `<aa>` with its manifest. `pace`: how fast that goes. `full_walk`: at once, when an
//!   operator asks. `keeper`: the thread.
//!
//! Invariants: the directories are right, and a manifest is only a memory of them; what one lacks is found by the next
//! walk, whatever was lost on the way. A report may come twice or late, and changes nothing then.
//!
//! Memory: the digests (10 bytes a slot that is not empty, 10 MiB at most), and while an `<aa>` is compared its images
//! twice, 32 bytes each: 250 KB for a million images, 25 MB for a hundred millions. On disk 32 bytes an image.

mod file;
mod full_walk;
mod index;
mod keeper;
mod pace;
mod query;
mod record;
mod survey;
mod times;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use self::file::{ManifestError, ManifestFile};
use self::full_walk::FullWalk;
pub use self::keeper::Keeper;
use self::query::Query;
pub use self::query::{IdPage, ManifestQueryError, RANGES_MAX, SlotFilter};
use self::record::{ManifestEntry, ManifestRecord};
use super::findings::FindingSender;
use super::health::Health;
use super::path::StorePaths;
use crate::cluster::digest::SlotRange;
use crate::cluster::placement::Slot;
use crate::object::{Format, ObjectId};
use crate::telemetry::metrics::{ChannelMessage, DiskMetrics, channel};

/// Reports and questions that wait for the keeper, about 56 bytes each: a megabyte. At a thousand uploads a second that
/// is 16 s in which the keeper may be held up by the disk; beyond that it lists directories again.
const WAITING_MAX: usize = 16_384;

/// The way to the manifest keeper. Clones share it.
#[derive(Clone, Debug)]
pub struct ManifestKeeper {
    inbox: flume::Sender<KeeperMessage>,
    doubts: Arc<Doubts>,
    full_walk: Arc<FullWalk>,
    metrics: Arc<DiskMetrics>,
}

/// A message to the keeper.
#[derive(Debug)]
enum KeeperMessage {
    /// The state of an image has changed to this.
    Changed(ManifestRecord),
    /// A question.
    Asked(Box<Query>),
    /// Write checkpoints, report that, and end.
    Stop(flume::Sender<()>),
}

/// The `<aa>` of which a report was lost: one bit each.
#[derive(Debug, Default)]
struct Doubts([AtomicU64; 4]);

impl Doubts {
    fn set(&self, first: u8) {
        self.0[usize::from(first / 64)].fetch_or(1 << (first % 64), Relaxed);
    }

    fn is_set(&self, first: u8) -> bool {
        self.0[usize::from(first / 64)].load(Relaxed) & 1 << (first % 64) != 0
    }

    fn take(&self) -> impl Iterator<Item = u8> + use<> {
        let words =
            self.0.each_ref().map(|word| if word.load(Relaxed) == 0 { 0 } else { word.swap(0, Relaxed) });
        (0..=u8::MAX).filter(move |first| words[usize::from(first / 64)] & 1 << (first % 64) != 0)
    }
}

/// Whether the manifest of the ids that begin with `first` cannot be used. Blocking; takes as much memory as it is long.
///
/// # Errors
/// The system's refusal to read it.
pub(super) fn is_damaged(paths: &StorePaths, first: u8) -> io::Result<bool> {
    match ManifestFile::load(&paths.manifest(first), first) {
        Ok(_) => Ok(false),
        Err(ManifestError::Damaged) => Ok(true),
        Err(ManifestError::Io(error)) => Err(error),
    }
}

impl ManifestKeeper {
    /// The way to a keeper, and the keeper, which waits to be started. `findings` leads to the shards.
    pub fn new(health: Arc<Health>, findings: FindingSender, metrics: Arc<DiskMetrics>) -> (Self, Keeper) {
        let (inbox, messages) = flume::bounded(WAITING_MAX);
        let doubts = Arc::<Doubts>::default();
        let full_walk = Arc::<FullWalk>::default();
        let shared = (Arc::clone(&doubts), Arc::clone(&full_walk));
        let keeper = Keeper::new(health, findings, Arc::clone(&metrics), shared, messages);
        (Self { inbox, doubts, full_walk, metrics }, keeper)
    }

    /// The file of an image is there now. Never waits.
    pub fn record_added(&self, id: &ObjectId, format: Format, length: u64) {
        self.report(ManifestRecord::Here(ManifestEntry { id: *id, format, length }));
    }

    /// The file of an image is there no more, or cannot be read. Never waits.
    pub fn record_removed(&self, id: &ObjectId) {
        self.report(ManifestRecord::Gone(*id));
    }

    /// Begins a presence walk at full pace, in place of the one under way. Returns at once.
    pub fn walk(&self) {
        self.full_walk.ask();
    }

    /// Whether a walk that was asked for is under way. When it has ended, the shards have been told of every file that
    /// it missed.
    pub fn is_walking(&self) -> bool {
        self.full_walk.is_under_way()
    }

    /// The number of images, and of their bytes; `None` until the manifests were compared with the store.
    pub fn total(&self) -> Option<(u64, u64)> {
        self.metrics.stored()
    }

    /// The digests of the children of each range, of the slots that are wanted; none of a single slot.
    ///
    /// # Errors
    /// [`ManifestQueryError`]; more than [`RANGES_MAX`] ranges are refused.
    pub async fn digests(
        &self,
        ranges: Vec<SlotRange>,
        wanted: SlotFilter,
    ) -> Result<Vec<Vec<u64>>, ManifestQueryError> {
        self.ask(|reply| Query::Digests { ranges, wanted, reply }).await
    }

    /// The digest of a range, of the slots that are wanted.
    ///
    /// # Errors
    /// [`ManifestQueryError`]
    pub async fn sum(&self, range: SlotRange, wanted: SlotFilter) -> Result<u64, ManifestQueryError> {
        self.ask(|reply| Query::Sum { range, wanted, reply }).await
    }

    /// The slots behind `after` that hold an image and are wanted, in order, `count_max` at most.
    ///
    /// # Errors
    /// [`ManifestQueryError`]
    pub async fn slots(
        &self,
        wanted: SlotFilter,
        after: Option<Slot>,
        count_max: usize,
    ) -> Result<Vec<Slot>, ManifestQueryError> {
        self.ask(|reply| Query::Slots { wanted, after, count_max, reply }).await
    }

    /// The ids behind `after` whose slots lie in one of the ranges and that have a file here, by the directories, in order,
    /// `count_max` at most.
    ///
    /// # Errors
    /// [`ManifestQueryError`]; more than [`RANGES_MAX`] ranges are refused.
    pub async fn list(
        &self,
        ranges: Vec<SlotRange>,
        after: Option<ObjectId>,
        count_max: usize,
    ) -> Result<IdPage, ManifestQueryError> {
        self.ask(|reply| Query::List { ranges, after, count_max, reply }).await
    }

    /// Has the keeper write what spares the next start a comparison, and end. Blocks, but not longer than `within`.
    pub fn stop(&self, within: Duration) {
        let (done, stopped) = flume::bounded(1);
        if channel::try_send(&self.inbox, ChannelMessage::Manifest, KeeperMessage::Stop(done)) {
            // The next start compares what was not written in time.
            let _ = stopped.recv_timeout(within);
        }
    }

    fn report(&self, record: ManifestRecord) {
        if !channel::try_send(&self.inbox, ChannelMessage::Manifest, KeeperMessage::Changed(record)) {
            self.doubts.set(record.id().digest()[0]);
        }
    }

    async fn ask<T>(&self, query: impl FnOnce(query::Reply<T>) -> Query) -> Result<T, ManifestQueryError> {
        let (reply, answer) = flume::bounded(1);
        let message = KeeperMessage::Asked(Box::new(query(reply)));
        if !channel::try_send(&self.inbox, ChannelMessage::Manifest, message) {
            let has_ended = self.inbox.is_disconnected();
            return Err(if has_ended { ManifestQueryError::Ended } else { ManifestQueryError::Busy });
        }
        answer.recv_async().await.unwrap_or(Err(ManifestQueryError::Ended))
    }
}
