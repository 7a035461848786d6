//! The health of this node's disk: whether `store/` is there, whether there is room, whether it writes, and
//! whether it answers at all.
//!
//! One thread looks at the disk every two seconds ([`watch`](super::watch)), so that a disk that hangs holds up nobody
//! else; shards tell what they met, and read the result by a few relaxed loads. Every state is left by itself.
//!
//! Invariants: this node's "no such file" counts only after a look at the marker that began after the file was missed
//! ([`Health::prove_store`]); no copy is taken in any of the states of [`DiskTrouble`].

mod trouble;

use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::Instant;

use glommio::io::BufferedFile;

pub use self::trouble::DiskTrouble;
use super::marker::{self, MarkerInode};
use super::path::StorePaths;
use super::variants::Room;
use super::{StoreError, descriptor, plain, timely};
use crate::telemetry::log::Limited;
use crate::telemetry::metrics::DiskMetrics;

/// The time that one check of the disk may take before the disk counts as hung: as long as any operation may.
const LOOK_MAX_MS: u64 = super::OPERATION_MAX.as_millis() as u64;

/// The same when an operation has timed out already.
const LOOK_AFTER_LATE_MS: u64 = 2_000;

const _: () = assert!(
    LOOK_AFTER_LATE_MS < LOOK_MAX_MS,
    "invariant: health: a look after a late operation has less time"
);

/// Looks in a row that must be good before a disk that failed a sync is relied on again.
const GOOD_LOOKS: u64 = 10;

/// The disk of one node, shared by all its threads.
#[derive(Debug)]
pub struct Health {
    pub(super) paths: StorePaths,
    pub(super) node: [u8; 16],
    pub(super) reserve_bytes: u64,
    /// The inode of the marker. Locked only after a file was missing, by the thread that checks it.
    place: Mutex<MarkerInode>,
    is_missing: AtomicBool,
    /// The number of times that the store came back.
    returns: AtomicU64,
    is_full: AtomicBool,
    /// The disk said that it is full since the last look, and whether it refused room at that look, as by a quota.
    said_full: AtomicBool,
    is_denied: AtomicBool,
    is_read_only: AtomicBool,
    /// Good looks that are wanted still before the disk is relied on; 0: it is.
    suspicion: AtomicU64,
    /// An operation has timed out since the last good check began.
    is_late: AtomicBool,
    /// When the look under way began, in milliseconds since the start, plus 1; 0: none is.
    look_began: AtomicU64,
    /// Bytes of room above the reserve, as of the last look and by what was written since.
    room: AtomicI64,
    room_wanted: AtomicU64,
    pressure: Pressure,
    started: Instant,
    told: Mutex<Option<DiskTrouble>>,
    lines: Limited,
    looker: OnceLock<Thread>,
    metrics: Arc<DiskMetrics>,
}

/// The room that the variant cache must free, in rounds: every shard answers each once.
#[derive(Debug, Default)]
struct Pressure {
    round: AtomicU64,
    /// Nothing: no round is under way.
    bytes: AtomicU64,
    inodes: AtomicU64,
    answers: AtomicUsize,
    has_freed: AtomicBool,
}

/// The state of a round of freeing room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Round {
    /// Nobody is asked for anything.
    None,
    /// Not all shards have answered.
    UnderWay,
    /// All have, and freed something together or not.
    Over(bool),
}

impl Health {
    /// The disk below `paths` of node `node`, whose marker was seen at `place`. `reserve_bytes` is what is to stay
    /// free, of which a small disk keeps a twentieth.
    pub fn new(
        paths: StorePaths,
        node: [u8; 16],
        place: MarkerInode,
        reserve_bytes: u64,
        metrics: Arc<DiskMetrics>,
    ) -> Self {
        metrics.present.set(1);
        metrics.writable.set(1);
        Self {
            paths,
            node,
            reserve_bytes,
            place: Mutex::new(place),
            is_missing: AtomicBool::new(false),
            returns: AtomicU64::new(0),
            is_full: AtomicBool::new(false),
            said_full: AtomicBool::new(false),
            is_denied: AtomicBool::new(false),
            is_read_only: AtomicBool::new(false),
            suspicion: AtomicU64::new(0),
            is_late: AtomicBool::new(false),
            look_began: AtomicU64::new(0),
            // Until the first look, which comes before any request.
            room: AtomicI64::new(i64::MAX),
            room_wanted: AtomicU64::new(0),
            pressure: Pressure::default(),
            started: Instant::now(),
            told: Mutex::new(None),
            lines: Limited::new(),
            looker: OnceLock::new(),
            metrics,
        }
    }

