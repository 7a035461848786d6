//! An upload's bytes on their way to the disk: hashed and inspected as they arrive.
//!
//! Memory per upload is one buffer of [`BUFFER_BYTES`]. A [`Spool`] that is dropped leaves nothing:
//! its file goes to the shard's [`TempFileReaper`], because removing a file may block and `drop` must not.

use std::cell::{Cell, RefCell};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, SystemTime};

use glommio::io::{BufferedFile, OpenOptions};

use super::collision::{Collision, CollisionHasher};
use super::health::Health;
use super::path::StorePaths;
use super::read::FileReader;
use super::upload_time::upload_time;
use super::{StoreError, descriptor, plain, timely};
use crate::image::header::{Header, Limits};
use crate::image::inspect::{InspectError, Inspected, Inspector};
use crate::object::ObjectId;

/// Bytes that are gathered before each write. One-shot writes of megabytes stall a ring's other
/// work; below about 64 KiB the cost per call shows.
pub const BUFFER_BYTES: usize = 256 << 10;

/// Between two looks whether a disk that hangs answers again.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// The temporary files of one shard.
#[derive(Debug)]
pub struct Spools {
    paths: StorePaths,
    shard: usize,
    serial: Cell<u64>,
    reaper: Rc<TempFileReaper>,
    health: Arc<Health>,
}

/// An upload that is being received.
#[derive(Debug)]
pub struct Spool {
    file: BufferedFile,
    temporary: Temporary,
    buffer: Vec<u8>,
    written: u64,
    length: u64,
    hasher: SpoolHasher,
    inspector: Inspector,
    modified: Option<SystemTime>,
    health: Arc<Health>,
}

/// The source of the bytes' id.
#[derive(Debug)]
enum SpoolHasher {
    /// They are hashed as they come.
    Hashing(Box<CollisionHasher>),
    /// Its caller hands in no bytes but those that it has hashed itself and found to be this image's.
    Proven(ObjectId),
}

/// A received upload: whole, inspected and synced, under a temporary name.
#[derive(Debug)]
pub struct Spooled {
    /// The file. Dropping it removes it.
    pub temporary: Temporary,
    /// SHA-1 of its bytes.
    pub id: ObjectId,
    /// Bytes.
    pub length: u64,
    /// Its header.
    pub header: Header,
    /// The reason to refuse it as an upload, unless a walk over its data finds all of the picture.
    pub doubt: Option<InspectError>,
    /// Whether it tells the place where it was taken.
    pub has_location: bool,
}

/// Why an upload was not taken. Nothing of it remains.
#[derive(Debug)]
pub enum SpoolError {
    /// The bytes are no image that is taken.
    Refused(InspectError),
    /// The bytes were made to have the same id as others.
    Collision,
    /// The disk's fault.
    Store(StoreError),
}

/// A temporary file's name; dropping it has the file removed.
#[derive(Debug)]
pub struct Temporary {
    path: PathBuf,
    reaper: Option<Rc<TempFileReaper>>,
}

/// Files that wait to be removed by the shard's temp-file reaper.
#[derive(Debug, Default)]
pub struct TempFileReaper {
    paths: RefCell<Vec<PathBuf>>,
    waker: RefCell<Option<Waker>>,
}

impl Spools {
    /// The temporary files of shard number `shard`.
    pub fn new(paths: StorePaths, shard: usize, health: Arc<Health>) -> Self {
        Self { paths, shard, serial: Cell::new(0), reaper: Rc::default(), health }
    }

    /// The files that wait to be removed.
    pub fn reaper(&self) -> &Rc<TempFileReaper> {
        &self.reaper
    }

    /// A fresh temporary name; no file is made.
    pub fn temporary(&self) -> Temporary {
        let serial = self.serial.get();
        self.serial.set(serial + 1);
        Temporary { path: self.paths.temporary(self.shard, serial), reaper: Some(Rc::clone(&self.reaper)) }
    }

    /// Starts to receive a client's upload: [`Spool::finish`] refuses bytes that were made to collide.
    ///
    /// # Errors
    /// [`StoreError`] when the temporary file cannot be made.
    pub async fn begin_upload(&self, limits: Limits) -> Result<Spool, StoreError> {
        let hasher = SpoolHasher::Hashing(Box::new(CollisionHasher::detecting()));
        Ok(Spool { hasher, ..self.begin(limits).await? })
    }

    /// Starts to write a copy whose bytes the caller proves to be this image's, all of them before it calls
    /// [`Spool::finish`]. They are not hashed once more.
    ///
    /// # Errors
    /// [`StoreError`] when the temporary file cannot be made.
    pub async fn begin_proven(&self, id: ObjectId, limits: Limits) -> Result<Spool, StoreError> {
        Ok(Spool { hasher: SpoolHasher::Proven(id), ..self.begin(limits).await? })
    }

