//! The survey of one `<aa>`: its directories are compared with its manifest, one at a time. Blocking.
//!
//! Others change the directories meanwhile. Their reports are held back until the survey ends, and are applied then, so
//! that the last word on an image is always that of its last change.

use std::collections::BTreeMap;
use std::io;

use super::record::ManifestEntry;
use super::times::{self, ChangeTimes};
use crate::object::{Format, ObjectId};
use crate::store::directory;
use crate::store::path::StorePaths;

/// Directories of an `<aa>`.
const DIRECTORIES: u16 = 256;

/// A survey under way.
#[derive(Debug)]
pub(super) struct Survey {
    /// The first byte of the ids.
    pub(super) first: u8,
    /// The number of times that the store had come back when this began.
    pub(super) returns: u64,
    /// Directories that have these times are as the manifest says.
    times: Option<ChangeTimes>,
    /// The images by the manifest, in order.
    known: Vec<ManifestEntry>,
    /// The images by the directories so far, in order.
    found: Vec<ManifestEntry>,
    /// Which directories there are, as of the beginning: one look spares a small store 256. A directory that is made later
    /// is made by a shard, whose report says what is in it. `None`: not known.
    present: Option<[bool; 256]>,
    next: u16,
    unread: u32,
}

/// The findings of a survey.
#[derive(Debug)]
pub(super) struct SurveyResult {
    /// All images, in order.
    pub(super) images: Vec<ManifestEntry>,
    /// Those that the manifest does not have, or has otherwise.
    pub(super) added: Vec<ManifestEntry>,
    /// Those that only the manifest has.
    pub(super) missing: Vec<ManifestEntry>,
    /// Directories that cannot be read; their images are as the manifest says.
    pub(super) unread: u32,
}

impl Survey {
    /// Begins the survey of the ids that begin with `first`, of which the manifest knows `known`, in order. `returns` was
    /// taken a moment ago.
    pub(super) fn new(
        paths: &StorePaths,
        first: u8,
        known: Vec<ManifestEntry>,
        times: Option<ChangeTimes>,
        returns: u64,
    ) -> Self {
        let present = directory::present(paths, first).ok();
        Self { first, returns, times, known, found: Vec::new(), present, next: 0, unread: 0 }
    }

    /// Whether every directory was looked at.
    pub(super) fn is_complete(&self) -> bool {
        self.next == DIRECTORIES
    }

    /// The directory that the next step looks at; 256: none is left.
    #[cfg(test)]
    pub(super) fn next_directory(&self) -> u16 {
        self.next
    }

    /// Looks at the next directory.
    pub(super) fn step(&mut self, paths: &StorePaths) {
        let Ok(second) = u8::try_from(self.next) else { return };
        self.next += 1;
        if self.present.is_some_and(|present| !present[usize::from(second)]) {
            return;
        }
        let (first, known) = (self.first, self.known_in(second));
        if self.times.as_ref().is_some_and(|times| times.is_unchanged(paths, first, second)) {
            self.found.extend_from_slice(&self.known[known]);
            return;
        }
        let read = directory::list(paths, [first, second])
            .and_then(|listed| measure(paths, listed, &self.known[known.clone()]));
        match read {
            Ok(found) => self.found.extend(found),
            Err(_) => {
                self.unread += 1;
                self.found.extend_from_slice(&self.known[known]);
            }
        }
    }

    /// The result, once the survey is complete.
    pub(super) fn finish(self) -> SurveyResult {
        assert!(self.is_complete(), "invariant: survey: it ends when all directories were looked at");
        assert!(
            self.found.is_sorted_by(|one, other| one.id < other.id),
            "invariant: survey: each image is found once, in order"
        );
        let Self { known, found, unread, .. } = self;
        let is_known = |entry: &ManifestEntry| find(&known, &entry.id) == Some(entry);
        let added = found.iter().filter(|entry| !is_known(entry)).copied().collect();
        let missing = known.iter().filter(|entry| find(&found, &entry.id).is_none()).copied().collect();
        SurveyResult { images: found, added, missing, unread }
    }

    /// The positions of what the manifest knows of a directory.
    fn known_in(&self, second: u8) -> std::ops::Range<usize> {
        let from = self.known.partition_point(|entry| entry.id.digest()[1] < second);
        let behind = self.known[from..].partition_point(|entry| entry.id.digest()[1] == second);
        from..from + behind
    }
}

fn find<'a>(entries: &'a [ManifestEntry], id: &ObjectId) -> Option<&'a ManifestEntry> {
    entries.binary_search_by(|entry| entry.id.cmp(id)).ok().map(|at| &entries[at])
}

/// The listed images with their lengths. Images do not change, so that a known length is right.
fn measure(
    paths: &StorePaths,
    listed: BTreeMap<ObjectId, Format>,
    known: &[ManifestEntry],
) -> io::Result<Vec<ManifestEntry>> {
    let mut found = Vec::with_capacity(listed.len());
    for (id, format) in listed {
        match find(known, &id).filter(|entry| entry.format == format) {
            Some(entry) => found.push(*entry),
            None => found.extend(times::look(paths, id, format)?),
        }
    }
    Ok(found)
}