    /// The disk's trouble, the worst first. A few loads, and one look at the clock.
    pub fn trouble(&self) -> Option<DiskTrouble> {
        self.trouble_at(self.now_ms())
    }

    pub(super) fn trouble_at(&self, now_ms: u64) -> Option<DiskTrouble> {
        if self.is_missing.load(Relaxed) {
            Some(DiskTrouble::StoreMissing)
        } else if self.is_hung_at(now_ms) {
            Some(DiskTrouble::Hung)
        } else if self.suspicion.load(Relaxed) > 0 {
            Some(DiskTrouble::Suspect)
        } else if self.is_read_only.load(Relaxed) {
            Some(DiskTrouble::ReadOnly)
        } else if self.is_full.load(Relaxed) || self.is_denied.load(Relaxed) {
            Some(DiskTrouble::Full)
        } else {
            None
        }
    }

    /// Whether the store that the node started with is known to be gone.
    pub fn is_missing(&self) -> bool {
        self.is_missing.load(Relaxed)
    }

    /// Whether the disk is known not to answer.
    pub fn is_hung(&self) -> bool {
        self.is_hung_at(self.now_ms())
    }

    fn is_hung_at(&self, now_ms: u64) -> bool {
        let began = self.look_began.load(Relaxed);
        let looking_ms = if began == 0 { 0 } else { now_ms.saturating_sub(began - 1) };
        // One operation that is late may have had bad luck; the look that follows it tells.
        looking_ms > LOOK_MAX_MS || (looking_ms > LOOK_AFTER_LATE_MS && self.is_late.load(Relaxed))
    }

    /// Whether the disk may hang, as far as is known: what can wait should.
    pub(super) fn may_hang(&self) -> bool {
        self.is_late.load(Relaxed) || self.is_hung()
    }

    /// The number of times that the store came back: read it before looking for a file, for [`Self::prove_store`].
    pub fn returns(&self) -> u64 {
        self.returns.load(SeqCst)
    }

    /// Proves that a file that was just not found is not there: the marker is looked at after the file was, where it
    /// was at this start or when the store came back. `returns` was taken before; a store that was away in between
    /// proves nothing. (Between the two looks it could only go unnoticed by coming back as quickly as it went, within
    /// less than a millisecond; and then every other owner must still say no for anything to be called absent.)
    ///
    /// # Errors
    /// [`StoreError::Missing`], and what kept it from being looked at.
    pub async fn prove_store(&self, returns: u64) -> Result<(), StoreError> {
        const DOING: &str = "look at the store's marker";
        let seen = timely(DOING, async {
            let file = match BufferedFile::open(self.paths.store_marker()).await.map_err(plain) {
                Ok(file) => file,
                Err(error) if marker::is_nothing(&error) => return Ok(None),
                Err(error) => return Err(StoreError::new(DOING, error)),
            };
            let stat = rustix::fs::fstat(descriptor::borrow(&file));
            // Nothing was read or written; an error of the close means nothing.
            let _ = file.close().await;
            let stat = stat.map_err(|error| StoreError::new(DOING, error))?;
            Ok(Some(MarkerInode { device: stat.st_dev, inode: stat.st_ino }))
        });
        let seen = seen.await.inspect_err(|error| self.note(error))?;
        self.judge(seen, returns)
    }

    /// The same for a thread that may wait for the disk. Errors are not noted.
    ///
    /// # Errors
    /// As [`Self::prove_store`].
    pub(super) fn prove_store_blocking(&self, returns: u64) -> Result<(), StoreError> {
        let seen = match std::fs::metadata(self.paths.store_marker()) {
            Ok(found) => Some(MarkerInode { device: found.dev(), inode: found.ino() }),
            Err(error) if marker::is_nothing(&error) => None,
            Err(error) => return Err(StoreError::new("look at the store's marker", error)),
        };
        self.judge(seen, returns)
    }

