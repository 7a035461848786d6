//! A node's disk: the visible files, and the part of them that survives a power cut.

use std::collections::{BTreeMap, BTreeSet};

use reticulum::cluster::erasure::table::ErasureTable;
use reticulum::cluster::protocol::locate::ABSENT_AGE_MAX_MS;
use reticulum::cluster::random::Random;
use reticulum::object::ObjectId;

/// The bytes of an image, as a number: correct ones are [`right_bytes`] of its id.
pub(crate) type Content = u64;

/// The bytes of the image with this id.
pub(crate) fn right_bytes(id: &ObjectId) -> Content {
    let bytes = *id.digest();
    u64::from_be_bytes([bytes[0], bytes[3], bytes[6], bytes[9], bytes[12], bytes[15], bytes[18], bytes[1]])
        | 1
}

/// A file under `store/`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct File {
    pub(crate) content: Content,
    pub(crate) is_data_synced: bool,
    pub(crate) is_name_synced: bool,
}

/// One disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    files: BTreeMap<ObjectId, File>,
    /// The journal of misplaced and under-replicated images.
    misplaced: BTreeSet<ObjectId>,
    /// The ids that the node knows to hold without a look at the files: its manifest, from which digests are made.
    manifest: BTreeSet<ObjectId>,
    /// Images whose files vanished behind the node's back, and when it noticed or got another copy.
    vanished: BTreeMap<ObjectId, Option<u64>>,
    /// The part of it that survives a power cut.
    checkpoint: BTreeSet<ObjectId>,
    /// Files in `tmp/`.
    pub(crate) temporary: usize,
    /// Ids whose damaged copy was moved away.
    pub(crate) quarantine: BTreeSet<ObjectId>,
    /// Those of them that this process has moved away and not processed yet.
    pub(crate) set_aside: Vec<ObjectId>,
    /// The times at which good copies became damaged.
    pub(crate) bad_since: BTreeMap<ObjectId, u64>,
    /// Files that cannot be read.
    pub(crate) unreadable: BTreeSet<ObjectId>,
    /// The erasure records, in `meta/`.
    pub(crate) erasures: ErasureTable,
    pub(crate) layout: Option<Vec<u8>>,
    pub(crate) generation: u64,
    pub(crate) is_full: bool,
    /// There is space for data, but no inode for another directory.
    pub(crate) has_no_inodes: bool,
    /// Nothing can be read.
    pub(crate) reads_fail: bool,
    /// The next sync fails.
    pub(crate) sync_fails: bool,
    /// Milliseconds by which every operation takes longer.
    pub(crate) slowness: u64,
}

/// The result of looking up an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Looked {
    /// Bytes; correct ones if the hash was verified.
    Have(Content),
    /// No such file.
    Nothing,
    /// There is or was a file, or the disk does not answer.
    Failed,
}

impl File {
    pub(crate) fn is_durable(&self) -> bool {
        self.is_data_synced && self.is_name_synced
    }
}

impl Disk {
    pub(crate) fn files(&self) -> &BTreeMap<ObjectId, File> {
        &self.files
    }

    pub(crate) fn misplaced(&self) -> &BTreeSet<ObjectId> {
        &self.misplaced
    }

    pub(crate) fn manifest(&self) -> &BTreeSet<ObjectId> {
        &self.manifest
    }

    /// A copy is durable: the manifest lists it.
    pub(crate) fn list(&mut self, id: ObjectId) {
        if self.files.get(&id).is_some_and(File::is_durable) {
            self.manifest.insert(id);
        }
    }

    /// Compares the manifest with the files, as at every start and in every presence walk. Returns the ids whose files
    /// have vanished.
    pub(crate) fn rebuild_manifest(&mut self) -> Vec<ObjectId> {
        let durable = self.files.iter().filter(|(_, file)| file.is_durable());
        let before = std::mem::replace(&mut self.manifest, durable.map(|(id, _)| *id).collect());
        before.into_iter().filter(|id| !self.files.contains_key(id)).collect()
    }

