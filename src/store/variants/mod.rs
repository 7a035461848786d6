//! The variant cache on disk: bounded by its cost there, evicted least recently used first, disposable.
//!
//! * [`table`]: what is there, in the order of its last use. [`cost`]: what a file costs. [`files`]: listing and
//!   removing.
//!
//! One [`Variants`] per shard, with its share of the budget. Variants are what it is for. Decoded planes, of which
//! they are made, are many times as large: they are kept beside them, in at most a quarter of the budget. The tables
//! are filled by [`Variants::count_files`] in the background after the start; until it has seen a file, the file is
//! found all the same by its name, and counted then. A file that was deleted by hand is a miss.
//!
//! Four bounds hold: what files and directories cost (blocks, inodes), the number of files, and with it the memory of
//! the tables, the variants of one image, and the free space that others need ([`Variants::free_room`]).
//!
//! A file is its contents and a [trailer](super::proof). A file that was cut, torn by a power cut or written over
//! is a miss, and is made again: short ones and planes are proven by their checksum at every read; long variants by
//! their trailer, which says the length, and are synced before they get their name.

mod cost;
mod files;
mod table;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::io;
use std::ops::{AddAssign, Sub};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use glommio::io::BufferedFile;

use self::cost::{BLOCK_BYTES, DIRECTORY_BYTES, Directories, ENTRY_BYTES, directory_of};
use self::files::{Costing, IsMine, Removed, STEP_FILES, VariantListing};
pub use self::table::VARIANTS_PER_IMAGE_MAX;
use self::table::{LruTable, VariantName};
use super::StoreError;
use super::descriptor;
use super::path::{Cached, StorePaths, VariantKey};
use super::proof::{self, TRAILER_BYTES};
use super::read::CHUNK_BYTES;
use crate::executor::run_blocking;
use crate::object::{Format, ObjectId};

/// Files up to this length, trailer included, are read and proven whole.
pub const PROVEN_BYTES: u64 = CHUNK_BYTES;

/// One part in so many of the budget is the most that planes take.
const PLANES_PART: u64 = 4;

/// Pause between two warnings of one kind.
const WARN_PAUSE: Duration = Duration::from_secs(60);

/// The most contents that a file may have to be kept, of these; more than the budget has room for is not worth a write.
pub const fn contents_max(bytes_max: u64, cached: Cached) -> u64 {
    // The file, the directory it lies in, the one above, and `cache` itself.
    let room = budget(bytes_max, cached).saturating_sub(3 * DIRECTORY_BYTES + ENTRY_BYTES);
    (room / BLOCK_BYTES * BLOCK_BYTES).saturating_sub(TRAILER_BYTES)
}

/// Whether a file with so many bytes of contents must be synced before it gets its name, because no read proves all of it.
pub const fn wants_sync(cached: Cached, length: u64) -> bool {
    matches!(cached, Cached::Variant(_)) && length + TRAILER_BYTES > PROVEN_BYTES
}

const fn budget(bytes_max: u64, cached: Cached) -> u64 {
    match cached {
        Cached::Variant(_) => bytes_max,
        Cached::Planes => bytes_max / PLANES_PART,
    }
}

/// Room on a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Bytes.
    pub bytes: u64,
    /// Files and directories.
    pub inodes: u64,
}

/// A variant that was found.
#[derive(Debug)]
pub enum StoredVariant {
    /// A short one, in memory.
    Bytes(Bytes),
    /// A long one: the open file, of which the first so many bytes are the variant.
    File(OwnedFd, u64),
}

/// The variants of one shard.
pub struct Variants {
    paths: StorePaths,
    bytes_max: u64,
    is_mine: IsMine,
    evictions: Cell<u64>,
    variants: RefCell<LruTable>,
    planes: RefCell<LruTable>,
    directories: RefCell<Directories>,
    /// Directories of the first level whose files are in the tables.
    counted: Cell<u16>,
    /// Somebody looks on disk for files to remove.
    is_looking: Cell<bool>,
    warned: Cell<Option<Instant>>,
}

