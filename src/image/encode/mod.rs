//! [`Pixels`] → bytes of a file, without any metadata.
//!
//! Same pixels, same format and same quality: same bytes, on every node that runs the same build. Transparent
//! parts become white where a format has no alpha. Does not choose a format or a quality.

mod animation;
mod avif;
mod gif;
mod jpeg;
mod palette;
mod png;
mod webp;

use super::error::RenderError;
use super::geometry::{Size, side_max};
use super::pixels::{Kind, Pixels};
use crate::object::Format;
pub use animation::{Animation, kept_bytes};

/// For a caller that names none.
const QUALITY_UNNAMED: u8 = 80;

/// Writes a file. `quality` is 1–100 and ignored by formats that take none.
///
/// # Errors
///
/// [`RenderError::SideOutOfRange`] and [`RenderError::EncodeFailed`].
pub fn encode(pixels: Pixels, format: Format, quality: Option<u8>) -> Result<Vec<u8>, RenderError> {
    let (size, side_max) = (pixels.size(), side_max(format));
    if size.width.max(size.height) > side_max {
        return Err(RenderError::SideOutOfRange { side_max });
    }
    let quality = known(quality);
    let bytes = match format {
        Format::Jpeg => jpeg::encode(pixels, quality),
        Format::Png => png::encode(pixels),
        Format::Gif => gif::encode(pixels),
        Format::Webp => webp::encode(pixels, quality),
        Format::Avif => avif::encode(&pixels, quality),
    };
    bytes.ok_or(RenderError::EncodeFailed(format))
}

/// Writes a JPEG of luma and two planes of colour differences, which have half its sides, rounded up.
///
/// # Errors
///
/// [`RenderError::EncodeFailed`], also for planes of other sizes or a side that JPEG cannot hold.
pub fn encode_planes(planes: &[Pixels; 3], quality: Option<u8>) -> Result<Vec<u8>, RenderError> {
    jpeg::encode_planes(planes, known(quality)).ok_or(RenderError::EncodeFailed(Format::Jpeg))
}

/// Begins an animation of frames of this size, shown `plays` times (0: without end). `quality` as for [`encode`].
///
/// # Errors
///
/// [`RenderError::SideOutOfRange`]; [`RenderError::EncodeFailed`], also where the format holds no animation.
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
    Animation::new(format, size, plays, known(quality))
}

/// Whether an animation can be written in this format.
pub const fn holds_animation(format: Format) -> bool {
    matches!(format, Format::Gif | Format::Webp)
}

fn known(quality: Option<u8>) -> u8 {
    quality.unwrap_or(QUALITY_UNNAMED).clamp(1, 100)
}

/// Bytes alive at the peak of [`encode`], its argument and result included: an upper bound for pictures, at
/// which noise does not arrive either.
pub fn peak_bytes(format: Format, kind: Kind, size: Size) -> u64 {
    let channels = kind.channels() as u64;
    let per_pixel = match format {
        // And what [`jpeg::peak_bytes`] adds.
        Format::Jpeg => channels,
        // Filtered rows and the file, which grows by doubling; numbers of colours.
        Format::Png => channels + 3 * channels + 1,
        // RGBA, indices and the file.
        Format::Gif => channels + 4 + 1 + 3,
        // RGB(A), libwebp's ARGB and YUVA of it, and the file.
        Format::Webp => channels + 4 + 4 + 3 + 2,
        // Planes, and the encoder's frames, blocks and statistics: 18 bytes a pixel were measured.
        Format::Avif => channels + 3 + 28,
    };
    size.area()
        .saturating_mul(per_pixel)
        .saturating_add(1024 * (u64::from(size.width) + u64::from(size.height) + 512))
        .saturating_add(match format {
            Format::Jpeg => jpeg::peak_bytes(size),
            Format::Gif => gif::WORK_BYTES,
            Format::Avif => 16 << 20,
            Format::Png | Format::Webp => 0,
        })
}
