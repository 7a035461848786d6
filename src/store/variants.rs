//! Made variants on disk: bounded by bytes, least recently used first out, disposable.
//!
//! One [`Variants`] per shard, with its share of the byte budget. The table of what is there is
//! filled by [`Variants::take_stock`] in the background after the start; until it has seen a file,
//! the file is found all the same by its name, and counted then. A file that somebody deleted is a miss.
//!
//! A file is the variant's bytes and a [trailer](TRAILER_BYTES). A file that was cut, torn by a power
//! cut or written over is a miss, and is made again: short ones are proven by their checksum at every
//! read; long ones by their trailer, which says the length, and are synced before they get their name.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::OwnedFd;

use bytes::Bytes;
use glommio::io::{BufferedFile, Directory};
use lru::LruCache;

use super::StoreError;
use super::descriptor;
use super::path::{Layout, VariantKey, parse_variant_name};
use super::read::CHUNK_BYTES;
use super::spool::{Spools, create, write_all};
use crate::object::{Format, ObjectId};

/// Bytes behind each variant: four that say what this is, a CRC-32 and the length of what is before.
pub const TRAILER_BYTES: u64 = 16;

/// Files up to this length, trailer included, are read and proven whole.
const PROVEN_BYTES: u64 = CHUNK_BYTES;

const MAGIC: [u8; 4] = *b"RTV1";

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
    bytes: Cell<u64>,
    evictions: Cell<u64>,
    /// About 100 bytes an entry: a share of 5 GiB of 10 kB variants is 50 MiB of table.
    entries: RefCell<LruCache<(ObjectId, VariantKey, Format), u64>>,
}

impl Variants {
    /// At most `bytes_max` bytes of files.
    pub fn new(layout: Layout, bytes_max: u64) -> Self {
        Self {
            layout,
            bytes_max,
            bytes: Cell::new(0),
            evictions: Cell::new(0),
            entries: RefCell::new(LruCache::unbounded()),
        }
    }

    /// Bytes of the files that are known.
    pub fn bytes(&self) -> u64 {
        self.bytes.get()
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
        let entry = (*id, *key, format);
        let file = match BufferedFile::open(self.layout.variant(id, key, format)).await {
            Ok(file) => file,
            Err(error) => {
                self.forget(&entry);
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
                self.count(entry, length);
                Ok(Some(kept))
            }
            None => {
                self.forget(&entry);
                Ok(None)
            }
        }
    }