impl Variants {
    /// Files that cost at most `bytes_max`. `is_mine` says which ids, by their first 16 bits, are the shard's.
    pub fn new(
        paths: StorePaths,
        bytes_max: u64,
        is_mine: impl Fn(u16) -> bool + Send + Sync + 'static,
    ) -> Self {
        let table = |cached| RefCell::new(LruTable::new(table::entries_max(budget(bytes_max, cached))));
        Self {
            paths,
            bytes_max,
            is_mine: Arc::new(is_mine),
            evictions: Cell::new(0),
            variants: table(Cached::Variant(Format::Jpeg)),
            planes: table(Cached::Planes),
            directories: RefCell::new(Directories::new()),
            counted: Cell::new(0),
            is_looking: Cell::new(false),
            warned: Cell::new(None),
        }
    }

    /// The cost on disk of the known files and their directories, in bytes.
    pub fn bytes(&self) -> u64 {
        self.variants.borrow().bytes() + self.planes.borrow().bytes() + self.directories.borrow().bytes()
    }

    /// Files that are known.
    pub fn files(&self) -> usize {
        self.variants.borrow().len() + self.planes.borrow().len()
    }

    /// Files that this removed to keep one of its bounds, since the start.
    pub fn evictions(&self) -> u64 {
        self.evictions.get()
    }

    /// Reads (or, if it is long, opens) a variant; `None` is a miss. A short one is opened, too, if it is not wanted
    /// `in_memory`; it is proven all the same.
    ///
    /// # Errors
    /// [`StoreError`]; the caller may treat it as a miss.
    pub async fn open(
        &self,
        id: &ObjectId,
        key: &VariantKey,
        format: Format,
        in_memory: bool,
    ) -> Result<Option<StoredVariant>, StoreError> {
        let name = (*id, *key, Cached::Variant(format));
        let file = match BufferedFile::open(self.path(&name)).await {
            Ok(file) => file,
            Err(error) => {
                let error = io::Error::from(error);
                if error.kind() == io::ErrorKind::NotFound {
                    self.forget(&name);
                    return Ok(None);
                }
                return Err(StoreError::new("open a variant", error));
            }
        };
        let read = read(&file, in_memory).await;
        // The bytes are read; an error of the close means nothing.
        let _ = file.close().await;
        let (kept, bytes) = read?;
        // Counted even if it is not whole: it is there until it is made again or evicted.
        self.count(&name, bytes);
        Ok(kept)
    }

    /// A file with so many bytes of contents was read or written by the resize worker (see [`StorePaths::cached`],
    /// [`proof::read`] and [`proof::write`]); its blocks take `disk_bytes`, 0 where that is not known. Removes others
    /// until the bounds hold.
    pub async fn record_use(
        &self,
        id: &ObjectId,
        key: &VariantKey,
        cached: Cached,
        length: u64,
        disk_bytes: u64,
    ) {
        let name = (*id, *key, cached);
        self.count(&name, cost::of_file(length + TRAILER_BYTES, disk_bytes));
        if let Some((name, bytes)) = self.pop_excess(&name) {
            let is_last = self.is_last(&name);
            self.remove(vec![((name, bytes), is_last)]).await;
        }
        self.shrink().await;
    }

    /// Counts the files that an earlier process left, and keeps the bounds meanwhile. Meant to run beside requests: it
    /// lists a few files at a time on the blocking thread.
    pub async fn count_files(&self) {
        for first in 0..=255u8 {
            let mut listing = VariantListing::new(self.paths.clone(), Arc::clone(&self.is_mine), first);
            while let Some((rest, Some(found))) = step(listing).await {
                listing = rest;
                let mut excess = Vec::new();
                for (name, bytes) in found {
                    if self.table(name.2).borrow_mut().add_oldest(&name, bytes) {
                        self.directories.borrow_mut().add_file(directory_of(&name.0));
                    }
                    excess.extend(self.pop_excess(&name));
                }
                self.remove(self.mark_last(excess)).await;
                self.shrink().await;
            }
            self.counted.set(u16::from(first) + 1);
        }
    }

    /// Removes files until so much room is free: planes first, since no client asks for them, then what was not used for
    /// the longest time. While the files of an earlier process are not all counted, those are looked for on disk. Says
    /// how much was removed: with less than what was asked for, the cache holds nothing more. The bytes of a file that
    /// is being sent come free when that has ended.
    pub async fn free_room(&self, wanted: Room) -> Room {
        let mut freed = Room::default();
        loop {
            let victims = self.pop_for(wanted - freed);
            if victims.is_empty() {
                break;
            }
            let removed = self.remove(victims).await;
            freed += removed.room;
            if removed.fault.is_some() {
                // The rest would only be forgotten.
                return freed;
            }
        }
        if wanted - freed != Room::default() && !self.is_looking.replace(true) {
            let _looking = Looking(&self.is_looking);
            freed += self.look_and_remove(wanted - freed).await;
        }
        freed
    }

