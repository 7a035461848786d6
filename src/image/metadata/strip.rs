//! Leaves out of a file what is not its picture, losslessly: whole segments, chunks and blocks are kept or dropped.
//!
//! A list names what is kept, and everything unknown is dropped. An AVIF, HEIC or JPEG XL has its parts at places that other
//! parts name, so leaving one out is a rewrite of the file; those are not stripped.

use crate::image::container::gif::{GifBlockKind, GifFile};
use crate::image::container::jpeg::{self, Segment, Segments};
use crate::image::container::png::{self, PngChunks};
use crate::image::container::webp::{self, RiffChunks};
use crate::object::Format;

/// The picture and its colours; `None` unless the whole file is understood.
pub(super) fn bare(source: &[u8], format: Format) -> Option<Vec<u8>> {
    match format {
        Format::Jpeg => bare_jpeg(source),
        Format::Png => bare_png(source),
        Format::Gif => bare_gif(source),
        Format::Webp => bare_webp(source),
        _ => None,
    }
}

/// A file without an end marker is not stripped: a trailer cannot be told from the data in front of it.
fn bare_jpeg(source: &[u8]) -> Option<Vec<u8>> {
    let source = jpeg::from_start_of_image(source)?;
    let mut kept = vec![0xFF, jpeg::SOI];
    let mut has_frame = false;
    let mut segments = Segments::of(source);
    while let Some(segment) = segments.next() {
        match segment.marker {
            jpeg::EOI => {
                kept.extend([0xFF, jpeg::EOI]);
                return Some(kept);
            }
            jpeg::SOS => {
                let end = jpeg::data_end(source, segment.end());
                if source.get(end + 1) == Some(&jpeg::SOI) {
                    return None;
                }
                kept.extend(&source[segment.start..end]);
                segments = Segments::from(source, end);
            }
            jpeg::DHT | jpeg::JPG | jpeg::DAC | jpeg::DQT | jpeg::DRI | jpeg::DNL => {
                push_segment(&mut kept, segment.marker, segment.payload);
            }
            // A second frame belongs to another picture.
            0xC0..=0xCF if has_frame => return None,
            0xC0..=0xCF => {
                has_frame = true;
                push_segment(&mut kept, segment.marker, segment.payload);
            }
            _ => push_colors(&mut kept, &segment),
        }
    }
    None
}

/// JFIF's segment holds a thumbnail at its end, and Adobe's may hold anything.
fn push_colors(kept: &mut Vec<u8>, segment: &Segment<'_>) {
    let payload = segment.payload;
    match segment.marker {
        jpeg::APP0 if payload.starts_with(b"JFIF\0") && payload.len() >= 14 => {
            push_segment(kept, jpeg::APP0, &[&payload[..12], &[0, 0]].concat());
        }
        jpeg::APP2 if payload.starts_with(b"ICC_PROFILE\0") => push_segment(kept, jpeg::APP2, payload),
        jpeg::APP14 if payload.starts_with(b"Adobe") && payload.len() >= 12 => {
            push_segment(kept, jpeg::APP14, &payload[..12]);
        }
        _ => {}
    }
}

fn push_segment(kept: &mut Vec<u8>, marker: u8, payload: &[u8]) {
    // The payload was read from a segment, so its length fits.
    kept.extend([0xFF, marker]);
    kept.extend((payload.len() as u16 + 2).to_be_bytes());
    kept.extend(payload);
}

const PNG_CHUNKS: [&[u8; 4]; 18] = [
    b"IHDR", b"PLTE", b"IDAT", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP", b"mDCV", b"mDCv",
    b"cLLI", b"cLLi", b"sBIT", b"pHYs", b"acTL", b"fcTL", b"fdAT",
];

fn bare_png(source: &[u8]) -> Option<Vec<u8>> {
    let mut kept = source.get(..png::SIGNATURE_BYTES)?.to_vec();
    for chunk in PngChunks::of_file(source) {
        if PNG_CHUNKS.contains(&&chunk.name) {
            kept.extend(png::chunk(chunk.name, chunk.payload));
        } else if &chunk.name == b"IEND" {
            kept.extend(png::chunk(*b"IEND", b""));
            return Some(kept);
        } else if chunk.name[0].is_ascii_uppercase() {
            // Without a critical chunk it would be another picture.
            return None;
        }
    }
    None
}

fn bare_gif(source: &[u8]) -> Option<Vec<u8>> {
    let file = GifFile::of(source)?;
    let mut kept = file.head.to_vec();
    let mut control: &[u8] = &[];
    for block in file.blocks() {
        match block.kind {
            GifBlockKind::GraphicControl => control = block.bytes,
            GifBlockKind::Image => {
                kept.extend(std::mem::take(&mut control));
                kept.extend(block.bytes);
            }
            GifBlockKind::Application(b"NETSCAPE2.0" | b"ANIMEXTS1.0") => kept.extend(block.bytes),
            GifBlockKind::Application(_) | GifBlockKind::Other => {}
        }
    }
    kept.push(b';');
    Some(kept)
}

/// Flags of the extended header that announce EXIF and XMP.
const WEBP_ANNOUNCED: u8 = 0x08 | 0x04;

fn bare_webp(source: &[u8]) -> Option<Vec<u8>> {
    let length = u32::from_le_bytes(*source.get(4..)?.first_chunk()?);
    let source = source.get(..usize::try_from(length).ok()?.checked_add(8)?)?;
    let mut kept = source.get(..webp::HEAD_BYTES)?.to_vec();
    for chunk in RiffChunks::of_file(source) {
        match &chunk.name {
            b"VP8X" => {
                let mut header = chunk.payload.get(..10)?.to_vec();
                header[0] &= !WEBP_ANNOUNCED;
                kept.extend(webp::chunk(chunk.name, &header));
            }
            b"VP8 " | b"VP8L" | b"ALPH" | b"ANIM" | b"ICCP" => {
                kept.extend(webp::chunk(chunk.name, chunk.payload));
            }
            b"ANMF" => {
                let (placement, parts) = chunk.payload.split_at_checked(16)?;
                let parts = RiffChunks::of(parts)
                    .filter(|part| matches!(&part.name, b"VP8 " | b"VP8L" | b"ALPH"))
                    .flat_map(|part| webp::chunk(part.name, part.payload));
                let frame: Vec<u8> = placement.iter().copied().chain(parts).collect();
                kept.extend(webp::chunk(chunk.name, &frame));
            }
            _ => {}
        }
    }
    let length = u32::try_from(kept.len() - 8).ok()?.to_le_bytes();
    kept[4..8].copy_from_slice(&length);
    Some(kept)
}

#[cfg(test)]
mod tests;
