//! The blocking part: listing and removing the files of the cache. Runs on the blocking thread.

use std::fs::{self, ReadDir};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Room;
use super::cost::{self, directory_of};
use super::table::VariantName;
use crate::store::path::{StorePaths, parse_cached_name};

/// Which directories, by the first 16 bits of an id, are the shard's.
pub(super) type IsMine = Arc<dyn Fn(u16) -> bool + Send + Sync>;

/// Files that one step lists or removes: 256 names are 12 kB.
pub(super) const STEP_FILES: usize = 256;

/// After so long a step of the listing ends: others need the blocking thread, too.
const STEP: Duration = Duration::from_millis(2);

/// A file and what it costs.
pub(super) type Costing = (VariantName, u64);

/// The shard's files below `cache/<first>/`, a step at a time.
pub(super) struct VariantListing {
    paths: StorePaths,
    is_mine: IsMine,
    first: u8,
    /// The next directory of the second level; 256 at the end.
    second: u16,
    open: Option<Open>,
}

struct Open {
    number: u16,
    entries: ReadDir,
    holds_files: bool,
}

/// The result of removing files.
#[derive(Debug, Default)]
pub(super) struct Removed {
    /// Files that were there and are gone.
    pub(super) files: u64,
    /// The room of these, and of their directories' inodes.
    pub(super) room: Room,
    /// Why some could not be removed, if any.
    pub(super) fault: Option<io::Error>,
}

impl VariantListing {
    pub(super) fn new(paths: StorePaths, is_mine: IsMine, first: u8) -> Self {
        Self { paths, is_mine, first, second: 0, open: None }
    }

    /// Some more files; `None` when all were listed. Removes directories in which there is none.
    pub(super) fn step(&mut self) -> Option<Vec<Costing>> {
        let (began, mut found) = (Instant::now(), Vec::new());
        while found.len() < STEP_FILES && (found.is_empty() || began.elapsed() < STEP) {
            let Some(open) = &mut self.open else {
                if !self.open_next() {
                    return (!found.is_empty()).then_some(found);
                }
                continue;
            };
            match open.entries.next() {
                Some(entry) => {
                    if let Some(file) = entry.ok().and_then(|entry| costing(&entry, open.number)) {
                        open.holds_files = true;
                        found.push(file);
                    }
                }
                None => {
                    if !open.holds_files {
                        remove_directory(&self.paths, open.number);
                    }
                    self.open = None;
                }
            }
        }
        Some(found)
    }

    /// Opens the next directory that there is; `false` at the end.
    fn open_next(&mut self) -> bool {
        while let Ok(second) = u8::try_from(self.second) {
            self.second += 1;
            let number = u16::from_be_bytes([self.first, second]);
            if (self.is_mine)(number)
                && let Ok(entries) = fs::read_dir(self.paths.cache_directory(number))
            {
                self.open = Some(Open { number, entries, holds_files: false });
                return true;
            }
        }
        false
    }
}

/// A file of ours in its place; other files are not this program's.
fn costing(entry: &fs::DirEntry, number: u16) -> Option<Costing> {
    let name = parse_cached_name(entry.file_name().to_str()?)?;
    let found = entry.metadata().ok()?;
    let in_place = found.is_file() && directory_of(&name.0) == number;
    in_place.then(|| (name, cost::of_file(found.len(), found.blocks() * 512)))
}

/// Removes files, and then the directories of those that are marked, if nothing is in them any more.
pub(super) fn remove(paths: &StorePaths, victims: &[(Costing, bool)]) -> Removed {
    let mut removed = Removed::default();
    for (((id, key, cached), bytes), _) in victims {
        match fs::remove_file(paths.cached(id, key, *cached)) {
            Ok(()) => {
                removed.files += 1;
                removed.room.bytes += bytes;
                removed.room.inodes += 1;
            }
            // Gone already, with the whole cache perhaps: that is no fault.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => removed.fault = Some(error),
        }
    }
    for ((name, _), _) in victims.iter().filter(|(_, is_last)| *is_last) {
        removed.room.inodes += remove_directory(paths, directory_of(&name.0));
    }
    removed
}

/// Removes a directory and the one above, if they are empty: one that is not stays. How many.
fn remove_directory(paths: &StorePaths, number: u16) -> u64 {
    let directory = paths.cache_directory(number);
    if fs::remove_dir(&directory).is_err() {
        return 0;
    }
    1 + u64::from(directory.parent().is_some_and(|parent| fs::remove_dir(parent).is_ok()))
}
