//! Opening a data directory: made if missing, locked, identified, swept; or, for a check, only locked.
//!
//! This runs once, before any executor starts, and so may block.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::erasures::{self, ErasureEntry};
use super::identity::Identity;
use super::marker::{self, MarkerInode};
use super::misplaced;
use super::open_error::OpenError;
use super::path::{FORMAT_LINE, StorePaths, parse_image_name};
use crate::object::ObjectId;

/// Permissions of directories, unless configured otherwise.
pub const DATA_MODE: u32 = 0o700;

/// An opened data directory. The lock is held until this is dropped (or the process ends).
#[derive(Debug)]
pub struct DataDirectory {
    /// The paths of the data directory.
    pub paths: StorePaths,
    /// Its node; this start is counted durably.
    pub identity: Identity,
    /// Whether any image is stored.
    pub holds_images: bool,
    /// Ids of which a copy failed its hash and lies in quarantine.
    pub quarantined: Vec<ObjectId>,
    /// Ids that others own and of which a copy lies here.
    pub misplaced: Vec<ObjectId>,
    /// Images that were deleted or banned, each once.
    pub erasures: Vec<ErasureEntry>,
    /// The inode of the store's marker.
    pub marker: MarkerInode,
    _lock: File,
}

/// A data directory that no server uses while this lives. Nothing in it was changed.
#[derive(Debug)]
pub struct Offline {
    /// The paths of the data directory.
    pub paths: StorePaths,
    _lock: File,
}

/// Opens (and if missing makes) the data directory `root` of a node of `cluster`, and counts the start. Directories
/// get the permissions `mode` (files go by the process's mask, see [`mask`]).
///
/// # Errors
/// [`OpenError`]; each says what to do.
pub fn open(root: &Path, cluster: &str, mode: u32) -> Result<DataDirectory, OpenError> {
    let made = |path: &Path| {
        DirBuilder::new()
            .recursive(true)
            .mode(mode)
            .create(path)
            .map_err(|error| OpenError::Io("make the directory", path.to_path_buf(), error))
    };
    made(root)?;
    let root = fs::canonicalize(root)
        .map_err(|error| OpenError::Io("resolve the directory", root.to_path_buf(), error))?;
    let lock = lock(&root)?;
    let paths = StorePaths::new(&root);
    let mut identity = identify(&paths, cluster)?;
    for directory in [paths.store(), paths.cache(), paths.tmp(), paths.quarantine(), paths.meta()] {
        made(&directory)?;
        restrict(&directory, mode);
    }
    let marker = with_room(&paths.cache(), || mark(&paths, &identity))?;
    sweep(&paths.tmp())?;
    let quarantined = list_quarantined(&paths.quarantine())?;
    let misplaced = misplaced::load(&paths).map_err(|(path, error)| OpenError::Io("read", path, error))?;
    let erasures = erasures::load(&paths).map_err(|(path, error)| OpenError::Io("read", path, error))?;
    let holds_images = holds_images(&paths.store());
    // Others tell this life from the last one by it. This syncs the names of the directories too.
    identity.generation += 1;
    with_room(&paths.cache(), || identity.write(&root))?;
    Ok(DataDirectory { paths, identity, holds_images, quarantined, misplaced, erasures, marker, _lock: lock })
}

/// The mask of the process under which new files get the permissions `mode` without the right to run them.
pub const fn mask(mode: u32) -> u32 {
    !mode & 0o777
}

/// Gives a directory of ours these permissions, which an older version made with others. Of the data directory itself
/// that is the operator's affair: it may be a mount point or hold more than ours.
fn restrict(directory: &Path, mode: u32) {
    let restricted = fs::metadata(directory).and_then(|metadata| {
        let is_right = metadata.mode() & 0o7777 == mode;
        if is_right { Ok(()) } else { fs::set_permissions(directory, fs::Permissions::from_mode(mode)) }
    });
    if let Err(error) = restricted {
        log::warn!(path:% = directory.display(), error:% = error; "cannot set the permissions of a data directory to node.data_mode; set them by hand, or set the key to what they are");
    }
}

