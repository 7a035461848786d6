//! A node that was removed from its cluster, and comes back as a new one. Blocking.
//!
//! A removed id never comes back. What its store holds may have been deleted since, or changed hands, so it is set aside
//! below `lost+found/`: it is neither served nor counted, and nothing of it is removed but what the cluster has deleted.
//! Only an operator asks for this, and only of a node that its cluster has told that it was removed: a mistake costs
//! nothing but the time to look.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::identity::Identity;
use super::open::{Offline, open_offline};
use super::open_error::OpenError;
use super::path::StorePaths;
use super::record;

/// Notes that the cluster has removed the node of this id for good.
///
/// # Errors
/// The system's refusal; it is noted again when the node hears of it again.
pub fn mark_removed(paths: &StorePaths, id: [u8; 16]) -> io::Result<()> {
    record::replace_file(&paths.removed(), print(id).as_bytes())
}

/// Sets the store of a removed node aside, so that the next server on this data directory is a new node. Returns where
/// it lies now. What an earlier call has begun is ended.
///
/// # Errors
/// [`OpenError`]; each says what to do.
pub fn set_aside(root: &Path) -> Result<PathBuf, OpenError> {
    let Offline { paths, .. } = &*open_removed(root)?;
    let id = removed_id(paths)?;
    let refused = |doing, path: &Path| {
        let path = path.to_path_buf();
        move |error| OpenError::Io(doing, path, error)
    };
    let aside = paths.lost_and_found();
    fs::create_dir_all(&aside).map_err(refused("make the directory", &aside))?;
    let store = aside.join(&id);
    move_aside(&paths.store(), &store).map_err(refused("set aside", &paths.store()))?;
    let quarantine = aside.join(format!("{id}-quarantine"));
    move_aside(&paths.quarantine(), &quarantine).map_err(refused("set aside", &paths.quarantine()))?;
    sync(&aside).map_err(refused("sync", &aside))?;
    sync(paths.root()).map_err(refused("sync", paths.root()))?;
    // The next one is no member, and nothing is misplaced on it. It keeps what it knows of deleted images.
    for file in forgotten(paths).map_err(refused("read", &paths.meta()))? {
        remove(&file).map_err(refused("remove", &file))?;
    }
    sync(&paths.meta()).map_err(refused("sync", &paths.meta()))?;
    // The last step: without an identity the directory is a new node's.
    let identity = paths.identity();
    remove(&identity).map_err(refused("remove", &identity))?;
    sync(paths.root()).map_err(refused("sync", paths.root()))?;
    Ok(store)
}

/// The data directory, also where an earlier call has moved its store.
fn open_removed(root: &Path) -> Result<Box<Offline>, OpenError> {
    match open_offline(root) {
        Err(OpenError::StoreGone(path)) if removed_id(&StorePaths::new(&path)).is_ok() => {
            let store = StorePaths::new(&path).store();
            fs::create_dir(&store).map_err(|error| OpenError::Io("make the directory", store, error))?;
            open_offline(root).map(Box::new)
        }
        opened => opened.map(Box::new),
    }
}

/// The id of this directory's node, which was removed.
fn removed_id(paths: &StorePaths) -> Result<String, OpenError> {
    let not_removed = || OpenError::NotRemoved(paths.root().to_path_buf());
    let Some(identity) = Identity::read(paths, "")? else { return Err(not_removed()) };
    let id = print(identity.id);
    match fs::read_to_string(paths.removed()) {
        Ok(removed) if removed == id => Ok(id),
        Ok(_) => Err(not_removed()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(not_removed()),
        Err(error) => Err(OpenError::Io("read", paths.removed(), error)),
    }
}

/// Moves a directory. One that an earlier call has moved is empty or gone.
fn move_aside(from: &Path, to: &Path) -> io::Result<()> {
    if to.exists() {
        return match fs::remove_dir(from) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
    }
    match fs::rename(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The files in `meta/` that belong to the removed node: layout, journals of misplaced replicas, store mark.
fn forgotten(paths: &StorePaths) -> io::Result<Vec<PathBuf>> {
    let mut files = vec![paths.cluster_layout(), paths.store_marked()];
    for entry in fs::read_dir(paths.meta())? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name == "strays" || name.starts_with("strays.") {
            files.push(path);
        }
    }
    Ok(files)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

fn print(id: [u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(id))
}

#[cfg(test)]
mod tests {
    use super::super::open::{DATA_MODE, open};
    use super::*;
    use crate::object::{Format, ObjectId};

    /// A data directory of a member with an image, and its id.
    fn member() -> (tempfile::TempDir, [u8; 16], ObjectId) {
        let (root, id) = (tempfile::tempdir().unwrap(), ObjectId::from_digest([7; 20]));
        let data = open(root.path(), "a", DATA_MODE).unwrap();
        let image = data.paths.image(&id, Format::Png);
        fs::create_dir_all(image.parent().unwrap()).unwrap();
        fs::write(image, b"an image").unwrap();
        for name in ["layout", "strays", "strays.0", "erasures"] {
            fs::write(data.paths.meta().join(name), b"").unwrap();
        }
        (root, data.identity.id, id)
    }

    #[test]
    fn the_store_of_a_removed_node_is_set_aside_and_a_new_node_begins() {
        let (root, id, image) = member();
        let paths = StorePaths::new(&fs::canonicalize(root.path()).unwrap());
        mark_removed(&paths, id).unwrap();
        let aside = set_aside(root.path()).unwrap();
        assert!(aside.join(format!("07/07/{image}.png")).exists());
        let data = open(root.path(), "a", DATA_MODE).unwrap();
        assert_ne!(data.identity.id, id);
        assert!(!data.holds_images && data.misplaced.is_empty() && !data.identity.is_member);
        let left = ["layout", "strays", "strays.0", "erasures"].map(|name| paths.meta().join(name).exists());
        assert_eq!(left, [false, false, false, true]);
        drop(data);
        // The mark is of the old id: the new node keeps its store.
        assert!(matches!(set_aside(root.path()), Err(OpenError::NotRemoved(_))));
    }

    #[test]
    fn a_node_that_was_not_removed_or_is_in_use_keeps_its_store() {
        let (root, id, image) = member();
        let paths = StorePaths::new(&fs::canonicalize(root.path()).unwrap());
        assert!(matches!(set_aside(root.path()), Err(OpenError::NotRemoved(_))));
        mark_removed(&paths, [0; 16]).unwrap();
        assert!(matches!(set_aside(root.path()), Err(OpenError::NotRemoved(_))));
        mark_removed(&paths, id).unwrap();
        let running = open(root.path(), "a", DATA_MODE).unwrap();
        assert!(matches!(set_aside(root.path()), Err(OpenError::InUse(_))));
        drop(running);
        assert!(paths.image(&image, Format::Png).exists());
        assert!(matches!(set_aside(&root.path().join("none")), Err(OpenError::NoData(_))));
    }

    #[test]
    fn what_was_begun_is_ended() {
        let (root, id, image) = member();
        let paths = StorePaths::new(&fs::canonicalize(root.path()).unwrap());
        mark_removed(&paths, id).unwrap();
        // It ended after the store was moved.
        let aside = paths.lost_and_found().join(print(id));
        fs::create_dir(paths.lost_and_found()).unwrap();
        fs::rename(paths.store(), &aside).unwrap();
        assert_eq!(set_aside(root.path()).unwrap(), aside);
        assert!(aside.join(format!("07/07/{image}.png")).exists());
        assert_ne!(open(root.path(), "a", DATA_MODE).unwrap().identity.id, id);
    }
}
