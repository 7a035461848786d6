//! Journals below `meta/`: entries of one length, each with a checksum of its own, so that what is torn or damaged is
//! skipped and nothing else is lost with it.
//!
//! Each shard appends to a file of its own, `<name>.<shard>`. At the start they all become one again, `<name>`. What an
//! entry means is its module's affair: [`misplaced`](super::misplaced), [`erasures`](super::erasures).

use std::fs;
use std::io;
use std::path::PathBuf;

use glommio::io::{BufferedFile, Directory, OpenOptions};
use glommio::sync::RwLock;

use super::StoreError;
use super::path::StorePaths;
use super::record::replace_file;
use super::spool::{sync, write_all};

/// A kind of journal, whose entries have so many bytes.
#[derive(Debug)]
pub(super) struct JournalKind<const ENTRY_BYTES: usize> {
    /// The name of the file of all entries as of the start.
    pub(super) name: &'static str,
    /// The doing that an error names: making it.
    pub(super) make: &'static str,
    /// Writing it.
    pub(super) write: &'static str,
    /// Syncing it.
    pub(super) sync: &'static str,
    /// Whether these bytes are an entry.
    pub(super) is_entry: fn(&[u8; ENTRY_BYTES]) -> bool,
}

/// One shard's part of a journal.
#[derive(Debug)]
pub(super) struct EntryJournal<const ENTRY_BYTES: usize> {
    kind: &'static JournalKind<ENTRY_BYTES>,
    paths: StorePaths,
    shard: usize,
    part: RwLock<JournalPart>,
}

#[derive(Debug, Default)]
struct JournalPart {
    file: Option<BufferedFile>,
    position: u64,
}

/// The files of a journal as an earlier process has left them.
#[derive(Debug)]
pub(super) struct JournalFiles {
    /// The one of the start.
    whole: PathBuf,
    /// Those of the shards, in no particular order.
    parts: Vec<PathBuf>,
}

impl<const ENTRY_BYTES: usize> EntryJournal<ENTRY_BYTES> {
    /// The part of shard number `shard`; its file is made with the first entry.
    pub(super) fn new(kind: &'static JournalKind<ENTRY_BYTES>, paths: StorePaths, shard: usize) -> Self {
        Self { kind, paths, shard, part: RwLock::new(JournalPart::default()) }
    }

    /// Appends entries in one write, and one sync if wanted. Those that are synced are durable when this returns.
    ///
    /// # Errors
    /// [`StoreError`]; some of them may be durable.
    pub(super) async fn append(
        &self,
        entries: &[[u8; ENTRY_BYTES]],
        is_synced: bool,
    ) -> Result<(), StoreError> {
        // Entries are written one after another. Nobody closes the lock, which is how taking it would fail.
        let closed = |_| StoreError::new(self.kind.write, io::Error::from(io::ErrorKind::BrokenPipe));
        let mut part = self.part.write().await.map_err(closed)?;
        if part.file.is_none() {
            part.file = Some(self.make().await?);
        }
        // The next ones go behind these even if this fails: a part of an entry in the middle is skipped.
        let position = part.position;
        assert!(
            position.is_multiple_of(ENTRY_BYTES as u64),
            "invariant: journal: an entry begins where another one ends"
        );
        let bytes = entries.concat();
        part.position += bytes.len() as u64;
        let file = part.file.as_ref().expect("it was made above");
        write_all(file, bytes, position).await?;
        if is_synced { sync(file, self.kind.sync).await } else { Ok(()) }
    }

    async fn make(&self) -> Result<BufferedFile, StoreError> {
        let failed = |error| StoreError::new(self.kind.make, error);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .buffered_open(self.paths.meta().join(format!("{}.{}", self.kind.name, self.shard)))
            .await
            .map_err(failed)?;
        let directory = Directory::open(self.paths.meta()).await.map_err(failed)?;
        directory.sync().await.map_err(failed)?;
        let _ = directory.close().await;
        Ok(file)
    }
}

impl JournalFiles {
    /// Finds the files of a journal. Blocking.
    ///
    /// # Errors
    /// The path that the system refuses, and why.
    pub(super) fn find<const ENTRY_BYTES: usize>(
        kind: &JournalKind<ENTRY_BYTES>,
        paths: &StorePaths,
    ) -> Result<Self, (PathBuf, io::Error)> {
        let meta = paths.meta();
        let mut parts = Vec::new();
        for entry in fs::read_dir(&meta).map_err(|error| (meta.clone(), error))? {
            let path = entry.map_err(|error| (meta.clone(), error))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.strip_prefix(kind.name).is_some_and(|rest| rest.starts_with('.')) {
                parts.push(path);
            }
        }
        Ok(Self { whole: meta.join(kind.name), parts })
    }

    /// Reads all entries, those of the start first; whatever is none is skipped. An id belongs to one shard of a run, so that
    /// only the order of the whole and the parts matters. Returns the files that hold anything but whole entries.
    ///
    /// # Errors
    /// The path that the system refuses, and why.
    pub(super) fn replay<const ENTRY_BYTES: usize>(
        &self,
        kind: &JournalKind<ENTRY_BYTES>,
        mut take: impl FnMut(&[u8; ENTRY_BYTES]),
    ) -> Result<Vec<PathBuf>, (PathBuf, io::Error)> {
        let mut damaged = Vec::new();
        for path in std::iter::once(&self.whole).chain(&self.parts) {
            let bytes = match fs::read(path) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err((path.clone(), error)),
            };
            let (entries, rest) = bytes.as_chunks::<ENTRY_BYTES>();
            let mut is_whole = rest.is_empty();
            for entry in entries {
                if (kind.is_entry)(entry) {
                    take(entry);
                } else {
                    is_whole = false;
                }
            }
            if !is_whole {
                damaged.push(path.clone());
            }
        }
        Ok(damaged)
    }

    /// Whether there are files of shards.
    pub(super) fn has_parts(&self) -> bool {
        !self.parts.is_empty()
    }

    /// Puts one file in place of all. Blocking.
    ///
    /// # Errors
    /// The path that the system refuses, and why. No entry is lost then.
    pub(super) fn unite<const ENTRY_BYTES: usize>(
        self,
        entries: impl Iterator<Item = [u8; ENTRY_BYTES]>,
    ) -> Result<(), (PathBuf, io::Error)> {
        let bytes: Vec<u8> = entries.flatten().collect();
        replace_file(&self.whole, &bytes).map_err(|error| (self.whole, error))?;
        for path in self.parts {
            fs::remove_file(&path).map_err(|error| (path.clone(), error))?;
        }
        Ok(())
    }
}
