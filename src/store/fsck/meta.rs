//! Examines what lies below `meta/`, and says which images are deleted.
//!
//! The node makes an index again from the store, skips what is damaged in a journal, and gets its layout again from its
//! cluster. So each fault here costs something and none of them an image.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;

use super::{CheckFault, MetaJournal};
use crate::cluster::erasure::ErasureRecord;
use crate::object::ObjectId;
use crate::store::path::StorePaths;
use crate::store::record::{self, RecordError};
use crate::store::{erasures, manifest, misplaced, scrub};

/// The files below `meta/`.
#[derive(Debug, Default)]
pub(super) struct MetaCheck {
    /// Images that were deleted or banned: nothing of them may be left. 20 bytes each.
    pub(super) gone: HashSet<ObjectId>,
    /// Faults, in order.
    pub(super) faults: Vec<(PathBuf, CheckFault)>,
}

impl MetaCheck {
    /// Looks at all of it. Changes nothing.
    pub(super) fn new(paths: &StorePaths) -> Self {
        let mut check = Self::default();
        if !paths.meta().exists() {
            return check;
        }
        match erasures::inspect(paths) {
            Ok((entries, damaged)) => {
                let records =
                    entries.iter().map(|entry| (entry.id, ErasureRecord::from_bytes(&entry.record)));
                let gone = records.filter(|(_, record)| record.is_some_and(|record| record.is_gone()));
                check.gone = gone.map(|(id, _)| id).collect();
                check.add_damaged(damaged, MetaJournal::Erasures);
            }
            Err(unreadable) => check.add_unreadable(unreadable),
        }
        match misplaced::inspect(paths) {
            Ok(damaged) => check.add_damaged(damaged, MetaJournal::Misplaced),
            Err(unreadable) => check.add_unreadable(unreadable),
        }
        for first in 0..=u8::MAX {
            check.add_index(paths.manifest(first), manifest::is_damaged(paths, first));
        }
        check.add_index(paths.scrub(), scrub::is_damaged(paths));
        match record::read(&paths.cluster_layout()) {
            Ok(_) => {}
            Err(RecordError::Damaged) => {
                check.faults.push((paths.cluster_layout(), CheckFault::DamagedLayout));
            }
            Err(RecordError::Io(error)) => check.add_unreadable((paths.cluster_layout(), error)),
        }
        check
    }

    fn add_damaged(&mut self, files: Vec<PathBuf>, journal: MetaJournal) {
        self.faults.extend(files.into_iter().map(|path| (path, CheckFault::DamagedJournal(journal))));
    }

    fn add_index(&mut self, path: PathBuf, is_damaged: io::Result<bool>) {
        match is_damaged {
            Ok(false) => {}
            Ok(true) => self.faults.push((path, CheckFault::DamagedIndex)),
            Err(error) => self.add_unreadable((path, error)),
        }
    }

    fn add_unreadable(&mut self, (path, error): (PathBuf, io::Error)) {
        self.faults.push((path, CheckFault::Unreadable(error)));
    }
}
