//! Stored images: find, publish, verify, quarantine.
//!
//! One [`Originals`] per shard, for the ids that the shard owns; nobody else changes their files.
//! A read asks the file system, not an index; what was found is remembered in a bounded table so
//! that the next request asks nothing.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, SystemTime};

use glommio::io::{BufferedFile, Directory};
use lru::LruCache;
use rustix::fs::Stat;
use sha1::{Digest, Sha1};

use super::StoreError;
use super::census::Census;
use super::descriptor;
use super::path::Layout;
use super::read::{CHUNK_BYTES, Reader};
use super::spool::Temporary;
use crate::image::header::{Header, Limits};
use crate::image::inspect::{InspectError, Inspector};
use crate::object::{Format, ObjectId};

/// Images remembered per shard. About 150 bytes each, so 2.5 MiB a shard at most; a forgotten one
/// costs one to five `openat` at its next request.
const KNOWN_MAX: NonZeroUsize = NonZeroUsize::new(16_384).expect("not zero");

/// How long a verification holds for an unchanged file.
const VERIFIED_FOR: Duration = Duration::from_hours(24);

/// A stored image as found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Original {
    /// By content.
    pub format: Format,
    /// Bytes.
    pub length: u64,
    /// Upload time.
    pub modified: SystemTime,
    /// What tells this file from a changed one.
    pub stamp: Stamp,
}

/// A file's inode, size and change time: unchanged means the bytes have not been written since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    inode: u64,
    size: u64,
    changed_s: i64,
    changed_ns: i64,
}

/// What is known of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It is stored.
    Here(Original),
    /// There is no such file.
    Absent,
    /// Every copy here failed its hash and lies in quarantine.
    Damaged,
}

/// The stored images of one shard.
#[derive(Debug)]
pub struct Originals {
    layout: Layout,
    known: RefCell<LruCache<ObjectId, Known>>,
    quarantined: RefCell<HashSet<ObjectId>>,
    quarantine_serial: Cell<u64>,
    /// Bit per `<aa>/<bb>`: made and synced in its parents by this process.
    directories: RefCell<Box<[u64; 1024]>>,
    census: Census,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    original: Original,
    verified: Option<SystemTime>,
    header: Option<Header>,
}

/// What is known of an id, with what the image says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Described {
    /// It is stored.
    Here(Original, Header),
    /// There is no such file.
    Absent,
    /// Every copy here failed its hash.
    Damaged(Option<Original>),
    /// It was taken under other limits or rules, and today's check refuses it.
    Refused(InspectError),
}

impl Originals {
    /// The images of a shard below `layout`; `quarantined` are the shard's ids with a bad copy.
    pub fn new(layout: Layout, quarantined: HashSet<ObjectId>) -> Self {
        Self {
            layout,
            known: RefCell::new(LruCache::new(KNOWN_MAX)),
            quarantined: RefCell::new(quarantined),
            quarantine_serial: Cell::new(0),
            directories: RefCell::new(Box::new([0; 1024])),
            census: Census::default(),
        }
    }

    /// How many images there are and of how many bytes: right once [`Originals::take_stock`] has ended.
    pub fn total(&self) -> (u64, u64) {
        self.census.total()
    }

    /// Counts the images that an earlier process left, beside requests and at a quarter of the pace that it
    /// could have. `is_mine` says which ids, by their first 16 bits, are the shard's. How many directories
    /// could not be read and are left out.
    pub async fn take_stock(&self, is_mine: impl Fn(u16) -> bool + Copy + Send + 'static) -> u32 {
        self.census.take(&self.layout, is_mine).await
    }

    /// Looks an id up: in memory, else on disk.
    ///
    /// # Errors
    /// [`StoreError`] when the disk cannot tell; that is no "absent".
    pub async fn find(&self, id: &ObjectId) -> Result<Found, StoreError> {
        if let Some(known) = self.known.borrow_mut().get(id) {
            return Ok(Found::Here(known.original));
        }
        for format in Format::ALL {
            if let Some((_, original)) = self.open_as(id, format).await? {
                self.remember(id, original, None);
                return Ok(Found::Here(original));
            }
        }
        Ok(if self.quarantined.borrow().contains(id) { Found::Damaged } else { Found::Absent })
    }

    /// Opens a found image. `None`: it has gone since, and is forgotten.
    ///
    /// # Errors
    /// [`StoreError`] when the disk cannot tell.
    pub async fn open(
        &self,
        id: &ObjectId,
        format: Format,
    ) -> Result<Option<(OwnedFd, Original)>, StoreError> {
        let Some((file, original)) = self.open_as(id, format).await? else {
            self.known.borrow_mut().pop(id);
            return Ok(None);
        };
        let verified = self.verified_at(id, original.stamp);
        self.remember(id, original, verified);
        let descriptor =
            descriptor::duplicate(&file).map_err(|error| StoreError::new("open an image", error))?;
        // Only the duplicate is used from here on; an error of closing the first means nothing.
        let _ = file.close().await;
        Ok(Some((descriptor, original)))
    }

