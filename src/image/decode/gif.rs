//! GIF: draws the frames onto the canvas up to the requested one; uncovered pixels are transparent.
//!
//! A frame may reach outside the canvas, where it is clipped, but may not claim more memory than the canvas. It is read
//! in one piece: read in several, the library loses pixels that its decompressor still holds at the end of a piece.

use std::num::NonZeroU64;

use gif::{ColorOutput, DecodeOptions, Decoder, DisposalMethod, MemoryLimit, Repeat};

use super::canvas::{Area, Canvas, Disposal};
use super::{CORRUPT, SIZE_DIFFERS};
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
    decoder: Decoder<&'a [u8]>,
    canvas: Canvas,
}

impl<'a> GifDecoder<'a> {
    pub(super) fn new(source: &'a [u8], size: Size) -> Result<Self, RenderError> {
        let mut options = DecodeOptions::new();
        options.set_color_output(ColorOutput::Indexed);
        // Only metadata grows in the library's memory with the file, and never beyond its length.
        let metadata_max = NonZeroU64::MIN.saturating_add(source.len() as u64);
        options.set_memory_limit(MemoryLimit::Bytes(metadata_max));
        let decoder = options.read_info(source).map_err(|_| CORRUPT)?;
        if (u32::from(decoder.width()), u32::from(decoder.height())) != (size.width, size.height) {
            return Err(SIZE_DIFFERS);
        }
        Ok(Self { decoder, canvas: Canvas::new(size) })
    }

    /// Draws the next frame and returns its delay in milliseconds; `None` at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<u32>, RenderError> {
        draw_frame(&mut self.decoder, &mut self.canvas)
    }

    /// Loops, 0 is endless: the file stores repetitions; without that field the animation plays once.
    pub(super) fn loop_count(&self) -> u32 {
        match self.decoder.repeat() {
            Repeat::Infinite => 0,
            Repeat::Finite(repetitions) => u32::from(repetitions) + 1,
        }
    }

    pub(super) fn current_frame(&self) -> Result<Pixels, RenderError> {
        self.canvas.pixels()
    }
}

/// Draws the next frame and returns its delay in milliseconds; `None` at the end of the file.
fn draw_frame(decoder: &mut Decoder<&[u8]>, canvas: &mut Canvas) -> Result<Option<u32>, RenderError> {
    let Some(frame) = decoder.next_frame_info().map_err(|_| CORRUPT)? else {
        return Ok(None);
    };
    let delay_ms = u32::from(frame.delay) * 10;
    let size = Size { width: frame.width.into(), height: frame.height.into() };
    let area = Area { left: frame.left.into(), top: frame.top.into(), size };
    let (transparent, interlaced) = (frame.transparent, frame.interlaced);
    canvas.begin_frame(area, disposal(frame.dispose));
    if size.area() > canvas.size().area().max(FRAME_AREA_FREE) {
        return Err(CORRUPT);
    }
    if size.area() == 0 {
        return Ok(Some(delay_ms));
    }
    let mut indices = vec![0; size.area() as usize];
    if !decoder.fill_buffer(&mut indices).map_err(|_| CORRUPT)? {
        return Err(CORRUPT);
    }
    let palette = decoder.palette().map_err(|_| CORRUPT)?;
    for (y, line) in rows(size.height, interlaced).zip(indices.chunks_exact(size.width as usize)) {
        for (pixel, &index) in canvas.row(area, y).chunks_exact_mut(4).zip(line) {
            if transparent == Some(index) {
                continue;
            }
            // An index beyond the palette draws nothing, as in browsers.
            if let Some(color) = palette.get(usize::from(index) * 3..usize::from(index) * 3 + 3) {
                pixel[..3].copy_from_slice(color);
                pixel[3] = 255;
            }
        }
    }
    Ok(Some(delay_ms))
}

/// The order in which a frame's rows are stored.
fn rows(height: u32, interlaced: bool) -> impl Iterator<Item = u32> {
    let passes: &[(u32, usize)] = if interlaced { &[(0, 8), (4, 8), (2, 4), (1, 2)] } else { &[(0, 1)] };
    passes.iter().flat_map(move |&(first, step)| (first..height).step_by(step))
}

fn disposal(dispose: DisposalMethod) -> Disposal {
    match dispose {
        DisposalMethod::Any | DisposalMethod::Keep => Disposal::Keep,
        DisposalMethod::Background => Disposal::Clear,
        DisposalMethod::Previous => Disposal::Restore,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interlaced_rows_come_in_four_passes_and_each_once() {
        assert_eq!(rows(9, true).collect::<Vec<_>>(), [0, 8, 4, 2, 6, 1, 3, 5, 7]);
        assert_eq!(rows(3, false).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(rows(1, true).collect::<Vec<_>>(), [0]);
    }
}
