//! The chunks of a WebP file.

/// "RIFF", the length of the rest, "WEBP".
pub(in crate::image) const HEAD_BYTES: usize = 12;

/// A chunk's name and length.
pub(in crate::image) const CHUNK_HEAD_BYTES: usize = 8;

/// The content of VP8X: flags, and the canvas.
pub(in crate::image) const EXTENDED_BYTES: usize = 10;

/// The chunks of a RIFF file, in order. The iterator ends at a chunk that does not fit.
pub(in crate::image) struct RiffChunks<'a> {
    rest: &'a [u8],
}

pub(in crate::image) struct RiffChunk<'a> {
    pub(in crate::image) name: [u8; 4],
    pub(in crate::image) payload: &'a [u8],
}

impl<'a> RiffChunks<'a> {
    pub(in crate::image) fn of_file(source: &'a [u8]) -> Self {
        Self::of(source.get(HEAD_BYTES..).unwrap_or_default())
    }

    /// The chunks at the start of these bytes.
    pub(in crate::image) const fn of(rest: &'a [u8]) -> Self {
        Self { rest }
    }
}

impl<'a> Iterator for RiffChunks<'a> {
    type Item = RiffChunk<'a>;

    fn next(&mut self) -> Option<RiffChunk<'a>> {
        let (name, rest) = self.rest.split_first_chunk::<4>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let payload = rest.get(..length)?;
        // Chunks are padded to an even length.
        self.rest = rest.get(length + length % 2..).unwrap_or_default();
        Some(RiffChunk { name: *name, payload })
    }
}

/// Whether the picture, or the first frame of an animation, is coded with loss.
pub(in crate::image) fn is_lossy(source: &[u8]) -> bool {
    // A frame has 16 bytes about itself before its chunks.
    let inner = |chunk: RiffChunk<'_>| match &chunk.name {
        b"ANMF" => RiffChunks::of(chunk.payload.get(16..).unwrap_or_default())
            .find_map(|chunk| is_lossy_data(chunk.name)),
        name => is_lossy_data(*name),
    };
    RiffChunks::of_file(source).find_map(inner).unwrap_or(false)
}

/// `None` for a chunk without pixels.
fn is_lossy_data(name: [u8; 4]) -> Option<bool> {
    match &name {
        b"VP8 " => Some(true),
        b"VP8L" => Some(false),
        _ => None,
    }
}

/// Writes a chunk, padded to an even length.
pub(in crate::image) fn chunk(name: [u8; 4], payload: &[u8]) -> Vec<u8> {
    // The caller bounds the payload.
    let length = (payload.len() as u32).to_le_bytes();
    let padding = &[0][..payload.len() % 2];
    [&name[..], &length, payload, padding].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_chunks_are_read_back_and_a_cut_one_ends_the_walk() {
        let file = [b"RIFF....WEBP".to_vec(), chunk(*b"ODD ", b"abc"), chunk(*b"EVEN", b"abcd")].concat();
        let read =
            |file| RiffChunks::of_file(file).map(|chunk| (chunk.name, chunk.payload.to_vec())).collect();
        let both: Vec<_> = read(&file);
        assert_eq!(both, [(*b"ODD ", b"abc".to_vec()), (*b"EVEN", b"abcd".to_vec())]);
        let first: Vec<_> = read(&file[..file.len() - 1]);
        assert_eq!(first, both[..1]);
        assert_eq!(RiffChunks::of_file(b"RIFF").count(), 0);
    }
}