    /// What an image says about itself: remembered, else read from the whole file, which proves it too.
    /// `Damaged` with an [`Original`] tells that this file is the one to be quarantined.
    ///
    /// # Errors
    /// [`StoreError`] when the disk cannot tell.
    pub async fn describe(&self, id: &ObjectId, limits: Limits) -> Result<Described, StoreError> {
        let found = match self.find(id).await? {
            Found::Here(found) => found,
            Found::Absent => return Ok(Described::Absent),
            Found::Damaged => return Ok(Described::Damaged(None)),
        };
        let remembered = self.known.borrow().peek(id).and_then(|known| known.header);
        if let Some(header) = remembered {
            return Ok(Described::Here(found, header));
        }
        let Some((file, original)) = self.open(id, found.format).await? else { return Ok(Described::Absent) };
        let (digest, inspected) = read_whole(&Reader::new(file, original.length), limits).await?;
        if digest != *id {
            return Ok(Described::Damaged(Some(original)));
        }
        self.set_verified(id, original.stamp);
        Ok(match inspected {
            Ok(header) => {
                if let Some(known) = self.known.borrow_mut().get_mut(id) {
                    known.header = Some(header);
                }
                Described::Here(original, header)
            }
            Err(error) => Described::Refused(error),
        })
    }

    /// Where a found image lies.
    pub fn path(&self, id: &ObjectId, format: Format) -> std::path::PathBuf {
        self.layout.image(id, format)
    }

    /// Whether exactly this file was hashed whole within the last day.
    pub fn is_verified(&self, id: &ObjectId, stamp: Stamp) -> bool {
        self.verified_at(id, stamp).is_some()
    }

    /// Notes that exactly this file was hashed whole and is right.
    pub fn set_verified(&self, id: &ObjectId, stamp: Stamp) {
        if let Some(known) = self.known.borrow_mut().get_mut(id)
            && known.original.stamp == stamp
        {
            known.verified = Some(SystemTime::now());
        }
    }

    /// Gives a received upload its name, or proves that the image is here already. When this
    /// returns, the image survives a power cut. The caller lets only one at a time do this per id.
    ///
    /// # Errors
    /// [`StoreError`]; nothing new is visible then.
    pub async fn publish(
        &self,
        temporary: Temporary,
        id: &ObjectId,
        format: Format,
    ) -> Result<Original, StoreError> {
        self.prepare_directories(id).await?;
        if let Some(original) = self.already_here(id).await? {
            // Whoever gave it its name may have died before this.
            sync_directory(&self.layout.image_directory(id)).await?;
            return Ok(original);
        }
        let path = self.layout.image(id, format);
        let change = self.census.change(id);
        glommio::io::rename(temporary.path(), &path)
            .await
            .map_err(|error| StoreError::new("name an image", error))?;
        temporary.release();
        if let Err(error) = sync_directory(&self.layout.image_directory(id)).await {
            // Not durable, so not stored: it must not be found by the next request.
            let _ = glommio::io::remove(&path).await;
            return Err(error);
        }
        let gone = || StoreError::new("open a new image", io::Error::from(io::ErrorKind::NotFound));
        let (_, original) = self.open_as(id, format).await?.ok_or_else(gone)?;
        change.added(original.length);
        self.remember(id, original, Some(SystemTime::now()));
        self.quarantined.borrow_mut().remove(id);
        Ok(original)
    }

    /// Moves a copy that failed its hash out of the way, for good.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be moved; it is then still found, and fails again.
    pub async fn quarantine(&self, id: &ObjectId, original: &Original) -> Result<(), StoreError> {
        let Original { format, length, .. } = *original;
        self.known.borrow_mut().pop(id);
        self.quarantined.borrow_mut().insert(*id);
        let serial = self.quarantine_serial.get();
        self.quarantine_serial.set(serial + 1);
        // Unique over restarts too: the time of day, then a counter.
        let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let to = self.layout.quarantined(id, format, seconds * 1_000 + serial % 1_000);
        let change = self.census.change(id);
        match glommio::io::rename(self.layout.image(id, format), to).await.map_err(io::Error::from) {
            Ok(()) => {
                change.removed(length);
                Ok(())
            }
            // Another request saw the same damage first.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(StoreError::new("quarantine an image", error)),
        }
    }

    /// Removes a stored image for good: durable when this returns. Whoever has it open reads it to its end.
    ///
    /// # Errors
    /// [`StoreError`]; the image may be found still.
    pub async fn remove(&self, id: &ObjectId, original: &Original) -> Result<(), StoreError> {
        self.known.borrow_mut().pop(id);
        let change = self.census.change(id);
        glommio::io::remove(self.layout.image(id, original.format))
            .await
            .map_err(|error| StoreError::new("remove an image", error))?;
        change.removed(original.length);
        sync_directory(&self.layout.image_directory(id)).await
    }

    async fn already_here(&self, id: &ObjectId) -> Result<Option<Original>, StoreError> {
        let Found::Here(found) = self.find(id).await? else { return Ok(None) };
        let Some((descriptor, original)) = self.open(id, found.format).await? else { return Ok(None) };
        if self.is_verified(id, original.stamp) {
            return Ok(Some(original));
        }
        if Reader::new(descriptor, original.length).digest().await? == *id {
            self.set_verified(id, original.stamp);
            return Ok(Some(original));
        }
        self.quarantine(id, &original).await?;
        Ok(None)
    }

