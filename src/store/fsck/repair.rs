//! Repairs faults. Every step is one rename, the removal of a file that is not wanted, or a journal replaced whole. It is
//! synced before it is reported. An image never gets the name of a file that is there.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::examine::claim;
use super::{CheckFault, MetaJournal, Mode, RepairOutcome, below};
use crate::store::path::StorePaths;
use crate::store::{erasures, misplaced};

/// Misplaced files that are remembered until the end, about 200 bytes each.
const DEFERRED_MAX: usize = 1_000_000;

/// The repairs of one check.
#[derive(Debug)]
pub(super) struct Repairs<'a> {
    paths: &'a StorePaths,
    mode: Mode,
    /// The path of a misplaced file and the path where it belongs, both below the data directory.
    deferred: Vec<(PathBuf, PathBuf)>,
    /// For names in quarantine.
    serial: u64,
}

impl<'a> Repairs<'a> {
    pub(super) fn new(paths: &'a StorePaths, mode: Mode) -> Self {
        // Unique over runs: the time of day, then a counter, as the server does it.
        let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        Self { paths, mode, deferred: Vec::new(), serial: seconds * 1_000 }
    }

    /// Mends what can be mended at once. `None`: a misplaced image is moved at the end, when no damaged
    /// one blocks its place any more and the walk cannot meet it twice.
    pub(super) fn repair(&mut self, path: &Path, fault: &CheckFault) -> Option<RepairOutcome> {
        if self.mode == Mode::Check {
            return Some(RepairOutcome::Left);
        }
        Some(match fault {
            CheckFault::WrongHash(_) => self.quarantine(path, path),
            CheckFault::Misplaced(to) if self.deferred.len() < DEFERRED_MAX => {
                self.deferred.push((path.to_path_buf(), self.paths.root().join(to)));
                return None;
            }
            CheckFault::Temporary => {
                fs::remove_file(path).map_or_else(RepairOutcome::Failed, |()| RepairOutcome::Removed)
            }
            CheckFault::Deleted | CheckFault::DamagedIndex => {
                remove(path).map_or_else(RepairOutcome::Failed, |()| RepairOutcome::Removed)
            }
            CheckFault::DamagedJournal(journal) => {
                let rewritten = match journal {
                    MetaJournal::Erasures => erasures::rewrite(self.paths),
                    MetaJournal::Misplaced => misplaced::rewrite(self.paths),
                };
                rewritten
                    .map_or_else(|(_, error)| RepairOutcome::Failed(error), |()| RepairOutcome::Rewritten)
            }
            CheckFault::Misplaced(_)
            | CheckFault::Foreign
            | CheckFault::Unreadable(_)
            | CheckFault::DamagedLayout => RepairOutcome::Left,
        })
    }

    /// The misplaced images, with their places.
    pub(super) fn take_deferred(&mut self) -> Vec<(PathBuf, PathBuf)> {
        std::mem::take(&mut self.deferred)
    }

    /// Moves a right image to its place; into quarantine when the place has its image already. Tells
    /// the bytes of an image that came to its place.
    pub(super) fn replace(&mut self, path: &Path, to: &Path) -> (RepairOutcome, Option<u64>) {
        match self.place(path, to) {
            Ok(bytes) => (RepairOutcome::Moved(below(self.paths, to)), Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => (self.quarantine(path, to), None),
            Err(error) => (RepairOutcome::Failed(error), None),
        }
    }

    fn place(&self, path: &Path, to: &Path) -> io::Result<u64> {
        // A file that was copied here by hand may not be durable yet, and its name must not precede its bytes.
        let file = File::open(path)?;
        file.sync_all()?;
        let length = file.metadata()?.len();
        let directory = to.parent().ok_or(io::ErrorKind::InvalidInput)?;
        fs::create_dir_all(directory)?;
        for made in [Some(directory), directory.parent()].into_iter().flatten() {
            sync_directory(made)?;
        }
        sync_directory(&self.paths.store())?;
        rename(path, to)?;
        Ok(length)
    }

    /// Sets the file at `path` aside as a copy of the image that the name of `named` says.
    fn quarantine(&mut self, path: &Path, named: &Path) -> RepairOutcome {
        match self.set_aside(path, named) {
            Ok(to) => RepairOutcome::Moved(below(self.paths, &to)),
            Err(error) => RepairOutcome::Failed(error),
        }
    }

    fn set_aside(&mut self, path: &Path, named: &Path) -> io::Result<PathBuf> {
        let Some((id, Some(format))) = claim(named) else { return Err(io::ErrorKind::InvalidInput.into()) };
        fs::create_dir_all(self.paths.quarantine())?;
        loop {
            self.serial += 1;
            let to = self.paths.quarantined(&id, format, self.serial);
            match rename(path, &to) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                moved => return moved.map(|()| to),
            }
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path)?;
    path.parent().map_or(Ok(()), sync_directory)
}

/// Renames onto a free name only, and syncs both directories. Nobody else works here: the lock is held.
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    if fs::symlink_metadata(to).is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    fs::rename(from, to)?;
    for directory in [to.parent(), from.parent()].into_iter().flatten() {
        sync_directory(directory)?;
    }
    Ok(())
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
