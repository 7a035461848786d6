//! Stored images: find, publish, verify, quarantine.
//!
//! One [`Originals`] per shard, for the ids that the shard holds; no other shard changes their files.
//! A read asks the file system, not an index; what was found is remembered in a bounded table so
//! that the next request asks nothing.

mod publish;

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use glommio::io::BufferedFile;
use lru::LruCache;
use rustix::fs::{FileType, Stat};

use super::descriptor;
use super::health::Health;
use super::losses::Losses;
use super::manifest::ManifestKeeper;
use super::path::StorePaths;
use super::read::FileReader;
pub use super::stamp::Stamp;
use super::upload_time::upload_time;
use super::{StoreError, plain, timely};
use crate::image::details::Details;
use crate::image::header::{Header, Limits};
use crate::image::inspect::{InspectError, Inspected, Inspector};
use crate::object::{Format, ObjectId};

/// Images remembered per shard. About 150 bytes each, so 2.5 MiB a shard at most; a forgotten one
/// costs one to five `openat` at its next request.
const KNOWN_MAX: NonZeroUsize = NonZeroUsize::new(16_384).expect("not zero");

/// The time that a verification holds for an unchanged file.
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
    /// The stamp that tells this file from a changed one.
    pub stamp: Stamp,
}

/// The result of looking an id up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It is stored.
    Here(Original),
    /// There is no such file, and the store is there.
    Absent,
    /// Every copy here failed its hash and lies in quarantine.
    Damaged,
}

/// The stored images of one shard.
#[derive(Debug)]
pub struct Originals {
    paths: StorePaths,
    known: RefCell<LruCache<ObjectId, Known>>,
    quarantined: RefCell<HashSet<ObjectId>>,
    quarantine_serial: Cell<u64>,
    /// Bit per `<aa>/<bb>`: made and synced in its parents by this process.
    directories: RefCell<Box<[u64; 1024]>>,
    /// The number of times that the store had come back when those were made.
    directories_of: Cell<u64>,
    manifests: ManifestKeeper,
    /// Copies that are in no manifest any more, and will be again when they can be opened.
    lost: RefCell<HashSet<ObjectId>>,
    health: Arc<Health>,
    losses: Rc<Losses>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    original: Original,
    verified: Option<SystemTime>,
    seen: Option<(Header, Details)>,
}

/// The result of publishing an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// The stored image.
    pub original: Original,
    /// Whether the upload is the stored file now: it was not here, or a bad copy was.
    pub is_new: bool,
    /// Whether a copy whose bytes were wrong was set aside for it.
    pub was_wrong: bool,
}

/// The result of verifying a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// Its bytes are right.
    Right,
    /// They are not; this is the file.
    Wrong(Original),
    /// The file has gone since it was found.
    Gone,
}

/// The result of looking an id up, with the image's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Described {
    /// It is stored.
    Here(Original, Header, Details),
    /// There is no such file.
    Absent,
    /// Every copy here failed its hash.
    Damaged(Option<Original>),
    /// It was taken under other limits or rules, and today's check refuses it.
    Refused(InspectError),
}

impl Originals {
    /// The images of a shard below `paths`; `quarantined` are the shard's ids with a bad copy.
    pub fn new(
        paths: StorePaths,
        quarantined: HashSet<ObjectId>,
        health: Arc<Health>,
        manifests: ManifestKeeper,
    ) -> Self {
        Self {
            paths,
            known: RefCell::new(LruCache::new(KNOWN_MAX)),
            quarantined: RefCell::new(quarantined),
            quarantine_serial: Cell::new(0),
            directories: RefCell::new(Box::new([0; 1024])),
            directories_of: Cell::new(health.returns()),
            manifests,
            lost: RefCell::default(),
            health,
            losses: Rc::default(),
        }
    }

    /// Whether a copy failed its hash, and no good one has taken its place.
    pub fn is_set_aside(&self, id: &ObjectId) -> bool {
        self.quarantined.borrow().contains(id)
    }

