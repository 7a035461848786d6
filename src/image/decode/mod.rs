//! Bytes of a stored image → [`Pixels`]: one frame, 8 bits a channel, gray stays gray.
//!
//! Each decoder knows the expected size and refuses a file of another size before it allocates memory for it. It does
//! not scale, orient or convert colours (except CMYK, which no pixels can hold). Invariants: no panic, and no unbounded
//! memory or time, on any input (long decodes ask `keep_going`); the same bytes give the same pixels.

mod animation;
mod avif;
mod canvas;
mod gif;
#[cfg(feature = "heic")]
mod heic;
#[cfg(not(feature = "heic"))]
#[path = "heic_left_out.rs"]
mod heic;
mod jpeg;
#[cfg(feature = "jxl")]
mod jxl;
#[cfg(not(feature = "jxl"))]
#[path = "jxl_left_out.rs"]
mod jxl;
mod png;
mod webp;
mod ycbcr;

use super::container;
use super::error::{DecodeFault, RenderError, proceed};
use super::header::{ColorKind, Header, Limits};
use super::light::Light;
use super::pixels::{PixelKind, Pixels};
use super::progress::ProgressSink;
use super::resize;
use super::shape::{Rect, Size};
use super::small_picture::Aside;
use crate::object::Format;
pub use animation::AnimationDecoder;

/// Decodes one frame: `frame` counts from 0; `None` is the first displayed one (an APNG's default image).
///
/// # Errors
///
/// [`RenderError::TooLarge`] and [`RenderError::FrameMissing`] from the header alone; `Undecodable` for bad data;
/// `Cancelled` once `keep_going` returns false.
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
        // Only the still of a sequence is shown.
        Format::Avif if frame > 0 => Err(RenderError::FrameMissing { frames: 1 }),
        Format::Avif => avif::decode(source, size, keep_going),
        Format::Heic | Format::Jxl if frame > 0 => Err(RenderError::FrameMissing { frames: 1 }),
        Format::Heic => heic::decode(source, size, (1, Light::Encoded), keep_going),
        Format::Jxl => jxl::decode(source, size, keep_going),
    }
}

/// Whether a file of this format is usually a photo: one that was coded with loss.
pub fn is_photo(source: &[u8], format: Format) -> bool {
    match format {
        Format::Jpeg | Format::Avif | Format::Heic => true,
        Format::Png | Format::Gif => false,
        Format::Webp => container::webp::is_lossy(source),
        Format::Jxl => container::jxl::is_lossy(source),
    }
}

/// A picture that is decoded at a fraction of its sides: blocks of this many pixels along each side become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reduction {
    /// 2, 4 or 8.
    pub factor: u32,
    /// The size of the reduced picture. A block at its right or lower edge may have fewer pixels.
    pub size: Size,
    /// The kind of its pixels.
    pub kind: PixelKind,
    /// The values whose means its pixels are.
    pub light: Light,
}

/// The reduction with which a part of this picture is made, if its format can be decoded reduced; `None` if it is decoded
/// whole. The reduced window has at least twice the sides of the result, so that the resize is as sharp as without.
pub fn reduction(source: &[u8], header: &Header, part: &SourcePart) -> Option<Reduction> {
    if header.format != Format::Heic || header.has_alpha {
        return None;
    }
    let spares = |factor: &u32| {
        let need = |side: u32| 2.0 * f64::from(*factor) * f64::from(side);
        part.window.width >= need(part.to.width) && part.window.height >= need(part.to.height)
    };
    let factor = [8, 4, 2].into_iter().find(spares)?;
    let Size { width, height } = header.stored();
    let size = Size { width: width.div_ceil(factor), height: height.div_ceil(factor) };
    heic::can_reduce(source, factor).then(|| Reduction {
        factor,
        size,
        kind: kind(header),
        light: part.light,
    })
}

/// Decodes the picture at a fraction of its sides.
///
/// # Errors
///
/// As [`decode`].
pub fn decode_reduced(
    source: &[u8],
    header: &Header,
    reduction: &Reduction,
    limits: &Limits,
    keep_going: &dyn Fn() -> bool,
) -> Result<Pixels, RenderError> {
    check_frame(header, None, limits)?;
    proceed(keep_going)?;
    heic::decode(source, header.stored(), (reduction.factor, reduction.light), keep_going)
}

