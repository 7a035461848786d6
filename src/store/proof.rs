//! The trailer behind a cache file's contents, which proves that the file is whole.
//!
//! Four bytes that say what this is, a CRC-32 and the length of what is before.

use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Bytes of the trailer.
pub const TRAILER_BYTES: u64 = 16;

/// The magic of a trailer.
pub type Trailer = [u8; TRAILER_BYTES as usize];

const MAGIC: [u8; 4] = *b"RTV1";

/// The trailer for these bytes.
pub fn trailer(bytes: &[u8]) -> Trailer {
    trailer_of(bytes.len() as u64, crc32fast::hash(bytes))
}

/// Whether this is the trailer of so many bytes, whatever they are.
pub(super) fn is_of_length(trailer: &Trailer, length: u64) -> bool {
    *trailer == trailer_of(length, checksum_in(trailer))
}

/// Whether this is the trailer of these very bytes.
pub(super) fn is_of(trailer: &Trailer, bytes: &[u8]) -> bool {
    is_of_length(trailer, bytes.len() as u64) && crc32fast::hash(bytes) == checksum_in(trailer)
}

/// The contents of a file of so many bytes, proven; `None` for one of another length, or that is not whole. Blocking.
///
/// # Errors
/// Of reading it; that there is none is one of them.
pub fn read(path: &Path, length: u64) -> io::Result<Option<Vec<u8>>> {
    // By its length, not by the file's: a file that somebody made long must not fill the memory.
    let mut bytes = vec![0; usize::try_from(length + TRAILER_BYTES).unwrap_or(usize::MAX)];
    let mut file = fs::File::open(path)?;
    if file.metadata()?.len() != bytes.len() as u64 {
        return Ok(None);
    }
    file.read_exact(&mut bytes)?;
    let Some((contents, trailer)) = bytes.split_last_chunk() else { return Ok(None) };
    let proven = is_of(trailer, contents);
    bytes.truncate(bytes.len() - TRAILER_BYTES as usize);
    Ok(proven.then_some(bytes))
}

/// The same of a file whose length is not known, of at most so many bytes. Blocking.
///
/// # Errors
/// As [`read`].
pub fn read_short(path: &Path, length_max: u64) -> io::Result<Option<Vec<u8>>> {
    let length = fs::metadata(path)?.len().checked_sub(TRAILER_BYTES);
    length.filter(|length| *length <= length_max).map_or(Ok(None), |length| read(path, length))
}

/// Writes contents that are to be sent and not kept into a file that has no name, and goes with its last descriptor.
/// Blocking.
///
/// # Errors
/// Of writing it; then nothing is left behind.
pub fn write_unnamed(temporary: &Path, contents: &[u8]) -> io::Result<OwnedFd> {
    let mut file = fs::File::options().read(true).write(true).create_new(true).open(temporary)?;
    fs::remove_file(temporary)?;
    file.write_all(contents)?;
    Ok(file.into())
}

/// Directories that are made for one file before the write is abandoned. Another thread may remove an empty one, so
/// it may vanish again before the file gets its name.
const DIRECTORY_TRIES: u32 = 8;

/// Writes a file of the cache, its trailer behind the contents, under a temporary name first; what was there is replaced.
/// Unless it is synced, what a power cut tears may have its name and not be proven. Blocking. Says what its blocks take,
/// as far as the file system knows by then.
///
/// # Errors
/// Of writing it; then neither name is left behind.
pub fn write(temporary: &Path, path: &Path, contents: &[u8], sync: bool) -> io::Result<u64> {
    let written = fs::File::create(temporary).and_then(|mut file| {
        file.write_all(contents)?;
        file.write_all(&trailer(contents))?;
        if sync {
            file.sync_data()?;
        }
        Ok(file.metadata()?.blocks() * 512)
    });
    let named = written.and_then(|bytes| name(temporary, path).map(|()| bytes));
    if named.is_err() {
        let _ = fs::remove_file(temporary);
    }
    named
}

fn name(temporary: &Path, path: &Path) -> io::Result<()> {
    for _ in 0..DIRECTORY_TRIES {
        match fs::rename(temporary, path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match path.parent().map_or(Ok(()), fs::create_dir_all) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    made => made?,
                }
            }
            renamed => return renamed,
        }
    }
    fs::rename(temporary, path)
}

fn trailer_of(length: u64, checksum: u32) -> Trailer {
    let mut trailer = [0; TRAILER_BYTES as usize];
    trailer[..4].copy_from_slice(&MAGIC);
    trailer[4..8].copy_from_slice(&checksum.to_le_bytes());
    trailer[8..].copy_from_slice(&length.to_le_bytes());
    assert!(checksum_in(&trailer) == checksum, "invariant: proof: a trailer says its checksum");
    trailer
}

fn checksum_in(trailer: &Trailer) -> u32 {
    u32::from_le_bytes([trailer[4], trailer[5], trailer[6], trailer[7]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_bytes_are_proven() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let whole = [&b"contents"[..], &trailer(b"contents")].concat();
        let read = |bytes: &[u8], length| {
            fs::write(&path, bytes).unwrap();
            read(&path, length).unwrap()
        };
        assert_eq!(read(&whole, 8).as_deref(), Some(&b"contents"[..]));
        assert_eq!(
            (read(&whole, 7), read(&whole, 9), read(&whole[..23], 8), read(b"", 8)),
            (None, None, None, None)
        );
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            assert_eq!(read(&damaged, 8), None, "byte {at}");
        }
        assert_eq!(read(&trailer(b""), 0), Some(Vec::new()));
        fs::remove_file(&path).unwrap();
        assert_eq!(super::read(&path, 8).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn what_is_written_is_proven_and_a_failure_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let (temporary, path) = (directory.path().join("new"), directory.path().join("a/b/file"));
        for contents in [&b"contents"[..], b"others", b""] {
            write(&temporary, &path, contents, contents.is_empty()).unwrap();
            assert_eq!(read(&path, contents.len() as u64).unwrap().as_deref(), Some(contents));
            assert!(!temporary.exists());
        }
        assert!(write(&temporary, directory.path(), b"contents", false).is_err(), "the name of a directory");
        assert!(!temporary.exists());
        assert!(write(&path.join("no/directory"), &path, b"contents", false).is_err());
    }
}