    /// Whether the marker that was seen is the store's, and that was there since `returns`.
    fn judge(&self, seen: Option<MarkerInode>, returns: u64) -> Result<(), StoreError> {
        if seen != Some(*self.place.lock().unwrap_or_else(PoisonError::into_inner)) {
            // It may have been mounted again: the one that looks reads the marker.
            self.set_missing();
            self.look_soon();
            return Err(StoreError::Missing);
        }
        if self.is_missing() || self.returns() != returns {
            self.look_soon();
            return Err(StoreError::Missing);
        }
        Ok(())
    }

    /// Records a disk error, and has the disk checked.
    pub fn note(&self, error: &StoreError) {
        if self.remember(error) {
            self.look_soon();
        }
    }

    /// The same without a look; false where nothing follows from it.
    pub(super) fn remember(&self, error: &StoreError) -> bool {
        match error {
            StoreError::Late(_) => self.is_late.store(true, Relaxed),
            StoreError::Unsynced(..) => self.suspicion.store(GOOD_LOOKS, Relaxed),
            StoreError::ReadOnly => self.is_read_only.store(true, Relaxed),
            // Whether there is no room at all is found out at once.
            StoreError::Full => self.said_full.store(true, Relaxed),
            StoreError::NoDescriptor | StoreError::Missing | StoreError::Io(..) => return false,
        }
        true
    }

