//! The journal of erasure records (`meta/erasures`): which images were deleted or banned, and of which of them this node
//! has removed all files.
//!
//! A record is durable before the node confirms it, and before it removes the first file. Each shard appends to a file of
//! its own; at the start all of them become one again. An entry is 48 bytes with a checksum of its own, so what is torn or
//! damaged is skipped and nothing else is lost with it. The meaning of the 17 bytes of a record is the caller's.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use super::StoreError;
use super::journal::{EntryJournal, JournalFiles, JournalKind};
use super::path::StorePaths;
use crate::object::ObjectId;

const MAGIC: [u8; 4] = *b"RTE1";
const ENTRY_BYTES: usize = 48;
/// The bytes of a record.
const RECORD_BYTES: usize = 17;
/// The bytes under the checksum: magic, kind, id, record, two zeros.
const CHECKED_BYTES: usize = ENTRY_BYTES - 4;

const _: () = assert!(
    CHECKED_BYTES == 4 + 1 + 20 + RECORD_BYTES + 2,
    "invariant: erasures: an entry ends in a record, two zeros and its checksum"
);

static KIND: JournalKind<ENTRY_BYTES> = JournalKind {
    name: "erasures",
    make: "make the erasures journal",
    write: "write the erasures journal",
    sync: "sync the erasures journal",
    is_entry: |bytes| ErasureEntry::from_bytes(bytes).is_some(),
};

/// A record as it is stored.
pub type RecordBytes = [u8; RECORD_BYTES];

/// One entry of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErasureEntry {
    /// Of which image.
    pub id: ObjectId,
    /// The known state of it.
    pub record: RecordBytes,
    /// Whether no file of the image is left on this node. An entry without this says that some may be.
    pub is_erased: bool,
}

/// One shard's part of the journal.
#[derive(Debug)]
pub struct ErasureJournal(EntryJournal<ENTRY_BYTES>);

impl ErasureJournal {
    /// The part of shard number `shard`; its file is made with the first entry.
    pub fn new(paths: StorePaths, shard: usize) -> Self {
        Self(EntryJournal::new(&KIND, paths, shard))
    }

    /// Appends entries, in one write and one sync. Durable when this returns.
    ///
    /// # Errors
    /// [`StoreError`]; some of them may be durable.
    pub async fn append(&self, entries: &[ErasureEntry]) -> Result<(), StoreError> {
        let entries: Vec<_> = entries.iter().map(|entry| entry.to_bytes()).collect();
        if entries.is_empty() { Ok(()) } else { self.0.append(&entries, true).await }
    }

    /// Appends an entry, which a power cut may lose.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn append_unsynced(&self, entry: ErasureEntry) -> Result<(), StoreError> {
        self.0.append(&[entry.to_bytes()], false).await
    }
}

impl ErasureEntry {
    fn to_bytes(self) -> [u8; ENTRY_BYTES] {
        let mut bytes = [0; ENTRY_BYTES];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4] = 1 + u8::from(self.is_erased);
        bytes[5..25].copy_from_slice(self.id.digest());
        bytes[25..25 + RECORD_BYTES].copy_from_slice(&self.record);
        let checksum = crc32fast::hash(&bytes[..CHECKED_BYTES]);
        bytes[CHECKED_BYTES..].copy_from_slice(&checksum.to_be_bytes());
        assert!(
            Self::from_bytes(&bytes) == Some(self),
            "invariant: erasures: an entry reads back as it was written"
        );
        bytes
    }

    fn from_bytes(bytes: &[u8; ENTRY_BYTES]) -> Option<Self> {
        let (checked, checksum) = bytes.split_at(CHECKED_BYTES);
        if !checked.starts_with(&MAGIC) || crc32fast::hash(checked).to_be_bytes() != *checksum {
            return None;
        }
        let is_erased = match checked[4] {
            1 => false,
            2 => true,
            _ => return None,
        };
        let id = ObjectId::from_digest(checked[5..25].try_into().ok()?);
        Some(Self { id, record: checked[25..25 + RECORD_BYTES].try_into().ok()?, is_erased })
    }
}

/// The entries of the last run, one for each id, and one file in place of all: before any shard appends. Blocking. An id
/// belongs to one shard of a run, and a shard appends what it has merged, so the last record of an id is the one that
/// counts.
///
/// # Errors
/// The path that the system refuses, and why.
pub(super) fn load(paths: &StorePaths) -> Result<Vec<ErasureEntry>, (PathBuf, io::Error)> {
    let files = JournalFiles::find(&KIND, paths)?;
    let (entries, _damaged) = replay(&files)?;
    if files.has_parts() {
        files.unite(entries.values().map(|entry| entry.to_bytes()))?;
    }
    Ok(entries.into_values().collect())
}

