//! Which files lie below `store/` and `tmp/`, and which of deleted images elsewhere, in no particular order. Nothing is
//! opened but directories.

use std::collections::HashSet;
use std::fs::{self, DirEntry};
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::CheckFault;
use crate::object::ObjectId;
use crate::store::marker;
use crate::store::path::StorePaths;

/// Characters of an id.
const ID_CHARACTERS: usize = 40;

/// An entry of the walk.
#[derive(Debug)]
pub(super) enum WalkItem {
    /// A file below `store/`, to be looked into.
    Stored(PathBuf),
    /// An entry that is a fault without being read.
    Faulty(PathBuf, CheckFault),
}

/// Tells `found` of every file until there are none or it breaks off.
pub(super) fn walk(
    paths: &StorePaths,
    gone: &HashSet<ObjectId>,
    found: &mut dyn FnMut(WalkItem) -> ControlFlow<()>,
) -> ControlFlow<()> {
    temporary(paths, found)?;
    if !gone.is_empty() {
        deleted(paths, gone, found)?;
    }
    let mut directories = vec![paths.store()];
    while let Some(directory) = directories.pop() {
        each(&directory, found, &mut |entry, found| {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && !is_of_the_file_system(paths, &path) => directories.push(path),
                Ok(kind) if kind.is_dir() => {}
                Ok(kind) if kind.is_file() && marker::is_marker(paths, &path) => {}
                Ok(kind) if kind.is_file() => found(WalkItem::Stored(path))?,
                // A link or a device; what it leads to is not ours to judge.
                Ok(_) => found(WalkItem::Faulty(path, CheckFault::Foreign))?,
                Err(error) => found(WalkItem::Faulty(path, CheckFault::Unreadable(error)))?,
            }
            ControlFlow::Continue(())
        })?;
    }
    ControlFlow::Continue(())
}

/// Files outside `store/` that have the id of a deleted image in their names.
fn deleted(
    paths: &StorePaths,
    gone: &HashSet<ObjectId>,
    found: &mut dyn FnMut(WalkItem) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let mut directories = vec![paths.quarantine(), paths.lost_and_found(), paths.cache()];
    while let Some(directory) = directories.pop() {
        // That of the file system itself cannot be read, where the data directory is a mount point.
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                directories.push(path);
            } else if entry.file_name().to_str().and_then(id_in).is_some_and(|id| gone.contains(&id)) {
                found(WalkItem::Faulty(path, CheckFault::Deleted))?;
            }
        }
    }
    ControlFlow::Continue(())
}

/// The id with which a name begins.
fn id_in(name: &str) -> Option<ObjectId> {
    ObjectId::parse(name.get(..ID_CHARACTERS)?).ok()
}

fn temporary(paths: &StorePaths, found: &mut dyn FnMut(WalkItem) -> ControlFlow<()>) -> ControlFlow<()> {
    each(&paths.tmp(), found, &mut |entry, found| {
        let directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        found(WalkItem::Faulty(
            entry.path(),
            if directory { CheckFault::Foreign } else { CheckFault::Temporary },
        ))
    })
}

type Visitor<'a> = &'a mut dyn FnMut(WalkItem) -> ControlFlow<()>;

fn each(
    directory: &Path,
    found: Visitor<'_>,
    visit: &mut dyn FnMut(&DirEntry, Visitor<'_>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let unreadable = |error| WalkItem::Faulty(directory.to_path_buf(), CheckFault::Unreadable(error));
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return ControlFlow::Continue(()),
        Err(error) => return found(unreadable(error)),
    };
    for entry in entries {
        match entry {
            Ok(entry) => visit(&entry, found)?,
            // The stream of entries cannot be trusted to go on after this.
            Err(error) => return found(unreadable(error)),
        }
    }
    ControlFlow::Continue(())
}

/// `lost+found`, where `store/` is a disk of its own.
fn is_of_the_file_system(paths: &StorePaths, path: &Path) -> bool {
    path == paths.store().join("lost+found")
}
