//! Walks the marker segments of a JPEG file without decoding anything.
//!
//! Lenient: the walk skips bytes between segments, fill bytes, stuffed bytes and restart markers, so it also passes the
//! data of scans. It ends at the end-of-image marker or at a segment that does not fit.

/// A marker and its segment.
#[derive(Clone, Copy)]
pub(in crate::image) struct Segment<'a> {
    pub(in crate::image) marker: u8,
    /// Offset of the 0xFF in the file.
    pub(in crate::image) start: usize,
    /// The bytes after the length field; empty for the end of the image.
    pub(in crate::image) payload: &'a [u8],
}

impl Segment<'_> {
    /// Offset of the payload in the file.
    pub(in crate::image) const fn payload_start(&self) -> usize {
        self.start + 4
    }

    /// Offset of the first byte after the segment.
    pub(in crate::image) const fn end(&self) -> usize {
        self.payload_start() + self.payload.len()
    }
}

/// Most scans of a file. Encoders make about ten. Each is a pass over the whole picture, so thousands are an attack on
/// the decoder.
pub(in crate::image) const SCANS_MAX: u32 = 100;

/// Huffman tables.
pub(in crate::image) const DHT: u8 = 0xC4;
/// Reserved for extensions; not a frame header.
pub(in crate::image) const JPG: u8 = 0xC8;
/// Conditioning of arithmetic coding.
pub(in crate::image) const DAC: u8 = 0xCC;
/// Quantisation tables.
pub(in crate::image) const DQT: u8 = 0xDB;
/// The restart interval.
pub(in crate::image) const DRI: u8 = 0xDD;
/// The first application segment, which JFIF uses.
pub(in crate::image) const APP0: u8 = 0xE0;
/// The application segment of colour profiles.
pub(in crate::image) const APP2: u8 = 0xE2;
/// The application segment of JUMBF, and so of C2PA.
pub(in crate::image) const APP11: u8 = 0xEB;
/// The application segment of Adobe.
pub(in crate::image) const APP14: u8 = 0xEE;
/// The number of lines, behind the first scan.
pub(in crate::image) const DNL: u8 = 0xDC;
/// Start of image.
pub(in crate::image) const SOI: u8 = 0xD8;
/// The application segment of EXIF and XMP.
pub(in crate::image) const APP1: u8 = 0xE1;
/// Start of scan.
pub(in crate::image) const SOS: u8 = 0xDA;
/// End of image.
pub(in crate::image) const EOI: u8 = 0xD9;

/// The segments of a file, which begins with its start-of-image marker.
pub(in crate::image) struct Segments<'a> {
    source: &'a [u8],
    at: usize,
}

impl<'a> Segments<'a> {
    pub(in crate::image) const fn of(source: &'a [u8]) -> Self {
        Self::from(source, 2)
    }

    /// The segments that begin at this offset or later.
    pub(in crate::image) const fn from(source: &'a [u8], at: usize) -> Self {
        Self { source, at }
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = Segment<'a>;

    fn next(&mut self) -> Option<Segment<'a>> {
        loop {
            let start = self.at + memchr::memchr(0xFF, self.source.get(self.at..)?)?;
            let marker = *self.source.get(start + 1)?;
            match marker {
                0xFF => self.at = start + 1,
                // Stuffed bytes, and markers without a segment: a reserved one, restarts, start of image.
                0x00 | 0x01 | 0xD0..=0xD8 => self.at = start + 2,
                EOI => {
                    self.at = self.source.len();
                    return Some(Segment { marker, start, payload: &[] });
                }
                _ => {
                    let length = self.source.get(start + 2..start + 4)?;
                    let length = usize::from(u16::from_be_bytes([length[0], length[1]])).max(2);
                    let payload = self.source.get(start + 4..start + 2 + length)?;
                    self.at = start + 2 + length;
                    return Some(Segment { marker, start, payload });
                }
            }
        }
    }
}

/// The file from its first marker on, without the bytes before it.
pub(in crate::image) fn from_start_of_image(source: &[u8]) -> Option<&[u8]> {
    if source.starts_with(&[0xFF, 0xD8]) {
        return Some(source);
    }
    let start = memchr::memmem::find(source, &[0xFF, 0xD8, 0xFF])?;
    Some(&source[start..])
}

/// The offset at which the data of a scan that begins at `from` ends: at the next marker, or at the end of the file.
pub(in crate::image) fn data_end(source: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(next) = source.get(at..).and_then(|rest| memchr::memchr(0xFF, rest)) {
        at += next;
        match source.get(at + 1) {
            Some(0xFF) => at += 1,
            Some(&code) if ends_data(code) => return at,
            Some(_) => at += 2,
            None => break,
        }
    }
    source.len()
}

/// Whether FF with this code ends the data of a scan. Reserved codes can only be damage, which is concealed.
pub(in crate::image) const fn ends_data(code: u8) -> bool {
    matches!(code, 0xC0..=0xCF | 0xD8..=0xDF | 0xE0..=0xEF | 0xFE) && code != JPG
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_over_junk_fill_bytes_and_the_data_of_scans() {
        let source = b"\xFF\xD8junk\xFF\xFF\xDB\0\x03Q\xFF\xDA\0\x02data\xFF\0\xFF\xD3more\xFF\xC4\0\x02\xFF\xD9\xFF\xDB\0\x02";
        let markers: Vec<u8> = Segments::of(source).map(|segment| segment.marker).collect();
        assert_eq!(markers, [0xDB, SOS, 0xC4, EOI]);
        let first = Segments::of(source).next().unwrap();
        assert_eq!((first.payload, &source[first.payload_start()..first.end()]), (&b"Q"[..], &b"Q"[..]));
    }

    #[test]
    fn ends_where_a_segment_does_not_fit() {
        for source in
            [&b"\xFF\xD8\xFF\xDB\0\x09abc"[..], b"\xFF\xD8\xFF\xDB\0", b"\xFF\xD8\xFF", b"\xFF\xD8", b""]
        {
            assert_eq!(Segments::of(source).count(), 0);
        }
    }
}
