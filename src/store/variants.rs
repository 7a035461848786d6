//! Made variants on disk: bounded by bytes, least recently used first out, disposable.
//!
//! One [`Variants`] per shard, with its share of the byte budget. The table of what is there is
//! filled by [`Variants::take_stock`] in the background after the start; until it has seen a file,
//! the file is found all the same by its name, and counted then. A file that somebody deleted is a miss.
//!
//! A variant is synced before it gets its name: after a power cut a torn file would be served as
//! whole, since variants have no hash to be proven by.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::OwnedFd;

use glommio::io::{BufferedFile, Directory};
use lru::LruCache;

use super::StoreError;
use super::descriptor;
use super::path::{Layout, VariantKey, parse_variant_name};
use super::spool::{Spools, create, write_all};
use crate::object::{Format, ObjectId};

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

    /// Opens a variant and its length in bytes; `None` is a miss.
    ///
    /// # Errors
    /// [`StoreError`]; the caller may treat it as a miss.
    pub async fn open(
        &self,
        id: &ObjectId,
        key: &VariantKey,
        format: Format,
    ) -> Result<Option<(OwnedFd, u64)>, StoreError> {
        let failed = |error| StoreError::new("open a variant", error);
        let file = match BufferedFile::open(self.layout.variant(id, key, format)).await {
            Ok(file) => file,
            Err(error) => {
                self.forget(&(*id, *key, format));
                let error = io::Error::from(error);
                return if error.kind() == io::ErrorKind::NotFound { Ok(None) } else { Err(failed(error)) };
            }
        };
        let stat = rustix::fs::fstat(descriptor::borrow(&file)).map_err(|error| failed(error.into()))?;
        let length = u64::try_from(stat.st_size).unwrap_or(0);
        self.count((*id, *key, format), length);
        let descriptor = descriptor::duplicate(&file).map_err(failed)?;
        // Only the duplicate is used from here on.
        let _ = file.close().await;
        Ok(Some((descriptor, length)))
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
        let length = bytes.len() as u64;
        if length > self.bytes_max {
            return Ok(());
        }
        let temporary = spools.temporary();
        let file = create(temporary.path()).await?;
        write_all(&file, bytes.to_vec(), 0).await?;
        file.fdatasync().await.map_err(|error| StoreError::new("sync a variant", error))?;
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
