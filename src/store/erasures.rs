//! The journal of erasure records (`meta/erasures`): which images were deleted or banned, and of which of them this node
//! has removed all files.
//!
//! A record is durable before the node confirms it, and before it removes the first file. Each shard appends to a file of
//! its own; at the start all of them become one again. An entry is 48 bytes with a checksum of its own, so what is torn or
//! damaged is skipped and nothing else is lost with it. The meaning of the 17 bytes of a record is the caller's.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;

use glommio::io::{BufferedFile, Directory, OpenOptions};
use glommio::sync::RwLock;

use super::StoreError;
use super::path::StorePaths;
use super::record::replace_file;
use super::spool::{sync, write_all};
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

/// All entries as of the start.
const WHOLE: &str = "erasures";

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
pub struct ErasureJournal {
    paths: StorePaths,
    name: String,
    part: RwLock<ErasurePart>,
}

#[derive(Debug, Default)]
struct ErasurePart {
    file: Option<BufferedFile>,
    position: u64,
}

impl ErasureJournal {
    /// The part of shard number `shard`; its file is made with the first entry.
    pub fn new(paths: StorePaths, shard: usize) -> Self {
        Self { paths, name: format!("{WHOLE}.{shard}"), part: RwLock::new(ErasurePart::default()) }
    }

    /// Appends entries, in one write and one sync. Durable when this returns.
    ///
    /// # Errors
    /// [`StoreError`]; some of them may be durable.
    pub async fn append(&self, entries: &[ErasureEntry]) -> Result<(), StoreError> {
        if entries.is_empty() { Ok(()) } else { self.write(entries, true).await }
    }

    /// Appends an entry, which a power cut may lose.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn append_unsynced(&self, entry: ErasureEntry) -> Result<(), StoreError> {
        self.write(&[entry], false).await
    }

    async fn write(&self, entries: &[ErasureEntry], is_synced: bool) -> Result<(), StoreError> {
        // Entries are written one after another. Nobody closes the lock, which is how taking it would fail.
        let closed =
            |_| StoreError::new("write the erasures journal", io::Error::from(io::ErrorKind::BrokenPipe));
        let mut part = self.part.write().await.map_err(closed)?;
        if part.file.is_none() {
            part.file = Some(self.make().await?);
        }
        let bytes: Vec<u8> = entries.iter().flat_map(|entry| entry.to_bytes()).collect();
        // The next ones go behind these even if this fails: a part of an entry in the middle is skipped.
        let position = part.position;
        assert!(
            position.is_multiple_of(ENTRY_BYTES as u64),
            "invariant: erasures: an entry begins where another one ends"
        );
        part.position += bytes.len() as u64;
        let file = part.file.as_ref().expect("it was made above");
        write_all(file, bytes, position).await?;
        if is_synced { sync(file, "sync the erasures journal").await } else { Ok(()) }
    }

    async fn make(&self) -> Result<BufferedFile, StoreError> {
        let failed = |error| StoreError::new("make the erasures journal", error);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .buffered_open(self.paths.meta().join(&self.name))
            .await
            .map_err(failed)?;
        let directory = Directory::open(self.paths.meta()).await.map_err(failed)?;
        directory.sync().await.map_err(failed)?;
        let _ = directory.close().await;
        Ok(file)
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
    let meta = paths.meta();
    let whole = meta.join(WHOLE);
    let mut parts = Vec::new();
    for entry in fs::read_dir(&meta).map_err(|error| (meta.clone(), error))? {
        let path = entry.map_err(|error| (meta.clone(), error))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.strip_prefix(WHOLE).is_some_and(|rest| rest.starts_with('.')) {
            parts.push(path);
        }
    }
    let mut entries = BTreeMap::new();
    for path in std::iter::once(&whole).chain(&parts) {
        match fs::read(path) {
            Ok(bytes) => replay(&bytes, &mut entries),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err((path.clone(), error)),
        }
    }
    if !parts.is_empty() {
        let bytes: Vec<u8> = entries.values().flat_map(|entry: &ErasureEntry| entry.to_bytes()).collect();
        replace_file(&whole, &bytes).map_err(|error| (whole, error))?;
        for path in parts {
            fs::remove_file(&path).map_err(|error| (path.clone(), error))?;
        }
    }
    Ok(entries.into_values().collect())
}

fn replay(bytes: &[u8], entries: &mut BTreeMap<ObjectId, ErasureEntry>) {
    for entry in bytes.as_chunks::<ENTRY_BYTES>().0.iter().filter_map(ErasureEntry::from_bytes) {
        let known = entries.entry(entry.id).or_insert(entry);
        // Files are removed while another record may be on its way here: the mark counts for the record that it names.
        if !entry.is_erased || known.record == entry.record {
            *known = entry;
        }
    }
}

#[cfg(test)]
mod tests {
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
            fs::write(paths.meta().join(WHOLE), &damaged).unwrap();
            assert_eq!(load(&paths).unwrap(), [entry(1, 1, true), entry(3, 3, true)]);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut entries = BTreeMap::new();
            replay(&bytes, &mut entries);
            prop_assert!(entries.is_empty());
        }
    }
}