    /// Whether a file has vanished, and the node may have denied it without knowing so for as long as that counts.
    pub(crate) fn has_vanished_unnoticed(&self, id: &ObjectId, now: u64) -> bool {
        // The other node's clock may be slower than this one's.
        let counts_ms = ABSENT_AGE_MAX_MS + ABSENT_AGE_MAX_MS / 4;
        self.vanished.get(id).is_some_and(|noticed| noticed.is_none_or(|at| now < at + counts_ms))
    }

    /// Makes the manifest durable, as is done now and then.
    pub(crate) fn write_checkpoint(&mut self) {
        self.checkpoint.clone_from(&self.manifest);
    }

    /// A file vanishes behind the node's back.
    pub(crate) fn vanish(&mut self, id: &ObjectId, now: u64) {
        self.files.remove(id);
        self.vanished.insert(*id, self.misplaced.contains(id).then_some(now));
    }

    /// The file, for a change.
    pub(crate) fn file(&mut self, id: &ObjectId) -> Option<&mut File> {
        self.files.get_mut(id)
    }

    pub(crate) fn put(&mut self, id: ObjectId, file: File, now: u64) {
        self.bad_since.remove(&id);
        if let Some(noticed) = self.vanished.get_mut(&id) {
            noticed.get_or_insert(now);
        }
        self.files.insert(id, file);
    }

    pub(crate) fn remove(&mut self, id: &ObjectId) {
        self.files.remove(id);
        self.manifest.remove(id);
    }

    pub(crate) fn record_misplaced(&mut self, id: ObjectId, now: u64) {
        self.misplaced.insert(id);
        if let Some(noticed) = self.vanished.get_mut(&id) {
            noticed.get_or_insert(now);
        }
    }

    /// The record of an image goes.
    pub(crate) fn settle_misplaced(&mut self, id: &ObjectId) {
        self.misplaced.remove(id);
    }

    /// The correct bytes, if they are here; a wrong or unreadable copy is quarantined.
    pub(crate) fn verified(&mut self, id: &ObjectId) -> Option<Content> {
        let content = self.files.get(id)?.content;
        if self.reads_fail {
            return None;
        }
        if content == right_bytes(id) && !self.unreadable.remove(id) {
            return Some(content);
        }
        self.remove(id);
        self.quarantine.insert(*id);
        self.set_aside.push(*id);
        None
    }

    /// The result of a lookup for a client or another node.
    pub(crate) fn look(&mut self, id: &ObjectId, verifies: bool) -> Looked {
        let plain = self.files.get(id).map(|file| file.content);
        match if verifies { self.verified(id) } else { plain } {
            Some(content) => Looked::Have(content),
            None if self.reads_fail || self.quarantine.contains(id) => Looked::Failed,
            None => Looked::Nothing,
        }
    }

    /// The machine lost power: unsynced data are lost or torn.
    pub(crate) fn lose_power(&mut self, random: &mut Random) {
        self.files.retain(|_, file| file.is_name_synced);
        self.manifest.clone_from(&self.checkpoint);
        for file in self.files.values_mut().filter(|file| !file.is_data_synced) {
            file.content = random.next() & !1;
        }
    }

    /// All stored images are lost; the node's identity and layout stay.
    pub(crate) fn lose_everything(&mut self) {
        let (layout, generation) = (self.layout.take(), self.generation);
        let erasures = std::mem::take(&mut self.erasures);
        *self = Self { layout, erasures, generation, ..Self::default() };
    }

    /// Ends all faults of the disk; lost files stay lost.
    pub(crate) fn heal(&mut self) {
        (self.is_full, self.has_no_inodes) = (false, false);
        (self.reads_fail, self.sync_fails, self.slowness) = (false, false, 0);
    }

    /// Whether the disk has no fault.
    pub(crate) fn is_well(&self) -> bool {
        self.has_room() && !self.reads_fail && !self.sync_fails && self.slowness == 0
    }

    /// Whether the disk takes new files.
    pub(crate) fn has_room(&self) -> bool {
        !self.is_full && !self.has_no_inodes
    }

    /// Removes temporary files when the process starts.
    pub(crate) fn sweep(&mut self) {
        self.temporary = 0;
    }
}
