//! [`Pixels`] → bytes of a file, without any metadata.
//!
//! The same pixels, format and quality give the same bytes on every node that runs the same build. Transparent parts
//! become white where a format has no alpha. The caller chooses format and quality.

mod animation;
mod avif;
mod gif;
mod jpeg;
mod palette;
mod png;
mod webp;

use std::cell::Cell;

use super::error::{RenderError, proceed};
use super::pixels::{PixelKind, Pixels};
use super::shape::Size;
use super::shape::side_max;
use crate::object::Format;
pub use animation::{Animation, kept_bytes};

/// The quality for a caller that gives none.
const QUALITY_UNNAMED: u8 = 80;

/// Encodes a file. `quality` is 1–100; formats without one ignore it.
///
/// # Errors
///
/// [`RenderError::SideOutOfRange`] and [`RenderError::EncodeFailed`].
pub fn encode(pixels: Pixels, format: Format, quality: Option<u8>) -> Result<Vec<u8>, RenderError> {
    encode_while(pixels, format, quality, &|| true)
}

/// As [`encode`], for a caller that may cancel: it calls `keep_going` every few rows. Two steps cannot: AVIF, and the
/// compression of WebP's alpha.
///
/// # Errors
///
/// Those of [`encode`]; [`RenderError::Cancelled`] once `keep_going` returns false.
pub fn encode_while(
    pixels: Pixels,
    format: Format,
    quality: Option<u8>,
    keep_going: &dyn Fn() -> bool,
) -> Result<Vec<u8>, RenderError> {
    proceed(keep_going)?;
    let (size, side_max) = (pixels.size(), side_max(format));
    if size.width.max(size.height) > side_max {
        return Err(RenderError::SideOutOfRange { side_max });
    }
    let quality = require_quality(quality);
    unless_stopped(format, keep_going, |keep_going| match format {
        Format::Jpeg => jpeg::encode(pixels, quality, keep_going),
        Format::Png => png::encode(pixels, keep_going),
        Format::Gif => gif::encode(pixels, keep_going),
        Format::Webp => webp::encode(pixels, quality, keep_going),
        Format::Avif => avif::encode(&pixels, quality),
        Format::Heic | Format::Jxl => None,
    })
}

/// The result of `work`; without one, the error says whether `keep_going` returned false.
fn unless_stopped<T>(
    format: Format,
    keep_going: &dyn Fn() -> bool,
    work: impl FnOnce(&dyn Fn() -> bool) -> Option<T>,
) -> Result<T, RenderError> {
    let is_stopped = Cell::new(false);
    let asked = || {
        is_stopped.set(!keep_going());
        !is_stopped.get()
    };
    let made = work(&asked);
    made.ok_or(if is_stopped.get() { RenderError::Cancelled } else { RenderError::EncodeFailed(format) })
}

/// Encodes a JPEG of luma and two planes of colour differences, which have half its sides, rounded up.
///
/// # Errors
///
/// [`RenderError::EncodeFailed`], also for planes of other sizes or a side that JPEG cannot hold;
/// [`RenderError::Cancelled`] once `keep_going` returns false.
pub fn encode_planes(
    planes: &[Pixels; 3],
    quality: Option<u8>,
    keep_going: &dyn Fn() -> bool,
) -> Result<Vec<u8>, RenderError> {
    let quality = require_quality(quality);
    unless_stopped(Format::Jpeg, keep_going, |keep_going| jpeg::encode_planes(planes, quality, keep_going))
}

/// Begins an animation of frames of this size, which plays `plays` times (0: endless). `quality` as for [`encode`].
///
/// # Errors
///
/// [`RenderError::SideOutOfRange`]; [`RenderError::EncodeFailed`], also if the format holds no animation.
pub fn animation(
    format: Format,
    size: Size,
    plays: u32,
    quality: Option<u8>,
) -> Result<Animation, RenderError> {
    let side_max = side_max(format);
    if size.width.max(size.height) > side_max || size.area() == 0 {
        return Err(RenderError::SideOutOfRange { side_max });
    }
    Animation::new(format, size, plays, require_quality(quality))
}

/// Whether an animation can be written in this format.
pub const fn holds_animation(format: Format) -> bool {
    matches!(format, Format::Gif | Format::Webp)
}

fn require_quality(quality: Option<u8>) -> u8 {
    quality.unwrap_or(QUALITY_UNNAMED).clamp(1, 100)
}

/// Peak memory of [`encode`] in bytes, its argument and result included. An upper bound for pictures, which noise does
/// not reach either.
pub fn peak_bytes(format: Format, kind: PixelKind, size: Size) -> u64 {
    let channels = kind.channels() as u64;
    let per_pixel = match format {
        // [`jpeg::peak_bytes`] adds the rest.
        Format::Jpeg => channels,
        // Filtered rows and the file, which grows by doubling; palette entries.
        Format::Png => channels + 3 * channels + 1,
        // RGBA, indices and the file.
        Format::Gif => channels + 4 + 1 + 3,
        // RGB(A), libwebp's ARGB and YUVA of it, and the file. The lossless encoder writes alpha: two copies as ARGB, a
        // chain of 4 bytes and three lists of 8 bytes a pixel.
        Format::Webp => channels + 4 + 4 + 3 + 2 + if kind.has_alpha() { 4 + 4 + 4 + 3 * 8 } else { 0 },
        // Planes, and the encoder's frames, blocks and statistics: measured at 18 bytes a pixel.
        Format::Avif => channels + 3 + 28,
        // They are not written.
        Format::Heic | Format::Jxl => channels,
    };
    size.area()
        .saturating_mul(per_pixel)
        .saturating_add(1024 * (u64::from(size.width) + u64::from(size.height) + 512))
        .saturating_add(match format {
            Format::Jpeg => jpeg::peak_bytes(size),
            Format::Gif => gif::WORK_BYTES,
            Format::Avif => 16 << 20,
            Format::Png | Format::Webp | Format::Heic | Format::Jxl => 0,
        })
}

#[cfg(test)]
mod tests;