    async fn open_as(
        &self,
        id: &ObjectId,
        format: Format,
    ) -> Result<Option<(BufferedFile, Original)>, StoreError> {
        match BufferedFile::open(self.layout.image(id, format)).await.map_err(io::Error::from) {
            Ok(file) => {
                let stat = rustix::fs::fstat(descriptor::borrow(&file))
                    .map_err(|error| StoreError::new("stat an image", error))?;
                Ok(Some((file, Original::new(format, &stat))))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::new("open an image", error)),
        }
    }

    fn remember(&self, id: &ObjectId, original: Original, verified: Option<SystemTime>) {
        let mut known = self.known.borrow_mut();
        let header = known.peek(id).filter(|known| known.original.stamp == original.stamp);
        let header = header.and_then(|known| known.header);
        known.put(*id, Known { original, verified, header });
    }

    fn verified_at(&self, id: &ObjectId, stamp: Stamp) -> Option<SystemTime> {
        let known = self.known.borrow();
        let known = known.peek(id).filter(|known| known.original.stamp == stamp)?;
        known.verified.filter(|at| at.elapsed().is_ok_and(|age| age < VERIFIED_FOR))
    }

    /// Makes `<aa>/<bb>` and syncs it in its parents, once per process: a directory that is there
    /// may have been made by a process that died before its sync.
    async fn prepare_directories(&self, id: &ObjectId) -> Result<(), StoreError> {
        let index = usize::from(u16::from_be_bytes([id.digest()[0], id.digest()[1]]));
        let (word, bit) = (index / 64, 1 << (index % 64));
        if self.directories.borrow()[word] & bit != 0 {
            return Ok(());
        }
        for directory in [self.layout.image_parent(id), self.layout.image_directory(id)] {
            let made = Directory::create(&directory)
                .await
                .map_err(|error| StoreError::new("make a directory", error))?;
            let _ = made.close().await;
        }
        sync_directory(&self.layout.store()).await?;
        sync_directory(&self.layout.image_parent(id)).await?;
        self.directories.borrow_mut()[word] |= bit;
        Ok(())
    }
}

impl Original {
    fn new(format: Format, stat: &Stat) -> Self {
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        let modified = upload_time(stat.st_mtime, stat.st_mtime_nsec.cast_signed());
        Self { format, length: size, modified, stamp: Stamp::new(stat) }
    }
}

impl Stamp {
    /// The stamp of a file.
    pub fn new(stat: &Stat) -> Self {
        Self {
            inode: stat.st_ino,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            changed_s: stat.st_ctime,
            changed_ns: i64::try_from(stat.st_ctime_nsec).unwrap_or(0),
        }
    }
}

/// The file's SHA-1 and what it says about itself; yields to other tasks between chunks.
async fn read_whole(
    reader: &Reader,
    limits: Limits,
) -> Result<(ObjectId, Result<Header, InspectError>), StoreError> {
    let mut hasher = Sha1::new();
    let mut inspector = Inspector::new(limits);
    let mut refused = None;
    let mut position = 0;
    while position < reader.length() {
        let chunk = reader.read(position, CHUNK_BYTES).await?;
        position += chunk.len() as u64;
        hasher.update(&*chunk);
        if refused.is_none() {
            refused = inspector.push(&chunk).err();
        }
        glommio::executor().yield_if_needed().await;
    }
    let inspected = refused.map_or_else(|| inspector.finish(), Err);
    Ok((ObjectId::from_digest(hasher.finalize().into()), inspected))
}

/// A file's modification time, kept within the years 1970 to 9999: dates are printed in forms that know
/// no others, and anybody may `touch` a file.
pub(super) fn upload_time(seconds: i64, nanoseconds: i64) -> SystemTime {
    const LAST_SECOND: u64 = 253_402_300_799;
    let seconds = u64::try_from(seconds).unwrap_or(0).min(LAST_SECOND);
    let nanoseconds = u32::try_from(nanoseconds).unwrap_or(0).min(999_999_999);
    SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds)
}

async fn sync_directory(path: &Path) -> Result<(), StoreError> {
    let sync = |error| StoreError::new("sync a directory", error);
    let directory = Directory::open(path).await.map_err(|error| sync(io::Error::from(error)))?;
    directory.sync().await.map_err(|error| sync(error.into()))?;
    let _ = directory.close().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_time_can_be_printed_whatever_the_file_says() {
        for (seconds, text) in [
            (i64::MIN, "1970-01-01T00:00:00Z"),
            (-1, "1970-01-01T00:00:00Z"),
            (1_700_000_000, "2023-11-14T22:13:20Z"),
            (i64::MAX, "9999-12-31T23:59:59Z"),
        ] {
            let time = upload_time(seconds, 999_999_999);
            assert_eq!(humantime::format_rfc3339_seconds(time).to_string(), text);
            assert!(httpdate::fmt_http_date(time).ends_with("GMT"));
        }
    }
}
