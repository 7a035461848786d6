//! The chunks that the pixels of a PNG need, as one stream; all others are left out.
//!
//! The library reads every chunk that it knows, and some faults in one that says nothing about the pixels end the
//! decode. A chunk that it never gets costs nothing.

use std::io::{self, BufRead, Read, Seek, SeekFrom};

/// Bytes of a chunk beside its payload: length, name and checksum.
const FRAME_BYTES: usize = 12;

const SIGNATURE_BYTES: usize = 8;

/// A file as the library reads it.
pub(super) struct Essential<'a> {
    /// The bytes that are handed out next.
    part: &'a [u8],
    rest: &'a [u8],
    is_animated: bool,
}

impl<'a> Essential<'a> {
    /// The chunks of the image that every reader shows; `is_animated`: with those of its animation.
    pub(super) fn of(source: &'a [u8], is_animated: bool) -> Self {
        let (part, rest) = source.split_at_checked(SIGNATURE_BYTES).unwrap_or((source, &[]));
        Self { part, rest, is_animated }
    }

    /// The next chunk that is needed, with its frame; a cut one as it is. Nothing at the end.
    fn next_part(&mut self) -> &'a [u8] {
        while let Some([a, b, c, d, name @ ..]) = self.rest.first_chunk::<8>() {
            let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
            let end = length.saturating_add(FRAME_BYTES).min(self.rest.len());
            let (chunk, rest) = self.rest.split_at(end);
            self.rest = rest;
            let is_needed = match name {
                b"IHDR" | b"PLTE" | b"tRNS" | b"IDAT" | b"IEND" => true,
                b"acTL" | b"fcTL" | b"fdAT" => self.is_animated,
                _ => false,
            };
            if is_needed {
                return chunk;
            }
        }
        &[]
    }
}

impl Read for Essential<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Essential<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.part.is_empty() {
            self.part = self.next_part();
        }
        Ok(self.part)
    }

    fn consume(&mut self, count: usize) {
        self.part = self.part.get(count..).unwrap_or_default();
    }
}

/// The library asks for it, and never uses it.
impl Seek for Essential<'_> {
    fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::container::png::chunk;

    fn read(source: &[u8], is_animated: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        Essential::of(source, is_animated).read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn only_chunks_of_the_pixels_are_handed_out() {
        let file = |names: &[&[u8; 4]]| -> Vec<u8> {
            let chunks = names.iter().flat_map(|name| chunk(**name, b"payload"));
            b"\x89PNG\r\n\x1a\n".iter().copied().chain(chunks).collect()
        };
        let all =
            file(&[b"IHDR", b"cICP", b"acTL", b"PLTE", b"tRNS", b"fcTL", b"IDAT", b"tEXt", b"fdAT", b"IEND"]);
        assert_eq!(read(&all, false), file(&[b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"]));
        let animated = file(&[b"IHDR", b"acTL", b"PLTE", b"tRNS", b"fcTL", b"IDAT", b"fdAT", b"IEND"]);
        assert_eq!(read(&all, true), animated);
        for length in 0..animated.len() {
            assert!(animated.starts_with(&read(&animated[..length], true)), "cut to {length}");
        }
    }
}