    /// The files of the directories that are not counted yet, from the last one on.
    async fn look_and_remove(&self, wanted: Room) -> Room {
        let mut freed = Room::default();
        for first in (0..=255u8).rev().take_while(|first| u16::from(*first) >= self.counted.get()) {
            let mut listing = VariantListing::new(self.paths.clone(), Arc::clone(&self.is_mine), first);
            while wanted - freed != Room::default() {
                let Some((rest, Some(found))) = step(listing).await else { break };
                listing = rest;
                for (name, _) in &found {
                    self.forget(name);
                }
                freed += self.remove(found.into_iter().map(|file| (file, true)).collect()).await.room;
            }
        }
        freed
    }

    async fn shrink(&self) {
        loop {
            let mut victims = Vec::new();
            while victims.len() < STEP_FILES
                && let Some(victim) = self.pop_over_bounds()
            {
                victims.push(victim);
            }
            if victims.is_empty() {
                return;
            }
            assert!(
                victims.len() <= STEP_FILES,
                "invariant: variants: a step removes a bounded number of files"
            );
            self.remove(self.mark_last(victims)).await;
        }
    }

    /// Forgets a file because a bound of the whole does not hold.
    fn pop_over_bounds(&self) -> Option<Costing> {
        let (planes, variants) = (self.planes.borrow(), self.variants.borrow());
        let too_many_planes =
            planes.has_too_many() || planes.bytes() > budget(self.bytes_max, Cached::Planes);
        let too_many_variants = variants.has_too_many();
        drop((planes, variants));
        // The directory `cache` itself is counted here alone: an empty cache costs nothing.
        let is_over = || self.bytes() + DIRECTORY_BYTES > self.bytes_max;
        if too_many_planes {
            self.pop_oldest(&self.planes)
        } else if too_many_variants || is_over() {
            // Without variants there may be planes still, where directories cost as much as the budget has.
            self.pop_oldest(&self.variants).or_else(|| self.pop_oldest(&self.planes))
        } else {
            None
        }
    }

    /// Forgets files that make so much room, a step's worth at most.
    fn pop_for(&self, missing: Room) -> Vec<(Costing, bool)> {
        let (mut victims, mut room) = (Vec::new(), Room::default());
        while victims.len() < STEP_FILES && missing - room != Room::default() {
            let victim = self.pop_oldest(&self.planes).or_else(|| self.pop_oldest(&self.variants));
            let Some(victim) = victim else { break };
            room += Room { bytes: victim.1, inodes: 1 };
            victims.push(victim);
        }
        self.mark_last(victims)
    }

    fn pop_oldest(&self, table: &RefCell<LruTable>) -> Option<Costing> {
        let popped = table.borrow_mut().pop_oldest();
        popped.inspect(|(name, _)| self.directories.borrow_mut().remove_file(directory_of(&name.0)))
    }

    fn pop_excess(&self, name: &VariantName) -> Option<Costing> {
        let popped = self.table(name.2).borrow_mut().pop_excess(name);
        popped.inspect(|(name, _)| self.directories.borrow_mut().remove_file(directory_of(&name.0)))
    }

    /// Which of these, that were forgotten, were the last of their directories.
    fn mark_last(&self, victims: Vec<Costing>) -> Vec<(Costing, bool)> {
        victims.into_iter().map(|victim| (victim, self.is_last(&victim.0))).collect()
    }

    fn is_last(&self, name: &VariantName) -> bool {
        self.directories.borrow().is_empty(directory_of(&name.0))
    }

