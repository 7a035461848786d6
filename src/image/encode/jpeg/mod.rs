//! JPEG (ITU-T T.81): baseline, one scan, subsampled colour (4:2:0), gray in one component.
//!
//! Huffman tables are optimised for the picture, which saves 2–4 % of the bytes. That needs the count of every symbol
//! before the first is written. A small picture keeps its tokens meanwhile. Of a large picture only every fourth row of
//! units is counted, and then all tokens are computed again and written at once: that costs a few per cent of the time
//! and hardly any bytes, and needs memory for a few rows. All arithmetic is in integers, so the bytes are the same
//! everywhere.

mod bits;
mod head;
mod huffman;
mod scan;
mod strip;
mod tables;
mod token;
mod transform;

use scan::Scan;
use strip::JpegPicture;

use crate::image::effect;
use crate::image::pixels::Pixels;
use crate::image::shape::Size;

/// The longest side that the format holds.
const SIDE_MAX: u32 = 65535;

/// Blocks of a picture whose tokens are all kept until its tables are made: about 1000 × 700 pixels in colour. That is
/// at most 4 MiB of tokens, and 1 MiB for most photos.
const KEPT_BLOCKS_MAX: usize = 16 * 1024;

/// Encodes these pixels, on white where they are transparent. `None` if a side is longer than 65535, or once
/// `keep_going` returns false.
pub(super) fn encode(pixels: Pixels, quality: u8, keep_going: &dyn Fn() -> bool) -> Option<Vec<u8>> {
    let pixels = effect::flattened(pixels, [255; 3]);
    written(JpegPicture::of(&pixels)?, quality, keep_going)
}

/// Encodes planes: luma, and blue and red colour differences at half its sides, rounded up. `quality` is 1–100 on the
/// scale of the Independent JPEG Group. `None` if the planes have other sizes, if a side is longer than 65535, or once
/// `keep_going` returns false.
pub(super) fn encode_planes(
    planes: &[Pixels; 3],
    quality: u8,
    keep_going: &dyn Fn() -> bool,
) -> Option<Vec<u8>> {
    written(JpegPicture::of_planes(planes)?, quality, keep_going)
}

/// Peak memory of [`encode_planes`] in bytes, its result included but not the planes. An upper bound for pictures,
/// which noise does not reach either.
pub(super) fn peak_bytes(size: Size) -> u64 {
    let sides = u64::from(size.width) + u64::from(size.height);
    // A token has 4 bytes. A pixel has at most one and a half tokens, blocks reach past the edges, and the vector that
    // holds them grows by doubling.
    let kept = (KEPT_BLOCKS_MAX * token::BLOCK_TOKENS_MAX * size_of::<token::Token>()) as u64;
    let tokens = kept.min(size.area().saturating_mul(6).saturating_add(256 * sides)).saturating_mul(3);
    // A strip of 16 rows in one and a half planes, with its tokens; and the file, which also grows by doubling.
    let strip = 1024 * sides;
    size.area().saturating_mul(3).saturating_add(tokens).saturating_add(strip)
}

fn written(picture: JpegPicture<'_>, quality: u8, keep_going: &dyn Fn() -> bool) -> Option<Vec<u8>> {
    let size = picture.size();
    if size.width.max(size.height) > SIDE_MAX {
        return None;
    }
    let blocks = picture.units().area() * if picture.is_gray() { 1 } else { 6 };
    let scan = Scan::new(picture, quality);
    if blocks <= KEPT_BLOCKS_MAX as u64 {
        scan.written_at_once(keep_going)
    } else {
        scan.written_in_rows(keep_going)
    }
}

#[cfg(test)]
mod tests;