/// Marks the store of a new node or of an older version, and refuses one that is not this node's.
fn mark(paths: &StorePaths, identity: &Identity) -> Result<MarkerInode, OpenError> {
    let io = |error| OpenError::Io("read", paths.store_marker(), error);
    let look = || marker::look(paths, identity.id).map_err(io);
    let is_new = identity.generation == 0;
    match look()? {
        marker::MarkerState::Own(place) => return Ok(place),
        marker::MarkerState::Foreign if !is_new => {
            return Err(OpenError::StoreForeign(paths.root().to_path_buf()));
        }
        marker::MarkerState::Nothing
            if !is_new && marker::was_written(paths) && marker::is_empty(paths).map_err(io)? =>
        {
            return Err(OpenError::StoreEmpty(paths.root().to_path_buf()));
        }
        marker::MarkerState::Foreign | marker::MarkerState::Nothing => {}
    }
    marker::write(paths, identity.id).map_err(|error| OpenError::Io("write", paths.store_marker(), error))?;
    match look()? {
        marker::MarkerState::Own(place) => Ok(place),
        // Something else writes there at this moment.
        marker::MarkerState::Foreign | marker::MarkerState::Nothing => {
            Err(OpenError::StoreForeign(paths.root().to_path_buf()))
        }
    }
}

/// Locks the data directory `root`, which must be one, and leaves everything else as it is.
///
/// # Errors
/// [`OpenError`]; each says what to do.
pub fn open_offline(root: &Path) -> Result<Offline, OpenError> {
    let no_data = || OpenError::NoData(root.to_path_buf());
    let root = fs::canonicalize(root).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => no_data(),
        _ => OpenError::Io("resolve the directory", root.to_path_buf(), error),
    })?;
    let paths = StorePaths::new(&root);
    if !is_identified(&paths)? && !paths.store().is_dir() {
        return Err(no_data());
    }
    let lock = lock(&root)?;
    Ok(Offline { paths, _lock: lock })
}

fn lock(root: &Path) -> Result<File, OpenError> {
    let path = root.join("lock");
    // Held open for reading only: a file that is open for writing keeps the disk from being mounted read-only.
    let file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let made = File::options().create(true).truncate(false).write(true).open(&path);
            made.and_then(|_| File::open(&path))
        }
        opened => opened,
    };
    let file = file.map_err(|error| OpenError::Io("open the lock file", path.clone(), error))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(OpenError::InUse(root.to_path_buf())),
        Err(error) => Err(OpenError::Io("lock", path, error.into())),
    }
}

fn identify(paths: &StorePaths, cluster: &str) -> Result<Identity, OpenError> {
    let found = if is_identified(paths)? { Identity::read(paths, cluster)? } else { None };
    let Some(identity) = found else {
        // Its name must be durable before there is an identity that wants it.
        let store = paths.store();
        fs::create_dir_all(&store).map_err(|error| OpenError::Io("make the directory", store, error))?;
        sync_directory(paths.root())?;
        let new = |error| OpenError::Io("make a new identity for", paths.root().to_path_buf(), error);
        return Identity::new(cluster).map_err(new);
    };
    if identity.cluster == cluster {
        Ok(identity)
    } else {
        let (path, wanted) = (paths.root().to_path_buf(), cluster.to_owned());
        Err(OpenError::ForeignCluster(path, identity.cluster, wanted))
    }
}

/// Whether there is a `node.id`. A directory with one must have its store: an empty mount point under
/// an old identity would look like a node that lost everything.
fn is_identified(paths: &StorePaths) -> Result<bool, OpenError> {
    let path = paths.identity();
    match fs::read_to_string(&path) {
        Ok(text) if text.lines().next() != Some(FORMAT_LINE) => {
            Err(OpenError::Format(path, text.lines().next().unwrap_or_default().chars().take(40).collect()))
        }
        Ok(_) if !paths.store().is_dir() => Err(OpenError::StoreGone(paths.root().to_path_buf())),
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(OpenError::Io("read", path, error)),
    }
}

/// Writes; on a full disk again and again, with less of the variant cache each time. A node whose disk is full has to
/// be able to start, for it serves what it has.
pub(super) fn with_room<T>(cache: &Path, write: impl Fn() -> Result<T, OpenError>) -> Result<T, OpenError> {
    let mut parts = fs::read_dir(cache).into_iter().flatten().flatten().map(|entry| entry.path());
    loop {
        match write() {
            Err(OpenError::Io(doing, path, error)) if error.kind() == io::ErrorKind::StorageFull => {
                let Some(part) = parts.next() else { return Err(OpenError::Io(doing, path, error)) };
                // A variant that cannot be removed is left.
                let _ = fs::remove_dir_all(part);
            }
            written => return written,
        }
    }
}

/// Whether there is any image: the first one that is met answers, and what cannot be looked into may hold one. Only
/// a store of which everything was deleted is walked, and then it has directories alone.
fn holds_images(store: &Path) -> bool {
    let list = |path: &Path| fs::read_dir(path).map(|entries| entries.flatten().map(|entry| entry.path()));
    let is_image = |path: &PathBuf| {
        path.file_name().and_then(|name| parse_image_name(name.to_str()?)).is_some() && path.is_file()
    };
    let any = |path: &Path, holds: &dyn Fn(&PathBuf) -> bool| {
        list(path).map_or(true, |mut entries| entries.any(|entry| holds(&entry)))
    };
    let directory_holds = |path: &PathBuf| path.is_dir() && any(path, &is_image);
    any(store, &|parent| parent.is_dir() && any(parent, &directory_holds))
}

