//! The journal of misplaced replicas (`meta/strays`): which images lie on this node although others own them.
//!
//! A record is durable before its image gets its name, and is crossed out only after the image has gone. Each shard
//! appends to a file of its own; at the start all of them become one again. A record is 32 bytes with a checksum of
//! its own, so what is torn or damaged is skipped and nothing else is lost with it.

use std::collections::BTreeSet;
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

const MAGIC: [u8; 4] = *b"RTS1";
const RECORD_BYTES: usize = 32;
/// The bytes under the checksum: magic, kind, three zeros, id.
const CHECKED_BYTES: usize = RECORD_BYTES - 4;

const _: () = assert!(CHECKED_BYTES == 8 + 20, "invariant: journal: a record ends in an id and its checksum");

/// All records as of the start.
const WHOLE: &str = "strays";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RecordKind {
    Here = 1,
    Gone = 2,
}

/// One shard's part of the journal.
#[derive(Debug)]
pub struct MisplacedJournal {
    paths: StorePaths,
    name: String,
    part: RwLock<JournalPart>,
}

#[derive(Debug, Default)]
struct JournalPart {
    file: Option<BufferedFile>,
    position: u64,
}

impl MisplacedJournal {
    /// The part of shard number `shard`; its file is made with the first record.
    pub fn new(paths: StorePaths, shard: usize) -> Self {
        Self { paths, name: format!("{WHOLE}.{shard}"), part: RwLock::new(JournalPart::default()) }
    }

    /// From now on a copy of this image may lie here as a misplaced replica. Durable when this returns.
    ///
    /// # Errors
    /// [`StoreError`]; the image must not get its name then.
    pub async fn add(&self, id: &ObjectId) -> Result<(), StoreError> {
        self.append(RecordKind::Here, id).await
    }

    /// The copy has gone, durably, or belongs here now.
    ///
    /// # Errors
    /// [`StoreError`]; the record stays, which does no harm.
    pub async fn remove(&self, id: &ObjectId) -> Result<(), StoreError> {
        self.append(RecordKind::Gone, id).await
    }

    async fn append(&self, kind: RecordKind, id: &ObjectId) -> Result<(), StoreError> {
        // Records are written one after another. Nobody closes the lock, which is how taking it would fail.
        let closed =
            |_| StoreError::new("write the strays journal", io::Error::from(io::ErrorKind::BrokenPipe));
        let mut part = self.part.write().await.map_err(closed)?;
        if part.file.is_none() {
            part.file = Some(self.make().await?);
        }
        // The next one goes behind this one even if this fails: a part of a record in the middle is skipped.
        let position = part.position;
        assert!(
            position.is_multiple_of(RECORD_BYTES as u64),
            "invariant: journal: a record begins where another one ends"
        );
        part.position += RECORD_BYTES as u64;
        let file = part.file.as_ref().expect("it was made above");
        write_all(file, record(kind, id).to_vec(), position).await?;
        sync(file, "sync the strays journal").await
    }

