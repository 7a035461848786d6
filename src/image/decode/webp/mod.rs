//! WebP, lossy, lossless and animated, all by libwebp.
//!
//! This module walks the container of an animation and gives each frame's bitstream to the still decoder. It refuses a
//! frame whose bitstream claims another size than its place on the canvas before it allocates memory: the claim costs
//! an attacker four bytes and the decoder four hundred megabytes.

mod libwebp;
mod shrunk;

use libwebp::Features;

use super::canvas::{Area, Blend, Canvas, Disposal};
use super::{CORRUPT, SIZE_DIFFERS, SourcePart};
use crate::image::container::webp::RiffChunks;
use crate::image::error::{RenderError, proceed};
use crate::image::pixels::{PixelKind, Pixels};
use crate::image::progress::ProgressSink;
use crate::image::shape::Size;

/// The still, or the canvas after frame `frame` was drawn.
pub(super) fn decode(
    source: &[u8],
    size: Size,
    frame: u32,
    keep_going: &dyn Fn() -> bool,
) -> Result<Pixels, RenderError> {
    let features = features(source, size)?;
    if features.is_animated {
        decode_frame(source, size, frame, keep_going)
    } else {
        decode_still(source, size)
    }
}

/// A part of the still, already scaled; `None` if there is no shorter way than [`decode`].
pub(super) fn decode_part(
    source: &[u8],
    size: Size,
    part: &SourcePart,
    progress: &dyn ProgressSink,
) -> Result<Option<Pixels>, RenderError> {
    shrunk::decode(source, &features(source, size)?, part, progress)
}

/// Whether [`decode_part`] can return this part.
pub(super) fn gives_part(source: &[u8], size: Size, part: &SourcePart) -> bool {
    features(source, size).is_ok_and(|features| shrunk::gives(&features, part))
}

fn features(source: &[u8], size: Size) -> Result<Features, RenderError> {
    let features = libwebp::features(source).ok_or(CORRUPT)?;
    if features.size == size { Ok(features) } else { Err(SIZE_DIFFERS) }
}

/// Decodes a file or a frame's bitstream.
fn decode_still(source: &[u8], size: Size) -> Result<Pixels, RenderError> {
    let has_alpha = features(source, size)?.has_alpha;
    let data = libwebp::colors(source, size, has_alpha).ok_or(CORRUPT)?;
    Pixels::new(size, if has_alpha { PixelKind::Rgba } else { PixelKind::Rgb }, data).ok_or(CORRUPT)
}

fn decode_frame(
    source: &[u8],
    size: Size,
    frame: u32,
    keep_going: &dyn Fn() -> bool,
) -> Result<Pixels, RenderError> {
    let mut decoder = WebpDecoder::new(source, size);
    for number in 0..=frame {
        proceed(keep_going)?;
        if decoder.next()?.is_none() {
            return Err(if number == 0 { CORRUPT } else { RenderError::FrameMissing { frames: number } });
        }
    }
    decoder.canvas.ok_or(CORRUPT)?.into_pixels()
}

/// The frames of a file, one after another.
pub(super) struct WebpDecoder<'a> {
    size: Size,
    loop_count: u32,
    chunks: RiffChunks<'a>,
    canvas: Option<Canvas>,
}

impl<'a> WebpDecoder<'a> {
    /// Ignores the size that the file claims: each frame must lie within `size`.
    pub(super) fn new(source: &'a [u8], size: Size) -> Self {
        // The field follows the four bytes of the background.
        let loop_count = RiffChunks::of_file(source)
            .find(|chunk| &chunk.name == b"ANIM")
            .and_then(|chunk| chunk.payload.get(4..6))
            .map_or(0, |plays| u32::from(u16::from_le_bytes([plays[0], plays[1]])));
        Self { size, loop_count, chunks: RiffChunks::of_file(source), canvas: None }
    }

    /// Draws the next frame and returns its delay in milliseconds; `None` at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<u32>, RenderError> {
        let Some(chunk) = self.chunks.find(|chunk| &chunk.name == b"ANMF") else { return Ok(None) };
        let frame = WebpFrame::parse(chunk.payload, self.size).ok_or(CORRUPT)?;
        let pixels = decode_still(frame.bitstream, frame.area.size)?;
        // Allocated only now, so that the first frame's decoder and the canvas are never alive together.
        let canvas = self.canvas.get_or_insert_with(|| Canvas::new(self.size));
        canvas.begin_frame(frame.area, frame.disposal);
        canvas.draw(frame.area, &pixels, frame.blend);
        Ok(Some(frame.delay_ms))
    }

    /// 0 is endless.
    pub(super) fn loop_count(&self) -> u32 {
        self.loop_count
    }

    pub(super) fn current_frame(&self) -> Result<Pixels, RenderError> {
        self.canvas.as_ref().ok_or(CORRUPT)?.pixels()
    }
}

/// An ANMF chunk.
struct WebpFrame<'a> {
    area: Area,
    delay_ms: u32,
    disposal: Disposal,
    blend: Blend,
    bitstream: &'a [u8],
}

impl<'a> WebpFrame<'a> {
    /// `None` if the chunk is too short, or if the frame leaves the canvas, which the format forbids.
    fn parse(payload: &'a [u8], canvas: Size) -> Option<Self> {
        let (head, bitstream) = payload.split_first_chunk::<16>()?;
        let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], 0]);
        let (left, top) = (number(0) * 2, number(3) * 2);
        let size = Size { width: number(6) + 1, height: number(9) + 1 };
        if left + size.width > canvas.width || top + size.height > canvas.height {
            return None;
        }
        let flags = head[15];
        Some(Self {
            area: Area { left, top, size },
            delay_ms: number(12),
            // The background colour of a file is a hint that browsers ignore: a cleared area is transparent.
            disposal: if flags & 1 != 0 { Disposal::Clear } else { Disposal::Keep },
            blend: if flags & 2 != 0 { Blend::Replace } else { Blend::Over },
            bitstream,
        })
    }
}
