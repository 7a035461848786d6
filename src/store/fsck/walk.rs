//! Which files lie below `store/` and `tmp/`, in no particular order. Nothing is opened but directories.

use std::fs::{self, DirEntry};
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::Fault;
use crate::store::marker;
use crate::store::path::Layout;

/// What lies somewhere.
#[derive(Debug)]
pub(super) enum Item {
    /// A file below `store/`, to be looked into.
    Stored(PathBuf),
    /// What needs no look.
    Faulty(PathBuf, Fault),
}

/// Tells `found` of every file until there are none or it breaks off.
pub(super) fn walk(layout: &Layout, found: &mut dyn FnMut(Item) -> ControlFlow<()>) -> ControlFlow<()> {
    temporary(layout, found)?;
    let mut directories = vec![layout.store()];
    while let Some(directory) = directories.pop() {
        each(&directory, found, &mut |entry, found| {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && !is_of_the_file_system(layout, &path) => directories.push(path),
                Ok(kind) if kind.is_dir() => {}
                Ok(kind) if kind.is_file() && marker::is_marker(layout, &path) => {}
                Ok(kind) if kind.is_file() => found(Item::Stored(path))?,
                // A link or a device; what it leads to is not ours to judge.
                Ok(_) => found(Item::Faulty(path, Fault::Foreign))?,
                Err(error) => found(Item::Faulty(path, Fault::Unreadable(error)))?,
            }
            ControlFlow::Continue(())
        })?;
    }
    ControlFlow::Continue(())
}

fn temporary(layout: &Layout, found: &mut dyn FnMut(Item) -> ControlFlow<()>) -> ControlFlow<()> {
    each(&layout.tmp(), found, &mut |entry, found| {
        let directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        found(Item::Faulty(entry.path(), if directory { Fault::Foreign } else { Fault::Temporary }))
    })
}

type Found<'a> = &'a mut dyn FnMut(Item) -> ControlFlow<()>;

fn each(
    directory: &Path,
    found: Found<'_>,
    visit: &mut dyn FnMut(&DirEntry, Found<'_>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let unreadable = |error| Item::Faulty(directory.to_path_buf(), Fault::Unreadable(error));
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
fn is_of_the_file_system(layout: &Layout, path: &Path) -> bool {
    path == layout.store().join("lost+found")
}
