//! [`Pixels`] → bytes of a file, without any metadata.
//!
//! Same pixels, same format and same quality: same bytes, on every node that runs the same build. Transparent
//! parts become white where a format has no alpha. Does not choose a format or a quality.

mod gif;
mod jpeg;
mod png;
mod webp;

use super::geometry::Size;
use super::pixels::{Kind, Pixels};
use super::render::RenderError;
use crate::object::Format;

/// For a caller that names none.
const QUALITY_UNNAMED: u8 = 80;

/// Writes a file. `quality` is 1–100 and ignored by formats that take none.
///
/// # Errors
///
/// Those of [`check`], and [`RenderError::EncodeFailed`].
pub fn encode(pixels: Pixels, format: Format, quality: Option<u8>) -> Result<Vec<u8>, RenderError> {
    check(format, pixels.size())?;
    let quality = quality.unwrap_or(QUALITY_UNNAMED).clamp(1, 100);
    let bytes = match format {
        Format::Jpeg => jpeg::encode(pixels, quality),
        Format::Png => png::encode(&pixels),
        Format::Gif => gif::encode(pixels),
        Format::Webp => webp::encode(pixels, quality),
        Format::Avif => return Err(RenderError::FormatNotSupported(Format::Avif)),
    };
    bytes.ok_or(RenderError::EncodeFailed(format))
}

/// Whether the format can be written and holds a picture of this size; cheap, so that it can be asked before
/// anything is decoded.
///
/// # Errors
///
/// [`RenderError::FormatNotSupported`] or [`RenderError::SideOutOfRange`].
pub fn check(format: Format, size: Size) -> Result<(), RenderError> {
    let side_max = match format {
        Format::Jpeg | Format::Gif => 65_535,
        Format::Png => 0x7FFF_FFFF,
        Format::Webp => 16_383,
        Format::Avif => return Err(RenderError::FormatNotSupported(format)),
    };
    let fits = |side| (1..=side_max).contains(&side);
    if fits(size.width) && fits(size.height) { Ok(()) } else { Err(RenderError::SideOutOfRange { side_max }) }
}

/// Bytes alive at the peak of [`encode`], its argument and result included: an upper bound for pictures, at
/// which noise does not arrive either.
pub fn peak_bytes(format: Format, kind: Kind, size: Size) -> u64 {
    let channels = kind.channels() as u64;
    let per_pixel = match format {
        // Coefficients of all blocks (2 bytes each, colour at half the sides, rounded up) and the file.
        Format::Jpeg => channels + 3 + 3,
        // Filtered rows and the file, which grows by doubling.
        Format::Png => channels + 3 * channels,
        // RGBA, indices and the file.
        Format::Gif => channels + 4 + 1 + 3,
        // RGB(A), libwebp's ARGB and YUVA of it, and the file.
        Format::Webp => channels + 4 + 4 + 3 + 2,
        Format::Avif => 0,
    };
    size.area()
        .saturating_mul(per_pixel)
        .saturating_add(1024 * (u64::from(size.width) + u64::from(size.height) + 512))
}
