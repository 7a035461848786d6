//! Removes the files of an image from this node's disk: those of the store, and those of the cache. Blocking.
//!
//! The caller holds the id's lock and knows the image to be gone for good: nothing here asks whether it may go. A file is
//! recognised by its name alone, so that what no table knows goes too.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::StoreError;
use super::path::StorePaths;
use crate::object::{Format, ObjectId};

/// The files that were removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Stored images: one, where the store is in order.
    pub images: u64,
    /// Files in quarantine and in `lost+found/`.
    pub others: u64,
}

/// Removes the image's stored files, those in quarantine, and what a former store of this directory has left in
/// `lost+found/`. Durable when this returns, as far as the stored files go.
///
/// # Errors
/// [`StoreError`]; some files may be left, and some may be gone.
pub fn remove_files(paths: &StorePaths, id: &ObjectId) -> Result<Removed, StoreError> {
    let failed = |error| StoreError::new("erase an image", error);
    let mut removed = Removed::default();
    for format in Format::ALL {
        removed.images += u64::from(remove(&paths.image(id, format)).map_err(failed)?);
    }
    // The directory is synced even if nothing was there: a process may have died between the removal and the sync.
    let directory = paths.image_directory(id);
    match File::open(&directory).and_then(|directory| directory.sync_all()) {
        Ok(()) => {}
        Err(error) if is_nothing(&error) => {}
        Err(error) => return Err(StoreError::unsynced("sync a directory", error)),
    }
    removed.others += remove_named(&paths.quarantine(), id).map_err(failed)?;
    for store in former_stores(paths).map_err(failed)? {
        removed.others += remove_named(&store, id).map_err(failed)?;
        removed.others += remove_named(&below(&store, id), id).map_err(failed)?;
    }
    Ok(removed)
}

/// Removes the variants, the placeholder and the decoded planes of an image; how many files.
///
/// # Errors
/// [`StoreError`]; some files may be left.
pub fn remove_variants(paths: &StorePaths, id: &ObjectId) -> Result<u64, StoreError> {
    let [a, b, ..] = *id.digest();
    let directory = paths.cache_directory(u16::from_be_bytes([a, b]));
    let removed = remove_named(&directory, id).map_err(|error| StoreError::new("remove variants", error))?;
    if removed > 0 && fs::remove_dir(&directory).is_ok() {
        // One that is not empty stays.
        let _ = directory.parent().map(fs::remove_dir);
    }
    Ok(removed)
}

/// Removes what is directly below a directory and has the id in its name.
fn remove_named(directory: &Path, id: &ObjectId) -> io::Result<u64> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if is_nothing(&error) => return Ok(0),
        Err(error) => return Err(error),
    };
    let (id, mut removed) = (id.to_string(), 0);
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(|name| name.contains(&id)) {
            removed += u64::from(remove(&entry.path())?);
        }
    }
    Ok(removed)
}

/// Removes a file, or a directory in its place. Whether there was one.
fn remove(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if is_nothing(&error) => Ok(false),
        Err(_) if fs::symlink_metadata(path).is_ok_and(|found| found.is_dir()) => {
            fs::remove_dir_all(path).map(|()| true)
        }
        Err(error) => Err(error),
    }
}

/// Nothing is there: also where a directory on the way is missing, or is a file.
fn is_nothing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Stores that were set aside when their node came back after its removal.
fn former_stores(paths: &StorePaths) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(paths.lost_and_found()) {
        Ok(entries) => entries,
        // That of the file system itself, where the data directory is a mount point: nothing of ours is in it.
        Err(error) if is_nothing(&error) || error.kind() == io::ErrorKind::PermissionDenied => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    entries.map(|entry| entry.map(|entry| entry.path())).collect()
}

/// `<aa>/<bb>` below a store that was set aside.
fn below(store: &Path, id: &ObjectId) -> PathBuf {
    let [a, b, ..] = *id.digest();
    store.join(format!("{a:02x}/{b:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::path::Cached;

    /// A file with this content, in directories that are made.
    fn file(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"x").unwrap();
    }

    /// The files below a directory that have the id in their names.
    fn named(directory: &Path, id: &ObjectId) -> usize {
        let entries = fs::read_dir(directory).into_iter().flatten().map(|entry| entry.unwrap().path());
        entries
            .map(|path| usize::from(path.to_str().unwrap().contains(&id.to_string())) + named(&path, id))
            .sum()
    }

    #[test]
    fn no_file_with_the_id_in_its_name_is_left_and_those_of_others_are() {
        let root = tempfile::tempdir().unwrap();
        let paths = StorePaths::new(root.path());
        // A neighbour in every directory.
        let [one, other] = [1, 2].map(|last| {
            let mut digest = [7; 20];
            digest[19] = last;
            ObjectId::from_digest(digest)
        });
        for id in [one, other] {
            file(&paths.image(&id, Format::Png));
            file(&paths.quarantined(&id, Format::Jpeg, 3));
            file(&paths.cached(&id, &[1; 16], Cached::Variant(Format::Webp)));
            file(&paths.cached(&id, &[2; 16], Cached::Planes));
            file(&below(&paths.lost_and_found().join("1"), &id).join(format!("{id}.png")));
            file(&paths.lost_and_found().join(format!("1-quarantine/{id}.png.1")));
        }
        // Whatever stands in the place of an image.
        fs::create_dir(paths.image(&one, Format::Gif)).unwrap();
        let removed = remove_files(&paths, &one).unwrap();
        assert_eq!(removed, Removed { images: 2, others: 3 });
        assert_eq!(remove_variants(&paths, &one).unwrap(), 2);
        assert_eq!((named(root.path(), &one), named(root.path(), &other)), (0, 6));
        assert_eq!(remove_files(&paths, &one).unwrap(), Removed::default());
        assert_eq!(remove_variants(&paths, &other).unwrap(), 2);
        assert!(!paths.cache().join("07").exists(), "an empty directory of the cache goes");
    }

    #[test]
    fn an_image_of_which_nothing_is_here_is_erased_at_once() {
        let root = tempfile::tempdir().unwrap();
        let paths = StorePaths::new(root.path());
        assert_eq!(remove_files(&paths, &ObjectId::from_digest([7; 20])).unwrap(), Removed::default());
    }
}