    /// Copies that this node had and has no more, or cannot read.
    pub fn losses(&self) -> &Rc<Losses> {
        &self.losses
    }

    /// Looks an id up: in memory, else on disk. What is remembered may have gone since; see [`Originals::look`].
    ///
    /// # Errors
    /// [`StoreError`] when the disk cannot tell; that is no "absent".
    pub async fn find(&self, id: &ObjectId) -> Result<Found, StoreError> {
        if let Some(known) = self.known.borrow_mut().get(id) {
            return Ok(Found::Here(known.original));
        }
        let returns = self.health.returns();
        for format in Format::ALL {
            if let Some((_, original)) = self.open_as(id, format).await? {
                self.remember(id, original, None);
                return Ok(Found::Here(original));
            }
        }
        if self.is_set_aside(id) {
            return Ok(Found::Damaged);
        }
        self.health.prove_store(returns).await?;
        Ok(Found::Absent)
    }

    /// Looks an id up on disk, for answers to other nodes and decisions about other copies.
    ///
    /// # Errors
    /// As [`Originals::find`].
    pub async fn look(&self, id: &ObjectId) -> Result<Found, StoreError> {
        let known = self.known.borrow().peek(id).map(|known| known.original.format);
        if let Some(format) = known
            && let Some((_, original)) = self.open(id, format).await?
        {
            return Ok(Found::Here(original));
        }
        self.find(id).await
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
        let returns = self.health.returns();
        let Some((file, original)) = self.open_as(id, format).await? else {
            self.forget(id, returns).await;
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

    /// A file that was known is not there. Where its store is, it has vanished; else all of them have, and will be back.
    async fn forget(&self, id: &ObjectId, returns: u64) {
        let known = self.known.borrow_mut().pop(id);
        // One that was set aside meanwhile has a record, and has not vanished.
        if known.is_some() && !self.is_set_aside(id) && self.health.prove_store(returns).await.is_ok() {
            self.health.count_vanished(id);
            self.lose(id);
        }
    }

    /// A walk through the store did not find the file of an image. Its absence is proven before it is a loss. Whether it
    /// is one.
    pub async fn check_vanished(&self, id: &ObjectId) -> bool {
        self.known.borrow_mut().pop(id);
        match self.find(id).await {
            Ok(Found::Absent) => {
                if !self.lost.borrow().contains(id) {
                    self.health.count_vanished(id);
                }
                self.lose(id);
                true
            }
            Ok(Found::Here(original)) => {
                self.manifests.record_added(id, original.format, original.length);
                false
            }
            // A copy in quarantine has a record already, and a disk that cannot tell says nothing.
            Ok(Found::Damaged) | Err(_) => false,
        }
    }

    /// A copy is not there, as far as is known.
    fn lose(&self, id: &ObjectId) {
        if self.lost.borrow_mut().insert(*id) {
            self.manifests.record_removed(id);
        }
        self.losses.add(*id);
    }

    /// A copy could be opened and not read: nothing that was remembered of it counts any more.
    pub fn set_unreadable(&self, id: &ObjectId, error: &StoreError) {
        let known = self.known.borrow_mut().pop(id);
        self.health.note(error);
        self.health.count_unreadable(id, error);
        match known {
            Some(_) => self.lose(id),
            None => self.losses.add(*id),
        }
    }

    /// An image's header: remembered, else read from the whole file, which verifies it too.
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
        let Some((file, original)) = self.open(id, found.format).await? else {
            // It may be there as another format, or its whole store may be gone.
            return Ok(match self.find(id).await? {
                Found::Damaged => Described::Damaged(None),
                Found::Here(_) | Found::Absent => Described::Absent,
            });
        };
        let remembered = self.known.borrow().peek(id).and_then(|known| known.seen);
        if let Some((header, details)) = remembered {
            return Ok(Described::Here(original, header, details));
        }
        let mut inspector = Inspector::new(limits);
        let mut refused = None;
        let inspect = |chunk: &[u8]| {
            if refused.is_none() {
                refused = inspector.push(chunk).err();
            }
        };
        let verified = FileReader::new(file, original.length).verify(*id, inspect).await;
        if !verified.inspect_err(|error| self.set_unreadable(id, error))? {
            return Ok(Described::Damaged(Some(original)));
        }
        self.set_verified(id, original.stamp);
        Ok(match refused.map_or_else(|| inspector.finish(), Err) {
            Ok(Inspected { header, notes, .. }) => {
                let details = notes.details(&header);
                if let Some(known) = self.known.borrow_mut().get_mut(id) {
                    known.seen = Some((header, details));
                }
                Described::Here(original, header, details)
            }
            Err(error) => Described::Refused(error),
        })
    }

    /// The path of an image in this format.
    pub fn path(&self, id: &ObjectId, format: Format) -> std::path::PathBuf {
        self.paths.image(id, format)
    }

    /// When a copy was hashed whole last and found right; `None` where this process does not remember that.
    pub fn last_verified(&self, id: &ObjectId) -> Option<SystemTime> {
        self.known.borrow().peek(id).and_then(|known| known.verified)
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

    /// Whether a found copy can be read and is right: remembered, else read. A wrong one is returned with its file metadata.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub async fn check(&self, id: &ObjectId, found: &Original) -> Result<Checked, StoreError> {
        let Some((file, original)) = self.open(id, found.format).await? else { return Ok(Checked::Gone) };
        if self.is_verified(id, original.stamp) {
            return Ok(Checked::Right);
        }
        if !FileReader::new(file, original.length).verify(*id, |_| ()).await? {
            return Ok(Checked::Wrong(original));
        }
        self.set_verified(id, original.stamp);
        Ok(Checked::Right)
    }

    async fn open_as(
        &self,
        id: &ObjectId,
        format: Format,
    ) -> Result<Option<(BufferedFile, Original)>, StoreError> {
        const DOING: &str = "open an image";
        let opened = timely(DOING, async {
            match BufferedFile::open(self.paths.image(id, format)).await.map_err(plain) {
                Ok(file) => {
                    let stat = rustix::fs::fstat(descriptor::borrow(&file))
                        .map_err(|error| StoreError::new("stat an image", error))?;
                    if !FileType::from_raw_mode(stat.st_mode).is_file() {
                        return Err(StoreError::new(DOING, io::Error::from(io::ErrorKind::IsADirectory)));
                    }
                    Ok(Some((file, Original::new(format, &stat))))
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(StoreError::new(DOING, error)),
            }
        });
        opened.await.inspect_err(|error| {
            self.health.note(error);
            if error.is_of_the_process() {
                return;
            }
            self.health.count_unreadable(id, error);
            let known = self.known.borrow_mut().pop(id);
            if known.is_some() {
                // It was readable once. Ids that nobody stored here are no losses, whatever is wrong with a folder.
                self.lose(id);
            }
        })
    }

    fn remember(&self, id: &ObjectId, original: Original, verified: Option<SystemTime>) {
        if self.lost.borrow_mut().remove(id) {
            self.manifests.record_added(id, original.format, original.length);
        }
        let mut known = self.known.borrow_mut();
        let before = known.peek(id).filter(|known| known.original.stamp == original.stamp);
        let seen = before.and_then(|known| known.seen);
        known.put(*id, Known { original, verified, seen });
    }

    fn verified_at(&self, id: &ObjectId, stamp: Stamp) -> Option<SystemTime> {
        let known = self.known.borrow();
        let known = known.peek(id).filter(|known| known.original.stamp == stamp)?;
        known.verified.filter(|at| at.elapsed().is_ok_and(|age| age < VERIFIED_FOR))
    }
}

impl Original {
    fn new(format: Format, stat: &Stat) -> Self {
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        let modified = upload_time(stat.st_mtime, stat.st_mtime_nsec.cast_signed());
        Self { format, length: size, modified, stamp: Stamp::new(stat) }
    }
}
