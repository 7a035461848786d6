//! Writes metadata into a file that our own encoder has just made, so its structure is known.

use super::{Metadata, avif, exif, xmp};
use crate::image::container::{jpeg, png, webp};
use crate::image::shape::Size;
use crate::object::Format;

/// The file with this metadata; unchanged for a format that holds none.
pub(super) fn write(file: Vec<u8>, format: Format, size: Size, metadata: &Metadata) -> Vec<u8> {
    match format {
        Format::Jpeg => into_jpeg(file, metadata),
        Format::Png => into_png(file, metadata),
        Format::Webp => into_webp(file, size, metadata),
        Format::Avif => avif::write(file, metadata),
        Format::Gif | Format::Heic | Format::Jxl => file,
    }
}

/// Inserted after the start of the image and, if it comes next, JFIF's segment.
fn into_jpeg(mut file: Vec<u8>, metadata: &Metadata) -> Vec<u8> {
    let at = behind_jfif(&file);
    let named = [(&exif::EXIF_NAME[..], &metadata.exif), (xmp::JPEG_NAME, &metadata.xmp)];
    let segments = named.into_iter().filter(|(_, part)| !part.is_empty()).flat_map(|(name, part)| {
        // The length counts itself; both parts are bounded so that it fits.
        let length = ((2 + name.len() + part.len()) as u16).to_be_bytes();
        [&[0xFF, jpeg::APP1], &length[..], name, part].concat()
    });
    let segments: Vec<u8> = segments.collect();
    file.splice(at..at, segments);
    file
}

/// The offset behind the start of the image and, if it comes next, JFIF's segment.
pub(super) fn behind_jfif(file: &[u8]) -> usize {
    let first = jpeg::Segments::of(file).next();
    first.filter(|segment| segment.marker == jpeg::APP0).map_or(2, |segment| segment.end())
}

/// Inserted after the header: EXIF must come before the picture.
fn into_png(mut file: Vec<u8>, metadata: &Metadata) -> Vec<u8> {
    let mut chunks = Vec::new();
    if !metadata.exif.is_empty() {
        chunks.extend(png::chunk(*b"eXIf", &metadata.exif));
    }
    if !metadata.xmp.is_empty() {
        chunks.extend(png::chunk(*b"iTXt", &[xmp::PNG_NAME, &metadata.xmp].concat()));
    }
    file.splice(png::HEAD_BYTES..png::HEAD_BYTES, chunks);
    file
}

const WEBP_FLAG_EXIF: u8 = 0x08;
const WEBP_FLAG_XMP: u8 = 0x04;

/// Appended at the end, and announced in the extended header, which a plain file gets only now.
fn into_webp(mut file: Vec<u8>, size: Size, metadata: &Metadata) -> Vec<u8> {
    let flags = [(WEBP_FLAG_EXIF, &metadata.exif), (WEBP_FLAG_XMP, &metadata.xmp)];
    let flags =
        flags.into_iter().filter(|(_, part)| !part.is_empty()).fold(0, |flags, (flag, _)| flags | flag);
    extend_webp(&mut file, size, flags);
    for (name, part) in [(*b"EXIF", &metadata.exif), (*b"XMP ", &metadata.xmp)] {
        if !part.is_empty() {
            file.extend(webp::chunk(name, part));
        }
    }
    set_webp_length(&mut file);
    file
}

/// Gives the file an extended header, if it has none, and raises these flags in it.
pub(super) fn extend_webp(file: &mut Vec<u8>, size: Size, flags: u8) {
    if file.get(webp::HEAD_BYTES..webp::HEAD_BYTES + 4) != Some(b"VP8X") {
        // Sizes are stored less one, in three bytes each.
        let [w0, w1, w2, _] = size.width.wrapping_sub(1).to_le_bytes();
        let [h0, h1, h2, _] = size.height.wrapping_sub(1).to_le_bytes();
        let extended = webp::chunk(*b"VP8X", &[0, 0, 0, 0, w0, w1, w2, h0, h1, h2]);
        file.splice(webp::HEAD_BYTES..webp::HEAD_BYTES, extended);
    }
    // The flags come after the chunk's name and length.
    file[webp::HEAD_BYTES + 8] |= flags;
}

pub(super) fn set_webp_length(file: &mut [u8]) {
    // Pictures of at most 16383 pixels a side are far below four gigabytes.
    let length = ((file.len() - 8) as u32).to_le_bytes();
    file[4..8].copy_from_slice(&length);
}
