//! How a file of the cache proves that it is whole: by a trailer behind its contents.
//!
//! Four bytes that say what this is, a CRC-32 and the length of what is before.

use std::io;
use std::path::Path;

/// Bytes of the trailer.
pub const TRAILER_BYTES: u64 = 16;

/// What a trailer is.
pub type Trailer = [u8; TRAILER_BYTES as usize];

const MAGIC: [u8; 4] = *b"RTV1";

/// What goes behind these bytes.
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
    let mut file = std::fs::File::open(path)?;
    if file.metadata()?.len() != bytes.len() as u64 {
        return Ok(None);
    }
    io::Read::read_exact(&mut file, &mut bytes)?;
    let Some((contents, trailer)) = bytes.split_last_chunk() else { return Ok(None) };
    let proven = is_of(trailer, contents);
    bytes.truncate(bytes.len() - TRAILER_BYTES as usize);
    Ok(proven.then_some(bytes))
}

fn trailer_of(length: u64, checksum: u32) -> Trailer {
    let mut trailer = [0; TRAILER_BYTES as usize];
    trailer[..4].copy_from_slice(&MAGIC);
    trailer[4..8].copy_from_slice(&checksum.to_le_bytes());
    trailer[8..].copy_from_slice(&length.to_le_bytes());
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
            std::fs::write(&path, bytes).unwrap();
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
        std::fs::remove_file(&path).unwrap();
        assert_eq!(super::read(&path, 8).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
