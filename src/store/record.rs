//! A small file that is replaced whole and durably, with a checksum over all of it. Blocking.
//!
//! Magic, length and CRC-32 precede the bytes. A file in which they are wrong is damaged:
//! it is reported, and nothing of it is used.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

/// The most that a record may hold: a layout of a thousand nodes is well under a megabyte.
pub const BYTES_MAX: usize = 16 << 20;

const MAGIC: [u8; 4] = *b"RTR1";
const HEAD_BYTES: usize = MAGIC.len() + 4 + 4;

/// Why a record cannot be read. Nothing was changed.
#[derive(Debug)]
pub enum RecordError {
    /// Cut short, too long, or other bytes than were written.
    Damaged,
    /// The system's refusal.
    Io(io::Error),
}

/// Puts `bytes` in the place of the record at `path`: written beside it, synced, renamed, and the directory synced.
///
/// # Errors
/// The system's refusal; then the record is as before or, if only the last step failed, may be either.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if bytes.len() > BYTES_MAX {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut whole = Vec::with_capacity(HEAD_BYTES + bytes.len());
    whole.extend(MAGIC);
    whole.extend(u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?.to_be_bytes());
    whole.extend(crc32fast::hash(bytes).to_be_bytes());
    whole.extend(bytes);
    assert!(whole.len() == HEAD_BYTES + bytes.len(), "invariant: record: a head and the bytes, nothing else");
    replace_file(path, &whole)
}

/// The contents of the record at `path`; `None` if there is none.
///
/// # Errors
/// [`RecordError`]
pub fn read(path: &Path) -> Result<Option<Vec<u8>>, RecordError> {
    let mut file = match File::open(path) {
        Ok(file) => file.take((HEAD_BYTES + BYTES_MAX + 1) as u64),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(RecordError::Io(error)),
    };
    let mut whole = Vec::new();
    file.read_to_end(&mut whole).map_err(RecordError::Io)?;
    let Some((head, bytes)) = whole.split_first_chunk::<HEAD_BYTES>() else {
        return Err(RecordError::Damaged);
    };
    let [a, b, c, d, length @ .., e, f, g, h] = *head;
    let is_right = [a, b, c, d] == MAGIC
        && usize::try_from(u32::from_be_bytes(length)) == Ok(bytes.len())
        && u32::from_be_bytes([e, f, g, h]) == crc32fast::hash(bytes);
    if is_right { Ok(Some(bytes.to_vec())) } else { Err(RecordError::Damaged) }
}

/// The same for a file without head: no reader ever sees a part of it.
pub(super) fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    drop(file);
    fs::rename(&temporary, path)?;
    File::open(path.parent().unwrap_or(path))?.sync_all()
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged => f.write_str("it is damaged"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RecordError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_holds_what_was_put_into_it_last() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("layout");
        assert!(matches!(read(&path), Ok(None)));
        for bytes in [&b"one"[..], b"", &[7; 100_000]] {
            replace(&path, bytes).unwrap();
            assert_eq!(read(&path).unwrap().unwrap(), bytes);
        }
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
        assert!(replace(&path, &vec![0; BYTES_MAX + 1]).is_err());
    }

    #[test]
    fn every_cut_and_every_flipped_bit_is_seen() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("layout");
        replace(&path, b"a layout").unwrap();
        let whole = fs::read(&path).unwrap();
        let mut wrong: Vec<Vec<u8>> = (0..whole.len()).map(|length| whole[..length].to_vec()).collect();
        wrong.push([&whole[..], b"x"].concat());
        for (at, bit) in (0..whole.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << bit;
            wrong.push(flipped);
        }
        for bytes in wrong {
            fs::write(&path, &bytes).unwrap();
            assert!(matches!(read(&path), Err(RecordError::Damaged)), "{bytes:?}");
        }
    }
}