    /// Keeps a made variant, and removes others until the bound holds. One larger than the whole
    /// bound is not kept.
    ///
    /// # Errors
    /// [`StoreError`]; the variant is then not kept, and nothing else has changed.
    pub async fn keep(
        &self,
        spools: &Spools,
        id: &ObjectId,
        key: &VariantKey,
        format: Format,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let length = bytes.len() as u64 + TRAILER_BYTES;
        if length > self.bytes_max {
            return Ok(());
        }
        let temporary = spools.temporary();
        let file = create(temporary.path()).await?;
        write_all(&file, [bytes, &trailer(bytes)].concat(), 0).await?;
        if length > PROVEN_BYTES {
            file.fdatasync().await.map_err(|error| StoreError::new("sync a variant", error))?;
        }
        let _ = file.close().await;
        let path = self.layout.variant(id, key, format);
        let rename = async || glommio::io::rename(temporary.path(), &path).await.map_err(io::Error::from);
        let mut renamed = rename().await;
        if renamed.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            self.make_directories(id).await?;
            renamed = rename().await;
        }
        renamed.map_err(|error| StoreError::new("name a variant", error))?;
        temporary.release();
        self.count((*id, *key, format), length);
        self.shrink().await;
        Ok(())
    }

    /// Counts the files that an earlier process left, oldest directory entry first, and then keeps
    /// the bound. `is_mine` says which ids are this shard's. Meant to run beside requests: it lists
    /// one directory at a time on the blocking thread.
    pub async fn take_stock(&self, is_mine: impl Fn(&ObjectId) -> bool) {
        for first in 0..=255u8 {
            for (id, key, format, length) in list(self.layout.clone(), first).await {
                let entry = (id, key, format);
                if is_mine(&id) && !self.entries.borrow().contains(&entry) {
                    self.count(entry, length);
                    // What was used since the start is younger than what the walk finds.
                    self.entries.borrow_mut().demote(&entry);
                }
            }
            self.shrink().await;
        }
    }

    async fn shrink(&self) {
        while self.bytes.get() > self.bytes_max {
            let Some(((id, key, format), length)) = self.entries.borrow_mut().pop_lru() else { break };
            self.bytes.set(self.bytes.get() - length);
            self.evictions.set(self.evictions.get() + 1);
            // Gone already, with the whole cache perhaps: that is no fault.
            let _ = glommio::io::remove(self.layout.variant(&id, &key, format)).await;
        }
    }

    async fn make_directories(&self, id: &ObjectId) -> Result<(), StoreError> {
        let directory = self.layout.variant_directory(id);
        let parent = directory.parent().map(std::path::Path::to_path_buf);
        for path in [Some(self.layout.cache()), parent, Some(directory)].into_iter().flatten() {
            let made = Directory::create(&path)
                .await
                .map_err(|error| StoreError::new("make a cache directory", error))?;
            let _ = made.close().await;
        }
        Ok(())
    }

    fn count(&self, entry: (ObjectId, VariantKey, Format), length: u64) {
        let before = self.entries.borrow_mut().put(entry, length).unwrap_or(0);
        self.bytes.set(self.bytes.get() - before + length);
    }

    fn forget(&self, entry: &(ObjectId, VariantKey, Format)) {
        if let Some(length) = self.entries.borrow_mut().pop(entry) {
            self.bytes.set(self.bytes.get() - length);
        }
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
    let Some((bytes, tail)) = read.split_last_chunk() else { return Ok(None) };
    if *tail != trailer_of(body, checksum_in(tail)) {
        return Ok(None);
    }
    if start > 0 {
        return Ok(Some((Kept::File(descriptor::duplicate(file).map_err(failed)?, body), length)));
    }
    let proven = bytes.len() as u64 == body && crc32fast::hash(bytes) == checksum_in(tail);
    Ok(proven.then(|| (Kept::Bytes(Bytes::copy_from_slice(bytes)), length)))
}

fn trailer(bytes: &[u8]) -> [u8; TRAILER_BYTES as usize] {
    trailer_of(bytes.len() as u64, crc32fast::hash(bytes))
}

fn trailer_of(length: u64, checksum: u32) -> [u8; TRAILER_BYTES as usize] {
    let mut trailer = [0; TRAILER_BYTES as usize];
    trailer[..4].copy_from_slice(&MAGIC);
    trailer[4..8].copy_from_slice(&checksum.to_le_bytes());
    trailer[8..].copy_from_slice(&length.to_le_bytes());
    trailer
}

fn checksum_in(trailer: &[u8; TRAILER_BYTES as usize]) -> u32 {
    u32::from_le_bytes([trailer[4], trailer[5], trailer[6], trailer[7]])
}

type Listed = (ObjectId, VariantKey, Format, u64);

/// The variant files below `cache/<first>/`; empty where a directory cannot be read.
async fn list(layout: Layout, first: u8) -> Vec<Listed> {
    let list = move || -> Vec<Listed> {
        let Ok(directories) = std::fs::read_dir(layout.cache().join(format!("{first:02x}"))) else {
            return Vec::new();
        };
        let files = directories.flatten().filter_map(|entry| std::fs::read_dir(entry.path()).ok()).flatten();
        files
            .flatten()
            .filter_map(|entry| {
                let (id, key, format) = parse_variant_name(entry.file_name().to_str()?)?;
                Some((id, key, format, entry.metadata().ok()?.len()))
            })
            .collect()
    };
    glommio::executor().spawn_blocking(list).await
}
