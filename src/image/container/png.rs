//! The chunks of a PNG file.

/// Signature and IHDR, with which every file begins: length, name, 13 bytes, checksum.
pub(in crate::image) const HEAD_BYTES: usize = SIGNATURE_BYTES + 4 + 4 + 13 + 4;

pub(in crate::image) const SIGNATURE_BYTES: usize = 8;

pub(in crate::image) struct PngChunk<'a> {
    pub(in crate::image) name: [u8; 4],
    pub(in crate::image) payload: &'a [u8],
}

/// The chunks of a file, in order. The iterator ends at a chunk that does not fit.
pub(in crate::image) struct PngChunks<'a> {
    rest: &'a [u8],
}

impl<'a> PngChunks<'a> {
    pub(in crate::image) fn of_file(source: &'a [u8]) -> Self {
        Self { rest: source.get(SIGNATURE_BYTES..).unwrap_or_default() }
    }
}

impl<'a> Iterator for PngChunks<'a> {
    type Item = PngChunk<'a>;

    fn next(&mut self) -> Option<PngChunk<'a>> {
        let (length, rest) = self.rest.split_first_chunk::<4>()?;
        let (name, rest) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (payload, rest) = rest.split_at_checked(length)?;
        // Checksums are not verified: a wrong one is common in files that all viewers show.
        self.rest = rest.get(4..)?;
        Some(PngChunk { name: *name, payload })
    }
}

/// Writes a chunk.
pub(in crate::image) fn chunk(name: [u8; 4], payload: &[u8]) -> Vec<u8> {
    // The caller bounds the payload.
    let length = (payload.len() as u32).to_be_bytes();
    let checksum = crc32fast::hash(&[&name[..], payload].concat()).to_be_bytes();
    [&length[..], &name, payload, &checksum].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_chunks_are_read_back_and_a_cut_one_ends_the_walk() {
        let file = [b"\x89PNG\r\n\x1a\n".to_vec(), chunk(*b"teXt", b"abc"), chunk(*b"IEND", b"")].concat();
        let read =
            |file| PngChunks::of_file(file).map(|chunk| (chunk.name, chunk.payload.to_vec())).collect();
        let both: Vec<_> = read(&file);
        assert_eq!(both, [(*b"teXt", b"abc".to_vec()), (*b"IEND", Vec::new())]);
        let first: Vec<_> = read(&file[..file.len() - 1]);
        assert_eq!(first, both[..1]);
        assert_eq!(PngChunks::of_file(b"\x89PNG").count(), 0);
        // The checksum of IEND, the last chunk of every PNG.
        assert_eq!(file[file.len() - 4..], [0xAE, 0x42, 0x60, 0x82]);
    }
}
