//! GIF: draws the frames onto the canvas up to the requested one; uncovered pixels are transparent.
//!
//! A frame may reach outside the canvas, where it is clipped, but may not claim more memory than the canvas. Files that
//! break rules are shown as browsers show them; [`crate::image::container::gif`] says which blocks count. A frame with
//! too few pixels draws those that it has; the last one is then left out, because a file that was cut ends with such a
//! frame.

use std::iter::Peekable;

use weezl::decode::Decoder as LzwDecoder;
use weezl::{BitOrder, LzwStatus};

use super::canvas::{Area, Canvas, Disposal};
use super::{CORRUPT, SIZE_DIFFERS};
use crate::image::container::gif::{GifFile, GifImage, GifImages};
use crate::image::error::{RenderError, proceed};
use crate::image::pixels::Pixels;
use crate::image::shape::Size;

/// Pixels that a frame may always have, however small the canvas is: files with slightly too large frames are common.
pub(super) const FRAME_AREA_FREE: u64 = 1 << 20;

/// The canvas after frame `frame` was drawn.
pub(super) fn decode(
    source: &[u8],
    size: Size,
    frame: u32,
    keep_going: &dyn Fn() -> bool,
) -> Result<Pixels, RenderError> {
    let mut decoder = GifDecoder::new(source, size)?;
    for number in 0..=frame {
        proceed(keep_going)?;
        let found = decoder.next()?.is_some();
        if !found && number == 0 {
            return Err(CORRUPT);
        }
        if !found {
            return Err(RenderError::FrameMissing { frames: number });
        }
    }
    decoder.canvas.into_pixels()
}

/// The frames of a file, one after another.
pub(super) struct GifDecoder<'a> {
    images: Peekable<GifImages<'a>>,
    loops: u32,
    canvas: Canvas,
}

impl<'a> GifDecoder<'a> {
    pub(super) fn new(source: &'a [u8], size: Size) -> Result<Self, RenderError> {
        let file = GifFile::of(source).ok_or(CORRUPT)?;
        if (u32::from(file.width), u32::from(file.height)) != (size.width, size.height) {
            return Err(SIZE_DIFFERS);
        }
        Ok(Self { images: file.images().peekable(), loops: file.loop_count(), canvas: Canvas::new(size) })
    }

    /// Draws the next frame and returns its delay in milliseconds; `None` at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<u32>, RenderError> {
        let Some(image) = self.images.next() else { return Ok(None) };
        let size = Size { width: image.width.into(), height: image.height.into() };
        if size.area() > self.canvas.size().area().max(FRAME_AREA_FREE) {
            return Err(CORRUPT);
        }
        let mut indices = vec![0; size.area() as usize];
        let count = decompress(&image, &mut indices)?;
        if count < indices.len() && self.images.peek().is_none() {
            return Ok(None);
        }
        self.draw(&image, size, &indices[..count])?;
        Ok(Some(u32::from(image.control.delay) * 10))
    }

    /// Loops, 0 is endless.
    pub(super) fn loop_count(&self) -> u32 {
        self.loops
    }

    pub(super) fn current_frame(&self) -> Result<Pixels, RenderError> {
        self.canvas.pixels()
    }

    fn draw(&mut self, image: &GifImage<'_>, size: Size, indices: &[u8]) -> Result<(), RenderError> {
        let area = Area { left: image.left.into(), top: image.top.into(), size };
        self.canvas.begin_frame(area, disposal(image.control.disposal));
        if size.area() > 0 && image.palette.is_empty() {
            return Err(CORRUPT);
        }
        let lines = indices.chunks(size.width.max(1) as usize);
        for (y, line) in rows(size.height, image.interlaced).zip(lines) {
            for (pixel, &index) in self.canvas.row(area, y).chunks_exact_mut(4).zip(line) {
                if image.control.transparent == Some(index) {
                    continue;
                }
                // An index beyond the palette draws nothing, as in browsers.
                let start = usize::from(index) * 3;
                if let Some(color) = image.palette.get(start..start + 3) {
                    pixel[..3].copy_from_slice(color);
                    pixel[3] = 255;
                }
            }
        }
        Ok(())
    }
}

/// Fills `indices` from the image's data, and returns how many it holds: fewer where the data end or break off.
fn decompress(image: &GifImage<'_>, indices: &mut [u8]) -> Result<usize, RenderError> {
    // Codes have at most 12 bits, and at the start one more than this size.
    if !(1..=11).contains(&image.code_size) {
        return Err(CORRUPT);
    }
    let mut lzw = LzwDecoder::new(BitOrder::Lsb, image.code_size);
    let mut count = 0;
    // The decompressor may hold pixels when it has taken all data; the empty piece brings them out.
    for mut data in image.data.clone().chain([&[][..]]) {
        loop {
            let step = lzw.decode_bytes(data, &mut indices[count..]);
            count += step.consumed_out;
            data = &data[step.consumed_in..];
            match step.status {
                _ if count == indices.len() => return Ok(count),
                Ok(LzwStatus::Ok) if step.consumed_in > 0 || step.consumed_out > 0 => {}
                Ok(LzwStatus::Ok | LzwStatus::NoProgress) => break,
                Ok(LzwStatus::Done) | Err(_) => return Ok(count),
            }
        }
    }
    Ok(count)
}

/// The order in which a frame's rows are stored.
fn rows(height: u32, interlaced: bool) -> impl Iterator<Item = u32> {
    let passes: &[(u32, usize)] = if interlaced { &[(0, 8), (4, 8), (2, 4), (1, 2)] } else { &[(0, 1)] };
    passes.iter().flat_map(move |&(first, step)| (first..height).step_by(step))
}

/// Browsers take 4 for 3, because old documents number the methods by bits, and the undefined ones for none.
const fn disposal(method: u8) -> Disposal {
    match method {
        2 => Disposal::Clear,
        3 | 4 => Disposal::Restore,
        _ => Disposal::Keep,
    }
}

#[cfg(test)]
mod tests;