    /// Starts to receive a copy from another node. Bytes of any kind that have their id are taken: the node that took
    /// the upload has judged them, and a copy that is refused here could never be repaired.
    ///
    /// # Errors
    /// [`StoreError`] when the temporary file cannot be made.
    pub async fn begin(&self, limits: Limits) -> Result<Spool, StoreError> {
        let temporary = self.temporary();
        let created = create(temporary.path()).await.inspect_err(|error| self.health.note(error));
        let file = match created {
            // Its folder has gone, most likely with all of the data directory.
            Err(StoreError::Io(_, error)) if error.kind() == io::ErrorKind::NotFound => {
                self.health.prove_store(self.health.returns()).await?;
                return Err(StoreError::Io("make a temporary file", error));
            }
            created => created?,
        };
        Ok(Spool {
            file,
            temporary,
            buffer: Vec::with_capacity(BUFFER_BYTES),
            written: 0,
            length: 0,
            hasher: SpoolHasher::Hashing(Box::new(CollisionHasher::plain())),
            inspector: Inspector::new(limits),
            modified: None,
            health: Arc::clone(&self.health),
        })
    }
}

impl Spool {
    /// Bytes received so far.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Takes the next bytes, of any length. May wait for the disk.
    ///
    /// # Errors
    /// [`SpoolError`]; the spool should then be dropped.
    pub async fn append(&mut self, mut bytes: &[u8]) -> Result<(), SpoolError> {
        self.length += bytes.len() as u64;
        if let SpoolHasher::Hashing(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
        self.inspector.push(bytes).map_err(SpoolError::Refused)?;
        while !bytes.is_empty() {
            let room = BUFFER_BYTES - self.buffer.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.buffer.extend_from_slice(now);
            assert!(
                self.buffer.len() <= BUFFER_BYTES,
                "invariant: spool: one buffer of memory for each upload"
            );
            bytes = later;
            if self.buffer.len() == BUFFER_BYTES {
                self.flush().await.map_err(SpoolError::Store)?;
            }
        }
        Ok(())
    }

    /// It is a copy: its upload time is that of the first one, in place of now.
    pub fn set_modified(&mut self, time: SystemTime) {
        self.modified = Some(time);
    }

    /// The upload is whole: checks it and syncs its data.
    ///
    /// # Errors
    /// [`SpoolError`]; nothing remains. A failed sync is never tried again and trusted.
    pub async fn finish(mut self) -> Result<Spooled, SpoolError> {
        let Inspected { header, doubt, notes } = self.inspector.finish().map_err(SpoolError::Refused)?;
        let has_location = notes.has_location();
        let id = match self.hasher {
            SpoolHasher::Hashing(hasher) => {
                ObjectId::from_digest(hasher.finalize().map_err(|Collision| SpoolError::Collision)?)
            }
            SpoolHasher::Proven(id) => id,
        };
        let last = std::mem::take(&mut self.buffer);
        assert!(
            self.written + last.len() as u64 == self.length,
            "invariant: spool: every byte that was received is written, once"
        );
        let failed = |error| {
            self.health.note(&error);
            SpoolError::Store(error)
        };
        write_all(&self.file, last, self.written).await.map_err(failed)?;
        if let Some(time) = self.modified {
            // After the last write, which dates the file too.
            descriptor::set_modified(&self.file, time)
                .map_err(|error| failed(StoreError::new("date a copy", error)))?;
        }
        sync(&self.file, "sync an upload").await.map_err(failed)?;
        // The data is durable; an error of the close itself could add nothing.
        let _ = self.file.close().await;
        Ok(Spooled { temporary: self.temporary, id, length: self.length, header, doubt, has_location })
    }

    async fn flush(&mut self) -> Result<(), StoreError> {
        let full = std::mem::replace(&mut self.buffer, Vec::with_capacity(BUFFER_BYTES));
        let length = full.len() as u64;
        write_all(&self.file, full, self.written).await.inspect_err(|error| self.health.note(error))?;
        self.written += length;
        assert!(self.written <= self.length, "invariant: spool: no more is written than was received");
        Ok(())
    }
}

impl Spooled {
    /// Its bytes, which stay readable whatever becomes of the name, and the upload time that it will have.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn open(&self) -> Result<(FileReader, SystemTime), StoreError> {
        let failed = |error: io::Error| StoreError::new("open an upload", error);
        let file = BufferedFile::open(self.temporary.path()).await.map_err(|error| failed(error.into()))?;
        let stat = rustix::fs::fstat(descriptor::borrow(&file)).map_err(|error| failed(error.into()))?;
        let uploaded = upload_time(stat.st_mtime, stat.st_mtime_nsec.cast_signed());
        let copy = descriptor::duplicate(&file).map_err(failed)?;
        // Only the duplicate is used from here on; an error of closing the first means nothing.
        let _ = file.close().await;
        Ok((FileReader::new(copy, self.length), uploaded))
    }
}

impl Temporary {
    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file has got its final name (or crosses to another thread, whose part it now is): dropping
    /// this no longer removes anything.
    pub fn release(mut self) -> PathBuf {
        assert!(self.reaper.is_some(), "invariant: spool: a temporary file is released once");
        self.reaper = None;
        std::mem::take(&mut self.path)
    }

    /// Takes charge of a file that another shard released.
    pub fn take_over(path: PathBuf, reaper: &Rc<TempFileReaper>) -> Self {
        Self { path, reaper: Some(Rc::clone(reaper)) }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(reaper) = self.reaper.take() {
            reaper.add(std::mem::take(&mut self.path));
        }
    }
}

