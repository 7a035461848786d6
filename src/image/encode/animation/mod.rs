//! Frames → bytes of an animated GIF or WebP, one at a time: only the file grows with the number of frames.
//!
//! A frame is stored as the smallest rectangle with all pixels that differ from the canvas before it. A frame without
//! any difference is stored, too, with its own delay.

mod gif;
mod webp;

use crate::image::encode::unless_stopped;
use crate::image::error::RenderError;
use crate::image::pixels::{PixelKind, Pixels};
use crate::image::shape::{Rect, Size};
use crate::object::Format;

/// An animation that is being written.
pub struct Animation {
    size: Size,
    format: Format,
    writer: AnimationWriter,
}

enum AnimationWriter {
    Gif(gif::GifWriter),
    Webp(webp::WebpWriter),
}

impl Animation {
    /// An animation without frames; its frames have this size, and it plays `plays` times (0: endless). `quality` is
    /// 1–100; GIF ignores it. No side may be longer than the format holds.
    ///
    /// # Errors
    ///
    /// [`RenderError::EncodeFailed`], also for a format other than these two.
    pub fn new(format: Format, size: Size, plays: u32, quality: u8) -> Result<Self, RenderError> {
        let writer = match format {
            Format::Gif => gif::GifWriter::new(size, plays).map(AnimationWriter::Gif),
            Format::Webp => Some(AnimationWriter::Webp(webp::WebpWriter::new(size, plays, quality))),
            Format::Jpeg | Format::Png | Format::Avif | Format::Heic | Format::Jxl => None,
        };
        let writer = writer.ok_or(RenderError::EncodeFailed(format))?;
        Ok(Self { size, format, writer })
    }

    /// Adds a frame, shown for `delay_ms`. Calls `keep_going` as [`super::encode_while`] does.
    ///
    /// # Errors
    ///
    /// [`RenderError::EncodeFailed`], also for a frame of another size; [`RenderError::Cancelled`] once `keep_going`
    /// returns false, after which the animation is unusable.
    pub fn push(
        &mut self,
        pixels: Pixels,
        delay_ms: u32,
        keep_going: &dyn Fn() -> bool,
    ) -> Result<(), RenderError> {
        let fits = pixels.size() == self.size;
        unless_stopped(self.format, keep_going, |keep_going| match &mut self.writer {
            _ if !fits => None,
            AnimationWriter::Gif(writer) => writer.push(pixels, delay_ms, keep_going),
            AnimationWriter::Webp(writer) => writer.push(pixels, delay_ms, keep_going),
        })
    }

    /// The file, after writing a pending frame.
    ///
    /// # Errors
    ///
    /// [`RenderError::EncodeFailed`]; [`RenderError::Cancelled`] once `keep_going` returns false.
    pub fn finish(self, keep_going: &dyn Fn() -> bool) -> Result<Vec<u8>, RenderError> {
        unless_stopped(self.format, keep_going, |keep_going| match self.writer {
            AnimationWriter::Gif(writer) => writer.finish(keep_going),
            AnimationWriter::Webp(writer) => writer.finish(),
        })
    }
}

/// Bytes that an [`Animation`] keeps between frames, its file included, beside the bytes for encoding a still of that
/// size. An upper bound for pictures, which noise hardly reaches.
pub fn kept_bytes(size: Size, frames: u32) -> u64 {
    // At most three pictures in RGBA; GIF's codes take at most 12 bits a pixel.
    let file = size.area().saturating_mul(2).saturating_add(1024).saturating_mul(frames.into());
    size.area().saturating_mul(3 * 4).saturating_add(file)
}

/// RGBA in which invisible pixels are zero, so that they compare equal.
fn rgba(pixels: &Pixels) -> Vec<u8> {
    let pixel = |pixel: &[u8]| match *pixel {
        [luma] => [luma, luma, luma, 255],
        [_, 0] | [_, _, _, 0] => [0; 4],
        [luma, alpha] => [luma, luma, luma, alpha],
        [red, green, blue] => [red, green, blue, 255],
        [red, green, blue, alpha] => [red, green, blue, alpha],
        _ => [0; 4],
    };
    pixels.data().chunks_exact(pixels.kind().channels()).flat_map(pixel).collect()
}

/// The smallest rectangle with every pixel for which `differs(before, now)`; `None` if there is none. Both slices are
/// RGBA of the same size.
fn differing(
    before: &[u8],
    now: &[u8],
    size: Size,
    differs: impl Fn(&[u8], &[u8]) -> bool,
) -> Option<Rect<u32>> {
    let stride = size.width as usize * 4;
    let (mut left, mut right, mut top, mut bottom) = (usize::MAX, 0, None, 0);
    for (y, (before, now)) in before.chunks_exact(stride).zip(now.chunks_exact(stride)).enumerate() {
        // Most rows of most animations do not change.
        if before == now {
            continue;
        }
        let pixels = || before.chunks_exact(4).zip(now.chunks_exact(4));
        let Some(first) = pixels().position(|(before, now)| differs(before, now)) else { continue };
        let last = pixels().rposition(|(before, now)| differs(before, now)).unwrap_or(first);
        (left, right) = (left.min(first), right.max(last));
        top = top.or(Some(y));
        bottom = y;
    }
    let top = top?;
    Some(Rect {
        x: left as u32,
        y: top as u32,
        width: (right - left + 1) as u32,
        height: (bottom - top + 1) as u32,
    })
}

/// The smallest rectangle that contains both.
fn around(one: Option<Rect<u32>>, other: Option<Rect<u32>>) -> Option<Rect<u32>> {
    let (Some(one), Some(other)) = (one, other) else { return one.or(other) };
    let (x, y) = (one.x.min(other.x), one.y.min(other.y));
    let right = (one.x + one.width).max(other.x + other.width);
    let bottom = (one.y + one.height).max(other.y + other.height);
    Some(Rect { x, y, width: right - x, height: bottom - y })
}

/// A part of an RGBA picture, without alpha if all of it is opaque; `None` if the part is not inside.
fn part(data: &[u8], size: Size, part: Rect<u32>) -> Option<Pixels> {
    let stride = size.width as usize * 4;
    let columns = part.x as usize * 4..(part.x + part.width) as usize * 4;
    let rows = data.chunks_exact(stride).skip(part.y as usize).take(part.height as usize);
    let mut cut = Vec::with_capacity(part.size().area() as usize * 4);
    for row in rows {
        cut.extend_from_slice(row.get(columns.clone())?);
    }
    Pixels::new(part.size(), PixelKind::Rgba, cut).map(Pixels::without_idle_alpha)
}

/// A transparent pixel, which changes nothing when it is blended.
fn nothing() -> Option<Pixels> {
    Pixels::new(Size { width: 1, height: 1 }, PixelKind::Rgba, vec![0; 4])
}

#[cfg(test)]
mod tests;
