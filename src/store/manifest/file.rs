//! The manifest of one `<aa>`: a checkpoint, then the records of what changed since. Blocking.
//!
//! The head of the checkpoint holds the number of its records, when each directory `<aa>/<bb>` last changed, and a
//! checksum; its records are in order of ids. A checkpoint is written beside the file and renamed over it. Later
//! records are appended.
//!
//! Nothing here is synced, so that a manifest costs the disk nothing. That is safe: every byte is under a checksum, so a
//! file that a power cut tore or shortened is damaged or old. A damaged one is rebuilt from the directories. An old one
//! holds other times than its directories have, and those are listed again.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::record::{ManifestEntry, ManifestRecord, RECORD_BYTES};
use super::times::ChangeTimes;
use crate::object::ObjectId;

const MAGIC: [u8; 4] = *b"RTM1";

/// Magic, first byte of the ids, three zeros, number of records, 256 times, 12 zeros, CRC-32: as long as 65 records.
const HEAD_BYTES: usize = 4 + 4 + 8 + TIMES_BYTES + 12 + 4;

const TIMES_BYTES: usize = 256 * 8;

const _: () = assert!(HEAD_BYTES.is_multiple_of(RECORD_BYTES), "invariant: manifest: records are aligned");

/// A manifest on disk.
#[derive(Debug)]
pub(super) struct ManifestFile {
    path: PathBuf,
    /// The first byte of its ids.
    first: u8,
    /// Whether there is a file. One without images is not made: a small node would have 256 of them.
    is_written: bool,
    /// Records of the checkpoint.
    checkpoint: u64,
    /// Records behind it.
    tail: u64,
}

/// A whole manifest.
#[derive(Debug)]
pub(super) struct LoadedManifest {
    pub(super) file: ManifestFile,
    /// In order of ids.
    pub(super) entries: Vec<ManifestEntry>,
    /// When each directory had changed last, as of the checkpoint.
    pub(super) times: ChangeTimes,
}

/// The reason why a manifest cannot be used. Nothing was changed.
#[derive(Debug)]
pub(super) enum ManifestError {
    /// Torn, cut, or other bytes than were written.
    Damaged,
    /// The system's refusal.
    Io(io::Error),
}

/// Looks up single images in a manifest.
#[derive(Debug)]
pub(super) struct ManifestReader<'a> {
    manifest: &'a ManifestFile,
    /// `None` where there is none yet.
    file: Option<File>,
    tail: Vec<ManifestRecord>,
}

impl ManifestFile {
    /// Records behind the checkpoint up to which none is written, and the part of the checkpoint from which on one is: a
    /// look-up reads the tail, here 32 KiB, and a checkpoint costs the disk 16 times its share of changes at most.
    const TAIL_MIN: u64 = 1024;
    const TAIL_PART: u64 = 16;

    /// The manifest at `path` of no images, where no file is.
    pub(super) fn empty(path: &Path, first: u8) -> Self {
        Self { path: path.to_path_buf(), first, is_written: false, checkpoint: 0, tail: 0 }
    }

    /// Whether there should be a file.
    pub(super) fn is_written(&self) -> bool {
        self.is_written
    }

