//! Finds the metadata in the files of each format. Takes the first of its kind, as viewers do.

use super::{Metadata, avif, exif, xmp};
use crate::image::container::{jpeg, png, webp};
use crate::object::Format;

/// The file's metadata, as stored; empty for a format without metadata.
pub(super) fn read(source: &[u8], format: Format) -> Metadata {
    match format {
        Format::Jpeg => of_jpeg(source),
        Format::Png => of_png(source),
        Format::Webp => of_webp(source),
        Format::Avif | Format::Heic => avif::read(source),
        Format::Gif | Format::Jxl => Metadata::default(),
    }
}

fn of_jpeg(source: &[u8]) -> Metadata {
    // Viewers read only the segments before the first scan.
    let segments = || {
        let before = jpeg::Segments::of(source).take_while(|segment| segment.marker != jpeg::SOS);
        before.filter(|segment| segment.marker == jpeg::APP1)
    };
    let after = |name: &[u8]| segments().find_map(|segment| segment.payload.strip_prefix(name));
    Metadata { exif: to_owned_bytes(after(&exif::EXIF_NAME)), xmp: to_owned_bytes(after(xmp::JPEG_NAME)) }
}

fn of_png(source: &[u8]) -> Metadata {
    let mut named = png::PngChunks::of_file(source).filter(|chunk| &chunk.name == b"eXIf");
    let mut texts = png::PngChunks::of_file(source).filter(|chunk| &chunk.name == b"iTXt");
    Metadata {
        exif: to_owned_bytes(named.next().map(|chunk| chunk.payload)),
        xmp: to_owned_bytes(texts.find_map(|chunk| chunk.payload.strip_prefix(xmp::PNG_NAME))),
    }
}

fn of_webp(source: &[u8]) -> Metadata {
    let first = |name: &[u8; 4]| webp::RiffChunks::of_file(source).find(|chunk| &chunk.name == name);
    Metadata {
        exif: to_owned_bytes(first(b"EXIF").map(|chunk| chunk.payload)),
        xmp: to_owned_bytes(first(b"XMP ").map(|chunk| chunk.payload)),
    }
}

/// A part that is too long to be kept is not copied at all.
fn to_owned_bytes(part: Option<&[u8]>) -> Vec<u8> {
    part.filter(|part| part.len() as u64 <= exif::EXIF_BYTES_MAX).unwrap_or_default().to_vec()
}
