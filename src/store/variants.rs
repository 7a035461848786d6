//! What is made of images and kept on disk: bounded by bytes, least recently used first out, disposable.
//!
//! One [`Variants`] per shard, with its share of the byte budget. Variants are what it is for. Decoded samples, of which
//! they are made, are many times as large: they are kept beside them, in at most a quarter of the budget. The tables of
//! what is there are filled by [`Variants::take_stock`] in the background after the start; until it has seen a file,
//! the file is found all the same by its name, and counted then. A file that somebody deleted is a miss.
//!
//! A file is its contents and a [trailer](super::proof). A file that was cut, torn by a power cut or written over
//! is a miss, and is made again: short ones and samples are proven by their checksum at every read; long variants by
//! their trailer, which says the length, and are synced before they get their name.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::OwnedFd;

use bytes::Bytes;
use glommio::io::BufferedFile;
use lru::LruCache;

use super::StoreError;
use super::descriptor;
use super::path::{Cached, Layout, VariantKey, parse_cached_name};
use super::proof::{self, TRAILER_BYTES};
use super::read::CHUNK_BYTES;
use crate::object::{Format, ObjectId};

/// Files up to this length, trailer included, are read and proven whole.
const PROVEN_BYTES: u64 = CHUNK_BYTES;

/// One part in so many of the budget is the most that samples take.
const SAMPLES_PART: u64 = 4;

/// The most contents that a file may have to be kept, of these; more than the budget has room for is not worth a write.
pub const fn contents_max(bytes_max: u64, cached: Cached) -> u64 {
    budget(bytes_max, cached).saturating_sub(TRAILER_BYTES)
}

/// Whether a file with so many bytes of contents must be synced before it gets its name, because no read proves all of it.
pub const fn wants_sync(cached: Cached, length: u64) -> bool {
    matches!(cached, Cached::Variant(_)) && length + TRAILER_BYTES > PROVEN_BYTES
}

const fn budget(bytes_max: u64, cached: Cached) -> u64 {
    match cached {
        Cached::Variant(_) => bytes_max,
        Cached::Samples => bytes_max / SAMPLES_PART,
    }
}

/// A variant that was found.
#[derive(Debug)]
pub enum Kept {
    /// A short one, in memory.
    Bytes(Bytes),
    /// A long one: the open file, of which the first so many bytes are the variant.
    File(OwnedFd, u64),
}

/// The variants of one shard.
#[derive(Debug)]
pub struct Variants {
    layout: Layout,
    bytes_max: u64,
    evictions: Cell<u64>,
    variants: Table,
    samples: Table,
}

type Name = (ObjectId, VariantKey, Cached);

/// Files of one kind, least recently used last.
#[derive(Debug)]
struct Table {
    bytes: Cell<u64>,
    /// About 100 bytes an entry: a share of 5 GiB of 10 kB variants is 50 MiB of table.
    entries: RefCell<LruCache<Name, u64>>,
}

impl Variants {
    /// At most `bytes_max` bytes of files.
    pub fn new(layout: Layout, bytes_max: u64) -> Self {
        let (variants, samples) = (Table::new(), Table::new());
        Self { layout, bytes_max, evictions: Cell::new(0), variants, samples }
    }

    /// Bytes of the files that are known.
    pub fn bytes(&self) -> u64 {
        self.variants.bytes.get() + self.samples.bytes.get()
    }

    /// Files removed to keep the bound, since the start.
    pub fn evictions(&self) -> u64 {
        self.evictions.get()
    }

    /// Reads (or, if it is long, opens) a variant; `None` is a miss.
    ///
    /// # Errors
    /// [`StoreError`]; the caller may treat it as a miss.
    pub async fn open(
        &self,
        id: &ObjectId,
        key: &VariantKey,
        format: Format,
    ) -> Result<Option<Kept>, StoreError> {
        let name = (*id, *key, Cached::Variant(format));
        let file = match BufferedFile::open(self.path(&name)).await {
            Ok(file) => file,
            Err(error) => {
                self.variants.forget(&name);
                let error = io::Error::from(error);
                let missing = error.kind() == io::ErrorKind::NotFound;
                return if missing { Ok(None) } else { Err(StoreError::new("open a variant", error)) };
            }
        };
        let kept = read(&file).await;
        // What was read stays; an error of the close means nothing.
        let _ = file.close().await;
        match kept? {
            Some((kept, length)) => {
                self.variants.count(name, length);
                Ok(Some(kept))
            }
            None => {
                self.variants.forget(&name);
                Ok(None)
            }
        }
    }

