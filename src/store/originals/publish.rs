//! Images get their names in the store, and lose them: published, quarantined, removed.

use std::io;
use std::path::Path;
use std::time::SystemTime;

use glommio::io::Directory;

use super::super::read::FileReader;
use super::super::spool::Temporary;
use super::super::{StoreError, erase, marker, obstacle, plain};
use super::{Found, Original, Originals, Published};
use crate::executor::run_blocking;
use crate::object::{Format, ObjectId};

/// The copy that was stored before an upload was published.
#[derive(Clone, Copy, Debug)]
enum Before {
    /// None that could be read.
    None,
    /// A right one, and known to be.
    Right(Original),
    /// A wrong one, which is in quarantine now.
    SetAside,
}

impl Originals {
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
    ) -> Result<Published, StoreError> {
        // A folder in the store's place must not get anything: it would be lost when the store is back.
        self.health.prove_store(self.health.returns()).await?;
        self.prepare_directories(id).await?;
        let path = self.paths.image(id, format);
        let before = self.before(id).await?;
        if let Before::Right(original) = before {
            // The process that named it may have died before the sync.
            self.sync_directory(&self.paths.image_directory(id)).await?;
            return Ok(Published { original, is_new: false, was_wrong: false });
        }
        self.name(&temporary, id, format).await?;
        temporary.release();
        if let Err(error) = self.sync_directory(&self.paths.image_directory(id)).await {
            // Not durable, so not stored: it must not be found by the next request.
            let _ = glommio::io::remove(&path).await;
            return Err(error);
        }
        let gone = || StoreError::new("open a new image", io::Error::from(io::ErrorKind::NotFound));
        let (_, original) = self.open_as(id, format).await?.ok_or_else(gone)?;
        self.manifests.record_added(id, format, original.length);
        self.health.record_write(original.length);
        self.remember(id, original, Some(SystemTime::now()));
        self.quarantined.borrow_mut().remove(id);
        Ok(Published { original, is_new: true, was_wrong: matches!(before, Before::SetAside) })
    }

    /// Makes sure that the name of a stored file outlives a power cut: the process that gave it may have died before
    /// the sync.
    ///
    /// # Errors
    /// [`StoreError`], also where the file has gone.
    pub async fn sync_name(&self, id: &ObjectId) -> Result<(), StoreError> {
        self.prepare_directories(id).await?;
        self.sync_directory(&self.paths.image_directory(id)).await?;
        match self.look(id).await? {
            Found::Here(_) => Ok(()),
            Found::Absent | Found::Damaged => {
                Err(StoreError::new("sync an image", io::Error::from(io::ErrorKind::NotFound)))
            }
        }
    }

    /// Gives a file its name in the store. An obstacle, a folder or a file in a folder's place, is set
    /// aside, and folders that have gone are made again.
    async fn name(&self, temporary: &Temporary, id: &ObjectId, format: Format) -> Result<(), StoreError> {
        const DOING: &str = "name an image";
        let path = self.paths.image(id, format);
        let rename = async || glommio::io::rename(temporary.path(), &path).await.map_err(plain);
        let Err(error) = rename().await else { return Ok(()) };
        if !marker::is_nothing(&error) && !obstacle::is_obstacle(&error) {
            return Err(self.note(StoreError::new(DOING, error)));
        }
        // The temporary file's own folder may be what has gone, or the store: then there is nothing to be made.
        self.health.prove_store(self.health.returns()).await?;
        let aside = self.paths.quarantined(id, format, self.quarantine_number());
        obstacle::set_aside(&self.paths, *id, format, aside)
            .await
            .map_err(|error| self.note(StoreError::new("clear the way of an image", error)))?;
        self.forget_directory(id);
        self.prepare_directories(id).await?;
        rename().await.map_err(|error| self.note(StoreError::new(DOING, error)))
    }

    /// Moves a copy that failed its hash out of the way, for good.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be moved; it is then still found, and fails again.
    pub async fn quarantine(&self, id: &ObjectId, original: &Original) -> Result<(), StoreError> {
        let format = original.format;
        self.known.borrow_mut().pop(id);
        self.quarantined.borrow_mut().insert(*id);
        let to = self.paths.quarantined(id, format, self.quarantine_number());
        match glommio::io::rename(self.paths.image(id, format), to).await.map_err(io::Error::from) {
            Ok(()) => {
                self.manifests.record_removed(id);
                Ok(())
            }
            // Another request saw the same damage first.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(StoreError::new("quarantine an image", error)),
        }
    }

    /// Unique over restarts too: the time of day, then a counter.
    fn quarantine_number(&self) -> u64 {
        let serial = self.quarantine_serial.get();
        self.quarantine_serial.set(serial + 1);
        let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        seconds * 1_000 + serial % 1_000
    }

    /// Removes a stored image for good: durable when this returns. A reader that has it open reads it to its end.
    ///
    /// # Errors
    /// [`StoreError`]; the image may be found still.
    pub async fn remove(&self, id: &ObjectId, original: &Original) -> Result<(), StoreError> {
        self.known.borrow_mut().pop(id);
        glommio::io::remove(self.paths.image(id, original.format))
            .await
            .map_err(|error| StoreError::new("remove an image", error))?;
        // Before the sync: the walk must not take it for a loss.
        self.manifests.record_removed(id);
        self.sync_directory(&self.paths.image_directory(id)).await
    }

    /// Removes every file of an image outside `meta/` and the cache, also those in quarantine: durable when this
    /// returns. The caller holds the id's lock, and has it recorded that the image is deleted.
    ///
    /// # Errors
    /// [`StoreError`]; some files may be left.
    pub async fn erase(&self, id: &ObjectId) -> Result<(), StoreError> {
        // A mount that is missing holds files that would be back with it.
        self.health.prove_store(self.health.returns()).await?;
        self.known.borrow_mut().pop(id);
        let (paths, id) = (self.paths.clone(), *id);
        let removed = run_blocking("erase an image", move || erase::remove_files(&paths, &id)).await;
        // The walk must not take it for a loss.
        self.manifests.record_removed(&id);
        removed.unwrap_or(Err(StoreError::Late("erase an image"))).map_err(|error| self.note(error))?;
        self.known.borrow_mut().pop(&id);
        self.quarantined.borrow_mut().remove(&id);
        Ok(())
    }

    /// The copy that is stored already. One that is wrong is set aside.
    async fn before(&self, id: &ObjectId) -> Result<Before, StoreError> {
        // A file that cannot be checked is no reason to refuse good bytes, which take its place.
        let unreadable = |error: StoreError| match error {
            StoreError::Io(..) if !error.is_of_the_process() => Ok(Before::None),
            error => Err(error),
        };
        let found = match self.look(id).await {
            Ok(Found::Here(found)) => found,
            Ok(Found::Absent | Found::Damaged) => return Ok(Before::None),
            Err(error) => return unreadable(error),
        };
        let opened = match self.open(id, found.format).await {
            Ok(opened) => opened,
            Err(error) => return unreadable(error),
        };
        let Some((descriptor, original)) = opened else { return Ok(Before::None) };
        if self.is_verified(id, original.stamp) {
            return Ok(Before::Right(original));
        }
        match FileReader::new(descriptor, original.length).verify(*id, |_| ()).await {
            Ok(true) => {
                self.set_verified(id, original.stamp);
                Ok(Before::Right(original))
            }
            Ok(false) => self.quarantine(id, &original).await.map(|()| Before::SetAside),
            Err(error) => {
                self.known.borrow_mut().pop(id);
                unreadable(error)
            }
        }
    }

    /// Makes `<aa>/<bb>` and syncs it in its parents, once per process and mount: a directory that is there
    /// may have been made by a process that died before its sync.
    async fn prepare_directories(&self, id: &ObjectId) -> Result<(), StoreError> {
        let returns = self.health.returns();
        if self.directories_of.replace(returns) != returns {
            self.directories.borrow_mut().fill(0);
        }
        let (word, bit) = directory_bit(id);
        if self.directories.borrow()[word] & bit != 0 {
            return Ok(());
        }
        for directory in [self.paths.image_parent(id), self.paths.image_directory(id)] {
            match Directory::create(&directory).await.map_err(plain) {
                Ok(made) => drop(made.close().await),
                // A file in its place is seen when the image gets its name.
                Err(error) if marker::is_nothing(&error) || obstacle::is_obstacle(&error) => return Ok(()),
                Err(error) => return Err(self.note(StoreError::new("make a directory", error))),
            }
        }
        self.sync_directory(&self.paths.store()).await?;
        self.sync_directory(&self.paths.image_parent(id)).await?;
        self.directories.borrow_mut()[word] |= bit;
        Ok(())
    }

    fn forget_directory(&self, id: &ObjectId) {
        let (word, bit) = directory_bit(id);
        self.directories.borrow_mut()[word] &= !bit;
    }

    async fn sync_directory(&self, path: &Path) -> Result<(), StoreError> {
        const DOING: &str = "sync a directory";
        let directory =
            Directory::open(path).await.map_err(|error| StoreError::new(DOING, io::Error::from(error)))?;
        directory.sync().await.map_err(|error| self.note(StoreError::unsynced(DOING, error)))?;
        let _ = directory.close().await;
        Ok(())
    }

    fn note(&self, error: StoreError) -> StoreError {
        self.health.note(&error);
        error
    }
}

/// The position of an id's directory in the bit set: the word, and the bit in it.
fn directory_bit(id: &ObjectId) -> (usize, u64) {
    let index = usize::from(u16::from_be_bytes([id.digest()[0], id.digest()[1]]));
    (index / 64, 1 << (index % 64))
}