impl TempFileReaper {
    fn add(&self, path: PathBuf) {
        self.paths.borrow_mut().push(path);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Removes files as they come, forever, unless the disk hangs: a removal would hold up the shard's blocking thread.
    /// Run one per shard.
    pub async fn run(&self, health: &Health) {
        loop {
            let path = std::future::poll_fn(|context| match self.paths.borrow_mut().pop() {
                Some(path) => Poll::Ready(path),
                None => {
                    *self.waker.borrow_mut() = Some(context.waker().clone());
                    Poll::Pending
                }
            })
            .await;
            while health.may_hang() {
                glommio::timer::sleep(LOOK_AGAIN).await;
            }
            // A file that is gone already (or was never made) is what we want.
            let _ = glommio::io::remove(&path).await;
        }
    }

    /// Removes what still waits, blocking; for the end of a shard, when nothing waits for it any more.
    pub fn remove_all(&self) {
        for path in self.paths.take() {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Makes a new file for writing.
pub(super) async fn create(path: &Path) -> Result<BufferedFile, StoreError> {
    const DOING: &str = "make a temporary file";
    timely(DOING, async {
        let opened = OpenOptions::new().write(true).create_new(true).buffered_open(path).await;
        opened.map_err(|error| StoreError::new(DOING, plain(error)))
    })
    .await
}

/// Makes what was written durable. After a failure nothing of the file may be relied on, whatever a second sync says.
pub(super) async fn sync(file: &BufferedFile, doing: &'static str) -> Result<(), StoreError> {
    timely(doing, async { file.fdatasync().await.map_err(|error| StoreError::unsynced(doing, error)) }).await
}

/// Writes the whole buffer.
///
/// The call consumes its buffer, so a short write cannot be continued without a copy of every buffer.
/// A regular file's write comes back short only where the disk has no room for the rest, so that is
/// what it is taken for.
pub(super) async fn write_all(file: &BufferedFile, bytes: Vec<u8>, position: u64) -> Result<(), StoreError> {
    const DOING: &str = "write a temporary file";
    let length = bytes.len();
    let written = timely(DOING, async {
        file.write_at(bytes, position).await.map_err(|error| StoreError::new(DOING, error))
    });
    let written = written.await?;
    if written == length { Ok(()) } else { Err(StoreError::Full) }
}

#[cfg(test)]
mod tests {
    use glommio::{LocalExecutorBuilder, Placement};

    use super::*;
    use crate::store::collision::tests::shattered;
    use crate::store::marker::MarkerInode;

    /// A GIF of one pixel.
    const IMAGE: &[u8] =
        b"GIF89a\x01\0\x01\0\x80\0\0\xFF\xFF\xFF\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";
    const LIMITS: Limits = Limits { pixels_max: 1, frames_max: 1 };

    /// Finishes the image after these bytes, with which no format may begin: only the hash sees them.
    async fn finish(mut spool: Spool, before: &[u8]) -> Result<ObjectId, SpoolError> {
        let SpoolHasher::Hashing(hasher) = &mut spool.hasher else { panic!("a spool that hashes") };
        hasher.update(before);
        spool.append(IMAGE).await?;
        spool.finish().await.map(|spooled| spooled.id)
    }

    #[test]
    fn refuses_an_upload_that_was_made_to_collide_and_takes_it_as_a_copy() {
        let folder = tempfile::tempdir().unwrap();
        let paths = StorePaths::new(folder.path());
        let nowhere = MarkerInode { device: 0, inode: 0 };
        let health = Arc::new(Health::new(paths.clone(), [0; 16], nowhere, 0, Arc::default()));
        let spools = Spools::new(paths, 0, health);
        std::fs::create_dir(StorePaths::new(folder.path()).tmp()).unwrap();
        let builder = LocalExecutorBuilder::new(Placement::Unbound).io_memory(64 << 10).ring_depth(64);
        builder.make().unwrap().run(async {
            let plain = finish(spools.begin(LIMITS).await.unwrap(), &[]).await.unwrap();
            assert_eq!(finish(spools.begin_upload(LIMITS).await.unwrap(), &[]).await.unwrap(), plain);
            let mut copies = Vec::new();
            for file in shattered() {
                let refused = finish(spools.begin_upload(LIMITS).await.unwrap(), &file).await;
                assert!(matches!(refused, Err(SpoolError::Collision)), "{refused:?}");
                copies.push(finish(spools.begin(LIMITS).await.unwrap(), &file).await.unwrap());
            }
            assert_eq!(copies[0], copies[1], "one id of two files");
            // Of bytes that are proven already the caller's word is taken.
            let mut proven = spools.begin_proven(copies[0], LIMITS).await.unwrap();
            proven.append(IMAGE).await.unwrap();
            assert_eq!(proven.finish().await.unwrap().id, copies[0]);
        });
        spools.reaper().remove_all();
        assert_eq!(std::fs::read_dir(StorePaths::new(folder.path()).tmp()).unwrap().count(), 0);
    }
}
