//! A node's disk: what is visible, and what of it would survive a power cut.

use std::collections::{BTreeMap, BTreeSet};

use reticulum::cluster::random::Random;
use reticulum::object::ObjectId;

/// The bytes of an image, as a number: right ones are [`right_bytes`] of its id.
pub(crate) type Content = u64;

/// What an image with this id holds.
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
    pub(crate) files: BTreeMap<ObjectId, File>,
    /// Files in `tmp/`.
    pub(crate) temporary: usize,
    /// Ids of which a damaged copy was moved away.
    pub(crate) quarantine: BTreeSet<ObjectId>,
    /// The strays journal.
    pub(crate) strays: BTreeSet<ObjectId>,
    pub(crate) layout: Option<Vec<u8>>,
    pub(crate) generation: u64,
    pub(crate) is_full: bool,
    /// The next sync fails.
    pub(crate) sync_fails: bool,
    /// Milliseconds that every operation takes longer.
    pub(crate) slowness: u64,
}

impl Disk {
    /// The right bytes, if they are here; a wrong copy goes to quarantine.
    pub(crate) fn verified(&mut self, id: &ObjectId) -> Option<Content> {
        let content = self.files.get(id)?.content;
        if content == right_bytes(id) {
            return Some(content);
        }
        self.files.remove(id);
        self.quarantine.insert(*id);
        None
    }

    /// The machine lost power: what was not synced is gone, or torn.
    pub(crate) fn lose_power(&mut self, random: &mut Random) {
        self.files.retain(|_, file| file.is_name_synced);
        for file in self.files.values_mut().filter(|file| !file.is_data_synced) {
            file.content = random.next() & !1;
        }
    }

    /// The process starts: leftovers go.
    pub(crate) fn sweep(&mut self) {
        self.temporary = 0;
    }
}
