//! Bytes of a stored image → [`Pixels`], one frame, 8 bits a channel, gray kept gray.
//!
//! Each decoder is told the size beforehand and refuses a file that turns out to have another one before it
//! reserves memory for it. Does not scale, orient or manage colours (except CMYK, which no pixels can hold). Invariants: no panic and no unbounded
//! memory or time on any input (long decodes ask `keep_going`); same bytes, same pixels.

mod animation;
mod avif;
mod canvas;
mod gif;
mod jpeg;
mod png;
mod webp;

use super::error::{DecodeFault, RenderError, proceed};
use super::header::{ColorKind, Header, Limits};
use super::pixels::{PixelKind, Pixels};
use super::progress::ProgressSink;
use super::resize;
use super::shape::{Rect, Size};
use crate::object::Format;
pub use animation::AnimationDecoder;

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
    let (size, frame) = (header.stored(), check_frame(header, frame, limits)?);
    proceed(keep_going)?;
    match header.format {
        Format::Jpeg => jpeg::decode(source, size, limits, keep_going),
        Format::Png => png::decode(source, size, frame, keep_going),
        Format::Gif => gif::decode(source, size, frame, keep_going),
        Format::Webp => webp::decode(source, size, frame, keep_going),
        // A sequence is shown by its still alone.
        Format::Avif if frame > 0 => Err(RenderError::FrameMissing { frames: 1 }),
        Format::Avif => avif::decode(source, size, keep_going),
    }
}

/// A part of a picture at its final size, where the format has a shorter way to it than to decode, cut and scale
/// all of it; `None` where it has not. Needs no more memory than these steps do. Tells `progress` of the steps, the last
/// of which is the resize.
///
/// # Errors
///
/// Those of [`decode`].
pub fn decode_part(
    source: &[u8],
    header: &Header,
    frame: Option<u32>,
    part: &SourcePart,
    limits: &Limits,
    progress: &dyn ProgressSink,
) -> Result<Option<Pixels>, RenderError> {
    let (size, frame) = (header.stored(), check_frame(header, frame, limits)?);
    if frame > 0 {
        return Ok(None);
    }
    proceed(&|| progress.keep_going())?;
    match header.format {
        Format::Webp => webp::decode_part(source, size, part, progress),
        Format::Png if header.frames == 1 => png::decode_part(source, size, part, progress),
        Format::Jpeg | Format::Png | Format::Gif | Format::Avif => Ok(None),
    }
}

/// Bytes alive at the peak of [`decode_part`], its result included, where that is known to be less than what decoding,
/// cutting and scaling take; `None` where it is not.
pub fn part_peak_bytes(source: &[u8], header: &Header, frame: Option<u32>, part: &SourcePart) -> Option<u64> {
    let is_plain = header.format == Format::Png && header.frames == 1 && frame.unwrap_or(0) == 0;
    is_plain.then(|| png::part_peak_bytes(source, header, part)).flatten()
}

/// Whether a WebP's part is made of its planes, which takes a third of the time of its pixels.
pub fn is_of_planes(source: &[u8], header: &Header, frame: Option<u32>, part: &SourcePart) -> bool {
    let is_first = header.format == Format::Webp && frame.unwrap_or(0) == 0;
    is_first && webp::gives_part(source, header.stored(), part)
}

/// The part of a stored picture that a variant needs, and its size.
#[derive(Clone, Copy, Debug)]
pub struct SourcePart {
    /// Inside the picture; nothing beyond it may show.
    pub cut: Rect<u32>,
    /// Inside the cut, counted from its corner.
    pub window: Rect<f64>,
    /// The size to which the window is scaled; neither side is zero.
    pub to: Size,
}

impl SourcePart {
    /// The pixels that the filter reads: the window and its reach, within the cut.
    fn needed_window(&self) -> Rect<u32> {
        let Self { cut, window, to } = *self;
        let (x, width) = filter_reach(cut.x, cut.width, window.x, window.width, to.width);
        let (y, height) = filter_reach(cut.y, cut.height, window.y, window.height, to.height);
        Rect { x, y, width, height }
    }
}