    /// Reads the manifest at `path` of the ids that begin with `first`; `None` if there is none. It takes as much memory
    /// as the valid records that it holds.
    ///
    /// # Errors
    /// [`ManifestError`]
    pub(super) fn load(path: &Path, first: u8) -> Result<Option<LoadedManifest>, ManifestError> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(ManifestError::Io(error)),
        };
        let length = file.metadata().map_err(ManifestError::Io)?.len();
        let length = length.checked_sub(HEAD_BYTES as u64).ok_or(ManifestError::Damaged)?;
        let mut source = BufReader::with_capacity(256 << 10, file);
        let mut head = [0; HEAD_BYTES];
        source.read_exact(&mut head).map_err(cut)?;
        let (checkpoint, times) = read_head(&head, first).ok_or(ManifestError::Damaged)?;
        let records = length / RECORD_BYTES as u64;
        if !length.is_multiple_of(RECORD_BYTES as u64) || records < checkpoint {
            return Err(ManifestError::Damaged);
        }
        let mut entries: Vec<ManifestEntry> = Vec::new();
        for _ in 0..checkpoint {
            let entry = next(&mut source, first)?.entry().ok_or(ManifestError::Damaged)?;
            if entries.last().is_some_and(|last| last.id >= entry.id) {
                return Err(ManifestError::Damaged);
            }
            entries.push(entry);
        }
        let tail = (checkpoint..records).map(|_| next(&mut source, first)).collect::<Result<Vec<_>, _>>()?;
        let file =
            Self { path: path.to_path_buf(), first, is_written: true, checkpoint, tail: tail.len() as u64 };
        Ok(Some(LoadedManifest { file, entries: merge(entries, tail), times }))
    }

    /// Puts a checkpoint in the place of the manifest at `path`. `entries` are in order of ids, each once.
    ///
    /// # Errors
    /// The system's refusal; the manifest is as before then.
    pub(super) fn write(
        path: &Path,
        first: u8,
        entries: &[ManifestEntry],
        times: &ChangeTimes,
    ) -> io::Result<Self> {
        assert!(
            entries.is_sorted_by(|one, other| one.id < other.id)
                && entries.iter().all(|entry| entry.id.digest()[0] == first),
            "invariant: manifest: a checkpoint holds each of its ids once, in order"
        );
        let checkpoint = entries.len() as u64;
        let temporary = path.with_extension("new");
        let write = || {
            let mut file = BufWriter::with_capacity(256 << 10, File::create(&temporary)?);
            file.write_all(&head(first, checkpoint, times))?;
            for entry in entries {
                file.write_all(&ManifestRecord::Here(*entry).encode())?;
            }
            file.flush()?;
            fs::rename(&temporary, path)
        };
        write().inspect_err(|_| {
            // The rest of it is overwritten by the next one; on a full disk it should not stay.
            let _ = fs::remove_file(&temporary);
        })?;
        Ok(Self { path: path.to_path_buf(), first, is_written: true, checkpoint, tail: 0 })
    }

    /// Appends records.
    ///
    /// # Errors
    /// The system's refusal; the file may be damaged then.
    pub(super) fn append(&mut self, records: &[ManifestRecord]) -> io::Result<()> {
        assert!(
            records.iter().all(|record| record.id().digest()[0] == self.first),
            "invariant: manifest: a record stands in the manifest of its id"
        );
        if !self.is_written {
            let entries = merge(Vec::new(), records.to_vec());
            *self = Self::write(&self.path, self.first, &entries, &ChangeTimes::unknown())?;
            return Ok(());
        }
        let bytes: Vec<u8> = records.iter().flat_map(ManifestRecord::encode).collect();
        File::options().append(true).open(&self.path)?.write_all(&bytes)?;
        self.tail += records.len() as u64;
        Ok(())
    }

    /// Whether so much has changed that a checkpoint should be written.
    pub(super) fn wants_checkpoint(&self) -> bool {
        self.tail > Self::TAIL_MIN.max(self.checkpoint / Self::TAIL_PART)
    }

    /// Whether anything has changed since the checkpoint.
    pub(super) fn is_changed(&self) -> bool {
        self.tail > 0
    }

    /// For looking up single images.
    ///
    /// # Errors
    /// [`ManifestError`]
    pub(super) fn reader(&self) -> Result<ManifestReader<'_>, ManifestError> {
        if !self.is_written {
            return Ok(ManifestReader { manifest: self, file: None, tail: Vec::new() });
        }
        let file = File::open(&self.path).map_err(ManifestError::Io)?;
        let mut bytes = vec![0; usize::try_from(self.tail).unwrap_or(usize::MAX) * RECORD_BYTES];
        file.read_exact_at(&mut bytes, position(self.checkpoint)).map_err(cut)?;
        let records = bytes.as_chunks::<RECORD_BYTES>().0.iter();
        let tail = records.map(|record| decode(record, self.first)).collect::<Result<_, _>>()?;
        Ok(ManifestReader { manifest: self, file: Some(file), tail })
    }
}

