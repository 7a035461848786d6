//! The journal of misplaced replicas (`meta/strays`): which images lie on this node although others own them.
//!
//! A record is durable before its image gets its name, and is crossed out only after the image has gone. Each shard
//! appends to a file of its own; at the start all of them become one again. A record is 32 bytes with a checksum of
//! its own, so what is torn or damaged is skipped and nothing else is lost with it.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use super::StoreError;
use super::journal::{EntryJournal, JournalFiles, JournalKind};
use super::path::StorePaths;
use crate::object::ObjectId;

const MAGIC: [u8; 4] = *b"RTS1";
const RECORD_BYTES: usize = 32;
/// The bytes under the checksum: magic, kind, three zeros, id.
const CHECKED_BYTES: usize = RECORD_BYTES - 4;

const _: () = assert!(CHECKED_BYTES == 8 + 20, "invariant: journal: a record ends in an id and its checksum");

static KIND: JournalKind<RECORD_BYTES> = JournalKind {
    name: "strays",
    make: "make the strays journal",
    write: "write the strays journal",
    sync: "sync the strays journal",
    is_entry: |bytes| read(bytes).is_some(),
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RecordKind {
    Here = 1,
    Gone = 2,
}

/// One shard's part of the journal.
#[derive(Debug)]
pub struct MisplacedJournal(EntryJournal<RECORD_BYTES>);

impl MisplacedJournal {
    /// The part of shard number `shard`; its file is made with the first record.
    pub fn new(paths: StorePaths, shard: usize) -> Self {
        Self(EntryJournal::new(&KIND, paths, shard))
    }

    /// From now on a copy of this image may lie here as a misplaced replica. Durable when this returns.
    ///
    /// # Errors
    /// [`StoreError`]; the image must not get its name then.
    pub async fn add(&self, id: &ObjectId) -> Result<(), StoreError> {
        self.0.append(&[record(RecordKind::Here, id)], true).await
    }

    /// The copy has gone, durably, or belongs here now.
    ///
    /// # Errors
    /// [`StoreError`]; the record stays, which does no harm.
    pub async fn remove(&self, id: &ObjectId) -> Result<(), StoreError> {
        self.0.append(&[record(RecordKind::Gone, id)], true).await
    }
}

/// The misplaced replicas of the last run, and one file in place of all: before any shard appends. Blocking.
///
/// # Errors
/// The path that the system refuses, and why.
pub(super) fn load(paths: &StorePaths) -> Result<Vec<ObjectId>, (PathBuf, io::Error)> {
    let files = JournalFiles::find(&KIND, paths)?;
    let (misplaced, _damaged) = replay(&files)?;
    if files.has_parts() {
        files.unite(misplaced.iter().map(|id| record(RecordKind::Here, id)))?;
    }
    Ok(misplaced.into_iter().collect())
}

/// The files in which anything but whole records stands. Nothing is changed. Blocking.
///
/// # Errors
/// The path that the system refuses, and why.
pub(super) fn inspect(paths: &StorePaths) -> Result<Vec<PathBuf>, (PathBuf, io::Error)> {
    Ok(replay(&JournalFiles::find(&KIND, paths)?)?.1)
}

/// Puts one file with the whole records in place of all. Blocking.
///
/// # Errors
/// The path that the system refuses, and why.
pub(super) fn rewrite(paths: &StorePaths) -> Result<(), (PathBuf, io::Error)> {
    let files = JournalFiles::find(&KIND, paths)?;
    let (misplaced, _damaged) = replay(&files)?;
    files.unite(misplaced.iter().map(|id| record(RecordKind::Here, id)))
}

fn replay(files: &JournalFiles) -> Result<(BTreeSet<ObjectId>, Vec<PathBuf>), (PathBuf, io::Error)> {
    let mut misplaced = BTreeSet::new();
    let damaged = files.replay(&KIND, |bytes| match read(bytes) {
        Some((RecordKind::Here, id)) => drop(misplaced.insert(id)),
        Some((RecordKind::Gone, id)) => drop(misplaced.remove(&id)),
        None => {}
    })?;
    Ok((misplaced, damaged))
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
    use std::fs;

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
        let path = paths.meta().join(KIND.name);
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