/// Peak memory of [`decode_reduced`] in bytes, its result included: an upper bound.
pub fn reduced_peak_bytes(source: &[u8], header: &Header, reduction: &Reduction) -> u64 {
    let pixels = reduction.size.area().saturating_mul(reduction.kind.channels() as u64);
    pixels.saturating_add(heic::work_bytes(source, header.stored()))
}

/// Decodes a part of a picture at its final size, if the format has a shorter way than to decode, cut and scale all of
/// it; else `None`. Needs no more memory than those steps. Reports the stages to `progress`; the last is the resize.
/// Where it reads all rows of the picture, `aside` gets them too.
///
/// # Errors
///
/// As [`decode`].
pub fn decode_part(
    source: &[u8],
    header: &Header,
    frame: Option<u32>,
    part: &SourcePart,
    limits: &Limits,
    aside: &mut Aside,
    progress: &dyn ProgressSink,
) -> Result<Option<Pixels>, RenderError> {
    let (size, frame) = (header.stored(), check_frame(header, frame, limits)?);
    if frame > 0 {
        return Ok(None);
    }
    proceed(&|| progress.keep_going())?;
    match header.format {
        Format::Webp => webp::decode_part(source, size, part, progress),
        Format::Png if header.frames == 1 => png::decode_part(source, size, part, aside, progress),
        Format::Jpeg | Format::Png | Format::Gif | Format::Avif | Format::Heic | Format::Jxl => Ok(None),
    }
}

/// Peak memory of [`decode_part`] in bytes, its result included, if it is known to be below the peak of decoding,
/// cutting and scaling; else `None`.
pub fn part_peak_bytes(source: &[u8], header: &Header, frame: Option<u32>, part: &SourcePart) -> Option<u64> {
    let is_plain = header.format == Format::Png && header.frames == 1 && frame.unwrap_or(0) == 0;
    is_plain.then(|| png::part_peak_bytes(source, header, part)).flatten()
}

/// Whether the part of a WebP is made from its planes, which takes a third of the time of the way over pixels.
pub fn is_of_planes(source: &[u8], header: &Header, frame: Option<u32>, part: &SourcePart) -> bool {
    let is_first = header.format == Format::Webp && frame.unwrap_or(0) == 0;
    is_first && webp::gives_part(source, header.stored(), part)
}

/// The part of a stored picture that a variant needs, and its size.
#[derive(Clone, Copy, Debug)]
pub struct SourcePart {
    /// The cut, inside the picture; nothing beyond it may show.
    pub cut: Rect<u32>,
    /// The window inside the cut, counted from the cut's corner.
    pub window: Rect<f64>,
    /// The size to which the window is scaled; neither side is zero.
    pub to: Size,
    /// The values whose means its pixels are.
    pub light: Light,
}

impl SourcePart {
    /// The pixels that the filter reads: the window and the filter's reach, within the cut.
    fn needed_window(&self) -> Rect<u32> {
        let Self { cut, window, to, .. } = *self;
        let (x, width) = filter_reach(cut.x, cut.width, window.x, window.width, to.width);
        let (y, height) = filter_reach(cut.y, cut.height, window.y, window.height, to.height);
        Rect { x, y, width, height }
    }
}

/// Start and length of that range along one side, in the stored picture.
fn filter_reach(cut: u32, side: u32, start: f64, length: f64, to: u32) -> (u32, u32) {
    let reach = resize::FILTER_REACH * (length / f64::from(to)).max(1.0) + 1.0;
    // Casts saturate: a negative value becomes zero.
    let first = ((start - reach).floor() as u32).min(side - 1);
    let end = ((start + length + reach).ceil() as u32).clamp(first + 1, side);
    (cut + first, end - first)
}

/// The number of the frame, if header and limits allow its decode.
fn check_frame(header: &Header, frame: Option<u32>, limits: &Limits) -> Result<u32, RenderError> {
    let area = header.stored().area();
    if area > limits.pixels_max {
        return Err(RenderError::TooLarge { pixels_max: limits.pixels_max });
    }
    if area == 0 {
        return Err(CORRUPT);
    }
    let frame = frame.unwrap_or(0);
    // An animation beyond `frames_max` is a still: its first frame.
    let frames = if header.frames > limits.frames_max { 1 } else { header.frames.max(1) };
    if frame >= frames { Err(RenderError::FrameMissing { frames }) } else { Ok(frame) }
}