    /// Tells that so many bytes were written.
    pub fn record_write(&self, bytes: u64) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let before = self.room.fetch_sub(bytes, Relaxed);
        if before >= 0 && before < bytes {
            self.look_soon();
        }
    }

    /// Whether there is room for so many bytes above the reserve.
    pub fn has_room(&self, bytes: u64) -> bool {
        self.room.load(Relaxed) >= i64::try_from(bytes).unwrap_or(i64::MAX)
    }

    /// So many bytes are about to be written, for which there is no room.
    pub fn want_room(&self, bytes: u64) {
        if self.room_wanted.fetch_max(bytes, Relaxed) < bytes || !self.has_room(bytes) {
            self.look_soon();
        }
    }

    /// Whether a wish for room has come to nothing: the cache has no more to give.
    pub fn is_room_refused(&self) -> bool {
        self.room_wanted() == 0 && self.pressure().is_none()
    }

    /// Counts a copy whose file has gone, and warns of it.
    pub fn count_vanished(&self, object: impl std::fmt::Display) {
        self.metrics.vanished.add();
        if let Some(suppressed) = self.lines.pass() {
            log::warn!(object:% = object, suppressed; "the file of an image has gone from store/; the node fetches a good copy from a peer; find out what removed it");
        }
    }

    /// Counts a copy that cannot be read, and warns of it.
    pub fn count_unreadable(&self, object: impl std::fmt::Display, error: &StoreError) {
        self.metrics.unreadable.add();
        if let Some(suppressed) = self.lines.pass() {
            log::warn!(object:% = object, error:% = error, suppressed; "an image in store/ cannot be read; the node fetches a good copy from a peer; check the disk");
        }
    }

    /// The round in which the cache must free room, and how much; shards answer each round once.
    pub fn pressure(&self) -> Option<(u64, Room)> {
        let wanted = self.pressure.missing_room();
        (wanted != Room::default()).then(|| (self.pressure.round.load(SeqCst), wanted))
    }

    /// Whether files of the cache may be added.
    pub fn cache_may_grow(&self) -> bool {
        self.pressure.missing_room() == Room::default() && self.trouble().is_none()
    }

    /// A shard has freed so much in this round.
    pub fn gave_way(&self, round: u64, freed: Room) {
        assert!(
            round <= self.pressure.round.load(SeqCst),
            "invariant: health: no shard gives way before it is asked"
        );
        if round == self.pressure.round.load(SeqCst) {
            self.pressure.has_freed.fetch_or(freed != Room::default(), SeqCst);
            self.pressure.answers.fetch_add(1, SeqCst);
            self.look_soon();
        }
    }

    /// Says on the log what has changed since it was asked last, and sets the gauges. Never waits for the disk: it is
    /// called by a thread that does not look at it, too.
    pub fn log_changes(&self) {
        let trouble = self.trouble();
        self.metrics.present.set(u64::from(trouble != Some(DiskTrouble::StoreMissing)));
        self.metrics.writable.set(u64::from(trouble.is_none()));
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *told, trouble);
        if before == trouble {
            return;
        }
        match trouble {
            Some(trouble) => {
                log::error!(reason = trouble.word(), data:% = self.paths.root().display(); "{}", trouble.line())
            }
            None => {
                log::info!(data:% = self.paths.root().display(); "the disk works again; the node takes copies")
            }
        }
    }

    /// Has the disk checked now.
    pub fn look_soon(&self) {
        if let Some(looker) = self.looker.get() {
            looker.unpark();
        }
    }

    pub(super) fn set_looker(&self, thread: Thread) {
        // One thread looks; a second one is never started.
        let _ = self.looker.set(thread);
    }

    pub(super) fn look_begins(&self) {
        self.look_begins_at(self.now_ms());
    }

    pub(super) fn look_begins_at(&self, now_ms: u64) {
        self.look_began.store(now_ms + 1, Relaxed);
    }

    pub(super) fn look_ends(&self) {
        self.look_began.store(0, Relaxed);
    }

    /// The look that has just ended wrote and synced: what was late before has come through.
    pub(super) fn record_good_write(&self) {
        for flag in [&self.is_late, &self.is_read_only, &self.said_full, &self.is_denied] {
            flag.store(false, Relaxed);
        }
        let left = self.suspicion.load(Relaxed);
        assert!(left <= GOOD_LOOKS, "invariant: health: a suspicion is over after so many good writes");
        self.suspicion.store(left.saturating_sub(1), Relaxed);
    }

    /// Whether something was reported that a test write would clear up.
    pub(super) fn is_doubtful(&self) -> bool {
        let told = [&self.is_late, &self.is_read_only, &self.said_full, &self.is_denied];
        told.iter().any(|flag| flag.load(Relaxed)) || self.suspicion.load(Relaxed) > 0
    }

    /// Whether the disk said that it is full, so that only a write that needs room tells whether it is.
    pub(super) fn is_room_denied(&self) -> bool {
        self.said_full.load(Relaxed) || self.is_denied.load(Relaxed)
    }

    pub(super) fn set_denied(&self, denied: bool) {
        self.is_denied.store(denied, Relaxed);
    }

    pub(super) fn set_missing(&self) {
        self.is_missing.store(true, SeqCst);
    }

    pub(super) fn set_found(&self, place: MarkerInode) {
        let mut known = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        let is_elsewhere = *known != place;
        *known = place;
        // Files that were missed while it was away, or just before it was seen elsewhere, do not count: the number
        // changes before the store is there again.
        if self.is_missing.load(SeqCst) || is_elsewhere {
            self.returns.fetch_add(1, SeqCst);
        }
        self.is_missing.store(false, SeqCst);
    }

    pub(super) fn set_room(&self, free: u64, room: i64) {
        self.metrics.free_bytes.set(free);
        self.room.store(room, Relaxed);
    }

    pub(super) fn room_wanted(&self) -> u64 {
        self.room_wanted.load(Relaxed)
    }

    pub(super) fn forget_wanted_room(&self) {
        self.room_wanted.store(0, Relaxed);
    }

    pub(super) fn is_full(&self) -> bool {
        self.is_full.load(Relaxed)
    }

    pub(super) fn set_full(&self, full: bool) {
        self.is_full.store(full, Relaxed);
    }

    /// Asks the cache for so much; for nothing: no more.
    pub(super) fn press(&self, wanted: Room) {
        self.pressure.answers.store(0, SeqCst);
        self.pressure.has_freed.store(false, SeqCst);
        self.pressure.round.fetch_add(1, SeqCst);
        self.pressure.bytes.store(wanted.bytes, SeqCst);
        self.pressure.inodes.store(wanted.inodes, SeqCst);
    }

    /// The state of the round in which the `shards` were asked.
    pub(super) fn round(&self, shards: usize) -> Round {
        if self.pressure.missing_room() == Room::default() {
            Round::None
        } else if self.pressure.answers.load(SeqCst) < shards {
            Round::UnderWay
        } else {
            Round::Over(self.pressure.has_freed.load(SeqCst))
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Pressure {
    fn missing_room(&self) -> Room {
        Room { bytes: self.bytes.load(SeqCst), inodes: self.inodes.load(SeqCst) }
    }
}