    /// Removes files that were forgotten. It goes on when its caller is dropped: the tables do not know them any more.
    async fn remove(&self, victims: Vec<(Costing, bool)>) -> Removed {
        if victims.is_empty() {
            return Removed::default();
        }
        let (paths, victims_count) = (self.paths.clone(), victims.len() as u64);
        let removing = glommio::spawn_local(async move {
            run_blocking("remove variants", move || files::remove(&paths, &victims)).await
        });
        let removed = removing.detach().await.and_then(Result::ok).unwrap_or_default();
        assert!(
            removed.files <= victims_count,
            "invariant: variants: no more files are removed than were chosen"
        );
        self.evictions.set(self.evictions.get() + removed.files);
        if let Some(error) = &removed.fault
            && self.warned.get().is_none_or(|warned| warned.elapsed() >= WARN_PAUSE)
        {
            self.warned.set(Some(Instant::now()));
            log::warn!(
                error:% = error;
                "the node cannot remove files below cache/, which may outgrow cache.disk; check that it may write there"
            );
        }
        removed
    }

    /// Forgets all files of an image, which were removed by others.
    pub fn forget_image(&self, id: &ObjectId) {
        for table in [&self.variants, &self.planes] {
            while table.borrow_mut().pop_of(id) {
                self.directories.borrow_mut().remove_file(directory_of(id));
            }
        }
    }

    fn count(&self, name: &VariantName, bytes: u64) {
        if self.table(name.2).borrow_mut().use_now(name, bytes) {
            self.directories.borrow_mut().add_file(directory_of(&name.0));
        }
    }

    fn forget(&self, name: &VariantName) {
        if self.table(name.2).borrow_mut().remove(name).is_some() {
            self.directories.borrow_mut().remove_file(directory_of(&name.0));
        }
    }

    const fn table(&self, cached: Cached) -> &RefCell<LruTable> {
        match cached {
            Cached::Variant(_) => &self.variants,
            Cached::Planes => &self.planes,
        }
    }

    fn path(&self, (id, key, cached): &VariantName) -> std::path::PathBuf {
        self.paths.cached(id, key, *cached)
    }
}

impl std::fmt::Debug for Variants {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { bytes_max, .. } = self;
        f.debug_struct("Variants").field("bytes_max", bytes_max).finish_non_exhaustive()
    }
}

/// Somebody looks for files on disk; dropping it lets the next one do so.
struct Looking<'a>(&'a Cell<bool>);

impl Drop for Looking<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

impl AddAssign for Room {
    fn add_assign(&mut self, other: Self) {
        *self = Self { bytes: self.bytes + other.bytes, inodes: self.inodes + other.inodes };
    }
}

/// The missing room: never less than nothing.
impl Sub for Room {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_sub(other.bytes),
            inodes: self.inodes.saturating_sub(other.inodes),
        }
    }
}

/// Lists some more files. `None`: the listing panicked, and with it ends.
async fn step(mut listing: VariantListing) -> Option<(VariantListing, Option<Vec<Costing>>)> {
    let step = move || {
        let found = listing.step();
        (listing, found)
    };
    run_blocking("list the variants", step).await.ok()
}

/// A variant file's contents, `None` when it is not whole, and what it costs on disk.
async fn read(file: &BufferedFile, in_memory: bool) -> Result<(Option<StoredVariant>, u64), StoreError> {
    let failed = |error: io::Error| StoreError::new("read a variant", error);
    let stat = rustix::fs::fstat(descriptor::borrow(file)).map_err(|error| failed(error.into()))?;
    let length = u64::try_from(stat.st_size).unwrap_or(0);
    let bytes_on_disk = cost::of_file(length, u64::try_from(stat.st_blocks).unwrap_or(0) * 512);
    let Some(body) = length.checked_sub(TRAILER_BYTES) else { return Ok((None, bytes_on_disk)) };
    let start = if length <= PROVEN_BYTES { 0 } else { body };
    // At most PROVEN_BYTES, so it fits a buffer's length; a short read is a file that shrinks.
    let read = file.read_at(start, (length - start) as usize).await.map_err(|error| failed(error.into()))?;
    let Some((bytes, trailer)) = read.split_last_chunk() else { return Ok((None, bytes_on_disk)) };
    let is_whole = if start > 0 {
        proof::is_of_length(trailer, body)
    } else {
        bytes.len() as u64 == body && proof::is_of(trailer, bytes)
    };
    let kept = match is_whole {
        false => None,
        true if start == 0 && in_memory => Some(StoredVariant::Bytes(Bytes::copy_from_slice(bytes))),
        true => Some(StoredVariant::File(descriptor::duplicate(file).map_err(failed)?, body)),
    };
    Ok((kept, bytes_on_disk))
}