impl ManifestReader<'_> {
    /// The image of this id, as of the last record of it.
    ///
    /// # Errors
    /// [`ManifestError`]
    pub(super) fn find(&self, id: &ObjectId) -> Result<Option<ManifestEntry>, ManifestError> {
        if let Some(record) = self.tail.iter().rev().find(|record| record.id() == *id) {
            return Ok(record.entry());
        }
        let Some(file) = &self.file else { return Ok(None) };
        let (mut low, mut high) = (0, self.manifest.checkpoint);
        while low < high {
            let middle = low + (high - low) / 2;
            let mut record = [0; RECORD_BYTES];
            file.read_exact_at(&mut record, position(middle)).map_err(cut)?;
            let entry = decode(&record, self.manifest.first)?.entry().ok_or(ManifestError::Damaged)?;
            match entry.id.cmp(id) {
                std::cmp::Ordering::Equal => return Ok(Some(entry)),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Ok(None)
    }

    /// Takes a record into account that will be appended.
    pub(super) fn note(&mut self, record: ManifestRecord) {
        self.tail.push(record);
    }
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged => f.write_str("it is damaged"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ManifestError {}

fn position(record: u64) -> u64 {
    HEAD_BYTES as u64 + record * RECORD_BYTES as u64
}

/// A file that ends too soon is damaged.
fn cut(error: io::Error) -> ManifestError {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        ManifestError::Damaged
    } else {
        ManifestError::Io(error)
    }
}

fn next(source: &mut impl Read, first: u8) -> Result<ManifestRecord, ManifestError> {
    let mut record = [0; RECORD_BYTES];
    source.read_exact(&mut record).map_err(cut)?;
    decode(&record, first)
}

fn decode(record: &[u8; RECORD_BYTES], first: u8) -> Result<ManifestRecord, ManifestError> {
    let record = ManifestRecord::decode(record).ok_or(ManifestError::Damaged)?;
    if record.id().digest()[0] == first { Ok(record) } else { Err(ManifestError::Damaged) }
}

/// The images after these records, in order of ids. Of several records of one id the last counts.
fn merge(entries: Vec<ManifestEntry>, tail: Vec<ManifestRecord>) -> Vec<ManifestEntry> {
    if tail.is_empty() {
        return entries;
    }
    // A stable sort keeps the records of one id in their order.
    let mut all: Vec<_> = entries.into_iter().map(ManifestRecord::Here).chain(tail).collect();
    all.sort_by_key(ManifestRecord::id);
    let last = all.chunk_by(|one, other| one.id() == other.id()).filter_map(|records| records.last());
    last.filter_map(|record| record.entry()).collect()
}

fn head(first: u8, checkpoint: u64, times: &ChangeTimes) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    head[..4].copy_from_slice(&MAGIC);
    head[4] = first;
    head[8..16].copy_from_slice(&checkpoint.to_be_bytes());
    for (place, time) in head[16..].chunks_exact_mut(8).zip(times.iter()) {
        place.copy_from_slice(&time.to_be_bytes());
    }
    let checksum = crc32fast::hash(&head[..HEAD_BYTES - 4]);
    head[HEAD_BYTES - 4..].copy_from_slice(&checksum.to_be_bytes());
    head
}

fn read_head(head: &[u8; HEAD_BYTES], first: u8) -> Option<(u64, ChangeTimes)> {
    let (checked, checksum) = head.split_at(HEAD_BYTES - 4);
    let is_right = crc32fast::hash(checked).to_be_bytes() == *checksum
        && checked.starts_with(&MAGIC)
        && checked[4..8] == [first, 0, 0, 0];
    if !is_right {
        return None;
    }
    let checkpoint = u64::from_be_bytes(checked[8..16].try_into().ok()?);
    let mut times = ChangeTimes::unknown();
    for (time, bytes) in times.iter_mut().zip(checked[16..].as_chunks::<8>().0) {
        *time = i64::from_be_bytes(*bytes);
    }
    Some((checkpoint, times))
}

#[cfg(test)]
mod tests;