/// Start and length of one side of it, in the stored picture.
fn filter_reach(cut: u32, side: u32, start: f64, length: f64, to: u32) -> (u32, u32) {
    let reach = resize::FILTER_REACH * (length / f64::from(to)).max(1.0) + 1.0;
    // Casts saturate: below zero is zero.
    let first = ((start - reach).floor() as u32).min(side - 1);
    let end = ((start + length + reach).ceil() as u32).clamp(first + 1, side);
    (cut + first, end - first)
}

/// The number of the frame, if header and limits allow it to be decoded.
fn check_frame(header: &Header, frame: Option<u32>, limits: &Limits) -> Result<u32, RenderError> {
    let area = header.stored().area();
    if area > limits.pixels_max {
        return Err(RenderError::TooLarge { pixels_max: limits.pixels_max });
    }
    if area == 0 {
        return Err(CORRUPT);
    }
    let frame = frame.unwrap_or(0);
    // An animation of more frames than are kept is a still: its first frame.
    let frames = if header.frames > limits.frames_max { 1 } else { header.frames.max(1) };
    if frame >= frames { Err(RenderError::FrameMissing { frames }) } else { Ok(frame) }
}

/// The kind with the most channels that [`decode`] may give for this header.
pub fn kind(header: &Header) -> PixelKind {
    match (header.format, header.color.kind) {
        (Format::Jpeg, ColorKind::Gray) => PixelKind::Gray,
        (Format::Jpeg, _) => PixelKind::Rgb,
        // A header cannot rule out that pixels of an animation's canvas stay uncovered, and thus transparent. An
        // animated WebP may have a single frame, so it does not even tell which is one.
        (Format::Gif | Format::Webp, _) => PixelKind::Rgba,
        (Format::Png, _) if header.frames > 1 => PixelKind::Rgba,
        (_, ColorKind::Gray) if !header.has_alpha => PixelKind::Gray,
        (_, ColorKind::Gray | ColorKind::GrayAlpha) => PixelKind::GrayAlpha,
        (Format::Png | Format::Avif, _) => {
            if header.has_alpha {
                PixelKind::Rgba
            } else {
                PixelKind::Rgb
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
        // A lossless file's ARGB, which the decoder keeps, and its result. Beside them, from the second frame on,
        // the canvas.
        Format::Webp if header.frames > 1 => 4 + 4 + 4,
        Format::Webp => 4 + 4,
        // Three planes, and as much again where grain is laid over them, beside the result; the same for alpha comes
        // when those of the colours are gone.
        Format::Avif => 2 * 3 * sample_bytes(header) + 2 + kind(header).channels() as u64,
    };
    // Blocks reach past the edges, and decoders keep a few rows of work: at most 64 rows and columns of 16 bytes.
    area.saturating_mul(per_pixel)
        .saturating_add(1024 * (u64::from(header.width) + u64::from(header.height) + 64))
        .saturating_add(match header.format {
            Format::Gif => gif::FRAME_AREA_FREE,
            // Planes are padded to blocks of 128, and the decoder's own tables do not depend on the picture.
            Format::Avif => 2048 * (u64::from(header.width) + u64::from(header.height)) + (16 << 20),
            _ => 0,
        })
}

fn sample_bytes(header: &Header) -> u64 {
    if header.color.bits > 8 { 2 } else { 1 }
}

/// The data breaks its format's rules.
const CORRUPT: RenderError = RenderError::Undecodable(DecodeFault::Corrupt);
/// The decoder meets another size than the header says.
const SIZE_DIFFERS: RenderError = RenderError::Undecodable(DecodeFault::SizeDiffers);
/// A way of coding that is not supported.
const UNSUPPORTED: RenderError = RenderError::Undecodable(DecodeFault::Unsupported);