/// The entries, one for each id, and the files in which something else stands, too. Nothing is changed. Blocking.
///
/// # Errors
/// The path that the system refuses, and why.
pub(super) fn inspect(paths: &StorePaths) -> Result<(Vec<ErasureEntry>, Vec<PathBuf>), (PathBuf, io::Error)> {
    let (entries, damaged) = replay(&JournalFiles::find(&KIND, paths)?)?;
    Ok((entries.into_values().collect(), damaged))
}

/// Puts one file with the whole entries in place of all. Blocking.
///
/// # Errors
/// The path that the system refuses, and why.
pub(super) fn rewrite(paths: &StorePaths) -> Result<(), (PathBuf, io::Error)> {
    let files = JournalFiles::find(&KIND, paths)?;
    let (entries, _damaged) = replay(&files)?;
    files.unite(entries.values().map(|entry| entry.to_bytes()))
}

/// The bytes of these entries in a journal.
#[cfg(test)]
pub(super) fn encoded(entries: impl Iterator<Item = ErasureEntry>) -> Vec<u8> {
    entries.flat_map(ErasureEntry::to_bytes).collect()
}

type Entries = BTreeMap<ObjectId, ErasureEntry>;

fn replay(files: &JournalFiles) -> Result<(Entries, Vec<PathBuf>), (PathBuf, io::Error)> {
    let mut entries = Entries::new();
    let damaged = files.replay(&KIND, |bytes| {
        let Some(entry) = ErasureEntry::from_bytes(bytes) else { return };
        let known = entries.entry(entry.id).or_insert(entry);
        // Files are removed while another record may be on its way here: the mark counts for the record that it names.
        if !entry.is_erased || known.record == entry.record {
            *known = entry;
        }
    })?;
    Ok((entries, damaged))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use glommio::{LocalExecutorBuilder, Placement};
    use proptest::prelude::*;

    use super::*;

    fn entry(id: u8, record: u8, is_erased: bool) -> ErasureEntry {
        ErasureEntry { id: ObjectId::from_digest([id; 20]), record: [record; RECORD_BYTES], is_erased }
    }

    fn paths(root: &tempfile::TempDir) -> StorePaths {
        let paths = StorePaths::new(root.path());
        fs::create_dir_all(paths.meta()).unwrap();
        paths
    }

    fn run<T>(work: impl Future<Output = T>) -> T {
        let executor = LocalExecutorBuilder::new(Placement::Unbound).io_memory(64 << 10).make().unwrap();
        executor.run(work)
    }

    #[test]
    fn the_last_entry_of_an_id_is_read_back_after_any_number_of_starts() {
        let root = tempfile::tempdir().unwrap();
        let paths = paths(&root);
        let (one, two) = (ErasureJournal::new(paths.clone(), 0), ErasureJournal::new(paths.clone(), 1));
        run(async move {
            one.append(&[entry(1, 1, false), entry(2, 1, false)]).await.unwrap();
            one.append(&[entry(1, 1, true)]).await.unwrap();
            two.append(&[entry(3, 1, false)]).await.unwrap();
            two.append(&[]).await.unwrap();
        });
        let all = vec![entry(1, 1, true), entry(2, 1, false), entry(3, 1, false)];
        for _ in 0..2 {
            assert_eq!(load(&paths).unwrap(), all);
            assert_eq!(fs::read_dir(paths.meta()).unwrap().count(), 1, "one file in place of all");
        }
        let again = ErasureJournal::new(paths.clone(), 0);
        run(async move {
            again.append(&[entry(2, 9, false)]).await.unwrap();
            again.append_unsynced(entry(2, 1, true)).await.unwrap();
        });
        assert_eq!(
            load(&paths).unwrap()[1],
            entry(2, 9, false),
            "a mark does not bring an older record back"
        );
    }

    #[test]
    fn a_torn_end_and_flipped_bits_cost_their_own_entry_alone() {
        let root = tempfile::tempdir().unwrap();
        let paths = paths(&root);
        let bytes: Vec<u8> = (1..=3).flat_map(|id| entry(id, id, true).to_bytes()).collect();
        for at in 0..ENTRY_BYTES {
            let mut damaged = bytes.clone();
            damaged[ENTRY_BYTES + at] ^= 1 << (at % 8);
            damaged.extend(&entry(4, 4, true).to_bytes()[..at]);
            fs::write(paths.meta().join(KIND.name), &damaged).unwrap();
            assert_eq!(load(&paths).unwrap(), [entry(1, 1, true), entry(3, 3, true)]);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let root = tempfile::tempdir().unwrap();
            let paths = paths(&root);
            fs::write(paths.meta().join(KIND.name), &bytes).unwrap();
            prop_assert!(load(&paths).unwrap().is_empty());
        }
    }
}