/// The kind with the most channels that [`decode`] may return for this header.
pub fn kind(header: &Header) -> PixelKind {
    match (header.format, header.color.kind) {
        (Format::Jpeg, ColorKind::Gray) => PixelKind::Gray,
        (Format::Jpeg, _) => PixelKind::Rgb,
        // The header cannot exclude that some pixels of an animation's canvas stay uncovered, hence transparent. An
        // animated WebP may have a single frame, so the header does not even identify an animation.
        (Format::Gif | Format::Webp, _) => PixelKind::Rgba,
        (Format::Png, _) if header.frames > 1 => PixelKind::Rgba,
        (_, ColorKind::Gray) if !header.has_alpha => PixelKind::Gray,
        (_, ColorKind::Gray | ColorKind::GrayAlpha) => PixelKind::GrayAlpha,
        (Format::Png | Format::Avif | Format::Heic | Format::Jxl, _) => {
            if header.has_alpha {
                PixelKind::Rgba
            } else {
                PixelKind::Rgb
            }
        }
    }
}

/// Peak memory of [`decode`] in bytes, its result included: an upper bound.
pub fn peak_bytes(header: &Header) -> u64 {
    let area = u64::from(header.width) * u64::from(header.height);
    let per_pixel = match header.format {
        // A progressive file keeps every coefficient (2 bytes each, and an eighth) beside its samples, and the header
        // does not say whether a file is one.
        Format::Jpeg if header.color.kind == ColorKind::Gray => 4,
        Format::Jpeg if header.color.kind == ColorKind::Cmyk => 13,
        Format::Jpeg => 10,
        // The canvas, one frame, and the pixels that the frame hides until its disposal.
        Format::Png if header.frames > 1 => 4 + 4 + 4,
        Format::Png => kind(header).channels() as u64,
        // The canvas, the pixels that a frame hides until its disposal, and the frame's indices.
        Format::Gif => 4 + 4 + 1,
        // The ARGB of a lossless file, which the decoder keeps, and its result; from the second frame on also the
        // canvas.
        Format::Webp if header.frames > 1 => 4 + 4 + 4,
        Format::Webp => 4 + 4,
        // Three planes, as much again for a picture with film grain, and the result. The planes of alpha come after the
        // planes of colour are freed.
        Format::Avif => 2 * 3 * sample_bytes(header) + 2 + kind(header).channels() as u64,
        Format::Heic => heic::WORK_BYTES_PER_PIXEL + kind(header).channels() as u64,
        Format::Jxl => jxl::work_bytes_per_pixel(header) + kind(header).channels() as u64,
    };
    // Blocks reach past the edges, and decoders keep a few rows of work: at most 64 rows and columns of 16 bytes.
    area.saturating_mul(per_pixel)
        .saturating_add(1024 * (u64::from(header.width) + u64::from(header.height) + 64))
        .saturating_add(match header.format {
            Format::Gif => gif::FRAME_AREA_FREE,
            // Planes are padded to blocks of 128, and the decoder's own tables have a constant size.
            // Tiles may be larger than the picture by a few blocks.
            Format::Heic => heic::work_bytes_beyond(header.stored()),
            Format::Jxl => jxl::WORK_BYTES,
            Format::Avif => 2048 * (u64::from(header.width) + u64::from(header.height)) + (16 << 20),
            _ => 0,
        })
}

fn sample_bytes(header: &Header) -> u64 {
    if header.color.bits > 8 { 2 } else { 1 }
}

/// The data breaks the rules of its format.
const CORRUPT: RenderError = RenderError::Undecodable(DecodeFault::Corrupt);
/// The decoded size is not the size in the header.
const SIZE_DIFFERS: RenderError = RenderError::Undecodable(DecodeFault::SizeDiffers);
/// A coding that is not supported.
const UNSUPPORTED: RenderError = RenderError::Undecodable(DecodeFault::Unsupported);
