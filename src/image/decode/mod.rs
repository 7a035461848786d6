//! Bytes of a stored image → [`Pixels`], one frame, 8 bits a channel, gray kept gray.
//!
//! Each decoder is told the size beforehand and refuses a file that turns out to have another one before it
//! reserves memory for it. Does not scale, orient or manage colours. Invariants: no panic and no unbounded
//! memory or time on any input (long decodes ask `keep_going`); same bytes, same pixels.

mod canvas;
mod gif;
mod jpeg;
mod player;
mod png;
mod webp;

use super::error::{Fault, RenderError, proceed};
use super::geometry::Size;
use super::header::{ColorKind, Header, Limits};
use super::pixels::{Kind, Pixels};
use crate::object::Format;
pub use player::Player;

/// Decodes one frame: `frame` counts from 0, `None` is the first displayed one (an APNG's default image).
///
/// # Errors
///
/// [`RenderError::TooLarge`] and [`RenderError::FrameMissing`] from the header alone; `Undecodable` for bad
/// data; `Cancelled` once `keep_going` says no.
pub fn decode(
    source: &[u8],
    header: &Header,
    frame: Option<u32>,
    limits: &Limits,
    keep_going: &dyn Fn() -> bool,
) -> Result<Pixels, RenderError> {
    let size = Size { width: header.width, height: header.height };
    if size.area() > limits.pixels_max {
        return Err(RenderError::TooLarge { pixels_max: limits.pixels_max });
    }
    if size.area() == 0 {
        return Err(CORRUPT);
    }
    let frame = frame.unwrap_or(0);
    // An animation of more frames than are kept is a still: its first frame.
    let frames = if header.frames > limits.frames_max { 1 } else { header.frames.max(1) };
    if frame >= frames {
        return Err(RenderError::FrameMissing { frames });
    }
    proceed(keep_going)?;
    match header.format {
        Format::Jpeg => jpeg::decode(source, size),
        Format::Png => png::decode(source, size, frame, keep_going),
        Format::Gif => gif::decode(source, size, frame, keep_going),
        Format::Webp => webp::decode(source, size, frame, keep_going),
        Format::Avif => Err(RenderError::FormatNotSupported(Format::Avif)),
    }
}

/// The kind with the most channels that [`decode`] may give for this header.
pub fn kind(header: &Header) -> Kind {
    match (header.format, header.color.kind) {
        (Format::Jpeg, ColorKind::Gray) => Kind::Gray,
        (Format::Jpeg, _) => Kind::Rgb,
        // A header cannot rule out that pixels of an animation's canvas stay uncovered, and thus transparent. An
        // animated WebP may have a single frame, so it does not even tell which is one.
        (Format::Gif | Format::Webp | Format::Avif, _) => Kind::Rgba,
        (Format::Png, _) if header.frames > 1 => Kind::Rgba,
        (Format::Png, ColorKind::Gray) if !header.has_alpha => Kind::Gray,
        (Format::Png, ColorKind::Gray | ColorKind::GrayAlpha) => Kind::GrayAlpha,
        (Format::Png, _) => {
            if header.has_alpha {
                Kind::Rgba
            } else {
                Kind::Rgb
            }
        }
    }
}

/// Bytes alive at the peak of [`decode`], its result included: an upper bound.
pub fn peak_bytes(header: &Header) -> u64 {
    let area = u64::from(header.width) * u64::from(header.height);
    let per_pixel = match header.format {
        // A progressive or non-interleaved file keeps every coefficient, 2 bytes each, beside the result; the
        // header does not say which kind a file is.
        Format::Jpeg if header.color.kind == ColorKind::Gray => 2 + 1,
        Format::Jpeg if header.color.kind == ColorKind::Cmyk => 4 * 2 + 4,
        Format::Jpeg => 3 * 2 + 3,
        // The canvas, one frame, and what the frame hides until it is disposed of.
        Format::Png if header.frames > 1 => 4 + 4 + 4,
        Format::Png => kind(header).channels() as u64,
        // The canvas, what a frame hides until it is disposed of, and the frame's indices.
        Format::Gif => 4 + 4 + 1,
        // The decoder's ARGB and its result; then that result and a copy. Beside them, from the second frame on,
        // the canvas.
        Format::Webp if header.frames > 1 => 4 + 4 + 4,
        Format::Webp => 4 + 4,
        Format::Avif => 0,
    };
    // Blocks reach past the edges, and decoders keep a few rows of work: at most 64 rows and columns of 16 bytes.
    area.saturating_mul(per_pixel)
        .saturating_add(1024 * (u64::from(header.width) + u64::from(header.height) + 64))
        .saturating_add(if header.format == Format::Gif { gif::FRAME_AREA_FREE } else { 0 })
}

/// The data breaks its format's rules.
const CORRUPT: RenderError = RenderError::Undecodable(Fault::Corrupt);
/// The decoder meets another size than the header says.
const SIZE_DIFFERS: RenderError = RenderError::Undecodable(Fault::SizeDiffers);
/// A way of coding that is not supported.
const UNSUPPORTED: RenderError = RenderError::Undecodable(Fault::Unsupported);