    async fn make(&self) -> Result<BufferedFile, StoreError> {
        let failed = |error| StoreError::new("make the strays journal", error);
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

/// The misplaced replicas of the last run, and one file in place of all: before any shard appends. Blocking.
///
/// # Errors
/// The path that the system refuses, and why.
pub(super) fn load(paths: &StorePaths) -> Result<Vec<ObjectId>, (PathBuf, io::Error)> {
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
    let mut misplaced = BTreeSet::new();
    // An id belongs to one shard of a run, so that only the order of the whole and the parts matters.
    for path in std::iter::once(&whole).chain(&parts) {
        match fs::read(path) {
            Ok(bytes) => replay(&bytes, &mut misplaced),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err((path.clone(), error)),
        }
    }
    if !parts.is_empty() {
        let bytes: Vec<u8> = misplaced.iter().flat_map(|id| record(RecordKind::Here, id)).collect();
        replace_file(&whole, &bytes).map_err(|error| (whole, error))?;
        for path in parts {
            fs::remove_file(&path).map_err(|error| (path.clone(), error))?;
        }
    }
    Ok(misplaced.into_iter().collect())
}

fn replay(bytes: &[u8], misplaced: &mut BTreeSet<ObjectId>) {
    for record in bytes.as_chunks::<RECORD_BYTES>().0 {
        match read(record) {
            Some((RecordKind::Here, id)) => drop(misplaced.insert(id)),
            Some((RecordKind::Gone, id)) => drop(misplaced.remove(&id)),
            None => {}
        }
    }
}

fn record(kind: RecordKind, id: &ObjectId) -> [u8; RECORD_BYTES] {
    let mut record = [0; RECORD_BYTES];
    record[..4].copy_from_slice(&MAGIC);
    record[4] = kind as u8;
    record[8..CHECKED_BYTES].copy_from_slice(id.digest());
    let checksum = crc32fast::hash(&record[..CHECKED_BYTES]);
    record[CHECKED_BYTES..].copy_from_slice(&checksum.to_be_bytes());
    assert!(read(&record) == Some((kind, *id)), "invariant: journal: a record reads back as it was written");
    record
}

fn read(record: &[u8; RECORD_BYTES]) -> Option<(RecordKind, ObjectId)> {
    let (checked, checksum) = record.split_at(CHECKED_BYTES);
    if !checked.starts_with(&MAGIC) || crc32fast::hash(checked).to_be_bytes() != *checksum {
        return None;
    }
    let kind = match checked[4] {
        1 => RecordKind::Here,
        2 => RecordKind::Gone,
        _ => return None,
    };
    Some((kind, ObjectId::from_digest(checked[8..].try_into().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future;
    use glommio::{LocalExecutorBuilder, Placement};

    fn id(number: u8) -> ObjectId {
        ObjectId::from_digest([number; 20])
    }

    fn run<T>(work: impl Future<Output = T>) -> T {
        let executor = LocalExecutorBuilder::new(Placement::Unbound).io_memory(64 << 10).make().unwrap();
        executor.run(work)
    }

    fn scene() -> (tempfile::TempDir, StorePaths) {
        let root = tempfile::tempdir().unwrap();
        let paths = StorePaths::new(root.path());
        fs::create_dir(paths.meta()).unwrap();
        (root, paths)
    }

    #[test]
    fn strays_are_remembered_over_restarts_until_they_are_crossed_out() {
        let (_root, paths) = scene();
        assert_eq!(load(&paths).unwrap(), []);
        run(async {
            let (one, two) =
                (MisplacedJournal::new(paths.clone(), 0), MisplacedJournal::new(paths.clone(), 1));
            future::zip(async { one.add(&id(1)).await.unwrap() }, async { one.add(&id(3)).await.unwrap() })
                .await;
            two.add(&id(2)).await.unwrap();
            one.remove(&id(3)).await.unwrap();
        });
        assert_eq!(load(&paths).unwrap(), [id(1), id(2)]);
        // The next run may have another number of shards.
        run(async { MisplacedJournal::new(paths.clone(), 4).remove(&id(1)).await.unwrap() });
        assert_eq!(load(&paths).unwrap(), [id(2)]);
        assert_eq!(fs::read_dir(paths.meta()).unwrap().count(), 1);
    }

    #[test]
    fn damage_costs_no_record_but_its_own() {
        let (_root, paths) = scene();
        let whole: Vec<u8> =
            [1, 2, 3].iter().flat_map(|number| record(RecordKind::Here, &id(*number))).collect();
        let path = paths.meta().join(WHOLE);
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 0x10;
            fs::write(&path, &flipped).unwrap();
            let left: Vec<_> = [1, 2, 3]
                .into_iter()
                .filter(|number| usize::from(*number) != at / RECORD_BYTES + 1)
                .collect();
            assert_eq!(load(&paths).unwrap(), left.into_iter().map(id).collect::<Vec<_>>(), "{at}");
            fs::write(&path, &whole[..at]).unwrap();
            assert_eq!(load(&paths).unwrap().len(), at / RECORD_BYTES);
        }
    }
}