fn sweep(directory: &Path) -> Result<(), OpenError> {
    let io = |error| OpenError::Io("sweep", directory.to_path_buf(), error);
    for entry in fs::read_dir(directory).map_err(io)? {
        fs::remove_file(entry.map_err(io)?.path()).map_err(io)?;
    }
    Ok(())
}

pub(super) fn sync_directory(directory: &Path) -> Result<(), OpenError> {
    File::open(directory)
        .and_then(|file| file.sync_all())
        .map_err(|error| OpenError::Io("sync", directory.to_path_buf(), error))
}

fn list_quarantined(directory: &Path) -> Result<Vec<ObjectId>, OpenError> {
    let io = |error| OpenError::Io("list", directory.to_path_buf(), error);
    let mut ids = Vec::new();
    for entry in fs::read_dir(directory).map_err(io)? {
        let name = entry.map_err(io)?.file_name();
        if let Some(id) = name.to_str().and_then(|name| ObjectId::parse(name.get(..40)?).ok()) {
            ids.push(id);
        }
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_opening_is_refused_until_the_first_is_dropped() {
        let root = tempfile::tempdir().unwrap();
        let first = open(root.path(), "a", DATA_MODE).unwrap();
        assert!(matches!(open(root.path(), "a", DATA_MODE), Err(OpenError::InUse(_))));
        drop(first);
        open(root.path(), "a", DATA_MODE).unwrap();
    }

    #[test]
    fn temporary_files_are_swept_and_identity_is_kept() {
        let root = tempfile::tempdir().unwrap();
        drop(open(root.path(), "a", DATA_MODE).unwrap());
        let first = Identity::read(&StorePaths::new(root.path()), "a").unwrap().unwrap();
        fs::write(root.path().join("tmp/0-7"), b"half an upload").unwrap();
        let second = open(root.path(), "a", DATA_MODE).unwrap().identity;
        assert_eq!(fs::read_dir(root.path().join("tmp")).unwrap().count(), 0);
        // But the start is counted, durably.
        assert_eq!((first.generation, second.generation), (1, 2));
        assert_eq!(Identity { generation: 2, ..first }, second);
        assert_eq!(Identity::read(&StorePaths::new(root.path()), "a").unwrap().unwrap(), second);
    }

    #[test]
    fn a_missing_store_under_an_identity_is_refused() {
        let root = tempfile::tempdir().unwrap();
        drop(open(root.path(), "a", DATA_MODE).unwrap());
        fs::remove_dir_all(root.path().join("store")).unwrap();
        assert!(matches!(open(root.path(), "a", DATA_MODE), Err(OpenError::StoreGone(_))));
    }

    #[test]
    fn a_directory_of_another_cluster_is_refused_and_no_start_is_counted() {
        let root = tempfile::tempdir().unwrap();
        drop(open(root.path(), "a", DATA_MODE).unwrap());
        let error = open(root.path(), "b", DATA_MODE).unwrap_err().to_string();
        assert!(error.contains("\"a\"") && error.contains("cluster.name"), "{error}");
        assert_eq!(open(root.path(), "a", DATA_MODE).unwrap().identity.generation, 2);
    }

    #[test]
    fn a_damaged_identity_is_refused() {
        let root = tempfile::tempdir().unwrap();
        drop(open(root.path(), "a", DATA_MODE).unwrap());
        fs::write(root.path().join("node.id"), "reticulum 1\nid 00\n").unwrap();
        assert!(matches!(open(root.path(), "a", DATA_MODE), Err(OpenError::Identity(_))));
    }

    #[test]
    fn on_a_full_disk_the_variant_cache_makes_room_as_far_as_needed() {
        let root = tempfile::tempdir().unwrap();
        let count = || fs::read_dir(root.path()).unwrap().count();
        let write_below = |parts| {
            let full = || OpenError::Io("write", PathBuf::new(), io::ErrorKind::StorageFull.into());
            with_room(root.path(), || if count() < parts { Ok(()) } else { Err(full()) })
        };
        for part in 0..5 {
            fs::create_dir_all(root.path().join(format!("{part:02x}/00"))).unwrap();
        }
        assert!(write_below(6).is_ok() && count() == 5);
        assert!(write_below(4).is_ok() && count() == 3);
        assert!(write_below(0).is_err() && count() == 0);
    }

    #[test]
    fn one_image_in_its_place_is_enough_to_hold_images() {
        let root = tempfile::tempdir().unwrap();
        assert!(!open(root.path(), "a", DATA_MODE).unwrap().holds_images);
        let directory = root.path().join("store/da/39");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("note.txt"), "").unwrap();
        assert!(!open(root.path(), "a", DATA_MODE).unwrap().holds_images);
        fs::write(directory.join("da39a3ee5e6b4b0d3255bfef95601890afd80709.png"), "").unwrap();
        assert!(open(root.path(), "a", DATA_MODE).unwrap().holds_images);
    }

    #[test]
    fn an_empty_folder_in_place_of_the_store_is_refused_and_an_older_versions_store_is_marked() {
        let root = tempfile::tempdir().unwrap();
        drop(open(root.path(), "a", DATA_MODE).unwrap());
        let (store, away) = (root.path().join("store"), root.path().join("away"));
        fs::rename(&store, &away).unwrap();
        for directory in ["store", "store/lost+found"] {
            fs::create_dir(root.path().join(directory)).unwrap();
            let error = open(root.path(), "a", DATA_MODE).unwrap_err();
            assert!(matches!(error, OpenError::StoreEmpty(_)), "{error}");
        }
        // An operator who restores images by hand may leave the marker out.
        fs::create_dir(store.join("da")).unwrap();
        drop(open(root.path(), "a", DATA_MODE).unwrap());
        fs::remove_dir_all(&store).unwrap();
        fs::rename(&away, &store).unwrap();
        drop(open(root.path(), "a", DATA_MODE).unwrap());
        // As an older version left it.
        fs::remove_file(store.join(".reticulum")).unwrap();
        fs::remove_file(root.path().join("meta/store-marked")).unwrap();
        drop(open(root.path(), "a", DATA_MODE).unwrap());
        assert!(store.join(".reticulum").exists());
    }

    #[test]
    fn another_nodes_store_is_refused_unless_the_node_is_new() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for root in [&one, &two] {
            drop(open(root.path(), "a", DATA_MODE).unwrap());
        }
        fs::remove_dir_all(one.path().join("store")).unwrap();
        fs::rename(two.path().join("store"), one.path().join("store")).unwrap();
        assert!(matches!(open(one.path(), "a", DATA_MODE), Err(OpenError::StoreForeign(_))));
        fs::remove_file(one.path().join("node.id")).unwrap();
        let taken = open(one.path(), "a", DATA_MODE).unwrap();
        let found = marker::look(&taken.paths, taken.identity.id).unwrap();
        assert_eq!(found, marker::MarkerState::Own(taken.marker));
    }

    #[test]
    fn directories_have_the_permissions_that_are_asked_for() {
        let root = tempfile::tempdir().unwrap();
        let data = root.path().join("data");
        let mode = |name: &str| fs::metadata(data.join(name)).unwrap().mode() & 0o7777;
        let folders = ["store", "cache", "tmp", "quarantine", "meta"];
        for asked in [0o700, 0o750] {
            drop(open(&data, "a", asked).unwrap());
            assert_eq!(folders.map(mode), [asked; 5]);
            // Files that an older version or another program made.
            fs::set_permissions(data.join("store"), fs::Permissions::from_mode(0o755)).unwrap();
        }
        assert_eq!(mode("."), 0o700);
        assert_eq!((mask(0o700), mask(0o750)), (0o077, 0o027));
    }

    #[test]
    fn a_directory_of_a_newer_format_is_refused() {
        let root = tempfile::tempdir().unwrap();
        drop(open(root.path(), "a", DATA_MODE).unwrap());
        fs::write(root.path().join("node.id"), "reticulum 2\n").unwrap();
        assert!(matches!(open(root.path(), "a", DATA_MODE), Err(OpenError::Format(..))));
    }

    #[test]
    fn offline_nothing_is_made_or_swept_and_no_server_can_start() {
        let root = tempfile::tempdir().unwrap();
        assert!(matches!(open_offline(root.path()), Err(OpenError::NoData(_))));
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
        drop(open(root.path(), "a", DATA_MODE).unwrap());
        fs::write(root.path().join("tmp/0-7"), b"half an upload").unwrap();
        let offline = open_offline(root.path()).unwrap();
        assert!(root.path().join("tmp/0-7").exists());
        assert!(matches!(open(root.path(), "a", DATA_MODE), Err(OpenError::InUse(_))));
        drop(offline);
        fs::remove_dir_all(root.path().join("store")).unwrap();
        assert!(matches!(open_offline(root.path()), Err(OpenError::StoreGone(_))));
    }

    #[test]
    fn a_file_in_the_place_of_the_directory_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = open(file.path(), "a", DATA_MODE).unwrap_err();
        assert!(error.to_string().contains("--data"), "{error}");
    }
}