    /// A file with so many bytes of contents was read or written by whoever makes variants (see [`Layout::cached`],
    /// [`proof::read`] and [`proof::write`]). Removes others until the bound holds.
    pub async fn used(&self, id: &ObjectId, key: &VariantKey, cached: Cached, length: u64) {
        self.table(cached).count((*id, *key, cached), length + TRAILER_BYTES);
        self.shrink().await;
    }

    /// Counts the files that an earlier process left, oldest directory entry first, and then keeps
    /// the bound. `is_mine` says which ids are this shard's. Meant to run beside requests: it lists
    /// one directory at a time on the blocking thread.
    pub async fn take_stock(&self, is_mine: impl Fn(&ObjectId) -> bool) {
        for first in 0..=255u8 {
            for (name, length) in list(self.layout.clone(), first).await {
                if is_mine(&name.0) {
                    self.table(name.2).count_older(name, length);
                }
            }
            self.shrink().await;
        }
    }

    async fn shrink(&self) {
        while self.samples.bytes.get() > budget(self.bytes_max, Cached::Samples)
            && self.evict(&self.samples).await
        {}
        while self.bytes() > self.bytes_max && self.evict(&self.variants).await {}
    }

    /// Removes what was not used for the longest time; `false` if there is nothing.
    async fn evict(&self, table: &Table) -> bool {
        let Some(name) = table.pop_oldest() else { return false };
        self.evictions.set(self.evictions.get() + 1);
        // Gone already, with the whole cache perhaps: that is no fault.
        let _ = glommio::io::remove(self.path(&name)).await;
        true
    }

    const fn table(&self, cached: Cached) -> &Table {
        match cached {
            Cached::Variant(_) => &self.variants,
            Cached::Samples => &self.samples,
        }
    }

    fn path(&self, (id, key, cached): &Name) -> std::path::PathBuf {
        self.layout.cached(id, key, *cached)
    }
}

impl Table {
    fn new() -> Self {
        Self { bytes: Cell::new(0), entries: RefCell::new(LruCache::unbounded()) }
    }

    fn count(&self, name: Name, length: u64) {
        let before = self.entries.borrow_mut().put(name, length).unwrap_or(0);
        self.bytes.set(self.bytes.get() - before + length);
    }

    /// Counts what is not known yet as older than all that is.
    fn count_older(&self, name: Name, length: u64) {
        if !self.entries.borrow().contains(&name) {
            self.count(name, length);
            self.entries.borrow_mut().demote(&name);
        }
    }

    fn forget(&self, name: &Name) {
        if let Some(length) = self.entries.borrow_mut().pop(name) {
            self.bytes.set(self.bytes.get() - length);
        }
    }

    fn pop_oldest(&self) -> Option<Name> {
        let (name, length) = self.entries.borrow_mut().pop_lru()?;
        self.bytes.set(self.bytes.get() - length);
        Some(name)
    }
}

/// A variant file's contents and its length on disk; `None` when it is not whole.
async fn read(file: &BufferedFile) -> Result<Option<(Kept, u64)>, StoreError> {
    let failed = |error: io::Error| StoreError::new("read a variant", error);
    let stat = rustix::fs::fstat(descriptor::borrow(file)).map_err(|error| failed(error.into()))?;
    let length = u64::try_from(stat.st_size).unwrap_or(0);
    let Some(body) = length.checked_sub(TRAILER_BYTES) else { return Ok(None) };
    let start = if length <= PROVEN_BYTES { 0 } else { body };
    // At most PROVEN_BYTES, so it fits a buffer's length; a short read is a file that shrinks.
    let read = file.read_at(start, (length - start) as usize).await.map_err(|error| failed(error.into()))?;
    let Some((bytes, trailer)) = read.split_last_chunk() else { return Ok(None) };
    if start > 0 {
        if !proof::is_of_length(trailer, body) {
            return Ok(None);
        }
        return Ok(Some((Kept::File(descriptor::duplicate(file).map_err(failed)?, body), length)));
    }
    let is_whole = bytes.len() as u64 == body && proof::is_of(trailer, bytes);
    Ok(is_whole.then(|| (Kept::Bytes(Bytes::copy_from_slice(bytes)), length)))
}

/// The files below `cache/<first>/`; empty where a directory cannot be read.
async fn list(layout: Layout, first: u8) -> Vec<(Name, u64)> {
    let list = move || -> Vec<(Name, u64)> {
        let Ok(directories) = std::fs::read_dir(layout.cache().join(format!("{first:02x}"))) else {
            return Vec::new();
        };
        let files = directories.flatten().filter_map(|entry| std::fs::read_dir(entry.path()).ok()).flatten();
        files
            .flatten()
            .filter_map(|entry| {
                let name = parse_cached_name(entry.file_name().to_str()?)?;
                Some((name, entry.metadata().ok()?.len()))
            })
            .collect()
    };
    glommio::executor().spawn_blocking(list).await
}
